//! The disk that has the files is full: it is said, nothing is lost, and uploads go on once there is room.
//!
//! The disk is a small `tmpfs`, where the system lets this user mount one. Where it does not, the tests of the crate
//! `andiron-files` with a store that fails stand alone.

use std::path::{Path, PathBuf};
use std::process::Command;

use andiron_testkit::{Api, ServerProcess};
use http::Method;
use serde_json::json;

use crate::{program, run};

/// A disk of a few mebibytes, gone when it goes out of scope.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(folder: &Path) -> Option<Self> {
        std::fs::create_dir_all(folder).unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=24m", "tmpfs"])
            .arg(folder)
            .output();
        mounted
            .is_ok_and(|output| output.status.success())
            .then(|| Self(folder.to_owned()))
    }

    /// Takes all the room that is left.
    fn fill(&self) {
        let mut filler = std::fs::File::create(self.0.join("filler")).unwrap();
        for piece in [1 << 20, 4096, 1] {
            while std::io::Write::write_all(&mut filler, &vec![0; piece]).is_ok() {}
        }
    }

    fn make_room(&self) {
        std::fs::remove_file(self.0.join("filler")).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // The server is gone by then; if not, the disk goes with the last who has it open.
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

async fn put(api: &Api, target: &str, bytes: usize) -> andiron_testkit::Answer {
    let headers = [("content-type", "text/plain")];
    api.request(Method::PUT, target, &headers, Some("x".repeat(bytes)))
        .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_answers_507_loses_nothing_and_takes_uploads_again_when_there_is_room() {
    let folder = tempfile::tempdir().unwrap();
    let Some(disk) = SmallDisk::mount(&folder.path().join("andiron-data")) else {
        println!("nobody here may mount a disk: full disks are tested with a store that fails alone");
        return;
    };
    let key = run(folder.path(), &["key", "create", "disk"]).expect(0).stdout;
    let mut server = ServerProcess::start(program(), folder.path(), &[]);
    let api = server.anonymous().with_key(key.trim());
    put(&api, "/api/v1/files/main/kept", 1_000_000).await.expect(201);
    let tus = [("tus-resumable", "1.0.0")];
    // `main` and `slow`.
    let metadata = ("upload-metadata", "bucket bWFpbg==,name c2xvdw==");
    let begun = [tus[0], ("upload-length", "3000000"), metadata];
    let begun = api
        .request(Method::POST, "/api/v1/uploads", &begun, Some(String::new()))
        .await
        .expect(201);
    let upload = begun.header("location").unwrap().to_owned();
    let go_on = async |api: &Api, offset: &str, bytes: usize| {
        let headers = [
            tus[0],
            ("upload-offset", offset),
            ("content-type", "application/offset+octet-stream"),
        ];
        api.request(Method::PATCH, &upload, &headers, Some("y".repeat(bytes)))
            .await
    };
    assert_eq!(go_on(&api, "0", 1_000_000).await.status, 204);

    disk.fill();
    for (target, bytes) in [("new", 10), ("new", 3_000_000), ("kept", 500_000)] {
        let full = put(&api, &format!("/api/v1/files/main/{target}"), bytes).await;
        let problem = full.expect_problem(507, "resource-exhausted");
        assert!(
            problem["detail"].as_str().unwrap().contains("no room left"),
            "{problem}"
        );
    }
    assert_eq!(go_on(&api, "1000000", 1_000_000).await.status, 507);
    let copy = json!({"copy": {"to": "main/copy"}});
    assert_eq!(api.post("/api/v1/files/main/kept", &copy).await.status, 507);
    assert_eq!(api.get("/api/v1/files/main/new").await.status, 404);
    let kept = api.get("/api/v1/files/main/kept").await.expect(200);
    assert!(kept.body.len() == 1_000_000 && kept.body.iter().all(|byte| *byte == b'x'));

    // Killed while it is full, it comes back with all of it.
    server.kill();
    server.start_again();
    let api = server.anonymous().with_key(key.trim());
    assert_eq!(
        api.get("/api/v1/files/main/kept").await.expect(200).body.len(),
        1_000_000
    );
    assert_eq!(put(&api, "/api/v1/files/main/new", 3_000_000).await.status, 507);

    disk.make_room();
    put(&api, "/api/v1/files/main/new", 3_000_000).await.expect(201);
    let found = api.request(Method::HEAD, &upload, &tus, None).await.expect(200);
    assert_eq!(
        found.header("upload-offset"),
        Some("1000000"),
        "what had come before is there"
    );
    assert_eq!(go_on(&api, "1000000", 2_000_000).await.status, 204);
    assert_eq!(
        api.get("/api/v1/files/main/slow").await.expect(200).body.len(),
        3_000_000
    );
    server.kill();
    drop(disk);
}
