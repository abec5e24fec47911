//! What a request does to the records behind it: as configured, or guessed from its head.
//!
//! The guess knows method, body type and response head only. What can't be told from these is `unknown`: a
//! WebSocket carries anything once it is open, so it is `unknown` unless its path is configured.

use std::sync::Arc;

use http::{HeaderMap, Method, StatusCode, header};
use vocabulary::{Action, DocumentError};

use crate::document::ActionDocument;
use crate::field;
use crate::glob::Glob;
use crate::recipe::Recognised;

/// An app's configured actions; the first that matches decides.
#[derive(Clone, Debug, Default)]
pub struct Actions {
    rules: Vec<Rule>,
}

#[derive(Clone, Debug)]
struct Rule {
    methods: Vec<Method>,
    path: Glob,
    action: Action,
    name: Option<Arc<str>>,
}

/// What a request does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Guess {
    pub action: Action,
    /// False if the configuration named it.
    pub guessed: bool,
    /// What people call it, if the configuration says so.
    pub name: Option<Arc<str>>,
}

impl Guess {
    /// With what the app's recipe says: what operators have written goes before it, and it before what the method suggests.
    #[must_use]
    pub fn or_by(self, recognised: &Recognised) -> Self {
        match recognised.action {
            Some(action) if self.guessed => Self { action, guessed: action == Action::Unknown, ..self },
            _ => self,
        }
    }
}

impl Actions {
    /// # Errors
    /// Everything that is wrong; paths begin with the rule's index.
    pub fn compile(documents: &[ActionDocument]) -> Result<Self, Vec<DocumentError>> {
        let mut errors = Vec::new();
        let mut rules = Vec::new();
        for (at, document) in documents.iter().enumerate() {
            let mut methods = Vec::new();
            for (nth, written) in document.methods.iter().enumerate() {
                match Method::from_bytes(written.as_bytes()) {
                    Ok(method) if !written.bytes().any(|b| b.is_ascii_lowercase()) => methods.push(method),
                    _ => errors.push(
                        DocumentError::new(
                            [at.into(), "methods".into(), nth.into()],
                            written,
                            "is not a method in capitals, such as POST",
                        )
                        .candidates([written.to_ascii_uppercase()]),
                    ),
                }
            }
            match Glob::compile(&document.path) {
                Err(problem) => errors.push(DocumentError::new([at.into(), "path".into()], &document.path, problem)),
                Ok(path) => {
                    let name = document.name.as_deref().map(Arc::from);
                    rules.push(Rule { methods, path, action: document.action, name });
                }
            }
        }
        if errors.is_empty() { Ok(Self { rules }) } else { Err(errors) }
    }

    /// `method`: the one that the SaaS executes; `path`: [`crate::Shaped::path`]; `content_type`: the request's, if any;
    /// `upgrade`: it asks for a WebSocket.
    ///
    /// Servers differ on whether `/Residents/7/delete` and `/residents/7/delete/` are `/residents/7/delete`. Where the one
    /// reading is a configured action and the other is not the same action, what the request does can't be told.
    pub fn guess(&self, method: &Method, path: &str, content_type: Option<&str>, upgrade: bool) -> Guess {
        let of_method = |rule: &&Rule| rule.methods.is_empty() || rule.methods.contains(method);
        let rules = || self.rules.iter().filter(of_method);
        let named = |rule: &Rule| Guess { action: rule.action, guessed: false, name: rule.name.clone() };
        let guessed = |action| Guess { action, guessed: true, name: None };
        let by_head = || guessed(by_head(method, content_type, upgrade));
        let Some(alike) = rules().find(|rule| rule.path.matches_alike(path)) else { return by_head() };
        if alike.path.matches(path) {
            return named(alike);
        }
        let as_written = rules().find(|rule| rule.path.matches(path)).map_or_else(by_head, named);
        if as_written.action == alike.action { as_written } else { guessed(Action::Unknown) }
    }

    /// As [`Self::guess`], for a POST whose body may name another method: what all of them agree on, else `unknown`.
    pub fn guess_by_body(&self, path: &str, content_type: Option<&str>) -> Guess {
        let of = |method: &Method| self.guess(method, path, content_type, false);
        let post = of(&Method::POST);
        match [Method::PUT, Method::PATCH, Method::DELETE].iter().all(|method| of(method).action == post.action) {
            true => post,
            false => Guess { action: Action::Unknown, guessed: true, name: None },
        }
    }

