//! What the tests of the evaluator share: a world to evaluate in, and expressions as text.

use std::sync::Arc;

use andiron_protocol::{DocumentPath, Map, Timestamp, Value, data_from_json};
use andiron_rules::evaluate::{
    Auth, DATABASE_DEFAULT, Decision, Documents, Method, Request, Ruleset, Target,
};
use andiron_rules::{Limits, Source, check::check, program::Program};

/// Compiles a file that parses, whatever the checker says.
pub(crate) fn ruleset_with(source: &str, limits: Limits) -> Ruleset {
    let program = Program::single(Source::new("test.rules", source).unwrap());
    assert!(!program.has_errors(), "{source}\n{:?}", program.diagnostics());
    let checked = check(&program, &limits);
    Ruleset::new(&program, &checked, limits)
}

pub(crate) fn ruleset(source: &str) -> Ruleset {
    ruleset_with(source, Limits::default())
}

/// Rules for the documents of a database.
pub(crate) fn firestore(version: &str, body: &str) -> String {
    let version = match version {
        "" => String::new(),
        version => format!("rules_version = '{version}';\n"),
    };
    format!("{version}service cloud.firestore {{ match /databases/{{database}}/documents {{ {body} }} }}")
}

pub(crate) fn data(json: &str) -> Map {
    data_from_json(json.as_bytes()).unwrap()
}

pub(crate) fn path(text: &str) -> DocumentPath {
    text.parse().unwrap()
}

/// Everything that a request borrows.
pub(crate) struct World {
    pub(crate) path: DocumentPath,
    pub(crate) method: Method,
    pub(crate) uid: Option<String>,
    pub(crate) token: Map,
    pub(crate) before: Option<Map>,
    pub(crate) after: Option<Map>,
    pub(crate) query: Option<andiron_protocol::Query>,
    pub(crate) documents: Documents,
}

impl World {
    /// Nobody asks for a document that does not exist.
    pub(crate) fn new(at: &str, method: Method) -> Self {
        Self {
            path: path(at),
            method,
            uid: None,
            token: Map::new(),
            before: None,
            after: None,
            query: None,
            documents: Documents::new(),
        }
    }

    pub(crate) fn by(self, uid: &str) -> Self {
        Self {
            token: data(&format!(
                r#"{{"sub": "{uid}", "email": "{uid}@x.org", "email_verified": true, "admin": false,
                    "firebase": {{"sign_in_provider": "password", "identities": {{"email": ["{uid}@x.org"]}}}}}}"#
            )),
            uid: Some(uid.to_owned()),
            ..self
        }
    }

    pub(crate) fn before(self, json: &str) -> Self {
        Self {
            before: Some(data(json)),
            ..self
        }
    }

    pub(crate) fn after(self, json: &str) -> Self {
        Self {
            after: Some(data(json)),
            ..self
        }
    }

    /// Makes a document known.
    pub(crate) fn with(mut self, at: &str, json: &str) -> Self {
        self.documents.insert(path(at), Some(Arc::new(data(json))));
        self
    }

    /// Makes it known that a document does not exist.
    pub(crate) fn without(mut self, at: &str) -> Self {
        self.documents.insert(path(at), None);
        self
    }

    pub(crate) fn request(&self) -> Request<'_> {
        Request {
            target: Target::Document {
                database: DATABASE_DEFAULT,
                path: &self.path,
            },
            method: self.method,
            auth: self.uid.as_deref().map(|uid| Auth {
                uid,
                token: &self.token,
            }),
            time: "2026-11-22T05:40:35.123456Z".parse::<Timestamp>().unwrap(),
            before: self.before.as_ref(),
            after: self.after.as_ref(),
            query: self.query.as_ref(),
        }
    }

    pub(crate) fn decide(&self, rules: &Ruleset) -> Decision {
        rules.decide(&self.request(), &self.documents)
    }

    pub(crate) fn allows(&self, rules: &Ruleset) -> bool {
        match self.decide(rules) {
            Decision::Allow(_) => true,
            Decision::Deny(_) => false,
            Decision::Needs(paths) => panic!("needs {paths:?}"),
        }
    }

    /// What an expression comes to in the rule of this document: its value, or `! ` and the error.
    pub(crate) fn value_in(&self, version: &str, prelude: &str, expression: &str) -> String {
        let body =
            format!("{prelude} match /{{collection}}/{{id}} {{ allow read, write: if {expression}; }}");
        self.condition_value(&ruleset(&firestore(version, &body)))
    }

    /// What the condition of the only `allow` that is tried comes to.
    pub(crate) fn condition_value(&self, rules: &Ruleset) -> String {
        let (decision, attempts) = rules.explain(&self.request(), &self.documents);
        if let Decision::Needs(paths) = decision {
            return format!("needs {paths:?}");
        }
        assert_eq!(attempts.len(), 1);
        match attempts[0].trace.last() {
            Some(entry) => match &entry.result {
                Ok(value) => value.clone(),
                Err(error) => format!("! {error}"),
            },
            None => format!("! {}", attempts[0].result.as_ref().unwrap_err()),
        }
    }
}

/// A document with a field of every type, being updated by alice.
pub(crate) fn world() -> World {
    let mut world = World::new("posts/p1", Method::Update)
        .by("alice")
        .before(
            r#"{"owner": "alice", "n": 5, "f": 5.5, "nothing": null, "yes": true, "text": "héllo wörld",
                "tags": ["a", "b", "a"], "nested": {"x": {"y": 1}, "list": [1, 2.0]}, "big": 9223372036854775807}"#,
        )
        .after(r#"{"owner": "alice", "n": 6, "added": 1, "tags": ["a", "b", "a"]}"#);
    if let Some(before) = &mut world.before {
        before.insert("ref".to_owned(), Value::Reference(path("users/alice")));
        before.insert("bytes".to_owned(), Value::Bytes(b"\x00\xffab".to_vec()));
        before.insert(
            "at".to_owned(),
            Value::Timestamp("2024-02-29T13:14:15.123456Z".parse().unwrap()),
        );
        before.insert(
            "place".to_owned(),
            Value::GeoPoint(andiron_protocol::GeoPoint::new(52.52, 13.405).unwrap()),
        );
        before.insert("nan".to_owned(), Value::Double(f64::NAN));
        before.insert("infinite".to_owned(), Value::Double(f64::INFINITY));
        before.insert("vector".to_owned(), Value::Vector(vec![1.0, 2.5]));
    }
    world
}

/// Checks a table of expressions with what they come to in [`world`].
pub(crate) fn check_table(version: &str, prelude: &str, cases: &[(&str, &str)]) {
    let world = world();
    let wrong: Vec<_> = cases
        .iter()
        .filter_map(|(expression, expected)| {
            let found = world.value_in(version, prelude, expression);
            (found != *expected).then(|| format!("{expression}\n  is {found}\n not {expected}"))
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
