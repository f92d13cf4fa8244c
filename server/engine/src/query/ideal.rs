//! The indexes that would serve a query best.
//!
//! Definitions are canonical, so that queries which one index can serve ask for one and the same: fields of equality
//! come first, by name and ascending; then an array's elements; then the fields of the order, turned round as a whole if
//! the first is descending, because an index can be read from both ends.

use andiron_protocol::{Direction, FieldPath, FieldRef, Source};
use andiron_store::{INDEX_FIELDS_MAX, IndexDefinition, IndexField, IndexFieldKind, IndexScope};

use super::branch::{Branch, branches, common_branch};
use super::request::Request;

/// Branches up to which each gets indexes of its own.
const BRANCHES_MAX: usize = 6;
/// Definitions worth having for one query.
const DEFINITIONS_MAX: usize = 8;

/// The definitions that would serve a request, the best first. None if indexes would not help.
pub(crate) fn ideal_definitions(request: &Request<'_>) -> Vec<IndexDefinition> {
    let filter = request.filter.as_deref();
    let branches = match branches(filter) {
        Some(branches) if branches.len() <= BRANCHES_MAX => branches,
        _ => common_branch(filter).into_iter().collect(),
    };
    let mut definitions = Vec::new();
    // First one for each branch, then what may serve better where that is not enough.
    for shape in [in_order, by_ranges] {
        for branch in &branches {
            if branch.ids.is_some() {
                continue;
            }
            let definition = shape(request, branch);
            if is_useful(&definition)
                && !definitions.contains(&definition)
                && definitions.len() < DEFINITIONS_MAX
            {
                definitions.push(definition);
            }
        }
    }
    definitions
}

/// A collection alone is in the order of its paths already.
fn is_useful(definition: &IndexDefinition) -> bool {
    (!definition.fields.is_empty() || definition.scope == IndexScope::Group)
        && definition.fields.len() <= INDEX_FIELDS_MAX
        && definition.check().is_ok()
}

/// Equalities, elements, then the whole order: the scan stops after the last document wanted.
fn in_order(request: &Request<'_>, branch: &Branch<'_>) -> IndexDefinition {
    let order: Vec<_> = request
        .order
        .iter()
        .filter_map(|order| match &order.field {
            FieldRef::Field(path) => Some((path, order.direction)),
            FieldRef::Id => None,
        })
        .collect();
    definition(request, branch, &order)
}

/// Equalities, elements, then the fields of ranges, those demanded most narrowly first: the scan goes over what the
/// filter lets through and no more.
fn by_ranges(request: &Request<'_>, branch: &Branch<'_>) -> IndexDefinition {
    let mut order: Vec<_> = branch
        .fields
        .iter()
        .filter(|demand| !demand.is_implied && !is_equality(branch, demand.field))
        .map(|demand| (demand.field, Direction::Ascending))
        .collect();
    let is_bounded = |path: &FieldPath| {
        branch
            .of_field(path)
            .is_some_and(|demand| demand.intervals.iter().all(|interval| interval.upper.is_some()))
    };
    order.sort_by_key(|(path, _)| (!is_bounded(path), *path));
    definition(request, branch, &order)
}

fn is_equality(branch: &Branch<'_>, path: &FieldPath) -> bool {
    branch
        .of_field(path)
        .is_some_and(|demand| demand.intervals.iter().all(|interval| interval.point.is_some()))
}

fn definition(
    request: &Request<'_>,
    branch: &Branch<'_>,
    order: &[(&FieldPath, Direction)],
) -> IndexDefinition {
    let mut equalities: Vec<_> = branch
        .fields
        .iter()
        .map(|demand| demand.field)
        .filter(|path| is_equality(branch, path))
        // A field that may have several values and orders as well has to stay in its place.
        .filter(|path| {
            branch.constants().any(|(constant, _)| constant == *path)
                || !order.iter().any(|(ordered, _)| ordered == path)
        })
        .collect();
    equalities.sort();
    let field = |path: &FieldPath, kind: IndexFieldKind| IndexField {
        field: path.clone(),
        kind,
    };
    let mut fields: Vec<_> = equalities
        .iter()
        .map(|path| field(path, IndexFieldKind::Ascending))
        .collect();
    fields.extend(
        branch
            .elements
            .first()
            .map(|demand| field(demand.field, IndexFieldKind::Elements)),
    );
    let ordered: Vec<_> = order
        .iter()
        .filter(|(path, _)| !equalities.contains(path))
        .collect();
    let is_turned = ordered
        .first()
        .is_some_and(|(_, direction)| *direction == Direction::Descending);
    fields.extend(ordered.iter().map(|(path, direction)| {
        let is_descending = (*direction == Direction::Descending) != is_turned;
        let kind = if is_descending {
            IndexFieldKind::Descending
        } else {
            IndexFieldKind::Ascending
        };
        field(path, kind)
    }));
    IndexDefinition {
        collection: request.query.from.collection_name().to_owned(),
        scope: match request.query.from {
            Source::Collection(_) => IndexScope::Collection,
            Source::Group(_) => IndexScope::Group,
        },
        fields,
    }
}
