//! What it costs to bring a file of NDJSON records into settled segments: CPU seconds of flushes and merges, and bytes a
//! row of every column. Everything stays in memory, and merges run on threads named `merge`, for profilers.
//!
//! ```text
//! cargo run --release -p ironbark-compactor --example merge_cost -- FILE [ROWS_PER_FLUSH] [FLUSHES_PER_ROUND]
//! ```
//!
//! It reads what the bench corpus writes, not NDJSON in general.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, clippy::print_stdout, reason = "a measuring tool")]

use std::collections::BTreeMap;
use std::fs::{File, read_to_string};
use std::io::{BufRead, BufReader, Lines};
use std::time::Duration;

use arrow::array::RecordBatch;
use ironbark_compactor::{Compactor, CompactorConfig, Report};
use ironbark_storage::{
    AddSegments, Ambient, Day, Epoch, FlushedRange, LogBatchBuilder, ManifestEdit, ManifestLog, Partition,
    RowId, RowIdRange, RowRef, SegmentId, SegmentOptions, Store, TableRef, TagKind, TagSet, TimeWindow,
    Timestamp, WriterId, encode_segment, key, put_segment, read_tail,
};
use parquet::file::metadata::RowGroupMetaData;

/// Rows of an append.
const APPEND_ROWS: usize = 5_000;
/// The kernel counts CPU time in ticks of 10 ms.
const TICK: Duration = Duration::from_millis(10);

#[derive(serde::Deserialize)]
struct Record {
    timestamp: String,
    source: Option<String>,
    level: Option<String>,
    message: String,
    trace_id: Option<String>,
    #[serde(default)]
    tags: BTreeMap<String, String>,
}

/// The corpus writes all its times as `2026-03-02T00:00:00.152462Z`.
fn parse_time(text: &str) -> Timestamp {
    let number = |from: usize, to: usize| text[from..to].parse::<i64>().unwrap();
    let seconds = (number(11, 13) * 60 + number(14, 16)) * 60 + number(17, 19);
    let midnight = Day::parse(&text[..10]).unwrap().range().min;
    midnight.plus_ns(seconds * 1_000_000_000 + number(20, 26) * 1_000)
}

/// CPU time of the process so far.
fn cpu() -> Duration {
    let stat = read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    let ticks: u32 = fields[11].parse::<u32>().unwrap() + fields[12].parse::<u32>().unwrap();
    TICK * ticks
}

struct Bench {
    store: Store,
    ambient: Ambient,
    table: TableRef,
    log: ManifestLog,
    compactor: Compactor,
    lines: Lines<BufReader<File>>,
    next_row: u64,
    flushed_bytes: u64,
    parsing: Duration,
    flushing: Duration,
    merging: Duration,
    merged: Report,
}

impl Bench {
    fn new(file: &str) -> Self {
        let (store, ambient) = (Store::memory(), Ambient::system());
        let table = TableRef::logs("acme/web/prod".parse().unwrap());
        Self {
            log: ManifestLog::new(&store, table.clone(), ambient.clone()),
            compactor: Compactor::new(CompactorConfig::default(), store.clone(), ambient.clone()),
            lines: BufReader::new(File::open(file).unwrap()).lines(),
            store,
            ambient,
            table,
            next_row: 1,
            flushed_bytes: 0,
            parsing: Duration::ZERO,
            flushing: Duration::ZERO,
            merging: Duration::ZERO,
            merged: Report::default(),
        }
    }

    /// The next append's rows by day, or nothing at the end of the file.
    fn append(&mut self) -> Vec<(Day, RecordBatch)> {
        let mut builder = LogBatchBuilder::new(self.ambient.clock.now(), TimeWindow::default());
        let mut tags = TagSet::new();
        while builder.len() < APPEND_ROWS {
            let Some(line) = self.lines.next() else { break };
            let record: Record = serde_json::from_str(&line.unwrap()).unwrap();
            for (key, value) in &record.tags {
                tags.push(key, Some(value), TagKind::String);
            }
            let row = RowRef {
                timestamp: Some(parse_time(&record.timestamp)),
                source: record.source.as_deref(),
                level: record.level.as_deref(),
                message: &record.message,
                trace_id: record.trace_id.as_deref(),
                ..RowRef::default()
            };
            builder.push(row, &mut tags).unwrap();
        }
        if builder.is_empty() {
            return Vec::new();
        }
        let first = RowId::new(Epoch::new(1).unwrap(), self.next_row).unwrap();
        self.next_row += u64::try_from(builder.len()).unwrap();
        builder.finish().unwrap().into_stored(first).unwrap()
    }

