//! Files as programs of others read them: a video that a browser plays and seeks in, and downloads that break in the middle
//! and go on, in a browser and with `curl -C -`.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use andiron_http::HttpOptions;
use parking_lot::Mutex;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::Command;

use crate::browser::{self, Browser, serve_page};
use crate::client::Request;
use crate::files_upload::put;
use crate::server::Server;

/// No connection is cut.
const NEVER: u64 = u64::MAX;

/// A page that makes a WebM of still pictures, each a key frame of VP8 as it stands in a WebP, uploads it and plays it.
const PAGE: &str = "<!doctype html><title>Player</title><video id=video muted crossorigin=anonymous preload=metadata></video><script>
const WIDTH = 960, HEIGHT = 540, FRAMES = 60, FRAME_MS = 250;
const bytes = (number, size) => Uint8Array.from({length: size}, (_, at) => Number((BigInt(number) >> BigInt(8 * (size - 1 - at))) & 255n));
const join = (parts) => {
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) { all.set(part, at); at += part.length; }
  return all;
};
const element = (id, ...parts) => {
  const content = join(parts), name = id.toString(16);
  const size = bytes(content.length, 8);
  size[0] = 1;
  return join([bytes(id, name.length / 2), size, content]);
};
const number = (id, value) => element(id, bytes(value, 8));
const text = (id, value) => element(id, new TextEncoder().encode(value));
const float = (id, value) => element(id, new Uint8Array(new Float64Array([value]).buffer).reverse());
async function frame(context, index) {
  const noise = context.createImageData(WIDTH, HEIGHT);
  let state = index * 7919 + 1;
  for (let at = 0; at < noise.data.length; at++) {
    state = (state * 1103515245 + 12345) & 0x7fffffff;
    noise.data[at] = at % 4 === 3 ? 255 : state >> 16;
  }
  context.putImageData(noise, 0, 0);
  context.fillStyle = `rgb(${index * 4}, ${index * 4}, ${index * 4})`;
  context.fillRect(0, 0, 160, 160);
  const blob = await new Promise((resolve) => context.canvas.toBlob(resolve, 'image/webp', 0.98));
  const webp = new DataView(await blob.arrayBuffer());
  for (let at = 12; at < webp.byteLength;) {
    const size = webp.getUint32(at + 4, true);
    if (webp.getUint32(at) === 0x56503820) return new Uint8Array(webp.buffer, at + 8, size);
    at += 8 + size + size % 2;
  }
  throw new Error('a WebP without VP8');
}
async function film() {
  const canvas = Object.assign(document.createElement('canvas'), {width: WIDTH, height: HEIGHT});
  const context = canvas.getContext('2d', {alpha: false});
  const head = element(0x1a45dfa3, number(0x4286, 1), number(0x42f7, 1), number(0x42f2, 4), number(0x42f3, 8),
    text(0x4282, 'webm'), number(0x4287, 2), number(0x4285, 2));
  const info = element(0x1549a966, number(0x2ad7b1, 1000000), float(0x4489, FRAMES * FRAME_MS),
    text(0x4d80, 'test'), text(0x5741, 'test'));
  const tracks = element(0x1654ae6b, element(0xae, number(0xd7, 1), number(0x73c5, 1), number(0x83, 1),
    text(0x86, 'V_VP8'), element(0xe0, number(0xb0, WIDTH), number(0xba, HEIGHT))));
  const clusters = [];
  for (let index = 0; index < FRAMES; index++) {
    const block = element(0xa3, Uint8Array.of(0x81, 0, 0, 0x80), await frame(context, index));
    clusters.push(element(0x1f43b675, number(0xe7, index * FRAME_MS), block));
  }
  const cues = (places) => element(0x1c53bb6b, ...places.map((place, index) => element(0xbb, number(0xb3, index * FRAME_MS),
    element(0xb7, number(0xf7, 1), number(0xf1, place)))));
  let at = info.length + tracks.length + cues(clusters.map(() => 0)).length;
  const places = clusters.map((cluster) => { at += cluster.length; return at - cluster.length; });
  return join([head, element(0x18538067, info, tracks, cues(places), ...clusters)]);
}
async function upload(url, key) {
  const answer = await fetch(url, {method: 'PUT', body: await film(),
    headers: {'Authorization': `Bearer ${key}`, 'Content-Type': 'video/webm', 'X-Meta-Mood': 'noisy'}});
  return {status: answer.status, file: await answer.json()};
}
const event = (name) => new Promise((resolve, reject) => {
  video.addEventListener(name, resolve, {once: true});
  video.addEventListener('error', () => reject(new Error(video.error.message)), {once: true});
});
function shade() {
  const canvas = Object.assign(document.createElement('canvas'), {width: WIDTH, height: HEIGHT});
  const context = canvas.getContext('2d');
  context.drawImage(video, 0, 0);
  return context.getImageData(80, 80, 1, 1).data[0];
}
async function open(url) {
  const known = event('loadeddata');
  video.src = url;
  await known;
  return {duration: video.duration, width: video.videoWidth, shade: shade()};
}
async function seek(seconds) {
  const there = event('seeked');
  video.currentTime = seconds;
  await there;
  return {at: video.currentTime, shade: shade()};
}
async function play() {
  const from = video.currentTime, moved = event('timeupdate');
  await video.play();
  await moved;
  while (video.currentTime < from + 0.5) await event('timeupdate');
  video.pause();
  return video.currentTime - from;
}
</script>";

