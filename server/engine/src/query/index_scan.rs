//! A branch of a query as scans of one index: which ranges of keys, in which order, and what they prove.

use std::cmp::Ordering;

use andiron_protocol::{Bound, Direction, FieldPath, FieldRef, Source, Value};
use andiron_store::key::{
    Extent, encode_element_overflow, encode_id, encode_path, encode_value, prefix_successor,
};
use andiron_store::{
    IndexDefinition, IndexField, IndexFieldKind, IndexScope, ScanDirection, Snapshot, StoreError,
};

use super::branch::{Atom, Branch};
use super::interval::{Interval, hull};
use super::request::{Request, Side};
use super::route::{KeySpan, Leg, Scan, Tail};
use crate::indexes::ReadableIndex;

/// Ranges of one index that one branch is spread over at most.
const SPANS_MAX: usize = 200;

/// A branch as scans of one index.
pub(crate) struct IndexScan<'i> {
    /// One leg; or several, each in the result's order, which have to be merged.
    pub(crate) legs: Vec<Leg<'i>>,
    /// Whether every leg is in the result's order.
    pub(crate) is_ordered: bool,
    /// How many of the index's fields narrow the scan down.
    pub(crate) narrowing_fields: usize,
    /// Whether a document may be found more than once.
    pub(crate) may_repeat: bool,
}

/// What the keys of some entries begin with.
struct Stem<'q> {
    key: Vec<u8>,
    /// Whether every document below belongs to the branch, as far as the fields in the stem go.
    is_exact: bool,
    constants: Vec<(&'q FieldPath, &'q Value)>,
}

/// The branch by an index; `None` if the index cannot serve it. `is_whole` says that every document of the result
/// belongs to the branch.
pub(crate) fn index_scan<'q, 'i>(
    request: &Request<'q>,
    branch: &Branch<'q>,
    is_whole: bool,
    index: &'i ReadableIndex,
    snapshot: &dyn Snapshot,
) -> Result<Option<IndexScan<'i>>, StoreError> {
    let definition = &index.definition;
    if !covers(request, branch, definition) {
        return Ok(None);
    }
    let mut stems = vec![Stem {
        key: definition.scope_prefix(&request.query.from),
        is_exact: true,
        constants: Vec::new(),
    }];
    let mut lead = (0, stems[0].key.clone());
    let mut in_stems = 0;
    for field in &definition.fields {
        let Some(extended) = extend(&stems, field, branch, index, snapshot)? else {
            break;
        };
        stems = extended;
        in_stems += 1;
        if let [stem] = stems.as_slice() {
            lead = (in_stems, stem.key.clone());
        }
    }
    let fields = &definition.fields;
    if fields[in_stems..]
        .iter()
        .any(|field| field.kind == IndexFieldKind::Elements)
    {
        // Entries of every element would turn up.
        return Ok(None);
    }
    let ranged = fields.get(in_stems);
    let demand = ranged.and_then(|field| branch.of_field(&field.field));
    let mut intervals = match (ranged, demand) {
        (None, _) | (_, None) => vec![Interval::ALL],
        (_, Some(demand)) => demand.intervals.clone(),
    };
    if stems.len() * intervals.len() > SPANS_MAX {
        intervals = hull(&intervals);
    }
    let narrowing_fields = in_stems + usize::from(demand.is_some());
    let is_proven = proves(request, branch, definition, narrowing_fields);
    // The fields of the lead have one value in all entries scanned; those of the stems have one in each stem. Where all
    // documents of the result belong to the branch, whatever the branch fixes is fixed.
    let whole: Vec<_> = if is_whole {
        branch.constants().collect()
    } else {
        Vec::new()
    };
    let fixed_in = |count: usize| {
        let whole = &whole;
        move |path: &FieldPath| {
            let in_key = fields[..count]
                .iter()
                .any(|field| field.kind != IndexFieldKind::Elements && field.field == *path);
            in_key || whole.iter().any(|(fixed, _)| *fixed == path)
        }
    };
    let scan = Scanned {
        request,
        definition,
        index,
        whole: &whole,
        intervals: &intervals,
        direction: ranged.map_or(Direction::Ascending, |field| field.kind.direction()),
        is_proven,
    };
    let may_repeat = stems.len() > 1 && fields.iter().any(|field| field.kind == IndexFieldKind::Elements);
    let (legs, is_ordered) = if let Some(order) =
        provided_order(request, definition, &fields[lead.0..], &fixed_in(lead.0))
    {
        let constants = stems[0]
            .constants
            .iter()
            .filter(|(path, _)| fields[..lead.0].iter().any(|field| field.field == **path))
            .copied()
            .collect();
        let base = (lead.1.as_slice(), constants, &fields[lead.0..]);
        (vec![scan.leg(&stems, Some((order, base)))], true)
    } else if let Some(order) = provided_order(request, definition, &fields[in_stems..], &fixed_in(in_stems))
    {
        let leg = |stem: &Stem<'q>| {
            let base = (stem.key.as_slice(), stem.constants.clone(), &fields[in_stems..]);
            scan.leg(std::slice::from_ref(stem), Some((order, base)))
        };
        (stems.iter().map(leg).collect(), true)
    } else {
        (vec![scan.leg(&stems, None)], false)
    };
    let mut scan = IndexScan {
        legs,
        is_ordered,
        narrowing_fields,
        may_repeat,
    };
    if request.explains {
        for leg in &mut scan.legs {
            leg.conditions = conditions(branch, &fields[..narrowing_fields]);
        }
    }
    Ok(Some(scan))
}

