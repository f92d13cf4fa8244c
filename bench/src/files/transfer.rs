//! Large bodies: one blocking thread a connection, bytes sent from where they lie and thrown away where they arrive.
//!
//! What is sent is one buffer for all; what comes is read into a small one and overwritten, as a client does that hashes
//! or writes it. So the generator costs what the system costs to move bytes, on either side alike.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    sync::{
        Barrier,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use hdrhistogram::Histogram;
use rustix::time::{ClockId, clock_gettime};

use super::Envelope;
use crate::{
    BenchError,
    http::{self, HEAD_BYTES_MAX, Whole},
    io,
    load::Measured,
    process,
};

/// Bytes of one read.
const READ_BYTES: usize = 256 * 1024;
/// An answer that takes longer is none.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(120);

/// A request of which the body lies elsewhere.
pub(super) struct Request<'b> {
    /// What stands around it.
    pub(super) envelope: Envelope,
    /// The body.
    pub(super) body: &'b [u8],
}

/// A connection that is used again and again.
pub(super) struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    pub(super) fn open(address: SocketAddr) -> Result<Self, BenchError> {
        Ok(Self {
            stream: http::connect(address, ANSWER_TIMEOUT)?,
            buffer: vec![0; READ_BYTES],
        })
    }

    /// Sends a request and gives the short answer: its body, or of an empty one its head.
    pub(super) fn ask(&mut self, request: &Request<'_>) -> Result<Vec<u8>, BenchError> {
        self.send(request)?;
        let (head, filled) = self.read_head(&request.envelope)?;
        if head.len > self.buffer.len() {
            return Err(BenchError::Answer("a longer one than was expected"));
        }
        self.stream
            .read_exact(&mut self.buffer[filled..head.len])
            .map_err(io("reading an answer"))?;
        let is_empty = head.head_len == head.len;
        Ok(self.buffer[if is_empty { 0 } else { head.head_len }..head.len].to_vec())
    }

    /// Sends a request and throws the answer's body away; gives how many bytes the answer had.
    pub(super) fn exchange(&mut self, request: &Request<'_>) -> Result<u64, BenchError> {
        self.send(request)?;
        let (head, filled) = self.read_head(&request.envelope)?;
        let mut left = head.len - filled;
        while left > 0 {
            let room = left.min(self.buffer.len());
            let count = self
                .stream
                .read(&mut self.buffer[..room])
                .map_err(io("reading an answer"))?;
            if count == 0 {
                return Err(BenchError::Answer("the connection ended before the answer did"));
            }
            left -= count;
        }
        Ok(head.len as u64)
    }

    /// Sends a body that is one piece so many times.
    pub(super) fn upload_over_and_over(
        &mut self,
        envelope: &Envelope,
        piece: &[u8],
        times: usize,
    ) -> Result<(), BenchError> {
        let parts = std::iter::once(envelope.head.as_slice()).chain(std::iter::repeat_n(piece, times));
        for part in parts {
            self.stream.write_all(part).map_err(io("sending a request"))?;
        }
        self.read_head(envelope).map(|_| ())
    }

    fn send(&mut self, request: &Request<'_>) -> Result<(), BenchError> {
        let envelope = &request.envelope;
        for part in [envelope.head.as_slice(), request.body, envelope.tail.as_slice()] {
            self.stream.write_all(part).map_err(io("sending a request"))?;
        }
        Ok(())
    }

    /// Reads at least the head of an answer of success; gives what it announces, and how much has come.
    fn read_head(&mut self, envelope: &Envelope) -> Result<(Whole, usize), BenchError> {
        let mut filled = 0;
        let head = loop {
            let count = self
                .stream
                .read(&mut self.buffer[filled..])
                .map_err(io("reading an answer"))?;
            if count == 0 {
                return Err(BenchError::Answer("the connection ended before the answer did"));
            }
            filled += count;
            if let Some(head) = http::announced(&self.buffer[..filled])? {
                break head;
            }
            if filled > HEAD_BYTES_MAX {
                return Err(BenchError::Answer("head beyond the limit"));
            }
        };
        if head.status != envelope.status {
            let line = envelope
                .head
                .split(|byte| *byte == b'\r')
                .next()
                .unwrap_or_default();
            return Err(BenchError::Status {
                what: String::from_utf8_lossy(line).into_owned(),
                expected: envelope.status,
                status: head.status,
                body: http::excerpt(&self.buffer[head.head_len..filled]),
            });
        }
        if filled > head.len {
            return Err(BenchError::Answer("more bytes than the answer has"));
        }
        Ok((head, filled))
    }
}

/// How much is measured: until the time is over or so many requests were sent, whichever is first.
#[derive(Debug, Clone, Copy)]
pub(super) struct Amount {
    pub(super) time: Duration,
    pub(super) requests_max: usize,
}

