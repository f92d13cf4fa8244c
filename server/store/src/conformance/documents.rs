//! Single documents and collections.

use std::ops::{Bound, ControlFlow};

use andiron_protocol::Version;

use super::fixture::{at, col, commit, contents_of, data_of, doc, get, ids, scan};
use crate::{LogInfo, ScanDirection, Store};

pub fn an_empty_store_has_nothing(store: &dyn Store) {
    let contents = contents_of(store);
    assert_eq!(contents.version, Version::ZERO);
    assert_eq!(contents.documents, []);
    assert_eq!(contents.changes, []);
    assert_eq!(contents.indexes, []);
    let empty = LogInfo {
        start: Version::ZERO,
        changes: 0,
        bytes: 0,
    };
    assert_eq!(contents.log, empty);
    let snapshot = store.snapshot().unwrap();
    assert_eq!(get(&*snapshot, "c/a"), None);
    assert_eq!(snapshot.get_at(&doc("c/a"), Version::ZERO).unwrap(), None);
    assert_eq!(snapshot.collection_names(None).unwrap(), Vec::<String>::new());
    assert_eq!(store.begin().unwrap().last_version(), Version::ZERO);
}

pub fn a_document_is_read_as_it_was_written(store: &dyn Store) {
    let data = r#"{"a":[1,1.0,{"$int":"9223372036854775807"}],"b":"\u0000 \" ü 🔥"}"#;
    commit(store, 10, &[("c/a", Some(data))]);
    let snapshot = store.snapshot().unwrap();
    let mut calls = 0;
    snapshot
        .get(&doc("c/a"), &mut |row| {
            calls += 1;
            assert_eq!((row.collection, row.id, row.data), ("c", "a", data));
            assert_eq!((row.version, row.created), (at(10), at(10)));
            // What the visitor answers does not matter.
            ControlFlow::Continue(())
        })
        .unwrap();
    assert_eq!(calls, 1);
}