/// Whether the index has an entry for every document of the branch, and those of the source stand together.
fn covers(request: &Request<'_>, branch: &Branch<'_>, definition: &IndexDefinition) -> bool {
    let scope = match request.query.from {
        Source::Collection(_) => IndexScope::Collection,
        Source::Group(_) => IndexScope::Group,
    };
    let is_ordered_by = |path: &FieldPath| {
        request
            .order
            .iter()
            .any(|order| matches!(&order.field, FieldRef::Field(field) if field == path))
    };
    definition.scope == scope
        && definition.fields.iter().all(|field| match field.kind {
            IndexFieldKind::Elements => branch.of_elements(&field.field).is_some(),
            IndexFieldKind::Ascending | IndexFieldKind::Descending => {
                branch.of_field(&field.field).is_some() || is_ordered_by(&field.field)
            }
        })
}

/// The stems with a field behind them, if the branch demands single values of it, and not too many.
fn extend<'q>(
    stems: &[Stem<'q>],
    field: &IndexField,
    branch: &Branch<'q>,
    index: &ReadableIndex,
    snapshot: &dyn Snapshot,
) -> Result<Option<Vec<Stem<'q>>>, StoreError> {
    let points = if field.kind == IndexFieldKind::Elements {
        branch.of_elements(&field.field).map(|demand| &demand.points)
    } else {
        branch
            .of_field(&field.field)
            .map(|demand| &demand.intervals)
            .filter(|intervals| intervals.iter().all(|interval| interval.point.is_some()))
    };
    let Some(points) = points.filter(|points| stems.len() * (points.len() + 1) <= SPANS_MAX) else {
        return Ok(None);
    };
    let mut extended = Vec::with_capacity(stems.len() * points.len());
    for stem in stems {
        if field.kind == IndexFieldKind::Elements {
            let mut key = stem.key.clone();
            encode_element_overflow(&mut key);
            let upper = prefix_successor(&key);
            let span = KeySpan {
                lower: key,
                upper,
                is_proven: false,
            };
            // Hardly ever is there a document with so many elements, and without one there is a range less to merge.
            if snapshot.count_index(index.id, span.range(), 1)? > 0 {
                extended.push(Stem {
                    key: span.lower,
                    is_exact: false,
                    constants: stem.constants.clone(),
                });
            }
        }
        for point in points {
            let mut key = Vec::with_capacity(stem.key.len() + point.lower.len());
            key.extend_from_slice(&stem.key);
            match field.kind.direction() {
                Direction::Ascending => key.extend_from_slice(&point.lower),
                Direction::Descending => key.extend(point.lower.iter().map(|byte| !byte)),
            }
            let mut constants = stem.constants.clone();
            if let (Some(value), true) = (point.point, field.kind != IndexFieldKind::Elements)
                && let Some(demand) = branch.of_field(&field.field)
            {
                constants.push((demand.field, value));
            }
            extended.push(Stem {
                key,
                is_exact: stem.is_exact && point.exact,
                constants,
            });
        }
    }
    Ok(Some(extended))
}

