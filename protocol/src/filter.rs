//! Filters and their JSON form.

use std::fmt;
use std::str::FromStr;

use serde::de::{self, Deserialize, Deserializer, SeqAccess, Visitor};
use serde::ser::{Serialize, SerializeSeq, Serializer};

use crate::error::excerpt;
use crate::limits::{FILTER_DEPTH_MAX, FILTER_LIST_VALUES_MAX, FILTER_NODES_MAX, FILTER_VALUES_MAX};
use crate::{FieldPath, InputError, TypeClass, Value};

/// A condition on a document.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Filter {
    /// A comparison of one field with a constant.
    Compare {
        /// The field.
        field: FieldRef,
        /// The operator.
        operator: Operator,
        /// The constant; an array for the operators that take a list.
        value: Value,
    },
    /// All of them; of none: every document.
    And(Vec<Filter>),
    /// At least one of them; of none: no document.
    Or(Vec<Filter>),
    /// Exactly the documents that the inner filter does not match, those without its fields included.
    Not(Box<Filter>),
}

/// What a comparison or an order looks at.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FieldRef {
    /// A field of the data.
    Field(FieldPath),
    /// `__id__`: the document's id, as a string.
    Id,
}

/// An operator of a comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operator {
    /// `==`
    Equal,
    /// `!=`: present, not null, and another value.
    NotEqual,
    /// `<`, within the constant's type class, as all ranges.
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
    /// `in`: equal to one of a list.
    In,
    /// `not-in`: present, not null, and equal to none of a list; nothing if the list has a null.
    NotIn,
    /// `array-contains`: an array with an element equal to the constant.
    ArrayContains,
    /// `array-contains-any`: an array with an element equal to one of a list.
    ArrayContainsAny,
    /// `exists`: the field is there, be it null, or is not.
    Exists,
    /// `starts-with`: a string with the constant as its beginning.
    StartsWith,
}

impl Operator {
    /// Every operator.
    pub const ALL: [Self; 12] = [
        Self::Equal,
        Self::NotEqual,
        Self::Less,
        Self::LessOrEqual,
        Self::Greater,
        Self::GreaterOrEqual,
        Self::In,
        Self::NotIn,
        Self::ArrayContains,
        Self::ArrayContainsAny,
        Self::Exists,
        Self::StartsWith,
    ];

    /// The operator as it stands on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Equal => "==",
            Self::NotEqual => "!=",
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
            Self::In => "in",
            Self::NotIn => "not-in",
            Self::ArrayContains => "array-contains",
            Self::ArrayContainsAny => "array-contains-any",
            Self::Exists => "exists",
            Self::StartsWith => "starts-with",
        }
    }

    /// Whether the constant is a list of values.
    pub fn takes_list(self) -> bool {
        matches!(self, Self::In | Self::NotIn | Self::ArrayContainsAny)
    }

    /// Whether its field orders the result implicitly, after the explicit orders (Firestore's "inequality" operators).
    pub fn is_inequality(self) -> bool {
        matches!(
            self,
            Self::NotEqual
                | Self::Less
                | Self::LessOrEqual
                | Self::Greater
                | Self::GreaterOrEqual
                | Self::NotIn
                | Self::StartsWith
        )
    }
}

impl FromStr for Operator {
    type Err = InputError;

    fn from_str(text: &str) -> Result<Self, InputError> {
        Self::ALL
            .into_iter()
            .find(|operator| operator.as_str() == text)
            .ok_or_else(|| {
                let names = Self::ALL
                    .map(|operator| format!("`{}`", operator.as_str()))
                    .join(", ");
                InputError::new(format!(
                    "`{}` is not an operator: the operators are {names}",
                    excerpt(text)
                ))
            })
    }
}

impl fmt::Display for Operator {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl fmt::Display for FieldRef {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Field(path) => path.fmt(formatter),
            Self::Id => formatter.write_str("__id__"),
        }
    }
}

impl FromStr for FieldRef {
    type Err = InputError;

    fn from_str(text: &str) -> Result<Self, InputError> {
        if text == "__id__" {
            Ok(Self::Id)
        } else {
            text.parse().map(Self::Field)
        }
    }
}

impl Serialize for FieldRef {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for FieldRef {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(de::Error::custom)
    }
}

impl Filter {
    /// A comparison, checked.
    ///
    /// # Errors
    /// If the constant does not fit the operator or the field.
    pub fn compare(field: FieldRef, operator: Operator, value: Value) -> Result<Self, InputError> {
        let fail = |detail: String| {
            let field = excerpt(&field.to_string());
            Err(InputError::new(format!("the filter on `{field}`: {detail}")))
        };
        match (operator, &value) {
            (operator, Value::Array(values))
                if operator.takes_list() && values.len() > FILTER_LIST_VALUES_MAX =>
            {
                return fail(format!(
                    "the list of `{operator}` has more than {FILTER_LIST_VALUES_MAX} values"
                ));
            }
            (operator, Value::Array(_)) if operator.takes_list() => {}
            (operator, _) if operator.takes_list() => {
                return fail(format!("`{operator}` takes an array of values"));
            }
            (Operator::Exists, Value::Boolean(_)) => {}
            (Operator::Exists, _) => return fail("`exists` takes true or false".to_owned()),
            (Operator::StartsWith, Value::String(_)) => {}
            (Operator::StartsWith, _) => return fail("`starts-with` takes a string".to_owned()),
            _ => {}
        }
        if field == FieldRef::Id {
            let strings = match &value {
                Value::Array(values) if operator.takes_list() => {
                    values.iter().all(|value| value.type_class() == TypeClass::String)
                }
                value => value.type_class() == TypeClass::String || operator == Operator::Exists,
            };
            if !strings || matches!(operator, Operator::ArrayContains | Operator::ArrayContainsAny) {
                return fail("an id is a string, and is compared with strings".to_owned());
            }
        }
        Ok(Self::Compare {
            field,
            operator,
            value,
        })
    }

