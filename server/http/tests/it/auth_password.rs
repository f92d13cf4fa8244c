//! Signing in with passwords, and changing them; the attacks on that.

use std::time::Duration;

use andiron_auth::{
    Accounts, AttemptLimits, AuthOptions, ClientInfo, HashCost, Password, Post, Rate, SignInOutcome,
};
use andiron_engine::Caller;
use serde_json::{Value, json};

use crate::auth_client::{PASSWORD, Person, admin, events, post, sign_in};
use crate::auth_sign_up::join;
use crate::client::Request;
use crate::scenario::{refuses, run};
use crate::server::{Server, quick_accounts};
use crate::timing::assert_equally_fast;

#[tokio::test]
async fn the_right_password_signs_in_and_every_other_is_refused_the_same_way() {
    let server = Server::start().await;
    let ada = Person::sign_up(&server, "ada@example.org").await;
    let again = Person::sign_in(&server, "ADA@example.org", PASSWORD).await;
    assert_eq!(again.uid, ada.uid);
    assert_ne!(again.session, ada.session);
    let without = json!({"uid": "nopass", "email": "grace@example.org"});
    assert_eq!(admin(&server, "POST", "accounts", &without).await.status, 201);
    let mut texts = Vec::new();
    for (email, password) in [
        ("ada@example.org", "correct horse batterz"),
        ("ada@example.org", ""),
        ("nobody@example.org", PASSWORD),
        ("grace@example.org", PASSWORD),
        ("not an address", PASSWORD),
        ("", PASSWORD),
    ] {
        let answer = sign_in(&server, email, password).await;
        assert_eq!(
            (answer.status.as_u16(), answer.code().as_str()),
            (401, "unauthenticated"),
            "{email}"
        );
        let mut problem = answer.json();
        problem["requestId"] = Value::Null;
        texts.push(problem.to_string());
    }
    texts.dedup();
    assert_eq!(texts.len(), 1, "{texts:?}");
}

#[tokio::test]
async fn passwords_of_other_types_are_refused() {
    let server = Server::start().await;
    let target = "/api/v1/auth/sign-in";
    let table = [
        json!(null),
        json!(1),
        json!([PASSWORD]),
        json!({"$ne": ""}),
        json!(true),
    ]
    .into_iter()
    .map(|password| {
        let body = json!({"email": "ada@example.org", "password": password}).to_string();
        refuses("another type", "POST", target, 400, "invalid-argument").body(body)
    })
    .collect();
    run(&server, table).await;
}

#[tokio::test]
async fn an_unknown_address_takes_as_long_as_a_wrong_password() {
    let server = Server::with_accounts(AuthOptions {
        hash_cost: HashCost {
            memory_kib: 1024,
            passes: 1,
        },
        limits: AttemptLimits {
            sign_in_by_account: Rate::new(1_000_000, Duration::from_secs(60)),
            ..quick_accounts().limits
        },
        ..quick_accounts()
    })
    .await;
    Person::sign_up(&server, "ada@example.org").await;
    // Whatever is made on first use is made here.
    for email in ["ada@example.org", "nobody@example.org"] {
        for _ in 0..5 {
            sign_in(&server, email, "wrong password").await;
        }
    }
    assert_equally_fast("sign-in", async |is_known| {
        let email = if is_known {
            "ada@example.org"
        } else {
            "nobody@example.org"
        };
        assert_eq!(sign_in(&server, email, "wrong password").await.status, 401);
    })
    .await;
}

