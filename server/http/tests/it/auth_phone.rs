//! Codes by text message, which a webhook of the test's own gets; the attacks on that. `auth_phone_factor` has the phone as a second
//! factor, and shown once more.

use std::sync::Arc;
use std::time::Duration;

use andiron_auth::{
    AttemptLimits, AuthOptions, DeliverText, Mailbox, PhoneNumber, Post, Rate, SecretText, SignUpPolicy,
    TextMessage, TextWebhook,
};
use andiron_engine::Engine;
use ring::hmac;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use crate::auth_client::{PASSWORD, Person, admin, events, post};
use crate::auth_sign_up::join;
use crate::client::Request;
use crate::reference::assert_described;
use crate::server::{Server, quick_accounts};

pub(crate) const SECRET: &str = "shared with the webhook";
pub(crate) const PHONE: &str = "+14155550123";
pub(crate) const OTHER: &str = "+4915112345678";

/// A server that is posted to, and tells what came.
pub(crate) struct Webhook {
    pub(crate) url: String,
    posts: mpsc::UnboundedReceiver<(String, Vec<u8>)>,
}

impl Webhook {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let url = format!("http://{}/texts", listener.local_addr().unwrap());
        let (arrived, posts) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let mut stream = BufReader::new(stream);
                let (mut length, mut signature) = (0, String::new());
                loop {
                    let mut line = String::new();
                    stream.read_line(&mut line).await.unwrap();
                    let line = line.trim_end();
                    if line.is_empty() {
                        break;
                    }
                    let (name, value) = line.split_once(": ").unwrap_or((line, ""));
                    match name.to_ascii_lowercase().as_str() {
                        "content-length" => length = value.parse().unwrap(),
                        "andiron-signature" => value.clone_into(&mut signature),
                        _ => {}
                    }
                }
                let mut body = vec![0; length];
                stream.read_exact(&mut body).await.unwrap();
                stream
                    .write_all(b"HTTP/1.1 204 No Content\r\n\r\n")
                    .await
                    .unwrap();
                arrived.send((signature, body)).unwrap();
            }
        });
        Self { url, posts }
    }

    /// The next message, which must be signed.
    async fn text(&mut self) -> Value {
        let (signature, body) = self.posts.recv().await.unwrap();
        let (time, tag) = signature.split_once(",v1=").unwrap();
        let time = time.strip_prefix("t=").unwrap();
        let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes());
        let signed = [time.as_bytes(), b".", &body].concat();
        let tag: Vec<u8> = (0..tag.len() / 2)
            .map(|at| u8::from_str_radix(&tag[2 * at..2 * at + 2], 16).unwrap())
            .collect();
        hmac::verify(&key, &signed, &tag).expect("it is signed");
        let text: Value = serde_json::from_slice(&body).unwrap();
        assert!(text["id"].is_string() && text["time"].is_string(), "{text}");
        let code = text["code"].as_str().unwrap();
        assert!(text["text"].as_str().unwrap().contains(code), "{text}");
        text
    }

    /// The code of the next message, which must be to this number.
    pub(crate) async fn code(&mut self, phone: &str, purpose: &str) -> String {
        let text = self.text().await;
        assert_eq!((&text["to"], &text["purpose"]), (&json!(phone), &json!(purpose)));
        text["code"].as_str().unwrap().to_owned()
    }
}

pub(crate) fn many_texts() -> AuthOptions {
    let many = Rate::new(10_000, Duration::from_secs(60));
    AuthOptions {
        limits: AttemptLimits {
            text_by_number: many,
            text_by_address: many,
            sign_in_by_account: many,
            ..quick_accounts().limits
        },
        ..quick_accounts()
    }
}

/// The way out for texts to a webhook of the test's own.
pub(crate) fn texts_to(url: &str, engine: &Engine) -> Arc<dyn DeliverText> {
    let secret = SecretText::new(SECRET.to_owned());
    Arc::new(TextWebhook::new(url, &secret, true, engine.clone()))
}

