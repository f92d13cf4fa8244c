//! Finding rules files and reading them.
//!
//! Files are called by their path from the project folder, as the server calls them; imports never lead out of it.

use std::path::{Component, Path, PathBuf};

use andiron_engine::RULES_ROOTS;
use andiron_rules::source::SOURCE_BYTES_MAX;
use andiron_rules::testing::TEST_FILE_SUFFIX;
use andiron_rules::{Program, Source};
use clap::Args;

use crate::AndironError;

/// How deep folders are searched for files.
const FOLDER_DEPTH_MAX: usize = 16;

/// How many files a search finds at most.
const FOUND_FILES_MAX: usize = 10_000;

/// The folder that rules files lie in.
#[derive(Clone, Debug, Args)]
pub(crate) struct RulesFolder {
    /// The project folder
    #[arg(
        long,
        value_name = "DIR",
        default_value = ".",
        env = "ANDIRON_DIR",
        hide_env_values = true
    )]
    pub(crate) dir: PathBuf,
}

/// Reads rules files, and what they import, as one program.
pub(crate) fn load_rules(folder: &Path, files: &[PathBuf]) -> Result<Program, AndironError> {
    // One file somewhere else is a project of its own.
    let mut folder = absolute(folder);
    let files: Vec<_> = files.iter().map(|file| absolute(file)).collect();
    if let Some(outside) = files.iter().find(|file| !file.starts_with(&folder)) {
        folder = outside.parent().unwrap_or(&folder).to_owned();
    }
    let mut roots = Vec::with_capacity(files.len());
    for file in &files {
        roots.push(read_source(&name_of(&folder, file), file)?);
    }
    Ok(Program::load(roots, &mut |name| {
        read_bytes(&folder.join(name)).map_err(|error| error.to_string())
    }))
}

/// The rules files of a project; there is at least one.
pub(crate) fn project_rules(folder: &Path) -> Result<Vec<PathBuf>, AndironError> {
    let found: Vec<_> = RULES_ROOTS
        .into_iter()
        .map(|name| folder.join(name))
        .filter(|file| file.is_file())
        .collect();
    if found.is_empty() {
        return Err(AndironError::Usage(format!(
            "there are no rules in `{}`: none of {}; name a file, or the project folder with --dir",
            folder.display(),
            RULES_ROOTS.map(|name| format!("`{name}`")).join(", ")
        )));
    }
    Ok(found)
}

/// Reads a file that is called so in diagnostics.
pub(crate) fn read_source(name: &str, file: &Path) -> Result<Source, AndironError> {
    let bytes = read_bytes(file).map_err(AndironError::file("reading", file))?;
    Source::from_bytes(name, &bytes).map_err(|error| AndironError::Usage(error.to_string()))
}

fn read_bytes(file: &Path) -> std::io::Result<Vec<u8>> {
    let bytes = std::fs::metadata(file)?.len();
    if bytes > SOURCE_BYTES_MAX as u64 {
        return Err(std::io::Error::other(format!(
            "it has {bytes} bytes; a rules file has at most {SOURCE_BYTES_MAX}"
        )));
    }
    std::fs::read(file)
}

/// How diagnostics call a file: its path from the folder, with slashes.
pub(crate) fn name_of(folder: &Path, file: &Path) -> String {
    let (folder, file) = (absolute(folder), absolute(file));
    let relative = file.strip_prefix(&folder).unwrap_or(&file);
    let parts: Vec<_> = relative
        .components()
        .map(|part| part.as_os_str().to_string_lossy())
        .collect();
    match relative.has_root() {
        true => file.display().to_string(),
        false => parts.join("/"),
    }
}

/// The path from the root, without `.` and `..`; symbolic links stay.
pub(crate) fn absolute(path: &Path) -> PathBuf {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                plain.pop();
            }
            other => plain.push(other),
        }
    }
    plain
}

/// Whether a file holds tests.
pub(crate) fn is_test_file(file: &Path) -> bool {
    file.file_name()
        .is_some_and(|name| name.to_string_lossy().ends_with(TEST_FILE_SUFFIX))
}

/// Every rules file below a folder, tests included, sorted; folders of data, packages and builds are left out.
pub(crate) fn find_rules(folder: &Path) -> Result<Vec<PathBuf>, AndironError> {
    let mut found = Vec::new();
    search(folder, 0, &mut found)?;
    found.sort();
    Ok(found)
}

fn search(folder: &Path, depth: usize, found: &mut Vec<PathBuf>) -> Result<(), AndironError> {
    let entries = std::fs::read_dir(folder).map_err(AndironError::file("reading", folder))?;
    for entry in entries {
        let entry = entry.map_err(AndironError::file("reading", folder))?;
        let kind = entry.file_type().map_err(AndironError::file("reading", folder))?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let is_left_out =
            name.starts_with('.') || matches!(&*name, "andiron-data" | "node_modules" | "target");
        if is_left_out {
            continue;
        }
        if kind.is_dir() && depth < FOLDER_DEPTH_MAX {
            search(&entry.path(), depth + 1, found)?;
        } else if name.ends_with(".rules") && entry.path().is_file() {
            found.push(entry.path());
        }
        if found.len() > FOUND_FILES_MAX {
            return Err(AndironError::Usage(format!(
                "there are more than {FOUND_FILES_MAX} rules files below `{}`; name those that are meant",
                folder.display()
            )));
        }
    }
    Ok(())
}
