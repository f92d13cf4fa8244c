//! The cache of hot documents, kept true by the writer.
//!
//! Invariant: a cached document is the newest committed one, as any snapshot opened now would see it; where the cache says that
//! there is none, there is none. Before a group becomes visible the writer takes its documents out and closes their shards
//! ([`DocumentCache::close`]); a reader that looked at an older snapshot can then not put an old document back, because
//! [`Ticket`]s from before are void. Documents that were hot come back as the group has left them ([`ClosedShards::keep`]), so
//! that a counter which every commit changes is not read from the store by every commit.

use std::collections::HashSet;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher as _;

use andiron_protocol::DocumentPath;
use andiron_store::StoredDocument;
use lru::LruCache;
use parking_lot::Mutex;

/// Shards, so that readers on different cores seldom meet and a write voids few tickets. A power of two.
const SHARDS: usize = 256;
/// What an entry costs beside its path and data, roughly.
const ENTRY_OVERHEAD_BYTES: usize = 160;

/// Documents by path, least recently used ones dropped first, bounded in bytes.
pub(crate) struct DocumentCache {
    shards: Box<[Mutex<Shard>]>,
    hasher: RandomState,
    shard_bytes_max: usize,
}

struct Shard {
    /// `None` where there is no document.
    documents: LruCache<DocumentPath, Option<StoredDocument>>,
    bytes: usize,
    /// Moves with every write to the shard.
    epoch: u64,
    /// Groups under way that write to the shard.
    closed: u32,
}

/// Permission to put a document in, good until the shard is written to.
#[derive(Clone, Copy)]
pub(crate) struct Ticket {
    shard: usize,
    epoch: u64,
}

/// Shards closed for a group under way; dropping it opens them again.
pub(crate) struct ClosedShards<'a> {
    cache: &'a DocumentCache,
    shards: Vec<usize>,
    /// The documents that were here.
    hot: HashSet<&'a DocumentPath>,
}

impl DocumentCache {
    pub(crate) fn new(bytes_max: usize) -> Self {
        let shard = || {
            Mutex::new(Shard {
                documents: LruCache::unbounded(),
                bytes: 0,
                epoch: 0,
                closed: 0,
            })
        };
        Self {
            shards: (0..SHARDS).map(|_| shard()).collect(),
            hasher: RandomState::new(),
            shard_bytes_max: bytes_max / SHARDS,
        }
    }

    /// The newest committed document, or that there is none, if that is known here; else a ticket to put it in after reading
    /// it from a snapshot that is opened after this call.
    pub(crate) fn get(&self, path: &DocumentPath) -> Result<Option<StoredDocument>, Ticket> {
        let index = self.shard_of(path);
        let mut shard = self.shards[index].lock();
        match shard.documents.get(path) {
            Some(document) => Ok(document.clone()),
            None => Err(Ticket {
                shard: index,
                epoch: shard.epoch,
            }),
        }
    }

    /// Keeps what a snapshot had at a path, unless the shard was written to since the ticket was given.
    pub(crate) fn put(&self, ticket: Ticket, path: &DocumentPath, document: Option<&StoredDocument>) {
        let mut shard = self.shards[ticket.shard].lock();
        if shard.epoch == ticket.epoch && shard.closed == 0 {
            shard.put(path, document.cloned(), self.shard_bytes_max);
        }
    }

    /// Takes documents out before their new state becomes visible, and keeps their shards closed meanwhile.
    pub(crate) fn close<'a>(&'a self, paths: impl Iterator<Item = &'a DocumentPath>) -> ClosedShards<'a> {
        let mut closed = ClosedShards {
            cache: self,
            shards: Vec::new(),
            hot: HashSet::new(),
        };
        for path in paths {
            let index = self.shard_of(path);
            let mut shard = self.shards[index].lock();
            if let Some(old) = shard.documents.pop(path) {
                shard.bytes -= cost(path, old.as_ref());
                // What comes into being is not hot for that somebody looked whether it was there.
                if old.is_some() {
                    closed.hot.insert(path);
                }
            }
            shard.epoch += 1;
            shard.closed += 1;
            closed.shards.push(index);
        }
        closed
    }

    fn shard_of(&self, path: &DocumentPath) -> usize {
        usize::try_from(self.hasher.hash_one(path) % SHARDS as u64).unwrap_or_default()
    }
}