/// Whether an entry in the ranges proves that its document belongs to the branch and has all fields of the order, given
/// that the ranges are exact.
fn proves(
    request: &Request<'_>,
    branch: &Branch<'_>,
    definition: &IndexDefinition,
    narrowing_fields: usize,
) -> bool {
    let narrowing = &definition.fields[..narrowing_fields];
    let narrows = |path: &FieldPath, by_elements: bool| {
        narrowing
            .iter()
            .any(|field| field.field == *path && (field.kind == IndexFieldKind::Elements) == by_elements)
    };
    !branch.has_rest
        && branch.ids.is_none()
        && branch.elements.len() <= 1
        && branch.elements.iter().all(|demand| narrows(demand.field, true))
        && branch
            .fields
            .iter()
            .all(|demand| demand.is_implied || narrows(demand.field, false))
        && request.order.iter().all(|order| match &order.field {
            FieldRef::Id => true,
            FieldRef::Field(path) => definition.fields.iter().any(|field| field.field == *path),
        })
}

/// Whether entries whose keys differ only in these last fields of the index are in the result's order; and whether
/// ascending keys are (`Some(true)`) or descending ones (`Some(false)`).
fn provided_order(
    request: &Request<'_>,
    definition: &IndexDefinition,
    rest: &[IndexField],
    is_fixed: &dyn Fn(&FieldPath) -> bool,
) -> Option<bool> {
    let target = request.target?;
    let is_aligned = definition.path_direction() == target.path_direction;
    let mut rest = rest.iter();
    for order in &request.order[..target.fields] {
        let FieldRef::Field(path) = &order.field else {
            return None;
        };
        if is_fixed(path) {
            continue;
        }
        let field = rest.next()?;
        let fits = field.field == *path
            && field.kind != IndexFieldKind::Elements
            && (field.kind.direction() == order.direction) == is_aligned;
        if !fits {
            return None;
        }
    }
    rest.next().is_none().then_some(is_aligned)
}

/// What bounds are relative to: the beginning of the keys, the fields that it fixes, and the fields that follow it.
type Base<'a, 'q> = (&'a [u8], Vec<(&'q FieldPath, &'q Value)>, &'a [IndexField]);

/// What all legs of a scan share.
struct Scanned<'a, 'q, 'i> {
    request: &'a Request<'q>,
    definition: &'i IndexDefinition,
    index: &'i ReadableIndex,
    whole: &'a [(&'q FieldPath, &'q Value)],
    intervals: &'a [Interval<'q>],
    /// Of the field behind the stems.
    direction: Direction,
    is_proven: bool,
}

