//! Backups of the database and the files together, made while both are written to, and brought back.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use andiron_testkit::{Api, ServerProcess};
use http::Method;
use tokio::task::JoinSet;

use crate::{program, run};

/// Bytes of a file that lies in a document, and of one that lies in the folder.
const SIZES: [(&str, usize); 2] = [("small", 900), ("large", 200_000)];
/// Who writes at the same time.
const WRITERS: usize = 4;

/// What a writer puts into a file at some round: of that round, in every byte.
fn bytes_of(writer: usize, round: usize, size: usize) -> Vec<u8> {
    let line = format!("{writer}:{round};");
    line.bytes().cycle().take(size).collect()
}

async fn put(api: &Api, name: &str, bytes: Vec<u8>) {
    let answer = api
        .upload(&format!("/api/v1/files/main/{name}"), "text/plain", bytes)
        .await;
    assert!(matches!(answer.status, 200 | 201), "{name}: {}", answer.text());
}

async fn delete(api: &Api, name: &str) {
    let path = format!("/api/v1/files/main/{name}");
    api.request(Method::DELETE, &path, &[], None).await.expect(204);
}

async fn read(api: &Api, name: &str) -> Option<Vec<u8>> {
    let answer = api.get(&format!("/api/v1/files/main/{name}")).await;
    (answer.status != 404).then(|| answer.expect(200).body.to_vec())
}

/// A server with a key for it.
fn server(folder: &Path) -> (ServerProcess, Api, String) {
    let key = run(folder, &["key", "create", "backup"])
        .expect(0)
        .stdout
        .trim()
        .to_owned();
    let server = ServerProcess::start(program(), folder, &[]);
    let api = server.anonymous().with_key(&key);
    (server, api, key)
}

/// Writes until it is told to stop: a small file, a large one, and one that is there in every second round.
async fn write(api: Api, writer: usize, begun: Arc<tokio::sync::Barrier>, is_over: Arc<AtomicBool>) -> usize {
    let mut round = 0;
    while !is_over.load(Ordering::Relaxed) {
        round += 1;
        for (name, size) in SIZES {
            put(&api, &format!("{writer}/{name}"), bytes_of(writer, round, size)).await;
        }
        let passing = format!("{writer}/passing");
        if round.is_multiple_of(2) {
            put(&api, &passing, bytes_of(writer, round, 50_000)).await;
        } else if round > 1 {
            delete(&api, &passing).await;
        }
        if round == 2 {
            begun.wait().await;
        }
    }
    round
}

