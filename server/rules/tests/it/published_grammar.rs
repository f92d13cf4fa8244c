//! Agreement with the grammar that Google publishes for ESLint: on every golden source, on a table of snippets, and on
//! mutations of both, the two parsers accept and refuse the same. Where ours differs on purpose, [`DIFFERENCES`] says so.
//!
//! The package comes from npm into the ignored folder `.tools/`; the test fails if Node.js or npm is missing.

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use andiron_rules::Code;

use crate::{
    golden,
    mutation::{Random, mutate},
    parse_text,
    snippets::snippets,
};

const PACKAGE: &str = "@firebase/eslint-plugin-security-rules@0.0.2";

/// How many mutations are compared; more with `ANDIRON_GRAMMAR_MUTATIONS`.
const MUTATIONS: usize = 1500;

/// A deliberate difference.
struct Difference {
    /// Who accepts what the other refuses.
    accepted_by: Side,
    /// Why.
    reason: &'static str,
    /// Whether a source shows it.
    applies: fn(&str) -> bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Ours,
    Google,
}

const DIFFERENCES: &[Difference] = &[
    Difference {
        accepted_by: Side::Ours,
        reason: "theirs reads a service's name behind every word `service`, so that `x.service` is an error there",
        applies: |source| contains_after(source, ".", "service"),
    },
    Difference {
        accepted_by: Side::Ours,
        reason: "theirs allows no comment between `service` and its name",
        applies: |source| contains_after(source, "service", "/"),
    },
    Difference {
        accepted_by: Side::Ours,
        reason: "theirs stops with an exception of its own at `import … as`; the words are in its grammar",
        applies: |source| source.contains("import") && source.contains(" as"),
    },
    Difference {
        accepted_by: Side::Ours,
        reason: "the wrapper around their parser compares the version as it is written, ours resolves its escapes",
        applies: |source| version_text(source).is_some_and(|version| version.contains('\\')),
    },
    Difference {
        accepted_by: Side::Google,
        reason: "the wrapper around their parser removes every quote from the version, ours only those around it",
        applies: |source| version_text(source).is_some_and(|version| version.contains(['\'', '"'])),
    },
    Difference {
        accepted_by: Side::Ours,
        reason: "some editors put a byte order mark before a file; ours skips it",
        applies: |source| source.starts_with('\u{feff}'),
    },
];

/// What stands between the quotes of the version.
fn version_text(source: &str) -> Option<&str> {
    let (_, rest) = source.split_once("rules_version")?;
    let rest = rest.trim_start().strip_prefix('=')?.trim_start();
    let quote = rest.chars().next().filter(|quote| matches!(quote, '\'' | '"'))?;
    rest[1..].split(quote).next()
}

fn contains_after(source: &str, first: &str, second: &str) -> bool {
    source
        .match_indices(first)
        .any(|(at, _)| source[at + first.len()..].trim_start().starts_with(second))
}

#[derive(serde::Deserialize)]
struct Answer {
    accepted: bool,
    message: Option<String>,
    line: Option<u32>,
    column: Option<u32>,
}

