//! `/api/v1/admin/accounts…` and invitations: what administrators do with accounts.

use andiron_auth::{AccountChange, AccountList, EmailAddress, NewAccount, Password, ProfileChange};
use andiron_engine::{Permission, authorize_administration};
use andiron_protocol::Value;
use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::{Deserialize, Deserializer, Serialize};

use super::{admitted, admitted_body, limit_of, map_of};
use crate::answer;
use crate::app::AppRef;
use crate::caller::CallerOf;
use crate::openapi::account_schemas as schemas;
use crate::parameters::Parameters;
use crate::problem::ApiError;
use crate::routes::auth::session::SessionsJson;
use crate::routes::auth::{EmailBody, NothingBody, account as account_answer, signed_in};

/// Tells an explicit null from a field that is not there.
fn given<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Option<Option<T>>, D::Error> {
    Option::<T>::deserialize(deserializer).map(Some)
}

/// List accounts
///
/// In the order of their ids; the next page begins `after` the last.
#[utoipa::path(
    get,
    path = "/api/v1/admin/accounts",
    operation_id = "listAccounts",
    tag = "Administration of accounts",
    params(
        ("email" = Option<String>, Query, description = "Only the account with this address"),
        ("after" = Option<String>, Query, description = "Only accounts after this id"),
        ("limit" = Option<u32>, Query, description = "Accounts at most, up to 1,000; 100 by default"),
    ),
    responses((status = 200, description = "The accounts", body = schemas::Accounts))
)]
pub(crate) async fn list_accounts(
    State(app): State<AppRef>,
    CallerOf(caller): CallerOf,
    request: Request,
) -> Result<Response, ApiError> {
    #[derive(Serialize)]
    struct Page<'a> {
        accounts: Vec<andiron_auth::AccountView<'a>>,
    }
    authorize_administration(&caller, Permission::AccountsRead)?;
    let parameters = Parameters::read(request.uri().query(), &["email", "after", "limit"])?;
    let list = AccountList {
        email: parameters.get("email").map(ToOwned::to_owned),
        after: parameters.get("after").map(ToOwned::to_owned),
        limit: limit_of(&parameters)?,
    };
    let accounts = app.accounts.list(list).await?;
    let accounts = accounts.iter().map(andiron_auth::Account::view).collect();
    Ok(answer::json_of(StatusCode::OK, &Page { accounts }))
}

/// Create an account
///
/// Whatever the settings say about signing up. Instead of a password there may be the hash that another program made;
/// it is replaced at the first sign-in. Roles, claims and hashes take the role `owner`.
#[utoipa::path(
    post,
    path = "/api/v1/admin/accounts",
    operation_id = "createAccount",
    tag = "Administration of accounts",
    request_body(content = schemas::NewAccount, example = json!({"email": "grace@example.org", "password": "correct horse battery", "emailVerified": true, "roles": ["editor"]})),
    responses(
        (status = 201, description = "The account", body = schemas::AccountAnswer),
        (status = 409, description = "The address or the id is taken", body = crate::openapi::schemas::Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn create_account(
    State(app): State<AppRef>,
    CallerOf(caller): CallerOf,
    request: Request,
) -> Result<Response, ApiError> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields, rename_all = "camelCase")]
    struct Body {
        uid: Option<String>,
        email: Option<String>,
        #[serde(default)]
        email_verified: bool,
        password: Option<String>,
        password_hash: Option<String>,
        #[serde(default)]
        profile: ProfileChange,
        #[serde(default)]
        roles: Vec<String>,
        claims: Option<Value>,
        #[serde(default)]
        disabled: bool,
    }
    let (body, client) = admitted_body::<Body>(&app, &caller, Permission::AccountsWrite, request).await?;
    let new = NewAccount {
        uid: body.uid,
        email: body.email.as_deref().map(EmailAddress::parse).transpose()?,
        email_verified: body.email_verified,
        password: body.password.map(Password::parse).transpose()?,
        password_hash: body.password_hash,
        profile: body.profile,
        roles: body.roles,
        claims: map_of("claims", body.claims)?.unwrap_or_default(),
        disabled: body.disabled,
    };
    let account = app.accounts.create(&caller, new, &client).await?;
    Ok(account_answer(StatusCode::CREATED, &account))
}

