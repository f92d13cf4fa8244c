//! Somebody who listens.

use std::collections::BTreeMap;
use std::sync::Arc;

use andiron_engine::{Caller, Engine, LiveConnection, LiveMessage, LiveTarget};
use andiron_protocol::{ErrorCode, Version};

use super::history::{History, Target};
use super::world::Tally;
use crate::live_held::Held;

/// What the change log can tell.
#[derive(Clone, Copy)]
pub(super) struct LogReach {
    /// From this version on.
    pub(super) start: Version,
    /// Whether all that happened since fits into one step.
    pub(super) tells_all: bool,
}

/// A listen as its client knows it.
pub(super) struct Listen {
    pub(super) target: Target,
    pub(super) held: Held,
    pub(super) has_ended: bool,
    /// The version of the last state, on this connection.
    pub(super) reached: Option<Version>,
    /// Whether the token is of a listen of the owner's.
    is_owners: bool,
    /// Whether what is told next must be a reset, or must be none, if that is known.
    must_reset: Option<bool>,
}

pub(super) struct Client {
    pub(super) caller: Caller,
    pub(super) connection: LiveConnection,
    pub(super) listens: BTreeMap<u64, Listen>,
    last_listen: u64,
    /// The newest version on this connection.
    version: Version,
}

impl Client {
    pub(super) fn new(engine: &Engine, caller: Caller) -> Self {
        Self {
            caller,
            connection: engine.live(),
            listens: BTreeMap::new(),
            last_listen: 0,
            version: Version::ZERO,
        }
    }

    pub(super) fn listen(&mut self, target: Target) {
        self.last_listen += 1;
        let listen = Listen {
            target,
            held: Held::default(),
            has_ended: false,
            reached: None,
            is_owners: false,
            must_reset: None,
        };
        self.listens.insert(self.last_listen, listen);
        self.begin(self.last_listen);
    }

    /// Begins a listen, with its token if it has one.
    pub(super) fn begin(&mut self, number: u64) {
        let listen = self.listens.get_mut(&number).unwrap();
        listen.held.cut_off();
        listen.has_ended = false;
        listen.reached = None;
        let target = match &listen.target {
            Target::Query(query) => LiveTarget::Query(Arc::clone(query)),
            Target::Document(path) => LiveTarget::Document(path.clone()),
        };
        let token = listen.held.token.as_deref();
        self.connection
            .listen(number, &self.caller, target, token)
            .unwrap();
    }

    pub(super) fn unlisten(&mut self, number: u64) {
        self.connection.unlisten(number);
        self.listens.remove(&number);
    }

    /// Loses the connection and comes back.
    pub(super) fn connect(&mut self, engine: &Engine, with_tokens: bool, log: LogReach) {
        self.connection = engine.live();
        self.version = Version::ZERO;
        let numbers: Vec<u64> = self.listens.keys().copied().collect();
        for number in numbers {
            let listen = self.listens.get_mut(&number).unwrap();
            listen.held.cut_off();
            if !with_tokens {
                listen.held = Held::default();
            }
            let token = listen.held.token.as_deref().and_then(version_of);
            let is_told = match &listen.target {
                Target::Document(_) => true,
                // Such windows are not continued.
                Target::Query(query) => query.offset == 0 || (query.limit.is_some() && !query.limit_to_last),
            };
            let goes_on = is_told && log.tells_all && self.caller.is_admin() && listen.is_owners;
            listen.must_reset = match token {
                None => Some(true),
                Some(token) if token < log.start => Some(true),
                Some(_) => goes_on.then_some(false),
            };
            self.begin(number);
        }
    }

    /// What was to go on need not: the log has been trimmed, or the caller is another.
    pub(super) fn may_reset(&mut self) {
        self.listens
            .values_mut()
            .for_each(|listen| listen.must_reset = None);
    }

    pub(super) fn set_caller(&mut self, caller: Caller) {
        self.caller = caller;
        self.connection.set_caller(&self.caller);
        self.may_reset();
    }

    /// Takes a message, if there is one, and checks what comes of it.
    pub(super) fn take(&mut self, history: &History, tally: &mut Tally) -> bool {
        let Some(message) = self.connection.take() else {
            return false;
        };
        let changes = match message.expect("the engine is open") {
            LiveMessage::Changes(changes) => changes,
            LiveMessage::Ended { listen, error } => {
                assert_eq!(error.code(), ErrorCode::PermissionDenied, "{error}");
                tally.denials += 1;
                self.listens.get_mut(&listen).unwrap().has_ended = true;
                return true;
            }
        };
        assert!(
            changes.version >= self.version,
            "versions never go back on a connection"
        );
        self.version = changes.version;
        tally.hear(&changes);
        let listen = self.listens.get_mut(&changes.listen).expect("it is listened to");
        assert!(!listen.has_ended, "nothing comes after the end");
        match listen.must_reset.take() {
            Some(true) => {
                assert!(changes.reset, "nobody knows what has become since");
                tally.resets_after_trims += u64::from(listen.held.token.is_some());
            }
            Some(false) => assert!(!changes.reset, "the log tells all that it takes to go on"),
            None => {}
        }
        if let Some(version) = listen.held.take(&changes) {
            history.check(&self.caller, &listen.target, version, &listen.held.result);
            listen.reached = Some(version);
            listen.is_owners = self.caller.is_admin();
            tally.states += 1;
        }
        true
    }
}

/// The version in a token, which only tests look into.
fn version_of(token: &str) -> Option<Version> {
    use base64::Engine as _;
    let bytes = base64::engine::general_purpose::URL_SAFE_NO_PAD
        .decode(token)
        .ok()?;
    let version = bytes.get(1..9)?.try_into().ok()?;
    Some(Version::from_micros(i64::from_be_bytes(version)))
}
