//! From the path of a URL to a document or collection, and back.
//!
//! Segments are percent-encoded one by one. What would make two URLs mean one thing, or one URL two, is refused: bad
//! encodings, encoded slashes, empty segments, `.` and `..`.

use std::borrow::Cow;

use andiron_protocol::{CollectionPath, DocumentPath, InputError};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// What stands before the path of a document or collection in a URL.
pub(crate) const DOCS_PREFIX: &str = "/api/v1/docs/";
/// What stands before the path of a document whose collections are asked for.
pub(crate) const COLLECTIONS_PREFIX: &str = "/api/v1/collections/";

/// A document or a collection: the number of segments tells.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum ResourcePath {
    Document(DocumentPath),
    Collection(CollectionPath),
}

/// Reads what follows a prefix in a URL's path.
pub(crate) fn resource(url_path: &str, prefix: &str) -> Result<ResourcePath, InputError> {
    let path = decode(url_path.strip_prefix(prefix).unwrap_or_default())?;
    let slashes = path.bytes().filter(|byte| *byte == b'/').count();
    if slashes % 2 == 1 {
        path.parse().map(ResourcePath::Document)
    } else {
        path.parse().map(ResourcePath::Collection)
    }
}

/// Reads the path of a document.
pub(crate) fn document(url_path: &str, prefix: &str) -> Result<DocumentPath, InputError> {
    decode(url_path.strip_prefix(prefix).unwrap_or_default())?.parse()
}

/// Reads the path of a collection.
pub(crate) fn collection(url_path: &str, prefix: &str) -> Result<CollectionPath, InputError> {
    decode(url_path.strip_prefix(prefix).unwrap_or_default())?.parse()
}

/// Decodes a path segment by segment; what two URLs could mean is refused.
pub(crate) fn decode_segments(encoded: &str) -> Result<Cow<'_, str>, InputError> {
    decode(encoded)
}

fn decode(encoded: &str) -> Result<Cow<'_, str>, InputError> {
    if encoded.is_empty() {
        return Err(InputError::new("the URL names no collection and no document"));
    }
    if encoded.ends_with('/') {
        return Err(InputError::new("the path in the URL ends with a slash"));
    }
    if encoded.contains("//") || encoded.starts_with('/') {
        return Err(InputError::new("the path in the URL has an empty segment"));
    }
    if !encoded.contains('%') {
        return Ok(Cow::Borrowed(encoded));
    }
    let segments: Vec<String> = encoded.split('/').map(decode_segment).collect::<Result<_, _>>()?;
    Ok(Cow::Owned(segments.join("/")))
}

fn decode_segment(encoded: &str) -> Result<String, InputError> {
    let bytes = decode_percent(encoded.as_bytes()).ok_or_else(|| {
        InputError::new("a `%` in the URL's path is not followed by two hexadecimal digits")
    })?;
    let segment = String::from_utf8(bytes)
        .map_err(|_| InputError::new("a segment of the URL's path is not UTF-8 when its `%` are decoded"))?;
    if segment.contains('/') {
        return Err(InputError::new(
            "a segment of the URL's path has an encoded slash, `%2F`: no id contains a slash",
        ));
    }
    Ok(segment)
}

/// Decodes `%XX`; `None` if a `%` is not followed by two hexadecimal digits.
pub(crate) fn decode_percent(encoded: &[u8]) -> Option<Vec<u8>> {
    let mut decoded = Vec::with_capacity(encoded.len());
    let mut rest = encoded;
    while let [byte, after @ ..] = rest {
        rest = after;
        if *byte != b'%' {
            decoded.push(*byte);
            continue;
        }
        let [high, low, after @ ..] = rest else {
            return None;
        };
        let digit = |byte: u8| {
            char::from(byte)
                .to_digit(16)
                .and_then(|digit| u8::try_from(digit).ok())
        };
        decoded.push(digit(*high)? << 4 | digit(*low)?);
        rest = after;
    }
    Some(decoded)
}

/// The URL path of a document.
pub(crate) fn document_url(path: &DocumentPath) -> String {
    format!("{DOCS_PREFIX}{}", encode_segments(path.as_str()))
}

/// Encodes a path segment by segment.
pub(crate) fn encode_segments(path: &str) -> impl std::fmt::Display {
    const ENCODED: &AsciiSet = &NON_ALPHANUMERIC
        .remove(b'-')
        .remove(b'.')
        .remove(b'_')
        .remove(b'~')
        .remove(b'/');
    utf8_percent_encode(path, ENCODED)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_documents_url_leads_back_to_it() {
        for path in [
            "posts/p1",
            "a b/ü%2F",
            "x/~.y-_",
            "posts/..p/c c/\"d\"#?",
            "日/本\n",
        ] {
            let path: DocumentPath = path.parse().unwrap();
            let url = document_url(&path);
            assert!(url.is_ascii());
            assert_eq!(resource(&url, DOCS_PREFIX), Ok(ResourcePath::Document(path)));
        }
    }

    #[test]
    fn what_could_be_read_in_two_ways_is_refused() {
        for path in [
            "",
            "posts/",
            "/posts",
            "posts//p1",
            "posts/%",
            "posts/%2",
            "posts/%zz",
            "posts/%ff",
            "posts/a%2Fb",
            "posts/a%2fb",
            "posts/..",
            "posts/%2e%2E",
            ".",
            "posts/%00",
            "posts/__id__",
            "posts/p1/",
        ] {
            assert!(
                resource(&format!("{DOCS_PREFIX}{path}"), DOCS_PREFIX).is_err(),
                "{path}"
            );
        }
    }

    #[test]
    fn a_plus_is_a_plus() {
        assert_eq!(document("/api/v1/docs/a/1+1", DOCS_PREFIX).unwrap().id(), "1+1");
    }
}
