//! Making accounts.

use andiron_auth::{AuthOptions, SignUpPolicy};
use serde_json::{Value, json};

use crate::auth_client::{PASSWORD, Person, admin, events, post, sign_in};
use crate::client::Request;
use crate::scenario::{refuses, run};
use crate::server::{Server, quick_accounts};

const SIGN_UP: &str = "/api/v1/auth/sign-up";

#[tokio::test]
async fn somebody_signs_up_and_is_signed_in() {
    let server = Server::start().await;
    let body = json!({"email": "Ada@Example.org", "password": PASSWORD, "profile": {"name": "Ada", "metadata": {"theme": "dark"}}});
    let answer = post(&server, "sign-up", &body).await;
    assert_eq!(answer.status, 201, "{}", answer.text());
    assert_eq!(answer.header("cache-control"), "no-store");
    let ada = Person::of(&answer);
    let account = &answer.json()["account"];
    assert_eq!(account["email"], "ada@example.org", "an address has one form");
    assert_eq!(account["emailVerified"], false);
    assert_eq!(account["name"], "Ada");
    assert_eq!(account["metadata"], json!({"theme": "dark"}));
    assert_eq!(
        account["providers"],
        json!([{"id": "password", "email": "ada@example.org"}])
    );
    assert!(!answer.text().contains("argon2"), "a hash is nobody's to see");
    let me = server
        .send_as_it_is(ada.by(Request::get("/api/v1/auth/me")))
        .await
        .json();
    assert_eq!(me["account"]["uid"], ada.uid.as_str());
    let claims = ada.claims();
    assert_eq!(claims["sub"], ada.uid.as_str());
    assert_eq!(claims["firebase"]["sign_in_provider"], "password");
    assert_eq!(
        claims["firebase"]["identities"]["email"],
        json!(["ada@example.org"])
    );
    assert_eq!(claims["amr"], json!(["pwd"]));
    assert_eq!(claims["email_verified"], false);
    assert_eq!(claims["name"], "Ada");
    assert!(claims["auth_time"].is_i64());
    assert_eq!(events(&server, &ada.uid).await, ["sign-up"]);
}

#[tokio::test]
async fn what_cannot_sign_up_is_refused() {
    let server = Server::start().await;
    Person::sign_up(&server, "ada@example.org").await;
    let body = |email: Value, password: Value| json!({"email": email, "password": password}).to_string();
    let bad =
        |name: &'static str, body: String| refuses(name, "POST", SIGN_UP, 400, "invalid-argument").body(body);
    run(
        &server,
        vec![
            refuses("an address that is taken", "POST", SIGN_UP, 409, "already-exists")
                .body(body(json!("ADA@example.org"), json!(PASSWORD)))
                .member("/field", "email"),
            bad("an address that is none", body(json!("ada"), json!(PASSWORD))).member("/field", "email"),
            bad(
                "an address with a header in it",
                body(json!("eve@example.org\r\nBcc: ada@example.org"), json!(PASSWORD)),
            ),
            bad("a short password", body(json!("eve@example.org"), json!("short")))
                .member("/field", "password"),
            bad(
                "a common password",
                body(json!("eve@example.org"), json!("Password")),
            ),
            bad(
                "the address as password",
                body(json!("eve@example.org"), json!("eve@example.org")),
            ),
            bad(
                "a password that is no string",
                body(json!("eve@example.org"), json!(12_345_678)),
            ),
            bad(
                "a password in a list",
                body(json!("eve@example.org"), json!([PASSWORD])),
            ),
            bad("no password", json!({"email": "eve@example.org"}).to_string()),
            bad(
                "a password of 300 bytes",
                body(json!("eve@example.org"), json!("x".repeat(300))),
            ),
            bad(
                "roles of one's own",
                json!({"email": "eve@example.org", "password": PASSWORD, "roles": ["owner"]}).to_string(),
            )
            .contains("roles"),
            bad(
                "roles in the profile",
                json!({"email": "eve@example.org", "password": PASSWORD, "profile": {"roles": ["owner"]}})
                    .to_string(),
            ),
            refuses(
                "a password of a megabyte",
                "POST",
                SIGN_UP,
                413,
                "payload-too-large",
            )
            .body(body(json!("eve@example.org"), json!("x".repeat(1_000_000)))),
        ],
    )
    .await;
    let accounts = admin(&server, "GET", "accounts", &Value::Null).await.json();
    assert_eq!(
        accounts["accounts"].as_array().unwrap().len(),
        1,
        "and nobody was made"
    );
}