pub fn an_update_keeps_the_version_of_creation(store: &dyn Store) {
    commit(store, 10, &[("c/a", Some("{}"))]);
    commit(store, 20, &[("c/a", Some(r#"{"n":2}"#))]);
    let document = get(&*store.snapshot().unwrap(), "c/a").unwrap();
    assert_eq!((document.version, document.created), (at(20), at(10)));
    assert_eq!(&*document.data, r#"{"n":2}"#);
}

pub fn a_document_created_again_is_created_anew(store: &dyn Store) {
    commit(store, 10, &[("c/a", Some("{}"))]);
    commit(store, 20, &[("c/a", None)]);
    commit(store, 30, &[("c/a", Some("{}"))]);
    let document = get(&*store.snapshot().unwrap(), "c/a").unwrap();
    assert_eq!((document.version, document.created), (at(30), at(30)));
}

pub fn a_deleted_document_is_absent(store: &dyn Store) {
    commit(store, 10, &[("c/a", Some("{}")), ("c/b", Some("{}"))]);
    commit(store, 20, &[("c/a", None)]);
    let snapshot = store.snapshot().unwrap();
    assert_eq!(get(&*snapshot, "c/a"), None);
    assert_eq!(ids(&*snapshot, "c"), ["b"]);
}

pub fn a_large_document_is_read_as_it_was_written(store: &dyn Store) {
    let large = format!(r#"{{"text":"{}"}}"#, "ä".repeat(500_000));
    commit(store, 10, &[("c/a", Some(&large))]);
    commit(store, 20, &[("c/a", Some("{}"))]);
    let snapshot = store.snapshot().unwrap();
    let before = snapshot.get_at(&doc("c/a"), at(10)).unwrap().unwrap();
    assert!(*before.data == *large);
    assert_eq!(data_of(&*snapshot, "c/a").as_deref(), Some("{}"));
}

/// Ids that one store or another may confuse with each other or with something else.
pub(super) fn unusual_ids() -> Vec<String> {
    let mut ids: Vec<String> = [
        "a",
        "A",
        "aa",
        "a ",
        " a",
        "1",
        "01",
        "1.0",
        "1e0",
        "0x1",
        "NULL",
        "null",
        "%",
        "_",
        "a%",
        "a_",
        "*",
        "?",
        "'",
        "''",
        "\"",
        "`",
        "\\",
        "\\n",
        ";",
        "--",
        "--x",
        "(",
        "[a]",
        "$1",
        ":a",
        "@a",
        "{}",
        "~",
        "a.b",
        "...",
        "é",
        "e\u{301}",
        "ß",
        "SS",
        "ı",
        "İ",
        "日本語",
        "🔥",
        "\u{FFFF}",
        "\u{10FFFF}",
        "\u{1}",
        "\u{2}",
        "\u{7F}",
        "\u{80}",
        "\n",
        "\r\n",
        "\t",
        "\u{FEFF}",
        "\u{202E}a",
        "__proto__x",
        "a\u{1}b",
        "%2F",
        "%00",
        "rowid",
    ]
    .map(str::to_owned)
    .to_vec();
    ids.push("x".repeat(1500));
    ids.push("x".repeat(1499));
    ids.push("🔥".repeat(375));
    ids
}

pub fn unusual_ids_and_data_are_kept_apart(store: &dyn Store) {
    let mut unusual = unusual_ids();
    let data = |id: &str| {
        format!(
            r#"{{"id":"{}"}}"#,
            id.escape_default().to_string().replace('\\', "/")
        )
    };
    let mut version = 0;
    for collection in ["c", "🔥 '%_", "c/%/d"] {
        let written: Vec<(String, String)> = unusual
            .iter()
            .map(|id| (format!("{collection}/{id}"), data(id)))
            .collect();
        let writes: Vec<_> = written
            .iter()
            .map(|(path, data)| (path.as_str(), Some(data.as_str())))
            .collect();
        version += 1;
        commit(store, version, &writes);
    }
    unusual.sort();
    let snapshot = store.snapshot().unwrap();
    for collection in ["c", "🔥 '%_", "c/%/d"] {
        assert_eq!(
            ids(&*snapshot, collection),
            unusual,
            "in the order of their bytes"
        );
        for id in &unusual {
            let document = get(&*snapshot, &format!("{collection}/{id}")).unwrap();
            assert_eq!(*document.data, *data(id));
            let only = (Bound::Included(id.as_str()), Bound::Included(id.as_str()));
            let found = scan(&*snapshot, collection, only, ScanDirection::Forward, usize::MAX);
            assert_eq!(found, [document]);
        }
    }
    assert_eq!(contents_of(store).changes.len(), 3 * unusual.len());
}

pub fn documents_of_the_same_id_in_different_collections_are_different(store: &dyn Store) {
    let paths = ["c/a", "C/a", "d/a", "c/a/c/a", "c/a/d/a", "c/b/c/a", "c a/a"];
    for (version, path) in paths.iter().enumerate() {
        let data = format!(r#"{{"path":"{path}"}}"#);
        commit(store, version as i64 + 1, &[(path, Some(&data))]);
    }
    commit(store, 100, &[("c/a", None)]);
    let snapshot = store.snapshot().unwrap();
    assert_eq!(get(&*snapshot, "c/a"), None);
    for (version, path) in paths.iter().enumerate().skip(1) {
        let document = get(&*snapshot, path).unwrap();
        assert_eq!(document.version, at(version as i64 + 1));
        assert_eq!(*document.data, *format!(r#"{{"path":"{path}"}}"#));
    }
}

pub fn collections_with_documents_are_listed_in_the_order_of_paths(store: &dyn Store) {
    // By bytes `a-` and `a.b` would stand before `a/x/b`.
    let paths = [
        "a/x",
        "a-/x",
        "a.b/x",
        "a/x/b/x",
        "a/x/b/x/c/x",
        "a/x!/b/x",
        "A/x",
        "é/x",
        "z/x",
    ];
    let writes: Vec<_> = paths.iter().map(|path| (*path, Some("{}"))).collect();
    commit(store, 1, &writes);
    // A collection whose last document is deleted is none.
    commit(store, 2, &[("gone/x", Some("{}"))]);
    commit(store, 3, &[("gone/x", None)]);
    let snapshot = store.snapshot().unwrap();
    let listed = |after: Option<&str>, max| -> Vec<String> {
        let after = after.map(col);
        let collections = snapshot.collections(after.as_ref(), max).unwrap();
        collections.iter().map(ToString::to_string).collect()
    };
    let expected = ["A", "a", "a/x/b", "a/x/b/x/c", "a/x!/b", "a-", "a.b", "z", "é"];
    assert_eq!(listed(None, usize::MAX), expected);
    assert_eq!(listed(None, 2), expected[..2]);
    assert_eq!(listed(None, 0), [""; 0]);
    assert_eq!(listed(Some("a"), 2), expected[2..4]);
    assert_eq!(listed(Some("a/x/b"), usize::MAX), expected[3..]);
    assert_eq!(
        listed(Some("a/x/a"), 1),
        expected[2..3],
        "one that has no documents"
    );
    assert_eq!(listed(Some("é"), usize::MAX), [""; 0]);
}

pub fn names_of_collections_are_those_directly_under_a_parent(store: &dyn Store) {
    let writes = [
        "b/x",
        "a/x",
        "a/x/d/y",
        "a/x/c/y",
        "a/x/c/z",
        "a/x2/e/y",
        "a/x/c/y/f/z",
        "B/x/d/x",
    ]
    .map(|path| (path, Some("{}")));
    commit(store, 1, &writes);
    commit(store, 2, &[("g/x", Some("{}")), ("a/x/g/x", Some("{}"))]);
    commit(store, 3, &[("g/x", None), ("a/x/g/x", None)]);
    let snapshot = store.snapshot().unwrap();
    let names = |parent: Option<&str>| {
        let parent = parent.map(doc);
        snapshot.collection_names(parent.as_ref()).unwrap()
    };
    assert_eq!(names(None), ["a", "b"]);
    assert_eq!(names(Some("a/x")), ["c", "d"]);
    assert_eq!(names(Some("a/x2")), ["e"]);
    assert_eq!(names(Some("B/x")), ["d"], "though the parent is no document");
    assert_eq!(names(Some("a/x/c/z")), [""; 0]);
}
