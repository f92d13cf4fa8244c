//! Stores on the network that are out of order: it is said, in words that help, and no file is other than before.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use andiron_files::{FilesError, FilesOptions};
use parking_lot::Mutex;

use crate::remote::place;
use crate::store_gate::{Deed, StoreRequest};
use crate::store_server::StoreServer;
use crate::support::{OWNER, TestFiles, name};

/// What the store does to requests from now on.
#[derive(Clone, Default)]
struct Fault(Arc<Mutex<Option<Judge>>>);

type Judge = Box<dyn Fn(&StoreRequest) -> Deed + Send>;

impl Fault {
    fn set(&self, judge: impl Fn(&StoreRequest) -> Deed + Send + 'static) {
        *self.0.lock() = Some(Box::new(judge));
    }

    fn heal(&self) {
        *self.0.lock() = None;
    }
}

/// A store with a file in it that can be put out of order.
async fn old_file(store: StoreServer) -> (StoreServer, TestFiles, Fault) {
    let fault = Fault::default();
    let of_gate = fault.clone();
    let store = store.behind(move |request| {
        let judge = of_gate.0.lock();
        judge.as_ref().map_or(Deed::Pass, |judge| judge(request))
    });
    let test = TestFiles::over(place(&store, "faults"), FilesOptions::default());
    test.files.claim_place().await.unwrap();
    test.put("a", OLD).await.unwrap();
    (store, test, fault)
}

const OLD: &[u8] = b"old";
/// More than one part.
const NEW_BYTES: usize = (5 << 20) + 99;

async fn refused(test: &TestFiles) -> String {
    let mut said = Vec::new();
    for bytes in [vec![1; 100_000], vec![2; NEW_BYTES]] {
        said.push(test.put("a", &bytes).await.unwrap_err());
    }
    let known = test.files.get(&OWNER, &name("a")).unwrap().unwrap();
    assert_eq!(known.record.size, OLD.len() as u64);
    said.push(match test.files.read(&known, 0..3).await {
        Err(error) => error,
        Ok(mut stream) => stream.next().await.unwrap_err(),
    });
    let texts = said.iter().map(|error| {
        assert!(matches!(error, FilesError::Storage(_)), "{error:?}");
        error.to_string()
    });
    texts.collect::<Vec<_>>().join("\n")
}

async fn is_as_before(test: &TestFiles) {
    assert_eq!(test.text("a").await, OLD);
    let usage = test.files.bucket_usage(&"main".parse().unwrap()).unwrap();
    assert_eq!((usage.files, usage.bytes, usage.reserved), (1, 3, 0));
}

#[tokio::test]
async fn credentials_that_are_not_taken_are_said_and_not_told() {
    for (store, code) in [
        (StoreServer::s3(), "SignatureDoesNotMatch"),
        (StoreServer::google(), "AccessDenied"),
        (StoreServer::azure(), "AuthenticationFailed"),
    ] {
        let (store, test, fault) = old_file(store).await;
        for status in ["403 Forbidden", "401 Unauthorized"] {
            fault.set(move |_| Deed::answer(status, &format!("<Error><Code>{code}</Code></Error>")));
            let said = refused(&test).await;
            assert!(
                said.contains(code) && said.contains("ANDIRON_FILES_STORE_SECRET"),
                "{said}"
            );
            let secret = store.settings()[2].1;
            let secret = secret.split('"').max_by_key(|part| part.len()).unwrap();
            assert!(secret == "test" || !said.contains(secret), "{said}");
        }
        fault.heal();
        is_as_before(&test).await;
    }
}

#[tokio::test]
async fn a_bucket_that_is_gone_is_no_file_that_is_gone() {
    let (_store, test, fault) = old_file(StoreServer::s3()).await;
    fault.set(|_| Deed::answer("404 Not Found", "<Error><Code>NoSuchBucket</Code></Error>"));
    let said = refused(&test).await;
    assert!(said.contains("`files.store`"), "{said}");
    fault.heal();
    is_as_before(&test).await;
}

#[tokio::test]
async fn a_store_that_is_busy_is_asked_again() {
    let (_store, test, fault) = old_file(StoreServer::s3()).await;
    let asked = Arc::new(AtomicUsize::new(0));
    let of_fault = Arc::clone(&asked);
    // Each request once.
    fault.set(move |_| match of_fault.fetch_add(1, Ordering::SeqCst) % 2 {
        0 => Deed::answer("503 Slow Down", "<Error><Code>SlowDown</Code></Error>"),
        _ => Deed::Pass,
    });
    let new = vec![3; NEW_BYTES];
    test.put("a", &new).await.unwrap();
    assert!(test.text("a").await == new);
    assert!(asked.load(Ordering::SeqCst) > 8);
}

#[tokio::test]
async fn a_store_that_stays_busy_is_said() {
    let (_store, test, fault) = old_file(StoreServer::s3()).await;
    fault.set(|_| Deed::answer("503 Slow Down", "<Error><Code>SlowDown</Code></Error>"));
    assert!(refused(&test).await.contains("SlowDown"));
    fault.heal();
    is_as_before(&test).await;
}

#[tokio::test]
async fn a_body_that_is_cut_is_gone_on_with_and_never_taken_for_whole() {
    let (_store, test, fault) = old_file(StoreServer::s3()).await;
    let bytes: Vec<u8> = (0..1_000_000_u32).map(|number| (number % 251) as u8).collect();
    test.put("b", &bytes).await.unwrap();
    let cuts = Arc::new(AtomicUsize::new(0));
    let of_fault = Arc::clone(&cuts);
    fault.set(move |_| match of_fault.fetch_add(1, Ordering::SeqCst) {
        0 | 1 => Deed::Cut(300_000),
        _ => Deed::Pass,
    });
    assert!(test.text("b").await == bytes);
    assert!(cuts.load(Ordering::SeqCst) > 2);
    fault.set(|_| Deed::Cut(1000));
    let file = test.files.get(&OWNER, &name("b")).unwrap().unwrap();
    let mut stream = test.files.read(&file, 0..file.record.size).await.unwrap();
    let mut read = Vec::new();
    let end = loop {
        match stream.next().await {
            Ok(Some(more)) => read.extend_from_slice(&more),
            Ok(None) => break None,
            Err(error) => break Some(error),
        }
    };
    assert!(matches!(end, Some(FilesError::Storage(_))), "{end:?}");
    assert!(bytes.starts_with(&read) && read.len() < bytes.len());
}
