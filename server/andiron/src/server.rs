//! The whole server as one value: store, engine, keys, listeners and their tasks.
//!
//! Nothing here is global, so there may be many servers in a process, each on a folder of its own. A server that goes
//! out of scope without [`Server::shutdown`] stops listening but finishes nothing.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use andiron_auth::{Accounts, AuthError, ClientInfo, NewKey, SecretText, ServiceKeys};
use andiron_engine::{
    Caller, Engine, EngineError, EngineOptions, IndexPolicy, LiveLimits, QueryLimits, RulesRevisions,
    Surroundings, parse_index_file,
};
use andiron_http::{App, HttpOptions, RulesAdministration, ServerInfo};
use andiron_protocol::{CommitBody, DocumentPath, Map, Precondition, Value, Write, WriteKind};
use andiron_rules::Limits;
use andiron_store::StoreError;
use andiron_store_sqlite::{SqliteOptions, SqliteStore};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::AndironError;
use crate::accounts;
use crate::config::{ConfigError, Durability, MetricsAccess, RulesLimits, Settings};
use crate::files;
use crate::local::{LocalSocket, SocketFile};
use crate::local_api::{self, LocalApi};
use crate::project::{Project, SOCKET_FILE};
use crate::rules_folder::{RulesFolder, Stamps, Verdict};

/// The document that says that this folder has been served before, so that a key is given away only once.
const STARTED: &str = "_server/started";
/// The name of the key that a first start makes.
const FIRST_KEY: &str = "first";

/// How often accounts are looked after: a signing key that is due, sessions that have expired.
const ACCOUNT_MAINTENANCE_INTERVAL: Duration = Duration::from_secs(3600);

/// Who may reach a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Whoever can connect to the address of the settings, and the owner through the local socket.
    Network,
    /// The owner through the local socket alone: for commands on a folder that no server has open.
    Owner,
}

/// A running server.
pub struct Server {
    engine: Engine,
    keys: ServiceKeys,
    rules: RulesRevisions,
    rules_folder: RulesFolder,
    rules_verdict: Option<Verdict>,
    data: PathBuf,
    address: Option<SocketAddr>,
    first_key: Option<SecretText>,
    setup_secret: Option<SecretText>,
    stop: watch::Sender<bool>,
    failed: watch::Receiver<Option<String>>,
    tasks: JoinSet<std::io::Result<()>>,
    socket: Option<SocketFile>,
}

impl Server {
    /// Opens a project's data and serves it.
    ///
    /// # Errors
    /// If the data cannot be opened (another process has it, it is damaged or of a newer program), the address cannot be
    /// listened on, or a first start cannot write.
    pub async fn start(project: &Project, reach: Reach) -> Result<Self, AndironError> {
        Self::start_with(project, reach, Surroundings::system()).await
    }

    /// As [`Server::start`], with a clock and randomness of the caller's. Its `on_fatal` is called too.
    ///
    /// # Errors
    /// As [`Server::start`].
    pub async fn start_with(
        project: &Project,
        reach: Reach,
        surroundings: Surroundings,
    ) -> Result<Self, AndironError> {
        let settings = project.settings();
        let data = project.data_folder();
        let (tell_failure, failed) = watch::channel(None);
        let engine = open_engine(project, &data, telling(surroundings, tell_failure))?;
        let keys = ServiceKeys::new(engine.clone());
        let rules = RulesRevisions::new(engine.clone(), rules_limits(settings));
        let mut server = Self {
            engine,
            keys,
            rules,
            rules_folder: RulesFolder::new(project.folder()),
            rules_verdict: None,
            data,
            address: None,
            first_key: None,
            setup_secret: None,
            stop: watch::channel(false).0,
            failed,
            tasks: JoinSet::new(),
            socket: None,
        };
        match server.listen(project, reach).await {
            Ok(()) => Ok(server),
            Err(error) => {
                // The first failure is the one to tell; what it led to is in the log.
                let _ = server.shutdown().await;
                Err(error)
            }
        }
    }

    /// Where it listens; `None` if only its owner can reach it.
    pub fn address(&self) -> Option<SocketAddr> {
        self.address
    }

    /// The folder of its data.
    pub fn data_folder(&self) -> &Path {
        &self.data
    }

    /// The socket through which its owner reaches it.
    pub fn socket(&self) -> Option<&Path> {
        self.socket.as_ref().map(SocketFile::path)
    }

    /// Its engine.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Its service keys.
    pub fn keys(&self) -> &ServiceKeys {
        &self.keys
    }

