//! `andiron rules …` and `andiron types`, on files.

use std::fs;
use std::path::{Path, PathBuf};

use andiron_testkit::Output;
use serde_json::{Value, json};

use crate::{program, run};

const RULES: &str = "rules_version = '2';
service cloud.firestore {
  match /databases/{database}/documents {
    match /posts/{id} {
      allow read: if resource.data.published == true;
      allow update: if request.auth.uid == resource.data.author;
    }
  }
}
";

const TESTS: &str = "given {
  /posts/p1 {author: 'alice', published: true}
}
test \"authors\" {
  as 'alice' {
    allow get /posts/p1;
    allow update /posts/p1 {title: 'x'};
  }
  as 'bob' {
    deny update /posts/p1 {title: 'x'};
  }
}
";

/// A folder with these files.
fn project(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let file = folder.path().join(name);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, text).unwrap();
    }
    folder
}

fn blog() -> tempfile::TempDir {
    project(&[("andiron.rules", RULES), ("andiron.test.rules", TESTS)])
}

fn rules(folder: &Path, arguments: &[&str]) -> Output {
    let mut all = vec!["rules"];
    all.extend(arguments);
    run(folder, &all)
}

fn json_of(output: &Output) -> Value {
    serde_json::from_str(&output.stdout).unwrap()
}

fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/rules")
}

#[test]
fn the_rules_of_a_new_project_and_of_the_examples_are_checked_without_a_warning() {
    let folder = tempfile::tempdir().unwrap();
    run(folder.path(), &["init"]).expect(0);
    rules(folder.path(), &["check", "--deny-warnings"]).expect(0);
    rules(folder.path(), &["fmt", "--check"]).expect(0);
    let mut count = 0;
    for entry in fs::read_dir(examples()).unwrap() {
        let example = entry.unwrap().path();
        if example.is_dir() {
            count += 1;
            rules(&example, &["check", "--deny-warnings"]).expect(0);
            rules(&example, &["fmt", "--check"]).expect(0);
            rules(&example, &["test", "--min-coverage", "100"]).expect(0);
        }
    }
    assert!(count >= 4, "{count}");
}

#[test]
fn the_examples_that_are_of_version_2_keep_to_the_limits_of_firebase() {
    for example in ["tenants", "avatars"] {
        let folder = examples().join(example);
        rules(&folder, &["check", "--firebase-limits"]).expect(0);
        rules(&folder, &["test", "--firebase-limits"]).expect(0);
    }
}

#[test]
fn check_shows_places_and_hints_and_fails_on_errors_and_if_asked_on_warnings() {
    let folder = project(&[(
        "firestore.rules",
        "service cloud.firestore { match /databases/{d}/documents/a/{b} { allow read: if true; allow write: if x = 1; } }",
    )]);
    let output = rules(folder.path(), &["check"]).expect(1);
    assert!(
        output.stdout.contains("--> firestore.rules:1:105"),
        "{}",
        output.stdout
    );
    assert!(output.stdout.contains("hint: write `==`"), "{}", output.stdout);
    let json = json_of(&rules(folder.path(), &["check", "--json"]).expect(1));
    assert_eq!(json["errors"], json!(1));
    assert_eq!(json["diagnostics"][0]["code"], "syntax");
    assert_eq!(json["diagnostics"][0]["column"], json!(105));

    let open = project(&[(
        "open.rules",
        "service cloud.firestore { match /databases/{d}/documents/a/{b} { allow read: if true; } }",
    )]);
    rules(open.path(), &["check", "open.rules"]).expect(0);
    rules(open.path(), &["check", "open.rules", "--deny-warnings"]).expect(1);
    // The project itself has no rules, which is no success.
    rules(open.path(), &["check"]).expect(2);
    rules(open.path(), &["check", "missing.rules"]).expect(1);
}

#[test]
fn check_reads_imports_and_tests_too() {
    let folder = project(&[
        (
            "andiron.rules",
            "rules_version = 'andiron1';\nimport \"./lib/shared.rules\";\nservice cloud.firestore { match /databases/{d}/documents/a/{b} { allow get: if signedIn(); } }",
        ),
        (
            "lib/shared.rules",
            "rules_version = 'andiron1';\nfunction signedIn() { return request.auth != null; }",
        ),
        ("tests/a.test.rules", "test 'x' { allow get /a; }"),
    ]);
    let output = rules(folder.path(), &["check"]).expect(1);
    assert!(
        output.stdout.contains("--> tests/a.test.rules:1:22"),
        "{}",
        output.stdout
    );
    assert!(output.stderr.contains("1 error in 3 files"), "{}", output.stderr);
}

