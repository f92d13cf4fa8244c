//! To a caller whom rules judge, the engine answers as if the documents that it may not list did not exist.
//!
//! The naive evaluator fetches everything, has each document judged for itself, and then filters, sorts and slices.

use std::sync::Arc;

use andiron_engine::{Caller, Engine, QueryOptions, RulesInForce};
use andiron_protocol::{DocumentPath, ErrorCode, FieldPath, Query, Timestamp, arbitrary};
use andiron_rules::evaluate::{Auth, DATABASE_DEFAULT, Decision, Method, Request, Target};
use andiron_store::memory::MemoryStore;
use andiron_store::{IndexDefinition, Store};
use andiron_store_sqlite::{SqliteOptions, SqliteStore};
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use proptest::sample::select;

use crate::query_naive::{
    Documents, check_aggregates, check_query, definition, distinct, fill, lengthen, lengthen_query, naive,
    open,
};
use crate::rules_support::{rules, user};

/// What rules ask of documents: what a filter can say, what it cannot, what takes look-ups, and what fails.
const ATOMS: [&str; 44] = [
    "true",
    "false",
    "resource.data.a == 1",
    "resource.data.a != 1",
    "resource.data.a == request.auth.uid",
    "request.auth.uid in resource.data.b",
    "resource.data.b == 'ab'",
    "resource.data.b == null",
    "resource.data.a > 1",
    "resource.data.a >= 1.5",
    "resource.data.b < 'b'",
    "resource.data.c <= 'ab'",
    "2 > resource.data.b",
    "resource.data.a in [1, 'a', 2.5, null]",
    "resource.data.a in []",
    "1 in resource.data.b",
    "resource.data.c.hasAny(['a', 1])",
    "resource.data.c.hasAll([1])",
    "resource.data.c.hasOnly([1, 2, 'a'])",
    "resource.data.m.a == 1",
    "resource.data.m.a is int",
    "resource.data.a is string",
    "resource.data.a is number",
    "resource.data.b is bool && resource.data.b",
    "resource.data.b",
    "'a' in resource.data",
    "'a' in resource.data.m",
    "resource.data.keys().hasAll(['a', 'b'])",
    "resource.data.keys().hasOnly(['a', 'b', 'c'])",
    "resource.data.size() > 2",
    "resource.data.get('a', 1) == 1",
    "resource.data.get(['m', 'a'], 'none') == 'none'",
    "resource.data.a == resource.data.b",
    "resource.data.b.size() > 1",
    "resource.data.b.matches('a.*')",
    "(resource.data.a == 1 ? resource.data.b == 'a' : resource.data.c == null)",
    "resource.data['$x'] == 1",
    "resource.id == 'p1'",
    "id < 'b'",
    "id in ['a', 'p1', 'p10']",
    "request.query.limit <= 3",
    "request.auth != null",
    "exists(/databases/$(db)/documents/d/$(id))",
    "get(/databases/$(db)/documents/d/$(request.auth.uid)).data.a == resource.data.a",
];

/// Atoms joined, up to three deep.
fn condition() -> BoxedStrategy<String> {
    select(ATOMS.to_vec())
        .prop_map(str::to_owned)
        .prop_recursive(3, 8, 3, |inner| {
            prop_oneof![
                (inner.clone(), inner.clone()).prop_map(|(left, right)| format!("({left} && {right})")),
                (inner.clone(), inner.clone()).prop_map(|(left, right)| format!("({left} || {right})")),
                inner.prop_map(|inner| format!("!({inner})")),
            ]
        })
        .boxed()
}

/// Rules for all documents of the universe: `c` at the root and below, for groups and without, and `d`.
pub(crate) fn ruleset() -> BoxedStrategy<String> {
    vec(condition(), 3)
        .prop_map(|conditions| {
            format!(
                "match /c/{{id}} {{ allow list: if {}; }}
                 match /{{p=**}}/c/{{id}} {{ allow list: if {}; }}
                 match /d/{{id}} {{ allow read: if {}; }}",
                conditions[0], conditions[1], conditions[2]
            )
        })
        .boxed()
}

/// The documents that may be listed.
pub(crate) fn visible(
    rules: &RulesInForce,
    uid: Option<&str>,
    documents: &Documents,
    query: &Query,
) -> Documents {
    let mut known = known(documents);
    let mut visible = documents.clone();
    visible.retain(|path, _| {
        let asked = (Method::List, path, Some(query));
        is_allowed(rules, uid, documents, &mut known, asked)
    });
    visible
}

/// Whether a document may be got.
pub(crate) fn may_get(
    rules: &RulesInForce,
    uid: Option<&str>,
    documents: &Documents,
    path: &DocumentPath,
) -> bool {
    is_allowed(
        rules,
        uid,
        documents,
        &mut known(documents),
        (Method::Get, path, None),
    )
}