impl<'q, 'i> Scanned<'_, 'q, 'i> {
    fn leg(&self, stems: &[Stem<'q>], order: Option<(bool, Base<'_, 'q>)>) -> Leg<'i> {
        let mut spans = Vec::with_capacity(stems.len() * self.intervals.len());
        for stem in stems {
            for interval in self.intervals {
                let (lower, upper) = interval.in_direction(self.direction);
                spans.push(KeySpan {
                    lower: [stem.key.as_slice(), &lower].concat(),
                    upper: match upper {
                        Some(upper) => Some([stem.key.as_slice(), &upper].concat()),
                        None => prefix_successor(&stem.key),
                    },
                    is_proven: self.is_proven && stem.is_exact && interval.exact,
                });
            }
        }
        spans.sort_by(|left, right| left.lower.cmp(&right.lower));
        let mut direction = ScanDirection::Forward;
        let mut tail = None;
        match order {
            Some((is_aligned, base)) => {
                let is_exact = self.restrict(&mut spans, is_aligned, &base);
                for span in &mut spans {
                    span.is_proven &= is_exact;
                }
                if is_aligned == self.request.is_reversed {
                    direction = ScanDirection::Backward;
                }
                let target = self.request.target.map_or(0, |target| target.fields);
                tail = (base.2.len() == target).then_some(Tail {
                    skip: base.0.len(),
                    is_inverted: !is_aligned,
                });
            }
            None => {
                let is_unbounded = !self.request.has_bounds();
                for span in &mut spans {
                    span.is_proven &= is_unbounded;
                }
            }
        }
        Leg {
            scan: Scan::Index {
                index: self.index,
                spans,
                tail,
            },
            direction,
            conditions: Vec::new(),
        }
    }

    /// Cuts off what is outside of the request's bounds, as far as keys can tell; says whether they can tell all.
    fn restrict(&self, spans: &mut Vec<KeySpan>, is_aligned: bool, base: &Base<'_, 'q>) -> bool {
        let mut is_exact = true;
        for (bound, side) in self.request.bounds() {
            let place = self.place(bound, base);
            is_exact &= place.relation.is_some();
            let is_inside = match place.relation {
                None => true,
                Some(Ordering::Equal) => bound.inclusive,
                Some(ordering) => ordering != side.outside(),
            };
            cut_spans(spans, &place.key, is_inside, (side == Side::Start) == is_aligned);
        }
        spans.retain(|span| span.upper.as_ref().is_none_or(|upper| span.lower < *upper));
        is_exact
    }

    /// Where a bound is among keys that begin with the base.
    fn place(&self, bound: &Bound, (base, constants, rest): &Base<'_, 'q>) -> Place {
        let mut key = base.to_vec();
        let mut rest = rest.iter();
        for (position, (order, value)) in self.request.order.iter().zip(&bound.values).enumerate() {
            let FieldRef::Field(path) = &order.field else {
                let Some(id) = value.as_str() else {
                    return Place { key, relation: None };
                };
                encode_id(id, self.definition.path_direction(), &mut key);
                let is_last = position + 1 == bound.values.len() && bound.path.is_none();
                let relation = is_last.then_some(Ordering::Equal);
                return Place { key, relation };
            };
            let mut fixed = constants.iter().chain(self.whole);
            if let Some((_, constant)) = fixed.find(|(fixed, _)| *fixed == path) {
                let ordering = order.direction.apply((*constant).cmp(value));
                if ordering.is_ne() {
                    return Place {
                        key,
                        relation: Some(ordering),
                    };
                }
            } else if let Some(field) = rest.next() {
                if encode_value(value, field.kind.direction(), &mut key) == Extent::Cut {
                    return Place { key, relation: None };
                }
            } else {
                return Place { key, relation: None };
            }
        }
        match (&bound.path, &self.request.query.from) {
            (None, _) => {}
            (Some(path), Source::Group(_)) => {
                encode_path(path.as_str(), self.definition.path_direction(), &mut key);
            }
            (Some(path), Source::Collection(collection)) if path.collection_str() == collection.as_str() => {
                encode_id(path.id(), self.definition.path_direction(), &mut key);
            }
            // Documents of the collection may be on both sides.
            (Some(_), Source::Collection(_)) => return Place { key, relation: None },
        }
        Place {
            key,
            relation: Some(Ordering::Equal),
        }
    }
}

/// Where a bound is: at the keys that begin with this.
struct Place {
    key: Vec<u8>,
    /// Where the documents there are, relative to the bound and in the result's order; `None` if not all are on one side.
    relation: Option<Ordering>,
}

/// Cuts off what is below or above the keys that begin with `key`.
fn cut_spans(spans: &mut Vec<KeySpan>, key: &[u8], is_inside: bool, is_lower: bool) {
    if is_lower == is_inside {
        // The keys themselves begin what is kept, or end what is kept without them.
        for span in spans.iter_mut() {
            if is_lower {
                if span.lower.as_slice() < key {
                    span.lower = key.to_vec();
                }
            } else if span.upper.as_deref().is_none_or(|upper| upper > key) {
                span.upper = Some(key.to_vec());
            }
        }
        return;
    }
    let Some(after) = prefix_successor(key) else {
        // Nothing comes after these keys.
        if is_lower {
            spans.clear();
        }
        return;
    };
    cut_spans(spans, &after, is_lower, is_lower);
}

/// The comparisons that these fields of an index express, as they stand in a query.
fn conditions(branch: &Branch<'_>, fields: &[IndexField]) -> Vec<String> {
    let is_expressed = |field: &FieldRef| matches!(field, FieldRef::Field(path) if fields.iter().any(|field| field.field == *path));
    branch
        .atoms
        .iter()
        .filter(|atom| is_expressed(atom.field))
        .map(Atom::describe)
        .collect()
}
