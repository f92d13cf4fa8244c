//! Those who listen: one thread that reads all of their connections, and counts what has arrived.
//!
//! Invariant: a connection counts as a subscriber only once the server has said that its listens have begun.
//!
//! In the world subscribers are thousands of other machines. Here they are one thread that takes from the cores what it needs
//! to read, which is about what the server needs to write; so that this is taken from no writer, the thread stands back behind
//! both servers alike.

use std::{
    io::{ErrorKind, Read, Write as _},
    net::{SocketAddr, TcpStream},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use hdrhistogram::Histogram;
use memchr::memmem;
use mio::{Events, Interest, Poll, Token};
use rustix::time::{ClockId, clock_gettime};

use super::{
    wire::{self, CLIENT_ID_HOLE, Scanner, Wire},
    writers,
};
use crate::{BenchError, http::Client, io};

/// Bytes that are read at a time.
const READ_BYTES: usize = 256 * 1024;

/// How long the beginning of a listen may take.
const BEGIN_TIMEOUT: Duration = Duration::from_secs(60);

/// How often the thread looks whether it is to do something else.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// How far the thread stands back, as `nice` counts.
const NICENESS: i32 = 10;

/// Bytes that the system takes for a subscriber that reads nothing, about: what it has been sent beyond waits at the server.
const STALLED_BUFFER_BYTES: usize = 16 * 1024;

/// Latencies beyond this count as this.
const LATENCY_MAX_US: u64 = 120_000_000;

/// What one connection sends to begin.
pub(super) struct Subscription {
    pub(super) connect: Vec<u8>,
    /// Frames on the connection itself, or requests beside it.
    pub(super) listens: Vec<Vec<u8>>,
}

/// What has arrived.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Counts {
    pub(super) deliveries: u64,
    pub(super) bytes: u64,
    /// What the thread has used.
    pub(super) cpu: Duration,
}

/// The connections and the thread that reads them.
pub(super) struct Subscribers {
    shared: Arc<Shared>,
    thread: JoinHandle<()>,
}

struct Shared {
    deliveries: AtomicU64,
    bytes: AtomicU64,
    cpu_ns: AtomicU64,
    stop: AtomicBool,
    stall: AtomicBool,
    /// The newest moment that each has.
    newest: Vec<AtomicU64>,
    latency: Mutex<Histogram<u64>>,
    failure: Mutex<Option<BenchError>>,
}

struct Connection {
    stream: mio::net::TcpStream,
    scanner: Scanner,
}

impl Subscribers {
    /// Connects, subscribes, waits until all listen, and begins to read.
    pub(super) fn start(
        address: SocketAddr,
        wire: Wire,
        subscribed: u16,
        subscriptions: Vec<Subscription>,
    ) -> Result<Self, BenchError> {
        let poll = Poll::new().map_err(io("epoll"))?;
        let mut side = Client::connect(address)?;
        let mut connections = Vec::with_capacity(subscriptions.len());
        for subscription in &subscriptions {
            let (stream, scanner) = open(address, wire, subscribed, subscription, &mut side)?;
            stream.set_nonblocking(true).map_err(io("a socket"))?;
            let mut stream = mio::net::TcpStream::from_std(stream);
            poll.registry()
                .register(&mut stream, Token(connections.len()), Interest::READABLE)
                .map_err(io("epoll"))?;
            connections.push(Connection { stream, scanner });
        }
        let shared = Arc::new(Shared {
            deliveries: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            cpu_ns: AtomicU64::new(0),
            stop: AtomicBool::new(false),
            stall: AtomicBool::new(false),
            newest: connections.iter().map(|_| AtomicU64::new(0)).collect(),
            latency: Mutex::new(
                Histogram::new_with_bounds(1, LATENCY_MAX_US, 3).expect("bounds that the histogram takes"),
            ),
            failure: Mutex::new(None),
        });
        let reader = Arc::clone(&shared);
        let thread = thread::spawn(move || {
            // Where that is refused it competes, which a report shows in the writers' rate.
            let _ = rustix::process::setpriority_process(Some(rustix::thread::gettid()), NICENESS);
            if let Err(error) = read(poll, connections, &reader) {
                *lock(&reader.failure) = Some(error);
            }
        });
        Ok(Self { shared, thread })
    }

    pub(super) fn counts(&self) -> Counts {
        Counts {
            deliveries: self.shared.deliveries.load(Relaxed),
            bytes: self.shared.bytes.load(Relaxed),
            cpu: Duration::from_nanos(self.shared.cpu_ns.load(Relaxed)),
        }
    }

    /// Whether each has a moment, or a newer one.
    pub(super) fn have_all(&self, moment: u64) -> bool {
        self.shared
            .newest
            .iter()
            .all(|newest| newest.load(Relaxed) >= moment)
    }

    /// From the sending of writes to their deliveries, in microseconds.
    pub(super) fn latencies(&self) -> Histogram<u64> {
        lock(&self.shared.latency).clone()
    }

    pub(super) fn forget_latencies(&self) {
        lock(&self.shared.latency).reset();
    }

    /// Has them read nothing any more.
    pub(super) fn stall(&self) {
        self.shared.stall.store(true, Relaxed);
        // The thread has seen it by then.
        thread::sleep(2 * LOOK_EVERY);
    }

    /// Whether all is well.
    pub(super) fn check(&self) -> Result<(), BenchError> {
        lock(&self.shared.failure).take().map_or(Ok(()), Err)
    }

