//! Waiting until rules files change.
//!
//! Files are looked at a few times a second: they are few, and that works on every file system, in containers and over
//! networks too.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::files::find_rules;

/// How long is waited between two looks.
const LOOK_INTERVAL: Duration = Duration::from_millis(250);

/// What files looked like: when they were changed and how long they are.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Look(BTreeMap<PathBuf, Option<(SystemTime, u64)>>);

impl Look {
    /// Looks at every rules file below a folder, and at these files.
    pub(super) fn at(folder: &Path, files: &[PathBuf]) -> Self {
        // A folder that cannot be read just now looks empty, and otherwise when it can be.
        let found = find_rules(folder).unwrap_or_default();
        let all = found.iter().chain(files);
        Self(
            all.map(|file| {
                let seen = std::fs::metadata(file)
                    .ok()
                    .and_then(|metadata| Some((metadata.modified().ok()?, metadata.len())));
                (file.clone(), seen)
            })
            .collect(),
        )
    }

    /// Waits until something has changed since this look.
    pub(super) fn wait(&self, folder: &Path, files: &[PathBuf]) {
        while Self::at(folder, files) == *self {
            std::thread::sleep(LOOK_INTERVAL);
        }
    }
}
