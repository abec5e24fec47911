//! Random tokens and how they are kept: as SHA-256, never as themselves.
//!
//! A plain hash is enough, because a token has 256 random bits: there is nothing to guess.

use std::fmt;

use data_encoding::BASE64URL_NOPAD;
use ring::digest::{Context, SHA256};
use ring::rand::{SecureRandom, SystemRandom};

use crate::IdentityError;

/// 256 random bits, written as 43 characters of base64url. It authenticates, so `Debug` shows nothing of it.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(Box<str>);

impl Token {
    pub(crate) fn random() -> Result<Self, IdentityError> {
        Ok(Self::encode(&random::<32>()?))
    }

    pub(crate) fn encode(bytes: &[u8; 32]) -> Self {
        Self(BASE64URL_NOPAD.encode(bytes).into())
    }

    /// The text to put into a cookie or a URL, and nowhere else.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

/// SHA-256 of something secret; what maps and tables are keyed by.
pub(crate) type Digest = [u8; 32];

pub(crate) fn random<const N: usize>() -> Result<[u8; N], IdentityError> {
    let mut bytes = [0; N];
    SystemRandom::new().fill(&mut bytes).map_err(|_| IdentityError::Random)?;
    Ok(bytes)
}

/// The bytes behind a token's text, or `None` if it can't be one of ours.
pub(crate) fn parse(token: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    // The length is checked first: `decode_mut` insists that the buffer fits.
    (token.len() == 43 && BASE64URL_NOPAD.decode_mut(token.as_bytes(), &mut bytes).is_ok()).then_some(bytes)
}

/// `scope` keeps hashes of different uses (and of different hosts) apart.
pub(crate) fn digest(scope: &str, bytes: &[u8]) -> Digest {
    let mut context = Context::new(&SHA256);
    // The length first, so that no scope and value run into another pair.
    context.update(&(scope.len() as u64).to_be_bytes());
    context.update(scope.as_bytes());
    context.update(bytes);
    let mut out = [0; 32];
    out.copy_from_slice(context.finish().as_ref());
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_reads_back_and_shows_nothing_of_itself() -> Result<(), IdentityError> {
        let token = Token::random()?;
        let bytes = parse(token.as_str()).unwrap();
        assert_eq!(Token::encode(&bytes), token);
        assert_ne!(Token::random()?, token);
        assert!(!format!("{token:?}").contains(token.as_str()));
        Ok(())
    }

    #[test]
    fn what_is_no_token_is_refused() {
        let long = "A".repeat(44);
        for wrong in ["", "A", "あ", &long, &"=".repeat(43), &"!".repeat(43)] {
            assert!(parse(wrong).is_none(), "{wrong}");
        }
    }

    #[test]
    fn scope_and_value_do_not_run_into_each_other() {
        assert_ne!(digest("a", b"bc"), digest("ab", b"c"));
    }
}
