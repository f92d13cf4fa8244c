//! What may enter the dependency tree: `deny.toml`, checked with cargo-deny.
//!
//! Licences, bans and sources need nothing but this checkout and are always checked. Advisories need a database that lies
//! on GitHub: where it can be neither fetched nor found, the step says that it was not done.

use std::{env, fs, path::PathBuf, process::Stdio};

use crate::{
    Failure,
    steps::{self, Outcome},
    workspace::Workspace,
};

const VERSION: &str = "0.20.2";

/// Licences, bans and sources.
pub(crate) fn policy(workspace: &Workspace) -> Result<Outcome, Failure> {
    let deny = install(workspace)?;
    let mut check = workspace.program(deny);
    check.args([
        "--offline",
        "--all-features",
        "check",
        "--hide-inclusion-graph",
        "licenses",
        "bans",
        "sources",
    ]);
    steps::command(&mut check)
}

/// Known vulnerabilities and withdrawn releases.
pub(crate) fn advisories(workspace: &Workspace) -> Result<Outcome, Failure> {
    let deny = install(workspace)?;
    let fetched = workspace
        .program(&deny)
        .args(["fetch", "db"])
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("cargo-deny cannot be started: {error}"))?;
    let mut check = workspace.program(&deny);
    if !fetched.status.success() {
        if !has_database() {
            return Ok(Outcome::NotDone(
                "the advisory database cannot be fetched and there is no earlier copy".into(),
            ));
        }
        println!("the advisory database cannot be fetched; its last copy is used");
        check.arg("--offline");
    }
    steps::command(check.args(["--locked", "--all-features", "check", "advisories"]))
}

fn install(workspace: &Workspace) -> Result<PathBuf, Failure> {
    workspace.install("cargo-deny", VERSION, &["--no-default-features"])
}

/// Whether cargo-deny has fetched a database before. A failed attempt leaves a lock file, no folder.
fn has_database() -> bool {
    let home = env::var_os("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(|| Some(PathBuf::from(env::var_os("HOME")?).join(".cargo")));
    let Some(entries) = home.and_then(|home| fs::read_dir(home.join("advisory-dbs")).ok()) else {
        return false;
    };
    entries
        .flatten()
        .any(|entry| entry.path().join("crates").is_dir())
}
