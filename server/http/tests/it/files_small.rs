//! Small files, whose bytes lie in documents: nobody sees a difference, and nothing of them is left behind.

use andiron_engine::{Caller, StoredDocument};
use andiron_protocol::{Query, Source};
use image::{DynamicImage, ImageFormat};
use serde_json::json;

use crate::client::Request;
use crate::files_upload::put;
use crate::server::Server;

const A: &str = "/api/v1/files/main/a";
const B: &str = "/api/v1/files/main/b";
/// Bytes of the largest file that lies in a document.
const SMALL_BYTES: usize = 16 * 1024;

fn bytes(len: usize) -> Vec<u8> {
    (0..len).map(|at| (at % 251) as u8).collect()
}

async fn get(server: &Server, target: &str) -> Vec<u8> {
    let answer = server.send(Request::get(target)).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.body.to_vec()
}

/// Documents that are bytes of files.
async fn documents(server: &Server) -> usize {
    let all = Query::all(Source::Collection("_file_bytes".parse().unwrap()));
    let found: Vec<StoredDocument> = Vec::new();
    let (found, _) = server
        .engine
        .query(&Caller::System, all, Default::default(), found)
        .await
        .unwrap();
    found.len()
}

/// What there is in the store, and in documents.
async fn places(server: &Server) -> (usize, usize) {
    (server.stored_keys().await.len(), documents(server).await)
}

async fn collect(server: &Server) {
    server.clock.advance(8 * 24 * 3600);
    server.files.collect_garbage().await.unwrap();
}

#[tokio::test]
async fn files_of_every_size_around_the_limit_come_back_as_they_were() {
    let server = Server::with_small_files().await;
    for (len, place) in [
        (0, (0, 1)),
        (1, (0, 1)),
        (SMALL_BYTES, (0, 1)),
        (SMALL_BYTES + 1, (1, 0)),
    ] {
        put(&server, A, "application/octet-stream", bytes(len)).await;
        assert!(get(&server, A).await == bytes(len), "{len}");
        collect(&server).await;
        assert_eq!(
            places(&server).await,
            place,
            "{len}: what was overwritten is collected"
        );
        assert!(get(&server, A).await == bytes(len), "{len}, after that");
    }
    assert_eq!(server.send(Request::new("DELETE", A)).await.status, 204);
    collect(&server).await;
    assert_eq!(places(&server).await, (0, 0));
}

#[tokio::test]
async fn a_small_file_has_ranges_and_a_head() {
    let server = Server::with_small_files().await;
    put(&server, A, "application/octet-stream", "0123456789").await;
    for (range, part) in [("bytes=0-3", "0123"), ("bytes=7-", "789"), ("bytes=-1", "9")] {
        let answer = server.send(Request::get(A).header("range", range)).await;
        assert_eq!(
            (answer.status.as_u16(), answer.text().as_str()),
            (206, part),
            "{range}"
        );
    }
    let several = server
        .send(Request::get(A).header("range", "bytes=8-9,0-1"))
        .await;
    assert_eq!(several.status, 206);
    assert!(several.text().contains("\r\n\r\n89\r\n") && several.text().contains("\r\n\r\n01\r\n"));
    let head = server.send(Request::new("HEAD", A)).await;
    assert_eq!((head.status.as_u16(), head.header("content-length")), (200, "10"));
    assert_eq!(places(&server).await, (0, 1));
}

#[tokio::test]
async fn a_copy_of_a_small_file_has_bytes_of_its_own_and_one_that_is_moved_keeps_them() {
    let server = Server::with_small_files().await;
    put(&server, A, "text/plain", "one").await;
    let act = |what: &str| Request::new("POST", A).json(&json!({what: {"to": "main/b"}}));
    assert_eq!(server.send(act("copy")).await.status, 201);
    put(&server, A, "text/plain", "two").await;
    collect(&server).await;
    assert_eq!(get(&server, B).await, b"one");
    assert_eq!(places(&server).await, (0, 2));
    assert_eq!(server.send(act("move")).await.status, 200);
    collect(&server).await;
    assert_eq!(get(&server, B).await, b"two");
    assert_eq!(places(&server).await, (0, 1));
}

#[tokio::test]
async fn a_small_upload_that_is_refused_leaves_nothing() {
    let server = Server::with_small_files().await;
    let wrong = Request::new("PUT", A)
        .header(
            "content-digest",
            "sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:",
        )
        .body("x");
    assert_eq!(server.send(wrong).await.status, 400);
    put(&server, A, "text/plain", "x").await;
    let taken = Request::new("PUT", A).header("if-none-match", "*").body("y");
    assert_eq!(server.send(taken).await.status, 412);
    assert_eq!(
        server
            .send_as_it_is(Request::new("PUT", A).body("z"))
            .await
            .status,
        403
    );
    assert_eq!(places(&server).await, (0, 1));
    assert_eq!(get(&server, A).await, b"x");
}

#[tokio::test]
async fn small_variants_lie_in_documents_and_go_with_their_image() {
    let server = Server::with_small_files().await;
    let free = Request::new("PUT", "/api/v1/admin/buckets/main").json(&json!({"freeVariants": true}));
    assert_eq!(server.send(free).await.status, 200);
    let image = DynamicImage::ImageRgb8(image::RgbImage::from_fn(400, 300, |x, y| {
        image::Rgb([(x * y % 256) as u8, (x * x % 256) as u8, (y * 7 % 256) as u8])
    }));
    let mut png = std::io::Cursor::new(Vec::new());
    image.write_to(&mut png, ImageFormat::Png).unwrap();
    put(&server, A, "image/png", png.into_inner()).await;
    let small = format!("{A}?width=20&format=jpeg");
    let made = get(&server, &small).await;
    assert!(get(&server, &small).await == made && image::load_from_memory(&made).unwrap().width() == 20);
    assert_eq!(places(&server).await, (1, 1));
    get(&server, &format!("{A}?width=399&format=png")).await;
    assert_eq!(places(&server).await, (2, 1), "a large one lies in the store");
    assert_eq!(server.send(Request::new("DELETE", A)).await.status, 204);
    collect(&server).await;
    assert_eq!(places(&server).await, (0, 0));
}
