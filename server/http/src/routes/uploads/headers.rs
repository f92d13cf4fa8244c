//! The headers of tus.

use andiron_files::{
    Checksum, ChecksumAlgorithm, ContentType, Digests, FileName, FileSettings, Guard, UploadId, UploadRequest,
};
use andiron_protocol::{InputError, Timestamp};
use axum::http::{HeaderMap, HeaderName};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::UPLOADS_PREFIX;

pub(super) const RESUMABLE: HeaderName = HeaderName::from_static("tus-resumable");
pub(super) const VERSION: HeaderName = HeaderName::from_static("tus-version");
pub(super) const MAX_SIZE: HeaderName = HeaderName::from_static("tus-max-size");
pub(super) const CHECKSUM_ALGORITHMS: HeaderName = HeaderName::from_static("tus-checksum-algorithm");
pub(super) const OFFSET: HeaderName = HeaderName::from_static("upload-offset");
pub(super) const LENGTH: HeaderName = HeaderName::from_static("upload-length");
pub(super) const DEFER_LENGTH: HeaderName = HeaderName::from_static("upload-defer-length");
pub(super) const METADATA: HeaderName = HeaderName::from_static("upload-metadata");
pub(super) const EXPIRES: HeaderName = HeaderName::from_static("upload-expires");
pub(super) const CONCAT: HeaderName = HeaderName::from_static("upload-concat");
const CHECKSUM: HeaderName = HeaderName::from_static("upload-checksum");

/// The type of a body of bytes.
pub(super) const PATCH_TYPE: &str = "application/offset+octet-stream";
/// Bytes of `Upload-Metadata`: names, and values in base64.
const METADATA_BYTES_MAX: usize = 24 * 1024;

/// What an upload is to become.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Concat {
    /// Part of a file.
    Partial,
    /// A file, of these.
    Final(Vec<UploadId>),
}

/// A header that is plain text and given once.
fn text<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Result<Option<&'h str>, InputError> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    match (value.to_str(), values.next()) {
        (Ok(value), None) => Ok(Some(value.trim())),
        _ => Err(InputError::new("this header is plain text, and given once").in_field(name.as_str())),
    }
}

/// A header that is a number of bytes.
pub(super) fn number(headers: &HeaderMap, name: &HeaderName) -> Result<Option<u64>, InputError> {
    let Some(value) = text(headers, name)? else {
        return Ok(None);
    };
    let is_number = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
    match value.parse() {
        Ok(number) if is_number => Ok(Some(number)),
        _ => Err(InputError::new("this header is a number of bytes").in_field(name.as_str())),
    }
}

/// The text of `Upload-Metadata`.
pub(super) fn metadata(headers: &HeaderMap) -> Result<String, InputError> {
    let text = text(headers, &METADATA)?.unwrap_or_default();
    if text.len() > METADATA_BYTES_MAX {
        return Err(
            InputError::new(format!("this header has at most {METADATA_BYTES_MAX} bytes"))
                .in_field("Upload-Metadata"),
        );
    }
    Ok(text.to_owned())
}

/// What is to be uploaded, as the headers declare it.
pub(super) fn upload_request(
    note: &str,
    headers: &HeaderMap,
    guard: Guard,
) -> Result<UploadRequest, InputError> {
    let mut size = number(headers, &LENGTH)?;
    match (text(headers, &DEFER_LENGTH)?, size) {
        (None, Some(_)) | (Some("1"), None) => {}
        // A file that is put together has the length of its parts.
        (None, None) if matches!(concat(headers)?, Some(Concat::Final(_))) => {}
        (None, None) => {
            return Err(InputError::new("`Upload-Length` is missing").in_field("Upload-Length"));
        }
        _ => {
            return Err(InputError::new("it is `1`, and then `Upload-Length` comes later")
                .in_field("Upload-Defer-Length"));
        }
    }
    if matches!(concat(headers)?, Some(Concat::Final(_))) {
        size = None;
    }
    let (mut bucket, mut name, mut content_type) = (None, None, None);
    let (mut settings, mut digests) = (FileSettings::default(), Digests::default());
    for (key, value) in pairs(note)? {
        match key {
            "bucket" => bucket = Some(value.parse()?),
            "name" => name = Some(value),
            "contentType" | "filetype" if !value.is_empty() => {
                content_type = Some(ContentType::parse(&value)?)
            }
            "contentType" | "filetype" => {}
            "cacheControl" => settings.cache_control = Some(value),
            "contentDisposition" => settings.content_disposition = Some(value),
            "contentEncoding" => settings.content_encoding = Some(value),
            "contentLanguage" => settings.content_language = Some(value),
            "sha256" => {
                let digest = STANDARD
                    .decode(&value)
                    .ok()
                    .and_then(|digest| digest.try_into().ok());
                digests.sha256 =
                    Some(digest.ok_or_else(|| malformed("the value of `sha256` is a SHA-256 in base64"))?);
            }
            other => settings.metadata.push((other.to_owned(), value)),
        }
    }
    let (Some(bucket), Some(name)) = (bucket, name) else {
        return Err(malformed("`bucket` and `name` say which file it is to be"));
    };
    Ok(UploadRequest {
        name: FileName::new(bucket, &name)?,
        size,
        content_type,
        settings,
        digests,
        guard,
    })
}

