//! How errors spread and are absorbed, laziness, scopes, and matching.

use andiron_protocol::{Query, Source as QuerySource};
use andiron_rules::Limits;
use andiron_rules::evaluate::{Decision, Documents, Method, Request, Target};

use crate::evaluate_support::{World, check_table, data, firestore, path, ruleset, ruleset_with, world};

/// An operand that is true, false, failing, or no bool.
const OPERANDS: [(&str, char); 4] = [("true", 't'), ("false", 'f'), ("(1 / 0 == 0)", 'e'), ("5", 'x')];

#[test]
fn or_is_true_if_either_side_is_and_else_fails_if_either_fails() {
    for (left, l) in OPERANDS {
        for (right, r) in OPERANDS {
            let value = world().value_in("2", "", &format!("{left} || {right}"));
            let fails = |side| matches!(side, 'e' | 'x');
            match (l, r) {
                ('t', _) | (_, 't') => assert_eq!(value, "true", "{left} || {right}"),
                _ if fails(l) || fails(r) => assert!(value.starts_with("! "), "{left} || {right}: {value}"),
                _ => assert_eq!(value, "false", "{left} || {right}"),
            }
        }
    }
}

#[test]
fn and_is_false_if_either_side_is_and_else_fails_if_either_fails() {
    for (left, l) in OPERANDS {
        for (right, r) in OPERANDS {
            let value = world().value_in("2", "", &format!("{left} && {right}"));
            let fails = |side| matches!(side, 'e' | 'x');
            match (l, r) {
                ('f', _) | (_, 'f') => assert_eq!(value, "false", "{left} && {right}"),
                _ if fails(l) || fails(r) => assert!(value.starts_with("! "), "{left} && {right}: {value}"),
                _ => assert_eq!(value, "true", "{left} && {right}"),
            }
        }
    }
}

#[test]
fn chains_absorb_like_nested_pairs() {
    for (first, _) in OPERANDS {
        for (second, _) in OPERANDS {
            for (third, _) in OPERANDS {
                for operator in ["&&", "||"] {
                    let chain = world().value_in(
                        "2",
                        "",
                        &format!("{first} {operator} {second} {operator} {third}"),
                    );
                    let nested = world().value_in(
                        "2",
                        "",
                        &format!("{first} {operator} ({second} {operator} {third})"),
                    );
                    let outcome = |value: &str| value.chars().next();
                    assert_eq!(
                        outcome(&chain),
                        outcome(&nested),
                        "{first} {operator} {second} {operator} {third}"
                    );
                }
            }
        }
    }
}

#[test]
fn everything_else_is_strict() {
    check_table(
        "2",
        "",
        &[
            ("!(1 / 0 == 0)", "! Divide by zero error."),
            ("(1 / 0) == (1 / 0)", "! Divide by zero error."),
            ("[1 / 0].size()", "! Divide by zero error."),
            ("{'a': 1 / 0}.size()", "! Divide by zero error."),
            (
                "'a'.matches(resource.data.gone)",
                "! Property gone is undefined on object.",
            ),
            ("(1 / 0) is int", "! Divide by zero error."),
            ("1 in [1, 1 / 0]", "! Divide by zero error."),
            ("debug(1 / 0)", "! Divide by zero error."),
            ("!(1 / 0 == 0) || true", "true"),
            ("null && true", "! Null value error."),
            (
                "'a' || false",
                "! Unsupported operation error. Received: || string. Expected: || bool.",
            ),
            (
                "resource.data.gone == 1 || resource.data.owner == request.auth.uid",
                "true",
            ),
        ],
    );
}

#[test]
fn a_condition_that_is_no_bool_does_not_grant() {
    for condition in ["1", "'true'", "null", "[true]"] {
        let rules = ruleset(&firestore(
            "2",
            &format!("match /a/{{b}} {{ allow get: if {condition}; }}"),
        ));
        let world = World::new("a/b", Method::Get);
        let Decision::Deny(denial) = world.decide(&rules) else {
            panic!("{condition}");
        };
        assert!(denial.tried[0].error.is_some(), "{condition}");
    }
}

#[test]
fn bindings_and_arguments_are_evaluated_when_needed() {
    let prelude = "
        function guarded(x) { let broken = 1 / 0; return x == null || broken == 1; }
        function second(a, b) { return b; }
        function twice(x) { return x + x; }
        function late() { let a = resource.data.gone; let b = a.deeper; return 'gone' in resource.data && b == 1; }";
    check_table(
        "2",
        prelude,
        &[
            ("guarded(null)", "true"),
            ("guarded(1)", "! Divide by zero error."),
            ("second(1 / 0, 2)", "2"),
            ("twice(resource.data.n)", "10"),
            ("late()", "false"),
            ("second(1)", "! Function not found error: Name: [second]."),
        ],
    );
}

