//! Records: typed documents of system collections, read and written through the engine.
//!
//! A record is a serde struct whose JSON is value JSON, so that what stands in the store is what any other document
//! is. All changes of one step go into one [`Batch`], which the engine applies whole or not at all.

use andiron_engine::{Caller, Engine, EngineError, StoredDocument};
use andiron_protocol::{
    ApplyError, CollectionPath, CommitBody, DocumentPath, Filter, InputError, Map, Precondition, Query,
    Source, Timestamp, Version, Write, WriteKind, data_from_json,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::AuthError;
use crate::audit::write_refusal;
use crate::sign_up_question::SignUpQuestion;

/// Records read by one query.
pub(crate) const RECORDS_MAX: u32 = 1000;

/// A record as it was read.
#[derive(Clone, Debug)]
pub(crate) struct Record<T> {
    pub(crate) path: DocumentPath,
    pub(crate) version: Version,
    pub(crate) created: Timestamp,
    pub(crate) data: T,
}

impl<T: DeserializeOwned> Record<T> {
    pub(crate) fn of(document: StoredDocument) -> Result<Self, AuthError> {
        let data = serde_json::from_str(&document.data)
            .map_err(|error| AuthError::Internal(format!("`{}` cannot be read: {error}", document.path)))?;
        Ok(Self {
            path: document.path,
            version: document.version,
            created: document.created.to_timestamp(),
            data,
        })
    }
}

/// The path of a record. Ids are our own or checked before.
pub(crate) fn record_path(collection: &str, id: &str) -> Result<DocumentPath, InputError> {
    collection.parse::<CollectionPath>()?.document(id)
}

/// Reads a record, if it is there.
pub(crate) fn read<T: DeserializeOwned>(
    engine: &Engine,
    path: &DocumentPath,
) -> Result<Option<Record<T>>, AuthError> {
    engine.get(&Caller::System, path)?.map(Record::of).transpose()
}

/// Reads all records of a query, at most 1,000.
pub(crate) async fn list<T: DeserializeOwned>(
    engine: &Engine,
    from: Source,
    filter: Option<Filter>,
) -> Result<Vec<Record<T>>, AuthError> {
    let query = Query {
        limit: Some(RECORDS_MAX),
        filter,
        ..Query::all(from)
    };
    let found: Vec<StoredDocument> = Vec::new();
    let (found, _) = engine
        .query(&Caller::System, query, Default::default(), found)
        .await?;
    found.into_iter().map(Record::of).collect()
}

/// Changes that happen together.
#[derive(Clone, Debug, Default)]
pub(crate) struct Batch {
    writes: Vec<Write>,
    /// What the rules on accounts have to allow.
    question: Option<SignUpQuestion>,
}

impl Batch {
    fn push(&mut self, path: DocumentPath, kind: WriteKind, precondition: Precondition) {
        self.writes.push(Write {
            path,
            kind,
            precondition,
        });
    }

    /// Writes a record that must not exist.
    pub(crate) fn create(&mut self, path: DocumentPath, data: &impl Serialize) -> Result<(), AuthError> {
        let data = to_map(data)?;
        self.push(path, WriteKind::Create(data.into()), Precondition::None);
        Ok(())
    }

    /// Writes a record, whether or not it exists.
    pub(crate) fn set(&mut self, path: DocumentPath, data: &impl Serialize) -> Result<(), AuthError> {
        let data = to_map(data)?;
        self.push(path, WriteKind::Set(data.into()), Precondition::None);
        Ok(())
    }

    /// Replaces a record that must still be as it was read.
    pub(crate) fn replace<T>(&mut self, record: &Record<T>, data: &impl Serialize) -> Result<(), AuthError> {
        let data = to_map(data)?;
        let precondition = Precondition::Version(record.version);
        self.push(record.path.clone(), WriteKind::Set(data.into()), precondition);
        Ok(())
    }

    /// Demands that a record is still as it was read.
    pub(crate) fn verify<T>(&mut self, record: &Record<T>) {
        let precondition = Precondition::Version(record.version);
        self.push(record.path.clone(), WriteKind::Verify, precondition);
    }

    /// Deletes a record that must still be as it was read: of many who try, one succeeds.
    pub(crate) fn consume<T>(&mut self, record: &Record<T>) {
        let precondition = Precondition::Version(record.version);
        self.push(record.path.clone(), WriteKind::Delete, precondition);
    }

    /// Deletes a record, if it is there.
    pub(crate) fn delete(&mut self, path: DocumentPath) {
        self.push(path, WriteKind::Delete, Precondition::None);
    }

    /// Lets all of it happen only if the rules on accounts allow this.
    pub(crate) fn ask(&mut self, question: SignUpQuestion) {
        self.question = Some(question);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.writes.is_empty()
    }

    /// Applies all of it, or nothing. That the rules on accounts refuse it is written down.
    pub(crate) async fn commit(mut self, engine: &Engine) -> Result<Version, EngineError> {
        let Some(question) = self.question.take() else {
            return self.commit_unasked(engine).await;
        };
        let committed = match question.ask(engine) {
            Ok(permit) => engine.commit_with_permit(permit, self.into_body()).await,
            Err(refused) => Err(refused),
        };
        if let Err(EngineError::PermissionDenied(_)) = committed {
            write_refusal(engine, question.refused()).await;
        }
        Ok(committed?.version)
    }

    /// The same for what the rules have no say in.
    pub(crate) async fn commit_unasked(self, engine: &Engine) -> Result<Version, EngineError> {
        let committed = engine.commit(&Caller::System, self.into_body(), None).await?;
        Ok(committed.version)
    }

    fn into_body(self) -> CommitBody {
        CommitBody {
            writes: self.writes,
            ..CommitBody::default()
        }
    }
}

/// Whether a commit failed because somebody else was faster, and reading again may help.
pub(crate) fn is_conflict(error: &EngineError) -> bool {
    matches!(
        error,
        EngineError::Aborted { .. }
            | EngineError::Apply {
                reason: ApplyError::OtherVersion | ApplyError::Missing | ApplyError::NotFound,
                ..
            }
    )
}

/// The document that a commit was to create and found there.
pub(crate) fn existing(error: &EngineError) -> Option<&DocumentPath> {
    match error {
        EngineError::Apply {
            path,
            reason: ApplyError::AlreadyExists,
        } => Some(path),
        _ => None,
    }
}

fn to_map(data: &impl Serialize) -> Result<Map, AuthError> {
    let json = serde_json::to_vec(data)
        .map_err(|error| AuthError::Internal(format!("a record cannot be written: {error}")))?;
    Ok(data_from_json(&json)?)
}
