//! `/api/v1/admin/rules…`: the rules in force and their revisions; checking, testing and explaining rules.

use andiron_engine::{
    Caller, CheckedRules, Published, RulesError, RulesFiles, RulesOrigin, RulesReport, RulesRevision,
    authorize_administration, test_rules,
};
use andiron_protocol::{ErrorCode, InputError, Timestamp};
use axum::extract::{Request, State};
use axum::http::header::{ETAG, IF_MATCH};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::Response;
use serde::{Deserialize, Serialize};
use similar::TextDiff;

use crate::answer;
use crate::app::AppRef;
use crate::body::{read_json, read_typed};
use crate::caller::CallerOf;
use crate::openapi::schemas;
use crate::parameters::Parameters;
use crate::problem::ApiError;

const REVISIONS_PREFIX: &str = "/api/v1/admin/rules/revisions/";
/// Revisions of a list that names no number, and at most.
const REVISIONS_LISTED: usize = 20;
const REVISIONS_LISTED_MAX: usize = 100;
/// Bytes of a body with rules: their limit, and as much again for the JSON around them.
const BODY_BYTES_MAX: usize = 2 * andiron_engine::RULES_BYTES_MAX;
/// Lines around a change in a difference.
const CONTEXT_LINES: usize = 3;

/// A file in a body.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileBody {
    name: String,
    text: String,
}

#[derive(Serialize)]
struct FileJson<'r> {
    name: &'r str,
    text: &'r str,
}

/// A revision as it is listed.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RevisionJson<'r> {
    revision: u64,
    time: Timestamp,
    origin: &'static str,
    author: &'r str,
    #[serde(skip_serializing_if = "Option::is_none")]
    files: Option<Vec<FileJson<'r>>>,
}

impl<'r> RevisionJson<'r> {
    fn of(revision: &'r RulesRevision) -> Self {
        Self {
            revision: revision.number,
            time: revision.time,
            origin: revision.origin.as_str(),
            author: &revision.author,
            files: None,
        }
    }

    fn with_files(revision: &'r RulesRevision) -> Self {
        let files = revision.files.iter();
        Self {
            files: Some(files.map(|(name, text)| FileJson { name, text }).collect()),
            ..Self::of(revision)
        }
    }
}

/// What is in force.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RulesJson<'r> {
    /// `None` if there never were any.
    #[serde(flatten)]
    revision: Option<RevisionJson<'r>>,
    is_in_force: bool,
    diagnostics: RulesReport<'r>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refused: Option<RefusedJson<'r>>,
}

#[derive(Serialize)]
struct RefusedJson<'r> {
    time: Timestamp,
    diagnostics: RulesReport<'r>,
}

fn files_of(bodies: Vec<FileBody>) -> Result<RulesFiles, ApiError> {
    let mut files = RulesFiles::new();
    for body in bodies {
        check_name(&body.name)?;
        if files.get(&body.name).is_some() {
            let detail = format!("the file `{}` is given twice", body.name);
            return Err(InputError::new(detail).in_field("files").into());
        }
        files.insert(body.name, body.text);
    }
    Ok(files)
}

/// A name is a path below the project's folder, to which the file is going to be written.
fn check_name(name: &str) -> Result<(), InputError> {
    let is_segment = |segment: &str| {
        !segment.is_empty()
            && !segment.starts_with('.')
            && segment
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
    };
    if name.len() <= 200 && name.ends_with(".rules") && name.split('/').all(is_segment) {
        return Ok(());
    }
    Err(InputError::new(
        "the name of a rules file is a path in the project's folder of letters, digits, `.`, `_` and `-` that ends in \
         `.rules`, as in `andiron.rules` or `rules/shared.rules`",
    )
    .in_field("files"))
}

fn refuse(error: RulesError) -> ApiError {
    match error {
        RulesError::Broken(rules) => broken(&rules),
        RulesError::NoRoot | RulesError::TooLong { .. } => {
            ApiError::invalid(error.to_string()).in_field("files")
        }
        RulesError::Stale { .. } => ApiError::precondition_failed(error.to_string()).in_field("If-Match"),
        RulesError::NoSuchRevision { .. } => ApiError::not_found(error.to_string()).in_field("revision"),
        RulesError::NotSaved { .. } => ApiError::new(ErrorCode::FailedPrecondition, error.to_string()),
        RulesError::Engine(error) => error.into(),
    }
}

