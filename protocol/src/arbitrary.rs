//! Strategies for property tests, behind the feature `arbitrary`.
//!
//! They draw from *small universes* of names, ids and values, so that random documents and random queries meet: fields
//! collide, values of different types compare, filters match some documents and not others. [`wide_value`] is the
//! exception, for tests of encodings that want every bit pattern. Everything drawn is valid: paths parse, filters and
//! queries pass their checks, documents are within the limits.
//!
//! ```
//! use andiron_protocol::arbitrary;
//! use proptest::prelude::*;
//!
//! proptest!(|(left in arbitrary::value(), right in arbitrary::value())| {
//!     prop_assert_eq!(left.cmp(&right), right.cmp(&left).reverse());
//! });
//! ```

use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};

use std::sync::Arc;

use crate::{
    Bound, CollectionPath, Direction, DocumentPath, FieldPath, FieldRef, Filter, GeoPoint, Map, Operator,
    OrderBy, Precondition, Query, Source, Timestamp, Transform, Value, Version, Write, WriteData, WriteKind,
};

/// The names of fields in [`map`].
pub const FIELD_NAMES: [&str; 6] = ["a", "b", "c", "m", "$x", "odd name"];
/// The ids in [`document_path`].
pub const IDS: [&str; 8] = ["a", "b", "p1", "p10", "p2", "p!", "ü", "Z"];
/// The collections in [`document_path`]: `c` is both a root collection and one under documents.
pub const COLLECTIONS: [&str; 4] = ["c", "d", "c/a/c", "d/p1/c"];

/// A value of any type from a small universe, with arrays and maps up to three levels.
pub fn value() -> BoxedStrategy<Value> {
    scalar()
        .prop_recursive(3, 12, 3, |inner| {
            prop_oneof![
                vec(inner.clone(), 0..4).prop_map(Value::Array),
                btree_map(field_name(), inner, 0..4).prop_map(Value::Map),
            ]
        })
        .boxed()
}

/// A value that is neither array nor map, from a small universe.
pub fn scalar() -> BoxedStrategy<Value> {
    prop_oneof![
        1 => Just(Value::Null),
        2 => any::<bool>().prop_map(Value::Boolean),
        6 => (-2i64..4).prop_map(Value::Integer),
        4 => (-4i32..8).prop_map(|halves| Value::Double(f64::from(halves) / 2.0)),
        3 => edge_number(),
        4 => select(vec!["", "a", "ab", "abc", "b", "B", "ä", "a\0", "\u{ffff}", "\u{10000}"]).prop_map(Value::from),
        1 => timestamp().prop_map(Value::Timestamp),
        1 => vec(0u8..3, 0..3).prop_map(Value::Bytes),
        1 => document_path().prop_map(Value::Reference),
        1 => (-1i32..2, -1i32..2).prop_map(|(lat, lng)| geo_point(f64::from(lat), f64::from(lng))),
        1 => vec((-1i32..2).prop_map(f64::from), 0..3).prop_map(Value::Vector),
    ]
    .boxed()
}

/// Numbers where representations end or meet.
fn edge_number() -> BoxedStrategy<Value> {
    prop_oneof![
        select(vec![
            i64::MIN,
            i64::MIN + 1,
            -(1 << 53) - 1,
            -(1 << 53),
            1 << 53,
            (1 << 53) + 1,
            i64::MAX - 1,
            i64::MAX
        ])
        .prop_map(Value::Integer),
        select(vec![
            -0.0,
            f64::NAN,
            f64::INFINITY,
            f64::NEG_INFINITY,
            f64::MIN_POSITIVE,
            f64::MAX,
            9_007_199_254_740_992.0,
            -9_007_199_254_740_992.0,
            9_223_372_036_854_775_808.0,
            -9_223_372_036_854_775_808.0,
            5e-324,
        ])
        .prop_map(Value::Double),
    ]
    .boxed()
}

fn geo_point(latitude: f64, longitude: f64) -> Value {
    Value::GeoPoint(GeoPoint::new(latitude, longitude).expect("the strategies stay within the bounds"))
}

/// A value of any type and content: every double, integers of every size, text with every character. For encodings.
pub fn wide_value() -> BoxedStrategy<Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Boolean),
        any::<i64>().prop_map(Value::Integer),
        any::<u64>().prop_map(|bits| Value::Double(f64::from_bits(bits))),
        edge_number(),
        any::<String>().prop_map(Value::String),
        wide_timestamp().prop_map(Value::Timestamp),
        vec(any::<u8>(), 0..20).prop_map(Value::Bytes),
        wide_document_path().prop_map(Value::Reference),
        (-90.0..=90.0f64, -180.0..=180.0f64).prop_map(|(latitude, longitude)| geo_point(latitude, longitude)),
        vec(finite_double(), 0..5).prop_map(Value::Vector),
    ];
    leaf.prop_recursive(5, 40, 6, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..6).prop_map(Value::Array),
            btree_map(wide_field_name(), inner, 0..6).prop_map(Value::Map),
        ]
    })
    .boxed()
}

