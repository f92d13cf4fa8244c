//! Sign-ins: what a flood of them does to reads, how many there are, and what a request costs whose caller has an account.
//!
//! One Andiron of its own is asked, whose limits of attempts are lifted, so that nothing but the hashing of passwords holds
//! anybody back. In each round, one after the other: reads of documents by id, by nobody in particular and by accounts, whose
//! difference is the check of a token; the same reads by accounts while clients sign in without pause; and those sign-ins alone.
//! The rules let everybody read, so that they cost all callers the same.

use std::{
    fmt, fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use serde::Serialize;
use serde_json::{Value, json};

use crate::{
    BenchError,
    dataset::{self, Random},
    http::{self, Client},
    io,
    load::{self, Feed, Load, Measured},
    process::{ServerProcess, thread_cpu_time},
    report::{Sample, median},
    target::{self, Andiron, Target},
    workload::ITEMS,
};

/// Connections that read.
pub const READERS: usize = 64;
/// Clients that sign in, each again as soon as it is answered.
pub const CLIENTS: usize = 32;
/// Everybody may read, whoever it is.
const RULES: &str = "rules_version = '2';
service cloud.firestore {
  match /databases/{database}/documents {
    match /items/{item} { allow read: if true; }
  }
}
";
const PASSWORD: &str = "correct horse battery";
/// Different reads that are sent in turn.
const READ_VARIANTS: usize = 4096;
/// The name of the server's threads that hash passwords.
const HASHING_THREAD: &str = "andiron-hash";
/// Longer than any measurement: a flood ends when it is told to.
const FLOOD_TIME_MAX: Duration = Duration::from_secs(3600);

/// How to measure.
#[derive(Debug, Clone, Copy)]
pub struct SignInsPlan<'a> {
    /// Andiron's executable.
    pub andiron: &'a Path,
    /// Rounds to take the medians of.
    pub rounds: usize,
    /// Uncounted time before each measurement.
    pub warm_up: Duration,
    /// Time of each measurement.
    pub measure: Duration,
}

/// What was found; medians of the rounds.
#[derive(Debug, Clone, Serialize)]
pub struct SignIns {
    /// Reads by nobody in particular.
    pub reads_by_nobody: Sample,
    /// The same by accounts: their tokens are checked.
    pub reads_by_accounts: Sample,
    /// The same while clients sign in. The server's CPU and memory are those of both together.
    pub reads_in_flood: Sample,
    /// Sign-ins a second meanwhile.
    pub flood_rate: f64,
    /// Half of them took at most this long.
    pub flood_p50_ms: f64,
    /// Sign-ins when nothing else is asked.
    pub sign_ins: Sample,
    /// The part of that time in which the server's one hashing thread was busy: at 1, nothing else holds sign-ins back.
    pub hashing_share: f64,
}

impl SignIns {
    /// How much of the rate of reads the flood takes.
    #[must_use]
    pub fn reads_lost(&self) -> f64 {
        1.0 - self.reads_in_flood.rate / self.reads_by_accounts.rate
    }

    /// Microseconds of the server's CPU that a request costs more whose caller has an account.
    #[must_use]
    pub fn token_us(&self) -> f64 {
        self.reads_by_accounts.server_cpu_us - self.reads_by_nobody.server_cpu_us
    }
}

