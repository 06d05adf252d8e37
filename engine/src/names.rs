//! The names of tenants' tables, kept so that a query does not list the store.
//!
//! ```text
//!   age      0 ──────── FRESH_NS ─────────────────── STALE_NS ─────────►
//!   asked    known names │ known names, read anew behind │ read anew first
//! ```
//!
//! A table that this process creates is known at once; one that another creates, to the second query behind it.

use std::collections::HashMap;

use ironbark_storage::{TableName, TenantId, Timestamp};
use parking_lot::Mutex;

/// Names that are younger are not read again, in nanoseconds.
const FRESH_NS: u64 = 10_000_000_000;
/// Names that are older are not told any more, in nanoseconds.
const STALE_NS: u64 = 300_000_000_000;
/// Tenants whose names are kept. When there are more, all are forgotten.
const TENANTS_MAX: usize = 65_536;

#[derive(Debug)]
struct Known {
    names: Vec<TableName>,
    read_at: Timestamp,
    /// Somebody reads them anew.
    is_being_read: bool,
}

/// What is known of a tenant's names.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Fresh(Vec<TableName>),
    /// Whoever gets this reads them anew.
    Aging(Vec<TableName>),
    Unknown,
}

/// The names of all tenants that were asked for.
#[derive(Debug, Default)]
pub(crate) struct TableNames {
    tenants: Mutex<HashMap<TenantId, Known>>,
}

impl TableNames {
    pub(crate) fn get(&self, tenant: &TenantId, now: Timestamp) -> Answer {
        let mut tenants = self.tenants.lock();
        let Some(known) = tenants.get_mut(tenant) else { return Answer::Unknown };
        let names = known.names.clone();
        match now.ns().saturating_sub(known.read_at.ns()).unsigned_abs() {
            age if age > STALE_NS => Answer::Unknown,
            age if age > FRESH_NS && !known.is_being_read => {
                known.is_being_read = true;
                Answer::Aging(names)
            }
            _ => Answer::Fresh(names),
        }
    }

    /// Keeps what was read.
    pub(crate) fn put(&self, tenant: &TenantId, names: Vec<TableName>, read_at: Timestamp) {
        let mut tenants = self.tenants.lock();
        if tenants.len() >= TENANTS_MAX && !tenants.contains_key(tenant) {
            tenants.clear();
        }
        tenants.insert(tenant.clone(), Known { names, read_at, is_being_read: false });
    }

    /// They could not be read; the next one who asks tries again.
    pub(crate) fn still_old(&self, tenant: &TenantId) {
        if let Some(known) = self.tenants.lock().get_mut(tenant) {
            known.is_being_read = false;
        }
    }

    /// The next one who asks reads them first.
    pub(crate) fn forget(&self, tenant: &TenantId) {
        self.tenants.lock().remove(tenant);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_age() {
        let (names, tenant) = (TableNames::default(), TenantId::default());
        let at = |ns: u64| Timestamp::from_ns(i64::try_from(ns).unwrap());
        assert_eq!(names.get(&tenant, at(0)), Answer::Unknown);
        let logs = vec![TableName::default()];
        names.put(&tenant, logs.clone(), at(0));
        assert_eq!(names.get(&tenant, at(FRESH_NS)), Answer::Fresh(logs.clone()));
        assert_eq!(names.get(&tenant, at(FRESH_NS + 1)), Answer::Aging(logs.clone()));
        assert_eq!(names.get(&tenant, at(FRESH_NS + 2)), Answer::Fresh(logs.clone()), "one reader is enough");
        names.still_old(&tenant);
        assert_eq!(names.get(&tenant, at(FRESH_NS + 3)), Answer::Aging(logs.clone()));
        assert_eq!(names.get(&tenant, at(STALE_NS + 1)), Answer::Unknown);
        names.put(&tenant, logs.clone(), at(STALE_NS + 1));
        assert_eq!(names.get(&tenant, at(STALE_NS + 2)), Answer::Fresh(logs));
        names.forget(&tenant);
        assert_eq!(names.get(&tenant, at(STALE_NS + 2)), Answer::Unknown);
    }
}
