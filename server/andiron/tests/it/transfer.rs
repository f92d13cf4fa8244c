//! Import and export: what goes in comes out, nothing twice, and whatever does not go in is named.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use andiron_testkit::{MOVIES_COUNT, Output, ServerProcess, movies, movies_file};
use serde_json::{Value, json};

use crate::{program, run};

/// Every kind of value, and names and paths that need care.
fn all_kinds() -> Vec<(&'static str, Value)> {
    let kinds = json!({
        "null": null, "yes": true, "integer": 7, "large": {"$int": "9223372036854775807"}, "double": 1.5,
        "whole double": 2.0, "nan": {"$double": "NaN"}, "infinite": {"$double": "-Infinity"},
        "minus zero": {"$double": "-0"}, "time": {"$time": "2026-11-22T05:40:35.123456Z"}, "text": "ü\u{0}\n\"",
        "bytes": {"$bytes": "AAEC/w=="}, "reference": {"$ref": "users/alice"}, "point": {"$geo": [1.5, -2.5]},
        "vector": {"$vector": [0.1, 2.0]}, "list": [1, [2.5, {"a": null}], {}], "map": {"a": {"b": {}}},
        "dollar": {"$map": {"$x": 1}}, "a.b": 1, "constructor": {"prototype": 1}, "' OR 1=1 --": 0
    });
    vec![
        ("kinds/all", kinds),
        ("kinds/empty", json!({})),
        ("kinds/ü 日本%2F", json!({"a": 1})),
        (
            "posts/p1/comments/c1",
            json!({"of a document": "that does not exist"}),
        ),
        ("posts/p1/comments/c1/likes/l1", json!({"n": 1})),
        ("posts2/p1", json!({"not": "under posts"})),
    ]
}

/// Documents by path, as an export has them.
fn documents(export: &str) -> Vec<(String, Value)> {
    let mut documents: Vec<_> = export
        .lines()
        .map(|line| {
            let document: Value = serde_json::from_str(line).unwrap();
            let path = document["path"].as_str().unwrap().to_owned();
            (path, document["data"].clone())
        })
        .collect();
    documents.sort_by(|left, right| left.0.cmp(&right.0));
    documents
}

/// The text without ` in 0.1 s (123/s)`.
fn without_times(text: &str) -> String {
    match (text.find(" imported in "), text.find("/s)")) {
        (Some(start), Some(end)) => format!("{} imported{}", &text[..start], &text[end + 3..]),
        _ => text.to_owned(),
    }
}

fn export(folder: &Path) -> Vec<(String, Value)> {
    documents(&run(folder, &["export"]).expect(0).stdout)
}

fn import(folder: &Path, arguments: &[&str]) -> Output {
    let mut all = vec!["import"];
    all.extend(arguments);
    run(folder, &all)
}

#[test]
fn the_films_come_back_as_they_went_in() {
    let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let file = movies_file();
    let imported = import(first.path(), &[file.to_str().unwrap(), "--collection", "movies"]).expect(0);
    assert!(
        imported.stdout.starts_with("3,201 documents imported in "),
        "{}",
        imported.stdout
    );
    let exported = export(first.path());
    assert_eq!(exported.len(), MOVIES_COUNT);
    // Ids follow the order of the file.
    for ((path, data), movie) in exported.iter().zip(movies()) {
        assert_eq!(*data, movie, "{path}");
    }

    let raw = run(first.path(), &["export", "movies"]).expect(0);
    fs::write(second.path().join("all.ndjson"), &raw.stdout).unwrap();
    import(second.path(), &["all.ndjson"]).expect(0);
    assert_eq!(export(second.path()), exported);
}

#[test]
fn every_kind_of_value_and_every_depth_survive() {
    let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut lines = String::new();
    for (path, data) in all_kinds() {
        let time = "2020-01-01T00:00:00.000000Z";
        let document =
            json!({"path": path, "version": "1", "createTime": time, "updateTime": time, "data": data});
        writeln!(lines, "{document}").unwrap();
    }
    fs::write(first.path().join("kinds.ndjson"), &lines).unwrap();
    import(first.path(), &["kinds.ndjson"]).expect(0);
    let exported = run(first.path(), &["export"]).expect(0).stdout;
    let mut expected: Vec<_> = all_kinds()
        .into_iter()
        .map(|(path, data)| (path.to_owned(), data))
        .collect();
    expected.sort_by(|left, right| left.0.cmp(&right.0));
    assert_eq!(documents(&exported), expected);
    // To the letter: a double stays a double.
    assert!(exported.contains("\"whole double\":2.0"), "{exported}");

    fs::write(second.path().join("again.ndjson"), &exported).unwrap();
    import(second.path(), &["again.ndjson"]).expect(0);
    assert_eq!(export(second.path()), expected);

    let part = run(first.path(), &["export", "posts"]).expect(0).stdout;
    let paths: Vec<_> = documents(&part).into_iter().map(|(path, _)| path).collect();
    assert_eq!(paths, ["posts/p1/comments/c1", "posts/p1/comments/c1/likes/l1"]);
}

