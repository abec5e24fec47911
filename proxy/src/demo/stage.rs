//! Setting the stage: two authorities, a SaaS, a configuration, a gate, people and a phone.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, anyhow};
use cert_authority::{CertAuthority, DeviceKind, Init, Os, Passphrase, SERVER_VALIDITY};
use demo::client::{Browser, Certificate, Setup};
use demo::provider::{BackChannel, ProviderAccount, ProviderClient, ProviderHandle, ProviderOptions, serve_provider};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use serde_json::Value;
use tokio::net::TcpListener;
use vocabulary::{Clock, SystemClock};

use crate::control::{self, Actor, Command, NewDevice, NewPerson, Refused};
use crate::serve::Running;

const SAAS: &str = "hidamari-care.localhost";
/// The identity provider, of the same third party.
const IDP: &str = "id.hidamari-care.localhost";
/// The domain of everybody's mail address.
const MAIL: &str = "sakura-kai.example";

pub(super) struct Person {
    pub(super) id: &'static str,
    pub(super) password: &'static str,
    pub(super) who: &'static str,
    name: &'static str,
    groups: &'static [&'static str],
}

const PEOPLE: &[Person] = &[
    Person {
        id: "sato",
        password: "himawari-no-hana",
        who: "佐藤 美咲, works in the facility",
        name: "佐藤 美咲",
        groups: &["staff"],
    },
    Person {
        id: "suzuki",
        password: "asagao-no-tsuru",
        who: "鈴木 大輔, visiting nurse",
        name: "鈴木 大輔",
        groups: &["staff", "visiting-nurses"],
    },
];

pub(super) struct Phone {
    pub(super) id: String,
    pub(super) password: String,
    pub(super) certificate: Certificate,
}

pub(super) struct Stage {
    folder: tempfile::TempDir,
    running: Running,
    saas: demo::Handle,
    provider: ProviderHandle,
    roots: Vec<CertificateDer<'static>>,
    phone: Phone,
    metrics: SocketAddr,
}

impl Stage {
    pub(super) async fn set(port: u16, absolute_links: bool) -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new().prefix("sekisho-demo-").tempdir().context("no temporary folder")?;
        let path = folder.path().to_owned();

        let (saas, provider) = start_third_parties(&path, absolute_links).await?;
        let secret = Passphrase::random()?.danger_expose().to_owned();
        std::fs::write(path.join("provider.secret"), &secret)?;
        let port = free_port(port).await?;
        let metrics = SocketAddr::from(([127, 0, 0, 1], free_port(9464).await?));
        let config = path.join("sekisho.yaml");
        std::fs::write(path.join("passphrase"), Passphrase::random()?.danger_expose())?;
        std::fs::write(&config, configuration(port, metrics, saas.addr().port(), provider.issuer()))?;
        let loaded = config::load(&config).map_err(|report| anyhow!("{report}"))?;
        make_authority(&path, &loaded.settings)?;

