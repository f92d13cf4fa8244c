//! Every preset against a provider that answers in the shapes which that provider documents.
//!
//! The provider is ours and listens here, so the URLs of a preset are moved below its own; hosts become folders.

use std::collections::BTreeMap;
use std::sync::Arc;

use andiron_engine::{Engine, EngineOptions, Surroundings};
use andiron_store::memory::MemoryStore;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use parking_lot::Mutex;
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _, UnparsedPublicKey,
};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};

use super::provider::Provider;
use super::{Identity, Preset, ProviderCode, ProviderOptions, preset_of};
use crate::outbound::Outbound;

const CALLBACK: &str = "https://api.example.org/api/v1/auth/oauth/x/callback";

/// A request that came to the provider.
#[derive(Clone, Debug, Default)]
struct Seen {
    method: String,
    path: String,
    /// Names in lower case.
    headers: BTreeMap<String, String>,
    body: String,
}

/// A provider: what it answers by path, and what came.
#[derive(Clone)]
struct Fake {
    base: String,
    answers: Arc<Mutex<BTreeMap<String, Value>>>,
    seen: Arc<Mutex<Vec<Seen>>>,
    key: Arc<EcdsaKeyPair>,
}

impl Fake {
    async fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let fake = Self {
            base: format!("http://{}", listener.local_addr().unwrap()),
            answers: Arc::default(),
            seen: Arc::default(),
            key: Arc::new(new_key().0),
        };
        let server = fake.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                // A client that breaks off has asked nothing.
                let _ = server.answer(stream).await;
            }
        });
        fake
    }

    async fn answer(&self, stream: TcpStream) -> std::io::Result<()> {
        let mut stream = BufReader::new(stream);
        let mut seen = Seen::default();
        let mut line = String::new();
        stream.read_line(&mut line).await?;
        let mut words = line.split_whitespace().map(ToOwned::to_owned);
        seen.method = words.next().unwrap_or_default();
        seen.path = words.next().unwrap_or_default();
        loop {
            let mut line = String::new();
            stream.read_line(&mut line).await?;
            let Some((name, value)) = line.trim_end().split_once(": ") else {
                break;
            };
            seen.headers.insert(name.to_ascii_lowercase(), value.to_owned());
        }
        let length = seen
            .headers
            .get("content-length")
            .map_or(0, |length| length.parse().unwrap());
        let mut body = vec![0; length];
        stream.read_exact(&mut body).await?;
        seen.body = String::from_utf8(body).unwrap();
        let answer = self.answers.lock().get(&seen.path).cloned();
        self.seen.lock().push(seen);
        let (status, text) = match answer {
            Some(answer) => ("200 OK", answer.to_string()),
            None => ("404 Not Found", "{}".to_owned()),
        };
        let length = text.len();
        let answer =
            format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{text}");
        stream.write_all(answer.as_bytes()).await
    }

    /// Where a URL of a preset leads here.
    fn moved(&self, url: &str) -> String {
        url.replace("https://", &format!("{}/", self.base))
    }

    fn on(&self, url: &str, answer: Value) {
        let path = self.moved(url).replace(&self.base, "");
        self.answers.lock().insert(path, answer);
    }

    /// A token with the claims that every one has, and these.
    fn id_token(&self, claims: &Value) -> String {
        let mut all = json!({"iat": now_seconds(), "exp": now_seconds() + 300});
        for (name, value) in claims.as_object().unwrap() {
            all[name] = value.clone();
        }
        let part = |json: &Value| URL_SAFE_NO_PAD.encode(json.to_string());
        let signed = format!("{}.{}", part(&json!({"alg": "ES256", "kid": "k"})), part(&all));
        let signature = self.key.sign(&SystemRandom::new(), signed.as_bytes()).unwrap();
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    /// Answers as an OpenID provider of this issuer, which the discovery document may name otherwise.
    fn is_openid(&self, issuer: &str, named: &str, token_url: &str, user_url: Option<&str>) {
        let point = self.key.public_key().as_ref();
        let key = json!({
            "kty": "EC", "crv": "P-256", "kid": "k",
            "x": URL_SAFE_NO_PAD.encode(&point[1..33]), "y": URL_SAFE_NO_PAD.encode(&point[33..]),
        });
        let mut document = json!({
            "issuer": self.moved(named),
            "authorization_endpoint": self.moved(&format!("{issuer}/authorize")),
            "token_endpoint": self.moved(token_url),
            "jwks_uri": self.moved(&format!("{issuer}/keys")),
        });
        if let Some(url) = user_url {
            document["userinfo_endpoint"] = json!(self.moved(url));
        }
        self.on(&format!("{issuer}/.well-known/openid-configuration"), document);
        self.on(&format!("{issuer}/keys"), json!({"keys": [key]}));
    }

    fn provider(&self, id: &str, options: Value) -> (Provider, Engine) {
        let options: ProviderOptions = serde_json::from_value(options).unwrap();
        let preset = preset_of(id, &options).unwrap();
        let url = |url: Option<String>| url.map(|url| self.moved(&url));
        let preset = Preset {
            issuer: url(preset.issuer),
            issuer_form: url(preset.issuer_form),
            authorize_url: url(preset.authorize_url),
            token_url: url(preset.token_url),
            user_url: url(preset.user_url),
            emails_url: url(preset.emails_url),
            ..preset
        };
        let store = Arc::new(MemoryStore::new());
        let engine = Engine::open(store, EngineOptions::default(), Surroundings::system()).unwrap();
        let outbound = Arc::new(Outbound::new(true));
        (
            Provider::new(id, preset, &options, outbound, engine.clone()).unwrap(),
            engine,
        )
    }

    /// The last request to a URL.
    fn seen(&self, url: &str) -> Seen {
        let path = self.moved(url).replace(&self.base, "");
        let seen = self.seen.lock();
        seen.iter()
            .rev()
            .find(|seen| seen.path == path)
            .cloned()
            .unwrap_or_else(|| panic!("nobody asked {url}"))
    }
}

