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

mod admin;
mod cli;
pub mod command;
mod compaction;
pub mod config;
pub mod decode;
mod demo;
mod error;
mod flight;
mod http;
mod node;
mod serve;
pub mod tenant;
mod text;
mod version;

pub use cli::Failure;
pub use decode::Rejected;
pub use error::{Error, Result};
pub use flight::actions;
pub use flight::ingest::IDEMPOTENCY_HEADER;
pub use flight::wire::{IngestResult, RejectedRow};
pub use serve::{Damage, Server};
