//! Settings of the write path: plain data, checked where the engine opens.

use serde::{Deserialize, Serialize};

const MIB: u64 = 1024 * 1024;

/// Settings of the write path. Sizes in bytes, spans in milliseconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EngineConfig {
    /// Size to which a WAL file is preallocated.
    pub wal_file_bytes: u64,
    /// Bytes that may wait for the WAL before appends are refused.
    pub wal_queue_bytes: u64,
    /// Bytes that a new WAL file must leave free on its disk.
    pub disk_reserve_bytes: u64,
    /// Whether a commit is synced to the disk before it is acknowledged. Without it acknowledged rows are lost with
    /// the power: for measurements only.
    pub fsync: bool,
    /// Memory for rows that are not yet in segments; beyond it appends are refused.
    pub buffer_bytes_max: u64,
    /// A partition's buffer of this size is flushed.
    pub flush_bytes: u64,
    /// A partition's buffer of this age is flushed.
    pub flush_age_ms: u64,
    /// Partitions that may be buffered at once; beyond it the oldest are flushed, at twice as many appends are refused.
    pub open_partitions_max: usize,
    /// How long an idempotency key is remembered.
    pub idempotency_ms: u64,
    /// How many idempotency keys are remembered; beyond it appends with a key are refused.
    pub idempotency_keys_max: usize,
    /// How often the manifests of tables in use are read again, for the compactor's commits.
    pub manifest_refresh_ms: u64,
}

impl Default for EngineConfig {
    fn default() -> Self {
        Self {
            wal_file_bytes: 64 * MIB,
            wal_queue_bytes: 64 * MIB,
            disk_reserve_bytes: 256 * MIB,
            fsync: true,
            buffer_bytes_max: 256 * MIB,
            flush_bytes: 64 * MIB,
            flush_age_ms: 60_000,
            open_partitions_max: 512,
            idempotency_ms: 24 * 3_600_000,
            idempotency_keys_max: 1_000_000,
            manifest_refresh_ms: 2_000,
        }
    }
}
