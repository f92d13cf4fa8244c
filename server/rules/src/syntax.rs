//! The tree that the parser builds.
//!
//! Invariants: every node has the span of exactly its own text; expressions have ids that are dense within their file, so
//! that what later stages learn about them (resolution, types, coverage) stands in lists beside the tree; no tree is
//! higher than [`TREE_HEIGHT_MAX`], so that recursion over it, dropping included, is safe. [`ExprKind::Error`],
//! [`TypeKind::Error`] and [`SegmentKind::Error`] stand where the text made no sense, and only in a file that has errors.
//!
//! Left out: what names mean (the checker says that), white space and comments (comments lie in [`File::comments`]).

mod builder;
mod dump;
mod expression;
mod operator;
mod types;
mod visit;

use std::sync::Arc;

pub use builder::TREE_HEIGHT_MAX;
pub(crate) use builder::height_of;
pub use dump::dump;
pub(crate) use dump::same_expression;
pub use expression::{Expr, ExprId, ExprKind, MapEntry, PathPart, PathPartKind, Quantifier};
pub use operator::{BinaryOperator, OperationKind, UnaryOperator};
pub(crate) use operator::{IS_PRECEDENCE, TERNARY_PRECEDENCE};
pub use types::{Literal, TypeDeclaration, TypeExpr, TypeField, TypeKind};

use crate::source::{FileId, Span};

/// A name where it is written.
#[derive(Clone, Debug)]
pub struct Name {
    /// The name.
    pub text: Arc<str>,
    /// Where it stands.
    pub span: Span,
}

/// The language that a file is written in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum LanguageVersion {
    /// No `rules_version`, or `'1'`: globs only at the end of a pattern, and of one segment or more.
    #[default]
    V1,
    /// `'2'`: globs anywhere, and of no segment or more.
    V2,
    /// `'andiron1'`: version 2 and our extensions.
    Andiron1,
}

impl LanguageVersion {
    /// As it is written after `rules_version =`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::V1 => "1",
            Self::V2 => "2",
            Self::Andiron1 => "andiron1",
        }
    }

    /// Whether `{name=**}` matches no segment too, and may stand anywhere.
    pub fn has_empty_globs(self) -> bool {
        self >= Self::V2
    }

    /// Whether our extensions are part of the language.
    pub fn has_extensions(self) -> bool {
        self == Self::Andiron1
    }
}

/// A whole file.
#[derive(Clone, Debug)]
pub struct File {
    /// Which one.
    pub id: FileId,
    /// Its language; V1 if nothing is said.
    pub version: LanguageVersion,
    /// The string after `rules_version =`, if it is said.
    pub version_span: Option<Span>,
    /// `import` statements, in order.
    pub imports: Vec<Import>,
    /// Everything after them, in order.
    pub items: Vec<Item>,
    /// Every comment, in order.
    pub comments: Vec<Comment>,
    /// How many expressions there are: ids are below it.
    pub expressions: u32,
    /// The whole text.
    pub span: Span,
}

impl File {
    /// The services declared here, in order.
    pub fn services(&self) -> impl Iterator<Item = &Service> {
        self.items.iter().filter_map(|item| match item {
            Item::Service(service) => Some(service),
            Item::Function(_) | Item::Type(_) => None,
        })
    }

    /// The functions declared outside of services, in order.
    pub fn functions(&self) -> impl Iterator<Item = &Arc<Function>> {
        self.items.iter().filter_map(|item| match item {
            Item::Function(function) => Some(function),
            Item::Service(_) | Item::Type(_) => None,
        })
    }

    /// The types declared here, in order.
    pub fn types(&self) -> impl Iterator<Item = &Arc<TypeDeclaration>> {
        self.items.iter().filter_map(|item| match item {
            Item::Type(declaration) => Some(declaration),
            Item::Service(_) | Item::Function(_) => None,
        })
    }
}

/// A comment; its text, delimiters included, is that of the span.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Comment {
    /// Where it stands, without the line break that ends a `//` comment.
    pub span: Span,
    /// `/* … */`, not `// …`.
    pub is_block: bool,
}

/// `import "./shared.rules" as name;`
#[derive(Clone, Debug)]
pub struct Import {
    /// The statement.
    pub span: Span,
    /// What stands between the quotes, escapes resolved.
    pub path: Arc<str>,
    /// The string.
    pub path_span: Span,
    /// With a name, what is imported is called `name.function(…)` and `name.Type` is not; without, as where it is declared.
    pub alias: Option<Name>,
}

/// What stands at the top of a file.
#[derive(Clone, Debug)]
pub enum Item {
    /// `service … { … }`
    Service(Service),
    /// `function …`
    Function(Arc<Function>),
    /// `type …`, in `andiron1`
    Type(Arc<TypeDeclaration>),
}

impl Item {
    /// The whole item.
    pub fn span(&self) -> Span {
        match self {
            Self::Service(service) => service.span,
            Self::Function(function) => function.span,
            Self::Type(declaration) => declaration.span,
        }
    }
}

