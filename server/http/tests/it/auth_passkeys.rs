//! Passkeys, by an authenticator in software; the attacks on them. `auth_passkeys_browser` has them in a real
//! browser.

use andiron_auth::{AuthOptions, RelyingParty};
use serde_json::{Value, json};

use crate::auth_client::{PASSWORD, Person, admin, events, post, sign_in};
use crate::auth_sign_up::join;
use crate::authenticator::{BACKED_UP, BACKUP_ELIGIBLE, Manner, ORIGIN, Passkey, RP_ID, encode};
use crate::client::{Answer, Request};
use crate::reference::assert_described;
use crate::server::{Server, quick_accounts};
use crate::smtp::SmtpServer;

/// What an attacker makes of a proof.
type Forgery = fn(&mut Value);

fn with_passkeys() -> AuthOptions {
    AuthOptions {
        passkeys: Some(RelyingParty::new(RP_ID, vec![ORIGIN.to_owned()]).unwrap()),
        ..quick_accounts()
    }
}

async fn started() -> Server {
    Server::with_accounts(with_passkeys()).await
}

async fn registration(server: &Server, person: &Person, is_second_factor: bool) -> Value {
    let body = json!({"secondFactor": is_second_factor});
    let answer = person.post(server, "passkeys/register/start", &body).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_described("CreationOptionsAnswer", &answer.json());
    answer.json()["publicKey"].clone()
}

async fn add(server: &Server, person: &Person, credential: &Value) -> Answer {
    let body = json!({"credential": credential, "name": "Key"});
    person.post(server, "passkeys/register/finish", &body).await
}

/// Somebody's new passkey that signs in alone.
async fn passkey_of(server: &Server, person: &Person) -> Passkey {
    let options = registration(server, person, false).await;
    let (passkey, made) = Passkey::make(&options, &Manner::default());
    let added = add(server, person, &made).await;
    assert_eq!(added.status, 201, "{}", added.text());
    assert_described("AddedPasskey", &added.json());
    passkey
}

async fn challenge(server: &Server, body: Value) -> Value {
    let answer = post(server, "passkeys/sign-in/start", &body).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_described("RequestOptionsAnswer", &answer.json());
    answer.json()["publicKey"].clone()
}

async fn finish(server: &Server, credential: &Value) -> Answer {
    post(
        server,
        "passkeys/sign-in/finish",
        &json!({"credential": credential}),
    )
    .await
}

#[tokio::test]
async fn a_passkey_signs_in_without_a_name_or_a_password() {
    let server = started().await;
    let ada = Person::sign_up(&server, "ada@example.org").await;
    let options = registration(&server, &ada, false).await;
    assert_eq!(options["rp"]["id"], RP_ID);
    assert_eq!(options["authenticatorSelection"]["userVerification"], "required");
    assert_eq!(options["authenticatorSelection"]["residentKey"], "required");
    assert_eq!(options["user"]["name"], "ada@example.org");
    let handle = options["user"]["id"].as_str().unwrap();
    assert_eq!(handle.len(), 43, "32 bytes of randomness");
    assert_ne!(handle, encode(ada.uid.as_bytes()));
    let (mut passkey, made) = Passkey::make(&options, &Manner::default());
    assert_eq!(add(&server, &ada, &made).await.status, 201);

    let options = challenge(&server, json!({})).await;
    assert_eq!(
        (&options["userVerification"], &options["allowCredentials"]),
        (&json!("required"), &json!([]))
    );
    let signed_in = Person::of(&finish(&server, &passkey.sign(&options, &Manner::default())).await);
    assert_eq!(signed_in.uid, ada.uid);
    assert_eq!(signed_in.claims()["amr"], json!(["hwk", "user", "mfa"]));
    assert_eq!(signed_in.claims()["firebase"]["sign_in_provider"], "passkey");
    let options = challenge(&server, json!({"email": "Ada@example.org"})).await;
    assert_eq!(
        options["allowCredentials"],
        json!([]),
        "which says nothing of anybody"
    );
    Person::of(&finish(&server, &passkey.sign(&options, &Manner::default())).await);

    let events = events(&server, &ada.uid).await;
    for event in ["passkey-added", "sign-in"] {
        assert!(events.contains(&event.to_owned()), "{events:?}");
    }
    let me = ada.by(Request::get("/api/v1/auth/me"));
    let me = server.send_as_it_is(me).await.json();
    assert_eq!(me["account"]["providers"][1]["id"], "passkey");
    assert_eq!(me["account"]["factors"], json!([]), "a password still does alone");
}

