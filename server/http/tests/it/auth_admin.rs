//! What administrators do with accounts, and what those do that administer only in part.

use serde_json::{Value, json};

use crate::auth_client::{PASSWORD, Person, admin, events, post, refresh, sign_in};
use crate::client::Request;
use crate::reference::assert_described;
use crate::server::Server;

/// Somebody with these roles, signed in.
async fn with_roles(server: &Server, email: &str, roles: &[&str]) -> Person {
    let body = json!({"email": email, "password": PASSWORD, "roles": roles});
    let made = admin(server, "POST", "accounts", &body).await;
    assert_eq!(made.status, 201, "{}", made.text());
    Person::sign_in(server, email, PASSWORD).await
}

async fn send(server: &Server, person: &Person, method: &str, target: &str, body: &Value) -> u16 {
    let request = Request::new(method, target);
    let request = if body.is_null() {
        request
    } else {
        request.json(body)
    };
    server.send_as_it_is(person.by(request)).await.status.as_u16()
}

#[tokio::test]
async fn accounts_are_made_found_listed_changed_and_deleted() {
    let server = Server::start().await;
    let body = json!({
        "uid": "u1", "email": "Ada@example.org", "password": PASSWORD, "emailVerified": true,
        "profile": {"name": "Ada"}, "roles": ["writer"], "claims": {"plan": "pro"},
    });
    let made = admin(&server, "POST", "accounts", &body).await;
    assert_eq!(made.status, 201, "{}", made.text());
    assert_described("AccountAnswer", &made.json());
    assert_eq!(made.json()["account"]["uid"], "u1");
    assert_eq!(
        admin(&server, "POST", "accounts", &body).await.code(),
        "already-exists"
    );
    let another = json!({"uid": "u1"});
    assert_eq!(
        admin(&server, "POST", "accounts", &another).await.json()["field"],
        "uid"
    );
    for n in 2..6 {
        let body = json!({"uid": format!("u{n}")});
        assert_eq!(admin(&server, "POST", "accounts", &body).await.status, 201);
    }
    let page = admin(&server, "GET", "accounts?limit=2&after=u2", &Value::Null)
        .await
        .json();
    assert_described("Accounts", &page);
    let uids: Vec<_> = page["accounts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|account| account["uid"].clone())
        .collect();
    assert_eq!(uids, ["u3", "u4"]);
    let found = admin(&server, "GET", "accounts?email=ADA@example.org", &Value::Null)
        .await
        .json();
    assert_eq!(found["accounts"][0]["uid"], "u1");
    let change = json!({"email": "lovelace@example.org", "profile": {"name": null}});
    let changed = admin(&server, "PATCH", "accounts/u1", &change).await.json();
    assert_eq!(changed["account"]["email"], "lovelace@example.org");
    assert_eq!(
        changed["account"]["emailVerified"], false,
        "another address is not verified"
    );
    assert_eq!(changed["account"]["name"], Value::Null);
    assert_eq!(sign_in(&server, "ada@example.org", PASSWORD).await.status, 401);
    let ada = Person::sign_in(&server, "lovelace@example.org", PASSWORD).await;
    assert_eq!(ada.claims()["plan"], "pro");
    assert_eq!(ada.claims()["roles"], json!(["writer"]));
    let taken = json!({"email": "lovelace@example.org"});
    assert_eq!(
        admin(&server, "PATCH", "accounts/u2", &taken).await.code(),
        "already-exists"
    );
    let new_password = json!({"password": "another long password"});
    assert_eq!(
        admin(&server, "PATCH", "accounts/u1", &new_password).await.status,
        200
    );
    assert_eq!(ada.status(&server).await, 401, "a new password ends the sessions");
    assert_eq!(
        admin(&server, "DELETE", "accounts/u1", &Value::Null).await.status,
        204
    );
    assert_eq!(
        admin(&server, "GET", "accounts/u1", &Value::Null).await.code(),
        "not-found"
    );
    assert_eq!(
        admin(&server, "DELETE", "accounts/u1", &Value::Null).await.code(),
        "not-found"
    );
    assert_eq!(
        admin(&server, "GET", "accounts/..%2f_keys", &Value::Null)
            .await
            .status,
        404
    );
    assert_eq!(
        events(&server, "u1")
            .await
            .iter()
            .filter(|event| event.starts_with("account-"))
            .count(),
        4,
        "what became of it is known after its end"
    );
}

#[tokio::test]
async fn claims_are_in_the_token_at_the_next_refresh_or_at_once() {
    let server = Server::start().await;
    let ada = Person::sign_up(&server, "ada@example.org").await;
    let path = format!("accounts/{}/claims", ada.uid);
    let set = admin(
        &server,
        "PUT",
        &path,
        &json!({"claims": {"plan": "pro", "limits": {"seats": 5}}}),
    )
    .await;
    assert_described("AccountAnswer", &set.json());
    assert_eq!(ada.status(&server).await, 200);
    let next = Person::of(&refresh(&server, &ada.refresh).await);
    assert_eq!(next.claims()["plan"], "pro");
    assert_eq!(next.claims()["limits"]["seats"], 5);
    let at_once = json!({"claims": {"plan": "free"}, "refreshNow": true});
    assert_eq!(admin(&server, "PUT", &path, &at_once).await.status, 200);
    assert_eq!(next.status(&server).await, 401, "the client is made to refresh");
    let next = Person::of(&refresh(&server, &next.refresh).await);
    assert_eq!(
        (next.claims()["plan"].as_str(), next.status(&server).await),
        (Some("free"), 200)
    );
    for claims in [
        json!({"sub": "x"}),
        json!({"roles": ["owner"]}),
        json!({"firebase": {}}),
        json!([]),
        json!({"x": "x".repeat(5000)}),
    ] {
        let answer = admin(&server, "PUT", &path, &json!({"claims": claims})).await;
        assert_eq!(answer.status, 400, "{claims}");
    }
}

#[tokio::test]
async fn roles_say_what_an_administrator_may() {
    let server = Server::start().await;
    let owner = with_roles(&server, "owner@example.org", &["owner"]).await;
    let editor = with_roles(&server, "editor@example.org", &["editor"]).await;
    let viewer = with_roles(&server, "viewer@example.org", &["viewer"]).await;
    let person = Person::sign_up(&server, "person@example.org").await;
    let (get, post, put, patch, delete) = ("GET", "POST", "PUT", "PATCH", "DELETE");
    let account = format!("/api/v1/admin/accounts/{}", person.uid);
    let owners = format!("/api/v1/admin/accounts/{}", owner.uid);
    let aside = with_roles(&server, "aside@example.org", &["viewer"]).await;
    let query = json!({"from": "posts"});
    // What, then who may: owner, editor, viewer, anybody else.
    let table = [
        (
            put,
            "/api/v1/docs/posts/p1",
            json!({}),
            [true, true, false, false],
        ),
        (
            get,
            "/api/v1/docs/posts/p1",
            Value::Null,
            [true, true, true, false],
        ),
        (get, "/api/v1/docs/posts", Value::Null, [true, true, true, false]),
        (post, "/api/v1/query", query, [true, true, true, false]),
        (
            post,
            "/api/v1/commit",
            json!({"writes": [{"set": "posts/p2", "data": {}}]}),
            [true, true, false, false],
        ),
        (
            get,
            "/api/v1/admin/accounts",
            Value::Null,
            [true, true, true, false],
        ),
        (get, "/api/v1/admin/audit", Value::Null, [true, true, true, false]),
        (
            get,
            "/api/v1/admin/signing-keys",
            Value::Null,
            [true, true, true, false],
        ),
        (
            patch,
            &account,
            json!({"profile": {"name": "P"}}),
            [true, true, false, false],
        ),
        (
            patch,
            &account,
            json!({"roles": ["writer"]}),
            [true, false, false, false],
        ),
        (patch, &account, json!({"roles": []}), [true, false, false, false]),
        (
            put,
            &format!("{account}/claims"),
            json!({"claims": {}}),
            [true, false, false, false],
        ),
        (
            post,
            &format!("{account}/impersonate"),
            json!({}),
            [true, false, false, false],
        ),
        (
            post,
            &format!("{owners}/impersonate"),
            json!({}),
            [false, false, false, false],
        ),
        (
            patch,
            &owners,
            json!({"password": "a password of somebody else"}),
            [true, false, false, false],
        ),
        (
            post,
            &format!("/api/v1/admin/accounts/{}/sign-out", aside.uid),
            json!({}),
            [true, false, false, false],
        ),
    ];
    for (method, target, body, may) in table {
        for (who, person, may) in [
            ("owner", &owner, may[0]),
            ("editor", &editor, may[1]),
            ("viewer", &viewer, may[2]),
            ("person", &person, may[3]),
        ] {
            if target == owners && who == "owner" && method == patch {
                // It would end the owner's own session.
                continue;
            }
            let status = send(&server, person, method, target, &body).await;
            assert_eq!(status < 300, may, "{who} {method} {target}: {status}");
            assert!(may || status == 403, "{who} {method} {target}: {status}");
        }
    }
    for (who, person, expected) in [
        ("owner", &owner, 201),
        ("editor", &editor, 403),
        ("viewer", &viewer, 403),
    ] {
        for (target, body) in [
            ("/api/v1/admin/keys", json!({"name": who})),
            ("/api/v1/admin/custom-tokens", json!({"uid": "owner"})),
            ("/api/v1/admin/accounts", json!({"roles": ["editor"]})),
        ] {
            assert_eq!(
                send(&server, person, post, target, &body).await,
                expected,
                "{who} {target}"
            );
        }
        let expected = if who == "owner" { 200 } else { 403 };
        let rotate = send(&server, person, post, "/api/v1/admin/signing-keys", &json!({})).await;
        assert_eq!(rotate, expected, "{who}");
    }
    assert_eq!(send(&server, &editor, delete, &owners, &Value::Null).await, 403);
    assert_eq!(send(&server, &viewer, delete, &account, &Value::Null).await, 403);
    assert_eq!(send(&server, &editor, delete, &account, &Value::Null).await, 204);
}

#[tokio::test]
async fn a_role_that_is_taken_away_is_gone_at_the_next_request() {
    let server = Server::start().await;
    let editor = with_roles(&server, "editor@example.org", &["editor"]).await;
    let write = async || send(&server, &editor, "PUT", "/api/v1/docs/posts/p1", &json!({})).await;
    assert_eq!(write().await, 201);
    let path = format!("accounts/{}", editor.uid);
    assert_eq!(
        admin(&server, "PATCH", &path, &json!({"roles": []})).await.status,
        200
    );
    assert_eq!(write().await, 403);
    assert_eq!(editor.status(&server).await, 200, "but it is still an account");
}

#[tokio::test]
async fn access_tokens_of_administrators_are_short() {
    let server = Server::start().await;
    let owner = with_roles(&server, "owner@example.org", &["owner"]).await;
    let claims = owner.claims();
    assert_eq!(
        claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(),
        300
    );
    let weak = json!({"email": "x@example.org", "password": "twelve chars", "roles": ["viewer"]});
    assert_eq!(
        admin(&server, "POST", "accounts", &weak).await.json()["field"],
        "password"
    );
}

#[tokio::test]
async fn acting_as_somebody_is_marked_everywhere() {
    let server = Server::start().await;
    let owner = with_roles(&server, "owner@example.org", &["owner"]).await;
    let ada = Person::sign_up(&server, "ada@example.org").await;
    let target = format!("/api/v1/admin/accounts/{}/impersonate", ada.uid);
    let answer = server
        .send_as_it_is(owner.by(Request::new("POST", &target).body("{}")))
        .await;
    let acting = Person::of(&answer);
    assert_eq!(acting.uid, ada.uid);
    assert_eq!(acting.claims()["act"]["sub"], format!("user:{}", owner.uid));
    assert_eq!(acting.status(&server).await, 200);
    let sessions = server
        .send_as_it_is(ada.by(Request::get("/api/v1/auth/sessions")))
        .await
        .json();
    let marked = sessions["sessions"]
        .as_array()
        .unwrap()
        .iter()
        .find(|session| session["id"] == acting.session.as_str());
    assert_eq!(marked.unwrap()["impersonator"], format!("user:{}", owner.uid));
    let change = json!({"current": PASSWORD, "new": "another long password"});
    let refused = acting.post(&server, "password/change", &change).await;
    assert_eq!(
        refused.code(),
        "permission-denied",
        "credentials are the account's own to change"
    );
    assert_eq!(events(&server, &ada.uid).await, ["sign-up", "impersonated"]);
    let enrol = acting.post(&server, "mfa/totp/enrol", &json!({})).await;
    assert_eq!(
        enrol.code(),
        "permission-denied",
        "an account is nobody else's to lock"
    );
    assert_eq!(
        send(&server, &acting, "DELETE", "/api/v1/auth/me", &Value::Null).await,
        403
    );
    let path = format!("accounts/{}", ada.uid);
    admin(&server, "PATCH", &path, &json!({"roles": ["owner"]})).await;
    assert_eq!(
        send(&server, &acting, "PUT", "/api/v1/docs/posts/p1", &json!({})).await,
        403,
        "nobody climbs by it"
    );
    server.clock.advance(3601);
    assert_eq!(refresh(&server, &acting.refresh).await.status, 401);
}

#[tokio::test]
async fn a_custom_token_signs_in_and_is_nothing_else() {
    let server = Server::start().await;
    let body = json!({"uid": "customer-42", "claims": {"plan": "pro"}});
    let minted = admin(&server, "POST", "custom-tokens", &body).await.json();
    assert_described("MintedToken", &minted);
    let token = minted["token"].as_str().unwrap();
    let as_access = Request::get("/api/v1/auth/me").header("authorization", &format!("Bearer {token}"));
    assert_eq!(
        server.send_as_it_is(as_access).await.status,
        401,
        "it is no access token"
    );
    let customer = Person::of(&post(&server, "custom", &json!({"token": token})).await);
    assert_eq!(customer.uid, "customer-42");
    assert_eq!(customer.claims()["plan"], "pro");
    assert_eq!(customer.claims()["firebase"]["sign_in_provider"], "custom");
    let next = Person::of(&refresh(&server, &customer.refresh).await);
    assert_eq!(next.claims()["plan"], "pro", "the claims are the session's");
    let as_custom = post(&server, "custom", &json!({"token": customer.access})).await;
    assert_eq!(as_custom.status, 401, "and an access token no custom token");
    for body in [
        json!({"uid": "a/b"}),
        json!({"uid": ""}),
        json!({"uid": "x", "claims": {"sub": "y"}}),
        json!({"uid": "x".repeat(129)}),
    ] {
        assert_eq!(
            admin(&server, "POST", "custom-tokens", &body).await.status,
            400,
            "{body}"
        );
    }
    server.clock.advance(3601);
    let late = post(&server, "custom", &json!({"token": token})).await;
    assert_eq!(late.status, 401);
    assert!(
        late.text().contains("the custom token is not in force"),
        "{}",
        late.text()
    );
}

#[tokio::test]
async fn the_audit_log_is_read_in_pages_and_changed_by_nobody() {
    let server = Server::start().await;
    let ada = Person::sign_up(&server, "ada@example.org").await;
    for _ in 0..4 {
        sign_in(&server, "ada@example.org", "wrong password").await;
    }
    let mut seen = 0;
    let mut before = String::new();
    loop {
        let path = format!("audit?limit=2&event=sign-in-refused{before}");
        let page = admin(&server, "GET", &path, &Value::Null).await.json();
        let page = page["events"].as_array().unwrap().clone();
        assert!(
            page.iter()
                .all(|event| event["uid"] == ada.uid.as_str() && event["address"] == "127.0.0.1")
        );
        seen += page.len();
        match page.last() {
            Some(last) => before = format!("&before={}", last["id"].as_str().unwrap()),
            None => break,
        }
    }
    assert_eq!(seen, 4);
    for method in ["PUT", "POST", "PATCH", "DELETE"] {
        let request = Request::new(method, "/api/v1/admin/audit").body("{}");
        assert_eq!(server.send(request).await.status, 405);
    }
    let request = Request::new("DELETE", "/api/v1/docs/_audit/x");
    assert_eq!(server.send(request).await.status, 403);
}
