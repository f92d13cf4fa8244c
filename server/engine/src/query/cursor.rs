//! Cursors: where the next page of a result begins.
//!
//! A cursor holds the place of a page's last document in the query's order: its values and its path. So it does not
//! matter whether that document still is there, nor what was written meanwhile: documents that stay where they are come
//! up once. It is bound to the query by a checksum. It is no secret and no proof of anything: it holds what the caller
//! has seen, and nothing that `startAfter` could not say.
//!
//! Values that are long do not stand in it. Then it names the document and the version at which the page was read, which
//! the store still knows, and a digest of the values: only who has seen them can know that.

use andiron_protocol::{
    Bound, Direction, DocumentPath, FieldRef, InputError, OrderBy, Query, Source, Value, Version,
};
use andiron_store::{DocumentRow, Snapshot, StoreError};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::place::{Place, data_of};
use super::request::{Request, path_of};
use crate::EngineError;
use crate::rules::ListJudge;

/// The first byte: what follows is of this form.
const FORMAT: u8 = 1;
/// Bytes of the checksum.
const CHECKSUM_BYTES: usize = 12;
/// Bytes of JSON up to which the values stand in the cursor.
const VALUES_BYTES_MAX: usize = 1024;
/// Characters of a cursor; more than one of ours ever has.
pub(crate) const CURSOR_CHARS_MAX: usize = 24 * 1024;

/// What stands in a cursor.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Content {
    /// The last document.
    path: DocumentPath,
    /// Its values, one for each order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    values: Option<Vec<Value>>,
    /// Instead of its values, where they are known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    recorded: Option<Recorded>,
    /// Documents that the query's limit leaves for later pages, if it is larger than a page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    remaining: Option<u32>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Recorded {
    version: Version,
    digest: String,
}

/// A cursor that was read.
#[derive(Debug)]
pub(crate) struct Cursor(Content);

/// The cursor that continues after a document.
pub(crate) fn write(
    request: &Request<'_>,
    last: &DocumentRow<'_>,
    version: Version,
    remaining: Option<u32>,
) -> Result<String, EngineError> {
    let (path, values) = if request.order.is_empty() {
        (path_of(last)?, Vec::new())
    } else {
        let place = Place::of(request, last, &data_of(last)?)?;
        let values = place.values.into_iter().map(|value| value.unwrap_or(Value::Null));
        (place.path, values.collect())
    };
    let json = values_json(&values);
    let is_short = json.len() <= VALUES_BYTES_MAX;
    let content = Content {
        path,
        recorded: (!is_short).then(|| Recorded {
            version,
            digest: URL_SAFE_NO_PAD.encode(Sha256::digest(&json)),
        }),
        values: is_short.then_some(values),
        remaining,
    };
    let content = serde_json::to_vec(&content).expect("writing to memory does not fail");
    Ok(seal(request.query, &content))
}

