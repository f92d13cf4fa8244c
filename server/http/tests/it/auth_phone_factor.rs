//! The phone as a second factor, and shown once more within a session.

use serde_json::json;

use crate::auth_client::{PASSWORD, Person, admin, events, post, sign_in};
use crate::auth_phone::{OTHER, PHONE, Webhook, give_phone, started, with_code};
use crate::auth_sign_up::join;
use crate::client::Answer;
use crate::reference::assert_described;
use crate::server::Server;

#[tokio::test]
async fn a_phone_is_a_second_factor_and_not_both() {
    let (mut webhook, server) = started().await;
    let ada = Person::sign_up(&server, "ada@example.org").await;
    let none = ada.post(&server, "mfa/phone/enable", &json!({})).await;
    assert_eq!(none.code(), "failed-precondition", "there is no number");
    give_phone(&mut webhook, &server, &ada, PHONE).await;
    let enabled = ada.post(&server, "mfa/phone/enable", &json!({})).await;
    assert_eq!(enabled.status, 200, "{}", enabled.text());
    assert_described("EnabledFactor", &enabled.json());
    let recovery = enabled.json()["recoveryCodes"][0].clone();
    let due = async || {
        let due = sign_in(&server, "ada@example.org", PASSWORD).await.json();
        assert_eq!(due["mfa"]["factors"], json!(["phone", "recovery"]), "{due}");
        due["mfa"]["ticket"].as_str().unwrap().to_owned()
    };
    let ticket = due().await;
    let asked = post(&server, "mfa/phone/send", &json!({"ticket": ticket})).await;
    assert_eq!(asked.status, 202, "{}", asked.text());
    let code = webhook.code(PHONE, "second-factor").await;
    let another = due().await;
    let of_another = post(&server, "mfa/verify", &json!({"ticket": another, "code": code})).await;
    assert_eq!(
        of_another.code(),
        "failed-precondition",
        "a code is for one ticket"
    );
    let body = json!({"ticket": ticket, "code": code});
    let statuses = join((0..50).map(|_| post(&server, "mfa/verify", &body)).collect()).await;
    assert_eq!(
        statuses.iter().filter(|status| **status == 200).count(),
        1,
        "{statuses:?}"
    );
    let ticket = due().await;
    post(&server, "mfa/phone/send", &json!({"ticket": ticket})).await;
    let code = webhook.code(PHONE, "second-factor").await;
    let signed_in = Person::of(&post(&server, "mfa/verify", &json!({"ticket": ticket, "code": code})).await);
    assert_eq!(signed_in.claims()["amr"], json!(["pwd", "sms", "mfa"]));

    // Who signs in by the phone has to show something else.
    post(&server, "phone/code", &json!({"phone": PHONE})).await;
    let code = webhook.code(PHONE, "sign-in").await;
    let by_phone = post(&server, "phone/code/confirm", &with_code(PHONE, &code))
        .await
        .json();
    assert_eq!(by_phone["mfa"]["factors"], json!(["recovery"]), "{by_phone}");
    let ticket = &by_phone["mfa"]["ticket"];
    let again = post(&server, "mfa/phone/send", &json!({"ticket": ticket})).await;
    assert_eq!(again.code(), "failed-precondition");
    Person::of(
        &post(
            &server,
            "mfa/verify",
            &json!({"ticket": ticket, "code": recovery}),
        )
        .await,
    );

    // A session by one factor changes none.
    let minted = admin(&server, "POST", "custom-tokens", &json!({"uid": ada.uid}))
        .await
        .json();
    let weak = Person::of(&post(&server, "custom", &json!({"token": minted["token"]})).await);
    for path in ["mfa/phone/disable", "mfa/phone/enable"] {
        assert_eq!(
            weak.post(&server, path, &json!({})).await.code(),
            "permission-denied",
            "{path}"
        );
    }
    let change = weak.post(&server, "phone/change", &json!({"phone": OTHER})).await;
    assert_eq!(change.code(), "permission-denied");
    let off = signed_in.post(&server, "mfa/phone/disable", &json!({})).await;
    assert_eq!(off.status, 204, "{}", off.text());
    Person::sign_in(&server, "ada@example.org", PASSWORD).await;
    let events = events(&server, &ada.uid).await;
    for event in ["factor-added", "factor-removed", "second-factor-refused"] {
        assert!(events.contains(&event.to_owned()), "{events:?}");
    }
}

/// A code to the account's own number, for a session.
async fn ask_for_step_up(webhook: &mut Webhook, server: &Server, person: &Person) -> String {
    let asked = person.post(server, "mfa/phone/send", &json!({})).await;
    assert_eq!((asked.status.as_u16(), asked.text().as_str()), (202, "{}"));
    webhook.code(PHONE, "step-up").await
}

async fn verify(server: &Server, person: &Person, code: &str) -> Answer {
    person.post(server, "mfa/verify", &json!({"code": code})).await
}

