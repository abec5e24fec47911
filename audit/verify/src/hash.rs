//! The hashes of RFC 6962, section 2.1, with SHA-256.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest as _, Sha256};

/// A leaf's or a node's hash. Written as base64 (RFC 4648, section 4), as in checkpoints and proofs.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Hash(pub [u8; 32]);

/// How many bytes a hash takes in a tile.
pub const HASH_BYTES: usize = 32;

/// `SHA-256(0x00 ‖ leaf)`.
#[must_use]
pub fn leaf_hash(leaf: &[u8]) -> Hash {
    Hash(Sha256::new_with_prefix([0]).chain_update(leaf).finalize().into())
}

/// `SHA-256(0x01 ‖ left ‖ right)`.
#[must_use]
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    let mut node = [1; 1 + 2 * HASH_BYTES];
    node[1..=HASH_BYTES].copy_from_slice(&left.0);
    node[1 + HASH_BYTES..].copy_from_slice(&right.0);
    Hash(Sha256::digest(node).into())
}

/// The root of the tree without leaves: the hash of nothing.
#[must_use]
pub fn empty_root() -> Hash {
    Hash(Sha256::digest([]).into())
}

/// The root over hashes that stand side by side: of leaves, or of complete subtrees of one size. The last of them may be the
/// root of a smaller subtree. `None` if there are none.
///
/// RFC 6962 splits n leaves at the largest power of two below n. That is the same as to pair neighbours, level by level, and
/// to carry the last one up where it has no neighbour.
#[must_use]
pub fn root_over(hashes: &[Hash]) -> Option<Hash> {
    let mut level = hashes.to_vec();
    root_in_place(&mut level)
}

/// [`root_over`], using up what it is given.
pub(crate) fn root_in_place(level: &mut [Hash]) -> Option<Hash> {
    let mut width = level.len();
    while width > 1 {
        for pair in 0..width / 2 {
            level[pair] = node_hash(&level[2 * pair], &level[2 * pair + 1]);
        }
        if width % 2 == 1 {
            level[width / 2] = level[width - 1];
        }
        width = width.div_ceil(2);
    }
    level.first().copied()
}

impl Hash {
    /// Reads the 44 characters of base64.
    #[must_use]
    pub fn from_base64(text: &str) -> Option<Self> {
        let mut bytes = [0; HASH_BYTES + 1];
        // 44 characters say nothing yet: padding makes 31, 32 or 33 bytes of them.
        if text.len() != 44 {
            return None;
        }
        let length = STANDARD.decode_slice(text, &mut bytes).ok()?;
        if length != HASH_BYTES {
            return None;
        }
        bytes[..HASH_BYTES].try_into().ok().map(Self)
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&STANDARD.encode(self.0))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }
}

impl Serialize for Hash {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Hash {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        Self::from_base64(&text).ok_or_else(|| serde::de::Error::custom("not 32 bytes in base64"))
    }
}
