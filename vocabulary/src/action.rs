//! What a request does to the records behind it.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a request does, as rules name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[repr(u8)]
pub enum Action {
    /// Reads a page or a record.
    View = 0,
    /// Changes a record.
    Edit = 1,
    /// Brings a file into the SaaS.
    Upload = 2,
    /// Takes a file out of the SaaS.
    Download = 3,
    /// Removes a record.
    Delete = 4,
    /// Signs in to the SaaS itself.
    Login = 5,
    /// Changes settings or accounts of the SaaS.
    Admin = 6,
    /// Can't be told. Allowed only by name.
    Unknown = 7,
}

/// The word is none of `view edit upload download delete login admin unknown`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not an action; the actions are view, edit, upload, download, delete, login, admin, unknown")]
pub struct ParseActionError(pub String);

impl Action {
    pub const ALL: [Self; 8] =
        [Self::View, Self::Edit, Self::Upload, Self::Download, Self::Delete, Self::Login, Self::Admin, Self::Unknown];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::View => "view",
            Self::Edit => "edit",
            Self::Upload => "upload",
            Self::Download => "download",
            Self::Delete => "delete",
            Self::Login => "login",
            Self::Admin => "admin",
            Self::Unknown => "unknown",
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Action {
    type Err = ParseActionError;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|a| a.as_str() == s).ok_or_else(|| ParseActionError(s.to_owned()))
    }
}

/// A set of actions, one bit each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct ActionSet(u8);

impl ActionSet {
    pub const EMPTY: Self = Self(0);

    pub const fn contains(self, action: Action) -> bool {
        self.0 & (1 << action as u8) != 0
    }

    pub const fn with(self, action: Action) -> Self {
        Self(self.0 | (1 << action as u8))
    }

    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub fn iter(self) -> impl Iterator<Item = Action> {
        Action::ALL.into_iter().filter(move |a| self.contains(*a))
    }
}

impl FromIterator<Action> for ActionSet {
    fn from_iter<I: IntoIterator<Item = Action>>(actions: I) -> Self {
        actions.into_iter().fold(Self::EMPTY, Self::with)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_action_reads_back_from_its_word() {
        for action in Action::ALL {
            assert_eq!(action.as_str().parse(), Ok(action));
            assert!(ActionSet::EMPTY.with(action).contains(action));
        }
        assert!("View".parse::<Action>().is_err());
    }

    #[test]
    fn a_set_holds_exactly_what_was_put_in() {
        let set: ActionSet = [Action::View, Action::Unknown].into_iter().collect();
        assert_eq!(set.iter().collect::<Vec<_>>(), [Action::View, Action::Unknown]);
    }
}
