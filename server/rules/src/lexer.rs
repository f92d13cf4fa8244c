//! From text to tokens.
//!
//! Every byte of the text belongs to a token, a comment or white space; a token's text is that of its offsets. What has no
//! meaning becomes a [`TokenKind::Error`] token and a diagnostic, and lexing goes on behind it. Time is linear in the
//! length of the text. What a literal's text *says* is read by [`literal`], once the parser wants it.
//!
//! The longest token wins: `a/b` is the name `a` and the path segment `/b`; division needs a space behind its slash.

pub(crate) mod literal;

mod token;

pub(crate) use token::{Token, TokenKind};

use crate::diagnostic::{Code, Diagnostic, Diagnostics};
use crate::source::{FileId, Span};
use crate::syntax::Comment;

/// How far the end of a string in foreign quotes is looked for.
const FOREIGN_STRING_CHARACTERS_MAX: usize = 200;

/// The tokens of a text.
pub(crate) struct Lexed {
    /// In order; the last one, and only that, is [`TokenKind::End`].
    pub(crate) tokens: Vec<Token>,
    /// In order.
    pub(crate) comments: Vec<Comment>,
}

/// Splits a text of at most [`SOURCE_BYTES_MAX`](crate::source::SOURCE_BYTES_MAX) bytes.
pub(crate) fn lex(file: FileId, text: &str, diagnostics: &mut Diagnostics) -> Lexed {
    let mut lexer = Lexer {
        file,
        text,
        bytes: text.as_bytes(),
        offset: 0,
        unclosed_from: None,
        diagnostics,
        comments: Vec::new(),
    };
    // Editors on some systems put this mark before UTF-8 text.
    if text.starts_with('\u{feff}') {
        lexer.offset = '\u{feff}'.len_utf8();
    }
    // Rules files have a token about every four bytes.
    let mut tokens = Vec::with_capacity(text.len() / 4 + 1);
    loop {
        lexer.skip_blank();
        let start = lexer.offset;
        let is_service_name = matches!(
            tokens.last(),
            Some(Token {
                kind: TokenKind::Service,
                ..
            })
        );
        let kind = if is_service_name && lexer.take_service_name() {
            TokenKind::ServiceName
        } else {
            lexer.take_token()
        };
        tokens.push(Token::new(kind, start, lexer.offset));
        if kind == TokenKind::End {
            return Lexed {
                tokens,
                comments: lexer.comments,
            };
        }
    }
}

struct Lexer<'a> {
    file: FileId,
    text: &'a str,
    bytes: &'a [u8],
    offset: usize,
    /// Set once a search for `*/` from here on has found none, so that many `/*` are not searched again and again.
    unclosed_from: Option<usize>,
    diagnostics: &'a mut Diagnostics,
    comments: Vec<Comment>,
}

