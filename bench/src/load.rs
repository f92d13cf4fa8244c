//! The closed loop: every connection sends its next request as soon as the answer to its last one is there.
//!
//! One thread and epoll, one `read` and one `write` a request, no allocation once it runs: what the generator costs is
//! taken from the server, which shares the cores. A closed loop shows what a server can do with so many clients that
//! wait for it; it does not show queueing under an arrival rate of its own.
//!
//! Invariant: only answers with the status of success count. Any other ends the measurement with an error, so a fast
//! refusal can never pass for a fast answer.

use std::{
    io::{ErrorKind, Read as _, Write as _},
    net::SocketAddr,
    time::{Duration, Instant},
};

use hdrhistogram::Histogram;
use mio::{Events, Interest, Poll, Token, net::TcpStream};
use rustix::time::{ClockId, clock_gettime};

use crate::{
    BenchError,
    http::{self, Progress},
    io, process,
};

/// Latencies beyond this count as this.
const LATENCY_MAX: Duration = Duration::from_secs(120);

/// Significant digits kept of a latency.
const LATENCY_DIGITS: u8 = 3;

/// What a connection's buffer holds at first; it grows to the longest answer.
const INPUT_BYTES: usize = 64 * 1024;

/// How long answers may take once no more requests are sent.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(60);

/// Where requests come from.
pub trait Feed {
    /// Appends the next request to `out` and gives the status that its answer has on success, or nothing if there are
    /// no more.
    fn next(&mut self, out: &mut Vec<u8>) -> Option<u16>;
}

/// Requests that go on beside the measured ones, on a connection of their own at a steady pace.
pub struct Background<'a> {
    /// Their source.
    pub feed: &'a mut dyn Feed,
    /// The pace; a server that cannot keep up gets fewer.
    pub per_second: u32,
}

/// What to measure.
#[derive(Debug, Clone, Copy)]
pub struct Load {
    /// The server.
    pub address: SocketAddr,
    /// Its process, whose CPU time is read.
    pub pid: u32,
    /// Connections that send the measured requests.
    pub connections: usize,
    /// Requests answered in this time are not counted.
    pub warm_up: Duration,
    /// How long to count, or until the feed ends.
    pub measure: Duration,
}

/// What was measured.
#[derive(Debug, Clone)]
pub struct Measured {
    /// Requests answered.
    pub requests: u64,
    /// Background requests answered.
    pub background: u64,
    /// The time they took together.
    pub elapsed: Duration,
    /// Nanoseconds from a request's first byte sent to its answer's last byte read, background left out.
    pub latency: Histogram<u64>,
    /// What the server's process used.
    pub server_cpu: Duration,
    /// What the generator's thread used.
    pub generator_cpu: Duration,
    /// Bytes of answers.
    pub answer_bytes: u64,
}

impl Measured {
    /// Requests a second, background left out.
    #[must_use]
    pub fn rate(&self) -> f64 {
        self.requests as f64 / self.elapsed.as_secs_f64()
    }

    /// Microseconds of server CPU a request, background requests counted as requests.
    #[must_use]
    pub fn server_cpu_us(&self) -> f64 {
        self.server_cpu.as_secs_f64() * 1e6 / (self.requests + self.background).max(1) as f64
    }

    /// Microseconds of the generator's own CPU a request.
    #[must_use]
    pub fn generator_cpu_us(&self) -> f64 {
        self.generator_cpu.as_secs_f64() * 1e6 / (self.requests + self.background).max(1) as f64
    }

    /// A quantile of the latency in microseconds.
    #[must_use]
    pub fn latency_us(&self, quantile: f64) -> f64 {
        self.latency.value_at_quantile(quantile) as f64 / 1e3
    }
}

struct Connection {
    stream: TcpStream,
    out: Vec<u8>,
    sent: usize,
    input: Vec<u8>,
    filled: usize,
    progress: Progress,
    begun: Instant,
    expected: u16,
    waiting: bool,
    background: bool,
}

/// What the two ends of the measured window are compared by.
struct Edge {
    at: Instant,
    server_cpu: Duration,
    generator_cpu: Duration,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    WarmUp,
    Measure,
    Drain,
}

