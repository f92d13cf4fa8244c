//! The tokens of a filter expression, one at a time.
//!
//! The words and numbers are those of the rules language, plus names in backticks and exponents. It leaves out the
//! language's path token: `/` is a symbol here, which the parser refuses with a hint.

use super::position;
use crate::InputError;
use crate::error::excerpt;

/// A token and where it stands, in bytes.
#[derive(Clone, Debug)]
pub(super) struct Token {
    pub(super) kind: TokenKind,
    pub(super) start: usize,
    pub(super) end: usize,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum TokenKind {
    /// An identifier or word.
    Name(String),
    /// A name in backticks.
    QuotedName(String),
    /// The digits of an integer, without a sign; at most 2^63.
    Integer(u64),
    Double(f64),
    Text(String),
    Bytes(Vec<u8>),
    Symbol(&'static str),
    End,
}

/// Every symbol, longer ones before those that they begin with. Some exist only to be refused by name.
const SYMBOLS: &[&str] = &[
    "===", "!==", "==", "!=", "<=", ">=", "<>", "&&", "||", "++", "--", "=", "!", "<", ">", "&", "|", "(",
    ")", "[", "]", "{", "}", ",", ".", ":", "?", "+", "-", "*", "/", "%", ";",
];

pub(super) struct Lexer<'a> {
    text: &'a str,
    offset: usize,
}

impl<'a> Lexer<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, offset: 0 }
    }

    /// The next token; [`TokenKind::End`] for ever once there is none.
    pub(super) fn next_token(&mut self) -> Result<Token, InputError> {
        self.skip_blank()?;
        let start = self.offset;
        let rest = &self.text[start..];
        let kind = match rest.as_bytes() {
            [] => TokenKind::End,
            [b'b' | b'B', b'"' | b'\'', ..] => {
                self.offset += 1;
                TokenKind::Bytes(self.quoted(Quoted::Bytes)?)
            }
            [b'"' | b'\'', ..] => {
                let bytes = self.quoted(Quoted::Text)?;
                TokenKind::Text(String::from_utf8(bytes).map_err(|_| {
                    // Escapes in text push whole characters, so only a bug leads here.
                    self.error(start, "the text is not UTF-8")
                })?)
            }
            [b'`', ..] => TokenKind::QuotedName(self.quoted_name()?),
            [b'0'..=b'9', ..] | [b'.', b'0'..=b'9', ..] => self.number()?,
            [first, ..] if is_name_start(*first) => {
                let length = rest
                    .bytes()
                    .take_while(|byte| is_name_start(*byte) || byte.is_ascii_digit())
                    .count();
                self.offset += length;
                TokenKind::Name(rest[..length].to_owned())
            }
            _ => match SYMBOLS.iter().find(|symbol| rest.starts_with(**symbol)) {
                Some(symbol) => {
                    self.offset += symbol.len();
                    TokenKind::Symbol(symbol)
                }
                None => return Err(self.unknown_character(start)),
            },
        };
        Ok(Token {
            kind,
            start,
            end: self.offset,
        })
    }

    fn error(&self, offset: usize, detail: impl Into<String>) -> InputError {
        let (line, column) = position(self.text, offset);
        InputError::new(detail).at(line, column)
    }

    /// Skips whitespace and comments.
    fn skip_blank(&mut self) -> Result<(), InputError> {
        loop {
            let rest = &self.text[self.offset..];
            let blank = rest
                .bytes()
                .take_while(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | 0x0c))
                .count();
            self.offset += blank;
            let rest = &rest[blank..];
            if rest.starts_with("//") {
                self.offset += rest.find('\n').unwrap_or(rest.len());
            } else if let Some(comment) = rest.strip_prefix("/*") {
                let Some(length) = comment.find("*/") else {
                    return Err(self.error(self.offset, "the comment is not closed with `*/`"));
                };
                self.offset += length + 4;
            } else {
                return Ok(());
            }
        }
    }

    fn unknown_character(&self, offset: usize) -> InputError {
        let character = self.text[offset..].chars().next().unwrap_or_default();
        let mut detail = format!(
            "the character `{}` has no meaning here",
            excerpt(&character.to_string())
        );
        if matches!(character, '\u{2018}'..='\u{201f}') {
            detail.push_str(": text stands in straight quotes, \"…\" or '…'");
        } else if character.is_alphabetic() {
            detail.push_str(": a field name with it stands in backticks");
        }
        self.error(offset, detail)
    }

    /// Reads what stands between backticks: a field name, `` \` `` and `\\` escaped as in field paths.
    fn quoted_name(&mut self) -> Result<String, InputError> {
        let start = self.offset;
        let mut name = String::new();
        let mut characters = self.text[start + 1..].chars();
        while let Some(character) = characters.next() {
            match character {
                '`' => {
                    self.offset = self.text.len() - characters.as_str().len();
                    return Ok(name);
                }
                '\\' => match characters.next() {
                    Some(escaped @ ('`' | '\\')) => name.push(escaped),
                    _ => {
                        let offset = self.text.len() - characters.as_str().len();
                        return Err(self.error(
                            self.text[..offset].rfind('\\').unwrap_or(start),
                            "in backticks, a backslash stands only before a backtick or a backslash",
                        ));
                    }
                },
                other => name.push(other),
            }
        }
        Err(self.error(start, "the field name is not closed with a backtick"))
    }

    /// Reads a string or bytes literal; `offset` is at its quote.
    fn quoted(&mut self, quoted: Quoted) -> Result<Vec<u8>, InputError> {
        let start = self.offset;
        let bytes = self.text.as_bytes();
        let quote = bytes[start];
        let mut value = Vec::new();
        let mut at = start + 1;
        loop {
            match bytes.get(at) {
                Some(byte) if *byte == quote => {
                    self.offset = at + 1;
                    return Ok(value);
                }
                Some(b'\\') => at = self.escape(at, quoted, &mut value)?,
                None | Some(b'\n' | b'\r') => {
                    let quote = char::from(quote);
                    return Err(self.error(start, format!("the text is not closed with {quote} on its line")));
                }
                Some(byte) => {
                    value.push(*byte);
                    at += 1;
                }
            }
        }
    }

    /// Reads the escape whose backslash is at `at`; returns where it ends.
    fn escape(&self, at: usize, quoted: Quoted, value: &mut Vec<u8>) -> Result<usize, InputError> {
        let fail = |detail: &str| Err(self.error(at, detail));
        let simple = match self.text.as_bytes().get(at + 1) {
            Some(same @ (b'"' | b'\'' | b'\\')) => *same,
            Some(b'b') => 0x08,
            Some(b'f') => 0x0c,
            Some(b'n') => b'\n',
            Some(b'r') => b'\r',
            Some(b't') => b'\t',
            Some(b'x') => {
                let Some(code) = self.digits(at + 2, 2, 16) else {
                    return fail("`\\x` is followed by two hexadecimal digits");
                };
                quoted.push_code(code, value);
                return Ok(at + 4);
            }
            Some(b'0'..=b'3') => {
                let Some(code) = self.digits(at + 1, 3, 8) else {
                    return fail("an octal escape has three digits, from `\\000` to `\\377`");
                };
                quoted.push_code(code, value);
                return Ok(at + 4);
            }
            Some(b'u') if quoted == Quoted::Text => {
                let Some((character, end)) = self.unicode_escape(at) else {
                    return fail(
                        "`\\u` is followed by four hexadecimal digits of a character, or is half of a surrogate pair",
                    );
                };
                push_character(character, value);
                return Ok(end);
            }
            _ => {
                return fail(
                    "unknown escape: there are \\\" \\' \\\\ \\b \\f \\n \\r \\t \\xHH \\OOO, and in text \\uHHHH",
                );
            }
        };
        value.push(simple);
        Ok(at + 2)
    }

    /// The character of `\uHHHH` at `at`, or of a pair of them that are surrogates, and where it ends.
    fn unicode_escape(&self, at: usize) -> Option<(char, usize)> {
        let first = self.digits(at + 2, 4, 16)?;
        if !(0xd800..0xdc00).contains(&first) {
            return Some((char::from_u32(first)?, at + 6));
        }
        if self.text.as_bytes().get(at + 6..at + 8)? != b"\\u" {
            return None;
        }
        let second = self.digits(at + 8, 4, 16)?;
        if !(0xdc00..0xe000).contains(&second) {
            return None;
        }
        let code = 0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00);
        Some((char::from_u32(code)?, at + 12))
    }

    /// The number of exactly `count` digits at `at`.
    fn digits(&self, at: usize, count: usize, radix: u32) -> Option<u32> {
        let digits = self.text.get(at..at + count)?;
        let all = digits.chars().all(|digit| digit.is_digit(radix));
        all.then(|| u32::from_str_radix(digits, radix).ok()).flatten()
    }

    fn number(&mut self) -> Result<TokenKind, InputError> {
        let start = self.offset;
        let bytes = self.text.as_bytes();
        let digits_end = |from: usize| {
            from + bytes[from..]
                .iter()
                .take_while(|byte| byte.is_ascii_digit())
                .count()
        };
        let whole_end = digits_end(start);
        let mut end = whole_end;
        let mut is_double = false;
        if bytes.get(end) == Some(&b'.') {
            is_double = true;
            end = digits_end(end + 1);
        }
        if matches!(bytes.get(end), Some(b'e' | b'E')) {
            let sign = usize::from(matches!(bytes.get(end + 1), Some(b'+' | b'-')));
            let exponent_end = digits_end(end + 1 + sign);
            if exponent_end > end + 1 + sign {
                is_double = true;
                end = exponent_end;
            }
        }
        let shown = excerpt(&self.text[start..end]);
        if whole_end - start > 1 && bytes[start] == b'0' {
            return Err(self.error(start, format!("`{shown}`: a number has no leading zeros")));
        }
        if bytes.get(end).is_some_and(|byte| is_name_start(*byte)) {
            return Err(self.error(end, format!("a letter follows the number `{shown}`")));
        }
        self.offset = end;
        if is_double {
            return match self.text[start..end].parse::<f64>() {
                Ok(double) if double.is_finite() => Ok(TokenKind::Double(double)),
                _ => Err(self.error(
                    start,
                    format!("the number `{shown}` is out of range: a double reaches 1.8e308"),
                )),
            };
        }
        match self.text[start..end].parse::<u64>() {
            Ok(integer) if integer <= 1 << 63 => Ok(TokenKind::Integer(integer)),
            _ => Err(self.error(
                start,
                format!("the integer `{shown}` does not fit in 64 bits; with `.0` it is a double"),
            )),
        }
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Quoted {
    Text,
    Bytes,
}

impl Quoted {
    /// A code up to 255: a character in text, a byte in bytes.
    fn push_code(self, code: u32, value: &mut Vec<u8>) {
        let byte = u8::try_from(code).unwrap_or(u8::MAX);
        match self {
            Self::Text => push_character(char::from(byte), value),
            Self::Bytes => value.push(byte),
        }
    }
}

fn push_character(character: char, value: &mut Vec<u8>) {
    value.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
}

pub(super) fn is_name_start(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || byte == b'_' || byte == b'$'
}
