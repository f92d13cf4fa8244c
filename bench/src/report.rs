//! What a run found: JSON for programs and for later comparison, a table for people.
//!
//! A field once written keeps its name and unit; a change of meaning raises [`Report::schema`].

use std::fmt::Write as _;

use serde::Serialize;

use crate::{
    files::{FileCell, FileReport},
    live::LiveReport,
    load::Measured,
    machine::{Machine, Source},
    process::Memory,
    sign_ins::SignIns,
    workload::Workload,
};

/// One run.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// The version of this form.
    pub schema: u32,
    /// When the run began.
    pub date: jiff::Timestamp,
    /// With what source.
    pub source: Source,
    /// On what machine.
    pub machine: Machine,
    /// With what settings.
    pub settings: Settings,
    /// The servers, Andiron first.
    pub servers: Vec<Server>,
    /// What the generator costs by itself.
    pub generator: Vec<Floor>,
    /// A measurement of one server each.
    pub cells: Vec<Cell>,
    /// What listening costs.
    pub live: LiveReport,
    /// What files cost.
    pub files: FileReport,
    /// What sign-ins cost, themselves and others, if that was measured.
    pub sign_ins: Option<SignIns>,
    /// Andiron's costs at several sizes; empty if they were not asked for.
    pub growth: Vec<Growth>,
}

/// What every measurement of a run has in common.
#[derive(Debug, Clone, Serialize)]
pub struct Settings {
    /// Rounds that medians are taken of.
    pub rounds: usize,
    /// Uncounted seconds before each measurement.
    pub warm_up_seconds: f64,
    /// Seconds of each measurement.
    pub measure_seconds: f64,
    /// Documents in the collection that is read.
    pub documents: u32,
    /// The pace of changes beside reads.
    pub changes_per_second: u32,
    /// Whether PocketBase kept its log of every request.
    pub peer_log: bool,
}

/// A server under test.
#[derive(Debug, Clone, Serialize)]
pub struct Server {
    /// Its name.
    pub name: String,
    /// Its version as it says it.
    pub version: String,
    /// The size of its executable.
    pub binary_bytes: u64,
    /// How it starts, if that was measured.
    pub start: Option<Start>,
}

/// From making the process to its first good answer, and what it holds when left alone.
#[derive(Debug, Clone, Serialize)]
pub struct Start {
    /// On an empty folder, median.
    pub fresh_ms: f64,
    /// On the folder that the first start left, median.
    pub again_ms: f64,
    /// On the folder that all workloads left, once.
    pub loaded_ms: Option<f64>,
    /// Memory two seconds after a start on an empty folder.
    pub idle: Memory,
    /// Memory two seconds after a start on the folder that all workloads left.
    pub idle_loaded: Option<Memory>,
}

/// The generator against a server that does nothing.
#[derive(Debug, Clone, Serialize)]
pub struct Floor {
    /// Connections.
    pub connections: usize,
    /// Requests a second.
    pub rate: f64,
    /// Median latency.
    pub p50_us: f64,
    /// The generator's CPU a request.
    pub generator_cpu_us: f64,
}

/// One workload on one server.
#[derive(Debug, Clone, Serialize)]
pub struct Cell {
    /// What was asked.
    pub workload: Workload,
    /// Over how many connections.
    pub connections: usize,
    /// Of which server.
    pub server: String,
    /// The median of each figure.
    pub median: Sample,
    /// The rounds.
    pub rounds: Vec<Sample>,
}

/// One measurement.
#[derive(Debug, Clone, Serialize)]
pub struct Sample {
    /// Requests a second, background left out.
    pub rate: f64,
    /// Background requests a second.
    pub background_rate: f64,
    /// Half of the requests took at most this long.
    pub p50_us: f64,
    /// 99 % of the requests took at most this long.
    pub p99_us: f64,
    /// The server's CPU a request, background requests counted as requests.
    pub server_cpu_us: f64,
    /// The generator's CPU a request.
    pub generator_cpu_us: f64,
    /// Bytes of an answer, head included.
    pub answer_bytes: f64,
    /// The server's memory at the end; the peak is that of the measurement.
    pub memory: Memory,
}

