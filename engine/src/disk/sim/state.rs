//! The simulated machine: names, files, faults, and what a loss of power does to them.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use super::Faults;
use super::inode::{Fate, Inode};
use super::random::SimRandom;
use crate::disk::DirEntry;

/// Free space of a disk without a configured capacity, in bytes.
const UNLIMITED_BYTES: u64 = 1 << 50;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Node {
    Dir,
    File(u64),
}

type Names = BTreeMap<PathBuf, Node>;

#[derive(Debug, Clone)]
enum NameChange {
    Link { path: PathBuf, node: Node },
    Unlink { path: PathBuf },
    Rename { from: PathBuf, to: PathBuf, node: Node },
}

impl NameChange {
    fn is_in(&self, dir: &Path) -> bool {
        let within = |path: &Path| path.parent() == Some(dir);
        match self {
            Self::Link { path, .. } | Self::Unlink { path } => within(path),
            // A rename is one change, whichever directory is synced.
            Self::Rename { from, to, .. } => within(from) || within(to),
        }
    }

    fn apply(self, names: &mut Names) {
        match self {
            Self::Link { path, node } => {
                names.insert(path, node);
            }
            Self::Unlink { path } => {
                names.remove(&path);
            }
            Self::Rename { from, to, node } => {
                names.remove(&from);
                names.insert(to, node);
            }
        }
    }
}

/// What the fault plan makes of one operation.
enum Verdict {
    Go,
    /// Power goes during it.
    Crash,
}

#[derive(Debug)]
pub(super) struct State {
    generation: u64,
    is_down: bool,
    faults: Faults,
    operations: u64,
    writes: u64,
    syncs: u64,
    names: Names,
    durable_names: Names,
    unsynced_names: Vec<NameChange>,
    inodes: BTreeMap<u64, Inode>,
    next_inode: u64,
}

impl State {
    pub(super) fn new(root: &Path) -> Self {
        let names = Names::from([(root.to_owned(), Node::Dir)]);
        Self {
            generation: 0,
            is_down: false,
            faults: Faults::default(),
            operations: 0,
            writes: 0,
            syncs: 0,
            durable_names: names.clone(),
            names,
            unsynced_names: Vec::new(),
            inodes: BTreeMap::new(),
            next_inode: 0,
        }
    }

    pub(super) fn set_faults(&mut self, faults: Faults) {
        self.faults = faults;
        (self.operations, self.writes, self.syncs) = (0, 0, 0);
    }

    pub(super) fn operations(&self) -> u64 {
        self.operations
    }

    pub(super) fn check_power(&self, generation: u64) -> io::Result<()> {
        if self.is_down || generation != self.generation { Err(no_power()) } else { Ok(()) }
    }

    /// Starts the next generation, after a loss of power if there is a `random` to decide what it cost.
    pub(super) fn restart(&mut self, random: Option<&mut SimRandom>) -> u64 {
        if let Some(random) = random {
            self.lose_power(random);
        }
        self.is_down = false;
        self.set_faults(Faults::default());
        self.generation = self.generation.saturating_add(1);
        self.generation
    }

    fn lose_power(&mut self, random: &mut SimRandom) {
        for inode in self.inodes.values_mut() {
            inode.crash(random);
        }
        let changes = std::mem::take(&mut self.unsynced_names);
        let fate = Fate::draw(random, changes.len());
        for (index, change) in changes.into_iter().enumerate() {
            let kept = match fate {
                Fate::Drop => false,
                Fate::Keep => true,
                Fate::First(count) => index < count,
                Fate::Scatter => random.one_in(2),
            };
            if kept {
                change.apply(&mut self.durable_names);
            }
        }
        // What lies in a directory that was lost is lost.
        let dirs = self.durable_names.clone();
        let reachable = |path: &Path| {
            let mut above = path.ancestors().skip(1).filter(|dir| self.names.contains_key(*dir));
            above.all(|dir| dirs.get(dir) == Some(&Node::Dir))
        };
        let names = dirs.iter().filter(|(path, _)| reachable(path));
        let names: Names = names.map(|(path, node)| (path.clone(), *node)).collect();
        self.inodes.retain(|inode, _| names.values().any(|node| *node == Node::File(*inode)));
        self.durable_names.clone_from(&names);
        self.names = names;
    }

