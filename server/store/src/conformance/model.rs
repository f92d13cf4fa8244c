//! Random operations, on the driver and on a naive model in lock-step.
//!
//! After each group everything that the store shows is compared with it, and so are reads of the past, scans of random
//! ranges and older snapshots that are still open.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use andiron_protocol::{DocumentPath, Source, Version};

use super::fixture::{
    Contents, Random, at, changes, col, contents, contents_of, doc, entries, is_within, keys, scan,
};
use super::naive::{Model, ModelIndex, data_map};
use crate::{
    Commit, CommitOutcome, DocumentWrite, Group, IndexDefinition, IndexField, IndexFieldKind, IndexId,
    IndexScope, IndexState, LogRetention, QueryCheck, ReadCheck, ScanDirection, Snapshot, Store, StoreError,
    StoredDocument,
};

/// One operation in so many is of this kind; all others are commits.
struct Mix {
    trims: usize,
    indexes: usize,
}

pub fn random_commits_agree_with_a_naive_model(store: &dyn Store) {
    let mix = Mix {
        trims: 50,
        indexes: 50,
    };
    run(store, 1, 150, &mix);
}

pub fn random_trimming_agrees_with_a_naive_model(store: &dyn Store) {
    let mix = Mix {
        trims: 4,
        indexes: 50,
    };
    run(store, 2, 150, &mix);
}

pub fn random_indexes_agree_with_a_naive_model(store: &dyn Store) {
    let mix = Mix {
        trims: 50,
        indexes: 3,
    };
    run(store, 3, 150, &mix);
}

const COLLECTIONS: [&str; 6] = ["c", "d", "c/a/c", "c/a/d", "c/a-/c", "d/é/c"];
const IDS: [&str; 5] = ["a", "a-", "a%", "b", "é"];
const DATA: [&str; 8] = [
    "{}",
    r#"{"n":1}"#,
    r#"{"n":2,"m":null}"#,
    r#"{"m":"x"}"#,
    r#"{"n":[1,2,{"a":1}],"m":"y"}"#,
    r#"{"n":[2],"m":"x"}"#,
    r#"{"n":[],"m":-0.5}"#,
    r#"{"n":"long text, so that this one has more bytes than the others: ............................"}"#,
];

/// Says where to look when an assertion fails.
struct Place {
    seed: u64,
    group: usize,
}

impl Drop for Place {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!(
                "random operations with seed {}, in group {}",
                self.seed, self.group
            );
        }
    }
}

