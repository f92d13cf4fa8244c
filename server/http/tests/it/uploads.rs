//! Uploads in several requests, by the tus protocol.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use sha1::{Digest as _, Sha1};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::auth_client::Person;
use crate::client::{Answer, Request};
use crate::files_rules;
use crate::server::Server;

const UPLOADS: &str = "/api/v1/uploads";
const PATCH_TYPE: &str = "application/offset+octet-stream";

pub(crate) fn tus(method: &str, target: &str) -> Request {
    Request::new(method, target).header("tus-resumable", "1.0.0")
}

pub(crate) fn metadata(pairs: &[(&str, &str)]) -> String {
    let pairs = pairs
        .iter()
        .map(|(name, value)| format!("{name} {}", STANDARD.encode(value)));
    pairs.collect::<Vec<_>>().join(",")
}

pub(crate) fn creation(name: &str, size: usize) -> Request {
    tus("POST", UPLOADS)
        .header("upload-length", &size.to_string())
        .header(
            "upload-metadata",
            &metadata(&[
                ("bucket", "main"),
                ("name", name),
                ("filetype", "text/plain"),
                ("mood", "happy"),
            ]),
        )
}

pub(crate) fn patch(url: &str, offset: usize, bytes: impl Into<bytes::Bytes>) -> Request {
    tus("PATCH", url)
        .header("content-type", PATCH_TYPE)
        .header("upload-offset", &offset.to_string())
        .body(bytes)
}

async fn create(server: &Server, name: &str, size: usize) -> String {
    let created = server.send(creation(name, size)).await;
    assert_eq!(created.status, 201, "{}", created.text());
    created.header("location").to_owned()
}

async fn offset(server: &Server, url: &str) -> String {
    let found = server.send(tus("HEAD", url)).await;
    assert_eq!(found.status, 200);
    found.header("upload-offset").to_owned()
}

fn sha1(bytes: &[u8]) -> String {
    format!("sha1 {}", STANDARD.encode(Sha1::digest(bytes)))
}

/// Every answer of ours says which version it speaks.
fn speaks_tus(answer: &Answer) {
    assert_eq!(answer.header("tus-resumable"), "1.0.0", "{}", answer.text());
}

#[tokio::test]
async fn the_server_tells_what_it_can_do() {
    let server = Server::start().await;
    let told = server.send_as_it_is(Request::new("OPTIONS", UPLOADS)).await;
    assert_eq!(told.status, 204);
    assert_eq!(told.header("tus-version"), "1.0.0");
    assert_eq!(told.header("tus-checksum-algorithm"), "sha1,sha256,md5");
    for extension in [
        "creation",
        "creation-with-upload",
        "creation-defer-length",
        "checksum",
        "expiration",
        "termination",
        "concatenation",
    ] {
        let extensions = told.header("tus-extension");
        assert!(extensions.split(',').any(|told| told == extension), "{extension}");
    }
    assert_eq!(told.header("tus-max-size"), (5_u64 << 30).to_string());
}

#[tokio::test]
async fn a_file_comes_in_pieces_and_is_there_with_the_last() {
    let server = Server::start().await;
    let url = create(&server, "a/b.txt", 11).await;
    assert_eq!(offset(&server, &url).await, "0");
    let first = server.send(patch(&url, 0, "hello ")).await;
    assert_eq!((first.status.as_u16(), first.header("upload-offset")), (204, "6"));
    speaks_tus(&first);
    assert!(httpdate::parse_http_date(first.header("upload-expires")).is_ok());
    assert_eq!(offset(&server, &url).await, "6");
    let file = "/api/v1/files/main/a/b.txt";
    assert_eq!(server.send(Request::get(file)).await.status, 404);
    let status = server.send(tus("HEAD", &url)).await;
    assert_eq!(status.header("upload-length"), "11");
    assert_eq!(
        status.header("upload-metadata"),
        creation("a/b.txt", 0).headers["upload-metadata"]
    );
    assert_eq!(status.header("cache-control"), "no-store");
    // What is there is not taken twice, and nothing is left out.
    for wrong in [0, 5, 7] {
        let refused = server.send(patch(&url, wrong, "x")).await;
        assert_eq!(
            (refused.status.as_u16(), refused.code().as_str()),
            (409, "aborted")
        );
        speaks_tus(&refused);
    }
    let last = server.send(patch(&url, 6, "world")).await;
    assert_eq!((last.status.as_u16(), last.header("upload-offset")), (204, "11"));
    assert_eq!(last.header("content-location"), file);
    let read = server.send(Request::get(file)).await;
    assert_eq!(read.text(), "hello world");
    assert_eq!(read.header("content-type"), "text/plain");
    let known = server
        .send(Request::get(&format!("{file}?metadata=true")))
        .await
        .json();
    assert_eq!(known["metadata"], json!({"mood": "happy"}));
    assert_eq!(
        last.header("etag"),
        format!("{:?}", known["version"].as_str().unwrap())
    );
    // Who did not get the answer asks, and is told that it is done.
    assert_eq!(offset(&server, &url).await, "11");
    assert_eq!(server.send(patch(&url, 11, "")).await.status, 204);
    assert_eq!(server.send(patch(&url, 11, "!")).await.status, 400);
    assert_eq!(server.send(Request::get(file)).await.text(), "hello world");
}

