//! The bodies of requests and answers, as the document describes them.
//!
//! These types are never made: bodies are read and written by `andiron-protocol`, which knows nothing of OpenAPI. What
//! holds the two together are tests that send every example of the document and hold every answer against its schema.
#![expect(dead_code, reason = "descriptions, not values")]

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde_json::json;
use utoipa::openapi::schema::{ArrayBuilder, ArrayItems, ObjectBuilder, OneOfBuilder, SchemaType};
use utoipa::openapi::{Ref, RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

/// A value, in value JSON. Not called `Value`, which the macros take for whatever JSON there is.
pub(crate) struct ValueJson;

impl ToSchema for ValueJson {
    fn name() -> Cow<'static, str> {
        Cow::Borrowed("Value")
    }
}

impl PartialSchema for ValueJson {
    fn schema() -> RefOr<Schema> {
        let description = "A value: plain JSON for null, booleans, strings, arrays, objects and numbers, and an object of \
             one tagged key for the rest. A number without fraction or exponent that fits in 64 bits is an integer, any \
             other a double.\n\n\
             - `{\"$time\":\"2026-11-22T05:40:35.123456Z\"}`: a timestamp, in microseconds\n\
             - `{\"$bytes\":\"aGVsbG8=\"}`: bytes, in base64\n\
             - `{\"$ref\":\"users/alice\"}`: a reference to a document\n\
             - `{\"$geo\":[48.1,11.5]}`: a place, latitude and longitude\n\
             - `{\"$vector\":[0.1,0.2]}`: a vector of doubles\n\
             - `{\"$double\":\"NaN\"}`: one of `NaN`, `Infinity`, `-Infinity`, `-0`\n\
             - `{\"$int\":\"9223372036854775807\"}`: an integer beyond 53 bits\n\
             - `{\"$map\":{\"$price\":1}}`: an object with a key that begins with `$`";
        any(
            description,
            [
                json!("text"),
                json!(1),
                json!({"$time": "2026-11-22T05:40:35.123456Z"}),
            ],
        )
    }
}

/// The fields of a document.
pub(crate) struct Data;

impl ToSchema for Data {
    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        schemas.push((ValueJson::name().into_owned(), ValueJson::schema()));
    }
}

impl PartialSchema for Data {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .description(Some(
                "The fields of a document, at most 1 MiB and 20 levels deep.",
            ))
            .additional_properties(Some(reference::<ValueJson>()))
            .examples([json!({"title": "Hello", "rating": 4, "tags": ["rust", "web"]})])
            .into()
    }
}

/// The fields that a write gives.
pub(crate) struct WriteData;

impl ToSchema for WriteData {
    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        schemas.push((ValueJson::name().into_owned(), ValueJson::schema()));
    }
}

impl PartialSchema for WriteData {
    fn schema() -> RefOr<Schema> {
        let description = "The fields that a write gives. Where a value would stand there may be a transform, which \
             depends on what stands there now:\n\n\
             - `{\"$now\":true}`: the time of the request\n\
             - `{\"$inc\":2}`: adds; a field that is no number is replaced\n\
             - `{\"$min\":2}`, `{\"$max\":2}`: the smaller or larger of the two numbers\n\
             - `{\"$union\":[\"a\"]}`, `{\"$remove\":[\"a\"]}`: adds to and takes from an array\n\
             - `{\"$delete\":true}`: removes the field; only in `merge` and `update`";
        ObjectBuilder::new()
            .description(Some(description))
            .additional_properties(Some(reference::<ValueJson>()))
            .examples([json!({"title": "Hello", "views": {"$inc": 1}})])
            .into()
    }
}

/// A filter.
pub(crate) struct Filter;

impl ToSchema for Filter {}

impl PartialSchema for Filter {
    fn schema() -> RefOr<Schema> {
        let description = "`[field, operator, value]`, `[\"and\", filter…]`, `[\"or\", filter…]` or `[\"not\", filter]`. The \
             operators are `==` `!=` `<` `<=` `>` `>=` `in` `not-in` `array-contains` `array-contains-any` `exists` \
             `starts-with`. The field `__id__` is the document's id.";
        array(
            description,
            [json!([
                "and",
                ["published", "==", true],
                ["or", ["tags", "array-contains", "rust"], ["rating", ">=", 4]]
            ])],
        )
    }
}

