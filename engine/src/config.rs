//! Settings of the write path: plain data, checked where the engine opens.

use serde::{Deserialize, Serialize};

use crate::wal::FILE_BYTES_MIN;
use crate::{Error, Result};

const MIB: u64 = 1024 * 1024;
/// Largest WAL file: recovery holds one in memory.
const WAL_FILE_BYTES_MAX: u64 = 1024 * MIB;
/// Smallest budget of rows in memory: a few batches.
const BUFFER_BYTES_MIN: u64 = 16 * 1024;
/// Longest pause between two looks at the manifests: older ones are not used for queries.
const MANIFEST_REFRESH_MS_MAX: u64 = 300_000;

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
    /// Memory for rows that are not yet in segments; beyond it appends wait, and are refused then.
    pub buffer_bytes_max: u64,
    /// How long an append waits for room in that memory: as long as a flush takes, and shorter than clients wait for
    /// their answers.
    pub append_wait_ms: u64,
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
            buffer_bytes_max: 128 * MIB,
            append_wait_ms: 2_000,
            flush_bytes: 32 * MIB,
            flush_age_ms: 60_000,
            open_partitions_max: 512,
            idempotency_ms: 24 * 3_600_000,
            idempotency_keys_max: 1_000_000,
            manifest_refresh_ms: 2_000,
        }
    }
}

impl EngineConfig {
    /// Fails with [`Error::InvalidSetting`], which names the first setting that cannot work.
    pub fn check(&self) -> Result<()> {
        let refuse = |key, value: u64, reason| Err(Error::InvalidSetting { key, value, reason });
        if !(FILE_BYTES_MIN..=WAL_FILE_BYTES_MAX).contains(&self.wal_file_bytes) {
            let reason = "must be from 8192 (8KiB) to 1073741824 bytes (1GiB), for example 64MiB";
            return refuse("wal_file_size", self.wal_file_bytes, reason);
        }
        if self.wal_queue_bytes == 0 {
            return refuse("wal_queue_max", 0, "must be at least 1 byte, for example 64MiB");
        }
        if self.buffer_bytes_max < BUFFER_BYTES_MIN {
            let reason = "must be at least 16384 bytes (16KiB), for example 256MiB";
            return refuse("buffer_max", self.buffer_bytes_max, reason);
        }
        if self.flush_bytes == 0 {
            return refuse("flush_size", 0, "must be at least 1 byte, for example 64MiB");
        }
        if self.open_partitions_max == 0 {
            return refuse("open_partitions_max", 0, "must be at least 1, for example 512");
        }
        if self.idempotency_ms == 0 {
            return refuse("idempotency_age", 0, "must be at least 1 ms, for example 24h");
        }
        if self.idempotency_keys_max == 0 {
            return refuse("idempotency_keys_max", 0, "must be at least 1, for example 1000000");
        }
        if !(1..=MANIFEST_REFRESH_MS_MAX).contains(&self.manifest_refresh_ms) {
            let reason = "must be from 1 to 300000 ms (5m), for example 2s";
            return refuse("manifest_refresh", self.manifest_refresh_ms, reason);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(change: impl FnOnce(&mut EngineConfig)) -> String {
        let mut config = EngineConfig::default();
        change(&mut config);
        config.check().unwrap_err().to_string()
    }

    #[test]
    fn the_defaults_are_fine_and_nonsense_is_named() {
        EngineConfig::default().check().unwrap();
        insta::assert_snapshot!(refusal(|config| config.wal_file_bytes = 5), @"engine.wal_file_size = 5: must be from 8192 (8KiB) to 1073741824 bytes (1GiB), for example 64MiB");
        let zeros: [fn(&mut EngineConfig); 8] = [
            |config| config.wal_file_bytes = 0,
            |config| config.wal_queue_bytes = 0,
            |config| config.buffer_bytes_max = 0,
            |config| config.flush_bytes = 0,
            |config| config.open_partitions_max = 0,
            |config| config.idempotency_ms = 0,
            |config| config.idempotency_keys_max = 0,
            |config| config.manifest_refresh_ms = 0,
        ];
        for zero in zeros {
            assert!(refusal(zero).contains(" = 0: must be"));
        }
    }
}
