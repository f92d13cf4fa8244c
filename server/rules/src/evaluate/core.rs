//! The core: a program with every name resolved, flat in memory, which everything that evaluates walks over.
//!
//! Expressions are nodes in one list and name each other by index. A variable is one of three places: a capture and a
//! binding of a match are numbered along the chain of matches around them, so that a function declared in an outer match
//! finds them at the same index whichever inner match calls it; a local belongs to the frame of a function or a
//! condition. What the language versions do differently is decided here, before anything is evaluated.
//!
//! Left out of the tree: parentheses. A chain `a && b && c` is one node with three operands; `&&` and `||` are
//! associative in values and errors alike.

use std::collections::HashMap;
use std::sync::Arc;

use regex::Regex;

use super::fault::Fault;
use super::method::Methods;
use crate::check::{FunctionId, TypeId};
use crate::language::{Builtin, Kinds};
use crate::source::Span;
use crate::syntax::{
    BinaryOperator, ExprId, LanguageVersion, Literal, OperationKind, Quantifier, ServiceKind,
};

/// An expression by its place in [`Core::nodes`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NodeId(pub(crate) u32);

/// A match by its place in [`Core::matches`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct MatchId(pub(crate) u32);

/// A program.
#[derive(Debug, Default)]
pub(crate) struct Core {
    pub(crate) nodes: Vec<Node>,
    pub(crate) functions: Vec<Function>,
    pub(crate) types: Vec<Shape>,
    pub(crate) matches: Vec<MatchNode>,
    /// The matches directly inside of `service cloud.firestore`.
    pub(crate) firestore: Children,
    /// The matches directly inside of `service firebase.storage`.
    pub(crate) storage: Children,
    /// The matches directly inside of `service andiron.auth`; `None` if there is no such service.
    pub(crate) accounts: Option<Children>,
    /// Whether some match requires a type of what is written.
    pub(crate) has_document_types: bool,
}

impl Core {
    pub(crate) fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.0 as usize]
    }

    /// The matches of a service; `None` if there are none.
    pub(crate) fn service(&self, service: ServiceKind) -> Option<&Children> {
        match service {
            ServiceKind::Firestore => Some(&self.firestore),
            ServiceKind::Storage => Some(&self.storage),
            ServiceKind::Accounts => self.accounts.as_ref(),
        }
    }
}

/// An expression.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) kind: NodeKind,
    pub(crate) span: Span,
    /// The number of the expression in the file of the span.
    pub(crate) expression: ExprId,
}

#[derive(Debug)]
pub(crate) enum NodeKind {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    String(Arc<str>),
    Bytes(Arc<[u8]>),
    Request,
    Resource,
    Capture(u16),
    MatchLet(u16),
    Local(u16),
    List(Box<[NodeId]>),
    Map(Box<[(NodeId, NodeId)]>),
    Path(Box<[PathPiece]>),
    Member {
        base: NodeId,
        name: Arc<str>,
        is_safe: bool,
    },
    Index {
        base: NodeId,
        index: NodeId,
    },
    Slice {
        base: NodeId,
        start: Option<NodeId>,
        end: Option<NodeId>,
    },
    Call {
        function: FunctionId,
        arguments: Box<[NodeId]>,
    },
    Builtin {
        builtin: &'static Builtin,
        arguments: Box<[NodeId]>,
    },
    Method(Box<MethodCall>),
    Quantified {
        base: NodeId,
        quantifier: Quantifier,
        local: u16,
        body: NodeId,
    },
    Not(NodeId),
    Negate(NodeId),
    /// Two operands or more.
    And(Box<[NodeId]>),
    /// Two operands or more.
    Or(Box<[NodeId]>),
    /// One of the strict operators.
    Binary {
        operator: BinaryOperator,
        left: NodeId,
        right: NodeId,
    },
    Coalesce {
        left: NodeId,
        right: NodeId,
    },
    Is {
        value: NodeId,
        wanted: Wanted,
    },
    Ternary {
        condition: NodeId,
        then: NodeId,
        otherwise: NodeId,
    },
    /// What is known to fail; operands, if it has some, are not evaluated.
    Fail(Fault),
}

#[derive(Debug)]
pub(crate) struct MethodCall {
    pub(crate) base: NodeId,
    pub(crate) name: Arc<str>,
    pub(crate) methods: Methods,
    pub(crate) arguments: Box<[NodeId]>,
    pub(crate) is_safe: bool,
    /// The first argument compiled, if the method takes a regular expression and it is a literal.
    pub(crate) pattern: Option<Result<Regex, Fault>>,
}

/// A part of a path literal.
#[derive(Debug)]
pub(crate) enum PathPiece {
    Literal(Arc<str>),
    Value(NodeId),
    Placeholder { name: Arc<str>, is_glob: bool },
}

/// What stands behind `is`.
#[derive(Debug)]
pub(crate) enum Wanted {
    Kinds(Kinds),
    Type(TypeId),
}

/// An expression with a frame of its own.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Body {
    pub(crate) node: NodeId,
    /// How many locals it has.
    pub(crate) locals: u16,
}

/// A function: its parameters are its first locals, its bindings the next.
#[derive(Debug)]
pub(crate) struct Function {
    pub(crate) lets: Box<[NodeId]>,
    pub(crate) body: Body,
}

/// A declared type, or a part of one.
#[derive(Debug)]
pub(crate) enum Shape {
    Kinds(Kinds),
    List(Box<Shape>),
    Map(Box<Shape>),
    Literal(Literal),
    Fields {
        fields: Box<[FieldShape]>,
        is_open: bool,
    },
    Union(Box<[Shape]>),
    Declared(TypeId, Arc<str>),
    /// The condition's first local is the value.
    Where {
        base: Box<Shape>,
        condition: Body,
        span: Span,
    },
}

#[derive(Debug)]
pub(crate) struct FieldShape {
    pub(crate) name: Arc<str>,
    pub(crate) is_optional: bool,
    pub(crate) shape: Shape,
}

/// Matches, found by the segment that they begin with.
#[derive(Debug, Default)]
pub(crate) struct Children {
    pub(crate) by_literal: HashMap<Arc<str>, Vec<MatchId>>,
    /// Those that begin with a capture.
    pub(crate) others: Vec<MatchId>,
}

/// A match.
#[derive(Debug)]
pub(crate) struct MatchNode {
    /// Relative to the match around it.
    pub(crate) pattern: Box<[PatternSegment]>,
    pub(crate) children: Children,
    pub(crate) allows: Box<[Allow]>,
    /// The bindings of the services and matches around it and its own, by their places.
    pub(crate) lets: Box<[Body]>,
    /// The type of its documents.
    pub(crate) document_type: Option<(TypeId, Span)>,
    /// Whether its pattern covers the documents of every collection of a name, wherever that stands.
    pub(crate) covers_groups: bool,
    pub(crate) version: LanguageVersion,
}

#[derive(Debug)]
pub(crate) enum PatternSegment {
    Literal(Arc<str>),
    Capture,
    /// With how many segments it matches at least.
    Glob {
        segments_min: usize,
    },
    /// A segment that made no sense to the parser matches nothing.
    Nothing,
}

#[derive(Debug)]
pub(crate) struct Allow {
    pub(crate) span: Span,
    pub(crate) operations: Box<[OperationKind]>,
    pub(crate) condition: Option<Body>,
    pub(crate) reason: Option<Arc<str>>,
}
