//! Value JSON: plain JSON for what JSON has, objects of one `$` key for the rest.
//!
//! One reader serves values and the data of writes; in the latter, transforms may stand where a value would, and are
//! collected beside the data. Duplicate keys, unknown tags and excess depth are errors, never repaired.

use std::collections::BTreeSet;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::de::{self, Deserialize, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::ser::{Serialize, SerializeMap, Serializer};

use crate::error::excerpt;
use crate::field_path::check_field_name;
use crate::limits::{VALUE_DEPTH_MAX, VECTOR_DIMENSIONS_MAX};
use crate::write_json::check_transforms_count;
use crate::{DocumentPath, FieldPath, GeoPoint, InputError, Map, Transform, Value, from_json};

/// The largest integer that every JSON reader takes exactly: 2^53 - 1.
const SAFE_INTEGER_MAX: i64 = (1 << 53) - 1;

/// Reads a document's data: a JSON object of value JSON.
///
/// # Errors
/// If the text is not JSON, not an object, or not value JSON; with line and column.
pub fn data_from_json(json: &[u8]) -> Result<Map, InputError> {
    match from_json::<Value>(json)? {
        Value::Map(map) => Ok(map),
        _ => Err(InputError::new("a document's data is a JSON object").at(1, 1)),
    }
}

/// Appends a value as value JSON, without whitespace, map keys sorted.
pub fn write_value_json(value: &Value, out: &mut Vec<u8>) {
    serde_json::to_writer(out, value).expect("writing to memory does not fail");
}

/// Appends a document's data as value JSON, without whitespace, keys sorted.
pub fn write_data_json(data: &Map, out: &mut Vec<u8>) {
    serde_json::to_writer(out, &MapJson(data)).expect("writing to memory does not fail");
}

/// Appends a JSON string with its quotes.
pub fn write_json_string(text: &str, out: &mut Vec<u8>) {
    serde_json::to_writer(out, text).expect("writing to memory does not fail");
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Boolean(boolean) => serializer.serialize_bool(*boolean),
            Self::Integer(integer) if (-SAFE_INTEGER_MAX..=SAFE_INTEGER_MAX).contains(integer) => {
                serializer.serialize_i64(*integer)
            }
            Self::Integer(integer) => write_tagged(serializer, "$int", &integer.to_string()),
            Self::Double(double) => match special_double(*double) {
                Some(name) => write_tagged(serializer, "$double", name),
                None => serializer.serialize_f64(*double),
            },
            Self::Timestamp(timestamp) => write_tagged(serializer, "$time", timestamp),
            Self::String(text) => serializer.serialize_str(text),
            Self::Bytes(bytes) => write_tagged(serializer, "$bytes", &STANDARD.encode(bytes)),
            Self::Reference(path) => write_tagged(serializer, "$ref", path),
            Self::GeoPoint(point) => write_tagged(serializer, "$geo", &[point.latitude(), point.longitude()]),
            Self::Array(elements) => serializer.collect_seq(elements),
            Self::Vector(elements) => write_tagged(serializer, "$vector", elements),
            Self::Map(map) => MapJson(map).serialize(serializer),
        }
    }
}

pub(crate) fn write_tagged<S: Serializer, T: Serialize + ?Sized>(
    serializer: S,
    tag: &'static str,
    value: &T,
) -> Result<S::Ok, S::Error> {
    let mut map = serializer.serialize_map(Some(1))?;
    map.serialize_entry(tag, value)?;
    map.end()
}

/// The name of a double that JSON numbers cannot carry.
fn special_double(double: f64) -> Option<&'static str> {
    if double.is_nan() {
        Some("NaN")
    } else if double == f64::INFINITY {
        Some("Infinity")
    } else if double == f64::NEG_INFINITY {
        Some("-Infinity")
    } else if double == 0.0 && double.is_sign_negative() {
        Some("-0")
    } else {
        None
    }
}

/// A map as value JSON: in a `$map` of its own if one of its keys would read as a tag.
pub(crate) struct MapJson<'a>(pub(crate) &'a Map);

impl Serialize for MapJson<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let tag_like = self.0.keys().any(|key| key.starts_with('$'));
        if tag_like {
            write_tagged(serializer, "$map", self.0)
        } else {
            serializer.collect_map(self.0)
        }
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match (ValueSeed { sink: None, depth: 0 }).deserialize(deserializer)? {
            Slot::Value(value) => Ok(value),
            Slot::Transform(_) | Slot::Omitted => Err(de::Error::custom("a transform is not a value")),
        }
    }
}

