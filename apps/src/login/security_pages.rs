//! The templates of what somebody signs in with, filled in.

use askama::Template;
use identity::{Factors, RecoveryCodes, TotpEnrolment};
use vocabulary::Timestamp;
use zeroize::Zeroizing;

use super::pages::PasskeyForm;
use super::request::form_token;
use super::script;
use super::security::Owner;
use crate::notice::rendered;
use crate::page::{Page, STYLE};
use crate::qr::Qr;
use crate::words::Text;
use crate::{Lang, cookies, words};

/// What the tokens of these forms are for; bound to the session's cookie.
pub(super) const TOKEN: &str = "security";

#[derive(Template)]
#[template(path = "security.html")]
struct Overview<'a> {
    lang: Lang,
    style: &'static str,
    script: &'static str,
    token: &'a str,
    handle: Option<&'a str>,
    who: &'a str,
    done: Option<&'a str>,
    problem: Option<&'a str>,
    again: Option<&'a str>,
    fresh: bool,
    factors: Factors,
    passkeys: Vec<Key>,
    passkey: Option<PasskeyForm<'a>>,
}

struct Key {
    id: String,
    name: String,
    added: String,
    used: Option<String>,
}

#[derive(Template)]
#[template(path = "totp_setup.html")]
struct TotpSetup<'a> {
    lang: Lang,
    style: &'static str,
    token: &'a str,
    handle: Option<&'a str>,
    problem: Option<&'a str>,
    qr: Qr,
    url: &'a str,
    key: &'a str,
}

#[derive(Template)]
#[template(path = "recovery_codes.html")]
struct Codes<'a> {
    lang: Lang,
    style: &'static str,
    script: &'static str,
    done: Option<&'a str>,
    codes: &'a [Zeroizing<String>],
    name: &'a str,
    made: String,
    host: &'a str,
    next: &'a str,
}

#[derive(Template)]
#[template(path = "password.html")]
struct Password<'a> {
    lang: Lang,
    style: &'static str,
    token: &'a str,
    handle: Option<&'a str>,
    problem: Option<&'a str>,
    who: &'a str,
    due: bool,
    ask_old: bool,
    second: bool,
}

impl Owner<'_> {
    fn token(&self) -> String {
        form_token(TOKEN, cookies::read(self.asked.request.headers, cookies::LOGIN).unwrap_or_default())
    }

    pub(super) fn overview(&self, problem: Option<Text>, status: u16) -> Page {
        self.overview_with(problem.map(|problem| problem.get(self.asked.lang)), status)
    }

    pub(super) fn overview_saying(&self, problem: &str, status: u16) -> Page {
        self.overview_with(Some(problem), status)
    }

    fn overview_with(&self, problem: Option<&str>, status: u16) -> Page {
        let (lang, directory) = (self.asked.lang, self.login.0.identity.directory());
        let (factors, fresh, token) = (self.factors(), self.is_fresh(), self.token());
        let (again, handle) = (self.again(), self.handle());
        let day = |at: Timestamp| self.asked.day(at);
        let key = |key: identity::PasskeySummary| Key {
            added: day(key.added),
            used: key.used.map(day),
            id: key.id,
            name: key.name,
        };
        let offered = self.login.0.passkeys.is_some() && fresh && factors.password;
        let template = Overview {
            lang,
            style: STYLE,
            script: &script::ELEMENT,
            token: &token,
            handle: handle.as_deref(),
            who: self.person.as_str(),
            done: self.asked.query("done").and_then(|word| done(&word)).map(|text| text.get(lang)),
            problem,
            again: again.as_deref(),
            fresh,
            factors,
            passkeys: directory.passkeys(self.person).into_iter().map(key).collect(),
            passkey: offered.then_some(PasskeyForm {
                action: "/security/passkey",
                ask: "/security/passkey/ask",
                make: true,
                token: &token,
                challenge: None,
                who: "",
                mark: "",
                name: self.asked.device_name(),
                label: words::PASSKEY_ADD.get(lang),
                first: !factors.second(),
            }),
        };
        let page = rendered(&template, status, lang);
        if offered { page.with_script() } else { page }
    }

    pub(super) fn totp_page(&self, enrolment: &TotpEnrolment, problem: Option<Text>, status: u16) -> Page {
        let lang = self.asked.lang;
        let handle = self.handle();
        let base32 = enrolment.secret.base32();
        let groups: Vec<&str> = base32.as_bytes().chunks(4).filter_map(|group| str::from_utf8(group).ok()).collect();
        let key = Zeroizing::new(groups.join(" "));
        let Some(qr) = Qr::new(&enrolment.url) else { return self.overview(Some(words::TOTP_OVER), 503) };
        let template = TotpSetup {
            lang,
            style: STYLE,
            token: &self.token(),
            handle: handle.as_deref(),
            problem: problem.map(|problem| problem.get(lang)),
            qr,
            url: &enrolment.url,
            key: &key,
        };
        rendered(&template, status, lang)
    }

    /// Shown once. The way on leads to a new sign-in where that was what the person came for.
    pub(super) fn codes_page(&self, codes: &RecoveryCodes, done: Option<Text>) -> Page {
        let lang = self.asked.lang;
        let roster = self.login.0.identity.roster();
        let (again, handle) = (self.again(), self.handle());
        let next = match (again, handle) {
            (Some(_), Some(handle)) => format!("/security?{}={handle}", super::HANDLE_PARAM),
            _ => "/security".to_owned(),
        };
        let template = Codes {
            lang,
            style: STYLE,
            script: &script::ELEMENT,
            done: done.map(|done| done.get(lang)),
            codes: &codes.0,
            name: roster.get(self.person).map_or(self.person.as_str(), |p| p.name.as_str()),
            made: self.asked.day(self.asked.request.now),
            host: &self.login.0.settings.host,
            next: &next,
        };
        rendered(&template, 200, lang).with_script()
    }

    pub(super) fn password_form(&self, problem: Option<Text>, status: u16) -> Page {
        let lang = self.asked.lang;
        let (handle, factors) = (self.handle(), self.factors());
        if !factors.password {
            return self.overview(None, 200);
        }
        let template = Password {
            lang,
            style: STYLE,
            token: &self.token(),
            handle: handle.as_deref(),
            problem: problem.map(|problem| problem.get(lang)),
            who: self.person.as_str(),
            due: factors.password_due,
            ask_old: self.asks_old_password(),
            second: factors.second(),
        };
        rendered(&template, status, lang)
    }
}

/// What a redirect says was done.
fn done(word: &str) -> Option<Text> {
    Some(match word {
        "totp" => words::DONE_TOTP,
        "totp-removed" => words::DONE_TOTP_REMOVED,
        "passkey" => words::DONE_PASSKEY_ADDED,
        "passkey-removed" => words::DONE_PASSKEY_REMOVED,
        "password" => words::DONE_PASSWORD,
        _ => return None,
    })
}