/// One part of an order.
pub(crate) struct Order;

impl ToSchema for Order {}

impl PartialSchema for Order {
    fn schema() -> RefOr<Schema> {
        array(
            "A field, and `asc` (the default) or `desc`. Documents without the field are left out.",
            [json!(["rating", "desc"])],
        )
    }
}

/// One figure.
pub(crate) struct Aggregate;

impl ToSchema for Aggregate {}

impl PartialSchema for Aggregate {
    fn schema() -> RefOr<Schema> {
        array(
            "`[\"count\"]`, `[\"sum\", field]`, `[\"avg\", field]`, `[\"min\", field]` or `[\"max\", field]`.",
            [json!(["sum", "rating"])],
        )
    }
}

/// Where a query looks.
pub(crate) struct Source;

impl ToSchema for Source {}

impl PartialSchema for Source {
    fn schema() -> RefOr<Schema> {
        any(
            "The path of a collection, or `{\"group\": name}` for every collection of that name, wherever it stands.",
            [json!("posts"), json!({"group": "comments"})],
        )
    }
}

pub(super) fn any<const N: usize>(description: &str, examples: [serde_json::Value; N]) -> RefOr<Schema> {
    ObjectBuilder::new()
        .schema_type(SchemaType::AnyValue)
        .description(Some(description))
        .examples(examples)
        .into()
}

fn array<const N: usize>(description: &str, examples: [serde_json::Value; N]) -> RefOr<Schema> {
    ArrayBuilder::new()
        .items(ArrayItems::RefOrSchema(Box::new(
            ObjectBuilder::new().schema_type(SchemaType::AnyValue).into(),
        )))
        .description(Some(description))
        .examples(examples)
        .into()
}

fn reference<T: ToSchema>() -> RefOr<Schema> {
    RefOr::Ref(Ref::from_schema_name(T::name()))
}

/// A document.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(crate) struct Document {
    /// The path: collection and id, segments joined by `/`.
    #[schema(example = "posts/p1")]
    path: String,
    /// The last segment of the path.
    #[schema(example = "p1")]
    id: String,
    /// The version of the commit that last wrote it; in quotes, the `ETag`.
    #[schema(example = "1795326035123456", pattern = "^[0-9]{1,19}$")]
    version: String,
    /// When it was created.
    #[schema(example = "2026-11-22T05:40:35.123456Z", format = "date-time")]
    create_time: String,
    /// When it was last written.
    #[schema(example = "2026-11-22T05:40:35.123456Z", format = "date-time")]
    update_time: String,
    data: Data,
}

/// What reading a path gives: a document, or a page of a collection.
pub(crate) struct DocumentOrPage;

impl ToSchema for DocumentOrPage {
    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        for (name, schema) in [
            (Document::name(), Document::schema()),
            (Page::name(), Page::schema()),
        ] {
            schemas.push((name.into_owned(), schema));
        }
        Document::schemas(schemas);
        Page::schemas(schemas);
    }
}

impl PartialSchema for DocumentOrPage {
    fn schema() -> RefOr<Schema> {
        OneOfBuilder::new()
            .item(Ref::from_schema_name(Document::name()))
            .item(Ref::from_schema_name(Page::name()))
            .description(Some("A document, or a page of a collection."))
            .into()
    }
}

/// What every error is answered with, as `application/problem+json` (RFC 9457). Programs branch on `code`.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(crate) struct Problem {
    /// Always `about:blank`.
    #[schema(example = "about:blank")]
    r#type: String,
    /// The code in words.
    #[schema(example = "Not found")]
    title: String,
    /// The HTTP status.
    #[schema(example = 404)]
    status: u16,
    code: ErrorCode,
    /// What happened, for people.
    #[schema(example = "`posts/p1` does not exist")]
    detail: String,
    /// The request's id, which the server's log has too.
    #[schema(example = "5f0c9ee3b81d24a7")]
    request_id: String,
    /// The field, parameter or header that is wrong.
    #[schema(nullable = false)]
    field: Option<String>,
    /// The line of the body or expression, from 1.
    #[schema(nullable = false)]
    line: Option<u32>,
    /// The column in that line, from 1.
    #[schema(nullable = false)]
    column: Option<u32>,
    /// The document that it is about.
    #[schema(nullable = false, example = "posts/p1")]
    path: Option<String>,
    /// Seconds to wait before another attempt.
    #[schema(nullable = false)]
    retry_after: Option<u32>,
}

