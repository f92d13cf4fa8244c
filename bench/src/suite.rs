//! The order of things: servers are started, given the documents and compared, then measured in turn.
//!
//! Every measurement of one server is followed at once by the same measurement of the next, round after round, and the
//! report holds medians: a spell of noise on the machine meets all servers alike and outvotes none of them.

use std::{
    fs,
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use crate::{
    BenchError,
    files::{self, FileReport, FileScenario, FilesPlan},
    io,
    live::{self, LiveReport, LiveScenario, LiveSettings},
    load::{self, Background, Load},
    machine,
    process::{self, AddressSource, ServerProcess},
    report::{Cell, Floor, Growth, GrowthRow, Report, Sample, Server, Settings, Start, median},
    sign_ins::{self, SignInsPlan},
    target::{self, Andiron, PocketBase, Session, Target},
    workload::{CHANGES_PER_SECOND, ITEMS, Mix, Requests, Workload},
};

/// How many times a start is timed.
const STARTS: usize = 7;

/// A server that has been left alone for so long is idle.
const IDLE_AFTER: Duration = Duration::from_secs(2);

/// The sizes between which growth is measured.
const GROWTH_SIZES: [u32; 2] = [ITEMS, 1_000_000];

/// Connections under which growth is measured: one for latency, many for CPU.
const GROWTH_CONNECTIONS: [usize; 2] = [1, 64];

/// What to run.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Andiron's executable.
    pub andiron: Option<PathBuf>,
    /// PocketBase's executable.
    pub pocketbase: Option<PathBuf>,
    /// Whether PocketBase keeps its log of every request.
    pub peer_log: bool,
    /// The workloads, in this order.
    pub workloads: Vec<Workload>,
    /// What is measured of live queries.
    pub live: Vec<LiveScenario>,
    /// What is measured of files.
    pub files: Vec<FileScenario>,
    /// Whether sign-ins are measured, on Andiron alone.
    pub sign_ins: bool,
    /// nginx's executable, for large downloads.
    pub nginx: Option<PathBuf>,
    /// Numbers of connections for each workload.
    pub connections: Vec<usize>,
    /// Whether start-up and idle memory are measured.
    pub start: bool,
    /// Whether growth to a million documents is measured, on Andiron alone.
    pub grow: bool,
    /// Rounds to take the medians of.
    pub rounds: usize,
    /// Uncounted time before each measurement.
    pub warm_up: Duration,
    /// Time of each measurement.
    pub measure: Duration,
    /// An existing folder for the servers' data, on the disk that is to be judged.
    pub folder: PathBuf,
}

/// A server under test with what it needs to be driven.
struct Entry {
    target: Box<dyn Target>,
    session: Session,
    requests: Requests,
    /// Only creates on one connection, the one case where durability is all the difference.
    creates_only: bool,
}

impl Entry {
    fn runs(&self, workload: Workload, connections: usize) -> bool {
        !self.creates_only || (workload == Workload::Create && connections == 1)
    }
}

