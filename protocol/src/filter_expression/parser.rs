//! The parser of filter expressions, by precedence.
//!
//! Each function reads one level and returns a [`Term`]: a field, a constant or a condition with the text that it came
//! from. An operator checks its two terms as soon as it has them, so an error points at the operator or term at fault.
//! How constants are read stands in `constants`.

use super::constants::CONSTANT_FUNCTIONS;
use super::lexer::{Lexer, Token, TokenKind};
use super::position;
use crate::error::excerpt;
use crate::limits::{
    FIELD_PATH_SEGMENTS_MAX, FILTER_EXPRESSION_DEPTH_MAX, FILTER_LIST_VALUES_MAX, FILTER_NODES_MAX,
    VALUE_DEPTH_MAX,
};
use crate::{FieldPath, FieldRef, Filter, InputError, Operator, Value};

pub(super) fn parse(text: &str) -> Result<Filter, InputError> {
    let mut lexer = Lexer::new(text);
    let token = lexer.next_token()?;
    let mut parser = Parser {
        text,
        lexer,
        token,
        last_end: 0,
        depth: 0,
        comparisons: 0,
    };
    if parser.token.kind == TokenKind::End {
        return Err(parser.error(
            0,
            "the expression is empty: a condition is expected, as in `rating >= 4`",
        ));
    }
    let term = parser.expression()?;
    if parser.token.kind != TokenKind::End {
        return Err(parser.unexpected("an operator or the end of the expression"));
    }
    parser.condition(term)
}

pub(super) struct Parser<'a> {
    text: &'a str,
    lexer: Lexer<'a>,
    /// The next token, not taken yet.
    pub(super) token: Token,
    /// Where the last token taken ends.
    last_end: usize,
    depth: usize,
    /// Comparisons made so far.
    comparisons: usize,
}

/// A part of the expression and the bytes that it came from.
pub(super) struct Term {
    pub(super) kind: TermKind,
    start: usize,
    end: usize,
}

pub(super) enum TermKind {
    Field(FieldRef),
    Constant(Value),
    Condition(Filter),
}

impl Term {
    fn condition(filter: Filter, start: usize, end: usize) -> Self {
        Self {
            kind: TermKind::Condition(filter),
            start,
            end,
        }
    }

    fn constant(value: Value, start: usize, end: usize) -> Self {
        Self {
            kind: TermKind::Constant(value),
            start,
            end,
        }
    }
}

/// The operators of one level of precedence.
type Level = &'static [(&'static str, Operator)];

const RELATIONAL: Level = &[
    ("<=", Operator::LessOrEqual),
    (">=", Operator::GreaterOrEqual),
    ("<", Operator::Less),
    (">", Operator::Greater),
];
const EQUALITY: Level = &[("==", Operator::Equal), ("!=", Operator::NotEqual)];

const METHODS: &str = "`hasAny`, `hasAll`, `notIn` and `startsWith`";

