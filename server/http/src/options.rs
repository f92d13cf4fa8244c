//! The settings and limits of the HTTP interface, each with its default.

use std::time::Duration;

use andiron_protocol::limits::COMMIT_BYTES_MAX;

use crate::client::TrustedProxy;
use crate::cors::CorsOrigin;
use crate::metrics::ConnectionCount;

/// Settings of the HTTP interface.
#[derive(Clone, Debug)]
pub struct HttpOptions {
    /// Bytes of the body of a write to one document. Default 2 MiB: a document of 1 MiB with whitespace and escapes.
    pub document_body_bytes_max: usize,
    /// Bytes of the body of a commit. Default 10 MiB.
    pub commit_body_bytes_max: usize,
    /// Bytes of any other body: queries, batch-get, administration. Default 1 MiB.
    pub request_body_bytes_max: usize,
    /// Bytes of documents in one page of a query or in one batch-get; larger results are streamed or asked for in
    /// smaller pages. Default 32 MiB.
    pub answer_bytes_max: usize,
    /// Bytes of a request's line and headers. Default 64 KiB, since a filter may stand in the line.
    pub head_bytes_max: usize,
    /// How long reading a request's line and headers may take, from the connection's beginning or their first byte.
    /// Default 10 s.
    pub head_read_timeout: Duration,
    /// How long a client may pause within a body. Default 10 s.
    pub body_pause_max: Duration,
    /// How long a request may take until its answer begins. Default 60 s; after that the outcome of a write is
    /// unknown.
    pub request_timeout: Duration,
    /// How long a client may take no byte of an answer that waits for it. Default 30 s.
    pub write_stall_max: Duration,
    /// How long a connection may stay open without a request. Default 60 s.
    pub idle_timeout: Duration,
    /// Connections open at once on one listener; more wait to be accepted. Default 10,000.
    pub connections_max: usize,
    /// Requests under way at once on one HTTP/2 connection. Default 128.
    pub connection_requests_max: u32,
    /// Bytes of one message that a client sends on a live socket. Default 256 KiB.
    pub live_message_bytes_max: usize,
    /// How often a live connection is shown to be alive: a ping on a socket, a comment among events. A socket on which
    /// nothing came back for twice as long is closed. Default 30 s.
    pub live_heartbeat: Duration,
    /// How long a live socket may take to say who it is or to listen to something. Default 10 s.
    pub live_introduction_max: Duration,
    /// Tickets for listens without headers that are good at one time; then the oldest go. Default 100,000.
    pub listen_tickets_max: usize,
    /// How long requests that were accepted may take to finish after shutdown has begun. Default 20 s.
    pub shutdown_timeout: Duration,
    /// Whether answers over 1 KiB are compressed for clients that accept it. Default true.
    pub compression: bool,
    /// The origins whose pages may call the API from a browser. Default none.
    pub cors_origins: Vec<CorsOrigin>,
    /// Whether browsers may have their sessions in cookies. Default false.
    pub session_cookies: bool,
    /// Where files are read and nothing else is answered, as in `https://files.example.org`: an origin of their own, so that
    /// nothing in them is part of the app's. Files are not read at any other host then. Default none.
    pub files_origin: Option<CorsOrigin>,
    /// Proxies that are believed when they say for whom they forward (`X-Forwarded-For`). Default none.
    pub trusted_proxies: Vec<TrustedProxy>,
    /// Whether everybody is told where and why the rules deny something, and not administrators alone: for development.
    /// It shows parts of the rules and of documents. Default false.
    pub shows_denials: bool,
    /// Who may read `/metrics`. Default [`MetricsAccess::Admin`].
    pub metrics_access: MetricsAccess,
    /// Counts the connections of every listener that is served with these options or a clone of them; `/metrics` shows
    /// it. Not a setting.
    pub connections: ConnectionCount,
}

/// Who may read `/metrics`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MetricsAccess {
    /// Administrators: service keys, and the owner through the local socket. There is no exception for the loopback
    /// address, because behind a reverse proxy every request comes from there.
    #[default]
    Admin,
    /// Everyone who reaches the server.
    Everyone,
}

impl Default for HttpOptions {
    fn default() -> Self {
        const MIB: usize = 1024 * 1024;
        Self {
            document_body_bytes_max: 2 * MIB,
            commit_body_bytes_max: COMMIT_BYTES_MAX,
            request_body_bytes_max: MIB,
            answer_bytes_max: 32 * MIB,
            head_bytes_max: 64 * 1024,
            head_read_timeout: Duration::from_secs(10),
            body_pause_max: Duration::from_secs(10),
            request_timeout: Duration::from_secs(60),
            write_stall_max: Duration::from_secs(30),
            idle_timeout: Duration::from_secs(60),
            connections_max: 10_000,
            connection_requests_max: 128,
            live_message_bytes_max: 256 * 1024,
            live_heartbeat: Duration::from_secs(30),
            live_introduction_max: Duration::from_secs(10),
            listen_tickets_max: 100_000,
            shutdown_timeout: Duration::from_secs(20),
            compression: true,
            cors_origins: Vec::new(),
            session_cookies: false,
            files_origin: None,
            trusted_proxies: Vec::new(),
            shows_denials: false,
            metrics_access: MetricsAccess::default(),
            connections: ConnectionCount::default(),
        }
    }
}