/// What stood where a value would.
pub(crate) enum Slot {
    Value(Value),
    /// A transform, only if there was a sink.
    Transform(Transform),
    /// A map in which there was nothing but transforms, all of them in the sink.
    Omitted,
}

/// Where transforms inside maps go, each with the way to it.
#[derive(Default)]
pub(crate) struct TransformSink {
    pub(crate) transforms: Vec<(FieldPath, Transform)>,
    way: Vec<String>,
}

/// Reads one value; transforms are allowed if there is a sink for them.
pub(crate) struct ValueSeed<'s> {
    pub(crate) sink: Option<&'s mut TransformSink>,
    /// How many maps and arrays stand around the value; a document's data itself is at 0.
    pub(crate) depth: usize,
}

impl<'de> DeserializeSeed<'de> for ValueSeed<'_> {
    type Value = Slot;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Slot, D::Error> {
        deserializer.deserialize_any(self)
    }
}

fn check_depth<E: de::Error>(depth: usize) -> Result<(), E> {
    if depth > VALUE_DEPTH_MAX {
        return Err(E::custom(format!(
            "maps and arrays are nested deeper than {VALUE_DEPTH_MAX} levels"
        )));
    }
    Ok(())
}

impl<'de> Visitor<'de> for ValueSeed<'_> {
    type Value = Slot;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("value JSON")
    }

    fn visit_unit<E: de::Error>(self) -> Result<Slot, E> {
        Ok(Slot::Value(Value::Null))
    }

    fn visit_bool<E: de::Error>(self, boolean: bool) -> Result<Slot, E> {
        Ok(Slot::Value(Value::Boolean(boolean)))
    }

    fn visit_i64<E: de::Error>(self, integer: i64) -> Result<Slot, E> {
        Ok(Slot::Value(Value::Integer(integer)))
    }

    fn visit_u64<E: de::Error>(self, integer: u64) -> Result<Slot, E> {
        #[expect(
            clippy::cast_precision_loss,
            reason = "beyond 64 bits signed a number is a double by definition"
        )]
        let double = integer as f64;
        Ok(Slot::Value(
            i64::try_from(integer).map_or(Value::Double(double), Value::Integer),
        ))
    }

    fn visit_f64<E: de::Error>(self, double: f64) -> Result<Slot, E> {
        Ok(Slot::Value(Value::Double(double)))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Slot, E> {
        Ok(Slot::Value(Value::String(text.to_owned())))
    }

    fn visit_string<E: de::Error>(self, text: String) -> Result<Slot, E> {
        Ok(Slot::Value(Value::String(text)))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Slot, A::Error> {
        check_depth(self.depth)?;
        // No sink for what is inside: a transform has no field path there.
        let mut elements = Vec::new();
        while let Some(slot) = seq.next_element_seed(ValueSeed {
            sink: None,
            depth: self.depth + 1,
        })? {
            match slot {
                Slot::Value(value) => elements.push(value),
                Slot::Transform(_) | Slot::Omitted => {
                    return Err(de::Error::custom("a transform cannot stand in an array"));
                }
            }
        }
        Ok(Slot::Value(Value::Array(elements)))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Slot, A::Error> {
        let first = access.next_key::<String>()?;
        match first {
            Some(tag) if tag.starts_with('$') => {
                let slot = read_tagged(&tag, self, &mut access)?;
                if let Some(other) = access.next_key::<String>()? {
                    return Err(de::Error::custom(format!(
                        "`{}` stands beside `{}`: an object whose key begins with `$` is a tagged value and has one key; \
                         a map with such keys is written as {{\"$map\":{{…}}}}",
                        excerpt(&other),
                        excerpt(&tag)
                    )));
                }
                Ok(slot)
            }
            first => read_map(first, Keys::Plain, self, access),
        }
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Keys {
    /// A key that begins with `$` is an error.
    Plain,
    /// Inside `$map`, where such keys are just names.
    Any,
}

fn read_map<'de, A: MapAccess<'de>>(
    first: Option<String>,
    keys: Keys,
    mut seed: ValueSeed<'_>,
    mut access: A,
) -> Result<Slot, A::Error> {
    check_depth(seed.depth)?;
    let mut map = Map::new();
    // The keys that left nothing in the map; as many as there may be transforms at most.
    let mut transformed = BTreeSet::new();
    let mut next = first;
    loop {
        let key = match next.take() {
            Some(key) => key,
            None => match access.next_key::<String>()? {
                Some(key) => key,
                None => break,
            },
        };
        if keys == Keys::Plain && key.starts_with('$') {
            return Err(de::Error::custom(format!(
                "the key `{}` begins with `$`: a map with such keys is written as {{\"$map\":{{…}}}}",
                excerpt(&key)
            )));
        }
        check_field_name(&key).map_err(de::Error::custom)?;
        if map.contains_key(&key) || transformed.contains(&key) {
            return Err(de::Error::custom(format!(
                "the key `{}` stands twice in one map",
                excerpt(&key)
            )));
        }
        let (slot, key) = match &mut seed.sink {
            Some(sink) => {
                sink.way.push(key);
                let slot = access.next_value_seed(ValueSeed {
                    sink: Some(sink),
                    depth: seed.depth + 1,
                })?;
                (slot, sink.way.pop().unwrap_or_default())
            }
            None => {
                let slot = access.next_value_seed(ValueSeed {
                    sink: None,
                    depth: seed.depth + 1,
                })?;
                (slot, key)
            }
        };
        match slot {
            Slot::Value(value) => {
                map.insert(key, value);
            }
            Slot::Omitted => {
                transformed.insert(key);
            }
            Slot::Transform(transform) => {
                if let Some(sink) = &mut seed.sink {
                    let way = sink.way.iter().chain([&key]).cloned().collect();
                    let path = FieldPath::from_segments(way).map_err(de::Error::custom)?;
                    sink.transforms.push((path, transform));
                    check_transforms_count(sink.transforms.len()).map_err(de::Error::custom)?;
                }
                transformed.insert(key);
            }
        }
    }
    if !transformed.is_empty() && map.is_empty() && seed.depth > 0 {
        return Ok(Slot::Omitted);
    }
    Ok(Slot::Value(Value::Map(map)))
}

fn read_tagged<'de, A: MapAccess<'de>>(
    tag: &str,
    seed: ValueSeed<'_>,
    access: &mut A,
) -> Result<Slot, A::Error> {
    let value = match tag {
        "$time" => Value::Timestamp(access.next_value()?),
        "$bytes" => {
            let text = access.next_value::<String>()?;
            let bytes = STANDARD.decode(&text).map_err(|_| {
                de::Error::custom("`$bytes` is not base64 of the standard alphabet with padding")
            })?;
            Value::Bytes(bytes)
        }
        "$ref" => Value::Reference(access.next_value::<DocumentPath>()?),
        "$geo" => {
            let point = match *access.next_value_seed(Numbers {
                tag: "$geo",
                count_max: 2,
            })? {
                [latitude, longitude] => GeoPoint::new(latitude, longitude),
                _ => None,
            };
            Value::GeoPoint(point.ok_or_else(|| {
                de::Error::custom("`$geo` is [latitude, longitude] in degrees, within ±90 and ±180")
            })?)
        }
        "$vector" => Value::Vector(access.next_value_seed(Numbers {
            tag: "$vector",
            count_max: VECTOR_DIMENSIONS_MAX,
        })?),
        "$double" => match access.next_value::<String>()?.as_str() {
            "NaN" => Value::Double(f64::NAN),
            "Infinity" => Value::Double(f64::INFINITY),
            "-Infinity" => Value::Double(f64::NEG_INFINITY),
            "-0" => Value::Double(-0.0),
            other => {
                return Err(de::Error::custom(format!(
                    "`$double` is `NaN`, `Infinity`, `-Infinity` or `-0`, not `{}`",
                    excerpt(other)
                )));
            }
        },
        "$int" => {
            let text = access.next_value::<String>()?;
            let integer = text.parse::<i64>().ok().filter(|_| is_canonical_integer(&text));
            Value::Integer(integer.ok_or_else(|| {
                de::Error::custom(format!(
                    "`$int` is a decimal integer of 64 bits without leading zeros, not `{}`",
                    excerpt(&text)
                ))
            })?)
        }
        "$map" => return access.next_value_seed(TaggedMapSeed(seed)),
        "$now" | "$inc" | "$min" | "$max" | "$union" | "$remove" | "$delete" => {
            if seed.sink.is_none() {
                return Err(de::Error::custom(format!(
                    "the transform `{tag}` cannot stand here: transforms stand in the maps of a write's data, not in arrays, \
                     filters or other transforms"
                )));
            }
            return read_transform(tag, seed.depth, access).map(Slot::Transform);
        }
        _ => {
            return Err(de::Error::custom(format!(
                "`{}` is not a tag: the tags are $time, $bytes, $ref, $geo, $vector, $double, $int and $map, and in writes \
                 $now, $inc, $min, $max, $union, $remove and $delete",
                excerpt(tag)
            )));
        }
    };
    Ok(Slot::Value(value))
}

/// Whether it is written as integers are: no plus, no leading zeros, no `-0`.
fn is_canonical_integer(text: &str) -> bool {
    text == "0" || !text.strip_prefix('-').unwrap_or(text).starts_with(['0', '+'])
}

/// Reads an array of numbers, and stops where it becomes longer than it may be.
struct Numbers {
    tag: &'static str,
    count_max: usize,
}

impl<'de> DeserializeSeed<'de> for Numbers {
    type Value = Vec<f64>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Vec<f64>, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Numbers {
    type Value = Vec<f64>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "an array of numbers in `{}`", self.tag)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Vec<f64>, A::Error> {
        let mut numbers = Vec::new();
        while let Some(Number(number)) = seq.next_element()? {
            if numbers.len() == self.count_max {
                return Err(de::Error::custom(format!(
                    "`{}` has more than {} numbers",
                    self.tag, self.count_max
                )));
            }
            numbers.push(number);
        }
        Ok(numbers)
    }
}

/// A JSON number as a double.
struct Number(f64);

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NumberVisitor;
        impl Visitor<'_> for NumberVisitor {
            type Value = Number;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a number")
            }

            #[expect(
                clippy::cast_precision_loss,
                reason = "these numbers are doubles however they are written"
            )]
            fn visit_i64<E: de::Error>(self, integer: i64) -> Result<Number, E> {
                Ok(Number(integer as f64))
            }

            #[expect(
                clippy::cast_precision_loss,
                reason = "these numbers are doubles however they are written"
            )]
            fn visit_u64<E: de::Error>(self, integer: u64) -> Result<Number, E> {
                Ok(Number(integer as f64))
            }

            fn visit_f64<E: de::Error>(self, double: f64) -> Result<Number, E> {
                Ok(Number(double))
            }
        }
        deserializer.deserialize_any(NumberVisitor)
    }
}

