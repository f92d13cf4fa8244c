//! The patterns of `match`.

use std::sync::Arc;

use super::Parser;
use crate::diagnostic::{Code, Diagnostic};
use crate::lexer::{TokenKind, literal};
use crate::syntax::{Name, Pattern, Segment, SegmentKind};

/// How many tokens after the `{` of a broken capture its `}` is looked for.
const BROKEN_CAPTURE_TOKENS_MAX: usize = 6;

/// How many segments of one pattern are read. What a program may have is
/// [`Limits::pattern_segments_max`](crate::Limits::pattern_segments_max).
const PATTERN_SEGMENTS_MAX: usize = 400;

impl Parser<'_> {
    /// The segments up to the brace of the body.
    pub(super) fn pattern(&mut self) -> Pattern {
        let start = self.span();
        let mut segments = Vec::new();
        if self.at(TokenKind::Name) {
            self.error(
                start,
                "expected a path, found a name",
                Some("a pattern starts with a slash: `match /users/{uid}`"),
            );
            let name = self.take_name();
            segments.push(Segment {
                span: name.span,
                kind: SegmentKind::Literal(name.text),
            });
        }
        loop {
            let span = self.span();
            let kind = match (self.kind(), self.ahead(1)) {
                (TokenKind::PathSegment, _) => SegmentKind::Literal(self.path_segment()),
                (TokenKind::Slash, TokenKind::LeftBrace) => match self.placeholder() {
                    Some((name, is_glob)) => SegmentKind::Capture { name, is_glob },
                    None => SegmentKind::Error,
                },
                (TokenKind::Slash, next) => {
                    let hint = match next {
                        TokenKind::Dollar => {
                            "an expression cannot stand in a pattern; capture the segment: `/{name}`"
                        }
                        _ => {
                            "a slash is followed by a segment or a `{capture}`, and a pattern does not end with one"
                        }
                    };
                    self.error(span, "missing a segment behind `/`", Some(hint));
                    self.advance();
                    if next == TokenKind::Dollar {
                        self.skip_to(&[TokenKind::LeftBrace, TokenKind::Slash, TokenKind::PathSegment]);
                    }
                    SegmentKind::Error
                }
                (TokenKind::LeftBrace, TokenKind::Name)
                    if !segments.is_empty()
                        && self.previous_span().end == span.start
                        && matches!(self.ahead(2), TokenKind::RightBrace | TokenKind::Equal) =>
                {
                    let hint = "a capture is a whole segment: `/a/{name}`";
                    self.error(span, "missing `/` before a capture", Some(hint));
                    match self.braces() {
                        Some((name, is_glob)) => SegmentKind::Capture { name, is_glob },
                        None => SegmentKind::Error,
                    }
                }
                (TokenKind::RightBrace, next)
                    if !segments.is_empty()
                        && matches!(
                            next,
                            TokenKind::LeftBrace
                                | TokenKind::PathSegment
                                | TokenKind::Slash
                                | TokenKind::RightBrace
                        ) =>
                {
                    self.error(span, "extra closing `}` in path", None);
                    self.advance();
                    continue;
                }
                _ => break,
            };
            let span = self.since(span);
            if segments.len() == PATTERN_SEGMENTS_MAX {
                let message = format!("a pattern has at most {PATTERN_SEGMENTS_MAX} segments");
                self.push(Diagnostic::new(Code::Limit, span, message));
            }
            if segments.len() <= PATTERN_SEGMENTS_MAX {
                segments.push(Segment { span, kind });
            }
        }
        if segments.is_empty() {
            self.unexpected_with(
                "a path after `match`",
                Some("a pattern starts with a slash: `match /users/{uid}`"),
            );
        }
        Pattern {
            span: self.since(start),
            segments,
        }
    }

    /// Takes a path segment token and gives what it says.
    pub(super) fn path_segment(&mut self) -> Arc<str> {
        let text = self.token_text();
        let value = literal::path_segment(text);
        let span = self.advance();
        match value {
            Some(value) => Arc::from(value),
            None => {
                let message = format!("`{text}` is not text: its `%` codes are not UTF-8");
                self.diagnostics
                    .push(Diagnostic::new(Code::InvalidLiteral, span, message));
                Arc::from(text.trim_start_matches('/'))
            }
        }
    }

    /// Takes `/{name}` or `/{name=**}`; the caller has seen the slash and the brace.
    pub(super) fn placeholder(&mut self) -> Option<(Name, bool)> {
        self.advance();
        self.braces()
    }

    /// Takes `{name}` or `{name=**}`.
    fn braces(&mut self) -> Option<(Name, bool)> {
        self.advance();
        let Some(name) = self.name("a name between `{` and `}`") else {
            self.skip_capture();
            return None;
        };
        let mut is_glob = false;
        if self.eat(TokenKind::Equal) {
            match self.kind() {
                TokenKind::StarStar => is_glob = true,
                TokenKind::Star => {}
                _ => {
                    let hint = "`{name}` is one segment, `{name=**}` any number of them";
                    self.unexpected_with("`*` or `**` after `=`", Some(hint));
                    self.skip_capture();
                    return None;
                }
            }
            self.advance();
        }
        if !self.eat(TokenKind::RightBrace) {
            self.unexpected("`}` after the name of a capture");
            self.skip_capture();
        }
        Some((name, is_glob))
    }

    /// Goes behind the brace that closes a broken capture, if it is near.
    fn skip_capture(&mut self) {
        for ahead in 0..BROKEN_CAPTURE_TOKENS_MAX {
            match self.ahead(ahead) {
                TokenKind::RightBrace => {
                    self.position += ahead + 1;
                    return;
                }
                TokenKind::LeftBrace | TokenKind::End => return,
                _ => {}
            }
        }
    }
}
