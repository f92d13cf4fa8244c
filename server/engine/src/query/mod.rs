//! Queries and aggregates: planned, executed, explained.
//!
//! A query becomes a [`request`] and its filter [`branch`]es of [`interval`]s; the [`planner`] turns these into scans
//! ([`index_scan`], [`collection_scan`]) and chooses a [`route`]; the [`executor`] follows it and hands documents to a receiver ([`page`]). A query
//! that reads little runs on the caller's thread, any other on a thread of the [`ScanPool`].
//!
//! Invariant: which documents belong to a result and in which order they stand is said by `andiron-protocol`
//! ([`Query::matches`], [`Query::compare`]) and nowhere else. Keys narrow down and prove; they decide nothing that the
//! protocol would decide otherwise.
//!
//! Rules come in at two places. What they demand of every document is joined to the filter of the request; and where that
//! does not say it all, [`executor`] puts each document that matches to the judge before anything else is done with it. A
//! document kept from the caller so takes no part in order, limits, offsets, cursors or figures.

mod aggregate;
mod branch;
mod collection_scan;
mod cursor;
mod exact_sum;
mod executor;
#[cfg(feature = "fuzzing")]
pub(crate) mod fuzzed;
mod ideal;
mod index_scan;
mod interval;
mod merge;
mod page;
mod place;
mod plan;
mod planner;
mod reads;
mod request;
mod route;
mod scan_pool;
mod standing;
#[cfg(test)]
mod tests;
mod top;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use andiron_protocol::limits::{PAGE_DOCUMENTS_DEFAULT, PAGE_DOCUMENTS_MAX};
use andiron_protocol::{AggregateBody, DocumentPath, InputError, Query, Source, Value, Version};
use andiron_store::Snapshot;

use crate::access::{Access, Permit};
use crate::engine::Shared;
use crate::indexes::{IndexManager, IndexSet};
use crate::rules::ListJudge;
use crate::{Caller, DocumentSink, Engine, EngineError};

use self::cursor::Cursor;
use self::page::{LastPage, Outlet, Page, PageBounds, TrialSink};
use self::place::KeptDocument;
use self::planner::Care;
use self::reads::Reads;
use self::route::Route;

pub use self::plan::Plan;

pub(crate) use self::ideal::ideal_definitions;
pub(crate) use self::place::{Place, data_of};
pub(crate) use self::plan::READS_PER_DOCUMENT_MAX;
pub(crate) use self::request::{Request, path_of};
pub(crate) use self::scan_pool::ScanPool;
pub(crate) use self::standing::{Standing, with_view};

/// Documents that a query may pass through on the caller's thread without looking into them.
const INLINE_PASSED_MAX: u64 = 1_500;
/// Documents that a query may look into on the caller's thread. One that looks into more has to begin anew on a thread of
/// its own, where it will take some milliseconds anyway.
const INLINE_CHECKED_MAX: u64 = 400;

/// How a query is to be answered.
#[derive(Clone, Copy, Debug, Default)]
pub struct QueryOptions {
    /// Report how it was answered; needs the right to administer.
    pub explain: bool,
    /// No page limit, no limits of reads and time: documents go out as they come. The sink may block.
    pub stream: bool,
}

/// How a query ended.
#[derive(Clone, Debug)]
pub struct QueryEnd {
    /// The version at which it ran.
    pub version: Version,
    /// Continues after the last document, if there may be more.
    ///
    /// A page has as many documents as the query's limit says, by default [`PAGE_DOCUMENTS_DEFAULT`], and its cursor
    /// continues with as many again. A limit beyond [`PAGE_DOCUMENTS_MAX`] is met in several pages; the last of them has
    /// no cursor.
    pub cursor: Option<String>,
    /// How it was answered, if that was asked for.
    pub plan: Option<Plan>,
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
    /// Runs a query and gives its documents to a sink, which comes back with the end. If the sink breaks, the cursor
    /// continues after the document at which it did.
    ///
    /// # Errors
    /// If the caller may not list the source, the query or its cursor is not valid, the query's limits are reached, or the
    /// store cannot read. The sink may have been given documents by then.
    pub async fn query<S: DocumentSink>(
        &self,
        caller: &Caller,
        query: Query,
        options: QueryOptions,
        mut sink: S,
    ) -> Result<(S, QueryEnd), EngineError> {
        let context = self.context(caller, &query.from, options)?;
        if !options.stream
            && let Some(end) = context.query(&query, &mut sink, Thread::Callers)?
        {
            return Ok((sink, end));
        }
        let work = move || {
            let end = context.query(&query, &mut sink, Thread::Own)?;
            Ok((sink, end.expect("a query ends on a thread of its own")))
        };
        if options.stream {
            return self.scans.run_stream(work).await;
        }
        self.scans.run(work).await
    }

