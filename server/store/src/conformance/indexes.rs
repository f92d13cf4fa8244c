//! Indexes and their entries. What an index is on does not matter to a store, so keys here are any bytes.

use super::fixture::{
    ALL_KEYS, Written, apply, at, commit, contents, contents_of, continue_below, doc, entries, index_on,
    is_within, keys, ranges, write,
};
use crate::{
    Commit, CommitOutcome, DocumentWrite, EntryChange, IndexDefinition, IndexField, IndexFieldKind, IndexId,
    IndexScope, IndexState, ScanDirection, Snapshot, Store, StoredDocument, StoredIndex,
};

const FORWARD: ScanDirection = ScanDirection::Forward;

fn created(store: &dyn Store, definition: &IndexDefinition) -> IndexId {
    let mut group = store.begin().unwrap();
    let index = group.create_index(definition).unwrap();
    group.finish().unwrap();
    index
}

fn dropped(store: &dyn Store, index: IndexId) {
    let mut group = store.begin().unwrap();
    group.drop_index(index).unwrap();
    group.finish().unwrap();
}

/// Commits one write with changes of entries: the key, and whether it is added.
fn commit_entries(
    store: &dyn Store,
    version: i64,
    written: Written<'_>,
    index: IndexId,
    changes: &[(&[u8], bool)],
) {
    let mut group = store.begin().unwrap();
    let changes = changes.iter().map(|(key, added)| EntryChange {
        index,
        key: key.to_vec(),
        added: *added,
    });
    let commit = Commit {
        writes: vec![DocumentWrite {
            entries: changes.collect(),
            ..write(group.snapshot(), written)
        }],
        ..Commit::default()
    };
    assert_eq!(group.apply(&commit, at(version)).unwrap(), CommitOutcome::Applied);
    group.finish().unwrap();
}

fn all_keys(snapshot: &dyn Snapshot, index: IndexId) -> Vec<Vec<u8>> {
    keys(snapshot, index, ALL_KEYS, FORWARD, usize::MAX)
}

pub fn an_index_is_built_finished_and_dropped(store: &dyn Store) {
    commit(store, 1, &[("c/a", Some("{}")), ("c/b", Some("{}"))]);
    let definition = IndexDefinition {
        collection: "c".to_owned(),
        scope: IndexScope::Group,
        fields: vec![
            IndexField {
                field: "a.`b c`".parse().unwrap(),
                kind: IndexFieldKind::Elements,
            },
            IndexField {
                field: "d".parse().unwrap(),
                kind: IndexFieldKind::Descending,
            },
        ],
    };
    let index = created(store, &definition);
    let stored = |state| StoredIndex {
        id: index,
        definition: definition.clone(),
        state,
    };
    let indexes = || store.snapshot().unwrap().indexes().unwrap();
    assert_eq!(indexes(), [stored(IndexState::Building)]);
    assert_eq!(
        all_keys(&*store.snapshot().unwrap(), index),
        Vec::<Vec<u8>>::new()
    );

    let mut group = store.begin().unwrap();
    let built = [(b"1".to_vec(), doc("c/a")), (b"2".to_vec(), doc("c/b"))];
    group.add_entries(index, &built).unwrap();
    assert_eq!(all_keys(group.snapshot(), index), [b"1", b"2"]);
    group.finish().unwrap();
    assert_eq!(indexes(), [stored(IndexState::Building)]);

    let mut group = store.begin().unwrap();
    group.finish_index(index).unwrap();
    group.finish().unwrap();
    assert_eq!(indexes(), [stored(IndexState::Ready)]);
    assert_eq!(all_keys(&*store.snapshot().unwrap(), index), [b"1", b"2"]);
    assert_eq!(contents_of(store).version, at(1), "indexes have no versions");

    dropped(store, index);
    assert_eq!(indexes(), []);
}

