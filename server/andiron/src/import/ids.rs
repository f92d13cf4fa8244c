//! Ids for records that bring none: ULIDs of time zero, made of the file's fingerprint and the record's place in it.
//!
//! So the same file gives the same ids whenever and wherever it is imported, which is what makes an import that was
//! broken off safe to run again; the order of ids is the order of the file, which is what makes it fast; and a
//! document from an import sorts before every one that a server made an id for.

use sha2::{Digest as _, Sha256};

/// Crockford's alphabet in lower case.
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
/// Characters of an id that tell the file: 45 bits.
const FILE_CHARS: u32 = 9;
/// Characters that tell the record: 35 bits, so 34 thousand million records.
const RECORD_CHARS: u32 = 7;
/// The ten characters of a ULID's time.
const TIME: &str = "0000000000";

/// What tells files apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fingerprint(u64);

impl Fingerprint {
    /// The fingerprint of a file with this hash.
    pub(crate) fn of(hasher: Sha256) -> Self {
        let hash = hasher.finalize();
        let mut first = [0; 8];
        first.copy_from_slice(&hash[..8]);
        Self(u64::from_be_bytes(first) >> (64 - 5 * FILE_CHARS))
    }

    /// The id of the record of this 1-based number.
    pub(crate) fn id(self, number: u64) -> String {
        let mut id = String::from(TIME);
        push(self.0, FILE_CHARS, &mut id);
        push(number, RECORD_CHARS, &mut id);
        id
    }
}

fn push(number: u64, chars: u32, id: &mut String) {
    for place in (0..chars).rev() {
        let digit = usize::try_from((number >> (5 * place)) & 31).unwrap_or_default();
        id.push(char::from(ALPHABET[digit]));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_the_same_for_the_same_file_and_follow_its_order() {
        let print = |contents: &str| Fingerprint::of(Sha256::new_with_prefix(contents));
        assert_eq!(print("a"), print("a"));
        assert_ne!(print("a"), print("b"));
        let ids: Vec<_> = [1, 2, 31, 32, 33, 1024, 40_000, 1 << 34]
            .map(|number| print("a").id(number))
            .to_vec();
        assert!(ids.is_sorted() && ids.iter().all(|id| id.len() == 26), "{ids:?}");
        assert_eq!(print("a").id(33), "0000000000sabr24pa30000011");
    }
}