        crate::serve::start_logging(&loaded.settings);
        let running = Running::start(config, loaded).await?;
        let (pem, phone, p12) = populate(&running.gate.core).await?;
        std::fs::write(path.join("server-root.pem"), &pem)?;
        std::fs::write(path.join("suzuki-phone.p12"), &p12)?;
        let roots: Vec<_> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect::<Result<_, _>>()?;
        let stage = Self { folder, running, saas, provider, roots, phone, metrics };
        stage.register(secret);
        Ok(stage)
    }

    /// Makes the gate known to the identity provider.
    fn register(&self, secret: String) {
        self.provider.register(ProviderClient {
            id: "sekisho".to_owned(),
            secret,
            redirect_uris: vec![self.login_url("/oidc/hidamari/callback")],
            post_logout_redirect_uris: vec![self.login_url("/oidc/hidamari/signed-out")],
            back_channel: Some(BackChannel {
                url: self.login_url("/oidc/hidamari/back-channel-logout"),
                server: SocketAddr::from(([127, 0, 0, 1], self.port())),
                roots: self.roots.clone(),
            }),
        });
    }

    pub(super) fn app_url(&self, path: &str) -> String {
        format!("https://hidamari.gw.localhost:{}{path}", self.port())
    }

    pub(super) fn login_url(&self, path: &str) -> String {
        format!("https://login.gw.localhost:{}{path}", self.port())
    }

    pub(super) fn port(&self) -> u16 {
        self.running.addresses.first().map_or(0, SocketAddr::port)
    }

    pub(super) fn metrics(&self) -> SocketAddr {
        self.metrics
    }

    pub(super) fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    pub(super) fn people(&self) -> &'static [Person] {
        PEOPLE
    }

    pub(super) fn phone(&self) -> &Phone {
        &self.phone
    }

    /// A browser on the facility's network.
    pub(super) fn inside(&self) -> Browser {
        self.browser([127, 0, 0, 1], false)
    }

    /// A browser anywhere else.
    pub(super) fn outside(&self) -> Browser {
        self.browser([127, 0, 0, 2], true)
    }

    fn browser(&self, from: [u8; 4], http2: bool) -> Browser {
        Browser::new(Setup {
            server: SocketAddr::from(([127, 0, 0, 1], self.port())),
            roots: self.roots.clone(),
            certificate: None,
            from: Some(from.into()),
            http2,
            language: "ja",
        })
    }

    /// What the operator says on the command line.
    pub(super) async fn command(&self, command: Command) -> anyhow::Result<Value> {
        let socket = crate::core::socket_path(&self.folder.path().join("data"));
        match tokio::task::spawn_blocking(move || control::ask(&socket, &command)).await?? {
            control::Reply::Done(value) => Ok(value),
            control::Reply::Refused(why) | control::Reply::Failed(why) => Err(anyhow!(why)),
        }
    }

    /// The record so far.
    pub(super) fn history(&self) -> audit::History {
        audit::History::new(&crate::core::audit_path(&self.folder.path().join("data")))
    }

    pub(super) async fn until_told_to_stop(self) -> anyhow::Result<()> {
        let Self { folder, running, saas, .. } = self;
        running.until_told_to_stop().await?;
        saas.shutdown().await;
        drop(folder);
        Ok(())
    }

    pub(super) async fn strike(self) -> anyhow::Result<()> {
        let Self { folder, running, saas, .. } = self;
        running.stop("tour-ended").await?;
        saas.shutdown().await;
        drop(folder);
        Ok(())
    }
}

/// The SaaS and the identity provider are somebody else: their certificates come from an authority of their own.
async fn start_third_parties(path: &Path, absolute_links: bool) -> anyhow::Result<(demo::Handle, ProviderHandle)> {
    let dir = path.join("saas-ca");
    let roots = path.join("saas-root.pem");
    let (saas, idp) = tokio::task::spawn_blocking(move || {
        let passphrase = Passphrase::random()?;
        let now = SystemClock.now();
        CertAuthority::init(
            &dir,
            &Init {
                organisation: "ひだまりケア株式会社".to_owned(),
                domain: SAAS.to_owned(),
                other_domains: Vec::new(),
                passphrase: passphrase.clone(),
                root_passphrase: Passphrase::random()?,
                export_to: dir.with_extension("age"),
                now,
            },
        )?;
        let authority = CertAuthority::open(&dir, &passphrase)?;
        std::fs::write(&roots, authority.server_root_pem())?;
        let made = authority.issue_server(&[SAAS.to_owned(), format!("assets.{SAAS}")], now, SERVER_VALIDITY)?;
        let idp = authority.issue_server(&[IDP.to_owned()], now, SERVER_VALIDITY)?;
        Ok::<_, anyhow::Error>(((made.chain_der, made.key_der), (idp.chain_der, idp.key_der)))
    })
    .await??;
    let tls = |(chain, key)| {
        let mut tls = rustls::ServerConfig::builder().with_no_client_auth().with_single_cert(chain, key)?;
        tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok::<_, rustls::Error>(tls)
    };
    let accounts = PEOPLE.iter().map(|person| ProviderAccount {
        login: person.id.to_owned(),
        password: person.password.to_owned(),
        subject: format!("hidamari-{}", person.id),
        name: person.name.to_owned(),
        mail: Some(format!("{}@{MAIL}", person.id)),
        mail_verified: true,
        roles: person.groups.iter().map(|group| (*group).to_owned()).collect(),
        amr: vec!["pwd".to_owned()],
    });
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let options = ProviderOptions { host: IDP.to_owned(), accounts: accounts.collect(), claims_in_token: true };
    let provider = serve_provider(listener, tls(idp)?, options)?;
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let options = demo::Options {
        host: SAAS.to_owned(),
        links: if absolute_links { demo::Links::Absolute } else { demo::Links::HostRelative },
        ..demo::Options::default()
    };
    Ok((demo::serve(listener, tls(saas)?, options)?, provider))
}

