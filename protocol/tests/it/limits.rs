//! Limits hold, and what a hostile client sends costs little and is answered with a bearable text.

use std::time::{Duration, Instant};

use andiron_protocol::limits::{
    BATCH_GET_PATHS_MAX, COMMIT_QUERIES_MAX, COMMIT_READS_MAX, COMMIT_WRITES_MAX, WRITE_TRANSFORMS_MAX,
};
use andiron_protocol::{
    AggregateBody, BatchGetBody, Bound, CommitBody, Filter, InputError, Map, OrderBy, Query, Source, Value,
    WriteData, data_from_json, from_json,
};
use serde::de::DeserializeOwned;

fn refused<T: DeserializeOwned + std::fmt::Debug>(json: &str) -> InputError {
    from_json::<T>(json.as_bytes()).expect_err("refused")
}

fn repeated(entry: &str, count: usize) -> String {
    vec![entry; count].join(",")
}

#[test]
fn lists_of_a_commit_have_their_limits() {
    for (name, entry, count_max) in [
        ("writes", r#"{"delete":"a/b"}"#, COMMIT_WRITES_MAX),
        ("reads", r#"{"path":"a/b","version":null}"#, COMMIT_READS_MAX),
        (
            "queries",
            r#"{"query":{"from":"a"},"version":"1"}"#,
            COMMIT_QUERIES_MAX,
        ),
    ] {
        let body = |count| format!("{{\"{name}\":[{}]}}", repeated(entry, count));
        assert!(
            from_json::<CommitBody>(body(count_max).as_bytes()).is_ok(),
            "{name}"
        );
        assert_eq!(
            refused::<CommitBody>(&body(count_max + 1)).detail,
            format!("`{name}` has more than {count_max} entries")
        );
        // What stands behind the limit is not even read.
        let body = format!("{{\"{name}\":[{},5]}}", repeated(entry, count_max + 1));
        assert!(refused::<CommitBody>(&body).detail.contains("more than"));
    }
}

#[test]
fn a_batch_get_has_its_limit() {
    let body = |count| format!("{{\"paths\":[{}]}}", repeated("\"a/b\"", count));
    let batch: BatchGetBody = from_json(body(BATCH_GET_PATHS_MAX).as_bytes()).unwrap();
    assert_eq!(serde_json::to_string(&batch).unwrap(), body(BATCH_GET_PATHS_MAX));
    assert_eq!(
        refused::<BatchGetBody>(&body(BATCH_GET_PATHS_MAX + 1)).detail,
        "`paths` has more than 1000 entries"
    );
    assert_eq!(
        refused::<BatchGetBody>("[[\"a/b\"]]").detail,
        "invalid type: sequence, expected the body of a batch-get: {\"paths\": […]}"
    );
}

#[test]
fn transforms_of_a_write_have_their_limit() {
    let data = |count: usize| {
        let fields: Vec<String> = (0..count)
            .map(|index| format!("\"f{index}\":{{\"$now\":true}}"))
            .collect();
        format!("{{{}}}", fields.join(","))
    };
    assert!(WriteData::from_json(data(WRITE_TRANSFORMS_MAX).as_bytes()).is_ok());
    let error = WriteData::from_json(data(WRITE_TRANSFORMS_MAX + 1).as_bytes()).unwrap_err();
    assert_eq!(error.detail, "a write has more than 500 transforms");
    let update = |count| format!("{{\"writes\":[{{\"update\":\"a/b\",\"data\":{}}}]}}", data(count));
    assert!(from_json::<CommitBody>(update(WRITE_TRANSFORMS_MAX).as_bytes()).is_ok());
    assert_eq!(
        refused::<CommitBody>(&update(WRITE_TRANSFORMS_MAX + 1)).detail,
        "a write has more than 500 transforms"
    );
}

#[test]
fn aggregations_are_checked_and_sent_as_they_are_read() {
    let text = r#"{"query":{"from":"a"},"aggregates":{"hi":["max","p"],"lo":["min","p.`q r`"],"mean":["avg","p"],"n":["count"],"total":["sum","p"]}}"#;
    let body: AggregateBody = from_json(text.as_bytes()).unwrap();
    assert_eq!(serde_json::to_string(&body).unwrap(), text);
    for (aggregates, reason) in [
        ("{}", "`aggregates` is empty"),
        ("[]", "expected an object of names and aggregates"),
        (
            r#"{"n":["count"],"n":["count"]}"#,
            "the aggregate `n` is asked for twice",
        ),
        (r#"{"n":["count","a"]}"#, "an aggregate is"),
        (r#"{"n":["sum"]}"#, "an aggregate is"),
        (r#"{"n":["median","a"]}"#, "an aggregate is"),
        (r#"{"n":["sum","a","b"]}"#, "invalid length 3"),
        (r#"{"n":[]}"#, "invalid length 0"),
        (r#"{"n":"count"}"#, "expected [\"count\"]"),
        (r#"{"n":["sum","a-b"]}"#, "not a field path"),
        (r#"{"n":["min","__id__"]}"#, "reserved"),
    ] {
        let error = refused::<AggregateBody>(&format!(
            "{{\"query\":{{\"from\":\"a\"}},\"aggregates\":{aggregates}}}"
        ));
        assert!(error.detail.contains(reason), "{aggregates}: {error}");
    }
    let many: Vec<String> = (0..21).map(|index| format!("\"n{index}\":[\"count\"]")).collect();
    let many = format!(
        "{{\"query\":{{\"from\":\"a\"}},\"aggregates\":{{{}}}}}",
        many.join(",")
    );
    assert_eq!(
        refused::<AggregateBody>(&many).detail,
        "`aggregates` has more than 20 entries"
    );
    let with_cursor = r#"{"query":{"from":"a","cursor":"x"},"aggregates":{"n":["count"]}}"#;
    assert!(
        refused::<AggregateBody>(with_cursor)
            .detail
            .contains("takes no `cursor`")
    );
}

#[test]
fn queries_made_in_code_are_checked_as_those_that_were_read() {
    let query = || Query::all(Source::Group("c".to_owned()));
    let bound = |values: Vec<Value>, path: Option<&str>| {
        Some(Bound {
            values,
            path: path.map(|path| path.parse().unwrap()),
            inclusive: true,
        })
    };
    let ordered = |start| Query {
        order_by: ["a", "b"]
            .map(|field| OrderBy {
                field: field.parse().unwrap(),
                direction: Default::default(),
            })
            .to_vec(),
        start,
        ..query()
    };
    let one = || Value::Integer(1);
    assert!(ordered(bound(vec![one()], None)).check().is_ok());
    assert!(ordered(bound(vec![one(), one()], Some("c/d"))).check().is_ok());
    for (start, what) in [
        (bound(vec![], None), "nothing"),
        (bound(vec![one()], Some("c/d")), "a path after half of the order"),
        (bound(vec![one(), one(), one()], None), "more than the order"),
    ] {
        let error = ordered(start).check().expect_err(what);
        assert_eq!(error.field.as_deref(), Some("start"), "{what}");
    }
    let end = Query {
        end: bound(vec![], None),
        ..query()
    };
    assert_eq!(end.check().unwrap_err().field.as_deref(), Some("end"));
}

#[test]
fn error_texts_are_cut_and_have_no_control_characters() {
    let long = "\u{1}x".repeat(100_000);
    let quoted = serde_json::to_string(&long).unwrap();
    let errors = [
        refused::<Value>(&format!("{{\"$time\":{quoted}}}")),
        refused::<Value>(&format!("{{\"$ref\":{quoted}}}")),
        refused::<Value>(&format!("{{\"${}:1}}", &quoted[1..])),
        refused::<Query>(&format!("{{\"from\":\"a\",{quoted}:1}}")),
        refused::<Query>(&format!("{{\"from\":\"a\",\"limit\":{quoted}}}")),
        refused::<Query>(&format!("{{\"from\":\"a\",\"where\":[{quoted},\"==\",1]}}")),
        refused::<CommitBody>(&format!("{{\"writes\":[{{{quoted}:1}}]}}")),
        data_from_json(format!("{{{quoted}:1}}").as_bytes()).unwrap_err(),
        Filter::from_expression(&format!("a == '{}'.b", "\u{1}".repeat(20_000))).unwrap_err(),
        Filter::from_expression(&format!("a == `{}`", "\u{1}".repeat(1000))).unwrap_err(),
    ];
    for error in errors {
        assert!(error.detail.chars().count() <= 700, "{error}");
        assert!(!error.detail.contains('\u{1}'), "{error}");
    }
}

/// Each of these took time that grew with the square of the input before there was a guard. The bound is far above what
/// they take now, even on a busy machine, and far below what they took.
#[test]
fn hostile_input_is_refused_in_time() {
    let started = Instant::now();
    let comparisons: Vec<String> = (0..30_000)
        .map(|index| format!("[\"f{index}\",\">\",1]"))
        .collect();
    let orders: Vec<String> = (0..30_000).map(|index| format!("[\"g{index}\"]")).collect();
    let query = format!(
        "{{\"from\":\"a\",\"where\":[\"and\",[\"or\",{}]],\"orderBy\":[{}],\"startAt\":[1]}}",
        comparisons[..190].join(","),
        orders.join(",")
    );
    assert!(
        refused::<Query>(&query)
            .detail
            .contains("`orderBy` has more than 32 fields")
    );
    let groups: Vec<String> = comparisons
        .chunks(150)
        .map(|chunk| format!("[\"or\",{}]", chunk.join(",")))
        .collect();
    let query = format!(
        "{{\"from\":\"a\",\"where\":[\"and\",{}],\"orderBy\":[[\"x\"]],\"startAt\":[1]}}",
        groups.join(",")
    );
    assert!(refused::<Query>(&query).detail.contains("more than 200 parts"));

    // A document full of elements against a filter full of lists.
    let elements: Vec<Value> = (0..50_000).map(Value::Integer).collect();
    let data = Map::from([("a".to_owned(), Value::Array(elements))]);
    let list: Vec<String> = (0..100).map(|index| format!("-{}", index + 1)).collect();
    let lists = vec![format!("[\"a\",\"array-contains-any\",[{}]]", list.join(",")); 10].join(",");
    let filter: Filter = from_json(format!("[\"or\",{lists}]").as_bytes()).unwrap();
    assert_eq!(filter.check_limits(), Ok(()));
    assert!(!filter.matches("id", &data));

    // Nothing of this recurses as deep as the input.
    for open in [
        "[",
        "{\"a\":",
        "{\"$map\":{\"a\":",
        "[\"not\",",
        "[\"and\",[\"a\",\"==\",",
        "{\"data\":{\"a\":",
    ] {
        let text = open.repeat(200_000);
        assert!(from_json::<Value>(text.as_bytes()).is_err());
        assert!(from_json::<Filter>(text.as_bytes()).is_err());
        assert!(from_json::<CommitBody>(format!("{{\"writes\":[{text}").as_bytes()).is_err());
    }
    assert!(
        started.elapsed() < Duration::from_secs(60),
        "it took {:?}",
        started.elapsed()
    );
}
