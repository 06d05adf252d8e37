//! Rows of the simulation: made into batches, and read back as a query would see them.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::{Int64Type, TimestampNanosecondType};
use futures::TryStreamExt;
use ironbark_storage::{
    LogBatch, LogBatchBuilder, RowRef, SegmentId, SegmentMeta, Snapshot, TagKind, TagSet, TimeWindow,
    Timestamp, column, key, read_segment,
};
use object_store::{ObjectStore, ObjectStoreExt};

use crate::ledger::SeenRow;

/// Tries of a read; the store may fail on purpose.
pub(crate) const READ_TRIES_MAX: u32 = 200;

pub(crate) fn batch(rows: &[(i64, String)], arrival: Timestamp) -> LogBatch {
    let mut builder = LogBatchBuilder::new(arrival, TimeWindow::default());
    for (timestamp, message) in rows {
        let mut tags = TagSet::new();
        tags.push("length", Some(&message.len().to_string()), TagKind::Number);
        let timestamp = Some(Timestamp::from_ns(*timestamp));
        let source = message.split('-').next();
        builder.push(RowRef { timestamp, source, message, ..RowRef::default() }, &mut tags).unwrap();
    }
    builder.finish().unwrap()
}

/// Reads snapshots. Segments never change, so each is read once and from then on only looked for.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    segments: HashMap<SegmentId, Vec<SeenRow>>,
}

impl Reader {
    /// Forgets what was read before.
    pub(crate) fn forget(&mut self) {
        self.segments.clear();
    }

    pub(crate) async fn read(
        &mut self,
        objects: &Arc<dyn ObjectStore>,
        snapshot: &Snapshot,
    ) -> Result<Vec<SeenRow>, String> {
        let mut seen = Vec::new();
        for batch in snapshot.buffers().iter().flat_map(ironbark_storage::BufferView::batches) {
            add(&mut seen, batch);
        }
        for segment in snapshot.manifest().segments() {
            seen.extend_from_slice(self.segment(objects, snapshot, segment).await?);
        }
        seen.sort();
        Ok(seen)
    }

    async fn segment(
        &mut self,
        objects: &Arc<dyn ObjectStore>,
        snapshot: &Snapshot,
        segment: &Arc<SegmentMeta>,
    ) -> Result<&[SeenRow], String> {
        let table = snapshot.table();
        let partition = ironbark_storage::Partition { table: table.clone(), day: segment.day };
        let key = key::segment(&partition, segment.id);
        for tried in 1.. {
            match objects.head(&key).await {
                Ok(_) => break,
                Err(object_store::Error::NotFound { .. }) => {
                    return Err(format!("{key} is in the manifest and not in the store"));
                }
                Err(error) if tried == READ_TRIES_MAX => return Err(error.to_string()),
                Err(_) => {}
            }
        }
        if let std::collections::hash_map::Entry::Vacant(entry) = self.segments.entry(segment.id) {
            let mut tried = 0;
            let batches: Vec<RecordBatch> = loop {
                tried += 1;
                match read_segment(Arc::clone(objects), table, segment).try_collect().await {
                    Ok(batches) => break batches,
                    Err(error) if tried == READ_TRIES_MAX => return Err(error.to_string()),
                    Err(_) => {}
                }
            };
            let mut rows = Vec::new();
            for batch in &batches {
                add(&mut rows, batch);
            }
            entry.insert(rows);
        }
        Ok(&self.segments[&segment.id])
    }
}

fn add(seen: &mut Vec<SeenRow>, batch: &RecordBatch) {
    let ids = batch.column_by_name(column::ROW_ID).unwrap().as_primitive::<Int64Type>();
    let times = batch.column_by_name(column::TIMESTAMP).unwrap().as_primitive::<TimestampNanosecondType>();
    let messages = batch.column_by_name(column::MESSAGE).unwrap().as_string::<i32>();
    for ((id, timestamp), message) in ids.values().iter().zip(times.values()).zip(messages) {
        seen.push(SeenRow { id: *id, timestamp: *timestamp, message: message.unwrap().to_owned() });
    }
}
