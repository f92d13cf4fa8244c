//! A client that sends exactly what it is told and shows exactly what came back.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use http::{HeaderMap, Method, Request};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::handshake;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;

/// A test that waits longer for an answer has found a fault.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);

/// A server as a caller sees it. Every request has a connection of its own.
#[derive(Clone, Debug)]
pub struct Api {
    address: SocketAddr,
    key: Option<String>,
}

/// What came back; of a stream of events the first.
#[derive(Clone, Debug)]
pub struct Answer {
    /// What was asked, for messages.
    asked: String,
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

impl Api {
    /// The server at an address, as nobody in particular.
    pub fn new(address: SocketAddr) -> Self {
        Self { address, key: None }
    }

    /// The same server with a service key.
    #[must_use]
    pub fn with_key(&self, key: &str) -> Self {
        Self {
            key: Some(key.to_owned()),
            ..self.clone()
        }
    }

    /// `GET`.
    pub async fn get(&self, path: &str) -> Answer {
        self.request(Method::GET, path, &[], None).await
    }

    /// `POST` with a JSON body.
    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        self.request(Method::POST, path, &[], Some(body.to_string()))
            .await
    }

    /// `PUT` with a JSON body.
    pub async fn put(&self, path: &str, body: &Value) -> Answer {
        self.request(Method::PUT, path, &[], Some(body.to_string())).await
    }

    /// `PATCH` with a JSON body.
    pub async fn patch(&self, path: &str, body: &Value) -> Answer {
        self.request(Method::PATCH, path, &[], Some(body.to_string()))
            .await
    }

    /// `DELETE`.
    pub async fn delete(&self, path: &str) -> Answer {
        self.request(Method::DELETE, path, &[], None).await
    }

    /// Any request.
    pub async fn request(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<String>,
    ) -> Answer {
        let asked = format!("{method} {path}");
        match self.try_request(method, path, headers, body).await {
            Ok(answer) => answer,
            Err(error) => panic!("{asked}: {error}"),
        }
    }

    /// Any request, to a server that may die meanwhile.
    ///
    /// # Errors
    /// If no whole answer came; whether the server did what it was asked is then unknown.
    pub async fn try_request(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<String>,
    ) -> Result<Answer, String> {
        let exchange = self.exchange(method, path, headers, body.map(Bytes::from));
        tokio::time::timeout(ANSWER_TIMEOUT, exchange)
            .await
            .unwrap_or_else(|_| Err(format!("no answer within {ANSWER_TIMEOUT:?}")))
    }

    /// Uploads a file.
    pub async fn upload(&self, path: &str, content_type: &str, bytes: impl Into<Bytes>) -> Answer {
        let headers = [("content-type", content_type)];
        match self
            .exchange(Method::PUT, path, &headers, Some(bytes.into()))
            .await
        {
            Ok(answer) => answer,
            Err(error) => panic!("PUT {path}: {error}"),
        }
    }

    async fn exchange(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<Bytes>,
    ) -> Result<Answer, String> {
        let asked = format!("{method} {path}");
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(HOST, self.address.to_string());
        if let Some(key) = &self.key {
            request = request.header(AUTHORIZATION, format!("Bearer {key}"));
        }
        if body.is_some()
            && !headers
                .iter()
                .any(|(name, _)| name.eq_ignore_ascii_case("content-type"))
        {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request
            .body(Full::new(body.unwrap_or_default()))
            .expect("the test's request is one");
        let stream = TcpStream::connect(self.address)
            .await
            .map_err(|error| error.to_string())?;
        let (mut sender, connection) = handshake(TokioIo::new(stream))
            .await
            .map_err(|error| error.to_string())?;
        let connection = tokio::spawn(connection);
        let response = sender
            .send_request(request)
            .await
            .map_err(|error| error.to_string())?;
        let (parts, body) = response.into_parts();
        let is_events = parts
            .headers
            .get(CONTENT_TYPE)
            .is_some_and(|value| value == "text/event-stream");
        let body = if is_events {
            first_event(body).await
        } else {
            body.collect().await.map(http_body_util::Collected::to_bytes)
        }
        .map_err(|error| error.to_string())?;
        connection.abort();
        Ok(Answer {
            asked,
            status: parts.status.as_u16(),
            headers: parts.headers,
            body,
        })
    }
}

/// Of events, which have no end, all up to the first that says something.
async fn first_event(mut body: Incoming) -> hyper::Result<Bytes> {
    let mut read = Vec::new();
    while let Some(frame) = body.frame().await {
        read.extend_from_slice(frame?.data_ref().unwrap_or(&Bytes::new()));
        let text = String::from_utf8_lossy(&read);
        if text
            .find("data: ")
            .is_some_and(|data| text[data..].contains("\n\n"))
        {
            break;
        }
    }
    Ok(read.into())
}

impl Answer {
    /// The id and the frame of the first event.
    pub fn event(&self) -> (String, Value) {
        let text = String::from_utf8_lossy(&self.body);
        let field = |name: &str| text.lines().find_map(|line| line.strip_prefix(name));
        let data = field("data: ").unwrap_or_else(|| panic!("{}: no event: {text}", self.asked));
        let frame = serde_json::from_str(data).expect("an event's data is JSON");
        (field("id: ").unwrap_or_default().to_owned(), frame)
    }

    /// The same answer, if it has this status.
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}: {}", self.asked, self.text());
        self
    }

    /// The body as JSON.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{}: {error}: {}", self.asked, self.text()))
    }

    /// The body as lines of JSON.
    #[must_use]
    pub fn lines(&self) -> Vec<Value> {
        let text = self.text();
        text.lines()
            .map(|line| {
                serde_json::from_str(line).unwrap_or_else(|error| panic!("{}: {error}: {line}", self.asked))
            })
            .collect()
    }

    /// The problem that the answer must be, with this status and code.
    pub fn expect_problem(&self, status: u16, code: &str) -> Value {
        assert_eq!(self.status, status, "{}: {}", self.asked, self.text());
        assert_eq!(
            self.header("content-type"),
            Some("application/problem+json"),
            "{}",
            self.asked
        );
        let problem = self.json();
        assert_eq!(problem["code"], code, "{}: {problem}", self.asked);
        problem
    }

    /// The body as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// A header's value.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}
