//! Medians and the table.

use andiron_bench::{
    files::{FileCell, FileReport},
    machine::{Machine, Source},
    process::Memory,
    report::{Cell, Report, Sample, Settings, median, table},
    workload::Workload,
};

fn sample(rate: f64, server_cpu_us: f64) -> Sample {
    Sample {
        rate,
        background_rate: 0.0,
        p50_us: 100.0,
        p99_us: 200.0,
        server_cpu_us,
        generator_cpu_us: 8.0,
        answer_bytes: 1200.0,
        memory: Memory {
            resident_kib: 20_000,
            anonymous_kib: 10_000,
            peak_kib: 24_000,
        },
    }
}

fn cell(server: &str, rate: f64, server_cpu_us: f64) -> Cell {
    let rounds = vec![sample(rate, server_cpu_us)];
    Cell {
        workload: Workload::Read,
        connections: 64,
        server: server.into(),
        median: Sample::median(&rounds),
        rounds,
    }
}

fn file_cell(server: &str, rate: f64) -> FileCell {
    let rounds = vec![sample(rate, 100.0)];
    FileCell {
        operation: "upload 1k".into(),
        connections: 1,
        server: server.into(),
        median: Sample::median(&rounds),
        rounds,
    }
}

#[test]
fn a_median_is_not_moved_by_one_bad_round() {
    assert_eq!(median(&[3.0, 1_000_000.0, 1.0]), 3.0);
    assert_eq!(median(&[4.0, 2.0]), 3.0);
    let medians = Sample::median(&[sample(10.0, 5.0), sample(30.0, 1.0), sample(20.0, 900.0)]);
    assert_eq!((medians.rate, medians.server_cpu_us), (20.0, 5.0));
}

#[test]
fn the_table_relates_each_server_to_the_peer() {
    let report = Report {
        schema: 1,
        date: "2026-01-02T03:04:05Z".parse().unwrap(),
        source: Source {
            commit: "0123456789ab".into(),
            dirty: false,
        },
        machine: Machine {
            cpu: "a processor".into(),
            cores: 2,
            kernel: "6.1".into(),
            memory_mib: 4096,
            sync_us: 100.0,
        },
        settings: Settings {
            rounds: 1,
            warm_up_seconds: 1.0,
            measure_seconds: 3.0,
            documents: 10_000,
            changes_per_second: 500,
            peer_log: false,
        },
        servers: Vec::new(),
        generator: Vec::new(),
        cells: vec![
            cell("andiron", 50_000.0, 20.0),
            cell("pocketbase", 8_000.0, 240.0),
        ],
        live: andiron_bench::live::LiveReport::default(),
        files: FileReport {
            cells: vec![
                file_cell("andiron", 2_000.0),
                file_cell("pocketbase", 1_000.0),
                file_cell("andiron-relaxed", 4_000.0),
            ],
            ten_uploads: Vec::new(),
        },
        sign_ins: None,
        growth: Vec::new(),
    };
    let table = table(&report);
    let ratio = table
        .lines()
        .find(|line| line.contains("↳ andiron"))
        .expect("a line of ratios");
    assert!(ratio.contains("6.25×") && ratio.ends_with("1/12.0"), "{ratio}");
    assert!(table.starts_with(
        "a processor, 2 cores, 4096 MiB, Linux 6.1; 4 KiB appended and synced: 100 µs; commit 0123456789ab\n"
    ));

    let is_of_files = |line: &&str| line.contains("upload 1k") || line.contains(" to ");
    let lines: Vec<_> = table.lines().filter(is_of_files).collect();
    assert_eq!(lines.len(), 5, "{table}");
    assert!(
        lines[3].contains("↳ andiron to pocketbase") && lines[3].contains("2.00×"),
        "{}",
        lines[3]
    );
    assert!(
        lines[4].contains("↳ andiron-relaxed to pocketbase") && lines[4].contains("4.00×"),
        "{}",
        lines[4]
    );

    let json = serde_json::to_value(&report).unwrap();
    assert_eq!(json["date"], "2026-01-02T03:04:05Z");
    assert_eq!(json["cells"][0]["workload"], "read");
    assert_eq!(json["cells"][1]["median"]["server_cpu_us"], 240.0);
}
