//! The clients that others use, unmodified, listen: `ws` from npm, `websockets` from PyPI, and `curl -N`.
//!
//! The packages come into the ignored folder `.tools/`; the tests fail if Node.js or Python is missing.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

use andiron_testkit::{Api, ServerProcess};
use serde_json::{Value, json};

use crate::program;

/// The packages, pinned.
const WS: &str = "ws@8.18.3";
const WEBSOCKETS: &str = "websockets==15.0.1";

/// Prints what it is told, a frame a line.
const NODE_CLIENT: &str = "
const [url, key] = process.argv.slice(1);
const socket = new (require('ws'))(url, 'andiron.v1', {headers: {authorization: `Bearer ${key}`}});
socket.on('open', () => socket.send(JSON.stringify({op: 'listen', id: 1, query: {from: 'posts'}})));
socket.on('message', (data) => console.log(data.toString()));
";
const PYTHON_CLIENT: &str = "
import json, sys
from websockets.sync.client import connect
url, key = sys.argv[1:]
with connect(url, subprotocols=['andiron.v1'], additional_headers={'Authorization': f'Bearer {key}'}) as socket:
    assert socket.subprotocol == 'andiron.v1'
    socket.send(json.dumps({'op': 'listen', 'id': 1, 'query': {'from': 'posts'}}))
    for frame in socket:
        print(frame, flush=True)
";

fn tools(name: &str) -> PathBuf {
    let tools = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../.tools")
        .join(name);
    std::fs::create_dir_all(&tools).unwrap();
    tools.canonicalize().unwrap()
}

fn succeed(command: &mut Command) {
    let status = command.status();
    let status = status.unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(status.success(), "{command:?}");
}

/// A client at work. It ends with the test.
struct Listener {
    process: Child,
    lines: std::io::Lines<BufReader<ChildStdout>>,
}

impl Listener {
    fn start(command: &mut Command) -> Self {
        let mut process = command.stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        Self { process, lines }
    }

    /// The next step, as `+id` and `-path`.
    fn step(&mut self) -> Vec<String> {
        loop {
            let line = self.lines.next().expect("the client goes on").unwrap();
            let Ok(frame) = serde_json::from_str::<Value>(line.trim_start_matches("data: ")) else {
                continue;
            };
            if frame["op"] == "changes" {
                let changes = frame["changes"].as_array().unwrap();
                return changes
                    .iter()
                    .map(|change| match change["type"].as_str().unwrap() {
                        "set" => format!("+{}", change["document"]["id"].as_str().unwrap()),
                        _ => format!("-{}", change["path"].as_str().unwrap()),
                    })
                    .collect();
            }
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        // Both fail only if it has ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A server with one document, and a client that is told of it and of what changes.
async fn is_told(client: impl FnOnce(&str, &str) -> Command) {
    let folder = tempfile::tempdir().unwrap();
    let server = ServerProcess::start(program(), folder.path(), &[]);
    let key = server.printed_key().unwrap().to_owned();
    let api: Api = server.anonymous().with_key(&key);
    api.put("/api/v1/docs/posts/p1", &json!({})).await.expect(201);
    let mut listener = Listener::start(&mut client(&server.address().to_string(), &key));
    assert_eq!(listener.step(), ["+p1"]);
    api.put("/api/v1/docs/posts/p2", &json!({"text": "x".repeat(100_000)}))
        .await
        .expect(201);
    assert_eq!(listener.step(), ["+p2"]);
    api.delete("/api/v1/docs/posts/p1").await.expect(204);
    assert_eq!(listener.step(), ["-posts/p1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn ws_from_npm_listens() {
    let tools = tools("ws");
    if !tools.join("node_modules/ws").is_dir() {
        succeed(
            Command::new("npm")
                .args(["install", "--no-audit", "--no-fund", "--prefix", ".", WS])
                .current_dir(&tools),
        );
    }
    is_told(|address, key| {
        let mut command = Command::new("node");
        let url = format!("ws://{address}/api/v1/live");
        command.args(["-e", NODE_CLIENT, &url, key]).current_dir(&tools);
        command
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn websockets_from_pypi_listens() {
    let tools = tools("websockets");
    let python = tools.join("bin/python");
    if !tools.join("installed").is_file() {
        succeed(
            Command::new("python3")
                .args(["-m", "venv", "--clear"])
                .arg(&tools),
        );
        succeed(Command::new(&python).args(["-m", "pip", "install", "--quiet", "--no-input", WEBSOCKETS]));
        std::fs::write(tools.join("installed"), WEBSOCKETS).unwrap();
    }
    is_told(|address, key| {
        let mut command = Command::new(&python);
        let url = format!("ws://{address}/api/v1/live");
        command.args(["-c", PYTHON_CLIENT, &url, key]);
        command
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn curl_listens() {
    is_told(|address, key| {
        let mut command = Command::new("curl");
        let (url, bearer) = (
            format!("http://{address}/api/v1/listen?from=posts"),
            format!("Authorization: Bearer {key}"),
        );
        command.args(["-s", "-N", "-H", &bearer, &url]);
        command
    })
    .await;
}
