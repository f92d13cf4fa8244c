//! `andiron config`: what holds, and where it comes from.

use clap::Subcommand;

use crate::AndironError;
use crate::cli::{ServeArguments, output};
use crate::project::Project;

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigAction {
    /// Print every setting, its value and where that comes from, as a file that `andiron.toml` may be
    Show(ServeArguments),
}

pub(crate) fn config(action: &ConfigAction) -> Result<(), AndironError> {
    let ConfigAction::Show(arguments) = action;
    let project = Project::open(&arguments.folder.dir, &arguments.flags()?)?;
    let entries: Vec<_> = project
        .configuration()
        .entries()
        .map(|(setting, value, origin)| (format!("{} = {value}", setting.key), origin))
        .collect();
    let chars = entries
        .iter()
        .map(|(assignment, _)| assignment.chars().count())
        .max()
        .unwrap_or_default();
    let lines = entries
        .iter()
        .map(|(assignment, origin)| format!("{assignment:chars$}  # {origin}\n"));
    output::print(&lines.collect::<String>())
}
