//! Queries, lists, aggregates and batches over HTTP.

use serde_json::{Value, json};

use crate::client::Request;
use crate::scenario::{answers, refuses, run};
use crate::server::Server;

async fn with_posts() -> Server {
    let server = Server::start().await;
    let writes: Vec<_> = (0..10)
        .map(|n| json!({"create": format!("posts/p{n}"), "data": {"n": n, "even": n % 2 == 0, "title": format!("Post {n}")}}))
        .collect();
    let answer = server
        .send(Request::new("POST", "/api/v1/commit").json(&json!({"writes": writes})))
        .await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    server
}

fn ids(page: &Value) -> Vec<&str> {
    page["documents"]
        .as_array()
        .unwrap()
        .iter()
        .map(|document| document["id"].as_str().unwrap())
        .collect()
}

#[tokio::test]
async fn a_list_filters_orders_limits_and_selects() {
    let server = with_posts().await;
    let url =
        "/api/v1/docs/posts?filter=even+%3D%3D+true%20%26%26%20n%20%3E%202&orderBy=-n,title&limit=2&select=n";
    let answer = server.send(Request::get(url)).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let page = answer.json();
    assert_eq!(ids(&page), ["p8", "p6"]);
    assert_eq!(page["documents"][0]["data"], json!({"n": 8}));
    assert!(page["version"].as_str().unwrap().parse::<u64>().unwrap() > 0);
    assert!(
        answer.text().starts_with("{\"version\":\""),
        "the version comes first"
    );
    assert_eq!(answer.header("cache-control"), "no-store");
}

#[tokio::test]
async fn a_query_body_and_a_url_say_the_same() {
    let server = with_posts().await;
    let query = json!({"from": "posts", "where": ["and", ["even", "==", true], ["n", ">", 2]], "orderBy": [["n", "desc"]], "limit": 2, "select": ["n"]});
    let by_body = server
        .send(Request::new("POST", "/api/v1/query").json(&query))
        .await;
    let by_url = server
        .send(Request::get(
            "/api/v1/docs/posts?filter=even%20%26%26%20n%3E2&orderBy=-n&limit=2&select=n",
        ))
        .await;
    assert_eq!(ids(&by_body.json()), ["p8", "p6"]);
    assert_eq!(by_body.json()["documents"], by_url.json()["documents"]);
}

#[tokio::test]
async fn an_empty_result_is_an_empty_page() {
    let server = Server::start().await;
    let page = server.send(Request::get("/api/v1/docs/nothing")).await.json();
    assert_eq!(page["documents"], json!([]));
    assert_eq!(page["cursor"], Value::Null);
}

#[tokio::test]
async fn figures_and_batches_carry_their_version() {
    let server = with_posts().await;
    let aggregate = json!({"query": {"from": "posts"}, "aggregates": {"count": ["count"]}});
    let figures = server
        .send(Request::new("POST", "/api/v1/aggregate").json(&aggregate))
        .await
        .json();
    assert_eq!(figures["aggregates"], json!({"count": 10}));
    let batch = json!({"paths": ["posts/p3", "posts/none", "posts/p1"]});
    let found = server
        .send(Request::new("POST", "/api/v1/batch-get").json(&batch))
        .await
        .json();
    assert_eq!(found["documents"][0]["data"]["n"], 3);
    assert_eq!(found["documents"][1], Value::Null);
    assert_eq!(found["documents"][2]["id"], "p1");
    assert_eq!(found["version"], figures["version"]);
    let none = server
        .send(Request::new("POST", "/api/v1/batch-get").json(&json!({"paths": []})))
        .await
        .json();
    assert_eq!(none["documents"], json!([]));
}

