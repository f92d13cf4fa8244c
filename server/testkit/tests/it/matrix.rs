//! No path forgets the rules: every operation of the API by callers of every kind.
//!
//! The operations are those of the document that the router makes of itself. One that is in none of the tables here fails
//! the test: whoever adds a route says here who may do what with it.

use std::collections::BTreeSet;

use andiron_testkit::{Answer, Api, TestServer};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::Method;
use serde_json::{Value, json};

/// What stands in every document that its owner alone may see, and must be in nobody else's answer.
const SECRET: &str = "treasure-under-the-oak";

/// A number beside it.
const NUMBER: u32 = 2_718_281_828;

/// A note is seen, changed and deleted by its owner, and by nobody else; everybody sees public ones.
const RULES: &str = "rules_version = '2';
service cloud.firestore {
  match /databases/{db}/documents {
    match /{parents=**}/notes/{note} {
      allow read: if resource.data.public == true || resource.data.owner == request.auth.uid;
      allow create: if request.resource.data.owner == request.auth.uid;
      allow update: if resource.data.owner == request.auth.uid && request.resource.data.owner == resource.data.owner;
      allow delete: if resource.data.owner == request.auth.uid;
    }
  }
}
service firebase.storage {
  match /b/{bucket}/o/notes/{note} {
    allow read, delete: if resource.metadata.owner == request.auth.uid;
    allow create: if (resource == null || resource.metadata.owner == request.auth.uid)
      && request.resource.metadata.owner == request.auth.uid;
    allow update: if resource.metadata.owner == request.auth.uid && request.resource.metadata.owner == resource.metadata.owner;
  }
}
";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Anonymous,
    Owner,
    Other,
    Admin,
    Key,
}

impl Kind {
    const ALL: [Self; 5] = [Self::Anonymous, Self::Owner, Self::Other, Self::Admin, Self::Key];

    fn passes_every_rule(self) -> bool {
        matches!(self, Self::Admin | Self::Key)
    }
}

/// Who may do something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Who {
    /// The owner of the note and administrators; others are denied.
    Owner,
    /// Everybody is answered, but only those see the note who may.
    Seen,
    /// Administrators.
    Admins,
}

/// One way to reach a note.
struct Operation {
    name: &'static str,
    /// As the document has them.
    method: &'static str,
    route: &'static str,
    who: Who,
    /// Makes the request about the note of this path and id.
    ask: fn(&str, &str) -> Ask,
}

