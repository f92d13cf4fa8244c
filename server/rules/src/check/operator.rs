//! Operators between two operands: whether they take the types that come, and what they give.

use super::{Checker, service::article};
use crate::diagnostic::{Code, Diagnostic};
use crate::language::{Kind, Kinds};
use crate::source::Span;
use crate::syntax::{BinaryOperator, Expr, ExprKind};

const BOOL: Kinds = Kinds::only(Kind::Bool);
const MAP: Kinds = Kinds::only(Kind::Map);
const ORDERED: [Kinds; 4] = [
    Kinds::NUMBER,
    Kinds::only(Kind::String),
    Kinds::only(Kind::Timestamp),
    Kinds::only(Kind::Duration),
];
const CONTAINERS: Kinds = Kinds::of(&[Kind::List, Kind::Set, Kind::Map]);

impl<'p> Checker<'p> {
    pub(super) fn binary(
        &mut self,
        operator: BinaryOperator,
        span: Span,
        left: &'p Expr,
        right: &'p Expr,
    ) -> Kinds {
        let (one, other) = (self.known(left).kinds, self.known(right).kinds);
        if one.is_empty() || other.is_empty() {
            return Kinds::ANY;
        }
        match operator {
            BinaryOperator::And | BinaryOperator::Or => {
                let what = format!("an operand of `{}`", operator.as_str());
                self.require_bool(left, one, &what);
                self.require_bool(right, other, &what);
                BOOL
            }
            BinaryOperator::In => {
                // `a in b == c` has a lint of its own, which says more.
                if !matches!(&right.kind, ExprKind::Binary { .. }) {
                    self.require(right, other, CONTAINERS, "what stands behind `in`");
                }
                if other == MAP {
                    self.require(left, one, Kinds::only(Kind::String), "a key before `in`");
                }
                BOOL
            }
            BinaryOperator::Equal | BinaryOperator::NotEqual => {
                self.check_comparable(operator, span, one, other);
                BOOL
            }
            BinaryOperator::Less
            | BinaryOperator::LessOrEqual
            | BinaryOperator::Greater
            | BinaryOperator::GreaterOrEqual => {
                let fits = ORDERED
                    .iter()
                    .any(|kinds| !kinds.and(one).is_empty() && !kinds.and(other).is_empty());
                if !fits {
                    self.no_operation(operator, span, one, other);
                }
                BOOL
            }
            BinaryOperator::Coalesce => {
                let without_null = Kind::ALL
                    .iter()
                    .filter(|kind| **kind != Kind::Null && one.has(**kind))
                    .fold(Kinds::NONE, |kinds, kind| kinds.or(Kinds::only(*kind)));
                without_null.or(other)
            }
            BinaryOperator::Add
            | BinaryOperator::Subtract
            | BinaryOperator::Multiply
            | BinaryOperator::Divide
            | BinaryOperator::Remainder => {
                let result = arithmetic(operator, one, other);
                if result.is_empty() {
                    self.no_operation(operator, span, one, other);
                    return Kinds::ANY;
                }
                result
            }
        }
    }

    /// Says that an equality is decided by the types alone. A comparison with null tests whether something is there, which
    /// is meant even where it cannot be null.
    fn check_comparable(&mut self, operator: BinaryOperator, span: Span, one: Kinds, other: Kinds) {
        let widened = |kinds: Kinds| {
            if kinds.and(Kinds::NUMBER).is_empty() {
                kinds
            } else {
                kinds.or(Kinds::NUMBER)
            }
        };
        let null = Kinds::only(Kind::Null);
        if one == null || other == null || !widened(one).and(widened(other)).is_empty() {
            return;
        }
        let outcome = if operator == BinaryOperator::Equal {
            "false"
        } else {
            "true"
        };
        let message = format!(
            "this is always {outcome}: {} is never equal to {}",
            article(one),
            article(other)
        );
        self.report(Diagnostic::new(Code::TypeMismatch, span, message));
    }

    fn no_operation(&mut self, operator: BinaryOperator, span: Span, one: Kinds, other: Kinds) {
        let is_list = one == Kinds::only(Kind::List) && other == Kinds::only(Kind::List);
        let code = if is_list {
            Code::ListAddition
        } else {
            Code::TypeMismatch
        };
        let message = format!(
            "`{}` always fails between {} and {}",
            operator.as_str(),
            article(one),
            article(other)
        );
        let mut diagnostic = Diagnostic::new(code, span, message);
        diagnostic.hint = if is_list {
            Some("join lists with `a.concat(b)`".to_owned())
        } else if one.has(Kind::Timestamp) && !other.and(Kinds::NUMBER).is_empty() {
            Some(
                "a length of time is `duration.value(5, 'm')`, a point in time `timestamp.value(millis)`"
                    .to_owned(),
            )
        } else if one == Kinds::only(Kind::String) || other == Kinds::only(Kind::String) {
            Some("convert with `string(x)`, `int(x)` or `float(x)`".to_owned())
        } else {
            None
        };
        self.report(diagnostic);
    }
}

/// The types that arithmetic gives; none if it always fails.
fn arithmetic(operator: BinaryOperator, one: Kinds, other: Kinds) -> Kinds {
    let both = |kind: Kind| one.has(kind) && other.has(kind);
    let either = |left: Kind, right: Kind| one.has(left) && other.has(right);
    let mut result = Kinds::NONE;
    let mut add = |applies: bool, kind: Kind| {
        if applies {
            result = result.or(Kinds::only(kind));
        }
    };
    add(both(Kind::Int), Kind::Int);
    add(
        both(Kind::Float) || either(Kind::Int, Kind::Float) || either(Kind::Float, Kind::Int),
        Kind::Float,
    );
    match operator {
        BinaryOperator::Add => {
            add(both(Kind::String), Kind::String);
            add(both(Kind::Duration), Kind::Duration);
            add(
                either(Kind::Timestamp, Kind::Duration) || either(Kind::Duration, Kind::Timestamp),
                Kind::Timestamp,
            );
        }
        BinaryOperator::Subtract => {
            add(both(Kind::Duration) || both(Kind::Timestamp), Kind::Duration);
            add(either(Kind::Timestamp, Kind::Duration), Kind::Timestamp);
        }
        _ => {}
    }
    result
}
