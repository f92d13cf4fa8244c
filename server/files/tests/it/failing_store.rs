//! A store that fails when it is told to.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use async_trait::async_trait;
use futures_util::stream::BoxStream;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result, UploadPart,
};
use parking_lot::Mutex;

/// Writes fail after so many, all of them from then on, until it is healed.
#[derive(Clone, Debug, Default)]
pub(crate) struct FailingStore {
    inner: Arc<InMemory>,
    faults: Arc<Faults>,
}

#[derive(Debug)]
struct Faults {
    /// Writes that still succeed.
    left: AtomicI64,
    kind: Mutex<io::ErrorKind>,
}

impl Default for Faults {
    fn default() -> Self {
        Self {
            left: AtomicI64::new(i64::MAX),
            kind: Mutex::new(io::ErrorKind::Other),
        }
    }
}

impl FailingStore {
    pub(crate) fn fail_after(&self, writes: i64, kind: io::ErrorKind) {
        *self.faults.kind.lock() = kind;
        self.faults.left.store(writes, Ordering::SeqCst);
    }

    pub(crate) fn heal(&self) {
        self.faults.left.store(i64::MAX, Ordering::SeqCst);
    }
}

impl Faults {
    fn write(&self) -> Result<()> {
        if self.left.fetch_sub(1, Ordering::SeqCst) > 0 {
            return Ok(());
        }
        Err(Error::Generic {
            store: "failing",
            source: Box::new(io::Error::from(*self.kind.lock())),
        })
    }
}

impl fmt::Display for FailingStore {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("FailingStore")
    }
}

#[derive(Debug)]
struct FailingUpload {
    inner: Box<dyn MultipartUpload>,
    faults: Arc<Faults>,
}

#[async_trait]
impl MultipartUpload for FailingUpload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        match self.faults.write() {
            Ok(()) => self.inner.put_part(data),
            Err(error) => Box::pin(std::future::ready(Err(error))),
        }
    }

    async fn complete(&mut self) -> Result<PutResult> {
        self.faults.write()?;
        self.inner.complete().await
    }

    async fn abort(&mut self) -> Result<()> {
        self.inner.abort().await
    }
}

#[async_trait]
impl ObjectStore for FailingStore {
    async fn put_opts(&self, location: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        self.faults.write()?;
        self.inner.put_opts(location, payload, options).await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.faults.write()?;
        Ok(Box::new(FailingUpload {
            inner: self.inner.put_multipart_opts(location, options).await?,
            faults: Arc::clone(&self.faults),
        }))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.inner.get_opts(location, options).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.faults.write()?;
        self.inner.copy_opts(from, to, options).await
    }
}
