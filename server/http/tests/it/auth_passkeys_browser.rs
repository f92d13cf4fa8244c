//! Passkeys in a real browser, with the authenticators that it has for tests: the app is a page of its own origin, with the
//! script of the documentation.

use std::path::Path;

use andiron_auth::{AuthOptions, RelyingParty};
use andiron_engine::EngineOptions;
use andiron_http::HttpOptions;
use serde_json::{Value, json};

use crate::auth_client::{PASSWORD, claims};
use crate::browser::{self, Browser, serve_page};
use crate::server::{Server, quick_accounts};

/// An app that does what `docs/accounts.md` says, in its very lines, and keeps the token of who is signed in. Its server is
/// elsewhere, and known later.
fn app() -> String {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/accounts.md");
    let page = std::fs::read_to_string(page).unwrap();
    let (_, script) = page.split_once("```js\n").expect("a block of JavaScript");
    let (script, _) = script.split_once("```\n").unwrap();
    let here = "const api = '/api/v1/auth/';\n";
    assert!(script.starts_with(here), "{script}");
    let script = script.replace(here, "let api, token;\n");
    format!(
        "<!doctype html><title>App</title><script>{script}
async function keep(answer) {{
  const json = await answer;
  if (json.session) token = json.session.accessToken;
  return json;
}}
</script>"
    )
}

/// The app opened in a browser, and its server.
async fn opened() -> (Browser, Server, u16) {
    let port = serve_page(app().leak()).await;
    let origin = format!("http://localhost:{port}");
    let accounts = AuthOptions {
        passkeys: Some(RelyingParty::new("localhost", vec![origin.clone()]).unwrap()),
        ..quick_accounts()
    };
    let options = HttpOptions {
        cors_origins: vec![origin.parse().unwrap()],
        ..HttpOptions::default()
    };
    let limits = EngineOptions::default();
    let server = Server::of(limits, options, accounts, None, andiron_http::router).await;
    let mut browser = Browser::start().await;
    open(&mut browser, &server, &format!("{origin}/")).await;
    (browser, server, port)
}

async fn open(browser: &mut Browser, server: &Server, url: &str) {
    browser.open(url).await;
    browser
        .evaluate(&format!("api = 'http://{}/api/v1/auth/'", server.address))
        .await;
}

async fn sign_up(browser: &mut Browser) -> Value {
    let body = json!({"email": "ada@example.org", "password": PASSWORD});
    let signed_up = browser.evaluate(&format!("keep(call('sign-up', {body}))")).await;
    let uid = signed_up["account"]["uid"].clone();
    assert!(uid.is_string(), "{signed_up}");
    uid
}

fn amr(signed_in: &Value) -> Value {
    let token = signed_in["session"]["accessToken"].as_str();
    claims(token.unwrap_or_else(|| panic!("{signed_in}")))["amr"].clone()
}

#[tokio::test]
async fn a_browser_signs_in_with_a_passkey_that_it_has_made() {
    if browser::is_left_out() {
        return;
    }
    let (mut browser, server, port) = opened().await;
    let authenticator = browser.add_authenticator("internal", true).await;
    let uid = sign_up(&mut browser).await;
    let added = browser.evaluate("addPasskey(token, 'This browser')").await;
    assert_eq!(added["passkey"]["name"], "This browser", "{added}");
    let again = browser.evaluate("addPasskey(token, 'Again')").await;
    assert!(
        again["error"].as_str().unwrap().contains("InvalidStateError"),
        "an authenticator keeps one: {again}"
    );

    // Nobody is signed in, and nobody says who they are.
    let signed_in = browser.evaluate("usePasskey()").await;
    assert_eq!(signed_in["account"]["uid"], uid);
    assert_eq!(amr(&signed_in), json!(["hwk", "user", "mfa"]));
    let by_address = "keep(usePasskey({email: 'ada@example.org'}))";
    let signed_in = browser.evaluate(by_address).await;
    assert_eq!(signed_in["account"]["uid"], uid);
    // Within the session it shows once more who it is.
    let stepped_up = browser.evaluate("usePasskey({}, token)").await;
    assert_eq!(amr(&stepped_up), json!(["hwk", "user", "mfa"]));
    assert_ne!(stepped_up["session"]["id"], signed_in["session"]["id"]);

    let stored = json!({"authenticatorId": authenticator});
    let stored = browser.call("WebAuthn.getCredentials", stored).await;
    assert_eq!(stored["credentials"][0]["rpId"], "localhost");
    assert_eq!(stored["credentials"][0]["isResidentCredential"], true);
    assert!(
        stored["credentials"][0]["signCount"].as_i64() >= Some(3),
        "{stored}"
    );

    // A finger that is not its owner's.
    let wrong = json!({"authenticatorId": authenticator, "isUserVerified": false});
    browser.call("WebAuthn.setUserVerified", wrong).await;
    let refused = browser.evaluate("usePasskey()").await;
    assert!(
        refused["error"].as_str().unwrap().contains("NotAllowedError"),
        "{refused}"
    );
    // The same page at another origin: the browser itself says no.
    open(&mut browser, &server, &format!("http://127.0.0.1:{port}/")).await;
    let refused = browser
        .evaluate(
            "navigator.credentials.get({publicKey: {rpId: 'localhost', challenge: new Uint8Array(32), \
             userVerification: 'required'}})",
        )
        .await;
    assert!(
        refused["error"].as_str().unwrap().contains("SecurityError"),
        "{refused}"
    );
    browser.close().await;
}

#[tokio::test]
async fn a_browser_shows_a_security_key_after_the_password() {
    if browser::is_left_out() {
        return;
    }
    let (mut browser, _server, _) = opened().await;
    browser.add_authenticator("usb", false).await;
    let uid = sign_up(&mut browser).await;
    let added = browser.evaluate("addPasskey(token, 'Key', true)").await;
    let codes = added["recoveryCodes"].as_array();
    assert_eq!(codes.map(Vec::len), Some(10), "{added}");
    let body = json!({"email": "ada@example.org", "password": PASSWORD});
    let due = browser.evaluate(&format!("call('sign-in', {body})")).await;
    assert_eq!(due["mfa"]["factors"], json!(["passkey", "recovery"]));
    let ticket = json!({"ticket": due["mfa"]["ticket"]});
    let signed_in = browser.evaluate(&format!("usePasskey({ticket})")).await;
    assert_eq!(signed_in["account"]["uid"], uid, "{signed_in}");
    assert_eq!(amr(&signed_in), json!(["pwd", "hwk", "user", "mfa"]));
    browser.close().await;
}
