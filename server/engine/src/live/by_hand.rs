//! Live queries taken forward by hand, for simulations: what the feed's thread does, and those that begin listens, is done
//! when somebody says so, on the thread that says so. Behind the feature `simulation`.

use std::sync::Arc;

use super::begin_next;
use super::feed::Feed;
use crate::committer::Committer;
use crate::engine::Shared;
use crate::indexes::IndexManager;

/// The hand. Without it nobody who listens is told anything; when it is dropped all listens end.
pub struct LiveHand {
    shared: Arc<Shared>,
    manager: Arc<IndexManager>,
    committer: Arc<Committer>,
    feed: Feed,
}

impl LiveHand {
    pub(crate) fn new(shared: &Arc<Shared>, manager: &Arc<IndexManager>, committer: &Arc<Committer>) -> Self {
        Self {
            shared: Arc::clone(shared),
            manager: Arc::clone(manager),
            committer: Arc::clone(committer),
            feed: Feed::new(Arc::clone(shared), Arc::clone(manager)),
        }
    }

    /// Has the feed do what it was told, and takes everybody to the newest version.
    pub fn step(&mut self) {
        let inbox = Arc::clone(&self.shared.live);
        self.feed.turn(&inbox, inbox.take_commands());
    }

    /// Begins the listen that has waited the longest; false if none waits. It joins the feed at the next step.
    pub fn begin(&mut self) -> bool {
        let Some(job) = self.shared.live.next_job() else {
            return false;
        };
        let left = begin_next(&self.shared, &self.manager, &self.committer, job, &|| None);
        debug_assert!(left.is_none(), "nothing came after the one");
        true
    }
}

impl Drop for LiveHand {
    fn drop(&mut self) {
        self.shared.live.close();
        self.feed.close();
    }
}
