//! The files of a server: where their bytes are, their limits, and collecting what is of no more use.

use std::path::Path;
use std::time::Duration;

use andiron_engine::Engine;
use andiron_files::{Blobs, Files, FilesError, FilesOptions, RemoteStore, StoreUrl};

use crate::AndironError;
use crate::config::Settings;

/// The folder of the bytes of files, in the data folder.
pub(crate) const FILES_FOLDER: &str = "files";
/// The folder of what waits to be sent to a store on the network, in the data folder.
const SPOOLS_FOLDER: &str = "spool";
/// How often bytes of files that are of no more use are collected.
const GARBAGE_INTERVAL: Duration = Duration::from_secs(3600);

/// Opens what the settings name; a store on the network is not asked anything yet.
pub(crate) fn open(settings: &Settings, engine: Engine, data: &Path) -> Result<Files, AndironError> {
    let blobs = match &settings.files_store.0 {
        Some(url) => Blobs::in_remote(remote(settings, url), &data.join(SPOOLS_FOLDER))
            .map_err(|error| unusable(url, error))?,
        None => {
            let path = data.join(FILES_FOLDER);
            Blobs::in_folder(&path)
                .map_err(|error| AndironError::file("opening", path)(std::io::Error::other(error)))?
        }
    };
    let options = FilesOptions {
        file_bytes_max: settings.files_bytes.0,
        account_bytes_max: Some(settings.files_account_bytes.0).filter(|bytes_max| *bytes_max > 0),
        buckets: settings.buckets.clone(),
        presets: settings
            .files_variants
            .iter()
            .map(|preset| (preset.name.clone(), preset.variant))
            .collect(),
        variant_memory_bytes: settings.files_variant_memory.0,
        upload_idle_max: settings.files_upload_time.0,
        history_age_max: settings.history_age,
        ..FilesOptions::default()
    };
    Ok(Files::new(engine, blobs, options))
}

/// Sees whether files can be read and written, before anybody is told that they can be.
pub(crate) async fn claim(settings: &Settings, files: &Files) -> Result<(), AndironError> {
    match &settings.files_store.0 {
        Some(url) => files.claim_place().await.map_err(|error| unusable(url, error)),
        None => Ok(()),
    }
}

fn remote(settings: &Settings, url: &StoreUrl) -> RemoteStore {
    let said = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
    RemoteStore {
        url: url.clone(),
        endpoint: settings.files_store_endpoint.0.clone(),
        region: said(&settings.files_store_region),
        key_id: said(&settings.files_store_key_id),
        secret: said(settings.files_store_secret.0.expose()),
    }
}

fn unusable(url: &StoreUrl, error: FilesError) -> AndironError {
    match error {
        FilesError::Engine(error) => error.into(),
        error => AndironError::FilesStore {
            store: url.to_string(),
            detail: error.to_string(),
        },
    }
}

/// Collects the bytes of files that are of no more use, until the server stops.
pub(crate) async fn collect_garbage(files: &Files, stopped: impl Future<Output = ()>) {
    let mut stopped = std::pin::pin!(stopped);
    loop {
        tokio::select! {
            () = &mut stopped => return,
            () = tokio::time::sleep(GARBAGE_INTERVAL) => {}
        }
        match files.collect_garbage().await {
            Ok(0) => {}
            Ok(collected) => tracing::info!(collected, "bytes of files that were of no more use are gone"),
            Err(error) => {
                tracing::warn!(%error, "bytes of files that are of no more use could not be collected")
            }
        }
    }
}
