//! Who may sign in to the SaaS, and their sessions.
//!
//! The passwords stand here in the open: they open nothing but invented records.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::Form;
use axum::extract::{FromRequestParts, OptionalFromRequestParts, Query, State};
use axum::response::{IntoResponse, Response};
use http::request::Parts;
use http::{HeaderMap, StatusCode, header};
use ring::rand::{SecureRandom, SystemRandom};
use serde::Deserialize;

use crate::pages::{self, Login, Page};
use crate::state::App;

const COOKIE: &str = "hidamari_session";
/// A preference, readable by both hosts of the SaaS: it carries a `Domain`, as such cookies do.
const SIZE_COOKIE: &str = "hidamari_text";
const IDLE: Duration = Duration::from_secs(8 * 3600);
const SESSIONS: usize = 10_000;

/// What an account may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// 管理者: everything.
    Manager,
    /// 職員: everything but deleting residents.
    Staff,
}

/// An account of the SaaS.
pub struct Account {
    pub login_id: &'static str,
    pub password: &'static str,
    pub name: &'static str,
    pub role: Role,
    /// Used by several people, as facilities do.
    pub shared: bool,
}

/// Every account there is.
pub const ACCOUNTS: &[Account] = &[
    account("sato", "Himawari-2026", "佐藤 美咲", Role::Manager),
    account("suzuki", "Asagao-2026", "鈴木 大輔", Role::Staff),
    account("tanaka", "Sakura-2026", "田中 由美", Role::Staff),
    Account {
        login_id: "sakura-kyoyo",
        password: "Hidamari-1234",
        name: "さくらの家（共用）",
        role: Role::Staff,
        shared: true,
    },
];

const fn account(login_id: &'static str, password: &'static str, name: &'static str, role: Role) -> Account {
    Account { login_id, password, name, role, shared: false }
}

impl Account {
    pub(crate) fn role_name(&self) -> &'static str {
        match (self.shared, self.role) {
            (true, _) => "共用アカウント",
            (_, Role::Manager) => "施設管理者",
            (_, Role::Staff) => "職員",
        }
    }

    pub(crate) fn may_delete(&self) -> bool {
        self.role == Role::Manager
    }
}

impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Account").field("login_id", &self.login_id).field("role", &self.role).finish_non_exhaustive()
    }
}

#[derive(Default)]
pub(crate) struct Sessions(Mutex<HashMap<String, Session>>);

struct Session {
    account: &'static Account,
    last_used: Instant,
}

impl Sessions {
    /// `None` if the system gives no random numbers.
    fn begin(&self, account: &'static Account) -> Option<String> {
        let mut random = [0u8; 32];
        SystemRandom::new().fill(&mut random).ok()?;
        let token = crate::files::hex(&random);
        let mut sessions = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if sessions.len() >= SESSIONS {
            sessions.retain(|_, session| session.last_used.elapsed() < IDLE);
        }
        if sessions.len() >= SESSIONS {
            let oldest =
                sessions.iter().min_by_key(|(_, session)| session.last_used).map(|(token, _)| token.clone())?;
            sessions.remove(&oldest);
        }
        sessions.insert(token.clone(), Session { account, last_used: Instant::now() });
        Some(token)
    }

    fn find(&self, token: &str) -> Option<&'static Account> {
        let mut sessions = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let session = sessions.get_mut(token)?;
        if session.last_used.elapsed() >= IDLE {
            sessions.remove(token);
            return None;
        }
        session.last_used = Instant::now();
        Some(session.account)
    }

    fn end(&self, token: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(token);
    }
}

impl fmt::Debug for Sessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sessions(…)")
    }
}

fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let crumbs = headers.get_all(header::COOKIE).into_iter().filter_map(|value| value.to_str().ok());
    crumbs
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(key, _)| *key == name)
        .map(|(_, value)| value)
}

