//! Tests of one field: the leaves of a condition that a filter can say.
//!
//! A test means what the operator or method means that it stands for, errors included: which stored values make it true
//! and which false is said here once, as filters, and everything else follows from these two. On values that are neither,
//! and on the missing field, it fails.

use andiron_protocol::limits::FILTER_LIST_VALUES_MAX;
use andiron_protocol::{
    FieldPath, FieldRef, Filter, GeoPoint, Map as StoredMap, Operator, Timestamp, TypeClass, Value as Stored,
};

use super::constant::Forms;
use super::extent::{Extent, compare, exists};
use crate::language::{Kind, Kinds};
use crate::source::Span;

/// A field, and what is asked of it.
#[derive(Debug)]
pub(crate) struct Test {
    pub(crate) field: FieldRef,
    pub(crate) relation: Relation,
    pub(crate) span: Span,
}

/// What is asked of a field.
#[derive(Debug)]
pub(crate) enum Relation {
    /// It stands where a condition does.
    IsTrue,
    /// It is there; false, not failing, if not.
    Exists,
    /// `is`
    Is(Kinds),
    /// `== constant`
    Equal(Forms),
    /// `in` a known list: equal to one of these, and to none else.
    OneOf(Vec<Stored>),
    /// One of the four inequalities, with a constant of a type that has an order; not NaN.
    Ordered(Operator, Stored),
    /// `constant in`: an element of a list or, if it is a string, a key of a map.
    Contains { element: Forms, key: Option<String> },
    /// `hasAny`, by the elements.
    HasAny(Vec<Forms>),
    /// `hasAll`, by the elements.
    HasAll(Vec<Forms>),
}

/// What comes of a test, or of a condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    True,
    False,
    Fails,
}

impl Test {
    /// The documents for which it is true, or those for which it is false.
    pub(crate) fn extent(&self, wanted: bool) -> Extent {
        match &self.field {
            FieldRef::Id => self.of_id(wanted),
            FieldRef::Field(path) if wanted => self.holds(path),
            FieldRef::Field(path) => self.holds_not(path),
        }
    }

