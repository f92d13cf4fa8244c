//! Random commits under random rules: what is let through is allowed, what is allowed is let through, and what is told
//! of conditions is told only to those who may read what they are about.

use std::collections::BTreeMap;
use std::sync::Arc;

use andiron_engine::RulesInForce;
use andiron_protocol::{
    CommitBody, DocumentPath, ErrorCode, Map, Timestamp, Version, Write, WriteKind, apply_write, arbitrary,
};
use andiron_rules::evaluate::{Auth, DATABASE_DEFAULT, Decision, Method, Request, Target};
use andiron_store::Store;
use andiron_store::memory::MemoryStore;
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use proptest::sample::select;

use crate::query_naive::{Documents, fill, open};
use crate::rules_support::{rules, user};
use crate::support::OWNER;

const BEFORE: [&str; 6] = [
    "resource.data.a == 1",
    "resource.data.a is number",
    "resource == null",
    "'b' in resource.data",
    "exists(/databases/$(db)/documents/d/$(id))",
    "get(/databases/$(db)/documents/c/$(id)).data.size() > 1",
];

const AFTER: [&str; 6] = [
    "request.resource.data.a is number",
    "request.resource.data.keys().hasOnly(['a', 'b', 'c', 'm'])",
    "request.resource.data.diff(resource.data).affectedKeys().hasOnly(['a', 'b'])",
    "existsAfter(/databases/$(db)/documents/c/$(id))",
    "getAfter(/databases/$(db)/documents/d/$(id)).data.a == request.resource.data.a",
    "request.resource.data.size() > 0",
];

/// Two conditions joined, mostly by `||` so that something is allowed; one may be turned round.
fn condition(atoms: Vec<&'static str>) -> BoxedStrategy<String> {
    (
        select(atoms.clone()),
        select(atoms),
        select(vec!["||", "||", "&&"]),
        any::<bool>(),
    )
        .prop_map(|(left, right, operator, is_turned)| {
            let left = if is_turned {
                format!("!({left})")
            } else {
                left.to_owned()
            };
            format!("{left} {operator} {right}")
        })
        .boxed()
}

fn ruleset() -> BoxedStrategy<String> {
    let both: Vec<_> = BEFORE.iter().chain(&AFTER).copied().collect();
    (condition(BEFORE.to_vec()), condition(AFTER.to_vec()), condition(both), condition(BEFORE.to_vec()))
        .prop_map(|(get, create, update, delete)| {
            format!(
                "match /{{kind}}/{{id}} {{
                   allow get: if {get}; allow create: if {create}; allow update: if {update}; allow delete: if {delete};
                 }}
                 match /{{p=**}}/c/{{id}} {{ allow create, update: if {update}; }}"
            )
        })
        .boxed()
}

/// One operation, judged with everything known.
fn is_allowed(
    rules: &RulesInForce,
    known: &mut andiron_rules::Documents,
    method: Method,
    path: &DocumentPath,
    before: Option<&Map>,
    after: Option<&Map>,
    time: Timestamp,
) -> bool {
    let token = Map::from([("sub".to_owned(), "a".into())]);
    let request = Request {
        target: Target::Document {
            database: DATABASE_DEFAULT,
            path,
        },
        method,
        auth: Some(Auth {
            uid: "a",
            token: &token,
        }),
        time,
        before,
        after,
        query: None,
    };
    loop {
        match rules.ruleset().decide(&request, known) {
            Decision::Allow(_) => return true,
            Decision::Deny(_) => return false,
            Decision::Needs(paths) => paths.into_iter().for_each(|path| known.insert(path, None)),
        }
    }
}

/// What a commit ought to come to.
struct Expected {
    /// Whether every write is allowed; `None` where a write is undone by a later one, so that it is not said what it was.
    is_allowed: Option<bool>,
    /// The documents about which a condition does not hold, and whether they may be read.
    unmet: Vec<bool>,
    after: Documents,
}

