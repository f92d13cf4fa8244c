//! A branch of a query as a scan of its collection by id.

use std::cmp::Ordering;

use andiron_protocol::{Bound, Direction, FieldPath, FieldRef, Source, Value};
use andiron_store::ScanDirection;

use super::branch::{Atom, Branch};
use super::interval::{Interval, following_id};
use super::request::{Request, Side};
use super::route::{IdSpan, Leg, Scan};

/// The branch by the ids of its collection; `None` for groups. Says also whether that is the result's order.
pub(crate) fn collection_scan<'i>(
    request: &Request<'_>,
    branch: &Branch<'_>,
    is_whole: bool,
) -> Option<(Leg<'i>, bool)> {
    let Source::Collection(collection) = &request.query.from else {
        return None;
    };
    let constants: Vec<_> = if is_whole {
        branch.constants().collect()
    } else {
        Vec::new()
    };
    let fixed = |path: &FieldPath| constants.iter().find(|(fixed, _)| *fixed == path);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let to_span = |interval: &Interval<'_>| IdSpan {
        lower: text(&interval.lower),
        upper: interval.upper.as_deref().map(text),
    };
    let mut spans: Vec<IdSpan> = match &branch.ids {
        Some(ids) => ids.iter().map(to_span).collect(),
        None => vec![to_span(&Interval::ALL)],
    };
    let target = request.target.filter(|target| {
        request.order[..target.fields]
            .iter()
            .all(|order| matches!(&order.field, FieldRef::Field(path) if fixed(path).is_some()))
    });
    let mut is_proven = !branch.has_rest
        && branch.fields.is_empty()
        && branch.elements.is_empty()
        && request.order.iter().all(|order| order.field == FieldRef::Id);
    let mut direction = ScanDirection::Forward;
    match target {
        Some(target) => {
            let is_aligned = target.path_direction == Direction::Ascending;
            if is_aligned == request.is_reversed {
                direction = ScanDirection::Backward;
            }
            for (bound, side) in request.bounds() {
                match id_place(request, bound, collection.as_str(), &|path| {
                    fixed(path).map(|(_, value)| *value)
                }) {
                    IdPlace::Outside(ordering) => {
                        if ordering == side.outside() {
                            spans.clear();
                        }
                    }
                    IdPlace::At(id, is_exact) => {
                        is_proven &= is_exact;
                        let is_inside = bound.inclusive || !is_exact;
                        cut_ids(&mut spans, &id, is_inside, (side == Side::Start) == is_aligned);
                    }
                    IdPlace::Unknown => is_proven = false,
                    IdPlace::Everywhere => {
                        if !bound.inclusive {
                            spans.clear();
                        }
                    }
                }
            }
            spans.retain(|span| span.upper.as_ref().is_none_or(|upper| span.lower < *upper));
        }
        None => is_proven &= !request.has_bounds(),
    }
    let is_ordered = target.is_some();
    let leg = Leg {
        conditions: if request.explains {
            branch
                .atoms
                .iter()
                .filter(|atom| *atom.field == FieldRef::Id)
                .map(Atom::describe)
                .collect()
        } else {
            Vec::new()
        },
        scan: Scan::Collection { spans, is_proven },
        direction,
    };
    Some((leg, is_ordered))
}

/// Where a bound is among the ids of a collection.
enum IdPlace {
    /// All ids are on one side of it.
    Outside(Ordering),
    /// At an id; if that is not exact, the document itself may be on either side.
    At(String, bool),
    /// All ids are at it.
    Everywhere,
    /// Ids may be on both sides.
    Unknown,
}

fn id_place<'q>(
    request: &Request<'_>,
    bound: &Bound,
    collection: &str,
    fixed: &dyn Fn(&FieldPath) -> Option<&'q Value>,
) -> IdPlace {
    for (position, (order, value)) in request.order.iter().zip(&bound.values).enumerate() {
        match &order.field {
            FieldRef::Id => {
                let is_last = position + 1 == bound.values.len() && bound.path.is_none();
                return value
                    .as_str()
                    .map_or(IdPlace::Unknown, |id| IdPlace::At(id.to_owned(), is_last));
            }
            FieldRef::Field(path) => {
                match fixed(path).map(|constant| order.direction.apply(constant.cmp(value))) {
                    Some(Ordering::Equal) => {}
                    Some(ordering) => return IdPlace::Outside(ordering),
                    None => return IdPlace::Unknown,
                }
            }
        }
    }
    match &bound.path {
        None => IdPlace::Everywhere,
        Some(path) if path.collection_str() == collection => IdPlace::At(path.id().to_owned(), true),
        Some(_) => IdPlace::Unknown,
    }
}

/// Cuts off what is below or above an id.
fn cut_ids(spans: &mut [IdSpan], id: &str, is_inside: bool, is_lower: bool) {
    let cut = if is_lower == is_inside {
        id.to_owned()
    } else {
        String::from_utf8_lossy(&following_id(id.as_bytes())).into_owned()
    };
    for span in spans {
        if is_lower {
            if span.lower < cut {
                span.lower.clone_from(&cut);
            }
        } else if span.upper.as_ref().is_none_or(|upper| *upper > cut) {
            span.upper = Some(cut.clone());
        }
    }
}
