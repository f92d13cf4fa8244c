//! `andiron admin`: accounts that administer, made and repaired by whoever owns the data folder or a service key.
//!
//! There is no default password: one is read from standard input, or made of randomness and printed once.

use std::io::{IsTerminal as _, Read as _};

use andiron_engine::Surroundings;
use bytes::Bytes;
use clap::{Subcommand, ValueEnum};
use http::Method;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use serde_json::json;

use crate::AndironError;
use crate::cli::connection::{ConnectionArguments, Expectation, Session};
use crate::cli::output;
use crate::client::Client;

const ACCOUNTS: &str = "/api/v1/admin/accounts";
/// Bytes of a password on standard input, at most; the server takes fewer.
const PASSWORD_BYTES_READ_MAX: u64 = 4096;
/// Characters of a password that is made here: 120 bits.
const PASSWORD_CHARS: usize = 24;
/// 32 characters that nobody takes for another.
const PASSWORD_ALPHABET: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";

#[derive(Debug, Subcommand)]
pub(crate) enum AdminAction {
    /// Make an account that administers; its password is printed, alone, on standard output
    Create {
        /// Its e-mail address
        email: String,
        /// What it may do
        #[arg(long, value_enum, default_value_t = Role::Owner)]
        role: Role,
        /// Read the password from standard input instead of making one
        #[arg(long)]
        password_stdin: bool,
        #[command(flatten)]
        connection: ConnectionArguments,
    },
    /// Give an account a new password, printed on standard output, and end all its sessions
    Reset {
        /// Its e-mail address
        email: String,
        /// Read the password from standard input instead of making one
        #[arg(long)]
        password_stdin: bool,
        #[command(flatten)]
        connection: ConnectionArguments,
    },
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Role {
    /// Everything
    Owner,
    /// Everything but keys, roles, claims and impersonation
    Editor,
    /// See everything, change nothing
    Viewer,
}

impl Role {
    fn as_str(self) -> &'static str {
        match self {
            Self::Owner => "owner",
            Self::Editor => "editor",
            Self::Viewer => "viewer",
        }
    }
}

#[derive(Deserialize)]
struct AccountAnswer {
    account: Account,
}

#[derive(Deserialize)]
struct Accounts {
    accounts: Vec<Account>,
}

#[derive(Deserialize)]
struct Account {
    uid: String,
    /// In the form that the server keeps.
    email: Option<String>,
}

pub(crate) async fn admin(action: AdminAction) -> Result<(), AndironError> {
    let (connection, expectation, from_stdin) = match &action {
        AdminAction::Create {
            connection,
            password_stdin,
            ..
        } => (connection, Expectation::MayBegin, *password_stdin),
        AdminAction::Reset {
            connection,
            password_stdin,
            ..
        } => (connection, Expectation::HasData, *password_stdin),
    };
    let password = if from_stdin {
        read_password()?
    } else {
        make_password()
    };
    let session = Session::open(&connection.target()?, expectation).await?;
    let done = perform(&action, &password, &mut session.client()).await;
    session.close().await;
    done?;
    if from_stdin {
        return Ok(());
    }
    output::print(&format!("{password}\n"))
}

async fn perform(action: &AdminAction, password: &str, client: &mut Client) -> Result<(), AndironError> {
    match action {
        AdminAction::Create { email, role, .. } => {
            let body = json!({
                "email": email,
                "emailVerified": true,
                "password": password,
                "roles": [role.as_str()],
            });
            let made: AccountAnswer = client
                .json(Method::POST, ACCOUNTS, Some(Bytes::from(body.to_string())))
                .await?;
            output::note(&format!(
                "made the {} `{}` ({})",
                role.as_str(),
                made.account.email.as_deref().unwrap_or(email),
                made.account.uid
            ));
        }
        AdminAction::Reset { email, .. } => {
            let path = format!(
                "{ACCOUNTS}?email={}",
                utf8_percent_encode(email, NON_ALPHANUMERIC)
            );
            let found: Accounts = client.json(Method::GET, &path, None).await?;
            let Some(account) = found.accounts.first() else {
                return Err(AndironError::Usage(format!(
                    "there is no account with the address `{email}`"
                )));
            };
            let body = json!({"password": password, "disabled": false});
            let path = format!(
                "{ACCOUNTS}/{}",
                utf8_percent_encode(&account.uid, NON_ALPHANUMERIC)
            );
            let _: AccountAnswer = client
                .json(Method::PATCH, &path, Some(Bytes::from(body.to_string())))
                .await?;
            output::note(&format!(
                "`{email}` ({}) has a new password and is signed out everywhere",
                account.uid
            ));
        }
    }
    Ok(())
}

fn read_password() -> Result<String, AndironError> {
    let mut input = std::io::stdin();
    if input.is_terminal() {
        output::note("the password, then Enter and Ctrl-D; it is shown as you type");
    }
    let mut password = String::new();
    input
        .by_ref()
        .take(PASSWORD_BYTES_READ_MAX)
        .read_to_string(&mut password)
        .map_err(|source| AndironError::System {
            doing: "reading the password from standard input",
            source,
        })?;
    Ok(password.trim_end_matches(['\r', '\n']).to_owned())
}

fn make_password() -> String {
    let mut random = [0; PASSWORD_CHARS];
    (Surroundings::system().random)(&mut random);
    // 256 is a multiple of 32, so every character is equally likely.
    random
        .iter()
        .map(|byte| char::from(PASSWORD_ALPHABET[usize::from(byte % 32)]))
        .collect()
}
