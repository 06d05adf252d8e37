//! What the cache must hold to: the bytes of the store and no others, no second request for what it has, none of another tenant,
//! and no failure that anyone but the log notices. A store from which the objects are gone shows that it was not asked.

use std::ops::Range;
use std::path::Path as FilePath;
use std::sync::Arc;

use bytes::Bytes;
use futures::TryStreamExt;
use ironbark_storage::clock::ManualClock;
use ironbark_storage::{Ambient, Store, TenantId, Timestamp};
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};

use super::{RangeCache, RangesRead, SegmentObjects};
use crate::QueryConfig;
use crate::fixture::{Fixture, Row};

const SIZE: u64 = 1_000_003;
const DAY_MS: u64 = 86_400_000;

fn config(dir: Option<&FilePath>) -> QueryConfig {
    QueryConfig {
        range_cache_bytes: 32 << 20,
        disk_cache_bytes: if dir.is_some() { 64 << 20 } else { 0 },
        disk_cache_dir: dir.map(FilePath::to_owned),
        disk_cache_age_ms: DAY_MS,
        ..QueryConfig::default()
    }
}

async fn open(dir: Option<&FilePath>, ambient: &Ambient) -> Arc<RangeCache> {
    RangeCache::open(&config(dir), FilePath::new("nowhere"), ambient).await.unwrap()
}

/// Closed and dropped, so that another may have its directory.
async fn end(cache: Arc<RangeCache>) {
    cache.written().await;
    cache.close().await;
    assert_eq!(Arc::strong_count(&cache), 1);
}

/// An object of a tenant, and what reads it.
struct World {
    memory: Arc<InMemory>,
    store: Store,
    tenant: TenantId,
    key: Path,
    bytes: Bytes,
}

impl World {
    async fn new() -> Self {
        let memory = Arc::new(InMemory::new());
        let store = Store::from_object_store(Arc::clone(&memory) as _, Path::default(), "memory:");
        let tenant = TenantId::default();
        let key = Path::from(format!("{}/logs/2026-11-23/a.parquet", tenant.as_str()));
        let byte = |at: u64| u8::try_from((at ^ (at >> 7)) & 0xff).unwrap();
        let bytes: Bytes = (0..SIZE).map(byte).collect();
        memory.put(&key, bytes.clone().into()).await.unwrap();
        Self { memory, store, tenant, key, bytes }
    }

    fn objects(&self, cache: &Arc<RangeCache>) -> SegmentObjects {
        SegmentObjects::new(&self.store, &self.tenant, Some(Arc::clone(cache)))
    }

    async fn lose(&self) {
        self.memory.delete(&self.key).await.unwrap();
    }

    /// Reads these ranges, which must be as they were put.
    async fn read(&self, cache: &Arc<RangeCache>, ranges: &[Range<u64>]) -> RangesRead {
        let read = self.objects(cache).ranges(&self.key, SIZE, ranges).await.unwrap();
        for (range, bytes) in ranges.iter().zip(&read.ranges) {
            let place = usize::try_from(range.start).unwrap()..usize::try_from(range.end).unwrap();
            assert_eq!(*bytes, self.bytes.slice(place), "{range:?}");
        }
        assert_eq!(read.ranges.len(), ranges.len());
        read
    }
}

#[tokio::test]
async fn what_was_read_is_not_asked_for_again() {
    let (world, cache) = (World::new().await, open(None, &Fixture::ambient()).await);
    let first = world.read(&cache, &[10..20, 70_000..200_000, SIZE - 7..SIZE]).await;
    assert_eq!((first.requests, first.cached_bytes), (1, 0));
    let more = world.read(&cache, &[0..300_000]).await;
    assert_eq!(more.requests, 0, "what lay between came along");
    world.lose().await;
    let again = world.read(&cache, &[15..18, 100_000..170_000, SIZE - 3..SIZE]).await;
    assert_eq!((again.requests, again.bytes), (0, 0));
    assert!(again.cached_bytes > 70_000, "{again:?}");
    assert!(cache.memory_bytes() > 300_000 && cache.disk_bytes() == 0, "{}", cache.memory_bytes());
}

