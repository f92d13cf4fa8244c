//! Passkeys as second factors, and what a session has to have shown to change any.

use serde_json::{Value, json};

use crate::auth_client::{PASSWORD, Person, admin, events, post, sign_in};
use crate::auth_passkeys::{add, challenge, finish, passkey_of, registration, started};
use crate::auth_sign_up::join;
use crate::authenticator::{Manner, Passkey, encode};
use crate::client::Request;
use crate::reference::assert_described;

#[tokio::test]
async fn a_security_key_is_asked_for_after_the_password() {
    let server = started().await;
    let ada = Person::sign_up(&server, "ada@example.org").await;
    let other = Person::sign_in(&server, "ada@example.org", PASSWORD).await;
    let options = registration(&server, &ada, true).await;
    assert_eq!(options["authenticatorSelection"]["residentKey"], "discouraged");
    let (mut key, made) = Passkey::make(&options, &Manner::unverified());
    let added = add(&server, &ada, &made).await.json();
    let recovery = added["recoveryCodes"].as_array().unwrap().clone();
    assert_eq!(recovery.len(), 10);
    assert_eq!(other.status(&server).await, 401, "sessions without it have ended");
    assert_eq!(ada.status(&server).await, 200);
    for manner in [Manner::unverified(), Manner::default()] {
        let options = challenge(&server, json!({})).await;
        let refused = finish(&server, &key.sign(&options, &manner)).await;
        assert_eq!(refused.status, 401, "alone it does not do");
    }
    // Beside the password of a session it does.
    let again = ada
        .post(&server, "passkeys/sign-in/start", &json!({}))
        .await
        .json();
    let proof = json!({"credential": key.sign(&again["publicKey"], &Manner::unverified())});
    let ada = Person::of(&ada.post(&server, "passkeys/sign-in/finish", &proof).await);
    assert_eq!(ada.claims()["amr"], json!(["pwd", "mfa", "hwk", "user"]));

    let due = sign_in(&server, "ada@example.org", PASSWORD).await.json();
    assert_eq!(due["mfa"]["factors"], json!(["passkey", "recovery"]));
    let ticket = due["mfa"]["ticket"].as_str().unwrap();
    let options = challenge(&server, json!({"ticket": ticket})).await;
    assert_eq!(options["allowCredentials"][0]["id"], encode(&key.id));
    let pass = async |proof: &Value, ticket: &str| {
        post(
            &server,
            "passkeys/sign-in/finish",
            &json!({"credential": proof, "ticket": ticket}),
        )
        .await
    };
    let proof = key.sign(&options, &Manner::unverified());
    assert_eq!(
        finish(&server, &proof).await.code(),
        "failed-precondition",
        "without the ticket"
    );
    let another = sign_in(&server, "ada@example.org", PASSWORD).await.json();
    let another = another["mfa"]["ticket"].as_str().unwrap();
    assert_eq!(
        pass(&proof, another).await.code(),
        "failed-precondition",
        "the challenge is for the other ticket"
    );
    let eve = Person::sign_up(&server, "eve@example.org").await;
    let mut of_eve = passkey_of(&server, &eve).await;
    assert_eq!(
        pass(&of_eve.sign(&options, &Manner::default()), ticket)
            .await
            .status,
        401,
        "somebody else's passkey"
    );
    let body = json!({"credential": proof, "ticket": ticket});
    let statuses = join(
        (0..50)
            .map(|_| post(&server, "passkeys/sign-in/finish", &body))
            .collect(),
    )
    .await;
    assert_eq!(
        statuses.iter().filter(|status| **status == 200).count(),
        1,
        "{statuses:?}"
    );
    let options = challenge(&server, json!({"ticket": another})).await;
    let signed_in = Person::of(&pass(&key.sign(&options, &Manner::unverified()), another).await);
    assert_eq!(signed_in.claims()["amr"], json!(["pwd", "hwk", "user", "mfa"]));
    let due = sign_in(&server, "ada@example.org", PASSWORD).await.json();
    let body = json!({"ticket": due["mfa"]["ticket"], "code": recovery[0]});
    Person::of(&post(&server, "mfa/verify", &body).await);
}

