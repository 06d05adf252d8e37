//! Settings of the query engine: plain data with defaults, read from a file, the environment or flags.

use std::path::PathBuf;
use std::time::Duration;

/// Longest SQL text in bytes.
pub const SQL_BYTES_MAX: usize = 1 << 20;

/// The `query` section of the configuration.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct QueryConfig {
    /// Memory of all running queries together, in bytes. Beyond it sorts, joins and groupings spill to disk.
    pub memory_bytes: usize,
    /// Directory for what does not fit into memory; the system's temporary directory if not given.
    pub spill_dir: Option<PathBuf>,
    /// Disk space of all running queries together, in bytes.
    pub spill_bytes: u64,
    /// Longest time of a query, in milliseconds.
    pub timeout_ms: u64,
    /// Most rows of a result.
    pub rows_max: u64,
    /// How many cores a query may use; 0 stands for all of the machine's.
    pub partitions: usize,
    /// Rows in a batch.
    pub batch_rows: usize,
    /// Memory for the parsed ends (footer and page index) of segments, in bytes.
    pub tail_cache_bytes: usize,
    /// Memory for byte ranges of segments that lie in S3, in bytes; 0 for no cache of them, neither in memory nor on disk.
    pub range_cache_bytes: usize,
    /// Disk space for such byte ranges, in bytes; 0 for none.
    pub disk_cache_bytes: u64,
    /// Directory for them; one inside of the data directory if not given.
    pub disk_cache_dir: Option<PathBuf>,
    /// How long byte ranges stay in memory and on disk at the most, in milliseconds: then both start anew.
    pub disk_cache_age_ms: u64,
}

impl Default for QueryConfig {
    fn default() -> Self {
        Self {
            memory_bytes: 512 << 20,
            spill_dir: None,
            spill_bytes: 32 << 30,
            timeout_ms: 300_000,
            rows_max: 100_000_000,
            partitions: 0,
            batch_rows: 8_192,
            tail_cache_bytes: 64 << 20,
            range_cache_bytes: 128 << 20,
            disk_cache_bytes: 8 << 30,
            disk_cache_dir: None,
            disk_cache_age_ms: 7 * 86_400_000,
        }
    }
}

/// What one query may use. Starts as the configuration says; a request may narrow it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Longest time.
    pub timeout: Duration,
    /// Most rows of the result.
    pub rows_max: u64,
}

impl QueryConfig {
    pub(crate) fn limits(&self) -> Limits {
        Limits { timeout: Duration::from_millis(self.timeout_ms), rows_max: self.rows_max }
    }
}
