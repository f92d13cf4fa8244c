//! What can keep the server or a command from doing what it was asked, and what to do about it.

use std::net::SocketAddr;
use std::path::PathBuf;

use andiron_auth::AuthError;
use andiron_engine::EngineError;
use andiron_protocol::{InputError, Problem};
use andiron_store::StoreError;

use crate::config::ConfigError;

/// A failure of the server or of a command. The text says what happened and, where there is something, what to do.
#[derive(Debug, thiserror::Error)]
pub enum AndironError {
    /// The configuration cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The command was called in a way that has no meaning.
    #[error("{0}")]
    Usage(String),
    /// Something given to the command is not of the protocol.
    #[error(transparent)]
    Input(#[from] InputError),
    /// The server cannot listen.
    #[error("cannot listen on `{address}`: {source}; {}", listen_advice(source))]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// There is no data where there should be.
    #[error("there is no data in `{}`; is `--dir` the project folder? `andiron serve` or `andiron import` begins one", folder.display())]
    NoData {
        /// The data folder.
        folder: PathBuf,
    },
    /// The store cannot be opened or used.
    #[error("{source}{}", store_advice(source, folder))]
    Store {
        /// The data folder.
        folder: PathBuf,
        /// What the store said.
        source: StoreError,
    },
    /// Service keys.
    #[error(transparent)]
    Auth(#[from] AuthError),
    /// The engine.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// Another process has the folder open and does not answer.
    #[error(
        "the data folder `{}` is in use{}, but its server does not answer on the local socket; if it is just starting, try again, else use --url and --key",
        folder.display(), holder.map(|id| format!(" by process {id}")).unwrap_or_default()
    )]
    InUse {
        /// The data folder.
        folder: PathBuf,
        /// The process, if it said so.
        holder: Option<u32>,
    },
    /// Files cannot be kept where they are to be.
    #[error(
        "the files cannot be kept in `{store}`: {detail}; check `files.store` and `files.store_endpoint`, and that the \
         credentials in `files.store_key_id` and ANDIRON_FILES_STORE_SECRET may read, write, list and delete there"
    )]
    FilesStore {
        /// The store.
        store: String,
        /// What happened.
        detail: String,
    },
    /// A file or folder of the user's.
    #[error("{doing} `{}`: {source}", path.display())]
    File {
        /// What was tried, as in `reading`.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The server could not be asked.
    #[error("the server at {server} cannot be reached: {detail}")]
    Unreachable {
        /// Where it was looked for.
        server: String,
        /// What happened.
        detail: String,
    },
    /// The server refused.
    #[error("{} ({}){}", problem.detail, problem.code, problem.request_id.as_ref().map(|id| format!("; request {id}")).unwrap_or_default())]
    Refused {
        /// Its answer.
        problem: Box<Problem>,
    },
    /// The server answered something that is not of the protocol.
    #[error("the server at {server} gave an answer that is not Andiron's: {detail}")]
    Foreign {
        /// Where it was asked.
        server: String,
        /// What is strange.
        detail: String,
    },
    /// Anything else that the operating system refused.
    #[error("{doing}: {source}")]
    System {
        /// What was tried.
        doing: &'static str,
        /// What the system said.
        source: std::io::Error,
    },
    /// What was examined is not as it should be.
    #[error("{0}")]
    Failed(String),
    /// The work was done, but not all of it.
    #[error("{0}")]
    Incomplete(String),
    /// The store failed in a way after which nothing may be written; the process has to end.
    #[error("{0}; the server ends so that the data is read anew, start it again")]
    Fatal(String),
}

impl AndironError {
    /// The exit code of a command that ends so; `docs/operations.md` lists them.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Config(_) | Self::Usage(_) => 2,
            Self::Incomplete(_) => 3,
            // As `sysexits.h` has it for an error of input or output: a service manager may start again.
            Self::Fatal(_) => 74,
            _ => 1,
        }
    }

    /// For `map_err` on operations on one file.
    pub(crate) fn file(doing: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { doing, path, source }
    }
}

fn listen_advice(error: &std::io::Error) -> &'static str {
    match error.kind() {
        std::io::ErrorKind::AddrInUse => {
            "stop the program that has it, or choose another with --listen (port 0 takes a free one)"
        }
        std::io::ErrorKind::PermissionDenied => {
            "ports below 1024 need a privilege; choose another with --listen"
        }
        std::io::ErrorKind::AddrNotAvailable => {
            "this machine has no such address; --listen names one that it has"
        }
        _ => "--listen names another address",
    }
}

fn store_advice(error: &StoreError, folder: &std::path::Path) -> String {
    match error {
        StoreError::Full => format!(" (`{}`); free some space and try again", folder.display()),
        StoreError::ReadOnly => format!(
            " (`{}`); check its owner, its permissions and how the disk is mounted",
            folder.display()
        ),
        StoreError::Locked { .. } => "; stop that process first, or choose another --dir".to_owned(),
        StoreError::Corrupt { .. } => {
            format!(
                " (`{}`); keep a copy of the folder, then see docs/operations.md",
                folder.display()
            )
        }
        _ => String::new(),
    }
}
