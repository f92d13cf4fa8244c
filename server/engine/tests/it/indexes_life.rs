//! Indexes come when queries need them, and go when none does.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use andiron_engine::{
    Caller, Engine, EngineOptions, IndexPolicy, Plan, QueryOptions, StoredDocument, Surroundings,
    parse_index_file,
};
use andiron_protocol::{ErrorCode, Query, Timestamp};
use andiron_store::memory::MemoryStore;
use andiron_store::{IndexDefinition, Store};
use andiron_store_sqlite::{SqliteOptions, SqliteStore};
use serde_json::{Value as Json, json};

use crate::support::{OWNER, START_MICROS, commit_body};

const DAY: i64 = 24 * 3600;

/// An engine whose indexes and clock the test owns.
struct Indexed {
    engine: Engine,
    clock: Arc<AtomicI64>,
}

fn open(store: &Arc<dyn Store>, policy: IndexPolicy, clock: &Arc<AtomicI64>) -> Engine {
    let options = EngineOptions {
        indexes: policy,
        ..EngineOptions::default()
    };
    let now = Arc::clone(clock);
    let surroundings = Surroundings {
        now: Arc::new(move || Timestamp::from_micros_clamped(now.load(Ordering::SeqCst))),
        ..Surroundings::system()
    };
    Engine::open(Arc::clone(store), options, surroundings).unwrap()
}

fn adaptive(per_collection_max: usize) -> IndexPolicy {
    IndexPolicy::Adaptive {
        per_collection_max,
        unused_max: Duration::from_secs(7 * 24 * 3600),
    }
}

impl Indexed {
    fn start(policy: IndexPolicy) -> (Self, Arc<dyn Store>) {
        let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
        let clock = Arc::new(AtomicI64::new(START_MICROS));
        let engine = open(&store, policy, &clock);
        (Self { engine, clock }, store)
    }

    /// Documents `{n, group, label}` with `group` one of ten and `label` one of a hundred.
    async fn fill(&self, collection: &str, count: usize) {
        let writes: Vec<Json> = (0..count)
            .map(|n| json!({
                "set": format!("{collection}/d{n:05}"),
                "data": {"n": n, "group": n % 10, "label": format!("l{}", n % 100), "tags": [n % 7, "all"]},
            }))
            .collect();
        for writes in writes.chunks(400) {
            let body = commit_body(json!({ "writes": writes }));
            self.engine.commit(&OWNER, body, None).await.unwrap();
        }
    }

    async fn query(&self, query: Json) -> (Vec<StoredDocument>, Plan) {
        let query: Query = serde_json::from_value(query).unwrap();
        let options = QueryOptions {
            explain: true,
            stream: false,
        };
        let (found, end) = self
            .engine
            .query(&OWNER, query, options, Vec::new())
            .await
            .unwrap();
        (found, end.plan.unwrap())
    }

    async fn names(&self) -> Vec<String> {
        self.engine.settle_indexes().await.unwrap();
        let indexes = self.engine.indexes(&OWNER).unwrap();
        indexes
            .iter()
            .map(|index| {
                assert!(index.is_ready, "{index:?}");
                let index = serde_json::to_value(index).unwrap();
                format!("{} {} {}", index["collection"], index["scope"], index["fields"]).replace('"', "")
            })
            .collect()
    }

    fn advance_seconds(&self, seconds: i64) {
        self.clock.fetch_add(seconds * 1_000_000, Ordering::SeqCst);
    }

    fn assert_sound(&self) {
        assert_sound(&self.engine);
    }
}

impl Drop for Indexed {
    fn drop(&mut self) {
        self.engine.close();
    }
}

fn assert_sound(engine: &Engine) {
    let problems = engine.verify(&mut |_, _| ControlFlow::Continue(())).unwrap();
    assert_eq!(problems, Vec::<String>::new());
}

fn definition(entry: &Json) -> IndexDefinition {
    let file = json!({ "indexes": [entry] }).to_string();
    parse_index_file(&file).unwrap().remove(0)
}