#[tokio::test]
async fn a_tenant_gets_nothing_of_another_from_the_cache() {
    let (world, cache) = (World::new().await, open(None, &Fixture::ambient()).await);
    world.read(&cache, &[0..SIZE]).await;
    let other: TenantId = "acme/other/dev".parse().unwrap();
    let others = SegmentObjects::new(&world.store, &other, Some(Arc::clone(&cache)));
    let refused = others.ranges(&world.key, SIZE, &[0..10]).await.unwrap_err().to_string();
    assert!(refused.contains("acme/other/dev"), "{refused}");
    // The same key in another store is another object.
    let elsewhere = Store::from_object_store(Arc::new(InMemory::new()), Path::default(), "s3://elsewhere");
    let elsewhere = SegmentObjects::new(&elsewhere, &world.tenant, Some(cache));
    elsewhere.ranges(&world.key, SIZE, &[0..10]).await.unwrap_err();
}

#[tokio::test]
async fn the_disk_has_it_after_a_restart() {
    let (world, dir) = (World::new().await, tempfile::tempdir().unwrap());
    let cache = open(Some(dir.path()), &Fixture::ambient()).await;
    world.read(&cache, &[0..SIZE]).await;
    end(cache).await;
    world.lose().await;
    let cache = open(Some(dir.path()), &Fixture::ambient()).await;
    let again = world.read(&cache, &[5..900_000]).await;
    assert_eq!(again.requests, 0);
    assert!(cache.disk_bytes() > SIZE, "{}", cache.disk_bytes());
}

#[tokio::test]
async fn damage_on_disk_costs_a_request_and_nothing_else() {
    let (world, dir) = (World::new().await, tempfile::tempdir().unwrap());
    let cache = open(Some(dir.path()), &Fixture::ambient()).await;
    world.read(&cache, &[0..SIZE]).await;
    end(cache).await;
    let mut damaged = 0;
    for generation in std::fs::read_dir(dir.path()).unwrap() {
        let Ok(files) = std::fs::read_dir(generation.unwrap().path()) else { continue };
        for file in files {
            let file = file.unwrap().path();
            let mut bytes = std::fs::read(&file).unwrap();
            // One bit in each 100 KiB: some slabs stay whole, others do not.
            for place in (50_000..bytes.len()).step_by(100_000) {
                bytes[place] ^= 0x10;
                damaged += 1;
            }
            std::fs::write(&file, bytes).unwrap();
        }
    }
    assert!(damaged > 100);
    let cache = open(Some(dir.path()), &Fixture::ambient()).await;
    let read = world.read(&cache, &[0..SIZE]).await;
    assert_eq!(read.requests, 1);
    assert!(read.cached_bytes > 0, "what is whole is used: {read:?}");
    world.lose().await;
    assert_eq!(world.read(&cache, &[0..SIZE]).await.requests, 0);
    drop(cache);
}

#[tokio::test]
async fn files_that_are_cut_off_or_of_something_else_are_no_hindrance() {
    let (world, dir) = (World::new().await, tempfile::tempdir().unwrap());
    let cache = open(Some(dir.path()), &Fixture::ambient()).await;
    world.read(&cache, &[0..SIZE]).await;
    end(cache).await;
    for generation in std::fs::read_dir(dir.path()).unwrap() {
        let Ok(files) = std::fs::read_dir(generation.unwrap().path()) else { continue };
        for (place, file) in files.enumerate() {
            let file = std::fs::OpenOptions::new().write(true).open(file.unwrap().path()).unwrap();
            file.set_len(if place % 2 == 0 { 5_000 } else { 0 }).unwrap();
        }
    }
    let cache = open(Some(dir.path()), &Fixture::ambient()).await;
    assert_eq!(world.read(&cache, &[0..SIZE]).await.requests, 1);
}

