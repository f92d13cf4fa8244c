//! The server is killed with -9 under load, again and again, and keeps what it has answered.
//!
//! Clients note what they are about to ask and what was answered. After each restart every answered commit must be
//! there, none half there, and the one that each client was waiting for must be there whole or not at all. This does not
//! show what a power cut does, because the system's page cache survives a kill; the SQLite store's own tests do.
//!
//! `ANDIRON_CRASH_CYCLES` sets how often (default 30), `ANDIRON_CRASH_SEED` repeats the moments of a run.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use andiron_testkit::{Answer, Api, ServerProcess};
use http::Method;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::{program, run};

const CYCLES: u64 = 30;
const CLIENTS: u64 = 8;
/// How long a server lives under load.
const LIFE_MILLIS: std::ops::Range<u64> = 40..700;

/// Indexes for the crashes to tear, if anything tears.
const INDEXES: &str = r#"{"indexes": [
    {"collection": "load", "fields": [["number", "asc"]]},
    {"collection": "pairs", "fields": [["client", "asc"], ["number", "desc"]]},
    {"collection": "slots", "scope": "group", "fields": [["number", "desc"]]}
]}"#;

/// What a client does: every kind changes documents of its own alone, so that it knows what must be there.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    /// A new document.
    Create,
    /// Two new documents and an increment, in one commit with an idempotency key.
    Commit,
    /// The next number into the client's one slot.
    Overwrite,
    /// The document of the step before the last goes.
    Delete,
}

/// A step of a client.
#[derive(Clone, Debug)]
struct Step {
    client: u64,
    number: u64,
    kind: Kind,
}

impl Step {
    fn of(client: u64, number: u64) -> Self {
        let kind = match number % 4 {
            0 => Kind::Create,
            1 => Kind::Commit,
            2 => Kind::Overwrite,
            _ => Kind::Delete,
        };
        Self { client, number, kind }
    }

    fn name(&self) -> String {
        format!("{}-{:08}", self.client, self.number)
    }

    /// The document that a delete is about: the one of the `Create` three steps before.
    fn victim(&self) -> String {
        format!("load/{}-{:08}", self.client, self.number - 3)
    }

    fn idempotency_key(&self) -> String {
        format!("step-{}", self.name())
    }

    async fn ask(&self, api: &Api) -> Result<Answer, String> {
        let (client, name) = (self.client, self.name());
        match self.kind {
            Kind::Create => {
                let path = format!("/api/v1/docs/load/{name}");
                let body = json!({"client": client, "number": self.number, "text": "x".repeat(200)});
                api.try_request(
                    Method::PUT,
                    &path,
                    &[("if-none-match", "*")],
                    Some(body.to_string()),
                )
                .await
            }
            Kind::Commit => {
                let body = json!({"writes": [
                    {"create": format!("pairs/{name}-a"), "data": {"client": client, "number": self.number}},
                    {"merge": format!("counters/{client}"), "data": {"commits": {"$inc": 1}}},
                    {"create": format!("pairs/{name}-b"), "data": {"client": client, "number": self.number}},
                ]});
                let key = self.idempotency_key();
                api.try_request(
                    Method::POST,
                    "/api/v1/commit",
                    &[("idempotency-key", &key)],
                    Some(body.to_string()),
                )
                .await
            }
            Kind::Overwrite => {
                let path = format!("/api/v1/docs/slots/{client}");
                let body = json!({"number": self.number}).to_string();
                api.try_request(Method::PUT, &path, &[], Some(body)).await
            }
            Kind::Delete => {
                let path = format!("/api/v1/docs/{}", self.victim());
                api.try_request(Method::DELETE, &path, &[], None).await
            }
        }
    }
}

/// What a client noted in one life of the server.
struct Notes {
    client: u64,
    /// Answered steps with the versions that the answers gave.
    answered: Vec<(Step, Option<u64>)>,
    /// The step that was asked and not answered.
    open: Option<Step>,
}

/// Asks step after step until no answer comes.
async fn load(api: Api, client: u64, from: u64) -> Notes {
    let mut answered = Vec::new();
    for number in from.. {
        let step = Step::of(client, number);
        match step.ask(&api).await {
            Ok(answer) => {
                assert!(
                    answer.status < 300,
                    "{step:?}: {} {}",
                    answer.status,
                    answer.text()
                );
                let version = (!answer.body.is_empty()).then(|| version_of(&answer.json()));
                answered.push((step, version));
            }
            Err(_) => {
                return Notes {
                    client,
                    answered,
                    open: Some(step),
                };
            }
        }
    }
    unreachable!("the server dies before the numbers end")
}