#[tokio::test]
async fn bytes_may_come_with_the_creation_and_lengths_after_it() {
    let server = Server::start().await;
    let request = creation("with", 5).header("content-type", PATCH_TYPE).body("hel");
    let created = server.send(request).await;
    assert_eq!(
        (created.status.as_u16(), created.header("upload-offset")),
        (201, "3")
    );
    let url = created.header("location").to_owned();
    assert_eq!(server.send(patch(&url, 3, "lo")).await.status, 204);
    assert_eq!(
        server.send(Request::get("/api/v1/files/main/with")).await.text(),
        "hello"
    );

    let whole = creation("whole", 5)
        .header("content-type", PATCH_TYPE)
        .body("hello");
    let created = server.send(whole).await;
    assert_eq!(
        (created.status.as_u16(), created.header("upload-offset")),
        (201, "5")
    );
    assert_eq!(
        server.send(Request::get("/api/v1/files/main/whole")).await.text(),
        "hello"
    );

    assert_eq!(server.send(creation("empty", 0)).await.status, 201);
    assert_eq!(
        server.send(Request::get("/api/v1/files/main/empty")).await.text(),
        ""
    );

    let later = tus("POST", UPLOADS).header("upload-defer-length", "1").header(
        "upload-metadata",
        &metadata(&[("bucket", "main"), ("name", "later")]),
    );
    let url = server.send(later).await.header("location").to_owned();
    assert_eq!(
        server.send(tus("HEAD", &url)).await.header("upload-defer-length"),
        "1"
    );
    assert_eq!(server.send(patch(&url, 0, "hello")).await.status, 204);
    let end = patch(&url, 5, "").header("upload-length", "5");
    assert_eq!(server.send(end).await.status, 204);
    assert_eq!(
        server.send(Request::get("/api/v1/files/main/later")).await.text(),
        "hello"
    );
}

#[tokio::test]
async fn requests_that_are_none_of_tus_are_refused() {
    let server = Server::start().await;
    let url = create(&server, "a", 5).await;
    let with = |header: &str, value: &str| patch(&url, 0, "hello").header(header, value);
    let without_metadata = tus("POST", UPLOADS).header("upload-length", "5");
    let other = |pairs: &[(&str, &str)]| {
        tus("POST", UPLOADS)
            .header("upload-length", "5")
            .header("upload-metadata", &metadata(pairs))
    };
    for (name, request, status) in [
        ("no version", Request::new("HEAD", &url), 412),
        (
            "another version",
            Request::new("POST", UPLOADS).header("tus-resumable", "0.2.2"),
            412,
        ),
        ("an override", with("x-http-method-override", "DELETE"), 400),
        ("a parameter", tus("HEAD", &format!("{url}?x=1")), 400),
        ("no name", without_metadata, 400),
        ("no bucket", other(&[("name", "a")]), 400),
        (
            "a name that misleads",
            other(&[("bucket", "main"), ("name", "../a")]),
            400,
        ),
        ("too large", creation("a", 6 << 30), 413),
        (
            "a body of another type",
            tus("PATCH", &url).header("upload-offset", "0").body("x"),
            415,
        ),
        (
            "no offset",
            tus("PATCH", &url).header("content-type", PATCH_TYPE),
            400,
        ),
        ("no number", patch(&url, 0, "x").header("upload-offset", "x"), 400),
        ("more than there is to come", patch(&url, 0, "hello!"), 400),
        ("another length", with("upload-length", "6"), 400),
        (
            "no upload",
            patch(&format!("{UPLOADS}/{}", "0".repeat(58)), 0, "x"),
            404,
        ),
        ("no id", tus("HEAD", &format!("{UPLOADS}/x")), 404),
        (
            "a checksum of no kind",
            with("upload-checksum", "crc32 AAAA"),
            400,
        ),
    ] {
        let refused = server.send(request).await;
        assert_eq!(refused.status, status, "{name}: {}", refused.text());
        speaks_tus(&refused);
    }
    assert_eq!(offset(&server, &url).await, "0");
}

