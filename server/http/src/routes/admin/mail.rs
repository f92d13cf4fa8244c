//! `/api/v1/admin/mailbox` and `…/test-mail`: whether mails go out.

use andiron_auth::{Accounts, MailboxEntry};
use andiron_engine::Permission;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::Serialize;

use super::{admitted, admitted_body};
use crate::answer;
use crate::app::AppRef;
use crate::caller::CallerOf;
use crate::openapi::account_schemas as schemas;
use crate::problem::ApiError;
use crate::routes::auth::EmailBody;

/// Read the development mailbox
///
/// Where a server has no SMTP server and is started with `--dev`, mails stay in memory, and are read here.
#[utoipa::path(
    get,
    path = "/api/v1/admin/mailbox",
    operation_id = "readMailbox",
    tag = "Administration of accounts",
    responses((status = 200, description = "The mails, newest first", body = schemas::Mailbox))
)]
pub(crate) async fn read_mailbox(
    State(app): State<AppRef>,
    CallerOf(caller): CallerOf,
    request: Request,
) -> Result<Response, ApiError> {
    #[derive(Serialize)]
    struct Mails {
        mails: Vec<MailboxEntry>,
    }
    admitted(&app, &caller, Permission::Everything, request)?;
    // Whoever reads a mailbox can sign in as its owners.
    Accounts::check_owner(&caller)?;
    let mailbox = app.accounts.mailbox().ok_or_else(|| {
        ApiError::not_found("there is no development mailbox: mails are sent, or the server sends none")
    })?;
    let mails = mailbox.mails();
    Ok(answer::json_of(StatusCode::OK, &Mails { mails }))
}

/// Send a test mail
///
/// The same as `andiron mail test`.
#[utoipa::path(
    post,
    path = "/api/v1/admin/test-mail",
    operation_id = "sendTestMail",
    tag = "Administration of accounts",
    request_body(content = schemas::Email, example = json!({"email": "ada@example.org"})),
    responses(
        (status = 200, description = "The mail server took it, and what it said", body = schemas::TestMail),
        (status = 400, description = "It did not; `detail` has what it said", body = crate::openapi::schemas::Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn send_test_mail(
    State(app): State<AppRef>,
    CallerOf(caller): CallerOf,
    request: Request,
) -> Result<Response, ApiError> {
    #[derive(Serialize)]
    struct Sent {
        said: String,
    }
    let (body, _) = admitted_body::<EmailBody>(&app, &caller, Permission::Everything, request).await?;
    let said = app.accounts.send_test_mail(&body.address()?).await?;
    Ok(answer::json_of(StatusCode::OK, &Sent { said }))
}