/// What an error is. Statuses: 400 `invalid-argument`, `failed-precondition` (412 for a failed `If-Match` or
/// `If-None-Match`) and `out-of-range`; 401, 403, 404; 409 `already-exists` and `aborted` (a conflict: read again and
/// retry); 413, 429, 499; 500, 501, 503, 504.
#[derive(ToSchema)]
#[schema(rename_all = "kebab-case")]
pub(crate) enum ErrorCode {
    InvalidArgument,
    FailedPrecondition,
    OutOfRange,
    Unauthenticated,
    PermissionDenied,
    NotFound,
    AlreadyExists,
    Aborted,
    PayloadTooLarge,
    ResourceExhausted,
    Cancelled,
    Internal,
    Unimplemented,
    Unavailable,
    DeadlineExceeded,
}

/// A query. Any mix of filters and orders runs; indexes, which come by themselves, only make it fast.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(crate) struct Query {
    from: Source,
    /// Which documents; all of them without it.
    #[schema(nullable = false)]
    r#where: Option<Filter>,
    /// The order. Documents that are equal in it stand in the order of their paths.
    #[schema(nullable = false)]
    order_by: Option<Vec<Order>>,
    /// Values in the order of `orderBy`, and perhaps a document's path: where the result begins.
    #[schema(nullable = false)]
    start_at: Option<Vec<ValueJson>>,
    /// The same without what stands there.
    #[schema(nullable = false)]
    start_after: Option<Vec<ValueJson>>,
    /// Where the result ends.
    #[schema(nullable = false)]
    end_at: Option<Vec<ValueJson>>,
    /// The same without what stands there.
    #[schema(nullable = false)]
    end_before: Option<Vec<ValueJson>>,
    /// Documents to skip.
    #[schema(nullable = false, maximum = 1_000_000)]
    offset: Option<u32>,
    /// Documents at most: 100 by default. A page has at most 1,000; a larger limit is met in several pages.
    #[schema(nullable = false)]
    limit: Option<u32>,
    /// Whether `limit` counts from the end.
    #[schema(nullable = false)]
    limit_to_last: Option<bool>,
    /// The fields that the documents have in the answer; all of them without it.
    #[schema(nullable = false, example = json!(["title", "author.name"]))]
    select: Option<Vec<String>>,
    /// The `cursor` of a page: continues behind it.
    #[schema(nullable = false)]
    cursor: Option<String>,
    /// Refuse the query unless every document that it could return may be read.
    #[schema(nullable = false)]
    strict: Option<bool>,
    /// Reserved: null.
    search: Option<String>,
}

/// A page of a result.
#[derive(ToSchema)]
pub(crate) struct Page {
    /// The version at which the query ran.
    #[schema(example = "1795326035123456")]
    version: String,
    documents: Vec<Document>,
    /// Continues behind this page; null if there is nothing more.
    #[schema(required)]
    cursor: Option<String>,
    #[schema(nullable = false)]
    plan: Option<Plan>,
}

/// How a query was answered, with `explain=true`.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(crate) struct Plan {
    /// The indexes used, joined by ` + ` where there are several.
    #[schema(required, example = "posts: published, rating desc")]
    index: Option<String>,
    /// What was gone over: `index`, `collection`, `group` or `nothing`.
    #[schema(example = "index")]
    scan: String,
    /// The conditions that narrowed each scan down.
    #[schema(example = json!([["published == true", "rating >= 4"]]))]
    ranges: Vec<Vec<String>>,
    /// `forward` or `backward`.
    #[schema(example = "forward")]
    direction: String,
    /// Where the result's order comes from: `scan`, `merge`, `sort`, or `any`.
    #[schema(example = "scan")]
    order: String,
    /// Whether documents had to be looked into to know whether they belong to the result.
    filtered: bool,
    /// Index entries read.
    entries_read: u64,
    /// Documents read.
    documents_read: u64,
    /// Documents returned.
    documents_returned: u64,
    /// Microseconds from plan to end.
    time_micros: u64,
    /// What would help.
    #[schema(required)]
    advice: Option<String>,
}

