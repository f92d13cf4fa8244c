//! The gate: the one piece of middleware, around every route and around what is no route.
//!
//! In this order it gives the request an id, answers preflights, says who calls, runs the handler with a time limit
//! and a net under its panics, turns errors into problems, compresses, adds the headers that every answer has, counts
//! and logs. One hand-written service instead of a stack of layers: each layer would cost a box and a future of its
//! own on every request.
//!
//! The log has one event a request, under the target `andiron_http::access` at level debug, one for every denial at level
//! info, with the document and the place in the rules, and one for every failure of the server at level error. Beyond that none has URLs, tokens, bodies or what clients sent: the route stands for the path.

use std::any::Any;
use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use andiron_protocol::ErrorCode;
use axum::extract::Request;
use axum::http::header::{ACCEPT_ENCODING, HOST};
use axum::http::{StatusCode, Version};
use axum::response::{IntoResponse as _, Response};
use tokio::time::timeout;
use tower::{Layer, Service};

use crate::app::AppRef;
use crate::caller::{self, CallerOf, CallerSource};
use crate::compression::compress;
use crate::metrics::{RouteMetrics, method_index, method_name};
use crate::problem::ApiError;
use crate::request_id::{RequestId, X_REQUEST_ID};
use crate::{cors, files_host, security_headers, session_cookies};

/// The gate of one route.
#[derive(Clone)]
pub(crate) struct Gate {
    app: AppRef,
    source: CallerSource,
    route: Arc<RouteMetrics>,
    /// How long the handler may take until it answers; `None` where it takes in a body of any size, whose pauses are
    /// limited instead.
    time_max: Option<Duration>,
}

/// What the routes begin with whose bodies have no size that a time could be named for.
const LONG_ROUTES: [&str; 2] = ["/api/v1/files/", "/api/v1/uploads"];

impl Gate {
    pub(crate) fn new(app: &AppRef, source: CallerSource, route: &str) -> Self {
        Self {
            app: AppRef::clone(app),
            source,
            // As the document writes it.
            route: app.metrics.route(&route.replace("{*", "{")),
            time_max: (!LONG_ROUTES.iter().any(|long| route.starts_with(long)))
                .then_some(app.options.request_timeout),
        }
    }
}

impl<S> Layer<S> for Gate {
    type Service = Gated<S>;

    fn layer(&self, inner: S) -> Gated<S> {
        Gated {
            gate: self.clone(),
            inner,
        }
    }
}

/// What is known of a request that was let in.
struct Admitted {
    /// What kind of caller it is.
    caller: &'static str,
    /// Whether the caller passes every rule.
    is_admin: bool,
    /// Whether a session that begins goes into cookies.
    wants_cookies: bool,
}

/// A service behind the gate.
#[derive(Clone)]
pub(crate) struct Gated<S> {
    gate: Gate,
    inner: S,
}

impl<S> Service<Request> for Gated<S>
where
    S: Service<Request, Response = Response, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
{
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let clone = self.inner.clone();
        // The one that was polled ready is the one to call.
        let inner = std::mem::replace(&mut self.inner, clone);
        let gate = self.gate.clone();
        Box::pin(async move { Ok(gate.pass(request, inner).await) })
    }
}

impl Gate {
    async fn pass<S>(self, mut request: Request, inner: S) -> Response
    where
        S: Service<Request, Response = Response, Error = Infallible>,
    {
        let app = &self.app;
        let headers = request.headers();
        let request_id = RequestId::from_headers(headers).unwrap_or_else(|| app.request_ids.generate());
        let mut record = Record::begin(&self, method_index(request.method()));
        let origin = cors::allowed_origin(&app.options.cors_origins, headers);
        let accept_encoding = if app.options.compression {
            headers.get(ACCEPT_ENCODING).cloned()
        } else {
            None
        };

        let response = if origin.is_some() && cors::is_preflight(request.method(), headers) {
            cors::preflight_answer(request.headers())
        } else {
            match self.admit(&mut request) {
                Ok(admitted) => {
                    record.caller = admitted.caller;
                    record.is_admin = admitted.is_admin;
                    let response = self.run(request, inner).await;
                    session_cookies::complete(app, admitted.wants_cookies, response)
                }
                Err(error) => error.into_response(),
            }
        };

        let mut response = compress(response, accept_encoding.as_ref());
        if response.status() == StatusCode::METHOD_NOT_ALLOWED
            && response.extensions().get::<ApiError>().is_none()
        {
            let error = ApiError::invalid("this method is not allowed here")
                .with_status(StatusCode::METHOD_NOT_ALLOWED);
            response.extensions_mut().insert(error);
        }
        if let Some(error) = response.extensions_mut().remove::<ApiError>() {
            let mut error = error;
            if let Some(denial) = error.denial() {
                tracing::info!(
                    request_id = request_id.as_str(),
                    method = method_name(record.method),
                    route = self.route.route(),
                    denial,
                    "a request was denied"
                );
                if app.options.shows_denials || record.is_admin {
                    error = error.showing_denial();
                }
            }
            if let Some(cause) = error.cause() {
                tracing::error!(
                    request_id = request_id.as_str(),
                    method = method_name(record.method),
                    route = self.route.route(),
                    cause,
                    "a request failed"
                );
            }
            let kept = std::mem::take(response.headers_mut());
            response = error.into_problem(&request_id);
            response.headers_mut().extend(kept);
        }

        let headers = response.headers_mut();
        headers.reserve(security_headers::HEADERS_ADDED_MAX);
        headers.insert(X_REQUEST_ID, request_id.to_header());
        security_headers::add(origin.is_some(), headers);
        if !app.options.cors_origins.is_empty() {
            cors::add_headers(origin, app.options.session_cookies, headers);
        }
        record.end(response.status(), &request_id);
        response
    }

