//! How a page of ours is sent: status, headers, body. What it says is elsewhere.

use std::fmt;
use std::sync::LazyLock;

use data_encoding::BASE64;
use ring::digest::{SHA256, digest};

use crate::Lang;

/// The one style sheet; it stands in every page.
pub(crate) const STYLE: &str = include_str!("../templates/style.css");

/// Goes on to the address of the page's button with the fragment that this page's own address has. Servers never see
/// fragments, and a page that leads on loses them.
pub(crate) const OPENING_SCRIPT: &str = "location.replace(document.querySelector('a.button').href+location.hash)";

/// An answer of ours. For HEAD the body is left out when it is sent.
#[derive(Clone, PartialEq, Eq)]
pub struct Page {
    pub status: u16,
    /// In the order to be sent; `set-cookie` may stand there several times. `content-length` is not among them.
    pub headers: Vec<(&'static str, String)>,
    pub body: String,
}

/// Shows neither cookies nor addresses nor the body: they may hold tokens.
impl fmt::Debug for Page {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.headers.iter().map(|(name, _)| *name).collect();
        f.debug_struct("Page").field("status", &self.status).field("headers", &names).finish_non_exhaustive()
    }
}

impl Page {
    /// A page for people. Nothing may be loaded, run or framed; forms lead to the same host only.
    pub(crate) fn html(status: u16, lang: Lang, body: String) -> Self {
        let mut page = Self::bare(status, body);
        page.headers.extend([
            ("content-type", "text/html; charset=utf-8".to_owned()),
            ("content-language", lang.tag().to_owned()),
            ("vary", "accept-language".to_owned()),
            ("content-security-policy", CONTENT_SECURITY_POLICY.clone()),
            ("cross-origin-opener-policy", "same-origin".to_owned()),
        ]);
        page
    }

    /// The same for a page that loads our own script and lets it ask the same host.
    #[must_use]
    pub(crate) fn with_script(self) -> Self {
        self.with_policy(|policy| format!("{policy}; script-src 'self'; connect-src 'self'"))
    }

    /// The same for a script that asks nothing.
    #[must_use]
    pub(crate) fn with_quiet_script(self) -> Self {
        self.with_policy(|policy| format!("{policy}; script-src 'self'"))
    }

    /// Allows the one script of ours that keeps the fragment of an address.
    #[must_use]
    pub(crate) fn with_opening_script(self) -> Self {
        let hash = BASE64.encode(digest(&SHA256, OPENING_SCRIPT.as_bytes()).as_ref());
        self.with_policy(|policy| format!("{policy}; script-src 'sha256-{hash}'"))
    }

    /// Lets forms lead anywhere.
    #[must_use]
    pub(crate) fn with_forms_anywhere(self) -> Self {
        self.with_policy(|policy| policy.replace("form-action 'self'", "form-action https:"))
    }

    /// Tells the next page nothing of where it was come from: this one's address holds a ticket, if a spent one. Only
    /// for pages without forms; see [`Self::bare`].
    #[must_use]
    pub(crate) fn without_referrer(mut self) -> Self {
        for (_, value) in self.headers.iter_mut().filter(|(name, _)| *name == "referrer-policy") {
            "no-referrer".clone_into(value);
        }
        self
    }

    fn with_policy(mut self, change: impl Fn(&str) -> String) -> Self {
        for (_, value) in self.headers.iter_mut().filter(|(name, _)| *name == "content-security-policy") {
            *value = change(value);
        }
        self
    }

    /// A script of ours. `keep`: it was asked for by its hash, so what is kept can't be out of date.
    pub(crate) fn script(body: String, keep: bool) -> Self {
        let mut page = Self::bare(200, body);
        page.headers.push(("content-type", "text/javascript; charset=utf-8".to_owned()));
        page.headers.push(("cross-origin-resource-policy", "same-origin".to_owned()));
        if keep {
            for (name, value) in &mut page.headers {
                if *name == "cache-control" {
                    "public, max-age=31536000, immutable".clone_into(value);
                }
            }
        }
        page
    }

    /// Makes the browser forget what its host left there; `kinds` as Clear-Site-Data writes them.
    #[must_use]
    pub fn clearing(self, kinds: &'static str) -> Self {
        self.with_header("clear-site-data", kinds.to_owned())
    }

    /// An answer for a script.
    pub(crate) fn json(status: u16, body: String) -> Self {
        let mut page = Self::bare(status, body);
        page.headers.extend([
            ("content-type", "application/json".to_owned()),
            ("vary", "accept-language".to_owned()),
            ("content-security-policy", "default-src 'none'; frame-ancestors 'none'".to_owned()),
        ]);
        page
    }

    /// Leads the browser elsewhere with a GET (303), setting the cookies (values of `Set-Cookie`) on the way.
    pub fn redirect(location: String, cookies: impl IntoIterator<Item = String>) -> Self {
        let mut page = Self::bare(303, String::new()).with_cookies(cookies);
        page.headers.push(("location", location));
        page
    }

    /// The same with cookies, given as values of `Set-Cookie`.
    #[must_use]
    pub fn with_cookies(mut self, cookies: impl IntoIterator<Item = String>) -> Self {
        self.headers.extend(cookies.into_iter().map(|value| ("set-cookie", value)));
        self
    }

    #[must_use]
    pub(crate) fn with_header(mut self, name: &'static str, value: String) -> Self {
        self.headers.push((name, value));
        self
    }

    /// The first header of this name, in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| *n == name).map(|(_, value)| value.as_str())
    }

    fn bare(status: u16, body: String) -> Self {
        let headers = vec![
            ("cache-control", "no-store".to_owned()),
            // Not `no-referrer`: browsers would then send `Origin: null` with our own forms (Fetch, 3.1).
            ("referrer-policy", "same-origin".to_owned()),
            ("x-content-type-options", "nosniff".to_owned()),
            ("x-frame-options", "DENY".to_owned()),
        ];
        Self { status, headers, body }
    }
}

/// The style sheet is allowed by its hash, the icon as `data:`, and nothing else.
static CONTENT_SECURITY_POLICY: LazyLock<String> = LazyLock::new(|| {
    format!(
        "default-src 'none'; style-src 'sha256-{}'; img-src data:; form-action 'self'; base-uri 'none'; \
         frame-ancestors 'none'",
        BASE64.encode(digest(&SHA256, STYLE.as_bytes()).as_ref())
    )
});
