//! The Merkle tree of RFC 6962, section 2.1, over SHA-256: hashing, growing by one leaf, and proofs.
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

/// The root of the tree over these leaf hashes.
pub fn root(leaves: &[Hash]) -> Hash {
    match leaves {
        [] => empty_root(),
        [only] => *only,
        _ => {
            let (left, right) = leaves.split_at(split(leaves.len()));
            node_hash(&root(left), &root(right))
        }
    }
}

/// The largest power of two below a number of leaves; there are two at least.
fn split(leaves: usize) -> usize {
    1 << (leaves - 1).ilog2()
}

/// The hashes that prove that a leaf is in the tree, from the leaf's sibling up; `None` when there is no such leaf.
pub fn inclusion(leaves: &[Hash], index: usize) -> Option<Vec<Hash>> {
    if index >= leaves.len() {
        return None;
    }
    if leaves.len() == 1 {
        return Some(Vec::new());
    }
    let (left, right) = leaves.split_at(split(leaves.len()));
    let (mut proof, sibling) = match index.checked_sub(left.len()) {
        None => (inclusion(left, index)?, root(right)),
        Some(index) => (inclusion(right, index)?, root(left)),
    };
    proof.push(sibling);
    Some(proof)
}

/// Whether a proof shows that a leaf stands at an index of the tree of that size and root.
pub fn verify_inclusion(leaf: &Hash, index: u64, size: u64, proof: &[Hash], expected: &Hash) -> bool {
    if index >= size {
        return false;
    }
    let (mut place, mut last, mut hash) = (index, size - 1, *leaf);
    for sibling in proof {
        if last == 0 {
            return false;
        }
        if place & 1 == 1 || place == last {
            hash = node_hash(sibling, &hash);
            while place & 1 == 0 && place != 0 {
                place >>= 1;
                last >>= 1;
            }
        } else {
            hash = node_hash(&hash, sibling);
        }
        place >>= 1;
        last >>= 1;
    }
    last == 0 && hash == *expected
}

/// The hashes that prove that the tree of the first `old` leaves is the beginning of the whole one; `None` when it is no
/// beginning of it.
pub fn consistency(leaves: &[Hash], old: usize) -> Option<Vec<Hash>> {
    fn subproof(leaves: &[Hash], old: usize, complete: bool) -> Vec<Hash> {
        if old == leaves.len() {
            return if complete { Vec::new() } else { vec![root(leaves)] };
        }
        let (left, right) = leaves.split_at(split(leaves.len()));
        let (mut proof, other) = match old.checked_sub(left.len()).filter(|old| *old > 0) {
            None => (subproof(left, old, complete), root(right)),
            Some(old) => (subproof(right, old, false), root(left)),
        };
        proof.push(other);
        proof
    }
    (0 < old && old <= leaves.len()).then(|| subproof(leaves, old, true))
}

/// Whether a proof shows that the tree of the old size and root is the beginning of the new one.
pub fn verify_consistency((old, old_root): (u64, &Hash), (new, new_root): (u64, &Hash), proof: &[Hash]) -> bool {
    if old == 0 || old > new {
        return false;
    }
    if old == new {
        return proof.is_empty() && old_root == new_root;
    }
    let mut hashes = proof.iter();
    // A perfect tree is a node of the larger one itself, and is not repeated in the proof.
    let first = if old.is_power_of_two() { Some(old_root) } else { hashes.next() };
    let Some(first) = first else { return false };
    let (mut place, mut last) = (old - 1, new - 1);
    while place & 1 == 1 {
        place >>= 1;
        last >>= 1;
    }
    let (mut old_hash, mut new_hash) = (*first, *first);
    for sibling in hashes {
        if last == 0 {
            return false;
        }
        if place & 1 == 1 || place == last {
            old_hash = node_hash(sibling, &old_hash);
            new_hash = node_hash(sibling, &new_hash);
            while place & 1 == 0 && place != 0 {
                place >>= 1;
                last >>= 1;
            }
        } else {
            new_hash = node_hash(&new_hash, sibling);
        }
        place >>= 1;
        last >>= 1;
    }
    last == 0 && old_hash == *old_root && new_hash == *new_root
}

