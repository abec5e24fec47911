//! Whose the data in a browser are: the mark that a sign-in leaves on each host, so that nobody inherits what
//! somebody else's SaaS left there.
//!
//! A mark is 16 bytes that stand for a person on a host and 16 by which we know it for ours. It names nobody, opens
//! nothing, and can't be made by anybody else: a wrong one makes the gate clear too much, never too little. The key
//! lies in the state database, because cookies of a SaaS outlive the gate's process.

use std::fmt;

use ring::hmac;
use store::Store;
use vocabulary::PersonId;

use crate::IdentityError;
use crate::secret::{self, Token};

/// Makes marks and reads them. Clones share the key.
#[derive(Clone)]
pub struct Owners(hmac::Key);

impl Owners {
    pub(crate) fn open(store: &Store) -> Result<Self, IdentityError> {
        let fresh = secret::random::<32>()?;
        let bytes = store.transaction(|tx| {
            tx.execute(
                "INSERT INTO identity_key (name, bytes) VALUES ('owner', $1) ON CONFLICT (name) DO NOTHING",
                &[fresh[..].into()],
            )?;
            let rows = tx.query("SELECT bytes FROM identity_key WHERE name = 'owner'", &[])?;
            rows.first().map(|row| Ok::<_, IdentityError>(row.bytes(0)?.to_vec())).transpose()
        })?;
        Ok(Self(hmac::Key::new(hmac::HMAC_SHA256, bytes.as_deref().unwrap_or(&fresh))))
    }

    /// The mark of a person. `scope` keeps hosts, and paths on them, apart.
    pub fn mark(&self, scope: &str, person: &PersonId) -> String {
        let tag = self.half("person", scope, person.as_str().as_bytes());
        let seal = self.half("seal", scope, &tag);
        let mut bytes = [0; 32];
        bytes[..16].copy_from_slice(&tag);
        bytes[16..].copy_from_slice(&seal);
        Token::encode(&bytes).as_str().to_owned()
    }

    /// Whether we made the mark for this scope, whoever's it is.
    pub fn is_ours(&self, scope: &str, mark: &str) -> bool {
        secret::parse(mark).is_some_and(|bytes| self.half("seal", scope, &bytes[..16]) == bytes[16..])
    }

    /// Whether the mark is this person's.
    pub fn is_of(&self, scope: &str, mark: &str, person: &PersonId) -> bool {
        mark == self.mark(scope, person)
    }

    fn half(&self, use_: &str, scope: &str, bytes: &[u8]) -> [u8; 16] {
        let mut context = hmac::Context::with_key(&self.0);
        // Lengths first, so that no two parts run into others.
        for part in [use_.as_bytes(), scope.as_bytes(), bytes] {
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part);
        }
        let mut half = [0; 16];
        half.copy_from_slice(&context.sign().as_ref()[..16]);
        half
    }
}

impl fmt::Debug for Owners {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Owners(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_one_persons_on_one_host_and_survives_a_restart() -> Result<(), IdentityError> {
        let store = Store::in_memory()?;
        store.migrate(crate::schema::OWNER, crate::schema::MIGRATIONS)?;
        let (sato, suzuki): (PersonId, PersonId) = ("sato".parse().unwrap(), "suzuki".parse().unwrap());
        let mark = Owners::open(&store)?.mark("a.gw.example", &sato);
        let owners = Owners::open(&store)?;
        assert!(owners.is_of("a.gw.example", &mark, &sato) && owners.is_ours("a.gw.example", &mark));
        assert!(!owners.is_of("a.gw.example", &mark, &suzuki));
        assert!(!owners.is_of("b.gw.example", &mark, &sato) && !owners.is_ours("b.gw.example", &mark));
        assert!(!mark.contains("sato"));
        let forged = format!("{}A", &mark[..42]);
        for wrong in ["", "x", &forged, Token::encode(&[7; 32]).as_str()] {
            assert!(!owners.is_ours("a.gw.example", wrong) || wrong == mark, "{wrong}");
        }
        Ok(())
    }
}
