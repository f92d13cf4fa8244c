//! What kind of bytes they are: what the sender declares, held against what the bytes say.
//!
//! A declared type is kept where the bytes do not contradict it, so that rules which demand `image/.*` are about the bytes
//! and not about a header. What a browser could execute is never taken for anything else.

use andiron_protocol::InputError;

/// Bytes from the beginning that are looked at.
pub const SNIFFED_BYTES: usize = 1024;
/// Characters of a declared type.
const TYPE_CHARS_MAX: usize = 200;
/// The type of bytes about which nothing is known.
const UNKNOWN: &str = "application/octet-stream";

/// A media type, lowercase, perhaps with a `charset`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContentType(String);

impl ContentType {
    /// Reads a declared type. Of its parameters only `charset` is kept.
    ///
    /// # Errors
    /// If it is no media type.
    pub fn parse(text: &str) -> Result<Self, InputError> {
        let refused = || {
            InputError::new("a content type is of the form `image/png`, with at most a `charset` behind it")
                .in_field("contentType")
        };
        if text.len() > TYPE_CHARS_MAX {
            return Err(refused());
        }
        let mut parts = text.split(';');
        let essence = parts.next().unwrap_or_default().trim().to_ascii_lowercase();
        let (kind, subtype) = essence.split_once('/').ok_or_else(refused)?;
        if !is_token(kind) || !is_token(subtype) || kind == "*" || subtype == "*" {
            return Err(refused());
        }
        let charset = parts.find_map(|part| {
            let (name, value) = part.split_once('=')?;
            let value = value.trim().trim_matches('"');
            (name.trim().eq_ignore_ascii_case("charset") && is_token(value))
                .then(|| value.to_ascii_lowercase())
        });
        Ok(Self(match charset {
            Some(charset) => format!("{essence}; charset={charset}"),
            None => essence,
        }))
    }

    /// As it stands in a header.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Without parameters.
    pub fn essence(&self) -> &str {
        self.0.split(';').next().unwrap_or_default()
    }

    /// Whether a browser may show it in place: it can neither execute nor load anything. Everything else is a download.
    pub fn is_inert(&self) -> bool {
        matches!(
            self.essence(),
            "image/png"
                | "image/jpeg"
                | "image/gif"
                | "image/webp"
                | "image/avif"
                | "image/bmp"
                | "image/x-icon"
                | "video/mp4"
                | "video/webm"
                | "video/ogg"
                | "video/quicktime"
                | "audio/mpeg"
                | "audio/mp4"
                | "audio/ogg"
                | "audio/wav"
                | "audio/webm"
                | "audio/flac"
                | "audio/aac"
                | "text/plain"
        )
    }

    /// The type of bytes that were declared as this, or not at all, and begin with these.
    pub fn of(declared: Option<&Self>, beginning: &[u8]) -> Self {
        Self::resolve(declared, sniff(beginning))
    }

    /// The same where it is known what the bytes say; empty if they say nothing.
    pub(crate) fn resolve(declared: Option<&Self>, sniffed: &str) -> Self {
        let declared = declared.filter(|declared| declared.essence() != UNKNOWN);
        let Some(declared) = declared else {
            return Self(if sniffed.is_empty() { UNKNOWN } else { sniffed }.to_owned());
        };
        let essence = declared.essence();
        let agrees = match sniffed {
            // A type that has a signature, without the signature.
            "" => !SIGNED.contains(&essence),
            // Text may be anything that is text.
            "text/plain" => !SIGNED.contains(&essence),
            // Shown as text, it stays text, whatever it says.
            "text/html" | "text/xml" | "image/svg+xml" if is_plain_text(essence) => true,
            "text/html" => essence == "application/xhtml+xml",
            "text/xml" => essence == "application/xml" || essence.ends_with("+xml"),
            "application/zip" => !SIGNED.contains(&essence) && !is_plain_text(essence) && !is_active(essence),
            "video/mp4" => matches!(
                essence,
                "audio/mp4" | "audio/aac" | "video/quicktime" | "video/3gpp" | "audio/x-m4a" | "video/x-m4v"
            ),
            "video/webm" => matches!(essence, "audio/webm" | "video/x-matroska" | "audio/x-matroska"),
            "audio/ogg" => matches!(essence, "video/ogg" | "application/ogg" | "audio/opus"),
            "application/gzip" => {
                !SIGNED.contains(&essence) && !is_plain_text(essence) && !is_active(essence)
            }
            _ => false,
        };
        if agrees || essence == sniffed {
            declared.clone()
        } else if sniffed.is_empty() || sniffed == "text/plain" {
            Self(UNKNOWN.to_owned())
        } else {
            Self(sniffed.to_owned())
        }
    }
}

