//! Signing in with an OpenID provider that others have written: `oidc-provider` from npm, in a process of its own.
//!
//! The package comes into the ignored folder `.tools/`; the tests fail if Node.js or npm is missing.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use andiron_auth::{AuthOptions, parse_providers};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Child;
use tokio::sync::OnceCell;

use crate::auth_client::{Person, post};
use crate::client::{Answer, Client, Request};
use crate::identity_provider::form_fields;
use crate::server::{Server, quick_accounts};

/// The package, pinned.
const PACKAGE: &str = "oidc-provider@9.13.3";
const REDIRECT: &str = "https://app.example.org/signed-in";
const CALLBACK: &str = "http://127.0.0.1:8750/api/v1/auth/oauth/real/callback";
const SECRET: &str = "the-secret-of-the-client-of-32-bytes";
/// Answers until a browser has come from the provider back to the app: two pages, and redirects around them.
const HOPS_MAX: usize = 16;

/// The folder in which the package is; installed by the first test that asks.
async fn packages() -> &'static Path {
    static INSTALLED: OnceCell<PathBuf> = OnceCell::const_new();
    let install = async || {
        let tools = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.tools/oidc-provider");
        let stamp = tools.join("installed");
        if std::fs::read_to_string(&stamp).is_ok_and(|installed| installed == PACKAGE) {
            return tools;
        }
        std::fs::create_dir_all(&tools).unwrap();
        std::fs::write(tools.join("package.json"), "{\"private\": true}\n").unwrap();
        let status = Command::new("npm")
            .args([
                "install",
                "--ignore-scripts",
                "--no-audit",
                "--no-fund",
                "--save-exact",
                PACKAGE,
            ])
            .current_dir(&tools)
            .stdout(Stdio::null())
            .status()
            .expect("npm is needed: this test signs in with an OpenID provider from there");
        assert!(status.success(), "npm could not install {PACKAGE}");
        std::fs::write(stamp, PACKAGE).unwrap();
        tools
    };
    INSTALLED.get_or_init(install).await
}

/// A provider that runs, until it is dropped.
struct Provider {
    issuer: String,
    address: SocketAddr,
    _process: Child,
}

impl Provider {
    async fn start() -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/oidc_provider.mjs");
        let mut process = tokio::process::Command::new("node")
            .arg(script)
            .args([packages().await, Path::new(CALLBACK)])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .kill_on_drop(true)
            .spawn()
            .expect("Node.js is needed: this test signs in with an OpenID provider that runs there");
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let issuer = lines
            .next_line()
            .await
            .unwrap()
            .expect("the provider says its issuer");
        // Read on, or it fails at whatever else it has to say.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Self {
            address: issuer.strip_prefix("http://").unwrap().parse().unwrap(),
            issuer,
            _process: process,
        }
    }

    fn options(&self) -> AuthOptions {
        let providers =
            json!({"real": {"issuer": self.issuer, "clientId": "the-client", "clientSecret": SECRET}});
        AuthOptions {
            providers: parse_providers(&providers.to_string()).unwrap(),
            redirect_urls: vec![REDIRECT.to_owned()],
            private_providers: true,
            ..quick_accounts()
        }
    }

    async fn send(&self, request: Request) -> Answer {
        Client::connect(self.address).await.send(request).await
    }

    /// What a browser does that is sent to the provider, in which somebody signs in and agrees: gives the query with which it
    /// is sent back.
    async fn sign_in(&self, location: &str, name: &str) -> String {
        let mut cookies = BTreeMap::new();
        let mut request = Request::get(location.strip_prefix(&self.issuer).unwrap());
        for _ in 0..HOPS_MAX {
            let sent = cookies.iter().map(|(name, value)| format!("{name}={value}"));
            let page = request.target.clone();
            request = request.header("cookie", &sent.collect::<Vec<_>>().join("; "));
            let answer = self.send(request).await;
            for cookie in answer.headers.get_all("set-cookie") {
                let (name, value) = cookie.to_str().unwrap().split_once('=').unwrap();
                cookies.insert(name.to_owned(), value.split(';').next().unwrap().to_owned());
            }
            if answer.status == 303 {
                let to = answer.header("location");
                if let Some(query) = to.strip_prefix(CALLBACK) {
                    return query.trim_start_matches('?').to_owned();
                }
                request = Request::get(to.strip_prefix(&self.issuer).unwrap_or(to));
                continue;
            }
            assert_eq!(answer.status, 200, "{page}: {}", answer.text());
            let form = if answer.text().contains("value=\"login\"") {
                format!("prompt=login&login={name}&password=whatever")
            } else {
                "prompt=consent".to_owned()
            };
            request = Request::new("POST", &page)
                .header("content-type", "application/x-www-form-urlencoded")
                .body(form);
        }
        panic!("the provider sends the browser round and round");
    }

    /// Where an app on a device sends its browser by itself.
    fn authorize_url(&self, verifier: &str, nonce: &str) -> String {
        let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(verifier));
        let callback = CALLBACK.replace(':', "%3A").replace('/', "%2F");
        format!(
            "{}/auth?client_id=the-client&response_type=code&scope=openid%20email%20profile&redirect_uri={callback}\
             &state=of-the-app&nonce={nonce}&code_challenge={challenge}&code_challenge_method=S256",
            self.issuer
        )
    }
}