    /// What comes of it for these values of its field, `None` being its absence; `None` if that cannot be told, or is not
    /// the same for all of them.
    pub(crate) fn outcome<'v>(
        &self,
        values: impl IntoIterator<Item = Option<&'v Stored>>,
    ) -> Option<Outcome> {
        let (holds, holds_not) = (self.extent(true), self.extent(false));
        let mut outcomes = values.into_iter().map(|value| {
            let mut data = StoredMap::new();
            let mut id = "";
            match (&self.field, value) {
                (FieldRef::Field(path), Some(value)) => path.set(&mut data, value.clone()),
                (FieldRef::Id, Some(Stored::String(text))) => id = text,
                _ => {}
            }
            match (
                holds.filter.matches(id, &data),
                holds_not.filter.matches(id, &data),
            ) {
                (true, _) if holds.is_exact => Some(Outcome::True),
                (_, true) if holds_not.is_exact => Some(Outcome::False),
                (false, false) => Some(Outcome::Fails),
                _ => None,
            }
        });
        let first = outcomes.next()??;
        outcomes.all(|outcome| outcome == Some(first)).then_some(first)
    }

    /// Of an id, which is a string and always there. Relations that make no sense for it are not made.
    fn of_id(&self, wanted: bool) -> Extent {
        let field = &FieldRef::Id;
        let holds = match &self.relation {
            Relation::Equal(Forms::These(values)) => equal_to_one(field, values),
            Relation::OneOf(values) => equal_to_one(field, values),
            Relation::Ordered(operator, constant) => Some(compare(field, *operator, constant.clone())),
            _ => None,
        };
        match holds {
            Some(filter) if wanted => Extent::exactly(filter),
            Some(filter) => Extent::exactly(Filter::Not(Box::new(filter))),
            None => Extent::unknown(),
        }
    }

    fn holds(&self, path: &FieldPath) -> Extent {
        let field = &FieldRef::Field(path.clone());
        match &self.relation {
            Relation::IsTrue => Extent::exactly(compare(field, Operator::Equal, Stored::Boolean(true))),
            Relation::Exists => Extent::exactly(exists(path)),
            Relation::Is(kinds) => of_kinds(field, path, *kinds),
            Relation::Equal(Forms::These(values)) => match equal_to_one(field, values) {
                Some(filter) => Extent::exactly(filter),
                None => Extent::within(exists(path)),
            },
            Relation::Equal(Forms::Within(classes)) => Extent::within(Filter::Or(
                classes.iter().map(|class| of_class(field, *class)).collect(),
            )),
            Relation::OneOf(values) => match equal_to_one(field, values) {
                Some(filter) => Extent::exactly(filter),
                None => Extent::within(exists(path)),
            },
            Relation::Ordered(operator, constant) => {
                Extent::exactly(compare(field, *operator, constant.clone()))
            }
            Relation::Contains { element, key } => {
                let elements = std::slice::from_ref(element);
                let mut alternatives = vec![array_has_any(field, elements), vector_has_some(field, elements)];
                if let Some(key) = key {
                    alternatives.push(map_has_key(field, path, key));
                }
                Extent::union(alternatives)
            }
            Relation::HasAny(elements) => {
                Extent::union([array_has_any(field, elements), vector_has_some(field, elements)])
            }
            Relation::HasAll(elements) => {
                let array = array_has_all(field, elements);
                let vector = Extent::exactly(of_class(field, TypeClass::Vector));
                let vector = if elements.is_empty() {
                    vector
                } else if elements.iter().all(may_be_number) {
                    Extent::within(vector.filter)
                } else {
                    Extent::none()
                };
                Extent::union([array, vector])
            }
        }
    }

    fn holds_not(&self, path: &FieldPath) -> Extent {
        let field = &FieldRef::Field(path.clone());
        let array = || Extent::exactly(of_class(field, TypeClass::Array));
        let vector = |is_exact| Extent {
            filter: of_class(field, TypeClass::Vector),
            is_exact,
        };
        match &self.relation {
            Relation::IsTrue => Extent::exactly(compare(field, Operator::Equal, Stored::Boolean(false))),
            Relation::Exists => Extent::exactly(compare(field, Operator::Exists, Stored::Boolean(false))),
            Relation::Equal(Forms::These(values)) if matches!(values.as_slice(), [Stored::Null]) => {
                Extent::exactly(compare(field, Operator::NotEqual, Stored::Null))
            }
            // These have a value wherever the field is there.
            Relation::Is(_) | Relation::Equal(_) | Relation::OneOf(_) => {
                Extent::intersection([Extent::exactly(exists(path)), outside(self.holds(path))])
            }
            Relation::Ordered(operator, constant) => {
                let opposite = match operator {
                    Operator::Less => Operator::GreaterOrEqual,
                    Operator::LessOrEqual => Operator::Greater,
                    Operator::Greater => Operator::LessOrEqual,
                    _ => Operator::Less,
                };
                let mut alternatives = vec![Extent::exactly(compare(field, opposite, constant.clone()))];
                if constant.type_class() == TypeClass::Number {
                    // NaN is neither below nor above anything.
                    alternatives.push(Extent::exactly(of_class(field, TypeClass::Nan)));
                }
                Extent::union(alternatives)
            }
            Relation::Contains { element, key } => {
                let elements = std::slice::from_ref(element);
                let map = Extent::exactly(of_class(field, TypeClass::Map));
                let map = match key {
                    Some(key) => Extent::intersection([map, outside(map_has_key(field, path, key))]),
                    None => map,
                };
                Extent::union([
                    Extent::intersection([array(), outside(array_has_any(field, elements))]),
                    map,
                    vector(!may_be_number(element)),
                ])
            }
            Relation::HasAny(elements) => Extent::union([
                Extent::intersection([array(), outside(array_has_any(field, elements))]),
                vector(!elements.iter().any(may_be_number)),
            ]),
            Relation::HasAll(elements) if elements.is_empty() => Extent::none(),
            Relation::HasAll(elements) => Extent::union([
                Extent::intersection([array(), outside(array_has_all(field, elements))]),
                vector(!elements.iter().all(may_be_number)),
            ]),
        }
    }
}

/// All that is not in an extent, if it is known where that ends.
fn outside(extent: Extent) -> Extent {
    if !extent.is_exact {
        return Extent::unknown();
    }
    if extent.is_empty() {
        return Extent::all();
    }
    if extent.is_unbounded() {
        return Extent::none();
    }
    Extent::exactly(Filter::Not(Box::new(extent.filter)))
}

/// The field is equal to one of these; `None` if they are too many.
fn equal_to_one(field: &FieldRef, values: &[Stored]) -> Option<Filter> {
    match values {
        [] => Some(Filter::Or(Vec::new())),
        [only] => Some(compare(field, Operator::Equal, only.clone())),
        _ if values.len() > FILTER_LIST_VALUES_MAX => None,
        _ => Some(compare(field, Operator::In, Stored::Array(values.to_vec()))),
    }
}

/// The field is an array with an element that equals one of these.
fn array_has_any(field: &FieldRef, elements: &[Forms]) -> Extent {
    let mut values = Vec::new();
    for element in elements {
        match element {
            Forms::These(forms) => values.extend(forms.iter().cloned()),
            Forms::Within(_) => return Extent::within(of_class(field, TypeClass::Array)),
        }
    }
    match values.len() {
        0 => Extent::none(),
        1 => Extent::exactly(compare(field, Operator::ArrayContains, values.swap_remove(0))),
        2..=FILTER_LIST_VALUES_MAX => {
            Extent::exactly(compare(field, Operator::ArrayContainsAny, Stored::Array(values)))
        }
        _ => Extent::within(of_class(field, TypeClass::Array)),
    }
}

