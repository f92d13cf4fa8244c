//! Whatever indexes there are, the engine answers as a naive evaluator does: all documents, filtered, sorted, sliced.

use std::collections::BTreeMap;
use std::sync::Arc;

use andiron_engine::{Caller, Engine, EngineOptions, QueryOptions, StoredDocument, Surroundings};
use andiron_protocol::{
    Aggregate, AggregateBody, Bound, CommitBody, DocumentPath, FieldPath, Filter, Map, Precondition, Query,
    TypeClass, Value, Write, WriteData, WriteKind, arbitrary, data_from_json,
};
use andiron_store::memory::MemoryStore;
use andiron_store::{IndexDefinition, IndexField, IndexFieldKind, IndexScope, ScanDirection, Store};
use andiron_store_sqlite::{SqliteOptions, SqliteStore};
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use proptest::sample::{select, subsequence};

use crate::support::OWNER;

pub(crate) type Documents = BTreeMap<DocumentPath, Map>;

/// A definition over the fields that documents may have.
pub(crate) fn definition() -> impl Strategy<Value = IndexDefinition> {
    let kinds = vec(
        select(vec![IndexFieldKind::Ascending, IndexFieldKind::Descending]),
        3,
    );
    (
        select(vec!["c", "c", "c", "d"]),
        select(vec![
            IndexScope::Collection,
            IndexScope::Collection,
            IndexScope::Group,
        ]),
        subsequence(arbitrary::field_paths(), 0..=3).prop_shuffle(),
        kinds,
        proptest::option::weighted(0.3, 0..3_usize),
    )
        .prop_map(|(collection, scope, fields, mut kinds, elements)| {
            if let Some(elements) = elements {
                kinds[elements] = IndexFieldKind::Elements;
            }
            IndexDefinition {
                collection: collection.to_owned(),
                scope,
                fields: fields
                    .into_iter()
                    .zip(kinds)
                    .map(|(field, kind)| IndexField { field, kind })
                    .collect(),
            }
        })
}

/// Long texts in the place of short ones: many share the bytes that a key has room for.
pub(crate) fn lengthen(value: &mut Value) {
    match value {
        Value::String(text) => *text = lengthened(text),
        Value::Array(elements) => elements.iter_mut().for_each(lengthen),
        Value::Map(map) => map.values_mut().for_each(lengthen),
        _ => {}
    }
}

fn lengthened(text: &str) -> String {
    match text {
        "a" => "x".repeat(1497),
        "B" => "x".repeat(1498),
        "ä" => "x".repeat(1499),
        "ab" | "abc" | "b" => format!("{}{text}", "x".repeat(1600)),
        text => text.to_owned(),
    }
}

fn lengthen_filter(filter: &mut Filter) {
    match filter {
        Filter::Compare {
            field: andiron_protocol::FieldRef::Field(_),
            value,
            ..
        } => lengthen(value),
        Filter::Compare { .. } => {}
        Filter::And(filters) | Filter::Or(filters) => filters.iter_mut().for_each(lengthen_filter),
        Filter::Not(filter) => lengthen_filter(filter),
    }
}

pub(crate) fn lengthen_query(query: &mut Query) {
    query.filter.iter_mut().for_each(lengthen_filter);
    let order = query.normalized_order();
    for bound in query.start.iter_mut().chain(&mut query.end) {
        for (order, value) in order.iter().zip(&mut bound.values) {
            if matches!(order.field, andiron_protocol::FieldRef::Field(_)) {
                lengthen(value);
            }
        }
    }
}

