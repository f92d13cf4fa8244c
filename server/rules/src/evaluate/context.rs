//! What operations on values need besides the values: the name of the database, compiled patterns, and a meter of work.

use super::fault::Fault;
use super::pattern::Patterns;

/// Passed to everything that computes with values.
pub(crate) struct Context<'a> {
    /// The database that references of documents are about.
    pub(crate) database: &'a str,
    /// Regular expressions of the program, and those met so far.
    pub(crate) patterns: &'a Patterns,
    bytes_left: u64,
    bytes_max: u64,
}

impl<'a> Context<'a> {
    pub(crate) fn new(database: &'a str, patterns: &'a Patterns, bytes_max: u64) -> Self {
        Self {
            database,
            patterns,
            bytes_left: bytes_max,
            bytes_max,
        }
    }

    /// Counts bytes that are built, searched or compared. Those who go on after using up all of them are stopped by the
    /// next [`Context::check`].
    pub(crate) fn spend(&mut self, bytes: usize) {
        self.bytes_left = self.bytes_left.saturating_sub(bytes as u64);
    }

    /// Counts bytes, before so many are built.
    pub(crate) fn reserve(&mut self, bytes: usize) -> Result<(), Fault> {
        self.spend(bytes);
        self.check()
    }

    /// Whether there is room for more.
    pub(crate) fn check(&self) -> Result<(), Fault> {
        if self.bytes_left == 0 {
            return Err(Fault::ValueBytesMax(self.bytes_max));
        }
        Ok(())
    }
}