struct Ask {
    target: String,
    headers: Vec<(&'static str, String)>,
    body: Option<Value>,
}

fn ask(target: impl Into<String>) -> Ask {
    Ask {
        target: target.into(),
        headers: Vec::new(),
        body: None,
    }
}

fn send(target: impl Into<String>, body: Value) -> Ask {
    Ask {
        body: Some(body),
        ..ask(target)
    }
}

impl Ask {
    fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}

fn commit(writes: Value) -> Ask {
    send("/api/v1/commit", json!({ "writes": writes }))
}

fn query(query: Value) -> Ask {
    send("/api/v1/query", query)
}

fn by_id(id: &str) -> Value {
    json!(["__id__", "==", id])
}

const DOCUMENT: &str = "/api/v1/docs/{path}";
const QUERY: &str = "/api/v1/query";
const AGGREGATE: &str = "/api/v1/aggregate";
const COMMIT: &str = "/api/v1/commit";
const LISTEN: &str = "/api/v1/listen";
const FILE: &str = "/api/v1/files/{bucket}/{name}";
const FILES: &str = "/api/v1/files/{bucket}";

macro_rules! operations {
    ($($name:literal $method:literal $route:expr, $who:ident, |$path:pat_param, $id:pat_param| $ask:expr;)+) => {
        &[$(Operation { name: $name, method: $method, route: $route, who: Who::$who, ask: |$path, $id| $ask }),+]
    };
}

/// Every way to read or change a document. What each is to show or hide is the note of the caller's own row.
const OPERATIONS: &[Operation] = operations! {
    "get" "GET" DOCUMENT, Owner, |path, _| ask(format!("/api/v1/docs/{path}"));
    "get of some fields" "GET" DOCUMENT, Owner, |path, _| ask(format!("/api/v1/docs/{path}?select=secret"));
    "get if it has changed" "GET" DOCUMENT, Owner, |path, _| ask(format!("/api/v1/docs/{path}")).header("if-none-match", "\"1\"");
    "list" "GET" DOCUMENT, Seen, |_, _| ask("/api/v1/docs/notes?limit=1000");
    "list with a filter" "GET" DOCUMENT, Seen, |_, id| ask(format!("/api/v1/docs/notes?filter=__id__%20%3D%3D%20%22{id}%22"));
    "list in an order" "GET" DOCUMENT, Seen, |_, _| ask("/api/v1/docs/notes?orderBy=-secret&limit=1000&select=secret");
    "list as a stream" "GET" DOCUMENT, Seen, |_, _| ask("/api/v1/docs/notes").header("accept", "application/x-ndjson");
    "list explained" "GET" DOCUMENT, Admins, |_, _| ask("/api/v1/docs/notes?explain=true");
    "create" "POST" DOCUMENT, Owner, |_, _| send("/api/v1/docs/notes", json!({"owner": "OWNER", "secret": "x"}));
    "create with a retry" "POST" DOCUMENT, Owner, |_, id| send("/api/v1/docs/notes", json!({"owner": "OWNER"})).header("idempotency-key", format!("c{id}"));
    "set" "PUT" DOCUMENT, Owner, |path, _| send(format!("/api/v1/docs/{path}"), json!({"owner": "OWNER", "secret": "new"}));
    "set a new one" "PUT" DOCUMENT, Owner, |path, _| send(format!("/api/v1/docs/{path}-new"), json!({"owner": "OWNER"}));
    "merge" "PATCH" DOCUMENT, Owner, |path, _| send(format!("/api/v1/docs/{path}"), json!({"n": 1}));
    "merge if there" "PATCH" DOCUMENT, Owner, |path, _| send(format!("/api/v1/docs/{path}"), json!({"n": 1})).header("if-match", "*");
    "delete" "DELETE" DOCUMENT, Owner, |path, _| ask(format!("/api/v1/docs/{path}"));
    "batch-get" "POST" "/api/v1/batch-get", Owner, |path, _| send("/api/v1/batch-get", json!({"paths": [path]}));
    "batch-get with what is public" "POST" "/api/v1/batch-get", Owner, |path, _| send("/api/v1/batch-get", json!({"paths": ["notes/public", path]}));
    "query" "POST" QUERY, Seen, |_, id| query(json!({"from": "notes", "where": by_id(id)}));
    "query by the secret" "POST" QUERY, Seen, |_, _| query(json!({"from": "notes", "where": ["secret", "==", SECRET], "limit": 1000}));
    "query of a group" "POST" QUERY, Seen, |_, _| query(json!({"from": {"group": "notes"}, "limit": 1000}));
    "query in the secret's order" "POST" QUERY, Seen, |_, _| query(json!({"from": "notes", "orderBy": [["secret", "desc"]], "limit": 1000}));
    "query from a cursor" "POST" QUERY, Seen, |_, _| query(json!({"from": "notes", "orderBy": [["secret", "asc"]], "startAt": [SECRET], "limit": 1000}));
    "query with an offset" "POST" QUERY, Seen, |_, _| query(json!({"from": "notes", "offset": 1, "limit": 1000}));
    "query of the last" "POST" QUERY, Seen, |_, _| query(json!({"from": "notes", "orderBy": [["secret", "asc"]], "limit": 100, "limitToLast": true}));
    "query of a field" "POST" QUERY, Seen, |_, _| query(json!({"from": "notes", "select": ["secret"], "limit": 1000}));
    "query as a stream" "POST" QUERY, Seen, |_, _| query(json!({"from": "notes"})).header("accept", "application/x-ndjson");
    "strict query" "POST" QUERY, Owner, |_, _| query(json!({"from": "notes", "where": ["owner", "==", "OWNER"], "strict": true, "limit": 1000}));
    "query explained" "POST" QUERY, Admins, |_, _| send("/api/v1/query?explain=true", json!({"from": "notes"}));
    "count" "POST" AGGREGATE, Seen, |_, id| send(AGGREGATE, json!({"query": {"from": "notes", "where": by_id(id)}, "aggregates": {"n": ["count"]}}));
    "other figures" "POST" AGGREGATE, Seen, |_, id| send(AGGREGATE, json!({"query": {"from": "notes", "where": by_id(id)},
        "aggregates": {"sum": ["sum", "number"], "mean": ["avg", "number"], "lo": ["min", "secret"], "hi": ["max", "secret"]}}));
    "figures explained" "POST" AGGREGATE, Admins, |_, _| send("/api/v1/aggregate?explain=true", json!({"query": {"from": "notes"}, "aggregates": {"n": ["count"]}}));
    "commit of a create" "POST" COMMIT, Owner, |path, _| commit(json!([{"create": format!("{path}-new"), "data": {"owner": "OWNER"}}]));
    "commit of a create of what is there" "POST" COMMIT, Owner, |path, _| commit(json!([{"set": path, "data": {"owner": "OWNER"}}]));
    "commit of a merge" "POST" COMMIT, Owner, |path, _| commit(json!([{"merge": path, "data": {"n": 1}}]));
    "commit of an update" "POST" COMMIT, Owner, |path, _| commit(json!([{"update": path, "data": {"n": {"$inc": 1}}}]));
    "commit of an update that tells a field" "POST" COMMIT, Owner, |path, _| commit(json!([{"update": path, "data": {"number": {"$max": 0}}}]));
    "commit of a delete" "POST" COMMIT, Owner, |path, _| commit(json!([{"delete": path}]));
    "commit of a verify" "POST" COMMIT, Owner, |path, _| commit(json!([{"verify": path, "if": {"exists": true}}]));
    "commit with a condition" "POST" COMMIT, Owner, |path, _| commit(json!([{"update": path, "data": {"n": 1}, "if": {"exists": true}}]));
    "commit of what is allowed and what is not" "POST" COMMIT, Owner, |path, _| commit(json!([{"merge": path, "data": {"n": 1}}, {"verify": "notes/public", "if": {"exists": true}}]));
    "commit with a query" "POST" COMMIT, Owner, |path, id| send(COMMIT, json!({
        "queries": [{"query": {"from": "notes", "where": ["and", ["owner", "==", "OWNER"], by_id(id)]}, "version": "9000000000000000000"}],
        "writes": [{"merge": path, "data": {"n": 1}}]}));
    "commit with a retry" "POST" COMMIT, Owner, |path, id| commit(json!([{"merge": path, "data": {"n": 1}}])).header("idempotency-key", format!("m{id}"));
    "file" "GET" FILE, Owner, |path, _| ask(format!("/api/v1/files/main/{path}"));
    "part of a file" "GET" FILE, Owner, |path, _| ask(format!("/api/v1/files/main/{path}")).header("range", "bytes=0-3");
    "file if it has changed" "GET" FILE, Owner, |path, _| ask(format!("/api/v1/files/main/{path}")).header("if-none-match", "\"1\"");
    "file if it is there" "GET" FILE, Owner, |path, _| ask(format!("/api/v1/files/main/{path}")).header("if-match", "*");
    "metadata of a file" "GET" FILE, Owner, |path, _| ask(format!("/api/v1/files/main/{path}?metadata=true"));
    "files" "GET" FILES, Seen, |_, _| ask("/api/v1/files/main?limit=1000");
    "files of a name" "GET" FILES, Seen, |path, _| ask(format!("/api/v1/files/main?prefix={path}"));
    "overwriting a file" "PUT" FILE, Owner, |path, _| send(format!("/api/v1/files/main/{path}"), json!({})).header("x-meta-owner", "OWNER");
    "overwriting a file if it is there" "PUT" FILE, Owner, |path, _| send(format!("/api/v1/files/main/{path}"), json!({})).header("x-meta-owner", "OWNER").header("if-match", "*");
    "change of a file" "PATCH" FILE, Owner, |path, _| send(format!("/api/v1/files/main/{path}"), json!({"metadata": {"n": "1"}}));
    "deletion of a file" "DELETE" FILE, Owner, |path, _| ask(format!("/api/v1/files/main/{path}"));
    "deletion of a file if it is there" "DELETE" FILE, Owner, |path, _| ask(format!("/api/v1/files/main/{path}")).header("if-match", "*");
    "link to a file" "POST" FILE, Owner, |path, _| send(format!("/api/v1/files/main/{path}"), json!({"link": {}}));
    "link to upload a file" "POST" FILE, Admins, |path, _| send(format!("/api/v1/files/main/{path}"), json!({"link": {"method": "PUT", "size": 1}}));
    "copy of a file" "POST" FILE, Owner, |path, _| send(format!("/api/v1/files/main/{path}"), json!({"copy": {"to": format!("main/{path}-copy")}}));
    "copy over a file" "POST" FILE, Admins, |path, _| send("/api/v1/files/main/notes/public", json!({"copy": {"to": format!("main/{path}")}}));
    "move of a file" "POST" FILE, Owner, |path, _| send(format!("/api/v1/files/main/{path}"), json!({"move": {"to": format!("main/{path}-moved")}}));
    "deletion of several files" "POST" FILES, Owner, |path, _| send(FILES.replace("{bucket}", "main"), json!({"delete": [path]}));
    "listen to a document" "GET" LISTEN, Owner, |path, _| ask(format!("/api/v1/listen?doc={path}"));
    "listen to a query" "GET" LISTEN, Seen, |_, _| ask("/api/v1/listen?from=notes");
    "listen to a query by the secret" "GET" LISTEN, Seen, |_, _| ask(format!("/api/v1/listen?from=notes&filter=secret%20%3D%3D%20%22{SECRET}%22"));
    "listen to a window" "GET" LISTEN, Seen, |_, _| ask("/api/v1/listen?from=notes&orderBy=-secret&limit=1000&select=secret");
    "listen to a group" "GET" LISTEN, Seen, |_, _| ask("/api/v1/listen?group=notes");
    "change feed" "GET" "/api/v1/changes", Admins, |_, _| ask("/api/v1/changes?after=0&wait=0");
    "change feed of a collection" "GET" "/api/v1/changes", Admins, |_, _| ask("/api/v1/changes?after=0&wait=0&collections=notes");
    "collections" "GET" "/api/v1/collections", Admins, |_, _| ask("/api/v1/collections?all=true");
    "collections under a document" "GET" "/api/v1/collections/{path}", Admins, |path, _| ask(format!("/api/v1/collections/{path}"));
    "metrics" "GET" "/metrics", Admins, |_, _| ask("/metrics");
};

/// Calls that anybody may make, and that know no documents.
const OPEN: [&str; 6] = [
    "/.well-known/jwks.json",
    "/.well-known/openid-configuration",
    "/api/v1/docs",
    "/api/v1/openapi.json",
    "/healthz",
    "/readyz",
];
/// The socket, which tells what a listen tells, and the tickets, which tell nothing: tried with what they are for.
const OF_LISTENS: [&str; 2] = ["/api/v1/listen/tickets", "/api/v1/live"];
/// Uploads in several requests, which are their makers': tried by a test of their own.
const OF_UPLOADS: &str = "/api/v1/uploads";
/// Calls of people about their own accounts, tried beside the accounts.
const OF_ACCOUNTS: &str = "/api/v1/auth/";
/// Calls of administrators: all of them are tried, with the document's own examples.
const OF_ADMINISTRATION: &str = "/api/v1/admin/";

struct World {
    server: TestServer,
    owner: (String, Api),
    other: Api,
    admin: Api,
}

impl World {
    async fn new() -> Self {
        let mut server = TestServer::start_with(&[
            ("auth.hash_memory", "1 MiB"),
            ("auth.hash_passes", "1"),
            ("rules.reload", "1h"),
        ])
        .await;
        std::fs::write(server.folder().join("andiron.rules"), RULES).unwrap();
        server.restart().await;
        let password = "correct horse battery staple";
        let key = server.api();
        let mut callers = Vec::new();
        for (email, roles) in [
            ("owner@x.example", json!([])),
            ("other@x.example", json!([])),
            ("admin@x.example", json!(["owner"])),
        ] {
            let body = json!({"email": email, "password": password, "roles": roles});
            key.post("/api/v1/admin/accounts", &body).await.expect(201);
            let body = json!({"email": email, "password": password});
            let answer = server
                .anonymous()
                .post("/api/v1/auth/sign-in", &body)
                .await
                .expect(200)
                .json();
            let api = server
                .anonymous()
                .with_key(answer["session"]["accessToken"].as_str().unwrap());
            callers.push((answer["account"]["uid"].as_str().unwrap().to_owned(), api));
        }
        let [owner, other, admin] = <[_; 3]>::try_from(callers).unwrap();
        let public = json!({"owner": "nobody", "public": true, "secret": "none"});
        key.put("/api/v1/docs/notes/public", &public).await.expect(201);
        let file = Some(String::new());
        key.request(Method::PUT, "/api/v1/files/main/notes/public", &[], file)
            .await
            .expect(201);
        Self {
            server,
            owner,
            other: other.1,
            admin: admin.1,
        }
    }

