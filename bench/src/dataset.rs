//! The documents that every server stores: about 1 KB, eight fields of mixed types, the same for every server and run.
//!
//! Invariant: a document is a function of its number alone, so a set of any size can be made piece by piece, and two
//! servers asked the same question must give the same documents.

use jiff::Timestamp;

/// Ids are 15 characters of `[a-z0-9]`, the only form that every server under test takes.
pub const ID_BYTES: usize = 15;

/// How many values `category` has; a list of one category has this share of all documents to choose from.
pub const CATEGORIES: u32 = 20;

/// `createdAt` lies within these milliseconds after [`EPOCH_MS`].
pub const SPAN_MS: u64 = 365 * 24 * 3600 * 1000;

/// 2025-01-01T00:00:00Z.
pub const EPOCH_MS: i64 = 1_735_689_600_000;

/// The length of `body`; it makes the JSON of a document about 1 KB.
const BODY_BYTES: usize = 720;

const WORDS: [&str; 32] = [
    "iron", "hearth", "ember", "stone", "river", "paper", "window", "garden", "signal", "harbour", "ledger",
    "copper", "winter", "market", "bridge", "orchard", "lantern", "meadow", "thread", "anchor", "valley",
    "barrel", "candle", "mirror", "saddle", "timber", "needle", "pocket", "kettle", "ribbon", "hollow",
    "summit",
];

/// One document, before a server's own notation.
#[derive(Debug, Clone, PartialEq)]
pub struct Document {
    /// [`ID_BYTES`] characters, ordered as the numbers are.
    pub id: String,
    /// A short text.
    pub title: String,
    /// As many bytes of text as `BODY_BYTES` says.
    pub body: String,
    /// One of 100 names.
    pub author: String,
    /// One of [`CATEGORIES`] names.
    pub category: String,
    /// True for half of the documents.
    pub published: bool,
    /// 0.0 to 5.0, one decimal.
    pub rating: f64,
    /// Six digits, so that a change of it never changes a request's length.
    pub views: u32,
    /// To the millisecond.
    pub created_at: Timestamp,
    /// Three words.
    pub tags: [&'static str; 3],
}

/// A small generator of numbers (splitmix64): quick, seeded, the same on every machine.
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    /// Starts a sequence.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number.
    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    /// A number below `bound`, which must not be 0.
    pub fn below(&mut self, bound: u32) -> u32 {
        // The high half times the bound: no division, and a bias below 2^-32 that no benchmark can see.
        u32::try_from(((self.draw() >> 32) * u64::from(bound)) >> 32).expect("below a bound of 32 bits")
    }
}

/// splitmix64's finalizer: spreads neighbouring numbers over all 64 bits.
fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// The id of document `number`.
#[must_use]
pub fn id(number: u32) -> String {
    format!("item{number:011}")
}

/// The name of category `number`.
#[must_use]
pub fn category(number: u32) -> String {
    format!("category-{number:02}")
}

/// A moment `offset_ms` after the first `createdAt` there can be.
#[must_use]
pub fn moment(offset_ms: u64) -> Timestamp {
    let offset = i64::try_from(offset_ms % SPAN_MS).expect("a year fits");
    Timestamp::from_millisecond(EPOCH_MS + offset).expect("a time in this century")
}

/// Document `number`.
#[must_use]
pub fn document(number: u32) -> Document {
    let mut random = Random::new(u64::from(number) | 1 << 40);
    let mut body = String::with_capacity(BODY_BYTES + 16);
    while body.len() < BODY_BYTES {
        body.push_str(word(&mut random));
        body.push(' ');
    }
    body.truncate(BODY_BYTES);
    Document {
        id: id(number),
        title: format!("{} {} no. {number}", word(&mut random), word(&mut random)),
        body,
        author: format!("author-{:02}", random.below(100)),
        category: category(random.below(CATEGORIES)),
        published: random.below(2) == 1,
        rating: f64::from(random.below(51)) / 10.0,
        views: 100_000 + random.below(900_000),
        created_at: moment(random.draw()),
        tags: [word(&mut random), word(&mut random), word(&mut random)],
    }
}

fn word(random: &mut Random) -> &'static str {
    WORDS[random.below(32) as usize]
}
