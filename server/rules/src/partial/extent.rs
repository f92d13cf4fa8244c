//! Sets of documents, seen from above: a filter that each of them matches, and whether it matches no others.
//!
//! Both joins keep that: the intersection of what is above is above the intersection. Nothing is ever complemented, so
//! that being above is all that has to be kept. Filters stay within [`RESIDUAL_WEIGHT_MAX`] and [`RESIDUAL_DEPTH_MAX`]: what
//! does not fit is left out, and the extent is not exact any more.

use andiron_protocol::{FieldPath, FieldRef, Filter, Operator, Value as Stored};

/// How heavy a residual filter may be: each part weighs one, and each [`LIST_VALUES_PER_WEIGHT`] values of a list one
/// more. With a query's own filter it stays well within what a planner takes apart.
pub const RESIDUAL_WEIGHT_MAX: usize = 60;

/// How many values in the list of an operator weigh as much as a comparison.
pub const LIST_VALUES_PER_WEIGHT: usize = 20;

/// Levels of a residual filter.
pub const RESIDUAL_DEPTH_MAX: usize = 8;

/// Documents, seen from above.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Extent {
    /// Empty `And` for all documents, empty `Or` for none.
    pub(crate) filter: Filter,
    /// Whether these are all documents that match the filter.
    pub(crate) is_exact: bool,
}

impl Extent {
    /// Every document.
    pub(crate) fn all() -> Self {
        Self::exactly(Filter::And(Vec::new()))
    }

    /// No document.
    pub(crate) fn none() -> Self {
        Self::exactly(Filter::Or(Vec::new()))
    }

    /// Nobody knows which.
    pub(crate) fn unknown() -> Self {
        Self::within(Filter::And(Vec::new()))
    }

    /// The documents that match.
    pub(crate) fn exactly(filter: Filter) -> Self {
        Self {
            filter,
            is_exact: true,
        }
    }

    /// Some of the documents that match.
    pub(crate) fn within(filter: Filter) -> Self {
        Self {
            filter,
            is_exact: false,
        }
    }

    /// Whether nothing is said of the documents.
    pub(crate) fn is_unbounded(&self) -> bool {
        matches!(&self.filter, Filter::And(parts) if parts.is_empty())
    }

    /// Whether there are none.
    pub(crate) fn is_empty(&self) -> bool {
        matches!(&self.filter, Filter::Or(parts) if parts.is_empty())
    }

    /// Those that are in all of them.
    pub(crate) fn intersection(extents: impl IntoIterator<Item = Self>) -> Self {
        let mut parts: Vec<Filter> = Vec::new();
        let mut is_exact = true;
        for extent in extents {
            if extent.is_empty() {
                return Self::none();
            }
            is_exact &= extent.is_exact;
            match extent.filter {
                Filter::And(inner) => inner.into_iter().for_each(|part| push_new(&mut parts, part)),
                part => push_new(&mut parts, part),
            }
        }
        let is_implied = |part: &Filter| match presence(part) {
            Some(path) => parts.iter().any(|other| demands(other, path)),
            None => false,
        };
        let implied: Vec<bool> = parts.iter().map(is_implied).collect();
        let mut implied = implied.into_iter();
        parts.retain(|_| !implied.next().unwrap_or_default());
        // What does not fit is left out, which makes the set larger.
        let mut weight_left = RESIDUAL_WEIGHT_MAX - 1;
        let before = parts.len();
        parts.retain(|part| {
            let weight = weight(part);
            let fits = weight <= weight_left && depth(part) < RESIDUAL_DEPTH_MAX;
            if fits {
                weight_left -= weight;
            }
            fits
        });
        is_exact &= parts.len() == before;
        Self {
            filter: single_or(parts, Filter::And),
            is_exact,
        }
    }

