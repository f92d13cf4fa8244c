//! Writes a filter as an expression.
//!
//! What the language has no form for is said by other means: an `and` of nothing is `exists(__id__)`, which every
//! document matches, and an `or` of nothing its negation.

use std::fmt::Write as _;

use super::lexer::is_name_start;
use crate::{FieldRef, Filter, Map, Operator, Value};

pub(super) fn print(filter: &Filter) -> String {
    let mut out = String::new();
    print_filter(filter, &mut out);
    out
}

fn print_filter(filter: &Filter, out: &mut String) {
    match filter {
        Filter::Compare {
            field,
            operator,
            value,
        } => print_comparison(field, *operator, value, out),
        Filter::And(filters) if filters.is_empty() => out.push_str("exists(__id__)"),
        Filter::Or(filters) if filters.is_empty() => out.push_str("!exists(__id__)"),
        Filter::And(filters) => print_connective(filters, " && ", out),
        Filter::Or(filters) => print_connective(filters, " || ", out),
        Filter::Not(filter) => {
            out.push_str("!(");
            print_filter(filter, out);
            out.push(')');
        }
    }
}

fn print_connective(filters: &[Filter], separator: &str, out: &mut String) {
    for (index, filter) in filters.iter().enumerate() {
        if index > 0 {
            out.push_str(separator);
        }
        // Parentheses around each connective, needed or not, keep the shape of the filter.
        if matches!(filter, Filter::And(inner) | Filter::Or(inner) if inner.len() > 1) {
            out.push('(');
            print_filter(filter, out);
            out.push(')');
        } else {
            print_filter(filter, out);
        }
    }
}

fn print_comparison(field: &FieldRef, operator: Operator, value: &Value, out: &mut String) {
    let method = match operator {
        Operator::Exists => {
            out.push_str(if value.as_boolean() == Some(true) {
                "exists("
            } else {
                "!exists("
            });
            print_field(field, out);
            out.push(')');
            return;
        }
        Operator::ArrayContains => {
            print_value(value, out);
            out.push_str(" in ");
            print_field(field, out);
            return;
        }
        Operator::ArrayContainsAny => ".hasAny(",
        Operator::NotIn => ".notIn(",
        Operator::StartsWith => ".startsWith(",
        Operator::In
        | Operator::Equal
        | Operator::NotEqual
        | Operator::Less
        | Operator::LessOrEqual
        | Operator::Greater
        | Operator::GreaterOrEqual => {
            print_field(field, out);
            out.push(' ');
            out.push_str(operator.as_str());
            out.push(' ');
            print_value(value, out);
            return;
        }
    };
    print_field(field, out);
    out.push_str(method);
    print_value(value, out);
    out.push(')');
}

fn print_field(field: &FieldRef, out: &mut String) {
    let FieldRef::Field(path) = field else {
        out.push_str("__id__");
        return;
    };
    for (index, segment) in path.segments().iter().enumerate() {
        if index > 0 {
            out.push('.');
        }
        let is_name = segment.bytes().next().is_some_and(is_name_start)
            && segment
                .bytes()
                .all(|byte| is_name_start(byte) || byte.is_ascii_digit());
        let is_word = index == 0 && matches!(segment.as_str(), "true" | "false" | "null" | "in");
        if is_name && !is_word {
            out.push_str(segment);
        } else {
            out.push('`');
            out.push_str(&segment.replace('\\', "\\\\").replace('`', "\\`"));
            out.push('`');
        }
    }
}

fn print_value(value: &Value, out: &mut String) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Boolean(true) => out.push_str("true"),
        Value::Boolean(false) => out.push_str("false"),
        Value::Integer(integer) => push(out, format_args!("{integer}")),
        Value::Double(double) => print_double(*double, out),
        Value::Timestamp(timestamp) => push(out, format_args!("timestamp(\"{timestamp}\")")),
        Value::String(text) => print_text(text, out),
        Value::Bytes(bytes) => {
            out.push_str("b\"");
            for byte in bytes {
                match byte {
                    b'"' | b'\\' => push(out, format_args!("\\{}", char::from(*byte))),
                    0x20..=0x7e => out.push(char::from(*byte)),
                    _ => push(out, format_args!("\\x{byte:02x}")),
                }
            }
            out.push('"');
        }
        Value::Reference(path) => {
            out.push_str("path(");
            print_text(path.as_str(), out);
            out.push(')');
        }
        Value::GeoPoint(point) => {
            out.push_str("latlng.value(");
            print_double(point.latitude(), out);
            out.push_str(", ");
            print_double(point.longitude(), out);
            out.push(')');
        }
        Value::Array(elements) => print_list(elements, print_value, out),
        Value::Vector(elements) => {
            out.push_str("vector(");
            print_list(elements, |double, out| print_double(*double, out), out);
            out.push(')');
        }
        Value::Map(map) => print_map(map, out),
    }
}

fn print_list<T>(elements: &[T], print: fn(&T, &mut String), out: &mut String) {
    out.push('[');
    for (index, element) in elements.iter().enumerate() {
        if index > 0 {
            out.push_str(", ");
        }
        print(element, out);
    }
    out.push(']');
}

fn print_map(map: &Map, out: &mut String) {
    out.push('{');
    for (index, (key, value)) in map.iter().enumerate() {
        if index > 0 {
            out.push_str(", ");
        }
        print_text(key, out);
        out.push_str(": ");
        print_value(value, out);
    }
    out.push('}');
}

fn print_double(double: f64, out: &mut String) {
    if double.is_nan() {
        out.push_str("float(\"NaN\")");
    } else if double.is_infinite() {
        out.push_str(if double > 0.0 {
            "float(\"Infinity\")"
        } else {
            "float(\"-Infinity\")"
        });
    } else {
        // `Debug` writes a point or an exponent, so that it reads as a double, and as few digits as give it back.
        push(out, format_args!("{double:?}"));
    }
}

fn print_text(text: &str, out: &mut String) {
    out.push('"');
    for character in text.chars() {
        match character {
            '"' | '\\' => push(out, format_args!("\\{character}")),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            control if u32::from(control) < 0x20 => push(out, format_args!("\\x{:02x}", u32::from(control))),
            other => out.push(other),
        }
    }
    out.push('"');
}

fn push(out: &mut String, arguments: std::fmt::Arguments<'_>) {
    out.write_fmt(arguments).expect("writing to memory does not fail");
}
