//! Follows a route and hands the documents of the result to a receiver.
//!
//! Documents whose place in the result is proven by their key go through as they lie in the store. All others are read,
//! once, and asked whether they belong to the result.

use std::collections::HashSet;
use std::ops::ControlFlow;

use andiron_protocol::{CollectionPath, DocumentPath, Map, Source};
use andiron_store::key::cut_at;
use andiron_store::{DocumentRow, ScanDirection, Snapshot};

use super::interval::following_id;
use super::merge::Merge;
use super::page::Receiver;
use super::place::{KeptDocument, Place, data_of};
use super::reads::Reads;
use super::request::{Request, path_of};
use super::route::{Delivery, KeySpan, Leg, Route, Scan};
use super::top::TopDocuments;
use crate::EngineError;
use crate::indexes::ReadableIndex;
use crate::rules::ListJudge;

/// Documents looked at, after a page is full, to find out whether there are more; then it is presumed.
const LOOKAHEAD_READS_MAX: u64 = 100;

/// Follows a route. `wanted` documents are enough.
pub(crate) fn execute(
    request: &Request<'_>,
    route: &Route<'_>,
    wanted: u64,
    snapshot: &dyn Snapshot,
    judge: Option<&mut ListJudge>,
    reads: &mut Reads,
    receiver: &mut dyn Receiver,
) -> Result<(), EngineError> {
    let mut execution = Execution {
        request,
        snapshot,
        judge: judge.filter(|_| request.judges_documents),
        reads,
        receiver,
        looked_ahead: 0,
        is_over: false,
        failure: None,
    };
    let result = match (route.delivery, route.legs.as_slice()) {
        (_, []) => Ok(()),
        (_, legs) if !request.wants_order => execution.in_any_order(legs, route.may_repeat),
        (Delivery::Ordered, [leg, ..]) => execution.in_order(leg),
        (Delivery::Merged, legs) => execution.merged(legs, wanted),
        (Delivery::Unordered, legs) => execution.sorted(legs, wanted),
    };
    match execution.failure.map_or(result, Err) {
        // The page is there, and only whether there are more could not be found out.
        Err(EngineError::QueryTooCostly { .. } | EngineError::DeadlineExceeded { .. })
            if request.is_judged && !reads.is_trial_over() && receiver.is_full() =>
        {
            receiver.presume_more();
            Ok(())
        }
        result => result,
    }
}

/// A route being followed.
pub(crate) struct Execution<'e, 'q> {
    pub(crate) request: &'e Request<'q>,
    pub(crate) snapshot: &'e dyn Snapshot,
    /// Whom each document is put to that belongs to the result.
    judge: Option<&'e mut ListJudge>,
    pub(crate) reads: &'e mut Reads,
    receiver: &'e mut dyn Receiver,
    looked_ahead: u64,
    /// Whether nothing more is wanted.
    pub(crate) is_over: bool,
    /// What went wrong inside a scan, which can only be told to stop.
    pub(crate) failure: Option<EngineError>,
}

/// What the documents of a scan are offered to.
type Offer<'o> =
    &'o mut dyn FnMut(&mut Execution<'_, '_>, &DocumentRow<'_>, bool) -> Result<ControlFlow<()>, EngineError>;

impl Execution<'_, '_> {
    /// Keeps a failure for later and stops the scan.
    pub(crate) fn guard(&mut self, result: Result<ControlFlow<()>, EngineError>) -> ControlFlow<()> {
        result.unwrap_or_else(|failure| {
            self.failure = Some(failure);
            ControlFlow::Break(())
        })
    }

