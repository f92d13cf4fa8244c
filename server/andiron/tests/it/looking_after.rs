//! What looks after accounts from the command line: the keys that sign, and the mails.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::thread;

use crate::run;

/// A mail server for one connection, which gives this answer to a mail; gives its address and, at the end, the mail.
fn mail_server(answer: &'static str) -> (SocketAddr, thread::JoinHandle<String>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let address = listener.local_addr().unwrap();
    let talk = move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
        let mut mail = String::new();
        write!(stream, "220 mail.example.org\r\n").unwrap();
        while let Some(Ok(line)) = lines.next() {
            let answer = match line.split(' ').next().unwrap_or_default() {
                "EHLO" => "250 mail.example.org",
                "DATA" => "354 go on",
                "QUIT" => break,
                _ => "250 OK",
            };
            write!(stream, "{answer}\r\n").unwrap();
            if answer.starts_with("354") {
                let text = lines
                    .by_ref()
                    .map_while(Result::ok)
                    .take_while(|line| line != ".");
                mail = text.collect::<Vec<_>>().join("\n");
                break;
            }
        }
        write!(stream, "{ANSWER}\r\n", ANSWER = answer).unwrap();
        mail
    };
    (address, thread::spawn(talk))
}

#[test]
fn a_test_mail_goes_by_the_configured_server_and_what_that_said_is_printed() {
    let folder = tempfile::tempdir().unwrap();
    let none = run(folder.path(), &["mail", "test", "ada@example.org"]).expect(1);
    assert!(none.stderr.contains("mail.smtp"), "{}", none.stderr);
    for (answer, code) in [("250 2.0.0 queued as 42", 0), ("554 5.7.1 we do not know you", 1)] {
        let (address, server) = mail_server(answer);
        let config =
            format!("[mail]\nsmtp = \"smtp+plain://{address}\"\nfrom = \"Andiron <no-reply@example.org>\"\n");
        std::fs::write(folder.path().join("andiron.toml"), config).unwrap();
        let output = run(folder.path(), &["mail", "test", "ada@example.org"]).expect(code);
        let said = answer.split_once(' ').unwrap().1;
        if code == 0 {
            assert_eq!(output.stdout, format!("{answer}\n"));
        } else {
            assert!(output.stderr.contains(said), "{}", output.stderr);
        }
        let mail = server.join().unwrap();
        assert!(mail.contains("To: ada@example.org"), "{mail}");
    }
}

#[test]
fn signing_keys_are_rotated_with_overlap() {
    let folder = tempfile::tempdir().unwrap();
    run(folder.path(), &["auth", "rotate-keys"]).expect(1);
    run(folder.path(), &["admin", "create", "ada@example.org"]).expect(0);
    let rotate = || run(folder.path(), &["auth", "rotate-keys"]).expect(0);
    let first = rotate();
    let second = rotate();
    let (first_kid, second_kid) = (first.stdout.trim(), second.stdout.trim());
    assert!(!second_kid.is_empty() && first_kid != second_kid);
    let told = format!("{first_kid} verifies until ");
    assert!(second.stderr.contains(&told), "{}", second.stderr);
}
