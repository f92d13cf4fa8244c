//! The revisions of a project's rules: every set of files that was ever in force, the newest of which is.
//!
//! A revision is a document of the system collection `_rules`, named by its number; `_rules_current/current` says which
//! one holds. Publishing writes both in one commit and puts the rules into force after it, so that what is in force is
//! never newer than what is on disk. Rules with errors are refused and change nothing.
//!
//! Left out: files on a disk, and who may do this. Whoever calls has been let in.

use std::sync::Arc;

use andiron_protocol::{
    ApplyError, CommitBody, DocumentPath, Map, Precondition, Timestamp, Value, Write, WriteKind,
};
use andiron_rules::Limits;
use andiron_store::StoredDocument;
use arc_swap::ArcSwapOption;
use tokio::sync::Mutex;

use super::project::{CheckedRules, RULES_BYTES_MAX, RULES_ROOTS, RulesFiles};
use crate::commit::stored_data;
use crate::{Caller, Engine, EngineError};

const REVISIONS: &str = "_rules";
const CURRENT: &str = "_rules_current/current";
const NUMBER: &str = "revision";

/// Revisions that are kept; the oldest go.
pub const REVISIONS_MAX: u64 = 500;
/// How often publishing starts again because another server of the same store was quicker.
const ATTEMPTS_MAX: usize = 5;

/// Where a revision came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RulesOrigin {
    /// The files in the project's folder changed.
    Files,
    /// The administration's API.
    Api,
    /// An earlier revision was taken up again.
    Rollback,
}

impl RulesOrigin {
    /// As it is stored and shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Files => "files",
            Self::Api => "api",
            Self::Rollback => "rollback",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        [Self::Files, Self::Api, Self::Rollback]
            .into_iter()
            .find(|origin| origin.as_str() == text)
    }
}

/// A revision.
#[derive(Clone, Debug, PartialEq)]
pub struct RulesRevision {
    /// Its number: 1 for the first, and one more for each.
    pub number: u64,
    /// When it was published.
    pub time: Timestamp,
    /// Where it came from.
    pub origin: RulesOrigin,
    /// Who published it, as in `key:…`, `user:…` or `system`.
    pub author: String,
    /// The files.
    pub files: RulesFiles,
}

/// What came of publishing.
#[derive(Debug)]
pub struct Published {
    /// What is in force now.
    pub revision: RulesRevision,
    /// Whether it is new; `false` if these very files were in force already.
    pub is_new: bool,
    /// What may be wrong with the rules: warnings, since errors would have kept them from being published.
    pub rules: CheckedRules,
}

/// Why rules were not published.
#[derive(Debug, thiserror::Error)]
pub enum RulesError {
    /// They have errors. What was in force is in force.
    #[error("the rules have errors and were not put into force; what was in force still is")]
    Broken(Box<CheckedRules>),
    /// No file of a name whose services are in force.
    #[error("there is no `{}`, `{}` or `{}` among the files", RULES_ROOTS[0], RULES_ROOTS[1], RULES_ROOTS[2])]
    NoRoot,
    /// More than [`RULES_BYTES_MAX`].
    #[error("the rules files have {bytes} bytes together, and may have {RULES_BYTES_MAX}")]
    TooLong {
        /// How many.
        bytes: usize,
    },
    /// The caller builds on another revision than the one in force.
    #[error("revision {} is in force, not {expected}", in_force.map_or("none".to_owned(), |number| number.to_string()))]
    Stale {
        /// What the caller builds on.
        expected: u64,
        /// What is in force.
        in_force: Option<u64>,
    },
    /// The files could not be written where they are kept, so nothing was changed.
    #[error("the rules cannot be written to the project's folder, so they were not put into force: {why}")]
    NotSaved {
        /// What went wrong, for people.
        why: String,
    },
    /// There is no such revision, or not any more.
    #[error("there is no revision {number}; the last {REVISIONS_MAX} are kept")]
    NoSuchRevision {
        /// What was asked for.
        number: u64,
    },
    /// The engine failed.
    #[error(transparent)]
    Engine(#[from] EngineError),
}

/// Files that were found where rules are read from, and that could not be put into force.
#[derive(Debug)]
pub struct RefusedRules {
    /// When.
    pub time: Timestamp,
    /// What is wrong with them.
    pub rules: CheckedRules,
}

/// The revisions of one engine's rules.
#[derive(Clone)]
pub struct RulesRevisions {
    engine: Engine,
    limits: Arc<Limits>,
    refused: Arc<ArcSwapOption<RefusedRules>>,
    /// Held while something is published, so that what is put into force last is what was published last.
    publishing: Arc<Mutex<()>>,
}

impl RulesRevisions {
    /// The revisions that stand in this engine's store; nothing is put into force yet. Rules are checked and judge by
    /// `limits`.
    pub fn new(engine: Engine, limits: Limits) -> Self {
        Self {
            engine,
            limits: Arc::new(limits),
            refused: Arc::default(),
            publishing: Arc::default(),
        }
    }

