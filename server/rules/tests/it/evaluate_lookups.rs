//! Look-ups of documents and their limits, limits of the evaluation, declared types, explanations and coverage.

use std::sync::Arc;

use andiron_rules::Limits;
use andiron_rules::evaluate::{
    BatchDecision, Coverage, Decision, Fault, Method, Ruleset, TRACE_ENTRIES_MAX, VALUE_DEPTH_MAX,
};
use andiron_rules::{FileId, Source, program::Program, syntax::ExprId};

use crate::evaluate_support::{World, data, firestore, path, ruleset, ruleset_with, world};

const DOCUMENTS: &str = "/databases/$(database)/documents";

fn rules_for(condition: &str) -> Ruleset {
    ruleset(&rules_text(condition))
}

fn rules_text(condition: &str) -> String {
    let condition = condition.replace("D/", &format!("{DOCUMENTS}/"));
    firestore(
        "2",
        &format!("match /posts/{{id}} {{ allow read, write: if {condition}; }}"),
    )
}

/// Decides, supplying what is needed from `stored`, and gives the paths of each round and whether it is allowed.
fn rounds(rules: &Ruleset, mut world: World, stored: &[(&str, &str)]) -> (Vec<Vec<String>>, Decision) {
    let mut asked = Vec::new();
    loop {
        match world.decide(rules) {
            Decision::Needs(paths) => {
                assert!(!paths.is_empty() && asked.len() < 20);
                for path in &paths {
                    assert!(!world.documents.contains(path), "{path} is known already");
                    let found = stored.iter().find(|(at, _)| *at == path.as_str());
                    world
                        .documents
                        .insert(path.clone(), found.map(|(_, json)| Arc::new(data(json))));
                }
                asked.push(paths.iter().map(ToString::to_string).collect());
            }
            decided => return (asked, decided),
        }
    }
}

fn allowed(decision: &Decision) -> bool {
    matches!(decision, Decision::Allow(_))
}

