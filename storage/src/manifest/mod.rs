//! The manifest: which segments a table consists of, and which rows of the WAL they hold.
//!
//! ```text
//!   edit ─► commit (one object) ─► log (the table's commits in order) ─► state (what they add up to)
//!                                   └─ checkpoint (the state, every so many commits)
//! ```

mod checkpoint;
mod commit;
mod edit;
mod log;
mod state;
mod tables;
mod trim;

#[cfg(test)]
mod tests;

pub use edit::{AddSegments, FlushedRange, ManifestEdit, WriterId};
pub use log::ManifestLog;
pub use state::{Manifest, RemovedSegment};
pub use tables::{list_some_tables, list_tables, list_tenant_tables};
pub use trim::TrimReport;