impl Parser<'_> {
    pub(super) fn error(&self, offset: usize, detail: impl Into<String>) -> InputError {
        let (line, column) = position(self.text, offset);
        InputError::new(detail).at(line, column)
    }

    /// The error of a part whose own checks failed.
    pub(super) fn located(&self, offset: usize, error: InputError) -> InputError {
        self.error(offset, error.detail)
    }

    pub(super) fn source(&self, term: &Term) -> String {
        excerpt(&self.text[term.start..term.end])
    }

    pub(super) fn advance(&mut self) -> Result<Token, InputError> {
        let next = self.lexer.next_token()?;
        self.last_end = self.token.end;
        Ok(std::mem::replace(&mut self.token, next))
    }

    pub(super) fn at_symbol(&self, symbol: &str) -> bool {
        matches!(self.token.kind, TokenKind::Symbol(found) if found == symbol)
    }

    fn at_name(&self, name: &str) -> bool {
        matches!(&self.token.kind, TokenKind::Name(found) if found == name)
    }

    /// Takes the symbol if it is next.
    pub(super) fn take_symbol(&mut self, symbol: &str) -> Result<bool, InputError> {
        let found = self.at_symbol(symbol);
        if found {
            self.advance()?;
        }
        Ok(found)
    }

    pub(super) fn expect_symbol(&mut self, symbol: &str, expected: &str) -> Result<(), InputError> {
        if self.take_symbol(symbol)? {
            Ok(())
        } else {
            Err(self.unexpected(expected))
        }
    }

    /// One level deeper, for everything that recurses.
    pub(super) fn nested<T>(
        &mut self,
        inner: impl FnOnce(&mut Self) -> Result<T, InputError>,
    ) -> Result<T, InputError> {
        if self.depth == FILTER_EXPRESSION_DEPTH_MAX {
            return Err(self.error(
                self.token.start,
                format!("the expression is nested deeper than {FILTER_EXPRESSION_DEPTH_MAX} levels"),
            ));
        }
        self.depth += 1;
        let result = inner(self);
        self.depth -= 1;
        result
    }

    /// The error of a token that cannot stand here, with a hint where other languages' habits explain it.
    pub(super) fn unexpected(&self, expected: &str) -> InputError {
        let found = match &self.token.kind {
            TokenKind::End => "the expression ends".to_owned(),
            _ => format!(
                "found `{}`",
                excerpt(&self.text[self.token.start..self.token.end])
            ),
        };
        let hint = match &self.token.kind {
            TokenKind::Symbol(symbol) => symbol_hint(symbol),
            TokenKind::Name(name) => word_hint(name),
            _ => None,
        };
        let hint = hint.map_or_else(String::new, |hint| format!("; {hint}"));
        self.error(
            self.token.start,
            format!("expected {expected}, but {found}{hint}"),
        )
    }

    fn expression(&mut self) -> Result<Term, InputError> {
        self.connective(
            "||",
            |parser| parser.connective("&&", Self::membership, Filter::And),
            Filter::Or,
        )
    }

    /// Terms joined by one symbol; a single one is returned as it is.
    fn connective(
        &mut self,
        symbol: &'static str,
        operand: fn(&mut Self) -> Result<Term, InputError>,
        join: fn(Vec<Filter>) -> Filter,
    ) -> Result<Term, InputError> {
        let first = operand(self)?;
        if !self.at_symbol(symbol) {
            return Ok(first);
        }
        let start = first.start;
        let mut filters = vec![self.condition(first)?];
        while self.take_symbol(symbol)? {
            let next = operand(self)?;
            filters.push(self.condition(next)?);
        }
        Ok(Term::condition(join(filters), start, self.last_end))
    }

    fn membership(&mut self) -> Result<Term, InputError> {
        let mut left = self.equality()?;
        while self.at_name("in") {
            let at = self.advance()?.start;
            let right = self.equality()?;
            left = self.contained(left, at, right)?;
        }
        Ok(left)
    }

    fn equality(&mut self) -> Result<Term, InputError> {
        self.comparison(EQUALITY, |parser| parser.comparison(RELATIONAL, Self::unary))
    }

    /// Terms compared by the operators of one level, left to right; a single one is returned as it is.
    fn comparison(
        &mut self,
        level: Level,
        operand: fn(&mut Self) -> Result<Term, InputError>,
    ) -> Result<Term, InputError> {
        let mut left = operand(self)?;
        loop {
            let TokenKind::Symbol(symbol) = self.token.kind else {
                return Ok(left);
            };
            let Some((_, operator)) = level.iter().find(|(known, _)| *known == symbol) else {
                return Ok(left);
            };
            let at = self.advance()?.start;
            let right = operand(self)?;
            left = self.compared(left, *operator, at, right)?;
        }
    }

    /// The condition `left operator right`.
    fn compared(
        &mut self,
        left: Term,
        operator: Operator,
        at: usize,
        right: Term,
    ) -> Result<Term, InputError> {
        let (start, end) = (left.start, right.end);
        let (left_shown, right_shown) = (self.source(&left), self.source(&right));
        let (field, operator, value) = match (left.kind, right.kind) {
            (TermKind::Field(field), TermKind::Constant(value)) => (field, operator, value),
            (TermKind::Constant(value), TermKind::Field(field)) => (field, turned(operator), value),
            (TermKind::Field(_), TermKind::Field(_)) => {
                return Err(self.error(
                    at,
                    format!(
                        "`{left_shown}` and `{right_shown}` are both fields, and a filter compares a field with a \
                         constant: text stands in quotes, as in \"{right_shown}\""
                    ),
                ));
            }
            (TermKind::Constant(_), TermKind::Constant(_)) => {
                return Err(self.error(
                    at,
                    format!(
                        "`{left_shown}` and `{right_shown}` are both constants, and a filter compares a field with a \
                         constant"
                    ),
                ));
            }
            (TermKind::Condition(_), _) if self.text[start..].starts_with('!') => {
                return Err(self.error(
                    at,
                    format!(
                        "`!` binds tighter than `{operator}`: the negation of a comparison is written !(… {operator} …)"
                    ),
                ));
            }
            (TermKind::Condition(_), _) | (_, TermKind::Condition(_)) => {
                return Err(self.error(
                    at,
                    format!(
                        "`{operator}` compares a field with a constant, not the result of a condition; two comparisons \
                         are joined by `&&`"
                    ),
                ));
            }
        };
        let filter = self.compare(field, operator, value, start)?;
        Ok(Term::condition(filter, start, end))
    }

    /// The condition `left in right`.
    fn contained(&mut self, left: Term, at: usize, right: Term) -> Result<Term, InputError> {
        let (start, end) = (left.start, right.end);
        let filter = match (left.kind, right.kind) {
            (TermKind::Field(field), TermKind::Constant(list @ Value::Array(_))) => {
                self.compare(field, Operator::In, list, start)
            }
            (TermKind::Constant(value), TermKind::Field(field)) => {
                self.compare(field, Operator::ArrayContains, value, start)
            }
            (TermKind::Condition(_), _) if self.text[start..].starts_with('!') => Err(self.error(
                at,
                "`!` binds tighter than `in`: the negation is written !(… in …)",
            )),
            (TermKind::Field(_), TermKind::Field(_)) => Err(self.error(
                at,
                "both sides of `in` are fields: it takes a constant and a field, or a field and a list; text stands in \
                 quotes",
            )),
            _ => Err(self.error(
                at,
                "`in` takes a field and a list, as in `color in [\"red\", \"blue\"]`, or a constant and a field that is \
                 an array, as in `\"red\" in colors`",
            )),
        }?;
        Ok(Term::condition(filter, start, end))
    }

    /// A comparison, counted and checked; `start` is where an error points.
    fn compare(
        &mut self,
        field: FieldRef,
        operator: Operator,
        value: Value,
        start: usize,
    ) -> Result<Filter, InputError> {
        self.comparisons += 1;
        if self.comparisons > FILTER_NODES_MAX {
            return Err(self.error(
                start,
                format!("the filter has more than {FILTER_NODES_MAX} comparisons"),
            ));
        }
        // As in the JSON form, where the outermost list or map of a constant is level 0.
        if nesting(&value) > VALUE_DEPTH_MAX + 1 {
            return Err(self.error(
                start,
                format!("lists and maps are nested deeper than {VALUE_DEPTH_MAX} levels"),
            ));
        }
        Filter::compare(field, operator, value).map_err(|error| self.located(start, error))
    }

    /// A term where a condition stands: a field alone means that it is true.
    fn condition(&mut self, term: Term) -> Result<Filter, InputError> {
        let shown = self.source(&term);
        match term.kind {
            TermKind::Condition(filter) => Ok(filter),
            TermKind::Field(field) => self.compare(field, Operator::Equal, Value::Boolean(true), term.start),
            TermKind::Constant(_) => Err(self.error(
                term.start,
                format!("`{shown}` is a constant where a condition is expected, as in `rating >= 4`"),
            )),
        }
    }

    pub(super) fn unary(&mut self) -> Result<Term, InputError> {
        if self.at_symbol("!") {
            let start = self.advance()?.start;
            let operand = self.nested(Self::unary)?;
            let end = operand.end;
            let filter = match self.condition(operand)? {
                Filter::Compare {
                    field,
                    operator: Operator::Exists,
                    value: Value::Boolean(exists),
                } => Filter::Compare {
                    field,
                    operator: Operator::Exists,
                    value: Value::Boolean(!exists),
                },
                filter => Filter::Not(Box::new(filter)),
            };
            return Ok(Term::condition(filter, start, end));
        }
        if self.at_symbol("-") {
            let start = self.advance()?.start;
            if let TokenKind::Integer(magnitude) = self.token.kind {
                // Here and not below, because the smallest integer has no positive counterpart.
                self.advance()?;
                return Ok(Term::constant(
                    Value::Integer(0i64.wrapping_sub_unsigned(magnitude)),
                    start,
                    self.last_end,
                ));
            }
            let operand = self.nested(Self::postfix)?;
            let value = match operand.kind {
                TermKind::Constant(Value::Double(double)) => Value::Double(-double),
                TermKind::Constant(Value::Integer(integer)) if integer != i64::MIN => {
                    Value::Integer(-integer)
                }
                _ => {
                    return Err(self.error(
                        start,
                        "a minus stands only before a number: a filter has no arithmetic",
                    ));
                }
            };
            return Ok(Term::constant(value, start, operand.end));
        }
        self.postfix()
    }

    fn postfix(&mut self) -> Result<Term, InputError> {
        let start = self.token.start;
        match &self.token.kind {
            TokenKind::Name(_) | TokenKind::QuotedName(_) => self.name_or_call(),
            TokenKind::Symbol("(") => {
                self.advance()?;
                let inner = self.nested(Self::expression)?;
                self.expect_symbol(")", "an operator or `)`")?;
                Ok(Term {
                    kind: inner.kind,
                    start,
                    end: self.last_end,
                })
            }
            TokenKind::Symbol("[" | "{")
            | TokenKind::Integer(_)
            | TokenKind::Double(_)
            | TokenKind::Text(_)
            | TokenKind::Bytes(_) => {
                let value = self.constant()?;
                Ok(Term::constant(value, start, self.last_end))
            }
            TokenKind::Symbol(_) | TokenKind::End => Err(self.unexpected("a field or a constant")),
        }
    }

    /// A field path, a literal word, or the call of a function or method.
    fn name_or_call(&mut self) -> Result<Term, InputError> {
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

/// How many lists and maps stand inside each other.
fn nesting(value: &Value) -> usize {
    match value {
        Value::Array(values) => values.iter().map(nesting).max().unwrap_or(0) + 1,
        Value::Map(map) => map.values().map(nesting).max().unwrap_or(0) + 1,
        _ => 0,
    }
}

/// The operator that says the same with its sides exchanged.
fn turned(operator: Operator) -> Operator {
    match operator {
        Operator::Less => Operator::Greater,
        Operator::LessOrEqual => Operator::GreaterOrEqual,
        Operator::Greater => Operator::Less,
        Operator::GreaterOrEqual => Operator::LessOrEqual,
        other => other,
    }
}

fn symbol_hint(symbol: &str) -> Option<&'static str> {
    Some(match symbol {
        "=" | "===" => "equality is written `==`",
        "<>" | "!==" => "inequality is written `!=`",
        "&" => "the conjunction is written `&&`, in a URL `%26%26`",
        "|" => "the disjunction is written `||`",
        "/" => "a filter has no arithmetic, and a reference is written `path(\"users/alice\")`",
        "+" | "-" | "*" | "%" | "++" | "--" => {
            "a filter has no arithmetic; in a URL, a plus stands for a space"
        }
        "?" | ":" => "a filter has no conditional expressions",
        "." | "[" => "a field name or the name of a method follows only a field",
        _ => return None,
    })
}

fn word_hint(word: &str) -> Option<&'static str> {
    Some(match word.to_ascii_lowercase().as_str() {
        "and" => "the conjunction is written `&&`",
        "or" => "the disjunction is written `||`",
        "not" => "the negation is written `!(…)`",
        "is" => "a filter has no type tests; a comparison with null is written `== null`",
        "in" => "`in` takes a field and a list, or a constant and a field",
        "like" | "contains" | "matches" => "the beginning of text is tested by `field.startsWith(\"…\")`",
        _ => return None,
    })
}