/// A cursor with this content.
pub(crate) fn seal(query: &Query, content: &[u8]) -> String {
    let mut bytes = Vec::with_capacity(1 + CHECKSUM_BYTES + content.len());
    bytes.push(FORMAT);
    bytes.extend_from_slice(&checksum(query, content));
    bytes.extend_from_slice(content);
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Reads the cursor of a query.
///
/// # Errors
/// If it is none, or one of another query.
pub(crate) fn read(query: &Query, order: &[OrderBy], text: &str) -> Result<Cursor, InputError> {
    let content = decode(query, text).ok_or_else(foreign)?;
    let is_complete = match (&content.values, &content.recorded) {
        (Some(values), None) => values.len() == order.len(),
        (None, Some(_)) => true,
        _ => false,
    };
    if !is_complete || !query.from.contains(&content.path) {
        return Err(foreign());
    }
    Ok(Cursor(content))
}

fn decode(query: &Query, text: &str) -> Option<Content> {
    if text.len() > CURSOR_CHARS_MAX {
        return None;
    }
    let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
    let (&FORMAT, rest) = bytes.split_first()? else {
        return None;
    };
    let (found, content) = rest.split_at_checked(CHECKSUM_BYTES)?;
    if found != checksum(query, content) {
        return None;
    }
    serde_json::from_slice(content).ok()
}

fn foreign() -> InputError {
    InputError::new(
        "the cursor is not one that a page of this query ended with; a cursor goes with the same source, filter, order and bounds",
    )
    .in_field("cursor")
}

impl Cursor {
    /// Documents that the query's limit leaves, if it is larger than a page.
    pub(crate) fn remaining(&self) -> Option<u32> {
        self.0.remaining
    }

    /// The position after which the result goes on.
    pub(crate) fn position(
        self,
        request: &Request<'_>,
        snapshot: &dyn Snapshot,
        judge: Option<&mut ListJudge>,
    ) -> Result<Bound, EngineError> {
        let values = match (self.0.values, &self.0.recorded) {
            (Some(values), _) => values,
            (None, Some(recorded)) => recall(request, &self.0.path, recorded, snapshot, judge)?,
            (None, None) => return Err(foreign().into()),
        };
        Ok(Bound {
            values,
            path: Some(self.0.path),
            inclusive: false,
        })
    }
}

/// The values that a document had at a version. Whether it is another document or no document makes no difference in
/// the answer; nor, to those from whom documents are kept, whether it is one of these: they could try out values.
fn recall(
    request: &Request<'_>,
    path: &DocumentPath,
    recorded: &Recorded,
    snapshot: &dyn Snapshot,
    judge: Option<&mut ListJudge>,
) -> Result<Vec<Value>, EngineError> {
    let current = snapshot.get_stored(path)?;
    let document = match current.filter(|document| document.version <= recorded.version) {
        Some(document) => Some(document),
        None => match snapshot.get_at(path, recorded.version) {
            // That would tell whether the document has changed since.
            Err(StoreError::HistoryGone { .. }) if request.is_judged => return Err(foreign().into()),
            Err(StoreError::HistoryGone { .. }) => {
                return Err(InputError::new(
                    "the cursor is older than the history that is kept; begin again without it",
                )
                .in_field("cursor")
                .into());
            }
            document => document?,
        },
    };
    let Some(document) = document else {
        return Err(foreign().into());
    };
    let row = DocumentRow {
        collection: path.collection_str(),
        id: path.id(),
        version: document.version,
        created: document.created,
        data: &document.data,
    };
    let data = data_of(&row)?;
    if let Some(judge) = judge {
        let mut read = |path: &DocumentPath| Ok(snapshot.get_stored(path)?);
        if !judge.admits(request.query, path, &data, &mut read)? {
            return Err(foreign().into());
        }
    }
    let place = Place::of(request, &row, &data)?;
    let values: Option<Vec<Value>> = place.values.into_iter().collect();
    values
        .filter(|values| URL_SAFE_NO_PAD.encode(Sha256::digest(values_json(values))) == recorded.digest)
        .ok_or_else(|| foreign().into())
}

fn values_json(values: &[Value]) -> Vec<u8> {
    serde_json::to_vec(values).expect("writing to memory does not fail")
}

/// Over all that decides which documents are in the result and in which order, and over the cursor's content.
fn checksum(query: &Query, content: &[u8]) -> [u8; CHECKSUM_BYTES] {
    let from = match &query.from {
        Source::Collection(path) => (false, path.as_str()),
        Source::Group(name) => (true, name.as_str()),
    };
    let bound = |bound: &Option<Bound>| {
        bound
            .as_ref()
            .map(|bound| (bound.values.clone(), bound.path.clone(), bound.inclusive))
    };
    // The direction stands in the orders, except where there is none.
    let order: Vec<(&FieldRef, bool)> = query
        .order_by
        .iter()
        .map(|order| (&order.field, order.direction == Direction::Descending))
        .collect();
    let json = serde_json::to_vec(&(from, &query.filter, order, bound(&query.start), bound(&query.end)))
        .expect("writing to memory does not fail");
    let mut hasher = Sha256::new();
    hasher.update((json.len() as u64).to_be_bytes());
    hasher.update(&json);
    hasher.update(content);
    let digest = hasher.finalize();
    let mut checksum = [0; CHECKSUM_BYTES];
    checksum.copy_from_slice(&digest[..CHECKSUM_BYTES]);
    checksum
}
