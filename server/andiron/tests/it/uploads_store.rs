//! Uploads in several requests to a store on the network: the server is killed with -9 at each request that it makes there, and ten
//! large uploads at once take little memory.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use andiron_files::{Blobs, RemoteStore};
use andiron_testkit::{Answer, Api, Deed, ServerProcess, StoreServer};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::Method;
use tokio::sync::watch;

use crate::accounts::memory_kib;
use crate::crash_files_all::{days_later, usage_of};
use crate::files_store::settings_of;
use crate::{program, run};

const TUS: (&str, &str) = ("tus-resumable", "1.0.0");
/// A piece, a part, and something over.
const FIRST_BYTES: usize = 1_000_000;
const FILE_BYTES: usize = 6_000_000;
/// More requests to the store than one upload takes.
const REQUESTS_MAX: usize = 40;
/// How long an upload may take.
const PATIENCE: Duration = Duration::from_secs(120);
/// What ten uploads at once may take more than a server that does nothing. That is 26 MB in a release, so 80 MB are not passed;
/// programs of tests are larger.
const MORE_KIB_MAX: u64 = 52_000;
const TOGETHER: usize = 10;
const TOGETHER_BYTES: usize = 30 << 20;

/// Bytes that are nowhere the same.
fn bytes_of(len: usize) -> String {
    (0..len / 8).map(|number| format!("{number:07}\n")).collect()
}

async fn begin(api: &Api, name: &str, size: usize) -> Answer {
    let encoded = |text: &str| STANDARD.encode(text);
    let metadata = format!("bucket {},name {}", encoded("crash"), encoded(name));
    let headers = [
        TUS,
        ("upload-length", &size.to_string()),
        ("upload-metadata", &metadata),
    ];
    api.request(Method::POST, "/api/v1/uploads", &headers, None)
        .await
        .expect(201)
}

/// Sends bytes from an offset on; `None` if no answer comes.
async fn send(api: &Api, upload: &str, from: usize, bytes: &str) -> Option<Answer> {
    let headers = [
        TUS,
        ("upload-offset", &from.to_string()),
        ("content-type", "application/offset+octet-stream"),
    ];
    api.try_request(Method::PATCH, upload, &headers, Some(bytes.to_owned()))
        .await
        .ok()
}