fn broken(rules: &CheckedRules) -> ApiError {
    let first = rules.first_error().unwrap_or_default();
    ApiError::invalid(format!(
        "the rules have errors and were not put into force; what was in force still is: {first}"
    ))
    .in_field("files")
}

fn admit(caller: &Caller, request: &Request) -> Result<(), ApiError> {
    authorize_administration(caller)?;
    Parameters::read(request.uri().query(), &[])?;
    Ok(())
}

/// The revision that a change builds on.
fn expected(headers: &HeaderMap) -> Result<Option<u64>, ApiError> {
    let Some(value) = headers.get(IF_MATCH) else {
        return Ok(None);
    };
    let number = value
        .to_str()
        .ok()
        .and_then(|value| value.strip_prefix('"')?.strip_suffix('"')?.parse().ok());
    match number {
        Some(number) => Ok(Some(number)),
        None => Err(
            ApiError::invalid("`If-Match` is a revision in quotes here, as in `\"3\"`").in_field("If-Match"),
        ),
    }
}

fn tagged(mut response: Response, revision: u64) -> Response {
    if let Ok(tag) = HeaderValue::try_from(format!("\"{revision}\"")) {
        response.headers_mut().insert(ETAG, tag);
    }
    response
}

fn published(published: &Published) -> Response {
    let json = RulesJson {
        revision: Some(RevisionJson::with_files(&published.revision)),
        is_in_force: true,
        diagnostics: published.rules.report(),
        refused: None,
    };
    tagged(answer::json_of(StatusCode::OK, &json), published.revision.number)
}

/// See the rules in force
///
/// With their files, what may be wrong with them, and, if the files in the project's folder have errors, what is wrong
/// with those: they are not in force then.
#[utoipa::path(
    get,
    path = "/api/v1/admin/rules",
    operation_id = "readRules",
    tag = "Rules",
    responses((status = 200, description = "The rules; `ETag` is their revision", body = schemas::Rules))
)]
pub(crate) async fn read(
    State(app): State<AppRef>,
    CallerOf(caller): CallerOf,
    request: Request,
) -> Result<Response, ApiError> {
    admit(&caller, &request)?;
    let current = app.rules.revisions.current().map_err(refuse)?;
    let refused = app.rules.revisions.refused();
    let in_force = app.engine.rules();
    let checked = current
        .as_ref()
        .map(|current| app.rules.revisions.check(&current.files))
        .transpose()
        .map_err(refuse)?;
    let json = RulesJson {
        is_in_force: match (&in_force, &current) {
            (Some(rules), Some(current)) => rules.revision() == current.number.to_string(),
            _ => false,
        },
        revision: current.as_ref().map(RevisionJson::with_files),
        diagnostics: checked.as_ref().map_or(
            RulesReport {
                valid: true,
                diagnostics: Vec::new(),
            },
            CheckedRules::report,
        ),
        refused: refused.as_ref().map(|refused| RefusedJson {
            time: refused.time,
            diagnostics: refused.rules.report(),
        }),
    };
    let response = answer::json_of(StatusCode::OK, &json);
    Ok(match &current {
        Some(current) => tagged(response, current.number),
        None => response,
    })
}

