//! Random rules, documents and queries: what is said of a list as a whole is true of its documents one by one.

use andiron_rules::fuzzing::list_case;

/// How many cases run here; `ANDIRON_LIST_CASES` asks for more.
const CASES: u64 = 4000;

/// xorshift64*: the cases of a number are the same everywhere.
fn bytes(number: u64) -> Vec<u8> {
    let mut state = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    (0..600)
        .map(|_| {
            state ^= state >> 12;
            state ^= state << 25;
            state ^= state >> 27;
            (state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 56) as u8
        })
        .collect()
}

#[test]
fn a_list_is_judged_as_its_documents_are() {
    let env = |name| std::env::var(name).ok().and_then(|text| text.parse().ok());
    let first = env("ANDIRON_LIST_FIRST").unwrap_or(0);
    let cases = env("ANDIRON_LIST_CASES").unwrap_or(CASES);
    let mut counts = std::collections::BTreeMap::<&str, u64>::new();
    for number in first..first + cases {
        let bytes = bytes(number);
        let result = std::panic::catch_unwind(|| list_case(&bytes));
        let case = result.unwrap_or_else(|_| panic!("case {number}"));
        let Some(case) = case else { continue };
        let mut count = |name| *counts.entry(name).or_default() += 1;
        count(case.decision);
        if case.is_proved {
            count("proved");
        }
        if case.is_proved_when_narrowed {
            count("proved when narrowed");
        }
        if case.is_proved && case.returned > 0 {
            count("proved something");
        }
        if case.decision == "exact" && case.allowed > 0 && case.allowed < case.returned {
            count("exact and telling");
        }
        if case.decision == "filter" && case.allowed > 0 && case.allowed < case.returned {
            count("filter and telling");
        }
    }
    println!("{counts:#?}");
    // Every kind of answer comes up, and documents of both fates.
    for kind in [
        "allow",
        "deny",
        "exact",
        "filter",
        "open",
        "proved something",
        "proved when narrowed",
        "exact and telling",
        "filter and telling",
    ] {
        assert!(
            counts.get(kind).copied().unwrap_or_default() >= cases / 500,
            "{kind}: {counts:?}"
        );
    }
}
