//! Values of rules as constants of a filter.
//!
//! To rules a vector is a list of floats, and a path that they have put together may be a reference; a filter tells
//! arrays from vectors. So a value may equal stored values of several forms, or of none.

use andiron_protocol::{
    DocumentPath, Map as StoredMap, Timestamp, TypeClass, Value as Stored, compare_integer_with_double,
};

use crate::evaluate::value::{List, Part, Path, Value};

/// How many bytes the constants of one comparison may have; a larger value is not put into a filter.
pub const CONSTANT_BYTES_MAX: usize = 8 << 10;

/// The stored values that are equal to a value of the rules.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Forms {
    /// Exactly these; none if no document can hold an equal value.
    These(Vec<Stored>),
    /// More than are worth telling; all of this class or of these.
    Within(Vec<TypeClass>),
}

/// The stored values that are equal to this one.
pub(crate) fn forms(value: &Value<'_>, database: &str) -> Forms {
    let mut bytes_left = CONSTANT_BYTES_MAX;
    forms_within(value, database, &mut bytes_left)
}

fn forms_within(value: &Value<'_>, database: &str, bytes_left: &mut usize) -> Forms {
    let mut take = |bytes: usize| {
        let fits = bytes <= *bytes_left;
        *bytes_left = bytes_left.saturating_sub(bytes);
        fits
    };
    let one = |value: Stored| Forms::These(vec![value]);
    let never = || Forms::These(Vec::new());
    match value {
        Value::Null => one(Stored::Null),
        Value::Bool(boolean) => one(Stored::Boolean(*boolean)),
        Value::Int(integer) => one(Stored::Integer(*integer)),
        Value::Float(float) => one(Stored::Double(*float)),
        Value::String(text) if take(text.len()) => one(Stored::String((**text).to_owned())),
        Value::String(_) => Forms::Within(vec![TypeClass::String]),
        Value::Bytes(bytes) if take(bytes.len()) => one(Stored::Bytes(bytes.to_vec())),
        Value::Bytes(_) => Forms::Within(vec![TypeClass::Bytes]),
        Value::Timestamp(nanos) => match micros(*nanos) {
            (moment, true) => moment.map_or_else(never, |moment| one(Stored::Timestamp(moment))),
            (_, false) => never(),
        },
        Value::LatLng(point) => one(Stored::GeoPoint(*point)),
        Value::Path(path) => {
            reference(path, database).map_or_else(never, |path| one(Stored::Reference(path)))
        }
        Value::List(list) => list_forms(list, database, bytes_left),
        Value::Map(_) | Value::Object(_) => {
            let Some(Ok(map)) = value.as_map() else {
                return Forms::Within(vec![TypeClass::Map]);
            };
            let mut stored = StoredMap::new();
            for (key, entry) in map.iter() {
                if key.len() > *bytes_left {
                    return Forms::Within(vec![TypeClass::Map]);
                }
                *bytes_left -= key.len();
                match forms_within(&entry, database, bytes_left) {
                    Forms::These(mut forms) => match (forms.pop(), forms.is_empty()) {
                        (None, _) => return never(),
                        (Some(only), true) => {
                            stored.insert((*key).to_owned(), only);
                        }
                        (Some(_), false) => return Forms::Within(vec![TypeClass::Map]),
                    },
                    Forms::Within(_) => return Forms::Within(vec![TypeClass::Map]),
                }
            }
            one(Stored::Map(stored))
        }
        // No document holds one.
        Value::Duration(_) | Value::Set(_) | Value::MapDiff(_) => never(),
    }
}

fn list_forms(list: &List<'_>, database: &str, bytes_left: &mut usize) -> Forms {
    let within = || Forms::Within(vec![TypeClass::Array, TypeClass::Vector]);
    let mut elements = Vec::new();
    for element in list.iter() {
        let Some(left) = bytes_left.checked_sub(size_of::<Stored>()) else {
            return within();
        };
        *bytes_left = left;
        match forms_within(&element, database, bytes_left) {
            Forms::These(mut forms) => match (forms.pop(), forms.is_empty()) {
                (None, _) => return Forms::These(Vec::new()),
                (Some(only), true) => elements.push(only),
                (Some(_), false) => return within(),
            },
            Forms::Within(_) => return within(),
        }
    }
    let numbers: Option<Vec<f64>> = elements.iter().map(exact_double).collect();
    let mut forms = vec![Stored::Array(elements)];
    forms.extend(numbers.map(Stored::Vector));
    Forms::These(forms)
}

/// The number as a double, if there is one that equals it.
fn exact_double(value: &Stored) -> Option<f64> {
    match value {
        Stored::Double(double) => Some(*double),
        Stored::Integer(integer) => {
            let double = *integer as f64;
            compare_integer_with_double(*integer, double)
                .is_eq()
                .then_some(double)
        }
        _ => None,
    }
}

/// The microsecond that a moment lies in, and whether it is its beginning. Documents hold no finer moments.
pub(crate) fn micros(nanos: i128) -> (Option<Timestamp>, bool) {
    let moment = i64::try_from(nanos.div_euclid(1000))
        .ok()
        .and_then(Timestamp::from_micros);
    (moment, nanos.rem_euclid(1000) == 0)
}

/// The document that a path leads to, if it leads to one of the database.
pub(crate) fn reference(path: &Path<'_>, database: &str) -> Option<DocumentPath> {
    let parts = match path {
        Path::Reference(path) => return Some((*path).clone()),
        Path::Built(parts) => parts,
    };
    let mut segments = Vec::with_capacity(parts.len());
    for part in parts.iter() {
        match part {
            Part::Segment(segment) if !segment.contains('/') => segments.push(&**segment),
            _ => return None,
        }
    }
    match segments.as_slice() {
        ["databases", own, "documents", rest @ ..] if *own == database => rest.join("/").parse().ok(),
        _ => None,
    }
}

/// Whether equal stored values are also the same to rules: numbers may be of the other type, or the other zero.
pub(crate) fn is_determined(value: &Stored) -> bool {
    match value {
        Stored::Null
        | Stored::Boolean(_)
        | Stored::Timestamp(_)
        | Stored::String(_)
        | Stored::Bytes(_)
        | Stored::Reference(_) => true,
        Stored::Integer(_) | Stored::Double(_) | Stored::GeoPoint(_) | Stored::Vector(_) => false,
        Stored::Array(elements) => elements.iter().all(is_determined),
        Stored::Map(map) => map.values().all(is_determined),
    }
}