/// A store with documents, whose indexes were built after half of them were there.
pub(crate) async fn fill(store: &Arc<dyn Store>, documents: &Documents, definitions: &[IndexDefinition]) {
    let half = documents.len() / 2;
    let write = |(path, data): (&DocumentPath, &Map)| Write {
        path: path.clone(),
        kind: WriteKind::Set(WriteData::from(data.clone())),
        precondition: Precondition::None,
    };
    let parts = [
        documents.iter().take(half).map(write).collect::<Vec<_>>(),
        documents.iter().skip(half).map(write).collect(),
    ];
    for (part, writes) in parts.into_iter().enumerate() {
        if part == 1 {
            build(store.as_ref(), definitions);
        }
        let engine = open(store);
        let body = CommitBody {
            writes,
            ..CommitBody::default()
        };
        engine.commit(&OWNER, body, None).await.unwrap();
        engine.close();
    }
}

pub(crate) fn open(store: &Arc<dyn Store>) -> Engine {
    Engine::open(
        Arc::clone(store),
        EngineOptions::default(),
        Surroundings::system(),
    )
    .unwrap()
}

/// Builds indexes as it is done in one go.
pub(crate) fn build(store: &dyn Store, definitions: &[IndexDefinition]) {
    let mut group = store.begin().unwrap();
    for definition in definitions {
        let index = group.create_index(definition).unwrap();
        let mut entries = Vec::new();
        for collection in group.snapshot().collections(None, usize::MAX).unwrap() {
            if collection.name() != definition.collection {
                continue;
            }
            let all = (std::ops::Bound::Unbounded, std::ops::Bound::Unbounded);
            group
                .snapshot()
                .scan_collection(&collection, all, ScanDirection::Forward, &mut |row| {
                    let path = row.to_stored().unwrap().path;
                    let data = data_from_json(row.data.as_bytes()).unwrap();
                    let keys = definition.entry_keys(&path, &data);
                    entries.extend(keys.into_iter().map(|key| (key, path.clone())));
                    std::ops::ControlFlow::Continue(())
                })
                .unwrap();
        }
        group.add_entries(index, &entries).unwrap();
        group.finish_index(index).unwrap();
    }
    group.finish().unwrap();
}

/// The whole result when limit and offset are left aside.
pub(crate) fn naive<'d>(query: &Query, documents: &'d Documents) -> Vec<(&'d DocumentPath, &'d Map)> {
    let order = query.normalized_order();
    let mut found: Vec<_> = documents
        .iter()
        .filter(|(path, data)| query.matches(path, data))
        .collect();
    found.sort_by(|left, right| query.compare(&order, (left.0, left.1), (right.0, right.1)));
    found
}

fn shown(documents: &[StoredDocument]) -> Vec<(DocumentPath, Map)> {
    documents
        .iter()
        .map(|document| {
            (
                document.path.clone(),
                data_from_json(document.data.as_bytes()).unwrap(),
            )
        })
        .collect()
}

/// Checks all pages of a query and its stream: `documents` are those that the caller may see.
pub(crate) async fn check_query(engine: &Engine, caller: &Caller, documents: &Documents, query: &Query) {
    let expected: Vec<_> = naive(query, documents)
        .into_iter()
        .map(|(path, data)| (path.clone(), query.project(data.clone())))
        .collect();
    let offset = (query.offset as usize).min(expected.len());
    let expected = &expected[offset..];
    let explain = QueryOptions {
        explain: caller.is_admin(),
        stream: false,
    };
    let run = async |query: &Query, options: QueryOptions| {
        engine
            .query(caller, query.clone(), options, Vec::new())
            .await
            .unwrap()
    };
    let (found, end) = run(query, explain).await;
    let context = format!("{:?}\n{query:?}", end.plan);
    if query.limit_to_last {
        let from = expected.len().saturating_sub(query.limit.unwrap() as usize);
        assert_eq!(shown(&found), &expected[from..], "{context}");
        assert_eq!(end.cursor, None);
    } else {
        let page = query.limit.unwrap_or(100) as usize;
        let mut pages = shown(&found);
        assert_eq!(pages, &expected[..page.min(expected.len())], "{context}");
        let mut cursor = end.cursor;
        while let Some(after) = cursor {
            assert!(pages.len() <= expected.len(), "{context}");
            let next = Query {
                cursor: Some(after),
                ..query.clone()
            };
            let (found, end) = run(&next, explain).await;
            pages.extend(shown(&found));
            cursor = end.cursor;
        }
        assert_eq!(pages, expected, "all pages: {context}");
    }
    let stream = QueryOptions {
        explain: false,
        stream: true,
    };
    let (streamed, _) = run(query, stream).await;
    let limit = query
        .limit
        .map_or(usize::MAX, |limit| limit as usize)
        .min(expected.len());
    let expected = if query.limit_to_last {
        &expected[expected.len() - limit..]
    } else {
        &expected[..limit]
    };
    assert_eq!(shown(&streamed), expected, "stream: {context}");
}

