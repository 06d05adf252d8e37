//! Pauses between attempts of something that fails: twice as long after each failure, up to a limit.

use std::time::Duration;

use tokio::time::Instant;

/// Pause after the first failure, in milliseconds.
const PAUSE_MS_MIN: u64 = 1_000;
/// Longest pause, in milliseconds.
const PAUSE_MS_MAX: u64 = 30_000;

/// When to try again.
#[derive(Debug, Default)]
pub(crate) struct Backoff {
    failures: u32,
    until: Option<Instant>,
}

impl Backoff {
    /// Whether an attempt is due.
    pub(crate) fn is_due(&self, now: Instant) -> bool {
        self.until.is_none_or(|until| now >= until)
    }

    pub(crate) fn failed(&mut self, now: Instant) {
        let pause_ms = PAUSE_MS_MIN.checked_shl(self.failures).unwrap_or(PAUSE_MS_MAX).min(PAUSE_MS_MAX);
        // Beyond a few failures the pause stays as it is.
        self.failures = self.failures.saturating_add(1).min(16);
        self.until = Some(now + Duration::from_millis(pause_ms));
    }

    pub(crate) fn succeeded(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_limit_and_end_with_a_success() {
        let (mut backoff, now) = (Backoff::default(), Instant::now());
        assert!(backoff.is_due(now));
        let mut pauses = Vec::new();
        for _ in 0..20 {
            backoff.failed(now);
            assert!(!backoff.is_due(now));
            pauses.push(backoff.until.unwrap().duration_since(now).as_secs());
        }
        assert_eq!(pauses[..7], [1, 2, 4, 8, 16, 30, 30]);
        assert_eq!(pauses[19], 30);
        backoff.succeeded();
        assert!(backoff.is_due(now));
    }
}
