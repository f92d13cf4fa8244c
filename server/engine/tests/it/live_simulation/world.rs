//! The simulated world, and what happens in it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use andiron_engine::{
    Caller, Engine, EngineOptions, IndexPolicy, LiveChanges, LiveHand, LiveLimits, Surroundings,
};
use andiron_protocol::{CommitBody, DocumentPath, Map, Precondition, Timestamp, Version, Write, WriteKind};
use andiron_store::memory::MemoryStore;
use andiron_store::{LogRetention, Store};
use andiron_store_sqlite::{SqliteOptions, SqliteStore};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use super::client::{Client, LogReach};
use super::draw::Draw;
use super::history::{History, Target};
use crate::query_naive::build;
use crate::rules_support::{rules, user};
use crate::support::{OWNER, START_MICROS};

/// Clients at one time.
const CLIENTS_MAX: usize = 4;
/// Listens of a client.
const LISTENS_MAX: usize = 5;
/// One run in so many is on SQLite.
const SQLITE_ONE_IN: u64 = 8;
/// Rounds after which everybody must have got to the last version once nothing happens any more.
const ROUNDS_MAX: usize = 2_000;

/// What came of a run.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) states: u64,
    pub(super) resumes: u64,
    pub(super) resets_after_trims: u64,
    pub(super) skips: u64,
    pub(super) window_runs: u64,
    pub(super) denials: u64,
    pub(super) steps_too_large: u64,
    pub(super) restarts: u64,
    trims: u64,
    /// Of all that was told, in its order.
    fingerprint: u64,
}

impl Tally {
    pub(super) fn add(&mut self, other: &Self) {
        self.states += other.states;
        self.resumes += other.resumes;
        self.resets_after_trims += other.resets_after_trims;
        self.skips += other.skips;
        self.window_runs += other.window_runs;
        self.denials += other.denials;
        self.steps_too_large += other.steps_too_large;
        self.restarts += other.restarts;
        self.trims += other.trims;
        self.fingerprint ^= other.fingerprint;
    }

    pub(super) fn hear(&mut self, changes: &LiveChanges) {
        let mut hear = |bytes: &[u8]| {
            for byte in bytes {
                self.fingerprint = (self.fingerprint ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
            }
        };
        hear(&changes.listen.to_le_bytes());
        hear(changes.resume.to_string().as_bytes());
        hear(&changes.changes);
    }
}

pub(super) struct World {
    draw: Draw,
    runtime: Runtime,
    clock: Arc<AtomicI64>,
    store: Arc<dyn Store>,
    /// Held so that it stays while the store is open.
    _folder: Option<TempDir>,
    options: EngineOptions,
    /// The engine and the hand that takes its live queries forward. Gone only while it is opened again.
    running: Option<(Engine, LiveHand)>,
    history: History,
    clients: Vec<Client>,
    tally: Tally,
}

impl World {
    pub(super) fn new(seed: u64) -> Self {
        let mut draw = Draw::new(seed);
        let (store, folder): (Arc<dyn Store>, _) = if seed % SQLITE_ONE_IN == SQLITE_ONE_IN - 1 {
            let folder = tempfile::tempdir().unwrap();
            let store = SqliteStore::open(folder.path(), SqliteOptions::default()).unwrap();
            (Arc::new(store), Some(folder))
        } else {
            (Arc::new(MemoryStore::new()), None)
        };
        let definitions = draw.indexes();
        build(store.as_ref(), &definitions);
        let options = EngineOptions {
            // None that are built beside the simulation.
            indexes: IndexPolicy::Fixed(definitions),
            live: LiveLimits {
                queue_bytes_max: [64, 2_000, 1_000_000][draw.below(3)],
                step_changes_max: [4, 50_000, 50_000][draw.below(3)],
                ..LiveLimits::default()
            },
            ..EngineOptions::default()
        };
        let mut world = Self {
            draw,
            runtime: tokio::runtime::Builder::new_current_thread().build().unwrap(),
            clock: Arc::new(AtomicI64::new(START_MICROS)),
            store,
            _folder: folder,
            options,
            running: None,
            history: History::default(),
            clients: Vec::new(),
            tally: Tally::default(),
        };
        world.open();
        world.change_rules();
        world
    }

