//! Every route that the planner thinks of, not only the one that it takes, leads to what a naive evaluator finds.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::time::Instant;

use andiron_protocol::{
    Bound, CollectionPath, Direction, DocumentPath, FieldPath, FieldRef, Filter, Map, OrderBy, Query, Source,
    Value, Version, arbitrary, write_data_json,
};
use andiron_store::memory::MemoryStore;
use andiron_store::{
    Commit, CommitOutcome, DocumentRow, DocumentWrite, IndexDefinition, IndexField, IndexFieldKind,
    IndexScope, Snapshot, Store, StoredDocument,
};
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use proptest::sample::{select, subsequence};

use super::page::{LastPage, Outlet, Page, PageBounds, Receiver};
use super::planner::routes;
use super::reads::Reads;
use super::request::Request;
use super::{cursor, executor};
use crate::EngineError;
use crate::QueryLimits;
use crate::indexes::IndexSet;

type Documents = BTreeMap<DocumentPath, Map>;

/// The fields that everything here is about.
const FIELDS: [&str; 3] = ["a", "b", "c"];

fn field(name: &str) -> FieldPath {
    name.parse().unwrap()
}

fn scalar() -> BoxedStrategy<Value> {
    prop_oneof![
        1 => Just(Value::Null),
        6 => (0i64..4).prop_map(Value::Integer),
        2 => (0i32..8).prop_map(|halves| Value::Double(f64::from(halves) / 2.0)),
        1 => select(vec![f64::NAN, -0.0, f64::INFINITY]).prop_map(Value::Double),
        1 => any::<bool>().prop_map(Value::Boolean),
        3 => select(vec!["", "a", "ab", "abc", "b"]).prop_map(Value::from),
        // Longer than a key has room for, with the same beginning.
        2 => (0..3, 1498..1502_usize).prop_map(|(end, length)| Value::from(format!("{}{end}", "x".repeat(length)))),
    ]
    .boxed()
}

fn value() -> BoxedStrategy<Value> {
    prop_oneof![
        3 => scalar(),
        1 => vec(scalar(), 0..4).prop_map(Value::Array),
        // More elements than an index takes.
        1 => scalar().prop_map(|value| Value::Array((0..1200).map(Value::Integer).chain([value]).collect())),
    ]
    .boxed()
}

fn map() -> BoxedStrategy<Map> {
    let present = || proptest::option::weighted(0.9, value());
    (present(), present(), present())
        .prop_map(|(a, b, c)| {
            let fields = FIELDS.iter().zip([a, b, c]);
            fields
                .filter_map(|(name, value)| Some(((*name).to_owned(), value?)))
                .collect()
        })
        .boxed()
}

fn documents() -> BoxedStrategy<Documents> {
    let path = (
        select(vec!["c", "c", "c/a/c", "d"]),
        select(arbitrary::IDS.to_vec()),
    )
        .prop_map(|(collection, id)| format!("{collection}/{id}").parse().unwrap());
    btree_map(path, map(), 0..16).boxed()
}

fn definition() -> BoxedStrategy<IndexDefinition> {
    let kinds = vec(
        select(vec![IndexFieldKind::Ascending, IndexFieldKind::Descending]),
        3,
    );
    (
        select(vec![
            IndexScope::Collection,
            IndexScope::Collection,
            IndexScope::Group,
        ]),
        subsequence(FIELDS.to_vec(), 0..=3).prop_shuffle(),
        kinds,
        proptest::option::weighted(0.3, 0..3_usize),
    )
        .prop_map(|(scope, fields, mut kinds, elements)| {
            if let Some(elements) = elements {
                kinds[elements] = IndexFieldKind::Elements;
            }
            let fields = fields.into_iter().zip(kinds);
            IndexDefinition {
                collection: "c".to_owned(),
                scope,
                fields: fields
                    .map(|(name, kind)| IndexField {
                        field: field(name),
                        kind,
                    })
                    .collect(),
            }
        })
        .boxed()
}

