//! What begins with a name in a filter expression: fields, literal words, and calls of functions and methods.

use super::constants::CONSTANT_FUNCTIONS;
use super::lexer::TokenKind;
use super::parser::{Parser, Term, TermKind};
use crate::error::excerpt;
use crate::limits::{FIELD_PATH_SEGMENTS_MAX, FILTER_LIST_VALUES_MAX};
use crate::{FieldPath, FieldRef, Filter, InputError, Operator, Value};

const METHODS: &str = "`hasAny`, `hasAll`, `notIn` and `startsWith`";

impl Parser<'_> {
    /// A field path, a literal word, or the call of a function or method.
    pub(super) fn name_or_call(&mut self) -> Result<Term, InputError> {
        let start = self.token.start;
        let token = self.advance()?;
        let mut segments = Vec::new();
        // Whether every name so far was written as an identifier: only such names can mean a function.
        let mut plain = true;
        match token.kind {
            TokenKind::Name(name) => {
                let literal = match name.as_str() {
                    "true" => Some(Value::Boolean(true)),
                    "false" => Some(Value::Boolean(false)),
                    "null" => Some(Value::Null),
                    "in" => {
                        return Err(self.error(
                            start,
                            "`in` stands between a field and a list, or a constant and a field",
                        ));
                    }
                    _ => None,
                };
                if let Some(value) = literal {
                    return Ok(Term::constant(value, start, self.last_end));
                }
                segments.push(name);
            }
            TokenKind::QuotedName(name) => {
                plain = false;
                segments.push(name);
            }
            _ => return Err(self.unexpected("a field")),
        }
        loop {
            if self.at_symbol("(") {
                return self.call(segments, plain, start);
            }
            if self.take_symbol(".")? {
                if !matches!(self.token.kind, TokenKind::Name(_) | TokenKind::QuotedName(_)) {
                    return Err(self.unexpected("a field name after the dot"));
                }
                match self.advance()?.kind {
                    TokenKind::QuotedName(name) => {
                        plain = false;
                        segments.push(name);
                    }
                    TokenKind::Name(name) => segments.push(name),
                    _ => {}
                }
            } else if self.take_symbol("[")? {
                plain = false;
                match self.advance()?.kind {
                    TokenKind::Text(name) => segments.push(name),
                    TokenKind::Integer(_) => {
                        return Err(self.error(
                            start,
                            "a filter cannot look at one place of an array; `x in field` looks for an element",
                        ));
                    }
                    _ => {
                        return Err(self.error(
                            start,
                            "between brackets after a field stands the name of a field in quotes",
                        ));
                    }
                }
                self.expect_symbol("]", "`]`")?;
            } else {
                break;
            }
            if segments.len() > FIELD_PATH_SEGMENTS_MAX {
                break;
            }
        }
        Ok(Term {
            kind: TermKind::Field(self.field(segments, plain, start)?),
            start,
            end: self.last_end,
        })
    }

    fn field(&self, segments: Vec<String>, plain: bool, start: usize) -> Result<FieldRef, InputError> {
        if plain && segments == ["__id__"] {
            return Ok(FieldRef::Id);
        }
        FieldPath::from_segments(segments)
            .map(FieldRef::Field)
            .map_err(|error| self.located(start, error))
    }

    /// The call of a function, or of a method of a field; the next token is its parenthesis.
    fn call(&mut self, mut segments: Vec<String>, plain: bool, start: usize) -> Result<Term, InputError> {
        let name = if plain { segments.join(".") } else { String::new() };
        match name.as_str() {
            "exists" => {
                self.advance()?;
                let operand = self.nested(Self::expression)?;
                self.expect_symbol(")", "`)`")?;
                let TermKind::Field(field) = operand.kind else {
                    return Err(self.error(operand.start, "`exists` takes a field"));
                };
                let filter = self.compare(field, Operator::Exists, Value::Boolean(true), start)?;
                Ok(Term::condition(filter, start, self.last_end))
            }
            _ if CONSTANT_FUNCTIONS.contains(&name.as_str()) => {
                let value = self.constant_call(&name, start)?;
                Ok(Term::constant(value, start, self.last_end))
            }
            _ => {
                let method = segments.pop().unwrap_or_default();
                if segments.is_empty() {
                    return Err(self.error(
                        start,
                        format!(
                            "there is no function `{}`: there are `exists`, `timestamp`, `path`, `latlng.value`, \
                             `vector` and `float`, and the methods {METHODS} of a field",
                            excerpt(&method)
                        ),
                    ));
                }
                let field = self.field(segments, plain, start)?;
                self.method_call(field, &method, start)
            }
        }
    }

    fn method_call(&mut self, field: FieldRef, method: &str, start: usize) -> Result<Term, InputError> {
        let operator = match method {
            "hasAny" => Operator::ArrayContainsAny,
            "hasAll" => Operator::ArrayContains,
            "notIn" => Operator::NotIn,
            "startsWith" => Operator::StartsWith,
            _ => {
                return Err(self.error(
                    start,
                    format!(
                        "a filter has no method `{}`: there are {METHODS}",
                        excerpt(method)
                    ),
                ));
            }
        };
        let argument_start = self.token.end;
        let mut arguments = self.arguments()?;
        let end = self.last_end;
        let argument = match (arguments.pop(), arguments.is_empty()) {
            (Some(argument), true) => argument,
            _ => return Err(self.error(argument_start, format!("`{method}` takes one argument"))),
        };
        let filter = match (method, argument) {
            ("startsWith", value @ Value::String(_)) => self.compare(field, operator, value, start),
            ("startsWith", _) => Err(self.error(argument_start, "`startsWith` takes text in quotes")),
            ("hasAll", Value::Array(values)) => self.has_all(&field, values, start),
            (_, value @ Value::Array(_)) => self.compare(field, operator, value, start),
            _ => Err(self.error(
                argument_start,
                format!("`{method}` takes a list, as in `{method}([\"a\", \"b\"])`"),
            )),
        }?;
        Ok(Term::condition(filter, start, end))
    }

    /// `field.hasAll(values)`: each of them is an element.
    fn has_all(&mut self, field: &FieldRef, values: Vec<Value>, start: usize) -> Result<Filter, InputError> {
        if values.is_empty() {
            return Err(self.error(start, "`hasAll` takes a list of at least one value"));
        }
        if values.len() > FILTER_LIST_VALUES_MAX {
            return Err(self.error(
                start,
                format!("the list of `hasAll` has more than {FILTER_LIST_VALUES_MAX} values"),
            ));
        }
        let mut filters = values
            .into_iter()
            .map(|value| self.compare(field.clone(), Operator::ArrayContains, value, start))
            .collect::<Result<Vec<_>, _>>()?;
        Ok(if filters.len() == 1 {
            filters.remove(0)
        } else {
            Filter::And(filters)
        })
    }
}
