//! An SMTP server of a test's own: takes every mail and delivers none.

use std::net::SocketAddr;
use std::sync::Arc;

use andiron_auth::{Deliver, SmtpOptions, SmtpSecurity, SmtpTransport};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// A mail as it came over the wire.
#[derive(Clone, Debug)]
pub(crate) struct ReceivedMail {
    /// From the envelope.
    pub(crate) to: String,
    /// Headers and body, line breaks of its encoding undone.
    pub(crate) text: String,
}

impl ReceivedMail {
    pub(crate) fn subject(&self) -> &str {
        let line = self.text.lines().find_map(|line| line.strip_prefix("Subject: "));
        line.unwrap_or_default()
    }

    /// The link in its plain text.
    pub(crate) fn link(&self) -> String {
        let link = self.text.split_whitespace().find(|word| word.contains("#mode="));
        link.unwrap_or_else(|| panic!("no link in {}", self.text))
            .to_owned()
    }

    /// The code in that link.
    pub(crate) fn code(&self) -> String {
        self.link().split_once("&code=").unwrap().1.to_owned()
    }
}

pub(crate) struct SmtpServer {
    address: SocketAddr,
    mails: watch::Receiver<Vec<ReceivedMail>>,
}

impl SmtpServer {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (arrived, mails) = watch::channel(Vec::new());
        let arrived = Arc::new(arrived);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let arrived = Arc::clone(&arrived);
                // A client that breaks off has sent nothing.
                tokio::spawn(async move { talk(stream, &arrived).await });
            }
        });
        Self { address, mails }
    }

    pub(crate) fn transport(&self) -> Arc<dyn Deliver> {
        let options = SmtpOptions {
            host: self.address.ip().to_string(),
            port: self.address.port(),
            security: SmtpSecurity::None,
            credentials: None,
            from: "Andiron <no-reply@example.org>".to_owned(),
        };
        Arc::new(SmtpTransport::new(options).unwrap())
    }

    /// The mail of this number, from 0, once it has come.
    pub(crate) async fn mail(&self, number: usize) -> ReceivedMail {
        let mut mails = self.mails.clone();
        let arrived = mails.wait_for(|mails| mails.len() > number).await.unwrap();
        arrived[number].clone()
    }

    /// How many have come.
    pub(crate) fn count(&self) -> usize {
        self.mails.borrow().len()
    }
}

async fn talk(stream: TcpStream, arrived: &watch::Sender<Vec<ReceivedMail>>) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    stream.write_all(b"220 test\r\n").await?;
    let mut to = String::new();
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await? == 0 {
            return Ok(());
        }
        let command = line.to_ascii_uppercase();
        let reply = if command.starts_with("EHLO") {
            "250-test\r\n250 8BITMIME\r\n"
        } else if command.starts_with("RCPT TO:") {
            to = line[8..].trim().trim_matches(['<', '>']).to_owned();
            "250 ok\r\n"
        } else if command.starts_with("DATA") {
            stream.write_all(b"354 go on\r\n").await?;
            let text = data(&mut stream).await?;
            let to = to.clone();
            arrived.send_modify(|mails| mails.push(ReceivedMail { to, text }));
            "250 taken\r\n"
        } else if command.starts_with("QUIT") {
            stream.write_all(b"221 bye\r\n").await?;
            return Ok(());
        } else {
            "250 ok\r\n"
        };
        stream.write_all(reply.as_bytes()).await?;
    }
}

/// The text of a mail up to the line with a dot; quoted-printable undone as far as our mails need it.
async fn data(stream: &mut BufReader<TcpStream>) -> std::io::Result<String> {
    let mut text = String::new();
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).await?;
        if line.is_empty() || line == ".\r\n" {
            return Ok(text
                .replace("=\r\n", "")
                .replace("=3D", "=")
                .replace("\r\n", "\n"));
        }
        text.push_str(line.strip_prefix('.').unwrap_or(&line));
    }
}
