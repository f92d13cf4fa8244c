//! `andiron types`: the types that rules declare, for clients.

use std::path::PathBuf;

use andiron_rules::Limits;
use andiron_rules::declared_types::{TypeLanguage, print_types};
use andiron_rules::diagnostic::{Severity, render};
use andiron_rules::testing::Subject;
use clap::{Args, ValueEnum};

use super::rules::{RulesFolder, load_rules, project_rules};
use crate::AndironError;
use crate::cli::output;

#[derive(Debug, Args)]
pub(crate) struct TypesArguments {
    /// The language
    #[arg(long, value_enum)]
    lang: Language,
    /// A rules file; may be given several times [default: the project's rules]
    #[arg(long, value_name = "FILE")]
    rules: Vec<PathBuf>,
    #[command(flatten)]
    folder: RulesFolder,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Language {
    /// TypeScript interfaces
    Ts,
    /// Rust structs for serde
    Rust,
    /// JSON Schema, draft 2020-12
    JsonSchema,
}

pub(super) fn types(arguments: &TypesArguments) -> Result<(), AndironError> {
    let folder = &arguments.folder.dir;
    let files = if arguments.rules.is_empty() {
        project_rules(folder)?
    } else {
        arguments.rules.clone()
    };
    let subject = Subject::new(load_rules(folder, &files)?, Limits::default());
    if subject.has_errors() {
        let errors: Vec<_> = subject
            .diagnostics()
            .filter(|diagnostic| diagnostic.severity == Severity::Error)
            .map(|diagnostic| render(diagnostic, subject.program().sources()))
            .collect();
        output::note(&errors.join("\n"));
        return Err(AndironError::Usage(
            "the rules have errors, so their types are not known".to_owned(),
        ));
    }
    let language = match arguments.lang {
        Language::Ts => TypeLanguage::TypeScript,
        Language::Rust => TypeLanguage::Rust,
        Language::JsonSchema => TypeLanguage::JsonSchema,
    };
    if subject.checked().types().is_empty() {
        output::note(
            "these rules declare no types; `type Post = { … };` does, with `rules_version = 'andiron1';`",
        );
    }
    output::print(&print_types(subject.program(), subject.checked(), language))
}
