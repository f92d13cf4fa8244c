//! Documents, conflicts, history and indexes: the parts of the contract that the tables make delicate.

use std::ops::{Bound, ControlFlow};

use andiron_store::{Commit, CommitOutcome, IndexDefinition, IndexScope, LogRetention, ScanDirection, Store};

use crate::support::{added, apply, collection, data, open, path, put, stored, version};

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
fn a_snapshot_is_fixed_when_it_is_taken() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let snapshot = store.snapshot().unwrap();
    put(&store, &[("a/1", Some("{}"))]).unwrap();
    assert_eq!(snapshot.get_stored(&path("a/1")).unwrap(), None);
    assert_eq!(snapshot.version().unwrap(), version(0));
}

#[test]
fn a_group_that_is_dropped_leaves_nothing() {
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
    assert_eq!(store.check().unwrap(), Vec::<String>::new());
}

#[test]
fn a_conflict_leaves_the_group_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    put(&store, &[("a/1", Some("{}"))]).unwrap();
    let mut group = store.begin().unwrap();
    apply(&mut *group, 2, &[("a/2", Some("{}"))]).unwrap();
    let mut write = crate::support::write(group.snapshot(), "a/1", Some("[]"));
    write.before = None;
    let created = Commit {
        writes: vec![write.clone()],
        ..Commit::default()
    };
    let conflict = CommitOutcome::Conflict(path("a/1"));
    assert_eq!(group.apply(&created, version(3)).unwrap(), conflict);
    let both = Commit {
        writes: vec![crate::support::write(group.snapshot(), "a/3", Some("{}")), write],
        ..Commit::default()
    };
    assert_eq!(group.apply(&both, version(3)).unwrap(), conflict);
    assert_eq!(group.last_version(), version(2));
    group.finish().unwrap();
    assert_eq!(data(&store, "a/2").as_deref(), Some("{}"));
    assert_eq!(data(&store, "a/3"), None);
}

#[test]
fn history_is_read_back_across_deletions_and_trimming() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    put(&store, &[("a/1", Some("[1]"))]).unwrap();
    put(&store, &[("a/1", Some("[2]"))]).unwrap();
    put(&store, &[("a/1", None)]).unwrap();
    put(&store, &[("a/1", Some("[4]"))]).unwrap();
    put(&store, &[("a/1", None), ("b/1", Some("{}"))]).unwrap();
    let at = |micros| {
        let snapshot = store.snapshot().unwrap();
        snapshot.get_at(&path("a/1"), version(micros)).unwrap()
    };
    assert_eq!(at(0), None);
    assert_eq!(at(1), Some(stored("a/1", 1, 1, "[1]")));
    assert_eq!(at(2), Some(stored("a/1", 2, 1, "[2]")));
    assert_eq!(at(3), None);
    assert_eq!(at(4), Some(stored("a/1", 4, 4, "[4]")));
    assert_eq!(at(5), None);
    assert_eq!(store.check().unwrap(), Vec::<String>::new());

    let mut group = store.begin().unwrap();
    let trimmed = group.trim_log(LogRetention {
        after: version(3),
        bytes_max: u64::MAX,
        step_changes_max: 100,
    });
    assert_eq!(
        (trimmed.as_ref().unwrap().removed, trimmed.unwrap().more),
        (3, false)
    );
    group.finish().unwrap();
    assert_eq!(at(3), None);
    assert_eq!(at(4), Some(stored("a/1", 4, 4, "[4]")));
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
    let all = LogRetention {
        after: version(i64::MAX),
        bytes_max: 0,
        step_changes_max: 100,
    };
    group.trim_log(all).unwrap();
    apply(&mut *group, 3, &[("a/1", Some("[3]"))]).unwrap();
    group.finish().unwrap();
    assert_eq!(old.get_stored(&path("a/1")).unwrap(), None);
    assert_eq!(data(&store, "a/1").as_deref(), Some("[3]"));
    drop(old);
    assert_eq!(data(&store, "a/1").as_deref(), Some("[3]"));
    assert_eq!(store.check().unwrap(), Vec::<String>::new());
}

