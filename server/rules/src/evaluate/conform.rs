//! Whether a value is of a declared type, and if not, where it differs first.

use std::fmt;
use std::sync::Arc;

use super::compare::equal;
use super::core::{FieldShape, Shape};
use super::fault::{EvaluationError, Fault};
use super::interpret::{EVALUATION_DEPTH_MAX, Evaluator, Stop};
use super::observe::Observer;
use super::value::{Map, Text, Value};
use crate::check::TypeId;
use crate::source::Span;
use crate::syntax::Literal;

/// Where a value is not of its type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mismatch {
    /// The field, as in `author.name` or `tags[2]`; empty if it is the value itself.
    pub field: String,
    /// What is wrong with it.
    pub problem: String,
    /// The condition that does not hold, if it is one.
    pub condition: Option<Span>,
}

impl fmt::Display for Mismatch {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.field.is_empty() {
            formatter.write_str(&self.problem)
        } else {
            write!(formatter, "field `{}` {}", self.field, self.problem)
        }
    }
}

/// Of a type, not of it, or not to be told.
type Conforms = Result<Result<(), Mismatch>, Stop>;

impl<'a, O: Observer> Evaluator<'a, '_, O> {
    /// Whether a value is of a declared type, as it is asked for at a place of the program.
    pub(crate) fn conforms(&mut self, value: &Value<'a>, id: TypeId, span: Span) -> Conforms {
        let core = self.core;
        let Some(shape) = core.types.get(id.0 as usize) else {
            return Ok(Err(mismatch("", "has a type that is not declared".to_owned())));
        };
        self.fits(value, shape, &mut String::new())
            .map_err(|stop| match stop {
                // Shapes have no place in the text; their limits are met where the type is asked for.
                Stop::Error(error) if error.span == Span::default() => {
                    Stop::Error(Box::new(EvaluationError { span, ..*error }))
                }
                other => other,
            })
    }

    /// Goes one level deeper, into a part of the value or the type.
    fn fits(&mut self, value: &Value<'a>, shape: &'a Shape, field: &mut String) -> Conforms {
        if self.depth >= EVALUATION_DEPTH_MAX {
            return self.fail(Fault::DepthMax(EVALUATION_DEPTH_MAX), Span::default());
        }
        self.depth += 1;
        let result = self.shape_fits(value, shape, field);
        self.depth -= 1;
        result
    }

    fn shape_fits(&mut self, value: &Value<'a>, shape: &'a Shape, field: &mut String) -> Conforms {
        self.context.spend(1);
        if let Err(fault) = self.context.check() {
            return self.fail(fault, Span::default());
        }
        let wrong = |field: &str| {
            let problem = format!("is {}, not {}", value.type_name(), describe(shape));
            Ok(Err(mismatch(field, problem)))
        };
        match shape {
            Shape::Kinds(kinds) if kinds.has(value.kind()) => Ok(Ok(())),
            Shape::Kinds(_) => wrong(field),
            Shape::Literal(literal) => {
                let wanted = literal_value(literal);
                // A literal of one number type is not the equal number of the other.
                let is_same = value.kind() == wanted.kind() && equal(value, &wanted, &mut self.context);
                if is_same {
                    Ok(Ok(()))
                } else {
                    Ok(Err(mismatch(field, format!("is not {}", describe(shape)))))
                }
            }
            Shape::Declared(id, _) => {
                let core = self.core;
                match core.types.get(id.0 as usize) {
                    Some(shape) => self.fits(value, shape, field),
                    None => wrong(field),
                }
            }
            Shape::List(element) => {
                let Value::List(list) = value else {
                    return wrong(field);
                };
                for (index, value) in list.iter().enumerate() {
                    let length = field.len();
                    field.push_str(&format!("[{index}]"));
                    if let Err(problem) = self.fits(&value, element, field)? {
                        return Ok(Err(problem));
                    }
                    field.truncate(length);
                }
                Ok(Ok(()))
            }
            Shape::Map(element) => {
                let Some(Ok(map)) = value.as_map() else {
                    return wrong(field);
                };
                for (key, value) in map.iter() {
                    let length = push_field(field, &key);
                    if let Err(problem) = self.fits(&value, element, field)? {
                        return Ok(Err(problem));
                    }
                    field.truncate(length);
                }
                Ok(Ok(()))
            }
            Shape::Fields { fields, is_open } => {
                let Some(Ok(map)) = value.as_map() else {
                    return wrong(field);
                };
                self.fields_fit(&map, fields, *is_open, field)
            }
            Shape::Union(alternatives) => {
                let mut nearest: Option<Mismatch> = None;
                for alternative in alternatives {
                    let length = field.len();
                    let Err(problem) = self.fits(value, alternative, field)? else {
                        return Ok(Ok(()));
                    };
                    field.truncate(length);
                    // The alternative that fits furthest says what is wrong.
                    if problem.field.len() > nearest.as_ref().map_or(length, |nearest| nearest.field.len()) {
                        nearest = Some(problem);
                    }
                }
                match nearest {
                    Some(problem) => Ok(Err(problem)),
                    None => wrong(field),
                }
            }
            Shape::Where {
                base,
                condition,
                span,
            } => {
                if let Err(problem) = self.fits(value, base, field)? {
                    return Ok(Err(problem));
                }
                let problem = match self.body(*condition, [value.clone()]) {
                    Ok(Value::Bool(true)) => return Ok(Ok(())),
                    Ok(_) => "does not satisfy the condition of its type".to_owned(),
                    Err(Stop::Error(error)) if is_limit(&error) => return Err(Stop::Error(error)),
                    Err(Stop::Error(error)) => format!("fails the condition of its type: {error}"),
                    Err(Stop::Needs) => return Err(Stop::Needs),
                };
                Ok(Err(Mismatch {
                    condition: Some(*span),
                    ..mismatch(field, problem)
                }))
            }
        }
    }

    fn fields_fit(
        &mut self,
        map: &Map<'a>,
        fields: &'a [FieldShape],
        is_open: bool,
        field: &mut String,
    ) -> Conforms {
        let length = field.len();
        for wanted in fields {
            push_field(field, &wanted.name);
            match map.get(&wanted.name) {
                Some(value) => {
                    if let Err(problem) = self.fits(&value, &wanted.shape, field)? {
                        return Ok(Err(problem));
                    }
                }
                None if wanted.is_optional => {}
                None => return Ok(Err(mismatch(field, "is missing".to_owned()))),
            }
            field.truncate(length);
        }
        if !is_open {
            let is_known = |key: &Text<'_>| fields.iter().any(|wanted| *wanted.name == **key);
            if let Some((key, _)) = map.iter().find(|(key, _)| !is_known(key)) {
                push_field(field, &key);
                return Ok(Err(mismatch(field, "is not part of its type".to_owned())));
            }
        }
        Ok(Ok(()))
    }
}

