//! Sessions: refreshing, listing, ending; the attacks on that.

use serde_json::{Value, json};

use crate::auth_client::{PASSWORD, Person, admin, events, post, refresh};
use crate::auth_sign_up::join;
use crate::client::Request;
use crate::reference::assert_described;
use crate::server::Server;

#[tokio::test]
async fn a_refresh_gives_new_tokens_of_the_same_session() {
    let server = Server::start().await;
    let ada = Person::sign_up(&server, "ada@example.org").await;
    server.clock.advance(60);
    let next = Person::of(&refresh(&server, &ada.refresh).await);
    assert_eq!((&next.uid, &next.session), (&ada.uid, &ada.session));
    assert_ne!(next.refresh, ada.refresh);
    assert_eq!(
        next.claims()["auth_time"],
        ada.claims()["auth_time"],
        "a refresh shows no credentials"
    );
    assert!(next.claims()["exp"].as_i64() > ada.claims()["exp"].as_i64());
    assert_eq!(
        ada.status(&server).await,
        200,
        "the access token of before holds to its end"
    );
    server.clock.advance(14 * 60 + 30);
    assert_eq!(ada.status(&server).await, 401);
    assert_eq!(next.status(&server).await, 200);
}

#[tokio::test]
async fn of_fifty_refreshes_at_once_one_succeeds_and_the_session_goes_on() {
    let server = Server::start().await;
    let ada = Person::sign_up(&server, "ada@example.org").await;
    let statuses = join((0..50).map(|_| refresh(&server, &ada.refresh)).collect()).await;
    assert_eq!(
        statuses.iter().filter(|status| **status == 200).count(),
        1,
        "{statuses:?}"
    );
    assert_eq!(
        statuses.iter().filter(|status| **status == 409).count(),
        49,
        "{statuses:?}"
    );
    assert_eq!(ada.status(&server).await, 200, "a double send is no theft");
}

#[tokio::test]
async fn a_refresh_token_used_again_later_ends_the_session() {
    let server = Server::start().await;
    let ada = Person::sign_up(&server, "ada@example.org").await;
    let bystander = Person::sign_in(&server, "ada@example.org", PASSWORD).await;
    let next = Person::of(&refresh(&server, &ada.refresh).await);
    server.clock.advance(11);
    let reused = refresh(&server, &ada.refresh).await;
    assert_eq!(reused.code(), "unauthenticated");
    assert_eq!(
        reused.json()["detail"],
        "the refresh token is not in force: its session has ended; sign in again"
    );
    assert_eq!(
        next.status(&server).await,
        401,
        "at the next request, not at the token's end"
    );
    assert_eq!(refresh(&server, &next.refresh).await.status, 401);
    assert_eq!(
        bystander.status(&server).await,
        200,
        "another session is another family"
    );
    assert!(
        events(&server, &ada.uid)
            .await
            .contains(&"refresh-token-reused".to_owned())
    );
}

#[tokio::test]
async fn a_token_two_refreshes_old_is_a_theft_even_within_the_grace() {
    let server = Server::start().await;
    let ada = Person::sign_up(&server, "ada@example.org").await;
    let second = Person::of(&refresh(&server, &ada.refresh).await);
    let third = Person::of(&refresh(&server, &second.refresh).await);
    assert_eq!(refresh(&server, &ada.refresh).await.status, 401);
    assert_eq!(third.status(&server).await, 401);
}

#[tokio::test]
async fn who_only_knows_the_ids_ends_no_session() {
    let server = Server::start().await;
    let ada = Person::sign_up(&server, "ada@example.org").await;
    let parts: Vec<_> = ada.refresh.split('.').collect();
    let forged = [
        format!(
            "{}.{}.{}.{}",
            parts[0], parts[1], "AAAAAAAAAAAAAAAAAAAAAA", parts[3]
        ),
        format!("{}.{}", parts[0], parts[1]),
        format!("{}x", ada.refresh),
        ada.refresh[3..].to_owned(),
        ada.access.clone(),
        String::new(),
        "ar_.._.".to_owned(),
        format!("ar_{}", "x".repeat(100_000)),
    ];
    for token in forged {
        let answer = refresh(&server, &token).await;
        assert!(
            matches!(answer.status.as_u16(), 401 | 413),
            "{token}: {}",
            answer.text()
        );
    }
    // The last but one of them has the family's secret, and so ends the session.
    let ada = Person::sign_in(&server, "ada@example.org", PASSWORD).await;
    assert_eq!(ada.status(&server).await, 200);
}

