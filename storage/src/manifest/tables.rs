//! Which tables there are: those whose manifest has an object.

use futures::{StreamExt, TryStreamExt, stream};
use object_store::ObjectStore;
use object_store::path::Path;

use crate::store::failed;
use crate::{Error, Result, Store, TableName, TableRef, TenantId, key};

/// Listings in flight at once.
const LISTINGS_MAX: usize = 16;
/// Parts of a tenant's prefix.
const TENANT_PARTS: usize = 3;

/// All tables of all tenants that have a commit, in order.
pub async fn list_tables(store: &Store) -> Result<Vec<TableRef>> {
    list_some_tables(store, usize::MAX).await
}

/// All tables of some tenants, at most so many, that have a commit, in order; it asks the store in proportion to these.
pub async fn list_some_tables(store: &Store, tenants_max: usize) -> Result<Vec<TableRef>> {
    let objects = store.object_store();
    let mut prefixes = vec![Path::default()];
    for _ in 0..TENANT_PARTS {
        prefixes = descend(&*objects, prefixes).await?;
        prefixes.truncate(tenants_max);
    }
    let tenants = prefixes.iter().filter_map(|prefix| prefix.as_ref().parse::<TenantId>().ok());
    let tenants: Vec<TenantId> = tenants.collect();
    let tables: Vec<Vec<TableRef>> = stream::iter(tenants)
        .map(async |tenant| {
            let tables = list_tenant_tables(store, &tenant).await?;
            Result::<_, Error>::Ok(
                tables.into_iter().map(|table| TableRef { tenant: tenant.clone(), table }).collect(),
            )
        })
        .buffered(LISTINGS_MAX)
        .try_collect()
        .await?;
    let mut tables = tables.concat();
    tables.sort();
    Ok(tables)
}

/// A tenant's tables that have a commit, in order.
pub async fn list_tenant_tables(store: &Store, tenant: &TenantId) -> Result<Vec<TableName>> {
    let objects = store.tenant(tenant);
    let prefixes = descend(&*objects, vec![key::tenant_prefix(tenant)]).await?;
    let named = prefixes.iter().filter_map(|prefix: &Path| prefix.filename()?.parse::<TableName>().ok());
    let named: Vec<TableName> = named.collect();
    let tables: Vec<Option<TableName>> = stream::iter(named)
        .map(async |table| {
            let prefix = key::manifest_prefix(&TableRef { tenant: tenant.clone(), table: table.clone() });
            let first = objects.list(Some(&prefix)).next().await.transpose();
            let first = first.map_err(|source| failed(&prefix, source))?;
            Result::<_, Error>::Ok(first.map(|_| table))
        })
        .buffered(LISTINGS_MAX)
        .try_collect()
        .await?;
    let mut tables: Vec<TableName> = tables.into_iter().flatten().collect();
    tables.sort();
    Ok(tables)
}

/// The prefixes one level further down.
async fn descend(objects: &dyn ObjectStore, prefixes: Vec<Path>) -> Result<Vec<Path>> {
    let listed: Vec<Vec<Path>> = stream::iter(prefixes)
        .map(async |prefix| {
            let listed = objects.list_with_delimiter(Some(&prefix)).await;
            listed.map(|listed| listed.common_prefixes).map_err(|source| failed(&prefix, source))
        })
        .buffered(LISTINGS_MAX)
        .try_collect()
        .await?;
    Ok(listed.concat())
}
