//! Allows that no request can reach, and look-ups of paths that no document has.

use super::Site;
use crate::check::{
    Checker, Resolution,
    condition::mentions,
    pattern::{FIRESTORE_ROOT, STORAGE_ROOT, composed, is_glob},
};
use crate::diagnostic::{Code, Diagnostic};
use crate::language::BuiltinId;
use crate::syntax::{ExprKind, LanguageVersion, OperationKind, PathPartKind, ServiceKind};

/// Segments of `/accounts/{account}`.
const ACCOUNT_SEGMENTS: usize = 2;

pub(super) fn lint(checker: &mut Checker<'_>, site: &Site<'_>) {
    shape(checker, site);
    lookups(checker, site);
}

/// Documents have an even number of segments below the root, and files at least one.
fn shape(checker: &mut Checker<'_>, site: &Site<'_>) {
    let Some(inner) = site.matches.last() else { return };
    let segments = composed(&site.matches);
    let has_glob = segments.iter().any(|segment| is_glob(segment));
    let span = inner.pattern.span;
    match site.service {
        ServiceKind::Firestore => {
            let below = segments.len().saturating_sub(FIRESTORE_ROOT);
            if has_glob || below > 0 && below.is_multiple_of(2) {
                return;
            }
            let message = "no document has a path like this: collections and documents take turns, and this ends with a collection";
            let hint = if below == 0 {
                "this matches no document at all; add `match /collection/{document} { … }`"
            } else {
                "add a segment for the document: `/collection/{document}`"
            };
            checker.report(
                Diagnostic::new(Code::Unreachable, span, message)
                    .with_label(site.allow.span, "this is never asked")
                    .with_hint(hint),
            );
        }
        ServiceKind::Accounts => accounts(checker, site, segments.len(), has_glob),
        ServiceKind::Storage => {
            if !has_glob && segments.len() <= STORAGE_ROOT {
                checker.report(
                    Diagnostic::new(Code::Unreachable, span, "no file has a path like this")
                        .with_label(site.allow.span, "this is never asked")
                        .with_hint("add a segment for the file: `/{file}` or, for folders too, `/{path=**}`"),
                );
            }
            let lists_only = site.is_only(OperationKind::List);
            if site.version == LanguageVersion::V1 && lists_only {
                let message = "in version 1, listing files is always denied";
                checker.report(
                    Diagnostic::new(Code::Unreachable, site.allow.span, message)
                        .with_hint("write `rules_version = '2';` at the top of the file"),
                );
            }
        }
    }
}

/// An account has two segments, and is asked about when it is made.
fn accounts(checker: &mut Checker<'_>, site: &Site<'_>, segments: usize, has_glob: bool) {
    let Some(inner) = site.matches.last() else { return };
    let (span, message) = if !has_glob && segments != ACCOUNT_SEGMENTS {
        (inner.pattern.span, "no account has a path like this")
    } else if !site.operations().any(|kind| kind == OperationKind::Create) {
        (
            site.allow.span,
            "of accounts only `create` is asked: whether somebody may sign up",
        )
    } else {
        return;
    };
    checker.report(
        Diagnostic::new(Code::Unreachable, span, message)
            .with_hint("write `match /accounts/{account} { allow create: if …; }`"),
    );
}

/// The path of a look-up starts at the database.
fn lookups(checker: &mut Checker<'_>, site: &Site<'_>) {
    let Some(condition) = &site.allow.condition else {
        return;
    };
    let mut places = Vec::new();
    mentions(&checker.checked, condition, &mut |expr| {
        let (ExprKind::Call { arguments, .. } | ExprKind::MethodCall { arguments, .. }) = &expr.kind else {
            return false;
        };
        let is_lookup = matches!(
            checker.checked.resolution(expr),
            Some(Resolution::Builtin(builtin)) if BuiltinId::is_lookup(builtin)
        );
        if let (true, Some(path)) = (is_lookup, arguments.first())
            && let ExprKind::Path(parts) = &path.without_parens().kind
            && let Some(PathPartKind::Literal(first)) = parts.first().map(|part| &part.kind)
            && &**first != "databases"
        {
            places.push(path.span);
        }
        false
    });
    for span in places {
        // Two allows may call one function; what is wrong in it is said once.
        if checker.reported_lookups.insert(span) {
            checker.report(
                Diagnostic::new(
                    Code::LookupPath,
                    span,
                    "no document has this path: all start with `/databases/…/documents`",
                )
                .with_hint("write `/databases/$(database)/documents` before it"),
            );
        }
    }
}
