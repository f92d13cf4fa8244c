//! Variants of images over the wire: which are made, for whom, and how often.

use andiron_engine::Caller;
use andiron_protocol::{Query, Source};
use image::{DynamicImage, ImageFormat};
use serde_json::json;

use crate::client::{Answer, Request};
use crate::files_rules;
use crate::files_upload::put;
use crate::server::Server;

const PHOTO: &str = "/api/v1/files/main/a.png";

fn png(width: u32, height: u32) -> Vec<u8> {
    let mut bytes = std::io::Cursor::new(Vec::new());
    let image = DynamicImage::ImageRgb8(image::RgbImage::from_fn(width, height, |x, y| {
        image::Rgb([u8::try_from(x % 256).unwrap(), u8::try_from(y % 256).unwrap(), 7])
    }));
    image.write_to(&mut bytes, ImageFormat::Png).unwrap();
    bytes.into_inner()
}

async fn free_bucket(server: &Server) {
    let request = Request::new("PUT", "/api/v1/admin/buckets/main").json(&json!({"freeVariants": true}));
    assert_eq!(server.send(request).await.status, 200);
}

async fn get(server: &Server, query: &str) -> Answer {
    server.send(Request::get(&format!("{PHOTO}?{query}"))).await
}

#[tokio::test]
async fn a_variant_is_made_once_and_goes_with_its_image() {
    let server = Server::start().await;
    free_bucket(&server).await;
    put(&server, PHOTO, "image/png", png(300, 200)).await;
    let made = get(&server, "width=30&format=jpeg").await;
    assert_eq!(made.status, 200, "{}", made.text());
    assert_eq!(made.header("content-type"), "image/jpeg");
    let image = image::load_from_memory(&made.body).unwrap();
    assert_eq!((image.width(), image.height()), (30, 20));
    assert_eq!(server.stored_keys().await.len(), 2);
    // The same again, however it is asked for, and by many at once.
    let same = get(&server, "format=jpeg&width=30&quality=80&fit=inside").await;
    assert_eq!(same.body, made.body);
    assert_eq!(server.stored_keys().await.len(), 2);
    let many = futures_util::future::join_all((0..20).map(|_| get(&server, "width=40"))).await;
    assert!(
        many.iter()
            .all(|one| one.status == 200 && one.body == many[0].body)
    );
    assert_eq!(
        server.stored_keys().await.len(),
        3,
        "one computation for all of them"
    );
    let part = server
        .send(Request::get(&format!("{PHOTO}?width=40")).header("range", "bytes=1-3"))
        .await;
    assert_eq!((part.status.as_u16(), part.text().as_str()), (206, "PNG"));
    let unchanged =
        Request::get(&format!("{PHOTO}?width=40")).header("if-none-match", many[0].header("etag"));
    assert_eq!(server.send(unchanged).await.status, 304);
    // Another image of the name has variants of its own, and those of before go with it.
    put(&server, PHOTO, "image/png", png(100, 100)).await;
    let made = get(&server, "width=30&format=jpeg").await;
    assert_eq!(image::load_from_memory(&made.body).unwrap().height(), 30);
    server.clock.advance(8 * 24 * 3600);
    server.files.collect_garbage().await.unwrap();
    assert_eq!(server.stored_keys().await.len(), 2);
    let known = Query::all(Source::Group("made".parse().unwrap()));
    let found: Vec<andiron_engine::StoredDocument> = Vec::new();
    let (found, _) = server
        .engine
        .query(&Caller::System, known, Default::default(), found)
        .await
        .unwrap();
    assert_eq!(found.len(), 1);
}

#[tokio::test]
async fn only_what_was_signed_for_is_made_unless_the_bucket_says_otherwise() {
    let server = Server::start().await;
    put(&server, PHOTO, "image/png", png(300, 200)).await;
    let refused = get(&server, "width=30").await;
    assert_eq!(
        (refused.status.as_u16(), refused.code().as_str()),
        (403, "permission-denied")
    );
    assert_eq!(
        get(&server, "variant=thumb").await.status,
        400,
        "no preset of this name"
    );
    let link =
        Request::new("POST", PHOTO).json(&json!({"link": {"variant": "width=30&fit=cover&height=30"}}));
    let url = server.send(link).await.json()["url"].as_str().unwrap().to_owned();
    let status = async |url: &str| server.send_as_it_is(Request::get(url)).await.status.as_u16();
    assert_eq!(status(&url).await, 200);
    assert_eq!(status(&url.replace("width=30", "width=31")).await, 403);
    let original = url.split('&').next().unwrap();
    assert_eq!(status(original).await, 403, "the image itself was not signed for");
    let metadata = format!("{url}&metadata=true");
    assert_eq!(status(&metadata).await, 403, "nor what is known of it");
    let bad = Request::new("POST", PHOTO).json(&json!({"link": {"variant": "width=30&x=1"}}));
    assert_eq!(server.send(bad).await.status, 400);
    free_bucket(&server).await;
    assert_eq!(get(&server, "width=30").await.status, 200);
    for bad in [
        "width=0",
        "width=5000",
        "fit=fill",
        "format=heic",
        "quality=0",
        "variant=x&width=3",
    ] {
        assert_eq!(get(&server, bad).await.status, 400, "{bad}");
    }
}

