//! What both protocols stand on: the open engine, the query engine, the compactor, and the bounds of requests.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use ironbark_engine::Engine;
use ironbark_query::{QueryEngine, Session};
use ironbark_storage::{Ambient, Store, TenantId};

use crate::compaction::Compaction;
use crate::config::Limits;

/// An open database.
#[derive(Debug)]
pub(crate) struct Node {
    /// The write path.
    pub(crate) engine: Arc<Engine>,
    /// The read path.
    pub(crate) query: Arc<QueryEngine>,
    /// The object store.
    pub(crate) store: Store,
    /// Clock and randomness.
    pub(crate) ambient: Ambient,
    /// Bounds of requests.
    pub(crate) limits: Limits,
    /// The compactor of this process, if it has one.
    pub(crate) compaction: Compaction,
    /// Whether every listener is bound to a loopback address.
    pub(crate) only_local: bool,
    /// Whether requests are taken: after the start and until the stop.
    pub(crate) ready: AtomicBool,
}

impl Node {
    /// A session of a tenant.
    pub(crate) fn session(&self, tenant: &TenantId) -> Session {
        self.query.session(tenant)
    }

    /// Whether requests are taken.
    pub(crate) fn is_ready(&self) -> bool {
        self.ready.load(Ordering::Acquire)
    }

    /// Takes requests, or takes no more.
    pub(crate) fn set_ready(&self, ready: bool) {
        self.ready.store(ready, Ordering::Release);
    }
}
