//! Reading files: ranges, conditions, and what a browser is told.

use crate::client::{Answer, Request};
use crate::files_upload::put;
use crate::server::Server;

const DIGITS: &str = "/api/v1/files/main/digits.bin";

async fn digits() -> Server {
    let server = Server::start().await;
    put(&server, DIGITS, "application/x-digits", "0123456789").await;
    server
}

async fn ranged(server: &Server, range: &str) -> Answer {
    server.send(Request::get(DIGITS).header("range", range)).await
}

#[tokio::test]
async fn one_range_is_a_part_of_the_file() {
    let server = digits().await;
    for (range, body, content_range) in [
        ("bytes=0-3", "0123", "bytes 0-3/10"),
        ("bytes=7-", "789", "bytes 7-9/10"),
        ("bytes=-2", "89", "bytes 8-9/10"),
        ("bytes=5-500", "56789", "bytes 5-9/10"),
        ("bytes=0-0,90-91", "0", "bytes 0-0/10"),
    ] {
        let answer = ranged(&server, range).await;
        assert_eq!(answer.status, 206, "{range}");
        assert_eq!(answer.text(), body, "{range}");
        assert_eq!(answer.header("content-range"), content_range);
        assert_eq!(answer.header("content-length"), body.len().to_string());
    }
}

#[tokio::test]
async fn several_ranges_are_parts_each_with_its_place() {
    let server = digits().await;
    let answer = ranged(&server, "bytes=8-9,0-1").await;
    assert_eq!(answer.status, 206);
    let boundary = answer
        .header("content-type")
        .strip_prefix("multipart/byteranges; boundary=")
        .unwrap()
        .to_owned();
    let part = |range: &str, body: &str| {
        format!(
            "--{boundary}\r\nContent-Type: application/x-digits\r\nContent-Range: bytes {range}/10\r\n\r\n{body}\r\n"
        )
    };
    assert_eq!(
        answer.text(),
        format!("{}{}--{boundary}--\r\n", part("8-9", "89"), part("0-1", "01"))
    );
    assert_eq!(answer.header("content-length"), answer.body.len().to_string());
}

/// Attack T71: ranges that overflow, overlap, or are a thousand.
#[tokio::test]
async fn ranges_that_cannot_be_are_refused_with_the_size() {
    let server = digits().await;
    let many: Vec<_> = (0..1000).map(|n| format!("{n}-{n}")).collect();
    let many = format!("bytes={}", many.join(","));
    for range in [
        "bytes=10-",
        "bytes=-0",
        "bytes=0-5,5-6",
        "bytes=99999999999999999999-",
        &many,
    ] {
        let answer = ranged(&server, range).await;
        assert_eq!(answer.status, 416, "{range}");
        assert_eq!(answer.code(), "out-of-range");
        assert_eq!(answer.header("content-range"), "bytes */10");
    }
    for range in ["bytes=5-2", "bytes=a", "items=0-1", "bytes=-", "bytes=--5"] {
        let answer = ranged(&server, range).await;
        assert_eq!(
            (answer.status.as_u16(), answer.text().as_str()),
            (200, "0123456789"),
            "{range}"
        );
    }
}

#[tokio::test]
async fn a_download_goes_on_only_with_the_same_file() {
    let server = digits().await;
    let tag = server.send(Request::get(DIGITS)).await.header("etag").to_owned();
    let resume = |tag: &str| {
        Request::get(DIGITS)
            .header("range", "bytes=5-")
            .header("if-range", tag)
    };
    assert_eq!(server.send(resume(&tag)).await.text(), "56789");
    put(&server, DIGITS, "application/x-digits", "abcdefghij").await;
    let answer = server.send(resume(&tag)).await;
    assert_eq!(
        (answer.status.as_u16(), answer.text().as_str()),
        (200, "abcdefghij")
    );
}

#[tokio::test]
async fn what_the_client_has_is_not_sent_again() {
    let server = digits().await;
    let first = server.send(Request::get(DIGITS)).await;
    let (tag, date) = (
        first.header("etag").to_owned(),
        first.header("last-modified").to_owned(),
    );
    assert_eq!(first.header("accept-ranges"), "bytes");
    for (name, value, status) in [
        ("if-none-match", tag.as_str(), 304),
        ("if-none-match", "*", 304),
        ("if-none-match", "\"1\"", 200),
        ("if-match", &tag, 200),
        ("if-match", "\"1\"", 412),
        ("if-modified-since", &date, 304),
        ("if-modified-since", "Thu, 01 Jan 1970 00:00:00 GMT", 200),
        ("if-unmodified-since", &date, 200),
        ("if-unmodified-since", "Thu, 01 Jan 1970 00:00:00 GMT", 412),
    ] {
        let answer = server.send(Request::get(DIGITS).header(name, value)).await;
        assert_eq!(answer.status, status, "{name}: {value}");
        if status == 304 {
            assert_eq!(answer.header("etag"), tag);
            assert!(answer.body.is_empty());
        }
    }
    let head = server
        .send(Request::new("HEAD", DIGITS).header("range", "bytes=0-1"))
        .await;
    assert_eq!((head.status.as_u16(), head.header("content-length")), (200, "10"));
    assert_eq!(head.header("etag"), tag);
}

