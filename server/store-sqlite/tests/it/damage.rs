//! Data that is not what was written, and what `check` says of it.

use std::path::Path;

use andiron_store::{Store, StoreError};
use andiron_store_sqlite::{DATABASE_FILE, SqliteOptions, SqliteStore};

use crate::support::{Random, open, put};
use crate::workload::{Workload, plain_options};

/// A folder with some groups of random commits.
fn filled(groups: usize) -> (tempfile::TempDir, Workload) {
    let folder = tempfile::tempdir().unwrap();
    let mut workload = Workload::new(8);
    let store = SqliteStore::open(folder.path(), plain_options()).unwrap();
    for _ in 0..groups {
        workload.commit_group(&store).unwrap();
    }
    drop(store);
    (folder, workload)
}

fn edit(folder: &Path, sql: &str) {
    let connection = rusqlite::Connection::open(folder.join(DATABASE_FILE)).unwrap();
    connection.execute_batch(sql).unwrap();
}

#[test]
fn tables_that_contradict_each_other_are_told() {
    let cases = [
        (
            "DELETE FROM collections WHERE path = 'a'",
            "a collection that does not exist",
        ),
        (
            "UPDATE collections SET name = 'z' WHERE path = 'b'",
            "not named as its path says: b",
        ),
        (
            "UPDATE collections SET ordered = x'01' WHERE path = 'b'",
            "not found by its path: b",
        ),
        (
            "UPDATE documents SET version = version + 1000000",
            "newer than the last commit",
        ),
        ("UPDATE state SET last_version = 1", "newer than the last commit"),
        (
            "UPDATE state SET log_start = last_version",
            "reaches back behind its start",
        ),
        ("UPDATE state SET log_bytes = log_bytes + 1", "counted wrong"),
        (
            "DELETE FROM log WHERE version = (SELECT max(version) FROM documents)",
            "the last change of a document",
        ),
        (
            "UPDATE log SET version = version - 1 WHERE key = (SELECT max(key) FROM log)",
            "where its version belongs",
        ),
        ("DELETE FROM log WHERE deleted", "the deletion of a document"),
        (
            "INSERT INTO tombstones SELECT collection, id, version FROM documents LIMIT 1",
            "counts as deleted and is there",
        ),
        (
            "UPDATE log SET previous = version - 1 WHERE previous IS NOT NULL",
            "the change before a change",
        ),
        ("DELETE FROM indexes", "has a table but no definition: index_1"),
        ("DROP TABLE index_1", "has a definition but no table: index 1"),
        (
            "UPDATE index_1 SET document = 1000000",
            "an entry of a document that does not exist",
        ),
        (
            "PRAGMA ignore_check_constraints = ON; UPDATE indexes SET state = 'x'",
            "its state is `x`",
        ),
    ];
    for (sql, expected) in cases {
        let (folder, _) = filled(30);
        edit(folder.path(), sql);
        let problems = open(folder.path()).check().unwrap().join("\n");
        assert!(problems.contains(expected), "after `{sql}`: {problems}");
    }
}

#[test]
fn damaged_pages_never_crash_and_are_mostly_found() {
    let (folder, workload) = filled(30);
    let database = folder.path().join(DATABASE_FILE);
    let whole = std::fs::read(&database).unwrap();
    let mut random = Random(9);
    let mut examine_damaged = |place: &mut dyn FnMut(&mut Random) -> usize| {
        let mut found = 0;
        for _ in 0..100 {
            let mut damaged = whole.clone();
            let from = place(&mut random).min(whole.len() - 16);
            damaged[from..from + 16].iter_mut().for_each(|byte| *byte ^= 0xa5);
            std::fs::write(&database, &damaged).unwrap();
            found += usize::from(workload.examine(folder.path()).is_err());
            for suffix in ["-wal", "-shm"] {
                let _ = std::fs::remove_file(folder.path().join(format!("{DATABASE_FILE}{suffix}")));
            }
        }
        found
    };
    let pages = whole.len() as u64 / 4096;
    let found = examine_damaged(&mut |random| random.below(pages) as usize * 4096);
    // The rest are free pages and those that only hold the end of a long text.
    assert!(
        found > 60,
        "{found} of 100 damaged beginnings of pages were found"
    );
    // Within texts SQLite cannot tell, and most bytes are within texts; but nothing may panic or hang.
    let found = examine_damaged(&mut |random| random.below(whole.len() as u64) as usize);
    assert!(found > 5, "{found} of 100 damaged places were found");
}

#[test]
fn a_document_on_a_damaged_page_is_an_error_and_not_served() {
    let folder = tempfile::tempdir().unwrap();
    let filler = format!(r#"{{"filler":"{}"}}"#, "x".repeat(2000));
    let store = open(folder.path());
    for number in 0..100 {
        put(&store, &[(&format!("a/{number:03}"), Some(&filler))]).unwrap();
    }
    drop(store);
    let database = folder.path().join(DATABASE_FILE);
    let mut bytes = std::fs::read(&database).unwrap();
    // Every page but the first loses its header.
    bytes
        .chunks_mut(4096)
        .skip(1)
        .for_each(|page| page[..16].fill(0xff));
    std::fs::write(&database, bytes).unwrap();
    match SqliteStore::open(folder.path(), SqliteOptions::default()) {
        Err(error) => assert!(matches!(error, StoreError::Corrupt { .. }), "{error}"),
        Ok(store) => {
            let error = store.snapshot().err().unwrap();
            assert!(matches!(error, StoreError::Corrupt { .. }), "{error}");
            assert!(error.is_fatal());
        }
    }
}
