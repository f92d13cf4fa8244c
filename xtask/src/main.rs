//! Automation of the Andiron workspace: `cargo xtask COMMAND`.
//!
//! One tool for what people and CI do, in the project's language. It starts `cargo` and other programs and adds up what
//! they say; it builds nothing itself. What needs installing goes into the ignored folder `.tools/`, never into the
//! user's own.

mod bench;
mod browser;
mod crash;
mod deny;
mod fuzz;
mod run;
mod soak;
mod steps;
mod tally;
mod verify;
mod workspace;

use std::process::ExitCode;

use crate::workspace::Workspace;

const HELP: &str = "\
cargo xtask COMMAND

  run [ARGUMENTS]     build and start the server on the ignored folder .andiron-dev/;
                      --release builds it with optimisation, other arguments go to `andiron serve`
  check               the quick checks: format, lints, tidiness
  test                everything: the checks, all tests, the documentation, dependencies, fuzz targets
  bench [ARGUMENTS]   measure Andiron beside PocketBase: bench/README.md;
                      --no-peer leaves PocketBase out, `--help` lists the other arguments
  crash [--cycles N]  kill a server under load N times (default 1000) and check what it kept
  soak [--seconds N] [--seed N]
                      listen, write and kill for N seconds (default 600) and check every state that was told
  soak --simulate [--runs N] [--seed N]
                      the same of the engine alone, simulated under N seeds (default 3000), or under one
  fuzz [TARGET] [--seconds N]
                      run one or all fuzz targets, N seconds each (default 60)
";

/// What went wrong, in a sentence. Nobody handles these but the terminal.
type Failure = String;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (command, rest) = match arguments.split_first() {
        Some((command, rest)) => (command.as_str(), rest),
        None => ("help", &[][..]),
    };
    let done = Workspace::find().and_then(|workspace| match command {
        "run" => run::run(&workspace, rest),
        "check" => no_arguments(rest).and_then(|()| verify::check(&workspace)),
        "test" => no_arguments(rest).and_then(|()| verify::test(&workspace)),
        "bench" => bench::bench(&workspace, rest),
        "crash" => crash::crash(&workspace, rest),
        "soak" => soak::soak(&workspace, rest),
        "fuzz" => fuzz::fuzz(&workspace, rest),
        "help" | "-h" | "--help" => {
            print!("{HELP}");
            Ok(())
        }
        unknown => Err(format!("there is no command `{unknown}`\n\n{HELP}")),
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("xtask: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn no_arguments(rest: &[String]) -> Result<(), Failure> {
    match rest.first() {
        Some(argument) => Err(format!("`{argument}`: this command takes no arguments")),
        None => Ok(()),
    }
}

/// Takes `NAME` out of the arguments, and says whether it was there.
fn take_flag(arguments: &mut Vec<String>, name: &str) -> bool {
    let before = arguments.len();
    arguments.retain(|argument| argument != name);
    arguments.len() < before
}

/// Takes `NAME VALUE` or `NAME=VALUE` out of the arguments.
fn take_number(arguments: &mut Vec<String>, name: &str) -> Result<Option<u64>, Failure> {
    let prefix = format!("{name}=");
    let Some(at) = arguments
        .iter()
        .position(|argument| argument == name || argument.starts_with(&prefix))
    else {
        return Ok(None);
    };
    let argument = arguments.remove(at);
    let value = match argument.strip_prefix(&prefix) {
        Some(value) => value.to_owned(),
        None if at < arguments.len() => arguments.remove(at),
        None => return Err(format!("`{name}` needs a number")),
    };
    value
        .parse()
        .map(Some)
        .map_err(|_| format!("`{name}` needs a number, not `{value}`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_taken_out_of_the_arguments_in_either_form() {
        let arguments = |list: &[&str]| list.iter().map(|item| (*item).to_owned()).collect::<Vec<_>>();
        let mut given = arguments(&["a", "--cycles", "30", "b"]);
        assert_eq!(take_number(&mut given, "--cycles"), Ok(Some(30)));
        assert_eq!(given, arguments(&["a", "b"]));
        assert_eq!(take_number(&mut given, "--cycles"), Ok(None));
        assert_eq!(
            take_number(&mut arguments(&["--cycles=7"]), "--cycles"),
            Ok(Some(7))
        );
        assert!(take_number(&mut arguments(&["--cycles"]), "--cycles").is_err());
        assert!(take_number(&mut arguments(&["--cycles", "many"]), "--cycles").is_err());
    }
}