    fn caller(&self, kind: Kind) -> Api {
        match kind {
            Kind::Anonymous => self.server.anonymous(),
            Kind::Owner => self.owner.1.clone(),
            Kind::Other => self.other.clone(),
            Kind::Admin => self.admin.clone(),
            Kind::Key => self.server.api(),
        }
    }

    /// A note that belongs to the owner.
    async fn note(&self, id: &str) -> String {
        let note = json!({"owner": self.owner.0, "secret": SECRET, "number": NUMBER});
        let path = format!("notes/{id}");
        self.server
            .api()
            .put(&format!("/api/v1/docs/{path}"), &note)
            .await
            .expect(201);
        self.server
            .api()
            .request(
                Method::PUT,
                &format!("/api/v1/files/main/{path}"),
                &[("x-meta-owner", &self.owner.0), ("x-meta-secret", SECRET)],
                Some(SECRET.to_owned()),
            )
            .await
            .expect(201);
        path
    }

    async fn make(&self, caller: &Api, method: &str, ask: Ask) -> Answer {
        let Ask {
            target,
            mut headers,
            body,
        } = ask;
        let owner = &self.owner.0;
        let body = body.map(|body| body.to_string().replace("OWNER", owner));
        if body.is_some() {
            headers.push(("content-type", "application/json".to_owned()));
        }
        let headers: Vec<_> = headers
            .into_iter()
            .map(|(name, value)| (name, value.replace("OWNER", owner)))
            .collect();
        let headers: Vec<_> = headers
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        caller
            .request(method.parse::<Method>().unwrap(), &target, &headers, body)
            .await
    }
}

fn documented(document: &Value) -> Vec<(String, String, &Value)> {
    let mut operations = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            operations.push((method.to_uppercase(), path.clone(), operation));
        }
    }
    operations
}

