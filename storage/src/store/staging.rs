//! Where files of a local store are written before they take their names.
//!
//! ```text
//! <root>/.staging/
//!     1.lock        held by the process that writes into 1/
//!     1/17          a file on its way
//! ```
//!
//! Several processes may share a store (a server and a compactor), so each takes a slot of its own, and what it finds
//! in a slot that nobody holds was left behind by a crash. Lock files are never deleted: a lock on a deleted file
//! would exclude nobody.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::{Error, Result};

/// Name of the staging directory in the root; no key begins with it.
pub(super) const STAGING: &str = ".staging";
/// Processes that may write to a local store at once.
const SLOTS_MAX: u32 = 256;

/// A slot, held until it is dropped.
#[derive(Debug)]
pub(super) struct Staging {
    slot: PathBuf,
    next: AtomicU64,
    /// Locked; the lock goes with the file.
    _lock: File,
}

/// A file without a name in the store; deleted when dropped, unless it got one by renaming.
#[derive(Debug)]
pub(super) struct Staged {
    pub(super) path: PathBuf,
    pub(super) file: File,
}

impl Drop for Staged {
    fn drop(&mut self) {
        // What cannot be deleted now is deleted when the slot is taken again.
        let _ = fs::remove_file(&self.path);
    }
}

impl Staging {
    /// Takes the first free slot and clears all free ones.
    pub(super) fn open(root: &Path) -> Result<Self> {
        let directory = root.join(STAGING);
        let failed = |source| Error::Io { path: directory.display().to_string(), source };
        fs::create_dir_all(&directory).map_err(failed)?;
        let mut taken = None;
        for slot in 1..=SLOTS_MAX {
            let path = directory.join(format!("{slot}.lock"));
            if taken.is_some() && !path.exists() {
                break;
            }
            let Some(lock) = try_lock(&path).map_err(failed)? else { continue };
            let slot = directory.join(slot.to_string());
            clear(&slot).map_err(failed)?;
            taken.get_or_insert((slot, lock));
        }
        let Some((slot, lock)) = taken else {
            return Err(Error::Limit {
                what: "the number of processes that share a local store",
                limit: u64::from(SLOTS_MAX),
                unit: "processes",
                advice: "stop some of them",
            });
        };
        fs::create_dir_all(&slot).map_err(failed)?;
        Ok(Self { slot, next: AtomicU64::new(1), _lock: lock })
    }

    /// A new empty file.
    pub(super) fn file(&self) -> io::Result<Staged> {
        let path = self.slot.join(self.next.fetch_add(1, Ordering::Relaxed).to_string());
        let file = File::options().read(true).write(true).create_new(true).open(&path)?;
        Ok(Staged { path, file })
    }
}

fn try_lock(path: &Path) -> io::Result<Option<File>> {
    let file = File::options().write(true).create(true).truncate(false).open(path)?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

fn clear(slot: &Path) -> io::Result<()> {
    match fs::remove_dir_all(slot) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
