//! Declared types: their names, their conditions, and what they say about values.

use std::collections::HashMap;

use super::{Checker, Resolution, TypeId, calls::Node, expression::Known};
use crate::diagnostic::{Code, Diagnostic};
use crate::language::{Kind, Kinds};
use crate::source::Span;
use crate::syntax::{Literal, Name, TypeExpr, TypeKind};

/// How many names of types are followed to what they stand for; a circle of them is an error of its own.
const TYPE_NAMES_MAX: usize = 32;

/// The types of the language that take the type of their elements.
fn takes_arguments(name: &str) -> Option<usize> {
    match name {
        "list" | "set" | "map" => Some(1),
        _ => None,
    }
}

/// The types of the language that a declared type may name.
fn kinds_named(name: &str) -> Option<Kinds> {
    match name {
        "any" => Some(Kinds::ANY),
        "constraint" | "map_diff" => None,
        _ => Kinds::from_name(name),
    }
}

impl<'p> Checker<'p> {
    /// Checks a type. `is_whole` is true of what has the value itself, false of what has a part of it.
    pub(super) fn check_type(&mut self, definition: &'p TypeExpr, is_whole: bool) {
        match &definition.kind {
            TypeKind::Named { name, arguments } => {
                self.check_named_type(name, arguments.len(), is_whole);
                for argument in arguments {
                    self.check_type(argument, false);
                }
            }
            TypeKind::Map { fields, .. } => {
                let mut names: HashMap<&str, Span> = HashMap::new();
                for field in fields {
                    if let Some(first) = names.insert(&field.name.text, field.name.span) {
                        self.duplicate("field", &field.name, first);
                    }
                    self.check_type(&field.value, false);
                }
            }
            TypeKind::Union(alternatives) => {
                for alternative in alternatives {
                    self.check_type(alternative, is_whole);
                }
            }
            TypeKind::Paren(inner) => self.check_type(inner, is_whole),
            TypeKind::Where { base, condition } => {
                self.check_type(base, is_whole);
                let around = self.this.replace(self.known_of(base));
                let kinds = self.check_expression(condition);
                self.this = around;
                self.require_bool(condition, kinds, "the condition of a type");
            }
            TypeKind::Literal(_) | TypeKind::Error => {}
        }
    }

    fn check_named_type(&mut self, name: &'p Name, arguments: usize, is_whole: bool) {
        let declared = self.find_type(&name.text);
        if let Some(id) = declared {
            self.checked.type_uses.insert(name.span, id);
            self.used_types[id.0 as usize] = true;
            if is_whole {
                self.note_call(Node::Type(id), name.span);
            }
        } else if kinds_named(&name.text).is_none() {
            self.unknown_type(name);
            return;
        }
        let takes = if declared.is_some() {
            None
        } else {
            takes_arguments(&name.text)
        };
        if arguments > 0 && takes != Some(arguments) {
            let message = match takes {
                Some(_) => format!("`{}` takes one type, that of its elements", name.text),
                None => format!("`{}` takes no types in `<…>`", name.text),
            };
            self.report(Diagnostic::new(Code::WrongArity, name.span, message));
        }
    }

    fn unknown_type(&mut self, name: &Name) {
        let declared = self
            .scopes
            .iter()
            .rev()
            .flat_map(|scope| scope.types.keys().copied());
        let known = Kind::ALL
            .iter()
            .map(|kind| kind.as_str())
            .chain(["number"])
            .chain(declared);
        let hint = match &*name.text {
            "boolean" => Some("it is called `bool`".to_owned()),
            "integer" => Some("it is called `int`".to_owned()),
            "double" => Some("it is called `float`".to_owned()),
            "array" => Some("it is called `list`".to_owned()),
            "object" | "dict" => Some("it is called `map`".to_owned()),
            "date" | "time" | "datetime" => Some("it is called `timestamp`".to_owned()),
            "reference" | "ref" => Some("it is called `path`".to_owned()),
            "geopoint" => Some("it is called `latlng`".to_owned()),
            "null" | "undefined" => Some("compare with `== null`".to_owned()),
            other => self.suggestion(other, known),
        };
        let mut diagnostic = Diagnostic::new(
            Code::UnknownName,
            name.span,
            format!("there is no type `{}`", name.text),
        );
        diagnostic.hint = hint;
        self.report(diagnostic);
    }

