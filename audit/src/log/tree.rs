//! The Merkle tree of RFC 6962, section 2.1, over whatever holds its hashes. No files here.

use std::fmt;

use ring::digest::{Context, SHA256};

/// Height of a tile, in levels of the tree (C2SP tlog-tiles).
pub(crate) const TILE_HEIGHT: u32 = 8;
/// Hashes in a full tile, leaves in a full bundle.
pub const TILE_WIDTH: u64 = 1 << TILE_HEIGHT;

/// A SHA-256 hash of a leaf, a node or a tree.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Hash(pub [u8; 32]);

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&super::note::base64(&self.0))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Hash {
    /// Of the empty tree.
    pub fn empty() -> Self {
        Self::of(&[])
    }

    pub fn leaf(leaf: &[u8]) -> Self {
        Self::of(&[&[0], leaf])
    }

    pub fn node(left: Self, right: Self) -> Self {
        Self::of(&[&[1], &left.0, &right.0])
    }

    fn of(parts: &[&[u8]]) -> Self {
        let mut context = Context::new(&SHA256);
        parts.iter().for_each(|part| context.update(part));
        let mut hash = [0; 32];
        hash.copy_from_slice(context.finish().as_ref());
        Self(hash)
    }
}

/// Root of the complete subtree over `hashes`, of which there are a power of two.
pub(crate) fn complete(hashes: &[Hash]) -> Hash {
    let mut level = hashes.to_vec();
    while level.len() > 1 {
        level = level.chunks(2).map(|pair| Hash::node(pair[0], pair[1])).collect();
    }
    level.first().copied().unwrap_or_default()
}

/// The complete subtrees that `lo..hi` consists of, from left to right, as `(level, index)`: 2^level leaves from
/// index·2^level on. The largest come first where `lo` is 0.
pub(crate) fn subtrees(lo: u64, hi: u64) -> Vec<(u32, u64)> {
    let mut out = Vec::new();
    let mut at = lo;
    while at < hi {
        let aligned = if at == 0 { 63 } else { at.trailing_zeros() };
        let level = aligned.min((hi - at).ilog2());
        out.push((level, at >> level));
        at += 1 << level;
    }
    out
}

/// Where the hashes of complete subtrees come from.
pub(crate) trait Subtrees {
    type Error;
    /// The hash of the 2^level leaves from index·2^level on.
    fn subtree(&mut self, level: u32, index: u64) -> Result<Hash, Self::Error>;

    /// MTH(D[lo:hi]), for a range that is a node of some tree: `lo` is a multiple of the power of two that covers it.
    fn range(&mut self, lo: u64, hi: u64) -> Result<Hash, Self::Error> {
        let mut hash = None;
        for (level, index) in subtrees(lo, hi).into_iter().rev() {
            let left = self.subtree(level, index)?;
            hash = Some(hash.map_or(left, |right| Hash::node(left, right)));
        }
        Ok(hash.unwrap_or_else(Hash::empty))
    }

    /// Audit path of leaf `index` in the tree of `size` leaves (RFC 6962, 2.1.1), from the leaf's sibling up.
    fn inclusion(&mut self, index: u64, size: u64) -> Result<Vec<Hash>, Self::Error> {
        let (mut lo, mut hi) = (0, size);
        let mut path = Vec::new();
        while hi - lo > 1 {
            let middle = lo + split(hi - lo);
            if index < middle {
                path.push(self.range(middle, hi)?);
                hi = middle;
            } else {
                path.push(self.range(lo, middle)?);
                lo = middle;
            }
        }
        path.reverse();
        Ok(path)
    }

    /// Proof that the tree of `old` leaves is a prefix of the tree of `size` (RFC 6962, 2.1.2).
    fn consistency(&mut self, old: u64, size: u64) -> Result<Vec<Hash>, Self::Error> {
        let mut proof = Vec::new();
        if old == 0 || old >= size {
            return Ok(proof);
        }
        let (mut lo, mut hi) = (0, size);
        let mut whole = true;
        while old != hi {
            let middle = lo + split(hi - lo);
            if old <= middle {
                proof.push(self.range(middle, hi)?);
                hi = middle;
            } else {
                proof.push(self.range(lo, middle)?);
                lo = middle;
                whole = false;
            }
        }
        if !whole {
            proof.push(self.range(lo, hi)?);
        }
        proof.reverse();
        Ok(proof)
    }
}

/// The largest power of two smaller than `n`, which is 2 or more.
fn split(n: u64) -> u64 {
    1 << (n - 1).ilog2()
}

/// The right edge of a growing tree: what is needed to add leaves and to know the root.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Edge {
    /// Hashes in the partial tile of each level, fewer than 256.
    levels: Vec<Vec<Hash>>,
    size: u64,
}

/// A tile that has become full.
#[derive(Debug)]
pub(crate) struct FullTile {
    pub(crate) level: u32,
    pub(crate) index: u64,
    pub(crate) hashes: Vec<Hash>,
}

