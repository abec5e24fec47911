//! A recipe's own tests: exchanges as they stand on the wire, and what is found in them.

use encoding_rs::Encoding;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use vocabulary::{DocumentError, PathStep};

use super::answer::Answered;
use super::document::{ExpectedResult, TestDocument, TestRequestDocument, TestResponseDocument};
use super::{Recipe, Recognised, RequestHead, charset};
use crate::request::{Target, shape};

/// Runs every test; what fails says what was expected and what was found.
pub(super) fn run(recipe: &Recipe, tests: &[TestDocument]) -> Vec<DocumentError> {
    let mut errors = Vec::new();
    for (nth, test) in tests.iter().enumerate() {
        Run { recipe, test, place: vec!["tests".into(), nth.into()], errors: &mut errors }.run();
    }
    errors
}

struct Run<'r> {
    recipe: &'r Recipe,
    test: &'r TestDocument,
    place: Vec<PathStep>,
    errors: &'r mut Vec<DocumentError>,
}

/// As much of a request as a recipe is shown.
struct Sent {
    method: Method,
    path: String,
    query: Option<Vec<u8>>,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Run<'_> {
    fn error(&mut self, steps: &[&str], value: &str, problem: impl Into<String>) {
        let place = self.place.iter().cloned().chain(steps.iter().map(|step| PathStep::from(*step)));
        self.errors.push(DocumentError::new(place, value, problem));
    }

    fn run(&mut self) {
        let Some(sent) = self.sent(&self.test.request) else { return };
        let head = RequestHead {
            method: &sent.method,
            path: &sent.path,
            query: sent.query.as_deref(),
            headers: &sent.headers,
        };
        // As in the gate: what is not wanted is not there.
        let body = self.recipe.wants_body(&head).then_some(&sent.body[..]);
        let found = self.recipe.recognise(&head, body, self.test.account.as_deref());
        self.compare(&found);
        self.login(&found);
    }

