//! Listing files.

use serde_json::{Value, json};

use crate::client::Request;
use crate::files_upload::put;
use crate::server::Server;

const NAMES: [&str; 7] = ["a", "b/1", "b/2", "b/c/3", "b d", "b/c/d/4", "z"];

async fn filled() -> Server {
    let server = Server::start().await;
    for name in NAMES {
        let target = format!("/api/v1/files/main/{}", name.replace(' ', "%20"));
        put(&server, &target, "text/plain", name).await;
    }
    put(&server, "/api/v1/files/other/a", "text/plain", "x").await;
    server
}

async fn list(server: &Server, query: &str) -> Value {
    let answer = server
        .send(Request::get(&format!("/api/v1/files/main?{query}")))
        .await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

fn names(page: &Value) -> Vec<&str> {
    let files = page["files"].as_array().unwrap().iter();
    files.map(|file| file["name"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn files_are_listed_folder_by_folder() {
    let server = filled().await;
    let all = list(&server, "").await;
    assert_eq!(names(&all), ["a", "b/1", "b/2", "b/c/3", "b/c/d/4", "b d", "z"]);
    assert_eq!(all["cursor"], Value::Null);
    assert_eq!(
        names(&list(&server, "prefix=b/").await),
        ["b/1", "b/2", "b/c/3", "b/c/d/4"]
    );
    assert_eq!(
        names(&list(&server, "prefix=b").await),
        ["b/1", "b/2", "b/c/3", "b/c/d/4", "b d"]
    );
    assert_eq!(names(&list(&server, "prefix=none").await), Vec::<&str>::new());
    let top = list(&server, "delimiter=/").await;
    assert_eq!(
        (names(&top), &top["folders"]),
        (vec!["a", "b d", "z"], &json!(["b/"]))
    );
    let inner = list(&server, "delimiter=/&prefix=b/").await;
    assert_eq!(
        (names(&inner), &inner["folders"]),
        (vec!["b/1", "b/2"], &json!(["b/c/"]))
    );
    let part = list(&server, "delimiter=/&prefix=b/c").await;
    assert_eq!((names(&part), &part["folders"]), (Vec::new(), &json!(["b/c/"])));
}

#[tokio::test]
async fn pages_of_every_size_give_each_file_and_folder_once() {
    let server = filled().await;
    for options in ["", "delimiter=/", "prefix=b", "prefix=b/&delimiter=/"] {
        let whole = list(&server, options).await;
        for limit in 1..=7 {
            let (mut files, mut folders, mut cursor) = (Vec::new(), Vec::new(), String::new());
            loop {
                let page = list(&server, &format!("{options}&limit={limit}{cursor}")).await;
                let entries =
                    page["files"].as_array().unwrap().len() + page["folders"].as_array().unwrap().len();
                assert!(entries <= limit);
                files.extend(page["files"].as_array().unwrap().clone());
                folders.extend(page["folders"].as_array().unwrap().clone());
                let Some(next) = page["cursor"].as_str() else {
                    break;
                };
                assert_eq!(entries, limit);
                cursor = format!("&cursor={next}");
            }
            assert_eq!(
                (Value::from(files), Value::from(folders)),
                (whole["files"].clone(), whole["folders"].clone())
            );
        }
    }
}

#[tokio::test]
async fn more_files_than_are_read_at_once_are_listed_and_their_folders_found() {
    let server = Server::start().await;
    for folder in 0..3 {
        for file in 0..120 {
            put(
                &server,
                &format!("/api/v1/files/main/f{folder}/{file:03}"),
                "text/plain",
                "x",
            )
            .await;
        }
    }
    assert_eq!(names(&list(&server, "limit=1000").await).len(), 360);
    let top = list(&server, "delimiter=/").await;
    assert_eq!(top["folders"], json!(["f0/", "f1/", "f2/"]));
}

#[tokio::test]
async fn what_no_list_has_is_refused() {
    let server = Server::start().await;
    for query in [
        "limit=0",
        "limit=1001",
        "limit=x",
        "delimiter=-",
        "cursor=!",
        "cursor=eA&prefix=a",
        "prefix=../",
        "prefix=a//",
        "prefix=%00",
        "order=x",
        "prefix=a&prefix=b",
    ] {
        let answer = server
            .send(Request::get(&format!("/api/v1/files/main?{query}")))
            .await;
        assert_eq!(
            (answer.status.as_u16(), answer.code().as_str()),
            (400, "invalid-argument"),
            "{query}"
        );
    }
}
