//! A client of the REST interface for commands: over the local socket of a folder's server, or a URL.
//!
//! One connection, one request at a time; who wants more opens more clients. A connection that broke is opened again
//! at the next request. Requests are never repeated here: what may be repeated is the caller's knowledge.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use andiron_auth::SecretText;
use andiron_protocol::{ErrorCode, Problem};
use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST, HeaderValue, USER_AGENT};
use http::{Method, Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use crate::{AndironError, local};

/// How long opening a connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long an answer may take to begin; longer than any limit of the server itself.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(120);
/// Bytes of an answer that is read whole.
const ANSWER_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Where a server is, and how to show that one may speak to it.
#[derive(Clone)]
pub struct ServerAddress {
    place: Place,
}

#[derive(Clone)]
enum Place {
    /// The local socket, whose owner needs no key.
    Socket(PathBuf),
    Url {
        uri: Uri,
        tls: Option<TlsConnector>,
        authorization: HeaderValue,
    },
}

impl ServerAddress {
    /// A server by its local socket.
    pub fn socket(path: &Path) -> Self {
        Self {
            place: Place::Socket(path.to_owned()),
        }
    }

    /// A server by its URL (`http://…` or `https://…`), and a service key.
    ///
    /// # Errors
    /// If the URL is none or the key cannot be one.
    pub fn url(url: &str, key: &SecretText) -> Result<Self, AndironError> {
        let usage = |detail: String| AndironError::Usage(format!("--url `{url}`: {detail}"));
        let uri: Uri = url
            .trim_end_matches('/')
            .parse()
            .map_err(|error| usage(format!("{error}")))?;
        let tls = match (uri.scheme_str(), uri.host()) {
            (Some("http"), Some(_)) => None,
            (Some("https"), Some(_)) => Some(tls_connector()?),
            _ => {
                return Err(usage(
                    "a URL such as `https://example.org` is expected".to_owned(),
                ));
            }
        };
        if uri.query().is_some() {
            return Err(usage("a query has no meaning here".to_owned()));
        }
        let mut authorization = HeaderValue::from_str(&format!("Bearer {}", key.expose()))
            .map_err(|_| AndironError::Usage("--key: this is not a service key".to_owned()))?;
        authorization.set_sensitive(true);
        Ok(Self {
            place: Place::Url {
                uri,
                tls,
                authorization,
            },
        })
    }

    /// Whether a key would travel unencrypted to another machine.
    pub fn is_exposed(&self) -> bool {
        match &self.place {
            Place::Socket(_) => false,
            Place::Url { uri, tls, .. } => {
                let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
                let is_loopback = host == "localhost"
                    || host
                        .parse::<std::net::IpAddr>()
                        .is_ok_and(|address| address.is_loopback());
                tls.is_none() && !is_loopback
            }
        }
    }
}

impl std::fmt::Display for ServerAddress {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.place {
            Place::Socket(path) => write!(formatter, "`{}`", path.display()),
            Place::Url { uri, .. } => write!(formatter, "`{uri}`"),
        }
    }
}

/// A connection to a server, open or not.
pub struct Client {
    server: ServerAddress,
    connection: Option<SendRequest<Full<Bytes>>>,
    answer_timeout: Duration,
}

impl Client {
    /// A client that connects at its first request.
    pub fn new(server: ServerAddress) -> Self {
        Self {
            server,
            connection: None,
            answer_timeout: ANSWER_TIMEOUT,
        }
    }

    /// The same client for requests whose answers take as long as they take.
    #[must_use]
    pub fn patient(self) -> Self {
        Self {
            answer_timeout: Duration::MAX,
            ..self
        }
    }

    /// Asks for a JSON answer.
    ///
    /// # Errors
    /// If the server cannot be reached, refuses, or answers something else.
    pub async fn json<T: DeserializeOwned>(
        &mut self,
        method: Method,
        path: &str,
        body: Option<Bytes>,
    ) -> Result<T, AndironError> {
        let response = self.send(method, path, body, "application/json").await?;
        let bytes = self.whole(response).await?;
        serde_json::from_slice(&bytes).map_err(|error| AndironError::Foreign {
            server: self.server.to_string(),
            detail: error.to_string(),
        })
    }

    /// Asks for an answer in lines of JSON, whose bytes come as they arrive.
    ///
    /// # Errors
    /// If the server cannot be reached or refuses.
    pub async fn lines(&mut self, path: &str, body: Bytes) -> Result<Incoming, AndironError> {
        let response = self
            .send(Method::POST, path, Some(body), "application/x-ndjson")
            .await?;
        Ok(response.into_body())
    }

    /// Sends a request and gives its answer if it is one of success.
    async fn send(
        &mut self,
        method: Method,
        path: &str,
        body: Option<Bytes>,
        accept: &'static str,
    ) -> Result<Response<Incoming>, AndironError> {
        let request = self.request(method, path, body, accept)?;
        // Taken, so that a request that failed or was dropped half-way leaves no half-used connection behind.
        let mut connection = match self.connection.take() {
            Some(connection) if connection.is_ready() => connection,
            _ => self.connect().await?,
        };
        let answer = tokio::time::timeout(self.answer_timeout, connection.send_request(request)).await;
        let response = answer
            .map_err(|_| self.unreachable(format!("no answer within {} s", self.answer_timeout.as_secs())))?
            .map_err(|error| self.unreachable(error_text(&error)))?;
        self.connection = Some(connection);
        if response.status().is_success() {
            return Ok(response);
        }
        let status = response.status();
        let bytes = self.whole(response).await?;
        Err(self.refusal(status, &bytes))
    }

