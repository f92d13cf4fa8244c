//! Sums of doubles that do not depend on the order of the summands.
//!
//! The running sum is kept as several doubles that do not overlap (Shewchuk's expansions), so nothing is rounded before
//! the end.

/// A sum under way.
#[derive(Debug, Default)]
pub(crate) struct ExactSum {
    /// Ascending in magnitude, without overlap.
    partials: Vec<f64>,
    /// The sum of NaNs, infinities and what overflowed, if there was any.
    special: Option<f64>,
}

impl ExactSum {
    /// Adds a number.
    pub(crate) fn add(&mut self, number: f64) {
        if !number.is_finite() {
            self.special = Some(self.special.unwrap_or(0.0) + number);
            return;
        }
        let mut sum = number;
        let mut kept = 0;
        for index in 0..self.partials.len() {
            let (high, low) = two_sum(sum, self.partials[index]);
            if !high.is_finite() {
                self.special = Some(self.special.unwrap_or(0.0) + high);
                self.partials.clear();
                return;
            }
            if low != 0.0 {
                self.partials[kept] = low;
                kept += 1;
            }
            sum = high;
        }
        self.partials.truncate(kept);
        self.partials.push(sum);
    }

    /// Adds an integer of any size, exactly.
    pub(crate) fn add_integer(&mut self, integer: i128) {
        /// Bits of a piece that every double holds exactly.
        const PIECE_BITS: u32 = 48;
        let mut rest = integer.unsigned_abs();
        let mut weight = if integer < 0 { -1.0 } else { 1.0 };
        while rest > 0 {
            let piece = rest & ((1 << PIECE_BITS) - 1);
            #[expect(
                clippy::cast_precision_loss,
                reason = "a piece has fewer bits than a double's fraction"
            )]
            self.add(piece as f64 * weight);
            rest >>= PIECE_BITS;
            weight *= (1_u64 << PIECE_BITS) as f64;
        }
    }

    /// The sum, rounded once.
    pub(crate) fn total(&self) -> f64 {
        if let Some(special) = self.special {
            return special;
        }
        let mut partials = self.partials.iter().rev();
        let Some(mut total) = partials.next().copied() else {
            return 0.0;
        };
        let mut low = 0.0;
        for partial in partials.by_ref() {
            let (high, rest) = two_sum(total, *partial);
            total = high;
            low = rest;
            if low != 0.0 {
                break;
            }
        }
        // Halfway between two doubles the next partial decides where to.
        if let Some(next) = partials.next()
            && ((low < 0.0 && *next < 0.0) || (low > 0.0 && *next > 0.0))
        {
            let doubled = low * 2.0;
            let rounded = total + doubled;
            if doubled == rounded - total {
                total = rounded;
            }
        }
        total
    }
}

/// The rounded sum of two numbers and what was rounded off.
fn two_sum(left: f64, right: f64) -> (f64, f64) {
    let (large, small) = if left.abs() >= right.abs() {
        (left, right)
    } else {
        (right, left)
    };
    let high = large + small;
    (high, small - (high - large))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sum(numbers: &[f64]) -> f64 {
        let mut sum = ExactSum::default();
        numbers.iter().for_each(|number| sum.add(*number));
        sum.total()
    }

    #[test]
    fn nothing_is_lost_and_the_order_does_not_matter() {
        assert_eq!(sum(&[]), 0.0);
        assert_eq!(sum(&[0.1; 10]), 1.0);
        assert_eq!(sum(&[1e100, 1.0, -1e100]), 1.0);
        assert_eq!(sum(&[1.0, 1e100, -1e100, 1e-30]), 1.0);
        assert_eq!(sum(&[1e-30, -1e100, 1e100]), 1e-30);
        // Halfway cases: 2^53 + 1 + a little rounds up.
        assert_eq!(
            sum(&[9_007_199_254_740_992.0, 1.0, 1e-9]),
            9_007_199_254_740_994.0
        );
    }

    #[test]
    fn infinities_and_nan_win() {
        assert_eq!(sum(&[1.0, f64::INFINITY, -5.0]), f64::INFINITY);
        assert!(sum(&[f64::NEG_INFINITY, f64::INFINITY]).is_nan());
        assert!(sum(&[1.0, f64::NAN]).is_nan());
        assert_eq!(sum(&[f64::MAX, f64::MAX]), f64::INFINITY);
    }

    #[test]
    fn integers_of_any_size_are_added_exactly() {
        let mut sum = ExactSum::default();
        sum.add_integer(i128::from(i64::MAX) * 3);
        sum.add_integer(-(i128::from(i64::MAX) * 3));
        sum.add_integer(-7);
        sum.add(0.5);
        assert_eq!(sum.total(), -6.5);
    }
}