#[test]
fn fmt_rewrites_what_is_laid_out_otherwise_and_leaves_broken_files_alone() {
    let ugly = RULES.replace("  ", " ").replace("if resource", "if   resource");
    let folder = project(&[
        ("andiron.rules", &ugly),
        ("andiron.test.rules", TESTS),
        ("broken.rules", "service {"),
    ]);
    let output = rules(folder.path(), &["fmt", "--check"]).expect(1);
    assert_eq!(output.stdout, "andiron.rules\n");
    assert_eq!(
        fs::read_to_string(folder.path().join("andiron.rules")).unwrap(),
        ugly
    );
    rules(folder.path(), &["fmt"]).expect(1);
    assert_eq!(
        fs::read_to_string(folder.path().join("andiron.rules")).unwrap(),
        RULES
    );
    assert_eq!(
        fs::read_to_string(folder.path().join("broken.rules")).unwrap(),
        "service {"
    );
    fs::remove_file(folder.path().join("broken.rules")).unwrap();
    assert_eq!(rules(folder.path(), &["fmt", "--check"]).expect(0).stdout, "");
    // Nothing else is left in the folder.
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
}

#[test]
fn tests_that_hold_end_with_0_those_that_fail_with_1_and_broken_ones_with_2() {
    let folder = blog();
    let output = rules(folder.path(), &["test"]).expect(0);
    assert!(output.stdout.contains("ok    authors (3)"), "{}", output.stdout);
    assert!(
        output.stderr.contains("1 test, 3 expectations passed"),
        "{}",
        output.stderr
    );

    let wrong = TESTS.replace("deny update", "allow update");
    fs::write(folder.path().join("andiron.test.rules"), wrong).unwrap();
    let output = rules(folder.path(), &["test"]).expect(1);
    insta::assert_snapshot!(output.stdout);
    let json = json_of(&rules(folder.path(), &["test", "--json"]).expect(1));
    assert_eq!(json["passed"], json!(false));
    assert_eq!(json["tests"][0]["failures"][0]["line"], json!(10));
    assert_eq!(
        json["tests"][0]["failures"][0]["explanations"][0]["tried"][0]["result"],
        "false"
    );

    fs::write(folder.path().join("andiron.test.rules"), "test 'x' { allow }").unwrap();
    let output = rules(folder.path(), &["test"]).expect(2);
    assert!(
        output.stderr.contains("andiron.test.rules:1:18"),
        "{}",
        output.stderr
    );
    fs::write(folder.path().join("andiron.test.rules"), TESTS).unwrap();
    fs::write(folder.path().join("andiron.rules"), "service {").unwrap();
    rules(folder.path(), &["test"]).expect(2);
    fs::remove_file(folder.path().join("andiron.rules")).unwrap();
    rules(folder.path(), &["test"]).expect(2);
    fs::remove_file(folder.path().join("andiron.test.rules")).unwrap();
    rules(folder.path(), &["test"]).expect(2);
    rules(folder.path(), &["test", "--coverage", "pdf"]).expect(2);
}

#[test]
fn a_test_file_tests_what_it_names_else_its_namesake_else_the_project() {
    let deny = RULES.replace("published == true", "published == 5");
    let named = format!(
        "tests '../other.rules';\n{}",
        TESTS.replace("allow get", "deny get")
    );
    let folder = project(&[
        ("firestore.rules", RULES),
        ("other.rules", &deny),
        ("other.test.rules", &TESTS.replace("allow get", "deny get")),
        ("tests/named.test.rules", &named),
        ("tests/project.test.rules", TESTS),
    ]);
    rules(folder.path(), &["test"]).expect(0);
    rules(folder.path(), &["test", "tests/named.test.rules"]).expect(0);
    let json = json_of(&rules(folder.path(), &["test", "--json", "tests"]).expect(0));
    assert_eq!(json["tests"].as_array().unwrap().len(), 2);
}

#[test]
fn coverage_is_written_as_text_json_and_a_page_and_may_be_demanded() {
    let folder = blog();
    let output = rules(folder.path(), &["test", "--coverage", "text"]).expect(0);
    assert!(
        output
            .stdout
            .contains("5:22  only true: resource.data.published == true"),
        "{}",
        output.stdout
    );
    let output = rules(folder.path(), &["test", "--coverage", "json"]).expect(0);
    let json = json_of(&output);
    assert_eq!(json["files"][0]["file"], "andiron.rules");
    assert_eq!(json["files"][0]["byExpression"][0]["reach"], "only-true");
    assert_eq!(json["expressions"]["covered"], json["expressions"]["total"]);
    let json = json_of(&rules(folder.path(), &["test", "--coverage", "json", "--json"]).expect(0));
    assert_eq!(json["coverage"]["lines"], json!({"covered": 2, "total": 2}));
    rules(folder.path(), &["test", "--coverage", "html=page.html"]).expect(0);
    let page = fs::read_to_string(folder.path().join("page.html")).unwrap();
    assert!(page.starts_with("<!doctype html>") && page.contains("only true"));

    rules(folder.path(), &["test", "--min-coverage", "100"]).expect(0);
    let fewer = TESTS.replace("    allow get /posts/p1;\n", "");
    fs::write(folder.path().join("andiron.test.rules"), fewer).unwrap();
    rules(folder.path(), &["test", "--min-coverage", "50"]).expect(0);
    let output = rules(folder.path(), &["test", "--min-coverage", "90"]).expect(1);
    assert!(
        output.stderr.contains("--min-coverage asks for 90 %"),
        "{}",
        output.stderr
    );
}

