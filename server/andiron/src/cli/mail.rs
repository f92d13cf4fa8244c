//! `andiron mail`: whether mails go out.

use bytes::Bytes;
use clap::Subcommand;
use http::Method;
use serde::Deserialize;

use crate::AndironError;
use crate::cli::connection::{ConnectionArguments, Expectation, Session};
use crate::cli::output;

const TEST_MAIL: &str = "/api/v1/admin/test-mail";

#[derive(Debug, Subcommand)]
pub(crate) enum MailAction {
    /// Send a mail by the configured server and print what that said
    Test {
        /// To whom
        address: String,
        #[command(flatten)]
        connection: ConnectionArguments,
    },
}

#[derive(Deserialize)]
struct Sent {
    said: String,
}

pub(crate) async fn mail(action: MailAction) -> Result<(), AndironError> {
    let MailAction::Test { address, connection } = action;
    let session = Session::open(&connection.target()?, Expectation::MayBegin).await?;
    let body = Bytes::from(serde_json::json!({ "email": address }).to_string());
    let sent = session
        .client()
        .json::<Sent>(Method::POST, TEST_MAIL, Some(body))
        .await;
    session.close().await;
    output::print(&format!("{}\n", sent?.said))
}
