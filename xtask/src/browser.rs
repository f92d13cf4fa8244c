//! The browser that some tests drive: Chromium, found or, where that can be done without asking anybody, installed.

use std::{env, path::PathBuf, process::Command};

use crate::{
    Failure,
    steps::{self, Outcome},
    workspace::is_there,
};

/// Names of the program, as the tests look for it.
const NAMES: [&str; 4] = [
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
];
const ADVICE: &str = "the tests of sign-ins in a browser take Chromium: install it (Debian and Ubuntu: `apt-get install chromium`), name \
                      one in ANDIRON_CHROMIUM, or leave those tests out by ANDIRON_NO_BROWSER=1";

/// Sees to a browser for the tests.
pub(crate) fn ensure() -> Result<Outcome, Failure> {
    if env::var_os("ANDIRON_NO_BROWSER").is_some_and(|value| value == "1") {
        return Ok(Outcome::NotDone(
            "ANDIRON_NO_BROWSER=1 leaves out what takes a real browser".into(),
        ));
    }
    if let Some(named) = env::var_os("ANDIRON_CHROMIUM") {
        let named = PathBuf::from(named);
        return if named.is_file() {
            Ok(Outcome::Passed)
        } else {
            Err(format!(
                "ANDIRON_CHROMIUM names `{}`, which is no file",
                named.display()
            ))
        };
    }
    if NAMES.iter().any(|name| is_there(name)) {
        return Ok(Outcome::Passed);
    }
    if !is_there("apt-get") || !is_root() {
        return Err(ADVICE.into());
    }
    let apt = |arguments: &[&str]| {
        let mut apt = Command::new("apt-get");
        steps::command(apt.env("DEBIAN_FRONTEND", "noninteractive").args(arguments))
    };
    apt(&["update", "--quiet"])?;
    apt(&[
        "install",
        "--yes",
        "--quiet",
        "--no-install-recommends",
        "chromium",
    ])
    .map_err(|failure| format!("{failure}\n{ADVICE}"))
}

fn is_root() -> bool {
    let id = Command::new("id").arg("-u").output();
    id.is_ok_and(|id| id.stdout.trim_ascii() == b"0")
}
