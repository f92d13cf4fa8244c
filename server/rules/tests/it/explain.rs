//! Explanations: JSON in, JSON and text out.

use andiron_protocol::{DocumentPath, Map, Timestamp};
use andiron_rules::explain::{explain_all, explain_json, explanation_text};
use andiron_rules::{Limits, Program, Ruleset, Source, check};
use serde_json::{Value, json};

const BLOG: &str = "rules_version = '2';
service cloud.firestore {
  match /databases/{database}/documents {
    function signedIn() {
      return request.auth != null;
    }
    match /posts/{id} {
      function isAuthor() {
        let uid = request.auth.uid;
        return signedIn() && uid == resource.data.author;
      }
      allow get: if resource.data.published == true || isAuthor();
      allow update: if isAuthor() && request.resource.data.title.size() <= 10;
      allow update: if exists(/databases/$(database)/documents/admins/$(request.auth.uid));
      allow delete: if !(resource.data.published == true) && isAuthor();
    }
  }
}
service firebase.storage {
  match /b/{bucket}/o {
    match /avatars/{uid} {
      allow write: if request.auth.uid == uid && request.resource.size < 1024
        && request.resource.contentType.matches('image/.*');
    }
  }
}
";

struct Rules {
    program: Program,
    ruleset: Ruleset,
}

fn rules(source: &str) -> Rules {
    let program = Program::single(Source::new("blog.rules", source).unwrap());
    let limits = Limits::default();
    let checked = check(&program, &limits);
    assert!(!program.has_errors() && !checked.has_errors());
    let ruleset = Ruleset::new(&program, &checked, limits);
    Rules { program, ruleset }
}

fn now() -> Timestamp {
    "2026-11-22T05:40:35Z".parse().unwrap()
}

fn ask(source: &str, request: &Value) -> Value {
    let rules = rules(source);
    let answer = explain_json(
        &rules.ruleset,
        &rules.program,
        request.to_string().as_bytes(),
        now(),
    );
    serde_json::from_str(&answer.unwrap()).unwrap()
}

fn refusal(request: &str) -> String {
    let rules = rules(BLOG);
    let error = explain_json(&rules.ruleset, &rules.program, request.as_bytes(), now()).unwrap_err();
    match error.position {
        Some((line, column)) => format!("{line}:{column}: {}", error.detail),
        None => error.detail,
    }
}

fn update_by_alice() -> Value {
    json!({
        "service": "cloud.firestore",
        "method": "update",
        "path": "posts/p1",
        "auth": {"uid": "alice", "token": {"email": "a@x.org"}},
        "time": "2026-11-22T05:40:35Z",
        "before": {"author": "bob", "title": "x"},
        "after": {"author": "bob", "title": "a title that is too long"},
        "documents": {"users/alice": {"name": "Alice"}},
    })
}