#[tokio::test]
async fn large_files_come_as_they_went_and_are_never_compressed() {
    let server = Server::start().await;
    let bytes: Vec<u8> = (0..5_000_003_usize)
        .map(|n| u8::try_from(n % 253).unwrap())
        .collect();
    let target = "/api/v1/files/main/large.txt";
    put(&server, target, "text/csv", bytes.clone()).await;
    let whole = server
        .send(Request::get(target).header("accept-encoding", "zstd, gzip"))
        .await;
    assert_eq!(whole.header("content-encoding"), "");
    assert!(whole.body == bytes);
    let range = server
        .send(Request::get(target).header("range", "bytes=1048570-3145733"))
        .await;
    assert!(range.body == bytes[1_048_570..3_145_734]);
}

/// Attacks T66 and T72: files that would run as part of the site, by their type, name, bytes or metadata.
#[tokio::test]
async fn what_could_run_is_a_download_and_what_is_shown_cannot_run() {
    let server = Server::start().await;
    let script = "<script>alert(document.domain)</script>";
    let svg = "<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>";
    for (declared, bytes, served, kind) in [
        ("text/html", script, "text/html", "attachment"),
        ("image/png", script, "text/html", "attachment"),
        ("image/svg+xml", svg, "image/svg+xml", "attachment"),
        ("image/gif", svg, "image/svg+xml", "attachment"),
        (
            "text/html; charset=utf-7",
            "+ADw-script+AD4-",
            "text/html; charset=utf-7",
            "attachment",
        ),
        (
            "application/xhtml+xml",
            "<?xml version='1.0'?><html/>",
            "application/xhtml+xml",
            "attachment",
        ),
        ("text/xml", "<?xml version='1.0'?><x/>", "text/xml", "attachment"),
        ("application/pdf", "%PDF-1.7 /JS", "application/pdf", "attachment"),
        ("text/plain", "GIF89a polyglot", "image/gif", "inline"),
        ("text/plain", script, "text/plain", "inline"),
        ("application/json", "{}", "application/json", "attachment"),
        ("text/javascript", "alert(1)", "text/javascript", "attachment"),
        ("image/png", "\u{89}no", "application/octet-stream", "attachment"),
    ] {
        let target = "/api/v1/files/main/page.html.";
        put(&server, target, declared, bytes).await;
        let answer = server.send(Request::get(target)).await;
        let place = format!("{declared} {bytes}");
        assert_eq!(answer.header("content-type"), served, "{place}");
        assert!(
            answer
                .header("content-disposition")
                .starts_with(&format!("{kind}; filename=\"page.html\"")),
            "{place}"
        );
        let policy = answer.header("content-security-policy");
        assert!(
            policy.starts_with("default-src 'none';") && policy.ends_with("sandbox"),
            "{place}"
        );
        assert!(!policy.contains("script-src"), "{place}");
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{place}");
        assert_eq!(
            answer.header("cross-origin-resource-policy"),
            "same-site",
            "{place}"
        );
        // Metadata cannot make it anything else.
        let change = Request::new("PATCH", target).json(&serde_json::json!({
            "contentType": "image/png", "contentDisposition": "inline; filename=\"x.png\""}));
        let changed = server.send(change).await;
        assert_eq!(changed.status, 200);
        assert_ne!(changed.json()["contentType"], "image/png", "{place}");
    }
}

#[tokio::test]
async fn a_file_has_the_headers_that_its_owner_gave_it() {
    let server = Server::start().await;
    let target = "/api/v1/files/main/a.txt";
    let upload = Request::new("PUT", target)
        .header("content-type", "text/plain")
        .header(
            "content-disposition",
            "attachment; filename=\"report \u{fc}.txt\"",
        )
        .header("cache-control", "public, max-age=3600")
        .header("content-language", "de")
        .header("content-encoding", "gzip")
        .body("x");
    assert_eq!(server.send(upload).await.status, 201);
    let answer = server.send(Request::get(target)).await;
    for (name, value) in [
        (
            "content-disposition",
            "attachment; filename=\"report _.txt\"; filename*=UTF-8''report%20%C3%BC.txt",
        ),
        ("cache-control", "public, max-age=3600"),
        ("content-language", "de"),
        ("content-encoding", "gzip"),
        (
            "repr-digest",
            "sha-256=:LXEWQrcmsEQBYnyp+6wy9chTD7GQPMTbAiWHF5IaSIE=:",
        ),
    ] {
        assert_eq!(answer.header(name), value);
    }
}
