//! What the checker says, and what it does not say, one condition at a time.

use andiron_rules::{Checked, Code, Limits, Program, Severity, Source, check};

/// Checks a text that has to parse.
fn check_text(text: &str) -> (Program, Checked) {
    check_text_within(text, &Limits::default())
}

fn check_text_within(text: &str, limits: &Limits) -> (Program, Checked) {
    let program = Program::single(Source::new("test.rules", text).unwrap());
    assert!(
        program.diagnostics().is_empty(),
        "{:?}\n{text}",
        program.diagnostics()
    );
    let checked = check(&program, limits);
    (program, checked)
}

/// The codes of what is said about a text.
fn codes(text: &str) -> Vec<Code> {
    check_text(text)
        .1
        .diagnostics()
        .iter()
        .map(|diagnostic| diagnostic.code)
        .collect()
}

fn members(version: &str, members: &str) -> String {
    format!(
        "rules_version = '{version}'; service cloud.firestore {{ match /databases/{{database}}/documents {{ {members} }} }}"
    )
}

/// The codes of what is said about a condition of an update, which has everything that a condition can ask for.
fn about(condition: &str) -> Vec<Code> {
    codes(&members(
        "2",
        &format!("match /posts/{{id}} {{ allow update: if request.auth != null && ({condition}); }}"),
    ))
}

/// The codes of what is said about an allow below `/posts/{id}`.
fn about_allow(allow: &str) -> Vec<Code> {
    codes(&members("2", &format!("match /posts/{{id}} {{ {allow} }}")))
}

#[track_caller]
fn expect(condition: &str, expected: &[Code]) {
    assert_eq!(about(condition), expected, "{condition}");
}

#[track_caller]
fn expect_allow(allow: &str, expected: &[Code]) {
    assert_eq!(about_allow(allow), expected, "{allow}");
}

#[test]
fn names_that_are_not_there_are_warned_about() {
    for condition in [
        "x",
        "auth != null",
        "f()",
        "math.foo(1) > 1",
        "resource.data.a is strng",
        "isOwner",
        "request.auth",
    ] {
        let expected = if condition == "request.auth" {
            Code::TypeMismatch
        } else {
            Code::UnknownName
        };
        expect(condition, &[expected]);
    }
    for condition in [
        "resource.title == ''",
        "request.foo == 1",
        "request.auth.email == ''",
        "request['foo'] == 1",
        "resource.data.tags.length() > 0",
        "resource.data.tags.contains('a')",
        "'a'.foo() == 1",
        "get(/databases/$(database)/documents/a/b).title == 1",
    ] {
        expect(condition, &[Code::UnknownMember]);
    }
}

#[test]
fn names_that_are_there_are_not() {
    for condition in [
        "request.auth.token.anything == 1",
        "request.auth.token.firebase.identities['google.com'][0] == ''",
        "resource.data.anything.at.all == 1",
        "resource.id == id && resource.__name__ == request.path",
        "request.time.toMillis() > 5 && request.method == 'update'",
        "get(/databases/$(database)/documents/users/$(request.auth.uid)).data.admin",
        "getAfter(/databases/$(database)/documents/a/b) != null && existsAfter(/databases/$(database)/documents/a/b)",
        "math.abs(-1) == 1 && hashing.md5('a').toHexString() == '' && debug(id) == id",
        "duration.value(1, 'h') < duration.time(1, 2, 3, 4) && latlng.value(1, 2.5).distance(latlng.value(0, 0)) > 1",
        "int('5') + 1 == 6 && float(1) > .5 && string(1) == '1' && path('/a/b') == /a/b",
        "resource.data.a.get(['x', 'y'], 1) == 1 && resource.data.keys().toSet().union(['a'].toSet()).size() > 1",
        "request.resource.data.diff(resource.data).affectedKeys().hasOnly(['a'])",
        "request.auth.uid != null",
        "resource == null || resource.data.x is number || resource.data.x is constraint",
        "id[0] == 'a' && id[0:2] == 'ab' && request.path[1] == 'x' && id.split('-')[0] == 'b'",
        "1 == 1.5 || [1] == ['a'] || -9223372036854775808 < 0",
        "request.time - resource.data.at < duration.value(1, 'd') && request.time.date() + duration.value(1, 'd') > request.time",
        "'a' in resource.data && 'a' in resource.data.tags && 1 in [1].toSet()",
    ] {
        expect(condition, &[]);
    }
}

