//! Declared types, of `andiron1`.

use std::sync::Arc;

use super::{Expr, Name};
use crate::source::Span;

/// `type Post = { … };`
#[derive(Clone, Debug)]
pub struct TypeDeclaration {
    /// All of it.
    pub span: Span,
    /// Its name.
    pub name: Name,
    /// What it stands for.
    pub definition: TypeExpr,
    /// The documentation comment before it, without comment marks.
    pub docs: Option<Arc<str>>,
}

/// A type where it is written.
#[derive(Clone, Debug)]
pub struct TypeExpr {
    /// All of it.
    pub span: Span,
    /// What it is.
    pub kind: TypeKind,
    /// How many levels there are below it.
    pub(crate) height: u16,
}

/// What a type is.
#[derive(Clone, Debug)]
pub enum TypeKind {
    /// `string`, `Post`, `list<string>`, `map<int>`
    Named {
        /// The name.
        name: Name,
        /// What stands between `<` and `>`.
        arguments: Vec<TypeExpr>,
    },
    /// One value: `'draft'`, `1`, `true`, `null`
    Literal(Literal),
    /// `{ title: string, body?: string, ... }`
    Map {
        /// The fields, in order.
        fields: Vec<TypeField>,
        /// Whether it ends in `...`: fields that are not named here may be there too.
        is_open: bool,
    },
    /// `a | b`; two or more
    Union(Vec<TypeExpr>),
    /// `(inner)`
    Paren(Box<TypeExpr>),
    /// `base where condition`. In the condition `this` is the value, and a call of an undeclared function is one of
    /// its methods: `string where size() <= 120`.
    Where {
        /// Before `where`.
        base: Box<TypeExpr>,
        /// After it.
        condition: Box<Expr>,
    },
    /// Text that made no sense; only in files with errors.
    Error,
}

/// A field of a map type.
#[derive(Clone, Debug)]
pub struct TypeField {
    /// All of it.
    pub span: Span,
    /// Its name; in the text it may be a string.
    pub name: Name,
    /// Whether it is `name?: type`: the field may be missing.
    pub is_optional: bool,
    /// What it holds.
    pub value: TypeExpr,
    /// The documentation comment before it, without comment marks.
    pub docs: Option<Arc<str>>,
}

/// A value that is a type of its own.
#[derive(Clone, Debug, PartialEq)]
pub enum Literal {
    /// `null`
    Null,
    /// `true`, `false`
    Bool(bool),
    /// `5`, `-5`
    Int(i64),
    /// `5.5`, `-5.5`
    Float(f64),
    /// `'text'`
    String(Arc<str>),
}
