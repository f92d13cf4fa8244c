//! A server within the test's own process.

use std::path::Path;

use andiron::config::{Configuration, FlagValue};
use andiron::{Project, Reach, Server};
use tempfile::TempDir;

use crate::Api;

/// A running server on a folder of its own, with a service key. Ends when it goes out of scope.
pub struct TestServer {
    server: Option<Server>,
    key: String,
    folder: TempDir,
    settings: Vec<(String, String)>,
}

impl TestServer {
    /// Starts a server with default settings on a fresh folder.
    pub async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// Starts a server with these settings (as in `("query.reads", "100")`) on a fresh folder.
    pub async fn start_with(settings: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let settings = settings
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect::<Vec<_>>();
        let mut server = open(folder.path(), &settings).await;
        let key = server.take_first_key().expect("a first start makes a key");
        Self {
            key: key.expose().to_owned(),
            server: Some(server),
            folder,
            settings,
        }
    }

    /// Shuts the server down and starts it again on the same folder.
    pub async fn restart(&mut self) {
        self.take()
            .shutdown()
            .await
            .expect("a test's store does not fail");
        self.server = Some(open(self.folder.path(), &self.settings).await);
    }

    /// The server as somebody with a service key sees it.
    pub fn api(&self) -> Api {
        self.anonymous().with_key(&self.key)
    }

    /// The server as nobody in particular sees it.
    pub fn anonymous(&self) -> Api {
        Api::new(
            self.server()
                .address()
                .expect("a test's server listens on the network"),
        )
    }

    /// Its service key.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Its project folder.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The server itself.
    pub fn server(&self) -> &Server {
        self.server.as_ref().expect("it runs until it is dropped")
    }

    fn take(&mut self) -> Server {
        self.server.take().expect("it runs until it is dropped")
    }

    /// Shuts it down, and waits until that is done.
    pub async fn stop(mut self) {
        self.take()
            .shutdown()
            .await
            .expect("a test's store does not fail");
    }
}

async fn open(folder: &Path, settings: &[(String, String)]) -> Server {
    let mut flags = vec![FlagValue {
        flag: "--listen",
        key: "listen".to_owned(),
        value: "127.0.0.1:0".to_owned(),
    }];
    flags.extend(settings.iter().map(|(key, value)| FlagValue {
        flag: "--set",
        key: key.clone(),
        value: value.clone(),
    }));
    // Nothing of the environment: it is the developer's, not the test's.
    let configuration =
        Configuration::load(folder, Vec::new(), &flags).expect("the test's settings can be used");
    Server::start(&Project::new(folder, configuration), Reach::Network)
        .await
        .expect("a server starts on a fresh folder")
}