#[test]
fn a_value_is_computed_once() {
    let limits = Limits {
        expressions_max: 200,
        ..Limits::default()
    };
    // Were each use of a binding to compute it again, the work would double at each.
    let lets: String = (1..11)
        .map(|n| format!("let x{n} = x{} + x{};", n - 1, n - 1))
        .collect();
    let body = format!(
        "function f() {{ let x0 = 1; {lets} return x10 == 1024; }} match /a/{{b}} {{ allow get: if f(); }}"
    );
    assert!(World::new("a/b", Method::Get).allows(&ruleset_with(&firestore("2", &body), limits)));
}

#[test]
fn functions_see_what_is_around_their_declaration() {
    let rules = ruleset(
        "rules_version = '2';
        function who() { return 'top'; }
        function top() { return who(); }
        service cloud.firestore {
            function here() { return who(); }
            match /databases/{database}/documents {
                function db() { return database; }
                match /a/{x} {
                    function who() { return 'inner'; }
                    function captured() { return x; }
                    match /b/{x} {
                        allow get: if top() == 'top' && here() == 'top' && who() == 'inner' && db() == '(default)'
                            && captured() == 'outer' && x == 'nested' && shadow('s') == 's' && bound(1) == 3;
                        function shadow(x) { return x; }
                        function bound(n) { let x = n + 1; return x + n; }
                    }
                }
            }
        }",
    );
    assert!(World::new("a/outer/b/nested", Method::Get).allows(&rules));
}

#[test]
fn recursion_is_stopped() {
    let body = "function f(n) { return n == 0 || f(n - 1); } match /a/{b} { allow get: if f(1000); }";
    let Decision::Deny(denial) = World::new("a/b", Method::Get).decide(&ruleset(&firestore("2", body)))
    else {
        panic!();
    };
    let error = denial.tried[0].error.as_ref().unwrap();
    assert_eq!(
        error.to_string(),
        "The maximum of 21 functions calling each other has been reached."
    );
}

#[test]
fn twenty_one_functions_may_call_each_other() {
    let chain = |length: usize| {
        let functions: String = (1..length)
            .map(|n| format!("function f{n}() {{ return f{}(); }}", n + 1))
            .collect();
        let body = format!(
            "{functions} function f{length}() {{ return true; }} match /a/{{b}} {{ allow get: if f1(); }}"
        );
        World::new("a/b", Method::Get).allows(&ruleset(&firestore("2", &body)))
    };
    assert!(chain(21));
    assert!(!chain(22));
}

/// Whether a document may be read where `pattern` allows it, and what `{x…}` captures as text.
fn captured(version: &str, pattern: &str, at: &str) -> Option<String> {
    let rules = ruleset(&firestore(
        version,
        &format!("match {pattern} {{ allow get: if string(x) != ''; }}"),
    ));
    let world = World::new(at, Method::Get);
    let (decision, attempts) = rules.explain(&world.request(), &world.documents);
    if !matches!(decision, Decision::Allow(_)) {
        return None;
    }
    let attempt = attempts.last().unwrap();
    let entry = attempt.trace.iter().find(|entry| entry.depth == 3).unwrap();
    Some(entry.result.clone().unwrap())
}

#[test]
fn patterns_match_whole_paths() {
    for (pattern, at, expected) in [
        ("/a/{x}", "a/1", Some("'1'")),
        ("/a/{x}", "b/1", None),
        ("/a/{x}", "a/1/b/2", None),
        ("/a/{x}/b/{y}", "a/1/b/2", Some("'1'")),
        ("/a/{x}/b/{y}", "a/1", None),
        ("/{x}/{y}", "a/1", Some("'a'")),
        ("/{x=*}/{y}", "a/1", Some("'a'")),
        ("/{x=**}", "a/1", Some("/a/1")),
        ("/{x=**}", "a/1/b/2", Some("/a/1/b/2")),
        ("/a/{x=**}", "a/1/b/2", Some("/1/b/2")),
        ("/a/1/{x=**}", "a/1", Some("/")),
        ("/{x=**}/b/{y}", "a/1/b/2", Some("/a/1")),
        ("/{x=**}/a/{y}", "a/1", Some("/")),
        ("/{x=**}/{c}/{y}", "a/1/b/2", Some("/a/1")),
        ("/a/{x=**}/c/{y}", "a/1/b/2/c/3", Some("/1/b/2")),
        ("/a/{x=**}/c/{y}", "a/1/b/2", None),
        ("/a%20b/{x}", "a b/1", Some("'1'")),
    ] {
        assert_eq!(
            captured("2", pattern, at).as_deref(),
            expected,
            "{pattern} with {at}"
        );
    }
}