#[test]
fn in_andiron1_what_is_not_known_is_an_error() {
    for (version, severity) in [("2", Severity::Warning), ("andiron1", Severity::Error)] {
        for condition in [
            "x == 1",
            "f()",
            "resource.title == ''",
            "math.abs() == 1",
            "request.time < 5",
            "[1] + [2] == []",
        ] {
            let text = members(
                version,
                &format!("match /posts/{{id}} {{ allow update: if {condition}; }}"),
            );
            let (_, checked) = check_text(&text);
            let found: Vec<Severity> = checked
                .diagnostics()
                .iter()
                .map(|diagnostic| diagnostic.severity)
                .collect();
            assert_eq!(found, [severity], "{version}: {condition}");
        }
    }
}

#[test]
fn calls_with_the_wrong_number_of_arguments_are_warned_about() {
    for condition in [
        "exists()",
        "exists(/databases/a/documents/b/c, 1)",
        "id.size(1) == 1",
        "resource.data.get('a') == 1",
        "math.pow(1) == 1",
        "duration.value(1) == duration.value(1, 's')",
    ] {
        expect(condition, &[Code::WrongArity]);
    }
    let text = members(
        "2",
        "function f(a, b) { return a == b; } match /p/{id} { allow update: if f(1); }",
    );
    assert_eq!(codes(&text), [Code::WrongArity]);
}

#[test]
fn operations_that_always_fail_are_warned_about() {
    for condition in [
        "request.time < 5",
        "request.time + 5 > request.time",
        "id + 5 == ''",
        "'a' < 1",
        "!id",
        "id && true",
        "id ? true : false",
        "-id == 1",
        "5 in 5",
        "1 in {'a': 1}",
        "request.method == 5",
        "id.matches(5)",
        "exists('users/a')",
        "null.foo == 1",
        "5[0] == 1",
        "5[0:1] == 1",
        "id['a'] == 'b'",
        "resource.data.keys().toSet().union(['a']).size() == 1",
        "{1: 2}.size() == 1",
        "request.time * 2 == 1",
        "id.foo == 1",
    ] {
        expect(condition, &[Code::TypeMismatch]);
    }
    expect("([1] + [2]).size() == 1", &[Code::ListAddition]);
    expect("resource.data.hasAll(['a'])", &[Code::HasMethodOnMap]);
}

#[test]
fn length_is_recognised_where_it_is_no_field() {
    for condition in [
        "resource.data.title.length > 1",
        "id.length > 1",
        "resource.data.keys().length > 1",
        "resource.data.keys().size > 1",
    ] {
        expect(condition, &[Code::LengthProperty]);
    }
    expect("resource.data.length > 1", &[]);
}

#[test]
fn patterns_of_regular_expressions_are_checked() {
    for condition in [
        "id.matches('(?=a)b')",
        "id.matches('a**')",
        "id.split('[')[0] == ''",
        "id.replace('(', '') == ''",
    ] {
        expect(condition, &[Code::InvalidPattern]);
    }
    expect("id.matches('^[a-z]+$') && id.matches(resource.data.pattern)", &[]);
}

