//! The one error type of the write path. Each variant carries what an operator needs: what was wrong, where, and
//! what to do; [`Error::kind`] says what a program must do. No variant holds only a string.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ironbark_storage::ErrorKind;

use crate::wal::{Damage, Lsn};

/// What a client is told to wait where nothing better is known.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Result of the write path.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why the write path takes no more rows. Reads go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StopReason {
    /// A newer process took this data directory's identity.
    #[error("another server with a copy of this data directory has taken over; stop one of the two")]
    Fenced,
    /// Rows that are durable could not be put into memory: a bug. A restart replays them.
    #[error(
        "durable rows could not be buffered; restart the server, which replays them, and report this as a bug"
    )]
    Unbuffered,
}

/// Everything that can go wrong on the write path.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A disk operation of the WAL failed before it changed anything; nothing of the request was stored.
    #[error("cannot {operation} {}: {source}", path.display())]
    WalIo {
        /// What was tried, as a verb phrase.
        operation: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// What the operating system said.
        #[source]
        source: Arc<io::Error>,
    },
    /// A write or fsync of the WAL failed, now or earlier. Whether the records that were then in flight are on disk
    /// is unknown, and a repeated fsync would report success without having written, so the WAL takes no more writes.
    #[error(
        "the WAL stopped taking writes: it could not {operation} {}: {source}; records in flight then may or may \
         not be stored. Check the disk and restart: recovery keeps every acknowledged record",
        path.display()
    )]
    WalPoisoned {
        /// What failed, as a verb phrase.
        operation: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// What the operating system said.
        #[source]
        source: Arc<io::Error>,
    },
    /// There is no room for WAL records. Nothing of the request was stored; appends succeed again by themselves once
    /// there is space.
    #[error(
        "the disk is full: the WAL in {} needs {needed_bytes} bytes (reserve included) and {free_bytes} are free. \
         Free or add disk space; reads go on and appends resume by themselves",
        path.display()
    )]
    WalDiskFull {
        /// The WAL directory.
        path: PathBuf,
        /// Bytes free when it was checked.
        free_bytes: u64,
        /// Bytes needed, the configured reserve included.
        needed_bytes: u64,
    },
    /// The WAL is damaged at a place that a crash cannot explain; acknowledged records are affected.
    #[error(
        "the WAL is damaged: {} at byte {offset}: {damage}; expected record {expected_lsn}. Restore the file from a \
         copy, or start with --quarantine-wal, which sets damaged files aside in {}, keeps every intact record and \
         reports what is lost",
        path.display(), quarantine.display()
    )]
    WalDamaged {
        /// The damaged (or missing) file.
        path: PathBuf,
        /// Byte offset of the first damaged byte range in it.
        offset: u64,
        /// What is wrong there.
        damage: Damage,
        /// The record that should have been there.
        expected_lsn: Lsn,
        /// Where `--quarantine-wal` would put the file.
        quarantine: PathBuf,
    },
    /// The WAL was written by a newer release.
    #[error(
        "WAL file {} has format version {found}, this release reads versions up to {supported}: run the release that \
         wrote it, or a newer one",
        path.display()
    )]
    WalNewerFormat {
        /// The file.
        path: PathBuf,
        /// The version in the file.
        found: u32,
        /// The newest version that this code reads.
        supported: u32,
    },
    /// The claimed epoch is older than the log: two rows would get the same id.
    #[error(
        "the WAL in {} was written under epoch {last}, and this start claimed epoch {claimed}: the data directory \
         belongs to another object store. Start it with the store that it was used with",
        path.display()
    )]
    WalEpochTooOld {
        /// The WAL directory.
        path: PathBuf,
        /// The newest epoch in it.
        last: u32,
        /// The epoch of this start.
        claimed: u32,
    },
    /// The data directory is an old copy of one that went on without it: what was flushed of its rows is forgotten.
    #[error(
        "{} is an old copy: its WAL holds rows of {table} from epoch {epoch}, but another copy of this data directory \
         went on, stored such rows and has none left before epoch {floor}; replayed, rows could be visible twice. \
         Start the server with the newer copy. If it is lost, or to go on with this one, move {} away and \
         keep it: rows that only this WAL holds are not replayed then",
        dir.display(), dir.join(crate::home::WAL_DIR).display()
    )]
    OldCopy {
        /// The data directory.
        dir: PathBuf,
        /// The table of the rows.
        table: String,
        /// The epoch under which they were written.
        epoch: u32,
        /// The oldest epoch of which the manifest knows what was flushed.
        floor: u32,
    },
    /// Appends arrive faster than the disk takes them. Nothing of the request was stored.
    #[error(
        "the WAL queue is full: {queued_bytes} of {limit_bytes} bytes wait for the disk; retry in {retry_after_ms} ms"
    )]
    WalQueueFull {
        /// Bytes that wait.
        queued_bytes: u64,
        /// The configured limit in bytes.
        limit_bytes: u64,
        /// How long a client should wait, in milliseconds.
        retry_after_ms: u64,
    },
    /// One record is larger than the format allows.
    #[error("a WAL record of {bytes} bytes is over the limit of {limit_bytes} bytes: send smaller batches")]
    WalRecordTooLarge {
        /// Size of the record.
        bytes: u64,
        /// The limit of the format.
        limit_bytes: u64,
    },
    /// The WAL was closed, or its writer thread ended before it answered.
    #[error("the WAL is closed: the server is shutting down, or its writer thread ended; see the log")]
    WalClosed,
    /// An intact WAL record does not hold what it should: a bug, or another release's record.
    #[error("WAL record {lsn} in {} cannot be read: {reason}; run the release that wrote it", dir.display())]
    WalRecord {
        /// The WAL directory.
        dir: PathBuf,
        /// The record.
        lsn: Lsn,
        /// What is wrong in it.
        reason: String,
    },
    /// A file of the data directory could not be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What the operating system said.
        #[source]
        source: io::Error,
    },
    /// Another process has the data directory.
    #[error(
        "the data directory {} is in use by {}: stop that process, or give this one another --data-dir",
        dir.display(), pid.map_or_else(|| "another process".to_owned(), |pid| format!("process {pid}"))
    )]
    Locked {
        /// The directory.
        dir: PathBuf,
        /// The process, if it wrote its number.
        pid: Option<u32>,
    },
    /// The identity file of the data directory cannot be read or written.
    #[error("{}: {source}; restore the file from a copy", path.display())]
    Identity {
        /// The file.
        path: PathBuf,
        /// What is wrong with its JSON.
        #[source]
        source: serde_json::Error,
    },
    /// A file of the data directory was written by a newer release.
    #[error("{} has format version {found}, this release reads up to {supported}: upgrade Ironbark", path.display())]
    NewerFormat {
        /// The file.
        path: PathBuf,
        /// The version found.
        found: u32,
        /// The newest version that this code reads.
        supported: u32,
    },
    /// An idempotency file is damaged.
    #[error(
        "{} is damaged at byte {offset}: restore it from a copy, or move it away: repeated requests of the last day \
         may then be stored twice",
        path.display()
    )]
    KeyFileDamaged {
        /// The file.
        path: PathBuf,
        /// Byte offset.
        offset: usize,
    },
    /// Rows in memory have reached the budget. Nothing of the request was stored.
    #[error(
        "rows waiting for their segments take {used_bytes} of {limit_bytes} bytes of memory; retry in {retry_after_ms} ms"
    )]
    MemoryFull {
        /// Bytes in use.
        used_bytes: u64,
        /// The configured limit in bytes.
        limit_bytes: u64,
        /// How long a client should wait, in milliseconds.
        retry_after_ms: u64,
    },
    /// Too many partitions wait for their segments. Nothing of the request was stored.
    #[error(
        "{open} partitions are open, the limit is {limit}; retry in {retry_after_ms} ms, and send rows in time order"
    )]
    TooManyPartitions {
        /// Partitions in memory.
        open: usize,
        /// The limit.
        limit: usize,
        /// How long a client should wait, in milliseconds.
        retry_after_ms: u64,
    },
    /// One append touches too many days.
    #[error(
        "the rows of one request fall on {days} days, the limit is {limit}: send rows in time order, fewer at once"
    )]
    TooManyDays {
        /// Days touched.
        days: usize,
        /// The limit.
        limit: usize,
    },
    /// One append has more rows than a record can count.
    #[error("one request has {rows} rows, the limit is {}: send fewer at once", u32::MAX)]
    BatchTooLarge {
        /// Rows in the request.
        rows: usize,
    },
    /// Too many tables are in use at this moment. Nothing of the request was stored.
    #[error(
        "{limit} tables of this server are being read or have rows in memory, and no more can be; retry in a few \
         seconds, when rows have come to their segments. If that does not help, write to fewer tables at once"
    )]
    TooManyTables {
        /// The limit.
        limit: usize,
    },
    /// An idempotency key is not of the form that one must have.
    #[error(
        "the idempotency key has {bytes} bytes: it must be 1 to {limit} visible ASCII characters without spaces"
    )]
    InvalidKey {
        /// Its length in bytes.
        bytes: usize,
        /// The longest that is allowed, in bytes.
        limit: usize,
    },
    /// An idempotency key was used before with another body.
    #[error(
        "the idempotency key {key:?} was used for another request to {table}: use a new key for each request"
    )]
    KeyReused {
        /// The key.
        key: String,
        /// Tenant and table.
        table: String,
    },
    /// More idempotency keys are alive than may be remembered. Nothing of the request was stored.
    #[error(
        "{limit} idempotency keys are remembered and no more can be: a retry helps only once older keys are \
         forgotten. Send larger batches under fewer keys, or raise engine.idempotency_keys_max"
    )]
    TooManyKeys {
        /// The configured limit.
        limit: usize,
    },
    /// A setting cannot work.
    #[error("engine.{key} = {value}: {reason}")]
    InvalidSetting {
        /// Its name in the configuration, without its table; values are in bytes and milliseconds.
        key: &'static str,
        /// Its value.
        value: u64,
        /// What it must be, with an example.
        reason: &'static str,
    },
    /// The write path takes no more rows until the process is restarted.
    #[error("the write path has stopped: {0}")]
    Stopped(StopReason),
    /// A background task ended by a panic: a bug.
    #[error("the {task} task ended unexpectedly; see the log, and report this as a bug")]
    TaskFailed {
        /// Which task.
        task: &'static str,
    },
    /// The layer below failed.
    #[error(transparent)]
    Storage(#[from] ironbark_storage::Error),
}

