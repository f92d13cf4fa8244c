//! The handlers, one module for each noun, and the list of all routes.
//!
//! A handler reads its request, asks the engine, and writes the answer; what every request needs is the gate's. Each
//! carries its part of the OpenAPI document, and a route is in the router only by being in the document.

mod admin;
mod aggregate;
pub(crate) mod auth;
mod batch_get;
mod changes;
mod collections;
mod commit;
mod documents;
mod documents_write;
pub(crate) mod files;
mod health;
mod live;
mod query;
mod reference;
pub(crate) mod uploads;
mod well_known;

use utoipa_axum::router::{OpenApiRouter, UtoipaMethodRouter};
use utoipa_axum::routes;

use crate::app::AppRef;

/// Every route.
pub(crate) fn all() -> Vec<UtoipaMethodRouter<AppRef>> {
    vec![
        routes!(
            documents::read,
            documents_write::create,
            documents_write::set,
            documents_write::merge,
            documents_write::delete
        ),
        routes!(batch_get::batch_get),
        routes!(query::query),
        routes!(aggregate::aggregate),
        routes!(commit::commit),
        routes!(live::live),
        routes!(live::listen),
        routes!(live::mint_ticket),
        routes!(changes::changes),
        routes!(collections::list_root),
        routes!(collections::list_under),
        routes!(
            files::read::read,
            files::upload::upload,
            files::change::change,
            files::change::delete,
            files::action::act
        ),
        routes!(files::list::list, files::form::post),
        routes!(files::buckets::list),
        routes!(files::buckets::set, files::buckets::unset),
        routes!(files::buckets::revoke_links),
        routes!(uploads::options, uploads::create),
        routes!(uploads::status, uploads::proceed, uploads::terminate),
        routes!(admin::keys::list_keys, admin::keys::create_key),
        routes!(admin::keys::revoke_key),
        routes!(admin::server::list_indexes),
        routes!(admin::server::info),
        routes!(admin::rules::read, admin::rules::publish),
        routes!(admin::rules::trial::check),
        routes!(admin::rules::trial::test),
        routes!(admin::rules::trial::explain),
        routes!(admin::rules::roll_back),
        routes!(admin::rules::revisions::list_revisions),
        routes!(admin::rules::revisions::read_revision),
        routes!(admin::rules::revisions::compare_revisions),
        routes!(admin::accounts::list_accounts, admin::accounts::create_account),
        routes!(
            admin::accounts::get_account,
            admin::accounts::change_account,
            admin::accounts::delete_account
        ),
        routes!(admin::accounts::set_claims),
        routes!(admin::accounts::list_account_sessions),
        routes!(admin::accounts::sign_out_account),
        routes!(admin::accounts::impersonate),
        routes!(admin::tokens::mint_custom_token),
        routes!(
            admin::tokens::list_signing_keys,
            admin::tokens::rotate_signing_key
        ),
        routes!(admin::audit::read_audit),
        routes!(admin::accounts::invite),
        routes!(admin::mail::read_mailbox),
        routes!(admin::mail::send_test_mail),
        routes!(auth::sign_up::sign_up),
        routes!(auth::sign_up::anonymous),
        routes!(auth::sign_up::setup),
        routes!(auth::sign_in::sign_in),
        routes!(auth::sign_in::custom),
        routes!(auth::session::refresh),
        routes!(auth::session::sign_out),
        routes!(auth::session::list_sessions),
        routes!(auth::session::revoke_session),
        routes!(auth::me::get_me, auth::me::change_me, auth::me::delete_me),
        routes!(auth::me::export_me),
        routes!(auth::password::change_password),
        routes!(auth::password::reset),
        routes!(auth::password::confirm),
        routes!(auth::email::verify),
        routes!(auth::email::confirm),
        routes!(auth::email::change),
        routes!(auth::email::link),
        routes!(auth::email::confirm_link),
        routes!(auth::email::code),
        routes!(auth::email::confirm_code),
        routes!(auth::mfa::verify),
        routes!(auth::mfa::enrol_totp),
        routes!(auth::mfa::confirm_totp),
        routes!(auth::mfa::disable_totp),
        routes!(auth::passkeys::start_registration),
        routes!(auth::passkeys::finish_registration),
        routes!(auth::passkeys::start_sign_in),
        routes!(auth::passkeys::finish_sign_in),
        routes!(auth::passkeys::list),
        routes!(auth::passkeys::rename, auth::passkeys::remove),
        routes!(auth::phone::change),
        routes!(auth::phone::confirm),
        routes!(auth::phone::remove),
        routes!(auth::phone::code),
        routes!(auth::phone::confirm_code),
        routes!(auth::phone::enable_factor),
        routes!(auth::phone::disable_factor),
        routes!(auth::phone::send_factor),
        routes!(auth::action::action),
        routes!(auth::oauth::start),
        routes!(auth::oauth::callback),
        routes!(auth::oauth::callback_by_form),
        routes!(auth::oauth::token),
        routes!(auth::oauth::unlink),
        routes!(well_known::jwks),
        routes!(well_known::openid_configuration),
        routes!(reference::openapi),
        routes!(reference::page),
        routes!(health::healthz),
        routes!(health::readyz),
        routes!(health::metrics),
    ]
}

/// The router without its gates, and the document.
pub(crate) fn assemble(
    base: utoipa::openapi::OpenApi,
    mut around: impl FnMut(&str, UtoipaMethodRouter<AppRef>) -> UtoipaMethodRouter<AppRef>,
) -> OpenApiRouter<AppRef> {
    all()
        .into_iter()
        .fold(OpenApiRouter::with_openapi(base), |router, route| {
            let path = route.1.paths.keys().next().cloned().unwrap_or_default();
            router.routes(around(&path, route))
        })
}
