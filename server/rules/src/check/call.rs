//! Calls of functions and methods: which one is meant, and whether its arguments fit.

use std::sync::Arc;

use super::{Checker, FunctionId, Resolution, calls::Node, expression::Known, service::article};
use crate::diagnostic::{Code, Diagnostic};
use crate::language::{
    self, BuiltinId, Kind, Kinds, Method, Namespace, Object, Parameters, all_builtins, builtin, method,
    methods_named,
};
use crate::re2;
use crate::source::Span;
use crate::syntax::{Expr, ExprKind, Name, ServiceKind};

const MAP: Kinds = Kinds::only(Kind::Map);
const NULL_OR_MAP: Kinds = Kinds::of(&[Kind::Null, Kind::Map]);

impl<'p> Checker<'p> {
    /// `function(arguments)`
    pub(super) fn call(&mut self, expr: &Expr, function: &Name, arguments: &'p [Expr]) -> Known<'p> {
        if let Some(id) = self.find_function(&function.text) {
            self.resolve(expr, Resolution::Function(id));
            return self.call_declared(id, function, arguments);
        }
        if self.this.is_some() && methods_named(&function.text).next().is_some() {
            self.resolve(expr, Resolution::ThisMethod);
            let this = self.this.unwrap_or(Known::ANY);
            return self.call_method(this, function, arguments);
        }
        let found = builtin(None, &function.text).filter(|found| match (found.service, self.service) {
            (Some(own), Some(service)) => service.has_functions_of(own),
            _ => true,
        });
        let Some(found) = found else {
            for argument in arguments {
                self.known(argument);
            }
            self.unknown_function(function);
            return Known::ANY;
        };
        self.resolve(expr, Resolution::Builtin(found.id));
        self.call_builtin(found, function, arguments)
    }

    fn call_builtin(
        &mut self,
        found: &'static language::Builtin,
        name: &Name,
        arguments: &'p [Expr],
    ) -> Known<'p> {
        let kinds: Vec<Kinds> = arguments
            .iter()
            .map(|argument| self.known(argument).kinds)
            .collect();
        let shown = match found.namespace {
            Some(namespace) => format!("{}.{}", namespace.as_str(), found.name),
            None => found.name.to_owned(),
        };
        if self.check_arity(&shown, name.span, found.parameters.len(), arguments.len()) {
            for ((argument, found), wanted) in arguments.iter().zip(kinds).zip(found.parameters) {
                self.require(argument, found, *wanted, &format!("an argument of `{shown}`"));
            }
        }
        let object = (found.id.is_lookup() && found.result.has(Kind::Map)).then_some(Object::LookedUp);
        let mut known = Known {
            object,
            ..Known::of(found.result)
        };
        if let (Some(first), BuiltinId::Debug) = (arguments.first(), found.id) {
            known = Known::of(self.checked.kinds(first));
        }
        known
    }

