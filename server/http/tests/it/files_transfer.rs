//! Copying, moving, deleting several, and files from forms.

use serde_json::{Value, json};

use crate::client::Request;
use crate::files_rules;
use crate::files_upload::put;
use crate::scenario::{answers, refuses, run};
use crate::server::Server;

const A: &str = "/api/v1/files/main/a";

fn act(target: &str, body: Value) -> Request {
    Request::new("POST", target).json(&body)
}

async fn text(server: &Server, target: &str) -> String {
    server.send(Request::get(target)).await.text()
}

#[tokio::test]
async fn a_copy_is_a_file_of_its_own_and_a_move_leaves_nothing() {
    let server = Server::start().await;
    let upload = Request::new("PUT", A)
        .header("content-type", "text/plain")
        .header("x-meta-mood", "happy")
        .body("one");
    assert_eq!(server.send(upload).await.status, 201);
    let copied = server.send(act(A, json!({"copy": {"to": "other/b/c"}}))).await;
    assert_eq!(copied.status, 201, "{}", copied.text());
    assert_eq!(copied.header("location"), "/api/v1/files/other/b/c");
    let copy = copied.json();
    assert_eq!((&copy["bucket"], &copy["name"]), (&json!("other"), &json!("b/c")));
    assert_eq!(
        (&copy["contentType"], &copy["metadata"]["mood"]),
        (&json!("text/plain"), &json!("happy"))
    );
    put(&server, A, "text/plain", "two").await;
    assert_eq!(text(&server, "/api/v1/files/other/b/c").await, "one");
    let moved = server.send(act(A, json!({"move": {"to": "other/b/c"}}))).await;
    assert_eq!(moved.status, 200, "it is there, and overwritten");
    assert_eq!(text(&server, "/api/v1/files/other/b/c").await, "two");
    assert_eq!(server.send(Request::get(A)).await.status, 404);
    // The bytes of what is there are not collected, those of what was overwritten are.
    server.clock.advance(8 * 24 * 3600);
    server.files.collect_garbage().await.unwrap();
    assert_eq!(text(&server, "/api/v1/files/other/b/c").await, "two");
    assert_eq!(server.stored_keys().await.len(), 1);
}

#[tokio::test]
async fn what_cannot_be_copied_is_said() {
    let server = Server::start().await;
    put(&server, A, "text/plain", "x").await;
    put(&server, "/api/v1/files/main/b", "text/plain", "y").await;
    let body = |body: Value| body.to_string();
    let json = ("content-type", "application/json");
    let copy = body(json!({"copy": {"to": "main/b"}}));
    run(
        &server,
        vec![
            refuses("onto itself", "POST", A, 400, "invalid-argument")
                .header(json.0, json.1)
                .body(body(json!({"copy": {"to": "main/a"}}))),
            refuses("nowhere", "POST", A, 400, "invalid-argument")
                .header(json.0, json.1)
                .body(body(json!({"move": {"to": "main"}}))),
            refuses("a name that misleads", "POST", A, 400, "invalid-argument")
                .header(json.0, json.1)
                .body(body(json!({"move": {"to": "main/../x"}}))),
            refuses("nothing", "POST", A, 400, "invalid-argument")
                .header(json.0, json.1)
                .body("{}"),
            refuses(
                "what is not there",
                "POST",
                "/api/v1/files/main/none",
                404,
                "not-found",
            )
            .header(json.0, json.1)
            .body(copy.clone()),
            refuses("over what is there", "POST", A, 412, "failed-precondition")
                .header(json.0, json.1)
                .header("if-none-match", "*")
                .body(copy.clone()),
            answers("b is as it was", "GET", "/api/v1/files/main/b", 200).contains("y"),
            answers("no more than that", "POST", A, 200)
                .header(json.0, json.1)
                .body(copy),
        ],
    )
    .await;
}

const RULES: &str = "rules_version = '2';
service firebase.storage { match /b/{bucket}/o {
  match /read/{name} { allow get; }
  match /kept/{name} { allow get, create; }
  match /free/{name} { allow get, create, delete; }
  match /small/{name} { allow create: if request.resource.size < 3; }
} }";