impl fmt::Display for SignIns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (nobody, accounts, flood) = (
            &self.reads_by_nobody,
            &self.reads_by_accounts,
            &self.reads_in_flood,
        );
        writeln!(
            f,
            "reads over {READERS} connections: by nobody {:.0}/s, {:.2} µs of CPU; by accounts {:.0}/s, {:.2} µs: {:+.2} µs a token",
            nobody.rate,
            nobody.server_cpu_us,
            accounts.rate,
            accounts.server_cpu_us,
            self.token_us()
        )?;
        writeln!(
            f,
            "while {CLIENTS} sign in: {:.0}/s ({:+.1} %), p50 {:.0} µs (alone {:.0}), p99 {:.0} µs (alone {:.0}), peak {:.1} MB (alone {:.1})",
            flood.rate,
            -100.0 * self.reads_lost(),
            flood.p50_us,
            accounts.p50_us,
            flood.p99_us,
            accounts.p99_us,
            flood.memory.peak_kib as f64 * 1024.0 / 1e6,
            accounts.memory.peak_kib as f64 * 1024.0 / 1e6,
        )?;
        write!(
            f,
            "sign-ins: {:.1}/s meanwhile, half of them within {:.0} ms; {:.1}/s alone, {:.1} ms of CPU each, the hashing thread busy for {:.0} %",
            self.flood_rate,
            self.flood_p50_ms,
            self.sign_ins.rate,
            self.sign_ins.server_cpu_us / 1e3,
            100.0 * self.hashing_share
        )
    }
}

/// Measures on a server of its own in `folder`, which must be empty.
///
/// # Errors
/// The server fails, or refuses anything.
pub fn run(
    plan: SignInsPlan<'_>,
    folder: &Path,
    progress: &mut dyn FnMut(&str),
) -> Result<SignIns, BenchError> {
    progress("sign-ins: documents and accounts");
    let target = Andiron::without_attempt_limits(PathBuf::from(plan.andiron));
    fs::write(folder.join("andiron.rules"), RULES).map_err(io("writing rules"))?;
    let session = target.open(folder)?;
    target.load(&session, 0..ITEMS)?;
    let tokens = sign_up(session.server.address())?;
    let mut nobody = Copies::reads(&[None]);
    let callers: Vec<_> = tokens.iter().map(|token| Some(token.as_str())).collect();
    let mut accounts = Copies::reads(&callers);
    let bench = Bench {
        plan,
        server: &session.server,
    };
    let mut found = Rounds::default();
    for round in 1..=plan.rounds {
        progress(&format!("sign-ins: round {round} of {}", plan.rounds));
        found.by_nobody.push(bench.measure(&mut nobody, READERS)?);
        found.by_accounts.push(bench.measure(&mut accounts, READERS)?);
        let flood = Flood::start(session.server.address(), session.server.pid());
        found.in_flood.push(bench.measure(&mut accounts, READERS)?);
        let flood = flood.stop()?;
        found.flood_rate.push(flood.rate());
        found.flood_p50_ms.push(flood.latency_us(0.5) / 1e3);
        let pid = session.server.pid();
        let (begun, hashed) = (Instant::now(), thread_cpu_time(pid, HASHING_THREAD)?);
        found
            .sign_ins
            .push(bench.measure(&mut Copies::sign_ins(None), CLIENTS)?);
        let hashed = thread_cpu_time(pid, HASHING_THREAD)?.saturating_sub(hashed);
        found
            .hashing_share
            .push(hashed.as_secs_f64() / begun.elapsed().as_secs_f64());
    }
    session.server.stop()?;
    Ok(found.medians())
}

struct Bench<'a> {
    plan: SignInsPlan<'a>,
    server: &'a ServerProcess,
}

impl Bench<'_> {
    fn measure(&self, feed: &mut dyn Feed, connections: usize) -> Result<Sample, BenchError> {
        self.server.reset_peak()?;
        let load = Load {
            address: self.server.address(),
            pid: self.server.pid(),
            connections,
            warm_up: self.plan.warm_up,
            measure: self.plan.measure,
        };
        let measured = load::run(&load, feed, None)?;
        Ok(Sample::new(&measured, self.server.memory()?))
    }
}

#[derive(Default)]
struct Rounds {
    by_nobody: Vec<Sample>,
    by_accounts: Vec<Sample>,
    in_flood: Vec<Sample>,
    flood_rate: Vec<f64>,
    flood_p50_ms: Vec<f64>,
    sign_ins: Vec<Sample>,
    hashing_share: Vec<f64>,
}

