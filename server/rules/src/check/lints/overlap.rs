//! Globs that grant what a nearer match seems to forbid: every `allow` that matches counts, and none takes anything back.

use super::Site;
use crate::check::{
    Checker, Resolution,
    condition::mentions,
    pattern::{capture, composed, is_glob},
};
use crate::diagnostic::{Code, Diagnostic};
use crate::language::BuiltinId;
use crate::syntax::{BinaryOperator, Expr, ExprKind, OperationKind, Segment, SegmentKind, same_expression};

/// The pairs of allows that are compared; files beyond that are generated, and nobody reads lints on them.
const PAIRS_MAX: usize = 200_000;

pub(super) fn lint(checker: &mut Checker<'_>, sites: &[Site<'_>]) {
    let wide: Vec<&Site<'_>> = sites.iter().filter(|site| grants_widely(checker, site)).collect();
    let mut pairs = 0;
    let mut found = Vec::new();
    for glob in wide {
        let pattern = composed(&glob.matches);
        for near in sites {
            pairs += 1;
            if pairs > PAIRS_MAX {
                break;
            }
            if near.service != glob.service || std::ptr::eq(near.allow, glob.allow) {
                continue;
            }
            let near_pattern = composed(&near.matches);
            if near_pattern.iter().any(|segment| is_glob(segment)) || !covers(&pattern, &near_pattern) {
                continue;
            }
            let shared: Vec<OperationKind> = near
                .operations()
                .filter(|kind| glob.allow.covers(*kind))
                .collect();
            let is_public = near.constant(checker) == Some(true);
            if shared.is_empty() || is_public || same_condition(near, glob) {
                continue;
            }
            found.push((glob.allow.span, near.allow.span, shared));
            // One example is enough for each glob.
            break;
        }
    }
    for (glob, near, shared) in found {
        let operations: Vec<&str> = shared.iter().map(|kind| kind.as_str()).collect();
        let message = format!(
            "this grants {} on paths for which another match asks for more",
            operations.join(", ")
        );
        checker.report(
            Diagnostic::new(Code::ReopenedPath, glob, message)
                .with_label(
                    near,
                    "this condition has no effect: one `allow` that grants is enough",
                )
                .with_hint(
                    "an `allow` never takes back what another grants; narrow the pattern with the glob",
                ),
        );
    }
}

/// Whether an allow with a glob grants to everybody, or to everybody who is signed in.
fn grants_widely(checker: &Checker<'_>, site: &Site<'_>) -> bool {
    if !composed(&site.matches).iter().any(|segment| is_glob(segment)) {
        return false;
    }
    match (site.constant(checker), &site.allow.condition) {
        (Some(constant), _) => constant,
        (None, None) => true,
        (None, Some(condition)) => {
            // What looks at claims, documents or captures is an administrator's right or the like, and meant to overlap.
            let checked = &checker.checked;
            !mentions(checked, condition, &mut |expr| {
                matches!(
                    checked.resolution(expr),
                    Some(Resolution::Resource | Resolution::Variable(_))
                ) || matches!(
                    checked.resolution(expr),
                    Some(Resolution::Builtin(builtin)) if BuiltinId::is_lookup(builtin)
                ) || ["token", "resource", "time", "query", "path"]
                    .iter()
                    .any(|name| is_member(expr, name))
                    || compares_uid(expr)
            })
        }
    }
}

fn is_member(expr: &Expr, wanted: &str) -> bool {
    matches!(&expr.kind, ExprKind::Member { name, .. } if &*name.text == wanted)
}

/// Whether an expression compares the caller's id with anything but null.
fn compares_uid(expr: &Expr) -> bool {
    let ExprKind::Binary {
        operator,
        left,
        right,
        ..
    } = &expr.kind
    else {
        return false;
    };
    let is_uid = |side: &Expr| is_member(side.without_parens(), "uid");
    let is_null = |side: &Expr| matches!(side.without_parens().kind, ExprKind::Null);
    let is_comparison = matches!(
        operator,
        BinaryOperator::Equal | BinaryOperator::NotEqual | BinaryOperator::In
    );
    is_comparison && (is_uid(left) && !is_null(right) || is_uid(right) && !is_null(left))
}

fn same_condition(one: &Site<'_>, other: &Site<'_>) -> bool {
    match (&one.allow.condition, &other.allow.condition) {
        (Some(one), Some(other)) => same_expression(one, other),
        (None, None) => true,
        _ => false,
    }
}

/// Whether every path of `narrow`, which has no glob, is one of `wide`, which has one.
fn covers(wide: &[&Segment], narrow: &[&Segment]) -> bool {
    let Some(glob) = wide.iter().position(|segment| is_glob(segment)) else {
        return false;
    };
    let (before, after) = (&wide[..glob], &wide[glob + 1..]);
    if narrow.len() < before.len() + after.len() {
        return false;
    }
    let starts = before
        .iter()
        .zip(narrow)
        .all(|(wide, narrow)| includes(wide, narrow));
    let ends = after
        .iter()
        .rev()
        .zip(narrow.iter().rev())
        .all(|(wide, narrow)| includes(wide, narrow));
    starts && ends
}

fn includes(wide: &Segment, narrow: &Segment) -> bool {
    match (&wide.kind, &narrow.kind) {
        (SegmentKind::Literal(one), SegmentKind::Literal(other)) => one == other,
        _ => capture(wide).is_some(),
    }
}