fn by_label() -> Json {
    json!({"from": "posts", "where": ["label", "==", "l7"], "orderBy": [["n", "desc"]]})
}

#[tokio::test]
async fn a_costly_shape_gets_an_index_which_goes_when_it_is_not_used() {
    let (engine, _) = Indexed::start(adaptive(12));
    engine.fill("posts", 1000).await;
    let (before, plan) = engine.query(by_label()).await;
    assert_eq!((plan.index, plan.documents_read), (None, 1000));
    assert_eq!(
        engine.names().await,
        Vec::<String>::new(),
        "one query may never come back"
    );
    engine.query(by_label()).await;
    assert_eq!(engine.names().await, ["posts collection [[label,asc],[n,asc]]"]);
    engine.assert_sound();

    let (found, plan) = engine.query(by_label()).await;
    assert_eq!(found, before);
    assert_eq!(
        (plan.entries_read, plan.documents_read, plan.filtered),
        (10, 10, false)
    );
    assert_eq!(plan.index.as_deref(), Some("posts(label asc, n asc)"));

    // Used today, so in six days it is still there; another eight days later it is not.
    engine.advance_seconds(6 * DAY);
    assert_eq!(engine.names().await.len(), 1);
    engine.advance_seconds(8 * DAY);
    assert_eq!(engine.names().await, Vec::<String>::new());
    let (found, plan) = engine.query(by_label()).await;
    assert_eq!((found, plan.index), (before, None));
    engine.assert_sound();
}

#[tokio::test]
async fn mirrored_shapes_share_an_index() {
    let (engine, _) = Indexed::start(adaptive(12));
    engine.fill("posts", 1000).await;
    for direction in ["asc", "desc", "asc", "desc"] {
        engine
            .query(json!({"from": "posts", "where": ["and", ["label", "==", "l7"], ["group", "==", 7]], "orderBy": [["n", direction]]}))
            .await;
        engine.engine.settle_indexes().await.unwrap();
    }
    assert_eq!(
        engine.names().await,
        ["posts collection [[group,asc],[label,asc],[n,asc]]"]
    );
}

#[tokio::test]
async fn every_shape_gets_what_serves_it() {
    let (engine, _) = Indexed::start(adaptive(12));
    engine.fill("posts", 1000).await;
    engine.fill("posts/d00001/comments", 1000).await;
    for query in [
        json!({"from": "posts", "where": ["tags", "array-contains", 3], "orderBy": [["n", "desc"]], "limit": 5}),
        json!({"from": "posts", "where": ["or", ["label", "==", "l3"], ["n", "<", 10]], "orderBy": [["n", "asc"]], "limit": 5}),
        json!({"from": {"group": "comments"}, "where": ["label", "==", "l3"]}),
        json!({"from": "posts", "where": ["label", "in", ["l1", "l2"]], "limit": 8}),
    ] {
        for _ in 0..6 {
            engine.query(query.clone()).await;
            engine.engine.settle_indexes().await.unwrap();
        }
        let (found, plan) = engine.query(query.clone()).await;
        assert!(
            plan.documents_read <= 2 * found.len() as u64 + 12,
            "{query}: {plan:?}"
        );
    }
    engine.assert_sound();
}

#[tokio::test]
async fn there_are_only_so_many_for_a_collection_and_recent_ones_stay() {
    let (engine, _) = Indexed::start(adaptive(2));
    engine.fill("posts", 1000).await;
    let by = |field: &str| json!({"from": "posts", "where": [field, "==", 5], "orderBy": [["label", "asc"]], "limit": 1});
    for field in ["n", "group"] {
        for _ in 0..3 {
            engine.query(by(field)).await;
        }
        engine.engine.settle_indexes().await.unwrap();
        engine.advance_seconds(1);
        engine.query(by(field)).await;
    }
    let two = engine.names().await;
    assert_eq!(two.len(), 2, "{two:?}");
    for _ in 0..3 {
        engine.query(by_label()).await;
    }
    assert_eq!(engine.names().await, two, "both were used just now");
    engine.advance_seconds(3600);
    engine.query(by("group")).await;
    engine.query(by_label()).await;
    let names = engine.names().await;
    assert_eq!(names.len(), 2);
    assert!(
        names.contains(&"posts collection [[label,asc],[n,asc]]".to_owned()),
        "{names:?}"
    );
    assert!(
        names.contains(&"posts collection [[group,asc],[label,asc]]".to_owned()),
        "{names:?}"
    );
}

