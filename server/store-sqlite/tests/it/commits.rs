//! What the tables make delicate, beyond the suite that every store passes.

use std::ops::{Bound, ControlFlow};

use andiron_store::{Commit, IndexDefinition, IndexScope, LogRetention, ScanDirection, Store};

use crate::support::{apply, data, open, path, put, stored, version, write};

#[test]
fn what_was_finished_is_there_after_opening_again() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    put(&store, &[("a/1", Some("{}")), ("a/2", Some(r#"{"n":2}"#))]).unwrap();
    drop(store);
    let store = open(folder.path());
    assert_eq!(data(&store, "a/2").as_deref(), Some(r#"{"n":2}"#));
    assert_eq!(store.snapshot().unwrap().version().unwrap(), version(1));
    assert_eq!(store.check().unwrap(), Vec::<String>::new());
}

#[test]
fn a_number_that_a_dropped_group_gave_means_nothing_later() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let mut group = store.begin().unwrap();
    apply(&mut *group, 5, &[("a/1", Some("{}"))]).unwrap();
    assert!(group.snapshot().get_stored(&path("a/1")).unwrap().is_some());
    drop(group);
    assert_eq!(data(&store, "a/1"), None);
    put(&store, &[("b/1", Some("{}"))]).unwrap();
    put(&store, &[("a/1", Some("[1]"))]).unwrap();
    assert_eq!(data(&store, "a/1").as_deref(), Some("[1]"));
    assert_eq!(data(&store, "b/1").as_deref(), Some("{}"));
    assert_eq!(store.check().unwrap(), Vec::<String>::new());
}

#[test]
fn a_collection_that_is_forgotten_can_be_written_again() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    put(&store, &[("a/1", Some("{}"))]).unwrap();
    assert!(data(&store, "a/1").is_some());
    put(&store, &[("a/1", None)]).unwrap();
    let old = store.snapshot().unwrap();
    let mut group = store.begin().unwrap();
    group.trim_log(everything()).unwrap();
    apply(&mut *group, 3, &[("a/1", Some("[3]"))]).unwrap();
    group.finish().unwrap();
    assert_eq!(old.get_stored(&path("a/1")).unwrap(), None);
    assert_eq!(data(&store, "a/1").as_deref(), Some("[3]"));
    drop(old);
    assert_eq!(data(&store, "a/1").as_deref(), Some("[3]"));
    assert_eq!(store.check().unwrap(), Vec::<String>::new());
}

#[test]
fn forgetting_that_is_undone_forgets_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    put(&store, &[("a/1", Some("{}"))]).unwrap();
    put(&store, &[("a/1", None)]).unwrap();
    let mut group = store.begin().unwrap();
    group.trim_log(everything()).unwrap();
    apply(&mut *group, 3, &[("a/1", Some("[3]"))]).unwrap();
    drop(group);
    put(&store, &[("a/1", Some("[4]"))]).unwrap();
    assert_eq!(data(&store, "a/1").as_deref(), Some("[4]"));
    let snapshot = store.snapshot().unwrap();
    let old = snapshot.get_at(&path("a/1"), version(1)).unwrap();
    assert_eq!(old, Some(stored("a/1", 1, 1, "{}")));
    assert_eq!(store.check().unwrap(), Vec::<String>::new());
}

#[test]
fn history_goes_on_with_versions_that_no_clock_gives() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let late = 1 << 52;
    let versions = [7, late - 1, late, late + 1, i64::MAX - 1, i64::MAX];
    for (step, at) in versions.into_iter().enumerate() {
        let mut group = store.begin().unwrap();
        let data = (step != 3).then(|| format!("[{step}]"));
        apply(&mut *group, at, &[("a/1", data.as_deref()), ("a/2", Some("{}"))]).unwrap();
        group.finish().unwrap();
    }
    let snapshot = store.snapshot().unwrap();
    for (step, at) in versions.into_iter().enumerate() {
        let found = snapshot.get_at(&path("a/1"), version(at)).unwrap();
        let expected = (step != 3).then(|| format!("[{step}]"));
        assert_eq!(found.map(|found| found.data.to_string()), expected);
        let mut after = Vec::new();
        snapshot
            .changes(version(at), &mut |change| {
                after.push(change.version.as_micros());
                ControlFlow::Continue(())
            })
            .unwrap();
        after.dedup();
        assert_eq!(after, versions[step + 1..]);
    }
    assert_eq!(store.check().unwrap(), Vec::<String>::new());
}

#[test]
fn more_indexes_than_statements_are_kept_can_be_used_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    put(&store, &[("a/1", Some("{}"))]).unwrap();
    let mut group = store.begin().unwrap();
    let indexes: Vec<_> = (0..300)
        .map(|_| {
            let index = group.create_index(&definition()).unwrap();
            group.add_entries(index, &[(vec![1], path("a/1"))]).unwrap();
            group.finish_index(index).unwrap();
            index
        })
        .collect();
    group.finish().unwrap();
    let snapshot = store.snapshot().unwrap();
    let everything = (Bound::Unbounded, Bound::Unbounded);
    for _ in 0..2 {
        for index in &indexes {
            let mut found = 0;
            snapshot
                .scan_index(*index, everything, ScanDirection::Backward, &mut |_, _| {
                    found += 1;
                    ControlFlow::Continue(())
                })
                .unwrap();
            assert_eq!(found, 1);
        }
    }
}

#[test]
fn what_a_caller_must_not_do_is_refused_and_the_group_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    put(&store, &[("a/1", Some("{}"))]).unwrap();
    let snapshot = store.snapshot().unwrap();
    let update = write(&*snapshot, "a/1", Some("[]"));
    let nothing = write(&*snapshot, "a/2", None);
    let creations = (0..1025).map(|number| write(&*snapshot, &format!("b/{number}"), Some("{}")));
    let cases = [
        (vec![update.clone(), update], "writes `a/1` twice"),
        (vec![nothing], "there is no document `a/2`"),
        (creations.collect(), "has 1025 writes"),
    ];
    for (writes, expected) in cases {
        let commit = Commit {
            writes,
            ..Commit::default()
        };
        let mut group = store.begin().unwrap();
        let error = group.apply(&commit, version(2)).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
        let error = group
            .apply(&Commit::default(), version(2))
            .unwrap_err()
            .to_string();
        assert!(error.contains("has met an error before"), "{error}");
        assert!(group.finish().is_err());
    }
    assert_eq!(store.snapshot().unwrap().version().unwrap(), version(1));
    assert_eq!(store.check().unwrap(), Vec::<String>::new());
}

/// Trims the whole log.
fn everything() -> LogRetention {
    LogRetention {
        after: version(i64::MAX),
        bytes_max: 0,
        step_changes_max: 100,
    }
}

fn definition() -> IndexDefinition {
    IndexDefinition {
        collection: "a".to_owned(),
        scope: IndexScope::Collection,
        fields: Vec::new(),
    }
}