#[tokio::test]
async fn a_session_that_has_not_shown_the_second_factor_neither_adds_nor_removes_nor_lists_factors() {
    let server = started().await;
    let ada = Person::sign_up(&server, "ada@example.org").await;
    let options = registration(&server, &ada, true).await;
    let (mut key, made) = Passkey::make(&options, &Manner::unverified());
    let added = add(&server, &ada, &made).await.json();
    let id = added["passkey"]["id"].as_str().unwrap();
    // A custom token signs in by one factor.
    let minted = admin(&server, "POST", "custom-tokens", &json!({"uid": ada.uid}))
        .await
        .json();
    let weak = Person::of(&post(&server, "custom", &json!({"token": minted["token"]})).await);
    let path = format!("/api/v1/auth/passkeys/{id}");
    let tries = || {
        [
            Request::get("/api/v1/auth/passkeys"),
            Request::new("DELETE", &path),
            Request::new("PATCH", &path).json(&json!({"name": "Mine"})),
            Request::new("POST", "/api/v1/auth/passkeys/register/start").json(&json!({})),
            Request::new("POST", "/api/v1/auth/mfa/totp/enrol").json(&json!({})),
        ]
    };
    for request in tries() {
        let target = format!("{} {}", request.method, request.target);
        let answer = server.send_as_it_is(weak.by(request)).await;
        assert_eq!(answer.code(), "permission-denied", "{target}");
    }
    // Nor does it finish what a better session began.
    let options = registration(&server, &ada, false).await;
    let (_, made) = Passkey::make(&options, &Manner::default());
    assert_eq!(add(&server, &weak, &made).await.code(), "permission-denied");

    // It steps up by the key; a key that verifies nobody does not do there.
    let begin = async |person: &Person| {
        let answer = person.post(&server, "passkeys/sign-in/start", &json!({})).await;
        answer.json()["publicKey"].clone()
    };
    let options = begin(&weak).await;
    assert_eq!(options["allowCredentials"][0]["id"], encode(&key.id));
    let refused = weak
        .post(
            &server,
            "passkeys/sign-in/finish",
            &json!({"credential": key.sign(&options, &Manner::unverified())}),
        )
        .await;
    assert_eq!(refused.status, 401);
    server.clock.advance(60);
    let options = begin(&weak).await;
    let proof = json!({"credential": key.sign(&options, &Manner::default())});
    let stronger = Person::of(&weak.post(&server, "passkeys/sign-in/finish", &proof).await);
    assert_eq!(stronger.claims()["amr"], json!(["hwk", "user", "mfa"]));
    assert!(stronger.claims()["auth_time"].as_i64() > weak.claims()["auth_time"].as_i64());
    assert_eq!(
        weak.status(&server).await,
        401,
        "the new session stands in the place of the old"
    );
    for request in tries() {
        let target = format!("{} {}", request.method, request.target);
        let status = server.send_as_it_is(stronger.by(request)).await.status.as_u16();
        assert!(matches!(status, 200 | 204 | 404), "{target}: {status}");
    }
    assert!(events(&server, &ada.uid).await.contains(&"stepped-up".to_owned()));
    let signed_in = sign_in(&server, "ada@example.org", PASSWORD).await;
    Person::of(&signed_in);
    assert_eq!(
        signed_in.json()["account"]["factors"],
        json!([]),
        "the last factor is gone"
    );
}