#[tokio::test]
async fn every_way_to_a_document_is_open_to_those_whom_the_rules_let_in_and_to_nobody_else() {
    let world = World::new().await;
    for (row, operation) in OPERATIONS.iter().enumerate() {
        for kind in Kind::ALL {
            let id = format!("r{row}-{kind:?}");
            let path = world.note(&id).await;
            let caller = world.caller(kind);
            let answer = world
                .make(&caller, operation.method, (operation.ask)(&path, &id))
                .await;
            let place = format!(
                "{} by {kind:?}: {} {}",
                operation.name,
                answer.status,
                answer.text()
            );
            let may_see = kind == Kind::Owner || kind.passes_every_rule();
            let is_let_in = match operation.who {
                Who::Owner => may_see,
                Who::Seen => true,
                Who::Admins => kind.passes_every_rule(),
            };
            if is_let_in {
                assert!((200..300).contains(&answer.status), "{place}");
            } else {
                assert_eq!(answer.status, 403, "{place}");
                assert_eq!(answer.json()["code"], "permission-denied", "{place}");
            }
            if !may_see {
                assert!(!answer.text().contains(SECRET), "the secret shows: {place}");
                assert!(
                    !answer.text().contains(&NUMBER.to_string()),
                    "a hidden number shows: {place}"
                );
                assert!(!answer.text().contains(&id), "a hidden document shows: {place}");
                let note = world
                    .server
                    .api()
                    .get(&format!("/api/v1/docs/{path}"))
                    .await
                    .expect(200);
                assert_eq!(note.json()["data"]["secret"], SECRET, "it has changed: {place}");
                assert!(note.json()["data"].get("n").is_none(), "it has changed: {place}");
                let file = world
                    .server
                    .api()
                    .get(&format!("/api/v1/files/main/{path}"))
                    .await
                    .expect(200);
                assert_eq!(file.text(), SECRET, "the file has changed: {place}");
                let new = world.server.api().get(&format!("/api/v1/docs/{path}-new")).await;
                assert_eq!(new.status, 404, "something was made: {place}");
            }
            if operation.who == Who::Seen && may_see && operation.route != AGGREGATE {
                assert!(
                    answer.text().contains(SECRET),
                    "its owner does not see it: {place}"
                );
            }
        }
    }
}

