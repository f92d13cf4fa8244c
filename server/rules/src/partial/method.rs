//! What methods make of values that are not known.

use andiron_protocol::limits::DOCUMENT_BYTES_MAX;

use super::condition::{self, Shared};
use super::constant::forms;
use super::interpret::{Interpreter, Stop};
use super::term::{self, Partial, Term};
use super::test::Relation;
use crate::evaluate::core::MethodCall;
use crate::evaluate::value::{List, Value};
use crate::language::{Kind, Kinds};
use crate::source::Span;
use crate::syntax::BinaryOperator;
use smallvec::SmallVec;

/// `hasAny`, `hasAll`, `hasOnly`
#[derive(Clone, Copy, PartialEq, Eq)]
enum Has {
    Any,
    All,
    Only,
}

impl<'a> Interpreter<'a> {
    /// `object.name(arguments)`; all have values.
    pub(crate) fn method(
        &mut self,
        call: &'a MethodCall,
        object: Partial<'a>,
        arguments: &[Partial<'a>],
        span: Span,
    ) -> Partial<'a> {
        let mut known = SmallVec::<[Value<'a>; 2]>::new();
        for argument in arguments {
            if let Partial::Known(value) = argument {
                known.push(value.clone());
            }
        }
        let all_known = known.len() == arguments.len();
        if let (Partial::Known(object), true) = (&object, all_known) {
            let pattern = match &call.pattern {
                Some(Ok(pattern)) => Some(pattern),
                Some(Err(fault)) if matches!(object, Value::String(_)) => {
                    return self.fail(fault.clone(), span);
                }
                _ => None,
            };
            let result = call
                .methods
                .call(&call.name, object, &known, pattern, &mut self.context);
            return self.done(result, span);
        }
        if let Some(result) = self.for_each_case(&object, span, |this, object| match object {
            Partial::Known(Value::Null) if call.is_safe => Partial::Known(Value::Null),
            object => this.method(call, object, arguments, span),
        }) {
            return result;
        }
        // What it takes is at most some passes over the document.
        self.context.spend(DOCUMENT_BYTES_MAX);
        let has = match &*call.name {
            "hasAny" => Some(Has::Any),
            "hasAll" => Some(Has::All),
            "hasOnly" => Some(Has::Only),
            _ => None,
        };
        let special = match (&object, arguments) {
            (Partial::Unknown(term), [Partial::Known(other)]) => match (has, other.elements()) {
                (Some(has), Some(other)) => self.term_has(has, term, &other, span),
                _ => None,
            },
            (Partial::Known(own), [Partial::Unknown(term)]) => match (has, own.elements()) {
                (Some(has), Some(own)) => self.list_has(has, &own, term, span),
                _ => None,
            },
            (Partial::Unknown(term), [Partial::Known(key), default]) if &*call.name == "get" => {
                self.get(&object, term, key, default, span)
            }
            (Partial::Unknown(term), []) if &*call.name == "keys" => match &**term {
                Term::Data => Some(Partial::term(Term::Keys(None))),
                Term::Field(field) => Some(Partial::term(Term::Keys(Some(field.path.clone())))),
                _ => None,
            },
            _ => None,
        };
        match special {
            // A safe call of null has another value.
            Some(result) if !call.is_safe || is_never_null(&object) => result,
            _ => self.some_value(call, &object, arguments, span),
        }
    }

    /// Some value, if the object may be of a type that has the method.
    fn some_value(
        &mut self,
        call: &MethodCall,
        object: &Partial<'a>,
        arguments: &[Partial<'a>],
        span: Span,
    ) -> Partial<'a> {
        if call.is_safe {
            return self.opaque_of(std::slice::from_ref(object), span);
        }
        let mut parts: Vec<Shared> = vec![term::are_defined(arguments, span)];
        match object {
            Partial::Unknown(term) if matches!(**term, Term::Field(_)) => {
                let receivers: Vec<Kind> = Kind::ALL
                    .iter()
                    .copied()
                    .filter(|kind| call.methods.of(*kind, arguments.len()).is_some())
                    .collect();
                if receivers.is_empty() {
                    return Partial::failing();
                }
                let is_receiver = self.is_of(object, Kinds::of(&receivers), span);
                match self.truth(is_receiver, "", span) {
                    Ok(part) => parts.push(part),
                    Err(Stop::Error(error)) => return Partial::Failed(error),
                    Err(Stop::Needs) => return Partial::Needs,
                }
            }
            object => parts.push(object.is_defined(span)),
        }
        Partial::opaque(condition::all(parts))
    }

    /// `has…` of something that is not known.
    fn term_has(&mut self, has: Has, term: &Term<'a>, other: &List<'a>, span: Span) -> Option<Partial<'a>> {
        match term {
            Term::Field(field) => {
                let elements: Vec<_> = other
                    .iter()
                    .map(|element| forms(&element, self.context.database))
                    .collect();
                let is_list = || term::field_test(&field.path, Relation::Is(Kinds::only(Kind::List)), span);
                let condition = match has {
                    Has::Any => term::field_test(&field.path, Relation::HasAny(elements), span),
                    Has::All => term::field_test(&field.path, Relation::HasAll(elements), span),
                    Has::Only => condition::unclear(is_list(), span),
                };
                Some(self.of_condition(condition))
            }
            Term::Keys(base) => {
                let defined = base
                    .as_ref()
                    .map_or_else(|| condition::known(true), |path| term::is_map(path, span));
                let mut parts = Vec::new();
                for element in other.iter() {
                    parts.push(match &element {
                        Value::String(name) => self.has_key(term, name, span),
                        _ => condition::known(false),
                    });
                }
                let result = match has {
                    Has::Any => condition::choice([(defined, condition::any(parts))]),
                    Has::All => condition::choice([(defined, condition::all(parts))]),
                    Has::Only => condition::unclear(defined, span),
                };
                Some(self.of_condition(result))
            }
            _ => None,
        }
    }

