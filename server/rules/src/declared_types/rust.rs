//! Rust, for serde.
//!
//! Maps are structs, unions of strings are enums, other unions are untagged enums; `null` and what may be missing are
//! `Option`s. Maps and unions without a name of their own are called after the field that has them.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::model::{Field, Model, Shape, Special, identifier, unique};
use crate::syntax::Literal;

const DERIVES: &str = "#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]\n";

const KEYWORDS: &[&str] = &[
    "Self", "abstract", "as", "async", "await", "become", "box", "break", "const", "continue", "crate", "do",
    "dyn", "else", "enum", "extern", "false", "final", "fn", "for", "gen", "if", "impl", "in", "let", "loop",
    "macro", "match", "mod", "move", "mut", "override", "priv", "pub", "ref", "return", "self", "static",
    "struct", "super", "trait", "true", "try", "type", "typeof", "unsafe", "unsized", "use", "virtual",
    "where", "while", "yield",
];

pub(super) fn print(model: &Model<'_>) -> String {
    let mut taken: BTreeSet<String> = [
        "BTreeMap",
        "Box",
        "Bytes",
        "Deserialize",
        "GeoPoint",
        "Option",
        "Reference",
        "Serialize",
        "String",
        "Timestamp",
        "Vec",
    ]
    .map(str::to_owned)
    .into();
    let names: Vec<_> = model
        .types
        .iter()
        .map(|declared| unique(&type_name(&declared.name), &mut taken))
        .collect();
    let mut printer = Printer {
        model,
        names,
        taken,
        waiting: Vec::new(),
        text: String::new(),
    };
    for (place, declared) in model.types.iter().enumerate() {
        let name = printer.names[place].clone();
        printer.declaration(&name, declared.docs.as_deref(), &declared.shape, Some(place));
    }
    let names = printer.names;
    let body = printer.text;
    let mut text = "//! The types of the rules, as `andiron types --lang rust` prints them.\n\n".to_owned();
    if body.contains("BTreeMap<") {
        text.push_str("use std::collections::BTreeMap;\n\n");
    }
    text.push_str("use serde::{Deserialize, Serialize};\n");
    for special in model.specials() {
        let value = match special {
            Special::GeoPoint => "[f64; 2]",
            Special::Bytes | Special::Reference | Special::Timestamp => "String",
        };
        let _ = write!(
            text,
            "\n/// {}\n{DERIVES}#[serde(deny_unknown_fields)]\npub struct {} {{\n    /// Its text in value JSON.\n    #[serde(rename = {:?})]\n    pub value: {value},\n}}\n",
            special.docs(),
            special.name(),
            special.key()
        );
    }
    text.push_str(&body);
    text.push_str(
        "\n/// Which collection holds documents of which type.\npub const COLLECTIONS: &[(&str, &str)] = &[",
    );
    for (pattern, place) in &model.collections {
        let _ = write!(text, "\n    ({pattern:?}, {:?}),", names[*place]);
    }
    text.push_str(if model.collections.is_empty() {
        "];\n"
    } else {
        "\n];\n"
    });
    text
}

struct Printer<'m, 'p> {
    model: &'m Model<'p>,
    /// How the declared types are called.
    names: Vec<String>,
    taken: BTreeSet<String>,
    /// Shapes that were given a name and are to be declared.
    waiting: Vec<(String, &'m Shape<'p>)>,
    text: String,
}

impl<'m, 'p> Printer<'m, 'p> {
    /// Declares a type, and those without a name inside of it. `place` is that of the declared type, if it is one.
    fn declaration(&mut self, name: &str, docs: Option<&str>, shape: &'m Shape<'p>, place: Option<usize>) {
        self.item(name, docs, shape, place);
        while let Some((name, shape)) = self.waiting.pop() {
            self.item(&name, None, shape, place);
        }
    }