fn finite_double() -> BoxedStrategy<f64> {
    use proptest::num::f64::{NEGATIVE, NORMAL, POSITIVE, SUBNORMAL, ZERO};
    (POSITIVE | NEGATIVE | NORMAL | SUBNORMAL | ZERO).boxed()
}

/// Any timestamp.
pub fn wide_timestamp() -> BoxedStrategy<Timestamp> {
    (Timestamp::MIN.as_micros()..=Timestamp::MAX.as_micros())
        .prop_map(Timestamp::from_micros_clamped)
        .boxed()
}

/// A timestamp of a few around 1970, before and after.
pub fn timestamp() -> BoxedStrategy<Timestamp> {
    (-2i64..3).prop_map(Timestamp::from_micros_clamped).boxed()
}

/// A field's name of [`FIELD_NAMES`].
pub fn field_name() -> BoxedStrategy<String> {
    select(FIELD_NAMES.to_vec()).prop_map(str::to_owned).boxed()
}

/// Any valid field name.
pub fn wide_field_name() -> BoxedStrategy<String> {
    prop_oneof![
        3 => "[a-z$_.`\\\\ ]{1,4}",
        1 => any::<String>(),
    ]
    .prop_filter("a valid field name", |name| {
        crate::field_path::check_field_name(name).is_ok()
    })
    .boxed()
}

/// A document's data: fields of [`FIELD_NAMES`], `m` often a map of such fields.
pub fn map() -> BoxedStrategy<Map> {
    (
        btree_map(field_name(), value(), 0..5),
        option::weighted(0.4, btree_map(field_name(), scalar(), 0..4)),
    )
        .prop_map(|(mut map, inner)| {
            if let Some(inner) = inner {
                map.insert("m".to_owned(), Value::Map(inner));
            }
            map
        })
        .boxed()
}

/// A path to a field that [`map`] may have: one name, or one inside `m`.
pub fn field_path() -> BoxedStrategy<FieldPath> {
    select(field_paths()).boxed()
}

/// All paths of [`field_path`].
pub fn field_paths() -> Vec<FieldPath> {
    let outer = FIELD_NAMES.iter().map(|name| vec![(*name).to_owned()]);
    let inner = FIELD_NAMES[..3]
        .iter()
        .map(|name| vec!["m".to_owned(), (*name).to_owned()]);
    outer
        .chain(inner)
        .map(|segments| FieldPath::from_segments(segments).expect("the universe has only valid names"))
        .collect()
}

/// All paths of [`field_path`], and the id: what filters and orders may look at.
pub fn field_refs() -> Vec<FieldRef> {
    field_paths()
        .into_iter()
        .map(FieldRef::Field)
        .chain([FieldRef::Id])
        .collect()
}

/// Any valid field path of up to four names.
pub fn wide_field_path() -> BoxedStrategy<FieldPath> {
    vec(wide_field_name(), 1..5)
        .prop_map(|segments| FieldPath::from_segments(segments).expect("the names were checked"))
        .boxed()
}

/// A collection of [`COLLECTIONS`].
pub fn collection_path() -> BoxedStrategy<CollectionPath> {
    select(COLLECTIONS.to_vec())
        .prop_map(|path| path.parse().expect("the universe has only valid paths"))
        .boxed()
}

/// A document with an id of [`IDS`] in one of [`COLLECTIONS`].
pub fn document_path() -> BoxedStrategy<DocumentPath> {
    (collection_path(), select(IDS.to_vec()))
        .prop_map(|(collection, id)| collection.document(id).expect("the universe has only valid ids"))
        .boxed()
}

/// Any valid document path of two or four segments.
pub fn wide_document_path() -> BoxedStrategy<DocumentPath> {
    let id = prop_oneof!["[a-c!~.]{1,3}", any::<String>()]
        .prop_filter("a valid id", |id| crate::check_id(id).is_ok());
    (vec(id, 4), any::<bool>())
        .prop_map(|(ids, short)| {
            let path = ids[if short { 2 } else { 0 }..].join("/");
            path.parse().expect("the ids were checked")
        })
        .boxed()
}

/// One of [`COLLECTIONS`], or the group `c`.
pub fn source() -> BoxedStrategy<Source> {
    prop_oneof![
        3 => collection_path().prop_map(Source::Collection),
        1 => Just(Source::Group("c".to_owned())),
    ]
    .boxed()
}

