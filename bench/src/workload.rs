//! What is asked of the servers: the operations, ready-made requests for them, and their mixes.
//!
//! Invariant: two servers given the same workload and seed get the same operations on the same documents in the same
//! order. Requests are built before a measurement; while it runs, they are only copied.

use std::fmt;

use memchr::memmem;
use serde::Serialize;

use crate::{
    BenchError,
    dataset::{self, Random},
    load::Feed,
};

/// Documents that reads, lists and changes choose from.
pub const ITEMS: u32 = 10_000;

/// Documents in a list's answer.
pub const LIST_LIMIT: u32 = 30;

/// Documents in the answer of the query whose growth is measured.
pub const GROWTH_LIMIT: u32 = 20;

/// The pace of changes in [`Workload::ReadChanging`].
pub const CHANGES_PER_SECOND: u32 = 500;

/// How many different documents creates rotate through.
const CREATE_VARIANTS: u32 = 512;

/// How many different starting points the growing query rotates through.
const GROWTH_VARIANTS: u64 = 4096;

/// One of the measured workloads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Workload {
    /// A new document of 1 KB with an id of the server's making.
    Create,
    /// One document by its id.
    Read,
    /// As `Read`, while one more connection changes documents of the same collection.
    ReadChanging,
    /// Thirty of 10,000 documents: two conditions, newest first.
    List,
    /// One field of one document set.
    Patch,
    /// 80 % `Read`, 15 % `List`, 5 % `Patch`.
    Mixed,
}

impl Workload {
    /// All, in the order of the report.
    pub const ALL: [Self; 6] = [
        Self::Create,
        Self::Read,
        Self::ReadChanging,
        Self::List,
        Self::Patch,
        Self::Mixed,
    ];

    /// Its name on the command line and in results.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Read => "read",
            Self::ReadChanging => "read-changing",
            Self::List => "list",
            Self::Patch => "patch",
            Self::Mixed => "mixed",
        }
    }
}

impl fmt::Display for Workload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl std::str::FromStr for Workload {
    type Err = BenchError;

    fn from_str(name: &str) -> Result<Self, BenchError> {
        Self::ALL
            .into_iter()
            .find(|workload| workload.name() == name)
            .ok_or_else(|| BenchError::Usage(format!("no workload is called `{name}`")))
    }
}

/// How one server writes the operations.
pub trait Dialect {
    /// A new document with an id of the server's making, into the collection of creates.
    fn create(&self, document: &dataset::Document) -> Vec<u8>;
    /// The document `id`.
    fn read(&self, id: &str) -> Vec<u8>;
    /// Sets `views` of the document `id`.
    fn patch(&self, id: &str, views: &str) -> Vec<u8>;
    /// The first `limit` published documents of a category, newest first.
    fn list(&self, category: &str, limit: u32) -> Vec<u8>;
    /// The first `limit` documents of a category created before a moment, newest first.
    fn list_before(&self, category: &str, moment: jiff::Timestamp, limit: u32) -> Vec<u8>;
    /// Any request with a JSON body, as whoever the other requests come from.
    fn post(&self, path: &str, body: &str) -> Vec<u8>;
    /// The statuses of success.
    fn statuses(&self) -> Statuses;
}

/// The status that each operation has when it succeeds.
#[derive(Debug, Clone, Copy)]
pub struct Statuses {
    /// Of a create.
    pub create: u16,
    /// Of a read, a list and a patch.
    pub ok: u16,
}

/// The operations as one server's bytes.
#[derive(Debug, Clone)]
pub struct Requests {
    creates: Vec<Vec<u8>>,
    read: Template,
    patch: Template,
    lists: Vec<Vec<u8>>,
    growing: Vec<Vec<u8>>,
    statuses: Statuses,
}

impl Requests {
    /// Writes the operations in a server's dialect.
    #[must_use]
    pub fn new(dialect: &dyn Dialect) -> Self {
        let mut random = Random::new(7);
        let growing = (0..GROWTH_VARIANTS).map(|_| {
            let category = dataset::category(random.below(dataset::CATEGORIES));
            // The earliest tenth is left out, so that every answer is full in a collection of 10,000.
            let offset = dataset::SPAN_MS / 10 + random.draw() % (dataset::SPAN_MS / 10 * 9);
            dialect.list_before(&category, dataset::moment(offset), GROWTH_LIMIT)
        });
        Self {
            // Beyond any number that is loaded: a create never repeats a document that is there already.
            creates: (0..CREATE_VARIANTS)
                .map(|n| dialect.create(&dataset::document(900_000_000 + n)))
                .collect(),
            read: Template::new(dialect.read(ID_HOLE), None),
            patch: Template::new(dialect.patch(ID_HOLE, VIEWS_HOLE), Some(VIEWS_HOLE)),
            growing: growing.collect(),
            lists: (0..dataset::CATEGORIES)
                .map(|n| dialect.list(&dataset::category(n), LIST_LIMIT))
                .collect(),
            statuses: dialect.statuses(),
        }
    }
}

