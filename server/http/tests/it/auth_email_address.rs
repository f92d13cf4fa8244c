//! Addresses over HTTP: one mailbox has one account however its address is written.

use std::time::Duration;

use andiron_auth::{AttemptLimits, AuthOptions, Rate};
use serde_json::json;

use crate::auth_client::{PASSWORD, Person, admin, post, sign_in};
use crate::auth_mail::{many_mails, started};
use crate::server::{Server, quick_accounts};

const FORM: &str = "ada@xn--exmple-cua.org";
const SPELLINGS: [&str; 5] = [
    "ada@exämple.org",
    "Ada@EXA\u{308}MPLE.ORG",
    " ada@ＥＸÄＭＰＬＥ．ｏｒｇ",
    "ada@exämple。org",
    "ADA@XN--EXMPLE-CUA.ORG",
];

#[tokio::test]
async fn a_mailbox_has_one_account_however_its_domain_is_written() {
    let (mails, server) = started().await;
    let body = json!({"email": SPELLINGS[0], "password": PASSWORD});
    let answer = post(&server, "sign-up", &body).await;
    let ada = Person::of(&answer);
    assert_eq!(answer.json()["account"]["email"], FORM);
    assert_eq!(ada.claims()["email"], FORM);
    assert_eq!(mails.mail(0).await.to, FORM, "as every mail server takes it");
    for email in SPELLINGS {
        let body = json!({"email": email, "password": PASSWORD});
        assert_eq!(
            post(&server, "sign-up", &body).await.code(),
            "already-exists",
            "{email}"
        );
        let made = admin(&server, "POST", "accounts", &body).await;
        assert_eq!(made.code(), "already-exists", "{email}");
        assert_eq!(Person::sign_in(&server, email, PASSWORD).await.uid, ada.uid);
        let number = mails.count();
        post(&server, "code", &json!({"email": email})).await;
        let mail = mails.mail(number).await;
        assert_eq!(mail.to, FORM);
        let digits = mail.subject().split(' ').next().unwrap().to_owned();
        let confirm = json!({"email": SPELLINGS[1], "code": digits});
        let signed_in = Person::of(&post(&server, "code/confirm", &confirm).await);
        assert_eq!(signed_in.uid, ada.uid);
        // The code was the first proof that somebody reads the mailbox, so what was set before it is gone.
        let set = json!({"password": PASSWORD});
        admin(&server, "PATCH", &format!("accounts/{}", ada.uid), &set).await;
    }
}

#[tokio::test]
async fn an_address_beyond_ascii_before_the_at_is_refused_with_the_reason() {
    let server = Server::start().await;
    let body = json!({"email": "ädа@example.org", "password": PASSWORD});
    for path in ["sign-up", "email/change"] {
        let person = Person::of(&post(&server, "anonymous", &json!({})).await);
        let body = if path == "sign-up" {
            body.clone()
        } else {
            json!({"email": body["email"]})
        };
        let refused = person.post(&server, path, &body).await;
        assert_eq!(refused.code(), "invalid-argument");
        assert!(refused.text().contains("before the `@`"), "{}", refused.text());
        assert!(refused.text().contains("\"email\""), "{}", refused.text());
    }
}

#[tokio::test]
async fn domains_that_may_sign_up_are_compared_in_their_one_form() {
    let server = Server::with_accounts(AuthOptions {
        sign_up_domains: vec!["xn--exmple-cua.org".to_owned()],
        ..quick_accounts()
    })
    .await;
    let body = |email: &str| json!({"email": email, "password": PASSWORD});
    assert_eq!(post(&server, "sign-up", &body(SPELLINGS[2])).await.status, 201);
    // A Cyrillic letter in the place of a Latin one, and the domain without its dots.
    for email in ["eve@ехämple.org", "eve@example.org", "eve@exämple.org.evil.net"] {
        assert_eq!(
            post(&server, "sign-up", &body(email)).await.code(),
            "permission-denied",
            "{email}"
        );
    }
}

#[tokio::test]
async fn another_spelling_gives_no_more_attempts() {
    let server = Server::with_accounts(AuthOptions {
        limits: AttemptLimits {
            sign_in_by_account: Rate::new(5, Duration::from_secs(900)),
            ..many_mails().limits
        },
        ..quick_accounts()
    })
    .await;
    let body = json!({"email": SPELLINGS[0], "password": PASSWORD});
    post(&server, "sign-up", &body).await;
    let mut statuses = Vec::new();
    for number in 0..7 {
        let answer = sign_in(&server, SPELLINGS[number % SPELLINGS.len()], "wrong password").await;
        statuses.push(answer.status.as_u16());
    }
    assert_eq!(statuses, [401, 401, 401, 401, 401, 429, 429]);
}
