//! Names of buckets and files, checked once where they enter.
//!
//! A file's name is never part of a path on a disk: bytes lie under keys of the server's own. What is refused is what
//! would make one name look like another, or break a header or a page that shows it.

use std::fmt;
use std::str::FromStr;

use andiron_protocol::{CollectionPath, DocumentPath, InputError};

/// Bytes of a file's name, slashes included.
pub const NAME_BYTES_MAX: usize = 1024;
/// Characters of a bucket's name.
const BUCKET_CHARS_MAX: usize = 63;
/// The collection that holds a document for every bucket.
pub(crate) const FILES: &str = "_files";
/// The collection under a bucket's document that holds one for every file.
const OBJECTS: &str = "objects";
/// What stands for a slash in the id of a file's document. It orders before every character that a name can have, so
/// that the files of a folder stand together.
const SLASH: char = '\u{1f}';

/// The name of a bucket: lowercase letters, digits, `-`, `_` and `.`, beginning with a letter or digit.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BucketName(String);

impl BucketName {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The collection of the documents of its files.
    pub(crate) fn files(&self) -> Result<CollectionPath, InputError> {
        format!("{FILES}/{}/{OBJECTS}", self.0).parse()
    }
}

impl FromStr for BucketName {
    type Err = InputError;

    fn from_str(name: &str) -> Result<Self, InputError> {
        let is_valid = (1..=BUCKET_CHARS_MAX).contains(&name.len())
            && name.starts_with(|first: char| first.is_ascii_lowercase() || first.is_ascii_digit())
            && name.bytes().all(|byte| {
                byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_' | b'.')
            });
        if is_valid {
            Ok(Self(name.to_owned()))
        } else {
            Err(InputError::new(format!(
                "a bucket's name has 1 to {BUCKET_CHARS_MAX} lowercase letters, digits, `-`, `_` and `.`, and begins with a letter or digit"
            ))
            .in_field("bucket"))
        }
    }
}

impl fmt::Display for BucketName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// The name of a file within its bucket: segments separated by `/`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FileName {
    bucket: BucketName,
    name: String,
}

impl FileName {
    /// Checks a name: 1 to 1,024 bytes; no segment that is empty, `.` or `..`; no control characters and none that
    /// change the direction of text; not `__…__` as a whole.
    ///
    /// # Errors
    /// Says which of these is violated.
    pub fn new(bucket: BucketName, name: &str) -> Result<Self, InputError> {
        check(name, true)?;
        Ok(Self {
            bucket,
            name: name.to_owned(),
        })
    }

    /// The bucket.
    pub fn bucket(&self) -> &BucketName {
        &self.bucket
    }

    /// The whole name, slashes included.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The last segment: what a download is called.
    pub fn base_name(&self) -> &str {
        self.name.rsplit('/').next().unwrap_or_default()
    }

    /// The document of its metadata.
    pub(crate) fn document(&self) -> Result<DocumentPath, InputError> {
        self.bucket.files()?.document(&id_of(&self.name))
    }
}

impl fmt::Display for FileName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.bucket, self.name)
    }
}

/// Checks what names are to begin with.
pub(crate) fn check_prefix(prefix: &str) -> Result<(), InputError> {
    if prefix.is_empty() {
        return Ok(());
    }
    check(prefix, false).map_err(|error| error.in_field("prefix"))
}

/// The id of the document of a file, or what such ids begin with.
pub(crate) fn id_of(name: &str) -> String {
    name.replace('/', "\u{1f}")
}

/// The name that an id stands for.
pub(crate) fn name_of(id: &str) -> String {
    id.replace(SLASH, "/")
}

fn check(name: &str, is_whole: bool) -> Result<(), InputError> {
    let refuse = |why: &str| Err(InputError::new(format!("the name of a file {why}")).in_field("name"));
    if name.is_empty() {
        return refuse("is not empty");
    }
    if name.len() > NAME_BYTES_MAX {
        return refuse("has at most 1024 bytes");
    }
    if name.chars().any(is_unseen) {
        return refuse("has no control characters, and none that change the direction of text");
    }
    let mut segments = name.split('/').peekable();
    while let Some(segment) = segments.next() {
        // What names begin with may end anywhere.
        let is_open = !is_whole && segments.peek().is_none();
        if !is_open && matches!(segment, "" | "." | "..") {
            return refuse(
                "has no segment that is empty, `.` or `..`, and neither begins nor ends with a slash",
            );
        }
    }
    if is_whole && name.len() >= 4 && name.starts_with("__") && name.ends_with("__") {
        return refuse("does not begin and end with two underscores, which is reserved");
    }
    Ok(())
}

/// Control characters, line and paragraph separators, and what changes the direction of the text around it.
fn is_unseen(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}'
        )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn name(name: &str) -> Result<FileName, InputError> {
        FileName::new("b".parse().unwrap(), name)
    }

    #[test]
    fn names_that_mislead_or_break_out_are_refused() {
        for bad in [
            "",
            "/",
            "/etc/passwd",
            "a/",
            "a//b",
            ".",
            "..",
            "a/../b",
            "./a",
            "a/.",
            "a\0b",
            "a\r\nSet-Cookie: x",
            "a\u{202e}gpj.exe",
            "a\u{7f}",
            "a\u{2028}b",
            "__all__",
            &"x".repeat(1025),
        ] {
            assert!(name(bad).is_err(), "{bad:?}");
        }
        for good in [
            "a",
            "a b",
            "ü/日本.png",
            "...",
            ".hidden",
            "con",
            "a\\b",
            "C:x",
            "__x__/y",
            "a/__x__",
            "%2e%2e",
        ] {
            assert!(name(good).is_ok(), "{good:?}");
            assert!(name(good).unwrap().document().is_ok(), "{good:?}");
        }
    }

    #[test]
    fn buckets_are_plain_words() {
        for bad in ["", "A", "-a", "_a", ".a", "a/b", "a b", "ü", &"a".repeat(64)] {
            assert!(bad.parse::<BucketName>().is_err(), "{bad}");
        }
        for good in ["a", "my-app.appspot.com", "0_x"] {
            assert!(good.parse::<BucketName>().is_ok(), "{good}");
        }
    }

    proptest! {
        #[test]
        fn a_name_that_is_accepted_has_a_document_of_its_own_and_comes_back(text in any::<String>(), other in any::<String>()) {
            if let Ok(file) = name(&text) {
                let path = file.document().unwrap();
                prop_assert_eq!(name_of(path.id()), text);
                if let Ok(other) = name(&other) {
                    prop_assert_eq!(other.document().unwrap() == path, other == file);
                }
            }
        }
    }
}