fn filter() -> BoxedStrategy<Filter> {
    use andiron_protocol::Operator;
    let comparison = (
        select(FIELDS.to_vec()),
        select(Operator::ALL.to_vec()),
        vec(value(), 0..4),
        value(),
    )
        .prop_map(|(name, operator, list, single)| {
            let constant = match operator {
                Operator::Exists => Value::Boolean(single.as_boolean().unwrap_or(true)),
                Operator::StartsWith => Value::from(match single.as_str() {
                    Some(text) => text.trim_end_matches('2').to_owned(),
                    None => "a".to_owned(),
                }),
                operator if operator.takes_list() => Value::Array(list),
                _ => single,
            };
            Filter::compare(FieldRef::Field(field(name)), operator, constant).unwrap()
        });
    let id = arbitrary::comparison(&[FieldRef::Id]);
    let atom = prop_oneof![8 => comparison, 1 => id];
    prop_oneof![
        4 => vec(atom.clone(), 1..4).prop_map(Filter::And),
        2 => vec(vec(atom.clone(), 1..3).prop_map(Filter::And), 1..4).prop_map(Filter::Or),
        1 => (atom.clone(), vec(atom.clone(), 1..3)).prop_map(|(first, rest)| {
            Filter::And(vec![first, Filter::Or(rest)])
        }),
        1 => atom.prop_map(|atom| Filter::Not(Box::new(atom))),
    ]
    .boxed()
}

fn query() -> BoxedStrategy<Query> {
    let orders = (
        subsequence(vec!["a", "b", "c", "__id__"], 0..=3).prop_shuffle(),
        vec(select(vec![Direction::Ascending, Direction::Descending]), 3),
    );
    (
        select(vec![
            Source::Collection("c".parse().unwrap()),
            Source::Collection("c".parse().unwrap()),
            Source::Collection("c/a/c".parse().unwrap()),
            Source::Group("c".to_owned()),
        ]),
        proptest::option::weighted(0.8, filter()),
        orders,
        (0u32..3, 1u32..6, any::<bool>()),
        (
            proptest::option::weighted(0.3, bound()),
            proptest::option::weighted(0.3, bound()),
        ),
    )
        .prop_map(
            |(from, filter, (fields, directions), (offset, limit, limit_to_last), (start, end))| {
                let order = |(name, direction): (&str, Direction)| OrderBy {
                    field: name.parse().unwrap(),
                    direction,
                };
                let mut query = Query {
                    filter,
                    order_by: fields.into_iter().zip(directions).map(order).collect(),
                    offset,
                    limit: Some(limit),
                    limit_to_last,
                    ..Query::all(from)
                };
                let order = query.normalized_order();
                let fit = |(mut bound, path): (Bound, DocumentPath)| {
                    bound.values.truncate(order.len());
                    for (order, value) in order.iter().zip(&mut bound.values) {
                        if order.field == FieldRef::Id {
                            *value = Value::from(path.id());
                        }
                    }
                    if bound.values.len() == order.len() {
                        bound.path = Some(path).filter(|_| bound.inclusive || order.is_empty());
                    }
                    bound
                };
                query.start = start.map(fit);
                query.end = end.map(fit);
                query
            },
        )
        .boxed()
}

fn bound() -> BoxedStrategy<(Bound, DocumentPath)> {
    let path = (
        select(vec!["c", "c", "c/a/c", "d"]),
        select(arbitrary::IDS.to_vec()),
    )
        .prop_map(|(collection, id)| format!("{collection}/{id}").parse().unwrap());
    (vec(scalar(), 1..5), any::<bool>(), path)
        .prop_map(|(values, inclusive, path)| {
            let bound = Bound {
                values,
                path: None,
                inclusive,
            };
            (bound, path)
        })
        .boxed()
}

fn store(documents: &Documents, definitions: &[IndexDefinition]) -> MemoryStore {
    let store = MemoryStore::new();
    let mut group = store.begin().unwrap();
    for (number, (path, data)) in (1..).zip(documents) {
        let mut json = Vec::new();
        write_data_json(data, &mut json);
        let write = DocumentWrite {
            path: path.clone(),
            before: None,
            after: Some(String::from_utf8(json).unwrap().into()),
            entries: Vec::new(),
        };
        let commit = Commit {
            writes: vec![write],
            ..Commit::default()
        };
        assert_eq!(
            group.apply(&commit, Version::from_micros(number)).unwrap(),
            CommitOutcome::Applied
        );
    }
    for definition in definitions {
        let index = group.create_index(definition).unwrap();
        let entries: Vec<_> = documents
            .iter()
            .filter(|(path, _)| path.collection().name() == definition.collection)
            .flat_map(|(path, data)| {
                let keys = definition.entry_keys(path, data);
                keys.into_iter().map(|key| (key, path.clone()))
            })
            .collect();
        group.add_entries(index, &entries).unwrap();
        group.finish_index(index).unwrap();
    }
    group.finish().unwrap();
    store
}

