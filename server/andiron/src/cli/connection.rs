//! From `--dir` or `--url` to a server that can be asked.
//!
//! A folder whose server is running is reached through that server's local socket. Else the command opens the folder
//! itself, as a server that only its owner can reach, so that there is one way of asking.

use std::path::{Path, PathBuf};
use std::time::Duration;

use andiron_auth::SecretText;
use andiron_protocol::{CollectionPath, InputError};
use andiron_store::StoreError;
use clap::Args;

use crate::cli::output;
use crate::client::{Client, ServerAddress};
use crate::config::{LogFormat, LogLevel};
use crate::project::Project;
use crate::server::{Reach, Server};
use crate::{AndironError, local, log};

/// How long a server that holds the folder has to open its local socket: it may be just starting.
const SOCKET_WAIT_MAX: Duration = Duration::from_secs(5);
/// How often is looked.
const SOCKET_POLL: Duration = Duration::from_millis(25);

/// Where the server is that a command asks.
#[derive(Clone, Debug, Args)]
pub(crate) struct ConnectionArguments {
    /// The project folder; if its server is running, the command goes through it [default: .]
    #[arg(
        long,
        value_name = "DIR",
        env = "ANDIRON_DIR",
        hide_env_values = true,
        conflicts_with = "url"
    )]
    dir: Option<PathBuf>,
    /// A server by its URL, as in `https://example.org`; needs --key
    #[arg(long, value_name = "URL", env = "ANDIRON_URL", hide_env_values = true)]
    url: Option<String>,
    /// The service key for --url; better in ANDIRON_KEY, since other users can see the arguments of a process
    #[arg(long, value_name = "KEY", env = "ANDIRON_KEY", hide_env_values = true)]
    key: Option<String>,
}

/// What a command may find where it looks for data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Expectation {
    /// It writes, and begins a store if there is none.
    MayBegin,
    /// It reads, and a folder without data is a mistake.
    HasData,
}

/// The collection that an argument names.
pub(crate) fn collection(argument: &str, path: &str) -> Result<CollectionPath, AndironError> {
    let usage = |detail: &str| AndironError::Usage(format!("{argument}: {detail}"));
    let collection: CollectionPath = path.parse().map_err(|error: InputError| usage(&error.detail))?;
    if collection.is_system() {
        return Err(usage(&format!(
            "`{collection}`: collections whose names begin with `_` are the system's own"
        )));
    }
    Ok(collection)
}

/// A server to ask, and to close if it is our own.
pub(crate) struct Session {
    address: ServerAddress,
    own: Option<Server>,
}

/// What the arguments of a command name.
pub(crate) enum Target {
    /// A server by its URL.
    Url(ServerAddress),
    /// A project folder.
    Folder(Box<Project>),
}

impl ConnectionArguments {
    /// Says what is named, without looking whether it is there.
    pub(crate) fn target(&self) -> Result<Target, AndironError> {
        match (&self.url, &self.key) {
            (Some(url), Some(key)) => {
                let address = ServerAddress::url(url, &SecretText::new(key.clone()))?;
                if address.is_exposed() {
                    output::note(&format!(
                        "warning: `{url}` is not encrypted; whoever is on the way can read the key and the data"
                    ));
                }
                Ok(Target::Url(address))
            }
            (Some(_), None) => Err(AndironError::Usage(
                "--url needs a service key: --key or ANDIRON_KEY".to_owned(),
            )),
            (None, _) => {
                let folder = self.dir.as_deref().unwrap_or(Path::new("."));
                Ok(Target::Folder(Box::new(Project::open(folder, &[])?)))
            }
        }
    }
}

impl Session {
    /// Finds or opens what a command names.
    pub(crate) async fn open(target: &Target, expectation: Expectation) -> Result<Self, AndironError> {
        match target {
            Target::Url(address) => Ok(Self {
                address: address.clone(),
                own: None,
            }),
            Target::Folder(project) => Self::open_folder(project, expectation).await,
        }
    }

    /// Finds the server of a folder, or opens the folder.
    pub(crate) async fn open_folder(
        project: &Project,
        expectation: Expectation,
    ) -> Result<Self, AndironError> {
        let socket = project.socket();
        if local::connect(&socket).await.is_ok() {
            return Ok(Self {
                address: ServerAddress::socket(&socket),
                own: None,
            });
        }
        if expectation == Expectation::HasData && !project.has_data() {
            return Err(AndironError::NoData {
                folder: project.data_folder(),
            });
        }
        // The command speaks for itself, to a person; of what happens inside only what is wrong belongs on the screen.
        let settings = project.settings();
        let format = match settings.log_format {
            LogFormat::Json => LogFormat::Json,
            LogFormat::Auto | LogFormat::Text => LogFormat::Text,
        };
        log::start(format, settings.log_level.min(LogLevel::Warn));
        match Server::start(project, Reach::Owner).await {
            Ok(server) => Ok(Self {
                address: ServerAddress::socket(server.socket().unwrap_or(&socket)),
                own: Some(server),
            }),
            Err(AndironError::Store {
                source: StoreError::Locked { holder, .. },
                folder,
            }) => {
                let begun = tokio::time::Instant::now();
                while begun.elapsed() < SOCKET_WAIT_MAX {
                    if local::connect(&socket).await.is_ok() {
                        return Ok(Self {
                            address: ServerAddress::socket(&socket),
                            own: None,
                        });
                    }
                    tokio::time::sleep(SOCKET_POLL).await;
                }
                Err(AndironError::InUse { folder, holder })
            }
            Err(error) => Err(error),
        }
    }

    /// A new client of the server.
    pub(crate) fn client(&self) -> Client {
        Client::new(self.address.clone())
    }

    /// Whether the server is one that was running already.
    pub(crate) fn is_elsewhere(&self) -> bool {
        self.own.is_none()
    }

    /// Ends what was begun for this command alone.
    pub(crate) async fn close(self) {
        if let Some(server) = self.own
            && let Err(error) = server.shutdown().await
        {
            // What the command itself met is what it ends with; this is why.
            output::complain(&error.to_string());
        }
    }
}