#[tokio::test]
async fn a_count_tells_of_hidden_documents_no_more_than_a_list() {
    let world = World::new().await;
    world.note("n1").await;
    for (kind, count) in [
        (Kind::Anonymous, 1),
        (Kind::Other, 1),
        (Kind::Owner, 2),
        (Kind::Key, 2),
    ] {
        let body = json!({"query": {"from": "notes"}, "aggregates": {"n": ["count"]}});
        let answer = world.caller(kind).post(AGGREGATE, &body).await.expect(200);
        assert_eq!(answer.json()["aggregates"]["n"], count, "{kind:?}");
    }
}

#[tokio::test]
async fn what_is_hidden_answers_like_what_is_not_there() {
    let world = World::new().await;
    world.note("hidden").await;
    let shape = |answer: &Answer| {
        let mut problem = answer.json();
        problem["requestId"] = Value::Null;
        let text = problem.to_string().replace("absent", "hidden");
        let mut names: Vec<_> = answer.headers.keys().map(ToString::to_string).collect();
        names.sort();
        (answer.status, text, names)
    };
    for kind in [Kind::Anonymous, Kind::Other] {
        let caller = world.caller(kind);
        for operation in OPERATIONS {
            let (hidden, absent) = (
                (operation.ask)("notes/hidden", "hidden"),
                (operation.ask)("notes/absent", "absent"),
            );
            let hidden = world.make(&caller, operation.method, hidden).await;
            let absent = world.make(&caller, operation.method, absent).await;
            if operation.who == Who::Owner && !operation.name.starts_with("create") {
                assert_eq!(shape(&hidden), shape(&absent), "{} by {kind:?}", operation.name);
            }
        }
    }
}

