//! The kernels that loads and searches spend their time in, one by one: tokens of a message, a segment from rows (order,
//! templates, index, Parquet), a term's ranges from an index, and a merge. What people wait for is measured by the suite in
//! `benches/`; this says which part of it a change touches.
//!
//! ```text
//! cargo bench -p ironbark-compactor
//! ```
//!
//! The rows are made up here, the same ones in each run. Nothing leaves memory.

#![expect(clippy::unwrap_used, reason = "a measuring tool")]

use std::hint::black_box;

use arrow::array::RecordBatch;
use bytes::Bytes;
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use ironbark_compactor::{Compactor, CompactorConfig};
use ironbark_storage::{
    AddSegments, Ambient, Day, EncodedSegment, Epoch, FlushedRange, LogBatchBuilder, ManifestEdit,
    ManifestLog, Partition, Piece, RowId, RowIdRange, RowRef, SegmentId, SegmentOptions, Store, TableRef,
    TagKind, TagSet, Term, TermKind, TimeWindow, Timestamp, WriterId, encode_segment, put_segment, read_tail,
    tokens,
};
use tokio::runtime::Runtime;

/// Rows of a flushed segment.
const ROWS: u32 = 32_768;
/// Segments of a merge.
const SEGMENTS: u32 = 4;

/// Numbers that look random: one step of splitmix64 for each.
fn random(number: u64) -> u64 {
    let mixed = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed ^ (mixed >> 27)
}

/// A message; a few templates with numbers, addresses and ids.
fn message(row: u32) -> String {
    let id = random(row.into());
    let [a, b, c, ..] = id.to_le_bytes();
    match row % 8 {
        0 => format!("connection refused by 10.{a}.{b}.{c}:8080, retrying in {a} ms"),
        1 => format!("request {id:016x} completed: status=200 duration_ms={}", id % 20_000),
        2 => format!("user u{a}zq{b} opened /basket/orders/{c} and was answered 404"),
        _ => format!(
            "10.0.{a}.{b} \"GET /orders/{} HTTP/1.1\" 200 {} duration_ms={c}",
            id % 9_000,
            id % 99_991
        ),
    }
}

/// The rows of one flush, as they are stored.
fn rows(flush: u32, day: Day) -> Vec<RecordBatch> {
    let midnight = day.range().min;
    let mut builder = LogBatchBuilder::new(midnight, TimeWindow::default());
    let mut tags = TagSet::new();
    for row in flush * ROWS..(flush + 1) * ROWS {
        tags.push("host", Some(&format!("host-{}", row % 200)), TagKind::String);
        let source = format!("service-{}", random(row.into()) % 20);
        let (level, message) = (if row % 16 == 0 { "ERROR" } else { "INFO" }, message(row));
        let timestamp = Some(midnight.plus_ns(i64::from(row) * 500_000));
        let row = RowRef {
            timestamp,
            source: Some(&source),
            level: Some(level),
            message: &message,
            ..RowRef::default()
        };
        builder.push(row, &mut tags).unwrap();
    }
    let first = row_id(flush * ROWS + 1);
    builder.finish().unwrap().into_stored(first).unwrap().into_iter().map(|(_, rows)| rows).collect()
}

fn row_id(sequence: u32) -> RowId {
    RowId::new(Epoch::new(1).unwrap(), sequence.into()).unwrap()
}

fn partition() -> Partition {
    Partition {
        table: TableRef::logs("acme/web/prod".parse().unwrap()),
        day: Day::parse("2026-03-02").unwrap(),
    }
}

fn segment(number: u32, rows: &[RecordBatch]) -> EncodedSegment {
    let id = SegmentId::from_u128(u128::from(random(u64::from(number) + 1)));
    encode_segment(id, &partition(), rows, &SegmentOptions::default(), Timestamp::from_ns(0)).unwrap()
}

fn tokenise(criterion: &mut Criterion) {
    let messages: Vec<String> = (0..10_000).map(message).collect();
    let mut group = criterion.benchmark_group("tokenise");
    group.throughput(Throughput::Bytes(messages.iter().map(|message| message.len() as u64).sum()));
    group.bench_function("messages", |bench| {
        bench.iter(|| messages.iter().map(|message| tokens(black_box(message)).count()).sum::<usize>());
    });
    group.finish();
}