/// Figures to compute over all documents of a query.
#[derive(ToSchema)]
pub(crate) struct AggregateBody {
    query: Query,
    /// 1 to 20 figures, each under a name of your own.
    aggregates: BTreeMap<String, Aggregate>,
}

/// Figures.
#[derive(ToSchema)]
pub(crate) struct Aggregates {
    /// The version at which they were computed.
    #[schema(example = "1795326035123456")]
    version: String,
    /// The figures by their names.
    aggregates: BTreeMap<String, ValueJson>,
    #[schema(nullable = false)]
    plan: Option<Plan>,
}

/// Documents to read together.
#[derive(ToSchema)]
pub(crate) struct BatchGetBody {
    /// At most 1,000 paths of documents.
    paths: Vec<String>,
}

/// Documents of one version.
#[derive(ToSchema)]
pub(crate) struct BatchGetAnswer {
    /// The version that they were read at.
    #[schema(example = "1795326035123456")]
    version: String,
    /// In the order of the paths; null where nothing is.
    documents: Vec<Option<Document>>,
}

/// Writes that happen together or not at all.
#[derive(ToSchema)]
pub(crate) struct CommitBody {
    /// What was read: the commit is `aborted` if any of it has changed. At most 1,000.
    #[schema(nullable = false)]
    reads: Option<Vec<Read>>,
    /// Queries that were run: the commit is `aborted` if the result of one has changed. At most 20.
    #[schema(nullable = false)]
    queries: Option<Vec<QueryRead>>,
    /// At most 500, applied in order.
    #[schema(nullable = false)]
    writes: Option<Vec<Write>>,
}

/// A document as it was read.
#[derive(ToSchema)]
pub(crate) struct Read {
    #[schema(example = "stock/42")]
    path: String,
    /// Its version; null if it was absent.
    #[schema(required, example = "1795326035123456")]
    version: Option<String>,
}

/// A query as it was answered.
#[derive(ToSchema)]
pub(crate) struct QueryRead {
    query: Query,
    /// The version of the answer.
    #[schema(example = "1795326035123456")]
    version: String,
}

/// One write: exactly one of `create`, `set`, `merge`, `update`, `delete` and `verify`, which names the document.
#[derive(ToSchema)]
pub(crate) struct Write {
    /// Fails with `already-exists` if the document exists.
    #[schema(nullable = false)]
    create: Option<String>,
    /// Creates or replaces.
    #[schema(nullable = false)]
    set: Option<String>,
    /// Sets the given fields, maps merged deeply; creates if missing.
    #[schema(nullable = false)]
    merge: Option<String>,
    /// Sets fields by their paths, as in `{"author.name": "A"}`; fails with `not-found` if the document is missing.
    #[schema(nullable = false)]
    update: Option<String>,
    /// Deletes, if it is there.
    #[schema(nullable = false)]
    delete: Option<String>,
    /// Writes nothing: only `if` counts.
    #[schema(nullable = false)]
    verify: Option<String>,
    /// For all but `delete` and `verify`.
    #[schema(nullable = false)]
    data: Option<WriteData>,
    #[schema(nullable = false)]
    r#if: Option<Condition>,
}

/// What must hold before the write: one of the two.
#[derive(ToSchema)]
pub(crate) struct Condition {
    /// Whether the document exists.
    #[schema(nullable = false)]
    exists: Option<bool>,
    /// The version that it is at.
    #[schema(nullable = false)]
    version: Option<String>,
}

/// What a commit did.
#[derive(ToSchema)]
pub(crate) struct Committed {
    /// The version of the commit, which every document that it wrote has.
    #[schema(example = "1795326035123456")]
    version: String,
    /// In the order of the writes.
    writes: Vec<WriteOutcome>,
}

/// What one write did.
#[derive(ToSchema)]
pub(crate) struct WriteOutcome {
    #[schema(example = "posts/p1")]
    path: String,
    /// The version of the commit.
    version: String,
    /// What the transforms gave that depend on the server or the field, by field path.
    results: BTreeMap<String, ValueJson>,
}

