//! Ten resumable uploads of 200 MB at once: what they take of memory.

use std::{fmt, thread, time::Instant};

use serde::Serialize;

use super::{
    FileDialect,
    transfer::{Connection, Request},
};
use crate::{
    BenchError,
    process::{Memory, ServerProcess},
};

/// Uploads at once.
const UPLOADS: usize = 10;
/// Bytes of each.
const UPLOAD_BYTES: usize = 200 << 20;
/// Bytes that each consists of, over and over.
const PIECE_BYTES: usize = 1 << 20;

/// What ten uploads at once took.
#[derive(Debug, Clone, Serialize)]
pub struct TenUploads {
    /// Of which server.
    pub server: String,
    /// Uploads at once.
    pub uploads: usize,
    /// Bytes of each.
    pub upload_bytes: usize,
    /// Seconds until all were answered.
    pub seconds: f64,
    /// Memory before them.
    pub before: Memory,
    /// Memory when all were answered; the peak is that since their beginning.
    pub memory: Memory,
}

impl fmt::Display for TenUploads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let megabytes = |kib: u64| kib as f64 * 1024.0 / 1e6;
        write!(
            f,
            "{}: {} resumable uploads of {} MiB at once in {:.1} s; memory {:.1} MB before, {:.1} MB at its peak, {:.1} MB after",
            self.server,
            self.uploads,
            self.upload_bytes >> 20,
            self.seconds,
            megabytes(self.before.resident_kib),
            megabytes(self.memory.peak_kib),
            megabytes(self.memory.resident_kib),
        )
    }
}

/// Measures it on a server that has resumable uploads.
pub(super) fn ten_uploads(
    name: &str,
    process: &ServerProcess,
    dialect: &dyn FileDialect,
) -> Result<Option<TenUploads>, BenchError> {
    let mut uploads = Vec::new();
    let mut connection = Connection::open(process.address())?;
    for number in 0..UPLOADS {
        let begin = dialect.begin_resumable(&format!("resumable-{number}"), UPLOAD_BYTES);
        let Some(envelope) = begin else { return Ok(None) };
        let answer = connection.ask(&Request { envelope, body: &[] })?;
        uploads.extend(dialect.proceed(&location(&answer)?, UPLOAD_BYTES));
    }
    let piece = super::measure::bytes(PIECE_BYTES);
    let before = process.memory()?;
    process.reset_peak()?;
    let begun = Instant::now();
    thread::scope(|scope| {
        let threads: Vec<_> = uploads
            .iter()
            .map(|envelope| {
                scope.spawn(|| {
                    Connection::open(process.address())?.upload_over_and_over(
                        envelope,
                        &piece,
                        UPLOAD_BYTES / PIECE_BYTES,
                    )
                })
            })
            .collect();
        threads
            .into_iter()
            .try_for_each(|thread| thread.join().expect("an upload's thread does not panic"))
    })?;
    Ok(Some(TenUploads {
        server: name.to_owned(),
        uploads: UPLOADS,
        upload_bytes: UPLOAD_BYTES,
        seconds: begun.elapsed().as_secs_f64(),
        before,
        memory: process.memory()?,
    }))
}

/// The path that an answer says the upload is at.
fn location(answer: &[u8]) -> Result<String, BenchError> {
    let answer = String::from_utf8_lossy(answer);
    let location = answer.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("location")
            .then(|| value.trim().to_owned())
    });
    location.ok_or(BenchError::Answer("an upload that is nowhere"))
}