#[tokio::test]
async fn fifty_wrong_passwords_at_once_get_no_more_attempts_than_one_after_the_other() {
    let server = Server::start().await;
    let ada = Person::sign_up(&server, "ada@example.org").await;
    let attempts = (0..50).map(|_| sign_in(&server, "ada@example.org", "wrong password"));
    let statuses = join(attempts.collect()).await;
    assert_eq!(
        statuses.iter().filter(|status| **status == 401).count(),
        5,
        "{statuses:?}"
    );
    assert_eq!(
        statuses.iter().filter(|status| **status == 429).count(),
        45,
        "{statuses:?}"
    );
    let locked = sign_in(&server, "Ada@Example.org", PASSWORD).await;
    assert_eq!(locked.status, 429, "not even the right one, in whatever case");
    assert!(locked.header("retry-after").parse::<u32>().unwrap() <= 15 * 60 + 1);
    assert_eq!(ada.status(&server).await, 200, "who is signed in stays so");
    server.clock.advance(15 * 60 + 1);
    Person::sign_in(&server, "ada@example.org", PASSWORD).await;
    let events = events(&server, &ada.uid).await;
    assert_eq!(
        events.iter().filter(|event| *event == "sign-in-refused").count(),
        51
    );
}

#[tokio::test]
async fn a_right_password_forgets_the_wrong_ones_before() {
    let server = Server::start().await;
    Person::sign_up(&server, "ada@example.org").await;
    for _ in 0..3 {
        for _ in 0..4 {
            assert_eq!(
                sign_in(&server, "ada@example.org", "wrong password").await.status,
                401
            );
        }
        Person::sign_in(&server, "ada@example.org", PASSWORD).await;
    }
}

#[tokio::test]
async fn attempts_are_counted_by_the_connections_address_whatever_a_client_says() {
    let server = Server::with_accounts(AuthOptions {
        limits: AttemptLimits {
            sign_in_by_address: Rate::new(3, Duration::from_secs(60)),
            ..quick_accounts().limits
        },
        ..quick_accounts()
    })
    .await;
    let mut statuses = Vec::new();
    for n in 0..6 {
        let body = json!({"email": format!("user{n}@example.org"), "password": "wrong password"});
        let request = Request::new("POST", "/api/v1/auth/sign-in")
            .json(&body)
            .header("x-forwarded-for", &format!("203.0.113.{n}"))
            .header("X-REAL-IP", &format!("203.0.113.{n}"))
            .header("forwarded", &format!("for=203.0.113.{n}"))
            .header("x-http-method-override", "PUT");
        statuses.push(server.send_as_it_is(request).await.status.as_u16());
    }
    assert_eq!(statuses, [401, 401, 401, 429, 429, 429]);
}

#[tokio::test]
async fn behind_a_trusted_proxy_the_clients_address_counts() {
    let options = andiron_http::HttpOptions {
        trusted_proxies: vec!["127.0.0.0/8".parse().unwrap()],
        ..andiron_http::HttpOptions::default()
    };
    let accounts = AuthOptions {
        limits: AttemptLimits {
            sign_in_by_address: Rate::new(1, Duration::from_secs(60)),
            ..quick_accounts().limits
        },
        ..quick_accounts()
    };
    let server = Server::of(Default::default(), options, accounts, None, andiron_http::router).await;
    let attempt = async |forwarded: &str| {
        let body = json!({"email": "ada@example.org", "password": "wrong password"});
        let request = Request::new("POST", "/api/v1/auth/sign-in").json(&body);
        let request = request.header("x-forwarded-for", forwarded);
        server.send_as_it_is(request).await.status.as_u16()
    };
    assert_eq!(attempt("203.0.113.1").await, 401);
    assert_eq!(attempt("203.0.113.2").await, 401);
    assert_eq!(
        attempt("6.6.6.6, 203.0.113.1").await,
        429,
        "what stands to the left is the client's own word"
    );
    assert_eq!(attempt("2001:db8::1").await, 401);
    assert_eq!(attempt("2001:db8::2").await, 429, "a /64 is one client");
}

