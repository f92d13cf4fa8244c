//! The vectors in `protocol/spec/`, which clients in other languages run too.

use std::collections::BTreeMap;
use std::fmt::Debug;

use andiron_protocol::{
    ApplyError, CollectionPath, CommitBody, Direction, DocumentPath, ErrorCode, FieldPath, Filter,
    InputError, Map, Query, Timestamp, TypeClass, Value, Version, Write, apply_write, check_id,
    data_from_json, from_json,
};
use serde::Deserialize;
use serde_json::value::RawValue;

fn read<T: for<'de> Deserialize<'de>>(text: &str) -> T {
    serde_json::from_str(text).unwrap()
}

/// Gathers what is wrong, so that a run shows all of it.
#[derive(Default)]
struct Faults(Vec<String>);

impl Faults {
    fn check(&mut self, holds: bool, describe: impl FnOnce() -> String) {
        if !holds {
            self.0.push(describe());
        }
    }

    /// That `result` is an error whose text has `reason` in it.
    fn check_refused<T: Debug>(&mut self, case: &str, result: Result<T, InputError>, reason: &str) {
        match result {
            Ok(value) => self.0.push(format!(
                "{case}: was read as {value:?}, expected an error: {reason}"
            )),
            Err(error) => {
                self.check(error.detail.contains(reason), || {
                    format!("{case}: the error is `{error}`, expected: {reason}")
                });
                let is_sentence = !error.detail.ends_with('.')
                    && !error.detail.starts_with(|first: char| first.is_uppercase())
                    && error.detail.chars().count() <= 500;
                self.check(is_sentence, || {
                    format!("{case}: the text is not in style: `{error}`")
                });
            }
        }
    }
}

impl Drop for Faults {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            assert!(
                self.0.is_empty(),
                "{} faults:\n{}",
                self.0.len(),
                self.0.join("\n")
            );
        }
    }
}

#[derive(Deserialize)]
struct RefusedJson {
    json: String,
    reason: String,
}

#[test]
fn value_json() {
    #[derive(Deserialize)]
    struct File {
        valid: Vec<Valid>,
        invalid: Vec<RefusedJson>,
    }
    #[derive(Deserialize)]
    struct Valid {
        json: String,
        #[serde(rename = "type")]
        kind: String,
        canonical: Option<String>,
    }
    let file: File = read(include_str!("../../spec/value-json.json"));
    let mut faults = Faults::default();
    for Valid {
        json,
        kind,
        canonical,
    } in file.valid
    {
        let value = match from_json::<Value>(json.as_bytes()) {
            Ok(value) => value,
            Err(error) => {
                faults.0.push(format!("{json}: {error}"));
                continue;
            }
        };
        let written = serde_json::to_string(&value).unwrap();
        faults.check(written == *canonical.as_ref().unwrap_or(&json), || {
            format!("{json}: written as {written}")
        });
        faults.check(type_name(&value) == kind, || format!("{json}: is {value:?}"));
        let again: Value = from_json(written.as_bytes()).unwrap();
        faults.check(again.is_identical(&value), || {
            format!("{json}: read again as {again:?}")
        });
    }
    for RefusedJson { json, reason } in file.invalid {
        faults.check_refused(&json, from_json::<Value>(json.as_bytes()), &reason);
    }
}

fn type_name(value: &Value) -> &'static str {
    match (value.type_class(), value) {
        (TypeClass::Null, _) => "null",
        (TypeClass::Boolean, _) => "boolean",
        (TypeClass::Nan, _) => "nan",
        (TypeClass::Number, Value::Integer(_)) => "integer",
        (TypeClass::Number, _) => "double",
        (TypeClass::Timestamp, _) => "timestamp",
        (TypeClass::String, _) => "string",
        (TypeClass::Bytes, _) => "bytes",
        (TypeClass::Reference, _) => "reference",
        (TypeClass::GeoPoint, _) => "geopoint",
        (TypeClass::Array, _) => "array",
        (TypeClass::Vector, _) => "vector",
        (TypeClass::Map, _) => "map",
    }
}

#[test]
fn value_order() {
    #[derive(Deserialize)]
    struct File {
        groups: Vec<Vec<Value>>,
    }
    let file: File = read(include_str!("../../spec/value-order.json"));
    let values: Vec<(usize, Value)> = file
        .groups
        .into_iter()
        .enumerate()
        .flat_map(|(group, values)| values.into_iter().map(move |value| (group, value)))
        .collect();
    let mut faults = Faults::default();
    for (left_group, left) in &values {
        for (right_group, right) in &values {
            faults.check(left.cmp(right) == left_group.cmp(right_group), || {
                format!("{left:?} and {right:?} are {:?}", left.cmp(right))
            });
        }
    }
}

