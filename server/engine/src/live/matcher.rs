//! Which views a change may concern: found by collection, and by a field that must equal a value or be on one side of it.
//!
//! It may name a view that a change does not concern, but never leaves one out.

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;

use andiron_protocol::{DocumentPath, FieldRef, Filter, Operator, Source, TypeClass, Value};

use super::changes::NetChange;
use super::view::View;
use crate::EngineError;

/// A view's number.
pub(super) type ViewId = u64;

/// The views by what concerns them.
#[derive(Default)]
pub(super) struct Matcher {
    collections: HashMap<String, SourceViews>,
    groups: HashMap<String, SourceViews>,
    documents: HashMap<DocumentPath, Vec<ViewId>>,
}

/// The views of one collection or group.
#[derive(Default)]
struct SourceViews {
    /// Those that any document of it may concern.
    any: Vec<ViewId>,
    /// Those that documents concern in which a field equals a value.
    equal: HashMap<FieldRef, HashMap<Value, Vec<ViewId>>>,
    /// Those that documents concern in which a field is at or above a value, or at or below it.
    above: Bounds,
    below: Bounds,
}

/// Views by a value of a field. A range stays within the class of its value.
type Bounds = HashMap<(FieldRef, TypeClass), BTreeMap<Value, Vec<ViewId>>>;

/// What all documents of a view have in common.
enum Common<'f> {
    Equal(&'f FieldRef, &'f Value),
    Above(&'f FieldRef, &'f Value),
    Below(&'f FieldRef, &'f Value),
}

impl SourceViews {
    fn is_empty(&self) -> bool {
        self.any.is_empty() && self.equal.is_empty() && self.above.is_empty() && self.below.is_empty()
    }

    fn insert(&mut self, id: ViewId, common: Option<Common<'_>>) {
        match common {
            Some(Common::Equal(field, value)) => {
                let by_value = self.equal.entry(field.clone()).or_default();
                by_value.entry(value.clone()).or_default().push(id);
            }
            Some(Common::Above(field, value)) => insert_bound(&mut self.above, field, value, id),
            Some(Common::Below(field, value)) => insert_bound(&mut self.below, field, value, id),
            None => self.any.push(id),
        }
    }

    fn remove(&mut self, id: ViewId, common: Option<Common<'_>>) {
        match common {
            Some(Common::Equal(field, value)) => {
                if let Some(by_value) = self.equal.get_mut(field) {
                    if by_value
                        .get_mut(value)
                        .is_some_and(|ids| is_empty_without(ids, id))
                    {
                        by_value.remove(value);
                    }
                    if by_value.is_empty() {
                        self.equal.remove(field);
                    }
                }
            }
            Some(Common::Above(field, value)) => remove_bound(&mut self.above, field, value, id),
            Some(Common::Below(field, value)) => remove_bound(&mut self.below, field, value, id),
            None => {
                is_empty_without(&mut self.any, id);
            }
        }
    }

    fn find(&self, change: &NetChange, found: &mut Vec<ViewId>) -> Result<(), EngineError> {
        found.extend_from_slice(&self.any);
        for (field, views) in &self.equal {
            for side in change.before.iter().chain(&change.after) {
                let value = field.get(change.path.id(), side.data()?);
                if let Some(ids) = value.and_then(|value| views.get(value.as_ref())) {
                    found.extend_from_slice(ids);
                }
            }
        }
        for (bounds, is_above) in [(&self.above, true), (&self.below, false)] {
            for ((field, class), views) in bounds {
                for side in change.before.iter().chain(&change.after) {
                    let value = field.get(change.path.id(), side.data()?);
                    let Some(value) = value.as_deref().filter(|value| value.type_class() == *class) else {
                        continue;
                    };
                    // Above all bounds that are not above it.
                    let bounds: (Bound<&Value>, Bound<&Value>) = if is_above {
                        (Bound::Unbounded, Bound::Included(value))
                    } else {
                        (Bound::Included(value), Bound::Unbounded)
                    };
                    found.extend(views.range::<Value, _>(bounds).flat_map(|(_, ids)| ids));
                }
            }
        }
        Ok(())
    }
}

fn insert_bound(bounds: &mut Bounds, field: &FieldRef, value: &Value, id: ViewId) {
    let by_value = bounds.entry((field.clone(), value.type_class())).or_default();
    by_value.entry(value.clone()).or_default().push(id);
}