#[tokio::test]
async fn bytes_without_their_checksum_are_not_taken() {
    let server = Server::start().await;
    let url = create(&server, "a", 10).await;
    let wrong = patch(&url, 0, "hellO").header("upload-checksum", &sha1(b"hello"));
    assert_eq!(server.send(wrong).await.status, 460);
    assert_eq!(offset(&server, &url).await, "0");
    let right = patch(&url, 0, "hello").header("upload-checksum", &sha1(b"hello"));
    assert_eq!(server.send(right).await.status, 204);
    let wrong = patch(&url, 5, "worlD").header("upload-checksum", &sha1(b"world"));
    assert_eq!(server.send(wrong).await.status, 460);
    let right = patch(&url, 5, "world").header("upload-checksum", &sha1(b"world"));
    assert_eq!(server.send(right).await.status, 204);
    assert_eq!(
        server.send(Request::get("/api/v1/files/main/a")).await.text(),
        "helloworld"
    );
}

#[tokio::test]
async fn what_came_before_a_connection_broke_is_kept() {
    let server = Server::start().await;
    // More than one part, and some of the next.
    let bytes = vec![b'x'; 9_000_000];
    let url = create(&server, "a", bytes.len()).await;
    let head = format!(
        "PATCH {url} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\nTus-Resumable: 1.0.0\r\nUpload-Offset: 0\r\n\
         Content-Type: {PATCH_TYPE}\r\nContent-Length: {}\r\n\r\n",
        server.key,
        bytes.len()
    );
    let mut stream = tokio::net::TcpStream::connect(server.address).await.unwrap();
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(&bytes[..8_500_000]).await.unwrap();
    stream.shutdown().await.unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    assert_eq!(offset(&server, &url).await, "8500000");
    let rest = server
        .send(patch(&url, 8_500_000, bytes[8_500_000..].to_vec()))
        .await;
    assert_eq!(rest.status, 204, "{}", rest.text());
    assert!(server.send(Request::get("/api/v1/files/main/a")).await.body == bytes);
    assert_eq!(parts_stored(&server).await, 0, "parts go with the upload");
}

#[tokio::test]
async fn a_client_that_comes_back_takes_the_place_of_its_old_connection() {
    let server = Server::start().await;
    let url = create(&server, "a", 20).await;
    let head = format!(
        "PATCH {url} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\nTus-Resumable: 1.0.0\r\nUpload-Offset: 0\r\n\
         Content-Type: {PATCH_TYPE}\r\nContent-Length: 20\r\nExpect: 100-continue\r\n\r\n",
        server.key
    );
    let mut stream = tokio::net::TcpStream::connect(server.address).await.unwrap();
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut going_on = [0; 25];
    stream.read_exact(&mut going_on).await.unwrap();
    assert!(going_on.starts_with(b"HTTP/1.1 100"), "the request has its turn");
    stream.write_all(b"1234567").await.unwrap();
    // The connection stays open and says no more. What it has sent may or may not have been read by now.
    let at: usize = offset(&server, &url).await.parse().unwrap();
    assert!(at == 0 || at == 7, "{at}");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 409"), "{answer}");
    let rest = &"12345678901234567890"[at..];
    assert_eq!(server.send(patch(&url, at, rest)).await.status, 204);
    let read = server.send(Request::get("/api/v1/files/main/a")).await;
    assert_eq!(read.text(), "12345678901234567890");
}

#[tokio::test]
async fn two_requests_at_one_offset_come_to_one() {
    let server = Server::start().await;
    let url = create(&server, "a", 8).await;
    let (one, two) = tokio::join!(
        server.send(patch(&url, 0, "1111")),
        server.send(patch(&url, 0, "2222"))
    );
    // Each may be overtaken by the other, having been taken in or not; never are both.
    let taken = [&one, &two].iter().filter(|answer| answer.status == 204).count();
    assert!(taken <= 1, "{} {}", one.status, two.status);
    let at: usize = offset(&server, &url).await.parse().unwrap();
    assert!(at == 0 || at == 4, "{at}");
    assert!(at == 4 || taken == 0, "what was answered is there");
    assert_eq!(
        server.send(patch(&url, at, &b"33334444"[..8 - at])).await.status,
        204
    );
    let read = server.send(Request::get("/api/v1/files/main/a")).await.text();
    match (at, one.status.as_u16(), two.status.as_u16()) {
        (0, ..) => assert_eq!(read, "33334444"),
        (_, 204, _) => assert_eq!(read, "11113333"),
        (_, _, 204) => assert_eq!(read, "22223333"),
        _ => assert!(["11113333", "22223333"].contains(&read.as_str()), "{read}"),
    }
}

