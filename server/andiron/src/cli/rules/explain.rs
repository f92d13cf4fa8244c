//! `andiron rules explain`.

use std::io::Read as _;
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use andiron_protocol::Timestamp;
use andiron_rules::Severity;
use andiron_rules::explain::{Explanations, explain_all, explanation_text};
use andiron_rules::testing::Subject;
use bytes::Bytes;
use clap::Args;
use http::Method;

use super::files::{load_rules, project_rules};
use super::outcome::{limits, rendered};
use crate::cli::connection::{ConnectionArguments, Expectation, Session, Target};
use crate::cli::output;
use crate::project::Project;
use crate::{AndironError, local};

/// The path of explanations.
const EXPLAIN: &str = "/api/v1/admin/rules/explain";

/// Bytes that requests may have.
const REQUEST_BYTES_MAX: u64 = 64 << 20;

#[derive(Debug, Args)]
pub(crate) struct ExplainArguments {
    /// Explain by this rules file instead of asking a server; may be given several times
    #[arg(long, value_name = "FILE", conflicts_with = "url")]
    rules: Vec<PathBuf>,
    /// The request as JSON, or an array of requests; `-` is standard input
    #[arg(long, value_name = "FILE")]
    request: PathBuf,
    #[command(flatten)]
    connection: ConnectionArguments,
    /// Judge by the limits of Firebase's hosted service; with --rules
    #[arg(long)]
    firebase_limits: bool,
    /// Print JSON instead of text
    #[arg(long)]
    json: bool,
}

pub(super) async fn explain(arguments: ExplainArguments) -> Result<(), AndironError> {
    let request = read_request(&arguments.request)?;
    let explanations = if arguments.rules.is_empty() {
        match arguments.connection.target()? {
            Target::Folder(project) if local::connect(&project.socket()).await.is_err() => {
                output::note(
                    "no server runs on this folder; explained by its rules files, with no documents but those of the request",
                );
                let files = project_rules(project.folder())?;
                by_files(&project, &files, &request, arguments.firebase_limits)?
            }
            target => {
                let session = Session::open(&target, Expectation::HasData).await?;
                let answer = session
                    .client()
                    .json::<Explanations>(Method::POST, EXPLAIN, Some(Bytes::from(request)))
                    .await;
                session.close().await;
                answer?
            }
        }
    } else {
        let folder = PathBuf::from(".");
        let project = Project::open(&folder, &[])?;
        by_files(&project, &arguments.rules, &request, arguments.firebase_limits)?
    };
    if arguments.json {
        let json = serde_json::to_string(&explanations).map_err(|error| AndironError::System {
            doing: "writing JSON",
            source: error.into(),
        })?;
        return output::print(&format!("{json}\n"));
    }
    let texts: Vec<_> = explanations.iter().map(explanation_text).collect();
    output::print(&texts.join("\n----\n\n"))
}

fn by_files(
    project: &Project,
    files: &[PathBuf],
    request: &[u8],
    firebase_limits: bool,
) -> Result<Explanations, AndironError> {
    let program = load_rules(project.folder(), files)?;
    let subject = Subject::new(program, limits(firebase_limits));
    if subject.has_errors() {
        let errors = subject
            .diagnostics()
            .filter(|diagnostic| diagnostic.severity == Severity::Error);
        output::note(&rendered(errors, subject.program().sources()));
        return Err(AndironError::Usage(
            "the rules have errors, so they decide nothing".to_owned(),
        ));
    }
    explain_all(subject.ruleset(), subject.program(), request, now(), &mut |_| {
        None
    })
    .map_err(|error| {
        let place = match error.position {
            Some((line, column)) => format!("{line}:{column}: "),
            None => String::new(),
        };
        AndironError::Usage(format!("the request: {place}{}", error.detail))
    })
}

fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_micros_clamped(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}

fn read_request(file: &std::path::Path) -> Result<Vec<u8>, AndironError> {
    let mut bytes = Vec::new();
    let read = |reader: &mut dyn std::io::Read, bytes: &mut Vec<u8>| {
        reader.take(REQUEST_BYTES_MAX + 1).read_to_end(bytes)
    };
    if file.as_os_str() == "-" {
        read(&mut std::io::stdin(), &mut bytes).map_err(|source| AndironError::System {
            doing: "reading standard input",
            source,
        })?;
    } else {
        let mut opened = std::fs::File::open(file).map_err(AndironError::file("reading", file))?;
        read(&mut opened, &mut bytes).map_err(AndironError::file("reading", file))?;
    }
    if bytes.len() as u64 > REQUEST_BYTES_MAX {
        return Err(AndironError::Usage(format!(
            "the request has more than {REQUEST_BYTES_MAX} bytes"
        )));
    }
    Ok(bytes)
}
