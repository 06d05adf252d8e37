//! How large a client's batch becomes as rows of text, and how it is cut into pieces that are taken one by one.
//!
//! ```text
//!   batch ─► estimate ≤ PIECE_BYTES_MAX ─► one piece
//!              └─ more ─► halves, each estimated again … ─► pieces, in order
//!                           └─ one row alone above ROW_BYTES_MAX ─► a piece that is refused
//! ```
//!
//! A dictionary or a run stands for a value many times, so a small message can become any number of bytes: the
//! estimate goes through the columns' encodings and allocates nothing. It depends on the batch alone, not on the
//! clock or on what is stored: a batch that is sent again is cut into the same pieces, which idempotency keys rely on.

use arrow::array::{
    Array, AsArray as _, DictionaryArray, OffsetSizeTrait, RecordBatch, RunArray, UnionArray,
    downcast_dictionary_array, downcast_run_array,
};
use arrow::datatypes::{ArrowDictionaryKeyType, ArrowNativeType as _, DataType, FieldRef, RunEndIndexType};

use super::arrow::BadBatch;

/// Most bytes that the rows of one piece are estimated to take.
pub(crate) const PIECE_BYTES_MAX: u64 = 32 << 20;
/// Most bytes that a single row is estimated to take.
pub(crate) const ROW_BYTES_MAX: u64 = 64 << 20;
/// Most bytes that the rows of one batch are estimated to take.
pub(crate) const EXPANDED_BYTES_MAX: u64 = 1 << 30;

/// What a row takes besides its values: timestamp, offsets, validity.
const ROW_BYTES: u64 = 64;
/// What a value takes besides its own bytes. It also bounds the steps of an estimate.
const VALUE_BYTES: u64 = 8;
/// What a number, a point in time or the like takes as text.
const NUMBER_BYTES: u64 = 32;

/// Rows of a batch that are taken together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Piece {
    /// The first row, from 0.
    pub(crate) from: usize,
    /// How many rows.
    pub(crate) rows: usize,
    /// Whether it is a single row that is too large.
    pub(crate) too_large: bool,
}

/// Cuts a batch into pieces, in order. There is always at least one.
pub(crate) fn pieces(batch: &RecordBatch) -> Result<Vec<Piece>, BadBatch> {
    pieces_up_to(batch, PIECE_BYTES_MAX, ROW_BYTES_MAX, EXPANDED_BYTES_MAX)
}

fn pieces_up_to(batch: &RecordBatch, piece: u64, row: u64, whole: u64) -> Result<Vec<Piece>, BadBatch> {
    if batch.num_rows() > super::arrow::ROWS_MAX {
        return Err(BadBatch::TooManyRows { rows: batch.num_rows() });
    }
    // Most batches are one piece, and are gone through once.
    if fits(batch, 0, batch.num_rows(), piece) {
        return Ok(vec![Piece { from: 0, rows: batch.num_rows(), too_large: false }]);
    }
    if !fits(batch, 0, batch.num_rows(), whole) {
        return Err(BadBatch::Expanded { bytes_max: whole });
    }
    let mut pieces = Vec::new();
    let mut open = vec![(0, batch.num_rows())];
    while let Some((from, rows)) = open.pop() {
        if fits(batch, from, rows, piece) {
            pieces.push(Piece { from, rows, too_large: false });
        } else if rows < 2 {
            pieces.push(Piece { from, rows, too_large: !fits(batch, from, rows, row) });
        } else {
            let half = rows / 2;
            open.push((from + half, rows - half));
            open.push((from, half));
        }
    }
    Ok(pieces)
}

/// Whether rows are estimated to take at most so many bytes.
fn fits(batch: &RecordBatch, from: usize, rows: usize, bytes_max: u64) -> bool {
    let mut meter = Meter { left: bytes_max };
    let fields = batch.schema_ref().fields().iter().zip(batch.columns());
    let mut columns = fields.map(|(field, column)| meter.column(field, column, from, from + rows));
    let columns = columns.all(|column| column.is_some());
    columns && meter.spend(rows as u64, ROW_BYTES).is_some()
}

/// Bytes that may still be spent. `None` of its functions means that they are not enough.
struct Meter {
    left: u64,
}

impl Meter {
    fn spend(&mut self, count: u64, each: u64) -> Option<()> {
        self.left = self.left.checked_sub(count.checked_mul(each)?)?;
        Some(())
    }

    /// A column of the batch or of a struct: its values, and its name as the key of a tag. A NULL is a tag that is
    /// not there.
    fn column(&mut self, field: &FieldRef, array: &dyn Array, from: usize, to: usize) -> Option<()> {
        if array.data_type().is_null() {
            return Some(());
        }
        let rows = to.checked_sub(from)?;
        let nulls = array.nulls().map_or(0, |nulls| nulls.slice(from, rows).null_count());
        self.spend((rows - nulls) as u64, field.name().len() as u64)?;
        match flat_bytes(array.data_type()) {
            Some(bytes) => self.spend((rows - nulls) as u64, VALUE_BYTES + bytes),
            None => self.values(array, from, to),
        }
    }

