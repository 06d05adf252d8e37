//! From what clients send to validated batches: columns in, columns out, no row objects in between.
//!
//! A bad row never costs a good one: it is left out and reported by its number with the reason.

pub(crate) mod arrow;
mod arrow_columns;
mod arrow_tags;
pub(crate) mod expansion;
pub(crate) mod ipc;
pub mod json;
pub(crate) mod timestamp;

use ironbark_storage::{DAY_NS, TimeWindow, Timestamp};
use serde::{Deserialize, Serialize};

use crate::config::Limits;

/// A row that was refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rejected {
    /// Its number in the request, from 1: a line of NDJSON, an element of an array, a row of a stream.
    pub line: u64,
    /// Why.
    pub error: String,
}

/// Which timestamps are accepted from rows that arrive now.
pub(crate) fn window(limits: &Limits, arrival: Timestamp) -> TimeWindow {
    let ns = |duration: std::time::Duration| i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX);
    let earliest = limits.past.map_or(Timestamp::from_ns(0), |past| arrival.plus_ns(-ns(past)));
    TimeWindow { earliest, future_ns_max: ns(limits.future).clamp(0, i64::MAX - DAY_NS) }
}
