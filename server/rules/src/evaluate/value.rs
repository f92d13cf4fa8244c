//! The values that rules compute with.
//!
//! A document's data is never copied to be looked at: strings, lists and maps of it are borrowed, and their elements
//! become rule values when they are asked for. What rules build themselves is shared, so that a value is cheap to clone.
//!
//! Invariants: no value is deeper than [`VALUE_DEPTH_MAX`], so that comparing, showing and dropping may recurse; a set is
//! sorted by [`compare`](super::compare::compare) and has no two equal elements.

mod convert;
mod show;

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::sync::Arc;

use andiron_protocol::{Aggregate, DocumentPath, GeoPoint, Map as StoredMap, Query, Value as Stored};

use super::fault::Fault;
use super::request::{Auth, Request};

/// How deep values may lie in each other; what documents hold reaches 20.
pub const VALUE_DEPTH_MAX: u16 = 100;