fn new_key() -> (EcdsaKeyPair, Vec<u8>) {
    let random = SystemRandom::new();
    let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
    let pkcs8 = pkcs8.as_ref().to_vec();
    (
        EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &pkcs8, &random).unwrap(),
        pkcs8,
    )
}

fn now_seconds() -> i64 {
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap();
    i64::try_from(now.as_secs()).unwrap()
}

fn fields(text: &str) -> BTreeMap<String, String> {
    let decode = |text: &str| {
        let mut bytes = Vec::new();
        let mut rest = text.as_bytes();
        while let [first, tail @ ..] = rest {
            let (byte, tail) = match (first, tail) {
                (b'%', [high, low, tail @ ..]) => {
                    let hex = [*high, *low];
                    (
                        u8::from_str_radix(std::str::from_utf8(&hex).unwrap(), 16).unwrap(),
                        tail,
                    )
                }
                _ => (*first, tail),
            };
            bytes.push(byte);
            rest = tail;
        }
        String::from_utf8(bytes).unwrap()
    };
    let pairs = text.split('&').filter_map(|pair| pair.split_once('='));
    pairs.map(|(name, value)| (decode(name), decode(value))).collect()
}

fn code() -> ProviderCode<'static> {
    ProviderCode {
        code: "the-code",
        redirect_uri: CALLBACK,
        verifier: "the-verifier",
        nonce: Some("the-nonce"),
    }
}

/// Where a browser is sent, checked for what every provider is asked; gives the fields.
async fn authorized(provider: &Provider) -> BTreeMap<String, String> {
    let url = provider
        .authorize_url(CALLBACK, "the-state", "the-nonce", "the-challenge")
        .await
        .unwrap();
    let fields = fields(url.split_once('?').unwrap().1);
    assert_eq!(fields["response_type"], "code");
    assert_eq!(fields["client_id"], "the-client");
    assert_eq!(fields["redirect_uri"], CALLBACK);
    assert_eq!(fields["state"], "the-state");
    fields
}

