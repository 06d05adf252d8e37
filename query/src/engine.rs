//! What all sessions share: settings, memory, functions, and the door to the tables.

use std::fmt;
use std::sync::Arc;

use datafusion::execution::SessionState;
use datafusion::execution::runtime_env::RuntimeEnv;
use ironbark_storage::{Ambient, Store, Tables, TenantId};

use crate::config::QueryConfig;
use crate::error::Result;
use crate::session::planning::Plannings;
use crate::session::{Session, base};
use crate::table::TailCache;

/// Runs queries. One for a process.
pub struct QueryEngine {
    pub(crate) config: QueryConfig,
    pub(crate) store: Store,
    pub(crate) tables: Arc<dyn Tables>,
    pub(crate) ambient: Ambient,
    pub(crate) base: SessionState,
    pub(crate) runtime: Arc<RuntimeEnv>,
    pub(crate) tails: Arc<TailCache>,
    pub(crate) plannings: Plannings,
}

impl QueryEngine {
    /// Fails if a setting is wrong or the spill directory cannot be had.
    pub fn new(
        config: QueryConfig,
        store: Store,
        tables: Arc<dyn Tables>,
        ambient: Ambient,
    ) -> Result<Arc<Self>> {
        let runtime = base::runtime(&config)?;
        let base = base::state(&config, &runtime, &ambient);
        let tails = Arc::new(TailCache::new(config.tail_cache_bytes));
        let plannings = Plannings::default();
        Ok(Arc::new(Self { config, store, tables, ambient, base, runtime, tails, plannings }))
    }

    /// A session of a tenant: it sees this tenant's tables and nothing else.
    pub fn session(self: &Arc<Self>, tenant: &TenantId) -> Session {
        Session::new(Arc::clone(self), tenant.clone())
    }

    /// Memory that the parsed ends of segments hold now, in bytes.
    pub fn tail_cache_bytes(&self) -> usize {
        self.tails.bytes()
    }

    /// Memory that running queries hold now, in bytes.
    pub fn memory_reserved_bytes(&self) -> usize {
        self.runtime.memory_pool.reserved()
    }
}

impl fmt::Debug for QueryEngine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QueryEngine").field("config", &self.config).finish_non_exhaustive()
    }
}