/// A whole sign-in by redirects; gives the person, as the app gets to know them.
async fn by_redirects(server: &Server, provider: &Provider, name: &str) -> Person {
    let target = format!("/api/v1/auth/oauth/real/start?redirect={REDIRECT}");
    let begun = server.send_as_it_is(Request::get(&target)).await;
    assert_eq!(begun.status, 302, "{}", begun.text());
    let location = begun.header("location");
    let asked = form_fields(location.split_once('?').unwrap().1);
    assert_eq!(asked["code_challenge_method"], "S256");
    assert!(
        asked["nonce"].len() >= 16 && asked["state"].len() >= 16,
        "{asked:?}"
    );
    let query = provider.sign_in(location, name).await;
    let cookie = begun.header("set-cookie").split(';').next().unwrap();
    let back = Request::get(&format!("/api/v1/auth/oauth/real/callback?{query}")).header("cookie", cookie);
    let back = server.send_as_it_is(back).await;
    assert_eq!(back.status, 302, "{}", back.text());
    let (url, fragment) = back.header("location").split_once('#').unwrap();
    assert_eq!(url, REDIRECT);
    let code = form_fields(fragment)["code"].clone();
    Person::of(&post(server, "oauth/real/token", &json!({"code": code})).await)
}

#[tokio::test]
async fn a_provider_that_others_have_written_signs_in_by_redirects() {
    let provider = Provider::start().await;
    let server = Server::with_accounts(provider.options()).await;
    let ada = by_redirects(&server, &provider, "ada").await;
    let claims = ada.claims();
    assert_eq!(claims["email"], "ada@example.org");
    assert_eq!(claims["email_verified"], true);
    assert_eq!(claims["name"], "ada");
    assert_eq!(by_redirects(&server, &provider, "ada").await.uid, ada.uid);
    assert_ne!(by_redirects(&server, &provider, "grace").await.uid, ada.uid);
}

#[tokio::test]
async fn an_app_that_goes_to_the_provider_by_itself_signs_in_with_what_it_got() {
    let provider = Provider::start().await;
    let server = Server::with_accounts(provider.options()).await;
    let verifier = "a-verifier-of-forty-three-characters-or-more";
    let code = async || {
        let query = provider
            .sign_in(&provider.authorize_url(verifier, "the-nonce"), "ada")
            .await;
        form_fields(&query)["code"].clone()
    };
    // The provider's code: exchanged by the server, with the proof that only the app has.
    let body = |code: String, verifier: &str| json!({"providerCode": code, "redirectUri": CALLBACK, "codeVerifier": verifier, "nonce": "the-nonce"});
    let other = "another-verifier-of-forty-three-characters-too";
    let answer = post(&server, "oauth/real/token", &body(code().await, other)).await;
    assert_eq!(answer.status, 401, "{}", answer.text());
    for nonce in [json!("another-nonce"), Value::Null] {
        let mut body = body(code().await, verifier);
        body["nonce"] = nonce;
        let answer = post(&server, "oauth/real/token", &body).await;
        assert_eq!(answer.status, 401, "{}", answer.text());
    }
    let used = code().await;
    let ada = Person::of(&post(&server, "oauth/real/token", &body(used.clone(), verifier)).await);
    let answer = post(&server, "oauth/real/token", &body(used, verifier)).await;
    assert_eq!(answer.status, 401, "a code works once: {}", answer.text());
    // The provider's ID token: the app has exchanged the code by itself.
    let form = format!(
        "grant_type=authorization_code&code={}&redirect_uri={CALLBACK}&code_verifier={verifier}&client_id=the-client&client_secret={SECRET}",
        code().await
    );
    let exchange = Request::new("POST", "/token")
        .header("content-type", "application/x-www-form-urlencoded")
        .body(form);
    let token = provider.send(exchange).await.json()["id_token"].clone();
    let by_token = async |token: &Value, nonce: &str| {
        post(
            &server,
            "oauth/real/token",
            &json!({"idToken": token, "nonce": nonce}),
        )
        .await
    };
    assert_eq!(by_token(&token, "another-nonce").await.status, 401);
    let tampered = json!(format!("{}A", token.as_str().unwrap()));
    assert_eq!(by_token(&tampered, "the-nonce").await.status, 401);
    assert_eq!(Person::of(&by_token(&token, "the-nonce").await).uid, ada.uid);
}
