//! `/api/v1/admin/rules…`: the rules in force, and putting others into force.

pub(crate) mod revisions;
pub(crate) mod trial;

use andiron_engine::{
    Caller, CheckedRules, Permission, Published, RulesError, RulesFiles, RulesOrigin, RulesReport,
    RulesRevision, authorize_administration,
};
use andiron_protocol::{ErrorCode, InputError, Timestamp};
use axum::extract::{Request, State};
use axum::http::header::{ETAG, IF_MATCH};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::Response;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::admitted;
use crate::answer;
use crate::app::AppRef;
use crate::body::read_typed;
use crate::caller::CallerOf;
use crate::openapi::{rules_schemas, schemas};
use crate::parameters::Parameters;
use crate::problem::ApiError;

/// Bytes of a body with rules: their limit, and as much again for the JSON around them.
const BODY_BYTES_MAX: usize = 2 * andiron_engine::RULES_BYTES_MAX;

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

/// A body that is files.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FilesBody {
    files: Vec<FileBody>,
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

/// Lets somebody on with a request whose body may hold rules.
async fn admitted_rules<T: DeserializeOwned>(
    app: &AppRef,
    caller: &Caller,
    permission: Permission,
    request: Request,
) -> Result<(HeaderMap, T), ApiError> {
    authorize_administration(caller, permission)?;
    let (parts, body) = request.into_parts();
    Parameters::read(parts.uri.query(), &[])?;
    let body = read_typed(&parts.headers, body, BODY_BYTES_MAX, &app.options).await?;
    Ok((parts.headers, body))
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
    responses((status = 200, description = "The rules; `ETag` is their revision", body = rules_schemas::Rules))
)]
pub(crate) async fn read(
    State(app): State<AppRef>,
    CallerOf(caller): CallerOf,
    request: Request,
) -> Result<Response, ApiError> {
    admitted(&app, &caller, Permission::RulesRead, request)?;
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
    request_body(content = rules_schemas::RulesFilesBody, example = json!({"files": [{
        "name": "andiron.rules",
        "text": "rules_version = '2';\nservice cloud.firestore {\n  match /databases/{database}/documents {\n    match /posts/{post} {\n      allow read: if resource.data.published == true;\n    }\n  }\n}\n",
    }]})),
    responses(
        (status = 200, description = "The rules now in force, with what may be wrong with them", body = rules_schemas::Rules),
        (status = 412, description = "Another revision than that of `If-Match` is in force", body = schemas::Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn publish(
    State(app): State<AppRef>,
    CallerOf(caller): CallerOf,
    request: Request,
) -> Result<Response, ApiError> {
    let (headers, body) = admitted_rules::<FilesBody>(&app, &caller, Permission::RulesWrite, request).await?;
    let expected = expected(&headers)?;
    let files = files_of(body.files)?;
    let save = |files: &RulesFiles| (app.rules.save)(files);
    let revisions = &app.rules.revisions;
    let outcome = revisions
        .publish(&caller, files, RulesOrigin::Api, expected, save)
        .await;
    Ok(published(&outcome.map_err(refuse)?))
}

/// Go back to a revision
///
/// Its files are checked, written to the project's folder and put into force again, as a new revision.
#[utoipa::path(
    post,
    path = "/api/v1/admin/rules/rollback",
    operation_id = "rollBackRules",
    tag = "Rules",
    request_body(content = rules_schemas::RollbackBody, example = json!({"revision": 1})),
    responses(
        (status = 200, description = "The rules now in force", body = rules_schemas::Rules),
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
    let (headers, body) = admitted_rules::<Body>(&app, &caller, Permission::RulesWrite, request).await?;
    let expected = expected(&headers)?;
    let revisions = &app.rules.revisions;
    let files = revisions.get(body.revision).map_err(refuse)?.files;
    let save = |files: &RulesFiles| (app.rules.save)(files);
    let outcome = revisions
        .publish(&caller, files, RulesOrigin::Rollback, expected, save)
        .await;
    Ok(published(&outcome.map_err(refuse)?))
}
