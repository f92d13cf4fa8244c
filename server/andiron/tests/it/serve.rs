//! Serving: starting, stopping, and what stands in the way of either.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::{Command, Stdio};

use andiron_testkit::ServerProcess;
use http::Method;
use rustix::process::Signal;
use serde_json::json;

use crate::{program, run};

fn start(folder: &Path) -> ServerProcess {
    ServerProcess::start(program(), folder, &[])
}

#[tokio::test]
async fn a_first_start_prints_a_key_that_works_and_later_ones_print_none() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = start(folder.path());
    let key = server
        .printed_key()
        .expect("a first start prints a key")
        .to_owned();
    let data = folder.path().canonicalize().unwrap().join("andiron-data");
    assert!(
        server.greeting().contains("console  missing"),
        "{}",
        server.greeting()
    );
    assert!(
        server
            .greeting()
            .contains(&format!("data     {}", data.display())),
        "{}",
        server.greeting()
    );
    server
        .anonymous()
        .with_key(&key)
        .put("/api/v1/docs/a/b", &json!({}))
        .await
        .expect(201);
    server.kill();
    server.start_again();
    assert_eq!(server.printed_key(), None);
    server
        .anonymous()
        .with_key(&key)
        .get("/api/v1/docs/a/b")
        .await
        .expect(200);
}

#[test]
fn a_first_start_after_a_key_was_made_prints_none() {
    let folder = tempfile::tempdir().unwrap();
    let made = run(folder.path(), &["key", "create", "mine"]).expect(0);
    assert!(
        made.stdout.starts_with("ak_") && made.stdout.lines().count() == 1,
        "{}",
        made.stdout
    );
    assert_eq!(start(folder.path()).printed_key(), None);
}

#[tokio::test]
async fn sigterm_ends_a_server_in_order_and_what_it_answered_stays() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = start(folder.path());
    let key = server.printed_key().unwrap().to_owned();
    let api = server.anonymous().with_key(&key);
    api.put("/api/v1/docs/a/b", &json!({"n": 1})).await.expect(201);
    server.signal(Signal::TERM);
    let (status, log) = server.wait();
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(log.contains("\"message\":\"stopped\""), "{log}");
    assert!(!folder.path().join("andiron-data/andiron.sock").exists());
    server.start_again();
    let api = server.anonymous().with_key(&key);
    assert_eq!(
        api.get("/api/v1/docs/a/b").await.expect(200).json()["data"]["n"],
        1
    );
}

#[test]
fn a_second_signal_ends_a_server_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = start(folder.path());
    // A request whose body does not come holds up an orderly end. The server asks for the body when it waits for it.
    let mut stalled = TcpStream::connect(server.address()).unwrap();
    let head = format!(
        "POST /api/v1/query HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\n\
         Content-Length: 100\r\nExpect: 100-continue\r\n\r\n",
        server.printed_key().unwrap()
    );
    stalled.write_all(head.as_bytes()).unwrap();
    let mut status = [0; 12];
    stalled.read_exact(&mut status).unwrap();
    assert_eq!(&status, b"HTTP/1.1 100");
    server.signal(Signal::INT);
    // It has heard the first signal when it accepts no more.
    while TcpStream::connect(server.address()).is_ok() {
        std::thread::yield_now();
    }
    server.signal(Signal::TERM);
    let (status, log) = server.wait();
    assert_eq!(status.code(), Some(143), "{log}");
}

#[test]
fn logs_are_json_away_from_a_terminal_and_hold_no_key() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = ServerProcess::start(program(), folder.path(), &["--log-level", "trace"]);
    let key = server.printed_key().unwrap().to_owned();
    run(folder.path(), &["key", "create", "another"]).expect(0);
    server.signal(Signal::TERM);
    let (_, log) = server.wait();
    for line in log.lines() {
        let line: serde_json::Value =
            serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        assert!(
            line["level"].is_string() && line["timestamp"].is_string(),
            "{line}"
        );
    }
    assert!(log.contains("listening") && !log.contains("ak_"), "{log}");
    let (_, secret) = key["ak_".len()..].split_once('_').unwrap();
    assert!(!log.contains(secret), "{log}");
}

