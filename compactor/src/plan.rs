//! Which rows of which inputs go into which row group of the merged segment.
//!
//! ```text
//!   inputs' (timestamp, _row_id) ──► sorted ──► cut ──► slice 0: rows 3, 4, 9 of input 0's row group 1 …
//! ```
//!
//! Input row groups are sorted by source inside, so the rows of a slice of time lie scattered in them. The plan holds
//! 8 bytes for each row (24 while they are sorted) and so knows them exactly; the job then reads just these, slice by
//! slice, and never holds more than one slice of rows.

use std::ops::Range;

use ironbark_storage::{RowFingerprint, TimeDigits, row_group_sizes};
use parquet::arrow::arrow_reader::RowSelection;

/// A row of an input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Origin {
    time: i64,
    id: i64,
    group: u32,
    row: u32,
}

/// Rows to read from one row group of one input.
#[derive(Clone, Debug)]
pub(crate) struct Pick {
    pub(crate) input: usize,
    pub(crate) row_group: usize,
    pub(crate) selection: RowSelection,
}

/// A row group of an input.
#[derive(Clone, Copy, Debug)]
struct Group {
    input: usize,
    /// Its number in the input.
    number: usize,
    rows: usize,
}

/// Collects the inputs' rows; see [`MergePlanBuilder::finish`].
#[derive(Debug)]
pub(crate) struct MergePlanBuilder {
    groups: Vec<Group>,
    origins: Vec<Origin>,
    fingerprint: RowFingerprint,
    digits: TimeDigits,
}

impl MergePlanBuilder {
    /// With room for so many rows: a list that grows is there twice while it does.
    pub(crate) fn with_room(rows: usize) -> Self {
        Self {
            groups: Vec::new(),
            origins: Vec::with_capacity(rows),
            fingerprint: RowFingerprint::default(),
            digits: TimeDigits::default(),
        }
    }

    /// Begins a row group of an input; the rows added next are its, in order.
    pub(crate) fn begin(&mut self, input: usize, row_group: usize) {
        self.groups.push(Group { input, number: row_group, rows: 0 });
    }

    /// Adds rows of the row group begun last.
    pub(crate) fn add(&mut self, times: &[i64], ids: &arrow::array::Int64Array) {
        self.fingerprint.add(ids);
        self.digits.add(times);
        let number = self.groups.len().saturating_sub(1);
        let (Ok(number), Some(group)) = (u32::try_from(number), self.groups.last_mut()) else { return };
        for (time, id) in times.iter().zip(ids.values()) {
            // A row group holds far less than 2^32 rows.
            let row = u32::try_from(group.rows).unwrap_or(u32::MAX);
            self.origins.push(Origin { time: *time, id: *id, group: number, row });
            group.rows += 1;
        }
    }

    /// Orders the rows and cuts them: row groups have at most about `full_rows` rows, the newest have fewer. Fails
    /// with the row's id and two inputs where a row is there twice.
    pub(crate) fn finish(mut self, full_rows: usize) -> Result<MergePlan, RepeatedRow> {
        self.origins.sort_unstable();
        let input = |origin: &Origin| self.groups.get(place(origin.group)).map_or(0, |group| group.input);
        for pair in self.origins.windows(2) {
            if let [a, b] = pair
                && a.id == b.id
            {
                return Err(RepeatedRow { row_id: a.id, inputs: (input(a), input(b)) });
            }
        }
        let Self { groups, origins, fingerprint, digits } = self;
        let rows: Vec<_> = origins.into_iter().map(|origin| (origin.group, origin.row)).collect();
        let slices = row_group_sizes(rows.len(), full_rows).into_iter().scan(0, |start, size| {
            let slice = *start..*start + size;
            *start = slice.end;
            Some(slice)
        });
        let slices = slices.collect();
        Ok(MergePlan { groups, rows, fingerprint, digits, slices })
    }
}

/// A row that is in two inputs, or twice in one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RepeatedRow {
    pub(crate) row_id: i64,
    pub(crate) inputs: (usize, usize),
}