async fn started_with(options: AuthOptions) -> (Webhook, Server) {
    let webhook = Webhook::start().await;
    let url = webhook.url.clone();
    let server = Server::with_post(options, |engine| Post {
        texts: Some(texts_to(&url, engine)),
        ..Post::default()
    })
    .await;
    (webhook, server)
}

pub(crate) async fn started() -> (Webhook, Server) {
    started_with(many_texts()).await
}

pub(crate) fn with_code(phone: &str, code: &str) -> Value {
    json!({"phone": phone, "code": code})
}

/// Gives an account a number.
pub(crate) async fn give_phone(webhook: &mut Webhook, server: &Server, person: &Person, phone: &str) {
    let asked = person
        .post(server, "phone/change", &json!({"phone": phone}))
        .await;
    assert_eq!((asked.status.as_u16(), asked.text().as_str()), (202, "{}"));
    let code = webhook.code(phone, "confirm-phone").await;
    let confirmed = person
        .post(server, "phone/confirm", &with_code(phone, &code))
        .await;
    assert_eq!(confirmed.status, 200, "{}", confirmed.text());
    assert_described("AccountAnswer", &confirmed.json());
    assert_eq!(confirmed.json()["account"]["phone"], phone);
}

#[tokio::test]
async fn a_code_to_a_phone_signs_in_and_up_once_even_if_fifty_try() {
    let (mut webhook, server) = started().await;
    let ask = async |phone: &str| {
        let asked = post(&server, "phone/code", &json!({"phone": phone})).await;
        assert_eq!((asked.status.as_u16(), asked.text().as_str()), (202, "{}"));
    };
    ask("+1 (415) 555-0123").await;
    let body = with_code(PHONE, &webhook.code(PHONE, "sign-in").await);
    let statuses = join(
        (0..50)
            .map(|_| post(&server, "phone/code/confirm", &body))
            .collect(),
    )
    .await;
    assert_eq!(
        statuses.iter().filter(|status| **status == 200).count(),
        1,
        "{statuses:?}"
    );
    ask(PHONE).await;
    let body = with_code(PHONE, &webhook.code(PHONE, "sign-in").await);
    let ada = Person::of(&post(&server, "phone/code/confirm", &body).await);
    assert_eq!(ada.claims()["amr"], json!(["sms"]));
    assert_eq!(ada.claims()["phone_number"], PHONE);
    assert_eq!(
        ada.claims()["firebase"],
        json!({"identities": {"phone": [PHONE]}, "sign_in_provider": "phone"})
    );
    let accounts = admin(&server, "GET", "accounts", &Value::Null).await.json();
    assert_eq!(accounts["accounts"].as_array().unwrap().len(), 1);

    ask(PHONE).await;
    let code = webhook.code(PHONE, "sign-in").await;
    let wrong = if code == "000000" { "000001" } else { "000000" };
    let guess = with_code(PHONE, wrong);
    let statuses = join(
        (0..20)
            .map(|_| post(&server, "phone/code/confirm", &guess))
            .collect(),
    )
    .await;
    assert!(statuses.iter().all(|status| *status == 400), "{statuses:?}");
    let late = post(&server, "phone/code/confirm", &with_code(PHONE, &code)).await;
    assert_eq!(late.code(), "failed-precondition", "five guesses have ended it");
    ask(PHONE).await;
    let code = webhook.code(PHONE, "sign-in").await;
    for (phone, code) in [(OTHER, code.as_str()), (PHONE, ""), ("no number", &code)] {
        assert_eq!(
            post(&server, "phone/code/confirm", &with_code(phone, code))
                .await
                .status,
            400
        );
    }
    server.clock.advance(10 * 60 + 1);
    assert_eq!(
        post(&server, "phone/code/confirm", &with_code(PHONE, &code))
            .await
            .status,
        400
    );
}

