//! Sets of values as ranges of their encodings.
//!
//! What a filter demands of one field is a list of disjoint intervals of ascending keys, in order. An interval may hold
//! more than the filter wants (constants that are cut, see [`andiron_store::key`]) but never less; [`Interval::exact`]
//! tells whether it holds exactly what is wanted. Ids are intervals too, of their plain UTF-8 bytes.

use andiron_protocol::{Direction, Operator, TypeClass, Value};
use andiron_store::key::{Extent, class_bounds, encode_value, prefix_successor, string_prefix_bounds};

/// A half-open range of byte strings.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Interval<'q> {
    /// The first bytes inside; empty where there is no beginning.
    pub(crate) lower: Vec<u8>,
    /// The first bytes outside; `None` where there is no end.
    pub(crate) upper: Option<Vec<u8>>,
    /// Whether everything inside is wanted.
    pub(crate) exact: bool,
    /// The one value that everything inside is equal to, if there is one. Not set for a value that is cut.
    pub(crate) point: Option<&'q Value>,
}

impl<'q> Interval<'q> {
    /// Everything.
    pub(crate) const ALL: Self = Self {
        lower: Vec::new(),
        upper: None,
        exact: true,
        point: None,
    };

    fn is_empty(&self) -> bool {
        self.upper.as_ref().is_some_and(|upper| self.lower >= *upper)
    }

    /// The same set in the keys of a field that is indexed in a direction. Descending keys are ascending ones with every
    /// bit inverted, so the ends change places; what is at an end with its successors moves from one side to the other.
    pub(crate) fn in_direction(&self, direction: Direction) -> (Vec<u8>, Option<Vec<u8>>) {
        match direction {
            Direction::Ascending => (self.lower.clone(), self.upper.clone()),
            Direction::Descending => {
                let inverted_successor =
                    |bytes: &[u8]| prefix_successor(&bytes.iter().map(|byte| !byte).collect::<Vec<_>>());
                let lower = self.upper.as_deref().and_then(inverted_successor);
                (lower.unwrap_or_default(), inverted_successor(&self.lower))
            }
        }
    }

    /// What is in both.
    fn intersection(&self, other: &Self) -> Self {
        let upper = match (&self.upper, &other.upper) {
            (Some(left), Some(right)) => Some(left.min(right).clone()),
            (left, right) => left.as_ref().or(right.as_ref()).cloned(),
        };
        Self {
            lower: (&self.lower).max(&other.lower).clone(),
            upper,
            exact: self.exact && other.exact,
            point: self.point.or(other.point),
        }
    }
}

/// What is in both lists.
pub(crate) fn intersect<'q>(left: &[Interval<'q>], right: &[Interval<'q>]) -> Vec<Interval<'q>> {
    let mut both = Vec::new();
    let (mut left, mut right) = (left.iter().peekable(), right.iter().peekable());
    while let (Some(first), Some(second)) = (left.peek(), right.peek()) {
        let shared = first.intersection(second);
        if !shared.is_empty() {
            both.push(shared);
        }
        // Whichever ends first cannot meet anything else.
        let first_ends_first = match (&first.upper, &second.upper) {
            (Some(first), Some(second)) => first <= second,
            (first, _) => first.is_some(),
        };
        if first_ends_first {
            left.next();
        } else {
            right.next();
        }
    }
    both
}

/// One interval around all of them.
pub(crate) fn hull<'q>(intervals: &[Interval<'q>]) -> Vec<Interval<'q>> {
    match intervals {
        [] => Vec::new(),
        [only] => vec![only.clone()],
        [first, .., last] => vec![Interval {
            lower: first.lower.clone(),
            upper: last.upper.clone(),
            exact: false,
            point: None,
        }],
    }
}

/// The values that stand in this relation to a constant; `None` for operators that are not about a field's value alone.
pub(crate) fn values(operator: Operator, constant: &Value) -> Option<Vec<Interval<'_>>> {
    Some(match operator {
        Operator::Equal => vec![point(constant)],
        Operator::In => points(constant.as_array().unwrap_or_default()),
        Operator::Less | Operator::LessOrEqual | Operator::Greater | Operator::GreaterOrEqual => {
            non_empty(range(operator, constant))
        }
        Operator::NotEqual => without_points(std::slice::from_ref(constant)),
        Operator::NotIn => {
            let list = constant.as_array().unwrap_or_default();
            if list.iter().any(Value::is_null) {
                Vec::new()
            } else {
                without_points(list)
            }
        }
        Operator::StartsWith => {
            let (lower, upper) =
                string_prefix_bounds(constant.as_str().unwrap_or_default(), Direction::Ascending);
            vec![Interval {
                lower,
                upper: Some(upper),
                exact: encoded(constant).1 == Extent::Whole,
                point: None,
            }]
        }
        Operator::ArrayContains | Operator::ArrayContainsAny => {
            let (lower, upper) = class_bounds(TypeClass::Array, Direction::Ascending);
            vec![Interval {
                lower,
                upper: Some(upper),
                exact: false,
                point: None,
            }]
        }
        Operator::Exists => return None,
    })
}

