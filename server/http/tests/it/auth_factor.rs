//! Second factors: authenticators by codes of a library that is not ours, recovery codes; the attacks on that.

use std::time::Duration;

use andiron_auth::{AttemptLimits, AuthOptions, Rate};
use serde_json::{Value, json};
use totp_rs::{Algorithm, TOTP};

use crate::auth_client::{PASSWORD, Person, events, post, sign_in};
use crate::auth_mail;
use crate::auth_sign_up::join;
use crate::client::Answer;
use crate::reference::assert_described;
use crate::server::{Server, quick_accounts};

/// An authenticator, which shows the codes of a server's time.
pub(crate) struct Authenticator(TOTP);

impl Authenticator {
    fn code(&self, server: &Server) -> String {
        let seconds = server.engine.now().as_micros() / 1_000_000;
        self.0.generate(u64::try_from(seconds).unwrap())
    }
}

/// Sets an authenticator up; gives it and the recovery codes.
pub(crate) async fn enrol(server: &Server, person: &Person) -> (Authenticator, Vec<String>) {
    let enrolment = person.post(server, "mfa/totp/enrol", &json!({})).await.json();
    assert_described("TotpEnrolment", &enrolment);
    let secret = enrolment["secret"].as_str().unwrap();
    assert!(
        enrolment["uri"]
            .as_str()
            .unwrap()
            .starts_with("otpauth://totp/Andiron:")
    );
    let bytes = totp_rs::Secret::Encoded(secret.to_owned()).to_bytes().unwrap();
    let authenticator = Authenticator(TOTP::new(Algorithm::SHA1, 6, 1, 30, bytes).unwrap());
    let body = json!({"code": authenticator.code(server)});
    let confirmed = person.post(server, "mfa/totp/confirm", &body).await;
    assert_eq!(confirmed.status, 200, "{}", confirmed.text());
    let codes = confirmed.json();
    assert_described("RecoveryCodes", &codes);
    let codes = codes["recoveryCodes"].as_array().unwrap();
    (
        authenticator,
        codes
            .iter()
            .map(|code| code.as_str().unwrap().to_owned())
            .collect(),
    )
}

/// Signs in with the password and gives the ticket for the second factor.
async fn ticket(server: &Server, email: &str) -> String {
    let answer = sign_in(server, email, PASSWORD).await.json();
    assert_described("SecondFactorDue", &answer);
    assert!(answer.get("session").is_none());
    answer["mfa"]["ticket"].as_str().unwrap().to_owned()
}

async fn verify(server: &Server, ticket: &str, code: &str) -> Answer {
    post(server, "mfa/verify", &json!({"ticket": ticket, "code": code})).await
}

#[tokio::test]
async fn an_authenticator_is_asked_for_at_every_sign_in() {
    let server = Server::start().await;
    let ada = Person::sign_up(&server, "ada@example.org").await;
    let other = Person::sign_in(&server, "ada@example.org", PASSWORD).await;
    let (authenticator, _) = enrol(&server, &ada).await;
    assert_eq!(
        other.status(&server).await,
        401,
        "sessions without the factor have ended"
    );
    assert_eq!(ada.status(&server).await, 200);
    server.clock.advance(60);
    let due = ticket(&server, "ada@example.org").await;
    let code = authenticator.code(&server);
    let signed_in = Person::of(&verify(&server, &due, &code).await);
    assert_eq!(signed_in.claims()["amr"], json!(["pwd", "otp", "mfa"]));
    assert_eq!(
        verify(&server, &due, &code).await.status,
        400,
        "a ticket is used up"
    );
    let again = ticket(&server, "ada@example.org").await;
    assert_eq!(
        verify(&server, &again, &code).await.code(),
        "failed-precondition",
        "and so is a code"
    );
    let events = events(&server, &ada.uid).await;
    assert!(
        events.contains(&"factor-added".to_owned()) && events.contains(&"second-factor-refused".to_owned())
    );
}

#[tokio::test]
async fn a_new_password_by_mail_does_not_take_the_place_of_the_second_factor() {
    let (mails, server) = auth_mail::started().await;
    let ada = auth_mail::confirmed(&mails, &server, "ada@example.org").await;
    let (authenticator, _) = enrol(&server, &ada).await;
    server.clock.advance(60);
    let code = auth_mail::reset_code(&mails, &server, "ada@example.org").await;
    let confirmed = auth_mail::confirm_reset(&server, &code, auth_mail::NEW_PASSWORD).await;
    assert_eq!(confirmed, 204);
    let due = sign_in(&server, "ada@example.org", auth_mail::NEW_PASSWORD).await;
    assert!(due.json().get("session").is_none(), "{}", due.text());
    // Nor does who reads the mailbox get around it by a link.
    let number = mails.count();
    post(&server, "link", &json!({"email": "ada@example.org"})).await;
    let link = json!({"code": mails.mail(number).await.code()});
    let by_link = post(&server, "link/confirm", &link).await.json();
    assert_eq!(
        by_link["mfa"]["factors"],
        json!(["totp", "recovery"]),
        "{by_link}"
    );
    let ticket = due.json()["mfa"]["ticket"].as_str().unwrap().to_owned();
    Person::of(&verify(&server, &ticket, &authenticator.code(&server)).await);
}

