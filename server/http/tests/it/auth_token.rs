//! Access tokens: what verifies, what does not, and what it costs.

use std::time::Instant;

use andiron_auth::{Accounts, AuthOptions, Post};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::hmac;
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use serde_json::{Value, json};

use crate::auth_client::{Person, admin, claims};
use crate::client::Request;
use crate::reference::assert_described;
use crate::server::{Server, quick_accounts};

fn part(json: &Value) -> String {
    URL_SAFE_NO_PAD.encode(json.to_string())
}

async fn status(server: &Server, token: &str) -> u16 {
    let request = Request::get("/api/v1/auth/me").header("authorization", &format!("Bearer {token}"));
    server.send_as_it_is(request).await.status.as_u16()
}

/// The server's one public key.
async fn public_key(server: &Server) -> (String, Vec<u8>) {
    let keys = server
        .send_as_it_is(Request::get("/.well-known/jwks.json"))
        .await
        .json();
    assert_described("JsonWebKeys", &keys);
    let key = &keys["keys"][0];
    let x = URL_SAFE_NO_PAD.decode(key["x"].as_str().unwrap()).unwrap();
    (key["kid"].as_str().unwrap().to_owned(), x)
}

#[tokio::test]
async fn other_services_verify_tokens_with_the_published_keys() {
    let server = Server::start().await;
    let ada = Person::sign_up(&server, "ada@example.org").await;
    let (kid, x) = public_key(&server).await;
    let (signed, signature) = ada.access.rsplit_once('.').unwrap();
    let header = URL_SAFE_NO_PAD.decode(signed.split('.').next().unwrap()).unwrap();
    let header: Value = serde_json::from_slice(&header).unwrap();
    assert_eq!(header, json!({"alg": "EdDSA", "typ": "JWT", "kid": kid}));
    UnparsedPublicKey::new(&ED25519, x)
        .verify(signed.as_bytes(), &URL_SAFE_NO_PAD.decode(signature).unwrap())
        .unwrap();
    let configuration = server
        .send_as_it_is(Request::get("/.well-known/openid-configuration"))
        .await
        .json();
    assert_described("OpenidConfiguration", &configuration);
    assert_eq!(configuration["issuer"], ada.claims()["iss"]);
    assert_eq!(
        configuration["jwks_uri"],
        "http://127.0.0.1:8750/.well-known/jwks.json"
    );
}

#[tokio::test]
async fn forged_tokens_are_refused() {
    let server = Server::start().await;
    let ada = Person::sign_up(&server, "ada@example.org").await;
    let (kid, public) = public_key(&server).await;
    let good = ada.claims();
    let foreign = Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap();
    let sign = |header: Value, claims: &Value| {
        let signed = format!("{}.{}", part(&header), part(claims));
        let signature = URL_SAFE_NO_PAD.encode(foreign.sign(signed.as_bytes()));
        format!("{signed}.{signature}")
    };
    let hmac_signed = |alg: &str, key: &[u8]| {
        let signed = format!(
            "{}.{}",
            part(&json!({"alg": alg, "typ": "JWT", "kid": kid})),
            part(&good)
        );
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), signed.as_bytes());
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(tag))
    };
    let jwk = json!({"kty": "OKP", "crv": "Ed25519", "x": URL_SAFE_NO_PAD.encode(foreign.public_key())});
    let [header, payload, signature] = ada.access.split('.').collect::<Vec<_>>()[..] else {
        panic!("{}", ada.access)
    };
    let mut other = good.clone();
    other["sub"] = json!("somebody-else");
    let forged = [
        (
            "alg none",
            format!(
                "{}.{payload}.",
                part(&json!({"alg": "none", "typ": "JWT", "kid": kid}))
            ),
        ),
        (
            "alg none with a signature",
            format!("{}.{payload}.{signature}", part(&json!({"alg": "none"}))),
        ),
        ("HS256 with the public key", hmac_signed("HS256", &public)),
        ("EdDSA by HMAC", hmac_signed("EdDSA", &public)),
        (
            "another's key",
            sign(json!({"alg": "EdDSA", "typ": "JWT", "kid": kid}), &good),
        ),
        (
            "an unknown kid",
            sign(json!({"alg": "EdDSA", "typ": "JWT", "kid": "01unknown"}), &good),
        ),
        (
            "a kid that leads elsewhere",
            sign(
                json!({"alg": "EdDSA", "typ": "JWT", "kid": "../_accounts/x"}),
                &good,
            ),
        ),
        (
            "a kid of the note",
            sign(json!({"alg": "EdDSA", "typ": "JWT", "kid": "current"}), &good),
        ),
        (
            "a kid of SQL",
            sign(json!({"alg": "EdDSA", "typ": "JWT", "kid": "' or 1=1 --"}), &good),
        ),
        (
            "a key of its own",
            sign(
                json!({"alg": "EdDSA", "typ": "JWT", "kid": kid, "jwk": jwk}),
                &good,
            ),
        ),
        (
            "a key by URL",
            sign(
                json!({"alg": "EdDSA", "typ": "JWT", "kid": kid, "jku": "http://evil.example"}),
                &good,
            ),
        ),
        (
            "a critical extension",
            sign(
                json!({"alg": "EdDSA", "typ": "JWT", "kid": kid, "crit": ["x"]}),
                &good,
            ),
        ),
        ("changed claims", format!("{header}.{}.{signature}", part(&other))),
        ("no signature", format!("{header}.{payload}.")),
        ("no dot", format!("{header}.{payload}")),
        ("four parts", format!("{}.x", ada.access)),
        ("padding", format!("{}=", ada.access)),
        ("a very long one", "x".repeat(30_000)),
    ];
    for (name, token) in forged {
        assert_eq!(status(&server, &token).await, 401, "{name}");
    }
    assert_eq!(status(&server, &ada.access).await, 200);
}