    fn item(&mut self, name: &str, docs: Option<&str>, shape: &'m Shape<'p>, place: Option<usize>) {
        self.text.push('\n');
        write_docs(&mut self.text, "", docs, &shape.conditions());
        match shape.base() {
            Shape::Object { fields, is_open } => self.structure(name, fields, *is_open, place),
            Shape::Union(shapes) => self.union(name, shapes, place),
            Shape::Literal(Literal::String(_)) => {
                self.strings(name, &[shape.base()]);
            }
            other => {
                let inner = self.name_of(other, name, place);
                let _ = writeln!(self.text, "pub type {name} = {inner};");
            }
        }
    }

    fn structure(&mut self, name: &str, fields: &'m [Field<'p>], is_open: bool, place: Option<usize>) {
        let mut text = DERIVES.to_owned();
        if !is_open {
            text.push_str("#[serde(deny_unknown_fields)]\n");
        }
        let _ = writeln!(text, "pub struct {name} {{");
        let mut names = BTreeSet::new();
        for field in fields {
            let own = unique(&field_name(field.name), &mut names);
            write_docs(
                &mut text,
                "    ",
                field.docs.as_deref(),
                &field.shape.conditions(),
            );
            if field.is_optional {
                text.push_str("    #[serde(default, skip_serializing_if = \"Option::is_none\")]\n");
            }
            if own.trim_start_matches("r#") != field.name {
                let _ = writeln!(text, "    #[serde(rename = {:?})]", field.name);
            }
            let hint = format!("{name}{}", type_name(field.name));
            let (shape, is_nullable) = without_null(&field.shape);
            let inner = match shape {
                Some(Nullable::One(shape)) => self.name_of(shape, &hint, place),
                Some(Nullable::Several) => self.name_of(&field.shape, &hint, place),
                None => "()".to_owned(),
            };
            let is_option = inner.starts_with("Option<");
            let inner = if (field.is_optional || is_nullable && !matches!(shape, Some(Nullable::Several)))
                && !is_option
            {
                format!("Option<{inner}>")
            } else {
                inner
            };
            let _ = writeln!(text, "    pub {own}: {inner},");
        }
        if is_open {
            let other = unique("other", &mut names);
            let _ = write!(
                text,
                "    /// Fields that the type does not name.\n    #[serde(flatten)]\n    pub {other}: BTreeMap<String, serde_json::Value>,\n"
            );
        }
        text.push_str("}\n");
        self.text.push_str(&text);
    }

    fn union(&mut self, name: &str, shapes: &'m [Shape<'p>], place: Option<usize>) {
        let real: Vec<_> = shapes
            .iter()
            .filter(|shape| !matches!(shape, Shape::Null))
            .collect();
        let is_nullable = real.len() < shapes.len();
        if is_nullable || real.len() == 1 {
            let inner = self.name_of_several(&real, &format!("{name}Value"), place);
            let inner = if is_nullable {
                format!("Option<{inner}>")
            } else {
                inner
            };
            let _ = writeln!(self.text, "pub type {name} = {inner};");
        } else if are_strings(&real) {
            self.strings(name, &real);
        } else if let Some(scalar) = scalar_of_literals(&real) {
            let _ = writeln!(self.text, "pub type {name} = {scalar};");
        } else {
            self.untagged(name, &real, place);
        }
    }

    fn strings(&mut self, name: &str, shapes: &[&Shape<'_>]) {
        let mut text = format!("{DERIVES}pub enum {name} {{\n");
        let mut names = BTreeSet::new();
        for shape in shapes {
            if let Shape::Literal(Literal::String(value)) = shape {
                let own = unique(&type_name(value), &mut names);
                let _ = write!(text, "    #[serde(rename = {value:?})]\n    {own},\n");
            }
        }
        text.push_str("}\n");
        self.text.push_str(&text);
    }

    fn untagged(&mut self, name: &str, shapes: &[&'m Shape<'p>], place: Option<usize>) {
        let mut text = format!("{DERIVES}#[serde(untagged)]\npub enum {name} {{\n");
        let mut names = BTreeSet::new();
        for shape in shapes {
            let variant = unique(&self.variant(shape), &mut names);
            write_docs(&mut text, "    ", None, &shape.conditions());
            let inner = self.name_of(shape, &format!("{name}{variant}"), place);
            let _ = writeln!(text, "    {variant}({inner}),");
        }
        text.push_str("}\n");
        self.text.push_str(&text);
    }

    fn variant(&self, shape: &Shape<'_>) -> String {
        match shape.base() {
            Shape::Any | Shape::Never | Shape::Where { .. } => "Any".to_owned(),
            Shape::Null => "Null".to_owned(),
            Shape::Bool => "Bool".to_owned(),
            Shape::Int => "Int".to_owned(),
            Shape::Float => "Float".to_owned(),
            Shape::Number => "Number".to_owned(),
            Shape::String => "String".to_owned(),
            Shape::Special(special) => special.name().to_owned(),
            Shape::List(_) => "List".to_owned(),
            Shape::Map(_) | Shape::Object { .. } => "Map".to_owned(),
            Shape::Literal(Literal::String(value)) => type_name(value),
            Shape::Literal(_) => "Literal".to_owned(),
            Shape::Union(_) => "Either".to_owned(),
            Shape::Declared(place) => self.names[*place].clone(),
        }
    }

    /// How a shape is called where it is used; `hint` is what it is called if it has to be declared.
    fn name_of(&mut self, shape: &'m Shape<'p>, hint: &str, place: Option<usize>) -> String {
        match shape.base() {
            Shape::Any => "serde_json::Value".to_owned(),
            // Nothing can be read as this.
            Shape::Never => "std::convert::Infallible".to_owned(),
            Shape::Null => "()".to_owned(),
            Shape::Bool | Shape::Literal(Literal::Bool(_)) => "bool".to_owned(),
            Shape::Int | Shape::Literal(Literal::Int(_)) => "i64".to_owned(),
            Shape::Float | Shape::Number | Shape::Literal(Literal::Float(_)) => "f64".to_owned(),
            Shape::String => "String".to_owned(),
            Shape::Special(special) => special.name().to_owned(),
            Shape::List(element) => format!("Vec<{}>", self.name_of(element, &format!("{hint}Item"), None)),
            Shape::Map(value) => format!(
                "BTreeMap<String, {}>",
                self.name_of(value, &format!("{hint}Value"), None)
            ),
            Shape::Declared(inner) => {
                let name = self.names[*inner].clone();
                match place {
                    Some(place) if self.holds(*inner, place, &mut BTreeSet::new()) => format!("Box<{name}>"),
                    _ => name,
                }
            }
            Shape::Union(shapes) => {
                let real: Vec<_> = shapes
                    .iter()
                    .filter(|shape| !matches!(shape, Shape::Null))
                    .collect();
                if real.len() < shapes.len() {
                    return format!("Option<{}>", self.name_of_several(&real, hint, place));
                }
                match scalar_of_literals(&real) {
                    Some(scalar) => scalar.to_owned(),
                    None => self.declare(shape, hint),
                }
            }
            Shape::Object { .. } | Shape::Literal(_) | Shape::Where { .. } => self.declare(shape, hint),
        }
    }

    /// How the rest of a union without `null` is called.
    fn name_of_several(&mut self, shapes: &[&'m Shape<'p>], hint: &str, place: Option<usize>) -> String {
        if let [only] = shapes {
            return self.name_of(only, hint, place);
        }
        if let Some(scalar) = scalar_of_literals(shapes) {
            return scalar.to_owned();
        }
        let name = unique(hint, &mut self.taken);
        // Declared at once: there is no shape that stands for the rest alone.
        let before = std::mem::take(&mut self.text);
        self.text.push('\n');
        if are_strings(shapes) {
            self.strings(&name, shapes);
        } else {
            self.untagged(&name, shapes, place);
        }
        let declared = std::mem::replace(&mut self.text, before);
        // Before what is being written: an item stands outside of others.
        self.text.insert_str(0, &declared);
        name
    }

    fn declare(&mut self, shape: &'m Shape<'p>, hint: &str) -> String {
        let name = unique(hint, &mut self.taken);
        self.waiting.push((name.clone(), shape));
        name
    }

    /// Whether a declared type holds another, or itself, without a list or map between them.
    fn holds(&self, outer: usize, wanted: usize, seen: &mut BTreeSet<usize>) -> bool {
        if outer == wanted {
            return true;
        }
        if !seen.insert(outer) {
            return false;
        }
        let mut held = Vec::new();
        directly_held(&self.model.types[outer].shape, &mut held);
        held.into_iter().any(|inner| self.holds(inner, wanted, seen))
    }
}