    /// What rules may cost.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Reads and checks files without publishing them.
    ///
    /// # Errors
    /// [`RulesError::NoRoot`] and [`RulesError::TooLong`]; errors in the rules are in the answer.
    pub fn check(&self, files: &RulesFiles) -> Result<CheckedRules, RulesError> {
        if !files.has_root() {
            return Err(RulesError::NoRoot);
        }
        let bytes = files.bytes();
        if bytes > RULES_BYTES_MAX {
            return Err(RulesError::TooLong { bytes });
        }
        Ok(CheckedRules::of(files, &self.limits))
    }

    /// Checks files, keeps them as a new revision and puts them into force. `expected` is the revision that the caller
    /// has changed, if it matters. Before anything is kept `save` puts the files where they will be read from next time, and
    /// may refuse, saying why.
    ///
    /// # Errors
    /// If the rules must not be used, another revision than `expected` is in force, `save` refuses, or the store fails.
    pub async fn publish(
        &self,
        caller: &Caller,
        files: RulesFiles,
        origin: RulesOrigin,
        expected: Option<u64>,
        save: impl FnOnce(&RulesFiles) -> Result<(), String>,
    ) -> Result<Published, RulesError> {
        let rules = self.check(&files)?;
        if rules.has_errors() {
            if origin == RulesOrigin::Files {
                let time = self.engine.now();
                let rules = CheckedRules::of(&files, &self.limits);
                self.refused.store(Some(Arc::new(RefusedRules { time, rules })));
            }
            return Err(RulesError::Broken(Box::new(rules)));
        }
        let _publishing = self.publishing.lock().await;
        let current = self.current()?;
        let in_force = current.as_ref().map(|current| current.number);
        if let Some(expected) = expected
            && in_force != Some(expected)
        {
            return Err(RulesError::Stale { expected, in_force });
        }
        if let Some(revision) = current.filter(|current| current.files == files) {
            save(&files).map_err(|why| RulesError::NotSaved { why })?;
            self.enforce(&revision, CheckedRules::of(&files, &self.limits));
            let is_new = false;
            return Ok(Published {
                revision,
                is_new,
                rules,
            });
        }
        save(&files).map_err(|why| RulesError::NotSaved { why })?;
        let revision = self.keep(caller, files, origin).await?;
        let enforced = CheckedRules::of(&revision.files, &self.limits);
        self.enforce(&revision, enforced);
        Ok(Published {
            revision,
            is_new: true,
            rules,
        })
    }

    /// Puts the newest revision into force, if there is one.
    ///
    /// # Errors
    /// If the store cannot be read, or the revision is one that this program refuses.
    pub fn restore(&self) -> Result<Option<RulesRevision>, RulesError> {
        let Some(revision) = self.current()? else {
            return Ok(None);
        };
        let rules = CheckedRules::of(&revision.files, &self.limits);
        if rules.has_errors() {
            return Err(RulesError::Broken(Box::new(rules)));
        }
        let refused = self.refused.load_full();
        self.enforce(&revision, rules);
        // What is restored is not what the folder holds.
        self.refused.store(refused);
        Ok(Some(revision))
    }

    /// Puts files into force without keeping them, where nothing can be kept: they are again what is read at the next
    /// start. Files with errors are passed over.
    pub fn enforce_unkept(&self, files: &RulesFiles) {
        if let Some(rules) = CheckedRules::of(files, &self.limits).into_rules("unkept".to_owned()) {
            self.engine.set_rules(Some(Arc::new(rules)));
        }
    }

    /// The newest revision, which is the one in force unless it could not be.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub fn current(&self) -> Result<Option<RulesRevision>, RulesError> {
        match self.current_number()? {
            Some(number) => self.get(number).map(Some),
            None => Ok(None),
        }
    }

    /// A revision.
    ///
    /// # Errors
    /// [`RulesError::NoSuchRevision`], or if the store cannot be read.
    pub fn get(&self, number: u64) -> Result<RulesRevision, RulesError> {
        let path = path_of(number)?;
        let document = self.engine.get(&Caller::System, &path)?;
        let document = document.ok_or(RulesError::NoSuchRevision { number })?;
        Ok(read(number, &document)?)
    }

