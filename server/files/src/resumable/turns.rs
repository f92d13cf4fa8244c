//! One request at a time on an upload. Who comes later asks the one before to stop, keeps what it has taken, and goes on:
//! the client that comes back is the one whose connection broke, and whose old request may not have noticed yet.

use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{OwnedMutexGuard, watch};

use super::UploadId;
use crate::FilesError;

/// How long a request waits for the one before: as long as it may take to put the parts of a file together.
const WAIT_MAX: Duration = Duration::from_secs(30);

/// The requests that are on uploads now.
#[derive(Default)]
pub(crate) struct Turns(Mutex<HashMap<UploadId, Weak<Line>>>);

/// Those who wait for one upload.
struct Line {
    turn: Arc<tokio::sync::Mutex<()>>,
    waiting: watch::Sender<usize>,
}

/// The right to change one upload, until it and its clones are dropped.
#[derive(Clone)]
pub(crate) struct Turn {
    wanted: watch::Receiver<usize>,
    /// Keeps the line there for who comes next.
    _line: Arc<Line>,
    _turn: Arc<OwnedMutexGuard<()>>,
}

/// One who waits, counted until it is dropped.
struct Waiting<'l>(&'l Line);

impl<'l> Waiting<'l> {
    fn in_line(line: &'l Line) -> Self {
        line.waiting.send_modify(|waiting| *waiting += 1);
        Self(line)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.waiting.send_modify(|waiting| *waiting -= 1);
    }
}

impl Turns {
    /// Waits for the right to change an upload.
    ///
    /// # Errors
    /// If whoever has it does not let go of it in time.
    pub(crate) async fn take(&self, id: &UploadId) -> Result<Turn, FilesError> {
        let line = self.line(id);
        let turn = {
            let _waiting = Waiting::in_line(&line);
            let turn = Arc::clone(&line.turn).lock_owned();
            tokio::time::timeout(WAIT_MAX, turn)
                .await
                .map_err(|_| FilesError::UploadBusy)?
        };
        Ok(Turn {
            wanted: line.waiting.subscribe(),
            _line: line,
            _turn: Arc::new(turn),
        })
    }

    fn line(&self, id: &UploadId) -> Arc<Line> {
        let mut lines = self.0.lock();
        if let Some(line) = lines.get(id).and_then(Weak::upgrade) {
            return line;
        }
        lines.retain(|_, line| line.strong_count() > 0);
        let line = Arc::new(Line {
            turn: Arc::default(),
            waiting: watch::Sender::new(0),
        });
        lines.insert(id.clone(), Arc::downgrade(&line));
        line
    }
}

impl Turn {
    /// Completes when somebody else waits for this upload.
    pub(crate) async fn wanted(&mut self) {
        // The line is ours, so its sender is there.
        let _ = self.wanted.wait_for(|waiting| *waiting > 0).await;
    }
}
