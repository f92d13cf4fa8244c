//! Random rules, documents and queries, drawn from bytes: the list as a whole is judged as its documents one by one are.
//!
//! Names, values and paths come from small universes, so that what rules ask for is often there, with any type. A byte
//! decides one thing; where the bytes end, everything becomes the simplest there is.

use std::collections::BTreeMap;
use std::sync::Arc;

use andiron_protocol::{
    Direction, DocumentPath, FieldRef, Filter, GeoPoint, Map, Operator, OrderBy, Query,
    Source as QuerySource, Timestamp, Value,
};

use crate::check::check;
use crate::evaluate::{Auth, DATABASE_DEFAULT, Decision, Documents, Method, Request, Ruleset, Target};
use crate::limits::Limits;
use crate::partial::{ListDecision, ListProof, ListRequest, Residual};
use crate::program::Program;
use crate::source::Source;

/// Levels of expressions in each other.
const DEPTH_MAX: u32 = 4;

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

/// Decisions drawn from bytes.
struct Draw<'b> {
    bytes: &'b [u8],
    at: usize,
}

impl Draw<'_> {
    /// A number below a bound of at most 256; 0 where the bytes have ended.
    fn below(&mut self, bound: usize) -> usize {
        let byte = self.bytes.get(self.at).copied().unwrap_or_default();
        self.at += 1;
        usize::from(byte) % bound
    }

    fn one_of<'t>(&mut self, texts: &[&'t str]) -> &'t str {
        texts[self.below(texts.len())]
    }

    fn chance(&mut self, out_of: usize) -> bool {
        self.below(out_of) == 1
    }
}

const PATTERNS: &[&str] = &[
    "/c/{id}",
    "/c/p1",
    "/{col}/{id}",
    "/{rest=**}",
    "/{rest=**}/c/{id}",
    "/c/{id}/d/{x}",
    "/d/{d}/c/{id}",
    "/{rest=**}/{col}/{id}",
    "/d/{rest=**}",
];

fn rules(draw: &mut Draw<'_>) -> String {
    let version = if draw.chance(16) {
        ""
    } else {
        "rules_version = 'andiron1';"
    };
    let is_new = !version.is_empty();
    let mut text =
        format!("{version} service cloud.firestore {{ match /databases/{{database}}/documents {{\n");
    let mut scope = Scope {
        names: vec!["database"],
        is_new,
        has_function: false,
    };
    text.push_str("function same(x, y) { let z = x == y; return z; }\n");
    let body = boolean(
        draw,
        2,
        &mut Scope {
            names: vec!["x", "y", "database"],
            ..scope.clone()
        },
    );
    text.push_str(&format!(
        "function f(x, y) {{ let z = {body}; return z || x == y; }}\n"
    ));
    let body = value(
        draw,
        2,
        &mut Scope {
            names: vec!["x", "database"],
            ..scope.clone()
        },
    );
    text.push_str(&format!("function g(x) {{ return {body}; }}\n"));
    scope.has_function = true;
    for _ in 0..=draw.below(2) {
        let mut pattern = draw.one_of(PATTERNS);
        if !is_new && pattern.contains("**") && !pattern.ends_with("**}") {
            pattern = "/c/{id}";
        }
        let mut inner = scope.clone();
        for name in ["id", "col", "rest", "d", "x"] {
            if pattern.contains(&format!("{{{name}")) {
                inner.names.push(name);
            }
        }
        text.push_str(&format!("match {pattern} {{ "));
        for _ in 0..=draw.below(2) {
            text.push_str(&format!("allow list: if {};\n", condition(draw, &mut inner)));
        }
        text.push_str("}\n");
    }
    text.push_str("} }");
    text
}

#[derive(Clone)]
struct Scope {
    names: Vec<&'static str>,
    is_new: bool,
    has_function: bool,
}