    fn request(
        &self,
        method: Method,
        path: &str,
        body: Option<Bytes>,
        accept: &'static str,
    ) -> Result<Request<Full<Bytes>>, AndironError> {
        let mut request = Request::builder()
            .method(method)
            .header(ACCEPT, accept)
            .header(USER_AGENT, concat!("andiron/", env!("CARGO_PKG_VERSION")));
        request = match &self.server.place {
            Place::Socket(_) => request.uri(path).header(HOST, "localhost"),
            Place::Url {
                uri, authorization, ..
            } => request
                .uri(format!("{}{path}", uri.path().trim_end_matches('/')))
                .header(HOST, uri.authority().map_or("", |authority| authority.as_str()))
                .header(AUTHORIZATION, authorization),
        };
        if body.is_some() {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        request
            .body(Full::new(body.unwrap_or_default()))
            .map_err(|error| AndironError::Usage(format!("`{path}` cannot be asked for: {error}")))
    }

    async fn connect(&self) -> Result<SendRequest<Full<Bytes>>, AndironError> {
        match tokio::time::timeout(CONNECT_TIMEOUT, self.connect_now()).await {
            Ok(Ok(connection)) => Ok(connection),
            Ok(Err(detail)) => Err(self.unreachable(detail)),
            Err(_) => Err(self.unreachable(format!("no connection within {} s", CONNECT_TIMEOUT.as_secs()))),
        }
    }

    async fn connect_now(&self) -> Result<SendRequest<Full<Bytes>>, String> {
        match &self.server.place {
            Place::Socket(path) => {
                let stream: UnixStream = local::connect(path).await.map_err(|error| error.to_string())?;
                speak(stream).await
            }
            Place::Url { uri, tls, .. } => {
                let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
                let port = uri.port_u16().unwrap_or(if tls.is_some() { 443 } else { 80 });
                let stream = TcpStream::connect((host, port))
                    .await
                    .map_err(|error| error.to_string())?;
                // Small requests must not wait for each other's acknowledgements.
                stream.set_nodelay(true).map_err(|error| error.to_string())?;
                match tls {
                    None => speak(stream).await,
                    Some(tls) => {
                        let name =
                            ServerName::try_from(host.to_owned()).map_err(|error| error.to_string())?;
                        let stream = tls
                            .connect(name, stream)
                            .await
                            .map_err(|error| format!("TLS: {error}"))?;
                        speak(stream).await
                    }
                }
            }
        }
    }

    async fn whole(&self, response: Response<Incoming>) -> Result<Bytes, AndironError> {
        let body = http_body_util::Limited::new(response.into_body(), ANSWER_BYTES_MAX);
        let body = body
            .collect()
            .await
            .map_err(|error| self.unreachable(format!("the answer broke off: {error}")))?;
        Ok(body.to_bytes())
    }

    fn refusal(&self, status: StatusCode, body: &[u8]) -> AndironError {
        match serde_json::from_slice::<Problem>(body) {
            Ok(problem) => AndironError::Refused {
                problem: Box::new(problem),
            },
            Err(_) => AndironError::Foreign {
                server: self.server.to_string(),
                detail: format!("status {status}, and no problem document"),
            },
        }
    }

    /// The error for an answer that ended before its end.
    pub(crate) fn broken_off(&self, error: &hyper::Error) -> AndironError {
        self.unreachable(format!("the answer broke off: {}", error_text(error)))
    }

    fn unreachable(&self, detail: String) -> AndironError {
        AndironError::Unreachable {
            server: self.server.to_string(),
            detail,
        }
    }
}

impl AndironError {
    /// The stable code, if a server refused.
    pub(crate) fn code(&self) -> Option<ErrorCode> {
        match self {
            Self::Refused { problem } => Some(problem.code),
            _ => None,
        }
    }
}

async fn speak<S>(stream: S) -> Result<SendRequest<Full<Bytes>>, String>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (sender, connection) = handshake(TokioIo::new(stream))
        .await
        .map_err(|error| error.to_string())?;
    // An error of the connection reaches the request that meets it.
    tokio::spawn(connection);
    Ok(sender)
}

fn tls_connector() -> Result<TlsConnector, AndironError> {
    let mut roots = RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        return Err(AndironError::Usage(
            "no certificate authorities are installed on this system, so https cannot be trusted; \
             install `ca-certificates` or name a file in SSL_CERT_FILE"
                .to_owned(),
        ));
    }
    // Named, so that it does not depend on which others are compiled in.
    let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| AndironError::Usage(format!("https cannot be spoken: {error}")))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

/// An error with its causes: `hyper` tells the interesting part only in the cause.
fn error_text(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
