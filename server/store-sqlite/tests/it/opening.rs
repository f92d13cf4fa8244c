//! Data folders: locked, read-only, of other formats, of other programs.

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use andiron_store::{Store, StoreError};
use andiron_store_sqlite::{DATABASE_FILE, FORMAT, LOCK_FILE, SqliteOptions, SqliteStore};

use crate::support::{data, open, path, put, version};

fn open_error(folder: &Path) -> StoreError {
    match SqliteStore::open(folder, SqliteOptions::default()) {
        Ok(_) => panic!("it was opened"),
        Err(error) => error,
    }
}

/// The flags in `.cargo/config.toml`: SQLite names all but the one that matters most (`HAVE_FDATASYNC`), and they come
/// together or not at all.
#[test]
fn sqlite_is_built_with_the_flags_of_this_workspace() {
    let connection = rusqlite::Connection::open_in_memory().unwrap();
    let mut statement = connection.prepare("PRAGMA compile_options").unwrap();
    let options: Vec<String> = statement
        .query_map([], |row| row.get(0))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    assert!(options.contains(&"OMIT_SHARED_CACHE".to_owned()), "{options:?}");
    assert!(options.contains(&"DEFAULT_MEMSTATUS=0".to_owned()), "{options:?}");
    assert!(!options.contains(&"ENABLE_API_ARMOR".to_owned()), "{options:?}");
}

#[test]
fn a_folder_is_created_for_its_owner_alone() {
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("new/data");
    put(&open(&folder), &[("a/1", Some("{}"))]).unwrap();
    let mode = |path: &Path| path.metadata().unwrap().mode() & 0o777;
    assert_eq!(mode(&folder), 0o700);
    assert_eq!(mode(&folder.join(DATABASE_FILE)), 0o600);
    assert_eq!(mode(&folder.join(LOCK_FILE)), 0o600);
}

#[test]
fn a_folder_is_opened_once_at_a_time() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let error = open_error(folder.path());
    assert!(
        matches!(&error, StoreError::Locked { holder: Some(holder), .. } if *holder == std::process::id()),
        "{error}"
    );
    put(&store, &[("a/1", Some("{}"))]).unwrap();
    drop(store);
    open(folder.path());
}

#[test]
fn closing_leaves_one_file_of_data_and_opening_keeps_it() {
    let folder = tempfile::tempdir().unwrap();
    put(&open(folder.path()), &[("a/1", Some("{}"))]).unwrap();
    let mut names: Vec<String> = std::fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, [DATABASE_FILE, LOCK_FILE]);
    assert!(data(&open(folder.path()), "a/1").is_some());
}

#[test]
fn data_of_a_newer_format_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    put(&open(folder.path()), &[("a/1", Some("{}"))]).unwrap();
    let database = folder.path().join(DATABASE_FILE);
    let connection = rusqlite::Connection::open(&database).unwrap();
    connection
        .pragma_update(None, "user_version", FORMAT + 1)
        .unwrap();
    connection.close().unwrap();
    let before = std::fs::read(&database).unwrap();
    let error = open_error(folder.path());
    assert!(
        matches!(error, StoreError::NewerFormat { found, supported } if (found, supported) == (FORMAT + 1, FORMAT)),
        "{error}"
    );
    assert!(before == std::fs::read(&database).unwrap());
}

#[test]
fn a_database_of_another_program_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let connection = rusqlite::Connection::open(folder.path().join(DATABASE_FILE)).unwrap();
    connection.execute_batch("CREATE TABLE t (x)").unwrap();
    connection.close().unwrap();
    let error = open_error(folder.path()).to_string();
    assert!(error.contains("not one of Andiron's"), "{error}");
}

#[test]
fn a_file_that_is_no_database_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join(DATABASE_FILE), "x".repeat(5000)).unwrap();
    let error = open_error(folder.path());
    assert!(matches!(error, StoreError::Corrupt { .. }), "{error}");
}

/// Runs something as a user who is not above permissions, on a thread of its own if the tests run as root.
fn without_privileges(action: impl FnOnce() + Send) {
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            if rustix::process::geteuid().is_root() {
                let nobody = rustix::process::Uid::from_raw(65534);
                rustix::thread::set_thread_res_uid(nobody, nobody, nobody).unwrap();
            }
            action();
        });
        if let Err(panic) = thread.join() {
            std::panic::resume_unwind(panic);
        }
    });
}

/// Lets everybody read a folder and nobody write it.
fn make_read_only(folder: &Path) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let file = entry.unwrap().path();
        std::fs::set_permissions(file, PermissionsExt::from_mode(0o444)).unwrap();
    }
    std::fs::set_permissions(folder, PermissionsExt::from_mode(0o555)).unwrap();
}

fn expect_reading_alone(folder: &Path) {
    without_privileges(|| {
        let store = open(folder);
        assert_eq!(data(&store, "a/1").as_deref(), Some("{}"));
        let error = put(&store, &[("a/2", Some("{}"))]).unwrap_err();
        assert!(matches!(error, StoreError::ReadOnly), "{error}");
        assert_eq!(store.check().unwrap(), Vec::<String>::new());
        // Reading does not keep others from reading.
        assert_eq!(data(&open(folder), "a/1").as_deref(), Some("{}"));
    });
}

