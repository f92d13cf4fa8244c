//! A real browser of a test's own: headless Chromium, driven over the DevTools protocol.
//!
//! `ANDIRON_CHROMIUM` names it, else it is looked for on the path. Without one a test fails and says what to install;
//! `ANDIRON_NO_BROWSER=1` leaves these tests out, loudly.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, Command};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

const NAMES: [&str; 4] = [
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
];
const FLAGS: [&str; 14] = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-extensions",
    "--disable-sync",
    "--no-first-run",
    "--no-default-browser-check",
    "--password-store=basic",
    "--remote-debugging-port=0",
];
/// When a browser that says nothing counts as broken: no condition of passing, but an end to waiting for ever.
const SILENCE_MAX: Duration = Duration::from_secs(120);

/// A browser with one page.
pub(crate) struct Browser {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    /// The page that is driven.
    session: String,
    calls: u64,
    /// What was said of downloads.
    downloads: Vec<Value>,
    // Dropped after the connection: the browser ends, then its profile goes.
    process: Child,
    _profile: TempDir,
}

/// Whether tests with a browser are to be left out; says so.
pub(crate) fn is_left_out() -> bool {
    let is_left_out = std::env::var_os("ANDIRON_NO_BROWSER").is_some_and(|value| value == "1");
    if is_left_out {
        eprintln!("NOT TESTED: ANDIRON_NO_BROWSER=1 leaves out what takes a real browser");
    }
    is_left_out
}

