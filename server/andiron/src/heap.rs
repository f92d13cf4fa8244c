//! Memory that the program no longer needs, given back to the system.
//!
//! The allocator returns freed memory some time after it was freed, but looks at the clock only when something is
//! allocated. A server that falls idle would keep what its last busy moment used: 5 MB after a start.

use std::convert::Infallible;
use std::time::Duration;

/// How often freed memory is looked for; nothing happens where there is none.
const INTERVAL: Duration = Duration::from_secs(10);

/// Gives back what the start needed, then every ten seconds what has been free for a while. Ends with its caller.
pub(crate) async fn give_back_what_is_free() -> Infallible {
    give_back(true);
    let mut ticks = tokio::time::interval(INTERVAL);
    loop {
        ticks.tick().await;
        give_back(false);
    }
}

fn give_back(at_once: bool) {
    // It takes the allocator's own locks, frees nothing that is in use, and may be called from any thread.
    #[expect(unsafe_code, reason = "the allocator has no safe interface for this")]
    unsafe {
        libmimalloc_sys::mi_collect(at_once);
    }
}