#[test]
fn only_the_owner_can_open_the_local_socket() {
    let folder = tempfile::tempdir().unwrap();
    let _server = start(folder.path());
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let data = folder.path().join("andiron-data");
    assert_eq!(mode(&data), 0o700);
    assert_eq!(mode(&data.join("andiron.sock")), 0o600);
    assert_eq!(mode(&data.join("andiron.db")), 0o600);
}

#[test]
fn a_socket_that_a_killed_server_left_is_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = start(folder.path());
    server.kill();
    assert!(folder.path().join("andiron-data/andiron.sock").exists());
    // Without a server the command opens the folder itself.
    run(folder.path(), &["key", "list"]).expect(0);
    // And something foreign in its place is no obstacle either.
    drop(UnixListener::bind(folder.path().join("andiron-data/andiron.sock")).unwrap());
    server.start_again();
    run(folder.path(), &["key", "list"]).expect(0);
}

#[test]
fn a_command_needs_no_place_for_a_socket_in_the_folder() {
    let folder = tempfile::tempdir().unwrap();
    run(folder.path(), &["key", "create", "x"]).expect(0);
    // As if nothing could be written there, which a test that root runs cannot bring about.
    let obstacle = folder.path().join("andiron-data/andiron.sock/in-the-way");
    fs::create_dir_all(&obstacle).unwrap();
    let list = run(folder.path(), &["key", "list"]).expect(0);
    assert!(list.stdout.starts_with("x "), "{}", list.stdout);
    assert!(obstacle.exists());
}

#[tokio::test]
async fn a_server_whose_data_is_damaged_ends_instead_of_writing_on() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = start(folder.path());
    let key = server.printed_key().unwrap().to_owned();
    let file = andiron_testkit::movies_file();
    let import = ["import", file.to_str().unwrap(), "--collection", "movies"];
    run(folder.path(), &import).expect(0);
    server.signal(Signal::TERM);
    server.wait();
    let database = folder.path().join("andiron-data/andiron.db");
    let mut bytes = fs::read(&database).unwrap();
    let half = bytes.len() / 2;
    bytes[half..].fill(0xa5);
    fs::write(&database, bytes).unwrap();

    server.start_again();
    let answer = server
        .anonymous()
        .with_key(&key)
        .try_request(Method::POST, "/api/v1/docs/movies", &[], Some("{}".to_owned()))
        .await;
    assert!(
        !matches!(answer, Ok(answer) if answer.status < 500),
        "nothing was written"
    );
    let (status, log) = server.wait();
    assert_eq!(status.code(), Some(74), "{log}");
    assert!(log.contains("start it again"), "{log}");
}

#[test]
fn a_path_too_long_for_a_socket_is_no_obstacle() {
    let folder = tempfile::tempdir().unwrap();
    let deep = folder.path().join("a-rather-long-name-of-a-folder/".repeat(6));
    fs::create_dir_all(&deep).unwrap();
    let _server = start(&deep);
    run(&deep, &["key", "create", "through-the-socket"]).expect(0);
}

#[test]
fn a_folder_is_served_once_and_its_commands_say_who_has_it() {
    let folder = tempfile::tempdir().unwrap();
    let server = start(folder.path());
    let second = run(folder.path(), &["serve", "--listen", "127.0.0.1:0"]).expect(1);
    assert!(
        second.stderr.contains(&format!("(process {})", server.id())),
        "{}",
        second.stderr
    );
    // Its socket gone, commands cannot reach the server, and must not open the folder beside it.
    fs::remove_file(folder.path().join("andiron-data/andiron.sock")).unwrap();
    let list = run(folder.path(), &["key", "list"]).expect(1);
    assert!(
        list.stderr.contains(&format!("by process {}", server.id())) && list.stderr.contains("--url"),
        "{}",
        list.stderr
    );
}

#[test]
fn an_address_in_use_is_told_with_what_to_do() {
    let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let server = start(first.path());
    let address = server.address().to_string();
    let output = run(second.path(), &["serve", "--listen", &address]).expect(1);
    assert!(
        output.stderr.contains(&format!("cannot listen on `{address}`"))
            && output.stderr.contains("--listen"),
        "{}",
        output.stderr
    );
}

