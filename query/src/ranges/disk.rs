//! The directory of the disk cache: who may see it, which of its generations is used, and how much of the disk it leaves free.
//!
//! ```text
//!   DIR/                                    0700: it holds logs
//!     lock                                  held by the one server that uses the directory
//!     slabs-1-<born ms>-<bytes>x<files>/    a generation: what the cache library writes
//! ```
//!
//! A generation is thrown away whole once it is too old, so that bytes of deleted segments do not stay for ever, and where it was
//! made for other sizes. Nothing else in the directory is touched.

use std::fs::{DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use foyer::{Statistics, StorageFilterCondition, StorageFilterResult};
use ironbark_storage::Timestamp;
use parking_lot::Mutex;
use tokio::time::Instant;

/// What the cache leaves of the disk for others, in bytes: the write-ahead log may lie on it.
pub(super) const FREE_BYTES_MIN: u64 = 1 << 30;
/// How long an answer about free space holds, in milliseconds.
const FREE_CHECK_MS: u64 = 1_000;
/// Names of generations begin with it; the number is of the form of keys and values.
const GENERATION: &str = "slabs-1-";
/// What all generations of whatever form begin with.
const ANY_GENERATION: &str = "slabs-";
/// Bounds of a file, which is what is thrown away at once when the cache is full, in bytes.
const FILE_BYTES: (u64, u64) = (1 << 20, 64 << 20);
/// Fewest files, so that throwing one away leaves most; and about the most, as all are open.
const FILES: (u64, u64) = (16, 1_024);
/// Beyond it a place in a file has no number, in bytes.
const FILE_BYTES_MAX: u64 = 2 << 30;
const DIR_MODE: u32 = 0o700;
const LOCK_MODE: u32 = 0o600;
const NS_PER_MS: i64 = 1_000_000;

/// Into which files a cache of some size is divided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Layout {
    pub(super) file_bytes: u64,
    pub(super) files: u64,
}

impl Layout {
    /// Files of a cache of about so many bytes, and never more.
    pub(super) fn of(bytes: u64) -> Self {
        let (least, most) = FILE_BYTES;
        let file_bytes = (bytes / FILES.0).clamp(least, most).max(bytes / FILES.1).min(FILE_BYTES_MAX);
        let file_bytes = file_bytes - file_bytes % least;
        Self { file_bytes, files: bytes / file_bytes }
    }
}

/// The directory, locked for as long as this lives.
#[derive(Debug)]
pub(super) struct CacheDir {
    root: PathBuf,
    _lock: File,
}

/// A generation of the cache.
#[derive(Clone, Debug)]
pub(super) struct Generation {
    pub(super) dir: PathBuf,
    /// When it was made.
    pub(super) born: Timestamp,
}

impl CacheDir {
    /// Makes the directory if need be, closes it to others, and locks it. Fails where another server uses it.
    pub(super) fn take(root: &Path) -> io::Result<Self> {
        DirBuilder::new().recursive(true).mode(DIR_MODE).create(root)?;
        std::fs::set_permissions(root, Permissions::from_mode(DIR_MODE))?;
        let mut options = OpenOptions::new();
        let lock =
            options.create(true).truncate(false).write(true).mode(LOCK_MODE).open(root.join("lock"))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { root: root.to_owned(), _lock: lock }),
            Err(TryLockError::WouldBlock) => {
                Err(io::Error::new(io::ErrorKind::WouldBlock, "another server uses the directory"))
            }
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// The newest generation of this layout that is younger than `age_ms`, or a new one. All others are deleted.
    pub(super) fn generation(&self, layout: Layout, now: Timestamp, age_ms: u64) -> io::Result<Generation> {
        let mut usable: Option<Generation> = None;
        let mut rest = Vec::new();
        for entry in std::fs::read_dir(&self.root)? {
            let (name, dir) = entry.map(|entry| (entry.file_name(), entry.path()))?;
            let Some(name) = name.to_str().filter(|name| name.starts_with(ANY_GENERATION)) else { continue };
            let born = born(name, layout).filter(|born| !is_old(*born, now, age_ms));
            match (born, &usable) {
                (Some(born), known) if known.as_ref().is_none_or(|known| known.born < born) => {
                    rest.extend(usable.replace(Generation { dir, born }).map(|older| older.dir));
                }
                _ => rest.push(dir),
            }
        }
        for dir in rest {
            std::fs::remove_dir_all(dir)?;
        }
        match usable {
            Some(generation) => Ok(generation),
            None => self.make(layout, now),
        }
    }

    fn make(&self, layout: Layout, now: Timestamp) -> io::Result<Generation> {
        let Layout { file_bytes, files } = layout;
        let born = Timestamp::from_ns(now.ns() - now.ns().rem_euclid(NS_PER_MS));
        let dir = self.root.join(format!("{GENERATION}{}-{file_bytes}x{files}", born.ns() / NS_PER_MS));
        DirBuilder::new().mode(DIR_MODE).create(&dir)?;
        Ok(Generation { dir, born })
    }
}

/// Whether what was made then must not be used any more. What was made in the future is: somebody has set the clock.
pub(super) fn is_old(born: Timestamp, now: Timestamp, age_ms: u64) -> bool {
    let age_ns = now.ns().saturating_sub(born.ns());
    u64::try_from(age_ns).map_or(true, |age| age / NS_PER_MS.unsigned_abs() >= age_ms)
}