fn expected(
    rules: &RulesInForce,
    documents: &BTreeMap<DocumentPath, (Version, Map)>,
    writes: &[Write],
    time: Timestamp,
) -> Expected {
    let under_way = Version::from_micros(i64::MAX);
    let mut state: BTreeMap<_, _> = documents.clone();
    let mut conditions = Vec::new();
    for write in writes {
        let before = state.get(&write.path).map(|(version, data)| (*version, data));
        match apply_write(write, before, time) {
            Ok(applied) => match (&write.kind, applied.after) {
                (WriteKind::Verify, _) => {}
                (_, Some(data)) => {
                    drop(state.insert(write.path.clone(), (under_way, Arc::unwrap_or_clone(data))))
                }
                (_, None) => drop(state.remove(&write.path)),
            },
            Err(_) => conditions.push(&write.path),
        }
    }
    let mut known = andiron_rules::Documents::new();
    for (path, (_, data)) in documents {
        known.insert(path.clone(), Some(Arc::new(data.clone())));
    }
    for write in writes {
        let after = state.get(&write.path).map(|(_, data)| Arc::new(data.clone()));
        known.insert_after(write.path.clone(), after);
    }
    let data = |state: &'_ BTreeMap<DocumentPath, (Version, Map)>, path: &DocumentPath| {
        state.get(path).map(|(_, data)| data.clone())
    };
    let mut is_every_allowed = Some(true);
    for write in writes {
        let (before, after) = (data(documents, &write.path), data(&state, &write.path));
        let method = match (&write.kind, &before) {
            (WriteKind::Verify, _) => Method::Get,
            (WriteKind::Delete, _) => Method::Delete,
            (_, Some(_)) => Method::Update,
            (_, None) => Method::Create,
        };
        if after.is_none() && matches!(method, Method::Create | Method::Update) {
            is_every_allowed = is_every_allowed.filter(|is_allowed| !is_allowed);
            continue;
        }
        let after = after.filter(|_| matches!(method, Method::Create | Method::Update));
        if !is_allowed(
            rules,
            &mut known,
            method,
            &write.path,
            before.as_ref(),
            after.as_ref(),
            time,
        ) {
            is_every_allowed = Some(false);
        }
    }
    let unmet = conditions
        .into_iter()
        .map(|path| {
            is_allowed(
                rules,
                &mut known,
                Method::Get,
                path,
                data(documents, path).as_ref(),
                None,
                time,
            )
        })
        .collect();
    Expected {
        is_allowed: is_every_allowed,
        unmet,
        after: state.into_iter().map(|(path, (_, data))| (path, data)).collect(),
    }
}

async fn check(documents: Documents, text: String, commits: Vec<Vec<Write>>) {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    fill(&store, &documents, &[]).await;
    let engine = open(&store);
    let in_force = rules("random", &text);
    engine.set_rules(Some(Arc::clone(&in_force)));
    let all: Vec<DocumentPath> = documents
        .keys()
        .chain(commits.iter().flatten().map(|write| &write.path))
        .cloned()
        .collect();
    for writes in commits {
        let current: BTreeMap<_, _> = all
            .iter()
            .filter_map(|path| engine.get(&OWNER, path).unwrap())
            .map(|found| {
                let data = andiron_protocol::data_from_json(found.data.as_bytes()).unwrap();
                (found.path, (found.version, data))
            })
            .collect();
        // No transform of a random commit depends on the time.
        let expected = expected(&in_force, &current, &writes, Timestamp::from_micros_clamped(0));
        let body = CommitBody {
            writes: writes.clone(),
            ..CommitBody::default()
        };
        let context = format!("{writes:?}\nof {current:?}\nby {text}");
        match engine.commit(&user("a"), body, None).await {
            Ok(_) => {
                assert_ne!(expected.is_allowed, Some(false), "{context}");
                assert!(expected.unmet.is_empty(), "{context}");
                for path in &all {
                    let found = engine.get(&OWNER, path).unwrap();
                    let found =
                        found.map(|found| andiron_protocol::data_from_json(found.data.as_bytes()).unwrap());
                    assert_eq!(found.as_ref(), expected.after.get(path), "{context}");
                }
            }
            Err(error) if error.code() == ErrorCode::PermissionDenied => {
                let is_sure = expected.is_allowed == Some(true) && expected.unmet.is_empty();
                assert!(!is_sure, "{error:?} {context}");
            }
            Err(error) => {
                assert!(!expected.unmet.is_empty(), "{error} {context}");
                assert!(
                    expected.unmet.iter().all(|may_read| *may_read),
                    "{error} tells: {context}"
                );
            }
        }
    }
    engine.close();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn commits_come_to_what_a_naive_judge_says(
        documents in btree_map(arbitrary::document_path(), arbitrary::map(), 0..16),
        text in ruleset(),
        commits in vec(vec(arbitrary::write(), 1..4), 10),
    ) {
        let has_time = |write: &Write| format!("{write:?}").contains("Now");
        let commits = commits.into_iter().filter(|writes| !writes.iter().any(has_time)).collect();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(check(documents, text, commits));
    }
}
