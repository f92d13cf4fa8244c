//! `/api/v1/admin/…`: what administrators, and service keys that have the scope, look after, one module for each noun.
//!
//! Each handler first says by a [`Permission`] what it is, and lets nobody on whom that is not granted to.

pub(crate) mod accounts;
pub(crate) mod audit;
pub(crate) mod keys;
pub(crate) mod mail;
pub(crate) mod rules;
pub(crate) mod server;
pub(crate) mod tokens;

use andiron_auth::ClientInfo;
use andiron_engine::{Caller, Permission, authorize_administration};
use andiron_protocol::{Map, Value};
use axum::extract::Request;
use serde::de::DeserializeOwned;

use super::auth::{read_body, read_plain};
use crate::app::AppRef;
use crate::parameters::Parameters;
use crate::problem::ApiError;

/// Accounts or events in a page that names no limit.
const PAGE_DEFAULT: u32 = 100;

/// Lets somebody on with a request that says everything by its path.
fn admitted(
    app: &AppRef,
    caller: &Caller,
    permission: Permission,
    request: Request,
) -> Result<ClientInfo, ApiError> {
    authorize_administration(caller, permission)?;
    let (_, client) = read_plain(app, request)?;
    Ok(client)
}

/// Lets somebody on with a request whose whole matter is a JSON body.
async fn admitted_body<T: DeserializeOwned>(
    app: &AppRef,
    caller: &Caller,
    permission: Permission,
    request: Request,
) -> Result<(T, ClientInfo), ApiError> {
    authorize_administration(caller, permission)?;
    read_body(app, request).await
}

fn map_of(field: &str, value: Option<Value>) -> Result<Option<Map>, ApiError> {
    match value {
        None => Ok(None),
        Some(Value::Map(map)) => Ok(Some(map)),
        Some(_) => Err(ApiError::invalid(format!("`{field}` is an object")).in_field(field)),
    }
}

fn limit_of(parameters: &Parameters<'_>) -> Result<u32, ApiError> {
    match parameters.get("limit") {
        None => Ok(PAGE_DEFAULT),
        Some(limit) => match limit.parse() {
            Ok(limit @ 1..=1000) => Ok(limit),
            _ => Err(ApiError::invalid("`limit` is a number from 1 to 1000").in_field("limit")),
        },
    }
}
