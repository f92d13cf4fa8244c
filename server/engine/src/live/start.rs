//! Beginning a listen: its first result, or what has become since it was left. Done on threads of their own, so that a large
//! result holds up nobody who listens already. Those who come at the same time begin on one state.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use andiron_protocol::{DocumentPath, Query, Version};
use andiron_store::StoreError;

use super::changes;
use super::event::Event;
use super::token::{self, ListenDigest};
use super::view::{DocumentView, Kept, LiveTarget, QueryView, State, View, ViewKey};
use crate::engine::Shared;
use crate::indexes::IndexManager;
use crate::query::{Standing, with_view};
use crate::rules::RulesInForce;
use crate::{Caller, EngineError};

/// What is to be begun.
pub(super) struct StartJob {
    /// The number of the listen.
    pub(super) number: u64,
    /// Which of its beginnings this is.
    pub(super) ticket: u64,
    pub(super) caller: Caller,
    pub(super) target: LiveTarget,
    pub(super) from: From,
}

/// What the client has.
#[derive(Default)]
pub(super) struct From {
    /// The state at this version of a listen with this digest.
    pub(super) since: Option<(Version, ListenDigest)>,
    /// What its result was then, if that is remembered.
    pub(super) kept: Option<Kept>,
}

/// What has begun.
pub(super) struct Started {
    pub(super) number: u64,
    pub(super) ticket: u64,
    pub(super) begun: Result<Begun, EngineError>,
}

/// A view at a version, and what its first listener has to be told.
pub(super) struct Begun {
    pub(super) version: Version,
    pub(super) view: View,
    pub(super) digest: ListenDigest,
    /// The rules that it was begun under.
    pub(super) rules: Option<Arc<RulesInForce>>,
    /// What the client has, unless it is to forget it.
    pub(super) since: Option<(Version, ListenDigest)>,
    pub(super) reset: bool,
    pub(super) event: Option<Event>,
}

/// For how long listens are begun on one state. What is committed meanwhile they are told when they join the feed.
const ROUND_TIME: Duration = Duration::from_millis(20);

/// What a query answered that no judge had a part in, by the query and the version that clients had.
type Answers = HashMap<(ViewKey, Option<Version>), Answer>;

#[derive(Clone)]
struct Answer {
    kept: Option<Kept>,
    reset: bool,
    event: Option<Event>,
}

/// A state on which listens are begun: equal ones have one answer, however many there are.
struct Round<'r> {
    state: State<'r>,
    version: Version,
    rules: Option<Arc<RulesInForce>>,
    secret: &'r [u8],
    answers: Answers,
}

/// Begins a listen on the newest state, and more on the same while it is young and `next` gives some; `tell` is told what
/// comes of each. What is left is a listen that needs a newer state.
pub(super) fn begin_round(
    shared: &Shared,
    manager: &IndexManager,
    secret: &[u8],
    first: StartJob,
    next: &dyn Fn() -> Option<StartJob>,
    tell: &mut dyn FnMut(Started),
) -> Option<StartJob> {
    let mut waiting = Some(first);
    // Loaded first: what comes into force meanwhile is seen by the feed.
    let rules = shared.rules.load_full();
    let worked = with_view(shared, |indexes, snapshot| {
        let mut round = Round {
            state: State {
                shared,
                manager,
                indexes,
                snapshot,
            },
            version: snapshot.version()?,
            rules,
            secret,
            answers: HashMap::new(),
        };
        let begun = Instant::now();
        while let Some(job) = waiting.take() {
            tell(round.begin_caught(job));
            if begun.elapsed() >= ROUND_TIME {
                break;
            }
            waiting = next();
            // What its client has is newer than this state.
            let since = waiting.as_ref().and_then(|job| job.from.since);
            if since.is_some_and(|(since, _)| since > round.version) {
                break;
            }
        }
        Ok(())
    });
    if let Err(error) = worked
        && let Some(job) = waiting.take()
    {
        tell(job.started(Err(error)));
    }
    waiting
}

impl StartJob {
    pub(super) fn started(&self, begun: Result<Begun, EngineError>) -> Started {
        Started {
            number: self.number,
            ticket: self.ticket,
            begun,
        }
    }
}

