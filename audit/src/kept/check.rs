//! `audit.checkpoints`, from what is written to what it means.

use std::collections::HashSet;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use url::Url;
use vocabulary::{DocumentError, PathStep, Span};

use super::document::{CheckpointsDocument, KeptDocument, KeptKind, MailSecurity};
use super::secret::SecretSource;
use super::settings::{HiddenUrl, How, Mail, ServerRoots, Settings, Target, TimestampAuthority, Webhook, Witness};
use super::witness::CosignerKey;

const MINUTE: Duration = Duration::from_secs(60);
const EVERY: std::ops::RangeInclusive<Duration> = MINUTE..=Duration::from_secs(7 * 86_400);
const TIMEOUT: std::ops::RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(300);
const LONGEST_ID: usize = 40;

impl CheckpointsDocument {
    /// Checks and fills in. Files are not read; relative paths are as written.
    ///
    /// # Errors
    /// Everything that is wrong, with paths from the whole configuration's root (`audit.checkpoints.kept[0].url`).
    pub fn resolve(&self) -> Result<Settings, Vec<DocumentError>> {
        let mut errors = Vec::new();
        if !EVERY.contains(&self.every.0) {
            let path = ["audit".into(), "checkpoints".into(), "every".into()];
            errors.push(DocumentError::new(path, self.every.to_string(), "must lie between 1m and 7d"));
        }
        let mut ids = HashSet::new();
        let targets = self.kept.iter().enumerate().filter_map(|(index, written)| {
            let mut entry = Entry { written, index, errors: &mut errors };
            if !ids.insert(&written.id) {
                entry.wrong("id", &written.id, "is there twice");
            }
            entry.resolve()
        });
        let targets = targets.collect();
        if errors.is_empty() { Ok(Settings { every: self.every.0, targets }) } else { Err(errors) }
    }
}

/// One entry while it is checked.
struct Entry<'a> {
    written: &'a KeptDocument,
    index: usize,
    errors: &'a mut Vec<DocumentError>,
}