/// Drives a server over `connections` connections, each of which sends its next request when it has the answer to its
/// last. The first request of each is not counted. `next` makes the request of a number.
pub(super) fn drive<'b>(
    address: SocketAddr,
    pid: u32,
    connections: usize,
    amount: Amount,
    next: &(dyn Fn(usize) -> Request<'b> + Sync),
) -> Result<Measured, BenchError> {
    let numbers = AtomicUsize::new(0);
    let (warm, begin) = (Barrier::new(connections + 1), Barrier::new(connections + 1));
    let run = || -> Result<Vec<(Duration, u64)>, BenchError> {
        let opened = Connection::open(address).and_then(|mut connection| {
            connection
                .exchange(&next(numbers.fetch_add(1, Ordering::Relaxed)))
                .map(|_| connection)
        });
        // Whatever happened, the others must not wait for this one.
        warm.wait();
        begin.wait();
        let mut connection = opened?;
        let begun = Instant::now();
        let mut done = Vec::new();
        while begun.elapsed() < amount.time {
            let number = numbers.fetch_add(1, Ordering::Relaxed);
            if number >= connections + amount.requests_max {
                break;
            }
            let request = next(number);
            let sent = Instant::now();
            let bytes = connection.exchange(&request)?;
            done.push((sent.elapsed(), bytes));
        }
        Ok(done)
    };
    thread::scope(|scope| {
        let threads: Vec<_> = (0..connections).map(|_| scope.spawn(run)).collect();
        warm.wait();
        let (server_before, own_before, begun) = (process::cpu_time(pid)?, own_cpu(), Instant::now());
        begin.wait();
        let outcomes: Vec<_> = threads
            .into_iter()
            .map(|thread| thread.join().expect("a connection's thread does not panic"))
            .collect();
        let elapsed = begun.elapsed();
        let (server_cpu, generator_cpu) = (
            process::cpu_time(pid)?.saturating_sub(server_before),
            own_cpu().saturating_sub(own_before),
        );
        let mut latency = Histogram::new_with_bounds(100, ANSWER_TIMEOUT.as_nanos() as u64, 3)
            .expect("bounds that the histogram takes");
        let (mut requests, mut answer_bytes) = (0, 0);
        for outcome in outcomes {
            for (time, bytes) in outcome? {
                latency.saturating_record(time.as_nanos() as u64);
                requests += 1;
                answer_bytes += bytes;
            }
        }
        Ok(Measured {
            requests,
            background: 0,
            elapsed,
            latency,
            server_cpu,
            generator_cpu,
            answer_bytes,
        })
    })
}

fn own_cpu() -> Duration {
    let own = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(own.tv_sec.unsigned_abs(), u32::try_from(own.tv_nsec).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    const BODY: [u8; 5000] = [7; 5000];

    /// A server that takes `BODY` after every head, and answers with `status` and 600 KB, or with fewer.
    fn serve(status: u16, sent: usize) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || {
            for stream in listener.incoming() {
                thread::spawn(move || {
                    let mut stream = stream.unwrap();
                    let mut request = [0; 5000 + 18 + 3];
                    while stream.read_exact(&mut request).is_ok() {
                        assert!(
                            request.starts_with(b"PUT / HTTP/1.1\r\n\r\n") && request.ends_with(b"\x07end")
                        );
                        let mut answer =
                            format!("HTTP/1.1 {status} X\r\nContent-Length: 600000\r\n\r\n").into_bytes();
                        answer.resize(answer.len() + sent, b'x');
                        if stream.write_all(&answer).is_err() || sent < 600_000 {
                            return;
                        }
                    }
                });
            }
        });
        address
    }

    fn drive_it(address: SocketAddr) -> Result<Measured, BenchError> {
        let next = |_: usize| Request {
            envelope: Envelope {
                head: b"PUT / HTTP/1.1\r\n\r\n".to_vec(),
                tail: b"end".to_vec(),
                status: 201,
            },
            body: &BODY,
        };
        let amount = Amount {
            time: Duration::from_secs(600),
            requests_max: 5,
        };
        drive(address, std::process::id(), 2, amount, &next)
    }

    #[test]
    fn so_many_requests_are_counted_after_the_first_of_each_connection() {
        let measured = drive_it(serve(201, 600_000)).unwrap();
        assert_eq!(measured.requests, 5);
        assert!(measured.answer_bytes > 5 * 600_000);
    }

    #[test]
    fn other_statuses_and_answers_that_break_off_are_errors() {
        assert!(matches!(
            drive_it(serve(404, 600_000)),
            Err(BenchError::Status { status: 404, .. })
        ));
        assert!(drive_it(serve(201, 1000)).is_err());
    }
}