#[tokio::test]
async fn who_is_signed_in_shows_the_phone_once_more() {
    let (mut webhook, server) = started().await;
    let ada = Person::sign_up(&server, "ada@example.org").await;
    let none = ada.post(&server, "mfa/phone/send", &json!({})).await;
    assert_eq!(none.code(), "failed-precondition", "there is no number");
    give_phone(&mut webhook, &server, &ada, PHONE).await;
    server.clock.advance(11 * 60);
    let change = json!({"phone": OTHER});
    let late = ada.post(&server, "phone/change", &change).await;
    assert_eq!(late.code(), "permission-denied", "it takes a recent sign-in");

    let code = ask_for_step_up(&mut webhook, &server, &ada).await;
    let shown = Person::of(&verify(&server, &ada, &code).await);
    assert_eq!((&shown.uid, shown.session != ada.session), (&ada.uid, true));
    let (before, after) = (ada.claims(), shown.claims());
    // A phone that is no second factor is a factor, but not a second one.
    assert_eq!(after["amr"], json!(["pwd", "sms"]));
    assert_eq!(after["firebase"]["sign_in_provider"], "password");
    let moved = after["auth_time"].as_i64().unwrap() - before["auth_time"].as_i64().unwrap();
    assert!(moved >= 11 * 60, "{before} {after}");
    assert_eq!(ada.status(&server).await, 401, "the session has made way");
    let in_time = shown.post(&server, "phone/change", &change).await;
    assert_eq!(in_time.status, 202, "{}", in_time.text());
    webhook.code(OTHER, "confirm-phone").await;
    assert!(events(&server, &ada.uid).await.contains(&"stepped-up".to_owned()));
    assert_eq!(verify(&server, &shown, &code).await.code(), "failed-precondition");
}

#[tokio::test]
async fn a_session_shows_by_the_phone_that_it_has_the_second_factor() {
    let (mut webhook, server) = started().await;
    let ada = Person::sign_up(&server, "ada@example.org").await;
    give_phone(&mut webhook, &server, &ada, PHONE).await;
    assert_eq!(
        ada.post(&server, "mfa/phone/enable", &json!({})).await.status,
        200
    );
    let minted = admin(&server, "POST", "custom-tokens", &json!({"uid": ada.uid})).await;
    let token = json!({"token": minted.json()["token"]});
    let weak = Person::of(&post(&server, "custom", &token).await);
    let refused = weak.post(&server, "mfa/phone/disable", &json!({})).await;
    assert_eq!(refused.code(), "permission-denied");
    let code = ask_for_step_up(&mut webhook, &server, &weak).await;
    let strong = Person::of(&verify(&server, &weak, &code).await);
    assert_eq!(strong.claims()["amr"], json!(["sms", "mfa"]));
    let disabled = strong.post(&server, "mfa/phone/disable", &json!({})).await;
    assert_eq!(disabled.status, 204, "{}", disabled.text());
}

#[tokio::test]
async fn a_code_for_a_session_is_for_that_session_once_and_for_five_guesses() {
    let (mut webhook, server) = started().await;
    let ada = Person::sign_up(&server, "ada@example.org").await;
    give_phone(&mut webhook, &server, &ada, PHONE).await;
    let other = Person::sign_in(&server, "ada@example.org", PASSWORD).await;
    let eve = Person::sign_up(&server, "eve@example.org").await;
    let code = ask_for_step_up(&mut webhook, &server, &ada).await;
    for somebody in [&other, &eve] {
        let refused = verify(&server, somebody, &code).await;
        assert_eq!(refused.code(), "failed-precondition");
    }
    let nobody = post(&server, "mfa/verify", &json!({"code": code})).await;
    assert_eq!(nobody.status, 401);
    let as_a_sign_in = post(&server, "phone/code/confirm", &with_code(PHONE, &code)).await;
    assert_eq!(as_a_sign_in.code(), "failed-precondition");
    let body = json!({"code": code});
    let tries = (0..50).map(|_| ada.post(&server, "mfa/verify", &body)).collect();
    let statuses = join(tries).await;
    let passed = statuses.iter().filter(|status| **status == 200).count();
    assert_eq!(passed, 1, "{statuses:?}");

    let code = ask_for_step_up(&mut webhook, &server, &other).await;
    let wrong = if code == "000000" { "000001" } else { "000000" };
    for _ in 0..5 {
        let refused = verify(&server, &other, wrong).await;
        assert_eq!(refused.code(), "failed-precondition");
    }
    let late = verify(&server, &other, &code).await;
    assert_eq!(late.code(), "failed-precondition", "five guesses have ended it");
    let code = ask_for_step_up(&mut webhook, &server, &other).await;
    give_phone(&mut webhook, &server, &other, OTHER).await;
    let of_before = verify(&server, &other, &code).await;
    assert_eq!(of_before.code(), "failed-precondition", "the number is another");
}
