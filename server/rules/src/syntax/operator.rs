//! Operators and operations, with how they are written.

/// An operator before its operand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum UnaryOperator {
    /// `!`
    Not,
    /// `-`
    Negate,
}

impl UnaryOperator {
    /// As it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Not => "!",
            Self::Negate => "-",
        }
    }
}

/// An operator between two operands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BinaryOperator {
    /// `||`
    Or,
    /// `&&`
    And,
    /// `in`
    In,
    /// `==`
    Equal,
    /// `!=`
    NotEqual,
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
    /// `??`, in `andiron1`: the left value, or the right one if the left one is null or not there
    Coalesce,
    /// `+`
    Add,
    /// `-`
    Subtract,
    /// `*`
    Multiply,
    /// `/`
    Divide,
    /// `%`
    Remainder,
}

impl BinaryOperator {
    /// As it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Or => "||",
            Self::And => "&&",
            Self::In => "in",
            Self::Equal => "==",
            Self::NotEqual => "!=",
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
            Self::Coalesce => "??",
            Self::Add => "+",
            Self::Subtract => "-",
            Self::Multiply => "*",
            Self::Divide => "/",
            Self::Remainder => "%",
        }
    }

    /// How tightly it binds; more is tighter. `is` has [`IS_PRECEDENCE`] and `? :` [`TERNARY_PRECEDENCE`].
    ///
    /// `??` binds tighter than comparisons, so that `a.count ?? 0 < 5` means what it seems to.
    pub(crate) fn precedence(self) -> u8 {
        match self {
            Self::Or => 2,
            Self::And => 3,
            Self::In => 4,
            Self::Equal | Self::NotEqual => 6,
            Self::Less | Self::LessOrEqual | Self::Greater | Self::GreaterOrEqual => 7,
            Self::Coalesce => 8,
            Self::Add | Self::Subtract => 9,
            Self::Multiply | Self::Divide | Self::Remainder => 10,
        }
    }
}

/// How tightly `? :` binds.
pub(crate) const TERNARY_PRECEDENCE: u8 = 1;
/// How tightly `is` binds.
pub(crate) const IS_PRECEDENCE: u8 = 5;
/// What a request does, or a group of such operations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OperationKind {
    /// `get` and `list`
    Read,
    /// `create`, `update` and `delete`
    Write,
    /// Reading one document or file.
    Get,
    /// Queries, counts and listening to them.
    List,
    /// Writing what was not there.
    Create,
    /// Writing what was there.
    Update,
    /// Deleting.
    Delete,
}

impl OperationKind {
    /// All of them, groups first.
    pub const ALL: [Self; 7] = [
        Self::Read,
        Self::Write,
        Self::Get,
        Self::List,
        Self::Create,
        Self::Update,
        Self::Delete,
    ];

    /// As it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Get => "get",
            Self::List => "list",
            Self::Create => "create",
            Self::Update => "update",
            Self::Delete => "delete",
        }
    }

    /// The operation of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }

    /// Whether `wanted` is this operation or one of this group.
    pub fn covers(self, wanted: Self) -> bool {
        self == wanted
            || match self {
                Self::Read => matches!(wanted, Self::Get | Self::List),
                Self::Write => matches!(wanted, Self::Create | Self::Update | Self::Delete),
                Self::Get | Self::List | Self::Create | Self::Update | Self::Delete => false,
            }
    }
}
