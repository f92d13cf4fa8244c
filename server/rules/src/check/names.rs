//! Scopes: who sees which name.
//!
//! Functions and variables live in scopes of their own kind, so that a capture `posts` and a function `posts` do not meet.
//! An inner declaration shadows an outer one. Functions are visible in the whole scope that declares them; bindings only
//! behind their declaration, but in all functions of their scope.

use std::collections::HashMap;
use std::sync::Arc;

use super::{Checker, FunctionId, TypeId, Variable, VariableId, VariableKind};
use crate::diagnostic::{Code, Diagnostic};
use crate::source::{FileId, Span};
use crate::syntax::{Function, Item, Member, Name};

/// The names that one pair of braces, one pattern or one function declares.
#[derive(Debug, Default)]
pub(super) struct Scope<'p> {
    pub(super) functions: HashMap<&'p str, FunctionId>,
    pub(super) variables: HashMap<&'p str, VariableId>,
    pub(super) types: HashMap<&'p str, TypeId>,
    pub(super) imports: HashMap<&'p str, FileId>,
}

impl<'p> Checker<'p> {
    /// Gives every function and type of the program its id.
    pub(super) fn collect(&mut self) {
        let program = self.program;
        for file in program.files() {
            for item in &file.items {
                match item {
                    Item::Function(function) => self.collect_function(function),
                    Item::Service(service) => self.collect_members(&service.members),
                    Item::Type(declaration) => {
                        let id = TypeId(number(self.checked.types.len()));
                        self.checked.types.push(Arc::clone(declaration));
                        self.checked.types_by_name.insert(declaration.name.span, id);
                        self.type_definitions.push(&declaration.definition);
                        self.used_types.push(false);
                    }
                }
            }
        }
    }

    fn collect_members(&mut self, members: &'p [Member]) {
        for member in members {
            match member {
                Member::Function(function) => self.collect_function(function),
                Member::Match(inner) => self.collect_members(&inner.members),
                Member::Allow(_) | Member::Let(_) => {}
            }
        }
    }

    fn collect_function(&mut self, function: &Arc<Function>) {
        let id = FunctionId(number(self.checked.functions.len()));
        self.checked.functions.push(Arc::clone(function));
        self.checked.functions_by_name.insert(function.name.span, id);
        self.used_functions.push(false);
    }

    /// The id of a function of the program.
    pub(super) fn function_id(&self, function: &Function) -> FunctionId {
        self.checked.functions_by_name[&function.name.span]
    }

    /// Declares functions in the innermost scope.
    pub(super) fn declare_functions(&mut self, functions: impl Iterator<Item = &'p Arc<Function>>) {
        for function in functions {
            let id = self.function_id(function);
            let Some(scope) = self.scopes.last_mut() else {
                return;
            };
            if let Some(first) = scope.functions.insert(&function.name.text, id) {
                let first = self.checked.function(first).name.span;
                self.duplicate("function", &function.name, first);
            }
        }
    }

    /// Declares a variable in the innermost scope.
    pub(super) fn declare_variable(&mut self, name: &'p Name, kind: VariableKind) -> VariableId {
        let id = VariableId(number(self.checked.variables.len()));
        let is_capture = matches!(kind, VariableKind::Capture(_));
        self.checked.variables.push(Variable {
            name: name.clone(),
            kind,
        });
        self.checked.variables_by_name.insert(name.span, id);
        self.used_variables.push(false);
        if let Some(scope) = self.scopes.last_mut()
            && let Some(first) = scope.variables.insert(&name.text, id)
        {
            let first = self.checked.variable(first).name.span;
            if is_capture {
                let message = format!("`{}` is captured twice; the last one counts", name.text);
                self.report(
                    Diagnostic::new(Code::DuplicateName, name.span, message)
                        .with_severity(crate::Severity::Warning)
                        .with_label(first, "captured here first"),
                );
            } else {
                self.duplicate("variable", name, first);
            }
        }
        id
    }

    pub(super) fn duplicate(&mut self, what: &str, name: &Name, first: Span) {
        let message = format!("the {what} `{}` is declared twice in one scope", name.text);
        self.report(
            Diagnostic::new(Code::DuplicateName, name.span, message).with_label(first, "declared here first"),
        );
    }

