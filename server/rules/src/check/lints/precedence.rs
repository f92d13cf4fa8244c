//! Operators that bind otherwise than they read: `!a in b`, `a in b == c`, `a == b is t`; and operators that one of their
//! sides decides always.

use crate::check::{Checker, condition::constant};
use crate::diagnostic::{Code, Diagnostic};
use crate::syntax::{BinaryOperator, Expr, ExprKind, UnaryOperator};

pub(super) fn lint(checker: &mut Checker<'_>) {
    let program = checker.program;
    for file in program.files() {
        let mut found = Vec::new();
        file.for_each_expression(&mut |expr| {
            found.extend(precedence(expr));
            found.extend(constant_side(checker, expr));
        });
        for diagnostic in found {
            checker.report(diagnostic);
        }
    }
}

fn precedence(expr: &Expr) -> Option<Diagnostic> {
    match &expr.kind {
        ExprKind::Binary {
            operator: BinaryOperator::In,
            left,
            right,
            ..
        } => {
            if let ExprKind::Unary {
                operator: UnaryOperator::Not,
                ..
            } = &left.kind
            {
                return Some(
                    Diagnostic::new(Code::UnaryBeforeIn, expr.span, "`!a in b` means `(!a) in b`")
                        .with_hint("write `!(a in b)`"),
                );
            }
            if let ExprKind::Binary {
                operator: operator @ (BinaryOperator::Equal | BinaryOperator::NotEqual),
                ..
            } = &right.kind
            {
                let operator = operator.as_str();
                let message = format!("`a in b {operator} c` means `a in (b {operator} c)`");
                return Some(
                    Diagnostic::new(Code::InBeforeEqual, expr.span, message)
                        .with_hint(format!("write `(a in b) {operator} c`")),
                );
            }
            None
        }
        ExprKind::Is { value, .. } => {
            let (ExprKind::Binary { operator, .. }, false) = (&value.kind, is_arithmetic(value)) else {
                return None;
            };
            let operator = operator.as_str();
            let message = format!("`a {operator} b is t` means `(a {operator} b) is t`");
            Some(
                Diagnostic::new(Code::EqualBeforeIs, expr.span, message)
                    .with_hint(format!("write `a {operator} (b is t)`")),
            )
        }
        _ => None,
    }
}

/// Whether an expression computes something whose type may well be asked for.
fn is_arithmetic(expr: &Expr) -> bool {
    matches!(
        &expr.kind,
        ExprKind::Binary {
            operator: BinaryOperator::Add
                | BinaryOperator::Subtract
                | BinaryOperator::Multiply
                | BinaryOperator::Divide
                | BinaryOperator::Remainder
                | BinaryOperator::Coalesce,
            ..
        }
    )
}

fn constant_side(checker: &Checker<'_>, expr: &Expr) -> Option<Diagnostic> {
    let ExprKind::Binary {
        operator: operator @ (BinaryOperator::And | BinaryOperator::Or),
        left,
        right,
        ..
    } = &expr.kind
    else {
        return None;
    };
    let deciding = *operator == BinaryOperator::Or;
    let side = [left, right]
        .into_iter()
        .find(|side| constant(&checker.checked, side) == Some(deciding))?;
    let message = format!(
        "this side of `{}` is always {deciding}, so the other one does not matter",
        operator.as_str()
    );
    Some(Diagnostic::new(Code::ConstantCondition, side.span, message).with_hint("remove what is not needed"))
}
