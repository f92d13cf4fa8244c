//! The encoding of components keeps their order.

use std::cmp::Ordering;

use andiron_protocol::limits::INDEXED_VALUE_BYTES_MAX;
use andiron_protocol::{
    Direction, GeoPoint, Timestamp, TypeClass, Value, arbitrary, compare_integer_with_double,
};
use andiron_store::key::{
    Extent, class_bounds, decode_id, decode_path, encode_id, encode_path, encode_value, prefix_successor,
    string_prefix_bounds,
};
use proptest::prelude::*;

use crate::values;

const DIRECTIONS: [Direction; 2] = [Direction::Ascending, Direction::Descending];

fn encoded(value: &Value, direction: Direction) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode_value(value, direction, &mut bytes);
    bytes
}

fn ascending(value: &Value) -> Vec<u8> {
    encoded(value, Direction::Ascending)
}

fn encoded_id(id: &str, direction: Direction) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode_id(id, direction, &mut bytes);
    bytes
}

fn direction() -> impl Strategy<Value = Direction> {
    prop::sample::select(DIRECTIONS.as_slice())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn encoded_values_order_as_the_values_do((left, right) in values::pair()) {
        for direction in DIRECTIONS {
            let encoded = encoded(&left, direction).cmp(&encoded(&right, direction));
            prop_assert_eq!(encoded, direction.apply(left.cmp(&right)), "{:?}", direction);
        }
    }

    #[test]
    fn no_encoding_is_the_beginning_of_another((left, right) in values::pair()) {
        if left != right {
            for direction in DIRECTIONS {
                prop_assert!(!encoded(&left, direction).starts_with(&encoded(&right, direction)));
            }
        }
    }

    #[test]
    fn integers_and_doubles_order_exactly(integer in values::integer(), double in values::double()) {
        let encoded = ascending(&Value::Integer(integer)).cmp(&ascending(&Value::Double(double)));
        prop_assert_eq!(encoded, compare_integer_with_double(integer, double));
        #[expect(clippy::cast_precision_loss, reason = "the nearest double is what is wanted")]
        let near = integer as f64;
        let encoded = ascending(&Value::Integer(integer)).cmp(&ascending(&Value::Double(near)));
        prop_assert_eq!(encoded, compare_integer_with_double(integer, near));
    }

    #[test]
    fn keys_of_several_components_order_component_by_component(
        pairs in prop::collection::vec((values::pair(), direction()), 0..4),
        left_path in values::document_path(),
        right_path in values::document_path(),
        path_direction in direction(),
    ) {
        let mut left_key = Vec::new();
        let mut right_key = Vec::new();
        let mut expected = Ordering::Equal;
        for ((left, right), direction) in &pairs {
            encode_value(left, *direction, &mut left_key);
            encode_value(right, *direction, &mut right_key);
            expected = expected.then(direction.apply(left.cmp(right)));
        }
        encode_path(left_path.as_str(), path_direction, &mut left_key);
        encode_path(right_path.as_str(), path_direction, &mut right_key);
        expected = expected.then(path_direction.apply(left_path.cmp(&right_path)));
        prop_assert_eq!(left_key.cmp(&right_key), expected);
    }

    #[test]
    fn paths_order_segment_by_segment_and_come_back(
        left in values::document_path(),
        right in values::document_path(),
        direction in direction(),
    ) {
        let mut left_key = Vec::new();
        let mut right_key = Vec::new();
        encode_path(left.as_str(), direction, &mut left_key);
        encode_path(right.as_str(), direction, &mut right_key);
        prop_assert_eq!(left_key.cmp(&right_key), direction.apply(left.cmp(&right)));
        let length = left_key.len();
        left_key.extend_from_slice(&right_key);
        prop_assert_eq!(decode_path(&left_key, direction), Some((left.to_string(), length)));
    }

    #[test]
    fn ids_order_by_their_bytes_even_when_they_are_none(
        left in values::text(),
        right in values::text(),
        direction in direction(),
    ) {
        let ordering = encoded_id(&left, direction).cmp(&encoded_id(&right, direction));
        prop_assert_eq!(ordering, direction.apply(left.cmp(&right)));
        let length = encoded_id(&left, direction).len();
        prop_assert_eq!(decode_id(&encoded_id(&left, direction), direction), Some((left, length)));
    }

    #[test]
    fn every_value_is_within_the_bounds_of_its_class_alone(value in values::value()) {
        for direction in DIRECTIONS {
            let encoded = encoded(&value, direction);
            for class in CLASSES {
                let (lower, upper) = class_bounds(class, direction);
                prop_assert_eq!(lower <= encoded && encoded < upper, value.type_class() == class);
            }
        }
    }

    #[test]
    fn the_bounds_of_a_prefix_hold_the_strings_that_begin_with_it(
        prefix in values::text(),
        value in prop_oneof![values::text().prop_map(Value::String), values::value()],
    ) {
        for direction in DIRECTIONS {
            let (lower, upper) = string_prefix_bounds(&prefix, direction);
            let encoded = encoded(&value, direction);
            let expected = value.as_str().is_some_and(|text| text.starts_with(&prefix));
            prop_assert_eq!(lower <= encoded && encoded < upper, expected);
        }
    }

    #[test]
    fn a_successor_is_the_end_of_a_prefix(
        prefix in prop::collection::vec(prop::sample::select([0, 1, 0xFE, 0xFF].as_slice()), 0..4),
        other in prop::collection::vec(prop::sample::select([0, 1, 0xFE, 0xFF].as_slice()), 0..5),
    ) {
        let below = prefix_successor(&prefix).is_none_or(|successor| other < successor);
        prop_assert_eq!(prefix <= other && below, other.starts_with(&prefix));
    }

    #[test]
    fn arbitrary_bytes_decode_to_what_encodes_to_them_or_not_at_all(
        bytes in prop::collection::vec(any::<u8>(), 0..24),
        direction in direction(),
    ) {
        if let Some((id, length)) = decode_id(&bytes, direction) {
            prop_assert_eq!(encoded_id(&id, direction), &bytes[..length]);
        }
        if let Some((path, length)) = decode_path(&bytes, direction) {
            let mut again = Vec::new();
            encode_path(&path, direction, &mut again);
            // A slash inside a segment is encoded by no path, and here it was read as one.
            prop_assert!(again == bytes[..length] || path.contains('/'));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn encoded_values_of_every_content_order_as_the_values_do(
        left in arbitrary::wide_value(),
        right in prop_oneof![arbitrary::wide_value(), arbitrary::value()],
    ) {
        for direction in DIRECTIONS {
            let encoded = encoded(&left, direction).cmp(&encoded(&right, direction));
            prop_assert_eq!(encoded, direction.apply(left.cmp(&right)), "{:?}", direction);
        }
    }

    #[test]
    fn cut_values_keep_the_order_but_for_what_is_cut(
        left in values::long_value(),
        right in values::long_value(),
        direction in direction(),
    ) {
        let mut left_key = Vec::new();
        let left_extent = encode_value(&left, direction, &mut left_key);
        let mut right_key = Vec::new();
        let right_extent = encode_value(&right, direction, &mut right_key);
        prop_assert!(left_key.len() <= INDEXED_VALUE_BYTES_MAX && right_key.len() <= INDEXED_VALUE_BYTES_MAX);
        let ordering = left_key.cmp(&right_key);
        if ordering.is_ne() {
            prop_assert_eq!(ordering, direction.apply(left.cmp(&right)));
        } else if left != right {
            prop_assert_eq!(left_extent, Extent::Cut);
            prop_assert_eq!(right_extent, Extent::Cut);
            prop_assert_eq!(left_key.len(), INDEXED_VALUE_BYTES_MAX);
        }
    }
}

const CLASSES: [TypeClass; 12] = [
    TypeClass::Null,
    TypeClass::Boolean,
    TypeClass::Nan,
    TypeClass::Number,
    TypeClass::Timestamp,
    TypeClass::String,
    TypeClass::Bytes,
    TypeClass::Reference,
    TypeClass::GeoPoint,
    TypeClass::Array,
    TypeClass::Vector,
    TypeClass::Map,
];

#[test]
fn equal_numbers_encode_equally() {
    for (integer, double) in [(0, -0.0), (1, 1.0), (-1, -1.0), (1 << 60, (1_u64 << 60) as f64)] {
        assert_eq!(
            ascending(&Value::Integer(integer)),
            ascending(&Value::Double(double))
        );
    }
    assert_eq!(
        ascending(&Value::Integer(i64::MIN)),
        ascending(&Value::Double(i64::MIN as f64))
    );
}

#[test]
fn integers_beyond_the_precision_of_doubles_differ() {
    let middle = (1_i64 << 53) + 1;
    for [left, right] in [
        [middle - 1, middle],
        [middle, middle + 1],
        [i64::MAX - 1, i64::MAX],
    ] {
        assert!(ascending(&Value::Integer(left)) < ascending(&Value::Integer(right)));
        assert!(ascending(&Value::Integer(-right)) < ascending(&Value::Integer(-left)));
    }
    let rounded = Value::Double(i64::MAX as f64);
    assert!(ascending(&Value::Integer(i64::MAX)) < ascending(&rounded));
}

#[test]
fn common_values_are_short() {
    for (value, bytes) in [
        (Value::Integer(0), 2),
        (Value::Integer(15), 3),
        (Value::Integer(-15), 3),
        (Value::Integer(2026), 4),
        (Value::Double(7.5), 3),
        (Value::Double(7.3), 10),
        (Value::Integer(i64::MAX), 12),
        (Value::from("abc"), 5),
    ] {
        assert_eq!(ascending(&value).len(), bytes, "{value:?}");
    }
}

#[test]
fn a_value_of_exactly_the_limit_is_whole() {
    let mut bytes = Vec::new();
    let exact = Value::String("a".repeat(INDEXED_VALUE_BYTES_MAX - 2));
    assert_eq!(
        encode_value(&exact, Direction::Ascending, &mut bytes),
        Extent::Whole
    );
    let longer = Value::String("a".repeat(INDEXED_VALUE_BYTES_MAX - 1));
    bytes.clear();
    assert_eq!(
        encode_value(&longer, Direction::Ascending, &mut bytes),
        Extent::Cut
    );
}

#[test]
fn a_prefix_beyond_the_limit_bounds_all_strings_that_share_what_is_kept() {
    let prefix = "b".repeat(3000);
    for direction in DIRECTIONS {
        let (lower, upper) = string_prefix_bounds(&prefix, direction);
        let within = encoded(&Value::String(prefix.clone() + "c"), direction);
        assert!(lower <= within && within < upper);
        let outside = encoded(&Value::from("b"), direction);
        assert!(!(lower <= outside && outside < upper));
    }
}

#[test]
fn a_value_nested_a_hundred_thousand_deep_is_cut_without_exhausting_the_stack() {
    let mut value = Value::Null;
    for _ in 0..100_000 {
        value = Value::Array(vec![value]);
    }
    let mut bytes = Vec::new();
    assert_eq!(
        encode_value(&value, Direction::Ascending, &mut bytes),
        Extent::Cut
    );
    // Dropping a value recurses; take it apart by hand.
    while let Value::Array(mut elements) = value {
        value = elements.pop().unwrap();
    }
}

#[test]
fn the_path_before_all_paths_takes_one_byte() {
    for direction in DIRECTIONS {
        let mut bytes = Vec::new();
        encode_path("", direction, &mut bytes);
        assert_eq!(bytes.len(), 1);
    }
}

#[test]
fn what_is_no_id_or_path_is_not_decoded() {
    let texts: [(&[u8], &str); 5] = [
        (b"", "nothing"),
        (b"a", "no end"),
        (b"a\x02", "an escape of nothing"),
        (b"a\x02a\0", "an escape of what needs none"),
        (b"\xff\0", "no UTF-8"),
    ];
    for (bytes, what) in texts {
        let inverted: Vec<u8> = bytes.iter().map(|byte| !byte).collect();
        for (bytes, direction) in [(bytes, Direction::Ascending), (&*inverted, Direction::Descending)] {
            assert_eq!(decode_id(bytes, direction), None, "{what}");
            assert_eq!(decode_path(bytes, direction), None, "{what}");
        }
    }
    let path = b"a\x01b\0rest";
    assert_eq!(decode_id(path, Direction::Ascending), None);
    assert_eq!(
        decode_path(path, Direction::Ascending),
        Some(("a/b".to_owned(), 4))
    );
}

/// Indexes on disk are written like this. If this test has to change, the format of the data does.
#[test]
fn the_encoding_is_the_one_on_disk() {
    let timestamp: Timestamp = "2026-11-22T05:40:35.123456Z".parse().unwrap();
    let reference = Value::Reference("a/b".parse().unwrap());
    let map = |fields: &[(&str, Value)]| {
        let fields = fields
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.clone()));
        Value::Map(fields.collect())
    };
    let cases = [
        (Value::Null, "10"),
        (Value::Boolean(false), "18"),
        (Value::Boolean(true), "19"),
        (Value::Double(f64::NAN), "20"),
        (Value::Double(f64::NEG_INFINITY), "28 000f"),
        (Value::Integer(-1), "28 800f"),
        (Value::Integer(0), "29 00"),
        (Value::Integer(1), "29 7ff0"),
        (Value::Double(0.1), "29 7fb9cd673399cd6734"),
        (Value::Integer(1995), "29 819f96"),
        (Value::Integer(i64::MAX), "29 87dfffffffffffffff0ffe"),
        (Value::Double(f64::INFINITY), "29 fff0"),
        (timestamp.into(), "30 800660d6ea945d00"),
        ("".into(), "38 00"),
        ("a\0\u{1}\u{2}\u{3}é".into(), "38 61 0200 0201 0202 03 c3a9 00"),
        (Value::Bytes(vec![0, 255]), "40 0200 ff 00"),
        (reference, "48 61 01 62 00"),
        (
            Value::GeoPoint(GeoPoint::new(-1.0, 0.0).unwrap()),
            "50 400fffffffffffff 8000000000000000",
        ),
        (Value::Array(Vec::new()), "58 00"),
        (Value::Array(vec![Value::Null, "a".into()]), "58 10 386100 00"),
        (Value::Vector(vec![1.0]), "60 00000001 bff0000000000000"),
        (map(&[]), "68 00"),
        (
            map(&[("a", Value::Null), ("b", Value::Integer(0))]),
            "68 01 6100 10 01 6200 2900 00",
        ),
    ];
    for (value, expected) in cases {
        let hex: String = ascending(&value)
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        assert_eq!(hex, expected.replace(' ', ""), "{value:?}");
        let inverted: Vec<u8> = ascending(&value).iter().map(|byte| !byte).collect();
        assert_eq!(encoded(&value, Direction::Descending), inverted);
    }
}