impl Entry<'_> {
    fn resolve(&mut self) -> Option<Target> {
        let written = self.written;
        let letters = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        if written.id.is_empty() || written.id.len() > LONGEST_ID || !written.id.bytes().all(letters) {
            self.wrong("id", &written.id, "must be 1 to 40 of a-z, 0-9 and `-`");
        }
        let timeout = written.timeout.unwrap_or(Span::secs(30));
        if !TIMEOUT.contains(&timeout.0) {
            self.wrong("timeout", &timeout.to_string(), "must lie between 1s and 5m");
        }
        self.nothing_else();
        let how = match written.kind {
            KeptKind::Mail => self.mail().map(How::Mail),
            KeptKind::Webhook => self.webhook().map(How::Webhook),
            KeptKind::File => self.needed("folder", written.folder.as_ref(), "name a folder").cloned().map(How::File),
            KeptKind::Timestamp => self.timestamp().map(How::Timestamp),
            KeptKind::Witness => self.witness().map(How::Witness),
        };
        Some(Target { id: written.id.clone(), timeout: timeout.0, how: how? })
    }

    /// Keys that another kind has.
    fn nothing_else(&mut self) {
        use KeptKind::{File, Mail, Timestamp, Webhook, Witness};
        let w = self.written;
        let keys: [(&str, bool, &[KeptKind]); 13] = [
            ("url", w.url.is_some(), &[Webhook, Timestamp, Witness]),
            ("server_ca", w.server_ca.is_some(), &[Mail, Webhook, Timestamp, Witness]),
            ("server", w.server.is_some(), &[Mail]),
            ("security", w.security.is_some(), &[Mail]),
            ("from", w.from.is_some(), &[Mail]),
            ("to", !w.to.is_empty(), &[Mail]),
            ("user", w.user.is_some(), &[Mail]),
            ("password_file", w.password_file.is_some(), &[Mail]),
            ("secret_file", w.secret_file.is_some(), &[Webhook]),
            ("credential", w.credential.is_some(), &[Mail, Webhook]),
            ("folder", w.folder.is_some(), &[File]),
            ("timestamp_ca", w.timestamp_ca.is_some(), &[Timestamp]),
            ("key", w.key.is_some(), &[Witness]),
        ];
        for (key, _, kinds) in keys.into_iter().filter(|(_, there, kinds)| *there && !kinds.contains(&w.kind)) {
            let kinds: Vec<_> = kinds.iter().map(|kind| format!("`{}`", kind.as_str())).collect();
            self.wrong(key, "", &format!("belongs to the kind {}; leave it out here", kinds.join(", ")));
        }
    }

    fn mail(&mut self) -> Option<Mail> {
        let w = self.written;
        let security = w.security.unwrap_or_default();
        let server = self.needed("server", w.server.as_ref(), "write host and port, such as smtp.example.jp:587");
        let parts = server.and_then(|text| {
            let parts = text.rsplit_once(':').and_then(|(host, port)| Some((host, port.parse::<u16>().ok()?)));
            let parts = parts.filter(|(host, port)| *port != 0 && is_host(host));
            if parts.is_none() {
                self.wrong("server", text, "is not a host with a port; write one such as smtp.example.jp:587");
            }
            parts
        });
        if security == MailSecurity::None
            && let Some((host, _)) = parts
            && !is_loopback(host)
        {
            self.wrong("security", "none", "is for a server on this machine alone; use starttls or tls");
        }
        let from = self.needed("from", w.from.as_ref(), "write the sender's address");
        if let Some(from) = from.filter(|from| !is_address(from)) {
            self.wrong("from", from, "is not a mail address; write one such as sekisho@example.jp");
        }
        if w.to.is_empty() {
            self.wrong("to", "", "is missing; write the addresses of those who keep it");
        }
        for (index, to) in w.to.iter().enumerate().filter(|(_, to)| !is_address(to)) {
            let path = self.path("to").into_iter().chain([index.into()]);
            let problem = "is not a mail address; write one such as audit@example.jp";
            self.errors.push(DocumentError::new(path, to, problem));
        }
        let password = self.secret("password_file", w.password_file.as_ref());
        let account = match (&w.user, password) {
            (Some(user), Some(password)) => Some((user.clone(), password)),
            (Some(_), None) => {
                self.wrong("password_file", "", "is missing: `user` needs the file or `credential` of a password");
                None
            }
            (None, Some(_)) => {
                self.wrong("user", "", "is missing: a password is for somebody");
                None
            }
            (None, None) => None,
        };
        let (host, port) = parts?;
        Some(Mail {
            host: host.to_owned(),
            port,
            security,
            from: from?.clone(),
            to: w.to.clone(),
            account,
            server: self.server_roots(),
        })
    }

    fn webhook(&mut self) -> Option<Webhook> {
        let url = self.url(false);
        let secret = self.secret("secret_file", self.written.secret_file.as_ref());
        Some(Webhook { url: url?, secret, server: self.server_roots() })
    }

    fn timestamp(&mut self) -> Option<TimestampAuthority> {
        let url = self.url(true);
        let problem = "name a PEM file of the roots that vouch for the authority";
        let timestamp_ca = self.needed("timestamp_ca", self.written.timestamp_ca.as_ref(), problem).cloned();
        let server = self.server_roots();
        Some(TimestampAuthority { url: url?, timestamp_ca: timestamp_ca?, roots: Vec::new(), server })
    }

    fn witness(&mut self) -> Option<Witness> {
        let url = self.url(false);
        let text = self.needed("key", self.written.key.as_ref(), "write the verifier key that the witness publishes");
        let key = text.and_then(|text| {
            let key: Result<CosignerKey, _> = text.parse();
            key.map_err(|problem| self.wrong("key", text, &format!("can't be used: {problem}"))).ok()
        });
        Some(Witness { url: url?, key: key?, server: self.server_roots() })
    }

    /// Of what stands in it nothing is repeated: the path may be what keeps others out.
    fn url(&mut self, plain: bool) -> Option<HiddenUrl> {
        let text = self.needed("url", self.written.url.as_ref(), "write where to send it")?;
        let url = Url::parse(text).ok().filter(Url::has_host);
        let problem = match &url {
            None => "is not an address; write one such as https://audit.example.jp/checkpoints",
            Some(url) if !matches!(url.scheme(), "https" | "http") => "must begin with https://",
            Some(url) if !url.username().is_empty() || url.password().is_some() => "may not hold a user or password",
            Some(url) if url.fragment().is_some() => "may not hold a `#`",
            Some(url) if url.query().is_some() && self.written.kind == KeptKind::Witness => "may not hold a `?`",
            Some(url) if url.scheme() == "http" && !plain && !is_loopback(url.host_str().unwrap_or_default()) => {
                "must begin with https://; http:// is for this machine alone"
            }
            Some(_) => return url.map(HiddenUrl),
        };
        self.wrong("url", "", problem);
        None
    }

    fn secret(&mut self, key: &str, file: Option<&PathBuf>) -> Option<SecretSource> {
        match (file, &self.written.credential) {
            (Some(_), Some(_)) => {
                self.wrong("credential", "", &format!("excludes `{key}`: keep one of the two"));
                None
            }
            (Some(file), None) => Some(SecretSource::File(file.clone())),
            (None, Some(name)) if name.is_empty() || name.starts_with('.') || name.contains('/') => {
                let problem = "is not a credential's name: it may not be empty, begin with `.` or hold `/`";
                self.wrong("credential", "", problem);
                None
            }
            (None, Some(name)) => Some(SecretSource::Credential(name.clone())),
            (None, None) => None,
        }
    }

    fn server_roots(&self) -> ServerRoots {
        ServerRoots { file: self.written.server_ca.clone(), roots: Vec::new() }
    }

    fn needed<'t, T>(&mut self, key: &str, value: Option<&'t T>, what_to_do: &str) -> Option<&'t T> {
        if value.is_none() {
            self.wrong(key, "", &format!("is missing; {what_to_do}"));
        }
        value
    }

    fn path(&self, key: &str) -> Vec<PathStep> {
        vec!["audit".into(), "checkpoints".into(), "kept".into(), self.index.into(), key.into()]
    }

    fn wrong(&mut self, key: &str, value: &str, problem: &str) {
        let path = self.path(key);
        self.errors.push(DocumentError::new(path, value, problem));
    }
}

