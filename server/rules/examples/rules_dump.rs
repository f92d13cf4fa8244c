//! Parses a file and prints its tree and what is wrong with it: `cargo run -p andiron-rules --example rules_dump FILE`.

use std::process::ExitCode;

use andiron_rules::{Severity, Source, Sources, diagnostic, parse, syntax};

fn main() -> ExitCode {
    let Some(path) = std::env::args().nth(1) else {
        eprintln!("usage: rules_dump FILE");
        return ExitCode::FAILURE;
    };
    let source = match std::fs::read(&path) {
        Ok(bytes) => Source::from_bytes(path, &bytes),
        Err(error) => {
            eprintln!("{path}: {error}");
            return ExitCode::FAILURE;
        }
    };
    let source = match source {
        Ok(source) => source,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::FAILURE;
        }
    };
    let mut sources = Sources::default();
    let id = sources.add(source);
    let parsed = parse(id, sources.get(id));
    print!("{}", syntax::dump(&parsed.file));
    for diagnostic in &parsed.diagnostics {
        eprint!("\n{}", diagnostic::render(diagnostic, &sources));
    }
    let failed = parsed
        .diagnostics
        .iter()
        .any(|diagnostic| diagnostic.severity == Severity::Error);
    if failed {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    }
}
