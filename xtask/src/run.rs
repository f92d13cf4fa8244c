//! `run`: the server on a folder of its own, with nothing to set up.

use std::os::unix::process::CommandExt as _;

use crate::{
    Failure,
    workspace::{Workspace, is_there, succeed},
};

/// The ignored folder that the server keeps its data in.
const FOLDER: &str = ".andiron-dev";

/// Where in it the server puts them; not there before the first start.
const DATA: &str = "andiron-data";

/// The file that says that a project was begun in it.
const RULES: &str = "andiron.rules";

/// Builds, begins a project and makes a service key on the first start, and becomes `andiron serve --dev`. Arguments are passed on, but for `--release`.
pub(crate) fn run(workspace: &Workspace, arguments: &[String]) -> Result<(), Failure> {
    console(workspace)?;
    let (release, passed): (Vec<_>, Vec<_>) = arguments.iter().partition(|argument| *argument == "--release");
    let mut build = workspace.cargo();
    build.args(["build", "--quiet", "--package", "andiron"]);
    let profile = if release.is_empty() { "debug" } else { "release" };
    if profile == "release" {
        build.arg("--release");
    }
    succeed(&mut build)?;
    let folder = workspace.root.join(FOLDER);
    std::fs::create_dir_all(&folder).map_err(|error| format!("creating {}: {error}", folder.display()))?;
    let andiron = workspace.target.join(profile).join("andiron");
    if !folder.join(RULES).exists() {
        let mut init = workspace.program(&andiron);
        succeed(init.arg("init").arg(&folder))?;
    }
    if !folder.join(DATA).exists() {
        // Before the server has the folder, so that the key comes out even if the server then fails to start.
        println!("a service key for this folder, shown only now:");
        let mut key = workspace.program(&andiron);
        succeed(key.args(["key", "create", "development", "--dir"]).arg(&folder))?;
    }
    let mut serve = workspace.program(andiron);
    serve.args(["serve", "--dev", "--dir"]).arg(folder).args(passed);
    // In this process's place, so that Ctrl-C and a service manager's signals reach the server itself.
    Err(format!("the server cannot be started: {}", serve.exec()))
}

/// Builds the web console where that is possible. The server runs without it.
fn console(workspace: &Workspace) -> Result<(), Failure> {
    let source = workspace.root.join("admin-ui");
    if !source.join("package.json").is_file() {
        println!("no web console: this source tree has none; everything else works");
        return Ok(());
    }
    if !is_there("node") || !is_there("npm") {
        println!("no web console: it needs Node.js and npm to be built; everything else works");
        return Ok(());
    }
    for step in [&["ci"][..], &["run", "build"]] {
        succeed(workspace.program("npm").args(step).current_dir(&source))?;
    }
    Ok(())
}
