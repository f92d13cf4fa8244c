//! What the text of a literal says.
//!
//! The lexer has found where a literal ends and complained about escapes that do not exist; here they are resolved. Text
//! that was complained about is read as it stands.

/// How long the escape is that starts with the backslash here, if it is one.
pub(super) fn escape_length(bytes: &[u8]) -> Option<usize> {
    let all = |range: std::ops::Range<usize>, is_digit: fn(&u8) -> bool| {
        bytes
            .get(range.clone())
            .is_some_and(|digits| digits.iter().all(is_digit))
            .then_some(range.end)
    };
    match bytes.get(1)? {
        b'"' | b'\'' | b'\\' | b'b' | b'f' | b'n' | b'r' | b't' => Some(2),
        b'x' => all(2..4, u8::is_ascii_hexdigit),
        b'0'..=b'3' => all(1..4, |byte| matches!(byte, b'0'..=b'7')),
        b'u' => all(2..6, u8::is_ascii_hexdigit),
        _ => None,
    }
}

/// The characters of a string literal, quotes included in `text`. Two `\u` escapes that are a surrogate pair are one
/// character; half of a pair is U+FFFD, since text has no such thing.
pub(crate) fn string(text: &str) -> String {
    let mut value = String::with_capacity(text.len());
    let mut rest = inner(text);
    while let Some(at) = rest.find('\\') {
        value.push_str(&rest[..at]);
        rest = &rest[at..];
        let Some(length) = escape_length(rest.as_bytes()) else {
            value.push('\\');
            rest = &rest[1..];
            continue;
        };
        let code = escape_code(&rest[..length]);
        rest = &rest[length..];
        if (0xd800..0xdc00).contains(&code)
            && let Some(low) = low_surrogate(rest)
        {
            let pair = 0x1_0000 + ((code - 0xd800) << 10) + (low - 0xdc00);
            value.push(char::from_u32(pair).unwrap_or(char::REPLACEMENT_CHARACTER));
            rest = &rest[6..];
        } else {
            value.push(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
        }
    }
    value.push_str(rest);
    value
}

/// The bytes of a bytes literal, `b` and quotes included in `text`: `\xHH` and `\OOO` are bytes, everything else is UTF-8.
pub(crate) fn bytes(text: &str) -> Vec<u8> {
    let mut value = Vec::with_capacity(text.len());
    let mut rest = inner(&text[1..]);
    while let Some(at) = rest.find('\\') {
        value.extend_from_slice(&rest.as_bytes()[..at]);
        rest = &rest[at..];
        let Some(length) = escape_length(rest.as_bytes()) else {
            value.push(b'\\');
            rest = &rest[1..];
            continue;
        };
        let code = escape_code(&rest[..length]);
        match u8::try_from(code) {
            Ok(byte) if !rest.starts_with("\\u") => value.push(byte),
            _ => {
                let character = char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER);
                value.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
            }
        }
        rest = &rest[length..];
    }
    value.extend_from_slice(rest.as_bytes());
    value
}

/// The text of a path segment without its slash, `%HH` resolved; `None` if that is not UTF-8.
pub(crate) fn path_segment(text: &str) -> Option<String> {
    let text = text.strip_prefix('/').unwrap_or(text);
    if !text.contains('%') {
        return Some(text.to_owned());
    }
    let mut value = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('%') {
        value.extend_from_slice(&rest.as_bytes()[..at]);
        value.push(u8::from_str_radix(rest.get(at + 1..at + 3)?, 16).ok()?);
        rest = &rest[at + 3..];
    }
    value.extend_from_slice(rest.as_bytes());
    String::from_utf8(value).ok()
}

/// What stands between the quotes.
fn inner(text: &str) -> &str {
    text.get(1..text.len().saturating_sub(1)).unwrap_or("")
}

/// The number of an escape that [`escape_length`] has measured.
fn escape_code(escape: &str) -> u32 {
    let number = |digits: &str, radix| u32::from_str_radix(digits, radix).unwrap_or(0xfffd);
    match escape.as_bytes()[1] {
        b'b' => 0x08,
        b'f' => 0x0c,
        b'n' => 0x0a,
        b'r' => 0x0d,
        b't' => 0x09,
        b'x' | b'u' => number(&escape[2..], 16),
        b'0'..=b'3' => number(&escape[1..], 8),
        same => u32::from(same),
    }
}

/// The code of a `\uHHHH` here that is the second half of a surrogate pair.
fn low_surrogate(text: &str) -> Option<u32> {
    if !text.starts_with("\\u") || escape_length(text.as_bytes()).is_none() {
        return None;
    }
    Some(escape_code(&text[..6])).filter(|code| (0xdc00..0xe000).contains(code))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_in_strings_are_characters() {
        for (text, value) in [
            (r#""""#, ""),
            (r#"'a\'b\"c\\'"#, "a'b\"c\\"),
            (r"'\b\f\n\r\t'", "\x08\x0c\n\r\t"),
            (r"'\x41\101\u0041'", "AAA"),
            (r"'\xff\377'", "ÿÿ"),
            (r"'\ud83d\ude00'", "😀"),
            (r"'\ud83dx'", "\u{fffd}x"),
            (r"'\ude00'", "\u{fffd}"),
            ("'é😀'", "é😀"),
        ] {
            assert_eq!(string(text), value, "{text}");
        }
    }

    #[test]
    fn escapes_in_bytes_are_bytes() {
        assert_eq!(bytes(r"b'a\xff\377\u00e9é'"), b"a\xff\xff\xc3\xa9\xc3\xa9");
        assert_eq!(bytes("B\"\""), b"");
    }

    #[test]
    fn path_segments_are_percent_decoded() {
        assert_eq!(path_segment("/a%20b").as_deref(), Some("a b"));
        assert_eq!(path_segment("/(default)").as_deref(), Some("(default)"));
        assert_eq!(path_segment("/%C3%A9").as_deref(), Some("é"));
        assert_eq!(path_segment("/%C3"), None);
    }
}
