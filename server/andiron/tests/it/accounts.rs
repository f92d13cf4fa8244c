//! Accounts in the real process: what a flood of sign-ins may cost.

use andiron_testkit::{Api, ServerProcess};
use serde_json::json;
use tokio::task::JoinSet;

use crate::program;

/// Sign-ins at once.
const SIGN_INS: usize = 100;
/// Memory of one hash, as the server comes.
const HASH_KIB: u64 = 19 * 1024;
/// Threads that hash.
const THREADS: u64 = 2;
/// What the requests themselves may take.
const REQUESTS_KIB: u64 = 32 * 1024;

/// A line of `/proc/PID/status`, in KiB.
pub(crate) fn memory_kib(pid: u32, name: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    line.trim_matches(|c: char| !c.is_ascii_digit()).parse().unwrap()
}

/// Tries a password for an address that nobody has.
async fn sign_in(api: Api, number: usize) -> u16 {
    let body = json!({"email": format!("nobody{number}@example.org"), "password": "no such password"});
    api.post("/api/v1/auth/sign-in", &body).await.status
}

/// However many passwords are to be checked at once, no more memory is taken than the threads have that check them: a hundred
/// hashes of their own would take two gigabytes.
#[tokio::test]
async fn a_hundred_passwords_at_once_take_the_memory_of_the_threads_that_hash() {
    let folder = tempfile::tempdir().unwrap();
    let server = ServerProcess::start(
        program(),
        folder.path(),
        &[
            "--set",
            "auth.sign_ins_per_minute=1000",
            "--set",
            &format!("auth.hash_threads={THREADS}"),
        ],
    );
    sign_in(server.anonymous(), 0).await;
    let before = memory_kib(server.id(), "VmRSS:");
    let mut at_once = JoinSet::new();
    for number in 0..SIGN_INS {
        at_once.spawn(sign_in(server.anonymous(), number));
    }
    let statuses = at_once.join_all().await;
    assert!(statuses.iter().all(|status| *status == 401), "{statuses:?}");
    let peak = memory_kib(server.id(), "VmHWM:");
    assert!(
        peak < before + THREADS * HASH_KIB + REQUESTS_KIB,
        "{before} KiB before, {peak} KiB at the peak"
    );
}