#[tokio::test]
async fn queries_that_cannot_be_understood_are_refused_precisely() {
    let server = with_posts().await;
    run(
        &server,
        vec![
            refuses(
                "an unknown parameter",
                "GET",
                "/api/v1/docs/posts?fliter=a",
                400,
                "invalid-argument",
            )
            .contains("`fliter` is not a parameter here")
            .contains("`filter`"),
            refuses(
                "a parameter twice",
                "GET",
                "/api/v1/docs/posts?limit=1&limit=2",
                400,
                "invalid-argument",
            )
            .member("/field", "limit"),
            refuses(
                "a filter that does not parse",
                "GET",
                "/api/v1/docs/posts?filter=a+%3D%3D",
                400,
                "invalid-argument",
            )
            .member("/field", "filter")
            .member("/line", 1)
            .member("/column", 5),
            refuses(
                "no field to order by",
                "GET",
                "/api/v1/docs/posts?orderBy=-",
                400,
                "invalid-argument",
            )
            .member("/field", "orderBy"),
            refuses(
                "a limit that is no number",
                "GET",
                "/api/v1/docs/posts?limit=-1",
                400,
                "invalid-argument",
            )
            .member("/field", "limit"),
            refuses(
                "an encoding that is none",
                "GET",
                "/api/v1/docs/posts?cursor=%2",
                400,
                "invalid-argument",
            )
            .member("/field", "cursor"),
            refuses(
                "a field path that is none",
                "GET",
                "/api/v1/docs/posts?select=a..b",
                400,
                "invalid-argument",
            )
            .member("/field", "select"),
            refuses(
                "neither true nor false",
                "GET",
                "/api/v1/docs/posts?explain=yes",
                400,
                "invalid-argument",
            )
            .member("/field", "explain"),
            refuses(
                "a parameter of lists on a document",
                "GET",
                "/api/v1/docs/posts/p1?limit=1",
                400,
                "invalid-argument",
            ),
            refuses(
                "an unknown member",
                "POST",
                "/api/v1/query",
                400,
                "invalid-argument",
            )
            .body("{\"from\":\"posts\",\n \"wher\":[]}")
            .contains("wher")
            .member("/line", 2),
            refuses(
                "an unknown operator",
                "POST",
                "/api/v1/query",
                400,
                "invalid-argument",
            )
            .body(r#"{"from":"posts","where":["a","~",1]}"#)
            .contains("`~`"),
            refuses("no source", "POST", "/api/v1/query", 400, "invalid-argument")
                .body("{}")
                .contains("from"),
            refuses("no body", "POST", "/api/v1/query", 400, "invalid-argument"),
            refuses(
                "an empty aggregation",
                "POST",
                "/api/v1/aggregate",
                400,
                "invalid-argument",
            )
            .body(r#"{"query":{"from":"posts"},"aggregates":{}}"#),
            refuses(
                "a path that is a collection's",
                "POST",
                "/api/v1/batch-get",
                400,
                "invalid-argument",
            )
            .body(r#"{"paths":["posts"]}"#)
            .contains("`posts`"),
            refuses(
                "search is reserved",
                "POST",
                "/api/v1/query",
                400,
                "invalid-argument",
            )
            .body(r#"{"from":"posts","search":"x"}"#),
            answers(
                "operators are data where values stand",
                "POST",
                "/api/v1/query",
                200,
            )
            .body(r#"{"from":"posts","where":["title","==","' || true || '"]}"#)
            .member("/documents", json!([])),
        ],
    )
    .await;
}

#[tokio::test]
async fn the_past_can_be_read_and_the_future_cannot() {
    let server = Server::start().await;
    let url = "/api/v1/docs/posts/p1";
    let mut versions = Vec::new();
    for n in 0..3 {
        let answer = server.send(Request::new("PUT", url).json(&json!({"n": n}))).await;
        versions.push(answer.json()["version"].as_str().unwrap().to_owned());
    }
    for (n, version) in versions.iter().enumerate() {
        let then = server
            .send(Request::get(&format!("{url}?version={version}")))
            .await;
        assert_eq!(then.json()["data"]["n"], n);
        assert_eq!(then.json()["version"], **version);
        assert_eq!(then.header("etag"), format!("\"{version}\""));
    }
    let before: u64 = versions[0].parse::<u64>().unwrap() - 1;
    assert_eq!(
        server
            .send(Request::get(&format!("{url}?version={before}")))
            .await
            .code(),
        "not-found"
    );
    let future = server
        .send(Request::get(&format!("{url}?version=8999999999999999")))
        .await;
    assert_eq!(
        (future.status.as_u16(), future.code().as_str()),
        (400, "out-of-range")
    );
    assert_eq!(future.json()["field"], "version");
    let none = server.send(Request::get(&format!("{url}?version=1.5"))).await;
    assert_eq!(
        (none.code().as_str(), &none.json()["field"]),
        ("invalid-argument", &json!("version"))
    );
}

#[tokio::test]
async fn collections_are_listed_without_those_of_the_system() {
    let server = with_posts().await;
    server
        .send(Request::new("PUT", "/api/v1/docs/posts/p1/comments/c1").body("{}"))
        .await;
    let root = server.send(Request::get("/api/v1/collections")).await.json();
    assert_eq!(root, json!({"collections": ["posts"]}));
    let under = server
        .send(Request::get("/api/v1/collections/posts/p1"))
        .await
        .json();
    assert_eq!(under, json!({"collections": ["comments"]}));
    run(
        &server,
        vec![
            answers("nothing under it", "GET", "/api/v1/collections/posts/p2", 200)
                .member("/collections", json!([])),
            refuses(
                "a collection has no collections",
                "GET",
                "/api/v1/collections/posts",
                400,
                "invalid-argument",
            ),
            refuses("an empty path", "GET", "/api/v1/collections/", 404, "not-found"),
        ],
    )
    .await;
}

#[tokio::test]
async fn a_page_too_large_to_hold_is_refused_or_continued() {
    let options = andiron_http::HttpOptions {
        answer_bytes_max: 400,
        ..Default::default()
    };
    let server = Server::with(options).await;
    for n in 0..8 {
        server
            .send(Request::new("PUT", &format!("/api/v1/docs/posts/p{n}")).json(&json!({"n": n})))
            .await;
    }
    let mut seen = Vec::new();
    let mut cursor = Value::Null;
    while seen.is_empty() || !cursor.is_null() {
        let query = match cursor.as_str() {
            Some(cursor) => json!({"from": "posts", "orderBy": [["n", "desc"]], "cursor": cursor}),
            None => json!({"from": "posts", "orderBy": [["n", "desc"]]}),
        };
        let page = server
            .send(Request::new("POST", "/api/v1/query").json(&query))
            .await
            .json();
        assert!((1..8).contains(&ids(&page).len()), "{page}");
        seen.extend(ids(&page).into_iter().map(ToOwned::to_owned));
        cursor = page["cursor"].clone();
    }
    assert_eq!(seen, ["p7", "p6", "p5", "p4", "p3", "p2", "p1", "p0"]);
    let last = json!({"from": "posts", "orderBy": [["n", "asc"]], "limit": 8, "limitToLast": true});
    let last = server
        .send(Request::new("POST", "/api/v1/query").json(&last))
        .await;
    assert_eq!(
        last.code(),
        "out-of-range",
        "there is no going on behind the last page"
    );
    let batch = json!({"paths": ["posts/p0", "posts/p1", "posts/p2", "posts/p3", "posts/p4"]});
    let answer = server
        .send(Request::new("POST", "/api/v1/batch-get").json(&batch))
        .await;
    assert_eq!(answer.code(), "out-of-range");
}
