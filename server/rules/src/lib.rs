//! The rules language of Andiron: Firebase Security Rules, and our extensions.
//!
//! Pure and synchronous: text and values in, answers out. Nothing here reads a file, a clock or a network.
//!
//! - [`source`]: files, and places in them.
//! - [`diagnostic`]: what is wrong with a file, for people and for programs.
//! - [`parser`]: from text to the tree of [`syntax`], with every error.
//! - [`program`]: files and what they import.
//! - [`mod@check`]: what names mean, what is known of types, what is probably a mistake.
//! - [`evaluate`]: requests judged by a checked program: allow, deny, or the documents that it takes to decide.
//! - [`mod@explain`]: what came of a request and why, as JSON and as text.
//! - [`partial`]: lists judged without their documents, by what the rules demand of each.
//! - [`declared_types`]: the types that a program declares, for clients.
//! - [`re2`]: the regular expressions of `matches`, `split` and `replace`.
//! - [`mod@format`]: one layout for all files.
//! - [`language`]: the types, methods and functions of the language, as data.
//! - [`testing`]: test files, how they are run, and what they cover.
//! - [`limits`]: what a program may cost.

pub mod check;
pub mod declared_types;
pub mod diagnostic;
pub mod evaluate;
pub mod explain;
pub mod format;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
pub mod language;
pub mod limits;
pub mod parser;
pub mod partial;
pub mod program;
pub mod re2;
pub mod source;
pub mod syntax;
pub mod testing;

mod lexer;

pub use check::{Checked, check};
pub use diagnostic::{Code, Diagnostic, Severity};
pub use evaluate::{Decision, Documents, Request, Ruleset};
pub use format::format;
pub use limits::Limits;
pub use parser::{Parsed, parse};
pub use partial::{ListDecision, ListProof, ListRequest, Residual};
pub use program::Program;
pub use source::{FileId, Position, Source, SourceError, Sources, Span};