#[test]
fn recursion_is_an_error_that_prints_the_circle() {
    let text = members(
        "2",
        "function a() { return b(); } function b() { let x = 1; return x == 1 && c(1); } function c(x) { return x == 1 && a(); } \
         match /p/{id} { allow update: if a(); }",
    );
    let (_, checked) = check_text(&text);
    let messages: Vec<&str> = checked
        .diagnostics()
        .iter()
        .map(|diagnostic| &*diagnostic.message)
        .collect();
    assert_eq!(messages, ["recursive call is not allowed: a → b → c → a"]);
    let text = members(
        "andiron1",
        "function a() { return b; } match /p/{id} { let c = 1; allow update: if c == 1 && d; let d = f(); function f() { return d; } }",
    );
    let (_, checked) = check_text(&text);
    assert!(
        checked
            .diagnostics()
            .iter()
            .any(|diagnostic| diagnostic.message == "recursive call is not allowed: d → f → d"),
        "{:?}",
        checked.diagnostics()
    );
}

#[test]
fn types_may_contain_themselves_in_parts_only() {
    for (types, is_error) in [
        ("type A = { children: list<A>, next?: A | null };", false),
        ("type A = A;", true),
        ("type A = B | int; type B = list<int> | A;", true),
        ("type A = { b: int } where this is A;", true),
        (
            "type A = { b: int where f(this) }; function f(x) { return x is A; }",
            true,
        ),
        (
            "type A = { b: int where f(this) }; function f(x) { return x is B; } type B = int;",
            false,
        ),
    ] {
        let text = format!("rules_version = 'andiron1'; {types}");
        let found = codes(&text).contains(&Code::Recursion);
        assert_eq!(
            found,
            is_error,
            "{types}: {:?}",
            check_text(&text).1.diagnostics()
        );
    }
}

#[test]
fn limits_are_enforced_and_print_what_was_found() {
    let strict = Limits::firebase_strict();
    let chain = |length: usize| {
        let functions: String = (0..length)
            .map(|index| match index + 1 == length {
                true => format!("function f{index}() {{ return true; }} "),
                false => format!("function f{index}() {{ return f{}(); }} ", index + 1),
            })
            .collect();
        members(
            "2",
            &format!("{functions} match /p/{{id}} {{ allow update: if f0(); }}"),
        )
    };
    let exceeds = |text: &str, limits: &Limits| {
        let (_, checked) = check_text_within(text, limits);
        checked
            .diagnostics()
            .iter()
            .any(|diagnostic| diagnostic.code == Code::Limit)
    };
    assert!(!exceeds(&chain(21), &strict));
    assert!(exceeds(&chain(22), &strict));

    let lets = |count: usize| {
        let lets: String = (0..count)
            .map(|index| format!("let a{index} = {index}; "))
            .collect();
        format!("function f() {{ {lets} return 1; }}")
    };
    assert!(!exceeds(&lets(11), &strict));
    assert!(exceeds(&lets(12), &strict));

    let parameters = |count: usize| {
        let names: Vec<String> = (0..count).map(|index| format!("a{index}")).collect();
        format!("function f({}) {{ return 1; }}", names.join(", "))
    };
    assert!(!exceeds(&parameters(7), &strict));
    assert!(exceeds(&parameters(8), &strict));

    let nested = |depth: usize| {
        format!(
            "rules_version = '2'; service cloud.firestore {{ {} allow read: if false; {} }}",
            "match /{a} { ".repeat(depth),
            "} ".repeat(depth)
        )
    };
    assert!(!exceeds(&nested(10), &strict));
    assert!(exceeds(&nested(11), &strict));

    let operands = |count: usize| about_update(&vec!["true"; count].join(" && "));
    assert!(!exceeds(&operands(98), &strict));
    assert!(exceeds(&operands(99), &strict));

    let long = format!("{}{}", operands(2), " ".repeat(300_000));
    assert!(exceeds(&long, &strict));
    assert!(!exceeds(&long, &Limits::default()));
}

fn about_update(condition: &str) -> String {
    members(
        "2",
        &format!("match /posts/{{id}} {{ allow update: if {condition}; }}"),
    )
}

