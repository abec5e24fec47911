//! An identity provider beside the gate, and signing in through it.

use std::sync::Arc;

use demo::client::{Browser, Response};
use demo::provider::{
    BackChannel, Mischief, ProviderAccount, ProviderClient, ProviderHandle, ProviderOptions, serve_provider,
};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use tempfile::TempDir;

use super::gate::GateBuilder;
use super::{Gate, certificate};

pub(crate) const IDP_HOST: &str = "idp.localhost";
const SECRET: &str = "shared-by-the-gate-and-its-provider/+%";
/// What everybody at the provider types.
pub(crate) const IDP_PASSWORD: &str = "kaki-no-tane";

/// A provider with a certificate of its own authority, and the files by which a gate knows it.
pub(crate) struct Sso {
    pub(crate) provider: ProviderHandle,
    root_pem: String,
    folder: TempDir,
}

/// An account whose mail address is `<login>@sakura-kai.example`, verified.
pub(crate) fn account(login: &str, roles: &[&str]) -> ProviderAccount {
    ProviderAccount {
        login: login.to_owned(),
        password: IDP_PASSWORD.to_owned(),
        subject: format!("subject-of-{login}"),
        name: login.to_owned(),
        mail: Some(format!("{login}@sakura-kai.example")),
        mail_verified: true,
        roles: roles.iter().map(|r| (*r).to_owned()).collect(),
        amr: vec!["pwd".to_owned()],
    }
}

impl Sso {
    pub(crate) async fn start(accounts: Vec<ProviderAccount>) -> Self {
        Self::start_with(accounts, true).await
    }

    /// `claims_in_token`: else mail and roles are in the user info only.
    pub(crate) async fn start_with(accounts: Vec<ProviderAccount>, claims_in_token: bool) -> Self {
        let folder = tempfile::Builder::new().prefix("sekisho-idp-").tempdir().unwrap();
        let (root_pem, chain, key) = certificate(&[IDP_HOST]);
        std::fs::write(folder.path().join("root.pem"), &root_pem).unwrap();
        std::fs::write(folder.path().join("secret"), format!("{SECRET}\n")).unwrap();
        let tls = rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .unwrap();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let options = ProviderOptions { host: IDP_HOST.to_owned(), accounts, claims_in_token };
        Self { provider: serve_provider(listener, tls, options).unwrap(), root_pem, folder }
    }

    /// The provider's entry in the list; `more`: further keys, in flow style.
    pub(crate) fn entry(&self, more: &str) -> String {
        let path = self.folder.path().display();
        format!(
            "    - {{ id: idp, kind: oidc, name: ひだまり認証, issuer: \"{}\", client_id: sekisho, \
             client_secret_file: {path}/secret, issuer_ca: {path}/root.pem, domains: [Sakura-Kai.example]{more} }}\n",
            self.provider.issuer()
        )
    }

    /// A gate that trusts this provider and, with `directory`, passwords of its own.
    pub(crate) async fn gate(&self, builder: GateBuilder, more: &str, directory: bool) -> Gate {
        let directory = if directory { "    - { id: staff, kind: directory }\n" } else { "" };
        let gate = builder.more(&format!("identity:\n  providers:\n{}{directory}", self.entry(more))).start().await;
        self.register(&gate);
        gate
    }

    /// Makes the gate known to the provider.
    pub(crate) fn register(&self, gate: &Gate) {
        self.register_as(gate, "idp");
    }

    /// The same for an entry with another id.
    pub(crate) fn register_as(&self, gate: &Gate, id: &str) {
        self.provider.register(ProviderClient {
            id: "sekisho".to_owned(),
            secret: SECRET.to_owned(),
            redirect_uris: vec![gate.login_url(&format!("/oidc/{id}/callback"))],
            post_logout_redirect_uris: vec![gate.login_url(&format!("/oidc/{id}/signed-out"))],
            back_channel: Some(BackChannel {
                url: gate.login_url(&format!("/oidc/{id}/back-channel-logout")),
                server: ([127, 0, 0, 1], gate.port).into(),
                roots: gate.roots.clone(),
            }),
        });
    }

    /// A browser that reaches both, in the facility.
    pub(crate) fn browser(&self, gate: &Gate) -> Browser {
        self.equip(gate.setup(super::HOME))
    }

    pub(crate) fn equip(&self, mut setup: demo::client::Setup) -> Browser {
        setup.roots.extend(CertificateDer::pem_slice_iter(self.root_pem.as_bytes()).map(Result::unwrap));
        let mut browser = Browser::new(setup);
        browser.find_at(IDP_HOST, self.provider.addr());
        browser
    }

    pub(crate) fn misbehave(&self, mischief: impl Into<Option<Mischief>>) {
        self.provider.misbehave(mischief);
    }

    /// From an address behind the gate to wherever signing in at the provider leads.
    pub(crate) async fn sign_in(&self, browser: &mut Browser, url: &str, login: &str) -> Response {
        let mut page = browser.open(url).await.unwrap();
        if !page.url.starts_with(self.provider.issuer()) {
            let start = start_link(&page).unwrap_or_else(|| panic!("no way to the provider: {}", page.text()));
            let base = page.url.split("/?").next().unwrap().trim_end_matches('/').to_owned();
            page = browser.open(&format!("{base}{start}")).await.unwrap();
        }
        if !page.url.starts_with(self.provider.issuer()) {
            return page;
        }
        super::fill_in(browser, &page, &[("login_id", login), ("password", IDP_PASSWORD)]).await
    }
}

/// Where a page offers to sign in at the provider.
pub(crate) fn start_link(page: &Response) -> Option<String> {
    let text = page.text();
    let (_, rest) = text.split_once("href=\"/oidc/idp/start")?;
    let (rest, _) = rest.split_once('"')?;
    Some(format!("/oidc/idp/start{rest}"))
}

impl Gate {
    /// What was recorded of sign-ins, oldest first: result, cause, person, provider.
    pub(crate) fn sign_ins(&self) -> Vec<audit::SignIn> {
        let entries = self.entries(&["sign-in"]);
        let sign_in = |entry: audit::Entry| match entry.record {
            audit::Record::SignIn(sign_in) => Some(*sign_in),
            _ => None,
        };
        entries.filter_map(sign_in).collect()
    }

    /// The causes for which sessions ended, oldest first.
    pub(crate) fn sign_outs(&self) -> Vec<String> {
        let entries = self.entries(&["sign-out"]);
        let cause = |entry: audit::Entry| match entry.record {
            audit::Record::SignOut(sign_out) => Some(sign_out.cause),
            _ => None,
        };
        entries.filter_map(cause).collect()
    }

    /// Somebody of the roster with this mail address, without a password of ours that anybody knows.
    pub(crate) fn add_colleague(&self, id: &str, groups: &[&str], mail: &str) {
        let mut arguments = vec!["staff", "add", id, "--name", id, "--mail", mail];
        for group in groups {
            arguments.extend(["--group", group]);
        }
        let output = self.cli(&arguments);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}