impl Round<'_> {
    /// Begins a listen; a panic is its failure.
    fn begin_caught(&mut self, mut job: StartJob) -> Started {
        let begun = catch_unwind(AssertUnwindSafe(|| self.begin(&mut job)));
        let begun = begun.unwrap_or_else(|_| {
            let source = "it panicked".into();
            let doing = "beginning to listen";
            Err(StoreError::Driver { doing, source }.into())
        });
        job.started(begun)
    }

    fn begin(&mut self, job: &mut StartJob) -> Result<Begun, EngineError> {
        match job.target.clone() {
            LiveTarget::Document(path) => self.begin_document(job, path),
            LiveTarget::Query(query) => self.begin_query(job, &query),
        }
    }

    fn begin_document(&self, job: &StartJob, path: DocumentPath) -> Result<Begun, EngineError> {
        let digest = token::digest(self.secret, &job.caller, &job.target, None, false);
        let since = match self.known(job, digest)? {
            Some(since) => match self.state.snapshot.get_at(&path, since) {
                Ok(document) => Some(document.map(|document| document.version)),
                Err(_) => None,
            },
            None => None,
        };
        let shown = since.flatten();
        let mut view = DocumentView::new(path, job.caller.clone(), shown);
        let event = view.step(self.state)?;
        Ok(self.begun(job, digest, View::Document(view), since.is_none(), event))
    }

    fn begin_query(&mut self, job: &mut StartJob, query: &Query) -> Result<Begun, EngineError> {
        let (standing, list) = Standing::begin(self.state.shared, &job.caller, query, self.state.snapshot)?;
        let digest = token::digest(
            self.secret,
            &job.caller,
            &job.target,
            standing.demanded(),
            standing.judges_documents(),
        );
        let mut view = QueryView::new(standing, list);
        if let Some(kept) = job.from.kept.take()
            && view.standing.judges_documents()
        {
            view.remember(kept);
            let event = view.run_again(self.state)?;
            return Ok(self.begun(job, digest, View::Query(Box::new(view)), false, event));
        }
        let since = self.known(job, digest)?;
        let key = view.key().map(|key| (key, since));
        if let Some(answer) = key.as_ref().and_then(|key| self.answers.get(key)) {
            let Answer { kept, reset, event } = answer.clone();
            if let Some(kept) = kept {
                view.remember(kept);
            }
            return Ok(self.begun(job, digest, View::Query(Box::new(view)), reset, event));
        }
        let resumed = match since {
            Some(since) => resume(&mut view, since, self.state)?,
            None => None,
        };
        let reset = resumed.is_none();
        let event = match resumed {
            Some(event) => event,
            None => view.run(self.state)?,
        };
        if let Some(key) = key {
            let kept = view.kept().cloned();
            let event = event.clone();
            self.answers.insert(key, Answer { kept, reset, event });
        }
        Ok(self.begun(job, digest, View::Query(Box::new(view)), reset, event))
    }

    /// The version that a client has, if it was one of the same listen and the log still knows it.
    fn known(&self, job: &StartJob, digest: ListenDigest) -> Result<Option<Version>, EngineError> {
        match job.from.since {
            Some((since, of)) if of == digest && changes::is_known(self.state.snapshot, since)? => {
                Ok(Some(since))
            }
            _ => Ok(None),
        }
    }

    fn begun(
        &self,
        job: &StartJob,
        digest: ListenDigest,
        view: View,
        reset: bool,
        event: Option<Event>,
    ) -> Begun {
        Begun {
            version: self.version,
            view,
            digest,
            rules: self.rules.clone(),
            since: job.from.since.filter(|_| !reset),
            reset,
            event,
        }
    }
}

/// What has become of a result since a version, if that can be told. The inner `None`: nothing.
fn resume(
    view: &mut QueryView,
    since: Version,
    state: State<'_>,
) -> Result<Option<Option<Event>>, EngineError> {
    // Which documents were shown then, the documents that rules looked up then had a say in.
    if view.standing.judges_documents() {
        return Ok(None);
    }
    let from = &view.standing.query.from;
    let name = from.collection_name().to_owned();
    let is_of_interest = |collection: &str, _: &str| collection.rsplit('/').next() == Some(name.as_str());
    let limits = &state.shared.options.live;
    let Some(mut changes) = changes::since(state.snapshot, since, limits, &is_of_interest)? else {
        return Ok(None);
    };
    changes.retain(|change| view.standing.query.from.contains(&change.path));
    if !view.standing.is_window() {
        let changes: Vec<_> = changes.iter().collect();
        return Ok(Some(view.step(&changes, state)?));
    }
    match view.window_before(&changes, state)? {
        None => Ok(None),
        Some(before) => {
            view.remember(before);
            Ok(Some(view.run_again(state)?))
        }
    }
}