impl Error {
    /// What the caller must do about it.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::WalIo { .. }
            | Self::WalDiskFull { .. }
            | Self::WalQueueFull { .. }
            | Self::MemoryFull { .. }
            | Self::TooManyPartitions { .. }
            | Self::TooManyTables { .. }
            | Self::TooManyKeys { .. } => ErrorKind::Retry,
            Self::WalRecordTooLarge { .. }
            | Self::TooManyDays { .. }
            | Self::BatchTooLarge { .. }
            | Self::InvalidKey { .. }
            | Self::InvalidSetting { .. } => ErrorKind::Request,
            Self::KeyReused { .. } => ErrorKind::Conflict,
            Self::WalDamaged { .. }
            | Self::WalRecord { .. }
            | Self::KeyFileDamaged { .. }
            | Self::Identity { .. } => ErrorKind::Corrupt,
            Self::WalNewerFormat { .. } | Self::NewerFormat { .. } => ErrorKind::TooNew,
            Self::WalPoisoned { .. }
            | Self::WalEpochTooOld { .. }
            | Self::OldCopy { .. }
            | Self::WalClosed
            | Self::Io { .. }
            | Self::Locked { .. }
            | Self::Stopped(_)
            | Self::TaskFailed { .. } => ErrorKind::Fatal,
            Self::Storage(error) => error.kind(),
        }
    }

    /// How long a client should wait before it tries again, where that is known.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::WalQueueFull { retry_after_ms, .. }
            | Self::MemoryFull { retry_after_ms, .. }
            | Self::TooManyPartitions { retry_after_ms, .. } => Some(Duration::from_millis(*retry_after_ms)),
            _ if self.kind() == ErrorKind::Retry => Some(RETRY_AFTER),
            _ => None,
        }
    }
}
