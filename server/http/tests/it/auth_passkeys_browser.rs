//! Passkeys in a real browser, with the authenticators that it has for tests: the app is a page of its own origin.

use andiron_auth::{AuthOptions, RelyingParty};
use andiron_engine::EngineOptions;
use andiron_http::HttpOptions;
use serde_json::{Value, json};

use crate::auth_client::{PASSWORD, claims};
use crate::browser::{self, Browser, serve_page};
use crate::server::{Server, quick_accounts};

/// An app: what it does with the server and the browser's own functions for passkeys.
const APP: &str = "<!doctype html><title>App</title><script>
let api, token;
async function call(path, body) {
  const headers = {'content-type': 'application/json'};
  if (token) headers.authorization = `Bearer ${token}`;
  const answer = await fetch(`${api}/api/v1/auth/${path}`, {method: 'POST', headers, body: JSON.stringify(body)});
  const text = await answer.text();
  const json = text ? JSON.parse(text) : {};
  if (json.session) token = json.session.accessToken;
  return {status: answer.status, ...json};
}
async function register(secondFactor, name) {
  const {publicKey} = await call('passkeys/register/start', {secondFactor});
  const options = PublicKeyCredential.parseCreationOptionsFromJSON(publicKey);
  const credential = await navigator.credentials.create({publicKey: options});
  return call('passkeys/register/finish', {name, credential: credential.toJSON()});
}
async function use(body) {
  const {publicKey} = await call('passkeys/sign-in/start', body);
  const options = PublicKeyCredential.parseRequestOptionsFromJSON(publicKey);
  const credential = await navigator.credentials.get({publicKey: options});
  const {ticket} = body;
  return call('passkeys/sign-in/finish', {ticket, credential: credential.toJSON()});
}
</script>";

/// The app opened in a browser, and its server.
async fn opened() -> (Browser, Server, u16) {
    let port = serve_page(APP).await;
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
        .evaluate(&format!("api = 'http://{}'", server.address))
        .await;
}

async fn sign_up(browser: &mut Browser) -> Value {
    let body = json!({"email": "ada@example.org", "password": PASSWORD});
    let signed_up = browser.evaluate(&format!("call('sign-up', {body})")).await;
    assert_eq!(signed_up["status"], 201, "{signed_up}");
    signed_up["account"]["uid"].clone()
}

fn amr(signed_in: &Value) -> Value {
    assert_eq!(signed_in["status"], 200, "{signed_in}");
    claims(signed_in["session"]["accessToken"].as_str().unwrap())["amr"].clone()
}

#[tokio::test]
async fn a_browser_signs_in_with_a_passkey_that_it_has_made() {
    if browser::is_left_out() {
        return;
    }
    let (mut browser, server, port) = opened().await;
    let authenticator = browser.add_authenticator("internal", true).await;
    let uid = sign_up(&mut browser).await;
    let added = browser.evaluate("register(false, 'This browser')").await;
    assert_eq!(
        (&added["status"], &added["passkey"]["name"]),
        (&json!(201), &json!("This browser")),
        "{added}"
    );
    let again = browser.evaluate("register(false, 'Again')").await;
    assert!(
        again["error"].as_str().unwrap().contains("InvalidStateError"),
        "an authenticator keeps one: {again}"
    );

    // Nobody is signed in any more, and nobody says who they are.
    browser.evaluate("token = undefined").await;
    let signed_in = browser.evaluate("use({})").await;
    assert_eq!(signed_in["account"]["uid"], uid);
    assert_eq!(amr(&signed_in), json!(["hwk", "user", "mfa"]));
    browser.evaluate("token = undefined").await;
    let signed_in = browser.evaluate("use({email: 'ada@example.org'})").await;
    assert_eq!(signed_in["account"]["uid"], uid);
    // Within the session it shows once more who it is.
    let stepped_up = browser.evaluate("use({})").await;
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
    browser.evaluate("token = undefined").await;
    let refused = browser.evaluate("use({})").await;
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
    let added = browser.evaluate("register(true, 'Key')").await;
    assert_eq!(added["status"], 201, "{added}");
    assert_eq!(added["recoveryCodes"].as_array().unwrap().len(), 10);
    browser.evaluate("token = undefined").await;
    let body = json!({"email": "ada@example.org", "password": PASSWORD});
    let due = browser.evaluate(&format!("call('sign-in', {body})")).await;
    assert_eq!(due["mfa"]["factors"], json!(["passkey", "recovery"]));
    let ticket = json!({"ticket": due["mfa"]["ticket"]});
    let signed_in = browser.evaluate(&format!("use({ticket})")).await;
    assert_eq!(signed_in["account"]["uid"], uid, "{signed_in}");
    assert_eq!(amr(&signed_in), json!(["pwd", "hwk", "user", "mfa"]));
    browser.close().await;
}