#[test]
fn a_long_chain_of_calls_is_walked_without_recursion() {
    let functions: String = (0..20_000)
        .map(|index| format!("function f{index}() {{ return f{}(); }} ", index + 1))
        .collect();
    let found = codes(&functions);
    assert!(found.contains(&Code::Limit));
}

#[test]
fn declarations_that_clash_are_errors() {
    for text in [
        "function f() { let a = 1; let a = 2; return a; }",
        "function f(a) { let a = 2; return a; }",
        "function f(a, a) { return a; }",
        "function f() { return 1; } function f() { return 2; }",
    ] {
        assert!(codes(text).contains(&Code::DuplicateName), "{text}");
    }
    let text = members(
        "2",
        "match /a/{x} { function f(x) { let y = x; return y; } allow update: if f(1) == 1; match /b/{x} { function f() { return x; } allow update: if f() == ''; } }",
    );
    assert_eq!(codes(&text), []);
}

#[test]
fn what_is_never_used_is_warned_about() {
    let text = members(
        "2",
        "function f(a, _b, d) { let c = 1; return a; } function g() { return f(1, 2, 3); } match /p/{id} { allow update: if f(1, 2, 3); }",
    );
    assert_eq!(
        codes(&text),
        [Code::UnusedVariable, Code::UnusedVariable, Code::UnusedFunction]
    );
}

#[test]
fn inner_functions_and_captures_shadow_outer_ones() {
    let text = members(
        "2",
        "function f() { return 1; } match /p/{id} { function f() { return id == 'a'; } allow update: if f(); } match /q/{id} { allow update: if f() == 1; }",
    );
    let (program, checked) = check_text(&text);
    assert_eq!(checked.diagnostics(), []);
    let mut calls = Vec::new();
    program.files()[0].for_each_expression(&mut |expr| {
        if let Some(andiron_rules::check::Resolution::Function(id)) = checked.resolution(expr) {
            calls.push(id.0);
        }
    });
    assert_eq!(calls, [1, 0]);
}

#[test]
fn services_operations_and_patterns_are_checked() {
    assert!(codes("service foo.bar { match /a { allow read: if false; } }").contains(&Code::UnknownService));
    assert!(about_allow("allow readwrite: if false;").contains(&Code::UnknownOperation));
    expect_allow("allow read, get: if false;", &[Code::Unreachable]);
    assert_eq!(
        codes(
            "rules_version = '2'; service cloud.firestore { match /{a=**}/b/{c=**} { allow read: if false; } }"
        ),
        [Code::GlobPlacement]
    );
    assert_eq!(
        codes(
            "service cloud.firestore { match /databases/{d}/documents/{a=**}/b { allow read: if false; } }"
        ),
        [Code::GlobPlacement]
    );
    assert_eq!(
        codes("rules_version = '2'; service cloud.firestore { match /users/{id} { allow read: if false; } }")
            .first(),
        Some(&Code::Unreachable)
    );
    assert_eq!(
        codes(
            "rules_version = '2'; service firebase.storage { match /b/{b}/o/{p=**} { allow read: if false; } }"
        ),
        []
    );
}

#[test]
fn public_rules_are_warned_about() {
    for allow in [
        "allow read;",
        "allow write: if true;",
        "allow get: if (true || request.auth != null);",
        "allow get: if 1 == 1;",
    ] {
        assert!(about_allow(allow).contains(&Code::PublicAccess), "{allow}");
    }
    let text = members(
        "2",
        "function open() { let yes = true; return yes; } match /p/{id} { allow get: if open(); }",
    );
    assert_eq!(codes(&text), [Code::PublicAccess]);
    expect_allow("allow read, write: if false;", &[]);
    expect_allow("allow read: if request.auth.uid != null;", &[]);
}

#[test]
fn conditions_that_are_always_false_are_warned_about() {
    expect_allow(
        "allow get: if false && request.auth != null;",
        &[Code::ConstantCondition, Code::NeverGrants],
    );
    expect_allow("allow get: if 1 == 2;", &[Code::NeverGrants]);
    expect("request.method == 'x' || true", &[Code::ConstantCondition]);
}