impl Edge {
    /// The edge of a tree of `size` leaves, whose partial tiles come from `tile(level, index, width)`.
    pub(crate) fn load<E>(size: u64, mut tile: impl FnMut(u32, u64, u64) -> Result<Vec<Hash>, E>) -> Result<Self, E> {
        let mut levels = Vec::new();
        let mut at = size;
        while at > 0 {
            let (index, width) = (at / TILE_WIDTH, at % TILE_WIDTH);
            let level = u32::try_from(levels.len()).unwrap_or(u32::MAX);
            levels.push(if width == 0 { Vec::new() } else { tile(level, index, width)? });
            at = index;
        }
        Ok(Self { levels, size })
    }

    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// Adds a leaf; hands out the tiles that became full by it.
    pub(crate) fn push(&mut self, leaf: Hash, full: &mut Vec<FullTile>) {
        self.size += 1;
        let mut hash = leaf;
        for level in 0.. {
            if self.levels.len() == level {
                self.levels.push(Vec::with_capacity(256));
            }
            let tile = &mut self.levels[level];
            tile.push(hash);
            if (tile.len() as u64) < TILE_WIDTH {
                return;
            }
            let hashes = std::mem::replace(tile, Vec::with_capacity(256));
            hash = complete(&hashes);
            let level = u32::try_from(level).unwrap_or(u32::MAX);
            full.push(FullTile { level, index: (self.size >> (TILE_HEIGHT * (level + 1))) - 1, hashes });
        }
    }

    /// The partial tiles, as (level, index, hashes); none is empty.
    pub(crate) fn partial(&self) -> impl Iterator<Item = (u32, u64, &[Hash])> {
        (0u32..)
            .zip(&self.levels)
            .filter(|(_, tile)| !tile.is_empty())
            .map(|(level, tile)| (level, self.size >> (TILE_HEIGHT * (level + 1)), &tile[..]))
    }

    pub(crate) fn root(&self) -> Hash {
        let mut root = None;
        for tile in &self.levels {
            let mut end = tile.len();
            while end > 0 {
                let width = 1 << end.trailing_zeros();
                let left = complete(&tile[end - width..end]);
                root = Some(root.map_or(left, |right| Hash::node(left, right)));
                end -= width;
            }
        }
        root.unwrap_or_else(Hash::empty)
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use proptest::prelude::*;

    use super::*;

    /// Straight from RFC 6962, 2.1.
    fn naive(leaves: &[Hash]) -> Hash {
        match leaves {
            [] => Hash::empty(),
            [one] => *one,
            more => {
                let k = 1 << (more.len() - 1).ilog2();
                Hash::node(naive(&more[..k]), naive(&more[k..]))
            }
        }
    }

    fn naive_path(m: usize, leaves: &[Hash]) -> Vec<Hash> {
        if leaves.len() <= 1 {
            return Vec::new();
        }
        let k = 1 << (leaves.len() - 1).ilog2();
        let (mut path, other) = match m < k {
            true => (naive_path(m, &leaves[..k]), naive(&leaves[k..])),
            false => (naive_path(m - k, &leaves[k..]), naive(&leaves[..k])),
        };
        path.push(other);
        path
    }

    fn naive_subproof(m: usize, leaves: &[Hash], whole: bool) -> Vec<Hash> {
        if m == leaves.len() {
            return if whole { Vec::new() } else { vec![naive(leaves)] };
        }
        let k = 1 << (leaves.len() - 1).ilog2();
        let (mut proof, other) = match m <= k {
            true => (naive_subproof(m, &leaves[..k], whole), naive(&leaves[k..])),
            false => (naive_subproof(m - k, &leaves[k..], false), naive(&leaves[..k])),
        };
        proof.push(other);
        proof
    }

    struct Leaves(Vec<Hash>);

    impl Subtrees for Leaves {
        type Error = Infallible;

        fn subtree(&mut self, level: u32, index: u64) -> Result<Hash, Infallible> {
            let (lo, width) = (usize::try_from(index << level).unwrap(), 1 << level);
            Ok(complete(&self.0[lo..lo + width]))
        }
    }

    fn leaves(n: usize) -> Vec<Hash> {
        (0..n).map(|i| Hash::leaf(&i.to_be_bytes())).collect()
    }

    #[test]
    fn the_edge_has_the_naive_root_at_every_size_and_loads_from_its_tiles() {
        let all = leaves(1_100);
        let mut edge = Edge::default();
        let (mut full, mut tiles) = (Vec::new(), std::collections::HashMap::new());
        assert_eq!(edge.root(), naive(&[]));
        for (i, leaf) in all.iter().enumerate() {
            edge.push(*leaf, &mut full);
            for FullTile { level, index, hashes } in full.drain(..) {
                assert_eq!(hashes.len(), 256);
                tiles.insert((level, index, 256), hashes);
            }
            for (level, index, hashes) in edge.partial() {
                tiles.insert((level, index, hashes.len() as u64), hashes.to_vec());
            }
            if i % 37 == 0 || (250..260).contains(&i) {
                assert_eq!(edge.root(), naive(&all[..=i]), "{}", i + 1);
                let loaded = Edge::load(edge.size(), |l, n, w| Ok::<_, ()>(tiles[&(l, n, w)].clone())).unwrap();
                assert_eq!((loaded.root(), loaded.size()), (edge.root(), edge.size()));
            }
        }
    }

    proptest! {
        #[test]
        fn proofs_are_those_of_the_rfc(size in 1usize..600, a in 0usize..600, b in 1usize..600) {
            let all = leaves(size);
            let mut source = Leaves(all.clone());
            let (index, old) = (a % size, 1 + b % size);
            prop_assert_eq!(source.range(0, size as u64).unwrap(), naive(&all));
            prop_assert_eq!(source.inclusion(index as u64, size as u64).unwrap(), naive_path(index, &all));
            prop_assert_eq!(source.consistency(old as u64, size as u64).unwrap(), naive_subproof(old, &all, true));
        }
    }
}