#[tokio::test]
async fn an_avif_is_made_once_for_all_who_ask_and_has_fewer_pixels_at_most() {
    let server = Server::start().await;
    free_bucket(&server).await;
    put(&server, PHOTO, "image/png", png(300, 200)).await;
    let many = futures_util::future::join_all((0..20).map(|_| get(&server, "width=90&format=avif"))).await;
    for one in &many {
        assert_eq!(
            (one.status.as_u16(), one.header("content-type")),
            (200, "image/avif")
        );
        assert_eq!(one.body, many[0].body);
        // It is shown in place, as other pictures are.
        assert!(
            one.headers
                .get("content-disposition")
                .is_none_or(|shown| shown != "attachment")
        );
    }
    assert_eq!(
        server.stored_keys().await.len(),
        2,
        "one computation for all of them"
    );
    put(&server, PHOTO, "image/png", png(2000, 1100)).await;
    let refused = get(&server, "format=avif").await;
    assert_eq!(
        (refused.status.as_u16(), refused.code().as_str()),
        (400, "invalid-argument")
    );
    assert!(
        refused.text().contains("at most 2100000 pixels"),
        "{}",
        refused.text()
    );
    assert_eq!(get(&server, "format=avif&width=20").await.status, 200);
    // What is no image answers as for other formats.
    put(&server, PHOTO, "text/plain", "hello").await;
    assert_eq!(get(&server, "format=avif").await.status, 415);
}

#[tokio::test]
async fn a_variant_is_for_those_who_may_read_the_image() {
    let rules =
        "rules_version = '2'; service firebase.storage { match /b/main/o/open/{name} { allow get; } }";
    let server = files_rules::server(Some(rules)).await;
    free_bucket(&server).await;
    for name in ["open/a", "hidden/a"] {
        put(
            &server,
            &format!("/api/v1/files/main/{name}"),
            "image/png",
            png(9, 9),
        )
        .await;
    }
    for (name, status) in [
        ("open/a", 200),
        ("open/none", 404),
        ("hidden/a", 403),
        ("hidden/none", 403),
    ] {
        let target = format!("/api/v1/files/main/{name}?width=3");
        assert_eq!(
            server.send_as_it_is(Request::get(&target)).await.status,
            status,
            "{name}"
        );
    }
}

/// Attack T70: images that take too much to decode.
#[tokio::test]
async fn what_is_no_image_or_too_large_a_one_is_refused() {
    let server = Server::start().await;
    free_bucket(&server).await;
    put(&server, PHOTO, "text/plain", "hello").await;
    assert_eq!(get(&server, "width=3").await.status, 415);
    // It calls itself a picture and ends early.
    let mut broken = png(50, 50);
    broken.truncate(100);
    put(&server, PHOTO, "image/png", broken).await;
    let refused = get(&server, "width=3").await;
    assert_eq!(refused.status, 415, "{}", refused.text());
    // A head that promises 2.5 gigapixels: refused before anything is decoded.
    let mut bomb = png(8, 8);
    bomb.splice(16..24, [0, 0, 0xc3, 0x50, 0, 0, 0xc3, 0x50]);
    let sum = crc32(&bomb[12..29]);
    bomb.splice(29..33, sum);
    put(&server, PHOTO, "image/png", bomb).await;
    let refused = get(&server, "width=3").await;
    assert_eq!(
        (refused.status.as_u16(), refused.code().as_str()),
        (413, "payload-too-large")
    );
    // The server lives, and the file is what it was.
    assert_eq!(server.send(Request::get(PHOTO)).await.status, 200);
}

fn crc32(bytes: &[u8]) -> [u8; 4] {
    let mut crc = u32::MAX;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 {
                (crc >> 1) ^ 0xedb8_8320
            } else {
                crc >> 1
            };
        }
    }
    (!crc).to_be_bytes()
}
