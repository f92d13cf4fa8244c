//! What a program declares, with every name settled, whatever it is printed as.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use crate::check::{Checked, TypeId};
use crate::program::Program;
use crate::syntax::{
    Expr, Literal, Match, Member, Name, Pattern, SegmentKind, ServiceKind, TypeExpr, TypeKind,
};

/// The types and the collections of a program.
pub(super) struct Model<'p> {
    pub(super) types: Vec<Declared<'p>>,
    /// By pattern, as in `teams/{team}/members`, the place of the type among the types.
    pub(super) collections: Vec<(String, usize)>,
}

/// A declared type.
pub(super) struct Declared<'p> {
    /// A name that no other one has.
    pub(super) name: String,
    pub(super) docs: Option<Arc<str>>,
    pub(super) shape: Shape<'p>,
}

/// What a value may be.
pub(super) enum Shape<'p> {
    Any,
    Never,
    Null,
    Bool,
    Int,
    Float,
    Number,
    String,
    Special(Special),
    List(Box<Shape<'p>>),
    Map(Box<Shape<'p>>),
    Object {
        fields: Vec<Field<'p>>,
        is_open: bool,
    },
    Literal(&'p Literal),
    Union(Vec<Shape<'p>>),
    /// A declared type, by its place.
    Declared(usize),
    Where {
        base: Box<Shape<'p>>,
        condition: &'p Expr,
        text: String,
    },
}

pub(super) struct Field<'p> {
    pub(super) name: &'p str,
    pub(super) docs: Option<Arc<str>>,
    pub(super) is_optional: bool,
    pub(super) shape: Shape<'p>,
}

/// A value that JSON does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Special {
    Bytes,
    GeoPoint,
    Reference,
    Timestamp,
}

impl Special {
    /// How it is called.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Bytes => "Bytes",
            Self::GeoPoint => "GeoPoint",
            Self::Reference => "Reference",
            Self::Timestamp => "Timestamp",
        }
    }

    /// What it is, in a sentence.
    pub(super) fn docs(self) -> &'static str {
        match self {
            Self::Bytes => "Bytes: base64 of the standard alphabet, padded.",
            Self::GeoPoint => "A place: latitude and longitude in degrees.",
            Self::Reference => "A document: its path.",
            Self::Timestamp => "A moment: RFC 3339, with up to six digits of fraction.",
        }
    }

    /// The key that it has in value JSON.
    pub(super) fn key(self) -> &'static str {
        match self {
            Self::Bytes => "$bytes",
            Self::GeoPoint => "$geo",
            Self::Reference => "$ref",
            Self::Timestamp => "$time",
        }
    }
}

impl<'p> Model<'p> {
    pub(super) fn new(program: &'p Program, checked: &'p Checked) -> Self {
        let mut taken: BTreeSet<String> = ["Bytes", "GeoPoint", "Reference", "Timestamp", "Collections"]
            .map(str::to_owned)
            .into();
        let names: Vec<_> = checked
            .types()
            .iter()
            .map(|declaration| unique(&identifier(&declaration.name.text), &mut taken))
            .collect();
        let reader = Reader { program, checked };
        let types = checked
            .types()
            .iter()
            .zip(names)
            .map(|(declaration, name)| Declared {
                name,
                docs: declaration.docs.clone(),
                shape: reader.shape(&declaration.definition),
            })
            .collect();
        let mut collections = HashMap::new();
        for file in program.roots() {
            for service in file.services() {
                if service.kind == Some(ServiceKind::Firestore) {
                    reader.collections(&service.members, &mut Vec::new(), &mut collections);
                }
            }
        }
        let mut collections: Vec<_> = collections.into_iter().collect();
        collections.sort();
        Self { types, collections }
    }

    /// The values that JSON does not have, among those that are used.
    pub(super) fn specials(&self) -> BTreeSet<Special> {
        let mut found = BTreeSet::new();
        for declared in &self.types {
            declared.shape.walk(&mut |shape| {
                if let Shape::Special(special) = shape {
                    found.insert(*special);
                }
            });
        }
        found
    }
}

impl<'p> Shape<'p> {
    /// Calls `visit` with this shape and all inside of it.
    pub(super) fn walk(&self, visit: &mut impl FnMut(&Shape<'p>)) {
        visit(self);
        match self {
            Self::List(inner) | Self::Map(inner) | Self::Where { base: inner, .. } => inner.walk(visit),
            Self::Object { fields, .. } => fields.iter().for_each(|field| field.shape.walk(visit)),
            Self::Union(shapes) => shapes.iter().for_each(|shape| shape.walk(visit)),
            _ => {}
        }
    }

    /// Without conditions.
    pub(super) fn base(&self) -> &Self {
        match self {
            Self::Where { base, .. } => base.base(),
            other => other,
        }
    }

    /// The texts of its conditions, the innermost first.
    pub(super) fn conditions(&self) -> Vec<&str> {
        match self {
            Self::Where { base, text, .. } => {
                let mut conditions = base.conditions();
                conditions.push(text);
                conditions
            }
            _ => Vec::new(),
        }
    }
}

struct Reader<'p> {
    program: &'p Program,
    checked: &'p Checked,
}