#[test]
fn ours_and_the_published_grammar_accept_and_refuse_the_same() {
    let tools = install();
    let mut sources: Vec<String> = golden::sources().into_iter().map(|(_, text)| text).collect();
    sources.extend(snippets().into_iter().map(|snippet| snippet.source));
    // The wrapper around their parser knows the versions 1 and 2 alone.
    sources.retain(|source| !source.contains("andiron1"));
    // What is wrong already stays wrong with one more mistake, which says nothing.
    let good: Vec<String> = sources
        .iter()
        .filter(|source| syntax_error(source).is_none())
        .cloned()
        .collect();
    let count = std::env::var("ANDIRON_GRAMMAR_MUTATIONS").map_or(MUTATIONS, |count| count.parse().unwrap());
    let seed = std::env::var("ANDIRON_GRAMMAR_SEED").map_or(1, |seed| seed.parse().unwrap());
    let mut random = Random::new(seed);
    sources.extend((0..count).map(|_| mutate(&good[random.below(good.len())], &mut random)));

    let answers = ask(&tools, &sources);
    let mut complaints = Vec::new();
    let (mut accepted, mut excused) = (0, 0);
    for (source, theirs) in sources.iter().zip(&answers) {
        let ours = syntax_error(source);
        accepted += usize::from(theirs.accepted);
        if theirs.accepted == ours.is_none() {
            continue;
        }
        let accepted_by = if theirs.accepted { Side::Google } else { Side::Ours };
        if DIFFERENCES
            .iter()
            .any(|difference| difference.accepted_by == accepted_by && (difference.applies)(source))
        {
            excused += 1;
            continue;
        }
        let ours = ours.unwrap_or_else(|| "accepts".into());
        let theirs = match &theirs.message {
            Some(message) => format!(
                "{}:{}: {message}",
                theirs.line.unwrap_or(0),
                theirs.column.unwrap_or(0)
            ),
            None => "accepts".into(),
        };
        complaints.push(format!("--- ours: {ours}\n--- theirs: {theirs}\n{source}\n"));
    }
    assert!(
        complaints.is_empty(),
        "{} of {} sources are judged differently (seed {seed}):\n{}",
        complaints.len(),
        sources.len(),
        complaints.iter().take(20).cloned().collect::<String>()
    );
    // The comparison means nothing if nearly everything is refused, or if nearly everything is excused.
    assert!(
        accepted * 10 > sources.len(),
        "only {accepted} of {} sources are accepted",
        sources.len()
    );
    assert!(
        excused * 50 < sources.len(),
        "{excused} of {} sources are excused",
        sources.len()
    );
    for difference in DIFFERENCES {
        assert!(!difference.reason.is_empty());
    }
}

/// Our first complaint about what a grammar can say.
fn syntax_error(source: &str) -> Option<String> {
    let (sources, parsed) = parse_text(source);
    let error = parsed
        .diagnostics
        .iter()
        .find(|diagnostic| matches!(diagnostic.code, Code::Syntax | Code::Version))?;
    let position = sources.position(error.span);
    Some(format!(
        "{}:{}: {}",
        position.line, position.column, error.message
    ))
}

/// What the published parser says of each source.
fn ask(tools: &Path, sources: &[String]) -> Vec<Answer> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/published_grammar.mjs");
    let mut child = Command::new("node")
        .arg(script)
        .arg(tools)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let lines: String = sources
        .iter()
        .map(|source| serde_json::to_string(source).unwrap() + "\n")
        .collect();
    let writer = std::thread::spawn(move || stdin.write_all(lines.as_bytes()));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    assert!(output.status.success(), "node ended with {}", output.status);
    let answers: Vec<Answer> = output
        .stdout
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
        .map(|line| serde_json::from_slice(line).unwrap())
        .collect();
    assert_eq!(answers.len(), sources.len());
    answers
}

/// Installs the package into the workspace's tools, unless it is there.
fn install() -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.tools/security-rules-grammar");
    let stamp = folder.join("installed");
    if fs::read_to_string(&stamp).is_ok_and(|installed| installed == PACKAGE) {
        return folder;
    }
    for program in ["node", "npm"] {
        let found = Command::new(program).arg("--version").output();
        assert!(
            found.is_ok_and(|output| output.status.success()),
            "{program} is missing: comparing with the published grammar needs Node.js and npm \
             (it is part of `cargo xtask test`; plain `cargo test` leaves it out)"
        );
    }
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("package.json"), "{\"private\": true}\n").unwrap();
    let status = Command::new("npm")
        .args([
            "install",
            "--ignore-scripts",
            "--no-audit",
            "--no-fund",
            "--save-exact",
            PACKAGE,
        ])
        .current_dir(&folder)
        .status()
        .unwrap();
    assert!(status.success(), "npm could not install {PACKAGE}");
    fs::write(&stamp, PACKAGE).unwrap();
    folder
}