#[test]
fn a_denied_request_names_every_allow_that_was_tried_and_why() {
    let answer = ask(BLOG, &update_by_alice());
    assert_eq!(answer["allowed"], json!(false));
    assert_eq!(answer["decidedBy"], Value::Null);
    assert_eq!(answer["lookups"], json!(["admins/alice"]));
    let tried = answer["tried"].as_array().unwrap();
    assert_eq!(tried.len(), 2);
    let first = &tried[0];
    assert_eq!(first["file"], "blog.rules");
    assert_eq!((&first["line"], &first["column"]), (&json!(13), &json!(7)));
    assert_eq!(first["method"], "update");
    assert_eq!(first["result"], "false");
    assert_eq!(
        first["message"],
        "`uid == resource.data.author` is false: `uid` is 'alice', `resource.data.author` is 'bob'"
    );
    // `&&` was decided by its first operand: nothing is known of the second.
    let part = &first["wouldPass"];
    assert_eq!(part["expression"], "uid == resource.data.author");
    assert_eq!(part["wanted"], json!(true));
    assert_eq!(
        part["operands"],
        json!([
            {"expression": "uid", "value": "'alice'"},
            {"expression": "resource.data.author", "value": "'bob'"},
        ])
    );
    let steps: Vec<_> = first["trace"]
        .as_array()
        .unwrap()
        .iter()
        .map(|step| format!("{} = {}", step["expression"], step["value"]))
        .collect();
    assert!(
        steps.contains(&r#""resource.data.author" = "'bob'""#.to_owned()),
        "{steps:?}"
    );
    assert_eq!(
        steps.last().unwrap(),
        r#""isAuthor() && request.resource.data.title.size() <= 10" = "false""#
    );
}

#[test]
fn an_allowed_request_names_what_decided() {
    let mut request = update_by_alice();
    request["documents"]["admins/alice"] = json!({});
    let answer = ask(BLOG, &request);
    assert_eq!(answer["allowed"], json!(true));
    assert_eq!(answer["decidedBy"]["line"], json!(14));
    assert_eq!(answer["decidedBy"]["result"], "true");
    assert_eq!(answer["message"], "allowed by blog.rules:14:7");
    assert_eq!(answer["tried"].as_array().unwrap().len(), 1);
}

#[test]
fn an_error_is_told_with_its_text_and_its_place() {
    let mut request = update_by_alice();
    request["auth"] = Value::Null;
    let answer = ask(BLOG, &request);
    let second = &answer["tried"][1];
    assert_eq!(second["result"], "error");
    assert_eq!(second["message"], "Null value error.");
    assert_eq!(second["wouldPass"]["expression"], "request.auth.uid");
    assert_eq!(second["wouldPass"]["error"], "Null value error.");
    assert_eq!(
        second["wouldPass"]["operands"],
        json!([{"expression": "request.auth", "value": "null"}])
    );
}

#[test]
fn alternatives_and_negations_are_told_as_such() {
    let mut request = update_by_alice();
    request["method"] = json!("get");
    let answer = ask(BLOG, &request);
    let alternatives = answer["tried"][0]["wouldPass"]["any"].as_array().unwrap();
    assert_eq!(alternatives.len(), 2);
    assert_eq!(
        alternatives[0]["error"],
        "Property published is undefined on object."
    );
    assert_eq!(alternatives[1]["value"], "false");

    request["method"] = json!("delete");
    request["before"] = json!({"author": "alice", "published": true});
    let answer = ask(BLOG, &request);
    let part = &answer["tried"][0]["wouldPass"];
    assert_eq!(part["expression"], "resource.data.published == true");
    assert_eq!((&part["value"], &part["wanted"]), (&json!("true"), &json!(false)));
}

#[test]
fn an_array_of_requests_has_an_array_of_answers() {
    let mut storage = json!({
        "service": "firebase.storage", "method": "create", "path": "my-bucket/avatars/alice",
        "auth": {"uid": "alice", "token": {}}, "before": null,
        "after": {"size": 100, "contentType": "image/png"},
    });
    let allowed = storage.clone();
    storage["after"]["size"] = json!(5000);
    let nowhere = json!({"method": "get", "path": "/databases/(default)/documents/secrets/s"});
    let answer = ask(BLOG, &json!([allowed, storage, nowhere]));
    let allowed: Vec<_> = answer
        .as_array()
        .unwrap()
        .iter()
        .map(|answer| &answer["allowed"])
        .collect();
    assert_eq!(allowed, [&json!(true), &json!(false), &json!(false)]);
    assert_eq!(
        answer[1]["tried"][0]["message"],
        "`request.resource.size < 1024` is false: `request.resource.size` is 5000"
    );
    assert_eq!(
        answer[2]["message"],
        "denied: no `allow` covers a get of this path"
    );
    assert_eq!(answer[2]["tried"], json!([]));
    assert_eq!(ask(BLOG, &json!([])), json!([]));
}

#[test]
fn a_document_that_is_not_of_its_type_is_told_by_its_field_and_reasons_are_shown() {
    let source = "rules_version = 'andiron1';
type Post = { title: string where size() <= 5, tags: list<string> };
service cloud.firestore {
  match /databases/{database}/documents {
    match /posts/{id} is Post {
      allow create: if request.auth != null else \"sign in to write\";
    }
  }
}
";
    let request = json!({"method": "create", "path": "posts/p1", "auth": {"uid": "a"},
        "after": {"title": "ok", "tags": ["a", 1]}});
    let answer = ask(source, &request);
    assert_eq!(answer["allowed"], json!(false));
    assert_eq!(answer["mismatch"]["field"], "tags[1]");
    assert_eq!(answer["mismatch"]["line"], json!(5));
    assert_eq!(answer["message"], "field `tags[1]` is int, not string");
    let request = json!({"method": "create", "path": "posts/p1", "after": {"title": "ok", "tags": []}});
    let answer = ask(source, &request);
    assert_eq!(answer["reason"], "sign in to write");
    // What was evaluated to test the type is no part of the `allow`.
    let trace = answer["tried"][0]["trace"].as_array().unwrap();
    assert!(trace.iter().all(|step| step["line"] == json!(6)), "{trace:?}");
}

#[test]
fn the_document_itself_may_be_among_the_documents_and_others_may_be_read() {
    let mut request = update_by_alice();
    let object = request.as_object_mut().unwrap();
    object.remove("before");
    object["documents"]["posts/p1"] = json!({"author": "alice"});
    object["after"]["title"] = json!("short");
    assert_eq!(ask(BLOG, &request)["allowed"], json!(true));

    let rules = rules(BLOG);
    let mut asked: Vec<String> = Vec::new();
    let answers = explain_all(
        &rules.ruleset,
        &rules.program,
        update_by_alice().to_string().as_bytes(),
        now(),
        &mut |path: &DocumentPath| {
            asked.push(path.to_string());
            Some(std::sync::Arc::new(Map::new()))
        },
    )
    .unwrap();
    assert!(answers.iter().all(|answer| answer.allowed));
    assert_eq!(asked, ["admins/alice"]);

    // The document that it is about is read too, if nothing is said of it.
    asked.clear();
    let answers = explain_all(
        &rules.ruleset,
        &rules.program,
        json!({"method": "get", "path": "posts/p1"})
            .to_string()
            .as_bytes(),
        now(),
        &mut |path: &DocumentPath| {
            asked.push(path.to_string());
            Some(std::sync::Arc::new(Map::from([(
                "published".to_owned(),
                andiron_protocol::Value::Boolean(true),
            )])))
        },
    )
    .unwrap();
    assert!(answers.iter().all(|answer| answer.allowed));
    assert_eq!(asked, ["posts/p1"]);
}

#[test]
fn what_is_no_request_is_refused_with_what_is_wrong() {
    for (request, expected) in [
        ("{", "1:1: "),
        (
            r#"{"method": "get", "path": "posts/p1", "user": 1}"#,
            "unknown field `user`",
        ),
        (r#"{"method": "read", "path": "posts/p1"}"#, "no method `read`"),
        (r#"{"method": "get", "path": "posts"}"#, "posts"),
        (
            r#"{"service": "x", "method": "get", "path": "a/b"}"#,
            "no service `x`",
        ),
        (
            r#"{"service": "firebase.storage", "method": "get", "path": "bucket"}"#,
            "bucket/name",
        ),
        (
            r#"{"method": "get", "path": "a/b", "query": {"from": "a"}}"#,
            "only a `list`",
        ),
        (
            r#"[{"method": "get", "path": "a/b"}, {"method": "get", "path": "a"}]"#,
            "request 2: ",
        ),
        (
            r#"{"method": "get", "path": "a/b", "before": 5}"#,
            "`before` is an object",
        ),
    ] {
        let message = refusal(request);
        assert!(message.contains(expected), "{request}: {message}");
    }
}

const LISTS: &str = "rules_version = '2';
service cloud.firestore {
  match /databases/{database}/documents {
    match /notes/{id} {
      allow list: if resource.data.owner == request.auth.uid && request.query.limit <= 50;
    }
    match /secrets/{id} {
      allow list: if request.auth.token.admin == true;
    }
  }
}
";

#[test]
fn a_list_is_explained_as_a_whole_and_by_the_documents_of_the_request() {
    let mut request = json!({"method": "list", "path": "notes", "auth": {"uid": "alice"},
        "query": {"from": "notes", "limit": 10},
        "documents": {"notes/a": {"owner": "alice"}, "notes/b": {"owner": "bob"}, "other/c": {"owner": "alice"}}});
    let answer = ask(LISTS, &request);
    assert_eq!(answer["allowed"], json!(true), "{answer}");
    let list = &answer["list"];
    assert_eq!(list["strict"], json!(false));
    assert_eq!(list["filterExpression"], "owner == \"alice\"");
    assert_eq!(list["filter"], json!(["owner", "==", "alice"]));
    assert_eq!(
        (&list["gives"], &list["hides"]),
        (&json!(["notes/a"]), &json!(["notes/b"]))
    );

    request["query"]["strict"] = json!(true);
    let answer = ask(LISTS, &request);
    assert_eq!(answer["allowed"], json!(false));
    let missing = &answer["list"]["missing"];
    assert_eq!(missing[0]["where"], json!(["owner", "==", "alice"]), "{answer}");
    assert_eq!(
        missing[0]["expression"],
        "resource.data.owner == request.auth.uid"
    );
    assert_eq!(
        (&missing[0]["line"], &missing[0]["column"]),
        (&json!(5), &json!(22))
    );
    assert_eq!(answer["tried"][0]["result"], "false");
    assert_eq!(
        answer["tried"][0]["message"],
        "the query leaves open `resource.data.owner == request.auth.uid`, which `where owner == \"alice\"` would prove"
    );

    // With what is missing it is allowed.
    request["query"]["where"] = missing[0]["where"].clone();
    let answer = ask(LISTS, &request);
    assert_eq!(answer["allowed"], json!(true), "{answer}");
    assert_eq!(answer["list"]["missing"], json!([]));
}

#[test]
fn a_list_of_which_nothing_could_be_seen_is_denied() {
    let request =
        json!({"method": "list", "path": "secrets", "auth": {"uid": "alice", "token": {"admin": false}}});
    let answer = ask(LISTS, &request);
    assert_eq!(answer["allowed"], json!(false), "{answer}");
    assert_eq!(answer["tried"][0]["line"], json!(8));
    assert_eq!(answer["tried"][0]["result"], "false");
    let nowhere = json!({"method": "list", "path": "nowhere"});
    assert_eq!(
        ask(LISTS, &nowhere)["message"],
        "denied: no `allow` covers a list of this path"
    );
    // A document of a list is judged like any other.
    let row = json!({"method": "list", "path": "notes/a", "auth": {"uid": "alice"}, "before": {"owner": "alice"},
        "query": {"from": "notes", "limit": 5}});
    assert_eq!(ask(LISTS, &row)["allowed"], json!(true));
}

#[test]
fn people_read_what_would_have_to_be_otherwise() {
    let rules = rules(BLOG);
    let mut request = update_by_alice();
    request["auth"]["uid"] = json!("bob");
    let answers = explain_all(
        &rules.ruleset,
        &rules.program,
        request.to_string().as_bytes(),
        now(),
        &mut |_| None,
    )
    .unwrap();
    let text: String = answers.iter().map(explanation_text).collect();
    insta::assert_snapshot!(text, @r"
    denied: none of the 2 allows that cover this update grants it

    blog.rules:13:7  allow update: if isAuthor() && request.resource.data.title.size() <= 10;
      false
      it would grant if
        13:38  `request.resource.data.title.size() <= 10` were true; it is false
            `request.resource.data.title.size()` is 24

    blog.rules:14:7  allow update: if exists(/databases/$(database)/documents/admins/$(request.auth.uid));
      false
      it would grant if
        14:24  `exists(/databases/$(database)/documents/admins/$(request.auth.uid))` were true; it is false
            `/databases/$(database)/documents/admins/$(request.auth.uid)` is /databases/(default)/documents/admins/bob

    looked up: admins/bob
    ");
}
