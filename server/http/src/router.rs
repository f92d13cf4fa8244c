//! The router: every route behind its gate, and problems for what is no route.

use axum::Router;
use axum::extract::Request;
use axum::response::{IntoResponse as _, Response};
use axum::routing::MethodRouter;
use tower::Layer as _;
use tower::service_fn;
use utoipa_axum::router::UtoipaMethodRouterExt as _;

use crate::app::{App, AppRef};
use crate::caller::CallerSource;
use crate::gate::Gate;
use crate::problem::ApiError;
use crate::routes;

/// The API, callers told by their `Authorization` header.
pub fn router(app: App) -> Router {
    build(&app.0, CallerSource::Header)
}

/// The API for a local socket that only the owner of the data can open: every request is the owner's, and no header is
/// looked at for that. Never to be served on a network.
pub fn local_router(app: App) -> Router {
    build(&app.0, CallerSource::Owner)
}

/// A route of the program's own, behind the same gate as the API's: to be merged into [`router`]. The gate says who
/// calls and refuses credentials that do not verify; what the caller may do is the handler's to ask.
pub fn gated(app: &App, path: &str, route: MethodRouter) -> Router {
    Router::new().route(path, route.layer(Gate::new(&app.0, CallerSource::Header, path)))
}

fn build(app: &AppRef, source: CallerSource) -> Router {
    let empty = utoipa::openapi::OpenApi::default();
    let (router, _) =
        routes::assemble(empty, |path, route| route.layer(Gate::new(app, source, path))).split_for_parts();
    let unmatched = Gate::new(app, source, "unmatched").layer(service_fn(|request: Request| async move {
        Ok(unmatched(request.uri().path()))
    }));
    router.fallback_service(unmatched).with_state(AppRef::clone(app))
}

/// What is no route. The prefixes kept for later are no routes either.
fn unmatched(path: &str) -> Response {
    let detail = if path == "/_" || path.starts_with("/_/") {
        "the console is not built into this server"
    } else {
        "there is nothing at this path; the API is described at `/api/v1/docs`"
    };
    ApiError::not_found(detail).into_response()
}
