//! From text to a filter: a parser by recursive descent, bounded in length and depth.
//!
//! Besides the RFC's grammar, `emails[type eq "work"].value eq "x"` is understood, which Entra ID sends.

use super::{AttributePath, Filter, FilterError, Literal, Operator};

/// The longest filter that is read, in bytes.
const LONGEST: usize = 4_096;
/// How deep brackets and `not` may nest.
const DEEPEST: usize = 24;

pub(super) fn filter(text: &str) -> Result<Filter, FilterError> {
    if text.len() > LONGEST {
        return Err(FilterError { problem: "the filter is longer than 4,096 bytes", at: 1 });
    }
    let mut parser = Parser::new(text);
    let filter = parser.either()?;
    parser.space();
    match parser.rest().is_empty() {
        true => Ok(filter),
        false => parser.fail("`and`, `or` or the end is expected"),
    }
}

pub(super) fn attribute(text: &str) -> Result<AttributePath, FilterError> {
    let mut parser = Parser::new(text);
    let path = parser.attribute()?;
    match parser.rest().is_empty() {
        true => Ok(path),
        false => parser.fail("only letters, digits, `-`, `_`, `$`, `.` and `:` belong into an attribute's name"),
    }
}

/// A PATCH path as read: an attribute, then perhaps a filter over its values, then perhaps a part of the value.
pub(in crate::scim) fn patch_path(text: &str) -> Result<(AttributePath, Option<Filter>), FilterError> {
    if text.len() > LONGEST {
        return Err(FilterError { problem: "the path is longer than 4,096 bytes", at: 1 });
    }
    let mut parser = Parser::new(text.trim());
    let mut path = parser.attribute()?;
    let filter = match parser.eat('[') {
        true => Some(parser.bracketed()?),
        false => None,
    };
    if filter.is_some() && parser.eat('.') {
        path.sub = Some(parser.word()?.to_owned());
    }
    match parser.rest().is_empty() {
        true => Ok((path, filter)),
        false => parser.fail("the path should end"),
    }
}

struct Parser<'t> {
    text: &'t str,
    at: usize,
    depth: usize,
    /// Between `[` and `]`, where brackets can't stand again.
    inside: bool,
}

impl<'t> Parser<'t> {
    const fn new(text: &'t str) -> Self {
        Self { text, at: 0, depth: 0, inside: false }
    }

