//! The two proofs of RFC 6962, and a tree's root from complete subtrees that come one after the other.
//!
//! The procedures are those of RFC 9162, sections 2.1.3.2 and 2.1.4.2, which says how to verify what RFC 6962 says how to make.

use crate::hash::{Hash, empty_root, node_hash};

/// Whether `proof` leads from the leaf with this index to the root of a tree of `size` leaves.
#[must_use]
pub fn verify_inclusion(leaf: Hash, index: u64, size: u64, proof: &[Hash], root: Hash) -> bool {
    if index >= size {
        return false;
    }
    let (mut node, mut last) = (index, size - 1);
    let mut hash = leaf;
    for sibling in proof {
        if last == 0 {
            return false;
        }
        if node & 1 == 1 || node == last {
            hash = node_hash(sibling, &hash);
            while node & 1 == 0 && node != 0 {
                node >>= 1;
                last >>= 1;
            }
        } else {
            hash = node_hash(&hash, sibling);
        }
        node >>= 1;
        last >>= 1;
    }
    last == 0 && hash == root
}

/// Whether `proof` shows that the tree of `old` leaves with `old_root` is a prefix of that of `new` leaves with `new_root`.
#[must_use]
pub fn verify_consistency(old: u64, old_root: Hash, new: u64, new_root: Hash, proof: &[Hash]) -> bool {
    if old > new {
        return false;
    }
    if old == 0 {
        return proof.is_empty() && old_root == empty_root();
    }
    if old == new {
        return proof.is_empty() && old_root == new_root;
    }
    let mut rest = proof.iter();
    // A power of two is a node of the new tree: the proof leaves out what the verifier has.
    let first = if old.is_power_of_two() { Some(old_root) } else { rest.next().copied() };
    let Some(first) = first else { return false };
    let (mut node, mut last) = (old - 1, new - 1);
    while node & 1 == 1 {
        node >>= 1;
        last >>= 1;
    }
    let (mut old_hash, mut new_hash) = (first, first);
    for sibling in rest {
        if last == 0 {
            return false;
        }
        if node & 1 == 1 || node == last {
            old_hash = node_hash(sibling, &old_hash);
            new_hash = node_hash(sibling, &new_hash);
            while node & 1 == 0 && node != 0 {
                node >>= 1;
                last >>= 1;
            }
        } else {
            new_hash = node_hash(&new_hash, sibling);
        }
        node >>= 1;
        last >>= 1;
    }
    last == 0 && old_hash == old_root && new_hash == new_root
}

/// A tree that grows by complete subtrees, each beginning where the one before ended.
#[derive(Debug, Clone, Default)]
pub struct Frontier {
    /// Level (the subtree has 2^level leaves) and hash; levels strictly descend.
    subtrees: Vec<(u32, Hash)>,
    size: u64,
}

impl Frontier {
    /// How many leaves there are.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Appends a complete subtree of 2^`level` leaves. `false`, and nothing is done, if such a subtree can't begin here.
    #[must_use]
    pub fn push(&mut self, level: u32, hash: Hash) -> bool {
        let Some(leaves) = 1_u64.checked_shl(level) else { return false };
        let Some(size) = self.size.checked_add(leaves) else { return false };
        if !self.size.is_multiple_of(leaves) {
            return false;
        }
        let (mut level, mut hash) = (level, hash);
        while let Some(&(below, left)) = self.subtrees.last()
            && below == level
        {
            self.subtrees.pop();
            hash = node_hash(&left, &hash);
            level += 1;
        }
        self.subtrees.push((level, hash));
        self.size = size;
        true
    }

    /// The root of the tree so far.
    #[must_use]
    pub fn root(&self) -> Hash {
        let mut from_the_right = self.subtrees.iter().rev().map(|(_, hash)| *hash);
        let Some(last) = from_the_right.next() else { return empty_root() };
        from_the_right.fold(last, |right, left| node_hash(&left, &right))
    }
}
