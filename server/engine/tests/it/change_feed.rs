//! The change feed: what is told of commits, from which positions, and to whom.

use std::sync::Arc;
use std::time::Duration;

use andiron_engine::{Caller, ChangeFeed, ChangePart, EngineError};
use andiron_protocol::{ErrorCode, Source, Version};
use andiron_store::{LogRetention, Store};
use andiron_store_sqlite::{SqliteOptions, SqliteStore};
use serde_json::{Value as Json, json};

use crate::rules_support::user;
use crate::support::{OWNER, TestEngine};

/// How long anything may take that has to come.
const PATIENCE: Duration = Duration::from_secs(20);

/// A commit as it was told: its version and its changes.
type Told = (Version, Vec<Json>);

fn collection(path: &str) -> Source {
    Source::Collection(path.parse().unwrap())
}

fn follow(test: &TestEngine, sources: &[Source], after: Version) -> ChangeFeed {
    test.engine.follow_changes(&OWNER, sources, Some(after)).unwrap()
}

/// Puts parts together.
#[derive(Default)]
struct Commits {
    whole: Vec<Told>,
    open: Option<Told>,
}

impl Commits {
    fn take(&mut self, part: &ChangePart) {
        let (version, mut changes) = self.open.take().unwrap_or((part.version, Vec::new()));
        assert_eq!(version, part.version, "a commit ends before the next begins");
        changes.extend(serde_json::from_slice::<Vec<Json>>(&part.changes).unwrap());
        if part.more {
            self.open = Some((version, changes));
        } else {
            self.whole.push((version, changes));
        }
    }
}

/// Everything that is there.
async fn everything(test: &TestEngine, feed: &mut ChangeFeed) -> Vec<Told> {
    let mut commits = Commits::default();
    while feed.after() < test.engine.version().unwrap() {
        for part in feed.now().await.unwrap() {
            commits.take(&part);
        }
    }
    assert!(commits.open.is_none());
    commits.whole
}

fn brief(commits: &[Told]) -> Vec<String> {
    let one = |change: &Json| {
        let side = |side: &str| match &change[side]["data"]["n"] {
            Json::Null => "-".to_owned(),
            n => n.to_string(),
        };
        let (kind, path) = (change["type"].as_str().unwrap(), change["path"].as_str().unwrap());
        format!("{kind} {path} {}→{}", side("before"), side("after"))
    };
    let all = |(_, changes): &Told| changes.iter().map(one).collect::<Vec<_>>().join(", ");
    commits.iter().map(all).collect()
}

#[tokio::test]
async fn commits_are_told_whole_and_in_order_with_what_was_and_what_became() {
    for test in [TestEngine::start(), TestEngine::start_on_sqlite()] {
        test.write(json!([{"set": "a/1", "data": {"n": 1}}, {"set": "b/1", "data": {"n": 1}}]))
            .await;
        test.write(json!([{"set": "a/1", "data": {"n": 2}}])).await;
        test.write(json!([{"delete": "a/1"}, {"set": "a/1/b/2", "data": {"n": 5}}]))
            .await;
        let told = everything(&test, &mut follow(&test, &[], Version::ZERO)).await;
        assert_eq!(
            brief(&told),
            [
                "create a/1 -→1, create b/1 -→1",
                "update a/1 1→2",
                "delete a/1 2→-, create a/1/b/2 -→5"
            ]
        );
        let of_group = [collection("a"), Source::Group("b".to_owned())];
        let told = everything(&test, &mut follow(&test, &of_group, told[1].0)).await;
        assert_eq!(brief(&told), ["delete a/1 2→-, create a/1/b/2 -→5"]);
        let told = everything(&test, &mut follow(&test, &[collection("b")], Version::ZERO)).await;
        assert_eq!(brief(&told), ["create b/1 -→1"]);
    }
}

#[tokio::test]
async fn from_every_position_the_rest_is_told_and_large_commits_in_parts() {
    let test = TestEngine::start_on_sqlite();
    let text = "x".repeat(60_000);
    for round in 0..4 {
        let large: Vec<_> = (0..40)
            .map(|number| json!({"set": format!("large/{number}"), "data": {"n": round, "text": text}}))
            .collect();
        test.write(Json::from(large)).await;
        test.write(json!([{"set": "other/1", "data": {"n": round}}]))
            .await;
    }
    let all = everything(&test, &mut follow(&test, &[], Version::ZERO)).await;
    assert_eq!(all.len(), 8);
    assert!(all.iter().step_by(2).all(|(_, changes)| changes.len() == 40));
    for (place, (version, _)) in all.iter().enumerate() {
        let rest = everything(&test, &mut follow(&test, &[], *version)).await;
        assert_eq!(rest, all[place + 1..], "after {version}");
        let others = everything(&test, &mut follow(&test, &[collection("other")], *version)).await;
        let expected: Vec<_> = all[place + 1..]
            .iter()
            .filter(|(_, changes)| changes.len() == 1)
            .collect();
        assert_eq!(others.iter().collect::<Vec<_>>(), expected, "after {version}");
    }
    let mut feed = follow(&test, &[], Version::ZERO);
    let parts = feed.now().await.unwrap();
    assert!(parts[0].more, "a commit of megabytes comes in parts");
    assert!(parts.iter().map(|part| part.changes.len()).sum::<usize>() < 3 * 1024 * 1024);
}

