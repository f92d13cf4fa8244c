//! What stands between a server and its store on the network: it passes requests on, or does what stores do when they are out
//! of order.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;

/// A request on its way to the store. What a judge changes of it is passed on as it is then.
#[derive(Clone, Debug)]
pub struct StoreRequest {
    /// `GET` and so on.
    pub method: String,
    /// Path and query.
    pub target: String,
    /// Names in lowercase, and what they say.
    pub headers: Vec<(String, String)>,
}

impl StoreRequest {
    /// What a header says.
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }
}

/// What becomes of a request.
#[derive(Clone, Debug)]
pub enum Deed {
    /// The store answers it.
    Pass,
    /// It is answered with this, and the store never hears of it.
    Answer(String),
    /// Nobody answers, and the store never hears of it.
    Swallow,
    /// The store does it, and nobody hears of that.
    PassAndSwallow,
    /// The store does it, and this is the answer.
    PassAndAnswer(String),
    /// The store answers it, and of its answer come so many bytes after the head.
    Cut(usize),
}

impl Deed {
    /// An answer of a status, as `503 Slow Down`, with a body.
    pub fn answer(status: &str, body: &str) -> Self {
        Self::Answer(answer(status, body))
    }

    /// The store does it, and says that it cannot.
    pub fn pass_and_answer(status: &str, body: &str) -> Self {
        Self::PassAndAnswer(answer(status, body))
    }
}

fn answer(status: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/xml\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    )
}

/// Where requests are passed on; it does so for as long as the tests run.
#[derive(Clone, Copy, Debug)]
pub struct StoreGate {
    address: SocketAddr,
}

impl StoreGate {
    /// A gate to a store, and who says what becomes of each request. A request is asked about when all of it has come.
    pub fn to(store: SocketAddr, judge: impl Fn(&mut StoreRequest) -> Deed + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("there is a free port");
        let address = listener.local_addr().expect("a listener has an address");
        let judge = Arc::new(judge);
        std::thread::spawn(move || {
            for connection in listener.incoming() {
                let (judge, Ok(connection)) = (Arc::clone(&judge), connection) else {
                    return;
                };
                std::thread::spawn(move || {
                    // Whoever is gone does not care for the rest.
                    let _ = pass(connection, store, &*judge);
                });
            }
        });
        Self { address }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

/// Passes the one request of a connection on.
fn pass(
    connection: TcpStream,
    store: SocketAddr,
    judge: &(dyn Fn(&mut StoreRequest) -> Deed + Send + Sync),
) -> io::Result<()> {
    let mut answers = connection.try_clone()?;
    let mut requests = BufReader::new(connection);
    let Some(mut request) = read_head(&mut requests)? else {
        return Ok(());
    };
    let length = request.header("content-length").map_or(0, |length| {
        length.parse().expect("the length of a body is a number")
    });
    let mut body = vec![0; length];
    requests.read_exact(&mut body)?;
    let mut bytes_max = u64::MAX;
    match judge(&mut request) {
        Deed::Pass => {}
        Deed::Cut(bytes) => bytes_max = bytes as u64,
        Deed::Answer(answer) => return answers.write_all(answer.as_bytes()),
        Deed::Swallow => return wait_for_end(requests),
        Deed::PassAndSwallow => {
            io::copy(&mut send(store, &request, &body)?, &mut io::sink())?;
            return wait_for_end(requests);
        }
        Deed::PassAndAnswer(answer) => {
            io::copy(&mut send(store, &request, &body)?, &mut io::sink())?;
            return answers.write_all(answer.as_bytes());
        }
    }
    let mut passed = BufReader::new(send(store, &request, &body)?);
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") && passed.read_until(b'\n', &mut head)? > 0 {}
    answers.write_all(&head)?;
    // The store says in its answer that it closes the connection, so nobody waits for more.
    io::copy(&mut passed.take(bytes_max), &mut answers)?;
    Ok(())
}

fn read_head(requests: &mut impl io::BufRead) -> io::Result<Option<StoreRequest>> {
    let mut line = String::new();
    if requests.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let mut words = line.split_whitespace().map(str::to_owned);
    let (method, target) = (words.next(), words.next());
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        requests.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(':') else {
            break;
        };
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    Ok(Some(StoreRequest {
        method: method.expect("a request has a method"),
        target: target.expect("a request has a target"),
        headers,
    }))
}

/// Sends a request on over a connection that ends with its answer.
fn send(store: SocketAddr, request: &StoreRequest, body: &[u8]) -> io::Result<TcpStream> {
    let mut connection = TcpStream::connect(store)?;
    let mut head = format!(
        "{} {} HTTP/1.1\r\nconnection: close\r\n",
        request.method, request.target
    );
    for (name, value) in request.headers.iter().filter(|(name, _)| name != "connection") {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("\r\n");
    connection.write_all(head.as_bytes())?;
    connection.write_all(body)?;
    Ok(connection)
}

/// Waits until the other side gives up.
fn wait_for_end(mut requests: impl io::Read) -> io::Result<()> {
    io::copy(&mut requests, &mut io::sink())?;
    Ok(())
}