#[tokio::test]
async fn another_number_ends_all_sessions_but_the_one_that_asked() {
    let (mut webhook, server) = started().await;
    let ada = Person::sign_up(&server, "ada@example.org").await;
    let elsewhere = Person::sign_in(&server, "ada@example.org", PASSWORD).await;
    give_phone(&mut webhook, &server, &ada, PHONE).await;
    assert_eq!(
        (ada.status(&server).await, elsewhere.status(&server).await),
        (200, 401)
    );
}

#[tokio::test]
async fn a_number_is_confirmed_and_belongs_to_one_account() {
    let (mut webhook, server) = started().await;
    let ada = Person::sign_up(&server, "ada@example.org").await;
    let eve = Person::sign_up(&server, "eve@example.org").await;
    give_phone(&mut webhook, &server, &ada, PHONE).await;
    // Nobody hears that it is taken, and no code is sent.
    let asked = eve.post(&server, "phone/change", &json!({"phone": PHONE})).await;
    assert_eq!((asked.status.as_u16(), asked.text().as_str()), (202, "{}"));
    eve.post(&server, "phone/change", &json!({"phone": OTHER})).await;
    let code = webhook.code(OTHER, "confirm-phone").await;
    for (person, body) in [(&ada, with_code(OTHER, &code)), (&eve, with_code(PHONE, &code))] {
        let refused = person.post(&server, "phone/confirm", &body).await;
        assert_eq!(
            refused.code(),
            "failed-precondition",
            "a code of another, for another"
        );
    }
    let body = with_code(OTHER, &code);
    let confirmations = (0..50)
        .map(|_| eve.post(&server, "phone/confirm", &body))
        .collect();
    let statuses = join(confirmations).await;
    assert_eq!(
        statuses.iter().filter(|status| **status == 200).count(),
        1,
        "{statuses:?}"
    );

    post(&server, "phone/code", &json!({"phone": PHONE})).await;
    let code = webhook.code(PHONE, "sign-in").await;
    let signed_in = Person::of(&post(&server, "phone/code/confirm", &with_code(PHONE, &code)).await);
    assert_eq!(signed_in.uid, ada.uid);
    let removed = signed_in.by(Request::new("DELETE", "/api/v1/auth/phone"));
    let removed = server.send_as_it_is(removed).await;
    assert_eq!(
        removed.json()["account"]["phone"],
        Value::Null,
        "{}",
        removed.text()
    );
    give_phone(&mut webhook, &server, &eve, PHONE).await;
    let events = events(&server, &ada.uid).await;
    for event in ["phone-changed", "phone-removed"] {
        assert!(events.contains(&event.to_owned()), "{events:?}");
    }
    // Whoever has nothing else keeps it.
    post(&server, "phone/code", &json!({"phone": OTHER})).await;
    let code = webhook.code(OTHER, "sign-in").await;
    let new = Person::of(&post(&server, "phone/code/confirm", &with_code(OTHER, &code)).await);
    assert!(
        new.uid != ada.uid && new.uid != eve.uid,
        "its last owner has given it up"
    );
    let kept = server
        .send_as_it_is(new.by(Request::new("DELETE", "/api/v1/auth/phone")))
        .await;
    assert_eq!(kept.code(), "failed-precondition");
    server.clock.advance(11 * 60);
    let late = new.post(&server, "phone/change", &json!({"phone": PHONE})).await;
    assert_eq!(late.code(), "permission-denied", "it takes a recent sign-in");
}