#[tokio::test]
async fn system_collections_get_none() {
    let (engine, _) = Indexed::start(adaptive(12));
    let writes: Vec<Json> = (0..400)
        .map(|n| json!({"set": format!("_things/d{n}"), "data": {"n": n}}))
        .collect();
    let body = commit_body(json!({ "writes": writes }));
    engine.engine.commit(&Caller::System, body, None).await.unwrap();
    let query: Query = serde_json::from_value(json!({"from": "_things", "where": ["n", "==", 3]})).unwrap();
    for _ in 0..4 {
        let (found, _) = engine
            .engine
            .query(
                &Caller::System,
                query.clone(),
                QueryOptions::default(),
                Vec::new(),
            )
            .await
            .unwrap();
        assert_eq!(found.len(), 1);
    }
    assert_eq!(engine.names().await, Vec::<String>::new());
}

#[tokio::test]
async fn a_fixed_set_is_made_true_and_nothing_else() {
    let (first, store) = Indexed::start(adaptive(12));
    first.fill("posts", 1000).await;
    for _ in 0..2 {
        first.query(by_label()).await;
    }
    assert_eq!(first.names().await.len(), 1);
    let clock = Arc::clone(&first.clock);
    drop(first);

    let wanted = definition(&json!({"collection": "posts", "fields": [["group", "asc"], ["n", "desc"]]}));
    let engine = open(&store, IndexPolicy::Fixed(vec![wanted.clone()]), &clock);
    let fixed = Indexed { engine, clock };
    assert_eq!(fixed.names().await, ["posts collection [[group,asc],[n,desc]]"]);
    for _ in 0..4 {
        fixed.query(by_label()).await;
    }
    assert_eq!(fixed.names().await.len(), 1);
    let refused = fixed
        .engine
        .create_index(
            &OWNER,
            definition(&json!({"collection": "posts", "fields": [["n", "asc"]]})),
        )
        .await;
    assert_eq!(refused.unwrap_err().code(), ErrorCode::InvalidArgument);
    let refused = fixed
        .engine
        .drop_index(&OWNER, fixed.engine.indexes(&OWNER).unwrap()[0].id)
        .await;
    assert_eq!(refused.unwrap_err().code(), ErrorCode::InvalidArgument);
    fixed.assert_sound();
}

#[tokio::test]
async fn what_was_asked_for_stays_and_what_was_used_is_remembered() {
    let (first, store) = Indexed::start(adaptive(12));
    first.fill("posts", 1000).await;
    let asked = definition(&json!({"collection": "posts", "fields": [["tags", "elements"]]}));
    first.engine.create_index(&OWNER, asked).await.unwrap();
    for _ in 0..2 {
        first.query(by_label()).await;
    }
    assert_eq!(first.names().await.len(), 2);
    first.advance_seconds(5 * DAY);
    first.query(by_label()).await;
    let clock = Arc::clone(&first.clock);
    drop(first);

    // Five days later: unused for five, not for ten.
    clock.fetch_add(5 * DAY * 1_000_000, Ordering::SeqCst);
    let second = Indexed {
        engine: open(&store, adaptive(12), &clock),
        clock,
    };
    assert_eq!(second.names().await.len(), 2);
    second.advance_seconds(3 * DAY);
    assert_eq!(second.names().await, ["posts collection [[tags,elements]]"]);
    let id = second.engine.indexes(&OWNER).unwrap()[0].id;
    second.engine.drop_index(&OWNER, id).await.unwrap();
    assert_eq!(second.names().await, Vec::<String>::new());
    assert_eq!(
        second.engine.drop_index(&OWNER, id).await.unwrap_err().code(),
        ErrorCode::InvalidArgument
    );
}