#[test]
fn a_loopback_address_is_not_warned_of() {
    let folder = tempfile::tempdir().unwrap();
    // The other half cannot be tested: no test may listen beyond this machine.
    let mut server = start(folder.path());
    server.signal(Signal::TERM);
    let (_, log) = server.wait();
    assert!(!log.contains("plain HTTP"), "{log}");
}

#[test]
fn a_configuration_that_has_no_meaning_is_refused_with_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let mut said = String::new();
    for contents in [
        "lisen = \"127.0.0.1:0\"\n",
        "[history]\nage = \"7 weeks\"\n",
        "\n\n[histroy]\nage = \"7d\"\n",
        "[history]\nage = \"7d\"\nages = 1\n",
        "listen = 8750\n",
        "durability = \"none\"\n",
        "[http]\ncors_origins = [\"*\"]\n",
        "[http]\ncompression = 1.5\n",
        "listen = \n",
        "listen = \"127.0.0.1:0\"\nlisten = \"127.0.0.1:1\"\n",
    ] {
        fs::write(folder.path().join("andiron.toml"), contents).unwrap();
        let output = run(folder.path(), &["serve"]).expect(2);
        let place = folder.path().canonicalize().unwrap();
        let message = output.stderr.replace(&format!("{}/", place.display()), "");
        said += &format!("{contents}=> {message}\n");
    }
    insta::assert_snapshot!(said);
}

#[test]
fn variables_that_nobody_knows_are_refused_but_not_those_of_kubernetes() {
    let folder = tempfile::tempdir().unwrap();
    let show = |variables: &[(&str, &str)]| {
        let output = Command::new(program())
            .current_dir(folder.path())
            .args(["config", "show"])
            .env_clear()
            .envs(variables.iter().copied())
            .stdin(Stdio::null())
            .output()
            .unwrap();
        (
            output.status.code().unwrap(),
            String::from_utf8(output.stdout).unwrap(),
            String::from_utf8(output.stderr).unwrap(),
        )
    };
    let (code, _, said) = show(&[("ANDIRON_DURABILTY", "relaxed")]);
    assert_eq!(code, 2);
    assert!(said.contains("did you mean `ANDIRON_DURABILITY`?"), "{said}");
    let (code, shown, said) = show(&[
        ("ANDIRON_SERVICE_HOST", "10.0.0.1"),
        ("ANDIRON_PORT", "tcp://10.0.0.1:8750"),
        ("ANDIRON_PORT_8750_TCP_PROTO", "tcp"),
        ("ANDIRON_HISTORY_AGE", "30d"),
    ]);
    assert_eq!(code, 0, "{said}");
    let line = shown
        .lines()
        .find(|line| line.starts_with("history.age"))
        .unwrap();
    assert!(
        line.contains("\"30d\"") && line.ends_with("# ANDIRON_HISTORY_AGE"),
        "{line}"
    );
}

#[test]
fn flags_hold_over_variables_those_over_the_file_and_that_over_defaults() {
    let folder = tempfile::tempdir().unwrap();
    let toml =
        "listen = \"127.0.0.1:1\"\n[history]\nage = \"1d\"\nbytes = \"1GiB\"\n[log]\nlevel = \"warn\"\n";
    fs::write(folder.path().join("andiron.toml"), toml).unwrap();
    let output = Command::new(program())
        .current_dir(folder.path())
        .args([
            "config",
            "show",
            "--listen",
            "127.0.0.1:3",
            "--set",
            "query.time=1s",
        ])
        .env_clear()
        .env("ANDIRON_LISTEN", "127.0.0.1:2")
        .env("ANDIRON_HISTORY_AGE", "2d")
        .output()
        .unwrap();
    let shown = String::from_utf8(output.stdout).unwrap();
    let shown = shown.replace(
        &format!("{}/", folder.path().canonicalize().unwrap().display()),
        "",
    );
    insta::assert_snapshot!(shown);
}
