//! What is listened to: a query or a document as some callers see it, and what a step does to it.
//!
//! A query without a limit whose documents no judge has to see keeps nothing: what a document was before says whether it was
//! in the result. Any other keeps the paths and versions of its result. One with a limit keeps the rows of its [`window`] and
//! some more, and runs again when these are used up; where it cannot, it runs again whenever a change reaches into the
//! window.
//!
//! [`window`]: super::window
//!
//! Invariant: after a step a view's state is the query's result at the version of the step's snapshot.

use std::collections::BTreeSet;
use std::sync::Arc;

use andiron_protocol::{DocumentPath, Filter, Query, Version};
use andiron_store::{Snapshot, StoreError, StoredDocument};

use super::changes::{NetChange, row_of};
use super::event::{Event, EventWriter};
use super::window::{Members, Window, WindowSize, admits};
use crate::access::{Access, authorize};
use crate::engine::Shared;
use crate::indexes::{IndexManager, IndexSet};
use crate::query::{Place, Standing, data_of};
use crate::rules::{Known, ListJudge};
use crate::{Caller, EngineError};

/// What a caller listens to.
#[derive(Clone, Debug)]
pub enum LiveTarget {
    /// A query, with whatever a query may have.
    Query(Arc<Query>),
    /// One document, there or not.
    Document(DocumentPath),
}

/// A state of the store, and what it takes to read it.
#[derive(Clone, Copy)]
pub(super) struct State<'s> {
    pub(super) shared: &'s Shared,
    pub(super) manager: &'s IndexManager,
    pub(super) indexes: &'s IndexSet,
    pub(super) snapshot: &'s dyn Snapshot,
}

/// The documents that an answer rests on beside its own.
pub(super) type LookedUp = BTreeSet<DocumentPath>;

/// What views have in common that can be one: the query, what the rules demand of its documents, and whether system
/// documents are left out.
pub(super) type ViewKey = (Query, Option<Filter>, bool);

/// Something listened to.
pub(super) enum View {
    Query(Box<QueryView>),
    Document(DocumentView),
}

/// A query.
pub(super) struct QueryView {
    pub(super) standing: Standing,
    list: Option<ListJudge>,
    kept: Option<Kept>,
}

/// What a view remembers of its result.
#[derive(Clone)]
pub(super) enum Kept {
    Result {
        members: Members,
        /// The place of the last document in the direction in which the result is wanted, if there is a limit that is
        /// reached: what stands behind it does not matter.
        end: Option<Place>,
    },
    Window(Window),
}

impl Default for Kept {
    fn default() -> Self {
        Self::Result {
            members: Members::new(),
            end: None,
        }
    }
}

impl Kept {
    fn into_members(self) -> Members {
        match self {
            Self::Result { members, .. } => members,
            Self::Window(window) => window.members(),
        }
    }
}

impl View {
    /// Takes the changes that may concern it.
    pub(super) fn step(
        &mut self,
        changes: &[&NetChange],
        state: State<'_>,
    ) -> Result<Option<Event>, EngineError> {
        match self {
            Self::Query(view) => view.step(changes, state),
            Self::Document(view) => view.step(state),
        }
    }

    /// What it rests on beside its own documents.
    pub(super) fn looked_up(&self) -> LookedUp {
        match self {
            Self::Query(view) => {
                let known = view.list.iter().flat_map(|list| list.known().versions().keys());
                known.cloned().collect()
            }
            Self::Document(view) => view.looked_up.clone(),
        }
    }

    /// What it has in common with others that it can be one with; `None` if there is no such thing.
    pub(super) fn key(&self) -> Option<ViewKey> {
        match self {
            Self::Query(view) => view.key(),
            Self::Document(_) => None,
        }
    }

    /// How many documents that is.
    pub(super) fn looked_up_count(&self) -> usize {
        match self {
            Self::Query(view) => view.list.as_ref().map_or(0, |list| list.known().versions().len()),
            Self::Document(view) => view.looked_up.len(),
        }
    }

