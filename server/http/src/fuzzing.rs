//! What the fuzz targets of this crate run, behind the feature `fuzzing`. Tests run it too, with fixed seeds.

/// Paths of URLs as names of files.
pub fn file_path(bytes: &[u8]) {
    crate::routes::files::fuzzed::file_path(bytes);
}

/// Sizes of files, and `Range` headers.
pub fn range_header(bytes: &[u8]) {
    crate::routes::files::fuzzed::range_header(bytes);
}

/// Forms with files.
pub fn form(bytes: &[u8]) {
    crate::routes::files::fuzzed::form(bytes);
}

/// Headers of tus.
pub fn tus_headers(bytes: &[u8]) {
    crate::routes::uploads::fuzzed::tus_headers(bytes);
}