/// Get an account
#[utoipa::path(
    get,
    path = "/api/v1/admin/accounts/{uid}",
    operation_id = "getAccount",
    tag = "Administration of accounts",
    params(("uid" = String, Path, description = "The account's id", example = "01kb0x6d1m8vq3z5y7r9t2w4ha")),
    responses((status = 200, description = "The account", body = schemas::AccountAnswer))
)]
pub(crate) async fn get_account(
    State(app): State<AppRef>,
    CallerOf(caller): CallerOf,
    Path(uid): Path<String>,
    request: Request,
) -> Result<Response, ApiError> {
    admitted(&app, &caller, Permission::AccountsRead, request)?;
    let account = app.accounts.account(&uid)?;
    Ok(account_answer(StatusCode::OK, &account))
}

/// Change an account
///
/// What is given is changed. A new password and `disabled` end all its sessions. Roles and claims, and accounts that
/// administer, take the role `owner`. New claims are in the tokens at their next refresh; with `refreshNow` tokens made
/// before are refused, so that clients refresh at once.
#[utoipa::path(
    patch,
    path = "/api/v1/admin/accounts/{uid}",
    operation_id = "changeAccount",
    tag = "Administration of accounts",
    params(("uid" = String, Path, description = "The account's id", example = "01kb0x6d1m8vq3z5y7r9t2w4ha")),
    request_body(content = schemas::AccountChange, example = json!({"disabled": true, "profile": {"name": "Grace Hopper"}})),
    responses((status = 200, description = "The account", body = schemas::AccountAnswer))
)]
pub(crate) async fn change_account(
    State(app): State<AppRef>,
    CallerOf(caller): CallerOf,
    Path(uid): Path<String>,
    request: Request,
) -> Result<Response, ApiError> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields, rename_all = "camelCase")]
    struct Body {
        #[serde(default, deserialize_with = "given")]
        email: Option<Option<String>>,
        email_verified: Option<bool>,
        password: Option<String>,
        #[serde(default)]
        profile: ProfileChange,
        roles: Option<Vec<String>>,
        claims: Option<Value>,
        disabled: Option<bool>,
        #[serde(default)]
        refresh_now: bool,
        #[serde(default)]
        reset_factors: bool,
    }
    let (body, client) = admitted_body::<Body>(&app, &caller, Permission::AccountsWrite, request).await?;
    let email = match body.email {
        Some(Some(email)) => Some(Some(EmailAddress::parse(&email)?)),
        Some(None) => Some(None),
        None => None,
    };
    let change = AccountChange {
        email,
        email_verified: body.email_verified,
        password: body.password.map(Password::parse).transpose()?,
        profile: body.profile,
        roles: body.roles,
        claims: map_of("claims", body.claims)?,
        disabled: body.disabled,
        refresh_now: body.refresh_now,
        reset_factors: body.reset_factors,
    };
    let account = app
        .accounts
        .change_account(&caller, &uid, change, &client)
        .await?;
    Ok(account_answer(StatusCode::OK, &account))
}

/// Delete an account
#[utoipa::path(
    delete,
    path = "/api/v1/admin/accounts/{uid}",
    operation_id = "deleteAccount",
    tag = "Administration of accounts",
    params(("uid" = String, Path, description = "The account's id", example = "01kb0x6d1m8vq3z5y7r9t2w4ha")),
    responses((status = 204, description = "The account is gone"))
)]
pub(crate) async fn delete_account(
    State(app): State<AppRef>,
    CallerOf(caller): CallerOf,
    Path(uid): Path<String>,
    request: Request,
) -> Result<Response, ApiError> {
    let client = admitted(&app, &caller, Permission::AccountsWrite, request)?;
    app.accounts.delete_account(&caller, &uid, &client).await?;
    Ok(answer::empty(StatusCode::NO_CONTENT))
}

/// Set an account's claims
///
/// All of them, in the place of those before. They are in the tokens at their next refresh; with `refreshNow` tokens made
/// before are refused, so that clients refresh at once. Takes the role `owner`.
#[utoipa::path(
    put,
    path = "/api/v1/admin/accounts/{uid}/claims",
    operation_id = "setClaims",
    tag = "Administration of accounts",
    params(("uid" = String, Path, description = "The account's id", example = "01kb0x6d1m8vq3z5y7r9t2w4ha")),
    request_body(content = schemas::Claims, example = json!({"claims": {"plan": "pro"}, "refreshNow": true})),
    responses((status = 200, description = "The account", body = schemas::AccountAnswer))
)]
pub(crate) async fn set_claims(
    State(app): State<AppRef>,
    CallerOf(caller): CallerOf,
    Path(uid): Path<String>,
    request: Request,
) -> Result<Response, ApiError> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields, rename_all = "camelCase")]
    struct Body {
        claims: Value,
        #[serde(default)]
        refresh_now: bool,
    }
    let (body, client) = admitted_body::<Body>(&app, &caller, Permission::ClaimsWrite, request).await?;
    let change = AccountChange {
        claims: map_of("claims", Some(body.claims))?,
        refresh_now: body.refresh_now,
        ..AccountChange::default()
    };
    let account = app
        .accounts
        .change_account(&caller, &uid, change, &client)
        .await?;
    Ok(account_answer(StatusCode::OK, &account))
}