#[tokio::test]
async fn each_side_of_a_transfer_is_put_to_the_rules() {
    let server = files_rules::server(Some(RULES)).await;
    for folder in ["read", "kept", "free", "hidden"] {
        put(
            &server,
            &format!("/api/v1/files/main/{folder}/a"),
            "text/plain",
            "four",
        )
        .await;
    }
    for (what, from, to, status) in [
        ("copy", "read/a", "kept/b", 201),
        ("copy", "hidden/a", "kept/c", 403),
        ("copy", "hidden/absent", "kept/c", 403),
        ("copy", "read/a", "hidden/b", 403),
        ("copy", "read/a", "small/b", 403),
        ("move", "read/a", "kept/c", 403),
        ("move", "kept/a", "free/c", 403),
        ("move", "free/a", "kept/c", 201),
    ] {
        let mut body = json!({});
        body[what] = json!({"to": format!("main/{to}")});
        let request = act(&format!("/api/v1/files/main/{from}"), body);
        let answer = server.send_as_it_is(request).await;
        assert_eq!(answer.status, status, "{what} {from} {to}: {}", answer.text());
    }
    assert_eq!(text(&server, "/api/v1/files/main/kept/a").await, "four");
    // All or none.
    put(&server, "/api/v1/files/main/free/d", "text/plain", "x").await;
    let delete = |names: Value| act("/api/v1/files/main", json!({ "delete": names }));
    let refused = server.send_as_it_is(delete(json!(["free/d", "kept/a"]))).await;
    assert_eq!(refused.status, 403);
    assert_eq!(text(&server, "/api/v1/files/main/free/d").await, "x");
    let deleted = server
        .send_as_it_is(delete(json!(["free/d", "free/absent"])))
        .await;
    assert_eq!(
        (deleted.status.as_u16(), deleted.json()),
        (200, json!({"deleted": 1}))
    );
    for bad in [json!([]), json!(["../x"]), json!(vec!["x"; 101]), json!("x")] {
        assert_eq!(server.send(delete(bad.clone())).await.status, 400, "{bad}");
    }
}

fn form(parts: &[(&str, &str)]) -> Request {
    let mut body = String::new();
    for (head, value) in parts {
        body.push_str(&format!(
            "--X\r\nContent-Disposition: form-data; {head}\r\n\r\n{value}\r\n"
        ));
    }
    body.push_str("--X--\r\n");
    Request::new("POST", "/api/v1/files/main")
        .header("content-type", "multipart/form-data; boundary=X")
        .body(body)
}

#[tokio::test]
async fn files_come_from_a_browsers_form() {
    let server = Server::start().await;
    let png = "\r\nContent-Type: image/png";
    let sent = form(&[
        ("name=\"prefix\"", "docs/"),
        ("name=\"file\"; filename=\"a.txt\"", "one"),
        ("name=\"name\"", "docs/named"),
        (&format!("name=\"file\"; filename=\"b.png\"{png}"), "no picture"),
        ("name=\"file\"; filename=\"c.txt\"", "three"),
    ]);
    let uploaded = server.send(sent).await;
    assert_eq!(uploaded.status, 201, "{}", uploaded.text());
    let names: Vec<_> = uploaded.json()["files"]
        .as_array()
        .unwrap()
        .iter()
        .map(|file| (file["name"].clone(), file["contentType"].clone()))
        .collect();
    assert_eq!(
        names,
        [
            (json!("docs/a.txt"), json!("text/plain")),
            (json!("docs/named"), json!("application/octet-stream")),
            (json!("docs/c.txt"), json!("text/plain")),
        ]
    );
    assert_eq!(text(&server, "/api/v1/files/main/docs/c.txt").await, "three");
}

#[tokio::test]
async fn forms_that_are_none_are_refused_and_nothing_comes_of_them() {
    let server = Server::start().await;
    let file = ("name=\"file\"; filename=\"a\"", "x");
    let raw = |body: &str| {
        Request::new("POST", "/api/v1/files/main")
            .header("content-type", "multipart/form-data; boundary=X")
            .body(body.to_owned())
    };
    for (name, request) in [
        ("no file", form(&[("name=\"prefix\"", "x/")])),
        (
            "a name that misleads",
            form(&[("name=\"file\"; filename=\"../a\"", "x")]),
        ),
        ("no name", form(&[("name=\"file\"; filename=\"\"", "x")])),
        ("an unknown field", form(&[("name=\"other\"", "x"), file])),
        (
            "a large field",
            form(&[("name=\"prefix\"", &"x".repeat(5000)), file]),
        ),
        ("many fields", form(&vec![("name=\"prefix\"", "x"); 60])),
        ("nothing", raw("")),
        (
            "no end",
            raw("--X\r\nContent-Disposition: form-data; name=\"f\"; filename=\"a\"\r\n\r\nxxx"),
        ),
        ("no boundary of its own", raw("--Y\r\n\r\n--Y--\r\n")),
    ] {
        let refused = server.send(request).await;
        assert_eq!(refused.status, 400, "{name}: {}", refused.text());
        assert_eq!(refused.code(), "invalid-argument");
    }
    assert_eq!(
        server.send(Request::get("/api/v1/files/main")).await.json()["files"],
        json!([])
    );
    assert_eq!(server.stored_keys().await.len(), 0);
    let by_nobody = server.send_as_it_is(form(&[file])).await;
    assert_eq!(by_nobody.status, 403);
}