/// Checks the figures over a query: `documents` are those that the caller may see.
pub(crate) async fn check_aggregates(
    engine: &Engine,
    caller: &Caller,
    documents: &Documents,
    query: &Query,
    field: &FieldPath,
) {
    let mut found = naive(query, documents);
    found.drain(..(query.offset as usize).min(found.len()));
    if let Some(limit) = query.limit {
        let limit = (limit as usize).min(found.len());
        if query.limit_to_last {
            found.drain(..found.len() - limit);
        } else {
            found.truncate(limit);
        }
    }
    let aggregates = BTreeMap::from([
        ("n".to_owned(), Aggregate::Count),
        ("sum".to_owned(), Aggregate::Sum(field.clone())),
        ("avg".to_owned(), Aggregate::Average(field.clone())),
        ("min".to_owned(), Aggregate::Minimum(field.clone())),
        ("max".to_owned(), Aggregate::Maximum(field.clone())),
    ]);
    let body = AggregateBody {
        query: query.clone(),
        aggregates,
    };
    let values: Vec<&Value> = found.iter().filter_map(|(_, data)| field.get(data)).collect();
    let present = || {
        values
            .iter()
            .filter(|value| value.type_class() != TypeClass::Null)
    };
    let answer = engine
        .aggregate(caller, body.clone(), QueryOptions::default())
        .await
        .unwrap()
        .aggregates;
    let context = format!("{query:?} {field}");
    assert_eq!(
        answer["n"],
        Value::Integer(i64::try_from(found.len()).unwrap()),
        "{context}"
    );
    assert_eq!(
        answer["min"],
        present().min().map_or(Value::Null, |value| (*value).clone()),
        "{context}"
    );
    assert_eq!(
        answer["max"],
        present().max().map_or(Value::Null, |value| (*value).clone()),
        "{context}"
    );
    let integers: i128 = values
        .iter()
        .filter_map(|value| match value {
            Value::Integer(integer) => Some(i128::from(*integer)),
            _ => None,
        })
        .sum();
    let doubles: Vec<f64> = values
        .iter()
        .filter_map(|value| match value {
            Value::Double(double) => Some(*double),
            _ => None,
        })
        .collect();
    if let (true, Ok(sum)) = (doubles.is_empty(), i64::try_from(integers)) {
        assert!(answer["sum"].is_identical(&Value::Integer(sum)), "{context}");
    } else {
        assert!(matches!(answer["sum"], Value::Double(_)), "{context}");
    }
    let only_count = AggregateBody {
        aggregates: BTreeMap::from([("n".to_owned(), Aggregate::Count)]),
        ..body
    };
    let counted = engine
        .aggregate(caller, only_count, QueryOptions::default())
        .await
        .unwrap();
    assert_eq!(counted.aggregates["n"], answer["n"], "{context}");
}

async fn check_all(
    store: Arc<dyn Store>,
    documents: &Documents,
    definitions: &[IndexDefinition],
    queries: &[Query],
    field: &FieldPath,
) {
    fill(&store, documents, definitions).await;
    let engine = open(&store);
    for query in queries {
        check_query(&engine, &OWNER, documents, query).await;
        check_aggregates(&engine, &OWNER, documents, query, field).await;
    }
    engine.close();
}