fn remove_bound(bounds: &mut Bounds, field: &FieldRef, value: &Value, id: ViewId) {
    let key = (field.clone(), value.type_class());
    if let Some(by_value) = bounds.get_mut(&key) {
        if by_value
            .get_mut(value)
            .is_some_and(|ids| is_empty_without(ids, id))
        {
            by_value.remove(value);
        }
        if by_value.is_empty() {
            bounds.remove(&key);
        }
    }
}

/// Takes a view out, and says whether there is none left.
fn is_empty_without(ids: &mut Vec<ViewId>, id: ViewId) -> bool {
    if let Some(place) = ids.iter().position(|known| *known == id) {
        ids.swap_remove(place);
    }
    ids.is_empty()
}

impl Matcher {
    pub(super) fn insert(&mut self, id: ViewId, view: &View) {
        match view {
            View::Document(view) => self.documents.entry(view.path.clone()).or_default().push(id),
            View::Query(view) => {
                let views = match &view.standing.query.from {
                    Source::Collection(path) => self.collections.entry(path.as_str().to_owned()),
                    Source::Group(name) => self.groups.entry(name.clone()),
                }
                .or_default();
                views.insert(id, common(view.standing.filter()));
            }
        }
    }

    pub(super) fn remove(&mut self, id: ViewId, view: &View) {
        match view {
            View::Document(view) => {
                let views = self.documents.get_mut(&view.path);
                if views.is_some_and(|ids| is_empty_without(ids, id)) {
                    self.documents.remove(&view.path);
                }
            }
            View::Query(view) => {
                let (sources, name) = match &view.standing.query.from {
                    Source::Collection(path) => (&mut self.collections, path.as_str()),
                    Source::Group(name) => (&mut self.groups, name.as_str()),
                };
                let Some(views) = sources.get_mut(name) else {
                    return;
                };
                views.remove(id, common(view.standing.filter()));
                if views.is_empty() {
                    sources.remove(name);
                }
            }
        }
    }

    /// Whether a document may concern any view.
    pub(super) fn has_interest(&self, collection: &str, path: Option<&DocumentPath>) -> bool {
        self.collections.contains_key(collection)
            || self.groups.contains_key(name_of(collection))
            || path.is_some_and(|path| self.documents.contains_key(path))
    }

    /// Whether single documents are listened to.
    pub(super) fn has_documents(&self) -> bool {
        !self.documents.is_empty()
    }

    /// The views that each change may concern, with the places of those changes.
    pub(super) fn find(&self, changes: &[NetChange]) -> Result<HashMap<ViewId, Vec<usize>>, EngineError> {
        let mut touched: HashMap<ViewId, Vec<usize>> = HashMap::new();
        let mut found = Vec::new();
        for (place, change) in changes.iter().enumerate() {
            found.clear();
            let collection = change.path.collection_str();
            if let Some(views) = self.collections.get(collection) {
                views.find(change, &mut found)?;
            }
            if let Some(views) = self.groups.get(name_of(collection)) {
                views.find(change, &mut found)?;
            }
            if let Some(views) = self.documents.get(&change.path) {
                found.extend_from_slice(views);
            }
            found.sort_unstable();
            found.dedup();
            for id in &found {
                touched.entry(*id).or_default().push(place);
            }
        }
        Ok(touched)
    }
}

fn name_of(collection: &str) -> &str {
    collection.rsplit('/').next().unwrap_or(collection)
}

/// What every document of the result has: one value in a field, or else a value on one side of another.
fn common(filter: Option<&Filter>) -> Option<Common<'_>> {
    match filter? {
        Filter::Compare {
            field,
            operator,
            value,
        } => match operator {
            Operator::Equal => Some(Common::Equal(field, value)),
            Operator::Greater | Operator::GreaterOrEqual => Some(Common::Above(field, value)),
            Operator::Less | Operator::LessOrEqual => Some(Common::Below(field, value)),
            _ => None,
        },
        Filter::And(filters) => {
            let mut range = None;
            for filter in filters {
                match common(Some(filter)) {
                    Some(equal @ Common::Equal(..)) => return Some(equal),
                    found => range = range.or(found),
                }
            }
            range
        }
        _ => None,
    }
}
