//! From a recipe as written to one that works, or to everything that is wrong with it.

use std::sync::Arc;

use encoding_rs::{Encoding, UTF_8};
use http::Method;
use vocabulary::{Action, DocumentError, PathStep};

use super::answer::{Answered, Answers, JsonIs, JsonTest, Known};
use super::document::{
    AnswerDocument, ConditionDocument, LoginDocument, OperationDocument, Output, RecipeDocument, SelectorDocument,
};
use super::fields::{Fields, Pointer, Selector};
use super::route::{Condition, Kind, Login, Rule};
use super::{ACCOUNT, LONGEST_VALUE, Operation, Recipe, charset, exchange, secret};
use crate::authority;
use crate::glob::Glob;

impl Recipe {
    /// Compiles a recipe and runs its tests.
    ///
    /// # Errors
    /// Everything that is wrong; paths begin at the document's root. Tests are only run if nothing else is.
    pub fn compile(document: &RecipeDocument) -> Result<Self, Vec<DocumentError>> {
        let mut compile =
            Compile { errors: Vec::new(), fields: Fields::default(), secrets: secrets(document), charset: UTF_8 };
        let recipe = compile.recipe(document);
        if !compile.errors.is_empty() {
            return Err(compile.errors);
        }
        let errors = exchange::run(&recipe, &document.tests);
        if errors.is_empty() { Ok(recipe) } else { Err(errors) }
    }
}

/// Every name that the recipe says to be a secret's.
fn secrets(document: &RecipeDocument) -> Vec<String> {
    let passwords = document.logins.iter().map(|login| &login.password);
    let further = document.second_steps.iter().flat_map(|step| &step.secrets);
    passwords.chain(further).flat_map(secret::names).collect()
}

struct Compile {
    errors: Vec<DocumentError>,
    fields: Fields,
    secrets: Vec<String>,
    charset: &'static Encoding,
}

/// Where something stands.
type Place = Vec<PathStep>;

fn at(place: &[PathStep], steps: impl IntoIterator<Item = PathStep>) -> Place {
    place.iter().cloned().chain(steps).collect()
}

