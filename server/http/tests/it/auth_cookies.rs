//! Sessions of browsers in cookies; the attacks on what browsers send by themselves. `auth_cookies_browser` has them in a real
//! browser.

use andiron_http::HttpOptions;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Error as SocketError;

use crate::auth_client::{PASSWORD, Person, admin, claims};
use crate::client::{Answer, Request};
use crate::live::Socket;
use crate::reference::assert_described;
use crate::server::Server;

const APP: &str = "https://app.example.org";

async fn started() -> Server {
    Server::with(HttpOptions {
        session_cookies: true,
        cors_origins: vec![APP.parse().unwrap()],
        ..HttpOptions::default()
    })
    .await
}

/// What a browser keeps of a sign-in.
#[derive(Clone, Debug)]
struct Jar {
    access: String,
    refresh: String,
    csrf: String,
}

/// The value of a cookie that an answer sets, and what stands behind it.
fn set_cookie(answer: &Answer, name: &str) -> (String, String) {
    let prefix = format!("{name}=");
    let mut cookies = answer.headers.get_all("set-cookie").iter();
    let cookie = cookies.find_map(|cookie| cookie.to_str().unwrap().strip_prefix(&prefix));
    let cookie = cookie.unwrap_or_else(|| panic!("no cookie `{name}`: {:?}", answer.headers));
    let (value, attributes) = cookie.split_once("; ").unwrap();
    (value.to_owned(), attributes.to_owned())
}

impl Jar {
    fn of(answer: &Answer) -> Self {
        assert!(answer.status.is_success(), "{}", answer.text());
        assert_described("SignedInByCookies", &answer.json());
        for name in ["access", "refresh", "csrf"] {
            let (_, attributes) = set_cookie(answer, &format!("__Host-andiron-{name}"));
            let hidden = attributes.contains("; HttpOnly;");
            assert_eq!(hidden, name != "csrf", "{attributes}");
            assert!(
                attributes.starts_with("Path=/; Max-Age=") && attributes.ends_with("; SameSite=Strict"),
                "{attributes}"
            );
            assert!(
                attributes.contains("; Secure;") && !attributes.contains("Domain"),
                "{attributes}"
            );
        }
        let jar = Self {
            access: set_cookie(answer, "__Host-andiron-access").0,
            refresh: set_cookie(answer, "__Host-andiron-refresh").0,
            csrf: set_cookie(answer, "__Host-andiron-csrf").0,
        };
        assert_eq!(answer.json()["session"]["csrfToken"], jar.csrf);
        assert!(!answer.text().contains(&jar.access) && !answer.text().contains(&jar.refresh));
        jar
    }

    async fn sign_in(server: &Server, email: &str) -> Self {
        let body = json!({"email": email, "password": PASSWORD});
        Self::of(&server.send_as_it_is(asking("sign-in").json(&body)).await)
    }

    fn header(&self) -> String {
        let Self {
            access,
            refresh,
            csrf,
        } = self;
        format!(
            "theme=dark; __Host-andiron-access={access}; __Host-andiron-refresh={refresh}; __Host-andiron-csrf={csrf}"
        )
    }

    /// What a browser sends by itself, whatever page asks.
    fn with(&self, request: Request) -> Request {
        request.header("cookie", &self.header())
    }

    /// What a page of the app sends.
    fn by(&self, request: Request) -> Request {
        self.with(request)
            .header("origin", APP)
            .header("x-csrf-token", &self.csrf)
    }
}

/// What a page of somebody else makes of a request, with what its maker knows of Ada and Eve.
type Forgery = fn(Request, &Jar, &Jar) -> Request;

/// A call of `/api/v1/auth/…` that asks for cookies.
fn asking(path: &str) -> Request {
    Request::new("POST", &format!("/api/v1/auth/{path}"))
        .header("origin", APP)
        .header("x-andiron-session", "cookie")
}

async fn me(server: &Server, jar: &Jar) -> Answer {
    server
        .send_as_it_is(jar.with(Request::get("/api/v1/auth/me")))
        .await
}

