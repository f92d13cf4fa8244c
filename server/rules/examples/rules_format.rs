//! Formats a file and prints the result: `cargo run -p andiron-rules --example rules_format FILE`.

use std::process::ExitCode;

use andiron_rules::{Source, format};

fn main() -> ExitCode {
    let Some(path) = std::env::args().nth(1) else {
        eprintln!("usage: rules_format FILE");
        return ExitCode::FAILURE;
    };
    let formatted = std::fs::read(&path)
        .map_err(|error| error.to_string())
        .and_then(|bytes| Source::from_bytes(path.as_str(), &bytes).map_err(|error| error.to_string()))
        .and_then(|source| format(&source).map_err(|errors| format!("{} errors", errors.len())));
    match formatted {
        Ok(text) => {
            print!("{text}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{path}: {error}");
            ExitCode::FAILURE
        }
    }
}