#[tokio::test]
async fn a_passkey_of_ed25519_that_is_copied_between_devices_is_one_too() {
    let server = started().await;
    let ada = Person::sign_up(&server, "ada@example.org").await;
    let options = registration(&server, &ada, false).await;
    let manner = Manner::default().and(BACKUP_ELIGIBLE);
    let (mut passkey, made) = Passkey::make_ed25519(&options, &manner);
    assert_eq!(add(&server, &ada, &made).await.status, 201);
    let options = challenge(&server, json!({})).await;
    let signed_in = finish(&server, &passkey.sign(&options, &manner.and(BACKED_UP))).await;
    assert_eq!(
        Person::of(&signed_in).claims()["amr"],
        json!(["swk", "user", "mfa"])
    );
    let listed = ada.by(Request::get("/api/v1/auth/passkeys"));
    let listed = server.send_as_it_is(listed).await.json();
    assert_described("Passkeys", &listed);
    assert_eq!(listed["passkeys"][0]["backedUp"], true);
}

#[tokio::test]
async fn an_account_without_anything_gets_a_passkey_and_is_anonymous_no_more() {
    let server = started().await;
    let nobody = Person::of(&post(&server, "anonymous", &json!({})).await);
    let mut passkey = passkey_of(&server, &nobody).await;
    let options = challenge(&server, json!({})).await;
    let answer = finish(&server, &passkey.sign(&options, &Manner::default())).await;
    assert_eq!(Person::of(&answer).uid, nobody.uid);
    assert_eq!(answer.json()["account"]["anonymous"], false);
    let listed = nobody.by(Request::get("/api/v1/auth/passkeys"));
    let id = server.send_as_it_is(listed).await.json()["passkeys"][0]["id"].clone();
    let path = format!("/api/v1/auth/passkeys/{}", id.as_str().unwrap());
    let removed = server
        .send_as_it_is(nobody.by(Request::new("DELETE", &path)))
        .await;
    assert_eq!(
        removed.code(),
        "failed-precondition",
        "it is the last way to sign in"
    );
}

#[tokio::test]
async fn what_no_good_browser_says_makes_no_passkey() {
    let server = started().await;
    let ada = Person::sign_up(&server, "ada@example.org").await;
    let eve = Person::sign_up(&server, "eve@example.org").await;
    let good = Manner::default;
    for (name, manner) in [
        (
            "another origin",
            Manner {
                origin: "https://app.example.evil",
                ..good()
            },
        ),
        (
            "another scheme",
            Manner {
                origin: "http://app.example",
                ..good()
            },
        ),
        (
            "another port",
            Manner {
                origin: "https://app.example:8443",
                ..good()
            },
        ),
        (
            "a domain under it",
            Manner {
                origin: "https://x.app.example",
                ..good()
            },
        ),
        (
            "another domain",
            Manner {
                rp_id: "evil.example",
                ..good()
            },
        ),
        (
            "a frame",
            Manner {
                cross_origin: true,
                ..good()
            },
        ),
        (
            "another ceremony",
            Manner {
                kind: Some("webauthn.get"),
                ..good()
            },
        ),
        ("nobody there", Manner::absent()),
        ("nobody verified", Manner::unverified()),
        ("copied and not to be copied", good().and(BACKED_UP)),
        (
            "more than there is",
            Manner {
                trailing: &[0],
                ..good()
            },
        ),
        (
            "no challenge",
            Manner {
                challenge: Some(String::new()),
                ..good()
            },
        ),
        (
            "a challenge of its own",
            Manner {
                challenge: Some(encode(&[7; 54])),
                ..good()
            },
        ),
    ] {
        let options = registration(&server, &ada, false).await;
        let (_, made) = Passkey::make(&options, &manner);
        let refused = add(&server, &ada, &made).await;
        assert_eq!(refused.status, 400, "{name}: {}", refused.text());
    }
    let options = registration(&server, &ada, false).await;
    let (passkey, made) = Passkey::make(&options, &Manner::default());
    assert_eq!(
        add(&server, &eve, &made).await.code(),
        "failed-precondition",
        "somebody else's challenge"
    );
    assert_eq!(add(&server, &ada, &made).await.status, 201);
    assert_eq!(
        add(&server, &ada, &made).await.code(),
        "failed-precondition",
        "a challenge used twice"
    );
    for person in [&ada, &eve] {
        let options = registration(&server, person, false).await;
        let again = passkey.registration(&options, &Manner::default());
        assert_eq!(
            add(&server, person, &again).await.code(),
            "failed-precondition",
            "it belongs to somebody"
        );
    }
    let options = registration(&server, &ada, false).await;
    assert_eq!(
        options["excludeCredentials"][0]["id"],
        encode(&passkey.id),
        "so that an authenticator makes no second one"
    );
    let (_, mut made) = Passkey::make(&options, &Manner::default());
    made["rawId"] = json!(encode(&[1; 32]));
    assert_eq!(add(&server, &ada, &made).await.status, 400, "an id of its own");
    let late = Passkey::make(&options, &Manner::default()).1;
    server.clock.advance(5 * 60 + 1);
    assert_eq!(add(&server, &ada, &late).await.code(), "failed-precondition");
    server.clock.advance(6 * 60);
    let ada = Person {
        access: crate::auth_client::refresh(&server, &ada.refresh).await.json()["session"]["accessToken"]
            .as_str()
            .unwrap()
            .to_owned(),
        ..ada
    };
    let late = ada.post(&server, "passkeys/register/start", &json!({})).await;
    assert_eq!(late.code(), "permission-denied", "it takes a recent sign-in");
}

