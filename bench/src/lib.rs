//! The load generator and the comparison benchmarks of Andiron.
//!
//! One run starts the servers under test on fresh folders, gives each the same documents, drives each with the same
//! requests and prints what they cost. The generator is a closed loop on one thread: it shares the machine's cores with
//! the server, so it has to cost well less than the server does, and [`hello`] exists to show that.
//!
//! Reading order: [`dataset`] (what is stored), [`target`] (how each server is started and asked), [`http`] and
//! [`load`] (the generator), [`live`] (those who listen), [`files`] (bodies of any size), [`sign_ins`],
//! [`process`] and [`machine`] (what is read from the system), [`suite`] (the order of
//! things), [`report`] (the table and the JSON).
//!
//! Left out on purpose: TLS, compression and HTTP/2. They would be measured on both sides alike and hide what differs.

pub mod dataset;
pub mod files;
pub mod hello;
pub mod http;
pub mod live;
pub mod load;
pub mod machine;
pub mod process;
pub mod report;
pub mod sign_ins;
pub mod suite;
pub mod target;
pub mod workload;

/// Why a benchmark could not be run or was given up.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    /// The operating system refused something.
    #[error("{what}: {source}")]
    Io {
        /// What was attempted.
        what: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// Bytes that are no HTTP/1.1 answer, or one beyond what the generator reads.
    #[error("malformed answer: {0}")]
    Answer(&'static str),
    /// A server answered with another status than the operation has when it succeeds.
    #[error("{what}: expected status {expected}, got {status}: {body}")]
    Status {
        /// Which request.
        what: String,
        /// The status of success.
        expected: u16,
        /// The status that came.
        status: u16,
        /// The start of the answer's body.
        body: String,
    },
    /// A server did not do what the benchmark needs.
    #[error("{server}: {detail}")]
    Server {
        /// The server's name in the report.
        server: String,
        /// What happened.
        detail: String,
    },
    /// The command line asks for something that does not exist.
    #[error("{0}")]
    Usage(String),
}

/// Adds to an I/O error what was being done.
pub(crate) fn io(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> BenchError {
    let what = what.into();
    move |source| BenchError::Io { what, source }
}
