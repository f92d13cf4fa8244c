//! Where documents of a result go.

use std::ops::ControlFlow;

use andiron_store::{DocumentRow, StoredDocument};

/// Takes the documents of a result one by one, each borrowed from the store: whoever wants to keep it copies it.
///
/// A long query runs on a thread of its own and the sink with it.
pub trait DocumentSink: Send + 'static {
    /// Takes a document; `Break` ends the query, which then counts as complete.
    fn document(&mut self, document: DocumentRow<'_>) -> ControlFlow<()>;
}

/// Keeps copies.
impl DocumentSink for Vec<StoredDocument> {
    fn document(&mut self, document: DocumentRow<'_>) -> ControlFlow<()> {
        // A row comes from the engine, which has read its path already.
        if let Ok(document) = document.to_stored() {
            self.push(document);
        }
        ControlFlow::Continue(())
    }
}
