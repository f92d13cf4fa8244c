//! Disks that fail: full, slow to answer the truth, or telling none.

use andiron_store::{Store, StoreError};
use andiron_store_sqlite::{Durability, SqliteOptions, SqliteStore};
use rusqlite::ffi;

use crate::disk::{Disk, Fault, Operation, Part};
use crate::support::{data, put};
use crate::workload::{Workload, options};

fn fault(operation: Operation, part: Part, code: std::ffi::c_int) -> Fault {
    Fault {
        operation,
        part: Some(part),
        skip: 0,
        times: usize::MAX,
        code,
    }
}

#[test]
fn a_sync_that_fails_ends_all_writing() {
    let folder = tempfile::tempdir().unwrap();
    let disk = Disk::register();
    // The log is not moved, so that the sync that fails is that of the commit.
    let options = || SqliteOptions {
        checkpoint_bytes: 1_000_000_000,
        ..options(disk, Durability::Full)
    };
    let store = SqliteStore::open(folder.path(), options()).unwrap();
    put(&store, &[("a/1", Some("{}"))]).unwrap();
    disk.fail(Fault {
        times: 1,
        ..fault(Operation::Sync, Part::Log, ffi::SQLITE_IOERR_FSYNC)
    });
    let error = put(&store, &[("a/2", Some("{}"))]).unwrap_err();
    assert!(matches!(error, StoreError::SyncFailed { .. }), "{error}");
    assert!(error.is_fatal());
    // The disk works again, but nobody knows what it holds.
    let error = put(&store, &[("a/3", Some("{}"))]).unwrap_err();
    assert!(matches!(error, StoreError::SyncFailed { .. }), "{error}");
    assert_eq!(data(&store, "a/1").as_deref(), Some("{}"));
    assert_eq!(data(&store, "a/2"), None);
    let events = disk.journal().len();
    drop(store);
    assert_eq!(disk.journal().len(), events, "closing writes nothing either");
    let store = SqliteStore::open(folder.path(), options()).unwrap();
    assert_eq!(data(&store, "a/1").as_deref(), Some("{}"));
}

#[test]
fn a_sync_that_fails_while_the_log_is_moved_ends_all_writing() {
    let folder = tempfile::tempdir().unwrap();
    let disk = Disk::register();
    let mut workload = Workload::new(4);
    let store = SqliteStore::open(folder.path(), options(disk, Durability::Full)).unwrap();
    disk.fail(fault(Operation::Sync, Part::Database, ffi::SQLITE_IOERR_FSYNC));
    // The log is moved on another thread, so it shows some groups later.
    let error = loop {
        if let Err(error) = workload.commit_group(&store) {
            break error;
        }
    };
    assert!(matches!(error, StoreError::SyncFailed { .. }), "{error}");
    drop(store);
    disk.heal();
    assert_eq!(workload.examine(folder.path()), Ok(workload.answered));
}

#[test]
fn a_full_disk_is_said_and_reads_go_on_and_writes_come_back() {
    let folder = tempfile::tempdir().unwrap();
    let disk = Disk::register();
    let mut workload = Workload::new(5);
    let store = SqliteStore::open(folder.path(), options(disk, Durability::Full)).unwrap();
    for _ in 0..20 {
        workload.commit_group(&store).unwrap();
        disk.fail(Fault {
            part: None,
            ..fault(Operation::Write, Part::Log, ffi::SQLITE_FULL)
        });
        for _ in 0..3 {
            let error = workload.commit_group(&store).unwrap_err();
            assert!(matches!(error, StoreError::Full), "{error}");
            assert_eq!(workload.examine_store(&store), Ok(workload.answered));
        }
        disk.heal();
    }
    workload.commit_group(&store).unwrap();
    assert_eq!(workload.examine_store(&store), Ok(workload.answered));
}

#[test]
fn a_read_that_fails_is_an_error_and_the_next_one_succeeds() {
    let folder = tempfile::tempdir().unwrap();
    let disk = Disk::register();
    let big = format!(r#"{{"filler":"{}"}}"#, "x".repeat(100_000));
    let store = SqliteStore::open(folder.path(), options(disk, Durability::Full)).unwrap();
    put(&store, &[("a/1", Some(&big))]).unwrap();
    drop(store);
    let store = SqliteStore::open(folder.path(), options(disk, Durability::Full)).unwrap();
    assert_eq!(data(&store, "b/1"), None);
    disk.fail(fault(Operation::Read, Part::Database, ffi::SQLITE_IOERR_READ));
    let path = "a/1".parse().unwrap();
    let snapshot = store.snapshot().unwrap();
    let error = snapshot.get_stored(&path).unwrap_err();
    assert!(matches!(error, StoreError::Driver { .. }), "{error}");
    disk.heal();
    assert_eq!(
        snapshot.get_stored(&path).unwrap().map(|found| found.data.len()),
        Some(big.len())
    );
}

/// Makes each operation of a run fail in turn, once or for good, and looks at what is left afterwards.
fn fail_each(operation: Operation, code: std::ffi::c_int, times: usize, stride: usize) {
    for skip in (0..).step_by(stride) {
        let folder = tempfile::tempdir_in("/dev/shm")
            .or_else(|_| tempfile::tempdir())
            .unwrap();
        let disk = Disk::register();
        let mut workload = Workload::new(6);
        disk.fail(Fault {
            operation,
            part: None,
            skip,
            times,
            code,
        });
        let outcome = workload.run(folder.path(), options(disk, Durability::Full), disk, 12);
        let hits = disk.hits();
        disk.heal();
        let left = workload.examine(folder.path()).unwrap_or_else(|problem| {
            panic!("{operation:?} {skip} failing with {code}: {problem}, after {outcome:?}")
        });
        assert!(
            left >= workload.answered,
            "{operation:?} {skip} failing with {code}: {left} is left of {}, after {outcome:?}",
            workload.answered
        );
        if hits == 0 {
            assert!(skip > 10, "the run has too few operations to tell anything");
            break;
        }
    }
}

#[test]
fn writes_that_fail_lose_nothing_that_was_answered() {
    fail_each(Operation::Write, ffi::SQLITE_IOERR_WRITE, 1, 3);
    fail_each(Operation::Write, ffi::SQLITE_IOERR_WRITE, usize::MAX, 7);
}

#[test]
fn a_disk_that_is_full_at_any_moment_loses_nothing_that_was_answered() {
    fail_each(Operation::Write, ffi::SQLITE_FULL, 1, 5);
    fail_each(Operation::Write, ffi::SQLITE_FULL, usize::MAX, 7);
}

#[test]
fn syncs_that_fail_lose_nothing_that_was_answered() {
    fail_each(Operation::Sync, ffi::SQLITE_IOERR_FSYNC, 1, 1);
    fail_each(Operation::Sync, ffi::SQLITE_IOERR_FSYNC, usize::MAX, 2);
}

#[test]
fn reads_that_fail_or_end_early_lose_nothing_that_was_answered() {
    fail_each(Operation::Read, ffi::SQLITE_IOERR_READ, 1, 3);
    fail_each(Operation::Read, ffi::SQLITE_IOERR_SHORT_READ, 1, 3);
}
