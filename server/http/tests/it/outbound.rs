//! Where the server lets itself be sent: nowhere into its own network, and no further than it was told.

use std::net::TcpListener;

use andiron_auth::{AuthOptions, parse_providers};
use axum::Router;
use axum::http::StatusCode;
use axum::response::Redirect;
use axum::routing::get;
use serde_json::json;

use crate::auth_client::post;
use crate::client::Request;
use crate::server::{Server, quick_accounts};

const REDIRECT: &str = "https://app.example.org/signed-in";

fn options(issuer: &str, private_providers: bool) -> AuthOptions {
    let providers = json!({"mine": {"issuer": issuer, "clientId": "client", "clientSecret": "secret"}});
    AuthOptions {
        providers: parse_providers(&providers.to_string()).unwrap(),
        redirect_urls: vec![REDIRECT.to_owned()],
        private_providers,
        ..quick_accounts()
    }
}

/// A place in the server's own network that nobody is to come to.
struct Trap(TcpListener);

impl Trap {
    fn set() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        listener.set_nonblocking(true).unwrap();
        Self(listener)
    }

    fn port(&self) -> u16 {
        self.0.local_addr().unwrap().port()
    }

    /// Panics if somebody came. Whoever was answered has either come by now or does not come any more.
    fn is_empty(&self, why: &str) {
        let came = self.0.accept();
        assert!(came.is_err(), "somebody came: {why}");
    }
}

/// Everything that makes the server ask a provider is refused, says nothing of why, and nobody is connected to.
#[tokio::test]
async fn a_provider_is_not_asked_in_the_servers_own_network_however_it_is_written() {
    let trap = Trap::set();
    let port = trap.port();
    for host in [
        "127.0.0.1",
        "localhost",
        "LOCALHOST",
        "127.1",
        "2130706433",
        "0x7f000001",
        "0177.0.0.1",
        "0.0.0.0",
        "[::1]",
        "[::]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[64:ff9b::7f00:1]",
        "[2002:7f00:1::]",
        "user@127.0.0.1",
        "example.org@127.0.0.1",
        "10.0.0.1",
        "172.16.0.1",
        "192.168.0.1",
        "169.254.169.254",
        "100.64.0.1",
        "[fe80::1]",
        "[fd00::1]",
    ] {
        for scheme in ["https", "http"] {
            let issuer = format!("{scheme}://{host}:{port}");
            let server = Server::with_accounts(options(&issuer, false)).await;
            let start = format!("/api/v1/auth/oauth/mine/start?redirect={REDIRECT}");
            let begun = server.send_as_it_is(Request::get(&start)).await;
            let by_token = post(&server, "oauth/mine/token", &json!({"idToken": "e30.e30.x"})).await;
            for answer in [begun, by_token] {
                assert_eq!(answer.status, 401, "{issuer}: {}", answer.text());
                assert!(!answer.text().contains(host), "{issuer}: {}", answer.text());
            }
            trap.is_empty(&issuer);
        }
    }
    for issuer in [
        "file:///etc/passwd",
        "ftp://example.org",
        "gopher://example.org",
        "https://",
        "//x",
    ] {
        let parsed = parse_providers(&json!({"mine": {"issuer": issuer, "clientId": "c"}}).to_string());
        let Ok(providers) = parsed else { continue };
        let options = AuthOptions {
            providers,
            ..options("https://x.example", true)
        };
        let server = Server::with_accounts(options).await;
        let answer = post(&server, "oauth/mine/token", &json!({"idToken": "e30.e30.x"})).await;
        assert_eq!(answer.status, 401, "{issuer}: {}", answer.text());
    }
}

/// A provider that sends the server on, to another port or place, has not answered; nor is what it says told to anybody.
#[tokio::test]
async fn redirects_of_a_provider_are_not_followed_and_its_failures_not_repeated() {
    let trap = Trap::set();
    let elsewhere = format!("http://127.0.0.1:{}/", trap.port());
    let provider = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = provider.local_addr().unwrap();
    let discovery = "/.well-known/openid-configuration";
    let router = Router::new()
        .route(
            &format!("/sends-on{discovery}"),
            get(async move || Redirect::temporary(&elsewhere)),
        )
        .route(
            &format!("/fails{discovery}"),
            get(async || {
                (
                    StatusCode::INTERNAL_SERVER_ERROR,
                    "the-secret-of-the-metadata-service",
                )
            }),
        )
        .route(
            &format!("/is-something-else{discovery}"),
            get(async || "the-secret-of-the-metadata-service"),
        );
    tokio::spawn(async move {
        let options = andiron_http::HttpOptions::default();
        andiron_http::serve(provider, router, &options, std::future::pending()).await
    });
    for path in ["sends-on", "fails", "is-something-else"] {
        let server = Server::with_accounts(options(&format!("http://{address}/{path}"), true)).await;
        let answer = post(&server, "oauth/mine/token", &json!({"idToken": "e30.e30.x"})).await;
        assert_eq!(answer.status, 401, "{path}: {}", answer.text());
        assert!(!answer.text().contains("metadata"), "{path}: {}", answer.text());
    }
    trap.is_empty("sent on");
}
