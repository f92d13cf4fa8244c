//! From a condition to the documents that it is true for, seen from above.

use super::condition::{ConditionKind, Shared};
use super::extent::Extent;

/// How many parts of a condition are looked at to make a filter of it. Parts that are shared count each time.
pub const PROJECTING_STEPS_MAX: u32 = 20_000;

/// The documents that a condition is true for, or those that it is false for.
pub(crate) fn extent(condition: &Shared, wanted: bool) -> Extent {
    project(condition, wanted, &mut { PROJECTING_STEPS_MAX })
}

/// The depth of conditions bounds the recursion.
fn project(condition: &Shared, wanted: bool, steps_left: &mut u32) -> Extent {
    *steps_left = steps_left.saturating_sub(1);
    if *steps_left == 0 {
        return Extent::unknown();
    }
    let mut each = |parts: &[Shared]| -> Vec<Extent> {
        parts
            .iter()
            .map(|part| project(part, wanted, steps_left))
            .collect()
    };
    match &condition.kind {
        ConditionKind::Known(truth) if *truth == wanted => Extent::all(),
        ConditionKind::Known(_) | ConditionKind::Failed => Extent::none(),
        ConditionKind::Test(test) => test.extent(wanted),
        ConditionKind::Not(inner) => project(inner, !wanted, steps_left),
        ConditionKind::All(parts) if wanted => Extent::intersection(each(parts)),
        ConditionKind::All(parts) => Extent::union(each(parts)),
        ConditionKind::Any(parts) if wanted => Extent::union(each(parts)),
        ConditionKind::Any(parts) => Extent::intersection(each(parts)),
        ConditionKind::Choice(cases) => {
            let mut alternatives = Vec::with_capacity(cases.len());
            for (guard, then) in cases {
                let guard = project(guard, true, steps_left);
                if guard.is_empty() {
                    continue;
                }
                let then = project(then, wanted, steps_left);
                alternatives.push(Extent::intersection([guard, then]));
            }
            Extent::union(alternatives)
        }
        ConditionKind::Unclear { defined, .. } => {
            let defined = project(defined, true, steps_left);
            if defined.is_empty() {
                Extent::none()
            } else {
                Extent::within(defined.filter)
            }
        }
    }
}
