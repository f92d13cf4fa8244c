//! A host of their own for files.

use andiron_http::HttpOptions;
use serde_json::json;

use crate::client::Request;
use crate::server::Server;

const FILES: &str = "files.example.org";
const APP: &str = "app.example.org";
const FILE: &str = "/api/v1/files/main/a.html";

#[tokio::test]
async fn files_are_read_at_their_host_and_nothing_else_is_there() {
    let server = Server::with(HttpOptions {
        files_origin: Some("https://files.example.org".parse().unwrap()),
        ..HttpOptions::default()
    })
    .await;
    let status = async |host: &str, method: &str, target: &str| {
        let request = Request::new(method, target).header("host", host);
        server.send(request).await.status.as_u16()
    };
    assert_eq!(status(APP, "PUT", FILE).await, 201);
    for (host, method, target, expected) in [
        (FILES, "GET", FILE, 200),
        ("FILES.example.org", "HEAD", FILE, 200),
        (APP, "GET", FILE, 421),
        (APP, "HEAD", FILE, 421),
        ("x.files.example.org", "GET", FILE, 421),
        ("files.example.org:8080", "GET", FILE, 421),
        (APP, "GET", "/api/v1/files/main/a.html?metadata=true", 200),
        (APP, "GET", "/api/v1/files/main", 200),
        (APP, "GET", "/api/v1/docs", 200),
        (FILES, "GET", "/api/v1/files/main/a.html?metadata=true", 404),
        (FILES, "GET", "/api/v1/files/main", 404),
        (FILES, "PUT", FILE, 404),
        (FILES, "DELETE", FILE, 404),
        (FILES, "GET", "/api/v1/docs", 404),
        (FILES, "GET", "/healthz", 404),
        (FILES, "GET", "/", 404),
    ] {
        assert_eq!(
            status(host, method, target).await,
            expected,
            "{host} {method} {target}"
        );
    }
    let link = Request::new("POST", FILE)
        .header("host", APP)
        .json(&json!({"link": {}}));
    let link = server.send(link).await.json();
    let url = link["url"].as_str().unwrap();
    assert!(
        url.starts_with("https://files.example.org/api/v1/files/main/a.html?link="),
        "{url}"
    );
}
