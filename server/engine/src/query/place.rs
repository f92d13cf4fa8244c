//! Documents taken out of a scan for a while, and their places in the result.

use std::cmp::Ordering;
use std::ops::ControlFlow;

use andiron_protocol::{DocumentPath, Map, Value, Version, data_from_json};
use andiron_store::{DocumentRow, Snapshot, StoreError};

use super::request::{Request, path_of};
use crate::EngineError;

/// What a document in memory costs beside its texts, roughly.
const OVERHEAD_BYTES: usize = 128;
/// What a value costs beside its content, roughly.
const VALUE_BYTES: usize = size_of::<Value>();

/// A copy of a document.
#[derive(Clone, Debug)]
pub(crate) struct KeptDocument {
    collection: Box<str>,
    id: Box<str>,
    version: Version,
    created: Version,
    data: Box<str>,
}

impl KeptDocument {
    pub(crate) fn new(row: &DocumentRow<'_>) -> Self {
        Self {
            collection: row.collection.into(),
            id: row.id.into(),
            version: row.version,
            created: row.created,
            data: row.data.into(),
        }
    }

    /// A copy of the document with this path, if there is one.
    pub(crate) fn read(path: &DocumentPath, snapshot: &dyn Snapshot) -> Result<Option<Self>, StoreError> {
        let mut found = None;
        snapshot.get(path, &mut |row| {
            found = Some(Self::new(&row));
            ControlFlow::Break(())
        })?;
        Ok(found)
    }

    pub(crate) fn row(&self) -> DocumentRow<'_> {
        DocumentRow {
            collection: &self.collection,
            id: &self.id,
            version: self.version,
            created: self.created,
            data: &self.data,
        }
    }

    /// Bytes that it takes, roughly.
    pub(crate) fn bytes(&self) -> usize {
        self.collection.len() + self.id.len() + self.data.len() + OVERHEAD_BYTES
    }
}

/// Where a document stands in a result.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    /// One for each order of the request; `None` where the field is missing.
    pub(crate) values: Vec<Option<Value>>,
    pub(crate) path: DocumentPath,
}

impl Place {
    pub(crate) fn of(request: &Request<'_>, row: &DocumentRow<'_>, data: &Map) -> Result<Self, StoreError> {
        let orders = request.order.iter();
        Ok(Self {
            values: orders
                .map(|order| order.field.get(row.id, data).map(|value| value.into_owned()))
                .collect(),
            path: path_of(row)?,
        })
    }

    /// Bytes that it takes, roughly.
    pub(crate) fn bytes(&self) -> usize {
        let values = self.values.iter().flatten();
        self.path.as_str().len() + values.map(value_bytes).sum::<usize>() + OVERHEAD_BYTES
    }
}

impl Request<'_> {
    /// The order of two places in which this request wants its documents.
    pub(crate) fn compare(&self, left: &Place, right: &Place) -> Ordering {
        let values = left.values.iter().zip(&right.values);
        let ordering = self
            .order
            .iter()
            .zip(values)
            .map(|(order, (left, right))| order.direction.apply(left.cmp(right)))
            .find(|ordering| ordering.is_ne())
            .unwrap_or_else(|| self.query.path_direction().apply(left.path.cmp(&right.path)));
        self.in_wanted_direction(ordering)
    }

    /// The order of a document and a place, by their values alone.
    pub(crate) fn compare_values(&self, row: &DocumentRow<'_>, data: &Map, place: &Place) -> Ordering {
        let ordering = self
            .order
            .iter()
            .zip(&place.values)
            .map(|(order, value)| {
                let own = order.field.get(row.id, data);
                order.direction.apply(own.as_deref().cmp(&value.as_ref()))
            })
            .find(|ordering| ordering.is_ne())
            .unwrap_or(Ordering::Equal);
        self.in_wanted_direction(ordering)
    }

    pub(crate) fn in_wanted_direction(&self, ordering: Ordering) -> Ordering {
        if self.is_reversed {
            ordering.reverse()
        } else {
            ordering
        }
    }
}

/// Bytes that a value takes in memory, roughly.
fn value_bytes(value: &Value) -> usize {
    VALUE_BYTES
        + match value {
            Value::String(text) => text.len(),
            Value::Bytes(bytes) => bytes.len(),
            Value::Reference(path) => path.as_str().len(),
            Value::Array(elements) => elements.iter().map(value_bytes).sum(),
            Value::Vector(elements) => size_of_val(elements.as_slice()),
            Value::Map(map) => map
                .iter()
                .map(|(name, value)| name.len() + VALUE_BYTES + value_bytes(value))
                .sum(),
            _ => 0,
        }
}

/// A row's data, which the engine has checked when it was written.
pub(crate) fn data_of(row: &DocumentRow<'_>) -> Result<Map, EngineError> {
    data_from_json(row.data.as_bytes()).map_err(|error| {
        StoreError::Corrupt {
            detail: format!(
                "the data of `{}/{}` is not value JSON: {error}",
                row.collection, row.id
            ),
        }
        .into()
    })
}
