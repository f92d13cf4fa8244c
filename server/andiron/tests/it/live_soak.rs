//! Everybody listens while documents change at random, connections are lost, clients stall, and the server is killed with
//! -9: every state that anybody reached is the result at its version.
//!
//! What a result is at a version is worked out from the change feed, read at the end from the beginning, by a few lines that
//! share nothing with the server. `ANDIRON_SOAK_SECONDS` sets how long (default 3; `cargo xtask soak` for long),
//! `ANDIRON_SOAK_SEED` repeats a run as far as a real process allows.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use andiron_testkit::{Api, ServerProcess};
use http::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::program;

const SECONDS: u64 = 3;
const WRITERS: u64 = 2;
const DOCUMENTS: u64 = 16;
/// After how many more commits a server is killed.
const LIFE_COMMITS: std::ops::Range<u64> = 100..500;
/// Marks come often, and queues are short, so that clients skip.
const SETTINGS: &str = "[live]\nheartbeat = \"100ms\"\nqueue_bytes = \"2KiB\"\n";
/// How long listeners may take to reach the last version.
const PATIENCE: Duration = Duration::from_secs(60);

/// What documents are ordered by.
type Rank = fn(&Value) -> i64;

/// What is listened to: parameters, which documents, in which order, and how many.
struct Listen {
    parameters: &'static str,
    admits: fn(&str, &Value) -> bool,
    order: Option<(Rank, bool)>,
    limit: usize,
}

const LISTENS: [Listen; 6] = [
    Listen {
        parameters: "from=c",
        admits: |_, _| true,
        order: None,
        limit: usize::MAX,
    },
    Listen {
        parameters: "from=c&filter=g%20%3D%3D%201",
        admits: |_, data| data["g"] == 1,
        order: None,
        limit: usize::MAX,
    },
    Listen {
        parameters: "from=c&orderBy=-n&limit=3",
        admits: |_, _| true,
        order: Some((|data| data["n"].as_i64().unwrap(), true)),
        limit: 3,
    },
    Listen {
        parameters: "from=c&filter=n%20%3E%204&orderBy=n&limit=2",
        admits: |_, data| data["n"].as_i64().unwrap() > 4,
        order: Some((|data| data["n"].as_i64().unwrap(), false)),
        limit: 2,
    },
    Listen {
        parameters: "group=c&filter=g%20%3D%3D%202%20%7C%7C%20n%20%3C%202",
        admits: |_, data| data["g"] == 2 || data["n"].as_i64().unwrap() < 2,
        order: None,
        limit: usize::MAX,
    },
    Listen {
        parameters: "doc=c/7",
        admits: |id, _| id == "7",
        order: None,
        limit: usize::MAX,
    },
];

/// Numbers at random (splitmix64), the same for the same seed.
#[derive(Clone)]
struct Random(u64);

impl Random {
    fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.draw() % bound
    }
}

/// A result by ids: the documents' versions.
type Result = BTreeMap<String, u64>;

/// Somebody who listens, until told to stop and there.
struct Listener {
    listen: &'static Listen,
    random: Random,
    key: String,
    server: watch::Receiver<Option<SocketAddr>>,
    /// Once writing has ended: the version to reach.
    last: watch::Receiver<Option<u64>>,
    commits: watch::Sender<u64>,
    token: Option<String>,
    result: Result,
    reached: Vec<(u64, Result)>,
    resumed: u64,
}

impl Listener {
    async fn run(mut self) -> Self {
        while !self.is_there() {
            let address = {
                let server = self.server.wait_for(Option::is_some).await.unwrap();
                server.unwrap()
            };
            if self.random.below(6) == 0 {
                (self.token, self.result) = (None, Result::new());
            }
            // The server is killed at any moment.
            let _ = self.listen_once(address).await;
        }
        self
    }

    fn is_there(&self) -> bool {
        let last = *self.last.borrow();
        last.is_some_and(|last| self.reached.last().is_some_and(|(version, _)| *version >= last))
    }

