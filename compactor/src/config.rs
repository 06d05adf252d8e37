//! Settings of the compactor, as data.

use crate::policy::Policy;
use crate::{Error, Result};

/// Settings; the defaults suit production.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CompactorConfig {
    /// Pause between two rounds, in milliseconds.
    pub interval_ms: u64,
    /// Pause between two searches for objects that no manifest names, in milliseconds: each lists all folders.
    pub sweep_interval_ms: u64,
    /// How long a removed segment's object is kept, in milliseconds: longer than the longest query.
    pub grace_ms: u64,
    /// How long an object that no manifest names is kept, in milliseconds: longer than any writer takes from putting
    /// a segment to committing it.
    pub orphan_grace_ms: u64,
    /// A partition whose newest segment is older than this, in milliseconds, is taken to get no more rows.
    pub quiet_ms: u64,
    /// What is merged with what.
    pub policy: Policy,
    /// Only tell what would be done.
    pub dry_run: bool,
}

impl Default for CompactorConfig {
    fn default() -> Self {
        const MINUTE_MS: u64 = 60_000;
        Self {
            interval_ms: 10_000,
            sweep_interval_ms: 60 * MINUTE_MS,
            grace_ms: 60 * MINUTE_MS,
            orphan_grace_ms: 24 * 60 * MINUTE_MS,
            quiet_ms: 15 * MINUTE_MS,
            policy: Policy::default(),
            dry_run: false,
        }
    }
}

impl CompactorConfig {
    /// Fails with [`Error::InvalidSetting`] where the settings cannot work together.
    pub fn check(&self) -> Result<()> {
        let refuse = |what, value: u64, reason| Err(Error::InvalidSetting { what, value, reason });
        let policy = &self.policy;
        if policy.inputs_min < 2 {
            let value = u64::try_from(policy.inputs_min).unwrap_or(u64::MAX);
            return refuse("policy.inputs_min", value, "a merge needs at least 2 segments");
        }
        if policy.inputs_max < policy.inputs_min {
            let value = u64::try_from(policy.inputs_max).unwrap_or(u64::MAX);
            return refuse("policy.inputs_max", value, "must not be smaller than policy.inputs_min");
        }
        if !(1..=Policy::TARGET_ROWS_MAX).contains(&policy.target_rows) {
            return refuse("policy.target_rows", policy.target_rows, "must be from 1 to 16777216");
        }
        if policy.target_bytes == 0 {
            return refuse("policy.target_bytes", policy.target_bytes, "must be at least 1");
        }
        Ok(())
    }
}

/// A span of milliseconds in the clock's nanoseconds.
pub(crate) fn ns(ms: u64) -> i64 {
    i64::try_from(ms).unwrap_or(i64::MAX).saturating_mul(1_000_000)
}