#[tokio::test]
async fn a_weaker_hash_is_replaced_when_its_password_is_seen() {
    let server = Server::start().await;
    let ada = Person::sign_up(&server, "ada@example.org").await;
    let path = format!("_accounts/{}", ada.uid).parse().unwrap();
    let stored = || {
        let document = server.engine.get(&Caller::System, &path).unwrap().unwrap();
        let record: Value = serde_json::from_str(&document.data).unwrap();
        record["password"].as_str().unwrap().to_owned()
    };
    let before = stored();
    assert!(before.starts_with("$argon2id$v=19$m=64,t=1,p=1$"), "{before}");
    Person::sign_in(&server, "ada@example.org", PASSWORD).await;
    assert_eq!(stored(), before, "a hash that is strong enough stays");
    let stronger = AuthOptions {
        hash_cost: HashCost {
            memory_kib: 128,
            passes: 2,
        },
        ..quick_accounts()
    };
    let stronger = Accounts::open(server.engine.clone(), stronger, Post::default())
        .await
        .unwrap();
    let password = |text: &str| Password::parse(text.to_owned()).unwrap();
    let client = ClientInfo::default();
    let wrong = stronger
        .sign_in("ada@example.org", &password("wrong password"), &client)
        .await;
    assert!(wrong.is_err());
    assert_eq!(stored(), before);
    let signed_in = stronger
        .sign_in("ada@example.org", &password(PASSWORD), &client)
        .await;
    assert!(matches!(signed_in, Ok(SignInOutcome::SignedIn(_))));
    let after = stored();
    assert!(after.starts_with("$argon2id$v=19$m=128,t=2,p=1$"), "{after}");
    Person::sign_in(&server, "ada@example.org", PASSWORD).await;
    assert_eq!(stored(), after, "and never becomes weaker");
}

#[tokio::test]
async fn a_changed_password_ends_the_other_sessions_and_the_old_password() {
    let server = Server::start().await;
    let ada = Person::sign_up(&server, "ada@example.org").await;
    let other = Person::sign_in(&server, "ada@example.org", PASSWORD).await;
    let change = |current: Value, new: &str| json!({"current": current, "new": new});
    let wrong = ada
        .post(
            &server,
            "password/change",
            &change(json!("wrong password"), "better battery"),
        )
        .await;
    assert_eq!(wrong.status, 401);
    assert_eq!(wrong.json()["detail"], "the current password is another");
    let missing = ada
        .post(&server, "password/change", &change(Value::Null, "better battery"))
        .await;
    assert_eq!(
        (missing.status.as_u16(), missing.json()["field"].as_str()),
        (400, Some("current"))
    );
    let weak = ada
        .post(&server, "password/change", &change(json!(PASSWORD), "password"))
        .await;
    assert_eq!(weak.status, 400);
    assert_eq!(other.status(&server).await, 200, "nothing has changed so far");
    let changed = ada
        .post(
            &server,
            "password/change",
            &change(json!(PASSWORD), "better battery"),
        )
        .await;
    assert_eq!(changed.status, 204, "{}", changed.text());
    assert_eq!(ada.status(&server).await, 200);
    assert_eq!(other.status(&server).await, 401);
    assert_eq!(sign_in(&server, "ada@example.org", PASSWORD).await.status, 401);
    Person::sign_in(&server, "ada@example.org", "better battery").await;
    let events = events(&server, &ada.uid).await;
    assert!(events.contains(&"password-changed".to_owned()), "{events:?}");
    assert!(
        events.contains(&"password-change-refused".to_owned()),
        "{events:?}"
    );
}

#[tokio::test]
async fn more_passwords_than_may_wait_are_refused_before_they_cost_anything() {
    let server = Server::with_accounts(AuthOptions {
        hash_queue_max: 2,
        hash_cost: HashCost {
            memory_kib: 19_456,
            passes: 2,
        },
        ..quick_accounts()
    })
    .await;
    let emails: Vec<_> = (0..30).map(|n| format!("user{n}@example.org")).collect();
    let attempts = emails
        .iter()
        .map(|email| sign_in(&server, email, "wrong password"));
    let statuses = join(attempts.collect()).await;
    assert!(
        statuses.iter().all(|status| [401, 503].contains(status)),
        "{statuses:?}"
    );
    assert!(statuses.contains(&401) && statuses.contains(&503), "{statuses:?}");
    assert_eq!(
        post(&server, "anonymous", &json!({})).await.status,
        201,
        "who needs no hash is served"
    );
}

