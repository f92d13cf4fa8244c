//! What goes by mail: confirming addresses, new passwords, links and codes; the attacks on that.

use std::time::Duration;

use andiron_auth::{AttemptLimits, AuthOptions, Rate, SignUpPolicy};
use serde_json::{Value, json};

use crate::auth_client::{PASSWORD, Person, admin, events, post, sign_in};
use crate::auth_sign_up::join;
use crate::client::Request;
use crate::server::{Server, quick_accounts};
use crate::smtp::SmtpServer;
use crate::timing::assert_equally_fast;

pub(crate) const NEW_PASSWORD: &str = "another long password";

/// Settings under which one mailbox may get many mails.
pub(crate) fn many_mails() -> AuthOptions {
    AuthOptions {
        limits: AttemptLimits {
            mail_by_account: Rate::new(1000, Duration::from_secs(60)),
            ..quick_accounts().limits
        },
        ..quick_accounts()
    }
}

pub(crate) async fn started() -> (SmtpServer, Server) {
    let mails = SmtpServer::start().await;
    let server = Server::with_mail(&mails, many_mails()).await;
    (mails, server)
}

/// Somebody who has signed up, and the mail about that taken in.
pub(crate) async fn signed_up(mails: &SmtpServer, server: &Server, email: &str) -> Person {
    let number = mails.count();
    let person = Person::sign_up(server, email).await;
    assert_eq!(mails.mail(number).await.to, email);
    person
}

/// Somebody who has signed up and confirmed the address.
pub(crate) async fn confirmed(mails: &SmtpServer, server: &Server, email: &str) -> Person {
    let number = mails.count();
    let person = signed_up(mails, server, email).await;
    let code = json!({"code": mails.mail(number).await.code()});
    assert_eq!(post(server, "email/confirm", &code).await.status, 204);
    person
}

async fn is_verified(server: &Server, person: &Person) -> bool {
    let account = admin(server, "GET", &format!("accounts/{}", person.uid), &Value::Null).await;
    account.json()["account"]["emailVerified"] == true
}

/// Asks for a new password and gives the code of the mail.
pub(crate) async fn reset_code(mails: &SmtpServer, server: &Server, email: &str) -> String {
    let number = mails.count();
    let answer = post(server, "password/reset", &json!({"email": email})).await;
    assert_eq!((answer.status.as_u16(), answer.text().as_str()), (202, "{}"));
    mails.mail(number).await.code()
}

pub(crate) async fn confirm_reset(server: &Server, code: &str, password: &str) -> u16 {
    let body = json!({"code": code, "password": password});
    post(server, "password/confirm", &body).await.status.as_u16()
}

#[tokio::test]
async fn signing_up_sends_a_link_that_confirms_the_address_once() {
    let (mails, server) = started().await;
    let ada = Person::sign_up(&server, "ada@example.org").await;
    let mail = mails.mail(0).await;
    assert_eq!(mail.to, "ada@example.org");
    assert_eq!(mail.subject(), "Confirm your e-mail address for Andiron");
    assert!(
        mail.text.contains("multipart/alternative") && mail.text.contains("<a href="),
        "{}",
        mail.text
    );
    assert!(!is_verified(&server, &ada).await);
    let body = json!({"code": mail.code()});
    assert_eq!(post(&server, "email/confirm", &body).await.status, 204);
    assert!(is_verified(&server, &ada).await);
    assert_eq!(
        post(&server, "email/confirm", &body).await.code(),
        "failed-precondition"
    );
    let again = ada.post(&server, "email/verify", &json!({})).await;
    assert_eq!(again.code(), "failed-precondition", "it is confirmed");
}

#[tokio::test]
async fn a_link_begins_with_the_url_of_the_settings_whatever_the_request_says() {
    let mails = SmtpServer::start().await;
    let options = AuthOptions {
        url: "https://api.example.org".to_owned(),
        ..many_mails()
    };
    let server = Server::with_mail(&mails, options).await;
    let body = json!({"email": "ada@example.org", "password": PASSWORD});
    let request = Request::new("POST", "/api/v1/auth/sign-up")
        .json(&body)
        .header("host", "evil.example")
        .header("x-forwarded-host", "evil.example")
        .header("forwarded", "host=evil.example");
    assert_eq!(server.send_as_it_is(request).await.status, 201);
    let mail = mails.mail(0).await;
    assert!(
        mail.link()
            .starts_with("https://api.example.org/api/v1/auth/action#mode=verify-email&code=")
    );
    assert!(!mail.text.contains("evil"));
}

