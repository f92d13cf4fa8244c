//! Queries: where from, which documents, in which order, which part of them.

use std::cmp::Ordering;
use std::fmt;

use serde::de::{self, Deserialize, Deserializer, SeqAccess, Unexpected, Visitor};
use serde::ser::{Serialize, SerializeMap, Serializer};

use crate::error::excerpt;
use crate::json_input::object;
use crate::limits::{OFFSET_MAX, ORDER_BY_FIELDS_MAX, SELECT_FIELDS_MAX};
use crate::path::check_id;
use crate::{CollectionPath, DocumentPath, FieldPath, FieldRef, Filter, InputError, Map, Value};

/// A query, checked: what `POST /api/v1/query` takes as its body.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Query {
    /// The collection or group.
    pub from: Source,
    /// Which documents; all of them without a filter.
    pub filter: Option<Filter>,
    /// The explicit orders; [`Query::normalized_order`] has the whole order.
    pub order_by: Vec<OrderBy>,
    /// Where the result begins.
    pub start: Option<Bound>,
    /// Where the result ends.
    pub end: Option<Bound>,
    /// How many documents are skipped at the beginning.
    pub offset: u32,
    /// How many documents at most; the server's page limit applies besides.
    pub limit: Option<u32>,
    /// Whether `limit` counts from the end; the order of the answer stays.
    pub limit_to_last: bool,
    /// The fields that documents in the answer have; all of them without.
    pub select: Option<Vec<FieldPath>>,
    /// Continues after a page: the `cursor` of that page's answer.
    pub cursor: Option<String>,
    /// Deny the query unless the caller may read every document that it could return.
    pub strict: bool,
}

/// What a query runs over.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Source {
    /// One collection.
    Collection(CollectionPath),
    /// Every collection of this name, wherever it stands.
    Group(String),
}

/// One part of an order.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OrderBy {
    /// The field; documents without it are not in the result.
    pub field: FieldRef,
    /// The direction.
    pub direction: Direction,
}

/// The direction of an order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Direction {
    /// Smallest first.
    #[default]
    Ascending,
    /// Largest first.
    Descending,
}

/// A position in a query's order.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Bound {
    /// Values for the first orders, in their order; where there is one more than orders, it is the document's path.
    pub values: Vec<Value>,
    /// The document's path, for an exact position.
    pub path: Option<DocumentPath>,
    /// Whether documents at the position itself belong to the result.
    pub inclusive: bool,
}

impl Source {
    /// The name that all collections of the source have.
    pub fn collection_name(&self) -> &str {
        match self {
            Self::Collection(path) => path.name(),
            Self::Group(name) => name,
        }
    }

    /// Whether a document with this path belongs to the source.
    pub fn contains(&self, path: &DocumentPath) -> bool {
        match self {
            Self::Collection(collection) => path.collection_str() == collection.as_str(),
            Self::Group(name) => path.collection_str().rsplit('/').next() == Some(name),
        }
    }

    /// Whether it is the system's own.
    pub fn is_system(&self) -> bool {
        match self {
            Self::Collection(path) => path.is_system(),
            Self::Group(name) => name.starts_with('_'),
        }
    }
}

impl Direction {
    /// `ordering` as it is for ascending, turned for descending.
    pub fn apply(self, ordering: Ordering) -> Ordering {
        match self {
            Self::Ascending => ordering,
            Self::Descending => ordering.reverse(),
        }
    }

    /// The other direction.
    #[must_use]
    pub fn reversed(self) -> Self {
        match self {
            Self::Ascending => Self::Descending,
            Self::Descending => Self::Ascending,
        }
    }
}

impl Query {
    /// Every document of a source.
    pub fn all(from: Source) -> Self {
        Self {
            from,
            filter: None,
            order_by: Vec::new(),
            start: None,
            end: None,
            offset: 0,
            limit: None,
            limit_to_last: false,
            select: None,
            cursor: None,
            strict: false,
        }
    }

    /// The whole order but for the document's path: the explicit orders, then those fields of inequalities that no order
    /// names, by field path, in the last direction given. A document that lacks one of them is not in the result.
    /// Inequalities under `not` order nothing, because `not` also matches documents without the field.
    pub fn normalized_order(&self) -> Vec<OrderBy> {
        let mut order = self.order_by.clone();
        let direction = self.path_direction();
        let mut implicit = Vec::new();
        let mut waiting: Vec<&Filter> = self.filter.iter().collect();
        while let Some(filter) = waiting.pop() {
            match filter {
                Filter::Compare { field, operator, .. } if operator.is_inequality() => {
                    implicit.push(field.clone())
                }
                Filter::Compare { .. } | Filter::Not(_) => {}
                Filter::And(filters) | Filter::Or(filters) => waiting.extend(filters),
            }
        }
        implicit.sort();
        implicit.dedup();
        implicit.retain(|field| !order.iter().any(|order| order.field == *field));
        order.extend(implicit.into_iter().map(|field| OrderBy { field, direction }));
        order
    }