/// The places of these values, each once.
pub(crate) fn points(values: &[Value]) -> Vec<Interval<'_>> {
    let mut points: Vec<_> = values.iter().map(point).collect();
    points.sort_by(|left, right| left.lower.cmp(&right.lower));
    points.dedup_by(|left, right| left.lower == right.lower);
    points
}

/// The place of one value, and of those that are cut to the same bytes.
fn point(value: &Value) -> Interval<'_> {
    let (lower, extent) = encoded(value);
    let exact = extent == Extent::Whole;
    Interval {
        upper: prefix_successor(&lower),
        lower,
        exact,
        point: exact.then_some(value),
    }
}

fn encoded(value: &Value) -> (Vec<u8>, Extent) {
    let mut bytes = Vec::with_capacity(32);
    let extent = encode_value(value, Direction::Ascending, &mut bytes);
    (bytes, extent)
}

/// The values of the constant's class on one side of it.
fn range<'q>(operator: Operator, constant: &Value) -> Interval<'q> {
    let (class_lower, class_upper) = class_bounds(constant.type_class(), Direction::Ascending);
    let (bytes, extent) = encoded(constant);
    let exact = extent == Extent::Whole;
    // Values that are cut to the same bytes may be on either side.
    let after = if exact { prefix_successor(&bytes) } else { None };
    let (lower, upper) = match operator {
        Operator::Less if exact => (class_lower, Some(bytes)),
        Operator::Less | Operator::LessOrEqual => (class_lower, prefix_successor(&bytes)),
        Operator::Greater => (after.unwrap_or(bytes), Some(class_upper)),
        _ => (bytes, Some(class_upper)),
    };
    Interval {
        lower,
        upper,
        exact,
        point: None,
    }
}

fn non_empty(interval: Interval<'_>) -> Vec<Interval<'_>> {
    if interval.is_empty() {
        Vec::new()
    } else {
        vec![interval]
    }
}

/// Every value but null and these.
fn without_points<'q>(values: &[Value]) -> Vec<Interval<'q>> {
    let holes = points(values);
    let exact = holes.iter().all(|hole| hole.exact);
    let mut lower = class_bounds(TypeClass::Null, Direction::Ascending).1;
    let mut intervals = Vec::new();
    let between = |lower: Vec<u8>, upper: Option<Vec<u8>>| Interval {
        lower,
        upper,
        exact,
        point: None,
    };
    // A hole that is cut cannot be left out: other values lie in it.
    for hole in holes.into_iter().filter(|hole| hole.exact) {
        let Some(after) = hole.upper else { continue };
        if hole.lower >= lower {
            intervals.extend(non_empty(between(std::mem::take(&mut lower), Some(hole.lower))));
            lower = after;
        }
    }
    intervals.push(between(lower, None));
    intervals
}

/// The ids that stand in this relation to a constant; `None` for operators that are not about an id's text.
pub(crate) fn ids(operator: Operator, constant: &Value) -> Option<Vec<Interval<'_>>> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned().into_bytes();
    let single = |lower: Vec<u8>, upper: Option<Vec<u8>>| {
        non_empty(Interval {
            lower,
            upper,
            exact: true,
            point: None,
        })
    };
    let sorted = |values: &[Value]| {
        let mut ids: Vec<_> = values.iter().map(text).collect();
        ids.sort();
        ids.dedup();
        ids
    };
    let without = |ids: Vec<Vec<u8>>| {
        let mut intervals = Vec::new();
        let mut lower = Vec::new();
        for id in ids {
            let after = following_id(&id);
            intervals.extend(single(std::mem::replace(&mut lower, after), Some(id)));
        }
        intervals.extend(single(lower, None));
        intervals
    };
    Some(match operator {
        Operator::Equal => single(text(constant), Some(following_id(&text(constant)))),
        Operator::In => sorted(constant.as_array()?)
            .into_iter()
            .flat_map(|id| single(id.clone(), Some(following_id(&id))))
            .collect(),
        Operator::Less => single(Vec::new(), Some(text(constant))),
        Operator::LessOrEqual => single(Vec::new(), Some(following_id(&text(constant)))),
        Operator::Greater => single(following_id(&text(constant)), None),
        Operator::GreaterOrEqual => single(text(constant), None),
        Operator::StartsWith => single(text(constant), text_successor(constant.as_str()?)),
        Operator::NotEqual => without(vec![text(constant)]),
        Operator::NotIn if constant.as_array()?.iter().any(Value::is_null) => Vec::new(),
        Operator::NotIn => without(sorted(constant.as_array()?)),
        Operator::ArrayContains | Operator::ArrayContainsAny => Vec::new(),
        Operator::Exists => return None,
    })
}

/// The text that follows another one at once.
pub(crate) fn following_id(id: &[u8]) -> Vec<u8> {
    let mut following = Vec::with_capacity(id.len() + 1);
    following.extend_from_slice(id);
    following.push(0);
    following
}

/// The least text that is greater than all that begin with `prefix`; `None` if there is none. UTF-8 orders as its
/// characters do.
fn text_successor(prefix: &str) -> Option<Vec<u8>> {
    let mut characters: Vec<char> = prefix.chars().collect();
    while let Some(last) = characters.pop() {
        if let Some(next) = (last..=char::MAX).nth(1) {
            characters.push(next);
            return Some(characters.into_iter().collect::<String>().into_bytes());
        }
    }
    None
}
