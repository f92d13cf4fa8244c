//! `andiron-bench`: the command line of the benchmarks. `cargo xtask bench` builds what it needs and calls it.

use std::{fs, path::PathBuf, process::ExitCode, time::Duration};

use andiron_bench::{
    BenchError,
    files::FileScenario,
    hello,
    live::LiveScenario,
    report::{self, Report},
    suite::{self, Plan},
    workload::Workload,
};
use clap::{Parser, Subcommand};

/// Measures Andiron beside PocketBase.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Helper>,
    /// Andiron's executable
    #[arg(long, value_name = "FILE")]
    andiron: Option<PathBuf>,
    /// PocketBase's executable
    #[arg(long, value_name = "FILE")]
    pocketbase: Option<PathBuf>,
    /// nginx's executable: large downloads are measured beside it
    #[arg(long, value_name = "FILE")]
    nginx: Option<PathBuf>,
    /// Leave PocketBase its log of every request, which costs it some 15 %
    #[arg(long)]
    peer_log: bool,
    /// What to measure: create, read, read-changing, list, patch, mixed, start, sign-ins, grow; fan-out, flat, idle, stalled, or
    /// all four as live; files-1k, files-1m, files-100m, thumbnails, quota, ten-uploads, or all six as files; default: all
    /// but grow and files
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    only: Vec<String>,
    /// Numbers of connections
    #[arg(long, value_name = "NUMBERS", value_delimiter = ',', default_values_t = [1, 64, 256])]
    connections: Vec<usize>,
    /// Also measure growth from 10,000 to 1,000,000 documents (takes minutes)
    #[arg(long)]
    grow: bool,
    /// One round of one second each: to see that it works, not to quote
    #[arg(long)]
    quick: bool,
    /// Rounds to take the median of
    #[arg(long, value_name = "N", default_value_t = 3)]
    rounds: usize,
    /// Seconds of each measurement
    #[arg(long, value_name = "N", default_value_t = 3.0)]
    seconds: f64,
    /// Where the servers' data lies while they are measured; the disk counts
    #[arg(long, value_name = "FOLDER", default_value = "target")]
    data: PathBuf,
    /// Where to write the JSON
    #[arg(long, value_name = "FOLDER", default_value = "bench/results")]
    results: PathBuf,
}

#[derive(Debug, Subcommand)]
enum Helper {
    /// Serve fixed answers, to measure the generator by
    #[command(hide = true)]
    Hello,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let done = match arguments.command {
        Some(Helper::Hello) => hello::serve(|address| println!("http://{address}")),
        None => measure(&arguments),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn measure(arguments: &Arguments) -> Result<(), BenchError> {
    let folder = arguments.data.join("bench-data");
    let io = |what: String| move |source| BenchError::Io { what, source };
    fs::create_dir_all(&folder).map_err(io(format!("creating {}", folder.display())))?;
    // A folder of its own a run, removed whatever happens; servers are told its absolute path.
    let folder = folder
        .canonicalize()
        .map_err(io(format!("finding {}", folder.display())))?;
    let folder =
        tempfile::tempdir_in(&folder).map_err(io(format!("creating a folder in {}", folder.display())))?;

    let plan = plan(arguments, folder.path().to_owned())?;
    let report = suite::run(&plan, &mut |line| eprintln!("{line}"))?;
    print!("{}", report::table(&report));
    let file = write(arguments, &report)?;
    println!("\nwritten to {}", file.display());
    Ok(())
}

fn plan(arguments: &Arguments, folder: PathBuf) -> Result<Plan, BenchError> {
    let (mut workloads, mut live, mut files) = (Vec::new(), Vec::new(), Vec::new());
    let (mut start, mut sign_ins, mut grow) = (false, false, arguments.grow);
    for name in &arguments.only {
        match name.as_str() {
            "start" => start = true,
            "sign-ins" => sign_ins = true,
            "grow" => grow = true,
            "live" => live.extend(LiveScenario::ALL),
            "files" => files.extend(FileScenario::ALL),
            name => {
                let live_one = LiveScenario::ALL.into_iter().find(|one| one.name() == name);
                let files_one = FileScenario::ALL.into_iter().find(|one| one.name() == name);
                match (live_one, files_one) {
                    (Some(scenario), _) => live.push(scenario),
                    (_, Some(scenario)) => files.push(scenario),
                    (None, None) => workloads.push(name.parse()?),
                }
            }
        }
    }
    if arguments.only.is_empty() {
        workloads.extend(Workload::ALL);
        live.extend(LiveScenario::ALL);
        start = true;
        sign_ins = true;
    }
    if arguments.connections.contains(&0)
        || arguments.rounds == 0
        || !(0.1..=3600.0).contains(&arguments.seconds)
    {
        return Err(BenchError::Usage(
            "at least one connection, one round and 0.1 to 3600 seconds".into(),
        ));
    }
    if grow && arguments.andiron.is_none() {
        return Err(BenchError::Usage(
            "growth is measured on Andiron: give --andiron".into(),
        ));
    }
    let seconds = if arguments.quick { 1.0 } else { arguments.seconds };
    Ok(Plan {
        andiron: arguments.andiron.clone(),
        pocketbase: arguments.pocketbase.clone(),
        peer_log: arguments.peer_log,
        workloads,
        live,
        files,
        sign_ins,
        nginx: arguments.nginx.clone(),
        connections: arguments.connections.clone(),
        start,
        grow,
        rounds: if arguments.quick { 1 } else { arguments.rounds },
        warm_up: Duration::from_secs_f64(seconds / 4.0),
        measure: Duration::from_secs_f64(seconds),
        folder,
    })
}

fn write(arguments: &Arguments, report: &Report) -> Result<PathBuf, BenchError> {
    let io = |what: String| move |source| BenchError::Io { what, source };
    let name = format!(
        "{}-{}.json",
        report.date.strftime("%Y%m%dT%H%M%SZ"),
        report.source.commit
    );
    let file = arguments.results.join(name);
    let mut json = serde_json::to_vec_pretty(report).expect("plain data");
    json.push(b'\n');
    fs::create_dir_all(&arguments.results)
        .map_err(io(format!("creating {}", arguments.results.display())))?;
    fs::write(&file, json).map_err(io(format!("writing {}", file.display())))?;
    Ok(file)
}
