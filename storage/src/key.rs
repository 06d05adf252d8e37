//! Object keys: where everything lies in the store.
//!
//! ```text
//! <customer>/<project>/<environment>/<table>/
//!     _manifest/commit/00000000000000000001.json        numbered, create-if-absent
//!     _manifest/checkpoint/00000000000000000064.arrow   the manifest as of that commit
//!     _manifest/boundary/00000000000000001024.json      commits up to that one may be gone
//!     2026-11-23/<segment id>.parquet                   a segment of that day
//! _ironbark/epoch/0000000012.json                       a writer's claim of an epoch
//! _ironbark/lease/<name>/00000000000000000001.json      a lease, create-only
//! ```
//!
//! Tenant parts never begin with `_`, so `_ironbark` is nobody's.

use object_store::path::Path;

use crate::{Day, Epoch, Partition, SegmentId, TableName, TableRef, TenantId};

const MANIFEST: &str = "_manifest";
const SYSTEM: &str = "_ironbark";

/// Prefix of everything of a tenant.
pub fn tenant_prefix(tenant: &TenantId) -> Path {
    Path::from(tenant.as_str())
}

/// Prefix of everything of a table.
pub fn table_prefix(table: &TableRef) -> Path {
    tenant_prefix(&table.tenant).join(table.table.as_str())
}

/// Prefix of a partition's segments.
pub fn partition_prefix(partition: &Partition) -> Path {
    table_prefix(&partition.table).join(partition.day.to_string())
}

/// A segment's key.
pub fn segment(partition: &Partition, id: SegmentId) -> Path {
    partition_prefix(partition).join(format!("{id}.parquet"))
}

/// Prefix of all objects of a table's manifest.
pub fn manifest_prefix(table: &TableRef) -> Path {
    table_prefix(table).join(MANIFEST)
}

/// Prefix of a table's commits.
pub fn commit_prefix(table: &TableRef) -> Path {
    manifest_prefix(table).join("commit")
}

/// The key of a commit.
pub fn commit(table: &TableRef, version: u64) -> Path {
    commit_prefix(table).join(format!("{version:020}.json"))
}

/// Prefix of a table's checkpoints.
pub fn checkpoint_prefix(table: &TableRef) -> Path {
    manifest_prefix(table).join("checkpoint")
}

/// The key of the checkpoint as of a commit.
pub fn checkpoint(table: &TableRef, version: u64) -> Path {
    checkpoint_prefix(table).join(format!("{version:020}.arrow"))
}

/// Prefix of a table's boundaries.
pub fn boundary_prefix(table: &TableRef) -> Path {
    manifest_prefix(table).join("boundary")
}

/// The boundary over the commits up to a version.
pub fn boundary(table: &TableRef, version: u64) -> Path {
    boundary_prefix(table).join(format!("{version:020}.json"))
}

/// Prefix of the epoch claims.
pub fn epoch_prefix() -> Path {
    Path::from(SYSTEM).join("epoch")
}

/// The claim of an epoch.
pub fn epoch(epoch: Epoch) -> Path {
    epoch_prefix().join(format!("{:010}.json", epoch.get()))
}

/// Prefix of the numbered objects of a lease.
pub fn lease_prefix(name: &str) -> Path {
    Path::from(SYSTEM).join("lease").join(name)
}

/// One of the numbered objects of a lease.
pub fn lease(name: &str, number: u64) -> Path {
    lease_prefix(name).join(format!("{number:020}.json"))
}

/// The number in the file name of a commit, checkpoint, boundary, epoch or lease object.
pub fn number(key: &Path) -> Option<u64> {
    let (stem, _) = key.filename()?.split_once('.')?;
    stem.parse().ok()
}

/// The day and id of a segment's key, or `None` if the key is no segment's.
pub fn parse_segment(key: &Path) -> Option<(Day, SegmentId)> {
    let mut parts = key.parts().collect::<Vec<_>>().into_iter().rev();
    let file = parts.next()?;
    let day = Day::parse(parts.next()?.as_ref())?;
    Some((day, file.as_ref().strip_suffix(".parquet")?.parse().ok()?))
}

/// The table that a key lies in, or `None` for the system's keys.
pub fn parse_table(key: &Path) -> Option<TableRef> {
    let parts: Vec<_> = key.parts().take(4).collect();
    let [customer, project, environment, table] = parts.as_slice() else { return None };
    let tenant = format!("{}/{}/{}", customer.as_ref(), project.as_ref(), environment.as_ref());
    let table: TableName = table.as_ref().parse().ok()?;
    Some(TableRef { tenant: tenant.parse().ok()?, table })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_round_trip() {
        let table = TableRef::logs("acme/web/prod".parse().unwrap());
        let partition = Partition { table: table.clone(), day: Day::from_days(20_000) };
        let id = SegmentId::from_u128(7);
        let key = segment(&partition, id);
        assert_eq!(
            key.as_ref(),
            "acme/web/prod/logs/2024-10-04/00000000-0000-0000-0000-000000000007.parquet"
        );
        assert_eq!(parse_segment(&key), Some((partition.day, id)));
        assert_eq!(parse_table(&key), Some(table.clone()));
        assert_eq!(number(&commit(&table, 42)), Some(42));
        assert_eq!(parse_segment(&commit(&table, 42)), None);
        assert_eq!(parse_table(&epoch_prefix()), None);
    }
    #[test]
    fn the_layout_stays() {
        let table = TableRef::logs("acme/web/prod".parse().unwrap());
        for (key, expected) in [
            (commit(&table, 42), "acme/web/prod/logs/_manifest/commit/00000000000000000042.json"),
            (checkpoint(&table, 64), "acme/web/prod/logs/_manifest/checkpoint/00000000000000000064.arrow"),
            (boundary(&table, 1024), "acme/web/prod/logs/_manifest/boundary/00000000000000001024.json"),
            (epoch(Epoch::new(12).unwrap()), "_ironbark/epoch/0000000012.json"),
            (lease("compactor", 3), "_ironbark/lease/compactor/00000000000000000003.json"),
        ] {
            assert_eq!(key.as_ref(), expected);
        }
        assert_eq!(number(&boundary(&table, 1024)), Some(1024));
        assert_eq!(
            commit(&table, u64::MAX).filename(),
            Some("18446744073709551615.json"),
            "numbers sort as text"
        );
    }
}