    /// The direction in which the document's path breaks ties: the last one given.
    pub fn path_direction(&self) -> Direction {
        self.order_by
            .last()
            .map_or(Direction::Ascending, |order| order.direction)
    }

    /// Whether a document belongs to the result when limit and offset are left aside.
    pub fn matches(&self, path: &DocumentPath, data: &Map) -> bool {
        let order = self.normalized_order();
        self.from.contains(path)
            && self
                .filter
                .as_ref()
                .is_none_or(|filter| filter.matches(path.id(), data))
            && order
                .iter()
                .all(|order| order.field.get(path.id(), data).is_some())
            && self.start.as_ref().is_none_or(|bound| {
                let ordering = self.compare_with_bound(&order, path, data, bound);
                ordering.is_gt() || (bound.inclusive && ordering.is_eq())
            })
            && self.end.as_ref().is_none_or(|bound| {
                let ordering = self.compare_with_bound(&order, path, data, bound);
                ordering.is_lt() || (bound.inclusive && ordering.is_eq())
            })
    }

    /// The order of two documents of the result; `order` is [`Query::normalized_order`].
    pub fn compare(
        &self,
        order: &[OrderBy],
        (left_path, left): (&DocumentPath, &Map),
        (right_path, right): (&DocumentPath, &Map),
    ) -> Ordering {
        order
            .iter()
            .map(|order| {
                let left = order.field.get(left_path.id(), left);
                order
                    .direction
                    .apply(left.cmp(&order.field.get(right_path.id(), right)))
            })
            .find(|ordering| ordering.is_ne())
            .unwrap_or_else(|| self.path_direction().apply(left_path.cmp(right_path)))
    }

    /// Where a document stands, relative to a bound, in the query's order.
    pub fn compare_with_bound(
        &self,
        order: &[OrderBy],
        path: &DocumentPath,
        data: &Map,
        bound: &Bound,
    ) -> Ordering {
        order
            .iter()
            .zip(&bound.values)
            .map(|(order, value)| {
                let own = order.field.get(path.id(), data);
                order.direction.apply(own.as_deref().cmp(&Some(value)))
            })
            .find(|ordering| ordering.is_ne())
            .unwrap_or_else(|| match &bound.path {
                Some(bound) => self.path_direction().apply(path.cmp(bound)),
                None => Ordering::Equal,
            })
    }

    /// Keeps of a document's data what `select` names.
    pub fn project(&self, data: Map) -> Map {
        let Some(select) = &self.select else { return data };
        let mut projected = Map::new();
        for path in select {
            if let Some(value) = path.get(&data) {
                path.set(&mut projected, value.clone());
            }
        }
        projected
    }

    /// Checks what the types cannot say.
    ///
    /// # Errors
    /// Names the part of the query that is wrong.
    pub fn check(&self) -> Result<(), InputError> {
        self.check_parts()?;
        self.check_bounds()
    }

    /// Checks everything but the bounds, which are judged against the whole order: that is only safe to work out once
    /// filter and orders are known to be within their limits.
    fn check_parts(&self) -> Result<(), InputError> {
        if let Some(filter) = &self.filter {
            filter.check_limits().map_err(|error| error.in_field("where"))?;
        }
        let fail = |field: &str, detail: String| Err(InputError::new(detail).in_field(field));
        if self.order_by.len() > ORDER_BY_FIELDS_MAX {
            return fail(
                "orderBy",
                format!("`orderBy` has more than {ORDER_BY_FIELDS_MAX} fields"),
            );
        }
        for (index, order) in self.order_by.iter().enumerate() {
            if self.order_by[..index]
                .iter()
                .any(|earlier| earlier.field == order.field)
            {
                return fail(
                    "orderBy",
                    format!(
                        "`orderBy` names the field `{}` twice",
                        excerpt(&order.field.to_string())
                    ),
                );
            }
        }
        if self
            .select
            .as_ref()
            .is_some_and(|select| select.len() > SELECT_FIELDS_MAX)
        {
            return fail(
                "select",
                format!("`select` has more than {SELECT_FIELDS_MAX} fields"),
            );
        }
        if self.offset > OFFSET_MAX {
            return fail(
                "offset",
                format!("`offset` is larger than {OFFSET_MAX}; continue with a cursor instead"),
            );
        }
        if self.limit_to_last && self.limit.is_none() {
            return fail("limitToLast", "`limitToLast` needs a `limit`".to_owned());
        }
        if self.limit_to_last && self.cursor.is_some() {
            return fail(
                "cursor",
                "a query with `limitToLast` has one page, so it takes no `cursor`".to_owned(),
            );
        }
        Ok(())
    }

