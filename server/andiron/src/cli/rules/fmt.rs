//! `andiron rules fmt`.

use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

use andiron_rules::diagnostic::Diagnostic;
use andiron_rules::{Source, Sources};
use clap::Args;

use super::RulesFolder;
use super::files::{find_rules, is_test_file, name_of, read_source};
use super::outcome::rendered;
use crate::AndironError;
use crate::cli::output;

#[derive(Debug, Args)]
pub(crate) struct FmtArguments {
    /// Files; `-` formats standard input to standard output [default: every *.rules file below the project folder]
    files: Vec<PathBuf>,
    #[command(flatten)]
    folder: RulesFolder,
    /// Change nothing; list the files that would change, and fail if there are any
    #[arg(long)]
    check: bool,
}

pub(super) fn fmt(arguments: &FmtArguments) -> Result<(), AndironError> {
    if arguments.files.iter().any(|file| file.as_os_str() == "-") {
        return standard_input(arguments);
    }
    let folder = &arguments.folder.dir;
    let files = if arguments.files.is_empty() {
        find_rules(folder)?
    } else {
        arguments.files.clone()
    };
    if files.is_empty() {
        return Err(AndironError::Usage(format!(
            "there are no *.rules files below `{}`",
            folder.display()
        )));
    }
    let mut changed = Vec::new();
    let mut broken = 0_u64;
    for file in &files {
        let source = read_source(&name_of(folder, file), file)?;
        match formatted(file, &source) {
            Ok(text) if text == source.text() => {}
            Ok(text) => {
                if !arguments.check {
                    replace(file, &text).map_err(AndironError::file("writing", file))?;
                }
                changed.push(source.name().to_owned());
            }
            Err(diagnostics) => {
                broken += 1;
                output::note(&shown(&diagnostics, source));
            }
        }
    }
    output::print(&changed.iter().map(|name| format!("{name}\n")).collect::<String>())?;
    if broken > 0 {
        let files = output::counted(broken, "file");
        return Err(AndironError::Failed(format!(
            "{files} with errors, which are left as they are"
        )));
    }
    match (arguments.check, changed.len() as u64) {
        (true, 1..) => Err(AndironError::Failed(format!(
            "{} would be laid out otherwise; `andiron rules fmt` does it",
            output::counted(changed.len() as u64, "file")
        ))),
        _ => Ok(()),
    }
}

/// Puts a text in the place of a file's, at once: a server that watches the file never sees half of it.
fn replace(file: &Path, text: &str) -> std::io::Result<()> {
    // The file itself, should its name be a link.
    let file = std::fs::canonicalize(file)?;
    let folder = file.parent().unwrap_or(Path::new("."));
    let mut written = tempfile::NamedTempFile::new_in(folder)?;
    written.write_all(text.as_bytes())?;
    std::fs::set_permissions(written.path(), std::fs::metadata(&file)?.permissions())?;
    written.persist(&file).map_err(|error| error.error)?;
    Ok(())
}

fn standard_input(arguments: &FmtArguments) -> Result<(), AndironError> {
    if arguments.files.len() > 1 || arguments.check {
        return Err(AndironError::Usage(
            "`-` stands alone: standard input is formatted to standard output".to_owned(),
        ));
    }
    let mut bytes = Vec::new();
    std::io::stdin()
        .read_to_end(&mut bytes)
        .map_err(|source| AndironError::System {
            doing: "reading standard input",
            source,
        })?;
    let source = Source::from_bytes("standard input", &bytes)
        .map_err(|error| AndironError::Usage(error.to_string()))?;
    match formatted(Path::new("-"), &source) {
        Ok(text) => output::print(&text),
        Err(diagnostics) => {
            output::note(&shown(&diagnostics, source));
            Err(AndironError::Failed(
                "the text has errors, so it is not laid out".to_owned(),
            ))
        }
    }
}

fn formatted(file: &Path, source: &Source) -> Result<String, Vec<Diagnostic>> {
    if is_test_file(file) {
        andiron_rules::format::format_tests(source)
    } else {
        andiron_rules::format(source)
    }
}

fn shown(diagnostics: &[Diagnostic], source: Source) -> String {
    let mut sources = Sources::default();
    sources.add(source);
    rendered(diagnostics, &sources)
}
