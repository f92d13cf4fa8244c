//! Variants of images in the real process: what images of others may cost.

use std::time::{Duration, Instant};

use andiron_testkit::{Answer, Api, ServerProcess};
use serde_json::json;
use tokio::task::JoinSet;

use crate::accounts::memory_kib;
use crate::{image_bombs, program};

/// What the server takes beside: uploads, answers, and what an allocator holds back.
const BESIDE_KIB: u64 = 40 << 10;
/// How long a picture may be worked on: what a decoder has, and as much for what comes after it in a build that is not
/// optimised.
const TIME_MAX: Duration = Duration::from_secs(20);

struct Gallery {
    server: ServerProcess,
    /// Memory for variants, as the setting says it.
    memory_mib: u64,
    api: Api,
    _folder: tempfile::TempDir,
}

impl Gallery {
    async fn open(memory_mib: u64) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let memory = format!("files.variant_memory={memory_mib}MiB");
        let server = ServerProcess::start(program(), folder.path(), &["--set", &memory]);
        let api = server.anonymous().with_key(server.printed_key().unwrap());
        api.put("/api/v1/admin/buckets/main", &json!({"freeVariants": true}))
            .await
            .expect(200);
        Self {
            server,
            memory_mib,
            api,
            _folder: folder,
        }
    }

    async fn put(&self, name: &str, content_type: &str, bytes: Vec<u8>) {
        let answer = self
            .api
            .upload(&format!("/api/v1/files/main/{name}"), content_type, bytes)
            .await;
        assert!(matches!(answer.status, 200 | 201), "{}", answer.text());
    }

    async fn thumbnail(api: Api, name: &str, parameters: String) -> Answer {
        api.get(&format!("/api/v1/files/main/{name}?{parameters}")).await
    }

    /// That the peak is within what the setting says, counted from what the server had before.
    fn check_peak(&self, before_kib: u64, of: &str) {
        let peak = memory_kib(self.server.id(), "VmHWM:");
        assert!(
            peak < before_kib + (self.memory_mib << 10) + BESIDE_KIB,
            "{of}: {before_kib} KiB before, {peak} KiB at the peak"
        );
    }
}

/// Attack T70: images that take too much, each by another way.
#[tokio::test]
async fn images_made_to_take_much_take_what_the_setting_allows_and_end_in_time() {
    let gallery = Gallery::open(104).await;
    let before = memory_kib(gallery.server.id(), "VmRSS:");
    for bomb in image_bombs::all() {
        gallery.put("a", bomb.content_type, bomb.bytes).await;
        let begun = Instant::now();
        let parameters = "width=64&height=64&format=png".to_owned();
        let answer = Gallery::thumbnail(gallery.api.clone(), "a", parameters).await;
        let took = begun.elapsed();
        assert!(
            bomb.statuses.contains(&answer.status),
            "{}: {} {}",
            bomb.name,
            answer.status,
            answer.text()
        );
        assert!(took < TIME_MAX, "{}: {took:?}", bomb.name);
        gallery.check_peak(before, bomb.name);
    }
}

#[tokio::test]
async fn however_many_photos_are_wanted_at_once_they_take_what_the_setting_allows() {
    let gallery = Gallery::open(40).await;
    gallery.put("photo", "image/jpeg", image_bombs::photo()).await;
    let before = memory_kib(gallery.server.id(), "VmRSS:");
    let mut at_once = JoinSet::new();
    for width in 200..208 {
        let parameters = format!("width={width}");
        at_once.spawn(Gallery::thumbnail(gallery.api.clone(), "photo", parameters));
    }
    for answer in at_once.join_all().await {
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    gallery.check_peak(before, "eight photos");
    // What takes more alone is refused, and says what the limit is.
    let refused = Gallery::thumbnail(gallery.api.clone(), "photo", "format=webp".to_owned()).await;
    let problem = refused.expect_problem(413, "payload-too-large");
    assert!(
        problem["detail"].as_str().unwrap().contains("41943040 bytes"),
        "{problem}"
    );
}
