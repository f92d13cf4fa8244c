//! Reading JSON that somebody sent: one entrance, and errors that a person can act on.
//!
//! What the texts mean is decided by the types' own readers; here stands what JSON libraries leave to chance: which
//! number `-0` is, and what a syntax error says.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, DeserializeOwned, Deserializer, MapAccess, Visitor};
use serde_json::error::Category;

use crate::InputError;
use crate::error::excerpt_of;

/// Characters of an error text; what is longer was the sender's own input.
const DETAIL_CHARS_MAX: usize = 400;

/// Reads a body or another text of the protocol: a [`Query`](crate::Query), a [`CommitBody`](crate::CommitBody), a
/// [`Value`](crate::Value), ….
///
/// The types can be read by any serde reader, but only this entrance takes the token `-0` for the integer 0, as the
/// protocol has it; JSON readers commonly make it the double -0.0, which is written `-0.0` or `{"$double":"-0"}`.
///
/// # Errors
/// If the text is not JSON or not what is expected, with line and column.
pub fn from_json<T: DeserializeOwned>(json: &[u8]) -> Result<T, InputError> {
    Ok(serde_json::from_slice(&with_plain_zeros(json))?)
}

/// Reads an object as `T`, and nothing else: the readers that serde derives would also take an array of the fields.
pub(crate) fn object<'de, D, T>(deserializer: D, expected: &'static str) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    struct ObjectVisitor<T>(&'static str, PhantomData<T>);
    impl<'de, T: Deserialize<'de>> Visitor<'de> for ObjectVisitor<T> {
        type Value = T;

        fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            formatter.write_str(self.0)
        }

        fn visit_map<A: MapAccess<'de>>(self, access: A) -> Result<T, A::Error> {
            T::deserialize(MapAccessDeserializer::new(access))
        }
    }
    deserializer.deserialize_map(ObjectVisitor(expected, PhantomData))
}

/// The same text with every token `-0` as ` 0`, so that positions in it stay.
pub(crate) fn with_plain_zeros(json: &[u8]) -> Cow<'_, [u8]> {
    let is_candidate = |at: usize| {
        json[at + 1..].first() == Some(&b'0')
            && !json
                .get(at + 2)
                .is_some_and(|next| next.is_ascii_digit() || matches!(next, b'.' | b'e' | b'E'))
    };
    // Nearly always there is none, and a search for a byte is all that this costs.
    let Some(first) = memchr::memchr_iter(b'-', json).find(|at| is_candidate(*at)) else {
        return Cow::Borrowed(json);
    };
    let mut text = json.to_vec();
    let mut in_string = false;
    let mut at = 0;
    while at < json.len() {
        match json[at] {
            b'"' => in_string = !in_string,
            b'\\' if in_string => at += 1,
            // An exponent's minus follows an `e`.
            b'-' if !in_string
                && at >= first
                && is_candidate(at)
                && !matches!(json[..at].last(), Some(b'e' | b'E')) =>
            {
                text[at] = b' ';
            }
            _ => {}
        }
        at += 1;
    }
    Cow::Owned(text)
}

impl From<serde_json::Error> for InputError {
    fn from(error: serde_json::Error) -> Self {
        let (line, column) = (error.line(), error.column());
        let mut text = error.to_string();
        if line > 0 {
            // The position has members of its own in a problem.
            if let Some(end) = text.rfind(" at line ") {
                text.truncate(end);
            }
        }
        let detail = match (error.classify(), text.as_str()) {
            (Category::Eof, _) => "not valid JSON: it ends too early".to_owned(),
            (Category::Syntax, "number out of range") => {
                "a number is out of range: the largest double is about 1.8e308".to_owned()
            }
            (Category::Syntax, "recursion limit exceeded") => "the JSON is nested too deep".to_owned(),
            (Category::Syntax, "trailing characters") => {
                "not valid JSON: something follows the end of a value".to_owned()
            }
            (Category::Syntax, _) => format!("not valid JSON: {text}"),
            (Category::Data | Category::Io, _) => excerpt_of(&text, DETAIL_CHARS_MAX),
        };
        if line == 0 {
            return Self::new(detail);
        }
        Self::new(detail).at(
            u32::try_from(line).unwrap_or(u32::MAX),
            u32::try_from(column).unwrap_or(u32::MAX),
        )
    }
}