#[tokio::test]
async fn only_administrators_see_and_change_indexes() {
    let (engine, _) = Indexed::start(adaptive(12));
    let definition = definition(&json!({"collection": "posts", "fields": [["n", "asc"]]}));
    let id = engine
        .engine
        .create_index(&OWNER, definition.clone())
        .await
        .unwrap();
    let anonymous = Caller::Anonymous;
    for refused in [
        engine.engine.indexes(&anonymous).unwrap_err(),
        engine
            .engine
            .create_index(&anonymous, definition)
            .await
            .unwrap_err(),
        engine.engine.drop_index(&anonymous, id).await.unwrap_err(),
    ] {
        assert_eq!(refused.code(), ErrorCode::PermissionDenied);
    }
}

/// A restart in the middle of a build.
#[tokio::test]
async fn an_unfinished_index_is_not_used_and_is_finished_after_a_restart() {
    let (first, store) = Indexed::start(adaptive(12));
    first.fill("posts", 700).await;
    let clock = Arc::clone(&first.clock);
    drop(first);
    let mut group = store.begin().unwrap();
    let by_n = definition(&json!({"collection": "posts", "fields": [["n", "asc"]]}));
    group.create_index(&by_n).unwrap();
    group.finish().unwrap();

    let second = Indexed {
        engine: open(&store, adaptive(12), &clock),
        clock,
    };
    let (found, _) = second
        .query(json!({"from": "posts", "where": ["n", "==", 3]}))
        .await;
    assert_eq!(found.len(), 1);
    assert_eq!(second.names().await, ["posts collection [[n,asc]]"]);
    second.assert_sound();
}

