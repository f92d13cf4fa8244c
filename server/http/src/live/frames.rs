//! The frames of the protocol, as JSON.

use std::fmt::Write as _;
use std::sync::Arc;

use andiron_engine::{ChangePart, LiveChanges, LiveTarget};
use andiron_protocol::{DocumentPath, InputError, Problem, Query, Timestamp, Version, from_json};
use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny};
use serde_json::value::RawValue;

/// A frame of a client.
#[derive(Debug)]
pub(super) enum ClientFrame {
    Auth {
        token: Option<String>,
    },
    Listen {
        id: u64,
        target: Result<LiveTarget, InputError>,
        resume: Option<String>,
    },
    Unlisten {
        id: u64,
    },
}

/// The largest id that every JSON reader has exactly.
const ID_MAX: u64 = (1 << 53) - 1;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Fields {
    op: String,
    #[serde(default)]
    id: Option<u64>,
    #[serde(default)]
    query: Option<Box<RawValue>>,
    #[serde(default)]
    doc: Option<String>,
    #[serde(default)]
    resume: Option<String>,
    #[serde(default, deserialize_with = "given")]
    token: Option<Option<String>>,
}

/// Tells null from nothing.
#[expect(clippy::option_option, reason = "that is the difference")]
fn given<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<String>>, D::Error> {
    Option::<String>::deserialize(deserializer).map(Some)
}

impl ClientFrame {
    /// Reads a frame.
    ///
    /// # Errors
    /// If it is none. A query that is wrong is the listen's error, not the frame's.
    pub(super) fn read(text: &str) -> Result<Self, InputError> {
        // First as whatever JSON it is, for limits and places of errors as everywhere else.
        from_json::<IgnoredAny>(text.as_bytes())?;
        let fields: Fields = from_json(text.as_bytes())?;
        let id = || match fields.id {
            Some(id) if id <= ID_MAX => Ok(id),
            _ => Err(InputError::new("`id` is a whole number from 0 to 2^53-1").in_field("id")),
        };
        let takes = |names: &[(&str, bool)]| match names.iter().find(|(_, is_given)| *is_given) {
            Some((name, _)) => {
                let detail = format!("`{name}` does not go with this `op`");
                Err(InputError::new(detail).in_field(*name))
            }
            None => Ok(()),
        };
        let has_target = [
            ("query", fields.query.is_some()),
            ("doc", fields.doc.is_some()),
            ("resume", fields.resume.is_some()),
        ];
        match fields.op.as_str() {
            "auth" => {
                takes(&has_target)?;
                takes(&[("id", fields.id.is_some())])?;
                let missing = || InputError::new("`auth` takes a `token`, or null").in_field("token");
                Ok(Self::Auth {
                    token: fields.token.ok_or_else(missing)?,
                })
            }
            "listen" => {
                takes(&[("token", fields.token.is_some())])?;
                Ok(Self::Listen {
                    id: id()?,
                    target: target(fields.query.as_deref(), fields.doc.as_deref()),
                    resume: fields.resume,
                })
            }
            "unlisten" => {
                takes(&has_target)?;
                takes(&[("token", fields.token.is_some())])?;
                Ok(Self::Unlisten { id: id()? })
            }
            _ => Err(InputError::new("`op` is `auth`, `listen` or `unlisten`").in_field("op")),
        }
    }
}

fn target(query: Option<&RawValue>, doc: Option<&str>) -> Result<LiveTarget, InputError> {
    match (query, doc) {
        (Some(query), None) => {
            let query: Query = from_json(query.get().as_bytes())?;
            query.check()?;
            Ok(LiveTarget::Query(Arc::new(query)))
        }
        (None, Some(path)) => {
            let path = path
                .parse::<DocumentPath>()
                .map_err(|error| error.in_field("doc"))?;
            Ok(LiveTarget::Document(path))
        }
        _ => Err(InputError::new("a listen is to a `query` or to a `doc`").in_field("query")),
    }
}

pub(super) fn hello(version: Version, heartbeat_seconds: u64) -> String {
    format!("{{\"op\":\"hello\",\"version\":\"{version}\",\"heartbeat\":{heartbeat_seconds}}}")
}

pub(super) fn authenticated(expires: Option<Timestamp>) -> String {
    match expires {
        Some(expires) => format!("{{\"op\":\"auth\",\"ok\":true,\"expires\":\"{expires}\"}}"),
        None => "{\"op\":\"auth\",\"ok\":true}".to_owned(),
    }
}

/// The problem of a listen, or without an id of the connection.
pub(super) fn error(id: Option<u64>, problem: &Problem) -> String {
    // A problem is plain strings and numbers.
    let problem = serde_json::to_string(problem).unwrap_or_default();
    match id {
        Some(id) => format!("{{\"op\":\"error\",\"id\":{id},\"error\":{problem}}}"),
        None => format!("{{\"op\":\"error\",\"error\":{problem}}}"),
    }
}

/// What stands around changes in a frame; `id` is left out where there is one listen alone. A part of a step has no resume
/// token, since there is no going on from the middle of one.
pub(super) fn around_changes(changes: &LiveChanges, with_id: bool) -> (String, &'static str) {
    let mut before = String::with_capacity(192);
    // Writing to a string does not fail.
    let _ = write!(before, "{{\"op\":\"changes\"");
    if with_id {
        let _ = write!(before, ",\"id\":{}", changes.listen);
    }
    let (reset, version) = (changes.reset, changes.version);
    let _ = write!(before, ",\"reset\":{reset},\"version\":\"{version}\"");
    if !changes.more {
        // A token is of letters that JSON does not escape.
        let _ = write!(before, ",\"resume\":\"{}\"", changes.resume);
    }
    let _ = write!(before, ",\"more\":{},\"changes\":", changes.more);
    (before, "}")
}

/// What stands before the changes of a commit, or of a part of one.
pub(super) fn before_logged(part: &ChangePart) -> String {
    let (version, more) = (part.version, part.more);
    format!("{{\"op\":\"changes\",\"version\":\"{version}\",\"more\":{more},\"changes\":")
}
