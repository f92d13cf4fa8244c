//! The store in memory passes the conformance suite.

use andiron_store::conformance::TestStore;
use andiron_store::conformance_suite;
use andiron_store::memory::MemoryStore;

fn open() -> TestStore {
    TestStore::new(MemoryStore::new())
}

conformance_suite!(open);
