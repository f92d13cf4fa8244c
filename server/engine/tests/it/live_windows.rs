//! Windows of results with a limit: what it costs to find the document that enters when one leaves.

use std::sync::Arc;

use andiron_engine::{Engine, EngineOptions, IndexPolicy, LiveConnection, LiveTarget, Surroundings};
use andiron_protocol::{DocumentPath, Version};
use andiron_store::memory::MemoryStore;
use andiron_store::{Commit, DocumentWrite, IndexDefinition, IndexField, IndexFieldKind, IndexScope, Store};
use serde_json::json;

use crate::live::{changes, said};
use crate::query_naive::build;
use crate::rules_support::query_of;
use crate::support::{OWNER, commit_body};

/// So many documents leave a window.
const REMOVALS: u64 = 40;
const LIMIT: u64 = 30;
/// How many rows a window of that size keeps behind it.
const SPARE: u64 = 15;

fn path(number: u64) -> DocumentPath {
    format!("c/{number:06}").parse().unwrap()
}

/// An engine over so many documents, with an index on what they are ordered by or without any.
fn engine_over(documents: u64, is_indexed: bool) -> Engine {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let write = |number: u64| DocumentWrite {
        path: path(number),
        before: None,
        after: Some(format!(r#"{{"n":{number}}}"#).into()),
        entries: Vec::new(),
    };
    let mut group = store.begin().unwrap();
    for first in (0..documents).step_by(1_000) {
        let commit = Commit {
            writes: (first..documents.min(first + 1_000)).map(write).collect(),
            ..Commit::default()
        };
        let version = Version::from_micros(1 + i64::try_from(first).unwrap());
        group.apply(&commit, version).unwrap();
    }
    group.finish().unwrap();
    let field = IndexField {
        field: "n".parse().unwrap(),
        kind: IndexFieldKind::Ascending,
    };
    let definition = IndexDefinition {
        collection: "c".to_owned(),
        scope: IndexScope::Collection,
        fields: vec![field],
    };
    let definitions: Vec<_> = is_indexed.then_some(definition).into_iter().collect();
    build(store.as_ref(), &definitions);
    let options = EngineOptions {
        indexes: IndexPolicy::Fixed(definitions),
        ..EngineOptions::default()
    };
    Engine::open(store, options, Surroundings::system()).unwrap()
}

async fn listen(engine: &Engine) -> LiveConnection {
    let query = query_of(json!({ "from": "c", "orderBy": [["n", "asc"]], "limit": LIMIT }));
    let connection = engine.live();
    let target = LiveTarget::Query(Arc::new(query));
    connection.listen(1, &OWNER, target, None).unwrap();
    assert_eq!(said(&changes(&connection).await).len() as u64, LIMIT);
    connection
}

/// Deletes what stands first again and again, and gives the entries and documents that were read for each.
async fn remove_first(engine: &Engine, connection: &LiveConnection) -> Vec<u64> {
    let mut reads = Vec::new();
    for number in 0..REMOVALS {
        let before = engine.metrics().query_reads.get();
        let body = commit_body(json!({ "writes": [{ "delete": path(number).as_str() }] }));
        engine.commit(&OWNER, body, None).await.unwrap();
        let entered = format!("+{:06}", number + LIMIT);
        let left = format!("-{}", path(number));
        assert_eq!(said(&changes(connection).await), [entered, left]);
        reads.push(engine.metrics().query_reads.get() - before);
    }
    reads
}

#[tokio::test]
async fn a_document_that_enters_a_window_of_many_is_found_by_few_reads() {
    let engine = engine_over(100_000, true);
    let connection = listen(&engine).await;
    let reads = remove_first(&engine, &connection).await;
    // It stands in a spare row, or some entries of the index are read to have spare rows again.
    let runs = reads.iter().filter(|reads| **reads > 1).count() as u64;
    assert_eq!(runs, REMOVALS / (SPARE + 1), "{reads:?}");
    assert!(
        reads.iter().all(|reads| *reads <= 2 * (LIMIT + SPARE) + 1),
        "{reads:?}"
    );
    assert_eq!(engine.metrics().live_window_runs.get(), runs);
    engine.close();
}

#[tokio::test]
async fn without_an_index_the_query_runs_again_only_when_the_spare_rows_are_used_up() {
    let documents = 3_000;
    let engine = engine_over(documents, false);
    let connection = listen(&engine).await;
    let reads = remove_first(&engine, &connection).await;
    let runs = REMOVALS / (SPARE + 1);
    assert_eq!(engine.metrics().live_window_runs.get(), runs);
    assert!(
        reads.iter().sum::<u64>() <= runs * documents + REMOVALS,
        "{reads:?}"
    );
    engine.close();
}

#[tokio::test]
async fn what_happens_behind_a_window_is_followed_without_reading() {
    let engine = engine_over(100, true);
    let connection = listen(&engine).await;
    let write = async |writes| {
        let body = commit_body(json!({ "writes": writes }));
        engine.commit(&OWNER, body, None).await.unwrap();
    };
    // In the spare rows: one goes, one comes, one changes.
    write(json!([{ "delete": path(31).as_str() }])).await;
    write(json!([{ "set": "c/between", "data": { "n": 30.5 } }])).await;
    write(json!([{ "merge": path(30).as_str(), "data": { "m": 1 } }])).await;
    let before = engine.metrics().query_reads.get();
    write(json!([{ "delete": path(0).as_str() }, { "delete": path(1).as_str() }])).await;
    assert_eq!(
        said(&changes(&connection).await),
        ["+000030", "+between", "-c/000000", "-c/000001"]
    );
    // Those that enter, unless the same step has told of them already.
    let read = engine.metrics().query_reads.get() - before;
    assert!(read <= 2, "{read}");
    assert_eq!(engine.metrics().live_window_runs.get(), 0);
    engine.close();
}
