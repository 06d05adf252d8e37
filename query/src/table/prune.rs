//! Which segments and buffers a query can leave unopened, from what the manifest says of them.
//!
//! A segment whose manifest entry counts rows by source and level is looked at as one container for each such pair:
//! in it both columns are constant, so that even `source LIKE 'web%' AND level <> 'INFO'` is decided exactly.
//! A segment stays if any of its containers may match. As the pairs may be many, they are looked at only where a filter
//! asks for one of the two, and of segments that stay without them. Batches of buffers are looked at in the same way, by
//! source and level if somebody had them counted.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Int64Array, StringArray, TimestampNanosecondArray, UInt64Array};
use datafusion::catalog::Session;
use datafusion::common::pruning::PruningStatistics;
use datafusion::common::{Column, DFSchema, ScalarValue};
use datafusion::error::Result;
use datafusion::logical_expr::Expr;
use datafusion::logical_expr::utils::conjunction;
use datafusion::physical_optimizer::pruning::{PruningPredicate, PruningPredicateBuilder};
use ironbark_storage::{BufferedRows, LogSchema, SegmentMeta, Snapshot, SourceLevelCount, TimeRange, column};

use super::buffers::Buffered;
use super::tally::mentions;

/// What of a snapshot a query must read.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) segments: Vec<Arc<SegmentMeta>>,
    pub(super) buffered: Buffered,
}

/// What is known of a column in a container.
#[derive(Clone, Copy, Debug)]
enum Value<'a> {
    Unknown,
    Null,
    Is(&'a str),
}

impl<'a> Value<'a> {
    fn known(text: Option<&'a str>) -> Self {
        text.map_or(Self::Null, Self::Is)
    }
}

/// Some rows of a segment or of a batch in memory.
#[derive(Clone, Copy, Debug)]
struct Container<'a> {
    /// The place of its segment or batch.
    place: usize,
    time: TimeRange,
    row_ids: Option<(i64, i64)>,
    rows: u64,
    source: Value<'a>,
    level: Value<'a>,
}

/// Leaves out what cannot hold a row that all of the filters, in bare column names, let through.
pub(super) fn prune(snapshot: &Snapshot, filters: &[Expr], state: &dyn Session) -> Result<Kept> {
    let segments: Vec<_> = snapshot.manifest().segments().cloned().collect();
    let mut buffered = Buffered::all(snapshot.buffers());
    let Some(predicate) = predicate(filters, state)? else { return Ok(Kept { segments, buffered }) };
    let pairs = mention_pairs(filters);
    let of_segments = segments.iter().enumerate().map(|(place, meta)| of_segment(place, meta)).collect();
    let mut kept_segments = matching(&predicate, of_segments)?;
    if pairs {
        let kept = segments.iter().enumerate().filter(|(place, _)| kept_segments.contains(place));
        kept_segments = matching(&predicate, kept.flat_map(|(place, meta)| of_pairs(place, meta)).collect())?;
    }
    let of_batches = buffered.kept.iter().enumerate().flat_map(|(place, rows)| of_batch(place, rows, pairs));
    let kept_batches = matching(&predicate, of_batches.collect())?;
    let batches = std::mem::take(&mut buffered.kept).into_iter().enumerate();
    buffered.kept = batches.filter(|(place, _)| kept_batches.contains(place)).map(|(_, rows)| rows).collect();
    let segments = segments.iter().enumerate().filter(|(place, _)| kept_segments.contains(place));
    Ok(Kept { segments: segments.map(|(_, meta)| Arc::clone(meta)).collect(), buffered })
}

fn predicate(filters: &[Expr], state: &dyn Session) -> Result<Option<PruningPredicate>> {
    let Some(filter) = conjunction(filters.iter().cloned()) else { return Ok(None) };
    let schema = LogSchema::stored();
    let names = DFSchema::try_from(schema.as_ref().clone())?;
    let filter = state.create_physical_expr(filter, &names)?;
    let predicate = PruningPredicateBuilder::new().with_file_schema(schema).try_build(filter)?;
    Ok((!predicate.always_true()).then_some(predicate))
}

fn matching(predicate: &PruningPredicate, containers: Vec<Container<'_>>) -> Result<HashSet<usize>> {
    if containers.is_empty() {
        return Ok(HashSet::new());
    }
    let containers = Containers(containers);
    let kept = predicate.prune(&containers)?;
    Ok(containers
        .0
        .iter()
        .zip(kept)
        .filter(|(_, kept)| *kept)
        .map(|(container, _)| container.place)
        .collect())
}

