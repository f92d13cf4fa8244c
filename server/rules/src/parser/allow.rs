//! `allow`: operations, a condition, a reason.

use std::sync::Arc;

use super::Parser;
use super::declaration::MEMBER_STARTS;
use crate::lexer::{TokenKind, literal};
use crate::syntax::{Allow, Expr, Operation, OperationKind, Reason};

/// What stands in the place where an `allow` may end without a semicolon.
const AFTER_ALLOW: &[TokenKind] = &[
    TokenKind::Semicolon,
    TokenKind::RightBrace,
    TokenKind::Allow,
    TokenKind::Match,
    TokenKind::Function,
    TokenKind::Let,
    TokenKind::PathSegment,
    TokenKind::Slash,
    TokenKind::End,
];

impl Parser<'_> {
    pub(super) fn allow(&mut self) -> Allow {
        let start = self.advance();
        let operations = self.operations();
        let condition = self.condition();
        let reason = self.reason(condition.is_some());
        if !AFTER_ALLOW.contains(&self.kind()) {
            let expected = if condition.is_some() {
                "`;` after the condition"
            } else {
                "`:`, `,` or `;` after the operations of `allow`"
            };
            self.unexpected(expected);
            self.skip_to(MEMBER_STARTS);
        }
        self.eat(TokenKind::Semicolon);
        Allow {
            span: self.since(start),
            operations,
            condition,
            reason,
        }
    }

    fn operations(&mut self) -> Vec<Operation> {
        let mut operations = Vec::new();
        if !self.at(TokenKind::Name) {
            self.error(
                self.span(),
                "expected at least one operation after `allow`",
                Some("the operations are get, list, create, update, delete, and read and write for groups of them"),
            );
            if self.kind().is_property() && !AFTER_ALLOW.contains(&self.kind()) && !self.at(TokenKind::If) {
                self.advance();
            }
            return operations;
        }
        loop {
            let name = self.take_name();
            let kind = OperationKind::from_name(&name.text);
            operations.push(Operation { name, kind });
            if !self.at(TokenKind::Comma) {
                return operations;
            }
            let comma = self.advance();
            if !self.at(TokenKind::Name) {
                self.error(comma, "unexpected `,`", Some("an operation follows a comma"));
                return operations;
            }
        }
    }

    /// Takes `: if condition`, if there is one.
    pub(super) fn condition(&mut self) -> Option<Expr> {
        match self.kind() {
            TokenKind::Colon => {
                self.advance();
                if !self.eat(TokenKind::If) {
                    let hint = "write `allow read: if condition;`";
                    self.error(
                        self.span(),
                        "missing `if` before conditional expression",
                        Some(hint),
                    );
                }
            }
            TokenKind::If => {
                let hint = "write `allow read: if condition;`";
                self.error(self.span(), "missing `:` before `if` condition", Some(hint));
                self.advance();
            }
            TokenKind::Equal => {
                self.unexpected_with(
                    "`:` before the condition",
                    Some("write `allow read: if condition;`"),
                );
                self.advance();
                self.eat(TokenKind::If);
            }
            _ => return None,
        }
        if AFTER_ALLOW.contains(&self.kind())
            && !matches!(self.kind(), TokenKind::PathSegment | TokenKind::Slash)
        {
            self.error(self.span(), "missing conditional expression after `if`", None);
            return Some(self.error_expression(self.previous_span().at_end()));
        }
        Some(self.expression())
    }

    /// Takes `else "reason"`, if there is one.
    fn reason(&mut self, has_condition: bool) -> Option<Reason> {
        if !self.at(TokenKind::Else) {
            return None;
        }
        let start = self.advance();
        if !self.at(TokenKind::String) {
            let hint =
                "the text after `else` is what the client is told on a denial; for a choice use `a ? b : c`";
            self.unexpected_with("a string after `else`", Some(hint));
            return None;
        }
        let text = Arc::from(literal::string(self.token_text()));
        let span = self.advance();
        self.needs_extensions(start.to(span), "a reason after `else`");
        if !has_condition {
            let hint = "without a condition the request is always allowed";
            self.error(start.to(span), "a reason needs a condition", Some(hint));
        }
        Some(Reason { span, text })
    }
}
