//! The tree of a test file.

use std::sync::Arc;

use andiron_protocol::Direction;

use crate::source::{FileId, Span};
use crate::syntax::{Expr, Let};

/// A whole test file.
#[derive(Clone, Debug)]
pub(crate) struct TestFile {
    pub(crate) id: FileId,
    /// The rules files that `tests "…"` names, in order.
    pub(crate) targets: Vec<Text>,
    /// Everything after them, in order.
    pub(crate) statements: Vec<Statement>,
    pub(crate) span: Span,
}

/// A string where it is written.
#[derive(Clone, Debug)]
pub(crate) struct Text {
    pub(crate) text: Arc<str>,
    pub(crate) span: Span,
}

/// What stands at the top of a test file, in a test, or in the braces of `as` and `at`.
#[derive(Clone, Debug)]
pub(crate) enum Statement {
    /// `let name = value;`
    Let(Arc<Let>),
    /// `given { … }`
    Given(Vec<Given>),
    /// `as caller { … }`
    As { caller: Caller, body: Vec<Statement> },
    /// `at time { … }`
    At { time: Expr, body: Vec<Statement> },
    /// `test "name" { … }`
    Test { name: Text, body: Vec<Statement> },
    /// `allow …`, `deny …`
    Expectation(Box<Expectation>),
}

/// A document or file that is there.
#[derive(Clone, Debug)]
pub(crate) struct Given {
    pub(crate) subject: Subject,
    /// What is in it; `None` if it is `absent`.
    pub(crate) data: Option<Expr>,
}

/// What a subject is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SubjectKind {
    /// A document, or the collection that a list is of.
    Document,
    /// `file`
    File,
    /// `account`
    Account,
}

impl SubjectKind {
    /// The kind that a word before a path names.
    pub(crate) fn from_word(word: &str) -> Option<Self> {
        match word {
            "file" => Some(Self::File),
            "account" => Some(Self::Account),
            _ => None,
        }
    }
}

/// A document, a collection, a file or an account.
#[derive(Clone, Debug)]
pub(crate) struct Subject {
    pub(crate) span: Span,
    pub(crate) kind: SubjectKind,
    /// A path literal.
    pub(crate) path: Expr,
}

/// Who asks.
#[derive(Clone, Debug)]
pub(crate) enum Caller {
    /// `nobody`: not signed in.
    Nobody,
    /// `admin`: passes every rule.
    Admin,
    /// A uid, or a map with `uid` and `token`.
    User(Expr),
}

/// `allow action details;`, `deny action details;`
#[derive(Clone, Debug)]
pub(crate) struct Expectation {
    pub(crate) span: Span,
    pub(crate) allows: bool,
    pub(crate) action: Action,
    pub(crate) details: Vec<Detail>,
}

/// What is done.
#[derive(Clone, Debug)]
pub(crate) enum Action {
    Get(Subject),
    List(List),
    Write(Write),
    /// `commit { … }`
    Commit(Vec<Write>),
}

/// `list …`
#[derive(Clone, Debug)]
pub(crate) struct List {
    pub(crate) span: Span,
    pub(crate) source: ListSource,
    pub(crate) is_strict: bool,
    pub(crate) filter: Option<Expr>,
    pub(crate) order: Vec<(FieldText, Direction)>,
    pub(crate) limit: Option<u32>,
    pub(crate) offset: Option<u32>,
    /// The documents that come back.
    pub(crate) gives: Option<Vec<Expr>>,
}

/// The path of a field, as it is written.
#[derive(Clone, Debug)]
pub(crate) struct FieldText {
    pub(crate) text: String,
    pub(crate) span: Span,
}

#[derive(Clone, Debug)]
pub(crate) enum ListSource {
    /// A collection, or files below a name.
    Subject(Subject),
    /// `group name`: every collection of that name.
    Group(Text),
}

/// A write.
#[derive(Clone, Debug)]
pub(crate) struct Write {
    pub(crate) span: Span,
    pub(crate) verb: Verb,
    pub(crate) subject: Subject,
    pub(crate) data: Option<Expr>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verb {
    /// Writes what is not there.
    Create,
    /// Writes it whole, there or not.
    Set,
    /// Writes some fields, there or not; maps are merged.
    Merge,
    /// Writes some fields of what is there.
    Update,
    Delete,
}

impl Verb {
    pub(crate) const ALL: [Self; 5] = [Self::Create, Self::Set, Self::Merge, Self::Update, Self::Delete];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Set => "set",
            Self::Merge => "merge",
            Self::Update => "update",
            Self::Delete => "delete",
        }
    }

    pub(crate) fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|verb| verb.as_str() == name)
    }
}

/// What an expectation says besides.
#[derive(Clone, Debug)]
pub(crate) enum Detail {
    /// `because "text"`: what the client is told.
    Reason(Text),
    /// `because field "name"`: the field that is not of its type.
    Field(Text),
    /// `by line 12`: the `allow` that grants, or one that was asked and did not.
    Line(u32),
}