fn find() -> PathBuf {
    if let Some(named) = std::env::var_os("ANDIRON_CHROMIUM") {
        return named.into();
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders: Vec<_> = std::env::split_paths(&path).collect();
    let places = NAMES
        .iter()
        .flat_map(|name| folders.iter().map(move |folder| folder.join(name)));
    places.into_iter().find(|place| place.is_file()).unwrap_or_else(|| {
        panic!(
            "these tests take a browser: install Chromium (Debian and Ubuntu: `apt-get install chromium`), or name one in \
             ANDIRON_CHROMIUM; ANDIRON_NO_BROWSER=1 leaves them out"
        )
    })
}

impl Browser {
    pub(crate) async fn start() -> Self {
        let profile = tempfile::tempdir().unwrap();
        let program = find();
        let mut process = Command::new(&program)
            .args(FLAGS)
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .arg("about:blank")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap_or_else(|error| panic!("{} cannot be started: {error}", program.display()));
        let mut lines = BufReader::new(process.stderr.take().unwrap()).lines();
        let mut said = Vec::new();
        let url = loop {
            let line = timeout(SILENCE_MAX, lines.next_line())
                .await
                .expect("the browser starts");
            match line.unwrap() {
                Some(line) => match line.strip_prefix("DevTools listening on ") {
                    Some(url) => break url.to_owned(),
                    None => said.push(line),
                },
                None => panic!("{} ended at once: {}", program.display(), said.join("\n")),
            }
        };
        // Read on, or the browser waits for somebody to read what it says.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        let (socket, _) = connect_async(url).await.unwrap();
        let mut browser = Self {
            socket,
            session: String::new(),
            calls: 0,
            downloads: Vec::new(),
            process,
            _profile: profile,
        };
        let targets = browser.call("Target.getTargets", json!({})).await;
        let targets = targets["targetInfos"].as_array().unwrap();
        let page = targets.iter().find(|target| target["type"] == "page").unwrap();
        let attach = json!({"targetId": page["targetId"], "flatten": true});
        let attached = browser.call("Target.attachToTarget", attach).await;
        attached["sessionId"]
            .as_str()
            .unwrap()
            .clone_into(&mut browser.session);
        browser.call("Page.enable", json!({})).await;
        browser
    }

    /// Calls a method of the protocol and gives its result.
    pub(crate) async fn call(&mut self, method: &str, parameters: Value) -> Value {
        self.calls += 1;
        let id = self.calls;
        let mut message = json!({"id": id, "method": method, "params": parameters});
        if !self.session.is_empty() {
            message["sessionId"] = json!(self.session);
        }
        self.socket
            .send(Message::text(message.to_string()))
            .await
            .unwrap();
        loop {
            let answer = self.next().await;
            if answer["id"] == id {
                assert!(answer.get("error").is_none(), "{method}: {}", answer["error"]);
                return answer["result"].clone();
            }
        }
    }

    async fn next(&mut self) -> Value {
        let message = timeout(SILENCE_MAX, self.socket.next()).await;
        let message = message.expect("the browser says something").unwrap().unwrap();
        let said: Value = serde_json::from_str(message.to_text().unwrap()).unwrap_or(Value::Null);
        if said["method"] == "Browser.downloadProgress" {
            self.downloads.push(said.clone());
        }
        said
    }

    /// Waits until a download is there, whole.
    pub(crate) async fn await_download(&mut self) {
        loop {
            let known = self.downloads.iter().find_map(|download| {
                let state = download["params"]["state"].as_str()?;
                ["completed", "canceled"]
                    .contains(&state)
                    .then(|| state.to_owned())
            });
            if let Some(state) = known {
                assert_eq!(state, "completed");
                return;
            }
            self.next().await;
        }
    }

    /// Opens a page and waits until it is there.
    pub(crate) async fn open(&mut self, url: &str) {
        let opened = self.call("Page.navigate", json!({"url": url})).await;
        assert!(opened.get("errorText").is_none(), "{url}: {opened}");
        let there = json!(format!("complete{url}"));
        let arriving = async { while self.evaluate("document.readyState + location.href").await != there {} };
        timeout(SILENCE_MAX, arriving).await.expect("the page is there");
    }

    /// The value of an expression of JavaScript in the page, once it is settled; or `{"error": NAME}` of what it throws.
    pub(crate) async fn evaluate(&mut self, expression: &str) -> Value {
        let parameters = json!({
            "expression": expression, "awaitPromise": true, "returnByValue": true, "userGesture": true,
        });
        let result = self.call("Runtime.evaluate", parameters).await;
        if let Some(thrown) = result.get("exceptionDetails") {
            let text = thrown["exception"]["description"].as_str().unwrap_or_default();
            return json!({"error": text});
        }
        result["result"]["value"].clone()
    }

    /// An authenticator of the browser's own, whose user is always there; gives its id.
    pub(crate) async fn add_authenticator(&mut self, transport: &str, verifies_users: bool) -> String {
        self.call("WebAuthn.enable", json!({})).await;
        let options = json!({
            "protocol": "ctap2", "transport": transport, "hasResidentKey": verifies_users,
            "hasUserVerification": verifies_users, "isUserVerified": verifies_users,
            "automaticPresenceSimulation": true,
        });
        let added = self
            .call("WebAuthn.addVirtualAuthenticator", json!({"options": options}))
            .await;
        added["authenticatorId"].as_str().unwrap().to_owned()
    }

    pub(crate) async fn close(mut self) {
        self.session.clear();
        // The answer may be lost in its end.
        let closing = json!({"id": 0, "method": "Browser.close"}).to_string();
        let _ = self.socket.send(Message::text(closing)).await;
        if timeout(SILENCE_MAX, self.process.wait()).await.is_err() {
            let _ = self.process.start_kill();
        }
    }
}

/// Serves one page to whoever asks for anything; gives the port.
pub(crate) async fn serve_page(html: &'static str) -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (reading, mut writing) = stream.into_split();
                let mut lines = BufReader::new(reading).lines();
                while let Ok(Some(line)) = lines.next_line().await {
                    if line.is_empty() {
                        let head = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nConnection: close\r\nContent-Length: ";
                        let answer = format!("{head}{}\r\n\r\n{html}", html.len());
                        // A browser that has gone has seen enough.
                        let _ = writing.write_all(answer.as_bytes()).await;
                        return;
                    }
                }
            });
        }
    });
    port
}
