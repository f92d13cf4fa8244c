//! Files to test with: metadata in memory, bytes wherever a test wants them, a clock that can be put forward.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use andiron_engine::{Caller, Engine, EngineOptions, Surroundings};
use andiron_files::{
    Blobs, FileName, Files, FilesError, FilesOptions, Published, ResumableRequest, ResumableUpload,
    UploadRequest,
};
use andiron_protocol::Timestamp;
use andiron_store::memory::MemoryStore;
use futures_util::StreamExt as _;

/// Whoever uploads in these tests: the owner of the data, who passes every rule.
pub(crate) const OWNER: Caller = Caller::Owner;

pub(crate) struct TestFiles {
    pub(crate) files: Files,
    pub(crate) blobs: Blobs,
    engine: Engine,
    ahead: Arc<AtomicI64>,
}

impl TestFiles {
    pub(crate) fn over(blobs: Blobs, options: FilesOptions) -> Self {
        // These tests are about stores: small files are to be there too.
        let options = FilesOptions {
            embedded_bytes_max: 0,
            ..options
        };
        let system = Surroundings::system();
        let ahead = Arc::new(AtomicI64::new(0));
        let (now, by) = (Arc::clone(&system.now), Arc::clone(&ahead));
        let surroundings = Surroundings {
            now: Arc::new(move || {
                Timestamp::from_micros_clamped(now().as_micros() + by.load(Ordering::SeqCst))
            }),
            ..system
        };
        let store = Arc::new(MemoryStore::new());
        let engine = Engine::open(store, EngineOptions::default(), surroundings).unwrap();
        Self {
            files: Files::new(engine.clone(), blobs.clone(), options),
            blobs,
            engine,
            ahead,
        }
    }

    /// The same files as another process has them that opens their bytes anew.
    #[cfg(feature = "foreign-clients")]
    pub(crate) fn reopened(&self, blobs: Blobs) -> Self {
        Self {
            files: Files::new(self.engine.clone(), blobs.clone(), self.files.options().clone()),
            blobs,
            engine: self.engine.clone(),
            ahead: Arc::clone(&self.ahead),
        }
    }

    #[cfg_attr(
        not(feature = "foreign-clients"),
        expect(dead_code, reason = "time passes in the tests of other stores alone")
    )]
    pub(crate) fn advance_hours(&self, hours: i64) {
        self.ahead.fetch_add(hours * 3_600_000_000, Ordering::SeqCst);
    }

    pub(crate) async fn put(&self, to: &str, bytes: &[u8]) -> Result<Published, FilesError> {
        let mut upload = self.files.begin_upload(&OWNER, UploadRequest::of(name(to)))?;
        for piece in bytes.chunks(100_001) {
            upload.write(piece).await?;
        }
        upload.finish().await
    }

    pub(crate) async fn text(&self, of: &str) -> Vec<u8> {
        let file = self.files.get(&OWNER, &name(of)).unwrap().unwrap();
        let mut stream = self.files.read(&file, 0..file.record.size).await.unwrap();
        let mut bytes = Vec::new();
        while let Some(more) = stream.next().await.unwrap() {
            bytes.extend_from_slice(&more);
        }
        bytes
    }

    /// Begins an upload in several requests.
    pub(crate) async fn begin(&self, to: &str, size: usize) -> ResumableUpload {
        let mut upload = UploadRequest::of(name(to));
        upload.size = Some(size as u64);
        let request = ResumableRequest {
            upload,
            is_partial: false,
            note: String::new(),
        };
        self.files.create_resumable(&OWNER, request).await.unwrap()
    }

    /// Everything that is in the store.
    pub(crate) async fn stored(&self) -> Vec<String> {
        let mut keys = Vec::new();
        let mut found = self.blobs.keys();
        while let Some(entry) = found.next().await {
            keys.push(entry.unwrap().0);
        }
        keys
    }
}

impl Drop for TestFiles {
    fn drop(&mut self) {
        self.engine.close();
    }
}

pub(crate) fn name(text: &str) -> FileName {
    FileName::new("main".parse().unwrap(), text).unwrap()
}
