//! Checksums of what comes in one request.

use md5::Md5;
use sha1::Sha1;
use sha2::{Digest as _, Sha256};

/// How a checksum is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChecksumAlgorithm {
    /// SHA-1: against accidents, not against attackers.
    Sha1,
    /// SHA-256.
    Sha256,
    /// MD5: as SHA-1.
    Md5,
}

impl ChecksumAlgorithm {
    /// All of them, by their names.
    pub const ALL: [(&'static str, Self); 3] =
        [("sha1", Self::Sha1), ("sha256", Self::Sha256), ("md5", Self::Md5)];
}

/// A checksum that bytes are to have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checksum {
    /// How it is made.
    pub algorithm: ChecksumAlgorithm,
    /// What it is to be.
    pub expected: Vec<u8>,
}

/// A checksum being made.
pub(super) struct Checking {
    hash: Hash,
    expected: Vec<u8>,
}

enum Hash {
    Sha1(Sha1),
    Sha256(Sha256),
    Md5(Md5),
}

impl Checking {
    pub(super) fn new(checksum: Checksum) -> Self {
        Self {
            hash: match checksum.algorithm {
                ChecksumAlgorithm::Sha1 => Hash::Sha1(Sha1::new()),
                ChecksumAlgorithm::Sha256 => Hash::Sha256(Sha256::new()),
                ChecksumAlgorithm::Md5 => Hash::Md5(Md5::new()),
            },
            expected: checksum.expected,
        }
    }

    pub(super) fn update(&mut self, bytes: &[u8]) {
        match &mut self.hash {
            Hash::Sha1(hash) => hash.update(bytes),
            Hash::Sha256(hash) => hash.update(bytes),
            Hash::Md5(hash) => hash.update(bytes),
        }
    }

    /// Whether the bytes had it.
    pub(super) fn holds(self) -> bool {
        let made = match self.hash {
            Hash::Sha1(hash) => hash.finalize().to_vec(),
            Hash::Sha256(hash) => hash.finalize().to_vec(),
            Hash::Md5(hash) => hash.finalize().to_vec(),
        };
        made == self.expected
    }
}
