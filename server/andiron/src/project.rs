//! A project folder: its configuration, and where its parts lie.

use std::path::{Path, PathBuf};

use crate::AndironError;
use crate::config::{Configuration, FlagValue, Settings};

/// The name of the local socket in the data folder.
pub const SOCKET_FILE: &str = "andiron.sock";

/// A folder with the configuration that holds for it.
#[derive(Clone, Debug)]
pub struct Project {
    folder: PathBuf,
    configuration: Configuration,
}

impl Project {
    /// Reads a project's configuration, with the environment of this process over its file and flags over both.
    /// The folder need not exist: then everything but the flags and the environment is default.
    ///
    /// # Errors
    /// If the configuration cannot be used.
    pub fn open(folder: &Path, flags: &[FlagValue]) -> Result<Self, AndironError> {
        // What is no text is none of our variables, whose values all are.
        let environment = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
        Ok(Self::new(
            folder,
            Configuration::load(folder, environment, flags)?,
        ))
    }

    /// A project with a configuration that is known.
    pub fn new(folder: &Path, configuration: Configuration) -> Self {
        // Absolute, so that what is printed and logged means the same everywhere.
        let folder = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
        Self {
            folder,
            configuration,
        }
    }

    /// Its settings.
    pub fn settings(&self) -> &Settings {
        &self.configuration.settings
    }

    /// Its settings with their origins.
    pub fn configuration(&self) -> &Configuration {
        &self.configuration
    }

    /// The folder itself.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Where the data lies.
    pub fn data_folder(&self) -> PathBuf {
        let folder = self.folder.join(&self.settings().data_dir);
        // `.` in the middle of a path that people are shown would only be noise.
        folder.components().collect()
    }

    /// The socket through which commands reach the server of this folder.
    pub fn socket(&self) -> PathBuf {
        self.data_folder().join(SOCKET_FILE)
    }

    /// The file that fixes the indexes, which need not exist.
    pub fn indexes_file(&self) -> PathBuf {
        self.folder.join(&self.settings().indexes_file)
    }

    /// Whether anything was ever stored here.
    pub fn has_data(&self) -> bool {
        self.data_folder()
            .join(andiron_store_sqlite::DATABASE_FILE)
            .exists()
    }
}