    async fn listen_once(&mut self, address: SocketAddr) -> std::io::Result<()> {
        let mut stream = TcpStream::connect(address).await?;
        let resume = self
            .token
            .as_ref()
            .map_or(String::new(), |token| format!("Last-Event-ID: {token}\r\n"));
        let (parameters, key) = (self.listen.parameters, &self.key);
        let request = format!(
            "GET /api/v1/listen?{parameters} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\n{resume}\r\n"
        );
        stream.write_all(request.as_bytes()).await?;
        let mut lines = BufReader::new(stream).lines();
        let Some(status) = lines.next_line().await? else {
            return Ok(());
        };
        assert_eq!(status, "HTTP/1.1 200 OK");
        let mut before = 0;
        let mut is_first = true;
        let mut torn: Option<Result> = None;
        let has_token = self.token.is_some();
        // How many steps until the connection is dropped.
        let steps = 1 + self.random.below(40);
        for _ in 0..steps {
            let frame = loop {
                let Some(line) = lines.next_line().await? else {
                    return Ok(());
                };
                // Whatever else a line is: a piece's length, an id, a comment.
                if let Some(data) = line.strip_prefix("data: ") {
                    break serde_json::from_str::<Value>(data).unwrap();
                }
                // Nothing comes to whoever was there before it was said which version is the last.
                if self.is_there() {
                    return Ok(());
                }
            };
            assert_eq!(frame["op"], "changes", "{frame}");
            let version: u64 = frame["version"].as_str().unwrap().parse().unwrap();
            assert!(version >= before, "versions never go back on a connection");
            before = version;
            let reset = frame["reset"] == true;
            assert!(reset || has_token || !is_first, "the first step is a reset");
            self.resumed += u64::from(is_first && !reset);
            is_first = false;
            let mut result = torn.take().unwrap_or_else(|| self.result.clone());
            if reset {
                result.clear();
            }
            for change in frame["changes"].as_array().unwrap() {
                if change["type"] == "set" {
                    let document = &change["document"];
                    let version = document["version"].as_str().unwrap().parse().unwrap();
                    result.insert(document["id"].as_str().unwrap().to_owned(), version);
                } else {
                    let id = change["path"].as_str().unwrap().trim_start_matches("c/");
                    let gone = result.remove(id).is_some();
                    assert!(gone || self.listen.parameters.starts_with("doc="), "{frame}");
                }
            }
            if frame["more"] == true {
                torn = Some(result);
                continue;
            }
            self.token = Some(frame["resume"].as_str().unwrap().to_owned());
            self.result.clone_from(&result);
            self.reached.push((version, result));
            if self.is_there() {
                return Ok(());
            }
            if self.random.below(8) == 0 {
                self.stall().await;
            }
        }
        Ok(())
    }

    /// Reads nothing until some more has been committed, or writing has ended.
    async fn stall(&mut self) {
        let mut commits = self.commits.subscribe();
        let until = *commits.borrow() + 5 + self.random.below(60);
        tokio::select! {
            committed = commits.wait_for(|count| *count >= until) => drop(committed.unwrap()),
            ended = self.last.wait_for(Option::is_some) => drop(ended.unwrap()),
        }
    }
}

/// Writes until told to stop; what is refused because the server is gone is nobody's loss.
async fn write(
    mut random: Random,
    key: String,
    mut server: watch::Receiver<Option<SocketAddr>>,
    commits: watch::Sender<u64>,
    stop: watch::Receiver<bool>,
) {
    while !*stop.borrow() {
        let address = server.wait_for(Option::is_some).await.unwrap().unwrap();
        let mut writes = BTreeMap::new();
        for _ in 0..1 + random.below(3) {
            let id = format!("c/{}", random.below(DOCUMENTS));
            let data = json!({"n": random.below(10), "g": random.below(3), "text": "x".repeat(random.below(300) as usize)});
            let write = if random.below(4) == 0 {
                json!({"delete": id})
            } else {
                json!({"set": id, "data": data})
            };
            writes.insert(id, write);
        }
        let body = json!({"writes": writes.into_values().collect::<Vec<_>>()});
        let api = Api::new(address).with_key(&key);
        let answer = api
            .try_request(Method::POST, "/api/v1/commit", &[], Some(body.to_string()))
            .await;
        if answer.is_ok_and(|answer| answer.status == 200) {
            commits.send_modify(|count| *count += 1);
        }
    }
}

/// Every commit with what it changed: documents' versions and data.
type Commits = Vec<(u64, Vec<(String, Option<(u64, Value)>)>)>;

/// The whole log, by the change feed.
async fn log(api: &Api) -> Commits {
    let (mut commits, mut after) = (Commits::new(), 0);
    let mut parts = Vec::new();
    loop {
        let path = format!("/api/v1/changes?after={after}&collections=c&wait=0");
        let answer = api.get(&path).await.expect(200);
        let text = answer.text();
        if text.is_empty() {
            return commits;
        }
        for line in text.lines() {
            let frame: Value = serde_json::from_str(line).unwrap();
            let version = frame["version"].as_str().unwrap().parse().unwrap();
            assert!(version > after, "commits are in order");
            let changes = frame["changes"].as_array().unwrap().iter().map(|change| {
                let after = &change["after"];
                let document = after["version"]
                    .as_str()
                    .map(|version| (version.parse().unwrap(), after["data"].clone()));
                (
                    change["path"]
                        .as_str()
                        .unwrap()
                        .trim_start_matches("c/")
                        .to_owned(),
                    document,
                )
            });
            parts.extend(changes);
            // A commit comes in parts where a reading of the log ends within it.
            if frame["more"] == false {
                after = version;
                commits.push((version, std::mem::take(&mut parts)));
            }
        }
        assert!(parts.is_empty(), "an answer of lines ends with a commit");
    }
}

