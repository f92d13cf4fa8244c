//! `andiron rules test`.

use std::fmt::Write as _;
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::time::Instant;

use andiron_rules::Sources;
use andiron_rules::evaluate::Coverage;
use andiron_rules::explain::explanation_text;
use andiron_rules::testing::{CoverageReport, Failure, Subject, TestFile, TestOutcome, html, text};
use clap::Args;

use super::RulesFolder;
use super::files::{absolute, find_rules, is_test_file, load_rules, name_of, project_rules, read_source};
use super::outcome::{limits, rendered};
use super::watch::Look;
use crate::AndironError;
use crate::cli::output::{self, counted};

/// The file of a coverage page whose name is not given.
const PAGE_FILE: &str = "rules-coverage.html";

#[derive(Debug, Args)]
pub(crate) struct TestArguments {
    /// Test files, or folders that are searched for them [default: the project folder]
    paths: Vec<PathBuf>,
    #[command(flatten)]
    folder: RulesFolder,
    /// Say what of the rules was evaluated: `text`, `json` or `html`, with `=FILE` into a file
    #[arg(long, value_name = "FORMAT[=FILE]", value_parser = CoverageOutput::parse)]
    coverage: Option<CoverageOutput>,
    /// Fail unless so many hundredths of all sub-expressions were evaluated
    #[arg(long, value_name = "PERCENT", value_parser = clap::value_parser!(u8).range(0..=100))]
    min_coverage: Option<u8>,
    /// Run again whenever a rules file changes, until interrupted
    #[arg(long)]
    watch: bool,
    /// Judge by the limits of Firebase's hosted service
    #[arg(long)]
    firebase_limits: bool,
    /// Print one JSON object instead of text
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Debug)]
struct CoverageOutput {
    format: CoverageFormat,
    file: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum CoverageFormat {
    Text,
    Json,
    Html,
}

impl CoverageOutput {
    fn parse(argument: &str) -> Result<Self, String> {
        let (format, file) = match argument.split_once('=') {
            Some((_, "")) => return Err("a file's name is expected behind `=`".to_owned()),
            Some((format, file)) => (format, Some(PathBuf::from(file))),
            None => (argument, None),
        };
        let format = match format {
            "text" => CoverageFormat::Text,
            "json" => CoverageFormat::Json,
            "html" => CoverageFormat::Html,
            _ => return Err("the formats are `text`, `json` and `html`".to_owned()),
        };
        Ok(Self { format, file })
    }
}

pub(super) fn test(arguments: &TestArguments) -> Result<(), AndironError> {
    if !arguments.watch {
        return run(arguments);
    }
    loop {
        let look = Look::at(&arguments.folder.dir, &arguments.paths);
        if std::io::stderr().is_terminal() {
            // An empty screen, so that what is seen is of this run.
            output::note("\x1b[2J\x1b[H");
        }
        if let Err(error) = run(arguments) {
            output::complain(&error.to_string());
        }
        output::note("waiting for a change of the rules or their tests; Ctrl-C ends");
        look.wait(&arguments.folder.dir, &arguments.paths);
    }
}

/// Rules with what the tests of them evaluated.
struct Tested {
    files: Vec<PathBuf>,
    subject: Subject,
    coverage: Coverage,
}

/// What came of a test file.
struct FileOutcome {
    name: String,
    sources: Sources,
    tests: Vec<TestOutcome>,
}

fn run(arguments: &TestArguments) -> Result<(), AndironError> {
    let started = Instant::now();
    let folder = &arguments.folder.dir;
    let files = test_files(arguments)?;
    let mut tested: Vec<Tested> = Vec::new();
    let mut outcomes = Vec::new();
    let mut broken = Vec::new();
    for file in &files {
        let tests = TestFile::read(read_source(&name_of(folder, file), file)?);
        if tests.has_errors() {
            broken.push(rendered(tests.diagnostics(), tests.sources()));
            continue;
        }
        let rules = rules_of(folder, file, &tests)?;
        let place = match tested.iter().position(|known| known.files == rules) {
            Some(place) => place,
            None => {
                let program = load_rules(folder, &rules)?;
                let subject = Subject::new(program, limits(arguments.firebase_limits));
                if subject.has_errors() {
                    let errors = subject
                        .diagnostics()
                        .filter(|diagnostic| diagnostic.severity == andiron_rules::Severity::Error);
                    broken.push(rendered(errors, subject.program().sources()));
                }
                tested.push(Tested {
                    files: rules,
                    subject,
                    coverage: Coverage::default(),
                });
                tested.len() - 1
            }
        };
        let Tested {
            subject, coverage, ..
        } = &mut tested[place];
        if subject.has_errors() {
            continue;
        }
        outcomes.push(FileOutcome {
            name: tests.name().to_owned(),
            tests: tests.run(subject, coverage),
            sources: tests.sources().clone(),
        });
    }
    if !broken.is_empty() {
        output::note(&broken.join("\n"));
        return Err(AndironError::Usage(
            "the tests cannot run before these errors are gone".to_owned(),
        ));
    }
    let mut report = CoverageReport::default();
    for tested in &tested {
        report.add(
            tested.subject.program(),
            tested.subject.checked(),
            &tested.coverage,
        );
    }
    conclude(arguments, &outcomes, &report, started)
}

/// The test files that are meant.
fn test_files(arguments: &TestArguments) -> Result<Vec<PathBuf>, AndironError> {
    let folder = [arguments.folder.dir.clone()];
    let paths = if arguments.paths.is_empty() {
        &folder[..]
    } else {
        &arguments.paths
    };
    let mut files = Vec::new();
    for path in paths {
        if path.is_dir() {
            files.extend(find_rules(path)?.into_iter().filter(|file| is_test_file(file)));
        } else {
            files.push(path.clone());
        }
    }
    let mut seen = std::collections::HashSet::new();
    files.retain(|file| seen.insert(absolute(file)));
    if files.is_empty() {
        return Err(AndironError::Usage(format!(
            "there are no *.test.rules files in {}",
            paths
                .iter()
                .map(|path| format!("`{}`", path.display()))
                .collect::<Vec<_>>()
                .join(", ")
        )));
    }
    Ok(files)
}

/// The rules that a test file tests: those that it names, else those of its own name beside it, else the project's.
fn rules_of(folder: &Path, file: &Path, tests: &TestFile) -> Result<Vec<PathBuf>, AndironError> {
    let beside = file.parent().unwrap_or(Path::new(""));
    if !tests.targets().is_empty() {
        return Ok(tests.targets().iter().map(|target| beside.join(target)).collect());
    }
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let namesake = name
        .strip_suffix(andiron_rules::testing::TEST_FILE_SUFFIX)
        .map(|stem| beside.join(format!("{stem}.rules")));
    match namesake {
        Some(namesake) if namesake.is_file() => Ok(vec![namesake]),
        _ => project_rules(folder),
    }
}

fn conclude(
    arguments: &TestArguments,
    outcomes: &[FileOutcome],
    report: &CoverageReport,
    started: Instant,
) -> Result<(), AndironError> {
    let tests = || outcomes.iter().flat_map(|outcome| &outcome.tests);
    let (all, failed) = (tests().count(), tests().filter(|test| !test.passes()).count());
    let expectations: usize = tests().map(|test| test.expectations).sum();
    let coverage = arguments.coverage.as_ref();
    let is_missed = arguments
        .min_coverage
        .is_some_and(|wanted| report.expressions.percent() < f64::from(wanted));
    if arguments.json {
        let mut answer = serde_json::json!({
            "passed": failed == 0 && !is_missed,
            "expectations": expectations,
            "failed": failed,
            "tests": tests().collect::<Vec<_>>(),
        });
        if coverage.is_some_and(|output| output.format == CoverageFormat::Json && output.file.is_none()) {
            answer["coverage"] = serde_json::to_value(report).map_err(|error| AndironError::System {
                doing: "writing JSON",
                source: error.into(),
            })?;
        }
        output::print(&format!("{answer}\n"))?;
    } else {
        let text = outcomes.iter().map(told).collect::<String>();
        // Coverage as JSON on standard output stands there alone.
        if coverage.is_some_and(|output| output.format == CoverageFormat::Json && output.file.is_none()) {
            output::note(text.trim_end());
        } else {
            output::print(&text)?;
        }
    }
    if let Some(wanted) = coverage {
        write_coverage(wanted, report, arguments.json)?;
    }
    let sum = format!(
        "{}, {}",
        counted(all as u64, "test"),
        counted(expectations as u64, "expectation")
    );
    if failed > 0 {
        return Err(AndironError::Failed(format!("{failed} of {sum} failed")));
    }
    if is_missed {
        return Err(AndironError::Failed(format!(
            "{sum} passed, but only {} of {} sub-expressions were evaluated ({}), and --min-coverage asks for {} %",
            report.expressions.covered,
            report.expressions.total,
            report.expressions.shown(),
            arguments.min_coverage.unwrap_or_default()
        )));
    }
    if !arguments.json {
        output::note(&format!("{sum} passed in {} ms", started.elapsed().as_millis()));
    }
    Ok(())
}

fn write_coverage(
    wanted: &CoverageOutput,
    report: &CoverageReport,
    is_json: bool,
) -> Result<(), AndironError> {
    let content = match wanted.format {
        CoverageFormat::Text => text(report),
        CoverageFormat::Html => html(report, "Coverage of the rules"),
        CoverageFormat::Json => {
            let json = serde_json::to_string(report).map_err(|error| AndironError::System {
                doing: "writing JSON",
                source: error.into(),
            })?;
            format!("{json}\n")
        }
    };
    let file = match (&wanted.file, wanted.format) {
        (Some(file), _) => Some(file.clone()),
        (None, CoverageFormat::Html) => Some(PathBuf::from(PAGE_FILE)),
        (None, CoverageFormat::Text | CoverageFormat::Json) => None,
    };
    match file {
        Some(file) => {
            std::fs::write(&file, content).map_err(AndironError::file("writing", &file))?;
            output::note(&format!("coverage written to `{}`", file.display()));
            Ok(())
        }
        // With --json it is part of the one object, or text that would spoil it.
        None if is_json => {
            if wanted.format == CoverageFormat::Text {
                output::note(content.trim_end());
            }
            Ok(())
        }
        None => output::print(&content),
    }
}

/// A file's tests as people read them.
fn told(outcome: &FileOutcome) -> String {
    let mut told = format!("{}\n", outcome.name);
    for test in &outcome.tests {
        let mark = if test.passes() { "ok  " } else { "FAIL" };
        let _ = writeln!(told, "  {mark}  {} ({})", test.name, test.expectations);
        for failure in &test.failures {
            failed(&mut told, failure, &outcome.sources);
        }
    }
    told
}

fn failed(told: &mut String, failure: &Failure, sources: &Sources) {
    let Failure {
        file, line, column, ..
    } = failure;
    let _ = writeln!(told, "\n    {file}:{line}:{column}: {}", failure.message);
    let source = sources.get(failure.span.file);
    let number = line.to_string();
    let shown = source.line(*line);
    let indent = shown.len() - shown.trim_start().len();
    let carets = source.text()[failure.span.range()]
        .lines()
        .next()
        .map_or(1, |first| first.chars().count().max(1));
    let before = (*column as usize).saturating_sub(1 + indent);
    let _ = writeln!(told, "      {number} | {}", shown.trim());
    let _ = writeln!(
        told,
        "      {:width$} | {:before$}{}",
        "",
        "",
        "^".repeat(carets),
        width = number.len()
    );
    for explained in &failure.explanations {
        let _ = write!(told, "\n      {}: ", explained.operation);
        for (place, line) in explanation_text(&explained.explanation).lines().enumerate() {
            let indent = if place == 0 || line.is_empty() {
                ""
            } else {
                "      "
            };
            let _ = writeln!(told, "{indent}{line}");
        }
    }
    told.push('\n');
}
