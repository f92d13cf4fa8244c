//! The OpenAPI document and the page: complete, true, and themselves.

use std::collections::BTreeSet;
use std::path::PathBuf;

use base64::Engine as _;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::client::Request;
use crate::server::Server;

/// Bytes of the page that are still a small page.
const PAGE_BYTES_MAX: usize = 400_000;

/// The document as it is committed.
fn committed() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/openapi.json")
}

fn document() -> Value {
    serde_json::from_str(&andiron_http::openapi_json()).unwrap()
}

/// Every operation: method, path, and what the document says of it.
fn operations(document: &Value) -> Vec<(String, &str, &Value)> {
    let mut operations = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            operations.push((method.to_uppercase(), path.as_str(), operation));
        }
    }
    operations
}

#[test]
fn the_committed_document_is_that_of_the_code() {
    let generated = andiron_http::openapi_json();
    // Set by whoever changes the API on purpose, to write the file anew.
    if std::env::var_os("ANDIRON_ACCEPT").is_some() {
        std::fs::write(committed(), &generated).unwrap();
    }
    let committed = std::fs::read_to_string(committed()).unwrap_or_default();
    assert!(
        committed == generated,
        "docs/openapi.json is not what the code says; if the change is meant, run this test with ANDIRON_ACCEPT=1"
    );
}

#[test]
fn every_operation_says_what_it_does_takes_and_answers() {
    let document = document();
    assert_eq!(document["openapi"], "3.1.0");
    assert_eq!(
        document["components"]["securitySchemes"]["serviceKey"]["scheme"],
        "bearer"
    );
    let tags: Vec<_> = document["tags"]
        .as_array()
        .unwrap()
        .iter()
        .map(|tag| &tag["name"])
        .collect();
    let mut ids = BTreeSet::new();
    for (method, path, operation) in operations(&document) {
        let name = format!("{method} {path}");
        assert!(
            ids.insert(operation["operationId"].as_str().unwrap()),
            "{name} has the id of another"
        );
        let summary = operation["summary"].as_str().unwrap();
        assert!(
            !summary.is_empty() && !summary.ends_with('.'),
            "{name}: {summary}"
        );
        assert!(
            tags.contains(&&operation["tags"][0]),
            "{name} has no tag that is described"
        );
        let responses = operation["responses"].as_object().unwrap();
        assert!(
            responses
                .keys()
                .any(|status| status.starts_with(['2', '3']) || status == "101"),
            "{name} never succeeds"
        );
        assert_eq!(
            responses["default"]["$ref"], "#/components/responses/Problem",
            "{name}"
        );
        let is_bytes = operation["requestBody"]["content"]
            .as_object()
            .is_some_and(|content| content.keys().all(|kind| kind.ends_with("octet-stream")));
        if matches!(method.as_str(), "POST" | "PUT" | "PATCH") && !is_bytes && !is_live(operation) {
            let content = &operation["requestBody"]["content"];
            let body = match &content["application/x-www-form-urlencoded"] {
                Value::Null => &content["application/json"],
                form => form,
            };
            assert!(
                body["schema"].is_object() && !body["example"].is_null(),
                "{name} has no example"
            );
        }
        let parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
        for part in path.split('/').filter_map(|part| part.strip_prefix('{')) {
            let described = parameters
                .iter()
                .find(|parameter| parameter["name"] == part.trim_end_matches('}'));
            assert_eq!(described.unwrap()["in"], "path", "{name}");
        }
        for parameter in &parameters {
            assert!(
                !parameter["description"].as_str().unwrap().is_empty(),
                "{name}: {parameter}"
            );
        }
    }
}

#[tokio::test]
async fn the_methods_of_a_path_are_those_that_the_document_has() {
    let server = Server::start().await;
    let document = document();
    for (path, item) in document["paths"].as_object().unwrap() {
        let mut documented: BTreeSet<_> = item
            .as_object()
            .unwrap()
            .keys()
            .map(|method| method.to_uppercase())
            .collect();
        if documented.contains("GET") {
            documented.insert("HEAD".to_owned());
        }
        let target = path.replace("{path}", "a/b").replace("{key}", "k");
        let answer = server.send(Request::new("TRACE", &target)).await;
        assert_eq!(answer.status, 405, "{path}");
        let allowed: BTreeSet<_> = answer
            .header("allow")
            .split(',')
            .map(|method| method.trim().to_owned())
            .collect();
        assert_eq!(allowed, documented, "{path}");
    }
}

/// Whether it is a listen, or a ticket for one, all of which stands in the URL.
fn is_live(operation: &Value) -> bool {
    operation["tags"][0] == "Live"
}