#[test]
fn operators_that_bind_otherwise_than_they_read_are_warned_about() {
    expect("!resource.data.a in ['b']", &[Code::UnaryBeforeIn]);
    expect("!(resource.data.a in ['b'])", &[]);
    expect(
        "resource.data.a in ['b'] == true",
        &[Code::InBeforeEqual, Code::TypeMismatch],
    );
    expect("(resource.data.a in ['b']) == true", &[]);
    expect(
        "resource.data.a == resource.data.b is bool",
        &[Code::EqualBeforeIs],
    );
    expect("resource.data.a + 1 is int", &[]);
}

#[test]
fn what_an_operation_does_not_have_is_warned_about() {
    expect_allow(
        "allow delete: if request.resource.data.x == 1;",
        &[Code::ResourceOnDelete],
    );
    expect_allow(
        "allow update, delete: if request.auth != null && request.resource.data.x == resource.data.x;",
        &[Code::ResourceOnDelete],
    );
    expect_allow(
        "allow update, delete: if request.method == 'delete' || request.resource.data.x == 1;",
        &[],
    );
    expect_allow(
        "allow update, delete: if resource.data.y || request.resource.data.x == 1;",
        &[],
    );
    expect_allow(
        "allow get: if request.resource.data.x == 1;",
        &[Code::ResourceOnRead],
    );
    expect_allow(
        "allow create: if resource.data.x == 1 && request.resource.data.keys().hasOnly(['x']);",
        &[Code::ResourceOnCreate],
    );
    expect_allow(
        "allow create: if resource == null && request.resource.data.keys().hasOnly(['x']);",
        &[],
    );
    expect_allow("allow read: if request.query.limit < 10;", &[Code::QueryOffList]);
    expect_allow("allow list: if request.query.limit < 10;", &[]);
    let text = members(
        "2",
        "function valid() { let new = request.resource.data; return new.x == 1; } match /p/{id} { allow update, delete: if valid(); }",
    );
    assert_eq!(codes(&text), [Code::ResourceOnDelete]);
}

#[test]
fn look_ups_that_a_list_cannot_do_are_warned_about() {
    let lookup = "get(/databases/$(database)/documents/meta/$(id)).data.open == true";
    expect_allow(&format!("allow read: if {lookup};"), &[Code::ListCapture]);
    expect_allow(&format!("allow get: if {lookup};"), &[]);
    let text = members(
        "2",
        "match /p/{id}/q/{other} { allow list: if exists(/databases/$(database)/documents/p/$(id)); }",
    );
    assert_eq!(codes(&text), []);
    let text = members(
        "2",
        "match /p/{id} { function path() { let it = id; return /databases/$(database)/documents/p/$(it); } allow list: if exists(/databases/$(database)/documents/p/$(id)); allow get: if path() == request.path; }",
    );
    assert_eq!(codes(&text), [Code::ListCapture]);
}

#[test]
fn look_ups_of_paths_that_no_document_has_are_warned_about() {
    expect("exists(/users/$(request.auth.uid))", &[Code::LookupPath]);
    expect(
        "exists(/databases/(default)/documents/users/$(request.auth.uid))",
        &[],
    );
}

#[test]
fn owner_rules_that_deny_what_is_not_there_are_noted() {
    expect_allow(
        "allow get: if resource.data.owner == request.auth.uid;",
        &[Code::OwnerOfMissing],
    );
    expect_allow(
        "allow get: if resource == null || resource.data.owner == request.auth.uid;",
        &[],
    );
    expect_allow("allow list: if resource.data.owner == request.auth.uid;", &[]);
}

