//! What the strict operators make of operands that are not known.

use andiron_protocol::{FieldRef, Operator, Value as Stored};

use super::condition::{self, Shared};
use super::constant::{Forms, forms, micros};
use super::interpret::{Interpreter, Stop};
use super::term::{self, CASES_MAX, Moment, Partial, Term};
use super::test::{Relation, Test};
use crate::evaluate::time::{TIMESTAMP_END, TIMESTAMP_MIN};
use crate::evaluate::value::Value;
use crate::evaluate::{Fault, operator};
use crate::language::{Kind, Kinds};
use crate::source::Span;
use crate::syntax::BinaryOperator;

/// What is counted for a comparison with a constant; see [`Limits::value_bytes_max`](crate::Limits::value_bytes_max).
const COMPARING_BYTES: usize = 1 << 10;

impl<'a> Interpreter<'a> {
    /// `left operator right`; both have values.
    pub(crate) fn binary(
        &mut self,
        operator: BinaryOperator,
        left: Partial<'a>,
        right: Partial<'a>,
        span: Span,
    ) -> Partial<'a> {
        if let (Partial::Known(left), Partial::Known(right)) = (&left, &right) {
            let result = operator::binary(operator, left, right, &mut self.context);
            return self.done(result, span);
        }
        if let Some(result) = self.for_each_case(&left, span, |this, left| {
            this.binary(operator, left, right.clone(), span)
        }) {
            return result;
        }
        if let Some(result) = self.for_each_case(&right, span, |this, right| {
            this.binary(operator, left.clone(), right, span)
        }) {
            return result;
        }
        self.context.spend(COMPARING_BYTES);
        match operator {
            BinaryOperator::Equal => self.equal(left, right, span),
            BinaryOperator::NotEqual => {
                let equal = self.equal(left, right, span);
                match self.truth(equal, "!=", span) {
                    Ok(equal) => self.of_condition(condition::not(&equal)),
                    Err(Stop::Error(error)) => Partial::Failed(error),
                    Err(Stop::Needs) => Partial::Needs,
                }
            }
            BinaryOperator::Less
            | BinaryOperator::LessOrEqual
            | BinaryOperator::Greater
            | BinaryOperator::GreaterOrEqual => self.ordered(operator, left, right, span),
            BinaryOperator::In => self.is_in(left, right, span),
            _ => self.arithmetic(operator, left, right, span),
        }
    }

    /// `left + right` and the like: timestamps are moved and measured, of all else nothing is known.
    fn arithmetic(
        &mut self,
        operator: BinaryOperator,
        left: Partial<'a>,
        right: Partial<'a>,
        span: Span,
    ) -> Partial<'a> {
        let path = |term: &Term<'a>| match term {
            Term::Field(field) => Some(field.path.clone()),
            _ => None,
        };
        let moment = match (operator, &left, &right) {
            (BinaryOperator::Add, Partial::Unknown(term), Partial::Known(Value::Duration(length)))
            | (BinaryOperator::Add, Partial::Known(Value::Duration(length)), Partial::Unknown(term)) => {
                path(term).map(|path| (path, false, *length, Kind::Timestamp))
            }
            (BinaryOperator::Subtract, Partial::Unknown(term), Partial::Known(Value::Duration(length))) => {
                path(term).map(|path| (path, false, -*length, Kind::Timestamp))
            }
            (BinaryOperator::Subtract, Partial::Unknown(term), Partial::Known(Value::Timestamp(other))) => {
                path(term).map(|path| (path, false, -*other, Kind::Duration))
            }
            (BinaryOperator::Subtract, Partial::Known(Value::Timestamp(other)), Partial::Unknown(term)) => {
                path(term).map(|path| (path, true, *other, Kind::Duration))
            }
            _ => None,
        };
        match moment {
            Some((path, is_turned, offset, kind)) => Partial::term(Term::Moment(Moment {
                path,
                is_turned,
                offset,
                kind,
            })),
            None => self.opaque_of(&[left, right], span),
        }
    }

    /// A moment compared with a known value; `None` if no test says that.
    fn ordered_moment(
        &mut self,
        operator: Operator,
        moment: &Moment,
        value: &Value<'a>,
        span: Span,
    ) -> Option<Shared> {
        let limit = match (moment.kind, value) {
            (Kind::Timestamp, Value::Timestamp(nanos)) | (Kind::Duration, Value::Duration(nanos)) => *nanos,
            _ => return None,
        };
        let test = |operator, nanos| {
            let (operator, constant) = timestamp_bound(operator, nanos)?;
            let relation = Relation::Ordered(operator, constant);
            Some(term::field_test(&moment.path, relation, span))
        };
        let compared = if moment.is_turned {
            test(turned(operator), moment.offset - limit)?
        } else {
            test(operator, limit - moment.offset)?
        };
        // A sum beyond the years that there are is an error.
        let fits = match moment.kind {
            Kind::Timestamp if moment.offset > 0 => test(Operator::Less, TIMESTAMP_END - moment.offset)?,
            Kind::Timestamp if moment.offset < 0 => {
                test(Operator::GreaterOrEqual, TIMESTAMP_MIN - moment.offset)?
            }
            _ => return Some(compared),
        };
        Some(condition::choice([(fits, compared)]))
    }

    /// `left == right`
    fn equal(&mut self, left: Partial<'a>, right: Partial<'a>, span: Span) -> Partial<'a> {
        let (term, value) = match (&left, &right) {
            (Partial::Unknown(term), Partial::Known(value))
            | (Partial::Known(value), Partial::Unknown(term)) => (term, value),
            (Partial::Unknown(own), Partial::Unknown(other)) => {
                return match (&**own, &**other) {
                    (Term::Condition(own), Term::Condition(other)) => {
                        let same = condition::choice([
                            (own.clone(), other.clone()),
                            (condition::not(own), condition::not(other)),
                        ]);
                        self.of_condition(same)
                    }
                    (Term::Condition(condition), Term::Field(field))
                    | (Term::Field(field), Term::Condition(condition)) => {
                        let equals = |truth| {
                            let forms = Forms::These(vec![Stored::Boolean(truth)]);
                            term::field_test(&field.path, Relation::Equal(forms), span)
                        };
                        let same = condition::choice([
                            (condition.clone(), equals(true)),
                            (condition::not(condition), equals(false)),
                        ]);
                        self.of_condition(same)
                    }
                    (Term::Id, Term::Id) => Partial::bool(true),
                    _ => self.unclear_of(&[left, right], span),
                };
            }
            _ => return self.unclear_of(&[left, right], span),
        };
        let kind = value.kind();
        let certainly_not = match &**term {
            Term::Request | Term::Document | Term::Data => kind != Kind::Map,
            Term::Id => {
                let Value::String(text) = value else {
                    return Partial::bool(false);
                };
                let forms = Forms::These(vec![Stored::from(&**text)]);
                let test = term::id_test(Relation::Equal(forms), span);
                return self.of_condition(test);
            }
            Term::Field(field) => {
                let forms = forms(value, self.context.database);
                let test = term::field_test(&field.path, Relation::Equal(forms), span);
                return self.of_condition(test);
            }
            Term::Condition(condition) => match value {
                Value::Bool(true) => return self.of_condition(condition.clone()),
                Value::Bool(false) => return self.of_condition(condition::not(condition)),
                _ => true,
            },
            Term::List(elements, _) => match value {
                Value::List(list) if list.len() == elements.len() => {
                    let mut parts = Vec::with_capacity(elements.len());
                    for (element, value) in elements.iter().zip(list.iter()) {
                        match self.condition_of(
                            BinaryOperator::Equal,
                            element.clone(),
                            Partial::Known(value),
                            span,
                        ) {
                            Ok(part) => parts.push(part),
                            Err(stopped) => return stopped,
                        }
                    }
                    let same = condition::choice([(
                        term::are_defined([&left, &right], span),
                        condition::all(parts),
                    )]);
                    return self.of_condition(same);
                }
                _ => true,
            },
            Term::Keys(_) => kind != Kind::List,
            Term::Moment(moment) => kind != moment.kind,
            Term::Opaque { .. } | Term::Cases(_, _) => false,
        };
        let defined = term::are_defined([&left, &right], span);
        let result = if certainly_not {
            condition::choice([(defined, condition::known(false))])
        } else {
            condition::unclear(defined, span)
        };
        self.of_condition(result)
    }

    /// What an operator comes to, as a condition; otherwise what the whole comes to.
    fn condition_of(
        &mut self,
        operator: BinaryOperator,
        left: Partial<'a>,
        right: Partial<'a>,
        span: Span,
    ) -> Result<Shared, Partial<'a>> {
        let result = self.binary(operator, left, right, span);
        match self.truth(result, "", span) {
            Ok(condition) => Ok(condition),
            Err(Stop::Error(error)) => Err(Partial::Failed(error)),
            Err(Stop::Needs) => Err(Partial::Needs),
        }
    }

    /// `left < right` and the like.
    fn ordered(
        &mut self,
        operator: BinaryOperator,
        left: Partial<'a>,
        right: Partial<'a>,
        span: Span,
    ) -> Partial<'a> {
        let wanted = match operator {
            BinaryOperator::Less => Operator::Less,
            BinaryOperator::LessOrEqual => Operator::LessOrEqual,
            BinaryOperator::Greater => Operator::Greater,
            _ => Operator::GreaterOrEqual,
        };
        let (term, value, wanted) = match (&left, &right) {
            (Partial::Unknown(term), Partial::Known(value)) => (term, value, wanted),
            (Partial::Known(value), Partial::Unknown(term)) => (term, value, turned(wanted)),
            _ => return self.unclear_of(&[left, right], span),
        };
        let field = match &**term {
            Term::Field(field) => FieldRef::Field(field.path.clone()),
            Term::Id => FieldRef::Id,
            Term::Moment(moment) if value.kind() != moment.kind => {
                return self.no_order(operator, &left, &right, span);
            }
            Term::Moment(moment) => {
                return match self.ordered_moment(wanted, moment, value, span) {
                    Some(condition) => self.of_condition(condition),
                    None => self.unclear_of(&[left, right], span),
                };
            }
            Term::Opaque { .. } | Term::Cases(_, _) => return self.unclear_of(&[left, right], span),
            // These have no order.
            Term::Request
            | Term::Document
            | Term::Data
            | Term::Keys(_)
            | Term::Condition(_)
            | Term::List(_, _) => return self.no_order(operator, &left, &right, span),
        };
        let (wanted, constant) = match value {
            Value::Float(number) if number.is_nan() => {
                let FieldRef::Field(path) = &field else {
                    return self.no_order(operator, &left, &right, span);
                };
                let is_number = term::field_test(path, Relation::Is(Kinds::NUMBER), span);
                let never = condition::choice([(is_number, condition::known(false))]);
                return self.of_condition(never);
            }
            Value::String(text) => (wanted, Stored::from(&**text)),
            _ if field == FieldRef::Id => return self.no_order(operator, &left, &right, span),
            Value::Int(number) => (wanted, Stored::Integer(*number)),
            Value::Float(number) => (wanted, Stored::Double(*number)),
            Value::Timestamp(nanos) => match timestamp_bound(wanted, *nanos) {
                Some(bound) => bound,
                None => return self.unclear_of(&[left, right], span),
            },
            _ => return self.no_order(operator, &left, &right, span),
        };
        let test = condition::test(Test {
            field,
            relation: Relation::Ordered(wanted, constant),
            span,
        });
        self.of_condition(test)
    }

    fn no_order(
        &mut self,
        operator: BinaryOperator,
        left: &Partial<'a>,
        right: &Partial<'a>,
        span: Span,
    ) -> Partial<'a> {
        if !(left.is_certain() && right.is_certain()) {
            return Partial::failing();
        }
        let sign = operator.as_str();
        let fault = match (left, right) {
            (Partial::Known(Value::Null), _) | (_, Partial::Known(Value::Null)) => Fault::Null,
            _ => Fault::unsupported(format!("map {sign} map"), format!("number {sign} number")),
        };
        self.fail(fault, span)
    }

    /// `left in right`
    pub(crate) fn is_in(&mut self, left: Partial<'a>, right: Partial<'a>, span: Span) -> Partial<'a> {
        match (&left, &right) {
            (Partial::Unknown(term), Partial::Known(value)) => {
                let elements: Vec<Value<'a>> = match value {
                    Value::List(_) | Value::Set(_) => value
                        .elements()
                        .map(|list| list.iter().collect())
                        .unwrap_or_default(),
                    Value::Map(map) => map.iter().map(|(key, _)| Value::String(key)).collect(),
                    Value::Object(_) => return self.unclear_of(&[left], span),
                    _ if !left.is_certain() && value.elements().is_none() => return Partial::failing(),
                    Value::Null => return self.fail(Fault::Null, span),
                    other => {
                        let fault = Fault::unsupported(format!("in {}", other.type_name()), "in list");
                        return self.fail(fault, span);
                    }
                };
                self.context.spend(COMPARING_BYTES * elements.len());
                self.is_one_of(&left, term, elements, span)
            }
            (_, Partial::Unknown(term)) => match &**term {
                Term::Field(field) => {
                    let Partial::Known(value) = &left else {
                        return self.unclear_of(&[left, right], span);
                    };
                    // All elements may have to be looked at.
                    self.context.spend(andiron_protocol::limits::DOCUMENT_BYTES_MAX);
                    let key = match value {
                        Value::String(text) => Some((**text).to_owned()),
                        _ => None,
                    };
                    let element = forms(value, self.context.database);
                    let relation = Relation::Contains { element, key };
                    let test = term::field_test(&field.path, relation, span);
                    self.of_condition(test)
                }
                Term::Data | Term::Keys(_) => match &left {
                    Partial::Known(Value::String(name)) => {
                        let has = self.has_key(term, name, span);
                        self.of_condition(has)
                    }
                    Partial::Known(_) => {
                        let never = condition::choice([(right.is_defined(span), condition::known(false))]);
                        self.of_condition(never)
                    }
                    _ => self.unclear_of(&[left, right], span),
                },
                Term::List(elements, _) => {
                    let mut parts = Vec::with_capacity(elements.len());
                    for element in elements {
                        match self.condition_of(BinaryOperator::Equal, left.clone(), element.clone(), span) {
                            Ok(part) => parts.push(part),
                            Err(stopped) => return stopped,
                        }
                    }
                    let defined = term::are_defined([&left, &right], span);
                    let result = condition::choice([(defined, condition::any(parts))]);
                    self.of_condition(result)
                }
                Term::Id if left.is_certain() => self.fail(Fault::unsupported("in string", "in list"), span),
                Term::Id | Term::Condition(_) => Partial::failing(),
                _ => self.unclear_of(&[left, right], span),
            },
            _ => self.unclear_of(&[left, right], span),
        }
    }

    /// Whether a term equals one of these.
    fn is_one_of(
        &mut self,
        value: &Partial<'a>,
        term: &Term<'a>,
        elements: Vec<Value<'a>>,
        span: Span,
    ) -> Partial<'a> {
        match term {
            Term::Field(field) => {
                let mut values = Vec::new();
                for element in &elements {
                    match forms(element, self.context.database) {
                        Forms::These(forms) => values.extend(forms),
                        Forms::Within(_) => return self.unclear_of(std::slice::from_ref(value), span),
                    }
                }
                let test = term::field_test(&field.path, Relation::OneOf(values), span);
                self.of_condition(test)
            }
            Term::Id => {
                let values = elements
                    .iter()
                    .filter_map(|element| match element {
                        Value::String(text) => Some(Stored::from(&**text)),
                        _ => None,
                    })
                    .collect();
                let test = term::id_test(Relation::OneOf(values), span);
                self.of_condition(test)
            }
            _ if elements.len() <= CASES_MAX => {
                let mut parts = Vec::with_capacity(elements.len());
                for element in elements {
                    match self.condition_of(
                        BinaryOperator::Equal,
                        value.clone(),
                        Partial::Known(element),
                        span,
                    ) {
                        Ok(part) => parts.push(part),
                        Err(stopped) => return stopped,
                    }
                }
                let result = condition::choice([(value.is_defined(span), condition::any(parts))]);
                self.of_condition(result)
            }
            _ => self.unclear_of(std::slice::from_ref(value), span),
        }
    }

    /// Whether the data, or the map whose keys these are, has a key.
    pub(crate) fn has_key(&mut self, term: &Term<'a>, name: &str, span: Span) -> Shared {
        let path = match term {
            Term::Keys(Some(base)) => super::test::member(base, name),
            _ => andiron_protocol::FieldPath::from_segments(vec![name.to_owned()]).ok(),
        };
        let has = match path {
            Some(path) => term::is_there(&path, span),
            // No document has a key of such a name, but that is not for the rules to know.
            None => condition::unclear(condition::known(true), span),
        };
        match term {
            Term::Keys(Some(base)) => condition::choice([(term::is_map(base, span), has)]),
            _ => has,
        }
    }
}

/// What a comparison with a moment comes to for timestamps of documents, which are whole microseconds; `None` if there is
/// no such moment.
fn timestamp_bound(operator: Operator, nanos: i128) -> Option<(Operator, Stored)> {
    let (moment, is_whole) = micros(nanos);
    let constant = Stored::Timestamp(moment?);
    Some(match operator {
        _ if is_whole => (operator, constant),
        // The moment lies behind this microsecond.
        Operator::Less | Operator::LessOrEqual => (Operator::LessOrEqual, constant),
        _ => (Operator::Greater, constant),
    })
}

/// The operator with its sides exchanged.
fn turned(operator: Operator) -> Operator {
    match operator {
        Operator::Less => Operator::Greater,
        Operator::LessOrEqual => Operator::GreaterOrEqual,
        Operator::Greater => Operator::Less,
        _ => Operator::LessOrEqual,
    }
}
