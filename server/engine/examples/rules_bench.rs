//! Measures what rules add to reads: `cargo run --release -p andiron-engine --example rules_bench`.
//!
//! The same is done by an administrator, whom nobody judges, and by a user under rules. On the store in memory, so that
//! what is left is the engine and the rules.

#![expect(clippy::unwrap_used, reason = "an example that measures may panic")]

use std::sync::Arc;
use std::time::Instant;

use andiron_engine::{
    Caller, Engine, EngineOptions, QueryOptions, RulesInForce, StoredDocument, Surroundings, User,
};
use andiron_protocol::{CommitBody, DocumentPath, Map, Query, Value};
use andiron_rules::{Limits, Program, Ruleset, Source, check};
use andiron_store::memory::MemoryStore;
use serde_json::json;

const RULES: &str = "rules_version = '2';
service cloud.firestore { match /databases/{db}/documents {
  match /notes/{id} { allow read, write: if request.auth != null && resource.data.owner == request.auth.uid; }
  match /plans/{id} {
    allow read: if get(/databases/$(db)/documents/members/$(request.auth.uid)).data.role in ['owner', 'editor']
      && get(/databases/$(db)/documents/teams/$(resource.data.team)).data.open == true;
  }
} }";
const ROUNDS: u32 = 20_000;

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(measure());
}

async fn measure() {
    let engine = Engine::open(
        Arc::new(MemoryStore::new()),
        EngineOptions::default(),
        Surroundings::system(),
    )
    .unwrap();
    let text = "x".repeat(800);
    let mut writes = vec![
        json!({"set": "members/alice", "data": {"role": "editor"}}),
        json!({"set": "teams/t1", "data": {"open": true}}),
        json!({"set": "plans/p1", "data": {"team": "t1", "text": text}}),
    ];
    for number in 0..400 {
        let owner = if number % 10 == 0 { "alice" } else { "bob" };
        let data = json!({"owner": owner, "n": number, "text": text});
        writes.push(json!({"set": format!("notes/n{number:03}"), "data": data}));
    }
    let body: CommitBody = serde_json::from_value(json!({ "writes": writes })).unwrap();
    engine.commit(&Caller::Owner, body, None).await.unwrap();

    let program = Program::single(Source::new("bench.rules", RULES).unwrap());
    let limits = Limits::default();
    let checked = check(&program, &limits);
    assert!(!program.has_errors() && !checked.has_errors());
    let ruleset = Ruleset::new(&program, &checked, limits);
    engine.set_rules(Some(Arc::new(RulesInForce::new(ruleset, program, "bench"))));
    let alice = Caller::User(Arc::new(User {
        uid: "alice".to_owned(),
        token: Map::from([("sub".to_owned(), Value::from("alice"))]),
        is_admin: false,
    }));

    let get = |caller: &Caller, path: &str| {
        let path: DocumentPath = path.parse().unwrap();
        let begin = Instant::now();
        for _ in 0..ROUNDS {
            assert!(engine.get(caller, &path).unwrap().is_some());
        }
        begin.elapsed() / ROUNDS
    };
    for _ in 0..2 {
        println!(
            "get, as administrator:        {:?}",
            get(&Caller::Owner, "notes/n000")
        );
        println!("get, owner check:             {:?}", get(&alice, "notes/n000"));
        println!("get, two look-ups:            {:?}", get(&alice, "plans/p1"));
    }

    let list = async |caller: &Caller, query: serde_json::Value| {
        let query: Query = serde_json::from_value(query).unwrap();
        for _ in 0..20 {
            let sink: Vec<StoredDocument> = Vec::new();
            engine
                .query(caller, query.clone(), QueryOptions::default(), sink)
                .await
                .unwrap();
        }
        engine.settle_indexes().await.unwrap();
        let begin = Instant::now();
        for _ in 0..ROUNDS / 10 {
            let sink: Vec<StoredDocument> = Vec::new();
            let (found, _) = engine
                .query(caller, query.clone(), QueryOptions::default(), sink)
                .await
                .unwrap();
            assert_eq!(found.len(), 20);
        }
        begin.elapsed() / (ROUNDS / 10)
    };
    let own = json!({"from": "notes", "where": ["owner", "==", "alice"], "limit": 20});
    println!(
        "20 by index, as administrator: {:?}",
        list(&Caller::Owner, own).await
    );
    println!(
        "20 by index, found by rules:   {:?}",
        list(&alice, json!({"from": "notes", "limit": 20})).await
    );
    engine.close();
}
