//! The walls between crates: who may know whom, and who may know which heavy dependency.
//!
//! The table is the one of `docs/architecture.md`. Dependencies of tests are free: a wall is about what is shipped.

use crate::{cargo, expect_none, packages};

/// Our crates, and which of ours each may depend on.
const WALLS: &[(&str, &[&str])] = &[
    ("andiron-protocol", &[]),
    ("andiron-rules", &["andiron-protocol"]),
    ("andiron-store", &["andiron-protocol"]),
    ("andiron-store-sqlite", &["andiron-store", "andiron-protocol"]),
    ("andiron-store-postgres", &["andiron-store", "andiron-protocol"]),
    (
        "andiron-engine",
        &["andiron-rules", "andiron-store", "andiron-protocol"],
    ),
    ("andiron-auth", &["andiron-engine", "andiron-protocol"]),
    ("andiron-files", &["andiron-engine", "andiron-protocol"]),
    (
        "andiron-http",
        &[
            "andiron-engine",
            "andiron-auth",
            "andiron-files",
            "andiron-protocol",
        ],
    ),
    (
        "andiron-firebase",
        &[
            "andiron-engine",
            "andiron-auth",
            "andiron-files",
            "andiron-protocol",
        ],
    ),
    (
        "andiron",
        &[
            "andiron-auth",
            "andiron-engine",
            "andiron-files",
            "andiron-firebase",
            "andiron-http",
            "andiron-protocol",
            "andiron-rules",
            "andiron-store",
            "andiron-store-postgres",
            "andiron-store-sqlite",
        ],
    ),
    ("andiron-sdk", &["andiron-protocol"]),
    ("andiron-testkit", &["andiron", "andiron-protocol"]),
    ("andiron-bench", &[]),
    ("xtask", &[]),
];

/// Dependencies that only the named crates may have, by what their names begin with.
const RESERVED: &[(&[&str], &[&str])] = &[
    (
        &["axum", "tower-http", "utoipa-axum"],
        &["andiron-http", "andiron-firebase", "andiron"],
    ),
    (&["rusqlite", "libsqlite3-sys"], &["andiron-store-sqlite"]),
    (
        &["tokio-postgres", "postgres", "sqlx", "deadpool"],
        &["andiron-store-postgres"],
    ),
    (&["object_store"], &["andiron-files"]),
];

/// Crates that know no async runtime, not even through what they depend on.
const SYNCHRONOUS: &[&str] = &["andiron-protocol", "andiron-rules", "andiron-store"];

/// What is an async runtime.
const RUNTIMES: &[&str] = &["tokio", "async-std", "smol", "async-executor", "futures-executor"];

/// The names of what a package ships with: its dependencies that are not of tests alone.
fn shipped(package: &serde_json::Value) -> Vec<&str> {
    let dependencies = package["dependencies"].as_array().unwrap();
    let shipped = dependencies
        .iter()
        .filter(|dependency| dependency["kind"] != "dev");
    shipped
        .map(|dependency| dependency["name"].as_str().unwrap())
        .collect()
}

#[test]
fn every_crate_depends_only_on_those_of_ours_that_the_table_allows() {
    let mut complaints = Vec::new();
    for package in &packages() {
        let name = package["name"].as_str().unwrap();
        let Some((_, allowed)) = WALLS.iter().find(|(crate_name, _)| *crate_name == name) else {
            complaints.push(format!("{name} is not in the table of walls"));
            continue;
        };
        for dependency in shipped(package) {
            let ours = WALLS.iter().any(|(crate_name, _)| *crate_name == dependency);
            if ours && !allowed.contains(&dependency) {
                complaints.push(format!("{name} must not depend on {dependency}"));
            }
        }
    }
    expect_none(&complaints);
}

#[test]
fn heavy_dependencies_stay_behind_their_walls() {
    let mut complaints = Vec::new();
    for package in &packages() {
        let name = package["name"].as_str().unwrap();
        for dependency in shipped(package) {
            for (reserved, crates) in RESERVED {
                if reserved.iter().any(|prefix| dependency.starts_with(prefix)) && !crates.contains(&name) {
                    complaints.push(format!(
                        "{name} must not depend on {dependency}: only {crates:?} may"
                    ));
                }
            }
        }
    }
    expect_none(&complaints);
}

#[test]
fn the_pure_crates_know_no_async_runtime() {
    let mut complaints = Vec::new();
    let present = packages();
    for name in SYNCHRONOUS
        .iter()
        .filter(|name| present.iter().any(|package| package["name"] == **name))
    {
        let tree = cargo(&[
            "tree",
            "--package",
            name,
            "--edges",
            "normal",
            "--prefix",
            "none",
            "--format",
            "{lib}",
        ]);
        for library in tree
            .lines()
            .filter(|library| RUNTIMES.contains(&library.replace('_', "-").as_str()))
        {
            complaints.push(format!("{name} depends on {library}"));
        }
    }
    expect_none(&complaints);
}

#[test]
fn only_what_is_meant_for_others_can_be_published() {
    let complaints: Vec<_> = packages()
        .iter()
        .filter(|package| package["publish"].is_null())
        .map(|package| package["name"].as_str().unwrap().to_owned())
        .filter(|name| !matches!(name.as_str(), "andiron-protocol" | "andiron-sdk"))
        .map(|name| format!("{name} needs `publish = false`"))
        .collect();
    expect_none(&complaints);
}
