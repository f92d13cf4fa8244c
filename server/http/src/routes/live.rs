//! `GET /api/v1/live`, the socket; `GET /api/v1/listen`, events; and the tickets for those.

use std::sync::Arc;

use andiron_auth::AuthError;
use andiron_engine::{Caller, LiveTarget};
use andiron_protocol::{DocumentPath, ErrorCode, InputError, Source};
use axum::extract::{Request, State};
use axum::http::header::ORIGIN;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use utoipa::ToSchema;

use crate::app::AppRef;
use crate::caller::{CallerOf, token_of};
use crate::live::{Credential, Listen, Opening, SUBPROTOCOL, Session, events, serve_socket};
use crate::openapi::schemas;
use crate::parameters::Parameters;
use crate::problem::ApiError;
use crate::routes::query;
use crate::server::ConnectionLife;
use crate::{answer, cors};

/// The parameters of a listen in a URL.
const LISTEN_PARAMETERS: [&str; 9] = [
    "from", "group", "doc", "filter", "orderBy", "limit", "cursor", "select", "ticket",
];
/// Bytes of a ticket, and what every ticket begins with.
const TICKET_BYTES: usize = 32;
const TICKET_PREFIX: &str = "lt_";

/// A ticket for a listen
#[derive(Serialize, ToSchema)]
pub(crate) struct Ticket {
    /// Goes into the URL: `/api/v1/listen?ticket=…`
    #[schema(example = "lt_6kJ0…")]
    ticket: String,
}

/// Open a live socket
///
/// A WebSocket with the subprotocol `andiron.v1`, one JSON text frame a message. The client sends `auth` (where it cannot
/// set the `Authorization` header), `listen` with a query or a document, and `unlisten`; the server answers with `changes`.
/// `docs/live.md` has all of it.
#[utoipa::path(
    get,
    path = "/api/v1/live",
    operation_id = "openLiveSocket",
    tag = "Live",
    responses(
        (status = 101, description = "The socket is open"),
        (status = 400, description = "It was not asked for as a WebSocket", body = schemas::Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn live(
    State(app): State<AppRef>,
    CallerOf(caller): CallerOf,
    mut request: Request,
) -> Result<Response, ApiError> {
    Parameters::read(request.uri().query(), &[])?;
    check_origin(&app, request.headers())?;
    let session = Session::begin(&app, credential(&app, &caller, request.headers()))?;
    let life = life(&request);
    let (opening, answer) = Opening::of(&mut request, SUBPROTOCOL, &app.options).ok_or_else(|| {
        ApiError::invalid(format!(
            "this is a WebSocket, with the subprotocol `{SUBPROTOCOL}`"
        ))
    })?;
    let shared = AppRef::clone(&app);
    shared.live_runtime.spawn(async move {
        if let Some(socket) = opening.socket().await {
            serve_socket(app, socket, session, life).await;
        }
    });
    Ok(answer)
}

/// Listen to a query or a document as Server-Sent Events
///
/// Each event is a `changes` frame; its id is the resume token, which comes back as `Last-Event-ID`, so a plain `EventSource`
/// goes on by itself. A last event of type `end` says why there will be no more.
///
/// ```sh
/// curl -N -G -H "Authorization: Bearer $KEY" http://127.0.0.1:8750/api/v1/listen \
///   -d from=posts --data-urlencode 'filter=published == true'
/// ```
#[utoipa::path(
    get,
    path = "/api/v1/listen",
    operation_id = "listen",
    tag = "Live",
    params(
        ("from" = Option<String>, Query, description = "The collection", example = "posts", nullable = false),
        ("group" = Option<String>, Query, description = "Instead: every collection of this name", nullable = false),
        ("doc" = Option<String>, Query, description = "Instead: one document", nullable = false),
        ("filter" = Option<String>, Query, description = "Which documents, as an expression over their fields", nullable = false),
        ("orderBy" = Option<String>, Query, description = "Fields separated by commas, `-` before one for descending", nullable = false),
        ("limit" = Option<u32>, Query, description = "How many documents; all without it", nullable = false),
        ("cursor" = Option<String>, Query, description = "The `cursor` of a page, to listen to what follows it", nullable = false),
        ("select" = Option<String>, Query, description = "The fields of documents, separated by commas", nullable = false),
        ("ticket" = Option<String>, Query, description = "Instead of all of these and of the `Authorization` header: a ticket", nullable = false),
        ("Last-Event-ID" = Option<String>, Header, description = "The id of the last event: go on from there", nullable = false),
    ),
    responses((status = 200, description = "Events, until somebody ends it", body = String, content_type = "text/event-stream"))
)]
pub(crate) async fn listen(
    State(app): State<AppRef>,
    CallerOf(caller): CallerOf,
    request: Request,
) -> Result<Response, ApiError> {
    let parameters = Parameters::read(request.uri().query(), &LISTEN_PARAMETERS)?;
    let (listen, credential) = match parameters.get("ticket") {
        None => (
            listen_of(&parameters)?,
            credential(&app, &caller, request.headers()),
        ),
        Some(ticket) => {
            only_ticket(&parameters)?;
            app.tickets.get(ticket).ok_or(AuthError::Unauthenticated)?
        }
    };
    let session = Session::begin(&app, credential)?;
    let resume = request
        .headers()
        .get("last-event-id")
        .and_then(|id| id.to_str().ok())
        .filter(|id| !id.is_empty());
    let life = life(&request);
    events(AppRef::clone(&app), session, listen, resume, life).await
}

