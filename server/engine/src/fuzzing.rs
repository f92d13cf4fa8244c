//! What the fuzz target of this crate runs, behind the feature `fuzzing`. Tests run it too, with fixed seeds.

use std::sync::LazyLock;
use std::time::Instant;

use andiron_protocol::{CollectionPath, FieldRef, OrderBy, Query, Source, Version};
use andiron_store::memory::MemoryStore;
use andiron_store::{Commit, DocumentWrite, Store, StoredDocument};

use crate::QueryLimits;
use crate::indexes::IndexSet;
use crate::query::fuzzed::{answer_after, seal};

/// A few documents for cursors to point into.
static STORE: LazyLock<MemoryStore> = LazyLock::new(|| {
    let store = MemoryStore::new();
    let write = |(id, data): (&str, &str)| DocumentWrite {
        path: format!("c/{id}").parse().expect("a path"),
        before: None,
        after: Some(data.into()),
        entries: Vec::new(),
    };
    let documents = [
        ("a", r#"{"a":1,"b":"x"}"#),
        ("b", r#"{"a":1,"b":"y"}"#),
        ("c", r#"{"a":2,"b":null}"#),
        ("d", r#"{"a":[1],"b":{"c":1}}"#),
        ("e", r#"{"b":1}"#),
    ];
    let commit = Commit {
        writes: documents.into_iter().map(write).collect(),
        ..Commit::default()
    };
    let mut group = store.begin().expect("a store in memory");
    group
        .apply(&commit, Version::from_micros(1))
        .expect("a store in memory");
    group.finish().expect("a store in memory");
    store
});

/// A cursor is refused, or continues the query behind the place that it names: with any text as the cursor, and with any
/// content under the right checksum, as somebody could make it who reads this program.
pub fn cursor(bytes: &[u8]) {
    let source = Source::Collection("c".parse::<CollectionPath>().expect("a path"));
    let order = |name: &str| OrderBy {
        field: name.parse::<FieldRef>().expect("a field"),
        direction: andiron_protocol::Direction::Descending,
    };
    for order_by in [
        Vec::new(),
        vec![order("a")],
        vec![order("b"), order("a")],
        vec![order("__id__")],
    ] {
        let query = Query {
            order_by,
            ..Query::all(source.clone())
        };
        let text = String::from_utf8_lossy(bytes).into_owned();
        for text in [text, seal(&query, bytes)] {
            check(&query, &text);
        }
    }
}

fn check(query: &Query, cursor: &str) {
    let snapshot = STORE.snapshot().expect("a store in memory");
    let limits = QueryLimits::default();
    let begun = Instant::now();
    let indexes = IndexSet::default();
    let found = answer_after(query, cursor, &indexes, snapshot.as_ref(), &limits, begun);
    let Ok((after, found)): Result<(_, Vec<StoredDocument>), _> = found else {
        return;
    };
    let order = query.normalized_order();
    for document in found {
        let data = andiron_protocol::data_from_json(document.data.as_bytes()).expect("stored data");
        let place = query.compare_with_bound(&order, &document.path, &data, &after);
        assert!(place.is_gt(), "`{}` stands before the cursor", document.path);
    }
}