    fn begin(&mut self) -> io::Result<Verdict> {
        if self.is_down {
            return Err(no_power());
        }
        self.operations = self.operations.saturating_add(1);
        if self.faults.crash_at_operation == Some(self.operations) {
            self.is_down = true;
            return Ok(Verdict::Crash);
        }
        Ok(Verdict::Go)
    }

    pub(super) fn list(&self, dir: &Path) -> io::Result<Vec<DirEntry>> {
        if self.names.get(dir) != Some(&Node::Dir) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let within = self.names.iter().filter(|(path, _)| path.parent() == Some(dir));
        let entries = within.filter_map(|(path, node)| {
            let name = path.file_name()?.to_str()?.to_owned();
            let inode = match node {
                Node::Dir => None,
                Node::File(inode) => self.inodes.get(inode),
            };
            let (len_bytes, is_dir) = (inode.map_or(0, Inode::len_bytes), *node == Node::Dir);
            Some(DirEntry { name, len_bytes, is_dir })
        });
        Ok(entries.collect())
    }

    pub(super) fn create_dir(&mut self, dir: &Path) -> io::Result<()> {
        match self.names.get(dir) {
            Some(Node::Dir) => Ok(()),
            Some(Node::File(_)) => Err(io::ErrorKind::AlreadyExists.into()),
            None => {
                let verdict = self.begin()?;
                self.check_parent(dir)?;
                self.change_name(NameChange::Link { path: dir.to_owned(), node: Node::Dir });
                finish(&verdict)
            }
        }
    }

    pub(super) fn create(&mut self, path: &Path) -> io::Result<u64> {
        let verdict = self.begin()?;
        self.check_parent(path)?;
        if self.names.contains_key(path) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let inode = self.next_inode;
        self.next_inode = inode.saturating_add(1);
        self.inodes.insert(inode, Inode::default());
        self.change_name(NameChange::Link { path: path.to_owned(), node: Node::File(inode) });
        finish(&verdict).map(|()| inode)
    }