    fn call_declared(&mut self, id: FunctionId, name: &Name, arguments: &'p [Expr]) -> Known<'p> {
        self.used_functions[id.0 as usize] = true;
        self.note_call(Node::Function(id), name.span);
        for argument in arguments {
            self.known(argument);
        }
        let parameters = self.checked.function(id).parameters.len();
        self.check_arity(&name.text, name.span, parameters, arguments.len());
        Known::ANY
    }

    fn check_arity(&mut self, name: &str, span: Span, wanted: usize, found: usize) -> bool {
        if wanted != found {
            let arguments = if wanted == 1 { "argument" } else { "arguments" };
            let message = format!("`{name}` takes {wanted} {arguments}, and gets {found}");
            self.report(Diagnostic::new(Code::WrongArity, span, message));
        }
        wanted == found
    }

    fn unknown_function(&mut self, name: &Name) {
        let visible = || {
            self.visible_functions().chain(
                all_builtins()
                    .filter(|found| found.namespace.is_none())
                    .map(|found| found.name),
            )
        };
        let hint = if let Some(other) = builtin(None, &name.text) {
            match other.service {
                Some(ServiceKind::Firestore) => Some(format!(
                    "in the rules of files it is `firestore.{}(path)`",
                    name.text
                )),
                _ => None,
            }
        } else if let Some(method) = methods_named(&name.text).next() {
            Some(format!(
                "it is a method of `{}`; write `value.{}(…)`",
                method.receiver.as_str(),
                name.text
            ))
        } else if let Some(found) = all_builtins().find(|found| found.name == &*name.text) {
            let namespace = found.namespace.map_or("", Namespace::as_str);
            Some(format!("write `{namespace}.{}(…)`", name.text))
        } else if &*name.text == "bool" {
            Some("there is no conversion to bool; compare the value".to_owned())
        } else {
            self.suggestion(&name.text, visible())
        };
        let mut diagnostic = Diagnostic::new(
            Code::UnknownName,
            name.span,
            format!("there is no function `{}`", name.text),
        );
        diagnostic.hint = hint;
        self.report(diagnostic);
    }

    /// `base.method(arguments)`, or a function behind a prefix.
    pub(super) fn method_call(
        &mut self,
        expr: &Expr,
        base: &'p Expr,
        method: &Name,
        arguments: &'p [Expr],
    ) -> Known<'p> {
        if let ExprKind::Variable(prefix) = &base.kind
            && self.find_variable(&prefix.text).is_none()
        {
            if let Some(file) = self.find_import(&prefix.text) {
                self.resolve(base, Resolution::Import(file));
                let imported = self.file_of(file);
                let function = imported
                    .functions()
                    .find(|function| function.name.text == method.text);
                let Some(function) = function else {
                    for argument in arguments {
                        self.known(argument);
                    }
                    let message = format!("`{}` has no function `{}`", prefix.text, method.text);
                    let names = imported.functions().map(|function| &*function.name.text);
                    let mut diagnostic = Diagnostic::new(Code::UnknownName, method.span, message);
                    diagnostic.hint = self.suggestion(&method.text, names);
                    self.report(diagnostic);
                    return Known::ANY;
                };
                let id = self.function_id(function);
                self.resolve(expr, Resolution::Function(id));
                return self.call_declared(id, method, arguments);
            }
            if let Some(namespace) = Namespace::from_name(&prefix.text) {
                return self.namespace_call(expr, base, namespace, method, arguments);
            }
        }
        let known = self.known(base);
        let result = self.call_method(known, method, arguments);
        self.check_regular_expression(method, arguments);
        result
    }