/// List an account's sessions
#[utoipa::path(
    get,
    path = "/api/v1/admin/accounts/{uid}/sessions",
    operation_id = "listAccountSessions",
    tag = "Administration of accounts",
    params(("uid" = String, Path, description = "The account's id", example = "01kb0x6d1m8vq3z5y7r9t2w4ha")),
    responses((status = 200, description = "The sessions, the one used last first", body = schemas::Sessions))
)]
pub(crate) async fn list_account_sessions(
    State(app): State<AppRef>,
    CallerOf(caller): CallerOf,
    Path(uid): Path<String>,
    request: Request,
) -> Result<Response, ApiError> {
    admitted(&app, &caller, Permission::AccountsRead, request)?;
    app.accounts.account(&uid)?;
    let sessions = app.accounts.sessions(&uid, None).await?;
    Ok(answer::json_of(StatusCode::OK, &SessionsJson { sessions }))
}

/// End all sessions of an account
#[utoipa::path(
    post,
    path = "/api/v1/admin/accounts/{uid}/sign-out",
    operation_id = "signOutAccount",
    tag = "Administration of accounts",
    params(("uid" = String, Path, description = "The account's id", example = "01kb0x6d1m8vq3z5y7r9t2w4ha")),
    request_body(content = schemas::Nothing, example = json!({})),
    responses((status = 204, description = "All its tokens are refused from the next request on"))
)]
pub(crate) async fn sign_out_account(
    State(app): State<AppRef>,
    CallerOf(caller): CallerOf,
    Path(uid): Path<String>,
    request: Request,
) -> Result<Response, ApiError> {
    let (NothingBody {}, client) = admitted_body(&app, &caller, Permission::AccountsWrite, request).await?;
    app.accounts.sign_out_account(&caller, &uid, &client).await?;
    Ok(answer::empty(StatusCode::NO_CONTENT))
}

/// Act as an account
///
/// A session of an hour at most, marked as one by the claim `act`, in the list of the account's sessions and in the audit
/// log. Takes the role `owner`; nobody acts as an administrator.
#[utoipa::path(
    post,
    path = "/api/v1/admin/accounts/{uid}/impersonate",
    operation_id = "impersonateAccount",
    tag = "Administration of accounts",
    params(("uid" = String, Path, description = "The account's id", example = "01kb0x6d1m8vq3z5y7r9t2w4ha")),
    request_body(content = schemas::Nothing, example = json!({})),
    responses((status = 200, description = "The account and the session", body = schemas::SignedIn))
)]
pub(crate) async fn impersonate(
    State(app): State<AppRef>,
    CallerOf(caller): CallerOf,
    Path(uid): Path<String>,
    request: Request,
) -> Result<Response, ApiError> {
    let (NothingBody {}, client) =
        admitted_body(&app, &caller, Permission::AccountsImpersonate, request).await?;
    let answer = app.accounts.impersonate(&caller, &uid, &client).await?;
    Ok(signed_in(StatusCode::OK, &answer))
}

/// Invite somebody
///
/// Lets an address sign up where not everybody may, once and within a week. Where mails can be sent, a mail has the code; else
/// the answer has it.
#[utoipa::path(
    post,
    path = "/api/v1/admin/invitations",
    operation_id = "invite",
    tag = "Administration of accounts",
    request_body(content = schemas::Email, example = json!({"email": "grace@example.org"})),
    responses((status = 201, description = "Invited", body = schemas::Invitation))
)]
pub(crate) async fn invite(
    State(app): State<AppRef>,
    CallerOf(caller): CallerOf,
    request: Request,
) -> Result<Response, ApiError> {
    #[derive(Serialize)]
    struct Invited<'i> {
        code: Option<&'i str>,
    }
    let (body, client) =
        admitted_body::<EmailBody>(&app, &caller, Permission::AccountsWrite, request).await?;
    let email = body.address()?;
    let code = app.accounts.invite(&caller, &email, &client).await?;
    let code = code.as_ref().map(andiron_auth::SecretText::expose);
    Ok(answer::json_of(StatusCode::CREATED, &Invited { code }))
}