#[tokio::test]
async fn a_session_in_cookies_begins_goes_on_and_ends() {
    let server = started().await;
    let ada = Person::sign_up(&server, "ada@example.org").await;
    let jar = Jar::sign_in(&server, "ada@example.org").await;
    assert_eq!(me(&server, &jar).await.json()["account"]["uid"], ada.uid);
    assert_eq!(claims(&jar.access)["sub"], ada.uid);
    let change = Request::new("PATCH", "/api/v1/auth/me").json(&json!({"name": "Ada"}));
    assert_eq!(server.send_as_it_is(jar.by(change)).await.status, 200);

    server.clock.advance(16 * 60);
    assert_eq!(
        me(&server, &jar).await.status,
        401,
        "the access token has expired"
    );
    let refreshing = || jar.with(asking("refresh").json(&json!({})));
    let refreshed = Jar::of(&server.send_as_it_is(refreshing()).await);
    assert_eq!(refreshed.csrf, jar.csrf, "other pages of the session know it");
    assert_ne!(refreshed.refresh, jar.refresh);
    assert_eq!(me(&server, &refreshed).await.status, 200);
    assert_eq!(
        server.send_as_it_is(refreshing()).await.code(),
        "aborted",
        "sent twice"
    );

    let sign_out = Request::new("POST", "/api/v1/auth/sign-out").json(&json!({}));
    let ended = server.send_as_it_is(refreshed.by(sign_out.clone())).await;
    assert_eq!(ended.status, 204);
    for name in ["access", "refresh", "csrf"] {
        let (value, attributes) = set_cookie(&ended, &format!("__Host-andiron-{name}"));
        assert!(
            value.is_empty() && attributes.contains("Max-Age=0;"),
            "{attributes}"
        );
    }
    assert_eq!(me(&server, &refreshed).await.status, 401);
    let again = server.send_as_it_is(refreshed.by(sign_out)).await;
    assert_eq!(again.status, 401);
    assert_eq!(set_cookie(&again, "__Host-andiron-access").0, "");
    let late = server
        .send_as_it_is(refreshed.with(asking("refresh").json(&json!({}))))
        .await;
    assert_eq!(late.status, 401);
    assert_eq!(
        set_cookie(&late, "__Host-andiron-refresh").0,
        "",
        "it is good for nothing"
    );
}

#[tokio::test]
async fn a_request_that_no_page_of_the_app_has_made_changes_nothing() {
    let server = started().await;
    Person::sign_up(&server, "ada@example.org").await;
    Person::sign_up(&server, "eve@example.org").await;
    let ada = Jar::sign_in(&server, "ada@example.org").await;
    let eve = Jar::sign_in(&server, "eve@example.org").await;
    let forged: [(&str, Forgery); 13] = [
        ("nothing but the cookie", |request, _, _| request),
        ("no token", |request, _, _| request.header("origin", APP)),
        ("an empty token", |request, _, _| {
            request.header("origin", APP).header("x-csrf-token", "")
        }),
        ("the token of another", |request, _, eve| {
            request.header("origin", APP).header("x-csrf-token", &eve.csrf)
        }),
        ("the access token", |request, ada, _| {
            request.header("origin", APP).header("x-csrf-token", &ada.access)
        }),
        ("no origin", |request, ada, _| {
            request.header("x-csrf-token", &ada.csrf)
        }),
        ("a foreign origin", |request, ada, _| {
            request
                .header("origin", "https://evil.example")
                .header("x-csrf-token", &ada.csrf)
        }),
        ("two origins", |request, ada, _| {
            request
                .header("origin", APP)
                .header("origin", "https://evil.example")
                .header("x-csrf-token", &ada.csrf)
        }),
        ("no origin at all", |request, ada, _| {
            request.header("origin", "null").header("x-csrf-token", &ada.csrf)
        }),
        ("an origin that looks alike", |request, ada, _| {
            request
                .header("origin", "https://app.example.org.evil.example")
                .header("x-csrf-token", &ada.csrf)
        }),
        ("another scheme", |request, ada, _| {
            request
                .header("origin", "http://app.example.org")
                .header("x-csrf-token", &ada.csrf)
        }),
        ("another site", |request, ada, _| {
            request
                .header("sec-fetch-site", "cross-site")
                .header("x-csrf-token", &ada.csrf)
        }),
        ("another origin of the site", |request, ada, _| {
            request
                .header("sec-fetch-site", "same-site")
                .header("x-csrf-token", &ada.csrf)
        }),
    ];
    for (name, forge) in forged {
        for (method, target, body) in [
            ("PATCH", "/api/v1/auth/me", json!({"name": "Eve"})),
            ("DELETE", "/api/v1/auth/me", json!(null)),
            ("POST", "/api/v1/auth/sign-out", json!({"all": true})),
            ("POST", "/api/v1/auth/mfa/totp/enrol", json!({})),
            ("POST", "/api/v1/commit", json!({"writes": []})),
            ("POST", "/api/v1/query", json!({"from": "posts"})),
            ("PUT", "/api/v1/docs/posts/p1", json!({})),
        ] {
            let request = Request::new(method, target);
            let request = if body.is_null() {
                request
            } else {
                request.json(&body)
            };
            let answer = server.send_as_it_is(forge(ada.with(request), &ada, &eve)).await;
            assert_eq!(answer.code(), "permission-denied", "{name}: {method} {target}");
            assert!(
                answer.text().contains("session in cookies"),
                "{name}: {method} {target}: {}",
                answer.text()
            );
        }
        // What a form can send.
        let form = Request::new("POST", "/api/v1/auth/sign-out")
            .header("content-type", "text/plain")
            .body("{\"all\":true}");
        assert_eq!(
            server
                .send_as_it_is(forge(ada.with(form), &ada, &eve))
                .await
                .status,
            403,
            "{name}"
        );
    }
    assert_eq!(me(&server, &ada).await.json()["account"]["name"], Value::Null);
    // The refresh cookie alone gives nobody tokens, and no foreign page new cookies.
    let plain = Request::new("POST", "/api/v1/auth/refresh").json(&json!({}));
    assert_eq!(
        server.send_as_it_is(ada.with(plain)).await.code(),
        "invalid-argument"
    );
    let foreign = Request::new("POST", "/api/v1/auth/refresh")
        .header("x-andiron-session", "cookie")
        .header("origin", "https://evil.example")
        .json(&json!({}));
    assert_eq!(
        server.send_as_it_is(ada.with(foreign)).await.code(),
        "permission-denied"
    );
    // A page of the server itself, in a browser that says so either way.
    let host = server.address.to_string();
    for (name, value) in [
        ("origin", format!("http://{host}")),
        ("sec-fetch-site", "same-origin".to_owned()),
    ] {
        let own = Request::new("PATCH", "/api/v1/auth/me")
            .json(&json!({"name": "Ada"}))
            .header(name, &value)
            .header("x-csrf-token", &ada.csrf);
        assert_eq!(server.send_as_it_is(ada.with(own)).await.status, 200, "{name}");
    }
}

