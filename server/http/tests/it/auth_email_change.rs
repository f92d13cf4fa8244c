//! Another address for an account: whose sessions end, and the way back for the owner of the old one.

use andiron_auth::AuthOptions;
use serde_json::{Value, json};

use crate::auth_client::{PASSWORD, Person, admin, events, post, refresh, sign_in};
use crate::auth_factor::enrol;
use crate::auth_mail::{NEW_PASSWORD, confirm_reset, confirmed, many_mails, reset_code, signed_up, started};
use crate::auth_passkeys::{challenge, finish, passkey_of, with_passkeys};
use crate::authenticator::Manner;
use crate::server::Server;
use crate::smtp::{ReceivedMail, SmtpServer};

/// Asks for another address; gives the mail that comes there.
async fn asked(mails: &SmtpServer, server: &Server, person: &Person, email: &str) -> ReceivedMail {
    let number = mails.count();
    let answer = person
        .post(server, "email/change", &json!({"email": email}))
        .await;
    assert_eq!((answer.status.as_u16(), answer.text().as_str()), (202, "{}"));
    let mail = mails.mail(number).await;
    assert_eq!(mail.to, email);
    mail
}

async fn confirm(server: &Server, mail: &ReceivedMail) -> u16 {
    let code = json!({"code": mail.code()});
    post(server, "email/confirm", &code).await.status.as_u16()
}

/// Changes the address; gives the mail that the old one gets.
async fn changed(mails: &SmtpServer, server: &Server, person: &Person, email: &str) -> ReceivedMail {
    let mail = asked(mails, server, person, email).await;
    let number = mails.count();
    assert_eq!(confirm(server, &mail).await, 204);
    mails.mail(number).await
}

#[tokio::test]
async fn an_address_is_changed_at_the_new_one_and_taken_back_from_the_old() {
    let (mails, server) = started().await;
    let ada = confirmed(&mails, &server, "ada@example.org").await;
    let bystander = signed_up(&mails, &server, "taken@example.org").await;
    let to_new = asked(&mails, &server, &ada, "lovelace@example.org").await;
    let by_new = sign_in(&server, "lovelace@example.org", PASSWORD).await;
    assert_eq!(by_new.status, 401, "not yet");
    let number = mails.count();
    assert_eq!(confirm(&server, &to_new).await, 204);
    Person::sign_in(&server, "lovelace@example.org", PASSWORD).await;
    assert_eq!(sign_in(&server, "ada@example.org", PASSWORD).await.status, 401);
    let to_old = mails.mail(number).await;
    assert_eq!(to_old.to, "ada@example.org");
    assert!(to_old.text.contains("lovelace@example.org"));
    let thief = Person::sign_in(&server, "lovelace@example.org", PASSWORD).await;
    assert_eq!(confirm(&server, &to_old).await, 204);
    assert_eq!(confirm(&server, &to_old).await, 400, "once");
    assert_eq!(thief.status(&server).await, 401);
    let by_new = sign_in(&server, "lovelace@example.org", PASSWORD).await;
    assert_eq!(by_new.status, 401);

    // The thief knows the password, so it is worth nothing; a mail gives another.
    assert_eq!(sign_in(&server, "ada@example.org", PASSWORD).await.status, 401);
    let reset = mails.mail(number + 1).await;
    assert_eq!(reset.to, "ada@example.org");
    assert_eq!(confirm_reset(&server, &reset.code(), NEW_PASSWORD).await, 204);
    let ada = Person::sign_in(&server, "ada@example.org", NEW_PASSWORD).await;

    let number = mails.count();
    let taken = json!({"email": "taken@example.org"});
    let taken = ada.post(&server, "email/change", &taken).await;
    let answer = (taken.status.as_u16(), taken.text());
    assert_eq!(answer, (202, "{}".to_owned()), "nobody hears that it is taken");
    let free = json!({"email": "free@example.org"});
    ada.post(&server, "email/change", &free).await;
    let mail = mails.mail(number).await;
    assert_eq!(mail.to, "free@example.org", "and no mail went to the taken one");
    assert_eq!(bystander.status(&server).await, 200);
    server.clock.advance(11 * 60);
    let late = ada.post(&server, "email/change", &free).await;
    assert_eq!(late.code(), "permission-denied", "it takes a recent sign-in");
}