    fn sent(&mut self, request: &TestRequestDocument) -> Option<Sent> {
        let encoding = self.charset(&["request", "charset"], request.charset.as_deref())?;
        let mut headers = self.headers(&["request", "headers"], &request.headers)?;
        let written = [request.form.is_some(), request.json.is_some(), request.body.is_some()];
        if written.iter().filter(|written| **written).count() > 1 {
            self.error(&["request"], "", "has more than one of form, json and body; leave one");
            return None;
        }
        let typed = |headers: &mut HeaderMap, content_type: &'static str| {
            headers.entry(header::CONTENT_TYPE).or_insert(HeaderValue::from_static(content_type));
        };
        let body = match (&request.form, &request.json, &request.body) {
            (Some(fields), ..) => {
                typed(&mut headers, "application/x-www-form-urlencoded");
                let pair = |(name, value): (&String, &String)| {
                    [percent(&encoding.encode(name).0), percent(&encoding.encode(value).0)].join("=")
                };
                fields.iter().map(pair).collect::<Vec<_>>().join("&").into_bytes()
            }
            (_, Some(json), _) => {
                typed(&mut headers, "application/json");
                json.to_string().into_bytes()
            }
            (_, _, Some(body)) => encoding.encode(body).0.into_owned(),
            _ => Vec::new(),
        };
        if !body.is_empty() {
            headers.entry(header::CONTENT_LENGTH).or_insert(HeaderValue::from(body.len()));
        }
        headers.entry(header::HOST).or_insert(HeaderValue::from_static("saas.example"));
        let default = if body.is_empty() { "GET" } else { "POST" };
        let method = request.method.as_deref().unwrap_or(default);
        let Ok(method) = Method::from_bytes(method.as_bytes()) else {
            self.error(&["request", "method"], method, "is not a method in capitals, such as POST");
            return None;
        };
        let target = Target { method: &method, raw: request.path.as_bytes(), authority: None };
        let shaped = match shape(target, &headers, self.recipe.tolerate, self.recipe.overrides) {
            Ok(shaped) => shaped,
            Err(ambiguity) => {
                let problem = format!("is refused by the gate as ambiguous: {ambiguity}");
                self.error(&["request", "path"], &request.path, problem);
                return None;
            }
        };
        let query = request.path.split_once('?').map(|(_, query)| query.as_bytes().to_vec());
        Some(Sent { method: shaped.overriding.unwrap_or(method), path: shaped.path, query, headers, body })
    }

    fn charset(&mut self, steps: &[&str], label: Option<&str>) -> Option<&'static Encoding> {
        let Some(label) = label else { return Some(self.recipe.charset) };
        let named = charset::named(label.as_bytes());
        if named.is_none() {
            self.error(steps, label, "is not a charset of forms; write utf-8, shift_jis or euc-jp");
        }
        named
    }

    fn headers(&mut self, steps: &[&str], written: &std::collections::BTreeMap<String, String>) -> Option<HeaderMap> {
        let mut headers = HeaderMap::new();
        for (name, value) in written {
            let read = (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_bytes(value.as_bytes()));
            let (Ok(name), Ok(value)) = read else {
                let steps: Vec<&str> = steps.iter().copied().chain([name.as_str()]).collect();
                self.error(&steps, name, "can't stand in a header");
                return None;
            };
            headers.append(name, value);
        }
        Some(headers)
    }

    fn compare(&mut self, found: &Recognised) {
        let expect = &self.test.expect;
        let operation = found.operation.as_ref().map(|operation| &*operation.id);
        if let Some(id) = expect.operation.as_deref()
            && self.recipe.operation(id).is_none()
        {
            let known = self.recipe.operations().iter().map(|operation| operation.id.to_string());
            let place = self.place.iter().cloned().chain(["expect".into(), "operation".into()]);
            self.errors.push(DocumentError::new(place, id, "is no operation of this recipe").candidates(known));
        } else {
            self.same("operation", expect.operation.as_deref(), operation);
        }
        if let Some(action) = expect.action {
            self.same("action", Some(action.as_str()), found.action.map(vocabulary::Action::as_str));
        }
        self.same("subject", expect.subject.as_deref(), found.subject.as_deref());
        self.is("logout", expect.logout, found.logout);
        self.is("wrong_account", expect.wrong_account, found.wrong_account);
        let expired = match (&self.test.response, &found.login) {
            (Some(response), None) => {
                self.answer(response).is_some_and(|(status, headers, _)| self.recipe.has_expired(status, &headers))
            }
            _ => false,
        };
        self.is("expired", expect.expired, expired);
    }

    fn login(&mut self, found: &Recognised) {
        let name = &self.test.name;
        let (expected, attempt) = match (&self.test.expect.login, &found.login) {
            (None, None) => return,
            (Some(_), None) => {
                let problem = format!("a login is expected of the test `{name}`, but none is found");
                return self.error(&["expect", "login"], "", problem);
            }
            (None, Some(_)) => {
                let problem =
                    format!("no login is expected of the test `{name}`, but one is found; write it if it is right");
                return self.error(&["expect", "login"], "", problem);
            }
            (Some(expected), Some(attempt)) => (expected, attempt),
        };
        self.same("login.id", expected.id.as_deref(), attempt.id());
        self.same("login.account", expected.account.as_deref(), attempt.account());
        self.is("login.further_step", expected.further_step, attempt.is_further_step());
        let Some(response) = &self.test.response else {
            if expected.result.is_some() {
                self.error(&["expect", "login", "result"], "", "needs a `response` that it is read from");
            }
            return;
        };
        let Some((status, headers, body)) = self.answer(response) else { return };
        let mut answer = self.recipe.answer(attempt);
        let answered = answer.head(status, &headers).or_else(|| answer.body(&body)).unwrap_or_else(|| answer.end());
        let (result, cause) = match &answered {
            Answered::Ok => (ExpectedResult::Ok, None),
            Answered::Failed(cause) => (ExpectedResult::Failed, cause.as_deref()),
            Answered::SecondStep => (ExpectedResult::SecondStep, None),
            Answered::Unknown => (ExpectedResult::Unknown, None),
        };
        self.same("login.result", expected.result.map(word), Some(word(result)));
        self.same("login.cause", expected.cause.as_deref(), cause);
    }

    fn answer(&mut self, response: &TestResponseDocument) -> Option<(StatusCode, HeaderMap, Vec<u8>)> {
        let encoding = self.charset(&["response", "charset"], response.charset.as_deref())?;
        let headers = self.headers(&["response", "headers"], &response.headers)?;
        let Ok(status) = StatusCode::from_u16(response.status) else {
            self.error(&["response", "status"], &response.status.to_string(), "is not a status of HTTP");
            return None;
        };
        Some((status, headers, encoding.encode(&response.body).0.into_owned()))
    }

    fn is(&mut self, what: &str, expected: bool, found: bool) {
        let word = |is: bool| if is { "true" } else { "false" };
        if expected != found {
            self.same(what, Some(word(expected)), Some(word(found)));
        }
    }

    fn same(&mut self, what: &str, expected: Option<&str>, found: Option<&str>) {
        if expected == found {
            return;
        }
        let steps: Vec<&str> = ["expect"].into_iter().chain(what.split('.')).collect();
        let found = found.map_or("nothing".to_owned(), |found| format!("`{found}`"));
        let name = &self.test.name;
        let problem = match expected {
            Some(expected) => format!("`{expected}` is expected of the test `{name}`, but {found} is found"),
            None => format!("nothing is expected of the test `{name}`, but {found} is found; write it if it is right"),
        };
        self.error(&steps, "", problem);
    }
}

const fn word(result: ExpectedResult) -> &'static str {
    match result {
        ExpectedResult::Ok => "ok",
        ExpectedResult::Failed => "failed",
        ExpectedResult::SecondStep => "second-step",
        ExpectedResult::Unknown => "unknown",
    }
}

/// As browsers write forms (WHATWG URL, 5.2).
fn percent(bytes: &[u8]) -> String {
    let mut out = String::new();
    for byte in bytes {
        match byte {
            b' ' => out.push('+'),
            byte if byte.is_ascii_alphanumeric() || b"*-._".contains(byte) => out.push(char::from(*byte)),
            byte => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}
