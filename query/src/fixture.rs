//! Test double of whoever holds the tables: snapshots put together by hand from encoded segments and buffers, in a
//! store in memory that counts its requests.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arrow::array::{Array, RecordBatch};
use arrow::util::pretty::pretty_format_batches;
use async_trait::async_trait;
use datafusion::execution::SessionState;
use datafusion::optimizer::OptimizerRule as _;
use datafusion::prelude::SessionContext;
use futures::TryStreamExt;
use ironbark_storage::clock::ManualClock;
use ironbark_storage::{
    Ambient, BufferView, BufferedRows, Day, EncodedSegment, Epoch, LogBatchBuilder, Manifest, ManifestEdit,
    Partition, RowId, RowIdRange, RowRef, SegmentId, SegmentMeta, SegmentOptions, Snapshot, Store, TableName,
    TableRef, Tables, TagKind, TagSet, TenantId, TimeRange, TimeWindow, Timestamp, encode_segment,
    put_segment,
};
use object_store::memory::InMemory;
use object_store::path::Path;
use parking_lot::Mutex;

use crate::table::CountFromStatistics;
use crate::{QueryConfig, QueryEngine, RangeCache, Result, Session};

/// 2026-11-23T00:00:00Z.
pub(crate) const START: i64 = 1_795_392_000_000_000_000;
pub(crate) const SECOND: i64 = 1_000_000_000;

/// A row for a test.
#[derive(Clone, Debug, Default)]
pub(crate) struct Row {
    pub(crate) at: i64,
    pub(crate) source: Option<String>,
    pub(crate) level: Option<String>,
    pub(crate) message: String,
    pub(crate) trace_id: Option<String>,
    pub(crate) tags: Vec<(String, String, TagKind)>,
}

impl Row {
    /// `seconds` after [`START`].
    pub(crate) fn new(seconds: i64, source: &str, level: &str, message: &str) -> Self {
        Self {
            at: START + seconds * SECOND,
            source: (!source.is_empty()).then(|| source.to_owned()),
            level: (!level.is_empty()).then(|| level.to_owned()),
            message: message.to_owned(),
            trace_id: None,
            tags: Vec::new(),
        }
    }

    pub(crate) fn trace(mut self, id: &str) -> Self {
        self.trace_id = (!id.is_empty()).then(|| id.to_owned());
        self
    }

    pub(crate) fn tag(mut self, key: &str, value: &str) -> Self {
        self.tags.push((key.to_owned(), value.to_owned(), TagKind::String));
        self
    }

    /// A tag with the letter of its JSON type.
    pub(crate) fn typed(mut self, key: &str, value: &str, letter: char) -> Self {
        let kind = match letter {
            'n' => TagKind::Number,
            'b' => TagKind::Bool,
            'j' => TagKind::Json,
            'z' => TagKind::Null,
            _ => TagKind::String,
        };
        self.tags.push((key.to_owned(), value.to_owned(), kind));
        self
    }
}

#[derive(Debug, Default)]
struct State {
    tables: BTreeMap<TableRef, (ManifestRef, Vec<BufferView>)>,
}

/// Replaced whole when a segment is added.
type ManifestRef = Arc<Manifest>;

/// Tables that a test fills.
#[derive(Debug)]
pub(crate) struct TestTables {
    state: Mutex<State>,
    next_row: AtomicU64,
    next_segment: AtomicU64,
}

#[async_trait]
impl Tables for TestTables {
    async fn tables(&self, tenant: &TenantId) -> ironbark_storage::Result<Vec<TableName>> {
        let state = self.state.lock();
        let mut names: Vec<_> =
            state.tables.keys().filter(|table| table.tenant == *tenant).map(|t| t.table.clone()).collect();
        names.push(TableName::default());
        names.sort();
        names.dedup();
        Ok(names)
    }

    async fn create_table(&self, table: &TableRef) -> ironbark_storage::Result<()> {
        let mut state = self.state.lock();
        if table.table.is_default() || state.tables.contains_key(table) {
            let (tenant, table) = (table.tenant.to_string(), table.table.to_string());
            return Err(ironbark_storage::Error::TableExists { tenant, table });
        }
        state.tables.insert(table.clone(), (Arc::new(Manifest::empty(table.clone())), Vec::new()));
        Ok(())
    }

