//! Carries out what a recovery decided: cuts the torn tail, makes the last commit certain, sets damaged files aside.
//! Every step can be interrupted by a crash and is then found undone, or done, by the next recovery.
//!
//! ```text
//! Finish    cut the file behind its last intact record, write header and last commit once more, fsync
//! Replace   copy the damaged file to quarantine/ ─► write NNN.replacement (intact records, gap records) ─► rename
//! SetAside  rename into quarantine/
//! Remove    a file that never took a record, or whose records were released
//! ```
//!
//! Why the last commit is written again: if its fsync failed and the process restarted, the kernel still shows the
//! bytes but may have dropped them as written. Reading them back proves nothing; writing them again does.

use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

use super::WalOptions;
use super::files::{QUARANTINE_DIR, file_path, list_replacements, replacement_path};
use super::format::{self, FileHeader, Position};
use super::writer::Fault;
use crate::Result;
use crate::disk::{Disk, DiskExt};

/// Copies of one file that the quarantine holds at most.
const QUARANTINED_COPIES_MAX: u32 = 1000;

/// Something that the replacement of a damaged file holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Piece {
    /// Intact records, as they are.
    Copy { framed: Range<usize> },
    /// A record that says what is lost.
    Gap { from: Position, until: Position },
}

impl Piece {
    /// What stands for the records between two positions, if there are any.
    pub(crate) fn gap(from: Position, until: Position) -> Option<Self> {
        (from != until).then_some(Self::Gap { from, until })
    }
}

/// A change that the files need before the log can go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Repair {
    Finish { header: FileHeader, commit_start: u64, end: u64 },
    Replace { header: FileHeader, is_there: bool, pieces: Vec<Piece> },
    SetAside { path: PathBuf },
    Remove { path: PathBuf },
}

/// Makes the directory usable and carries out `repairs`; all of it is durable when this returns.
pub(crate) fn run(disk: &dyn Disk, options: &WalOptions, repairs: &[Repair]) -> Result<()> {
    let dir = &options.dir;
    let fault = |operation| move |error| Fault::new(operation, dir, error).into_io();
    disk.create_dir(dir).map_err(fault("create"))?;
    if let Some(parent) = dir.parent() {
        let parent = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
        disk.sync_dir(parent).map_err(fault("fsync the parent of"))?;
    }
    for leftover in list_replacements(disk, dir).map_err(fault("list"))? {
        disk.remove(&leftover).map_err(fault("remove the leftovers in"))?;
    }
    for repair in repairs {
        let (operation, path) = match repair {
            Repair::Finish { header, .. } => ("cut the tail of", file_path(dir, header.file_number)),
            Repair::Replace { header, .. } => ("replace", file_path(dir, header.file_number)),
            Repair::SetAside { path } => ("set aside", path.clone()),
            Repair::Remove { path } => ("remove", path.clone()),
        };
        carry_out(disk, dir, repair).map_err(|error| Fault::new(operation, &path, error).into_io())?;
    }
    disk.sync_dir(dir).map_err(fault("fsync"))
}

fn carry_out(disk: &dyn Disk, dir: &Path, repair: &Repair) -> io::Result<()> {
    match repair {
        Repair::Finish { header, commit_start, end } => finish(disk, dir, header, *commit_start..*end),
        Repair::Replace { header, is_there, pieces } => {
            let path = file_path(dir, header.file_number);
            let damaged = if *is_there { disk.read(&path)? } else { Vec::new() };
            if *is_there {
                let copy = disk.create(&quarantine_path(disk, dir, &path)?)?;
                copy.write_at(0, &damaged)?;
                copy.sync()?;
                disk.sync_dir(&dir.join(QUARANTINE_DIR))?;
            }
            let file = disk.create(&replacement_path(dir, header.file_number))?;
            file.write_at(0, &replacement(header, &damaged, pieces))?;
            file.sync()?;
            disk.rename(&replacement_path(dir, header.file_number), &path)
        }
        Repair::SetAside { path } => {
            disk.rename(path, &quarantine_path(disk, dir, path)?)?;
            disk.sync_dir(&dir.join(QUARANTINE_DIR))
        }
        Repair::Remove { path } => disk.remove(path),
    }
}

fn finish(disk: &dyn Disk, dir: &Path, header: &FileHeader, commit: Range<u64>) -> io::Result<()> {
    let file = disk.open(&file_path(dir, header.file_number))?;
    let len = usize::try_from(commit.end.saturating_sub(commit.start));
    let mut last_commit = vec![0; len.map_err(|_| io::ErrorKind::FileTooLarge)?];
    file.read_at(commit.start, &mut last_commit)?;
    if file.len_bytes()? > commit.end {
        file.set_len(commit.end)?;
    }
    file.write_at(0, &format::encode_file_header(header))?;
    file.write_at(commit.start, &last_commit)?;
    file.sync()
}

fn replacement(header: &FileHeader, damaged: &[u8], pieces: &[Piece]) -> Vec<u8> {
    let mut bytes = format::encode_file_header(header);
    for piece in pieces {
        match piece {
            Piece::Copy { framed } => {
                bytes.extend_from_slice(damaged.get(framed.clone()).unwrap_or_default());
            }
            Piece::Gap { from, until } => format::encode_gap(&mut bytes, *from, *until, header.salt),
        }
    }
    bytes
}

/// A free name in the quarantine, which is created if need be.
fn quarantine_path(disk: &dyn Disk, dir: &Path, path: &Path) -> io::Result<PathBuf> {
    let quarantine = dir.join(QUARANTINE_DIR);
    disk.create_dir(&quarantine)?;
    disk.sync_dir(dir)?;
    let taken = disk.list(&quarantine)?;
    let name = path.file_name().and_then(|name| name.to_str()).ok_or(io::ErrorKind::InvalidInput)?;
    let candidates = (0..QUARANTINED_COPIES_MAX).map(|copy| match copy {
        0 => name.to_owned(),
        _ => format!("{name}.{copy}"),
    });
    let free = candidates.into_iter().find(|candidate| taken.iter().all(|entry| entry.name != *candidate));
    free.map(|name| quarantine.join(name)).ok_or_else(|| io::ErrorKind::AlreadyExists.into())
}