    /// The data of a document if it belongs to the result. The outer `None`: it does not; the inner one: it does, and
    /// nobody needed its data to know.
    pub(crate) fn admitted(
        &mut self,
        row: &DocumentRow<'_>,
        is_proven: bool,
        wants_data: bool,
    ) -> Result<Option<Option<Map>>, EngineError> {
        if self.request.is_hidden(row) {
            return Ok(None);
        }
        if is_proven && !wants_data && self.judge.is_none() {
            return Ok(Some(None));
        }
        let data = data_of(row)?;
        if !is_proven && !self.request.admits(row, &data)? {
            return Ok(None);
        }
        if let Some(judge) = &mut self.judge {
            let (snapshot, reads) = (self.snapshot, &mut *self.reads);
            let mut read = |path: &DocumentPath| {
                reads.document()?;
                Ok(snapshot.get_stored(path)?)
            };
            if !judge.judge_document(self.request.query, &path_of(row)?, &data, &mut read)? {
                return Ok(None);
            }
        }
        Ok(Some(Some(data)))
    }

    /// Gives the receiver a document that was admitted before.
    fn give_admitted(&mut self, row: &DocumentRow<'_>) -> Result<ControlFlow<()>, EngineError> {
        let data = if self.receiver.wants_data() {
            Some(data_of(row)?)
        } else {
            None
        };
        self.receiver.receive(row, data)
    }

    /// Gives the receiver a document, if it belongs to the result.
    pub(crate) fn give(
        &mut self,
        row: &DocumentRow<'_>,
        is_proven: bool,
    ) -> Result<ControlFlow<()>, EngineError> {
        match self.admitted(row, is_proven, self.receiver.wants_data())? {
            Some(data) => self.receiver.receive(row, data),
            None => Ok(self.rejected()),
        }
    }

    /// Passes over a document that does not belong to the result. Once the page is full that goes on only for a while;
    /// but where documents are kept from the caller, how many there are must not show in whether a cursor is given.
    pub(crate) fn rejected(&mut self) -> ControlFlow<()> {
        if self.receiver.is_full() && !self.request.is_judged {
            self.looked_ahead += 1;
            if self.looked_ahead > LOOKAHEAD_READS_MAX {
                self.receiver.presume_more();
                self.is_over = true;
                return ControlFlow::Break(());
            }
        }
        ControlFlow::Continue(())
    }

    /// Offers every document of a leg, in its direction.
    fn each(&mut self, leg: &Leg<'_>, offer: Offer<'_>) -> Result<(), EngineError> {
        match &leg.scan {
            Scan::Collection { spans, is_proven } => {
                let Source::Collection(collection) = &self.request.query.from else {
                    return Ok(());
                };
                for span in in_direction(spans, leg.direction) {
                    if self
                        .each_of_collection(collection, span.range(), leg.direction, *is_proven, offer)?
                        .is_break()
                    {
                        break;
                    }
                }
            }
            Scan::Group { is_proven } => {
                let name = self.request.query.from.collection_name();
                self.snapshot.scan_group(name, &mut |row| {
                    let flow = self.reads.document().and_then(|()| offer(self, &row, *is_proven));
                    self.guard(flow)
                })?;
            }
            Scan::Index { index, spans, .. } => {
                for span in in_direction(spans, leg.direction) {
                    let mut flow = ControlFlow::Continue(());
                    self.snapshot
                        .scan_index(index.id, span.range(), leg.direction, &mut |_, row| {
                            let offered = self
                                .reads
                                .entry_and_document()
                                .and_then(|()| offer(self, &row, span.is_proven));
                            flow = self.guard(offered);
                            flow
                        })?;
                    if flow.is_break() {
                        break;
                    }
                }
            }
        }
        Ok(())
    }

    fn each_of_collection(
        &mut self,
        collection: &CollectionPath,
        range: andiron_store::IdRange<'_>,
        direction: ScanDirection,
        is_proven: bool,
        offer: Offer<'_>,
    ) -> Result<ControlFlow<()>, EngineError> {
        let mut flow = ControlFlow::Continue(());
        self.snapshot
            .scan_collection(collection, range, direction, &mut |row| {
                let offered = self.reads.document().and_then(|()| offer(self, &row, is_proven));
                flow = self.guard(offered);
                flow
            })?;
        Ok(flow)
    }