#[tokio::test]
async fn what_no_good_browser_says_signs_nobody_in() {
    let server = started().await;
    let ada = Person::sign_up(&server, "ada@example.org").await;
    let eve = Person::sign_up(&server, "eve@example.org").await;
    let mut passkey = passkey_of(&server, &ada).await;
    let mut others = passkey_of(&server, &eve).await;
    let good = Manner::default;
    for (name, manner) in [
        (
            "another origin",
            Manner {
                origin: "https://app.example.evil",
                ..good()
            },
        ),
        (
            "a domain under it",
            Manner {
                origin: "https://x.app.example",
                ..good()
            },
        ),
        (
            "another domain",
            Manner {
                rp_id: "evil.example",
                ..good()
            },
        ),
        (
            "a frame",
            Manner {
                cross_origin: true,
                ..good()
            },
        ),
        (
            "another ceremony",
            Manner {
                kind: Some("webauthn.create"),
                ..good()
            },
        ),
        ("nobody there", Manner::absent()),
        ("nobody verified", Manner::unverified()),
        ("suddenly to be copied", good().and(BACKUP_ELIGIBLE)),
        (
            "more than there is",
            Manner {
                trailing: &[0],
                ..good()
            },
        ),
    ] {
        let options = challenge(&server, json!({})).await;
        let refused = finish(&server, &passkey.sign(&options, &manner)).await;
        assert_eq!(refused.code(), "unauthenticated", "{name}");
        assert_eq!(refused.status, 401, "{name}");
    }
    for made_up in [String::new(), encode(&[7; 54]), encode(b"not a code at all")] {
        let options = challenge(&server, json!({})).await;
        let manner = Manner {
            challenge: Some(made_up),
            ..good()
        };
        let refused = finish(&server, &passkey.sign(&options, &manner)).await;
        assert_eq!(refused.code(), "failed-precondition", "a challenge of its own");
    }
    let forgeries: [(&str, Forgery); 6] = [
        ("another's signature", |proof| {
            proof["response"]["signature"] = json!(encode(&[48; 70]))
        }),
        ("no signature", |proof| proof["response"]["signature"] = json!("")),
        ("another's handle", |proof| {
            proof["response"]["userHandle"] = json!(encode(&[1; 32]))
        }),
        ("no handle", |proof| proof["response"]["userHandle"] = json!(null)),
        ("an unknown credential", |proof| {
            proof["rawId"] = json!(encode(&[1; 32]))
        }),
        ("another kind", |proof| proof["type"] = json!("password")),
    ];
    for (name, forge) in forgeries {
        let options = challenge(&server, json!({})).await;
        let mut proof = passkey.sign(&options, &good());
        forge(&mut proof);
        assert_eq!(finish(&server, &proof).await.status, 401, "{name}");
    }
    // The id of one account's credential, signed by another's.
    let options = challenge(&server, json!({})).await;
    let mut proof = others.sign(&options, &good());
    proof["rawId"] = json!(encode(&passkey.id));
    proof["response"]["userHandle"] = json!(passkey.handle);
    assert_eq!(
        finish(&server, &proof).await.status,
        401,
        "somebody else's credential"
    );
    // Begun for one address, ended by the passkey of another.
    let options = challenge(&server, json!({"email": "ada@example.org"})).await;
    assert_eq!(finish(&server, &others.sign(&options, &good())).await.status, 401);

    let refused = events(&server, &ada.uid).await;
    let refused = refused.iter().filter(|event| *event == "sign-in-refused").count();
    assert!(refused >= 12, "each is in the audit log: {refused}");

    let options = challenge(&server, json!({})).await;
    let proof = passkey.sign(&options, &good());
    let statuses = {
        let body = json!({"credential": proof});
        join(
            (0..50)
                .map(|_| post(&server, "passkeys/sign-in/finish", &body))
                .collect(),
        )
        .await
    };
    assert_eq!(
        statuses.iter().filter(|status| **status == 200).count(),
        1,
        "{statuses:?}"
    );
    assert_eq!(
        finish(&server, &proof).await.code(),
        "failed-precondition",
        "replayed"
    );
    let options = challenge(&server, json!({})).await;
    let proof = passkey.sign(&options, &good());
    server.clock.advance(5 * 60 + 1);
    assert_eq!(
        finish(&server, &proof).await.code(),
        "failed-precondition",
        "too late"
    );
    let registration = registration(
        &server,
        &Person::sign_in(&server, "ada@example.org", PASSWORD).await,
        false,
    )
    .await;
    assert_eq!(
        finish(&server, &passkey.sign(&registration, &good()))
            .await
            .code(),
        "failed-precondition",
        "a challenge for something else"
    );
}

