//! Files, services, matches, allows and functions: their scopes, and the limits on them.

use std::sync::Arc;

use super::{Checker, VariableKind, calls::Node, lints::Site, names::Scope};
use crate::diagnostic::{Code, Diagnostic};
use crate::language::{Kind, Kinds};
use crate::source::{FileId, Span};
use crate::syntax::{
    Allow, Expr, File, Function, Let, Match, Member, OperationKind, SegmentKind, Service, ServiceKind,
    TypeDeclaration,
};

impl<'p> Checker<'p> {
    pub(super) fn check_files(&mut self) {
        let program = self.program;
        let bytes: usize = program
            .sources()
            .iter()
            .map(|(_, source)| source.text().len())
            .sum();
        let limit = self.limits.source_bytes_max;
        if let Some(file) = program.files().first() {
            self.exceeds(
                Span::new(file.id, 0, 0),
                "the bytes of all files together",
                bytes,
                limit,
            );
        }
        for file in program.files() {
            self.check_file(file);
        }
    }

    fn check_file(&mut self, file: &'p File) {
        self.file = file.id;
        self.version = file.version;
        self.service = None;
        let imported = self.import_scope(file);
        self.scoped(imported, |checker| {
            checker.scoped(Scope::default(), |checker| {
                checker.declare_functions(file.functions());
                checker.declare_types(file);
                for declaration in file.types() {
                    checker.check_type_declaration(declaration);
                }
                for function in file.functions() {
                    checker.check_function(function);
                }
                let is_root = file.id.index() < checker.program.roots().len();
                for service in file.services() {
                    if !is_root {
                        let message = "this file is imported for its functions and types; its services are not in force";
                        checker.report(Diagnostic::new(Code::IgnoredService, service.name.span, message));
                    }
                    checker.check_service(service, is_root);
                }
            });
        });
    }

    /// What the imports of a file bring: without a name the functions and types, with one the name.
    fn import_scope(&mut self, file: &'p File) -> Scope<'p> {
        let program = self.program;
        let mut scope = Scope::default();
        for (number, import) in file.imports.iter().enumerate() {
            let Some(imported) = program.imported(file.id, number) else {
                continue;
            };
            if let Some(alias) = &import.alias {
                if scope.imports.insert(&alias.text, imported.id).is_some() {
                    let message = format!("two imports are called `{}`", alias.text);
                    self.report(Diagnostic::new(Code::DuplicateName, alias.span, message));
                }
                continue;
            }
            let mut twice = Vec::new();
            for function in imported.functions() {
                if scope
                    .functions
                    .insert(&function.name.text, self.function_id(function))
                    .is_some()
                {
                    twice.push(&*function.name.text);
                }
            }
            for declaration in imported.types() {
                let id = self.checked.types_by_name[&declaration.name.span];
                if scope.types.insert(&declaration.name.text, id).is_some() {
                    twice.push(&*declaration.name.text);
                }
            }
            for name in twice {
                let message = format!("`{name}` is imported from two files");
                self.report(
                    Diagnostic::new(Code::DuplicateName, import.span, message)
                        .with_hint("give one of the imports a name: `import \"./shared.rules\" as shared;`"),
                );
            }
        }
        scope
    }

    fn declare_types(&mut self, file: &'p File) {
        for declaration in file.types() {
            let id = self.checked.types_by_name[&declaration.name.span];
            if Kinds::from_name(&declaration.name.text).is_some()
                || matches!(&*declaration.name.text, "null" | "any")
            {
                let message = format!("`{}` is a type of the language", declaration.name.text);
                self.report(
                    Diagnostic::new(Code::DuplicateName, declaration.name.span, message)
                        .with_hint("choose another name; names of types usually start with a capital letter"),
                );
            }
            let Some(scope) = self.scopes.last_mut() else {
                return;
            };
            if let Some(first) = scope.types.insert(&declaration.name.text, id) {
                let first = self.checked.type_declaration(first).name.span;
                self.duplicate("type", &declaration.name, first);
            }
        }
    }

    fn check_type_declaration(&mut self, declaration: &'p Arc<TypeDeclaration>) {
        let id = self.checked.types_by_name[&declaration.name.span];
        self.caller = Some(Node::Type(id));
        self.check_type(&declaration.definition, true);
        self.caller = None;
    }

    fn check_service(&mut self, service: &'p Service, is_root: bool) {
        if service.kind.is_none() {
            let message = format!("there is no service `{}`", service.name.text);
            self.report(
                Diagnostic::new(Code::UnknownService, service.name.span, message)
                    .with_hint("the services are `cloud.firestore`, `firebase.storage` and `andiron.auth`"),
            );
        }
        self.service = service.kind;
        self.check_members(&service.members, &[], is_root);
        self.service = None;
    }

    /// Checks what stands in the braces of a service or of the last of `matches`.
    fn check_members(&mut self, members: &'p [Member], matches: &[&'p Match], is_root: bool) {
        self.scoped(Scope::default(), |checker| {
            checker.declare_functions(members.iter().filter_map(|member| match member {
                Member::Function(function) => Some(function),
                Member::Match(_) | Member::Allow(_) | Member::Let(_) => None,
            }));
            let mut lets = 0;
            for member in members {
                if let Member::Let(binding) = member {
                    lets += 1;
                    checker.check_match_let(binding);
                }
            }
            if let Some(first) = members.iter().find(|member| matches!(member, Member::Let(_))) {
                let limit = checker.limits.lets_max;
                checker.exceeds(first.span(), "`let` bindings of one match", lets, limit);
            }
            for member in members {
                match member {
                    Member::Let(_) => {}
                    Member::Function(function) => checker.check_function(function),
                    Member::Match(inner) => checker.check_match(inner, matches, is_root),
                    Member::Allow(allow) => checker.check_allow(allow, matches, is_root),
                }
            }
        });
    }

