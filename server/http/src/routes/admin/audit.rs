//! `/api/v1/admin/audit`: security events.

use andiron_auth::{AuditEvent, AuditQuery};
use andiron_engine::{Permission, authorize_administration};
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::Serialize;

use super::limit_of;
use crate::answer;
use crate::app::AppRef;
use crate::caller::CallerOf;
use crate::openapi::account_schemas as schemas;
use crate::parameters::Parameters;
use crate::problem::ApiError;

/// Read the audit log
///
/// Security events, newest first; the next page is `before` the last. No call changes or removes an event.
#[utoipa::path(
    get,
    path = "/api/v1/admin/audit",
    operation_id = "readAudit",
    tag = "Administration of accounts",
    params(
        ("uid" = Option<String>, Query, description = "Only events about this account"),
        ("event" = Option<String>, Query, description = "Only events of this kind, as in `sign-in-refused`"),
        ("before" = Option<String>, Query, description = "Only events before the one with this id"),
        ("limit" = Option<u32>, Query, description = "Events at most, up to 1,000; 100 by default"),
    ),
    responses((status = 200, description = "The events", body = schemas::AuditEvents))
)]
pub(crate) async fn read_audit(
    State(app): State<AppRef>,
    CallerOf(caller): CallerOf,
    request: Request,
) -> Result<Response, ApiError> {
    #[derive(Serialize)]
    struct Events {
        events: Vec<AuditEvent>,
    }
    authorize_administration(&caller, Permission::AuditRead)?;
    let parameters = Parameters::read(request.uri().query(), &["uid", "event", "before", "limit"])?;
    let owned = |name: &str| parameters.get(name).map(ToOwned::to_owned);
    let query = AuditQuery {
        uid: owned("uid"),
        event: owned("event"),
        before: owned("before"),
        limit: limit_of(&parameters)?,
    };
    let events = app.accounts.audit_events(query).await?;
    Ok(answer::json_of(StatusCode::OK, &Events { events }))
}