pub fn what_dropped_indexes_leave_is_swept_step_by_step(store: &dyn Store) {
    commit(store, 1, &[("c/a", Some("{}"))]);
    let many: Vec<(Vec<u8>, _)> = (0..100_u8).map(|key| (vec![key], doc("c/a"))).collect();
    let indexes = ["a", "b", "c"].map(|name| {
        let index = created(store, &index_on(name));
        let mut group = store.begin().unwrap();
        group.add_entries(index, &many).unwrap();
        group.finish_index(index).unwrap();
        group.finish().unwrap();
        index
    });
    let old = store.snapshot().unwrap();
    dropped(store, indexes[0]);
    dropped(store, indexes[2]);
    let after = contents_of(store);
    let sweep = || {
        let mut group = store.begin().unwrap();
        let is_more = group.sweep(30).unwrap();
        group.finish().unwrap();
        is_more
    };
    let steps = (0..100).take_while(|_| sweep()).count();
    assert!(steps < 20, "{steps} steps for 200 entries");
    assert!(!sweep(), "when there is nothing more, there is nothing more");
    assert_eq!(contents_of(store), after);
    assert_eq!(all_keys(&*store.snapshot().unwrap(), indexes[1]).len(), 100);
    assert_eq!(
        all_keys(&*old, indexes[0]).len(),
        100,
        "whoever reads an older state has it all"
    );
    drop(old);
    assert_eq!(store.check().unwrap(), Vec::<String>::new());
}

pub fn numbers_of_indexes_are_never_used_again(store: &dyn Store) {
    let first = created(store, &index_on("a"));
    let second = created(store, &index_on("b"));
    assert_ne!(first, second);
    dropped(store, second);
    let third = created(store, &index_on("b"));
    assert!(![first, second].contains(&third));
    dropped(store, first);
    dropped(store, third);
    let fourth = created(store, &index_on("a"));
    assert!(![first, second, third].contains(&fourth));
    // Also within one group.
    let mut group = store.begin().unwrap();
    let fifth = group.create_index(&index_on("c")).unwrap();
    group.drop_index(fifth).unwrap();
    let sixth = group.create_index(&index_on("c")).unwrap();
    assert_ne!(fifth, sixth);
    group.finish().unwrap();
    let known: Vec<IndexId> = store
        .snapshot()
        .unwrap()
        .indexes()
        .unwrap()
        .iter()
        .map(|index| index.id)
        .collect();
    assert_eq!(known.len(), 2);
    assert!(known.contains(&fourth) && known.contains(&sixth));
}

pub fn a_dropped_group_creates_no_index(store: &dyn Store) {
    commit(store, 1, &[("c/a", Some("{}"))]);
    let kept = created(store, &index_on("c"));
    let before = contents_of(store);
    let mut group = store.begin().unwrap();
    let index = group.create_index(&index_on("c")).unwrap();
    group.add_entries(index, &[(b"1".to_vec(), doc("c/a"))]).unwrap();
    group.add_entries(kept, &[(b"1".to_vec(), doc("c/a"))]).unwrap();
    group.finish_index(kept).unwrap();
    drop(group);
    assert_eq!(contents_of(store), before);
    let mut group = store.begin().unwrap();
    group.drop_index(kept).unwrap();
    drop(group);
    assert_eq!(contents_of(store), before);
    // And the next one is whole.
    let next = created(store, &index_on("d"));
    assert_eq!(all_keys(&*store.snapshot().unwrap(), next), Vec::<Vec<u8>>::new());
}

