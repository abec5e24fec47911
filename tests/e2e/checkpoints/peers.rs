//! Those who keep checkpoints: a receiver of webhooks, an authority of time stamps (OpenSSL), a mail server (aiosmtpd).

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use http::{HeaderMap, StatusCode};
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::harness::{certificate, pem, venv};

/// Serves on a port of its own, over TLS if there is a configuration.
pub(super) async fn serve(app: Router, tls: Option<rustls::ServerConfig>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let acceptor = tls.map(|tls| TlsAcceptor::from(Arc::new(tls)));
    tokio::spawn(async move {
        while let Ok((tcp, _)) = listener.accept().await {
            let (app, acceptor) = (app.clone(), acceptor.clone());
            tokio::spawn(async move {
                match acceptor {
                    None => answer(tcp, app).await,
                    Some(acceptor) => {
                        if let Ok(stream) = acceptor.accept(tcp).await {
                            answer(stream, app).await;
                        }
                    }
                }
            });
        }
    });
    port
}

async fn answer(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, app: Router) {
    let _ = hyper::server::conn::http1::Builder::new()
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(app))
        .await;
}

/// A server's TLS for `localhost`, and its root in a file.
pub(super) fn tls(root: &Path) -> rustls::ServerConfig {
    let (root_pem, chain, key) = certificate(&["localhost"]);
    std::fs::write(root, root_pem).unwrap();
    rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap()
}

/// Keeps what is posted to it; the first few times it is out of order.
#[derive(Clone, Default)]
pub(super) struct Receiver {
    failures: Arc<Mutex<usize>>,
    heard: Arc<Mutex<Vec<(HeaderMap, Bytes)>>>,
}

impl Receiver {
    pub(super) fn failing(times: usize) -> Self {
        Self { failures: Arc::new(Mutex::new(times)), heard: Arc::default() }
    }

    pub(super) fn app(&self) -> Router {
        let post = async |State(own): State<Self>, headers: HeaderMap, body: Bytes| {
            own.heard.lock().unwrap().push((headers, body));
            let mut failures = own.failures.lock().unwrap();
            match *failures {
                0 => StatusCode::NO_CONTENT,
                _ => {
                    *failures -= 1;
                    StatusCode::SERVICE_UNAVAILABLE
                }
            }
        };
        Router::new().route("/hook", axum::routing::post(post)).with_state(self.clone())
    }

    /// Everything that came, oldest first.
    pub(super) fn heard(&self) -> Vec<(HeaderMap, Bytes)> {
        self.heard.lock().unwrap().clone()
    }
}

/// An authority that stamps with OpenSSL; `root.pem` in its folder vouches for it.
#[derive(Clone)]
pub(super) struct Authority(Arc<tempfile::TempDir>);

impl Authority {
    pub(super) fn new() -> Self {
        let own = Self(Arc::new(tempfile::tempdir().unwrap()));
        let write = |name: &str, text: &str| std::fs::write(own.0.path().join(name), text).unwrap();
        write("ca.ext", "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign\n");
        write("tsa.ext", "basicConstraints=CA:FALSE\nextendedKeyUsage=critical,timeStamping\n");
        write(
            "tsa.cnf",
            "[tsa]\nserial = serial\nsigner_digest = sha256\ndefault_policy = 1.2.3.4.1\ndigests = sha256\n\
             ess_cert_id_alg = sha256\n",
        );
        let curve = ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"];
        for name in ["root", "tsa"] {
            let (key, csr, subject) = (format!("{name}.key"), format!("{name}.csr"), format!("/CN={name}"));
            own.openssl(&[&["genpkey", "-out", &key], &curve[..]].concat());
            own.openssl(&["req", "-new", "-key", &key, "-subj", &subject, "-out", &csr]);
        }
        let sign = ["x509", "-req", "-days", "3650"];
        let root = ["-in", "root.csr", "-signkey", "root.key", "-extfile", "ca.ext", "-out", "root.pem"];
        let tsa = ["-in", "tsa.csr", "-CA", "root.pem", "-CAkey", "root.key", "-set_serial", "2"];
        own.openssl(&[&sign[..], &root].concat());
        own.openssl(&[&sign[..], &tsa, &["-extfile", "tsa.ext", "-out", "tsa.pem"]].concat());
        own
    }

    pub(super) fn root(&self) -> String {
        self.0.path().join("root.pem").display().to_string()
    }

    fn openssl(&self, arguments: &[&str]) {
        let run = Command::new("openssl").args(arguments).current_dir(self.0.path()).output().unwrap();
        assert!(run.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&run.stderr));
    }

    pub(super) fn app(&self) -> Router {
        let post = async |State(own): State<Self>, headers: HeaderMap, body: Bytes| {
            assert_eq!(headers["content-type"], "application/timestamp-query");
            tokio::task::spawn_blocking(move || own.stamp(&body)).await.unwrap()
        };
        Router::new().route("/", axum::routing::post(post)).with_state(self.clone())
    }

    fn stamp(&self, query: &[u8]) -> Vec<u8> {
        let path = |name: &str| self.0.path().join(name);
        std::fs::write(path("serial"), "01\n").unwrap();
        std::fs::write(path("query"), query).unwrap();
        let signer = ["-signer", "tsa.pem", "-inkey", "tsa.key", "-config", "tsa.cnf", "-section", "tsa"];
        self.openssl(&[&["ts", "-reply", "-queryfile", "query", "-out", "answer"], &signer[..]].concat());
        std::fs::read(path("answer")).unwrap()
    }
}

/// aiosmtpd in a process of its own; it ends with the value.
pub(crate) struct MailServer {
    child: Child,
    folder: tempfile::TempDir,
    pub(crate) port: u16,
}

impl Drop for MailServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl MailServer {
    /// `security`: starttls, tls or plain. Its certificate is for `localhost`.
    pub(crate) async fn start(security: &str, account: &[&str]) -> Self {
        let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/e2e/checkpoints");
        let requirements = here.join("requirements.txt");
        let python = tokio::task::spawn_blocking(move || venv("aiosmtpd", &requirements)).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let (root_pem, chain, key) = certificate(&["localhost"]);
        let path = |name: &str| folder.path().join(name);
        std::fs::write(path("root.pem"), root_pem).unwrap();
        std::fs::write(path("own.pem"), pem("CERTIFICATE", &chain[0])).unwrap();
        std::fs::write(path("own.key"), pem("PRIVATE KEY", key.secret_der())).unwrap();
        std::fs::create_dir(path("mails")).unwrap();
        let mut child = Command::new(python)
            .arg(here.join("mail.py"))
            .args([path("own.pem"), path("own.key"), path("mails")])
            .arg(security)
            .args(account)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let port = line.trim().parse().unwrap_or_else(|_| panic!("the mail server did not start: {line}"));
        Self { child, folder, port }
    }

    pub(crate) fn root(&self) -> String {
        self.folder.path().join("root.pem").display().to_string()
    }

    /// The mails that came, oldest first.
    pub(crate) fn mails(&self) -> Vec<Value> {
        let read = |number: usize| {
            let text = std::fs::read(self.folder.path().join(format!("mails/{number}.json"))).ok()?;
            Some(serde_json::from_slice(&text).unwrap())
        };
        (0..).map_while(read).collect()
    }
}