fn expected(provider: &str, subject: &str, email: Option<&str>, verified: bool) -> Identity {
    Identity {
        provider: provider.to_owned(),
        subject: subject.to_owned(),
        email: email.map(ToOwned::to_owned),
        email_verified: verified,
        name: Some("Ada".to_owned()),
        picture: Some("https://pictures.example/ada.png".to_owned()),
    }
}

fn options() -> Value {
    json!({"clientId": "the-client", "clientSecret": "the-secret"})
}

/// A row: a provider by OAuth 2.0, what it answers to a code and to who asks who somebody is, and what is made of that.
struct OauthRow {
    id: &'static str,
    scope: &'static str,
    token_url: &'static str,
    token: Value,
    users: Vec<(&'static str, Value)>,
    identity: Identity,
}

#[tokio::test]
async fn providers_by_oauth_are_asked_and_understood_as_they_document_it() {
    let token = json!({"access_token": "the-token", "token_type": "bearer", "scope": "x"});
    let named = |identity: Identity, name: Option<&str>, picture: Option<&str>| Identity {
        name: name.map(ToOwned::to_owned),
        picture: picture.map(ToOwned::to_owned),
        ..identity
    };
    let rows = [
        OauthRow {
            id: "github",
            scope: "read:user user:email",
            token_url: "https://github.com/login/oauth/access_token",
            token: token.clone(),
            users: vec![
                (
                    "https://api.github.com/user",
                    json!({"login": "ada", "id": 583_231, "node_id": "MDQ6", "name": null, "email": "public@example.org",
                           "avatar_url": "https://avatars.githubusercontent.com/u/583231?v=4"}),
                ),
                (
                    "https://api.github.com/user/emails",
                    json!([
                        {"email": "old@example.org", "primary": false, "verified": true, "visibility": null},
                        {"email": "ada@example.org", "primary": true, "verified": true, "visibility": "private"},
                    ]),
                ),
            ],
            identity: named(
                expected("github.com", "583231", Some("ada@example.org"), true),
                Some("ada"),
                Some("https://avatars.githubusercontent.com/u/583231?v=4"),
            ),
        },
        OauthRow {
            // An app that may not see addresses.
            id: "github",
            scope: "read:user user:email",
            token_url: "https://github.com/login/oauth/access_token",
            token: token.clone(),
            users: vec![(
                "https://api.github.com/user",
                json!({"login": "ada", "id": 583_231, "name": "Ada", "email": null, "avatar_url": null}),
            )],
            identity: named(expected("github.com", "583231", None, false), Some("Ada"), None),
        },
        OauthRow {
            id: "facebook",
            scope: "email public_profile",
            token_url: "https://graph.facebook.com/oauth/access_token",
            token: json!({"access_token": "the-token", "token_type": "bearer", "expires_in": 5_183_944}),
            users: vec![(
                "https://graph.facebook.com/me?fields=id,name,email,picture",
                json!({"id": "10152", "name": "Ada", "email": "ada@example.org",
                       "picture": {"data": {"height": 50, "is_silhouette": false, "url": "https://pictures.example/ada.png", "width": 50}}}),
            )],
            // It says of no address that it was verified.
            identity: expected("facebook.com", "10152", Some("ada@example.org"), false),
        },
        OauthRow {
            id: "discord",
            scope: "identify email",
            token_url: "https://discord.com/api/oauth2/token",
            token: json!({"access_token": "the-token", "token_type": "Bearer", "expires_in": 604_800, "refresh_token": "r", "scope": "identify email"}),
            users: vec![(
                "https://discord.com/api/users/@me",
                json!({"id": "80351110224678912", "username": "ada", "discriminator": "0", "global_name": "Ada",
                       "avatar": "8342729096ea3675442027381ff50dfe", "verified": true, "email": "ada@example.org", "flags": 64}),
            )],
            identity: named(
                expected("discord.com", "80351110224678912", Some("ada@example.org"), true),
                Some("Ada"),
                Some(
                    "https://cdn.discordapp.com/avatars/80351110224678912/8342729096ea3675442027381ff50dfe.png",
                ),
            ),
        },
        OauthRow {
            // Without a name or picture, the address not confirmed.
            id: "discord",
            scope: "identify email",
            token_url: "https://discord.com/api/oauth2/token",
            token: token.clone(),
            users: vec![(
                "https://discord.com/api/users/@me",
                json!({"id": "80", "username": "ada", "global_name": null, "avatar": null, "verified": false, "email": "victim@example.org"}),
            )],
            identity: named(
                expected("discord.com", "80", Some("victim@example.org"), false),
                Some("ada"),
                None,
            ),
        },
        OauthRow {
            id: "twitter",
            scope: "users.read tweet.read",
            token_url: "https://api.x.com/2/oauth2/token",
            token: json!({"token_type": "bearer", "expires_in": 7200, "access_token": "the-token", "scope": "users.read tweet.read"}),
            users: vec![(
                "https://api.x.com/2/users/me?user.fields=profile_image_url",
                json!({"data": {"id": "2244994945", "name": "Ada", "username": "ada", "profile_image_url": "https://pictures.example/ada.png"}}),
            )],
            identity: expected("twitter.com", "2244994945", None, false),
        },
        OauthRow {
            id: "spotify",
            scope: "user-read-email",
            token_url: "https://accounts.spotify.com/api/token",
            token: json!({"access_token": "the-token", "token_type": "Bearer", "scope": "user-read-email", "expires_in": 3600, "refresh_token": "r"}),
            users: vec![(
                "https://api.spotify.com/v1/me",
                json!({"display_name": "Ada", "email": "ada@example.org", "id": "wizzler", "type": "user", "uri": "spotify:user:wizzler",
                       "images": [{"url": "https://pictures.example/ada.png", "height": 300, "width": 300}]}),
            )],
            // Its documentation says that the address is not verified.
            identity: expected("spotify.com", "wizzler", Some("ada@example.org"), false),
        },
        OauthRow {
            id: "notion",
            scope: "",
            token_url: "https://api.notion.com/v1/oauth/token",
            token: json!({
                "access_token": "the-token", "token_type": "bearer", "bot_id": "b3414d65", "workspace_id": "w", "duplicated_template_id": null,
                "owner": {"type": "user", "user": {
                    "object": "user", "id": "d40e767c", "type": "person", "name": "Ada",
                    "avatar_url": "https://pictures.example/ada.png", "person": {"email": "ada@example.org"},
                }},
            }),
            users: Vec::new(),
            identity: expected("notion.so", "d40e767c", Some("ada@example.org"), false),
        },
    ];
    for row in rows {
        let fake = Fake::start().await;
        fake.on(row.token_url, row.token);
        for (url, user) in row.users {
            fake.on(url, user);
        }
        let (provider, engine) = fake.provider(row.id, options());
        let asked = authorized(&provider).await;
        assert_eq!(asked.get("scope").map_or("", |scope| scope), row.scope);
        assert_eq!(asked.get("nonce"), None, "{}: it gives none back", row.id);
        let identity = provider.exchange(&code()).await.unwrap();
        assert_eq!(identity, row.identity, "{}", row.id);
        let seen = fake.seen(row.token_url);
        assert_eq!(seen.method, "POST");
        assert_eq!(seen.headers["accept"], "application/json");
        let sent = if row.id == "notion" {
            assert_eq!(asked["owner"], "user");
            assert_eq!(seen.headers["content-type"], "application/json");
            assert_eq!(seen.headers["notion-version"], "2022-06-28");
            serde_json::from_str(&seen.body).unwrap()
        } else {
            assert_eq!(asked["code_challenge"], "the-challenge", "{}", row.id);
            assert_eq!(asked["code_challenge_method"], "S256");
            assert_eq!(seen.headers["content-type"], "application/x-www-form-urlencoded");
            let sent = fields(&seen.body);
            assert_eq!(sent["code_verifier"], "the-verifier");
            sent
        };
        assert_eq!(sent["grant_type"], "authorization_code");
        assert_eq!((&*sent["code"], &*sent["redirect_uri"]), ("the-code", CALLBACK));
        if ["twitter", "spotify", "notion"].contains(&row.id) {
            let basic = format!("Basic {}", STANDARD.encode("the-client:the-secret"));
            assert_eq!(seen.headers["authorization"], basic);
            assert!(!sent.contains_key("client_secret"));
        } else {
            assert_eq!(
                (&*sent["client_id"], &*sent["client_secret"]),
                ("the-client", "the-secret")
            );
        }
        if let Some(user) = fake.seen.lock().iter().find(|seen| seen.method == "GET") {
            assert_eq!(user.headers["authorization"], "Bearer the-token");
            assert!(
                user.headers.contains_key("user-agent"),
                "GitHub refuses who has none"
            );
        }
        engine.close();
    }
}

#[tokio::test]
async fn a_workspace_of_notion_and_errors_of_providers_are_nobody() {
    for (id, url, answer) in [
        (
            "notion",
            "https://api.notion.com/v1/oauth/token",
            json!({"access_token": "t", "bot_id": "b", "owner": {"workspace": true}}),
        ),
        // Both say so with a status of 200.
        (
            "github",
            "https://github.com/login/oauth/access_token",
            json!({"error": "bad_verification_code"}),
        ),
        (
            "facebook",
            "https://graph.facebook.com/oauth/access_token",
            json!({"error": {"code": 100}}),
        ),
    ] {
        let fake = Fake::start().await;
        fake.on(url, answer);
        let (provider, engine) = fake.provider(id, options());
        assert!(provider.exchange(&code()).await.is_err(), "{id}");
        engine.close();
    }
}

/// A row: an OpenID provider, the claims of its ID tokens as it documents them, and what is made of them.
struct OpenIdRow {
    id: &'static str,
    /// What the discovery document calls itself, below the place where it is.
    issuer: &'static str,
    named: &'static str,
    token_url: &'static str,
    claims: Value,
    user: Option<(&'static str, Value)>,
    identity: Identity,
}

const TENANT: &str = "72f988bf-86f1-41af-91ab-2d7cd011db47";
const TENANT_ISSUER: &str = "https://login.microsoftonline.com/72f988bf-86f1-41af-91ab-2d7cd011db47/v2.0";

fn openid_rows() -> Vec<OpenIdRow> {
    vec![
        OpenIdRow {
            id: "google",
            issuer: "https://accounts.google.com",
            named: "https://accounts.google.com",
            token_url: "https://oauth2.googleapis.com/token",
            claims: json!({"azp": "the-client", "sub": "110169484474386276334", "email": "ada@example.org", "email_verified": true,
                "at_hash": "x", "name": "Ada", "picture": "https://pictures.example/ada.png", "given_name": "Ada", "hd": "example.org"}),
            user: None,
            identity: expected(
                "google.com",
                "110169484474386276334",
                Some("ada@example.org"),
                true,
            ),
        },
        OpenIdRow {
            id: "apple",
            issuer: "https://appleid.apple.com",
            named: "https://appleid.apple.com",
            token_url: "https://appleid.apple.com/auth/token",
            claims: json!({"sub": "000792.d710.0638", "at_hash": "x", "email": "ada@example.org", "email_verified": "true",
                "is_private_email": "false", "auth_time": 1, "nonce_supported": true}),
            user: None,
            identity: Identity {
                name: None,
                picture: None,
                ..expected("apple.com", "000792.d710.0638", Some("ada@example.org"), true)
            },
        },
        OpenIdRow {
            // Its ID tokens have the address; the name is told to who asks.
            id: "gitlab",
            issuer: "https://gitlab.com",
            named: "https://gitlab.com",
            token_url: "https://gitlab.com/oauth/token",
            claims: json!({"sub": "5711", "sub_legacy": "x", "auth_time": 1, "email": "ada@example.org", "email_verified": true,
                "groups_direct": ["a"]}),
            user: Some((
                "https://gitlab.com/oauth/userinfo",
                json!({"sub": "5711", "name": "Ada", "nickname": "ada", "picture": "https://pictures.example/ada.png"}),
            )),
            identity: expected("gitlab.com", "5711", Some("ada@example.org"), true),
        },
        OpenIdRow {
            // What is said of somebody else is not taken.
            id: "gitlab",
            issuer: "https://gitlab.com",
            named: "https://gitlab.com",
            token_url: "https://gitlab.com/oauth/token",
            claims: json!({"sub": "5711"}),
            user: Some((
                "https://gitlab.com/oauth/userinfo",
                json!({"sub": "1", "name": "Eve", "email": "victim@example.org", "email_verified": true}),
            )),
            identity: Identity {
                name: None,
                picture: None,
                ..expected("gitlab.com", "5711", None, false)
            },
        },
        OpenIdRow {
            id: "slack",
            issuer: "https://slack.com",
            named: "https://slack.com",
            token_url: "https://slack.com/api/openid.connect.token",
            claims: json!({"sub": "U0R7MFMJM", "https://slack.com/team_id": "T0RR", "https://slack.com/user_id": "U0R7MFMJM",
                "email": "ada@example.org", "email_verified": true, "date_email_verified": 1_622_128_723, "locale": "en-US", "name": "Ada",
                "https://slack.com/user_image_512": "https://pictures.example/ada.png"}),
            user: None,
            // An id of Slack's is somebody within one team.
            identity: expected("slack.com", "T0RR/U0R7MFMJM", Some("ada@example.org"), true),
        },
        OpenIdRow {
            id: "twitch",
            issuer: "https://id.twitch.tv/oauth2",
            named: "https://id.twitch.tv/oauth2",
            token_url: "https://id.twitch.tv/oauth2/token",
            claims: json!({"azp": "the-client", "sub": "713936733", "email": "ada@example.org", "email_verified": true,
                "preferred_username": "Ada", "picture": "https://pictures.example/ada.png"}),
            user: None,
            identity: expected("twitch.tv", "713936733", Some("ada@example.org"), true),
        },
        OpenIdRow {
            id: "linkedin",
            issuer: "https://www.linkedin.com/oauth",
            named: "https://www.linkedin.com/oauth",
            token_url: "https://www.linkedin.com/oauth/v2/accessToken",
            claims: json!({"sub": "782bbtaQ", "name": "Ada", "given_name": "Ada", "picture": "https://pictures.example/ada.png",
                "locale": "en_US", "email": "ada@example.org", "email_verified": "true"}),
            user: None,
            identity: expected("linkedin.com", "782bbtaQ", Some("ada@example.org"), true),
        },
        OpenIdRow {
            // A tenant by its domain: the document names it by its id. Whatever it says of addresses, its people can change.
            id: "microsoft",
            issuer: "https://login.microsoftonline.com/example.org/v2.0",
            named: TENANT_ISSUER,
            token_url: "https://login.microsoftonline.com/example.org/oauth2/v2.0/token",
            claims: json!({"sub": "AAAAAAAA", "tid": TENANT, "oid": "o", "ver": "2.0", "name": "Ada", "preferred_username": "ada@example.org",
                "email": "victim@example.org", "email_verified": true, "xms_edov": true}),
            user: None,
            identity: Identity {
                picture: None,
                ..expected(
                    "microsoft.com",
                    &format!("{TENANT}/AAAAAAAA"),
                    Some("victim@example.org"),
                    false,
                )
            },
        },
    ]
}

/// Options of a row; for Apple with a key of which it gets signed statements.
fn openid_options(id: &str, apple_key: &[u8]) -> Value {
    match id {
        "microsoft" => {
            json!({"clientId": "the-client", "clientSecret": "the-secret", "tenant": "example.org"})
        }
        "apple" => {
            let base64 = STANDARD.encode(apple_key);
            let (first, rest) = base64.split_at(64);
            let pem = format!("-----BEGIN PRIVATE KEY-----\n{first}\n{rest}\n-----END PRIVATE KEY-----\n");
            json!({"clientId": "the-client", "teamId": "TEAM", "keyId": "KEY", "privateKey": pem})
        }
        _ => options(),
    }
}

#[tokio::test]
async fn openid_providers_are_asked_and_understood_as_they_document_it() {
    for row in openid_rows() {
        let fake = Fake::start().await;
        let user_url = row.user.as_ref().map(|(url, _)| *url);
        fake.is_openid(row.issuer, row.named, row.token_url, user_url);
        if let Some((url, user)) = &row.user {
            fake.on(url, user.clone());
        }
        let (apple_key, pkcs8) = new_key();
        let (provider, engine) = fake.provider(row.id, openid_options(row.id, &pkcs8));
        let asked = authorized(&provider).await;
        assert_eq!(asked["code_challenge"], "the-challenge");
        let mut claims = row.claims.clone();
        claims["iss"] = json!(fake.moved(row.named));
        claims["aud"] = json!("the-client");
        // What has no nonce to give back is sent none.
        match row.id {
            "linkedin" => assert_eq!(asked.get("nonce"), None),
            _ => claims["nonce"] = json!(asked["nonce"]),
        }
        match row.id {
            "apple" => assert_eq!(
                asked["response_mode"], "form_post",
                "else it gives neither name nor address"
            ),
            "twitch" => {
                let claims: Value = serde_json::from_str(&asked["claims"]).unwrap();
                assert!(
                    claims["id_token"]
                        .as_object()
                        .unwrap()
                        .contains_key("email_verified")
                );
            }
            _ => {}
        }
        assert_eq!(provider.posts_back(), row.id == "apple");
        let answer = json!({"access_token": "the-token", "token_type": "Bearer", "ok": true, "id_token": fake.id_token(&claims)});
        fake.on(row.token_url, answer);
        let identity = provider.exchange(&code()).await.unwrap();
        assert_eq!(identity, row.identity, "{}", row.id);
        let sent = fields(&fake.seen(row.token_url).body);
        assert_eq!(
            (&*sent["client_id"], &*sent["code_verifier"]),
            ("the-client", "the-verifier")
        );
        if row.id == "apple" {
            check_statement(
                &sent["client_secret"],
                &apple_key,
                &fake.moved("https://appleid.apple.com"),
            );
        } else {
            assert_eq!(sent["client_secret"], "the-secret");
        }
        // As an app on a device has it, which asks without a nonce; and for another.
        claims.as_object_mut().unwrap().remove("nonce");
        let by_token = provider
            .verify_id_token(&fake.id_token(&claims), None)
            .await
            .unwrap();
        assert_eq!(by_token.subject, row.identity.subject);
        claims["aud"] = json!("another-client");
        assert!(
            provider
                .verify_id_token(&fake.id_token(&claims), None)
                .await
                .is_err()
        );
        engine.close();
    }
}

/// What Apple takes in the place of a secret.
fn check_statement(statement: &str, key: &EcdsaKeyPair, audience: &str) {
    let (signed, signature) = statement.rsplit_once('.').unwrap();
    let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).unwrap();
    UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, key.public_key())
        .verify(signed.as_bytes(), &decode(signature))
        .unwrap();
    let (header, claims) = signed.split_once('.').unwrap();
    let [header, claims]: [Value; 2] =
        [header, claims].map(|part| serde_json::from_slice(&decode(part)).unwrap());
    assert_eq!(header, json!({"alg": "ES256", "kid": "KEY"}));
    assert_eq!(
        (&claims["iss"], &claims["sub"], &claims["aud"]),
        (&json!("TEAM"), &json!("the-client"), &json!(audience))
    );
    let (iat, exp) = (claims["iat"].as_i64().unwrap(), claims["exp"].as_i64().unwrap());
    assert!(iat <= now_seconds() && (1..=600).contains(&(exp - iat)));
}