/// Whether a filter asks for the source or the level.
fn mention_pairs(filters: &[Expr]) -> bool {
    filters.iter().any(|filter| mentions(filter, column::SOURCE) || mentions(filter, column::LEVEL))
}

fn of_segment(place: usize, meta: &SegmentMeta) -> Container<'_> {
    Container {
        place,
        time: meta.time,
        row_ids: Some((meta.row_id_min.get(), meta.row_id_max.get())),
        rows: meta.rows,
        source: Value::Unknown,
        level: Value::Unknown,
    }
}

fn of_pairs(place: usize, meta: &SegmentMeta) -> Vec<Container<'_>> {
    let whole = of_segment(place, meta);
    meta.counts.as_ref().map_or_else(|| vec![whole], |counts| divided(whole, counts))
}

fn of_batch(place: usize, rows: &BufferedRows, pairs: bool) -> Vec<Container<'_>> {
    let (source, level) = (Value::Unknown, Value::Unknown);
    let number = rows.rows().num_rows() as u64;
    let whole = Container { place, time: rows.time(), row_ids: None, rows: number, source, level };
    let counts = rows.known_counts().filter(|_| pairs).and_then(|counts| counts.by_source());
    counts.map_or_else(|| vec![whole], |counts| divided(whole, counts))
}

/// A container for each source and level.
fn divided<'a>(whole: Container<'a>, counts: &'a [SourceLevelCount]) -> Vec<Container<'a>> {
    let of_count = |count: &'a SourceLevelCount| {
        let (source, level) = (Value::known(count.source.as_deref()), Value::known(count.level.as_deref()));
        Container { rows: count.rows, source, level, ..whole }
    };
    counts.iter().map(of_count).collect()
}

struct Containers<'a>(Vec<Container<'a>>);

impl<'a> Containers<'a> {
    fn times(&self, pick: impl Fn(TimeRange) -> i64) -> ArrayRef {
        let values = self.0.iter().map(|container| pick(container.time));
        Arc::new(TimestampNanosecondArray::from_iter_values(values).with_timezone("UTC"))
    }

    fn texts(&self, pick: impl Fn(&Container<'a>) -> Value<'a>) -> ArrayRef {
        let text = |container| match pick(container) {
            Value::Is(text) => Some(text),
            Value::Null | Value::Unknown => None,
        };
        Arc::new(self.0.iter().map(text).collect::<StringArray>())
    }

    fn nulls(&self, pick: impl Fn(&Container<'a>) -> Value<'a>) -> ArrayRef {
        let nulls = |container| match pick(container) {
            Value::Is(_) => Some(0),
            Value::Null => Some(container.rows),
            Value::Unknown => None,
        };
        Arc::new(self.0.iter().map(nulls).collect::<UInt64Array>())
    }

    fn ids(&self, pick: impl Fn((i64, i64)) -> i64) -> ArrayRef {
        Arc::new(self.0.iter().map(|container| container.row_ids.map(&pick)).collect::<Int64Array>())
    }
}

impl PruningStatistics for Containers<'_> {
    fn min_values(&self, column: &Column) -> Option<ArrayRef> {
        match column.name() {
            column::TIMESTAMP => Some(self.times(|time| time.min.ns())),
            column::ROW_ID => Some(self.ids(|(min, _)| min)),
            column::SOURCE => Some(self.texts(|container| container.source)),
            column::LEVEL => Some(self.texts(|container| container.level)),
            _ => None,
        }
    }

    fn max_values(&self, column: &Column) -> Option<ArrayRef> {
        match column.name() {
            column::TIMESTAMP => Some(self.times(|time| time.max.ns())),
            column::ROW_ID => Some(self.ids(|(_, max)| max)),
            _ => self.min_values(column),
        }
    }

    fn num_containers(&self) -> usize {
        self.0.len()
    }

    fn null_counts(&self, column: &Column) -> Option<ArrayRef> {
        match column.name() {
            column::TIMESTAMP | column::ROW_ID => {
                Some(Arc::new(UInt64Array::from_value(0, self.0.len())) as ArrayRef)
            }
            column::SOURCE => Some(self.nulls(|container| container.source)),
            column::LEVEL => Some(self.nulls(|container| container.level)),
            _ => None,
        }
    }

    fn row_counts(&self) -> Option<ArrayRef> {
        Some(Arc::new(UInt64Array::from_iter_values(self.0.iter().map(|container| container.rows))))
    }

    fn contained(&self, _column: &Column, _values: &HashSet<ScalarValue>) -> Option<BooleanArray> {
        None
    }
}
