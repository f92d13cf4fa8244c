//! The servers under test: how each is started, given the documents, and asked.
//!
//! Invariant: a target differs from another in notation only. What is stored, what is asked and how often is
//! [`crate::dataset`] and [`crate::workload`]; [`first_lists`] is compared between targets before anything is measured.

mod andiron;
mod pocketbase;

use std::{
    ops::Range,
    path::{Path, PathBuf},
};

pub use self::{andiron::Andiron, pocketbase::PocketBase};
use crate::{
    BenchError, dataset,
    files::FileDialect,
    http::Client,
    live::LiveDialect,
    process::ServerProcess,
    workload::{Dialect, LIST_LIMIT},
};

/// The collection of the documents that are loaded.
pub(crate) const ITEMS: &str = "items";

/// The collection that is listened to.
pub(crate) const LIVE: &str = "live";

/// The collection that creates go to. Apart from the other, so that a list always chooses from 10,000.
pub(crate) const CREATED: &str = "created";

/// A kind of server.
pub trait Target {
    /// Its name in the report.
    fn name(&self) -> &str;

    /// Its executable.
    fn binary(&self) -> &Path;

    /// What it says its version is.
    ///
    /// # Errors
    /// The executable cannot be run.
    fn version(&self) -> Result<String, BenchError>;

    /// Starts it on a folder, which may be empty.
    ///
    /// # Errors
    /// It does not become ready.
    fn start(&self, folder: &Path) -> Result<ServerProcess, BenchError>;

    /// Makes an administrator on an empty folder, starts the server and makes its collections.
    ///
    /// # Errors
    /// Any step fails.
    fn open(&self, folder: &Path) -> Result<Session, BenchError>;

    /// Stores documents of the data set.
    ///
    /// # Errors
    /// One of them is refused.
    fn load(&self, session: &Session, numbers: Range<u32>) -> Result<(), BenchError>;

    /// Returns once the lists are served from an index.
    ///
    /// # Errors
    /// That does not happen.
    fn settle(&self, session: &Session) -> Result<(), BenchError>;

    /// The ids in the answer to a list.
    ///
    /// # Errors
    /// The body is no such answer.
    fn ids(&self, list: &[u8]) -> Result<Vec<String>, BenchError>;
}

/// A server that has been set up.
pub struct Session {
    /// The process.
    pub server: ServerProcess,
    /// How it is asked.
    pub dialect: Box<dyn Dialect>,
    /// How it is listened to, if it can be.
    pub live: Option<Box<dyn LiveDialect>>,
    /// How it is given files and asked for them, if it can be.
    pub files: Option<Box<dyn FileDialect>>,
    /// Where its data lies.
    pub folder: PathBuf,
}

/// The first list of each category, by ids: the proof that two servers do the same work.
///
/// # Errors
/// A list fails or is not full.
pub fn first_lists(target: &dyn Target, session: &Session) -> Result<Vec<Vec<String>>, BenchError> {
    let mut client = Client::connect(session.server.address())?;
    let ok = session.dialect.statuses().ok;
    (0..dataset::CATEGORIES)
        .map(|number| {
            let request = session.dialect.list(&dataset::category(number), LIST_LIMIT);
            let ids = target.ids(&client.expect("a list", ok, &request)?)?;
            if ids.len() != LIST_LIMIT as usize {
                let detail = format!("a list of {LIST_LIMIT} has {} documents", ids.len());
                return Err(BenchError::Server {
                    server: target.name().to_owned(),
                    detail,
                });
            }
            Ok(ids)
        })
        .collect()
}

/// Percent-encodes a query parameter's value.
pub(crate) fn encode(value: &str) -> String {
    use std::fmt::Write as _;
    value.bytes().fold(String::new(), |mut out, byte| {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(char::from(byte)),
            _ => write!(out, "%{byte:02X}").expect("writing to a string"),
        }
        out
    })
}