#[tokio::test]
async fn a_token_of_another_server_audience_or_time_is_refused() {
    let server = Server::start().await;
    let ada = Person::sign_up(&server, "ada@example.org").await;
    let other = Server::start().await;
    assert_eq!(status(&other, &ada.access).await, 401);
    for (name, options) in [
        (
            "issuer",
            AuthOptions {
                url: "https://elsewhere.example".to_owned(),
                ..quick_accounts()
            },
        ),
        (
            "audience",
            AuthOptions {
                audience: "another".to_owned(),
                ..quick_accounts()
            },
        ),
    ] {
        // The same keys and accounts under other names.
        let renamed = Accounts::open(server.engine.clone(), options, Post::default())
            .await
            .unwrap();
        assert!(renamed.verify(&ada.access).is_err(), "{name}");
    }
    assert!(server.accounts.verify(&ada.access).is_ok());
    server.clock.advance(-3600);
    let fresh = Accounts::open(server.engine.clone(), quick_accounts(), Post::default())
        .await
        .unwrap();
    assert!(fresh.verify(&ada.access).is_err(), "a token of the future");
    server.clock.advance(3600);
    assert!(fresh.verify(&ada.access).is_ok());
    server.clock.advance(15 * 60);
    assert_eq!(status(&server, &ada.access).await, 401, "expired");
}

#[tokio::test]
async fn a_new_signing_key_signs_and_the_old_one_verifies_for_a_day() {
    let server = Server::start().await;
    let before = Person::sign_up(&server, "ada@example.org").await;
    let rotated = admin(&server, "POST", "signing-keys", &json!({})).await;
    assert_described("SigningKeys", &rotated.json());
    assert_eq!(rotated.json()["keys"].as_array().unwrap().len(), 2);
    let after = Person::sign_up(&server, "grace@example.org").await;
    let kid = |token: &str| {
        let header = URL_SAFE_NO_PAD.decode(token.split('.').next().unwrap()).unwrap();
        serde_json::from_slice::<Value>(&header).unwrap()["kid"].clone()
    };
    assert_ne!(kid(&before.access), kid(&after.access));
    assert_eq!(
        (before.status(&server).await, after.status(&server).await),
        (200, 200)
    );
    // A node that has not heard of the new key finds it.
    let node = Accounts::open(server.engine.clone(), quick_accounts(), Post::default())
        .await
        .unwrap();
    admin(&server, "POST", "signing-keys", &json!({})).await;
    let third = Person::sign_up(&server, "edsger@example.org").await;
    assert!(node.verify(&third.access).is_ok());
    server.clock.advance(24 * 3600 + 1);
    let keys = server
        .send_as_it_is(Request::get("/.well-known/jwks.json"))
        .await
        .json();
    assert_eq!(keys["keys"].as_array().unwrap().len(), 1, "{keys}");
    server.clock.advance(90 * 24 * 3600);
    server.accounts.maintain().await.unwrap();
    let keys = server
        .send_as_it_is(Request::get("/.well-known/jwks.json"))
        .await
        .json();
    assert_eq!(keys["keys"].as_array().unwrap().len(), 2, "on schedule: {keys}");
}

#[tokio::test]
async fn a_token_in_use_costs_a_look_up() {
    let server = Server::start().await;
    let ada = Person::sign_up(&server, "ada@example.org").await;
    server.accounts.verify(&ada.access).unwrap();
    const ROUNDS: u32 = 10_000;
    let started = Instant::now();
    for _ in 0..ROUNDS {
        server.accounts.verify(&ada.access).unwrap();
    }
    let each = started.elapsed() / ROUNDS;
    // 5 microseconds in a release build; this build is not optimised, and the machine may be busy.
    assert!(each.as_micros() < 50, "{each:?}");
    assert_eq!(claims(&ada.access)["sub"], ada.uid.as_str());
}
