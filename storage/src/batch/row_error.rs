//! Why a row is refused. A refused row never costs the rows around it.

use crate::Timestamp;

/// Why a row was refused, with the value and the rule, to be shown to whoever sent it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RowError {
    /// Its timestamp lies before the window.
    #[error(
        "timestamp {timestamp} is too old: the earliest accepted is {earliest}; if it is an epoch, check its unit"
    )]
    TooOld {
        /// The row's timestamp.
        timestamp: Timestamp,
        /// The first that is accepted.
        earliest: Timestamp,
    },
    /// Its timestamp lies after the window.
    #[error(
        "timestamp {timestamp} is too far in the future: the latest accepted is {latest}; check the sender's clock"
    )]
    TooNew {
        /// The row's timestamp.
        timestamp: Timestamp,
        /// The last that is accepted.
        latest: Timestamp,
    },
    /// A field is longer than its limit.
    #[error("{field} has {bytes} bytes, the limit is {bytes_max}: shorten it or put the text into message")]
    TooLong {
        /// Which field.
        field: &'static str,
        /// Its length in bytes.
        bytes: usize,
        /// The limit in bytes.
        bytes_max: usize,
    },
    /// The message is longer than its limit.
    #[error("message has {bytes} bytes, the limit is {bytes_max}: cut it into several records")]
    MessageTooLong {
        /// Its length in bytes.
        bytes: usize,
        /// The limit in bytes.
        bytes_max: usize,
    },
    /// A tag's key is longer than its limit.
    #[error(
        "tag key {start:?}… has {bytes} bytes, the limit is {bytes_max}: put long text into the tag's value"
    )]
    TagKeyTooLong {
        /// How the key begins.
        start: String,
        /// Its length in bytes.
        bytes: usize,
        /// The limit in bytes.
        bytes_max: usize,
    },
    /// The row's tags are together longer than their limit.
    #[error("the tags have {bytes} bytes, the limit is {bytes_max} for a record: send fewer or shorter ones")]
    TagsTooLong {
        /// Their length in bytes, keys and values.
        bytes: usize,
        /// The limit in bytes.
        bytes_max: usize,
    },
    /// The row has more tags than a row may have.
    #[error("{count} tags, the limit is {count_max} for a record: keep nested data as one JSON string")]
    TooManyTags {
        /// How many keys.
        count: usize,
        /// The limit.
        count_max: usize,
    },
    /// The batch being built is full; the row fits into the next one.
    #[error("the batch has reached {bytes_max} bytes: send this record in a further request")]
    BatchFull {
        /// The limit in bytes.
        bytes_max: usize,
    },
}