    /// Those that are in at least one of them.
    pub(crate) fn union(extents: impl IntoIterator<Item = Self>) -> Self {
        let mut parts: Vec<Filter> = Vec::new();
        let mut is_exact = true;
        let mut is_unbounded = false;
        for extent in extents {
            if extent.is_unbounded() {
                if extent.is_exact {
                    return Self::all();
                }
                is_unbounded = true;
                continue;
            }
            is_exact &= extent.is_exact;
            match extent.filter {
                Filter::Or(inner) => inner
                    .into_iter()
                    .for_each(|part| push_alternative(&mut parts, part)),
                part => push_alternative(&mut parts, part),
            }
        }
        let weight: usize = parts.iter().map(weight).sum();
        let is_deep = parts.iter().any(|part| depth(part) >= RESIDUAL_DEPTH_MAX);
        if is_unbounded || weight >= RESIDUAL_WEIGHT_MAX || is_deep {
            return Self::unknown();
        }
        Self {
            filter: single_or(parts, Filter::Or),
            is_exact,
        }
    }
}

/// A comparison.
pub(crate) fn compare(field: &FieldRef, operator: Operator, value: Stored) -> Filter {
    Filter::Compare {
        field: field.clone(),
        operator,
        value,
    }
}

/// Whether a field is there, be it null.
pub(crate) fn exists(path: &FieldPath) -> Filter {
    compare(
        &FieldRef::Field(path.clone()),
        Operator::Exists,
        Stored::Boolean(true),
    )
}

/// The field that a filter demands to be there, and no more.
fn presence(filter: &Filter) -> Option<&FieldPath> {
    match filter {
        Filter::Compare {
            field: FieldRef::Field(path),
            operator: Operator::Exists,
            value: Stored::Boolean(true),
        } => Some(path),
        _ => None,
    }
}

/// Whether a comparison demands more of a field, or of one inside of it, than that it is there.
fn demands(filter: &Filter, wanted: &FieldPath) -> bool {
    match filter {
        Filter::Compare {
            field: FieldRef::Field(path),
            operator,
            value,
        } => match operator {
            Operator::Exists => {
                *value == Stored::Boolean(true) && path != wanted && wanted.is_prefix_of(path)
            }
            _ => wanted.is_prefix_of(path),
        },
        _ => false,
    }
}

fn single_or(mut parts: Vec<Filter>, join: impl FnOnce(Vec<Filter>) -> Filter) -> Filter {
    if parts.len() == 1 {
        parts.swap_remove(0)
    } else {
        join(parts)
    }
}

fn push_new(parts: &mut Vec<Filter>, part: Filter) {
    if !parts.contains(&part) {
        parts.push(part);
    }
}

/// Adds an alternative; `a == 1` beside `a == 2` becomes `a in [1, 2]`, which is fewer ranges to look at.
fn push_alternative(parts: &mut Vec<Filter>, part: Filter) {
    if let Filter::Compare {
        field,
        operator: Operator::Equal,
        value,
    } = &part
    {
        for other in parts.iter_mut() {
            let Filter::Compare {
                field: other_field,
                operator,
                value: list,
            } = other
            else {
                continue;
            };
            if other_field != field {
                continue;
            }
            match (&operator, list) {
                (Operator::Equal, first) => {
                    if first != value {
                        *first = Stored::Array(vec![first.clone(), value.clone()]);
                        *operator = Operator::In;
                    }
                    return;
                }
                (Operator::In, Stored::Array(values))
                    if values.len() < andiron_protocol::limits::FILTER_LIST_VALUES_MAX =>
                {
                    if !values.contains(value) {
                        values.push(value.clone());
                    }
                    return;
                }
                _ => {}
            }
        }
    }
    push_new(parts, part);
}

fn weight(filter: &Filter) -> usize {
    match filter {
        Filter::Compare { operator, value, .. } => {
            let values = match value {
                Stored::Array(values) if operator.takes_list() => values.len(),
                _ => 0,
            };
            1 + values / LIST_VALUES_PER_WEIGHT
        }
        Filter::And(parts) | Filter::Or(parts) => 1 + parts.iter().map(weight).sum::<usize>(),
        Filter::Not(inner) => 1 + weight(inner),
    }
}

fn depth(filter: &Filter) -> usize {
    match filter {
        Filter::Compare { .. } => 1,
        Filter::And(parts) | Filter::Or(parts) => 1 + parts.iter().map(depth).max().unwrap_or_default(),
        Filter::Not(inner) => 1 + depth(inner),
    }
}
