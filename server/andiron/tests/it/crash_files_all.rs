//! The server is killed with -9 at random moments of everything that is done with files: uploads, overwrites, deletions,
//! copies and moves, uploads in several requests. Each time every file is the old one or the new one, whole; and at the end no bytes
//! are left that no file has, and the figures of quotas are the sum of what is there.
//!
//! `ANDIRON_CRASH_CYCLES` sets how often (a tenth of it; default 6), `ANDIRON_CRASH_SEED` repeats the moments of a run.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use andiron_engine::{Caller, Engine, EngineOptions, Surroundings};
use andiron_files::{Blobs, BucketName, Files, FilesOptions, ListQuery, Usage};
use andiron_protocol::Timestamp;
use andiron_store_sqlite::{SqliteOptions, SqliteStore};
use andiron_testkit::{Answer, Api, ServerProcess};
use http::Method;
use serde_json::json;
use tokio::sync::watch;

use crate::crash::{Moments, from_environment, seed};
use crate::{program, run};

const CYCLES: u64 = 6;
const CLIENTS: usize = 3;
/// How long what has to be done may take.
const PATIENCE: Duration = Duration::from_secs(60);
/// Bytes of files: in the database, in one piece, in several.
const SIZES: [usize; 3] = [2_000, 300_000, 2_500_000];
/// More than the past reaches back, and than anything that was begun is waited for.
const DAYS_LATER: i64 = 9;

/// What one file may be: a number that tells its bytes, or nothing.
type State = Option<u64>;

/// What a client knows of its two files, and which of them an operation without an answer may have changed to what.
#[derive(Clone, Default)]
struct Known {
    states: [State; 2],
    /// What both are if the last operation was done after all.
    or: Option<[State; 2]>,
    number: u64,
}

/// The bytes of an upload: the number tells them.
fn bytes_of(number: u64) -> String {
    let size = SIZES[usize::try_from(number % 3).unwrap()];
    format!("{number:010}\n").repeat(size / 11)
}

fn target(client: usize, file: usize) -> String {
    format!("/api/v1/files/crash/{client}-{file}")
}

async fn ask(
    api: &Api,
    method: Method,
    path: &str,
    headers: &[(&str, &str)],
    body: String,
    expected: &[u16],
) -> Option<Answer> {
    let answer = api.try_request(method, path, headers, Some(body)).await.ok()?;
    assert!(
        expected.contains(&answer.status),
        "{path}: {} {}",
        answer.status,
        answer.text()
    );
    Some(answer)
}

/// An upload in two requests after its creation.
async fn upload_in_pieces(api: &Api, client: usize, number: u64) -> Option<Answer> {
    let bytes = bytes_of(number);
    let tus = ("tus-resumable", "1.0.0");
    // `crash`, and the names of the first files of clients.
    let names = ["MC0w", "MS0w", "Mi0w"];
    let metadata = format!("bucket Y3Jhc2g=,name {}", names[client]);
    let length = bytes.len().to_string();
    let creation = [tus, ("upload-length", &length), ("upload-metadata", &metadata)];
    let created = ask(
        api,
        Method::POST,
        "/api/v1/uploads",
        &creation,
        String::new(),
        &[201],
    )
    .await?;
    let url = created.header("location").unwrap().to_owned();
    let (first, second) = bytes.split_at(bytes.len() / 2);
    let mut last = created;
    for (offset, piece) in [(0, first), (first.len(), second)] {
        let offset = offset.to_string();
        let headers = [
            tus,
            ("upload-offset", offset.as_str()),
            ("content-type", "application/offset+octet-stream"),
        ];
        last = ask(api, Method::PATCH, &url, &headers, piece.to_owned(), &[204]).await?;
    }
    Some(last)
}

/// Does one thing after the other, until the server is gone.
async fn client(
    api: Api,
    client: usize,
    mut known: Known,
    mut moments: Moments,
    done: watch::Sender<u64>,
) -> Known {
    let (own, other) = (target(client, 0), target(client, 1));
    let text = [("content-type", "text/plain")];
    loop {
        let [first, second] = known.states;
        known.number += 1;
        let number = known.number;
        let to = json!({"to": format!("crash/{client}-1")});
        let (after, answer) = match moments.next(0..6) {
            0 | 1 => {
                known.or = Some([Some(number), second]);
                let body = bytes_of(number);
                (
                    known.or,
                    ask(&api, Method::PUT, &own, &text, body, &[200, 201]).await,
                )
            }
            2 => {
                known.or = Some([Some(number), second]);
                (known.or, upload_in_pieces(&api, client, number).await)
            }
            3 => {
                known.or = Some([first, None]);
                (
                    known.or,
                    ask(&api, Method::DELETE, &other, &[], String::new(), &[204]).await,
                )
            }
            kind if first.is_some() => {
                let (action, left) = if kind == 4 {
                    ("copy", first)
                } else {
                    ("move", None)
                };
                known.or = Some([left, first]);
                let body = json!({ action: to }).to_string();
                (
                    known.or,
                    ask(&api, Method::POST, &own, &[], body, &[200, 201]).await,
                )
            }
            _ => continue,
        };
        if answer.is_none() {
            return known;
        }
        if let Some(after) = after {
            known.states = after;
        }
        known.or = None;
        done.send_modify(|done| *done += 1);
    }
}