    /// Flushes the next rows. Returns whether there were any.
    async fn flush(&mut self, rows: u64) -> bool {
        let begun = cpu();
        let (first, mut days) = (self.next_row, BTreeMap::<Day, Vec<RecordBatch>>::new());
        while self.next_row < first + rows {
            let append = self.append();
            if append.is_empty() {
                break;
            }
            for (day, rows) in append {
                days.entry(day).or_default().push(rows);
            }
        }
        self.parsing += cpu().saturating_sub(begun);
        let begun = cpu();
        let any = !days.is_empty();
        for (day, rows) in days {
            self.flush_day(day, &rows, first).await;
        }
        self.flushing += cpu().saturating_sub(begun);
        any
    }

    async fn flush_day(&mut self, day: Day, rows: &[RecordBatch], first: u64) {
        let partition = Partition { table: self.table.clone(), day };
        let id = SegmentId::from_u128(self.ambient.entropy.next_u128());
        let now = self.ambient.clock.now();
        let segment = encode_segment(id, &partition, rows, &SegmentOptions::default(), now).unwrap();
        put_segment(self.store.object_store().as_ref(), &self.table, &segment).await.unwrap();
        self.flushed_bytes += segment.meta.bytes;
        let epoch = Epoch::new(1).unwrap();
        let id = |sequence| RowId::new(epoch, sequence).unwrap();
        let range = RowIdRange { first: id(first), last: id(self.next_row - 1) };
        let edit = ManifestEdit::Add(AddSegments {
            writer: WriterId(uuid::Uuid::from_u128(1)),
            epoch,
            segments: vec![segment.meta],
            flushed: vec![FlushedRange { day, range }],
            epoch_floor: epoch,
        });
        let manifest = self.log.load().await.unwrap();
        self.log.commit(&manifest, edit).await.unwrap();
    }

    /// A round, or settling the table.
    fn merge(&mut self, settle: bool) {
        let (compactor, table) = (&self.compactor, &self.table);
        let mut threads = tokio::runtime::Builder::new_multi_thread();
        let runtime = threads.worker_threads(1).thread_name("merge").build().unwrap();
        let work = || {
            runtime.block_on(async {
                let report = if settle { compactor.settle(table).await } else { compactor.run_once().await };
                report.unwrap()
            })
        };
        let begun = cpu();
        let report = std::thread::scope(|scope| {
            let thread = std::thread::Builder::new().name("merge".to_owned());
            thread.spawn_scoped(scope, work).unwrap().join().unwrap()
        });
        self.merging += cpu().saturating_sub(begun);
        self.merged.add(report);
        runtime.shutdown_background();
    }

    async fn print(&self) {
        let rows = self.next_row - 1;
        let million = |time: Duration| time.as_secs_f64() / per_row(rows, 1_000_000);
        println!(
            "{rows} rows; CPU s per 1 M rows: parse {:.2}, flush {:.2}, merge {:.2}; {} merges of {:.2} times the \
             rows; flushed {:.2} bytes a row",
            million(self.parsing),
            million(self.flushing),
            million(self.merging),
            self.merged.merges,
            per_row(self.merged.rows, rows),
            per_row(self.flushed_bytes, rows),
        );
        let (mut columns, mut bytes) = (BTreeMap::<String, u64>::new(), 0);
        for meta in self.log.load().await.unwrap().segments() {
            let key = key::segment(&Partition { table: self.table.clone(), day: meta.day }, meta.id);
            let tail = read_tail(self.store.object_store().as_ref(), &key, meta).await.unwrap();
            let groups = tail.parquet.row_groups();
            let sizes: Vec<i64> = groups.iter().map(RowGroupMetaData::num_rows).collect();
            println!("level {}: {} rows in {sizes:?}", meta.compaction_level, meta.rows);
            bytes += meta.bytes;
            *columns.entry("token index".to_owned()).or_default() +=
                meta.index.map_or(0, |index| index.bytes);
            *columns.entry("tail".to_owned()).or_default() += meta.tail_bytes;
            for chunk in groups.iter().flat_map(RowGroupMetaData::columns) {
                let size = u64::try_from(chunk.compressed_size()).unwrap();
                *columns.entry(chunk.column_path().string()).or_default() += size;
            }
        }
        println!("{:.2} bytes a row", per_row(bytes, rows));
        for (name, bytes) in columns {
            println!("  {name:22} {:6.2}", per_row(bytes, rows));
        }
    }
}

fn per_row(total: u64, rows: u64) -> f64 {
    let float = |number| f64::from(u32::try_from(number).unwrap());
    float(total) / float(rows)
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let given: Vec<String> = std::env::args().skip(1).collect();
    let number = |at: usize, other: u64| given.get(at).map_or(other, |text| text.parse().unwrap());
    let (flush_rows, flushes_per_round) = (number(1, 200_000), number(2, 4));
    let mut bench = Bench::new(&given[0]);
    let mut flushes = 0;
    while bench.flush(flush_rows).await {
        flushes += 1;
        if flushes % flushes_per_round == 0 {
            bench.merge(false);
        }
    }
    bench.merge(true);
    bench.print().await;
}
