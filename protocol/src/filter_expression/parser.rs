//! The parser of filter expressions, by precedence.
//!
//! Each function reads one level and returns a [`Term`]: a field, a constant or a condition with the text that it came
//! from. An operator checks its two terms as soon as it has them, so an error points at the operator or term at fault.
//! What begins with a name is read in `names`, constants in `constants`.

use super::lexer::{Lexer, Token, TokenKind};
use super::position;
use crate::error::excerpt;
use crate::limits::{FILTER_EXPRESSION_DEPTH_MAX, FILTER_NODES_MAX, VALUE_DEPTH_MAX};
use crate::{FieldRef, Filter, InputError, Operator, Value};

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
    pub(super) last_end: usize,
    depth: usize,
    /// Comparisons made so far.
    comparisons: usize,
}

/// A part of the expression and the bytes that it came from.
pub(super) struct Term {
    pub(super) kind: TermKind,
    pub(super) start: usize,
    pub(super) end: usize,
}

pub(super) enum TermKind {
    Field(FieldRef),
    Constant(Value),
    Condition(Filter),
}

impl Term {
    pub(super) fn condition(filter: Filter, start: usize, end: usize) -> Self {
        Self {
            kind: TermKind::Condition(filter),
            start,
            end,
        }
    }

    pub(super) fn constant(value: Value, start: usize, end: usize) -> Self {
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

    pub(super) fn expression(&mut self) -> Result<Term, InputError> {
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
    pub(super) fn compare(
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