fn naive(query: &Query, documents: &Documents) -> Vec<DocumentPath> {
    let order = query.normalized_order();
    let mut found: Vec<_> = documents
        .iter()
        .filter(|(path, data)| query.matches(path, data))
        .collect();
    found.sort_by(|left, right| query.compare(&order, (left.0, left.1), (right.0, right.1)));
    found.into_iter().map(|(path, _)| path.clone()).collect()
}

fn paths(documents: &[StoredDocument]) -> Vec<DocumentPath> {
    documents.iter().map(|document| document.path.clone()).collect()
}

/// A receiver that only collects paths.
struct Paths(Vec<DocumentPath>);

impl Receiver for Paths {
    fn wants_data(&self) -> bool {
        false
    }

    fn receive(&mut self, row: &DocumentRow<'_>, _data: Option<Map>) -> Result<ControlFlow<()>, EngineError> {
        self.0.push(row.to_stored()?.path);
        Ok(ControlFlow::Continue(()))
    }
}

fn reads() -> Reads {
    Reads::new(&QueryLimits::default(), false, Instant::now())
}

/// Follows every route of a query, for each of its pages; gives the kinds of routes there were.
fn check_routes(
    query: &Query,
    documents: &Documents,
    indexes: &IndexSet,
    snapshot: &dyn Snapshot,
) -> BTreeSet<String> {
    let mut kinds = BTreeSet::new();
    let all = naive(query, documents);
    let offset = (query.offset as usize).min(all.len());
    let limit = query.limit.unwrap() as usize;

    // In order, as pages.
    let mut request = Request::new(query);
    let expected = if query.limit_to_last {
        let rest = &all[offset..];
        &rest[rest.len().saturating_sub(limit)..]
    } else {
        &all[offset..all.len().min(offset + limit)]
    };
    let bounds = PageBounds {
        skip: u64::from(query.offset),
        take: limit as u64,
        looks_ahead: !query.limit_to_last,
    };
    for route in routes(&request, indexes, snapshot).unwrap() {
        kinds.insert(format!("{:?} {:?}", route.delivery, route.is_proven()));
        let mut found: Vec<StoredDocument> = Vec::new();
        let outlet = Outlet::new(&mut found, query);
        if query.limit_to_last {
            let mut page = LastPage::new(outlet, bounds, usize::MAX);
            executor::execute(
                &request,
                &route,
                bounds.wanted(),
                snapshot,
                None,
                &mut reads(),
                &mut page,
            )
            .unwrap();
            page.finish().unwrap();
        } else {
            let mut page = Page::new(outlet, bounds);
            executor::execute(
                &request,
                &route,
                bounds.wanted(),
                snapshot,
                None,
                &mut reads(),
                &mut page,
            )
            .unwrap();
            assert!(
                page.has_more || all.len() <= offset + limit,
                "{query:?} by {route:?}"
            );
        }
        assert_eq!(paths(&found), expected, "{query:?} by {route:?}");
    }

    // After a cursor.
    if let (false, Some(last)) = (query.limit_to_last, expected.last()) {
        let document = snapshot.get_stored(last).unwrap().unwrap();
        let row = DocumentRow {
            collection: last.collection_str(),
            id: last.id(),
            version: document.version,
            created: document.created,
            data: &document.data,
        };
        let text = cursor::write(&request, &row, snapshot.version().unwrap(), None).unwrap();
        let cursor = cursor::read(query, &request.order, &text).unwrap();
        request.after = Some(cursor.position(&request, snapshot, None).unwrap());
        for route in routes(&request, indexes, snapshot).unwrap() {
            let mut found: Vec<StoredDocument> = Vec::new();
            let bounds = PageBounds { skip: 0, ..bounds };
            let mut page = Page::new(Outlet::new(&mut found, query), bounds);
            executor::execute(
                &request,
                &route,
                bounds.wanted(),
                snapshot,
                None,
                &mut reads(),
                &mut page,
            )
            .unwrap();
            let rest = &all[offset + expected.len()..];
            assert_eq!(
                paths(&found),
                &rest[..rest.len().min(limit)],
                "{query:?} after {last} by {route:?}"
            );
        }
    }

    // In any order, each once.
    let mut request = Request::new(query);
    request.wants_order = false;
    let expected: BTreeSet<_> = all.iter().cloned().collect();
    for route in routes(&request, indexes, snapshot).unwrap() {
        let mut found = Paths(Vec::new());
        executor::execute(
            &request,
            &route,
            u64::MAX,
            snapshot,
            None,
            &mut reads(),
            &mut found,
        )
        .unwrap();
        assert_eq!(found.0.len(), expected.len(), "{query:?} by {route:?}");
        assert_eq!(
            found.0.into_iter().collect::<BTreeSet<_>>(),
            expected,
            "{query:?} by {route:?}"
        );
        if route.is_countable() {
            let collection: Option<&CollectionPath> = match &query.from {
                Source::Collection(collection) => Some(collection),
                Source::Group(_) => None,
            };
            let counted: u64 = route
                .legs
                .iter()
                .map(|leg| leg.size(collection, snapshot, u64::MAX).unwrap())
                .sum();
            assert_eq!(counted, expected.len() as u64, "{query:?} counted by {route:?}");
        }
    }
    kinds
}

