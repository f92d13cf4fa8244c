//! What queries cost, where their pages end, and what they refuse.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use andiron_engine::{
    Caller, DocumentRow, DocumentSink, Engine, EngineError, EngineOptions, Plan, QueryEnd, QueryLimits,
    QueryOptions, StoredDocument, Surroundings, parse_index_file,
};
use andiron_protocol::{AggregateBody, ErrorCode, Query, Value};
use andiron_store::Store;
use andiron_store::memory::MemoryStore;
use andiron_store_sqlite::{Durability, SqliteOptions, SqliteStore};
use serde_json::{Value as Json, json};

use crate::query_naive::build;
use crate::support::{OWNER, TestEngine, commit_body};

fn query(query: Json) -> Query {
    serde_json::from_value(query).unwrap()
}

async fn run(engine: &Engine, query: Query) -> Result<(Vec<StoredDocument>, QueryEnd), EngineError> {
    engine
        .query(&OWNER, query, QueryOptions::default(), Vec::new())
        .await
}

async fn explained(engine: &Engine, wanted: Json) -> (Vec<StoredDocument>, Plan) {
    let options = QueryOptions {
        explain: true,
        stream: false,
    };
    let (found, end) = engine
        .query(&OWNER, query(wanted), options, Vec::new())
        .await
        .unwrap();
    (found, end.plan.unwrap())
}

async fn refused(engine: &Engine, wanted: Json) -> EngineError {
    run(engine, query(wanted)).await.unwrap_err()
}

async fn count(engine: &Engine, from: Json) -> Value {
    let body: AggregateBody =
        serde_json::from_value(json!({"query": from, "aggregates": {"n": ["count"]}})).unwrap();
    let aggregated = engine
        .aggregate(&OWNER, body, QueryOptions::default())
        .await
        .unwrap();
    aggregated.aggregates["n"].clone()
}

fn ids(documents: &[StoredDocument]) -> Vec<&str> {
    documents.iter().map(|document| document.path.id()).collect()
}

async fn fill(engine: &Engine, count: usize) {
    let writes: Vec<Json> = (0..count)
        .map(|n| {
            let data = json!({"n": n, "group": n % 10, "rare": n % 500 == 3, "label": format!("l{}", n % 100), "tags": [n % 7, "all"]});
            json!({"set": format!("posts/d{n:06}"), "data": data})
        })
        .collect();
    for writes in writes.chunks(500) {
        engine
            .commit(&OWNER, commit_body(json!({ "writes": writes })), None)
            .await
            .unwrap();
    }
}

/// An engine over documents and indexes that are there from the beginning.
async fn engine_with(count: usize, indexes: Json, limits: QueryLimits) -> Engine {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let engine = Engine::open(
        Arc::clone(&store),
        EngineOptions::default(),
        Surroundings::system(),
    )
    .unwrap();
    fill(&engine, count).await;
    engine.close();
    build(
        store.as_ref(),
        &parse_index_file(&json!({ "indexes": indexes }).to_string()).unwrap(),
    );
    let options = EngineOptions {
        query: limits,
        ..EngineOptions::default()
    };
    Engine::open(store, options, Surroundings::system()).unwrap()
}

fn usual_indexes() -> Json {
    json!([
        {"collection": "posts", "fields": [["group", "asc"]]},
        {"collection": "posts", "fields": [["group", "asc"], ["n", "asc"]]},
        {"collection": "posts", "fields": [["label", "asc"]]},
        {"collection": "posts", "fields": [["tags", "elements"], ["n", "asc"]]},
    ])
}