#[tokio::test]
async fn a_new_password_by_mail_ends_all_sessions_and_works_once() {
    let (mails, server) = started().await;
    let ada = signed_up(&mails, &server, "ada@example.org").await;
    let code = reset_code(&mails, &server, "Ada@Example.org").await;
    assert_eq!(
        confirm_reset(&server, &code, "short").await,
        400,
        "and the code is still good"
    );
    assert_eq!(ada.status(&server).await, 200);
    assert_eq!(confirm_reset(&server, &code, NEW_PASSWORD).await, 204);
    assert_eq!(ada.status(&server).await, 401);
    assert_eq!(
        crate::auth_client::refresh(&server, &ada.refresh).await.status,
        401
    );
    assert_eq!(confirm_reset(&server, &code, "a third long password").await, 400);
    assert_eq!(sign_in(&server, "ada@example.org", PASSWORD).await.status, 401);
    Person::sign_in(&server, "ada@example.org", NEW_PASSWORD).await;
    assert!(
        is_verified(&server, &ada).await,
        "who reads the mailbox has confirmed it"
    );
    assert!(
        events(&server, &ada.uid)
            .await
            .contains(&"password-reset".to_owned())
    );
}

#[tokio::test]
async fn of_fifty_uses_of_a_code_at_once_one_succeeds() {
    let (mails, server) = started().await;
    signed_up(&mails, &server, "ada@example.org").await;
    let code = reset_code(&mails, &server, "ada@example.org").await;
    let passwords: Vec<_> = (0..50).map(|n| format!("long password number {n}")).collect();
    let bodies: Vec<_> = passwords
        .iter()
        .map(|new| json!({"code": code, "password": new}))
        .collect();
    let statuses = join(
        bodies
            .iter()
            .map(|body| post(&server, "password/confirm", body))
            .collect(),
    )
    .await;
    assert_eq!(
        statuses.iter().filter(|status| **status == 204).count(),
        1,
        "{statuses:?}"
    );
    assert_eq!(
        statuses.iter().filter(|status| **status == 400).count(),
        49,
        "{statuses:?}"
    );

    post(&server, "link", &json!({"email": "grace@example.org"})).await;
    let body = json!({"code": mails.mail(mails.count()).await.code()});
    let statuses = join((0..50).map(|_| post(&server, "link/confirm", &body)).collect()).await;
    assert_eq!(
        statuses.iter().filter(|status| **status == 200).count(),
        1,
        "{statuses:?}"
    );
    let accounts = admin(&server, "GET", "accounts", &Value::Null).await.json();
    assert_eq!(
        accounts["accounts"].as_array().unwrap().len(),
        2,
        "and one account was made"
    );
}

#[tokio::test]
async fn codes_are_good_for_what_they_were_sent_for_and_no_longer() {
    let (mails, server) = started().await;
    let ada = Person::sign_up(&server, "ada@example.org").await;
    let verification = mails.mail(0).await.code();
    assert_eq!(
        confirm_reset(&server, &verification, NEW_PASSWORD).await,
        400,
        "a verification is no reset"
    );
    let older = reset_code(&mails, &server, "ada@example.org").await;
    let newer = reset_code(&mails, &server, "ada@example.org").await;
    assert_eq!(
        post(&server, "email/confirm", &json!({"code": newer}))
            .await
            .status,
        400
    );
    assert_eq!(
        post(&server, "link/confirm", &json!({"code": newer}))
            .await
            .status,
        400
    );
    assert_eq!(
        confirm_reset(&server, &older, NEW_PASSWORD).await,
        400,
        "a newer one has taken its place"
    );
    for code in [json!(null), json!(1), json!([newer]), json!({"$ne": ""})] {
        let body = json!({"code": code, "password": NEW_PASSWORD});
        assert_eq!(post(&server, "password/confirm", &body).await.status, 400);
    }
    for code in [
        "",
        "x",
        &newer[..40],
        &format!("{newer}x"),
        "../../_accounts/x",
        &"0".repeat(54),
    ] {
        assert_eq!(confirm_reset(&server, code, NEW_PASSWORD).await, 400, "{code}");
    }
    server.clock.advance(30 * 60 + 1);
    assert_eq!(
        confirm_reset(&server, &newer, NEW_PASSWORD).await,
        400,
        "after half an hour"
    );
    let code = reset_code(&mails, &server, "ada@example.org").await;
    let path = format!("accounts/{}", ada.uid);
    admin(&server, "PATCH", &path, &json!({"email": "lovelace@example.org"})).await;
    assert_eq!(
        confirm_reset(&server, &code, NEW_PASSWORD).await,
        400,
        "the address is another"
    );
}

