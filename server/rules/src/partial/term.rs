//! What an expression comes to when the document is not known: a value, a failure, or a term.
//!
//! Invariants: a term holds at least one thing that is not known; what does not depend on the document is a value. No term
//! is deeper than [`TERM_DEPTH_MAX`], so that going through it and dropping it may recurse.

use std::rc::Rc;

use andiron_protocol::{FieldPath, FieldRef};

use super::condition::{self, Shared};
use super::test::{Relation, Test};
use crate::evaluate::EvaluationError;
use crate::evaluate::value::Value;
use crate::language::{Kind, Kinds};
use crate::source::Span;

/// How many cases of a value are kept apart; with more, the value is just not known.
pub(crate) const CASES_MAX: usize = 16;

/// How deep terms may lie in each other; of a deeper one nothing is known.
pub(crate) const TERM_DEPTH_MAX: u16 = 40;

/// What an expression comes to.
#[derive(Clone, Debug)]
pub(crate) enum Partial<'a> {
    Known(Value<'a>),
    /// It has no value, whatever the document, and for this reason.
    Failed(Box<EvaluationError>),
    /// It depends on a document looked up that is not known yet.
    Needs,
    Unknown(Rc<Term<'a>>),
}

/// A value that depends on the document.
#[derive(Debug)]
pub(crate) enum Term<'a> {
    /// `request`, of which the path is not known.
    Request,
    /// `resource`
    Document,
    /// `resource.data`
    Data,
    /// A field of the data; it fails if the document does not have it.
    Field(Field),
    /// A field that is a timestamp, moved or measured; it fails if the field is none.
    Moment(Moment),
    /// The document's id.
    Id,
    /// The keys of a map: of `resource.data` without a field.
    Keys(Option<FieldPath>),
    /// A bool.
    Condition(Shared),
    /// The value behind the guard that is true; it fails if none is. Guards exclude each other.
    /// With its depth.
    Cases(Vec<(Shared, Partial<'a>)>, u16),
    /// A list with elements that are not known. With its depth.
    List(Vec<Partial<'a>>, u16),
    /// Some value; it fails for certain unless `defined` is true.
    Opaque { defined: Shared },
}

/// A field of the document's data.
#[derive(Debug)]
pub(crate) struct Field {
    pub(crate) path: FieldPath,
    /// Whether it being missing may be another error than that: `m['k']` of a list `m`.
    pub(crate) may_mistype: bool,
}

/// A timestamp of the document with a duration added, or how long it lies behind or before another.
#[derive(Debug)]
pub(crate) struct Moment {
    pub(crate) path: FieldPath,
    /// Whether it is how long the field lies before `offset`; otherwise `offset` is added to the field.
    pub(crate) is_turned: bool,
    /// Nanoseconds: of a duration, or of a timestamp since 1970.
    pub(crate) offset: i128,
    /// `timestamp` or `duration`.
    pub(crate) kind: Kind,
}

impl<'a> Partial<'a> {
    pub(crate) fn term(term: Term<'a>) -> Self {
        Self::Unknown(Rc::new(term))
    }

    /// How deep it is in terms.
    fn depth(&self) -> u16 {
        match self {
            Self::Unknown(term) => match &**term {
                Term::Cases(_, depth) | Term::List(_, depth) => *depth,
                _ => 1,
            },
            _ => 0,
        }
    }

    /// The value behind the guard that is true.
    pub(crate) fn cases(cases: Vec<(Shared, Self)>) -> Self {
        match depth_above(cases.iter().map(|(_, value)| value)) {
            Some(depth) => Self::term(Term::Cases(cases, depth)),
            None => Self::opaque(condition::known(true)),
        }
    }

    /// A list with elements that are not known.
    pub(crate) fn list(elements: Vec<Self>) -> Self {
        match depth_above(elements.iter()) {
            Some(depth) => Self::term(Term::List(elements, depth)),
            None => Self::opaque(condition::known(true)),
        }
    }

    pub(crate) fn bool(truth: bool) -> Self {
        Self::Known(Value::Bool(truth))
    }

    /// Some value that fails for certain unless `defined` is true.
    pub(crate) fn opaque(defined: Shared) -> Self {
        Self::term(Term::Opaque { defined })
    }

    /// Something that fails for every document, though not with the same error: for some it may be an absence, which `??`
    /// replaces.
    pub(crate) fn failing() -> Self {
        Self::opaque(condition::failed())
    }

    /// Whether it has a value for every document, so that what is done with it fails for one reason only.
    pub(crate) fn is_certain(&self) -> bool {
        match self {
            Self::Known(_) => true,
            Self::Failed(_) | Self::Needs => false,
            Self::Unknown(term) => matches!(
                **term,
                Term::Request | Term::Document | Term::Data | Term::Id | Term::Keys(None)
            ),
        }
    }

    /// Whether it has a value: true if it has, and false or failing if not.
    pub(crate) fn is_defined(&self, span: Span) -> Shared {
        match self {
            Self::Known(_) => condition::known(true),
            Self::Failed(_) => condition::failed(),
            // What depends on such a value is not asked for before it is known.
            Self::Needs => condition::known(true),
            Self::Unknown(term) => match &**term {
                Term::Request | Term::Document | Term::Data | Term::Id | Term::Keys(None) => {
                    condition::known(true)
                }
                Term::Field(field) => is_there(&field.path, span),
                // The sum may lie outside of the years that there are.
                Term::Moment(moment) => condition::unclear(is_timestamp(&moment.path, span), span),
                Term::Keys(Some(path)) => is_map(path, span),
                Term::Condition(condition) => condition::is_defined(condition),
                Term::Cases(cases, _) => condition::any(
                    cases
                        .iter()
                        .map(|(guard, value)| condition::all([Rc::clone(guard), value.is_defined(span)])),
                ),
                Term::List(elements, _) => are_defined(elements, span),
                // That it has a value is no more than possible.
                Term::Opaque { defined } => condition::unclear(Rc::clone(defined), span),
            },
        }
    }
}

/// The depth of something that holds these, unless it would be too deep.
fn depth_above<'p, 'a: 'p>(values: impl Iterator<Item = &'p Partial<'a>>) -> Option<u16> {
    let depth = values.map(Partial::depth).max().unwrap_or_default() + 1;
    (depth <= TERM_DEPTH_MAX).then_some(depth)
}

/// Whether all of them have values.
pub(crate) fn are_defined<'p, 'a: 'p>(
    values: impl IntoIterator<Item = &'p Partial<'a>>,
    span: Span,
) -> Shared {
    condition::all(values.into_iter().map(|value| value.is_defined(span)))
}

/// Whether a field is there.
pub(crate) fn is_there(path: &FieldPath, span: Span) -> Shared {
    field_test(path, Relation::Exists, span)
}

/// Whether a field is a timestamp; it fails if the field is not there.
pub(crate) fn is_timestamp(path: &FieldPath, span: Span) -> Shared {
    field_test(path, Relation::Is(Kinds::only(Kind::Timestamp)), span)
}

/// Whether a field is a map; it fails if the field is not there.
pub(crate) fn is_map(path: &FieldPath, span: Span) -> Shared {
    field_test(path, Relation::Is(Kinds::only(Kind::Map)), span)
}

pub(crate) fn field_test(path: &FieldPath, relation: Relation, span: Span) -> Shared {
    condition::test(Test {
        field: FieldRef::Field(path.clone()),
        relation,
        span,
    })
}

pub(crate) fn id_test(relation: Relation, span: Span) -> Shared {
    condition::test(Test {
        field: FieldRef::Id,
        relation,
        span,
    })
}