#[tokio::test]
async fn an_address_has_one_account_even_if_fifty_want_it_at_once() {
    let server = Server::start().await;
    let body = json!({"email": "ada@example.org", "password": PASSWORD});
    let attempts: Vec<_> = (0..50).map(|_| post(&server, "sign-up", &body)).collect();
    let statuses = join(attempts).await;
    assert_eq!(
        statuses.iter().filter(|status| **status == 201).count(),
        1,
        "{statuses:?}"
    );
    assert!(
        statuses.iter().all(|status| [201, 409].contains(status)),
        "{statuses:?}"
    );
}

/// Runs requests at once and gives their statuses.
pub(crate) async fn join(requests: Vec<impl Future<Output = crate::client::Answer>>) -> Vec<u16> {
    let mut requests: Vec<_> = requests
        .into_iter()
        .map(|request| (Box::pin(request), None))
        .collect();
    std::future::poll_fn(|context| {
        let mut is_pending = false;
        for (request, status) in &mut requests {
            if status.is_none() {
                match request.as_mut().poll(context) {
                    std::task::Poll::Ready(answer) => *status = Some(answer.status.as_u16()),
                    std::task::Poll::Pending => is_pending = true,
                }
            }
        }
        if is_pending {
            std::task::Poll::Pending
        } else {
            std::task::Poll::Ready(())
        }
    })
    .await;
    requests.into_iter().map(|(_, status)| status.unwrap()).collect()
}

#[tokio::test]
async fn an_anonymous_account_becomes_one_with_an_address_and_keeps_its_id() {
    let server = Server::start().await;
    let nobody = Person::of(&post(&server, "anonymous", &json!({})).await);
    assert_eq!(nobody.claims()["firebase"]["sign_in_provider"], "anonymous");
    assert_eq!(nobody.claims()["email"], Value::Null);
    let body = json!({"email": "ada@example.org", "password": PASSWORD});
    let ada = Person::of(&nobody.post(&server, "sign-up", &body).await);
    assert_eq!(ada.uid, nobody.uid);
    assert_eq!(
        nobody.status(&server).await,
        401,
        "its session made way for a new one"
    );
    assert_eq!(ada.status(&server).await, 200);
    assert_eq!(
        Person::sign_in(&server, "ada@example.org", PASSWORD).await.uid,
        nobody.uid
    );
    let another = Person::of(&post(&server, "anonymous", &json!({})).await);
    let taken = another.post(&server, "sign-up", &body).await;
    assert_eq!(taken.code(), "already-exists");
    assert_eq!(another.status(&server).await, 200, "and it goes on as it was");
}

#[tokio::test]
async fn the_settings_say_who_may_sign_up() {
    let body = json!({"email": "ada@example.org", "password": PASSWORD});
    for sign_up in [SignUpPolicy::Closed, SignUpPolicy::Invitation] {
        let server = Server::with_accounts(AuthOptions {
            sign_up,
            ..quick_accounts()
        })
        .await;
        assert_eq!(post(&server, "sign-up", &body).await.code(), "permission-denied");
        assert_eq!(
            post(&server, "anonymous", &json!({})).await.code(),
            "permission-denied"
        );
        let made = admin(&server, "POST", "accounts", &body).await;
        assert_eq!(
            made.status, 201,
            "administrators make accounts whatever the settings say"
        );
        assert_eq!(sign_in(&server, "ada@example.org", PASSWORD).await.status, 200);
    }
    let server = Server::with_accounts(AuthOptions {
        sign_up_domains: vec!["example.org".to_owned()],
        ..quick_accounts()
    })
    .await;
    assert_eq!(post(&server, "sign-up", &body).await.status, 201);
    for email in [
        "eve@example.com",
        "eve@evil-example.org",
        "eve@example.org.evil.net",
        "eve@sub.example.org",
    ] {
        let body = json!({"email": email, "password": PASSWORD});
        assert_eq!(
            post(&server, "sign-up", &body).await.code(),
            "permission-denied",
            "{email}"
        );
    }
}