#[tokio::test]
async fn a_session_that_somebody_planted_makes_way_at_sign_in() {
    let server = started().await;
    let ada = Person::sign_up(&server, "ada@example.org").await;
    Person::sign_up(&server, "eve@example.org").await;
    let planted = Jar::sign_in(&server, "eve@example.org").await;
    let body = json!({"email": "ada@example.org", "password": PASSWORD});
    let signed_in = server
        .send_as_it_is(
            planted
                .with(asking("sign-in").json(&body))
                .header("x-csrf-token", &planted.csrf),
        )
        .await;
    let jar = Jar::of(&signed_in);
    assert_ne!(claims(&jar.access)["sid"], claims(&planted.access)["sid"]);
    assert_ne!(jar.csrf, planted.csrf);
    assert_eq!(me(&server, &jar).await.json()["account"]["uid"], ada.uid);
    // Two cookies of a name: nobody knows whose is whose.
    let both = format!("{}; {}", planted.header(), jar.header());
    let both = Request::get("/api/v1/auth/me").header("cookie", &both);
    assert_eq!(server.send_as_it_is(both).await.code(), "unauthenticated");
}

#[tokio::test]
async fn a_cookie_that_is_not_in_force_keeps_nobody_from_signing_in() {
    let server = started().await;
    let ada = Person::sign_up(&server, "ada@example.org").await;
    let jar = Jar::sign_in(&server, "ada@example.org").await;
    admin(
        &server,
        "POST",
        &format!("accounts/{}/sign-out", ada.uid),
        &json!({}),
    )
    .await;
    assert_eq!(me(&server, &jar).await.status, 401, "at the next request");
    let documents = jar.with(Request::get("/api/v1/docs/posts/p1"));
    assert_eq!(server.send_as_it_is(documents).await.code(), "unauthenticated");
    let body = json!({"email": "ada@example.org", "password": PASSWORD});
    Jar::of(
        &server
            .send_as_it_is(jar.with(asking("sign-in").json(&body)))
            .await,
    );
    // A header goes before the cookie, and takes no token.
    let request = ada.by(Request::get("/api/v1/auth/me"));
    assert_eq!(server.send_as_it_is(jar.with(request)).await.status, 401);
    let key = jar.with(Request::new("PUT", "/api/v1/docs/posts/p1").json(&json!({})));
    assert_eq!(server.send(key).await.status, 201);
}

