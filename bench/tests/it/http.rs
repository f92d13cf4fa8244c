//! Finding the end of an answer, however the network cuts it.

use andiron_bench::http::{Progress, Whole, body, request};

const PLAIN: &[u8] = b"HTTP/1.1 200 OK\r\nDate: now\r\ncontent-length: 5\r\nConnection: x\r\n\r\nhello";
const CHUNKED: &[u8] = b"HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n\
    5\r\nhello\r\n00007;name=value\r\n, world\r\n0\r\n\r\n";

/// Feeds an answer in two pieces, cut at every place there is.
fn in_two_pieces(answer: &[u8]) -> Vec<Whole> {
    (0..answer.len())
        .map(|cut| {
            let mut progress = Progress::default();
            let early = progress.advance(&answer[..cut]).unwrap();
            assert_eq!(early, None, "the first {cut} bytes are no whole answer");
            progress.advance(answer).unwrap().expect("whole")
        })
        .collect()
}

#[test]
fn an_answer_is_whole_at_its_last_byte_wherever_it_is_cut() {
    for (answer, status, content) in [
        (PLAIN, 200, &b"hello"[..]),
        (CHUNKED, 201, b"hello, world"),
        (b"HTTP/1.1 204 No Content\r\n\r\n", 204, b""),
    ] {
        for whole in in_two_pieces(answer) {
            assert_eq!((whole.status, whole.len), (status, answer.len()));
            assert_eq!(body(answer, &whole).unwrap(), content);
        }
    }
}

#[test]
fn an_answer_that_comes_byte_by_byte_is_found() {
    for answer in [PLAIN, CHUNKED] {
        let mut progress = Progress::default();
        let found = (0..=answer.len()).find_map(|len| progress.advance(&answer[..len]).unwrap());
        assert_eq!(found.map(|whole| whole.len), Some(answer.len()));
    }
}

#[test]
fn bytes_after_the_answer_are_left_alone() {
    let mut two = PLAIN.to_vec();
    two.extend_from_slice(CHUNKED);
    let whole = Progress::default().advance(&two).unwrap().expect("whole");
    assert_eq!(whole.len, PLAIN.len());
}

#[test]
fn what_is_no_answer_is_refused() {
    for bad in [
        &b"SSH-2.0-OpenSSH_9.6\r\n\r\n"[..],
        b"HTTP/2 200\r\n\r\n",
        b"HTTP/1.1 2x0 OK\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nDate: now\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nabXX",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffff\r\n",
    ] {
        let refused = Progress::default().advance(bad);
        assert!(
            refused.is_err(),
            "{:?} gave {refused:?}",
            String::from_utf8_lossy(bad)
        );
    }
    let endless = [&b"HTTP/1.1 200 OK\r\n"[..], &[b'x'; 70_000]].concat();
    assert!(Progress::default().advance(&endless).is_err());
}

#[test]
fn a_request_says_how_long_its_body_is() {
    let with = request("POST", "/a", &["X: y"], Some(b"{}"));
    assert_eq!(
        String::from_utf8(with).unwrap(),
        "POST /a HTTP/1.1\r\nHost: 127.0.0.1\r\nX: y\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
    );
    let without = request("GET", "/a", &[], None);
    assert_eq!(
        String::from_utf8(without).unwrap(),
        "GET /a HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
    );
}
