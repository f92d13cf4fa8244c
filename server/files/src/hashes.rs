//! What is computed of a file's bytes as they pass: its size, its digests, its first bytes. It can be laid down in between and
//! taken up again, by another process too, so an upload in several requests is hashed once.

use md5::Md5;
use sha2::digest::common::hazmat::{SerializableState, SerializedState};
use sha2::{Digest as _, Sha256};

use crate::SNIFFED_BYTES;

/// What a laid-down state begins with. Another number if the crates that hash change what theirs looks like.
const FORMAT: u8 = 1;

/// Bytes that have passed, as far as anybody wants to know them.
#[derive(Clone)]
pub(crate) struct Hashes {
    pub(crate) size: u64,
    pub(crate) sha256: Sha256,
    pub(crate) md5: Md5,
    pub(crate) crc32c: u32,
    /// The first [`SNIFFED_BYTES`].
    pub(crate) beginning: Vec<u8>,
}

impl Hashes {
    pub(crate) fn new() -> Self {
        Self {
            size: 0,
            sha256: Sha256::new(),
            md5: Md5::new(),
            crc32c: 0,
            beginning: Vec::new(),
        }
    }

    pub(crate) fn update(&mut self, bytes: &[u8]) {
        self.size += bytes.len() as u64;
        self.sha256.update(bytes);
        self.md5.update(bytes);
        self.crc32c = crc32c::crc32c_append(self.crc32c, bytes);
        let missing = SNIFFED_BYTES.saturating_sub(self.beginning.len());
        self.beginning
            .extend_from_slice(&bytes[..bytes.len().min(missing)]);
    }

    /// As it is laid down.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = vec![FORMAT];
        bytes.extend_from_slice(&self.size.to_be_bytes());
        bytes.extend_from_slice(&self.crc32c.to_be_bytes());
        bytes.extend_from_slice(&self.sha256.serialize());
        bytes.extend_from_slice(&self.md5.serialize());
        bytes.extend_from_slice(&self.beginning);
        bytes
    }

    /// As it was when it was laid down; `None` if it was not, or not by this version.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (format, rest) = bytes.split_first()?;
        let (size, rest) = rest.split_first_chunk()?;
        let (crc32c, rest) = rest.split_first_chunk()?;
        let (sha256, rest) = restore(rest)?;
        let (md5, beginning) = restore(rest)?;
        (*format == FORMAT && beginning.len() <= SNIFFED_BYTES).then(|| Self {
            size: u64::from_be_bytes(*size),
            sha256,
            md5,
            crc32c: u32::from_be_bytes(*crc32c),
            beginning: beginning.to_vec(),
        })
    }
}

/// A digest's state from the bytes in front, and those behind it.
fn restore<D: SerializableState>(bytes: &[u8]) -> Option<(D, &[u8])> {
    let mut state = SerializedState::<D>::default();
    let (own, rest) = bytes.split_at_checked(state.len())?;
    state.copy_from_slice(own);
    Some((D::deserialize(&state).ok()?, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The digest of the state after `abc`, as it lies in databases: if an update of a crate changes it, there has to be another
    /// `FORMAT`.
    const LAID_DOWN: &str = "0dba36a325f1af1d7174f638a56e7b65a30fb24555b12acfb35d14a3e983cf32";

    #[test]
    fn a_state_looks_as_it_did_when_it_was_laid_down() {
        let mut hashes = Hashes::new();
        hashes.update(b"abc");
        let digest = Sha256::digest(hashes.to_bytes());
        let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(digest, LAID_DOWN);
    }

    #[test]
    fn hashing_goes_on_where_it_was_laid_down() {
        let bytes: Vec<u8> = (0..5000_u32).map(|number| (number % 251) as u8).collect();
        let mut whole = Hashes::new();
        whole.update(&bytes);
        for at in [0, 1, 63, 64, 65, 1024, 4999, 5000] {
            let mut first = Hashes::new();
            first.update(&bytes[..at]);
            let mut second = Hashes::from_bytes(&first.to_bytes()).unwrap();
            second.update(&bytes[at..]);
            assert_eq!(second.to_bytes(), whole.to_bytes(), "{at}");
            assert_eq!(second.sha256.finalize(), Sha256::digest(&bytes), "{at}");
            assert_eq!(second.md5.finalize(), Md5::digest(&bytes), "{at}");
            assert_eq!(second.crc32c, crc32c::crc32c(&bytes), "{at}");
        }
    }

    #[test]
    fn what_is_no_state_is_not_taken_for_one() {
        let state = Hashes::new().to_bytes();
        assert!(Hashes::from_bytes(&[]).is_none());
        assert!(Hashes::from_bytes(&state[..state.len() - 1]).is_none());
        let other = [&[FORMAT + 1], &state[1..]].concat();
        assert!(Hashes::from_bytes(&other).is_none());
        let too_long = [&state[..], &[0; SNIFFED_BYTES + 1]].concat();
        assert!(Hashes::from_bytes(&too_long).is_none());
    }
}