    fn open(&mut self) {
        let clock = Arc::clone(&self.clock);
        let random = AtomicU64::new(0);
        let surroundings = Surroundings {
            now: Arc::new(move || Timestamp::from_micros_clamped(clock.load(Ordering::SeqCst))),
            random: Arc::new(move |buffer| {
                for byte in buffer {
                    *byte = random.fetch_add(1, Ordering::SeqCst).to_le_bytes()[0];
                }
            }),
            ..Surroundings::system()
        };
        let (store, options) = (Arc::clone(&self.store), self.options.clone());
        self.running = Some(Engine::open_by_hand(store, options, surroundings).unwrap());
    }

    fn running(&mut self) -> (&Engine, &mut LiveHand) {
        let (engine, hand) = self.running.as_mut().expect("it runs");
        (engine, hand)
    }

    fn engine(&self) -> &Engine {
        &self.running.as_ref().expect("it runs").0
    }

    pub(super) fn something_happens(&mut self) {
        match self.draw.below(400) {
            0..80 => self.commit(),
            80..170 => self.step(),
            170..250 => drop(self.running().1.begin()),
            250..330 => self.somebody_takes(),
            330..360 => self.somebody_listens(),
            360..365 => self.somebody_ends_a_listen(),
            365..375 => self.somebody_comes_back(),
            375..378 => self.somebody_is_somebody_else(),
            378..385 => self.somebody_asks_how_far_it_is(),
            385..388 => self.change_rules(),
            388..390 => self.trim(),
            390 => self.open_again(),
            _ => self.move_clock(),
        }
    }

    fn commit(&mut self) {
        let mut writes: BTreeMap<DocumentPath, Option<Map>> = BTreeMap::new();
        for _ in 0..=self.draw.below(4) {
            let data = (!self.draw.once_in(4)).then(|| self.draw.data());
            writes.insert(self.draw.path(), data);
        }
        let body = CommitBody {
            writes: writes
                .iter()
                .map(|(path, data)| Write {
                    path: path.clone(),
                    kind: data
                        .clone()
                        .map_or(WriteKind::Delete, |data| WriteKind::Set(data.into())),
                    precondition: Precondition::None,
                })
                .collect(),
            ..CommitBody::default()
        };
        let (engine, _) = self.running.as_ref().expect("it runs");
        let committed = self.runtime.block_on(engine.commit(&OWNER, body, None)).unwrap();
        self.history.commit(committed.version, &writes);
    }

    fn step(&mut self) {
        let (engine, hand) = self.running();
        hand.step();
        let version = engine.version().unwrap();
        self.history.step(version);
    }

    fn somebody(&mut self) -> Option<usize> {
        let count = self.clients.len();
        (count > 0).then(|| self.draw.below(count))
    }

    fn caller(&mut self) -> Caller {
        match self.draw.below(6) {
            0 => Caller::Anonymous,
            1 | 2 => user("a"),
            3 => user("b"),
            _ => OWNER,
        }
    }

    fn somebody_takes(&mut self) {
        let Some(place) = self.somebody() else { return };
        for _ in 0..=self.draw.below(6) {
            if !self.clients[place].take(&self.history, &mut self.tally) {
                return;
            }
        }
    }

    fn somebody_listens(&mut self) {
        if self.clients.is_empty() || (self.clients.len() < CLIENTS_MAX && self.draw.once_in(3)) {
            let caller = self.caller();
            let client = Client::new(self.engine(), caller);
            self.clients.push(client);
        }
        let Some(place) = self.somebody() else { return };
        let ended = self.clients[place]
            .listens
            .iter()
            .find(|(_, listen)| listen.has_ended);
        if let Some(number) = ended.map(|(number, _)| *number)
            && self.draw.once_in(2)
        {
            self.clients[place].begin(number);
        } else if self.clients[place].listens.len() < LISTENS_MAX {
            let target = if self.draw.once_in(5) {
                Target::Document(self.draw.path())
            } else {
                Target::Query(Arc::new(self.draw.query()))
            };
            self.clients[place].listen(target);
        }
    }

