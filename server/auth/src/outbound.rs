//! Requests to other servers: identity providers, whose URLs come from settings or from what a provider says, and the webhook
//! for text messages.
//!
//! One client for all: HTTPS, no redirects followed, five seconds, one mebibyte. A name is resolved first, every address
//! checked, and the checked address connected to, so that no name leads into the server's own network, neither at once
//! nor by changing its mind. Answers are read by the caller and never passed on.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Bytes;
use hyper::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST, USER_AGENT};
use hyper::{Method, Request, Uri};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use crate::SecretText;

/// How long a whole exchange may take.
const EXCHANGE_TIME_MAX: Duration = Duration::from_secs(5);
/// Bytes of an answer.
const ANSWER_BYTES_MAX: usize = 1024 * 1024;

/// Sends requests out.
pub(crate) struct Outbound {
    /// Made when it is first needed: the system's certificates are some hundred files, and most servers never call out.
    tls: OnceLock<TlsConnector>,
    /// Whether servers in private networks, and plain HTTP, are allowed: for development, and providers of one's own.
    allows_private: bool,
    network: Network,
}

/// Where names are looked up and connections made.
enum Network {
    System,
    /// One that a test sets up.
    #[cfg(test)]
    Staged(tests::Stage),
}

impl Network {
    async fn addresses(&self, host: &str, port: u16) -> std::io::Result<Vec<SocketAddr>> {
        match self {
            Self::System => Ok(tokio::net::lookup_host((host, port)).await?.collect()),
            #[cfg(test)]
            Self::Staged(stage) => Ok(stage.addresses()),
        }
    }

    async fn connect(&self, address: SocketAddr) -> std::io::Result<TcpStream> {
        match self {
            Self::System => TcpStream::connect(address).await,
            #[cfg(test)]
            Self::Staged(stage) => stage.connect(address).await,
        }
    }
}

/// A request to be sent.
pub(crate) struct Call<'c> {
    pub(crate) url: &'c str,
    /// What is posted; without it, it is a `GET`.
    pub(crate) body: Option<CallBody<'c>>,
    /// Headers besides ours, in lower case.
    pub(crate) headers: &'c [(&'c str, &'c str)],
    /// What stands in `Authorization`.
    pub(crate) authorization: Option<SecretText>,
}

/// Fields to be posted, in one of two forms.
#[derive(Clone, Copy)]
pub(crate) enum CallBody<'c> {
    Form(&'c [(&'c str, &'c str)]),
    Json(&'c [(&'c str, &'c str)]),
}

impl Outbound {
    pub(crate) fn new(allows_private: bool) -> Self {
        Self {
            tls: OnceLock::new(),
            allows_private,
            network: Network::System,
        }
    }

    fn tls(&self) -> &TlsConnector {
        self.tls.get_or_init(|| {
            let mut roots = RootCertStore::empty();
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            let config = ClientConfig::builder()
                .with_root_certificates(roots)
                .with_no_client_auth();
            TlsConnector::from(Arc::new(config))
        })
    }

    /// Sends a request and gives the answer's JSON. The error is for the log.
    pub(crate) async fn json(&self, call: Call<'_>) -> Result<serde_json::Value, String> {
        let url = call.url;
        let answer = self.send(url, |uri| request(&call, uri)).await?;
        serde_json::from_slice(&answer).map_err(|error| format!("`{url}`: the answer is no JSON: {error}"))
    }

    /// Posts JSON with a header of the caller's. What is answered is told to nobody, if only it is a success. The error is
    /// for the log.
    pub(crate) async fn post(&self, url: &str, header: (&str, &str), json: Vec<u8>) -> Result<(), String> {
        let (name, value) = header;
        let request = |uri: &Uri| {
            let request = head(Method::POST, uri)
                .header(CONTENT_TYPE, "application/json")
                .header(name, value);
            request
                .body(Full::new(Bytes::from(json)))
                .map_err(|error| error.to_string())
        };
        self.send(url, request).await.map(drop)
    }

    /// Sends a request, if it may be sent there, and gives the body of the answer, if that is a success.
    async fn send(
        &self,
        url: &str,
        request: impl FnOnce(&Uri) -> Result<Request<Full<Bytes>>, String>,
    ) -> Result<Bytes, String> {
        match timeout(EXCHANGE_TIME_MAX, self.exchange(url, request)).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => Err(format!("`{url}`: {error}")),
            Err(_) => Err(format!(
                "`{url}`: no answer within {} s",
                EXCHANGE_TIME_MAX.as_secs()
            )),
        }
    }

    async fn exchange(
        &self,
        url: &str,
        request: impl FnOnce(&Uri) -> Result<Request<Full<Bytes>>, String>,
    ) -> Result<Bytes, String> {
        let uri: Uri = url.parse().map_err(|error| format!("{error}"))?;
        let is_tls = match uri.scheme_str() {
            Some("https") => true,
            Some("http") if self.allows_private => false,
            _ => return Err("only https is taken".to_owned()),
        };
        let host = uri.host().unwrap_or_default().trim_matches(['[', ']']).to_owned();
        let port = uri.port_u16().unwrap_or(if is_tls { 443 } else { 80 });
        let address = self.resolve(&host, port).await?;
        let stream = self.network.connect(address).await;
        let stream = stream.map_err(|error| error.to_string())?;
        let request = request(&uri)?;
        if is_tls {
            let name = ServerName::try_from(host).map_err(|error| error.to_string())?;
            let stream = self
                .tls()
                .connect(name, stream)
                .await
                .map_err(|error| error.to_string())?;
            send(TokioIo::new(stream), request).await
        } else {
            send(TokioIo::new(stream), request).await
        }
    }

    async fn resolve(&self, host: &str, port: u16) -> Result<SocketAddr, String> {
        let found = self.network.addresses(host, port).await;
        choose(found.map_err(|error| error.to_string())?, self.allows_private)
    }
}