#[tokio::test]
async fn a_retry_with_somebody_elses_key_is_judged_for_itself() {
    let world = World::new().await;
    let path = world.note("n1").await;
    let write = || commit(json!([{"merge": path, "data": {"n": 1}}])).header("idempotency-key", "shared");
    world.make(&world.owner.1, "POST", write()).await.expect(200);
    world.make(&world.owner.1, "POST", write()).await.expect(200);
    for kind in [Kind::Anonymous, Kind::Other] {
        world.make(&world.caller(kind), "POST", write()).await.expect(403);
    }
}

#[tokio::test]
async fn an_upload_in_several_requests_is_for_those_who_may_upload_and_goes_on_by_its_maker() {
    let world = World::new().await;
    let encode = |text: &str| STANDARD.encode(text);
    for kind in Kind::ALL {
        let path = world.note(&format!("{kind:?}")).await;
        let metadata = format!(
            "bucket {},name {},owner {}",
            encode("main"),
            encode(&path),
            encode(&world.owner.0)
        );
        let create = ask(OF_UPLOADS)
            .header("tus-resumable", "1.0.0")
            .header("upload-length", "3")
            .header("upload-metadata", metadata);
        let caller = world.caller(kind);
        let created = world.make(&caller, "POST", create).await;
        if kind != Kind::Owner && !kind.passes_every_rule() {
            assert_eq!(created.status, 403, "{kind:?}: {}", created.text());
            continue;
        }
        let url = created.expect(201).headers["location"]
            .to_str()
            .unwrap()
            .to_owned();
        for other in Kind::ALL {
            for method in ["HEAD", "PATCH", "DELETE"] {
                let go_on = ask(&url)
                    .header("tus-resumable", "1.0.0")
                    .header("content-type", "application/offset+octet-stream")
                    // At no offset that it has: who is let in is told that.
                    .header("upload-offset", "1");
                let is_let_in = other == kind || other.passes_every_rule();
                if is_let_in && method == "DELETE" {
                    continue;
                }
                let answer = world.make(&world.caller(other), method, go_on).await;
                let expected = match (is_let_in, method) {
                    (false, _) => 404,
                    (true, "HEAD") => 200,
                    (true, _) => 409,
                };
                assert_eq!(answer.status, expected, "{method} of {kind:?}'s by {other:?}");
            }
        }
    }
}

