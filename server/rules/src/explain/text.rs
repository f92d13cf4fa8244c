//! An explanation as people read it.

use std::fmt::Write as _;

use super::answer::{Explanation, Operand, TriedAllow, WouldPass};

/// An explanation as people read it, line by line; the first line says how it ended.
pub fn explanation_text(explanation: &Explanation) -> String {
    let mut text = String::new();
    let _ = writeln!(text, "{}", explanation.message);
    if let Some(reason) = &explanation.reason {
        let _ = writeln!(text, "the client is told: {reason}");
    }
    if let Some(problem) = &explanation.mismatch {
        let place = &problem.place;
        let _ = writeln!(
            text,
            "\n{}:{}:{}  this type is required\n  {}",
            place.file, place.line, place.column, explanation.message
        );
    }
    if let Some(list) = &explanation.list {
        if let Some(filter) = &list.filter_expression {
            let rest = if list.exact {
                ""
            } else {
                ", and each of those is judged on its own"
            };
            let _ = writeln!(text, "what comes back: where {filter}{rest}");
        }
        for missing in &list.missing {
            let place = &missing.place;
            let _ = writeln!(
                text,
                "\n{}:{}:{}  the query leaves open: {}",
                place.file, place.line, place.column, missing.expression
            );
            if let Some(filter) = &missing.where_expression {
                let _ = writeln!(text, "  it would be proved by: where {filter}");
            }
        }
        if !list.gives.is_empty() || !list.hides.is_empty() {
            let _ = writeln!(
                text,
                "of the request's documents it gives: {}; it hides: {}",
                shown(&list.gives),
                shown(&list.hides)
            );
        }
    }
    for tried in explanation.decided_by.iter().chain(&explanation.tried) {
        allow(&mut text, tried);
    }
    if !explanation.lookups.is_empty() {
        let _ = writeln!(text, "\nlooked up: {}", explanation.lookups.join(", "));
    }
    text
}

fn allow(text: &mut String, tried: &TriedAllow) {
    let place = &tried.place;
    let _ = writeln!(
        text,
        "\n{}:{}:{}  {}\n  {}",
        place.file, place.line, place.column, tried.text, tried.result
    );
    match &tried.would_pass {
        Some(obstacle) => {
            let _ = writeln!(text, "  it would grant if");
            would_pass(text, obstacle, 2, &place.file);
        }
        None if tried.result != "true" => {
            let _ = writeln!(text, "  {}", tried.message);
        }
        None => {
            // The values that made it true: those of the operands of the condition's parts, not every literal.
            let shown = tried.trace.iter().filter(|step| {
                step.value.as_deref().is_some_and(|value| {
                    step.depth > 1 && value != step.expression && value.chars().count() <= 60
                })
            });
            for step in shown.take(12) {
                let value = step.value.as_deref().unwrap_or_default();
                let _ = writeln!(
                    text,
                    "    {}:{}  `{}` is {value}",
                    step.place.line, step.place.column, step.expression
                );
            }
        }
    }
}

fn would_pass(text: &mut String, obstacle: &WouldPass, level: usize, file: &str) {
    let indent = level * 2;
    let (parts, label) = match obstacle {
        WouldPass::All(parts) => (parts, "all of"),
        WouldPass::Any(parts) => (parts, "one of"),
        WouldPass::Part {
            place,
            expression,
            wanted,
            value,
            error,
            operands,
        } => {
            let file = if place.file == file {
                String::new()
            } else {
                format!("{}:", place.file)
            };
            let now = match (value, error) {
                (Some(value), _) => format!("is {value}"),
                (None, Some(error)) => format!("fails: {error}"),
                (None, None) => String::new(),
            };
            let _ = writeln!(
                text,
                "{:indent$}{file}{}:{}  `{expression}` were {wanted}; it {now}",
                "", place.line, place.column
            );
            for Operand {
                expression,
                value,
                error,
            } in operands
            {
                let now = match (value, error) {
                    (Some(value), _) => format!("is {value}"),
                    (None, Some(error)) => format!("fails: {error}"),
                    (None, None) => continue,
                };
                let _ = writeln!(text, "{:indent$}    `{expression}` {now}", "");
            }
            return;
        }
    };
    let _ = writeln!(text, "{:indent$}{label}", "");
    for part in parts {
        would_pass(text, part, level + 1, file);
    }
}

fn shown(paths: &[String]) -> String {
    if paths.is_empty() {
        "none".to_owned()
    } else {
        paths.join(", ")
    }
}
