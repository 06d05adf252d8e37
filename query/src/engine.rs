//! What all sessions share: settings, memory, functions, and the door to the tables.

use std::fmt;
use std::sync::Arc;

use datafusion::execution::SessionState;
use datafusion::execution::runtime_env::RuntimeEnv;
use ironbark_storage::{Ambient, Tables, TenantId};
use object_store::ObjectStore;
use object_store::path::Path;

use crate::config::QueryConfig;
use crate::error::Result;
use crate::session::{Session, base};
use crate::table::TailCache;

/// Runs queries. One for a process.
pub struct QueryEngine {
    pub(crate) config: QueryConfig,
    pub(crate) store: Arc<dyn ObjectStore>,
    pub(crate) tables: Arc<dyn Tables>,
    pub(crate) ambient: Ambient,
    pub(crate) base: SessionState,
    pub(crate) runtime: Arc<RuntimeEnv>,
    pub(crate) tails: Arc<TailCache>,
}

impl QueryEngine {
    /// Fails if a setting is wrong or the spill directory cannot be had.
    pub fn new(
        config: QueryConfig,
        store: Arc<dyn ObjectStore>,
        tables: Arc<dyn Tables>,
        ambient: Ambient,
    ) -> Result<Arc<Self>> {
        let runtime = base::runtime(&config)?;
        let base = base::state(&config, &runtime);
        let tails = Arc::new(TailCache::new(config.tail_cache_bytes));
        Ok(Arc::new(Self { config, store, tables, ambient, base, runtime, tails }))
    }

    /// A session of a tenant: it sees this tenant's tables and nothing else.
    pub fn session(self: &Arc<Self>, tenant: &TenantId) -> Session {
        Session::new(Arc::clone(self), tenant.clone())
    }

    /// The tenant's objects and no others.
    pub(crate) fn tenant_store(&self, _tenant: &TenantId) -> Arc<dyn ObjectStore> {
        Arc::clone(&self.store)
    }

    /// Where an object can be opened by other programs.
    pub(crate) fn object_url(&self, key: &Path) -> String {
        key.to_string()
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