#[tokio::test]
async fn a_session_ends_when_it_rests_too_long_and_at_the_latest_after_ninety_days() {
    const DAY: i64 = 24 * 3600;
    let server = Server::start().await;
    let idle = Person::sign_up(&server, "ada@example.org").await;
    server.clock.advance(30 * DAY + 1);
    assert_eq!(refresh(&server, &idle.refresh).await.status, 401);
    let mut busy = Person::sign_in(&server, "ada@example.org", PASSWORD).await;
    for _ in 0..8 {
        server.clock.advance(11 * DAY);
        busy = Person::of(&refresh(&server, &busy.refresh).await);
    }
    server.clock.advance(2 * DAY);
    assert_eq!(refresh(&server, &busy.refresh).await.status, 401);
    server.accounts.maintain().await.unwrap();
    let listed = admin(
        &server,
        "GET",
        &format!("accounts/{}/sessions", busy.uid),
        &Value::Null,
    )
    .await;
    assert_eq!(listed.json(), json!({"sessions": []}));
}

#[tokio::test]
async fn sessions_are_listed_with_their_devices_and_ended_one_by_one_or_all() {
    let server = Server::start().await;
    let laptop = Person::sign_up(&server, "ada@example.org").await;
    let body = json!({"email": "ada@example.org", "password": PASSWORD});
    let request = Request::new("POST", "/api/v1/auth/sign-in")
        .json(&body)
        .header("user-agent", "Phone 1.0");
    let phone = Person::of(&server.send_as_it_is(request).await);
    let list = async |person: &Person| {
        let request = person.by(Request::get("/api/v1/auth/sessions"));
        let answer = server.send_as_it_is(request).await.json();
        assert_described("Sessions", &answer);
        answer["sessions"].as_array().unwrap().clone()
    };
    let sessions = list(&laptop).await;
    assert_eq!(sessions.len(), 2);
    let of_phone = sessions
        .iter()
        .find(|session| session["id"] == phone.session.as_str())
        .unwrap();
    assert_eq!(of_phone["device"], "Phone 1.0");
    assert_eq!(of_phone["address"], "127.0.0.1");
    assert_eq!(of_phone["current"], false);
    let end = async |person: &Person, id: &str| {
        let request = person.by(Request::new("DELETE", &format!("/api/v1/auth/sessions/{id}")));
        server.send_as_it_is(request).await.status.as_u16()
    };
    let eve = Person::sign_up(&server, "eve@example.org").await;
    assert_eq!(
        end(&eve, &phone.session).await,
        404,
        "a session of somebody else is none"
    );
    assert_eq!(end(&laptop, &phone.session).await, 204);
    assert_eq!(phone.status(&server).await, 401);
    assert_eq!(refresh(&server, &phone.refresh).await.status, 401);
    assert_eq!(laptop.status(&server).await, 200);
    let phone = Person::sign_in(&server, "ada@example.org", PASSWORD).await;
    assert_eq!(phone.post(&server, "sign-out", &json!({})).await.status, 204);
    assert_eq!(
        (phone.status(&server).await, laptop.status(&server).await),
        (401, 200)
    );
    let phone = Person::sign_in(&server, "ada@example.org", PASSWORD).await;
    assert_eq!(
        phone
            .post(&server, "sign-out", &json!({"all": true}))
            .await
            .status,
        204
    );
    assert_eq!(
        (phone.status(&server).await, laptop.status(&server).await),
        (401, 401)
    );
    assert_eq!(eve.status(&server).await, 200);
}

#[tokio::test]
async fn a_disabled_or_deleted_account_is_refused_at_the_next_request() {
    let server = Server::start().await;
    let ada = Person::sign_up(&server, "ada@example.org").await;
    assert_eq!(ada.status(&server).await, 200);
    let path = format!("accounts/{}", ada.uid);
    assert_eq!(
        admin(&server, "PATCH", &path, &json!({"disabled": true}))
            .await
            .status,
        200
    );
    assert_eq!(ada.status(&server).await, 401);
    assert_eq!(refresh(&server, &ada.refresh).await.status, 401);
    let body = json!({"email": "ada@example.org", "password": PASSWORD});
    assert_eq!(
        post(&server, "sign-in", &body).await.code(),
        "permission-denied",
        "the password was right"
    );
    let wrong = json!({"email": "ada@example.org", "password": "wrong password"});
    assert_eq!(
        post(&server, "sign-in", &wrong).await.code(),
        "unauthenticated",
        "and only then is it told"
    );
    assert_eq!(
        admin(&server, "PATCH", &path, &json!({"disabled": false}))
            .await
            .status,
        200
    );
    assert_eq!(ada.status(&server).await, 401, "its sessions have ended");
    let ada = Person::sign_in(&server, "ada@example.org", PASSWORD).await;
    assert_eq!(admin(&server, "DELETE", &path, &Value::Null).await.status, 204);
    assert_eq!(ada.status(&server).await, 401);
    assert_eq!(post(&server, "sign-in", &body).await.status, 401);
    assert_eq!(
        Person::sign_up(&server, "ada@example.org")
            .await
            .status(&server)
            .await,
        200
    );
}

