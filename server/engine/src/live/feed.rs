//! The feed: one thread that follows the change log and takes everybody who listens from version to version.
//!
//! Invariant: what the feed puts into queues goes forward. One step takes all listens from the version before to that of
//! one snapshot; whoever joins or comes back does so at that version, with what has changed since its result was computed.
//! A commit lies in one step, so it is never seen in parts.
//!
//! A listen is attached to a view, or a start thread is at work on it, or it waits until its client has taken what it was
//! sent. In the last two cases nothing is told to it until it begins again, from the version that it had.

use std::collections::{BTreeMap, HashMap};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use andiron_protocol::{DocumentPath, Filter, Query, Version};

use super::changes::{self, NetChange};
use super::event::Event;
use super::inbox::{Command, ConnectionId, Inbox};
use super::matcher::{Matcher, ViewId};
use super::pace::Steps;
use super::queue::Queue;
use super::start::{Begun, From, StartJob, Started};
use super::token::ListenDigest;
use super::view::{LiveTarget, State, View};
use super::watchers::Watchers;
use crate::engine::Shared;
use crate::indexes::IndexManager;
use crate::query::{Standing, with_view};
use crate::rules::RulesInForce;
use crate::{Caller, EngineError};

/// What views have in common that can be one.
type ViewKey = (Query, Option<Filter>, bool);

/// The thread's own.
pub(super) struct Feed {
    shared: Arc<Shared>,
    manager: Arc<IndexManager>,
    /// All that is attached is at this version.
    version: Version,
    rules: Option<Arc<RulesInForce>>,
    connections: HashMap<ConnectionId, Connection>,
    /// By their numbers, so that they are gone through in the order in which they came.
    listens: BTreeMap<u64, Listen>,
    views: HashMap<ViewId, Shown>,
    keys: HashMap<ViewKey, ViewId>,
    last_view: ViewId,
    matcher: Matcher,
    /// Listens that rest on a document beside those of their results.
    dependents: HashMap<DocumentPath, Vec<u64>>,
    watchers: Watchers,
}

struct Connection {
    queue: Arc<Queue>,
    listens: Vec<u64>,
}

/// A view with those who see it.
struct Shown {
    view: View,
    key: Option<ViewKey>,
    listens: Vec<u64>,
}

struct Listen {
    connection: ConnectionId,
    /// The client's number.
    listen: u64,
    caller: Caller,
    target: LiveTarget,
    digest: ListenDigest,
    ticket: u64,
    phase: Phase,
    looked_up: Vec<DocumentPath>,
    /// The version of which the client was last told.
    told: Version,
}

enum Phase {
    Beginning,
    Attached(ViewId),
    /// Until there is room in the queue.
    Waiting(From),
}

impl Feed {
    pub(super) fn new(shared: Arc<Shared>, manager: Arc<IndexManager>) -> Self {
        Self {
            shared,
            manager,
            version: Version::ZERO,
            rules: None,
            connections: HashMap::new(),
            listens: BTreeMap::new(),
            views: HashMap::new(),
            keys: HashMap::new(),
            last_view: 0,
            matcher: Matcher::default(),
            dependents: HashMap::new(),
            watchers: Watchers::default(),
        }
    }

    pub(super) fn run(mut self) {
        let inbox = Arc::clone(&self.shared.live);
        inbox.pace.follow();
        let mut steps = Steps::default();
        while let Some(commands) = inbox.wait() {
            steps.run(&inbox.pace, || {
                let worked = catch_unwind(AssertUnwindSafe(|| self.work(&inbox, commands)));
                match worked {
                    Ok(Ok(changes)) => return changes,
                    Ok(Err(error)) => tracing::error!(%error, "live queries cannot read the store"),
                    Err(_) => tracing::error!("live queries panicked; all of them were ended"),
                }
                self.end_all(|| EngineError::Closed);
                0
            });
            steps.wait(&inbox.pace, || inbox.is_closed());
        }
        for connection in self.connections.values() {
            connection.queue.close();
        }
        self.watchers.tell_version();
    }

