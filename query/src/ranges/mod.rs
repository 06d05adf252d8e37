//! How the query engine reads segments: byte ranges from a cache if there is one, and what is missing from the object store.
//!
//! ```text
//!   columns, index pieces, ends ─► SegmentObjects ─┬─ of the tenant? no ─► the tenant's store, which refuses
//!                                                  ├─ cache: slabs that are there          (slab, cache, disk)
//!                                                  └─ the tenant's store: the spans between ─► into the cache
//! ```
//!
//! Without a cache, as on a local directory, reads go straight to the store. The cache is one for all tenants; a tenant's
//! objects look up only keys that its store would let through, and entries name the whole object.

mod cache;
mod disk;
mod entry;
mod slab;
#[cfg(test)]
#[expect(clippy::single_range_in_vec_init, reason = "one range is asked for")]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use futures::{StreamExt, stream};
use ironbark_storage::{
    Error, Result, SegmentMeta, SegmentTail, Store, TenantId, check_tail, key, read_tail, tail_range,
};
use object_store::ObjectStore;
use object_store::path::Path;

pub use self::cache::RangeCache;
use self::cache::Tier;
use self::entry::SlabKey;
use self::slab::Brought;

/// Slabs of one read that are looked for at once; those on disk take a thread each.
const LOOKUPS_MAX: usize = 32;

/// A tenant's objects, for reading segments.
pub(crate) struct SegmentObjects {
    /// Confined to the tenant.
    confined: Arc<dyn ObjectStore>,
    /// The prefix of its keys.
    allowed: Path,
    /// For the objects' URLs.
    store: Store,
    cache: Option<Arc<RangeCache>>,
}

/// Bytes of a segment, and what they cost.
#[derive(Debug, Default)]
pub(crate) struct RangesRead {
    /// Those of each range that was asked for.
    pub(crate) ranges: Vec<Bytes>,
    /// Whether the store was asked.
    pub(crate) requests: usize,
    /// Bytes that the store gave.
    pub(crate) bytes: u64,
    /// Bytes of slabs that the cache gave.
    pub(crate) cached_bytes: u64,
}

impl SegmentObjects {
    /// The segments of a tenant, read through the cache.
    pub(crate) fn new(store: &Store, tenant: &TenantId, cache: Option<Arc<RangeCache>>) -> Self {
        Self {
            confined: store.tenant(tenant),
            allowed: key::tenant_prefix(tenant),
            store: store.clone(),
            cache,
        }
    }

    /// Ranges of a segment of `size` bytes. Fails with [`Error::Store`] alone.
    pub(crate) async fn ranges(&self, key: &Path, size: u64, ranges: &[Range<u64>]) -> Result<RangesRead> {
        let needed = slab::needed(ranges, size);
        let cached = match self.cache.as_ref().zip(needed).filter(|_| key.prefix_matches(&self.allowed)) {
            Some((cache, needed)) => self.through(cache, Object { key, size, ranges }, needed).await,
            None => Ok(None),
        };
        let failed = |source| Error::Store { key: key.to_string(), source };
        match cached.map_err(failed)? {
            Some(read) => Ok(read),
            None => self.past(key, ranges).await.map_err(failed),
        }
    }

    /// The end of a segment; the errors are those of [`read_tail`].
    pub(crate) async fn tail(&self, key: &Path, meta: &SegmentMeta) -> Result<SegmentTail> {
        if self.cache.is_some() {
            let range = tail_range(key, meta)?;
            let read = self.ranges(key, meta.bytes, std::slice::from_ref(&range)).await?;
            let tail = read.ranges.first().map(|bytes| check_tail(key, meta, bytes));
            match tail {
                Some(Ok(tail)) => return Ok(tail),
                Some(Err(error)) => {
                    tracing::warn!(segment = %key, %error, "the end of a segment is read again");
                }
                None => {}
            }
            // The store's own word on it is what an error says.
            self.forget(key, meta.bytes);
        }
        read_tail(self.confined.as_ref(), key, meta).await
    }

