//! Bytes in a store on the network that others have written.

use std::time::Duration;

use andiron_files::{Blobs, FilesError, FilesOptions, RemoteStore, UploadRequest};

use crate::store_server::StoreServer;
use crate::support::{OWNER, TestFiles, name};

/// Sent in three parts.
const LARGE: usize = (5 << 20) * 2 + 77;
/// How long the store may take to hear that something is not wanted any more.
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) fn place(store: &StoreServer, prefix: &str) -> Blobs {
    let settings = store.settings();
    let said = |key: &str| {
        let (_, value) = settings.iter().find(|(name, _)| *name == key).unwrap();
        Some((*value).to_owned()).filter(|value| !value.is_empty())
    };
    let remote = RemoteStore {
        url: format!("{}/{prefix}", store.store()).parse().unwrap(),
        endpoint: said("files.store_endpoint"),
        region: None,
        key_id: said("files.store_key_id"),
        secret: said("files.store_secret"),
    };
    // Its files have no names, so they can all be in one folder.
    Blobs::in_remote(remote, &std::env::temp_dir()).unwrap()
}

fn files(blobs: Blobs) -> TestFiles {
    TestFiles::over(blobs, FilesOptions::default())
}

fn large() -> Vec<u8> {
    (0..LARGE)
        .map(|number| u8::try_from(number % 251).unwrap())
        .collect()
}

/// How many uploads the store knows that were begun and not finished.
pub(crate) fn unfinished(store: &StoreServer) -> usize {
    let list = store.ask("GET", "/andiron-test?uploads", "");
    assert!(list.starts_with("HTTP/1.1 200"), "{list}");
    list.matches("<UploadId>").count()
}

async fn large_files_come_in_parts_and_are_read_by_ranges(store: StoreServer) {
    let test = files(place(&store, "a/b"));
    test.files.claim_place().await.unwrap();
    let bytes = large();
    test.put("large", &bytes).await.unwrap();
    assert!(test.text("large").await == bytes);
    let file = test.files.get(&OWNER, &name("large")).unwrap().unwrap();
    let all = LARGE as u64;
    for range in [0..1, all - 1..all, (5 << 20) - 1..(5 << 20) + 1, 7..7] {
        let mut stream = test.files.read(&file, range.clone()).await.unwrap();
        let mut read = Vec::new();
        while let Some(more) = stream.next().await.unwrap() {
            read.extend_from_slice(&more);
        }
        let (start, end) = (
            usize::try_from(range.start).unwrap(),
            usize::try_from(range.end).unwrap(),
        );
        assert!(read == bytes[start..end], "{range:?}");
    }
    let stored = test.stored().await;
    assert_eq!(
        stored.len(),
        2,
        "the file, and what says whose the place is: {stored:?}"
    );
}

#[tokio::test]
async fn large_files_come_in_parts_on_s3() {
    large_files_come_in_parts_and_are_read_by_ranges(StoreServer::s3()).await;
}

#[tokio::test]
async fn large_files_come_in_parts_on_azure() {
    large_files_come_in_parts_and_are_read_by_ranges(StoreServer::azure()).await;
}

#[tokio::test]
async fn large_files_come_in_parts_on_google_cloud_storage() {
    large_files_come_in_parts_and_are_read_by_ranges(StoreServer::google()).await;
}

#[tokio::test]
async fn what_is_given_up_is_forgotten_by_the_store() {
    let store = StoreServer::s3();
    let test = files(place(&store, "given-up"));
    test.files.claim_place().await.unwrap();
    let mut upload = test
        .files
        .begin_upload(&OWNER, UploadRequest::of(name("never")))
        .unwrap();
    upload.write(&large()).await.unwrap();
    assert_eq!(unfinished(&store), 1);
    drop(upload);
    let forgotten = async {
        while unfinished(&store) > 0 || test.stored().await.len() > 1 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, forgotten).await.unwrap();
}

#[tokio::test]
async fn what_a_killed_process_had_begun_is_forgotten_when_it_is_old() {
    let store = StoreServer::s3();
    let killed = files(place(&store, "killed"));
    killed.files.claim_place().await.unwrap();
    killed.put("kept", &large()).await.unwrap();
    let mut upload = killed
        .files
        .begin_upload(&OWNER, UploadRequest::of(name("never")))
        .unwrap();
    upload.write(&large()).await.unwrap();
    let mut own = killed
        .files
        .begin_upload(&OWNER, UploadRequest::of(name("slow")))
        .unwrap();
    own.write(&large()).await.unwrap();
    killed.advance_hours(25);
    // It is old, but its process is there.
    assert_eq!(killed.files.collect_garbage().await.unwrap(), 0);
    own.finish().await.unwrap();
    // As a process that is killed leaves it.
    std::mem::forget(upload);
    killed.advance_hours(-25);
    let next = killed.reopened(place(&store, "killed"));
    next.files.claim_place().await.unwrap();
    assert_eq!(
        next.files.collect_garbage().await.unwrap(),
        0,
        "it may be somebody's"
    );
    assert_eq!(unfinished(&store), 1);
    next.advance_hours(25);
    assert_eq!(next.files.collect_garbage().await.unwrap(), 1);
    assert_eq!(unfinished(&store), 0);
    let stored = next.stored().await;
    assert_eq!(
        stored.len(),
        3,
        "two files, and what says whose the place is: {stored:?}"
    );
    assert!(next.text("kept").await == large());
}

#[tokio::test]
async fn a_place_is_one_projects() {
    let store = StoreServer::s3();
    let first = files(place(&store, "shared"));
    first.files.claim_place().await.unwrap();
    first.files.claim_place().await.unwrap();
    let second = files(place(&store, "shared"));
    assert!(matches!(
        second.files.claim_place().await,
        Err(FilesError::PlaceTaken)
    ));
    let beside = files(place(&store, "shared/beside"));
    beside.files.claim_place().await.unwrap();
}

#[tokio::test]
async fn a_store_that_is_gone_is_said_and_nothing_is_changed() {
    let mut store = StoreServer::s3();
    let test = files(place(&store, "gone"));
    test.files.claim_place().await.unwrap();
    test.files.check_place().await.unwrap();
    test.put("a", b"old").await.unwrap();
    store.kill();
    for refused in [
        test.put("a", b"new").await.unwrap_err(),
        files(place(&store, "gone"))
            .files
            .claim_place()
            .await
            .unwrap_err(),
        files(place(&store, "gone"))
            .files
            .check_place()
            .await
            .unwrap_err(),
    ] {
        assert!(matches!(refused, FilesError::Storage(_)), "{refused}");
    }
    let known = test.files.get(&OWNER, &name("a")).unwrap().unwrap();
    assert_eq!(known.record.size, 3);
    assert!(matches!(
        test.files.read(&known, 0..3).await,
        Err(FilesError::Storage(_))
    ));
}
