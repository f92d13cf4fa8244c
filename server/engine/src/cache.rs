//! The cache of hot documents, kept true by the writer.
//!
//! Invariant: a cached document is the newest committed one, as any snapshot opened now would see it. Before a group
//! becomes visible the writer takes its documents out and closes their shards ([`DocumentCache::close`]); a reader that
//! looked at an older snapshot can then not put an old document back, because [`Ticket`]s from before are void.

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
    documents: LruCache<DocumentPath, StoredDocument>,
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

    /// The newest committed document if it is here, else a ticket to put it in after reading it from a snapshot that is
    /// opened after this call.
    pub(crate) fn get(&self, path: &DocumentPath) -> Result<StoredDocument, Ticket> {
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

    /// Keeps a document that was read from a snapshot, unless the shard was written to since the ticket was given.
    pub(crate) fn put(&self, ticket: Ticket, document: &StoredDocument) {
        let cost = cost(document);
        let mut shard = self.shards[ticket.shard].lock();
        if shard.epoch != ticket.epoch || shard.closed > 0 || cost > self.shard_bytes_max / 4 {
            return;
        }
        if let Some(old) = shard.documents.put(document.path.clone(), document.clone()) {
            shard.bytes -= self::cost(&old);
        }
        shard.bytes += cost;
        while shard.bytes > self.shard_bytes_max {
            let Some((_, dropped)) = shard.documents.pop_lru() else {
                break;
            };
            shard.bytes -= self::cost(&dropped);
        }
    }

    /// Takes documents out before their new state becomes visible, and keeps their shards closed meanwhile.
    pub(crate) fn close<'a>(&'a self, paths: impl Iterator<Item = &'a DocumentPath>) -> ClosedShards<'a> {
        let mut closed = ClosedShards {
            cache: self,
            shards: Vec::new(),
        };
        for path in paths {
            let index = self.shard_of(path);
            let mut shard = self.shards[index].lock();
            if let Some(old) = shard.documents.pop(path) {
                shard.bytes -= cost(&old);
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

impl Drop for ClosedShards<'_> {
    fn drop(&mut self) {
        for index in &self.shards {
            let mut shard = self.cache.shards[*index].lock();
            shard.epoch += 1;
            shard.closed -= 1;
        }
    }
}

fn cost(document: &StoredDocument) -> usize {
    ENTRY_OVERHEAD_BYTES + document.path.as_str().len() + document.data.len()
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
        cache.put(ticket, &old);
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
        cache.put(ticket, &old);
        assert!(
            cache.get(&old.path).is_err(),
            "a ticket given while the shard is closed is void"
        );
        drop(closed);
        cache.put(ticket, &old);
        assert!(cache.get(&old.path).is_err(), "and stays void when it opens");
    }

    #[test]
    fn the_bytes_stay_bounded() {
        let cache = DocumentCache::new(256 * 1000);
        for number in 0..20_000 {
            let document = document(&format!("a/{number}"), 1);
            if let Err(ticket) = cache.get(&document.path) {
                cache.put(ticket, &document);
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