#[tokio::test]
async fn a_link_signs_in_and_up_and_looking_at_its_page_uses_nothing_up() {
    let (mails, server) = started().await;
    post(&server, "link", &json!({"email": "ada@example.org"})).await;
    let mail = mails.mail(0).await;
    let page = mail.link().split_once("8750").unwrap().1.to_owned();
    let path = page.split('#').next().unwrap();
    for method in ["GET", "HEAD"] {
        let answer = server.send_as_it_is(Request::new(method, path)).await;
        assert_eq!(answer.status, 200);
        let policy = answer.header("content-security-policy");
        assert!(
            policy.contains("script-src 'sha256-") && !policy.contains("unsafe"),
            "{policy}"
        );
    }
    let ada = Person::of(&post(&server, "link/confirm", &json!({"code": mail.code()})).await);
    assert_eq!(ada.claims()["amr"], json!(["email"]));
    assert_eq!(ada.claims()["email_verified"], true);
    assert_eq!(
        post(&server, "link/confirm", &json!({"code": mail.code()}))
            .await
            .status,
        400
    );
    post(&server, "link", &json!({"email": "ada@example.org"})).await;
    let again = Person::of(
        &post(
            &server,
            "link/confirm",
            &json!({"code": mails.mail(1).await.code()}),
        )
        .await,
    );
    assert_eq!(again.uid, ada.uid);
    post(&server, "link", &json!({"email": "ada@example.org"})).await;
    let late = mails.mail(2).await.code();
    server.clock.advance(10 * 60 + 1);
    assert_eq!(
        post(&server, "link/confirm", &json!({"code": late})).await.status,
        400
    );
}

#[tokio::test]
async fn six_digits_sign_in_and_five_wrong_guesses_end_them() {
    let (mails, server) = started().await;
    let digits = async |number: usize| {
        post(&server, "code", &json!({"email": "ada@example.org"})).await;
        let subject = mails.mail(number).await.subject().to_owned();
        subject.split(' ').next().unwrap().to_owned()
    };
    let confirm = |digits: &str| json!({"email": "Ada@example.org", "code": digits});
    let first = digits(0).await;
    assert!(
        first.len() == 6 && first.bytes().all(|byte| byte.is_ascii_digit()),
        "{first}"
    );
    let ada = Person::of(&post(&server, "code/confirm", &confirm(&first)).await);
    assert_eq!(ada.claims()["email_verified"], true);
    assert_eq!(
        post(&server, "code/confirm", &confirm(&first)).await.status,
        400,
        "once"
    );
    let second = digits(1).await;
    let wrong = if second == "000000" { "000001" } else { "000000" };
    let guesses = confirm(wrong);
    let statuses = join((0..20).map(|_| post(&server, "code/confirm", &guesses)).collect()).await;
    assert!(statuses.iter().all(|status| *status == 400), "{statuses:?}");
    assert_eq!(
        post(&server, "code/confirm", &confirm(&second)).await.status,
        400,
        "worth nothing now"
    );
    let third = digits(2).await;
    let other = json!({"email": "eve@example.org", "code": third});
    assert_eq!(post(&server, "code/confirm", &other).await.status, 400);
    let body = confirm(&third);
    let statuses = join((0..50).map(|_| post(&server, "code/confirm", &body)).collect()).await;
    assert_eq!(
        statuses.iter().filter(|status| **status == 200).count(),
        1,
        "{statuses:?}"
    );
}

#[tokio::test]
async fn whoever_reads_the_mailbox_takes_over_what_somebody_else_prepared() {
    let (mails, server) = started().await;
    let attacker = signed_up(&mails, &server, "victim@example.org").await;
    post(&server, "link", &json!({"email": "victim@example.org"})).await;
    let code = mails.mail(1).await.code();
    let victim = Person::of(&post(&server, "link/confirm", &json!({"code": code})).await);
    assert_eq!(victim.uid, attacker.uid);
    assert_eq!(
        attacker.status(&server).await,
        401,
        "the attacker's session has ended"
    );
    assert_eq!(
        crate::auth_client::refresh(&server, &attacker.refresh)
            .await
            .status,
        401
    );
    assert_eq!(
        sign_in(&server, "victim@example.org", PASSWORD).await.status,
        401,
        "and the password is gone"
    );
    assert_eq!(victim.status(&server).await, 200);
    assert!(
        events(&server, &victim.uid)
            .await
            .contains(&"unverified-account-purged".to_owned())
    );
}

#[tokio::test]
async fn requests_for_mails_are_answered_the_same_for_known_and_unknown_addresses() {
    let (mails, server) = started().await;
    signed_up(&mails, &server, "ada@example.org").await;
    for path in ["password/reset", "link", "code"] {
        let mut number = 0;
        assert_equally_fast(path, async |is_known| {
            number += 1;
            let email = match is_known {
                true => "ada@example.org".to_owned(),
                false => format!("nobody{number}@example.com"),
            };
            let answer = post(&server, path, &json!({"email": email})).await;
            assert_eq!((answer.status.as_u16(), answer.text().as_str()), (202, "{}"));
        })
        .await;
        let none = post(&server, path, &json!({"email": "no address"})).await;
        assert_eq!((none.status.as_u16(), none.text().as_str()), (202, "{}"));
    }
}