    /// What it remembers, where nobody else could tell.
    pub(super) fn into_kept(self) -> Option<Kept> {
        match self {
            Self::Query(view) if view.standing.judges_documents() => view.kept,
            _ => None,
        }
    }

    /// Whether it is one caller's alone.
    pub(super) fn is_private(&self) -> bool {
        match self {
            Self::Query(view) => view.standing.judges_documents(),
            Self::Document(_) => true,
        }
    }

    /// Whether a document of this collection, or this one, may concern it.
    pub(super) fn concerns(&self, path: &DocumentPath) -> bool {
        match self {
            Self::Query(view) => view.standing.query.from.contains(path),
            Self::Document(view) => view.path == *path,
        }
    }
}

impl QueryView {
    /// A view that knows nothing of its result yet.
    pub(super) fn new(standing: Standing, list: Option<ListJudge>) -> Self {
        let keeps = standing.is_window() || standing.judges_documents();
        Self {
            standing,
            list,
            kept: keeps.then(Kept::default),
        }
    }

    /// See [`View::key`].
    pub(super) fn key(&self) -> Option<ViewKey> {
        let rests_on_others = self
            .list
            .as_ref()
            .is_some_and(|list| !list.known().versions().is_empty());
        if rests_on_others || self.standing.judges_documents() {
            return None;
        }
        let standing = &self.standing;
        Some((
            standing.query.clone(),
            standing.demanded().cloned(),
            standing.hides_system(),
        ))
    }

    /// What it remembers of its result.
    pub(super) fn kept(&self) -> Option<&Kept> {
        self.kept.as_ref()
    }

    /// Has it remember what was the result before.
    pub(super) fn remember(&mut self, kept: Kept) {
        self.kept = Some(kept);
    }

    /// Runs the query, takes what comes of it for its state, and gives all of it.
    pub(super) fn run(&mut self, state: State<'_>) -> Result<Option<Event>, EngineError> {
        self.kept = None;
        self.run_again(state)
    }

    /// Runs the query and gives what is different from what it remembers.
    pub(super) fn run_again(&mut self, state: State<'_>) -> Result<Option<Event>, EngineError> {
        let before = self.kept.take().unwrap_or_default().into_members();
        self.run_since(before, state)
    }

    fn run_since(&mut self, mut before: Members, state: State<'_>) -> Result<Option<Event>, EngineError> {
        let (documents, kept) = match WindowSize::of(&self.standing) {
            Some(size) => {
                let (documents, is_all) = self.standing.run_ahead(
                    state.shared,
                    state.manager,
                    state.indexes,
                    state.snapshot,
                    (size.limit, size.spare),
                )?;
                let window = Window::new(size, &self.standing.request(), &documents, is_all)?;
                (documents, Some(Kept::Window(window)))
            }
            None => {
                let documents = self.documents(state)?;
                let kept = self.result_of(&documents)?;
                (documents, kept)
            }
        };
        let shown = match &kept {
            Some(Kept::Window(window)) => window.result_among(&self.standing.query, &documents),
            _ => &documents,
        };
        let mut writer = EventWriter::new(Some(&self.standing.query));
        for document in shown {
            if before.remove(&document.path) != Some(document.version) {
                writer.set(document)?;
            }
        }
        write_removes(&mut writer, before);
        let event = writer.finish();
        self.kept = kept;
        Ok(event)
    }

    fn documents(&mut self, state: State<'_>) -> Result<Vec<StoredDocument>, EngineError> {
        let documents = self.standing.run(
            state.shared,
            state.manager,
            self.list.as_mut(),
            state.indexes,
            state.snapshot,
            None,
        )?;
        self.check_memory()?;
        Ok(documents)
    }

    /// What was looked up and forgotten could change unseen.
    fn check_memory(&self) -> Result<(), EngineError> {
        if self.list.as_ref().is_some_and(ListJudge::has_forgotten) {
            return Err(EngineError::ListenLooksUpTooMuch);
        }
        Ok(())
    }

