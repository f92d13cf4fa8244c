//! `andiron admin`, and the secret of the first start: how administrators get in.

use andiron_testkit::{Api, ServerProcess};
use serde_json::{Value, json};

use crate::{program, run};

async fn sign_in(api: &Api, email: &str, password: &str) -> (u16, Value) {
    let body = json!({"email": email, "password": password});
    let answer = api.post("/api/v1/auth/sign-in", &body).await;
    (answer.status, serde_json::from_slice(&answer.body).unwrap())
}

#[tokio::test]
async fn an_owner_is_made_on_a_folder_and_let_in_again_while_its_server_runs() {
    let folder = tempfile::tempdir().unwrap();
    let email = "ada@example.org";
    let made = run(folder.path(), &["admin", "create", email]).expect(0);
    let password = made.stdout.trim();
    assert!(
        password.len() >= 20 && made.stdout.lines().count() == 1,
        "{}",
        made.stdout
    );
    assert!(!made.stderr.contains(password), "{}", made.stderr);
    run(folder.path(), &["admin", "create", email]).expect(1);

    let server = ServerProcess::start(program(), folder.path(), &[]);
    assert!(
        !server.greeting().contains("setup"),
        "there is an owner: {}",
        server.greeting()
    );
    let (status, signed_in) = sign_in(&server.anonymous(), email, password).await;
    assert_eq!(status, 200, "{signed_in}");
    assert_eq!(signed_in["account"]["roles"], json!(["owner"]));
    let owner = server
        .anonymous()
        .with_key(signed_in["session"]["accessToken"].as_str().unwrap());
    owner.put("/api/v1/docs/a/b", &json!({})).await.expect(201);

    let reset = run(folder.path(), &["admin", "reset", email]).expect(0);
    owner.get("/api/v1/docs/a/b").await.expect(401);
    assert_eq!(sign_in(&server.anonymous(), email, password).await.0, 401);
    assert_eq!(
        sign_in(&server.anonymous(), email, reset.stdout.trim()).await.0,
        200
    );
    run(folder.path(), &["admin", "reset", "nobody@example.org"]).expect(2);
}

#[tokio::test]
async fn the_first_start_prints_a_secret_that_makes_one_owner() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = ServerProcess::start(program(), folder.path(), &[]);
    let link = server
        .greeting()
        .split_whitespace()
        .find(|word| word.contains("#mode=setup&code="))
        .unwrap();
    let secret = link.split_once("code=").unwrap().1;
    let body = |email: &str| json!({"secret": secret, "email": email, "password": "correct horse battery"});
    let setup = |email| {
        let (api, body) = (server.anonymous(), body(email));
        async move { api.post("/api/v1/auth/setup", &body).await }
    };
    setup("ada@example.org").await.expect(201);
    setup("eve@example.org").await.expect(400);
    server.kill();
    server.start_again();
    assert!(!server.greeting().contains("setup"), "{}", server.greeting());
    let (status, _) = sign_in(&server.anonymous(), "ada@example.org", "correct horse battery").await;
    assert_eq!(status, 200);
}

#[tokio::test]
async fn in_development_mails_stay_in_a_mailbox() {
    let folder = tempfile::tempdir().unwrap();
    let server = ServerProcess::start(program(), folder.path(), &["--dev"]);
    let body = json!({"email": "ada@example.org", "password": "correct horse battery"});
    server
        .anonymous()
        .post("/api/v1/auth/sign-up", &body)
        .await
        .expect(201);
    let api = server.anonymous().with_key(server.printed_key().unwrap());
    let mails = loop {
        let answer = api.get("/api/v1/admin/mailbox").await.expect(200);
        let mails: Value = serde_json::from_slice(&answer.body).unwrap();
        // It is written after the answer.
        if mails["mails"][0].is_object() {
            break mails;
        }
    };
    assert_eq!(mails["mails"][0]["to"], "ada@example.org");
    let link = format!("http://{}/api/v1/auth/action#mode=verify-email", server.address());
    assert!(
        mails["mails"][0]["text"].as_str().unwrap().contains(&link),
        "{mails}"
    );
}

#[tokio::test]
async fn without_development_and_a_mail_server_there_is_no_mailbox() {
    let folder = tempfile::tempdir().unwrap();
    let server = ServerProcess::start(program(), folder.path(), &[]);
    let api = server.anonymous().with_key(server.printed_key().unwrap());
    api.get("/api/v1/admin/mailbox").await.expect(404);
}
