//! Rights that end while somebody listens: what was seen by them is removed, or the listen ends, before any later change is
//! seen.

use serde_json::{Value as Json, json};

use crate::auth_client::{Person, admin, refresh};
use crate::client::Request;
use crate::live::{Socket, delete, put, said};
use crate::live_ears::{Ear, TRANSPORTS, Transport};
use crate::server::Server;

const RULES: &str = "match /posts/{id} { allow read: if request.auth != null; }
    match /drafts/{id} { allow read: if 'writer' in request.auth.token.roles; }
    match /clubs/{id} { allow read: if exists(/databases/$(db)/documents/members/$(request.auth.uid)); }
    match /notes/{id} { allow read: if exists(/databases/$(db)/documents/members/$(resource.data.of)); }
    match /mixed/{id} {
        allow read: if resource.data.open == true || 'writer' in request.auth.token.roles;
    }
    match /plans/{id} { allow read: if resource.data.plan == request.auth.token.plan; }";

fn set_rules(server: &Server, matches: &str) {
    server.set_rules(&format!(
        "rules_version = '2'; service cloud.firestore {{ match /databases/{{db}}/documents {{ {matches} }} }}"
    ));
}

async fn set_roles(server: &Server, person: &Person, roles: Json) {
    let path = format!("accounts/{}", person.uid);
    let answer = admin(server, "PATCH", &path, &json!({"roles": roles})).await;
    assert!(answer.status.is_success(), "{}", answer.text());
}

/// How a right ends, which collection it was for, and the code with which listens to that end.
const ENDS: [(&str, &str, &str); 9] = [
    ("signed out by an administrator", "posts", "unauthenticated"),
    ("signed out", "posts", "unauthenticated"),
    ("disabled", "posts", "unauthenticated"),
    ("deleted", "posts", "unauthenticated"),
    ("claims changed", "posts", "unauthenticated"),
    ("token expired", "posts", "unauthenticated"),
    ("role taken", "drafts", "permission-denied"),
    ("rules changed", "posts", "permission-denied"),
    ("looked-up document deleted", "clubs", "permission-denied"),
];

async fn end(how: &str, server: &Server, person: &Person) {
    let account = format!("accounts/{}", person.uid);
    let answer = match how {
        "signed out by an administrator" => {
            admin(server, "POST", &format!("{account}/sign-out"), &json!({})).await
        }
        "signed out" => person.post(server, "sign-out", &json!({})).await,
        "disabled" => admin(server, "PATCH", &account, &json!({"disabled": true})).await,
        "deleted" => admin(server, "DELETE", &account, &Json::Null).await,
        "claims changed" => {
            let claims = json!({"claims": {"plan": "free"}, "refreshNow": true});
            admin(server, "PUT", &format!("{account}/claims"), &claims).await
        }
        "token expired" => return server.clock.advance(24 * 3600),
        "role taken" => return set_roles(server, person, json!([])).await,
        "rules changed" => {
            return set_rules(
                server,
                "match /posts/{id} { allow create: if request.auth != null; }",
            );
        }
        "looked-up document deleted" => return delete(server, &format!("members/{}", person.uid)).await,
        other => panic!("{other}"),
    };
    assert!(answer.status.is_success(), "{how}: {}", answer.text());
}

#[tokio::test]
async fn a_right_that_ends_ends_listens_before_any_later_change_is_seen() {
    for (number, (how, collection, code)) in ENDS.into_iter().enumerate() {
        for transport in TRANSPORTS {
            for target in [
                format!("from={collection}"),
                format!("from={collection}&orderBy=n&limit=3"),
                format!("doc={collection}/p1"),
            ] {
                let server = Server::start().await;
                set_rules(&server, RULES);
                let ada = Person::sign_up(&server, &format!("ada{number}@example.org")).await;
                set_roles(&server, &ada, json!(["writer"])).await;
                put(&server, &format!("members/{}", ada.uid), json!({})).await;
                put(&server, &format!("{collection}/p1"), json!({"n": 2})).await;
                let mut ear = Ear::listen(&server, transport, &ada.access, &target, None).await;
                assert_eq!(said(&ear.next().await), [format!("+{collection}/p1")]);
                end(how, &server, &ada).await;
                put(&server, &format!("{collection}/p1"), json!({"n": 1})).await;
                let next = ear.next().await;
                assert_eq!(
                    next["error"]["code"], code,
                    "{how}, {transport:?}, {target}: {next}"
                );
            }
        }
    }
}

