//! Expressions.

use std::sync::Arc;

use super::{BinaryOperator, Name, UnaryOperator};
use crate::source::Span;

/// An expression's number within its file, from 0, without gaps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ExprId(pub u32);

impl ExprId {
    /// Its place in lists with one entry an expression.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// An expression.
#[derive(Clone, Debug)]
pub struct Expr {
    /// Its number within the file.
    pub id: ExprId,
    /// All of it.
    pub span: Span,
    /// What it is.
    pub kind: ExprKind,
    /// How many levels there are below it; see [`TREE_HEIGHT_MAX`](super::TREE_HEIGHT_MAX).
    pub(crate) height: u16,
}

/// What an expression is.
#[derive(Clone, Debug)]
pub enum ExprKind {
    /// `null`
    Null,
    /// `true`, `false`
    Bool(bool),
    /// `5`. `-9223372036854775808` is one literal; other negative numbers are [`ExprKind::Unary`].
    Int(i64),
    /// `5.5`, always finite
    Float(f64),
    /// `'text'`, escapes resolved
    String(Arc<str>),
    /// `b'bytes'`, escapes resolved
    Bytes(Arc<[u8]>),
    /// `name`
    Variable(Name),
    /// `[a, b]`
    List(Vec<Expr>),
    /// `{'key': value}`; keys are any expressions
    Map(Vec<MapEntry>),
    /// `/users/$(uid)`; one part or more
    Path(Vec<PathPart>),
    /// `(inner)`
    Paren(Box<Expr>),
    /// `base.name`; `base?.name` in `andiron1`
    Member {
        /// Before the dot.
        base: Box<Expr>,
        /// After the dot.
        name: Name,
        /// Whether it is `?.`: null if `base` is null or has no such key.
        is_safe: bool,
    },
    /// `base[index]`
    Index {
        /// Before the bracket.
        base: Box<Expr>,
        /// Between the brackets.
        index: Box<Expr>,
    },
    /// `base[start:end]`
    Slice {
        /// Before the bracket.
        base: Box<Expr>,
        /// Before the colon; absent: from the first.
        start: Option<Box<Expr>>,
        /// After the colon; absent: to the last.
        end: Option<Box<Expr>>,
    },
    /// `function(arguments)`
    Call {
        /// What is called.
        function: Name,
        /// With what.
        arguments: Vec<Expr>,
    },
    /// `base.method(arguments)`, and also `namespace.function(arguments)`: the checker tells which
    /// (`base` is then a [`ExprKind::Variable`]). `base?.method(arguments)` in `andiron1`.
    MethodCall {
        /// Before the dot.
        base: Box<Expr>,
        /// After the dot.
        method: Name,
        /// With what.
        arguments: Vec<Expr>,
        /// Whether it is `?.`: null if `base` is null.
        is_safe: bool,
    },
    /// `list.all(variable, body)`, in `andiron1`
    Quantified {
        /// Before the dot.
        base: Box<Expr>,
        /// After the dot.
        quantifier: Quantifier,
        /// Where that stands.
        quantifier_span: Span,
        /// Bound to each element in turn.
        variable: Name,
        /// Evaluated for each.
        body: Box<Expr>,
    },
    /// `!operand`, `-operand`
    Unary {
        /// The operator.
        operator: UnaryOperator,
        /// Where that stands.
        operator_span: Span,
        /// After it.
        operand: Box<Expr>,
    },
    /// `left + right` and the like
    Binary {
        /// The operator.
        operator: BinaryOperator,
        /// Where that stands.
        operator_span: Span,
        /// Before it.
        left: Box<Expr>,
        /// After it.
        right: Box<Expr>,
    },
    /// `value is type`
    Is {
        /// Before `is`.
        value: Box<Expr>,
        /// Where `is` stands.
        operator_span: Span,
        /// After it: a type of the language, or in `andiron1` a declared one.
        type_name: Name,
    },
    /// `condition ? then : otherwise`
    Ternary {
        /// Before the question mark.
        condition: Box<Expr>,
        /// Before the colon.
        then: Box<Expr>,
        /// After it.
        otherwise: Box<Expr>,
    },
    /// Text that made no sense; only in files with errors.
    Error,
}

/// `key: value` in a map literal.
#[derive(Clone, Debug)]
pub struct MapEntry {
    /// Before the colon.
    pub key: Expr,
    /// After it.
    pub value: Expr,
}

/// A segment of a path literal.
#[derive(Clone, Debug)]
pub struct PathPart {
    /// The segment with its slash.
    pub span: Span,
    /// What it is.
    pub kind: PathPartKind,
}

/// What a segment of a path literal is.
#[derive(Clone, Debug)]
pub enum PathPartKind {
    /// `/users`, `%HH` resolved
    Literal(Arc<str>),
    /// `/$(value)`
    Value(Expr),
    /// `/{name}`, `/{name=**}`: filled in by `bind`
    Placeholder {
        /// The key that `bind` looks for.
        name: Name,
        /// Whether it is `{name=**}`.
        is_glob: bool,
    },
}

/// What [`ExprKind::Quantified`] asks of the elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Quantifier {
    /// Whether the body is true of all; true of an empty list.
    All,
    /// Whether it is true of at least one.
    Any,
    /// The list of what the body gives for each.
    Map,
}