/// The field is an array that has an equal element for each of these.
fn array_has_all(field: &FieldRef, elements: &[Forms]) -> Extent {
    if elements.is_empty() {
        return Extent::exactly(of_class(field, TypeClass::Array));
    }
    Extent::intersection(
        elements
            .iter()
            .map(|element| array_has_any(field, std::slice::from_ref(element))),
    )
}

/// The field is a vector, and perhaps has one of these: no filter says that.
fn vector_has_some(field: &FieldRef, elements: &[Forms]) -> Extent {
    if elements.iter().any(may_be_number) {
        Extent::within(of_class(field, TypeClass::Vector))
    } else {
        Extent::none()
    }
}

/// The field is a map with this key.
fn map_has_key(field: &FieldRef, path: &FieldPath, key: &str) -> Extent {
    let map = of_class(field, TypeClass::Map);
    match member(path, key) {
        Some(path) => Extent::exactly(Filter::And(vec![map, exists(&path)])),
        None => Extent::within(map),
    }
}

/// The path of a field inside of another, if there can be one.
pub(crate) fn member(path: &FieldPath, name: &str) -> Option<FieldPath> {
    let mut segments = path.segments().to_vec();
    segments.push(name.to_owned());
    FieldPath::from_segments(segments).ok()
}

fn may_be_number(forms: &Forms) -> bool {
    match forms {
        Forms::These(values) => values
            .iter()
            .any(|value| matches!(value.type_class(), TypeClass::Number | TypeClass::Nan)),
        Forms::Within(classes) => classes
            .iter()
            .any(|class| matches!(class, TypeClass::Number | TypeClass::Nan)),
    }
}

/// The field has a value of this class.
pub(crate) fn of_class(field: &FieldRef, class: TypeClass) -> Filter {
    let least = match class {
        TypeClass::Null => return compare(field, Operator::Equal, Stored::Null),
        TypeClass::Nan => return compare(field, Operator::Equal, Stored::Double(f64::NAN)),
        TypeClass::Boolean => Stored::Boolean(false),
        TypeClass::Number => Stored::Double(f64::NEG_INFINITY),
        TypeClass::Timestamp => Stored::Timestamp(Timestamp::MIN),
        TypeClass::String => Stored::String(String::new()),
        TypeClass::Bytes => Stored::Bytes(Vec::new()),
        // The least path has the least character that an id may have.
        TypeClass::Reference => match "\u{1}/\u{1}".parse() {
            Ok(path) => Stored::Reference(path),
            Err(_) => return compare(field, Operator::Exists, Stored::Boolean(true)),
        },
        TypeClass::GeoPoint => match GeoPoint::new(-90.0, -180.0) {
            Some(point) => Stored::GeoPoint(point),
            None => return compare(field, Operator::Exists, Stored::Boolean(true)),
        },
        TypeClass::Array => Stored::Array(Vec::new()),
        TypeClass::Vector => Stored::Vector(Vec::new()),
        TypeClass::Map => Stored::Map(StoredMap::new()),
    };
    compare(field, Operator::GreaterOrEqual, least)
}

/// The field has a value of one of these types.
fn of_kinds(field: &FieldRef, path: &FieldPath, kinds: Kinds) -> Extent {
    if kinds == Kinds::ANY {
        return Extent::exactly(exists(path));
    }
    let mut alternatives = Vec::new();
    for kind in kinds.iter() {
        let classes: &[TypeClass] = match kind {
            Kind::Null => &[TypeClass::Null],
            Kind::Bool => &[TypeClass::Boolean],
            // NaN is a float.
            Kind::Int => &[TypeClass::Number],
            Kind::Float => &[TypeClass::Number, TypeClass::Nan],
            Kind::String => &[TypeClass::String],
            Kind::Bytes => &[TypeClass::Bytes],
            Kind::Timestamp => &[TypeClass::Timestamp],
            Kind::LatLng => &[TypeClass::GeoPoint],
            Kind::List => &[TypeClass::Array, TypeClass::Vector],
            Kind::Map => &[TypeClass::Map],
            Kind::Path => &[TypeClass::Reference],
            // No document holds one.
            Kind::Duration | Kind::Set | Kind::MapDiff => &[],
        };
        alternatives.extend(
            classes
                .iter()
                .map(|class| Extent::exactly(of_class(field, *class))),
        );
    }
    let mut extent = Extent::union(alternatives);
    // Filters do not tell the types of numbers apart.
    extent.is_exact &= kinds.has(Kind::Int) == kinds.has(Kind::Float);
    extent
}
