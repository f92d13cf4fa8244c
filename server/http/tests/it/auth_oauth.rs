//! Signing in with identity providers; the attacks on that.

use andiron_auth::{AuthOptions, SignUpPolicy, parse_providers};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::auth_client::{PASSWORD, Person, admin, events, post, sign_in};
use crate::client::{Answer, Request};
use crate::identity_provider::{CLIENT_ID, IdentityProvider, form_fields};
use crate::server::{Server, quick_accounts};

const REDIRECT: &str = "https://app.example.org/signed-in";

pub(crate) fn options(provider: &IdentityProvider) -> AuthOptions {
    let providers = json!({
        "mine": {"issuer": provider.issuer(), "clientId": CLIENT_ID, "clientSecret": "the-secret"},
        "other": {"issuer": provider.issuer(), "clientId": "another-client"},
    });
    AuthOptions {
        providers: parse_providers(&providers.to_string()).unwrap(),
        redirect_urls: vec![REDIRECT.to_owned()],
        private_providers: true,
        ..quick_accounts()
    }
}

async fn started() -> (IdentityProvider, Server) {
    let provider = IdentityProvider::start().await;
    let server = Server::with_accounts(options(&provider)).await;
    (provider, server)
}

fn now(server: &Server) -> i64 {
    server.engine.now().as_micros() / 1_000_000
}

/// A browser that has begun: its cookie, and where it was sent.
struct Browser {
    cookie: String,
    location: String,
}

impl Browser {
    async fn start(server: &Server, more: &str) -> Self {
        let target = format!("/api/v1/auth/oauth/mine/start?redirect={REDIRECT}{more}");
        let answer = server.send_as_it_is(Request::get(&target)).await;
        assert_eq!(answer.status, 302, "{}", answer.text());
        let cookie = answer.header("set-cookie").to_owned();
        assert!(
            cookie.contains("HttpOnly") && cookie.contains("SameSite=Lax"),
            "{cookie}"
        );
        Self {
            cookie: cookie.split(';').next().unwrap().to_owned(),
            location: answer.header("location").to_owned(),
        }
    }

    fn state(&self) -> String {
        form_fields(self.location.split_once('?').unwrap().1)["state"].clone()
    }

    async fn back(&self, server: &Server, query: &str) -> Answer {
        let target = format!("/api/v1/auth/oauth/mine/callback?{query}");
        server
            .send_as_it_is(Request::get(&target).header("cookie", &self.cookie))
            .await
    }
}

/// What stands behind `#` where the app gets the browser back.
fn fragment(answer: &Answer) -> std::collections::HashMap<String, String> {
    assert_eq!(answer.status, 302, "{}", answer.text());
    let location = answer.header("location");
    let (url, fragment) = location.split_once('#').unwrap();
    assert_eq!(url, REDIRECT);
    form_fields(fragment)
}

/// A whole flow in a browser; gives the code for the app.
async fn flow(server: &Server, provider: &IdentityProvider, claims: Value) -> String {
    let browser = Browser::start(server, "").await;
    let code = provider.code(&browser.location, claims);
    let query = format!(
        "state={}&code={code}&session_state=x&iss={}",
        browser.state(),
        provider.issuer()
    );
    fragment(&browser.back(server, &query).await)["code"].clone()
}

async fn by_id_token(server: &Server, token: &str) -> Answer {
    post(server, "oauth/mine/token", &json!({"idToken": token})).await
}

