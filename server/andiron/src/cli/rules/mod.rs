//! `andiron rules`: checking, formatting, testing and explaining rules files, without a server.

mod check;
mod explain;
mod files;
mod fmt;
mod outcome;
mod test;
mod watch;

use clap::Subcommand;

use crate::AndironError;
pub(crate) use files::{RulesFolder, load_rules, project_rules};

#[derive(Debug, Subcommand)]
pub(crate) enum RulesAction {
    /// Say what is wrong with rules files, and what probably is
    Check(check::CheckArguments),
    /// Lay rules files out in the one way that there is
    Fmt(fmt::FmtArguments),
    /// Run the tests in *.test.rules files
    Test(test::TestArguments),
    /// Say why a request is allowed or denied
    Explain(explain::ExplainArguments),
}

pub(crate) fn rules(action: RulesAction) -> Result<(), AndironError> {
    match action {
        RulesAction::Check(arguments) => check::check(&arguments),
        RulesAction::Fmt(arguments) => fmt::fmt(&arguments),
        RulesAction::Test(arguments) => test::test(&arguments),
        RulesAction::Explain(arguments) => super::on_runtime(explain::explain(arguments)),
    }
}
