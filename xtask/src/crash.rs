//! `crash`: the crash test of the server for longer than CI has time for.

use crate::{
    Failure,
    steps::{self, Outcome},
    take_number,
    workspace::Workspace,
};

/// How often the server is killed by default. CI, which leaves the variable unset, does 30.
const CYCLES: u64 = 1000;

/// Kills a server under load again and again, and checks what it kept.
pub(crate) fn crash(workspace: &Workspace, arguments: &[String]) -> Result<(), Failure> {
    let mut arguments = arguments.to_vec();
    let cycles = take_number(&mut arguments, "--cycles")?.unwrap_or(CYCLES);
    if let Some(argument) = arguments.first() {
        return Err(format!("`{argument}`: only `--cycles N` is known"));
    }
    let mut command = workspace.cargo();
    command
        .args([
            "test",
            "--package",
            "andiron",
            "--test",
            "it",
            "--",
            "crash",
            "--nocapture",
        ])
        .env("ANDIRON_CRASH_CYCLES", cycles.to_string());
    match steps::tests(&mut command)? {
        Outcome::Tests(tally, None) if tally.passed > 0 => Ok(()),
        Outcome::Tests(_, None) => Err("no test of `andiron` has `crash` in its name".into()),
        Outcome::Tests(_, Some(failure)) => Err(failure),
        Outcome::Passed | Outcome::NotDone(_) => Err("the crash test did not run".into()),
    }
}
