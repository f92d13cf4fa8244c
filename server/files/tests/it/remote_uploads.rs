//! Uploads in several requests into a store on the network: they are the store's own multipart uploads, and nothing of them
//! stays behind, however they end.

use std::sync::atomic::{AtomicBool, Ordering};

use andiron_files::{Checksum, ChecksumAlgorithm, FilesError, FilesOptions, ResumableUpload, UploadId};
use md5::Md5;
use sha2::{Digest as _, Sha256};

use crate::remote::{place, unfinished};
use crate::store_gate::Deed;
use crate::store_server::StoreServer;
use crate::support::{OWNER, TestFiles, name};

const PART: usize = 5 << 20;

fn bytes_of(len: usize) -> Vec<u8> {
    // Of no period that parts could have.
    (0..len)
        .map(|number| u8::try_from((number + number / 251) % 253).unwrap())
        .collect()
}

async fn files(store: &StoreServer, prefix: &str) -> TestFiles {
    let test = TestFiles::over(place(store, prefix), FilesOptions::default());
    test.files.claim_place().await.unwrap();
    test
}

/// Sends bytes from an offset on, in one request.
async fn send(
    test: &TestFiles,
    id: &UploadId,
    from: usize,
    bytes: &[u8],
) -> Result<ResumableUpload, FilesError> {
    let mut request = test
        .files
        .continue_resumable(&OWNER, id, from as u64, None, None)
        .await?;
    for piece in bytes.chunks(100_003) {
        request.write(piece).await?;
    }
    Ok(request.finish().await?.upload)
}

/// What there is in the store besides what says whose the place is.
async fn stored(test: &TestFiles) -> Vec<String> {
    let mut stored = test.stored().await;
    stored.retain(|key| key != "andiron");
    stored
}

async fn requests_of_any_size_become_one_file(store: StoreServer) {
    let first = files(&store, "any").await;
    let bytes = bytes_of(3 * PART + 700_001);
    let upload = first.begin("large", bytes.len()).await;
    let mut from = 0_usize;
    let mut processes = Vec::new();
    for len in [1, PART - 1, 3, 2_000_000, 3_000_000, 1_000_000, 17, usize::MAX] {
        // Each request by a process of its own.
        let test = first.reopened(place(&store, "any"));
        let end = bytes.len().min(from.saturating_add(len));
        let now = send(&test, &upload.id, from, &bytes[from..end]).await.unwrap();
        assert_eq!(now.offset, end as u64);
        assert_eq!(now.published.is_some(), end == bytes.len());
        from = end;
        processes.push(test);
    }
    let test = first;
    assert!(test.text("large").await == bytes);
    let record = test.files.get(&OWNER, &name("large")).unwrap().unwrap().record;
    assert_eq!(record.sha256[..], Sha256::digest(&bytes)[..]);
    assert_eq!(record.md5[..], Md5::digest(&bytes)[..]);
    assert_eq!(record.crc32c, crc32c::crc32c(&bytes));
    assert_eq!(stored(&test).await.len(), 1, "the file alone");
}

#[tokio::test]
async fn requests_of_any_size_become_one_file_on_s3() {
    requests_of_any_size_become_one_file(StoreServer::s3()).await;
}

#[tokio::test]
async fn requests_of_any_size_become_one_file_on_azure() {
    requests_of_any_size_become_one_file(StoreServer::azure()).await;
}

#[tokio::test]
async fn requests_of_any_size_become_one_file_on_google_cloud_storage() {
    requests_of_any_size_become_one_file(StoreServer::google()).await;
}

#[tokio::test]
async fn parts_are_sent_as_they_come_and_the_store_puts_them_together() {
    let store = StoreServer::s3();
    let test = files(&store, "parts").await;
    let bytes = bytes_of(2 * PART + 5);
    let upload = test.begin("large", bytes.len()).await;
    let first = send(&test, &upload.id, 0, &bytes[..PART + 7]).await.unwrap();
    assert_eq!(first.offset, (PART + 7) as u64);
    assert_eq!(unfinished(&store), 1);
    // The rest of a part, and what says that something was begun.
    assert_eq!(stored(&test).await.len(), 2);
    drop(
        send(&test, &upload.id, PART + 7, &bytes[PART + 7..])
            .await
            .unwrap(),
    );
    assert_eq!(unfinished(&store), 0);
    assert_eq!(stored(&test).await.len(), 1);
    assert!(test.text("large").await == bytes);
}

