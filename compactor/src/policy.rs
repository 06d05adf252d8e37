//! Which segments of a partition to merge next. Pure: the same segments give the same choice.
//!
//! ```text
//!   small, level 0  ▪ ▪ ▪ ▪      4 to 32 neighbours in time ──► one of level 1
//!   small, level 1  ▪ ▪ ▪ ▪                                 ──► one of level 2
//!   levels 0 and 1  ▪ ◾ ◾ … ◾    until they are full together ──► one of level 2
//!   level 2         ◼ ◼ ◼ ◼      not full yet               ──► one of level 2
//!   full            █ █          over half the target: left alone while the partition grows
//!
//!   no more rows come:  leftovers of any level ──► level 2;  a single one below level 2 ──► level 2
//! ```
//!
//! What is written last is compressed hard and indexed, which costs: so the rows of a busy table, whose flushes are
//! not small, are merged once. Small segments are merged before that, because each costs every query.
//!
//! Every choice leaves fewer segments, or as many with fewer below level 2, so the choices come to an end: then the
//! partition is settled.

use std::sync::Arc;

use ironbark_storage::{Partition, SegmentMeta};

use crate::{CompactionSpec, Reason};

/// The highest level.
const LEVEL_MAX: u8 = 2;
/// A leftover is not rewritten for others that are together smaller than this fraction of it: rows that trickle in
/// late would otherwise cost a rewrite of all rows each time.
const REWRITE_RATIO_MAX: u64 = 8;

/// Whether more rows are to be expected in a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activity {
    /// More rows come.
    Growing,
    /// No more rows come, or somebody wants it settled now.
    Ended,
}

/// What is merged with what.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Policy {
    /// Small segments of a level that are worth a merge.
    pub inputs_min: usize,
    /// Most segments of a merge. A segment is small if so many of its size are no full one.
    pub inputs_max: usize,
    /// Most rows of a merged segment. A merge holds 24 bytes for each of them in memory.
    pub target_rows: u64,
    /// Most bytes of a merged segment, which are held in memory until they are put.
    pub target_bytes: u64,
}

impl Default for Policy {
    fn default() -> Self {
        Self { inputs_min: 4, inputs_max: 32, target_rows: 4 << 20, target_bytes: 128 << 20 }
    }
}

impl Policy {
    /// The largest `target_rows`.
    pub const TARGET_ROWS_MAX: u64 = 16 << 20;

    /// The next merge of a partition with these live segments, or `None` when it is settled.
    pub fn choose(
        &self,
        partition: &Partition,
        segments: &[Arc<SegmentMeta>],
        activity: Activity,
    ) -> Option<CompactionSpec> {
        let open: Vec<_> = segments.iter().filter(|segment| !self.is_full(segment)).cloned().collect();
        let spec = |inputs, level, reason| {
            let (partition, compaction_level) = (partition.clone(), level);
            CompactionSpec { partition, inputs, compaction_level, reason }
        };
        for level in 0..=LEVEL_MAX {
            if let Some(inputs) = self.tier(&open, level) {
                return Some(spec(inputs, (level + 1).min(LEVEL_MAX), Reason::Tier));
            }
        }
        if let Some(inputs) = self.filling(&open) {
            return Some(spec(inputs, LEVEL_MAX, Reason::Full));
        }
        if activity == Activity::Growing {
            return None;
        }
        if let Some(inputs) = self.leftovers(&open) {
            return Some(spec(inputs, LEVEL_MAX, Reason::Ended));
        }
        let low = segments.iter().filter(|segment| segment.compaction_level < LEVEL_MAX);
        let fitting = low.filter(|segment| segment.rows <= self.target_rows);
        let one = fitting.min_by_key(|segment| (segment.time.min, segment.id))?;
        Some(spec(vec![Arc::clone(one)], LEVEL_MAX, Reason::Recompress))
    }

    /// Two segments that are not full always fit into one merge.
    fn is_full(&self, segment: &SegmentMeta) -> bool {
        self.are_full(segment.rows, segment.bytes)
    }

    fn are_full(&self, rows: u64, bytes: u64) -> bool {
        rows > self.target_rows / 2 || bytes > self.target_bytes / 2
    }

    /// Whether the most segments of a merge, all of this size, would not make a full one.
    fn is_small(&self, segment: &SegmentMeta) -> bool {
        let many = u64::try_from(self.inputs_max).unwrap_or(u64::MAX);
        !self.are_full(segment.rows.saturating_mul(many), segment.bytes.saturating_mul(many))
    }

    fn fits(&self, inputs: &[Arc<SegmentMeta>], next: &SegmentMeta) -> bool {
        let (rows, bytes) = size(inputs);
        inputs.len() < self.inputs_max
            && rows.saturating_add(next.rows) <= self.target_rows
            && bytes.saturating_add(next.bytes) <= self.target_bytes
    }

    /// Neighbours in time of one level, enough of them or enough rows. Below the last level only small ones: the
    /// others wait until they fill a segment.
    fn tier(&self, open: &[Arc<SegmentMeta>], level: u8) -> Option<Vec<Arc<SegmentMeta>>> {
        let of_level = open.iter().filter(|segment| segment.compaction_level == level);
        let mut inputs: Vec<Arc<SegmentMeta>> = Vec::new();
        for segment in by_time(of_level.filter(|segment| level == LEVEL_MAX || self.is_small(segment))) {
            if !self.fits(&inputs, segment) {
                return Some(inputs);
            }
            inputs.push(Arc::clone(segment));
        }
        (inputs.len() >= self.inputs_min).then_some(inputs)
    }

    /// Neighbours in time below the last level that make a full segment, or are as many as a merge may have.
    fn filling(&self, open: &[Arc<SegmentMeta>]) -> Option<Vec<Arc<SegmentMeta>>> {
        let mut inputs: Vec<Arc<SegmentMeta>> = Vec::new();
        for segment in by_time(open.iter().filter(|segment| segment.compaction_level < LEVEL_MAX)) {
            if !self.fits(&inputs, segment) {
                return Some(inputs);
            }
            inputs.push(Arc::clone(segment));
            let (rows, bytes) = size(&inputs);
            if self.are_full(rows, bytes) {
                return Some(inputs);
            }
        }
        None
    }

    /// The smallest segments, whatever their level, unless that rewrites a large one for little.
    fn leftovers(&self, open: &[Arc<SegmentMeta>]) -> Option<Vec<Arc<SegmentMeta>>> {
        let mut open = open.to_vec();
        open.sort_by_key(|segment| (segment.rows, segment.id));
        let mut inputs: Vec<Arc<SegmentMeta>> = Vec::new();
        for segment in &open {
            if !self.fits(&inputs, segment) {
                break;
            }
            inputs.push(Arc::clone(segment));
        }
        while let Some((largest, others)) = inputs.split_last() {
            let (rows, _) = size(others);
            if largest.rows <= rows.saturating_mul(REWRITE_RATIO_MAX) {
                break;
            }
            inputs.pop();
        }
        (inputs.len() >= 2).then_some(inputs)
    }
}

/// Rows and bytes of segments together.
fn size(segments: &[Arc<SegmentMeta>]) -> (u64, u64) {
    segments.iter().fold((0, 0), |(rows, bytes), segment| (rows + segment.rows, bytes + segment.bytes))
}

fn by_time<'a>(segments: impl Iterator<Item = &'a Arc<SegmentMeta>>) -> Vec<&'a Arc<SegmentMeta>> {
    let mut segments: Vec<_> = segments.collect();
    segments.sort_by_key(|segment| (segment.time.min, segment.id));
    segments
}

#[cfg(test)]
mod tests;
