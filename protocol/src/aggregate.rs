//! Aggregates over a query's result.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::ser::{Serialize, Serializer};

use crate::error::excerpt;
use crate::json_input::object;
use crate::limits::AGGREGATES_MAX;
use crate::{FieldPath, Query};

/// The body of `POST /api/v1/aggregate`.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct AggregateBody {
    /// Which documents.
    pub query: Query,
    /// What is asked about them, each under the name that the answer uses.
    pub aggregates: BTreeMap<String, Aggregate>,
}

/// One figure over all documents of a result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Aggregate {
    /// How many documents.
    Count,
    /// The sum of the numbers; 0 of none, a double as soon as one is a double or the integers overflow.
    Sum(FieldPath),
    /// The mean of the numbers as a double; null of none.
    Average(FieldPath),
    /// The smallest value that is not null; null of none.
    Minimum(FieldPath),
    /// The largest value that is not null; null of none.
    Maximum(FieldPath),
}

impl<'de> Deserialize<'de> for AggregateBody {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(serde::Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Wire {
            query: Query,
            #[serde(deserialize_with = "aggregates_from_map")]
            aggregates: BTreeMap<String, Aggregate>,
        }
        let wire: Wire = object(
            deserializer,
            "the body of an aggregation: {\"query\": …, \"aggregates\": {name: aggregate, …}}",
        )?;
        if wire.query.cursor.is_some() {
            return Err(de::Error::custom(
                "an aggregation counts a whole result, so its query takes no `cursor`",
            ));
        }
        Ok(Self {
            query: wire.query,
            aggregates: wire.aggregates,
        })
    }
}

fn aggregates_from_map<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<BTreeMap<String, Aggregate>, D::Error> {
    struct AggregatesVisitor;
    impl<'de> Visitor<'de> for AggregatesVisitor {
        type Value = BTreeMap<String, Aggregate>;

        fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            formatter.write_str("an object of names and aggregates")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Self::Value, A::Error> {
            let mut aggregates = BTreeMap::new();
            while let Some((name, aggregate)) = access.next_entry::<String, Aggregate>()? {
                if aggregates.contains_key(&name) {
                    return Err(de::Error::custom(format!(
                        "the aggregate `{}` is asked for twice",
                        excerpt(&name)
                    )));
                }
                if aggregates.len() == AGGREGATES_MAX {
                    return Err(de::Error::custom(format!(
                        "`aggregates` has more than {AGGREGATES_MAX} entries"
                    )));
                }
                aggregates.insert(name, aggregate);
            }
            if aggregates.is_empty() {
                return Err(de::Error::custom("`aggregates` is empty"));
            }
            Ok(aggregates)
        }
    }
    deserializer.deserialize_map(AggregatesVisitor)
}

impl Serialize for Aggregate {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Count => ["count"].serialize(serializer),
            Self::Sum(field) => ("sum", field).serialize(serializer),
            Self::Average(field) => ("avg", field).serialize(serializer),
            Self::Minimum(field) => ("min", field).serialize(serializer),
            Self::Maximum(field) => ("max", field).serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Aggregate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AggregateVisitor;
        impl<'de> Visitor<'de> for AggregateVisitor {
            type Value = Aggregate;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("[\"count\"] or [\"sum\" | \"avg\" | \"min\" | \"max\", field]")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Aggregate, A::Error> {
                let name = seq
                    .next_element::<String>()?
                    .ok_or_else(|| de::Error::invalid_length(0, &self))?;
                let field = seq.next_element::<FieldPath>()?;
                if seq.next_element::<de::IgnoredAny>()?.is_some() {
                    return Err(de::Error::invalid_length(3, &self));
                }
                match (name.as_str(), field) {
                    ("count", None) => Ok(Aggregate::Count),
                    ("sum", Some(field)) => Ok(Aggregate::Sum(field)),
                    ("avg", Some(field)) => Ok(Aggregate::Average(field)),
                    ("min", Some(field)) => Ok(Aggregate::Minimum(field)),
                    ("max", Some(field)) => Ok(Aggregate::Maximum(field)),
                    _ => Err(de::Error::custom(
                        "an aggregate is [\"count\"], [\"sum\", field], [\"avg\", field], [\"min\", field] or [\"max\", field]",
                    )),
                }
            }
        }
        deserializer.deserialize_seq(AggregateVisitor)
    }
}