/// A condition as people write them, or any.
fn condition(draw: &mut Draw<'_>, scope: &mut Scope) -> String {
    if draw.chance(2) {
        return boolean(draw, DEPTH_MAX, scope);
    }
    let joint = draw.one_of(&[" && ", " || "]);
    let parts: Vec<_> = (0..=draw.below(3)).map(|_| boolean(draw, 1, scope)).collect();
    parts.join(joint)
}

const KINDS: &[&str] = &[
    "bool",
    "bytes",
    "float",
    "int",
    "number",
    "string",
    "list",
    "map",
    "path",
    "latlng",
    "timestamp",
    "duration",
    "set",
];

fn boolean(draw: &mut Draw<'_>, depth: u32, scope: &mut Scope) -> String {
    let kinds = if depth == 0 { 12 } else { 23 };
    match draw.below(kinds) {
        0 => draw.one_of(&["true", "false"]).to_owned(),
        1 | 2 => format!("{} == {}", field(draw, scope), constant(draw, scope)),
        3 => {
            let operator = draw.one_of(&["<", "<=", ">", ">="]);
            format!("{} {operator} {}", field(draw, scope), constant(draw, scope))
        }
        4 => format!("{} in {}", constant(draw, scope), field(draw, scope)),
        5 => format!("{} in {}", field(draw, scope), list(draw, scope)),
        6 => field(draw, scope),
        7 => format!("{} is {}", field(draw, scope), draw.one_of(KINDS)),
        8 => {
            let method = draw.one_of(&["hasAny", "hasAll", "hasOnly"]);
            if draw.chance(3) {
                format!("{}.{method}({})", list(draw, scope), field(draw, scope))
            } else {
                format!("{}.{method}({})", field(draw, scope), list(draw, scope))
            }
        }
        9 => format!("{} != {}", field(draw, scope), constant(draw, scope)),
        10 => {
            let method = draw.one_of(&["hasAny", "hasAll", "hasOnly"]);
            let map = draw.one_of(&["resource.data", "resource.data.m", "resource.data.a"]);
            let keys = draw.one_of(&["['a']", "['a', 'b']", "['m', 'alice']", "[]", "['a', 1]"]);
            format!("{map}.keys().{method}({keys})")
        }
        11 => format!("exists({})", path(draw, scope)),
        12 | 13 => format!(
            "({} && {})",
            boolean(draw, depth - 1, scope),
            boolean(draw, depth - 1, scope)
        ),
        14 | 15 => format!(
            "({} || {})",
            boolean(draw, depth - 1, scope),
            boolean(draw, depth - 1, scope)
        ),
        16 => format!("!({})", boolean(draw, depth - 1, scope)),
        17 => format!(
            "({} ? {} : {})",
            boolean(draw, depth - 1, scope),
            boolean(draw, depth - 1, scope),
            boolean(draw, depth - 1, scope)
        ),
        18 => {
            let operator = draw.one_of(&["==", "!=", "<", "<=", ">", ">="]);
            format!(
                "({}) {operator} ({})",
                value(draw, depth - 1, scope),
                value(draw, depth - 1, scope)
            )
        }
        19 => format!(
            "({}) in ({})",
            value(draw, depth - 1, scope),
            value(draw, depth - 1, scope)
        ),
        20 if scope.has_function => {
            let name = draw.one_of(&["same", "f"]);
            format!(
                "{name}({}, {})",
                value(draw, depth - 1, scope),
                value(draw, depth - 1, scope)
            )
        }
        21 if scope.is_new => {
            let quantifier = draw.one_of(&["all", "any"]);
            let list = if draw.chance(2) {
                field(draw, scope)
            } else {
                list(draw, scope)
            };
            let mut inner = scope.clone();
            inner.names.push("x");
            format!(
                "({list}).{quantifier}(x, {})",
                boolean(draw, depth - 1, &mut inner)
            )
        }
        22 => format!(
            "({} == {})",
            boolean(draw, depth - 1, scope),
            boolean(draw, depth - 1, scope)
        ),
        _ => format!("({}) is {}", value(draw, depth - 1, scope), draw.one_of(KINDS)),
    }
}

