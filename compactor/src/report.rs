//! What a round did, for people and for tests.

use std::fmt;

use ironbark_storage::TableRef;

use crate::CompactionSpec;

/// A table that a round could not finish.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The table.
    pub table: TableRef,
    /// What went wrong.
    pub reason: String,
}

/// What a round did; in a dry run, what it would have done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Tables that were looked at.
    pub tables: u64,
    /// Merges that were committed.
    pub merges: u64,
    /// Merges that somebody else's commit overtook: their segments are garbage.
    pub conflicts: u64,
    /// Rows of committed merges.
    pub rows: u64,
    /// Segments that were replaced.
    pub segments_in: u64,
    /// Segments that replaced them.
    pub segments_out: u64,
    /// Bytes of the replaced segments.
    pub bytes_in: u64,
    /// Bytes of those that replaced them.
    pub bytes_out: u64,
    /// Objects of removed segments that were deleted.
    pub removed_deleted: u64,
    /// Objects deleted that no manifest named.
    pub orphans_deleted: u64,
    /// Commits and checkpoints deleted that no reader of a manifest needs any more.
    pub commits_deleted: u64,
    /// The next merge of each partition, of a dry run only.
    pub planned: Vec<CompactionSpec>,
    /// Tables that could not be finished.
    pub failures: Vec<Failure>,
}

impl Report {
    /// Adds another report to this one.
    pub fn add(&mut self, other: Self) {
        self.tables += other.tables;
        self.merges += other.merges;
        self.conflicts += other.conflicts;
        self.rows += other.rows;
        self.segments_in += other.segments_in;
        self.segments_out += other.segments_out;
        self.bytes_in += other.bytes_in;
        self.bytes_out += other.bytes_out;
        self.removed_deleted += other.removed_deleted;
        self.orphans_deleted += other.orphans_deleted;
        self.commits_deleted += other.commits_deleted;
        self.planned.extend(other.planned);
        self.failures.extend(other.failures);
    }

    /// Whether nothing was done and nothing went wrong.
    pub fn is_idle(&self) -> bool {
        *self == Self { tables: self.tables, ..Self::default() }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "tables            {}", self.tables)?;
        writeln!(f, "merges            {} ({} overtaken by others)", self.merges, self.conflicts)?;
        writeln!(f, "rows              {}", self.rows)?;
        writeln!(f, "segments          {} -> {}", self.segments_in, self.segments_out)?;
        writeln!(f, "bytes             {} -> {}", self.bytes_in, self.bytes_out)?;
        let (removed, orphaned, commits) = (self.removed_deleted, self.orphans_deleted, self.commits_deleted);
        writeln!(f, "objects deleted   {removed} removed, {orphaned} orphaned, {commits} of old manifests")?;
        for spec in &self.planned {
            writeln!(f, "would merge       {spec}")?;
        }
        for failure in &self.failures {
            writeln!(f, "failed            {}: {}", failure.table, failure.reason)?;
        }
        Ok(())
    }
}