#[tokio::test]
async fn somebody_signs_in_by_redirects_and_is_the_same_the_next_time() {
    let (provider, server) = started().await;
    let claims = provider.claims("s1", Some(("Ada@example.org", json!(true))), now(&server));
    let code = flow(&server, &provider, claims.clone()).await;
    let body = json!({"code": code});
    assert_eq!(
        post(&server, "oauth/other/token", &body).await.status,
        400,
        "of another provider"
    );
    let answer = post(&server, "oauth/mine/token", &body).await;
    let ada = Person::of(&answer);
    let account = &answer.json()["account"];
    assert_eq!(
        (&account["email"], &account["emailVerified"]),
        (&json!("ada@example.org"), &json!(true))
    );
    assert_eq!(account["name"], "Ada");
    assert_eq!(account["providers"][0]["id"], "mine");
    assert_eq!(ada.claims()["firebase"]["sign_in_provider"], "mine");
    assert_eq!(ada.claims()["firebase"]["identities"]["mine"], json!(["s1"]));
    assert_eq!(post(&server, "oauth/mine/token", &body).await.status, 400, "once");
    let code = flow(&server, &provider, claims).await;
    let again = Person::of(&post(&server, "oauth/mine/token", &json!({"code": code})).await);
    assert_eq!(again.uid, ada.uid);
    let late = flow(&server, &provider, provider.claims("s1", None, now(&server))).await;
    server.clock.advance(61);
    assert_eq!(
        post(&server, "oauth/mine/token", &json!({"code": late}))
            .await
            .status,
        400
    );
}

#[tokio::test]
async fn the_end_of_a_flow_is_for_the_browser_and_the_app_that_began_it() {
    let (provider, server) = started().await;
    let claims = || provider.claims("s1", None, now(&server));
    let browser = Browser::start(&server, "").await;
    let other = Browser::start(&server, "").await;
    let code = provider.code(&browser.location, claims());
    let query = format!("state={}&code={code}", browser.state());
    let refused = |answer: Answer| {
        assert_eq!(answer.code(), "failed-precondition");
        assert_eq!(answer.header("location"), "", "nobody is sent anywhere");
    };
    refused(other.back(&server, &query).await);
    let target = format!("/api/v1/auth/oauth/mine/callback?{query}");
    refused(server.send_as_it_is(Request::get(&target)).await);
    refused(
        server
            .send_as_it_is(
                Request::get(&target.replace("/mine/", "/other/")).header("cookie", &browser.cookie),
            )
            .await,
    );
    for state in ["", "x", &other.state()] {
        refused(browser.back(&server, &format!("state={state}&code={code}")).await);
    }
    fragment(&browser.back(&server, &query).await);
    refused(browser.back(&server, &query).await);

    let secret = "a secret of the app's own, of some length";
    let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(secret));
    let browser = Browser::start(&server, &format!("&challenge={challenge}")).await;
    let code = provider.code(&browser.location, claims());
    let query = format!("state={}&code={code}", browser.state());
    let code = fragment(&browser.back(&server, &query).await)["code"].clone();
    let with = |verifier: Value| json!({"code": code, "verifier": verifier});
    for wrong in [Value::Null, json!("another secret")] {
        assert_eq!(post(&server, "oauth/mine/token", &with(wrong)).await.status, 400);
    }
    Person::of(&post(&server, "oauth/mine/token", &with(json!(secret))).await);
}

#[tokio::test]
async fn a_flow_leads_back_to_the_urls_of_the_settings_alone() {
    let (_provider, server) = started().await;
    for redirect in [
        "https://app.example.org/signed-in/",
        "https://app.example.org/signed-in/evil",
        "https://app.example.org/signed-in?x=1",
        "https://app.example.org/signed-in%23x",
        "https://app.example.org/signed-in%5C@evil.example",
        "https://app.example.org@evil.example/signed-in",
        "https://app.example.org.evil.example/signed-in",
        "https://evil.example/signed-in",
        "http://app.example.org/signed-in",
        "//app.example.org/signed-in",
        "HTTPS://app.example.org/signed-in",
        "javascript:alert(1)",
        "",
    ] {
        let target = format!("/api/v1/auth/oauth/mine/start?redirect={redirect}");
        let answer = server.send_as_it_is(Request::get(&target)).await;
        assert_eq!(
            (answer.status.as_u16(), answer.header("location")),
            (400, ""),
            "{redirect}"
        );
    }
    let long = "x".repeat(10_000);
    for challenge in ["", "short", "not/base64url+not/base64url+not/base64url+x", &long] {
        let target = format!("/api/v1/auth/oauth/mine/start?redirect={REDIRECT}&challenge={challenge}");
        let answer = server.send_as_it_is(Request::get(&target)).await;
        assert_eq!(
            (answer.code().as_str(), answer.header("location")),
            ("invalid-argument", ""),
            "{challenge:.20}"
        );
    }
    let target = format!("/api/v1/auth/oauth/nobody/start?redirect={REDIRECT}");
    assert_eq!(server.send_as_it_is(Request::get(&target)).await.status, 404);
}

