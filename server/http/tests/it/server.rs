//! A server of a test's own, on a free port of the loopback address.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use andiron_auth::{
    Accounts, AttemptLimits, AuthOptions, ClientInfo, HashCost, NewKey, Post, Rate, ServiceKeys,
};
use andiron_engine::{Caller, Engine, EngineOptions, RulesInForce, RulesRevisions, Surroundings};
use andiron_files::{Blobs, Files, FilesOptions};
use andiron_http::{App, HttpOptions, RulesAdministration, ServerInfo};
use andiron_protocol::Timestamp;
use andiron_rules::{Limits, Program, Ruleset, Source, check};
use andiron_store::memory::MemoryStore;
use axum::Router;
use futures_util::StreamExt as _;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::client::{Answer, Client, Request};
use crate::files_place::place;
use crate::smtp::SmtpServer;

/// Files of any size have their bytes in the store, which most tests are about.
fn apart() -> FilesOptions {
    FilesOptions {
        embedded_bytes_max: 0,
        ..FilesOptions::default()
    }
}

pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) engine: Engine,
    pub(crate) accounts: Accounts,
    pub(crate) files: Files,
    /// Where the bytes of files are.
    blobs: Blobs,
    /// The folder of these bytes, or what their place is called by; gone with the server.
    _folder: TempDir,
    /// A service key.
    pub(crate) key: String,
    /// Its clock.
    pub(crate) clock: TestClock,
    stop: Option<oneshot::Sender<()>>,
    serving: Option<JoinHandle<std::io::Result<()>>>,
}

/// The system's clock, which a test can put forward.
#[derive(Clone, Default)]
pub(crate) struct TestClock(Arc<AtomicI64>);

impl TestClock {
    pub(crate) fn advance(&self, seconds: i64) {
        self.0.fetch_add(seconds * 1_000_000, Ordering::SeqCst);
    }

    fn surroundings(&self) -> Surroundings {
        let system = Surroundings::system();
        let (now, ahead) = (Arc::clone(&system.now), Arc::clone(&self.0));
        Surroundings {
            now: Arc::new(move || {
                Timestamp::from_micros_clamped(now().as_micros() + ahead.load(Ordering::SeqCst))
            }),
            ..system
        }
    }
}

/// Settings of accounts under which tests are quick: cheap hashes, and room for many attempts.
pub(crate) fn quick_accounts() -> AuthOptions {
    let many = Rate::new(100_000, Duration::from_secs(60));
    AuthOptions {
        hash_cost: HashCost {
            memory_kib: 64,
            passes: 1,
        },
        limits: AttemptLimits {
            sign_in_by_address: many,
            sign_up_by_address: many,
            mail_by_address: many,
            token_by_address: many,
            ..AttemptLimits::default()
        },
        ..AuthOptions::default()
    }
}

impl Server {
    /// Puts rules into force, as revision 7.
    pub(crate) fn set_rules(&self, text: &str) {
        let program = Program::single(Source::new("andiron.rules", text).unwrap());
        let limits = Limits::default();
        let checked = check(&program, &limits);
        assert!(!program.has_errors() && !checked.has_errors(), "{text}");
        let ruleset = Ruleset::new(&program, &checked, limits);
        let rules = RulesInForce::new(ruleset, program, "7");
        self.engine.set_rules(Some(Arc::new(rules)));
    }

    /// A server over an empty store, as it is by default.
    pub(crate) async fn start() -> Self {
        Self::with(HttpOptions::default()).await
    }

    pub(crate) async fn with(options: HttpOptions) -> Self {
        Self::serving(options, andiron_http::router).await
    }

    /// A server with a router of the test's making.
    pub(crate) async fn serving(options: HttpOptions, router: impl FnOnce(App) -> Router) -> Self {
        Self::over(EngineOptions::default(), options, router).await
    }

    /// A server over an engine with other limits.
    pub(crate) async fn over(
        limits: EngineOptions,
        options: HttpOptions,
        router: impl FnOnce(App) -> Router,
    ) -> Self {
        Self::of(limits, options, quick_accounts(), None, router).await
    }

    /// A server with other settings of accounts.
    pub(crate) async fn with_accounts(accounts: AuthOptions) -> Self {
        Self::of(
            EngineOptions::default(),
            HttpOptions::default(),
            accounts,
            None,
            andiron_http::router,
        )
        .await
    }

