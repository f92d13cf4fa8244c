//! The reference: the OpenAPI document, made from the routes themselves, and the page made from the document.

mod page;

use bytes::Bytes;
use utoipa::OpenApi as _;
use utoipa::openapi::OpenApi;

use crate::routes;

pub(crate) use page::PAGE_POLICY;

/// The parts of the document that belong to no route.
#[derive(utoipa::OpenApi)]
#[openapi(info(
    title = "Andiron",
    version = "1",
    license(name = "Apache-2.0", identifier = "Apache-2.0")
))]
struct Base;

/// Both forms of the reference, ready to be sent.
pub(crate) struct Reference {
    pub(crate) json: Bytes,
    pub(crate) page: Bytes,
}

impl Reference {
    pub(crate) fn new() -> Self {
        let document = document();
        Self {
            json: Bytes::from(openapi_json()),
            page: Bytes::from(page::render(&document)),
        }
    }
}

/// The document.
fn document() -> OpenApi {
    let (_, document) = routes::assemble(Base::openapi(), |_, route| route).split_for_parts();
    document
}

/// The OpenAPI 3.1 document of the API, indented, with a line feed at the end.
pub fn openapi_json() -> String {
    let mut json = document().to_pretty_json().unwrap_or_default();
    json.push('\n');
    json
}
