//! Which views a change may concern: found by collection, and by a field that must equal a value.
//!
//! It may name a view that a change does not concern, but never leaves one out.

use std::collections::HashMap;

use andiron_protocol::{DocumentPath, FieldRef, Filter, Operator, Source, Value};

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
}

impl SourceViews {
    fn is_empty(&self) -> bool {
        self.any.is_empty() && self.equal.is_empty()
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
        Ok(())
    }
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
                match equality(view.standing.filter()) {
                    Some((field, value)) => {
                        let by_value = views.equal.entry(field.clone()).or_default();
                        by_value.entry(value.clone()).or_default().push(id);
                    }
                    None => views.any.push(id),
                }
            }
        }
    }

    pub(super) fn remove(&mut self, id: ViewId, view: &View) {
        let without = |ids: &mut Vec<ViewId>| {
            if let Some(place) = ids.iter().position(|known| *known == id) {
                ids.swap_remove(place);
            }
            ids.is_empty()
        };
        match view {
            View::Document(view) => {
                if self.documents.get_mut(&view.path).is_some_and(without) {
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
                match equality(view.standing.filter()) {
                    Some((field, value)) => {
                        if let Some(by_value) = views.equal.get_mut(field) {
                            if by_value.get_mut(value).is_some_and(without) {
                                by_value.remove(value);
                            }
                            if by_value.is_empty() {
                                views.equal.remove(field);
                            }
                        }
                    }
                    None => {
                        without(&mut views.any);
                    }
                }
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

/// A field that every document of the result has with one value.
fn equality(filter: Option<&Filter>) -> Option<(&FieldRef, &Value)> {
    match filter? {
        Filter::Compare {
            field,
            operator: Operator::Equal,
            value,
        } => Some((field, value)),
        Filter::And(filters) => filters.iter().find_map(|filter| equality(Some(filter))),
        _ => None,
    }
}