impl Quantifier {
    /// As it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Any => "any",
            Self::Map => "map",
        }
    }

    pub(crate) fn from_name(name: &str) -> Option<Self> {
        [Self::All, Self::Any, Self::Map]
            .into_iter()
            .find(|quantifier| quantifier.as_str() == name)
    }
}

impl Expr {
    /// What stands inside any number of parentheses around it.
    pub fn without_parens(&self) -> &Self {
        let mut inner = self;
        while let ExprKind::Paren(next) = &inner.kind {
            inner = next;
        }
        inner
    }

    /// The name, if it is just one.
    pub fn as_variable(&self) -> Option<&Name> {
        match &self.without_parens().kind {
            ExprKind::Variable(name) => Some(name),
            _ => None,
        }
    }

    /// Calls `visit` with each expression directly below this one, in the order of the text.
    pub fn for_each_child<'a>(&'a self, mut visit: impl FnMut(&'a Self)) {
        match &self.kind {
            ExprKind::Null
            | ExprKind::Bool(_)
            | ExprKind::Int(_)
            | ExprKind::Float(_)
            | ExprKind::String(_)
            | ExprKind::Bytes(_)
            | ExprKind::Variable(_)
            | ExprKind::Error => {}
            ExprKind::List(items) => items.iter().for_each(visit),
            ExprKind::Map(entries) => {
                for entry in entries {
                    visit(&entry.key);
                    visit(&entry.value);
                }
            }
            ExprKind::Path(parts) => {
                for part in parts {
                    if let PathPartKind::Value(value) = &part.kind {
                        visit(value);
                    }
                }
            }
            ExprKind::Paren(inner) => visit(inner),
            ExprKind::Member { base, .. } => visit(base),
            ExprKind::Index { base, index } => {
                visit(base);
                visit(index);
            }
            ExprKind::Slice { base, start, end } => {
                visit(base);
                start.iter().chain(end).for_each(|bound| visit(bound));
            }
            ExprKind::Call { arguments, .. } => arguments.iter().for_each(visit),
            ExprKind::MethodCall { base, arguments, .. } => {
                visit(base);
                arguments.iter().for_each(visit);
            }
            ExprKind::Quantified { base, body, .. } => {
                visit(base);
                visit(body);
            }
            ExprKind::Unary { operand, .. } => visit(operand),
            ExprKind::Binary { left, right, .. } => {
                visit(left);
                visit(right);
            }
            ExprKind::Is { value, .. } => visit(value),
            ExprKind::Ternary {
                condition,
                then,
                otherwise,
            } => {
                visit(condition);
                visit(then);
                visit(otherwise);
            }
        }
    }

    /// Calls `visit` with this expression and all below it, each before those below it.
    pub fn walk<'a>(&'a self, visit: &mut impl FnMut(&'a Self)) {
        visit(self);
        // The tree's height is bounded, and so is this recursion.
        self.for_each_child(|child| child.walk(visit));
    }
}