/// The address to connect to, of those that a name has: what is checked is what is connected to.
fn choose(mut found: Vec<SocketAddr>, allows_private: bool) -> Result<SocketAddr, String> {
    if !allows_private && found.iter().any(|address| !is_public(address.ip())) {
        return Err("the name leads to an address that is not public".to_owned());
    }
    // IPv4 first: it is what works everywhere.
    found.sort_by_key(SocketAddr::is_ipv6);
    found
        .into_iter()
        .next()
        .ok_or_else(|| "the name has no address".to_owned())
}

/// What every request begins with.
fn head(method: Method, uri: &Uri) -> hyper::http::request::Builder {
    let target = uri.path_and_query().map_or("/", |path| path.as_str());
    let authority = uri.authority().map_or("", |authority| authority.as_str());
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    Request::builder()
        .method(method)
        .uri(target)
        .header(HOST, host)
        .header(ACCEPT, "application/json")
        .header(USER_AGENT, "andiron")
}

fn request(call: &Call<'_>, uri: &Uri) -> Result<Request<Full<Bytes>>, String> {
    let posted = |content_type, body| (head(Method::POST, uri).header(CONTENT_TYPE, content_type), body);
    let (mut request, body) = match call.body {
        None => (head(Method::GET, uri), String::new()),
        Some(CallBody::Form(fields)) => posted("application/x-www-form-urlencoded", form(fields)),
        Some(CallBody::Json(fields)) => {
            let fields: serde_json::Map<_, _> = fields
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).into()))
                .collect();
            posted("application/json", serde_json::Value::Object(fields).to_string())
        }
    };
    for (name, value) in call.headers {
        request = request.header(*name, *value);
    }
    if let Some(authorization) = &call.authorization {
        request = request.header(AUTHORIZATION, authorization.expose());
    }
    request
        .body(Full::new(Bytes::from(body)))
        .map_err(|error| error.to_string())
}

async fn send<I>(io: I, request: Request<Full<Bytes>>) -> Result<Bytes, String>
where
    I: hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static,
{
    let (mut sender, connection) = hyper::client::conn::http1::handshake(io)
        .await
        .map_err(|error| error.to_string())?;
    let connection = tokio::spawn(connection);
    let answer = sender
        .send_request(request)
        .await
        .map_err(|error| error.to_string())?;
    let status = answer.status();
    let body = Limited::new(answer.into_body(), ANSWER_BYTES_MAX).collect().await;
    connection.abort();
    let body = body.map_err(|error| error.to_string())?.to_bytes();
    if !status.is_success() {
        // What it says may repeat what was sent, so only the status is told.
        return Err(format!("the answer is {status}"));
    }
    Ok(body)
}

/// Who a client is, for HTTP Basic as OAuth has it (RFC 6749, section 2.3.1).
pub(crate) fn basic(id: &str, secret: &SecretText) -> SecretText {
    let pair = format!("{}:{}", percent_encode(id), percent_encode(secret.expose()));
    SecretText::new(format!("Basic {}", STANDARD.encode(pair)))
}

/// Fields as forms and queries have them.
pub(crate) fn form(fields: &[(&str, &str)]) -> String {
    let mut text = String::new();
    for (name, value) in fields {
        if !text.is_empty() {
            text.push('&');
        }
        text.push_str(&percent_encode(name));
        text.push('=');
        text.push_str(&percent_encode(value));
    }
    text
}

pub(crate) fn percent_encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

