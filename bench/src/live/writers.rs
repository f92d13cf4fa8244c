//! What is written while somebody listens: as fast as it is answered, or at a pace.

use std::{
    net::SocketAddr,
    sync::OnceLock,
    thread,
    time::{Duration, Instant},
};

use memchr::memmem;

use super::{LiveDialect, wire::MOMENT_DIGITS};
use crate::{BenchError, dataset::Random, http::Client, load::Feed};

/// Connections of a paced writer, so that a write that takes long does not hold up the next.
const PACED_CONNECTIONS: u32 = 4;

/// A moment with so many digits that there are none in it to fill up.
const MOMENT_BASE: u64 = 1_000_000_000_000_000;

/// Stand for an id and a moment in a template.
const ID_HOLE: &str = "livezzzzzzzzzzz";
const SENT_HOLE: &str = "7777777777777777";

/// A document that is listened to.
#[derive(Debug, Clone)]
pub struct LiveDocument {
    /// As long as every other.
    pub id: String,
    /// Whose it is.
    pub owner: String,
    /// Filling.
    pub text: String,
    /// When its write was sent, in microseconds since a moment in this process; 0 for none.
    pub sent: u64,
}

impl LiveDocument {
    /// The document with a number.
    #[must_use]
    pub fn new(number: u32, text_bytes: usize, sent: u64) -> Self {
        Self {
            id: id(number),
            owner: owner(number as usize),
            text: "iron and ember ".chars().cycle().take(text_bytes).collect(),
            sent,
        }
    }
}

pub(super) fn id(number: u32) -> String {
    format!("live{number:011}")
}

pub(super) fn owner(number: usize) -> String {
    format!("owner{number}")
}

/// Now.
pub(super) fn moment() -> u64 {
    static BEGUN: OnceLock<Instant> = OnceLock::new();
    MOMENT_BASE + u64::try_from(BEGUN.get_or_init(Instant::now).elapsed().as_micros()).unwrap_or(0)
}

pub(super) fn digits(moment: u64) -> String {
    format!("{moment:0MOMENT_DIGITS$}")
}

/// Patches of documents at random, each with the moment at which it is sent, without end.
pub(super) struct Writes {
    template: Vec<u8>,
    id_at: usize,
    sent_at: usize,
    expected: u16,
    documents: u32,
    random: Random,
}

impl Writes {
    pub(super) fn new(dialect: &dyn LiveDialect, documents: u32) -> Self {
        let template = dialect.patch(ID_HOLE, SENT_HOLE);
        let (_, expected, _) = dialect.statuses();
        Self {
            id_at: memmem::find(&template, ID_HOLE.as_bytes()).expect("a request that names its document"),
            sent_at: memmem::rfind(&template, SENT_HOLE.as_bytes()).expect("a body with the moment"),
            template,
            expected,
            documents,
            random: Random::new(11),
        }
    }
}

impl Feed for Writes {
    fn next(&mut self, out: &mut Vec<u8>) -> Option<u16> {
        let start = out.len();
        out.extend_from_slice(&self.template);
        let id = id(self.random.below(self.documents));
        out[start + self.id_at..][..id.len()].copy_from_slice(id.as_bytes());
        let sent = digits(moment());
        out[start + self.sent_at..][..sent.len()].copy_from_slice(sent.as_bytes());
        Some(self.expected)
    }
}

/// Makes a request.
type MakeRequest<'d> = dyn Fn(&mut Random) -> Vec<u8> + Sync + 'd;

/// Writes at a pace.
pub(super) struct Paced<'d> {
    request: Box<MakeRequest<'d>>,
    expected: u16,
}

impl<'d> Paced<'d> {
    /// Patches as [`Writes`] has them.
    pub(super) fn patches(dialect: &'d dyn LiveDialect, documents: u32, expected: u16) -> Self {
        let request =
            move |random: &mut Random| dialect.patch(&id(random.below(documents)), &digits(moment()));
        Self {
            request: Box::new(request),
            expected,
        }
    }

    /// Documents of owners at random.
    pub(super) fn owned(dialect: &'d dyn LiveDialect, owners: usize, expected: u16) -> Self {
        let owners = u32::try_from(owners).unwrap_or(u32::MAX);
        let request = move |random: &mut Random| {
            let number = random.below(owners);
            let mut document = LiveDocument::new(number, super::TEXT_BYTES, moment());
            // Few documents, many owners.
            document.id = id(number % 100);
            dialect.put(&document)
        };
        Self {
            request: Box::new(request),
            expected,
        }
    }

    /// Large documents.
    pub(super) fn large(dialect: &'d dyn LiveDialect, text_bytes: usize, expected: u16) -> Self {
        let request = move |random: &mut Random| {
            dialect.put(&LiveDocument::new(random.below(100), text_bytes, moment()))
        };
        Self {
            request: Box::new(request),
            expected,
        }
    }

    /// Writes until then, and says how much. What a server cannot keep up with is not made up for.
    pub(super) fn run(
        &self,
        address: SocketAddr,
        per_second: f64,
        until: Instant,
    ) -> Result<u64, BenchError> {
        let gap = Duration::from_secs_f64(f64::from(PACED_CONNECTIONS) / per_second.max(0.1));
        thread::scope(|scope| {
            let writers: Vec<_> = (0..PACED_CONNECTIONS)
                .map(|number| {
                    scope.spawn(move || {
                        let mut client = Client::connect(address)?;
                        let mut random = Random::new(u64::from(number));
                        let mut due = Instant::now() + gap * number / PACED_CONNECTIONS;
                        let mut written = 0;
                        while due < until {
                            thread::sleep(due.saturating_duration_since(Instant::now()));
                            client.expect("a write", self.expected, &(self.request)(&mut random))?;
                            written += 1;
                            due = (due + gap).max(Instant::now() - gap);
                        }
                        Ok(written)
                    })
                })
                .collect();
            writers
                .into_iter()
                .map(|writer| writer.join().expect("the writer does not panic"))
                .sum()
        })
    }
}