    fn rest(&self) -> &'t str {
        &self.text[self.at..]
    }

    fn fail<T>(&self, problem: &'static str) -> Result<T, FilterError> {
        Err(FilterError { problem, at: self.text[..self.at].chars().count() + 1 })
    }

    fn space(&mut self) {
        self.at = self.text.len() - self.rest().trim_start_matches([' ', '\t']).len();
    }

    fn eat(&mut self, c: char) -> bool {
        let there = self.rest().starts_with(c);
        self.at += if there { c.len_utf8() } else { 0 };
        there
    }

    /// A keyword followed by no further letter of a name.
    fn keyword(&mut self, word: &str) -> bool {
        let rest = self.rest();
        let found = rest.get(..word.len()).is_some_and(|w| w.eq_ignore_ascii_case(word))
            && !rest[word.len()..].starts_with(|c: char| is_name(c) || c == '.' || c == ':');
        self.at += if found { word.len() } else { 0 };
        found
    }

    fn deeper<T>(&mut self, work: impl FnOnce(&mut Self) -> Result<T, FilterError>) -> Result<T, FilterError> {
        if self.depth == DEEPEST {
            return self.fail("the filter nests too deep");
        }
        self.depth += 1;
        let result = work(self);
        self.depth -= 1;
        result
    }

    fn either(&mut self) -> Result<Filter, FilterError> {
        let mut filter = self.both()?;
        loop {
            self.space();
            if !self.keyword("or") {
                return Ok(filter);
            }
            filter = Filter::Or(filter.into(), self.both()?.into());
        }
    }

    fn both(&mut self) -> Result<Filter, FilterError> {
        let mut filter = self.one()?;
        loop {
            self.space();
            if !self.keyword("and") {
                return Ok(filter);
            }
            filter = Filter::And(filter.into(), self.one()?.into());
        }
    }

    fn one(&mut self) -> Result<Filter, FilterError> {
        self.space();
        let before = self.at;
        if self.keyword("not") {
            self.space();
            if self.rest().starts_with('(') {
                return self.deeper(|p| Ok(Filter::Not(p.grouped()?.into())));
            }
            // An attribute may be called so.
            self.at = before;
        }
        match self.rest().starts_with('(') {
            true => self.deeper(Self::grouped),
            false => self.expression(),
        }
    }

    fn grouped(&mut self) -> Result<Filter, FilterError> {
        self.eat('(');
        let filter = self.either()?;
        self.space();
        match self.eat(')') {
            true => Ok(filter),
            false => self.fail("`)` is missing"),
        }
    }

    /// What follows `[`, up to and with `]`.
    fn bracketed(&mut self) -> Result<Filter, FilterError> {
        if std::mem::replace(&mut self.inside, true) {
            return self.fail("`[` can't stand inside of `[ ]`");
        }
        let filter = self.deeper(Self::either)?;
        self.inside = false;
        self.space();
        match self.eat(']') {
            true => Ok(filter),
            false => self.fail("`]` is missing"),
        }
    }

    fn expression(&mut self) -> Result<Filter, FilterError> {
        let path = self.attribute()?;
        if self.eat('[') {
            let inner = self.bracketed()?;
            if !self.eat('.') {
                return Ok(Filter::Where(path, inner.into()));
            }
            let sub = AttributePath { urn: None, name: self.word()?.to_owned(), sub: None };
            let compared = self.comparison(sub)?;
            return Ok(Filter::Where(path, Filter::And(inner.into(), compared.into()).into()));
        }
        self.comparison(path)
    }

    fn comparison(&mut self, path: AttributePath) -> Result<Filter, FilterError> {
        self.space();
        if self.keyword("pr") {
            return Ok(Filter::Present(path));
        }
        let Some(operator) = Operator::ALL.into_iter().find(|o| self.keyword(o.as_str())) else {
            return self.fail("an operator is expected: eq, ne, co, sw, ew, gt, ge, lt, le or pr");
        };
        self.space();
        Ok(Filter::Compare(path, operator, self.literal()?))
    }

    fn literal(&mut self) -> Result<Literal, FilterError> {
        for (word, literal) in [("true", Literal::Bool(true)), ("false", Literal::Bool(false)), ("null", Literal::Null)]
        {
            if self.keyword(word) {
                return Ok(literal);
            }
        }
        let rest = self.rest();
        let (literal, length) = match rest.bytes().next() {
            Some(b'"') => {
                let mut values = serde_json::Deserializer::from_str(rest).into_iter::<String>();
                (values.next().and_then(Result::ok).map(Literal::Text), values.byte_offset())
            }
            Some(b'-' | b'0'..=b'9') => {
                let length = rest.find(|c: char| !matches!(c, '0'..='9' | '-' | '+' | '.' | 'e' | 'E'));
                let length = length.unwrap_or(rest.len());
                (serde_json::from_str(&rest[..length]).ok().map(Literal::Number), length)
            }
            _ => return self.fail("a value is expected: a string in `\"`, a number, true, false or null"),
        };
        let Some(literal) = literal else { return self.fail("the value can't be read; it is written as in JSON") };
        self.at += length;
        Ok(literal)
    }

    fn word(&mut self) -> Result<&'t str, FilterError> {
        let rest = self.rest();
        let length = rest.find(|c| !is_name(c)).unwrap_or(rest.len());
        if length == 0 {
            return self.fail("an attribute's name is expected");
        }
        self.at += length;
        Ok(&rest[..length])
    }

    fn attribute(&mut self) -> Result<AttributePath, FilterError> {
        let rest = self.rest();
        let length = rest.find(|c| !(is_name(c) || c == '.' || c == ':')).unwrap_or(rest.len());
        let whole = &rest[..length];
        // A URN holds dots and colons itself: what follows its last colon is the attribute.
        let (urn, attribute) = match whole.rsplit_once(':') {
            Some((urn, attribute)) => (Some(urn.to_owned()), attribute),
            None => (None, whole),
        };
        let (name, sub) = match attribute.split_once('.') {
            Some((name, sub)) => (name, Some(sub)),
            None => (attribute, None),
        };
        let good = |word: &str| !word.is_empty() && word.chars().all(is_name);
        if !good(name) || sub.is_some_and(|s| !good(s)) || urn.as_ref().is_some_and(String::is_empty) {
            return self.fail("an attribute's name is expected");
        }
        self.at += length;
        Ok(AttributePath { urn, name: name.to_owned(), sub: sub.map(str::to_owned) })
    }
}

const fn is_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '$')
}
