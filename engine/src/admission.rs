//! Admission: whether an append may begin, decided before anything of it is stored.
//!
//! Memory is reserved for a batch when it is admitted, belongs to its buffers once it is durable, and is given back
//! when its segments are committed. An append that fails gives it back at once. One that finds the memory full waits a
//! moment for others to give some back: a flush under way usually does.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::Notify;

use crate::{Error, Result};

/// What a client that met a full memory is told to wait, in milliseconds.
const MEMORY_RETRY_MS: u64 = 500;
/// What a batch costs beside its columns, in bytes: its record in the WAL's queue and its arrays' headers.
const BATCH_OVERHEAD_BYTES: u64 = 4096;

/// The budget of rows in memory.
#[derive(Debug)]
pub(crate) struct Budget {
    used: AtomicU64,
    limit: u64,
    wait: Duration,
    /// Wakes those who wait for room.
    freed: Notify,
}

impl Budget {
    /// An empty memory of so many bytes, for whose room appends wait so long.
    pub(crate) fn new(limit: u64, wait: Duration) -> Arc<Self> {
        Arc::new(Self { used: AtomicU64::new(0), limit, wait, freed: Notify::new() })
    }

    /// Bytes in use.
    pub(crate) fn used(&self) -> u64 {
        self.used.load(Ordering::Acquire)
    }

    /// The limit in bytes.
    pub(crate) fn limit(&self) -> u64 {
        self.limit
    }

    /// Reserves memory for a batch; refuses it if there is none for a while. One batch is always admitted to an empty
    /// memory.
    pub(crate) async fn reserve(self: &Arc<Self>, batch_bytes: usize) -> Result<Reservation> {
        let bytes = with_overhead(batch_bytes);
        let admit = |used: u64| self.fits(used, bytes).then(|| used.saturating_add(bytes));
        let take = || self.used.fetch_update(Ordering::AcqRel, Ordering::Acquire, admit).is_ok();
        self.soon(take).await?;
        Ok(Reservation { budget: Arc::clone(self), bytes })
    }

    /// Waits and fails as [`Self::reserve`] would, and reserves nothing.
    pub(crate) async fn room_for(&self, batch_bytes: usize) -> Result<()> {
        let bytes = with_overhead(batch_bytes);
        self.soon(|| self.fits(self.used(), bytes)).await
    }

    fn fits(&self, used: u64, bytes: u64) -> bool {
        used == 0 || used.saturating_add(bytes) <= self.limit
    }

    /// Tries again whenever memory is given back, for a while.
    async fn soon(&self, attempt: impl Fn() -> bool) -> Result<()> {
        let tries = async {
            loop {
                // Before the look: what is given back behind it is not missed.
                let freed = self.freed.notified();
                if attempt() {
                    return;
                }
                freed.await;
            }
        };
        if tokio::time::timeout(self.wait, tries).await.is_ok() {
            return Ok(());
        }
        metrics::counter!("ironbark_append_refused_total", "reason" => "memory").increment(1);
        let (used_bytes, limit_bytes) = (self.used(), self.limit);
        Err(Error::MemoryFull { used_bytes, limit_bytes, retry_after_ms: MEMORY_RETRY_MS })
    }

    /// Takes memory beyond the limit: recovery must bring back all that was acknowledged.
    pub(crate) fn reserve_anyway(self: &Arc<Self>, batch_bytes: usize) -> Reservation {
        let bytes = with_overhead(batch_bytes);
        self.used.fetch_add(bytes, Ordering::AcqRel);
        Reservation { budget: Arc::clone(self), bytes }
    }

    /// Gives memory back that [`Reservation::keep`] handed over.
    pub(crate) fn release(&self, bytes: u64) {
        let _ = self
            .used
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |used| Some(used.saturating_sub(bytes)));
        self.freed.notify_waiters();
        metrics::gauge!("ironbark_buffer_bytes").set(as_gauge(self.used()));
    }
}

/// What a batch of so many bytes takes.
fn with_overhead(batch_bytes: usize) -> u64 {
    (batch_bytes as u64).saturating_add(BATCH_OVERHEAD_BYTES)
}

/// Memory of one batch. Dropped, it is given back.
#[derive(Debug)]
pub(crate) struct Reservation {
    budget: Arc<Budget>,
    bytes: u64,
}

impl Reservation {
    /// Hands the memory over to whoever will call [`Budget::release`] with the returned bytes.
    pub(crate) fn keep(mut self) -> u64 {
        metrics::gauge!("ironbark_buffer_bytes").set(as_gauge(self.budget.used()));
        std::mem::take(&mut self.bytes)
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if self.bytes > 0 {
            self.budget.release(self.bytes);
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "a gauge needs no more than 53 bits")]
fn as_gauge(bytes: u64) -> f64 {
    bytes as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn memory_is_bounded_and_given_back() {
        let budget = Budget::new(10_000, Duration::ZERO);
        let first = budget.reserve(50_000).await.expect("an empty memory admits one batch of any size");
        assert!(matches!(budget.reserve(1).await, Err(Error::MemoryFull { .. })));
        drop(first);
        assert_eq!(budget.used(), 0);
        let kept = budget.reserve(904).await.unwrap().keep();
        assert_eq!((kept, budget.used()), (5_000, 5_000));
        assert!(budget.reserve(905).await.is_err() && budget.room_for(905).await.is_err());
        assert_eq!((budget.room_for(904).await.is_ok(), budget.used()), (true, 5_000));
        budget.release(kept);
        assert!(budget.reserve(905).await.is_ok());
    }

    #[tokio::test]
    async fn who_waits_for_room_gets_it_when_it_is_given_back() {
        let budget = Budget::new(10_000, Duration::from_millis(100));
        let first = budget.reserve(5_000).await.unwrap();
        // Polled in this order first: the memory is given back when both wait.
        let waiting = async { tokio::join!(budget.reserve(5_000), budget.reserve(5_000)) };
        let ((second, third), ()) = tokio::join!(biased; waiting, async { drop(first) });
        assert!(second.is_ok() != third.is_ok(), "there is room for one of them: {second:?}, {third:?}");
    }
}
