//! Every module opens with what it is.

use crate::{expect_none, sources};

/// The first line that is neither empty nor part of an attribute of the whole file.
fn opening(text: &str) -> &str {
    let mut in_attribute = false;
    for line in text.lines().map(str::trim) {
        if in_attribute || line.starts_with("#![") {
            in_attribute = !line.ends_with(']');
        } else if !line.is_empty() {
            return line;
        }
    }
    ""
}

#[test]
fn every_module_opens_with_its_documentation() {
    let complaints: Vec<_> = sources(".rs")
        .iter()
        .filter(|(_, text)| !opening(text).starts_with("//!"))
        .map(|(path, _)| format!("{path} does not begin with `//!`"))
        .collect();
    expect_none(&complaints);
}

#[test]
fn attributes_may_stand_before_the_documentation() {
    assert_eq!(opening("#![no_main]\n\n//! A target."), "//! A target.");
    assert_eq!(
        opening("#![expect(\n    lint,\n    reason = \"so\"\n)]\n//! It."),
        "//! It."
    );
    assert_eq!(opening("use a;\n//! late"), "use a;");
}
