//! The exact numeric order of integers and doubles.

use std::cmp::Ordering;

/// Doubles by numeric value: `-0.0` equals `0.0`; NaN equals NaN and stands before every number.
pub fn compare_doubles(left: f64, right: f64) -> Ordering {
    match left.partial_cmp(&right) {
        Some(ordering) => ordering,
        None => right.is_nan().cmp(&left.is_nan()),
    }
}

/// An integer and a double by numeric value, exactly: the integer is never rounded. NaN stands before every integer.
pub fn compare_integer_with_double(integer: i64, double: f64) -> Ordering {
    // 2^63, the first double above every i64.
    const ABOVE: f64 = 9_223_372_036_854_775_808.0;
    if double.is_nan() {
        Ordering::Greater
    } else if double >= ABOVE {
        Ordering::Less
    } else if double < -ABOVE {
        Ordering::Greater
    } else {
        // In range, so the truncation is exact; what it cuts off decides between equals.
        #[expect(clippy::cast_possible_truncation, reason = "the range was checked above")]
        let truncated = double.trunc() as i64;
        integer
            .cmp(&truncated)
            .then_with(|| compare_doubles(0.0, double.fract()))
    }
}
