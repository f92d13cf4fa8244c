//! Whatever is written, and however clients come, go, stall and come back: every state that a listen reaches is the result
//! of its query at that version, as a naive evaluator has it that reads the log afterwards.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use andiron_engine::{
    Caller, Engine, EngineOptions, LiveConnection, LiveLimits, LiveMessage, LiveTarget, RulesInForce,
    Surroundings,
};
use andiron_protocol::{
    CommitBody, DocumentPath, ErrorCode, Map, Precondition, Query, Value, Version, Write, WriteKind,
    arbitrary, data_from_json,
};
use andiron_store::Store;
use andiron_store::memory::MemoryStore;
use proptest::collection::vec;
use proptest::prelude::*;
use tokio::sync::watch;

use crate::live_held::{Held, Versioned, difference};
use crate::query_naive::Documents;
use crate::rules_naive::{ruleset, visible};
use crate::rules_support::{rules, user};
use crate::support::OWNER;

/// How long anything may take that has to come.
const PATIENCE: Duration = Duration::from_secs(20);

/// How many commits a client lets pass that stalls.
const STALL_COMMITS: u64 = 3;

/// What a client does between messages.
#[derive(Clone, Copy, Debug)]
enum Move {
    /// Takes so many messages.
    Take(u8),
    /// Loses its connection and comes back with its tokens.
    Reconnect,
    /// The same without them.
    Forget,
    /// Reads nothing for a while.
    Stall,
    /// Asks how far it is.
    Mark,
}

fn moves() -> impl Strategy<Value = Vec<Move>> {
    let one = prop_oneof![
        6 => (1u8..6).prop_map(Move::Take),
        2 => Just(Move::Reconnect),
        1 => Just(Move::Forget),
        2 => Just(Move::Stall),
        1 => Just(Move::Mark),
    ];
    vec(one, 1..14)
}

/// A commit: what documents become; no data deletes.
type Written = Vec<(DocumentPath, Option<Map>)>;

/// A case drawn at random.
#[derive(Debug)]
struct World {
    /// Each writes these commits, one after the other.
    writers: Vec<Vec<Written>>,
    /// Each listens to these queries.
    clients: Vec<(Option<bool>, Vec<Query>, Vec<Move>)>,
    rules: String,
    queue_bytes_max: usize,
}

fn world() -> impl Strategy<Value = World> {
    let write = (
        arbitrary::document_path(),
        proptest::option::weighted(0.75, arbitrary::map()),
    );
    let commit = vec(write, 1..5);
    let query = arbitrary::source().prop_flat_map(arbitrary::query);
    let client = (
        proptest::option::weighted(0.7, any::<bool>()),
        vec(query, 1..5),
        moves(),
    );
    (
        vec(vec(commit, 0..40), 1..3),
        vec(client, 1..4),
        ruleset(),
        prop_oneof![Just(64), Just(2_000), Just(1_000_000)],
    )
        .prop_map(|(writers, clients, rules, queue_bytes_max)| World {
            writers,
            clients,
            rules,
            queue_bytes_max,
        })
}

/// A state that a client reached.
struct Reached {
    version: Version,
    result: Versioned,
}

/// One listen as a client has it.
#[derive(Default)]
struct Listen {
    held: Held,
    has_ended: bool,
    reached: Vec<Reached>,
}

struct Client {
    engine: Engine,
    caller: Caller,
    queries: Vec<Query>,
    connection: LiveConnection,
    /// The newest version on this connection.
    version: Version,
    listens: Vec<Listen>,
}

impl Client {
    fn new(engine: &Engine, caller: Caller, queries: &[Query]) -> Self {
        let mut client = Self {
            connection: engine.live(),
            engine: engine.clone(),
            caller,
            queries: queries.to_vec(),
            version: Version::ZERO,
            listens: queries.iter().map(|_| Listen::default()).collect(),
        };
        client.connect(true);
        client
    }

    fn connect(&mut self, with_tokens: bool) {
        self.connection = self.engine.live();
        self.version = Version::ZERO;
        for (id, listen) in self.listens.iter_mut().enumerate() {
            if with_tokens {
                listen.held.cut_off();
            } else {
                listen.held = Held::default();
            }
            listen.has_ended = false;
            let target = LiveTarget::Query(Arc::new(self.queries[id].clone()));
            let token = listen.held.token.as_deref();
            self.connection
                .listen(id as u64, &self.caller, target, token)
                .unwrap();
        }
    }

    async fn take(&mut self) -> bool {
        match tokio::time::timeout(Duration::from_millis(20), self.connection.next()).await {
            Ok(message) => {
                self.heed(message.expect("the engine is open"));
                true
            }
            Err(_) => false,
        }
    }

    fn heed(&mut self, message: LiveMessage) {
        let changes = match message {
            LiveMessage::Changes(changes) => changes,
            LiveMessage::Ended { listen, error } => {
                assert_eq!(error.code(), ErrorCode::PermissionDenied, "{error}");
                self.listens[listen as usize].has_ended = true;
                return;
            }
        };
        assert!(
            changes.version >= self.version,
            "versions never go back on a connection"
        );
        self.version = changes.version;
        let listen = &mut self.listens[changes.listen as usize];
        assert!(!(changes.reset && listen.held.is_torn), "a reset begins a step");
        if let Some(version) = listen.held.take(&changes) {
            listen.reached.push(Reached {
                version,
                result: listen.held.result.clone(),
            });
        }
    }

    async fn play(&mut self, moves: &[Move], mut written: watch::Receiver<u64>) {
        for step in moves {
            match step {
                Move::Take(messages) => {
                    for _ in 0..*messages {
                        self.take().await;
                    }
                }
                Move::Reconnect => self.connect(true),
                Move::Forget => self.connect(false),
                Move::Stall => {
                    let until = *written.borrow() + STALL_COMMITS;
                    // An error: nobody writes any more.
                    let _ = written.wait_for(|written| *written >= until).await;
                }
                Move::Mark => self.connection.mark(),
            }
        }
    }