/// What stands between a client and the server: it notes the ranges that are asked for and the statuses that come, and cuts
/// the connection once, after so many bytes of answers.
struct Relay {
    address: SocketAddr,
    told: Arc<Told>,
}

struct Told {
    ranges: Mutex<Vec<String>>,
    statuses: Mutex<Vec<u16>>,
    cut_after: AtomicU64,
}

impl Relay {
    async fn start(server: SocketAddr, cut_after: u64) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let told = Arc::new(Told {
            ranges: Mutex::default(),
            statuses: Mutex::default(),
            cut_after: AtomicU64::new(cut_after),
        });
        let shared = Arc::clone(&told);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (Ok(server), told) = (TcpStream::connect(server).await, Arc::clone(&shared)) else {
                    return;
                };
                let (from_client, to_client) = client.into_split();
                let (from_server, to_server) = server.into_split();
                tokio::spawn(ask(from_client, to_server, Arc::clone(&told)));
                tokio::spawn(answer(from_server, to_client, told));
            }
        });
        Self { address, told }
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    fn ranges(&self) -> Vec<String> {
        self.told.ranges.lock().clone()
    }

    fn count(&self, status: u16) -> usize {
        let statuses = self.told.statuses.lock();
        statuses.iter().filter(|told| **told == status).count()
    }
}

/// Passes requests on. Their heads come whole: they are short, and written at once.
async fn ask(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, told: Arc<Told>) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        if buffer.starts_with(b"GET ") {
            let head = String::from_utf8_lossy(&buffer[..count]).to_ascii_lowercase();
            let range = head.lines().find_map(|line| line.strip_prefix("range: "));
            told.ranges.lock().extend(range.map(str::to_owned));
        }
        if to.write_all(&buffer[..count]).await.is_err() {
            return;
        }
    }
}

/// Passes answers on, until it is time to cut.
async fn answer(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, told: Arc<Told>) {
    let mut buffer = vec![0; 64 * 1024];
    let mut passed = 0;
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        if let Some(status) = buffer.strip_prefix(b"HTTP/1.1 ") {
            let status = std::str::from_utf8(&status[..3]).unwrap();
            told.statuses.lock().push(status.parse().unwrap());
        }
        passed += count as u64;
        let is_cut = passed > told.cut_after.load(Ordering::Relaxed);
        if is_cut {
            told.cut_after.store(NEVER, Ordering::Relaxed);
        }
        // The last bytes go too: what is cut is a connection, not a packet.
        if to.write_all(&buffer[..count]).await.is_err() || is_cut {
            return;
        }
    }
}

async fn public_bucket(server: &Server) {
    let request = Request::new("PUT", "/api/v1/admin/buckets/main").json(&json!({"publicRead": true}));
    assert_eq!(server.send(request).await.status, 200);
}

