//! The frame around every page, and the few answers that are the same everywhere.

use std::fmt::Write as _;
use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::response::{Html, IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};

use crate::accounts::{Account, SignedIn};
use crate::state::{App, Site};
use crate::wall_clock;

/// What the frame of a page shows: title, menu, who is signed in.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) base: String,
    pub(crate) assets: String,
    pub(crate) title: String,
    /// The entry of the menu that is lit.
    pub(crate) section: &'static str,
    pub(crate) account: Option<&'static Account>,
    pub(crate) today: String,
    /// A sentence on what was just done.
    pub(crate) done: Option<&'static str>,
}

impl Page {
    pub(crate) fn new(app: &App, account: Option<&'static Account>, title: &str, section: &'static str) -> Self {
        Self {
            base: app.site.base().to_owned(),
            assets: format!("{}/assets", app.site.assets_base()),
            title: title.to_owned(),
            section,
            account,
            today: wall_clock::long_date(wall_clock::today()),
            done: None,
        }
    }

    /// `?done=saved` and the like, after a redirect. Unknown words say nothing.
    #[must_use]
    pub(crate) fn done(mut self, word: &str) -> Self {
        self.done = match word {
            "saved" => Some("変更を保存しました。"),
            "created" => Some("利用者を登録しました。"),
            "deleted" => Some("利用者の記録を削除しました。"),
            "noted" => Some("ケア記録を追加しました。"),
            "uploaded" => Some("ファイルを保存しました。"),
            "file-deleted" => Some("ファイルを削除しました。"),
            _ => None,
        };
        self
    }
}

#[derive(Template)]
#[template(path = "login.html")]
pub(crate) struct Login<'a> {
    pub(crate) page: Page,
    pub(crate) next: String,
    pub(crate) login_id: &'a str,
    pub(crate) wrong: bool,
}

#[derive(Template)]
#[template(path = "message.html")]
struct Message<'a> {
    page: Page,
    heading: &'a str,
    text: &'a str,
}

pub(crate) fn show(status: StatusCode, page: &impl Template) -> Response {
    match page.render() {
        Ok(html) => (status, Html(html)).into_response(),
        Err(error) => {
            tracing::error!(%error, "a page can't be rendered");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

pub(crate) fn message(
    app: &App,
    account: Option<&'static Account>,
    status: StatusCode,
    heading: &str,
    text: &str,
) -> Response {
    show(status, &Message { page: Page::new(app, account, heading, ""), heading, text })
}

pub(crate) async fn not_found(State(app): State<Arc<App>>, signed_in: Option<SignedIn>) -> Response {
    missing(&app, signed_in.map(|SignedIn(account)| account))
}

pub(crate) fn missing(app: &App, account: Option<&'static Account>) -> Response {
    let text = "アドレスが変わったか、記録が削除された可能性があります。";
    message(app, account, StatusCode::NOT_FOUND, "ページが見つかりません", text)
}

pub(crate) fn forbidden(app: &App, account: &'static Account) -> Response {
    let text = "この操作は施設管理者だけが行えます。必要な場合は管理者に依頼してください。";
    message(app, Some(account), StatusCode::FORBIDDEN, "権限がありません", text)
}

/// 303 to a path of the SaaS, absolute where the pages' links are.
pub(crate) fn see_other(site: &Site, path: &str) -> Response {
    // A Location is ASCII; what a person typed into a query may not be.
    let ascii = path.chars().fold(String::with_capacity(path.len()), |mut out, c| {
        if c.is_ascii_graphic() {
            out.push(c);
        } else {
            push_escaped(&mut out, c);
        }
        out
    });
    match HeaderValue::from_str(&format!("{}{ascii}", site.base())) {
        Ok(location) => (StatusCode::SEE_OTHER, [(header::LOCATION, location)]).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

/// Escapes a value of a query.
pub(crate) fn query_escape(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut out, c| {
        if c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_' | '~' | '/') {
            out.push(c);
        } else {
            push_escaped(&mut out, c);
        }
        out
    })
}

fn push_escaped(out: &mut String, c: char) {
    let mut bytes = [0; 4];
    for byte in c.encode_utf8(&mut bytes).bytes() {
        let _ = write!(out, "%{byte:02X}");
    }
}

/// `attachment; filename="…"; filename*=UTF-8''…` (RFC 6266): the plain name for old readers, ASCII only.
pub(crate) fn disposition(kind: &str, name: &str) -> HeaderValue {
    let plain: String =
        name.chars().map(|c| if c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_') { c } else { '_' }).collect();
    let escaped = query_escape(name).replace('/', "%2F");
    HeaderValue::from_str(&format!("{kind}; filename=\"{plain}\"; filename*=UTF-8''{escaped}"))
        .unwrap_or(HeaderValue::from_static("attachment"))
}

#[cfg(test)]
mod tests {
    use super::{disposition, query_escape};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_file_name_never_leaves_its_quotes(name in ".*") {
            let value = disposition("attachment", &name);
            let text = value.to_str().unwrap();
            prop_assert_eq!(text.matches('"').count(), 2);
            prop_assert_eq!(text.matches(';').count(), 2);
        }

        #[test]
        fn an_escaped_value_stays_one_value(text in ".*") {
            prop_assert!(!query_escape(&text).contains(['&', '=', '#', '?', '+', ' ']));
        }
    }

    #[test]
    fn japanese_file_names_travel() {
        let value = disposition("attachment", "利用者 一覧.csv");
        assert_eq!(
            value.to_str().unwrap(),
            "attachment; filename=\"______.csv\"; \
             filename*=UTF-8''%E5%88%A9%E7%94%A8%E8%80%85%20%E4%B8%80%E8%A6%A7.csv"
        );
    }
}
