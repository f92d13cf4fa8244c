//! Tests of rules in a language of their own: `*.test.rules`.
//!
//! A test says which documents are there, who asks, when, and what is to be allowed or denied:
//!
//! ```text
//! tests "./andiron.rules";
//!
//! given {
//!   /posts/p1 { author: 'alice', published: false }
//! }
//!
//! test "authors see and change their own posts" {
//!   as 'alice' {
//!     allow get /posts/p1;
//!     allow update /posts/p1 { published: true };
//!     deny update /posts/p1 { author: 'bob' };
//!   }
//!   as nobody { deny get /posts/p1; }
//! }
//! ```
//!
//! Expectations are judged one by one by the evaluator, each on what is given: nothing that one does is there for the next.
//! A list is judged document by document, as the slow and obvious definition has it, unless it is `strict`. What the
//! language has stands at the parser; what it means, in `docs/rules.md`.
//!
//! - `syntax`: the tree. The parser of it is [`parser`](crate::parser)'s.
//! - `constant`: the values that are written down.
//! - `compile`: from the tree to expectations that can be judged.
//! - `run`: judging them.
//! - `coverage`: what of the rules has been evaluated, and to what; as text, JSON and an HTML page.
//!
//! Nothing here reads files; the command line finds them and the rules that they test.

mod compile;
mod constant;
mod coverage;
mod run;
pub(crate) mod syntax;

use crate::check::{Checked, check};
use crate::diagnostic::{Diagnostic, has_errors};
use crate::evaluate::{Coverage, Ruleset};
use crate::limits::Limits;
use crate::parser::parse_test_file;
use crate::program::Program;
use crate::source::{FileId, Source, Sources};

pub use coverage::{
    CoverageReport, ExpressionCoverage, Figure, FileCoverage, LineCoverage, Reach, html, text,
};
pub use run::{Failure, SubjectExplanation, TestOutcome};

/// How the names of test files end.
pub const TEST_FILE_SUFFIX: &str = ".test.rules";

/// A test file that has been read.
#[derive(Clone, Debug)]
pub struct TestFile {
    sources: Sources,
    targets: Vec<String>,
    cases: Vec<compile::Case>,
    diagnostics: Vec<Diagnostic>,
}

impl TestFile {
    /// Reads a test file; what is wrong with it is among its [diagnostics](TestFile::diagnostics).
    pub fn read(source: Source) -> Self {
        let mut sources = Sources::default();
        let id = sources.add(source);
        let (tree, mut diagnostics) = parse_test_file(id, sources.get(id));
        let mut cases = Vec::new();
        if !has_errors(&diagnostics) {
            let (compiled, problems) = compile::compile(&tree, sources.get(id).text());
            cases = compiled;
            diagnostics.extend(problems);
        }
        Self {
            targets: tree
                .targets
                .iter()
                .map(|target| target.text.to_string())
                .collect(),
            sources,
            cases,
            diagnostics,
        }
    }

    /// The file's name.
    pub fn name(&self) -> &str {
        self.sources.get(FileId::default()).name()
    }

    /// The text, for showing diagnostics.
    pub fn sources(&self) -> &Sources {
        &self.sources
    }

    /// The rules files that it says it tests, relative to itself; none if it does not say.
    pub fn targets(&self) -> &[String] {
        &self.targets
    }

    /// What is wrong with it.
    pub fn diagnostics(&self) -> &[Diagnostic] {
        &self.diagnostics
    }

    /// Whether it must not be run.
    pub fn has_errors(&self) -> bool {
        has_errors(&self.diagnostics)
    }

    /// How many tests there are.
    pub fn test_count(&self) -> usize {
        self.cases.len()
    }

    /// Runs every test, in order.
    pub fn run(&self, subject: &Subject, coverage: &mut Coverage) -> Vec<TestOutcome> {
        run::run(&self.cases, &self.sources, subject, coverage)
    }
}

/// Rules that are tested.
#[derive(Debug)]
pub struct Subject {
    program: Program,
    checked: Checked,
    ruleset: Ruleset,
}

impl Subject {
    /// Makes a program ready to be tested. It should have no errors.
    pub fn new(program: Program, limits: Limits) -> Self {
        let checked = check(&program, &limits);
        let ruleset = Ruleset::new(&program, &checked, limits);
        Self {
            program,
            checked,
            ruleset,
        }
    }

    /// The program.
    pub fn program(&self) -> &Program {
        &self.program
    }

    /// What the checker found out.
    pub fn checked(&self) -> &Checked {
        &self.checked
    }

    /// The rules, ready to judge.
    pub fn ruleset(&self) -> &Ruleset {
        &self.ruleset
    }

    /// Whether the program must not be used.
    pub fn has_errors(&self) -> bool {
        self.program.has_errors() || self.checked.has_errors()
    }

    /// What is wrong with the program, and what may be.
    pub fn diagnostics(&self) -> impl Iterator<Item = &Diagnostic> {
        let of_program = self.program.diagnostics().iter();
        // What the checker says of a tree that lacks something means nothing.
        let of_checker = if self.program.has_errors() {
            &[][..]
        } else {
            self.checked.diagnostics()
        };
        of_program.chain(of_checker)
    }
}
