//! Values and their total order, which is Firestore's.
//!
//! `Eq` and `Ord` are the *value* order: `1 == 1.0`, `0.0 == -0.0`, NaN equals NaN. Whether two values are also written
//! the same way is [`Value::is_identical`].

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::hash::{Hash, Hasher};

use crate::{DocumentPath, Timestamp, compare_doubles, compare_integer_with_double};

/// A map's fields, sorted by the UTF-8 bytes of their names.
pub type Map = BTreeMap<String, Value>;

/// A value of a document.
#[derive(Clone, Debug)]
pub enum Value {
    /// The explicit null.
    Null,
    /// A boolean.
    Boolean(bool),
    /// A 64-bit integer.
    Integer(i64),
    /// A 64-bit IEEE 754 number, NaN and the infinities included.
    Double(f64),
    /// A moment.
    Timestamp(Timestamp),
    /// Text.
    String(String),
    /// Bytes.
    Bytes(Vec<u8>),
    /// A reference to a document, which need not exist.
    Reference(DocumentPath),
    /// A point on the earth.
    GeoPoint(GeoPoint),
    /// A list.
    Array(Vec<Value>),
    /// A vector of finite doubles, as embeddings are: JSON carries no others here.
    Vector(Vec<f64>),
    /// A map.
    Map(Map),
}

/// A point in degrees.
#[derive(Clone, Copy, Debug)]
pub struct GeoPoint {
    latitude: f64,
    longitude: f64,
}

impl GeoPoint {
    /// A point; `None` unless the latitude is within ±90 and the longitude within ±180.
    pub fn new(latitude: f64, longitude: f64) -> Option<Self> {
        let valid = (-90.0..=90.0).contains(&latitude) && (-180.0..=180.0).contains(&longitude);
        valid.then_some(Self { latitude, longitude })
    }

    /// Degrees north, from -90 to 90.
    pub fn latitude(self) -> f64 {
        self.latitude
    }

    /// Degrees east, from -180 to 180.
    pub fn longitude(self) -> f64 {
        self.longitude
    }
}

/// The classes of values in their order; a range comparison stays within one class.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "each is the class of the values of its name")]
pub enum TypeClass {
    Null,
    Boolean,
    /// NaN is a class of its own: no range over numbers reaches it.
    Nan,
    Number,
    Timestamp,
    String,
    Bytes,
    Reference,
    GeoPoint,
    Array,
    Vector,
    Map,
}

impl Value {
    /// The class that decides first in the order.
    pub fn type_class(&self) -> TypeClass {
        match self {
            Self::Null => TypeClass::Null,
            Self::Boolean(_) => TypeClass::Boolean,
            Self::Double(double) if double.is_nan() => TypeClass::Nan,
            Self::Integer(_) | Self::Double(_) => TypeClass::Number,
            Self::Timestamp(_) => TypeClass::Timestamp,
            Self::String(_) => TypeClass::String,
            Self::Bytes(_) => TypeClass::Bytes,
            Self::Reference(_) => TypeClass::Reference,
            Self::GeoPoint(_) => TypeClass::GeoPoint,
            Self::Array(_) => TypeClass::Array,
            Self::Vector(_) => TypeClass::Vector,
            Self::Map(_) => TypeClass::Map,
        }
    }

    /// Whether both are the same value in the same representation: `1` and `1.0` are equal but not identical, nor are
    /// `0.0` and `-0.0`. NaN is identical to NaN.
    pub fn is_identical(&self, other: &Self) -> bool {
        let same_double =
            |left: f64, right: f64| left.to_bits() == right.to_bits() || (left.is_nan() && right.is_nan());
        match (self, other) {
            (Self::Double(left), Self::Double(right)) => same_double(*left, *right),
            (Self::Integer(left), Self::Integer(right)) => left == right,
            (Self::Integer(_), Self::Double(_)) | (Self::Double(_), Self::Integer(_)) => false,
            (Self::GeoPoint(left), Self::GeoPoint(right)) => {
                same_double(left.latitude, right.latitude) && same_double(left.longitude, right.longitude)
            }
            (Self::Vector(left), Self::Vector(right)) => {
                left.len() == right.len()
                    && left
                        .iter()
                        .zip(right)
                        .all(|(left, right)| same_double(*left, *right))
            }
            (Self::Array(left), Self::Array(right)) => {
                left.len() == right.len()
                    && left
                        .iter()
                        .zip(right)
                        .all(|(left, right)| left.is_identical(right))
            }
            (Self::Map(left), Self::Map(right)) => {
                left.len() == right.len()
                    && left.iter().zip(right).all(|((key, value), (other_key, other))| {
                        key == other_key && value.is_identical(other)
                    })
            }
            (left, right) => left == right,
        }
    }

    /// The boolean, if it is one.
    pub fn as_boolean(&self) -> Option<bool> {
        if let Self::Boolean(boolean) = self {
            Some(*boolean)
        } else {
            None
        }
    }