#[tokio::test]
async fn texts_are_limited_by_number_and_altogether_and_nobody_hears_of_it() {
    let options = many_texts();
    let (mut webhook, server) = started_with(AuthOptions {
        limits: AttemptLimits {
            text_by_number: Rate::new(2, Duration::from_secs(3600)),
            text_by_all: Rate::new(4, Duration::from_secs(3600)),
            text_by_address: Rate::new(12, Duration::from_secs(3600)),
            ..options.limits
        },
        ..options
    })
    .await;
    let ask = async |phone: &str| {
        post(&server, "phone/code", &json!({"phone": phone}))
            .await
            .status
            .as_u16()
    };
    for _ in 0..5 {
        assert_eq!(ask(PHONE).await, 202);
    }
    for phone in [OTHER, "+33612345678", "+33612345679", "+33612345670"] {
        assert_eq!(ask(phone).await, 202);
    }
    let mut sent = Vec::new();
    for _ in 0..4 {
        sent.push(webhook.text().await["to"].as_str().unwrap().to_owned());
    }
    let to_one = sent.iter().filter(|to| *to == PHONE).count();
    assert_eq!(to_one, 2, "{sent:?}");
    for _ in 0..3 {
        assert_eq!(ask(PHONE).await, 202);
    }
    assert_eq!(ask(PHONE).await, 429, "one client has asked too often");
    server.clock.advance(3601);
    assert_eq!(ask("+33612345671").await, 202);
    assert_eq!(
        webhook.text().await["to"],
        "+33612345671",
        "and nothing came between"
    );
}

#[tokio::test]
async fn known_and_unknown_numbers_are_answered_the_same() {
    let (mut webhook, server) = started().await;
    let ada = Person::sign_up(&server, "ada@example.org").await;
    give_phone(&mut webhook, &server, &ada, PHONE).await;
    crate::timing::assert_equally_fast("phone/code", async |is_known| {
        let phone = if is_known { PHONE } else { OTHER };
        let answer = post(&server, "phone/code", &json!({"phone": phone})).await;
        assert_eq!((answer.status.as_u16(), answer.text().as_str()), (202, "{}"));
    })
    .await;
}

#[tokio::test]
async fn who_has_no_address_of_the_domains_does_not_become_somebody_by_a_phone() {
    let (mut webhook, server) = started_with(AuthOptions {
        sign_up_domains: vec!["example.org".to_owned()],
        ..many_texts()
    })
    .await;
    let nobody = Person::of(&post(&server, "anonymous", &json!({})).await);
    nobody
        .post(&server, "phone/change", &json!({"phone": PHONE}))
        .await;
    let code = webhook.code(PHONE, "confirm-phone").await;
    let refused = nobody
        .post(&server, "phone/confirm", &with_code(PHONE, &code))
        .await;
    assert_eq!(refused.code(), "permission-denied");
}

#[tokio::test]
async fn a_phone_makes_no_account_where_not_everybody_may_sign_up() {
    for options in [
        AuthOptions {
            sign_up: SignUpPolicy::Closed,
            ..many_texts()
        },
        AuthOptions {
            sign_up_domains: vec!["example.org".to_owned()],
            ..many_texts()
        },
    ] {
        let (mut webhook, server) = started_with(options).await;
        admin(
            &server,
            "POST",
            "accounts",
            &json!({"email": "ada@example.org", "password": PASSWORD}),
        )
        .await;
        let ada = Person::sign_in(&server, "ada@example.org", PASSWORD).await;
        let unknown = post(&server, "phone/code", &json!({"phone": OTHER})).await;
        assert_eq!((unknown.status.as_u16(), unknown.text().as_str()), (202, "{}"));
        give_phone(&mut webhook, &server, &ada, PHONE).await;
        let known = post(&server, "phone/code", &json!({"phone": PHONE})).await;
        assert_eq!((known.status.as_u16(), known.text().as_str()), (202, "{}"));
        let code = webhook.code(PHONE, "sign-in").await;
        let signed_in = post(&server, "phone/code/confirm", &with_code(PHONE, &code)).await;
        assert_eq!(Person::of(&signed_in).uid, ada.uid);
    }
}