#[test]
fn unknown_documents_are_asked_for_together() {
    let rules = rules_for(
        "get(D/users/$(request.auth.uid)).data.role == 'editor' && exists(D/teams/t1)
            || get(D/a/b).data.n > get(D/a/c).data.n",
    );
    let stored = [("users/alice", r#"{"role": "editor"}"#), ("teams/t1", "{}")];
    let (asked, decision) = rounds(&rules, World::new("posts/p", Method::Get).by("alice"), &stored);
    assert_eq!(asked, [["users/alice", "teams/t1", "a/b", "a/c"]]);
    let Decision::Allow(grant) = decision else {
        panic!()
    };
    let used: Vec<_> = grant.lookups.iter().map(ToString::to_string).collect();
    assert_eq!(used, ["users/alice", "teams/t1"]);
}

#[test]
fn a_path_made_from_a_document_is_asked_for_when_that_is_known() {
    let rules = rules_for("get(D/teams/$(get(D/users/alice).data.team)).data.open");
    let stored = [
        ("users/alice", r#"{"team": "t9"}"#),
        ("teams/t9", r#"{"open": true}"#),
    ];
    let (asked, decision) = rounds(&rules, World::new("posts/p", Method::Get), &stored);
    assert_eq!(asked, [["users/alice"], ["teams/t9"]]);
    assert!(allowed(&decision));
}

#[test]
fn what_decides_alone_needs_no_document() {
    for condition in [
        "true || exists(D/a/b)",
        "exists(D/a/b) || true",
        "!(exists(D/a/b) && false)",
    ] {
        let Decision::Allow(grant) = World::new("posts/p", Method::Get).decide(&rules_for(condition)) else {
            panic!("{condition}");
        };
        assert!(grant.lookups.is_empty(), "{condition}");
    }
}

#[test]
fn what_the_functions_give() {
    let world = world().with("a/b", r#"{"n": 1}"#).without("a/gone");
    for (expression, expected) in [
        ("get(D/a/b).data.n", "1"),
        ("get(D/a/b).id", "'b'"),
        ("exists(D/a/b)", "true"),
        ("exists(D/a/gone)", "false"),
        ("get(D/a/gone)", "null"),
        ("get(D/a/gone) == null", "true"),
        ("get(D/a/gone).data", "! Null value error."),
        ("getAfter(D/a/b).data.n", "1"),
        ("existsAfter(D/a/gone)", "false"),
        ("exists(/databases/(default)/documents/a/b)", "true"),
        ("exists(path('/databases/(default)/documents/a/b'))", "true"),
        ("get(D/posts/p1).data.n", "5"),
        ("getAfter(D/posts/p1).data.n", "6"),
        ("exists(D/posts/p1)", "true"),
        (
            "exists('a/b')",
            "! Unsupported operation error. Received: exists(string). Expected: exists(path).",
        ),
        (
            "exists(/a/b)",
            "! Invalid argument error: the path of a document begins with /databases/(default)/documents.",
        ),
        (
            "exists(/databases/other/documents/a/b)",
            "! Invalid argument error: the path of a document begins with /databases/(default)/documents.",
        ),
        (
            "exists(D/a/$('b/c/d'))",
            "! Invalid argument error: a segment of the path contains a slash.",
        ),
        ("exists(D/a/$(null))", "! Null value error."),
        (
            "exists(D/a/{x})",
            "! Invalid argument error: a part of the path is not bound.",
        ),
        ("firestore.get(D/a/b)", "! Function not found error: Name: [get]."),
        ("get()", "! Function not found error: Name: [get]."),
    ] {
        let expression = expression.replace("D/", &format!("{DOCUMENTS}/"));
        assert_eq!(world.value_in("2", "", &expression), expected, "{expression}");
    }
    for expression in ["exists(D/a/$(''))", "exists(D/a)", "exists(D/a/b/c)"] {
        let value = world.value_in("2", "", &expression.replace("D/", &format!("{DOCUMENTS}/")));
        assert!(
            value.starts_with("! Invalid argument error: "),
            "{expression}: {value}"
        );
    }
}

#[test]
fn a_reference_of_a_document_can_be_followed() {
    let world = world().with("users/alice", r#"{"name": "Alice"}"#);
    assert_eq!(
        world.value_in("2", "", "get(resource.data.ref).data.name"),
        "'Alice'"
    );
}

#[test]
fn get_of_a_missing_document_may_be_made_an_error() {
    let limits = Limits::firebase_strict();
    let rules = ruleset_with(&rules_text("get(D/a/gone) == null"), limits);
    let world = World::new("posts/p", Method::Get).without("a/gone");
    let Decision::Deny(denial) = world.decide(&rules) else {
        panic!()
    };
    let error = denial.tried[0].error.clone().unwrap();
    assert!(matches!(error.fault, Fault::MissingDocument(_)));
    assert_eq!(
        error.to_string(),
        "Null value error. The document /databases/(default)/documents/a/gone does not exist."
    );
}

#[test]
fn ten_documents_may_be_looked_up_and_repetitions_count_once() {
    let condition = |count: usize| {
        let terms: Vec<_> = (0..count)
            .map(|n| format!("exists(D/a/d{n}) && get(D/a/d{n}) != null && exists(D/a/$('d{n}'))"))
            .collect();
        terms.join(" && ")
    };
    let stored: Vec<_> = (0..12).map(|n| (format!("a/d{n}"), "{}")).collect();
    let stored: Vec<_> = stored.iter().map(|(at, json)| (at.as_str(), *json)).collect();
    let (_, decision) = rounds(
        &rules_for(&condition(10)),
        World::new("posts/p", Method::Get),
        &stored,
    );
    assert!(allowed(&decision));
    let (_, decision) = rounds(
        &rules_for(&condition(11)),
        World::new("posts/p", Method::Get),
        &stored,
    );
    let Decision::Deny(denial) = decision else {
        panic!()
    };
    assert_eq!(
        denial.tried[0].error.as_ref().unwrap().fault,
        Fault::LookupsMax(10)
    );
    assert_eq!(denial.lookups.len(), 10);
}

#[test]
fn a_decisive_first_operand_keeps_later_look_ups_from_counting() {
    let many: Vec<_> = (0..30).map(|n| format!("exists(D/a/d{n})")).collect();
    let rules = rules_for(&format!("exists(D/a/first) || {}", many.join(" || ")));
    let (asked, decision) = rounds(&rules, World::new("posts/p", Method::Get), &[("a/first", "{}")]);
    assert!(allowed(&decision));
    assert_eq!(asked.len(), 1);
}

#[test]
fn operations_of_a_commit_share_a_limit() {
    let source = rules_text("exists(D/a/$(id + '0')) && exists(D/a/$(id + '1')) && exists(D/a/$(id + '2'))");
    let limits = Limits {
        lookups_batch_max: 5,
        ..Limits::default()
    };
    let rules = ruleset_with(&source, limits);
    let mut first = World::new("posts/p", Method::Create).after("{}");
    let second = World::new("posts/q", Method::Create).after("{}");
    for at in ["p0", "p1", "p2", "q0", "q1", "q2"] {
        first
            .documents
            .insert(path(&format!("a/{at}")), Some(Arc::new(data("{}"))));
    }
    let requests = [first.request(), second.request()];
    assert!(matches!(
        rules.decide_all(&requests[..1], &first.documents),
        BatchDecision::Allow { .. }
    ));
    let BatchDecision::Deny { index, denial } = rules.decide_all(&requests, &first.documents) else {
        panic!();
    };
    assert_eq!(index, 1);
    assert_eq!(
        denial.tried[0].error.as_ref().unwrap().fault,
        Fault::LookupsMax(5)
    );
    let again = [first.request(), first.request()];
    let BatchDecision::Allow { by, lookups } = rules.decide_all(&again, &first.documents) else {
        panic!();
    };
    assert_eq!((by.len(), lookups.len()), (2, 3));
}

#[test]
fn a_commit_asks_for_the_documents_of_all_its_operations_at_once() {
    let rules = rules_for("exists(D/a/$(id))");
    let worlds = ["p", "q", "r"].map(|id| World::new(&format!("posts/{id}"), Method::Create).after("{}"));
    let requests = worlds.each_ref().map(World::request);
    let mut documents = worlds[0].documents.clone();
    documents.insert(path("a/q"), None);
    assert_eq!(
        rules.decide_all(&requests, &documents),
        BatchDecision::Needs(vec![path("a/p"), path("a/r")])
    );
    documents.insert(path("a/p"), Some(Arc::new(data("{}"))));
    documents.insert(path("a/r"), Some(Arc::new(data("{}"))));
    assert!(matches!(
        rules.decide_all(&requests, &documents),
        BatchDecision::Deny { index: 1, .. }
    ));
}

#[test]
fn get_after_sees_the_whole_commit_and_get_none_of_it() {
    let rules = rules_for(
        "getAfter(D/counters/posts).data.n == get(D/counters/posts).data.n + 1
            && existsAfter(D/posts/$(id)) && !exists(D/posts/$(id)) && !existsAfter(D/drafts/$(id))",
    );
    let mut world = World::new("posts/p", Method::Create)
        .after(r#"{"title": "t"}"#)
        .with("counters/posts", r#"{"n": 4}"#);
    let document = |json: &str| Some(Arc::new(data(json)));
    world
        .documents
        .insert_after(path("posts/p"), document(r#"{"title": "t"}"#));
    world.documents.insert_after(path("drafts/p"), None);
    world
        .documents
        .insert_after(path("counters/posts"), document(r#"{"n": 5}"#));
    assert!(world.allows(&rules));
    world
        .documents
        .insert_after(path("counters/posts"), document(r#"{"n": 6}"#));
    assert!(!world.allows(&rules));
}

#[test]
fn expressions_are_counted() {
    let strict = |terms: usize| {
        let condition = vec!["request.auth.uid == 'alice'"; terms].join(" && ");
        let condition = format!("({condition}) && ({condition})");
        let rules = ruleset_with(&rules_text(&condition), Limits::firebase_strict());
        World::new("posts/p", Method::Get).by("alice").decide(&rules)
    };
    assert!(allowed(&strict(90)));
    let Decision::Deny(denial) = strict(120) else {
        panic!()
    };
    assert_eq!(
        denial.tried[0].error.as_ref().unwrap().to_string(),
        "Unable to evaluate the expression as the maximum of 1000 expressions to evaluate has been reached."
    );
}

#[test]
fn loops_over_long_lists_meet_the_limit_on_expressions() {
    let body =
        "match /posts/{id} { allow get: if resource.data.l.all(x, resource.data.l.all(y, x + y > 0)); }";
    let rules = ruleset(&firestore("andiron1", body));
    let list = vec!["1"; 5000].join(",");
    let world = World::new("posts/p", Method::Get).before(&format!(r#"{{"l": [{list}]}}"#));
    assert!(!world.allows(&rules));
}

#[test]
fn values_that_rules_build_are_bounded() {
    let lets: String = (1..11)
        .map(|n| {
            format!(
                "let x{n} = x{0} + x{0} + x{0} + x{0} + x{0} + x{0} + x{0} + x{0};",
                n - 1
            )
        })
        .collect();
    let body = format!(
        "function f() {{ let x0 = 'abcdefgh'; {lets} return x10.size() > 0; }} match /posts/{{b}} {{ allow get: if f(); }}"
    );
    let Decision::Deny(denial) = World::new("posts/p", Method::Get).decide(&ruleset(&firestore("2", &body)))
    else {
        panic!();
    };
    assert!(matches!(
        denial.tried[0].error.as_ref().unwrap().fault,
        Fault::ValueBytesMax(_)
    ));
}

#[test]
fn work_on_what_documents_hold_is_bounded() {
    let texts = vec!["resource.data.text.matches('(a|b)*c')"; 200].join(" || ");
    let limits = Limits {
        value_bytes_max: 1 << 20,
        ..Limits::default()
    };
    let rules = ruleset_with(&rules_text(&texts), limits);
    let world =
        World::new("posts/p", Method::Get).before(&format!(r#"{{"text": "{}"}}"#, "a".repeat(100_000)));
    let Decision::Deny(denial) = world.decide(&rules) else {
        panic!()
    };
    assert!(matches!(
        denial.tried[0].error.as_ref().unwrap().fault,
        Fault::ValueBytesMax(_)
    ));
}

#[test]
fn values_do_not_become_too_deep() {
    let nested = |levels: u16| {
        let mut text = "1".to_owned();
        for _ in 0..levels {
            text = format!("[{text}]");
        }
        world().value_in("2", "", &format!("{text}.size()"))
    };
    assert_eq!(nested(90), "1");
    assert_eq!(
        nested(VALUE_DEPTH_MAX + 1),
        "! The maximum of 100 levels of expressions or values has been reached."
    );
}

#[test]
fn deep_recursion_through_arguments_ends_before_the_stack_does() {
    // Each function adds a level around an argument that is only evaluated at the end of the chain.
    let functions: String = (1..21)
        .map(|n| {
            let wrapped = format!("{}x{}", "(1 + ".repeat(30), ")".repeat(30));
            format!("function f{n}(x) {{ return f{}({wrapped}); }}", n + 1)
        })
        .collect();
    let body = format!(
        "{functions} function f21(x) {{ return x > 0; }} match /posts/{{b}} {{ allow get: if f1(1); }}"
    );
    let Decision::Deny(denial) = World::new("posts/p", Method::Get).decide(&ruleset(&firestore("2", &body)))
    else {
        panic!();
    };
    assert!(matches!(
        denial.tried[0].error.as_ref().unwrap().fault,
        Fault::DepthMax(_)
    ));
}

#[test]
fn the_deepest_evaluation_of_the_largest_frames_fits_into_a_thread() {
    let functions: String = (1..20)
        .map(|n| {
            let body = format!("{}f{}(x){}", "[1].map(y, ".repeat(60), n + 1, ")".repeat(60));
            format!("function f{n}(x) {{ return {body}; }}")
        })
        .collect();
    let body = format!(
        "{functions} function f20(x) {{ return x; }} match /posts/{{b}} {{ allow get: if f1(1) == [] ? true : false; }}"
    );
    let rules = ruleset(&firestore("andiron1", &body));
    let world = World::new("posts/p", Method::Get);
    let Decision::Deny(denial) = world.decide(&rules) else {
        panic!();
    };
    assert!(matches!(
        denial.tried[0].error.as_ref().unwrap().fault,
        Fault::DepthMax(_)
    ));
    assert_eq!(rules.explain(&world.request(), &world.documents).1.len(), 1);
}

#[test]
fn has_all_of_two_long_lists_takes_no_quadratic_time() {
    let numbers = |range: std::ops::Range<i32>| range.map(|n| n.to_string()).collect::<Vec<_>>().join(",");
    let world = World::new("posts/p", Method::Get).before(&format!(
        r#"{{"a": [{}], "b": [{}]}}"#,
        numbers(0..50_000),
        numbers(0..50_000)
    ));
    assert!(world.allows(&rules_for("resource.data.a.hasAll(resource.data.b)")));
}

const TYPED: &str = "rules_version = 'andiron1';
    type Tag = 'red' | 'green';
    type Author = { name: string, age?: int };
    type Post = {
        title: string where size() <= 10,
        body?: string | null,
        tags: list<Tag>,
        author: Author,
        scores: map<number>,
        at: timestamp
    };
    service cloud.firestore { match /databases/{database}/documents {
        match /posts/{id} is Post { allow read, write: if request.resource.data.title != 'secret'; }
        match /any/{id} { allow get: if resource.data is Post; }
        match /{all=**} { allow write; }
    } }";

#[test]
fn documents_must_be_of_the_type_of_their_match() {
    let rules = ruleset(TYPED);
    let good = r#"{"title": "t", "tags": ["red"], "author": {"name": "a"}, "scores": {"x": 1, "y": 1.5},
        "at": {"$time": "2026-01-01T00:00:00Z"}}"#;
    let world = World::new("posts/p", Method::Create).after(good);
    assert!(world.allows(&rules));
    for (from, to, problem) in [
        (
            r#""title": "t""#,
            r#""title": 5"#,
            "field `title` is int, not string",
        ),
        (
            r#""title": "t""#,
            r#""title": "longer than ten""#,
            "field `title` does not satisfy the condition of its type",
        ),
        (r#""title": "t","#, "", "field `title` is missing"),
        (
            r#"["red"]"#,
            r#"["red", "blue"]"#,
            "field `tags[1]` is string, not 'red' or 'green'",
        ),
        (
            r#"{"name": "a"}"#,
            r#"{"name": "a", "x": 1}"#,
            "field `author.x` is not part of its type",
        ),
        (
            r#"{"name": "a"}"#,
            r#"{"name": "a", "age": 1.5}"#,
            "field `author.age` is float, not int",
        ),
        (
            r#""y": 1.5"#,
            r#""y": "1""#,
            "field `scores.y` is string, not number",
        ),
        (
            r#""title": "t""#,
            r#""title": "t", "body": 1"#,
            "field `body` is int, not string or null",
        ),
    ] {
        let bad = good.replace(from, to);
        let world = World::new("posts/p", Method::Create).after(&bad);
        let Decision::Deny(denial) = world.decide(&rules) else {
            panic!("{bad}");
        };
        assert_eq!(denial.mismatch.unwrap().1.to_string(), problem);
        // Neither another match nor another operation is the way around it.
        assert!(
            !World::new("posts/p", Method::Update)
                .before(good)
                .after(&bad)
                .allows(&rules)
        );
        assert!(!World::new("any/p", Method::Get).before(&bad).allows(&rules));
    }
    assert!(World::new("posts/p", Method::Delete).before("{}").allows(&rules));
    assert!(World::new("any/p", Method::Get).before(good).allows(&rules));
}

#[test]
fn a_type_that_asks_for_itself_ends() {
    let rules = ruleset(
        "rules_version = 'andiron1';
        type Loop = any where this is Loop;
        type Tree = { children: list<Tree> };
        service cloud.firestore { match /databases/{database}/documents {
            match /loops/{id} { allow get: if resource.data is Loop; }
            match /trees/{id} { allow get: if resource.data is Tree; }
        } }",
    );
    let Decision::Deny(denial) = World::new("loops/l", Method::Get).before("{}").decide(&rules) else {
        panic!();
    };
    assert!(matches!(
        denial.tried[0].error.as_ref().unwrap().fault,
        Fault::DepthMax(_)
    ));
    let tree = |json: &str| World::new("trees/t", Method::Get).before(json).allows(&rules);
    assert!(tree(
        r#"{"children": [{"children": []}, {"children": [{"children": []}]}]}"#
    ));
    assert!(!tree(r#"{"children": [{"children": [{"child": []}]}]}"#));
}

#[test]
fn explaining_costs_no_more_expressions_than_deciding() {
    let body = "function f(x) { return g(x) && g(x); } function g(y) { return y == 1 && h(y); }
        function h(z) { return z == 1; } match /posts/{id} { allow get: if f(1); }";
    for expressions_max in 10..60 {
        let limits = Limits {
            expressions_max,
            ..Limits::default()
        };
        let rules = ruleset_with(&firestore("2", body), limits);
        let world = World::new("posts/p", Method::Get);
        let (explained, _) = rules.explain(&world.request(), &world.documents);
        assert_eq!(explained, world.decide(&rules), "{expressions_max}");
    }
}

#[test]
fn reasons_are_told_with_the_denial() {
    let body = "match /posts/{id} {
        allow get: if false;
        allow get: if request.auth != null else 'sign in first';
        allow get: if false else 'never told';
    }";
    let rules = ruleset(&firestore("andiron1", body));
    let Decision::Deny(denial) = World::new("posts/p", Method::Get).decide(&rules) else {
        panic!();
    };
    assert_eq!(denial.reason.as_deref(), Some("sign in first"));
}

#[test]
fn explanations_give_every_sub_expression_its_value() {
    let source = firestore(
        "2",
        "function owner(d) { return d.owner == request.auth.uid; }
        match /posts/{id} { allow get: if 1 / 0 == 0;
        allow read: if owner(resource.data) && (id == 'p' || false); }",
    );
    let program = Program::single(Source::new("test.rules", source.as_str()).unwrap());
    let rules = ruleset(&source);
    let world = World::new("posts/p", Method::Get)
        .by("alice")
        .before(r#"{"owner": "alice"}"#);
    let (decision, attempts) = rules.explain(&world.request(), &world.documents);
    let Decision::Allow(grant) = decision else {
        panic!()
    };
    assert_eq!(attempts.len(), 2);
    assert_eq!(grant.by, attempts[1].allow);
    assert_eq!(program.sources().position(grant.by).line, 4);
    let text = |span| program.sources().text(span).to_owned();
    let shown: Vec<_> = attempts[1]
        .trace
        .iter()
        .map(|entry| {
            format!(
                "{} {} = {}",
                entry.depth,
                text(entry.span),
                entry.result.clone().unwrap()
            )
        })
        .collect();
    assert_eq!(
        shown,
        [
            "7 resource = {'__name__': /databases/(default)/documents/posts/p, 'data': {'owner': 'alice'}, 'id': 'p'}",
            "6 resource.data = {'owner': 'alice'}",
            "5 d = {'owner': 'alice'}",
            "4 d.owner = 'alice'",
            "6 request = {'auth': {'token': {'admin': false, 'email': 'alice@x.org', 'email_verified': true, 'firebase': {'identities': {'email': ['alice@x.org']}, 'sign_in_provider': 'password'}, 'sub': 'alice'}, 'uid': 'ali…",
            "5 request.auth = {'token': {'admin': false, 'email': 'alice@x.org', 'email_verified': true, 'firebase': {'identities': {'email': ['alice@x.org']}, 'sign_in_provider': 'password'}, 'sub': 'alice'}, 'uid': 'alice'}",
            "4 request.auth.uid = 'alice'",
            "3 d.owner == request.auth.uid = true",
            "2 owner(resource.data) = true",
            "4 id = 'p'",
            "4 'p' = 'p'",
            "3 id == 'p' = true",
            "2 id == 'p' || false = true",
            "1 owner(resource.data) && (id == 'p' || false) = true",
        ]
    );
    let error = attempts[0].result.clone().unwrap_err();
    assert_eq!(text(error.span), "1 / 0");
}

#[test]
fn traces_are_bounded_and_keep_the_condition() {
    let body = "match /posts/{id} { allow get: if resource.data.l.all(x, x == 1); }";
    let rules = ruleset(&firestore("andiron1", body));
    let world =
        World::new("posts/p", Method::Get).before(&format!(r#"{{"l": [{}]}}"#, vec!["1"; 900].join(",")));
    let (_, attempts) = rules.explain(&world.request(), &world.documents);
    assert_eq!(attempts[0].trace.len(), TRACE_ENTRIES_MAX + 1);
    assert_eq!(attempts[0].trace.last().unwrap().depth, 1);
}

#[test]
fn coverage_counts_what_came_of_expressions() {
    let source = firestore(
        "2",
        "match /posts/{id} { allow get: if id == 'a' || exists(/x); }",
    );
    let program = Program::single(Source::new("test.rules", source.as_str()).unwrap());
    let rules = ruleset(&source);
    let mut coverage = Coverage::default();
    for id in ["a", "b", "c"] {
        let world = World::new(&format!("posts/{id}"), Method::Get);
        rules.cover(&world.request(), &world.documents, &mut coverage);
    }
    let mut tallies = Vec::new();
    program.files()[0].for_each_expression(&mut |expr| {
        let tally = coverage.expression(FileId(0), ExprId(expr.id.0));
        let text = program.sources().text(expr.span).to_owned();
        tallies.push((text, tally.trues, tally.falses, tally.values, tally.errors));
    });
    let tally = |wanted: &str| {
        let found = tallies.iter().find(|tally| tally.0 == wanted).unwrap();
        (found.1, found.2, found.3, found.4)
    };
    assert_eq!(tally("id == 'a' || exists(/x)"), (1, 0, 0, 2));
    assert_eq!(tally("id == 'a'"), (1, 2, 0, 0));
    assert_eq!(tally("exists(/x)"), (0, 0, 0, 2));
    assert_eq!(tally("/x"), (0, 0, 2, 0));
}
