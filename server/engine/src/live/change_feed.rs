//! The change feed: every change of every document, with the document before and after, in the order of commits.
//!
//! It is read from the change log as fast as it is taken, so nothing waits in memory for whoever follows slowly. Invariant:
//! what is told between two positions is all that was committed between them in the collections that are followed, once
//! and in order; a commit that is told in parts says so until its last. Left out: system collections, of which nothing is told,
//! and rules, which administrators pass.

use std::collections::HashSet;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use andiron_protocol::{DocumentPath, InputError, Source, Version, write_document_json, write_json_string};
use andiron_store::{Snapshot, StoreError, StoredDocument};
use bytes::Bytes;
use tokio::sync::Notify;

use super::changes::{self, path_of};
use super::event::FRAME_BYTES;
use super::inbox::Command;
use crate::access::Access;
use crate::{Caller, Engine, EngineError};

/// Changes that are looked at in one go, those that are not asked for included; a commit is looked at whole.
const LOOK_CHANGES: usize = 10_000;
/// Changes and bytes of JSON that are read in one go.
const READ_CHANGES: usize = 1_000;
const READ_BYTES: usize = 1024 * 1024;
/// Collections that one feed may name.
const SOURCES_MAX: usize = 100;

/// A commit, or a part of one.
#[derive(Clone, Debug)]
pub struct ChangePart {
    /// The version of the commit: a position to go on from once its last part is there.
    pub version: Version,
    /// Whether another part of the same commit follows.
    pub more: bool,
    /// A JSON array of changes in the order of paths.
    pub changes: Bytes,
}

/// Somebody who follows the change log; see [`Engine::follow_changes`].
pub struct ChangeFeed {
    engine: Engine,
    sources: Arc<Sources>,
    position: Position,
    news: Arc<Notify>,
}

/// How far somebody is.
#[derive(Clone, Copy, Debug)]
struct Position {
    /// All commits until here were told whole.
    after: Version,
    /// Changes of the next commit that were told, of those that are followed.
    told: usize,
}

/// What is followed.
#[derive(Debug, Default)]
struct Sources {
    is_everything: bool,
    collections: HashSet<String>,
    groups: HashSet<String>,
}

impl Sources {
    fn contain(&self, collection: &str) -> bool {
        if collection.starts_with('_') {
            return false;
        }
        self.is_everything
            || self.collections.contains(collection)
            || self
                .groups
                .contains(collection.rsplit('/').next().unwrap_or(collection))
    }
}

impl Engine {
    /// Follows the change log from a version on, or from now; all collections, or some.
    ///
    /// # Errors
    /// If the caller may not, the log does not reach back so far or never had such a version (`out-of-range`), or there are
    /// too many who follow.
    pub fn follow_changes(
        &self,
        caller: &Caller,
        sources: &[Source],
        after: Option<Version>,
    ) -> Result<ChangeFeed, EngineError> {
        let _ = if sources.is_empty() {
            self.authorize(caller, [Access::Follow(None)])?
        } else {
            self.authorize(caller, sources.iter().map(|source| Access::Follow(Some(source))))?
        };
        if sources.len() > SOURCES_MAX {
            let detail = format!("a feed follows at most {SOURCES_MAX} collections, or all");
            return Err(InputError::new(detail).in_field("collections").into());
        }
        let mut followed = Sources {
            is_everything: sources.is_empty(),
            ..Sources::default()
        };
        for source in sources {
            match source {
                Source::Collection(path) => followed.collections.insert(path.as_str().to_owned()),
                Source::Group(name) => followed.groups.insert(name.clone()),
            };
        }
        let snapshot = self.shared.store.snapshot()?;
        let newest = snapshot.version()?;
        let after = match after {
            None => newest,
            Some(after) => {
                let start = snapshot.log()?.start;
                // One that never was is of another history: of another server, or from before a restore.
                let is_kept =
                    after >= start && (after == Version::ZERO || changes::is_known(&*snapshot, after)?);
                if !is_kept {
                    let gone = StoreError::HistoryGone { asked: after, start };
                    return Err(EngineError::Store(Arc::new(gone)));
                }
                after
            }
        };
        let followers = &self.shared.live.followers;
        let max = self.shared.options.live.change_feeds_max;
        if followers.fetch_add(1, Ordering::Relaxed) >= max {
            followers.fetch_sub(1, Ordering::Relaxed);
            return Err(EngineError::Busy {
                what: "as many change feeds as there may be",
                retry_after_seconds: 10,
            });
        }
        let feed = ChangeFeed {
            engine: self.clone(),
            sources: Arc::new(followed),
            position: Position { after, told: 0 },
            news: Arc::new(Notify::new()),
        };
        self.shared.metrics.live_change_feeds.inc();
        let changed = Arc::clone(&feed.news);
        if !self.shared.live.tell(Command::Follow { changed }) {
            return Err(EngineError::Closed);
        }
        Ok(feed)
    }
}

impl Drop for ChangeFeed {
    fn drop(&mut self) {
        let shared = &self.engine.shared;
        shared.live.followers.fetch_sub(1, Ordering::Relaxed);
        shared.metrics.live_change_feeds.dec();
    }
}

impl ChangeFeed {
    /// The version until which everything has been told: a position to go on from.
    pub fn after(&self) -> Version {
        self.position.after
    }

