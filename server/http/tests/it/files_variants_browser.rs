//! Variants of images as a browser shows them, whose decoders are not those of here.

use andiron_http::HttpOptions;
use image::{DynamicImage, ImageFormat, Rgba, RgbaImage};
use serde_json::{Value, json};

use crate::browser::{self, Browser, serve_page};
use crate::client::Request;
use crate::files_upload::put;
use crate::server::Server;

/// A page that shows an image and says how large it is, and what is at some places of it.
const PAGE: &str = "<!doctype html><title>Gallery</title><script>
async function show(url, places) {
  const shown = Object.assign(new Image(), {crossOrigin: 'anonymous', src: url});
  await shown.decode();
  const canvas = Object.assign(document.createElement('canvas'), {width: shown.naturalWidth, height: shown.naturalHeight});
  const context = canvas.getContext('2d');
  context.drawImage(shown, 0, 0);
  return {width: shown.naturalWidth, height: shown.naturalHeight,
    pixels: places.map(([x, y]) => Array.from(context.getImageData(x, y, 1, 1).data))};
}
</script>";

const COLOURS: [[u8; 4]; 4] = [
    [220, 30, 40, 255],
    [20, 160, 60, 255],
    [40, 60, 210, 255],
    [0, 0, 0, 0],
];

/// A colour in each quarter, and nothing in the last.
fn quarters(width: u32, height: u32) -> Vec<u8> {
    let image = RgbaImage::from_fn(width, height, |x, y| {
        Rgba(COLOURS[usize::from(x >= width / 2) + 2 * usize::from(y >= height / 2)])
    });
    let mut bytes = std::io::Cursor::new(Vec::new());
    DynamicImage::ImageRgba8(image)
        .write_to(&mut bytes, ImageFormat::Png)
        .unwrap();
    bytes.into_inner()
}

#[tokio::test]
async fn a_browser_shows_every_format_with_its_colours_and_what_shows_through() {
    if browser::is_left_out() {
        return;
    }
    let origin = format!("http://127.0.0.1:{}", serve_page(PAGE).await);
    let server = Server::with(HttpOptions {
        cors_origins: vec![origin.parse().unwrap()],
        ..HttpOptions::default()
    })
    .await;
    let bucket = Request::new("PUT", "/api/v1/admin/buckets/main")
        .json(&json!({"publicRead": true, "freeVariants": true}));
    assert_eq!(server.send(bucket).await.status, 200);
    put(
        &server,
        "/api/v1/files/main/a.png",
        "image/png",
        quarters(202, 142),
    )
    .await;
    let mut browser = Browser::start().await;
    browser.open(&format!("{origin}/")).await;
    let at = format!("http://{}/api/v1/files/main/a.png", server.address);
    for format in ["png", "webp", "avif"] {
        // Sides that are odd, colours that are coarse and fine, and the smallest picture that there is.
        for (size, quality) in [
            ((101, 71), 80),
            ((101, 71), 95),
            ((202, 142), 60),
            ((33, 23), 100),
        ] {
            let (width, height) = size;
            let url = format!("{at}?width={width}&format={format}&quality={quality}");
            let places: Vec<[u32; 2]> = [(1, 1), (3, 1), (1, 3), (3, 3)]
                .iter()
                .map(|(x, y)| [width * x / 4, height * y / 4])
                .collect();
            let shown = browser
                .evaluate(&format!("show('{url}', {})", json!(places)))
                .await;
            assert_eq!(
                (&shown["width"], &shown["height"]),
                (&json!(width), &json!(height)),
                "{url}: {shown}"
            );
            for (place, colour) in COLOURS.iter().enumerate() {
                assert!(is_near(&shown["pixels"][place], colour), "{url}: {shown}");
            }
        }
        let dot = browser
            .evaluate(&format!("show('{at}?width=1&height=1&format={format}', [])"))
            .await;
        assert_eq!(
            (&dot["width"], &dot["height"]),
            (&json!(1), &json!(1)),
            "{format}: {dot}"
        );
    }
    browser.close().await;
}

fn is_near(pixel: &Value, colour: &[u8; 4]) -> bool {
    let channel = |at: usize| pixel[at].as_i64().unwrap_or(i64::MIN);
    let is_near = |at: usize| (channel(at) - i64::from(colour[at])).abs() <= 12;
    is_near(3) && (colour[3] == 0 || (0..3).all(is_near))
}
