//! `soak`: the checker of live queries for longer than CI has time for.

use crate::{
    Failure,
    steps::{self, Outcome},
    take_number,
    workspace::Workspace,
};

/// For how long by default. CI, which leaves the variable unset, takes 3 s.
const SECONDS: u64 = 600;

/// Has many listen while documents change and the server is killed, and checks every state that anybody reached.
pub(crate) fn soak(workspace: &Workspace, arguments: &[String]) -> Result<(), Failure> {
    let mut arguments = arguments.to_vec();
    let seconds = take_number(&mut arguments, "--seconds")?.unwrap_or(SECONDS);
    let seed = take_number(&mut arguments, "--seed")?;
    if let Some(argument) = arguments.first() {
        return Err(format!(
            "`{argument}`: only `--seconds N` and `--seed N` are known"
        ));
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
            "live_soak",
            "--nocapture",
        ])
        .env("ANDIRON_SOAK_SECONDS", seconds.to_string());
    if let Some(seed) = seed {
        command.env("ANDIRON_SOAK_SEED", seed.to_string());
    }
    match steps::tests(&mut command)? {
        Outcome::Tests(tally, None) if tally.passed > 0 => Ok(()),
        Outcome::Tests(_, None) => Err("no test of `andiron` has `live_soak` in its name".into()),
        Outcome::Tests(_, Some(failure)) => Err(failure),
        Outcome::Passed | Outcome::NotDone(_) => Err("the soak did not run".into()),
    }
}
