//! The way from a cursor to an answer, for the fuzz target: as [`Engine::query`](crate::Engine::query) goes it.

use std::time::Instant;

use andiron_protocol::{Bound, Query};
use andiron_store::{Snapshot, StoredDocument};

use super::page::{Outlet, Page, PageBounds};
use super::planner::Care;
use super::reads::Reads;
use super::request::Request;
use super::{cursor, executor, planner};
use crate::indexes::IndexSet;
use crate::{EngineError, QueryLimits};

pub(crate) use super::cursor::seal;

/// The position of a cursor, and what the query finds behind it.
pub(crate) fn answer_after(
    query: &Query,
    text: &str,
    indexes: &IndexSet,
    snapshot: &dyn Snapshot,
    limits: &QueryLimits,
    begun: Instant,
) -> Result<(Bound, Vec<StoredDocument>), EngineError> {
    let mut request = Request::new(query);
    let after = cursor::read(query, &request.order, text)?.position(&request, snapshot, None)?;
    request.after = Some(after.clone());
    let bounds = PageBounds {
        skip: 0,
        take: 100,
        looks_ahead: true,
    };
    let route = planner::plan(&request, bounds.wanted(), Care::Quick, indexes, snapshot)?;
    let mut reads = Reads::new(limits, false, begun);
    let mut found = Vec::new();
    let mut page = Page::new(Outlet::new(&mut found, query), bounds);
    executor::execute(
        &request,
        &route,
        bounds.wanted(),
        snapshot,
        None,
        &mut reads,
        &mut page,
    )?;
    Ok((after, found))
}
