//! The write path: an acknowledged row is durable.
//!
//! ```text
//!   disk   the seam to local files, and a double that loses power
//!   wal    the write-ahead log: durable before it is acknowledged
//! ```

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing))]

pub mod disk;
mod error;
pub mod wal;

pub use error::{Error, Result};
