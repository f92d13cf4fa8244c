//! Expressions: what their names mean, and which types their values may have.
//!
//! Types are sets of possibilities ([`Kinds`]). Something is said only where no possibility works, so nothing that could
//! succeed is ever complained about.

use super::{Checker, Resolution, VariableKind, names::Scope, service::article};
use crate::diagnostic::{Code, Diagnostic};
use crate::language::{self, Kind, Kinds, Namespace, Object, builtin, method, property, property_names};
use crate::source::Span;
use crate::syntax::{Expr, ExprKind, Name, PathPartKind, Quantifier, TypeExpr, UnaryOperator};

const BOOL: Kinds = Kinds::only(Kind::Bool);
const MAP: Kinds = Kinds::only(Kind::Map);
const NULL_OR_MAP: Kinds = Kinds::of(&[Kind::Null, Kind::Map]);
const INDEXED: Kinds = Kinds::of(&[Kind::List, Kind::String, Kind::Path, Kind::Map]);
const SLICED: Kinds = Kinds::of(&[Kind::List, Kind::String, Kind::Path, Kind::Bytes]);

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

    pub(super) fn known(&mut self, expr: &'p Expr) -> Known<'p> {
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

    pub(super) fn resolve(&mut self, expr: &Expr, resolution: Resolution) {
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
    pub(super) fn require(&mut self, expr: &Expr, found: Kinds, wanted: Kinds, what: &str) {
        if found.and(wanted).is_empty() && !found.is_empty() {
            let message = format!("{what} is {}, and this is {}", article(wanted), article(found));
            self.report(Diagnostic::new(Code::TypeMismatch, expr.span, message));
        }
    }

    pub(super) fn variable(&mut self, expr: &Expr, name: &Name) -> Known<'p> {
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

    pub(super) fn index(&mut self, base: &'p Expr, index: &'p Expr) -> Known<'p> {
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
}
