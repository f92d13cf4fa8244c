//! A sequence of steps that all run, whatever failed before them, with the time of each and a sum at the end.

use std::{
    io::{BufRead as _, BufReader},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use crate::{Failure, tally::Tally, workspace};

/// What came of a step.
pub(crate) enum Outcome {
    /// A single check that passed.
    Passed,
    /// A step of many tests, and why it failed if it did.
    Tests(Tally, Option<Failure>),
    /// It could not be done here, for a reason that is nobody's fault; said again at the end.
    NotDone(String),
}

/// Steps that have run.
#[derive(Default)]
pub(crate) struct Steps {
    tally: Tally,
    times: Vec<(&'static str, Duration, &'static str)>,
    failures: Vec<String>,
    not_done: Vec<String>,
}

impl Steps {
    /// Runs a step. A failure is kept for the end.
    pub(crate) fn run(&mut self, name: &'static str, step: impl FnOnce() -> Result<Outcome, Failure>) {
        println!("\n── {name}");
        let begun = Instant::now();
        let verdict = match step() {
            Ok(Outcome::Passed) => {
                self.tally.passed += 1;
                "passed"
            }
            Ok(Outcome::Tests(tally, failure)) => {
                // A program that does not compile or that crashes fails without a failed test.
                let unnamed = failure.is_some() && tally.failed == 0;
                let failed = unnamed || tally.failed > 0;
                self.tally.add(tally);
                self.tally.failed += u64::from(unnamed);
                self.failures
                    .extend(failure.map(|failure| format!("{name}: {failure}")));
                if failed { "FAILED" } else { "passed" }
            }
            Ok(Outcome::NotDone(why)) => {
                println!("not done: {why}");
                self.not_done.push(format!("{name}: {why}"));
                "not done"
            }
            Err(failure) => {
                eprintln!("{failure}");
                self.tally.failed += 1;
                self.failures.push(format!("{name}: {failure}"));
                "FAILED"
            }
        };
        self.times.push((name, begun.elapsed(), verdict));
    }

    /// Prints the sums; the last line is `N passed, N failed`. A step that is one check counts as one.
    pub(crate) fn finish(self) -> Result<(), Failure> {
        println!("\n── summary");
        for (name, time, verdict) in &self.times {
            println!("{:>7.1} s  {verdict:<8}  {name}", time.as_secs_f64());
        }
        for test in &self.tally.ignored {
            println!("ignored by its source: {test}");
        }
        for step in &self.not_done {
            println!("not done: {step}");
        }
        for failure in &self.failures {
            println!("FAILED {failure}");
        }
        println!("{} passed, {} failed", self.tally.passed, self.tally.failed);
        if self.tally.failed == 0 {
            Ok(())
        } else {
            Err("not everything passed".into())
        }
    }
}

/// A step that is one command.
pub(crate) fn command(command: &mut Command) -> Result<Outcome, Failure> {
    workspace::succeed(command).map(|()| Outcome::Passed)
}

/// A step that is a command whose output holds test results.
pub(crate) fn tests(command: &mut Command) -> Result<Outcome, Failure> {
    let mut child = command.stdout(Stdio::piped()).spawn().map_err(|error| {
        format!(
            "`{}` cannot be started: {error}",
            command.get_program().to_string_lossy()
        )
    })?;
    let mut tally = Tally::default();
    let output = child.stdout.take().expect("standard output is a pipe");
    for line in BufReader::new(output).split(b'\n') {
        let line = line.map_err(|error| format!("reading the output of tests: {error}"))?;
        let line = String::from_utf8_lossy(&line);
        println!("{line}");
        tally.read(&line);
    }
    let status = child
        .wait()
        .map_err(|error| format!("waiting for tests: {error}"))?;
    let failure = (!status.success()).then(|| format!("tests ended with {status}"));
    Ok(Outcome::Tests(tally, failure))
}
