//! Operands: literals, names, lists, maps, paths, and what may stand behind them.

use std::sync::Arc;

use super::Parser;
use super::expression::AFTER_EXPRESSION;
use crate::diagnostic::{Code, Diagnostic};
use crate::lexer::{TokenKind, literal};
use crate::source::Span;
use crate::syntax::{Expr, ExprKind, MapEntry, PathPart, PathPartKind, Quantifier};

impl Parser<'_> {
    pub(super) fn postfix(&mut self) -> Expr {
        let mut expr = self.primary();
        let start = expr.span;
        loop {
            expr = match self.kind() {
                TokenKind::Dot | TokenKind::QuestionDot => self.after_dot(start, expr),
                TokenKind::LeftBracket => self.after_bracket(start, expr),
                _ => return expr,
            };
        }
    }

    /// Takes `.name`, `.method(…)` or a quantifier.
    fn after_dot(&mut self, start: Span, base: Expr) -> Expr {
        let is_safe = self.at(TokenKind::QuestionDot);
        if is_safe {
            self.needs_extensions(self.span(), "`?.`");
        }
        self.advance();
        if !self.kind().is_property() {
            let hint = self
                .at(TokenKind::RulesVersion)
                .then_some("use `['rules_version']`");
            self.unexpected_with("a name after `.`", hint);
            return base;
        }
        let is_name = self.at(TokenKind::Name);
        let name = self.take_name();
        if !self.at(TokenKind::LeftParen) {
            let kind = ExprKind::Member {
                base: Box::new(base),
                name,
                is_safe,
            };
            return self.node(self.since(start), kind);
        }
        if !is_name {
            let message = format!(
                "`{}` is a reserved word and cannot be the name of a method",
                name.text
            );
            self.error(name.span, message, None);
        }
        if self.version.has_extensions()
            && !is_safe
            && self.ahead(1) == TokenKind::Name
            && self.ahead(2) == TokenKind::Comma
            && let Some(quantifier) = Quantifier::from_name(&name.text)
        {
            self.advance();
            let variable = self.take_name();
            self.advance();
            let body = self.bracketed(Self::expression);
            self.eat(TokenKind::Comma);
            if !self.eat(TokenKind::RightParen) {
                self.unexpected("`)` after the body");
                self.skip_to(AFTER_EXPRESSION);
                self.eat(TokenKind::RightParen);
            }
            let kind = ExprKind::Quantified {
                base: Box::new(base),
                quantifier,
                quantifier_span: name.span,
                variable,
                body: Box::new(body),
            };
            return self.node(self.since(start), kind);
        }
        let arguments = self.arguments();
        let kind = ExprKind::MethodCall {
            base: Box::new(base),
            method: name,
            arguments,
            is_safe,
        };
        self.node(self.since(start), kind)
    }

    /// Takes `[index]` or `[start:end]`.
    fn after_bracket(&mut self, start: Span, base: Expr) -> Expr {
        self.advance();
        let base = Box::new(base);
        let first = if self.at(TokenKind::Colon) {
            None
        } else {
            Some(Box::new(self.bracketed(Self::expression)))
        };
        let kind = if self.eat(TokenKind::Colon) {
            let end = if self.at(TokenKind::RightBracket) {
                None
            } else {
                Some(Box::new(self.bracketed(Self::expression)))
            };
            ExprKind::Slice {
                base,
                start: first,
                end,
            }
        } else {
            match first {
                Some(index) => ExprKind::Index { base, index },
                None => ExprKind::Slice {
                    base,
                    start: None,
                    end: None,
                },
            }
        };
        self.close(TokenKind::RightBracket);
        self.node(self.since(start), kind)
    }

    /// Takes a closing bracket; without one, skips to it.
    fn close(&mut self, bracket: TokenKind) {
        if !self.eat(bracket) {
            self.unexpected(bracket.describe());
            self.skip_to(AFTER_EXPRESSION);
            self.eat(bracket);
        }
    }

    /// Takes `(a, b)`; the caller has seen the parenthesis.
    fn arguments(&mut self) -> Vec<Expr> {
        self.advance();
        self.items(TokenKind::RightParen, "an argument", Self::expression)
    }

    /// Takes items with commas between them, and perhaps one after the last, up to a closing bracket.
    fn items<T>(&mut self, close: TokenKind, what: &str, item: impl Fn(&mut Self) -> T) -> Vec<T> {
        let mut items = Vec::new();
        while !self.at(close) {
            if self.at(TokenKind::Comma) {
                self.error(
                    self.span(),
                    "unexpected `,`",
                    Some("a value stands before a comma"),
                );
                self.advance();
                continue;
            }
            let before = self.position;
            items.push(self.bracketed(&item));
            if self.at(close) {
                break;
            }
            if !self.eat(TokenKind::Comma) {
                self.unexpected(&format!("`,` or {} after {what}", close.describe()));
                self.skip_to(AFTER_EXPRESSION);
                if !self.eat(TokenKind::Comma) || self.position == before {
                    break;
                }
            }
        }
        self.close(close);
        items
    }

    fn primary(&mut self) -> Expr {
        let start = self.span();
        let kind = match self.kind() {
            TokenKind::Null => {
                self.advance();
                ExprKind::Null
            }
            TokenKind::True | TokenKind::False => {
                let value = self.at(TokenKind::True);
                self.advance();
                ExprKind::Bool(value)
            }
            TokenKind::Int => ExprKind::Int(self.int()),
            TokenKind::Float => ExprKind::Float(self.float()),
            TokenKind::String => {
                let value = literal::string(self.token_text());
                self.advance();
                ExprKind::String(Arc::from(value))
            }
            TokenKind::Bytes => {
                let value = literal::bytes(self.token_text());
                self.advance();
                ExprKind::Bytes(Arc::from(value))
            }
            TokenKind::Name => {
                let name = self.take_name();
                if self.at(TokenKind::LeftParen) {
                    let arguments = self.arguments();
                    ExprKind::Call {
                        function: name,
                        arguments,
                    }
                } else {
                    ExprKind::Variable(name)
                }
            }
            TokenKind::LeftParen => {
                self.advance();
                let inner = self.bracketed(Self::expression);
                self.close(TokenKind::RightParen);
                ExprKind::Paren(Box::new(inner))
            }
            TokenKind::LeftBracket => {
                self.advance();
                ExprKind::List(self.items(TokenKind::RightBracket, "an element", Self::expression))
            }
            TokenKind::LeftBrace => {
                self.advance();
                ExprKind::Map(self.items(TokenKind::RightBrace, "an entry", Self::entry))
            }
            TokenKind::PathSegment | TokenKind::Slash => return self.path(),
            _ => return self.no_operand(),
        };
        self.node(self.since(start), kind)
    }

    /// Reports that no operand stands here, and goes on as if one did.
    fn no_operand(&mut self) -> Expr {
        let start = self.span();
        match self.kind() {
            TokenKind::PlusPlus | TokenKind::MinusMinus => {
                let message = "increment (`++`) and decrement (`--`) operators are not supported";
                self.error(
                    start,
                    message,
                    Some("write `a + 1`, or a space between two signs"),
                );
                self.advance();
                return match self.nested("an expression", Self::unary) {
                    Some(operand) => operand,
                    None => self.error_expression(start),
                };
            }
            TokenKind::Plus => {
                self.unexpected("an expression");
                self.advance();
                return match self.nested("an expression", Self::unary) {
                    Some(operand) => operand,
                    None => self.error_expression(start),
                };
            }
            kind if kind.is_property()
                && !matches!(
                    kind,
                    TokenKind::Allow
                        | TokenKind::Match
                        | TokenKind::Function
                        | TokenKind::Service
                        | TokenKind::Return
                ) =>
            {
                let is_not = self.token_text() == "not";
                let hint = if is_not {
                    "write `!`"
                } else {
                    "this word is reserved; choose another name"
                };
                self.unexpected_with("an expression", Some(hint));
                self.advance();
                if is_not && self.starts_operand() {
                    self.nested("an expression", Self::unary);
                }
            }
            TokenKind::Error => {
                self.advance();
            }
            _ => self.unexpected("an expression"),
        }
        let span = self.since(start);
        self.error_expression(span)
    }

    fn int(&mut self) -> i64 {
        let text = self.token_text();
        let value = text.parse();
        let span = self.advance();
        value.unwrap_or_else(|_| {
            self.out_of_range(span, "an integer has 64 bits; with `.0` it is a float");
            i64::MAX
        })
    }

    fn float(&mut self) -> f64 {
        let text = self.token_text();
        // Rust reads `1.` and `.5` as the language does.
        let value = text.parse().unwrap_or(f64::INFINITY);
        let span = self.advance();
        if value.is_finite() {
            return value;
        }
        self.out_of_range(span, "a float reaches 1.8e308");
        f64::MAX
    }

    /// Reports a number that does not fit.
    fn out_of_range(&mut self, span: Span, hint: &str) {
        let shown: String = self.text[span.range()].chars().take(40).collect();
        let message = format!("the number `{shown}` is out of range");
        // No error of the syntax, so that one may still be reported at this place.
        self.diagnostics
            .push(Diagnostic::new(Code::InvalidLiteral, span, message).with_hint(hint));
    }

    fn entry(&mut self) -> MapEntry {
        let key = self.expression();
        if !self.eat(TokenKind::Colon) {
            self.unexpected("`:` after the key");
            let value = self.error_expression(self.previous_span().at_end());
            return MapEntry { key, value };
        }
        let value = self.expression();
        MapEntry { key, value }
    }

    /// Takes a path literal. A slash in it is followed by a segment, `$(…)` or `{name}`; any other one is a division.
    pub(super) fn path(&mut self) -> Expr {
        let start = self.span();
        let mut parts = Vec::new();
        loop {
            let from = self.span();
            let kind = match self.kind() {
                TokenKind::PathSegment => PathPartKind::Literal(self.path_segment()),
                TokenKind::Slash
                    if self.ahead(1) == TokenKind::Dollar && self.ahead(2) == TokenKind::LeftParen =>
                {
                    self.advance();
                    self.advance();
                    self.advance();
                    let value = self.bracketed(Self::expression);
                    self.close(TokenKind::RightParen);
                    PathPartKind::Value(value)
                }
                TokenKind::Slash if self.at_placeholder() => match self.placeholder() {
                    Some((name, is_glob)) => PathPartKind::Placeholder { name, is_glob },
                    None => break,
                },
                _ => break,
            };
            if matches!(kind, PathPartKind::Placeholder { .. })
                && self.at(TokenKind::RightBrace)
                && self.closes_path()
            {
                self.error(self.span(), "extra closing `}` in path", None);
                self.advance();
            }
            let span = self.since(from);
            parts.push(PathPart { span, kind });
        }
        if parts.is_empty() {
            self.broken_path();
            return self.error_expression(start);
        }
        // With anything else behind the slash it is a division, which fails when it is evaluated.
        if self.at(TokenKind::Slash) && matches!(self.ahead(1), TokenKind::Minus | TokenKind::PathSegment) {
            self.broken_path();
        }
        self.node(self.since(start), ExprKind::Path(parts))
    }

    /// Takes a slash that begins no segment.
    fn broken_path(&mut self) {
        let message = "forward slash `/` found where identifier or binding expected";
        let hint = "a segment of a path is text, `$(expression)` or `{name}`";
        self.error(self.span(), message, Some(hint));
        self.advance();
    }

    /// Whether `/{name}` or `/{name=` comes next, not a division by a map.
    fn at_placeholder(&self) -> bool {
        self.ahead(1) == TokenKind::LeftBrace
            && self.ahead(2) == TokenKind::Name
            && matches!(self.ahead(3), TokenKind::RightBrace | TokenKind::Equal)
    }

    /// Whether a path goes on behind the brace that comes next.
    fn closes_path(&self) -> bool {
        matches!(self.ahead(1), TokenKind::PathSegment | TokenKind::Slash)
    }
}
