//! Admission: whether an append may begin, decided before anything of it is stored.
//!
//! Memory is reserved for a batch when it is admitted, belongs to its buffers once it is durable, and is given back
//! when its segments are committed. An append that fails gives it back at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

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
}

impl Budget {
    pub(crate) fn new(limit: u64) -> Arc<Self> {
        Arc::new(Self { used: AtomicU64::new(0), limit })
    }

    /// Bytes in use.
    pub(crate) fn used(&self) -> u64 {
        self.used.load(Ordering::Acquire)
    }

    /// The limit in bytes.
    pub(crate) fn limit(&self) -> u64 {
        self.limit
    }

    /// Reserves memory for a batch, or refuses it. One batch is always admitted to an empty memory.
    pub(crate) fn reserve(self: &Arc<Self>, batch_bytes: usize) -> Result<Reservation> {
        let bytes = (batch_bytes as u64).saturating_add(BATCH_OVERHEAD_BYTES);
        let admit = |used: u64| {
            let total = used.saturating_add(bytes);
            (used == 0 || total <= self.limit).then_some(total)
        };
        match self.used.fetch_update(Ordering::AcqRel, Ordering::Acquire, admit) {
            Ok(_) => Ok(Reservation { budget: Arc::clone(self), bytes }),
            Err(used) => Err(self.full(used)),
        }
    }

    fn full(&self, used: u64) -> Error {
        metrics::counter!("ironbark_append_refused_total", "reason" => "memory").increment(1);
        Error::MemoryFull { used_bytes: used, limit_bytes: self.limit, retry_after_ms: MEMORY_RETRY_MS }
    }

    /// Fails as [`Self::reserve`] would, and reserves nothing.
    pub(crate) fn has_room(&self, batch_bytes: usize) -> Result<()> {
        let (used, bytes) = (self.used(), (batch_bytes as u64).saturating_add(BATCH_OVERHEAD_BYTES));
        if used == 0 || used.saturating_add(bytes) <= self.limit { Ok(()) } else { Err(self.full(used)) }
    }

    /// Takes memory beyond the limit: recovery must bring back all that was acknowledged.
    pub(crate) fn reserve_anyway(self: &Arc<Self>, batch_bytes: usize) -> Reservation {
        let bytes = (batch_bytes as u64).saturating_add(BATCH_OVERHEAD_BYTES);
        self.used.fetch_add(bytes, Ordering::AcqRel);
        Reservation { budget: Arc::clone(self), bytes }
    }

    /// Gives memory back that [`Reservation::keep`] handed over.
    pub(crate) fn release(&self, bytes: u64) {
        let _ = self
            .used
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |used| Some(used.saturating_sub(bytes)));
        metrics::gauge!("ironbark_buffer_bytes").set(as_gauge(self.used()));
    }
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

    #[test]
    fn memory_is_bounded_and_given_back() {
        let budget = Budget::new(10_000);
        let first = budget.reserve(50_000).expect("an empty memory admits one batch of any size");
        assert!(matches!(budget.reserve(1), Err(Error::MemoryFull { .. })));
        drop(first);
        assert_eq!(budget.used(), 0);
        let kept = budget.reserve(904).unwrap().keep();
        assert_eq!((kept, budget.used()), (5_000, 5_000));
        assert!(budget.reserve(905).is_err() && budget.has_room(905).is_err());
        assert_eq!((budget.has_room(904).is_ok(), budget.used()), (true, 5_000));
        budget.release(kept);
        assert!(budget.reserve(905).is_ok());
    }
}
