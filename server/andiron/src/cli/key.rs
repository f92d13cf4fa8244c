//! `andiron key`: service keys.

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

/// The path of the keys.
const KEYS: &str = "/api/v1/admin/keys";

#[derive(Debug, Subcommand)]
pub(crate) enum KeyAction {
    /// Make a key and print it, alone, on standard output; it cannot be shown again
    Create {
        /// A name to know it by: letters, digits, `.`, `_` and `-`
        name: String,
        #[command(flatten)]
        connection: ConnectionArguments,
    },
    /// List the keys: name, id, when made
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
        KeyAction::Create { name, .. } => {
            let body = Bytes::from(serde_json::json!({ "name": name }).to_string());
            let created: KeyEntry = client.json(Method::POST, KEYS, Some(body)).await?;
            Ok(format!("{}\n", created.key.unwrap_or_default()))
        }
        KeyAction::List { .. } => {
            let KeyList { keys } = client.json(Method::GET, KEYS, None).await?;
            if keys.is_empty() {
                output::note("there are no keys; `andiron key create NAME` makes one");
            }
            let name_chars = keys.iter().map(|key| key.name.len()).max().unwrap_or_default();
            let lines = keys
                .iter()
                .map(|key| format!("{:name_chars$}  {}  {}\n", key.name, key.id, key.create_time));
            Ok(lines.collect())
        }
        KeyAction::Revoke { name, .. } => {
            let path = format!("{KEYS}/{}", utf8_percent_encode(name, NON_ALPHANUMERIC));
            let revoked: KeyEntry = client.json(Method::DELETE, &path, None).await?;
            output::note(&format!("revoked `{}` ({})", revoked.name, revoked.id));
            Ok(String::new())
        }
    }
}
