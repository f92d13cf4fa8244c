//! TypeScript.

use std::fmt::Write as _;

use andiron_protocol::write_json_string;

use super::model::{Declared, Field, Model, Shape, Special};
use crate::syntax::Literal;

pub(super) fn print(model: &Model<'_>) -> String {
    let mut text = "// The types of the rules, as `andiron types --lang ts` prints them.\n".to_owned();
    for special in model.specials() {
        let value = match special {
            Special::GeoPoint => "[latitude: number, longitude: number]",
            Special::Bytes | Special::Reference | Special::Timestamp => "string",
        };
        let _ = write!(
            text,
            "\n/** {} */\nexport interface {} {{\n  readonly {}: {value};\n}}\n",
            special.docs(),
            special.name(),
            special.key()
        );
    }
    for declared in &model.types {
        text.push('\n');
        declaration(&mut text, model, declared);
    }
    text.push_str("\n/** What the documents of each collection hold. */\nexport interface Collections {\n");
    for (pattern, place) in &model.collections {
        let _ = writeln!(text, "  {}: {};", quoted(pattern), model.types[*place].name);
    }
    text.push_str("}\n");
    text
}

fn declaration(text: &mut String, model: &Model<'_>, declared: &Declared<'_>) {
    docs(text, "", declared.docs.as_deref(), &declared.shape.conditions());
    match declared.shape.base() {
        Shape::Object { fields, is_open } => {
            let _ = write!(text, "export interface {} ", declared.name);
            object(text, model, fields, *is_open, 0);
            text.push('\n');
        }
        shape => {
            let _ = write!(text, "export type {} = ", declared.name);
            write(text, model, shape, 0);
            text.push_str(";\n");
        }
    }
}

fn docs(text: &mut String, indent: &str, docs: Option<&str>, conditions: &[&str]) {
    let mut lines: Vec<String> = docs.into_iter().flat_map(str::lines).map(str::to_owned).collect();
    lines.extend(conditions.iter().map(|condition| format!("Where `{condition}`.")));
    // Nothing in a comment may end it.
    let lines: Vec<_> = lines.iter().map(|line| line.replace("*/", "* /")).collect();
    match lines.as_slice() {
        [] => {}
        [only] => {
            let _ = writeln!(text, "{indent}/** {only} */");
        }
        several => {
            let _ = writeln!(text, "{indent}/**");
            for line in several {
                let _ = writeln!(text, "{}", format!("{indent} * {line}").trim_end());
            }
            let _ = writeln!(text, "{indent} */");
        }
    }
}

fn object(text: &mut String, model: &Model<'_>, fields: &[Field<'_>], is_open: bool, level: usize) {
    if fields.is_empty() && !is_open {
        text.push_str("{}");
        return;
    }
    let indent = "  ".repeat(level + 1);
    text.push_str("{\n");
    for field in fields {
        docs(text, &indent, field.docs.as_deref(), &field.shape.conditions());
        let mark = if field.is_optional { "?" } else { "" };
        let _ = write!(text, "{indent}{}{mark}: ", key(field.name));
        write(text, model, &field.shape, level + 1);
        text.push_str(";\n");
    }
    if is_open {
        let _ = writeln!(text, "{indent}[field: string]: unknown;");
    }
    text.push_str(&"  ".repeat(level));
    text.push('}');
}

fn write(text: &mut String, model: &Model<'_>, shape: &Shape<'_>, level: usize) {
    match shape.base() {
        Shape::Any => text.push_str("unknown"),
        Shape::Never => text.push_str("never"),
        Shape::Null => text.push_str("null"),
        Shape::Bool => text.push_str("boolean"),
        Shape::Int | Shape::Float | Shape::Number => text.push_str("number"),
        Shape::String => text.push_str("string"),
        Shape::Special(special) => text.push_str(special.name()),
        Shape::List(element) => {
            let is_union = matches!(element.base(), Shape::Union(_));
            if is_union {
                text.push('(');
            }
            write(text, model, element, level);
            text.push_str(if is_union { ")[]" } else { "[]" });
        }
        Shape::Map(value) => {
            text.push_str("{ [key: string]: ");
            write(text, model, value, level);
            text.push_str(" }");
        }
        Shape::Object { fields, is_open } => object(text, model, fields, *is_open, level),
        Shape::Literal(literal) => text.push_str(&literal_text(literal)),
        Shape::Union(shapes) => {
            for (place, shape) in shapes.iter().enumerate() {
                if place > 0 {
                    text.push_str(" | ");
                }
                write(text, model, shape, level);
            }
        }
        Shape::Declared(place) => text.push_str(&model.types[*place].name),
        // `base` has none.
        Shape::Where { .. } => {}
    }
}

fn literal_text(literal: &Literal) -> String {
    match literal {
        Literal::Null => "null".to_owned(),
        Literal::Bool(value) => value.to_string(),
        Literal::Int(value) => value.to_string(),
        Literal::Float(value) => value.to_string(),
        Literal::String(value) => quoted(value),
    }
}

fn key(name: &str) -> String {
    let is_plain = !name.starts_with(|first: char| first.is_ascii_digit())
        && !name.is_empty()
        && name
            .chars()
            .all(|character| character.is_ascii_alphanumeric() || matches!(character, '_' | '$'));
    if is_plain { name.to_owned() } else { quoted(name) }
}

fn quoted(text: &str) -> String {
    let mut out = Vec::new();
    write_json_string(text, &mut out);
    String::from_utf8_lossy(&out).into_owned()
}