    fn namespace_call(
        &mut self,
        expr: &Expr,
        base: &Expr,
        namespace: Namespace,
        method: &Name,
        arguments: &'p [Expr],
    ) -> Known<'p> {
        self.resolve(base, Resolution::Namespace(namespace));
        let found =
            builtin(Some(namespace), &method.text).filter(|found| match (found.service, self.service) {
                (Some(own), Some(service)) => service.has_functions_of(own),
                _ => true,
            });
        let Some(found) = found else {
            for argument in arguments {
                self.known(argument);
            }
            let message = format!(
                "there is no function `{}.{}` here",
                namespace.as_str(),
                method.text
            );
            let names = all_builtins()
                .filter(|found| found.namespace == Some(namespace))
                .map(|found| found.name);
            let mut diagnostic = Diagnostic::new(Code::UnknownName, method.span, message);
            diagnostic.hint = if namespace == Namespace::Firestore && self.service.is_some() {
                Some(format!("in the rules of documents it is `{}(path)`", method.text))
            } else {
                self.suggestion(&method.text, names)
            };
            self.report(diagnostic);
            return Known::ANY;
        };
        self.resolve(expr, Resolution::Builtin(found.id));
        self.call_builtin(found, method, arguments)
    }

    fn call_method(&mut self, receiver: Known<'p>, name: &Name, arguments: &'p [Expr]) -> Known<'p> {
        let kinds: Vec<Kinds> = arguments
            .iter()
            .map(|argument| self.known(argument).kinds)
            .collect();
        let methods: Vec<&'static Method> = receiver
            .kinds
            .iter()
            .filter_map(|kind| method(kind, &name.text))
            .collect();
        if methods.is_empty() {
            self.unknown_method(receiver.kinds, name);
            return Known::ANY;
        }
        let arity_fits = methods
            .iter()
            .any(|method| method.parameters.len() == arguments.len());
        if !arity_fits {
            let wanted = methods[0].parameters.len();
            self.check_arity(&name.text, name.span, wanted, arguments.len());
            return Known::of(results(&methods));
        }
        let fits = |parameters: Parameters| {
            parameters.len() == kinds.len()
                && parameters
                    .iter()
                    .zip(&kinds)
                    .all(|(wanted, found)| found.is_empty() || !wanted.and(*found).is_empty())
        };
        if !methods.iter().any(|method| fits(method.parameters)) {
            let wanted: Vec<String> = methods[0].parameters.iter().map(ToString::to_string).collect();
            let found: Vec<String> = kinds.iter().map(ToString::to_string).collect();
            let message = format!(
                "`{}` takes ({}), and gets ({})",
                name.text,
                wanted.join(", "),
                found.join(", ")
            );
            self.report(Diagnostic::new(Code::TypeMismatch, name.span, message));
        }
        let result = results(&methods);
        if result == Kinds::only(Kind::List) && &*name.text == "concat" {
            return Known {
                kinds: result,
                ..receiver
            };
        }
        Known::of(result)
    }

    fn unknown_method(&mut self, kinds: Kinds, name: &Name) {
        let on_map = kinds == MAP || kinds == NULL_OR_MAP;
        if on_map && matches!(&*name.text, "hasAll" | "hasAny" | "hasOnly") {
            let message = format!("a map has no method `{}`", name.text);
            self.report(
                Diagnostic::new(Code::HasMethodOnMap, name.span, message)
                    .with_hint(format!("ask its keys: `.keys().{}([…])`", name.text)),
            );
            return;
        }
        let message = if kinds == Kinds::ANY {
            format!("no type has a method `{}`", name.text)
        } else {
            format!("{} has no method `{}`", article(kinds), name.text)
        };
        let hint = match &*name.text {
            "length" | "count" | "len" => Some("it is called `size()`".to_owned()),
            "toLowerCase" => Some("it is called `lower()`".to_owned()),
            "toUpperCase" => Some("it is called `upper()`".to_owned()),
            "contains" | "includes" | "has" | "indexOf" => {
                Some("write `x in list`, or for a part of a string `.matches('.*part.*')`".to_owned())
            }
            "startsWith" => Some("write `.matches('start.*')`".to_owned()),
            "endsWith" => Some("write `.matches('.*end')`".to_owned()),
            "hasKey" | "containsKey" => Some("write `'key' in map`".to_owned()),
            "data" => Some("it is a property: `.data`".to_owned()),
            "exists" => Some("write `exists(/databases/$(database)/documents/…)`".to_owned()),
            "test" | "match" => Some("it is called `matches(pattern)`, and the pattern covers the whole string".to_owned()),
            "all" | "any" | "map" if self.version.has_extensions() => {
                Some(format!("write `list.{}(element, condition)`", name.text))
            }
            "all" | "any" | "map" | "every" | "some" | "filter" | "forEach" | "reduce" => Some(
                "there are no loops; `rules_version = 'andiron1';` has `list.all(x, …)`, `list.any(x, …)` and `list.map(x, …)`"
                    .to_owned(),
            ),
            other => {
                let candidates = kinds
                    .iter()
                    .flat_map(|kind| language::all_methods().filter(move |method| method.receiver == kind));
                self.suggestion(other, candidates.map(|method| method.name))
            }
        };
        let mut diagnostic = Diagnostic::new(Code::UnknownMember, name.span, message);
        diagnostic.hint = hint;
        self.report(diagnostic);
    }

    /// Says that a pattern that stands in the text is none.
    fn check_regular_expression(&mut self, method: &Name, arguments: &[Expr]) {
        if !matches!(&*method.text, "matches" | "split" | "replace") {
            return;
        }
        let Some(pattern) = arguments.first() else { return };
        let ExprKind::String(text) = &pattern.without_parens().kind else {
            return;
        };
        let error = match self.patterns.get(text) {
            Some(known) => known.clone(),
            None => {
                let error = re2::compile(text).err();
                self.patterns.insert(Arc::clone(text), error.clone());
                error
            }
        };
        if let Some(error) = error {
            let mut diagnostic = Diagnostic::new(Code::InvalidPattern, pattern.span, error.to_string());
            diagnostic.hint = error.hint().map(str::to_owned);
            self.report(diagnostic);
        }
    }
}

/// What any of some methods gives.
fn results(methods: &[&'static Method]) -> Kinds {
    methods
        .iter()
        .fold(Kinds::NONE, |kinds, method| kinds.or(method.result))
}