/// What a listen has to hold of these documents.
fn evaluate(listen: &Listen, documents: &BTreeMap<String, (u64, Value)>) -> Result {
    let mut admitted: Vec<_> = documents
        .iter()
        .filter(|(id, (_, data))| (listen.admits)(id, data))
        .collect();
    if let Some((of, descending)) = listen.order {
        admitted.sort_by(|(left, (_, a)), (right, (_, b))| {
            let order = of(a).cmp(&of(b)).then(left.cmp(right));
            if descending { order.reverse() } else { order }
        });
    }
    admitted.truncate(listen.limit);
    admitted
        .into_iter()
        .map(|(id, (version, _))| (id.clone(), *version))
        .collect()
}

/// Holds every state against the log.
fn check(listener: &Listener, commits: &Commits) {
    let mut reached: Vec<_> = listener.reached.iter().collect();
    reached.sort_by_key(|(version, _)| *version);
    let mut documents = BTreeMap::new();
    let mut next = commits.iter().peekable();
    for (version, result) in reached {
        while let Some((_, changes)) = next.next_if(|(commit, _)| commit <= version) {
            for (id, document) in changes {
                match document {
                    Some(document) => documents.insert(id.clone(), document.clone()),
                    None => documents.remove(id),
                };
            }
        }
        let expected = evaluate(listener.listen, &documents);
        assert_eq!(*result, expected, "{} at {version}", listener.listen.parameters);
    }
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_state_that_anybody_reached_is_the_result_though_the_server_is_killed() {
    let seconds = number("ANDIRON_SOAK_SECONDS").unwrap_or(SECONDS);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let seed = number("ANDIRON_SOAK_SEED").unwrap_or(now.as_secs());
    println!("ANDIRON_SOAK_SEED={seed}");
    let mut random = Random(seed);
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("andiron.toml"), SETTINGS).unwrap();
    let mut server = ServerProcess::start(program(), folder.path(), &[]);
    let key = server.printed_key().unwrap().to_owned();
    let (place, places) = watch::channel(Some(server.address()));
    let (stop, stopped) = watch::channel(false);
    let (last, lasts) = watch::channel(None);
    let (commits, mut committed) = watch::channel(0);
    let mut writers = JoinSet::new();
    for _ in 0..WRITERS {
        let random = Random(random.draw());
        writers.spawn(write(
            random,
            key.clone(),
            places.clone(),
            commits.clone(),
            stopped.clone(),
        ));
    }
    let mut listeners = JoinSet::new();
    for listen in LISTENS.iter().chain(&LISTENS) {
        let listener = Listener {
            listen,
            random: Random(random.draw()),
            key: key.clone(),
            server: places.clone(),
            last: lasts.clone(),
            commits: commits.clone(),
            token: None,
            result: Result::new(),
            reached: Vec::new(),
            resumed: 0,
        };
        listeners.spawn(listener.run());
    }
    let begun = Instant::now();
    let mut kills = 0;
    while begun.elapsed() < Duration::from_secs(seconds) {
        let until =
            *committed.borrow() + LIFE_COMMITS.start + random.below(LIFE_COMMITS.end - LIFE_COMMITS.start);
        tokio::time::timeout(PATIENCE, committed.wait_for(|count| *count >= until))
            .await
            .expect("writers are answered")
            .unwrap();
        place.send_replace(None);
        server.kill();
        server.start_again();
        place.send_replace(Some(server.address()));
        kills += 1;
        if kills % 50 == 0 {
            println!(
                "{} s: {kills} kills, {} commits",
                begun.elapsed().as_secs(),
                *committed.borrow()
            );
        }
    }
    stop.send_replace(true);
    while let Some(written) = writers.join_next().await {
        written.unwrap();
    }
    let api = server.anonymous().with_key(&key);
    let commits = log(&api).await;
    last.send_replace(Some(commits.last().unwrap().0));
    let (mut states, mut resumed) = (0, 0);
    while let Some(listener) = tokio::time::timeout(PATIENCE, listeners.join_next())
        .await
        .expect("listeners get there")
    {
        let listener = listener.unwrap();
        check(&listener, &commits);
        states += listener.reached.len();
        resumed += listener.resumed;
    }
    println!(
        "{kills} kills, {} commits, {states} states, {resumed} resumed",
        commits.len()
    );
    assert!(resumed > 0, "somebody went on from where it was");
}