/// Mint a ticket for a listen
///
/// For an `EventSource`, which can set no headers: takes the parameters of a listen and gives a ticket that is good for that
/// listen alone, as long as the token that it was minted with.
#[utoipa::path(
    post,
    path = "/api/v1/listen/tickets",
    operation_id = "mintListenTicket",
    tag = "Live",
    params(
        ("from" = Option<String>, Query, description = "The collection", example = "posts", nullable = false),
        ("group" = Option<String>, Query, description = "Instead: every collection of this name", nullable = false),
        ("doc" = Option<String>, Query, description = "Instead: one document", nullable = false),
        ("filter" = Option<String>, Query, description = "Which documents, as an expression over their fields", nullable = false),
        ("orderBy" = Option<String>, Query, description = "Fields separated by commas, `-` before one for descending", nullable = false),
        ("limit" = Option<u32>, Query, description = "How many documents; all without it", nullable = false),
        ("cursor" = Option<String>, Query, description = "The `cursor` of a page, to listen to what follows it", nullable = false),
        ("select" = Option<String>, Query, description = "The fields of documents, separated by commas", nullable = false),
    ),
    responses((status = 201, description = "The ticket", body = Ticket))
)]
pub(crate) async fn mint_ticket(
    State(app): State<AppRef>,
    CallerOf(caller): CallerOf,
    request: Request,
) -> Result<Response, ApiError> {
    let known = &LISTEN_PARAMETERS[..LISTEN_PARAMETERS.len() - 1];
    let parameters = Parameters::read(request.uri().query(), known)?;
    let listen = listen_of(&parameters)?;
    let credential = credential(&app, &caller, request.headers());
    let mut bytes = [0; TICKET_BYTES];
    app.engine.fill_random(&mut bytes);
    let ticket = format!("{TICKET_PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes));
    app.tickets.put(&ticket, listen, credential);
    Ok(answer::json_of(StatusCode::CREATED, &Ticket { ticket }))
}

pub(super) fn life(request: &Request) -> Option<Arc<ConnectionLife>> {
    request.extensions().get::<Arc<ConnectionLife>>().cloned()
}

/// What the caller whom the gate has let in has shown.
pub(super) fn credential(app: &AppRef, caller: &Caller, headers: &HeaderMap) -> Credential {
    match (caller, token_of(app, headers)) {
        (Caller::User(_) | Caller::ServiceKey(_), Some(token)) => Credential::Token(token.to_owned()),
        _ => Credential::None(caller.clone()),
    }
}

/// Pages of other sites may not open sockets, as they may not call the API: those of this host and of configured origins may.
/// Programs that are no browsers name no origin.
pub(super) fn check_origin(app: &AppRef, headers: &HeaderMap) -> Result<(), ApiError> {
    if !headers.contains_key(ORIGIN)
        || cors::is_own(headers)
        || cors::allowed_origin(&app.options.cors_origins, headers).is_some()
    {
        return Ok(());
    }
    Err(ApiError::new(
        ErrorCode::PermissionDenied,
        "pages of this origin may not open sockets here; the setting `http.cors_origins` names those that may",
    ))
}

fn only_ticket(parameters: &Parameters<'_>) -> Result<(), InputError> {
    let others = &LISTEN_PARAMETERS[..LISTEN_PARAMETERS.len() - 1];
    match others.iter().find(|name| parameters.get(name).is_some()) {
        Some(name) => {
            let detail = format!("a ticket says what it is for: `{name}` does not go with it");
            Err(InputError::new(detail).in_field(*name))
        }
        None => Ok(()),
    }
}

fn listen_of(parameters: &Parameters<'_>) -> Result<Listen, InputError> {
    let (from, group, doc) = (
        parameters.get("from"),
        parameters.get("group"),
        parameters.get("doc"),
    );
    let target = match (from, group, doc) {
        (None, None, Some(path)) => {
            let of_queries = ["filter", "orderBy", "limit", "cursor", "select"];
            if let Some(name) = of_queries.iter().find(|name| parameters.get(name).is_some()) {
                let detail = format!("`{name}` does not go with `doc`");
                return Err(InputError::new(detail).in_field(*name));
            }
            let path: DocumentPath = path.parse().map_err(|error: InputError| error.in_field("doc"))?;
            LiveTarget::Document(path)
        }
        (Some(_), None, None) | (None, Some(_), None) => {
            let source = match (from, group) {
                (Some(path), _) => {
                    Source::Collection(path.parse().map_err(|error: InputError| error.in_field("from"))?)
                }
                (None, group) => {
                    let name = group.unwrap_or_default();
                    andiron_protocol::check_id(name).map_err(|error| error.in_field("group"))?;
                    Source::Group(name.to_owned())
                }
            };
            LiveTarget::Query(Arc::new(query::read_parameters(source, parameters)?))
        }
        _ => return Err(InputError::new("a listen is to one of `from`, `group` and `doc`").in_field("from")),
    };
    Ok(Listen { target })
}