#[test]
fn what_is_not_taken_is_named_and_the_rest_is_imported() {
    let folder = tempfile::tempdir().unwrap();
    let records = "[{\"id\":\"a\",\"n\":1},\n {\"id\":\"a\",\"n\":2},\n {\"id\":\"b/c\"},\n 5,\n \
        {\"id\":\"c\",\"at\":{\"$now\":true}},\n {\"id\":true},\n {\"n\":1},\n {\"id\":\"d\",\"n\":1,\"n\":2},\n \
        {\"id\":\"e\",},\n {\"id\":7}, {\"id\":\"a\",\"n\":1}]";
    fs::write(folder.path().join("r.json"), records).unwrap();
    let arguments = [
        "r.json",
        "--collection",
        "r",
        "--id",
        "id",
        "--rejects",
        "rejects.ndjson",
    ];
    let output = import(folder.path(), &arguments).expect(3);
    assert!(
        output.stdout.starts_with("2 documents imported in ")
            && output
                .stdout
                .trim_end()
                .ends_with(", 1 there already, 8 rejected"),
        "{}",
        output.stdout
    );
    insta::assert_snapshot!(output.stderr);
    let rejects = fs::read_to_string(folder.path().join("rejects.ndjson")).unwrap();
    let places: Vec<_> = rejects
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .map(|reject| {
            (
                reject["record"].as_u64().unwrap(),
                reject["line"].as_u64().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        places,
        [(2, 2), (3, 3), (4, 4), (5, 5), (6, 6), (7, 7), (8, 8), (9, 9)]
    );
    let ids: Vec<_> = export(folder.path()).into_iter().map(|(path, _)| path).collect();
    assert_eq!(ids, ["r/7", "r/a"]);
}

#[test]
fn what_was_imported_before_is_not_imported_twice_and_what_has_changed_since_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let arguments = ["r.json", "--collection", "r"];
    fs::write(folder.path().join("r.json"), r#"[{"n":1},{"n":1},{"n":2}]"#).unwrap();
    import(folder.path(), &arguments).expect(0);
    let first = export(folder.path());
    assert_eq!(first.len(), 3, "equal records are different documents");
    let again = import(folder.path(), &arguments).expect(0);
    assert!(again.stdout.contains("0 documents imported") && again.stdout.contains("3 there already"));
    assert_eq!(export(folder.path()), first);

    fs::write(folder.path().join("byid.json"), r#"[{"id":"x","n":1}]"#).unwrap();
    fs::write(folder.path().join("newer.json"), r#"[{"id":"x","n":2}]"#).unwrap();
    import(folder.path(), &["byid.json", "--collection", "x", "--id", "id"]).expect(0);
    let newer = ["newer.json", "--collection", "x", "--id", "id"];
    let left = import(folder.path(), &newer).expect(3);
    assert!(
        left.stderr.contains("`x/x` exists with other data; --replace"),
        "{}",
        left.stderr
    );
    let read = |folder: &Path| documents(&run(folder, &["export", "x"]).expect(0).stdout);
    assert_eq!(read(folder.path())[0].1["n"], 1);
    import(folder.path(), &[&newer[..], &["--replace"]].concat()).expect(0);
    assert_eq!(read(folder.path())[0].1["n"], 2);
}

#[test]
fn an_import_that_was_killed_goes_on_without_doubles() {
    const RECORDS: usize = 60_000;
    let folder = tempfile::tempdir().unwrap();
    let mut lines = String::new();
    for number in 0..RECORDS {
        writeln!(lines, "{{\"number\":{number},\"text\":\"{}\"}}", "x".repeat(100)).unwrap();
    }
    fs::write(folder.path().join("many.ndjson"), lines).unwrap();
    let arguments = ["import", "many.ndjson", "--collection", "many", "--batch", "100"];
    let mut broken_off = 0;
    for _ in 0..3 {
        let mut child = Command::new(program())
            .current_dir(folder.path())
            .args(arguments)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // As soon as a mebibyte has been written, and that is before it is done. It is in the write-ahead log first.
        let written = || {
            let bytes = |name: &str| {
                let file = folder.path().join("andiron-data").join(name);
                fs::metadata(file).map_or(0, |file| file.len())
            };
            bytes("andiron.db") + bytes("andiron.db-wal")
        };
        let before = written();
        while written() < before + (1 << 20) && child.try_wait().unwrap().is_none() {
            std::thread::sleep(Duration::from_millis(5));
        }
        broken_off += usize::from(child.try_wait().unwrap().is_none());
        child.kill().unwrap();
        child.wait().unwrap();
    }
    assert!(broken_off > 0, "the import was killed before it was done");
    let done = run(folder.path(), &arguments).expect(0);
    assert!(done.stdout.contains(" there already"), "{}", done.stdout);
    let numbers: Vec<_> = export(folder.path())
        .into_iter()
        .map(|(_, data)| data["number"].as_u64().unwrap())
        .collect();
    assert!(
        numbers.iter().copied().eq(0..RECORDS as u64),
        "each record once, in order"
    );
}

#[test]
fn commands_on_a_folder_go_through_its_running_server() {
    let folder = tempfile::tempdir().unwrap();
    let server = ServerProcess::start(program(), folder.path(), &[]);
    fs::write(
        folder.path().join("r.csv"),
        "name,age,member\nAda,36,true\nAlan,,false\n",
    )
    .unwrap();
    import(
        folder.path(),
        &["r.csv", "--collection", "people", "--id", "name"],
    )
    .expect(0);
    let url = format!("http://{}", server.address());
    let key = server.printed_key().unwrap();
    let through_url = run(folder.path(), &["export", "--url", &url, "--key", key]).expect(0);
    let expected = [
        (
            "people/Ada".to_owned(),
            json!({"name": "Ada", "age": 36, "member": true}),
        ),
        ("people/Alan".to_owned(), json!({"name": "Alan", "member": false})),
    ];
    assert_eq!(documents(&through_url.stdout), expected);
    assert_eq!(export(folder.path()), expected);
    fs::write(folder.path().join("more.json"), r#"[{"n":1}]"#).unwrap();
    let more = ["more.json", "--collection", "more", "--url", &url, "--key", key];
    import(folder.path(), &more).expect(0);
    assert_eq!(export(folder.path()).len(), 3);
}

#[test]
fn a_file_that_cannot_be_imported_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    write("object.json", "{\n  \"a\": 1\n}\n");
    write("broken.json", "[{\"a\":1}\n{\"a\":2}]");
    write("plain.ndjson", "{\"a\":1}\n");
    write("what.bin", "\0\0");
    write("double.csv", "a,a\n1,2\n");
    write("reserved.csv", "a,__b__\n1,2\n");
    write(
        "export.ndjson",
        r#"{"path":"a/b","version":"1","createTime":"2020-01-01T00:00:00Z","updateTime":"2020-01-01T00:00:00Z","data":{}}"#,
    );
    let mut said = String::new();
    for arguments in [
        &["none.json", "--collection", "c"][..],
        &["object.json", "--collection", "c"],
        &["broken.json", "--collection", "c"],
        &["plain.ndjson"],
        &["broken.json"],
        &["what.bin", "--collection", "c"],
        &["double.csv", "--collection", "c"],
        &["reserved.csv", "--collection", "c"],
        &["export.ndjson", "--collection", "c"],
        &["broken.json", "--collection", "a/b"],
        &["broken.json", "--collection", "_keys"],
        &["broken.json", "--collection", "c", "--url", "http://127.0.0.1:1"],
        &[
            "broken.json",
            "--collection",
            "c",
            "--url",
            "127.0.0.1:1",
            "--key",
            "k",
        ],
        &["broken.json", "--collection", "c", "--delimiter", "ab"],
    ] {
        let output = import(folder.path(), arguments);
        assert_ne!(output.code, Some(0), "{arguments:?}");
        writeln!(
            said,
            "$ andiron import {}\n{}",
            arguments.join(" "),
            without_times(&output.stderr)
        )
        .unwrap();
        writeln!(said, "exit code {}\n", output.code.unwrap()).unwrap();
    }
    insta::assert_snapshot!(said);
}

#[test]
fn an_import_ends_with_a_reason_when_the_server_is_not_there_or_refuses() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("r.json"), r#"[{"n":1}]"#).unwrap();
    let server = ServerProcess::start(program(), folder.path(), &[]);
    let url = format!("http://{}", server.address());
    let output = import(
        folder.path(),
        &["r.json", "--collection", "c", "--url", &url, "--key", "ak_x_y"],
    )
    .expect(1);
    assert!(output.stderr.contains("(unauthenticated)"), "{}", output.stderr);
}
