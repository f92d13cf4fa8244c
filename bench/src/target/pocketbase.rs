//! PocketBase, started and asked as its own documentation describes it.
//!
//! Its collections are open to everybody, so that it spends nothing on who asks; `items` has the index that the lists
//! want; lists leave the total out, as Andiron's do; its log of every request, which it keeps in a database of its own,
//! is off unless asked for, because Andiron keeps none. Everything else is as it is out of the box.

use std::{
    ops::Range,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{CREATED, ITEMS, LIVE, Session, Target, encode};
use crate::{
    BenchError,
    dataset::{self, Document},
    files::{Envelope, FileDialect},
    http::{self, Client},
    live::{LiveDialect, LiveDocument, Wire},
    load::{self, Feed, Load},
    process::{self, AddressSource, ServerProcess},
    workload::{Dialect, Statuses},
};

const ADMIN: &str = "bench@example.com";
/// Guards a folder that is deleted after the run.
const PASSWORD: &str = "only-for-the-benchmark";

/// The collection of files, one a record.
const FILES: &str = "files";
/// Bytes of a file.
const FILE_BYTES_MAX: u64 = 1 << 30;
/// What stands between the parts of a form; random bytes do not have it.
const BOUNDARY: &str = "----andiron-bench-2f1c7a90d4b8";

/// Connections that load documents.
const LOAD_CONNECTIONS: usize = 32;

/// Loading ends by itself; this only bounds it.
const LOAD_TIMEOUT: Duration = Duration::from_secs(3600);

/// PocketBase by its executable.
#[derive(Debug, Clone)]
pub struct PocketBase {
    binary: PathBuf,
    request_log: bool,
}

impl PocketBase {
    /// A PocketBase at `binary`, with or without its log of every request.
    #[must_use]
    pub fn new(binary: PathBuf, request_log: bool) -> Self {
        Self { binary, request_log }
    }

    fn command(&self, folder: &Path) -> Command {
        let mut command = Command::new(&self.binary);
        // It looks for hooks, migrations and public files beside the working directory.
        command.current_dir(folder).args(["--dir", "pb_data"]);
        command
    }

    fn failure(detail: impl Into<String>) -> BenchError {
        BenchError::Server {
            server: "pocketbase".into(),
            detail: detail.into(),
        }
    }

    fn set_up(&self, address: std::net::SocketAddr) -> Result<(), BenchError> {
        let mut client = Client::connect(address)?;
        let login = json!({ "identity": ADMIN, "password": PASSWORD }).to_string();
        let path = "/api/collections/_superusers/auth-with-password";
        let answer = client.expect(
            "the login",
            200,
            &http::request("POST", path, &[], Some(login.as_bytes())),
        )?;
        let answer: Value = serde_json::from_slice(&answer).unwrap_or_default();
        let token = answer["token"]
            .as_str()
            .ok_or_else(|| Self::failure("the login gave no token"))?;
        let authorization = format!("Authorization: {token}");
        if !self.request_log {
            let body = json!({ "logs": { "maxDays": 0 } }).to_string();
            let request = http::request("PATCH", "/api/settings", &[&authorization], Some(body.as_bytes()));
            client.expect("turning the request log off", 200, &request)?;
        }
        let fields = json!([
            { "name": "title", "type": "text" },
            { "name": "body", "type": "text" },
            { "name": "author", "type": "text" },
            { "name": "category", "type": "text" },
            { "name": "published", "type": "bool" },
            { "name": "rating", "type": "number" },
            { "name": "views", "type": "number" },
            { "name": "createdAt", "type": "date" },
            { "name": "tags", "type": "json" },
        ]);
        // `created` gets no index: its documents are never asked for, by neither server.
        let index =
            format!("CREATE INDEX `idx_{ITEMS}` ON `{ITEMS}` (`category`, `published`, `createdAt` DESC)");
        let live = json!([
            { "name": "owner", "type": "text" },
            { "name": "text", "type": "text", "max": 100_000 },
            { "name": "sent", "type": "number" },
        ]);
        let file = json!([{
            "name": "file", "type": "file", "maxSelect": 1, "maxSize": FILE_BYTES_MAX, "thumbs": ["100x100"],
        }]);
        let collections = [
            (ITEMS, &fields, json!([index])),
            (CREATED, &fields, json!([])),
            (LIVE, &live, json!([])),
            (FILES, &file, json!([])),
        ];
        for (name, fields, indexes) in collections {
            let body = json!({
                "name": name, "type": "base", "fields": fields, "indexes": indexes,
                "listRule": "", "viewRule": "", "createRule": "", "updateRule": "", "deleteRule": "",
            })
            .to_string();
            let request = http::request(
                "POST",
                "/api/collections",
                &[&authorization],
                Some(body.as_bytes()),
            );
            client.expect("making a collection", 200, &request)?;
        }
        Ok(())
    }
}

impl Target for PocketBase {
    fn name(&self) -> &str {
        "pocketbase"
    }

    fn binary(&self) -> &Path {
        &self.binary
    }

    fn version(&self) -> Result<String, BenchError> {
        process::output_of(self.name(), Command::new(&self.binary).arg("--version"))
    }

    fn start(&self, folder: &Path) -> Result<ServerProcess, BenchError> {
        let address = process::free_address()?;
        let mut command = self.command(folder);
        command.args(["serve", "--http", &address.to_string()]);
        let log = process::log_path(folder);
        ServerProcess::start(
            self.name(),
            command,
            AddressSource::Given(address),
            "/api/health",
            &log,
        )
    }

    fn open(&self, folder: &Path) -> Result<Session, BenchError> {
        process::output_of(
            self.name(),
            self.command(folder)
                .args(["superuser", "upsert", ADMIN, PASSWORD]),
        )?;
        let server = self.start(folder)?;
        self.set_up(server.address())?;
        Ok(Session {
            server,
            dialect: Box::new(PocketBaseDialect),
            live: Some(Box::new(PocketBaseDialect)),
            files: Some(Box::new(PocketBaseDialect)),
            folder: folder.to_owned(),
        })
    }

    fn load(&self, session: &Session, numbers: Range<u32>) -> Result<(), BenchError> {
        let load = Load {
            address: session.server.address(),
            pid: session.server.pid(),
            connections: LOAD_CONNECTIONS,
            warm_up: Duration::ZERO,
            measure: LOAD_TIMEOUT,
        };
        load::run(&load, &mut Loading(numbers), None).map(|_| ())
    }

    fn settle(&self, _session: &Session) -> Result<(), BenchError> {
        // Its index was declared with the collection.
        Ok(())
    }

    fn ids(&self, list: &[u8]) -> Result<Vec<String>, BenchError> {
        let list: Value = serde_json::from_slice(list).unwrap_or_default();
        let items = list["items"]
            .as_array()
            .ok_or_else(|| Self::failure("a list without `items`"))?;
        Ok(items
            .iter()
            .filter_map(|item| item["id"].as_str())
            .map(str::to_owned)
            .collect())
    }
}

/// Creates of the data set's documents with their own ids.
struct Loading(Range<u32>);

impl Feed for Loading {
    fn next(&mut self, out: &mut Vec<u8>) -> Option<u16> {
        let document = dataset::document(self.0.next()?);
        let mut data = record(&document);
        data["id"] = json!(document.id);
        let path = format!("/api/collections/{ITEMS}/records");
        out.extend(http::request(
            "POST",
            &path,
            &[],
            Some(data.to_string().as_bytes()),
        ));
        Some(200)
    }
}

fn record(document: &Document) -> Value {
    json!({
        "title": document.title,
        "body": document.body,
        "author": document.author,
        "category": document.category,
        "published": document.published,
        "rating": document.rating,
        "views": document.views,
        "createdAt": date(document.created_at),
        "tags": document.tags,
    })
}

/// PocketBase writes and compares dates in this form.
fn date(moment: Timestamp) -> String {
    moment.strftime("%Y-%m-%d %H:%M:%S%.3fZ").to_string()
}

#[derive(Debug)]
struct PocketBaseDialect;

impl PocketBaseDialect {
    fn list_where(filter: &str, limit: u32) -> Vec<u8> {
        let filter = encode(filter);
        let path = format!(
            "/api/collections/{ITEMS}/records?perPage={limit}&skipTotal=1&sort=-createdAt&filter={filter}"
        );
        http::request("GET", &path, &[], None)
    }
}

impl Dialect for PocketBaseDialect {
    fn create(&self, document: &Document) -> Vec<u8> {
        let path = format!("/api/collections/{CREATED}/records");
        http::request("POST", &path, &[], Some(record(document).to_string().as_bytes()))
    }

    fn read(&self, id: &str) -> Vec<u8> {
        http::request(
            "GET",
            &format!("/api/collections/{ITEMS}/records/{id}"),
            &[],
            None,
        )
    }

    fn patch(&self, id: &str, views: &str) -> Vec<u8> {
        let path = format!("/api/collections/{ITEMS}/records/{id}");
        http::request(
            "PATCH",
            &path,
            &[],
            Some(format!("{{\"views\":{views}}}").as_bytes()),
        )
    }

    fn list(&self, category: &str, limit: u32) -> Vec<u8> {
        Self::list_where(&format!("category = '{category}' && published = true"), limit)
    }

    fn list_before(&self, category: &str, moment: Timestamp, limit: u32) -> Vec<u8> {
        Self::list_where(
            &format!("category = '{category}' && createdAt < '{}'", date(moment)),
            limit,
        )
    }

    fn post(&self, path: &str, body: &str) -> Vec<u8> {
        http::request("POST", path, &[], Some(body.as_bytes()))
    }

    fn statuses(&self) -> Statuses {
        Statuses { create: 200, ok: 200 }
    }
}

impl LiveDialect for PocketBaseDialect {
    fn wire(&self) -> Wire {
        Wire::EventStream
    }

    fn put(&self, document: &LiveDocument) -> Vec<u8> {
        let record = json!({
            "id": document.id, "owner": document.owner, "text": document.text, "sent": document.sent,
        });
        let path = format!("/api/collections/{LIVE}/records");
        http::request("POST", &path, &[], Some(record.to_string().as_bytes()))
    }

    fn patch(&self, id: &str, sent: &str) -> Vec<u8> {
        let path = format!("/api/collections/{LIVE}/records/{id}");
        http::request(
            "PATCH",
            &path,
            &[],
            Some(format!("{{\"sent\":{sent}}}").as_bytes()),
        )
    }

    fn connect(&self) -> Vec<u8> {
        http::request("GET", "/api/realtime", &["Accept: text/event-stream"], None)
    }

    fn subscribe(&self, _listen: usize, _owner: Option<&str>, client_id: &str) -> Vec<u8> {
        let body = json!({ "clientId": client_id, "subscriptions": [format!("{LIVE}/*")] });
        http::request("POST", "/api/realtime", &[], Some(body.to_string().as_bytes()))
    }

    fn statuses(&self) -> (u16, u16, u16) {
        (200, 200, 204)
    }
}

impl FileDialect for PocketBaseDialect {
    fn set_up(&self) -> Vec<(u16, Vec<u8>)> {
        // The collection is there with the others.
        Vec::new()
    }

    fn upload(&self, name: &str, content_type: &str, size: usize) -> Envelope {
        let part = format!(
            "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{name}\"\r\n\
             Content-Type: {content_type}\r\n\r\n"
        );
        let tail = format!("\r\n--{BOUNDARY}--\r\n").into_bytes();
        let headers = [
            format!("Content-Type: multipart/form-data; boundary={BOUNDARY}"),
            format!("Content-Length: {}", part.len() + size + tail.len()),
        ];
        let path = format!("/api/collections/{FILES}/records");
        let mut head = http::request("POST", &path, &[&headers[0], &headers[1]], None);
        head.extend_from_slice(part.as_bytes());
        Envelope {
            head,
            tail,
            status: 200,
        }
    }

    fn location(&self, _name: &str, answer: &[u8]) -> String {
        let answer: Value = serde_json::from_slice(answer).unwrap_or_default();
        let field = |name: &str| answer[name].as_str().unwrap_or_default().to_owned();
        format!("/api/files/{FILES}/{}/{}", field("id"), field("file"))
    }

    fn download(&self, location: &str) -> Vec<u8> {
        http::request("GET", location, &[], None)
    }

    fn thumbnail(&self, location: &str) -> Vec<u8> {
        http::request("GET", &format!("{location}?thumb=100x100"), &[], None)
    }

    fn limited_upload(&self, _name: &str, _size: usize) -> Option<Envelope> {
        None
    }

    fn begin_resumable(&self, _name: &str, _size: usize) -> Option<Envelope> {
        None
    }

    fn proceed(&self, _location: &str, _size: usize) -> Option<Envelope> {
        None
    }
}
