//! Figures over whole results.
//!
//! A count that keys prove is taken from the index alone. Nothing depends on the order in which documents are found:
//! integers are added exactly, doubles as if they were, and of equal values in different representations (`1` and `1.0`)
//! the same one is always taken.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use andiron_protocol::{Aggregate, AggregateBody, Map, Query, Source, TypeClass, Value, write_value_json};
use andiron_store::{DocumentRow, Snapshot};

use super::exact_sum::ExactSum;
use super::page::{LastPage, Outlet, Page, PageBounds, Receiver};
use super::place::data_of;
use super::reads::Reads;
use super::request::Request;
use super::route::Route;
use super::{Aggregated, Context, INLINE_CHECKED_MAX, Thread, executor, planner, with_view};
use crate::{DocumentSink, EngineError};

/// Keys that may be counted on the caller's thread.
const INLINE_COUNTED_MAX: u64 = 5_000;

impl Context {
    /// Computes figures; `None` if it would take too long here.
    pub(super) fn aggregate(
        &self,
        body: &AggregateBody,
        thread: Thread,
    ) -> Result<Option<Aggregated>, EngineError> {
        body.query.check()?;
        // What is selected is for answers; a result has no pages here.
        let query = Query {
            select: None,
            cursor: None,
            ..body.query.clone()
        };
        let bounds = PageBounds {
            skip: u64::from(query.offset),
            take: query.limit.map_or(u64::MAX, u64::from),
            looks_ahead: false,
        };
        let is_part = query.limit.is_some() || query.offset > 0;
        // For a count it does not matter which documents the limit leaves.
        let is_count = body
            .aggregates
            .values()
            .all(|aggregate| *aggregate == Aggregate::Count);
        with_view(&self.shared, |indexes, snapshot| {
            let mut list = self.list_judge(&query, snapshot)?;
            let mut request = self.request(&query, list.as_ref());
            request.wants_order = is_part && !is_count;
            request.is_reversed &= request.wants_order;
            let route = if bounds.take == 0 {
                Route::nowhere()
            } else {
                planner::plan(&request, bounds.wanted(), thread.care(), indexes, snapshot)?
            };
            let is_keyed =
                is_count && route.is_countable() && !request.hides_system && !request.judges_documents;
            let mut reads = self.reads();
            if thread == Thread::Callers {
                let inline_max = if is_keyed {
                    INLINE_COUNTED_MAX
                } else {
                    INLINE_CHECKED_MAX
                };
                if size(&request, &route, snapshot, inline_max + 1)?.min(route.reads_expected) > inline_max {
                    return Ok(None);
                }
                reads.limit_trial(inline_max);
            }
            let mut figures = Figures::new(&body.aggregates);
            let mut follow = |receiver: &mut dyn Receiver, reads: &mut Reads| {
                let judge = list.as_mut();
                executor::execute(
                    &request,
                    &route,
                    bounds.wanted(),
                    snapshot,
                    judge,
                    reads,
                    receiver,
                )
            };
            let followed = if is_keyed {
                let max = bounds.wanted().min(self.shared.options.query.reads_max);
                let counted = size(&request, &route, snapshot, max.saturating_add(1))?;
                figures.count = counted.saturating_sub(bounds.skip).min(bounds.take);
                reads.entries(counted)
            } else if request.is_reversed {
                let bytes_max = self.shared.options.query.sort_bytes_max;
                let mut page = LastPage::new(Outlet::new(&mut figures, &query), bounds, bytes_max);
                follow(&mut page, &mut reads).and_then(|()| page.finish().map(drop))
            } else if is_part {
                let mut page = Page::new(Outlet::new(&mut figures, &query), bounds);
                follow(&mut page, &mut reads)
            } else {
                follow(&mut figures, &mut reads)
            };
            if reads.is_trial_over() {
                return Ok(None);
            }
            followed.map_err(|error| self.failed(error, &request, &reads, indexes))?;
            if let Some(failure) = figures.failure.take() {
                return Err(failure);
            }
            let plan = self.finish(&request, &route, &reads, figures.count, indexes);
            Ok(Some(Aggregated {
                version: snapshot.version()?,
                aggregates: figures.finish(),
                plan,
            }))
        })
    }
}

/// How many entries or documents a route goes over, counted up to `max`.
fn size(
    request: &Request<'_>,
    route: &Route<'_>,
    snapshot: &dyn Snapshot,
    max: u64,
) -> Result<u64, EngineError> {
    let collection = match &request.query.from {
        Source::Collection(collection) => Some(collection),
        Source::Group(_) => None,
    };
    let mut size = 0;
    for leg in &route.legs {
        if size < max {
            size += leg.size(collection, snapshot, max - size)?;
        }
    }
    Ok(size)
}

/// The figures of an aggregation under way.
struct Figures {
    aggregates: BTreeMap<String, Aggregate>,
    count: u64,
    /// One for each aggregate, in their order.
    figures: Vec<Figure>,
    wants_data: bool,
    failure: Option<EngineError>,
}

