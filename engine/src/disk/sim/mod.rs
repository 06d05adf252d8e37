//! A disk double for tests of durable code: it keeps synced and unsynced bytes apart, loses power at any operation,
//! fills up, fails and lies on request. Deterministic: the same calls and the same seed give the same disk. It holds
//! everything in memory and is not for production.
//!
//! ```text
//!  calls ──► cache ──sync──► durable          SimDisk::crash(seed): the cache is gone; of what was not synced the
//!            (seen by all)   (survives)       seed decides: dropped, kept, or torn at any byte, sector by sector
//! ```
//!
//! One machine outlives its handles: [`SimDisk::crash`] and [`SimDisk::kill`] return the disk as the next process
//! sees it, and every older handle and open file fails from then on.

mod inode;
mod random;
mod state;

#[cfg(test)]
mod tests;

use std::io;
use std::path::Path;
use std::sync::Arc;

use parking_lot::Mutex;

use self::state::State;
use super::{DirEntry, Disk, DiskFile};

pub use random::SimRandom;

/// What goes wrong, and when. Counts start at 1 with the call of [`SimDisk::set_faults`].
#[derive(Debug, Clone, Copy, Default)]
pub struct Faults {
    /// Power is lost during this operation (writes, syncs, and changes of names and lengths count, reads do not): its
    /// change is unsynced at most, and it and all later calls fail until [`SimDisk::crash`].
    pub crash_at_operation: Option<u64>,
    /// This write fails with an I/O error after half of its bytes.
    pub fail_write: Option<u64>,
    /// This write finds the disk full after half of its bytes, although space was reserved, as on file systems that
    /// copy on write.
    pub full_write: Option<u64>,
    /// This sync (of a file or a directory) fails, and what it should have synced is dropped silently while reads still
    /// show it: what Linux does.
    pub fail_sync: Option<u64>,
    /// Bytes that all files together may have.
    pub capacity_bytes: Option<u64>,
    /// Every sync of a file says yes and does nothing. Tests of durability must fail with it.
    pub lying_file_sync: bool,
    /// Every sync of a directory says yes and does nothing. Tests of durability must fail with it.
    pub lying_dir_sync: bool,
}

/// The double. Clones are the same disk.
#[derive(Debug, Clone)]
pub struct SimDisk {
    state: Arc<Mutex<State>>,
    generation: u64,
}

#[derive(Debug)]
struct SimFile {
    disk: SimDisk,
    inode: u64,
}

impl SimDisk {
    /// An empty disk with one durable directory, `root`.
    pub fn new(root: impl AsRef<Path>) -> Self {
        Self { state: Arc::new(Mutex::new(State::new(root.as_ref()))), generation: 0 }
    }

    /// Replaces the faults and starts their counts anew.
    pub fn set_faults(&self, faults: Faults) {
        self.state.lock().set_faults(faults);
    }

    /// Changing operations since the last [`Self::set_faults`].
    pub fn operations(&self) -> u64 {
        self.state.lock().operations()
    }

    /// Loses power and comes back without faults. The seed decides what became of everything unsynced.
    #[must_use]
    pub fn crash(&self, seed: u64) -> Self {
        let mut state = self.state.lock();
        let generation = state.restart(Some(&mut SimRandom::new(seed)));
        Self { state: Arc::clone(&self.state), generation }
    }

    /// Ends the process: nothing is lost, not even what was not synced. Faults end too.
    #[must_use]
    pub fn kill(&self) -> Self {
        let generation = self.state.lock().restart(None);
        Self { state: Arc::clone(&self.state), generation }
    }

    /// Changes the bytes of a file behind everybody's back, durably: bit rot.
    pub fn rot(&self, path: &Path, change: impl FnOnce(&mut Vec<u8>)) -> io::Result<()> {
        self.state.lock().rot(path, change)
    }

    /// Removes a file behind everybody's back, durably.
    pub fn rot_away(&self, path: &Path) {
        self.state.lock().rot_away(path);
    }

    fn with<R>(&self, call: impl FnOnce(&mut State) -> io::Result<R>) -> io::Result<R> {
        let mut state = self.state.lock();
        state.check_power(self.generation)?;
        call(&mut state)
    }

    fn opened(&self, inode: u64) -> Arc<dyn DiskFile> {
        Arc::new(SimFile { disk: self.clone(), inode })
    }
}

impl Disk for SimDisk {
    fn list(&self, dir: &Path) -> io::Result<Vec<DirEntry>> {
        self.with(|state| state.list(dir))
    }

    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        self.with(|state| state.create_dir(dir))
    }

    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        self.with(|state| state.create(path)).map(|inode| self.opened(inode))
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        self.with(|state| state.find_file(path)).map(|inode| self.opened(inode))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.with(|state| state.rename(from, to))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.with(|state| state.remove(path))
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.with(|state| state.sync_dir(dir))
    }

    fn free_bytes(&self, _dir: &Path) -> io::Result<u64> {
        self.with(|state| Ok(state.free_bytes()))
    }
}

impl DiskFile for SimFile {
    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.disk.with(|state| state.write(self.inode, offset, bytes))
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        self.disk.with(|state| Ok(state.inode(self.inode)?.read(offset, buf)))
    }

    fn len_bytes(&self) -> io::Result<u64> {
        self.disk.with(|state| Ok(state.inode(self.inode)?.len_bytes()))
    }

    fn set_len(&self, len_bytes: u64) -> io::Result<()> {
        self.disk.with(|state| state.set_len(self.inode, len_bytes))
    }

    fn preallocate(&self, len_bytes: u64) -> io::Result<()> {
        self.disk.with(|state| state.preallocate(self.inode, len_bytes))
    }

    fn sync(&self) -> io::Result<()> {
        self.disk.with(|state| state.sync(self.inode))
    }
}