    /// Computes figures over all documents of a query; its limit and offset count, what it selects does not.
    ///
    /// # Errors
    /// As [`Engine::query`].
    pub async fn aggregate(
        &self,
        caller: &Caller,
        body: AggregateBody,
        options: QueryOptions,
    ) -> Result<Aggregated, EngineError> {
        let context = self.context(caller, &body.query.from, options)?;
        if let Some(aggregated) = context.aggregate(&body, Thread::Callers)? {
            return Ok(aggregated);
        }
        let work = move || {
            let aggregated = context.aggregate(&body, Thread::Own)?;
            Ok(aggregated.expect("an aggregation ends on a thread of its own"))
        };
        self.scans.run(work).await
    }

    fn context(&self, caller: &Caller, from: &Source, options: QueryOptions) -> Result<Context, EngineError> {
        let accesses = [Access::List(from)]
            .into_iter()
            .chain(options.explain.then_some(Access::Administer));
        Ok(Context {
            permit: self.authorize(caller, accesses)?,
            shared: Arc::clone(&self.shared),
            manager: Arc::clone(&self.indexes),
            options,
            hides_system: *caller != Caller::System && matches!(from, Source::Group(_)),
            begun: Instant::now(),
        })
    }
}

/// Where a query runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Thread {
    /// On the caller's, where it must not take long.
    Callers,
    /// On one of its own.
    Own,
}

/// What a query needs beside itself.
struct Context {
    permit: Permit,
    shared: Arc<Shared>,
    manager: Arc<IndexManager>,
    options: QueryOptions,
    hides_system: bool,
    begun: Instant,
}

impl Context {
    /// Runs a query; `None` if it would take too long here.
    fn query(
        &self,
        query: &Query,
        sink: &mut dyn DocumentSink,
        thread: Thread,
    ) -> Result<Option<QueryEnd>, EngineError> {
        query.check()?;
        let cursor = match &query.cursor {
            Some(cursor) => Some(cursor::read(query, &query.normalized_order(), cursor)?),
            None => None,
        };
        let (bounds, remaining) = self.page_bounds(query, cursor.as_ref())?;
        with_view(&self.shared, |indexes, snapshot| {
            let mut list = self.list_judge(query, snapshot)?;
            let mut request = self.request(query, list.as_ref());
            if let Some(cursor) = cursor {
                request.after = Some(cursor.position(&request, snapshot, list.as_mut())?);
            }
            let route = if bounds.take == 0 {
                Route::nowhere()
            } else {
                planner::plan(&request, bounds.wanted(), thread.care(), indexes, snapshot)?
            };
            let is_passed_through = route.is_passed_through() && !request.judges_documents;
            let is_trial = match (thread, is_passed_through) {
                (Thread::Own, _) => false,
                (Thread::Callers, true) if route.reads_expected <= INLINE_PASSED_MAX => false,
                (Thread::Callers, false) if route.reads_expected <= INLINE_CHECKED_MAX => true,
                _ => return Ok(None),
            };
            let mut reads = self.reads();
            let mut trial = TrialSink::default();
            if is_trial {
                reads.limit_trial(INLINE_CHECKED_MAX);
            }
            let outlet = Outlet::new(if is_trial { &mut trial } else { &mut *sink }, query);
            let judge = list.as_mut();
            let followed = follow(&request, &route, bounds, snapshot, judge, &mut reads, outlet);
            if reads.is_trial_over() || trial.is_over() {
                return Ok(None);
            }
            let mut followed = followed.map_err(|error| self.failed(error, &request, &reads, indexes))?;
            for (given, document) in (1..).zip(&trial.documents) {
                let row = document.row();
                if sink.document(row).is_break() {
                    followed.returned = given;
                    // What was selected need not have what the cursor needs.
                    followed.last = KeptDocument::read(&path_of(&row)?, snapshot)?;
                    break;
                }
            }
            let cursor = match &followed.last {
                Some(last) if !query.limit_to_last => {
                    let returned = u32::try_from(followed.returned).unwrap_or(u32::MAX);
                    let left = remaining.map(|remaining| remaining.saturating_sub(returned));
                    Some(cursor::write(&request, &last.row(), snapshot.version()?, left)?)
                }
                _ => None,
            };
            let returned = followed.returned;
            let plan = self.finish(&request, &route, &reads, returned, indexes);
            Ok(Some(QueryEnd {
                version: snapshot.version()?,
                cursor,
                plan,
            }))
        })
    }

    /// What the rules say about the query as a whole; `None` if the caller passes all of them.
    fn list_judge(&self, query: &Query, snapshot: &dyn Snapshot) -> Result<Option<ListJudge>, EngineError> {
        let mut read = |path: &DocumentPath| snapshot.get_stored(path).map_err(EngineError::from);
        self.permit
            .judge()
            .map(|judge| ListJudge::begin(judge, query, &mut read))
            .transpose()
    }

