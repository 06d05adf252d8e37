//! The write path: an acknowledged row is durable and visible.
//!
//! ```text
//!   append ─► admission ─► WAL ─► buffers ─────► flush ─► segment ─► manifest
//!             memory       disk    visible        │                     │
//!             keys                                └── WAL truncated ◄───┘
//!
//!   disk       the seam to local files, and a double that loses power
//!   wal        the write-ahead log: durable before it is acknowledged
//!   record     what a WAL record of rows holds
//!   once       idempotency keys
//!   admission  the memory budget
//!   buffer     rows in memory
//!   ingest     from the WAL to the buffers
//!   flush      from the buffers to segments
//!   recovery   from the WAL to the buffers, at the start
//!   backoff    pauses after failures
//! ```

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing))]

mod admission;
mod backoff;
mod buffer;
mod builder;
mod codec;
mod config;
pub mod disk;
mod engine;
mod error;
mod flush;
mod home;
mod ingest;
mod names;
mod once;
mod record;
mod recovery;
mod table;
pub mod wal;

pub use builder::EngineBuilder;
pub use config::EngineConfig;
pub use engine::{Appended, Engine, EngineStatus};
pub use error::{Error, Result, StopReason};
pub use flush::FlushReport;
pub use home::DirLock;
pub use ironbark_storage::ErrorKind;
pub use once::{IdempotencyKey, Once};
pub use wal::OnDamage;
