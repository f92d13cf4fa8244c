//! Who may sign up by the rules of accounts.

use serde_json::{Value, json};

use crate::auth_client::{PASSWORD, Person, admin, post, sign_in};
use crate::auth_oauth;
use crate::client::{Answer, Request};
use crate::identity_provider::IdentityProvider;
use crate::server::{Server, quick_accounts};
use crate::smtp::SmtpServer;

/// Somebody of the company signs up, and somebody else by whom nothing is known but that the service vouches for them.
const COMPANY: &str = "rules_version = '2';
service andiron.auth {
  match /accounts/{account} {
    allow create: if request.resource.data.email.matches('.*@company[.]example');
    allow create: if request.resource.data.provider == 'custom' && request.resource.data.claims.vouched == true;
  }
}";

async fn refused(answer: &Answer, server: &Server) {
    assert_eq!(answer.status, 403, "{}", answer.text());
    assert_eq!(answer.json()["code"], "permission-denied");
    assert_eq!(answer.json()["detail"], "missing or insufficient permissions");
    let listed = admin(server, "GET", "accounts", &Value::Null).await.json();
    let emails: Vec<_> = listed["accounts"].as_array().unwrap().iter().collect();
    assert!(
        emails
            .iter()
            .all(|account| account["email"] != "eve@other.example"),
        "{listed}"
    );
}

async fn sign_up(server: &Server, email: &str) -> Answer {
    post(server, "sign-up", &json!({"email": email, "password": PASSWORD})).await
}

#[tokio::test]
async fn without_rules_of_accounts_the_settings_alone_say_who_signs_up() {
    let server = Server::start().await;
    assert_eq!(sign_up(&server, "eve@other.example").await.status, 201);
    server.set_rules("rules_version = '2'; service cloud.firestore { match /databases/{db}/documents { match /a/{b} { allow read; } } }");
    assert_eq!(sign_up(&server, "mallory@other.example").await.status, 201);
}

#[tokio::test]
async fn a_password_signs_up_whom_the_rules_let() {
    let server = Server::start().await;
    server.set_rules(COMPANY);
    assert_eq!(sign_up(&server, "ada@company.example").await.status, 201);
    refused(&sign_up(&server, "eve@other.example").await, &server).await;
    refused(&sign_up(&server, "eve@company.example.org").await, &server).await;
    // Nobody's address is taken by that, and it is written down.
    server.engine.set_rules(None);
    assert_eq!(sign_up(&server, "eve@other.example").await.status, 201);
    let audit = admin(&server, "GET", "audit?event=sign-up-refused", &Value::Null)
        .await
        .json();
    assert_eq!(audit["events"].as_array().unwrap().len(), 2, "{audit}");
}

/// A rule that fails grants nothing: nobody in particular has an address.
#[tokio::test]
async fn an_error_in_the_rules_refuses() {
    let server = Server::start().await;
    server.set_rules(COMPANY);
    refused(&post(&server, "anonymous", &json!({})).await, &server).await;
    server.set_rules(
        "rules_version = '2'; service andiron.auth { match /accounts/{account} {
           allow create: if request.resource.data.nothing.like.it == true;
           allow create: if 1 / 0 == 1;
           allow create: if request.auth.uid == account; } }",
    );
    refused(&sign_up(&server, "ada@company.example").await, &server).await;
}

#[tokio::test]
async fn an_anonymous_account_becomes_nobodys_whom_the_rules_refuse() {
    let server = Server::start().await;
    server.set_rules(
        "rules_version = '2'; service andiron.auth { match /accounts/{account} {
           allow create: if request.resource.data.anonymous && request.resource.data.email == null;
           allow create: if request.auth.uid == account && request.resource.data.email.matches('.*@company[.]example'); } }",
    );
    let nobody = Person::of(&post(&server, "anonymous", &json!({})).await);
    let body = |email: &str| json!({"email": email, "password": PASSWORD});
    let answer = nobody.post(&server, "sign-up", &body("eve@other.example")).await;
    refused(&answer, &server).await;
    assert_eq!(sign_in(&server, "eve@other.example", PASSWORD).await.status, 401);
    let answer = nobody
        .post(&server, "sign-up", &body("ada@company.example"))
        .await;
    assert_eq!(Person::of(&answer).uid, nobody.uid);
    refused(&sign_up(&server, "grace@company.example").await, &server).await;
}