#[test]
fn globs_of_version_1_match_one_segment_or_more() {
    for version in ["", "1"] {
        assert_eq!(captured(version, "/{x=**}", "a/1").as_deref(), Some("/a/1"));
        assert_eq!(captured(version, "/a/{x=**}", "a/1").as_deref(), Some("/1"));
        assert_eq!(captured(version, "/a/1/{x=**}", "a/1"), None);
        assert_eq!(
            captured(version, "/a/1/{x=**}", "a/1/b/2").as_deref(),
            Some("/b/2")
        );
    }
}

#[test]
fn a_path_may_match_in_several_ways_and_each_is_tried() {
    let body = "match /{x=**} { match /{y=**} { allow get: if x == /a/1 && y == /b/2; } }";
    let rules = ruleset(&firestore("2", body));
    assert!(World::new("a/1/b/2", Method::Get).allows(&rules));
    assert!(!World::new("a/1/b/3", Method::Get).allows(&rules));
}

#[test]
fn globs_in_globs_are_bounded() {
    let nested = (0..9).fold("allow get: if false;".to_owned(), |inner, n| {
        format!("match /{{x{n}=**}} {{ match /z/{{y{n}}} {{ allow get: if false; }} {inner} }}")
    });
    let at = vec!["s"; 90].join("/");
    let Decision::Deny(denial) = World::new(&at, Method::Get).decide(&ruleset(&firestore("2", &nested)))
    else {
        panic!();
    };
    assert!(denial.error.is_some());
}

#[test]
fn every_matching_allow_counts_and_errors_stop_no_other() {
    let body = "match /a/{x} { allow get: if 1 / 0 == 0; allow read: if false; }
        match /{any}/{x} { allow get: if resource.data.gone; }
        match /{all=**} { allow get: if all[0] == 'a'; }";
    let rules = ruleset(&firestore("2", body));
    assert!(World::new("a/1", Method::Get).before("{}").allows(&rules));
    let Decision::Deny(denial) = World::new("b/1", Method::Get).before("{}").decide(&rules) else {
        panic!();
    };
    assert_eq!(denial.tried.len(), 2);
    assert!(denial.tried[0].error.is_some() && denial.tried[1].error.is_none());
}

#[test]
fn operations_and_their_groups() {
    for (operations, expected) in [
        ("read", "get list"),
        ("write", "create update delete"),
        ("get", "get"),
        ("list", "list"),
        ("create, delete", "create delete"),
        ("update, read", "get list update"),
    ] {
        let rules = ruleset(&firestore(
            "2",
            &format!("match /a/{{b}} {{ allow {operations}; }}"),
        ));
        for method in Method::ALL {
            let allowed = World::new("a/b", method).allows(&rules);
            assert_eq!(
                allowed,
                expected.split(' ').any(|name| name == method.as_str()),
                "{operations}: {method:?}"
            );
        }
    }
}

#[test]
fn without_a_matching_pattern_everything_is_denied() {
    let rules = ruleset(&firestore("2", "match /a/{b} { allow read, write; }"));
    for method in Method::ALL {
        let Decision::Deny(denial) = World::new("b/a", method).decide(&rules) else {
            panic!();
        };
        assert!(denial.tried.is_empty());
    }
}

#[test]
fn queries_over_groups_need_a_glob_before_the_collection() {
    let group = |version: &str, body: &str| {
        let mut world = World::new("a/1/c/2", Method::List);
        world.query = Some(Query::all(QuerySource::Group("c".to_owned())));
        world.allows(&ruleset(&firestore(version, body)))
    };
    assert!(group("2", "match /{p=**}/c/{id} { allow list; }"));
    assert!(group("2", "match /{p=**}/{c}/{id} { allow read; }"));
    assert!(group("2", "match /{all=**} { allow read; }"));
    assert!(group("2", "match /{p=**} { match /c/{id} { allow list; } }"));
    assert!(!group("2", "match /a/{x}/c/{id} { allow list; }"));
    assert!(!group("2", "match /a/{p=**} { allow list; }"));
    assert!(!group("2", "match /{p=**}/a/{x}/c/{id} { allow list; }"));
    assert!(!group("2", "match /{p=**}/d/{id} { allow list; }"));
    assert!(!group("1", "match /{all=**} { allow read; }"));
    let mut single = World::new("a/1/c/2", Method::List);
    single.query = Some(Query::all(QuerySource::Collection("a/1/c".parse().unwrap())));
    assert!(single.allows(&ruleset(&firestore("2", "match /a/{x}/c/{id} { allow list; }"))));
    assert!(single.allows(&ruleset(&firestore("2", "match /{p=**}/c/{id} { allow list; }"))));
}

