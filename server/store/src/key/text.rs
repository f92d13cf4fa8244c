//! Escaped, terminated bytes: what strings, bytes, field names, ids and path segments share.

use super::{END, ESCAPE};

/// Writes content without an end, though perhaps not what is beyond `end_max`, a length of `out`.
pub(super) fn write_content(content: &[u8], end_max: usize, out: &mut Vec<u8>) {
    // Every byte of content takes at least one byte.
    let room = end_max.saturating_sub(out.len());
    let content = &content[..content.len().min(room)];
    if content.iter().all(|byte| *byte > ESCAPE) {
        out.extend_from_slice(content);
        return;
    }
    for &byte in content {
        if byte <= ESCAPE {
            out.push(ESCAPE);
        }
        out.push(byte);
    }
}

/// Writes content and its end. Content beyond `end_max` (a length of `out`) may be left out, but then `out` is longer than
/// `end_max` afterwards, by the end.
pub(super) fn write_text(content: &[u8], end_max: usize, out: &mut Vec<u8>) {
    write_content(content, end_max, out);
    out.push(END);
}