impl Shard {
    fn put(&mut self, path: &DocumentPath, document: Option<StoredDocument>, bytes_max: usize) {
        let cost = cost(path, document.as_ref());
        if cost > bytes_max / 4 {
            return;
        }
        if let Some(old) = self.documents.put(path.clone(), document) {
            self.bytes -= self::cost(path, old.as_ref());
        }
        self.bytes += cost;
        while self.bytes > bytes_max {
            let Some((path, dropped)) = self.documents.pop_lru() else {
                break;
            };
            self.bytes -= self::cost(&path, dropped.as_ref());
        }
    }
}

impl ClosedShards<'_> {
    /// Whether one of the documents was here.
    pub(crate) fn have_hot(&self) -> bool {
        !self.hot.is_empty()
    }

    /// Puts a document back that was here, as the group, which is visible now, has left it.
    pub(crate) fn keep(&self, path: &DocumentPath, document: impl FnOnce() -> StoredDocument) {
        if self.hot.contains(path) {
            let mut shard = self.cache.shards[self.cache.shard_of(path)].lock();
            shard.put(path, Some(document()), self.cache.shard_bytes_max);
        }
    }
}

impl Drop for ClosedShards<'_> {
    fn drop(&mut self) {
        for index in &self.shards {
            let mut shard = self.cache.shards[*index].lock();
            shard.epoch += 1;
            shard.closed -= 1;
        }
    }
}

fn cost(path: &DocumentPath, document: Option<&StoredDocument>) -> usize {
    ENTRY_OVERHEAD_BYTES + path.as_str().len() + document.map_or(0, |document| document.data.len())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use andiron_protocol::Version;

    use super::*;

    fn document(path: &str, version: i64) -> StoredDocument {
        let version = Version::from_micros(version);
        StoredDocument {
            path: path.parse().unwrap(),
            version,
            created: version,
            data: Arc::from("{}"),
        }
    }

    #[test]
    fn a_document_read_before_a_write_is_not_kept_after_it() {
        let cache = DocumentCache::new(1 << 20);
        let old = document("a/1", 1);
        let Err(ticket) = cache.get(&old.path) else {
            panic!("the cache is empty")
        };
        drop(cache.close([&old.path].into_iter()));
        cache.put(ticket, &old.path, Some(&old));
        assert!(cache.get(&old.path).is_err());
    }

    #[test]
    fn nothing_is_kept_while_a_group_that_writes_to_it_is_under_way() {
        let cache = DocumentCache::new(1 << 20);
        let old = document("a/1", 1);
        let closed = cache.close([&old.path].into_iter());
        let Err(ticket) = cache.get(&old.path) else {
            panic!("the cache is empty")
        };
        cache.put(ticket, &old.path, Some(&old));
        assert!(
            cache.get(&old.path).is_err(),
            "a ticket given while the shard is closed is void"
        );
        drop(closed);
        cache.put(ticket, &old.path, Some(&old));
        assert!(cache.get(&old.path).is_err(), "and stays void when it opens");
    }

    #[test]
    fn what_was_hot_comes_back_as_the_group_left_it_and_nothing_else_does() {
        let cache = DocumentCache::new(1 << 20);
        let (hot, cold, new) = (document("a/hot", 1), document("a/cold", 1), document("a/new", 2));
        for (path, found) in [(&hot.path, Some(&hot)), (&new.path, None)] {
            let Err(ticket) = cache.get(path) else {
                panic!("the cache is empty")
            };
            cache.put(ticket, path, found);
        }
        assert_eq!(cache.get(&new.path).ok(), Some(None), "absence is known");
        let after = [document("a/hot", 2), document("a/cold", 2), new.clone()];
        let closed = cache.close([&hot.path, &cold.path, &new.path].into_iter());
        for document in &after {
            closed.keep(&document.path, || document.clone());
        }
        drop(closed);
        assert_eq!(cache.get(&hot.path).ok(), Some(Some(after[0].clone())));
        assert!(cache.get(&cold.path).is_err());
        assert!(cache.get(&new.path).is_err());
    }

    #[test]
    fn the_bytes_stay_bounded() {
        let cache = DocumentCache::new(256 * 1000);
        for number in 0..20_000 {
            let document = document(&format!("a/{number}"), 1);
            if let Err(ticket) = cache.get(&document.path) {
                cache.put(ticket, &document.path, Some(&document));
            }
        }
        assert!(cache.shards.iter().map(|shard| shard.lock().bytes).sum::<usize>() <= 256 * 1000);
        assert!(
            cache
                .shards
                .iter()
                .any(|shard| !shard.lock().documents.is_empty())
        );
    }
}
