//! What all handlers share.

use std::sync::{Arc, OnceLock};
use std::time::Instant;

use andiron_auth::{Accounts, ServiceKeys};
use andiron_engine::{Engine, RulesFiles, RulesRevisions};
use andiron_files::Files;

use crate::HttpOptions;
use crate::live::{ListenTickets, LiveRuntime};
use crate::metrics::{HttpMetrics, ProcessMetrics};
use crate::openapi::Reference;
use crate::request_id::RequestIds;

/// What the server says about itself.
#[derive(Clone, Debug)]
pub struct ServerInfo {
    /// The program's version, as in `0.1.0`.
    pub version: String,
}

/// Puts files where the project's rules are read from, or says why it cannot. What is not among them and was in force before
/// is to be gone afterwards.
pub type SaveRules = Arc<dyn Fn(&RulesFiles) -> Result<(), String> + Send + Sync>;

/// The rules of a project, as administrators look after them.
#[derive(Clone)]
pub struct RulesAdministration {
    /// What was ever in force.
    pub revisions: RulesRevisions,
    /// Where the files are kept.
    pub save: SaveRules,
}

/// The HTTP interface of one engine. Cheap to clone; all clones are the same.
#[derive(Clone)]
pub struct App(pub(crate) AppRef);

/// The same as handlers see it.
pub(crate) type AppRef = Arc<AppParts>;

/// What an [`App`] is made of.
pub(crate) struct AppParts {
    pub(crate) engine: Engine,
    pub(crate) keys: ServiceKeys,
    pub(crate) accounts: Accounts,
    pub(crate) files: Files,
    pub(crate) rules: RulesAdministration,
    pub(crate) options: HttpOptions,
    pub(crate) info: ServerInfo,
    pub(crate) metrics: HttpMetrics,
    pub(crate) request_ids: RequestIds,
    pub(crate) tickets: ListenTickets,
    pub(crate) live_runtime: LiveRuntime,
    reference: OnceLock<Reference>,
}

impl AppParts {
    /// The reference, made when it is first asked for: most servers never are.
    pub(crate) fn reference(&self) -> &Reference {
        self.reference.get_or_init(Reference::new)
    }
}

impl App {
    /// Puts the interface together; nothing is served yet.
    pub fn new(
        engine: Engine,
        keys: ServiceKeys,
        accounts: Accounts,
        files: Files,
        rules: RulesAdministration,
        options: HttpOptions,
        info: ServerInfo,
    ) -> Self {
        let mut seed = [0; 8];
        engine.fill_random(&mut seed);
        let metrics = HttpMetrics::new();
        #[expect(
            clippy::cast_precision_loss,
            reason = "microseconds of this century are exact in 53 bits"
        )]
        let started_seconds = engine.now().as_micros() as f64 / 1e6;
        let process = ProcessMetrics {
            version: info.version.clone(),
            started: Instant::now(),
            started_seconds,
        };
        metrics.register(&engine, &options.connections, process);
        Self(Arc::new(AppParts {
            request_ids: RequestIds::new(u64::from_ne_bytes(seed)),
            reference: OnceLock::new(),
            tickets: ListenTickets::new(options.listen_tickets_max),
            live_runtime: LiveRuntime::default(),
            metrics,
            engine,
            keys,
            accounts,
            files,
            rules,
            options,
            info,
        }))
    }
}