fn run(store: &dyn Store, seed: u64, groups: usize, mix: &Mix) {
    let random = &mut Random::new(seed);
    let mut place = Place { seed, group: 0 };
    let mut model = Model::default();
    let mut open: Vec<(Box<dyn Snapshot + '_>, Contents)> = Vec::new();
    for number in 0..groups {
        place.group = number;
        let mut ahead = model.clone();
        let mut group = store.begin().unwrap();
        for _ in 0..=random.below(4) {
            if random.once_in(mix.trims) {
                trim(&mut *group, &mut ahead, random);
            } else if random.once_in(mix.indexes) {
                change_indexes(&mut *group, &mut ahead, random);
            } else {
                commit(&mut *group, &mut ahead, random);
            }
        }
        if random.once_in(3) {
            assert_eq!(contents(group.snapshot()), ahead.contents());
        }
        if random.once_in(5) {
            drop(group);
        } else {
            group.finish().unwrap();
            model = ahead;
        }
        assert_eq!(contents_of(store), model.contents());
        let snapshot = store.snapshot().unwrap();
        compare_reads(&*snapshot, &model, random);
        if random.once_in(10) {
            open.push((snapshot, model.contents()));
        }
        if open.len() > 2 {
            let (snapshot, expected) = open.remove(random.below(3));
            assert_eq!(contents(&*snapshot), expected, "a snapshot changed");
        }
    }
    assert!(model.states.len() > groups / 2, "hardly anything happened");
}

fn random_path(random: &mut Random) -> DocumentPath {
    doc(&format!("{}/{}", random.pick(&COLLECTIONS), random.pick(&IDS)))
}

/// A version that something happened at, or one beside it.
fn random_version(model: &Model, random: &mut Random) -> Version {
    let newest = model.version.as_micros();
    let back = i64::try_from(random.below(30)).unwrap();
    Version::from_micros(newest + 2 - back)
}

fn random_source(random: &mut Random) -> Source {
    let collection = col(random.pick(&COLLECTIONS));
    if random.once_in(2) {
        Source::Group(collection.name().to_owned())
    } else {
        Source::Collection(collection)
    }
}

fn trim(group: &mut dyn Group, model: &mut Model, random: &mut Random) {
    let retention = LogRetention {
        after: random_version(model, random),
        bytes_max: if random.once_in(2) {
            u64::MAX
        } else {
            random.below(400) as u64
        },
        step_changes_max: random.below(20) as u64,
    };
    assert_eq!(
        group.trim_log(retention).unwrap(),
        model.trim(retention),
        "{retention:?}"
    );
}

fn change_indexes(group: &mut dyn Group, model: &mut Model, random: &mut Random) {
    let known: Vec<IndexId> = model.indexes.keys().copied().collect();
    if known.is_empty() || (known.len() < 4 && random.once_in(3)) {
        let definition = random_definition(random);
        let id = group.create_index(&definition).unwrap();
        // A number from a group that was dropped was never an index's, so it may come again.
        assert!(model.used.insert(id), "the number {} was another index's", id.0);
        let index = ModelIndex {
            definition,
            state: IndexState::Building,
            entries: BTreeMap::new(),
        };
        model.indexes.insert(id, index);
        return;
    }
    let id = random.pick(&known);
    if random.once_in(6) {
        group.drop_index(id).unwrap();
        model.indexes.remove(&id);
        return;
    }
    let whole = model.built(&model.indexes[&id].definition);
    let index = model.indexes.get_mut(&id).unwrap();
    if index.state == IndexState::Ready {
        return;
    }
    let finish = random.once_in(2);
    let part: Vec<_> = whole
        .into_iter()
        .filter(|_| finish || random.once_in(2))
        .collect();
    group.add_entries(id, &part).unwrap();
    index.entries.extend(part);
    if finish {
        group.finish_index(id).unwrap();
        index.state = IndexState::Ready;
    }
}

fn random_definition(random: &mut Random) -> IndexDefinition {
    let kinds = [
        IndexFieldKind::Ascending,
        IndexFieldKind::Descending,
        IndexFieldKind::Elements,
    ];
    let field = |name: &str, kind| IndexField {
        field: name.parse().unwrap(),
        kind,
    };
    let first = field("n", random.pick(&kinds));
    let second = field("m", random.pick(&kinds[..2]));
    IndexDefinition {
        collection: random.pick(&["c", "d"]).to_owned(),
        scope: random.pick(&[IndexScope::Collection, IndexScope::Group]),
        fields: random.pick(&[vec![first.clone()], vec![second.clone()], vec![first, second]]),
    }
}

/// A commit that was prepared on this state or, often, on an older one.
fn commit(group: &mut dyn Group, model: &mut Model, random: &mut Random) {
    let stale = random.once_in(4);
    let seen_at = if stale {
        random_version(model, random)
    } else {
        model.version
    };
    let seen = model.documents_at(seen_at);
    let mut commit = Commit::default();
    for _ in 0..random.below(5) {
        let path = random_path(random);
        let before = seen.get(&path).cloned();
        let after = (!random.once_in(4)).then(|| Arc::from(random.pick(&DATA)));
        let repeated = commit.writes.iter().any(|write| write.path == path);
        if repeated || (before.is_none() && after.is_none()) {
            continue;
        }
        let maps = [before.as_ref().map(|before| &before.data), after.as_ref()]
            .map(|data| data.map(|data| data_map(data)));
        let [map_before, map_after] = maps.each_ref().map(Option::as_ref);
        let entries = model
            .indexes
            .iter()
            .filter(|(_, index)| index.definition.collection == path.collection().name())
            .flat_map(|(id, index)| index.definition.entry_changes(*id, &path, map_before, map_after))
            .collect();
        commit.writes.push(DocumentWrite {
            path,
            before,
            after,
            entries,
        });
    }
    for _ in 0..random.below(3) {
        let path = random_path(random);
        let version = seen.get(&path).map(|document| document.version);
        commit.reads.push(ReadCheck { path, version });
    }
    while random.once_in(4) {
        let sought = random.pick(&[r#""n":1"#, r#""m":"x""#, "text", "}"]);
        commit.queries.push(QueryCheck {
            source: random_source(random),
            version: if stale {
                random_version(model, random)
            } else {
                model.version
            },
            matches: Arc::new(move |_, data| data.contains(sought)),
        });
    }
    let version = at(model.version.as_micros() + 1 + i64::try_from(random.below(3)).unwrap());
    let (documents, queries) = model.conflicts(&commit);
    let before = group.last_version();
    match group.apply(&commit, version).unwrap() {
        CommitOutcome::Applied => {
            assert!(
                documents.is_empty() && queries.is_empty(),
                "conflicts on {documents:?} and {queries:?}"
            );
            model.apply(&commit, version);
            assert_eq!(group.last_version(), version);
            return;
        }
        CommitOutcome::Conflict(path) => assert!(documents.contains(&path), "no conflict on `{path}`"),
        CommitOutcome::QueryConflict(number) => {
            assert!(queries.contains(&number), "no conflict in query {number}")
        }
    }
    assert_eq!(group.last_version(), before);
}

fn compare_reads(snapshot: &dyn Snapshot, model: &Model, random: &mut Random) {
    let documents = model.documents();

    let version = random_version(model, random);
    let then = model.documents_at(version);
    for path in COLLECTIONS
        .iter()
        .flat_map(|collection| IDS.map(|id| doc(&format!("{collection}/{id}"))))
    {
        assert_eq!(snapshot.get_stored(&path).unwrap().as_ref(), documents.get(&path));
        match snapshot.get_at(&path, version) {
            Ok(found) => {
                assert!(version >= model.start);
                assert_eq!(found.as_ref(), then.get(&path), "`{path}` at {version}");
            }
            Err(StoreError::HistoryGone { asked, start }) => {
                assert!(version < model.start);
                assert_eq!((asked, start), (version, model.start));
            }
            Err(other) => panic!("another error: {other}"),
        }
    }
    if version >= model.start {
        let max = 1 + random.below(10);
        let later = model
            .changes
            .iter()
            .filter(|change| change.version > version)
            .take(max);
        assert_eq!(
            changes(snapshot, version, max),
            later.cloned().collect::<Vec<_>>()
        );
    }

    let collection = col(random.pick(&COLLECTIONS));
    let texts = ["", "a", "a%", "a-", "c", "é", "z"];
    let range = (random_bound(random, &texts), random_bound(random, &texts));
    let inside = |document: &&StoredDocument| {
        document.path.collection() == collection && is_within(document.path.id(), range)
    };
    let expected: Vec<_> = documents.values().filter(inside).cloned().collect();
    let max = 1 + random.below(6);
    let found = scan(snapshot, collection.as_str(), range, ScanDirection::Forward, max);
    assert_eq!(found, expected[..expected.len().min(max)]);
    let found = scan(snapshot, collection.as_str(), range, ScanDirection::Backward, max);
    assert!(found.iter().eq(expected.iter().rev().take(max)));
    let count = snapshot.count_collection(&collection, range, max as u64).unwrap();
    assert_eq!(count, expected.len().min(max) as u64);

    for (id, index) in &model.indexes {
        if index.state == IndexState::Ready {
            // What was built once and changed by commits since comes to the same as building it now.
            assert_eq!(index.entries, model.built(&index.definition));
        }
        let texts: Vec<&[u8]> = index
            .entries
            .keys()
            .map(Vec::as_slice)
            .chain([&b""[..], b"\xff"])
            .collect();
        let range = (random_bound(random, &texts), random_bound(random, &texts));
        let inside = |key: &&Vec<u8>| is_within(key.as_slice(), range);
        let mut expected: Vec<Vec<u8>> = index.entries.keys().filter(inside).cloned().collect();
        let count = snapshot.count_index(*id, range, max as u64).unwrap();
        assert_eq!(count, expected.len().min(max) as u64);
        for direction in [ScanDirection::Forward, ScanDirection::Backward] {
            let first = &expected[..expected.len().min(max)];
            assert_eq!(keys(snapshot, *id, range, direction, max), first);
            let joined = entries(snapshot, *id, range, direction, max);
            assert!(joined.iter().map(|(key, _)| key).eq(first));
            for (key, document) in joined {
                assert_eq!(document, documents[&index.entries[&key]]);
            }
            expected.reverse();
        }
    }
}

fn random_bound<'a, T: ?Sized>(random: &mut Random, texts: &[&'a T]) -> Bound<&'a T> {
    let text = random.pick(texts);
    match random.below(3) {
        0 => Bound::Unbounded,
        1 => Bound::Included(text),
        _ => Bound::Excluded(text),
    }
}