impl Lexer<'_> {
    fn peek(&self, ahead: usize) -> Option<u8> {
        self.bytes.get(self.offset + ahead).copied()
    }

    fn span_from(&self, start: usize) -> Span {
        Span::new(self.file, start, self.offset)
    }

    /// Skips white space and comments.
    fn skip_blank(&mut self) {
        loop {
            match self.peek(0) {
                Some(b' ' | b'\t' | b'\n' | b'\x0c' | b'\r') => self.offset += 1,
                Some(b'/') => match self.comment_end() {
                    Some((end, is_block)) => {
                        let start = self.offset;
                        self.offset = end;
                        let span = self.span_from(start);
                        self.comments.push(Comment { span, is_block });
                    }
                    None => return,
                },
                _ => return,
            }
        }
    }

    /// Where the comment that starts here ends, and whether it is a block.
    fn comment_end(&mut self) -> Option<(usize, bool)> {
        let rest = &self.bytes[self.offset..];
        match self.peek(1) {
            Some(b'/') => {
                let length = rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len());
                let has_return = rest[..length].ends_with(b"\r");
                Some((self.offset + length - usize::from(has_return), false))
            }
            Some(b'*') => {
                if self.unclosed_from.is_some_and(|from| from <= self.offset) {
                    return None;
                }
                let Some(length) = rest[2..].windows(2).position(|pair| pair == b"*/") else {
                    // It is no comment then, but the path segment `/*…`.
                    self.unclosed_from = Some(self.offset);
                    return None;
                };
                Some((self.offset + 2 + length + 2, true))
            }
            _ => None,
        }
    }

    /// Takes what the grammar takes for a service's name: `cloud.firestore` is one token there.
    fn take_service_name(&mut self) -> bool {
        let rest = self.bytes[self.offset..].iter();
        let length = rest
            .take_while(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-'))
            .count();
        self.offset += length;
        length > 0
    }

    fn take_token(&mut self) -> TokenKind {
        let Some(first) = self.peek(0) else {
            return TokenKind::End;
        };
        match first {
            b'b' | b'B' if matches!(self.peek(1), Some(b'"' | b'\'')) => {
                self.offset += 1;
                self.take_quoted(TokenKind::Bytes)
            }
            b'"' | b'\'' => self.take_quoted(TokenKind::String),
            b'0'..=b'9' => self.take_number(),
            b'.' if self.peek(1).is_some_and(|byte| byte.is_ascii_digit()) => self.take_number(),
            b'/' => self.take_slash(),
            _ if is_name_start(first) => {
                let start = self.offset;
                self.offset += self.bytes[start..]
                    .iter()
                    .take_while(|byte| is_name_start(**byte) || byte.is_ascii_digit())
                    .count();
                TokenKind::from_word(&self.text[start..self.offset])
            }
            _ => match TokenKind::symbol_at(&self.bytes[self.offset..]) {
                Some((kind, length)) => {
                    self.offset += length;
                    kind
                }
                None => self.take_unknown(),
            },
        }
    }

    /// Takes a path segment or a lone slash.
    fn take_slash(&mut self) -> TokenKind {
        self.offset += 1;
        if self.peek(0) == Some(b'(') {
            let length = path_characters(&self.bytes[self.offset + 1..]);
            if length > 0 && self.peek(1 + length) == Some(b')') {
                self.offset += length + 2;
                return TokenKind::PathSegment;
            }
            return TokenKind::Slash;
        }
        match path_characters(&self.bytes[self.offset..]) {
            0 => TokenKind::Slash,
            length => {
                self.offset += length;
                TokenKind::PathSegment
            }
        }
    }

    fn take_digits(&mut self) -> usize {
        let digits = self.bytes[self.offset..]
            .iter()
            .take_while(|byte| byte.is_ascii_digit());
        let count = digits.count();
        self.offset += count;
        count
    }

    fn take_number(&mut self) -> TokenKind {
        let start = self.offset;
        let digits = self.take_digits();
        if digits > 1 && self.bytes[start] == b'0' {
            let span = self.span_from(start);
            self.diagnostics.push(
                Diagnostic::new(Code::Syntax, span, "a number has no leading zeros")
                    .with_hint("octal and hexadecimal numbers do not exist; write the number in decimal"),
            );
            return TokenKind::Error;
        }
        if self.peek(0) != Some(b'.') {
            return TokenKind::Int;
        }
        self.offset += 1;
        self.take_digits();
        TokenKind::Float
    }

    /// Takes a string up to its closing quote, or to the end of the line if there is none.
    fn take_quoted(&mut self, kind: TokenKind) -> TokenKind {
        let start = self.offset;
        let quote = self.bytes[start];
        self.offset += 1;
        loop {
            match self.peek(0) {
                Some(byte) if byte == quote => {
                    self.offset += 1;
                    return kind;
                }
                None | Some(b'\n' | b'\r') => {
                    let span = self.span_from(start);
                    let quote = char::from(quote);
                    self.diagnostics.push(
                        Diagnostic::new(Code::Syntax, span, format!("missing a closing {quote}"))
                            .with_hint("a string ends on the line where it starts; `\\n` is a line break"),
                    );
                    return TokenKind::Error;
                }
                Some(b'\\') => self.take_escape(kind),
                Some(b'\x08' | b'\x0c') => {
                    let at = self.offset;
                    self.offset += 1;
                    let span = self.span_from(at);
                    self.diagnostics.push(
                        Diagnostic::new(Code::Syntax, span, "a control character stands in a string")
                            .with_hint("write `\\b` for a backspace and `\\f` for a form feed"),
                    );
                }
                Some(byte) if byte < 0x80 => self.offset += 1,
                Some(_) => self.take_character_in_string(quote),
            }
        }
    }

    /// Takes one character beyond ASCII; curly quotes are refused inside the straight quotes that they resemble.
    fn take_character_in_string(&mut self, quote: u8) {
        let start = self.offset;
        let character = self.text[start..].chars().next().unwrap_or_default();
        self.offset += character.len_utf8().max(1);
        let alike = match quote {
            b'"' => ['\u{201c}', '\u{201d}'],
            _ => ['\u{2018}', '\u{2019}'],
        };
        if alike.contains(&character) {
            let (span, straight) = (self.span_from(start), char::from(quote));
            let code = u32::from(character);
            self.diagnostics.push(
                Diagnostic::new(
                    Code::Syntax,
                    span,
                    format!("the curly quote `{character}` stands in a string in {straight}"),
                )
                .with_hint(format!(
                    "end the string with a straight {straight}, or write the character as `\\u{code:04x}`"
                )),
            );
        }
    }

    /// Takes a backslash and what belongs to it.
    fn take_escape(&mut self, kind: TokenKind) {
        let start = self.offset;
        match literal::escape_length(&self.bytes[start..]) {
            Some(length) => self.offset += length,
            None => {
                self.offset += 1;
                let next = self.text[self.offset..].chars().next();
                let shown = next.filter(|next| !next.is_control()).map(String::from);
                let hint = match next {
                    // The string is not closed, which is said anyway.
                    None | Some('\n' | '\r') => return,
                    Some('x') => "`\\x` is followed by two hexadecimal digits",
                    Some('u') => "`\\u` is followed by four hexadecimal digits",
                    Some('0'..='9') => "an octal escape has three digits, from `\\000` to `\\377`",
                    Some('d' | 'w' | 's' | '.' | 'D' | 'W' | 'S' | '$' | '/' | '-')
                        if kind == TokenKind::String =>
                    {
                        "in a pattern for `matches`, double the backslash"
                    }
                    _ => {
                        "there are \\\" \\' \\\\ \\b \\f \\n \\r \\t \\xHH \\OOO \\uHHHH; for a backslash itself write `\\\\`"
                    }
                };
                let span = self.span_from(start);
                let message = format!("`\\{}` is not an escape", shown.unwrap_or_default());
                self.diagnostics
                    .push(Diagnostic::new(Code::Syntax, span, message).with_hint(hint));
            }
        }
    }

    /// Takes the characters up to one that may start a token.
    fn take_unknown(&mut self) -> TokenKind {
        let start = self.offset;
        let rest = &self.text[start..];
        let known = |character: char| {
            character.is_ascii_graphic() && !matches!(character, '`' | '#' | '^' | '~' | '\\')
                || character.is_ascii_whitespace()
        };
        let first = rest.chars().next().unwrap_or_default();
        let length = match first {
            // What was meant to be a string or a comment is one mistake, not one for each word in it.
            '\u{2018}'..='\u{201f}' | '`' => foreign_string(rest).unwrap_or(first.len_utf8()),
            '#' => rest.find('\n').unwrap_or(rest.len()),
            // The first character is unknown whatever `known` says of it.
            _ => rest.find(known).unwrap_or(rest.len()).max(first.len_utf8()),
        };
        self.offset += length;
        let hint = match first {
            '\u{2018}'..='\u{201f}' | '`' => "strings stand in straight quotes: \"…\" or '…'",
            '#' => "comments start with `//`",
            '\\' => "a backslash has a meaning only inside a string",
            '^' | '~' => "there are no operators on bits",
            _ if first.is_alphabetic() => {
                "names consist of the letters a to z, digits, `_` and `$`; other text stands in quotes"
            }
            _ => "remove it",
        };
        let shown: String = rest[..self.offset - start].chars().take(20).collect();
        let message = match first {
            '`' => "backticks have no meaning here".to_owned(),
            _ => format!("`{}` has no meaning here", shown.escape_debug()),
        };
        let span = self.span_from(start);
        self.diagnostics
            .push(Diagnostic::new(Code::Syntax, span, message).with_hint(hint));
        TokenKind::Error
    }
}

