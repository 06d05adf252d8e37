//! Asks the statistics of all segments, the cheapest first, and sorts the segments by what is to be done with them.
//!
//! ```text
//!   segments ─► counts of the manifest ─┬─► counted
//!                                       └─► counts of the tail ─┬─► counted
//!                                                               ├─► cut: counted but for a few minutes, these are read
//!                                                               └─► read
//! ```
//!
//! How token indexes are asked is told in `term.rs`, and templates in `message.rs`.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures::StreamExt;
use futures::stream;
use ironbark_storage::{BufferedRows, Minute, MinuteLevelCounts, SegmentMeta};

use super::LogTable;
use super::cells::{Answer, Cells, Judge};
use super::exec::Weighted;
use crate::table::index::{Narrowed, Report};
use crate::table::tails::Origin;

/// Ends of segments that a query asks for at once when it counts.
const TAILS_AT_ONCE: usize = 16;
/// A filter that cuts through more minutes than this has the cut segments read whole.
const CUT_MINUTES_MAX: usize = 16;
/// Segments beyond this that a filter cuts are read whole: the counts of all of them are held at once.
const CUT_SEGMENTS_MAX: usize = 256;
/// Segments beyond this many cells, about 200 MB, are read.
const CELLS_MAX: usize = 4 << 20;

/// What the statistics said.
#[derive(Debug)]
pub(super) struct Asked {
    /// What they counted.
    pub(super) weighted: Weighted,
    /// Segments of which rows in `minutes` are read, and only those.
    pub(super) cut: Vec<Arc<SegmentMeta>>,
    pub(super) minutes: BTreeSet<Minute>,
    /// How many rows these are.
    pub(super) cut_rows: u64,
    /// Segments that are read whole.
    pub(super) read: Vec<Arc<SegmentMeta>>,
    /// Batches in memory that are read whole.
    pub(super) batches: Vec<Arc<BufferedRows>>,
    /// Rows that pass and are read for their times alone, and rows that are read and checked.
    pub(super) sure: Vec<Narrowed>,
    pub(super) undecided: Vec<Narrowed>,
    /// How many rows these are, of how many segments.
    pub(super) split_rows: u64,
    pub(super) split_segments: usize,
    /// What indexes said of these segments.
    pub(super) report: Option<Arc<Report>>,
    /// Ends of segments that cost a request, and that were in memory.
    pub(super) tails_read: usize,
    pub(super) tails_cached: usize,
}

impl Asked {
    /// Nobody was asked yet.
    pub(super) fn new(weighted: Weighted) -> Self {
        Self {
            weighted,
            cut: Vec::new(),
            minutes: BTreeSet::new(),
            cut_rows: 0,
            read: Vec::new(),
            batches: Vec::new(),
            sure: Vec::new(),
            undecided: Vec::new(),
            split_rows: 0,
            split_segments: 0,
            report: None,
            tails_read: 0,
            tails_cached: 0,
        }
    }

    /// Asks the counts of the manifest and of tails.
    pub(super) async fn of_counts(&mut self, logs: &LogTable, judge: &Judge, segments: &[Arc<SegmentMeta>]) {
        let rest = self.by_manifest(judge, segments);
        if judge.minutes_may_answer() {
            let cut = self.by_minutes(logs, judge, rest).await;
            self.cut(judge, cut);
        } else {
            self.read = rest;
        }
    }

    /// Counts where the end of a segment came from.
    pub(super) fn tail_came_from(&mut self, origin: Option<Origin>) {
        self.tails_read += usize::from(origin == Some(Origin::Store));
        self.tails_cached += usize::from(origin == Some(Origin::Memory));
    }

    fn has_room(&self, cells: &Cells<'_>) -> bool {
        self.weighted.len().saturating_add(cells.0.len()) <= CELLS_MAX
    }

    /// Asks the counts of batches in memory.
    pub(super) fn of_batches(&mut self, judge: &Judge, batches: &[Arc<BufferedRows>]) {
        for (batch, answer) in batches.iter().zip(judge.by_batches(batches)) {
            match answer {
                Answer::Whole(cells) if self.has_room(&cells) => self.weighted.count_batch(&cells),
                _ => self.batches.push(Arc::clone(batch)),
            }
        }
    }

    /// Returns the segments that the manifest's counts do not decide.
    fn by_manifest(&mut self, judge: &Judge, segments: &[Arc<SegmentMeta>]) -> Vec<Arc<SegmentMeta>> {
        let mut rest = Vec::new();
        for (meta, answer) in judge.by_manifest(segments) {
            match answer {
                Answer::Whole(cells) if self.has_room(&cells) => self.weighted.count(&cells),
                _ => rest.push(Arc::clone(meta)),
            }
        }
        rest
    }

    /// Returns the segments that the filter cuts; their undecided minutes are in `minutes`.
    async fn by_minutes(
        &mut self,
        logs: &LogTable,
        judge: &Judge,
        segments: Vec<Arc<SegmentMeta>>,
    ) -> Vec<(Arc<SegmentMeta>, MinuteLevelCounts)> {
        let asked = segments.into_iter().map(|meta| async move {
            let (counts, origin) = logs.minutes(&meta).await;
            (meta, counts, origin)
        });
        let mut asked = stream::iter(asked).buffered(TAILS_AT_ONCE);
        let mut cut = Vec::new();
        while let Some((meta, counts, origin)) = asked.next().await {
            self.tail_came_from(origin);
            let Some(counts) = counts else {
                self.read.push(meta);
                continue;
            };
            match judge.by_minutes(&meta, &counts) {
                Answer::Whole(cells) if self.has_room(&cells) => {
                    self.weighted.count(&cells);
                    continue;
                }
                Answer::Cut(cells) => self.minutes.extend(cells.undecided_minutes()),
                Answer::Whole(_) | Answer::Unknown => {
                    self.read.push(meta);
                    continue;
                }
            }
            if cut.len() < CUT_SEGMENTS_MAX && self.minutes.len() <= CUT_MINUTES_MAX {
                cut.push((meta, counts));
            } else {
                self.read.push(meta);
            }
        }
        cut
    }

    /// Counts the cut segments outside of the undecided minutes. All of them leave out the same minutes, whichever
    /// of them they are undecided in.
    fn cut(&mut self, judge: &Judge, cut: Vec<(Arc<SegmentMeta>, MinuteLevelCounts)>) {
        let few = self.minutes.len() <= CUT_MINUTES_MAX;
        for (meta, counts) in cut {
            match judge.by_minutes(&meta, &counts) {
                Answer::Cut(cells) if few && self.has_room(&cells) => {
                    self.cut_rows += self.weighted.count_outside(&cells, &self.minutes);
                    self.cut.push(meta);
                }
                _ => self.read.push(meta),
            }
        }
    }
}