#[tokio::test]
async fn other_names_of_an_issuer_and_other_clients_of_an_app_are_taken_where_they_are_known() {
    let fake = Fake::start().await;
    fake.is_openid(
        "https://accounts.google.com",
        "https://accounts.google.com",
        "https://x/token",
        None,
    );
    let mut with_device = options();
    with_device["audiences"] = json!(["of-the-phone"]);
    let (provider, engine) = fake.provider("google", with_device);
    for (iss, aud, is_good) in [
        ("accounts.google.com", json!("the-client"), true),
        ("accounts.google.com", json!("of-the-phone"), true),
        ("accounts.google.com.evil.example", json!("the-client"), false),
        ("https://evil.example", json!("of-the-phone"), false),
        ("accounts.google.com", json!("of-another-app"), false),
        (
            "accounts.google.com",
            json!(["of-the-phone", "of-another-app"]),
            false,
        ),
    ] {
        let token = fake.id_token(&json!({"iss": iss, "aud": aud, "sub": "1"}));
        assert_eq!(
            provider.verify_id_token(&token, None).await.is_ok(),
            is_good,
            "{iss} {aud}"
        );
    }
    engine.close();
}

/// Microsoft's keys sign for every tenant: which one a token is of has to be said by its issuer and by itself alike.
#[tokio::test]
async fn a_token_of_any_tenant_is_of_the_tenant_that_it_names() {
    let fake = Fake::start().await;
    let common = "https://login.microsoftonline.com/common/v2.0";
    let form = "https://login.microsoftonline.com/{tenantid}/v2.0";
    fake.is_openid(common, form, "https://x/token", None);
    let options = json!({"clientId": "the-client", "clientSecret": "s", "tenant": "common"});
    let (provider, engine) = fake.provider("microsoft", options);
    let other = "9188040d-6c67-4c5b-b112-36a304b66dad";
    for (issuer, tid, is_good) in [
        (TENANT_ISSUER, json!(TENANT), true),
        (TENANT_ISSUER, json!(other), false),
        (TENANT_ISSUER, Value::Null, false),
        (form, json!("{tenantid}"), false),
        ("https://login.microsoftonline.com//v2.0", json!(""), false),
        ("https://login.microsoftonline.com/a/b/v2.0", json!("a/b"), false),
        ("https://evil.example/v2.0", json!(TENANT), false),
    ] {
        let issuer = fake.moved(issuer);
        let token = fake.id_token(&json!({"iss": issuer, "aud": "the-client", "sub": "1", "tid": tid}));
        let identity = provider.verify_id_token(&token, None).await;
        assert_eq!(identity.is_ok(), is_good, "{issuer} {tid}");
        if let Ok(identity) = identity {
            assert_eq!(identity.subject, format!("{TENANT}/1"));
        }
    }
    engine.close();
    // A server for one tenant takes no document of another's, nor one that stands for all.
    for named in [
        "https://evil.example/v2.0",
        "https://login.microsoftonline.com/other/v2.0",
    ] {
        let fake = Fake::start().await;
        fake.is_openid(
            "https://login.microsoftonline.com/example.org/v2.0",
            named,
            "https://x/token",
            None,
        );
        let (provider, engine) = fake.provider("microsoft", openid_options("microsoft", &[]));
        assert!(
            provider.authorize_url(CALLBACK, "s", "n", "c").await.is_err(),
            "{named}"
        );
        engine.close();
    }
}