    pub(super) fn find_file(&self, path: &Path) -> io::Result<u64> {
        match self.names.get(path) {
            Some(Node::File(inode)) => Ok(*inode),
            Some(Node::Dir) => Err(io::ErrorKind::IsADirectory.into()),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    pub(super) fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        let verdict = self.begin()?;
        let inode = self.find_file(from)?;
        self.check_parent(to)?;
        let node = Node::File(inode);
        self.change_name(NameChange::Rename { from: from.to_owned(), to: to.to_owned(), node });
        finish(&verdict)
    }

    pub(super) fn remove(&mut self, path: &Path) -> io::Result<()> {
        let verdict = self.begin()?;
        self.find_file(path)?;
        self.change_name(NameChange::Unlink { path: path.to_owned() });
        finish(&verdict)
    }

    pub(super) fn sync_dir(&mut self, dir: &Path) -> io::Result<()> {
        finish(&self.begin()?)?;
        if self.names.get(dir) != Some(&Node::Dir) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let failed = self.count_sync();
        if self.faults.lying_dir_sync {
            return Ok(());
        }
        let (synced, unsynced) = self.unsynced_names.drain(..).partition(|change| change.is_in(dir));
        self.unsynced_names = unsynced;
        if failed {
            return Err(io_failure());
        }
        let synced: Vec<NameChange> = synced;
        for change in synced {
            change.apply(&mut self.durable_names);
        }
        Ok(())
    }

    pub(super) fn free_bytes(&self) -> u64 {
        let used: u64 = self
            .inodes
            .iter()
            .filter(|(inode, _)| self.is_linked(**inode))
            .map(|(_, inode)| inode.len_bytes())
            .sum();
        self.faults.capacity_bytes.unwrap_or(UNLIMITED_BYTES).saturating_sub(used)
    }

    fn is_linked(&self, inode: u64) -> bool {
        self.names.values().any(|node| *node == Node::File(inode))
    }

    pub(super) fn inode(&mut self, inode: u64) -> io::Result<&mut Inode> {
        self.inodes.get_mut(&inode).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    pub(super) fn write(&mut self, inode: u64, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let verdict = self.begin()?;
        self.writes = self.writes.saturating_add(1);
        let half = bytes.get(..bytes.len() / 2).unwrap_or_default();
        if self.faults.fail_write == Some(self.writes) {
            self.inode(inode)?.write(offset, half);
            return Err(io_failure());
        }
        if self.faults.full_write == Some(self.writes) {
            self.inode(inode)?.write(offset, half);
            return Err(io::ErrorKind::StorageFull.into());
        }
        let free = self.free_bytes();
        let file = self.inode(inode)?;
        let end = offset.saturating_add(bytes.len() as u64);
        let room = file.len_bytes().saturating_add(free);
        if end > room {
            let fits = super::inode::to_usize(room.saturating_sub(offset));
            file.write(offset, bytes.get(..fits).unwrap_or_default());
            return Err(io::ErrorKind::StorageFull.into());
        }
        file.write(offset, bytes);
        finish(&verdict)
    }

    pub(super) fn set_len(&mut self, inode: u64, len_bytes: u64) -> io::Result<()> {
        let verdict = self.begin()?;
        self.inode(inode)?.set_len(len_bytes);
        finish(&verdict)
    }

    pub(super) fn preallocate(&mut self, inode: u64, len_bytes: u64) -> io::Result<()> {
        let verdict = self.begin()?;
        let free = self.free_bytes();
        let file = self.inode(inode)?;
        let len = file.len_bytes();
        if len_bytes.saturating_sub(len) > free {
            return Err(io::ErrorKind::StorageFull.into());
        }
        file.set_len(len.max(len_bytes));
        finish(&verdict)
    }

    pub(super) fn sync(&mut self, inode: u64) -> io::Result<()> {
        finish(&self.begin()?)?;
        let failed = self.count_sync();
        if self.faults.lying_file_sync {
            return Ok(());
        }
        let file = self.inode(inode)?;
        if failed {
            file.forget_unsynced();
            return Err(io_failure());
        }
        file.sync();
        Ok(())
    }

    fn count_sync(&mut self) -> bool {
        self.syncs = self.syncs.saturating_add(1);
        self.faults.fail_sync == Some(self.syncs)
    }

    pub(super) fn rot(&mut self, path: &Path, change: impl FnOnce(&mut Vec<u8>)) -> io::Result<()> {
        let inode = self.find_file(path)?;
        self.inode(inode)?.rot(change);
        Ok(())
    }

    pub(super) fn rot_away(&mut self, path: &Path) {
        self.names.remove(path);
        self.durable_names.remove(path);
    }

    fn check_parent(&self, path: &Path) -> io::Result<()> {
        match path.parent().and_then(|parent| self.names.get(parent)) {
            Some(Node::Dir) => Ok(()),
            Some(Node::File(_)) => Err(io::ErrorKind::NotADirectory.into()),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn change_name(&mut self, change: NameChange) {
        change.clone().apply(&mut self.names);
        self.unsynced_names.push(change);
    }
}

fn finish(verdict: &Verdict) -> io::Result<()> {
    match verdict {
        Verdict::Go => Ok(()),
        Verdict::Crash => Err(no_power()),
    }
}

fn no_power() -> io::Error {
    io::Error::other("the simulated machine lost power")
}

fn io_failure() -> io::Error {
    io::Error::other("simulated I/O failure")
}