#[tokio::test]
async fn without_a_directory_it_goes_on_in_memory() {
    let (world, dir) = (World::new().await, tempfile::tempdir().unwrap());
    let no_dir = dir.path().join("file");
    std::fs::write(&no_dir, "x").unwrap();
    let first = open(Some(dir.path()), &Fixture::ambient()).await;
    for place in [no_dir.as_path(), dir.path()] {
        // The second one is in use.
        let cache = open(Some(place), &Fixture::ambient()).await;
        world.read(&cache, &[0..SIZE]).await;
        assert_eq!(cache.disk_bytes(), 0);
    }
    drop(first);
    let off = QueryConfig { range_cache_bytes: 0, ..config(None) };
    assert!(RangeCache::open(&off, dir.path(), &Fixture::ambient()).await.is_none());
}

#[tokio::test]
async fn nothing_stays_longer_than_its_age() {
    let (world, dir) = (World::new().await, tempfile::tempdir().unwrap());
    let clock = Arc::new(ManualClock::at(Timestamp::from_ns(1_795_392_000_000_000_000)));
    let ambient = Ambient { clock: Arc::clone(&clock) as _, ..Fixture::ambient() };
    let cache = open(Some(dir.path()), &ambient).await;
    world.read(&cache, &[0..SIZE]).await;
    cache.written().await;
    cache.renew_if_old().await;
    assert_eq!(world.read(&cache, &[0..10]).await.requests, 0);
    clock.advance_ns(i64::try_from(DAY_MS * 1_000_000).unwrap());
    cache.renew_if_old().await;
    assert_eq!((cache.memory_bytes(), cache.disk_bytes()), (0, 0));
    let generations = std::fs::read_dir(dir.path()).unwrap().count() - 1;
    assert_eq!(generations, 1, "the old one's files are deleted");
    assert_eq!(world.read(&cache, &[0..10]).await.requests, 1);
}

#[tokio::test]
async fn what_the_store_gave_damaged_is_forgotten() {
    let (world, cache) = (World::new().await, open(None, &Fixture::ambient()).await);
    let mut bad = world.bytes.to_vec();
    bad[100] ^= 1;
    world.memory.put(&world.key, bad.into()).await.unwrap();
    let objects = world.objects(&cache);
    let read = objects.ranges(&world.key, SIZE, &[0..200]).await.unwrap();
    assert_ne!(read.ranges[0], world.bytes.slice(..200));
    world.memory.put(&world.key, world.bytes.clone().into()).await.unwrap();
    objects.forget(&world.key, SIZE);
    assert_eq!(world.read(&cache, &[0..200]).await.requests, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_query_is_answered_without_the_store_after_a_restart() {
    let (fixture, dir) = (Fixture::new(), tempfile::tempdir().unwrap());
    let row = |n: i64| Row::new(n, "web", "INFO", &format!("request {n} took {}ms", n * 31)).tag("n", "1");
    fixture.segment(&(0..3_000).map(row).collect::<Vec<_>>(), 1_000).await;
    let questions =
        ["SELECT * FROM logs WHERE matches(message, 'request 77')", "SELECT * FROM logs ORDER BY timestamp"];
    let answers = async |fixture: &Fixture| {
        let mut answers = Vec::new();
        for question in questions {
            answers.push(fixture.query(question).await.unwrap());
        }
        answers
    };
    let expected = answers(&fixture).await;
    let cache = open(Some(dir.path()), &Fixture::ambient()).await;
    let first = fixture.restarted(Arc::clone(&cache));
    assert_eq!(answers(&first).await, expected);
    drop(first);
    cache.written().await;
    cache.close().await;
    drop(cache);
    let keys: Vec<_> = fixture.store.list(None).map_ok(|object| object.location).try_collect().await.unwrap();
    for key in keys {
        fixture.store.delete(&key).await.unwrap();
    }
    fixture.query("SELECT * FROM logs").await.unwrap_err();
    let second = fixture.restarted(open(Some(dir.path()), &Fixture::ambient()).await);
    assert_eq!(answers(&second).await, expected);
}
