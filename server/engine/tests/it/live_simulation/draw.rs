//! What happens, drawn from one seed.

use andiron_protocol::{DocumentPath, Filter, Map, Operator, Query, Value, arbitrary};
use andiron_store::IndexDefinition;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use crate::query_naive::{definition, distinct};
use crate::rules_naive::ruleset;

/// Conditions that rest on other documents.
const LOOK_UPS: [&str; 6] = [
    "true",
    "exists(/databases/$(db)/documents/d/a)",
    "exists(/databases/$(db)/documents/d/$(id))",
    "get(/databases/$(db)/documents/d/b).data.a == 1",
    "get(/databases/$(db)/documents/d/$(id)).data.a == resource.data.a",
    "get(/databases/$(db)/documents/d/$(request.auth.uid)).data.a == resource.data.a",
];

pub(super) struct Draw {
    runner: TestRunner,
    query: BoxedStrategy<Query>,
    path: BoxedStrategy<DocumentPath>,
    data: BoxedStrategy<Map>,
    rules: BoxedStrategy<String>,
}

impl Draw {
    pub(super) fn new(seed: u64) -> Self {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&seed.to_le_bytes());
        let random = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
        Self {
            runner: TestRunner::new_with_rng(Config::default(), random),
            query: arbitrary::source().prop_flat_map(arbitrary::query).boxed(),
            path: arbitrary::document_path(),
            data: arbitrary::map(),
            rules: ruleset(),
        }
    }

    /// A number below this one.
    pub(super) fn below(&mut self, bound: usize) -> usize {
        let drawn = (0..bound).new_tree(&mut self.runner);
        drawn.expect("a range rejects nothing").current()
    }

    /// True once in so many times.
    pub(super) fn once_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    fn from<T: std::fmt::Debug>(&mut self, strategy: &BoxedStrategy<T>) -> T {
        let drawn = strategy.new_tree(&mut self.runner);
        drawn.expect("the strategies reject nothing for long").current()
    }

    /// A query; often one that many documents are in, or of those in which one field has one value.
    pub(super) fn query(&mut self) -> Query {
        let mut query = self.from(&self.query.clone());
        if self.once_in(2) {
            query.filter = self.once_in(2).then(|| self.a_is_one_value());
            query.order_by.truncate(1);
            (query.start, query.end) = (None, None);
        }
        query
    }

    fn a_is_one_value(&mut self) -> Filter {
        let value = self.value_of_a();
        let field = "a".parse().expect("a field");
        Filter::compare(field, Operator::Equal, value).expect("any value can be compared with")
    }

    fn value_of_a(&mut self) -> Value {
        Value::Integer([0, 1, 2][self.below(3)])
    }

    pub(super) fn indexes(&mut self) -> Vec<IndexDefinition> {
        distinct(self.from(&vec(definition(), 0..7).boxed()))
    }

    pub(super) fn path(&mut self) -> DocumentPath {
        self.from(&self.path.clone())
    }

    pub(super) fn data(&mut self) -> Map {
        let mut data = self.from(&self.data.clone());
        if self.once_in(2) {
            data.insert("a".to_owned(), self.value_of_a());
        }
        data
    }

    /// Rules; often such as look up documents.
    pub(super) fn rules(&mut self) -> String {
        if self.once_in(2) {
            return self.from(&self.rules.clone());
        }
        let mut condition = || LOOK_UPS[self.below(LOOK_UPS.len())];
        format!(
            "match /c/{{id}} {{ allow read: if {}; }}
             match /{{p=**}}/c/{{id}} {{ allow list: if {}; }}
             match /d/{{id}} {{ allow read: if {}; }}",
            condition(),
            condition(),
            condition()
        )
    }
}
