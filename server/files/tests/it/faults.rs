//! A store that is full or fails: it is said, nothing else is lost, and what is tried again succeeds.

use std::io::ErrorKind;
use std::sync::Arc;

use andiron_files::{Blobs, FilesError, FilesOptions, Guard, Transfer, Usage};

use crate::failing_store::FailingStore;
use crate::support::{OWNER, TestFiles, name};

/// More than what is written at once, so that there are writes before, between and at the end of parts.
const BYTES: usize = 900_000;
/// More writes than one of these changes takes.
const WRITES_MAX: i64 = 8;

fn files(store: &FailingStore) -> TestFiles {
    TestFiles::over(Blobs::over(Arc::new(store.clone())), FilesOptions::default())
}

fn is_said(error: &FilesError, kind: ErrorKind) -> bool {
    match kind {
        ErrorKind::StorageFull => matches!(error, FilesError::StorageFull),
        _ => matches!(error, FilesError::Storage(_)),
    }
}

async fn usage(test: &TestFiles) -> Usage {
    test.files.bucket_usage(&"main".parse().unwrap()).unwrap()
}

#[tokio::test]
async fn a_write_that_fails_at_any_point_leaves_all_as_it_was() {
    for kind in [ErrorKind::StorageFull, ErrorKind::ConnectionRefused] {
        let store = FailingStore::default();
        let test = files(&store);
        test.put("old", b"old").await.unwrap();
        let (stored, before) = (test.stored().await, usage(&test).await);
        let mut failures = 0;
        for writes in 0..WRITES_MAX {
            store.fail_after(writes, kind);
            let overwritten = test.put("old", &vec![b'n'; BYTES]).await;
            let copied = test
                .files
                .transfer(
                    &OWNER,
                    Transfer::Copy,
                    &name("old"),
                    &name("copy"),
                    &Guard::none(),
                )
                .await;
            store.heal();
            if let Err(error) = &overwritten {
                failures += 1;
                assert!(is_said(error, kind), "{error}");
                let copied = copied.unwrap_err();
                assert!(is_said(&copied, kind), "{copied}");
                assert_eq!(test.text("old").await, b"old", "after {writes} writes");
                assert!(test.files.get(&OWNER, &name("copy")).unwrap().is_none());
                assert_eq!(test.stored().await, stored);
                assert_eq!(usage(&test).await, before);
            } else {
                assert_eq!(test.text("old").await.len(), BYTES);
                break;
            }
        }
        assert!((4..WRITES_MAX).contains(&failures), "{failures}");
    }
}

#[tokio::test]
async fn an_upload_goes_on_from_what_it_had_when_there_is_room_again() {
    for writes in 0..4 {
        let store = FailingStore::default();
        let test = files(&store);
        let bytes: Vec<u8> = (0..BYTES)
            .map(|number| u8::try_from(number % 251).unwrap())
            .collect();
        let upload = test.begin("a", BYTES).await;
        let mut first = test
            .files
            .continue_resumable(&OWNER, &upload.id, 0, None, None)
            .await
            .unwrap();
        first.write(&bytes[..100_000]).await.unwrap();
        drop(first.finish().await.unwrap());
        store.fail_after(writes, ErrorKind::StorageFull);
        let mut second = test
            .files
            .continue_resumable(&OWNER, &upload.id, 100_000, None, None)
            .await
            .unwrap();
        let written = second.write(&bytes[100_000..]).await;
        let failed = match written {
            Ok(()) => second.finish().await.map(drop),
            Err(error) => {
                drop(second);
                Err(error)
            }
        };
        assert!(
            matches!(failed, Err(FilesError::StorageFull)),
            "after {writes} writes"
        );
        assert!(test.files.get(&OWNER, &name("a")).unwrap().is_none());
        store.heal();
        let found = test.files.resumable(&OWNER, &upload.id).await.unwrap();
        assert_eq!(found.offset, 100_000);
        let mut third = test
            .files
            .continue_resumable(&OWNER, &upload.id, found.offset, None, None)
            .await
            .unwrap();
        third.write(&bytes[100_000..]).await.unwrap();
        assert!(third.finish().await.unwrap().upload.published.is_some());
        assert!(test.text("a").await == bytes);
        assert_eq!(usage(&test).await.bytes, BYTES as u64);
        assert_eq!(usage(&test).await.reserved, 0);
    }
}
