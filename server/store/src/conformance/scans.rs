//! Scans of collections and groups of collections.

use std::ops::{Bound, ControlFlow};

use super::documents::unusual_ids;
use super::fixture::{EVERYTHING, col, commit, continue_below, data_of, ids, is_within, ranges, scan};
use crate::{ScanDirection, Snapshot, Store};

/// Documents in the collection `c` and in its neighbours, which no scan of `c` may reach; the ids in `c`, sorted.
fn fill(store: &dyn Store) -> Vec<String> {
    let mut ids = unusual_ids();
    let mut paths: Vec<String> = ids.iter().map(|id| format!("c/{id}")).collect();
    for neighbour in ["b", "c ", "c/a/c", "c/a/d", "ca", "d"] {
        paths.extend(["a", "m", "z"].map(|id| format!("{neighbour}/{id}")));
    }
    let writes: Vec<_> = paths.iter().map(|path| (path.as_str(), Some("{}"))).collect();
    commit(store, 1, &writes);
    ids.sort();
    ids
}

pub fn a_range_of_ids_is_scanned_in_both_directions(store: &dyn Store) {
    let all = fill(store);
    let snapshot = store.snapshot().unwrap();
    // Ids that are there and such that are not, and texts that are no ids.
    for range in ranges::<str>(&["", "a", "a/", "b", "\u{1}", "🔥", "\u{10FFFF}\u{10FFFF}", "x\0"]) {
        let expected: Vec<&str> = all
            .iter()
            .map(String::as_str)
            .filter(|id| is_within(*id, range))
            .collect();
        for direction in [ScanDirection::Forward, ScanDirection::Backward] {
            let found = scan(&*snapshot, "c", range, direction, usize::MAX);
            let mut found: Vec<&str> = found.iter().map(|document| document.path.id()).collect();
            if direction == ScanDirection::Backward {
                found.reverse();
            }
            assert_eq!(found, expected, "{range:?} {direction:?}");
        }
        let count = snapshot.count_collection(&col("c"), range, u64::MAX).unwrap();
        assert_eq!(count, expected.len() as u64, "{range:?}");
    }
}

pub fn a_scan_stops_where_the_visitor_says(store: &dyn Store) {
    let all = fill(store);
    let snapshot = store.snapshot().unwrap();
    for direction in [ScanDirection::Forward, ScanDirection::Backward] {
        for max in [1, 2, all.len()] {
            let found = scan(&*snapshot, "c", EVERYTHING, direction, max);
            assert_eq!(found.len(), max);
            let first = match direction {
                ScanDirection::Forward => all.first(),
                ScanDirection::Backward => all.last(),
            };
            assert_eq!(
                found.first().map(|document| document.path.id()),
                first.map(String::as_str)
            );
        }
    }
}

pub fn documents_of_a_range_are_counted_up_to_a_maximum(store: &dyn Store) {
    let all = fill(store).len() as u64;
    let snapshot = store.snapshot().unwrap();
    let count = |range, max| snapshot.count_collection(&col("c"), range, max).unwrap();
    assert_eq!(count(EVERYTHING, u64::MAX), all);
    assert_eq!(count(EVERYTHING, all), all);
    assert_eq!(count(EVERYTHING, all - 1), all - 1);
    assert_eq!(count(EVERYTHING, 1), 1);
    assert_eq!(count(EVERYTHING, 0), 0);
    assert_eq!(count((Bound::Included("a"), Bound::Included("a")), 10), 1);
    assert_eq!(
        snapshot.count_collection(&col("absent"), EVERYTHING, 10).unwrap(),
        0
    );
}

pub fn an_absent_collection_is_scanned_as_empty(store: &dyn Store) {
    commit(store, 1, &[("c/a", Some("{}")), ("c/a/d/b", Some("{}"))]);
    commit(store, 2, &[("c/a/d/b", None)]);
    let snapshot = store.snapshot().unwrap();
    for collection in ["absent", "c/a/d", "c/absent/d"] {
        for direction in [ScanDirection::Forward, ScanDirection::Backward] {
            assert_eq!(scan(&*snapshot, collection, EVERYTHING, direction, 1), []);
        }
    }
}

pub fn subcollections_are_no_part_of_a_collection(store: &dyn Store) {
    let writes = ["c/a", "c/a/c/x", "c/a/d/y", "c/b/c/z"].map(|path| (path, Some("{}")));
    commit(store, 1, &writes);
    let snapshot = store.snapshot().unwrap();
    assert_eq!(ids(&*snapshot, "c"), ["a"]);
    assert_eq!(ids(&*snapshot, "c/a/c"), ["x"]);
    assert_eq!(ids(&*snapshot, "c/b/c"), ["z"]);
}

fn group_paths(snapshot: &dyn Snapshot, name: &str, max: usize) -> Vec<String> {
    let mut found = Vec::new();
    snapshot
        .scan_group(name, &mut |row| {
            assert!(found.len() < max, "the visitor is called after it broke off");
            found.push(format!("{}/{}", row.collection, row.id));
            continue_below(found.len(), max)
        })
        .unwrap();
    found
}

pub fn a_group_has_every_collection_of_its_name_alone(store: &dyn Store) {
    let members = [
        "c/b",
        "c/a",
        "c/a/c/b",
        "c/a/c/a",
        "x/y/c/a",
        "x/y/c/z",
        "x/y/d/e/c/a",
    ];
    let others = ["C/a", "cc/a", "d/c", "x/c", "x/y/cc/a", "c/a/d/a", "c_/a", "%/a"];
    let all = members.iter().chain(&others).map(|path| (*path, Some("{}")));
    commit(store, 1, &all.collect::<Vec<_>>());
    let snapshot = store.snapshot().unwrap();
    let found = group_paths(&*snapshot, "c", usize::MAX);
    let mut sorted = found.clone();
    sorted.sort();
    let mut expected = members.map(str::to_owned);
    expected.sort();
    assert_eq!(sorted, expected);
    // Those of one collection stand together, by id.
    let mut collections: Vec<&str> = found
        .iter()
        .map(|path| path.rsplit_once('/').unwrap().0)
        .collect();
    collections.dedup();
    let runs = collections.len();
    collections.sort();
    collections.dedup();
    assert_eq!(collections.len(), runs);
    for pair in found.windows(2) {
        let [(left, left_id), (right, right_id)] =
            [&pair[0], &pair[1]].map(|path| path.rsplit_once('/').unwrap());
        assert!(left != right || left_id < right_id);
    }
    assert_eq!(group_paths(&*snapshot, "c", 3).len(), 3);
    assert_eq!(group_paths(&*snapshot, "absent", 1), [""; 0]);
    assert_eq!(group_paths(&*snapshot, "%", usize::MAX), ["%/a"]);
}

pub fn scans_may_be_nested(store: &dyn Store) {
    commit(
        store,
        1,
        &["c/a", "c/b", "d/x", "d/y"].map(|path| (path, Some("{}"))),
    );
    let snapshot = store.snapshot().unwrap();
    let snapshot = &*snapshot;
    let mut pairs = Vec::new();
    snapshot
        .scan_collection(&col("c"), EVERYTHING, ScanDirection::Forward, &mut |row| {
            assert!(data_of(snapshot, &format!("c/{}", row.id)).is_some());
            for inner in ids(snapshot, "d") {
                pairs.push(format!("{}{inner}", row.id));
            }
            ControlFlow::Continue(())
        })
        .unwrap();
    assert_eq!(pairs, ["ax", "ay", "bx", "by"]);
}
