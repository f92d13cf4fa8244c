//! Rules and callers to test with.

use std::sync::Arc;

use andiron_engine::{
    Caller, Engine, EngineError, QueryEnd, QueryOptions, RulesInForce, StoredDocument, User,
};
use andiron_protocol::{ErrorCode, Map, Query, Value};
use andiron_rules::{Limits, Program, Ruleset, Source, check};
use serde_json::{Value as Json, json};

use crate::support::{TestEngine, commit_body};

/// Rules of version 2 for the documents of the database.
pub(crate) fn rules(revision: &str, matches: &str) -> Arc<RulesInForce> {
    whole_rules(
        revision,
        &format!(
            "rules_version = '2';\nservice cloud.firestore {{\n  match /databases/{{db}}/documents {{\n{matches}\n  }}\n}}\n"
        ),
    )
}

/// Rules from a whole file.
pub(crate) fn whole_rules(revision: &str, text: &str) -> Arc<RulesInForce> {
    let program = Program::single(Source::new("firestore.rules", text).unwrap());
    assert!(!program.has_errors(), "{text}\n{:?}", program.diagnostics());
    let limits = Limits::default();
    let checked = check(&program, &limits);
    let ruleset = Ruleset::new(&program, &checked, limits);
    Arc::new(RulesInForce::new(ruleset, program, revision))
}

/// A signed-in account without any claims but its id.
pub(crate) fn user(uid: &str) -> Caller {
    Caller::User(Arc::new(User {
        uid: uid.to_owned(),
        token: Map::from([("sub".to_owned(), Value::String(uid.to_owned()))]),
        is_admin: false,
    }))
}

impl TestEngine {
    /// Puts rules into force.
    pub(crate) fn under(&self, matches: &str) {
        self.engine.set_rules(Some(rules("test", matches)));
    }

    /// Commits a body of the wire as a caller.
    pub(crate) async fn commit_as(
        &self,
        caller: &Caller,
        body: Json,
    ) -> Result<andiron_engine::Committed, EngineError> {
        self.engine.commit(caller, commit_body(body), None).await
    }

    /// The code with which writes are refused; `None` if they happen.
    pub(crate) async fn refusal(&self, caller: &Caller, writes: Json) -> Option<ErrorCode> {
        let outcome = self.commit_as(caller, json!({ "writes": writes })).await;
        outcome.err().map(|error| error.code())
    }

    /// The ids of a query's documents.
    pub(crate) async fn ids(&self, caller: &Caller, query: Json) -> Result<Vec<String>, EngineError> {
        Ok(page(&self.engine, caller, query).await?.0)
    }
}

pub(crate) fn query_of(query: Json) -> Query {
    serde_json::from_str(&query.to_string()).unwrap()
}

/// A page of a query: the ids of its documents, and its end.
pub(crate) async fn page(
    engine: &Engine,
    caller: &Caller,
    query: Json,
) -> Result<(Vec<String>, QueryEnd), EngineError> {
    let sink: Vec<StoredDocument> = Vec::new();
    let (documents, end) = engine
        .query(caller, query_of(query), QueryOptions::default(), sink)
        .await?;
    Ok((
        documents
            .iter()
            .map(|document| document.path.id().to_owned())
            .collect(),
        end,
    ))
}