async fn read(api: &Api, client: usize, file: usize) -> State {
    let found = api.get(&target(client, file)).await;
    if found.status == 404 {
        return None;
    }
    let text = found.expect(200).text();
    let number: u64 = text[..10].parse().unwrap();
    assert!(text == bytes_of(number), "{client}-{file} is torn");
    Some(number)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_at_any_moment_leaves_files_old_or_new_and_nothing_else() {
    let cycles = from_environment("ANDIRON_CRASH_CYCLES").map_or(CYCLES, |cycles| (cycles / 10).max(1));
    let seed = seed();
    println!("{cycles} cycles, ANDIRON_CRASH_SEED={seed}");
    let mut moments = Moments(seed);
    let folder = tempfile::tempdir().unwrap();
    let key = run(folder.path(), &["key", "create", "crash"]).expect(0).stdout;
    let mut server = ServerProcess::start(program(), folder.path(), &[]);
    let mut known = vec![Known::default(); CLIENTS];
    for _ in 0..cycles {
        let api = server.anonymous().with_key(key.trim());
        let (done, mut progress) = watch::channel(0);
        let clients: Vec<_> = known
            .drain(..)
            .enumerate()
            .map(|(number, known)| {
                let moments = Moments(moments.next(1..u64::MAX));
                tokio::spawn(client(api.clone(), number, known, moments, done.clone()))
            })
            .collect();
        let enough = moments.next(3..25);
        let reached = progress.wait_for(|done| *done >= enough);
        tokio::time::timeout(PATIENCE, reached).await.unwrap().unwrap();
        // Anywhere in what is under way by then.
        for _ in 0..moments.next(0..2_000) {
            tokio::task::yield_now().await;
        }
        server.kill();
        for client in clients {
            known.push(client.await.unwrap());
        }
        server.start_again();
        let api = server.anonymous().with_key(key.trim());
        for (client, known) in known.iter_mut().enumerate() {
            let found = [read(&api, client, 0).await, read(&api, client, 1).await];
            assert!(
                found == known.states || Some(found) == known.or,
                "{client}: {found:?} is neither {:?} nor {:?}",
                known.states,
                known.or
            );
            known.states = found;
            known.or = None;
        }
    }
    server.kill();
    nothing_is_left_over(folder.path(), &known).await;
}

/// Opens the data as a server does days later.
pub(crate) fn days_later(folder: &Path, blobs: Blobs) -> (Engine, Files) {
    let store = SqliteStore::open(&folder.join("andiron-data"), SqliteOptions::default()).unwrap();
    let system = Surroundings::system();
    let now = Arc::clone(&system.now);
    let later = Surroundings {
        now: Arc::new(move || {
            Timestamp::from_micros_clamped(now().as_micros() + DAYS_LATER * 24 * 3_600_000_000)
        }),
        ..system
    };
    let engine = Engine::open(Arc::new(store), EngineOptions::default(), later).unwrap();
    let files = Files::new(engine.clone(), blobs, FilesOptions::default());
    (engine, files)
}

/// What the figures say of the bucket of these tests, and the sizes of the files in it.
pub(crate) async fn usage_of(files: &Files) -> (Usage, Vec<u64>) {
    let bucket: BucketName = "crash".parse().unwrap();
    let query = ListQuery {
        prefix: String::new(),
        folders: false,
        cursor: None,
        limit: 1000,
    };
    let listed = files.list(&Caller::System, &bucket, query).await.unwrap().files;
    let sizes = listed.iter().map(|file| file.record.size).collect();
    (files.bucket_usage(&bucket).unwrap(), sizes)
}

/// Collects what is of no more use, and counts what there is.
async fn nothing_is_left_over(folder: &Path, known: &[Known]) {
    let bytes = folder.join("andiron-data/files");
    let (engine, files) = days_later(folder, Blobs::in_folder(&bytes).unwrap());
    let embedded_max = FilesOptions::default().embedded_bytes_max as u64;
    files.collect_garbage().await.unwrap();
    let (usage, sizes) = usage_of(&files).await;
    let states = known.iter().flat_map(|known| known.states).flatten();
    assert_eq!(sizes.len(), states.count(), "there is what the clients know of");
    assert_eq!(
        (usage.files, usage.bytes),
        (sizes.len() as u64, sizes.iter().sum())
    );
    assert_eq!(usage.reserved, 0, "what was begun is expired");
    let shards = std::fs::read_dir(bytes).unwrap();
    let on_disk = shards
        .flat_map(|shard| std::fs::read_dir(shard.unwrap().path()).unwrap())
        .count();
    // All have been read whole, so these are theirs if they are as many.
    let large = sizes.iter().filter(|size| **size > embedded_max).count();
    assert_eq!(on_disk, large, "no bytes are left that no file has");
    engine.close();
}
