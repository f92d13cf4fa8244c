//! `andiron export`: whole documents, one a line, as the server has them.
//!
//! Each collection is one streamed query, so it is exactly as it was at one version; the collections follow one another,
//! so what is written meanwhile may be in a later one and not in an earlier. The lines are passed through unread.

use std::io::{BufWriter, Write as _};
use std::time::Instant;

use andiron_protocol::CollectionPath;
use bytes::Bytes;
use clap::Args;
use http::Method;
use http_body_util::BodyExt as _;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;

use crate::AndironError;
use crate::cli::connection::{self, ConnectionArguments, Expectation, Session};
use crate::cli::output::{counted, note, output_error};
use crate::cli::progress::{Done, Progress};
use crate::client::Client;

#[derive(Debug, Args)]
#[command(after_help = "\
Each line is a document with its path, its times and its version: `andiron import FILE` without --collection brings \
them all back, with new times and versions.")]
pub(crate) struct ExportArguments {
    /// Only this collection and those under its documents; without it everything
    collection: Option<String>,
    #[command(flatten)]
    connection: ConnectionArguments,
}

pub(crate) async fn export(arguments: ExportArguments) -> Result<(), AndironError> {
    let only = match &arguments.collection {
        Some(path) => Some(connection::collection("COLLECTION", path)?),
        None => None,
    };
    let session = Session::open(&arguments.connection.target()?, Expectation::HasData).await?;
    let progress = Progress::begin("exporting", None, "document");
    let began = Instant::now();
    let exported = write_all(&mut session.client(), only.as_ref(), &progress).await;
    session.close().await;
    progress.end();
    let (documents, collections) = exported?;
    note(&format!(
        "{} of {} exported in {:.1} s",
        counted(documents, "document"),
        counted(collections, "collection"),
        began.elapsed().as_secs_f64()
    ));
    if let (0, Some(only)) = (documents, &only) {
        note(&format!("there is no document in `{only}` or under it"));
    }
    Ok(())
}

/// Writes every document that is asked for to standard output; gives how many, of how many collections.
async fn write_all(
    client: &mut Client,
    only: Option<&CollectionPath>,
    progress: &Progress,
) -> Result<(u64, u64), AndironError> {
    // Not the handle that flushes at every line end.
    let mut output = BufWriter::with_capacity(256 * 1024, std::io::stdout());
    let mut done = Done { records: 0, bytes: 0 };
    let mut collections = 0;
    let mut after = None;
    loop {
        let page = collections_after(client, after.as_deref()).await?;
        for collection in &page.collections {
            if only.is_none_or(|only| is_within(collection, only)) {
                collections += 1;
                write_collection(client, collection, &mut output, &mut done, progress).await?;
            }
        }
        match page.cursor {
            Some(cursor) => after = Some(cursor),
            None => break,
        }
    }
    output.flush().map_err(output_error)?;
    Ok((done.records, collections))
}

async fn write_collection(
    client: &mut Client,
    collection: &CollectionPath,
    output: &mut impl std::io::Write,
    done: &mut Done,
    progress: &Progress,
) -> Result<(), AndironError> {
    let query = serde_json::json!({ "from": collection });
    let mut body = client
        .lines("/api/v1/query", Bytes::from(query.to_string()))
        .await?;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| client.broken_off(&error))?;
        let Ok(chunk) = frame.into_data() else {
            continue;
        };
        output.write_all(&chunk).map_err(output_error)?;
        let lines = chunk.iter().filter(|byte| **byte == b'\n').count();
        done.records += u64::try_from(lines).unwrap_or_default();
        done.bytes += u64::try_from(chunk.len()).unwrap_or_default();
        progress.advance(*done);
    }
    Ok(())
}

/// Collections in the order of their paths.
#[derive(Deserialize)]
struct CollectionPage {
    collections: Vec<CollectionPath>,
    cursor: Option<String>,
}

async fn collections_after(
    client: &mut Client,
    cursor: Option<&str>,
) -> Result<CollectionPage, AndironError> {
    let cursor = cursor.map(|cursor| format!("&cursor={}", utf8_percent_encode(cursor, NON_ALPHANUMERIC)));
    let path = format!("/api/v1/collections?all=true{}", cursor.unwrap_or_default());
    client.json(Method::GET, &path, None).await
}

/// Whether a collection is `parent` or stands under one of its documents.
fn is_within(collection: &CollectionPath, parent: &CollectionPath) -> bool {
    collection
        .as_str()
        .strip_prefix(parent.as_str())
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}