/// What goes where; see the module.
#[derive(Debug)]
pub(crate) struct MergePlan {
    groups: Vec<Group>,
    /// Row group and row there, in order of time.
    rows: Vec<(u32, u32)>,
    fingerprint: RowFingerprint,
    digits: TimeDigits,
    slices: Vec<Range<usize>>,
}

impl MergePlan {
    /// The inputs' rows.
    pub(crate) fn fingerprint(&self) -> RowFingerprint {
        self.fingerprint
    }

    /// Which digits their times have.
    pub(crate) fn digits(&self) -> TimeDigits {
        self.digits
    }

    /// How many slices there are.
    pub(crate) fn slices(&self) -> usize {
        self.slices.len()
    }

    /// What to read for a slice.
    pub(crate) fn slice(&self, at: usize) -> Vec<Pick> {
        let slice = self.slices.get(at).and_then(|slice| self.rows.get(slice.clone()));
        // Rows come in order of time, and are read in the order of their row groups: a bit for each is enough to sort them.
        let mut chosen: Vec<Vec<u64>> = vec![Vec::new(); self.groups.len()];
        for (number, row) in slice.unwrap_or_default() {
            let (Some(bits), Some(group)) = (chosen.get_mut(place(*number)), self.groups.get(place(*number)))
            else {
                continue;
            };
            if bits.is_empty() {
                bits.resize(group.rows.div_ceil(WORD_BITS), 0);
            }
            if let Some(word) = bits.get_mut(place(*row) / WORD_BITS) {
                *word |= 1 << (place(*row) % WORD_BITS);
            }
        }
        let picks = self.groups.iter().zip(&chosen).filter(|(_, bits)| !bits.is_empty());
        let pick = |(group, bits): (&Group, &Vec<u64>)| Pick {
            input: group.input,
            row_group: group.number,
            selection: RowSelection::from_consecutive_ranges(rows_of(bits), group.rows),
        };
        picks.map(pick).collect()
    }
}

/// Bits of a word of a set of rows.
const WORD_BITS: usize = 64;

/// The rows whose bits are set.
fn rows_of(bits: &[u64]) -> impl Iterator<Item = Range<usize>> {
    (0..).step_by(WORD_BITS).zip(bits).flat_map(|(first, word)| {
        let mut left = *word;
        std::iter::from_fn(move || {
            let row = first + place(left.trailing_zeros());
            (left != 0).then(|| {
                left &= left - 1;
                row..row + 1
            })
        })
    })
}

fn place(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use arrow::array::Int64Array;

    use super::*;

    #[test]
    fn rows_are_cut_by_time_and_picked_where_they_lie() {
        let mut builder = MergePlanBuilder::with_room(0);
        builder.begin(0, 0);
        builder.add(&[5, 1, 3], &Int64Array::from(vec![50, 10, 30]));
        builder.begin(1, 4);
        builder.add(&[2, 4], &Int64Array::from(vec![20, 40]));
        let plan = builder.finish(3).unwrap();
        assert_eq!((plan.slices(), plan.fingerprint().rows), (2, 5));
        assert_eq!(plan.digits(), TimeDigits::Nanoseconds);
        let picks = |at| {
            let picks = plan.slice(at).into_iter().map(|pick| {
                let rows: Vec<_> = pick.selection.iter().map(|run| (run.skip, run.row_count)).collect();
                (pick.input, pick.row_group, rows)
            });
            picks.collect::<Vec<_>>()
        };
        assert_eq!(
            picks(0),
            [(0, 0, vec![(true, 1), (false, 1), (true, 1)]), (1, 4, vec![(false, 1), (true, 1)])]
        );
        assert_eq!(
            picks(1),
            [(0, 0, vec![(false, 1), (true, 1), (false, 1)]), (1, 4, vec![(true, 1), (false, 1)])]
        );
    }

    #[test]
    fn a_row_in_two_inputs_is_refused() {
        let mut builder = MergePlanBuilder::with_room(0);
        builder.begin(0, 0);
        builder.add(&[5, 6], &Int64Array::from(vec![50, 60]));
        builder.begin(1, 0);
        builder.add(&[6], &Int64Array::from(vec![60]));
        let error = builder.finish(3).unwrap_err();
        assert_eq!(error, RepeatedRow { row_id: 60, inputs: (0, 1) });
    }
}