    /// What the request does after all, now that the response's head is known. Only ever becomes `download`.
    ///
    /// An attachment is a download whatever was configured; a data file that a navigation fetched is one unless
    /// the configuration named the action. A PDF or a picture shown inline stays what it was.
    /// `navigation`: [`crate::origin::is_navigation`] of the request.
    pub fn on_response(guess: &Guess, status: StatusCode, headers: &HeaderMap, navigation: bool) -> Action {
        if !status.is_success() {
            return guess.action;
        }
        let by_type = || {
            guess.guessed
                && navigation
                && headers.get_all(header::CONTENT_TYPE).iter().any(|v| is_data_file(field::essence(field::text(v))))
        };
        if is_attachment(headers) || by_type() { Action::Download } else { guess.action }
    }
}

pub(crate) fn by_head(method: &Method, content_type: Option<&str>, upgrade: bool) -> Action {
    if upgrade {
        return Action::Unknown;
    }
    match *method {
        Method::GET | Method::HEAD | Method::OPTIONS => Action::View,
        Method::DELETE => Action::Delete,
        Method::POST | Method::PUT | Method::PATCH => match content_type.map(field::essence) {
            Some(essence) if carries_file(essence) => Action::Upload,
            _ => Action::Edit,
        },
        _ => Action::Unknown,
    }
}

/// A form with files, or a body that is itself a file. Types that forms and scripts send as data are not.
fn carries_file(essence: &str) -> bool {
    let is = |prefix: &str| essence.get(..prefix.len()).is_some_and(|head| head.eq_ignore_ascii_case(prefix));
    is("multipart/form-data")
        || is("image/")
        || is("video/")
        || is("audio/")
        || is_data_file(essence)
        || is("application/pdf")
}

/// Per RFC 6266 §4.2 a disposition that isn't known is treated as an attachment; browsers take a value that has
/// parameters but no type as inline.
fn is_attachment(headers: &HeaderMap) -> bool {
    headers.get_all(header::CONTENT_DISPOSITION).iter().any(|value| {
        let bytes = value.as_bytes();
        let kind = bytes.split(|b| *b == b';').next().unwrap_or_default().trim_ascii();
        !kind.is_empty() && !kind.contains(&b'=') && !kind.eq_ignore_ascii_case(b"inline")
    })
}