#[tokio::test]
async fn cookies_are_off_unless_the_settings_have_them() {
    let server = Server::start().await;
    Person::sign_up(&server, "ada@example.org").await;
    let body = json!({"email": "ada@example.org", "password": PASSWORD});
    let refused = server.send_as_it_is(asking("sign-in").json(&body)).await;
    assert_eq!(refused.code(), "invalid-argument");
    let ada = Person::sign_in(&server, "ada@example.org", PASSWORD).await;
    let jar = Jar {
        access: ada.access.clone(),
        refresh: ada.refresh.clone(),
        csrf: String::new(),
    };
    assert_eq!(me(&server, &jar).await.status, 401, "nobody's");
    let out = ada.post(&server, "sign-out", &json!({})).await;
    assert!(out.headers.get("set-cookie").is_none());
    let server = started().await;
    Person::sign_up(&server, "ada@example.org").await;
    let tokens = Person::sign_in(&server, "ada@example.org", PASSWORD).await;
    assert!(
        !tokens.access.is_empty(),
        "who does not ask for cookies gets tokens"
    );
    let odd = Request::new("POST", "/api/v1/auth/sign-in")
        .header("x-andiron-session", "token")
        .json(&body);
    assert_eq!(server.send_as_it_is(odd).await.code(), "invalid-argument");
}

#[tokio::test]
async fn only_pages_of_configured_origins_may_send_cookies_from_elsewhere() {
    let server = started().await;
    let ask = |origin: &str| Request::get("/healthz").header("origin", origin);
    let allowed = server.send_as_it_is(ask(APP)).await;
    assert_eq!(allowed.header("access-control-allow-origin"), APP);
    assert_eq!(allowed.header("access-control-allow-credentials"), "true");
    for origin in [
        "https://evil.example",
        "null",
        "https://app.example.org.evil.example",
    ] {
        let foreign = server.send_as_it_is(ask(origin)).await;
        for name in ["access-control-allow-origin", "access-control-allow-credentials"] {
            assert!(foreign.headers.get(name).is_none(), "{origin}");
        }
    }
    let preflight = Request::new("OPTIONS", "/api/v1/auth/sign-in")
        .header("origin", APP)
        .header("access-control-request-method", "POST");
    let preflight = server.send_as_it_is(preflight).await;
    let headers = preflight.header("access-control-allow-headers");
    assert!(
        headers.contains("X-CSRF-Token") && headers.contains("X-Andiron-Session"),
        "{headers}"
    );
}

#[tokio::test]
async fn a_socket_by_cookie_is_for_pages_of_the_app_and_ends_with_the_session() {
    let server = started().await;
    let ada = Person::sign_up(&server, "ada@example.org").await;
    let jar = Jar::sign_in(&server, "ada@example.org").await;
    let cookie = jar.header();
    let open = async |origin: Option<&str>| {
        let mut headers = vec![
            ("sec-websocket-protocol", "andiron.v1"),
            ("cookie", cookie.as_str()),
        ];
        headers.extend(origin.map(|origin| ("origin", origin)));
        Socket::try_open(&server, &headers).await
    };
    for origin in [
        None,
        Some("https://evil.example"),
        Some("null"),
        Some("https://app.example.org.evil.example"),
        Some("http://app.example.org"),
    ] {
        match open(origin).await {
            Err(SocketError::Http(answer)) => assert_eq!(answer.status(), 403, "{origin:?}"),
            Err(error) => panic!("{origin:?}: {error}"),
            Ok(_) => panic!("{origin:?}: the socket is open"),
        }
    }
    let mut socket = open(Some(APP)).await.unwrap();
    let path = "posts/p1";
    let put = Request::new("PUT", &format!("/api/v1/docs/{path}")).json(&json!({}));
    assert_eq!(server.send(put).await.status, 201);
    socket.send(json!({"op": "listen", "id": 1, "doc": path})).await;
    let denied = socket.next().await;
    assert_eq!(
        denied["error"]["code"], "permission-denied",
        "it is Ada's: {denied}"
    );
    admin(
        &server,
        "POST",
        &format!("accounts/{}/sign-out", ada.uid),
        &json!({}),
    )
    .await;
    socket.send(json!({"op": "listen", "id": 2, "doc": path})).await;
    let ended = socket.next().await;
    assert_eq!(ended["error"]["code"], "unauthenticated", "{ended}");
}
