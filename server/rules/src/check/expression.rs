//! Expressions: what their names mean, and which types their values may have.
//!
//! Types are sets of possibilities ([`Kinds`]). Something is said only where no possibility works, so nothing that could
//! succeed is ever complained about.

use super::{Checker, Resolution, VariableKind, calls::Node, names::Scope, service::article};
use crate::diagnostic::{Code, Diagnostic};
use crate::language::{
    self, Kind, Kinds, Method, Namespace, Object, Parameters, all_builtins, builtin, method, methods_named,
    property, property_names,
};
use crate::re2;
use crate::source::Span;
use crate::syntax::{
    BinaryOperator, Expr, ExprKind, Name, PathPartKind, Quantifier, TypeExpr, UnaryOperator,
};

const BOOL: Kinds = Kinds::only(Kind::Bool);
const MAP: Kinds = Kinds::only(Kind::Map);
const NULL_OR_MAP: Kinds = Kinds::of(&[Kind::Null, Kind::Map]);
const ORDERED: [Kinds; 4] = [
    Kinds::NUMBER,
    Kinds::only(Kind::String),
    Kinds::only(Kind::Timestamp),
    Kinds::only(Kind::Duration),
];
const INDEXED: Kinds = Kinds::of(&[Kind::List, Kind::String, Kind::Path, Kind::Map]);
const SLICED: Kinds = Kinds::of(&[Kind::List, Kind::String, Kind::Path, Kind::Bytes]);
const CONTAINERS: Kinds = Kinds::of(&[Kind::List, Kind::Set, Kind::Map]);

/// What is known of a value before it is there.
#[derive(Clone, Copy, Debug)]
pub(super) struct Known<'p> {
    /// The types that it may have.
    pub(super) kinds: Kinds,
    /// What it holds, if it is a map that the language defines.
    pub(super) object: Option<Object>,
    /// What it holds, if a declared type says so.
    pub(super) declared: Option<&'p TypeExpr>,
}

impl Known<'_> {
    pub(super) const ANY: Self = Self::of(Kinds::ANY);

    pub(super) const fn of(kinds: Kinds) -> Self {
        Self {
            kinds,
            object: None,
            declared: None,
        }
    }
}

impl<'p> Checker<'p> {
    /// Checks an expression and all below it; returns the types that its value may have.
    pub(super) fn check_expression(&mut self, expr: &'p Expr) -> Kinds {
        self.check_chains(expr);
        self.known(expr).kinds
    }

    /// Says that a chain of one operator is too long.
    fn check_chains(&mut self, expr: &Expr) {
        let limit = self.limits.operator_chain_max;
        let mut longest: Option<(Span, usize)> = None;
        expr.walk(&mut |inner| {
            let ExprKind::Binary { operator, .. } = &inner.kind else {
                return;
            };
            let (mut operands, mut next) = (1, inner);
            while let ExprKind::Binary {
                operator: another,
                left,
                ..
            } = &next.kind
                && another == operator
            {
                operands += 1;
                next = left;
            }
            if longest.is_none_or(|(_, found)| operands > found) {
                longest = Some((inner.span, operands));
            }
        });
        if let Some((span, operands)) = longest.filter(|(_, operands)| *operands > limit) {
            self.exceeds(span, "operands of one operator in a chain", operands, limit);
        }
    }

