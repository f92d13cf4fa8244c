//! What a browser is told of a file: everything that keeps other people's bytes from becoming part of this site.
//!
//! Inert types, an allowlist, are shown in place; all else is a download. Either has a policy under which nothing in it
//! runs, and `nosniff` is on every answer of the server.

use std::fmt::Write as _;

use andiron_files::StoredFile;
use andiron_protocol::Timestamp;
use axum::http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_ENCODING, CONTENT_LANGUAGE,
    CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, LAST_MODIFIED,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use httpdate::{fmt_http_date, parse_http_date};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::security_headers::CROSS_ORIGIN_RESOURCE_POLICY;

/// The digest of the whole file (RFC 9530), whatever part of it is sent.
const REPR_DIGEST: HeaderName = HeaderName::from_static("repr-digest");
/// The policy of what may be shown: it may load itself, as browsers do that show an image or a video.
const SHOWN_POLICY: &str = "default-src 'none'; img-src 'self'; media-src 'self'; style-src 'unsafe-inline'; \
                            frame-ancestors 'none'; sandbox";
/// The policy of what may not.
const DOWNLOADED_POLICY: &str = "default-src 'none'; frame-ancestors 'none'; sandbox";
/// Characters of a file name in a header.
const SHOWN_NAME_CHARS_MAX: usize = 200;

/// The headers that a file has with or without its bytes.
pub(super) fn add_headers(file: &StoredFile, headers: &mut HeaderMap) {
    add_validators(file, headers);
    let record = &file.record;
    let settings = &record.settings;
    let mut put = |name: HeaderName, value: &str| {
        // Checked when it was stored; what cannot be a header all the same is left out.
        if let Ok(value) = HeaderValue::from_bytes(value.as_bytes()) {
            headers.insert(name, value);
        }
    };
    put(CONTENT_TYPE, record.content_type.as_str());
    put(ACCEPT_RANGES, "bytes");
    put(CONTENT_DISPOSITION, &disposition(file));
    let is_inert = record.content_type.is_inert();
    put(
        CONTENT_SECURITY_POLICY,
        if is_inert { SHOWN_POLICY } else { DOWNLOADED_POLICY },
    );
    put(CROSS_ORIGIN_RESOURCE_POLICY, "same-site");
    put(
        REPR_DIGEST,
        &format!("sha-256=:{}:", STANDARD.encode(record.sha256)),
    );
    if let Some(encoding) = &settings.content_encoding {
        put(CONTENT_ENCODING, encoding);
    }
    if let Some(language) = &settings.content_language {
        put(CONTENT_LANGUAGE, language);
    }
}

/// The headers that a 304 has too.
pub(super) fn add_validators(file: &StoredFile, headers: &mut HeaderMap) {
    if let Ok(tag) = HeaderValue::try_from(file.version.to_etag()) {
        headers.insert(ETAG, tag);
    }
    if let Ok(date) = HeaderValue::try_from(fmt_http_date(modified(file))) {
        headers.insert(LAST_MODIFIED, date);
    }
    let caching = file.record.settings.cache_control.as_deref();
    let caching = caching.and_then(|caching| HeaderValue::from_str(caching).ok());
    headers.insert(
        CACHE_CONTROL,
        caching.unwrap_or(HeaderValue::from_static("private, no-cache")),
    );
}

/// When the file last changed, to the second, as dates in headers are.
fn modified(file: &StoredFile) -> std::time::SystemTime {
    let micros = Timestamp::as_micros(file.record.updated);
    let seconds = u64::try_from(micros / 1_000_000).unwrap_or_default();
    std::time::UNIX_EPOCH + std::time::Duration::from_secs(seconds)
}

/// Whether the file has changed after the date in a header; `None` if that is no date.
pub(super) fn is_modified_since(file: &StoredFile, date: Option<&HeaderValue>) -> Option<bool> {
    let date = parse_http_date(date?.to_str().ok()?).ok()?;
    Some(modified(file) > date)
}

