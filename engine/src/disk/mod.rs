//! The seam between durable local files (WAL, locks, idempotency state) and the operating system. Two implementations:
//! [`LocalDisk`] is the real one, [`sim::SimDisk`] forgets whatever was not synced, so that a test can lose power at
//! any operation. Nothing here knows what the files mean.
//!
//! ```text
//!      write_at ──► cache (readable, lost with power)          create, rename, remove ──► cache of the directory
//!                     │ sync                                                 │ sync_dir
//!                     ▼                                                      ▼
//!                  durable bytes                                       durable names
//! ```

pub mod sim;

mod local;

use std::fmt::Debug;
use std::io;
use std::path::Path;
use std::sync::Arc;

pub use local::LocalDisk;

/// One name in a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DirEntry {
    /// The last component of the path. Names that are not UTF-8 are not listed: we never write such.
    pub name: String,
    /// Length in bytes; 0 for a directory.
    pub len_bytes: u64,
    /// Whether it is a directory.
    pub is_dir: bool,
}

/// The directory operations that durable local files need. Blocking: call it from threads that may block.
///
/// Contract, for every implementation:
/// - A change is visible to every later call at once, and survives the end of the process.
/// - It survives the loss of power only after the matching sync: bytes and length of a file after
///   [`DiskFile::sync`]; a name (created, renamed, removed, file or directory) after [`Disk::sync_dir`] of the
///   directory that holds it. Until then a crash may keep, drop or tear it, in any order.
/// - `rename` replaces an existing target atomically: after a crash the target is the old file or the new one.
/// - After a failed sync nothing may be assumed about the unsynced changes; a second sync that succeeds does not mean
///   that they are durable. The caller must stop using the file.
/// - A full disk is an error of kind [`io::ErrorKind::StorageFull`] (or `QuotaExceeded`).
pub trait Disk: Send + Sync + Debug {
    /// The entries of `dir`, sorted by name.
    fn list(&self, dir: &Path) -> io::Result<Vec<DirEntry>>;

    /// Creates one directory; its parent must exist. `Ok` if it is there already. Durable after `sync_dir(parent)`.
    fn create_dir(&self, dir: &Path) -> io::Result<()>;

    /// Creates an empty file for reading and writing; [`io::ErrorKind::AlreadyExists`] if the name is taken.
    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>>;

    /// Opens an existing file for reading and writing.
    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>>;

    /// Renames a file, replacing `to` if it exists.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Makes the names in `dir` durable.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;

    /// Bytes that an unprivileged process may still use on the file system of `dir`.
    fn free_bytes(&self, dir: &Path) -> io::Result<u64>;
}

/// An open file. Offsets and lengths are bytes. Dropping it closes it and syncs nothing.
pub trait DiskFile: Send + Sync + Debug {
    /// Writes all of `bytes` at `offset`, extending the file (with zeros in a hole) if needed. On an error any part of
    /// them may have been written.
    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()>;

    /// Reads into `buf` from `offset` and returns how many bytes: fewer than asked only at the end of the file.
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize>;

    /// The length of the file.
    fn len_bytes(&self) -> io::Result<u64>;

    /// Cuts or extends (with zeros, without reserving space) the file.
    fn set_len(&self, len_bytes: u64) -> io::Result<()>;

    /// Extends the file to `len_bytes` of zeros and reserves the space where the file system can, so that writes
    /// inside it do not meet a full disk. Never shortens. On an error nothing is reserved.
    fn preallocate(&self, len_bytes: u64) -> io::Result<()>;

    /// Makes bytes and length durable, not necessarily times and permissions.
    fn sync(&self) -> io::Result<()>;
}

/// Conveniences over [`Disk`] that every implementation gets.
pub trait DiskExt: Disk {
    /// The whole file.
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let file = self.open(path)?;
        let len =
            usize::try_from(file.len_bytes()?).map_err(|_| io::Error::from(io::ErrorKind::FileTooLarge))?;
        let mut bytes = vec![0; len];
        let read = file.read_at(0, &mut bytes)?;
        bytes.truncate(read);
        Ok(bytes)
    }

    /// Writes a small file so that after a crash `path` holds either its old content or all of `bytes`: a temporary
    /// name beside it, fsync, rename, fsync of the directory.
    fn replace(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let dir = path.parent().ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
        let temporary = path.with_extension("tmp");
        match self.remove(&temporary) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let file = self.create(&temporary)?;
        file.write_at(0, bytes)?;
        file.sync()?;
        self.rename(&temporary, path)?;
        self.sync_dir(dir)
    }
}

impl<D: Disk + ?Sized> DiskExt for D {}

/// Whether an error means that the disk (or a quota) is full.
pub(crate) fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}
