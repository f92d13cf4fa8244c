//! The limits of the protocol, each with its unit. Servers may set lower ones where their documentation says so.

/// Bytes of one document's data, as value JSON without insignificant whitespace.
pub const DOCUMENT_BYTES_MAX: usize = 1024 * 1024;
/// Levels of maps and arrays inside a document's data; the data itself is level 0.
pub const VALUE_DEPTH_MAX: usize = 20;
/// Bytes of UTF-8 of one field name.
pub const FIELD_NAME_BYTES_MAX: usize = 1500;
/// Segments of one field path.
pub const FIELD_PATH_SEGMENTS_MAX: usize = VALUE_DEPTH_MAX + 1;
/// Bytes of UTF-8 of one document or collection id.
pub const ID_BYTES_MAX: usize = 1500;
/// Bytes of UTF-8 of a whole document or collection path.
pub const PATH_BYTES_MAX: usize = 6 * 1024;
/// Segments of a document or collection path.
pub const PATH_SEGMENTS_MAX: usize = 100;
/// Encoded bytes after which an indexed value is cut.
pub const INDEXED_VALUE_BYTES_MAX: usize = 1500;
/// Writes in one commit.
pub const COMMIT_WRITES_MAX: usize = 500;
/// Transforms in one write.
pub const WRITE_TRANSFORMS_MAX: usize = 500;
/// Entries in `reads` of one commit.
pub const COMMIT_READS_MAX: usize = 1000;
/// Entries in `queries` of one commit.
pub const COMMIT_QUERIES_MAX: usize = 20;
/// Bytes of the JSON body of one commit.
pub const COMMIT_BYTES_MAX: usize = 10 * 1024 * 1024;
/// Paths in one batch-get.
pub const BATCH_GET_PATHS_MAX: usize = 1000;
/// Documents in one page of a query.
pub const PAGE_DOCUMENTS_MAX: u32 = 1000;
/// Documents in one page of a query that names no limit.
pub const PAGE_DOCUMENTS_DEFAULT: u32 = 100;
/// Documents that a query may skip with `offset`.
pub const OFFSET_MAX: u32 = 1_000_000;
/// Comparisons and connectives in one filter.
pub const FILTER_NODES_MAX: usize = 200;
/// Levels of `and`, `or` and `not` in one filter.
pub const FILTER_DEPTH_MAX: usize = 20;
/// Values in the list of `in`, `not-in` or `array-contains-any`.
pub const FILTER_LIST_VALUES_MAX: usize = 100;
/// Values in all such lists of one filter together.
pub const FILTER_VALUES_MAX: usize = 1000;
/// Bytes of UTF-8 of a filter written as an expression.
pub const FILTER_EXPRESSION_BYTES_MAX: usize = 32 * 1024;
/// Levels of parentheses, negations, lists and calls in a filter written as an expression.
pub const FILTER_EXPRESSION_DEPTH_MAX: usize = 64;
/// Dimensions of a vector (Firestore's limit).
pub const VECTOR_DIMENSIONS_MAX: usize = 2048;
/// Fields in `orderBy`.
pub const ORDER_BY_FIELDS_MAX: usize = 32;
/// Fields in `select`.
pub const SELECT_FIELDS_MAX: usize = 100;
/// Aggregates in one aggregation.
pub const AGGREGATES_MAX: usize = 20;
/// Characters of an `Idempotency-Key`.
pub const IDEMPOTENCY_KEY_CHARS_MAX: usize = 64;
