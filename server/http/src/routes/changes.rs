//! `GET /api/v1/changes`: the change feed, for programs that follow everything.

use std::time::Duration;

use andiron_protocol::{InputError, Source, Version, check_id};
use axum::extract::{Request, State};
use axum::http::HeaderMap;
use axum::http::header::ACCEPT;
use axum::response::Response;

use super::live::{check_origin, credential, life};
use crate::app::AppRef;
use crate::caller::CallerOf;
use crate::live::{Following, Opening, SUBPROTOCOL, Session};
use crate::openapi::schemas;
use crate::parameters::Parameters;
use crate::problem::ApiError;

const PARAMETERS: [&str; 4] = ["after", "collections", "groups", "wait"];
/// How long an answer of lines waits for something, by default and at most.
const WAIT_SECONDS: u64 = 25;
const WAIT_SECONDS_MAX: u64 = 50;

/// Follow all changes
///
/// Every change of every document, or of chosen collections, with the document before and after, in the order of commits: for
/// service keys and administrators. A frame has the changes of one commit, or of a part of one while `more` is true. Keep the
/// `version` of the last whole commit that you have dealt with, and go on with `after`: nothing is left out, and what
/// you had not finished comes again. A position that the log does not reach back to, or that is not of its history, is answered
/// with 410.
///
/// As Server-Sent Events with `Accept: text/event-stream` (the version is the event's id), on a WebSocket, or as lines: the
/// answer then ends once everything has been told, and waits for something first.
///
/// ```sh
/// curl -H "Authorization: Bearer $KEY" 'http://127.0.0.1:8750/api/v1/changes?after=0&collections=posts'
/// ```
#[utoipa::path(
    get,
    path = "/api/v1/changes",
    operation_id = "followChanges",
    tag = "Live",
    params(
        ("after" = Option<String>, Query, description = "The version to go on after; 0 is the beginning; without it only what comes from now on", nullable = false),
        ("collections" = Option<String>, Query, description = "Collections, separated by commas; without these and `groups` all", example = "posts,posts/p1/comments", nullable = false),
        ("groups" = Option<String>, Query, description = "Names of collections wherever they are, separated by commas", nullable = false),
        ("wait" = Option<u64>, Query, description = "Seconds that lines wait for something, at most 50; 25 without it", nullable = false),
        ("Last-Event-ID" = Option<String>, Header, description = "As `after`, which it goes before", nullable = false),
    ),
    responses(
        (status = 200, description = "Changes", content((String = "application/x-ndjson"), (String = "text/event-stream"))),
        (status = 101, description = "The socket is open"),
        (status = 410, description = "The log does not reach back to `after`", body = schemas::Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn changes(
    State(app): State<AppRef>,
    CallerOf(caller): CallerOf,
    mut request: Request,
) -> Result<Response, ApiError> {
    let (after, sources, wait) = {
        let parameters = Parameters::read(request.uri().query(), &PARAMETERS)?;
        (
            after(&parameters, request.headers())?,
            sources(&parameters)?,
            wait(&parameters)?,
        )
    };
    check_origin(&app, request.headers())?;
    let session = Session::begin(&app, credential(&app, &caller, request.headers()))?;
    let following = Following::begin(&app, session, sources, after, life(&request))?;
    if let Some((opening, answer)) = Opening::of(&mut request, SUBPROTOCOL, &app.options) {
        app.live_runtime.spawn(async move {
            if let Some(socket) = opening.socket().await {
                following.serve(socket).await;
            }
        });
        return Ok(answer);
    }
    if accepts_events(request.headers()) {
        return Ok(following.events());
    }
    Ok(following.lines(wait))
}

fn after(parameters: &Parameters<'_>, headers: &HeaderMap) -> Result<Option<Version>, InputError> {
    let last = headers
        .get("last-event-id")
        .and_then(|id| id.to_str().ok())
        .filter(|id| !id.is_empty());
    last.or_else(|| parameters.get("after"))
        .map(|version| {
            version
                .parse::<Version>()
                .map_err(|error| error.in_field("after"))
        })
        .transpose()
}

fn sources(parameters: &Parameters<'_>) -> Result<Vec<Source>, InputError> {
    let listed = |name| parameters.get(name).into_iter().flat_map(|list| list.split(','));
    let collections = listed("collections").map(|path| {
        let path = path
            .parse()
            .map_err(|error: InputError| error.in_field("collections"))?;
        Ok(Source::Collection(path))
    });
    let groups = listed("groups").map(|name| {
        check_id(name).map_err(|error| error.in_field("groups"))?;
        Ok(Source::Group(name.to_owned()))
    });
    collections.chain(groups).collect()
}

fn wait(parameters: &Parameters<'_>) -> Result<Duration, InputError> {
    let seconds = match parameters.get("wait") {
        None => WAIT_SECONDS,
        Some(text) => text
            .parse()
            .ok()
            .filter(|seconds| *seconds <= WAIT_SECONDS_MAX)
            .ok_or_else(|| {
                let detail = format!("`wait` is a whole number of seconds from 0 to {WAIT_SECONDS_MAX}");
                InputError::new(detail).in_field("wait")
            })?,
    };
    Ok(Duration::from_secs(seconds))
}

fn accepts_events(headers: &HeaderMap) -> bool {
    headers.get_all(ACCEPT).iter().any(|value| {
        value
            .to_str()
            .is_ok_and(|value| value.to_ascii_lowercase().contains("text/event-stream"))
    })
}