    /// The revisions before `before`, or the newest ones: newest first, at most `max`.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub fn list(&self, before: Option<u64>, max: usize) -> Result<Vec<RulesRevision>, RulesError> {
        let newest = self.current_number()?.unwrap_or(0);
        let last = before.map_or(newest, |before| before.saturating_sub(1).min(newest));
        let mut found = Vec::new();
        for number in (1..=last).rev().take(max) {
            match self.get(number) {
                Ok(revision) => found.push(revision),
                // From here on they have been dropped.
                Err(RulesError::NoSuchRevision { .. }) => break,
                Err(error) => return Err(error),
            }
        }
        Ok(found)
    }

    /// The project's files, if the last that were found there have errors: what is in force is then older than they.
    pub fn refused(&self) -> Option<Arc<RefusedRules>> {
        self.refused.load_full()
    }

    fn enforce(&self, revision: &RulesRevision, rules: CheckedRules) {
        self.refused.store(None);
        if let Some(rules) = rules.into_rules(revision.number.to_string()) {
            self.engine.set_rules(Some(Arc::new(rules)));
        }
    }

    fn current_number(&self) -> Result<Option<u64>, EngineError> {
        Ok(self.current_document()?.map(|(number, _)| number))
    }

    fn current_document(&self) -> Result<Option<(u64, StoredDocument)>, EngineError> {
        let path: DocumentPath = CURRENT.parse()?;
        let Some(document) = self.engine.get(&Caller::System, &path)? else {
            return Ok(None);
        };
        match stored_data(&document)?.get(NUMBER) {
            Some(Value::Integer(number)) => {
                let number = u64::try_from(*number).unwrap_or_default();
                Ok(Some((number, document)))
            }
            _ => Err(damaged(&document)),
        }
    }

    async fn keep(
        &self,
        caller: &Caller,
        files: RulesFiles,
        origin: RulesOrigin,
    ) -> Result<RulesRevision, RulesError> {
        let mut revision = RulesRevision {
            number: 0,
            time: self.engine.now(),
            origin,
            author: caller.identity(),
            files,
        };
        let mut attempts = 0;
        loop {
            attempts += 1;
            let current = self.current_document()?;
            let (before, precondition) = match &current {
                Some((number, document)) => (*number, Precondition::Version(document.version)),
                None => (0, Precondition::Exists(false)),
            };
            revision.number = before + 1;
            let pointer = Map::from([(NUMBER.to_owned(), integer(revision.number))]);
            let mut writes = vec![
                Write {
                    path: path_of(revision.number)?,
                    kind: WriteKind::Set(to_data(&revision).into()),
                    precondition: Precondition::None,
                },
                Write {
                    path: CURRENT.parse().map_err(EngineError::from)?,
                    kind: WriteKind::Set(pointer.into()),
                    precondition,
                },
            ];
            if let Some(oldest) = revision
                .number
                .checked_sub(REVISIONS_MAX)
                .filter(|number| *number > 0)
            {
                writes.push(Write {
                    path: path_of(oldest)?,
                    kind: WriteKind::Delete,
                    precondition: Precondition::None,
                });
            }
            let body = CommitBody {
                writes,
                ..CommitBody::default()
            };
            match self.engine.commit(&Caller::System, body, None).await {
                Ok(_) => return Ok(revision),
                Err(EngineError::Apply {
                    reason: ApplyError::Present | ApplyError::Missing | ApplyError::OtherVersion,
                    ..
                }) if attempts < ATTEMPTS_MAX => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

fn path_of(number: u64) -> Result<DocumentPath, EngineError> {
    Ok(format!("{REVISIONS}/{number}").parse()?)
}

fn integer(number: u64) -> Value {
    Value::Integer(i64::try_from(number).unwrap_or(i64::MAX))
}

fn to_data(revision: &RulesRevision) -> Map {
    let text = |text: &str| Value::String(text.to_owned());
    let files = revision
        .files
        .iter()
        .map(|(name, contents)| {
            Value::Map(Map::from([
                ("name".to_owned(), text(name)),
                ("text".to_owned(), text(contents)),
            ]))
        })
        .collect();
    Map::from([
        ("time".to_owned(), Value::Timestamp(revision.time)),
        ("origin".to_owned(), text(revision.origin.as_str())),
        ("author".to_owned(), text(&revision.author)),
        ("files".to_owned(), Value::Array(files)),
    ])
}

fn read(number: u64, document: &StoredDocument) -> Result<RulesRevision, EngineError> {
    let data = stored_data(document)?;
    let whole = || {
        let Some(Value::Timestamp(time)) = data.get("time") else {
            return None;
        };
        let mut files = RulesFiles::new();
        for file in data.get("files")?.as_array()? {
            let file = file.as_map()?;
            files.insert(file.get("name")?.as_str()?, file.get("text")?.as_str()?);
        }
        Some(RulesRevision {
            number,
            time: *time,
            origin: RulesOrigin::parse(data.get("origin")?.as_str()?)?,
            author: data.get("author")?.as_str()?.to_owned(),
            files,
        })
    };
    whole().ok_or_else(|| damaged(document))
}

fn damaged(document: &StoredDocument) -> EngineError {
    andiron_store::StoreError::Corrupt {
        detail: format!("`{}` is not as this program writes it", document.path),
    }
    .into()
}