/// Uploads what is not there yet, in two requests, to the end or as far as it goes.
async fn go_on(api: &Api, upload: &str, bytes: &str) -> Option<()> {
    let status = api.request(Method::HEAD, upload, &[TUS], None).await.expect(200);
    let mut offset: usize = status.header("upload-offset").unwrap().parse().unwrap();
    for end in [FIRST_BYTES, FILE_BYTES] {
        if offset < end {
            let sent = send(api, upload, offset, &bytes[offset..end]).await?.expect(204);
            offset = sent.header("upload-offset").unwrap().parse().unwrap();
            assert_eq!(offset, end);
        }
    }
    Some(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_at_any_request_to_the_store_loses_no_upload_and_leaves_nothing() {
    // How many requests to the store are still answered, and whether it does the last one.
    let left = Arc::new(AtomicUsize::new(usize::MAX));
    let does_last = Arc::new(AtomicUsize::new(0));
    let (stopped, mut is_stopped) = watch::channel(0_u32);
    let store = {
        let (left, does_last) = (Arc::clone(&left), Arc::clone(&does_last));
        StoreServer::s3().behind(move |_| {
            let before = left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| {
                (left < usize::MAX).then(|| left.saturating_sub(1))
            });
            match before {
                Err(_) => Deed::Pass,
                Ok(left) if left > 1 => Deed::Pass,
                Ok(left) => {
                    stopped.send_modify(|stopped| *stopped += 1);
                    if left == 1 && does_last.load(Ordering::SeqCst) == 1 {
                        Deed::PassAndSwallow
                    } else {
                        Deed::Swallow
                    }
                }
            }
        })
    };
    let arguments = settings_of(&store);
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let folder = tempfile::tempdir().unwrap();
    let key = run(folder.path(), &["key", "create", "crash"]).expect(0).stdout;
    let mut server = ServerProcess::start(program(), folder.path(), &arguments);
    let bytes = bytes_of(FILE_BYTES);
    let mut files = 0;
    for does in [0, 1] {
        does_last.store(does, Ordering::SeqCst);
        let mut kills = 0;
        for requests in 1..REQUESTS_MAX {
            let api = server.anonymous().with_key(key.trim());
            let name = format!("{does}-{requests}");
            let upload = begin(&api, &name, FILE_BYTES)
                .await
                .header("location")
                .unwrap()
                .to_owned();
            is_stopped.mark_unchanged();
            left.store(requests, Ordering::SeqCst);
            let is_done = tokio::select! {
                done = go_on(&api, &upload, &bytes) => done.is_some(),
                changed = is_stopped.changed() => {
                    changed.unwrap();
                    false
                }
            };
            left.store(usize::MAX, Ordering::SeqCst);
            files += 1;
            if is_done {
                break;
            }
            kills += 1;
            server.kill();
            server.start_again();
            let api = server.anonymous().with_key(key.trim());
            let going_on = tokio::time::timeout(PATIENCE, go_on(&api, &upload, &bytes));
            going_on.await.unwrap().expect("nobody is killed now");
            let read = api.get(&format!("/api/v1/files/crash/{name}")).await.expect(200);
            assert!(read.text() == bytes, "killed at request {requests}");
        }
        assert!((8..REQUESTS_MAX - 1).contains(&kills), "{kills} requests");
    }
    server.kill();
    nothing_is_left(&store, folder.path(), files).await;
}

/// Looks at the store as a server does days later, once it has collected what is of no more use.
async fn nothing_is_left(store: &StoreServer, folder: &Path, uploaded: u64) {
    let said = |key: &str| {
        let settings = store.settings();
        let (_, value) = settings.iter().find(|(name, _)| *name == key).unwrap();
        Some((*value).to_owned())
    };
    let remote = RemoteStore {
        url: format!("{}/live", store.store()).parse().unwrap(),
        endpoint: said("files.store_endpoint"),
        region: None,
        key_id: said("files.store_key_id"),
        secret: said("files.store_secret"),
    };
    let (engine, files) = days_later(folder, Blobs::in_remote(remote, folder).unwrap());
    files.collect_garbage().await.unwrap();
    let (usage, _) = usage_of(&files).await;
    assert_eq!((usage.files, usage.reserved), (uploaded, 0));
    engine.close();
    let listed = store.ask("GET", "/andiron-test?list-type=2&prefix=live/", "");
    // And what says whose the place is.
    assert_eq!(listed.matches("<Key>").count() as u64, uploaded + 1, "{listed}");
    // A store's answer that something was begun may have come too late to be noted. Then there is nothing in it.
    let unfinished = store.ask("GET", "/andiron-test?uploads", "");
    let ids: Vec<&str> = unfinished
        .split("<Upload>")
        .skip(1)
        .filter_map(|upload| upload.split_once("<UploadId>")?.1.split_once("</UploadId>"))
        .map(|(id, _)| id)
        .collect();
    assert!(ids.len() <= 2, "{unfinished}");
    for upload in unfinished.split("<Upload>").skip(1) {
        let of = |tag: &str| {
            let (_, rest) = upload.split_once(&format!("<{tag}>")).unwrap();
            rest.split_once("</").unwrap().0
        };
        let parts = store.ask(
            "GET",
            &format!("/andiron-test/{}?uploadId={}", of("Key"), of("UploadId")),
            "",
        );
        assert!(
            parts.starts_with("HTTP/1.1 200") && !parts.contains("<Part>"),
            "{parts}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_uploads_at_once_take_little_memory() {
    let store = StoreServer::s3();
    let arguments = settings_of(&store);
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let folder = tempfile::tempdir().unwrap();
    let key = run(folder.path(), &["key", "create", "crash"]).expect(0).stdout;
    let server = ServerProcess::start(program(), folder.path(), &arguments);
    let api = server.anonymous().with_key(key.trim());
    let bytes = Arc::new(bytes_of(TOGETHER_BYTES));
    let before = memory_kib(server.id(), "VmRSS:");
    let uploads = (0..TOGETHER).map(|number| {
        let (api, bytes) = (api.clone(), Arc::clone(&bytes));
        tokio::spawn(async move {
            let upload = begin(&api, &number.to_string(), TOGETHER_BYTES).await;
            let upload = upload.header("location").unwrap().to_owned();
            let sent = send(&api, &upload, 0, &bytes).await.unwrap();
            sent.expect(204);
        })
    });
    let uploads: Vec<_> = uploads.collect();
    for upload in uploads {
        upload.await.unwrap();
    }
    let peak = memory_kib(server.id(), "VmHWM:");
    println!("{before} KiB before, {peak} KiB at most");
    assert!(peak < before + MORE_KIB_MAX, "{before} KiB became {peak} KiB");
    for number in 0..TOGETHER {
        let read = api
            .get(&format!("/api/v1/files/crash/{number}"))
            .await
            .expect(200);
        assert!(read.text() == *bytes, "{number}");
    }
}
