//! The one definition of "this document matches this filter".
//!
//! Queries, live queries and residual rules all ask here; indexes only narrow down what is asked about.

use std::borrow::Cow;

use crate::{FieldRef, Filter, Map, Operator, Value};

impl FieldRef {
    /// The value that a document has here, if it has one.
    pub fn get<'a>(&self, id: &str, data: &'a Map) -> Option<Cow<'a, Value>> {
        match self {
            Self::Field(path) => path.get(data).map(Cow::Borrowed),
            Self::Id => Some(Cow::Owned(Value::String(id.to_owned()))),
        }
    }
}

impl Filter {
    /// Whether the document with this id and data matches.
    pub fn matches(&self, id: &str, data: &Map) -> bool {
        match self {
            Self::Compare {
                field: FieldRef::Id,
                operator,
                value,
            } => operator.matches(Some(&Value::String(id.to_owned())), value),
            Self::Compare {
                field: FieldRef::Field(path),
                operator,
                value,
            } => operator.matches(path.get(data), value),
            Self::And(filters) => filters.iter().all(|filter| filter.matches(id, data)),
            Self::Or(filters) => filters.iter().any(|filter| filter.matches(id, data)),
            Self::Not(filter) => !filter.matches(id, data),
        }
    }
}

impl Operator {
    /// Whether a field's value stands in this relation to a constant; `None` is the missing field.
    pub fn matches(self, field: Option<&Value>, constant: &Value) -> bool {
        if self == Self::Exists {
            return constant.as_boolean() == Some(field.is_some());
        }
        let Some(field) = field else { return false };
        let same_class = || field.type_class() == constant.type_class();
        let listed = |value: &Value| constant.as_array().is_some_and(|list| list.contains(value));
        match self {
            Self::Equal => field == constant,
            Self::NotEqual => !field.is_null() && field != constant,
            Self::Less => same_class() && field < constant,
            Self::LessOrEqual => same_class() && field <= constant,
            Self::Greater => same_class() && field > constant,
            Self::GreaterOrEqual => same_class() && field >= constant,
            Self::In => listed(field),
            Self::NotIn => !field.is_null() && !listed(&Value::Null) && !listed(field),
            Self::ArrayContains => field
                .as_array()
                .is_some_and(|elements| elements.contains(constant)),
            Self::ArrayContainsAny => match (field, constant) {
                (Value::Array(elements), Value::Array(list)) => have_common_value(elements, list),
                _ => false,
            },
            Self::Exists => true,
            Self::StartsWith => match (field, constant) {
                (Value::String(text), Value::String(beginning)) => text.starts_with(beginning.as_str()),
                _ => false,
            },
        }
    }
}

/// Whether an element of one list equals an element of the other.
fn have_common_value(elements: &[Value], list: &[Value]) -> bool {
    // Sorting pays only for lists so long that comparing each with each would be work for a hostile query.
    const PAIRS_COMPARED_MAX: usize = 256;
    if elements.len().saturating_mul(list.len()) <= PAIRS_COMPARED_MAX {
        return elements.iter().any(|element| list.contains(element));
    }
    let mut sorted: Vec<&Value> = list.iter().collect();
    sorted.sort_unstable();
    elements
        .iter()
        .any(|element| sorted.binary_search(&element).is_ok())
}
