//! Who is to be woken when something changes: watchers of single documents, and those who follow the whole log.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use andiron_protocol::DocumentPath;
use tokio::sync::Notify;

/// Watches that have gone are looked for once as many new ones have come, and so many at least.
const SWEEP_AFTER: usize = 64;

/// The watches. One that is dropped goes by itself, sooner or later.
#[derive(Default)]
pub(super) struct Watchers {
    documents: HashMap<DocumentPath, Vec<Weak<Notify>>>,
    log: Vec<Weak<Notify>>,
    /// Watches that came since they were last swept, and how many were left then.
    came: usize,
    were_left: usize,
}

impl Watchers {
    /// Watches documents. The watcher is woken at once: whatever changed before this counts as well.
    pub(super) fn watch(&mut self, paths: Vec<DocumentPath>, changed: &Arc<Notify>) {
        for path in paths {
            self.documents
                .entry(path)
                .or_default()
                .push(Arc::downgrade(changed));
            self.came += 1;
        }
        changed.notify_one();
    }

    /// Watches all versions.
    pub(super) fn follow(&mut self, changed: &Arc<Notify>) {
        self.log.push(Arc::downgrade(changed));
        self.came += 1;
        changed.notify_one();
    }

    pub(super) fn is_empty(&self) -> bool {
        self.documents.is_empty() && self.log.is_empty()
    }

    /// Whether single documents are watched.
    pub(super) fn has_documents(&self) -> bool {
        !self.documents.is_empty()
    }

    pub(super) fn has(&self, path: &DocumentPath) -> bool {
        self.documents.contains_key(path)
    }

    /// Wakes the watchers of a document.
    pub(super) fn tell(&self, path: &DocumentPath) {
        wake(self.documents.get(path).into_iter().flatten());
    }

    /// Wakes those who follow the log.
    pub(super) fn tell_version(&self) {
        wake(&self.log);
    }

    /// Wakes everybody who watches documents.
    pub(super) fn tell_all(&self) {
        wake(self.documents.values().flatten());
    }

    /// Forgets watches that have gone, if there may be many; `at_once`: in any case.
    pub(super) fn sweep(&mut self, at_once: bool) {
        if !at_once && self.came < self.were_left.max(SWEEP_AFTER) {
            return;
        }
        let is_left = |watcher: &Weak<Notify>| watcher.strong_count() > 0;
        self.documents.retain(|_, watchers| {
            watchers.retain(is_left);
            !watchers.is_empty()
        });
        self.log.retain(is_left);
        self.were_left = self.log.len() + self.documents.values().map(Vec::len).sum::<usize>();
        self.came = 0;
    }
}

fn wake<'w>(watchers: impl IntoIterator<Item = &'w Weak<Notify>>) {
    for watcher in watchers.into_iter().filter_map(Weak::upgrade) {
        watcher.notify_one();
    }
}