/// Commits go on while an index is built, dropped and built again, and queries go on while that happens.
async fn index_built_under_commits(store: Arc<dyn Store>) {
    let engine = Engine::open(store, EngineOptions::default(), Surroundings::system()).unwrap();
    let seed: Vec<Json> = (0..400)
        .map(|n| json!({"set": format!("posts/d{n}"), "data": {"n": n % 10, "tags": [n % 3, n % 5]}}))
        .collect();
    for _ in 0..3 {
        engine
            .commit(&OWNER, commit_body(json!({ "writes": seed })), None)
            .await
            .unwrap();
    }
    let writer = |worker: usize| {
        let engine = engine.clone();
        async move {
            for round in 0..120_usize {
                let document = format!("posts/d{}", (round * 7 + worker * 13) % 500);
                let write = match (round + worker) % 4 {
                    0 => json!({"delete": document}),
                    1 => json!({"merge": document, "data": {"n": round % 10}}),
                    _ => {
                        json!({"set": document, "data": {"n": (round * worker) % 10, "tags": [worker, round % 4]}})
                    }
                };
                engine
                    .commit(&OWNER, commit_body(json!({ "writes": [write] })), None)
                    .await
                    .unwrap();
            }
        }
    };
    let writers: Vec<_> = (0..4).map(|worker| tokio::spawn(writer(worker))).collect();
    let definitions = [
        definition(&json!({"collection": "posts", "fields": [["n", "asc"]]})),
        definition(&json!({"collection": "posts", "fields": [["tags", "elements"], ["n", "desc"]]})),
    ];
    let total: Query =
        serde_json::from_value(json!({"from": "posts", "where": ["n", ">=", 0], "limit": 1000})).unwrap();
    for round in 0..6 {
        let mut ids = Vec::new();
        for definition in &definitions {
            ids.push(engine.create_index(&OWNER, definition.clone()).await.unwrap());
        }
        for _ in 0..5 {
            let options = QueryOptions::default();
            let (found, _) = engine
                .query(&OWNER, total.clone(), options, Vec::<StoredDocument>::new())
                .await
                .unwrap();
            assert!(found.len() >= 300, "round {round}: {}", found.len());
        }
        engine.settle_indexes().await.unwrap();
        assert_sound(&engine);
        for id in ids {
            engine.drop_index(&OWNER, id).await.unwrap();
        }
    }
    for definition in &definitions {
        engine.create_index(&OWNER, definition.clone()).await.unwrap();
    }
    for writer in writers {
        writer.await.unwrap();
    }
    engine.settle_indexes().await.unwrap();
    assert!(engine.indexes(&OWNER).unwrap().iter().all(|index| index.is_ready));
    assert_sound(&engine);
    engine.close();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_index_built_while_commits_go_on_equals_a_scan() {
    index_built_under_commits(Arc::new(MemoryStore::new())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_index_built_over_sqlite_while_commits_go_on_equals_a_scan() {
    let folder = tempfile::tempdir().unwrap();
    let options = SqliteOptions {
        durability: andiron_store_sqlite::Durability::Relaxed,
        ..SqliteOptions::default()
    };
    index_built_under_commits(Arc::new(SqliteStore::open(folder.path(), options).unwrap())).await;
}

#[tokio::test]
async fn verification_finds_what_is_wrong() {
    let (first, store) = Indexed::start(adaptive(12));
    first.fill("posts", 30).await;
    let by_n = definition(&json!({"collection": "posts", "fields": [["n", "asc"]]}));
    let id = first.engine.create_index(&OWNER, by_n.clone()).await.unwrap();
    first.engine.settle_indexes().await.unwrap();
    first.assert_sound();

    // An index that lacks entries, and one that has too many.
    let mut group = store.begin().unwrap();
    let empty = group
        .create_index(&definition(
            &json!({"collection": "posts", "fields": [["label", "asc"]]}),
        ))
        .unwrap();
    group.finish_index(empty).unwrap();
    group
        .add_entries(id, &[(b"nonsense".to_vec(), "posts/d00001".parse().unwrap())])
        .unwrap();
    group.finish().unwrap();
    let problems = first
        .engine
        .verify(&mut |_, _| ControlFlow::Continue(()))
        .unwrap();
    assert!(
        problems.contains(&format!("index {} has no entry for `posts/d00007`", empty.0)),
        "{problems:?}"
    );
    assert!(
        problems.contains(&format!(
            "index {} has 31 entries, and the documents have 30 in it",
            id.0
        )),
        "{problems:?}"
    );

    let mut seen = 0;
    let stopped = first.engine.verify(&mut |done, total| {
        seen = done;
        assert!(done <= total);
        if done == 7 {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    });
    assert_eq!((stopped.unwrap().len(), seen), (0, 7));
}

#[test]
fn an_index_file_is_read_or_refused_with_the_reason() {
    let definitions = parse_index_file(
        r#"{"indexes":[
            {"collection":"posts","fields":[["published","asc"],["meta.`odd name`","desc"],["tags","elements"]]},
            {"collection":"comments","scope":"group","fields":[]}]}"#,
    )
    .unwrap();
    assert_eq!(definitions.len(), 2);
    assert_eq!(definitions[0].fields.len(), 3);
    for (text, reason) in [
        ("{}", "missing field `indexes`"),
        (
            r#"{"indexes":[{"collection":"a","fields":[["n","up"]]}]}"#,
            "unknown variant `up`",
        ),
        (
            r#"{"indexes":[{"collection":"a","fields":[["n","asc"]],"unique":true}]}"#,
            "unknown field `unique`",
        ),
        (
            r#"{"indexes":[{"collection":"a","fields":[["n","asc"],["n","desc"]]}]}"#,
            "twice",
        ),
        (
            r#"{"indexes":[{"collection":"a","fields":[["n","asc"]]},{"collection":"a","fields":[["n","asc"]]}]}"#,
            "twice",
        ),
        (
            r#"{"indexes":[{"collection":"_keys","fields":[["n","asc"]]}]}"#,
            "the system's own",
        ),
        (r#"{"indexes":[{"collection":"a","fields":[]}]}"#, "needs a field"),
        (
            r#"{"indexes":[{"collection":"a","fields":[["n.","asc"]]}]}"#,
            "not a field path",
        ),
    ] {
        let error = parse_index_file(text).unwrap_err();
        assert!(error.detail.contains(reason), "{text}: {error}");
    }
}
