//! The suite that every store passes.

use andiron_store::conformance::TestStore;

use crate::support::open;

fn empty() -> TestStore {
    let folder = tempfile::tempdir().unwrap();
    TestStore::keeping(open(folder.path()), folder)
}

andiron_store::conformance_suite!(empty);