#[tokio::test]
async fn whoever_waits_is_told_of_the_next_commit() {
    let test = TestEngine::start();
    test.write(json!([{"set": "a/1", "data": {"n": 1}}])).await;
    let mut feed = test
        .engine
        .follow_changes(&OWNER, &[collection("a")], None)
        .unwrap();
    let write = async {
        test.write(json!([{"set": "b/1", "data": {}}])).await;
        test.write(json!([{"set": "a/1", "data": {"n": 2}}])).await;
    };
    let (parts, ()) = tokio::join!(tokio::time::timeout(PATIENCE, feed.next()), write);
    let mut commits = Commits::default();
    parts.unwrap().unwrap().iter().for_each(|part| commits.take(part));
    assert_eq!(brief(&commits.whole), ["update a/1 1→2"]);
    test.engine.close();
    let closed = tokio::time::timeout(PATIENCE, feed.next()).await.unwrap();
    assert!(matches!(closed, Err(EngineError::Closed)));
}

#[tokio::test]
async fn positions_that_the_log_does_not_have_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let store: Arc<dyn Store> = Arc::new(SqliteStore::open(folder.path(), SqliteOptions::default()).unwrap());
    let test = TestEngine::over(Arc::clone(&store));
    let mut versions = Vec::new();
    for n in 0..4 {
        test.clock.fetch_add(1_000, std::sync::atomic::Ordering::SeqCst);
        versions.push(
            test.write(json!([{"set": "a/1", "data": {"n": n}}]))
                .await
                .version,
        );
    }
    let refusal = |after: Version| {
        let feed = test.engine.follow_changes(&OWNER, &[], Some(after));
        feed.err().map(|error| error.code())
    };
    let micros = |version: Version, by: i64| Version::from_micros(version.as_micros() + by);
    assert_eq!(refusal(versions[1]), None);
    assert_eq!(
        refusal(micros(versions[1], 1)),
        Some(ErrorCode::OutOfRange),
        "no commit had it"
    );
    assert_eq!(
        refusal(micros(versions[3], 1)),
        Some(ErrorCode::OutOfRange),
        "it is to come"
    );
    let mut behind = follow(&test, &[], versions[0]);
    let mut ahead = follow(&test, &[], versions[3]);
    let retention = LogRetention {
        after: versions[2],
        bytes_max: u64::MAX,
        step_changes_max: u64::MAX,
    };
    // Nothing else writes at the moment.
    let mut group = store.begin().unwrap();
    assert!(!group.trim_log(retention).unwrap().more);
    group.finish().unwrap();
    assert_eq!(
        refusal(Version::ZERO),
        Some(ErrorCode::OutOfRange),
        "the beginning is gone"
    );
    assert_eq!(refusal(versions[1]), Some(ErrorCode::OutOfRange));
    assert_eq!(refusal(versions[2]), None, "nothing after it is gone");
    let lost = behind.now().await;
    assert_eq!(
        lost.err().map(|error| error.code()),
        Some(ErrorCode::OutOfRange),
        "what it has not been told cannot be told any more"
    );
    assert!(ahead.now().await.unwrap().is_empty());
}

#[tokio::test]
async fn the_feed_is_for_administrators_and_not_for_any_number_of_them() {
    let test = TestEngine::start();
    for caller in [Caller::Anonymous, user("a")] {
        for sources in [vec![], vec![collection("a")]] {
            let refused = test.engine.follow_changes(&caller, &sources, None).err().unwrap();
            assert_eq!(refused.code(), ErrorCode::PermissionDenied);
        }
    }
    let refused = test
        .engine
        .follow_changes(&OWNER, &[collection("_accounts")], None);
    assert_eq!(refused.err().unwrap().code(), ErrorCode::PermissionDenied);
    let mut feeds = Vec::new();
    loop {
        match test.engine.follow_changes(&OWNER, &[], None) {
            Ok(feed) => feeds.push(feed),
            Err(error) => {
                assert_eq!(error.code(), ErrorCode::Unavailable);
                break;
            }
        }
    }
    assert_eq!(feeds.len(), 100);
    feeds.pop();
    assert!(test.engine.follow_changes(&OWNER, &[], None).is_ok());
}
