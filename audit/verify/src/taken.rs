//! The three kinds of files that are taken from a log, told from each other: people mix them up.

use std::path::Path;

use crate::error::Error;

/// What is taken from a log, told by how it begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// `.sekisho-export`.
    Bundle,
    /// `.tlog-proof`.
    Proof,
    /// `.tlog-consistency`.
    Consistency,
}

impl Taken {
    pub(crate) fn of(bytes: &[u8]) -> Option<Self> {
        let bytes = bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(bytes);
        let begins = [
            (&b"sekisho-export/"[..], Self::Bundle),
            (b"c2sp.org/tlog-proof@", Self::Proof),
            (b"old ", Self::Consistency),
        ];
        begins.into_iter().find_map(|(beginning, taken)| bytes.starts_with(beginning).then_some(taken))
    }

    /// What to do with it.
    pub(crate) fn hint(self) -> &'static str {
        match self {
            Self::Bundle => "It is an export bundle: `audit-verify bundle` verifies it",
            Self::Proof => "It is the proof of one record: `audit-verify proof` verifies it",
            Self::Consistency => {
                "It is a consistency proof, which comes second: `audit-verify consistency OLDER-CHECKPOINT PROOF`"
            }
        }
    }

    /// An error if the file is something else that is known.
    pub(crate) fn expect(self, bytes: &[u8], path: &Path) -> Result<(), Error> {
        match Self::of(bytes) {
            Some(other) if other != self => Err(Error::OtherKind { path: path.to_owned(), is: other }),
            _ => Ok(()),
        }
    }
}
