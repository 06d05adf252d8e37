//! Buffers: rows stay in order, small batches merge, freezing keeps every row.

use ironbark_storage::{Epoch, LogBatch, LogBatchBuilder, RowRef, TagSet, TimeWindow, Timestamp};

use super::*;

fn batch(messages: &[String]) -> LogBatch {
    let arrival = Timestamp::from_ns(1_000);
    let mut builder = LogBatchBuilder::new(arrival, TimeWindow::default());
    for message in messages {
        let row = RowRef { message, ..RowRef::default() };
        builder.push(row, &mut TagSet::new()).unwrap();
    }
    builder.finish().unwrap()
}

fn day_rows(sequence: u64, rows: u64) -> DayRows {
    let messages: Vec<_> = (sequence..sequence + rows).map(|n| n.to_string()).collect();
    let epoch = Epoch::new(1).unwrap();
    let first = RowId::new(epoch, sequence).unwrap();
    let (day, stored) = batch(&messages).into_stored(first).unwrap().pop().unwrap();
    let last = RowId::new(epoch, sequence + rows - 1).unwrap();
    DayRows { day, rows: stored, ids: RowIdRange { first, last }, bytes: rows, lsn: Lsn::new(sequence + 1) }
}

#[test]
fn many_small_appends_become_few_batches_in_order() {
    let mut buffers = TableBuffers::default();
    for sequence in 0..1_000 {
        assert!(!buffers.insert(day_rows(sequence, 1), u64::MAX));
    }
    let view = buffers.views().pop().unwrap();
    assert!(view.rows.len() <= 11, "{} batches", view.rows.len());
    let ids: Vec<i64> = view
        .batches()
        .flat_map(|batch| {
            use arrow::array::AsArray;
            let ids = batch.column_by_name(ironbark_storage::column::ROW_ID).unwrap();
            ids.as_primitive::<arrow::datatypes::Int64Type>().values().to_vec()
        })
        .collect();
    assert_eq!(ids.len(), 1_000);
    assert!(ids.is_sorted());
    assert_eq!(view.row_ids.len(), 1);
}

#[test]
fn a_full_buffer_freezes_and_goes_when_flushed() {
    let mut buffers = TableBuffers::default();
    assert!(!buffers.insert(day_rows(0, 10), 15));
    assert!(buffers.insert(day_rows(10, 10), 15));
    buffers.insert(day_rows(20, 5), 15);
    assert_eq!((buffers.frozen().len(), buffers.open_partitions()), (1, 2));
    assert_eq!(buffers.frozen()[0].rows(), 20);
    assert_eq!(buffers.first_lsn(), Some(Lsn::new(1)));
    assert_eq!(buffers.remove_frozen(|_| true), 20);
    assert_eq!(buffers.first_lsn(), Some(Lsn::new(21)));
    let rows: usize = buffers.views().iter().flat_map(BufferView::batches).map(RecordBatch::num_rows).sum();
    assert_eq!(rows, 5);
}