#[tokio::test]
async fn uploads_are_ended_by_their_makers_and_expire() {
    let server = Server::start().await;
    let url = create(&server, "a", 10).await;
    assert_eq!(server.send(patch(&url, 0, "hello")).await.status, 204);
    assert_eq!(parts_stored(&server).await, 1);
    assert_eq!(server.send(tus("DELETE", &url)).await.status, 204);
    assert_eq!(parts_stored(&server).await, 0);
    for method in ["HEAD", "DELETE"] {
        assert_eq!(server.send(tus(method, &url)).await.status, 404, "{method}");
    }
    let url = create(&server, "a", 10).await;
    assert_eq!(server.send(patch(&url, 0, "hello")).await.status, 204);
    server.clock.advance(23 * 3600);
    assert_eq!(
        server.send(patch(&url, 5, "w")).await.status,
        204,
        "each time anew"
    );
    server.clock.advance(23 * 3600);
    assert_eq!(offset(&server, &url).await, "6");
    server.files.collect_garbage().await.unwrap();
    assert_eq!(parts_stored(&server).await, 2);
    server.clock.advance(2 * 3600);
    assert_eq!(server.send(tus("HEAD", &url)).await.status, 410);
    server.files.collect_garbage().await.unwrap();
    assert_eq!(parts_stored(&server).await, 0);
    assert_eq!(server.send(tus("HEAD", &url)).await.status, 404);
}

#[tokio::test]
async fn parts_that_came_side_by_side_become_one_file() {
    let server = Server::start().await;
    let partial = async |bytes: &'static str| {
        let request = creation("joined", bytes.len()).header("upload-concat", "partial");
        let request = request.header("content-type", PATCH_TYPE).body(bytes);
        let created = server.send(request).await;
        assert_eq!(created.status, 201, "{}", created.text());
        created.header("location").to_owned()
    };
    let (one, two) = (partial("hello ").await, partial("world").await);
    let status = server.send(tus("HEAD", &one)).await;
    assert_eq!(status.header("upload-concat"), "partial");
    assert_eq!(
        server
            .send(Request::get("/api/v1/files/main/joined"))
            .await
            .status,
        404
    );
    let join = |urls: &str, name: &str| {
        tus("POST", UPLOADS)
            .header("upload-concat", &format!("final;{urls}"))
            .header(
                "upload-metadata",
                &metadata(&[("bucket", "main"), ("name", name)]),
            )
    };
    let unfinished = creation("joined", 4).header("upload-concat", "partial");
    let unfinished = server.send(unfinished).await.header("location").to_owned();
    for (urls, name, status) in [
        (format!("{one} {unfinished}"), "joined", 400),
        (format!("{one} {one}"), "joined", 400),
        (format!("{one} {two}"), "another", 400),
        (String::new(), "joined", 400),
    ] {
        let refused = server.send(join(&urls, name)).await;
        assert_eq!(refused.status, status, "{urls} {name}: {}", refused.text());
    }
    let joined = server
        .send(join(&format!("{two} http://x.example{one}"), "joined"))
        .await;
    assert_eq!(joined.status, 201, "{}", joined.text());
    let read = server.send(Request::get("/api/v1/files/main/joined")).await;
    assert_eq!(read.text(), "worldhello ");
    assert_eq!(
        server.send(tus("HEAD", &one)).await.status,
        404,
        "it is part of the file now"
    );
    assert_eq!(parts_stored(&server).await, 0);
}

#[tokio::test]
async fn conditions_are_about_the_file_when_the_upload_was_begun() {
    let server = Server::start().await;
    let new = creation("a", 1).header("if-none-match", "*");
    let (one, two) = (server.send(new.clone()).await, server.send(new.clone()).await);
    let urls = [one.header("location"), two.header("location")];
    assert_eq!(server.send(patch(urls[0], 0, "1")).await.status, 204);
    assert_eq!(server.send(patch(urls[1], 0, "2")).await.status, 412);
    assert_eq!(server.send(new).await.status, 412);
    assert_eq!(
        server.send(Request::get("/api/v1/files/main/a")).await.text(),
        "1"
    );
}