#[tokio::test]
async fn a_webhook_in_the_servers_own_network_is_not_called_unless_the_settings_let_it() {
    let mut webhook = Webhook::start().await;
    let server = Server::start().await;
    for (allows_private, is_sent) in [(false, false), (true, true)] {
        let secret = SecretText::new(SECRET.to_owned());
        let out = TextWebhook::new(&webhook.url, &secret, allows_private, server.engine.clone());
        let message = TextMessage {
            to: PhoneNumber::parse(PHONE).unwrap(),
            text: "123456 is your code".to_owned(),
            code: SecretText::new("123456".to_owned()),
            purpose: "sign-in",
        };
        let sent = out.deliver_text(message).await;
        assert_eq!(sent.is_ok(), is_sent, "{sent:?}");
        assert!(!format!("{sent:?}").contains("123456"));
    }
    assert_eq!(webhook.code(PHONE, "sign-in").await, "123456");
    assert!(webhook.posts.try_recv().is_err(), "and once");
}

#[tokio::test]
async fn a_server_without_a_webhook_says_so() {
    let server = Server::start().await;
    let asked = post(&server, "phone/code", &json!({"phone": PHONE})).await;
    assert_eq!(asked.code(), "failed-precondition");
    assert!(asked.text().contains("sms.webhook"), "{}", asked.text());
}

/// A server whose mails and texts are in the development mailbox.
async fn with_mailbox() -> Server {
    Server::with_post(many_texts(), |engine| {
        let mailbox = Mailbox::new(engine.clone());
        Post {
            deliver: Some(Arc::new(mailbox.clone())),
            texts: Some(Arc::new(mailbox.clone())),
            mailbox: Some(mailbox),
            ..Post::default()
        }
    })
    .await
}

/// The message of this number, once it is there: it is on its way after the answer.
async fn message(server: &Server, number: u64) -> Value {
    loop {
        let shown = admin(server, "GET", "mailbox", &Value::Null).await.json();
        assert_described("Mailbox", &shown);
        let messages = shown["mails"].as_array().unwrap();
        if let Some(message) = messages.iter().find(|message| message["id"] == number) {
            return message.clone();
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn whoever_reads_the_mailbox_takes_the_phone_of_its_squatter_away() {
    let server = with_mailbox().await;
    let squatter = Person::sign_up(&server, "victim@example.org").await;
    message(&server, 1).await;
    squatter
        .post(&server, "phone/change", &json!({"phone": PHONE}))
        .await;
    let code = |message: &Value| {
        let text = message["text"].as_str().unwrap();
        text.split(' ').next().unwrap().to_owned()
    };
    let digits = code(&message(&server, 2).await);
    squatter
        .post(&server, "phone/confirm", &with_code(PHONE, &digits))
        .await;
    squatter.post(&server, "mfa/phone/enable", &json!({})).await;
    post(&server, "link", &json!({"email": "victim@example.org"})).await;
    let mail = message(&server, 3).await;
    let link = mail["text"].as_str().unwrap().split_once("&code=").unwrap().1;
    let body = json!({"code": link.split_whitespace().next().unwrap()});
    let signed_in = post(&server, "link/confirm", &body).await;
    let victim = Person::of(&signed_in);
    assert_eq!(victim.uid, squatter.uid);
    let account = &signed_in.json()["account"];
    assert_eq!(
        (&account["phone"], &account["factors"]),
        (&json!(null), &json!([]))
    );
    post(&server, "phone/code", &json!({"phone": PHONE})).await;
    let digits = code(&message(&server, 4).await);
    let by_phone = post(&server, "phone/code/confirm", &with_code(PHONE, &digits)).await;
    assert_ne!(Person::of(&by_phone).uid, victim.uid, "the number is free");
}

#[tokio::test]
async fn in_development_texts_are_in_the_mailbox() {
    let server = with_mailbox().await;
    post(&server, "phone/code", &json!({"phone": PHONE})).await;
    let text = message(&server, 1).await;
    assert_eq!(
        (&text["to"], &text["subject"]),
        (&json!(PHONE), &json!("Text message"))
    );
    let code = text["text"]
        .as_str()
        .unwrap()
        .split(' ')
        .next()
        .unwrap()
        .to_owned();
    Person::of(&post(&server, "phone/code/confirm", &with_code(PHONE, &code)).await);
}
