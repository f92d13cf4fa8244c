//! The closed loop against a small server of the test's own.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use andiron_bench::{
    BenchError,
    load::{self, Background, Feed, Load},
};

/// How the server answers request number `n` on any connection: the bytes, or nothing to hang up.
type Answer = fn(n: usize) -> Option<Vec<u8>>;

/// A thread a connection; every request ends with an empty line. The threads end with their connections.
fn serve(answer: Answer) -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let served = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&served);
    thread::spawn(move || {
        for stream in listener.incoming() {
            let counter = Arc::clone(&counter);
            thread::spawn(move || answer_all(stream.unwrap(), &counter, answer));
        }
    });
    (address, served)
}

fn answer_all(mut stream: TcpStream, counter: &AtomicUsize, answer: Answer) {
    let mut request = [0; 4096];
    while let Ok(count @ 1..) = stream.read(&mut request) {
        assert!(
            request[..count].ends_with(b"\r\n\r\n"),
            "requests come one at a time and whole"
        );
        let Some(bytes) = answer(counter.fetch_add(1, Ordering::SeqCst)) else {
            return;
        };
        if stream.write_all(&bytes).is_err() {
            return;
        }
    }
}

fn hello(_: usize) -> Option<Vec<u8>> {
    Some(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello".to_vec())
}

fn large(_: usize) -> Option<Vec<u8>> {
    let mut answer = b"HTTP/1.1 200 OK\r\nContent-Length: 300000\r\n\r\n".to_vec();
    answer.resize(answer.len() + 300_000, b'x');
    Some(answer)
}

fn fails_the_tenth(n: usize) -> Option<Vec<u8>> {
    if n == 9 {
        Some(b"HTTP/1.1 429 No\r\nContent-Length: 9\r\n\r\nslow down".to_vec())
    } else {
        hello(n)
    }
}

fn hangs_up_on_the_tenth(n: usize) -> Option<Vec<u8>> {
    if n == 9 { None } else { hello(n) }
}

/// So many requests, then none.
struct Limited(usize);

impl Feed for Limited {
    fn next(&mut self, out: &mut Vec<u8>) -> Option<u16> {
        self.0 = self.0.checked_sub(1)?;
        out.extend_from_slice(b"GET / HTTP/1.1\r\n\r\n");
        Some(200)
    }
}

fn load(address: SocketAddr, connections: usize) -> Load {
    Load {
        address,
        pid: std::process::id(),
        connections,
        warm_up: Duration::ZERO,
        measure: Duration::from_secs(60),
    }
}

#[test]
fn every_request_of_a_feed_is_sent_once_and_counted_once() {
    for connections in [1, 7] {
        let (address, served) = serve(hello);
        let measured = load::run(&load(address, connections), &mut Limited(500), None).unwrap();
        assert_eq!(measured.requests, 500);
        assert_eq!(measured.latency.len(), 500);
        assert_eq!(
            measured.answer_bytes,
            500 * b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello".len() as u64
        );
        assert_eq!(served.load(Ordering::SeqCst), 500);
        assert!(measured.rate() > 0.0 && measured.latency_us(0.5) > 0.0);
    }
}

#[test]
fn answers_longer_than_the_buffer_arrive_whole() {
    let (address, _) = serve(large);
    let measured = load::run(&load(address, 3), &mut Limited(30), None).unwrap();
    assert_eq!(measured.requests, 30);
    assert!(measured.answer_bytes > 30 * 300_000);
}

#[test]
fn a_measurement_ends_with_its_time_and_awaits_what_is_under_way() {
    let (address, served) = serve(hello);
    let load = Load {
        warm_up: Duration::from_millis(20),
        measure: Duration::from_millis(100),
        ..load(address, 4)
    };
    let measured = load::run(&load, &mut Limited(usize::MAX), None).unwrap();
    assert!(measured.elapsed >= Duration::from_millis(100));
    assert!(measured.requests > 0);
    assert!(
        (measured.requests as usize) < served.load(Ordering::SeqCst),
        "the warm-up is not counted"
    );
}

#[test]
fn background_requests_are_counted_apart() {
    let (address, served) = serve(hello);
    let load = Load {
        measure: Duration::from_millis(200),
        ..load(address, 2)
    };
    let background = Background {
        feed: &mut Limited(usize::MAX),
        per_second: 100,
    };
    let measured = load::run(&load, &mut Limited(usize::MAX), Some(background)).unwrap();
    assert!(measured.background > 0);
    assert!(
        measured.background <= 21,
        "the pace is an upper bound, seen {}",
        measured.background
    );
    assert_eq!(measured.latency.len(), measured.requests);
    assert!(served.load(Ordering::SeqCst) as u64 >= measured.requests + measured.background);
}

#[test]
fn a_status_of_failure_ends_the_measurement() {
    let (address, _) = serve(fails_the_tenth);
    match load::run(&load(address, 1), &mut Limited(100), None) {
        Err(BenchError::Status {
            expected: 200,
            status: 429,
            body,
            what,
        }) => {
            assert_eq!(body, "slow down");
            assert_eq!(what, "GET / HTTP/1.1");
        }
        other => panic!("expected the status to be refused, got {other:?}"),
    }
}

#[test]
fn a_connection_that_ends_early_ends_the_measurement() {
    let (address, _) = serve(hangs_up_on_the_tenth);
    assert!(load::run(&load(address, 1), &mut Limited(100), None).is_err());
}
