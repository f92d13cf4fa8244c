//! Beginning a listen: its first result, or what has become since it was left. Done on threads of their own, so that a large
//! result holds up nobody who listens already.

use std::sync::Arc;

use andiron_protocol::Version;

use super::changes;
use super::event::Event;
use super::token::{self, ListenDigest};
use super::view::{DocumentView, Kept, LiveTarget, QueryView, State, View};
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

/// Begins a listen on the newest state.
pub(super) fn begin(
    shared: &Shared,
    manager: &IndexManager,
    secret: &[u8],
    job: &mut StartJob,
) -> Result<Begun, EngineError> {
    // Loaded first: what comes into force meanwhile is seen by the feed.
    let rules = shared.rules.load_full();
    with_view(shared, |indexes, snapshot| {
        let state = State {
            shared,
            manager,
            indexes,
            snapshot,
        };
        let version = snapshot.version()?;
        let known = |digest: ListenDigest| -> Result<Option<Version>, EngineError> {
            match job.from.since {
                Some((since, of)) if of == digest && changes::is_known(snapshot, since)? => Ok(Some(since)),
                _ => Ok(None),
            }
        };
        let begun = |digest, view, reset: bool, event| Begun {
            version,
            view,
            digest,
            rules: rules.clone(),
            since: job.from.since.filter(|_| !reset),
            reset,
            event,
        };
        match &job.target {
            LiveTarget::Document(path) => {
                let digest = token::digest(secret, &job.caller, &job.target, None, false);
                let since = match known(digest)? {
                    Some(since) => match snapshot.get_at(path, since) {
                        Ok(document) => Some(document.map(|document| document.version)),
                        Err(_) => None,
                    },
                    None => None,
                };
                let shown = since.flatten();
                let mut view = DocumentView::new(path.clone(), job.caller.clone(), shown);
                let event = view.step(state)?;
                Ok(begun(digest, View::Document(view), since.is_none(), event))
            }
            LiveTarget::Query(query) => {
                let (standing, list) = Standing::begin(shared, &job.caller, query, snapshot)?;
                let digest = token::digest(
                    secret,
                    &job.caller,
                    &job.target,
                    standing.demanded(),
                    standing.judges_documents(),
                );
                let mut view = Box::new(QueryView::new(standing, list));
                if let Some(kept) = job.from.kept.take()
                    && view.standing.judges_documents()
                {
                    view.remember(kept);
                    let event = view.run_again(state)?;
                    return Ok(begun(digest, View::Query(view), false, event));
                }
                if let Some(since) = known(digest)?
                    && let Some(event) = resume(&mut view, since, state)?
                {
                    return Ok(begun(digest, View::Query(view), false, event));
                }
                let event = view.run(state)?;
                Ok(begun(digest, View::Query(view), true, event))
            }
        }
    })
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