    /// `has…` of a known list or set, with something that is not known.
    fn list_has(&mut self, has: Has, own: &List<'a>, term: &Term<'a>, span: Span) -> Option<Partial<'a>> {
        match (term, has) {
            // To share an element goes both ways, and to be part of the other turns around.
            (Term::Field(_) | Term::Keys(_), Has::Any) => self.term_has(Has::Any, term, own, span),
            (Term::Field(_) | Term::Keys(_), Has::Only) => self.term_has(Has::All, term, own, span),
            (Term::Field(_) | Term::Keys(_), Has::All) => self.term_has(Has::Only, term, own, span),
            (Term::List(elements, _), Has::Any | Has::All) => {
                let mut parts = Vec::with_capacity(elements.len());
                for element in elements {
                    let list = Partial::Known(Value::List(own.clone()));
                    let is_in = self.binary(BinaryOperator::In, element.clone(), list, span);
                    match self.truth(is_in, "", span) {
                        Ok(part) => parts.push(part),
                        Err(Stop::Error(error)) => return Some(Partial::Failed(error)),
                        Err(Stop::Needs) => return Some(Partial::Needs),
                    }
                }
                let joined = match has {
                    Has::Any => condition::any(parts),
                    _ => condition::all(parts),
                };
                let result = condition::choice([(term::are_defined(elements, span), joined)]);
                Some(self.of_condition(result))
            }
            _ => None,
        }
    }

    /// `map.get(key, default)`
    fn get(
        &mut self,
        object: &Partial<'a>,
        term: &Term<'a>,
        key: &Value<'a>,
        default: &Partial<'a>,
        span: Span,
    ) -> Option<Partial<'a>> {
        let (mut base, is_map) = match term {
            Term::Data => (None, condition::known(true)),
            Term::Field(field) => (Some(object.clone()), term::is_map(&field.path, span)),
            _ => return None,
        };
        let keys: Vec<Value<'a>> = match key {
            Value::String(_) => vec![key.clone()],
            Value::List(list) if list.len() > 0 => list.iter().collect(),
            _ => return None,
        };
        // Each key leads to a field of the field before, of which the rest follows: if that one is there, so are all.
        let mut path = None;
        for key in &keys {
            let Value::String(name) = key else { return None };
            let field = match &base {
                None => self.unread_field(None, name),
                Some(Partial::Unknown(term)) => match &**term {
                    Term::Field(field) => self.unread_field(Some(&field.path), name),
                    _ => None,
                },
                Some(_) => None,
            }?;
            path = Some(field.clone());
            base = Some(Partial::term(Term::Field(term::Field {
                path: field,
                may_mistype: false,
            })));
        }
        let path = path?;
        let field = match self.facts.value(&path) {
            Some(value) => Partial::Known(Value::from_stored(value)),
            None => base?,
        };
        let is_there = term::is_there(&path, span);
        let default_is_defined = default.is_defined(span);
        let found = condition::all([is_there.clone(), default_is_defined.clone()]);
        let missing = condition::all([is_map, condition::not(&is_there), default_is_defined]);
        Some(self.cases([(found, field), (missing, default.clone())], span))
    }

    fn unread_field(
        &self,
        base: Option<&andiron_protocol::FieldPath>,
        name: &str,
    ) -> Option<andiron_protocol::FieldPath> {
        match base {
            Some(base) => super::test::member(base, name),
            None => andiron_protocol::FieldPath::from_segments(vec![name.to_owned()]).ok(),
        }
    }
}

fn is_never_null(value: &Partial<'_>) -> bool {
    match value {
        Partial::Known(value) => !matches!(value, Value::Null),
        Partial::Unknown(term) => matches!(**term, Term::Data | Term::Keys(_) | Term::Id),
        _ => false,
    }
}