#[test]
fn watching_runs_again_when_a_file_changes() {
    use std::io::{BufRead as _, BufReader};
    use std::process::{Command, Stdio};

    let folder = blog();
    let mut child = Command::new(program())
        .args(["rules", "test", "--watch"])
        .current_dir(folder.path())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = BufReader::new(child.stderr.take().unwrap())
        .lines()
        .map(Result::unwrap);
    let mut until = |wanted: &str| said.find(|line| line.contains(wanted)).unwrap();
    until("1 test, 3 expectations passed");
    until("waiting for a change");
    let wrong = TESTS.replace("deny update", "allow update");
    fs::write(folder.path().join("andiron.test.rules"), wrong).unwrap();
    until("1 of 1 test, 3 expectations failed");
    until("waiting for a change");
    // What is broken for a moment ends nothing.
    fs::write(folder.path().join("andiron.rules"), "service {").unwrap();
    until("cannot run before these errors are gone");
    fs::write(folder.path().join("andiron.rules"), RULES).unwrap();
    fs::write(folder.path().join("andiron.test.rules"), TESTS).unwrap();
    until("1 test, 3 expectations passed");
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn explain_answers_by_files_as_text_and_as_json() {
    let folder = blog();
    let request = json!({
        "service": "cloud.firestore", "method": "update", "path": "posts/p1",
        "auth": {"uid": "bob", "token": {"email": "b@x.org"}}, "time": "2026-11-22T05:40:35Z",
        "before": {"author": "alice"}, "after": {"author": "bob"}, "documents": {},
    });
    fs::write(folder.path().join("request.json"), request.to_string()).unwrap();
    let base = ["explain", "--rules", "andiron.rules", "--request", "request.json"];
    insta::assert_snapshot!(rules(folder.path(), &base).expect(0).stdout);
    let json = json_of(&rules(folder.path(), &[&base[..], &["--json"]].concat()).expect(0));
    assert_eq!(json["allowed"], json!(false));
    assert_eq!(json["tried"][0]["line"], json!(6));
    // Without a server and without --rules, by the project's files.
    let by_project = ["explain", "--request", "request.json", "--json"];
    assert_eq!(json_of(&rules(folder.path(), &by_project).expect(0)), json);
    fs::write(
        folder.path().join("request.json"),
        json!([request, request]).to_string(),
    )
    .unwrap();
    let both = json_of(&rules(folder.path(), &[&base[..], &["--json"]].concat()).expect(0));
    assert_eq!(both, json!([json, json]));

    fs::write(
        folder.path().join("request.json"),
        "{\n  \"method\": \"get\", \"paht\": 1}",
    )
    .unwrap();
    let output = rules(folder.path(), &base).expect(2);
    assert!(output.stderr.contains("2:2"), "{}", output.stderr);
    rules(
        folder.path(),
        &["explain", "--rules", "none.rules", "--request", "request.json"],
    )
    .expect(1);
}

#[test]
fn types_are_printed_for_every_language() {
    let folder = project(&[(
        "andiron.rules",
        "rules_version = 'andiron1';\ntype Post = { title: string, at?: timestamp };\nservice cloud.firestore { match /databases/{d}/documents/posts/{id} is Post { allow get: if request.auth != null; } }",
    )]);
    let typescript = run(folder.path(), &["types", "--lang", "ts"]).expect(0).stdout;
    assert!(typescript.contains("export interface Post {\n  title: string;\n  at?: Timestamp;\n}"));
    assert!(typescript.contains("\"posts\": Post;"));
    let rust = run(
        folder.path(),
        &["types", "--lang", "rust", "--rules", "andiron.rules"],
    )
    .expect(0)
    .stdout;
    assert!(rust.contains("pub struct Post {\n    pub title: String,"));
    let schema = run(folder.path(), &["types", "--lang", "json-schema"])
        .expect(0)
        .stdout;
    let schema: Value = serde_json::from_str(&schema).unwrap();
    assert_eq!(schema["$defs"]["Post"]["required"], json!(["title"]));
    run(folder.path(), &["types", "--lang", "cobol"]).expect(2);
}