#[test]
fn filter_matching() {
    #[derive(Deserialize)]
    struct File {
        documents: Vec<Document>,
        invalid: Vec<Refused>,
    }
    #[derive(Deserialize)]
    struct Document {
        id: String,
        data: Map,
        matches: Vec<Filter>,
        differs: Vec<Filter>,
    }
    #[derive(Deserialize)]
    struct Refused {
        filter: Box<RawValue>,
        reason: String,
    }
    let file: File = read(include_str!("../../spec/filter-matching.json"));
    let mut faults = Faults::default();
    for Document {
        id,
        data,
        matches,
        differs,
    } in &file.documents
    {
        for (filter, expected) in matches
            .iter()
            .map(|filter| (filter, true))
            .chain(differs.iter().map(|filter| (filter, false)))
        {
            let json = serde_json::to_string(filter).unwrap();
            faults.check(filter.matches(id, data) == expected, || {
                format!("{json} on `{id}`: expected {expected}")
            });
            let expression = filter.to_expression();
            let reread = Filter::from_expression(&expression);
            faults.check(
                reread
                    .as_ref()
                    .is_ok_and(|reread| reread.matches(id, data) == expected),
                || format!("{json} as the expression `{expression}`: {reread:?}"),
            );
        }
    }
    for Refused { filter, reason } in &file.invalid {
        faults.check_refused(filter.get(), from_json::<Filter>(filter.get().as_bytes()), reason);
    }
}

/// A text, or pieces of text and how often each stands there.
#[derive(Deserialize)]
#[serde(untagged)]
enum Text {
    Whole(String),
    Repeated(Vec<(String, usize)>),
}

impl Text {
    fn build(&self) -> String {
        match self {
            Self::Whole(text) => text.clone(),
            Self::Repeated(pieces) => pieces.iter().map(|(piece, count)| piece.repeat(*count)).collect(),
        }
    }
}

#[test]
fn paths() {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct File {
        ids: Paths,
        documents: Paths,
        collections: Paths,
        field_paths: FieldPaths,
    }
    #[derive(Deserialize)]
    struct Paths {
        valid: Vec<Text>,
        invalid: Vec<RefusedPath>,
    }
    #[derive(Deserialize)]
    struct RefusedPath {
        path: Text,
        reason: String,
    }
    #[derive(Deserialize)]
    struct FieldPaths {
        valid: Vec<ValidFieldPath>,
        invalid: Vec<RefusedFieldPath>,
    }
    #[derive(Deserialize)]
    struct ValidFieldPath {
        text: String,
        segments: Vec<String>,
        canonical: Option<String>,
    }
    #[derive(Deserialize)]
    struct RefusedFieldPath {
        text: String,
        reason: String,
    }

    fn run(faults: &mut Faults, paths: &Paths, parse: impl Fn(&str) -> Result<String, InputError>) {
        for path in &paths.valid {
            let path = path.build();
            let parsed = parse(&path);
            faults.check(parsed.as_ref() == Ok(&path), || format!("`{path}`: {parsed:?}"));
        }
        for RefusedPath { path, reason } in &paths.invalid {
            let path = path.build();
            faults.check_refused(&path, parse(&path), reason);
        }
    }

    let file: File = read(include_str!("../../spec/paths.json"));
    let mut faults = Faults::default();
    run(&mut faults, &file.ids, |id| check_id(id).map(|()| id.to_owned()));
    run(&mut faults, &file.documents, |path| {
        path.parse::<DocumentPath>().map(|path| path.to_string())
    });
    run(&mut faults, &file.collections, |path| {
        path.parse::<CollectionPath>().map(|path| path.to_string())
    });
    for ValidFieldPath {
        text,
        segments,
        canonical,
    } in &file.field_paths.valid
    {
        let parsed = text.parse::<FieldPath>();
        let holds = parsed.as_ref().is_ok_and(|path| {
            path.segments() == segments && path.to_string() == *canonical.as_ref().unwrap_or(text)
        });
        faults.check(holds, || format!("`{text}`: {parsed:?}"));
    }
    for RefusedFieldPath { text, reason } in &file.field_paths.invalid {
        faults.check_refused(text, text.parse::<FieldPath>(), reason);
    }
}

