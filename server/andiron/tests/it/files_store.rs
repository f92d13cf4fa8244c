//! The program with its files in a store on the network that others have written.

use andiron_testkit::{Api, ServerProcess, StoreServer};
use http::Method;

use crate::{program, run};

/// More than is sent in one part, and no multiple of one.
const LARGE_BYTES: usize = 12_000_000;

/// The arguments with which files are kept in a store.
pub(crate) fn settings_of(store: &StoreServer) -> Vec<String> {
    let mut arguments = vec!["--set".to_owned(), format!("files.store={}/live", store.store())];
    for (key, value) in store.settings() {
        arguments.extend(["--set".to_owned(), format!("{key}={value}")]);
    }
    arguments
}

fn large() -> String {
    "0123456789\n".repeat(LARGE_BYTES / 11)
}

/// More than is kept in the database.
fn small(text: &str) -> String {
    text.repeat(100_000)
}

async fn put(api: &Api, target: &str, body: String) -> u16 {
    let headers = [("content-type", "text/plain")];
    api.request(Method::PUT, target, &headers, Some(body))
        .await
        .status
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_are_in_the_store_that_the_settings_name_and_there_after_a_restart() {
    let store = StoreServer::s3();
    let arguments = settings_of(&store);
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let folder = tempfile::tempdir().unwrap();
    // A command on the folder needs no store.
    let key = run(folder.path(), &["key", "create", "store"]).expect(0).stdout;
    let mut server = ServerProcess::start(program(), folder.path(), &arguments);
    let api = server.anonymous().with_key(key.trim());
    assert_eq!(put(&api, "/api/v1/files/main/large", large()).await, 201);
    assert_eq!(put(&api, "/api/v1/files/main/small", small("s")).await, 201);
    let files = std::fs::read_dir(folder.path().join("andiron-data/files"));
    let files = files.map_or(0, |shards| shards.count());
    assert_eq!(files, 0, "no file is in the data folder");
    let listed = store.ask("GET", "/andiron-test?list-type=2&prefix=live/", "");
    // Two files, and what says whose the place is.
    assert_eq!(listed.matches("<Key>live/").count(), 3, "{listed}");

    server.kill();
    server.start_again();
    let api = server.anonymous().with_key(key.trim());
    let read = api.get("/api/v1/files/main/large").await.expect(200);
    assert!(read.text() == large());
    let range = [("range", "bytes=5242870-5242890")];
    let part = api
        .request(Method::GET, "/api/v1/files/main/large", &range, None)
        .await
        .expect(206);
    assert_eq!(part.text(), large()[5_242_870..=5_242_890]);
    let copy = serde_json::json!({"copy": {"to": "main/copy"}});
    api.post("/api/v1/files/main/large", &copy).await.expect(201);
    assert!(api.get("/api/v1/files/main/copy").await.expect(200).text() == large());
    assert_eq!(api.get("/readyz").await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_cannot_be_used_is_said_at_the_start_and_when_it_goes() {
    let mut store = StoreServer::s3();
    let folder = tempfile::tempdir().unwrap();
    let arguments = settings_of(&store);
    let missing = arguments.iter().map(|argument| match argument.as_str() {
        setting if setting.starts_with("files.store=") => "files.store=s3://no-such-bucket",
        other => other,
    });
    let mut command = vec!["serve", "--listen", "127.0.0.1:0"];
    command.extend(missing);
    let refused = run(folder.path(), &command).expect(1).stderr;
    for part in [
        "s3://no-such-bucket",
        "NoSuchBucket",
        "ANDIRON_FILES_STORE_SECRET",
    ] {
        assert!(refused.contains(part), "{refused}");
    }

    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let server = ServerProcess::start(program(), folder.path(), &arguments);
    let key = server.printed_key().unwrap().to_owned();
    let api = server.anonymous().with_key(&key);
    assert_eq!(put(&api, "/api/v1/files/main/a", small("old")).await, 201);
    let other = tempfile::tempdir().unwrap();
    let mut command = vec!["serve", "--listen", "127.0.0.1:0"];
    command.extend(&arguments);
    let taken = run(other.path(), &command).expect(1).stderr;
    assert!(taken.contains("another project"), "{taken}");

    store.kill();
    let upload = api
        .request(Method::PUT, "/api/v1/files/main/a", &[], Some(small("new")))
        .await;
    upload.expect_problem(503, "unavailable");
    assert!(upload.header("retry-after").is_some());
    let [(_, endpoint), ..] = store.settings();
    assert!(
        !upload.text().contains(endpoint.trim_start_matches("http://")),
        "where the store is concerns nobody: {}",
        upload.text()
    );
    let read = api.get("/api/v1/files/main/a").await;
    let problem = read.expect_problem(503, "unavailable");
    assert!(
        problem["detail"].as_str().unwrap().contains("storage of files"),
        "{problem}"
    );
    let ready = api.get("/readyz").await.expect_problem(503, "unavailable");
    assert!(ready["detail"].as_str().unwrap().contains("files"), "{ready}");
    // Everything else goes on.
    api.put("/api/v1/docs/a/b", &serde_json::json!({"c": 1}))
        .await
        .expect(201);
    assert_eq!(
        api.get("/api/v1/files/main/a?metadata=true")
            .await
            .expect(200)
            .json()["size"],
        300_000
    );
}
