//! HTTP to a store on the network: HTTP/1.1 over rustls, with connections that are kept for the next request.
//!
//! No redirect is followed, so nothing is reached but what the settings name. Every wait has an end: for a connection, for
//! the answer, and for each piece of it. The system's certificates are read when the first TLS connection is made.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::Uri;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpRequestBody, HttpResponse,
    HttpResponseBody, HttpService,
};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep, timeout};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};
use tower_service::Service;

/// How long connecting may take, TLS included.
const CONNECT_TIME_MAX: Duration = Duration::from_secs(5);
/// How long a request may take until its answer begins: sending a part of 5 MiB over a slow line is within it.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(60);
/// How long the next piece of an answer may take.
const PIECE_TIME_MAX: Duration = Duration::from_secs(30);
/// How long a connection is kept that nobody uses.
const IDLE_TIME_MAX: Duration = Duration::from_secs(30);
/// Connections that are kept for the next request.
const IDLE_CONNECTIONS_MAX: usize = 16;

/// Connects to the store, and to where its credentials come from.
#[derive(Clone, Default)]
pub(super) struct Connector {
    tls: Arc<OnceLock<TlsConnector>>,
}

impl fmt::Debug for Connector {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Connector")
    }
}

impl HttpConnector for Connector {
    fn connect(&self, _options: &ClientOptions) -> object_store::Result<HttpClient> {
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_TIME_MAX)
            .pool_max_idle_per_host(IDLE_CONNECTIONS_MAX)
            .build(self.clone());
        Ok(HttpClient::new(Requests(client)))
    }
}

/// Bytes to and fro, over TLS or not.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

impl Connection for Box<dyn Stream> {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

impl Service<Uri> for Connector {
    type Response = TokioIo<Box<dyn Stream>>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let connector = self.clone();
        Box::pin(async move {
            let connecting = timeout(CONNECT_TIME_MAX, connector.open(&uri));
            Ok(TokioIo::new(connecting.await.map_err(io::Error::from)??))
        })
    }
}

impl Connector {
    async fn open(&self, uri: &Uri) -> io::Result<Box<dyn Stream>> {
        let is_tls = uri.scheme_str() == Some("https");
        let host = uri.host().unwrap_or_default().trim_matches(['[', ']']).to_owned();
        let port = uri.port_u16().unwrap_or(if is_tls { 443 } else { 80 });
        let stream = TcpStream::connect((host.as_str(), port)).await?;
        // Requests are written whole: there is nothing to wait for.
        stream.set_nodelay(true)?;
        if !is_tls {
            return Ok(Box::new(stream));
        }
        let name = ServerName::try_from(host).map_err(io::Error::other)?;
        Ok(Box::new(self.tls().connect(name, stream).await?))
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
}

/// Sends requests.
struct Requests(Client<Connector, HttpRequestBody>);

impl fmt::Debug for Requests {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Requests")
    }
}

impl HttpService for Requests {
    fn call<'s, 'f>(
        &'s self,
        request: HttpRequest,
    ) -> Pin<Box<dyn Future<Output = Result<HttpResponse, HttpError>> + Send + 'f>>
    where
        's: 'f,
        Self: 'f,
    {
        let answering = timeout(ANSWER_TIME_MAX, self.0.request(request));
        Box::pin(async move {
            let answer = answering
                .await
                .map_err(|elapsed| HttpError::new(HttpErrorKind::Timeout, elapsed))?;
            let answer = answer.map_err(|error| {
                let kind = if error.is_connect() {
                    HttpErrorKind::Connect
                } else {
                    HttpErrorKind::Request
                };
                HttpError::new(kind, error)
            })?;
            Ok(answer.map(|body| HttpResponseBody::new(Watched::new(body))))
        })
    }
}

/// The body of an answer, of which each piece comes in time.
struct Watched {
    body: Incoming,
    deadline: Pin<Box<Sleep>>,
    is_waiting: bool,
}

impl Watched {
    fn new(body: Incoming) -> Self {
        Self {
            body,
            deadline: Box::pin(sleep(PIECE_TIME_MAX)),
            is_waiting: false,
        }
    }
}

impl Body for Watched {
    type Data = Bytes;
    type Error = HttpError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, HttpError>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(context) {
            self.is_waiting = false;
            let interrupted = |error| HttpError::new(HttpErrorKind::Interrupted, error);
            return Poll::Ready(frame.map(|frame| frame.map_err(interrupted)));
        }
        // The time counts from when somebody waits: a slow reader is no fault of the store's.
        if !self.is_waiting {
            self.is_waiting = true;
            self.deadline.as_mut().reset(Instant::now() + PIECE_TIME_MAX);
        }
        self.deadline.as_mut().poll(context).map(|()| {
            let silence = io::Error::from(io::ErrorKind::TimedOut);
            Some(Err(HttpError::new(HttpErrorKind::Timeout, silence)))
        })
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
