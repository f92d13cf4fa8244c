//! The tokens of the source while they are written, and the comments between them.

use super::document::Document;
use crate::diagnostic::Diagnostics;
use crate::lexer::{Token, TokenKind, lex};
use crate::source::FileId;
use crate::syntax::Comment;

/// How many comments behind a token on one line are kept there.
const COMMENTS_ON_LINE_MAX: usize = 8;

/// A walk along the tokens of a source.
pub(super) struct Tokens<'a> {
    pub(super) text: &'a str,
    tokens: Vec<Token>,
    comments: Vec<Comment>,
    /// The token that comes next.
    position: usize,
    /// The comment that comes next.
    comment: usize,
    /// The end of the last token or comment written.
    end: usize,
    /// Whether the tokens were not those that the tree promised; nothing is written then.
    pub(super) has_failed: bool,
}

impl<'a> Tokens<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        // Files with errors are not formatted, so that there is nothing to be said about this one.
        let lexed = lex(FileId::default(), text, &mut Diagnostics::default());
        Self {
            text,
            tokens: lexed.tokens,
            comments: lexed.comments,
            position: 0,
            comment: 0,
            end: 0,
            has_failed: false,
        }
    }

    pub(super) fn kind(&self) -> TokenKind {
        self.ahead(0)
    }

    fn ahead(&self, count: usize) -> TokenKind {
        self.tokens
            .get(self.position + count)
            .map_or(TokenKind::End, |token| token.kind)
    }

    /// The text of the next token.
    pub(super) fn next_text(&self) -> &'a str {
        self.tokens
            .get(self.position)
            .map_or("", |token| &self.text[token.start as usize..token.end as usize])
    }

    fn next_start(&self) -> usize {
        self.tokens
            .get(self.position)
            .map_or(self.text.len(), |token| token.start as usize)
    }

    /// Writes the next token, which has to be of this kind, with the comments around it.
    pub(super) fn take(&mut self, kind: TokenKind) -> Document<'a> {
        if self.kind() != kind {
            self.has_failed = true;
            return Document::text("");
        }
        self.take_any()
    }

    /// Writes the next token, whatever it is, with the comments around it.
    pub(super) fn take_any(&mut self) -> Document<'a> {
        let Some(token) = self.tokens.get(self.position).copied() else {
            self.has_failed = true;
            return Document::text("");
        };
        let mut parts = Vec::new();
        self.comments_before(&mut parts);
        let text = &self.text[token.start as usize..token.end as usize];
        parts.push(match token.kind {
            TokenKind::PathSegment => Document::path_text(text),
            _ => Document::text(text),
        });
        self.position += 1;
        self.end = token.end as usize;
        self.comments_behind(&mut parts);
        match parts.pop() {
            Some(only) if parts.is_empty() => only,
            last => {
                parts.extend(last);
                Document::concat(parts)
            }
        }
    }

    /// Passes over a token that is not written, if it is there; the comments around it stay.
    pub(super) fn skip(&mut self, kind: TokenKind) -> Document<'a> {
        let mut parts = Vec::new();
        if self.kind() == kind {
            self.comments_before(&mut parts);
            self.end = self.tokens[self.position].end as usize;
            self.position += 1;
            self.comments_behind(&mut parts);
        }
        Document::concat(parts)
    }

    /// Writes a token that may be left away in the source.
    pub(super) fn take_or_add(&mut self, kind: TokenKind, text: &'static str) -> Document<'a> {
        if self.kind() == kind {
            self.take_any()
        } else {
            Document::text(text)
        }
    }

    /// Whether a line is broken in the source before the next token.
    pub(super) fn is_line_broken(&self) -> bool {
        self.text[self.end..self.next_start()].contains('\n')
    }

    /// What separates what was written from what comes next, both on lines of their own: an empty line if the source has
    /// one or more.
    pub(super) fn line_or_empty_line(&self) -> Document<'a> {
        let next = match self.pending() {
            Some(comment) => comment.span.start as usize,
            None => self.next_start(),
        };
        if self.text[self.end..next].matches('\n').count() > 1 {
            Document::empty_line()
        } else {
            Document::line()
        }
    }

    /// The comment before the next token, if there is one.
    fn pending(&self) -> Option<Comment> {
        let comment = self.comments.get(self.comment).copied()?;
        ((comment.span.start as usize) < self.next_start()).then_some(comment)
    }

    pub(super) fn has_pending_comment(&self) -> bool {
        self.pending().is_some()
    }

    /// Writes the comments before the next token, one a line, as what stands before a closing brace.
    pub(super) fn remaining_comments(&mut self) -> Vec<Document<'a>> {
        let mut parts = Vec::new();
        while self.pending().is_some() {
            if !parts.is_empty() {
                parts.push(self.line_or_empty_line());
            }
            parts.extend(self.take_comment());
        }
        parts
    }

    fn take_comment(&mut self) -> Option<Document<'a>> {
        let comment = self.pending()?;
        self.comment += 1;
        self.end = comment.span.end as usize;
        Some(Document::text(self.comment_text(comment)))
    }

    fn comment_text(&self, comment: Comment) -> &'a str {
        self.text[comment.span.range()].trim_end()
    }

    /// Writes the comments before the next token ahead of what was taken last.
    pub(super) fn leading_comments(&mut self) -> Document<'a> {
        let mut parts = Vec::new();
        self.comments_before(&mut parts);
        Document::concat(parts)
    }

    /// Comments before a token: on lines of their own, or, if the token follows on the same line, before it.
    fn comments_before(&mut self, parts: &mut Vec<Document<'a>>) {
        while let Some(comment) = self.pending() {
            let text = self.comment_text(comment);
            self.take_comment();
            let next = match self.pending() {
                Some(next) => next.span.start as usize,
                None => self.next_start(),
            };
            let gap = &self.text[comment.span.end as usize..next];
            if !comment.is_block || gap.contains('\n') {
                parts.push(Document::comment(text, gap.matches('\n').count() > 1));
            } else {
                parts.push(Document::inline_comment(text));
            }
        }
    }

    /// Comments behind a token, on its line and with nothing else behind them: they stay at the end of the line.
    fn comments_behind(&mut self, parts: &mut Vec<Document<'a>>) {
        while let Some(comment) = self.pending() {
            let before = &self.text[self.end..comment.span.start as usize];
            let text = self.comment_text(comment);
            let ends_line = !comment.is_block || !text.contains('\n') && self.is_last_on_line();
            if before.contains('\n') || !ends_line {
                return;
            }
            self.comment += 1;
            self.end = comment.span.end as usize;
            parts.push(Document::suffix(text));
        }
    }

    /// Whether only comments follow the next comment on its line.
    fn is_last_on_line(&self) -> bool {
        let comments = &self.comments[self.comment..];
        for (index, comment) in comments.iter().take(COMMENTS_ON_LINE_MAX).enumerate() {
            let next = match comments.get(index + 1) {
                Some(next) => next.span.start as usize,
                None => self.text.len(),
            };
            let (end, token) = (comment.span.end as usize, self.next_start());
            if self.text[end..next.min(token)].contains('\n')
                || next >= self.text.len() && token >= self.text.len()
            {
                return true;
            }
            if token < next || self.text[comment.span.range()].contains('\n') {
                return false;
            }
        }
        false
    }
}