#[tokio::test]
async fn an_anonymous_account_gets_no_address_by_mail_that_the_rules_refuse() {
    let mails = SmtpServer::start().await;
    let server = Server::with_mail(&mails, quick_accounts()).await;
    server.set_rules(
        "rules_version = '2'; service andiron.auth { match /accounts/{account} {
           allow create: if request.resource.data.anonymous && request.resource.data.email == null;
           allow create: if request.resource.data.email.matches('.*@company[.]example'); } }",
    );
    let nobody = Person::of(&post(&server, "anonymous", &json!({})).await);
    for (email, status) in [("eve@other.example", 403), ("ada@company.example", 204)] {
        let before = mails.count();
        let asked = nobody
            .post(&server, "email/change", &json!({"email": email}))
            .await;
        assert_eq!(asked.status, 202, "{}", asked.text());
        let code = mails.mail(before).await.code();
        let answer = post(&server, "email/confirm", &json!({"code": code})).await;
        assert_eq!(answer.status, status, "{email}: {}", answer.text());
        if status == 403 {
            refused(&answer, &server).await;
        }
    }
    let account = admin(&server, "GET", &format!("accounts/{}", nobody.uid), &Value::Null)
        .await
        .json()["account"]
        .clone();
    assert_eq!(account["email"], "ada@company.example");
    assert_eq!(account["anonymous"], json!(false), "{account}");
}

#[tokio::test]
async fn a_link_and_digits_make_no_account_that_the_rules_refuse() {
    let mails = SmtpServer::start().await;
    let server = Server::with_mail(&mails, quick_accounts()).await;
    server.set_rules(COMPANY);
    for (email, status) in [("eve@other.example", 403), ("ada@company.example", 200)] {
        let before = mails.count();
        post(&server, "link", &json!({"email": email})).await;
        let code = mails.mail(before).await.code();
        let answer = post(&server, "link/confirm", &json!({"code": code})).await;
        assert_eq!(answer.status, status, "{email}: {}", answer.text());
        post(&server, "code", &json!({"email": email})).await;
        let subject = mails.mail(before + 1).await.subject().to_owned();
        let digits = subject.split(' ').next().unwrap();
        let answer = post(&server, "code/confirm", &json!({"email": email, "code": digits})).await;
        assert_eq!(answer.status, status, "{email}: {}", answer.text());
    }
}

#[tokio::test]
async fn a_provider_signs_up_and_links_whom_the_rules_let() {
    let provider = IdentityProvider::start().await;
    let server = Server::with_accounts(auth_oauth::options(&provider)).await;
    server.set_rules(COMPANY);
    let now = server.engine.now().as_micros() / 1_000_000;
    let by_token = async |subject: &str, email: &str, verified: bool| {
        let claims = provider.claims(subject, Some((email, json!(verified))), now);
        let body = json!({"idToken": provider.id_token(&claims)});
        post(&server, "oauth/mine/token", &body).await
    };
    assert_eq!(by_token("s1", "ada@company.example", true).await.status, 200);
    refused(&by_token("s2", "eve@other.example", true).await, &server).await;
    // An address that the provider does not vouch for is nobody's.
    refused(&by_token("s3", "grace@company.example", false).await, &server).await;
}

#[tokio::test]
async fn a_custom_token_makes_an_account_only_as_the_rules_let() {
    let server = Server::start().await;
    server.set_rules(COMPANY);
    for (uid, claims, status) in [
        ("a", json!({"vouched": true}), 200),
        ("b", json!({"vouched": "yes"}), 403),
        ("c", json!({}), 403),
    ] {
        let body = json!({"uid": uid, "claims": claims});
        let minted = admin(&server, "POST", "custom-tokens", &body).await.json();
        let answer = post(&server, "custom", &json!({"token": minted["token"]})).await;
        assert_eq!(answer.status, status, "{uid}: {}", answer.text());
    }
    // What is there is signed in; administrators make accounts whatever rules say.
    let body = json!({"uid": "c", "email": "c@other.example", "password": PASSWORD});
    assert_eq!(admin(&server, "POST", "accounts", &body).await.status, 201);
    let minted = admin(&server, "POST", "custom-tokens", &json!({"uid": "c"}))
        .await
        .json();
    let answer = post(&server, "custom", &json!({"token": minted["token"]})).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
}

/// What the rules look up is still so when the account is made.
#[tokio::test]
async fn rules_of_accounts_look_documents_up() {
    let server = Server::start().await;
    server.set_rules(
        "rules_version = '2'; service andiron.auth { match /accounts/{account} {
           allow create: if exists(/databases/(default)/documents/guests/$(request.resource.data.email)); } }",
    );
    refused(&sign_up(&server, "eve@other.example").await, &server).await;
    let guest = Request::new("PUT", "/api/v1/docs/guests/ada@company.example").json(&json!({}));
    assert_eq!(server.send(guest).await.status, 201);
    assert_eq!(sign_up(&server, "ada@company.example").await.status, 201);
}
