//! Andiron, asked through its REST interface with a service key.

use std::{
    ops::Range,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{CREATED, ITEMS, LIVE, Session, Target};
use crate::{
    BenchError,
    dataset::{self, Document},
    files::{Envelope, FileDialect},
    http::{self, Client},
    live::{LiveDialect, LiveDocument, Wire},
    process::{self, AddressSource, ServerProcess},
    workload::{Dialect, GROWTH_LIMIT, LIST_LIMIT, Statuses},
};

/// Documents a commit while loading: the most that a commit takes by default.
const LOAD_COMMIT_WRITES: u32 = 500;

/// An adaptive index that is not used by then will not come.
const INDEX_TIMEOUT: Duration = Duration::from_secs(300);

/// Lists asked between two looks at the plan: what makes the server see that an index would help.
const LISTS_PER_LOOK: u32 = 50;

/// Andiron by its executable.
#[derive(Debug, Clone)]
pub struct Andiron {
    name: &'static str,
    binary: PathBuf,
    /// Settings other than those it comes with, as variables.
    settings: &'static [(&'static str, &'static str)],
}

impl Andiron {
    /// An Andiron at `binary` as it comes: every answer to a write comes after its fsync.
    #[must_use]
    pub fn new(binary: PathBuf) -> Self {
        Self {
            name: "andiron",
            binary,
            settings: &[],
        }
    }

    /// An Andiron in which anybody may sign up and in as often as the machine can.
    #[must_use]
    pub fn without_attempt_limits(binary: PathBuf) -> Self {
        Self {
            settings: &[
                ("ANDIRON_AUTH_SIGN_INS_PER_MINUTE", "1000000"),
                ("ANDIRON_AUTH_SIGN_UPS_PER_HOUR", "1000000"),
                ("ANDIRON_AUTH_WRONG_PASSWORDS", "1000000"),
            ],
            ..Self::new(binary)
        }
    }

    /// An Andiron that gives the durability of SQLite's `synchronous=NORMAL`, which is what PocketBase has.
    #[must_use]
    pub fn relaxed(binary: PathBuf) -> Self {
        Self {
            name: "andiron-relaxed",
            binary,
            settings: &[("ANDIRON_DURABILITY", "relaxed")],
        }
    }

    fn failure(&self, detail: impl Into<String>) -> BenchError {
        BenchError::Server {
            server: self.name.into(),
            detail: detail.into(),
        }
    }

    /// Asks one shape of list until its plan is an index that fits.
    fn await_index(
        &self,
        client: &mut Client,
        limit: u32,
        list: impl Fn(u32) -> Vec<u8>,
    ) -> Result<(), BenchError> {
        let begun = Instant::now();
        loop {
            for number in 0..LISTS_PER_LOOK {
                client.expect("a list", 200, &list(number % dataset::CATEGORIES))?;
            }
            let answer = client.expect("a plan", 200, &explained(&list(0)))?;
            let plan = serde_json::from_slice::<Value>(&answer).unwrap_or_default()["plan"].take();
            if reads_a_fitting_index(&plan, limit) {
                return Ok(());
            }
            if begun.elapsed() > INDEX_TIMEOUT {
                return Err(self.failure(format!("no fitting index after 300 s; the plan is {plan}")));
            }
        }
    }
}

/// The same query, with its plan.
fn explained(query: &[u8]) -> Vec<u8> {
    let request = String::from_utf8_lossy(query).replacen("/api/v1/query ", "/api/v1/query?explain=true ", 1);
    request.into_bytes()
}

/// Whether a plan reads an index, and little more of it than the answer holds.
fn reads_a_fitting_index(plan: &Value, limit: u32) -> bool {
    let named = plan["index"].is_string() || plan["index"].is_object();
    named
        && plan["entriesRead"]
            .as_u64()
            .is_none_or(|read| read <= 4 * u64::from(limit))
}

impl Target for Andiron {
    fn name(&self) -> &str {
        self.name
    }

    fn binary(&self) -> &Path {
        &self.binary
    }

    fn version(&self) -> Result<String, BenchError> {
        process::output_of(self.name, Command::new(&self.binary).arg("version"))
    }

    fn start(&self, folder: &Path) -> Result<ServerProcess, BenchError> {
        let mut command = Command::new(&self.binary);
        command
            .arg("serve")
            .arg("--dir")
            .arg(folder)
            .args(["--listen", "127.0.0.1:0"]);
        command.envs(self.settings.iter().copied());
        ServerProcess::start(
            self.name,
            command,
            AddressSource::Printed,
            "/readyz",
            &process::log_path(folder),
        )
    }

    fn open(&self, folder: &Path) -> Result<Session, BenchError> {
        let mut command = Command::new(&self.binary);
        let key = process::output_of(
            self.name,
            command.args(["key", "create", "bench", "--dir"]).arg(folder),
        )?;
        if !key.starts_with("ak_") || key.contains(char::is_whitespace) {
            return Err(self.failure("`key create` printed something else than a key"));
        }
        let server = self.start(folder)?;
        let dialect = Box::new(AndironDialect {
            authorization: format!("Authorization: Bearer {key}"),
        });
        Ok(Session {
            server,
            live: Some(dialect.clone()),
            files: Some(dialect.clone()),
            dialect,
            folder: folder.to_owned(),
        })
    }

    fn load(&self, session: &Session, numbers: Range<u32>) -> Result<(), BenchError> {
        let mut client = Client::connect(session.server.address())?;
        let mut from = numbers.start;
        while from < numbers.end {
            let to = numbers.end.min(from + LOAD_COMMIT_WRITES);
            let writes: Vec<_> = (from..to)
                .map(dataset::document)
                .map(|document| json!({ "set": format!("{ITEMS}/{}", document.id), "data": data(&document) }))
                .collect();
            let body = json!({ "writes": writes }).to_string();
            client.expect("a commit", 200, &session.dialect.post("/api/v1/commit", &body))?;
            from = to;
        }
        Ok(())
    }

    fn settle(&self, session: &Session) -> Result<(), BenchError> {
        let mut client = Client::connect(session.server.address())?;
        let dialect = session.dialect.as_ref();
        self.await_index(&mut client, LIST_LIMIT, |number| {
            dialect.list(&dataset::category(number), LIST_LIMIT)
        })?;
        let middle = dataset::moment(dataset::SPAN_MS / 2);
        self.await_index(&mut client, GROWTH_LIMIT, |number| {
            dialect.list_before(&dataset::category(number), middle, GROWTH_LIMIT)
        })
    }

    fn ids(&self, list: &[u8]) -> Result<Vec<String>, BenchError> {
        let list: Value = serde_json::from_slice(list).unwrap_or_default();
        let documents = list["documents"]
            .as_array()
            .ok_or_else(|| self.failure("a list without `documents`"))?;
        Ok(documents
            .iter()
            .filter_map(|document| document["id"].as_str())
            .map(str::to_owned)
            .collect())
    }
}

fn data(document: &Document) -> Value {
    json!({
        "title": document.title,
        "body": document.body,
        "author": document.author,
        "category": document.category,
        "published": document.published,
        "rating": document.rating,
        "views": document.views,
        "createdAt": time(document.created_at),
        "tags": document.tags,
    })
}

fn time(moment: Timestamp) -> Value {
    json!({ "$time": moment.to_string() })
}

#[derive(Debug, Clone)]
struct AndironDialect {
    authorization: String,
}

impl AndironDialect {
    fn query(&self, conditions: &Value, limit: u32) -> Vec<u8> {
        let query =
            json!({ "from": ITEMS, "where": conditions, "orderBy": [["createdAt", "desc"]], "limit": limit });
        self.post("/api/v1/query", &query.to_string())
    }
}

impl Dialect for AndironDialect {
    fn create(&self, document: &Document) -> Vec<u8> {
        self.post(&format!("/api/v1/docs/{CREATED}"), &data(document).to_string())
    }

    fn read(&self, id: &str) -> Vec<u8> {
        http::request(
            "GET",
            &format!("/api/v1/docs/{ITEMS}/{id}"),
            &[&self.authorization],
            None,
        )
    }

    fn patch(&self, id: &str, views: &str) -> Vec<u8> {
        let path = format!("/api/v1/docs/{ITEMS}/{id}");
        http::request(
            "PATCH",
            &path,
            &[&self.authorization],
            Some(format!("{{\"views\":{views}}}").as_bytes()),
        )
    }

    fn list(&self, category: &str, limit: u32) -> Vec<u8> {
        self.query(
            &json!(["and", ["category", "==", category], ["published", "==", true]]),
            limit,
        )
    }

    fn list_before(&self, category: &str, moment: Timestamp, limit: u32) -> Vec<u8> {
        self.query(
            &json!([
                "and",
                ["category", "==", category],
                ["createdAt", "<", time(moment)]
            ]),
            limit,
        )
    }

    fn post(&self, path: &str, body: &str) -> Vec<u8> {
        http::request("POST", path, &[&self.authorization], Some(body.as_bytes()))
    }

    fn statuses(&self) -> Statuses {
        Statuses { create: 201, ok: 200 }
    }
}

impl LiveDialect for AndironDialect {
    fn wire(&self) -> Wire {
        Wire::WebSocket
    }

    fn put(&self, document: &LiveDocument) -> Vec<u8> {
        let data = json!({ "owner": document.owner, "text": document.text, "sent": document.sent });
        // As a commit: a plain PUT answers differently to what is new and to what was there.
        let write = json!({ "set": format!("{LIVE}/{}", document.id), "data": data });
        let body = json!({ "writes": [write] }).to_string();
        Dialect::post(self, "/api/v1/commit", &body)
    }

    fn patch(&self, id: &str, sent: &str) -> Vec<u8> {
        http::request(
            "PATCH",
            &format!("/api/v1/docs/{LIVE}/{id}"),
            &[&self.authorization],
            Some(format!("{{\"sent\":{sent}}}").as_bytes()),
        )
    }

    fn connect(&self) -> Vec<u8> {
        let upgrade = [
            &self.authorization,
            "Connection: Upgrade",
            "Upgrade: websocket",
            "Sec-WebSocket-Version: 13",
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
            "Sec-WebSocket-Protocol: andiron.v1",
        ];
        http::request("GET", "/api/v1/live", &upgrade, None)
    }

    fn subscribe(&self, listen: usize, owner: Option<&str>, _client_id: &str) -> Vec<u8> {
        let mut query = json!({ "from": LIVE });
        if let Some(owner) = owner {
            query["where"] = json!(["owner", "==", owner]);
        }
        json!({ "op": "listen", "id": listen, "query": query })
            .to_string()
            .into_bytes()
    }

    fn statuses(&self) -> (u16, u16, u16) {
        (200, 200, 0)
    }
}

/// The bucket that files go to; any variants are made of its images.
const BUCKET: &str = "bench";
/// A bucket with a limit that is never reached.
const LIMITED_BUCKET: &str = "limited";

impl AndironDialect {
    fn put(&self, bucket: &str, name: &str, content_type: &str, size: usize) -> Envelope {
        let headers = [
            self.authorization.as_str(),
            &format!("Content-Type: {content_type}"),
            &format!("Content-Length: {size}"),
        ];
        Envelope {
            head: http::request("PUT", &format!("/api/v1/files/{bucket}/{name}"), &headers, None),
            tail: Vec::new(),
            status: 201,
        }
    }

    fn bucket(&self, name: &str, settings: &Value) -> (u16, Vec<u8>) {
        let path = format!("/api/v1/admin/buckets/{name}");
        let body = settings.to_string();
        (
            200,
            http::request("PUT", &path, &[&self.authorization], Some(body.as_bytes())),
        )
    }
}

impl FileDialect for AndironDialect {
    fn set_up(&self) -> Vec<(u16, Vec<u8>)> {
        vec![
            self.bucket(BUCKET, &json!({ "freeVariants": true })),
            self.bucket(LIMITED_BUCKET, &json!({ "bytes": 1_u64 << 40 })),
        ]
    }

    fn upload(&self, name: &str, content_type: &str, size: usize) -> Envelope {
        self.put(BUCKET, name, content_type, size)
    }

    fn location(&self, name: &str, _answer: &[u8]) -> String {
        format!("/api/v1/files/{BUCKET}/{name}")
    }

    fn download(&self, location: &str) -> Vec<u8> {
        http::request("GET", location, &[&self.authorization], None)
    }

    fn thumbnail(&self, location: &str) -> Vec<u8> {
        let path = format!("{location}?width=100&height=100&fit=cover");
        http::request("GET", &path, &[&self.authorization], None)
    }

    fn limited_upload(&self, name: &str, size: usize) -> Option<Envelope> {
        Some(self.put(LIMITED_BUCKET, name, "application/octet-stream", size))
    }

    fn begin_resumable(&self, name: &str, size: usize) -> Option<Envelope> {
        let headers = [
            self.authorization.as_str(),
            "Tus-Resumable: 1.0.0",
            "Content-Length: 0",
            &format!("Upload-Length: {size}"),
            &format!(
                "Upload-Metadata: bucket {},name {}",
                STANDARD.encode(BUCKET),
                STANDARD.encode(name)
            ),
        ];
        Some(Envelope {
            head: http::request("POST", "/api/v1/uploads", &headers, None),
            tail: Vec::new(),
            status: 201,
        })
    }

    fn proceed(&self, location: &str, size: usize) -> Option<Envelope> {
        let headers = [
            self.authorization.as_str(),
            "Tus-Resumable: 1.0.0",
            "Upload-Offset: 0",
            "Content-Type: application/offset+octet-stream",
            &format!("Content-Length: {size}"),
        ];
        Some(Envelope {
            head: http::request("PATCH", location, &headers, None),
            tail: Vec::new(),
            status: 204,
        })
    }
}
