//! Writes commits to the active file: framing, preallocation, rotation, fsync, and what follows when one of them
//! fails. Synchronous and single-threaded, so that tests can stop it at every disk operation; the queue and the thread
//! are in `group_commit`.
//!
//! ```text
//!            ┌──────────────── ENOSPC before a byte was written ──► refuse, stay usable
//! make_room ─┤                                        ENOSPC while writing ──► cut the file back, sync, refuse
//!            └─► write_records ─► sync ─► advance      any other failure   ──► poisoned for good
//! ```

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use crc32c::crc32c_append;
use parking_lot::Mutex;
use tokio::time::Instant;

use super::files::{LiveFiles, SealedFile, file_path};
use super::format::{
    self, DATA_START_BYTES, FileHeader, Position, RECORD_ALIGN_BYTES, RecordForm, RecordHeader, framed_bytes,
};
use super::{Committed, FILE_BYTES_MIN, Fsync, NewRecord, StartAt, WalOptions};
use crate::disk::{Disk, DiskFile, is_full};
use crate::{Error, Result};

/// Payload pieces from this size on are written from where they lie; smaller ones are collected first.
const DIRECT_WRITE_BYTES_MIN: usize = 256 * 1024;

/// A disk operation that failed.
#[derive(Debug, Clone)]
pub(crate) struct Fault {
    pub(crate) operation: &'static str,
    pub(crate) path: PathBuf,
    pub(crate) source: Arc<io::Error>,
}

impl Fault {
    pub(crate) fn new(operation: &'static str, path: &Path, source: io::Error) -> Self {
        Self { operation, path: path.to_owned(), source: Arc::new(source) }
    }

    pub(crate) fn into_io(self) -> Error {
        Error::WalIo { operation: self.operation, path: self.path, source: self.source }
    }

    pub(crate) fn into_poisoned(self) -> Error {
        Error::WalPoisoned { operation: self.operation, path: self.path, source: self.source }
    }
}

/// Why a commit failed; cloned for each of its records.
#[derive(Debug, Clone)]
pub(crate) enum CommitFailure {
    /// Nothing was written and nothing is in doubt.
    Io(Fault),
    /// Nothing was written; later commits may succeed.
    DiskFull { path: PathBuf, free_bytes: u64, needed_bytes: u64 },
    /// In doubt; no later commit will be tried.
    Poisoned(Fault),
}

impl From<CommitFailure> for Error {
    fn from(failure: CommitFailure) -> Self {
        match failure {
            CommitFailure::Io(fault) => fault.into_io(),
            CommitFailure::Poisoned(fault) => fault.into_poisoned(),
            CommitFailure::DiskFull { path, free_bytes, needed_bytes } => {
                Self::WalDiskFull { path, free_bytes, needed_bytes }
            }
        }
    }
}

/// The file that takes records.
#[derive(Debug)]
struct ActiveFile {
    file: Arc<dyn DiskFile>,
    path: PathBuf,
    salt: u64,
    /// Where the next record starts.
    end: u64,
    /// Up to here space is reserved. Equal to `end` in a file that must not take more records.
    capacity: u64,
}

#[derive(Debug)]
pub(crate) struct LogWriter {
    disk: Arc<dyn Disk>,
    options: WalOptions,
    start: StartAt,
    files: Arc<Mutex<LiveFiles>>,
    active: Option<ActiveFile>,
    next: Position,
    last_number: u64,
    poison: Option<Fault>,
    buffer: Vec<u8>,
}

impl LogWriter {
    /// A writer behind the files of an earlier run; its first commit starts a new file, so that a full disk does not
    /// keep a server from starting.
    pub(crate) fn behind(
        disk: Arc<dyn Disk>,
        options: WalOptions,
        start: StartAt,
        next: Position,
        files: LiveFiles,
    ) -> Self {
        let last_number = files.active.number;
        let files = Arc::new(Mutex::new(files));
        Self {
            disk,
            options,
            start,
            files,
            active: None,
            next,
            last_number,
            poison: None,
            buffer: Vec::new(),
        }
    }

    /// A writer in an empty directory; the first file is there when this returns.
    pub(crate) fn first(disk: Arc<dyn Disk>, options: WalOptions, start: StartAt) -> Result<Self> {
        let next = Position::START;
        let placeholder = SealedFile { number: 0, lsns: next.lsn..next.lsn, bytes: 0 };
        let mut writer = Self::behind(disk, options, start, next, LiveFiles::new(Vec::new(), placeholder));
        writer.rotate(0)?;
        writer.files.lock().sealed.clear();
        Ok(writer)
    }

