//! Whether two kinds of requests can be told apart by how long their answers take.

use std::time::{Duration, Instant};

/// What nobody can tell over a network.
const GAP_MAX: Duration = Duration::from_millis(2);
/// Pairs of requests of which the medians are taken.
const PAIRS: usize = 25;
/// How often it is tried: a machine that is busy with something else favours one kind by chance, and by chance alone,
/// whereas what the server does differently it does differently every time.
const ROUNDS: usize = 6;

/// Asks both kinds in turns, each as often before the other as after it, and panics unless the medians agree.
pub(crate) async fn assert_equally_fast(what: &str, mut ask: impl AsyncFnMut(bool)) {
    let mut seen = Vec::new();
    for _ in 0..ROUNDS {
        let mut times = [Vec::new(), Vec::new()];
        for pair in 0..PAIRS {
            let first = pair % 2;
            for kind in [first, 1 - first] {
                let started = Instant::now();
                ask(kind == 1).await;
                times[kind].push(started.elapsed());
            }
        }
        let [one, other] = times.map(|mut times| {
            times.sort();
            times[PAIRS / 2]
        });
        if one.abs_diff(other) < GAP_MAX {
            return;
        }
        seen.push((one, other));
    }
    panic!("{what}: the medians differ every time: {seen:?}");
}