    /// What there is to remember of a result.
    fn result_of(&self, documents: &[StoredDocument]) -> Result<Option<Kept>, EngineError> {
        if !self.standing.is_window() && !self.standing.judges_documents() {
            return Ok(None);
        }
        let members = documents
            .iter()
            .map(|document| (document.path.clone(), document.version));
        let query = &self.standing.query;
        let is_full = query
            .limit
            .is_some_and(|limit| documents.len() as u64 == u64::from(limit));
        let last = if query.limit_to_last {
            documents.first()
        } else {
            documents.last()
        };
        let end = match last {
            Some(last) if is_full && self.standing.reach().is_some() => {
                let row = row_of(last);
                Some(Place::of(&self.standing.request(), &row, &data_of(&row)?)?)
            }
            _ => None,
        };
        Ok(Some(Kept::Result {
            members: members.collect(),
            end,
        }))
    }

    /// Takes changes of documents of its source.
    pub(super) fn step(
        &mut self,
        changes: &[&NetChange],
        state: State<'_>,
    ) -> Result<Option<Event>, EngineError> {
        let request = self.standing.request();
        let (members, end) = match &mut self.kept {
            Some(Kept::Window(_)) => return self.step_window(changes, state),
            Some(Kept::Result { members, end }) => (members, end),
            None => return self.step_unkept(changes),
        };
        if self.standing.is_window() {
            let mut is_touched = false;
            for side in changes
                .iter()
                .flat_map(|change| change.before.iter().chain(&change.after))
            {
                is_touched = is_touched
                    || (admits(&request, side)?
                        && match &*end {
                            None => true,
                            Some(end) => {
                                let place = Place::of(&request, &side.row(), side.data()?)?;
                                request.compare(&place, end).is_le()
                            }
                        });
            }
            return if is_touched {
                state.shared.metrics.live_window_runs.inc();
                self.run_again(state)
            } else {
                Ok(None)
            };
        }
        let mut writer = EventWriter::new(Some(&self.standing.query));
        for change in changes {
            let mut is_member = false;
            if let Some(after) = &change.after
                && admits(&request, after)?
            {
                is_member = match &mut self.list {
                    Some(list) => {
                        let mut read =
                            |path: &DocumentPath| state.snapshot.get_stored(path).map_err(EngineError::from);
                        list.judge_document(request.query, &change.path, after.data()?, &mut read)?
                    }
                    None => true,
                };
                if is_member {
                    writer.set(&after.document)?;
                    members.insert(change.path.clone(), after.document.version);
                }
            }
            if !is_member && members.remove(&change.path).is_some() {
                writer.remove(&change.path);
            }
        }
        let event = writer.finish();
        self.check_memory()?;
        Ok(event)
    }

    /// The same without anything remembered.
    fn step_unkept(&self, changes: &[&NetChange]) -> Result<Option<Event>, EngineError> {
        let request = self.standing.request();
        let mut writer = EventWriter::new(Some(&self.standing.query));
        for change in changes {
            match &change.after {
                Some(after) if admits(&request, after)? => writer.set(&after.document)?,
                _ => {
                    if let Some(before) = &change.before
                        && admits(&request, before)?
                    {
                        writer.remove(&change.path);
                    }
                }
            }
        }
        Ok(writer.finish())
    }

    /// The same by the rows of a window.
    fn step_window(
        &mut self,
        changes: &[&NetChange],
        state: State<'_>,
    ) -> Result<Option<Event>, EngineError> {
        let request = self.standing.request();
        let Some(Kept::Window(window)) = &mut self.kept else {
            return Ok(None);
        };
        let moves = window.moves(&request, changes)?;
        if !moves.touch {
            window.apply(&request, moves);
            return Ok(None);
        }
        let mut before = window.members();
        if !window.apply(&request, moves) {
            state.shared.metrics.live_window_runs.inc();
            return self.run_since(before, state);
        }
        let mut writer = EventWriter::new(Some(&self.standing.query));
        for (path, version) in window.result() {
            if before.remove(path) == Some(version) {
                continue;
            }
            let changed = changes.iter().find(|change| change.path == *path);
            if let Some(after) = changed.and_then(|change| change.after.as_ref()) {
                writer.set(&after.document)?;
                continue;
            }
            // One of the spare rows that has come into the window.
            state.shared.metrics.query_reads.inc();
            let stored = state.snapshot.get_stored(path)?;
            let stored = stored.filter(|document| document.version == version);
            let stored = stored.ok_or_else(|| StoreError::Corrupt {
                detail: format!("the log does not tell what has become of `{path}`"),
            })?;
            writer.set(&stored)?;
        }
        write_removes(&mut writer, before);
        Ok(writer.finish())
    }

