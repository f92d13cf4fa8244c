//! Cross-origin requests: refused unless configured, and then for exactly the configured origins.

use andiron_http::HttpOptions;

use crate::client::Request;
use crate::server::Server;

const APP: &str = "https://app.example.com";

async fn with_origins() -> Server {
    let origins = vec![APP.parse().unwrap(), "http://localhost:5173".parse().unwrap()];
    Server::with(HttpOptions {
        cors_origins: origins,
        ..Default::default()
    })
    .await
}

fn preflight(origin: &str) -> Request {
    Request::new("OPTIONS", "/api/v1/docs/posts/p1")
        .header("origin", origin)
        .header("access-control-request-method", "PUT")
        .header(
            "access-control-request-headers",
            "authorization,content-type,if-match",
        )
}

#[tokio::test]
async fn an_allowed_origin_may_ask_call_and_read() {
    let server = with_origins().await;
    for origin in [APP, "http://localhost:5173"] {
        let asked = server.send_as_it_is(preflight(origin)).await;
        assert_eq!(asked.status, 204);
        assert_eq!(asked.header("access-control-allow-origin"), origin);
        assert_eq!(
            asked.header("access-control-allow-methods"),
            "GET, HEAD, POST, PUT, PATCH, DELETE"
        );
        assert!(asked.header("access-control-allow-headers").contains("If-Match"));
        assert_eq!(asked.header("access-control-max-age"), "600");
        assert_eq!(asked.header("vary"), "Origin");
        let put = Request::new("PUT", "/api/v1/docs/posts/p1")
            .header("origin", origin)
            .body("{}");
        let put = server.send(put).await;
        assert!(put.status.is_success());
        assert_eq!(put.header("access-control-allow-origin"), origin);
        assert!(put.header("access-control-expose-headers").contains("ETag"));
        assert_eq!(put.header("cross-origin-resource-policy"), "cross-origin");
        let refused = server
            .send_as_it_is(Request::get("/api/v1/docs/posts/p1").header("origin", origin))
            .await;
        assert_eq!(refused.status, 403);
        assert_eq!(
            refused.header("access-control-allow-origin"),
            origin,
            "the page is to see why"
        );
        for answer in [&asked, &put, &refused] {
            assert!(answer.headers.get("access-control-allow-credentials").is_none());
        }
    }
}

#[tokio::test]
async fn a_page_may_send_what_an_upload_has() {
    let server = with_origins().await;
    let asked = Request::new("OPTIONS", "/api/v1/files/main/cat.png")
        .header("origin", APP)
        .header("access-control-request-method", "PUT")
        .header(
            "access-control-request-headers",
            "cache-control,content-disposition,content-md5,x-evil,x-meta-owner, X-Meta-Mood,x-metal,x-meta-a b",
        );
    let answer = server.send_as_it_is(asked).await;
    let allowed: Vec<_> = answer
        .header("access-control-allow-headers")
        .split(", ")
        .collect();
    for header in ["Cache-Control", "Content-Disposition", "Content-MD5"] {
        assert!(allowed.contains(&header), "{header}");
    }
    let own: Vec<_> = allowed
        .iter()
        .filter(|name| name.to_ascii_lowercase().starts_with("x-m"))
        .collect();
    assert_eq!(own, [&"x-meta-owner", &"X-Meta-Mood"]);
    assert!(!allowed.contains(&"x-evil"));
    let many: Vec<_> = (0..500).map(|number| format!("x-meta-{number}")).collect();
    let asked = Request::new("OPTIONS", "/api/v1/files/main/cat.png")
        .header("origin", APP)
        .header("access-control-request-method", "PUT")
        .header("access-control-request-headers", &many.join(","));
    let answer = server.send_as_it_is(asked).await;
    assert_eq!(
        answer
            .header("access-control-allow-headers")
            .matches("x-meta-")
            .count(),
        64
    );
}

#[tokio::test]
async fn no_other_origin_is_allowed_anything() {
    let server = with_origins().await;
    for origin in [
        "null",
        "*",
        "https://app.example.com.evil.org",
        "https://evil-app.example.com",
        "https://evil.org/https://app.example.com",
        "http://app.example.com",
        "https://app.example.com:444",
        "https://APP.example.com",
        "https://app.example.com, https://evil.org",
        "",
    ] {
        let asked = server.send_as_it_is(preflight(origin)).await;
        assert_eq!(asked.status, 405, "{origin}");
        let got = server
            .send(Request::get("/api/v1/collections").header("origin", origin))
            .await;
        for answer in [asked, got] {
            assert!(
                answer.headers.get("access-control-allow-origin").is_none(),
                "{origin}"
            );
            assert_eq!(answer.header("vary"), "Origin");
            assert_eq!(answer.header("cross-origin-resource-policy"), "same-origin");
        }
    }
    let twice = Request::get("/healthz")
        .header("origin", APP)
        .header("origin", "https://evil.org");
    assert!(
        server
            .send(twice)
            .await
            .headers
            .get("access-control-allow-origin")
            .is_none()
    );
}

#[tokio::test]
async fn without_configuration_there_is_no_cors() {
    let server = Server::start().await;
    assert_eq!(server.send_as_it_is(preflight(APP)).await.status, 405);
    let answer = server.send(Request::get("/healthz").header("origin", APP)).await;
    assert!(
        answer
            .headers
            .keys()
            .all(|name| !name.as_str().starts_with("access-control"))
    );
    assert!(answer.headers.get("vary").is_none());
}
