//! The types that a program declares, for clients: as TypeScript, Rust and JSON Schema.
//!
//! What is printed describes documents as value JSON has them, so that it fits what the server sends and takes; the
//! values that JSON lacks are types of their own (`Timestamp` is `{"$time": …}`). Conditions (`where`) are kept as comments,
//! and in JSON Schema as keywords where there are such.
//!
//! - `model`: what is declared, with every name settled.
//! - `typescript`, `rust`, `schema`: the printers.

mod model;
mod rust;
mod schema;
mod typescript;

use crate::check::Checked;
use crate::program::Program;

/// What types are printed as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TypeLanguage {
    /// TypeScript interfaces and types.
    TypeScript,
    /// Rust structs and enums that serde reads and writes.
    Rust,
    /// One JSON Schema, draft 2020-12.
    JsonSchema,
}

/// Prints the declared types of a program without errors, and which collection holds which.
pub fn print_types(program: &Program, checked: &Checked, language: TypeLanguage) -> String {
    let model = model::Model::new(program, checked);
    match language {
        TypeLanguage::TypeScript => typescript::print(&model),
        TypeLanguage::Rust => rust::print(&model),
        TypeLanguage::JsonSchema => schema::print(&model),
    }
}