/// Runs the plan. `progress` gets a line before each longer step.
///
/// # Errors
/// A server fails, or two servers give different answers to the same question.
pub fn run(plan: &Plan, progress: &mut dyn FnMut(&str)) -> Result<Report, BenchError> {
    let targets = targets(plan)?;
    let mut report = Report {
        schema: 1,
        date: jiff::Timestamp::now(),
        source: machine::source(),
        machine: machine::machine(&plan.folder)?,
        settings: Settings {
            rounds: plan.rounds,
            warm_up_seconds: plan.warm_up.as_secs_f64(),
            measure_seconds: plan.measure.as_secs_f64(),
            documents: ITEMS,
            changes_per_second: CHANGES_PER_SECOND,
            peer_log: plan.peer_log,
        },
        servers: Vec::new(),
        generator: Vec::new(),
        cells: Vec::new(),
        live: LiveReport::default(),
        files: FileReport::default(),
        sign_ins: None,
        growth: Vec::new(),
    };
    for target in &targets {
        report.servers.push(Server {
            name: target.name().to_owned(),
            version: target.version()?,
            binary_bytes: process::binary_bytes(target.binary())?,
            start: None,
        });
    }
    if !plan.workloads.is_empty() {
        progress("the generator alone");
        report.generator = floors(plan)?;
    }
    if plan.start {
        progress("starting on an empty folder and again");
        for (server, start) in report.servers.iter_mut().zip(starts(plan, &targets)?) {
            server.start = Some(start);
        }
    }
    let settings = LiveSettings {
        rounds: plan.rounds,
        warm_up: plan.warm_up,
        measure: plan.measure,
    };
    for &scenario in &plan.live {
        for target in &targets {
            let folder = make_folder(plan, &format!("{}-{}", target.name(), scenario.name()))?;
            machine::settle_disk(&plan.folder)?;
            live::run(
                scenario,
                target.as_ref(),
                &folder,
                settings,
                &mut report.live,
                progress,
            )?;
            remove_folder(&folder)?;
        }
    }
    let settings = FilesPlan {
        andiron: plan.andiron.as_deref(),
        nginx: plan.nginx.as_deref(),
        rounds: plan.rounds,
        warm_up: plan.warm_up,
        measure: plan.measure,
        folder: &plan.folder,
    };
    for &scenario in &plan.files {
        files::run(scenario, &targets, settings, &mut report.files, progress)?;
    }
    if plan.sign_ins
        && let Some(andiron) = &plan.andiron
    {
        let folder = make_folder(plan, "sign-ins")?;
        let plan = SignInsPlan {
            andiron,
            rounds: plan.rounds,
            warm_up: plan.warm_up,
            measure: plan.measure,
        };
        report.sign_ins = Some(sign_ins::run(plan, &folder, progress)?);
        remove_folder(&folder)?;
    }
    if !plan.workloads.is_empty() {
        workloads(plan, targets, &mut report, progress)?;
    }
    if plan.grow
        && let Some(binary) = &plan.andiron
    {
        report.growth = growth(plan, Andiron::new(binary.clone()), progress)?;
    }
    Ok(report)
}

fn targets(plan: &Plan) -> Result<Vec<Box<dyn Target>>, BenchError> {
    let mut targets: Vec<Box<dyn Target>> = Vec::new();
    if let Some(binary) = &plan.andiron {
        targets.push(Box::new(Andiron::new(binary.clone())));
    }
    if let Some(binary) = &plan.pocketbase {
        targets.push(Box::new(PocketBase::new(binary.clone(), plan.peer_log)));
    }
    if targets.is_empty() {
        return Err(BenchError::Usage(
            "nothing to measure: give --andiron, --pocketbase or both".into(),
        ));
    }
    Ok(targets)
}

/// What the generator costs and reaches against a server that does nothing.
fn floors(plan: &Plan) -> Result<Vec<Floor>, BenchError> {
    let own = std::env::current_exe().map_err(io("finding this program"))?;
    let mut command = std::process::Command::new(own);
    command.arg("hello");
    let log = plan.folder.join("hello.log");
    let server = ServerProcess::start("hello", command, AddressSource::Printed, "/", &log)?;
    let mut floors = Vec::new();
    for &connections in &plan.connections {
        let mut feed = OneRequest(crate::http::request("GET", "/", &[], None));
        let measured = load::run(&load(plan, &server, connections), &mut feed, None)?;
        floors.push(Floor {
            connections,
            rate: measured.rate(),
            p50_us: measured.latency_us(0.5),
            generator_cpu_us: measured.generator_cpu_us(),
        });
    }
    Ok(floors)
}

/// The same request for ever.
struct OneRequest(Vec<u8>);

impl load::Feed for OneRequest {
    fn next(&mut self, out: &mut Vec<u8>) -> Option<u16> {
        out.extend_from_slice(&self.0);
        Some(200)
    }
}

fn load(plan: &Plan, server: &ServerProcess, connections: usize) -> Load {
    Load {
        address: server.address(),
        pid: server.pid(),
        connections,
        warm_up: plan.warm_up,
        measure: plan.measure,
    }
}