    async fn snapshot(&self, table: &TableRef) -> ironbark_storage::Result<Snapshot> {
        let state = self.state.lock();
        let empty = || (Arc::new(Manifest::empty(table.clone())), Vec::new());
        let (manifest, buffers) = match state.tables.get(table) {
            Some(found) => found.clone(),
            None if table.table.is_default() => empty(),
            None => {
                let (tenant, table) = (table.tenant.to_string(), table.table.to_string());
                return Err(ironbark_storage::Error::TableNotFound { tenant, table });
            }
        };
        Ok(Snapshot::compose(manifest, buffers, Timestamp::from_ns(START)))
    }
}

impl TestTables {
    /// Rows stored from now on get ids that lie so many further.
    pub(crate) fn skip_rows(&self, rows: u64) {
        self.next_row.fetch_add(rows, Ordering::SeqCst);
    }
}

/// An engine over test tables.
pub(crate) struct Fixture {
    pub(crate) tables: Arc<TestTables>,
    pub(crate) store: Arc<InMemory>,
    pub(crate) engine: Arc<QueryEngine>,
    pub(crate) table: TableRef,
}

impl Fixture {
    pub(crate) fn new() -> Self {
        Self::with_config(QueryConfig { partitions: 2, ..QueryConfig::default() })
    }

    pub(crate) fn with_config(config: QueryConfig) -> Self {
        let tables = Arc::new(TestTables {
            state: Mutex::default(),
            next_row: AtomicU64::new(1),
            next_segment: AtomicU64::new(1),
        });
        Self::over(tables, Arc::new(InMemory::new()), config, None)
    }

    /// What an engine that starts now makes of the same tables, reading through this cache.
    pub(crate) fn restarted(&self, ranges: Arc<RangeCache>) -> Self {
        let config = self.engine.config.clone();
        Self::over(Arc::clone(&self.tables), Arc::clone(&self.store), config, Some(ranges))
    }

    /// The clock stands a day after [`START`].
    pub(crate) fn ambient() -> Ambient {
        let now = Timestamp::from_ns(START + 86_400 * SECOND);
        Ambient { clock: Arc::new(ManualClock::at(now)), ..Ambient::seeded(now, 7) }
    }

    fn over(
        tables: Arc<TestTables>,
        store: Arc<InMemory>,
        config: QueryConfig,
        ranges: Option<Arc<RangeCache>>,
    ) -> Self {
        let objects = Store::from_object_store(Arc::clone(&store) as _, Path::default(), "memory:");
        let shown = Arc::clone(&tables) as Arc<dyn Tables>;
        let engine = QueryEngine::new(config, objects, shown, Self::ambient(), ranges);
        Self { tables, store, engine: engine.unwrap(), table: TableRef::logs(TenantId::default()) }
    }

    pub(crate) fn session(&self) -> Session {
        self.engine.session(&self.table.tenant)
    }

    /// A session over the same tables whose queries count rows and not statistics.
    pub(crate) fn scanning_session(&self) -> Session {
        let context = SessionContext::new_with_state(self.engine.base.clone());
        assert!(context.remove_optimizer_rule(CountFromStatistics.name()), "the rule is there");
        self.session_of(context.state())
    }

    /// A session over the same tables for which no segment is too small to be read by several partitions.
    pub(crate) fn splitting_session(&self) -> Session {
        let mut base = self.engine.base.clone();
        base.config_mut().options_mut().optimizer.repartition_file_min_size = 1;
        self.session_of(base)
    }

    fn session_of(&self, base: SessionState) -> Session {
        let shared = &self.engine;
        let engine = QueryEngine {
            config: shared.config.clone(),
            store: shared.store.clone(),
            tables: Arc::clone(&shared.tables),
            ambient: shared.ambient.clone(),
            base,
            runtime: Arc::clone(&shared.runtime),
            tails: Arc::clone(&shared.tails),
            ranges: shared.ranges.clone(),
            plannings: shared.plannings.clone(),
        };
        Arc::new(engine).session(&self.table.tenant)
    }

