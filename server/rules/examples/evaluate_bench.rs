//! Measures what a decision costs: `cargo run --release -p andiron-rules --example evaluate_bench`.
//!
//! The goals: under 2 µs for an owner check, under 10 µs for a rule with two `get`s of known documents; a few µs for a
//! list whose rule becomes a filter.

#![expect(clippy::unwrap_used, reason = "an example that measures may panic")]

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use andiron_protocol::{DocumentPath, Map, Query, data_from_json, from_json};
use andiron_rules::evaluate::{
    Auth, DATABASE_DEFAULT, Decision, Documents, Method, Request, Ruleset, Target,
};
use andiron_rules::{Limits, ListDecision, ListProof, ListRequest, Program, Source, check};

const DECISIONS: u32 = 200_000;
const ROUNDS: usize = 7;

fn main() {
    let collections: String = (0..200)
        .map(|n| format!("match /c{n}/{{id}} {{ allow read: if request.auth.uid == id; }}\n"))
        .collect();
    let source = format!(
        "rules_version = '2';
        service cloud.firestore {{ match /databases/{{database}}/documents {{
            {collections}
            function member(team) {{
                return get(/databases/$(database)/documents/teams/$(team)/members/$(request.auth.uid)).data;
            }}
            match /notes/{{id}} {{
                allow get: if request.auth != null && resource.data.owner == request.auth.uid;
                allow list: if request.auth != null && resource.data.owner == request.auth.uid;
                allow update: if request.auth.uid == resource.data.owner
                    && request.resource.data.diff(resource.data).affectedKeys().hasOnly(['title', 'body'])
                    && request.resource.data.title is string && request.resource.data.title.size() <= 120
                    && request.resource.data.title.matches('[^<>]*');
            }}
            match /teams/{{team}}/plans/{{plan}} {{
                allow get, list: if member(team).role in ['owner', 'editor']
                    && get(/databases/$(database)/documents/teams/$(team)).data.open == true;
            }}
        }} }}"
    );
    let program = Program::single(Source::new("bench.rules", source).unwrap());
    let limits = Limits::default();
    let checked = check(&program, &limits);
    assert!(!program.has_errors() && !checked.has_errors());
    let rules = Ruleset::new(&program, &checked, limits);

    let data = |json: &str| data_from_json(json.as_bytes()).unwrap();
    let mut documents = Documents::new();
    for (path, json) in [
        ("teams/t1/members/alice", r#"{"role": "editor"}"#),
        ("teams/t1", r#"{"open": true, "name": "One"}"#),
    ] {
        documents.insert(path.parse().unwrap(), Some(Arc::new(data(json))));
    }
    let note = data(r#"{"owner": "alice", "title": "a title", "body": "text", "tags": ["a", "b"]}"#);
    let changed = data(r#"{"owner": "alice", "title": "another title", "body": "text", "tags": ["a", "b"]}"#);
    let token = data(r#"{"sub": "alice", "email": "alice@x.org"}"#);
    let note_path: DocumentPath = "notes/n1".parse().unwrap();
    let plan_path: DocumentPath = "teams/t1/plans/p1".parse().unwrap();
    let request = |path, method, after| request(path, method, &note, after, &token);

    measure(
        "owner check",
        &rules,
        &request(&note_path, Method::Get, None),
        &documents,
    );
    measure(
        "two gets",
        &rules,
        &request(&plan_path, Method::Get, None),
        &documents,
    );
    measure(
        "update with diff and matches",
        &rules,
        &request(&note_path, Method::Update, Some(&changed)),
        &documents,
    );
    let notes: Query = from_json(br#"{"from": "notes", "where": ["tags", "array-contains", "a"]}"#).unwrap();
    let own: Query = from_json(br#"{"from": "notes", "where": ["owner", "==", "alice"]}"#).unwrap();
    let plans: Query = from_json(br#"{"from": "teams/t1/plans"}"#).unwrap();
    let list = |query| ListRequest {
        database: DATABASE_DEFAULT,
        query,
        auth: Some(Auth {
            uid: "alice",
            token: &token,
        }),
        time: "2026-11-22T05:40:35Z".parse().unwrap(),
    };
    measure_lists(
        "list by owner, to a filter",
        &rules,
        &list(&notes),
        &documents,
        |decision| matches!(decision, ListDecision::Filter(residual) if residual.is_exact),
    );
    measure_lists(
        "list by owner, as the query demands",
        &rules,
        &list(&own),
        &documents,
        |decision| matches!(decision, ListDecision::Allow { .. }),
    );
    measure_lists(
        "list by two gets",
        &rules,
        &list(&plans),
        &documents,
        |decision| matches!(decision, ListDecision::Allow { .. }),
    );
    measure_proofs("list by owner, proved", &rules, &list(&own), &documents);
}

fn request<'a>(
    path: &'a DocumentPath,
    method: Method,
    before: &'a Map,
    after: Option<&'a Map>,
    token: &'a Map,
) -> Request<'a> {
    Request {
        target: Target::Document {
            database: DATABASE_DEFAULT,
            path,
        },
        method,
        auth: Some(Auth { uid: "alice", token }),
        time: "2026-11-22T05:40:35Z".parse().unwrap(),
        before: Some(before),
        after,
        query: None,
    }
}

fn measure(name: &str, rules: &Ruleset, request: &Request<'_>, documents: &Documents) {
    time(name, || {
        let decision = rules.decide(black_box(request), black_box(documents));
        assert!(matches!(decision, Decision::Allow(_)));
    });
}

fn measure_lists(
    name: &str,
    rules: &Ruleset,
    request: &ListRequest<'_>,
    documents: &Documents,
    is_expected: impl Fn(&ListDecision) -> bool,
) {
    time(name, || {
        let decision = rules.decide_list(black_box(request), black_box(documents));
        assert!(is_expected(&decision));
    });
}

fn measure_proofs(name: &str, rules: &Ruleset, request: &ListRequest<'_>, documents: &Documents) {
    time(name, || {
        let proof = rules.prove_list(black_box(request), black_box(documents));
        assert!(matches!(proof, ListProof::Allow { .. }));
    });
}

/// Prints the best of several rounds, which is the one that others disturbed least.
fn time(name: &str, mut decide: impl FnMut()) {
    let mut best = f64::INFINITY;
    for _ in 0..ROUNDS {
        let start = Instant::now();
        for _ in 0..DECISIONS {
            decide();
        }
        best = best.min(start.elapsed().as_secs_f64() / f64::from(DECISIONS));
    }
    println!("{name}: {:.2} µs", best * 1e6);
}
