//! A server that does nothing: it answers every request with the same 1 KB. Driving it shows what the generator itself
//! costs and the rate beyond which it, not the server, would be what is measured.
//!
//! It knows requests without a body only, one at a time on a connection.

use std::{
    io::{ErrorKind, Read as _, Write as _},
    net::SocketAddr,
};

use mio::{
    Events, Interest, Poll, Token,
    net::{TcpListener, TcpStream},
};

use crate::{BenchError, io};

/// Bytes of the answer's body.
pub const BODY_BYTES: usize = 1024;

const LISTENER: Token = Token(usize::MAX);

/// Listens on a free port, hands its address to `ready`, and answers until the process ends.
///
/// # Errors
/// The system refuses a socket.
pub fn serve(ready: impl FnOnce(SocketAddr)) -> Result<(), BenchError> {
    let mut poll = Poll::new().map_err(io("epoll"))?;
    let mut listener = TcpListener::bind(([127, 0, 0, 1], 0).into()).map_err(io("listening"))?;
    poll.registry()
        .register(&mut listener, LISTENER, Interest::READABLE)
        .map_err(io("epoll"))?;
    ready(listener.local_addr().map_err(io("listening"))?);

    let mut answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {BODY_BYTES}\r\n\r\n").into_bytes();
    answer.resize(answer.len() + BODY_BYTES, b'x');
    let mut connections: Vec<Option<TcpStream>> = Vec::new();
    let mut events = Events::with_capacity(1024);
    loop {
        match poll.poll(&mut events, None) {
            Err(error) if error.kind() != ErrorKind::Interrupted => return Err(io("epoll")(error)),
            _ => {}
        }
        for event in &events {
            if event.token() == LISTENER {
                while let Ok((mut stream, _)) = listener.accept() {
                    stream.set_nodelay(true).map_err(io("TCP_NODELAY"))?;
                    poll.registry()
                        .register(&mut stream, Token(connections.len()), Interest::READABLE)
                        .map_err(io("epoll"))?;
                    connections.push(Some(stream));
                }
            } else if let Some(slot) = connections.get_mut(event.token().0)
                && let Some(stream) = slot
                && !answer_one(stream, &answer)
            {
                *slot = None;
            }
        }
    }
}

/// False once the connection is of no more use.
fn answer_one(stream: &mut TcpStream, answer: &[u8]) -> bool {
    let mut request = [0; 4096];
    match stream.read(&mut request) {
        Ok(0) => false,
        Ok(count) if request[..count].ends_with(b"\r\n\r\n") => stream.write_all(answer).is_ok(),
        Ok(_) => false,
        Err(error) => matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted),
    }
}
