//! The read path: SQL and search over snapshots.
//!
//! ```text
//!   text ─► parse, allow-list (sandbox) ─► logical plan ─► optimizer ─► scan of snapshots ─► limits ─► wire types
//!           session/sandbox                session/        DataFusion   table/               stream    boundary
//!   search('…') ─► search/ ─► the same expressions ─────────┘
//! ```
//!
//! A session belongs to one tenant and can name nothing of another. This crate never writes a row; the only change
//! that it makes is `CREATE TABLE`, through [`ironbark_storage::Tables`].

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing))]

mod boundary;
mod clause;
mod config;
mod diagnose;
mod engine;
mod error;
#[cfg(test)]
mod fixture;
mod functions;
mod interrupt;
pub mod json;
mod ranges;
pub mod search;
mod session;
mod stream;
mod table;
mod tags;

pub use config::{Limits, QueryConfig, SQL_BYTES_MAX};
pub use engine::QueryEngine;
pub use error::{Error, ErrorKind, Limit, Place, Result};
pub use ranges::RangeCache;
pub use session::{
    Order, SchemaEntry, SearchPage, SearchRequest, Session, Statement, StatementKind, TableEntry,
};
pub use stream::QueryStream;
