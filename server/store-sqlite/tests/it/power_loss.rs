//! What is left after the power goes, at every moment of a run.

use andiron_store_sqlite::Durability;

use crate::disk::{Disk, Loss, Replay, restore};
use crate::support::Random;
use crate::workload::{Workload, options};

/// What was found at the moments of a run.
#[derive(Debug, Default)]
struct Findings {
    moments: usize,
    /// Moments after which an answered commit was missing.
    lost: usize,
    /// Moments after which the data was damaged, with the first damage.
    damaged: usize,
    example: Option<String>,
}

/// Runs a workload, then cuts the power after each `stride`th event and looks at what is left.
fn cut_the_power(durability: Durability, seed: u64, groups: usize, stride: usize) -> Findings {
    let folder = tempfile::tempdir().unwrap();
    let disk = Disk::register();
    let mut workload = Workload::new(seed);
    // The store is closed at the end of the run, which belongs to what is journaled.
    workload
        .run(folder.path(), options(disk, durability), disk, groups)
        .unwrap();
    let mut findings = Findings::default();
    let mut replay = Replay::default();
    let mut random = Random(seed);
    let remains = memory_folder();
    for (moment, event) in disk.journal().iter().enumerate() {
        replay.step(event);
        if moment % stride != 0 {
            continue;
        }
        for loss in [Loss::All, Loss::Nothing, Loss::Some] {
            if replay.is_settled() && !matches!(loss, Loss::All) {
                continue;
            }
            restore(&replay.image(loss, &mut random), remains.path());
            findings.moments += 1;
            let problem = match workload.examine(remains.path()) {
                Ok(version) if version >= replay.answered => continue,
                Ok(version) => {
                    findings.lost += 1;
                    format!("version {version} is left of {}", replay.answered)
                }
                Err(problem) => {
                    findings.damaged += 1;
                    problem
                }
            };
            findings
                .example
                .get_or_insert_with(|| format!("seed {seed}, event {moment}, {loss:?} lost: {problem}"));
        }
    }
    println!("{durability:?}: {findings:?}");
    findings
}

/// A folder in memory, if the system has such: thousands of images are written to it, and none has to last.
fn memory_folder() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm")
        .or_else(|_| tempfile::tempdir())
        .unwrap()
}

#[test]
fn full_durability_loses_nothing_that_was_answered() {
    let findings = cut_the_power(Durability::Full, 1, 30, 1);
    assert_eq!((findings.lost, findings.damaged), (0, 0), "{findings:?}");
    assert!(findings.moments > 500, "{findings:?}");
}

#[test]
fn relaxed_durability_loses_the_last_commits_but_damages_nothing() {
    let findings = cut_the_power(Durability::Relaxed, 2, 40, 3);
    assert_eq!(findings.damaged, 0, "{findings:?}");
    assert!(
        findings.lost > 0,
        "the harness must be able to fail: {findings:?}"
    );
}

#[test]
fn without_any_durability_data_is_lost_and_damaged() {
    let findings = cut_the_power(Durability::Off, 3, 40, 3);
    assert!(
        findings.lost > 0,
        "the harness must be able to fail: {findings:?}"
    );
    assert!(
        findings.damaged > 0,
        "the harness must be able to fail: {findings:?}"
    );
}