pub fn commits_maintain_entries(store: &dyn Store) {
    let index = created(store, &index_on("c"));
    commit_entries(store, 1, ("c/a", Some("{}")), index, &[(b"5a", true)]);
    commit_entries(store, 2, ("c/b", Some("{}")), index, &[(b"3b", true)]);
    let snapshot = || store.snapshot().unwrap();
    assert_eq!(all_keys(&*snapshot(), index), [b"3b", b"5a"]);
    commit_entries(
        store,
        3,
        ("c/a", Some("{}")),
        index,
        &[(b"5a", false), (b"1a", true)],
    );
    assert_eq!(all_keys(&*snapshot(), index), [b"1a", b"3b"]);
    commit_entries(store, 4, ("c/b", None), index, &[(b"3b", false)]);
    assert_eq!(all_keys(&*snapshot(), index), [b"1a"]);

    // A commit that conflicts leaves the entries alone.
    let mut group = store.begin().unwrap();
    let stale = Commit {
        writes: vec![DocumentWrite {
            before: None,
            entries: vec![EntryChange {
                index,
                key: b"1a".to_vec(),
                added: false,
            }],
            ..write(group.snapshot(), ("c/a", Some("{}")))
        }],
        ..Commit::default()
    };
    assert_eq!(
        group.apply(&stale, at(5)).unwrap(),
        CommitOutcome::Conflict(doc("c/a"))
    );
    assert_eq!(all_keys(group.snapshot(), index), [b"1a"]);
}