    /// What became of the rules in the project's folder; `None` for a server that only its owner reaches.
    pub(crate) fn rules_verdict(&self) -> Option<&Verdict> {
        self.rules_verdict.as_ref()
    }

    /// The service key that was made because this is the first start on this folder; only the first call gives it.
    pub fn take_first_key(&mut self) -> Option<SecretText> {
        self.first_key.take()
    }

    /// The secret with which the first owner is made, because this is the first start on this folder; only the first
    /// call gives it.
    pub fn take_setup_secret(&mut self) -> Option<SecretText> {
        self.setup_secret.take()
    }

    /// Waits until the store has failed for good, and says how. The process must then end without another write.
    pub async fn failed(&mut self) -> AndironError {
        match self.failed.wait_for(Option::is_some).await {
            Ok(failure) => AndironError::Fatal(failure.clone().unwrap_or_default()),
            // The engine is gone, and can fail no more.
            Err(_) => std::future::pending().await,
        }
    }

    /// Takes no more connections, finishes the requests and commits that it has accepted, and closes the data.
    ///
    /// # Errors
    /// [`AndironError::Fatal`] if the store has failed for good, now or before.
    pub async fn shutdown(mut self) -> Result<(), AndironError> {
        self.stop.send_replace(true);
        while let Some(ended) = self.tasks.join_next().await {
            match ended {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::error!(%error, "a listener failed"),
                Err(error) => tracing::error!(%error, "a listener's task failed"),
            }
        }
        // Before the folder is unlocked: afterwards a file of this name may be somebody else's.
        drop(self.socket.take());
        let engine = self.engine.clone();
        // It blocks until the last commits are on disk.
        if let Err(error) = tokio::task::spawn_blocking(move || engine.close()).await {
            tracing::error!(%error, "the engine did not close");
        }
        let failure = self.failed.borrow().clone();
        failure.map_or(Ok(()), |failure| Err(AndironError::Fatal(failure)))
    }

    async fn listen(&mut self, project: &Project, reach: Reach) -> Result<(), AndironError> {
        let settings = project.settings();
        let options = http_options(settings);
        let info = ServerInfo {
            version: env!("CARGO_PKG_VERSION").to_owned(),
        };
        let rules = RulesAdministration {
            revisions: self.rules.clone(),
            save: {
                let folder = self.rules_folder.clone();
                Arc::new(move |files| folder.save(files))
            },
        };
        let mut listener = None;
        if reach == Reach::Network {
            // Before anybody can ask for anything.
            let (verdict, seen) = self.rules_folder.load(&self.engine, &self.rules).await?;
            self.rules_verdict = Some(verdict);
            self.watch_rules(settings, seen);
            let address = settings.listen;
            let listening = |source| AndironError::Listen { address, source };
            let bound = TcpListener::bind(address).await.map_err(listening)?;
            self.address = Some(bound.local_addr().map_err(listening)?);
            listener = Some(bound);
        }
        let auth = accounts::options(project, self.address.unwrap_or(settings.listen))?;
        let post = accounts::post(project, &self.engine)?;
        let accounts = Accounts::open(self.engine.clone(), auth, post).await?;
        let files = files::open(settings, self.engine.clone(), &self.data)?;
        if reach == Reach::Network {
            files::claim(settings, &files).await?;
        }
        let app = App::new(
            self.engine.clone(),
            self.keys.clone(),
            accounts.clone(),
            files.clone(),
            rules,
            options.clone(),
            info,
        );
        if let Some(listener) = listener {
            self.begin(&accounts).await?;
            let router = andiron_http::router(app.clone());
            let (options, stopped) = (options.clone(), self.stopped());
            self.tasks
                .spawn(async move { andiron_http::serve(listener, router, &options, stopped).await });
            let (keys, stopped) = (self.keys.clone(), self.stopped());
            self.tasks.spawn(async move {
                maintain(&accounts, &keys, stopped).await;
                Ok(())
            });
            let (files, stopped) = (files.clone(), self.stopped());
            self.tasks.spawn(async move {
                files::collect_garbage(&files, stopped).await;
                Ok(())
            });
        }
        let api = LocalApi {
            engine: self.engine.clone(),
            files,
            address: self.address,
        };
        match self.bind_local(reach) {
            Ok((listener, file)) => {
                self.socket = Some(file);
                let router = andiron_http::local_router(app).merge(local_api::router(api));
                let stopped = self.stopped();
                self.tasks
                    .spawn(async move { andiron_http::serve(listener, router, &options, stopped).await });
            }
            Err(source) if reach == Reach::Owner => {
                return Err(AndironError::File {
                    doing: "listening on the local socket",
                    path: self.data.join(SOCKET_FILE),
                    source,
                });
            }
            Err(error) => tracing::warn!(
                %error,
                folder = %self.data.display(),
                "there is no local socket; commands on this folder need --url and --key while the server runs"
            ),
        }
        Ok(())
    }

