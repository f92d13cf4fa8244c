//! What the fuzz targets of this crate run, behind the feature `fuzzing`: functions from any bytes to nothing, which panic
//! where a promise is broken. [`with_mutations`] runs such a function, of this crate or another, on seeds and
//! on what becomes of them, so that `cargo test` tries each target a little.

use std::cell::Cell;
use std::sync::Arc;

use crate::{
    CollectionPath, CommitBody, DocumentPath, FieldPath, FieldRef, Filter, InputError, Map, OrderBy, Query,
    Timestamp, Value, Version, apply_write, check_id, data_from_json, from_json,
};

/// Value JSON is refused, or read, written and read again as the identical value.
pub fn value_json(bytes: &[u8]) {
    let Ok(value) = checked(from_json::<Value>(bytes)) else {
        return;
    };
    let json = serde_json::to_vec(&value).expect("values are written");
    let again: Value = from_json(&json).expect("what was written is read");
    assert!(again.is_identical(&value), "{value:?} became {again:?}");
    assert_eq!(serde_json::to_vec(&again).expect("values are written"), json);
    assert_eq!(value.cmp(&again), std::cmp::Ordering::Equal);
    assert_eq!(data_from_json(bytes).is_ok(), value.as_map().is_some());
}

/// Paths and ids are refused, or are written as they were read and taken apart into valid parts.
pub fn paths(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let document = checked(text.parse::<DocumentPath>());
    let collection = checked(text.parse::<CollectionPath>());
    let id = checked(check_id(text));
    assert!(document.is_err() || collection.is_err(), "no path is both");
    assert!(id.is_err() || collection.is_ok(), "an id alone is a collection");
    if let Ok(path) = document {
        assert_eq!(path.as_str(), text);
        assert_eq!(path.collection().document(path.id()).as_ref(), Ok(&path));
        assert!(path.segments().all(|segment| check_id(segment).is_ok()));
    }
    if let Ok(path) = collection {
        assert_eq!(path.as_str(), text);
        match path.parent() {
            Some(parent) => assert_eq!(parent.child(path.name()).as_ref(), Ok(&path)),
            None => assert_eq!(path.name(), text),
        }
    }
}

/// Field paths are refused, or written in a form that is read as the same path; what is set at one is found there.
pub fn field_path(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    if let Ok(reference) = checked(text.parse::<FieldRef>()) {
        assert_eq!(reference.to_string().parse().as_ref(), Ok(&reference));
    }
    let Ok(path) = checked(text.parse::<FieldPath>()) else {
        return;
    };
    assert_eq!(path.to_string().parse().as_ref(), Ok(&path));
    let mut data = Map::new();
    path.set(&mut data, Value::Null);
    assert_eq!(path.get(&data), Some(&Value::Null));
    let mut json = Vec::new();
    crate::write_data_json(&data, &mut json);
    assert_eq!(
        data_from_json(&json).as_ref(),
        Ok(&data),
        "the fields of a path are fields of a document"
    );
    path.remove(&mut data);
    assert_eq!(path.get(&data), None);
}

/// Filters are refused, or written and read again as the same filter, in both their forms.
pub fn filter_json(bytes: &[u8]) {
    let Ok(filter) = checked(from_json::<Filter>(bytes)) else {
        return;
    };
    let json = serde_json::to_vec(&filter).expect("filters are written");
    assert_eq!(from_json::<Filter>(&json).as_ref(), Ok(&filter));
    if checked(filter.check_limits()).is_ok() {
        same_matches(&filter);
    }
}

/// Filter expressions are refused at a place inside them, or printed and read again as a filter that matches the same.
pub fn filter_expression(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    match checked(Filter::from_expression(text)) {
        Ok(filter) => {
            assert_eq!(filter.check_limits(), Ok(()));
            let json = serde_json::to_vec(&filter).expect("filters are written");
            assert_eq!(from_json::<Filter>(&json).as_ref(), Ok(&filter));
            same_matches(&filter);
        }
        Err(error) => {
            let Some((line, column)) = error.position else {
                assert!(text.len() > crate::limits::FILTER_EXPRESSION_BYTES_MAX);
                return;
            };
            let mut lines = text.split('\n');
            let found = lines.nth(line as usize - 1).expect("the line is in the text");
            assert!(
                column as usize <= found.chars().count() + 1,
                "the column is in the line"
            );
        }
    }
}