    fn known(&mut self, expr: &'p Expr) -> Known<'p> {
        let known = self.known_of_kind(expr);
        if let Some(slot) = self
            .checked
            .kinds
            .get_mut(expr.span.file.index())
            .and_then(|kinds| kinds.get_mut(expr.id.index()))
        {
            *slot = known.kinds;
        }
        known
    }

    fn resolve(&mut self, expr: &Expr, resolution: Resolution) {
        if let Some(slot) = self
            .checked
            .resolutions
            .get_mut(expr.span.file.index())
            .and_then(|resolutions| resolutions.get_mut(expr.id.index()))
        {
            *slot = Some(resolution);
        }
    }

    fn known_of_kind(&mut self, expr: &'p Expr) -> Known<'p> {
        let only = |kind| Known::of(Kinds::only(kind));
        match &expr.kind {
            ExprKind::Null => only(Kind::Null),
            ExprKind::Bool(_) => only(Kind::Bool),
            ExprKind::Int(_) => only(Kind::Int),
            ExprKind::Float(_) => only(Kind::Float),
            ExprKind::String(_) => only(Kind::String),
            ExprKind::Bytes(_) => only(Kind::Bytes),
            ExprKind::Variable(name) => self.variable(expr, name),
            ExprKind::List(items) => {
                for item in items {
                    self.known(item);
                }
                only(Kind::List)
            }
            ExprKind::Map(entries) => {
                for entry in entries {
                    let key = self.known(&entry.key).kinds;
                    if !key.has(Kind::String) {
                        let message = format!("a key of a map is a string, and this is {}", article(key));
                        self.report(Diagnostic::new(Code::TypeMismatch, entry.key.span, message));
                    }
                    self.known(&entry.value);
                }
                only(Kind::Map)
            }
            ExprKind::Path(parts) => {
                for part in parts {
                    if let PathPartKind::Value(value) = &part.kind {
                        self.known(value);
                    }
                }
                only(Kind::Path)
            }
            ExprKind::Paren(inner) => self.known(inner),
            ExprKind::Member { base, name, is_safe } => {
                let base_known = self.known(base);
                let mut known = self.member(base, base_known, name);
                if *is_safe {
                    known.kinds = known.kinds.or(Kinds::only(Kind::Null));
                }
                known
            }
            ExprKind::Index { base, index } => self.index(base, index),
            ExprKind::Slice { base, start, end } => {
                let base_known = self.known(base);
                for bound in start.iter().chain(end) {
                    let kinds = self.known(bound).kinds;
                    self.require(bound, kinds, Kinds::only(Kind::Int), "a bound of a slice");
                }
                self.require(base, base_known.kinds, SLICED, "what is sliced");
                Known {
                    kinds: base_known.kinds.and(SLICED),
                    ..base_known
                }
            }
            ExprKind::Call { function, arguments } => self.call(expr, function, arguments),
            ExprKind::MethodCall {
                base,
                method,
                arguments,
                is_safe,
            } => {
                let mut known = self.method_call(expr, base, method, arguments);
                if *is_safe {
                    known.kinds = known.kinds.or(Kinds::only(Kind::Null));
                }
                known
            }
            ExprKind::Quantified {
                base,
                quantifier,
                variable,
                body,
                ..
            } => self.quantified(base, *quantifier, variable, body),
            ExprKind::Unary {
                operator, operand, ..
            } => {
                let kinds = self.known(operand).kinds;
                match operator {
                    UnaryOperator::Not => {
                        self.require_bool(operand, kinds, "what `!` negates");
                        only(Kind::Bool)
                    }
                    UnaryOperator::Negate => {
                        self.require(operand, kinds, Kinds::NUMBER, "what `-` negates");
                        Known::of(kinds.and(Kinds::NUMBER))
                    }
                }
            }
            ExprKind::Binary {
                operator,
                operator_span,
                left,
                right,
            } => Known::of(self.binary(*operator, *operator_span, left, right)),
            ExprKind::Is { value, type_name, .. } => {
                self.known(value);
                if let Some(resolution) = self.resolve_is(type_name) {
                    self.resolve(expr, resolution);
                }
                only(Kind::Bool)
            }
            ExprKind::Ternary {
                condition,
                then,
                otherwise,
            } => {
                let kinds = self.known(condition).kinds;
                self.require_bool(condition, kinds, "the condition of `? :`");
                let then = self.known(then).kinds;
                Known::of(then.or(self.known(otherwise).kinds))
            }
            ExprKind::Error => Known::ANY,
        }
    }

    /// Says that a value never has a type that works here.
    fn require(&mut self, expr: &Expr, found: Kinds, wanted: Kinds, what: &str) {
        if found.and(wanted).is_empty() && !found.is_empty() {
            let message = format!("{what} is {}, and this is {}", article(wanted), article(found));
            self.report(Diagnostic::new(Code::TypeMismatch, expr.span, message));
        }
    }

    fn variable(&mut self, expr: &Expr, name: &Name) -> Known<'p> {
        if let Some(id) = self.find_variable(&name.text) {
            self.use_variable(id, name.span);
            self.resolve(expr, Resolution::Variable(id));
            return match &self.checked.variable(id).kind {
                VariableKind::Capture(false) => Known::of(Kinds::only(Kind::String)),
                // In the rules of files, a glob that holds one segment is a string.
                VariableKind::Capture(true) => Known::of(Kinds::of(&[Kind::Path, Kind::String])),
                VariableKind::Let(_)
                | VariableKind::MatchLet(_)
                | VariableKind::Parameter(..)
                | VariableKind::Element => Known::ANY,
            };
        }
        match &*name.text {
            "request" => {
                self.resolve(expr, Resolution::Request);
                Known {
                    object: Some(Object::Request),
                    ..Known::of(MAP)
                }
            }
            "resource" => {
                self.resolve(expr, Resolution::Resource);
                Known {
                    object: language::resource(self.service),
                    ..Known::of(NULL_OR_MAP)
                }
            }
            "this" if self.this.is_some() => {
                self.resolve(expr, Resolution::This);
                self.this.unwrap_or(Known::ANY)
            }
            _ => {
                self.unknown_variable(name);
                Known::ANY
            }
        }
    }

    fn unknown_variable(&mut self, name: &Name) {
        let visible = || self.visible_variables().chain(["request", "resource"]);
        let hint = if self.find_function(&name.text).is_some() || builtin(None, &name.text).is_some() {
            Some(format!(
                "`{}` is a function; call it: `{}(…)`",
                name.text, name.text
            ))
        } else if Namespace::from_name(&name.text).is_some() {
            Some(format!("`{}` is only a prefix of functions", name.text))
        } else {
            match &*name.text {
                "auth" => Some("write `request.auth`".to_owned()),
                "uid" | "userId" | "user" => Some("the caller's id is `request.auth.uid`".to_owned()),
                "data" => Some(
                    "the stored document is `resource.data`, the one to be written `request.resource.data`"
                        .to_owned(),
                ),
                "undefined" => Some("there is no `undefined`; test for a key with `'key' in map`".to_owned()),
                "now" => Some("the time of the request is `request.time`".to_owned()),
                other => self.suggestion(other, visible()),
            }
        };
        let mut diagnostic = Diagnostic::new(
            Code::UnknownName,
            name.span,
            format!("there is no variable `{}` here", name.text),
        );
        diagnostic.hint = hint;
        self.report(diagnostic);
    }

    /// `base.name`
    fn member(&mut self, base: &Expr, known: Known<'p>, name: &Name) -> Known<'p> {
        if !known.kinds.has(Kind::Map) {
            let is_size = matches!(&*name.text, "length" | "size" | "count");
            let code = if is_size {
                Code::LengthProperty
            } else {
                Code::TypeMismatch
            };
            let found = if known.kinds.is_empty() {
                "a value that cannot be".to_owned()
            } else {
                article(known.kinds)
            };
            let mut diagnostic = Diagnostic::new(
                code,
                name.span,
                format!("{found} has no property `{}`", name.text),
            );
            diagnostic.hint = if is_size {
                Some("ask for the size with `.size()`".to_owned())
            } else if known.kinds.iter().any(|kind| method(kind, &name.text).is_some()) {
                Some(format!("it is a method; call it: `.{}()`", name.text))
            } else {
                None
            };
            self.report(diagnostic);
            return Known::ANY;
        }
        if let Some(object) = known.object {
            return self.property(object, name);
        }
        if let Some(definition) = known.declared {
            return match self.field_of(definition, &name.text) {
                Ok(known) => known,
                Err(fields) => {
                    self.unknown_field(name, &fields);
                    Known::ANY
                }
            };
        }
        self.check_length(base, name);
        Known::ANY
    }

    fn unknown_field(&mut self, name: &Name, fields: &[&str]) {
        let message = format!("the declared type has no field `{}`", name.text);
        let mut diagnostic = Diagnostic::new(Code::UnknownMember, name.span, message);
        diagnostic.hint = self
            .suggestion(&name.text, fields.iter().copied())
            .or_else(|| (!fields.is_empty()).then(|| format!("it has {}", fields.join(", "))));
        self.report(diagnostic);
    }

    /// Says that `.length` is probably meant to be a size. A field of a document may well be called so.
    fn check_length(&mut self, base: &Expr, name: &Name) {
        let is_data =
            matches!(&base.without_parens().kind, ExprKind::Member { name, .. } if &*name.text == "data");
        let is_value = matches!(
            &base.without_parens().kind,
            ExprKind::Member { .. } | ExprKind::MethodCall { .. } | ExprKind::List(_) | ExprKind::String(_)
        );
        if &*name.text == "length" && is_value && !is_data {
            self.suspect(
                Diagnostic::new(
                    Code::LengthProperty,
                    name.span,
                    "this looks for a key `length` in a map",
                )
                .with_hint("ask for the size of a string, list or map with `.size()`"),
            );
        }
    }

    fn property(&mut self, object: Object, name: &Name) -> Known<'p> {
        match property(object, &name.text, self.service) {
            Some(found) => {
                let mut known = Known {
                    object: found.object,
                    ..Known::of(found.kinds)
                };
                if object == Object::Document
                    && &*name.text == "data"
                    && let Some(id) = self.document_type
                {
                    known.declared = self.known_document(id).declared;
                }
                known
            }
            None if object.is_open() => Known::ANY,
            None => {
                let message = format!("{} has no property `{}`", object.describe(), name.text);
                let hint = self
                    .suggestion(&name.text, property_names(object))
                    .or_else(|| object.hint(&name.text));
                let mut diagnostic = Diagnostic::new(Code::UnknownMember, name.span, message);
                diagnostic.hint = hint;
                self.report(diagnostic);
                Known::ANY
            }
        }
    }

    fn index(&mut self, base: &'p Expr, index: &'p Expr) -> Known<'p> {
        let known = self.known(base);
        let index_kinds = self.known(index).kinds;
        self.require(base, known.kinds, INDEXED, "what is indexed");
        if let (Some(object), ExprKind::String(key)) = (known.object, &index.kind) {
            let name = Name {
                text: std::sync::Arc::clone(key),
                span: index.span,
            };
            return self.property(object, &name);
        }
        let usable = known.kinds.and(INDEXED);
        let wanted = if usable == MAP {
            Kinds::only(Kind::String)
        } else if usable.has(Kind::Map) {
            Kinds::of(&[Kind::Int, Kind::String])
        } else {
            Kinds::only(Kind::Int)
        };
        if !usable.is_empty() {
            self.require(index, index_kinds, wanted, "the index");
        }
        if usable.is_empty() || usable.has(Kind::Map) || usable.has(Kind::List) {
            return if usable == Kinds::only(Kind::List) {
                self.element_of(known.declared)
            } else {
                Known::ANY
            };
        }
        Known::of(Kinds::only(Kind::String))
    }