    /// The window of the result as it was before these changes, if that can be told from what it is now.
    ///
    /// So many documents more than the window has as were changed: without the changed ones, and with these as they were,
    /// the window's are among them in their order.
    pub(super) fn window_before(
        &mut self,
        changes: &[NetChange],
        state: State<'_>,
    ) -> Result<Option<Kept>, EngineError> {
        let Some(reach) = self.standing.reach() else {
            return Ok(None);
        };
        let touched = changes.len() as u64;
        let documents_max = state.shared.options.live.result_documents_max as u64;
        if reach.saturating_add(touched) > documents_max {
            return Ok(None);
        }
        let request = self.standing.request();
        let mut placed = Vec::new();
        for change in changes {
            if let Some(before) = &change.before
                && admits(&request, before)?
            {
                let place = Place::of(&request, &before.row(), before.data()?)?;
                placed.push((place, before.document.version));
            }
        }
        let documents = self.standing.run(
            state.shared,
            state.manager,
            self.list.as_mut(),
            state.indexes,
            state.snapshot,
            Some(reach + touched),
        )?;
        for document in &documents {
            if changes
                .binary_search_by(|change| change.path.cmp(&document.path))
                .is_err()
            {
                let row = row_of(document);
                placed.push((Place::of(&request, &row, &data_of(&row)?)?, document.version));
            }
        }
        placed.sort_by(|(left, _), (right, _)| request.compare(left, right));
        let skipped = usize::try_from(self.standing.query.offset).unwrap_or(usize::MAX);
        let limit = self.standing.query.limit.unwrap_or(u32::MAX);
        let window = placed
            .into_iter()
            .skip(skipped)
            .take(usize::try_from(limit).unwrap_or(usize::MAX));
        Ok(Some(Kept::Result {
            members: window.map(|(place, version)| (place.path, version)).collect(),
            end: None,
        }))
    }
}

/// Writes that these are gone.
fn write_removes(writer: &mut EventWriter<'_>, gone: Members) {
    let mut gone: Vec<_> = gone.into_keys().collect();
    gone.sort();
    gone.iter().for_each(|path| writer.remove(path));
}

/// One document.
pub(super) struct DocumentView {
    pub(super) path: DocumentPath,
    caller: Caller,
    shown: Option<Version>,
    looked_up: LookedUp,
}

impl DocumentView {
    /// A view that has shown the document at this version, or that there is none.
    pub(super) fn new(path: DocumentPath, caller: Caller, shown: Option<Version>) -> Self {
        Self {
            path,
            caller,
            shown,
            looked_up: LookedUp::new(),
        }
    }

    pub(super) fn step(&mut self, state: State<'_>) -> Result<Option<Event>, EngineError> {
        let now = (state.shared.surroundings.now)();
        let permit = authorize(state.shared, &self.caller, [Access::Get(&self.path)], now)?;
        let document = state.snapshot.get_stored(&self.path)?;
        if let Some(judge) = permit.judge() {
            let mut known = Known::default();
            let mut read = |path: &DocumentPath| state.snapshot.get_stored(path).map_err(EngineError::from);
            judge.decide_get(&self.path, document.as_ref(), &mut known, &mut read)??;
            self.looked_up = known.versions().keys().cloned().collect();
        }
        let version = document.as_ref().map(|document| document.version);
        if self.shown == version {
            return Ok(None);
        }
        self.shown = version;
        let mut writer = EventWriter::new(None);
        match &document {
            Some(document) => writer.set(document)?,
            None => writer.remove(&self.path),
        }
        Ok(writer.finish())
    }
}
