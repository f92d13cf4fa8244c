//! All tests of files once more, on stores on the network that others have written.

use std::process::Command;

use crate::files_place::{ENDPOINT, KEY_ID, SECRET, STORE};
use crate::store_server::StoreServer;

/// Runs the tests of files in this binary, with their bytes in a store.
fn all_hold_on(store: &StoreServer) {
    let settings = store.settings();
    let said = |key: &str| settings.iter().find(|(name, _)| *name == key).unwrap().1;
    let output = Command::new(std::env::current_exe().unwrap())
        .args([
            "files_",
            "uploads::",
            "--skip",
            "files_remote",
            "--skip",
            "browser",
        ])
        .env(STORE, store.store())
        .env(ENDPOINT, said("files.store_endpoint"))
        .env(KEY_ID, said("files.store_key_id"))
        .env(SECRET, said("files.store_secret"))
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}");
    assert!(!text.contains(" 0 passed"), "{text}");
}

#[test]
fn files_are_the_same_on_s3() {
    all_hold_on(&StoreServer::s3());
}

#[test]
fn files_are_the_same_on_azure() {
    all_hold_on(&StoreServer::azure());
}

#[test]
fn files_are_the_same_on_google_cloud_storage() {
    all_hold_on(&StoreServer::google());
}
