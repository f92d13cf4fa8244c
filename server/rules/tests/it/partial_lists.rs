//! What rules demand of a list, as filters.

use andiron_protocol::{Query, from_json};
use andiron_rules::evaluate::{Auth, DATABASE_DEFAULT, Documents, Method, Ruleset};
use andiron_rules::{Limits, ListDecision, ListRequest};

use crate::evaluate_support::{World, data, firestore, path, ruleset, ruleset_with};

/// What alice may list; some documents are there to be looked up.
pub(crate) fn world() -> World {
    World::new("users/alice", Method::List)
        .by("alice")
        .with(
            "users/alice",
            r#"{"role": "editor", "teams": ["t1", "t2"], "level": 3}"#,
        )
        .with("teams/t1/members/alice", r#"{"since": 5}"#)
        .without("users/bob")
        .without("teams/t2/members/alice")
}

pub(crate) fn query(json: &str) -> Query {
    from_json(json.as_bytes()).unwrap()
}

pub(crate) fn request<'a>(world: &'a World, query: &'a Query) -> ListRequest<'a> {
    ListRequest {
        database: DATABASE_DEFAULT,
        query,
        auth: world.uid.as_deref().map(|uid| Auth {
            uid,
            token: &world.token,
        }),
        time: "2026-11-22T05:40:35.123456Z".parse().unwrap(),
    }
}

fn show(decision: &ListDecision) -> String {
    match decision {
        ListDecision::Allow { .. } => "allow".to_owned(),
        ListDecision::Deny(_) => "deny".to_owned(),
        ListDecision::Needs(paths) => format!("needs {}", paths[0]),
        ListDecision::Filter(residual) => {
            let sign = if residual.is_exact { "=" } else { "<" };
            match &residual.filter {
                Some(filter) => format!("{sign} {}", filter.to_expression()),
                None => format!("{sign} ?"),
            }
        }
    }
}

fn decided(world: &World, rules: &Ruleset, query_json: &str) -> String {
    let query = query(query_json);
    show(&rules.decide_list(&request(world, &query), &world.documents))
}

/// Checks conditions with what is left of them for the documents of `posts`: `=` exactly those that match, `<` some of
/// them.
fn check_conditions(cases: &[(&str, &str)]) {
    let world = world();
    let prelude = "
        function signedIn() { return request.auth != null; }
        function owner(data) { return signedIn() && data.owner == request.auth.uid; }
        function me() { return get(/databases/$(database)/documents/users/$(request.auth.uid)).data; }
        function member(team) {
            return exists(/databases/$(database)/documents/teams/$(team)/members/$(request.auth.uid));
        }";
    let wrong: Vec<_> = cases
        .iter()
        .filter_map(|(condition, expected)| {
            let body = format!("{prelude} match /posts/{{id}} {{ allow list: if {condition}; }}");
            let found = decided(
                &world,
                &ruleset(&firestore("andiron1", &body)),
                r#"{"from": "posts"}"#,
            );
            (found != *expected).then(|| format!("{condition}\n  is {found}\n not {expected}"))
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn what_does_not_depend_on_the_document_is_decided() {
    check_conditions(&[
        ("true", "allow"),
        ("false", "deny"),
        ("request.auth != null", "allow"),
        ("request.auth.token.admin", "deny"),
        ("request.auth.token.gone", "deny"),
        ("request.resource.data.a == 1", "deny"),
        ("request.query.limit <= 10", "deny"),
        ("request.time > timestamp.date(2026, 1, 1)", "allow"),
        ("me().role in ['editor', 'owner']", "allow"),
        ("me().level > 3", "deny"),
        ("member('t1')", "allow"),
        ("member('t2')", "deny"),
        (
            "exists(/databases/$(database)/documents/users/carol)",
            "needs users/carol",
        ),
        ("resource != null", "allow"),
        ("resource == null", "deny"),
        ("resource.data.a == 1 || true", "allow"),
        ("resource.data.a == 1 && false", "deny"),
        ("resource.data.a == 1 && 1 / 0 == 1", "deny"),
        ("resource.data < 1", "deny"),
        ("resource.gone == 1", "deny"),
        ("resource.data is map", "allow"),
        ("id is string", "allow"),
        ("id == 1", "deny"),
    ]);
}

#[test]
fn comparisons_become_filters() {
    check_conditions(&[
        ("owner(resource.data)", "= owner == \"alice\""),
        ("request.auth.uid == resource.data.owner", "= owner == \"alice\""),
        (
            "resource.data['owner'] == request.auth.uid",
            "= owner == \"alice\"",
        ),
        ("resource.data['a b'] == 1", "= `a b` == 1"),
        (
            "resource.data.author.uid == request.auth.uid",
            "= author.uid == \"alice\"",
        ),
        ("resource.data.public", "= public == true"),
        ("resource.data.public == true", "= public == true"),
        ("!resource.data.public", "= public == false"),
        ("(resource.data.a == 1) == true", "= a == 1"),
        ("resource.data.a == null", "= a == null"),
        ("resource.data.a != null", "= a != null"),
        // Of a missing field nothing is true.
        ("resource.data.a != 1", "= exists(a) && !(a == 1)"),
        ("!(resource.data.a == 1)", "= exists(a) && !(a == 1)"),
        ("resource.data.a < 5", "= a < 5"),
        ("5 <= resource.data.a", "= a >= 5"),
        ("!(resource.data.a < 5)", "= a >= 5 || a == float(\"NaN\")"),
        ("!(resource.data.a < 'x')", "= a >= \"x\""),
        ("resource.data.a < float('NaN')", "deny"),
        ("resource.data.a < null", "deny"),
        ("resource.data.a < true", "deny"),
        (
            "resource.data.at < request.time",
            "= at < timestamp(\"2026-11-22T05:40:35.123456Z\")",
        ),
        (
            "resource.data.at < timestamp.date(2026, 1, 1) + duration.value(1, 'ns')",
            "= at <= timestamp(\"2026-01-01T00:00:00.000000Z\")",
        ),
        (
            "resource.data.at == timestamp.date(2026, 1, 1) + duration.value(1, 'ns')",
            "deny",
        ),
        ("resource.data.a == duration.value(1, 's')", "deny"),
        (
            "request.time - resource.data.at <= duration.value(1, 'd')",
            "= at >= timestamp(\"2026-11-21T05:40:35.123456Z\")",
        ),
        (
            "resource.data.at + duration.value(1, 'd') > request.time",
            "= at < timestamp(\"9999-12-31T00:00:00.000000Z\") && at > timestamp(\"2026-11-21T05:40:35.123456Z\")",
        ),
        ("resource.data.at + duration.value(1, 'd') > 5", "deny"),
        ("resource.data.a in [1, 'x', null]", "= a in [1, \"x\", null]"),
        ("!(resource.data.a in [1, 2])", "= exists(a) && !(a in [1, 2])"),
        ("resource.data.a in []", "deny"),
        ("resource.data.team in me().teams", "= team in [\"t1\", \"t2\"]"),
        ("resource.data.a in {'x': 1}", "= a == \"x\""),
        (
            "resource.data.ref == /databases/$(database)/documents/users/alice",
            "= ref == path(\"users/alice\")",
        ),
        (
            "resource.data.ref == /databases/other/documents/users/alice",
            "deny",
        ),
        // A vector is a list to rules.
        ("resource.data.a == [1]", "= a in [[1], vector([1.0])]"),
        ("resource.data.a == ['x']", "= a == [\"x\"]"),
        ("resource.data.a == {'x': 1}", "= a == {\"x\": 1}"),
        ("resource.data.a == {'x': [1]}", "< a >= {}"),
        ("resource.data.a == resource.data.b", "< exists(a) && exists(b)"),
        ("resource.data.a + 1 == 2", "< exists(a)"),
        ("resource.data.a is string", "= a >= \"\""),
        (
            "resource.data.a is number",
            "= a >= float(\"-Infinity\") || a == float(\"NaN\")",
        ),
        ("resource.data.a is int", "< a >= float(\"-Infinity\")"),
        ("resource.data.a is duration", "deny"),
        (
            "resource.data.a.size() < 3",
            "< a >= \"\" || a >= b\"\" || a >= [] || a >= vector([]) || a >= {}",
        ),
        ("resource.data.a.matches('x.*')", "< a >= \"\""),
    ]);
}

#[test]
fn membership_becomes_filters() {
    check_conditions(&[
        (
            "request.auth.uid in resource.data.members",
            "= \"alice\" in members || (members >= {} && exists(members.alice))",
        ),
        (
            "resource.data.members.hasAny([request.auth.uid, 'all'])",
            "= members.hasAny([\"alice\", \"all\"])",
        ),
        (
            "me().teams.hasAny(resource.data.teams)",
            "= teams.hasAny([\"t1\", \"t2\"])",
        ),
        (
            "resource.data.teams.hasAll(['t1', 't2'])",
            "= \"t1\" in teams && \"t2\" in teams",
        ),
        ("['t1'].hasOnly(resource.data.teams)", "= \"t1\" in teams"),
        (
            "resource.data.teams.hasOnly(['t1'])",
            "< teams >= [] || teams >= vector([])",
        ),
        ("'a' in resource.data", "= exists(a)"),
        ("!('a' in resource.data)", "= !exists(a)"),
        ("'a' in resource.data.keys()", "= exists(a)"),
        (
            "resource.data.keys().hasAll(['a', 'b'])",
            "= exists(a) && exists(b)",
        ),
        (
            "resource.data.keys().hasAny(['a', 'b'])",
            "= exists(a) || exists(b)",
        ),
        ("resource.data.keys().hasOnly(['a'])", "< ?"),
        ("1 in resource.data", "deny"),
        (
            "request.auth.uid in resource.data.roles.keys()",
            "= roles >= {} && exists(roles.alice)",
        ),
        (
            "resource.data.roles[request.auth.uid] == 'x'",
            "= roles.alice == \"x\"",
        ),
        ("resource.data.get('a', false) == true", "= a == true"),
        ("resource.data.get('a', 'x') == 'x'", "= a == \"x\" || !exists(a)"),
        ("resource.data.get(['m', 'a'], 0) > 0", "= m.a > 0"),
        (
            "(resource.data.a ?? 1) == 1",
            "= (a != null && a == 1) || !exists(a) || a == null",
        ),
        ("resource.data.m?.a == 1", "= m.a == 1"),
        (
            "request.auth.uid in [resource.data.from, resource.data.to]",
            "= exists(from) && exists(to) && (from == \"alice\" || to == \"alice\")",
        ),
    ]);
}

#[test]
fn connectives_absorb_failures() {
    check_conditions(&[
        (
            "resource.data.public == true || owner(resource.data)",
            "= public == true || owner == \"alice\"",
        ),
        (
            "resource.data.public == true && resource.data.rank > 3",
            "= public == true && rank > 3",
        ),
        ("resource.data.a == 1 || resource.data.a == 2", "= a in [1, 2]"),
        ("1 / 0 == 1 || resource.data.a == 1", "= a == 1"),
        (
            "!(resource.data.a == 1 && resource.data.b == 2)",
            "= (exists(a) && !(a == 1)) || (exists(b) && !(b == 2))",
        ),
        (
            "!(resource.data.a == 1 || resource.data.b == 2)",
            "= exists(a) && !(a == 1) && exists(b) && !(b == 2)",
        ),
        (
            "resource.data.a == 1 ? resource.data.b == 2 : true",
            "= (a == 1 && b == 2) || (exists(a) && !(a == 1))",
        ),
        (
            "resource.data.a == 1 && member(resource.data.team)",
            "< a == 1 && exists(team)",
        ),
        ("resource.data.a == 1 || member(id)", "< ?"),
        ("resource.data.a == 1 && member(id)", "< a == 1"),
        ("['a', 'b'].any(x, resource.data[x] == 1)", "= a == 1 || b == 1"),
        (
            "resource.data.tags.any(x, x == 'y')",
            "< tags >= [] || tags >= vector([])",
        ),
    ]);
}

#[test]
fn what_replaces_an_absence_counts_where_it_may_be_one() {
    check_conditions(&[
        // Of a document without `a` the sum is absent, of one with it an error.
        ("((resource.data.a + 1 / 0) ?? 5) == 5", "< ?"),
        ("((resource.data.a < null) ?? true)", "< ?"),
        ("((resource.data.a in null) ?? true)", "< ?"),
        ("((resource.data.a ? 1 / 0 : 1 / 0) ?? 5) == 5", "< ?"),
        ("([resource.data.a, 1 / 0].size() ?? 5) == 5", "< ?"),
        // These are errors of one kind only.
        ("((1 + 1 / 0) ?? 5) == 5", "deny"),
        ("(resource.data.size(1 / 0) ?? 5) == 5", "deny"),
        ("(request.auth.token.gone ?? 'x') == 'x'", "allow"),
    ]);
}

#[test]
fn ids_become_filters() {
    check_conditions(&[
        ("request.auth.uid == id", "= __id__ == \"alice\""),
        ("resource.id != 'x'", "= !(__id__ == \"x\")"),
        ("id in me().teams", "= __id__ in [\"t1\", \"t2\"]"),
        ("id >= 'm'", "= __id__ >= \"m\""),
        ("id > 5", "deny"),
        ("id in resource.data.ids", "< exists(ids)"),
    ]);
}

#[test]
fn patterns_decide_by_the_path_of_the_collection() {
    let world = world();
    let rules = |body: &str| ruleset(&firestore("2", body));
    let body = "
        match /posts/{id} { allow list: if id == 'x'; match /comments/{c} { allow list: if id == 'p'; } }
        match /posts/welcome { allow list; }
        match /open/{rest=**} { allow list; }
        match /{all=**}/notes/{id} { allow list: if resource.data.a == 1; }
        match /things/{id} { allow get, write; }";
    let rules2 = rules(body);
    for (query, expected) in [
        (r#"{"from": "posts"}"#, "= __id__ in [\"x\", \"welcome\"]"),
        (r#"{"from": "posts/p/comments"}"#, "allow"),
        (r#"{"from": "posts/q/comments"}"#, "deny"),
        (r#"{"from": "open"}"#, "allow"),
        (r#"{"from": "open/a/b"}"#, "allow"),
        (r#"{"from": "things"}"#, "deny"),
        (r#"{"from": "elsewhere"}"#, "deny"),
        (r#"{"from": "notes"}"#, "= a == 1"),
        (r#"{"from": "a/b/notes"}"#, "= a == 1"),
        (r#"{"from": {"group": "notes"}}"#, "= a == 1"),
        (r#"{"from": {"group": "posts"}}"#, "deny"),
        // A query for one id binds the capture.
        (r#"{"from": "posts", "where": ["__id__", "==", "x"]}"#, "allow"),
        (
            r#"{"from": "posts", "where": ["__id__", "==", "welcome"]}"#,
            "allow",
        ),
        (r#"{"from": "posts", "where": ["__id__", "==", "z"]}"#, "deny"),
    ] {
        assert_eq!(decided(&world, &rules2, query), expected, "{query}");
    }
    let version_1 = ruleset(&firestore("", "match /{all=**} { allow list; }"));
    assert_eq!(decided(&world, &version_1, r#"{"from": "notes"}"#), "allow");
    assert_eq!(
        decided(&world, &version_1, r#"{"from": {"group": "notes"}}"#),
        "deny"
    );
    let everything = rules("match /{all=**} { allow list: if all[1] == 'x'; }");
    assert_eq!(
        decided(&world, &everything, r#"{"from": {"group": "notes"}}"#),
        "< ?"
    );
    let parents = rules("match /{top=**}/{name}/{id} { allow list: if name == 'notes'; }");
    assert_eq!(
        decided(&world, &parents, r#"{"from": {"group": "notes"}}"#),
        "allow"
    );
    assert_eq!(
        decided(&world, &parents, r#"{"from": {"group": "posts"}}"#),
        "deny"
    );
}

#[test]
fn what_the_query_demands_is_known() {
    let world = world();
    let rules = ruleset(&firestore(
        "2",
        "match /posts/{id} {
            allow list: if exists(/databases/$(database)/documents/teams/$(resource.data.team)/members/$(request.auth.uid))
                && resource.data.rank < 5;
        }",
    ));
    for (filter, expected) in [
        (r#"["team", "==", "t1"]"#, "= rank < 5"),
        (r#"["team", "==", "t2"]"#, "deny"),
        (r#"["team", "==", "t3"]"#, "needs teams/t3/members/alice"),
        (r#"["and", ["team", "==", "t1"], ["rank", "<", 4]]"#, "allow"),
        (
            r#"["and", ["team", "==", "t1"], ["rank", "in", [1, 2]]]"#,
            "allow",
        ),
        (r#"["and", ["team", "==", "t1"], ["rank", "in", [5, 6]]]"#, "deny"),
        (
            r#"["or", ["team", "==", "t1"], ["rank", "<", 4]]"#,
            "< exists(team) && rank < 5",
        ),
    ] {
        let query = format!(r#"{{"from": "posts", "where": {filter}}}"#);
        assert_eq!(decided(&world, &rules, &query), expected, "{filter}");
    }
}

#[test]
fn filters_stay_within_their_bounds() {
    let world = world();
    let many = |join: &str, part: &dyn Fn(usize) -> String| {
        let parts: Vec<_> = (0..150).map(part).collect();
        let body = format!("match /posts/{{id}} {{ allow list: if {}; }}", parts.join(join));
        let query = query(r#"{"from": "posts"}"#);
        match ruleset(&firestore("2", &body)).decide_list(&request(&world, &query), &world.documents) {
            ListDecision::Filter(residual) => residual,
            other => panic!("{other:?}"),
        }
    };
    let all = many(" && ", &|n| format!("resource.data.f{n} == {n}"));
    assert!(!all.is_exact);
    all.filter.unwrap().check_limits().unwrap();
    let any = many(" || ", &|n| format!("resource.data.f{n} == {n}"));
    assert_eq!((any.filter, any.is_exact), (None, false));
    // Values of one field need no filter each.
    let values = many(" || ", &|n| format!("resource.data.f == {}", n % 90));
    assert!(values.is_exact);
    values.filter.unwrap().check_limits().unwrap();
    // Conditions that double with each call are not gone through to the end.
    let doubling: String = (0..18)
        .map(|n| {
            format!(
                "function f{}(a) {{ return f{n}(a) && f{n}(a) || f{n}(a); }}\n",
                n + 1
            )
        })
        .collect();
    let body = format!(
        "function f0(a) {{ return a == 1; }} {doubling}
         match /posts/{{id}} {{ allow list: if f18(resource.data.a) && resource.data.b == 1; }}"
    );
    let found = decided(&world, &ruleset(&firestore("2", &body)), r#"{"from": "posts"}"#);
    assert!(
        found.starts_with('<') && found.contains("b == 1") || found == "< ?",
        "{found}"
    );
}

#[test]
fn what_one_document_may_fail_by_is_no_decision_on_all() {
    let world = world();
    // For a document without the flag `x` is evaluated inside of `g`, and then calls go one level too deep.
    let source = firestore(
        "andiron1",
        "function f1() { return true; } function f2() { return f1(); } function g(v) { return v; }
         match /posts/{id} { let x = f2(); allow list: if (resource.data.flag == true && x) || g(x); }",
    );
    for (call_depth_max, expected) in [(2, "< ?"), (3, "allow")] {
        let limits = Limits {
            call_depth_max,
            ..Limits::default()
        };
        let rules = ruleset_with(&source, limits);
        assert_eq!(decided(&world, &rules, r#"{"from": "posts"}"#), expected);
        let mut single = World::new("posts/p", Method::List)
            .by("alice")
            .before(r#"{"flag": false}"#);
        single.query = Some(query(r#"{"from": "posts"}"#));
        assert_eq!(single.allows(&rules), expected == "allow");
    }
    // Of a loop over what the document holds nobody knows how long it takes.
    let rules = ruleset(&firestore(
        "andiron1",
        "match /posts/{id} { allow list: if resource.data.tags.all(x, x is string) || true; }",
    ));
    assert_eq!(decided(&world, &rules, r#"{"from": "posts"}"#), "< ?");
}

#[test]
fn denials_name_the_allows_that_were_tried() {
    let world = world();
    let rules = ruleset(&firestore(
        "andiron1",
        "match /posts/{id} { allow list: if resource.data < 1; allow list: if false; allow get; }",
    ));
    let query = query(r#"{"from": "posts"}"#);
    let ListDecision::Deny(denial) = rules.decide_list(&request(&world, &query), &world.documents) else {
        panic!("it is denied");
    };
    assert_eq!(denial.tried.len(), 2);
    assert!(denial.tried[0].error.is_some() && denial.tried[1].error.is_none());
}

#[test]
fn look_ups_that_were_relied_on_are_named() {
    let world = world();
    let rules = ruleset(&firestore(
        "2",
        "match /posts/{id} {
            allow list: if get(/databases/$(database)/documents/users/alice).data.level == resource.data.level;
        }",
    ));
    let query = query(r#"{"from": "posts"}"#);
    let ListDecision::Filter(residual) = rules.decide_list(&request(&world, &query), &world.documents) else {
        panic!("it is a filter");
    };
    assert_eq!(residual.lookups, [path("users/alice")]);
    let missing = rules.decide_list(&request(&world, &query), &Documents::new());
    assert_eq!(missing, ListDecision::Needs(vec![path("users/alice")]));
}

#[test]
fn documents_of_a_filter_are_those_that_are_allowed() {
    // The random test next door does the same with everything that can be drawn; this is the common case, readable.
    let rules = ruleset(&firestore(
        "2",
        "match /posts/{id} { allow list: if resource.data.owner == request.auth.uid || 'alice' in resource.data.readers; }",
    ));
    let world = world();
    let query = query(r#"{"from": "posts"}"#);
    let ListDecision::Filter(residual) = rules.decide_list(&request(&world, &query), &world.documents) else {
        panic!("it is a filter");
    };
    assert!(residual.is_exact);
    let filter = residual.filter.unwrap();
    for (json, expected) in [
        (r#"{"owner": "alice"}"#, true),
        (r#"{"owner": "bob"}"#, false),
        (r#"{"owner": "bob", "readers": ["carol", "alice"]}"#, true),
        (r#"{"readers": {"alice": false}}"#, true),
        (r#"{"readers": "alice"}"#, false),
        (r#"{}"#, false),
    ] {
        assert_eq!(filter.matches("p1", &data(json)), expected, "{json}");
    }
}

#[test]
fn the_deepest_evaluation_fits_into_a_thread() {
    let world = world();
    let calls = |body: &dyn Fn(usize) -> String| -> String {
        (1..20)
            .map(|n| format!("function f{n}(x) {{ {} }}\n", body(n)))
            .collect()
    };
    let nested = |opening: &str, inner: &str, closing: &str| {
        format!("{}{inner}{}", opening.repeat(60), closing.repeat(60))
    };
    let bodies: [&dyn Fn(usize) -> String; 6] = [
        // Levels of calls and quantifiers, in a known list and in one of the document.
        &|n| {
            format!(
                "return {};",
                nested("[1].map(y, ", &format!("f{}(x)", n + 1), ")")
            )
        },
        &|n| {
            format!(
                "return {};",
                nested("[x].map(y, ", &format!("f{}(y)", n + 1), ")")
            )
        },
        &|n| format!("return {};", nested("(true && ", &format!("f{}(x)", n + 1), ")")),
        // Values that are put together step by step, so that none of the steps is deep.
        &|n| {
            let wrapped = nested("[", "x", "]");
            format!(
                "let a = {wrapped}; return a == 1 ? f{}(a) : f{}(a);",
                n + 1,
                n + 1
            )
        },
        &|n| {
            // Unlike the others this is two levels of text for each of the value.
            let wrapped = "!(1 == resource.data.d ? ".repeat(30) + "x" + &" : false)".repeat(30);
            format!("let a = {wrapped}; return a == 1 || f{}(a);", n + 1)
        },
        &|n| {
            let wrapped = nested("(resource.data.c ? ", "x", " : 1)");
            format!("let a = {wrapped}; return a == 1 || f{}(a);", n + 1)
        },
    ];
    for body in bodies {
        let functions = calls(body);
        let rules = ruleset(&firestore(
            "andiron1",
            &format!(
                "{functions} function f20(x) {{ return x == 1; }}
                 match /posts/{{id}} {{ allow list: if f1(resource.data.a) == 5 || resource.data.b == f1(resource.data.a); }}"
            ),
        ));
        let query = query(r#"{"from": "posts", "where": ["c", "==", true]}"#);
        let _ = rules.decide_list(&request(&world, &query), &world.documents);
        let _ = rules.prove_list(&request(&world, &query), &world.documents);
    }
}
