//! `andiron import`: records become documents.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::time::Instant;

use andiron_protocol::limits::COMMIT_WRITES_MAX;
use clap::Args;
use tokio::sync::mpsc;

use crate::AndironError;
use crate::cli::connection::{self, ConnectionArguments, Expectation, Session};
use crate::cli::output::{self, counted, grouped};
use crate::cli::progress::{Done, Progress};
use crate::import::{
    BATCH_BYTES_MAX, CsvOptions, Format, OnExisting, Plan, Reader, Record, Rejection, Source, Tally, Uploader,
};

/// Batches read ahead of the server.
const BATCHES_AHEAD: usize = 2;
/// Rejected records that are named on the screen.
const REJECTIONS_SHOWN_MAX: u64 = 1000;

#[derive(Debug, Args)]
#[command(after_help = "\
Without --id, ids are made of the file's contents and the record's place, so the same file always gives the same ids: \
run a broken import again and it goes on where it ended. Documents that are there with the same data count as done; \
those with other data are left alone and told, unless --replace is given.

Empty CSV cells are absent fields, `true` and `false` are booleans, what JSON would read as a number is one, and the \
rest is text.")]
pub(crate) struct ImportArguments {
    /// A file of JSON (an array of objects), NDJSON (an object a line) or CSV; `-` is standard input
    file: PathBuf,
    /// The collection that the records go to, as in `movies`; not for an export, whose documents know their paths
    #[arg(long, value_name = "PATH")]
    collection: Option<String>,
    #[command(flatten)]
    connection: ConnectionArguments,
    /// The form of the file, if it is not to be recognised
    #[arg(long)]
    format: Option<Format>,
    /// Take the id from this field, which holds a text or a whole number
    #[arg(long, value_name = "FIELD")]
    id: Option<String>,
    /// Replace documents that exist instead of leaving them alone
    #[arg(long)]
    replace: bool,
    /// Write every rejected record with its place and the reason to this file, one JSON object a line
    #[arg(long, value_name = "FILE")]
    rejects: Option<PathBuf>,
    /// Documents in one commit
    #[arg(long, value_name = "N", default_value_t = 500, value_parser = clap::value_parser!(u16).range(1..=COMMIT_WRITES_MAX as i64))]
    batch: u16,
    /// What separates the cells of CSV
    #[arg(long, value_name = "CHARACTER", default_value = ",")]
    delimiter: String,
    /// Take every CSV cell as text
    #[arg(long)]
    text: bool,
}

impl ImportArguments {
    fn plan(&self) -> Result<Plan, AndironError> {
        let collection = match &self.collection {
            Some(path) => Some(connection::collection("--collection", path)?),
            None => None,
        };
        let is_tsv = self
            .file
            .extension()
            .is_some_and(|extension| extension.eq_ignore_ascii_case("tsv"));
        let delimiter = match self.delimiter.as_bytes() {
            b"," if is_tsv => b'\t',
            b"\\t" => b'\t',
            [byte] if byte.is_ascii() && !b"\r\n\"".contains(byte) => *byte,
            _ => {
                return Err(AndironError::Usage(format!(
                    "--delimiter `{}`: one character such as `;` is expected, or `\\t`",
                    self.delimiter
                )));
            }
        };
        Ok(Plan {
            format: self.format,
            collection,
            id_field: self.id.clone(),
            csv: CsvOptions {
                delimiter,
                all_text: self.text,
            },
        })
    }
}

pub(crate) async fn import(arguments: ImportArguments) -> Result<(), AndironError> {
    let plan = arguments.plan()?;
    let target = arguments.connection.target()?;
    // Before the server is looked for: a wrong file name should not cost anything.
    let source = Source::open(&arguments.file, arguments.format)?;
    let progress = Progress::begin("importing", source.bytes, "record");
    let reader = Reader::new(source, plan)?;
    let makes_ids = reader.makes_ids();
    let mut rejects = Rejects::new(arguments.rejects.as_deref())?;
    let session = Session::open(&target, Expectation::MayBegin).await?;
    let on_existing = if arguments.replace {
        OnExisting::Replace
    } else {
        OnExisting::Reject
    };
    let mut uploader = Uploader::new(session.client(), on_existing);
    let began = Instant::now();
    let ended = transfer(
        reader,
        usize::from(arguments.batch),
        &mut uploader,
        &mut rejects,
        &progress,
    )
    .await;
    session.close().await;
    progress.end();
    let rejected = rejects.end()?;
    let summary = summary(uploader.tally(), rejected, began.elapsed().as_secs_f64());
    match ended {
        Ok(()) => {
            output::print(&format!("{summary}\n"))?;
            if rejected > 0 {
                // A file that was mended is another file, whose records get other ids.
                let advice = if makes_ids {
                    "; import them from a file of their own when they are mended (--rejects FILE writes one)"
                } else {
                    ""
                };
                return Err(AndironError::Incomplete(format!(
                    "{} rejected{advice}",
                    counted(rejected, "record")
                )));
            }
            Ok(())
        }
        Err(error) => {
            let advice = match &error {
                AndironError::Unreachable { .. } | AndironError::Refused { .. } => {
                    "; run the same command again to go on"
                }
                _ => "",
            };
            output::note(&format!("{summary}{advice}"));
            Err(error)
        }
    }
}