/// A filter over these fields, up to three levels deep.
///
/// # Panics
/// If `fields` is empty.
pub fn filter(fields: &[FieldRef]) -> BoxedStrategy<Filter> {
    comparison(fields)
        .prop_recursive(3, 10, 3, |inner| {
            prop_oneof![
                vec(inner.clone(), 1..4).prop_map(Filter::And),
                vec(inner.clone(), 1..4).prop_map(Filter::Or),
                inner.prop_map(|filter| Filter::Not(Box::new(filter))),
            ]
        })
        .boxed()
}

/// A comparison of one of these fields with a constant that fits the operator.
///
/// # Panics
/// If `fields` is empty.
pub fn comparison(fields: &[FieldRef]) -> BoxedStrategy<Filter> {
    // Built once and shared: to build a strategy takes longer than to draw from it.
    let (value, id_value) = (value(), id_value());
    (select(fields.to_vec()), select(Operator::ALL.to_vec()))
        .prop_flat_map(move |(field, operator)| {
            let is_id = field == FieldRef::Id;
            // An id is no array: there, an operator on arrays becomes equality.
            let operator = match operator {
                Operator::ArrayContains | Operator::ArrayContainsAny if is_id => Operator::Equal,
                operator => operator,
            };
            let single = if is_id { id_value.clone() } else { value.clone() };
            let constant = match operator {
                Operator::Exists => any::<bool>().prop_map(Value::Boolean).boxed(),
                Operator::StartsWith => select(vec!["", "a", "ab", "p", "p1"])
                    .prop_map(Value::from)
                    .boxed(),
                operator if operator.takes_list() => vec(single, 0..4).prop_map(Value::Array).boxed(),
                _ => single,
            };
            constant.prop_map(move |constant| {
                Filter::compare(field.clone(), operator, constant).expect("the constant was made to fit")
            })
        })
        .boxed()
}

fn id_value() -> BoxedStrategy<Value> {
    select(IDS.to_vec()).prop_map(Value::from).boxed()
}

/// A query over a source, as it may come over the wire: filter, orders, bounds that fit the order, offset, limit,
/// projection. It has no cursor and is not strict.
pub fn query(from: Source) -> BoxedStrategy<Query> {
    let orders = vec(direction(), 3)
        .prop_flat_map(|directions| {
            subsequence(field_refs(), 0..=3)
                .prop_shuffle()
                .prop_map(move |fields| {
                    fields
                        .into_iter()
                        .zip(directions.clone())
                        .map(|(field, direction)| OrderBy { field, direction })
                        .collect::<Vec<_>>()
                })
        })
        .boxed();
    let value = value();
    (
        option::weighted(0.7, filter(&field_refs())),
        prop_oneof![2 => Just(Vec::new()), 3 => orders],
        option::weighted(0.3, 0u32..4),
        option::weighted(0.5, 1u32..8),
        any::<bool>(),
        option::weighted(0.2, vec(field_path(), 0..3)),
    )
        .prop_flat_map(move |(filter, order_by, offset, limit, to_last, select)| {
            let query = Query {
                filter,
                order_by,
                offset: offset.unwrap_or_default(),
                limit,
                limit_to_last: to_last && limit.is_some(),
                select,
                ..Query::all(from.clone())
            };
            let orders = query.normalized_order();
            (
                option::weighted(0.3, bound(&orders, &query.from, &value)),
                option::weighted(0.3, bound(&orders, &query.from, &value)),
            )
                .prop_map(move |(start, end)| Query {
                    start,
                    end,
                    ..query.clone()
                })
        })
        .boxed()
}

/// A bound for the first of these orders, or for all of them and the path.
fn bound(orders: &[OrderBy], from: &Source, value: &BoxedStrategy<Value>) -> BoxedStrategy<Bound> {
    let values: Vec<_> = orders
        .iter()
        .map(|order| {
            if order.field == FieldRef::Id {
                id_value()
            } else {
                value.clone()
            }
        })
        .collect();
    let path = match from {
        Source::Collection(collection) => {
            let collection = collection.clone();
            select(IDS.to_vec())
                .prop_map(move |id| collection.document(id).expect("the universe has only valid ids"))
                .boxed()
        }
        Source::Group(_) => document_path(),
    };
    (
        values,
        1..=orders.len().max(1),
        option::of(path.clone()),
        path,
        any::<bool>(),
    )
        .prop_map(|(mut values, length, path, other_path, inclusive)| {
            let orders = values.len();
            values.truncate(length);
            let path = if values.is_empty() {
                Some(other_path)
            } else {
                path.filter(|_| values.len() == orders)
            };
            Bound {
                values,
                path,
                inclusive,
            }
        })
        .boxed()
}