/// Queries that an index serves read what they return, however much there is.
#[tokio::test]
async fn an_indexed_query_costs_what_it_returns() {
    for size in [2_000, 8_000] {
        let engine = engine_with(size, usual_indexes(), QueryLimits::default()).await;
        for wanted in [
            json!({"from": "posts", "limit": 20}),
            json!({"from": "posts", "where": ["group", "==", 3], "orderBy": [["n", "desc"]], "limit": 20}),
            json!({"from": "posts", "where": ["and", ["group", "==", 3], ["n", ">", 500]], "limit": 20}),
            json!({"from": "posts", "where": ["group", "in", [3, 4, 5]], "orderBy": [["n", "asc"]], "limit": 20}),
            json!({"from": "posts", "where": ["group", "!=", 3], "orderBy": [["group", "asc"], ["n", "asc"]], "limit": 20}),
            json!({"from": "posts", "where": ["label", "starts-with", "l7"], "limit": 20}),
            json!({"from": "posts", "where": ["tags", "array-contains", "all"], "orderBy": [["n", "desc"]], "limit": 20}),
            json!({"from": "posts", "where": ["or", ["group", "==", 1], ["tags", "array-contains", 2]], "orderBy": [["n", "asc"]], "limit": 20}),
            json!({"from": "posts", "where": ["group", "==", 3], "orderBy": [["n", "asc"]], "limit": 20, "limitToLast": true}),
            json!({"from": "posts", "where": ["group", "==", 3], "orderBy": [["n", "asc"]], "startAfter": [1000], "limit": 20}),
            json!({"from": "posts", "orderBy": [["__id__", "desc"]], "startAt": ["d001500"], "limit": 20}),
            json!({"from": "posts", "where": ["__id__", "in", ["d000001", "d000005", "nowhere"]], "limit": 20}),
        ] {
            let (found, plan) = explained(&engine, wanted.clone()).await;
            assert!(!found.is_empty(), "{wanted}");
            assert!(
                plan.entries_read <= 50 && plan.documents_read <= 50,
                "{wanted} over {size}: {plan:?}"
            );
        }
        let (_, plan) = explained(&engine, json!({"from": "posts", "where": ["group", "==", 3], "orderBy": [["n", "asc"]], "offset": 150, "limit": 20})).await;
        assert_eq!(
            (plan.entries_read, plan.documents_read),
            (150 + 21, 21),
            "what is passed over is not read"
        );
        engine.close();
    }
}

#[tokio::test]
async fn a_count_by_an_index_reads_no_document() {
    let engine = engine_with(5_000, usual_indexes(), QueryLimits::default()).await;
    for (wanted, expected) in [
        (json!({"from": "posts"}), 5_000),
        (json!({"from": "posts", "where": ["group", "==", 3]}), 500),
        (json!({"from": "posts", "where": ["group", "in", [3, 4]]}), 1_000),
        (
            json!({"from": "posts", "where": ["and", ["group", "==", 3], ["n", "<", 1000]], "offset": 10, "limit": 50}),
            50,
        ),
        (
            json!({"from": "posts", "where": ["tags", "array-contains-any", [1, 2, "all"]]}),
            5_000,
        ),
    ] {
        assert_eq!(
            count(&engine, wanted.clone()).await,
            Value::Integer(expected),
            "{wanted}"
        );
    }
    let body: AggregateBody = serde_json::from_value(
        json!({"query": {"from": "posts", "where": ["group", "==", 3]}, "aggregates": {"n": ["count"]}}),
    )
    .unwrap();
    let options = QueryOptions {
        explain: true,
        stream: false,
    };
    let plan = engine
        .aggregate(&OWNER, body, options)
        .await
        .unwrap()
        .plan
        .unwrap();
    assert_eq!((plan.entries_read, plan.documents_read), (500, 0));
    engine.close();
}

#[tokio::test]
async fn a_page_ends_at_its_limit_and_its_cursor_goes_on() {
    let test = TestEngine::start();
    fill(&test.engine, 2_500).await;
    // No limit: pages of a hundred.
    let (found, end) = run(&test.engine, query(json!({"from": "posts"}))).await.unwrap();
    assert_eq!(found.len(), 100);
    assert!(end.cursor.is_some());
    // A limit larger than a page is met in several, and not exceeded.
    let mut wanted = query(json!({"from": "posts", "orderBy": [["group", "asc"]], "limit": 2_300}));
    let mut sizes = Vec::new();
    loop {
        let (found, end) = run(&test.engine, wanted.clone()).await.unwrap();
        sizes.push(found.len());
        match end.cursor {
            Some(cursor) => wanted.cursor = Some(cursor),
            None => break,
        }
    }
    assert_eq!(sizes, [1000, 1000, 300]);
    // A cursor is given only if there may be more.
    for (limit, has_more) in [(249, true), (250, false), (251, false)] {
        let wanted = query(json!({"from": "posts", "where": ["group", "==", 3], "limit": limit}));
        let (found, end) = run(&test.engine, wanted).await.unwrap();
        assert_eq!((found.len(), end.cursor.is_some()), (limit.min(250), has_more));
    }
    let (found, end) = run(&test.engine, query(json!({"from": "posts", "limit": 0})))
        .await
        .unwrap();
    assert_eq!((found.len(), end.cursor), (0, None));
    let error = refused(
        &test.engine,
        json!({"from": "posts", "limit": 1001, "limitToLast": true}),
    )
    .await;
    assert_eq!(error.code(), ErrorCode::InvalidArgument);
}