#[tokio::test]
async fn another_address_ends_all_sessions_but_the_one_that_asked() {
    let (mails, server) = started().await;
    let ada = confirmed(&mails, &server, "ada@example.org").await;
    let elsewhere = Person::sign_in(&server, "ada@example.org", PASSWORD).await;
    changed(&mails, &server, &ada, "lovelace@example.org").await;
    assert_eq!(ada.status(&server).await, 200);
    assert_eq!(elsewhere.status(&server).await, 401);
    assert_eq!(refresh(&server, &elsewhere.refresh).await.status, 401);
    assert_eq!(refresh(&server, &ada.refresh).await.status, 200);
}

#[tokio::test]
async fn what_a_session_asked_for_ends_with_it() {
    let (mails, server) = started().await;
    let ada = confirmed(&mails, &server, "ada@example.org").await;
    let thief = Person::sign_in(&server, "ada@example.org", PASSWORD).await;
    let mail = asked(&mails, &server, &thief, "eve@example.org").await;
    ada.post(&server, "sign-out", &json!({"all": true})).await;
    assert_eq!(confirm(&server, &mail).await, 400);
    let thief = Person::sign_in(&server, "ada@example.org", PASSWORD).await;
    let mail = asked(&mails, &server, &thief, "eve@example.org").await;
    let reset = reset_code(&mails, &server, "ada@example.org").await;
    assert_eq!(confirm_reset(&server, &reset, NEW_PASSWORD).await, 204);
    assert_eq!(confirm(&server, &mail).await, 400);
    Person::sign_in(&server, "ada@example.org", NEW_PASSWORD).await;
}

#[tokio::test]
async fn the_owner_takes_back_whatever_a_thief_did_after_the_change() {
    let mails = SmtpServer::start().await;
    let options = AuthOptions {
        limits: many_mails().limits,
        ..with_passkeys()
    };
    let server = Server::with_mail(&mails, options).await;
    let ada = confirmed(&mails, &server, "ada@example.org").await;
    let mut own = passkey_of(&server, &ada).await;
    let thief = Person::sign_in(&server, "ada@example.org", PASSWORD).await;
    let to_ada = changed(&mails, &server, &thief, "eve@example.org").await;
    assert_eq!(to_ada.to, "ada@example.org");
    // Another change does not take the owner's way back away.
    let to_eve = changed(&mails, &server, &thief, "mallory@example.org").await;
    assert_eq!(to_eve.to, "eve@example.org");
    let reset = reset_code(&mails, &server, "mallory@example.org").await;
    assert_eq!(confirm_reset(&server, &reset, NEW_PASSWORD).await, 204);
    let thief = Person::sign_in(&server, "mallory@example.org", NEW_PASSWORD).await;
    let mut theirs = passkey_of(&server, &thief).await;
    enrol(&server, &thief).await;

    assert_eq!(confirm(&server, &to_ada).await, 204);
    let mail = mails.mail(mails.count()).await;
    assert_eq!(thief.status(&server).await, 401);
    assert_eq!(
        confirm(&server, &to_eve).await,
        400,
        "nor is there a way back for the thief"
    );
    for (email, password) in [
        ("mallory@example.org", NEW_PASSWORD),
        ("eve@example.org", NEW_PASSWORD),
        ("ada@example.org", NEW_PASSWORD),
        ("ada@example.org", PASSWORD),
    ] {
        assert_eq!(sign_in(&server, email, password).await.status, 401, "{email}");
    }
    let options = challenge(&server, json!({})).await;
    let by_theirs = finish(&server, &theirs.sign(&options, &Manner::default())).await;
    assert_eq!(by_theirs.status, 401);
    let options = challenge(&server, json!({})).await;
    Person::of(&finish(&server, &own.sign(&options, &Manner::default())).await);
    assert_eq!(mail.to, "ada@example.org");
    assert_eq!(
        confirm_reset(&server, &mail.code(), "a third long password").await,
        204
    );
    let again = sign_in(&server, "ada@example.org", "a third long password").await;
    let again = Person::of(&again);
    assert_eq!(
        again.uid, ada.uid,
        "and the thief's authenticator is not asked for"
    );
    assert!(
        events(&server, &ada.uid)
            .await
            .contains(&"email-change-undone".to_owned())
    );
}

