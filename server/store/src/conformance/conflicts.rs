//! Commits that conflict with what happened since they were prepared.

use std::sync::Arc;

use andiron_protocol::Source;

use super::fixture::{Written, apply, at, col, commit, commit_of, contents, contents_of, doc, get};
use crate::{Commit, CommitOutcome, LogRetention, QueryCheck, ReadCheck, Store};

/// Prepares `writes` on the current state, then commits `meanwhile`, and returns what becomes of the prepared commit.
fn outcome_after(store: &dyn Store, writes: &[Written<'_>], meanwhile: &[&[Written<'_>]]) -> CommitOutcome {
    let prepared = commit_of(&*store.snapshot().unwrap(), writes);
    let mut version = store.snapshot().unwrap().version().unwrap().as_micros();
    for writes in meanwhile {
        version += 1;
        commit(store, version, writes);
    }
    let mut group = store.begin().unwrap();
    group.apply(&prepared, at(version + 1)).unwrap()
}

pub fn a_write_conflicts_when_its_document_changed(store: &dyn Store) {
    commit(store, 1, &[("c/a", Some("{}")), ("c/b", Some("{}"))]);
    for after in [Some(r#"{"mine":1}"#), None] {
        let writes = [("c/b", Some("{}")), ("c/a", after)];
        let outcome = outcome_after(store, &writes, &[&[("c/a", Some(r#"{"theirs":1}"#))]]);
        assert_eq!(outcome, CommitOutcome::Conflict(doc("c/a")));
    }
}

pub fn a_write_conflicts_when_its_document_appeared(store: &dyn Store) {
    let outcome = outcome_after(store, &[("c/a", Some("{}"))], &[&[("c/a", Some("{}"))]]);
    assert_eq!(outcome, CommitOutcome::Conflict(doc("c/a")));
}

pub fn a_write_conflicts_when_its_document_vanished(store: &dyn Store) {
    commit(store, 1, &[("c/a", Some("{}"))]);
    let outcome = outcome_after(store, &[("c/a", Some("{}"))], &[&[("c/a", None)]]);
    assert_eq!(outcome, CommitOutcome::Conflict(doc("c/a")));
}

pub fn a_write_conflicts_when_its_document_was_created_again(store: &dyn Store) {
    commit(store, 1, &[("c/a", Some("{}"))]);
    let meanwhile: &[&[Written<'_>]] = &[&[("c/a", None)], &[("c/a", Some("{}"))]];
    let outcome = outcome_after(store, &[("c/a", Some("{}"))], meanwhile);
    assert_eq!(outcome, CommitOutcome::Conflict(doc("c/a")));
}

fn read(path: &str, version: Option<i64>) -> ReadCheck {
    ReadCheck {
        path: doc(path),
        version: version.map(at),
    }
}

fn outcome_of_reads(store: &dyn Store, reads: Vec<ReadCheck>) -> CommitOutcome {
    let mut group = store.begin().unwrap();
    let commit = Commit {
        reads,
        ..commit_of(group.snapshot(), &[("other/x", Some("{}"))])
    };
    let version = group.last_version().as_micros() + 1;
    group.apply(&commit, at(version)).unwrap()
}

pub fn a_read_conflicts_when_its_document_is_not_as_it_was(store: &dyn Store) {
    commit(store, 1, &[("c/a", Some("{}")), ("c/b", Some("{}"))]);
    commit(store, 2, &[("c/a", Some("{}")), ("c/b", None)]);
    for stale in [
        read("c/a", Some(1)),
        read("c/a", Some(3)),
        read("c/a", None),
        read("c/b", Some(1)),
        read("c/absent", Some(1)),
        read("absent/a", Some(2)),
    ] {
        let path = stale.path.clone();
        let outcome = outcome_of_reads(store, vec![read("c/a", Some(2)), stale]);
        assert_eq!(outcome, CommitOutcome::Conflict(path));
    }
}

pub fn a_read_of_an_unchanged_document_does_not_conflict(store: &dyn Store) {
    commit(store, 1, &[("c/a", Some("{}")), ("c/b", Some("{}"))]);
    commit(store, 2, &[("c/b", None)]);
    let reads = vec![read("c/a", Some(1)), read("c/b", None), read("absent/x", None)];
    assert_eq!(outcome_of_reads(store, reads), CommitOutcome::Applied);
}

pub fn earlier_commits_of_the_group_conflict_too(store: &dyn Store) {
    commit(store, 1, &[("c/a", Some("{}")), ("c/b", Some("{}"))]);
    let snapshot = store.snapshot().unwrap();
    let prepared = |writes: &[Written<'_>]| commit_of(&*snapshot, writes);
    let changed = prepared(&[("c/a", Some("{}"))]);
    let vanished = prepared(&[("c/b", Some("{}"))]);
    let appeared = prepared(&[("c/new", Some("{}"))]);
    let mut group = store.begin().unwrap();
    apply(
        &mut *group,
        2,
        &[("c/a", Some("{}")), ("c/b", None), ("c/new", Some("{}"))],
    );
    for (commit, path) in [(changed, "c/a"), (vanished, "c/b"), (appeared, "c/new")] {
        let outcome = group.apply(&commit, at(3)).unwrap();
        assert_eq!(outcome, CommitOutcome::Conflict(doc(path)));
    }
}

pub fn a_conflict_leaves_the_group_as_it_was(store: &dyn Store) {
    commit(store, 1, &[("c/a", Some("{}")), ("c/b", Some("{}"))]);
    let stale = commit_of(
        &*store.snapshot().unwrap(),
        &[
            ("c/new", Some("{}")),
            ("c/a", None),
            ("c/b", Some(r#"{"stale":true}"#)),
        ],
    );
    commit(store, 2, &[("c/b", Some(r#"{"n":2}"#))]);
    let mut group = store.begin().unwrap();
    apply(&mut *group, 3, &[("c/first", Some("{}"))]);
    let before = contents(group.snapshot());
    let outcome = group.apply(&stale, at(4)).unwrap();
    assert_eq!(outcome, CommitOutcome::Conflict(doc("c/b")));
    assert_eq!(contents(group.snapshot()), before);
    assert_eq!(group.last_version(), at(3));
    // The version of the commit that conflicted is free.
    apply(&mut *group, 4, &[("c/second", Some("{}"))]);
    group.finish().unwrap();
    let snapshot = store.snapshot().unwrap();
    assert_eq!(&*get(&*snapshot, "c/b").unwrap().data, r#"{"n":2}"#);
    assert_eq!(
        super::fixture::ids(&*snapshot, "c"),
        ["a", "b", "first", "second"]
    );
    assert_eq!(contents_of(store).changes.len(), 5);
}

/// A query for the documents whose data has `hit` in it.
fn hits(source: Source, version: i64) -> QueryCheck {
    QueryCheck {
        source,
        version: at(version),
        matches: Arc::new(|_, data| data.contains("hit")),
    }
}

fn outcome_of_queries(store: &dyn Store, queries: Vec<QueryCheck>) -> CommitOutcome {
    let mut group = store.begin().unwrap();
    let commit = Commit {
        queries,
        ..commit_of(group.snapshot(), &[("other/x", Some("{}"))])
    };
    let version = group.last_version().as_micros() + 1;
    let before = contents(group.snapshot());
    let outcome = group.apply(&commit, at(version)).unwrap();
    if outcome != CommitOutcome::Applied {
        assert_eq!(contents(group.snapshot()), before);
    }
    outcome
}

fn collection(path: &str) -> Source {
    Source::Collection(col(path))
}

const HIT: Option<&str> = Some(r#"{"x":"hit"}"#);
const HIT_TOO: Option<&str> = Some(r#"{"x":"hit too"}"#);
const MISS: Option<&str> = Some(r#"{"x":"miss"}"#);

pub fn a_query_conflicts_when_a_result_changed_left_or_came(store: &dyn Store) {
    let cases: [(&str, Written<'_>, Written<'_>); 6] = [
        ("changed", ("c/a", HIT), ("c/a", HIT_TOO)),
        ("written again as it was", ("c/b", HIT), ("c/b", HIT)),
        ("left", ("c/c", HIT), ("c/c", MISS)),
        ("deleted", ("c/d", HIT), ("c/d", None)),
        ("came", ("c/e", MISS), ("c/e", HIT)),
        ("created", ("d/f", MISS), ("c/f", HIT)),
    ];
    let mut version = 0;
    for (what, first, second) in cases {
        commit(store, version + 1, &[first]);
        commit(store, version + 2, &[second]);
        version += 2;
        let outcome = outcome_of_queries(store, vec![hits(collection("c"), version - 1)]);
        assert_eq!(outcome, CommitOutcome::QueryConflict(0), "{what}");
        let outcome = outcome_of_queries(store, vec![hits(collection("c"), version)]);
        assert_eq!(outcome, CommitOutcome::Applied, "nothing since it was {what}");
    }
}

pub fn a_query_conflicts_with_a_result_that_came_and_went(store: &dyn Store) {
    commit(store, 1, &[("c/a", MISS)]);
    commit(store, 2, &[("c/a", HIT)]);
    commit(store, 3, &[("c/a", MISS)]);
    let outcome = outcome_of_queries(store, vec![hits(collection("c"), 1)]);
    assert_eq!(outcome, CommitOutcome::QueryConflict(0));
}

pub fn a_query_does_not_conflict_with_what_never_matched(store: &dyn Store) {
    commit(store, 1, &[("c/a", HIT), ("c/b", MISS), ("c/c", MISS)]);
    commit(
        store,
        2,
        &[("c/b", Some(r#"{"x":"miss too"}"#)), ("c/c", None), ("c/d", MISS)],
    );
    let outcome = outcome_of_queries(store, vec![hits(collection("c"), 1)]);
    assert_eq!(outcome, CommitOutcome::Applied);
}

pub fn a_query_looks_at_its_source_alone(store: &dyn Store) {
    commit(store, 1, &[("x/x", MISS)]);
    let elsewhere = ["d/a", "C/a", "c/a/d/a", "d/a/c2/a", "cc/a"].map(|path| (path, HIT));
    commit(store, 2, &elsewhere);
    for source in [collection("c"), Source::Group("c".to_owned())] {
        let outcome = outcome_of_queries(store, vec![hits(source, 1)]);
        assert_eq!(outcome, CommitOutcome::Applied);
    }
    commit(store, 3, &[("d/a/c/a", HIT)]);
    let outcome = outcome_of_queries(store, vec![hits(collection("c"), 1)]);
    assert_eq!(outcome, CommitOutcome::Applied, "another collection of the name");
    for source in [Source::Group("c".to_owned()), collection("d/a/c")] {
        let outcome = outcome_of_queries(store, vec![hits(source, 1)]);
        assert_eq!(outcome, CommitOutcome::QueryConflict(0));
    }
}

pub fn a_query_conflicts_with_earlier_commits_of_the_group(store: &dyn Store) {
    commit(store, 1, &[("c/a", HIT), ("c/b", MISS)]);
    let mut group = store.begin().unwrap();
    apply(&mut *group, 2, &[("c/b", HIT)]);
    let commit = Commit {
        queries: vec![hits(collection("c"), 1)],
        ..Commit::default()
    };
    assert_eq!(
        group.apply(&commit, at(3)).unwrap(),
        CommitOutcome::QueryConflict(0)
    );
    let commit = Commit {
        queries: vec![hits(collection("c"), 2)],
        ..Commit::default()
    };
    assert_eq!(group.apply(&commit, at(3)).unwrap(), CommitOutcome::Applied);
}

pub fn a_query_older_than_the_log_conflicts(store: &dyn Store) {
    for version in 1..=4 {
        commit(store, version, &[("elsewhere/a", MISS)]);
    }
    let mut group = store.begin().unwrap();
    let retention = LogRetention {
        after: at(2),
        bytes_max: u64::MAX,
        step_changes_max: 100,
    };
    group.trim_log(retention).unwrap();
    group.finish().unwrap();
    let outcome = outcome_of_queries(store, vec![hits(collection("c"), 1)]);
    assert_eq!(
        outcome,
        CommitOutcome::QueryConflict(0),
        "what changed is not known"
    );
    let outcome = outcome_of_queries(store, vec![hits(collection("c"), 2)]);
    assert_eq!(outcome, CommitOutcome::Applied, "the log begins right after it");
}

pub fn the_conflicting_query_is_named(store: &dyn Store) {
    commit(store, 1, &[("c/a", MISS)]);
    commit(store, 2, &[("c/a", HIT)]);
    let queries = vec![
        hits(collection("d"), 1),
        hits(collection("c"), 2),
        hits(collection("c"), 1),
    ];
    assert_eq!(
        outcome_of_queries(store, queries),
        CommitOutcome::QueryConflict(2)
    );
}
