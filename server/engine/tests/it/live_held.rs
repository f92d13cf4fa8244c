//! A result as somebody has it who listens, put together from what is told; and what it should be, as a naive evaluator has
//! it.

use std::collections::{BTreeMap, BTreeSet};

use andiron_engine::LiveChanges;
use andiron_protocol::{Document, DocumentPath, Map, Query, Version};
use serde_json::Value as Json;

use crate::query_naive::{Documents, naive};

/// Documents with their versions.
pub(crate) type Versioned = BTreeMap<DocumentPath, (Version, Map)>;

/// What one has of a listen.
#[derive(Default)]
pub(crate) struct Held {
    pub(crate) result: Versioned,
    /// The token of the last whole state.
    pub(crate) token: Option<String>,
    /// Whether a step has begun that is not complete.
    pub(crate) is_torn: bool,
}

impl Held {
    /// Takes a part of a step; gives the version if a state is reached by it.
    pub(crate) fn take(&mut self, changes: &LiveChanges) -> Option<Version> {
        if changes.reset {
            self.result.clear();
        } else {
            assert!(self.token.is_some() || self.is_torn, "the first step is a reset");
        }
        let listed: Vec<Json> = serde_json::from_slice(&changes.changes).unwrap();
        for change in listed {
            if change["type"] == "set" {
                let document: Document = serde_json::from_value(change["document"].clone()).unwrap();
                let now = (document.version, document.data);
                let before = self.result.insert(document.path, now);
                assert_ne!(
                    before.map(|(version, _)| version),
                    Some(document.version),
                    "nothing is told twice"
                );
            } else {
                let path: DocumentPath = change["path"].as_str().unwrap().parse().unwrap();
                let before = self.result.remove(&path);
                assert!(before.is_some(), "`{path}` was there to be removed");
            }
        }
        self.is_torn = changes.more;
        if changes.more {
            return None;
        }
        self.token = Some(changes.resume.to_string());
        Some(changes.version)
    }

    /// Loses the connection. A step that was cut off is no state, so there is no going on from it.
    pub(crate) fn cut_off(&mut self) {
        if std::mem::take(&mut self.is_torn) {
            self.token = None;
        }
    }
}

/// The documents of a result, limit and offset included.
pub(crate) fn result_of<'d>(query: &Query, seen: &'d Documents) -> Vec<(&'d DocumentPath, &'d Map)> {
    let mut result = naive(query, seen);
    result.drain(..result.len().min(query.offset as usize));
    let limit = query.limit.map_or(usize::MAX, |limit| limit as usize);
    if query.limit_to_last {
        result.drain(..result.len().saturating_sub(limit));
    } else {
        result.truncate(limit);
    }
    result
}

/// What is wrong with a result, if it should be this of these documents.
pub(crate) fn difference(
    got: &Versioned,
    query: &Query,
    seen: &Documents,
    versions: &BTreeMap<DocumentPath, Version>,
) -> Option<String> {
    let expected = result_of(query, seen);
    let paths: BTreeSet<_> = expected.iter().map(|(path, _)| *path).collect();
    if paths != got.keys().collect() {
        let got: Vec<_> = got.keys().collect();
        return Some(format!("{got:?} instead of {paths:?}"));
    }
    let is_wrong = |(path, data): &&(&DocumentPath, &Map)| {
        let now = (versions[*path], query.project((*data).clone()));
        got[*path] != now
    };
    let wrong = expected.iter().find(is_wrong);
    wrong.map(|(path, _)| format!("`{path}` as {:?}", got[*path]))
}
