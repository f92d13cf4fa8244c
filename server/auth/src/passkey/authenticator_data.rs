//! What an authenticator says about itself and its user (Web Authentication, section 6.1).

use super::cbor::Cbor;

/// Bytes of an authenticator's kind, which decides nothing here.
const AAGUID_BYTES: usize = 16;

#[derive(Clone, Debug)]
pub(super) struct AuthenticatorData<'b> {
    /// The SHA-256 of the domain that the passkey belongs to.
    pub(super) rp_id_hash: &'b [u8],
    pub(super) is_user_present: bool,
    pub(super) is_user_verified: bool,
    pub(super) backup_eligible: bool,
    pub(super) backed_up: bool,
    pub(super) sign_count: u32,
    /// The key, where one was made.
    pub(super) credential: Option<Credential<'b>>,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Credential<'b> {
    pub(super) id: &'b [u8],
    /// In COSE's form.
    pub(super) public_key: &'b [u8],
}

impl<'b> AuthenticatorData<'b> {
    /// Reads it; the bytes are that and nothing besides.
    pub(super) fn read(bytes: &'b [u8]) -> Option<Self> {
        let (rp_id_hash, rest) = bytes.split_at_checked(32)?;
        let (flags, rest) = rest.split_first()?;
        let (count, mut rest) = rest.split_first_chunk::<4>()?;
        let has = |bit: u8| flags & (1 << bit) != 0;
        let mut credential = None;
        if has(6) {
            let (_, after) = rest.split_at_checked(AAGUID_BYTES)?;
            let (length, after) = after.split_first_chunk::<2>()?;
            let (id, after) = after.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
            let (_, after_key) = Cbor::read(after)?;
            let public_key = &after[..after.len() - after_key.len()];
            credential = Some(Credential { id, public_key });
            rest = after_key;
        }
        if has(7) {
            let (extensions, after) = Cbor::read(rest)?;
            matches!(extensions, Cbor::Map(_)).then_some(())?;
            rest = after;
        }
        rest.is_empty().then_some(Self {
            rp_id_hash,
            is_user_present: has(0),
            is_user_verified: has(2),
            backup_eligible: has(3),
            backed_up: has(4),
            sign_count: u32::from_be_bytes(*count),
            credential,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data(flags: u8, after: &[u8]) -> Vec<u8> {
        [&[7; 32][..], &[flags], &[0, 0, 1, 2], after].concat()
    }

    #[test]
    fn it_is_read_whole_or_not_at_all() {
        let read = |bytes: &[u8]| AuthenticatorData::read(bytes).map(|data| data.sign_count);
        let key = [&[0; 16][..], &[0, 2, 9, 9], &[0xa0]].concat();
        assert_eq!(read(&data(0x05, &[])), Some(258));
        assert_eq!(read(&data(0x45, &key)), Some(258));
        assert_eq!(read(&data(0xc5, &[key.as_slice(), &[0xa0]].concat())), Some(258));
        assert_eq!(read(&data(0x85, &[0xa0])), Some(258));
        for (flags, after) in [
            (0x05, &[0][..]),
            (0x45, &[]),
            (0x45, &key[..20]),
            (0x05, &key),
            (0xc5, &key),
            (0x85, &[0x00]),
            (0x85, &[0xa0, 0xa0]),
        ] {
            assert_eq!(read(&data(flags, after)), None, "{flags:x} {after:x?}");
        }
        for length in 0..37 {
            assert_eq!(read(&data(0x05, &[])[..length]), None);
        }
        let with_key = data(0x45, &key);
        let found = AuthenticatorData::read(&with_key).unwrap().credential.unwrap();
        assert_eq!((found.id, found.public_key), (&[9, 9][..], &[0xa0][..]));
    }
}