fn malformed(detail: &str) -> InputError {
    InputError::new(detail).in_field("Upload-Metadata")
}

/// The pairs of `Upload-Metadata`: a name, and behind a blank its value in base64, if it has one.
fn pairs(note: &str) -> Result<Vec<(&str, String)>, InputError> {
    let mut pairs: Vec<(&str, String)> = Vec::new();
    for pair in note.split(',').map(str::trim).filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once(' ').unwrap_or((pair, ""));
        let value = STANDARD
            .decode(value.trim())
            .ok()
            .and_then(|value| String::from_utf8(value).ok())
            .ok_or_else(|| malformed("values are UTF-8 in base64"))?;
        if pairs.iter().any(|(known, _)| *known == key) {
            return Err(malformed("a name is given twice"));
        }
        pairs.push((key, value));
    }
    Ok(pairs)
}

/// What `Upload-Concat` says.
pub(super) fn concat(headers: &HeaderMap) -> Result<Option<Concat>, InputError> {
    let malformed =
        || InputError::new("it is `partial`, or `final;` and URLs of uploads").in_field("Upload-Concat");
    let Some(value) = text(headers, &CONCAT)? else {
        return Ok(None);
    };
    if value == "partial" {
        return Ok(Some(Concat::Partial));
    }
    let urls = value.strip_prefix("final;").ok_or_else(malformed)?;
    let mut ids = Vec::new();
    for url in urls.split_ascii_whitespace() {
        // Absolute or not, only the path counts: uploads are this server's own.
        let path = url.find(UPLOADS_PREFIX).ok_or_else(malformed)?;
        let id = url[path + UPLOADS_PREFIX.len()..]
            .parse()
            .map_err(|_| malformed())?;
        ids.push(id);
    }
    Ok(Some(Concat::Final(ids)))
}

/// What `Upload-Checksum` says.
pub(super) fn checksum(headers: &HeaderMap) -> Result<Option<Checksum>, InputError> {
    let Some(value) = text(headers, &CHECKSUM)? else {
        return Ok(None);
    };
    let read = || {
        let (name, digest) = value.split_once(' ')?;
        let (_, algorithm) = ChecksumAlgorithm::ALL
            .into_iter()
            .find(|(known, _)| *known == name)?;
        let expected = STANDARD.decode(digest.trim()).ok()?;
        Some(Checksum { algorithm, expected })
    };
    read().map(Some).ok_or_else(|| {
        InputError::new("it is `sha1`, `sha256` or `md5`, a blank, and the checksum in base64")
            .in_field("Upload-Checksum")
    })
}

/// A moment as dates in headers are.
pub(super) fn date(time: Timestamp) -> String {
    let seconds = u64::try_from(time.as_micros() / 1_000_000).unwrap_or_default();
    httpdate::fmt_http_date(std::time::UNIX_EPOCH + std::time::Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap()))
            .collect()
    }

    #[test]
    fn metadata_are_pairs_with_values_in_base64() {
        assert_eq!(
            pairs("bucket bWFpbg==, name Y2F0,empty").unwrap(),
            [
                ("bucket", "main".to_owned()),
                ("name", "cat".to_owned()),
                ("empty", String::new())
            ]
        );
        for bad in ["a !", "a /w==", "a Yg==,a Yg=="] {
            assert!(pairs(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn lengths_are_known_or_deferred_and_never_both() {
        let note = "bucket bWFpbg==,name Y2F0";
        let of = |pairs: &[(&'static str, &str)]| {
            upload_request(note, &headers(pairs), Guard::none()).map(|request| request.size)
        };
        assert_eq!(of(&[("upload-length", "7")]), Ok(Some(7)));
        assert_eq!(of(&[("upload-defer-length", "1")]), Ok(None));
        for bad in [
            &[][..],
            &[("upload-length", "7"), ("upload-defer-length", "1")],
            &[("upload-defer-length", "2")],
            &[("upload-length", "-7")],
            &[("upload-length", "+7")],
            &[("upload-length", "99999999999999999999999")],
        ] {
            assert!(of(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn parts_are_named_by_urls() {
        let id = "01jd3k5gqz0000000000000000".to_owned() + &"0".repeat(32);
        let of = |value: &str| concat(&headers(&[("upload-concat", value)]));
        assert_eq!(of("partial"), Ok(Some(Concat::Partial)));
        for url in [
            format!("/api/v1/uploads/{id}"),
            format!("https://x.example/api/v1/uploads/{id}"),
        ] {
            assert_eq!(
                of(&format!("final;{url}")),
                Ok(Some(Concat::Final(vec![id.parse().unwrap()])))
            );
        }
        for bad in ["", "whole", "final", "final;/x", "final;/api/v1/uploads/"] {
            assert!(of(bad).is_err(), "{bad}");
        }
    }
}