#[tokio::test]
async fn what_a_provider_refuses_or_gets_wrong_ends_at_the_app_with_an_error() {
    let (provider, server) = started().await;
    let browser = Browser::start(&server, "").await;
    let query = format!(
        "state={}&error=access_denied&error_description=%3Cscript%3E",
        browser.state()
    );
    assert_eq!(fragment(&browser.back(&server, &query).await)["error"], "refused");
    let mut wrong_nonce = provider.claims("s1", None, now(&server));
    wrong_nonce["nonce"] = json!("of another flow");
    let mut wrong_issuer = provider.claims("s1", None, now(&server));
    wrong_issuer["iss"] = json!("https://evil.example");
    for claims in [wrong_nonce, wrong_issuer] {
        let browser = Browser::start(&server, "").await;
        let code = provider.code(&browser.location, claims);
        let query = format!("state={}&code={code}", browser.state());
        assert_eq!(fragment(&browser.back(&server, &query).await)["error"], "failed");
    }
    for query in ["code=never-issued", "code=x&iss=https://evil.example"] {
        let browser = Browser::start(&server, "").await;
        let query = format!("state={}&{query}", browser.state());
        assert_eq!(fragment(&browser.back(&server, &query).await)["error"], "failed");
    }
    let first = Browser::start(&server, "").await;
    let code = provider.code(&first.location, provider.claims("s1", None, now(&server)));
    let second = Browser::start(&server, "").await;
    let query = format!("state={}&code={code}", second.state());
    let answer = fragment(&second.back(&server, &query).await);
    assert_eq!(
        answer["error"], "failed",
        "a code of another flow does not fit its PKCE challenge"
    );
    let accounts = admin(&server, "GET", "accounts", &Value::Null).await.json();
    assert_eq!(accounts["accounts"], json!([]), "and nobody was made");
}

