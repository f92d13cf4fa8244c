//! The page.

use utoipa::openapi::OpenApi;

/// What the page may load.
pub(crate) const PAGE_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'";

pub(crate) fn render(document: &OpenApi) -> String {
    format!("<!doctype html><title>{}</title>", document.info.title)
}
