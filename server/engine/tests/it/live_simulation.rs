//! The engine's part of live queries, simulated: one seed draws everything that happens, on one thread, with a clock and
//! randomness of the simulation's own.
//!
//! Writers write, rules change, the log is trimmed, the engine is closed and opened again over its store; clients listen to
//! random queries and documents, take what they are told slowly or not at all, lose their connections, come back with their
//! tokens, become somebody else. In between the feed takes a step, or a listen begins, whenever it is drawn. Each state that
//! anybody reaches is compared at once with what a naive evaluator makes of the documents at that version, which the
//! simulation knows because it wrote them, and of rules that were in force.
//!
//! A seed that fails is printed; `ANDIRON_SIMULATION_SEED` runs one again. `ANDIRON_SIMULATION_RUNS` sets how many are run,
//! the first of which `ANDIRON_SIMULATION_FIRST` names; `cargo xtask soak --simulate` runs many.

mod client;
mod draw;
mod history;
mod world;

use self::world::{Tally, World};

/// How many seeds are run in CI.
const RUNS: u64 = 16;
/// How much happens under each.
const EVENTS: usize = 1_500;

fn variable(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(
        text.parse()
            .unwrap_or_else(|_| panic!("`{name}` is not a number")),
    )
}

/// Says which seed it was if the test fails.
struct Seed(u64);

impl Drop for Seed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("run again with ANDIRON_SIMULATION_SEED={}", self.0);
        }
    }
}

fn run(seed: u64) -> Tally {
    let seed = Seed(seed);
    let mut world = World::new(seed.0);
    for _ in 0..EVENTS {
        world.something_happens();
    }
    world.come_to_rest()
}

#[test]
fn every_state_of_a_simulation_is_the_result_at_its_version() {
    if let Some(seed) = variable("ANDIRON_SIMULATION_SEED") {
        println!("{:?}", run(seed));
        return;
    }
    let first = variable("ANDIRON_SIMULATION_FIRST").unwrap_or(0);
    let mut tally = Tally::default();
    for seed in first..first + variable("ANDIRON_SIMULATION_RUNS").unwrap_or(RUNS) {
        tally.add(&run(seed));
    }
    println!("{tally:?}");
    // What never happens is not tested.
    let happened = [
        tally.states,
        tally.resumes,
        tally.resets_after_trims,
        tally.skips,
        tally.window_runs,
        tally.denials,
        tally.steps_too_large,
        tally.restarts,
    ];
    assert!(happened.iter().all(|count| *count > 0), "{tally:?}");
}

#[test]
fn a_seed_repeats_itself() {
    assert_eq!(run(3), run(3));
}