/// How long the string is that starts with a curly quote or backtick here, if one ends it on the same line.
fn foreign_string(text: &str) -> Option<usize> {
    let mut characters = text.char_indices().skip(1).take(FOREIGN_STRING_CHARACTERS_MAX);
    let (end, quote) = characters
        .find(|(_, character)| matches!(character, '\u{2018}'..='\u{201f}' | '`' | '\n' | '\'' | '"'))?;
    (!matches!(quote, '\n' | '\'' | '"')).then_some(end + quote.len_utf8())
}

fn is_name_start(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || byte == b'_' || byte == b'$'
}

/// How many bytes from here on belong to a path segment.
fn path_characters(bytes: &[u8]) -> usize {
    let mut length = 0;
    loop {
        match bytes.get(length) {
            Some(b'%') => {
                let code = bytes.get(length + 1..length + 3);
                if !code.is_some_and(|code| code.iter().all(u8::is_ascii_hexdigit)) {
                    return length;
                }
                length += 3;
            }
            Some(
                b'a'..=b'z'
                | b'A'..=b'Z'
                | b'0'..=b'9'
                | b'-'
                | b'.'
                | b'_'
                | b'~'
                | b':'
                | b'@'
                | b'&'
                | b'\''
                | b'*'
                | b'+',
            ) => length += 1,
            _ => return length,
        }
    }
}
