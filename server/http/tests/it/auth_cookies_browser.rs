//! Sessions in cookies, in a real browser: an app of its own origin on the server's site.

use andiron_engine::EngineOptions;
use andiron_http::HttpOptions;
use serde_json::json;

use crate::auth_client::PASSWORD;
use crate::browser::{self, Browser, serve_page};
use crate::server::{Server, quick_accounts};

/// A page that signs in with cookies and keeps nothing itself.
const PAGE: &str = "<!doctype html><title>App</title><script>
let api, csrf;
async function call(method, path, body, more) {
  const headers = {'content-type': 'application/json', ...more};
  if (csrf) headers['x-csrf-token'] = csrf;
  const options = {method, headers, credentials: 'include', body: body && JSON.stringify(body)};
  const answer = await fetch(`${api}/api/v1/auth/${path}`, options);
  const text = await answer.text();
  const json = text ? JSON.parse(text) : {};
  if (json.session) csrf = json.session.csrfToken;
  return {status: answer.status, ...json};
}
const cookie = {'x-andiron-session': 'cookie'};
</script>";

#[tokio::test]
async fn a_browser_keeps_the_session_and_shows_no_script_a_token() {
    if browser::is_left_out() {
        return;
    }
    let port = serve_page(PAGE).await;
    let origin = format!("http://localhost:{port}");
    let options = HttpOptions {
        session_cookies: true,
        cors_origins: vec![origin.parse().unwrap()],
        ..HttpOptions::default()
    };
    let (limits, accounts) = (EngineOptions::default(), quick_accounts());
    let server = Server::of(limits, options, accounts, None, andiron_http::router).await;
    let api = format!("http://localhost:{}", server.address.port());
    let mut browser = Browser::start().await;
    browser.open(&format!("{origin}/")).await;
    browser.evaluate(&format!("api = '{api}'")).await;
    let body = json!({"email": "ada@example.org", "password": PASSWORD});
    let signed_up = browser
        .evaluate(&format!("call('POST', 'sign-up', {body}, cookie)"))
        .await;
    assert_eq!(signed_up["status"], 201, "{signed_up}");
    assert!(signed_up["session"].get("accessToken").is_none());
    let visible = browser.evaluate("document.cookie").await;
    let visible = visible.as_str().unwrap();
    assert!(
        visible.contains("__Host-andiron-csrf")
            && !visible.contains("access")
            && !visible.contains("refresh"),
        "{visible}"
    );
    let change = "call('PATCH', 'me', {name: 'Ada'})";
    assert_eq!(browser.evaluate(change).await["status"], 200);
    // Loaded again, the page knows nothing and goes on.
    browser.open(&format!("{origin}/again")).await;
    browser.evaluate(&format!("api = '{api}'")).await;
    assert_eq!(browser.evaluate(change).await["status"], 403);
    assert_eq!(
        browser.evaluate("call('POST', 'refresh', {}, cookie)").await["status"],
        200
    );
    assert_eq!(browser.evaluate(change).await["status"], 200);
    // The same page on another site gets nothing from the browser: `localhost` and `127.0.0.1` are two.
    browser.open(&format!("http://127.0.0.1:{port}/")).await;
    let posted = browser
        .evaluate(&format!(
            "fetch('{api}/api/v1/auth/sign-out', {{method: 'POST', mode: 'no-cors', credentials: 'include', body: '{{}}'}})\
             .catch(() => 'not even an answer')"
        ))
        .await;
    assert_eq!(posted, "not even an answer");
    browser.open(&format!("{origin}/")).await;
    browser.evaluate(&format!("api = '{api}'")).await;
    assert_eq!(browser.evaluate("call('GET', 'me')").await["status"], 200);
    browser.evaluate("call('POST', 'refresh', {}, cookie)").await;
    assert_eq!(
        browser.evaluate("call('POST', 'sign-out', {})").await["status"],
        204
    );
    assert_eq!(browser.evaluate("document.cookie").await, "");
    assert_eq!(browser.evaluate("call('GET', 'me')").await["status"], 401);
    browser.close().await;
}
