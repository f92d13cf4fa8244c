//! Random lists: as a whole they are judged as their documents one by one are.

use std::collections::BTreeMap;
use std::sync::Arc;

use andiron_protocol::{DocumentPath, Filter, Map, Query, Timestamp, Value};

use super::draw::{Draw, query, rules, stored};

use crate::check::check;
use crate::evaluate::{Auth, DATABASE_DEFAULT, Decision, Documents, Method, Request, Ruleset, Target};
use crate::limits::Limits;
use crate::partial::{ListDecision, ListProof, ListRequest, Residual};
use crate::program::Program;
use crate::source::Source;

/// What came of a case, for tests that want to know that all of it comes up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ListCase {
    /// `allow`, `deny`, `exact`, `filter` or `open`.
    pub decision: &'static str,
    /// Whether the query proves the rules.
    pub is_proved: bool,
    /// Whether it does when what the rules demand is joined to it.
    pub is_proved_when_narrowed: bool,
    /// How many documents the query returns.
    pub returned: usize,
    /// How many of them may be listed.
    pub allowed: usize,
}

/// Judges a random list in all ways there are; `None` if the rules that were drawn are none.
pub fn list_case(bytes: &[u8]) -> Option<ListCase> {
    let mut draw = Draw { bytes, at: 0 };
    let source = rules(&mut draw);
    let stored = stored(&mut draw);
    let query = query(&mut draw);
    let program = Program::single(Source::new("lists.rules", source.as_str()).ok()?);
    if program.has_errors() {
        panic!("{source}\n{:?}", program.diagnostics());
    }
    let limits = limits(&mut draw);
    let rules = Ruleset::new(&program, &check(&program, &limits), limits);
    let token = BTreeMap::from([
        (
            "teams".to_owned(),
            Value::from(vec![Value::from("a"), Value::from("b"), Value::from(1)]),
        ),
        (
            "roles".to_owned(),
            Value::from(BTreeMap::from([
                ("a".to_owned(), Value::from("alice")),
                ("b".to_owned(), Value::from(true)),
            ])),
        ),
        ("admin".to_owned(), Value::from(false)),
    ]);
    let auth = (draw.below(6) > 0).then_some(Auth {
        uid: "alice",
        token: &token,
    });
    let time: Timestamp = "2026-01-01T00:00:00Z".parse().ok()?;
    let world = World {
        source,
        rules,
        stored,
        auth,
        time,
    };
    let (mut case, decision) = world.judge(&query);
    if let ListDecision::Filter(Residual {
        filter: Some(filter), ..
    }) = decision
    {
        // A query that demands what the rules demand is likely to be proved.
        let filters = query.filter.into_iter().chain([filter]).collect();
        let narrowed = Query {
            filter: Some(Filter::And(filters)),
            ..query
        };
        case.is_proved_when_narrowed = world.judge(&narrowed).0.is_proved;
    }
    Some(case)
}

/// The usual limits, or some that are met.
fn limits(draw: &mut Draw<'_>) -> Limits {
    let usual = Limits::default();
    match draw.below(16) {
        1 => Limits::firebase_strict(),
        2 => Limits {
            expressions_max: 1 + u32::try_from(draw.below(120)).unwrap_or_default(),
            ..usual
        },
        3 => Limits {
            lookups_max: draw.below(3),
            ..usual
        },
        4 => Limits {
            call_depth_max: 1 + u16::from(draw.chance(2)),
            ..usual
        },
        _ => usual,
    }
}

struct World<'a> {
    source: String,
    rules: Ruleset,
    stored: BTreeMap<DocumentPath, Map>,
    auth: Option<Auth<'a>>,
    time: Timestamp,
}

impl World<'_> {
    /// Makes documents known that were asked for.
    fn supply(&self, documents: &mut Documents, paths: Vec<DocumentPath>) {
        assert!(!paths.is_empty());
        for path in paths {
            assert!(!documents.contains(&path), "{path} is known");
            let data = self.stored.get(&path).cloned().map(Arc::new);
            documents.insert(path, data);
        }
    }

    fn judge(&self, query: &Query) -> (ListCase, ListDecision) {
        let (auth, time) = (self.auth, self.time);
        let mut documents = Documents::new();
        let request = ListRequest {
            database: DATABASE_DEFAULT,
            query,
            auth,
            time,
        };
        let decision = loop {
            match self.rules.decide_list(&request, &documents) {
                ListDecision::Needs(paths) => self.supply(&mut documents, paths),
                decision => break decision,
            }
        };
        let proof = loop {
            match self.rules.prove_list(&request, &documents) {
                ListProof::Needs(paths) => self.supply(&mut documents, paths),
                proof => break proof,
            }
        };
        let is_proved = matches!(proof, ListProof::Allow { .. });
        let mut case = ListCase {
            is_proved,
            ..ListCase::default()
        };
        for (path, data) in &self.stored {
            if !query.matches(path, data) {
                continue;
            }
            case.returned += 1;
            let single = Request {
                target: Target::Document {
                    database: DATABASE_DEFAULT,
                    path,
                },
                method: Method::List,
                auth,
                time,
                before: Some(data),
                after: None,
                query: Some(query),
            };
            let allowed = loop {
                match self.rules.decide(&single, &documents) {
                    Decision::Needs(paths) => self.supply(&mut documents, paths),
                    Decision::Allow(_) => break true,
                    Decision::Deny(_) => break false,
                }
            };
            if case.returned == 1 {
                // Whoever watches changes nothing.
                let (explained, _) = self.rules.explain(&single, &documents);
                assert_eq!(
                    explained,
                    self.rules.decide(&single, &documents),
                    "{}",
                    self.source
                );
            }
            case.allowed += usize::from(allowed);
            let fits = match &decision {
                ListDecision::Allow { .. } => allowed,
                ListDecision::Deny(_) => !allowed,
                ListDecision::Filter(residual) => {
                    let matches = residual
                        .filter
                        .as_ref()
                        .is_none_or(|filter| filter.matches(path.id(), data));
                    (matches || !allowed) && (!residual.is_exact || matches == allowed)
                }
                ListDecision::Needs(_) => false,
            };
            assert!(
                fits && (allowed || !is_proved),
                "{}\nof {path} {data:?}\nfor {:?} {query:?}\nis {allowed}, but {decision:?}\n{proof:?}",
                self.source,
                auth.map(|auth| auth.uid)
            );
        }
        case.decision = match &decision {
            ListDecision::Allow { .. } => "allow",
            ListDecision::Deny(_) => "deny",
            ListDecision::Filter(residual) if residual.is_exact => "exact",
            ListDecision::Filter(residual) if residual.filter.is_some() => "filter",
            _ => "open",
        };
        (case, decision)
    }
}