impl Rounds {
    fn medians(&self) -> SignIns {
        SignIns {
            reads_by_nobody: Sample::median(&self.by_nobody),
            reads_by_accounts: Sample::median(&self.by_accounts),
            reads_in_flood: Sample::median(&self.in_flood),
            flood_rate: median(&self.flood_rate),
            flood_p50_ms: median(&self.flood_p50_ms),
            sign_ins: Sample::median(&self.sign_ins),
            hashing_share: median(&self.hashing_share),
        }
    }
}

/// Requests made beforehand, one after the other, without end or until told.
struct Copies {
    requests: Vec<Vec<u8>>,
    next: usize,
    stop: Option<Arc<AtomicBool>>,
}

impl Copies {
    /// Reads of documents drawn evenly, by callers in turn.
    fn reads(tokens: &[Option<&str>]) -> Self {
        let mut random = Random::new(11);
        let request = |number: usize| {
            let path = format!(
                "/api/v1/docs/{}/{}",
                target::ITEMS,
                dataset::id(random.below(ITEMS))
            );
            let authorization =
                tokens[number % tokens.len()].map(|token| format!("Authorization: Bearer {token}"));
            let headers: Vec<_> = authorization.as_deref().into_iter().collect();
            http::request("GET", &path, &headers, None)
        };
        Self::new((0..READ_VARIANTS).map(request).collect(), None)
    }

    /// Sign-ins by all accounts in turn.
    fn sign_ins(stop: Option<Arc<AtomicBool>>) -> Self {
        let request = |number| post("sign-in", &json!({"email": email(number), "password": PASSWORD}));
        Self::new((0..CLIENTS).map(request).collect(), stop)
    }

    fn new(requests: Vec<Vec<u8>>, stop: Option<Arc<AtomicBool>>) -> Self {
        Self {
            requests,
            next: 0,
            stop,
        }
    }
}

impl Feed for Copies {
    fn next(&mut self, out: &mut Vec<u8>) -> Option<u16> {
        if self
            .stop
            .as_ref()
            .is_some_and(|stop| stop.load(Ordering::Relaxed))
        {
            return None;
        }
        out.extend_from_slice(&self.requests[self.next]);
        self.next = (self.next + 1) % self.requests.len();
        Some(200)
    }
}

/// Clients that sign in without pause, on a thread of their own.
struct Flood {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Result<Measured, BenchError>>,
}

impl Flood {
    fn start(address: SocketAddr, pid: u32) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let mut feed = Copies::sign_ins(Some(Arc::clone(&stop)));
        let load = Load {
            address,
            pid,
            connections: CLIENTS,
            warm_up: Duration::ZERO,
            measure: FLOOD_TIME_MAX,
        };
        let thread = thread::spawn(move || load::run(&load, &mut feed, None));
        Self { stop, thread }
    }

    /// Waits for those that are under way.
    fn stop(self) -> Result<Measured, BenchError> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread
            .join()
            .map_err(|_| BenchError::Answer("the flood of sign-ins broke off"))?
    }
}

fn email(number: usize) -> String {
    format!("somebody{number}@example.org")
}

fn post(path: &str, body: &Value) -> Vec<u8> {
    let path = format!("/api/v1/auth/{path}");
    http::request("POST", &path, &[], Some(body.to_string().as_bytes()))
}

/// Makes the accounts, and gives an access token of each.
fn sign_up(address: SocketAddr) -> Result<Vec<String>, BenchError> {
    let mut client = Client::connect(address)?;
    let mut one = |number| {
        let request = post("sign-up", &json!({"email": email(number), "password": PASSWORD}));
        let answer = client.expect("a sign-up", 201, &request)?;
        let answer: Value = serde_json::from_slice(&answer).unwrap_or_default();
        let token = answer["session"]["accessToken"].as_str();
        token
            .map(ToOwned::to_owned)
            .ok_or(BenchError::Answer("a sign-up without a token"))
    };
    (0..CLIENTS).map(&mut one).collect()
}