#[tokio::test]
async fn a_mailbox_gets_no_more_mails_than_the_limit_and_nobody_hears_of_it() {
    let mails = SmtpServer::start().await;
    let server = Server::with_mail(&mails, quick_accounts()).await;
    let body = json!({"email": "ada@example.org"});
    for _ in 0..10 {
        assert_eq!(post(&server, "link", &body).await.status, 202);
    }
    mails.mail(2).await;
    // What is sent now comes after whatever would still have come.
    post(&server, "link", &json!({"email": "grace@example.org"})).await;
    assert_eq!(mails.mail(3).await.to, "grace@example.org");
    server.clock.advance(3601);
    post(&server, "link", &body).await;
    assert_eq!(mails.mail(4).await.to, "ada@example.org");
}

#[tokio::test]
async fn a_link_makes_no_account_where_nobody_may_sign_up() {
    let mails = SmtpServer::start().await;
    let options = AuthOptions {
        sign_up: SignUpPolicy::Closed,
        ..many_mails()
    };
    let server = Server::with_mail(&mails, options).await;
    let made = json!({"email": "ada@example.org"});
    admin(&server, "POST", "accounts", &made).await;
    assert_eq!(
        post(&server, "link", &json!({"email": "nobody@example.org"}))
            .await
            .status,
        202
    );
    post(&server, "link", &json!({"email": "ada@example.org"})).await;
    assert_eq!(mails.mail(0).await.to, "ada@example.org");
}

#[tokio::test]
async fn without_a_way_for_mails_everybody_hears_so() {
    let server = Server::start().await;
    for path in ["password/reset", "link", "code"] {
        let answer = post(&server, path, &json!({"email": "ada@example.org"})).await;
        assert_eq!(answer.code(), "failed-precondition", "{path}");
    }
    let test = admin(&server, "POST", "test-mail", &json!({"email": "ada@example.org"})).await;
    assert_eq!(test.code(), "failed-precondition");
    assert_eq!(
        admin(&server, "GET", "mailbox", &Value::Null).await.code(),
        "not-found"
    );
    let (mails, server) = started().await;
    let test = admin(&server, "POST", "test-mail", &json!({"email": "ada@example.org"})).await;
    assert_eq!(test.status, 200, "{}", test.text());
    let said = test.json()["said"].as_str().unwrap().to_owned();
    assert!(said.starts_with("250"), "{said}");
    assert_eq!(mails.mail(0).await.subject(), "A test mail from Andiron");
}

#[tokio::test]
async fn a_mailed_invitation_confirms_the_address_and_is_told_to_nobody_else() {
    let mails = SmtpServer::start().await;
    let options = AuthOptions {
        sign_up: SignUpPolicy::Invitation,
        ..many_mails()
    };
    let server = Server::with_mail(&mails, options).await;
    let invited = admin(
        &server,
        "POST",
        "invitations",
        &json!({"email": "ada@example.org"}),
    )
    .await;
    assert_eq!(invited.json(), json!({"code": null}));
    let code = mails.mail(0).await.code();
    let body = json!({"email": "ada@example.org", "password": PASSWORD, "invitation": code});
    let ada = Person::of(&post(&server, "sign-up", &body).await);
    assert!(is_verified(&server, &ada).await);
}

#[tokio::test]
async fn nothing_that_was_mailed_outlives_the_account() {
    let (mails, server) = started().await;
    let ada = signed_up(&mails, &server, "ada@example.org").await;
    let reset = reset_code(&mails, &server, "ada@example.org").await;
    let number = mails.count();
    post(&server, "link", &json!({"email": "ada@example.org"})).await;
    let link = json!({"code": mails.mail(number).await.code()});
    let deleted = ada.by(Request::new("DELETE", "/api/v1/auth/me"));
    assert_eq!(server.send_as_it_is(deleted).await.status, 204);
    let verification = json!({"code": mails.mail(0).await.code()});
    for _ in 0..2 {
        assert_eq!(confirm_reset(&server, &reset, NEW_PASSWORD).await, 400);
        assert_eq!(post(&server, "email/confirm", &verification).await.status, 400);
        assert_eq!(post(&server, "link/confirm", &link).await.status, 400);
        // Nor is it good for another account of the same address.
        signed_up(&mails, &server, "ada@example.org").await;
        let accounts = admin(&server, "GET", "accounts?email=ada@example.org", &Value::Null)
            .await
            .json();
        let path = format!("accounts/{}", accounts["accounts"][0]["uid"].as_str().unwrap());
        admin(&server, "DELETE", &path, &Value::Null).await;
    }
}
