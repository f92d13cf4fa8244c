//! `soak`: the checkers of live queries for longer than CI has time for: with a server that is killed, or simulated.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::{
    Failure,
    steps::{self, Outcome},
    take_flag, take_number,
    workspace::Workspace,
};

/// For how long by default. CI, which leaves the variable unset, takes 3 s.
const SECONDS: u64 = 600;
/// How many seeds are simulated by default. CI, which leaves the variable unset, takes 16.
const RUNS: u64 = 3000;

/// Has many listen while documents change and the server is killed, and checks every state that anybody reached; or, with
/// `--simulate`, does the same to the engine alone, where a seed says all that happens.
pub(crate) fn soak(workspace: &Workspace, arguments: &[String]) -> Result<(), Failure> {
    let mut arguments = arguments.to_vec();
    let is_simulated = take_flag(&mut arguments, "--simulate");
    let seed = take_number(&mut arguments, "--seed")?;
    let (package, test, variables) = if is_simulated {
        let runs = take_number(&mut arguments, "--runs")?.unwrap_or(RUNS);
        // Seeds that nobody has tried.
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let mut variables = vec![
            ("ANDIRON_SIMULATION_RUNS", runs),
            ("ANDIRON_SIMULATION_FIRST", since_1970.as_secs()),
        ];
        variables.extend(seed.map(|seed| ("ANDIRON_SIMULATION_SEED", seed)));
        ("andiron-engine", "live_simulation::every", variables)
    } else {
        let seconds = take_number(&mut arguments, "--seconds")?.unwrap_or(SECONDS);
        let mut variables = vec![("ANDIRON_SOAK_SECONDS", seconds)];
        variables.extend(seed.map(|seed| ("ANDIRON_SOAK_SEED", seed)));
        ("andiron", "live_soak", variables)
    };
    if let Some(argument) = arguments.first() {
        return Err(format!(
            "`{argument}`: only `--seconds N` or `--simulate` with `--runs N`, and `--seed N`, are known"
        ));
    }
    let mut command = workspace.cargo();
    command
        .args([
            "test",
            "--package",
            package,
            "--test",
            "it",
            "--",
            test,
            "--nocapture",
        ])
        .envs(
            variables
                .into_iter()
                .map(|(name, value)| (name, value.to_string())),
        );
    match steps::tests(&mut command)? {
        Outcome::Tests(tally, None) if tally.passed > 0 => Ok(()),
        Outcome::Tests(_, None) => Err(format!("no test of `{package}` has `{test}` in its name")),
        Outcome::Tests(_, Some(failure)) => Err(failure),
        Outcome::Passed | Outcome::NotDone(_) => Err("the soak did not run".into()),
    }
}