/// The wished-for port, or one that the system picks.
async fn free_port(wished: u16) -> anyhow::Result<u16> {
    let listener = match TcpListener::bind(("127.0.0.1", wished)).await {
        Ok(listener) => listener,
        Err(_) => TcpListener::bind(("127.0.0.1", 0)).await?,
    };
    Ok(listener.local_addr()?.port())
}

fn configuration(port: u16, metrics: SocketAddr, saas: u16, issuer: &str) -> String {
    format!(
        r#"# The demo's configuration: a facility, two ways to sign in, a SaaS of two hosts, and three rules.
gateway:
  domain: gw.localhost
  time_zone: Asia/Tokyo
  listen: ["127.0.0.1:{port}"]
  data: data
  metrics_listen: "{metrics}"
  limits: {{ max_connections: 500, per_source_connections: 500 }}

networks:
  facility:
    cidrs: [127.0.0.1/32]

identity:
  providers:
    - {{ id: staff, kind: directory }}
    - id: hidamari
      kind: oidc
      name: ひだまり認証
      issuer: {issuer}
      issuer_ca: saas-root.pem
      client_id: sekisho
      client_secret_file: provider.secret
      domains: [{MAIL}]

apps:
  - id: hidamari
    recipe: demo
    upstream: https://{SAAS}:{saas}
    upstream_ca: saas-root.pem
    hosts:
      - {{ name: assets, upstream: "https://assets.{SAAS}:{saas}", static: true }}
    actions:
      - {{ path: "/notices/ws", action: view }}

policy:
  - name: in the facility
    apps: [hidamari]
    who: {{ groups: [staff] }}
    from: {{ networks: [facility] }}
    allow: [view, edit, upload, download, login, delete]
  - name: visiting nurses
    apps: [hidamari]
    who: {{ groups: [visiting-nurses] }}
    from: {{ device: enrolled }}
    allow: [view, edit, login]
  - name: nobody deletes outside
    from: {{ not: {{ networks: [facility] }} }}
    deny: [delete]

ca:
  passphrase_file: passphrase
"#
    )
}

fn make_authority(path: &Path, settings: &config::Settings) -> anyhow::Result<()> {
    crate::core::create_private(&settings.gateway.data)?;
    CertAuthority::init(
        &crate::core::authority_path(&settings.gateway.data),
        &Init {
            organisation: "さくら会".to_owned(),
            domain: settings.gateway.domain.clone(),
            other_domains: Vec::new(),
            passphrase: Passphrase::from_file(&path.join("passphrase"))?,
            root_passphrase: Passphrase::random()?,
            export_to: path.join("offline-root.age"),
            now: SystemClock.now(),
        },
    )?;
    Ok(())
}

/// The roster and the nurse's phone, made as an operator would make them.
async fn populate(core: &Arc<crate::core::Core>) -> anyhow::Result<(String, Phone, Vec<u8>)> {
    let actor = Actor { who: "demo".to_owned(), channel: "demo" };
    let run = async |command| {
        control::execute(core, &actor, command).await.map_err(|refused| match refused {
            Refused::No(why) => anyhow!(why),
            Refused::Failed(error) => error,
        })
    };
    for person in PEOPLE {
        run(Command::StaffAdd(NewPerson {
            id: person.id.parse()?,
            name: person.name.to_owned(),
            kana: None,
            mail: Some(format!("{}@{MAIL}", person.id)),
            facility: Some("さくらの家".to_owned()),
            groups: person.groups.iter().map(|g| g.parse()).collect::<Result<_, _>>()?,
            first_day: None,
            last_day: None,
            password: Some(person.password.to_owned()),
        }))
        .await?;
    }
    let issue = Command::DeviceIssue(NewDevice {
        kind: DeviceKind::Lent,
        owner: Some("suzuki".parse()?),
        groups: Vec::new(),
        name: "訪問用iPhone".to_owned(),
        os: Some(Os::Ios),
        aes: false,
        csr: None,
    });
    let issued = run(issue).await?;
    let p12 = control::bytes_from_json(&issued["p12"]).context("no certificate came back")?;
    let password = issued["password"].as_str().unwrap_or_default().to_owned();
    let certificate = Certificate::from_p12(&p12, &password)?;
    let id = issued["device"]["id"].as_str().unwrap_or_default().to_owned();
    let roots = core.authority.as_ref().context("no authority")?.server_root_pem();
    Ok((roots, Phone { id, password, certificate }, p12))
}