#[tokio::test]
async fn the_first_owner_is_made_with_the_secret_of_the_first_start_and_only_once() {
    let server = Server::start().await;
    let secret = server.accounts.begin_setup().await.unwrap().unwrap();
    let body = |secret: &str, email: &str| json!({"secret": secret, "email": email, "password": PASSWORD});
    for wrong in ["", "x", &secret.expose()[1..]] {
        let answer = post(&server, "setup", &body(wrong, "eve@example.org")).await;
        assert_eq!(answer.code(), "failed-precondition");
    }
    let weak = json!({"secret": secret.expose(), "email": "ada@example.org", "password": "only-eleven"});
    assert_eq!(
        post(&server, "setup", &weak).await.code(),
        "invalid-argument",
        "owners have long passwords"
    );
    let bodies: Vec<_> = (0..20)
        .map(|n| body(secret.expose(), &format!("ada{n}@example.org")))
        .collect();
    let statuses = join(bodies.iter().map(|body| post(&server, "setup", body)).collect()).await;
    assert_eq!(
        statuses.iter().filter(|status| **status == 201).count(),
        1,
        "{statuses:?}"
    );
    assert!(
        server.accounts.begin_setup().await.unwrap().is_none(),
        "there is an owner"
    );
    let accounts = admin(&server, "GET", "accounts", &Value::Null).await.json();
    assert_eq!(accounts["accounts"].as_array().unwrap().len(), 1);
    assert_eq!(accounts["accounts"][0]["roles"], json!(["owner"]));
}

#[tokio::test]
async fn the_setup_secret_ends_after_half_an_hour_and_when_an_owner_is_made_otherwise() {
    let server = Server::start().await;
    let secret = server.accounts.begin_setup().await.unwrap().unwrap();
    let body = json!({"secret": secret.expose(), "email": "ada@example.org", "password": PASSWORD});
    server.clock.advance(30 * 60 + 1);
    assert_eq!(post(&server, "setup", &body).await.code(), "failed-precondition");
    let secret = server.accounts.begin_setup().await.unwrap().unwrap();
    let owner = json!({"email": "grace@example.org", "password": PASSWORD, "roles": ["owner"]});
    assert_eq!(admin(&server, "POST", "accounts", &owner).await.status, 201);
    let body = json!({"secret": secret.expose(), "email": "ada@example.org", "password": PASSWORD});
    assert_eq!(post(&server, "setup", &body).await.code(), "failed-precondition");
}

#[tokio::test]
async fn an_invitation_lets_its_address_sign_up_once() {
    let server = Server::with_accounts(AuthOptions {
        sign_up: SignUpPolicy::Invitation,
        ..quick_accounts()
    })
    .await;
    let invited = admin(
        &server,
        "POST",
        "invitations",
        &json!({"email": "Ada@example.org"}),
    )
    .await;
    assert_eq!(invited.status, 201, "{}", invited.text());
    let invited = invited.json();
    crate::reference::assert_described("Invitation", &invited);
    let body = |email: &str, code: &Value| json!({"email": email, "password": PASSWORD, "invitation": code});
    let other = post(&server, "sign-up", &body("eve@example.org", &invited["code"])).await;
    assert_eq!(other.code(), "failed-precondition", "it is for one address");
    let wrong = post(&server, "sign-up", &body("ada@example.org", &json!("x"))).await;
    assert_eq!(wrong.code(), "failed-precondition");
    let good = body("ada@example.org", &invited["code"]);
    let statuses = join((0..20).map(|_| post(&server, "sign-up", &good)).collect()).await;
    assert_eq!(
        statuses.iter().filter(|status| **status == 201).count(),
        1,
        "{statuses:?}"
    );
    let account = admin(&server, "GET", "accounts?email=ada@example.org", &Value::Null)
        .await
        .json();
    assert_eq!(
        account["accounts"][0]["emailVerified"], false,
        "an administrator knew the code"
    );
    let again = admin(
        &server,
        "POST",
        "invitations",
        &json!({"email": "ada@example.org"}),
    )
    .await;
    assert_eq!(again.code(), "already-exists");
    let late = admin(
        &server,
        "POST",
        "invitations",
        &json!({"email": "grace@example.org"}),
    )
    .await
    .json();
    server.clock.advance(7 * 24 * 3600 + 1);
    assert_eq!(
        post(&server, "sign-up", &body("grace@example.org", &late["code"]))
            .await
            .status,
        400
    );
}
