//! Where a test's server has the bytes of files: in a folder of its own, or, if the environment of the tests says so, under a
//! prefix of its own in a store on the network. So the same tests hold of both.

use std::path::Path;

use andiron_files::{Blobs, RemoteStore};

/// The variables that name the store: what `files.store` and those beside it are for a server.
pub(crate) const STORE: &str = "ANDIRON_TEST_STORE";
pub(crate) const ENDPOINT: &str = "ANDIRON_TEST_STORE_ENDPOINT";
pub(crate) const KEY_ID: &str = "ANDIRON_TEST_STORE_KEY_ID";
pub(crate) const SECRET: &str = "ANDIRON_TEST_STORE_SECRET";

/// The place of a server whose folder this is.
pub(crate) fn place(folder: &Path) -> Blobs {
    let said = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
    let Some(store) = said(STORE) else {
        return Blobs::in_folder(folder).unwrap();
    };
    let own = folder.file_name().unwrap().to_string_lossy();
    let remote = RemoteStore {
        url: format!("{store}/tests/{own}").parse().unwrap(),
        endpoint: said(ENDPOINT),
        region: None,
        key_id: said(KEY_ID),
        secret: said(SECRET),
    };
    Blobs::in_remote(remote, folder).unwrap()
}
