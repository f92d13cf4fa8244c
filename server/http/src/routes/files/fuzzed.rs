//! What the fuzz targets on files run: names in URLs, ranges, forms.

use std::convert::Infallible;

use bytes::Bytes;
use futures_util::{FutureExt as _, stream};
use multer::{Constraints, Multipart, SizeLimit};

use super::range::{self, RANGES_MAX, Ranges};
use super::{FILES_PREFIX, file_name, file_url};

/// Bytes that a field may have here.
const FIELD_BYTES_MAX: u64 = 4096;

/// Any path of a URL: what is taken for a file's name leads back to it, and nowhere but to it.
pub(crate) fn file_path(bytes: &[u8]) {
    let Ok(path) = std::str::from_utf8(bytes) else {
        return;
    };
    let Ok(name) = file_name(&format!("{FILES_PREFIX}{path}")) else {
        return;
    };
    for segment in name.name().split('/') {
        assert!(!matches!(segment, "" | "." | ".."), "`{name}` climbs");
        assert!(
            !segment.chars().any(char::is_control),
            "`{name}` has control characters"
        );
    }
    assert!(
        !name.bucket().as_str().contains(['/', '%']),
        "`{name}` has another bucket"
    );
    let url = file_url(&name);
    assert!(
        url.bytes().all(|byte| byte.is_ascii_graphic()),
        "`{url}` is no URL"
    );
    assert_eq!(file_name(&url).as_ref(), Ok(&name), "`{url}` leads elsewhere");
}

/// A size and a header: what is read lies within the file, and nothing of it is sent twice.
pub(crate) fn range_header(bytes: &[u8]) {
    let Some((size, header)) = bytes.split_first_chunk::<8>() else {
        return;
    };
    let size = u64::from_le_bytes(*size);
    let Ranges::Parts(mut parts) = range::parse(Some(header), size) else {
        return;
    };
    assert!((1..=RANGES_MAX).contains(&parts.len()), "{} parts", parts.len());
    parts.sort_by_key(|part| *part.start());
    for part in &parts {
        assert!(
            part.start() <= part.end() && *part.end() < size,
            "{part:?} of {size}"
        );
    }
    for pair in parts.windows(2) {
        assert!(pair[0].end() < pair[1].start(), "{pair:?} overlap");
    }
}

/// A byte that says how large the pieces are in which it comes, a line with the type, and the body of a form: it comes to an
/// end, and gives no more than it got.
pub(crate) fn form(bytes: &[u8]) {
    let Some((piece, rest)) = bytes.split_first() else {
        return;
    };
    let split = rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len());
    let (content_type, body) = rest.split_at(split);
    let body = body.get(1..).unwrap_or_default();
    let Some(boundary) = std::str::from_utf8(content_type)
        .ok()
        .and_then(|content_type| multer::parse_boundary(content_type).ok())
    else {
        return;
    };
    let pieces: Vec<_> = body
        .chunks(usize::from(*piece) + 1)
        .map(|piece| Ok::<_, Infallible>(Bytes::copy_from_slice(piece)))
        .collect();
    let limits = Constraints::new().size_limit(SizeLimit::new().per_field(FIELD_BYTES_MAX));
    let mut form = Multipart::with_constraints(stream::iter(pieces), boundary, limits);
    let reading = async {
        let mut read = 0_u64;
        while let Ok(Some(mut field)) = form.next_field().await {
            let mut of_field = 0_u64;
            while let Ok(Some(more)) = field.chunk().await {
                of_field += more.len() as u64;
            }
            assert!(of_field <= FIELD_BYTES_MAX, "a field of {of_field} bytes");
            read += of_field;
        }
        read
    };
    // All of it is there, so nothing is waited for.
    let read = reading.now_or_never().expect("the parser stands still");
    assert!(read <= body.len() as u64, "{read} bytes of {}", body.len());
}