    /// Lets a request in with its caller, or says why not.
    fn admit(&self, request: &mut Request) -> Result<Admitted, ApiError> {
        if request.version() == Version::HTTP_11 {
            // RFC 9112, section 3.2. Two hosts are how a proxy is made to route by one and we by the other.
            let mut hosts = request.headers().get_all(HOST).iter();
            if hosts.next().is_none() || hosts.next().is_some() {
                let error = ApiError::invalid("a request has one `Host` header").in_field("Host");
                return Err(error.ending_connection());
            }
        }
        if self.source == CallerSource::Header {
            files_host::check(&self.app.options, self.route.route(), request)?;
        }
        let caller = caller::authenticate(self.source, &self.app, request)?;
        let admitted = Admitted {
            caller: caller::kind(&caller),
            is_admin: caller.is_admin(),
            wants_cookies: session_cookies::are_asked_for(&self.app, request.headers())?,
        };
        request.extensions_mut().insert(CallerOf(caller));
        Ok(admitted)
    }

    /// Runs the handler. Its panic is a failure of this one request.
    async fn run<S>(&self, request: Request, mut inner: S) -> Response
    where
        S: Service<Request, Response = Response, Error = Infallible>,
    {
        let mut handler = pin!(async move { inner.call(request).await });
        let caught =
            poll_fn(
                |context| match catch_unwind(AssertUnwindSafe(|| handler.as_mut().poll(context))) {
                    Ok(poll) => poll.map(Ok),
                    Err(panic) => Poll::Ready(Err(panic)),
                },
            );
        let limit = self.time_max.unwrap_or(Duration::MAX);
        let ended = match self.time_max {
            Some(limit) => timeout(limit, caught).await,
            None => Ok(caught.await),
        };
        match ended {
            Ok(Ok(Ok(response))) => response,
            Ok(Ok(Err(never))) => match never {},
            Ok(Err(panic)) => {
                ApiError::internal(format!("a handler panicked: {}", panic_text(&*panic))).into_response()
            }
            Err(_) => ApiError::new(
                ErrorCode::DeadlineExceeded,
                format!(
                    "there was no answer within {} s; if this was a write, it may or may not happen",
                    limit.as_secs_f32()
                ),
            )
            .into_response(),
        }
    }
}

fn panic_text(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no text")
}

/// What is counted and logged of a request, also if its client goes away before there is an answer.
struct Record<'g> {
    gate: &'g Gate,
    method: usize,
    caller: &'static str,
    is_admin: bool,
    started: Instant,
    is_open: bool,
}

impl<'g> Record<'g> {
    fn begin(gate: &'g Gate, method: usize) -> Self {
        gate.app.metrics.in_flight().inc();
        Self {
            gate,
            method,
            caller: "refused",
            is_admin: false,
            started: Instant::now(),
            is_open: true,
        }
    }

    fn end(mut self, status: StatusCode, request_id: &RequestId) {
        self.is_open = false;
        let duration = self.started.elapsed();
        self.gate.route.count(self.method, status, duration);
        tracing::debug!(
            target: "andiron_http::access",
            request_id = request_id.as_str(),
            method = method_name(self.method),
            route = self.gate.route.route(),
            status = status.as_u16(),
            duration_micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX),
            caller = self.caller,
            "request"
        );
    }
}

impl Drop for Record<'_> {
    fn drop(&mut self) {
        self.gate.app.metrics.in_flight().dec();
        if self.is_open {
            let status =
                StatusCode::from_u16(ErrorCode::Cancelled.http_status()).unwrap_or(StatusCode::BAD_REQUEST);
            self.gate.route.count(self.method, status, self.started.elapsed());
        }
    }
}