#[tokio::test]
async fn a_passkey_does_in_the_place_of_a_code_and_is_named_and_removed() {
    let server = started().await;
    let ada = Person::sign_up(&server, "ada@example.org").await;
    let mut passkey = passkey_of(&server, &ada).await;
    let (_, codes) = crate::auth_factor::enrol(&server, &ada).await;
    let due = sign_in(&server, "ada@example.org", PASSWORD).await.json();
    assert_eq!(due["mfa"]["factors"], json!(["totp", "passkey", "recovery"]));
    let ticket = &due["mfa"]["ticket"];
    let options = challenge(&server, json!({"ticket": ticket})).await;
    let proof = passkey.sign(&options, &Manner::default());
    let body = json!({"credential": proof, "ticket": ticket});
    Person::of(&post(&server, "passkeys/sign-in/finish", &body).await);
    let options = challenge(&server, json!({})).await;
    let alone = Person::of(&finish(&server, &passkey.sign(&options, &Manner::default())).await);

    // A code within a session steps it up as well.
    let minted = admin(&server, "POST", "custom-tokens", &json!({"uid": ada.uid}))
        .await
        .json();
    let weak = Person::of(&post(&server, "custom", &json!({"token": minted["token"]})).await);
    let wrong = weak.post(&server, "mfa/verify", &json!({"code": "000000"})).await;
    assert_eq!(wrong.code(), "failed-precondition");
    let stronger = Person::of(&weak.post(&server, "mfa/verify", &json!({"code": codes[0]})).await);
    assert_eq!(stronger.claims()["amr"], json!(["otp", "mfa"]));
    assert_eq!(
        post(&server, "mfa/verify", &json!({"code": codes[1]}))
            .await
            .status,
        401
    );

    let listed = alone.by(Request::get("/api/v1/auth/passkeys"));
    let listed = server.send_as_it_is(listed).await.json();
    assert_described("Passkeys", &listed);
    assert_eq!(listed["passkeys"][0]["name"], "Key");
    let path = format!(
        "/api/v1/auth/passkeys/{}",
        listed["passkeys"][0]["id"].as_str().unwrap()
    );
    let rename = |name: &str| alone.by(Request::new("PATCH", &path).json(&json!({"name": name})));
    let renamed = server.send_as_it_is(rename("Phone")).await.json();
    assert_described("PasskeyAnswer", &renamed);
    assert_eq!(renamed["passkey"]["name"], "Phone");
    assert_eq!(
        server.send_as_it_is(rename("a\nb")).await.code(),
        "invalid-argument"
    );
    let of_others = alone.by(Request::new("DELETE", "/api/v1/auth/passkeys/none"));
    assert_eq!(server.send_as_it_is(of_others).await.code(), "not-found");
    let removed = server
        .send_as_it_is(alone.by(Request::new("DELETE", &path)))
        .await;
    assert_eq!(removed.status, 204);
    let options = challenge(&server, json!({})).await;
    assert_eq!(
        finish(&server, &passkey.sign(&options, &Manner::default()))
            .await
            .status,
        401
    );
    let events = events(&server, &ada.uid).await;
    for event in ["passkey-renamed", "passkey-removed", "stepped-up"] {
        assert!(events.contains(&event.to_owned()), "{events:?}");
    }
}

#[tokio::test]
async fn an_administrator_helps_somebody_who_has_lost_all_factors() {
    let server = started().await;
    let ada = Person::sign_up(&server, "ada@example.org").await;
    let mut phone = passkey_of(&server, &ada).await;
    let options = registration(&server, &ada, true).await;
    let (_, made) = Passkey::make(&options, &Manner::unverified());
    assert_eq!(add(&server, &ada, &made).await.status, 201);
    let exported = ada.by(Request::get("/api/v1/auth/me/export"));
    let exported = server.send_as_it_is(exported).await.json();
    assert_described("Export", &exported);
    assert_eq!(exported["passkeys"].as_array().unwrap().len(), 2);
    let due = sign_in(&server, "ada@example.org", PASSWORD).await.json();
    assert_eq!(due["mfa"]["factors"], json!(["passkey", "recovery"]));
    let path = format!("accounts/{}", ada.uid);
    let reset = admin(&server, "PATCH", &path, &json!({"resetFactors": true})).await;
    assert_eq!(reset.json()["account"]["factors"], json!([]), "{}", reset.text());
    Person::sign_in(&server, "ada@example.org", PASSWORD).await;
    // What signs in alone stays; what was a second factor can be somebody's again.
    let options = challenge(&server, json!({})).await;
    Person::of(&finish(&server, &phone.sign(&options, &Manner::default())).await);
    let grace = Person::sign_up(&server, "grace@example.org").await;
    let options = registration(&server, &grace, true).await;
    let mut again = made.clone();
    again["response"]["clientDataJSON"] =
        Passkey::make(&options, &Manner::default()).1["response"]["clientDataJSON"].clone();
    assert_eq!(add(&server, &grace, &again).await.status, 201);
}
