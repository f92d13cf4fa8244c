//! Tidiness: conventions of this repository that no compiler checks.

#![expect(clippy::unwrap_used, reason = "tests, helpers included, may panic")]

mod attacks;
mod links;
mod lints;
mod markers;
mod modules;
mod walls;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// The root of the repository.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// Every file of the sources whose name ends so, with its path from the root; nothing built, installed or hidden.
fn sources(ending: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    collect(&root(), ending, &mut found);
    found.sort();
    assert!(
        !found.is_empty(),
        "no file ends in {ending}: the search looks in the wrong place"
    );
    found
}

fn collect(folder: &Path, ending: &str, found: &mut Vec<(String, String)>) {
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let (path, name) = (entry.path(), entry.file_name().into_string().unwrap());
        let kind = entry.file_type().unwrap();
        let skipped =
            name.starts_with('.') || matches!(&*name, "target" | "node_modules" | "corpus" | "artifacts");
        if kind.is_dir() && !skipped {
            collect(&path, ending, found);
        } else if kind.is_file() && name.ends_with(ending) {
            let text = fs::read_to_string(&path).unwrap();
            let path = path.strip_prefix(root()).unwrap().to_string_lossy().into_owned();
            found.push((path, text));
        }
    }
}

/// What cargo says about the packages of this workspace, their dependencies by name and kind.
fn packages() -> Vec<serde_json::Value> {
    let metadata = cargo(&["metadata", "--no-deps", "--format-version=1"]);
    let metadata: serde_json::Value = serde_json::from_str(&metadata).unwrap();
    metadata["packages"].as_array().unwrap().clone()
}

/// Runs cargo at the root and gives what it printed.
fn cargo(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO"))
        .args(arguments)
        .current_dir(root())
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "cargo {arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

/// Fails with all complaints at once.
fn expect_none(complaints: &[String]) {
    assert!(complaints.is_empty(), "\n{}\n", complaints.join("\n"));
}