/// Costs at one size.
#[derive(Debug, Clone, Serialize)]
pub struct Growth {
    /// Documents in the collection.
    pub documents: u32,
    /// Documents a second while loading up to here.
    pub load_rate: f64,
    /// What the data folder takes.
    pub folder_bytes: u64,
    /// What operations cost then.
    pub rows: Vec<GrowthRow>,
}

/// One operation at one size.
#[derive(Debug, Clone, Serialize)]
pub struct GrowthRow {
    /// What was asked.
    pub operation: String,
    /// Over how many connections.
    pub connections: usize,
    /// The median of each figure.
    pub median: Sample,
}

impl Sample {
    /// The figures of a measurement.
    #[must_use]
    pub fn new(measured: &Measured, memory: Memory) -> Self {
        let answers = (measured.requests + measured.background).max(1);
        Self {
            rate: measured.rate(),
            background_rate: measured.background as f64 / measured.elapsed.as_secs_f64(),
            p50_us: measured.latency_us(0.5),
            p99_us: measured.latency_us(0.99),
            server_cpu_us: measured.server_cpu_us(),
            generator_cpu_us: measured.generator_cpu_us(),
            answer_bytes: measured.answer_bytes as f64 / answers as f64,
            memory,
        }
    }

    /// The median of each figure by itself. There must be at least one sample.
    #[must_use]
    pub fn median(samples: &[Self]) -> Self {
        let of = |figure: fn(&Self) -> f64| median(&samples.iter().map(figure).collect::<Vec<_>>());
        let kib = |figure: fn(&Memory) -> u64| {
            let mut values: Vec<_> = samples.iter().map(|sample| figure(&sample.memory)).collect();
            values.sort_unstable();
            values[values.len() / 2]
        };
        Self {
            rate: of(|sample| sample.rate),
            background_rate: of(|sample| sample.background_rate),
            p50_us: of(|sample| sample.p50_us),
            p99_us: of(|sample| sample.p99_us),
            server_cpu_us: of(|sample| sample.server_cpu_us),
            generator_cpu_us: of(|sample| sample.generator_cpu_us),
            answer_bytes: of(|sample| sample.answer_bytes),
            memory: Memory {
                resident_kib: kib(|memory| memory.resident_kib),
                anonymous_kib: kib(|memory| memory.anonymous_kib),
                peak_kib: kib(|memory| memory.peak_kib),
            },
        }
    }
}

/// The middle value, or the mean of the two in the middle. There must be at least one.
#[must_use]
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    if sorted.len() % 2 == 1 {
        sorted[middle]
    } else {
        f64::midpoint(sorted[middle - 1], sorted[middle])
    }
}

/// The report as text of fixed columns.
#[must_use]
pub fn table(report: &Report) -> String {
    let mut out = String::new();
    write_table(report, &mut out).expect("writing to a string");
    out
}

fn write_table(report: &Report, out: &mut String) -> std::fmt::Result {
    let machine = &report.machine;
    writeln!(
        out,
        "{}, {} cores, {} MiB, Linux {}; 4 KiB appended and synced: {:.0} µs; commit {}{}",
        machine.cpu,
        machine.cores,
        machine.memory_mib,
        machine.kernel,
        machine.sync_us,
        report.source.commit,
        if report.source.dirty { " with changes" } else { "" },
    )?;
    write_servers(report, out)?;
    write_floors(report, out)?;
    write_cells(report, out)?;
    write_live(&report.live, out)?;
    write_files(&report.files, out)?;
    if let Some(sign_ins) = &report.sign_ins {
        writeln!(out, "\nSign-ins:\n{sign_ins}")?;
    }
    write_growth(report, out)
}

