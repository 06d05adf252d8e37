//! The server: protocols, configuration and the command line of the `ironbark` binary.
//!
//! ```text
//!   command ─┬─ config   file, environment, flags ──► Config
//!            ├─ serve    opens store, engine, query engine, compactor; listens; drains
//!            │    ├─ flight   Flight SQL (gRPC)  ─┐ tenant ─► decode ─► engine.append
//!            │    └─ http     JSON, NDJSON, SQL  ─┘        └► query session ─► rows
//!            └─ the client commands
//! ```
//!
//! Protocols settle who asks ([`tenant`]) and turn bytes into Arrow; they hold no rows and decide nothing about
//! durability or visibility.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing))]

pub mod command;
pub mod config;
mod error;
pub mod tenant;
#[cfg_attr(not(test), expect(dead_code, reason = "the ingest command, which reads files, comes next"))]
#[expect(unused_imports, reason = "the ingest command, which reads files, comes next")]
mod text;
mod version;

pub use error::{Error, Result};