#[test]
fn queries_tell_their_limit_and_order() {
    let query: Query =
        andiron_protocol::from_json(br#"{"from": "a", "limit": 10, "orderBy": [["n", "desc"]]}"#).unwrap();
    let mut world = World::new("a/1", Method::List).before("{}");
    world.query = Some(query);
    let value = |expression: &str| world.value_in("2", "", expression);
    assert_eq!(value("request.query.limit"), "10");
    assert_eq!(value("request.query.offset"), "0");
    assert_eq!(value("request.query.orderBy"), "{'n': 'DESC'}");
    world.query = Some(Query::all(QuerySource::Collection("a".parse().unwrap())));
    assert_eq!(world.value_in("2", "", "request.query.limit"), "null");
    assert_eq!(
        world.value_in("2", "", "request.query.limit <= 10"),
        "! Null value error."
    );
}

#[test]
fn a_document_that_is_not_there_is_null() {
    let world = World::new("a/1", Method::Create).after(r#"{"n": 1}"#);
    for (expression, expected) in [
        ("resource == null", "true"),
        ("resource.data", "! Null value error."),
        ("resource.data.n == 1 || true", "true"),
        ("request.resource.data.n", "1"),
        ("request.auth == null", "true"),
        ("request.auth.uid", "! Null value error."),
        ("request.auth != null && request.auth.uid == 'x'", "false"),
    ] {
        assert_eq!(world.value_in("2", "", expression), expected, "{expression}");
    }
    let world = World::new("a/1", Method::Delete).before(r#"{"n": 1}"#);
    assert_eq!(
        world.value_in("2", "", "request.resource"),
        "! Property resource is undefined on object."
    );
    let world = World::new("a/1", Method::Get).before(r#"{"n": 1}"#);
    assert_eq!(
        world.value_in("2", "", "request.resource.data"),
        "! Property resource is undefined on object."
    );
}

#[test]
fn files_are_matched_and_seen_by_the_rules_of_storage() {
    let source = |version: &str| {
        format!(
            "{version} service firebase.storage {{ match /b/{{bucket}}/o {{
                match /images/{{name}} {{
                    allow create: if resource == null && request.resource.size < 100
                        && request.resource.contentType.matches('image/.*') && name == 'a.png';
                    allow get: if resource.metadata.owner == request.auth.uid && bucket == 'main';
                    allow delete: if firestore.get(/databases/(default)/documents/users/$(request.auth.uid)).data.admin;
                }}
                match /{{all=**}} {{ allow list; allow update: if all == /images/a.png && get(/a/b) == null; }}
            }} }}"
        )
    };
    let rules = ruleset(&source("rules_version = '2';"));
    let metadata = data(r#"{"size": 50, "contentType": "image/png", "metadata": {"owner": "alice"}}"#);
    let token = data("{}");
    let mut documents = Documents::new();
    let mut request = Request {
        target: Target::File {
            bucket: "main",
            name: "images/a.png",
        },
        method: Method::Create,
        auth: Some(andiron_rules::evaluate::Auth {
            uid: "alice",
            token: &token,
        }),
        time: "2026-11-22T05:40:35Z".parse().unwrap(),
        before: None,
        after: Some(&metadata),
        query: None,
    };
    assert!(matches!(rules.decide(&request, &documents), Decision::Allow(_)));
    request.before = Some(&metadata);
    assert!(matches!(rules.decide(&request, &documents), Decision::Deny(_)));
    request.method = Method::Get;
    assert!(matches!(rules.decide(&request, &documents), Decision::Allow(_)));
    request.method = Method::Delete;
    assert_eq!(
        rules.decide(&request, &documents),
        Decision::Needs(vec![path("users/alice")])
    );
    documents.insert(path("users/alice"), Some(data(r#"{"admin": true}"#).into()));
    assert!(matches!(rules.decide(&request, &documents), Decision::Allow(_)));
    // The functions of documents' rules do not exist for files.
    request.method = Method::Update;
    assert!(matches!(rules.decide(&request, &documents), Decision::Deny(_)));
    request.method = Method::List;
    assert!(matches!(rules.decide(&request, &documents), Decision::Allow(_)));
    assert!(matches!(
        ruleset(&source("")).decide(&request, &documents),
        Decision::Deny(_)
    ));
}

#[test]
fn bindings_of_a_match_are_seen_inside_of_it() {
    let body = "let db = database;
        match /a/{x} {
            let name = x + '!';
            let broken = 1 / 0;
            function shout() { return name + db; }
            match /b/{y} { let both = name + y; allow get: if both == '1!2' && shout() == '1!(default)'; }
        }";
    assert!(World::new("a/1/b/2", Method::Get).allows(&ruleset(&firestore("andiron1", body))));
}
