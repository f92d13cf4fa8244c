//! Signed links: what they are good for, and everything else that they are not.

use andiron_engine::Caller;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::client::{Answer, Request};
use crate::files_rules;
use crate::files_upload::put;
use crate::server::Server;

const FILE: &str = "/api/v1/files/main/a/b.txt";

async fn mint(server: &Server, target: &str, link: Value) -> Answer {
    server
        .send(Request::new("POST", target).json(&json!({ "link": link })))
        .await
}

async fn link(server: &Server, target: &str, link: Value) -> String {
    let minted = mint(server, target, link).await;
    assert_eq!(minted.status, 200, "{}", minted.text());
    minted.json()["url"].as_str().unwrap().to_owned()
}

/// The status of a request without credentials.
async fn status(server: &Server, request: Request) -> u16 {
    server.send_as_it_is(request).await.status.as_u16()
}

/// Attack T68: a link for another file, another method, too late.
#[tokio::test]
async fn a_link_to_read_reads_that_file_until_it_expires() {
    let server = Server::start().await;
    put(&server, FILE, "text/plain", "hello").await;
    put(&server, "/api/v1/files/main/a/c.txt", "text/plain", "other").await;
    let url = link(&server, FILE, json!({"expiresIn": 60})).await;
    let read = server.send_as_it_is(Request::get(&url)).await;
    assert_eq!((read.status.as_u16(), read.text().as_str()), (200, "hello"));
    assert!(read.header("content-disposition").starts_with("inline"));
    assert_eq!(status(&server, Request::new("HEAD", &url)).await, 200);
    let part = server
        .send_as_it_is(Request::get(&url).header("range", "bytes=1-2"))
        .await;
    assert_eq!((part.status.as_u16(), part.text().as_str()), (206, "el"));
    let known = server
        .send_as_it_is(Request::get(&format!("{url}&metadata=true")))
        .await;
    assert_eq!(known.json()["size"], 5);
    // What it is not for.
    let token = url.split_once("link=").unwrap().1;
    for other in [
        Request::get(&format!("/api/v1/files/main/a/c.txt?link={token}")),
        Request::get(&format!("/api/v1/files/other/a/b.txt?link={token}")),
        Request::new("PUT", &url).body("mine"),
    ] {
        assert_eq!(status(&server, other.clone()).await, 403, "{other:?}");
    }
    for method in ["DELETE", "PATCH", "POST"] {
        let refused = status(&server, Request::new(method, &url).json(&json!({}))).await;
        assert_eq!(refused, 400, "{method}: a link is no parameter there");
    }
    assert_eq!(
        status(&server, Request::get(&format!("/api/v1/files/main?link={token}"))).await,
        400
    );
    server.clock.advance(59);
    assert_eq!(status(&server, Request::get(&url)).await, 200);
    server.clock.advance(1);
    assert_eq!(status(&server, Request::get(&url)).await, 403);
    assert_eq!(server.send(Request::get(FILE)).await.text(), "hello");
}

/// Attack T68: a link whose bounds were changed, or of another server.
#[tokio::test]
async fn what_a_link_says_of_itself_cannot_be_changed() {
    let server = Server::start().await;
    put(&server, FILE, "text/plain", "hello").await;
    let url = link(&server, FILE, json!({"expiresIn": 60})).await;
    let (_, token) = url.split_once("link=").unwrap();
    let (payload, signature) = token.split_once('.').unwrap();
    let mut said: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap();
    said["e"] = json!(said["e"].as_i64().unwrap() * 2);
    let longer = URL_SAFE_NO_PAD.encode(said.to_string());
    let other = Server::start().await;
    put(&other, FILE, "text/plain", "hello").await;
    let foreign = link(&other, FILE, json!({})).await;
    for forged in [
        format!("{longer}.{signature}"),
        format!("{payload}.{}", &signature[1..]),
        format!("{payload}."),
        payload.to_owned(),
        String::new(),
        ".".to_owned(),
        "x".repeat(20_000),
        foreign.split_once("link=").unwrap().1.to_owned(),
    ] {
        let refused = server
            .send_as_it_is(Request::get(&format!("{FILE}?link={forged}")))
            .await;
        assert_eq!(refused.status, 403, "{forged}");
        assert!(!refused.text().contains(payload), "tokens are not repeated");
    }
}

/// Attack T68: a link that was revoked.
#[tokio::test]
async fn another_key_ends_all_links() {
    let server = Server::start().await;
    put(&server, FILE, "text/plain", "hello").await;
    let (read, write) = (
        link(&server, FILE, json!({})).await,
        link(&server, FILE, json!({"method": "PUT", "size": 10})).await,
    );
    assert_eq!(
        status(&server, Request::new("DELETE", "/api/v1/admin/file-links")).await,
        403,
        "administrators end links"
    );
    assert_eq!(status(&server, Request::get(&read)).await, 200);
    let ended = server
        .send(Request::new("DELETE", "/api/v1/admin/file-links"))
        .await;
    assert_eq!(ended.status, 204);
    assert_eq!(status(&server, Request::get(&read)).await, 403);
    assert_eq!(status(&server, Request::new("PUT", &write).body("x")).await, 403);
    let anew = link(&server, FILE, json!({})).await;
    assert_eq!(status(&server, Request::get(&anew)).await, 200);
}

