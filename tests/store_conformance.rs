//! What Ironbark relies on in an object store, tried on each kind that it runs on: memory, a local directory, and a real
//! S3 server; also on the double with which other tests make a store fail. Only what is relied on is tried:
//! overwriting, and deleting what is not there, are left to the stores.
#![expect(clippy::unwrap_used, reason = "a test fails where it stands")]

use std::collections::BTreeSet;
use std::process::Command;
use std::sync::Arc;

use bytes::Bytes;
use futures::future::join_all;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use ironbark_storage::store::sim::SimStore;
use ironbark_storage::{
    Ambient, Epoch, ManifestEdit, ManifestLog, Store, StoreUrl, TableRef, TenantId, WriterId, claim_epoch,
    list_some_tables, list_tables,
};
use ironbark_tests::parts::{self, S3};
use object_store::path::Path;
use object_store::{Error, GetOptions, GetRange, ObjectStore, ObjectStoreExt as _, PutMode, PutPayload};

/// Writers that race for one key, and keys that they race for.
const RACERS: usize = 8;
const RACES: usize = 10;

/// The least that S3 takes as a part of an upload that is not its last.
const PIECE_BYTES: usize = 5 * 1024 * 1024;

/// A segment that is put in several pieces.
const LARGE_BYTES: usize = 20 * 1024 * 1024;
/// Objects that one stream deletes: more than S3 takes in one request.
const DELETED: usize = 1_100;
/// Writers that race for a manifest, and commits of each.
const COMMITTERS: u64 = 4;
const COMMITS: u64 = 5;

/// The variable that hands the URL to the test that runs in an environment of its own.
const CHILD_URL: &str = "IRONBARK_TEST_CONFORMANCE_URL";

