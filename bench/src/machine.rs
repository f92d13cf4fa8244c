//! What a figure depends on besides the code: the machine, its disk, the commit. Written into every result.

use std::{
    fs::{self, File},
    io::Write as _,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use serde::Serialize;

use crate::{BenchError, io};

/// How many synced writes the disk is judged by.
const SYNC_SAMPLES: usize = 200;

/// The machine that a result was measured on.
#[derive(Debug, Clone, Serialize)]
pub struct Machine {
    /// The processor's name.
    pub cpu: String,
    /// Cores that this process may use.
    pub cores: usize,
    /// Kernel release.
    pub kernel: String,
    /// Memory in MiB.
    pub memory_mib: u64,
    /// Median of an appended 4 KiB followed by fdatasync, in microseconds, on the idle machine.
    pub sync_us: f64,
}

/// The source that a result was measured with.
#[derive(Debug, Clone, Serialize)]
pub struct Source {
    /// The commit's id, or `unknown` outside a git checkout.
    pub commit: String,
    /// Whether the tree had changes that are in no commit.
    pub dirty: bool,
}

/// Looks at the machine; `folder` is where the servers' data will lie.
///
/// # Errors
/// `folder` cannot be written.
pub fn machine(folder: &Path) -> Result<Machine, BenchError> {
    let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let cpu = cpu
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(':'));
    let memory = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let memory_kib = memory.lines().find_map(|line| {
        line.strip_prefix("MemTotal:")?
            .trim()
            .strip_suffix("kB")?
            .trim()
            .parse::<u64>()
            .ok()
    });
    Ok(Machine {
        cpu: cpu.map_or("unknown", |(_, name)| name.trim()).to_owned(),
        cores: std::thread::available_parallelism().map_or(1, usize::from),
        kernel: rustix::system::uname().release().to_string_lossy().into_owned(),
        memory_mib: memory_kib.unwrap_or(0) / 1024,
        sync_us: sync_latency(folder)?.as_secs_f64() * 1e6,
    })
}

/// What one durable write costs here at least: the floor under a synced create on one connection.
fn sync_latency(folder: &Path) -> Result<Duration, BenchError> {
    let path = folder.join("sync-probe");
    let mut file = File::create(&path).map_err(io(format!("creating {}", path.display())))?;
    let mut samples = Vec::with_capacity(SYNC_SAMPLES);
    for _ in 0..SYNC_SAMPLES {
        let begun = Instant::now();
        file.write_all(&[0x5a; 4096])
            .and_then(|()| file.sync_data())
            .map_err(io("a synced write"))?;
        samples.push(begun.elapsed());
    }
    fs::remove_file(&path).map_err(io(format!("removing {}", path.display())))?;
    samples.sort_unstable();
    Ok(samples[SYNC_SAMPLES / 2])
}

/// Writes out what the page cache of `folder`'s file system still owes the disk, so that one server's unsynced writes
/// do not slow the next one's synced ones.
///
/// # Errors
/// `folder` cannot be opened or the disk fails.
pub fn settle_disk(folder: &Path) -> Result<(), BenchError> {
    let folder = File::open(folder).map_err(io(format!("opening {}", folder.display())))?;
    rustix::fs::syncfs(&folder).map_err(|error| io("syncfs")(error.into()))
}

/// The commit that the working directory stands on.
#[must_use]
pub fn source() -> Source {
    let git = |arguments: &[&str]| {
        let output = Command::new("git").args(arguments).output().ok()?;
        output
            .status
            .success()
            .then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    Source {
        commit: git(&["rev-parse", "--short=12", "HEAD"]).unwrap_or_else(|| "unknown".into()),
        dirty: git(&["status", "--porcelain", "--untracked-files=no"])
            .is_some_and(|changes| !changes.is_empty()),
    }
}
