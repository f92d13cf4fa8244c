//! The store in memory passes the conformance suite, and the suite is whole.

use std::fs;
use std::ops::ControlFlow;
use std::path::Path;

use andiron_store::Store;
use andiron_store::conformance::TestStore;
use andiron_store::conformance_suite;
use andiron_store::memory::MemoryStore;

fn open() -> TestStore {
    TestStore::new(MemoryStore::new())
}

conformance_suite!(open);

#[test]
fn the_suite_has_every_case_that_is_written() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let suite = fs::read_to_string(source.join("conformance.rs")).unwrap();
    let listed: Vec<&str> = suite
        .lines()
        .filter_map(|line| line.trim().strip_suffix(','))
        .collect();
    let mut cases = 0;
    for file in fs::read_dir(source.join("conformance")).unwrap() {
        let text = fs::read_to_string(file.unwrap().path()).unwrap();
        for case in text.lines().filter_map(|line| line.strip_prefix("pub fn ")) {
            let (name, _) = case.split_once('(').unwrap();
            assert!(listed.contains(&name), "`{name}` is in no driver's tests");
            cases += 1;
        }
    }
    assert!(cases > 70);
}

#[test]
fn a_store_in_memory_has_no_backup() {
    let target = std::env::temp_dir().join("a store in memory writes nothing here");
    let error = MemoryStore::new()
        .backup(&target, &mut |_, _| ControlFlow::Continue(()))
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "the store failed while backing up: a store in memory has no backup"
    );
    assert!(!target.exists());
}