/// Stands for an id in a template. As long as an id, so that lengths inside the request stay right.
const ID_HOLE: &str = "zzzidzzzidzzzid";
/// Stands for a number of views.
const VIEWS_HOLE: &str = "777777";

/// A request with a hole for an id and, perhaps, one for a number of views.
#[derive(Debug, Clone)]
struct Template {
    bytes: Vec<u8>,
    id_at: usize,
    views_at: Option<usize>,
}

impl Template {
    fn new(bytes: Vec<u8>, views: Option<&str>) -> Self {
        let id_at = memmem::find(&bytes, ID_HOLE.as_bytes()).expect("a request that names its document");
        // The number stands in the body, behind whatever a key in the head may happen to hold.
        let views_at =
            views.map(|hole| memmem::rfind(&bytes, hole.as_bytes()).expect("a body with the number"));
        Self {
            bytes,
            id_at,
            views_at,
        }
    }

    fn write(&self, number: u32, views: u32, out: &mut Vec<u8>) {
        let start = out.len();
        out.extend_from_slice(&self.bytes);
        let id = start + self.id_at;
        out[id..id + dataset::ID_BYTES].copy_from_slice(b"item00000000000");
        write_digits(number, &mut out[id + 4..id + dataset::ID_BYTES]);
        if let Some(views_at) = self.views_at {
            write_digits(
                views,
                &mut out[start + views_at..start + views_at + VIEWS_HOLE.len()],
            );
        }
    }
}

/// Writes `number` right-aligned; what stands to its left is overwritten with zeros.
fn write_digits(mut number: u32, out: &mut [u8]) {
    for digit in out.iter_mut().rev() {
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
    }
}

/// One operation of a workload, drawn at random.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operation {
    Create,
    Read,
    List,
    Patch,
    Growing,
}

/// An endless mix of operations on documents `0..items`.
#[derive(Debug)]
pub struct Mix<'a> {
    requests: &'a Requests,
    /// Operations and their shares, in percent.
    shares: &'static [(Operation, u32)],
    items: u32,
    random: Random,
}

impl<'a> Mix<'a> {
    /// The operations of a workload on the first [`ITEMS`] documents.
    #[must_use]
    pub fn workload(requests: &'a Requests, workload: Workload, seed: u64) -> Self {
        let shares: &[_] = match workload {
            Workload::Create => &[(Operation::Create, 100)],
            Workload::Read | Workload::ReadChanging => &[(Operation::Read, 100)],
            Workload::List => &[(Operation::List, 100)],
            Workload::Patch => &[(Operation::Patch, 100)],
            Workload::Mixed => &[
                (Operation::Read, 80),
                (Operation::List, 15),
                (Operation::Patch, 5),
            ],
        };
        Self {
            requests,
            shares,
            items: ITEMS,
            random: Random::new(seed),
        }
    }

    /// The changes that go on beside [`Workload::ReadChanging`].
    #[must_use]
    pub fn changes(requests: &'a Requests, seed: u64) -> Self {
        Self::workload(requests, Workload::Patch, seed ^ 0xc4a6)
    }

    /// Queries of [`GROWTH_LIMIT`] documents from random places of the collection.
    #[must_use]
    pub fn growing_query(requests: &'a Requests, seed: u64) -> Self {
        Self {
            requests,
            shares: &[(Operation::Growing, 100)],
            items: ITEMS,
            random: Random::new(seed),
        }
    }

    /// The same operations on documents `0..items`.
    #[must_use]
    pub fn over(self, items: u32) -> Self {
        Self { items, ..self }
    }

    fn operation(&mut self) -> Operation {
        let mut at = self.random.below(100);
        for (operation, share) in self.shares {
            match at.checked_sub(*share) {
                Some(rest) => at = rest,
                None => return *operation,
            }
        }
        self.shares[0].0
    }

    fn copy_one_of(&mut self, choice: &[Vec<u8>], out: &mut Vec<u8>) {
        out.extend_from_slice(&choice[self.random.below(choice.len() as u32) as usize]);
    }
}

impl Feed for Mix<'_> {
    fn next(&mut self, out: &mut Vec<u8>) -> Option<u16> {
        let operation = self.operation();
        let requests = self.requests;
        match operation {
            Operation::Create => self.copy_one_of(&requests.creates, out),
            Operation::List => self.copy_one_of(&requests.lists, out),
            Operation::Growing => self.copy_one_of(&requests.growing, out),
            Operation::Read => requests.read.write(self.random.below(self.items), 0, out),
            Operation::Patch => {
                let number = self.random.below(self.items);
                requests
                    .patch
                    .write(number, 100_000 + self.random.below(900_000), out);
            }
        }
        let create = operation == Operation::Create;
        Some(if create {
            requests.statuses.create
        } else {
            requests.statuses.ok
        })
    }
}
