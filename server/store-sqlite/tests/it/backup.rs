//! Copies made while commits go on.

use std::ops::ControlFlow;

use andiron_store::Store;
use andiron_store_sqlite::SqliteStore;

use crate::support::put;
use crate::workload::{Workload, plain_options};

#[test]
fn a_copy_is_a_folder_with_one_consistent_state() {
    let folder = tempfile::tempdir().unwrap();
    let mut workload = Workload::new(11);
    let store = SqliteStore::open(&folder.path().join("data"), plain_options()).unwrap();
    let filler = format!(r#"{{"filler":"{}"}}"#, "x".repeat(900_000));
    for _ in 0..20 {
        workload.commit_group(&store).unwrap();
    }
    let before = workload.answered;
    let target = folder.path().join("copy");
    let mut steps = Vec::new();
    store
        .backup(&target, &mut |done, total| {
            workload.commit_group(&store).unwrap();
            steps.push((done, total));
            ControlFlow::Continue(())
        })
        .unwrap();
    assert!(
        matches!(steps.last(), Some((done, total)) if done == total),
        "{steps:?}"
    );
    assert_eq!(workload.examine(&target), Ok(before));
    assert!(workload.answered > before);

    // With several steps, too, the copy is of the moment when it was begun.
    for number in 0..5 {
        put(&store, &[(&format!("big/{number}"), Some(&filler))]).unwrap();
    }
    let target = folder.path().join("second");
    let mut calls = 0;
    store
        .backup(&target, &mut |_, _| {
            calls += 1;
            put(&store, &[("big/during", Some(&format!(r#"{{"call":{calls}}}"#)))]).unwrap();
            ControlFlow::Continue(())
        })
        .unwrap();
    assert!(calls > 3, "{calls}");
    let copy = SqliteStore::open(&target, plain_options()).unwrap();
    assert_eq!(copy.check().unwrap(), Vec::<String>::new());
    assert!(crate::support::data(&copy, "big/4").is_some());
    assert!(crate::support::data(&copy, "big/during").is_none());
}

#[test]
fn a_copy_that_is_stopped_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&folder.path().join("data"), plain_options()).unwrap();
    let target = folder.path().join("copy");
    let error = store
        .backup(&target, &mut |_, _| ControlFlow::Break(()))
        .unwrap_err();
    assert!(error.to_string().contains("stopped"), "{error}");
    let left: Vec<_> = std::fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(left, ["data"]);
}

#[test]
fn a_copy_does_not_overwrite() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&folder.path().join("data"), plain_options()).unwrap();
    let target = folder.path().join("copy");
    std::fs::write(&target, "mine").unwrap();
    let error = store
        .backup(&target, &mut |_, _| ControlFlow::Continue(()))
        .unwrap_err();
    assert!(error.to_string().contains("exists already"), "{error}");
    assert_eq!(std::fs::read(&target).unwrap(), b"mine");
}