    fn check_match(&mut self, inner: &'p Match, around: &[&'p Match], is_root: bool) {
        let mut matches = around.to_vec();
        matches.push(inner);
        self.check_pattern(&matches);
        let type_around = self.document_type;
        self.document_type = None;
        if let Some(name) = &inner.type_name {
            self.document_type = self.use_type(name);
            let message = match self.service {
                Some(ServiceKind::Storage) => Some("a file has no fields that a type could describe"),
                Some(ServiceKind::Accounts) => Some("what an account has is not for a type to say"),
                Some(ServiceKind::Firestore) | None => None,
            };
            if let Some(message) = message {
                self.report(Diagnostic::new(Code::TypeMismatch, name.span, message));
            }
        }
        self.scoped(Scope::default(), |checker| {
            for segment in &inner.pattern.segments {
                if let SegmentKind::Capture { name, is_glob } = &segment.kind {
                    checker.declare_variable(name, VariableKind::Capture(*is_glob));
                }
            }
            checker.check_members(&inner.members, &matches, is_root);
        });
        self.document_type = type_around;
    }

    fn check_match_let(&mut self, binding: &'p Arc<Let>) {
        // Its id is needed before the value is checked, its name only after.
        let id = self.declare_variable(&binding.name, VariableKind::MatchLet(Arc::clone(binding)));
        let hidden = self
            .scopes
            .last_mut()
            .and_then(|scope| scope.variables.remove(&*binding.name.text));
        let around = self.caller.replace(Node::Binding(id));
        self.check_expression(&binding.value);
        self.caller = around;
        if let (Some(id), Some(scope)) = (hidden, self.scopes.last_mut()) {
            scope.variables.insert(&binding.name.text, id);
        }
    }

    fn check_allow(&mut self, allow: &'p Allow, matches: &[&'p Match], is_root: bool) {
        // At most as many as there are operations.
        let mut seen: Vec<OperationKind> = Vec::new();
        for operation in &allow.operations {
            if operation.kind.is_none() {
                let message = format!("there is no operation `{}`", operation.name.text);
                self.report(
                    Diagnostic::new(Code::UnknownOperation, operation.name.span, message).with_hint(
                        "the operations are get, list, create, update, delete, and read and write for groups of them",
                    ),
                );
            }
            let Some(kind) = operation.kind else { continue };
            if seen.iter().any(|other| other.covers(kind)) {
                let message = format!("`{}` is in this list already", operation.name.text);
                self.report(Diagnostic::new(Code::Unreachable, operation.name.span, message));
            } else {
                seen.push(kind);
            }
        }
        if let Some(condition) = &allow.condition {
            let kinds = self.check_expression(condition);
            self.require_bool(condition, kinds, "a condition");
        }
        if is_root && let Some(service) = self.service {
            self.allows.push(Site {
                service,
                version: self.version,
                matches: matches.to_vec(),
                allow,
            });
        }
    }

    fn check_function(&mut self, function: &'p Arc<Function>) {
        let id = self.function_id(function);
        let (parameters, lets) = (function.parameters.len(), function.lets.len());
        let (parameters_max, lets_max) = (self.limits.parameters_max, self.limits.lets_max);
        self.exceeds(
            function.name.span,
            "parameters of one function",
            parameters,
            parameters_max,
        );
        self.exceeds(
            function.name.span,
            "`let` bindings of one function",
            lets,
            lets_max,
        );
        let around = self.caller.replace(Node::Function(id));
        self.scoped(Scope::default(), |checker| {
            for (index, parameter) in function.parameters.iter().enumerate() {
                checker.declare_variable(parameter, VariableKind::Parameter(id, index));
            }
            for binding in &function.lets {
                checker.check_expression(&binding.value);
                checker.declare_variable(&binding.name, VariableKind::Let(Arc::clone(binding)));
            }
            checker.check_expression(&function.body);
        });
        self.caller = around;
    }

    /// Says that a value that has to be a bool never is one.
    pub(super) fn require_bool(&mut self, expr: &Expr, kinds: Kinds, what: &str) {
        if !kinds.has(Kind::Bool) && !kinds.is_empty() {
            let message = format!("{what} is true or false, and this is {}", article(kinds));
            self.report(
                Diagnostic::new(Code::TypeMismatch, expr.span, message)
                    .with_hint("nothing else counts as true: compare it, as in `x != null`"),
            );
        }
    }

    /// The file of that id.
    pub(super) fn file_of(&self, id: FileId) -> &'p File {
        let program = self.program;
        &program.files()[id.index()]
    }
}

/// A type with its article, for messages.
pub(super) fn article(kinds: Kinds) -> String {
    let text = kinds.to_string();
    if text == "null" || text == "any type" {
        return text;
    }
    let vowel = text.starts_with(['a', 'e', 'i', 'o', 'u']);
    format!("{} {text}", if vowel { "an" } else { "a" })
}
