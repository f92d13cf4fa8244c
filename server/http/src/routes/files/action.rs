//! `POST` to a file: copying and moving it, and links to it.

use andiron_files::{ContentType, FileName, LinkGrant, LinkMethod, Transfer};
use andiron_protocol::Timestamp;
use axum::extract::{Request, State};
use axum::http::header::LOCATION;
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;
use serde::Deserialize;
use serde_json::json;

use super::{file_name, file_url, guard, metadata_answer};
use crate::answer;
use crate::app::AppRef;
use crate::body;
use crate::caller::CallerOf;
use crate::openapi::file_schemas as schemas;
use crate::parameters::Parameters;
use crate::problem::ApiError;

/// How long a link holds of which nothing is said: a quarter of an hour.
const LINK_SECONDS_DEFAULT: u32 = 15 * 60;

/// What is to be done.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
enum ActionBody {
    Copy(TargetBody),
    Move(TargetBody),
    Link(LinkBody),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TargetBody {
    to: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct LinkBody {
    #[serde(default)]
    method: Option<LinkMethod>,
    #[serde(default)]
    expires_in: Option<u32>,
    #[serde(default)]
    size: Option<u64>,
    #[serde(default)]
    content_type: Option<String>,
    #[serde(default)]
    file_name: Option<String>,
    #[serde(default)]
    variant: Option<String>,
}

/// Copy or move a file, or make a link to it
///
/// `{"copy": {"to": "bucket/name"}}` and `{"move": {"to": "bucket/name"}}` ask the rules for `get` of the file (and `delete`,
/// if it is moved) and `create` at the new place; conditions are about the file that is there. A copy keeps the metadata.
///
/// `{"link": {…}}` makes a URL that lets whoever has it read the file, or with `"method": "PUT"` upload one of at most `size`
/// bytes, until it expires. The rules are asked now, for who asks; afterwards the link is the right.
#[utoipa::path(
    post,
    path = "/api/v1/files/{bucket}/{*name}",
    operation_id = "actOnFile",
    tag = "Files",
    params(
        ("bucket" = String, Path, description = "The bucket", example = "main"),
        ("name" = String, Path, description = "The file's name, each segment percent-encoded", example = "photos/cat.png"),
        ("If-None-Match" = Option<String>, Header, description = "`*` copies and moves only to where there is no file", nullable = false),
        ("If-Match" = Option<String>, Header, description = "Overwrites only these versions", nullable = false),
    ),
    request_body(content = schemas::FileAction, example = json!({"link": {"expiresIn": 3600, "fileName": "cat.png"}})),
    responses(
        (status = 200, description = "The link, or the file that was overwritten", body = schemas::FileActedOn),
        (status = 201, description = "The file at the new place, which is new", body = schemas::File),
        (status = 404, description = "There is no such file", body = crate::openapi::schemas::Problem, content_type = "application/problem+json"),
        (status = 412, description = "The file at the new place is not as the conditions demand", body = crate::openapi::schemas::Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn act(
    State(app): State<AppRef>,
    CallerOf(caller): CallerOf,
    request: Request,
) -> Result<Response, ApiError> {
    Parameters::read(request.uri().query(), &[])?;
    let name = file_name(request.uri().path())?;
    let (parts, body) = request.into_parts();
    let guard = guard(&parts.headers)?;
    let bytes_max = app.options.request_body_bytes_max;
    let action: ActionBody = body::read_typed(&parts.headers, body, bytes_max, &app.options).await?;
    let (transfer, target) = match action {
        ActionBody::Copy(target) => (Transfer::Copy, target),
        ActionBody::Move(target) => (Transfer::Move, target),
        ActionBody::Link(link) => {
            if !guard.is_none() {
                return Err(ApiError::invalid("a link has no conditions"));
            }
            let seconds = link.expires_in.unwrap_or(LINK_SECONDS_DEFAULT);
            let (token, grant) = app.files.mint_link(&caller, grant(name, link)?, seconds).await?;
            let origin = app.options.files_origin.as_ref().map(ToString::to_string);
            let mut url = format!(
                "{}{}?link={token}",
                origin.unwrap_or_default(),
                file_url(&grant.name)
            );
            if let Some(variant) = &grant.variant {
                url.push('&');
                url.push_str(variant);
            }
            let body = json!({"url": url, "method": grant.method, "expires": grant.expires.to_string()});
            return Ok(answer::json_of(StatusCode::OK, &body));
        }
    };
    let (bucket, target) = target
        .to
        .split_once('/')
        .ok_or_else(|| ApiError::invalid("it is of the form `bucket/name`").in_field("to"))?;
    let to = FileName::new(bucket.parse()?, target)?;
    let published = app.files.transfer(&caller, transfer, &name, &to, &guard).await?;
    let status = if published.is_new {
        StatusCode::CREATED
    } else {
        StatusCode::OK
    };
    let mut response = metadata_answer(status, &published.file);
    if let Ok(location) = HeaderValue::try_from(file_url(&to)) {
        response.headers_mut().insert(LOCATION, location);
    }
    Ok(response)
}

fn grant(name: FileName, link: LinkBody) -> Result<LinkGrant, ApiError> {
    Ok(LinkGrant {
        method: link.method.unwrap_or(LinkMethod::Get),
        name,
        // Both are said when it is minted.
        expires: Timestamp::from_micros_clamped(0),
        account: None,
        bytes_max: link.size,
        content_type: link
            .content_type
            .map(|content_type| ContentType::parse(&content_type))
            .transpose()?,
        download_name: link.file_name,
        variant: link.variant,
    })
}