    /// The values `from..to` of an array.
    fn values(&mut self, array: &dyn Array, from: usize, to: usize) -> Option<()> {
        let count = to.checked_sub(from)?;
        self.spend(count as u64, VALUE_BYTES + flat_bytes(array.data_type()).unwrap_or(0))?;
        match array.data_type() {
            DataType::Utf8 => self.text(array.as_string::<i32>().value_offsets(), 1, from, to),
            DataType::LargeUtf8 => self.text(array.as_string::<i64>().value_offsets(), 1, from, to),
            // Bytes may be written as two hexadecimal digits each.
            DataType::Binary => self.text(array.as_binary::<i32>().value_offsets(), 2, from, to),
            DataType::LargeBinary => self.text(array.as_binary::<i64>().value_offsets(), 2, from, to),
            DataType::Utf8View => self.views(array.as_string_view().views(), 1, from, to),
            DataType::BinaryView => self.views(array.as_binary_view().views(), 2, from, to),
            DataType::FixedSizeBinary(bytes) => {
                self.spend(count as u64, u64::try_from(*bytes).ok()?.checked_mul(2)?)
            }
            DataType::Struct(fields) => {
                for (field, child) in fields.iter().zip(array.as_struct().columns()) {
                    self.column(field, child, from, to)?;
                }
                Some(())
            }
            DataType::Map(..) => {
                let map = array.as_map();
                let (from, to) = span(map.value_offsets(), from, to)?;
                self.values(map.entries(), from, to)
            }
            DataType::List(_) => {
                let list = array.as_list::<i32>();
                let (from, to) = span(list.value_offsets(), from, to)?;
                self.values(list.values(), from, to)
            }
            DataType::LargeList(_) => {
                let list = array.as_list::<i64>();
                let (from, to) = span(list.value_offsets(), from, to)?;
                self.values(list.values(), from, to)
            }
            DataType::FixedSizeList(_, size) => {
                let size = usize::try_from(*size).ok()?;
                let (from, to) = (from.checked_mul(size)?, to.checked_mul(size)?);
                self.values(array.as_fixed_size_list().values(), from, to)
            }
            DataType::ListView(_) => {
                let list = array.as_list_view::<i32>();
                (from..to).try_for_each(|row| self.view(list.values(), list.offsets(), list.sizes(), row))
            }
            DataType::LargeListView(_) => {
                let list = array.as_list_view::<i64>();
                (from..to).try_for_each(|row| self.view(list.values(), list.offsets(), list.sizes(), row))
            }
            DataType::Union(..) => self.union(array.as_any().downcast_ref()?, from, to),
            DataType::Dictionary(..) => downcast_dictionary_array!(
                array => self.dictionary(array, from, to),
                _ => None
            ),
            DataType::RunEndEncoded(..) => downcast_run_array!(
                array => self.runs(array, from, to),
                _ => None
            ),
            _ => Some(()),
        }
    }

    fn text<O: OffsetSizeTrait>(&mut self, offsets: &[O], each: u64, from: usize, to: usize) -> Option<()> {
        let (from, to) = span(offsets, from, to)?;
        self.spend(to.checked_sub(from)? as u64, each)
    }

    /// The lowest 32 bits of a view are its length.
    fn views(&mut self, views: &[u128], each: u64, from: usize, to: usize) -> Option<()> {
        let length = |view: &u128| u64::try_from(view & u128::from(u32::MAX)).unwrap_or(u64::MAX);
        let bytes = views.get(from..to)?.iter().map(length).fold(0, u64::saturating_add);
        self.spend(bytes, each)
    }

    fn view<O: OffsetSizeTrait>(
        &mut self,
        values: &dyn Array,
        offsets: &[O],
        sizes: &[O],
        row: usize,
    ) -> Option<()> {
        let from = offsets.get(row)?.as_usize();
        self.values(values, from, from.checked_add(sizes.get(row)?.as_usize())?)
    }

    fn union(&mut self, union: &UnionArray, from: usize, to: usize) -> Option<()> {
        (from..to).try_for_each(|row| {
            let at = union.value_offset(row);
            self.values(union.child(union.type_id(row)), at, at.checked_add(1)?)
        })
    }

    fn dictionary<K: ArrowDictionaryKeyType>(
        &mut self,
        array: &DictionaryArray<K>,
        from: usize,
        to: usize,
    ) -> Option<()> {
        (from..to).try_for_each(|row| match array.key(row) {
            Some(key) => self.values(array.values(), key, key.checked_add(1)?),
            None => Some(()),
        })
    }

    fn runs<R: RunEndIndexType>(&mut self, array: &RunArray<R>, from: usize, to: usize) -> Option<()> {
        let ends = array.run_ends();
        let mut row = from;
        while row < to {
            let run = ends.get_physical_index(row);
            let end = ends.values().get(run)?.as_usize().checked_sub(ends.offset())?.min(to);
            let mut one = Self { left: self.left };
            one.values(array.values(), run, run.checked_add(1)?)?;
            self.spend(end.checked_sub(row).filter(|rows| *rows > 0)? as u64, self.left - one.left)?;
            row = end;
        }
        Some(())
    }
}

/// What a value takes as text, where its type tells; `None` where the value does.
fn flat_bytes(data_type: &DataType) -> Option<u64> {
    match data_type {
        DataType::Decimal256(..) => Some(2 * NUMBER_BYTES + NUMBER_BYTES / 2),
        DataType::Decimal128(..) | DataType::Interval(_) => Some(2 * NUMBER_BYTES),
        DataType::Null | DataType::Boolean => Some(0),
        data_type if data_type.is_primitive() => Some(NUMBER_BYTES),
        _ => None,
    }
}

fn span<O: OffsetSizeTrait>(offsets: &[O], from: usize, to: usize) -> Option<(usize, usize)> {
    Some((offsets.get(from)?.as_usize(), offsets.get(to)?.as_usize()))
}

#[cfg(test)]
mod tests;
