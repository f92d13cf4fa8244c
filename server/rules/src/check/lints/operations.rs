//! What an operation does not have: the new document of a delete or a read, the old one of a create, the query of anything
//! but a list, the document's id in a list. Reading it fails, so that a condition which needs it never grants.

use std::collections::HashSet;
use std::sync::Arc;

use super::Site;
use crate::check::{
    Checker, Resolution, VariableId, VariableKind,
    condition::{for_each_necessary, is_request_member, is_request_resource, mentions, reads_resource},
    pattern::composed,
};
use crate::diagnostic::{Code, Diagnostic};
use crate::source::Span;
use crate::syntax::{Expr, ExprKind, Let, OperationKind, SegmentKind, ServiceKind};

pub(super) fn lint(checker: &mut Checker<'_>, site: &Site<'_>) {
    let Some(condition) = &site.allow.condition else {
        return;
    };
    // A condition that asks which operation it is judges each on its own, in ways that are not followed here.
    let checked = &checker.checked;
    if mentions(checked, condition, &mut |expr| {
        is_request_member(checked, expr, "method")
    }) {
        return;
    }
    missing_part(
        checker,
        site,
        condition,
        &Missing {
            operation: OperationKind::Delete,
            code: Code::ResourceOnDelete,
            what: "`request.resource`",
            hint: "give `delete` an `allow` of its own, without `request.resource`",
            is_missing: |checker, expr| is_request_resource(&checker.checked, expr),
        },
    );
    for operation in [OperationKind::Get, OperationKind::List] {
        missing_part(
            checker,
            site,
            condition,
            &Missing {
                operation,
                code: Code::ResourceOnRead,
                what: "`request.resource`",
                hint: "what is read is `resource`; `request.resource` is what a create or update would write",
                is_missing: |checker, expr| is_request_resource(&checker.checked, expr),
            },
        );
    }
    if site.service == ServiceKind::Firestore {
        missing_part(
            checker,
            site,
            condition,
            &Missing {
                operation: OperationKind::Create,
                code: Code::ResourceOnCreate,
                what: "`resource`, the stored document,",
                hint: "the document to be created is `request.resource`; give `create` an `allow` of its own",
                is_missing: |checker, expr| reads_resource(&checker.checked, expr),
            },
        );
        missing_part(
            checker,
            site,
            condition,
            &Missing {
                operation: OperationKind::Get,
                code: Code::QueryOffList,
                what: "`request.query`",
                hint: "only `list` has a query; give it an `allow` of its own",
                is_missing: |checker, expr| is_request_member(&checker.checked, expr, "query"),
            },
        );
        list_capture(checker, site, condition);
    }
}

/// Something that an operation does not have.
struct Missing {
    operation: OperationKind,
    code: Code,
    what: &'static str,
    hint: &'static str,
    is_missing: fn(&Checker<'_>, &Expr) -> bool,
}

fn missing_part(checker: &mut Checker<'_>, site: &Site<'_>, condition: &Expr, missing: &Missing) {
    if !site.allow.covers(missing.operation) {
        return;
    }
    let mut place: Option<Span> = None;
    for_each_necessary(&checker.checked, condition, &mut |expr| {
        if (missing.is_missing)(checker, expr) {
            place.get_or_insert(expr.span);
        }
    });
    let Some(place) = place else { return };
    let operation = missing.operation.as_str();
    // A read is one right to most people: that a part of it is never granted is said once, for `get`.
    if missing.code == Code::ResourceOnRead
        && missing.operation == OperationKind::List
        && site.allow.covers(OperationKind::Get)
    {
        return;
    }
    let (what, only) = (missing.what, site.is_only(missing.operation));
    let message = if only {
        format!("{what} does not exist on {operation}, so this never allows anything")
    } else {
        format!("{what} does not exist on {operation}, so this never allows {operation}")
    };
    let named = site
        .allow
        .operations
        .iter()
        .find(|name| name.kind.is_some_and(|kind| kind.covers(missing.operation)));
    let mut diagnostic = Diagnostic::new(missing.code, place, message).with_hint(missing.hint);
    if let Some(named) = named {
        diagnostic = diagnostic.with_label(named.name.span, format!("this includes {operation}"));
    }
    checker.report(diagnostic);
}

/// A look-up of a document whose path holds the id of the document itself: a list has no single id.
fn list_capture(checker: &mut Checker<'_>, site: &Site<'_>, condition: &Expr) {
    if !site.allow.covers(OperationKind::List) {
        return;
    }
    let segments = composed(&site.matches);
    let Some(SegmentKind::Capture { name, is_glob: false }) = segments.last().map(|segment| &segment.kind)
    else {
        return;
    };
    let Some(id) = checker.checked.declared_variable(name) else {
        return;
    };
    let mut place: Option<Span> = None;
    for_each_necessary(&checker.checked, condition, &mut |expr| {
        let (Some(Resolution::Builtin(builtin)), ExprKind::Call { arguments, .. }) =
            (checker.checked.resolution(expr), &expr.kind)
        else {
            return;
        };
        if builtin.is_lookup() && arguments.iter().any(|path| depends_on(checker, path, id)) {
            place.get_or_insert(expr.span);
        }
    });
    let Some(place) = place else { return };
    let message = format!(
        "a list has no single `{}`, so this look-up fails and the list is denied",
        name.text
    );
    checker.report(
        Diagnostic::new(Code::ListCapture, place, message)
            .with_label(name.span, "the id of the document")
            .with_hint(
                "keep what `list` needs in the documents themselves, and give `get` an `allow` of its own",
            ),
    );
}

/// Whether the value of an expression depends on a capture, by way of bindings too.
fn depends_on(checker: &Checker<'_>, expr: &Expr, id: VariableId) -> bool {
    let mut found = false;
    let mut seen = HashSet::new();
    let mut waiting = Vec::new();
    let mut look = |expr: &Expr, waiting: &mut Vec<Arc<Let>>| {
        expr.walk(&mut |part| {
            if let Some(Resolution::Variable(variable)) = checker.checked.resolution(part) {
                found |= variable == id;
                if seen.insert(variable)
                    && let VariableKind::Let(binding) | VariableKind::MatchLet(binding) =
                        &checker.checked.variable(variable).kind
                {
                    waiting.push(Arc::clone(binding));
                }
            }
        });
    };
    look(expr, &mut waiting);
    while let Some(binding) = waiting.pop() {
        look(&binding.value, &mut waiting);
    }
    found
}
