//! Query shapes that read too much, and the indexes that they would need.
//!
//! A shape is known by the index that would serve it best and does not exist. What its queries read and return is added
//! up; when that is out of proportion, the index is worth building.

use std::collections::HashMap;

use andiron_store::IndexDefinition;

use crate::query::READS_PER_DOCUMENT_MAX;

/// Queries of a shape before it gets an index: one alone may never come back.
const QUERIES_MIN: u64 = 2;
/// Entries and documents that they must have read in all.
const READS_MIN: u64 = 400;
/// Shapes remembered; beyond that, the one that has not been seen for longest is forgotten.
const SHAPES_MAX: usize = 500;

/// What the queries of a shape have cost so far.
#[derive(Clone, Copy, Debug, Default)]
struct Cost {
    queries: u64,
    reads: u64,
    returned: u64,
    /// Its place in the order in which shapes were seen.
    seen: u64,
}

/// The shapes seen lately.
#[derive(Debug, Default)]
pub(crate) struct Shapes {
    costs: HashMap<IndexDefinition, Cost>,
    seen: u64,
}

impl Shapes {
    /// Adds a query; says whether its shape is worth an index.
    pub(crate) fn add(&mut self, definition: &IndexDefinition, reads: u64, returned: u64) -> bool {
        self.seen += 1;
        if !self.costs.contains_key(definition) {
            self.make_room();
            self.costs.insert(definition.clone(), Cost::default());
        }
        let Some(cost) = self.costs.get_mut(definition) else {
            return false;
        };
        cost.queries += 1;
        cost.reads += reads;
        cost.returned += returned;
        cost.seen = self.seen;
        cost.queries >= QUERIES_MIN
            && cost.reads >= READS_MIN
            && cost.reads / READS_PER_DOCUMENT_MAX >= cost.returned
    }

    /// Forgets a shape, because its index is built or cannot be.
    pub(crate) fn forget(&mut self, definition: &IndexDefinition) {
        self.costs.remove(definition);
    }

    fn make_room(&mut self) {
        if self.costs.len() < SHAPES_MAX {
            return;
        }
        let oldest = self.costs.iter().min_by_key(|(_, cost)| cost.seen);
        if let Some(oldest) = oldest.map(|(definition, _)| definition.clone()) {
            self.costs.remove(&oldest);
        }
    }
}