pub fn entries_are_joined_with_the_newest_documents(store: &dyn Store) {
    let index = created(store, &index_on("c"));
    commit_entries(store, 1, ("c/a", Some(r#"{"n":1}"#)), index, &[(b"2", true)]);
    commit_entries(store, 2, ("c/b", Some(r#"{"n":2}"#)), index, &[(b"1", true)]);
    // No entry changes, but the document does.
    commit(store, 3, &[("c/a", Some(r#"{"n":3}"#))]);
    let snapshot = store.snapshot().unwrap();
    let found = entries(&*snapshot, index, ALL_KEYS, FORWARD, usize::MAX);
    let found: Vec<_> = found
        .iter()
        .map(|(key, document)| {
            let StoredDocument {
                path,
                version,
                created,
                data,
            } = document;
            (key.as_slice(), path.as_str(), *version, *created, &**data)
        })
        .collect();
    let expected: [(&[u8], _, _, _, _); 2] = [
        (b"1", "c/b", at(2), at(2), r#"{"n":2}"#),
        (b"2", "c/a", at(3), at(1), r#"{"n":3}"#),
    ];
    assert_eq!(found, expected);
}

/// Keys that end where others go on, with the bytes at both ends of the scale.
fn sorted_keys() -> Vec<Vec<u8>> {
    let mut keys: Vec<Vec<u8>> = [
        &b"\0"[..],
        b"\0\0",
        b"\0\x01",
        b"\x01",
        b"a",
        b"a\0",
        b"a\xff",
        b"aa",
        b"b",
        b"\x7f",
        b"\x80",
        b"\xfe",
        b"\xff",
        b"\xff\xff",
        b"%",
        b"_",
        b"'",
        b"12",
        b"12.0",
    ]
    .iter()
    .map(|key| key.to_vec())
    .collect();
    keys.push(vec![b'k'; 8000]);
    keys.push(vec![b'k'; 7999]);
    keys.sort();
    keys
}

/// An index whose entries have [`sorted_keys`], each of a document of its own, with neighbours that have the same.
fn filled(store: &dyn Store) -> IndexId {
    let [_, index, _] = [(), (), ()].map(|()| {
        let index = created(store, &index_on("c"));
        let mut group = store.begin().unwrap();
        for (number, key) in sorted_keys().iter().enumerate() {
            let path = format!("c/{number}");
            if group.snapshot().get_stored(&doc(&path)).unwrap().is_none() {
                let version = group.last_version().as_micros() + 1;
                apply(&mut *group, version, &[(&path, Some("{}"))]);
            }
            group.add_entries(index, &[(key.clone(), doc(&path))]).unwrap();
        }
        group.finish().unwrap();
        index
    });
    index
}

pub fn a_range_of_keys_is_scanned_in_both_directions(store: &dyn Store) {
    let index = filled(store);
    let all = sorted_keys();
    let snapshot = store.snapshot().unwrap();
    for range in ranges::<[u8]>(&[&b""[..], b"\0", b"a", b"a\0\0", b"aa", b"\xff", b"\xff\xff\xff"]) {
        let mut expected: Vec<Vec<u8>> = all
            .iter()
            .filter(|key| is_within(key.as_slice(), range))
            .cloned()
            .collect();
        let count = snapshot.count_index(index, range, u64::MAX).unwrap();
        assert_eq!(count, expected.len() as u64, "{range:?}");
        for direction in [FORWARD, ScanDirection::Backward] {
            assert_eq!(
                keys(&*snapshot, index, range, direction, usize::MAX),
                expected,
                "{range:?}"
            );
            let joined = entries(&*snapshot, index, range, direction, usize::MAX);
            let joined_keys: Vec<_> = joined.iter().map(|(key, _)| key.clone()).collect();
            assert_eq!(joined_keys, expected, "{range:?}");
            for (key, document) in joined {
                let number = all.binary_search(&key).unwrap();
                assert_eq!(document.path, doc(&format!("c/{number}")));
            }
            expected.reverse();
        }
    }
}

pub fn an_index_scan_stops_where_the_visitor_says(store: &dyn Store) {
    let index = filled(store);
    let snapshot = store.snapshot().unwrap();
    for direction in [FORWARD, ScanDirection::Backward] {
        for max in [1, 2, sorted_keys().len()] {
            let found = keys(&*snapshot, index, ALL_KEYS, direction, max);
            assert_eq!(found.len(), max);
            let joined = entries(&*snapshot, index, ALL_KEYS, direction, max);
            assert!(joined.iter().map(|(key, _)| key).eq(&found));
        }
    }
}

pub fn entries_of_a_range_are_counted_up_to_a_maximum(store: &dyn Store) {
    let index = filled(store);
    let all = sorted_keys().len() as u64;
    let snapshot = store.snapshot().unwrap();
    for (max, expected) in [
        (0, 0),
        (1, 1),
        (all - 1, all - 1),
        (all, all),
        (all + 1, all),
        (u64::MAX, all),
    ] {
        assert_eq!(snapshot.count_index(index, ALL_KEYS, max).unwrap(), expected);
    }
}

pub fn a_document_may_have_several_entries(store: &dyn Store) {
    let index = created(store, &index_on("c"));
    let changes: [(&[u8], bool); 3] = [(b"x", true), (b"y", true), (b"z", true)];
    commit_entries(store, 1, ("c/a", Some("{}")), index, &changes);
    commit_entries(store, 2, ("c/a", Some("{}")), index, &[(b"y", false)]);
    let snapshot = store.snapshot().unwrap();
    let found = entries(&*snapshot, index, ALL_KEYS, FORWARD, usize::MAX);
    let found: Vec<_> = found
        .iter()
        .map(|(key, document)| (key.as_slice(), document.version))
        .collect();
    let expected: [(&[u8], _); 2] = [(b"x", at(2)), (b"z", at(2))];
    assert_eq!(found, expected);
}

pub fn keys_are_arbitrary_bytes(store: &dyn Store) {
    let index = created(store, &index_on("c"));
    commit(store, 1, &[("c/a", Some("{}"))]);
    let mut all: Vec<Vec<u8>> = (0..=u8::MAX).map(|byte| vec![byte]).collect();
    all.extend((0..=u8::MAX).map(|byte| vec![0x80, byte, 0]));
    let added: Vec<_> = all.iter().map(|key| (key.clone(), doc("c/a"))).collect();
    let mut group = store.begin().unwrap();
    group.add_entries(index, &added).unwrap();
    group.finish().unwrap();
    all.sort();
    assert_eq!(all_keys(&*store.snapshot().unwrap(), index), all);
}

pub fn indexes_are_apart(store: &dyn Store) {
    let first = created(store, &index_on("c"));
    let second = created(store, &index_on("c"));
    commit_entries(store, 1, ("c/a", Some("{}")), first, &[(b"1", true)]);
    commit_entries(store, 2, ("c/a", Some("{}")), second, &[(b"2", true)]);
    commit_entries(
        store,
        3,
        ("c/a", Some("{}")),
        first,
        &[(b"2", false), (b"3", true)],
    );
    dropped(store, created(store, &index_on("c")));
    let snapshot = store.snapshot().unwrap();
    assert_eq!(all_keys(&*snapshot, first), [b"1", b"3"]);
    assert_eq!(all_keys(&*snapshot, second), [b"2"]);
    dropped(store, first);
    assert_eq!(all_keys(&*store.snapshot().unwrap(), second), [b"2"]);
}

pub fn an_entry_that_is_there_may_be_added_again(store: &dyn Store) {
    let index = created(store, &index_on("c"));
    // Written by a commit while the index is being built, and then met by the building itself.
    commit_entries(store, 1, ("c/a", Some("{}")), index, &[(b"1", true)]);
    for _ in 0..2 {
        let mut group = store.begin().unwrap();
        let twice = [(b"1".to_vec(), doc("c/a")), (b"1".to_vec(), doc("c/a"))];
        group.add_entries(index, &twice).unwrap();
        group.finish().unwrap();
    }
    let snapshot = store.snapshot().unwrap();
    assert_eq!(entries(&*snapshot, index, ALL_KEYS, FORWARD, usize::MAX).len(), 1);
    assert_eq!(snapshot.count_index(index, ALL_KEYS, 10).unwrap(), 1);
}

pub fn an_unknown_index_is_an_error(store: &dyn Store) {
    commit(store, 1, &[("c/a", Some("{}"))]);
    let gone = created(store, &index_on("c"));
    dropped(store, gone);
    for unknown in [gone, IndexId(gone.0 + 1000)] {
        let snapshot = store.snapshot().unwrap();
        assert!(
            snapshot
                .scan_index_keys(unknown, ALL_KEYS, FORWARD, &mut |_| continue_below(0, 1))
                .is_err()
        );
        assert!(
            snapshot
                .scan_index(unknown, ALL_KEYS, FORWARD, &mut |_, _| continue_below(0, 1))
                .is_err()
        );
        assert!(snapshot.count_index(unknown, ALL_KEYS, 1).is_err());
        drop(snapshot);
        assert!(store.begin().unwrap().finish_index(unknown).is_err());
        assert!(store.begin().unwrap().drop_index(unknown).is_err());
        let added = [(b"1".to_vec(), doc("c/a"))];
        assert!(store.begin().unwrap().add_entries(unknown, &added).is_err());
    }
}

pub fn an_index_survives_for_snapshots_from_before_it_was_dropped(store: &dyn Store) {
    let index = filled(store);
    let snapshot = store.snapshot().unwrap();
    let before = contents(&*snapshot);
    dropped(store, index);
    assert_eq!(contents(&*snapshot), before);
    drop(snapshot);
    assert_eq!(store.snapshot().unwrap().indexes().unwrap().len(), 2);
}

pub fn a_document_deleted_and_created_again_has_its_new_entries_alone(store: &dyn Store) {
    let index = created(store, &index_on("c"));
    commit_entries(store, 1, ("c/a", Some(r#"{"n":1}"#)), index, &[(b"1a", true)]);
    commit_entries(store, 2, ("c/a", None), index, &[(b"1a", false)]);
    commit_entries(store, 3, ("c/b", Some(r#"{"n":3}"#)), index, &[(b"1b", true)]);
    commit_entries(store, 4, ("c/a", Some(r#"{"n":4}"#)), index, &[(b"2a", true)]);
    let snapshot = store.snapshot().unwrap();
    let found = entries(&*snapshot, index, ALL_KEYS, FORWARD, usize::MAX);
    let found: Vec<_> = found
        .iter()
        .map(|(key, document)| (key.as_slice(), &*document.data))
        .collect();
    let expected: [(&[u8], _); 2] = [(b"1b", r#"{"n":3}"#), (b"2a", r#"{"n":4}"#)];
    assert_eq!(found, expected);
}