fn direction() -> BoxedStrategy<Direction> {
    select(vec![Direction::Ascending, Direction::Descending]).boxed()
}

/// A transform; `$delete` only if it may stand there.
pub fn transform(with_delete: bool) -> BoxedStrategy<Transform> {
    let number = || {
        scalar().prop_filter("a number", |value| {
            matches!(value, Value::Integer(_) | Value::Double(_))
        })
    };
    prop_oneof![
        2 => Just(Transform::Now),
        2 => number().prop_map(Transform::Increment),
        1 => number().prop_map(Transform::Minimum),
        1 => number().prop_map(Transform::Maximum),
        2 => vec(value(), 0..4).prop_map(Transform::Union),
        2 => vec(value(), 0..4).prop_map(Transform::Remove),
        2 => Just(if with_delete { Transform::Delete } else { Transform::Now }),
    ]
    .boxed()
}

/// The data of a create, set or merge: fields of [`map`], some of them transforms.
pub fn write_data(with_delete: bool) -> BoxedStrategy<WriteData> {
    (
        map(),
        subsequence(field_paths(), 0..3),
        vec(transform(with_delete), 3),
    )
        .prop_map(|(mut fields, paths, transforms)| {
            let mut data = WriteData::default();
            for (path, transform) in paths.into_iter().zip(transforms) {
                // A transform stands where the fields have nothing, and where they could have something.
                let [first, rest @ ..] = path.segments() else {
                    continue;
                };
                let within =
                    !rest.is_empty() && fields.get(first).is_none_or(|value| value.as_map().is_some());
                let taken = data.transforms.iter().any(|(other, _): &(FieldPath, Transform)| {
                    other.is_prefix_of(&path) || path.is_prefix_of(other)
                });
                if taken {
                    continue;
                }
                if within {
                    path.remove(&mut fields);
                    if fields
                        .get(first)
                        .and_then(Value::as_map)
                        .is_some_and(Map::is_empty)
                    {
                        // A map of nothing but transforms is read as no map at all.
                        fields.remove(first);
                    }
                } else if rest.is_empty() {
                    fields.remove(first);
                } else {
                    continue;
                }
                data.transforms.push((path, transform));
            }
            data.fields = Arc::new(fields);
            data
        })
        .boxed()
}

/// A precondition; versions are 1 to 3.
pub fn precondition() -> BoxedStrategy<Precondition> {
    prop_oneof![
        6 => Just(Precondition::None),
        1 => any::<bool>().prop_map(Precondition::Exists),
        1 => (1i64..4).prop_map(|micros| Precondition::Version(Version::from_micros(micros))),
    ]
    .boxed()
}

/// A write as it may come over the wire, to a document of [`document_path`].
pub fn write() -> BoxedStrategy<Write> {
    let update = (
        subsequence(field_paths(), 0..4).prop_shuffle(),
        vec(
            prop_oneof![value().prop_map(Ok), transform(true).prop_map(Err)],
            4,
        ),
    )
        .prop_map(|(paths, contents)| {
            let mut fields: Vec<(FieldPath, Value)> = Vec::new();
            let mut transforms: Vec<(FieldPath, Transform)> = Vec::new();
            for (path, content) in paths.into_iter().zip(contents) {
                let overlaps = |other: &FieldPath| other.is_prefix_of(&path) || path.is_prefix_of(other);
                if fields.iter().any(|(other, _)| overlaps(other))
                    || transforms.iter().any(|(other, _)| overlaps(other))
                {
                    continue;
                }
                match content {
                    Ok(value) => fields.push((path, value)),
                    Err(transform) => transforms.push((path, transform)),
                }
            }
            WriteKind::Update { fields, transforms }
        });
    let kind = prop_oneof![
        write_data(false).prop_map(WriteKind::Create),
        write_data(false).prop_map(WriteKind::Set),
        write_data(true).prop_map(WriteKind::Merge),
        update,
        Just(WriteKind::Delete),
        Just(WriteKind::Verify),
    ];
    (document_path(), kind, precondition())
        .prop_map(|(path, kind, precondition)| {
            // Preconditions that can never hold are refused by the reader.
            let precondition = match (&kind, precondition) {
                (WriteKind::Create(_), _) => Precondition::None,
                (WriteKind::Update { .. }, Precondition::Exists(false)) => Precondition::Exists(true),
                (WriteKind::Verify, Precondition::None) => Precondition::Exists(true),
                (_, precondition) => precondition,
            };
            Write {
                path,
                kind,
                precondition,
            }
        })
        .boxed()
}