    fn somebody_ends_a_listen(&mut self) {
        let Some(place) = self.somebody() else { return };
        let count = self.clients[place].listens.len();
        if count > 0 {
            let at = self.draw.below(count);
            let number = *self.clients[place].listens.keys().nth(at).unwrap();
            self.clients[place].unlisten(number);
        }
    }

    fn somebody_comes_back(&mut self) {
        let Some(place) = self.somebody() else { return };
        let with_tokens = !self.draw.once_in(4);
        let reach = self.log_reach();
        let (engine, _) = self.running.as_ref().expect("it runs");
        self.clients[place].connect(engine, with_tokens, reach);
    }

    fn log_reach(&self) -> LogReach {
        LogReach {
            start: self.engine().log().unwrap().start,
            tells_all: self.options.live.step_changes_max > EVERYTHING,
        }
    }

    fn somebody_is_somebody_else(&mut self) {
        let Some(place) = self.somebody() else { return };
        let caller = self.caller();
        self.clients[place].set_caller(caller);
    }

    fn somebody_asks_how_far_it_is(&mut self) {
        let Some(place) = self.somebody() else { return };
        self.clients[place].connection.mark();
    }

    fn change_rules(&mut self) {
        let text = self.draw.rules();
        self.history.put_into_force(rules("random", &text));
        let in_force = Arc::clone(self.history.in_force());
        self.engine().set_rules(Some(in_force));
    }

    fn trim(&mut self) {
        let newest = self.engine().version().unwrap().as_micros();
        let back = [0, 1_000, 100_000, 5_000_000][self.draw.below(4)];
        let mut group = self.store.begin().unwrap();
        group
            .trim_log(LogRetention {
                after: Version::from_micros(newest - back),
                bytes_max: u64::MAX,
                step_changes_max: 1_000,
            })
            .unwrap();
        group.finish().unwrap();
        self.tally.trims += 1;
        self.clients.iter_mut().for_each(Client::may_reset);
    }

    fn open_again(&mut self) {
        self.close();
        self.open();
        let in_force = Arc::clone(self.history.in_force());
        self.engine().set_rules(Some(in_force));
        let reach = self.log_reach();
        let (engine, _) = self.running.as_ref().expect("it runs");
        for client in &mut self.clients {
            client.connect(engine, true, reach);
        }
        self.tally.restarts += 1;
    }

    fn close(&mut self) {
        if let Some((engine, hand)) = self.running.take() {
            let metrics = engine.metrics();
            self.tally.resumes += metrics.live_resumes.get();
            self.tally.skips += metrics.live_skips.get();
            self.tally.window_runs += metrics.live_window_runs.get();
            self.tally.steps_too_large += metrics.live_steps_too_large.get();
            drop(hand);
            engine.close();
        }
    }

    /// Forwards as a rule; versions do not step back though it does.
    fn move_clock(&mut self) {
        let by = [1, 1_000, 1_000_000, -500_000][self.draw.below(4)];
        self.clock.fetch_add(by, Ordering::SeqCst);
    }

    /// Nothing happens any more but that everybody takes what there is; then all must have the newest state.
    pub(super) fn come_to_rest(mut self) -> Tally {
        let newest = self.engine().version().unwrap();
        for _ in 0..ROUNDS_MAX {
            for client in &mut self.clients {
                client.connection.mark();
                while client.take(&self.history, &mut self.tally) {}
            }
            while self.running().1.begin() {}
            self.step();
            let is_there = |client: &Client| {
                let mut listens = client.listens.values();
                listens
                    .all(|listen| listen.has_ended || listen.reached.is_some_and(|reached| reached >= newest))
            };
            if self.clients.iter().all(is_there) {
                self.close();
                return self.tally;
            }
        }
        panic!("somebody never gets to {newest}");
    }
}

/// More changes than all commits of a run make.
const EVERYTHING: usize = 10_000;
