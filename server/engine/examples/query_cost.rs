//! What an indexed query costs inside the engine: 30 documents of 1 KB by an equality, a range and an order.
//!
//! `cargo run --release -p andiron-engine --example query_cost [DOCUMENTS]`

use std::error::Error;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Instant;

use andiron_engine::{
    Caller, DocumentRow, DocumentSink, Engine, EngineOptions, QueryOptions, Surroundings, parse_index_file,
};
use andiron_protocol::{CommitBody, Query};
use andiron_store_sqlite::{Durability, SqliteOptions, SqliteStore};
use serde_json::json;

/// Batches measured for each query. The quickest counts: what else the machine does only makes a batch slower.
const BATCHES: u32 = 100;
/// Rounds of a batch.
const ROUNDS: u32 = 100;

/// Counts what it is given.
#[derive(Default)]
struct Counter {
    documents: usize,
    bytes: usize,
}

impl DocumentSink for Counter {
    fn document(&mut self, document: DocumentRow<'_>) -> ControlFlow<()> {
        self.documents += 1;
        self.bytes += document.data.len();
        ControlFlow::Continue(())
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let documents: usize = std::env::args()
        .nth(1)
        .map_or(Ok(10_000), |count| count.parse())?;
    let folder = tempfile::tempdir()?;
    let options = SqliteOptions {
        durability: Durability::Relaxed,
        ..SqliteOptions::default()
    };
    let store = SqliteStore::open(folder.path(), options)?;
    let engine = Engine::open(Arc::new(store), EngineOptions::default(), Surroundings::system())?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let result = runtime.block_on(measure(&engine, documents));
    engine.close();
    result
}

async fn measure(engine: &Engine, documents: usize) -> Result<(), Box<dyn Error>> {
    let owner = Caller::Owner;
    for first in (0..documents).step_by(500) {
        let writes: Vec<_> = (first..documents.min(first + 500))
            .map(|n| {
                let data = json!({
                    "published": n % 2 == 0, "rating": n % 1000, "createdAt": n, "category": format!("c{}", n % 20),
                    "title": format!("document {n}"), "body": "lorem ipsum ".repeat(75),
                });
                json!({"set": format!("posts/p{n:08}"), "data": data})
            })
            .collect();
        let body: CommitBody = serde_json::from_value(json!({ "writes": writes }))?;
        engine.commit(&owner, body, None).await?;
    }
    let indexes = parse_index_file(
        r#"{"indexes":[{"collection":"posts","fields":[["published","asc"],["createdAt","asc"]]},
                       {"collection":"posts","fields":[["category","asc"],["createdAt","asc"]]}]}"#,
    )?;
    for definition in indexes {
        engine.create_index(&owner, definition).await?;
    }
    engine.settle_indexes().await?;

    let after = documents / 2;
    for (name, query) in [
        (
            "equality, range, order, 30 documents",
            json!({"from": "posts", "where": ["and", ["published", "==", true], ["createdAt", "<", after]],
                   "orderBy": [["createdAt", "desc"]], "limit": 30}),
        ),
        (
            "the same, 20 documents",
            json!({"from": "posts", "where": ["and", ["published", "==", true], ["createdAt", "<", after]],
                   "orderBy": [["createdAt", "desc"]], "limit": 20}),
        ),
        (
            "two of a list, merged, 20 documents",
            json!({"from": "posts", "where": ["category", "in", ["c3", "c4"]], "orderBy": [["createdAt", "desc"]], "limit": 20}),
        ),
        ("by id, 30 documents", json!({"from": "posts", "limit": 30})),
        (
            "equality and order, one more comparison, 20 documents",
            json!({"from": "posts", "where": ["and", ["published", "==", true], ["rating", ">=", 500]],
                   "orderBy": [["createdAt", "desc"]], "limit": 20}),
        ),
    ] {
        let query: Query = serde_json::from_value(query)?;
        let mut micros = f64::INFINITY;
        for _ in 0..BATCHES {
            let begun = Instant::now();
            for _ in 0..ROUNDS {
                let options = QueryOptions::default();
                engine
                    .query(&owner, query.clone(), options, Counter::default())
                    .await?;
            }
            micros = micros.min(begun.elapsed().as_secs_f64() * 1e6 / f64::from(ROUNDS));
        }
        // Explained as it runs in the end, with the indexes that it has brought about.
        let explain = QueryOptions {
            explain: true,
            stream: false,
        };
        let (counter, end) = engine
            .query(&owner, query.clone(), explain, Counter::default())
            .await?;
        println!(
            "{micros:7.1} µs  {name} ({} found, {} bytes)",
            counter.documents, counter.bytes
        );
        if let Some(plan) = end.plan {
            println!("            {}", serde_json::to_string(&plan)?);
        }
    }
    Ok(())
}
