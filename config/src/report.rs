//! What is wrong with a configuration, for people and for programs.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::Serialize;
use vocabulary::{DisplayPath, DocumentError, PathStep};

use crate::nearest::nearest;
use crate::yaml::Place;

/// Everything that is wrong with a configuration file, in the order of its lines, and then with the recipes it names.
///
/// Displayed, it has one line per problem: `sekisho.yaml:12:9: policy[2].apps[0]: ...`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, thiserror::Error)]
pub struct Report {
    /// At least one.
    pub problems: Vec<Problem>,
    /// The file could not be read at all, so nothing is known about what it says.
    pub unreadable: bool,
}

/// One thing that is wrong, and where.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// The configuration file, as its path was given, or that of a recipe.
    pub file: PathBuf,
    /// From 1; 0 if the problem is the file's as a whole.
    pub line: usize,
    /// In characters, from 1; 0 if the problem is the file's as a whole.
    pub column: usize,
    /// Where in the document: `policy[2].apps[0]`. Empty at its root.
    pub path: String,
    /// The offending value or key as written; nothing if something is missing, or might be a secret.
    pub value: Option<String>,
    /// What is wrong and what to do.
    pub problem: String,
    /// The nearest value or key that would be right here.
    pub suggestion: Option<String>,
}

impl Report {
    /// With the problems of the files that the configuration names.
    #[must_use]
    pub(crate) fn and(mut self, problems: Vec<Problem>) -> Self {
        self.problems.extend(problems);
        self
    }
}

/// Values longer than this are cut in messages, counted in characters.
const LONGEST_VALUE: usize = 80;

impl Problem {
    pub(crate) fn at(file: &Path, place: Place, error: &DocumentError) -> Self {
        let value = (!error.value.is_empty() && !may_be_secret(error)).then(|| shorten(&error.value));
        let suggestion = nearest(&error.value, &error.candidates);
        let mut problem = error.problem.clone();
        if suggestion.is_none() && (1..=12).contains(&error.candidates.len()) {
            problem.push_str(&format!("; here it may be {}", error.candidates.join(", ")));
        }
        Self {
            file: file.to_owned(),
            line: place.line,
            column: place.column,
            // A key may be anything that somebody wrote.
            path: DisplayPath(&error.path).to_string().chars().map(visible).collect(),
            value,
            // It may repeat what somebody wrote.
            problem: problem.chars().map(visible).collect(),
            suggestion,
        }
    }

    pub(crate) fn of_file(file: &Path, problem: impl Into<String>) -> Self {
        Self::at(file, Place { line: 0, column: 0 }, &DocumentError::new([], "", problem))
    }
}

/// What somebody wrote under such a key must not end in a terminal's history or a log, even where the key is wrong.
fn may_be_secret(error: &DocumentError) -> bool {
    let address_with_password = error.value.contains("://") && error.value.contains('@');
    if address_with_password || error.value.contains("PRIVATE KEY") {
        return true;
    }
    error.path.iter().any(|step| match step {
        PathStep::Key(key) => {
            let key = key.to_ascii_lowercase();
            let secret = ["secret", "password", "passphrase", "token", "credential"].iter().any(|w| key.contains(w));
            secret && !key.ends_with("_file")
        }
        PathStep::Index(_) => false,
    })
}

fn visible(c: char) -> char {
    if c.is_control() { '\u{fffd}' } else { c }
}

fn shorten(value: &str) -> String {
    let mut chars = value.chars().map(visible);
    let mut short: String = chars.by_ref().take(LONGEST_VALUE).collect();
    if chars.next().is_some() {
        short.push('…');
    }
    short
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if self.line > 0 {
            write!(f, ":{}:{}", self.line, self.column)?;
        }
        f.write_str(": ")?;
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        if let Some(value) = self.value.as_ref().filter(|value| !self.problem.contains(&format!("`{value}`"))) {
            write!(f, "`{value}` ")?;
        }
        f.write_str(&self.problem)?;
        match &self.suggestion {
            Some(suggestion) => write!(f, "; did you mean `{suggestion}`?"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, problem) in self.problems.iter().enumerate() {
            if position > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{problem}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(error: &DocumentError) -> String {
        Problem::at(Path::new("sekisho.yaml"), Place { line: 12, column: 9 }, error).to_string()
    }

    #[test]
    fn a_problem_reads_as_one_line_with_its_place_and_a_way_out() {
        let path = ["policy".into(), 2.into(), "apps".into(), 0.into()];
        let error =
            DocumentError::new(path, "kaipok", "is not an app").candidates(["kaipoke".into(), "records".into()]);
        assert_eq!(
            shown(&error),
            "sekisho.yaml:12:9: policy[2].apps[0]: `kaipok` is not an app; did you mean `kaipoke`?"
        );
    }

    #[test]
    fn what_may_be_a_secret_is_not_repeated() {
        let path = ["identity".into(), "client_secret".into()];
        assert!(!shown(&DocumentError::new(path, "hunter2", "is wrong")).contains("hunter2"));
        let path = ["apps".into(), 0.into(), "upstream".into()];
        assert!(!shown(&DocumentError::new(path, "https://me:hunter2@saas.example", "is wrong")).contains("hunter2"));
        let path = ["ca".into(), "passphrase_file".into()];
        assert!(shown(&DocumentError::new(path, "/etc/x", "is wrong")).contains("/etc/x"));
    }

    #[test]
    fn a_long_or_odd_value_stays_on_its_line() {
        let line = shown(&DocumentError::new(["a".into()], format!("x\n{}", "あ".repeat(200)), "is wrong"));
        assert_eq!(line.lines().count(), 1);
        assert!(line.contains('…'));
    }
}
