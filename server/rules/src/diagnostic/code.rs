//! The kinds of problems, in one table: how programs call them, how grave they are, and what they mean.

/// How grave a problem is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Nothing is wrong, but it is worth knowing.
    Note,
    /// The program works, but perhaps not as meant.
    Warning,
    /// The program is refused.
    Error,
}

impl Severity {
    /// As it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

macro_rules! codes {
    ($($code:ident = $name:literal, $severity:ident, $summary:literal;)*) => {
        /// A kind of problem.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Code {
            $(#[doc = $summary] $code,)*
        }

        impl Code {
            /// All of them, in the order of the manual.
            pub const ALL: &'static [Self] = &[$(Self::$code,)*];

            /// How programs and the manual call it.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$code => $name,)* }
            }

            /// How grave it usually is. In `andiron1` files what is not known is an error.
            pub fn severity(self) -> Severity {
                match self { $(Self::$code => Severity::$severity,)* }
            }

            /// One sentence on what it means.
            pub fn summary(self) -> &'static str {
                match self { $(Self::$code => $summary,)* }
            }
        }
    };
}

codes! {
    Syntax = "syntax", Error, "The text does not follow the grammar.";
    Version = "version", Error, "The version is unknown, or the file uses what its version does not have.";
    Import = "import", Error, "An import names no file that can be imported.";
    UnknownService = "unknown-service", Error, "There are the services `cloud.firestore`, `firebase.storage` and `andiron.auth`.";
    UnknownOperation = "unknown-operation", Error, "There are the operations get, list, create, update, delete, read and write.";
    DuplicateName = "duplicate-name", Error, "Two declarations of one kind and name stand in one scope.";
    Recursion = "recursion", Error, "A function calls itself, directly or through others, or a type contains itself without end.";
    Limit = "limit", Error, "The file exceeds a limit on its size or depth.";
    GlobPlacement = "glob-placement", Error, "A pattern has more than one `{name=**}`, or in version 1 one that is not last.";
    InvalidPattern = "invalid-pattern", Error, "The regular expression of `matches`, `split` or `replace` is not one that RE2 knows.";
    InvalidLiteral = "invalid-literal", Error, "A number does not fit, or a path segment is not text.";
    UnknownName = "unknown-name", Warning, "No variable, function or type of that name is in scope.";
    UnknownMember = "unknown-member", Warning, "The value has no property or method of that name.";
    WrongArity = "wrong-arity", Warning, "A call has too many or too few arguments.";
    TypeMismatch = "type-mismatch", Warning, "An operation gets values of types that it does not take; it always fails.";
    UnusedFunction = "unused-function", Warning, "A function is never called.";
    UnusedVariable = "unused-variable", Warning, "A variable or parameter is never read.";
    UnusedType = "unused-type", Warning, "A declared type is never used.";
    IgnoredService = "ignored-service", Warning, "The services of an imported file are not in force.";
    NeverGrants = "never-grants", Warning, "A condition is always false or always fails.";
    Unreachable = "unreachable", Warning, "A pattern or an operation that no request can reach.";
    PublicAccess = "public-access", Warning, "Everybody on the internet may do this, without signing in.";
    ReopenedPath = "reopened-path", Warning, "A glob grants what a nearer match seems to forbid; every matching allow counts.";
    UnaryBeforeIn = "unary-before-in", Warning, "`!a in b` means `(!a) in b`.";
    InBeforeEqual = "in-before-equal", Warning, "`a in b == c` means `a in (b == c)`.";
    EqualBeforeIs = "equal-before-is", Warning, "`a == b is t` means `(a == b) is t`.";
    LengthProperty = "length-property", Warning, "There is no `.length`; sizes are asked for with `.size()`.";
    ResourceOnDelete = "resource-on-delete", Warning, "A delete has no `request.resource`; reading it fails.";
    ResourceOnCreate = "resource-on-create", Warning, "Before a create there is no document; reading `resource.data` fails.";
    ResourceOnRead = "resource-on-read", Warning, "A read has no `request.resource`; reading it fails.";
    QueryOffList = "query-off-list", Warning, "`request.query` exists for `list` alone.";
    ListCapture = "list-capture", Warning, "A list does not bind the capture of the document's id, so a look-up through it fails.";
    OwnerOfMissing = "owner-of-missing", Note, "Reading a document that does not exist fails, since it has no owner field.";
    OpenCreate = "open-create", Note, "A create does not say which fields it accepts.";
    LookupPath = "lookup-path", Warning, "A look-up's path starts with `/databases/…/documents`.";
    HasMethodOnMap = "has-method-on-map", Warning, "`hasAll`, `hasAny` and `hasOnly` are methods of lists and sets.";
    ListAddition = "list-addition", Warning, "Lists are joined with `concat`.";
    ConstantCondition = "constant-condition", Warning, "One side of an operator decides it always.";
    TestFile = "test-file", Error, "A test says something that cannot be judged.";
    TooManyDiagnostics = "too-many-diagnostics", Warning, "There are more problems than are shown.";
}

impl Code {
    /// The code of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|code| code.as_str() == name)
    }

    /// Where the manual explains it.
    pub fn docs(self) -> String {
        format!("docs/rules.md#{}", self.as_str())
    }
}
