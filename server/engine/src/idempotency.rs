//! Idempotency keys: a retry of a write is answered with the first result.
//!
//! The record of an answered commit is a document of the system collection `_idempotency`, written by the commit
//! itself; so there is a record exactly if there was a commit, whatever crashed in between. The record's own version is
//! the commit's.

use std::fmt::{self, Write as _};

use andiron_protocol::limits::IDEMPOTENCY_KEY_CHARS_MAX;
use andiron_protocol::{DocumentPath, FieldPath, InputError, Map, Timestamp, Value};
use andiron_store::{StoreError, StoredDocument};
use sha2::{Digest as _, Sha256};

use crate::commit::{Committed, Outcomes, PendingDocument, PendingOutcome, WriteOutcome, stored_data};
use crate::{Caller, EngineError};

/// Where the records stand.
pub(crate) const COLLECTION: &str = "_idempotency";
/// The field that tells when a record may go.
pub(crate) const EXPIRES: &str = "expires";
/// How long a key is remembered: 24 hours, in microseconds.
const REMEMBERED_MICROS: i64 = 24 * 3600 * 1_000_000;

/// A key in the hands of one commit.
pub(crate) struct Idempotency {
    path: DocumentPath,
    fingerprint: String,
}

impl Idempotency {
    /// The record's place, from the caller and the key, and the fingerprint of the request, whose debug form must name
    /// all that tells it from another.
    pub(crate) fn new(caller: &Caller, key: &str, request: &impl fmt::Debug) -> Result<Self, EngineError> {
        let is_valid = (1..=IDEMPOTENCY_KEY_CHARS_MAX).contains(&key.len())
            && key.bytes().all(|byte| (0x21..=0x7e).contains(&byte));
        if !is_valid {
            return Err(InputError::new(format!(
                "an Idempotency-Key has 1 to {IDEMPOTENCY_KEY_CHARS_MAX} printable ASCII characters without spaces"
            ))
            .in_field("Idempotency-Key")
            .into());
        }
        let id = hex(&Sha256::digest(format!("{}\n{key}", caller.identity())));
        let path = format!("{COLLECTION}/{id}").parse()?;
        let mut hasher = HashedText(Sha256::new());
        write!(hasher, "{request:?}").expect("hashing does not fail");
        Ok(Self {
            path,
            fingerprint: hex(&hasher.0.finalize()),
        })
    }

    /// Where the record stands.
    pub(crate) fn path(&self) -> &DocumentPath {
        &self.path
    }

    /// The first answer, from its record; `None` if the record is no longer to be remembered.
    pub(crate) fn replay(
        &self,
        record: &StoredDocument,
        now: Timestamp,
    ) -> Result<Option<Committed>, EngineError> {
        let data = stored_data(record)?;
        match data.get(EXPIRES) {
            Some(Value::Timestamp(expires)) if *expires > now => {}
            _ => return Ok(None),
        }
        if data.get("fingerprint").and_then(Value::as_str) != Some(&self.fingerprint) {
            return Err(EngineError::IdempotencyKeyReused);
        }
        let writes = data.get("writes").and_then(Value::as_array).unwrap_or_default();
        let writes = writes
            .iter()
            .map(|write| read_outcome(write, record))
            .collect::<Option<Vec<_>>>();
        let writes = writes.ok_or_else(|| StoreError::Corrupt {
            detail: format!("`{}` is not a record of a commit", self.path),
        })?;
        Ok(Some(Committed {
            version: record.version,
            writes,
            is_replay: true,
        }))
    }

    /// The record of a commit under way.
    pub(crate) fn record(&self, outcomes: &Outcomes, now: Timestamp) -> Map {
        let expires = Timestamp::from_micros_clamped(now.as_micros().saturating_add(REMEMBERED_MICROS));
        // A commit of one write is answered with its document, one of many is not.
        let with_data = outcomes.writes.len() == 1;
        let writes = outcomes
            .writes
            .iter()
            .map(|outcome| write_outcome(outcome, with_data))
            .collect();
        Map::from([
            (EXPIRES.to_owned(), Value::Timestamp(expires)),
            ("fingerprint".to_owned(), Value::String(self.fingerprint.clone())),
            ("writes".to_owned(), Value::Array(writes)),
        ])
    }
}

fn write_outcome(outcome: &PendingOutcome, with_data: bool) -> Value {
    let results = outcome
        .results
        .iter()
        .map(|(path, value)| Value::Array(vec![Value::String(path.to_string()), value.clone()]))
        .collect();
    let mut record = Map::from([
        ("path".to_owned(), Value::Reference(outcome.path.clone())),
        ("existed".to_owned(), Value::Boolean(outcome.existed)),
        ("results".to_owned(), Value::Array(results)),
    ]);
    if let (true, PendingDocument::Written { created, data }) = (with_data, &outcome.document) {
        // As text: a document may be nested as deep as a document can be.
        record.insert("data".to_owned(), Value::String(data.to_string()));
        if let Some(created) = created {
            record.insert("created".to_owned(), Value::Integer(created.as_micros()));
        }
    }
    Value::Map(record)
}

fn read_outcome(record: &Value, document: &StoredDocument) -> Option<WriteOutcome> {
    let record = record.as_map()?;
    let Value::Reference(path) = record.get("path")? else {
        return None;
    };
    let results = record
        .get("results")?
        .as_array()?
        .iter()
        .map(|result| match result.as_array()? {
            [Value::String(path), value] => Some((path.parse::<FieldPath>().ok()?, value.clone())),
            _ => None,
        });
    let created = match record.get("created") {
        Some(Value::Integer(micros)) => andiron_protocol::Version::from_micros(*micros),
        _ => document.version,
    };
    let written = record
        .get("data")
        .and_then(Value::as_str)
        .map(|data| StoredDocument {
            path: path.clone(),
            version: document.version,
            created,
            data: data.into(),
        });
    Some(WriteOutcome {
        path: path.clone(),
        results: results.collect::<Option<_>>()?,
        document: written,
        existed: record.get("existed")?.as_boolean()?,
    })
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Hashes what is written to it.
struct HashedText(Sha256);

impl fmt::Write for HashedText {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.update(text.as_bytes());
        Ok(())
    }
}
