//! Who is let in: everybody, nobody, or with fields that nobody listed.

use super::Site;
use crate::check::{
    Checker,
    condition::{for_each_necessary, is_request_resource, mentions, reads_resource},
};
use crate::diagnostic::{Code, Diagnostic};
use crate::syntax::{Expr, ExprKind, OperationKind, ServiceKind};

pub(super) fn lint(checker: &mut Checker<'_>, site: &Site<'_>) {
    match site.constant(checker) {
        Some(true) => public(checker, site),
        Some(false) => never(checker, site),
        None => {
            open_create(checker, site);
            owner_of_missing(checker, site);
        }
    }
}

fn public(checker: &mut Checker<'_>, site: &Site<'_>) {
    if site.service == ServiceKind::Accounts {
        // Nobody who signs up has signed in.
        return;
    }
    let operations: Vec<&str> = site.operations().map(OperationKind::as_str).collect();
    if operations.is_empty() {
        return;
    }
    let writes = site
        .operations()
        .any(|kind| !matches!(kind, OperationKind::Get | OperationKind::List));
    let message = format!("everybody may {} here, without signing in", operations.join(", "));
    let hint = if writes {
        "anybody on the internet can change or fill this; require `request.auth != null` at least"
    } else {
        "if that is meant, nothing is wrong; otherwise require `request.auth != null` at least"
    };
    let span = site
        .allow
        .condition
        .as_ref()
        .map_or(site.allow.span, |condition| condition.span);
    checker.report(Diagnostic::new(Code::PublicAccess, span, message).with_hint(hint));
}

/// `if false` alone says on purpose that nothing is allowed; anything longer that comes to the same is a mistake.
fn never(checker: &mut Checker<'_>, site: &Site<'_>) {
    let Some(condition) = &site.allow.condition else {
        return;
    };
    if matches!(condition.without_parens().kind, ExprKind::Bool(false)) {
        return;
    }
    checker.report(
        Diagnostic::new(
            Code::NeverGrants,
            condition.span,
            "this condition is always false",
        )
        .with_hint("write `if false` if nothing is to be allowed"),
    );
}

/// A create that looks at the new document but never at the set of its fields.
fn open_create(checker: &mut Checker<'_>, site: &Site<'_>) {
    let (Some(condition), ServiceKind::Firestore) = (&site.allow.condition, site.service) else {
        return;
    };
    let has_type = site.matches.last().is_some_and(|inner| inner.type_name.is_some());
    if !site.allow.covers(OperationKind::Create) || has_type {
        return;
    }
    let checked = &checker.checked;
    let reads_document = mentions(checked, condition, &mut |expr| is_request_resource(checked, expr));
    let lists_fields = mentions(checked, condition, &mut lists_fields);
    if !reads_document || lists_fields {
        return;
    }
    let message = "a document may be created with any further fields, and of any size";
    checker.report(
        Diagnostic::new(Code::OpenCreate, site.allow.span, message)
            .with_hint("list the fields: `request.resource.data.keys().hasOnly(['title', 'author'])`"),
    );
}

/// Whether an expression compares keys, whole maps, or a declared type.
fn lists_fields(expr: &Expr) -> bool {
    match &expr.kind {
        ExprKind::MethodCall { method, .. } => matches!(
            &*method.text,
            "keys" | "hasOnly" | "affectedKeys" | "addedKeys" | "changedKeys" | "size"
        ),
        ExprKind::Is { value, .. } => is_data(value),
        ExprKind::Binary { left, right, .. } => is_data(left) || is_data(right),
        _ => false,
    }
}

/// Whether an expression is the whole of a document's fields.
fn is_data(expr: &Expr) -> bool {
    matches!(&expr.without_parens().kind, ExprKind::Member { name, .. } if &*name.text == "data")
}

/// A get that needs a field of the document, so that asking for one that does not exist is denied instead of answered.
fn owner_of_missing(checker: &mut Checker<'_>, site: &Site<'_>) {
    let (Some(condition), ServiceKind::Firestore) = (&site.allow.condition, site.service) else {
        return;
    };
    if !site.allow.covers(OperationKind::Get) {
        return;
    }
    let mut place = None;
    {
        let checked = &checker.checked;
        for_each_necessary(checked, condition, &mut |expr| {
            let ExprKind::Binary { left, right, .. } = &expr.kind else {
                return;
            };
            let compares_caller = |one: &Expr, other: &Expr| is_field(checker, one) && is_uid(other);
            if compares_caller(left, right) || compares_caller(right, left) {
                place.get_or_insert(expr.span);
            }
        });
    }
    let Some(span) = place else { return };
    checker.report(
        Diagnostic::new(
            Code::OwnerOfMissing,
            span,
            "getting a document that does not exist is denied here, since it has no owner",
        )
        .with_hint(
            "if the client asks whether it exists, add `resource == null ||` to the condition of `get`",
        ),
    );
}

/// Whether an expression is `resource.data.…`.
fn is_field(checker: &Checker<'_>, expr: &Expr) -> bool {
    match &expr.without_parens().kind {
        ExprKind::Member { base, .. } => {
            reads_resource(&checker.checked, expr.without_parens()) || is_field(checker, base)
        }
        _ => false,
    }
}

/// Whether an expression is the caller's id.
fn is_uid(expr: &Expr) -> bool {
    matches!(&expr.without_parens().kind, ExprKind::Member { name, .. } if &*name.text == "uid")
}