    fn request<'q>(&self, query: &'q Query, list: Option<&ListJudge>) -> Request<'q> {
        let mut request = Request {
            hides_system: self.hides_system,
            explains: self.options.explain,
            ..Request::new(query)
        };
        if let Some(list) = list {
            request.judge_by(list);
        }
        request
    }

    fn reads(&self) -> Reads {
        Reads::new(&self.shared.options.query, self.options.stream, self.begun)
    }

    /// Which part of the result is asked for, and how much of a limit larger than a page is left at its beginning.
    fn page_bounds(
        &self,
        query: &Query,
        cursor: Option<&Cursor>,
    ) -> Result<(PageBounds, Option<u32>), EngineError> {
        let skip = if cursor.is_some() {
            0
        } else {
            u64::from(query.offset)
        };
        if query.limit_to_last
            && !self.options.stream
            && query.limit.is_some_and(|limit| limit > PAGE_DOCUMENTS_MAX)
        {
            return Err(InputError::new(format!(
                "a query with `limitToLast` has one page, so its `limit` is at most {PAGE_DOCUMENTS_MAX}"
            ))
            .in_field("limit")
            .into());
        }
        let is_stream = self.options.stream;
        let remaining = match (cursor.and_then(Cursor::remaining), query.limit) {
            (Some(remaining), Some(limit)) => Some(remaining.min(limit)),
            (Some(remaining), None) => Some(remaining),
            (None, limit) => limit.filter(|limit| is_stream || *limit > PAGE_DOCUMENTS_MAX),
        };
        if is_stream {
            let bounds = PageBounds {
                skip,
                take: remaining.map_or(u64::MAX, u64::from),
                looks_ahead: false,
            };
            return Ok((bounds, remaining));
        }
        let take = remaining
            .or(query.limit)
            .unwrap_or(PAGE_DOCUMENTS_DEFAULT)
            .min(PAGE_DOCUMENTS_MAX);
        let bounds = PageBounds {
            skip,
            take: u64::from(take),
            looks_ahead: remaining != Some(take) && !query.limit_to_last,
        };
        Ok((bounds, remaining))
    }

    /// Counts a query that has failed, and completes an error about what it cost by what would help.
    fn failed(
        &self,
        error: EngineError,
        request: &Request<'_>,
        reads: &Reads,
        indexes: &IndexSet,
    ) -> EngineError {
        self.shared.metrics.query_reads.inc_by(reads.most());
        // What is too costly to be answered needs an index most.
        self.observe(request, reads, 0);
        plan::with_advice(error, request, indexes)
    }

    fn observe(&self, request: &Request<'_>, reads: &Reads, returned: u64) {
        if plan::is_wasteful(reads, returned) && !request.query.from.is_system() {
            self.manager.observe(request, reads.most(), returned);
        }
    }

    /// Counts a query that has ended, and explains it if that was asked for.
    fn finish(
        &self,
        request: &Request<'_>,
        route: &Route<'_>,
        reads: &Reads,
        returned: u64,
        indexes: &IndexSet,
    ) -> Option<Plan> {
        let metrics = &self.shared.metrics;
        metrics.queries.inc();
        metrics.query_reads.inc_by(reads.most());
        metrics.query_documents.inc_by(returned);
        route.mark_indexes_used((self.shared.surroundings.now)());
        self.observe(request, reads, returned);
        self.options
            .explain
            .then(|| plan::explain(request, route, reads, returned, indexes))
    }
}

/// Follows a route for one page.
fn follow(
    request: &Request<'_>,
    route: &Route<'_>,
    bounds: PageBounds,
    snapshot: &dyn Snapshot,
    judge: Option<&mut ListJudge>,
    reads: &mut Reads,
    outlet: Outlet<'_, '_>,
) -> Result<Followed, EngineError> {
    if request.is_reversed {
        let mut page = LastPage::new(outlet, bounds, reads.sort_bytes_max());
        executor::execute(request, route, bounds.wanted(), snapshot, judge, reads, &mut page)?;
        Ok(Followed {
            returned: page.finish()?,
            last: None,
        })
    } else {
        let mut page = Page::new(outlet, bounds);
        executor::execute(request, route, bounds.wanted(), snapshot, judge, reads, &mut page)?;
        Ok(Followed {
            returned: page.outlet.returned,
            last: page.last.filter(|_| page.has_more),
        })
    }
}

/// What came of following a route.
struct Followed {
    returned: u64,
    /// The last document, if there may be more after it.
    last: Option<KeptDocument>,
}

impl Thread {
    /// How much may be spent on choosing a route.
    fn care(self) -> Care {
        match self {
            Self::Callers => Care::Quick,
            Self::Own => Care::Thorough,
        }
    }
}
