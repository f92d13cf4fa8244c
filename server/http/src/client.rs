//! Which client sends a request: the address behind trusted proxies, and what it calls itself.
//!
//! Forwarding headers count only as far as proxies that the settings name have written them: the address is the last
//! in `X-Forwarded-For` that is no trusted proxy's. Whoever else sends the header changes nothing.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use andiron_auth::ClientInfo;
use axum::http::HeaderMap;
use axum::http::header::USER_AGENT;
use axum::http::request::Parts;

use crate::HttpOptions;

/// The address that a request's connection comes from; none on a local socket.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer(pub(crate) Option<IpAddr>);

/// A network whose members are believed when they say for whom they forward.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrustedProxy {
    address: IpAddr,
    prefix_bits: u8,
}

/// The text is no address and no network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrustedProxyError;

impl TrustedProxy {
    fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(network), IpAddr::V4(address)) => {
                let shift = 32 - u32::from(self.prefix_bits);
                (u32::from(network) ^ u32::from(address))
                    .checked_shr(shift)
                    .unwrap_or(0)
                    == 0
            }
            (IpAddr::V6(network), IpAddr::V6(address)) => {
                let shift = 128 - u32::from(self.prefix_bits);
                (u128::from(network) ^ u128::from(address))
                    .checked_shr(shift)
                    .unwrap_or(0)
                    == 0
            }
            _ => false,
        }
    }
}

impl FromStr for TrustedProxy {
    type Err = TrustedProxyError;

    fn from_str(text: &str) -> Result<Self, TrustedProxyError> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| TrustedProxyError)?;
        let bits_max = if address.is_ipv4() { 32 } else { 128 };
        let prefix_bits = match bits {
            Some(bits) => bits.parse().map_err(|_| TrustedProxyError)?,
            None => bits_max,
        };
        if prefix_bits > bits_max {
            return Err(TrustedProxyError);
        }
        Ok(Self { address, prefix_bits })
    }
}

impl fmt::Display for TrustedProxy {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.address, self.prefix_bits)
    }
}

/// The client of a request.
pub(crate) fn client_info(options: &HttpOptions, parts: &Parts) -> ClientInfo {
    let peer = parts.extensions.get::<Peer>().and_then(|peer| peer.0);
    let address = peer.map(|peer| behind_proxies(peer, &parts.headers, &options.trusted_proxies));
    let device = parts
        .headers
        .get(USER_AGENT)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    ClientInfo::new(address, device)
}

fn behind_proxies(peer: IpAddr, headers: &HeaderMap, trusted: &[TrustedProxy]) -> IpAddr {
    let is_trusted = |address: IpAddr| trusted.iter().any(|proxy| proxy.contains(address));
    let mut address = peer;
    if !is_trusted(peer) {
        return address;
    }
    let forwarded: Vec<&str> = headers
        .get_all("x-forwarded-for")
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .collect();
    for hop in forwarded.into_iter().rev() {
        // What a trusted proxy writes is an address; before something else nothing can be believed.
        let Ok(hop) = hop.parse::<IpAddr>() else { break };
        address = hop;
        if !is_trusted(hop) {
            break;
        }
    }
    address
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn seen(peer: &str, forwarded: &str, trusted: &[&str]) -> String {
        let trusted: Vec<_> = trusted.iter().map(|text| text.parse().unwrap()).collect();
        let mut headers = HeaderMap::new();
        headers.insert("x-forwarded-for", HeaderValue::from_str(forwarded).unwrap());
        behind_proxies(peer.parse().unwrap(), &headers, &trusted).to_string()
    }

    #[test]
    fn only_trusted_proxies_are_believed() {
        assert_eq!(seen("192.0.2.1", "203.0.113.9", &[]), "192.0.2.1");
        assert_eq!(seen("192.0.2.1", "203.0.113.9", &["10.0.0.0/8"]), "192.0.2.1");
        assert_eq!(seen("10.1.2.3", "203.0.113.9", &["10.0.0.0/8"]), "203.0.113.9");
        assert_eq!(
            seen("::ffff:10.1.2.3", "203.0.113.9", &["10.0.0.0/8"]),
            "203.0.113.9"
        );
        assert_eq!(
            seen("10.1.2.3", "6.6.6.6, 203.0.113.9, 10.9.9.9", &["10.0.0.0/8"]),
            "203.0.113.9",
            "what a client writes itself stands to the left"
        );
        assert_eq!(seen("10.1.2.3", "6.6.6.6, junk", &["10.0.0.0/8"]), "10.1.2.3");
        assert_eq!(
            seen("2001:db8::1", "203.0.113.9", &["2001:db8::/32"]),
            "203.0.113.9"
        );
    }

    #[test]
    fn networks_are_read_strictly() {
        for text in [
            "",
            "10.0.0.0/33",
            "10.0.0",
            "::/129",
            "example.org",
            "10.0.0.0/-1",
        ] {
            assert!(text.parse::<TrustedProxy>().is_err(), "{text}");
        }
        assert_eq!(
            "0.0.0.0/0".parse::<TrustedProxy>().unwrap().to_string(),
            "0.0.0.0/0"
        );
        assert_eq!(seen("10.1.2.3", "1.1.1.1", &["0.0.0.0/0"]), "1.1.1.1");
    }
}
