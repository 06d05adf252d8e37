//! The manifest: which segments a table consists of, and which rows of the WAL they hold.

mod edit;
mod state;

pub use edit::{AddSegments, FlushedRange, ManifestEdit, WriterId};
pub use state::{Manifest, RemovedSegment};