    /// Looks the name of a type up that stands after `match … is`.
    pub(super) fn use_type(&mut self, name: &'p Name) -> Option<TypeId> {
        match self.find_type(&name.text) {
            Some(id) => {
                self.checked.type_uses.insert(name.span, id);
                self.used_types[id.0 as usize] = true;
                Some(id)
            }
            None => {
                if kinds_named(&name.text).is_some() {
                    let message = format!("a document is a map; `{}` is no type for its fields", name.text);
                    self.report(
                        Diagnostic::new(Code::UnknownName, name.span, message)
                            .with_hint("declare one: `type Post = { title: string };`"),
                    );
                } else {
                    self.unknown_type(name);
                }
                None
            }
        }
    }

    /// What the name after `is` in an expression asks for.
    pub(super) fn resolve_is(&mut self, name: &'p Name) -> Option<Resolution> {
        if let Some(id) = self.find_type(&name.text) {
            self.used_types[id.0 as usize] = true;
            self.note_call(Node::Type(id), name.span);
            return Some(Resolution::Type(id));
        }
        match Kinds::from_name(&name.text) {
            Some(kinds) => Some(Resolution::Kinds(kinds)),
            None => {
                self.unknown_type(name);
                None
            }
        }
    }

    /// What is known of values of a type.
    fn known_of(&self, definition: &'p TypeExpr) -> Known<'p> {
        self.known_of_bounded(definition, TYPE_NAMES_MAX)
    }

    fn known_of_bounded(&self, definition: &'p TypeExpr, names_left: usize) -> Known<'p> {
        let mut known = match &definition.kind {
            TypeKind::Named { name, .. } => {
                if let Some(declaration) = self.declaration_of(name) {
                    return match names_left.checked_sub(1) {
                        Some(left) => self.known_of_bounded(declaration, left),
                        None => Known::ANY,
                    };
                }
                Known::of(kinds_named(&name.text).unwrap_or(Kinds::ANY))
            }
            TypeKind::Literal(literal) => Known::of(Kinds::only(match literal {
                Literal::Null => Kind::Null,
                Literal::Bool(_) => Kind::Bool,
                Literal::Int(_) => Kind::Int,
                Literal::Float(_) => Kind::Float,
                Literal::String(_) => Kind::String,
            })),
            TypeKind::Map { .. } => Known::of(Kinds::only(Kind::Map)),
            TypeKind::Union(alternatives) => {
                let kinds = alternatives.iter().fold(Kinds::NONE, |kinds, alternative| {
                    kinds.or(self.known_of_bounded(alternative, names_left).kinds)
                });
                return Known::of(kinds);
            }
            TypeKind::Paren(inner) => return self.known_of_bounded(inner, names_left),
            TypeKind::Where { base, .. } => return self.known_of_bounded(base, names_left),
            TypeKind::Error => return Known::ANY,
        };
        known.declared = Some(definition);
        known
    }

    /// What the name of a declared type stands for. The name has been looked up before, or is in another file's scope.
    fn declaration_of(&self, name: &Name) -> Option<&'p TypeExpr> {
        let id = match self.checked.type_uses.get(&name.span) {
            Some(id) => *id,
            None => self
                .find_type(&name.text)
                .filter(|_| name.span.file == self.file)?,
        };
        self.type_definitions.get(id.0 as usize).copied()
    }

    /// What is known of the field of a declared type: `Err` if there is no such field and can be none.
    pub(super) fn field_of(&self, definition: &'p TypeExpr, field: &str) -> Result<Known<'p>, Vec<&'p str>> {
        match &definition.kind {
            TypeKind::Map { fields, is_open } => match fields.iter().find(|known| &*known.name.text == field)
            {
                Some(known) => Ok(self.known_of(&known.value)),
                None if *is_open => Ok(Known::ANY),
                None => Err(fields.iter().map(|known| &*known.name.text).collect()),
            },
            TypeKind::Named { name, arguments } if &*name.text == "map" => match arguments.first() {
                Some(value) => Ok(self.known_of(value)),
                None => Ok(Known::ANY),
            },
            _ => Ok(Known::ANY),
        }
    }

    /// What is known of the elements of a declared list.
    pub(super) fn element_of(&self, definition: Option<&'p TypeExpr>) -> Known<'p> {
        match definition.map(|definition| &definition.kind) {
            Some(TypeKind::Named { name, arguments }) if matches!(&*name.text, "list" | "set") => arguments
                .first()
                .map_or(Known::ANY, |element| self.known_of(element)),
            _ => Known::ANY,
        }
    }

    /// What is known of the data of a document of this type.
    pub(super) fn known_document(&self, id: TypeId) -> Known<'p> {
        match self.type_definitions.get(id.0 as usize) {
            Some(definition) => self.known_of(definition),
            None => Known::ANY,
        }
    }
}
