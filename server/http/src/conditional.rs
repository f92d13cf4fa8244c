//! `If-Match` and `If-None-Match` (RFC 9110, section 13): entity tags are versions in quotes.
//!
//! `If-Modified-Since` and its kin are ignored, as the RFC demands of a resource that tells no modification date.

use andiron_protocol::{InputError, Precondition, Version};
use axum::http::header::{IF_MATCH, IF_NONE_MATCH};
use axum::http::{HeaderMap, HeaderName};

/// The conditions that a request carries.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Conditions {
    if_match: Option<Tags>,
    if_none_match: Option<Tags>,
}

/// What one of the headers lists.
#[derive(Debug, PartialEq, Eq)]
enum Tags {
    /// `*`: whatever is there.
    Any,
    /// Tags that are versions; others match nothing and are left out.
    Listed {
        strong: Vec<Version>,
        weak: Vec<Version>,
    },
}

/// What the conditions say about a read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ReadVerdict {
    /// Answer as if there were none.
    Answer,
    /// The client has it: 304.
    NotModified,
    /// 412.
    Failed,
}

/// How a write is to heed the conditions.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum WriteGuard {
    /// The commit's own precondition says it all.
    Precondition(Precondition),
    /// The document must be looked at first, and the commit pinned to what was seen.
    Examine,
}

impl Conditions {
    /// Reads the headers.
    ///
    /// # Errors
    /// If one is not `*` or a list of entity tags.
    pub(crate) fn read(headers: &HeaderMap) -> Result<Self, InputError> {
        Ok(Self {
            if_match: read_tags(headers, &IF_MATCH, "If-Match")?,
            if_none_match: read_tags(headers, &IF_NONE_MATCH, "If-None-Match")?,
        })
    }

    /// Whether there is any.
    pub(crate) fn is_empty(&self) -> bool {
        self.if_match.is_none() && self.if_none_match.is_none()
    }

    /// Whether the write is to create and nothing else: `If-None-Match: *` alone.
    pub(crate) fn demands_absence(&self) -> bool {
        self.if_match.is_none() && self.if_none_match == Some(Tags::Any)
    }

    /// Judges a read of a document that is at `current`.
    pub(crate) fn judge_read(&self, current: Version) -> ReadVerdict {
        if self
            .if_match
            .as_ref()
            .is_some_and(|tags| !tags.match_strongly(Some(current)))
        {
            ReadVerdict::Failed
        } else if self
            .if_none_match
            .as_ref()
            .is_some_and(|tags| tags.match_weakly(Some(current)))
        {
            ReadVerdict::NotModified
        } else {
            ReadVerdict::Answer
        }
    }

    /// Whether a write may change a document that is at `current`, or absent.
    pub(crate) fn allow_write(&self, current: Option<Version>) -> bool {
        self.if_match
            .as_ref()
            .is_none_or(|tags| tags.match_strongly(current))
            && self
                .if_none_match
                .as_ref()
                .is_none_or(|tags| !tags.match_weakly(current))
    }

    /// How a write is to heed the conditions.
    pub(crate) fn write_guard(&self) -> WriteGuard {
        match (&self.if_match, &self.if_none_match) {
            (None, None) => WriteGuard::Precondition(Precondition::None),
            (Some(Tags::Any), None) => WriteGuard::Precondition(Precondition::Exists(true)),
            (None, Some(Tags::Any)) => WriteGuard::Precondition(Precondition::Exists(false)),
            (Some(Tags::Listed { strong, .. }), None) if strong.len() == 1 => {
                WriteGuard::Precondition(Precondition::Version(strong[0]))
            }
            _ => WriteGuard::Examine,
        }
    }
}

impl Tags {
    fn match_strongly(&self, current: Option<Version>) -> bool {
        match (self, current) {
            (_, None) => false,
            (Self::Any, Some(_)) => true,
            (Self::Listed { strong, .. }, Some(current)) => strong.contains(&current),
        }
    }

    fn match_weakly(&self, current: Option<Version>) -> bool {
        match (self, current) {
            (_, None) => false,
            (Self::Any, Some(_)) => true,
            (Self::Listed { strong, weak }, Some(current)) => {
                strong.contains(&current) || weak.contains(&current)
            }
        }
    }
}