const RULES: &str = "rules_version = '2';
service firebase.storage { match /b/{bucket}/o {
  match /small/{name} { allow create: if request.resource.size < 10 && request.resource.contentType == 'text/plain'; }
} }";

#[tokio::test]
async fn rules_judge_what_is_declared_and_what_has_come() {
    let server = files_rules::server(Some(RULES)).await;
    let send = async |request| server.send_as_it_is(request).await;
    assert_eq!(send(creation("other/a", 5)).await.status, 403);
    assert_eq!(send(creation("small/a", 10)).await.status, 403);
    let url = send(creation("small/a", 9)).await.header("location").to_owned();
    let more = send(patch(&url, 0, "0123456789")).await;
    assert_eq!(more.status, 400, "more than was declared: {}", more.text());
    assert_eq!(
        send(patch(&url, 0, "<svg    >")).await.status,
        204,
        "shown as text, it stays text"
    );
    // It calls itself text, and is none.
    let url = send(creation("small/b", 8)).await.header("location").to_owned();
    let refused = send(patch(&url, 0, b"\x89PNG\r\n\x1a\n".to_vec())).await;
    assert_eq!(refused.status, 403, "{}", refused.text());
    assert_eq!(
        server
            .send(Request::get("/api/v1/files/main/small/b"))
            .await
            .status,
        404
    );
    // A length that comes later is judged when it has come.
    let later = tus("POST", UPLOADS).header("upload-defer-length", "1").header(
        "upload-metadata",
        &metadata(&[
            ("bucket", "main"),
            ("name", "small/c"),
            ("contentType", "text/plain"),
        ]),
    );
    let url = send(later).await.header("location").to_owned();
    assert_eq!(send(patch(&url, 0, "0123456789")).await.status, 204);
    let refused = send(patch(&url, 10, "").header("upload-length", "10")).await;
    assert_eq!(refused.status, 403);
    assert_eq!(
        server
            .send(Request::get("/api/v1/files/main/small/c"))
            .await
            .status,
        404
    );
}

/// Attack T69: pieces sent to an upload of somebody else.
#[tokio::test]
async fn an_upload_is_its_makers_and_nobody_elses() {
    let server = files_rules::server(Some(
        "rules_version = '2'; service firebase.storage { match /b/{bucket}/o/{name=**} { allow create; } }",
    ))
    .await;
    let alice = Person::sign_up(&server, "alice@x.example").await.access;
    let bob = Person::sign_up(&server, "bob@x.example").await.access;
    let by = |request: Request, token: &str| request.header("authorization", &format!("Bearer {token}"));
    let created = server.send_as_it_is(by(creation("a", 10), &alice)).await;
    assert_eq!(created.status, 201, "{}", created.text());
    let url = created.header("location").to_owned();
    for method in ["HEAD", "PATCH", "DELETE"] {
        let request = || match method {
            "PATCH" => patch(&url, 0, "x"),
            method => tus(method, &url),
        };
        let absent = format!("{UPLOADS}/{}", "0".repeat(58));
        let to_nothing = Request {
            target: absent,
            ..by(request(), &bob)
        };
        let nothing = server.send_as_it_is(to_nothing).await;
        for other in [by(request(), &bob), request()] {
            let refused = server.send_as_it_is(other).await;
            assert_eq!(refused.status, 404, "{method}");
            assert_eq!(refused.headers.len(), nothing.headers.len(), "{method}");
        }
    }
    assert_eq!(
        server
            .send_as_it_is(by(patch(&url, 0, "hello"), &alice))
            .await
            .status,
        204
    );
    // What comes of another's parts is not one's own either.
    let part = server
        .send_as_it_is(by(
            creation("a", 1)
                .header("upload-concat", "partial")
                .header("content-type", PATCH_TYPE)
                .body("x"),
            &alice,
        ))
        .await;
    let join = tus("POST", UPLOADS)
        .header("upload-concat", &format!("final;{}", part.header("location")))
        .header("upload-metadata", &metadata(&[("bucket", "main"), ("name", "a")]));
    assert_eq!(server.send_as_it_is(by(join, &bob)).await.status, 404);
    // A service key goes on with everybody's.
    assert_eq!(server.send(patch(&url, 5, "world")).await.status, 204);
    assert_eq!(
        server.send(Request::get("/api/v1/files/main/a")).await.text(),
        "helloworld"
    );
}

/// Blobs that are parts of uploads.
async fn parts_stored(server: &Server) -> usize {
    let keys = server.stored_keys().await;
    keys.iter().filter(|key| key.contains('.')).count()
}