#[tokio::test(flavor = "multi_thread")]
async fn memory_keeps_the_promises() {
    keeps_the_promises(&Store::memory()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_double_keeps_the_promises_while_it_has_no_faults() {
    keeps_the_promises(&SimStore::new(1).store()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_local_directory_keeps_the_promises() {
    let folder = tempfile::tempdir().unwrap();
    let url: StoreUrl = format!("file://{}", folder.path().join("store").display()).parse().unwrap();
    keeps_the_promises(&Store::open(&url).unwrap()).await;
    // What was written is there for whoever opens the directory next.
    let again = Store::open(&url).unwrap().object_store();
    assert_eq!(read(&*again, &Path::from("plain/object")).await, "0123456789");
}

/// Settings of S3 come from the environment, which a test cannot change for itself: it runs another one in it.
#[test]
fn an_s3_server_keeps_the_promises() {
    let Some(s3) = S3::require() else { return };
    let folder = tempfile::tempdir().unwrap();
    let name = folder.path().file_name().unwrap().to_string_lossy().trim_start_matches('.').to_owned();
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", "--ignored", "--nocapture", "the_promises_in_an_environment_for_s3"]);
    child.envs(s3.environment()).env(CHILD_URL, format!("s3://{}/conformance-{name}", s3.bucket));
    let printed = parts::run_client(&mut child);
    assert!(printed.contains("1 passed"), "{printed}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "run by an_s3_server_keeps_the_promises"]
async fn the_promises_in_an_environment_for_s3() {
    let url: StoreUrl = std::env::var(CHILD_URL).unwrap().parse().unwrap();
    keeps_the_promises(&Store::open(&url).unwrap()).await;
}

async fn keeps_the_promises(store: &Store) {
    let objects = store.object_store();
    reads_what_was_put(&*objects).await;
    creates_once(&*objects).await;
    one_of_many_creators_wins(&*objects).await;
    lists_what_is_there(&*objects).await;
    large_objects_appear_whole(&*objects).await;
    takes_keys_of_all_our_characters(&*objects).await;
    deletes_many(&*objects).await;
    one_of_many_commits_wins(store).await;
    a_tenant_sees_its_own(store).await;
}

async fn read(store: &dyn ObjectStore, key: &Path) -> String {
    let bytes = store.get(key).await.unwrap().bytes().await.unwrap();
    String::from_utf8(bytes.to_vec()).unwrap()
}

async fn create(store: &dyn ObjectStore, key: &Path, text: &str) -> Result<(), Error> {
    let payload = PutPayload::from(Bytes::copy_from_slice(text.as_bytes()));
    store.put_opts(key, payload, PutMode::Create.into()).await.map(drop)
}

async fn reads_what_was_put(store: &dyn ObjectStore) {
    let key = Path::from("plain/object");
    assert!(matches!(store.get(&key).await, Err(Error::NotFound { .. })));
    assert!(matches!(store.head(&key).await, Err(Error::NotFound { .. })));
    create(store, &key, "0123456789").await.unwrap();
    assert_eq!(read(store, &key).await, "0123456789");
    assert_eq!(store.head(&key).await.unwrap().size, 10);
    assert_eq!(store.get_range(&key, 2..5).await.unwrap(), "234");
    assert_eq!(store.get_ranges(&key, &[0..1, 8..10]).await.unwrap(), ["0", "89"]);
    // A segment's tail is one request that does not know the object's size.
    let suffix = GetOptions { range: Some(GetRange::Suffix(3)), ..GetOptions::default() };
    assert_eq!(store.get_opts(&key, suffix).await.unwrap().bytes().await.unwrap(), "789");
    let empty = Path::from("plain/empty");
    create(store, &empty, "").await.unwrap();
    assert_eq!(read(store, &empty).await, "");
}

async fn creates_once(store: &dyn ObjectStore) {
    let key = Path::from("once/00000001");
    create(store, &key, "first").await.unwrap();
    assert!(matches!(create(store, &key, "second").await, Err(Error::AlreadyExists { .. })));
    assert_eq!(read(store, &key).await, "first");
    store.delete(&key).await.unwrap();
    assert!(matches!(store.get(&key).await, Err(Error::NotFound { .. })));
    create(store, &key, "third").await.unwrap();
    assert_eq!(read(store, &key).await, "third");
}

async fn one_of_many_creators_wins(store: &dyn ObjectStore) {
    for race in 0..RACES {
        let key = Path::from(format!("race/{race:08}"));
        let texts: Vec<String> = (0..RACERS).map(|racer| format!("racer {racer} ").repeat(500)).collect();
        let results = join_all(texts.iter().map(|text| create(store, &key, text))).await;
        let winners: Vec<&String> =
            results.iter().zip(&texts).filter(|(result, _)| result.is_ok()).map(|(_, text)| text).collect();
        assert_eq!(winners.len(), 1, "{results:?}");
        assert_eq!(winners, [&read(store, &key).await], "the object is not the winner's");
        let told = results.iter().filter(|result| matches!(result, Err(Error::AlreadyExists { .. })));
        assert_eq!(told.count(), RACERS - 1, "a loser learns that the object exists: {results:?}");
    }
}

async fn lists_what_is_there(store: &dyn ObjectStore) {
    let keys: BTreeSet<Path> = (0..25).map(|i| Path::from(format!("list/a/{i:08}"))).collect();
    for key in &keys {
        create(store, key, "x").await.unwrap();
    }
    create(store, &Path::from("list/ab"), "a neighbour").await.unwrap();
    let prefix = Path::from("list/a");
    let all: Vec<_> = store.list(Some(&prefix)).try_collect().await.unwrap();
    assert_eq!(all.into_iter().map(|found| found.location).collect::<BTreeSet<_>>(), keys);
    let offset = Path::from("list/a/00000020");
    let late: Vec<_> = store.list_with_offset(Some(&prefix), &offset).try_collect().await.unwrap();
    assert_eq!(late.len(), 4, "an offset is exclusive");
    let folders = store.list_with_delimiter(Some(&Path::from("list"))).await.unwrap();
    assert_eq!(folders.common_prefixes, [prefix]);
    assert_eq!(folders.objects.len(), 1);
    let none: Vec<_> = store.list(Some(&Path::from("nothing"))).try_collect().await.unwrap();
    assert!(none.is_empty());
}

async fn large_objects_appear_whole(store: &dyn ObjectStore) {
    let key = Path::from("large/object");
    let mut upload = store.put_multipart(&key).await.unwrap();
    upload.put_part(vec![b'a'; PIECE_BYTES].into()).await.unwrap();
    assert!(matches!(store.head(&key).await, Err(Error::NotFound { .. })), "half an object is visible");
    upload.put_part(vec![b'b'; 10].into()).await.unwrap();
    upload.complete().await.unwrap();
    let end = u64::try_from(PIECE_BYTES).unwrap();
    assert_eq!(store.head(&key).await.unwrap().size, end + 10);
    assert_eq!(store.get_range(&key, end - 1..end + 1).await.unwrap(), "ab");
    let key = Path::from("large/put-at-once");
    let payload = PutPayload::from(vec![b'c'; LARGE_BYTES]);
    store.put_opts(&key, payload, PutMode::Create.into()).await.unwrap();
    assert_eq!(store.get(&key).await.unwrap().bytes().await.unwrap(), vec![b'c'; LARGE_BYTES]);
    let key = Path::from("large/given-up");
    let mut upload = store.put_multipart(&key).await.unwrap();
    upload.put_part(vec![b'a'; PIECE_BYTES].into()).await.unwrap();
    upload.abort().await.unwrap();
    assert!(matches!(store.head(&key).await, Err(Error::NotFound { .. })));
}

/// Tenants, tables, days and numbers, as long as they may be.
async fn takes_keys_of_all_our_characters(store: &dyn ObjectStore) {
    let longest = "z".repeat(63);
    let alphabet = "abcdefghijklmnopqrstuvwxyz0123456789";
    let keys = [
        format!("keys/{alphabet}-/_ironbark/lease/{alphabet}_-/00000000000000000001.json"),
        format!("keys/{longest}/{longest}/{longest}/{longest}/2026-11-23/{}.parquet", "0".repeat(36)),
    ];
    for key in keys.map(Path::from) {
        create(store, &key, "x").await.unwrap();
        assert_eq!(read(store, &key).await, "x");
        let parent: Path = key.parts().take(key.parts().count() - 1).collect();
        let listed: Vec<_> = store.list(Some(&parent)).try_collect().await.unwrap();
        assert_eq!(listed.into_iter().map(|found| found.location).collect::<Vec<_>>(), [key]);
    }
}

async fn deletes_many(store: &dyn ObjectStore) {
    let keys: Vec<Path> = (0..DELETED).map(|i| Path::from(format!("delete/{i:08}"))).collect();
    let created = stream::iter(&keys).map(|key| create(store, key, "x")).buffer_unordered(RACERS);
    created.try_collect::<Vec<()>>().await.unwrap();
    let doomed = stream::iter(keys.clone().into_iter().map(Ok)).boxed();
    let deleted: BTreeSet<Path> = store.delete_stream(doomed).try_collect().await.unwrap();
    assert_eq!(deleted, keys.into_iter().collect());
    let left: Vec<_> = store.list(Some(&Path::from("delete"))).try_collect().await.unwrap();
    assert!(left.is_empty());
}

async fn one_of_many_commits_wins(store: &Store) {
    let table = TableRef::logs("acme/race/prod".parse().unwrap());
    let committers = (0..COMMITTERS).map(|_| {
        let (store, table) = (store.clone(), table.clone());
        tokio::spawn(async move {
            let log = ManifestLog::new(&store, table, Ambient::system());
            let mut known = log.load().await.unwrap();
            let mut versions = Vec::new();
            for _ in 0..COMMITS {
                known = log.commit(&known, ManifestEdit::Forget { segments: vec![] }).await.unwrap();
                versions.push(known.version());
            }
            versions
        })
    });
    let versions: BTreeSet<u64> = join_all(committers).await.into_iter().flat_map(Result::unwrap).collect();
    assert_eq!(versions, (1..=COMMITTERS * COMMITS).collect());
    let log = ManifestLog::new(store, table.clone(), Ambient::system());
    let last = log.load().await.unwrap();
    assert_eq!(last.version(), COMMITTERS * COMMITS);
    assert!(Arc::ptr_eq(&log.refresh(&last).await.unwrap(), &last));
    assert_eq!(list_tables(store).await.unwrap(), std::slice::from_ref(&table));
    assert_eq!(list_some_tables(store, 1).await.unwrap(), [table]);
    assert_eq!(list_some_tables(store, 0).await.unwrap(), []);
    let writer = WriterId(Ambient::system().uuid());
    let claims =
        join_all((0..RACERS).map(async |_| claim_epoch(store, writer, &Ambient::system()).await.unwrap()));
    let epochs: BTreeSet<u32> = claims.await.into_iter().map(Epoch::get).collect();
    assert_eq!(epochs.len(), RACERS, "every claim is of another epoch");
}

async fn a_tenant_sees_its_own(store: &Store) {
    let tenant: TenantId = "acme/shop/prod".parse().unwrap();
    let other: TenantId = "acme/shop/test".parse().unwrap();
    let key = Path::from("acme/shop/prod/logs/object");
    create(&*store.tenant(&tenant), &key, "mine").await.unwrap();
    assert_eq!(read(&*store.object_store(), &key).await, "mine");
    assert!(store.tenant(&other).get(&key).await.is_err());
    assert!(create(&*store.tenant(&other), &Path::from("acme/shop/prod/logs/other"), "x").await.is_err());
}