#[tokio::test]
async fn a_cursor_of_another_query_or_of_nobody_is_refused() {
    let test = TestEngine::start();
    fill(&test.engine, 300).await;
    let first = json!({"from": "posts", "where": ["group", "==", 3], "orderBy": [["n", "asc"]], "limit": 5});
    let (_, end) = run(&test.engine, query(first.clone())).await.unwrap();
    let cursor = end.cursor.unwrap();
    let with = |change: Json, cursor: &str| {
        let mut changed = first.clone();
        for (key, value) in change.as_object().unwrap() {
            changed[key] = value.clone();
        }
        changed["cursor"] = json!(cursor);
        changed
    };
    // What does not change the result or its order may change between pages.
    for same in [
        json!({}),
        json!({"limit": 7}),
        json!({"select": ["n"]}),
        json!({"offset": 3}),
    ] {
        let (found, _) = run(&test.engine, query(with(same.clone(), &cursor)))
            .await
            .unwrap();
        assert_eq!(found[0].path.id(), "d000053", "{same}");
    }
    for other in [
        json!({"where": ["group", "==", 4]}),
        json!({"orderBy": [["n", "desc"]]}),
        json!({"from": "comments"}),
        json!({"from": {"group": "posts"}}),
        json!({"startAt": [0]}),
    ] {
        let error = refused(&test.engine, with(other.clone(), &cursor)).await;
        assert_eq!(error.code(), ErrorCode::InvalidArgument, "{other}");
        assert!(
            error
                .to_string()
                .starts_with("the cursor is not one that a page of this query ended with"),
            "{error}"
        );
    }
    let mut flipped = cursor.clone().into_bytes();
    let middle = flipped.len() / 2;
    flipped[middle] = if flipped[middle] == b'A' { b'B' } else { b'A' };
    for garbage in [
        "",
        "garbage",
        "AQ",
        "%%%",
        "AQAAAAAAAAAAAAAAAAAA",
        &"A".repeat(100_000),
        std::str::from_utf8(&flipped).unwrap(),
    ] {
        let error = refused(&test.engine, with(json!({}), garbage)).await;
        assert_eq!(error.code(), ErrorCode::InvalidArgument);
    }
}

/// Pages over a collection in which others write all the time: what stays comes once, whatever else happens.
#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn pages_under_writes_neither_skip_nor_repeat() {
    let folder = tempfile::tempdir().unwrap();
    let options = SqliteOptions {
        durability: Durability::Relaxed,
        ..SqliteOptions::default()
    };
    let store = SqliteStore::open(folder.path(), options).unwrap();
    let engine = Engine::open(Arc::new(store), EngineOptions::default(), Surroundings::system()).unwrap();
    fill(&engine, 600).await;
    let writer = {
        let engine = engine.clone();
        tokio::spawn(async move {
            for round in 0..400_usize {
                // Documents 0 to 299 stay as they are; others come, go and move.
                let moving = format!("posts/d{:06}", 300 + round * 7 % 300);
                let write = match round % 3 {
                    0 => json!({"delete": moving}),
                    1 => json!({"merge": moving, "data": {"n": round * 31 % 700, "group": round % 10}}),
                    _ => {
                        json!({"set": format!("posts/x{round}"), "data": {"n": round % 300, "group": round % 10, "label": "l1"}})
                    }
                };
                engine
                    .commit(&OWNER, commit_body(json!({ "writes": [write] })), None)
                    .await
                    .unwrap();
            }
        })
    };
    while !writer.is_finished() {
        for wanted in [
            json!({"from": "posts", "orderBy": [["n", "desc"]], "limit": 17}),
            json!({"from": "posts", "limit": 40}),
            json!({"from": "posts", "orderBy": [["group", "asc"], ["label", "desc"]], "limit": 23}),
        ] {
            let mut wanted = query(wanted);
            let mut seen: Vec<String> = Vec::new();
            loop {
                let (found, end) = run(&engine, wanted.clone()).await.unwrap();
                seen.extend(ids(&found).into_iter().map(str::to_owned));
                match end.cursor {
                    Some(cursor) => wanted.cursor = Some(cursor),
                    None => break,
                }
            }
            let staying: Vec<&String> = seen.iter().filter(|id| id.as_str() < "d000300").collect();
            let distinct: BTreeSet<&String> = staying.iter().copied().collect();
            assert_eq!((staying.len(), distinct.len()), (300, 300), "{wanted:?}");
        }
    }
    writer.await.unwrap();
    engine.settle_indexes().await.unwrap();
    assert!(
        !engine.indexes(&OWNER).unwrap().is_empty(),
        "the pages went over to indexes on the way"
    );
    engine.close();
}

