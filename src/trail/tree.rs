//! The Merkle tree of RFC 6962, section 2.1, over SHA-256: hashing, and growing by one leaf.
//!
//! What is kept while the tree grows is its [`Frontier`]: the hashes of its perfect subtrees, of which there are no more
//! than the size has bits. A leaf is added, and the root taken, by as many hashes.

use sha2::{Digest as _, Sha256};

/// A SHA-256 hash.
pub type Hash = [u8; 32];

/// The hash of a leaf.
pub fn leaf_hash(leaf: &[u8]) -> Hash {
    Sha256::new().chain_update([0]).chain_update(leaf).finalize().into()
}

/// The hash of an inner node.
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    Sha256::new().chain_update([1]).chain_update(left).chain_update(right).finalize().into()
}

/// The hash of the empty tree.
pub fn empty_root() -> Hash {
    Sha256::digest([]).into()
}

/// A tree of which only the perfect subtrees' hashes are kept, largest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Frontier {
    size: u64,
    hashes: Vec<Hash>,
}

impl Frontier {
    /// A tree of a size whose subtrees have these hashes; `None` when a tree of that size has another number of them.
    pub fn of(size: u64, hashes: Vec<Hash>) -> Option<Self> {
        (u64::from(size.count_ones()) == hashes.len() as u64).then_some(Self { size, hashes })
    }

    /// The number of leaves.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The hashes of the perfect subtrees, largest first.
    pub fn hashes(&self) -> &[Hash] {
        &self.hashes
    }

    /// Adds a leaf by its hash.
    pub fn push(&mut self, mut hash: Hash) {
        let mut full = self.size;
        while full & 1 == 1 {
            if let Some(left) = self.hashes.pop() {
                hash = node_hash(&left, &hash);
            }
            full >>= 1;
        }
        self.hashes.push(hash);
        self.size += 1;
    }

    /// The root.
    pub fn root(&self) -> Hash {
        let mut subtrees = self.hashes.iter().rev();
        let Some(smallest) = subtrees.next() else { return empty_root() };
        subtrees.fold(*smallest, |right, left| node_hash(left, &right))
    }
}

#[cfg(test)]
mod tests {
    use ct_merkle::mem_backed_tree::MemoryBackedTree;

    use super::*;
    use crate::trail::hex;

    /// The leaves of the test vectors of Certificate Transparency.
    const LEAVES: [&str; 8] =
        ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"];
    const ROOTS: [&str; 8] = [
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
        "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
        "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
        "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    ];

    fn vector_leaves() -> Vec<Hash> {
        LEAVES.iter().map(|leaf| leaf_hash(&hex::decode(leaf).unwrap())).collect()
    }

    #[test]
    fn the_vectors_of_rfc_6962_pass() {
        let leaves = vector_leaves();
        assert_eq!(hex::encode(&empty_root()), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
        let mut frontier = Frontier::default();
        assert_eq!(frontier.root(), empty_root());
        for (size, expected) in ROOTS.iter().enumerate() {
            frontier.push(leaves[size]);
            assert_eq!(hex::encode(&frontier.root()), *expected);
        }
    }

    #[test]
    fn the_tree_is_the_one_of_ct_merkle() {
        let mut theirs = MemoryBackedTree::<Sha256, Vec<u8>>::new();
        let mut ours = Frontier::default();
        for number in 1..=2_000_u32 {
            let leaf = format!("record {number}").into_bytes();
            theirs.push(leaf.clone());
            ours.push(leaf_hash(&leaf));
            assert_eq!(theirs.root().as_bytes().as_slice(), ours.root(), "{number}");
            // What is kept of a tree is the tree.
            assert_eq!(Frontier::of(ours.size(), ours.hashes().to_vec()).as_ref(), Some(&ours));
        }
    }
}
