//! How many listens a change is put to: those that it may concern, however many there are beside them.

use std::sync::Arc;

use andiron_engine::{LiveConnection, LiveTarget};
use serde_json::{Value as Json, json};

use crate::live::{changes, said};
use crate::rules_support::query_of;
use crate::support::{OWNER, TestEngine};

/// Listens of one connection at most.
const LISTENS: usize = 1_000;

/// A connection for each thousand of the filters, with a listen for each; all have begun.
async fn listen_to_all(test: &TestEngine, filters: Vec<Json>) -> Vec<LiveConnection> {
    let mut connections = Vec::new();
    for filters in filters.chunks(LISTENS) {
        let connection = test.engine.live();
        for (listen, filter) in filters.iter().enumerate() {
            let query = query_of(json!({ "from": "c", "where": filter }));
            let target = LiveTarget::Query(Arc::new(query));
            connection.listen(listen as u64, &OWNER, target, None).unwrap();
        }
        for _ in filters {
            assert!(changes(&connection).await.reset);
        }
        connections.push(connection);
    }
    connections
}

#[tokio::test]
async fn a_change_is_put_to_the_ranges_that_it_is_in() {
    let test = TestEngine::start();
    let prices = 0..2_000;
    let filters = prices.clone().map(|price| json!(["price", ">", price]));
    let filters = filters.chain(prices.map(|price| json!(["price", "<=", -price])));
    let connections = listen_to_all(&test, filters.collect()).await;
    let candidates = || test.engine.metrics().live_candidates.get();
    test.write(json!([{ "set": "c/1", "data": { "price": 3 } }]))
        .await;
    for _ in 0..3 {
        assert_eq!(said(&changes(&connections[0]).await), ["+1"]);
    }
    // Greater than 0, 1 and 2; and the bound 3 itself, which is asked and says no.
    assert_eq!(candidates(), 4);
    // What it was counts as well as what it is.
    test.write(json!([{ "set": "c/1", "data": { "price": -1 } }]))
        .await;
    for _ in 0..3 {
        assert_eq!(said(&changes(&connections[0]).await), ["-c/1"]);
    }
    for _ in 0..2 {
        assert_eq!(said(&changes(&connections[2]).await), ["+1"]);
    }
    assert_eq!(candidates(), 4 + 4 + 2);
    // Another class of values is in none of them.
    test.write(json!([{ "set": "c/2", "data": { "price": "3" } }]))
        .await;
    test.write(json!([{ "delete": "c/1" }])).await;
    for _ in 0..2 {
        assert_eq!(said(&changes(&connections[2]).await), ["-c/1"]);
    }
    assert_eq!(candidates(), 4 + 4 + 2 + 2);
}

#[tokio::test]
async fn a_change_is_put_to_the_values_that_it_has() {
    let test = TestEngine::start();
    let filters = (0..2_000).map(|n| json!(["and", ["n", "==", n], ["m", ">", 0]]));
    let connections = listen_to_all(&test, filters.collect()).await;
    test.write(json!([{ "set": "c/1", "data": { "n": 1_500, "m": 1 } }]))
        .await;
    assert_eq!(said(&changes(&connections[1]).await), ["+1"]);
    assert_eq!(test.engine.metrics().live_candidates.get(), 1);
}