/// Attack T68: a link to upload, for more bytes or another type.
#[tokio::test]
async fn a_link_to_upload_takes_what_it_was_made_for() {
    let server = Server::start().await;
    let bound = json!({"method": "PUT", "size": 10, "contentType": "image/png"});
    let url = link(&server, FILE, bound).await;
    const PNG: &[u8] = b"\x89PNG\r\n\x1a\n";
    let upload = |bytes: &'static [u8]| Request::new("PUT", &url).body(bytes);
    assert_eq!(status(&server, upload(b"\x89PNG\r\n\x1a\n...")).await, 413);
    for lie in [b"<svg>".as_slice(), b"GIF89a", b"text", b""] {
        assert_eq!(status(&server, upload(lie)).await, 400, "{lie:?}");
    }
    let chunked = format!(
        "PUT {url} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\nb\r\n01234567890\r\n0\r\n\r\n"
    );
    let refused = crate::client::raw(server.address, chunked.as_bytes()).await;
    assert!(refused.starts_with("HTTP/1.1 413"), "{refused}");
    assert_eq!(server.send(Request::get(FILE)).await.status, 404);
    assert_eq!(status(&server, upload(PNG)).await, 201);
    let stored = server.send(Request::get(FILE)).await;
    assert_eq!(stored.header("content-type"), "image/png");
    assert_eq!(status(&server, Request::get(&url)).await, 403, "it reads nothing");
    assert_eq!(
        status(&server, upload(PNG).header("if-none-match", "*")).await,
        412
    );
}

#[tokio::test]
async fn downloads_are_called_what_the_link_says() {
    let server = Server::start().await;
    put(&server, FILE, "text/plain", "hello").await;
    let url = link(&server, FILE, json!({"fileName": "Bericht \"ü\"/x.txt"})).await;
    let read = server.send_as_it_is(Request::get(&url)).await;
    let disposition = read.header("content-disposition");
    assert!(
        disposition.starts_with("attachment; filename=\"Bericht '_'_x.txt\""),
        "{disposition}"
    );
    assert!(disposition.contains("filename*=UTF-8''"), "{disposition}");
}

#[tokio::test]
async fn links_are_minted_under_the_rules() {
    let rules = "rules_version = '2';
service firebase.storage { match /b/{bucket}/o {
  match /open/{name} { allow get; }
  match /small/{name} { allow create: if request.resource.size <= 10 && request.resource.contentType == 'image/png'; }
  match /digest/{name} { allow create: if request.resource.md5Hash == 'SkvkDJasYxTpHZPzgEOmNA=='; }
} }";
    let server = files_rules::server(Some(rules)).await;
    put(&server, "/api/v1/files/main/open/a", "text/plain", "x").await;
    put(&server, "/api/v1/files/main/hidden/a", "text/plain", "x").await;
    let minted = async |name: &str, link: Value| {
        let request =
            Request::new("POST", &format!("/api/v1/files/main/{name}")).json(&json!({ "link": link }));
        status(&server, request).await
    };
    assert_eq!(minted("open/a", json!({})).await, 200);
    assert_eq!(minted("hidden/a", json!({})).await, 403);
    assert_eq!(minted("hidden/absent", json!({})).await, 403);
    let put_link = |size: u64, kind: &str| json!({"method": "PUT", "size": size, "contentType": kind});
    assert_eq!(minted("small/a", put_link(10, "image/png")).await, 200);
    assert_eq!(minted("small/a", put_link(11, "image/png")).await, 403);
    assert_eq!(minted("small/a", put_link(10, "image/gif")).await, 403);
    assert_eq!(
        minted("small/a", json!({"method": "PUT", "size": 10})).await,
        403,
        "any type at all"
    );
    assert_eq!(minted("open/a", put_link(10, "image/png")).await, 403);
    // What nobody can know when the link is made cannot be promised.
    assert_eq!(minted("digest/a", put_link(10, "text/plain")).await, 403);
    for bad in [
        json!({"expiresIn": 0}),
        json!({"expiresIn": 604_801}),
        json!({"size": 1}),
        json!({"method": "DELETE"}),
        json!({"fileName": "a\nb"}),
        json!({"unknown": 1}),
    ] {
        assert_eq!(minted("open/a", bad.clone()).await, 400, "{bad}");
    }
    assert_eq!(
        minted("small/a", json!({"method": "PUT"})).await,
        400,
        "how large?"
    );
}

#[tokio::test]
async fn the_key_of_links_is_nobodys_to_read() {
    let server = Server::start().await;
    link(&server, FILE, json!({"method": "PUT", "size": 1})).await;
    let key = server
        .engine
        .get(&Caller::System, &"_file_links/key".parse().unwrap())
        .unwrap();
    assert!(key.is_some());
    let target = "/api/v1/docs/_file_links/key";
    assert_eq!(server.send(Request::get(target)).await.status, 403);
}