/// Drives a server and measures.
///
/// # Errors
/// An answer is malformed or has another status than expected, a connection breaks, or the server stops answering.
pub fn run(
    load: &Load,
    feed: &mut dyn Feed,
    background: Option<Background<'_>>,
) -> Result<Measured, BenchError> {
    Driver::connect(load, background.is_some())?.drive(load, feed, background)
}

struct Driver {
    poll: Poll,
    connections: Vec<Connection>,
    waiting: usize,
    measured: Measured,
}

impl Driver {
    fn connect(load: &Load, background: bool) -> Result<Self, BenchError> {
        let poll = Poll::new().map_err(io("epoll"))?;
        let mut connections = Vec::with_capacity(load.connections + 1);
        for index in 0..load.connections + usize::from(background) {
            let stream = std::net::TcpStream::connect(load.address)
                .and_then(|stream| {
                    stream
                        .set_nodelay(true)
                        .and_then(|()| stream.set_nonblocking(true))
                        .map(|()| stream)
                })
                .map_err(io(format!("connecting to {}", load.address)))?;
            let mut stream = TcpStream::from_std(stream);
            // Both interests at once and edge-triggered: writability is reported only when it comes back.
            poll.registry()
                .register(&mut stream, Token(index), Interest::READABLE | Interest::WRITABLE)
                .map_err(io("epoll"))?;
            connections.push(Connection {
                stream,
                out: Vec::with_capacity(4096),
                sent: 0,
                input: vec![0; INPUT_BYTES],
                filled: 0,
                progress: Progress::default(),
                begun: Instant::now(),
                expected: 0,
                waiting: false,
                background: index == load.connections,
            });
        }
        let latency = Histogram::new_with_bounds(100, LATENCY_MAX.as_nanos() as u64, LATENCY_DIGITS)
            .expect("bounds that the histogram takes");
        let measured = Measured {
            requests: 0,
            background: 0,
            elapsed: Duration::ZERO,
            latency,
            server_cpu: Duration::ZERO,
            generator_cpu: Duration::ZERO,
            answer_bytes: 0,
        };
        Ok(Self {
            poll,
            connections,
            waiting: 0,
            measured,
        })
    }

    fn drive(
        mut self,
        load: &Load,
        feed: &mut dyn Feed,
        mut background: Option<Background<'_>>,
    ) -> Result<Measured, BenchError> {
        let mut events = Events::with_capacity(1024);
        let started = Instant::now();
        let pace = background
            .as_ref()
            .map(|background| Duration::from_secs(1) / background.per_second.max(1));
        let mut due = started;
        let (mut phase, mut phase_ends) = (Phase::WarmUp, started + load.warm_up);
        let mut opened = edge(load.pid, started)?;
        for index in 0..load.connections {
            self.send(index, feed, started)?;
        }
        loop {
            let now = Instant::now();
            if phase == Phase::WarmUp && now >= phase_ends {
                self.measured.latency.reset();
                (
                    self.measured.requests,
                    self.measured.background,
                    self.measured.answer_bytes,
                ) = (0, 0, 0);
                opened = edge(load.pid, now)?;
                (phase, phase_ends) = (Phase::Measure, now + load.measure);
            }
            if phase == Phase::Measure && (now >= phase_ends || self.waiting == 0) {
                let closed = edge(load.pid, now)?;
                self.measured.elapsed = closed.at - opened.at;
                self.measured.server_cpu = closed.server_cpu.saturating_sub(opened.server_cpu);
                self.measured.generator_cpu = closed.generator_cpu.saturating_sub(opened.generator_cpu);
                (phase, phase_ends) = (Phase::Drain, now + DRAIN_TIMEOUT);
            }
            if phase == Phase::Drain {
                // Requests under way are awaited, so that the server is idle when the next measurement begins.
                if self.waiting == 0 {
                    return Ok(self.measured);
                }
                if now >= phase_ends {
                    return Err(BenchError::Answer("none within 60 s"));
                }
            }
            let mut wake = phase_ends;
            if let (Some(background), Some(pace)) = (&mut background, pace)
                && phase != Phase::Drain
                && !self.connections[load.connections].waiting
            {
                if now >= due {
                    self.send(load.connections, background.feed, now)?;
                    // What was missed is not made up for: the pace is an upper bound.
                    due = (due + pace).max(now);
                } else {
                    wake = wake.min(due);
                }
            }
            match self
                .poll
                .poll(&mut events, Some(wake.saturating_duration_since(now)))
            {
                Err(error) if error.kind() != ErrorKind::Interrupted => return Err(io("epoll")(error)),
                _ => {}
            }
            for event in &events {
                let index = event.token().0;
                if event.is_writable() {
                    self.flush(index)?;
                }
                if event.is_readable() && self.receive(index, phase)? && phase != Phase::Drain {
                    let connection = &self.connections[index];
                    if !connection.background {
                        self.send(index, feed, Instant::now())?;
                    }
                }
            }
        }
    }