fn is_limit(error: &EvaluationError) -> bool {
    matches!(
        error.fault,
        Fault::ExpressionsMax(_) | Fault::LookupsMax(_) | Fault::ValueBytesMax(_) | Fault::DepthMax(_)
    )
}

fn mismatch(field: &str, problem: String) -> Mismatch {
    Mismatch {
        field: field.to_owned(),
        problem,
        condition: None,
    }
}

/// Appends the name of a field, and gives the length before.
fn push_field(field: &mut String, name: &str) -> usize {
    let length = field.len();
    if length > 0 {
        field.push('.');
    }
    field.push_str(name);
    length
}

fn literal_value(literal: &Literal) -> Value<'_> {
    match literal {
        Literal::Null => Value::Null,
        Literal::Bool(value) => Value::Bool(*value),
        Literal::Int(value) => Value::Int(*value),
        Literal::Float(value) => Value::Float(*value),
        Literal::String(text) => Value::string(&**text),
    }
}

/// A type as messages call it.
fn describe(shape: &Shape) -> String {
    match shape {
        Shape::Kinds(kinds) => kinds.to_string(),
        Shape::Declared(_, name) => Arc::clone(name).to_string(),
        Shape::List(_) => "list".to_owned(),
        Shape::Map(_) | Shape::Fields { .. } => "map".to_owned(),
        Shape::Literal(literal) => super::value::show(&literal_value(literal), ""),
        Shape::Union(alternatives) => {
            let alternatives: Vec<_> = alternatives.iter().map(describe).collect();
            alternatives.join(" or ")
        }
        Shape::Where { base, .. } => describe(base),
    }
}