fn read_tags(headers: &HeaderMap, header: &HeaderName, name: &str) -> Result<Option<Tags>, InputError> {
    if !headers.contains_key(header) {
        return Ok(None);
    }
    let malformed = || {
        InputError::new(format!(
            "`{name}` is `*` or a list of entity tags, each a version in double quotes, as in `\"1795326035123456\"`"
        ))
        .in_field(name)
    };
    // Several lines of one header are one list (RFC 9110, section 5.3).
    let mut list = Vec::new();
    for value in headers.get_all(header) {
        if !list.is_empty() {
            list.push(b',');
        }
        list.extend_from_slice(value.as_bytes());
    }
    let mut rest = list.trim_ascii();
    if rest == b"*" {
        return Ok(Some(Tags::Any));
    }
    let (mut strong, mut weak, mut count) = (Vec::new(), Vec::new(), 0_usize);
    loop {
        rest = rest.trim_ascii_start();
        match rest {
            [] if count > 0 => return Ok(Some(Tags::Listed { strong, weak })),
            // Empty elements of a list are to be ignored.
            [b',', after @ ..] => rest = after,
            _ => {
                let (is_weak, quoted) = match rest.strip_prefix(b"W/") {
                    Some(quoted) => (true, quoted),
                    None => (false, rest),
                };
                let opaque = quoted.strip_prefix(b"\"").ok_or_else(malformed)?;
                let end = opaque
                    .iter()
                    .position(|byte| *byte == b'"')
                    .ok_or_else(malformed)?;
                let version = std::str::from_utf8(&opaque[..end])
                    .ok()
                    .and_then(|text| text.parse().ok());
                if let Some(version) = version {
                    if is_weak {
                        weak.push(version)
                    } else {
                        strong.push(version)
                    }
                }
                count += 1;
                rest = opaque[end + 1..].trim_ascii_start();
                if !rest.is_empty() && !rest.starts_with(b",") {
                    return Err(malformed());
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn conditions(lines: &[(HeaderName, &'static str)]) -> Result<Conditions, InputError> {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(name, HeaderValue::from_static(value));
        }
        Conditions::read(&headers)
    }

    fn version(micros: i64) -> Version {
        Version::from_micros(micros)
    }

    #[test]
    fn reads_are_judged_by_both_headers_and_if_match_comes_first() {
        for (lines, verdict) in [
            (vec![], ReadVerdict::Answer),
            (vec![(IF_NONE_MATCH, "\"5\"")], ReadVerdict::NotModified),
            (vec![(IF_NONE_MATCH, "W/\"5\"")], ReadVerdict::NotModified),
            (vec![(IF_NONE_MATCH, "\"4\", ,\"5\"")], ReadVerdict::NotModified),
            (
                vec![(IF_NONE_MATCH, "\"4\""), (IF_NONE_MATCH, "\"5\"")],
                ReadVerdict::NotModified,
            ),
            (vec![(IF_NONE_MATCH, "*")], ReadVerdict::NotModified),
            (vec![(IF_NONE_MATCH, "\"4\", \"x,y\"")], ReadVerdict::Answer),
            (vec![(IF_MATCH, "\"5\"")], ReadVerdict::Answer),
            (vec![(IF_MATCH, "*")], ReadVerdict::Answer),
            (vec![(IF_MATCH, "W/\"5\"")], ReadVerdict::Failed),
            (vec![(IF_MATCH, "\"05\"")], ReadVerdict::Failed),
            (
                vec![(IF_MATCH, "\"4\""), (IF_NONE_MATCH, "\"5\"")],
                ReadVerdict::Failed,
            ),
            (
                vec![(IF_MATCH, "\"5\""), (IF_NONE_MATCH, "\"5\"")],
                ReadVerdict::NotModified,
            ),
        ] {
            assert_eq!(
                conditions(&lines).unwrap().judge_read(version(5)),
                verdict,
                "{lines:?}"
            );
        }
    }

    #[test]
    fn simple_conditions_of_writes_become_preconditions_and_others_an_examination() {
        let guard = |name: HeaderName, value| conditions(&[(name, value)]).unwrap().write_guard();
        assert_eq!(
            guard(IF_MATCH, "*"),
            WriteGuard::Precondition(Precondition::Exists(true))
        );
        assert_eq!(
            guard(IF_MATCH, "\"5\""),
            WriteGuard::Precondition(Precondition::Version(version(5)))
        );
        assert_eq!(
            guard(IF_NONE_MATCH, "*"),
            WriteGuard::Precondition(Precondition::Exists(false))
        );
        for examined in ["\"5\", \"6\"", "W/\"5\"", "\"x\""] {
            assert_eq!(guard(IF_MATCH, examined), WriteGuard::Examine);
        }
        assert_eq!(guard(IF_NONE_MATCH, "\"5\""), WriteGuard::Examine);
    }

    #[test]
    fn writes_go_through_only_where_every_condition_holds() {
        let allow = |name: HeaderName, value, current: Option<i64>| {
            conditions(&[(name, value)])
                .unwrap()
                .allow_write(current.map(version))
        };
        assert!(allow(IF_MATCH, "\"4\", \"5\"", Some(5)));
        assert!(!allow(IF_MATCH, "\"4\", \"5\"", Some(6)));
        assert!(!allow(IF_MATCH, "\"4\", \"5\"", None));
        assert!(!allow(IF_MATCH, "W/\"5\"", Some(5)));
        assert!(!allow(IF_NONE_MATCH, "W/\"5\"", Some(5)));
        assert!(allow(IF_NONE_MATCH, "\"5\"", Some(6)));
        assert!(allow(IF_NONE_MATCH, "\"5\"", None));
    }

    #[test]
    fn what_is_no_list_of_tags_is_refused() {
        for value in [
            "",
            ",",
            "5",
            "\"5",
            "\"5\" \"6\"",
            "*, \"5\"",
            "w/\"5\"",
            "W/5",
            "'5'",
        ] {
            let lines = [(IF_MATCH, value)];
            assert!(conditions(&lines).is_err(), "{value}");
        }
    }
}