    /// The order does not matter, but each document counts once.
    fn in_any_order(&mut self, legs: &[Leg<'_>], may_repeat: bool) -> Result<(), EngineError> {
        let mut seen: HashSet<Box<str>> = HashSet::new();
        let mut seen_bytes = 0;
        for leg in legs {
            self.each(leg, &mut |execution, row, is_proven| {
                if may_repeat {
                    let path = format!("{}/{}", row.collection, row.id).into_boxed_str();
                    if seen.contains(&path) {
                        return Ok(ControlFlow::Continue(()));
                    }
                    seen_bytes += path.len() + size_of::<Box<str>>();
                    let bytes_max = execution.reads.sort_bytes_max();
                    if seen_bytes > bytes_max {
                        return Err(EngineError::SortTooLarge {
                            bytes_max,
                            advice: String::new(),
                        });
                    }
                    seen.insert(path);
                }
                execution.give(row, is_proven)
            })?;
            if self.failure.is_some() {
                break;
            }
        }
        Ok(())
    }

    /// The documents come in another order: the first ones are picked out of all.
    fn sorted(&mut self, legs: &[Leg<'_>], wanted: u64) -> Result<(), EngineError> {
        let mut top = TopDocuments::new(self.request, wanted, self.reads.sort_bytes_max());
        for leg in legs {
            self.each(leg, &mut |execution, row, is_proven| {
                if let Some(Some(data)) = execution.admitted(row, is_proven, true)? {
                    top.offer(row, &data)?;
                }
                Ok(ControlFlow::Continue(()))
            })?;
            if self.failure.is_some() {
                return Ok(());
            }
        }
        top.deliver(self.snapshot, &mut |row| {
            let given = self.give_admitted(&row);
            self.guard(given)
        })
    }

    fn merged(&mut self, legs: &[Leg<'_>], wanted: u64) -> Result<(), EngineError> {
        let mut merge = Merge::new(legs, wanted);
        while merge.advance(self)? {
            let Some(row) = merge.current() else { break };
            if self.give_admitted(&row)?.is_break() {
                break;
            }
        }
        Ok(())
    }

    /// The documents come as they are wanted.
    fn in_order(&mut self, leg: &Leg<'_>) -> Result<(), EngineError> {
        let Scan::Index { index, spans, .. } = &leg.scan else {
            return self.each(leg, &mut |execution, row, is_proven| {
                execution.give(row, is_proven)
            });
        };
        for span in in_direction(spans, leg.direction) {
            let rest = self.skip_keys(index, span, leg.direction)?;
            if let Some(rest) = rest
                && self.span_in_order(index, &rest, leg.direction)?.is_break()
            {
                break;
            }
        }
        Ok(())
    }

    /// Passes over documents that need not be shown by their keys alone. What is left of the span; `None` if nothing is.
    fn skip_keys(
        &mut self,
        index: &ReadableIndex,
        span: &KeySpan,
        direction: ScanDirection,
    ) -> Result<Option<KeySpan>, EngineError> {
        let skippable = self.receiver.skippable();
        if skippable == 0 || !span.is_proven || self.request.hides_system || self.judge.is_some() {
            return Ok(Some(span.clone()));
        }
        let mut skipped = 0;
        let mut last = Vec::new();
        let mut has_more = false;
        self.snapshot
            .scan_index_keys(index.id, span.range(), direction, &mut |key| {
                // Keys that are cut are not in order.
                if skipped == skippable || cut_at(key, &index.definition).is_some() {
                    has_more = true;
                    return ControlFlow::Break(());
                }
                let counted = self.reads.entry();
                if counted.is_ok() {
                    skipped += 1;
                    last.clear();
                    last.extend_from_slice(key);
                }
                self.guard(counted.map(ControlFlow::Continue))
            })?;
        self.receiver.skip(skipped);
        if !has_more || self.failure.is_some() {
            return Ok(None);
        }
        Ok(Some(if skipped > 0 {
            rest_after(span, &last, direction)
        } else {
            span.clone()
        }))
    }

    /// Entries with the same cut value stand in the wrong order among themselves: such a run is taken out and put in
    /// order.
    fn span_in_order(
        &mut self,
        index: &ReadableIndex,
        span: &KeySpan,
        direction: ScanDirection,
    ) -> Result<ControlFlow<()>, EngineError> {
        let mut run = Run::default();
        let mut flow = ControlFlow::Continue(());
        self.snapshot
            .scan_index(index.id, span.range(), direction, &mut |key, row| {
                let mut visit = || -> Result<ControlFlow<()>, EngineError> {
                    self.reads.entry_and_document()?;
                    let cut = cut_at(key, &index.definition).map(|end| &key[..end]);
                    if !run.documents.is_empty()
                        && cut != Some(&run.key)
                        && self.give_run(&mut run, span)?.is_break()
                    {
                        return Ok(ControlFlow::Break(()));
                    }
                    match cut {
                        Some(cut) => {
                            run.push(cut, &row, self.reads.sort_bytes_max())?;
                            Ok(ControlFlow::Continue(()))
                        }
                        None => self.give(&row, span.is_proven),
                    }
                };
                let visited = visit();
                flow = self.guard(visited);
                flow
            })?;
        if self.failure.is_none() && flow.is_continue() {
            flow = self.give_run(&mut run, span)?;
        }
        Ok(flow)
    }

    fn give_run(&mut self, run: &mut Run, span: &KeySpan) -> Result<ControlFlow<()>, EngineError> {
        for document in run.take_in_order(self.request)? {
            if self.give(&document.row(), span.is_proven)?.is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        Ok(ControlFlow::Continue(()))
    }
}

/// Documents whose keys are the same up to a cut.
#[derive(Default)]
struct Run {
    key: Vec<u8>,
    documents: Vec<KeptDocument>,
    bytes: usize,
}

impl Run {
    fn push(&mut self, key: &[u8], row: &DocumentRow<'_>, bytes_max: usize) -> Result<(), EngineError> {
        if self.documents.is_empty() {
            self.key = key.to_vec();
        }
        let document = KeptDocument::new(row);
        self.bytes += document.bytes();
        if self.bytes > bytes_max {
            return Err(EngineError::SortTooLarge {
                bytes_max,
                advice: String::new(),
            });
        }
        self.documents.push(document);
        Ok(())
    }

    fn take_in_order(&mut self, request: &Request<'_>) -> Result<Vec<KeptDocument>, EngineError> {
        self.bytes = 0;
        in_request_order(request, std::mem::take(&mut self.documents))
    }
}

/// Documents by their places in the result.
fn in_request_order(
    request: &Request<'_>,
    documents: Vec<KeptDocument>,
) -> Result<Vec<KeptDocument>, EngineError> {
    let mut placed = documents
        .into_iter()
        .map(|document| {
            let row = document.row();
            let place = Place::of(request, &row, &data_of(&row)?)?;
            Ok((place, document))
        })
        .collect::<Result<Vec<_>, EngineError>>()?;
    placed.sort_by(|left, right| request.compare(&left.0, &right.0));
    Ok(placed.into_iter().map(|(_, document)| document).collect())
}

/// The spans in the order in which a scan in this direction comes to them.
pub(crate) fn in_direction<T>(spans: &[T], direction: ScanDirection) -> Box<dyn Iterator<Item = &T> + '_> {
    match direction {
        ScanDirection::Forward => Box::new(spans.iter()),
        ScanDirection::Backward => Box::new(spans.iter().rev()),
    }
}

/// What is left of a span after an entry.
pub(crate) fn rest_after(span: &KeySpan, key: &[u8], direction: ScanDirection) -> KeySpan {
    let mut rest = span.clone();
    match direction {
        ScanDirection::Forward => rest.lower = following_id(key),
        ScanDirection::Backward => rest.upper = Some(key.to_vec()),
    }
    rest
}
