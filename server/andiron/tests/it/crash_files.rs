//! The server is killed with -9 in the middle of uploads, again and again: a file is always one that was uploaded, whole,
//! and never older than what was answered.

use std::time::Duration;

use andiron_testkit::ServerProcess;
use http::Method;
use tokio::sync::watch;

use crate::{program, run};

/// How long uploads may take that have to be done.
const PATIENCE: Duration = Duration::from_secs(60);
const CYCLES: u32 = 8;
const CLIENTS: u32 = 3;
/// Larger than what is written at once, so that kills come between the parts of a file.
const FILE_BYTES: usize = 2_500_000;

/// The bytes of an upload: each tells which it is.
fn bytes_of(number: u32) -> String {
    format!("{number:010}\n").repeat(FILE_BYTES / 11)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_in_the_middle_of_uploads_leaves_the_file_of_before_or_the_new_one() {
    let folder = tempfile::tempdir().unwrap();
    let key = run(folder.path(), &["key", "create", "crash"]).expect(0).stdout;
    let mut server = ServerProcess::start(program(), folder.path(), &[]);
    let mut next = [1; CLIENTS as usize];
    let mut answered = [0; CLIENTS as usize];
    for cycle in 0..CYCLES {
        let api = server.anonymous().with_key(key.trim());
        let mut clients = Vec::new();
        let (uploaded, mut uploads) = watch::channel(0);
        for client in 0..CLIENTS {
            let (api, mut number) = (api.clone(), next[client as usize]);
            let uploaded = uploaded.clone();
            clients.push(tokio::spawn(async move {
                let target = format!("/api/v1/files/crash/{client}");
                let mut last = None;
                loop {
                    let upload = api
                        .try_request(Method::PUT, &target, &[], Some(bytes_of(number)))
                        .await;
                    match upload {
                        Ok(answer) => assert!([200, 201].contains(&answer.status), "{}", answer.text()),
                        Err(_) => return (last, number + 1),
                    }
                    last = Some(number);
                    number += 1;
                    uploaded.send_modify(|uploaded| *uploaded += 1);
                }
            }));
        }
        // Each time somewhere else in the uploads that are under way by then.
        let enough = uploads.wait_for(|uploaded| *uploaded >= 2 + 3 * cycle);
        tokio::time::timeout(PATIENCE, enough).await.unwrap().unwrap();
        server.kill();
        for (client, task) in clients.into_iter().enumerate() {
            let (last, from) = task.await.unwrap();
            answered[client] = last.unwrap_or(answered[client]);
            next[client] = from;
        }
        server.start_again();
        let api = server.anonymous().with_key(key.trim());
        for client in 0..CLIENTS as usize {
            let found = api.get(&format!("/api/v1/files/crash/{client}")).await;
            if found.status == 404 {
                assert_eq!(answered[client], 0, "an answered upload is lost");
                continue;
            }
            let text = found.expect(200).text();
            let number: u32 = text[..10].parse().unwrap();
            assert!(text == bytes_of(number), "the file of {client} is torn");
            assert!(
                number == answered[client] || number + 1 == next[client],
                "{number} is neither the last answered, {}, nor the one under way, {}",
                answered[client],
                next[client] - 1
            );
            answered[client] = number;
        }
        let staged = std::fs::read_dir(folder.path().join("andiron-data/files")).map_or(0, |shards| {
            shards
                .flat_map(|shard| std::fs::read_dir(shard.unwrap().path()).unwrap())
                .filter(|file| file.as_ref().unwrap().file_name().to_string_lossy().contains('#'))
                .count()
        });
        assert_eq!(staged, 0, "what was begun and not finished is gone");
    }
    assert!(
        answered.iter().all(|number| *number > 0),
        "every client got through"
    );
}
