//! The entries that documents have in indexes.

use andiron_protocol::limits::INDEXED_VALUE_BYTES_MAX;
use andiron_protocol::{Direction, DocumentPath, Map, Source, Value};
use andiron_store::key::{cut_at, encode_element_overflow, encode_id, encode_path, encode_value};
use andiron_store::{
    ELEMENT_ENTRIES_MAX, INDEX_FIELDS_MAX, IndexDefinition, IndexField, IndexFieldKind, IndexId, IndexScope,
};
use proptest::prelude::*;

use crate::values;

fn definition(collection: &str, scope: IndexScope, fields: &[(&str, IndexFieldKind)]) -> IndexDefinition {
    IndexDefinition {
        collection: collection.to_owned(),
        scope,
        fields: fields
            .iter()
            .map(|(field, kind)| IndexField {
                field: field.parse().unwrap(),
                kind: *kind,
            })
            .collect(),
    }
}

fn path(path: &str) -> DocumentPath {
    path.parse().unwrap()
}

fn data<const N: usize>(fields: [(&str, Value); N]) -> Map {
    fields
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

fn integers(numbers: impl IntoIterator<Item = i64>) -> Value {
    Value::Array(numbers.into_iter().map(Value::Integer).collect())
}

#[test]
fn an_entry_of_a_collection_is_parent_fields_and_id() {
    let index = definition(
        "comments",
        IndexScope::Collection,
        &[
            ("stars", IndexFieldKind::Ascending),
            ("at.day", IndexFieldKind::Descending),
        ],
    );
    let document = data([
        ("stars", Value::Integer(3)),
        ("at", Value::Map(data([("day", Value::from("monday"))]))),
    ]);
    let mut expected = Vec::new();
    encode_path("posts/p1", Direction::Ascending, &mut expected);
    encode_value(&Value::Integer(3), Direction::Ascending, &mut expected);
    encode_value(&Value::from("monday"), Direction::Descending, &mut expected);
    encode_id("c1", Direction::Descending, &mut expected);
    assert_eq!(
        index.entry_keys(&path("posts/p1/comments/c1"), &document),
        [expected]
    );
}

#[test]
fn an_entry_of_a_group_is_fields_and_path() {
    let index = definition(
        "comments",
        IndexScope::Group,
        &[("stars", IndexFieldKind::Ascending)],
    );
    let mut expected = Vec::new();
    encode_value(&Value::Integer(3), Direction::Ascending, &mut expected);
    encode_path("posts/p1/comments/c1", Direction::Ascending, &mut expected);
    let document = data([("stars", Value::Integer(3))]);
    assert_eq!(
        index.entry_keys(&path("posts/p1/comments/c1"), &document),
        [expected]
    );
}

#[test]
fn an_index_without_fields_orders_by_path_alone() {
    let index = definition("comments", IndexScope::Group, &[]);
    let keys = index.entry_keys(&path("posts/p1/comments/c1"), &Map::new());
    assert_eq!(keys.len(), 1);
    assert_eq!(index.document_of(&keys[0]), Some(path("posts/p1/comments/c1")));
}

#[test]
fn the_prefix_of_a_collection_holds_its_entries_and_no_others() {
    let index = definition("c", IndexScope::Collection, &[("n", IndexFieldKind::Ascending)]);
    let collections = ["c", "a/b/c", "a/b0/c", "a/b\u{1}/c", "a/b/c/d/c", "a\u{1}/b/c"];
    for collection in collections {
        let source = Source::Collection(collection.parse().unwrap());
        let prefix = index.scope_prefix(&source);
        for other in collections {
            for number in [-1, 0, 1 << 60] {
                let document = path(&format!("{other}/x"));
                let keys = index.entry_keys(&document, &data([("n", Value::Integer(number))]));
                assert_eq!(
                    keys[0].starts_with(&prefix),
                    collection == other,
                    "{collection:?} {other:?}"
                );
            }
        }
    }
    assert_eq!(
        index
            .scope_prefix(&Source::Collection("c".parse().unwrap()))
            .len(),
        1
    );
}

#[test]
fn sources_whose_entries_do_not_stand_together_have_no_prefix() {
    let one = definition("c", IndexScope::Collection, &[]);
    assert!(one.scope_prefix(&Source::Group("c".to_owned())).is_empty());
    let group = definition("c", IndexScope::Group, &[]);
    assert!(group.scope_prefix(&Source::Group("c".to_owned())).is_empty());
    assert!(
        group
            .scope_prefix(&Source::Collection("c".parse().unwrap()))
            .is_empty()
    );
}

#[test]
fn a_document_without_one_of_the_fields_has_no_entry() {
    let index = definition(
        "c",
        IndexScope::Collection,
        &[
            ("a", IndexFieldKind::Ascending),
            ("b.c", IndexFieldKind::Descending),
        ],
    );
    let document = path("c/x");
    assert!(
        index
            .entry_keys(&document, &data([("a", Value::Null)]))
            .is_empty()
    );
    let no_map = data([("a", Value::Null), ("b", Value::Integer(1))]);
    assert!(index.entry_keys(&document, &no_map).is_empty());
    let all = data([("a", Value::Null), ("b", Value::Map(data([("c", Value::Null)])))]);
    assert_eq!(index.entry_keys(&document, &all).len(), 1);
}

#[test]
fn elements_have_one_entry_for_each_distinct_value() {
    let index = definition(
        "c",
        IndexScope::Collection,
        &[
            ("tags", IndexFieldKind::Elements),
            ("n", IndexFieldKind::Descending),
        ],
    );
    let keys_of =
        |tags: Value| index.entry_keys(&path("c/x"), &data([("tags", tags), ("n", Value::Integer(1))]));
    let tags = vec![
        Value::Integer(2),
        Value::Integer(1),
        Value::Double(2.0),
        Value::from("a"),
    ];
    let keys = keys_of(Value::Array(tags));
    let expected: Vec<Vec<u8>> = [Value::Integer(1), Value::Integer(2), Value::from("a")]
        .iter()
        .map(|element| {
            let mut key = index.scope_prefix(&Source::Collection("c".parse().unwrap()));
            encode_value(element, Direction::Ascending, &mut key);
            encode_value(&Value::Integer(1), Direction::Descending, &mut key);
            encode_id("x", Direction::Descending, &mut key);
            key
        })
        .collect();
    assert_eq!(keys, expected);
    assert!(keys_of(Value::Array(Vec::new())).is_empty());
    assert!(keys_of(Value::from("no array")).is_empty());
}

#[test]
fn a_document_with_too_many_elements_has_one_entry_where_every_query_by_element_looks() {
    let index = definition("c", IndexScope::Group, &[("tags", IndexFieldKind::Elements)]);
    let bound = i64::try_from(ELEMENT_ENTRIES_MAX).unwrap();
    let document = path("c/x");
    let at_bound = index.entry_keys(&document, &data([("tags", integers((0..bound).chain(0..bound)))]));
    assert_eq!(at_bound.len(), ELEMENT_ENTRIES_MAX);
    let beyond = index.entry_keys(&document, &data([("tags", integers(0..=bound))]));
    let mut expected = Vec::new();
    encode_element_overflow(&mut expected);
    encode_path("c/x", Direction::Ascending, &mut expected);
    assert_eq!(beyond, std::slice::from_ref(&expected));
    assert_eq!(index.document_of(&expected), Some(document));
    let mut null = Vec::new();
    encode_value(&Value::Null, Direction::Ascending, &mut null);
    assert!(
        expected < null,
        "the place of the overflow is before all elements"
    );
}

#[test]
fn a_write_changes_only_the_entries_that_differ() {
    let index = definition("c", IndexScope::Group, &[("tags", IndexFieldKind::Elements)]);
    let document = path("c/x");
    let changes = |before: Option<Value>, after: Option<Value>| -> Vec<(Vec<u8>, bool)> {
        let [before, after] = [before, after].map(|tags| tags.map(|tags| data([("tags", tags)])));
        let changes = index.entry_changes(IndexId(7), &document, before.as_ref(), after.as_ref());
        assert!(changes.iter().all(|change| change.index == IndexId(7)));
        changes
            .into_iter()
            .map(|change| (change.key, change.added))
            .collect()
    };
    let key = |element: i64| {
        index
            .entry_keys(&document, &data([("tags", integers([element]))]))
            .remove(0)
    };
    let some = |elements: &[i64]| Some(integers(elements.iter().copied()));
    assert_eq!(changes(None, some(&[1, 2])), [(key(1), true), (key(2), true)]);
    assert_eq!(changes(some(&[1, 2]), None), [(key(1), false), (key(2), false)]);
    let expected = [(key(1), false), (key(3), true), (key(5), false), (key(6), true)];
    assert_eq!(changes(some(&[1, 2, 4, 5]), some(&[6, 4, 3, 2])), expected);
    assert_eq!(
        changes(
            some(&[1, 2]),
            Some(Value::Array(vec![Value::Double(2.0), Value::Integer(1)]))
        ),
        []
    );
    assert_eq!(changes(some(&[1]), Some(Value::Null)), [(key(1), false)]);
    assert_eq!(changes(None, None), []);
}

#[test]
fn definitions_are_checked() {
    let complaint = |index: IndexDefinition| index.check().unwrap_err().to_string();
    let many: Vec<String> = (0..=INDEX_FIELDS_MAX)
        .map(|number| format!("f{number}"))
        .collect();
    let many: Vec<_> = many
        .iter()
        .map(|name| (name.as_str(), IndexFieldKind::Ascending))
        .collect();
    assert!(complaint(definition("c", IndexScope::Group, &many)).contains("more than 32 fields"));
    let elements = [("a", IndexFieldKind::Elements), ("b", IndexFieldKind::Elements)];
    assert!(complaint(definition("c", IndexScope::Group, &elements)).contains("`elements`"));
    let twice = [
        ("a", IndexFieldKind::Ascending),
        ("a", IndexFieldKind::Descending),
    ];
    assert!(complaint(definition("c", IndexScope::Group, &twice)).contains("`a` twice"));
    assert!(complaint(definition("a/b", IndexScope::Group, &[])).contains("slash"));
    let both = [("a", IndexFieldKind::Elements), ("a", IndexFieldKind::Descending)];
    assert_eq!(definition("c", IndexScope::Group, &both).check(), Ok(()));
}

#[test]
fn a_cut_value_is_found_wherever_it_stands() {
    let long = || Value::String("x".repeat(5000));
    let index = definition(
        "c",
        IndexScope::Collection,
        &[
            ("a", IndexFieldKind::Ascending),
            ("b", IndexFieldKind::Descending),
        ],
    );
    let cut = |a: Value, b: Value| {
        let keys = index.entry_keys(&path("c/x"), &data([("a", a), ("b", b)]));
        cut_at(&keys[0], &index)
    };
    let whole = Value::String("x".repeat(INDEXED_VALUE_BYTES_MAX - 2));
    assert_eq!(cut(whole.clone(), whole.clone()), None);
    assert_eq!(cut(long(), Value::Null), Some(1 + INDEXED_VALUE_BYTES_MAX));
    assert_eq!(cut(whole, long()), Some(1 + 2 * INDEXED_VALUE_BYTES_MAX));
    assert_eq!(cut(Value::Null, long()), Some(2 + INDEXED_VALUE_BYTES_MAX));
}

#[test]
fn a_long_path_is_no_cut_value() {
    let index = definition("c", IndexScope::Collection, &[("a", IndexFieldKind::Ascending)]);
    let document = path(&format!("p/{}/c/{}", "\u{1}".repeat(1500), "y".repeat(1500)));
    let keys = index.entry_keys(&document, &data([("a", Value::Integer(1))]));
    assert_eq!(cut_at(&keys[0], &index), None);
    assert_eq!(index.document_of(&keys[0]), Some(document));
}

#[test]
fn bytes_that_are_no_entry_name_no_document() {
    let index = definition("c", IndexScope::Collection, &[("a", IndexFieldKind::Ascending)]);
    let entry = index
        .entry_keys(&path("c/x"), &data([("a", Value::from("b"))]))
        .remove(0);
    assert_eq!(index.document_of(&entry), Some(path("c/x")));
    for length in 0..entry.len() {
        assert_eq!(
            index.document_of(&entry[..length]),
            None,
            "the first {length} bytes"
        );
    }
    let longer = [&*entry, b"x"].concat();
    assert_eq!(index.document_of(&longer), None, "more bytes than an entry");
    let mut reserved = vec![0, 0x10];
    encode_id("..", Direction::Ascending, &mut reserved);
    assert_eq!(index.document_of(&reserved), None, "an id that none can have");

    // Where no value ends, there is no cut one either.
    for garbage in ["\0\u{7f}", "\0\u{38}a\u{1}", "\0\u{58}\u{7f}", "\0\u{68}\u{2}"] {
        let mut key = garbage.as_bytes().to_vec();
        key.resize(4000, b'a');
        assert_eq!(cut_at(&key, &index), None, "{garbage:?}");
        assert_eq!(index.document_of(&key), None, "{garbage:?}");
    }
}

fn kind() -> impl Strategy<Value = IndexFieldKind> {
    prop_oneof![Just(IndexFieldKind::Ascending), Just(IndexFieldKind::Descending)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn every_key_names_its_document_and_its_first_cut(
        document in values::document_path(),
        fields in prop::collection::vec(
            (prop_oneof![4 => values::value(), 1 => values::long_value()], kind()),
            0..4,
        ),
        group in any::<bool>(),
        elements in prop::option::of(prop::collection::vec(values::value(), 1..4)),
    ) {
        let mut map = Map::new();
        let mut index_fields = Vec::new();
        let collection = document.collection();
        let mut expected_cut = None;
        let scope = if group { IndexScope::Group } else { IndexScope::Collection };
        let mut key = definition(collection.name(), scope, &[])
            .scope_prefix(&Source::Collection(collection.clone()));
        for (number, (value, kind)) in fields.into_iter().enumerate() {
            let extent = encode_value(&value, kind.direction(), &mut key);
            if extent == andiron_store::key::Extent::Cut && expected_cut.is_none() {
                expected_cut = Some(key.len());
            }
            map.insert(format!("f{number}"), value);
            index_fields.push((format!("f{number}"), kind));
        }
        if let Some(elements) = elements {
            map.insert("elements".to_owned(), Value::Array(elements));
            index_fields.push(("elements".to_owned(), IndexFieldKind::Elements));
        }
        let index_fields: Vec<_> = index_fields.iter().map(|(name, kind)| (name.as_str(), *kind)).collect();
        let index = definition(collection.name(), scope, &index_fields);
        let keys = index.entry_keys(&document, &map);
        prop_assert!(!keys.is_empty() && keys.is_sorted());
        for entry in keys {
            prop_assert!(entry.starts_with(&key));
            prop_assert_eq!(index.document_of(&entry), Some(document.clone()));
            prop_assert_eq!(cut_at(&entry, &index), expected_cut);
        }
    }

    #[test]
    fn arbitrary_bytes_are_no_entry_but_never_a_failure(
        mut bytes in prop::collection::vec(
            prop_oneof![any::<u8>(), prop::sample::select([0, 1, 2, 0x38, 0x58, 0x60, 0x68].as_slice())],
            0..40,
        ),
        kinds in prop::collection::vec(kind(), 0..4),
        group in any::<bool>(),
        repeat in prop::sample::select([1_usize, 100].as_slice()),
    ) {
        bytes = bytes.repeat(repeat);
        let fields: Vec<_> = ["a", "b", "c", "d"].into_iter().zip(kinds).collect();
        let scope = if group { IndexScope::Group } else { IndexScope::Collection };
        let index = definition("c", scope, &fields);
        let _ = index.document_of(&bytes);
        if let Some(cut) = cut_at(&bytes, &index) {
            prop_assert!(cut >= INDEXED_VALUE_BYTES_MAX && cut <= bytes.len());
        }
    }
}