    /// Takes what comes until every listen has reached a version.
    async fn reach(&mut self, version: Version) {
        let all = async {
            loop {
                self.connection.mark();
                while self.take().await {}
                let is_there = |listen: &Listen| {
                    let last = listen.reached.last();
                    listen.has_ended
                        || (!listen.held.is_torn && last.is_some_and(|last| last.version >= version))
                };
                if self.listens.iter().all(is_there) {
                    return;
                }
            }
        };
        tokio::time::timeout(PATIENCE, all)
            .await
            .expect("every listen gets there");
    }
}

/// Writes commits, each once the feed has taken the one before for a step of its own, so that those who listen see the
/// states between.
async fn write(engine: &Engine, writer: usize, commits: Vec<Written>, written: watch::Sender<u64>) {
    let pace: DocumentPath = format!("pace/{writer}").parse().unwrap();
    let feed = engine.live();
    let target = LiveTarget::Document(pace.clone());
    feed.listen(0, &OWNER, target, None).unwrap();
    for (number, commit) in commits.into_iter().enumerate() {
        let mut writes: BTreeMap<DocumentPath, Write> = BTreeMap::new();
        let beat = Map::from([("n".to_owned(), Value::Integer(number as i64))]);
        for (path, data) in commit.into_iter().chain([(pace.clone(), Some(beat))]) {
            let kind = data.map_or(WriteKind::Delete, |data| WriteKind::Set(data.into()));
            let precondition = Precondition::None;
            writes.insert(
                path.clone(),
                Write {
                    path,
                    kind,
                    precondition,
                },
            );
        }
        let body = CommitBody {
            writes: writes.into_values().collect(),
            ..CommitBody::default()
        };
        let version = engine.commit(&OWNER, body, None).await.unwrap().version;
        let stepped = async {
            loop {
                match feed.next().await.expect("the engine is open") {
                    LiveMessage::Changes(changes) if changes.version >= version => return,
                    LiveMessage::Changes(_) => {}
                    LiveMessage::Ended { error, .. } => panic!("{error}"),
                }
            }
        };
        tokio::time::timeout(PATIENCE, stepped)
            .await
            .expect("the feed gets there");
        written.send_modify(|written| *written += 1);
    }
}

/// The documents at a version, those of the system aside, with their versions.
fn state_at(
    store: &dyn Store,
    paths: &BTreeSet<DocumentPath>,
    version: Version,
) -> (Documents, BTreeMap<DocumentPath, Version>) {
    let snapshot = store.snapshot().unwrap();
    let (mut documents, mut versions) = (Documents::new(), BTreeMap::new());
    for path in paths {
        if let Some(document) = snapshot.get_at(path, version).unwrap() {
            documents.insert(path.clone(), data_from_json(document.data.as_bytes()).unwrap());
            versions.insert(path.clone(), document.version);
        }
    }
    (documents, versions)
}

fn check_client(client: &Client, in_force: &RulesInForce, store: &dyn Store, paths: &BTreeSet<DocumentPath>) {
    for (query, listen) in client.queries.iter().zip(&client.listens) {
        for reached in &listen.reached {
            let (documents, versions) = state_at(store, paths, reached.version);
            let seen = match &client.caller {
                Caller::User(user) => visible(in_force, Some(&user.uid), &documents, query),
                Caller::Anonymous => visible(in_force, None, &documents, query),
                _ => documents,
            };
            if let Some(difference) = difference(&reached.result, query, &seen, &versions) {
                panic!("{difference}: {query:?} at {}", reached.version);
            }
        }
    }
}

async fn check(world: World) {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let options = EngineOptions {
        live: LiveLimits {
            queue_bytes_max: world.queue_bytes_max,
            ..LiveLimits::default()
        },
        ..EngineOptions::default()
    };
    let engine = Engine::open(Arc::clone(&store), options, Surroundings::system()).unwrap();
    let in_force = rules("random", &world.rules);
    engine.set_rules(Some(Arc::clone(&in_force)));
    let mut clients: Vec<_> = world
        .clients
        .iter()
        .map(|(kind, queries, moves)| {
            let caller = match kind {
                None => Caller::Anonymous,
                Some(true) => user("a"),
                Some(false) => OWNER,
            };
            (Client::new(&engine, caller, queries), moves.clone())
        })
        .collect();
    let written = watch::Sender::new(0);
    let writers: Vec<_> = world
        .writers
        .into_iter()
        .enumerate()
        .map(|(writer, commits)| {
            let (engine, written) = (engine.clone(), written.clone());
            tokio::spawn(async move { write(&engine, writer, commits, written).await })
        })
        .collect();
    let progress = written.subscribe();
    drop(written);
    for (client, moves) in &mut clients {
        client.play(moves, progress.clone()).await;
    }
    for writer in writers {
        writer.await.unwrap();
    }
    let last = engine.version().unwrap();
    for (client, _) in &mut clients {
        client.reach(last).await;
    }
    let mut paths = BTreeSet::new();
    store
        .snapshot()
        .unwrap()
        .changes(Version::ZERO, &mut |change| {
            let path: DocumentPath = format!("{}/{}", change.collection, change.id).parse().unwrap();
            if !path.is_system() {
                paths.insert(path);
            }
            std::ops::ControlFlow::Continue(())
        })
        .unwrap();
    for (client, _) in &clients {
        check_client(client, &in_force, store.as_ref(), &paths);
    }
    engine.close();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    #[test]
    fn every_state_that_is_told_is_the_result_at_its_version(world in world()) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(check(world));
    }
}