    /// Does what it is told, and takes everybody to the newest version; gives the number of changes until there.
    fn work(&mut self, inbox: &Inbox, commands: Vec<Command>) -> Result<usize, EngineError> {
        let mut begun = Vec::new();
        for command in commands {
            if let Command::Begun(started) = command {
                begun.push(*started);
            } else {
                self.obey(command);
            }
        }
        self.watchers.sweep(self.listens.is_empty());
        let is_heard = !self.listens.is_empty() || !self.watchers.is_empty();
        // What is committed from here on is told; the snapshot that is opened now has all before.
        inbox.hear(is_heard);
        self.measure();
        if !is_heard {
            return Ok(0);
        }
        let shared = Arc::clone(&self.shared);
        let manager = Arc::clone(&self.manager);
        let rules = shared.rules.load_full();
        with_view(&shared, |indexes, snapshot| {
            let state = State {
                shared: &shared,
                manager: &manager,
                indexes,
                snapshot,
            };
            let begin = Instant::now();
            let changes = self.advance(state)?;
            let seconds = begin.elapsed().as_secs_f64();
            shared.metrics.live_step_seconds.observe(seconds);
            let is_same = match (&self.rules, &rules) {
                (Some(before), Some(now)) => Arc::ptr_eq(before, now),
                (before, now) => before.is_none() && now.is_none(),
            };
            self.rules = rules;
            if !is_same {
                let numbers: Vec<u64> = self.listens.keys().copied().collect();
                for number in numbers {
                    self.judge_again(number, state)?;
                }
            }
            for started in begun {
                self.attach(started, state)?;
            }
            self.measure();
            Ok(changes)
        })
    }

    fn measure(&self) {
        let gauge = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        self.shared.metrics.live_listens.set(gauge(self.listens.len()));
        self.shared.metrics.live_views.set(gauge(self.views.len()));
    }

    fn obey(&mut self, command: Command) {
        match command {
            Command::Listen {
                connection,
                queue,
                number,
                listen,
                caller,
                target,
                resume,
            } => {
                let known = self.connections.entry(connection).or_insert_with(|| Connection {
                    queue,
                    listens: Vec::new(),
                });
                known.listens.push(number);
                self.listens.insert(
                    number,
                    Listen {
                        connection,
                        listen,
                        caller,
                        target,
                        digest: ListenDigest::default(),
                        ticket: 0,
                        phase: Phase::Beginning,
                        looked_up: Vec::new(),
                        told: Version::ZERO,
                    },
                );
                let since = resume.map(|token| (token.version, token.digest));
                self.begin(number, From { since, kept: None });
            }
            Command::Unlisten { number } => self.forget(number),
            Command::SetCaller { connection, caller } => {
                let numbers = self.listens_of(connection);
                for number in numbers {
                    let Some(listen) = self.listens.get_mut(&number) else {
                        continue;
                    };
                    if listen.caller == caller {
                        continue;
                    }
                    let was_attached = matches!(listen.phase, Phase::Attached(_));
                    listen.caller = caller.clone();
                    if was_attached {
                        let from = self.detach(number);
                        self.begin(number, from);
                    } else if let Some(Listen {
                        phase: Phase::Beginning,
                        ..
                    }) = self.listens.get(&number)
                    {
                        self.begin(number, From::default());
                    }
                }
            }
            Command::HasRoom { connection } => {
                for number in self.listens_of(connection) {
                    let Some(listen) = self.listens.get_mut(&number) else {
                        continue;
                    };
                    if let Phase::Waiting(from) = &mut listen.phase {
                        let from = std::mem::take(from);
                        self.begin(number, from);
                    }
                }
            }
            Command::Mark { connection } => {
                for number in self.listens_of(connection) {
                    self.mark(number);
                }
            }
            Command::Leave { connection } => {
                for number in self.listens_of(connection) {
                    self.forget(number);
                }
                self.connections.remove(&connection);
            }
            Command::Watch { paths, changed } => self.watchers.watch(paths, &changed),
            Command::Follow { changed } => self.watchers.follow(&changed),
            Command::Begun(_) => {}
        }
    }

