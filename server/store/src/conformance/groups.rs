//! Groups of commits.

use andiron_protocol::Version;

use super::fixture::{apply, at, commit, commit_of, contents, contents_of, data_of, get, ids, index_on};
use crate::{COMMIT_CHANGES_MAX, Commit, CommitOutcome, LogRetention, ReadCheck, Store};

pub fn a_group_is_invisible_to_others_until_it_is_finished(store: &dyn Store) {
    commit(store, 1, &[("c/a", Some(r#"{"n":1}"#)), ("c/b", Some("{}"))]);
    let before = contents_of(store);
    let mut group = store.begin().unwrap();
    apply(
        &mut *group,
        2,
        &[("c/a", Some(r#"{"n":2}"#)), ("c/b", None), ("d/c", Some("{}"))],
    );
    group.create_index(&index_on("c")).unwrap();
    assert_eq!(contents(&*store.snapshot().unwrap()), before);
    let expected = contents(group.snapshot());
    group.finish().unwrap();
    assert_eq!(contents_of(store), expected);
    assert_eq!(
        data_of(&*store.snapshot().unwrap(), "c/a").as_deref(),
        Some(r#"{"n":2}"#)
    );
}

pub fn a_group_sees_what_it_has_applied(store: &dyn Store) {
    commit(store, 1, &[("c/a", Some(r#"{"n":1}"#)), ("c/b", Some("{}"))]);
    let mut group = store.begin().unwrap();
    apply(
        &mut *group,
        2,
        &[("c/a", Some(r#"{"n":2}"#)), ("c/b", None), ("d/c", Some("{}"))],
    );
    let snapshot = group.snapshot();
    assert_eq!(snapshot.version().unwrap(), at(2));
    assert_eq!(data_of(snapshot, "c/a").as_deref(), Some(r#"{"n":2}"#));
    assert_eq!(get(snapshot, "c/b"), None);
    assert_eq!(ids(snapshot, "c"), ["a"]);
    assert_eq!(snapshot.collection_names(None).unwrap(), ["c", "d"]);
    assert_eq!(contents(snapshot).changes.len(), 5);
}

pub fn a_dropped_group_leaves_nothing(store: &dyn Store) {
    commit(store, 1, &[("c/a", Some("{}")), ("c/b", Some("{}"))]);
    let before = contents_of(store);
    let mut group = store.begin().unwrap();
    apply(
        &mut *group,
        2,
        &[("c/a", Some(r#"{"n":2}"#)), ("c/b", None), ("d/c", Some("{}"))],
    );
    group.create_index(&index_on("c")).unwrap();
    group
        .trim_log(LogRetention {
            after: at(1),
            bytes_max: u64::MAX,
            step_changes_max: 100,
        })
        .unwrap();
    drop(group);
    assert_eq!(contents_of(store), before);
    // The version of a commit that never was may be used.
    assert_eq!(store.begin().unwrap().last_version(), at(1));
    commit(store, 2, &[("c/a", Some(r#"{"n":3}"#))]);
    let snapshot = store.snapshot().unwrap();
    assert_eq!(data_of(&*snapshot, "c/a").as_deref(), Some(r#"{"n":3}"#));
    assert_eq!(ids(&*snapshot, "c"), ["a", "b"]);
    assert_eq!(ids(&*snapshot, "d"), [""; 0]);
}

pub fn commits_of_a_group_build_on_each_other(store: &dyn Store) {
    let mut group = store.begin().unwrap();
    apply(&mut *group, 1, &[("c/a", Some(r#"{"n":1}"#))]);
    apply(&mut *group, 2, &[("c/a", Some(r#"{"n":2}"#))]);
    apply(&mut *group, 3, &[("c/a", None)]);
    apply(&mut *group, 4, &[("c/a", Some(r#"{"n":4}"#))]);
    apply(&mut *group, 5, &[("c/a", Some(r#"{"n":5}"#))]);
    group.finish().unwrap();
    let document = get(&*store.snapshot().unwrap(), "c/a").unwrap();
    assert_eq!((document.created, document.version), (at(4), at(5)));
    let contents = contents_of(store);
    let befores: Vec<_> = contents
        .changes
        .iter()
        .map(|change| {
            let before = change.before.as_ref();
            (
                change.version,
                before.map(|before| before.version),
                change.deleted,
            )
        })
        .collect();
    let expected = [
        (at(1), None, false),
        (at(2), Some(at(1)), false),
        (at(3), Some(at(2)), true),
        (at(4), None, false),
        (at(5), Some(at(4)), false),
    ];
    assert_eq!(befores, expected);
}

pub fn versions_are_those_of_the_commits(store: &dyn Store) {
    // The last one is of a clock that is wrong by more than a hundred thousand years.
    let large = 9_000_000_000_000_000_000;
    for version in [5, 6, 1_795_326_035_123_456, large] {
        let mut group = store.begin().unwrap();
        assert!(group.last_version() < at(version));
        apply(&mut *group, version, &[("c/a", Some("{}"))]);
        assert_eq!(group.last_version(), at(version));
        group.finish().unwrap();
        let snapshot = store.snapshot().unwrap();
        assert_eq!(snapshot.version().unwrap(), at(version));
        assert_eq!(get(&*snapshot, "c/a").unwrap().version, at(version));
    }
    assert_eq!(store.begin().unwrap().last_version(), at(large));
}

pub fn a_commit_without_writes_counts(store: &dyn Store) {
    commit(store, 1, &[("c/a", Some("{}"))]);
    let mut group = store.begin().unwrap();
    let check = Commit {
        reads: vec![ReadCheck {
            path: "c/a".parse().unwrap(),
            version: Some(at(1)),
        }],
        ..Commit::default()
    };
    assert_eq!(group.apply(&check, at(7)).unwrap(), CommitOutcome::Applied);
    assert_eq!(group.last_version(), at(7));
    group.finish().unwrap();
    let contents = contents_of(store);
    assert_eq!(contents.version, at(7));
    assert_eq!(contents.changes.len(), 1);
    assert_eq!(store.begin().unwrap().last_version(), at(7));
}

pub fn a_version_that_is_not_greater_is_refused(store: &dyn Store) {
    commit(store, 10, &[("c/a", Some("{}"))]);
    for version in [Version::ZERO, at(9), at(10)] {
        let mut group = store.begin().unwrap();
        assert!(group.apply(&Commit::default(), version).is_err());
    }
    assert_eq!(contents_of(store).version, at(10));
}

pub fn a_commit_changes_up_to_a_maximum_of_documents(store: &dyn Store) {
    let paths: Vec<String> = (0..=COMMIT_CHANGES_MAX)
        .map(|number| format!("c/{number:04}"))
        .collect();
    let writes: Vec<_> = paths.iter().map(|path| (path.as_str(), Some("{}"))).collect();
    let mut group = store.begin().unwrap();
    let too_large = commit_of(group.snapshot(), &writes);
    assert!(group.apply(&too_large, at(1)).is_err());
    drop(group);
    commit(store, 1, &writes[1..]);
    let contents = contents_of(store);
    assert_eq!(contents.documents.len(), COMMIT_CHANGES_MAX);
    let logged: Vec<_> = contents
        .changes
        .iter()
        .map(|change| change.path.as_str())
        .collect();
    assert_eq!(logged, paths[1..]);
}

pub fn an_empty_group_changes_nothing(store: &dyn Store) {
    commit(store, 10, &[("c/a", Some("{}"))]);
    let before = contents_of(store);
    store.begin().unwrap().finish().unwrap();
    assert_eq!(contents_of(store), before);
}
