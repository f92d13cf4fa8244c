//! `andiron rules check`.

use std::path::PathBuf;

use andiron_rules::diagnostic::Severity;
use andiron_rules::testing::{Subject, TestFile};
use clap::Args;

use super::RulesFolder;
use super::files::{find_rules, is_test_file, load_rules, name_of, project_rules, read_source};
use super::outcome::{Tally, as_json, limits, rendered};
use crate::AndironError;
use crate::cli::output;

#[derive(Debug, Args)]
pub(crate) struct CheckArguments {
    /// Rules files or test files, each on its own [default: the project's rules, together, and its tests]
    files: Vec<PathBuf>,
    #[command(flatten)]
    folder: RulesFolder,
    /// Fail on warnings too
    #[arg(long)]
    deny_warnings: bool,
    /// Show notes: what may be meant as it is
    #[arg(long)]
    notes: bool,
    /// Hold the files to the limits of Firebase's hosted service
    #[arg(long)]
    firebase_limits: bool,
    /// Print one JSON object instead of text
    #[arg(long)]
    json: bool,
}

/// What was checked.
enum Checked {
    Rules(Box<Subject>),
    Tests(Box<TestFile>),
}

pub(super) fn check(arguments: &CheckArguments) -> Result<(), AndironError> {
    let folder = &arguments.folder.dir;
    let mut checked = Vec::new();
    let rules = |files: &[PathBuf]| {
        let program = load_rules(folder, files)?;
        let subject = Subject::new(program, limits(arguments.firebase_limits));
        Ok::<_, AndironError>(Checked::Rules(Box::new(subject)))
    };
    let tests = |file: &PathBuf| {
        let source = read_source(&name_of(folder, file), file)?;
        Ok::<_, AndironError>(Checked::Tests(Box::new(TestFile::read(source))))
    };
    if arguments.files.is_empty() {
        checked.push(rules(&project_rules(folder)?)?);
        for file in find_rules(folder)?.iter().filter(|file| is_test_file(file)) {
            checked.push(tests(file)?);
        }
    }
    for file in &arguments.files {
        checked.push(if is_test_file(file) {
            tests(file)?
        } else {
            rules(std::slice::from_ref(file))?
        });
    }
    report(arguments, &checked)
}

fn report(arguments: &CheckArguments, checked: &[Checked]) -> Result<(), AndironError> {
    let mut tally = Tally::default();
    let (mut texts, mut json, mut names) = (Vec::new(), Vec::new(), Vec::new());
    for one in checked {
        let (diagnostics, sources): (Vec<_>, _) = match one {
            Checked::Rules(subject) => (subject.diagnostics().collect(), subject.program().sources()),
            Checked::Tests(tests) => (tests.diagnostics().iter().collect(), tests.sources()),
        };
        names.extend(sources.iter().map(|(_, source)| source.name()));
        for diagnostic in &diagnostics {
            tally.count(diagnostic);
        }
        json.extend(as_json(diagnostics.iter().copied(), sources));
        let shown = diagnostics
            .into_iter()
            .filter(|diagnostic| arguments.notes || diagnostic.severity > Severity::Note);
        let text = rendered(shown, sources);
        if !text.is_empty() {
            texts.push(text);
        }
    }
    if arguments.json {
        let answer = serde_json::json!({
            "files": names,
            "errors": tally.errors,
            "warnings": tally.warnings,
            "notes": tally.notes,
            "diagnostics": json,
        });
        output::print(&format!("{answer}\n"))?;
    } else {
        output::print(&texts.join("\n"))?;
    }
    let files = output::counted(names.len() as u64, "file");
    if tally.errors > 0 || arguments.deny_warnings && tally.warnings > 0 {
        return Err(AndironError::Failed(format!("{} in {files}", tally.sentence())));
    }
    if !arguments.json {
        let found = match tally.sentence() {
            found if found.is_empty() => "nothing to complain about".to_owned(),
            found if tally.notes > 0 && !arguments.notes => format!("{found} (--notes shows notes)"),
            found => found,
        };
        output::note(&format!("{files} checked: {found}"));
    }
    Ok(())
}
