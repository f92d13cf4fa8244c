//! `check` and `test`: what has to hold before a change is taken.

use crate::{
    Failure, browser, deny, fuzz,
    steps::{self, Outcome, Steps},
    workspace::Workspace,
};

/// The quick part: format, lints, tidiness.
pub(crate) fn check(workspace: &Workspace) -> Result<(), Failure> {
    let mut steps = Steps::default();
    format_and_lints(workspace, &mut steps);
    steps.run("tidiness", || {
        steps::tests(workspace.cargo().args(["test", "--quiet", "--package", "xtask"]))
    });
    steps.finish()
}

/// Everything.
pub(crate) fn test(workspace: &Workspace) -> Result<(), Failure> {
    let mut steps = Steps::default();
    format_and_lints(workspace, &mut steps);
    steps.run("a browser for the tests", browser::ensure);
    // Tidiness is among these: it is the tests of this package.
    steps.run("tests", || {
        steps::tests(
            workspace
                .cargo()
                .args(["test", "--workspace", "--all-features", "--no-fail-fast"]),
        )
    });
    steps.run("documentation", || {
        let mut doc = workspace.cargo();
        doc.args([
            "doc",
            "--workspace",
            "--all-features",
            "--no-deps",
            "--document-private-items",
        ]);
        steps::command(doc.env("RUSTDOCFLAGS", "-D warnings"))
    });
    steps.run("fuzz targets build", || match fuzz::workspaces(workspace) {
        found if found.is_empty() => Err("there are no fuzz targets".into()),
        found => found.iter().try_fold(Outcome::Passed, |_, manifest| {
            let mut check = workspace.cargo();
            check.args(["clippy", "--bins", "--manifest-path"]).arg(manifest);
            check.env("CARGO_TARGET_DIR", workspace.target.join("fuzz"));
            steps::command(check.args(["--", "-D", "warnings"]))
        }),
    });
    steps.run("licences, bans and sources of dependencies", || {
        deny::policy(workspace)
    });
    steps.run("advisories on dependencies", || deny::advisories(workspace));
    steps.finish()
}

fn format_and_lints(workspace: &Workspace, steps: &mut Steps) {
    steps.run("format", || {
        steps::command(workspace.cargo().args(["fmt", "--all", "--check"]))
    });
    steps.run("lints", || {
        let mut clippy = workspace.cargo();
        clippy.args(["clippy", "--workspace", "--all-targets", "--all-features"]);
        steps::command(clippy.args(["--", "-D", "warnings"]))
    });
}
