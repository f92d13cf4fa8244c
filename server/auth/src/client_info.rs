//! What is known of the client of a request: for limits, lists of sessions and the audit log.

use std::net::{IpAddr, Ipv6Addr};

/// Characters of a client's name for itself that are kept.
const DEVICE_CHARS_MAX: usize = 200;

/// The client of a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientInfo {
    address: Option<IpAddr>,
    device: String,
}

impl ClientInfo {
    /// A client by its address, if it came over a network, and what it calls itself (`User-Agent`). Of that, control
    /// characters are dropped and 200 characters kept.
    pub fn new(address: Option<IpAddr>, device: &str) -> Self {
        let device = device
            .chars()
            .filter(|character| !character.is_control())
            .take(DEVICE_CHARS_MAX)
            .collect();
        Self {
            address: address.map(|address| address.to_canonical()),
            device,
        }
    }

    /// What the client calls itself.
    pub(crate) fn device(&self) -> &str {
        &self.device
    }

    /// Its address as text; empty for the local socket.
    pub(crate) fn address(&self) -> String {
        self.address
            .map(|address| address.to_string())
            .unwrap_or_default()
    }

    /// What its attempts are counted under; `None` for the local socket, whose owner nobody needs to slow down. One
    /// client commands a whole IPv6 /64.
    pub(crate) fn limit_key(&self) -> Option<String> {
        self.address.map(|address| match address {
            IpAddr::V4(address) => address.to_string(),
            IpAddr::V6(address) => {
                let [a, b, c, d, ..] = address.segments();
                format!("{}/64", Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(address: &str) -> String {
        ClientInfo::new(Some(address.parse().unwrap()), "")
            .limit_key()
            .unwrap()
    }

    #[test]
    fn a_client_does_not_escape_by_another_address_of_its_network() {
        assert_eq!(key("2001:db8::1"), key("2001:db8::ffff:2"));
        assert_ne!(key("2001:db8::1"), key("2001:db8:0:1::1"));
        assert_eq!(key("::ffff:192.0.2.1"), key("192.0.2.1"));
        assert_ne!(key("192.0.2.1"), key("192.0.2.2"));
    }

    #[test]
    fn what_a_client_calls_itself_is_cut_and_cleaned() {
        let client = ClientInfo::new(None, &format!("a\r\nb{}", "x".repeat(500)));
        assert_eq!(client.device().len(), DEVICE_CHARS_MAX);
        assert!(client.device().starts_with("abx"));
    }
}
