//! Request ids: the caller's own if it is a sane one, else generated.

use std::sync::atomic::{AtomicU64, Ordering};

use axum::http::{HeaderMap, HeaderName, HeaderValue};

/// The header that carries it, in requests and answers.
pub(crate) const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Characters of a caller's own id.
const REQUEST_ID_CHARS_MAX: usize = 64;

/// The id of one request: 1 to 64 of `A-Z a-z 0-9 . _ -`.
#[derive(Clone, Debug)]
pub(crate) struct RequestId(HeaderValue);

impl RequestId {
    /// The caller's own id, if it sent one and only one that is sane.
    pub(crate) fn from_headers(headers: &HeaderMap) -> Option<Self> {
        let mut values = headers.get_all(X_REQUEST_ID).iter();
        let (value, another) = (values.next()?, values.next());
        let is_sane = (1..=REQUEST_ID_CHARS_MAX).contains(&value.len())
            && value
                .as_bytes()
                .iter()
                .all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(byte));
        (is_sane && another.is_none()).then(|| Self(value.clone()))
    }

    pub(crate) fn as_str(&self) -> &str {
        self.0.to_str().unwrap_or_default()
    }

    pub(crate) fn to_header(&self) -> HeaderValue {
        self.0.clone()
    }
}

/// Gives out ids that differ within a process for certain and between processes as far as 64 bits can tell.
#[derive(Debug)]
pub(crate) struct RequestIds(AtomicU64);

impl RequestIds {
    /// Ids that begin at a place of their own; `start` should be random.
    pub(crate) fn new(start: u64) -> Self {
        Self(AtomicU64::new(start))
    }

    pub(crate) fn generate(&self) -> RequestId {
        let number = scatter(self.0.fetch_add(1, Ordering::Relaxed));
        let mut digits = [0; 16];
        for (place, digit) in digits.iter_mut().enumerate() {
            let nibble = (number >> (4 * place)) & 0xf;
            *digit = b"0123456789abcdef"[usize::try_from(nibble).unwrap_or_default()];
        }
        RequestId(HeaderValue::from_bytes(&digits).unwrap_or(HeaderValue::from_static("-")))
    }
}

/// A permutation of 64-bit numbers (the finalizer of SplitMix64): neighbours come out unlike each other, so that ids
/// of two servers are not mistaken for each other.
fn scatter(number: u64) -> u64 {
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own(value: &'static str) -> Option<String> {
        let mut headers = HeaderMap::new();
        headers.insert(X_REQUEST_ID, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        RequestId::from_headers(&headers).map(|id| id.as_str().to_owned())
    }

    #[test]
    fn only_sane_ids_of_callers_are_taken() {
        assert_eq!(own("req-1.A_z").as_deref(), Some("req-1.A_z"));
        let long: &'static str = "a".repeat(65).leak();
        for insane in ["", "a b", "a\tb", "{x}", "ü", long] {
            assert_eq!(own(insane), None, "{insane}");
        }
    }

    #[test]
    fn generated_ids_differ() {
        let ids = RequestIds::new(u64::MAX - 5);
        let mut seen: Vec<_> = (0..1000).map(|_| ids.generate().as_str().to_owned()).collect();
        seen.sort();
        seen.dedup();
        assert_eq!(seen.len(), 1000);
        assert!(seen.iter().all(|id| id.len() == 16));
    }
}
