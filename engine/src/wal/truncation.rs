//! Removes WAL files that nobody needs any more. It trusts the caller's word that their records are stored elsewhere.
//!
//! A file is cut down to its header, durably, before it is removed: if the removal is lost with a failed fsync of the
//! directory, the file that comes back says by its length that its records were released.

use parking_lot::Mutex;

use super::WalOptions;
use super::files::{LiveFiles, file_path};
use super::format::{DATA_START_BYTES, Lsn};
use super::writer::{CommitFailure, Fault};
use crate::disk::Disk;

/// Removes the files whose records are all before `lsn`, oldest first. Each removal is durable before the next one, so
/// that no crash leaves a hole in the row of files. Returns the bytes freed.
pub(crate) fn remove_before(
    disk: &dyn Disk,
    options: &WalOptions,
    files: &Mutex<LiveFiles>,
    lsn: Lsn,
) -> Result<u64, CommitFailure> {
    let mut freed: u64 = 0;
    loop {
        // The lock on the list is not held while the disk works: the writer needs it.
        let Some(oldest) = files.lock().oldest_before(lsn) else { return Ok(freed) };
        let path = file_path(&options.dir, oldest.number);
        let cut = disk.open(&path).and_then(|file| {
            file.set_len(DATA_START_BYTES as u64)?;
            file.sync()
        });
        cut.map_err(|error| CommitFailure::Poisoned(Fault::new("cut", &path, error)))?;
        disk.remove(&path).map_err(|error| CommitFailure::Io(Fault::new("remove", &path, error)))?;
        disk.sync_dir(&options.dir)
            .map_err(|error| CommitFailure::Poisoned(Fault::new("fsync the directory of", &path, error)))?;
        files.lock().sealed.pop_front();
        freed = freed.saturating_add(oldest.bytes);
    }
}
