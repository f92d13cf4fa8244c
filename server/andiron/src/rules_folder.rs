//! The rules in a project's folder: read at the start, again whenever they change, and written when the API publishes.
//!
//! What the folder holds is what is to be in force. Files with errors are not, and leave in force what was; without any
//! file everything is denied but to administrators. A change is taken up once the files have come to rest, so that what an
//! editor is still writing is not.

use std::collections::BTreeMap;
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use andiron_engine::{
    Caller, CheckedRules, Engine, EngineError, Published, RULES_BYTES_MAX, RULES_ROOTS, RulesError,
    RulesFiles, RulesOrigin, RulesRevisions, StoreError,
};
use andiron_rules::diagnostic::render;
use andiron_rules::{Program, Source};
use tempfile::NamedTempFile;

/// Diagnostics that a log line has at most.
const DIAGNOSTICS_LOGGED_MAX: usize = 20;

/// A project's folder, as far as its rules go.
#[derive(Clone, Debug)]
pub(crate) struct RulesFolder {
    folder: PathBuf,
}

/// How a file can be told from what it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    bytes: u64,
    modified: Option<SystemTime>,
    inode: u64,
}

/// What the files of a folder looked like, those that are not there included.
pub(crate) type Stamps = BTreeMap<String, Option<Stamp>>;

/// What was made of the files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// They are in force.
    InForce {
        /// By what the revision is known.
        revision: String,
        /// The files.
        files: Vec<String>,
        /// How many things may be wrong with them.
        warnings: usize,
    },
    /// They are not, and the revision is, if there was one.
    Refused {
        /// What is in force.
        revision: Option<String>,
    },
    /// There are none.
    Missing,
}

impl RulesFolder {
    pub(crate) fn new(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
        }
    }

    /// Reads the files that are there, imported ones included.
    fn read(&self) -> Result<RulesFiles, String> {
        let mut files = RulesFiles::new();
        let mut roots = Vec::new();
        for name in RULES_ROOTS {
            match std::fs::read(self.folder.join(name)) {
                Ok(bytes) => {
                    let source = Source::from_bytes(name, &bytes).map_err(|error| error.to_string())?;
                    files.insert(name, source.text());
                    roots.push(source);
                }
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(format!("`{name}` cannot be read: {error}")),
            }
        }
        // Only the names and texts are taken; what is wrong with them is found when they are checked.
        let mut imported = Vec::new();
        Program::load(roots, &mut |name| {
            let bytes = std::fs::read(self.folder.join(name)).map_err(|error| error.to_string())?;
            if let Ok(text) = std::str::from_utf8(&bytes) {
                imported.push((name.to_owned(), text.to_owned()));
            }
            Ok(bytes)
        });
        for (name, text) in imported {
            files.insert(name, text);
        }
        Ok(files)
    }

    fn stamps<'n>(&self, names: impl Iterator<Item = &'n str>) -> Stamps {
        let stamp = |name: &str| {
            let metadata = std::fs::metadata(self.folder.join(name)).ok()?;
            Some(Stamp {
                bytes: metadata.len(),
                modified: metadata.modified().ok(),
                inode: metadata.ino(),
            })
        };
        names
            .chain(RULES_ROOTS)
            .map(|name| (name.to_owned(), stamp(name)))
            .collect()
    }

    /// Reads the files and puts them into force; comes back with what became of them, and with what they looked like, for
    /// [`RulesFolder::watch`].
    ///
    /// # Errors
    /// If the store fails.
    pub(crate) async fn load(
        &self,
        engine: &Engine,
        revisions: &RulesRevisions,
    ) -> Result<(Verdict, Stamps), EngineError> {
        // Which files there are is known only once they have been read. What they look like is taken before they are read
        // for good: what changes meanwhile is seen the next time.
        let names = self.read().unwrap_or_default();
        let stamps = self.stamps(names.iter().map(|(name, _)| name));
        let files = match self.read() {
            Ok(files) => files,
            Err(problem) => {
                tracing::error!(problem, "the rules cannot be read and were not put into force");
                return Ok((fall_back(engine, revisions)?, stamps));
            }
        };
        if !files.has_root() {
            engine.set_rules(None);
            tracing::warn!(
                folder = %self.folder.display(),
                "there are no rules: everything is denied but to service keys and administrators"
            );
            return Ok((Verdict::Missing, stamps));
        }
        let names: Vec<_> = files.iter().map(|(name, _)| name.to_owned()).collect();
        // The API may be publishing at this moment, which writes the files: then what was read is not what is there.
        let still_there = |files: &RulesFiles| match self.read() {
            Ok(now) if now == *files => Ok(()),
            _ => Err("the files have changed meanwhile".to_owned()),
        };
        let outcome = revisions
            .publish(
                &Caller::System,
                files.clone(),
                RulesOrigin::Files,
                None,
                still_there,
            )
            .await;
        let verdict = match outcome {
            Ok(published) => in_force(&published, names),
            Err(RulesError::Broken(rules)) => {
                tracing::error!(
                    "the rules have errors and were not put into force\n{}",
                    diagnostics_text(&rules)
                );
                fall_back(engine, revisions)?
            }
            Err(RulesError::Engine(error)) if is_read_only(&error) => {
                tracing::warn!(%error, "the rules are in force, but their revision cannot be kept");
                revisions.enforce_unkept(&files);
                Verdict::InForce {
                    revision: "not kept".to_owned(),
                    files: names,
                    warnings: 0,
                }
            }
            Err(RulesError::Engine(error)) => return Err(error),
            // The next look finds them changed again.
            Err(RulesError::NotSaved { .. }) => Verdict::Refused {
                revision: engine.rules().map(|rules| rules.revision().to_owned()),
            },
            Err(error) => {
                tracing::error!(%error, "the rules were not put into force");
                fall_back(engine, revisions)?
            }
        };
        Ok((verdict, stamps))
    }

    /// Takes up changes of the files for as long as it is polled. `taken_up` is what they looked like when they were
    /// loaded.
    pub(crate) async fn watch(
        self,
        engine: Engine,
        revisions: RulesRevisions,
        interval: Duration,
        mut taken_up: Stamps,
    ) {
        let mut resting = None;
        let mut ticks = tokio::time::interval(interval);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let seen = self.stamps(taken_up.keys().map(String::as_str));
            if taken_up == seen {
                resting = None;
            } else if resting.as_ref() == Some(&seen) {
                resting = None;
                match self.load(&engine, &revisions).await {
                    Ok((_, stamps)) => taken_up = stamps,
                    // It is tried again at the next tick.
                    Err(error) => tracing::error!(%error, "changed rules could not be put into force"),
                }
            } else {
                resting = Some(seen);
            }
        }
    }

    /// Puts files into the folder, each as a whole or not at all. A root that is not among them is taken away.
    ///
    /// # Errors
    /// What keeps them from being written, for people.
    pub(crate) fn save(&self, files: &RulesFiles) -> Result<(), String> {
        for (name, text) in files.iter() {
            let path = self.folder.join(name);
            if std::fs::read(&path).is_ok_and(|there| there == text.as_bytes()) {
                continue;
            }
            replace(&path, text).map_err(|error| format!("`{}`: {error}", path.display()))?;
        }
        for root in RULES_ROOTS.iter().filter(|root| files.get(root).is_none()) {
            let path = self.folder.join(root);
            match std::fs::remove_file(&path) {
                Err(error) if error.kind() != ErrorKind::NotFound => {
                    return Err(format!("`{}`: {error}", path.display()));
                }
                _ => {}
            }
        }
        Ok(())
    }
}