#[test]
fn write_semantics() {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct File {
        writes: Vec<Case>,
        invalid: Vec<Refused>,
        invalid_texts: Vec<RefusedJson>,
    }
    #[derive(Deserialize)]
    struct Case {
        name: String,
        write: Box<RawValue>,
        before: Option<Before>,
        after: Option<Box<RawValue>>,
        #[serde(default)]
        results: BTreeMap<FieldPath, Value>,
        error: Option<ErrorCode>,
    }
    #[derive(Deserialize)]
    struct Before {
        version: Version,
        data: Box<RawValue>,
    }
    #[derive(Deserialize)]
    struct Refused {
        write: Box<RawValue>,
        reason: String,
    }
    let file: File = read(include_str!("../../spec/write-semantics.json"));
    let now: Timestamp = "2026-11-22T05:40:35.123456Z".parse().unwrap();
    let mut faults = Faults::default();
    for case in &file.writes {
        let name = &case.name;
        let write: Write = match from_json(case.write.get().as_bytes()) {
            Ok(write) => write,
            Err(error) => {
                faults.0.push(format!("{name}: {error}"));
                continue;
            }
        };
        let before = case.before.as_ref().map(|before| {
            (
                before.version,
                data_from_json(before.data.get().as_bytes()).unwrap(),
            )
        });
        // What a client sends after having read a write does the same.
        let sent = serde_json::to_vec(&write).unwrap();
        let again: Write = from_json(&sent).unwrap();
        for write in [&write, &again] {
            let outcome = apply_write(
                write,
                before.as_ref().map(|(version, data)| (*version, data)),
                now,
            );
            match (outcome, case.error) {
                (Err(error), expected) => faults.check(Some(ApplyError::code(error)) == expected, || {
                    format!("{name}: {error}, expected {expected:?}")
                }),
                (Ok(applied), Some(expected)) => {
                    faults.0.push(format!("{name}: {applied:?}, expected {expected}"));
                }
                (Ok(applied), None) => {
                    let expected = case
                        .after
                        .as_ref()
                        .map(|after| data_from_json(after.get().as_bytes()).unwrap());
                    let identical = are_identical(applied.after.as_deref(), expected.as_ref());
                    faults.check(identical, || {
                        format!("{name}: {:?}, expected {expected:?}", applied.after)
                    });
                    let results: BTreeMap<_, _> = applied.results.into_iter().collect();
                    let identical = results.len() == case.results.len()
                        && results
                            .iter()
                            .zip(&case.results)
                            .all(|((path, value), (other_path, other))| {
                                path == other_path && value.is_identical(other)
                            });
                    faults.check(identical, || format!("{name}: the results are {results:?}"));
                }
            }
        }
    }
    for Refused { write, reason } in &file.invalid {
        faults.check_refused(write.get(), from_json::<Write>(write.get().as_bytes()), reason);
    }
    for RefusedJson { json, reason } in &file.invalid_texts {
        faults.check_refused(json, from_json::<Write>(json.as_bytes()), reason);
    }
}

fn are_identical(left: Option<&Map>, right: Option<&Map>) -> bool {
    match (left, right) {
        (Some(left), Some(right)) => Value::Map(left.clone()).is_identical(&Value::Map(right.clone())),
        (left, right) => left.is_none() && right.is_none(),
    }
}

#[test]
fn commit_bodies() {
    #[derive(Deserialize)]
    struct File {
        valid: Vec<Valid>,
        invalid: Vec<Refused>,
    }
    #[derive(Deserialize)]
    struct Valid {
        body: Box<RawValue>,
    }
    #[derive(Deserialize)]
    struct Refused {
        body: Box<RawValue>,
        reason: String,
    }
    let file: File = read(include_str!("../../spec/commit-bodies.json"));
    let mut faults = Faults::default();
    for Valid { body } in &file.valid {
        let text = body.get();
        let parsed: CommitBody = match from_json(text.as_bytes()) {
            Ok(parsed) => parsed,
            Err(error) => {
                faults.0.push(format!("{text}: {error}"));
                continue;
            }
        };
        let mut sent: serde_json::Value = serde_json::from_str(text).unwrap();
        // A commit that writes nothing says so.
        sent.as_object_mut()
            .unwrap()
            .entry("writes")
            .or_insert_with(|| serde_json::json!([]));
        let written = serde_json::to_value(&parsed).unwrap();
        faults.check(written == sent, || format!("{text}: written as {written}"));
    }
    for Refused { body, reason } in &file.invalid {
        faults.check_refused(body.get(), from_json::<CommitBody>(body.get().as_bytes()), reason);
    }
}

#[test]
fn filter_expressions() {
    #[derive(Deserialize)]
    struct File {
        valid: Vec<Valid>,
        invalid: Vec<Refused>,
    }
    #[derive(Deserialize)]
    struct Valid {
        text: String,
        filter: Filter,
    }
    #[derive(Deserialize)]
    struct Refused {
        text: String,
        line: u32,
        column: u32,
        problem: String,
    }
    let file: File = read(include_str!("../../spec/filter-expressions.json"));
    let mut faults = Faults::default();
    for Valid { text, filter } in &file.valid {
        let expected = serde_json::to_string(filter).unwrap();
        let parsed = Filter::from_expression(text).map(|filter| serde_json::to_string(&filter).unwrap());
        faults.check(parsed.as_ref() == Ok(&expected), || {
            format!("`{text}`: {parsed:?}, expected {expected}")
        });
        let printed = filter.to_expression();
        let reread = Filter::from_expression(&printed).map(|filter| filter.to_expression());
        faults.check(reread.as_ref() == Ok(&printed), || {
            format!("`{printed}`: {reread:?}")
        });
    }
    for Refused {
        text,
        line,
        column,
        problem,
    } in &file.invalid
    {
        let parsed = Filter::from_expression(text);
        if let Err(error) = &parsed {
            faults.check(error.position == Some((*line, *column)), || {
                format!(
                    "`{text}`: {error} at {:?}, expected {line}:{column}",
                    error.position
                )
            });
        }
        faults.check_refused(text, parsed, problem);
    }
}