#[tokio::test]
async fn an_account_shows_exports_changes_and_deletes_itself() {
    let server = Server::start().await;
    let ada = Person::sign_up(&server, "ada@example.org").await;
    let patch = Request::new("PATCH", "/api/v1/auth/me")
        .json(&json!({"name": "Ada", "picture": "https://example.org/a.png", "metadata": {"since": {"$time": "2026-11-22T05:40:35.123456Z"}}}));
    let changed = server.send_as_it_is(ada.by(patch)).await;
    assert_described("AccountAnswer", &changed.json());
    assert_eq!(
        changed.json()["account"]["metadata"]["since"]["$time"],
        "2026-11-22T05:40:35.123456Z"
    );
    let patch = Request::new("PATCH", "/api/v1/auth/me").json(&json!({"picture": null}));
    let changed = server.send_as_it_is(ada.by(patch)).await.json();
    assert_eq!(
        (&changed["account"]["name"], &changed["account"]["picture"]),
        (&json!("Ada"), &Value::Null)
    );
    for body in [
        json!({"roles": ["owner"]}),
        json!({"uid": "other"}),
        json!({"emailVerified": true}),
        json!({"claims": {}}),
        json!({"picture": "javascript:alert(1)"}),
        json!({"picture": "https://"}),
        json!({"picture": "https:///a.png"}),
        json!({"picture": "https://ada:secret@example.org/a.png"}),
        json!({"picture": "https://example.org/a b.png"}),
        json!({"picture": format!("https://example.org/{}", "a".repeat(2000))}),
        json!({"name": "a\nb"}),
        json!({"name": "Ada\u{202e}nimda"}),
        json!({"name": "\u{2066}Ada"}),
        json!({"name": "A\u{200b}da"}),
        json!({"name": "a".repeat(201)}),
        json!({"metadata": []}),
        json!({"metadata": {"x": "x".repeat(20_000)}}),
    ] {
        let request = Request::new("PATCH", "/api/v1/auth/me").json(&body);
        assert_eq!(server.send_as_it_is(ada.by(request)).await.status, 400, "{body}");
    }
    let export = server
        .send_as_it_is(ada.by(Request::get("/api/v1/auth/me/export")))
        .await;
    assert_described("Export", &export.json());
    assert_eq!(export.json()["events"][0]["event"], "sign-up");
    assert!(!export.text().contains("argon2"));
    server.clock.advance(11 * 60);
    let delete = || ada.by(Request::new("DELETE", "/api/v1/auth/me"));
    assert_eq!(
        server.send_as_it_is(delete()).await.code(),
        "permission-denied",
        "too long ago"
    );
    let ada = Person::sign_in(&server, "ada@example.org", PASSWORD).await;
    let delete = ada.by(Request::new("DELETE", "/api/v1/auth/me"));
    assert_eq!(server.send_as_it_is(delete).await.status, 204);
    assert_eq!(ada.status(&server).await, 401);
}

#[tokio::test]
async fn what_is_for_accounts_is_for_nobody_else() {
    let server = Server::start().await;
    for (method, path) in [
        ("GET", "me"),
        ("PATCH", "me"),
        ("DELETE", "me"),
        ("GET", "me/export"),
        ("GET", "sessions"),
        ("DELETE", "sessions/x"),
        ("POST", "sign-out"),
        ("POST", "password/change"),
    ] {
        let request = || {
            let request = Request::new(method, &format!("/api/v1/auth/{path}"));
            if method == "POST" || method == "PATCH" {
                request.body("{}")
            } else {
                request
            }
        };
        assert_eq!(
            server.send_as_it_is(request()).await.code(),
            "unauthenticated",
            "{method} {path}"
        );
        assert_eq!(
            server.send(request()).await.code(),
            "permission-denied",
            "{method} {path}"
        );
    }
}
