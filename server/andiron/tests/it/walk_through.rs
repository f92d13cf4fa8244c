//! The pages that walk through the program, as they stand there, with a real shell, a real `curl` and the real program.
//!
//! Every `sh` block is run; a `json` or `text` block after it is what it must print, `…` standing for any string. The
//! only changes: `andiron serve` goes to the background on a free port, and the page's address becomes that one's.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use crate::program;

/// Runs before the blocks. Whatever is still running when the shell ends is killed by its own number.
const PRELUDE: &str = r#"
set -eu
ADDRESS=
SERVER=
trap 'kill -9 $(jobs -p) 2>/dev/null || true' EXIT
andiron() {
    if [ "$1" != serve ]; then
        command andiron "$@"
        return
    fi
    # A server that was killed is gone a moment later, and its port may be somebody else's then.
    test -z "$SERVER" || wait "$SERVER" || true
    : > serve.out
    command andiron "$@" --listen 127.0.0.1:0 > serve.out 2>> serve.err &
    SERVER=$!
    for _ in $(seq 600); do
        ADDRESS=$(sed -n 's|.*http://\([0-9.:]*\)$|\1|p' serve.out | head -1)
        if [ -n "$ADDRESS" ] && curl -s -o answer "http://$ADDRESS/readyz"; then
            API=http://$ADDRESS/api/v1
            return
        fi
        kill -0 "$SERVER"
        sleep 0.1
    done
    exit 1
}
"#;

/// A fenced block of a page.
struct Block {
    language: String,
    text: String,
    line: usize,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .canonicalize()
        .unwrap()
}

fn blocks(page: &str) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    let mut open = false;
    for (number, line) in page.lines().enumerate() {
        match line.strip_prefix("```") {
            Some(_) if open => open = false,
            Some(language) => {
                open = true;
                blocks.push(Block {
                    language: language.to_owned(),
                    text: String::new(),
                    line: number + 1,
                });
            }
            None if open => writeln!(blocks.last_mut().unwrap().text, "{line}").unwrap(),
            None => {}
        }
    }
    blocks
}

/// Whether what was printed is what was expected, where the string `…` stands for any string.
fn agrees(expected: &Value, printed: &Value) -> bool {
    match (expected, printed) {
        (Value::String(any), Value::String(_)) if any == "…" => true,
        (Value::Array(expected), Value::Array(printed)) => {
            expected.len() == printed.len()
                && expected
                    .iter()
                    .zip(printed)
                    .all(|(expected, printed)| agrees(expected, printed))
        }
        (Value::Object(expected), Value::Object(printed)) => {
            expected.len() == printed.len()
                && expected
                    .iter()
                    .all(|(key, expected)| printed.get(key).is_some_and(|printed| agrees(expected, printed)))
        }
        _ => expected == printed,
    }
}

/// JSON values one after the other.
fn values(text: &str) -> Result<Vec<Value>, serde_json::Error> {
    serde_json::Deserializer::from_str(text).into_iter().collect()
}

/// Walks through a page in a fresh folder, which comes back.
fn walk_through(name: &str) -> TempDir {
    let page = fs::read_to_string(root().join(name)).unwrap();
    let blocks = blocks(&page);
    let folder = tempfile::tempdir().unwrap();
    // The walk-through is done in a clone of the repository.
    std::os::unix::fs::symlink(root().join("examples"), folder.path().join("examples")).unwrap();

    let mut script = PRELUDE.to_owned();
    for (number, block) in blocks
        .iter()
        .enumerate()
        .filter(|(_, block)| block.language == "sh")
    {
        let text = block.text.replace("127.0.0.1:8750", "$ADDRESS");
        write!(script, "exec > {number}.out\n{text}").unwrap();
    }
    let path = format!(
        "{}:{}",
        program().parent().unwrap().display(),
        std::env::var("PATH").unwrap_or_default()
    );
    let mut shell = Command::new("bash");
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("ANDIRON_") {
            shell.env_remove(name);
        }
    }
    let output = shell
        .arg("-c")
        .arg(&script)
        .current_dir(folder.path())
        .env("PATH", path)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    let log = fs::read_to_string(folder.path().join("serve.err")).unwrap_or_default();
    assert!(output.status.success(), "{}: {said}\n{log}", output.status);

    let mut compared = 0;
    for (number, pair) in blocks.windows(2).enumerate() {
        let [block, expected] = pair else {
            unreachable!("windows of two are two");
        };
        if block.language != "sh" || expected.language == "sh" {
            continue;
        }
        let printed = fs::read_to_string(folder.path().join(format!("{number}.out"))).unwrap();
        let line = expected.line;
        match expected.language.as_str() {
            "text" => assert_eq!(printed.trim(), expected.text.trim(), "{name}:{line}"),
            "json" => {
                let wanted = values(&expected.text).unwrap_or_else(|error| panic!("{name}:{line}: {error}"));
                let found =
                    values(&printed).unwrap_or_else(|error| panic!("{name}:{line}: {error}: {printed}"));
                let agree = wanted.len() == found.len()
                    && wanted
                        .iter()
                        .zip(&found)
                        .all(|(wanted, found)| agrees(wanted, found));
                assert!(agree, "{name}:{line} does not agree with\n{printed}");
            }
            other => panic!("{name}:{line}: what is a block of `{other}`?"),
        }
        compared += 1;
    }
    assert!(compared >= 6, "{name} shows what its commands print");
    folder
}

#[test]
fn the_readme_does_what_it_says() {
    let folder = walk_through("README.md");
    // The first lines of the copy's documents are the films in the order of the file, and nothing is missing.
    let everything = fs::read_to_string(folder.path().join("everything.ndjson")).unwrap();
    assert_eq!(everything.lines().count(), andiron_testkit::MOVIES_COUNT + 4);
}

#[test]
fn the_page_on_queries_does_what_it_says() {
    walk_through("docs/queries.md");
}

#[test]
fn the_page_on_accounts_does_what_it_says() {
    walk_through("docs/accounts.md");
}

#[test]
fn the_page_on_files_does_what_it_says() {
    walk_through("docs/files.md");
}

#[test]
fn the_page_on_live_queries_does_what_it_says() {
    walk_through("docs/live.md");
}