/// What is wrong about a value, held against a schema.
fn complaints(document: &Value, schema: &Value, value: &Value, place: &str, found: &mut Vec<String>) {
    if let Some(reference) = schema["$ref"].as_str() {
        let schema = document.pointer(reference.strip_prefix('#').unwrap()).unwrap();
        return complaints(document, schema, value, place, found);
    }
    for choice in ["oneOf", "anyOf"] {
        if let Some(choices) = schema[choice].as_array() {
            let fits = choices.iter().any(|choice| {
                let mut wrong = Vec::new();
                complaints(document, choice, value, place, &mut wrong);
                wrong.is_empty()
            });
            if !fits {
                found.push(format!("{place} is none of the choices: {value}"));
            }
            return;
        }
    }
    let kinds: Vec<&str> = match &schema["type"] {
        Value::String(kind) => vec![kind],
        Value::Array(kinds) => kinds.iter().map(|kind| kind.as_str().unwrap()).collect(),
        _ => return,
    };
    let kind = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    if !kinds.contains(&kind) {
        found.push(format!("{place} is {value} and should be {kinds:?}"));
    }
    for (index, element) in value.as_array().into_iter().flatten().enumerate() {
        complaints(
            document,
            &schema["items"],
            element,
            &format!("{place}[{index}]"),
            found,
        );
    }
    for required in schema["required"].as_array().into_iter().flatten() {
        if value.get(required.as_str().unwrap()).is_none() {
            found.push(format!("{place} lacks {required}"));
        }
    }
    for (name, member) in value.as_object().into_iter().flatten() {
        let place = format!("{place}.{name}");
        match (&schema["properties"][name], &schema["additionalProperties"]) {
            (Value::Null, Value::Null) => found.push(format!("{place} is not described")),
            (Value::Null, additional) => complaints(document, additional, member, &place, found),
            (property, _) => complaints(document, property, member, &place, found),
        }
    }
}

/// Fails unless a value is as the schema of this name says.
pub(crate) fn assert_described(name: &str, value: &Value) {
    let document = document();
    let mut wrong = Vec::new();
    let schema = &document["components"]["schemas"][name];
    complaints(&document, schema, value, name, &mut wrong);
    assert!(wrong.is_empty(), "{wrong:?}");
}

#[tokio::test]
async fn every_example_works_and_every_answer_is_as_described() {
    let server = Server::start().await;
    let document = document();
    let mut operations = operations(&document);
    // What takes away comes last, and what makes a document before what reads it.
    operations.sort_by_key(|(method, _, _)| {
        ["PUT", "POST", "PATCH", "GET", "DELETE"]
            .iter()
            .position(|known| known == method)
    });
    for (method, path, operation) in operations {
        if operation["tags"][0].as_str().unwrap().contains("ccounts") {
            // What they answer depends on who signed in before; the tests of accounts hold their answers against the
            // document. Their examples are held against it here.
            let body = &operation["requestBody"]["content"]["application/json"];
            if !body.is_null() {
                let mut wrong = Vec::new();
                complaints(
                    &document,
                    &body["schema"],
                    &body["example"],
                    "the example",
                    &mut wrong,
                );
                assert!(wrong.is_empty(), "{method} {path}: {wrong:?}");
            }
            continue;
        }
        if is_live(operation) || path.starts_with("/api/v1/uploads") {
            // What it answers has no end, or stands in headers alone; its own tests try it.
            continue;
        }
        let mut target = path.to_owned();
        for parameter in operation["parameters"].as_array().into_iter().flatten() {
            if parameter["in"] == "path" {
                let name = format!("{{{}}}", parameter["name"].as_str().unwrap());
                target = target.replace(&name, parameter["example"].as_str().unwrap());
            }
        }
        let targets = match operation["operationId"].as_str().unwrap() {
            "readDocuments" => vec![
                target.clone(),
                "/api/v1/docs/posts?limit=1&explain=true".to_owned(),
            ],
            "readFile" => vec![format!("{target}?metadata=true")],
            "runQuery" | "aggregate" => vec![target.clone(), format!("{target}?explain=true")],
            "listRootCollections" => vec![target.clone(), format!("{target}?all=true")],
            _ => vec![target],
        };
        for target in targets {
            let mut request = Request::new(&method, &target);
            let example = &operation["requestBody"]["content"]["application/json"]["example"];
            if !example.is_null() {
                let mut wrong = Vec::new();
                let schema = &operation["requestBody"]["content"]["application/json"]["schema"];
                complaints(&document, schema, example, "the example", &mut wrong);
                assert!(wrong.is_empty(), "{method} {target}: {wrong:?}");
                request = request.json(example);
            }
            let answer = server.send(request).await;
            assert!(
                answer.status.is_success(),
                "{method} {target}: {} {}",
                answer.status,
                answer.text()
            );
            let described = &operation["responses"][answer.status.as_str()];
            assert!(
                described.is_object(),
                "{method} {target}: {} is not described",
                answer.status
            );
            let schema = &described["content"]["application/json"]["schema"];
            if schema.is_object() {
                let mut wrong = Vec::new();
                complaints(&document, schema, &answer.json(), "the answer", &mut wrong);
                assert!(
                    wrong.is_empty(),
                    "{method} {target}: {wrong:?} in {}",
                    answer.text()
                );
            }
        }
    }
    let problem = server
        .send(Request::get("/api/v1/docs/posts?limit=x"))
        .await
        .json();
    assert_described("Problem", &problem);
}

