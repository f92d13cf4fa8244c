//! `andiron serve`: the server as a process.

use std::fmt::Write as _;
use std::net::SocketAddr;

use andiron_auth::SecretText;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::cli::{ServeArguments, output};
use crate::project::Project;
use crate::rules_folder::Verdict;
use crate::server::{Reach, Server};
use crate::{AndironError, heap, log};

/// Open files and connections that the process asks the system for, if its hard limit allows.
const DESCRIPTORS_WANTED: u64 = 1 << 20;

pub(crate) fn serve(arguments: &ServeArguments) -> Result<(), AndironError> {
    let project = Project::open(&arguments.folder.dir, &arguments.flags()?)?;
    log::start(project.settings().log_format, project.settings().log_level);
    raise_descriptor_limit();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_name("andiron-worker")
        .build()
        .map_err(|source| AndironError::System {
            doing: "starting threads",
            source,
        })?;
    let ended = runtime.block_on(run(&project));
    // All that matters has ended in order; an examination that somebody asked for may be cut short.
    runtime.shutdown_background();
    ended
}

async fn run(project: &Project) -> Result<(), AndironError> {
    let mut signals = Signals::new()?;
    let mut server = Server::start(project, Reach::Network).await?;
    if let Some(address) = server.address() {
        warn_of_exposure(address);
        let (key, secret) = (server.take_first_key(), server.take_setup_secret());
        output::print(&greeting(address, &server, key.as_ref(), secret.as_ref()))?;
        tracing::info!(
            %address,
            data = %server.data_folder().display(),
            version = env!("CARGO_PKG_VERSION"),
            "listening"
        );
    }
    tokio::select! {
        failure = server.failed() => end_at_once(&failure),
        never = heap::give_back_what_is_free() => match never {},
        signal = signals.next() => tracing::info!(signal, "stopping; a second signal stops at once"),
    }
    tokio::select! {
        stopped = server.shutdown() => {
            if let Err(failure) = stopped {
                end_at_once(&failure);
            }
            tracing::info!("stopped");
        }
        signal = signals.next() => {
            tracing::warn!(signal, "stopped at once");
            // As the shell has it for an end by SIGTERM. What was answered is on disk; nothing else was promised.
            std::process::exit(143);
        }
    }
    Ok(())
}

/// Ends the process without closing anything: nothing may be written any more, not even what a tidy end would write.
fn end_at_once(failure: &AndironError) -> ! {
    output::complain(&failure.to_string());
    std::process::exit(i32::from(failure.exit_code()));
}

/// What a person who has just started the server wants to know.
fn greeting(
    address: SocketAddr,
    server: &Server,
    key: Option<&SecretText>,
    setup_secret: Option<&SecretText>,
) -> String {
    let mut text = format!("Andiron {} on http://{address}\n", env!("CARGO_PKG_VERSION"));
    let mut line = |name: &str, value: &str| {
        // Writing to a string does not fail.
        let _ = writeln!(text, "  {name:<8} {value}");
    };
    line("data", &server.data_folder().display().to_string());
    if let Some(verdict) = server.rules_verdict() {
        line("rules", &rules_line(verdict));
    }
    line("manual", &format!("http://{address}/api/v1/docs"));
    line("console", "missing: this build has none; the API has everything");
    if let Some(key) = key {
        line(
            "key",
            &format!(
                "{}  (a service key with all rights, shown only now)",
                key.expose()
            ),
        );
    }
    if let Some(secret) = setup_secret {
        line(
            "setup",
            &format!(
                "http://{address}/api/v1/auth/action#mode=setup&code={}  (makes the first administrator: once, within 30 minutes)",
                secret.expose()
            ),
        );
    }
    // Sets it off from the log on a terminal, and tells programs that this is all.
    text.push('\n');
    text
}

fn rules_line(verdict: &Verdict) -> String {
    match verdict {
        Verdict::InForce {
            revision,
            files,
            warnings,
        } => {
            let warnings = match warnings {
                0 => String::new(),
                1 => ", 1 warning".to_owned(),
                count => format!(", {count} warnings"),
            };
            format!("{} (revision {revision}{warnings})", files.join(", "))
        }
        Verdict::Refused { revision } => {
            let instead = match revision {
                Some(revision) => format!("revision {revision} is in force"),
                None => "everything is denied but to service keys".to_owned(),
            };
            format!("have errors, so {instead}; `andiron rules check` tells more")
        }
        Verdict::Missing => {
            "none, so everything is denied but to service keys; `andiron init` writes a file".to_owned()
        }
    }
}

/// Plain HTTP is for this machine; beyond it a proxy has to encrypt.
fn warn_of_exposure(address: SocketAddr) {
    if !address.ip().is_loopback() {
        tracing::warn!(
            %address,
            "this is plain HTTP and others than this machine can reach it: keys and data can be read on the way; \
             put a proxy that speaks HTTPS in front and listen on 127.0.0.1"
        );
    }
}

/// A connection is a descriptor, and the usual soft limit of 1,024 is not many.
fn raise_descriptor_limit() {
    let limit = getrlimit(Resource::Nofile);
    let wanted = limit
        .maximum
        .map_or(DESCRIPTORS_WANTED, |hard| hard.min(DESCRIPTORS_WANTED));
    if limit.current.is_none_or(|soft| soft >= wanted) {
        return;
    }
    let raised = Rlimit {
        current: Some(wanted),
        maximum: limit.maximum,
    };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::warn!(%error, "the limit of open files cannot be raised");
    }
}

/// The signals that end a server.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> Result<Self, AndironError> {
        let failure = |source| AndironError::System {
            doing: "waiting for signals",
            source,
        };
        Ok(Self {
            terminate: signal(SignalKind::terminate()).map_err(failure)?,
            interrupt: signal(SignalKind::interrupt()).map_err(failure)?,
        })
    }

    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}