#[tokio::test]
async fn id_tokens_are_taken_from_their_provider_for_this_client_and_in_time() {
    let (provider, server) = started().await;
    let stranger = IdentityProvider::start().await;
    let good = provider.claims("s1", None, now(&server));
    let with = |name: &str, value: Value| {
        let mut claims = good.clone();
        claims[name] = value;
        claims
    };
    let header = |json: Value| provider.id_token_with(&json, &good);
    let [first, payload, signature] = {
        let token = provider.id_token(&good);
        let parts: Vec<_> = token.split('.').map(ToOwned::to_owned).collect();
        <[String; 3]>::try_from(parts).unwrap()
    };
    let none = URL_SAFE_NO_PAD.encode(json!({"alg": "none"}).to_string());
    for (name, token) in [
        (
            "another issuer's",
            stranger.id_token(&stranger.claims("s1", None, now(&server))),
        ),
        ("another's key", stranger.id_token(&good)),
        (
            "another issuer",
            provider.id_token(&with("iss", json!("https://evil.example"))),
        ),
        (
            "another audience",
            provider.id_token(&with("aud", json!("another-client"))),
        ),
        (
            "many audiences",
            provider.id_token(&with("aud", json!([CLIENT_ID, "another-client"]))),
        ),
        (
            "expired",
            provider.id_token(&with("exp", json!(now(&server) - 100))),
        ),
        ("no expiry", provider.id_token(&with("exp", Value::Null))),
        (
            "of the future",
            provider.id_token(&with("iat", json!(now(&server) + 1000))),
        ),
        ("a nonce of a flow", provider.id_token(&with("nonce", json!("n")))),
        ("no subject", provider.id_token(&with("sub", json!("")))),
        ("alg none", format!("{none}.{payload}.")),
        ("alg none, signed", format!("{none}.{payload}.{signature}")),
        ("another alg", header(json!({"alg": "HS256", "kid": "k1"}))),
        ("another kid", header(json!({"alg": "ES256", "kid": "k2"}))),
        (
            "critical",
            header(json!({"alg": "ES256", "kid": "k1", "crit": ["x"]})),
        ),
        ("no signature", format!("{first}.{payload}.")),
        ("junk", "x".repeat(40)),
    ] {
        let answer = by_id_token(&server, &token).await;
        assert_eq!(answer.code(), "unauthenticated", "{name}: {}", answer.text());
    }
    let ada = Person::of(&by_id_token(&server, &provider.id_token(&good)).await);
    let token = provider.id_token(&with("nonce", json!("n")));
    let with_nonce = post(
        &server,
        "oauth/mine/token",
        &json!({"idToken": token, "nonce": "n"}),
    )
    .await;
    assert_eq!(Person::of(&with_nonce).uid, ada.uid);
    let both = json!({"idToken": token, "code": "x"});
    assert_eq!(post(&server, "oauth/mine/token", &both).await.status, 400);
    let claimed = json!({"idToken": token, "nonce": "n", "email": "ada@example.org"});
    assert_eq!(
        post(&server, "oauth/mine/token", &claimed).await.status,
        400,
        "a client has no say in it"
    );
}

#[tokio::test]
async fn an_address_links_only_if_the_provider_plainly_confirms_it() {
    let (provider, server) = started().await;
    let body = json!({"uid": "ada", "email": "ada@example.org", "emailVerified": true, "password": PASSWORD});
    admin(&server, "POST", "accounts", &body).await;
    for (n, verified) in [json!(false), json!("false"), json!("true"), json!(1), Value::Null]
        .into_iter()
        .enumerate()
    {
        let claims = provider.claims(
            &format!("evil{n}"),
            Some(("ada@example.org", verified)),
            now(&server),
        );
        let answer = by_id_token(&server, &provider.id_token(&claims)).await;
        let stranger = Person::of(&answer);
        assert_ne!(stranger.uid, "ada");
        assert_eq!(
            answer.json()["account"]["email"],
            Value::Null,
            "it has not the address"
        );
    }
    let claims = provider.claims("s1", Some(("ADA@example.org", json!(true))), now(&server));
    let ada = Person::of(&by_id_token(&server, &provider.id_token(&claims)).await);
    assert_eq!(ada.uid, "ada");
    Person::sign_in(&server, "ada@example.org", PASSWORD).await;
    assert!(
        events(&server, "ada")
            .await
            .contains(&"identity-linked".to_owned())
    );
}

#[tokio::test]
async fn an_account_that_somebody_prepared_is_purged_when_its_owner_comes() {
    let (provider, server) = started().await;
    let attacker = Person::sign_up(&server, "victim@example.org").await;
    let claims = provider.claims("attacker", None, now(&server));
    let body = json!({"idToken": provider.id_token(&claims)});
    Person::of(&attacker.post(&server, "oauth/mine/token", &body).await);
    let claims = provider.claims("victim", Some(("victim@example.org", json!(true))), now(&server));
    let victim = Person::of(&by_id_token(&server, &provider.id_token(&claims)).await);
    assert_eq!(victim.uid, attacker.uid);
    assert_eq!(attacker.status(&server).await, 401);
    assert_eq!(sign_in(&server, "victim@example.org", PASSWORD).await.status, 401);
    let claims = provider.claims("attacker", None, now(&server));
    let elsewhere = Person::of(&by_id_token(&server, &provider.id_token(&claims)).await);
    assert_ne!(
        elsewhere.uid, victim.uid,
        "nor does the attacker's identity lead there"
    );
}