#[tokio::test]
async fn a_service_key_that_is_revoked_ends_listens() {
    for transport in TRANSPORTS {
        let server = Server::start().await;
        let created = admin(&server, "POST", "keys", &json!({"name": "reader"}))
            .await
            .json();
        let key = created["key"].as_str().unwrap();
        put(&server, "posts/p1", json!({})).await;
        let mut ear = Ear::listen(&server, transport, key, "from=posts", None).await;
        assert_eq!(said(&ear.next().await), ["+posts/p1"]);
        let revoked = admin(&server, "DELETE", "keys/reader", &Json::Null).await;
        assert_eq!(revoked.status, 200);
        put(&server, "posts/p2", json!({})).await;
        let next = ear.next().await;
        assert_eq!(next["error"]["code"], "unauthenticated", "{transport:?}: {next}");
    }
}

#[tokio::test]
async fn what_a_role_let_see_is_not_seen_once_it_is_taken() {
    for transport in TRANSPORTS {
        let server = Server::start().await;
        set_rules(&server, RULES);
        let ada = Person::sign_up(&server, "ada@example.org").await;
        set_roles(&server, &ada, json!([])).await;
        put(&server, "mixed/open", json!({"open": true})).await;
        put(&server, "mixed/secret", json!({"n": 0})).await;
        let mut ear = Ear::listen(&server, transport, &ada.access, "from=mixed", None).await;
        assert_eq!(said(&ear.next().await), ["+mixed/open"]);
        // Often, because it is a matter of who comes first.
        for round in 1..20 {
            set_roles(&server, &ada, json!(["writer"])).await;
            while !said(&ear.next().await).contains(&"+mixed/secret".to_owned()) {}
            set_roles(&server, &ada, json!([])).await;
            put(&server, "mixed/secret", json!({"n": round})).await;
            put(&server, "mixed/open", json!({"open": true, "n": round})).await;
            let mut was_taken = false;
            loop {
                let frame = ear.next().await;
                let said = said(&frame);
                // The whole result without it, or that it is gone.
                was_taken |= frame["reset"] == true || said.contains(&"-mixed/secret".to_owned());
                assert!(
                    !said.contains(&"+mixed/secret".to_owned()),
                    "{transport:?} {round}: {frame}"
                );
                let mut changes = frame["changes"].as_array().unwrap().iter();
                if changes.any(|change| change["document"]["data"]["n"] == round) {
                    break;
                }
            }
            assert!(was_taken, "{transport:?}, round {round}");
        }
    }
}

#[tokio::test]
async fn other_rules_take_away_what_they_hide_before_any_later_change_is_seen() {
    for transport in TRANSPORTS {
        let server = Server::start().await;
        let ada = Person::sign_up(&server, "ada@example.org").await;
        put(&server, "posts/open", json!({"open": true})).await;
        put(&server, "posts/secret", json!({"open": false})).await;
        set_rules(&server, RULES);
        let mut ear = Ear::listen(&server, transport, &ada.access, "from=posts", None).await;
        assert_eq!(said(&ear.next().await), ["+posts/open", "+posts/secret"]);
        set_rules(
            &server,
            "match /posts/{id} { allow read: if resource.data.open == true; }",
        );
        put(&server, "posts/secret", json!({"open": false, "n": 1})).await;
        let next = ear.next().await;
        assert_eq!(next["reset"], true, "{transport:?}: {next}");
        assert_eq!(said(&next), ["+posts/open"], "{transport:?}");
    }
}

#[tokio::test]
async fn a_document_that_the_rule_looked_up_for_each_document_takes_away_what_it_let_see() {
    for transport in TRANSPORTS {
        let server = Server::start().await;
        set_rules(&server, RULES);
        let ada = Person::sign_up(&server, "ada@example.org").await;
        put(&server, "members/x", json!({})).await;
        put(&server, "members/y", json!({})).await;
        put(&server, "notes/n1", json!({"of": "x"})).await;
        put(&server, "notes/n2", json!({"of": "y"})).await;
        let mut many = Ear::listen(&server, transport, &ada.access, "from=notes", None).await;
        assert_eq!(said(&many.next().await), ["+notes/n1", "+notes/n2"]);
        let mut one = Ear::listen(&server, transport, &ada.access, "doc=notes/n1", None).await;
        assert_eq!(said(&one.next().await), ["+notes/n1"]);
        delete(&server, "members/x").await;
        put(&server, "notes/n1", json!({"of": "x", "n": 1})).await;
        let fewer = many.next().await;
        assert_eq!(said(&fewer), ["-notes/n1"], "{transport:?}: {fewer}");
        let end = one.next().await;
        assert_eq!(end["error"]["code"], "permission-denied", "{transport:?}: {end}");
    }
}