/// Reads on one thread and uploads on this task until the file or the patience ends.
async fn transfer(
    mut reader: Reader,
    batch_records: usize,
    uploader: &mut Uploader,
    rejects: &mut Rejects,
    progress: &Progress,
) -> Result<(), AndironError> {
    let consumed = reader.consumed();
    let (batches, mut next) = mpsc::channel::<Vec<Record>>(BATCHES_AHEAD);
    let reading = tokio::task::spawn_blocking(move || -> Result<(), AndironError> {
        loop {
            let (batch, end) = read_batch(&mut reader, batch_records);
            // Refused only if the uploader has given up, and says why itself.
            let is_taken = batch.is_empty() || batches.blocking_send(batch).is_ok();
            match end {
                Ok(true) if is_taken => {}
                Ok(_) => return Ok(()),
                Err(error) => return Err(error),
            }
        }
    });
    let mut records = 0;
    while let Some(batch) = next.recv().await {
        records += u64::try_from(batch.len()).unwrap_or_default();
        let mut documents = Vec::with_capacity(batch.len());
        let mut rejected = Vec::new();
        for record in batch {
            match record {
                Ok(document) => documents.push(document),
                Err(rejection) => rejected.push(rejection),
            }
        }
        rejected.extend(uploader.upload(documents).await?);
        rejected.sort_by_key(|rejection| rejection.place.number);
        for rejection in rejected {
            rejects.add(&rejection, progress)?;
        }
        progress.advance(Done {
            records,
            bytes: consumed.load(Ordering::Relaxed),
        });
    }
    reading.await.map_err(|error| AndironError::System {
        doing: "reading the file",
        source: std::io::Error::other(error),
    })?
}

/// Reads what one commit takes, and whether there may be more.
fn read_batch(reader: &mut Reader, batch_records: usize) -> (Vec<Record>, Result<bool, AndironError>) {
    let mut batch = Vec::new();
    let mut bytes = 0;
    while batch.len() < batch_records && bytes < BATCH_BYTES_MAX {
        match reader.next() {
            Ok(Some(record)) => {
                bytes += record.as_ref().map_or(0, |document| document.data.len());
                batch.push(record);
            }
            Ok(None) => return (batch, Ok(false)),
            Err(error) => return (batch, Err(error)),
        }
    }
    (batch, Ok(true))
}

fn summary(tally: Tally, rejected: u64, seconds: f64) -> String {
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a rate for people"
    )]
    let rate = (tally.written as f64 / seconds.max(0.001)) as u64;
    let mut text = format!(
        "{} imported in {seconds:.1} s ({}/s)",
        counted(tally.written, "document"),
        grouped(rate)
    );
    if tally.present > 0 {
        text.push_str(&format!(", {} there already", grouped(tally.present)));
    }
    if rejected > 0 {
        text.push_str(&format!(", {} rejected", grouped(rejected)));
    }
    text
}

/// Names rejected records: the first ones on the screen, all in a file if one is given.
struct Rejects {
    file: Option<(PathBuf, BufWriter<File>)>,
    count: u64,
}

impl Rejects {
    fn new(path: Option<&std::path::Path>) -> Result<Self, AndironError> {
        let file = match path {
            Some(path) => {
                let file = File::create(path).map_err(AndironError::file("writing", path))?;
                Some((path.to_owned(), BufWriter::new(file)))
            }
            None => None,
        };
        Ok(Self { file, count: 0 })
    }

    fn add(&mut self, rejection: &Rejection, progress: &Progress) -> Result<(), AndironError> {
        self.count += 1;
        let Rejection { place, reason, text } = rejection;
        if let Some((path, file)) = &mut self.file {
            let line = serde_json::json!({ "record": place.number, "line": place.line, "reason": reason, "text": text });
            writeln!(file, "{line}").map_err(AndironError::file("writing", path.clone()))?;
        }
        if self.count <= REJECTIONS_SHOWN_MAX {
            progress.say(&format!("rejected {place}: {reason}"));
        } else if self.count == REJECTIONS_SHOWN_MAX + 1 {
            progress.say("rejected: and more, which --rejects FILE would list");
        }
        Ok(())
    }

    fn end(mut self) -> Result<u64, AndironError> {
        if let Some((path, file)) = &mut self.file {
            file.flush()
                .map_err(AndironError::file("writing", path.clone()))?;
        }
        Ok(self.count)
    }
}
