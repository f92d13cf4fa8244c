//! Live queries: what a delivery costs, what those who write notice of it, and what listening costs where nothing happens.
//!
//! A *delivery* is one change of one document that has arrived at one subscriber. Subscribers are counted, not trusted to be
//! told: each delivered document carries the moment at which its write was sent, and a measurement ends only when
//! every subscriber has the last write.
//!
//! Reading order: `wire` (frames and events, as little of them as counting needs), `subscribers` (the thread that
//! reads them all), `writers` (what is written, and at what pace), then the scenarios below.

mod subscribers;
mod wire;
mod writers;

use std::{fmt, path::Path, thread, time::Duration, time::Instant};

use serde::Serialize;

use self::{
    subscribers::{Subscribers, Subscription},
    writers::{Paced, Writes},
};
use crate::{
    BenchError,
    http::Client,
    load::{self, Load},
    process::{self, Memory},
    report::median,
    target::{Session, Target},
};

pub use self::{wire::Wire, writers::LiveDocument};

/// Documents in the collection that is listened to.
const DOCUMENTS: u32 = 2_000;

/// Bytes of text in a document of [`LiveScenario::FanOut`].
const TEXT_BYTES: usize = 160;

/// Connections that write as fast as they are answered.
const WRITERS: usize = 8;

/// Subscribers to one collection.
const SUBSCRIBERS: [usize; 2] = [100, 1_000];

/// Listens of which a change concerns one, over [`FLAT_SOCKETS`] sockets.
const FLAT_LISTENS: [usize; 2] = [100, 100_000];
const FLAT_SOCKETS: usize = 100;
const FLAT_WRITES_PER_SECOND: f64 = 200.0;

/// Sockets on which nothing happens, each with a listen.
const IDLE_SOCKETS: usize = 10_000;

/// Subscribers that stop reading, those that go on, and what is written meanwhile.
const STALLED: usize = 1_000;
const HEALTHY: usize = 100;
const STALLED_TEXT_BYTES: usize = 20_000;
const STALLED_WRITES_PER_SECOND: f64 = 50.0;

/// How long the last write may take to reach everybody.
const ARRIVAL_TIMEOUT: Duration = Duration::from_secs(120);

/// What is left alone for so long is idle.
const IDLE_AFTER: Duration = Duration::from_secs(3);

/// What is measured of live queries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum LiveScenario {
    /// Everybody listens to one collection.
    FanOut,
    /// Many listens, of which a change concerns one.
    Flat,
    /// Many sockets, nothing to tell.
    Idle,
    /// Some read nothing any more.
    Stalled,
}

impl LiveScenario {
    /// All, in the order of the report.
    pub const ALL: [Self; 4] = [Self::FanOut, Self::Flat, Self::Idle, Self::Stalled];

    /// Its name on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::FanOut => "fan-out",
            Self::Flat => "flat",
            Self::Idle => "idle",
            Self::Stalled => "stalled",
        }
    }
}

/// How one server is listened to.
pub trait LiveDialect: Sync {
    /// How it tells of changes.
    fn wire(&self) -> Wire;
    /// Creates one document.
    fn put(&self, document: &LiveDocument) -> Vec<u8>;
    /// Sets the moment in one document; `id` and `sent` are as long as in any other.
    fn patch(&self, id: &str, sent: &str) -> Vec<u8>;
    /// What opens a connection.
    fn connect(&self) -> Vec<u8>;
    /// What subscribes to the collection, or to its documents of which `owner` is this; for an event stream with the id
    /// that it has been given.
    fn subscribe(&self, listen: usize, owner: Option<&str>, client_id: &str) -> Vec<u8>;
    /// The statuses of success: of a put, a patch, a subscription.
    fn statuses(&self) -> (u16, u16, u16);
}

/// What was found.
#[derive(Debug, Clone, Default, Serialize)]
pub struct LiveReport {
    /// [`LiveScenario::FanOut`].
    pub fan_out: Vec<FanOut>,
    /// [`LiveScenario::Flat`].
    pub flat: Vec<Flat>,
    /// [`LiveScenario::Idle`].
    pub idle: Vec<Idle>,
    /// [`LiveScenario::Stalled`].
    pub stalled: Vec<Stalled>,
}