/// Starts every server on empty folders and once more on the same.
fn starts(plan: &Plan, targets: &[Box<dyn Target>]) -> Result<Vec<Start>, BenchError> {
    let mut fresh = vec![Vec::new(); targets.len()];
    let mut again = vec![Vec::new(); targets.len()];
    let mut idle = vec![process::Memory::default(); targets.len()];
    for round in 0..STARTS {
        for (number, target) in targets.iter().enumerate() {
            let folder = make_folder(plan, &format!("{}-start-{round}", target.name()))?;
            let server = target.start(&folder)?;
            fresh[number].push(milliseconds(server.ready_after()));
            if round == 0 {
                thread::sleep(IDLE_AFTER);
                idle[number] = server.memory()?;
            }
            server.stop()?;
            let server = target.start(&folder)?;
            again[number].push(milliseconds(server.ready_after()));
            server.stop()?;
            remove_folder(&folder)?;
        }
    }
    Ok((0..targets.len())
        .map(|number| Start {
            fresh_ms: median(&fresh[number]),
            again_ms: median(&again[number]),
            loaded_ms: None,
            idle: idle[number],
            idle_loaded: None,
        })
        .collect())
}

fn workloads(
    plan: &Plan,
    targets: Vec<Box<dyn Target>>,
    report: &mut Report,
    progress: &mut dyn FnMut(&str),
) -> Result<(), BenchError> {
    let mut entries = Vec::new();
    for target in targets {
        progress(&format!("{}: loading {ITEMS} documents", target.name()));
        entries.push(enter(plan, target, false)?);
    }
    compare(&entries)?;
    // Joined here and not before: it is the same server once more, needed for one line of the table.
    if let Some(binary) = &plan.andiron
        && plan.workloads.contains(&Workload::Create)
        && plan.connections.contains(&1)
    {
        entries.push(enter(plan, Box::new(Andiron::relaxed(binary.clone())), true)?);
    }
    for &workload in &plan.workloads {
        for &connections in &plan.connections {
            let running: Vec<_> = entries
                .iter()
                .filter(|entry| entry.runs(workload, connections))
                .collect();
            let mut samples = vec![Vec::with_capacity(plan.rounds); running.len()];
            for round in 0..plan.rounds {
                for turn in 0..running.len() {
                    // Another one begins each round, so that none always comes after the same neighbour.
                    let number = (turn + round) % running.len();
                    let entry = running[number];
                    let sample = measure(plan, entry, workload, connections, round)?;
                    progress(&format!(
                        "{workload}, {connections} connections, round {} of {}: {} {:.0}/s, {:.1} µs of CPU",
                        round + 1,
                        plan.rounds,
                        entry.target.name(),
                        sample.rate,
                        sample.server_cpu_us,
                    ));
                    samples[number].push(sample);
                }
            }
            for (entry, rounds) in running.iter().zip(samples) {
                let server = entry.target.name().to_owned();
                report.cells.push(Cell {
                    workload,
                    connections,
                    server,
                    median: Sample::median(&rounds),
                    rounds,
                });
            }
        }
    }
    for entry in entries {
        let folder = entry.session.folder.clone();
        entry.session.server.stop()?;
        let described = report
            .servers
            .iter_mut()
            .find(|server| server.name == entry.target.name());
        if let Some(start) = described.and_then(|server| server.start.as_mut()) {
            let server = entry.target.start(&folder)?;
            start.loaded_ms = Some(milliseconds(server.ready_after()));
            thread::sleep(IDLE_AFTER);
            start.idle_loaded = Some(server.memory()?);
            server.stop()?;
        }
        remove_folder(&folder)?;
    }
    Ok(())
}

fn enter(plan: &Plan, target: Box<dyn Target>, creates_only: bool) -> Result<Entry, BenchError> {
    let folder = make_folder(plan, target.name())?;
    let session = target.open(&folder)?;
    if !creates_only {
        target.load(&session, 0..ITEMS)?;
        target.settle(&session)?;
    }
    let requests = Requests::new(session.dialect.as_ref());
    Ok(Entry {
        target,
        session,
        requests,
        creates_only,
    })
}

/// Servers that answer differently must not be compared.
fn compare(entries: &[Entry]) -> Result<(), BenchError> {
    let mut expected: Option<Vec<Vec<String>>> = None;
    for entry in entries {
        let lists = target::first_lists(entry.target.as_ref(), &entry.session)?;
        match &expected {
            Some(expected) if *expected != lists => {
                return Err(BenchError::Server {
                    server: entry.target.name().to_owned(),
                    detail: format!("its lists are not those of {}", entries[0].target.name()),
                });
            }
            _ => expected = Some(lists),
        }
    }
    Ok(())
}

