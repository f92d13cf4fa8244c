//! Who may sign up by the rules of accounts.

use andiron_auth::{AuthOptions, Post};
use serde_json::{Value, json};

use crate::auth_client::{PASSWORD, Person, admin, events, post, sign_in};
use crate::auth_phone::{PHONE, Webhook, many_texts, texts_to};
use crate::authenticator::{Manner, Passkey};
use crate::client::{Answer, Request};
use crate::identity_provider::IdentityProvider;
use crate::server::{Server, quick_accounts};
use crate::smtp::SmtpServer;
use crate::{auth_oauth, auth_passkeys};

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

/// A server on which an anonymous account can become somebody's in every way there is.
struct EveryWay {
    server: Server,
    mails: SmtpServer,
    webhook: Webhook,
    provider: IdentityProvider,
}

impl EveryWay {
    const WAYS: [&str; 5] = ["password", "email", "phone", "passkey", "mine"];

    async fn start(adjust: impl FnOnce(&mut AuthOptions)) -> Self {
        let (mails, webhook) = (SmtpServer::start().await, Webhook::start().await);
        let provider = IdentityProvider::start().await;
        let mut options = AuthOptions {
            passkeys: Some(auth_passkeys::relying_party()),
            limits: many_texts().limits,
            ..auth_oauth::options(&provider)
        };
        adjust(&mut options);
        let server = Server::with_post(options, |engine| Post {
            deliver: Some(mails.transport()),
            texts: Some(texts_to(&webhook.url, engine)),
            ..Post::default()
        })
        .await;
        Self {
            server,
            mails,
            webhook,
            provider,
        }
    }

    async fn guest(&self) -> Person {
        Person::of(&post(&self.server, "anonymous", &json!({})).await)
    }

    /// What a guest is answered who becomes somebody in this way, with an address at this domain where the way has one.
    async fn upgrade(&mut self, guest: &Person, way: &str, domain: &str) -> Answer {
        let server = &self.server;
        let email = format!("{}@{domain}", guest.uid);
        match way {
            "password" => {
                let body = json!({"email": email, "password": PASSWORD});
                let before = self.mails.count();
                let answer = guest.post(server, "sign-up", &body).await;
                if answer.status == 201 {
                    // Its address is to be confirmed, by a mail that the next way must not take for its own.
                    self.mails.mail(before).await;
                }
                answer
            }
            "email" => {
                let before = self.mails.count();
                let asked = guest.post(server, "email/change", &json!({"email": email})).await;
                if asked.status != 202 {
                    return asked;
                }
                let code = self.mails.mail(before).await.code();
                post(server, "email/confirm", &json!({"code": code})).await
            }
            "phone" => {
                let asked = guest.post(server, "phone/change", &json!({"phone": PHONE})).await;
                assert_eq!(asked.status, 202, "{}", asked.text());
                let code = self.webhook.code(PHONE, "confirm-phone").await;
                let body = json!({"phone": PHONE, "code": code});
                guest.post(server, "phone/confirm", &body).await
            }
            "passkey" => {
                let options = auth_passkeys::registration(server, guest, false).await;
                let (_, made) = Passkey::make(&options, &Manner::default());
                auth_passkeys::add(server, guest, &made).await
            }
            provider => {
                let now = server.engine.now().as_micros() / 1_000_000;
                let claims = self.provider.claims(&guest.uid, Some((&email, json!(true))), now);
                let body = json!({"idToken": self.provider.id_token(&claims)});
                guest
                    .post(server, &format!("oauth/{provider}/token"), &body)
                    .await
            }
        }
    }

    async fn account(&self, uid: &str) -> Value {
        let path = format!("accounts/{uid}");
        admin(&self.server, "GET", &path, &Value::Null).await.json()["account"].clone()
    }

    /// That this account is a guest's as it ever was.
    async fn is_still_a_guest(&self, guest: &Person, way: &str) {
        let account = self.account(&guest.uid).await;
        assert_eq!(account["anonymous"], json!(true), "{way}: {account}");
        assert_eq!(account["providers"], json!([]), "{way}: {account}");
        assert!(
            account.get("email").is_none_or(Value::is_null),
            "{way}: {account}"
        );
        assert_eq!(guest.status(&self.server).await, 200, "{way}");
    }
}

/// Whichever way a guest becomes somebody, the rules are asked, and what they refuse is written down.
#[tokio::test]
async fn an_anonymous_account_becomes_somebodys_in_no_way_that_the_rules_refuse() {
    let mut every = EveryWay::start(|_| ()).await;
    for way in EveryWay::WAYS {
        every.server.set_rules(
            "rules_version = '2'; service andiron.auth { match /accounts/{account} {
               allow create: if request.resource.data.anonymous; } }",
        );
        let guest = every.guest().await;
        let answer = every.upgrade(&guest, way, "company.example").await;
        refused(&answer, &every.server).await;
        every.is_still_a_guest(&guest, way).await;
        let kinds = events(&every.server, &guest.uid).await;
        assert_eq!(kinds.last().unwrap(), "sign-up-refused", "{way}");
        assert!(
            !kinds.contains(&"anonymous-upgraded".to_owned()),
            "{way}: {kinds:?}"
        );
        let provider = if way == "email" { "password" } else { way };
        let path = format!("audit?uid={}&event=sign-up-refused", guest.uid);
        let audit = admin(&every.server, "GET", &path, &Value::Null).await.json();
        assert_eq!(audit["events"][0]["detail"], provider, "{audit}");
        assert_eq!(audit["events"][0]["address"], "127.0.0.1", "{audit}");

        // The same guest is let in by rules that know the way. How long ago it came does not matter: it has nothing to sign in
        // with again.
        every.server.clock.advance(11 * 60);
        every.server.set_rules(&format!(
            "rules_version = '2'; service andiron.auth {{ match /accounts/{{account}} {{
               allow create: if !request.resource.data.anonymous && request.resource.data.provider == '{provider}'; }} }}"
        ));
        let answer = every.upgrade(&guest, way, "company.example").await;
        assert!(answer.status.is_success(), "{way}: {}", answer.text());
        let account = every.account(&guest.uid).await;
        assert_eq!(account["anonymous"], json!(false), "{way}: {account}");
        let kinds = events(&every.server, &guest.uid).await;
        assert!(
            kinds.contains(&"anonymous-upgraded".to_owned()),
            "{way}: {kinds:?}"
        );
    }
}

#[tokio::test]
async fn an_anonymous_account_becomes_somebodys_in_no_way_that_the_settings_refuse() {
    let mut every = EveryWay::start(|options| {
        options.sign_up_domains = vec!["company.example".to_owned()];
    })
    .await;
    for way in EveryWay::WAYS {
        let guest = every.guest().await;
        let answer = every.upgrade(&guest, way, "other.example").await;
        assert_eq!(answer.status, 403, "{way}: {}", answer.text());
        every.is_still_a_guest(&guest, way).await;
    }
    for way in ["password", "email", "mine"] {
        let guest = every.guest().await;
        let answer = every.upgrade(&guest, way, "company.example").await;
        assert!(answer.status.is_success(), "{way}: {}", answer.text());
    }
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
