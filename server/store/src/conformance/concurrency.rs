//! Readers and writers on several threads. Nothing here waits for time to pass.

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;

use super::fixture::{EVERYTHING, apply, at, col, commit, commit_of, contents, data_of, get, scan};
use crate::{CommitOutcome, LogRetention, ScanDirection, Store};

pub fn a_snapshot_stays_the_same_while_groups_go_on(store: &dyn Store) {
    commit(store, 1, &[("c/a", Some(r#"{"n":1}"#)), ("c/b", Some("{}"))]);
    let mut group = store.begin().unwrap();
    let index = group.create_index(&super::fixture::index_on("c")).unwrap();
    group
        .add_entries(index, &[(b"1".to_vec(), "c/a".parse().unwrap())])
        .unwrap();
    group.finish().unwrap();
    commit(store, 2, &[("c/a", Some(r#"{"n":2}"#))]);

    let snapshot = store.snapshot().unwrap();
    let before = contents(&*snapshot);
    commit(
        store,
        3,
        &[("c/a", Some(r#"{"n":3}"#)), ("c/b", None), ("d/c", Some("{}"))],
    );
    let second = store.snapshot().unwrap();
    let mut group = store.begin().unwrap();
    apply(
        &mut *group,
        4,
        &[("c/a", Some(r#"{"n":4}"#)), ("c/c", Some("{}"))],
    );
    group
        .add_entries(index, &[(b"2".to_vec(), "c/c".parse().unwrap())])
        .unwrap();
    let retention = LogRetention {
        after: at(3),
        bytes_max: u64::MAX,
        step_changes_max: u64::MAX,
    };
    group.trim_log(retention).unwrap();
    group.finish().unwrap();

    assert_eq!(contents(&*snapshot), before);
    assert_eq!(data_of(&*second, "c/a").as_deref(), Some(r#"{"n":3}"#));
    assert_eq!(get(&*second, "c/c"), None);
    assert_eq!(second.version().unwrap(), at(3));
    assert_eq!(
        data_of(&*store.snapshot().unwrap(), "c/a").as_deref(),
        Some(r#"{"n":4}"#)
    );
}

pub fn a_scan_under_way_sees_nothing_of_groups_that_finish_meanwhile(store: &dyn Store) {
    let paths: Vec<String> = (0..200).map(|number| format!("c/{number:03}")).collect();
    let writes: Vec<_> = paths.iter().map(|path| (path.as_str(), Some("{}"))).collect();
    commit(store, 1, &writes);
    for direction in [ScanDirection::Forward, ScanDirection::Backward] {
        let snapshot = store.snapshot().unwrap();
        let before = contents(&*snapshot);
        let mut found = Vec::new();
        snapshot
            .scan_collection(&col("c"), EVERYTHING, direction, &mut |row| {
                // Deletes, changes and adds documents that the scan has passed and such that it is yet to come to.
                if found.len() % 40 == 5 {
                    let version = found.len() as i64 + before.version.as_micros() + 1;
                    let added = format!("c/1{version}");
                    let writes = [
                        ("c/199", Some("[]")),
                        ("c/000", Some("[]")),
                        (&*added, Some("{}")),
                    ];
                    commit(store, version, &writes);
                    let other = if version % 2 == 0 { "c/100" } else { "c/101" };
                    let absent = get(&*store.snapshot().unwrap(), other).is_none();
                    commit(store, version + 1, &[(other, absent.then_some("{}"))]);
                }
                found.push(row.to_stored().unwrap());
                ControlFlow::Continue(())
            })
            .unwrap();
        if direction == ScanDirection::Backward {
            found.reverse();
        }
        assert_eq!(found, before.documents);
    }
}

pub fn a_second_group_waits_for_the_first(store: &dyn Store) {
    let mut group = store.begin().unwrap();
    apply(&mut *group, 1, &[("c/a", Some(r#"{"n":1}"#))]);
    let (started, start) = mpsc::channel();
    std::thread::scope(|scope| {
        let second = scope.spawn(move || {
            started.send(()).unwrap();
            let mut group = store.begin().unwrap();
            // Had it not waited, it would not see the first one's commit, and would take its version.
            assert_eq!(group.last_version(), at(1));
            apply(&mut *group, 2, &[("c/a", Some(r#"{"n":2}"#))]);
            group.finish().unwrap();
        });
        start.recv().unwrap();
        for _ in 0..100 {
            std::thread::yield_now();
        }
        group.finish().unwrap();
        second.join().unwrap();
    });
    assert_eq!(
        data_of(&*store.snapshot().unwrap(), "c/a").as_deref(),
        Some(r#"{"n":2}"#)
    );
}

/// Sets its flag also when a thread panics, so that the others end.
struct SetWhenDropped<'a>(&'a AtomicBool);

impl Drop for SetWhenDropped<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

pub fn readers_see_whole_groups_while_a_writer_goes_on(store: &dyn Store) {
    const GROUPS: i64 = 60;
    const DOCUMENTS: [&str; 4] = ["c/a", "c/b", "c/c", "c/d"];
    let done = AtomicBool::new(false);
    let done = &done;
    std::thread::scope(|scope| {
        let _done = SetWhenDropped(done);
        let readers: Vec<_> = (0..3)
            .map(|_| {
                scope.spawn(move || {
                    let mut last = 0;
                    let mut rounds = 0;
                    while !done.load(Ordering::Acquire) || rounds == 0 {
                        let snapshot = store.snapshot().unwrap();
                        let version = snapshot.version().unwrap().as_micros();
                        assert!(version >= last, "versions never step back");
                        last = version;
                        assert_eq!(version % 2, 0, "a group has two commits");
                        let found = scan(&*snapshot, "c", EVERYTHING, ScanDirection::Forward, usize::MAX);
                        assert_eq!(found.len(), if version == 0 { 0 } else { DOCUMENTS.len() });
                        for document in &found {
                            assert_eq!(*document.data, *format!(r#"{{"n":{version}}}"#));
                            let again = snapshot.get_stored(&document.path).unwrap();
                            assert_eq!(again.as_ref(), Some(document));
                        }
                        let count = snapshot.count_collection(&col("c"), EVERYTHING, 10).unwrap();
                        assert_eq!(count, found.len() as u64);
                        let rows = super::fixture::changes(&*snapshot, at(0), usize::MAX).len();
                        assert_eq!(rows, usize::try_from(version).unwrap() * DOCUMENTS.len());
                        rounds += 1;
                    }
                })
            })
            .collect();
        for number in 1..=GROUPS {
            let mut group = store.begin().unwrap();
            for version in [number * 2 - 1, number * 2] {
                let data = format!(r#"{{"n":{version}}}"#);
                apply(
                    &mut *group,
                    version,
                    &DOCUMENTS.map(|path| (path, Some(data.as_str()))),
                );
            }
            group.finish().unwrap();
        }
        done.store(true, Ordering::Release);
        for reader in readers {
            reader.join().unwrap();
        }
    });
}

pub fn counters_incremented_by_many_threads_lose_nothing(store: &dyn Store) {
    const THREADS: usize = 4;
    const INCREMENTS: usize = 25;
    commit(store, 1, &[("c/n", Some("0"))]);
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                for _ in 0..INCREMENTS {
                    // Prepared on a snapshot, so that others come between; again after each conflict.
                    loop {
                        let snapshot = store.snapshot().unwrap();
                        let count: usize = data_of(&*snapshot, "c/n").unwrap().parse().unwrap();
                        let next = (count + 1).to_string();
                        let commit = commit_of(&*snapshot, &[("c/n", Some(&next))]);
                        drop(snapshot);
                        let mut group = store.begin().unwrap();
                        let version = group.last_version().as_micros() + 1;
                        match group.apply(&commit, at(version)).unwrap() {
                            CommitOutcome::Applied => {
                                group.finish().unwrap();
                                break;
                            }
                            CommitOutcome::Conflict(path) => assert_eq!(path.as_str(), "c/n"),
                            CommitOutcome::QueryConflict(_) => panic!("there is no query"),
                        }
                    }
                }
            });
        }
    });
    let total = (THREADS * INCREMENTS).to_string();
    assert_eq!(data_of(&*store.snapshot().unwrap(), "c/n"), Some(total));
}
