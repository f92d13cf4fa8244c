//! The revisions of the rules: every set of them that was in force.

use andiron_engine::{Permission, RulesFiles, authorize_administration};
use andiron_protocol::InputError;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::Serialize;
use similar::TextDiff;

use super::{RevisionJson, refuse};
use crate::answer;
use crate::app::AppRef;
use crate::caller::CallerOf;
use crate::openapi::{rules_schemas, schemas};
use crate::parameters::Parameters;
use crate::problem::ApiError;
use crate::routes::admin::admitted;

const REVISIONS_PREFIX: &str = "/api/v1/admin/rules/revisions/";
/// Revisions of a list that names no number, and at most.
const REVISIONS_LISTED: usize = 20;
const REVISIONS_LISTED_MAX: usize = 100;
/// Lines around a change in a difference.
const CONTEXT_LINES: usize = 3;

/// List the revisions
///
/// Every set of rules that was in force, newest first; the last 500 are kept.
#[utoipa::path(
    get,
    path = "/api/v1/admin/rules/revisions",
    operation_id = "listRulesRevisions",
    tag = "Rules",
    params(
        ("limit" = Option<usize>, Query, description = "How many, 20 if not given, at most 100", nullable = false),
        ("before" = Option<u64>, Query, description = "Only revisions before this one: for the next page, the last one of this", nullable = false),
    ),
    responses((status = 200, description = "The revisions, without their files", body = rules_schemas::RulesRevisions))
)]
pub(crate) async fn list_revisions(
    State(app): State<AppRef>,
    CallerOf(caller): CallerOf,
    request: Request,
) -> Result<Response, ApiError> {
    #[derive(Serialize)]
    struct Revisions<'r> {
        revisions: Vec<RevisionJson<'r>>,
    }
    authorize_administration(&caller, Permission::RulesRead)?;
    let parameters = Parameters::read(request.uri().query(), &["limit", "before"])?;
    let limit = number(&parameters, "limit")?.unwrap_or(REVISIONS_LISTED as u64);
    let limit = usize::try_from(limit)
        .ok()
        .filter(|limit| (1..=REVISIONS_LISTED_MAX).contains(limit));
    let Some(limit) = limit else {
        let detail = format!("`limit` is a number from 1 to {REVISIONS_LISTED_MAX}");
        return Err(InputError::new(detail).in_field("limit").into());
    };
    let before = number(&parameters, "before")?;
    let found = app.rules.revisions.list(before, limit).map_err(refuse)?;
    let revisions = found.iter().map(RevisionJson::of).collect();
    Ok(answer::json_of(StatusCode::OK, &Revisions { revisions }))
}

/// See a revision
#[utoipa::path(
    get,
    path = "/api/v1/admin/rules/revisions/{revision}",
    operation_id = "readRulesRevision",
    tag = "Rules",
    params(("revision" = String, Path, description = "Its number", example = "1")),
    responses(
        (status = 200, description = "The revision with its files", body = rules_schemas::RulesRevision),
        (status = 404, description = "There is no such revision, or not any more", body = schemas::Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn read_revision(
    State(app): State<AppRef>,
    CallerOf(caller): CallerOf,
    request: Request,
) -> Result<Response, ApiError> {
    let number = in_path(&request, "");
    admitted(&app, &caller, Permission::RulesRead, request)?;
    let number = number?;
    let revision = app.rules.revisions.get(number).map_err(refuse)?;
    Ok(answer::json_of(
        StatusCode::OK,
        &RevisionJson::with_files(&revision),
    ))
}

/// Compare revisions
///
/// What a revision changes, as a unified difference of its files.
#[utoipa::path(
    get,
    path = "/api/v1/admin/rules/revisions/{revision}/diff",
    operation_id = "compareRulesRevisions",
    tag = "Rules",
    params(
        ("revision" = String, Path, description = "Its number", example = "1"),
        ("against" = Option<u64>, Query, description = "The revision to compare with; the one before if not given", nullable = false),
    ),
    responses(
        (status = 200, description = "The difference; empty if there is none", body = rules_schemas::RulesDiff),
        (status = 404, description = "There is no such revision, or not any more", body = schemas::Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn compare_revisions(
    State(app): State<AppRef>,
    CallerOf(caller): CallerOf,
    request: Request,
) -> Result<Response, ApiError> {
    #[derive(Serialize)]
    struct Diff {
        revision: u64,
        against: u64,
        diff: String,
    }
    authorize_administration(&caller, Permission::RulesRead)?;
    let parameters = Parameters::read(request.uri().query(), &["against"])?;
    let revision = in_path(&request, "/diff")?;
    let against = number(&parameters, "against")?.unwrap_or(revision.saturating_sub(1));
    let new = app.rules.revisions.get(revision).map_err(refuse)?.files;
    let old = match against {
        // Before the first there was nothing.
        0 => RulesFiles::new(),
        against => app.rules.revisions.get(against).map_err(refuse)?.files,
    };
    let json = Diff {
        revision,
        against,
        diff: difference(&old, &new),
    };
    Ok(answer::json_of(StatusCode::OK, &json))
}

fn number(parameters: &Parameters<'_>, name: &'static str) -> Result<Option<u64>, InputError> {
    let Some(text) = parameters.get(name) else {
        return Ok(None);
    };
    match text.parse() {
        Ok(number) => Ok(Some(number)),
        Err(_) => Err(InputError::new(format!("`{name}` is a number")).in_field(name)),
    }
}

fn in_path(request: &Request, suffix: &str) -> Result<u64, ApiError> {
    request
        .uri()
        .path()
        .strip_prefix(REVISIONS_PREFIX)
        .and_then(|rest| rest.strip_suffix(suffix))
        .and_then(|number| number.parse().ok())
        .ok_or_else(|| {
            InputError::new("a revision is a number, as in `/api/v1/admin/rules/revisions/3`")
                .in_field("revision")
                .into()
        })
}

/// The difference of all files, one after the other by name.
fn difference(old: &RulesFiles, new: &RulesFiles) -> String {
    let mut names: Vec<&str> = old.iter().chain(new.iter()).map(|(name, _)| name).collect();
    names.sort_unstable();
    names.dedup();
    let mut text = String::new();
    for name in names {
        let (before, after) = (old.get(name), new.get(name));
        if before == after {
            continue;
        }
        let header = |file: Option<&str>, side: &str| match file {
            Some(_) => format!("{side}/{name}"),
            None => "/dev/null".to_owned(),
        };
        let diff = TextDiff::from_lines(before.unwrap_or_default(), after.unwrap_or_default());
        let mut unified = diff.unified_diff();
        unified
            .context_radius(CONTEXT_LINES)
            .header(&header(before, "a"), &header(after, "b"));
        text.push_str(&unified.to_string());
    }
    text
}
