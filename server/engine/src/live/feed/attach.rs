//! How a listen comes to its view and leaves it: begun by a start thread, brought to the feed's version, joined to what
//! others see if that is the same.

use std::collections::HashMap;
use std::sync::atomic::Ordering;

use andiron_protocol::{DocumentPath, Version};

use super::super::changes;
use super::super::event::Event;
use super::super::matcher::ViewId;
use super::super::start::{Begun, From, StartJob, Started};
use super::super::view::{LookedUp, State, View, ViewKey};
use super::{Feed, Phase, Shown};
use crate::EngineError;

/// What has become of views that can be shared since the versions at which they were begun.
pub(super) type Deltas = HashMap<(ViewKey, Version), Option<Event>>;

impl Feed {
    /// Has a start thread begin a listen.
    pub(super) fn begin(&mut self, number: u64, from: From) {
        let Some(listen) = self.listens.get_mut(&number) else {
            return;
        };
        listen.ticket += 1;
        listen.phase = Phase::Beginning;
        let job = StartJob {
            number,
            ticket: listen.ticket,
            caller: listen.caller.clone(),
            target: listen.target.clone(),
            from,
        };
        self.shared.live.put_job(job);
    }

    /// Everything begins anew: what has changed is too much, or no longer known.
    pub(super) fn begin_all_anew(&mut self) {
        self.watchers.tell_all();
        let numbers: Vec<u64> = self.listens.keys().copied().collect();
        for number in numbers {
            if self.is_attached(number) {
                self.detach(number);
                self.begin(number, From::default());
            }
        }
    }

    /// Joins what a start thread has begun, brought to the feed's version.
    pub(super) fn attach(
        &mut self,
        started: Started,
        deltas: &mut Deltas,
        state: State<'_>,
    ) -> Result<(), EngineError> {
        let Started {
            number,
            ticket,
            begun,
        } = started;
        let is_wanted = self
            .listens
            .get(&number)
            .is_some_and(|listen| listen.ticket == ticket && matches!(listen.phase, Phase::Beginning));
        if !is_wanted {
            return Ok(());
        }
        let begun = match begun {
            Ok(begun) => begun,
            Err(error) => {
                self.end(number, error);
                return Ok(());
            }
        };
        let Begun {
            version,
            mut view,
            digest,
            rules,
            since,
            reset,
            event,
        } = begun;
        let is_judged = self
            .listens
            .get(&number)
            .is_some_and(|listen| !listen.caller.is_admin());
        if is_judged && !self.is_in_force(rules.as_ref()) {
            self.begin(number, From::default());
            return Ok(());
        }
        let key = view.key().map(|key| (key, version));
        let shared_delta = key
            .as_ref()
            .filter(|(key, _)| self.keys.contains_key(key))
            .and_then(|key| deltas.get(key));
        let caught_up = match shared_delta {
            // The view is not brought forward: it gives way to the one that others see.
            Some(delta) => Ok(Some(delta.clone())),
            None => {
                let looked_up = view.looked_up();
                catch_up(&mut view, version, &looked_up, state)
            }
        };
        let delta = match caught_up {
            Ok(Some(delta)) => delta,
            Ok(None) => {
                self.begin(number, From::default());
                return Ok(());
            }
            Err(error) => {
                self.end(number, error);
                return Ok(());
            }
        };
        if let Some(key) = key {
            deltas.insert(key, delta.clone());
        }
        let looked_up: Vec<_> = view.looked_up().into_iter().collect();
        let id = self.place(view);
        if let Some(shown) = self.views.get_mut(&id) {
            shown.listens.push(number);
        }
        if let Some(listen) = self.listens.get_mut(&number) {
            listen.phase = Phase::Attached(id);
            listen.digest = digest;
        }
        self.rest_on(number, looked_up);
        let metrics = &self.shared.metrics;
        if reset {
            &metrics.live_resets
        } else {
            &metrics.live_resumes
        }
        .inc();
        let mut events: Vec<&Event> = event.iter().chain(&delta).collect();
        let empty = Event::empty();
        if events.is_empty() {
            events.push(&empty);
        }
        if !self.push(number, reset, &events) {
            // It still has what it had before.
            self.wait(number, From { since, kept: None });
        }
        Ok(())
    }

    /// The number of a view: of the equal one that there is, if it can be one with it.
    fn place(&mut self, view: View) -> ViewId {
        let key = view.key();
        if let Some(id) = key.as_ref().and_then(|key| self.keys.get(key)) {
            return *id;
        }
        self.last_view += 1;
        let id = self.last_view;
        self.matcher.insert(id, &view);
        if let Some(key) = &key {
            self.keys.insert(key.clone(), id);
        }
        self.views.insert(
            id,
            Shown {
                view,
                key,
                listens: Vec::new(),
            },
        );
        id
    }

    /// Takes a listen from its view, and says where it stands.
    pub(super) fn detach(&mut self, number: u64) -> From {
        let Some(listen) = self.listens.get_mut(&number) else {
            return From::default();
        };
        let digest = listen.digest;
        let Phase::Attached(id) = std::mem::replace(&mut listen.phase, Phase::Beginning) else {
            return From::default();
        };
        self.rest_on(number, Vec::new());
        let mut kept = None;
        if let Some(shown) = self.views.get_mut(&id) {
            shown.listens.retain(|known| *known != number);
            if shown.listens.is_empty()
                && let Some(shown) = self.views.remove(&id)
            {
                self.matcher.remove(id, &shown.view);
                if let Some(key) = &shown.key {
                    self.keys.remove(key);
                }
                kept = shown.view.into_kept();
            }
        }
        From {
            since: Some((self.version, digest)),
            kept,
        }
    }

    pub(super) fn is_attached(&self, number: u64) -> bool {
        let listen = self.listens.get(&number);
        listen.is_some_and(|listen| matches!(listen.phase, Phase::Attached(_)))
    }

    pub(super) fn forget(&mut self, number: u64) {
        self.detach(number);
        if let Some(listen) = self.listens.remove(&number) {
            self.shared.live.listens.fetch_sub(1, Ordering::Relaxed);
            if let Some(connection) = self.connections.get_mut(&listen.connection) {
                connection.listens.retain(|known| *known != number);
            }
        }
    }
}

/// Takes a view that is at a version to that of a snapshot. `None` if it has to begin again.
#[expect(
    clippy::option_option,
    reason = "whether it could, and whether there was a change"
)]
fn catch_up(
    view: &mut View,
    version: Version,
    looked_up: &LookedUp,
    state: State<'_>,
) -> Result<Option<Option<Event>>, EngineError> {
    if version == state.snapshot.version()? {
        return Ok(Some(None));
    }
    let is_of_interest = |collection: &str, id: &str| {
        let path = format!("{collection}/{id}").parse::<DocumentPath>();
        path.is_ok_and(|path| view.concerns(&path) || looked_up.contains(&path))
    };
    let limits = &state.shared.options.live;
    let Some(changes) = changes::since(state.snapshot, version, limits, &is_of_interest)? else {
        return Ok(None);
    };
    if changes.iter().any(|change| looked_up.contains(&change.path)) {
        return Ok(None);
    }
    if changes.is_empty() {
        return Ok(Some(None));
    }
    let changes: Vec<_> = changes.iter().collect();
    view.step(&changes, state).map(Some)
}
