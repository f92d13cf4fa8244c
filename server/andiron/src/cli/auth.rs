//! `andiron auth`: what looks after accounts as a whole.

use andiron_protocol::Timestamp;
use bytes::Bytes;
use clap::Subcommand;
use http::Method;
use serde::Deserialize;

use crate::AndironError;
use crate::cli::connection::{ConnectionArguments, Expectation, Session};
use crate::cli::output;

const SIGNING_KEYS: &str = "/api/v1/admin/signing-keys";

#[derive(Debug, Subcommand)]
pub(crate) enum AuthAction {
    /// Sign access tokens with a new key from now on, and print its id; the one before verifies for another day
    RotateKeys {
        #[command(flatten)]
        connection: ConnectionArguments,
    },
}

#[derive(Deserialize)]
struct SigningKeys {
    /// The newest first.
    keys: Vec<SigningKey>,
}

#[derive(Deserialize)]
struct SigningKey {
    kid: String,
    until: Option<Timestamp>,
}

pub(crate) async fn auth(action: AuthAction) -> Result<(), AndironError> {
    let AuthAction::RotateKeys { connection } = action;
    let session = Session::open(&connection.target()?, Expectation::HasData).await?;
    let body = Bytes::from_static(b"{}");
    let rotated = session
        .client()
        .json::<SigningKeys>(Method::POST, SIGNING_KEYS, Some(body))
        .await;
    session.close().await;
    let SigningKeys { keys } = rotated?;
    for key in &keys {
        if let Some(until) = key.until {
            output::note(&format!("{} verifies until {until}", key.kid));
        }
    }
    let current = keys.iter().find(|key| key.until.is_none());
    output::print(&current.map_or_else(String::new, |key| format!("{}\n", key.kid)))
}
