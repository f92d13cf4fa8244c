//! Threads that write to live sockets, apart from those that serve requests.
//!
//! What is told to thousands must not hold up those who ask and write: where the system has processors to spare the two do
//! not meet, and where it has none, these threads stand back. They are started when somebody first listens.

use std::future::Future;
use std::sync::OnceLock;

use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinHandle;

/// How far the threads stand back, as `nice` counts.
#[cfg(target_os = "linux")]
const NICENESS: i32 = 10;

/// The threads, once there are any.
#[derive(Debug, Default)]
pub(crate) struct LiveRuntime(OnceLock<Option<Runtime>>);

impl LiveRuntime {
    /// Runs a task there; where threads cannot be started, among the requests.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) -> JoinHandle<()> {
        match self.0.get_or_init(start) {
            Some(runtime) => runtime.spawn(task),
            None => tokio::spawn(task),
        }
    }
}

impl Drop for LiveRuntime {
    fn drop(&mut self) {
        if let Some(Some(runtime)) = self.0.take() {
            // It may be dropped where nothing may wait; its tasks have ended with their sockets.
            runtime.shutdown_background();
        }
    }
}

fn start() -> Option<Runtime> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let started = Builder::new_multi_thread()
        .worker_threads(threads)
        .thread_name("andiron-socket")
        .on_thread_start(stand_back)
        .enable_all()
        .build();
    started
        .inspect_err(|error| tracing::warn!(%error, "live sockets get no threads of their own"))
        .ok()
}

#[cfg(target_os = "linux")]
fn stand_back() {
    // Of one thread, here; a system that refuses it has them stand level.
    let _ = rustix::process::setpriority_process(Some(rustix::thread::gettid()), NICENESS);
}

#[cfg(not(target_os = "linux"))]
fn stand_back() {}