fn directly_held(shape: &Shape<'_>, held: &mut Vec<usize>) {
    match shape.base() {
        Shape::Declared(place) => held.push(*place),
        Shape::Object { fields, .. } => fields.iter().for_each(|field| directly_held(&field.shape, held)),
        Shape::Union(shapes) => shapes.iter().for_each(|shape| directly_held(shape, held)),
        _ => {}
    }
}

/// What is left of a shape without `null`.
enum Nullable<'m, 'p> {
    One(&'m Shape<'p>),
    Several,
}

fn without_null<'m, 'p>(shape: &'m Shape<'p>) -> (Option<Nullable<'m, 'p>>, bool) {
    let Shape::Union(shapes) = shape.base() else {
        let is_null = matches!(shape.base(), Shape::Null);
        return ((!is_null).then_some(Nullable::One(shape)), is_null);
    };
    let real: Vec<_> = shapes
        .iter()
        .filter(|shape| !matches!(shape, Shape::Null))
        .collect();
    let is_nullable = real.len() < shapes.len();
    match real.as_slice() {
        [] => (None, true),
        [only] => (Some(Nullable::One(only)), is_nullable),
        _ => (Some(Nullable::Several), is_nullable),
    }
}

fn are_strings(shapes: &[&Shape<'_>]) -> bool {
    shapes
        .iter()
        .all(|shape| matches!(shape, Shape::Literal(Literal::String(_))))
}

/// The type of literals that are no strings, if they are all of one.
fn scalar_of_literals(shapes: &[&Shape<'_>]) -> Option<&'static str> {
    let scalar = |shape: &Shape<'_>| match shape {
        Shape::Literal(Literal::Bool(_)) => Some("bool"),
        Shape::Literal(Literal::Int(_)) => Some("i64"),
        Shape::Literal(Literal::Float(_)) => Some("f64"),
        _ => None,
    };
    let first = scalar(shapes.first()?)?;
    shapes
        .iter()
        .all(|shape| scalar(shape) == Some(first))
        .then_some(first)
}

fn write_docs(text: &mut String, indent: &str, docs: Option<&str>, conditions: &[&str]) {
    for line in docs.into_iter().flat_map(str::lines) {
        let _ = writeln!(text, "{}", format!("{indent}/// {line}").trim_end());
    }
    for condition in conditions {
        let _ = writeln!(text, "{indent}/// Where `{condition}`.");
    }
}

/// `article-kind` as `ArticleKind`.
fn type_name(name: &str) -> String {
    let mut found = String::new();
    let mut starts_word = true;
    for character in name.chars() {
        if !character.is_ascii_alphanumeric() {
            starts_word = true;
        } else if starts_word {
            found.push(character.to_ascii_uppercase());
            starts_word = false;
        } else {
            found.push(character);
        }
    }
    if found.is_empty() {
        return "Empty".to_owned();
    }
    match found.as_str() {
        "Self" => "Self_".to_owned(),
        _ => identifier(&found),
    }
}

/// `createdAt` as `created_at`.
fn field_name(name: &str) -> String {
    let mut found = String::new();
    let mut was_lower = false;
    for character in name.chars() {
        if character.is_ascii_uppercase() && was_lower {
            found.push('_');
        }
        was_lower = character.is_ascii_lowercase() || character.is_ascii_digit();
        found.push(if character.is_ascii_alphanumeric() {
            character.to_ascii_lowercase()
        } else {
            '_'
        });
    }
    let found = identifier(&found);
    let is_blank = found.chars().all(|character| character == '_');
    match found.as_str() {
        _ if is_blank => "field".to_owned(),
        "self" | "super" | "crate" => format!("{found}_"),
        word if KEYWORDS.contains(&word) => format!("r#{word}"),
        _ => found,
    }
}
