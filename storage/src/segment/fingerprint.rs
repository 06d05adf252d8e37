//! A sum over rows that does not depend on their order: equal before and after a merge, or rows were lost.

use arrow::array::Int64Array;

/// How many rows, and a sum of the hashes of their ids. Two sets of rows with equal fingerprints are the same, but
/// for an accident of one in 2^64.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RowFingerprint {
    /// Number of rows.
    pub rows: u64,
    /// Sum of the hashes of the row ids, modulo 2^64.
    pub hash_sum: u64,
}

impl RowFingerprint {
    /// Adds the rows with these ids.
    pub fn add(&mut self, row_ids: &Int64Array) {
        for id in row_ids.values() {
            self.rows = self.rows.wrapping_add(1);
            self.hash_sum = self.hash_sum.wrapping_add(xxhash_rust::xxh3::xxh3_64(&id.to_le_bytes()));
        }
    }

    /// The fingerprint of both sets of rows together.
    pub fn plus(self, other: Self) -> Self {
        Self {
            rows: self.rows.wrapping_add(other.rows),
            hash_sum: self.hash_sum.wrapping_add(other.hash_sum),
        }
    }
}