#[tokio::test]
async fn administration_is_for_administrators_on_every_route() {
    let world = World::new().await;
    let document = world
        .server
        .anonymous()
        .get("/api/v1/openapi.json")
        .await
        .expect(200)
        .json();
    let mut asked = 0;
    for (method, route, operation) in documented(&document) {
        if !route.starts_with(OF_ADMINISTRATION) {
            continue;
        }
        let target = route
            .replace("{key}", "none")
            .replace("{uid}", "none")
            .replace("{revision}", "1")
            .replace("{bucket}", "none");
        assert!(
            !target.contains('{'),
            "{route} has a part that this test does not know"
        );
        let example = &operation["requestBody"]["content"]["application/json"]["example"];
        for kind in Kind::ALL {
            let ask = Ask {
                body: (!example.is_null()).then(|| example.clone()),
                ..ask(&target)
            };
            let answer = world.make(&world.caller(kind), &method, ask).await;
            let place = format!(
                "{method} {route} by {kind:?}: {} {}",
                answer.status,
                answer.text()
            );
            if kind.passes_every_rule() {
                assert!(
                    ![401, 403].contains(&answer.status) && answer.status < 500,
                    "{place}"
                );
            } else {
                assert_eq!(answer.status, 403, "{place}");
                // Nor by another method, or another spelling of the path.
                for (method, target) in [
                    ("HEAD", target.clone()),
                    ("OPTIONS", target.clone()),
                    (method.as_str(), format!("{target}/")),
                    (method.as_str(), target.replace("/admin/", "/Admin/")),
                    (method.as_str(), target.replace("/admin/", "/%61dmin/")),
                    (method.as_str(), target.replace("/v1/admin/", "/v1//admin/")),
                ] {
                    let body = (!example.is_null()).then(|| example.clone());
                    let asked = Ask {
                        target: target.clone(),
                        headers: Vec::new(),
                        body,
                    };
                    let answer = world.make(&world.caller(kind), method, asked).await;
                    assert!(
                        (400..500).contains(&answer.status),
                        "{method} {target} by {kind:?}: {} {}",
                        answer.status,
                        answer.text()
                    );
                }
            }
            asked += 1;
        }
    }
    assert!(asked >= 20, "the document has routes: {asked}");
}

#[tokio::test]
async fn every_route_is_in_a_table() {
    let server = TestServer::start().await;
    let document = server
        .anonymous()
        .get("/api/v1/openapi.json")
        .await
        .expect(200)
        .json();
    let tried: BTreeSet<_> = OPERATIONS
        .iter()
        .map(|operation| (operation.method, operation.route))
        .collect();
    let mut known = BTreeSet::new();
    for (method, route, _) in documented(&document) {
        let is_tried = tried.contains(&(method.as_str(), route.as_str()));
        let is_elsewhere = route.starts_with(OF_ACCOUNTS)
            || route.starts_with(OF_ADMINISTRATION)
            || route.starts_with(OF_UPLOADS)
            || OF_LISTENS.contains(&route.as_str())
            || OPEN.contains(&route.as_str());
        assert!(
            is_tried != is_elsewhere,
            "{method} {route} is in no table of this test, or in two: say who may do what with it"
        );
        known.insert((method, route));
    }
    for (method, route) in tried {
        assert!(
            known.contains(&(method.to_owned(), route.to_owned())),
            "{method} {route} is no route any more"
        );
    }
}
