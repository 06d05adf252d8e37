//! Partitions: the rows of one table that fall on one UTC day by their timestamp.

use std::fmt;

use crate::{Day, TableRef};

/// A table's rows of one UTC day. Every segment lies in exactly one partition.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Partition {
    /// The table.
    pub table: TableRef,
    /// The day of the rows' timestamps.
    pub day: Day,
}

impl fmt::Display for Partition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.table, self.day)
    }
}
