//! The client that others use, unmodified: `tus-js-client` from npm uploads 200 MB while its connections are cut and the
//! server is killed with -9.
//!
//! The package comes into the ignored folder `.tools/`; the test fails if Node.js or npm is missing.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use andiron_testkit::{ServerProcess, StoreServer};
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncBufReadExt as _, BufReader, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::files_store::settings_of;
use crate::{program, run};

/// The package, pinned.
const PACKAGE: &str = "tus-js-client@4.3.1";
const FILE_BYTES: usize = 200_000_000;
/// How long all of it may take.
const PATIENCE: Duration = Duration::from_secs(300);

/// The folder in which the package is.
fn packages() -> PathBuf {
    let tools = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.tools/tus");
    if !tools.join("node_modules/tus-js-client").is_dir() {
        std::fs::create_dir_all(&tools).unwrap();
        std::fs::write(tools.join("package.json"), "{\"private\": true}\n").unwrap();
        let install = [
            "install",
            "--ignore-scripts",
            "--no-audit",
            "--no-fund",
            "--save-exact",
            PACKAGE,
        ];
        let status = Command::new("npm").args(install).current_dir(&tools).status();
        let status = status.expect("npm is needed: this test uploads with tus-js-client");
        assert!(status.success(), "npm could not install {PACKAGE}");
    }
    tools
}

/// What stands between client and server, at an address that stays: it can cut all connections, and lead to another
/// server.
struct Between {
    address: SocketAddr,
    /// Where it leads to, and how often it was cut.
    leads: Arc<watch::Sender<(SocketAddr, u32)>>,
}

impl Between {
    async fn start(server: SocketAddr) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let leads = Arc::new(watch::Sender::new((server, 0)));
        let of_connections = Arc::clone(&leads);
        tokio::spawn(async move {
            loop {
                let (mut client, _) = listener.accept().await.unwrap();
                let mut leads = of_connections.subscribe();
                tokio::spawn(async move {
                    let (server, _) = *leads.borrow_and_update();
                    let Ok(mut server) = TcpStream::connect(server).await else {
                        return;
                    };
                    tokio::select! {
                        _ = copy_bidirectional(&mut client, &mut server) => {}
                        _ = leads.changed() => {}
                    }
                });
            }
        });
        Self { address, leads }
    }

    fn cut(&self, server: SocketAddr) {
        self.leads.send_modify(|(leads_to, cuts)| {
            *leads_to = server;
            *cuts += 1;
        });
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_from_npm_gets_its_file_through_cut_connections_and_a_killed_server() {
    uploads_through_disturbances(&[]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_client_gets_its_file_through_to_s3() {
    let store = StoreServer::s3();
    let settings = settings_of(&store);
    uploads_through_disturbances(&settings.iter().map(String::as_str).collect::<Vec<_>>()).await;
}

/// Uploads the file to a server with these arguments.
async fn uploads_through_disturbances(arguments: &[&str]) {
    let packages = packages();
    let folder = tempfile::tempdir().unwrap();
    // Bytes that are nowhere the same, so that what is lost or doubled shows.
    let mut state = 1_u64;
    let bytes: Vec<u8> = (0..FILE_BYTES / 8)
        .flat_map(|_| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            state.to_le_bytes()
        })
        .collect();
    let file = folder.path().join("large.bin");
    std::fs::write(&file, &bytes).unwrap();

    let project = folder.path().join("project");
    std::fs::create_dir(&project).unwrap();
    let key = run(&project, &["key", "create", "tus"]).expect(0).stdout;
    let mut server = ServerProcess::start(program(), &project, arguments);
    let between = Between::start(server.address()).await;
    let mut client = tokio::process::Command::new("node")
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/tus_client.cjs"))
        .arg(&packages)
        .arg(format!("http://{}/api/v1/uploads", between.address))
        .arg(key.trim())
        .arg(&file)
        .arg("large.bin")
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("Node.js is needed: this test uploads with tus-js-client");
    let mut lines = BufReader::new(client.stdout.take().unwrap()).lines();
    let mut disturbances = [20_000_000_u64, 70_000_000, 130_000_000]
        .into_iter()
        .enumerate()
        .peekable();
    let uploading = async {
        let mut done = false;
        while let Some(line) = lines.next_line().await.unwrap() {
            if line.starts_with("done ") {
                done = true;
            }
            let sent: u64 = line.strip_prefix("sent ").map_or(0, |sent| sent.parse().unwrap());
            if let Some((number, _)) = disturbances.next_if(|(_, at)| sent >= *at) {
                if number == 1 {
                    server.kill();
                    server.start_again();
                }
                between.cut(server.address());
            }
        }
        done
    };
    let done = tokio::time::timeout(PATIENCE, uploading)
        .await
        .expect("it comes to an end");
    assert!(
        client.wait().await.unwrap().success() && done,
        "the client got it through"
    );
    assert!(disturbances.next().is_none(), "all disturbances took place");

    let api = server.anonymous().with_key(key.trim());
    let known = api
        .get("/api/v1/files/main/large.bin?metadata=true")
        .await
        .expect(200)
        .json();
    assert_eq!(known["size"], FILE_BYTES);
    let read = api.get("/api/v1/files/main/large.bin").await.expect(200);
    assert_eq!(Sha256::digest(&read.body), Sha256::digest(&bytes));
}
