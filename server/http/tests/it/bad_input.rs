//! What no well-meaning client sends: each refused with a precise 4xx, and the server goes on.

use std::fmt::Write as _;

use serde_json::json;

use crate::client::{Request, raw};
use crate::scenario::{answers, refuses, run};
use crate::server::Server;

const DOC: &str = "/api/v1/docs/posts/p1";

#[tokio::test]
async fn bodies_that_are_no_value_json_are_refused_with_their_place() {
    let server = Server::start().await;
    let bad = |name, body: &[u8]| refuses(name, "PUT", DOC, 400, "invalid-argument").body(body.to_vec());
    let deep = format!("{}1{}", "{\"a\":".repeat(10_000), "}".repeat(10_000));
    let deep_arrays = format!("{{\"a\":{}{}}}", "[".repeat(10_000), "]".repeat(10_000));
    run(
        &server,
        vec![
            bad("nothing", b""),
            bad("no JSON", b"{n:1}").member("/line", 1).member("/column", 2),
            bad("half of it", b"{\"n\":").member("/line", 1),
            bad("more than one", b"{} {}").member("/column", 4),
            bad("no object", b"[1]").contains("object"),
            bad("a string", b"\"x\""),
            bad("null", b"null"),
            bad("a duplicate key", b"{\"a\":1,\n\"a\":2}").contains("`a`").member("/line", 2),
            bad("a duplicate key inside", b"{\"m\":{\"a\":1,\"a\":2}}").contains("`a`"),
            bad("bad UTF-8 in a value", b"{\"a\":\"\xff\"}"),
            bad("bad UTF-8 in a key", b"{\"\xc3\x28\":1}"),
            bad("an overlong encoding", b"{\"a\":\"\xc0\xaf\"}"),
            bad("a lone surrogate", br#"{"a":"\ud800"}"#),
            bad("a control character", b"{\"a\":\"\x01\"}"),
            bad("a byte order mark", b"\xef\xbb\xbf{}"),
            bad("UTF-16", b"\xff\xfe{\0}\0"),
            bad("10,000 objects deep", deep.as_bytes()),
            bad("10,000 arrays deep", deep_arrays.as_bytes()),
            bad("a number beyond doubles", b"{\"a\":1e400}"),
            bad("a number that is none", b"{\"a\":01}"),
            bad("NaN", b"{\"a\":NaN}"),
            bad("an unknown tag", br#"{"a":{"$regex":"x"}}"#).contains("$regex"),
            bad("a tag of two keys", br#"{"a":{"$time":"2026-01-01T00:00:00Z","b":1}}"#),
            bad("a time that is none", br#"{"a":{"$time":"yesterday"}}"#),
            bad("bytes that are none", br#"{"a":{"$bytes":"?"}}"#),
            bad("a reference to a collection", br#"{"a":{"$ref":"posts"}}"#),
            bad("a place off the Earth", br#"{"a":{"$geo":[91,0]}}"#),
            bad("an integer beyond 64 bits", br#"{"a":{"$int":"9223372036854775808"}}"#),
            bad("a field name that is reserved", br#"{"__proto__":1}"#).contains("__proto__"),
            bad("one inside", br#"{"a":{"__proto__":{"admin":true}}}"#).contains("__proto__"),
            bad("an empty field name", br#"{"":1}"#),
            bad("$delete has nothing to delete", br#"{"a":{"$delete":true}}"#).contains("$delete"),
            answers("a huge number is a double", "PUT", DOC, 201)
                .body(br#"{"big":123456789012345678901234567890,"int":9223372036854775807,"tiny":1e-400}"#.to_vec())
                .member("/data/int", json!({"$int": "9223372036854775807"}))
                .member("/data/tiny", 0.0),
            answers("names that mean something elsewhere are names", "PUT", DOC, 200)
                .body(r#"{"constructor":1,"toString":2,"a.b":3,"`":4,"'; DROP TABLE documents; --":5,"\u0000":6,"$map":{"$x":1}}"#.replace(r#","$map":{"$x":1}"#, ""))
                .member("/data/constructor", 1)
                .member("/data/a.b", 3)
                .member("/data/\u{0}", 6),
        ],
    )
    .await;
}

#[tokio::test]
async fn bodies_declared_as_something_else_are_415() {
    let server = Server::start().await;
    let mut table = Vec::new();
    for kind in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "application/jsonp",
        "multipart/form-data",
        "",
        "application/merge-patch+json",
    ] {
        table.push(
            refuses("another type", "PUT", DOC, 415, "invalid-argument")
                .header("content-type", kind)
                .body("{}")
                .member("/field", "Content-Type"),
        );
    }
    table.push(
        refuses("compressed", "PUT", DOC, 415, "invalid-argument")
            .header("content-encoding", "gzip")
            .body("{}")
            .member("/field", "Content-Encoding"),
    );
    table.push(answers("no type at all", "PUT", DOC, 201).body("{}"));
    table.push(
        answers("in other letters", "PUT", DOC, 200)
            .header("content-type", "Application/JSON;charset=UTF-8")
            .body("{}"),
    );
    run(&server, table).await;
}

#[tokio::test]
async fn bodies_over_the_limit_are_413_declared_or_not() {
    let options = andiron_http::HttpOptions {
        document_body_bytes_max: 1000,
        commit_body_bytes_max: 2000,
        request_body_bytes_max: 500,
        ..Default::default()
    };
    let server = Server::with(options).await;
    let of_bytes = |bytes: usize| format!("{{\"a\":\"{}\"}}", "x".repeat(bytes - 8));
    run(
        &server,
        vec![
            answers("just not too large", "PUT", DOC, 201).body(of_bytes(1000)),
            refuses("one byte over", "PUT", DOC, 413, "payload-too-large")
                .body(of_bytes(1001))
                .contains("1000"),
            refuses("far over", "PUT", DOC, 413, "payload-too-large").body(of_bytes(5_000_000)),
            refuses(
                "a commit has its own limit",
                "POST",
                "/api/v1/commit",
                413,
                "payload-too-large",
            )
            .body(of_bytes(2001)),
            refuses("and a query", "POST", "/api/v1/query", 413, "payload-too-large").body(of_bytes(501)),
        ],
    )
    .await;
    // Chunked: nothing declares how much is coming.
    let mut request = format!(
        "PUT {DOC} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n",
        server.key
    );
    for _ in 0..100 {
        let _ = write!(request, "64\r\n{}\r\n", "x".repeat(100));
    }
    request.push_str("0\r\n\r\n");
    let answer = raw(server.address, request.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    // Declared, and never sent: the answer does not wait for it.
    let request = format!(
        "PUT {DOC} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\ncontent-length: 99999999\r\nexpect: 100-continue\r\n\r\n",
        server.key
    );
    let answer = raw(server.address, request.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
}

#[tokio::test]
async fn a_document_over_its_own_limit_is_refused() {
    let server = Server::start().await;
    let large = format!("{{\"a\":\"{}\"}}", "x".repeat(1024 * 1024));
    let answer = server.send(Request::new("PUT", DOC).body(large)).await;
    assert_eq!(answer.status, 400, "{}", answer.text());
    assert_eq!(
        (answer.code().as_str(), &answer.json()["path"]),
        ("invalid-argument", &json!("posts/p1"))
    );
}

#[tokio::test]
async fn paths_that_are_none_are_refused() {
    let server = Server::start().await;
    for (path, why) in [
        ("posts/", "slash"),
        ("/posts", "empty segment"),
        ("posts//p1", "empty segment"),
        ("posts/p1/", "slash"),
        ("posts/%", "hexadecimal"),
        ("posts/%4", "hexadecimal"),
        ("posts/%zz", "hexadecimal"),
        ("posts/%ff%fe", "UTF-8"),
        ("posts/%c0%ae%c0%ae", "UTF-8"),
        ("posts/a%2fb", "slash"),
        ("posts/a%2Fb", "slash"),
        ("posts/..", ".."),
        ("posts/.", "`.`"),
        ("posts/%2e%2e", ".."),
        ("../p1", ".."),
        ("posts/%00", "NUL"),
        ("posts/a%00b", "NUL"),
        ("posts/__proto__", "underscores"),
        ("__x__/p1", "underscores"),
    ] {
        for method in ["GET", "PUT", "DELETE"] {
            let request = format!(
                "{method} /api/v1/docs/{path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{{}}",
                server.key
            );
            let answer = raw(server.address, request.as_bytes()).await;
            assert!(answer.starts_with("HTTP/1.1 400 "), "{method} {path}: {answer}");
            assert!(
                answer.contains("invalid-argument") && answer.contains(why),
                "{method} {path}: {answer}"
            );
        }
    }
    let long = format!("/api/v1/docs/posts/{}", "x".repeat(1501));
    assert_eq!(server.send(Request::get(&long)).await.status, 400);
    let many = format!("/api/v1/docs/{}", "a/".repeat(120) + "b/c");
    assert_eq!(server.send(Request::get(&many)).await.status, 400);
    run(
        &server,
        vec![
            refuses(
                "a collection cannot be put",
                "PUT",
                "/api/v1/docs/posts",
                400,
                "invalid-argument",
            )
            .body("{}")
            .contains("document path"),
            refuses(
                "nor patched",
                "PATCH",
                "/api/v1/docs/posts",
                400,
                "invalid-argument",
            )
            .body("{}"),
            refuses(
                "nor deleted",
                "DELETE",
                "/api/v1/docs/posts",
                400,
                "invalid-argument",
            ),
            refuses(
                "a document cannot be posted to",
                "POST",
                DOC,
                400,
                "invalid-argument",
            )
            .body("{}")
            .contains("collection path"),
            answers("dots in names are fine", "PUT", "/api/v1/docs/posts/..a..", 201).body("{}"),
            answers("composed", "PUT", "/api/v1/docs/posts/%C3%A9", 201).body(r#"{"form":"NFC"}"#),
            answers(
                "and decomposed are two documents",
                "PUT",
                "/api/v1/docs/posts/e%CC%81",
                201,
            )
            .body("{}"),
            answers("of which each is itself", "GET", "/api/v1/docs/posts/%c3%a9", 200)
                .member("/data/form", "NFC"),
            answers("case tells documents apart", "PUT", "/api/v1/docs/Posts/P1", 201).body("{}"),
        ],
    )
    .await;
}

#[tokio::test]
async fn what_is_no_http_is_refused_and_the_connection_closed() {
    let server = Server::start().await;
    let authorization = format!("authorization: Bearer {}\r\n", server.key);
    for (request, status) in [
        ("NONSENSE\r\n\r\n".to_owned(), "400"),
        ("GET /healthz HTTP/1.1\r\n\r\n".to_owned(), "400"),
        (
            "GET /healthz HTTP/1.1\r\nhost: a\r\nhost: b\r\nconnection: close\r\n\r\n".to_owned(),
            "400",
        ),
        ("GET /healthz HTTP/9.9\r\nhost: a\r\n\r\n".to_owned(), "400"),
        (
            "GET /healthz HTTP/1.1\r\nhost: a\r\nbad header: x\r\n\r\n".to_owned(),
            "400",
        ),
        (
            "GET /healthz HTTP/1.1\r\nhost: a\r\nx: \0\r\n\r\n".to_owned(),
            "400",
        ),
        ("GET /\u{1} HTTP/1.1\r\nhost: a\r\n\r\n".to_owned(), "400"),
        (
            format!("PUT {DOC} HTTP/1.1\r\nhost: a\r\n{authorization}content-length: x\r\n\r\n{{}}"),
            "400",
        ),
        (
            format!("PUT {DOC} HTTP/1.1\r\nhost: a\r\n{authorization}content-length: -2\r\n\r\n{{}}"),
            "400",
        ),
        (
            format!(
                "PUT {DOC} HTTP/1.1\r\nhost: a\r\n{authorization}content-length: 2\r\ncontent-length: 3\r\n\r\n{{}}x"
            ),
            "400",
        ),
        (
            format!("PUT {DOC} HTTP/1.1\r\nhost: a\r\n{authorization}transfer-encoding: gzip\r\n\r\n{{}}"),
            "400",
        ),
        (
            format!(
                "PUT {DOC} HTTP/1.1\r\nhost: a\r\n{authorization}transfer-encoding: chunked, identity\r\n\r\n{{}}"
            ),
            "400",
        ),
        (
            format!(
                "PUT {DOC} HTTP/1.0\r\nhost: a\r\n{authorization}transfer-encoding: chunked\r\n\r\n0\r\n\r\n"
            ),
            "400",
        ),
        (
            format!(
                "PUT {DOC} HTTP/1.1\r\nhost: a\r\n{authorization}transfer-encoding: chunked\r\nconnection: close\r\n\r\nzz\r\n"
            ),
            "400",
        ),
        (
            format!(
                "GET /healthz HTTP/1.1\r\nhost: a\r\nx: {}\r\n\r\n",
                "y".repeat(100_000)
            ),
            "431",
        ),
        (
            format!("GET /{} HTTP/1.1\r\nhost: a\r\n\r\n", "y".repeat(65_535)),
            "4",
        ),
    ] {
        let answer = raw(server.address, request.as_bytes()).await;
        let shown: String = request.chars().take(120).collect();
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status}")),
            "{shown}: {answer}"
        );
    }
    assert_eq!(server.send(Request::get("/healthz")).await.status, 200);
}

#[tokio::test]
async fn a_request_cannot_be_smuggled_inside_another() {
    let server = Server::start().await;
    let smuggled = format!(
        "DELETE {DOC} HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {}\r\n\r\n",
        server.key
    );
    server.send(Request::new("PUT", DOC).body("{}")).await;
    for lengths in [
        format!(
            "content-length: {}\r\ntransfer-encoding: chunked\r\n",
            smuggled.len() + 5
        ),
        format!(
            "transfer-encoding: chunked\r\ncontent-length: {}\r\n",
            smuggled.len() + 5
        ),
        "content-length: 3\r\ntransfer-encoding: chunked\r\n".to_owned(),
        "transfer-encoding: chunked\r\ncontent-length: 0\r\n".to_owned(),
    ] {
        let request = format!("POST /api/v1/query HTTP/1.1\r\nhost: a\r\n{lengths}\r\n0\r\n\r\n{smuggled}");
        let answer = raw(server.address, request.as_bytes()).await;
        assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{answer}");
        assert!(answer.starts_with("HTTP/1.1 4"), "{answer}");
    }
    assert_eq!(
        server.send(Request::get(DOC)).await.status,
        200,
        "the document is still there"
    );
}

#[tokio::test]
async fn methods_and_paths_that_do_not_exist_are_problems() {
    let server = Server::start().await;
    run(
        &server,
        vec![
            refuses("no such path", "GET", "/api/v1/nothing", 404, "not-found"),
            refuses("the root", "GET", "/", 404, "not-found"),
            refuses("a later version", "GET", "/api/v2/docs/a/b", 404, "not-found"),
            refuses("the console", "GET", "/_/", 404, "not-found").contains("console"),
            refuses("deeper in the console", "GET", "/_/login", 404, "not-found").contains("console"),
            refuses(
                "kept for later",
                "GET",
                "/.well-known/webfinger",
                404,
                "not-found",
            ),
            refuses(
                "kept for the gateway",
                "POST",
                "/v1/projects/p/databases/d/documents:commit",
                404,
                "not-found",
            ),
            refuses(
                "kept for the gateway too",
                "GET",
                "/v0/b/bucket/o",
                404,
                "not-found",
            ),
            refuses(
                "an encoded route is another path",
                "GET",
                "/api%2Fv1/collections",
                404,
                "not-found",
            ),
            refuses(
                "routes have no trailing slash",
                "GET",
                "/healthz/",
                404,
                "not-found",
            ),
        ],
    )
    .await;
    for (method, target, allowed) in [
        ("POST", "/healthz", "GET,HEAD"),
        ("GET", "/api/v1/query", "POST"),
        ("OPTIONS", "/api/v1/query", "POST"),
        ("TRACE", "/api/v1/docs/a/b", "GET,HEAD,POST,PUT,PATCH,DELETE"),
        ("BREW", "/api/v1/docs/a/b", "GET,HEAD,POST,PUT,PATCH,DELETE"),
        ("DELETE", "/api/v1/docs", "GET,HEAD"),
    ] {
        let answer = server.send(Request::new(method, target)).await;
        assert_eq!(
            (answer.status.as_u16(), answer.code().as_str()),
            (405, "invalid-argument"),
            "{method} {target}"
        );
        let mut methods: Vec<_> = answer.header("allow").split(',').map(str::trim).collect();
        let mut expected: Vec<_> = allowed.split(',').collect();
        methods.sort_unstable();
        expected.sort_unstable();
        assert_eq!(methods, expected, "{method} {target}");
    }
}