#[test]
fn creates_that_list_no_fields_are_noted() {
    expect_allow(
        "allow create: if request.resource.data.owner == request.auth.uid;",
        &[Code::OpenCreate],
    );
    expect_allow(
        "allow create: if request.resource.data.owner == request.auth.uid && request.resource.data.keys().hasOnly(['owner']);",
        &[],
    );
    expect_allow("allow create: if request.auth.token.admin == true;", &[]);
    let text = "rules_version = 'andiron1'; type P = { owner: string }; service cloud.firestore { match /databases/{d}/documents/p/{id} is P \
                { allow create: if request.resource.data.owner == request.auth.uid; } }";
    assert_eq!(codes(text), []);
}

#[test]
fn globs_that_reopen_a_closed_path_are_warned_about() {
    let nearer = "match /secrets/{id} { allow read: if request.auth.token.admin == true; }";
    for (glob, is_reopened) in [
        ("match /{path=**} { allow read: if request.auth != null; }", true),
        (
            "match /{path=**} { allow write: if request.auth != null; }",
            false,
        ),
        (
            "match /{path=**} { allow read: if request.auth.token.admin == true; }",
            false,
        ),
        (
            "match /{path=**} { allow read: if request.auth.uid == 'root'; }",
            false,
        ),
        (
            "match /posts/{path=**} { allow read: if request.auth != null; }",
            false,
        ),
        (
            "match /{path=**}/{any} { allow get: if request.auth.uid != null; }",
            true,
        ),
    ] {
        let found = codes(&members("2", &format!("{nearer} {glob}")));
        assert_eq!(
            found.contains(&Code::ReopenedPath),
            is_reopened,
            "{glob}: {found:?}"
        );
    }
}

#[test]
fn patterns_that_end_with_a_collection_are_warned_about() {
    assert_eq!(
        codes(&members("2", "match /posts { allow read: if false; }")),
        [Code::Unreachable]
    );
    assert_eq!(codes(&members("2", "allow read: if false;")), [Code::Unreachable]);
    assert_eq!(
        codes(&members("2", "match /posts/{id} { allow read: if false; }")),
        []
    );
    assert_eq!(
        codes(&members("2", "match /{path=**} { allow read: if false; }")),
        []
    );
    assert_eq!(
        codes("service firebase.storage { match /b/{bucket}/o { allow read: if false; } }"),
        [Code::Unreachable]
    );
}

#[test]
fn declared_types_give_documents_their_fields() {
    let about = |condition: &str| {
        codes(&format!(
            "rules_version = 'andiron1'; type P = {{ title: string, tags: list<string>, at: {{ lat: float, ... }}, n?: int | null }}; \
             service cloud.firestore {{ match /databases/{{d}}/documents/p/{{id}} is P {{ allow update: if {condition}; \
             match /q/{{other}} {{ allow update: if resource.data.anything == 1; }} }} }}"
        ))
    };
    assert_eq!(about("request.resource.data.titel == ''"), [Code::UnknownMember]);
    assert_eq!(
        about("resource.data.title.size() > 1 && resource.data.at.other == 1"),
        []
    );
    assert_eq!(about("resource.data.title > 1"), [Code::TypeMismatch]);
    assert_eq!(about("resource.data.tags[0] > 1"), [Code::TypeMismatch]);
    assert_eq!(about("(resource.data.n ?? 0) > 1"), []);
    assert_eq!(about("(resource.data.n ?? 0) > 'a'"), [Code::TypeMismatch]);
}

#[test]
fn a_declared_type_is_that_of_the_own_document_and_not_of_those_that_are_looked_up() {
    let text = "rules_version = 'andiron1'; type Room = { open: bool };
        service cloud.firestore { match /databases/{database}/documents { match /rooms/{room} is Room {
          let member = get(/databases/$(database)/documents/rooms/$(room)/members/$(request.auth.uid));
          allow get: if member.data.role == 'owner' && resource.data.open;
          allow create: if getAfter(/databases/$(database)/documents/a/b).data.role == 'owner';
          allow delete: if resource.data.role == 'owner';
        } } }";
    assert_eq!(codes(text), [Code::UnknownMember]);
}

