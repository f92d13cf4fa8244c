//! A query with everything worked out that planning and execution ask about again and again.

use std::borrow::Cow;
use std::cmp::Ordering;

use andiron_protocol::{Bound, Direction, DocumentPath, FieldRef, Filter, Map, OrderBy, Query, Source};
use andiron_store::{DocumentRow, StoreError};

use crate::rules::ListJudge;

/// A query, normalised.
pub(crate) struct Request<'q> {
    pub(crate) query: &'q Query,
    /// The whole order but for the path.
    pub(crate) order: Vec<OrderBy>,
    /// The order that a scan has to provide by itself.
    pub(crate) target: Option<Target>,
    /// The query's filter and what the rules demand of every document beside it. The order is the query's alone.
    pub(crate) filter: Option<Cow<'q, Filter>>,
    /// Whether the rules keep documents from the caller, by the filter or one by one.
    pub(crate) is_judged: bool,
    /// Whether each document of the result has to be put to the judge.
    pub(crate) judges_documents: bool,
    /// The position of a cursor: the result goes on after it.
    pub(crate) after: Option<Bound>,
    /// Whether the result is wanted from its end.
    pub(crate) is_reversed: bool,
    /// Whether documents of system collections are left out; they can only turn up in a group.
    pub(crate) hides_system: bool,
    /// Whether the result's order matters.
    pub(crate) wants_order: bool,
    /// Whether it has to be told how the documents were found.
    pub(crate) explains: bool,
}

/// The order that a scan has to provide: the first `fields` of the request's order, then the path. What stands behind a
/// collection's id in an order decides nothing, since an id is unique there.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Target {
    pub(crate) fields: usize,
    pub(crate) path_direction: Direction,
}

/// A side of a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Start,
    End,
}

impl Side {
    /// Where documents are, relative to a bound, that this side of the result cuts off.
    pub(crate) fn outside(self) -> Ordering {
        match self {
            Self::Start => Ordering::Less,
            Self::End => Ordering::Greater,
        }
    }
}

impl<'q> Request<'q> {
    pub(crate) fn new(query: &'q Query) -> Self {
        let order = query.normalized_order();
        let id_position = order.iter().position(|order| order.field == FieldRef::Id);
        let target = match (&query.from, id_position) {
            (Source::Collection(_), Some(fields)) => Some(Target {
                fields,
                path_direction: order[fields].direction,
            }),
            // Ids of different collections may be equal, and do not order as paths do.
            (Source::Group(_), Some(_)) => None,
            (_, None) => Some(Target {
                fields: order.len(),
                path_direction: query.path_direction(),
            }),
        };
        Self {
            query,
            order,
            target,
            filter: query.filter.as_ref().map(Cow::Borrowed),
            is_judged: false,
            judges_documents: false,
            after: None,
            is_reversed: query.limit_to_last,
            hides_system: false,
            wants_order: true,
            explains: false,
        }
    }

    /// Has the rules heeded.
    pub(crate) fn judge_by(&mut self, list: &ListJudge) {
        self.is_judged = !list.admits_all();
        self.judges_documents = list.judges_documents();
        if let Some(demanded) = list.filter() {
            let own = self.query.filter.iter();
            self.filter = Some(Cow::Owned(Filter::And(own.chain([demanded]).cloned().collect())));
        }
    }

    /// Where the result begins and ends, each position with its side.
    pub(crate) fn bounds(&self) -> impl Iterator<Item = (&Bound, Side)> {
        let start = self
            .query
            .start
            .iter()
            .chain(&self.after)
            .map(|bound| (bound, Side::Start));
        start.chain(self.query.end.iter().map(|bound| (bound, Side::End)))
    }

    pub(crate) fn has_bounds(&self) -> bool {
        self.bounds().next().is_some()
    }

    /// Whether a document belongs to what is left of the result after the cursor. The same as [`Query::matches`], with
    /// what is needed for it worked out once, and the filter of the rules.
    pub(crate) fn admits(&self, row: &DocumentRow<'_>, data: &Map) -> Result<bool, StoreError> {
        let matches = self
            .filter
            .as_deref()
            .is_none_or(|filter| filter.matches(row.id, data))
            && self.order.iter().all(|order| match &order.field {
                FieldRef::Id => true,
                FieldRef::Field(field) => field.get(data).is_some(),
            });
        if !matches || !self.has_bounds() {
            return Ok(matches);
        }
        let path = path_of(row)?;
        Ok(self.bounds().all(|(bound, side)| {
            let ordering = self.query.compare_with_bound(&self.order, &path, data, bound);
            ordering == side.outside().reverse() || (bound.inclusive && ordering.is_eq())
        }))
    }

    /// Whether a document is one that the caller must not see whatever it asks for.
    pub(crate) fn is_hidden(&self, row: &DocumentRow<'_>) -> bool {
        self.hides_system && (row.collection.starts_with('_') || row.collection.contains("/_")) && {
            // A document's id may begin with `_`, only collections are the system's.
            row.collection
                .split('/')
                .step_by(2)
                .any(|name| name.starts_with('_'))
        }
    }
}

/// The path of a document that the store gave.
pub(crate) fn path_of(row: &DocumentRow<'_>) -> Result<DocumentPath, StoreError> {
    format!("{}/{}", row.collection, row.id)
        .parse()
        .map_err(|error| StoreError::Corrupt {
            detail: format!("a stored path is not one: {error}"),
        })
}