#[tokio::test]
async fn a_change_can_be_taken_back_for_a_week_and_an_account_is_not_changed_without_end() {
    let (mails, server) = started().await;
    let mut ada = confirmed(&mails, &server, "ada0@example.org").await;
    let first = changed(&mails, &server, &ada, "ada1@example.org").await;
    for number in 2..=10 {
        changed(&mails, &server, &ada, &format!("ada{number}@example.org")).await;
    }
    let mail = asked(&mails, &server, &ada, "ada11@example.org").await;
    assert_eq!(
        confirm(&server, &mail).await,
        400,
        "else the first way back would be lost"
    );
    server.clock.advance(7 * 24 * 3600 + 1);
    assert_eq!(confirm(&server, &first).await, 400);
    ada = Person::sign_in(&server, "ada10@example.org", PASSWORD).await;
    changed(&mails, &server, &ada, "ada11@example.org").await;
}

#[tokio::test]
async fn an_administrators_change_ends_sessions_and_all_ways_back() {
    let (mails, server) = started().await;
    let ada = confirmed(&mails, &server, "ada@example.org").await;
    let undo = changed(&mails, &server, &ada, "eve@example.org").await;
    let asked = asked(&mails, &server, &ada, "mallory@example.org").await;
    let change = json!({"email": "grace@example.org"});
    let path = format!("accounts/{}", ada.uid);
    assert_eq!(admin(&server, "PATCH", &path, &change).await.status, 200);
    assert_eq!(ada.status(&server).await, 401);
    assert_eq!(confirm(&server, &undo).await, 400);
    assert_eq!(confirm(&server, &asked).await, 400);
    let again = Person::sign_in(&server, "grace@example.org", PASSWORD).await;
    assert_eq!(admin(&server, "PATCH", &path, &change).await.status, 200);
    assert_eq!(again.status(&server).await, 200, "it is the same address");
}

/// A guest, and another session of the same account.
async fn guests(server: &Server) -> (Person, Person) {
    let guest = Person::of(&post(server, "anonymous", &json!({})).await);
    let minted = admin(server, "POST", "custom-tokens", &json!({"uid": guest.uid})).await;
    let token = json!({"token": minted.json()["token"]});
    let other = Person::of(&post(server, "custom", &token).await);
    assert_eq!(other.uid, guest.uid);
    (guest, other)
}

#[tokio::test]
async fn a_guest_who_signs_up_leaves_no_session_behind() {
    let (_mails, server) = started().await;
    let (guest, other) = guests(&server).await;
    let body = json!({"email": "ada@example.org", "password": PASSWORD});
    let ada = Person::of(&guest.post(&server, "sign-up", &body).await);
    assert_eq!(ada.uid, guest.uid);
    assert_eq!(ada.status(&server).await, 200);
    assert_eq!(
        (guest.status(&server).await, other.status(&server).await),
        (401, 401)
    );
}

#[tokio::test]
async fn a_guest_who_confirms_an_address_stays_and_whoever_else_had_the_account_does_not() {
    let (mails, server) = started().await;
    let (guest, other) = guests(&server).await;
    let mail = asked(&mails, &server, &guest, "ada@example.org").await;
    assert_eq!(confirm(&server, &mail).await, 204);
    assert_eq!(guest.status(&server).await, 200);
    assert_eq!(other.status(&server).await, 401);
    let account = admin(&server, "GET", &format!("accounts/{}", guest.uid), &Value::Null).await;
    let account = &account.json()["account"];
    assert_eq!(
        (
            &account["anonymous"],
            &account["email"],
            &account["emailVerified"]
        ),
        (&json!(false), &json!("ada@example.org"), &json!(true))
    );
}
