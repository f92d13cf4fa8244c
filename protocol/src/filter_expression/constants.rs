//! The constants of filter expressions: literals, lists, maps, and values that are written as a call.

use super::lexer::TokenKind;
use super::parser::{Parser, TermKind};
use crate::limits::VECTOR_DIMENSIONS_MAX;
use crate::{DocumentPath, GeoPoint, InputError, Map, Timestamp, Value};

/// The functions that make a constant.
pub(super) const CONSTANT_FUNCTIONS: [&str; 7] = [
    "timestamp",
    "timestamp.date",
    "timestamp.value",
    "path",
    "latlng.value",
    "vector",
    "float",
];

impl Parser<'_> {
    /// The constants between the parentheses of a call.
    pub(super) fn arguments(&mut self) -> Result<Vec<Value>, InputError> {
        self.expect_symbol("(", "`(`")?;
        self.elements(")")
    }

    /// Constants separated by commas, with an optional last comma, up to a closing symbol.
    fn elements(&mut self, close: &'static str) -> Result<Vec<Value>, InputError> {
        let mut values = Vec::new();
        while !self.take_symbol(close)? {
            values.push(self.nested(Self::constant)?);
            if !self.take_symbol(",")? && !self.at_symbol(close) {
                return Err(self.unexpected(&format!("`,` or `{close}`")));
            }
        }
        Ok(values)
    }

    /// A constant where nothing else can stand.
    pub(super) fn constant(&mut self) -> Result<Value, InputError> {
        let start = self.token.start;
        match self.token.kind {
            TokenKind::Symbol("[") => {
                self.advance()?;
                return self.elements("]").map(Value::Array);
            }
            TokenKind::Symbol("{") => return self.map(),
            TokenKind::Symbol("-") | TokenKind::Name(_) | TokenKind::QuotedName(_) => {
                let term = self.unary()?;
                let shown = self.source(&term);
                let TermKind::Constant(value) = term.kind else {
                    return Err(self.error(
                        start,
                        format!(
                            "a constant is expected, and `{shown}` is none: text stands in quotes, as in \"{shown}\""
                        ),
                    ));
                };
                return Ok(value);
            }
            TokenKind::Symbol(_) | TokenKind::End => return Err(self.unexpected("a constant")),
            _ => {}
        }
        match self.advance()?.kind {
            TokenKind::Integer(magnitude) => i64::try_from(magnitude).map(Value::Integer).map_err(|_| {
                self.error(
                    start,
                    format!("the integer `{magnitude}` does not fit in 64 bits; with `.0` it is a double"),
                )
            }),
            TokenKind::Double(double) => Ok(Value::Double(double)),
            TokenKind::Text(text) => Ok(Value::String(text)),
            TokenKind::Bytes(bytes) => Ok(Value::Bytes(bytes)),
            _ => Err(self.error(start, "a constant is expected")),
        }
    }

    /// A map of constants; the next token is its brace.
    fn map(&mut self) -> Result<Value, InputError> {
        self.advance()?;
        let mut map = Map::new();
        while !self.take_symbol("}")? {
            let key_start = self.token.start;
            let TokenKind::Text(key) = &self.token.kind else {
                return Err(self.unexpected("the name of a field in quotes"));
            };
            let key = key.clone();
            crate::field_path::check_field_name(&key).map_err(|error| self.located(key_start, error))?;
            self.advance()?;
            self.expect_symbol(":", "`:`")?;
            let value = self.nested(Self::constant)?;
            if map.insert(key, value).is_some() {
                return Err(self.error(key_start, "the key stands twice in one map"));
            }
            if !self.take_symbol(",")? && !self.at_symbol("}") {
                return Err(self.unexpected("`,` or `}`"));
            }
        }
        Ok(Value::Map(map))
    }

    /// A constant that is written as a call; the next token is its parenthesis.
    pub(super) fn constant_call(&mut self, name: &str, start: usize) -> Result<Value, InputError> {
        let arguments = self.arguments()?;
        let fail = |detail: &str| Err(self.error(start, detail));
        match (name, arguments.as_slice()) {
            ("timestamp", [Value::String(text)]) => text
                .parse()
                .map(Value::Timestamp)
                .map_err(|error| self.located(start, error)),
            ("timestamp.date", [Value::Integer(year), Value::Integer(month), Value::Integer(day)]) => {
                match Timestamp::from_date(*year, *month, *day) {
                    Some(timestamp) => Ok(Value::Timestamp(timestamp)),
                    None => fail("`timestamp.date` takes a date of the years 1 to 9999, as year, month, day"),
                }
            }
            ("timestamp.value", [Value::Integer(millis)]) => {
                match millis.checked_mul(1000).and_then(Timestamp::from_micros) {
                    Some(timestamp) => Ok(Value::Timestamp(timestamp)),
                    None => fail("`timestamp.value` takes milliseconds since 1970, of the years 1 to 9999"),
                }
            }
            ("path", [Value::String(path)]) => path
                .strip_prefix('/')
                .unwrap_or(path)
                .parse::<DocumentPath>()
                .map(Value::Reference)
                .map_err(|error| self.located(start, error)),
            ("latlng.value", [latitude, longitude]) => {
                match number(latitude)
                    .zip(number(longitude))
                    .and_then(|(lat, lng)| GeoPoint::new(lat, lng))
                {
                    Some(point) => Ok(Value::GeoPoint(point)),
                    None => fail("`latlng.value` takes a latitude within ±90 and a longitude within ±180"),
                }
            }
            ("vector", [Value::Array(elements)]) => {
                let doubles: Option<Vec<f64>> = elements
                    .iter()
                    .map(|element| number(element).filter(|double| double.is_finite()))
                    .collect();
                match doubles {
                    Some(doubles) if doubles.len() <= VECTOR_DIMENSIONS_MAX => Ok(Value::Vector(doubles)),
                    _ => fail("`vector` takes a list of at most 2048 finite numbers"),
                }
            }
            ("float", [value @ (Value::Integer(_) | Value::Double(_))]) => {
                Ok(number(value).map_or(Value::Null, Value::Double))
            }
            ("float", [Value::String(text)]) => match text.as_str() {
                "NaN" => Ok(Value::Double(f64::NAN)),
                "Infinity" => Ok(Value::Double(f64::INFINITY)),
                "-Infinity" => Ok(Value::Double(f64::NEG_INFINITY)),
                _ => fail("`float` takes a number, \"NaN\", \"Infinity\" or \"-Infinity\""),
            },
            ("timestamp", _) => {
                fail("`timestamp` takes RFC 3339 in quotes, as in `timestamp(\"2026-11-22T05:40:35Z\")`")
            }
            ("timestamp.date", _) => fail("`timestamp.date` takes year, month and day as integers"),
            ("timestamp.value", _) => fail("`timestamp.value` takes milliseconds since 1970 as an integer"),
            ("path", _) => fail("`path` takes a document's path in quotes, as in `path(\"users/alice\")`"),
            ("latlng.value", _) => fail("`latlng.value` takes a latitude and a longitude"),
            ("vector", _) => fail("`vector` takes a list of numbers"),
            _ => fail("`float` takes one number, \"NaN\", \"Infinity\" or \"-Infinity\""),
        }
    }
}

/// A number as a double.
#[expect(
    clippy::cast_precision_loss,
    reason = "asked for as a double, an integer is rounded as JSON readers do"
)]
fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Integer(integer) => Some(*integer as f64),
        Value::Double(double) => Some(*double),
        _ => None,
    }
}
