//! That the settings of accounts reach what they are about, in the whole server.

use andiron_testkit::TestServer;
use http::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpListener;

const PASSWORD: &str = "correct horse battery staple";
/// Hashes that cost nothing.
const CHEAP: [(&str, &str); 2] = [("auth.hash_memory", "1 MiB"), ("auth.hash_passes", "1")];

fn settings<'s>(more: &[(&'s str, &'s str)]) -> Vec<(&'s str, &'s str)> {
    CHEAP.iter().chain(more).copied().collect()
}

fn credentials() -> Value {
    json!({"email": "ada@example.org", "password": PASSWORD})
}

#[tokio::test]
async fn passkeys_are_of_the_domain_and_the_pages_of_the_settings() {
    let server = TestServer::start_with(&settings(&[
        ("auth.passkey_domain", "example.org"),
        (
            "auth.passkey_origins",
            "https://app.example.org,https://example.org",
        ),
        ("auth.app_name", "Example"),
    ]))
    .await;
    let options = server
        .anonymous()
        .post("/api/v1/auth/passkeys/sign-in/start", &json!({}))
        .await
        .expect(200)
        .json();
    assert_eq!(options["publicKey"]["rpId"], "example.org");
    let signed_up = server
        .anonymous()
        .post("/api/v1/auth/sign-up", &credentials())
        .await
        .expect(201)
        .json();
    let options = server
        .anonymous()
        .with_key(signed_up["session"]["accessToken"].as_str().unwrap())
        .post("/api/v1/auth/passkeys/register/start", &json!({}))
        .await
        .expect(200)
        .json();
    assert_eq!(
        options["publicKey"]["rp"],
        json!({"id": "example.org", "name": "Example"})
    );
    // The address of a test's server is no domain, and nothing else is said there.
    let server = TestServer::start_with(&settings(&[])).await;
    server
        .anonymous()
        .post("/api/v1/auth/passkeys/sign-in/start", &json!({}))
        .await
        .expect_problem(400, "failed-precondition");
}

#[tokio::test]
async fn sessions_are_in_cookies_where_the_settings_have_that() {
    for (is_on, status) in [("true", 201), ("false", 400)] {
        let server = TestServer::start_with(&settings(&[("auth.cookies", is_on)])).await;
        let headers = [
            ("content-type", "application/json"),
            ("x-andiron-session", "cookie"),
        ];
        let answer = server
            .anonymous()
            .request(
                Method::POST,
                "/api/v1/auth/sign-up",
                &headers,
                Some(credentials().to_string()),
            )
            .await
            .expect(status);
        let has_cookie = answer
            .header("set-cookie")
            .is_some_and(|cookie| cookie.starts_with("__Host-andiron-access="));
        assert_eq!(has_cookie, is_on == "true");
    }
}

#[tokio::test]
async fn codes_go_to_the_webhook_of_the_settings() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = format!("http://{}/texts", listener.local_addr().unwrap());
    let server = TestServer::start_with(&settings(&[
        ("sms.webhook", &url),
        ("sms.secret", "a secret of the two of us"),
        ("sms.private", "true"),
    ]))
    .await;
    let phone = "+14155550123";
    server
        .anonymous()
        .post("/api/v1/auth/phone/code", &json!({"phone": phone}))
        .await
        .expect(202);
    let (stream, _) = listener.accept().await.unwrap();
    let mut stream = BufReader::new(stream);
    let (mut length, mut is_signed) = (0, false);
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).await.unwrap();
        let line = line.trim_end().to_ascii_lowercase();
        if line.is_empty() {
            break;
        }
        if let Some(value) = line.strip_prefix("content-length: ") {
            length = value.parse().unwrap();
        }
        is_signed |= line.starts_with("andiron-signature: t=");
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.unwrap();
    stream
        .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        .await
        .unwrap();
    let text: Value = serde_json::from_slice(&body).unwrap();
    assert!(is_signed);
    assert_eq!(
        (&text["to"], &text["purpose"]),
        (&json!(phone), &json!("sign-in"))
    );
    let body = json!({"phone": phone, "code": text["code"]});
    let signed_in = server
        .anonymous()
        .post("/api/v1/auth/phone/code/confirm", &body)
        .await
        .expect(200)
        .json();
    assert_eq!(signed_in["account"]["phone"], phone);
}
