//! Conditions on a document: what is left of a rule when all else is known.
//!
//! For a document a condition is true, false, or fails, as the expression that it comes from. The functions that join
//! conditions simplify, and keep to the language's rules of absorption: `all` is false if one is, whatever fails beside it.
//!
//! Invariant: no condition is deeper than [`CONDITION_DEPTH_MAX`], so that going through it may recurse. Conditions share
//! their parts; whoever goes through one counts steps.

use std::rc::Rc;

use super::test::Test;
use crate::source::Span;

/// How deep conditions may lie in each other; deeper ones become unclear.
pub(crate) const CONDITION_DEPTH_MAX: u16 = 128;

/// A condition, shared.
pub(crate) type Shared = Rc<Condition>;

/// A condition and how deep it is.
#[derive(Debug)]
pub(crate) struct Condition {
    pub(crate) kind: ConditionKind,
    depth: u16,
}

#[derive(Debug)]
pub(crate) enum ConditionKind {
    Known(bool),
    /// It has no value, whatever the document.
    Failed,
    Test(Test),
    Not(Shared),
    /// `&&`
    All(Vec<Shared>),
    /// `||`
    Any(Vec<Shared>),
    /// The condition behind the guard that is true; it fails if none is. Guards exclude each other.
    Choice(Vec<(Shared, Shared)>),
    /// True, false or failing; failing for certain unless this is true.
    Unclear {
        defined: Shared,
        span: Span,
    },
}

fn make(kind: ConditionKind) -> Shared {
    let depth = match &kind {
        ConditionKind::Known(_) | ConditionKind::Failed | ConditionKind::Test(_) => 0,
        ConditionKind::Not(inner) => inner.depth,
        ConditionKind::Unclear { defined, .. } => defined.depth,
        ConditionKind::All(parts) | ConditionKind::Any(parts) => deepest(parts.iter()),
        ConditionKind::Choice(cases) => deepest(cases.iter().flat_map(|(guard, then)| [guard, then])),
    };
    if depth >= CONDITION_DEPTH_MAX {
        return unclear(known(true), Span::default());
    }
    Rc::new(Condition {
        kind,
        depth: depth + 1,
    })
}

fn deepest<'c>(parts: impl Iterator<Item = &'c Shared>) -> u16 {
    parts.map(|part| part.depth).max().unwrap_or_default()
}

pub(crate) fn known(truth: bool) -> Shared {
    make(ConditionKind::Known(truth))
}

pub(crate) fn failed() -> Shared {
    make(ConditionKind::Failed)
}

pub(crate) fn test(test: Test) -> Shared {
    make(ConditionKind::Test(test))
}

/// True, false or failing; failing for certain unless `defined` is true.
pub(crate) fn unclear(defined: Shared, span: Span) -> Shared {
    match defined.kind {
        ConditionKind::Known(false) | ConditionKind::Failed => failed(),
        ConditionKind::Unclear { .. } => defined,
        _ => make(ConditionKind::Unclear { defined, span }),
    }
}

/// `!condition`
pub(crate) fn not(condition: &Shared) -> Shared {
    match &condition.kind {
        ConditionKind::Known(truth) => known(!truth),
        ConditionKind::Failed => failed(),
        ConditionKind::Not(inner) => Rc::clone(inner),
        _ => make(ConditionKind::Not(Rc::clone(condition))),
    }
}

/// `a && b && …`
pub(crate) fn all(parts: impl IntoIterator<Item = Shared>) -> Shared {
    join(parts, false)
}

/// `a || b || …`
pub(crate) fn any(parts: impl IntoIterator<Item = Shared>) -> Shared {
    join(parts, true)
}

fn join(parts: impl IntoIterator<Item = Shared>, decisive: bool) -> Shared {
    let mut joined: Vec<Shared> = Vec::new();
    let mut has_failed = false;
    for part in parts {
        match &part.kind {
            ConditionKind::Known(truth) if *truth == decisive => return part,
            ConditionKind::Known(_) => {}
            ConditionKind::Failed => has_failed = true,
            ConditionKind::All(inner) if !decisive => joined.extend(inner.iter().cloned()),
            ConditionKind::Any(inner) if decisive => joined.extend(inner.iter().cloned()),
            _ => joined.push(part),
        }
    }
    match (joined.len(), has_failed) {
        (0, true) => failed(),
        (0, false) => known(!decisive),
        (1, false) => joined.swap_remove(0),
        (_, has_failed) => {
            // What was joined may hold a failure already; one is enough.
            if has_failed
                && !joined
                    .iter()
                    .any(|part| matches!(part.kind, ConditionKind::Failed))
            {
                joined.push(failed());
            }
            make(if decisive {
                ConditionKind::Any(joined)
            } else {
                ConditionKind::All(joined)
            })
        }
    }
}

/// The condition behind the guard that is true.
pub(crate) fn choice(cases: impl IntoIterator<Item = (Shared, Shared)>) -> Shared {
    let mut kept = Vec::new();
    for (guard, then) in cases {
        match (&guard.kind, &then.kind) {
            // The others are false, as guards exclude each other.
            (ConditionKind::Known(true), _) => return then,
            (ConditionKind::Known(false) | ConditionKind::Failed, _) | (_, ConditionKind::Failed) => {}
            _ => kept.push((guard, then)),
        }
    }
    if kept.is_empty() {
        return failed();
    }
    make(ConditionKind::Choice(kept))
}

/// Whether it has a value: true if it has, failing if not.
pub(crate) fn is_defined(condition: &Shared) -> Shared {
    match &condition.kind {
        ConditionKind::Known(_) => known(true),
        ConditionKind::Failed => failed(),
        _ => any([Rc::clone(condition), not(condition)]),
    }
}

impl Condition {
    /// The place in the source of the first part that has one.
    pub(crate) fn span(&self) -> Option<Span> {
        match &self.kind {
            ConditionKind::Known(_) | ConditionKind::Failed => None,
            ConditionKind::Test(test) => Some(test.span),
            ConditionKind::Not(inner) => inner.span(),
            ConditionKind::All(parts) | ConditionKind::Any(parts) => {
                parts.iter().find_map(|part| part.span())
            }
            ConditionKind::Choice(cases) => cases
                .iter()
                .find_map(|(guard, then)| then.span().or_else(|| guard.span())),
            ConditionKind::Unclear { span, .. } => Some(*span),
        }
    }
}
