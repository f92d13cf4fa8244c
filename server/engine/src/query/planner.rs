//! Chooses the route of a query.
//!
//! A plan can be slow but not wrong: every route finds all documents of the result, and what its keys do not prove is
//! checked. A route that proves everything and finds documents in the result's order is taken at once. Otherwise the
//! candidates' ranges are counted, up to a bound, and the one that is expected to read least is taken.

use andiron_store::{Snapshot, StoreError};

use super::branch::{Branch, branches, common_branch};
use super::collection_scan::collection_scan;
use super::index_scan::{IndexScan, index_scan};
use super::request::Request;
use super::route::{Delivery, Leg, Route, Scan};
use crate::indexes::IndexSet;

/// How thoroughly candidates are compared: entries counted for each, in one attempt after the other while none of them
/// has fewer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Care {
    /// In a few microseconds for each candidate.
    Quick,
    /// In some milliseconds at most.
    Thorough,
}

impl Care {
    fn counted_max(self) -> &'static [u64] {
        match self {
            Self::Quick => &[150],
            Self::Thorough => &[150, 20_000],
        }
    }
}

/// How many times as many entries a range is taken to have that has more than were counted.
const UNCOUNTED_FACTOR: u64 = 4;
/// Entries read from each of several scans that are merged, beyond those that are wanted.
const LEG_READS: u64 = 4;

/// A route and what is known of its cost.
struct Candidate<'i> {
    route: Route<'i>,
    /// Entries and documents in its ranges, as far as they were counted.
    size: u64,
}

/// Chooses how to find the documents of a request of which `wanted` are needed.
pub(crate) fn plan<'i>(
    request: &Request<'_>,
    wanted: u64,
    care: Care,
    indexes: &'i IndexSet,
    snapshot: &dyn Snapshot,
) -> Result<Route<'i>, StoreError> {
    let mut routes = routes(request, indexes, snapshot)?;
    let perfect = routes.iter().position(|route| {
        route.is_proven() && !(request.wants_order && route.delivery == Delivery::Unordered)
    });
    if let Some(perfect) = perfect {
        let mut route = routes.swap_remove(perfect);
        route.reads_expected = wanted.saturating_add(route.legs.len() as u64 * LEG_READS);
        return Ok(route);
    }
    if routes.is_empty() {
        return Ok(Route::nowhere());
    }
    cheapest(request, wanted, care, routes, snapshot)
}

fn cheapest<'i>(
    request: &Request<'_>,
    wanted: u64,
    care: Care,
    routes: Vec<Route<'i>>,
    snapshot: &dyn Snapshot,
) -> Result<Route<'i>, StoreError> {
    let mut candidates: Vec<_> = routes
        .into_iter()
        .map(|route| Candidate { route, size: 0 })
        .collect();
    let collection = match &request.query.from {
        andiron_protocol::Source::Collection(collection) => Some(collection),
        andiron_protocol::Source::Group(_) => None,
    };
    for &max in care.counted_max() {
        for candidate in &mut candidates {
            candidate.size = 0;
            for leg in &candidate.route.legs {
                let counted = leg.size(collection, snapshot, max)?;
                let factor = if counted < max { 1 } else { UNCOUNTED_FACTOR };
                candidate.size += counted * factor;
            }
        }
        // No route finds more documents of the result than it goes over.
        let matches_max = candidates
            .iter()
            .map(|candidate| candidate.size)
            .min()
            .unwrap_or(0);
        for candidate in &mut candidates {
            candidate.route.reads_expected = candidate.reads(request, wanted, matches_max);
        }
        if matches_max < max {
            break;
        }
    }
    let best = candidates
        .into_iter()
        .min_by_key(|candidate| (candidate.route.reads_expected, candidate.route.legs.len()));
    Ok(best
        .map(|candidate| candidate.route)
        .expect("there is at least one candidate"))
}

impl Candidate<'_> {
    /// The entries and documents that it will read, if documents that match are spread evenly.
    fn reads(&self, request: &Request<'_>, wanted: u64, matches_max: u64) -> u64 {
        match self.route.delivery {
            Delivery::Unordered => self.size,
            _ if !request.wants_order => self.size,
            _ if self.route.is_proven() => self.size.min(wanted),
            _ => {
                let reads_a_match = self.size / matches_max.max(1) + 1;
                self.size.min(wanted.saturating_mul(reads_a_match))
            }
        }
    }
}

