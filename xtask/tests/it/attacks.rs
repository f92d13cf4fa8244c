//! Every test that `docs/attacks.md` names is there.

use std::path::Path;

use crate::{expect_none, sources};

/// The `module::test` of a text.
fn named(text: &str) -> Vec<(&str, &str)> {
    text.split('`')
        .skip(1)
        .step_by(2)
        .filter_map(|code| code.split_once("::"))
        .collect()
}

fn has_test(module: &str, test: &str, files: &[(String, String)]) -> bool {
    let is_test = |text: &str| {
        let declared = format!("fn {test}()");
        text.split_once(&declared).is_some_and(|(before, _)| {
            let mut lines = before.rsplit('\n');
            // The line of the declaration itself, then what stands above it.
            lines.next();
            lines.next().is_some_and(|line| line.contains("test]"))
        })
    };
    files
        .iter()
        .filter(|(path, _)| Path::new(path).file_stem().is_some_and(|stem| stem == module))
        .any(|(_, text)| is_test(text))
}

#[test]
fn every_attack_is_tried_by_a_test_that_is_there() {
    let pages = sources("attacks.md");
    let (_, page) = pages.first().unwrap();
    let files = sources(".rs");
    let named = named(page);
    assert!(named.len() > 40, "the page names tests");
    let missing = named
        .into_iter()
        .filter(|(module, test)| !has_test(module, test, &files))
        .map(|(module, test)| format!("docs/attacks.md: there is no test `{module}::{test}`"));
    expect_none(&missing.collect::<Vec<_>>());
}
