//! `andiron key`: service keys.

use std::time::Duration;

use andiron_engine::Surroundings;
use andiron_protocol::Timestamp;
use bytes::Bytes;
use clap::Subcommand;
use http::Method;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;

use crate::AndironError;
use crate::cli::connection::{ConnectionArguments, Expectation, Session};
use crate::cli::output;
use crate::client::Client;
use crate::config::SettingValue as _;

/// The path of the keys.
const KEYS: &str = "/api/v1/admin/keys";

#[derive(Debug, Subcommand)]
pub(crate) enum KeyAction {
    /// Make a key and print it, alone, on standard output; it cannot be shown again
    Create {
        /// A name to know it by: letters, digits, `.`, `_` and `-`
        name: String,
        /// What it may do, as in `documents:read` or `documents:write:posts`; may be given several times. Without any it
        /// may do everything
        #[arg(long, value_name = "SCOPE")]
        scope: Vec<String>,
        /// When it ends: after a time, as in `90d`, or at a date, as in `2027-01-31` [default: never]
        #[arg(long, value_name = "WHEN")]
        expires: Option<String>,
        #[command(flatten)]
        connection: ConnectionArguments,
    },
    /// List the keys: name, id, when made, until when, when last used, for what
    List {
        #[command(flatten)]
        connection: ConnectionArguments,
    },
    /// End a key at once
    Revoke {
        /// Its name or its id
        name: String,
        #[command(flatten)]
        connection: ConnectionArguments,
    },
}

/// A key as the server tells of it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct KeyEntry {
    id: String,
    name: String,
    create_time: Timestamp,
    #[serde(default)]
    scopes: Vec<String>,
    expires_at: Option<Timestamp>,
    last_use_time: Option<Timestamp>,
    /// Only when it has just been made.
    key: Option<String>,
}

#[derive(Deserialize)]
struct KeyList {
    keys: Vec<KeyEntry>,
}

pub(crate) async fn key(action: KeyAction) -> Result<(), AndironError> {
    let (connection, expectation) = match &action {
        KeyAction::Create { connection, .. } => (connection, Expectation::MayBegin),
        KeyAction::List { connection } | KeyAction::Revoke { connection, .. } => {
            (connection, Expectation::HasData)
        }
    };
    let session = Session::open(&connection.target()?, expectation).await?;
    let done = perform(&action, &mut session.client()).await;
    session.close().await;
    output::print(&done?)
}

/// Does it and gives what is to be printed.
async fn perform(action: &KeyAction, client: &mut Client) -> Result<String, AndironError> {
    match action {
        KeyAction::Create {
            name, scope, expires, ..
        } => {
            let mut body = serde_json::json!({ "name": name });
            if !scope.is_empty() {
                body["scopes"] = scope.as_slice().into();
            }
            if let Some(expires) = expires {
                let now = (Surroundings::system().now)();
                body["expiresAt"] = expiry(expires, now)?.to_string().into();
            }
            let body = Bytes::from(body.to_string());
            let created: KeyEntry = client.json(Method::POST, KEYS, Some(body)).await?;
            Ok(format!("{}\n", created.key.unwrap_or_default()))
        }
        KeyAction::List { .. } => {
            let KeyList { keys } = client.json(Method::GET, KEYS, None).await?;
            if keys.is_empty() {
                output::note("there are no keys; `andiron key create NAME` makes one");
            }
            Ok(table(&keys))
        }
        KeyAction::Revoke { name, .. } => {
            let path = format!("{KEYS}/{}", utf8_percent_encode(name, NON_ALPHANUMERIC));
            let revoked: KeyEntry = client.json(Method::DELETE, &path, None).await?;
            output::note(&format!("revoked `{}` ({})", revoked.name, revoked.id));
            Ok(String::new())
        }
    }
}

/// The moment that somebody has named by a time from now or a date.
fn expiry(text: &str, now: Timestamp) -> Result<Timestamp, AndironError> {
    let from_now = Duration::parse(text).and_then(|time| {
        let micros = i64::try_from(time.as_micros()).ok()?;
        Timestamp::from_micros(now.as_micros().checked_add(micros)?)
    });
    from_now
        .or_else(|| text.parse().ok())
        .or_else(|| format!("{text}T00:00:00Z").parse().ok())
        .ok_or_else(|| {
            AndironError::Usage(format!(
                "--expires `{text}`: a time such as `90d` or a date such as `2027-01-31` is expected"
            ))
        })
}

/// The keys, one a line, in columns.
fn table(keys: &[KeyEntry]) -> String {
    let time =
        |time: Option<Timestamp>, none: &str| time.map_or_else(|| none.to_owned(), |time| time.to_string());
    let rows: Vec<[String; 6]> = keys
        .iter()
        .map(|key| {
            [
                key.name.clone(),
                key.id.clone(),
                key.create_time.to_string(),
                time(key.expires_at, "no end"),
                time(key.last_use_time, "never used"),
                match key.scopes.as_slice() {
                    [] => "everything".to_owned(),
                    scopes => scopes.join(" "),
                },
            ]
        })
        .collect();
    let widths: [usize; 6] =
        std::array::from_fn(|column| rows.iter().map(|row| row[column].len()).max().unwrap_or_default());
    let line = |row: &[String; 6]| {
        let cells = row
            .iter()
            .zip(widths)
            .map(|(cell, width)| format!("{cell:width$}"));
        format!("{}\n", cells.collect::<Vec<_>>().join("  ").trim_end())
    };
    rows.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_ends_after_a_time_or_at_a_date() {
        let now: Timestamp = "2026-11-22T05:00:00Z".parse().unwrap();
        for (text, expected) in [
            ("90d", "2027-02-20T05:00:00Z"),
            ("12h", "2026-11-22T17:00:00Z"),
            ("2027-01-31", "2027-01-31T00:00:00Z"),
            ("2027-01-31T12:30:00Z", "2027-01-31T12:30:00Z"),
        ] {
            let expected: Timestamp = expected.parse().unwrap();
            assert_eq!(expiry(text, now).unwrap(), expected, "{text}");
        }
        for text in ["", "soon", "90", "-1d", "2027-02-30", "99999999999999999d"] {
            assert!(expiry(text, now).is_err(), "{text}");
        }
    }
}
