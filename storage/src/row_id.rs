//! Row ids: the name of a row for ever, given once in the WAL.
//!
//! ```text
//! bit 63   62 ........ 43   42 ................. 0
//!      0   writer epoch     sequence in that epoch
//! ```
//!
//! An epoch is claimed in the object store by each start of a writer, so no two rows of a store share an id.

use crate::{Error, Result};

/// Bits of a row id that count rows within an epoch.
pub const SEQUENCE_BITS: u32 = 43;
/// The largest epoch.
pub const EPOCH_MAX: u32 = (1 << 20) - 1;
/// The largest sequence.
pub const SEQUENCE_MAX: u64 = (1 << SEQUENCE_BITS) - 1;

/// The claim of one start of a writer. Invariant: at most [`EPOCH_MAX`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct Epoch(u32);

impl Epoch {
    /// From a number. Fails beyond [`EPOCH_MAX`].
    pub fn new(epoch: u32) -> Result<Self> {
        if epoch > EPOCH_MAX {
            return Err(Error::Limit {
                what: "the number of writer starts",
                limit: u64::from(EPOCH_MAX),
                unit: "epochs",
                advice: "move the data to a new store",
            });
        }
        Ok(Self(epoch))
    }

    /// The number.
    pub const fn get(self) -> u32 {
        self.0
    }
}

/// A row's id. Invariant: not negative.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct RowId(i64);

impl RowId {
    /// The id of the `sequence`-th row of an epoch. Fails beyond [`SEQUENCE_MAX`].
    pub fn new(epoch: Epoch, sequence: u64) -> Result<Self> {
        let limit = || Error::Limit {
            what: "the number of rows of one writer start",
            limit: SEQUENCE_MAX,
            unit: "rows",
            advice: "restart the server: it then claims a new epoch",
        };
        if sequence > SEQUENCE_MAX {
            return Err(limit());
        }
        let bits = (u64::from(epoch.0) << SEQUENCE_BITS) | sequence;
        i64::try_from(bits).map(Self).map_err(|_| limit())
    }

    /// From the value of a `_row_id` column.
    pub fn from_i64(id: i64) -> Option<Self> {
        (id >= 0).then_some(Self(id))
    }

    /// The value of the `_row_id` column.
    pub const fn get(self) -> i64 {
        self.0
    }

    /// The epoch that gave it.
    pub fn epoch(self) -> Epoch {
        Epoch(u32::try_from(self.0 >> SEQUENCE_BITS).unwrap_or(EPOCH_MAX))
    }

    /// Its place among the rows of its epoch.
    pub fn sequence(self) -> u64 {
        self.0.unsigned_abs() & SEQUENCE_MAX
    }
}

/// Row ids `first..=last` of one epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RowIdRange {
    /// First id.
    pub first: RowId,
    /// Last id.
    pub last: RowId,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_keep_epoch_and_sequence() {
        let id = RowId::new(Epoch::new(EPOCH_MAX).unwrap(), SEQUENCE_MAX).unwrap();
        assert_eq!(id.get(), i64::MAX);
        assert_eq!((id.epoch().get(), id.sequence()), (EPOCH_MAX, SEQUENCE_MAX));
        let id = RowId::new(Epoch::new(3).unwrap(), 5).unwrap();
        assert_eq!((id.epoch().get(), id.sequence()), (3, 5));
        assert!(RowId::new(Epoch::new(3).unwrap(), SEQUENCE_MAX + 1).is_err());
        assert!(Epoch::new(EPOCH_MAX + 1).is_err());
    }
}