#[test]
fn queries() {
    #[derive(Deserialize)]
    struct File {
        normalized: Vec<Normalized>,
        documents: Vec<(DocumentPath, Map)>,
        results: Vec<Case>,
        invalid: Vec<Refused>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Normalized {
        query: Box<RawValue>,
        order: Vec<(String, String)>,
        path_direction: String,
        canonical: Option<serde_json::Value>,
    }
    #[derive(Deserialize)]
    struct Case {
        query: Query,
        result: Vec<DocumentPath>,
        documents: Option<Vec<Map>>,
    }
    #[derive(Deserialize)]
    struct Refused {
        query: Box<RawValue>,
        reason: String,
    }
    let name = |direction: Direction| match direction {
        Direction::Ascending => "asc".to_owned(),
        Direction::Descending => "desc".to_owned(),
    };
    let file: File = read(include_str!("../../spec/queries.json"));
    let mut faults = Faults::default();
    for Normalized {
        query: text,
        order,
        path_direction,
        canonical,
    } in &file.normalized
    {
        let text = text.get();
        let query: Query = match from_json(text.as_bytes()) {
            Ok(query) => query,
            Err(error) => {
                faults.0.push(format!("{text}: {error}"));
                continue;
            }
        };
        let found: Vec<(String, String)> = query
            .normalized_order()
            .into_iter()
            .map(|order| (order.field.to_string(), name(order.direction)))
            .collect();
        faults.check(found == *order, || format!("{text}: the order is {found:?}"));
        let found = name(query.path_direction());
        faults.check(found == *path_direction, || {
            format!("{text}: the path is {found}")
        });
        let written = serde_json::to_value(&query).unwrap();
        let expected = canonical
            .clone()
            .unwrap_or_else(|| serde_json::from_str(text).unwrap());
        faults.check(written == expected, || format!("{text}: written as {written}"));
    }
    for Case {
        query,
        result,
        documents,
    } in &file.results
    {
        let text = serde_json::to_string(query).unwrap();
        let found = run(query, &file.documents);
        let paths: Vec<&DocumentPath> = found.iter().map(|(path, _)| *path).collect();
        faults.check(paths == result.iter().collect::<Vec<_>>(), || {
            format!("{text}: found {paths:?}")
        });
        if let Some(expected) = documents {
            let projected: Vec<Map> = found
                .into_iter()
                .map(|(_, data)| query.project(data.clone()))
                .collect();
            faults.check(projected == *expected, || {
                format!("{text}: selected {projected:?}")
            });
        }
    }
    for Refused { query, reason } in &file.invalid {
        faults.check_refused(query.get(), from_json::<Query>(query.get().as_bytes()), reason);
    }
}

/// The result of a query, by its definition.
fn run<'d>(query: &Query, documents: &'d [(DocumentPath, Map)]) -> Vec<(&'d DocumentPath, &'d Map)> {
    let order = query.normalized_order();
    let mut found: Vec<_> = documents
        .iter()
        .filter(|(path, data)| query.matches(path, data))
        .map(|(path, data)| (path, data))
        .collect();
    found.sort_by(|left, right| query.compare(&order, *left, *right));
    let limit = query.limit.map_or(usize::MAX, |limit| limit.try_into().unwrap());
    let offset: usize = query.offset.try_into().unwrap();
    if query.limit_to_last {
        let length = found.len().saturating_sub(offset);
        found.truncate(length);
        found.drain(..length.saturating_sub(limit));
        found
    } else {
        found.into_iter().skip(offset).take(limit).collect()
    }
}

#[test]
fn error_codes() {
    #[derive(Deserialize)]
    struct File {
        codes: Vec<Code>,
    }
    #[derive(Deserialize)]
    struct Code {
        code: ErrorCode,
        status: u16,
    }
    let file: File = read(include_str!("../../spec/error-codes.json"));
    let codes: Vec<_> = file.codes.iter().map(|code| (code.code, code.status)).collect();
    assert_eq!(codes, ErrorCode::ALL.map(|code| (code, code.http_status())));
}