/// Types whose bytes begin in a way that [`sniff`] knows.
const SIGNED: &[&str] = &[
    "image/png",
    "image/jpeg",
    "image/gif",
    "image/webp",
    "image/avif",
    "image/heic",
    "image/bmp",
    "image/x-icon",
    "image/tiff",
    "video/mp4",
    "video/webm",
    "video/ogg",
    "audio/ogg",
    "audio/wav",
    "audio/flac",
    "application/pdf",
    "application/zip",
    "application/gzip",
    "application/wasm",
];

fn is_plain_text(essence: &str) -> bool {
    matches!(
        essence,
        "text/plain" | "text/csv" | "text/markdown" | "application/json" | "application/x-ndjson"
    )
}

/// What a browser could execute.
fn is_active(essence: &str) -> bool {
    matches!(
        essence,
        "text/html" | "text/xml" | "application/xml" | "text/javascript" | "application/javascript"
    ) || essence.ends_with("+xml")
}

/// What bytes that begin so are; empty if nothing is known of them.
pub(crate) fn sniff(bytes: &[u8]) -> &'static str {
    const SIGNATURES: &[(&[u8], &str)] = &[
        (b"\x89PNG\r\n\x1a\n", "image/png"),
        (b"\xff\xd8\xff", "image/jpeg"),
        (b"GIF87a", "image/gif"),
        (b"GIF89a", "image/gif"),
        (b"\x00\x00\x01\x00", "image/x-icon"),
        (b"II*\x00", "image/tiff"),
        (b"MM\x00*", "image/tiff"),
        (b"\x1aE\xdf\xa3", "video/webm"),
        (b"OggS", "audio/ogg"),
        (b"fLaC", "audio/flac"),
        (b"ID3", "audio/mpeg"),
        (b"PK\x03\x04", "application/zip"),
        (b"PK\x05\x06", "application/zip"),
        (b"\x1f\x8b", "application/gzip"),
        (b"\x00asm", "application/wasm"),
    ];
    let bytes = &bytes[..bytes.len().min(SNIFFED_BYTES)];
    // A PDF reader looks for its signature anywhere at the beginning; so does this.
    if bytes.windows(5).any(|window| window == b"%PDF-") {
        return "application/pdf";
    }
    if let Some((_, found)) = SIGNATURES
        .iter()
        .find(|(signature, _)| bytes.starts_with(signature))
    {
        return found;
    }
    match bytes {
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => return "image/webp",
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'A', b'V', b'E', ..] => return "audio/wav",
        [b'B', b'M', _, _, _, _, 0, 0, 0, 0, ..] => return "image/bmp",
        [_, _, _, _, b'f', b't', b'y', b'p', brand @ ..] => {
            return match brand.first_chunk::<4>() {
                Some(b"avif" | b"avis") => "image/avif",
                Some(b"heic" | b"heix" | b"mif1" | b"hevc") => "image/heic",
                _ => "video/mp4",
            };
        }
        [0xff, second, ..] if second & 0xe6 == 0xe2 => return "audio/mpeg",
        _ => {}
    }
    sniff_text(bytes)
}