#[test]
fn collections_come_in_the_order_of_paths() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    put(
        &store,
        &[
            ("a-b/1", Some("{}")),
            ("a/1/c/1", Some("{}")),
            ("a/1", Some("{}")),
        ],
    )
    .unwrap();
    put(&store, &[("a/1", None)]).unwrap();
    let snapshot = store.snapshot().unwrap();
    assert_eq!(
        snapshot.collections(None, 10).unwrap(),
        [collection("a/1/c"), collection("a-b")]
    );
    assert_eq!(snapshot.collection_names(Some(&path("a/1"))).unwrap(), ["c"]);
    assert_eq!(snapshot.collection_names(None).unwrap(), ["a-b"]);
}

#[test]
fn a_scan_goes_both_ways_within_its_bounds() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    put(
        &store,
        &[("a/1", Some("{}")), ("a/2", Some("{}")), ("a/3", Some("{}"))],
    )
    .unwrap();
    let snapshot = store.snapshot().unwrap();
    let ids = |from, to, direction| {
        let mut ids = Vec::new();
        snapshot
            .scan_collection(&collection("a"), (from, to), direction, &mut |row| {
                ids.push(row.id.to_owned());
                ControlFlow::Continue(())
            })
            .unwrap();
        ids.join("")
    };
    use Bound::{Excluded, Included, Unbounded};
    assert_eq!(ids(Unbounded, Unbounded, ScanDirection::Backward), "321");
    assert_eq!(ids(Excluded("1"), Included("3"), ScanDirection::Forward), "23");
    assert_eq!(ids(Included("1"), Excluded("3"), ScanDirection::Forward), "12");
    assert_eq!(ids(Included("3"), Excluded("1"), ScanDirection::Forward), "");
}

#[test]
fn an_index_is_scanned_with_its_documents_and_dropped() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    put(&store, &[("a/1", Some("[1]")), ("a/2", Some("[2]"))]).unwrap();
    let mut group = store.begin().unwrap();
    let index = group.create_index(&definition()).unwrap();
    group
        .add_entries(index, &[(vec![9], path("a/1")), (vec![8], path("a/2"))])
        .unwrap();
    let mut write = crate::support::write(group.snapshot(), "a/3", Some("[3]"));
    write.entries = vec![added(index, &[8, 0])];
    let commit = Commit {
        writes: vec![write],
        ..Commit::default()
    };
    assert_eq!(group.apply(&commit, version(2)).unwrap(), CommitOutcome::Applied);
    group.finish_index(index).unwrap();
    group.finish().unwrap();
    assert_eq!(store.check().unwrap(), Vec::<String>::new());

    let snapshot = store.snapshot().unwrap();
    let ids = |from: Bound<&[u8]>, to: Bound<&[u8]>, direction| {
        let mut ids = String::new();
        snapshot
            .scan_index(index, (from, to), direction, &mut |_, row| {
                ids.push_str(row.id);
                ControlFlow::Continue(())
            })
            .unwrap();
        ids
    };
    use Bound::{Excluded, Included, Unbounded};
    assert_eq!(ids(Unbounded, Unbounded, ScanDirection::Forward), "231");
    assert_eq!(ids(Unbounded, Unbounded, ScanDirection::Backward), "132");
    assert_eq!(ids(Excluded(&[8]), Included(&[9]), ScanDirection::Forward), "31");
    assert_eq!(
        ids(Included(&[8]), Excluded(&[8, 0]), ScanDirection::Forward),
        "2"
    );
    assert_eq!(snapshot.count_index(index, (Unbounded, Unbounded), 2).unwrap(), 2);

    let mut group = store.begin().unwrap();
    group.drop_index(index).unwrap();
    group.finish().unwrap();
    assert_eq!(snapshot.count_index(index, (Unbounded, Unbounded), 9).unwrap(), 3);
    let later = store.snapshot().unwrap();
    assert!(later.count_index(index, (Unbounded, Unbounded), 9).is_err());
    let mut group = store.begin().unwrap();
    assert_ne!(group.create_index(&definition()).unwrap(), index);
}

fn definition() -> IndexDefinition {
    IndexDefinition {
        collection: "a".to_owned(),
        scope: IndexScope::Collection,
        fields: Vec::new(),
    }
}