/// Which rules a service holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ServiceKind {
    /// `cloud.firestore`: documents.
    Firestore,
    /// `firebase.storage`: files.
    Storage,
    /// `andiron.auth`: accounts.
    Accounts,
}

impl ServiceKind {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Firestore, Self::Storage, Self::Accounts];

    /// As it is written after `service`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Firestore => "cloud.firestore",
            Self::Storage => "firebase.storage",
            Self::Accounts => "andiron.auth",
        }
    }

    /// Whether what only the rules of `other` have is there too: accounts are judged by what looks documents up as
    /// documents are.
    pub(crate) fn has_functions_of(self, other: Self) -> bool {
        self == other || (self == Self::Accounts && other == Self::Firestore)
    }
}

/// `service cloud.firestore { … }`
#[derive(Clone, Debug)]
pub struct Service {
    /// All of it.
    pub span: Span,
    /// The service's name as it is written.
    pub name: Name,
    /// Which service it is, if it is one that exists.
    pub kind: Option<ServiceKind>,
    /// What stands in the braces, in order. There is no `allow` among them.
    pub members: Vec<Member>,
}

/// What stands in the braces of a service or a match.
#[derive(Clone, Debug)]
pub enum Member {
    /// `match …`
    Match(Match),
    /// `allow …`
    Allow(Allow),
    /// `function …`
    Function(Arc<Function>),
    /// `let …;`, in `andiron1`
    Let(Arc<Let>),
}

impl Member {
    /// The whole member.
    pub fn span(&self) -> Span {
        match self {
            Self::Match(inner) => inner.span,
            Self::Allow(allow) => allow.span,
            Self::Function(function) => function.span,
            Self::Let(binding) => binding.span,
        }
    }
}

/// `match /posts/{id} is Post { … }`
#[derive(Clone, Debug)]
pub struct Match {
    /// All of it.
    pub span: Span,
    /// What paths it is about, relative to the match around it.
    pub pattern: Pattern,
    /// The type that every write must leave the document with, in `andiron1`.
    pub type_name: Option<Name>,
    /// What stands in the braces, in order.
    pub members: Vec<Member>,
    /// The documentation comment before it, without comment marks.
    pub docs: Option<Arc<str>>,
}

/// A path with captures: one segment or more.
#[derive(Clone, Debug)]
pub struct Pattern {
    /// All of it.
    pub span: Span,
    /// Its segments, in order.
    pub segments: Vec<Segment>,
}

/// A segment of a pattern.
#[derive(Clone, Debug)]
pub struct Segment {
    /// The segment with its slash.
    pub span: Span,
    /// What it matches.
    pub kind: SegmentKind,
}

/// What a segment of a pattern matches.
#[derive(Clone, Debug)]
pub enum SegmentKind {
    /// Exactly this segment, `%HH` resolved.
    Literal(Arc<str>),
    /// `{name}`: any one segment, bound as a string; `{name=**}`: any number of segments, bound as a path.
    Capture {
        /// What it binds.
        name: Name,
        /// Whether it is `{name=**}`.
        is_glob: bool,
    },
    /// Something that made no sense.
    Error,
}

/// `allow get, list: if condition else "reason";`
#[derive(Clone, Debug)]
pub struct Allow {
    /// All of it, with the semicolon if it has one.
    pub span: Span,
    /// The operations, in order; at least one in a file without errors.
    pub operations: Vec<Operation>,
    /// When it grants; without one, always.
    pub condition: Option<Expr>,
    /// What a client is told that nothing else allows to do this, in `andiron1`.
    pub reason: Option<Reason>,
}

impl Allow {
    /// Whether it is about this operation.
    pub fn covers(&self, wanted: OperationKind) -> bool {
        self.operations
            .iter()
            .filter_map(|operation| operation.kind)
            .any(|kind| kind.covers(wanted))
    }
}

/// An operation where it is written.
#[derive(Clone, Debug)]
pub struct Operation {
    /// As it is written.
    pub name: Name,
    /// Which one it is, if it is one that exists.
    pub kind: Option<OperationKind>,
}

/// The text after `else`: what a client may see when the request is denied.
#[derive(Clone, Debug)]
pub struct Reason {
    /// The string.
    pub span: Span,
    /// What it says.
    pub text: Arc<str>,
}

/// `function name(parameters) { let …; return body; }`
#[derive(Clone, Debug)]
pub struct Function {
    /// All of it.
    pub span: Span,
    /// Its name.
    pub name: Name,
    /// Its parameters, in order.
    pub parameters: Vec<Name>,
    /// Its bindings, in order.
    pub lets: Vec<Arc<Let>>,
    /// What it returns.
    pub body: Expr,
    /// The documentation comment before it, without comment marks.
    pub docs: Option<Arc<str>>,
}

/// `let name = value;`
#[derive(Clone, Debug)]
pub struct Let {
    /// All of it.
    pub span: Span,
    /// What it binds.
    pub name: Name,
    /// What to.
    pub value: Expr,
}