    /// Takes up changes of the rules' files until the server stops.
    fn watch_rules(&mut self, settings: &Settings, seen: Stamps) {
        let (engine, rules) = (self.engine.clone(), self.rules.clone());
        let interval = settings.rules_reload.0;
        let watching = self.rules_folder.clone().watch(engine, rules, interval, seen);
        let stopped = self.stopped();
        self.tasks.spawn(async move {
            tokio::select! {
                () = watching => {}
                () = stopped => {}
            }
            Ok(())
        });
    }

    /// The local socket lies in the data folder, where commands look for it. A command that has the folder open for
    /// itself alone can do with one elsewhere.
    fn bind_local(&self, reach: Reach) -> std::io::Result<(LocalSocket, SocketFile)> {
        let bound = LocalSocket::bind(&self.data.join(SOCKET_FILE));
        match reach {
            Reach::Network => bound,
            Reach::Owner => bound.or_else(|_| LocalSocket::bind_elsewhere(SOCKET_FILE)),
        }
    }

    /// Completes when the server is to stop.
    fn stopped(&self) -> impl Future<Output = ()> + Send + 'static {
        let mut stop = self.stop.subscribe();
        async move {
            // An error means that the server is gone without a word, which is a reason to stop too.
            let _ = stop.wait_for(|stop| *stop).await;
        }
    }

    /// At the first start on a folder makes a key, unless somebody made one before, and a secret for the first owner.
    async fn begin(&mut self, accounts: &Accounts) -> Result<(), AndironError> {
        let started: DocumentPath = STARTED.parse()?;
        if self.engine.get(&Caller::System, &started)?.is_some() {
            return Ok(());
        }
        if self.keys.is_empty().await? {
            let first = NewKey::for_everything(FIRST_KEY);
            let nobody = ClientInfo::default();
            match self.keys.create(first, &Caller::System, &nobody).await {
                Ok(created) => self.first_key = Some(created.key),
                Err(AuthError::Engine(error)) if is_read_only(&error) => return Ok(()),
                Err(error) => return Err(error.into()),
            }
        }
        match accounts.begin_setup().await {
            Ok(secret) => self.setup_secret = secret,
            Err(AuthError::Engine(error)) if is_read_only(&error) => return Ok(()),
            Err(error) => return Err(error.into()),
        }
        let now = Map::from([("at".to_owned(), Value::from(self.engine.now()))]);
        let body = CommitBody {
            writes: vec![Write {
                path: started,
                kind: WriteKind::Set(now.into()),
                precondition: Precondition::None,
            }],
            ..CommitBody::default()
        };
        match self.engine.commit(&Caller::System, body, None).await {
            Ok(_) => Ok(()),
            // The key is there, whatever became of the note.
            Err(error) if is_read_only(&error) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

/// Does for accounts and keys what time brings, until the server stops.
async fn maintain(accounts: &Accounts, keys: &ServiceKeys, stopped: impl Future<Output = ()>) {
    let mut stopped = std::pin::pin!(stopped);
    loop {
        tokio::select! {
            () = &mut stopped => break,
            () = tokio::time::sleep(ACCOUNT_MAINTENANCE_INTERVAL) => {}
        }
        if let Err(error) = accounts.maintain().await {
            tracing::warn!(%error, "expired sessions and old keys could not be looked after");
        }
        note_uses(keys).await;
    }
    note_uses(keys).await;
}

async fn note_uses(keys: &ServiceKeys) {
    if let Err(error) = keys.note_uses().await {
        tracing::warn!(%error, "when service keys were used could not be noted");
    }
}

/// Whether it failed only because nothing can be written; reading goes on, and the server with it.
fn is_read_only(error: &EngineError) -> bool {
    matches!(error, EngineError::Store(error) if matches!(**error, StoreError::ReadOnly | StoreError::Full))
}

fn open_engine(project: &Project, data: &Path, surroundings: Surroundings) -> Result<Engine, AndironError> {
    let settings = project.settings();
    let failure = |source| AndironError::Store {
        folder: data.to_owned(),
        source,
    };
    let store = SqliteStore::open(data, sqlite_options(settings)).map_err(failure)?;
    let options = engine_options(settings, index_policy(project)?);
    Ok(Engine::open(Arc::new(store), options, surroundings)?)
}

/// The same surroundings, whose fatal failures are also told to the server's owner.
fn telling(surroundings: Surroundings, tell: watch::Sender<Option<String>>) -> Surroundings {
    let on_fatal = Arc::clone(&surroundings.on_fatal);
    Surroundings {
        on_fatal: Arc::new(move |error| {
            on_fatal(error);
            tell.send_replace(Some(error.to_string()));
        }),
        ..surroundings
    }
}

fn sqlite_options(settings: &Settings) -> SqliteOptions {
    SqliteOptions {
        durability: match settings.durability {
            Durability::Full => andiron_store_sqlite::Durability::Full,
            Durability::Relaxed => andiron_store_sqlite::Durability::Relaxed,
        },
        mapped_bytes_max: settings.memory_mapped.0,
        ..SqliteOptions::default()
    }
}

fn engine_options(settings: &Settings, indexes: IndexPolicy) -> EngineOptions {
    EngineOptions {
        cache_bytes_max: settings.memory_cache.as_usize(),
        commit_queue_max: settings.commit_queue.as_usize(),
        commit_queue_bytes_max: settings.commit_queue_bytes.as_usize(),
        history_age_max: settings.history_age,
        history_bytes_max: settings.history_bytes.0,
        query: QueryLimits {
            reads_max: settings.query_reads.0,
            time_max: settings.query_time.0,
            sort_bytes_max: settings.query_sort_bytes.as_usize(),
        },
        scan_threads: settings.query_threads.as_usize(),
        streams_max: settings.query_streams.as_usize(),
        live: LiveLimits {
            listens_max: settings.live_listens.as_usize(),
            connection_listens_max: settings.live_connection_listens.as_usize(),
            result_documents_max: settings.live_result_documents.as_usize(),
            result_bytes_max: settings.live_result_bytes.as_usize(),
            queue_bytes_max: settings.live_queue_bytes.as_usize(),
            change_feeds_max: settings.live_change_feeds.as_usize(),
            ..LiveLimits::default()
        },
        indexes,
        ..EngineOptions::default()
    }
}

fn rules_limits(settings: &Settings) -> Limits {
    match settings.rules_limits {
        RulesLimits::Andiron => Limits::default(),
        RulesLimits::Firebase => Limits::firebase_strict(),
    }
}

fn index_policy(project: &Project) -> Result<IndexPolicy, AndironError> {
    let path = project.indexes_file();
    match std::fs::read_to_string(&path) {
        Ok(text) => match parse_index_file(&text) {
            Ok(definitions) => Ok(IndexPolicy::Fixed(definitions)),
            Err(error) => Err(ConfigError::in_file(&path, &error).into()),
        },
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let settings = project.settings();
            Ok(IndexPolicy::Adaptive {
                per_collection_max: usize::try_from(settings.indexes_per_collection).unwrap_or(usize::MAX),
                unused_max: settings.indexes_unused,
            })
        }
        Err(error) => Err(AndironError::file("reading", path)(error)),
    }
}

fn http_options(settings: &Settings) -> HttpOptions {
    HttpOptions {
        document_body_bytes_max: settings.http_document_bytes.as_usize(),
        commit_body_bytes_max: settings.http_commit_bytes.as_usize(),
        request_body_bytes_max: settings.http_request_bytes.as_usize(),
        answer_bytes_max: settings.http_answer_bytes.as_usize(),
        head_read_timeout: settings.http_head_time.0,
        request_timeout: settings.http_request_time.0,
        idle_timeout: settings.http_idle_time.0,
        connections_max: settings.http_connections.as_usize(),
        live_message_bytes_max: settings.live_message_bytes.as_usize(),
        live_heartbeat: settings.live_heartbeat.0,
        shutdown_timeout: settings.http_shutdown_time,
        compression: settings.http_compression,
        shows_denials: settings.dev,
        cors_origins: settings.http_cors_origins.clone(),
        session_cookies: settings.auth_cookies,
        trusted_proxies: settings.http_trusted_proxies.clone(),
        // A URL without a path is an origin.
        files_origin: settings.files_url.0.parse().ok(),
        metrics_access: match settings.http_metrics {
            MetricsAccess::Admin => andiron_http::MetricsAccess::Admin,
            MetricsAccess::Everyone => andiron_http::MetricsAccess::Everyone,
        },
        ..HttpOptions::default()
    }
}