/// Whether an address is one of the internet's, as far as the registries of special ones say.
fn is_public(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => {
            let carried =
                |high: u16, low: u16| is_public_v4(Ipv4Addr::from(u32::from(high) << 16 | u32::from(low)));
            match address.segments() {
                // NAT64 and 6to4 carry an IPv4 address, which is what is reached.
                [0x64, 0xff9b, 0, 0, 0, 0, high, low] => carried(high, low),
                [0x2002, high, low, ..] => carried(high, low),
                // What registries have set aside, Teredo and documentation among it.
                [0x2001, second, ..] if second < 0x0200 || second == 0x0db8 => false,
                [0x3fff, second, ..] if second < 0x1000 => false,
                [first, ..] => first & 0xe000 == 0x2000,
            }
        }
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    !(address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_broadcast()
        || address.is_documentation()
        || a == 0
        || a >= 224
        || (a == 100 && b & 0xc0 == 64)
        || (a == 192 && b == 0 && c == 0)
        || (a == 192 && b == 88 && c == 99)
        || (a == 198 && b & 0xfe == 18))
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use parking_lot::Mutex;

    use super::*;

    /// A network in which a name leads elsewhere each time that it is looked up, and all connections end in one place.
    pub(super) struct Stage {
        answers: Mutex<VecDeque<SocketAddr>>,
        connected_to: Mutex<Vec<SocketAddr>>,
        place: SocketAddr,
    }

    impl Stage {
        pub(super) fn addresses(&self) -> Vec<SocketAddr> {
            self.answers.lock().pop_front().into_iter().collect()
        }

        pub(super) async fn connect(&self, address: SocketAddr) -> std::io::Result<TcpStream> {
            self.connected_to.lock().push(address);
            TcpStream::connect(self.place).await
        }
    }

    #[test]
    fn only_addresses_of_the_internet_are_public() {
        for text in [
            "127.0.0.1",
            "10.0.0.1",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "0.0.0.0",
            "100.64.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "198.18.0.1",
            "::1",
            "::",
            "fe80::1",
            "fc00::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "64:ff9b::7f00:1",
            "64:ff9b::a9fe:a9fe",
            "64:ff9b:1::808:808",
            "::127.0.0.1",
            "2001::1",
            "3fff::1",
            "192.88.99.1",
            "2002:7f00:1::",
            "2001:db8::1",
            "ff02::1",
        ] {
            assert!(!is_public(text.parse().unwrap()), "{text}");
        }
        for text in ["8.8.8.8", "93.184.216.34", "2606:4700::1111", "64:ff9b::808:808"] {
            assert!(is_public(text.parse().unwrap()), "{text}");
        }
    }

    /// A name that leads to many addresses leads into the server's own network if one of them does.
    #[test]
    fn a_name_is_reached_only_if_all_of_its_addresses_are_public() {
        let addresses = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect::<Vec<_>>();
        let public = ["[2606:4700::1111]:443", "93.184.216.34:443"];
        assert_eq!(
            choose(addresses(&public), false),
            Ok("93.184.216.34:443".parse().unwrap())
        );
        for private in [
            "127.0.0.1:443",
            "[::ffff:10.0.0.1]:443",
            "[64:ff9b::a9fe:a9fe]:443",
        ] {
            for found in [[public[0], private], [private, public[1]]] {
                assert!(choose(addresses(&found), false).is_err(), "{found:?}");
                assert!(choose(addresses(&found), true).is_ok(), "{found:?}");
            }
        }
        assert!(choose(Vec::new(), true).is_err());
    }

    /// DNS rebinding: a name that first leads to the internet, and when it is looked up again into the server's own network.
    /// Providers and webhooks are asked at the address that was checked, and refused when a later look-up leads inside.
    #[tokio::test]
    async fn a_name_that_changes_its_mind_leads_nowhere_inside() {
        let place = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let [public, inside]: [SocketAddr; 2] =
            ["93.184.216.34:443", "127.0.0.1:443"].map(|a| a.parse().unwrap());
        let outbound = Outbound {
            network: Network::Staged(Stage {
                answers: Mutex::new([public, inside, public, inside].into()),
                connected_to: Mutex::default(),
                place: place.local_addr().unwrap(),
            }),
            ..Outbound::new(false)
        };
        // Whoever is connected to hangs up: the server must not try the next address for that.
        tokio::spawn(async move { while place.accept().await.is_ok() {} });
        let url = "https://rebinding.example/";
        for is_webhook in [false, true] {
            for _ in 0..2 {
                let sent = if is_webhook {
                    outbound.post(url, ("x", "y"), b"{}".to_vec()).await
                } else {
                    let call = Call {
                        url,
                        body: None,
                        headers: &[],
                        authorization: None,
                    };
                    outbound.json(call).await.map(drop)
                };
                assert!(sent.is_err());
            }
        }
        let Network::Staged(stage) = &outbound.network else {
            unreachable!("it was set up above");
        };
        assert!(
            stage.answers.lock().is_empty(),
            "each request looked the name up once"
        );
        assert_eq!(*stage.connected_to.lock(), [public, public]);
    }

    #[tokio::test]
    async fn nothing_is_sent_into_the_servers_own_network() {
        let outbound = Outbound::new(false);
        for url in [
            "https://127.0.0.1/",
            "https://localhost/",
            "https://2130706433/",
            "https://0x7f.1/",
            "https://[::1]/",
            "https://169.254.169.254/latest",
            "http://example.org/",
            "file:///etc/passwd",
            "https://",
        ] {
            let call = Call {
                url,
                body: None,
                headers: &[],
                authorization: None,
            };
            assert!(outbound.json(call).await.is_err(), "{url}");
        }
    }
}
