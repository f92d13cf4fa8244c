//! Queries that are proved by what they demand, and what is said of those that are not.

use andiron_rules::ListProof;
use andiron_rules::evaluate::Ruleset;

use crate::evaluate_support::{firestore, ruleset};
use crate::partial_lists::{query, request, world};

/// Proves queries on `posts`, and says of one that is not proved what would help.
fn proved(rules: &Ruleset, rest: &str) -> String {
    let world = world();
    let query = query(&format!(r#"{{"from": "posts" {rest}}}"#));
    match rules.prove_list(&request(&world, &query), &world.documents) {
        ListProof::Allow { .. } => "allow".to_owned(),
        ListProof::Needs(paths) => format!("needs {}", paths[0]),
        ListProof::Deny { unproved, .. } => {
            let conjuncts = unproved.iter().flat_map(|unproved| &unproved.conjuncts);
            let shown: Vec<_> = conjuncts
                .map(|conjunct| match &conjunct.suggestion {
                    Some(filter) => filter.to_expression(),
                    None => "?".to_owned(),
                })
                .collect();
            format!("deny: {}", shown.join(" & "))
        }
    }
}

#[test]
fn a_query_is_proved_by_what_it_demands() {
    let cases: &[(&str, &[(&str, &str)])] = &[
        (
            "resource.data.owner == request.auth.uid",
            &[
                ("", "deny: owner == \"alice\""),
                (r#", "where": ["owner", "==", "alice"]"#, "allow"),
                (r#", "where": ["owner", "in", ["alice"]]"#, "allow"),
                (r#", "where": ["owner", "==", "bob"]"#, "deny: "),
                (
                    r#", "where": ["and", ["owner", "==", "alice"], ["x", ">", 1]]"#,
                    "allow",
                ),
                (
                    r#", "where": ["or", ["owner", "==", "alice"], ["x", ">", 1]]"#,
                    "deny: owner == \"alice\"",
                ),
                (r#", "orderBy": [["owner", "asc"]]"#, "deny: owner == \"alice\""),
            ],
        ),
        (
            "resource.data.status == 'open' || resource.data.status == 'done'",
            &[
                (r#", "where": ["status", "==", "open"]"#, "allow"),
                (r#", "where": ["status", "in", ["open", "done"]]"#, "allow"),
                (
                    r#", "where": ["or", ["status", "==", "open"], ["status", "==", "done"]]"#,
                    "allow",
                ),
                (r#", "where": ["status", "in", ["open", "secret"]]"#, "deny: "),
            ],
        ),
        (
            "resource.data.rank >= 3",
            &[
                (r#", "where": ["rank", ">=", 3]"#, "allow"),
                (r#", "where": ["rank", ">", 3]"#, "allow"),
                (r#", "where": ["rank", ">", 2]"#, "deny: rank >= 3"),
                (r#", "where": ["rank", ">=", "x"]"#, "deny: "),
                (
                    r#", "where": ["and", ["rank", ">", 4], ["rank", "<", 9]]"#,
                    "allow",
                ),
                (r#", "where": ["not", ["rank", "<", 3]]"#, "deny: rank >= 3"),
            ],
        ),
        (
            "request.auth.uid in resource.data.members",
            &[
                (r#", "where": ["members", "array-contains", "alice"]"#, "allow"),
                (
                    r#", "where": ["members", "array-contains-any", ["alice"]]"#,
                    "allow",
                ),
                (
                    r#", "where": ["members", "array-contains-any", ["alice", "bob"]]"#,
                    "deny: \"alice\" in members || (members >= {} && exists(members.alice))",
                ),
                (r#", "where": ["members", "==", ["alice"]]"#, "allow"),
                (r#", "where": ["members.alice", "exists", true]"#, "allow"),
            ],
        ),
        (
            "resource.data.tags.hasAny(['a', 'b'])",
            &[
                (r#", "where": ["tags", "array-contains", "a"]"#, "allow"),
                (
                    r#", "where": ["tags", "array-contains-any", ["b", "a"]]"#,
                    "allow",
                ),
                (
                    r#", "where": ["tags", "array-contains-any", ["b", "c"]]"#,
                    "deny: tags.hasAny([\"a\", \"b\"])",
                ),
            ],
        ),
        (
            "'a' in resource.data && !('b' in resource.data)",
            &[
                (
                    r#", "where": ["and", ["a", "==", 1], ["b", "exists", false]]"#,
                    "allow",
                ),
                (
                    r#", "where": ["b", "exists", false], "orderBy": [["a", "asc"]]"#,
                    "allow",
                ),
                (r#", "where": ["a", ">", 1]"#, "deny: !exists(b)"),
                ("", "deny: exists(a) & !exists(b)"),
            ],
        ),
        (
            "resource.data.state != 'draft'",
            &[
                (r#", "where": ["state", "!=", "draft"]"#, "allow"),
                (r#", "where": ["state", ">", "draft"]"#, "allow"),
                (r#", "where": ["state", "not-in", ["draft", "gone"]]"#, "allow"),
                (
                    r#", "where": ["and", ["state", "exists", true], ["not", ["state", "in", ["draft"]]]]"#,
                    "allow",
                ),
                (
                    r#", "where": ["not", ["state", "==", "draft"]]"#,
                    "deny: exists(state) && !(state == \"draft\")",
                ),
            ],
        ),
        // An absent field is no proof.
        (
            "resource.data.get('hidden', false) == false",
            &[
                ("", "deny: hidden == false || !exists(hidden)"),
                (r#", "where": ["hidden", "==", false]"#, "allow"),
                (r#", "where": ["hidden", "exists", false]"#, "allow"),
            ],
        ),
        (
            "id == request.auth.uid",
            &[
                (r#", "where": ["__id__", "==", "alice"]"#, "allow"),
                (r#", "where": ["__id__", "in", ["alice", "bob"]]"#, "deny: "),
                ("", "deny: __id__ == \"alice\""),
            ],
        ),
        (
            "request.query.limit <= 10",
            &[
                (r#", "limit": 10"#, "allow"),
                (r#", "limit": 11"#, "deny: "),
                ("", "deny: "),
            ],
        ),
        (
            "exists(/databases/$(database)/documents/teams/$(resource.data.team)/members/$(request.auth.uid))",
            &[
                (r#", "where": ["team", "==", "t1"]"#, "allow"),
                (r#", "where": ["team", "==", "t2"]"#, "deny: "),
                (
                    r#", "where": ["team", "in", ["t1", "t3"]]"#,
                    "needs teams/t3/members/alice",
                ),
                (r#", "where": ["team", "in", ["t1", "t2"]]"#, "deny: "),
                ("", "deny: ?"),
            ],
        ),
        (
            "resource.data.n is int && resource.data.s is string && resource.data.s.size() < 3",
            &[
                (
                    r#", "where": ["and", ["n", "==", 1], ["s", "==", "ab"]]"#,
                    // An equal double would not be an int.
                    "deny: ?",
                ),
                (
                    r#", "where": ["and", ["n", "==", 1], ["s", "==", "abc"]]"#,
                    "deny: ",
                ),
            ],
        ),
        (
            "resource.data.m.a == 1",
            &[
                (r#", "where": ["m.a", "==", 1]"#, "allow"),
                (r#", "where": ["m", "==", {"a": 1}]"#, "allow"),
                (r#", "where": ["m", "==", {"b": 1}]"#, "deny: "),
            ],
        ),
    ];
    for (condition, queries) in cases {
        let rules = ruleset(&firestore(
            "2",
            &format!("match /posts/{{id}} {{ allow list: if {condition}; }}"),
        ));
        for (rest, expected) in *queries {
            assert_eq!(proved(&rules, rest), *expected, "{condition}\nfor {rest}");
        }
    }
}

#[test]
fn allows_prove_a_query_together() {
    let rules = ruleset(&firestore(
        "2",
        "match /posts/{id} {
            allow list: if resource.data.public == true;
            allow list: if resource.data.owner == request.auth.uid && resource.data.draft == true;
        }",
    ));
    assert_eq!(
        proved(
            &rules,
            r#", "where": ["or", ["public", "==", true], ["and", ["owner", "==", "alice"], ["draft", "==", true]]]"#
        ),
        "allow"
    );
    assert_eq!(
        proved(&rules, r#", "where": ["owner", "==", "alice"]"#),
        "deny: public == true & draft == true"
    );
}

#[test]
fn what_is_not_proved_has_its_place_in_the_source() {
    let source = firestore(
        "2",
        "match /posts/{id} { allow list: if request.auth != null && resource.data.a == 1 && resource.data.b > 2; }",
    );
    let rules = ruleset(&source);
    let world = world();
    let query = query(r#"{"from": "posts", "where": ["b", ">", 3]}"#);
    let ListProof::Deny { unproved, .. } = rules.prove_list(&request(&world, &query), &world.documents)
    else {
        panic!("it is not proved");
    };
    let [conjunct] = unproved[0].conjuncts.as_slice() else {
        panic!("{unproved:?}");
    };
    assert_eq!(&source[conjunct.span.unwrap().range()], "resource.data.a == 1");
}
