//! Whether two kinds of requests can be told apart by how long their answers take.

use std::time::{Duration, Instant};

/// What nobody can tell over a network.
const GAP_MAX: Duration = Duration::from_millis(2);
/// Pairs of requests of which the medians are taken.
const PAIRS: usize = 25;
/// How often it is tried. A machine that is busy with something else favours now one kind and now the other, whereas what the
/// server does more for one of them it does every time: only a difference that stays, and stays on one side, is the
/// server's.
const ROUNDS: usize = 10;

/// Asks both kinds in turns, each as often before the other as after it, and panics if one takes longer.
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
        let is_on_the_other_side = |(before, after): &(Duration, Duration)| (before < after) != (one < other);
        if one.abs_diff(other) < GAP_MAX || seen.iter().any(is_on_the_other_side) {
            return;
        }
        seen.push((one, other));
    }
    panic!("{what}: one kind takes longer every time: {seen:?}");
}

#[tokio::test]
#[should_panic(expected = "one kind takes longer every time")]
async fn what_takes_longer_for_one_kind_is_found() {
    assert_equally_fast("three milliseconds", async |is_slow| {
        if is_slow {
            tokio::time::sleep(GAP_MAX + Duration::from_millis(1)).await;
        }
    })
    .await;
}
