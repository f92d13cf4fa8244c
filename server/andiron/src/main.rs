//! The program `andiron`.

use std::process::ExitCode;

/// Faster than the system's under many threads: 5 to 10 % of the processor time of a request. Without huge pages, which
/// would keep 12 MB of an idle server's heap resident and showed no gain.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    andiron::cli::run(std::env::args_os())
}
