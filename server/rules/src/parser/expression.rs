//! Expressions, by precedence climbing.

use super::Parser;
use crate::diagnostic::{Code, Diagnostic};
use crate::lexer::TokenKind;
use crate::source::Span;
use crate::syntax::{
    BinaryOperator, Expr, ExprId, ExprKind, IS_PRECEDENCE, TERNARY_PRECEDENCE, TREE_HEIGHT_MAX, UnaryOperator,
};

/// Where to go on after an expression that made no sense.
pub(super) const AFTER_EXPRESSION: &[TokenKind] = &[
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
    pub(super) fn node(&mut self, span: Span, kind: ExprKind) -> Expr {
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

    pub(super) fn unary(&mut self) -> Expr {
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
}