/// Everybody listens to one collection, while `WRITERS` connections write as fast as they are answered; then at the pace
/// of half of the deliveries.
#[derive(Debug, Clone, Serialize)]
pub struct FanOut {
    /// Of which server.
    pub server: String,
    /// Those who listen.
    pub subscribers: usize,
    /// Writes a second while nobody listens.
    pub writes_alone: f64,
    /// Writes a second while they do.
    pub writes: f64,
    /// Deliveries a second.
    pub deliveries: f64,
    /// Deliveries a second if every write were one to each.
    pub deliveries_all: f64,
    /// The server's CPU a delivery, that of the writes included.
    pub cpu_us: f64,
    /// The same without what so many writes cost while nobody listened.
    pub cpu_beside_writes_us: f64,
    /// The CPU of the subscribers' thread a delivery.
    pub subscriber_cpu_us: f64,
    /// Bytes a delivery.
    pub bytes: f64,
    /// Deliveries a second at half of that pace.
    pub half_deliveries: f64,
    /// From the sending of a write to its delivery, at half of that pace.
    pub half_p50_ms: f64,
    /// The same, of 99 %.
    pub half_p99_ms: f64,
    /// The server's CPU a delivery at half of that pace, writes included.
    pub half_cpu_us: f64,
    /// Whether every subscriber had the last write in time.
    pub all_arrived: bool,
    /// Memory at the end.
    pub memory: Memory,
}

/// Many listens, of which a change concerns one.
#[derive(Debug, Clone, Serialize)]
pub struct Flat {
    /// Of which server.
    pub server: String,
    /// Listens of distinct values of one field.
    pub listens: usize,
    /// From the sending of a write to its delivery.
    pub p50_us: f64,
    /// The same, of 99 %.
    pub p99_us: f64,
    /// The server's CPU a change, its write included.
    pub cpu_us: f64,
    /// Seconds until all listened.
    pub begun_seconds: f64,
    /// Memory with all of them.
    pub memory: Memory,
}

/// Sockets on which nothing happens.
#[derive(Debug, Clone, Serialize)]
pub struct Idle {
    /// Of which server.
    pub server: String,
    /// Sockets, each with a listen.
    pub sockets: usize,
    /// Memory before them.
    pub before: Memory,
    /// Memory with them.
    pub memory: Memory,
}

/// Some who listen read nothing any more.
#[derive(Debug, Clone, Serialize)]
pub struct Stalled {
    /// Of which server.
    pub server: String,
    /// Those who read.
    pub healthy: usize,
    /// Those who do not.
    pub stalled: usize,
    /// 99 % of deliveries to those who read took at most this long before there were stalled ones.
    pub p99_before_ms: f64,
    /// The same beside the stalled ones.
    pub p99_ms: f64,
    /// Memory before there were stalled ones.
    pub before: Memory,
    /// Memory at the end; the peak is that since there were stalled ones.
    pub memory: Memory,
}

/// How long and how often.
#[derive(Debug, Clone, Copy)]
pub struct LiveSettings {
    /// Rounds to take medians of.
    pub rounds: usize,
    /// Uncounted time before each measurement.
    pub warm_up: Duration,
    /// Time of each measurement.
    pub measure: Duration,
}

/// Measures one scenario on one server, on a folder of its own.
///
/// # Errors
/// The server refuses something, breaks off, or somebody is not told of the last write.
pub fn run(
    scenario: LiveScenario,
    target: &dyn Target,
    folder: &Path,
    settings: LiveSettings,
    report: &mut LiveReport,
    progress: &mut dyn FnMut(&str),
) -> Result<(), BenchError> {
    let session = target.open(folder)?;
    let Some(dialect) = session.live.as_deref() else {
        return session.server.stop();
    };
    let mut client = Client::connect(session.server.address())?;
    let run = Run {
        server: target.name(),
        session: &session,
        dialect,
        settings,
    };
    match scenario {
        LiveScenario::FanOut => {
            run.fill(&mut client, TEXT_BYTES)?;
            for subscribers in SUBSCRIBERS {
                let fan_out = run.fan_out(subscribers)?;
                progress(&fan_out.to_string());
                report.fan_out.push(fan_out);
            }
        }
        // The peer has no filters in subscriptions but by rules, so these are of Andiron alone.
        LiveScenario::Flat if dialect.wire() == Wire::WebSocket => {
            run.fill(&mut client, TEXT_BYTES)?;
            for listens in FLAT_LISTENS {
                let flat = run.flat(listens)?;
                progress(&flat.to_string());
                report.flat.push(flat);
            }
        }
        LiveScenario::Idle => {
            let idle = run.idle()?;
            progress(&idle.to_string());
            report.idle.push(idle);
        }
        LiveScenario::Stalled if dialect.wire() == Wire::WebSocket => {
            let stalled = run.stalled()?;
            progress(&stalled.to_string());
            report.stalled.push(stalled);
        }
        LiveScenario::Flat | LiveScenario::Stalled => {}
    }
    session.server.stop()
}