/// Publish rules
///
/// All files of the project's rules: those whose services are to be in force (`andiron.rules`, `firestore.rules`,
/// `storage.rules`) and those that they import. They are checked, written to the project's folder, kept as a new revision and
/// put into force, all or nothing. Rules with errors are refused, and what was in force still is.
#[utoipa::path(
    put,
    path = "/api/v1/admin/rules",
    operation_id = "publishRules",
    tag = "Rules",
    params(("If-Match" = Option<String>, Header, description = "The revision in quotes that these files are a change of: refused if another is in force", nullable = false)),
    request_body(content = schemas::RulesFilesBody, example = json!({"files": [{
        "name": "andiron.rules",
        "text": "rules_version = '2';\nservice cloud.firestore {\n  match /databases/{database}/documents {\n    match /posts/{post} {\n      allow read: if resource.data.published == true;\n    }\n  }\n}\n",
    }]})),
    responses(
        (status = 200, description = "The rules now in force, with what may be wrong with them", body = schemas::Rules),
        (status = 412, description = "Another revision than that of `If-Match` is in force", body = schemas::Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn publish(
    State(app): State<AppRef>,
    CallerOf(caller): CallerOf,
    request: Request,
) -> Result<Response, ApiError> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Body {
        files: Vec<FileBody>,
    }
    admit(&caller, &request)?;
    let (parts, body) = request.into_parts();
    let expected = expected(&parts.headers)?;
    let body: Body = read_typed(&parts.headers, body, BODY_BYTES_MAX, &app.options).await?;
    let files = files_of(body.files)?;
    let save = |files: &RulesFiles| (app.rules.save)(files);
    let revisions = &app.rules.revisions;
    let outcome = revisions
        .publish(&caller, files, RulesOrigin::Api, expected, save)
        .await;
    Ok(published(&outcome.map_err(refuse)?))
}

/// Check rules
///
/// Says what is wrong with rules, and what may be, without putting them into force.
#[utoipa::path(
    post,
    path = "/api/v1/admin/rules/check",
    operation_id = "checkRules",
    tag = "Rules",
    request_body(content = schemas::RulesFilesBody, example = json!({"files": [{
        "name": "andiron.rules",
        "text": "rules_version = '2';\nservice cloud.firestore {\n  match /databases/{database}/documents {\n    match /posts/{post} { allow read: if reqest.auth != null; }\n  }\n}\n",
    }]})),
    responses((status = 200, description = "Errors and warnings", body = schemas::RulesReport))
)]
pub(crate) async fn check(
    State(app): State<AppRef>,
    CallerOf(caller): CallerOf,
    request: Request,
) -> Result<Response, ApiError> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Body {
        files: Vec<FileBody>,
    }
    admit(&caller, &request)?;
    let (parts, body) = request.into_parts();
    let body: Body = read_typed(&parts.headers, body, BODY_BYTES_MAX, &app.options).await?;
    let checked = app
        .rules
        .revisions
        .check(&files_of(body.files)?)
        .map_err(refuse)?;
    Ok(answer::json_of(StatusCode::OK, &checked.report()))
}

/// Run tests of rules
///
/// `tests` are files of the tests' language. They are run on `files`, or without any on the rules in force, and touch no data.
#[utoipa::path(
    post,
    path = "/api/v1/admin/rules/test",
    operation_id = "testRules",
    tag = "Rules",
    request_body(content = schemas::RulesTestBody, example = json!({
        "files": [{
            "name": "andiron.rules",
            "text": "rules_version = '2';\nservice cloud.firestore {\n  match /databases/{database}/documents {\n    match /posts/{post} { allow read: if resource.data.published == true; }\n  }\n}\n",
        }],
        "tests": [{
            "name": "posts.test.rules",
            "text": "given { /posts/p1 { published: true } /posts/p2 { published: false } }\ntest \"drafts are hidden\" {\n  as nobody { allow get /posts/p1; deny get /posts/p2; }\n}\n",
        }],
    })),
    responses((status = 200, description = "How each test went, and what of the rules they evaluated", body = schemas::RulesTestReport))
)]
pub(crate) async fn test(
    State(app): State<AppRef>,
    CallerOf(caller): CallerOf,
    request: Request,
) -> Result<Response, ApiError> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Body {
        files: Option<Vec<FileBody>>,
        tests: Vec<FileBody>,
    }
    admit(&caller, &request)?;
    let (parts, body) = request.into_parts();
    let body: Body = read_typed(&parts.headers, body, BODY_BYTES_MAX, &app.options).await?;
    let files = match body.files {
        Some(files) => {
            let files = files_of(files)?;
            app.rules.revisions.check(&files).map_err(refuse)?;
            files
        }
        None => match app.rules.revisions.current().map_err(refuse)? {
            Some(current) => current.files,
            None => return Err(ApiError::not_found("there are no rules in force; give `files`")),
        },
    };
    let tests: Vec<_> = body
        .tests
        .into_iter()
        .map(|test| (test.name, test.text))
        .collect();
    let limits = app.rules.revisions.limits().clone();
    // A thousand expectations take a while, and none of the threads that serve is to wait for them.
    let report = tokio::task::spawn_blocking(move || test_rules(&files, &limits, &tests))
        .await
        .map_err(|error| ApiError::internal(error.to_string()))??;
    Ok(answer::json_of(StatusCode::OK, &report))
}

