//! Random values, made so that pairs of them are often equal or nearly so.

use andiron_protocol::{DocumentPath, GeoPoint, Timestamp, Value};
use proptest::prelude::*;
use proptest::sample::select;

/// Text of few characters, those among them that the encoding treats specially.
pub(crate) fn text() -> impl Strategy<Value = String> {
    let characters = [
        "\0",
        "\u{1}",
        "\u{2}",
        "\u{3}",
        "/",
        "a",
        "b",
        "é",
        "\u{10FFFF}",
        "\u{7f}",
    ];
    prop::collection::vec(select(characters.to_vec()), 0..4).prop_map(|parts| parts.concat())
}

/// A segment of a path.
pub(crate) fn id() -> impl Strategy<Value = String> {
    let characters = [
        "\u{1}",
        "\u{2}",
        "\u{3}",
        "a",
        "b",
        "0",
        ".",
        "-",
        "é",
        "\u{10FFFF}",
    ];
    prop::collection::vec(select(characters.to_vec()), 1..4)
        .prop_map(|parts| parts.concat())
        .prop_filter("`.` and `..` are no ids", |id| id != "." && id != "..")
}

pub(crate) fn document_path() -> impl Strategy<Value = DocumentPath> {
    prop::collection::vec((id(), id()), 1..4).prop_map(|pairs| {
        let segments: Vec<String> = pairs
            .into_iter()
            .flat_map(|(collection, id)| [collection, id])
            .collect();
        segments.join("/").parse().unwrap()
    })
}

/// Doubles around which something changes: signs, the ends of precision, of integers and of the range.
pub(crate) fn double() -> impl Strategy<Value = f64> {
    let corners = [
        0.0,
        -0.0,
        0.5,
        1.0,
        15.0,
        16.0,
        0.1,
        f64::MIN_POSITIVE,
        5e-324,
        9_007_199_254_740_992.0,
        9_223_372_036_854_775_808.0,
        -9_223_372_036_854_775_808.0,
        4_611_686_018_427_387_904.0,
        f64::MAX,
        f64::INFINITY,
        f64::NEG_INFINITY,
        f64::NAN,
    ];
    (
        select(corners.to_vec()),
        any::<f64>(),
        -2_i64..=2,
        any::<bool>(),
        0..4,
    )
        .prop_map(|(corner, arbitrary, steps, negative, which)| {
            let near = if corner.is_finite() && corner != 0.0 {
                f64::from_bits(corner.to_bits().wrapping_add_signed(steps))
            } else {
                corner
            };
            match which {
                0 => arbitrary,
                _ if negative => -near,
                _ => near,
            }
        })
}

/// Integers near powers of two, where doubles grow sparse.
pub(crate) fn integer() -> impl Strategy<Value = i64> {
    prop_oneof![
        (0..64_u32, -3_i64..=3, any::<bool>()).prop_map(|(power, offset, negative)| {
            let magnitude = 1_i64.checked_shl(power).unwrap_or(0).wrapping_add(offset);
            if negative {
                magnitude.wrapping_neg()
            } else {
                magnitude
            }
        }),
        any::<i64>(),
    ]
}

pub(crate) fn number() -> impl Strategy<Value = Value> {
    prop_oneof![
        integer().prop_map(Value::Integer),
        double().prop_map(Value::Double)
    ]
}

fn leaf() -> impl Strategy<Value = Value> {
    let timestamp = prop_oneof![
        -2_i64..=2,
        Timestamp::MIN.as_micros()..=Timestamp::MAX.as_micros()
    ];
    let coordinate = select([-90.0, -0.0, 0.0, 1e-300, 45.5, 90.0].as_slice());
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Boolean),
        number(),
        timestamp.prop_map(|micros| Value::Timestamp(Timestamp::from_micros(micros).unwrap())),
        text().prop_map(Value::String),
        prop::collection::vec(select([0, 1, 2, 3, 0x61, 0xFF].as_slice()), 0..4).prop_map(Value::Bytes),
        document_path().prop_map(Value::Reference),
        (coordinate.clone(), coordinate)
            .prop_map(|(latitude, longitude)| Value::GeoPoint(GeoPoint::new(latitude, longitude).unwrap())),
        prop::collection::vec(double(), 0..4).prop_map(Value::Vector),
    ]
}

/// Values of every class, nested.
pub(crate) fn value() -> impl Strategy<Value = Value> {
    leaf().prop_recursive(4, 16, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::Array),
            prop::collection::btree_map(text(), inner, 0..4).prop_map(Value::Map),
        ]
    })
}

/// Two values, the second one often the first with a small change.
pub(crate) fn pair() -> impl Strategy<Value = (Value, Value)> {
    prop_oneof![
        (value(), value()),
        (number(), number()),
        (value(), leaf(), any::<prop::sample::Index>()).prop_map(|(left, leaf, place)| {
            let mut right = left.clone();
            let mut place = place.index(leaves(&left));
            replace_leaf(&mut right, &mut place, &leaf);
            (left, right)
        }),
    ]
}

/// How many innermost values there are.
fn leaves(value: &Value) -> usize {
    match value {
        Value::Array(elements) => elements.iter().map(leaves).sum::<usize>().max(1),
        Value::Map(fields) => fields.values().map(leaves).sum::<usize>().max(1),
        _ => 1,
    }
}

/// Replaces the innermost value that `place` others stand before.
fn replace_leaf(value: &mut Value, place: &mut usize, leaf: &Value) {
    match value {
        Value::Array(elements) if !elements.is_empty() => {
            elements
                .iter_mut()
                .for_each(|element| replace_leaf(element, place, leaf));
        }
        Value::Map(fields) if !fields.is_empty() => {
            fields
                .values_mut()
                .for_each(|field| replace_leaf(field, place, leaf));
        }
        value => {
            if *place == 0 {
                *value = leaf.clone();
            }
            *place = place.wrapping_sub(1);
        }
    }
}

/// Values whose encodings are around and beyond the limit, sharing long beginnings.
pub(crate) fn long_value() -> impl Strategy<Value = Value> {
    let length = prop_oneof![1480..1520_usize, 700..800_usize, Just(20_000)];
    let text = (length, select(["a", "\u{1}", "é"].as_slice()), text())
        .prop_map(|(length, character, end)| character.repeat(length / character.len()) + &end)
        .boxed();
    prop_oneof![
        text.clone().prop_map(Value::String),
        text.clone().prop_map(|text| Value::Bytes(text.into_bytes())),
        (text.clone(), value()).prop_map(|(text, after)| Value::Array(vec![Value::String(text), after])),
        (0..3_usize, value()).prop_map(|(extra, last)| {
            let mut elements = vec![Value::Integer(7); 498 + extra];
            elements.push(last);
            Value::Array(elements)
        }),
        (180..190_usize, double()).prop_map(|(length, last)| {
            let mut elements = vec![0.1; length];
            elements.push(last);
            Value::Vector(elements)
        }),
        (text, value()).prop_map(|(text, after)| Value::Map([(text, after)].into_iter().collect())),
    ]
}