/// Types that browsers save instead of showing, and that hold records: tables, archives, office documents.
fn is_data_file(essence: &str) -> bool {
    let is = |word: &str| essence.eq_ignore_ascii_case(word);
    let begins = |prefix: &str| essence.get(..prefix.len()).is_some_and(|head| head.eq_ignore_ascii_case(prefix));
    is("text/csv")
        || is("text/tab-separated-values")
        || is("text/comma-separated-values")
        || is("text/x-csv")
        || [
            "application/csv",
            "application/x-csv",
            "application/octet-stream",
            "application/zip",
            "application/x-zip",
            "application/gzip",
            "application/x-gzip",
            "application/x-tar",
            "application/x-7z-compressed",
            "application/x-rar",
            "application/x-lzh",
            "application/msword",
            "application/msexcel",
            "application/vnd.ms-",
            "application/vnd.openxmlformats-",
            "application/vnd.oasis.opendocument.",
            "application/x-download",
            "application/force-download",
            "application/download",
            "binary/octet-stream",
        ]
        .iter()
        .any(|prefix| begins(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn actions(yaml: &str) -> Actions {
        Actions::compile(&serde_yaml::from_str::<Vec<ActionDocument>>(yaml).unwrap()).unwrap()
    }

    fn head(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(n, v)| (n.parse().unwrap(), http::HeaderValue::from_static(v))).collect()
    }

    fn guessed(action: Action) -> Guess {
        Guess { action, guessed: true, name: None }
    }

    #[test]
    fn without_rules_method_and_body_decide_and_the_record_says_guessed() {
        let none = Actions::default();
        for (method, content_type, upgrade, action) in [
            (Method::GET, None, false, Action::View),
            (Method::HEAD, None, false, Action::View),
            (Method::POST, Some("application/x-www-form-urlencoded"), false, Action::Edit),
            (Method::POST, Some("Multipart/Form-Data; boundary=x"), false, Action::Upload),
            (Method::PUT, Some("application/octet-stream"), false, Action::Upload),
            (Method::POST, Some("application/json"), false, Action::Edit),
            (Method::POST, None, false, Action::Edit),
            (Method::PATCH, Some("application/json"), false, Action::Edit),
            (Method::DELETE, None, false, Action::Delete),
            (Method::TRACE, None, false, Action::Unknown),
            (Method::from_bytes(b"PROPFIND").unwrap(), None, false, Action::Unknown),
            (Method::GET, None, true, Action::Unknown),
        ] {
            assert_eq!(none.guess(&method, "/x", content_type, upgrade), guessed(action), "{method} {content_type:?}");
        }
    }

    #[test]
    fn the_first_matching_rule_names_the_action() {
        let actions = actions(
            "- { methods: [POST], path: '/residents/*/delete', action: delete, name: 利用者の削除 }\n\
             - { path: '/residents/**', action: admin }\n- { path: /ws, action: view }",
        );
        let guess = actions.guess(&Method::POST, "/residents/7/delete", None, false);
        assert_eq!((guess.action, guess.guessed, guess.name.as_deref()), (Action::Delete, false, Some("利用者の削除")));
        assert_eq!(actions.guess(&Method::GET, "/residents/7/delete", None, false).action, Action::Admin);
        assert_eq!(actions.guess(&Method::GET, "/ws", None, true).action, Action::View);
        assert!(actions.guess(&Method::GET, "/other", None, false).guessed);
    }

    #[test]
    fn a_path_that_some_servers_take_for_a_configured_one_is_unknown() {
        let actions = actions(
            "- { methods: [POST], path: '/residents/*/delete', action: delete }\n\
             - { path: '/residents/**/show', action: view }\n- { path: /RESIDENTS/7/show, action: view }",
        );
        let of = |path: &str| actions.guess(&Method::POST, path, None, false).action;
        for path in ["/Residents/7/delete", "/residents/7/DELETE", "/residents/7/delete/", "/RESIDENTS/7/Delete/"] {
            assert_eq!(of(path), Action::Unknown, "{path}");
        }
        assert_eq!(of("/residents/7/delete"), Action::Delete);
        assert_eq!(of("/residents/7/delete/x"), Action::Edit);
        assert_eq!(of("/RESIDENTS/7/show"), Action::View);
        assert_eq!(of("/residents/7/show/"), Action::Unknown);
        assert_eq!(actions.guess(&Method::GET, "/residents/7/show/", None, false).action, Action::View);
        assert_eq!(actions.guess(&Method::GET, "/residents/7/DELETE", None, false).action, Action::View);
    }

    #[test]
    fn a_post_whose_body_may_name_the_method_is_told_by_a_path_of_all_methods_only() {
        let actions = actions(
            "- { path: '/residents/*/delete', action: delete }\n- { methods: [POST], path: /login, action: login }",
        );
        let of = |path: &str| actions.guess_by_body(path, Some("application/x-www-form-urlencoded")).action;
        assert_eq!(
            (of("/residents/7/delete"), of("/login"), of("/residents/7")),
            (Action::Delete, Action::Unknown, Action::Unknown)
        );
    }

    #[test]
    fn an_attachment_is_a_download_whatever_was_configured() {
        let attachment = head(&[("content-disposition", "Attachment; filename=a.csv")]);
        let named = Guess { action: Action::View, guessed: false, name: None };
        assert_eq!(Actions::on_response(&named, StatusCode::OK, &attachment, false), Action::Download);
        assert_eq!(Actions::on_response(&named, StatusCode::NOT_FOUND, &attachment, false), Action::View);
        let odd = head(&[("content-disposition", "x-save")]);
        assert_eq!(Actions::on_response(&named, StatusCode::OK, &odd, false), Action::Download);
    }

    #[test]
    fn a_data_file_is_a_download_only_when_navigated_to() {
        let csv = head(&[("content-type", "text/CSV; charset=Shift_JIS")]);
        let view = guessed(Action::View);
        assert_eq!(Actions::on_response(&view, StatusCode::OK, &csv, true), Action::Download);
        assert_eq!(Actions::on_response(&view, StatusCode::OK, &csv, false), Action::View);
        let xlsx = head(&[("content-type", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet")]);
        assert_eq!(Actions::on_response(&view, StatusCode::OK, &xlsx, true), Action::Download);
    }

    #[test]
    fn what_is_shown_inline_stays_what_it_was() {
        let view = guessed(Action::View);
        for inline in ["inline", "INLINE; filename=a.pdf", "filename=a.pdf", ""] {
            let headers = head(&[("content-type", "application/pdf"), ("content-disposition", inline)]);
            assert_eq!(Actions::on_response(&view, StatusCode::OK, &headers, true), Action::View, "{inline}");
        }
    }
}
