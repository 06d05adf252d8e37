//! The names of WAL files, and which of them are live: the list that rotation extends at the back and truncation
//! shortens at the front. It knows no file content.

use std::collections::VecDeque;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

use super::format::Lsn;
use crate::disk::Disk;

/// Where damaged files go, inside the WAL directory.
pub(crate) const QUARANTINE_DIR: &str = "quarantine";
const SUFFIX: &str = ".wal";
const DIGITS: usize = 20;

/// `wal/00000000000000000001.wal`: twenty digits, so that names sort as numbers do.
pub(crate) fn file_path(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("{number:020}{SUFFIX}"))
}

/// The name of a file that is being written to replace `number`; whatever lies there after a crash is worthless.
pub(crate) fn replacement_path(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("{number:020}.replacement"))
}

/// The numbers of the WAL files in `dir`, ascending. Names of any other shape are not ours and are left alone.
pub(crate) fn list_numbers(disk: &dyn Disk, dir: &Path) -> io::Result<Vec<u64>> {
    let entries = disk.list(dir)?;
    let mut numbers: Vec<u64> =
        entries.iter().filter(|entry| !entry.is_dir).filter_map(|entry| number_of(&entry.name)).collect();
    numbers.sort_unstable();
    Ok(numbers)
}

/// Leftovers of interrupted replacements.
pub(crate) fn list_replacements(disk: &dyn Disk, dir: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = disk.list(dir)?;
    let leftovers = entries.iter().filter(|entry| entry.name.ends_with(".replacement"));
    Ok(leftovers.map(|entry| dir.join(&entry.name)).collect())
}

fn number_of(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(SUFFIX)?;
    let well_formed = digits.len() == DIGITS && digits.bytes().all(|byte| byte.is_ascii_digit());
    if well_formed { digits.parse().ok() } else { None }
}

/// A file that takes no more records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SealedFile {
    pub(crate) number: u64,
    pub(crate) lsns: Range<Lsn>,
    pub(crate) bytes: u64,
}

/// The live files, oldest first, and the one that takes records.
#[derive(Debug)]
pub(crate) struct LiveFiles {
    pub(crate) sealed: VecDeque<SealedFile>,
    pub(crate) active: SealedFile,
}

impl LiveFiles {
    pub(crate) fn new(sealed: Vec<SealedFile>, active: SealedFile) -> Self {
        Self { sealed: sealed.into(), active }
    }

    pub(crate) fn rotate(&mut self, next: SealedFile) {
        let sealed = std::mem::replace(&mut self.active, next);
        self.sealed.push_back(sealed);
    }

    /// The oldest file, if every record in it is before `lsn`. The active file is never given away: its header is
    /// what remembers the position of the log.
    pub(crate) fn oldest_before(&self, lsn: Lsn) -> Option<SealedFile> {
        self.sealed.front().filter(|file| file.lsns.end <= lsn).cloned()
    }

    pub(crate) fn range(&self) -> Range<Lsn> {
        let start = self.sealed.front().map_or(self.active.lsns.start, |file| file.lsns.start);
        start..self.active.lsns.end
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.sealed.iter().map(|file| file.bytes).fold(self.active.bytes, u64::saturating_add)
    }
}