/// Whether a part may be sent to somebody whose other parts are of the file that `If-Range` names.
pub(super) fn allows_range(file: &StoredFile, if_range: Option<&HeaderValue>) -> bool {
    let Some(if_range) = if_range else { return true };
    if if_range.as_bytes().starts_with(b"\"") {
        return if_range.as_bytes() == file.version.to_etag().as_bytes();
    }
    // A date is to the second, and a file may change twice in one: it is no strong validator (RFC 9110, section 8.8.2.2).
    false
}

/// Shown in place or downloaded, and under which name.
fn disposition(file: &StoredFile) -> String {
    let wish = file
        .record
        .settings
        .content_disposition
        .as_deref()
        .unwrap_or_default();
    let wishes_download = wish
        .trim_start()
        .get(..10)
        .is_some_and(|kind| kind.eq_ignore_ascii_case("attachment"));
    let kind = if file.record.content_type.is_inert() && !wishes_download {
        "inline"
    } else {
        "attachment"
    };
    let wished = wished_name(wish);
    let name = wished.as_deref().unwrap_or(file.record.name.base_name());
    named_disposition(kind, name)
}

/// A disposition with a name, in plain ASCII and in full (RFC 6266).
fn named_disposition(kind: &str, name: &str) -> String {
    const KEPT: &AsciiSet = &NON_ALPHANUMERIC
        .remove(b'-')
        .remove(b'.')
        .remove(b'_')
        .remove(b'~');
    // Names are of one segment, and none is hidden or ends in a way that a system would cut off.
    let name: String = name
        .chars()
        .map(|character| match character {
            '/' | '\\' | '"' | '<' | '>' | ':' | '|' | '?' | '*' => '_',
            control if control.is_control() => '_',
            other => other,
        })
        .take(SHOWN_NAME_CHARS_MAX)
        .collect();
    let name = name.trim_matches(|character: char| character == '.' || character.is_whitespace());
    let name = if name.is_empty() { "file" } else { name };
    let plain: String = name
        .chars()
        .map(|character| if character.is_ascii() { character } else { '_' })
        .map(|character| if character == '%' { '_' } else { character })
        .collect();
    let mut disposition = format!("{kind}; filename=\"{plain}\"");
    if plain != name {
        // Writing to a string does not fail.
        let _ = write!(
            disposition,
            "; filename*=UTF-8''{}",
            utf8_percent_encode(name, KEPT)
        );
    }
    disposition
}

/// The wish that a file be a download of this name.
pub(super) fn download_as(name: &str) -> String {
    format!("attachment; filename=\"{}\"", name.replace('"', "'"))
}

/// The file name in a stored `Content-Disposition`.
fn wished_name(disposition: &str) -> Option<String> {
    let (_, rest) = disposition.split_once("filename=")?;
    let name = match rest.strip_prefix('"') {
        Some(quoted) => quoted.split('"').next()?,
        None => rest.split(';').next()?.trim(),
    };
    (!name.is_empty()).then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_headers_break_out_of_nothing() {
        for (name, disposition) in [
            ("a.png", "inline; filename=\"a.png\""),
            ("a\"; x=\"b", "inline; filename=\"a_; x=_b\""),
            ("..", "inline; filename=\"file\""),
            ("evil.html.", "inline; filename=\"evil.html\""),
            ("a\r\nb\\c", "inline; filename=\"a__b_c\""),
            ("ü.png", "inline; filename=\"_.png\"; filename*=UTF-8''%C3%BC.png"),
            (
                "100%.txt",
                "inline; filename=\"100_.txt\"; filename*=UTF-8''100%25.txt",
            ),
        ] {
            assert_eq!(named_disposition("inline", name), disposition);
            assert!(HeaderValue::from_str(disposition).is_ok());
        }
    }

    #[test]
    fn a_wished_name_is_found_in_either_form() {
        assert_eq!(
            wished_name("attachment; filename=\"a b.pdf\"; x").as_deref(),
            Some("a b.pdf")
        );
        assert_eq!(
            wished_name("attachment; filename=a.pdf ;x").as_deref(),
            Some("a.pdf")
        );
        assert_eq!(wished_name("attachment"), None);
    }
}