#[cfg(test)]
mod tests {
    use ct_merkle::RootHash;
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

    fn hash(text: &str) -> Hash {
        hex::hash(text).unwrap()
    }

    fn vector_leaves() -> Vec<Hash> {
        LEAVES.iter().map(|leaf| leaf_hash(&hex::decode(leaf).unwrap())).collect()
    }

    #[test]
    fn the_vectors_of_rfc_6962_pass() {
        let leaves = vector_leaves();
        assert_eq!(hex::encode(&empty_root()), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
        let mut frontier = Frontier::default();
        for (size, expected) in ROOTS.iter().enumerate() {
            frontier.push(leaves[size]);
            assert_eq!(hex::encode(&frontier.root()), *expected);
            assert_eq!(hex::encode(&root(&leaves[..=size])), *expected);
        }
        let path = |index, size| -> Vec<String> {
            inclusion(&leaves[..size], index).unwrap().iter().map(|hash| hex::encode(hash)).collect()
        };
        assert_eq!(
            path(5, 8),
            [
                "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
                "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
                "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
            ]
        );
        let proof: Vec<String> = consistency(&leaves, 6).unwrap().iter().map(|hash| hex::encode(hash)).collect();
        assert_eq!(
            proof,
            [
                "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
                "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
                "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
            ]
        );
        assert!(verify_consistency((6, &hash(ROOTS[5])), (8, &hash(ROOTS[7])), &consistency(&leaves, 6).unwrap()));
    }

    #[test]
    fn the_tree_is_the_one_of_ct_merkle() {
        let mut theirs = MemoryBackedTree::<Sha256, Vec<u8>>::new();
        let (mut ours, mut leaves, mut roots) = (Frontier::default(), Vec::new(), Vec::<RootHash<Sha256>>::new());
        for number in 1..=2_000_u32 {
            let leaf = format!("record {number}").into_bytes();
            theirs.push(leaf.clone());
            leaves.push(leaf_hash(&leaf));
            ours.push(leaf_hash(&leaf));
            let root = theirs.root();
            assert_eq!(root.as_bytes().as_slice(), ours.root(), "{number}");
            roots.push(root);
        }
        for (index, other) in [(0, 1), (0, 7), (6, 7), (255, 256), (256, 257), (1_000, 1_999), (1_999, 2_000)] {
            let proof = consistency(&leaves[..other], index.max(1)).unwrap();
            let whole = (other as u64, &root(&leaves[..other]));
            let old = (index.max(1) as u64, &root(&leaves[..index.max(1)]));
            assert!(verify_consistency(old, whole, &proof), "{index} in {other}");
            let path = inclusion(&leaves[..other], index.min(other - 1)).unwrap();
            let leaf = &leaves[index.min(other - 1)];
            assert!(verify_inclusion(leaf, index.min(other - 1) as u64, whole.0, &path, whole.1));
        }
        for old in [1, 2, 3, 7, 100, 255, 256, 257, 1_000, 1_999] {
            let theirs = theirs.prove_consistency(2_000 - old);
            let ours: Vec<u8> = consistency(&leaves, old).unwrap().concat();
            assert_eq!(theirs.as_bytes(), ours, "{old}");
        }
        for index in [0, 1, 254, 255, 256, 1_998, 1_999] {
            let ours: Vec<u8> = inclusion(&leaves, index).unwrap().concat();
            assert_eq!(theirs.prove_inclusion(index).as_bytes(), ours, "{index}");
        }
    }

    #[test]
    fn no_other_proof_passes() {
        let leaves = vector_leaves();
        for size in 1..=8 {
            let whole = root(&leaves[..size]);
            for index in 0..size {
                let path = inclusion(&leaves[..size], index).unwrap();
                for (other, leaf) in leaves.iter().enumerate() {
                    let right = other == index;
                    assert_eq!(verify_inclusion(leaf, index as u64, size as u64, &path, &whole), right);
                }
                let proof = consistency(&leaves[..size], index + 1).unwrap();
                for other in 1..=size {
                    let old = (other as u64, &root(&leaves[..other]));
                    assert_eq!(verify_consistency(old, (size as u64, &whole), &proof), other == index + 1);
                }
            }
        }
    }
}