/// Names of collections.
#[derive(ToSchema)]
pub(crate) struct Collections {
    /// Sorted. With `all=true` whole paths.
    #[schema(example = json!(["posts", "users"]))]
    collections: Vec<String>,
    /// With `all=true`: continues behind these; null if there are no more.
    cursor: Option<String>,
}

/// A service key to be made.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(crate) struct NewKey {
    /// 1 to 64 letters, digits, `.`, `_` and `-`, unlike every other key's.
    #[schema(example = "importer")]
    name: String,
    /// What it may do; everything if not given. A scope is `admin:*`, `documents:read`, `documents:write`, `changes:read`,
    /// `files:read`, `files:write`, `accounts:read`, `accounts:write`, `claims:write`, `tokens:mint`, `accounts:impersonate`, `rules:read`,
    /// `rules:write`, `audit:read` or `server:read`. One of documents may name a collection and what is below it, as in
    /// `documents:read:posts`, one of files a bucket.
    #[schema(nullable = false, example = json!(["documents:write:posts"]))]
    scopes: Option<Vec<String>>,
    /// When it ends; never if not given.
    #[schema(nullable = false, example = "2027-11-22T00:00:00Z", format = "date-time")]
    expires_at: Option<String>,
}

/// A service key.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(crate) struct Key {
    /// The id, which also stands in the key.
    #[schema(example = "01kb0x6d1m8vq3z5y7r9t2w4ha")]
    id: String,
    #[schema(example = "importer")]
    name: String,
    #[schema(example = "2026-11-22T05:40:35.123456Z", format = "date-time")]
    create_time: String,
    /// What it may do, by name; empty: everything.
    #[schema(example = json!(["documents:write:posts"]))]
    scopes: Vec<String>,
    /// When it ends, if ever.
    #[schema(example = "2027-11-22T00:00:00.000000Z", format = "date-time")]
    expires_at: Option<String>,
    /// When it was last used, if ever.
    #[schema(example = "2026-11-22T06:00:00.000000Z", format = "date-time")]
    last_use_time: Option<String>,
    /// The key itself, only in the answer to its creation: it is stored nowhere.
    #[schema(nullable = false, example = "ak_01kb0x6d1m8vq3z5y7r9t2w4ha_…")]
    key: Option<String>,
}

/// The service keys in force.
#[derive(ToSchema)]
pub(crate) struct Keys {
    /// Oldest first.
    keys: Vec<Key>,
}

/// The indexes.
#[derive(ToSchema)]
pub(crate) struct Indexes {
    /// By collection.
    indexes: Vec<Index>,
}

/// An index.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(crate) struct Index {
    /// Its number, never used again for another.
    id: u64,
    /// The name of the collections.
    #[schema(example = "posts")]
    collection: String,
    /// `collection`, for queries of one collection, or `group`, for those of all collections of the name.
    #[schema(example = "collection")]
    scope: String,
    /// Field paths, each with `asc`, `desc` or `elements`.
    #[schema(example = json!([["published", "asc"], ["rating", "desc"]]))]
    fields: Vec<Vec<String>>,
    /// `building`, or `ready` for queries.
    #[schema(example = "ready")]
    state: String,
    /// While it is built: documents done.
    #[schema(nullable = false)]
    documents_done: Option<u64>,
    /// While it is built: documents that there were when that began.
    #[schema(nullable = false)]
    documents_total: Option<u64>,
    /// When a query last used it; null if that is not known.
    #[schema(required, format = "date-time")]
    last_used: Option<String>,
    /// Whether somebody asked for it, so that it stays even if unused.
    pinned: bool,
}

/// How the server does.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(crate) struct Info {
    /// The program's version.
    #[schema(example = "0.1.0")]
    server_version: String,
    /// The version of the newest commit.
    #[schema(example = "1795326035123456")]
    version: String,
    /// Bytes that the data takes on the disk.
    data_bytes: u64,
    log: Log,
}

/// The change log.
#[derive(ToSchema)]
pub(crate) struct Log {
    /// The oldest version that can be read.
    #[schema(example = "1794721235123456")]
    start: String,
    /// Changes in it.
    changes: u64,
    /// Bytes of documents as they were before.
    bytes: u64,
}

/// How a part of the server is.
#[derive(ToSchema)]
pub(crate) struct Health {
    #[schema(example = "ready")]
    status: String,
}