    /// Sends the feed's next request, if it has one.
    fn send(&mut self, index: usize, feed: &mut dyn Feed, now: Instant) -> Result<(), BenchError> {
        let connection = &mut self.connections[index];
        connection.out.clear();
        let Some(expected) = feed.next(&mut connection.out) else {
            return Ok(());
        };
        connection.sent = 0;
        connection.expected = expected;
        connection.begun = now;
        connection.waiting = true;
        self.waiting += 1;
        self.flush(index)
    }

    fn flush(&mut self, index: usize) -> Result<(), BenchError> {
        let connection = &mut self.connections[index];
        while connection.sent < connection.out.len() {
            match connection.stream.write(&connection.out[connection.sent..]) {
                Ok(count) => connection.sent += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(io("sending a request")(error)),
            }
        }
        Ok(())
    }

    /// Reads what is there; true once the answer is whole.
    fn receive(&mut self, index: usize, phase: Phase) -> Result<bool, BenchError> {
        let connection = &mut self.connections[index];
        loop {
            if connection.filled == connection.input.len() {
                connection.input.resize(connection.input.len() * 2, 0);
            }
            let room = connection.input.len() - connection.filled;
            match connection.stream.read(&mut connection.input[connection.filled..]) {
                Ok(0) => return Err(BenchError::Answer("the server closed a connection")),
                Ok(count) => {
                    connection.filled += count;
                    // A short read has emptied the socket: what comes later is a new edge.
                    if count < room {
                        break;
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(io("reading an answer")(error)),
            }
        }
        if connection.filled == 0 {
            return Ok(false);
        }
        if !connection.waiting {
            return Err(BenchError::Answer("an answer that nothing was asked for"));
        }
        let Some(whole) = connection
            .progress
            .advance(&connection.input[..connection.filled])?
        else {
            return Ok(false);
        };
        if whole.len != connection.filled {
            return Err(BenchError::Answer("more bytes than the answer has"));
        }
        if whole.status != connection.expected {
            let body = http::body(&connection.input, &whole)?;
            let line = connection
                .out
                .split(|byte| *byte == b'\r')
                .next()
                .unwrap_or_default();
            return Err(BenchError::Status {
                what: String::from_utf8_lossy(line).into_owned(),
                expected: connection.expected,
                status: whole.status,
                body: http::excerpt(&body),
            });
        }
        connection.progress = Progress::default();
        connection.filled = 0;
        connection.waiting = false;
        self.waiting -= 1;
        // The window has closed for answers that come while draining.
        if phase != Phase::Drain {
            self.measured.answer_bytes += whole.len as u64;
            if connection.background {
                self.measured.background += 1;
            } else {
                self.measured.requests += 1;
                self.measured
                    .latency
                    .saturating_record(connection.begun.elapsed().as_nanos() as u64);
            }
        }
        Ok(true)
    }
}

fn edge(pid: u32, at: Instant) -> Result<Edge, BenchError> {
    let own = clock_gettime(ClockId::ThreadCPUTime);
    let generator_cpu = Duration::new(own.tv_sec.unsigned_abs(), u32::try_from(own.tv_nsec).unwrap_or(0));
    Ok(Edge {
        at,
        server_cpu: process::cpu_time(pid)?,
        generator_cpu,
    })
}