fn known(documents: &Documents) -> andiron_rules::Documents {
    let mut known = andiron_rules::Documents::new();
    for (path, data) in documents {
        known.insert(path.clone(), Some(Arc::new(data.clone())));
    }
    known
}

fn is_allowed(
    rules: &RulesInForce,
    uid: Option<&str>,
    documents: &Documents,
    known: &mut andiron_rules::Documents,
    (method, path, query): (Method, &DocumentPath, Option<&Query>),
) -> bool {
    let token = andiron_protocol::Map::new();
    let request = Request {
        target: Target::Document {
            database: DATABASE_DEFAULT,
            path,
        },
        method,
        auth: uid.map(|uid| Auth { uid, token: &token }),
        time: Timestamp::from_micros_clamped(0),
        before: documents.get(path),
        after: None,
        query,
    };
    loop {
        match rules.ruleset().decide(&request, known) {
            Decision::Allow(_) => return true,
            Decision::Deny(_) => return false,
            Decision::Needs(paths) => paths.into_iter().for_each(|path| known.insert(path, None)),
        }
    }
}

/// A case drawn at random.
#[derive(Debug)]
struct World {
    documents: Documents,
    definitions: Vec<IndexDefinition>,
    rules: String,
    queries: Vec<Query>,
    field: FieldPath,
    has_long_values: bool,
    is_anonymous: bool,
}

fn world(queries: usize) -> impl Strategy<Value = World> {
    (
        btree_map(arbitrary::document_path(), arbitrary::map(), 0..24),
        vec(definition(), 0..7),
        ruleset(),
        vec(arbitrary::source().prop_flat_map(arbitrary::query), queries),
        arbitrary::field_path(),
        prop::bool::weighted(0.2),
        prop::bool::weighted(0.1),
    )
        .prop_map(
            |(documents, definitions, rules, queries, field, has_long_values, is_anonymous)| World {
                documents,
                definitions,
                rules,
                queries,
                field,
                has_long_values,
                is_anonymous,
            },
        )
}

async fn check(store: Arc<dyn Store>, mut world: World) {
    if world.has_long_values {
        let maps = world.documents.values_mut();
        maps.for_each(|map| map.values_mut().for_each(lengthen));
        world.queries.iter_mut().for_each(lengthen_query);
    }
    fill(&store, &world.documents, &distinct(world.definitions)).await;
    let engine = open(&store);
    let in_force = rules("random", &world.rules);
    engine.set_rules(Some(Arc::clone(&in_force)));
    let (caller, uid) = if world.is_anonymous {
        (Caller::Anonymous, None)
    } else {
        (user("a"), Some("a"))
    };
    for query in &world.queries {
        check_strict(&engine, &caller, &in_force, uid, &world.documents, query).await;
        let visible = visible(&in_force, uid, &world.documents, query);
        let options = QueryOptions::default();
        let sink: Vec<andiron_engine::StoredDocument> = Vec::new();
        match engine.query(&caller, query.clone(), options, sink).await {
            // Only where nothing could be seen.
            Err(error) => {
                assert_eq!(error.code(), ErrorCode::PermissionDenied, "{error} {query:?}");
                assert_eq!(naive(query, &visible), [], "{query:?} by {}", world.rules);
            }
            Ok(_) => {
                check_query(&engine, &caller, &visible, query).await;
                check_aggregates(&engine, &caller, &visible, query, &world.field).await;
            }
        }
    }
    engine.close();
}

/// A strict query is answered only if it could return nothing that may not be listed; and then with all of it.
async fn check_strict(
    engine: &Engine,
    caller: &Caller,
    rules: &RulesInForce,
    uid: Option<&str>,
    documents: &Documents,
    query: &Query,
) {
    let strict = Query {
        strict: true,
        ..query.clone()
    };
    let sink: Vec<andiron_engine::StoredDocument> = Vec::new();
    match engine
        .query(caller, strict.clone(), QueryOptions::default(), sink)
        .await
    {
        Err(error) => assert_eq!(error.code(), ErrorCode::PermissionDenied, "{error} {query:?}"),
        Ok(_) => {
            let visible = visible(rules, uid, documents, &strict);
            assert_eq!(naive(&strict, &visible), naive(&strict, documents), "{query:?}");
            check_query(engine, caller, documents, &strict).await;
        }
    }
}

fn run(store: Arc<dyn Store>, world: World) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(check(store, world));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn what_may_not_be_listed_does_not_exist(world in world(8)) {
        run(Arc::new(MemoryStore::new()), world);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    #[test]
    fn what_may_not_be_listed_does_not_exist_on_sqlite(world in world(12)) {
        let folder = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(folder.path(), SqliteOptions::default()).unwrap();
        run(Arc::new(store), world);
    }
}