    /// Drops what the cache has of a segment of `size` bytes that turned out to be damaged: the store may have better.
    pub(crate) fn forget(&self, key: &Path, size: u64) {
        let Some(cache) = &self.cache else { return };
        let object = self.object(key);
        for slab in slab::all(size) {
            cache.remove(&SlabKey { object: Arc::clone(&object), slab });
        }
    }

    /// From the store alone.
    async fn past(&self, key: &Path, ranges: &[Range<u64>]) -> object_store::Result<RangesRead> {
        let read = self.confined.get_ranges(key, ranges).await?;
        let bytes = read.iter().map(|bytes| bytes.len() as u64).sum();
        Ok(RangesRead { ranges: read, requests: 1, bytes, cached_bytes: 0 })
    }

    /// From the cache, and from the store what is not there. `None` where what came is not what was asked for.
    async fn through(
        &self,
        cache: &Arc<RangeCache>,
        object: Object<'_>,
        needed: BTreeSet<u32>,
    ) -> object_store::Result<Option<RangesRead>> {
        let Object { key, size, ranges } = object;
        let url = self.object(key);
        let mut brought = Brought { slabs: look_up(cache, &url, &needed).await, spans: Vec::new() };
        let cached_bytes = brought.slabs.values().map(|bytes| bytes.len() as u64).sum();
        let mut read = RangesRead { cached_bytes, ..RangesRead::default() };
        let missing = needed.into_iter().filter(|slab| !brought.slabs.contains_key(slab));
        let spans = slab::spans(missing, size);
        if !spans.is_empty() {
            let bytes = self.confined.get_ranges(key, &spans).await?;
            read.requests = 1;
            read.bytes = bytes.iter().map(|bytes| bytes.len() as u64).sum();
            for (span, bytes) in spans.into_iter().zip(bytes) {
                for (slab, bytes) in slab::cut(&span, &bytes, size) {
                    if !brought.slabs.contains_key(&slab) {
                        cache.put(SlabKey { object: Arc::clone(&url), slab }, bytes);
                    }
                }
                brought.spans.push((span, bytes));
            }
        }
        let found = ranges.iter().map(|range| brought.get(range, size)).collect::<Option<_>>();
        Ok(found.map(|ranges| RangesRead { ranges, ..read }))
    }

    fn object(&self, key: &Path) -> Arc<str> {
        self.store.object_url(key).into()
    }
}

impl fmt::Debug for SegmentObjects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SegmentObjects({})", self.confined)
    }
}

/// What is asked of an object.
#[derive(Clone, Copy)]
struct Object<'a> {
    key: &'a Path,
    size: u64,
    ranges: &'a [Range<u64>],
}

/// Those of the slabs that the cache has.
async fn look_up(cache: &Arc<RangeCache>, object: &Arc<str>, slabs: &BTreeSet<u32>) -> BTreeMap<u32, Bytes> {
    let look =
        |slab: &u32| look_up_one(Arc::clone(cache), SlabKey { object: Arc::clone(object), slab: *slab });
    let lookups: Vec<_> = slabs.iter().map(look).collect();
    let (mut found, mut on_disk) = (BTreeMap::new(), 0);
    let mut lookups = stream::iter(lookups).buffer_unordered(LOOKUPS_MAX);
    while let Some(slab) = lookups.next().await {
        let Some((slab, bytes, tier)) = slab else { continue };
        on_disk += u64::from(tier == Tier::Disk);
        found.insert(slab, bytes);
    }
    let hits = found.len() as u64;
    metrics::counter!("ironbark_query_range_cache_hits_total", "tier" => "memory").increment(hits - on_disk);
    metrics::counter!("ironbark_query_range_cache_hits_total", "tier" => "disk").increment(on_disk);
    metrics::counter!("ironbark_query_range_cache_misses_total").increment(slabs.len() as u64 - hits);
    found
}

async fn look_up_one(cache: Arc<RangeCache>, key: SlabKey) -> Option<(u32, Bytes, Tier)> {
    cache.get(&key).await.map(|(bytes, tier)| (key.slab, bytes, tier))
}
