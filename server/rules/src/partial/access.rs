//! What hangs on something that is not known: members, elements, types.

use std::rc::Rc;

use andiron_protocol::FieldPath;

use super::condition::{self, Shared};
use super::interpret::Interpreter;
use super::term::{self, CASES_MAX, Field, Partial, Term};
use super::test::Relation;
use crate::evaluate::core::Wanted;
use crate::evaluate::value::{Object, Value};
use crate::evaluate::{Fault, operator};
use crate::language::{Kind, Kinds};
use crate::source::Span;
use crate::syntax::BinaryOperator;

impl<'a> Interpreter<'a> {
    /// A field of the document's data, below another or at its top.
    pub(crate) fn field(&mut self, base: Option<&Field>, name: &str, may_mistype: bool) -> Partial<'a> {
        let path = match base {
            Some(field) => super::test::member(&field.path, name),
            None => FieldPath::from_segments(vec![name.to_owned()]).ok(),
        };
        let Some(path) = path else {
            // No document has a field of such a name, but that is not for the rules to know.
            return Partial::opaque(condition::known(true));
        };
        if let Some(value) = self.facts.value(&path) {
            return Partial::Known(Value::from_stored(value));
        }
        Partial::term(Term::Field(Field {
            path,
            may_mistype: may_mistype || base.is_some_and(|field| field.may_mistype),
        }))
    }

    /// `object.name`, or `object?.name`
    pub(crate) fn member(
        &mut self,
        object: Partial<'a>,
        name: &str,
        is_safe: bool,
        span: Span,
    ) -> Partial<'a> {
        let term = match &object {
            Partial::Known(value) => {
                return match value.member(name) {
                    Ok(value) => Partial::Known(value),
                    Err(Fault::Null | Fault::UndefinedProperty(_)) if is_safe => Partial::Known(Value::Null),
                    Err(fault) => self.fail(fault, span),
                };
            }
            Partial::Failed(_) | Partial::Needs => return object,
            Partial::Unknown(term) => Rc::clone(term),
        };
        let undefined = || Fault::UndefinedProperty(name.into());
        match &*term {
            Term::Request if name == "path" => Partial::opaque(condition::known(true)),
            Term::Request => match Object::Request(self.request).get(name) {
                Some(value) => Partial::Known(value),
                None if is_safe => Partial::Known(Value::Null),
                None => self.fail(undefined(), span),
            },
            Term::Document => match name {
                "data" => Partial::term(Term::Data),
                "id" => match self.facts.id() {
                    Some(id) => Partial::Known(Value::string(id)),
                    None => Partial::term(Term::Id),
                },
                "__name__" => Partial::opaque(condition::known(true)),
                _ if is_safe => Partial::Known(Value::Null),
                _ => self.fail(undefined(), span),
            },
            Term::Data => {
                let field = self.field(None, name, false);
                if is_safe {
                    self.or_null(field, condition::known(true), span)
                } else {
                    field
                }
            }
            Term::Field(base) => {
                let field = self.field(Some(base), name, false);
                if is_safe {
                    self.or_null(field, term::is_there(&base.path, span), span)
                } else {
                    field
                }
            }
            Term::Cases(_, _) => self
                .for_each_case(&object, span, |this, value| {
                    this.member(value, name, is_safe, span)
                })
                .unwrap_or(object),
            Term::Id | Term::Keys(None) if !is_safe => self.fail(undefined(), span),
            Term::Keys(_) | Term::Condition(_) | Term::List(_, _) | Term::Moment(_) if !is_safe => {
                Partial::failing()
            }
            _ => self.opaque_of(&[object], span),
        }
    }

    /// A field, or null if only it is missing.
    fn or_null(&mut self, field: Partial<'a>, base_is_there: Shared, span: Span) -> Partial<'a> {
        let path = match &field {
            Partial::Unknown(term) => match &**term {
                Term::Field(field) => field.path.clone(),
                _ => return field,
            },
            _ => return field,
        };
        let is_there = term::is_there(&path, span);
        let is_missing = condition::all([base_is_there, condition::not(&is_there)]);
        self.cases(
            [(is_there, field), (is_missing, Partial::Known(Value::Null))],
            span,
        )
    }

    /// `object[index]`
    pub(crate) fn index(&mut self, object: Partial<'a>, index: Partial<'a>, span: Span) -> Partial<'a> {
        if let Some(result) = self.for_each_case(&object, span, |this, object| {
            this.index(object, index.clone(), span)
        }) {
            return result;
        }
        if let Some(result) = self.for_each_case(&index, span, |this, index| {
            this.index(object.clone(), index, span)
        }) {
            return result;
        }
        match (&object, &index) {
            (Partial::Known(object), Partial::Known(index)) => {
                let result = operator::index(object, index, &mut self.context);
                self.done(result, span)
            }
            (Partial::Known(Value::Map(map)), Partial::Unknown(_)) if map.len() <= CASES_MAX => {
                // One case for each key.
                let mut cases = Vec::with_capacity(map.len());
                for (key, value) in map.iter() {
                    let is_key = self.binary(
                        BinaryOperator::Equal,
                        index.clone(),
                        Partial::Known(Value::String(key)),
                        span,
                    );
                    match self.truth(is_key, "", span) {
                        Ok(guard) => cases.push((guard, Partial::Known(value))),
                        Err(_) => return self.opaque_of(&[index], span),
                    }
                }
                self.cases(cases, span)
            }
            (Partial::Unknown(term), Partial::Known(Value::String(name))) => match &**term {
                Term::Data | Term::Request | Term::Document => self.member(object.clone(), name, false, span),
                Term::Field(base) => self.field(Some(base), name, true),
                _ => self.opaque_of(&[object, index], span),
            },
            _ => self.opaque_of(&[object, index], span),
        }
    }

    pub(crate) fn is(&mut self, value: Partial<'a>, wanted: &Wanted, span: Span) -> Partial<'a> {
        let kinds = match (&value, wanted) {
            (Partial::Failed(_) | Partial::Needs, _) => return value,
            // A declared type may have conditions of its own.
            (_, Wanted::Type(_)) => {
                self.is_metered = false;
                return self.unclear_of(&[value], span);
            }
            (Partial::Known(value), Wanted::Kinds(kinds)) => return Partial::bool(kinds.has(value.kind())),
            (_, Wanted::Kinds(kinds)) => *kinds,
        };
        if let Some(result) = self.for_each_case(&value, span, |this, value| this.is(value, wanted, span)) {
            return result;
        }
        self.is_of(&value, kinds, span)
    }

    /// Whether something that is not known is of these types.
    pub(crate) fn is_of(&mut self, value: &Partial<'a>, kinds: Kinds, span: Span) -> Partial<'a> {
        let Partial::Unknown(term) = value else {
            return self.unclear_of(std::slice::from_ref(value), span);
        };
        let certain = match &**term {
            Term::Request | Term::Document | Term::Data => Kind::Map,
            Term::Id => Kind::String,
            Term::Moment(moment) => moment.kind,
            Term::Keys(_) | Term::List(_, _) => Kind::List,
            Term::Condition(_) => Kind::Bool,
            Term::Field(field) => {
                let test = term::field_test(&field.path, Relation::Is(kinds), span);
                return self.of_condition(test);
            }
            Term::Opaque { .. } | Term::Cases(_, _) => {
                return self.unclear_of(std::slice::from_ref(value), span);
            }
        };
        let guard = value.is_defined(span);
        let result = condition::choice([(guard, condition::known(kinds.has(certain)))]);
        self.of_condition(result)
    }
}