fn write_servers(report: &Report, out: &mut String) -> std::fmt::Result {
    writeln!(
        out,
        "\n{:<16} {:>10} {:>9} {:>9} {:>9} {:>10} {:>10}  version",
        "server", "binary MB", "fresh ms", "again ms", "loaded ms", "idle MB", "loaded MB"
    )?;
    for server in &report.servers {
        write!(
            out,
            "{:<16} {:>10.1}",
            server.name,
            server.binary_bytes as f64 / 1e6
        )?;
        if let Some(start) = &server.start {
            let loaded = start.loaded_ms.map_or("–".into(), |ms| format!("{ms:.1}"));
            let idle_loaded = start
                .idle_loaded
                .map_or("–".into(), |memory| megabytes(memory.resident_kib));
            write!(
                out,
                " {:>9.1} {:>9.1} {loaded:>9} {:>10} {idle_loaded:>10}",
                start.fresh_ms,
                start.again_ms,
                megabytes(start.idle.resident_kib)
            )?;
        } else {
            write!(out, " {:>9} {:>9} {:>9} {:>10} {:>10}", "–", "–", "–", "–", "–")?;
        }
        writeln!(out, "  {}", server.version.lines().next().unwrap_or_default())?;
    }
    Ok(())
}

fn write_floors(report: &Report, out: &mut String) -> std::fmt::Result {
    if report.generator.is_empty() {
        return Ok(());
    }
    writeln!(out, "\nThe generator against a server that does nothing:")?;
    for floor in &report.generator {
        writeln!(
            out,
            "  {:>4} connections: {:>7.0}/s, p50 {:.0} µs, {:.1} µs of its CPU a request",
            floor.connections, floor.rate, floor.p50_us, floor.generator_cpu_us
        )?;
    }
    Ok(())
}

fn write_cells(report: &Report, out: &mut String) -> std::fmt::Result {
    if report.cells.is_empty() {
        return Ok(());
    }
    writeln!(
        out,
        "\n{:<14} {:>5}  {:<16} {:>9} {:>9} {:>9} {:>9} {:>7} {:>7} {:>8} {:>9}",
        "workload",
        "conns",
        "server",
        "req/s",
        "p50 µs",
        "p99 µs",
        "CPU µs",
        "gen µs",
        "RSS MB",
        "peak MB",
        "bytes"
    )?;
    let mut cells = report.cells.as_slice();
    while let Some(first) = cells.first() {
        let same = |cell: &&Cell| cell.workload == first.workload && cell.connections == first.connections;
        let count = cells.iter().take_while(same).count();
        let (group, rest) = cells.split_at(count);
        cells = rest;
        for (number, cell) in group.iter().enumerate() {
            let (workload, connections) = if number == 0 {
                (cell.workload.name(), cell.connections.to_string())
            } else {
                ("", String::new())
            };
            let figures = &cell.median;
            writeln!(
                out,
                "{workload:<14} {connections:>5}  {:<16} {:>9.0} {:>9.0} {:>9.0} {:>9.1} {:>7.1} {:>7} {:>8} {:>9.0}",
                cell.server,
                figures.rate,
                figures.p50_us,
                figures.p99_us,
                figures.server_cpu_us,
                figures.generator_cpu_us,
                megabytes(figures.memory.resident_kib),
                megabytes(figures.memory.peak_kib),
                figures.answer_bytes
            )?;
        }
        let Some(peer) = group.iter().find(|cell| cell.server == "pocketbase") else {
            continue;
        };
        for cell in group.iter().filter(|cell| cell.server != peer.server) {
            let (own, other) = (&cell.median, &peer.median);
            writeln!(
                out,
                "{:<14} {:>5}  {:<16} {:>8.2}× {:>9} {:>9} {:>9}",
                "",
                "",
                format!("↳ {}", cell.server),
                own.rate / other.rate,
                fraction(own.p50_us, other.p50_us),
                fraction(own.p99_us, other.p99_us),
                fraction(own.server_cpu_us, other.server_cpu_us),
            )?;
        }
    }
    Ok(())
}