fn is_host(host: &str) -> bool {
    let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    match bare {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => {
            let letters = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.');
            !host.is_empty() && host.len() <= 253 && host.bytes().all(letters)
        }
    }
}

/// Whether who is asked by this name is on this machine. A name that leads elsewhere in spite of RFC 6761 is not
/// connected to: see the proxy.
fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    bare == "localhost" || bare.ends_with(".localhost") || bare.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// A bare address (RFC 5321, 4.1.2), without quoted forms and without a name before it.
fn is_address(text: &str) -> bool {
    let word = |part: &str| {
        let good = |c: char| c.is_ascii_graphic() && !"()<>[]:;@\\,\"".contains(c);
        !part.is_empty() && part.len() <= 253 && part.chars().all(good)
    };
    text.split_once('@').is_some_and(|(local, domain)| word(local) && word(domain) && is_host(domain))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(json: serde_json::Value) -> Result<Settings, Vec<String>> {
        let document: CheckpointsDocument = serde_json::from_value(json).unwrap();
        let told = |errors: Vec<DocumentError>| {
            let told = errors.iter().map(|e| format!("{}: {}", vocabulary::DisplayPath(&e.path), e.problem));
            told.collect()
        };
        document.resolve().map_err(told)
    }

    #[test]
    fn defaults_are_filled_in_and_each_kind_reads() {
        assert_eq!(resolve(serde_json::json!({})), Ok(Settings { every: Duration::from_secs(3600), targets: vec![] }));
        let settings = resolve(serde_json::json!({
            "every": "10m",
            "kept": [
                { "id": "m", "kind": "mail", "server": "[::1]:25", "security": "none", "from": "a@example.jp", "to": ["b@example.jp"] },
                { "id": "h", "kind": "webhook", "url": "http://127.0.0.1:9/hook?token=hunter2", "credential": "hook" },
                { "id": "f", "kind": "file", "folder": "worm", "timeout": "5s" },
                { "id": "t", "kind": "timestamp", "url": "http://tsa.example.jp", "timestamp_ca": "tsa.pem" },
            ],
        }));
        let settings = settings.unwrap();
        let kinds: Vec<_> = settings.targets.iter().map(|target| target.kind().as_str()).collect();
        assert_eq!(kinds, ["mail", "webhook", "file", "timestamp"]);
        let timeouts: Vec<_> = settings.targets.iter().map(|target| target.timeout.as_secs()).collect();
        assert_eq!(timeouts, [30, 30, 5, 30]);
        let How::Mail(mail) = &settings.targets[0].how else { panic!() };
        assert_eq!((mail.host.as_str(), mail.port, mail.security), ("[::1]", 25, MailSecurity::None));
        let How::Webhook(webhook) = &settings.targets[1].how else { panic!() };
        assert_eq!(webhook.url.danger_expose(), "http://127.0.0.1:9/hook?token=hunter2");
        let shown = format!("{settings:?}");
        assert!(shown.contains("127.0.0.1#") && !shown.contains("hunter2"), "{shown}");
    }

    #[test]
    fn mail_without_protection_and_addresses_of_the_wrong_form_are_refused() {
        let mail = |security: &str, server: &str, from: &str| {
            let entry = serde_json::json!({
                "id": "m", "kind": "mail", "server": server, "security": security, "from": from, "to": ["a@b.example"],
            });
            resolve(serde_json::json!({ "kept": [entry] })).map(drop)
        };
        assert_eq!(mail("none", "localhost:25", "a@b.example"), Ok(()));
        assert_eq!(mail("tls", "smtp.example.jp:465", "a@b.example"), Ok(()));
        for (security, server, from, key) in [
            ("none", "smtp.example.jp:25", "a@b.example", "security"),
            ("none", "127.0.0.1.example.jp:25", "a@b.example", "security"),
            ("tls", "smtp.example.jp", "a@b.example", "server"),
            ("tls", "smtp.example.jp:0", "a@b.example", "server"),
            ("tls", "smtp.example.jp:465", "a b@c.example", "from"),
            ("tls", "smtp.example.jp:465", "a@b.example\r\nBcc: c@d.example", "from"),
        ] {
            let refused = mail(security, server, from).unwrap_err();
            assert!(refused[0].starts_with(&format!("audit.checkpoints.kept[0].{key}:")), "{refused:?}");
        }
    }
}