#[test]
fn a_read_only_folder_can_be_read() {
    let folder = tempfile::tempdir().unwrap();
    put(&open(folder.path()), &[("a/1", Some("{}"))]).unwrap();
    make_read_only(folder.path());
    expect_reading_alone(folder.path());
}

#[test]
fn a_read_only_folder_left_by_a_crash_can_be_read() {
    let running = tempfile::tempdir().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let store = open(running.path());
    put(&store, &[("a/1", Some("{}"))]).unwrap();
    for entry in std::fs::read_dir(running.path()).unwrap() {
        let file = entry.unwrap().path();
        std::fs::copy(&file, folder.path().join(file.file_name().unwrap())).unwrap();
    }
    drop(store);
    make_read_only(folder.path());
    expect_reading_alone(folder.path());
}

#[test]
fn a_read_only_folder_without_data_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    make_read_only(folder.path());
    without_privileges(|| {
        let error = open_error(folder.path());
        assert!(matches!(error, StoreError::ReadOnly), "{error}");
    });
}

#[test]
fn snapshots_are_bounded_and_free_their_place() {
    let folder = tempfile::tempdir().unwrap();
    let options = SqliteOptions {
        readers_max: 3,
        idle_readers_max: 1,
        ..SqliteOptions::default()
    };
    let store = SqliteStore::open(folder.path(), options).unwrap();
    for _ in 0..3 {
        let snapshots: Vec<_> = (0..3).map(|_| store.snapshot().unwrap()).collect();
        let error = store.snapshot().err().unwrap().to_string();
        assert!(error.contains("more than 3 snapshots"), "{error}");
        drop(snapshots);
    }
}

#[test]
fn the_log_is_begun_anew_under_constant_writing_and_reading() {
    let folder = tempfile::tempdir().unwrap();
    let checkpoint_bytes = 256 * 1024;
    let options = SqliteOptions {
        checkpoint_bytes,
        durability: andiron_store_sqlite::Durability::Off,
        ..SqliteOptions::default()
    };
    let store = SqliteStore::open(folder.path(), options).unwrap();
    let filler = format!(r#"{{"filler":"{}"}}"#, "x".repeat(3000));
    let log = folder.path().join(format!("{DATABASE_FILE}-wal"));
    let mut longest = 0;
    for round in 0..3000 {
        put(&store, &[(&format!("a/{}", round % 100), Some(&filler))]).unwrap();
        assert!(data(&store, "a/0").is_some());
        longest = longest.max(log.metadata().unwrap().len());
    }
    // Ten megabytes and more were written. However late the other thread is, the writer does not outrun it further.
    assert!(
        longest < 6 * checkpoint_bytes,
        "the log has grown to {longest} bytes"
    );
}

/// `tests/fixtures/format-1` was written by the program of that format with [`write_fixture`].
#[test]
fn data_of_every_earlier_format_is_brought_to_the_current_one() {
    for format in 1..=FORMAT {
        let folder = tempfile::tempdir().unwrap();
        let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/fixtures/format-{format}"));
        std::fs::copy(fixture.join(DATABASE_FILE), folder.path().join(DATABASE_FILE)).unwrap();
        let store = open(folder.path());
        assert_eq!(store.check().unwrap(), Vec::<String>::new());
        let snapshot = store.snapshot().unwrap();
        assert_eq!(snapshot.version().unwrap(), version(5));
        assert_eq!(data(&store, "posts/p1").as_deref(), Some(r#"{"title":"second"}"#));
        assert_eq!(
            data(&store, "posts/p1/comments/c1").as_deref(),
            Some(r#"{"text":"ä"}"#)
        );
        assert_eq!(data(&store, "posts/p2"), None);
        let old = snapshot.get_at(&path("posts/p2"), version(3)).unwrap().unwrap();
        assert_eq!(&*old.data, r#"{"title":"gone"}"#);
        assert_eq!(snapshot.indexes().unwrap().len(), 1);
        put(&store, &[("posts/p3", Some("{}"))]).unwrap();
        assert_eq!(store.check().unwrap(), Vec::<String>::new());
    }
}

/// Writes the fixture of the current format: `cargo test -p andiron-store-sqlite write_fixture -- --ignored`, once,
/// when a format is released.
#[test]
#[ignore = "it writes into the sources"]
fn write_fixture() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let mut group = store.begin().unwrap();
    let definition =
        r#"{"collection":"posts","scope":"collection","fields":[{"field":"title","kind":"ascending"}]}"#;
    let index = group
        .create_index(&serde_json::from_str(definition).unwrap())
        .unwrap();
    group.finish_index(index).unwrap();
    group.finish().unwrap();
    put(&store, &[("posts/p1", Some(r#"{"title":"first"}"#))]).unwrap();
    put(&store, &[("posts/p2", Some(r#"{"title":"gone"}"#))]).unwrap();
    put(&store, &[("posts/p1", Some(r#"{"title":"second"}"#))]).unwrap();
    put(&store, &[("posts/p2", None)]).unwrap();
    put(&store, &[("posts/p1/comments/c1", Some(r#"{"text":"ä"}"#))]).unwrap();
    drop(store);
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/fixtures/format-{FORMAT}"));
    std::fs::create_dir_all(&fixture).unwrap();
    std::fs::copy(folder.path().join(DATABASE_FILE), fixture.join(DATABASE_FILE)).unwrap();
}