/// Whatever gets as far as being hashed has been counted as an attempt before, and five wrong ones lock the account.
#[tokio::test]
async fn a_password_of_a_megabyte_is_refused_before_it_is_hashed() {
    let server = Server::start().await;
    Person::sign_up(&server, "ada@example.org").await;
    for _ in 0..6 {
        for (bytes, status) in [(257, 400), (60_000, 400), (1 << 20, 413)] {
            for path in ["sign-in", "sign-up"] {
                let body = json!({"email": "ada@example.org", "password": "x".repeat(bytes)});
                let answer = post(&server, path, &body).await;
                assert_eq!(
                    answer.status,
                    status,
                    "{path} with {bytes} bytes: {}",
                    answer.text()
                );
            }
        }
    }
    Person::sign_in(&server, "ada@example.org", PASSWORD).await;
}

#[tokio::test]
async fn accounts_are_imported_with_hashes_of_other_programs_that_their_first_sign_in_replaces() {
    let server = Server::start().await;
    let hashes = [
        (
            "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW",
            "U*U",
        ),
        (
            "$pbkdf2-sha256$i=4096$c2FsdA==$xeR41ZKIyEGqUw22hFxMjZYok6ABzk4RpJY4c6qYE0o=",
            "password",
        ),
        (
            "$argon2id$v=19$m=256,t=2,p=2$c29tZXNhbHQ$bQk8UB/VmZZF4Oo79iDXuL5/0ttZwg2f/5U52iv1cDc",
            "password",
        ),
    ];
    for (n, (hash, password)) in hashes.iter().enumerate() {
        let email = format!("user{n}@example.org");
        let body = json!({"uid": format!("u{n}"), "email": email, "passwordHash": hash});
        let made = admin(&server, "POST", "accounts", &body).await;
        assert_eq!(made.status, 201, "{}", made.text());
        assert_eq!(sign_in(&server, &email, "wrong password").await.status, 401);
        Person::sign_in(&server, &email, password).await;
        let path = format!("_accounts/u{n}").parse().unwrap();
        let document = server.engine.get(&Caller::System, &path).unwrap().unwrap();
        let record: Value = serde_json::from_str(&document.data).unwrap();
        let stored = record["password"].as_str().unwrap();
        let is_ours = stored.starts_with("$argon2id$v=19$m=64,") || n == 2;
        assert!(is_ours, "{stored}");
        Person::sign_in(&server, &email, password).await;
    }
    let both = json!({"email": "x@example.org", "passwordHash": hashes[0].0, "password": PASSWORD});
    assert_eq!(admin(&server, "POST", "accounts", &both).await.status, 400);
    let junk = json!({"email": "x@example.org", "passwordHash": "$1$md5$junk"});
    assert_eq!(
        admin(&server, "POST", "accounts", &junk).await.json()["field"],
        "passwordHash"
    );
}

#[tokio::test]
async fn a_body_is_an_object_of_one_type_and_nothing_that_passes_for_it() {
    let server = Server::start().await;
    Person::sign_up(&server, "ada@example.org").await;
    let list = json!(["ada@example.org", PASSWORD]);
    assert_eq!(post(&server, "sign-in", &list).await.code(), "invalid-argument");
    assert_eq!(
        post(&server, "anonymous", &json!([])).await.code(),
        "invalid-argument"
    );
    let body = json!({"email": "ada@example.org", "password": PASSWORD});
    let request = Request::new("POST", "/api/v1/auth/sign-in").json(&body);
    let twice = server
        .send_as_it_is(request.header("content-type", "text/plain"))
        .await;
    assert_eq!(twice.status, 415);
}