fn measure(
    plan: &Plan,
    entry: &Entry,
    workload: Workload,
    connections: usize,
    round: usize,
) -> Result<Sample, BenchError> {
    machine::settle_disk(&plan.folder)?;
    let seed = 1 + round as u64;
    let mut feed = Mix::workload(&entry.requests, workload, seed);
    let mut changes = Mix::changes(&entry.requests, seed);
    let background = (workload == Workload::ReadChanging).then_some(Background {
        feed: &mut changes,
        per_second: CHANGES_PER_SECOND,
    });
    let server = &entry.session.server;
    server.reset_peak()?;
    let measured = load::run(&load(plan, server, connections), &mut feed, background)?;
    Ok(Sample::new(&measured, server.memory()?))
}

/// One server from ten thousand documents to a million.
fn growth(plan: &Plan, andiron: Andiron, progress: &mut dyn FnMut(&str)) -> Result<Vec<Growth>, BenchError> {
    let folder = make_folder(plan, "andiron-growth")?;
    let session = andiron.open(&folder)?;
    let requests = Requests::new(session.dialect.as_ref());
    let mut stored = 0;
    let mut growth = Vec::new();
    for documents in GROWTH_SIZES {
        progress(&format!("growth: loading up to {documents} documents"));
        let begun = std::time::Instant::now();
        andiron.load(&session, stored..documents)?;
        let load_rate = f64::from(documents - stored) / begun.elapsed().as_secs_f64();
        stored = documents;
        andiron.settle(&session)?;
        let mut rows = Vec::new();
        for connections in GROWTH_CONNECTIONS {
            let mut operations: [(&str, Mix<'_>); 4] = [
                (
                    "query of 20, newest first from a random moment",
                    Mix::growing_query(&requests, 1),
                ),
                ("list of 30, newest", Mix::workload(&requests, Workload::List, 1)),
                (
                    "read of a random document",
                    Mix::workload(&requests, Workload::Read, 1).over(documents),
                ),
                ("create", Mix::workload(&requests, Workload::Create, 1)),
            ];
            for (operation, feed) in &mut operations {
                machine::settle_disk(&plan.folder)?;
                session.server.reset_peak()?;
                let mut rounds = Vec::new();
                for _ in 0..plan.rounds {
                    let measured = load::run(&load(plan, &session.server, connections), feed, None)?;
                    rounds.push(Sample::new(&measured, session.server.memory()?));
                }
                let median = Sample::median(&rounds);
                progress(&format!(
                    "growth: {documents} documents, {connections} connections, {operation}: {:.1} µs of CPU, p50 {:.0} µs",
                    median.server_cpu_us, median.p50_us
                ));
                rows.push(GrowthRow {
                    operation: (*operation).to_owned(),
                    connections,
                    median,
                });
            }
        }
        growth.push(Growth {
            documents,
            load_rate,
            folder_bytes: folder_bytes(&folder)?,
            rows,
        });
    }
    session.server.stop()?;
    remove_folder(&folder)?;
    Ok(growth)
}

fn make_folder(plan: &Plan, name: &str) -> Result<PathBuf, BenchError> {
    let folder = plan.folder.join(name);
    fs::create_dir_all(&folder).map_err(io(format!("creating {}", folder.display())))?;
    Ok(folder)
}

fn remove_folder(folder: &Path) -> Result<(), BenchError> {
    fs::remove_dir_all(folder).map_err(io(format!("removing {}", folder.display())))
}

fn folder_bytes(folder: &Path) -> Result<u64, BenchError> {
    let mut sum = 0;
    for entry in fs::read_dir(folder).map_err(io(format!("reading {}", folder.display())))? {
        let entry = entry.map_err(io("reading a folder"))?;
        // A file may be gone by now: a write-ahead log after its checkpoint, say.
        let Ok(metadata) = entry.metadata() else { continue };
        sum += if metadata.is_dir() {
            folder_bytes(&entry.path())?
        } else {
            metadata.len()
        };
    }
    Ok(sum)
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}
