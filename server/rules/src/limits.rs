//! What a rules program may cost, to accept and to judge by: one table, for the checker and the evaluator.
//!
//! [`Limits::default`] is what a server uses that nobody configured: it accepts everything that Firebase accepts, and
//! leaves room for loops over lists. [`Limits::firebase_strict`] is what Firebase enforces, observed where its
//! documentation differs, so that tests can show that a file would work there too. Exceeding a limit of the evaluation is
//! an error of the expression that exceeds it.
//!
//! Left out: the bounds that protect the process whatever is configured. They are constants where they matter:
//! [`SOURCE_BYTES_MAX`](crate::source::SOURCE_BYTES_MAX), [`NESTING_MAX`](crate::parser::NESTING_MAX),
//! [`TREE_HEIGHT_MAX`](crate::syntax::TREE_HEIGHT_MAX) and those of [`evaluate`](crate::evaluate).

/// The limits of one rules program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of all files of the program together.
    pub source_bytes_max: usize,
    /// Levels of `match` inside each other.
    pub nested_matches_max: usize,
    /// Segments of a pattern, those of the matches around it included.
    pub pattern_segments_max: usize,
    /// Captures of a pattern, those of the matches around it included.
    pub captures_max: usize,
    /// Parameters of a function.
    pub parameters_max: usize,
    /// `let`s of a function.
    pub lets_max: usize,
    /// Functions that call each other in a chain; the checker refuses longer ones, and a call beyond is an error.
    pub call_depth_max: u16,
    /// Operands of one operator in a chain without parentheses, as in `a && b && c`.
    pub operator_chain_max: usize,
    /// Expressions evaluated for one operation on one document or file.
    pub expressions_max: u32,
    /// Different documents looked up for an operation on one document, or for a query.
    pub lookups_max: usize,
    /// Different documents looked up for all operations of a commit or of a read of several documents together.
    pub lookups_batch_max: usize,
    /// Different documents looked up for an operation on a file.
    pub lookups_storage_max: usize,
    /// Bytes that values built, searched and compared while one operation is judged may have in sum.
    pub value_bytes_max: u64,
    /// Whether `get` of a document that does not exist is an error of its own; otherwise it is null, and asking that for
    /// its members is the error.
    pub get_missing_fails: bool,
}

impl Limits {
    /// What Firebase's hosted service enforces.
    pub fn firebase_strict() -> Self {
        Self {
            source_bytes_max: 256 << 10,
            nested_matches_max: 10,
            pattern_segments_max: 100,
            captures_max: 20,
            parameters_max: 7,
            lets_max: 11,
            call_depth_max: 21,
            operator_chain_max: 98,
            expressions_max: 1000,
            lookups_max: 10,
            lookups_batch_max: 20,
            lookups_storage_max: 2,
            value_bytes_max: 16 << 20,
            get_missing_fails: true,
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            source_bytes_max: 1 << 20,
            operator_chain_max: 200,
            expressions_max: 10_000,
            lookups_batch_max: 100,
            lookups_storage_max: 10,
            value_bytes_max: 64 << 20,
            get_missing_fails: false,
            ..Self::firebase_strict()
        }
    }
}