    pub(crate) fn files(&self) -> &Arc<Mutex<LiveFiles>> {
        &self.files
    }

    pub(crate) fn disk(&self) -> &Arc<dyn Disk> {
        &self.disk
    }

    pub(crate) fn options(&self) -> &WalOptions {
        &self.options
    }

    /// Makes `records` durable, in order, as one commit in one file.
    pub(crate) fn commit(&mut self, records: &[NewRecord]) -> Result<Vec<Committed>, CommitFailure> {
        if let Some(fault) = &self.poison {
            return Err(CommitFailure::Poisoned(fault.clone()));
        }
        let bytes = records.iter().map(|record| framed_bytes(record.payload_bytes()));
        self.make_room(bytes.fold(0, u64::saturating_add))?;
        let Some(active) = &self.active else {
            let missing = io::Error::from(io::ErrorKind::NotFound);
            return Err(self.poisoned("find the active file in", &self.options.dir.clone(), missing));
        };
        let (file, path) = (Arc::clone(&active.file), active.path.clone());
        let mut framer = Framer::new(&*file, active.end, active.salt, self.next, &mut self.buffer);
        let written = framer.write(records).map(|committed| (committed, framer.offset, framer.next));
        match written {
            Ok((committed, end, next)) => {
                self.sync(&*file).map_err(|error| self.poisoned("fsync", &path, error))?;
                self.advance(end, next);
                Ok(committed)
            }
            Err(error) if is_full(&error) => Err(self.roll_back(&*file, &path)),
            Err(error) => Err(self.poisoned("write", &path, error)),
        }
    }

    fn advance(&mut self, end: u64, next: Position) {
        self.next = next;
        if let Some(active) = &mut self.active {
            assert!(end <= active.capacity, "a commit was written past the reserved space of its file");
            active.end = end;
        }
        self.files.lock().active.lsns.end = next.lsn;
    }

    fn make_room(&mut self, bytes: u64) -> Result<(), CommitFailure> {
        match &self.active {
            Some(active) if active.end.saturating_add(bytes) <= active.capacity => Ok(()),
            _ => self.rotate(bytes),
        }
    }

    /// Starts the next file. The one before it is complete and durable by then, which recovery relies on: only the
    /// last file can have a torn tail.
    fn rotate(&mut self, bytes: u64) -> Result<(), CommitFailure> {
        let data = (DATA_START_BYTES as u64).saturating_add(bytes);
        let capacity = self.options.file_bytes.max(FILE_BYTES_MIN).max(data);
        let dir = self.options.dir.clone();
        let needed = capacity.saturating_add(self.options.reserve_bytes);
        let free = self.disk.free_bytes(&dir);
        let free =
            free.map_err(|error| CommitFailure::Io(Fault::new("find the free space of", &dir, error)))?;
        if free < needed {
            return Err(CommitFailure::DiskFull { path: dir, free_bytes: free, needed_bytes: needed });
        }
        let number = self.last_number.saturating_add(1);
        let salt = self.start.salt ^ number;
        let path = file_path(&dir, number);
        let first = self.next;
        let head = format::encode_file_header(&FileHeader {
            file_number: number,
            epoch: self.start.epoch,
            first,
            salt,
        });
        let file = self.create(&path, capacity, &head)?;
        self.last_number = number;
        let end = head.len() as u64;
        self.active = Some(ActiveFile { file, path, salt, end, capacity });
        self.files.lock().rotate(SealedFile { number, lsns: first.lsn..first.lsn, bytes: capacity });
        Ok(())
    }

    fn create(
        &mut self,
        path: &Path,
        capacity: u64,
        head: &[u8],
    ) -> Result<Arc<dyn DiskFile>, CommitFailure> {
        let created = self.disk.create(path);
        let file = match created {
            Ok(file) => file,
            Err(error) if is_full(&error) => return Err(self.disk_full(capacity)),
            Err(error) => return Err(CommitFailure::Io(Fault::new("create", path, error))),
        };
        match file.preallocate(capacity).and_then(|()| file.write_at(0, head)) {
            Ok(()) => {}
            Err(error) if is_full(&error) => return Err(self.undo_create(path, capacity)),
            Err(error) => return Err(self.poisoned("write the header of", path, error)),
        }
        self.sync(&*file).map_err(|error| self.poisoned("fsync", path, error))?;
        self.sync_dir().map_err(|error| self.poisoned("fsync the directory of", path, error))?;
        Ok(file)
    }

