//! The write-ahead log: an append becomes durable here before it is acknowledged. Payloads are opaque bytes.
//!
//! ```text
//!  append ─┐                  writer thread
//!  append ─┼─► bounded queue ─► one commit: write all ─► fdatasync ─► CommitSink (LSN order) ─► futures complete
//!  append ─┘    (bytes)          the queue fills while the fsync runs; the next commit takes it all (≤ 1 MiB)
//!
//!  wal/00000000000000000007.wal  …08.wal  …09.wal ◄── active, preallocated
//!      └──────── sealed ───────────────┘      truncate_before(lsn) removes whole files from the front
//!
//!  restart:  recover ─► every intact record, in order ─► Recovery ─► start ─► a new file, never the old one
//! ```
//!
//! - [`recover`] reads and checks without changing anything; [`Recovery::start`] repairs the tail, opens a new file
//!   and starts the writer thread.
//! - LSNs are consecutive over restarts. Row sequence numbers are consecutive within an epoch: each record gets
//!   `first_seq`, and the next record's is larger by `rows`. Both are assigned by the writer thread, in the order of
//!   the calls to [`Wal::append`], and stored in the record.
//! - Acked means durable: the future of an append completes only after the fsync, and only after the
//!   [`CommitSink`] has seen the record. The sink sees all records in LSN order, without a hole.
//! - After a failed write or fsync the log is poisoned for good: a second fsync would report a success that is none.
//! - One `Wal` owns its directory; the caller holds the lock that makes this true.

mod files;
mod format;
mod group_commit;
mod reader;
mod recovery;
mod repair;
mod truncation;
mod walk;
mod writer;

#[cfg(test)]
mod tests;

use std::fmt;
use std::path::PathBuf;

use bytes::Bytes;

pub use format::{Lsn, Position, RECORD_BYTES_MAX};
pub use group_commit::{Appended, CommitSink, CommittedRecord, Wal};
pub use recovery::{Loss, OnDamage, RecoveredRecord, Recovery, RecoveryReport, TornTail, recover};

/// Payload bytes that one commit collects; a larger single record is a commit of its own.
pub const COMMIT_BYTES_MAX: u64 = 1024 * 1024;
/// Records that one commit collects.
pub const COMMIT_RECORDS_MAX: usize = 4096;
/// Size to which a WAL file is preallocated, unless configured.
pub const FILE_BYTES_DEFAULT: u64 = 64 * 1024 * 1024;
/// Smallest configurable file.
pub const FILE_BYTES_MIN: u64 = 8 * 1024;
/// Payload bytes that may wait for the disk, unless configured.
pub const QUEUE_BYTES_DEFAULT: u64 = 64 * 1024 * 1024;
/// Bytes that a new WAL file must leave free on the disk, unless configured.
pub const RESERVE_BYTES_DEFAULT: u64 = 256 * 1024 * 1024;
/// What a client that met a full queue is told to wait, in milliseconds.
pub const QUEUE_RETRY_MS: u64 = 200;

/// When commits are synced to the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Fsync {
    /// Before every acknowledgement. The only setting that keeps acknowledged rows.
    #[default]
    Always,
    /// Never. An acknowledged row is lost with the power, and the log may be refused as damaged afterwards. For
    /// benchmarks and tests only.
    DangerouslyNever,
}

/// How a WAL is kept.
#[derive(Debug, Clone)]
pub struct WalOptions {
    /// The directory of the WAL files; created if missing, its parent must exist.
    pub dir: PathBuf,
    /// Size to which files are preallocated, in bytes; at least [`FILE_BYTES_MIN`].
    pub file_bytes: u64,
    /// Payload bytes that may wait for the disk before appends are refused. One record is always admitted.
    pub queue_bytes_max: u64,
    /// Bytes that a new file must leave free on the disk.
    pub reserve_bytes: u64,
    /// When commits are synced.
    pub fsync: Fsync,
}

impl WalOptions {
    /// The defaults, in `dir`.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self {
            dir: dir.into(),
            file_bytes: FILE_BYTES_DEFAULT,
            queue_bytes_max: QUEUE_BYTES_DEFAULT,
            reserve_bytes: RESERVE_BYTES_DEFAULT,
            fsync: Fsync::Always,
        }
    }
}

/// Who writes from now on.
#[derive(Debug, Clone, Copy)]
pub struct StartAt {
    /// The writer's epoch, stored in every file that it starts. Row sequence numbers start at 0 in a new epoch. An
    /// epoch older than the log's is refused with [`crate::Error::WalEpochTooOld`].
    pub epoch: u32,
    /// A random number, from the injected entropy. Those who send logs must not know it: with it, a message could be
    /// made to look like a record.
    pub salt: u64,
}

/// One record to append.
#[derive(Debug, Clone, Default)]
pub struct NewRecord {
    /// What the payload is; the meaning belongs to the caller.
    pub kind: u8,
    /// How many row sequence numbers it takes.
    pub rows: u32,
    /// The payload, in pieces that are written one after the other.
    pub payload: Vec<Bytes>,
}

impl NewRecord {
    /// Payload bytes.
    pub fn payload_bytes(&self) -> u64 {
        self.payload.iter().map(|piece| piece.len() as u64).fold(0, u64::saturating_add)
    }
}

/// What a durable record was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Committed {
    /// Its place in the log.
    pub lsn: Lsn,
    /// The sequence number of its first row; the others follow.
    pub first_seq: u64,
}

/// What can be wrong with a WAL file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Damage {
    /// The file is missing although later ones exist.
    FileMissing,
    /// Neither copy of the file header is intact.
    FileHeader,
    /// The file header belongs to another file.
    FileNumber {
        /// The number in the header.
        found: u64,
    },
    /// There is no intact record header, yet later records are intact.
    RecordHeader,
    /// The payload does not match its checksum, yet later records are intact.
    Payload,
    /// An intact record or file is not the one that must follow.
    Order {
        /// The record that was found.
        found: Lsn,
    },
    /// The file is of an older epoch than the one before it.
    Epoch {
        /// The epoch in the header.
        found: u32,
    },
    /// The file ends before the records that its successor continues from.
    Ends {
        /// Where the next file starts.
        next: Lsn,
    },
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::FileMissing => f.write_str("the file is missing"),
            Self::FileHeader => f.write_str("both copies of the file header are damaged"),
            Self::FileNumber { found } => write!(f, "the header is that of file number {found}"),
            Self::RecordHeader => f.write_str("no record header, and intact records follow"),
            Self::Payload => f.write_str("a record does not match its checksum, and intact records follow"),
            Self::Order { found } => write!(f, "record {found} is out of order"),
            Self::Epoch { found } => {
                write!(f, "the file is of epoch {found}, the one before it of a later one")
            }
            Self::Ends { next } => write!(f, "the file ends, and the next one starts with record {next}"),
        }
    }
}