    fn listens_of(&self, connection: ConnectionId) -> Vec<u64> {
        self.connections
            .get(&connection)
            .map_or_else(Vec::new, |connection| connection.listens.clone())
    }

    /// Takes everything that is attached to the version of a snapshot; gives the number of changes that were looked at.
    fn advance(&mut self, state: State<'_>) -> Result<usize, EngineError> {
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

    /// Tells the client of a listen of a step; if there is no room it waits, with the state from before the step.
    fn tell(&mut self, number: u64, before: Version, event: &Event) {
        if self.push(number, false, &[event]) {
            return;
        }
        let digest = self.listens.get(&number).map(|listen| listen.digest);
        let since = digest.map(|digest| (before, digest));
        self.wait(number, From { since, kept: None });
    }

    /// Puts a step into the queue of a listen's client, if there is room.
    fn push(&mut self, number: u64, reset: bool, events: &[&Event]) -> bool {
        let version = self.version;
        let Some(listen) = self.listens.get_mut(&number) else {
            return true;
        };
        let Some(connection) = self.connections.get(&listen.connection) else {
            return true;
        };
        let state = (version, listen.digest);
        let is_taken = connection
            .queue
            .push((number, listen.listen), state, reset, events);
        if is_taken {
            listen.told = version;
        }
        is_taken
    }

    /// Has a listen wait for room.
    fn wait(&mut self, number: u64, from: From) {
        self.shared.metrics.live_skips.inc();
        self.detach(number);
        if let Some(listen) = self.listens.get_mut(&number) {
            listen.phase = Phase::Waiting(from);
        }
    }

    /// Whether a listen's client can be told anything at the moment.
    fn has_room(&self, number: u64) -> bool {
        let connection = self
            .listens
            .get(&number)
            .and_then(|listen| self.connections.get(&listen.connection));
        connection.is_none_or(|connection| connection.queue.has_room())
    }

    /// Takes a listen from its view, and says where it stands.
    fn detach(&mut self, number: u64) -> From {
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

    /// Has a start thread begin a listen.
    fn begin(&mut self, number: u64, from: From) {
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
    fn begin_all_anew(&mut self) {
        self.watchers.tell_all();
        let numbers: Vec<u64> = self.listens.keys().copied().collect();
        for number in numbers {
            if self.is_attached(number) {
                self.detach(number);
                self.begin(number, From::default());
            }
        }
    }

    fn is_attached(&self, number: u64) -> bool {
        let listen = self.listens.get(&number);
        listen.is_some_and(|listen| matches!(listen.phase, Phase::Attached(_)))
    }

    /// Judges a listen again because the rules have changed.
    fn judge_again(&mut self, number: u64, state: State<'_>) -> Result<(), EngineError> {
        if self.is_attached(number) && !self.listens.get(&number).is_some_and(|it| it.caller.is_admin()) {
            self.leave_or_stay(number, self.version, state)?;
        }
        Ok(())
    }

    /// Asks the rules again about a listen as a whole. If they demand the same as before it stays where it is; else it
    /// begins again, and is told nothing before it has. `version` is that of the state that its client has.
    fn leave_or_stay(&mut self, number: u64, version: Version, state: State<'_>) -> Result<(), EngineError> {
        let Some(listen) = self.listens.get(&number) else {
            return Ok(());
        };
        let Phase::Attached(id) = listen.phase else {
            return Ok(());
        };
        if let (
            LiveTarget::Query(query),
            Some(Shown {
                view: View::Query(view),
                ..
            }),
        ) = (&listen.target, self.views.get(&id))
        {
            match Standing::begin(state.shared, &listen.caller, query, state.snapshot) {
                Ok((standing, list)) => {
                    let is_same = !standing.judges_documents()
                        && !view.standing.judges_documents()
                        && standing.demanded() == view.standing.demanded();
                    if is_same {
                        let known = list.iter().flat_map(|list| list.known().versions().keys());
                        let looked_up = known.cloned().collect();
                        self.rest_on(number, looked_up);
                        return Ok(());
                    }
                }
                Err(error) => {
                    self.end(number, error);
                    return Ok(());
                }
            }
        }
        let mut from = self.detach(number);
        if let Some(since) = &mut from.since {
            since.0 = version;
        }
        self.begin(number, from);
        Ok(())
    }

    /// Joins what a start thread has begun, brought to the feed's version.
    fn attach(&mut self, started: Started, state: State<'_>) -> Result<(), EngineError> {
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
        let is_same = match (&rules, &self.rules) {
            (Some(begun), Some(now)) => Arc::ptr_eq(begun, now),
            (begun, now) => begun.is_none() && now.is_none(),
        };
        if is_judged && !is_same {
            self.begin(number, From::default());
            return Ok(());
        }
        let looked_up = view.looked_up();
        let caught_up = catch_up(&mut view, version, &looked_up, state);
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
        let looked_up: Vec<_> = view.looked_up().into_iter().collect();
        let id = self.place(view, looked_up.is_empty());
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

    /// The view among those that there are, if it can be shared, or as another.
    fn place(&mut self, view: View, can_be_shared: bool) -> ViewId {
        let key = match &view {
            View::Query(view) if can_be_shared && !view.standing.judges_documents() => Some((
                view.standing.query.clone(),
                view.standing.demanded().cloned(),
                view.standing.hides_system(),
            )),
            _ => None,
        };
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

    /// Notes what a listen rests on beside its own documents.
    fn rest_on(&mut self, number: u64, looked_up: Vec<DocumentPath>) {
        let Some(listen) = self.listens.get_mut(&number) else {
            return;
        };
        let before = std::mem::replace(&mut listen.looked_up, looked_up.clone());
        for path in before {
            if let Some(dependents) = self.dependents.get_mut(&path) {
                dependents.retain(|known| *known != number);
                if dependents.is_empty() {
                    self.dependents.remove(&path);
                }
            }
        }
        for path in looked_up {
            self.dependents.entry(path).or_default().push(number);
        }
    }

    /// Tells a client how far it is, if that is further than it knows.
    fn mark(&mut self, number: u64) {
        if self.is_attached(number)
            && self
                .listens
                .get(&number)
                .is_some_and(|listen| listen.told < self.version)
        {
            self.tell(number, self.version, &Event::empty());
        }
    }

    fn end(&mut self, number: u64, error: EngineError) {
        if let Some(listen) = self.listens.get(&number)
            && let Some(connection) = self.connections.get(&listen.connection)
        {
            connection.queue.end((number, listen.listen), error);
        }
        self.forget(number);
    }

    fn end_all(&mut self, error: impl Fn() -> EngineError) {
        let numbers: Vec<u64> = self.listens.keys().copied().collect();
        for number in numbers {
            self.end(number, error());
        }
    }

    fn forget(&mut self, number: u64) {
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
    looked_up: &super::view::LookedUp,
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

/// The same failure for everybody whom it concerns.
fn same_error(error: &Arc<EngineError>) -> EngineError {
    match &**error {
        EngineError::Store(error) => EngineError::Store(Arc::clone(error)),
        EngineError::PermissionDenied(denied) => EngineError::PermissionDenied(denied.clone()),
        EngineError::OutOfScope { needed } => EngineError::OutOfScope { needed },
        EngineError::ListenTooLarge {
            documents_max,
            bytes_max,
        } => EngineError::ListenTooLarge {
            documents_max: *documents_max,
            bytes_max: *bytes_max,
        },
        EngineError::ListenLooksUpTooMuch => EngineError::ListenLooksUpTooMuch,
        EngineError::QueryTooCostly { read, advice } => EngineError::QueryTooCostly {
            read: *read,
            advice: advice.clone(),
        },
        EngineError::SortTooLarge { bytes_max, advice } => EngineError::SortTooLarge {
            bytes_max: *bytes_max,
            advice: advice.clone(),
        },
        EngineError::DeadlineExceeded { milliseconds, advice } => EngineError::DeadlineExceeded {
            milliseconds: *milliseconds,
            advice: advice.clone(),
        },
        _ => EngineError::Closed,
    }
}