#[tokio::test]
async fn other_claims_of_a_fresh_token_are_those_by_which_one_sees() {
    let server = Server::start().await;
    set_rules(&server, RULES);
    put(&server, "plans/p1", json!({"plan": "free"})).await;
    put(&server, "plans/p2", json!({"plan": "pro"})).await;
    let mut ada = Person::sign_up(&server, "ada@example.org").await;
    let path = format!("accounts/{}/claims", ada.uid);
    for (plan, sees) in [("free", "+plans/p1"), ("pro", "+plans/p2")] {
        let claims = json!({"claims": {"plan": plan}});
        assert!(admin(&server, "PUT", &path, &claims).await.status.is_success());
        ada = Person::of(&refresh(&server, &ada.refresh).await);
        let mut ear = Ear::listen(&server, Transport::Events, &ada.access, "from=plans", None).await;
        assert_eq!(said(&ear.next().await), [sees]);
    }
    let bearer = format!("Bearer {}", ada.access);
    let mut socket = Socket::try_open(&server, &[("authorization", &bearer)])
        .await
        .unwrap();
    socket
        .send(json!({"op": "listen", "id": 1, "query": {"from": "plans"}}))
        .await;
    assert_eq!(said(&socket.next().await), ["+plans/p2"]);
    let claims = json!({"claims": {"plan": "free"}});
    assert!(admin(&server, "PUT", &path, &claims).await.status.is_success());
    ada = Person::of(&refresh(&server, &ada.refresh).await);
    socket.send(json!({"op": "auth", "token": ada.access})).await;
    assert_eq!(socket.next().await["op"], "auth");
    let changed = socket.next().await;
    assert_eq!(
        (&changed["reset"], said(&changed)),
        (&json!(true), vec!["+plans/p1".to_owned()])
    );
}

#[tokio::test]
async fn a_fresh_token_of_the_same_rights_lets_listens_go_on() {
    let server = Server::start().await;
    set_rules(&server, RULES);
    put(&server, "posts/p1", json!({})).await;
    let ada = Person::sign_up(&server, "ada@example.org").await;
    let bearer = format!("Bearer {}", ada.access);
    let mut socket = Socket::try_open(&server, &[("authorization", &bearer)])
        .await
        .unwrap();
    socket
        .send(json!({"op": "listen", "id": 1, "query": {"from": "posts"}}))
        .await;
    assert_eq!(said(&socket.next().await), ["+posts/p1"]);
    let ada = Person::of(&refresh(&server, &ada.refresh).await);
    socket.send(json!({"op": "auth", "token": ada.access})).await;
    assert_eq!(socket.next().await["op"], "auth");
    put(&server, "posts/p2", json!({})).await;
    loop {
        let frame = socket.next().await;
        assert_eq!(frame["reset"], false, "{frame}");
        if said(&frame) == ["+posts/p2"] {
            return;
        }
    }
}

#[tokio::test]
async fn who_follows_all_changes_is_told_none_after_the_key_was_revoked() {
    let server = Server::start().await;
    let created = admin(&server, "POST", "keys", &json!({"name": "worker"}))
        .await
        .json();
    let bearer = format!("Bearer {}", created["key"].as_str().unwrap());
    put(&server, "posts/p1", json!({})).await;
    let request = Request::get("/api/v1/changes?after=0&collections=posts")
        .header("authorization", &bearer)
        .header("accept", "text/event-stream");
    let mut events = crate::live::Events::open(&server, request).await;
    let (_, first) = events.next().await.unwrap();
    assert_eq!(first["changes"][0]["path"], "posts/p1");
    let revoked = admin(&server, "DELETE", "keys/worker", &Json::Null).await;
    assert_eq!(revoked.status, 200);
    put(&server, "posts/p2", json!({})).await;
    loop {
        let (_, frame) = events.next().await.unwrap();
        if frame["error"]["code"] == "unauthenticated" {
            return;
        }
        assert_eq!(frame["changes"], json!([]), "{frame}");
    }
}