fn build(criterion: &mut Criterion) {
    let rows = rows(0, partition().day);
    let mut group = criterion.benchmark_group("segment");
    group.throughput(Throughput::Elements(ROWS.into())).sample_size(10);
    group.bench_function("encode", |bench| bench.iter(|| segment(0, black_box(&rows))));
    group.finish();
}

/// Terms of one segment: frequent, rare, absent, and a gram.
fn probe(criterion: &mut Criterion) {
    let runtime = Runtime::new().unwrap();
    let encoded = segment(0, &rows(0, partition().day));
    let store = Store::memory();
    let partition = partition();
    let tail = runtime.block_on(async {
        put_segment(store.object_store().as_ref(), &partition.table, &encoded).await.unwrap();
        let key = ironbark_storage::key::segment(&partition, encoded.meta.id);
        read_tail(store.object_store().as_ref(), &key, &encoded.meta).await.unwrap()
    });
    let index = tail.index.unwrap();
    let piece = |piece: Piece| -> Bytes {
        let place = index.place(piece);
        let place = usize::try_from(place.start).unwrap()..usize::try_from(place.end).unwrap();
        encoded.bytes.range(place).unwrap()
    };
    let mut group = criterion.benchmark_group("probe");
    for (name, kind, text) in [
        ("frequent", TermKind::Message, "refused"),
        ("rare", TermKind::Message, "u7zq9"),
        ("absent", TermKind::Message, "nowhere"),
        ("gram", TermKind::Gram, "7zq"),
    ] {
        let term = Term::new(kind, text);
        let mut rare = None;
        for wanted in index.pieces(&term) {
            let bytes = piece(wanted);
            index.accept(wanted, &bytes).unwrap();
            rare = (wanted != Piece::Frequent).then_some(bytes).or(rare);
        }
        group.bench_function(name, |bench| {
            bench.iter(|| index.lookup(black_box(&term), rare.as_ref()).unwrap());
        });
    }
    group.finish();
}

/// A table with flushed segments and nothing merged.
async fn flushed(segments: &[EncodedSegment]) -> (Compactor, TableRef) {
    let (store, ambient, partition) = (Store::memory(), Ambient::system(), partition());
    let log = ManifestLog::new(&store, partition.table.clone(), ambient.clone());
    let epoch = Epoch::new(1).unwrap();
    for segment in segments {
        put_segment(store.object_store().as_ref(), &partition.table, segment).await.unwrap();
        let range = RowIdRange { first: segment.meta.row_id_min, last: segment.meta.row_id_max };
        let edit = ManifestEdit::Add(AddSegments {
            writer: WriterId(uuid::Uuid::from_u128(1)),
            epoch,
            segments: vec![segment.meta.clone()],
            flushed: vec![FlushedRange { day: partition.day, range }],
            epoch_floor: epoch,
        });
        let manifest = log.load().await.unwrap();
        log.commit(&manifest, edit).await.unwrap();
    }
    (Compactor::new(CompactorConfig::default(), store, ambient), partition.table)
}

fn merge(criterion: &mut Criterion) {
    let runtime = Runtime::new().unwrap();
    let day = partition().day;
    let segments: Vec<_> = (0..SEGMENTS).map(|flush| segment(flush, &rows(flush, day))).collect();
    let mut group = criterion.benchmark_group("merge");
    group.throughput(Throughput::Elements((SEGMENTS * ROWS).into())).sample_size(10);
    group.bench_function("settle", |bench| {
        bench.iter_batched(
            || runtime.block_on(flushed(&segments)),
            |(compactor, table)| {
                let report = runtime.block_on(compactor.settle(&table)).unwrap();
                assert!(report.rows >= u64::from(SEGMENTS * ROWS), "all rows are merged, small ones twice");
            },
            BatchSize::LargeInput,
        );
    });
    group.finish();
}

criterion_group!(kernels, tokenise, build, probe, merge);
criterion_main!(kernels);