#[tokio::test]
async fn a_counter_that_does_not_go_up_betrays_a_copy() {
    let server = started().await;
    let ada = Person::sign_up(&server, "ada@example.org").await;
    let mut passkey = passkey_of(&server, &ada).await;
    for _ in 0..3 {
        let options = challenge(&server, json!({})).await;
        Person::of(&finish(&server, &passkey.sign(&options, &Manner::default())).await);
    }
    for count in [3, 2, 0] {
        passkey.count = count;
        let options = challenge(&server, json!({})).await;
        let copy = passkey.sign_as_it_is(&options, &Manner::default());
        assert_eq!(finish(&server, &copy).await.status, 401, "{count}");
    }
    assert!(
        events(&server, &ada.uid)
            .await
            .contains(&"passkey-copied".to_owned())
    );
    passkey.count = 3;
    let options = challenge(&server, json!({})).await;
    Person::of(&finish(&server, &passkey.sign(&options, &Manner::default())).await);
}

#[tokio::test]
async fn a_disabled_account_is_not_signed_in_by_its_passkey() {
    let server = started().await;
    let ada = Person::sign_up(&server, "ada@example.org").await;
    let mut passkey = passkey_of(&server, &ada).await;
    admin(
        &server,
        "PATCH",
        &format!("accounts/{}", ada.uid),
        &json!({"disabled": true}),
    )
    .await;
    let options = challenge(&server, json!({})).await;
    let refused = finish(&server, &passkey.sign(&options, &Manner::default())).await;
    assert_eq!(refused.code(), "permission-denied");
    admin(&server, "DELETE", &format!("accounts/{}", ada.uid), &Value::Null).await;
    let options = challenge(&server, json!({})).await;
    assert_eq!(
        finish(&server, &passkey.sign(&options, &Manner::default()))
            .await
            .status,
        401
    );
}

