//! What all sessions share: settings, memory, functions, and the door to the tables.

use std::fmt;
use std::sync::Arc;

use datafusion::execution::SessionState;
use datafusion::execution::runtime_env::RuntimeEnv;
use ironbark_storage::{Ambient, Store, Tables, TenantId};

use crate::config::QueryConfig;
use crate::error::Result;
use crate::ranges::{RangeCache, SegmentObjects};
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
    pub(crate) ranges: Option<Arc<RangeCache>>,
    pub(crate) plannings: Plannings,
}

impl QueryEngine {
    /// An engine that reads byte ranges through the cache, if there is one: a store in a local directory needs none. Fails if a
    /// setting is wrong or the spill directory cannot be had.
    pub fn new(
        config: QueryConfig,
        store: Store,
        tables: Arc<dyn Tables>,
        ambient: Ambient,
        ranges: Option<Arc<RangeCache>>,
    ) -> Result<Arc<Self>> {
        let runtime = base::runtime(&config)?;
        let base = base::state(&config, &runtime, &ambient);
        let tails = Arc::new(TailCache::new(config.tail_cache_bytes));
        let plannings = Plannings::default();
        Ok(Arc::new(Self { config, store, tables, ambient, base, runtime, tails, ranges, plannings }))
    }

    /// A session of a tenant: it sees this tenant's tables and nothing else.
    pub fn session(self: &Arc<Self>, tenant: &TenantId) -> Session {
        Session::new(Arc::clone(self), tenant.clone())
    }

    /// The segments of a tenant.
    pub(crate) fn segments(&self, tenant: &TenantId) -> SegmentObjects {
        SegmentObjects::new(&self.store, tenant, self.ranges.clone())
    }

    /// Memory that the parsed ends of segments hold now, in bytes.
    pub fn tail_cache_bytes(&self) -> usize {
        self.tails.bytes()
    }

    /// Memory that pieces of token indexes hold now, in bytes.
    pub fn piece_cache_bytes(&self) -> usize {
        self.tails.pieces().bytes()
    }

    /// The cache of byte ranges.
    pub fn range_cache(&self) -> Option<&RangeCache> {
        self.ranges.as_deref()
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
