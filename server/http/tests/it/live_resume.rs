//! Going on from a token where the change log no longer reaches back to it.

use andiron_protocol::Version;
use andiron_store::LogRetention;
use serde_json::json;

use crate::live::{delete, put, said};
use crate::live_ears::{Ear, TRANSPORTS};
use crate::server::Server;

/// Removes from the log what led to the newest version and before.
pub(crate) fn trim_log(server: &Server) -> Version {
    let newest = server.engine.version().unwrap();
    // Nothing else writes at the moment.
    let mut group = server.engine.store().begin().unwrap();
    let _ = group
        .trim_log(LogRetention {
            after: newest,
            bytes_max: u64::MAX,
            step_changes_max: u64::MAX,
        })
        .unwrap();
    group.finish().unwrap();
    newest
}

#[tokio::test]
async fn a_token_older_than_the_log_gives_a_reset_and_then_the_states_of_the_query() {
    for transport in TRANSPORTS {
        for target in ["from=posts", "from=posts&orderBy=n&limit=2", "doc=posts/p1"] {
            let server = Server::start().await;
            let listen = async |resume: Option<&str>| {
                Ear::listen(&server, transport, &server.key, target, resume).await
            };
            for n in 1..4 {
                put(&server, &format!("posts/p{n}"), json!({"n": n})).await;
            }
            let mut ear = listen(None).await;
            let old = ear.next().await["resume"].as_str().unwrap().to_owned();
            delete(&server, "posts/p1").await;
            let kept = ear.next().await["resume"].as_str().unwrap().to_owned();
            drop(ear);
            trim_log(&server);
            put(&server, "posts/p4", json!({"n": 4})).await;
            // The newest version that was trimmed is still one that the log goes on from.
            let resumed = listen(Some(&kept)).await.next().await;
            assert_eq!(resumed["reset"], false, "{transport:?} {target}");
            let mut ear = listen(Some(&old)).await;
            let reset = ear.next().await;
            assert_eq!(reset["reset"], true, "{transport:?} {target}");
            let mut all = said(&reset);
            all.sort();
            let (expected, after): (&[&str], &[&str]) = match target {
                "from=posts" => (
                    &["+posts/p2", "+posts/p3", "+posts/p4"],
                    &["+posts/p0", "+posts/p1"],
                ),
                "doc=posts/p1" => (&[], &["+posts/p1"]),
                _ => (
                    &["+posts/p2", "+posts/p3"],
                    &["+posts/p0", "+posts/p1", "-posts/p2", "-posts/p3"],
                ),
            };
            assert_eq!(all, expected, "{transport:?} {target}");
            // From there on it goes from state to state, whatever else is trimmed.
            let writes = json!({"writes": [
                {"set": "posts/p0", "data": {"n": 0}}, {"set": "posts/p1", "data": {"n": 1}},
            ]});
            let commit = crate::client::Request::new("POST", "/api/v1/commit").json(&writes);
            trim_log(&server);
            assert!(server.send(commit).await.status.is_success());
            let next = ear.next().await;
            let mut changed = said(&next);
            changed.sort();
            assert_eq!(changed, after, "{transport:?} {target}: {next}");
        }
    }
}
