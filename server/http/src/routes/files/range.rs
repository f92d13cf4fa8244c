//! `Range`: parts of a file (RFC 9110, section 14).

use std::ops::RangeInclusive;

/// Ranges in one request. More are refused: answering a thousand of a few bytes each costs a thousand times the file.
pub(super) const RANGES_MAX: usize = 16;

/// What a `Range` header asks for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Ranges {
    /// The whole file: there is no header, or one that says nothing to us.
    Whole,
    /// These bytes, in the order asked for, none twice.
    Parts(Vec<RangeInclusive<u64>>),
    /// Nothing that the file has, or more than is answered.
    Unsatisfiable,
}

/// Reads the header for a file of this size.
pub(super) fn parse(header: Option<&[u8]>, size: u64) -> Ranges {
    let Some(set) = header
        .and_then(|header| std::str::from_utf8(header).ok())
        .and_then(|header| header.trim().split_once('='))
        .filter(|(unit, _)| unit.trim().eq_ignore_ascii_case("bytes"))
        .map(|(_, set)| set)
    else {
        return Ranges::Whole;
    };
    let mut parts: Vec<RangeInclusive<u64>> = Vec::new();
    let mut asked = 0_usize;
    for spec in set.split(',').map(str::trim).filter(|spec| !spec.is_empty()) {
        asked += 1;
        if asked > RANGES_MAX {
            return Ranges::Unsatisfiable;
        }
        match part(spec, size) {
            Some(Some(part)) => parts.push(part),
            Some(None) => {}
            // What is malformed is as if it were not there.
            None => return Ranges::Whole,
        }
    }
    if asked == 0 {
        return Ranges::Whole;
    }
    if parts.is_empty() || overlap(&parts) {
        return Ranges::Unsatisfiable;
    }
    Ranges::Parts(parts)
}

/// One range; `None` if it is malformed, an inner `None` if the file has none of it.
fn part(spec: &str, size: u64) -> Option<Option<RangeInclusive<u64>>> {
    let (first, last) = spec.split_once('-')?;
    let (first, last) = (first.trim(), last.trim());
    if first.is_empty() {
        let suffix = number(last)?;
        if suffix == 0 || size == 0 {
            return Some(None);
        }
        return Some(Some(size.saturating_sub(suffix)..=size - 1));
    }
    let first = number(first)?;
    let last = if last.is_empty() { u64::MAX } else { number(last)? };
    if last < first {
        return None;
    }
    if first >= size {
        return Some(None);
    }
    Some(Some(first..=last.min(size - 1)))
}

/// A number as large as it wants to be: beyond 64 bits it is beyond every file.
fn number(digits: &str) -> Option<u64> {
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Some(digits.parse().unwrap_or(u64::MAX))
}

/// Whether some byte is asked for twice.
fn overlap(parts: &[RangeInclusive<u64>]) -> bool {
    let mut sorted: Vec<_> = parts.iter().map(|part| (*part.start(), *part.end())).collect();
    sorted.sort_unstable();
    sorted.windows(2).any(|pair| pair[1].0 <= pair[0].1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(header: &str, size: u64) -> Ranges {
        parse(Some(header.as_bytes()), size)
    }

    #[test]
    fn ranges_are_read_as_the_rfc_has_them() {
        for (header, parts) in [
            ("bytes=0-4", vec![0..=4]),
            ("bytes=5-", vec![5..=9]),
            ("bytes=-3", vec![7..=9]),
            ("bytes=-30", vec![0..=9]),
            ("bytes=9-99999999999999999999999", vec![9..=9]),
            ("Bytes = 0-0 , , 2-3", vec![0..=0, 2..=3]),
            ("bytes=8-9,0-1", vec![8..=9, 0..=1]),
            ("bytes=0-1,50-60", vec![0..=1]),
        ] {
            assert_eq!(of(header, 10), Ranges::Parts(parts), "{header}");
        }
        for header in [
            "bytes=10-",
            "bytes=-0",
            "bytes=99-100",
            "bytes=0-5,5-9",
            "bytes=0-,0-,0-",
        ] {
            assert_eq!(of(header, 10), Ranges::Unsatisfiable, "{header}");
        }
        for header in [
            "",
            "bytes",
            "bytes=",
            "lines=0-1",
            "bytes=a-b",
            "bytes=3-2",
            "bytes=--1",
            "bytes=-",
            "bytes=0x1-2",
            "bytes=+1-2",
        ] {
            assert_eq!(of(header, 10), Ranges::Whole, "{header}");
        }
        assert_eq!(of("bytes=0-", 0), Ranges::Unsatisfiable);
        assert_eq!(of("bytes=-1", 0), Ranges::Unsatisfiable);
    }

    #[test]
    fn a_thousand_ranges_are_refused() {
        let many: Vec<_> = (0..1000).map(|n| format!("{}-{}", n * 2, n * 2)).collect();
        assert_eq!(
            of(&format!("bytes={}", many.join(",")), 10_000),
            Ranges::Unsatisfiable
        );
    }

    proptest! {
        #[test]
        fn what_is_answered_lies_within_the_file_and_nothing_is_answered_twice(
            header in "(bytes=)?[0-9, -]{0,60}|.{0,60}|bytes=([0-9]{1,25}-[0-9]{0,25},?){1,20}",
            size in prop_oneof![Just(0), 0..200_u64, any::<u64>()],
        ) {
            if let Ranges::Parts(parts) = of(&header, size) {
                prop_assert!(!parts.is_empty() && parts.len() <= RANGES_MAX);
                let mut sum = 0_u64;
                for part in &parts {
                    prop_assert!(part.start() <= part.end() && *part.end() < size);
                    sum = sum.checked_add(part.end() - part.start() + 1).unwrap();
                }
                prop_assert!(sum <= size);
            }
        }
    }
}
