//! How long parsing, checking and formatting take: `cargo run --release -p andiron-rules --example rules_speed [LINES]`.
//!
//! The file is made up of collections with the rules of a real application: functions with look-ups, validation, several
//! allows.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use andiron_rules::{Limits, Program, Source, check, format};

/// How often each step is measured; the median counts.
const RUNS: usize = 15;

/// A program of about so many lines.
fn program_of(lines: usize) -> String {
    let mut text = String::from(
        "rules_version = '2';\nservice cloud.firestore {\n  match /databases/{database}/documents {\n    function signedIn() {\n      return request.auth != null;\n    }\n",
    );
    let mut number = 0;
    while text.lines().count() + 2 < lines {
        number += 1;
        let _ = write!(
            text,
            "
    // Things of kind {number}.
    match /things{number}/{{id}} {{
      function isOwner{number}(document) {{
        let owner = document.data.owner;
        return signedIn() && request.auth.uid == owner;
      }}
      function isValid{number}() {{
        let new = request.resource.data;
        return new.keys().hasOnly(['title', 'body', 'owner', 'tags', 'at'])
          && new.title is string && new.title.size() <= 120
          && new.body.matches('(?s).{{0,1000}}')
          && new.tags is list && new.tags.size() < 10
          && new.at == request.time;
      }}
      allow get: if resource == null || isOwner{number}(resource);
      allow list: if signedIn() && resource.data.owner == request.auth.uid && request.query.limit <= 50;
      allow create: if isOwner{number}(request.resource) && isValid{number}();
      allow update: if isOwner{number}(resource)
        && request.resource.data.diff(resource.data).affectedKeys().hasOnly(['title', 'body', 'tags', 'at'])
        && isValid{number}();
      allow delete: if isOwner{number}(resource)
        || get(/databases/$(database)/documents/users/$(request.auth.uid)).data.role in ['admin', 'moderator'];
    }}
"
        );
    }
    text.push_str("  }\n}\n");
    text
}

fn median(mut step: impl FnMut()) -> Duration {
    let mut times: Vec<Duration> = (0..RUNS)
        .map(|_| {
            let begun = Instant::now();
            step();
            begun.elapsed()
        })
        .collect();
    times.sort();
    times[RUNS / 2]
}

fn main() {
    let lines = std::env::args()
        .nth(1)
        .and_then(|lines| lines.parse().ok())
        .unwrap_or(4000);
    let text = program_of(lines);
    let source = || Source::new("speed.rules", text.as_str()).expect("the text is short enough");
    let limits = Limits::default();
    println!("{} lines, {} bytes", text.lines().count(), text.len());
    println!(
        "parse          {:>8.2?}",
        median(|| drop(Program::single(source())))
    );
    let program = Program::single(source());
    println!(
        "check          {:>8.2?}",
        median(|| drop(check(&program, &limits)))
    );
    println!("format         {:>8.2?}", median(|| drop(format(&source()))));
    let checked = check(&program, &limits);
    println!(
        "{} expressions, {} diagnostics",
        program.files()[0].expressions,
        program.diagnostics().len() + checked.diagnostics().len()
    );
    for diagnostic in checked.diagnostics().iter().take(3) {
        print!(
            "{}",
            andiron_rules::diagnostic::render(diagnostic, program.sources())
        );
    }
}
