//! The strategies keep their promises: what they draw is valid, and it collides.

use andiron_protocol::{Filter, Map, Query, arbitrary};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

proptest! {
    #[test]
    fn queries_are_valid(query in arbitrary::source().prop_flat_map(arbitrary::query)) {
        prop_assert!(query.check().is_ok(), "{:?}: {:?}", query.check(), query);
    }
}

/// A strategy that never matches anything would make every test built on it worthless.
#[test]
fn filters_match_some_documents_and_not_others() {
    let mut runner = TestRunner::deterministic();
    let mut draw = |count: usize| -> Vec<(Filter, Map)> {
        let strategy = (arbitrary::filter(&arbitrary::field_refs()), arbitrary::map());
        (0..count)
            .map(|_| strategy.new_tree(&mut runner).unwrap().current())
            .collect()
    };
    let drawn = draw(2000);
    let matching = drawn
        .iter()
        .filter(|(filter, map)| filter.matches("p1", map))
        .count();
    assert!((300..1700).contains(&matching), "{matching} of 2000 match");
}

#[test]
fn queries_find_some_documents() {
    let mut runner = TestRunner::deterministic();
    let strategy = (
        arbitrary::source().prop_flat_map(arbitrary::query),
        proptest::collection::vec((arbitrary::document_path(), arbitrary::map()), 30),
    );
    let finding = |(query, documents): (Query, Vec<(_, Map)>)| {
        documents.iter().any(|(path, map)| query.matches(path, map))
    };
    let found = (0..500)
        .filter(|_| finding(strategy.new_tree(&mut runner).unwrap().current()))
        .count();
    assert!(
        found > 150,
        "{found} of 500 queries find something among 30 documents"
    );
}