/// Explain a decision
///
/// Says what the rules in force decide about a request, which allows were tried, what every sub-expression came to, and what
/// would have made it pass. Takes one request or an array of them. Documents that the rules look up and that the request does
/// not bring are read from the database.
#[utoipa::path(
    post,
    path = "/api/v1/admin/rules/explain",
    operation_id = "explainRules",
    tag = "Rules",
    request_body(content = schemas::ExplainBody, example = json!({
        "service": "cloud.firestore", "method": "get", "path": "posts/p1",
        "auth": {"uid": "alice", "token": {"email": "alice@example.org"}},
        "time": "2026-11-22T05:40:35Z",
        "before": {"title": "A draft", "published": false}, "after": null,
        "documents": {"users/alice": {"role": "editor"}},
    })),
    responses((status = 200, description = "The decision and how it came about; an array if an array was given", body = schemas::Explanations))
)]
pub(crate) async fn explain(
    State(app): State<AppRef>,
    CallerOf(caller): CallerOf,
    request: Request,
) -> Result<Response, ApiError> {
    admit(&caller, &request)?;
    let (parts, body) = request.into_parts();
    let json = read_json(
        &parts.headers,
        body,
        app.options.commit_body_bytes_max,
        &app.options,
    )
    .await?;
    let explanations = app.engine.explain_rules(&caller, &json)?;
    Ok(answer::json_of(StatusCode::OK, &explanations))
}

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
    responses((status = 200, description = "The revisions, without their files", body = schemas::RulesRevisions))
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
    authorize_administration(&caller)?;
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
        (status = 200, description = "The revision with its files", body = schemas::RulesRevision),
        (status = 404, description = "There is no such revision, or not any more", body = schemas::Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn read_revision(
    State(app): State<AppRef>,
    CallerOf(caller): CallerOf,
    request: Request,
) -> Result<Response, ApiError> {
    admit(&caller, &request)?;
    let number = in_path(&request, "")?;
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
        (status = 200, description = "The difference; empty if there is none", body = schemas::RulesDiff),
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
    authorize_administration(&caller)?;
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

/// Go back to a revision
///
/// Its files are checked, written to the project's folder and put into force again, as a new revision.
#[utoipa::path(
    post,
    path = "/api/v1/admin/rules/rollback",
    operation_id = "rollBackRules",
    tag = "Rules",
    request_body(content = schemas::RollbackBody, example = json!({"revision": 1})),
    responses(
        (status = 200, description = "The rules now in force", body = schemas::Rules),
        (status = 404, description = "There is no such revision, or not any more", body = schemas::Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn roll_back(
    State(app): State<AppRef>,
    CallerOf(caller): CallerOf,
    request: Request,
) -> Result<Response, ApiError> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Body {
        revision: u64,
    }
    admit(&caller, &request)?;
    let (parts, body) = request.into_parts();
    let expected = expected(&parts.headers)?;
    let bytes_max = app.options.request_body_bytes_max;
    let body: Body = read_typed(&parts.headers, body, bytes_max, &app.options).await?;
    let revisions = &app.rules.revisions;
    let files = revisions.get(body.revision).map_err(refuse)?.files;
    let save = |files: &RulesFiles| (app.rules.save)(files);
    let outcome = revisions
        .publish(&caller, files, RulesOrigin::Rollback, expected, save)
        .await;
    Ok(published(&outcome.map_err(refuse)?))
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
