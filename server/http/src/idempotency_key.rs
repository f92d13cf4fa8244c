//! The `Idempotency-Key` header, which every write takes. What a key looks like is the engine's to say.

use axum::http::HeaderMap;

use crate::problem::ApiError;

/// The key of a request, if it has one.
pub(crate) fn idempotency_key(headers: &HeaderMap) -> Result<Option<&str>, ApiError> {
    const NAME: &str = "Idempotency-Key";
    let mut values = headers.get_all(NAME).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    if values.next().is_some() {
        return Err(ApiError::invalid("there is more than one `Idempotency-Key` header").in_field(NAME));
    }
    value
        .to_str()
        .map(Some)
        .map_err(|_| ApiError::invalid("an `Idempotency-Key` is printable ASCII").in_field(NAME))
}
