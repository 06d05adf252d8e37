//! What the store promises beyond the conformance suite: confinement and URLs.

use object_store::{ObjectStoreExt, PutPayload};

use super::*;

#[tokio::test]
async fn every_read_carries_a_tenant() {
    let store = Store::memory();
    let (mine, theirs): (TenantId, TenantId) = ("a/b/c".parse().unwrap(), "a/b/cd".parse().unwrap());
    let key = key::tenant_prefix(&theirs).join("logs").join("x");
    store.object_store().put(&key, PutPayload::from_static(b"secret")).await.unwrap();
    let confined = store.tenant(&mine);
    let error = failed(&key, confined.get(&key).await.unwrap_err());
    assert_eq!(error.to_string(), "object a/b/cd/logs/x is outside of a/b/c: refused");
    assert_eq!(error.kind(), crate::ErrorKind::Fatal);
    assert!(confined.put(&key, PutPayload::from_static(b"")).await.is_err());
    assert!(confined.delete(&key).await.is_err());
    assert!(confined.list_with_delimiter(None).await.is_err());
    assert!(confined.copy(&key, &key::tenant_prefix(&mine).join("x")).await.is_err());
    assert!(store.tenant(&theirs).get(&key).await.is_ok());
}

#[test]
fn object_urls_are_those_of_other_programs() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(&StoreUrl::Local(directory.path().join("new"))).unwrap();
    let key = Path::from("a/b/c/logs/x.parquet");
    let url = store.object_url(&key);
    assert!(url.starts_with("file:///") && url.ends_with("/new/a/b/c/logs/x.parquet"), "{url}");
    let s3 = Store::from_object_store(Arc::new(InMemory::new()), Path::from("p"), "s3://bucket/p");
    assert_eq!(s3.object_url(&key), "s3://bucket/p/a/b/c/logs/x.parquet");
}
