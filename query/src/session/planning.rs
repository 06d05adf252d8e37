//! Planning away from the threads that serve connections.
//!
//! ```text
//!   plan ─► one of PLANNINGS_MAX places, waited for shortly ─► thread that may block ─► answer, or the deadline
//!                          ▲                                        │
//!                          └──────── given back when it ends ───────┘
//! ```
//!
//! Planning computes without a pause: it sees no deadline and cannot be stopped. On a thread of its own it holds up
//! nobody, and its client is answered in time. One that goes on for long keeps its place, so that no more threads than
//! there are places can be lost; when none is left, queries are refused instead of waiting for ever.

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};

use super::Session;
use crate::error::{Error, Limit, Result};

/// Statements that are planned at once.
const PLANNINGS_MAX: usize = 64;
/// How long a statement waits for a place before it is refused, in milliseconds.
const PLACE_WAIT_MS: u64 = 2_000;

/// The places of a process.
#[derive(Clone, Debug)]
pub(crate) struct Plannings(Arc<Semaphore>);

impl Default for Plannings {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(PLANNINGS_MAX)))
    }
}

impl Session {
    /// Runs `work` on a thread that may block, until the deadline.
    pub(super) async fn planned<T: Send + 'static>(
        &self,
        deadline: Instant,
        work: impl Future<Output = Result<T>> + Send + 'static,
    ) -> Result<T> {
        let wait = deadline.min(Instant::now() + Duration::from_millis(PLACE_WAIT_MS));
        let place = timeout_at(wait, Arc::clone(&self.engine.plannings.0).acquire_owned()).await;
        let Ok(Ok(place)) = place else { return Err(Error::Limit(Limit::Plannings(PLANNINGS_MAX))) };
        let runtime = Handle::current();
        let planning = tokio::task::spawn_blocking(move || {
            let _place = place;
            // What waits for the store inside of it ends at the deadline too.
            runtime.block_on(timeout_at(deadline, work))
        });
        match timeout_at(deadline, planning).await {
            Ok(Ok(Ok(planned))) => planned,
            Ok(Err(died)) => Err(Error::Internal { reason: format!("the planning died: {died}") }),
            Ok(Ok(Err(_))) | Err(_) => Err(self.out_of_time()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;
    use crate::Limits;
    use crate::fixture::Fixture;

    #[tokio::test]
    async fn plannings_that_never_pause_hold_up_nobody_and_are_bounded() {
        let fixture = Fixture::new();
        let limits = Limits { timeout: Duration::from_millis(300), ..fixture.session().limits() };
        let session = fixture.session().with_limits(limits);
        let mut ends = Vec::new();
        let mut stuck = Vec::new();
        for _ in 0..PLANNINGS_MAX {
            let (end, ended) = mpsc::channel::<()>();
            ends.push(end);
            let session = session.clone();
            let deadline = Instant::now() + limits.timeout;
            stuck.push(tokio::spawn(async move {
                let work = async move {
                    let _ = ended.recv();
                    Ok(())
                };
                session.planned(deadline, work).await
            }));
        }
        // This runtime has one thread, and it sees every deadline.
        for stuck in stuck {
            let error = stuck.await.unwrap().unwrap_err();
            assert!(matches!(error, Error::Limit(Limit::TimeMs(300))), "{error}");
        }
        let refused = session.sql("SELECT 1").await.unwrap_err();
        insta::assert_snapshot!(refused, @"64 statements are being planned, which is the limit; nothing was done, retry in a few seconds");
        assert_eq!(refused.kind(), crate::ErrorKind::Busy);
        drop(ends);
        fixture.session().sql("SELECT 1").await.expect("places are given back");
    }
}
