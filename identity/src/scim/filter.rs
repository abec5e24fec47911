//! Filters (RFC 7644, 3.4.2.2): the tree, and its text. What a tree means is in `evaluate`.

mod parse;

use std::fmt;

pub(super) use parse::patch_path;

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
        parse::filter(text)
    }
}

impl AttributePath {
    /// Reads a path without a value filter.
    ///
    /// # Errors
    /// It is not of that form.
    pub fn parse(text: &str) -> Result<Self, FilterError> {
        parse::attribute(text)
    }
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
