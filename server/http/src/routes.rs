//! The handlers, one module for each noun, and the list of all routes.
//!
//! A handler reads its request, asks the engine, and writes the answer; what every request needs is the gate's. Each
//! carries its part of the OpenAPI document, and a route is in the router only by being in the document.

mod admin;
mod aggregate;
mod batch_get;
mod collections;
mod commit;
mod documents;
mod documents_write;
mod health;
mod query;
mod reference;

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
        routes!(collections::list_root),
        routes!(collections::list_under),
        routes!(admin::list_keys, admin::create_key),
        routes!(admin::revoke_key),
        routes!(admin::list_indexes),
        routes!(admin::info),
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
