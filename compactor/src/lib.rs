//! Keeps tables small and tidy: merges segments, and deletes objects that nothing can hold any more.
//!
//! ```text
//!   manifest ──► policy ──► CompactionSpec      what to merge: pure, from the manifest alone
//!                               │
//!                          MergePlan            which rows go into which row group
//!                               │
//!                          MergeJob ──► new segment in the store
//!                               │
//!                     ManifestEdit::Replace     the same rows in other segments, or refused: then nothing changed
//!
//!   manifest.removed, objects named by nobody ──► garbage collection, after a grace
//! ```
//!
//! It sees the world only through manifest and object store, and may be killed at any moment: what it leaves behind
//! is garbage that a later round deletes. Any number of compactors may run at once; the manifest lets one win.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing))]

mod allocator;
mod config;
mod error;
mod garbage;
mod job;
mod plan;
mod policy;
mod report;
mod rounds;
mod spec;

pub use allocator::ALLOCATOR_SETTINGS;
pub use config::CompactorConfig;
pub use error::{Error, ErrorKind, Result};
pub use policy::{Activity, Policy};
pub use report::{Failure, Report};
pub use rounds::Compactor;
pub use spec::{CompactionSpec, Reason};