impl<'p> Reader<'p> {
    fn shape(&self, definition: &'p TypeExpr) -> Shape<'p> {
        match &definition.kind {
            TypeKind::Named { name, arguments } => self.named(name, arguments),
            TypeKind::Literal(Literal::Null) => Shape::Null,
            TypeKind::Literal(literal) => Shape::Literal(literal),
            TypeKind::Map { fields, is_open } => Shape::Object {
                fields: fields
                    .iter()
                    .map(|field| Field {
                        name: &field.name.text,
                        docs: field.docs.clone(),
                        is_optional: field.is_optional,
                        shape: self.shape(&field.value),
                    })
                    .collect(),
                is_open: *is_open,
            },
            TypeKind::Union(alternatives) => {
                Shape::Union(alternatives.iter().map(|inner| self.shape(inner)).collect())
            }
            TypeKind::Paren(inner) => self.shape(inner),
            TypeKind::Where { base, condition } => Shape::Where {
                base: Box::new(self.shape(base)),
                text: self
                    .program
                    .sources()
                    .text(condition.span)
                    .split_whitespace()
                    .collect::<Vec<_>>()
                    .join(" "),
                condition,
            },
            TypeKind::Error => Shape::Never,
        }
    }

    fn named(&self, name: &Name, arguments: &'p [TypeExpr]) -> Shape<'p> {
        if let Some(TypeId(place)) = self.checked.named_type(name) {
            return Shape::Declared(place as usize);
        }
        let argument = || {
            let inner = arguments.first().map_or(Shape::Any, |inner| self.shape(inner));
            Box::new(inner)
        };
        match &*name.text {
            "any" => Shape::Any,
            "null" => Shape::Null,
            "bool" => Shape::Bool,
            "int" => Shape::Int,
            "float" => Shape::Float,
            "number" => Shape::Number,
            "string" => Shape::String,
            "bytes" => Shape::Special(Special::Bytes),
            "latlng" => Shape::Special(Special::GeoPoint),
            "path" => Shape::Special(Special::Reference),
            "timestamp" => Shape::Special(Special::Timestamp),
            "list" => Shape::List(argument()),
            "map" => Shape::Map(argument()),
            // Rules compute with these, but no document holds them.
            _ => Shape::Never,
        }
    }

    fn collections(
        &self,
        members: &'p [Member],
        around: &mut Vec<&'p Pattern>,
        found: &mut HashMap<String, usize>,
    ) {
        for member in members {
            let Member::Match(inner) = member else { continue };
            around.push(&inner.pattern);
            if let Some(place) = self.type_of(inner) {
                found.insert(collection(around), place);
            }
            self.collections(&inner.members, around, found);
            around.pop();
        }
    }

    fn type_of(&self, inner: &Match) -> Option<usize> {
        let TypeId(place) = self.checked.named_type(inner.type_name.as_ref()?)?;
        Some(place as usize)
    }
}

/// The collection that patterns put together are about: without what stands before every document's path, and without the
/// document's id if that may be any.
fn collection(patterns: &[&Pattern]) -> String {
    let segments: Vec<_> = patterns
        .iter()
        .flat_map(|pattern| &pattern.segments)
        .map(|segment| match &segment.kind {
            SegmentKind::Literal(text) => (text.to_string(), false),
            SegmentKind::Capture { name, is_glob } => {
                let glob = if *is_glob { "=**" } else { "" };
                (format!("{{{}{glob}}}", name.text), !is_glob)
            }
            SegmentKind::Error => (String::new(), false),
        })
        .collect();
    let is_documents = segments.len() > 3 && segments[0].0 == "databases" && segments[2].0 == "documents";
    let own = if is_documents {
        &segments[3..]
    } else {
        &segments[..]
    };
    let own = match own {
        [collection @ .., (_, true)] if !collection.is_empty() => collection,
        all => all,
    };
    let texts: Vec<_> = own.iter().map(|(text, _)| text.as_str()).collect();
    texts.join("/")
}

/// A name as every language takes it.
pub(super) fn identifier(name: &str) -> String {
    let mut identifier: String = name
        .chars()
        .map(|character| {
            if character.is_ascii_alphanumeric() {
                character
            } else {
                '_'
            }
        })
        .collect();
    if identifier.is_empty() || identifier.starts_with(|first: char| first.is_ascii_digit()) {
        identifier.insert(0, '_');
    }
    identifier
}

/// The name, with a number if it is taken.
pub(super) fn unique(name: &str, taken: &mut BTreeSet<String>) -> String {
    let mut found = name.to_owned();
    let mut number = 2;
    while !taken.insert(found.clone()) {
        found = format!("{name}{number}");
        number += 1;
    }
    found
}
