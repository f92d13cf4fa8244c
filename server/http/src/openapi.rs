//! The reference: the OpenAPI document, made from the routes themselves, and the page made from the document.

pub(crate) mod account_schemas;
mod example;
pub(crate) mod file_schemas;
mod markdown;
mod ordered_json;
mod page;
pub(crate) mod passkey_schemas;
pub(crate) mod rules_schemas;
pub(crate) mod schemas;

use bytes::Bytes;
use utoipa::OpenApi as _;
use utoipa::openapi::path::Operation;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{Content, OpenApi, PathItem, Ref, RefOr, Response, ResponseBuilder};

use crate::routes;

/// The parts of the document that belong to no route.
#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "Andiron API",
        version = "1",
        description = include_str!("openapi/introduction.md"),
        license(name = "Apache-2.0", identifier = "Apache-2.0")
    ),
    servers((url = "/", description = "This server")),
    security(("serviceKey" = []), ("accessToken" = [])),
    components(schemas(schemas::Problem, schemas::ErrorCode, account_schemas::SignedInByCookies)),
    tags(
        (name = "Documents", description = "Documents by their paths: `posts` is a collection, `posts/p1` a document, `posts/p1/comments` a collection under it."),
        (name = "Queries", description = "Documents by what is in them."),
        (name = "Live", description = "Queries and documents that are listened to."),
        (name = "Commits", description = "Several writes as one, and transactions."),
        (name = "Files", description = "Bytes by their names, in buckets. The rules of `service firebase.storage` say who may do what."),
        (name = "Accounts", description = "Signing up and in, sessions, and what people do with their own accounts. An access token goes into `Authorization: Bearer`."),
        (name = "Administration of accounts", description = "For administrators: accounts with the role `owner` or `editor` (or, to look, `viewer`), service keys, and the owner of the server."),
        (name = "Rules", description = "Who may do what. For service keys and administrators."),
        (name = "Administration", description = "For service keys and the owner of the server."),
        (name = "Health", description = "For what watches the server."),
        (name = "Reference", description = "What you are reading."),
    )
)]
struct Base;

/// The name of the answer that every operation may give instead of its own.
const PROBLEM: &str = "Problem";

/// Both forms of the reference, ready to be sent.
pub(crate) struct Reference {
    pub(crate) json: Bytes,
    pub(crate) page: page::Page,
}

impl Reference {
    pub(crate) fn new() -> Self {
        let json = openapi_json();
        // Our own document, written a line above.
        let document = serde_json::from_str(&json).unwrap_or(ordered_json::Json::Null);
        Self {
            page: page::render(&document),
            json: Bytes::from(json),
        }
    }
}

/// The OpenAPI 3.1 document of the API, indented, with a line feed at the end.
pub fn openapi_json() -> String {
    let mut json = document().to_pretty_json().unwrap_or_default();
    json.push('\n');
    json
}

fn document() -> OpenApi {
    let (_, mut document) = routes::assemble(Base::openapi(), |_, route| route).split_for_parts();
    // A wildcard is the router's word for it; in OpenAPI it is a parameter like others.
    let paths = std::mem::take(&mut document.paths.paths);
    document.paths.paths = paths
        .into_iter()
        .map(|(path, item)| (path.replace("{*", "{"), item))
        .collect();
    for item in document.paths.paths.values_mut() {
        for operation in operations(item) {
            operation
                .responses
                .responses
                .insert("default".to_owned(), RefOr::Ref(Ref::from_response_name(PROBLEM)));
        }
    }
    if let Some(components) = &mut document.components {
        components
            .responses
            .insert(PROBLEM.to_owned(), RefOr::T(problem_response()));
        components
            .security_schemes
            .insert("serviceKey".to_owned(), RefOr::T(service_key()));
        components
            .security_schemes
            .insert("accessToken".to_owned(), RefOr::T(access_token()));
    }
    document
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    [
        &mut item.options,
        &mut item.head,
        &mut item.get,
        &mut item.post,
        &mut item.put,
        &mut item.patch,
        &mut item.delete,
    ]
    .into_iter()
    .flatten()
}

fn problem_response() -> Response {
    let schema = Ref::from_schema_name("Problem");
    ResponseBuilder::new()
        .description("An error; its `code` tells which")
        .content("application/problem+json", Content::new(Some(schema)))
        .build()
}

fn service_key() -> SecurityScheme {
    let bearer = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .bearer_format("ak_…")
        .description(Some("A service key, made with `andiron key create NAME`."))
        .build();
    SecurityScheme::Http(bearer)
}

fn access_token() -> SecurityScheme {
    let bearer = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .bearer_format("JWT")
        .description(Some(
            "The access token of a session, from signing in or refreshing.",
        ))
        .build();
    SecurityScheme::Http(bearer)
}