pub(crate) fn distinct(definitions: Vec<IndexDefinition>) -> Vec<IndexDefinition> {
    let mut distinct = Vec::new();
    for definition in definitions {
        if definition.check().is_ok() && !distinct.contains(&definition) {
            distinct.push(definition);
        }
    }
    distinct
}

fn run(
    store: Arc<dyn Store>,
    mut documents: Documents,
    definitions: Vec<IndexDefinition>,
    mut queries: Vec<Query>,
    field: &FieldPath,
    has_long_values: bool,
) {
    if has_long_values {
        documents
            .values_mut()
            .for_each(|map| map.values_mut().for_each(lengthen));
        queries.iter_mut().for_each(lengthen_query);
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(check_all(
        store,
        &documents,
        &distinct(definitions),
        &queries,
        field,
    ));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn answers_are_those_of_a_naive_evaluator(
        documents in btree_map(arbitrary::document_path(), arbitrary::map(), 0..24),
        definitions in vec(definition(), 0..7),
        queries in vec(arbitrary::source().prop_flat_map(arbitrary::query), 8),
        field in arbitrary::field_path(),
        has_long_values in prop::bool::weighted(0.2),
    ) {
        run(Arc::new(MemoryStore::new()), documents, definitions, queries, &field, has_long_values);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    #[test]
    fn answers_over_sqlite_are_those_of_a_naive_evaluator(
        documents in btree_map(arbitrary::document_path(), arbitrary::map(), 0..24),
        definitions in vec(definition(), 0..7),
        queries in vec(arbitrary::source().prop_flat_map(arbitrary::query), 12),
        field in arbitrary::field_path(),
        has_long_values in prop::bool::weighted(0.2),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(folder.path(), SqliteOptions::default()).unwrap();
        run(Arc::new(store), documents, definitions, queries, &field, has_long_values);
    }
}

/// A bound for the cases that random ones seldom reach: positions inside of runs of values that are cut.
#[tokio::test]
async fn bounds_and_cursors_inside_runs_of_cut_values() {
    let mut documents = Documents::new();
    for number in 0..40 {
        let text = format!("{}{}", "x".repeat(1700), number % 7);
        let data = Map::from([
            ("a".to_owned(), Value::from(text)),
            ("b".to_owned(), Value::Integer(number % 3)),
        ]);
        documents.insert(format!("c/n{number:02}").parse().unwrap(), data);
    }
    let field = |name: &str, kind| IndexField {
        field: name.parse().unwrap(),
        kind,
    };
    for kind in [IndexFieldKind::Ascending, IndexFieldKind::Descending] {
        let definition = IndexDefinition {
            collection: "c".to_owned(),
            scope: IndexScope::Collection,
            fields: vec![field("a", kind)],
        };
        let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
        fill(&store, &documents, std::slice::from_ref(&definition)).await;
        let engine = open(&store);
        for direction in ["asc", "desc"] {
            for limit in [1, 3, 50] {
                let query: Query = serde_json::from_value(serde_json::json!({
                    "from": "c", "orderBy": [["a", direction]], "limit": limit,
                }))
                .unwrap();
                check_query(&engine, &OWNER, &documents, &query).await;
                for inclusive in [true, false] {
                    let bound = Bound {
                        values: vec![Value::from(format!("{}3", "x".repeat(1700)))],
                        path: None,
                        inclusive,
                    };
                    let bounded = Query {
                        start: Some(bound.clone()),
                        offset: 2,
                        ..query.clone()
                    };
                    check_query(&engine, &OWNER, &documents, &bounded).await;
                    let bounded = Query {
                        end: Some(bound),
                        limit_to_last: true,
                        ..query.clone()
                    };
                    check_query(&engine, &OWNER, &documents, &bounded).await;
                }
            }
        }
        engine.close();
    }
}