    /// Removes a file that found no space. The removal must be durable before the file before it takes more records:
    /// to recovery, the existence of a later file says that the earlier one is complete.
    fn undo_create(&mut self, path: &Path, capacity: u64) -> CommitFailure {
        match self.disk.remove(path).and_then(|()| self.sync_dir()) {
            Ok(()) => self.disk_full(capacity),
            Err(error) => self.poisoned("remove", path, error),
        }
    }

    /// The file system ran out of space inside reserved space (some cannot reserve). Cuts off whatever was written;
    /// the file takes no more records.
    fn roll_back(&mut self, file: &dyn DiskFile, path: &Path) -> CommitFailure {
        let end = self.active.as_ref().map_or(0, |active| active.end);
        let cut = file.set_len(end).and_then(|()| self.sync(file));
        if let Err(error) = cut {
            return self.poisoned("cut back", path, error);
        }
        if let Some(active) = &mut self.active {
            active.capacity = end;
        }
        self.files.lock().active.bytes = end;
        self.disk_full(self.options.file_bytes)
    }

    fn disk_full(&self, bytes: u64) -> CommitFailure {
        CommitFailure::DiskFull {
            path: self.options.dir.clone(),
            free_bytes: self.disk.free_bytes(&self.options.dir).unwrap_or(0),
            needed_bytes: bytes.saturating_add(self.options.reserve_bytes),
        }
    }

    fn poisoned(&mut self, operation: &'static str, path: &Path, error: io::Error) -> CommitFailure {
        let fault = Fault::new(operation, path, error);
        tracing::error!(path = %path.display(), error = %fault.source, operation, "the WAL stopped taking writes");
        self.poison = Some(fault.clone());
        CommitFailure::Poisoned(fault)
    }

    fn sync(&self, file: &dyn DiskFile) -> io::Result<()> {
        match self.options.fsync {
            Fsync::DangerouslyNever => Ok(()),
            Fsync::Always => {
                let started = Instant::now();
                let synced = file.sync();
                metrics::histogram!("ironbark_wal_fsync_seconds").record(started.elapsed());
                synced
            }
        }
    }

    fn sync_dir(&self) -> io::Result<()> {
        match self.options.fsync {
            Fsync::Always => self.disk.sync_dir(&self.options.dir),
            Fsync::DangerouslyNever => Ok(()),
        }
    }
}

/// Frames records into a buffer and writes it out in large pieces.
struct Framer<'a> {
    file: &'a dyn DiskFile,
    /// Where the first byte of `buffer` belongs.
    offset: u64,
    salt: u64,
    next: Position,
    buffer: &'a mut Vec<u8>,
}

impl<'a> Framer<'a> {
    fn new(file: &'a dyn DiskFile, offset: u64, salt: u64, next: Position, buffer: &'a mut Vec<u8>) -> Self {
        buffer.clear();
        Self { file, offset, salt, next, buffer }
    }

    fn write(&mut self, records: &[NewRecord]) -> io::Result<Vec<Committed>> {
        let mut committed = Vec::with_capacity(records.len());
        for (commit_index, record) in (0_u32..).zip(records) {
            let payload_len =
                u32::try_from(record.payload_bytes()).map_err(|_| io::ErrorKind::InvalidInput)?;
            let payload_crc = record.payload.iter().fold(0, |crc, piece| crc32c_append(crc, piece));
            let (form, kind, rows, at) = (RecordForm::Data, record.kind, record.rows, self.next);
            let header = RecordHeader { form, kind, at, rows, commit_index, payload_len, payload_crc };
            format::encode_record_header(self.buffer, &header, self.salt);
            for piece in &record.payload {
                self.put(piece)?;
            }
            self.pad();
            committed.push(Committed { lsn: at.lsn, first_seq: at.seq });
            self.next = header.end();
        }
        self.flush()?;
        Ok(committed)
    }

    fn put(&mut self, piece: &Bytes) -> io::Result<()> {
        if piece.len() < DIRECT_WRITE_BYTES_MIN {
            self.buffer.extend_from_slice(piece);
            return Ok(());
        }
        self.flush()?;
        self.file.write_at(self.offset, piece)?;
        self.offset = self.offset.saturating_add(piece.len() as u64);
        Ok(())
    }

    fn pad(&mut self) {
        let written = self.offset.saturating_add(self.buffer.len() as u64);
        let padding = written.next_multiple_of(RECORD_ALIGN_BYTES as u64).saturating_sub(written);
        self.buffer.extend((0..padding).map(|_| 0_u8));
    }

    fn flush(&mut self) -> io::Result<()> {
        if !self.buffer.is_empty() {
            self.file.write_at(self.offset, self.buffer)?;
            self.offset = self.offset.saturating_add(self.buffer.len() as u64);
            self.buffer.clear();
        }
        Ok(())
    }
}