/// That the filter as an expression matches what the filter matches.
fn same_matches(filter: &Filter) {
    let expression = filter.to_expression();
    let again = match Filter::from_expression(&expression) {
        Ok(again) => again,
        // What is short in JSON may be long or deep as an expression.
        Err(error)
            if error.detail.contains("longer than")
                || error.detail.contains("nested deeper")
                || error.detail.contains("more than") =>
        {
            return;
        }
        Err(error) => panic!("`{expression}`: {error:?}"),
    };
    let printed = again.to_expression();
    let twice = Filter::from_expression(&printed).expect("what was read once and printed is read again");
    assert_eq!(twice.to_expression(), printed);
    for (id, data) in documents_for(filter) {
        assert_eq!(
            again.matches(&id, &data),
            filter.matches(&id, &data),
            "`{expression}`"
        );
    }
}

/// Documents that a filter has something to say about: none of its fields, and each constant in its own field.
fn documents_for(filter: &Filter) -> Vec<(String, Map)> {
    let mut documents = vec![("id".to_owned(), Map::new())];
    let mut waiting = vec![filter];
    let mut all = Map::new();
    while let Some(filter) = waiting.pop() {
        match filter {
            Filter::Compare {
                field: FieldRef::Field(path),
                value,
                ..
            } => {
                let mut data = Map::new();
                path.set(&mut data, value.clone());
                path.set(&mut all, Value::Array(vec![value.clone()]));
                documents.push(("id".to_owned(), data));
                if let Some(Value::String(_) | Value::Integer(_)) =
                    value.as_array().and_then(<[Value]>::first)
                {
                    let mut data = Map::new();
                    path.set(&mut data, value.as_array().unwrap_or_default()[0].clone());
                    documents.push(("id".to_owned(), data));
                }
            }
            Filter::Compare { value, .. } => {
                documents.push((value.as_str().unwrap_or("id").to_owned(), Map::new()));
            }
            Filter::And(filters) | Filter::Or(filters) => waiting.extend(filters),
            Filter::Not(filter) => waiting.push(filter),
        }
    }
    documents.push(("all".to_owned(), all));
    documents
}

/// Queries are refused, or within their limits, and written and read again as the same query.
pub fn query_json(bytes: &[u8]) {
    let Ok(query) = checked(from_json::<Query>(bytes)) else {
        return;
    };
    assert_eq!(query.check(), Ok(()));
    let json = serde_json::to_vec(&query).expect("queries are written");
    assert_eq!(from_json::<Query>(&json).as_ref(), Ok(&query));
    let order = query.normalized_order();
    let fields: Vec<&FieldRef> = order.iter().map(|OrderBy { field, .. }| field).collect();
    assert!(
        (1..fields.len()).all(|index| !fields[..index].contains(&fields[index])),
        "no field orders twice"
    );
    let path: DocumentPath = "posts/p1".parse().expect("a document path");
    let documents = query
        .filter
        .as_ref()
        .map_or_else(|| vec![(String::new(), Map::new())], documents_for);
    for (_, data) in &documents {
        if query.matches(&path, data) {
            assert!(fields.iter().all(|field| field.get(path.id(), data).is_some()));
        }
        let _ = query.project(data.clone());
    }
}

/// Commits are refused, or written and read again as commits that do the same; what they write are documents.
pub fn commit_json(bytes: &[u8]) {
    let Ok(commit) = checked(from_json::<CommitBody>(bytes)) else {
        return;
    };
    let json = serde_json::to_vec(&commit).expect("commits are written");
    let again: CommitBody = from_json(&json).expect("what was written is read");
    assert_eq!(serde_json::to_vec(&again).expect("commits are written"), json);

    let now = Timestamp::from_micros_clamped(1_795_326_035_123_456);
    let mut first: Option<Arc<Map>> = None;
    let mut second: Option<Arc<Map>> = None;
    for (write, sent) in commit.writes.iter().zip(&again.writes) {
        let version = Version::from_micros(1000);
        let here = apply_write(write, first.as_deref().map(|data| (version, data)), now);
        let there = apply_write(sent, second.as_deref().map(|data| (version, data)), now);
        match (here, there) {
            (Ok(here), Ok(there)) => {
                assert_eq!(here.after.is_some(), there.after.is_some());
                for (path, value) in &here.results {
                    let found = here.after.as_ref().and_then(|data| path.get(data));
                    assert!(found.is_some_and(|found| found.is_identical(value)));
                }
                (first, second) = (here.after, there.after);
            }
            (Err(here), Err(there)) => assert_eq!(here, there),
            (here, there) => panic!("{here:?} here, and {there:?} there"),
        }
        if let (Some(first), Some(second)) = (&first, &second) {
            let (first, second) = (
                Value::Map(first.as_ref().clone()),
                Value::Map(second.as_ref().clone()),
            );
            assert!(first.is_identical(&second));
            let json = serde_json::to_vec(&first).expect("documents are written");
            let again: Value = from_json(&json).expect("what writes make is a document");
            assert!(again.is_identical(&first));
        }
    }
}