    fn check_bounds(&self) -> Result<(), InputError> {
        if self.start.is_none() && self.end.is_none() {
            return Ok(());
        }
        let orders = self.normalized_order().len();
        for (bound, name) in [(&self.start, "start"), (&self.end, "end")] {
            let Some(bound) = bound else { continue };
            let is_empty = bound.values.is_empty() && bound.path.is_none();
            let is_torn = bound.path.is_some() && bound.values.len() < orders;
            if is_empty || is_torn || bound.values.len() > orders {
                return Err(InputError::new(format!(
                    "the {name} of the result has other values than the {orders} of the order, with a path after them"
                ))
                .in_field(name));
            }
        }
        Ok(())
    }
}

impl Bound {
    /// A bound from the values of the wire: in `orderBy`'s order, and one more, a path, where the position is exact.
    fn from_values(
        mut values: Vec<Value>,
        orders: usize,
        from: &Source,
        inclusive: bool,
    ) -> Result<Self, InputError> {
        if values.is_empty() {
            return Err(InputError::new("a bound needs at least one value"));
        }
        if values.len() <= orders {
            return Ok(Self {
                values,
                path: None,
                inclusive,
            });
        }
        if values.len() > orders + 1 {
            return Err(InputError::new(format!(
                "a bound has {} values, and the order has {orders} and the path",
                values.len()
            )));
        }
        let path = match (values.pop(), from) {
            (Some(Value::Reference(path)), _) => path,
            (Some(Value::String(path)), _) if path.contains('/') => path.parse()?,
            (Some(Value::String(id)), Source::Collection(collection)) => collection.document(&id)?,
            _ => {
                return Err(InputError::new(
                    "the last value of a bound, after those of the order, is a document's path",
                ));
            }
        };
        Ok(Self {
            values,
            path: Some(path),
            inclusive,
        })
    }
}

impl Serialize for Query {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        match &self.from {
            Source::Collection(path) => map.serialize_entry("from", path)?,
            Source::Group(name) => map.serialize_entry("from", &serde_json::json!({ "group": name }))?,
        }
        if let Some(filter) = &self.filter {
            map.serialize_entry("where", filter)?;
        }
        if !self.order_by.is_empty() {
            map.serialize_entry("orderBy", &self.order_by)?;
        }
        for (bound, inclusive, exclusive) in [
            (&self.start, "startAt", "startAfter"),
            (&self.end, "endAt", "endBefore"),
        ] {
            if let Some(bound) = bound {
                let mut values = bound.values.clone();
                values.extend(bound.path.clone().map(Value::Reference));
                map.serialize_entry(if bound.inclusive { inclusive } else { exclusive }, &values)?;
            }
        }
        if self.offset > 0 {
            map.serialize_entry("offset", &self.offset)?;
        }
        if let Some(limit) = self.limit {
            map.serialize_entry("limit", &limit)?;
        }
        if self.limit_to_last {
            map.serialize_entry("limitToLast", &true)?;
        }
        if let Some(select) = &self.select {
            map.serialize_entry("select", select)?;
        }
        if let Some(cursor) = &self.cursor {
            map.serialize_entry("cursor", cursor)?;
        }
        if self.strict {
            map.serialize_entry("strict", &true)?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for Query {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(serde::Deserialize)]
        #[serde(rename_all = "camelCase", deny_unknown_fields)]
        struct Wire {
            from: Source,
            #[serde(rename = "where")]
            filter: Option<Filter>,
            order_by: Option<Vec<OrderBy>>,
            start_at: Option<Vec<Value>>,
            start_after: Option<Vec<Value>>,
            end_at: Option<Vec<Value>>,
            end_before: Option<Vec<Value>>,
            offset: Option<Count>,
            limit: Option<Count>,
            limit_to_last: Option<bool>,
            select: Option<Vec<FieldPath>>,
            cursor: Option<String>,
            strict: Option<bool>,
            search: Option<de::IgnoredAny>,
        }
        let wire: Wire = object(
            deserializer,
            "a query: an object with `from`, `where`, `orderBy`, …",
        )?;
        if wire.search.is_some() {
            return Err(de::Error::custom("`search` is reserved and takes only null"));
        }
        let mut query = Self {
            from: wire.from,
            filter: wire.filter,
            order_by: wire.order_by.unwrap_or_default(),
            start: None,
            end: None,
            offset: wire.offset.map(|Count(offset)| offset).unwrap_or_default(),
            limit: wire.limit.map(|Count(limit)| limit),
            limit_to_last: wire.limit_to_last.unwrap_or_default(),
            select: wire.select,
            cursor: wire.cursor,
            strict: wire.strict.unwrap_or_default(),
        };
        query.check_parts().map_err(de::Error::custom)?;
        let orders = query.normalized_order().len();
        let bound = |at: Option<Vec<Value>>, beside: Option<Vec<Value>>, at_name: &str, beside_name: &str| {
            let (values, inclusive, name) = match (at, beside) {
                (None, None) => return Ok(None),
                (Some(values), None) => (values, true, at_name),
                (None, Some(values)) => (values, false, beside_name),
                (Some(_), Some(_)) => {
                    return Err(de::Error::custom(format!(
                        "a query has either `{at_name}` or `{beside_name}`"
                    )));
                }
            };
            Bound::from_values(values, orders, &query.from, inclusive)
                .map(Some)
                .map_err(|error| de::Error::custom(format!("`{name}`: {error}")))
        };
        let start = bound(wire.start_at, wire.start_after, "startAt", "startAfter")?;
        let end = bound(wire.end_at, wire.end_before, "endAt", "endBefore")?;
        query.start = start;
        query.end = end;
        query.check_bounds().map_err(de::Error::custom)?;
        Ok(query)
    }
}