    /// Rows as they are stored, split by day.
    pub(crate) fn stored(&self, rows: &[Row]) -> Vec<(Day, RecordBatch)> {
        let window = TimeWindow { earliest: Timestamp::from_ns(i64::MIN), future_ns_max: i64::MAX };
        let mut builder = LogBatchBuilder::new(Timestamp::from_ns(START), window);
        let mut tags = TagSet::new();
        for row in rows {
            for (key, value, kind) in &row.tags {
                tags.push(key, (*kind != TagKind::Null).then_some(value), *kind);
            }
            let row = RowRef {
                timestamp: Some(Timestamp::from_ns(row.at)),
                source: row.source.as_deref(),
                level: row.level.as_deref(),
                message: &row.message,
                trace_id: row.trace_id.as_deref(),
                ..RowRef::default()
            };
            builder.push(row, &mut tags).unwrap();
        }
        let first = self.tables.next_row.fetch_add(rows.len() as u64, Ordering::SeqCst);
        let first = RowId::new(Epoch::new(1).unwrap(), first).unwrap();
        builder.finish().unwrap().into_stored(first).unwrap()
    }

    /// Puts rows into memory.
    pub(crate) fn buffer(&self, rows: &[Row]) {
        let batches = self.stored(rows);
        self.buffer_stored(batches);
    }

    pub(crate) fn buffer_stored(&self, batches: Vec<(Day, RecordBatch)>) {
        let mut state = self.tables.state.lock();
        let entry = state.tables.entry(self.table.clone());
        let (_, buffers) =
            entry.or_insert_with(|| (Arc::new(Manifest::empty(self.table.clone())), Vec::new()));
        for (day, batch) in batches {
            buffers.push(view(day, batch));
        }
    }

    /// Puts rows into memory whose words are known, however few they are.
    pub(crate) fn buffer_with_words(&self, batches: Vec<(Day, RecordBatch)>) {
        self.buffer_stored(batches);
        let state = self.tables.state.lock();
        for (_, buffers) in state.tables.values() {
            buffers.iter().flat_map(|buffer| &buffer.rows).for_each(|rows| rows.make_words());
        }
    }

    /// Puts rows into segments of `row_group_rows`, one for each day.
    pub(crate) async fn segment(&self, rows: &[Row], row_group_rows: usize) {
        let batches = self.stored(rows);
        self.segment_stored(batches, row_group_rows).await;
    }

    pub(crate) async fn segment_stored(&self, batches: Vec<(Day, RecordBatch)>, row_group_rows: usize) {
        self.segment_with(batches, row_group_rows, 1, |_| {}).await;
    }

    /// Puts rows into segments as they were before there were promoted tags.
    pub(crate) async fn segment_in_map(&self, rows: &[Row], row_group_rows: usize) {
        self.segment_stored_in_map(self.stored(rows), row_group_rows).await;
    }

    pub(crate) async fn segment_stored_in_map(
        &self,
        batches: Vec<(Day, RecordBatch)>,
        row_group_rows: usize,
    ) {
        self.segment_with(batches, row_group_rows, usize::MAX, |_| {}).await;
    }

    /// Puts rows into segments as they were before there were indexes.
    pub(crate) async fn segment_unindexed(&self, rows: &[Row], row_group_rows: usize) {
        self.segment_with(self.stored(rows), row_group_rows, 1, |meta| meta.index = None).await;
    }

    async fn segment_with(
        &self,
        batches: Vec<(Day, RecordBatch)>,
        row_group_rows: usize,
        promote_rows_min: usize,
        edit: impl Fn(&mut SegmentMeta),
    ) {
        for (day, batch) in batches {
            let id =
                SegmentId::from_u128(u128::from(self.tables.next_segment.fetch_add(1, Ordering::SeqCst)));
            let options = SegmentOptions { compaction_level: 0, row_group_rows, promote_rows_min };
            let partition = Partition { table: self.table.clone(), day };
            let mut segment =
                encode_segment(id, &partition, &[batch], &options, Timestamp::from_ns(START)).unwrap();
            edit(&mut segment.meta);
            self.put(segment).await;
        }
    }