/// The round of which a file's bytes are, all of them.
fn round_of(writer: usize, size: usize, bytes: &[u8]) -> usize {
    let text = String::from_utf8_lossy(bytes);
    let line = text.split_once(';').unwrap().0;
    let round = line.strip_prefix(&format!("{writer}:")).unwrap().parse().unwrap();
    assert_eq!(bytes, bytes_of(writer, round, size), "whole, and of one round");
    round
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_made_while_files_come_and_go_brings_back_one_moment_byte_for_byte() {
    let folder = tempfile::tempdir().unwrap();
    let (project, copy) = (folder.path().join("app"), folder.path().join("copy"));
    std::fs::create_dir(&project).unwrap();
    let (running, api, key) = server(&project);
    put(&api, "kept", bytes_of(9, 1, 300_000)).await;
    put(&api, "deleted-later", bytes_of(9, 2, 300_000)).await;
    put(&api, "overwritten-later", bytes_of(9, 3, 300_000)).await;
    let is_over = Arc::new(AtomicBool::new(false));
    let begun = Arc::new(tokio::sync::Barrier::new(WRITERS + 1));
    let mut writers = JoinSet::new();
    for writer in 0..WRITERS {
        writers.spawn(write(api.clone(), writer, begun.clone(), is_over.clone()));
    }
    begun.wait().await;
    let backup = {
        let (project, copy) = (project.clone(), copy.clone());
        tokio::task::spawn_blocking(move || run(&project, &["backup", copy.to_str().unwrap()]))
            .await
            .unwrap()
    };
    delete(&api, "deleted-later").await;
    put(&api, "overwritten-later", bytes_of(9, 4, 300_000)).await;
    is_over.store(true, Ordering::Relaxed);
    let rounds = writers.join_all().await;
    let told = backup.expect(0).stderr;
    assert!(told.contains("has the database"), "{told}");
    // The original goes, all of it.
    drop(running);
    std::fs::remove_dir_all(project.join("andiron-data")).unwrap();

    let again = folder.path().join("again");
    std::fs::create_dir(&again).unwrap();
    let restored = run(&again, &["restore", copy.to_str().unwrap()]).expect(0).stdout;
    assert!(restored.contains("are those that were published"), "{restored}");
    // The key is in the backup, too.
    let server = ServerProcess::start(program(), &again, &[]);
    let api = server.anonymous().with_key(&key);
    assert_eq!(read(&api, "kept").await, Some(bytes_of(9, 1, 300_000)));
    assert_eq!(read(&api, "deleted-later").await, Some(bytes_of(9, 2, 300_000)));
    assert_eq!(
        read(&api, "overwritten-later").await,
        Some(bytes_of(9, 3, 300_000))
    );
    let mut at_the_moment = Vec::new();
    for (writer, last) in rounds.into_iter().enumerate() {
        let mut of = Vec::new();
        for (name, size) in SIZES {
            let bytes = read(&api, &format!("{writer}/{name}")).await.unwrap();
            of.push(round_of(writer, size, &bytes));
        }
        // The small one is written first; what was written later is not there without what was written before.
        let (small, large) = (of[0], of[1]);
        assert!(small == large || small == large + 1, "{small} and {large}");
        if let Some(bytes) = read(&api, &format!("{writer}/passing")).await {
            let passing = round_of(writer, 50_000, &bytes);
            assert!(
                (large - 1..=large).contains(&passing) && passing.is_multiple_of(2),
                "{passing} and {large}"
            );
        }
        at_the_moment.push((small, last));
    }
    assert!(
        at_the_moment.iter().any(|(then, last)| then < last),
        "they went on writing while it was made: {at_the_moment:?}"
    );
}

#[tokio::test]
async fn a_restore_takes_no_place_of_other_data_and_a_backup_none_of_another() {
    let folder = tempfile::tempdir().unwrap();
    let (running, api, _) = server(folder.path());
    put(&api, "a", b"meow".to_vec()).await;
    drop(running);
    // Without a server the command opens the folder itself.
    run(folder.path(), &["backup", "copy"]).expect(0);
    let again = run(folder.path(), &["backup", "copy"]).expect(2);
    assert!(again.stderr.contains("already"), "{}", again.stderr);
    let taken = run(folder.path(), &["restore", "copy"]).expect(2);
    assert!(taken.stderr.contains("move it away first"), "{}", taken.stderr);
    let none = run(folder.path(), &["restore", "."]).expect(2);
    assert!(none.stderr.contains("is no backup"), "{}", none.stderr);
}

#[tokio::test]
async fn a_doctor_misses_bytes_of_files_that_are_gone_or_damaged_and_sees_what_belongs_to_none() {
    let folder = tempfile::tempdir().unwrap();
    let (running, api, _) = server(folder.path());
    for name in ["whole", "gone", "damaged", "shorter"] {
        put(&api, name, bytes_of(1, name.len(), 100_000 + name.len())).await;
    }
    put(&api, "small", b"meow".to_vec()).await;
    let blobs = |size: u64| -> Vec<std::path::PathBuf> {
        let shards = std::fs::read_dir(folder.path().join("andiron-data/files")).unwrap();
        let files = shards.flat_map(|shard| std::fs::read_dir(shard.unwrap().path()).unwrap());
        files
            .map(|file| file.unwrap().path())
            .filter(|path| path.metadata().unwrap().len() == size)
            .collect()
    };
    let well = run(folder.path(), &["doctor"]).expect(0).stdout;
    assert!(well.contains("the bytes of 5 files were read"), "{well}");
    let [gone, damaged, shorter] =
        ["gone", "damaged", "shorter"].map(|name| blobs(100_000 + name.len() as u64));
    // `damaged` and `shorter` have names of one length.
    let mut both = damaged.clone();
    both.sort();
    assert_eq!((gone.len(), both.len(), shorter.len()), (1, 2, 2));
    std::fs::copy(&gone[0], gone[0].with_file_name("01JZZZZZZZZZZZZZZZZZZZZZZZ")).unwrap();
    std::fs::remove_file(&gone[0]).unwrap();
    let mut bytes = std::fs::read(&both[0]).unwrap();
    bytes[50_000] ^= 1;
    std::fs::write(&both[0], &bytes).unwrap();
    std::fs::write(&both[1], &bytes[..70_000]).unwrap();
    let ill = run(folder.path(), &["doctor"]).expect(3);
    for told in [
        "the bytes of `main/gone` cannot be read",
        "are not those that were published",
        "the bytes of 2 files were read",
        "1 blob of uploads that broke off",
    ] {
        assert!(ill.stdout.contains(told), "{told}: {}", ill.stdout);
    }
    assert!(ill.stderr.contains("3 problems found"), "{}", ill.stderr);
    drop(running);
}