/// One figure under way.
enum Figure {
    Count,
    /// Of sums and means.
    Numbers {
        integers: i128,
        doubles: ExactSum,
        has_doubles: bool,
        count: u64,
    },
    /// Of minima and maxima.
    Extreme(Option<Value>),
}

impl Figures {
    fn new(aggregates: &BTreeMap<String, Aggregate>) -> Self {
        let figures = aggregates.values().map(|aggregate| match aggregate {
            Aggregate::Count => Figure::Count,
            Aggregate::Sum(_) | Aggregate::Average(_) => Figure::Numbers {
                integers: 0,
                doubles: ExactSum::default(),
                has_doubles: false,
                count: 0,
            },
            Aggregate::Minimum(_) | Aggregate::Maximum(_) => Figure::Extreme(None),
        });
        Self {
            aggregates: aggregates.clone(),
            count: 0,
            figures: figures.collect(),
            wants_data: aggregates
                .values()
                .any(|aggregate| *aggregate != Aggregate::Count),
            failure: None,
        }
    }

    fn add(&mut self, data: &Map) {
        for (aggregate, figure) in self.aggregates.values().zip(&mut self.figures) {
            let (Aggregate::Sum(field)
            | Aggregate::Average(field)
            | Aggregate::Minimum(field)
            | Aggregate::Maximum(field)) = aggregate
            else {
                continue;
            };
            if let Some(value) = field.get(data) {
                figure.add(value, matches!(aggregate, Aggregate::Minimum(_)));
            }
        }
    }

    fn finish(self) -> BTreeMap<String, Value> {
        let count = self.count;
        let figures = self.aggregates.iter().zip(self.figures);
        figures
            .map(|((name, aggregate), figure)| {
                let is_mean = matches!(aggregate, Aggregate::Average(_));
                (name.clone(), figure.finish(count, is_mean))
            })
            .collect()
    }
}

impl Figure {
    fn add(&mut self, value: &Value, wants_least: bool) {
        match (self, value) {
            (Self::Numbers { integers, count, .. }, Value::Integer(integer)) => {
                *integers += i128::from(*integer);
                *count += 1;
            }
            (
                Self::Numbers {
                    doubles,
                    has_doubles,
                    count,
                    ..
                },
                Value::Double(double),
            ) => {
                doubles.add(*double);
                *has_doubles = true;
                *count += 1;
            }
            (Self::Extreme(extreme), value) if value.type_class() != TypeClass::Null => {
                let is_better = extreme.as_ref().is_none_or(|extreme| {
                    let ordering = value.cmp(extreme);
                    let ordering = if wants_least { ordering } else { ordering.reverse() };
                    ordering
                        .then_with(|| representation(value).cmp(&representation(extreme)))
                        .is_lt()
                });
                if is_better {
                    *extreme = Some(value.clone());
                }
            }
            _ => {}
        }
    }

    fn finish(self, documents: u64, is_mean: bool) -> Value {
        match self {
            Self::Count => Value::Integer(i64::try_from(documents).unwrap_or(i64::MAX)),
            Self::Extreme(extreme) => extreme.unwrap_or(Value::Null),
            Self::Numbers { count: 0, .. } if is_mean => Value::Null,
            Self::Numbers {
                integers,
                mut doubles,
                has_doubles,
                count,
            } => match i64::try_from(integers) {
                Ok(sum) if !has_doubles && !is_mean => Value::Integer(sum),
                _ => {
                    doubles.add_integer(integers);
                    let total = doubles.total();
                    #[expect(
                        clippy::cast_precision_loss,
                        reason = "a query reads fewer documents than 2^53"
                    )]
                    Value::Double(if is_mean { total / count as f64 } else { total })
                }
            },
        }
    }
}

/// Tells equal values of different representation apart.
fn representation(value: &Value) -> Vec<u8> {
    let mut json = Vec::new();
    write_value_json(value, &mut json);
    json
}

/// A whole result: its documents come with their data if that is wanted.
impl Receiver for Figures {
    fn wants_data(&self) -> bool {
        self.wants_data
    }

    fn receive(&mut self, _row: &DocumentRow<'_>, data: Option<Map>) -> Result<ControlFlow<()>, EngineError> {
        self.count += 1;
        if let Some(data) = data.filter(|_| self.wants_data) {
            self.add(&data);
        }
        Ok(ControlFlow::Continue(()))
    }
}

/// A part of a result: its documents come as to any sink.
impl DocumentSink for Figures {
    fn document(&mut self, row: DocumentRow<'_>) -> ControlFlow<()> {
        self.count += 1;
        if self.wants_data {
            match data_of(&row) {
                Ok(data) => self.add(&data),
                Err(failure) => {
                    self.failure = Some(failure);
                    return ControlFlow::Break(());
                }
            }
        }
        ControlFlow::Continue(())
    }
}