#[test]
fn imports_are_of_files_in_the_project_and_of_andiron1() {
    let load = |text: &str| {
        Program::load(
            vec![Source::new("rules/main.rules", text).unwrap()],
            &mut |name| {
                match name {
            "rules/shared.rules" => Ok(b"rules_version = 'andiron1'; import \"./main.rules\"; function f() { return true; } type T = int;".to_vec()),
            "other.rules" => Ok(b"function f() { return true; }".to_vec()),
            "rules/broken.rules" => Ok(b"\xff".to_vec()),
            _ => Err("there is no such file".into()),
        }
            },
        )
    };
    let codes_of = |text: &str| {
        let program = load(text);
        let checked = check(&program, &Limits::default());
        let all = program.diagnostics().iter().chain(checked.diagnostics());
        all.map(|diagnostic| diagnostic.code).collect::<Vec<_>>()
    };
    let body = "service cloud.firestore { match /databases/{d}/documents/p/{id} { allow update: if f(); } }";
    assert_eq!(
        codes_of(&format!(
            "rules_version = 'andiron1'; import './shared.rules'; {body}"
        )),
        [Code::PublicAccess]
    );
    assert_eq!(
        codes_of(&format!(
            "rules_version = 'andiron1'; import '../other.rules'; {body}"
        )),
        [Code::PublicAccess]
    );
    assert_eq!(
        codes_of(&format!(
            "rules_version = 'andiron1'; import './shared.rules'; import '../other.rules'; {body}"
        )),
        [Code::DuplicateName, Code::PublicAccess]
    );
    assert!(
        codes_of(&format!("rules_version = '2'; import './shared.rules'; {body}")).contains(&Code::Version)
    );
    for path in [
        "./none.rules",
        "../../out.rules",
        "./broken.rules",
        "shared.rules",
    ] {
        let text = format!("rules_version = 'andiron1'; import '{path}'; function f() {{ return 1; }}");
        assert_eq!(codes_of(&text), [Code::Import], "{path}");
    }
    let alias = "rules_version = 'andiron1'; import './shared.rules' as shared; service cloud.firestore { match /databases/{d}/documents/p/{id} \
                 { allow update: if shared.f() && resource.data.x is shared.T; allow get: if shared.g(); } }";
    assert_eq!(codes_of(alias), [Code::UnknownName]);
}

#[test]
fn every_code_has_a_name_of_its_own_and_a_sentence() {
    let mut names: Vec<&str> = Code::ALL.iter().map(|code| code.as_str()).collect();
    names.sort_unstable();
    let count = names.len();
    names.dedup();
    assert_eq!(names.len(), count);
    for code in Code::ALL {
        assert!(code.summary().ends_with('.'), "{}", code.as_str());
        assert_eq!(Code::from_name(code.as_str()), Some(*code));
        assert_eq!(code.docs(), format!("docs/rules.md#{}", code.as_str()));
    }
}

#[test]
fn rules_of_accounts_are_about_signing_up() {
    let accounts = |members: &str| {
        codes(&format!(
            "rules_version = '2'; service andiron.auth {{ {members} }}"
        ))
    };
    let create = "allow create: if request.resource.data.email.matches('.*@a[.]example');";
    assert_eq!(
        accounts(&format!("match /accounts/{{account}} {{ {create} }}")),
        []
    );
    // Everybody may sign up: nobody who does has signed in before.
    assert_eq!(accounts("match /accounts/{account} { allow create; }"), []);
    let looks_up = "allow create: if exists(/databases/(default)/documents/guests/$(account));";
    assert_eq!(
        accounts(&format!("match /accounts/{{account}} {{ {looks_up} }}")),
        []
    );
    for unreachable in [
        &*format!("match /users/{{account}} {{ {create} }}"),
        &*format!("match /accounts/{{account}}/more/{{more}} {{ {create} }}"),
        "match /accounts/{account} { allow update: if request.auth.uid == account; }",
    ] {
        assert_eq!(accounts(unreachable), [Code::Unreachable], "{unreachable}");
    }
}