/// That an error reads well: a text of bearable length that is no sentence with a full stop.
fn checked<T>(result: Result<T, InputError>) -> Result<T, InputError> {
    if let Err(error) = &result {
        let length = error.detail.chars().count();
        assert!((1..=1000).contains(&length), "an error of {length} characters");
        assert!(!error.detail.chars().any(char::is_control), "{:?}", error.detail);
        assert!(
            error
                .position
                .is_none_or(|(line, column)| line > 0 && column < u32::MAX)
        );
    }
    result
}

/// Runs a target on every seed and on `count` mutations of them, always the same for the same seeds. When the target
/// panics, the input stands in the output.
///
/// # Panics
/// If there is no seed, or the target panics.
pub fn with_mutations(seeds: &[Vec<u8>], count: usize, target: fn(&[u8])) {
    assert!(!seeds.is_empty(), "there are no seeds");
    for seed in seeds {
        run_shown(seed, target);
    }
    let random = Random(Cell::new(0x9e37_79b9_7f4a_7c15));
    for _ in 0..count {
        let mut input = seeds[random.below(seeds.len())].clone();
        for _ in 0..=random.below(4) {
            mutate(&mut input, seeds, &random);
        }
        run_shown(&input, target);
    }
}

fn run_shown(input: &[u8], target: fn(&[u8])) {
    struct Shown<'a>(&'a [u8]);
    impl Drop for Shown<'_> {
        fn drop(&mut self) {
            if std::thread::panicking() {
                eprintln!("the input was b\"{}\"", self.0.escape_ascii());
            }
        }
    }
    let shown = Shown(input);
    target(shown.0);
}

/// Pieces that the grammars have in common.
const PIECES: &[&str] = &[
    "{",
    "}",
    "[",
    "]",
    "(",
    ")",
    "\"",
    "'",
    "`",
    "\\",
    ",",
    ":",
    ".",
    "/",
    "//",
    "/*",
    "$",
    "_",
    "__",
    "-",
    "-0",
    "0",
    "1e999",
    "9223372036854775808",
    "5e-324",
    "null",
    "true",
    "\u{0}",
    "\u{e9}",
    "\u{10ffff}",
    "\\ud800",
    "\\u0000",
    " && ",
    " || ",
    "!",
    " in ",
    " == ",
    ">=",
    "\"and\",",
    "\"not\",",
    "\"in\",",
    "{\"$inc\":1}",
    "{\"$map\":{}}",
    "\"$int\":\"1\"",
    "{\"$double\":\"NaN\"}",
    "[[[[[[[[[[",
    "((((((((((",
    "a.b",
];

/// Changes, removes, repeats or inserts something.
fn mutate(input: &mut Vec<u8>, seeds: &[Vec<u8>], random: &Random) {
    const INPUT_BYTES_MAX: usize = 16 * 1024;
    let at = random.below(input.len() + 1);
    let length = random.below(16).min(input.len() - at);
    match random.below(7) {
        0 if at < input.len() => input[at] ^= 1 << random.below(8),
        1 if at < input.len() => input[at] = u8::try_from(random.below(256)).unwrap_or_default(),
        2 => drop(input.drain(at..at + length)),
        3 => {
            let repeated = input[at..at + length].repeat(1 + random.below(8));
            input.splice(at..at, repeated);
        }
        4 => {
            let other = &seeds[random.below(seeds.len())];
            let from = random.below(other.len() + 1);
            let to = from + random.below(other.len() - from + 1);
            input.splice(at..at, other[from..to].iter().copied());
        }
        5 => input.truncate(at),
        _ => {
            let piece = PIECES[random.below(PIECES.len())];
            input.splice(at..at, piece.bytes());
        }
    }
    input.truncate(INPUT_BYTES_MAX);
}

/// Marsaglia's xorshift: all that is asked of it is to be the same every time.
struct Random(Cell<u64>);

impl Random {
    fn below(&self, bound: usize) -> usize {
        let mut state = self.0.get();
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        self.0.set(state);
        usize::try_from(state >> 32).unwrap_or_default() % bound
    }
}
