//! Versions: the single order of all commits of a project.

use std::fmt;
use std::str::FromStr;

use serde::de::{Deserialize, Deserializer, Error as _};
use serde::ser::{Serialize, Serializer};

use crate::{InputError, Timestamp};

/// The moment of a commit in microseconds since 1970, made strictly increasing; every document written by the commit
/// carries it. In JSON a decimal string of at most 19 digits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version(i64);

impl Version {
    /// Before every commit.
    pub const ZERO: Self = Self(0);

    /// A version from its microseconds since 1970; negative numbers become [`Version::ZERO`].
    pub fn from_micros(micros: i64) -> Self {
        Self(micros.max(0))
    }

    /// Microseconds since 1970, never negative.
    pub fn as_micros(self) -> i64 {
        self.0
    }

    /// The version of a commit that follows `self` at the time `now`: `max(self + 1, now)`.
    pub fn next(self, now: Timestamp) -> Self {
        Self(now.as_micros().max(self.0.saturating_add(1)))
    }

    /// The strong entity tag of a document at this version, as in the `ETag` header: the version in quotes.
    pub fn to_etag(self) -> String {
        let mut digits = itoa::Buffer::new();
        ["\"", digits.format(self.0), "\""].concat()
    }

    /// The same moment as a timestamp.
    pub fn to_timestamp(self) -> Timestamp {
        Timestamp::from_micros_clamped(self.0)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

impl FromStr for Version {
    type Err = InputError;

    fn from_str(text: &str) -> Result<Self, InputError> {
        let canonical = !text.is_empty()
            && text.len() <= 19
            && text.bytes().all(|byte| byte.is_ascii_digit())
            && (text == "0" || !text.starts_with('0'));
        match text.parse() {
            Ok(micros) if canonical => Ok(Self(micros)),
            _ => Err(InputError::new(format!(
                "`{}` is not a version: a version is a decimal number of at most 19 digits",
                crate::error::excerpt(text)
            ))),
        }
    }
}

impl Serialize for Version {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Version {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(D::Error::custom)
    }
}
