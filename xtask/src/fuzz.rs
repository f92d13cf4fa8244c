//! Fuzz targets: workspaces of their own, in a folder `fuzz` at the root or beside a crate, run by cargo-fuzz.
//!
//! They need a nightly compiler, which nothing else here does. So `cargo test` runs the same code with fixed seeds, `test`
//! sees that the targets build, and only `fuzz` really fuzzes.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Stdio,
};

use crate::{
    Failure, take_number,
    workspace::{Workspace, succeed},
};

const VERSION: &str = "0.13.2";

/// Seconds a target by default.
const SECONDS: u64 = 60;

/// How deep below the root a fuzz workspace may lie: `server/store/fuzz`.
const DEPTH_MAX: usize = 3;

/// Runs one target or all.
pub(crate) fn fuzz(workspace: &Workspace, arguments: &[String]) -> Result<(), Failure> {
    let mut arguments = arguments.to_vec();
    let seconds = take_number(&mut arguments, "--seconds")?.unwrap_or(SECONDS);
    let wanted = arguments.first();
    if let Some(argument) = arguments.get(1) {
        return Err(format!("`{argument}`: one target at a time, or all"));
    }
    let mut targets = Vec::new();
    for manifest in workspaces(workspace) {
        for target in targets_of(workspace, &manifest)? {
            if wanted.is_none_or(|wanted| *wanted == target) {
                targets.push((manifest.clone(), target));
            }
        }
    }
    if targets.is_empty() {
        return Err(wanted.map_or("there are no fuzz targets".into(), |name| {
            format!("no target is called `{name}`")
        }));
    }
    let nightly = workspace
        .program("rustup")
        .args(["run", "nightly", "rustc", "--version"])
        .output();
    if !nightly.is_ok_and(|output| output.status.success()) {
        return Err("fuzzing needs a nightly compiler: `rustup toolchain install nightly`".into());
    }
    workspace.install("cargo-fuzz", VERSION, &[])?;
    for (manifest, target) in targets {
        println!("\n── {target}, {seconds} s");
        let folder = manifest.parent().unwrap_or(&workspace.root);
        let mut command = workspace.program("rustup");
        command
            .args(["run", "nightly"])
            .arg(workspace.tools().join("bin/cargo-fuzz"))
            .args(["fuzz", "run", "--fuzz-dir"])
            .arg(folder)
            .arg(&target);
        let seeds = folder.join("seeds").join(&target);
        if seeds.is_dir() {
            // What is found goes to the first folder, which libFuzzer wants to be there.
            let corpus = folder.join("corpus").join(&target);
            fs::create_dir_all(&corpus).map_err(|error| format!("{}: {error}", corpus.display()))?;
            command.arg(corpus).arg(seeds);
        }
        command.args(["--", &format!("-max_total_time={seconds}")]);
        // rustup chooses the compiler; the cargo that started this program must not.
        command
            .env_remove("CARGO")
            .env_remove("RUSTC")
            .env_remove("RUSTUP_TOOLCHAIN");
        succeed(&mut command)?;
    }
    Ok(())
}

/// The manifests of all fuzz workspaces.
pub(crate) fn workspaces(workspace: &Workspace) -> Vec<PathBuf> {
    let mut found = Vec::new();
    search(&workspace.root, DEPTH_MAX, &mut found);
    found.sort();
    found
}

fn search(folder: &Path, depth: usize, found: &mut Vec<PathBuf>) {
    let manifest = folder.join("fuzz/Cargo.toml");
    if manifest.is_file() {
        found.push(manifest);
    }
    if depth == 0 {
        return;
    }
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let built = name.starts_with('.') || matches!(&*name, "target" | "node_modules" | "fuzz" | "src");
        if !built && entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            search(&entry.path(), depth - 1, found);
        }
    }
}

fn targets_of(workspace: &Workspace, manifest: &Path) -> Result<Vec<String>, Failure> {
    let output = workspace
        .cargo()
        .args(["metadata", "--no-deps", "--format-version=1", "--manifest-path"])
        .arg(manifest)
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| format!("cargo cannot be started: {error}"))?;
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout)
        .map_err(|error| format!("`cargo metadata` of {} failed: {error}", manifest.display()))?;
    let all = metadata["packages"].as_array().into_iter().flatten();
    let targets = all.flat_map(|package| package["targets"].as_array().into_iter().flatten());
    Ok(targets
        .filter(|target| target["kind"][0] == "bin")
        .filter_map(|target| target["name"].as_str().map(str::to_owned))
        .collect())
}