/// The account a request belongs to. A page without one goes to the login, a fetch gets 401.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SignedIn(pub(crate) &'static Account);

impl FromRequestParts<Arc<App>> for SignedIn {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Response> {
        if let Some(account) = cookie(&parts.headers, COOKIE).and_then(|token| app.sessions.find(token)) {
            return Ok(Self(account));
        }
        let accept = parts.headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
        if accept.contains("text/html") || accept == "*/*" && !parts.uri.path().starts_with("/api/") {
            let target = parts.uri.path_and_query().map_or("/", |path| path.as_str());
            let to = format!("/login?next={}", pages::query_escape(target));
            return Err(pages::see_other(&app.site, &to));
        }
        Err((StatusCode::UNAUTHORIZED, axum::Json(serde_json::json!({ "error": "ログインしてください" })))
            .into_response())
    }
}

impl OptionalFromRequestParts<Arc<App>> for SignedIn {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Option<Self>, Self::Rejection> {
        Ok(cookie(&parts.headers, COOKIE).and_then(|token| app.sessions.find(token)).map(Self))
    }
}

#[derive(Deserialize)]
pub(crate) struct Next {
    #[serde(default)]
    next: String,
}

pub(crate) async fn form(
    State(app): State<Arc<App>>,
    signed_in: Option<SignedIn>,
    Query(Next { next }): Query<Next>,
) -> Response {
    if signed_in.is_some() {
        return pages::see_other(&app.site, inside(&next));
    }
    pages::show(
        StatusCode::OK,
        &Login { page: Page::new(&app, None, "ログイン", ""), next, login_id: "", wrong: false },
    )
}

#[derive(Deserialize)]
pub(crate) struct Credentials {
    login_id: String,
    password: String,
    #[serde(default)]
    next: String,
}

pub(crate) async fn sign_in(State(app): State<Arc<App>>, Form(form): Form<Credentials>) -> Response {
    let login_id = form.login_id.trim();
    let known = ACCOUNTS.iter().find(|account| account.login_id == login_id && account.password == form.password);
    let Some(token) = known.and_then(|account| app.sessions.begin(account)) else {
        let page = Page::new(&app, None, "ログイン", "");
        return pages::show(StatusCode::UNAUTHORIZED, &Login { page, next: form.next, login_id, wrong: true });
    };
    let mut response = pages::see_other(&app.site, inside(&form.next));
    let cookies = [
        format!("{COOKIE}={token}; Path=/; Secure; HttpOnly; SameSite=Lax"),
        format!("{SIZE_COOKIE}=medium; Domain={}; Path=/; Secure; SameSite=Lax; Max-Age=31536000", app.site.host),
    ];
    for cookie in cookies.iter().filter_map(|cookie| cookie.parse().ok()) {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    response
}

pub(crate) async fn sign_out(State(app): State<Arc<App>>, headers: HeaderMap) -> Response {
    if let Some(token) = cookie(&headers, COOKIE) {
        app.sessions.end(token);
    }
    let mut response = pages::see_other(&app.site, "/login");
    if let Ok(gone) = format!("{COOKIE}=; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=0").parse() {
        response.headers_mut().append(header::SET_COOKIE, gone);
    }
    response
}

/// Where to go after the login: a path of the SaaS, nothing else.
fn inside(next: &str) -> &str {
    let mut chars = next.chars();
    let path = chars.next() == Some('/') && !matches!(chars.next(), Some('/' | '\\'));
    if path && !next.contains(char::is_control) { next } else { "/" }
}

#[cfg(test)]
mod tests {
    use super::inside;

    #[test]
    fn after_the_login_nobody_is_led_elsewhere() {
        assert_eq!(inside("/residents?q=田中&floor=2"), "/residents?q=田中&floor=2");
        for bad in ["", "https://example.com/", "//example.com", "/\\example.com", "residents", "/a\r\nb"] {
            assert_eq!(inside(bad), "/", "{bad:?}");
        }
    }
}
