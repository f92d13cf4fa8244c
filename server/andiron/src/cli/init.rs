//! `andiron init`: a new project folder.

use std::fmt::Write as _;
use std::fs::OpenOptions;
use std::io::{ErrorKind, Write as _};
use std::path::Path;

use crate::AndironError;
use crate::cli::output;
use crate::config::{CONFIG_FILE, SETTINGS, Settings};

const RULES_FILE: &str = "andiron.rules";
const RULES: &str = include_str!("init/andiron.rules");
const IGNORE_FILE: &str = ".gitignore";
const IGNORE: &str = "# The data, and nothing else, stays out of version control.\n/andiron-data/\n";

pub(crate) fn init(folder: &Path) -> Result<(), AndironError> {
    std::fs::create_dir_all(folder).map_err(AndironError::file("making the folder", folder))?;
    let mut report = String::new();
    for (name, contents) in [
        (CONFIG_FILE, config_file()),
        (RULES_FILE, RULES.to_owned()),
        (IGNORE_FILE, IGNORE.to_owned()),
    ] {
        let path = folder.join(name);
        let verdict = match create(&path, &contents) {
            Ok(()) => "made",
            Err(error) if error.kind() == ErrorKind::AlreadyExists => "was there, left as it is",
            Err(error) => return Err(AndironError::file("writing", path)(error)),
        };
        // Writing to a string does not fail.
        let _ = writeln!(report, "{name:<13} {verdict}");
    }
    let dir = if folder == Path::new(".") {
        String::new()
    } else {
        format!(" --dir {}", folder.display())
    };
    let _ = writeln!(report, "\nnext: andiron serve{dir}");
    output::print(&report)
}

/// Writes a file that does not exist.
fn create(path: &Path, contents: &str) -> std::io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).open(path)?;
    file.write_all(contents.as_bytes())
}

/// Every setting with its meaning and default, commented out: what stands there is what holds.
pub(crate) fn config_file() -> String {
    let defaults = Settings::default();
    let mut text = String::from(
        "# The configuration of an Andiron server. Every setting is here with its default; take away the `#` before one\n\
         # to change it. Variables such as ANDIRON_HISTORY_AGE and flags hold over this file, and `andiron config show`\n\
         # tells what holds and where it comes from.\n",
    );
    let mut table = "";
    for setting in SETTINGS {
        let (prefix, name) = setting.key.split_once('.').unwrap_or(("", setting.key));
        if prefix != table {
            table = prefix;
            let _ = write!(text, "\n[{table}]\n");
        } else if table.is_empty() {
            text.push('\n');
        }
        for line in setting.meaning.lines() {
            let _ = writeln!(text, "# {}", line.trim_start());
        }
        let _ = writeln!(text, "#{name} = {}", (setting.show_toml)(&defaults));
    }
    text
}