/// When the generation of this name was made; `None` if it has another form or layout.
fn born(name: &str, layout: Layout) -> Option<Timestamp> {
    let (born, sizes) = name.strip_prefix(GENERATION)?.split_once('-')?;
    let Layout { file_bytes, files } = layout;
    if sizes != format!("{file_bytes}x{files}") {
        return None;
    }
    born.parse::<i64>().ok()?.checked_mul(NS_PER_MS).map(Timestamp::from_ns)
}

/// Bytes that the files of a generation take of the disk; holes take none.
pub(super) fn disk_bytes(dir: &Path) -> u64 {
    /// What the blocks of `stat` are counted in, in bytes.
    const STAT_BLOCK_BYTES: u64 = 512;
    let Ok(entries) = std::fs::read_dir(dir) else { return 0 };
    let metadata = entries.filter_map(|entry| entry.and_then(|entry| entry.metadata()).ok());
    metadata.map(|metadata| metadata.blocks() * STAT_BLOCK_BYTES).sum()
}

/// Lets nothing more into the cache while little of the disk is free.
#[derive(Debug)]
pub(super) struct FreeSpace {
    dir: PathBuf,
    least_bytes: u64,
    /// When it was last looked at, and whether there was room.
    known: Mutex<Option<(Instant, bool)>>,
}

impl FreeSpace {
    pub(super) fn new(dir: &Path, least_bytes: u64) -> Self {
        Self { dir: dir.to_owned(), least_bytes, known: Mutex::default() }
    }

    fn has_room(&self) -> bool {
        let mut known = self.known.lock();
        let now = Instant::now();
        if let Some((at, has_room)) = *known
            && now.duration_since(at) < Duration::from_millis(FREE_CHECK_MS)
        {
            return has_room;
        }
        let free = rustix::fs::statvfs(&self.dir).map(|stat| stat.f_bavail.saturating_mul(stat.f_frsize));
        let has_room = free.is_ok_and(|free| free >= self.least_bytes);
        if !has_room && known.is_none_or(|(_, had_room)| had_room) {
            tracing::warn!(dir = %self.dir.display(), "the disk is nearly full; the disk cache takes nothing more for now");
        }
        *known = Some((now, has_room));
        has_room
    }
}

impl StorageFilterCondition for FreeSpace {
    fn filter(&self, _: &Arc<Statistics>, _: u64, _: usize) -> StorageFilterResult {
        if self.has_room() {
            return StorageFilterResult::Admit;
        }
        metrics::counter!("ironbark_query_range_cache_refused_total").increment(1);
        StorageFilterResult::Reject
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY_MS: u64 = 86_400_000;

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_ns(ms * NS_PER_MS)
    }

    #[test]
    fn files_are_few_and_small_enough_to_be_thrown_away() {
        let layout = |bytes| {
            let Layout { file_bytes, files } = Layout::of(bytes);
            assert!(file_bytes * files <= bytes);
            (file_bytes >> 20, files)
        };
        assert_eq!(layout(16 << 20), (1, 16));
        assert_eq!(layout(100 << 20), (6, 16));
        assert_eq!(layout(8 << 30), (64, 128));
        assert_eq!(layout(1 << 40), (1_024, 1_024));
    }

    #[test]
    fn a_directory_is_closed_to_others_and_used_once() {
        let parent = tempfile::tempdir().unwrap();
        let root = parent.path().join("a/cache");
        std::fs::create_dir_all(&root).unwrap();
        std::fs::set_permissions(&root, Permissions::from_mode(0o755)).unwrap();
        let taken = CacheDir::take(&root).unwrap();
        assert_eq!(std::fs::metadata(&root).unwrap().mode() & 0o777, 0o700);
        assert_eq!(CacheDir::take(&root).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        drop(taken);
        CacheDir::take(&root).unwrap();
    }

    #[test]
    fn generations_last_until_they_are_old_or_of_another_size() {
        let root = tempfile::tempdir().unwrap();
        std::fs::write(root.path().join("notes.txt"), "kept").unwrap();
        std::fs::create_dir(root.path().join("slabs-0-1-1x1")).unwrap();
        let dir = CacheDir::take(root.path()).unwrap();
        let layout = Layout::of(16 << 20);
        let first = dir.generation(layout, at(1_000), DAY_MS).unwrap();
        assert!(first.dir.ends_with("slabs-1-1000-1048576x16"), "{first:?}");
        assert_eq!(std::fs::metadata(&first.dir).unwrap().mode() & 0o777, 0o700);
        let day = i64::try_from(DAY_MS).unwrap();
        let again = dir.generation(layout, at(1_000 + day - 1), DAY_MS).unwrap();
        assert_eq!((again.born, &again.dir), (at(1_000), &first.dir));
        let next = dir.generation(layout, at(1_000 + day), DAY_MS).unwrap();
        assert_ne!(next.dir, first.dir);
        let other = dir.generation(Layout::of(32 << 20), at(1_000 + day), DAY_MS).unwrap();
        let mut names: Vec<_> =
            std::fs::read_dir(root.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
        names.sort();
        assert_eq!(names, [root.path().join("lock"), root.path().join("notes.txt"), other.dir]);
    }

    #[test]
    fn nothing_is_let_in_while_the_disk_is_full() {
        let root = tempfile::tempdir().unwrap();
        assert!(FreeSpace::new(root.path(), 1).has_room());
        assert!(!FreeSpace::new(root.path(), u64::MAX).has_room());
        assert!(!FreeSpace::new(&root.path().join("gone"), 0).has_room());
    }
}