#[tokio::test]
async fn a_browser_plays_a_video_by_ranges_and_seeks_in_it() {
    if browser::is_left_out() {
        return;
    }
    // One site, two origins: what else may be shown in a page is for `Cross-Origin-Resource-Policy` to refuse.
    let origin = format!("http://127.0.0.1:{}", serve_page(PAGE).await);
    let server = Server::with(HttpOptions {
        cors_origins: vec![origin.parse().unwrap()],
        ..HttpOptions::default()
    })
    .await;
    public_bucket(&server).await;
    let relay = Relay::start(server.address, NEVER).await;
    let mut browser = Browser::start().await;
    browser.open(&format!("{origin}/")).await;

    let url = relay.url("/api/v1/files/main/film.webm");
    let uploaded = browser
        .evaluate(&format!("upload('{url}', '{}')", server.key))
        .await;
    assert_eq!(uploaded["status"], 201, "{uploaded}");
    assert_eq!(uploaded["file"]["contentType"], "video/webm");
    assert_eq!(uploaded["file"]["metadata"], json!({"mood": "noisy"}));
    let size = uploaded["file"]["size"].as_u64().unwrap();
    assert!(size > 4_000_000, "{size} bytes are too few to be read in parts");

    let shade = |value: &Value| value["shade"].as_f64().unwrap_or(f64::NAN);
    let opened = browser.evaluate(&format!("open('{url}')")).await;
    assert_eq!(
        (&opened["duration"], &opened["width"]),
        (&json!(15), &json!(960)),
        "{opened}"
    );
    assert!((shade(&opened) - 0.0).abs() < 6.0, "{opened}");
    let sought = browser.evaluate("seek(13.6)").await;
    assert!(
        (shade(&sought) - 54.0 * 4.0).abs() < 6.0,
        "the picture of then is shown: {sought}"
    );
    let back = browser.evaluate("seek(2.6)").await;
    assert!((shade(&back) - 10.0 * 4.0).abs() < 6.0, "{back}");
    let played = browser.evaluate("play()").await;
    assert!(played.as_f64().is_some_and(|seconds| seconds >= 0.5), "{played}");

    let starts: Vec<u64> = relay
        .ranges()
        .iter()
        .map(|range| {
            let start = range
                .strip_prefix("bytes=")
                .and_then(|range| range.split('-').next());
            start.and_then(|start| start.parse().ok()).unwrap_or(0)
        })
        .collect();
    assert!(
        starts.iter().any(|start| *start > size / 2),
        "{starts:?} of {size}"
    );
    assert!(relay.count(206) >= 2, "{:?}", relay.told.statuses.lock());
    browser.close().await;
}

/// A file of 24 MB that cannot be guessed.
async fn large_file(server: &Server, target: &str) -> Vec<u8> {
    let mut state = 1_u64;
    let bytes: Vec<u8> = (0..24_000_000)
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 56) as u8
        })
        .collect();
    put(server, target, "application/octet-stream", bytes.clone()).await;
    bytes
}

fn assert_same(file: &Path, bytes: &[u8]) {
    let read = std::fs::read(file).unwrap();
    assert_eq!(read.len(), bytes.len());
    assert_eq!(Sha256::digest(&read), Sha256::digest(bytes));
}

#[tokio::test]
async fn a_browser_goes_on_with_a_download_that_was_cut() {
    if browser::is_left_out() {
        return;
    }
    let server = Server::start().await;
    public_bucket(&server).await;
    let bytes = large_file(&server, "/api/v1/files/main/large.bin").await;
    let relay = Relay::start(server.address, 10_000_000).await;
    let folder = tempfile::tempdir().unwrap();
    let mut browser = Browser::start().await;
    let behavior = json!({
        "behavior": "allow", "downloadPath": folder.path().to_str().unwrap(), "eventsEnabled": true,
    });
    browser.call("Browser.setDownloadBehavior", behavior).await;
    let url = relay.url("/api/v1/files/main/large.bin");
    // A download is no page: there is nothing to wait for but itself.
    browser.call("Page.navigate", json!({"url": url})).await;
    browser.await_download().await;
    assert_same(&folder.path().join("large.bin"), &bytes);
    let ranges = relay.ranges();
    assert!(
        ranges
            .iter()
            .any(|range| range != "bytes=0-" && range.ends_with('-')),
        "{ranges:?}"
    );
    assert_eq!(relay.count(206), 1, "it went on where it was cut");
    browser.close().await;
}

#[tokio::test]
async fn curl_goes_on_with_a_download_that_was_cut() {
    let server = Server::start().await;
    public_bucket(&server).await;
    let bytes = large_file(&server, "/api/v1/files/main/large.bin").await;
    let relay = Relay::start(server.address, 10_000_000).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("large.bin");
    let url = relay.url("/api/v1/files/main/large.bin");
    let download = async || {
        let mut curl = Command::new("curl");
        curl.args(["--silent", "--show-error", "--continue-at", "-", "--output"]);
        curl.arg(&file)
            .arg(&url)
            .output()
            .await
            .expect("curl is installed")
    };
    let cut = download().await;
    assert!(!cut.status.success(), "the connection was cut");
    let there = std::fs::metadata(&file).unwrap().len();
    assert!((1..24_000_000).contains(&there), "{there}");
    let done = download().await;
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    assert_same(&file, &bytes);
    assert_eq!(relay.ranges(), [format!("bytes={there}-")]);
    assert_eq!(relay.count(206), 1);
}
