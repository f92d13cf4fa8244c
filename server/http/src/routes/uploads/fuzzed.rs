//! What the fuzz target on tus runs: its headers.

use andiron_files::Guard;
use axum::http::{HeaderMap, HeaderName, HeaderValue};

use super::headers;

/// Lines of names and values, as headers are: what is read of them is read again the same.
pub(crate) fn tus_headers(bytes: &[u8]) {
    let mut map = HeaderMap::new();
    for line in bytes.split(|byte| *byte == b'\n') {
        let Some(colon) = line.iter().position(|byte| *byte == b':') else {
            continue;
        };
        let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
        if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name), HeaderValue::from_bytes(value)) {
            map.append(name, value);
        }
    }
    let _ = headers::checksum(&map);
    let concat = headers::concat(&map);
    if let Ok(Some(headers::Concat::Final(ids))) = &concat {
        for id in ids {
            assert!(
                id.as_str().bytes().all(|byte| byte.is_ascii_alphanumeric()),
                "`{id}`"
            );
        }
    }
    let Ok(note) = headers::metadata(&map) else {
        return;
    };
    let Ok(request) = headers::upload_request(&note, &map, Guard::none()) else {
        return;
    };
    let again = headers::upload_request(&note, &map, Guard::none()).expect("it was read before");
    assert_eq!((&request.name, request.size), (&again.name, again.size));
    for segment in request.name.name().split('/') {
        assert!(!matches!(segment, "" | "." | ".."), "`{}` climbs", request.name);
    }
    if request.size.is_none() {
        let is_final = matches!(concat, Ok(Some(headers::Concat::Final(_))));
        assert!(
            is_final || map.contains_key(&headers::DEFER_LENGTH),
            "a size is missing"
        );
    }
}
