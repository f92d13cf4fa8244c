//! Functions and bindings.

use std::sync::Arc;

use super::Parser;
use crate::lexer::TokenKind;
use crate::syntax::{Expr, Function, Let, Name};

impl Parser<'_> {
    pub(super) fn function(&mut self) -> Option<Arc<Function>> {
        let docs = self.documentation();
        let start = self.advance();
        let name = if self.at(TokenKind::Name) {
            self.take_name()
        } else if self.at(TokenKind::LeftParen) {
            self.error(
                self.span(),
                "missing `function` id",
                Some("a function has a name: `function isOwner() { … }`"),
            );
            self.missing_name()
        } else {
            self.name("the name of the function").unwrap_or_else(|| {
                let is_word = self.kind().is_property();
                if is_word {
                    self.take_name()
                } else {
                    self.missing_name()
                }
            })
        };
        let parameters = if self.at(TokenKind::LeftParen) {
            self.parameters()
        } else {
            let hint = "a function has parentheses, with nothing in them if it takes nothing";
            self.error(self.span(), "missing `function` signature", Some(hint));
            self.skip_to(&[TokenKind::LeftBrace, TokenKind::Semicolon]);
            Vec::new()
        };
        if !self.at(TokenKind::LeftBrace) {
            self.unexpected("`{` before the body of the function");
            self.skip_to(&[
                TokenKind::LeftBrace,
                TokenKind::Semicolon,
                TokenKind::Function,
                TokenKind::Match,
            ]);
            if !self.at(TokenKind::LeftBrace) {
                self.eat(TokenKind::Semicolon);
                return None;
            }
        }
        let (lets, body) = self.function_body();
        Some(Arc::new(Function {
            span: self.since(start),
            name,
            parameters,
            lets,
            body,
            docs,
        }))
    }

    fn parameters(&mut self) -> Vec<Name> {
        self.advance();
        let mut parameters = Vec::new();
        if self.eat(TokenKind::RightParen) {
            return parameters;
        }
        while let Some(name) = self.name("the name of a parameter") {
            parameters.push(name);
            match self.kind() {
                TokenKind::Comma => {
                    self.advance();
                }
                TokenKind::RightParen => {
                    self.advance();
                    return parameters;
                }
                TokenKind::Colon | TokenKind::Equal => {
                    self.unexpected_with("`,` or `)`", Some("parameters have neither types nor defaults"));
                    break;
                }
                _ => {
                    self.unexpected("`,` or `)` after a parameter");
                    break;
                }
            }
        }
        self.skip_to(&[TokenKind::LeftBrace, TokenKind::Semicolon]);
        self.eat(TokenKind::RightParen);
        parameters
    }

    /// Takes `{ let …; return …; }`; the caller has seen the brace.
    fn function_body(&mut self) -> (Vec<Arc<Let>>, Expr) {
        self.advance();
        let mut lets = Vec::new();
        let mut body = None;
        loop {
            match self.kind() {
                TokenKind::Let if body.is_none() => lets.extend(self.binding()),
                TokenKind::Return if body.is_none() => {
                    self.advance();
                    body = Some(self.expression());
                    self.eat(TokenKind::Semicolon);
                }
                TokenKind::RightBrace => {
                    if body.is_none() {
                        let message = if lets.is_empty() {
                            "missing `function` body"
                        } else {
                            "missing `return` at the end of the function"
                        };
                        self.error(
                            self.span(),
                            message,
                            Some("a function ends with `return expression;`"),
                        );
                    }
                    let end = self.advance();
                    let body = body.unwrap_or_else(|| self.error_expression(end.at_start()));
                    return (lets, body);
                }
                TokenKind::End
                | TokenKind::Service
                | TokenKind::Allow
                | TokenKind::Match
                | TokenKind::Function => {
                    self.unexpected("`}` at the end of the function");
                    let here = self.previous_span().at_end();
                    return (lets, body.unwrap_or_else(|| self.error_expression(here)));
                }
                TokenKind::Error => {
                    self.advance();
                }
                TokenKind::If => {
                    let hint = "there are no `if` statements; write `return condition ? a : b;`";
                    self.unexpected_with("`let` or `return`", Some(hint));
                    self.skip_if_statement();
                }
                kind => {
                    let (expected, hint) = match kind {
                        TokenKind::Let => ("`}`", Some("every `let` stands before `return`")),
                        TokenKind::Return => ("`}`", Some("a function has one `return`")),
                        _ if body.is_some() => ("`}` after `return`", None),
                        _ => ("`let` or `return`", None),
                    };
                    self.unexpected_with(expected, hint);
                    self.advance();
                    self.skip_to(&[
                        TokenKind::Semicolon,
                        TokenKind::Let,
                        TokenKind::Return,
                        TokenKind::Allow,
                        TokenKind::Match,
                        TokenKind::Function,
                        TokenKind::Service,
                    ]);
                    self.eat(TokenKind::Semicolon);
                }
            }
        }
    }

    /// Skips `if (…) { … } else { … }`, which other languages have.
    fn skip_if_statement(&mut self) {
        while matches!(self.kind(), TokenKind::If | TokenKind::Else) {
            self.advance();
            if self.at(TokenKind::If) {
                continue;
            }
            for open in [TokenKind::LeftParen, TokenKind::LeftBrace] {
                if self.eat(open) {
                    self.skip_to(&[]);
                    if matches!(self.kind(), TokenKind::RightParen | TokenKind::RightBrace) {
                        self.advance();
                    }
                }
            }
        }
    }

    pub(super) fn binding(&mut self) -> Option<Arc<Let>> {
        let start = self.advance();
        let name = match self.name("a name after `let`") {
            Some(name) => name,
            None => {
                self.skip_to(&[
                    TokenKind::Semicolon,
                    TokenKind::Let,
                    TokenKind::Return,
                    TokenKind::Allow,
                ]);
                self.eat(TokenKind::Semicolon);
                return None;
            }
        };
        if !self.eat(TokenKind::Equal) {
            self.unexpected("`=` after the name");
            if !self.eat(TokenKind::EqualEqual) && !self.eat(TokenKind::Colon) {
                self.skip_to(&[
                    TokenKind::Semicolon,
                    TokenKind::Let,
                    TokenKind::Return,
                    TokenKind::Allow,
                ]);
                self.eat(TokenKind::Semicolon);
                return None;
            }
        }
        let value = self.expression();
        if !self.eat(TokenKind::Semicolon) {
            self.unexpected("`;` at the end of `let`");
            if !matches!(self.kind(), TokenKind::Return | TokenKind::Let) {
                self.skip_to(&[
                    TokenKind::Semicolon,
                    TokenKind::Let,
                    TokenKind::Return,
                    TokenKind::Allow,
                    TokenKind::Match,
                    TokenKind::Function,
                ]);
                self.eat(TokenKind::Semicolon);
            }
        }
        Some(Arc::new(Let {
            span: self.since(start),
            name,
            value,
        }))
    }
}