#[tokio::test]
async fn a_factor_that_is_not_confirmed_is_none() {
    let server = Server::start().await;
    let ada = Person::sign_up(&server, "ada@example.org").await;
    ada.post(&server, "mfa/totp/enrol", &json!({})).await;
    let wrong = ada
        .post(&server, "mfa/totp/confirm", &json!({"code": "000000"}))
        .await;
    assert_eq!(wrong.code(), "failed-precondition");
    Person::sign_in(&server, "ada@example.org", PASSWORD).await;
}

#[tokio::test]
async fn a_recovery_code_works_once_even_if_fifty_try() {
    let server = Server::with_accounts(AuthOptions {
        limits: AttemptLimits {
            // Else the lock of the factor would stop most of them.
            sign_in_by_account: Rate::new(1000, Duration::from_secs(60)),
            ..quick_accounts().limits
        },
        ..quick_accounts()
    })
    .await;
    let ada = Person::sign_up(&server, "ada@example.org").await;
    let (_, codes) = enrol(&server, &ada).await;
    assert_eq!(codes.len(), 10);
    let mut tickets = Vec::new();
    for _ in 0..50 {
        tickets.push(ticket(&server, "ada@example.org").await);
    }
    let statuses = join(
        tickets
            .iter()
            .map(|ticket| verify(&server, ticket, &codes[0]))
            .collect(),
    )
    .await;
    assert_eq!(
        statuses.iter().filter(|status| **status == 200).count(),
        1,
        "{statuses:?}"
    );
    let due = ticket(&server, "ada@example.org").await;
    let statuses = join((0..50).map(|_| verify(&server, &due, &codes[1])).collect()).await;
    assert_eq!(
        statuses.iter().filter(|status| **status == 200).count(),
        1,
        "{statuses:?}"
    );
    let due = ticket(&server, "ada@example.org").await;
    Person::of(&verify(&server, &due, &format!(" {} ", codes[2].to_uppercase())).await);
}

#[tokio::test]
async fn wrong_codes_lock_the_factor_exactly_at_the_limit() {
    let server = Server::start().await;
    let ada = Person::sign_up(&server, "ada@example.org").await;
    let (authenticator, _) = enrol(&server, &ada).await;
    server.clock.advance(16 * 60);
    let due = ticket(&server, "ada@example.org").await;
    let statuses = join((0..50).map(|_| verify(&server, &due, "not it")).collect()).await;
    assert_eq!(
        statuses.iter().filter(|status| **status == 400).count(),
        5,
        "{statuses:?}"
    );
    assert_eq!(
        statuses.iter().filter(|status| **status == 429).count(),
        45,
        "{statuses:?}"
    );
    let code = authenticator.code(&server);
    assert_eq!(verify(&server, &due, &code).await.status, 429);
    server.clock.advance(15 * 60 + 1);
    let due = ticket(&server, "ada@example.org").await;
    Person::of(&verify(&server, &due, &authenticator.code(&server)).await);
}

#[tokio::test]
async fn a_ticket_is_good_for_the_second_factor_alone_and_for_five_minutes() {
    let server = Server::start().await;
    let ada = Person::sign_up(&server, "ada@example.org").await;
    let (authenticator, _) = enrol(&server, &ada).await;
    server.clock.advance(60);
    let due = ticket(&server, "ada@example.org").await;
    let as_token = Person {
        access: due.clone(),
        ..ada.clone()
    };
    assert_eq!(as_token.status(&server).await, 401);
    for (path, body) in [
        ("mfa/totp/enrol", json!({})),
        ("mfa/totp/disable", json!({"code": "000000"})),
        ("refresh", json!({"refreshToken": due})),
        (
            "password/confirm",
            json!({"code": due, "password": "a new long password"}),
        ),
        ("link/confirm", json!({"code": due})),
        ("email/confirm", json!({"code": due})),
    ] {
        let status = as_token.post(&server, path, &body).await.status.as_u16();
        assert_eq!(status, 401, "{path}");
        let status = post(&server, path, &body).await.status.as_u16();
        assert!(matches!(status, 400 | 401), "{path}: {status}");
    }
    server.clock.advance(5 * 60 + 1);
    assert_eq!(
        verify(&server, &due, &authenticator.code(&server)).await.status,
        400
    );
}

#[tokio::test]
async fn an_authenticator_is_taken_away_by_its_code_and_a_recent_sign_in() {
    let server = Server::start().await;
    let ada = Person::sign_up(&server, "ada@example.org").await;
    let (authenticator, _) = enrol(&server, &ada).await;
    let second = ada.post(&server, "mfa/totp/enrol", &json!({})).await;
    assert_eq!(second.code(), "failed-precondition", "there is one already");
    server.clock.advance(11 * 60);
    let late = ada
        .post(
            &server,
            "mfa/totp/disable",
            &json!({"code": authenticator.code(&server)}),
        )
        .await;
    assert_eq!(late.code(), "permission-denied");
    let due = ticket(&server, "ada@example.org").await;
    let ada = Person::of(&verify(&server, &due, &authenticator.code(&server)).await);
    let wrong = ada
        .post(&server, "mfa/totp/disable", &json!({"code": "000000"}))
        .await;
    assert_eq!(wrong.code(), "failed-precondition");
    server.clock.advance(60);
    let off = ada
        .post(
            &server,
            "mfa/totp/disable",
            &json!({"code": authenticator.code(&server)}),
        )
        .await;
    assert_eq!(off.status, 204, "{}", off.text());
    let ada = Person::sign_in(&server, "ada@example.org", PASSWORD).await;
    assert_eq!(ada.claims()["amr"], json!(["pwd"]));
    assert_eq!(ada.claims().get("factors"), None::<&Value>);
}