/// Something of the document, most of the time.
fn field(draw: &mut Draw<'_>, scope: &mut Scope) -> String {
    match draw.below(20) {
        0..=5 => format!("resource.data.{}", draw.one_of(NAMES)),
        6 | 7 => format!("resource.data.m.{}", draw.one_of(NAMES)),
        8 => "resource.data['odd name']".to_owned(),
        9 => format!("resource.data.m['{}']", draw.one_of(NAMES)),
        10 => format!(
            "resource.data.get('{}', {})",
            draw.one_of(NAMES),
            constant(draw, scope)
        ),
        11 => format!(
            "resource.data.get(['m', '{}'], {})",
            draw.one_of(NAMES),
            constant(draw, scope)
        ),
        12 => format!(
            "resource.data.m.get('{}', {})",
            draw.one_of(NAMES),
            constant(draw, scope)
        ),
        13 => "resource.id".to_owned(),
        14 | 15 => (*scope
            .names
            .get(draw.below(scope.names.len().max(1)))
            .unwrap_or(&"database"))
        .to_owned(),
        16 if scope.is_new => format!("resource.data.m?.{}", draw.one_of(NAMES)),
        17 if scope.is_new => format!(
            "(resource.data.m.{} ?? {})",
            draw.one_of(NAMES),
            constant(draw, scope)
        ),
        18 => draw
            .one_of(&[
                "resource.data",
                "resource",
                "resource.data.m",
                "resource.__name__",
                "request.path",
            ])
            .to_owned(),
        _ => format!("resource.data.{}", draw.one_of(NAMES)),
    }
}

const NAMES: &[&str] = &["a", "b", "c", "m", "tags", "alice"];

fn constant(draw: &mut Draw<'_>, scope: &mut Scope) -> String {
    const CONSTANTS: &[&str] = &[
        "null",
        "true",
        "false",
        "0",
        "1",
        "2",
        "-1",
        "1.0",
        "1.5",
        "float('NaN')",
        "'a'",
        "'b'",
        "''",
        "'alice'",
        "request.auth.uid",
        "request.auth.token.admin",
        "request.auth.token.roles.a",
        "request.time",
        "timestamp.date(2026, 1, 1)",
        "timestamp.date(2025, 1, 1) + duration.value(1, 'ns')",
        "duration.value(1, 's')",
        "b'ab'",
        "latlng.value(1, 1)",
        "[]",
        "['a']",
        "[1, 2]",
        "[1.0]",
        "[[1]]",
        "{'a': 1}",
        "{'a': [1]}",
        "{}",
        "['a'].toSet()",
        "/databases/$(database)/documents/c/a",
        "/databases/other/documents/c/a",
        "request.query.limit",
        "request.method",
        "'p1'",
        "'m'",
        "(1 / 0)",
        "get(/databases/$(database)/documents/users/alice).data.team",
    ];
    match draw.below(CONSTANTS.len() + 2) {
        index if index < CONSTANTS.len() => {
            let text = CONSTANTS[index];
            if text.contains("$(database)") && !scope.names.contains(&"database") {
                return "1".to_owned();
            }
            text.to_owned()
        }
        _ => field(draw, scope),
    }
}

fn list(draw: &mut Draw<'_>, scope: &mut Scope) -> String {
    match draw.below(8) {
        0 => "request.auth.token.teams".to_owned(),
        1 => "request.auth.token.roles".to_owned(),
        2 => "[]".to_owned(),
        3 => format!("[{}]", constant(draw, scope)),
        4 => format!("[{}, {}].toSet()", constant(draw, scope), constant(draw, scope)),
        5 => format!("get({}).data.teams", path(draw, scope)),
        _ => format!("[{}, {}]", constant(draw, scope), constant(draw, scope)),
    }
}

