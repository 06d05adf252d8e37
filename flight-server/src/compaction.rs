//! The compactor of this process, in a runtime of its own: merging takes whole cores for seconds, and must not hold
//! up requests.

use std::sync::Arc;

use ironbark_compactor::{Compactor, CompactorConfig};
use ironbark_storage::{Ambient, Store, TableRef};
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;

/// Threads of the compactor's runtime.
const THREADS: usize = 1;

/// Why compaction failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The compactor failed.
    #[error(transparent)]
    Compactor(#[from] ironbark_compactor::Error),
    /// It panicked, or its runtime is shutting down.
    #[error("the compactor stopped in the middle of its work; see the log")]
    Stopped,
}

/// The compactor of this process.
#[derive(Debug)]
pub(crate) enum Compaction {
    /// It has none: `ironbark-compactor` runs apart.
    Off,
    /// It has one.
    On(Worker),
}

/// A compactor at work.
#[derive(Debug)]
pub(crate) struct Worker {
    compactor: Arc<Compactor>,
    runtime: tokio::runtime::Handle,
    /// Given up where the process ends; a runtime must not be dropped inside of another.
    owned: parking_lot::Mutex<Option<Runtime>>,
    stop: CancellationToken,
}

impl Compaction {
    /// Starts a compactor that makes its rounds until [`Compaction::stop`].
    pub(crate) fn start(config: CompactorConfig, store: Store, ambient: Ambient) -> std::io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(THREADS)
            .thread_name("compactor")
            .enable_all()
            .build()?;
        let compactor = Arc::new(Compactor::new(config, store, ambient));
        let stop = CancellationToken::new();
        let (rounds, stopped) = (Arc::clone(&compactor), stop.clone());
        runtime.spawn(async move { rounds.run(stopped.cancelled_owned()).await });
        let handle = runtime.handle().clone();
        Ok(Self::On(Worker {
            compactor,
            runtime: handle,
            owned: parking_lot::Mutex::new(Some(runtime)),
            stop,
        }))
    }

    /// Compacts a table until nothing more is to be done. False if this process has no compactor.
    pub(crate) async fn settle(&self, table: &TableRef) -> Result<bool, Error> {
        let Self::On(worker) = self else { return Ok(false) };
        let (compactor, table) = (Arc::clone(&worker.compactor), table.clone());
        let settled = worker.runtime.spawn(async move { compactor.settle(&table).await });
        settled.await.map_err(|_| Error::Stopped)??;
        Ok(true)
    }

    /// Ends the rounds. What is half done is dropped: nothing is committed but whole merges.
    pub(crate) fn stop(&self) {
        if let Self::On(worker) = self {
            worker.stop.cancel();
            if let Some(runtime) = worker.owned.lock().take() {
                runtime.shutdown_background();
            }
        }
    }
}