/// All routes worth a thought; none if nothing can match. A proven one that stands first is the best.
pub(crate) fn routes<'i>(
    request: &Request<'_>,
    indexes: &'i IndexSet,
    snapshot: &dyn Snapshot,
) -> Result<Vec<Route<'i>>, StoreError> {
    let filter = request.filter.as_deref();
    let branches = branches(filter);
    let mut routes = Vec::new();
    let whole = match &branches {
        Some(branches) if branches.is_empty() => return Ok(routes),
        Some(branches) if branches.len() == 1 => branches.first().cloned(),
        _ => common_branch(filter),
    };
    let Some(whole) = whole else {
        return Ok(routes);
    };
    let readable = indexes.readable(request.query.from.collection_name());
    for index in readable {
        if let Some(scan) = index_scan(request, &whole, true, index, snapshot)?
            && (scan.is_ordered || scan.narrowing_fields > 0)
        {
            routes.push(index_route(scan));
        }
    }
    // Fewer legs are less work.
    routes.sort_by_key(|route| {
        (
            !route.is_proven(),
            route.delivery == Delivery::Unordered,
            route.legs.len(),
        )
    });
    match collection_scan(request, &whole, true) {
        Some((leg, is_ordered)) => {
            let route = single(leg, is_ordered);
            // What is found by id alone is found without any index.
            let position = if route.is_proven() { 0 } else { routes.len() };
            routes.insert(position, route);
        }
        None => routes.push(single(group_scan(request, &whole), false)),
    }
    if let Some(branches) = branches.filter(|branches| branches.len() > 1) {
        for preference in [Preference::Order, Preference::Narrowness] {
            routes.extend(union_route(request, &branches, preference, indexes, snapshot)?);
        }
    }
    Ok(routes)
}

fn single(leg: Leg<'_>, is_ordered: bool) -> Route<'_> {
    Route {
        legs: vec![leg],
        delivery: delivery(is_ordered, 1),
        may_repeat: false,
        reads_expected: u64::MAX,
    }
}

fn index_route(scan: IndexScan<'_>) -> Route<'_> {
    Route {
        delivery: delivery(scan.is_ordered, scan.legs.len()),
        may_repeat: scan.may_repeat,
        legs: scan.legs,
        reads_expected: u64::MAX,
    }
}

fn delivery(is_ordered: bool, legs: usize) -> Delivery {
    match (is_ordered, legs) {
        (false, _) => Delivery::Unordered,
        (true, 0 | 1) => Delivery::Ordered,
        (true, _) => Delivery::Merged,
    }
}

fn group_scan<'i>(request: &Request<'_>, whole: &Branch<'_>) -> Leg<'i> {
    let is_proven = whole.atoms.is_empty() && !whole.has_rest && !request.has_bounds();
    let is_present = request
        .order
        .iter()
        .all(|order| order.field == andiron_protocol::FieldRef::Id);
    Leg {
        scan: Scan::Group {
            is_proven: is_proven && is_present,
        },
        direction: andiron_store::ScanDirection::Forward,
        conditions: Vec::new(),
    }
}

/// What is looked for in the scans of a union.
#[derive(Clone, Copy, PartialEq)]
enum Preference {
    /// That all are in the result's order.
    Order,
    /// That they are narrowed down by many fields.
    Narrowness,
}

/// A scan for each branch; `None` if a branch has none.
fn union_route<'i>(
    request: &Request<'_>,
    branches: &[Branch<'_>],
    preference: Preference,
    indexes: &'i IndexSet,
    snapshot: &dyn Snapshot,
) -> Result<Option<Route<'i>>, StoreError> {
    let mut legs = Vec::new();
    let mut is_ordered = true;
    for branch in branches {
        let by_id = branch
            .ids
            .as_ref()
            .and_then(|_| collection_scan(request, branch, false));
        if let (Some((leg, _)), Preference::Narrowness) = (by_id, preference) {
            legs.push(leg);
            is_ordered = false;
            continue;
        }
        let mut best: Option<IndexScan<'i>> = None;
        for index in indexes.readable(request.query.from.collection_name()) {
            let Some(scan) = index_scan(request, branch, false, index, snapshot)? else {
                continue;
            };
            let rank = |scan: &IndexScan<'_>| match preference {
                Preference::Order => (usize::from(scan.is_ordered), scan.narrowing_fields),
                Preference::Narrowness => (scan.narrowing_fields, usize::from(scan.is_ordered)),
            };
            if scan.narrowing_fields > 0 && best.as_ref().is_none_or(|best| rank(best) < rank(&scan)) {
                best = Some(scan);
            }
        }
        match best {
            Some(scan) if scan.is_ordered || preference == Preference::Narrowness => {
                is_ordered &= scan.is_ordered;
                legs.extend(scan.legs);
            }
            _ => return Ok(None),
        }
    }
    Ok(Some(Route {
        delivery: delivery(is_ordered, legs.len()),
        may_repeat: true,
        legs,
        reads_expected: u64::MAX,
    }))
}