fn path(draw: &mut Draw<'_>, scope: &mut Scope) -> String {
    match draw.below(7) {
        0 | 1 => "/databases/$(database)/documents/users/alice".to_owned(),
        2 => "/databases/$(database)/documents/users/bob".to_owned(),
        3 => "/databases/$(database)/documents/c/p1".to_owned(),
        4 => format!("/databases/$(database)/documents/teams/$({})", field(draw, scope)),
        5 => format!("/databases/$(database)/documents/users/$({})", field(draw, scope)),
        _ => "/databases/$(database)/documents/teams/$(request.auth.uid)".to_owned(),
    }
}

fn value(draw: &mut Draw<'_>, depth: u32, scope: &mut Scope) -> String {
    let kinds = if depth == 0 { 4 } else { 15 };
    match draw.below(kinds) {
        0 | 1 => field(draw, scope),
        2 => constant(draw, scope),
        3 => list(draw, scope),
        4 => format!(
            "({} ? {} : {})",
            boolean(draw, depth - 1, scope),
            value(draw, depth - 1, scope),
            value(draw, depth - 1, scope)
        ),
        5 => format!(
            "[{}, {}]",
            value(draw, depth - 1, scope),
            value(draw, depth - 1, scope)
        ),
        6 => format!("{{'a': {}}}", value(draw, depth - 1, scope)),
        7 => format!("({}).{}", value(draw, depth - 1, scope), draw.one_of(NAMES)),
        8 => format!("({})['{}']", value(draw, depth - 1, scope), draw.one_of(NAMES)),
        9 => format!(
            "({})[{}]",
            value(draw, depth - 1, scope),
            value(draw, depth - 1, scope)
        ),
        10 => format!(
            "({}).get('{}', {})",
            value(draw, depth - 1, scope),
            draw.one_of(NAMES),
            value(draw, depth - 1, scope)
        ),
        11 => {
            let operator = draw.one_of(&["+", "-", "%"]);
            format!(
                "(({}) {operator} ({}))",
                value(draw, depth - 1, scope),
                value(draw, depth - 1, scope)
            )
        }
        12 => {
            let call = draw.one_of(&["size()", "keys()", "toSet()", "lower()", "values()", "date()"]);
            format!("({}).{call}", value(draw, depth - 1, scope))
        }
        13 if scope.is_new => {
            format!(
                "(({}) ?? ({}))",
                value(draw, depth - 1, scope),
                value(draw, depth - 1, scope)
            )
        }
        14 if scope.has_function => format!("g({})", value(draw, depth - 1, scope)),
        _ => boolean(draw, depth - 1, scope),
    }
}

/// The documents that there are.
fn stored(draw: &mut Draw<'_>) -> BTreeMap<DocumentPath, Map> {
    const PATHS: &[&str] = &[
        "c/a",
        "c/p1",
        "c/alice",
        "c/z",
        "d/a/c/p1",
        "d/p1/c/a",
        "d/p1/c/alice",
        "c/a/d/p1",
        "users/alice",
        "teams/a",
        "teams/alice",
    ];
    let mut stored = BTreeMap::new();
    for path in PATHS {
        let data = match *path {
            "users/alice" => Map::from([
                ("team".to_owned(), Value::from("a")),
                (
                    "teams".to_owned(),
                    Value::from(vec![Value::from("a"), Value::from(1)]),
                ),
            ]),
            _ if draw.chance(12) => continue,
            _ => data(draw, 3),
        };
        stored.insert(path.parse().expect("it is a path"), data);
    }
    stored
}

fn data(draw: &mut Draw<'_>, depth: u32) -> Map {
    let mut data = Map::new();
    for name in NAMES.iter().chain(&["odd name"]) {
        let is_map = *name == "m" && depth > 1;
        if is_map && draw.below(4) > 0 {
            data.insert("m".to_owned(), Value::Map(self::data(draw, depth - 2)));
        } else if draw.below(3) > 0 {
            data.insert((*name).to_owned(), stored_value(draw, depth));
        }
    }
    data
}

