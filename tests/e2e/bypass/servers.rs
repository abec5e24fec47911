//! nginx, Apache and Tomcat as strangers run them, each a process of the test's own on loopback. What is sent to them are the
//! bytes that the gate sent: nothing stands in between that could tidy them up.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// What a server made of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Served {
    /// The area that answered, and the method that was executed there.
    Area { area: String, method: String },
    /// A refusal, a redirect, nothing found: the status.
    Nothing(String),
    /// The bytes were not one request.
    NotOne(usize),
}

impl std::fmt::Display for Served {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Area { area, method } => write!(f, "{area}({method})"),
            Self::Nothing(status) => write!(f, "{status}"),
            Self::NotOne(count) => write!(f, "{count} requests"),
        }
    }
}

/// The running servers; they end with the value.
pub(crate) struct Servers {
    processes: Vec<Child>,
    /// Name and port.
    pub(crate) ports: Vec<(&'static str, u16)>,
    folder: TempDir,
}

impl Drop for Servers {
    fn drop(&mut self) {
        for process in &mut self.processes {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

impl Servers {
    pub(crate) async fn start() -> Self {
        // They take a port by number only: one that was free a moment ago. Somebody else may have taken it since.
        let mut logs = String::new();
        for _ in 0..3 {
            let mut servers = Self::spawn();
            if servers.answer().await {
                return servers;
            }
            logs = servers.logs();
        }
        panic!("nginx, Apache or Tomcat did not start; `make test` installs them:\n{logs}");
    }

    fn spawn() -> Self {
        let folder = tempfile::Builder::new().prefix("sekisho-upstreams-").tempdir().unwrap();
        let path = folder.path();
        let free = || TcpListener::bind("127.0.0.1:0").unwrap();
        let sockets = [free(), free(), free(), free(), free()];
        let [nginx, apache, slashes, nodecode, tomcat] = sockets.map(|socket| socket.local_addr().unwrap().port());
        let root = std::fs::metadata("/proc/self").is_ok_and(|m| std::os::unix::fs::MetadataExt::uid(&m) == 0);
        let fill = |from: &str, to: &str| {
            let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/upstreams").join(from);
            let text = std::fs::read_to_string(source)
                .unwrap()
                .replace("FOLDER", &path.display().to_string())
                .replace("NGINX", &nginx.to_string())
                .replace("APACHE", &apache.to_string())
                .replace("SLASHES", &slashes.to_string())
                .replace("NODECODE", &nodecode.to_string())
                .replace("TOMCAT", &tomcat.to_string())
                // Apache serves nothing as root. Whoever else starts it stays who they are.
                .replace("User USER\n", if root { "User www-data\nGroup www-data\n" } else { "" });
            let to = path.join(to);
            std::fs::create_dir_all(to.parent().unwrap()).unwrap();
            std::fs::write(to, text).unwrap();
        };
        fill("nginx.conf", "nginx.conf");
        fill("apache.conf", "apache.conf");
        fill("apache-site.conf", "apache-site.conf");
        fill("server.xml", "tomcat/conf/server.xml");
        fill("web.xml", "tomcat/webapps/ROOT/WEB-INF/web.xml");
        fill("area.jsp", "tomcat/webapps/ROOT/WEB-INF/area.jsp");
        std::fs::create_dir_all(path.join("tomcat/temp")).unwrap();
        for (file, area) in [
            ("admin/page", "admin"),
            ("staff/salary", "salary"),
            ("public/page", "public"),
            ("files/page", "files"),
            ("other/page", "other"),
            ("by-rule/admin", "admin"),
            ("by-rule/delete", "delete"),
            ("by-rule/resident", "resident"),
        ] {
            let file = path.join("www").join(file);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(file, format!("served={area} method=-\n")).unwrap();
        }
        // Apache's own user reads it.
        std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();

        let start = |program: &str, arguments: &[&str]| {
            Command::new(program)
                .args(arguments)
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(std::fs::File::create(path.join(format!("{program}.err"))).unwrap())
                .spawn()
                .unwrap_or_else(|error| panic!("{program}: {error}; `make test` installs it"))
        };
        let in_folder = |file: &str| path.join(file).display().to_string();
        let tomcat_home = ["/usr/share/tomcat10", "/usr/share/tomcat9"]
            .into_iter()
            .find(|home| Path::new(home).join("bin/bootstrap.jar").exists())
            .expect("no Tomcat; `make test` installs it");
        let processes = vec![
            start("nginx", &["-c", &in_folder("nginx.conf"), "-e", &in_folder("nginx.log")]),
            start("apache2", &["-X", "-f", &in_folder("apache.conf")]),
            start(
                "java",
                &[
                    // Quick to start, and small.
                    "-XX:TieredStopAtLevel=1",
                    "-XX:+UseSerialGC",
                    "-Xmx128m",
                    "-Dtomcat.util.scan.StandardJarScanFilter.jarsToSkip=*.jar",
                    &format!("-Dcatalina.home={tomcat_home}"),
                    &format!("-Dcatalina.base={}", in_folder("tomcat")),
                    "-cp",
                    &format!("{tomcat_home}/bin/bootstrap.jar:{tomcat_home}/bin/tomcat-juli.jar"),
                    "org.apache.catalina.startup.Bootstrap",
                    "start",
                ],
            ),
        ];
        let ports = vec![
            ("nginx", nginx),
            ("apache", apache),
            ("apache-on", slashes),
            ("apache-nodecode", nodecode),
            ("tomcat", tomcat),
        ];
        Self { processes, ports, folder }
    }

    /// Whether all of them answer within a minute. A server that ended says so at once.
    async fn answer(&mut self) -> bool {
        let deadline = std::time::Instant::now() + Duration::from_secs(60);
        let ports = self.ports.clone();
        for (_, port) in ports {
            loop {
                let served = ask(port, b"GET /public/page HTTP/1.1\r\nHost: x\r\n\r\n").await;
                if matches!(&served, Served::Area { area, .. } if area == "public") {
                    break;
                }
                let ended = self.processes.iter_mut().any(|process| matches!(process.try_wait(), Ok(Some(_))));
                if ended || std::time::Instant::now() > deadline {
                    return false;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
        true
    }

    fn logs(&self) -> String {
        let files = std::fs::read_dir(self.folder.path()).unwrap().map(|entry| entry.unwrap().path());
        let logs = files.filter(|file| file.extension().is_some_and(|e| e == "log" || e == "err"));
        logs.map(|log| format!("{}:\n{}", log.display(), std::fs::read_to_string(&log).unwrap_or_default())).collect()
    }

    /// What each server makes of these bytes, in the order of `ports`.
    pub(crate) async fn ask(&self, bytes: &[u8]) -> Vec<Served> {
        futures_util::future::join_all(self.ports.iter().map(|(_, port)| ask(*port, bytes))).await
    }
}

/// Sends the bytes and, behind them, a request that ends the connection: who took the bytes for one request answers
/// twice, or once if it did not like them.
async fn ask(port: u16, bytes: &[u8]) -> Served {
    const LAST: &[u8] = b"GET /last HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    let mut answer = Vec::new();
    let talk = async {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
        stream.write_all(&[bytes, LAST].concat()).await?;
        stream.read_to_end(&mut answer).await
    };
    // A server that hangs up early resets the connection; what it said before counts.
    let _ = tokio::time::timeout(Duration::from_secs(20), talk).await;
    let text = String::from_utf8_lossy(&answer);
    let answers: Vec<&str> = text.split("HTTP/1.").skip(1).collect();
    let Some(first) = answers.first() else { return Served::Nothing("closed".to_owned()) };
    if answers.len() > 2 {
        return Served::NotOne(answers.len() - 1);
    }
    let word = |name: &str| first.split_once(name).map(|(_, rest)| rest.split_whitespace().next().unwrap_or_default());
    match (word("served="), word("method=")) {
        (Some(area), Some(method)) => Served::Area { area: area.to_owned(), method: method.to_owned() },
        _ => Served::Nothing(first.split(' ').nth(1).unwrap_or_default().to_owned()),
    }
}