/// A number of documents.
struct Count(u32);

impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct CountVisitor;
        impl Visitor<'_> for CountVisitor {
            type Value = Count;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(formatter, "a whole number from 0 to {}", u32::MAX)
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Count, E> {
                u32::try_from(number)
                    .map(Count)
                    .map_err(|_| E::invalid_value(Unexpected::Unsigned(number), &self))
            }

            fn visit_i64<E: de::Error>(self, number: i64) -> Result<Count, E> {
                u32::try_from(number)
                    .map(Count)
                    .map_err(|_| E::invalid_value(Unexpected::Signed(number), &self))
            }
        }
        deserializer.deserialize_any(CountVisitor)
    }
}

impl<'de> Deserialize<'de> for Source {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct SourceVisitor;
        impl<'de> Visitor<'de> for SourceVisitor {
            type Value = Source;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a collection path or {\"group\": name}")
            }

            fn visit_str<E: de::Error>(self, path: &str) -> Result<Source, E> {
                path.parse().map(Source::Collection).map_err(de::Error::custom)
            }

            fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<Source, A::Error> {
                #[derive(serde::Deserialize)]
                #[serde(deny_unknown_fields, expecting = "{\"group\": name}")]
                struct Group {
                    group: String,
                }
                let group = Group::deserialize(de::value::MapAccessDeserializer::new(map))?;
                check_id(&group.group).map_err(de::Error::custom)?;
                Ok(Source::Group(group.group))
            }
        }
        deserializer.deserialize_any(SourceVisitor)
    }
}

impl Serialize for OrderBy {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let direction = match self.direction {
            Direction::Ascending => "asc",
            Direction::Descending => "desc",
        };
        (&self.field, direction).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for OrderBy {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OrderVisitor;
        impl<'de> Visitor<'de> for OrderVisitor {
            type Value = OrderBy;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an order: [field, \"asc\"] or [field, \"desc\"]")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<OrderBy, A::Error> {
                let field = seq
                    .next_element()?
                    .ok_or_else(|| de::Error::invalid_length(0, &self))?;
                let direction = match seq.next_element::<String>()?.as_deref() {
                    None | Some("asc") => Direction::Ascending,
                    Some("desc") => Direction::Descending,
                    Some(other) => {
                        return Err(de::Error::custom(format!(
                            "`{}` is not a direction: it is `asc` or `desc`",
                            excerpt(other)
                        )));
                    }
                };
                if seq.next_element::<de::IgnoredAny>()?.is_some() {
                    return Err(de::Error::invalid_length(3, &self));
                }
                Ok(OrderBy { field, direction })
            }
        }
        deserializer.deserialize_seq(OrderVisitor)
    }
}
