//! Checking, testing and explaining rules: nothing of it is put into force.

use andiron_engine::{Permission, authorize_administration, test_rules};
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;

use super::{FileBody, FilesBody, admitted_rules, files_of, refuse};
use crate::answer;
use crate::app::AppRef;
use crate::body::read_json;
use crate::caller::CallerOf;
use crate::openapi::rules_schemas;
use crate::parameters::Parameters;
use crate::problem::ApiError;

/// Check rules
///
/// Says what is wrong with rules, and what may be, without putting them into force.
#[utoipa::path(
    post,
    path = "/api/v1/admin/rules/check",
    operation_id = "checkRules",
    tag = "Rules",
    request_body(content = rules_schemas::RulesFilesBody, example = json!({"files": [{
        "name": "andiron.rules",
        "text": "rules_version = '2';\nservice cloud.firestore {\n  match /databases/{database}/documents {\n    match /posts/{post} { allow read: if reqest.auth != null; }\n  }\n}\n",
    }]})),
    responses((status = 200, description = "Errors and warnings", body = rules_schemas::RulesReport))
)]
pub(crate) async fn check(
    State(app): State<AppRef>,
    CallerOf(caller): CallerOf,
    request: Request,
) -> Result<Response, ApiError> {
    let (_, body) = admitted_rules::<FilesBody>(&app, &caller, Permission::RulesRead, request).await?;
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
    request_body(content = rules_schemas::RulesTestBody, example = json!({
        "files": [{
            "name": "andiron.rules",
            "text": "rules_version = '2';\nservice cloud.firestore {\n  match /databases/{database}/documents {\n    match /posts/{post} { allow read: if resource.data.published == true; }\n  }\n}\n",
        }],
        "tests": [{
            "name": "posts.test.rules",
            "text": "given { /posts/p1 { published: true } /posts/p2 { published: false } }\ntest \"drafts are hidden\" {\n  as nobody { allow get /posts/p1; deny get /posts/p2; }\n}\n",
        }],
    })),
    responses((status = 200, description = "How each test went, and what of the rules they evaluated", body = rules_schemas::RulesTestReport))
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
    let (_, body) = admitted_rules::<Body>(&app, &caller, Permission::RulesRead, request).await?;
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
    request_body(content = rules_schemas::ExplainBody, example = json!({
        "service": "cloud.firestore", "method": "get", "path": "posts/p1",
        "auth": {"uid": "alice", "token": {"email": "alice@example.org"}},
        "time": "2026-11-22T05:40:35Z",
        "before": {"title": "A draft", "published": false}, "after": null,
        "documents": {"users/alice": {"role": "editor"}},
    })),
    responses((status = 200, description = "The decision and how it came about; an array if an array was given", body = rules_schemas::Explanations))
)]
pub(crate) async fn explain(
    State(app): State<AppRef>,
    CallerOf(caller): CallerOf,
    request: Request,
) -> Result<Response, ApiError> {
    authorize_administration(&caller, Permission::RulesRead)?;
    Parameters::read(request.uri().query(), &[])?;
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
