//! The program as its users have it: every test starts the real binary.

#![expect(clippy::unwrap_used, reason = "tests, helpers included, may panic")]

#[cfg(target_os = "linux")]
mod accounts;
mod admin;
mod backup;
mod commands;
mod crash;
mod crash_files;
mod crash_files_all;
mod files_disk;
#[cfg(target_os = "linux")]
mod files_images;
#[cfg(feature = "foreign-clients")]
mod files_store;
#[cfg(target_os = "linux")]
mod image_bombs;
mod live;
#[cfg(feature = "foreign-clients")]
mod live_clients;
mod live_soak;
mod looking_after;
mod remote;
mod rules_commands;
mod serve;
mod transfer;
#[cfg(feature = "foreign-clients")]
mod uploads_store;
#[cfg(feature = "foreign-clients")]
mod uploads_tus;
mod walk_through;

use std::path::Path;

/// The program under test.
fn program() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_andiron"))
}

/// Runs a command of the program in a folder, to its end.
fn run(folder: &Path, arguments: &[&str]) -> andiron_testkit::Output {
    andiron_testkit::run(program(), folder, arguments)
}
