//! Damaged pages: an error that names the segment and what to do, and nothing else goes wrong.

use futures::TryStreamExt;
use ironbark_storage::ErrorKind as StorageKind;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutPayload};

use crate::ErrorKind;
use crate::fixture::{Fixture, Row};

/// Bytes between two that are flipped.
const STEP_BYTES: usize = 7;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn damaged_pages_end_their_query_with_the_segments_name_and_nothing_else() {
    let fixture = Fixture::new();
    let rows = |day: i64| -> Vec<Row> {
        let row = |n: i64| {
            Row::new(day * 86_400 + n, "web", "INFO", &format!("request {} took {}ms", n * 7_919, n * 31))
        };
        (0..200).map(|n| row(n).tag("n", &n.to_string())).collect()
    };
    fixture.segment(&rows(0), 1_000).await;
    fixture.segment(&rows(1), 1_000).await;
    let mut keys: Vec<Path> =
        fixture.store.list(None).map_ok(|object| object.location).try_collect().await.unwrap();
    keys.sort();
    let (key, meta) = (&keys[0], fixture.store.head(&keys[0]).await.unwrap());
    let whole = fixture.store.get(key).await.unwrap().bytes().await.unwrap();
    assert_eq!(whole.len() as u64, meta.size);
    let day = |day: u32| {
        format!("SELECT * FROM logs WHERE timestamp {} '2026-11-24T00:00:00Z'", ["<", ">="][day as usize])
    };
    let mut named = 0;
    // The pages come first, the footer with its own checksum last.
    for place in (4..whole.len() / 2).step_by(STEP_BYTES) {
        let mut bad = whole.to_vec();
        bad[place] ^= 0x55;
        fixture.store.put(key, PutPayload::from(bad)).await.unwrap();
        if let Err(error) = fixture.query(&day(0)).await {
            let text = error.to_string();
            assert!(
                text.contains(key.as_ref()) && text.contains("`ironbark admin check`"),
                "byte {place}: {text}"
            );
            assert_eq!(error.kind(), ErrorKind::Storage(StorageKind::Corrupt), "byte {place}: {text}");
            named += 1;
        }
    }
    assert!(named > 20, "only {named} errors");
    let others: usize =
        fixture.query(&day(1)).await.unwrap().iter().map(arrow::array::RecordBatch::num_rows).sum();
    assert_eq!(others, 200, "other segments are read as ever");
    assert_eq!(fixture.engine.memory_reserved_bytes(), 0);
}