    /// Closes the connections.
    pub(super) fn stop(self) -> Result<(), BenchError> {
        self.shared.stop.store(true, Relaxed);
        self.thread.join().expect("the reader does not panic");
        lock(&self.shared.failure).take().map_or(Ok(()), Err)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn read(mut poll: Poll, mut connections: Vec<Connection>, shared: &Shared) -> Result<(), BenchError> {
    let mut events = Events::with_capacity(1024);
    let mut piece = vec![0; READ_BYTES];
    let mut latencies = Vec::new();
    let mut is_stalled = false;
    while !shared.stop.load(Relaxed) {
        if shared.stall.load(Relaxed) {
            if !std::mem::replace(&mut is_stalled, true) {
                for connection in &connections {
                    rustix::net::sockopt::set_socket_recv_buffer_size(
                        &connection.stream,
                        STALLED_BUFFER_BYTES,
                    )
                    .map_err(|error| io("a socket's buffer")(error.into()))?;
                }
            }
            thread::sleep(LOOK_EVERY);
            continue;
        }
        match poll.poll(&mut events, Some(LOOK_EVERY)) {
            Err(error) if error.kind() != ErrorKind::Interrupted => return Err(io("epoll")(error)),
            _ => {}
        }
        for event in &events {
            let index = event.token().0;
            let connection = &mut connections[index];
            loop {
                let count = match connection.stream.read(&mut piece) {
                    Ok(0) => return Err(BenchError::Answer("the server closed a subscriber's connection")),
                    Ok(count) => count,
                    Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                    Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                    Err(error) => return Err(io("reading changes")(error)),
                };
                let now = writers::moment();
                let (mut found, mut newest) = (0, 0);
                let seen = connection.scanner.scan(&piece[..count], &mut |moment| {
                    found += 1;
                    newest = newest.max(moment);
                    latencies.push(now.saturating_sub(moment));
                });
                if seen.is_closed {
                    return Err(BenchError::Answer("the server closed a subscriber's socket"));
                }
                for _ in 0..seen.pings {
                    connection
                        .stream
                        .write_all(&wire::PONG)
                        .map_err(io("answering a ping"))?;
                }
                shared.deliveries.fetch_add(found, Relaxed);
                shared.bytes.fetch_add(count as u64, Relaxed);
                shared.newest[index].fetch_max(newest, Relaxed);
                // A short read has emptied the socket: what comes later is a new edge.
                if count < piece.len() {
                    break;
                }
            }
        }
        if !latencies.is_empty() {
            let mut histogram = lock(&shared.latency);
            for latency in latencies.drain(..) {
                histogram.saturating_record(latency);
            }
        }
        let own = clock_gettime(ClockId::ThreadCPUTime);
        let used = Duration::new(own.tv_sec.unsigned_abs(), u32::try_from(own.tv_nsec).unwrap_or(0));
        shared
            .cpu_ns
            .store(u64::try_from(used.as_nanos()).unwrap_or(u64::MAX), Relaxed);
    }
    Ok(())
}

/// Connects one subscriber and waits until it listens.
fn open(
    address: SocketAddr,
    wire: Wire,
    subscribed: u16,
    subscription: &Subscription,
    side: &mut Client,
) -> Result<(TcpStream, Scanner), BenchError> {
    // It has seen all that is read here, so that it knows where it is in the stream.
    let mut scanner = Scanner::new(wire);
    let mut stream = TcpStream::connect(address).map_err(io(format!("connecting to {address}")))?;
    stream.set_nodelay(true).map_err(io("TCP_NODELAY"))?;
    stream
        .set_read_timeout(Some(BEGIN_TIMEOUT))
        .map_err(io("a read timeout"))?;
    stream
        .write_all(&subscription.connect)
        .map_err(io("connecting a subscriber"))?;
    match wire {
        Wire::WebSocket => {
            let head_end = |bytes: &[u8]| memmem::find(bytes, b"\r\n\r\n").map(|at| at + 4);
            let head = read_until(&mut stream, |bytes| head_end(bytes).is_some())?;
            if !head.starts_with(b"HTTP/1.1 101") {
                return Err(BenchError::Answer("no WebSocket"));
            }
            scanner.scan(&head[head_end(&head).unwrap_or(head.len())..], &mut |_| {});
            for listen in &subscription.listens {
                stream
                    .write_all(&wire::text_frame(listen))
                    .map_err(io("subscribing"))?;
            }
            let complete = memmem::Finder::new(b"\"more\":false");
            let begun = read_until(&mut stream, |bytes| {
                complete.find_iter(bytes).count() >= subscription.listens.len()
            })?;
            scanner.scan(&begun, &mut |_| {});
        }
        Wire::EventStream => {
            let greeting = read_until(&mut stream, |bytes| client_id(bytes).is_some())?;
            let id = client_id(&greeting).expect("it was found");
            if id.len() != CLIENT_ID_HOLE.len() {
                return Err(BenchError::Answer(
                    "an id of another length than requests were made for",
                ));
            }
            for listen in &subscription.listens {
                let request = String::from_utf8_lossy(listen).replace(CLIENT_ID_HOLE, id);
                side.expect("a subscription", subscribed, request.as_bytes())?;
            }
        }
    }
    Ok((stream, scanner))
}

fn client_id(bytes: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(bytes).ok()?;
    let (_, rest) = text.split_once("\"clientId\":\"")?;
    rest.split_once('"').map(|(id, _)| id)
}

fn read_until(
    stream: &mut TcpStream,
    mut is_there: impl FnMut(&[u8]) -> bool,
) -> Result<Vec<u8>, BenchError> {
    let mut bytes = Vec::new();
    let mut piece = vec![0; READ_BYTES];
    while !is_there(&bytes) {
        let count = stream.read(&mut piece).map_err(io("waiting for a listen"))?;
        if count == 0 {
            return Err(BenchError::Answer("the server closed a subscriber's connection"));
        }
        bytes.extend_from_slice(&piece[..count]);
    }
    Ok(bytes)
}