struct Run<'r> {
    server: &'r str,
    session: &'r Session,
    dialect: &'r dyn LiveDialect,
    settings: LiveSettings,
}

/// What happened between two moments.
#[derive(Debug, Clone, Copy, Default)]
struct Window {
    seconds: f64,
    writes: f64,
    deliveries: f64,
    bytes: f64,
    server_cpu_us: f64,
    subscriber_cpu_us: f64,
}

impl Run<'_> {
    fn fill(&self, client: &mut Client, text_bytes: usize) -> Result<(), BenchError> {
        let (put, ..) = self.dialect.statuses();
        for number in 0..DOCUMENTS {
            let document = LiveDocument::new(number, text_bytes, 0);
            client.expect("a put", put, &self.dialect.put(&document))?;
        }
        Ok(())
    }

    fn subscribe(&self, sockets: usize, owners: usize) -> Result<Subscribers, BenchError> {
        let per_socket = owners.div_ceil(sockets).max(1);
        let subscriptions = (0..sockets)
            .map(|socket| {
                let listens = (0..per_socket).map(|place| {
                    let owner = (owners > 0).then(|| writers::owner(socket * per_socket + place));
                    self.dialect
                        .subscribe(place, owner.as_deref(), wire::CLIENT_ID_HOLE)
                });
                Subscription {
                    connect: self.dialect.connect(),
                    listens: listens.collect(),
                }
            })
            .collect();
        let (.., subscribed) = self.dialect.statuses();
        Subscribers::start(
            self.session.server.address(),
            self.dialect.wire(),
            subscribed,
            subscriptions,
        )
    }

    /// Watches for the time of a measurement, after an uncounted beginning.
    fn watch(&self, subscribers: Option<&Subscribers>) -> Result<Window, BenchError> {
        thread::sleep(self.settings.warm_up);
        if let Some(subscribers) = subscribers {
            subscribers.forget_latencies();
        }
        let edge = || -> Result<_, BenchError> {
            let counts = subscribers.map(Subscribers::counts).unwrap_or_default();
            Ok((
                Instant::now(),
                process::cpu_time(self.session.server.pid())?,
                counts,
            ))
        };
        let (begun, cpu_before, before) = edge()?;
        thread::sleep(self.settings.measure);
        let (ended, cpu_after, after) = edge()?;
        if let Some(subscribers) = subscribers {
            subscribers.check()?;
        }
        Ok(Window {
            seconds: (ended - begun).as_secs_f64(),
            writes: 0.0,
            deliveries: (after.deliveries - before.deliveries) as f64,
            bytes: (after.bytes - before.bytes) as f64,
            server_cpu_us: (cpu_after - cpu_before).as_secs_f64() * 1e6,
            subscriber_cpu_us: (after.cpu - before.cpu).as_secs_f64() * 1e6,
        })
    }

    /// Writes as fast as answers come.
    fn flood(&self, subscribers: Option<&Subscribers>) -> Result<Window, BenchError> {
        let load = Load {
            address: self.session.server.address(),
            pid: self.session.server.pid(),
            connections: WRITERS,
            warm_up: self.settings.warm_up,
            measure: self.settings.measure,
        };
        let mut writes = Writes::new(self.dialect, DOCUMENTS);
        thread::scope(|scope| {
            let writing = scope.spawn(|| load::run(&load, &mut writes, None));
            let window = self.watch(subscribers);
            let measured = writing.join().expect("the writers do not panic")?;
            Ok(Window {
                writes: measured.rate(),
                ..window?
            })
        })
    }

    /// Writes at a pace.
    fn pace(
        &self,
        subscribers: &Subscribers,
        per_second: f64,
        writes: &Paced<'_>,
    ) -> Result<Window, BenchError> {
        thread::scope(|scope| {
            let until = Instant::now() + self.settings.warm_up + self.settings.measure;
            let address = self.session.server.address();
            let writing = scope.spawn(move || writes.run(address, per_second, until));
            let window = self.watch(Some(subscribers));
            let written = writing.join().expect("the writer does not panic")?;
            let spent = (self.settings.warm_up + self.settings.measure).as_secs_f64();
            Ok(Window {
                writes: written as f64 / spent,
                ..window?
            })
        })
    }

    fn fan_out(&self, count: usize) -> Result<FanOut, BenchError> {
        let (_, patch, _) = self.dialect.statuses();
        let mut rounds = Vec::new();
        let mut all_arrived = true;
        for _ in 0..self.settings.rounds {
            let alone = self.flood(None)?;
            let subscribers = self.subscribe(count, 0)?;
            let peak = self.flood(Some(&subscribers))?;
            all_arrived &= self.arrives(&subscribers)?;
            let pace = peak.deliveries / peak.seconds / count as f64 / 2.0;
            let writes = Paced::patches(self.dialect, DOCUMENTS, patch);
            let half = self.pace(&subscribers, pace, &writes)?;
            let latency = subscribers.latencies();
            all_arrived &= self.arrives(&subscribers)?;
            subscribers.stop()?;
            let write_cpu_us = alone.server_cpu_us / (alone.writes * alone.seconds).max(1.0);
            let beside = peak.server_cpu_us - write_cpu_us * peak.writes * peak.seconds;
            rounds.push(FanOut {
                server: self.server.to_owned(),
                subscribers: count,
                writes_alone: alone.writes,
                writes: peak.writes,
                deliveries: peak.deliveries / peak.seconds,
                deliveries_all: peak.writes * count as f64,
                cpu_us: peak.server_cpu_us / peak.deliveries.max(1.0),
                cpu_beside_writes_us: beside / peak.deliveries.max(1.0),
                subscriber_cpu_us: peak.subscriber_cpu_us / peak.deliveries.max(1.0),
                bytes: peak.bytes / peak.deliveries.max(1.0),
                half_deliveries: half.deliveries / half.seconds,
                half_p50_ms: latency.value_at_quantile(0.5) as f64 / 1e3,
                half_p99_ms: latency.value_at_quantile(0.99) as f64 / 1e3,
                half_cpu_us: half.server_cpu_us / half.deliveries.max(1.0),
                all_arrived: true,
                memory: self.session.server.memory()?,
            });
        }
        let of = |figure: fn(&FanOut) -> f64| median(&rounds.iter().map(figure).collect::<Vec<_>>());
        Ok(FanOut {
            server: self.server.to_owned(),
            subscribers: count,
            writes_alone: of(|round| round.writes_alone),
            writes: of(|round| round.writes),
            deliveries: of(|round| round.deliveries),
            deliveries_all: of(|round| round.deliveries_all),
            cpu_us: of(|round| round.cpu_us),
            cpu_beside_writes_us: of(|round| round.cpu_beside_writes_us),
            subscriber_cpu_us: of(|round| round.subscriber_cpu_us),
            bytes: of(|round| round.bytes),
            half_deliveries: of(|round| round.half_deliveries),
            half_p50_ms: of(|round| round.half_p50_ms),
            half_p99_ms: of(|round| round.half_p99_ms),
            half_cpu_us: of(|round| round.half_cpu_us),
            all_arrived,
            memory: self.session.server.memory()?,
        })
    }

    /// Writes once more, and waits until everybody has that.
    fn arrives(&self, subscribers: &Subscribers) -> Result<bool, BenchError> {
        let (_, patch, _) = self.dialect.statuses();
        let mut client = Client::connect(self.session.server.address())?;
        let last = writers::moment();
        let request = self.dialect.patch(&writers::id(0), &writers::digits(last));
        client.expect("the last write", patch, &request)?;
        let begun = Instant::now();
        while begun.elapsed() < ARRIVAL_TIMEOUT {
            subscribers.check()?;
            if subscribers.have_all(last) {
                return Ok(true);
            }
            thread::sleep(Duration::from_millis(5));
        }
        Ok(false)
    }

    fn flat(&self, listens: usize) -> Result<Flat, BenchError> {
        let (put, ..) = self.dialect.statuses();
        let begun = Instant::now();
        let subscribers = self.subscribe(FLAT_SOCKETS, listens)?;
        let begun_seconds = begun.elapsed().as_secs_f64();
        let writes = Paced::owned(self.dialect, listens, put);
        let mut rounds = Vec::new();
        for _ in 0..self.settings.rounds {
            let window = self.pace(&subscribers, FLAT_WRITES_PER_SECOND, &writes)?;
            let latency = subscribers.latencies();
            rounds.push((
                latency.value_at_quantile(0.5) as f64,
                latency.value_at_quantile(0.99) as f64,
                window.server_cpu_us / window.deliveries.max(1.0),
            ));
        }
        let memory = self.session.server.memory()?;
        subscribers.stop()?;
        let of = |figure: fn(&(f64, f64, f64)) -> f64| median(&rounds.iter().map(figure).collect::<Vec<_>>());
        Ok(Flat {
            server: self.server.to_owned(),
            listens,
            p50_us: of(|round| round.0),
            p99_us: of(|round| round.1),
            cpu_us: of(|round| round.2),
            begun_seconds,
            memory,
        })
    }

    fn idle(&self) -> Result<Idle, BenchError> {
        let before = self.session.server.memory()?;
        let subscribers = self.subscribe(IDLE_SOCKETS, 0)?;
        thread::sleep(IDLE_AFTER);
        let memory = self.session.server.memory()?;
        subscribers.stop()?;
        Ok(Idle {
            server: self.server.to_owned(),
            sockets: IDLE_SOCKETS,
            before,
            memory,
        })
    }

    fn stalled(&self) -> Result<Stalled, BenchError> {
        let (put, ..) = self.dialect.statuses();
        let writes = Paced::large(self.dialect, STALLED_TEXT_BYTES, put);
        let healthy = self.subscribe(HEALTHY, 0)?;
        self.pace(&healthy, STALLED_WRITES_PER_SECOND, &writes)?;
        let p99_before = healthy.latencies().value_at_quantile(0.99);
        let before = self.session.server.memory()?;
        let stalled = self.subscribe(STALLED, 0)?;
        stalled.stall();
        self.session.server.reset_peak()?;
        // Until what they are sent waits here and not on its way.
        self.pace(&healthy, STALLED_WRITES_PER_SECOND, &writes)?;
        let mut p99 = Vec::new();
        for _ in 0..self.settings.rounds {
            self.pace(&healthy, STALLED_WRITES_PER_SECOND, &writes)?;
            p99.push(healthy.latencies().value_at_quantile(0.99) as f64);
        }
        let memory = self.session.server.memory()?;
        stalled.stop()?;
        healthy.stop()?;
        Ok(Stalled {
            server: self.server.to_owned(),
            healthy: HEALTHY,
            stalled: STALLED,
            p99_before_ms: p99_before as f64 / 1e3,
            p99_ms: median(&p99) / 1e3,
            before,
            memory,
        })
    }
}

