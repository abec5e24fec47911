//! From a recipe as written to one that works, or to everything that is wrong with it.

mod answers;
mod selectors;

use std::sync::Arc;

use encoding_rs::{Encoding, UTF_8};
use http::Method;
use vocabulary::{Action, DocumentError, PathStep};

use super::document::{ConditionDocument, LoginDocument, OperationDocument, Output, RecipeDocument};
use super::fields::{Fields, Selector};
use super::route::{Condition, Kind, Login, Rule};
use super::{ACCOUNT, Operation, Recipe, charset, exchange, secret};
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
