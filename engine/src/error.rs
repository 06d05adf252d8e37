//! The one error type of the write path. Each variant carries what an operator needs: what was wrong, where, and
//! what to do; [`Error::kind`] says what a program must do. No variant holds only a string.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use ironbark_storage::ErrorKind;

use crate::wal::{Damage, Lsn};

/// Result of the write path.
pub type Result<T, E = Error> = std::result::Result<T, E>;

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
}

impl Error {
    /// What the caller must do about it.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::WalIo { .. } | Self::WalDiskFull { .. } | Self::WalQueueFull { .. } => ErrorKind::Retry,
            Self::WalRecordTooLarge { .. } => ErrorKind::Request,
            Self::WalDamaged { .. } => ErrorKind::Corrupt,
            Self::WalNewerFormat { .. } => ErrorKind::TooNew,
            Self::WalPoisoned { .. } | Self::WalEpochTooOld { .. } | Self::WalClosed => ErrorKind::Fatal,
        }
    }
}
