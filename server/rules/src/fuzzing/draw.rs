//! Rules, documents and queries, drawn from bytes.
//!
//! Names, values and paths come from small universes, so that what rules ask for is often there, with any type. A byte
//! decides one thing; where the bytes end, everything becomes the simplest there is.

use std::collections::BTreeMap;

use andiron_protocol::{
    Direction, DocumentPath, FieldRef, Filter, GeoPoint, Map, Operator, OrderBy, Query,
    Source as QuerySource, Value,
};

/// Levels of expressions in each other.
const DEPTH_MAX: u32 = 4;

/// Decisions drawn from bytes.
pub(super) struct Draw<'b> {
    pub(super) bytes: &'b [u8],
    pub(super) at: usize,
}

impl Draw<'_> {
    /// A number below a bound of at most 256; 0 where the bytes have ended.
    pub(super) fn below(&mut self, bound: usize) -> usize {
        let byte = self.bytes.get(self.at).copied().unwrap_or_default();
        self.at += 1;
        usize::from(byte) % bound
    }

    fn one_of<'t>(&mut self, texts: &[&'t str]) -> &'t str {
        texts[self.below(texts.len())]
    }

    pub(super) fn chance(&mut self, out_of: usize) -> bool {
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

pub(super) fn rules(draw: &mut Draw<'_>) -> String {
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
    let kinds = if depth == 0 { 13 } else { 25 };
    match draw.below(kinds) {
        12 => moment(draw, scope),
        24 if scope.is_new => {
            format!(
                "(({}) ?? ({}))",
                boolean(draw, depth - 1, scope),
                constant(draw, scope)
            )
        }
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
        13 | 23 => format!(
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

/// A timestamp of the document moved or measured, and compared.
fn moment(draw: &mut Draw<'_>, scope: &mut Scope) -> String {
    let field = field(draw, scope);
    let known = draw.one_of(&[
        "duration.value(1, 'ns')",
        "duration.value(365, 'd')",
        "duration.value(-400, 'd')",
        "duration.value(3652000, 'd')",
        "request.time",
        "timestamp.date(2025, 1, 1)",
    ]);
    let limit = draw.one_of(&[
        "request.time",
        "timestamp.date(2025, 1, 1)",
        "timestamp.date(1, 1, 1)",
        "duration.value(365, 'd')",
        "duration.value(0, 's')",
        "1",
    ]);
    let sum = match draw.below(4) {
        0 => format!("({field} + {known})"),
        1 => format!("({known} - {field})"),
        2 => format!("({known} + {field})"),
        _ => format!("({field} - {known})"),
    };
    let operator = draw.one_of(&["<", "<=", ">", ">=", "=="]);
    if draw.chance(2) {
        format!("{limit} {operator} {sum}")
    } else {
        format!("{sum} {operator} {limit}")
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
pub(super) fn stored(draw: &mut Draw<'_>) -> BTreeMap<DocumentPath, Map> {
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

pub(super) fn query(draw: &mut Draw<'_>) -> Query {
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