    /// The text, if it is a string.
    pub fn as_str(&self) -> Option<&str> {
        if let Self::String(text) = self {
            Some(text)
        } else {
            None
        }
    }

    /// The elements, if it is an array.
    pub fn as_array(&self) -> Option<&[Value]> {
        if let Self::Array(elements) = self {
            Some(elements)
        } else {
            None
        }
    }

    /// The fields, if it is a map.
    pub fn as_map(&self) -> Option<&Map> {
        if let Self::Map(map) = self {
            Some(map)
        } else {
            None
        }
    }

    /// Whether it is the explicit null.
    pub fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }
}

impl Ord for Value {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Boolean(left), Self::Boolean(right)) => left.cmp(right),
            (Self::Integer(left), Self::Integer(right)) => left.cmp(right),
            (Self::Double(left), Self::Double(right)) => compare_doubles(*left, *right),
            (Self::Integer(left), Self::Double(right)) => compare_integer_with_double(*left, *right),
            (Self::Double(left), Self::Integer(right)) => {
                compare_integer_with_double(*right, *left).reverse()
            }
            (Self::Timestamp(left), Self::Timestamp(right)) => left.cmp(right),
            (Self::String(left), Self::String(right)) => left.cmp(right),
            (Self::Bytes(left), Self::Bytes(right)) => left.cmp(right),
            (Self::Reference(left), Self::Reference(right)) => left.cmp(right),
            (Self::GeoPoint(left), Self::GeoPoint(right)) => left.cmp(right),
            (Self::Array(left), Self::Array(right)) => left.cmp(right),
            (Self::Vector(left), Self::Vector(right)) => left.len().cmp(&right.len()).then_with(|| {
                left.iter()
                    .zip(right)
                    .map(|(left, right)| compare_doubles(*left, *right))
                    .find(|ordering| ordering.is_ne())
                    .unwrap_or(Ordering::Equal)
            }),
            (Self::Map(left), Self::Map(right)) => left.cmp(right),
            (left, right) => left.type_class().cmp(&right.type_class()),
        }
    }
}

impl PartialOrd for Value {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Value {}

/// Equal values hash alike: a double that is an integer as that integer, both zeros as one, every NaN as one.
impl Hash for Value {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.type_class().hash(state);
        match self {
            Self::Null => {}
            Self::Boolean(boolean) => boolean.hash(state),
            Self::Integer(integer) => hash_integer(*integer, state),
            Self::Double(double) => hash_double(*double, state),
            Self::Timestamp(timestamp) => timestamp.hash(state),
            Self::String(text) => text.hash(state),
            Self::Bytes(bytes) => bytes.hash(state),
            Self::Reference(path) => path.hash(state),
            Self::GeoPoint(point) => point.hash(state),
            Self::Array(elements) => elements.hash(state),
            Self::Vector(elements) => {
                elements.len().hash(state);
                for element in elements {
                    hash_double(*element, state);
                }
            }
            Self::Map(map) => map.hash(state),
        }
    }
}

fn hash_integer<H: Hasher>(integer: i64, state: &mut H) {
    integer.hash(state);
}

fn hash_double<H: Hasher>(double: f64, state: &mut H) {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a saturated or truncated number is no equal, and is hashed by its bits"
    )]
    let truncated = double as i64;
    if compare_integer_with_double(truncated, double).is_eq() {
        hash_integer(truncated, state);
    } else if double.is_nan() {
        f64::NAN.to_bits().hash(state);
    } else {
        double.to_bits().hash(state);
    }
}

impl Ord for GeoPoint {
    fn cmp(&self, other: &Self) -> Ordering {
        compare_doubles(self.latitude, other.latitude)
            .then_with(|| compare_doubles(self.longitude, other.longitude))
    }
}

impl PartialOrd for GeoPoint {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for GeoPoint {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for GeoPoint {}

impl Hash for GeoPoint {
    fn hash<H: Hasher>(&self, state: &mut H) {
        hash_double(self.latitude, state);
        hash_double(self.longitude, state);
    }
}

impl From<bool> for Value {
    fn from(boolean: bool) -> Self {
        Self::Boolean(boolean)
    }
}

impl From<i64> for Value {
    fn from(integer: i64) -> Self {
        Self::Integer(integer)
    }
}

impl From<f64> for Value {
    fn from(double: f64) -> Self {
        Self::Double(double)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::String(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::String(text)
    }
}

impl From<Timestamp> for Value {
    fn from(timestamp: Timestamp) -> Self {
        Self::Timestamp(timestamp)
    }
}

impl From<Vec<Value>> for Value {
    fn from(elements: Vec<Value>) -> Self {
        Self::Array(elements)
    }
}

impl From<Map> for Value {
    fn from(map: Map) -> Self {
        Self::Map(map)
    }
}
