//! Every crate takes the lints and the edition of the workspace.

use crate::{expect_none, packages, root};

#[test]
fn every_crate_inherits_the_lints_of_the_workspace() {
    let mut complaints = Vec::new();
    for package in packages() {
        let manifest = package["manifest_path"].as_str().unwrap();
        let text = std::fs::read_to_string(manifest).unwrap();
        let name = package["name"].as_str().unwrap();
        for table in [
            "[lints]\nworkspace = true",
            "edition.workspace = true",
            "license.workspace = true",
        ] {
            if !text.contains(table) {
                complaints.push(format!("{name} lacks `{}`", table.replace('\n', " ")));
            }
        }
    }
    expect_none(&complaints);
}

#[test]
fn the_workspace_denies_what_it_says_it_denies() {
    let text = std::fs::read_to_string(root().join("Cargo.toml")).unwrap();
    for lint in [
        "unsafe_code = \"deny\"",
        "unreachable_pub",
        "missing_docs",
        "dbg_macro",
        "unwrap_used",
    ] {
        assert!(
            text.contains(lint),
            "the lint `{lint}` has gone from the workspace"
        );
    }
}
