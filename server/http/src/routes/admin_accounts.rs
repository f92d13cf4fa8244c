//! `/api/v1/admin/accounts…` and what else administrators do about accounts: custom tokens, signing keys, the audit log.

use andiron_auth::{
    AccountChange, AccountList, Accounts, AuditEvent, AuditQuery, EmailAddress, MailboxEntry, NewAccount,
    Password, ProfileChange, SigningKeyInfo,
};
use andiron_engine::{Caller, authorize_administration};
use andiron_protocol::{Map, Timestamp, Value};
use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::{Deserialize, Deserializer, Serialize};

use super::auth::account as account_answer;
use super::auth::session::SessionsJson;
use super::auth::{EmailBody, NothingBody, read_body, read_plain, signed_in};
use crate::answer;
use crate::app::AppRef;
use crate::caller::CallerOf;
use crate::openapi::account_schemas as schemas;
use crate::parameters::Parameters;
use crate::problem::ApiError;

/// Accounts or events in a page that names no limit.
const PAGE_DEFAULT: u32 = 100;

fn check_admin(caller: &Caller) -> Result<(), ApiError> {
    Ok(authorize_administration(caller)?)
}

/// Tells an explicit null from a field that is not there.
fn given<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Option<Option<T>>, D::Error> {
    Option::<T>::deserialize(deserializer).map(Some)
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
    check_admin(&caller)?;
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
    check_admin(&caller)?;
    let (body, client) = read_body::<Body>(&app, request).await?;
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
    check_admin(&caller)?;
    read_plain(&app, request)?;
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
    }
    check_admin(&caller)?;
    let (body, client) = read_body::<Body>(&app, request).await?;
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
    check_admin(&caller)?;
    let (_, client) = read_plain(&app, request)?;
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
    check_admin(&caller)?;
    let (body, client) = read_body::<Body>(&app, request).await?;
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
    check_admin(&caller)?;
    read_plain(&app, request)?;
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
    check_admin(&caller)?;
    let (NothingBody {}, client) = read_body(&app, request).await?;
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
    check_admin(&caller)?;
    let (NothingBody {}, client) = read_body(&app, request).await?;
    let answer = app.accounts.impersonate(&caller, &uid, &client).await?;
    Ok(signed_in(StatusCode::OK, &answer))
}

/// Mint a custom token
///
/// For a service that knows its people by itself: whoever has the token signs in as the account `uid` within an hour, by
/// `POST /api/v1/auth/custom`. The claims go into the tokens of that session. Takes a service key or the role `owner`.
#[utoipa::path(
    post,
    path = "/api/v1/admin/custom-tokens",
    operation_id = "mintCustomToken",
    tag = "Administration of accounts",
    request_body(content = schemas::NewCustomToken, example = json!({"uid": "customer-42", "claims": {"plan": "pro"}})),
    responses((status = 201, description = "The token", body = schemas::MintedToken))
)]
pub(crate) async fn mint_custom_token(
    State(app): State<AppRef>,
    CallerOf(caller): CallerOf,
    request: Request,
) -> Result<Response, ApiError> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Body {
        uid: String,
        claims: Option<Value>,
    }
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Minted<'t> {
        token: &'t str,
        expires_at: Timestamp,
    }
    check_admin(&caller)?;
    let (body, client) = read_body::<Body>(&app, request).await?;
    let claims = map_of("claims", body.claims)?.unwrap_or_default();
    let (token, expires_at) = app
        .accounts
        .mint_custom_token(&caller, &body.uid, &claims, &client)
        .await?;
    let token = token.expose();
    Ok(answer::json_of(
        StatusCode::CREATED,
        &Minted { token, expires_at },
    ))
}

/// List the keys that sign access tokens
#[utoipa::path(
    get,
    path = "/api/v1/admin/signing-keys",
    operation_id = "listSigningKeys",
    tag = "Administration of accounts",
    responses((status = 200, description = "The keys in force, newest first", body = schemas::SigningKeys))
)]
pub(crate) async fn list_signing_keys(
    State(app): State<AppRef>,
    CallerOf(caller): CallerOf,
    request: Request,
) -> Result<Response, ApiError> {
    check_admin(&caller)?;
    read_plain(&app, request)?;
    Ok(signing_keys(&app))
}

/// Sign with a new key from now on
///
/// The one before verifies for another day. Keys also change by themselves, every 90 days unless set otherwise. Takes the
/// role `owner`.
#[utoipa::path(
    post,
    path = "/api/v1/admin/signing-keys",
    operation_id = "rotateSigningKey",
    tag = "Administration of accounts",
    request_body(content = schemas::Nothing, example = json!({})),
    responses((status = 200, description = "The keys in force, newest first", body = schemas::SigningKeys))
)]
pub(crate) async fn rotate_signing_key(
    State(app): State<AppRef>,
    CallerOf(caller): CallerOf,
    request: Request,
) -> Result<Response, ApiError> {
    check_admin(&caller)?;
    let (NothingBody {}, client) = read_body(&app, request).await?;
    app.accounts.rotate_signing_key(&caller, &client).await?;
    Ok(signing_keys(&app))
}

fn signing_keys(app: &AppRef) -> Response {
    #[derive(Serialize)]
    struct Keys {
        keys: Vec<SigningKeyInfo>,
    }
    let keys = app.accounts.signing_key_infos();
    answer::json_of(StatusCode::OK, &Keys { keys })
}

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
    check_admin(&caller)?;
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
    check_admin(&caller)?;
    // Whoever reads a mailbox can sign in as its owners.
    Accounts::check_owner(&caller)?;
    read_plain(&app, request)?;
    let mailbox = app.accounts.mailbox().ok_or_else(|| {
        ApiError::not_found("there is no development mailbox: mails are sent, or the server sends none")
    })?;
    let mails = mailbox.mails();
    Ok(answer::json_of(StatusCode::OK, &Mails { mails }))
}

/// Send a test mail
#[utoipa::path(
    post,
    path = "/api/v1/admin/test-mail",
    operation_id = "sendTestMail",
    tag = "Administration of accounts",
    request_body(content = schemas::Email, example = json!({"email": "ada@example.org"})),
    responses(
        (status = 204, description = "The mail server took it"),
        (status = 400, description = "It did not; `detail` has what it said", body = crate::openapi::schemas::Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn send_test_mail(
    State(app): State<AppRef>,
    CallerOf(caller): CallerOf,
    request: Request,
) -> Result<Response, ApiError> {
    check_admin(&caller)?;
    let (body, _) = read_body::<EmailBody>(&app, request).await?;
    let email = body.address()?;
    app.accounts.send_test_mail(&email).await?;
    Ok(answer::empty(StatusCode::NO_CONTENT))
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
    check_admin(&caller)?;
    let (body, client) = read_body::<EmailBody>(&app, request).await?;
    let email = body.address()?;
    let code = app.accounts.invite(&caller, &email, &client).await?;
    let code = code.as_ref().map(andiron_auth::SecretText::expose);
    Ok(answer::json_of(StatusCode::CREATED, &Invited { code }))
}
