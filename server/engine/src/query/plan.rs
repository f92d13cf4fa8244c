//! Explanations: how a query was answered, and what would help.

use andiron_protocol::OrderBy;
use andiron_store::{IndexDefinition, ScanDirection};
use serde::Serialize;

use super::ideal::ideal_definitions;
use super::reads::Reads;
use super::request::Request;
use super::route::{Delivery, Route, Scan};
use crate::EngineError;
use crate::indexes::{IndexSet, definition_json, describe_definition};

/// A query reads too much if it reads so many times as many documents as it returns.
pub(crate) const READS_PER_DOCUMENT_MAX: u64 = 10;
/// Reads that are few enough not to matter.
const READS_UNIMPORTANT_MAX: u64 = 50;

/// How a query was answered.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Plan {
    /// The indexes used, joined by ` + ` where there are several.
    pub index: Option<String>,
    /// What was gone over: `index`, `collection` (by id), `group`, or `nothing`.
    pub scan: &'static str,
    /// The conditions that narrowed each scan down, as they stand in a query.
    pub ranges: Vec<Vec<String>>,
    /// The direction of the scan: `forward` or `backward`.
    pub direction: &'static str,
    /// Where the result's order comes from: `scan`, `merge` of several scans, or `sort`; `any` if it did not matter.
    pub order: &'static str,
    /// Whether documents had to be looked into to know whether they belong to the result.
    pub filtered: bool,
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

/// Explains a route that was followed.
pub(crate) fn explain(
    request: &Request<'_>,
    route: &Route<'_>,
    reads: &Reads,
    returned: u64,
    indexes: &IndexSet,
) -> Plan {
    let mut names = Vec::new();
    for leg in &route.legs {
        if let Scan::Index { index, .. } = &leg.scan {
            let name = describe_definition(&index.definition);
            if !names.contains(&name) {
                names.push(name);
            }
        }
    }
    let scan = match route.legs.first().map(|leg| &leg.scan) {
        None => "nothing",
        Some(Scan::Collection { .. }) => "collection",
        Some(Scan::Group { .. }) => "group",
        Some(Scan::Index { .. }) => "index",
    };
    let direction = match route.legs.first().map(|leg| leg.direction) {
        Some(ScanDirection::Backward) => "backward",
        _ => "forward",
    };
    let order = match route.delivery {
        _ if !request.wants_order => "any",
        Delivery::Ordered => "scan",
        Delivery::Merged => "merge",
        Delivery::Unordered => "sort",
    };
    Plan {
        index: (!names.is_empty()).then(|| names.join(" + ")),
        scan,
        ranges: route.legs.iter().map(|leg| leg.conditions.clone()).collect(),
        direction,
        order,
        filtered: !route.is_proven(),
        entries_read: reads.entries,
        documents_read: reads.documents,
        documents_returned: returned,
        time_micros: u64::try_from(reads.elapsed().as_micros()).unwrap_or(u64::MAX),
        advice: is_wasteful(reads, returned)
            .then(|| missing_definition(request, indexes))
            .flatten()
            .map(|definition| suggestion(&definition)),
    }
}

/// Whether much more was read than was returned.
pub(crate) fn is_wasteful(reads: &Reads, returned: u64) -> bool {
    reads.most() > READS_UNIMPORTANT_MAX && reads.most() / READS_PER_DOCUMENT_MAX > returned
}

/// The best definition for a request that no index has.
pub(crate) fn missing_definition(request: &Request<'_>, indexes: &IndexSet) -> Option<IndexDefinition> {
    let existing = indexes.of_collection(request.query.from.collection_name());
    ideal_definitions(request)
        .into_iter()
        .find(|definition| existing.iter().all(|index| index.definition != *definition))
}

fn suggestion(definition: &IndexDefinition) -> String {
    format!(
        "an index would help; in `andiron.indexes.json`: {}",
        definition_json(definition)
    )
}

/// Completes an error about a query that cost too much by what would help.
pub(crate) fn with_advice(error: EngineError, request: &Request<'_>, indexes: &IndexSet) -> EngineError {
    let advise = || match missing_definition(request, indexes) {
        // An index would tell which fields the rules ask for.
        _ if request.is_judged => "narrow the filter, or ask for less at a time".to_owned(),
        Some(definition) => suggestion(&definition),
        None if request.query.offset > 0 => "continue with a cursor instead of an offset".to_owned(),
        None => format!(
            "narrow the filter, or ask for less at a time{}",
            order_advice(&request.order)
        ),
    };
    match error {
        EngineError::QueryTooCostly { read, .. } => EngineError::QueryTooCostly {
            read,
            advice: advise(),
        },
        EngineError::DeadlineExceeded { milliseconds, .. } => EngineError::DeadlineExceeded {
            milliseconds,
            advice: advise(),
        },
        EngineError::SortTooLarge { bytes_max, .. } => EngineError::SortTooLarge {
            bytes_max,
            advice: advise(),
        },
        error => error,
    }
}

fn order_advice(order: &[OrderBy]) -> String {
    match order.first() {
        Some(order) => format!(", beginning at a value of `{}`", order.field),
        None => String::new(),
    }
}