fn replace(path: &Path, text: &str) -> std::io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder)?;
    let mut file = NamedTempFile::new_in(folder)?;
    file.write_all(text.as_bytes())?;
    if let Ok(there) = std::fs::metadata(path) {
        file.as_file().set_permissions(there.permissions())?;
    }
    file.as_file().sync_all()?;
    file.persist(path)?;
    Ok(())
}

fn in_force(published: &Published, files: Vec<String>) -> Verdict {
    let warnings = published.rules.diagnostics().len();
    let revision = published.revision.number;
    if published.is_new {
        tracing::info!(revision, warnings, "rules are in force");
    }
    if published.is_new && warnings > 0 {
        tracing::warn!(
            "the rules may not do what is meant\n{}",
            diagnostics_text(&published.rules)
        );
    }
    Verdict::InForce {
        revision: revision.to_string(),
        files,
        warnings,
    }
}

/// What the folder holds cannot be in force: what was, is, or else the newest revision that was kept.
fn fall_back(engine: &Engine, revisions: &RulesRevisions) -> Result<Verdict, EngineError> {
    if engine.rules().is_none() {
        match revisions.restore() {
            Ok(Some(revision)) => {
                tracing::warn!(
                    revision = revision.number,
                    "the last revision that was in force still is"
                );
            }
            Ok(None) => tracing::warn!("no rules are in force: everything is denied but to administrators"),
            Err(RulesError::Engine(error)) => return Err(error),
            Err(error) => tracing::error!(%error, "the last revision cannot be put into force either"),
        }
    }
    Ok(Verdict::Refused {
        revision: engine.rules().map(|rules| rules.revision().to_owned()),
    })
}

fn diagnostics_text(rules: &CheckedRules) -> String {
    let sources = rules.program().sources();
    let diagnostics = rules.diagnostics();
    let mut text: String = diagnostics
        .iter()
        .take(DIAGNOSTICS_LOGGED_MAX)
        .map(|diagnostic| render(diagnostic, sources))
        .collect();
    if diagnostics.len() > DIAGNOSTICS_LOGGED_MAX {
        text.push_str("… `andiron rules check` tells all of them\n");
    }
    text
}

/// Whether it failed only because nothing can be written.
fn is_read_only(error: &EngineError) -> bool {
    matches!(error, EngineError::Store(error) if matches!(**error, StoreError::ReadOnly | StoreError::Full))
}

/// No file is read that could not be kept.
const _: () = assert!(RULES_BYTES_MAX <= andiron_rules::source::SOURCE_BYTES_MAX);
