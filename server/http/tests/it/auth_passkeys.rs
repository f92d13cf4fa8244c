//! Passkeys, by an authenticator in software; the attacks on them. `auth_passkey_factor` has them as second factors,
//! and `auth_passkeys_browser` in a real browser.

use andiron_auth::{AuthOptions, RelyingParty};
use serde_json::{Value, json};

use crate::auth_client::{PASSWORD, Person, admin, events, post};
use crate::auth_mail;
use crate::auth_sign_up::join;
use crate::authenticator::{BACKED_UP, BACKUP_ELIGIBLE, Manner, ORIGIN, Passkey, RP_ID, encode};
use crate::client::{Answer, Request};
use crate::reference::assert_described;
use crate::server::{Server, quick_accounts};
use crate::smtp::SmtpServer;

/// What an attacker makes of a proof.
type Forgery = fn(&mut Value);

pub(crate) fn relying_party() -> RelyingParty {
    RelyingParty::new(RP_ID, vec![ORIGIN.to_owned()]).unwrap()
}

pub(crate) fn with_passkeys() -> AuthOptions {
    AuthOptions {
        passkeys: Some(relying_party()),
        ..quick_accounts()
    }
}

pub(crate) async fn started() -> Server {
    Server::with_accounts(with_passkeys()).await
}

pub(crate) async fn registration(server: &Server, person: &Person, is_second_factor: bool) -> Value {
    let body = json!({"secondFactor": is_second_factor});
    let answer = person.post(server, "passkeys/register/start", &body).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_described("CreationOptionsAnswer", &answer.json());
    answer.json()["publicKey"].clone()
}

pub(crate) async fn add(server: &Server, person: &Person, credential: &Value) -> Answer {
    let body = json!({"credential": credential, "name": "Key"});
    person.post(server, "passkeys/register/finish", &body).await
}

/// Somebody's new passkey that signs in alone.
pub(crate) async fn passkey_of(server: &Server, person: &Person) -> Passkey {
    let options = registration(server, person, false).await;
    let (passkey, made) = Passkey::make(&options, &Manner::default());
    let added = add(server, person, &made).await;
    assert_eq!(added.status, 201, "{}", added.text());
    assert_described("AddedPasskey", &added.json());
    passkey
}

pub(crate) async fn challenge(server: &Server, body: Value) -> Value {
    let answer = post(server, "passkeys/sign-in/start", &body).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_described("RequestOptionsAnswer", &answer.json());
    answer.json()["publicKey"].clone()
}

pub(crate) async fn finish(server: &Server, credential: &Value) -> Answer {
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
async fn whoever_reads_the_mailbox_takes_the_passkeys_of_its_squatter_away() {
    for by_reset in [false, true] {
        let mails = SmtpServer::start().await;
        let server = Server::with_mail(&mails, with_passkeys()).await;
        let squatter = auth_mail::signed_up(&mails, &server, "victim@example.org").await;
        let mut passkey = passkey_of(&server, &squatter).await;
        let victim = if by_reset {
            let code = auth_mail::reset_code(&mails, &server, "victim@example.org").await;
            assert_eq!(
                auth_mail::confirm_reset(&server, &code, auth_mail::NEW_PASSWORD).await,
                204
            );
            Person::sign_in(&server, "victim@example.org", auth_mail::NEW_PASSWORD).await
        } else {
            post(&server, "link", &json!({"email": "victim@example.org"})).await;
            let code = mails.mail(1).await.code();
            Person::of(&post(&server, "link/confirm", &json!({"code": code})).await)
        };
        assert_eq!(victim.uid, squatter.uid);
        let options = challenge(&server, json!({})).await;
        let refused = finish(&server, &passkey.sign(&options, &Manner::default())).await;
        assert_eq!(refused.status, 401, "by a reset: {by_reset}");
        let listed = victim.by(Request::get("/api/v1/auth/passkeys"));
        assert_eq!(server.send_as_it_is(listed).await.json(), json!({"passkeys": []}));
    }
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