/// The last document of a page has a value that is too long for a cursor, and changes or goes before the next page.
#[tokio::test]
async fn a_cursor_after_a_long_value_survives_the_document() {
    for change in [
        json!({"delete": "c/d2"}),
        json!({"set": "c/d2", "data": {"a": "changed"}}),
    ] {
        let test = TestEngine::start();
        let writes: Vec<Json> = (0..6)
            .map(|n| json!({"set": format!("c/d{n}"), "data": {"a": format!("{}{n}", "x".repeat(3000))}}))
            .collect();
        test.write(json!(writes)).await;
        let mut wanted = query(json!({"from": "c", "orderBy": [["a", "asc"]], "limit": 3}));
        let (found, end) = run(&test.engine, wanted.clone()).await.unwrap();
        assert_eq!(ids(&found), ["d0", "d1", "d2"]);
        let cursor = end.cursor.unwrap();
        assert!(cursor.len() < 300, "{} characters", cursor.len());
        test.write(json!([change])).await;
        wanted.cursor = Some(cursor);
        let (found, _) = run(&test.engine, wanted).await.unwrap();
        assert_eq!(ids(&found), ["d3", "d4", "d5"]);
    }
}

#[tokio::test]
async fn limits_are_met_with_an_error_that_says_what_would_help() {
    let limits = QueryLimits {
        reads_max: 1_000,
        ..QueryLimits::default()
    };
    let engine = engine_with(3_000, json!([]), limits).await;
    let costly = json!({"from": "posts", "where": ["label", "==", "l7"], "orderBy": [["n", "desc"]]});
    let error = refused(&engine, costly.clone()).await;
    assert_eq!(error.code(), ErrorCode::ResourceExhausted);
    insta::assert_snapshot!(error, @r#"the query read 1001 entries and documents, which is the limit, before its answer was complete; an index would help; in `andiron.indexes.json`: {"collection":"posts","fields":[["label","asc"],["n","asc"]]}"#);
    // It brings about the index all the same.
    refused(&engine, costly.clone()).await;
    engine.settle_indexes().await.unwrap();
    let (found, _) = run(&engine, query(costly.clone())).await.unwrap();
    assert_eq!(found.len(), 30);
    let costly =
        json!({"from": "posts", "where": ["tags", "array-contains", 3], "orderBy": [["group", "desc"]]});
    refused(&engine, costly.clone()).await;
    // A stream is free of it.
    let options = QueryOptions {
        explain: false,
        stream: true,
    };
    let (found, _) = engine
        .query(
            &OWNER,
            query(costly.clone()),
            options,
            Vec::<StoredDocument>::new(),
        )
        .await
        .unwrap();
    assert_eq!(found.len(), 429);
    engine.close();

    let limits = QueryLimits {
        time_max: Duration::ZERO,
        ..QueryLimits::default()
    };
    let engine = engine_with(300, json!([]), limits).await;
    let error = refused(&engine, costly.clone()).await;
    assert_eq!(error.code(), ErrorCode::DeadlineExceeded);
    engine.close();

    let limits = QueryLimits {
        sort_bytes_max: 10_000,
        ..QueryLimits::default()
    };
    let engine = engine_with(300, json!([]), limits).await;
    let error = refused(
        &engine,
        json!({"from": "posts", "orderBy": [["label", "desc"]], "limit": 200}),
    )
    .await;
    assert_eq!(error.code(), ErrorCode::ResourceExhausted);
    assert!(
        error
            .to_string()
            .contains("putting the result in order takes more than 10000 bytes"),
        "{error}"
    );
    // Few documents are put in order in little memory, even if they are looked up again in the end.
    let (found, _) = run(
        &engine,
        query(json!({"from": "posts", "orderBy": [["label", "desc"]], "limit": 12})),
    )
    .await
    .unwrap();
    assert_eq!(ids(&found)[..3], ["d000299", "d000199", "d000099"]);
    engine.close();
}

/// A plan as a user sees it, without what differs from run to run.
fn shown(plan: &Plan) -> String {
    let mut json = serde_json::to_value(plan).unwrap();
    json["timeMicros"] = json!(0);
    serde_json::to_string_pretty(&json).unwrap()
}

#[tokio::test]
async fn a_plan_tells_what_was_read_and_what_would_help() {
    let engine = engine_with(1_000, usual_indexes(), QueryLimits::default()).await;
    let (_, plan) = explained(
        &engine,
        json!({"from": "posts", "where": ["and", ["group", "==", 3], ["n", "<", 500]], "orderBy": [["n", "desc"]], "limit": 10}),
    )
    .await;
    insta::assert_snapshot!(shown(&plan), @r#"
    {
      "advice": null,
      "direction": "backward",
      "documentsRead": 11,
      "documentsReturned": 10,
      "entriesRead": 11,
      "filtered": false,
      "index": "posts(group asc, n asc)",
      "order": "scan",
      "ranges": [
        [
          "[\"group\",\"==\",3]",
          "[\"n\",\"<\",500]"
        ]
      ],
      "scan": "index",
      "timeMicros": 0
    }
    "#);
    let (_, plan) = explained(
        &engine,
        json!({"from": "posts", "where": ["rare", "==", true], "orderBy": [["label", "asc"], ["n", "desc"]]}),
    )
    .await;
    insta::assert_snapshot!(shown(&plan), @r#"
    {
      "advice": "an index would help; in `andiron.indexes.json`: {\"collection\":\"posts\",\"fields\":[[\"rare\",\"asc\"],[\"label\",\"asc\"],[\"n\",\"desc\"]]}",
      "direction": "forward",
      "documentsRead": 1000,
      "documentsReturned": 2,
      "entriesRead": 0,
      "filtered": true,
      "index": null,
      "order": "sort",
      "ranges": [
        []
      ],
      "scan": "collection",
      "timeMicros": 0
    }
    "#);
    let (_, plan) = explained(
        &engine,
        json!({"from": "posts", "where": ["or", ["group", "==", 1], ["tags", "array-contains", 2]], "orderBy": [["n", "asc"]], "limit": 3}),
    )
    .await;
    insta::assert_snapshot!(shown(&plan), @r#"
    {
      "advice": null,
      "direction": "forward",
      "documentsRead": 8,
      "documentsReturned": 3,
      "entriesRead": 8,
      "filtered": false,
      "index": "posts(group asc, n asc) + posts(tags elements, n asc)",
      "order": "merge",
      "ranges": [
        [
          "[\"group\",\"==\",1]"
        ],
        [
          "[\"tags\",\"array-contains\",2]"
        ]
      ],
      "scan": "index",
      "timeMicros": 0
    }
    "#);
    engine.close();
}

#[tokio::test]
async fn only_administrators_get_explanations_and_documents() {
    let test = TestEngine::start();
    let options = QueryOptions::default();
    let refused = test
        .engine
        .query(
            &Caller::Anonymous,
            query(json!({"from": "posts"})),
            options,
            Vec::<StoredDocument>::new(),
        )
        .await;
    assert_eq!(refused.unwrap_err().code(), ErrorCode::PermissionDenied);
    let refused = test
        .engine
        .query(
            &OWNER,
            query(json!({"from": "_keys"})),
            options,
            Vec::<StoredDocument>::new(),
        )
        .await;
    assert_eq!(refused.unwrap_err().code(), ErrorCode::PermissionDenied);
}

/// A group spans all collections of a name, but not those under the system's own documents.
#[tokio::test]
async fn a_group_shows_nothing_of_the_system() {
    let test = TestEngine::start();
    let body = commit_body(json!({"writes": [
        {"set": "posts/p1/notes/n1", "data": {"a": 1}},
        {"set": "notes/_n2", "data": {"a": 2}},
        {"set": "_system/s1/notes/secret", "data": {"a": 3}},
    ]}));
    test.engine.commit(&Caller::System, body, None).await.unwrap();
    for round in 0..2 {
        let (found, _) = run(
            &test.engine,
            query(json!({"from": {"group": "notes"}, "orderBy": [["a", "asc"]]})),
        )
        .await
        .unwrap();
        assert_eq!(ids(&found), ["n1", "_n2"]);
        assert_eq!(
            count(
                &test.engine,
                json!({"from": {"group": "notes"}, "where": ["a", ">", 0]})
            )
            .await,
            Value::Integer(2)
        );
        if round == 0 {
            let definition = parse_index_file(
                r#"{"indexes":[{"collection":"notes","scope":"group","fields":[["a","asc"]]}]}"#,
            )
            .unwrap();
            test.engine
                .create_index(&OWNER, definition[0].clone())
                .await
                .unwrap();
            test.engine.settle_indexes().await.unwrap();
        }
    }
}

/// A sink that stops after a while.
struct Few {
    left: usize,
    found: Vec<String>,
}

impl DocumentSink for Few {
    fn document(&mut self, document: DocumentRow<'_>) -> ControlFlow<()> {
        self.found.push(document.id.to_owned());
        self.left -= 1;
        if self.left == 0 {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    }
}

#[tokio::test]
async fn a_sink_may_stop_and_the_cursor_goes_on_after_it() {
    let test = TestEngine::start();
    fill(&test.engine, 100).await;
    for stream in [false, true] {
        let mut wanted = query(json!({"from": "posts", "orderBy": [["label", "asc"]]}));
        let mut found = Vec::new();
        loop {
            let few = Few {
                left: 30,
                found: Vec::new(),
            };
            let options = QueryOptions {
                explain: false,
                stream,
            };
            let (few, end) = test
                .engine
                .query(&OWNER, wanted.clone(), options, few)
                .await
                .unwrap();
            found.extend(few.found);
            match end.cursor {
                Some(cursor) => wanted.cursor = Some(cursor),
                None => break,
            }
        }
        assert_eq!(found.len(), 100);
        assert_eq!(found.iter().collect::<BTreeSet<_>>().len(), 100);
    }
}

/// A sink that waits until it is told to go on.
struct Waiting(std::sync::mpsc::Receiver<()>, usize);

impl DocumentSink for Waiting {
    fn document(&mut self, _document: DocumentRow<'_>) -> ControlFlow<()> {
        if self.1 == 0 {
            // The sender is dropped when the test goes on.
            let _ = self.0.recv();
        }
        self.1 += 1;
        ControlFlow::Continue(())
    }
}

/// Streams whose readers are slow hold up neither queries nor each other.
#[tokio::test]
async fn slow_streams_leave_room_for_queries() {
    let test = TestEngine::start();
    fill(&test.engine, 3_000).await;
    let mut releases = Vec::new();
    let mut streams = Vec::new();
    for _ in 0..8 {
        let (release, wait) = std::sync::mpsc::channel();
        releases.push(release);
        let engine = test.engine.clone();
        streams.push(tokio::spawn(async move {
            let options = QueryOptions {
                explain: false,
                stream: true,
            };
            let (sink, _) = engine
                .query(&OWNER, query(json!({"from": "posts"})), options, Waiting(wait, 0))
                .await
                .unwrap();
            sink.1
        }));
    }
    for _ in 0..4 {
        let (found, _) = run(
            &test.engine,
            query(json!({"from": "posts", "where": ["label", "==", "l7"]})),
        )
        .await
        .unwrap();
        assert_eq!(found.len(), 30);
    }
    drop(releases);
    for stream in streams {
        assert_eq!(stream.await.unwrap(), 3_000);
    }
}
