//! Expressions, by precedence climbing.

use std::sync::Arc;

use super::Parser;
use crate::diagnostic::{Code, Diagnostic};
use crate::lexer::{TokenKind, literal};
use crate::source::Span;
use crate::syntax::{
    BinaryOperator, Expr, ExprId, ExprKind, IS_PRECEDENCE, MapEntry, PathPart, PathPartKind, Quantifier,
    TERNARY_PRECEDENCE, TREE_HEIGHT_MAX, UnaryOperator,
};

/// Where to go on after an expression that made no sense.
const AFTER_EXPRESSION: &[TokenKind] = &[
    TokenKind::Semicolon,
    TokenKind::Comma,
    TokenKind::Allow,
    TokenKind::Match,
    TokenKind::Function,
    TokenKind::Service,
    TokenKind::Return,
];

/// The smallest integer is the one whose digits alone do not fit.
const INT_MIN_DIGITS: &str = "9223372036854775808";

impl Parser<'_> {
    pub(super) fn expression(&mut self) -> Expr {
        self.expression_above(TERNARY_PRECEDENCE)
    }

    /// An expression for text that made no sense.
    pub(super) fn error_expression(&mut self, span: Span) -> Expr {
        let id = self.next_id();
        Expr {
            id,
            span,
            kind: ExprKind::Error,
            height: 1,
        }
    }

    /// Makes a node, unless the tree would become too high.
    fn node(&mut self, span: Span, kind: ExprKind) -> Expr {
        let id = self.next_id();
        self.node_with_id(id, span, kind)
    }

    fn node_with_id(&mut self, id: ExprId, span: Span, kind: ExprKind) -> Expr {
        let mut expr = Expr {
            id,
            span,
            kind,
            height: 0,
        };
        expr.height = expr.children_height();
        if expr.height > TREE_HEIGHT_MAX {
            let message = format!("the expression has more than {TREE_HEIGHT_MAX} levels");
            self.push(Diagnostic::new(Code::Limit, span, message).with_hint(
                "a chain of one operator has a level for each; break it up with parentheses or functions",
            ));
            expr.kind = ExprKind::Error;
            expr.height = 1;
        }
        expr
    }

    /// An expression of operators that bind at least so tightly.
    fn expression_above(&mut self, precedence_min: u8) -> Expr {
        let start = self.span();
        let parsed = self.nested("an expression", |parser| {
            let left = parser.unary();
            parser.operators(left, precedence_min)
        });
        parsed.unwrap_or_else(|| {
            self.skip_to(AFTER_EXPRESSION);
            let span = self.since(start);
            self.error_expression(span)
        })
    }

    /// Goes on after a first operand.
    fn operators(&mut self, mut left: Expr, precedence_min: u8) -> Expr {
        let start = left.span;
        loop {
            if self.at(TokenKind::Question) && TERNARY_PRECEDENCE >= precedence_min {
                self.advance();
                let then = self.expression();
                self.expect(TokenKind::Colon, "between the two values of `? :`");
                let otherwise = self.expression_above(TERNARY_PRECEDENCE);
                let kind = ExprKind::Ternary {
                    condition: Box::new(left),
                    then: Box::new(then),
                    otherwise: Box::new(otherwise),
                };
                left = self.node(self.since(start), kind);
            } else if self.at(TokenKind::Is) && IS_PRECEDENCE >= precedence_min {
                let operator_span = self.advance();
                let Some(type_name) = self.type_name() else {
                    return left;
                };
                let kind = ExprKind::Is {
                    value: Box::new(left),
                    operator_span,
                    type_name,
                };
                left = self.node(self.since(start), kind);
            } else if let Some(operator) = self.binary_operator() {
                let precedence = operator.precedence();
                if precedence < precedence_min {
                    return left;
                }
                self.report_foreign_operator();
                let operator_span = self.advance();
                // `??` groups to the right, so that `a ?? b ?? c` asks for each only if the one before is not there.
                let above = precedence + u8::from(operator != BinaryOperator::Coalesce);
                let right = self.expression_above(above);
                let kind = ExprKind::Binary {
                    operator,
                    operator_span,
                    left: Box::new(left),
                    right: Box::new(right),
                };
                left = self.node(self.since(start), kind);
            } else if let Some(mended) = self.foreign_continuation(&left) {
                left = mended;
            } else {
                return left;
            }
        }
    }

    /// The operator that comes next, those of other languages taken for what they mean there.
    fn binary_operator(&self) -> Option<BinaryOperator> {
        Some(match self.kind() {
            TokenKind::Or if self.condition.in_type => return None,
            TokenKind::Greater if self.condition.in_arguments => return None,
            TokenKind::OrOr | TokenKind::Or => BinaryOperator::Or,
            TokenKind::AndAnd | TokenKind::And => BinaryOperator::And,
            TokenKind::In => BinaryOperator::In,
            TokenKind::EqualEqual | TokenKind::TripleEqual | TokenKind::Equal => BinaryOperator::Equal,
            TokenKind::NotEqual | TokenKind::TripleNotEqual => BinaryOperator::NotEqual,
            TokenKind::Less => BinaryOperator::Less,
            TokenKind::LessOrEqual => BinaryOperator::LessOrEqual,
            TokenKind::Greater => BinaryOperator::Greater,
            TokenKind::GreaterOrEqual => BinaryOperator::GreaterOrEqual,
            TokenKind::QuestionQuestion => BinaryOperator::Coalesce,
            TokenKind::Plus => BinaryOperator::Add,
            TokenKind::Minus => BinaryOperator::Subtract,
            TokenKind::Star => BinaryOperator::Multiply,
            TokenKind::Slash => BinaryOperator::Divide,
            TokenKind::Percent => BinaryOperator::Remainder,
            TokenKind::Name if self.word_starts_operand() => match self.token_text() {
                "and" => BinaryOperator::And,
                "or" => BinaryOperator::Or,
                _ => return None,
            },
            _ => return None,
        })
    }

    /// Whether an operand follows the next token on the same line, so that the token may be meant as an operator.
    fn word_starts_operand(&self) -> bool {
        matches!(
            self.ahead(1),
            TokenKind::Name | TokenKind::Not | TokenKind::LeftParen | TokenKind::True | TokenKind::False
        )
    }

    /// Reports that the next token is the operator of another language.
    fn report_foreign_operator(&mut self) {
        let (message, hint) = match self.kind() {
            TokenKind::QuestionQuestion => {
                self.needs_extensions(self.span(), "`??`");
                return;
            }
            TokenKind::TripleEqual => ("there is no operator `===`", "write `==`, which never converts"),
            TokenKind::TripleNotEqual => ("there is no operator `!==`", "write `!=`, which never converts"),
            TokenKind::Equal => ("`=` does not compare", "write `==`"),
            TokenKind::Or => ("there is no operator `|`", "write `||`"),
            TokenKind::And => ("there is no operator `&`", "write `&&`"),
            TokenKind::Name if self.token_text() == "and" => ("there is no operator `and`", "write `&&`"),
            TokenKind::Name => ("there is no operator `or`", "write `||`"),
            _ => return,
        };
        self.error(self.span(), message, Some(hint));
    }

    /// Reports what cannot follow a complete expression but looks as if its author meant it to, and goes on behind it.
    fn foreign_continuation(&mut self, left: &Expr) -> Option<Expr> {
        match self.kind() {
            TokenKind::PlusPlus | TokenKind::MinusMinus => {
                let message = "increment (`++`) and decrement (`--`) operators are not supported";
                let hint = "write `a + 1`, or a space between two signs";
                self.error(self.span(), message, Some(hint));
                self.advance();
                if self.starts_operand() {
                    self.nested("an expression", Self::unary);
                }
            }
            TokenKind::PathSegment => {
                let between = &self.text[left.span.end as usize..self.token().start as usize];
                if between.contains('\n') {
                    return None;
                }
                let text = self.token_text();
                let message = format!("`{text}` is a path here, not a division");
                let hint = "to divide, put a space behind the slash: `a / b`";
                self.error(self.span(), message, Some(hint));
                self.advance();
            }
            TokenKind::Not if self.ahead(1) == TokenKind::In => {
                self.error(
                    self.span(),
                    "there is no operator `!in`",
                    Some("write `!(a in b)`"),
                );
                self.advance();
                self.advance();
                self.expression_above(BinaryOperator::In.precedence() + 1);
            }
            _ => return None,
        }
        // What was meant is not known well enough to go into the tree.
        let span = self.since(left.span);
        Some(self.error_expression(span))
    }

    pub(super) fn starts_operand(&self) -> bool {
        matches!(
            self.kind(),
            TokenKind::Name
                | TokenKind::Int
                | TokenKind::Float
                | TokenKind::String
                | TokenKind::Bytes
                | TokenKind::PathSegment
                | TokenKind::True
                | TokenKind::False
                | TokenKind::Null
                | TokenKind::LeftParen
                | TokenKind::LeftBracket
                | TokenKind::LeftBrace
                | TokenKind::Not
                | TokenKind::Minus
        )
    }

    fn unary(&mut self) -> Expr {
        let operator = match self.kind() {
            TokenKind::Not => UnaryOperator::Not,
            TokenKind::Minus => UnaryOperator::Negate,
            _ => return self.postfix(),
        };
        let operator_span = self.advance();
        if operator == UnaryOperator::Negate {
            if self.at(TokenKind::Int)
                && self.token_text() == INT_MIN_DIGITS
                && !matches!(
                    self.ahead(1),
                    TokenKind::Dot | TokenKind::QuestionDot | TokenKind::LeftBracket
                )
            {
                self.advance();
                return self.node(self.since(operator_span), ExprKind::Int(i64::MIN));
            }
            if matches!(self.kind(), TokenKind::Minus | TokenKind::Not) {
                let hint = "put it in parentheses: `-(-a)`";
                self.unexpected_with("a value after `-`", Some(hint));
            }
        }
        let operand = if operator == UnaryOperator::Negate
            && !matches!(self.kind(), TokenKind::Minus | TokenKind::Not)
        {
            self.postfix()
        } else {
            match self.nested("an expression", Self::unary) {
                Some(operand) => operand,
                None => {
                    self.skip_to(AFTER_EXPRESSION);
                    let span = self.since(operator_span);
                    return self.error_expression(span);
                }
            }
        };
        let kind = ExprKind::Unary {
            operator,
            operator_span,
            operand: Box::new(operand),
        };
        self.node(self.since(operator_span), kind)
    }

    fn postfix(&mut self) -> Expr {
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
    fn path(&mut self) -> Expr {
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
