//! What stood in the way: the smallest parts of a condition that would have had to come to something else.
//!
//! The tree of evaluations is followed down through what only hands truth on (`&&`, `||`, `!`, `? :`, calls, variables) to
//! what makes it: a comparison, a test, a look-up, an error.

use super::steps::{Evaluation, Index};
use crate::evaluate::EvaluationError;
use crate::source::Span;
use crate::syntax::{BinaryOperator, Expr, ExprKind, UnaryOperator};

/// What would have had to be otherwise.
#[derive(Debug)]
pub(crate) enum Obstacle<'t> {
    /// All of these.
    All(Vec<Obstacle<'t>>),
    /// One of these.
    Any(Vec<Obstacle<'t>>),
    /// A sub-expression.
    Part {
        span: Span,
        result: &'t Result<String, EvaluationError>,
        wanted: bool,
        /// The values that it was made of.
        operands: Vec<(Span, &'t Result<String, EvaluationError>)>,
    },
}

/// What keeps an evaluation from coming to `wanted`; `None` if nothing does.
pub(crate) fn obstacle<'t>(
    index: &Index<'_>,
    evaluation: &Evaluation<'t>,
    wanted: bool,
) -> Option<Obstacle<'t>> {
    if evaluation.is(wanted) {
        return None;
    }
    let inner = |part: Option<&Evaluation<'t>>, wanted| {
        part.and_then(|part| obstacle(index, part, wanted))
            .or_else(|| Some(part_of(index, evaluation, wanted)))
    };
    match index.expression(evaluation.span).map(|expr| &expr.kind) {
        Some(ExprKind::Binary {
            operator: operator @ (BinaryOperator::And | BinaryOperator::Or),
            ..
        }) => {
            let parts: Vec<_> = evaluation
                .inner
                .iter()
                .filter_map(|part| obstacle(index, part, wanted))
                .collect();
            // For a true `&&` every operand must be true, for a true `||` one of them; for false it is the other way.
            let takes_all = (*operator == BinaryOperator::And) == wanted;
            Some(joined(parts, takes_all).unwrap_or_else(|| part_of(index, evaluation, wanted)))
        }
        Some(ExprKind::Unary {
            operator: UnaryOperator::Not,
            ..
        }) => inner(evaluation.inner.last(), !wanted),
        // The body of a call and the value of a variable come last; so does the branch that was chosen.
        Some(ExprKind::Ternary { .. }) if evaluation.inner.len() > 1 => {
            inner(evaluation.inner.last(), wanted)
        }
        Some(ExprKind::Call { .. } | ExprKind::Variable(_) | ExprKind::MethodCall { .. })
            if evaluation
                .inner
                .last()
                .is_some_and(|last| hands_on(evaluation, last)) =>
        {
            inner(evaluation.inner.last(), wanted)
        }
        _ => Some(part_of(index, evaluation, wanted)),
    }
}

/// Whether a result is that of the last part, which stands elsewhere: the body of a function, the value of a variable.
fn hands_on(evaluation: &Evaluation<'_>, last: &Evaluation<'_>) -> bool {
    let is_elsewhere = last.span.file != evaluation.span.file
        || last.span.start < evaluation.span.start
        || last.span.end > evaluation.span.end;
    is_elsewhere && last.result == evaluation.result
}

fn joined(mut parts: Vec<Obstacle<'_>>, takes_all: bool) -> Option<Obstacle<'_>> {
    match parts.len() {
        0 => None,
        1 => parts.pop(),
        _ if takes_all => Some(Obstacle::All(parts)),
        _ => Some(Obstacle::Any(parts)),
    }
}

/// A part that hands nothing on; an error is shown where it arose.
fn part_of<'t>(index: &Index<'_>, evaluation: &Evaluation<'t>, wanted: bool) -> Obstacle<'t> {
    let evaluation = match evaluation.result {
        Err(error) => origin(evaluation, error),
        Ok(_) => evaluation,
    };
    Obstacle::Part {
        span: evaluation.span,
        result: evaluation.result,
        wanted,
        operands: evaluation
            .inner
            .iter()
            .filter(|part| is_worth_showing(index, part.span))
            .map(|part| (part.span, part.result))
            .collect(),
    }
}

fn origin<'e, 't>(evaluation: &'e Evaluation<'t>, error: &EvaluationError) -> &'e Evaluation<'t> {
    let mut found = evaluation;
    while let Some(inner) = found
        .inner
        .iter()
        .find(|part| matches!(part.result, Err(same) if same == error))
    {
        found = inner;
    }
    found
}

/// Literals, and lists of nothing but literals, show their value themselves.
fn is_worth_showing(index: &Index<'_>, span: Span) -> bool {
    index.expression(span).is_none_or(|expr| match &expr.kind {
        ExprKind::List(elements) => !elements.iter().all(is_literal),
        _ => !is_literal(expr),
    })
}

fn is_literal(expr: &Expr) -> bool {
    matches!(
        expr.without_parens().kind,
        ExprKind::Null
            | ExprKind::Bool(_)
            | ExprKind::Int(_)
            | ExprKind::Float(_)
            | ExprKind::String(_)
            | ExprKind::Bytes(_)
    )
}