    /// Checks the bounds of a whole filter.
    ///
    /// # Errors
    /// If it has too many parts or values, or is nested too deep.
    pub fn check_limits(&self) -> Result<(), InputError> {
        let mut nodes = 0;
        let mut list_values = 0;
        let mut waiting = vec![(self, 1)];
        while let Some((filter, depth)) = waiting.pop() {
            nodes += 1;
            if nodes > FILTER_NODES_MAX {
                return Err(InputError::new(format!(
                    "the filter has more than {FILTER_NODES_MAX} parts"
                )));
            }
            if depth > FILTER_DEPTH_MAX {
                return Err(InputError::new(format!(
                    "the filter is nested deeper than {FILTER_DEPTH_MAX} levels"
                )));
            }
            match filter {
                Self::Compare { operator, value, .. } if operator.takes_list() => {
                    list_values += value.as_array().unwrap_or_default().len();
                    if list_values > FILTER_VALUES_MAX {
                        return Err(InputError::new(format!(
                            "the lists of the filter have more than {FILTER_VALUES_MAX} values together"
                        )));
                    }
                }
                Self::Compare { .. } => {}
                Self::And(filters) | Self::Or(filters) => {
                    waiting.extend(filters.iter().map(|filter| (filter, depth + 1)));
                }
                Self::Not(filter) => waiting.push((filter, depth + 1)),
            }
        }
        Ok(())
    }
}

impl Serialize for Filter {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Compare {
                field,
                operator,
                value,
            } => (field, operator.as_str(), value).serialize(serializer),
            Self::And(filters) => connective(serializer, "and", filters),
            Self::Or(filters) => connective(serializer, "or", filters),
            Self::Not(filter) => ("not", filter).serialize(serializer),
        }
    }
}

fn connective<S: Serializer>(serializer: S, name: &str, filters: &[Filter]) -> Result<S::Ok, S::Error> {
    let mut seq = serializer.serialize_seq(Some(filters.len() + 1))?;
    seq.serialize_element(name)?;
    for filter in filters {
        seq.serialize_element(filter)?;
    }
    seq.end()
}

impl<'de> Deserialize<'de> for Filter {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(FilterVisitor)
    }
}

struct FilterVisitor;

impl<'de> Visitor<'de> for FilterVisitor {
    type Value = Filter;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(
            "a filter: [field, operator, value], [\"and\", filter…], [\"or\", filter…] or [\"not\", filter]",
        )
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Filter, A::Error> {
        let incomplete = || {
            de::Error::custom(
                "a filter is [field, operator, value], [\"and\", filter…], [\"or\", filter…] or [\"not\", filter]",
            )
        };
        let first = seq.next_element::<String>()?.ok_or_else(incomplete)?;
        match seq.next_element::<Second>()? {
            // A field may well be named `and`; the operator after it tells.
            Some(Second::Operator(operator)) => {
                let field = first.parse().map_err(de::Error::custom)?;
                let operator = operator.parse().map_err(de::Error::custom)?;
                let value = seq.next_element::<Value>()?.ok_or_else(|| {
                    de::Error::custom(format!(
                        "the filter on `{}` has no value to compare with",
                        excerpt(&first)
                    ))
                })?;
                if seq.next_element::<de::IgnoredAny>()?.is_some() {
                    return Err(de::Error::custom(format!(
                        "the filter on `{}` has more than a field, an operator and a value",
                        excerpt(&first)
                    )));
                }
                Filter::compare(field, operator, value).map_err(de::Error::custom)
            }
            Some(Second::Filter(second)) => {
                let mut filters = vec![second];
                while let Some(filter) = seq.next_element::<Filter>()? {
                    if filters.len() == FILTER_NODES_MAX {
                        return Err(de::Error::custom(format!(
                            "the filter has more than {FILTER_NODES_MAX} parts"
                        )));
                    }
                    filters.push(filter);
                }
                match (first.as_str(), filters.len()) {
                    ("and", _) => Ok(Filter::And(filters)),
                    ("or", _) => Ok(Filter::Or(filters)),
                    ("not", 1) => Ok(Filter::Not(Box::new(filters.remove(0)))),
                    ("not", _) => Err(de::Error::custom("`not` takes one filter")),
                    _ => Err(de::Error::custom(format!(
                        "`{}` is neither `and`, `or`, `not` nor a field followed by an operator",
                        excerpt(&first)
                    ))),
                }
            }
            None if matches!(first.as_str(), "and" | "or" | "not") => {
                Err(de::Error::custom(format!("`{first}` needs at least one filter")))
            }
            None => Err(incomplete()),
        }
    }
}

/// The second element of a filter: an operator's name or a first inner filter.
enum Second {
    Operator(String),
    Filter(Filter),
}

impl<'de> Deserialize<'de> for Second {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct SecondVisitor;
        impl<'de> Visitor<'de> for SecondVisitor {
            type Value = Second;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an operator or a filter")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Second, E> {
                Ok(Second::Operator(text.to_owned()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Second, A::Error> {
                FilterVisitor.visit_seq(seq).map(Second::Filter)
            }
        }
        deserializer.deserialize_any(SecondVisitor)
    }
}
