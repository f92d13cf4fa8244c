//! Random commits, and what the store must hold after each group of them.

use std::collections::BTreeMap;
use std::ops::{Bound, ControlFlow};
use std::path::Path;

use andiron_store::{
    Commit, CommitOutcome, EntryChange, Group, IndexDefinition, IndexId, IndexScope, LogRetention,
    ScanDirection, Snapshot, Store, StoreError,
};
use andiron_store_sqlite::{Durability, SqliteOptions, SqliteStore};

use crate::disk::Disk;
use crate::support::{Random, version, write};

/// Every document by its path.
type Documents = BTreeMap<String, String>;

/// Random commits on a store, one group after another.
pub(crate) struct Workload {
    random: Random,
    /// The state after each group that was tried, by its version; whether those of a failed group are there is open.
    states: BTreeMap<i64, Documents>,
    /// The version of the last group that was answered.
    pub(crate) answered: i64,
}

/// Options with a disk of the tests' own, and a log so short that it is moved often.
pub(crate) fn options(disk: Disk, durability: Durability) -> SqliteOptions {
    SqliteOptions {
        durability,
        checkpoint_bytes: 48 * 1024,
        vfs: Some(disk.name()),
        ..SqliteOptions::default()
    }
}

/// Options to look at what a disk holds, without waiting for it.
pub(crate) fn plain_options() -> SqliteOptions {
    SqliteOptions {
        durability: Durability::Off,
        ..SqliteOptions::default()
    }
}

impl Workload {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            random: Random(seed),
            states: BTreeMap::from([(0, Documents::new())]),
            answered: 0,
        }
    }

    /// Opens the store and commits some groups, telling the disk of each that was answered; stops at the first error.
    pub(crate) fn run(
        &mut self,
        folder: &Path,
        options: SqliteOptions,
        disk: Disk,
        groups: usize,
    ) -> Result<(), StoreError> {
        let store = SqliteStore::open(folder, options)?;
        for _ in 0..groups {
            self.commit_group(&store)?;
            disk.answered(self.answered);
        }
        Ok(())
    }

    pub(crate) fn commit_group(&mut self, store: &dyn Store) -> Result<(), StoreError> {
        let mut group = store.begin()?;
        let mut documents = self.states[&group.last_version().as_micros()].clone();
        let index = match group.snapshot().indexes()?.first() {
            Some(index) => index.id,
            None => group.create_index(&definition())?,
        };
        let mut last = group.last_version().as_micros();
        for _ in 0..=self.random.below(3) {
            last += 1 + self.random.below(5) as i64;
            self.commit(&mut *group, index, last, &mut documents)?;
        }
        if self.random.below(6) == 0 {
            group.trim_log(LogRetention {
                after: version(last - 40),
                bytes_max: 100_000,
                step_changes_max: 30,
            })?;
        }
        self.states.insert(last, documents);
        group.finish()?;
        self.answered = last;
        Ok(())
    }

    fn commit(
        &mut self,
        group: &mut dyn Group,
        index: IndexId,
        at: i64,
        documents: &mut Documents,
    ) -> Result<(), StoreError> {
        let mut commit = Commit::default();
        for _ in 0..=self.random.below(3) {
            let path = format!(
                "{}/{}",
                ["a", "b", "a/1/c"][self.random.below(3) as usize],
                self.random.below(9)
            );
            if commit.writes.iter().any(|write| write.path.as_str() == path) {
                continue;
            }
            let is_deletion = documents.contains_key(&path) && self.random.below(4) == 0;
            let filler = "x".repeat(self.random.below(2500) as usize);
            let data = format!(r#"{{"at":{at},"filler":"{filler}"}}"#);
            let mut change = write(group.snapshot(), &path, (!is_deletion).then_some(&data));
            let mut entry = |data: &str, added| {
                change.entries.push(EntryChange {
                    index,
                    key: key(&path, data),
                    added,
                });
            };
            if let Some(before) = documents.remove(&path) {
                entry(&before, false);
            }
            if !is_deletion {
                entry(&data, true);
                documents.insert(path, data);
            }
            commit.writes.push(change);
        }
        assert_eq!(group.apply(&commit, version(at))?, CommitOutcome::Applied);
        Ok(())
    }

    /// Checks that a folder opens and holds the state after some group, and returns the version of that.
    pub(crate) fn examine(&self, folder: &Path) -> Result<i64, String> {
        let store =
            SqliteStore::open(folder, plain_options()).map_err(|error| format!("not opened: {error}"))?;
        self.examine_store(&store)
    }

    pub(crate) fn examine_store(&self, store: &dyn Store) -> Result<i64, String> {
        let failed = |error: StoreError| error.to_string();
        let problems = store.check().map_err(failed)?;
        if !problems.is_empty() {
            return Err(problems.join("; "));
        }
        let snapshot = store.snapshot().map_err(failed)?;
        let last = snapshot.version().map_err(failed)?.as_micros();
        let Some(expected) = self.states.get(&last) else {
            return Err(format!("version {last} is not the end of a group"));
        };
        if *expected != contents(&*snapshot).map_err(failed)? {
            return Err(format!("the documents at version {last} are not those committed"));
        }
        let entries = expected.iter().map(|(path, data)| key(path, data));
        let mut keys: Vec<Vec<u8>> = entries.collect();
        keys.sort();
        match snapshot.indexes().map_err(failed)?.first() {
            Some(index) if index_keys(&*snapshot, index.id).map_err(failed)? != keys => {
                Err(format!("the index at version {last} is not what a scan gives"))
            }
            None if last > 0 => Err(format!("the index is not there at version {last}")),
            _ => Ok(last),
        }
    }
}

fn contents(snapshot: &dyn Snapshot) -> Result<Documents, StoreError> {
    let mut documents = Documents::new();
    for collection in snapshot.collections(None, usize::MAX)? {
        let everything = (Bound::Unbounded, Bound::Unbounded);
        snapshot.scan_collection(&collection, everything, ScanDirection::Forward, &mut |row| {
            documents.insert(format!("{}/{}", row.collection, row.id), row.data.to_owned());
            ControlFlow::Continue(())
        })?;
    }
    Ok(documents)
}

fn index_keys(snapshot: &dyn Snapshot, index: IndexId) -> Result<Vec<Vec<u8>>, StoreError> {
    let mut keys = Vec::new();
    let everything = (Bound::Unbounded, Bound::Unbounded);
    snapshot.scan_index(index, everything, ScanDirection::Forward, &mut |key, row| {
        // The entry leads to its own document.
        let path = format!("{}/{}", row.collection, row.id);
        assert_eq!(self::key(&path, row.data), key);
        keys.push(key.to_vec());
        ControlFlow::Continue(())
    })?;
    Ok(keys)
}

/// The entry of a document: scattered, and another one whenever the data changes.
fn key(path: &str, data: &str) -> Vec<u8> {
    let seed = data
        .bytes()
        .take(16)
        .fold(7, |seed: u64, byte| seed.wrapping_mul(31) + u64::from(byte));
    let mut key = Random(seed).next().to_be_bytes().to_vec();
    key.extend_from_slice(path.as_bytes());
    key
}

fn definition() -> IndexDefinition {
    IndexDefinition {
        collection: "a".to_owned(),
        scope: IndexScope::Group,
        fields: Vec::new(),
    }
}
