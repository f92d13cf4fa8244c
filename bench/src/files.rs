//! Files: what uploads, downloads and thumbnails cost, in what memory, beside PocketBase and, for large downloads, nginx.
//!
//! Small requests go through the generator of [`crate::load`]; those of a megabyte and more through `transfer`, which neither
//! keeps nor copies what it sends and gets. Every server is given the same bytes under the same names.
//!
//! Reading order: the scenarios below, `dialect` (how each server is asked), `picture` (what thumbnails are made of),
//! `transfer` (large bodies), `measure` (the order of things), `memory` (ten uploads at once), `nginx`.

mod dialect;
mod measure;
mod memory;
mod nginx;
mod picture;
mod transfer;

use std::fmt;

use serde::Serialize;

use crate::report::Sample;

pub use self::{
    dialect::{Envelope, FileDialect},
    measure::{FilesPlan, run},
    memory::TenUploads,
};

/// What is measured of files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum FileScenario {
    /// Files of 1 KB, up and down.
    Small,
    /// Files of 1 MB.
    Medium,
    /// Files of 100 MB.
    Large,
    /// A photo made 100 × 100: asked for the first time, and again.
    Thumbnails,
    /// Files of 1 KB into a bucket with a limit, whose figures every upload has to be compared with.
    Quota,
    /// Ten resumable uploads of 200 MB at once.
    TenUploads,
}

impl FileScenario {
    /// All, in the order of the report.
    pub const ALL: [Self; 6] = [
        Self::Small,
        Self::Medium,
        Self::Large,
        Self::Thumbnails,
        Self::Quota,
        Self::TenUploads,
    ];

    /// Its name on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Small => "files-1k",
            Self::Medium => "files-1m",
            Self::Large => "files-100m",
            Self::Thumbnails => "thumbnails",
            Self::Quota => "quota",
            Self::TenUploads => "ten-uploads",
        }
    }
}

/// What was found.
#[derive(Debug, Clone, Default, Serialize)]
pub struct FileReport {
    /// A measurement of one server each.
    pub cells: Vec<FileCell>,
    /// [`FileScenario::TenUploads`].
    pub ten_uploads: Vec<TenUploads>,
}

/// One operation on one server.
#[derive(Debug, Clone, Serialize)]
pub struct FileCell {
    /// What was asked.
    pub operation: String,
    /// Over how many connections.
    pub connections: usize,
    /// Of which server.
    pub server: String,
    /// The median of each figure.
    pub median: Sample,
    /// The rounds.
    pub rounds: Vec<Sample>,
}

impl fmt::Display for FileCell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let figures = &self.median;
        write!(
            f,
            "{:<18} {:>5}  {:<28} {:>9.1} {:>10.0} {:>10.0} {:>11.1} {:>9.1} {:>8.1}",
            self.operation,
            self.connections,
            self.server,
            figures.rate,
            figures.p50_us,
            figures.p99_us,
            figures.server_cpu_us,
            figures.generator_cpu_us,
            figures.memory.peak_kib as f64 * 1024.0 / 1e6,
        )
    }
}