fn megabytes(kib: u64) -> f64 {
    kib as f64 * 1024.0 / 1e6
}

impl fmt::Display for FanOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "fan-out {:<12} {:>5} subscribers: {:>8.0} deliveries/s ({:.0} % of writes × subscribers), {:.2} µs of CPU ({:.2} beside \
             the writes), {:.0} B; {:.0} writes/s ({:.0} alone: {:.0} %); at {:.0}/s p50 {:.1} ms, p99 {:.1} ms, {:.2} µs{}; {:.0} MB",
            self.server,
            self.subscribers,
            self.deliveries,
            100.0 * self.deliveries / self.deliveries_all.max(1.0),
            self.cpu_us,
            self.cpu_beside_writes_us,
            self.bytes,
            self.writes,
            self.writes_alone,
            100.0 * self.writes / self.writes_alone,
            self.half_deliveries,
            self.half_p50_ms,
            self.half_p99_ms,
            self.half_cpu_us,
            if self.all_arrived { "" } else { "; NOT ALL ARRIVED" },
            megabytes(self.memory.resident_kib),
        )
    }
}

impl fmt::Display for Flat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "flat    {:<12} {:>6} listens: p50 {:.0} µs, p99 {:.0} µs, {:.1} µs of CPU a change; begun in {:.1} s, {:.0} MB",
            self.server,
            self.listens,
            self.p50_us,
            self.p99_us,
            self.cpu_us,
            self.begun_seconds,
            megabytes(self.memory.resident_kib),
        )
    }
}

impl fmt::Display for Idle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "idle    {:<12} {:>6} sockets: {:.0} MB, {:.0} MB before",
            self.server,
            self.sockets,
            megabytes(self.memory.resident_kib),
            megabytes(self.before.resident_kib),
        )
    }
}

impl fmt::Display for Stalled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "stalled {:<12} {:>6} of {}: p99 of the others {:.1} ms, {:.1} ms before; {:.0} MB (peak {:.0}), {:.0} MB before",
            self.server,
            self.stalled,
            self.stalled + self.healthy,
            self.p99_ms,
            self.p99_before_ms,
            megabytes(self.memory.resident_kib),
            megabytes(self.memory.peak_kib),
            megabytes(self.before.resident_kib),
        )
    }
}