fn version_of(json: &Value) -> u64 {
    json["version"]
        .as_str()
        .and_then(|version| version.parse().ok())
        .expect("an answer has a version")
}

/// What must be in the store, kept over all lives.
#[derive(Default)]
struct Expected {
    /// Documents by path: the number they hold and, if an answer told it, their version.
    documents: BTreeMap<String, (u64, Option<u64>)>,
    /// Commits of each client that were applied.
    commits: BTreeMap<u64, u64>,
    /// The greatest version seen.
    version: u64,
    answered: u64,
}

impl Expected {
    /// Takes a step as done.
    fn apply(&mut self, step: &Step, version: Option<u64>) {
        self.version = self.version.max(version.unwrap_or(0));
        let (name, number) = (step.name(), step.number);
        match step.kind {
            Kind::Create => {
                self.documents.insert(format!("load/{name}"), (number, version));
            }
            Kind::Commit => {
                for part in ["a", "b"] {
                    self.documents
                        .insert(format!("pairs/{name}-{part}"), (number, version));
                }
                *self.commits.entry(step.client).or_default() += 1;
            }
            Kind::Overwrite => {
                self.documents
                    .insert(format!("slots/{}", step.client), (number, version));
            }
            Kind::Delete => {
                self.documents.remove(&step.victim());
            }
        }
    }
}

/// Documents by their paths as the server has them now, all at one version.
async fn read(api: &Api, paths: &[String]) -> (u64, Vec<Value>) {
    let mut documents = Vec::new();
    let mut version = 0;
    for paths in paths.chunks(1000) {
        let answer = api
            .post("/api/v1/batch-get", &json!({ "paths": paths }))
            .await
            .expect(200)
            .json();
        version = version_of(&answer);
        documents.extend(answer["documents"].as_array().expect("an array").iter().cloned());
    }
    (version, documents)
}

/// Finds out whether a step that was not answered was done: whole or not at all.
async fn settle(api: &Api, step: &Step, expected: &mut Expected) {
    let paths = match step.kind {
        Kind::Create => vec![format!("load/{}", step.name())],
        Kind::Commit => vec![
            format!("pairs/{}-a", step.name()),
            format!("pairs/{}-b", step.name()),
        ],
        Kind::Overwrite => vec![format!("slots/{}", step.client)],
        Kind::Delete => vec![step.victim()],
    };
    let (_, found) = read(api, &paths).await;
    let done: Vec<bool> = found
        .iter()
        .map(|document| match step.kind {
            Kind::Create | Kind::Commit => !document.is_null(),
            Kind::Overwrite => document["data"]["number"] == step.number,
            Kind::Delete => document.is_null(),
        })
        .collect();
    assert!(
        done.iter().all(|part| *part == done[0]),
        "{step:?} is half there: {found:?}"
    );
    if step.kind == Kind::Commit {
        // The client knows nothing, so it asks again with the same key: it is done once, whether or not it was before.
        let again = step.ask(api).await.expect("the server is up").expect(200).json();
        let version = version_of(&again);
        if done[0] {
            assert_eq!(
                found[0]["version"], again["version"],
                "{step:?}: a retry gives the first answer"
            );
        } else {
            assert!(
                version > expected.version,
                "{step:?}: versions never step back: {version} after {}",
                expected.version
            );
        }
        expected.apply(step, Some(version));
    } else if done[0] {
        let version = found[0].get("version").map(|_| version_of(&found[0]));
        expected.apply(step, version);
    }
}

/// Compares documents with what must be there.
async fn compare(api: &Api, expected: &Expected, paths: &[String]) {
    let (_, found) = read(api, paths).await;
    for (path, document) in paths.iter().zip(&found) {
        match expected.documents.get(path) {
            Some((number, version)) => {
                assert_eq!(document["data"]["number"], *number, "{path}: {document}");
                if let Some(version) = version {
                    assert_eq!(version_of(document), *version, "{path}: {document}");
                }
            }
            None => assert!(document.is_null(), "{path} was deleted: {document}"),
        }
    }
}

async fn compare_counters(api: &Api, expected: &Expected) {
    for (client, commits) in &expected.commits {
        let counter = api
            .get(&format!("/api/v1/docs/counters/{client}"))
            .await
            .expect(200)
            .json();
        assert_eq!(counter["data"]["commits"], *commits, "client {client}: {counter}");
    }
}

/// Moments, in a row that a seed repeats.
pub(crate) struct Moments(pub(crate) u64);

impl Moments {
    pub(crate) fn next(&mut self, range: std::ops::Range<u64>) -> u64 {
        // Xorshift: any row of moments will do that can be had again.
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        range.start + self.0 % (range.end - range.start)
    }
}