#[tokio::test]
async fn identities_are_linked_to_who_is_signed_in_and_unlinked() {
    let (provider, server) = started().await;
    let ada = Person::sign_up(&server, "ada@example.org").await;
    let grace = Person::sign_up(&server, "grace@example.org").await;
    let token =
        |subject: &str| json!({"idToken": provider.id_token(&provider.claims(subject, None, now(&server)))});
    let linked = Person::of(&ada.post(&server, "oauth/mine/token", &token("s1")).await);
    assert_eq!(linked.uid, ada.uid);
    assert_eq!(
        Person::of(&post(&server, "oauth/mine/token", &token("s1")).await).uid,
        ada.uid
    );
    let taken = grace.post(&server, "oauth/mine/token", &token("s1")).await;
    assert_eq!(taken.code(), "failed-precondition");
    let unlink = async |person: &Person| {
        server
            .send_as_it_is(person.by(Request::new("DELETE", "/api/v1/auth/providers/mine")))
            .await
    };
    assert_eq!(unlink(&grace).await.status, 404);
    assert_eq!(unlink(&linked).await.status, 200);
    let stranger = Person::of(&post(&server, "oauth/mine/token", &token("s1")).await);
    assert_ne!(stranger.uid, ada.uid);
    assert_eq!(
        unlink(&stranger).await.code(),
        "failed-precondition",
        "the last way to sign in stays"
    );
    let nobody = Person::of(&post(&server, "anonymous", &json!({})).await);
    let upgraded = nobody.post(&server, "oauth/mine/token", &token("s9")).await;
    assert_eq!(Person::of(&upgraded).uid, nobody.uid);
    assert_eq!(upgraded.json()["account"]["anonymous"], false);
    server.clock.advance(11 * 60);
    let late = ada.post(&server, "oauth/mine/token", &token("s3")).await;
    assert_eq!(late.code(), "permission-denied", "linking takes a recent sign-in");
}

#[tokio::test]
async fn providers_make_no_accounts_where_nobody_may_sign_up_and_are_not_reached_in_private_networks() {
    let provider = IdentityProvider::start().await;
    let closed = AuthOptions {
        sign_up: SignUpPolicy::Closed,
        ..options(&provider)
    };
    let server = Server::with_accounts(closed).await;
    let claims = provider.claims("s1", Some(("ada@example.org", json!(true))), now(&server));
    let token = provider.id_token(&claims);
    assert_eq!(by_id_token(&server, &token).await.code(), "permission-denied");
    admin(
        &server,
        "POST",
        "accounts",
        &json!({"uid": "ada", "email": "ada@example.org"}),
    )
    .await;
    assert_eq!(Person::of(&by_id_token(&server, &token).await).uid, "ada");
    let strict = AuthOptions {
        private_providers: false,
        ..options(&provider)
    };
    let server = Server::with_accounts(strict).await;
    assert_eq!(by_id_token(&server, &token).await.code(), "unauthenticated");
}

#[tokio::test]
async fn what_a_provider_says_of_somebody_is_cleaned_and_refuses_nobody() {
    let (provider, server) = started().await;
    for (n, (name, picture, cleaned, kept)) in [
        (
            json!("Ada\u{202e}nimda\u{0}"),
            json!("javascript:alert(1)"),
            json!("Adanimda"),
            Value::Null,
        ),
        (
            json!("\u{200b}\u{2066}"),
            json!("https://ada:pw@example.org/a"),
            Value::Null,
            Value::Null,
        ),
        (
            json!("a".repeat(5000)),
            json!(format!("https://example.org/{}", "a".repeat(5000))),
            json!("a".repeat(200)),
            Value::Null,
        ),
        (json!(["Ada"]), json!({"url": "x"}), Value::Null, Value::Null),
        (
            json!("Ada"),
            json!("https://example.org/a.png"),
            json!("Ada"),
            json!("https://example.org/a.png"),
        ),
    ]
    .into_iter()
    .enumerate()
    {
        let mut claims = provider.claims(&format!("s{n}"), None, now(&server));
        claims["name"] = name;
        claims["picture"] = picture;
        let answer = by_id_token(&server, &provider.id_token(&claims)).await;
        Person::of(&answer);
        let account = &answer.json()["account"];
        assert_eq!((&account["name"], &account["picture"]), (&cleaned, &kept));
    }
}

