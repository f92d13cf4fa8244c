//! A step: what was committed since the version before is read from the log, and everybody whom it concerns is told.
//!
//! Those whose rights the step may have changed are asked about before anybody is told anything by it.

use std::sync::Arc;
use std::time::Instant;

use andiron_protocol::{DocumentPath, Version};

use super::super::changes::{self, NetChange};
use super::super::matcher::ViewId;
use super::super::view::State;
use super::Feed;
use super::delivery::same_error;
use crate::EngineError;

impl Feed {
    /// Takes everything that is attached to the version of a snapshot; gives the number of changes that were looked at.
    pub(super) fn advance(&mut self, state: State<'_>) -> Result<usize, EngineError> {
        let before = std::mem::replace(&mut self.version, state.snapshot.version()?);
        if before == self.version {
            return Ok(0);
        }
        self.watchers.tell_version();
        if self.views.is_empty() && !self.watchers.has_documents() {
            return Ok(0);
        }
        let has_paths =
            self.matcher.has_documents() || !self.dependents.is_empty() || self.watchers.has_documents();
        let is_of_interest = |collection: &str, id: &str| {
            if self.matcher.has_interest(collection, None) {
                return true;
            }
            if !has_paths {
                return false;
            }
            let Ok(path) = format!("{collection}/{id}").parse::<DocumentPath>() else {
                return true;
            };
            self.matcher.has_interest(collection, Some(&path))
                || self.dependents.contains_key(&path)
                || self.watchers.has(&path)
        };
        let limits = &state.shared.options.live;
        let Some(changes) = changes::since(state.snapshot, before, limits, &is_of_interest)? else {
            self.shared.metrics.live_steps_too_large.inc();
            self.begin_all_anew();
            return Ok(limits.step_changes_max);
        };
        for change in &changes {
            self.watchers.tell(&change.path);
        }
        let begin = Instant::now();
        let touched = self.matcher.find(&changes)?;
        let seconds = begin.elapsed().as_secs_f64();
        self.shared.metrics.live_match_seconds.observe(seconds);
        let candidates: usize = touched.values().map(Vec::len).sum();
        self.shared.metrics.live_candidates.inc_by(candidates as u64);
        let mut views: Vec<_> = touched.into_iter().collect();
        views.sort_unstable_by_key(|(id, _)| *id);
        let mut dependents: Vec<u64> = changes
            .iter()
            .filter_map(|change| self.dependents.get(&change.path))
            .flatten()
            .copied()
            .collect();
        dependents.sort_unstable();
        dependents.dedup();
        // Those whose rights may have changed are asked about first: they see nothing by rights that have ended.
        for number in dependents {
            self.leave_or_stay(number, before, state)?;
        }
        for (id, places) in views {
            let changes: Vec<_> = places.iter().map(|place| &changes[*place]).collect();
            self.step(id, &changes, before, state);
        }
        Ok(changes.len())
    }

    fn step(&mut self, id: ViewId, changes: &[&NetChange], before: Version, state: State<'_>) {
        let Some(shown) = self.views.get_mut(&id) else {
            return;
        };
        if shown.view.is_private()
            && let [number] = shown.listens[..]
            && !self.has_room(number)
        {
            // What is remembered is still what its client has.
            let mut from = self.detach(number);
            if let Some(since) = &mut from.since {
                since.0 = before;
            }
            self.wait(number, from);
            return;
        }
        let Some(shown) = self.views.get_mut(&id) else {
            return;
        };
        let looked_up_before = shown.view.looked_up_count();
        let stepped = shown.view.step(changes, state);
        let numbers = shown.listens.clone();
        match stepped {
            Ok(event) => {
                if let Some(event) = event {
                    self.shared.metrics.live_deliveries.inc_by(numbers.len() as u64);
                    for number in &numbers {
                        self.tell(*number, before, &event);
                    }
                }
                let is_other = self
                    .views
                    .get(&id)
                    .is_some_and(|shown| shown.view.looked_up_count() != looked_up_before);
                if is_other && let Some(shown) = self.views.get(&id) {
                    let looked_up: Vec<_> = shown.view.looked_up().into_iter().collect();
                    for number in numbers {
                        self.rest_on(number, looked_up.clone());
                    }
                }
            }
            Err(error) => {
                let error = Arc::new(error);
                for number in numbers {
                    self.end(number, same_error(&error));
                }
            }
        }
    }
}