/// The seed of a run: that of the environment, or another each time.
pub(crate) fn seed() -> u64 {
    from_environment("ANDIRON_CRASH_SEED").unwrap_or_else(|| {
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        u64::from(since_1970.subsec_nanos()) | 1
    })
}

pub(crate) fn from_environment(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| {
        text.parse()
            .unwrap_or_else(|_| panic!("{name} is a number, not `{text}`"))
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crash_under_load_loses_nothing_that_was_answered() {
    let cycles = from_environment("ANDIRON_CRASH_CYCLES").unwrap_or(CYCLES);
    let seed = seed();
    println!("{cycles} cycles, ANDIRON_CRASH_SEED={seed}");
    let mut moments = Moments(seed);
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("andiron.indexes.json"), INDEXES).unwrap();
    let key = run(folder.path(), &["key", "create", "crash"]).expect(0).stdout;
    let key = key.trim();
    let mut server = ServerProcess::start(program(), folder.path(), &[]);
    let mut expected = Expected::default();
    let mut next = BTreeMap::from_iter((0..CLIENTS).map(|client| (client, 0)));
    for cycle in 1..=cycles {
        let api = server.anonymous().with_key(key);
        let mut clients = JoinSet::new();
        for (&client, &from) in &next {
            clients.spawn(load(api.clone(), client, from));
        }
        tokio::time::sleep(Duration::from_millis(moments.next(LIFE_MILLIS))).await;
        server.kill();
        let notes = clients.join_all().await;
        server.start_again();
        let api = server.anonymous().with_key(key);

        let mut touched = Vec::new();
        let mut last_commit = None;
        for Notes { answered, .. } in &notes {
            for (step, version) in answered {
                expected.apply(step, *version);
                expected.answered += 1;
                touched.push(match step.kind {
                    Kind::Create => format!("load/{}", step.name()),
                    Kind::Commit => format!("pairs/{}-b", step.name()),
                    Kind::Overwrite => format!("slots/{}", step.client),
                    Kind::Delete => step.victim(),
                });
                if step.kind == Kind::Commit {
                    last_commit = Some((step.clone(), *version));
                }
            }
        }
        let (version, _) = read(&api, &["load/none".to_owned()]).await;
        assert!(
            version >= expected.version,
            "the newest version {version} is older than an answer's, {}",
            expected.version
        );
        for Notes { client, open, .. } in notes {
            let step = open.expect("every client was waiting for something when the server died");
            settle(&api, &step, &mut expected).await;
            // A step that was not done is not asked again, but for a commit, so a later delete may find nothing. Fine.
            next.insert(client, step.number + 1);
        }
        compare(&api, &expected, &touched).await;
        compare_counters(&api, &expected).await;
        if let Some((step, version)) = last_commit {
            let again = step.ask(&api).await.unwrap().expect(200).json();
            assert_eq!(
                Some(version_of(&again)),
                version,
                "{step:?}: a retry of what was answered gives that answer"
            );
        }
        // Pages, indexes against scans, the change log against the documents.
        if cycle % 10 == 0 || cycle == cycles {
            run(folder.path(), &["doctor"]).expect(0);
            println!(
                "{cycle} of {cycles} cycles, {} steps answered, none lost",
                expected.answered
            );
        }
    }
    let all: Vec<_> = expected.documents.keys().cloned().collect();
    let api = server.anonymous().with_key(key);
    compare(&api, &expected, &all).await;
    for collection in ["load", "pairs", "slots"] {
        let prefix = format!("{collection}/");
        let documents = expected
            .documents
            .keys()
            .filter(|path| path.starts_with(&prefix))
            .count();
        let body = json!({"query": {"from": collection}, "aggregates": {"n": ["count"]}});
        let counted = api.post("/api/v1/aggregate", &body).await.expect(200).json();
        assert_eq!(
            counted["aggregates"]["n"], documents,
            "{collection} has nothing else"
        );
    }
    for (client, commits) in &expected.commits {
        let pairs = json!({"from": "pairs", "where": ["and", ["client", "==", client], ["number", ">=", 0]]});
        let body = json!({"query": pairs, "aggregates": {"n": ["count"]}});
        let counted = api
            .post("/api/v1/aggregate?explain=true", &body)
            .await
            .expect(200)
            .json();
        assert_eq!(
            counted["aggregates"]["n"],
            2 * commits,
            "client {client}: {counted}"
        );
        assert!(
            !counted["plan"]["index"].is_null(),
            "the index was asked: {counted}"
        );
    }
    println!("{} steps were answered", expected.answered);
    assert!(
        expected.answered > cycles,
        "the server did something between its deaths"
    );
}
