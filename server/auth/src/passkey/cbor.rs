//! The part of CBOR (RFC 8949) that authenticators speak: whole numbers, bytes, texts, lists and maps of known lengths.
//!
//! Whatever else there is in CBOR (lengths left open, tags, floats) is refused, as CTAP 2 has it, and so is a map that has a
//! key twice. Nothing is copied but the lists' own frames, which are no more than the bytes.

/// Values inside each other; CTAP 2 has four.
const DEPTH_MAX: usize = 8;
/// Members of a map; each is compared with those before it.
const MEMBERS_MAX: u64 = 64;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Cbor<'b> {
    Integer(i64),
    Bytes(&'b [u8]),
    Text(&'b str),
    List(Vec<Cbor<'b>>),
    Map(Vec<(Cbor<'b>, Cbor<'b>)>),
    Boolean(bool),
    Null,
}

impl<'b> Cbor<'b> {
    /// The value that these bytes are, and nothing besides.
    pub(super) fn read_whole(bytes: &'b [u8]) -> Option<Self> {
        let (value, rest) = Self::read(bytes)?;
        rest.is_empty().then_some(value)
    }

    /// The value that bytes begin with, and the rest of them.
    pub(super) fn read(bytes: &'b [u8]) -> Option<(Self, &'b [u8])> {
        read(bytes, DEPTH_MAX)
    }

    pub(super) fn bytes(&self) -> Option<&'b [u8]> {
        match self {
            Self::Bytes(bytes) => Some(bytes),
            _ => None,
        }
    }

    pub(super) fn integer(&self) -> Option<i64> {
        match self {
            Self::Integer(number) => Some(*number),
            _ => None,
        }
    }

    pub(super) fn text_member(&self, name: &str) -> Option<&Self> {
        self.member(&Cbor::Text(name))
    }

    pub(super) fn number_member(&self, number: i64) -> Option<&Self> {
        self.member(&Cbor::Integer(number))
    }

    fn member(&self, key: &Cbor<'_>) -> Option<&Self> {
        match self {
            Self::Map(members) => members
                .iter()
                .find_map(|(known, value)| (known == key).then_some(value)),
            _ => None,
        }
    }
}

fn take(bytes: &[u8], length: u64) -> Option<(&[u8], &[u8])> {
    bytes.split_at_checked(usize::try_from(length).ok()?)
}

/// The kind and the number that a value begins with.
fn head(bytes: &[u8]) -> Option<(u8, u64, &[u8])> {
    let (first, rest) = bytes.split_first()?;
    let (kind, short) = (first >> 5, first & 31);
    let length = match short {
        0..=23 => return Some((kind, u64::from(short), rest)),
        24..=27 => 1 << (short - 24),
        _ => return None,
    };
    let (digits, rest) = take(rest, length)?;
    let number = digits
        .iter()
        .fold(0, |number, digit| number << 8 | u64::from(*digit));
    Some((kind, number, rest))
}

fn read(bytes: &[u8], depth: usize) -> Option<(Cbor<'_>, &[u8])> {
    let depth = depth.checked_sub(1)?;
    let (kind, number, rest) = head(bytes)?;
    match kind {
        0 => Some((Cbor::Integer(i64::try_from(number).ok()?), rest)),
        1 => Some((Cbor::Integer(-1 - i64::try_from(number).ok()?), rest)),
        2 => take(rest, number).map(|(bytes, rest)| (Cbor::Bytes(bytes), rest)),
        3 => {
            let (text, rest) = take(rest, number)?;
            Some((Cbor::Text(std::str::from_utf8(text).ok()?), rest))
        }
        4 => {
            let (mut list, mut rest) = (Vec::new(), rest);
            for _ in 0..number {
                let (value, after) = read(rest, depth)?;
                list.push(value);
                rest = after;
            }
            Some((Cbor::List(list), rest))
        }
        5 if number <= MEMBERS_MAX => {
            let (mut map, mut rest) = (Vec::new(), rest);
            for _ in 0..number {
                let (key, after) = read(rest, depth)?;
                let (value, after) = read(after, depth)?;
                if map.iter().any(|(known, _)| *known == key) {
                    return None;
                }
                map.push((key, value));
                rest = after;
            }
            Some((Cbor::Map(map), rest))
        }
        7 => match bytes.first()? {
            0xf4 => Some((Cbor::Boolean(false), rest)),
            0xf5 => Some((Cbor::Boolean(true), rest)),
            0xf6 => Some((Cbor::Null, rest)),
            _ => None,
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_those_of_the_standard() {
        // RFC 8949, appendix A.
        for (bytes, value) in [
            (&[0x00][..], Cbor::Integer(0)),
            (&[0x17], Cbor::Integer(23)),
            (&[0x18, 0x64], Cbor::Integer(100)),
            (&[0x19, 0x03, 0xe8], Cbor::Integer(1000)),
            (
                &[0x1b, 0, 0, 0, 0xe8, 0xd4, 0xa5, 0x10, 0],
                Cbor::Integer(1_000_000_000_000),
            ),
            (&[0x20], Cbor::Integer(-1)),
            (&[0x39, 0x03, 0xe7], Cbor::Integer(-1000)),
            (&[0xf4], Cbor::Boolean(false)),
            (&[0xf6], Cbor::Null),
            (&[0x44, 1, 2, 3, 4], Cbor::Bytes(&[1, 2, 3, 4])),
            (&[0x62, 0xc3, 0xbc], Cbor::Text("ü")),
            (&[0x80], Cbor::List(Vec::new())),
            (
                &[0xa2, 0x61, 0x61, 0x01, 0x61, 0x62, 0x82, 0x02, 0x03],
                Cbor::Map(vec![
                    (Cbor::Text("a"), Cbor::Integer(1)),
                    (
                        Cbor::Text("b"),
                        Cbor::List(vec![Cbor::Integer(2), Cbor::Integer(3)]),
                    ),
                ]),
            ),
        ] {
            assert_eq!(Cbor::read_whole(bytes), Some(value), "{bytes:x?}");
        }
    }

    #[test]
    fn whatever_comes_is_read_or_refused_and_no_more() {
        use crate::passkey::authenticator_data::AuthenticatorData;
        use crate::passkey::public_key::PublicKey;

        // Begins as a map or as authenticator data, and goes on as it likes.
        let mut state = 0x2545_f491_4f6c_dd1d_u64;
        let mut random = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_le_bytes()
        };
        for _ in 0..20_000 {
            let length = usize::from(random()[0]);
            let mut bytes: Vec<u8> = std::iter::repeat_with(&mut random)
                .flatten()
                .take(length)
                .collect();
            if let Some(first) = bytes.first_mut() {
                *first = 0xa0 | (*first & 7);
            }
            if let Some((value, rest)) = Cbor::read(&bytes) {
                assert!(rest.len() < bytes.len(), "{value:?}");
            }
            PublicKey::read(&bytes);
            if let Some(flags) = bytes.get_mut(32) {
                *flags |= 0xc0;
            }
            AuthenticatorData::read(&bytes);
        }
    }

    #[test]
    fn what_authenticators_do_not_say_is_refused() {
        for bytes in [
            &[][..],
            &[0x18],
            &[0x44, 1, 2, 3],
            &[0x00, 0x00],
            &[0x5f, 0x41, 1, 0xff],
            &[0x9f, 0xff],
            &[0xbf, 0xff],
            &[0xc0, 0x00],
            &[0xf9, 0x3c, 0x00],
            &[0xfb, 0, 0, 0, 0, 0, 0, 0, 0],
            &[0x61, 0xff],
            &[0x1c],
            &[0xff],
            // A map that has a key twice; more of something than there are bytes.
            &[0xa2, 0x01, 0x01, 0x01, 0x02],
            &[0x9b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
            &[0xbb, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
            &[0x5b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
            &[0x1b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
            &[0x81; 1000],
        ] {
            assert_eq!(Cbor::read_whole(bytes), None, "{bytes:x?}");
        }
    }
}