fn is_word(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
        && text.len() <= 64
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

const NOT_A_WORD: &str = "must be a word of a-z, 0-9 and `-`, at most 64 characters";

impl Compile {
    fn error(&mut self, place: Place, value: &str, problem: impl Into<String>) {
        self.errors.push(DocumentError::new(place, value, problem));
    }

    fn recipe(&mut self, document: &RecipeDocument) -> Recipe {
        self.header(document);
        let mut rules = Vec::new();
        for (nth, login) in document.logins.iter().enumerate() {
            self.login(&[PathStep::from("logins"), nth.into()], login, &mut rules);
        }
        for (nth, step) in document.second_steps.iter().enumerate() {
            let place = [PathStep::from("second_steps"), nth.into()];
            for (nth, selector) in step.secrets.iter().enumerate() {
                self.of_secret(&at(&place, ["secrets".into(), nth.into()]), selector);
            }
            let answers = self.answers(&place, &step.failed, &step.second_step, &step.ok);
            let methods = or_post(&step.methods);
            self.rule(&place, &methods, &step.path, &step.r#where, Kind::Step(answers), &mut rules);
        }
        for (nth, logout) in document.logouts.iter().enumerate() {
            let place = [PathStep::from("logouts"), nth.into()];
            self.rule(&place, &logout.methods, &logout.path, &logout.r#where, Kind::Logout, &mut rules);
        }
        let mut operations: Vec<Arc<Operation>> = Vec::new();
        for (nth, operation) in document.operations.iter().enumerate() {
            let place = [PathStep::from("operations"), nth.into()];
            if operations.iter().any(|earlier| *earlier.id == *operation.id) {
                self.error(
                    at(&place, ["id".into()]),
                    &operation.id,
                    "is the id of an earlier operation; choose another one",
                );
            }
            operations.push(self.operation(&place, operation, &mut rules));
        }
        let expired = self.expired(&document.expired);
        Recipe {
            id: document.recipe.as_str().into(),
            title: document.title.clone(),
            confidence: document.confidence.clone(),
            upstream: document.upstream.clone(),
            hosts: document.hosts.clone(),
            charset: self.charset,
            session_cookies: document.session.cookies.clone(),
            idle: document.session.idle.map(|span| span.0),
            tolerate: document.tolerate.iter().copied().collect(),
            overrides: document.method_override.iter().copied().collect(),
            rules,
            fields: std::mem::take(&mut self.fields),
            expired,
            operations,
        }
    }

    fn header(&mut self, document: &RecipeDocument) {
        if !is_word(&document.recipe) {
            self.error(vec!["recipe".into()], &document.recipe, NOT_A_WORD);
        }
        if !is_month_or_day(&document.confidence.as_of) {
            let place = vec!["confidence".into(), "as_of".into()];
            self.error(place, &document.confidence.as_of, "must be a month or a day, such as 2026-11 or 2026-11-29");
        }
        if let Some(label) = &document.charset {
            match charset::named(label.as_bytes()) {
                Some(charset) => self.charset = charset,
                None => {
                    let known = ["utf-8", "shift_jis", "euc-jp"].map(str::to_owned);
                    let error = DocumentError::new(["charset".into()], label, "is not a charset of forms");
                    self.errors.push(error.candidates(known));
                }
            }
        }
        if let Some(upstream) = &document.upstream {
            self.address(vec!["upstream".into()], upstream);
        }
        let mut names: Vec<&str> = Vec::new();
        for (nth, host) in document.hosts.iter().enumerate() {
            let place = |key: &str| vec!["hosts".into(), nth.into(), key.into()];
            if !authority::is_label(&host.name) {
                self.error(place("name"), &host.name, "must be one DNS label: a-z, 0-9 and `-`, at most 63 characters");
            } else if names.contains(&host.name.as_str()) {
                self.error(place("name"), &host.name, "names two hosts of this recipe");
            }
            names.push(&host.name);
            self.address(place("upstream"), &host.upstream);
            let earlier = document.upstream.iter().chain(document.hosts[..nth].iter().map(|earlier| &earlier.upstream));
            if earlier.into_iter().any(|earlier| earlier.eq_ignore_ascii_case(&host.upstream)) {
                self.error(place("upstream"), &host.upstream, "already stands for another host of this recipe");
            }
        }
        for (nth, cookie) in document.session.cookies.iter().enumerate() {
            let place = vec!["session".into(), "cookies".into(), nth.into()];
            self.cookie(place, cookie);
        }
        if document.session.idle.is_some_and(|idle| idle.0.is_zero()) {
            self.error(vec!["session".into(), "idle".into()], "0s", "must be longer than nothing");
        }
    }

    fn address(&mut self, place: Place, written: &str) {
        let filled = written.replace(ACCOUNT, "account");
        if filled.contains(['{', '}']) {
            return self.error(place, written, "holds a placeholder that is not known; the only one is {account}");
        }
        if let Err(problem) = authority::parse_https(&filled) {
            self.error(place, written, problem);
        }
    }

    /// RFC 6265, 4.1.1: a token.
    fn cookie(&mut self, place: Place, name: &str) {
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
        if name.is_empty() || !name.bytes().all(plain) {
            self.error(place, name, "is not the name of a cookie");
        }
    }

    fn login(&mut self, place: &[PathStep], document: &LoginDocument, rules: &mut Vec<Rule>) {
        self.of_secret(&at(place, ["password".into()]), &document.password);
        let id: Vec<Selector> = document
            .id
            .iter()
            .enumerate()
            .filter_map(|(nth, selector)| self.selector(&at(place, ["id".into(), nth.into()]), selector))
            .collect();
        let join = document.join.as_deref().unwrap_or("/");
        if join.chars().count() > 8 || join.chars().any(char::is_control) {
            self.error(at(place, ["join".into()]), join, "must be at most 8 characters on one line");
        }
        let account = document.account.as_ref();
        let account = account.and_then(|selector| self.selector(&at(place, ["account".into()]), selector));
        if document.ok.is_empty() && document.second_step.is_empty() {
            self.error(at(place, ["ok".into()]), "", "is missing; write what a login that succeeded is answered with");
        }
        let answers = self.answers(place, &document.failed, &document.second_step, &document.ok);
        let login = Login { body: document.content_type, id, join: join.into(), account, answers };
        let methods = or_post(&document.methods);
        self.rule(place, &methods, &document.path, &document.r#where, Kind::Login(login), rules);
    }

    fn operation(&mut self, place: &[PathStep], document: &OperationDocument, rules: &mut Vec<Rule>) -> Arc<Operation> {
        if !is_word(&document.id) {
            self.error(at(place, ["id".into()]), &document.id, NOT_A_WORD);
        }
        let action = match (document.action, document.output) {
            (Some(action), _) => action,
            (None, Some(Output::Export)) => Action::Download,
            (None, Some(Output::Print)) => Action::View,
            (None, None) => {
                self.error(at(place, ["action".into()]), "", "is missing; write what the request does");
                Action::Unknown
            }
        };
        let operation = Arc::new(Operation {
            id: document.id.as_str().into(),
            name: document.name.clone(),
            action,
            output: document.output,
        });
        let subject = document.subject.as_ref().and_then(|subject| {
            if !is_word(&subject.kind) {
                self.error(at(place, ["subject".into(), "kind".into()]), &subject.kind, NOT_A_WORD);
            }
            let from = self.selector(&at(place, ["subject".into(), "from".into()]), &subject.from)?;
            Some((Box::from(subject.kind.as_str()), from))
        });
        let kind = Kind::Operation { operation: Arc::clone(&operation), subject };
        self.rule(place, &document.methods, &document.path, &document.r#where, kind, rules);
        operation
    }

    fn rule(
        &mut self,
        place: &[PathStep],
        methods: &[String],
        path: &str,
        conditions: &[ConditionDocument],
        kind: Kind,
        rules: &mut Vec<Rule>,
    ) {
        let methods = self.methods(place, methods);
        let path = self.glob(at(place, ["path".into()]), path);
        let conditions: Vec<Condition> = conditions
            .iter()
            .enumerate()
            .filter_map(|(nth, condition)| self.condition(&at(place, ["where".into(), nth.into()]), condition))
            .collect();
        let Some(path) = path else { return };
        let mut asks: Vec<Selector> = conditions.iter().map(|condition| condition.selector).collect();
        match &kind {
            Kind::Login(login) => asks.extend(login.id.iter().chain(&login.account)),
            Kind::Operation { subject, .. } => asks.extend(subject.iter().map(|(_, selector)| *selector)),
            Kind::Step(_) | Kind::Logout => {}
        }
        rules.push(Rule { methods, path, conditions, kind, asks });
    }

    fn methods(&mut self, place: &[PathStep], written: &[String]) -> Vec<Method> {
        let mut methods = Vec::new();
        for (nth, written) in written.iter().enumerate() {
            match Method::from_bytes(written.as_bytes()) {
                Ok(method) if !written.bytes().any(|b| b.is_ascii_lowercase()) => methods.push(method),
                _ => {
                    let place = at(place, ["methods".into(), nth.into()]);
                    let error = DocumentError::new(place, written, "is not a method in capitals, such as POST");
                    self.errors.push(error.candidates([written.to_ascii_uppercase()]));
                }
            }
        }
        methods
    }

    fn glob(&mut self, place: Place, pattern: &str) -> Option<Glob> {
        Glob::compile(pattern).map_err(|problem| self.error(place, pattern, problem)).ok()
    }

    fn condition(&mut self, place: &[PathStep], document: &ConditionDocument) -> Option<Condition> {
        let selector = self.selector(place, &document.selector());
        if document.equals.is_some() && !document.one_of.is_empty() {
            self.error(at(place, ["one_of".into()]), "", "stands beside `equals`; leave one of them out");
        }
        let values = document.equals.iter().map(|value| (at(place, ["equals".into()]), value));
        let several = document.one_of.iter().enumerate();
        let several = several.map(|(nth, value)| (at(place, ["one_of".into(), nth.into()]), value));
        let mut one_of: Vec<Box<str>> = Vec::new();
        for (place, value) in values.chain(several) {
            if value.len() > LONGEST_VALUE {
                self.error(place, value, "is longer than 256 bytes, and no such value is taken from a request");
            }
            one_of.push(value.as_str().into());
        }
        Some(Condition { selector: selector?, one_of })
    }

    /// A selector of something that is read.
    fn selector(&mut self, place: &[PathStep], document: &SelectorDocument) -> Option<Selector> {
        let (key, name) = self.only_key(place, document)?;
        let problem = secret::names(document).find_map(|name| {
            if self.secrets.iter().any(|secret| secret::is_same(secret, &name)) {
                Some("is what `password` or `secrets` names, or is to some servers; that is never read, so choose another value")
            } else if secret::is_called_so(&name) {
                Some("is called as a password or another secret is, and those are never read; choose another value")
            } else {
                None
            }
        });
        if let Some(problem) = problem {
            self.error(at(place, [key.into()]), &name, problem);
            return None;
        }
        match key {
            "path" => Some(Selector::Segment(usize::from(document.path.unwrap_or_default()))),
            "query" => Some(Selector::Query(self.fields.slot(&name))),
            "form" => Some(Selector::Form(self.fields.slot(&name))),
            _ => match self.fields.pointer(&name) {
                Ok(at) => Some(Selector::Json(at)),
                Err(problem) => {
                    self.error(at(place, [key.into()]), &name, problem);
                    None
                }
            },
        }
    }

    /// A selector of something that is never read: only its shape matters.
    fn of_secret(&mut self, place: &[PathStep], document: &SelectorDocument) {
        let Some((key, name)) = self.only_key(place, document) else { return };
        match key {
            "path" => self.error(at(place, [key.into()]), &name, "can't be a secret: paths are recorded"),
            "json" => {
                if let Err(problem) = Pointer::parse(&name) {
                    self.error(at(place, [key.into()]), &name, problem);
                }
            }
            _ => {}
        }
    }

    /// The one key of a selector, and its value.
    fn only_key(&mut self, place: &[PathStep], document: &SelectorDocument) -> Option<(&'static str, String)> {
        let path = document.path.map(|nth| nth.to_string());
        let all = [("path", &path), ("query", &document.query), ("form", &document.form), ("json", &document.json)];
        let mut written = all.into_iter().filter_map(|(key, value)| value.clone().map(|value| (key, value)));
        let Some((key, value)) = written.next() else {
            self.error(place.to_vec(), "", "says not where the value stands; write one of path, query, form or json");
            return None;
        };
        if let Some((second, _)) = written.next() {
            let problem = format!("stands beside `{key}`; a value stands in one place, so leave one of them out");
            self.error(at(place, [second.into()]), "", problem);
            return None;
        }
        let problem = match value.as_str() {
            "" => "is empty; write the name of the value",
            "0" if key == "path" => "is too small; segments are counted from 1",
            name if name.len() > LONGEST_VALUE => "is longer than 256 bytes",
            _ => return Some((key, value)),
        };
        self.error(at(place, [key.into()]), &value, problem);
        None
    }

    fn answers(
        &mut self,
        place: &[PathStep],
        failed: &[AnswerDocument],
        second_step: &[AnswerDocument],
        ok: &[AnswerDocument],
    ) -> Arc<Answers> {
        let mut answers = Answers { known: Vec::new(), pointers: Vec::new(), charset: self.charset };
        for (key, documents) in [("failed", failed), ("second_step", second_step), ("ok", ok)] {
            for (nth, document) in documents.iter().enumerate() {
                let place = at(place, [key.into(), nth.into()]);
                let answered = match key {
                    "failed" => Answered::Failed(document.cause.as_deref().map(Arc::from)),
                    "second_step" => Answered::SecondStep,
                    _ => Answered::Ok,
                };
                if document.cause.is_some() && key != "failed" {
                    self.error(
                        at(&place, ["cause".into()]),
                        "",
                        "stands in an answer that is no failure; leave it out",
                    );
                }
                self.answer(&place, document, answered, &mut answers);
            }
        }
        Arc::new(answers)
    }

    fn expired(&mut self, documents: &[AnswerDocument]) -> Arc<Answers> {
        let mut answers = Answers { known: Vec::new(), pointers: Vec::new(), charset: self.charset };
        for (nth, document) in documents.iter().enumerate() {
            let place = [PathStep::from("expired"), nth.into()];
            for (key, written) in [
                ("text", document.text.is_some()),
                ("json", document.json.is_some()),
                ("cause", document.cause.is_some()),
            ] {
                if written {
                    self.error(
                        at(&place, [key.into()]),
                        "",
                        "has no meaning here, where only the head of an answer is judged; leave it out",
                    );
                }
            }
            self.answer(&place, document, Answered::Unknown, &mut answers);
        }
        Arc::new(answers)
    }

    fn answer(&mut self, place: &[PathStep], document: &AnswerDocument, answered: Answered, answers: &mut Answers) {
        let blank = AnswerDocument { cause: document.cause.clone(), ..AnswerDocument::default() };
        if *document == blank {
            let problem = "holds of every answer; write status, location, not_location, cookie, json or text";
            self.error(place.to_vec(), "", problem);
        }
        for (nth, status) in document.status.iter().enumerate() {
            if !(100..=599).contains(status) {
                let place = at(place, ["status".into(), nth.into()]);
                self.error(place, &status.to_string(), "is not a status of HTTP; they are 100 to 599");
            }
        }
        let mut glob = |key: &str, pattern: &Option<String>| {
            pattern.as_deref().and_then(|pattern| self.glob(at(place, [key.into()]), pattern))
        };
        let location = glob("location", &document.location);
        let not_location = glob("not_location", &document.not_location);
        if let Some(cookie) = &document.cookie {
            self.cookie(at(place, ["cookie".into()]), cookie);
        }
        if document.text.as_deref().is_some_and(|text| text.trim().is_empty() || text.len() > 1024) {
            self.error(at(place, ["text".into()]), "", "must be 1 to 1024 bytes of text");
        }
        if let Some(cause) = document.cause.as_deref().filter(|cause| !is_word(cause)) {
            self.error(at(place, ["cause".into()]), cause, NOT_A_WORD);
        }
        let json = document.json.as_ref().and_then(|json| {
            let is = match (&json.equals, json.present) {
                (Some(value), None) => JsonIs::Equal(value.as_str().into()),
                (Some(_), Some(_)) => {
                    self.error(
                        at(place, ["json".into(), "present".into()]),
                        "",
                        "stands beside `equals`; leave it out",
                    );
                    return None;
                }
                (None, Some(false)) => JsonIs::Absent,
                (None, _) => JsonIs::Present,
            };
            match Pointer::parse(&json.pointer) {
                Err(problem) => {
                    self.error(at(place, ["json".into(), "pointer".into()]), &json.pointer, problem);
                    None
                }
                Ok(pointer) => {
                    answers.pointers.push(pointer);
                    Some(JsonTest { pointer: answers.pointers.len() - 1, is })
                }
            }
        });
        answers.known.push(Known {
            status: document.status.clone(),
            location,
            not_location,
            cookie: document.cookie.clone(),
            json,
            text: document.text.as_deref().map(Into::into),
            answered,
        });
    }
}

fn or_post(methods: &[String]) -> Vec<String> {
    if methods.is_empty() { vec!["POST".to_owned()] } else { methods.to_vec() }
}

fn is_month_or_day(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    let within = |part: &str, length: usize, most: u16| {
        part.len() == length
            && part.bytes().all(|b| b.is_ascii_digit())
            && part.parse::<u16>().is_ok_and(|n| (1..=most).contains(&n))
    };
    match parts[..] {
        [year, month] => within(year, 4, 9999) && within(month, 2, 12),
        [year, month, day] => within(year, 4, 9999) && within(month, 2, 12) && within(day, 2, 31),
        _ => false,
    }
}