#[tokio::test]
async fn beginning_with_an_address_tells_nothing_of_it() {
    let server = started().await;
    let ada = Person::sign_up(&server, "ada@example.org").await;
    passkey_of(&server, &ada).await;
    Person::sign_up(&server, "grace@example.org").await;
    let mut seen = Vec::new();
    for body in [
        json!({"email": "ada@example.org"}),
        json!({"email": "grace@example.org"}),
        json!({"email": "nobody@example.org"}),
        json!({"email": "no address"}),
        json!({"email": ""}),
        json!({}),
    ] {
        let mut options = challenge(&server, body).await;
        assert_eq!(options["challenge"].as_str().unwrap().len(), 72);
        options["challenge"] = json!(null);
        seen.push(options.to_string());
    }
    seen.dedup();
    assert_eq!(seen.len(), 1, "{seen:?}");
    crate::timing::assert_equally_fast("passkeys/sign-in/start", async |is_known| {
        let email = if is_known {
            "ada@example.org"
        } else {
            "nobody@example.org"
        };
        challenge(&server, json!({"email": email})).await;
    })
    .await;
}

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
async fn whoever_reads_the_mailbox_takes_the_passkeys_of_its_squatter_away() {
    let mails = SmtpServer::start().await;
    let server = Server::with_mail(&mails, with_passkeys()).await;
    let squatter = Person::sign_up(&server, "victim@example.org").await;
    mails.mail(0).await;
    let mut passkey = passkey_of(&server, &squatter).await;
    post(&server, "link", &json!({"email": "victim@example.org"})).await;
    let code = mails.mail(1).await.code();
    let victim = Person::of(&post(&server, "link/confirm", &json!({"code": code})).await);
    assert_eq!(victim.uid, squatter.uid);
    let options = challenge(&server, json!({})).await;
    let refused = finish(&server, &passkey.sign(&options, &Manner::default())).await;
    assert_eq!(refused.status, 401);
    let listed = victim.by(Request::get("/api/v1/auth/passkeys"));
    assert_eq!(server.send_as_it_is(listed).await.json(), json!({"passkeys": []}));
}

#[tokio::test]
async fn nobody_sets_passkeys_up_for_somebody_else() {
    let server = started().await;
    let ada = Person::sign_up(&server, "ada@example.org").await;
    let path = format!("accounts/{}/impersonate", ada.uid);
    let acting = Person::of(&admin(&server, "POST", &path, &json!({})).await);
    for path in ["passkeys/register/start", "passkeys/sign-in/start"] {
        let refused = acting.post(&server, path, &json!({})).await;
        assert_eq!(refused.code(), "permission-denied", "{path}");
    }
    let refused = acting
        .post(&server, "mfa/verify", &json!({"code": "123456"}))
        .await;
    assert_eq!(refused.code(), "permission-denied");
}

#[tokio::test]
async fn a_server_that_has_no_domain_says_what_it_takes() {
    let server = Server::start().await;
    let ada = Person::sign_up(&server, "ada@example.org").await;
    let refused = ada.post(&server, "passkeys/register/start", &json!({})).await;
    assert_eq!(refused.code(), "failed-precondition");
    assert!(
        refused.text().contains("auth.passkey_domain"),
        "{}",
        refused.text()
    );
    let refused = post(&server, "passkeys/sign-in/start", &json!({})).await;
    assert_eq!(refused.code(), "failed-precondition");
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

#[tokio::test]
async fn who_has_no_address_of_the_domains_does_not_become_somebody_by_a_passkey() {
    let server = Server::with_accounts(AuthOptions {
        sign_up_domains: vec!["example.org".to_owned()],
        ..with_passkeys()
    })
    .await;
    let nobody = Person::of(&post(&server, "anonymous", &json!({})).await);
    let options = registration(&server, &nobody, false).await;
    let (_, made) = Passkey::make(&options, &Manner::default());
    assert_eq!(add(&server, &nobody, &made).await.code(), "permission-denied");
}

#[tokio::test]
async fn who_is_signed_in_as_somebody_else_signs_in_by_a_passkey() {
    let server = started().await;
    let ada = Person::sign_up(&server, "ada@example.org").await;
    let mut passkey = passkey_of(&server, &ada).await;
    let guest = Person::of(&post(&server, "anonymous", &json!({})).await);
    let eve = Person::sign_up(&server, "eve@example.org").await;
    for (person, body) in [(&guest, json!({})), (&eve, json!({"email": "ada@example.org"}))] {
        let begun = person.post(&server, "passkeys/sign-in/start", &body).await.json();
        let proof = passkey.sign(&begun["publicKey"], &Manner::default());
        let body = json!({"credential": proof});
        let signed_in = person.post(&server, "passkeys/sign-in/finish", &body).await;
        assert_eq!(Person::of(&signed_in).uid, ada.uid);
        assert_eq!(person.status(&server).await, 200, "another session is another");
    }
    // What was begun within a session is for that one.
    let begun = ada
        .post(&server, "passkeys/sign-in/start", &json!({}))
        .await
        .json();
    let body = json!({"credential": passkey.sign(&begun["publicKey"], &Manner::default())});
    assert_eq!(
        eve.post(&server, "passkeys/sign-in/finish", &body).await.status,
        401
    );
    assert_eq!(
        post(&server, "passkeys/sign-in/finish", &body).await.code(),
        "failed-precondition"
    );
}