fn write_live(report: &LiveReport, out: &mut String) -> std::fmt::Result {
    let lines = report
        .fan_out
        .iter()
        .map(ToString::to_string)
        .chain(report.flat.iter().map(ToString::to_string))
        .chain(report.idle.iter().map(ToString::to_string))
        .chain(report.stalled.iter().map(ToString::to_string));
    for (number, line) in lines.enumerate() {
        if number == 0 {
            writeln!(out, "\nLive queries:")?;
        }
        writeln!(out, "  {line}")?;
    }
    Ok(())
}

fn write_files(report: &FileReport, out: &mut String) -> std::fmt::Result {
    if !report.cells.is_empty() {
        writeln!(
            out,
            "\n{:<18} {:>5}  {:<28} {:>9} {:>10} {:>10} {:>11} {:>9} {:>8}",
            "files", "conns", "server", "req/s", "p50 µs", "p99 µs", "CPU µs", "gen µs", "peak MB"
        )?;
    }
    let is_beside = |one: &FileCell, other: &FileCell| {
        one.operation == other.operation && one.connections == other.connections
    };
    for group in report.cells.chunk_by(is_beside) {
        for cell in group {
            writeln!(out, "{cell}")?;
        }
        let (own, peers): (Vec<_>, Vec<_>) =
            group.iter().partition(|cell| cell.server.starts_with("andiron"));
        for (own, peer) in own
            .iter()
            .flat_map(|own| peers.iter().map(move |peer| (own, peer)))
        {
            let (ours, theirs) = (&own.median, &peer.median);
            writeln!(
                out,
                "{:<18} {:>5}  {:<28} {:>8.2}× {:>10} {:>10} {:>11}",
                "",
                "",
                format!("↳ {} to {}", own.server, peer.server),
                ours.rate / theirs.rate,
                fraction(ours.p50_us, theirs.p50_us),
                fraction(ours.p99_us, theirs.p99_us),
                fraction(ours.server_cpu_us, theirs.server_cpu_us),
            )?;
        }
    }
    for uploads in &report.ten_uploads {
        writeln!(out, "\n{uploads}")?;
    }
    Ok(())
}

fn write_growth(report: &Report, out: &mut String) -> std::fmt::Result {
    let [small, large] = report.growth.as_slice() else {
        return Ok(());
    };
    writeln!(
        out,
        "\nGrowth from {} documents ({:.0} MB on disk) to {} ({:.0} MB, loaded at {:.0}/s):",
        small.documents,
        small.folder_bytes as f64 / 1e6,
        large.documents,
        large.folder_bytes as f64 / 1e6,
        large.load_rate
    )?;
    writeln!(
        out,
        "{:<48} {:>5} {:>10} {:>10} {:>7} {:>10} {:>10} {:>7}",
        "operation", "conns", "CPU µs", "then", "", "p50 µs", "then", ""
    )?;
    for (before, after) in small.rows.iter().zip(&large.rows) {
        let (from, to) = (&before.median, &after.median);
        writeln!(
            out,
            "{:<48} {:>5} {:>10.1} {:>10.1} {:>6.2}× {:>10.0} {:>10.0} {:>6.2}×",
            before.operation,
            before.connections,
            from.server_cpu_us,
            to.server_cpu_us,
            to.server_cpu_us / from.server_cpu_us,
            from.p50_us,
            to.p50_us,
            to.p50_us / from.p50_us
        )?;
    }
    Ok(())
}

fn megabytes(kib: u64) -> String {
    format!("{:.1}", kib as f64 * 1024.0 / 1e6)
}

/// `1/8.2`, or `1.3×` where it is no gain.
fn fraction(own: f64, other: f64) -> String {
    if own <= other {
        format!("1/{:.1}", other / own)
    } else {
        format!("{:.2}×", own / other)
    }
}