    /// Waits for what comes next: at least one part. Dropping the future loses nothing.
    ///
    /// # Errors
    /// If the log has been trimmed beyond what was told (`out-of-range`), the engine is closed, or the store cannot read.
    pub async fn next(&mut self) -> Result<Vec<ChangePart>, EngineError> {
        loop {
            let parts = self.now().await?;
            if !parts.is_empty() {
                return Ok(parts);
            }
            // Looked at all there was, or is there more to look at?
            if self.after() < self.engine.version()? {
                continue;
            }
            self.news.notified().await;
            if self.engine.shared.live.is_closed() {
                return Err(EngineError::Closed);
            }
        }
    }

    /// What there is now. Nothing may mean that there is more to look at: everything has been told once
    /// [`ChangeFeed::after`] is the newest version.
    ///
    /// # Errors
    /// As [`ChangeFeed::next`].
    pub async fn now(&mut self) -> Result<Vec<ChangePart>, EngineError> {
        let (engine, sources, position) = (self.engine.clone(), Arc::clone(&self.sources), self.position);
        let work = move || {
            let snapshot = engine.shared.store.snapshot()?;
            read(snapshot.as_ref(), &sources, position)
        };
        let (parts, position) = self.engine.scans.run(work).await?;
        self.position = position;
        Ok(parts)
    }
}

/// A change as the log has it.
struct Logged {
    version: Version,
    path: DocumentPath,
    before: Option<StoredDocument>,
    is_deleted: bool,
}

/// Reads on from a position.
fn read(
    snapshot: &dyn Snapshot,
    sources: &Sources,
    position: Position,
) -> Result<(Vec<ChangePart>, Position), EngineError> {
    let newest = snapshot.version()?;
    if newest == position.after {
        return Ok((Vec::new(), position));
    }
    let mut logged: Vec<Logged> = Vec::new();
    let mut failure = None;
    let (mut looked, mut bytes, mut skip) = (0, 0, position.told);
    let mut last = None;
    // The commit before the one that is looked at, and the last that was looked at whole.
    let (mut complete, mut whole_until) = (position.after, newest);
    snapshot.changes(position.after, &mut |change| {
        let begins = last != Some(change.version);
        if begins {
            complete = last.unwrap_or(complete);
        }
        let is_enough = logged.len() >= READ_CHANGES || bytes >= READ_BYTES;
        if is_enough || (begins && looked >= LOOK_CHANGES) {
            whole_until = complete;
            return ControlFlow::Break(());
        }
        last = Some(change.version);
        looked += 1;
        if !sources.contain(change.collection) {
            return ControlFlow::Continue(());
        }
        if skip > 0 {
            skip -= 1;
            return ControlFlow::Continue(());
        }
        let noted = path_of(change.collection, change.id).and_then(|path| {
            let before = change.before.map(|before| before.to_stored()).transpose()?;
            bytes += before.as_ref().map_or(0, |before| before.data.len());
            logged.push(Logged {
                version: change.version,
                path,
                before,
                is_deleted: change.deleted,
            });
            Ok(())
        });
        match noted {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => {
                failure = Some(error);
                ControlFlow::Break(())
            }
        }
    })?;
    if let Some(failure) = failure {
        return Err(failure.into());
    }
    write(snapshot, &logged, position, whole_until)
}

/// Writes what was read, until that is enough.
fn write(
    snapshot: &dyn Snapshot,
    logged: &[Logged],
    position: Position,
    whole_until: Version,
) -> Result<(Vec<ChangePart>, Position), EngineError> {
    let mut parts: Vec<ChangePart> = Vec::new();
    let mut position = position;
    let mut bytes = 0;
    let mut json = Vec::new();
    let mut end_part = |json: &mut Vec<u8>, version, more| {
        json.push(b']');
        let changes = Bytes::from(std::mem::take(json));
        parts.push(ChangePart {
            version,
            more,
            changes,
        });
    };
    for (place, change) in logged.iter().enumerate() {
        json.push(if json.is_empty() { b'[' } else { b',' });
        let before = json.len();
        write_change(snapshot, change, &mut json)?;
        bytes += json.len() - before;
        let is_last = match logged.get(place + 1) {
            Some(next) => next.version != change.version,
            None => whole_until >= change.version,
        };
        if is_last {
            end_part(&mut json, change.version, false);
            position = Position {
                after: change.version,
                told: 0,
            };
        } else {
            position.told += 1;
            if json.len() >= FRAME_BYTES || bytes >= READ_BYTES || place + 1 == logged.len() {
                end_part(&mut json, change.version, true);
            }
        }
        if bytes >= READ_BYTES {
            return Ok((parts, position));
        }
    }
    if position.told == 0 {
        // What came after concerns nobody here; the position moves on all the same.
        position.after = position.after.max(whole_until);
    }
    Ok((parts, position))
}

fn write_change(snapshot: &dyn Snapshot, change: &Logged, json: &mut Vec<u8>) -> Result<(), EngineError> {
    let after = if change.is_deleted {
        None
    } else {
        snapshot.get_at(&change.path, change.version)?
    };
    let kind: &[u8] = match (&change.before, &after) {
        (_, None) => b"delete",
        (None, Some(_)) => b"create",
        (Some(_), Some(_)) => b"update",
    };
    json.extend_from_slice(b"{\"type\":\"");
    json.extend_from_slice(kind);
    json.extend_from_slice(b"\",\"path\":");
    write_json_string(change.path.as_str(), json);
    for (name, document) in [("before", &change.before), ("after", &after)] {
        json.extend_from_slice(b",\"");
        json.extend_from_slice(name.as_bytes());
        json.extend_from_slice(b"\":");
        match document {
            Some(document) => write_document_json(
                (document.path.collection_str(), document.path.id()),
                (document.created, document.version),
                &document.data,
                json,
            ),
            None => json.extend_from_slice(b"null"),
        }
    }
    json.push(b'}');
    Ok(())
}