fn stored_value(draw: &mut Draw<'_>, depth: u32) -> Value {
    let kinds = if depth == 0 { 18 } else { 24 };
    match draw.below(kinds) {
        0 => Value::Null,
        1 | 2 => Value::Boolean(true),
        3 => Value::Boolean(false),
        4 => Value::Integer(1),
        5 => Value::Integer(0),
        6 => Value::Double(1.0),
        7 => Value::Double(1.5),
        8 => Value::Double(f64::NAN),
        9 | 10 => Value::from("a"),
        11 | 12 => Value::from("alice"),
        13 => Value::from(""),
        14 => Value::Timestamp("2025-01-01T00:00:00Z".parse().expect("it is a timestamp")),
        15 => Value::Timestamp("2026-01-01T00:00:00Z".parse().expect("it is a timestamp")),
        16 => match draw.below(3) {
            0 => Value::Bytes(b"ab".to_vec()),
            1 => GeoPoint::new(1.0, 1.0).map_or(Value::Null, Value::GeoPoint),
            _ => Value::Reference("c/a".parse().expect("it is a path")),
        },
        17 => Value::Vector(vec![1.0; draw.below(3)]),
        18 => Value::Map(data(draw, depth - 1)),
        _ => {
            let length = draw.below(3);
            Value::Array((0..length).map(|_| stored_value(draw, depth - 1)).collect())
        }
    }
}

fn query(draw: &mut Draw<'_>) -> Query {
    let from = match draw.below(6) {
        0..=2 => "c",
        3 => "d/p1/c",
        4 => "",
        _ => "c/a/d",
    };
    let mut query = Query::all(match from {
        "" => QuerySource::Group("c".to_owned()),
        path => QuerySource::Collection(path.parse().expect("it is a path")),
    });
    if draw.below(3) > 0 {
        query.filter = Some(filter(draw, 2));
    }
    if draw.chance(4) {
        let field = query_field(draw);
        let direction = Direction::Ascending;
        query.order_by.push(OrderBy { field, direction });
    }
    if draw.chance(3) {
        query.limit = Some(1 + u32::from(draw.chance(2)));
    }
    query
}

fn query_field(draw: &mut Draw<'_>) -> FieldRef {
    let name = match draw.below(10) {
        0..=5 => draw.one_of(NAMES).to_owned(),
        6 | 7 => format!("m.{}", draw.one_of(NAMES)),
        8 => "`odd name`".to_owned(),
        _ => return FieldRef::Id,
    };
    name.parse().expect("it is a field")
}

fn filter(draw: &mut Draw<'_>, depth: u32) -> Filter {
    let kinds = if depth == 0 { 5 } else { 9 };
    let several = |draw: &mut Draw<'_>| -> Vec<Filter> {
        (0..=1 + draw.below(2)).map(|_| filter(draw, depth - 1)).collect()
    };
    match draw.below(kinds) {
        0..=4 => {}
        5 | 6 => return Filter::And(several(draw)),
        7 => return Filter::Or(several(draw)),
        _ => return Filter::Not(Box::new(filter(draw, depth - 1))),
    }
    let field = query_field(draw);
    let operator = match draw.below(16) {
        index if index < Operator::ALL.len() => Operator::ALL[index],
        _ => Operator::Equal,
    };
    let own = |draw: &mut Draw<'_>| match field {
        FieldRef::Id => Value::from(draw.one_of(&["p1", "a", "alice", "z"])),
        FieldRef::Field(_) => stored_value(draw, 2),
    };
    let constant = match operator {
        operator if operator.takes_list() => {
            (0..=draw.below(3)).map(|_| own(draw)).collect::<Vec<_>>().into()
        }
        Operator::Exists => Value::Boolean(draw.below(3) > 0),
        Operator::StartsWith => Value::from(draw.one_of(&["", "a", "al"])),
        _ => own(draw),
    };
    Filter::compare(field, operator, constant).unwrap_or(Filter::And(Vec::new()))
}
