//! The change log and reads of the past.

use andiron_protocol::Version;

use super::fixture::{
    Changed, Contents, Written, apply, at, changes, commit, contents, contents_of, doc, get,
};
use crate::{LogInfo, LogRetention, Store, StoreError, TrimOutcome};

/// Commits at the versions 1 to 6 over four documents, with creations, updates, deletions and a document that comes back.
const COMMITS: [&[Written<'static>]; 6] = [
    &[("c/a", Some(r#"{"n":1}"#)), ("c/b", Some(r#"{"n":1}"#))],
    &[("c/b", Some(r#"{"n":"two"}"#)), ("d/c", Some("{}"))],
    &[("c/a", None)],
    &[
        ("c/a/s/d", Some(r#"{"n":4}"#)),
        ("c/a", Some(r#"{"n":4}"#)),
        ("d/c", None),
    ],
    &[("c/b", None), ("c/a", Some(r#"{"n":5}"#))],
    &[("c/b", Some(r#"{"n":6}"#))],
];
const PATHS: [&str; 5] = ["c/a", "c/b", "d/c", "c/a/s/d", "c/never"];

fn fill(store: &dyn Store) {
    for (number, writes) in COMMITS.iter().enumerate() {
        commit(store, number as i64 + 1, writes);
    }
}

fn trim(store: &dyn Store, retention: LogRetention) -> TrimOutcome {
    let mut group = store.begin().unwrap();
    let outcome = group.trim_log(retention).unwrap();
    group.finish().unwrap();
    outcome
}

/// Trims all that is at or before a version.
fn trim_to(store: &dyn Store, version: i64) -> TrimOutcome {
    trim(
        store,
        LogRetention {
            after: at(version),
            bytes_max: u64::MAX,
            step_changes_max: u64::MAX,
        },
    )
}

fn versions_and_paths(changes: &[Changed]) -> Vec<(i64, &str)> {
    changes
        .iter()
        .map(|change| (change.version.as_micros(), change.path.as_str()))
        .collect()
}

pub fn changes_are_in_the_order_of_versions_and_paths(store: &dyn Store) {
    let mut group = store.begin().unwrap();
    let unsorted = [
        "c/b", "c/a-", "c/a", "c/a/s/a", "b/z", "c/a.", "é/a", "c/B", "c/a/s/B",
    ];
    apply(&mut *group, 5, &unsorted.map(|path| (path, Some("{}"))));
    apply(&mut *group, 6, &[("c/z", Some("{}")), ("c/a", None)]);
    group.finish().unwrap();
    commit(store, 100, &[("a/a", Some("{}"))]);
    let found = changes(&*store.snapshot().unwrap(), Version::ZERO, usize::MAX);
    let expected = [
        (5, "b/z"),
        (5, "c/B"),
        (5, "c/a"),
        (5, "c/a/s/B"),
        (5, "c/a/s/a"),
        (5, "c/a-"),
        (5, "c/a."),
        (5, "c/b"),
        (5, "é/a"),
        (6, "c/a"),
        (6, "c/z"),
        (100, "a/a"),
    ];
    assert_eq!(versions_and_paths(&found), expected);
}

pub fn changes_carry_the_document_as_it_was_before(store: &dyn Store) {
    fill(store);
    let snapshot = store.snapshot().unwrap();
    let found = changes(&*snapshot, Version::ZERO, usize::MAX);
    let found: Vec<_> = found
        .iter()
        .map(|change| {
            let before = change.before.as_ref().map(|before| {
                assert_eq!(before.path, change.path);
                (
                    before.created.as_micros(),
                    before.version.as_micros(),
                    &*before.data,
                )
            });
            (
                change.version.as_micros(),
                change.path.as_str(),
                before,
                change.deleted,
            )
        })
        .collect();
    let expected = [
        (1, "c/a", None, false),
        (1, "c/b", None, false),
        (2, "c/b", Some((1, 1, r#"{"n":1}"#)), false),
        (2, "d/c", None, false),
        (3, "c/a", Some((1, 1, r#"{"n":1}"#)), true),
        (4, "c/a", None, false),
        (4, "c/a/s/d", None, false),
        (4, "d/c", Some((2, 2, "{}")), true),
        (5, "c/a", Some((4, 4, r#"{"n":4}"#)), false),
        (5, "c/b", Some((1, 2, r#"{"n":"two"}"#)), true),
        (6, "c/b", None, false),
    ];
    assert_eq!(found, expected);
}

pub fn changes_after_a_version_exclude_it(store: &dyn Store) {
    fill(store);
    let snapshot = store.snapshot().unwrap();
    let all = changes(&*snapshot, Version::ZERO, usize::MAX);
    for version in 0..=8 {
        let found = changes(&*snapshot, at(version), usize::MAX);
        let expected: Vec<_> = all
            .iter()
            .filter(|change| change.version > at(version))
            .cloned()
            .collect();
        assert_eq!(found, expected);
    }
}

pub fn changes_stop_where_the_visitor_says(store: &dyn Store) {
    fill(store);
    let snapshot = store.snapshot().unwrap();
    assert_eq!(changes(&*snapshot, at(1), 1).len(), 1);
    assert_eq!(changes(&*snapshot, at(1), 4).len(), 4);
}

pub fn documents_are_read_at_every_version(store: &dyn Store) {
    fill(store);
    let snapshot = store.snapshot().unwrap();
    for path in PATHS {
        let mut expected = None;
        let mut created = 0;
        assert_eq!(snapshot.get_at(&doc(path), Version::ZERO).unwrap(), None);
        for version in 1..=6 {
            if let Some((_, after)) = COMMITS[version - 1].iter().find(|(written, _)| *written == path) {
                created = if expected.is_none() {
                    version as i64
                } else {
                    created
                };
                expected = after.map(|data| (version as i64, created, data));
            }
            let found = snapshot.get_at(&doc(path), at(version as i64)).unwrap();
            let found = found.as_ref().map(|found| {
                assert_eq!(found.path, doc(path));
                (found.version.as_micros(), found.created.as_micros(), &*found.data)
            });
            assert_eq!(found, expected, "`{path}` at {version}");
        }
        assert_eq!(
            snapshot.get_at(&doc(path), at(1000)).unwrap(),
            get(&*snapshot, path)
        );
    }
}

pub fn the_log_counts_its_rows_and_bytes(store: &dyn Store) {
    let info = || store.snapshot().unwrap().log().unwrap();
    commit(store, 1, &[("c/a", Some(r#"{"x":"ä"}"#)), ("c/b", Some("{}"))]);
    assert_eq!((info().changes, info().bytes), (2, 0));
    commit(store, 2, &[("c/a", Some("{}"))]);
    assert_eq!((info().changes, info().bytes), (3, 10));
    commit(store, 3, &[("c/a", None), ("c/b", None)]);
    assert_eq!((info().changes, info().bytes), (5, 14));
    assert_eq!(info().start, Version::ZERO);
    trim_to(store, 2);
    let expected = LogInfo {
        start: at(2),
        changes: 2,
        bytes: 4,
    };
    assert_eq!(info(), expected);
    trim_to(store, 3);
    assert_eq!((info().changes, info().bytes), (0, 0));
}

pub fn trimming_removes_whole_commits_up_to_a_version(store: &dyn Store) {
    // Versions 10, 20 … 60, to ask for versions between them.
    for (number, writes) in COMMITS.iter().enumerate() {
        commit(store, number as i64 * 10 + 10, writes);
    }
    let Contents { changes: all, .. } = contents_of(store);
    let mut removed_before = 0;
    for (after, start) in [
        (0, 0),
        (9, 0),
        (10, 10),
        (39, 30),
        (40, 40),
        (45, 40),
        (100, 60),
        (200, 60),
    ] {
        let outcome = trim_to(store, after);
        let expected: Vec<_> = all
            .iter()
            .filter(|change| change.version > at(after))
            .cloned()
            .collect();
        let gone = (all.len() - expected.len()) as u64;
        let removed = gone - removed_before;
        assert_eq!(outcome, TrimOutcome { removed, more: false });
        removed_before = gone;
        let contents = contents_of(store);
        assert_eq!(contents.log.start, at(start), "after trimming to {after}");
        assert_eq!(contents.log.changes, expected.len() as u64);
        assert_eq!(contents.changes, expected);
    }
}

pub fn trimming_keeps_to_the_bound_of_bytes(store: &dyn Store) {
    // Each commit but the first adds 100 bytes of what was before.
    let data = format!(r#"{{"x":"{}"}}"#, "y".repeat(92));
    assert_eq!(data.len(), 100);
    for version in 1..=11 {
        commit(store, version, &[("c/a", Some(&data))]);
    }
    let bytes_max = |bytes_max| LogRetention {
        after: Version::ZERO,
        bytes_max,
        step_changes_max: u64::MAX,
    };
    let info = || store.snapshot().unwrap().log().unwrap();
    assert_eq!(info().bytes, 1000);
    assert_eq!(trim(store, bytes_max(1000)).removed, 0);
    // The first row has no bytes, so the second has to go too.
    assert_eq!(trim(store, bytes_max(999)).removed, 2);
    assert_eq!((info().bytes, info().start), (900, at(2)));
    assert_eq!(trim(store, bytes_max(350)).removed, 6);
    assert_eq!((info().bytes, info().start), (300, at(8)));
    assert_eq!(trim(store, bytes_max(0)).removed, 3);
    assert_eq!((info().bytes, info().changes, info().start), (0, 0, at(11)));
}

pub fn trimming_goes_in_steps(store: &dyn Store) {
    for version in 1..=10 {
        commit(store, version, &[("c/a", Some("{}")), ("c/b", Some("{}"))]);
    }
    let retention = LogRetention {
        after: at(8),
        bytes_max: u64::MAX,
        step_changes_max: 6,
    };
    let step = |removed, more| TrimOutcome { removed, more };
    assert_eq!(trim(store, retention), step(6, true));
    assert_eq!(store.snapshot().unwrap().log().unwrap().start, at(3));
    assert_eq!(trim(store, retention), step(6, true));
    assert_eq!(trim(store, retention), step(4, false));
    assert_eq!(trim(store, retention), step(0, false));
    assert_eq!(store.snapshot().unwrap().log().unwrap().start, at(8));
}

pub fn a_step_smaller_than_a_commit_still_removes_it(store: &dyn Store) {
    let three = ["c/a", "c/b", "c/c"].map(|path| (path, Some("{}")));
    commit(store, 1, &three);
    commit(store, 2, &three);
    let retention = LogRetention {
        after: at(2),
        bytes_max: u64::MAX,
        step_changes_max: 1,
    };
    assert_eq!(
        trim(store, retention),
        TrimOutcome {
            removed: 3,
            more: true
        }
    );
    assert_eq!(
        trim(store, retention),
        TrimOutcome {
            removed: 3,
            more: false
        }
    );
}

pub fn history_before_the_start_of_the_log_is_gone(store: &dyn Store) {
    fill(store);
    trim_to(store, 3);
    let snapshot = store.snapshot().unwrap();
    for version in 0..=2 {
        let asked_at = at(version);
        let gone = |error| match error {
            StoreError::HistoryGone { asked, start } => assert_eq!((asked, start), (asked_at, at(3))),
            other => panic!("another error: {other}"),
        };
        gone(snapshot.get_at(&doc("c/a"), asked_at).unwrap_err());
        gone(snapshot.get_at(&doc("c/never"), asked_at).unwrap_err());
        let visited = &mut |_: crate::Change<'_>| panic!("a change is shown though others are missing");
        gone(snapshot.changes(asked_at, visited).unwrap_err());
    }
    assert_eq!(snapshot.get_at(&doc("c/a"), at(3)).unwrap(), None);
    let b = snapshot.get_at(&doc("c/b"), at(3)).unwrap().unwrap();
    assert_eq!((b.version, b.created, &*b.data), (at(2), at(1), r#"{"n":"two"}"#));
    let c = snapshot.get_at(&doc("d/c"), at(3)).unwrap().unwrap();
    assert_eq!(c.version, at(2), "deleted since");
    assert_eq!(changes(&*snapshot, at(3), usize::MAX).len(), 6);
}

pub fn trimming_forgets_nothing_that_is_current(store: &dyn Store) {
    fill(store);
    let before = contents_of(store);
    trim_to(store, 6);
    let after = contents_of(store);
    assert_eq!(after.documents, before.documents);
    assert_eq!(after.version, before.version);
    assert_eq!(after.changes, []);
    let snapshot = store.snapshot().unwrap();
    for path in PATHS {
        assert_eq!(snapshot.get_at(&doc(path), at(6)).unwrap(), get(&*snapshot, path));
    }
    drop(snapshot);
    // What was deleted may come again, and all that is there may change.
    commit(
        store,
        7,
        &[("d/c", Some("{}")), ("c/a", None), ("c/b", Some("{}"))],
    );
    let snapshot = store.snapshot().unwrap();
    assert_eq!(snapshot.get_at(&doc("d/c"), at(6)).unwrap(), None);
    assert_eq!(get(&*snapshot, "d/c").unwrap().created, at(7));
    assert_eq!(
        &*snapshot.get_at(&doc("c/a"), at(6)).unwrap().unwrap().data,
        r#"{"n":5}"#
    );
}

pub fn a_group_reads_the_history_it_writes(store: &dyn Store) {
    fill(store);
    let mut group = store.begin().unwrap();
    apply(&mut *group, 7, &[("c/a", Some(r#"{"n":7}"#)), ("c/b", None)]);
    apply(&mut *group, 8, &[("c/a", None)]);
    let snapshot = group.snapshot();
    let a = |version| {
        snapshot
            .get_at(&doc("c/a"), at(version))
            .unwrap()
            .map(|found| found.data.to_string())
    };
    assert_eq!(a(6).as_deref(), Some(r#"{"n":5}"#));
    assert_eq!(a(7).as_deref(), Some(r#"{"n":7}"#));
    assert_eq!(a(8), None);
    assert_eq!(changes(snapshot, at(6), usize::MAX).len(), 3);
    let retention = LogRetention {
        after: at(7),
        bytes_max: u64::MAX,
        step_changes_max: u64::MAX,
    };
    group.trim_log(retention).unwrap();
    let contents = contents(group.snapshot());
    assert_eq!(versions_and_paths(&contents.changes), [(8, "c/a")]);
    group.finish().unwrap();
    assert_eq!(contents_of(store), contents);
}
