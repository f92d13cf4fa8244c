//! People with accounts, for tests: they sign up, hold their tokens and ask.

use serde_json::{Value, json};

use crate::client::{Answer, Request};
use crate::reference::assert_described;
use crate::server::Server;

pub(crate) const PASSWORD: &str = "correct horse battery";

/// Somebody who has signed in.
#[derive(Clone, Debug)]
pub(crate) struct Person {
    pub(crate) uid: String,
    pub(crate) access: String,
    pub(crate) refresh: String,
    pub(crate) session: String,
}

impl Person {
    /// What the answer of a sign-in says, which must be as it is described.
    pub(crate) fn of(answer: &Answer) -> Self {
        let json = answer.json();
        assert!(answer.status.is_success(), "{json}");
        assert_described("SignedIn", &json);
        let text = |pointer: &str| {
            json.pointer(pointer)
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned()
        };
        Self {
            uid: text("/account/uid"),
            access: text("/session/accessToken"),
            refresh: text("/session/refreshToken"),
            session: text("/session/id"),
        }
    }

    pub(crate) async fn sign_up(server: &Server, email: &str) -> Self {
        let body = json!({"email": email, "password": PASSWORD});
        Self::of(&post(server, "sign-up", &body).await)
    }

    pub(crate) async fn sign_in(server: &Server, email: &str, password: &str) -> Self {
        Self::of(&sign_in(server, email, password).await)
    }

    /// The same request with this person's access token.
    pub(crate) fn by(&self, request: Request) -> Request {
        request.header("authorization", &format!("Bearer {}", self.access))
    }

    /// The status of asking for the own account.
    pub(crate) async fn status(&self, server: &Server) -> u16 {
        let request = self.by(Request::get("/api/v1/auth/me"));
        server.send_as_it_is(request).await.status.as_u16()
    }

    pub(crate) async fn post(&self, server: &Server, path: &str, body: &Value) -> Answer {
        let request = Request::new("POST", &format!("/api/v1/auth/{path}")).json(body);
        server.send_as_it_is(self.by(request)).await
    }

    /// The claims of the access token, unverified.
    pub(crate) fn claims(&self) -> Value {
        claims(&self.access)
    }
}

/// The claims of a token, unverified.
pub(crate) fn claims(token: &str) -> Value {
    use base64::Engine as _;
    let payload = token.split('.').nth(1).unwrap();
    let payload = base64::engine::general_purpose::URL_SAFE_NO_PAD
        .decode(payload)
        .unwrap();
    serde_json::from_slice(&payload).unwrap()
}

/// A request of nobody in particular to `/api/v1/auth/…`.
pub(crate) async fn post(server: &Server, path: &str, body: &Value) -> Answer {
    let request = Request::new("POST", &format!("/api/v1/auth/{path}")).json(body);
    server.send_as_it_is(request).await
}

pub(crate) async fn sign_in(server: &Server, email: &str, password: &str) -> Answer {
    post(server, "sign-in", &json!({"email": email, "password": password})).await
}

pub(crate) async fn refresh(server: &Server, token: &str) -> Answer {
    post(server, "refresh", &json!({"refreshToken": token})).await
}

/// A request to `/api/v1/admin/…` with the service key.
pub(crate) async fn admin(server: &Server, method: &str, path: &str, body: &Value) -> Answer {
    let request = Request::new(method, &format!("/api/v1/admin/{path}"));
    let request = if body.is_null() {
        request
    } else {
        request.json(body)
    };
    server.send(request).await
}

/// The kinds of the security events about an account, oldest first.
pub(crate) async fn events(server: &Server, uid: &str) -> Vec<String> {
    let answer = admin(server, "GET", &format!("audit?uid={uid}"), &Value::Null)
        .await
        .json();
    assert_described("AuditEvents", &answer);
    let events = answer["events"].as_array().unwrap().iter().rev();
    events
        .map(|event| event["event"].as_str().unwrap().to_owned())
        .collect()
}