#[tokio::test]
async fn what_is_ended_or_expires_is_forgotten_by_the_store() {
    let store = StoreServer::s3();
    let test = files(&store, "ended").await;
    let bytes = bytes_of(PART + 1);
    let ended = test.begin("ended", 3 * PART).await;
    drop(send(&test, &ended.id, 0, &bytes).await.unwrap());
    let expired = test.begin("expired", 3 * PART).await;
    drop(send(&test, &expired.id, 0, &bytes).await.unwrap());
    assert_eq!((unfinished(&store), stored(&test).await.len()), (2, 4));
    test.files.terminate_resumable(&OWNER, &ended.id).await.unwrap();
    assert_eq!((unfinished(&store), stored(&test).await.len()), (1, 2));
    test.advance_hours(23);
    // Too young, and somebody's.
    drop(send(&test, &expired.id, bytes.len(), b"more").await.unwrap());
    test.advance_hours(2);
    assert_eq!(test.files.collect_garbage().await.unwrap(), 0);
    assert_eq!((unfinished(&store), stored(&test).await.len()), (1, 3));
    test.advance_hours(23);
    let _ = test.files.collect_garbage().await.unwrap();
    assert_eq!((unfinished(&store), stored(&test).await.len()), (0, 0));
}

#[tokio::test]
async fn an_upload_that_no_database_knows_any_more_is_forgotten_when_it_is_old() {
    let store = StoreServer::s3();
    let lost = files(&store, "lost").await;
    let upload = lost.begin("lost", 3 * PART).await;
    drop(send(&lost, &upload.id, 0, &bytes_of(PART + 1)).await.unwrap());
    // As a database is that was restored from before.
    let next = TestFiles::over(place(&store, "lost"), FilesOptions::default());
    next.advance_hours(23);
    assert_eq!(next.files.collect_garbage().await.unwrap(), 0);
    next.advance_hours(2);
    let _ = next.files.collect_garbage().await.unwrap();
    assert_eq!((unfinished(&store), stored(&next).await.len()), (0, 0));
    // And who knew it is told.
    let refused = send(&lost, &upload.id, PART + 1, &bytes_of(2 * PART - 1)).await;
    assert!(
        matches!(refused, Err(FilesError::Internal(_) | FilesError::UploadExpired)),
        "{refused:?}"
    );
}

#[tokio::test]
async fn parts_without_their_checksum_are_not_taken() {
    let store = StoreServer::s3();
    let test = files(&store, "checksum").await;
    let bytes = bytes_of(3 * PART + 9);
    let upload = test.begin("large", bytes.len()).await;
    drop(send(&test, &upload.id, 0, &bytes[..11]).await.unwrap());
    let mut wrong = bytes[11..].to_vec();
    wrong[PART] ^= 1;
    for (sent, is_right) in [(&wrong[..], false), (&bytes[11..], true)] {
        let checksum = Checksum {
            algorithm: ChecksumAlgorithm::Sha256,
            expected: Sha256::digest(&bytes[11..]).to_vec(),
        };
        let mut request = test
            .files
            .continue_resumable(&OWNER, &upload.id, 11, None, Some(checksum))
            .await
            .unwrap();
        request.write(sent).await.unwrap();
        match request.finish().await {
            Ok(progress) => assert!(is_right && progress.upload.published.is_some()),
            Err(error) => assert!(
                !is_right && matches!(error, FilesError::ChecksumDiffers),
                "{error}"
            ),
        }
    }
    assert!(test.text("large").await == bytes);
    assert_eq!((unfinished(&store), stored(&test).await.len()), (0, 1));
}

/// The store puts the parts together and its answer is lost; who asks again finds the object and not the parts.
async fn an_answer_that_is_lost_loses_no_file(store: StoreServer) {
    let lost = AtomicBool::new(false);
    let store = store.behind(move |request| {
        let is_end = request.target.contains("comp=blocklist")
            || (request.method == "POST" && request.target.contains("uploadId="));
        if is_end && !lost.swap(true, Ordering::SeqCst) {
            return Deed::pass_and_answer("503 Service Unavailable", "");
        }
        Deed::Pass
    });
    let test = files(&store, "lost-answer").await;
    let bytes = bytes_of(PART + 1);
    let upload = test.begin("large", bytes.len()).await;
    let end = send(&test, &upload.id, 0, &bytes).await.unwrap();
    assert!(end.published.is_some());
    assert!(test.text("large").await == bytes);
    assert_eq!(stored(&test).await.len(), 1);
}

#[tokio::test]
async fn an_answer_that_is_lost_loses_no_file_on_s3() {
    an_answer_that_is_lost_loses_no_file(StoreServer::s3()).await;
}

#[tokio::test]
async fn an_answer_that_is_lost_loses_no_file_on_azure() {
    an_answer_that_is_lost_loses_no_file(StoreServer::azure()).await;
}

#[tokio::test]
async fn an_answer_that_is_lost_loses_no_file_on_google_cloud_storage() {
    an_answer_that_is_lost_loses_no_file(StoreServer::google()).await;
}