    /// Adds a segment as it is.
    pub(crate) async fn put(&self, segment: EncodedSegment) {
        put_segment(self.store.as_ref(), &self.table, &segment).await.unwrap();
        let mut state = self.tables.state.lock();
        let entry = state.tables.entry(self.table.clone());
        let (manifest, _) =
            entry.or_insert_with(|| (Arc::new(Manifest::empty(self.table.clone())), Vec::new()));
        let edit = ManifestEdit::Replace { remove: Vec::new(), add: vec![segment.meta] };
        *manifest = Arc::new(manifest.apply(&edit, Timestamp::from_ns(START)).unwrap());
    }

    pub(crate) async fn query(&self, sql: &str) -> Result<Vec<RecordBatch>> {
        self.session().sql(sql).await?.try_collect().await
    }

    /// The result as a table of text.
    pub(crate) async fn text(&self, sql: &str) -> String {
        match self.query(sql).await {
            Ok(batches) => pretty_format_batches(&batches).unwrap().to_string(),
            Err(error) => format!("{:?}: {error}", error.kind()),
        }
    }

    /// The error of a statement that must fail.
    pub(crate) async fn error(&self, sql: &str) -> String {
        match self.query(sql).await {
            Ok(_) => panic!("{sql} went through"),
            Err(error) => format!("{:?}: {error}", error.kind()),
        }
    }

    /// The plan after it ran, with its metrics.
    pub(crate) async fn analyzed(&self, sql: &str) -> String {
        Self::analyzed_in(&self.session(), sql).await
    }

    /// The same in a session.
    pub(crate) async fn analyzed_in(session: &Session, sql: &str) -> String {
        let answer = session.sql(&format!("EXPLAIN ANALYZE {sql}")).await.unwrap();
        let batches: Vec<RecordBatch> = answer.try_collect().await.unwrap();
        let plan: &arrow::array::StringArray = arrow::array::AsArray::as_string(batches[0].column(1));
        (0..plan.len()).map(|row| plan.value(row)).collect()
    }

    /// The physical plan, without what differs from run to run.
    pub(crate) async fn plan(&self, sql: &str) -> String {
        let batches = self.query(&format!("EXPLAIN {sql}")).await.unwrap();
        let plans = batches[0].column_by_name("plan").unwrap();
        let plans: &arrow::array::StringArray = arrow::array::AsArray::as_string(plans);
        let plan = plans.value(plans.len() - 1).trim_end();
        plan.replace("default/default/default/logs/2026-11-23/00000000-0000-0000-0000-0000000000", "…")
    }
}

/// The sum of a counter over the operators of a plan that ran; thousands are printed as `1.23 K`, of
/// which this is 1,000.
pub(crate) fn counter(plan: &str, name: &str) -> usize {
    let value = |rest: &str| {
        let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
        let value = digits.parse::<usize>().unwrap();
        let unit = rest.split([',', ']']).next().unwrap_or_default();
        let unit = if unit.ends_with(" K") {
            1_000
        } else if unit.ends_with(" M") {
            1_000_000
        } else {
            1
        };
        value * unit
    };
    plan.split(&format!("{name}=")).skip(1).map(value).sum()
}

fn view(day: Day, batch: RecordBatch) -> BufferView {
    use arrow::array::AsArray;
    use arrow::datatypes::{Int64Type, TimestampNanosecondType};
    let times = batch.column_by_name("timestamp").unwrap().as_primitive::<TimestampNanosecondType>();
    let ids = batch.column_by_name("_row_id").unwrap().as_primitive::<Int64Type>();
    let time = |ns| Timestamp::from_ns(ns);
    let id = |id| RowId::from_i64(id).unwrap();
    let (times, ids) = (times.values(), ids.values());
    let range = TimeRange::new(time(*times.iter().min().unwrap()), time(*times.iter().max().unwrap()));
    let row_ids =
        vec![RowIdRange { first: id(*ids.iter().min().unwrap()), last: id(*ids.iter().max().unwrap()) }];
    let rows = vec![Arc::new(BufferedRows::new(batch).unwrap())];
    BufferView { day, rows, time: range, row_ids }
}
