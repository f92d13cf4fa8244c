//! The command line: what can be said, and who does it.

mod admin;
mod auth;
mod backup;
mod config;
mod connection;
mod doctor;
mod export;
mod import;
mod init;
mod key;
mod mail;
mod output;
mod progress;
mod rules;
mod serve;
mod types;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, CommandFactory as _, Parser, Subcommand};

use crate::AndironError;
use crate::config::FlagValue;

const AFTER_HELP: &str = "\
Settings come from flags, then ANDIRON_* variables, then andiron.toml in the project folder, then defaults; `andiron \
config show` tells which holds and why.

Exit codes: 0 done, 1 failed, 2 wrong usage or configuration, 3 done in part (rejected records, problems found), 74 the \
disk failed and the server must be started again.";

/// A self-hosted backend in one program: documents, queries and atomic commits over HTTP.
#[derive(Debug, Parser)]
#[command(name = "andiron", version, after_help = AFTER_HELP, max_term_width = 100)]
struct CommandLine {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the server on a project folder
    Serve(ServeArguments),
    /// Prepare a new project folder: a commented andiron.toml, a rules file, a .gitignore
    Init {
        /// The folder, made if it does not exist; nothing in it is overwritten
        #[arg(default_value = ".")]
        dir: PathBuf,
    },
    /// Bring records into a collection, or documents back from an export
    Import(import::ImportArguments),
    /// Write documents to standard output, one a line
    Export(export::ExportArguments),
    /// Copy everything as it is at one moment, while the server runs
    Backup(backup::BackupArguments),
    /// Bring back what a backup has, into a project without data
    Restore(backup::RestoreArguments),
    /// Make, list and revoke service keys
    Key {
        #[command(subcommand)]
        action: key::KeyAction,
    },
    /// Make an administrator's account, or let one in again that is locked out
    Admin {
        #[command(subcommand)]
        action: admin::AdminAction,
    },
    /// Look after what signs access tokens
    Auth {
        #[command(subcommand)]
        action: auth::AuthAction,
    },
    /// Try whether mails go out
    Mail {
        #[command(subcommand)]
        action: mail::MailAction,
    },
    /// Examine a project folder and its data
    Doctor {
        #[command(flatten)]
        folder: FolderArguments,
    },
    /// Check, format, test and explain rules files
    Rules {
        #[command(subcommand)]
        action: rules::RulesAction,
    },
    /// Print the types that rules declare, for clients
    Types(types::TypesArguments),
    /// Show the configuration
    Config {
        #[command(subcommand)]
        action: config::ConfigAction,
    },
    /// Print the version
    Version,
    /// Print a completion script for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

/// A project folder.
#[derive(Clone, Debug, Args)]
struct FolderArguments {
    /// The project folder
    #[arg(
        long,
        value_name = "DIR",
        default_value = ".",
        env = "ANDIRON_DIR",
        hide_env_values = true
    )]
    dir: PathBuf,
}

/// A project folder with flags over its settings.
#[derive(Clone, Debug, Args)]
struct ServeArguments {
    #[command(flatten)]
    folder: FolderArguments,
    /// Listen on this address and port; port 0 takes a free one [default: 127.0.0.1:8750]
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<String>,
    /// When a write is answered: `full`, when the disk has it, or `relaxed` [default: full]
    #[arg(long, value_name = "MODE")]
    durability: Option<String>,
    /// Where the data lies [default: andiron-data in the project folder]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<String>,
    /// How log lines are written: `auto`, `text` or `json` [default: auto]
    #[arg(long, value_name = "FORMAT")]
    log_format: Option<String>,
    /// The least important log lines: `error`, `warn`, `info`, `debug` or `trace` [default: info]
    #[arg(long, value_name = "LEVEL")]
    log_level: Option<String>,
    /// For development: mails stay in memory and are logged, denials are explained to everybody
    #[arg(long)]
    dev: bool,
    /// Any setting of andiron.toml, as in `--set history.age=30d`; may be given several times
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
}

impl ServeArguments {
    /// The flags as values of settings.
    fn flags(&self) -> Result<Vec<FlagValue>, AndironError> {
        let named = [
            ("--listen", "listen", &self.listen),
            ("--durability", "durability", &self.durability),
            ("--data-dir", "data_dir", &self.data_dir),
            ("--log-format", "log.format", &self.log_format),
            ("--log-level", "log.level", &self.log_level),
        ];
        let named = named.into_iter().filter_map(|(flag, key, value)| {
            value.as_ref().map(|value| FlagValue {
                flag,
                key: key.to_owned(),
                value: value.clone(),
            })
        });
        let mut flags = Vec::new();
        for assignment in &self.set {
            let (key, value) = assignment.split_once('=').ok_or_else(|| {
                AndironError::Usage(format!(
                    "--set `{assignment}`: KEY=VALUE is expected, as in `--set history.age=30d`"
                ))
            })?;
            flags.push(FlagValue {
                flag: "--set",
                key: key.trim().to_owned(),
                value: value.trim().to_owned(),
            });
        }
        if self.dev {
            flags.push(FlagValue {
                flag: "--dev",
                key: "dev".to_owned(),
                value: "true".to_owned(),
            });
        }
        // A flag of its own says it more plainly than `--set`, so it wins.
        flags.extend(named);
        Ok(flags)
    }
}

/// Does what the arguments ask for and says how it ended.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let command_line = match CommandLine::try_parse_from(arguments) {
        Ok(command_line) => command_line,
        Err(error) => {
            // Help and version come here too, on standard output and with code 0.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    match perform(command_line.command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            output::complain(&error.to_string());
            ExitCode::from(error.exit_code())
        }
    }
}

fn perform(command: Command) -> Result<(), AndironError> {
    match command {
        Command::Serve(arguments) => serve::serve(&arguments),
        Command::Init { dir } => init::init(&dir),
        Command::Import(arguments) => on_runtime(import::import(arguments)),
        Command::Export(arguments) => on_runtime(export::export(arguments)),
        Command::Backup(arguments) => on_runtime(backup::backup(arguments)),
        Command::Restore(arguments) => on_runtime(backup::restore(arguments)),
        Command::Key { action } => on_runtime(key::key(action)),
        Command::Admin { action } => on_runtime(admin::admin(action)),
        Command::Auth { action } => on_runtime(auth::auth(action)),
        Command::Mail { action } => on_runtime(mail::mail(action)),
        Command::Doctor { folder } => on_runtime(doctor::doctor(folder)),
        Command::Rules { action } => rules::rules(action),
        Command::Types(arguments) => types::types(&arguments),
        Command::Config { action } => config::config(&action),
        Command::Version => output::print(&format!("andiron {}\n", env!("CARGO_PKG_VERSION"))),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut CommandLine::command(), "andiron", &mut script);
            output::print(&String::from_utf8_lossy(&script))
        }
    }
}

/// Runs a command that asks a server.
fn on_runtime(command: impl Future<Output = Result<(), AndironError>>) -> Result<(), AndironError> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|source| AndironError::System {
            doing: "starting threads",
            source,
        })?;
    let ended = runtime.block_on(command);
    // A thread may still be waiting for standard input, which nobody needs any more.
    runtime.shutdown_background();
    ended
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        CommandLine::command().debug_assert();
    }
}