    /// Does something with another scope around it.
    pub(super) fn scoped<T>(&mut self, scope: Scope<'p>, inner: impl FnOnce(&mut Self) -> T) -> T {
        self.scopes.push(scope);
        let result = inner(self);
        self.scopes.pop();
        result
    }

    pub(super) fn find_variable(&self, name: &str) -> Option<VariableId> {
        self.scopes
            .iter()
            .rev()
            .find_map(|scope| scope.variables.get(name).copied())
    }

    pub(super) fn find_function(&self, name: &str) -> Option<FunctionId> {
        self.scopes
            .iter()
            .rev()
            .find_map(|scope| scope.functions.get(name).copied())
    }

    pub(super) fn find_import(&self, name: &str) -> Option<FileId> {
        self.scopes
            .iter()
            .rev()
            .find_map(|scope| scope.imports.get(name).copied())
    }

    /// The type of that name, which may be `import.Name`.
    pub(super) fn find_type(&self, name: &str) -> Option<TypeId> {
        match name.split_once('.') {
            Some((import, inner)) => {
                let file = &self.program.files()[self.find_import(import)?.index()];
                let declaration = file
                    .types()
                    .find(|declaration| &*declaration.name.text == inner)?;
                self.checked.types_by_name.get(&declaration.name.span).copied()
            }
            None => self
                .scopes
                .iter()
                .rev()
                .find_map(|scope| scope.types.get(name).copied()),
        }
    }

    /// Asks whether a name is meant to be one of `candidates`.
    pub(super) fn suggestion<'a>(
        &self,
        name: &str,
        candidates: impl Iterator<Item = &'a str>,
    ) -> Option<String> {
        // Nobody would see it.
        if self.diagnostics.is_full() {
            return None;
        }
        closest(name, candidates).map(|closest| format!("is it `{closest}`?"))
    }

    /// The names of variables in scope, for suggestions.
    pub(super) fn visible_variables(&self) -> impl Iterator<Item = &'p str> {
        self.scopes
            .iter()
            .rev()
            .flat_map(|scope| scope.variables.keys().copied())
    }

    /// The names of functions in scope, for suggestions.
    pub(super) fn visible_functions(&self) -> impl Iterator<Item = &'p str> {
        self.scopes
            .iter()
            .rev()
            .flat_map(|scope| scope.functions.keys().copied())
    }
}

/// A count of declarations, which a source of bounded length bounds.
fn number(count: usize) -> u32 {
    u32::try_from(count).expect("a source is at most SOURCE_BYTES_MAX bytes")
}

/// How many names a misspelt one is compared with.
const CANDIDATES_MAX: usize = 500;

/// The one of `candidates` that `name` is probably a mistake for.
fn closest<'a>(name: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let allowed = match name.chars().count() {
        0..=2 => 0,
        3..=5 => 1,
        _ => 2,
    };
    candidates
        .take(CANDIDATES_MAX)
        .filter(|candidate| *candidate != name && candidate.len().abs_diff(name.len()) <= allowed)
        .map(|candidate| (distance(name, candidate), candidate))
        .filter(|(distance, _)| *distance <= allowed)
        .min()
        .map(|(_, candidate)| candidate)
}

/// How many characters have to be changed, added or removed; upper and lower case count as equal.
fn distance(left: &str, right: &str) -> usize {
    /// Longer names are not compared.
    const CHARACTERS_MAX: usize = 40;
    let lower = |text: &str| {
        text.chars()
            .take(CHARACTERS_MAX)
            .flat_map(char::to_lowercase)
            .collect::<Vec<_>>()
    };
    let (left, right) = (lower(left), lower(right));
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (index, one) in left.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = index + 1;
        for (other_index, other) in right.iter().enumerate() {
            let replaced = diagonal + usize::from(one != other);
            diagonal = row[other_index + 1];
            row[other_index + 1] = replaced.min(diagonal + 1).min(row[other_index] + 1);
        }
    }
    row[right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_name_is_recognised() {
        let names = ["resource", "request", "isOwner", "database"];
        assert_eq!(closest("resouce", names.into_iter()), Some("resource"));
        assert_eq!(closest("Request", names.into_iter()), Some("request"));
        assert_eq!(closest("isOwnre", names.into_iter()), Some("isOwner"));
        assert_eq!(closest("x", names.into_iter()), None);
        assert_eq!(closest("something", names.into_iter()), None);
    }
}
