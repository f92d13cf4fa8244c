//! Pairs of source and expectation: `golden/ok` holds files that may be used, `golden/bad` files that may not.
//!
//! Beside each `name.rules` lies `name.expected`: the tree, and the diagnostics as people read them.
//! `UPDATE_GOLDEN=1 cargo test -p andiron-rules golden` writes the expectations anew.

use std::{fs, path::Path};

use andiron_rules::{Limits, Program, Severity, Source, check, diagnostic, syntax};

/// The name and text of every golden source.
pub(crate) fn sources() -> Vec<(String, String)> {
    ["ok", "bad"].into_iter().flat_map(sources_in).collect()
}

fn sources_in(kind: &str) -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden")
        .join(kind);
    let mut found: Vec<(String, String)> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap())
        .filter_map(|entry| {
            let name = entry.file_name().into_string().unwrap();
            let stem = name.strip_suffix(".rules")?;
            Some((
                format!("{kind}/{stem}"),
                fs::read_to_string(entry.path()).unwrap(),
            ))
        })
        .collect();
    found.sort();
    assert!(!found.is_empty());
    found
}

/// What golden sources may import.
fn read(name: &str) -> Result<Vec<u8>, String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden")
        .join(name);
    fs::read(path).map_err(|_| "there is no such file".to_owned())
}

fn check_all(kind: &str) {
    let mut complaints = Vec::new();
    for (name, text) in sources_in(kind) {
        let program = Program::load(
            vec![Source::new(format!("{name}.rules"), text).unwrap()],
            &mut read,
        );
        let checked = check(&program, &Limits::default());
        let mut diagnostics = program.diagnostics().to_vec();
        // What a checker says of a tree that lacks something means nothing.
        if !program.has_errors() {
            diagnostics.extend_from_slice(checked.diagnostics());
        }
        let mut found = syntax::dump(&program.roots()[0]);
        for diagnostic in &diagnostics {
            found.push('\n');
            found.push_str(&diagnostic::render(diagnostic, program.sources()));
        }
        let has_errors = diagnostics
            .iter()
            .any(|diagnostic| diagnostic.severity == Severity::Error);
        if has_errors != (kind == "bad") {
            complaints.push(format!("{name} is in the wrong folder:\n{found}"));
        }
        compare(&name, &found, &mut complaints);
    }
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

fn compare(name: &str, found: &str, complaints: &mut Vec<String>) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden")
        .join(format!("{name}.expected"));
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(path, found).unwrap();
        return;
    }
    let expected = fs::read_to_string(&path).unwrap_or_default();
    if expected != found {
        complaints.push(format!("{name}.expected differs; found:\n{found}"));
    }
}

#[test]
fn good_sources_give_their_trees_and_no_errors() {
    check_all("ok");
}

#[test]
fn bad_sources_give_their_errors_and_what_can_be_made_of_them() {
    check_all("bad");
}