    /// `function(arguments)`
    fn call(&mut self, expr: &Expr, function: &Name, arguments: &'p [Expr]) -> Known<'p> {
        if let Some(id) = self.find_function(&function.text) {
            self.resolve(expr, Resolution::Function(id));
            return self.call_declared(id, function, arguments);
        }
        if self.this.is_some() && methods_named(&function.text).next().is_some() {
            self.resolve(expr, Resolution::ThisMethod);
            let this = self.this.unwrap_or(Known::ANY);
            return self.call_method(this, function, arguments);
        }
        let found = builtin(None, &function.text).filter(|found| {
            found.service.is_none() || self.service.is_none() || found.service == self.service
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
        let object = (found.id.is_lookup() && found.result.has(Kind::Map)).then_some(Object::Document);
        let mut known = Known {
            object,
            ..Known::of(found.result)
        };
        if let (Some(first), language::BuiltinId::Debug) = (arguments.first(), found.id) {
            known = Known::of(self.checked.kinds(first));
        }
        known
    }

    fn call_declared(&mut self, id: super::FunctionId, name: &Name, arguments: &'p [Expr]) -> Known<'p> {
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
                Some(crate::syntax::ServiceKind::Firestore) => Some(format!(
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
    fn method_call(
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
        let found = builtin(Some(namespace), &method.text).filter(|found| {
            found.service.is_none() || self.service.is_none() || found.service == self.service
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
                self.patterns.insert(std::sync::Arc::clone(text), error.clone());
                error
            }
        };
        if let Some(error) = error {
            let mut diagnostic = Diagnostic::new(Code::InvalidPattern, pattern.span, error.to_string());
            diagnostic.hint = error.hint().map(str::to_owned);
            self.report(diagnostic);
        }
    }

    fn quantified(
        &mut self,
        base: &'p Expr,
        quantifier: Quantifier,
        variable: &'p Name,
        body: &'p Expr,
    ) -> Known<'p> {
        let known = self.known(base);
        let wanted = Kinds::of(&[Kind::List, Kind::Set]);
        self.require(
            base,
            known.kinds,
            wanted,
            "what `all`, `any` and `map` go through",
        );
        let kinds = self.scoped(Scope::default(), |checker| {
            checker.declare_variable(variable, VariableKind::Element);
            checker.known(body).kinds
        });
        if quantifier == Quantifier::Map {
            return Known::of(Kinds::only(Kind::List));
        }
        self.require_bool(body, kinds, "the condition of `all` and `any`");
        Known::of(BOOL)
    }

    fn binary(&mut self, operator: BinaryOperator, span: Span, left: &'p Expr, right: &'p Expr) -> Kinds {
        let (one, other) = (self.known(left).kinds, self.known(right).kinds);
        if one.is_empty() || other.is_empty() {
            return Kinds::ANY;
        }
        match operator {
            BinaryOperator::And | BinaryOperator::Or => {
                let what = format!("an operand of `{}`", operator.as_str());
                self.require_bool(left, one, &what);
                self.require_bool(right, other, &what);
                BOOL
            }
            BinaryOperator::In => {
                // `a in b == c` has a lint of its own, which says more.
                if !matches!(&right.kind, ExprKind::Binary { .. }) {
                    self.require(right, other, CONTAINERS, "what stands behind `in`");
                }
                if other == MAP {
                    self.require(left, one, Kinds::only(Kind::String), "a key before `in`");
                }
                BOOL
            }
            BinaryOperator::Equal | BinaryOperator::NotEqual => {
                self.check_comparable(operator, span, one, other);
                BOOL
            }
            BinaryOperator::Less
            | BinaryOperator::LessOrEqual
            | BinaryOperator::Greater
            | BinaryOperator::GreaterOrEqual => {
                let fits = ORDERED
                    .iter()
                    .any(|kinds| !kinds.and(one).is_empty() && !kinds.and(other).is_empty());
                if !fits {
                    self.no_operation(operator, span, one, other);
                }
                BOOL
            }
            BinaryOperator::Coalesce => {
                let without_null = Kind::ALL
                    .iter()
                    .filter(|kind| **kind != Kind::Null && one.has(**kind))
                    .fold(Kinds::NONE, |kinds, kind| kinds.or(Kinds::only(*kind)));
                without_null.or(other)
            }
            BinaryOperator::Add
            | BinaryOperator::Subtract
            | BinaryOperator::Multiply
            | BinaryOperator::Divide
            | BinaryOperator::Remainder => {
                let result = arithmetic(operator, one, other);
                if result.is_empty() {
                    self.no_operation(operator, span, one, other);
                    return Kinds::ANY;
                }
                result
            }
        }
    }

    /// Says that an equality is decided by the types alone. A comparison with null tests whether something is there, which
    /// is meant even where it cannot be null.
    fn check_comparable(&mut self, operator: BinaryOperator, span: Span, one: Kinds, other: Kinds) {
        let widened = |kinds: Kinds| {
            if kinds.and(Kinds::NUMBER).is_empty() {
                kinds
            } else {
                kinds.or(Kinds::NUMBER)
            }
        };
        let null = Kinds::only(Kind::Null);
        if one == null || other == null || !widened(one).and(widened(other)).is_empty() {
            return;
        }
        let outcome = if operator == BinaryOperator::Equal {
            "false"
        } else {
            "true"
        };
        let message = format!(
            "this is always {outcome}: {} is never equal to {}",
            article(one),
            article(other)
        );
        self.report(Diagnostic::new(Code::TypeMismatch, span, message));
    }

    fn no_operation(&mut self, operator: BinaryOperator, span: Span, one: Kinds, other: Kinds) {
        let is_list = one == Kinds::only(Kind::List) && other == Kinds::only(Kind::List);
        let code = if is_list {
            Code::ListAddition
        } else {
            Code::TypeMismatch
        };
        let message = format!(
            "`{}` always fails between {} and {}",
            operator.as_str(),
            article(one),
            article(other)
        );
        let mut diagnostic = Diagnostic::new(code, span, message);
        diagnostic.hint = if is_list {
            Some("join lists with `a.concat(b)`".to_owned())
        } else if one.has(Kind::Timestamp) && !other.and(Kinds::NUMBER).is_empty() {
            Some(
                "a length of time is `duration.value(5, 'm')`, a point in time `timestamp.value(millis)`"
                    .to_owned(),
            )
        } else if one == Kinds::only(Kind::String) || other == Kinds::only(Kind::String) {
            Some("convert with `string(x)`, `int(x)` or `float(x)`".to_owned())
        } else {
            None
        };
        self.report(diagnostic);
    }
}

/// What any of some methods gives.
fn results(methods: &[&'static Method]) -> Kinds {
    methods
        .iter()
        .fold(Kinds::NONE, |kinds, method| kinds.or(method.result))
}

/// The types that arithmetic gives; none if it always fails.
fn arithmetic(operator: BinaryOperator, one: Kinds, other: Kinds) -> Kinds {
    let both = |kind: Kind| one.has(kind) && other.has(kind);
    let either = |left: Kind, right: Kind| one.has(left) && other.has(right);
    let mut result = Kinds::NONE;
    let mut add = |applies: bool, kind: Kind| {
        if applies {
            result = result.or(Kinds::only(kind));
        }
    };
    add(both(Kind::Int), Kind::Int);
    add(
        both(Kind::Float) || either(Kind::Int, Kind::Float) || either(Kind::Float, Kind::Int),
        Kind::Float,
    );
    match operator {
        BinaryOperator::Add => {
            add(both(Kind::String), Kind::String);
            add(both(Kind::Duration), Kind::Duration);
            add(
                either(Kind::Timestamp, Kind::Duration) || either(Kind::Duration, Kind::Timestamp),
                Kind::Timestamp,
            );
        }
        BinaryOperator::Subtract => {
            add(both(Kind::Duration) || both(Kind::Timestamp), Kind::Duration);
            add(either(Kind::Timestamp, Kind::Duration), Kind::Timestamp);
        }
        _ => {}
    }
    result
}
