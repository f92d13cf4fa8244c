//! Why an expression has no value.
//!
//! The texts are those that the hosted service and its emulator use, where these are known, so that what people find
//! about them elsewhere applies; hence their capitals and full stops.

use std::fmt;

use crate::source::Span;

/// What went wrong. `Display` gives the text.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// A map or an object of the request has no such key.
    UndefinedProperty(Box<str>),
    /// Something was asked of null.
    Null,
    /// An integer was divided by zero.
    DivideByZero,
    /// An integer left its 64 bits, or a float that has no integer was to become one.
    Overflow,
    /// An index that the value does not have; for the end of a slice, the index before it.
    IndexOutOfBound {
        /// The index.
        index: i64,
        /// How many elements there are.
        size: usize,
    },
    /// No function or method of that name takes these arguments.
    FunctionNotFound(Box<str>),
    /// No variable of that name is in scope.
    VariableNotFound(Box<str>),
    /// No type of that name exists.
    TypeNotFound(Box<str>),
    /// An operation got values of types that it does not take.
    Unsupported {
        /// The operation with the types that it got.
        received: Box<str>,
        /// The operation with the types that it takes.
        expected: Box<str>,
    },
    /// A value of the right type that makes no sense to the operation.
    InvalidArgument(Box<str>),
    /// A regular expression that RE2 does not have, or that is too large.
    InvalidPattern(Box<str>),
    /// `get` of a document that does not exist, where that is an error.
    MissingDocument(Box<str>),
    /// [`Limits::expressions_max`](crate::Limits::expressions_max).
    ExpressionsMax(u32),
    /// [`Limits::call_depth_max`](crate::Limits::call_depth_max).
    CallDepthMax(u16),
    /// A limit on different documents looked up.
    LookupsMax(usize),
    /// [`Limits::value_bytes_max`](crate::Limits::value_bytes_max).
    ValueBytesMax(u64),
    /// Expressions, or values in each other, too deep to go on.
    DepthMax(u16),
    /// The path matches the patterns in more ways than are tried.
    MatchingStepsMax(u32),
    /// The text made no sense to the parser.
    Syntax,
}

impl Fault {
    /// Operands of the wrong types.
    pub(crate) fn unsupported(received: impl Into<String>, expected: impl Into<String>) -> Self {
        Self::Unsupported {
            received: received.into().into(),
            expected: expected.into().into(),
        }
    }

    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::InvalidArgument(message.into().into())
    }

    /// Whether it says that a value is not there: what `??` replaces.
    pub fn is_absence(&self) -> bool {
        matches!(
            self,
            Self::UndefinedProperty(_) | Self::Null | Self::MissingDocument(_)
        )
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UndefinedProperty(name) => write!(formatter, "Property {name} is undefined on object."),
            Self::Null => formatter.write_str("Null value error."),
            Self::DivideByZero => formatter.write_str("Divide by zero error."),
            Self::Overflow => formatter.write_str("Integer overflow error."),
            Self::IndexOutOfBound { index, size } => {
                write!(
                    formatter,
                    "Index out of bound error. Index: [{index}] , size: [{size}]."
                )
            }
            Self::FunctionNotFound(name) => write!(formatter, "Function not found error: Name: [{name}]."),
            Self::VariableNotFound(name) => write!(formatter, "Variable not found error: Name: [{name}]."),
            Self::TypeNotFound(name) => write!(formatter, "Type not found error: Name: [{name}]."),
            Self::Unsupported { received, expected } => {
                write!(
                    formatter,
                    "Unsupported operation error. Received: {received}. Expected: {expected}."
                )
            }
            Self::InvalidArgument(message) => write!(formatter, "Invalid argument error: {message}."),
            Self::InvalidPattern(message) => {
                write!(formatter, "Invalid regular expression error: {message}.")
            }
            Self::MissingDocument(path) => {
                write!(formatter, "Null value error. The document {path} does not exist.")
            }
            Self::ExpressionsMax(limit) => write!(
                formatter,
                "Unable to evaluate the expression as the maximum of {limit} expressions to evaluate has been reached."
            ),
            Self::CallDepthMax(limit) => {
                write!(
                    formatter,
                    "The maximum of {limit} functions calling each other has been reached."
                )
            }
            Self::LookupsMax(limit) => {
                write!(
                    formatter,
                    "The maximum of {limit} document access calls has been reached."
                )
            }
            Self::ValueBytesMax(limit) => {
                write!(
                    formatter,
                    "Values of more than {limit} bytes; maximum memory usage reached."
                )
            }
            Self::DepthMax(limit) => write!(
                formatter,
                "The maximum of {limit} levels of expressions or values has been reached."
            ),
            Self::MatchingStepsMax(limit) => write!(
                formatter,
                "The path matches the patterns in too many ways; the maximum of {limit} steps has been reached."
            ),
            Self::Syntax => formatter.write_str("The expression has a syntax error."),
        }
    }
}

/// A fault and the expression that it arose in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EvaluationError {
    /// What went wrong.
    pub fault: Fault,
    /// The expression.
    pub span: Span,
}

impl fmt::Display for EvaluationError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.fault.fmt(formatter)
    }
}

impl std::error::Error for EvaluationError {}