#[test]
fn the_document_has_every_code() {
    let document = document();
    let described: Vec<_> = document["components"]["schemas"]["ErrorCode"]["enum"]
        .as_array()
        .unwrap()
        .iter()
        .collect();
    let codes: Vec<_> = andiron_protocol::ErrorCode::ALL
        .iter()
        .map(|code| Value::from(code.as_str()))
        .collect();
    assert_eq!(described, codes.iter().collect::<Vec<_>>());
}

#[tokio::test]
async fn the_reference_is_at_the_root_of_the_documents_and_does_not_hide_them() {
    let server = Server::start().await;
    let json = server.send_as_it_is(Request::get("/api/v1/openapi.json")).await;
    assert_eq!(json.text(), andiron_http::openapi_json());
    assert_eq!(json.header("content-type"), "application/json");
    let page = server.send_as_it_is(Request::get("/api/v1/docs")).await;
    assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
    assert_eq!(
        server.send(Request::get("/api/v1/docs/docs/docs")).await.code(),
        "not-found"
    );
    assert_eq!(
        server
            .send(Request::new("PUT", "/api/v1/docs/docs/docs").body("{}"))
            .await
            .status,
        201
    );
}

#[tokio::test]
async fn the_page_shows_everything_and_loads_nothing() {
    let server = Server::start().await;
    let answer = server.send_as_it_is(Request::get("/api/v1/docs")).await;
    let page = answer.text();
    assert!(page.len() < PAGE_BYTES_MAX, "{} bytes", page.len());
    let document = document();
    for (_, path, operation) in operations(&document) {
        let id = operation["operationId"].as_str().unwrap();
        assert!(
            page.contains(&format!("id=\"{id}\"")) && page.contains(&format!("href=\"#{id}\"")),
            "{id}"
        );
        assert!(page.contains(path), "{path}");
    }
    for name in document["components"]["schemas"].as_object().unwrap().keys() {
        assert!(page.contains(&format!("id=\"schema-{name}\"")), "{name}");
    }
    for link in page.split("href=\"#").skip(1) {
        let target = link.split('"').next().unwrap();
        assert!(
            page.contains(&format!("id=\"{target}\"")),
            "#{target} leads nowhere"
        );
    }
    for loading in [
        "<script", "<link", "<img", "src=", "url(", "@import", "style=\"", "onclick",
    ] {
        assert!(!page.contains(loading), "the page has {loading}");
    }
    let style = page
        .split("<style>")
        .nth(1)
        .unwrap()
        .split("</style>")
        .next()
        .unwrap();
    let hash = base64::engine::general_purpose::STANDARD.encode(Sha256::digest(style));
    let policy = answer.header("content-security-policy");
    assert!(
        policy.contains(&format!("style-src 'sha256-{hash}'")) && policy.starts_with("default-src 'none'"),
        "{policy}"
    );
    assert!(!policy.contains("unsafe") && policy.contains("frame-ancestors 'none'"));
}

#[tokio::test]
async fn the_tags_of_the_page_are_closed_in_the_order_of_their_opening() {
    let server = Server::start().await;
    let page = server.send_as_it_is(Request::get("/api/v1/docs")).await.text();
    let mut open = Vec::new();
    for tag in page
        .split('<')
        .skip(1)
        .map(|rest| rest.split('>').next().unwrap())
    {
        let name = tag.trim_start_matches('/').split_whitespace().next().unwrap();
        if tag.starts_with('!') || name == "meta" {
            continue;
        }
        if tag.starts_with('/') {
            assert_eq!(open.pop(), Some(name), "</{name}>");
        } else {
            open.push(name);
        }
    }
    assert!(open.is_empty(), "{open:?}");
}