fn read_transform<'de, A: MapAccess<'de>>(
    tag: &str,
    depth: usize,
    access: &mut A,
) -> Result<Transform, A::Error> {
    let transform = match tag {
        "$now" | "$delete" => {
            if !access.next_value::<bool>()? {
                return Err(de::Error::custom(format!("`{tag}` takes `true`")));
            }
            if tag == "$now" {
                Transform::Now
            } else {
                Transform::Delete
            }
        }
        "$union" | "$remove" => match access.next_value_seed(ValueSeed { sink: None, depth })? {
            Slot::Value(Value::Array(elements)) if tag == "$union" => Transform::Union(elements),
            Slot::Value(Value::Array(elements)) => Transform::Remove(elements),
            _ => return Err(de::Error::custom(format!("`{tag}` takes an array of values"))),
        },
        _ => match access.next_value_seed(ValueSeed { sink: None, depth })? {
            Slot::Value(number @ (Value::Integer(_) | Value::Double(_))) => match tag {
                "$inc" => Transform::Increment(number),
                "$min" => Transform::Minimum(number),
                _ => Transform::Maximum(number),
            },
            _ => return Err(de::Error::custom(format!("`{tag}` takes a number"))),
        },
    };
    Ok(transform)
}

/// The object inside `{"$map":…}`.
struct TaggedMapSeed<'s>(ValueSeed<'s>);

impl<'de> DeserializeSeed<'de> for TaggedMapSeed<'_> {
    type Value = Slot;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Slot, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for TaggedMapSeed<'_> {
    type Value = Slot;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("the object inside `$map`")
    }

    fn visit_map<A: MapAccess<'de>>(self, access: A) -> Result<Slot, A::Error> {
        read_map(None, Keys::Any, self.0, access)
    }
}