    /// A server whose mails go to an SMTP server.
    pub(crate) async fn with_mail(mails: &SmtpServer, accounts: AuthOptions) -> Self {
        let (limits, options) = (EngineOptions::default(), HttpOptions::default());
        Self::of(limits, options, accounts, Some(mails), andiron_http::router).await
    }

    /// A server with ways out for messages of the test's making.
    pub(crate) async fn with_post(accounts: AuthOptions, post: impl FnOnce(&Engine) -> Post) -> Self {
        let (limits, options) = (EngineOptions::default(), HttpOptions::default());
        Self::opened(limits, options, accounts, apart(), post, andiron_http::router).await
    }

    /// A server whose small files lie in documents, as they do by default.
    pub(crate) async fn with_small_files() -> Self {
        let (limits, options) = (EngineOptions::default(), HttpOptions::default());
        let (accounts, files) = (quick_accounts(), FilesOptions::default());
        let post = |_: &Engine| Post::default();
        Self::opened(limits, options, accounts, files, post, andiron_http::router).await
    }

    pub(crate) async fn of(
        limits: EngineOptions,
        options: HttpOptions,
        accounts: AuthOptions,
        mails: Option<&SmtpServer>,
        router: impl FnOnce(App) -> Router,
    ) -> Self {
        let post = |_: &Engine| Post {
            deliver: mails.map(SmtpServer::transport),
            ..Post::default()
        };
        Self::opened(limits, options, accounts, apart(), post, router).await
    }

    async fn opened(
        limits: EngineOptions,
        options: HttpOptions,
        accounts: AuthOptions,
        files: FilesOptions,
        post: impl FnOnce(&Engine) -> Post,
        router: impl FnOnce(App) -> Router,
    ) -> Self {
        let store = Arc::new(MemoryStore::new());
        let clock = TestClock::default();
        let engine = Engine::open(store, limits, clock.surroundings()).unwrap();
        let post = post(&engine);
        let accounts = Accounts::open(engine.clone(), accounts, post).await.unwrap();
        let keys = ServiceKeys::new(engine.clone());
        let key = keys
            .create(
                NewKey::for_everything("test"),
                &Caller::Owner,
                &ClientInfo::default(),
            )
            .await
            .unwrap()
            .key
            .expose()
            .to_owned();
        let info = ServerInfo {
            version: "0.0.0-test".to_owned(),
        };
        let rules = RulesAdministration {
            revisions: RulesRevisions::new(engine.clone(), Limits::default()),
            save: Arc::new(|_| Ok(())),
        };
        let folder = tempfile::tempdir().unwrap();
        let blobs = place(folder.path());
        let files = Files::new(engine.clone(), blobs.clone(), files);
        files.claim_place().await.unwrap();
        let app = App::new(
            engine.clone(),
            keys,
            accounts.clone(),
            files.clone(),
            rules,
            options.clone(),
            info,
        );
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let router = router(app);
        let serving = tokio::spawn(async move {
            andiron_http::serve(listener, router, &options, async { drop(stopped.await) }).await
        });
        Self {
            address,
            engine,
            accounts,
            files,
            blobs,
            _folder: folder,
            key,
            clock,
            stop: Some(stop),
            serving: Some(serving),
        }
    }

    /// One request on a connection of its own, by the holder of the service key.
    pub(crate) async fn send(&self, request: Request) -> Answer {
        let request = request.header("authorization", &format!("Bearer {}", self.key));
        self.send_as_it_is(request).await
    }

    /// The same by nobody in particular.
    pub(crate) async fn send_as_it_is(&self, request: Request) -> Answer {
        Client::connect(self.address).await.send(request).await
    }

    /// The keys under which there are bytes, of files and of parts of uploads.
    pub(crate) async fn stored_keys(&self) -> Vec<String> {
        let mut found = self.blobs.keys();
        let mut keys = Vec::new();
        while let Some(entry) = found.next().await {
            keys.push(entry.unwrap().0);
        }
        // What says whose the place is.
        keys.retain(|key| key != "andiron");
        keys
    }

    /// Tells the server to stop; what it returns ends when it has.
    pub(crate) fn shut_down(&mut self) -> JoinHandle<std::io::Result<()>> {
        self.stop.take().unwrap().send(()).unwrap();
        self.serving.take().unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(serving) = &self.serving {
            serving.abort();
        }
        self.engine.close();
    }
}
