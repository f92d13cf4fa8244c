//! Queries and aggregates: planned, executed, explained.

mod scan_pool;

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use andiron_protocol::{
    Aggregate, AggregateBody, Query, Source, Value, Version, data_from_json, write_data_json,
};
use andiron_store::{DocumentRow, ScanDirection};
use serde::Serialize;

use crate::access::{Access, authorize};
use crate::{Caller, DocumentSink, Engine, EngineError};

pub(crate) use scan_pool::ScanPool;

/// How a query is to be answered.
#[derive(Clone, Copy, Debug, Default)]
pub struct QueryOptions {
    /// Report how it was answered; needs the right to administer.
    pub explain: bool,
    /// No page limit, no limits of reads and time: documents go out as they come.
    pub stream: bool,
}

/// How a query ended.
#[derive(Clone, Debug)]
pub struct QueryEnd {
    /// The version at which it ran.
    pub version: Version,
    /// Continues after the last document, if there may be more.
    pub cursor: Option<String>,
    /// How it was answered, if that was asked for.
    pub plan: Option<Plan>,
}

/// How a query was answered.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Plan {
    /// The index used.
    pub index: Option<String>,
    /// Index entries read.
    pub entries_read: u64,
    /// Documents read.
    pub documents_read: u64,
    /// Documents returned.
    pub documents_returned: u64,
    /// Microseconds from plan to end.
    pub time_micros: u64,
    /// What would help.
    pub advice: Option<String>,
}

/// The figures of an aggregation.
#[derive(Clone, Debug)]
pub struct Aggregated {
    /// The version at which it ran.
    pub version: Version,
    /// The figures by their names.
    pub aggregates: BTreeMap<String, Value>,
    /// How it was answered, if that was asked for.
    pub plan: Option<Plan>,
}

impl Engine {
    /// Runs a query and gives its documents to a sink, which comes back with the end.
    ///
    /// # Errors
    /// If the caller may not list the source, the query's limits are reached, or the store cannot read.
    pub async fn query<S: DocumentSink>(
        &self,
        caller: &Caller,
        query: Query,
        options: QueryOptions,
        mut sink: S,
    ) -> Result<(S, QueryEnd), EngineError> {
        authorize(caller, Access::List(&query.from))?;
        if options.explain {
            authorize(caller, Access::Administer)?;
        }
        let snapshot = self.shared.store.snapshot()?;
        let mut documents = Vec::new();
        let mut visit = |row: DocumentRow<'_>| {
            if let (Ok(document), Ok(data)) = (row.to_stored(), data_from_json(row.data.as_bytes())) {
                documents.push((document, data));
            }
            ControlFlow::Continue(())
        };
        match &query.from {
            Source::Collection(collection) => {
                let all = (std::ops::Bound::Unbounded, std::ops::Bound::Unbounded);
                snapshot.scan_collection(collection, all, ScanDirection::Forward, &mut visit)?;
            }
            Source::Group(name) => snapshot.scan_group(name, &mut visit)?,
        }
        let order = query.normalized_order();
        documents.retain(|(document, data)| query.matches(&document.path, data));
        documents
            .sort_by(|left, right| query.compare(&order, (&left.0.path, &left.1), (&right.0.path, &right.1)));
        let limit = query.limit.unwrap_or(100) as usize;
        for (document, data) in documents.into_iter().skip(query.offset as usize).take(limit) {
            let mut json = Vec::new();
            write_data_json(&query.project(data), &mut json);
            let row = DocumentRow {
                collection: document.path.collection_str(),
                id: document.path.id(),
                version: document.version,
                created: document.created,
                data: std::str::from_utf8(&json).unwrap_or_default(),
            };
            if sink.document(row).is_break() {
                break;
            }
        }
        Ok((
            sink,
            QueryEnd {
                version: snapshot.version()?,
                cursor: None,
                plan: None,
            },
        ))
    }

    /// Computes figures over all documents of a query.
    ///
    /// # Errors
    /// As [`Engine::query`].
    pub async fn aggregate(
        &self,
        caller: &Caller,
        body: AggregateBody,
        options: QueryOptions,
    ) -> Result<Aggregated, EngineError> {
        let (documents, end) = self
            .query(
                caller,
                body.query,
                options,
                Vec::<andiron_store::StoredDocument>::new(),
            )
            .await?;
        let aggregates = body
            .aggregates
            .into_iter()
            .map(|(name, aggregate)| match aggregate {
                Aggregate::Count => (
                    name,
                    Value::Integer(i64::try_from(documents.len()).unwrap_or(i64::MAX)),
                ),
                _ => (name, Value::Null),
            })
            .collect();
        Ok(Aggregated {
            version: end.version,
            aggregates,
            plan: end.plan,
        })
    }
}