fn sniff_text(bytes: &[u8]) -> &'static str {
    let is_text = !bytes
        .iter()
        .any(|byte| matches!(byte, 0..=8 | 0x0b | 0x0e..=0x1a | 0x1c..=0x1f));
    if bytes.is_empty() || !is_text {
        return "";
    }
    let text = String::from_utf8_lossy(bytes).to_ascii_lowercase();
    let text = text.trim_start_matches('\u{feff}').trim_start();
    // Markup counts wherever it stands: what reads past a stray beginning reads this too.
    const MARKUP: &[&str] = &[
        "<!doctype html",
        "<html",
        "<head",
        "<body",
        "<script",
        "<iframe",
        "<style",
        "<title",
        "<object",
        "<embed",
    ];
    if text.contains("<svg") {
        return "image/svg+xml";
    }
    if MARKUP.iter().any(|markup| text.contains(markup)) {
        return "text/html";
    }
    if text.starts_with("<?xml") || text.contains("<xsl:") {
        return "text/xml";
    }
    if text.starts_with("<!--") {
        return "text/html";
    }
    // Bytes that are no UTF-8 may be a legacy encoding, or anything.
    match std::str::from_utf8(bytes) {
        Ok(_) => "text/plain",
        Err(error) if error.error_len().is_none() => "text/plain",
        Err(_) => "",
    }
}

fn is_token(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(declared: &str, bytes: &[u8]) -> String {
        let declared = (!declared.is_empty()).then(|| ContentType::parse(declared).unwrap());
        ContentType::of(declared.as_ref(), bytes).as_str().to_owned()
    }

    #[test]
    fn bytes_are_what_they_say_and_not_what_is_said_of_them() {
        const PNG: &[u8] = b"\x89PNG\r\n\x1a\nxxxx";
        for (declared, bytes, is) in [
            ("", PNG, "image/png"),
            ("image/png", PNG, "image/png"),
            ("image/jpeg", PNG, "image/png"),
            ("text/html", PNG, "image/png"),
            ("image/png", b"<script>alert(1)</script>".as_slice(), "text/html"),
            ("image/png", b"hello", "application/octet-stream"),
            ("image/png", b"\x00\x01\x02", "application/octet-stream"),
            ("", b"hello", "text/plain"),
            ("", b"", "application/octet-stream"),
            ("text/csv; charset=UTF-8", b"a,b\n1,2", "text/csv; charset=utf-8"),
            ("text/html", b"hello", "text/html"),
            ("text/plain", b"<html><script>", "text/plain"),
            (
                "image/gif",
                b"\n <svg xmlns='x' onload='alert(1)'>",
                "image/svg+xml",
            ),
            ("image/svg+xml", b"<?xml version='1.0'?><svg/>", "image/svg+xml"),
            (
                "application/rss+xml",
                b"<?xml version='1.0'?><rss/>",
                "application/rss+xml",
            ),
            ("text/plain", b"junk %PDF-1.7", "application/pdf"),
            ("audio/mp4", b"\x00\x00\x00\x18ftypM4A ", "audio/mp4"),
            ("image/png", b"\x00\x00\x00\x18ftypisom", "video/mp4"),
            ("image/jpeg", b"GIF89a/*<script>*/", "image/gif"),
            (
                "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
                b"PK\x03\x04",
                "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
            ),
            ("text/html", b"PK\x03\x04", "application/zip"),
            ("application/x-own", b"\x00\x01", "application/x-own"),
        ] {
            assert_eq!(of(declared, bytes), is, "{declared} {bytes:?}");
        }
    }

    #[test]
    fn what_could_execute_is_never_inert() {
        for active in [
            "text/html",
            "image/svg+xml",
            "application/xhtml+xml",
            "text/xml",
            "application/pdf",
            "text/html; charset=utf-7",
            "application/octet-stream",
            "text/javascript",
            "application/json",
        ] {
            assert!(!ContentType::parse(active).unwrap().is_inert(), "{active}");
        }
        assert!(ContentType::parse("IMAGE/PNG").unwrap().is_inert());
    }

    #[test]
    fn what_is_no_type_is_refused() {
        for bad in [
            "",
            "x",
            "/",
            "a/",
            "image/*",
            "a b/c",
            "text/html\r\nx: y",
            "image/png, text/html",
        ] {
            assert!(ContentType::parse(bad).is_err(), "{bad}");
        }
        let with_more = ContentType::parse("text/plain; boundary=x; Charset=\"UTF-8\"").unwrap();
        assert_eq!(with_more.as_str(), "text/plain; charset=utf-8");
    }
}
