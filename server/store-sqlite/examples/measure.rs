//! What the store costs: creates in groups of several sizes, point reads and index scans over few and many documents.
//!
//! `cargo run --release -p andiron-store-sqlite --example measure [documents [creates | reads]]`; processor time is the
//! trustworthy figure, elapsed time depends on the disk and on who else is busy.
#![expect(clippy::unwrap_used, reason = "a measurement that meets an error has failed")]

use std::ops::{Bound, ControlFlow};
use std::sync::Arc;
use std::time::{Duration, Instant};

use andiron_protocol::{DocumentPath, Version};
use andiron_store::{
    Commit, DocumentWrite, EntryChange, IndexDefinition, IndexId, IndexScope, ScanDirection, Store,
};
use andiron_store_sqlite::{Durability, SqliteOptions, SqliteStore};

/// Documents that are created before anything is measured.
const WARM_UP: u64 = 40 * 256;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let many: u64 = arguments
        .next()
        .map_or(1_000_000, |documents| documents.parse().unwrap());
    let part = arguments.next();
    let wanted = |name: &str| part.as_ref().is_none_or(|part| part == name);
    if wanted("creates") {
        for durability in [Durability::Full, Durability::Relaxed] {
            for (group, commits) in [(1, 2_000), (64, 50_000), (256, 50_000)] {
                measure_creates(durability, group, commits);
            }
        }
    }
    if wanted("reads") {
        for documents in [10_000, many] {
            measure_reads(documents);
        }
    }
}

fn measure_creates(durability: Durability, group_commits: u64, commits: u64) {
    let bench = Bench::new(durability);
    // The write-ahead log reaches the size that it keeps; as long as it grows a sync costs several times as much.
    for first in (0..WARM_UP).step_by(256) {
        bench.create(first..first + 256);
    }
    let mut longest = Duration::ZERO;
    let cost = time(|| {
        for first in (WARM_UP..WARM_UP + commits).step_by(group_commits as usize) {
            let begun = Instant::now();
            bench.create(first..first + group_commits);
            longest = longest.max(begun.elapsed());
        }
    });
    println!(
        "create {durability:?} in groups of {group_commits}: {:.1} µs of processor, {:.0}/s, longest group {longest:.1?}",
        cost.processor / commits as f64,
        1e6 * commits as f64 / cost.elapsed,
    );
}

fn measure_reads(documents: u64) {
    let bench = Bench::new(Durability::Relaxed);
    let cost = time(|| {
        for first in (0..documents).step_by(256) {
            bench.create(first..(first + 256).min(documents));
        }
    });
    println!(
        "{documents} documents with one index entry each: {:.1} µs each to create, {} MB",
        cost.processor / documents as f64,
        bench.store.size_bytes().unwrap() / 1_000_000,
    );
    let mut random = Random(7);
    let report = |what: &str, rounds: u64, action: &mut dyn FnMut()| {
        for _ in 0..rounds / 2 {
            action();
        }
        let cost = time(|| {
            for _ in 0..rounds {
                action();
            }
        });
        let (processor, elapsed) = (cost.processor / rounds as f64, cost.elapsed / rounds as f64);
        println!("  {what}: {processor:.2} µs of processor, {elapsed:.2} µs");
    };
    report("snapshot", 300_000, &mut || drop(bench.store.snapshot().unwrap()));
    report("snapshot and point read", 300_000, &mut || {
        let path = path(random.below(documents));
        let mut bytes = 0;
        let snapshot = bench.store.snapshot().unwrap();
        snapshot
            .get(&path, &mut |row| {
                bytes += row.data.len();
                ControlFlow::Break(())
            })
            .unwrap();
        assert!(bytes > 0);
    });
    for rows in [20, 30] {
        report(&format!("snapshot and index scan of {rows}"), 20_000, &mut || {
            let mut found = 0;
            let from = random.next().to_be_bytes();
            let snapshot = bench.store.snapshot().unwrap();
            snapshot
                .scan_index(
                    bench.index,
                    (Bound::Included(&from), Bound::Unbounded),
                    ScanDirection::Forward,
                    &mut |_, row| {
                        assert!(row.data.len() > 900);
                        found += 1;
                        if found < rows {
                            ControlFlow::Continue(())
                        } else {
                            ControlFlow::Break(())
                        }
                    },
                )
                .unwrap();
        });
    }
    println!(
        "  resident {} MB, of these mapped files {} MB",
        memory("VmRSS:"),
        memory("RssFile:")
    );
    let begun = Instant::now();
    let mut group = bench.store.begin().unwrap();
    group.drop_index(bench.index).unwrap();
    group.finish().unwrap();
    println!("  dropping the index: {:.1?}", begun.elapsed());
}

struct Bench {
    store: SqliteStore,
    index: IndexId,
    _folder: tempfile::TempDir,
}

impl Bench {
    fn new(durability: Durability) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let options = SqliteOptions {
            durability,
            ..SqliteOptions::default()
        };
        let store = SqliteStore::open(folder.path(), options).unwrap();
        let mut group = store.begin().unwrap();
        let index = group
            .create_index(&IndexDefinition {
                collection: "items".to_owned(),
                scope: IndexScope::Collection,
                fields: Vec::new(),
            })
            .unwrap();
        group.finish_index(index).unwrap();
        group.finish().unwrap();
        Self {
            store,
            index,
            _folder: folder,
        }
    }

    /// One commit a document, in one group.
    fn create(&self, numbers: std::ops::Range<u64>) {
        let mut group = self.store.begin().unwrap();
        for number in numbers {
            let commit = Commit {
                writes: vec![DocumentWrite {
                    path: path(number),
                    before: None,
                    after: Some(data(number)),
                    entries: vec![EntryChange {
                        index: self.index,
                        key: key(number),
                        added: true,
                    }],
                }],
                ..Commit::default()
            };
            let version = Version::from_micros(group.last_version().as_micros() + 1);
            group.apply(&commit, version).unwrap();
        }
        group.finish().unwrap();
    }
}

/// Ids in the order of creation, of the length that generated ids have.
fn path(number: u64) -> DocumentPath {
    format!("items/{number:026}").parse().unwrap()
}

fn data(number: u64) -> Arc<str> {
    let text = "x".repeat(960);
    Arc::from(format!(r#"{{"number":{number},"text":"{text}"}}"#))
}

/// A scattered value, then the id.
fn key(number: u64) -> Vec<u8> {
    let mut key = Random(number).next().to_be_bytes().to_vec();
    key.extend_from_slice(format!("{number:026}").as_bytes());
    key
}

/// Microseconds.
struct Cost {
    processor: f64,
    elapsed: f64,
}

fn time(action: impl FnOnce()) -> Cost {
    let processor = || {
        let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
        time.tv_sec as f64 * 1e6 + time.tv_nsec as f64 / 1e3
    };
    let (begun, before) = (Instant::now(), processor());
    action();
    Cost {
        processor: processor() - before,
        elapsed: begun.elapsed().as_secs_f64() * 1e6,
    }
}

fn memory(line: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|text| text.strip_prefix(line)).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() / 1000
}

/// splitmix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}
