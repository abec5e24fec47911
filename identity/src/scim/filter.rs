//! Filters (RFC 7644, 3.4.2.2): from text to a tree and back. What a tree means is in `evaluate`.
//!
//! Besides the RFC's grammar, `emails[type eq "work"].value eq "x"` is understood, which Entra ID sends.

use std::fmt;

/// The longest filter that is read, in bytes.
const LONGEST: usize = 4_096;
/// How deep brackets and `not` may nest.
const DEEPEST: usize = 24;

/// `urn:…:User:name.familyName`: an attribute as a client names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttributePath {
    /// The schema, where it is named.
    pub urn: Option<String>,
    pub name: String,
    pub sub: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operator {
    Equal,
    NotEqual,
    Contains,
    StartsWith,
    EndsWith,
    Greater,
    GreaterOrEqual,
    Less,
    LessOrEqual,
}

impl Operator {
    pub const ALL: [Self; 9] = [
        Self::Equal,
        Self::NotEqual,
        Self::Contains,
        Self::StartsWith,
        Self::EndsWith,
        Self::Greater,
        Self::GreaterOrEqual,
        Self::Less,
        Self::LessOrEqual,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Equal => "eq",
            Self::NotEqual => "ne",
            Self::Contains => "co",
            Self::StartsWith => "sw",
            Self::EndsWith => "ew",
            Self::Greater => "gt",
            Self::GreaterOrEqual => "ge",
            Self::Less => "lt",
            Self::LessOrEqual => "le",
        }
    }
}

/// What an attribute is compared with: JSON without arrays and objects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Literal {
    Text(String),
    Bool(bool),
    Number(serde_json::Number),
    Null,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Filter {
    Compare(AttributePath, Operator, Literal),
    Present(AttributePath),
    /// `emails[…]`: one value of the attribute meets all of it.
    Where(AttributePath, Box<Filter>),
    Not(Box<Filter>),
    And(Box<Filter>, Box<Filter>),
    Or(Box<Filter>, Box<Filter>),
}

/// The text is no filter.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{problem} at character {at}")]
pub struct FilterError {
    pub problem: &'static str,
    /// Counted from 1.
    pub at: usize,
}

impl Filter {
    /// Reads a filter. Names and operators are without case.
    ///
    /// # Errors
    /// The text is longer than 4 KiB, nests too deep, or is no filter.
    pub fn parse(text: &str) -> Result<Self, FilterError> {
        if text.len() > LONGEST {
            return Err(FilterError { problem: "the filter is longer than 4,096 bytes", at: 1 });
        }
        let mut parser = Parser { text, at: 0, depth: 0, inside: false };
        let filter = parser.either()?;
        parser.space();
        match parser.rest().is_empty() {
            true => Ok(filter),
            false => parser.fail("`and`, `or` or the end is expected"),
        }
    }
}

impl AttributePath {
    /// Reads a path without a value filter.
    ///
    /// # Errors
    /// It is not of that form.
    pub fn parse(text: &str) -> Result<Self, FilterError> {
        let mut parser = Parser { text, at: 0, depth: 0, inside: false };
        let path = parser.attribute()?;
        match parser.rest().is_empty() {
            true => Ok(path),
            false => parser.fail("only letters, digits, `-`, `_`, `$`, `.` and `:` belong into an attribute's name"),
        }
    }
}

/// A PATCH path as read: an attribute, then perhaps a filter over its values, then perhaps a part of the value.
pub(super) fn parse_path(text: &str) -> Result<(AttributePath, Option<Filter>), FilterError> {
    if text.len() > LONGEST {
        return Err(FilterError { problem: "the path is longer than 4,096 bytes", at: 1 });
    }
    let mut parser = Parser { text: text.trim(), at: 0, depth: 0, inside: false };
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

impl fmt::Display for AttributePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(urn) = &self.urn {
            write!(f, "{urn}:")?;
        }
        f.write_str(&self.name)?;
        self.sub.as_ref().map_or(Ok(()), |sub| write!(f, ".{sub}"))
    }
}

impl fmt::Display for Literal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => write!(f, "{}", serde_json::Value::from(text.as_str())),
            Self::Bool(bool) => write!(f, "{bool}"),
            Self::Number(number) => write!(f, "{number}"),
            Self::Null => f.write_str("null"),
        }
    }
}

/// The shortest text that reads back as the same tree.
impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let grouped = |f: &mut fmt::Formatter<'_>, filter: &Self, group: bool| match group {
            true => write!(f, "({filter})"),
            false => write!(f, "{filter}"),
        };
        match self {
            Self::Compare(path, operator, literal) => write!(f, "{path} {} {literal}", operator.as_str()),
            Self::Present(path) => write!(f, "{path} pr"),
            Self::Where(path, inner) => write!(f, "{path}[{inner}]"),
            Self::Not(inner) => write!(f, "not ({inner})"),
            Self::And(left, right) => {
                grouped(f, left, matches!(**left, Self::Or(..)))?;
                f.write_str(" and ")?;
                grouped(f, right, matches!(**right, Self::Or(..) | Self::And(..)))
            }
            Self::Or(left, right) => {
                write!(f, "{left} or ")?;
                grouped(f, right, matches!(**right, Self::Or(..)))
            }
        }
    }
}

#[cfg(test)]
mod tests;