#[tokio::test]
async fn a_providers_address_is_linked_by_its_one_form() {
    let (provider, server) = started().await;
    let body = json!({"uid": "ada", "email": "ada@xn--exmple-cua.org", "emailVerified": true});
    admin(&server, "POST", "accounts", &body).await;
    let claims = provider.claims("s1", Some(("Ada@EXÄMPLE.org", json!(true))), now(&server));
    assert_eq!(
        Person::of(&by_id_token(&server, &provider.id_token(&claims)).await).uid,
        "ada"
    );
    let claims = provider.claims("s2", Some(("ädа@exämple.org", json!(true))), now(&server));
    let answer = by_id_token(&server, &provider.id_token(&claims)).await;
    assert_eq!(
        answer.json()["account"]["email"],
        Value::Null,
        "none that this server could write to"
    );
}

#[tokio::test]
async fn a_form_that_a_provider_has_posted_goes_on_as_a_request_that_brings_the_browsers_cookie() {
    let providers = json!({
        "apple": {"clientId": "x", "clientSecret": "y"},
        "github": {"clientId": "x", "clientSecret": "y"},
    });
    let server = Server::with_accounts(AuthOptions {
        url: "https://api.example.org".to_owned(),
        providers: parse_providers(&providers.to_string()).unwrap(),
        ..quick_accounts()
    })
    .await;
    let posted = async |provider: &str, content_type: &str, form: &str| {
        let target = format!("/api/v1/auth/oauth/{provider}/callback");
        let request = Request::new("POST", &target)
            .header("content-type", content_type)
            .header("origin", "https://appleid.apple.com")
            .header("sec-fetch-site", "cross-site")
            .header("host", "evil.example");
        server.send_as_it_is(request.body(form.to_owned())).await
    };
    let form_type = "application/x-www-form-urlencoded";
    let user = "%7B%22name%22%3A%7B%22firstName%22%3A%22Ada+B%22%7D%7D";
    let form = format!("state=s1&code=c.1%2B&id_token=eyJ&user={user}&redirect=https%3A%2F%2Fevil.example");
    let answer = posted("apple", form_type, &form).await;
    assert_eq!(answer.status, 303, "{}", answer.text());
    let user = user.replace('+', "%20");
    let callback = "https://api.example.org/api/v1/auth/oauth/apple/callback";
    assert_eq!(
        answer.header("location"),
        format!("{callback}?state=s1&code=c.1%2B&user={user}")
    );
    assert_eq!(answer.header("set-cookie"), "");
    let on = answer
        .header("location")
        .strip_prefix("https://api.example.org")
        .unwrap();
    let lost = server.send_as_it_is(Request::get(on)).await;
    assert_eq!(
        lost.code(),
        "failed-precondition",
        "without the flow's beginning it is nothing"
    );
    for (provider, content_type, form, status) in [
        ("github", form_type, "state=s&code=c", 400),
        ("nobody", form_type, "state=s&code=c", 404),
        ("apple", "application/json", "{}", 415),
        ("apple", "text/plain", "state=s", 415),
        ("apple", form_type, "state=s\r\nset-cookie: x=y", 400),
        ("apple", form_type, "state=\u{e4}", 400),
        ("apple", form_type, &format!("state={}", "s".repeat(10_000)), 413),
    ] {
        let refused = posted(provider, content_type, form).await;
        assert_eq!(
            (refused.status.as_u16(), refused.header("location")),
            (status, ""),
            "{form:.40}"
        );
    }
}