fn check(documents: &Documents, definitions: Vec<IndexDefinition>, queries: &[Query]) -> BTreeSet<String> {
    let mut distinct = Vec::new();
    for definition in definitions {
        if !distinct.contains(&definition) {
            distinct.push(definition);
        }
    }
    let store = store(documents, &distinct);
    let snapshot = store.snapshot().unwrap();
    let indexes = IndexSet::default().following(snapshot.indexes().unwrap());
    queries
        .iter()
        .flat_map(|query| check_routes(query, documents, &indexes, snapshot.as_ref()))
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, ..ProptestConfig::default() })]

    #[test]
    fn every_route_leads_to_the_same_result(
        documents in documents(),
        definitions in vec(definition(), 4..10),
        queries in vec(query(), 6),
    ) {
        check(&documents, definitions, &queries);
    }
}

/// The property above is worth nothing if the routes that are hard to follow do not turn up.
#[test]
fn routes_of_every_kind_turn_up() {
    use proptest::strategy::ValueTree;
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let strategy = (documents(), vec(definition(), 4..10), vec(query(), 10));
    let mut missing: BTreeSet<String> = ["Ordered", "Merged", "Unordered"]
        .iter()
        .flat_map(|delivery| [true, false].map(|is_proven| format!("{delivery} {is_proven}")))
        .collect();
    let mut rounds = 0;
    while !missing.is_empty() {
        rounds += 1;
        assert!(rounds < 150, "no route was {missing:?}");
        let (documents, definitions, queries) = strategy.new_tree(&mut runner).unwrap().current();
        for kind in check(&documents, definitions, &queries) {
            missing.remove(&kind);
        }
    }
}

/// What random queries seldom meet: documents of several branches, cut values in scans that are merged, and bounds whose
/// second value is that of an equality.
#[test]
fn routes_that_random_queries_seldom_take() {
    let documents: Documents = (0..24_i64)
        .map(|n| {
            let data = Map::from([
                ("a".to_owned(), Value::Integer(n % 2)),
                ("b".to_owned(), Value::Integer(n % 3)),
                (
                    "c".to_owned(),
                    Value::from(format!("{}{}", "x".repeat(1600), (n * 7) % 24)),
                ),
                ("d".to_owned(), Value::Integer((n * 5) % 24 / 2)),
                ("e".to_owned(), Value::Integer(n % 5)),
            ]);
            (format!("c/n{n:02}").parse().unwrap(), data)
        })
        .collect();
    let definition = |fields: &[&str]| IndexDefinition {
        collection: "c".to_owned(),
        scope: IndexScope::Collection,
        fields: fields
            .iter()
            .map(|name| IndexField {
                field: field(name),
                kind: IndexFieldKind::Ascending,
            })
            .collect(),
    };
    let definitions = [
        &["a"][..],
        &["b"],
        &["a", "c"],
        &["b", "c"],
        &["a", "d"],
        &["b", "d"],
    ]
    .map(definition);
    let mut queries = Vec::new();
    for direction in ["asc", "desc"] {
        for limit in [3, 100] {
            for by in ["c", "d", "e"] {
                for filter in [
                    serde_json::json!(["or", ["a", "==", 1], ["b", "==", 1]]),
                    serde_json::json!(["a", "in", [0, 1]]),
                ] {
                    queries.push(serde_json::json!({"from": "c", "where": filter, "orderBy": [[by, direction]], "limit": limit}));
                }
            }
            for (bound, value) in [
                ("startAt", 0.5),
                ("startAfter", 1.5),
                ("endAt", 0.5),
                ("endBefore", 1.5),
            ] {
                queries.push(serde_json::json!({
                    "from": "c", "where": ["a", "==", 1], "orderBy": [["d", direction], ["a", direction]],
                    bound: [5, value], "limit": limit,
                }));
            }
        }
    }
    let queries: Vec<Query> = queries
        .into_iter()
        .map(|query| serde_json::from_value(query).unwrap())
        .collect();
    check(&documents, definitions.to_vec(), &queries);
}
