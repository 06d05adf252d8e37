//! Reads a whole log back: checks every byte, delivers every intact record in order, and tells a torn tail (the normal
//! end after a crash) from damage (acknowledged records are affected). Changes nothing on disk; what must be changed is
//! noted as [`Repair`]s, which [`Recovery::start`] carries out.
//!
//! ```text
//! …08.wal  ├─r─┼─r─┼─r─┤0000     complete: it has a successor, and that is created only behind a synced file
//! …09.wal  ├─r─┼─r─┼─x─┼─r─┤0000 the last file. Nothing intact lies behind x, or only records of x's own commit
//!                    │           ──► torn tail: x was never acknowledged
//!                    └ an intact record of a later commit lies behind x ──► damage: x was durable once
//! ```
//!
//! Limit of what can be known: if the disk itself loses records at the very end of the log, that looks like a torn tail.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;

use super::files::{LiveFiles, QUARANTINE_DIR, SealedFile, file_path, list_numbers};
use super::format::{
    DATA_START_BYTES, FORMAT_VERSION, FileHeader, HeaderProblem, Lsn, Position, RecordForm, RecordProblem,
    decode_file_header,
};
use super::group_commit::{CommitSink, Wal};
use super::reader::{Step, is_zero};
use super::repair::{self, Piece, Repair};
use super::walk::{FileWalk, Found, Place};
use super::writer::{Fault, LogWriter};
use super::{Damage, StartAt, WalOptions};
use crate::disk::{Disk, DiskExt};
use crate::{Error, Result};

/// More missing files than this are not bridged, even with quarantine: a stray file with a huge number.
const MISSING_FILES_MAX: u64 = 1024;

/// What to do about damage that a crash cannot explain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnDamage {
    /// Fail with [`Error::WalDamaged`] and change nothing.
    #[default]
    Refuse,
    /// Deliver every intact record, set damaged files aside in `quarantine/`, and report what is lost.
    Quarantine,
}

/// A record that was read back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecoveredRecord {
    /// Its place in the log.
    pub lsn: Lsn,
    /// The epoch of the writer that appended it.
    pub epoch: u32,
    /// The sequence number of its first row in that epoch.
    pub first_seq: u64,
    /// How many rows it has.
    pub rows: u32,
    /// As given to the append.
    pub kind: u8,
    /// The payload, in one piece. It shares memory with its whole file: copy it to keep it for long.
    pub payload: Bytes,
}

/// The unacknowledged end that a crash left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TornTail {
    /// The file.
    pub path: PathBuf,
    /// Where the tail starts, in bytes.
    pub offset: u64,
    /// Its length in bytes.
    pub bytes: u64,
}

/// Acknowledged records that are gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loss {
    /// The file that held them, as it was named before it was set aside.
    pub path: PathBuf,
    /// What is wrong with it.
    pub damage: Damage,
    /// Where the damage starts, in bytes.
    pub offset: u64,
    /// Damaged bytes.
    pub bytes: u64,
    /// The first lost record; `None` if nothing before it tells.
    pub first: Option<Lsn>,
    /// The record after the last lost one; `None` if no later file tells.
    pub until: Option<Lsn>,
    /// How many rows they had, if both ends are known and of one epoch.
    pub rows: Option<u64>,
}

/// What a recovery found. Logging it is up to the caller.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RecoveryReport {
    /// WAL files read.
    pub files: u64,
    /// Records delivered.
    pub records: u64,
    /// Rows in them.
    pub rows: u64,
    /// Payload bytes in them.
    pub payload_bytes: u64,
    /// The torn tail, if there was one.
    pub torn_tail: Option<TornTail>,
    /// What this recovery lost; only with [`OnDamage::Quarantine`].
    pub losses: Vec<Loss>,
    /// Records that an earlier quarantine lost, or that never were.
    pub known_gaps: Vec<Range<Lsn>>,
}

/// A log that was read and can be started.
#[derive(Debug)]
pub struct Recovery {
    disk: Arc<dyn Disk>,
    options: WalOptions,
    end: Option<End>,
    files: Vec<SealedFile>,
    repairs: Vec<Repair>,
    report: RecoveryReport,
}

impl Recovery {
    /// What was found.
    pub fn report(&self) -> &RecoveryReport {
        &self.report
    }

    /// The LSN of the next record.
    pub fn next_lsn(&self) -> Lsn {
        self.end.map_or(Lsn::FIRST, |end| end.next.lsn)
    }

    /// The newest epoch in the log, if it has one.
    pub fn last_epoch(&self) -> Option<u32> {
        self.end.map(|end| end.epoch)
    }

    /// Repairs the tail (and carries out the quarantine), then takes appends. Blocks.
    ///
    /// On a full disk a log that has files starts all the same, and refuses appends until there is space.
    pub fn start<T: Send + 'static>(self, start: StartAt, sink: Box<dyn CommitSink<T>>) -> Result<Wal<T>> {
        Wal::spawn(self.into_writer(start)?, sink)
    }

    pub(crate) fn into_writer(self, start: StartAt) -> Result<LogWriter> {
        let Self { disk, options, end, mut files, repairs, .. } = self;
        if let Some(End { epoch: last, .. }) = end
            && last > start.epoch
        {
            return Err(Error::WalEpochTooOld { path: options.dir, last, claimed: start.epoch });
        }
        repair::run(&*disk, &options, &repairs)?;
        match (end, files.pop()) {
            (Some(end), Some(active)) => {
                let seq = if end.epoch == start.epoch { end.next.seq } else { 0 };
                let next = Position { seq, ..end.next };
                Ok(LogWriter::behind(disk, options, start, next, LiveFiles::new(files, active)))
            }
            _ => LogWriter::first(disk, options, start),
        }
    }
}

/// Where the log ends so far: what is expected next.
#[derive(Debug, Clone, Copy)]
struct End {
    epoch: u32,
    next: Position,
}

impl End {
    /// Where the file behind this end must start.
    fn successor(self, epoch: u32) -> Position {
        Position { seq: if epoch == self.epoch { self.next.seq } else { 0 }, ..self.next }
    }

    /// How this end's own epoch names the start of a later file; never before this end.
    fn until(self, later: FileHeader) -> Position {
        let rows = self.rows_until(later).unwrap_or(0);
        Position { lsn: self.next.lsn.max(later.first.lsn), seq: self.next.seq.saturating_add(rows) }
    }

    /// Rows between this end and a later file, if they are of one epoch.
    fn rows_until(self, later: FileHeader) -> Option<u64> {
        (later.epoch == self.epoch).then(|| later.first.seq.saturating_sub(self.next.seq))
    }
}

/// Reads the log in `options.dir` and hands every intact record to `deliver`, in LSN order, each once. An error of
/// `deliver` ends the reading. A missing directory is an empty log. Blocks; holds one WAL file in memory at a time.
///
/// Errors: [`Error::WalDamaged`] (unless quarantine is chosen), [`Error::WalNewerFormat`], [`Error::WalIo`].
pub fn recover(
    disk: Arc<dyn Disk>,
    options: WalOptions,
    on_damage: OnDamage,
    deliver: &mut dyn FnMut(RecoveredRecord) -> Result<()>,
) -> Result<Recovery> {
    let mut walk = Walk {
        disk: &*disk,
        dir: &options.dir,
        on_damage,
        deliver,
        end: None,
        files: Vec::new(),
        repairs: Vec::new(),
        report: RecoveryReport::default(),
    };
    let (slots, last_is_last) = walk.slots()?;
    for (index, slot) in slots.iter().enumerate() {
        let later = slots.get(index.saturating_add(1)..).unwrap_or_default();
        let place = Place {
            is_last: later.is_empty() && last_is_last,
            next_sound: later.first().and_then(|slot| slot.header.ok()),
            next_known: later.iter().find_map(|slot| slot.header.ok()),
        };
        match slot.header {
            Ok(header) => walk.file(slot, header, place)?,
            Err(damage) => walk.unreadable(slot, damage, place)?,
        }
    }
    walk.drop_empty_end();
    let Walk { end, files, repairs, report, .. } = walk;
    Ok(Recovery { disk, options, end, files, repairs, report })
}

/// A file number between the first and the last, whether or not the file can be read.
struct Slot {
    number: u64,
    path: PathBuf,
    header: Result<FileHeader, Damage>,
}

struct Walk<'a> {
    disk: &'a dyn Disk,
    dir: &'a Path,
    on_damage: OnDamage,
    deliver: &'a mut dyn FnMut(RecoveredRecord) -> Result<()>,
    end: Option<End>,
    files: Vec<SealedFile>,
    repairs: Vec<Repair>,
    report: RecoveryReport,
}

impl Walk<'_> {
    /// Every number from the first file to the last. The flag says whether the last slot is the last file ever
    /// created: a crash while the next one was being created leaves a file without header and records, which is
    /// dropped here and proves that the one before it was complete.
    fn slots(&mut self) -> Result<(Vec<Slot>, bool)> {
        let numbers = match list_numbers(self.disk, self.dir) {
            Ok(numbers) => numbers,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(Fault::new("list", self.dir, error).into_io()),
        };
        let mut slots: Vec<Slot> = Vec::new();
        for &number in &numbers {
            let missing_from = slots.last().map_or(number, |slot| slot.number.saturating_add(1));
            let missing = missing_from..number;
            if missing.end.saturating_sub(missing.start) > MISSING_FILES_MAX {
                return Err(self.damaged(&file_path(self.dir, missing_from), 0, Damage::FileMissing));
            }
            slots.extend(missing.map(|number| Slot {
                number,
                path: file_path(self.dir, number),
                header: Err(Damage::FileMissing),
            }));
            slots.push(self.slot(number)?);
        }
        self.drop_released(&mut slots)?;
        let headless = slots.last().filter(|slot| slot.header == Err(Damage::FileHeader));
        let headless = headless.map(|slot| slot.path.clone());
        let mut last_is_last = true;
        if let Some(path) = headless
            && self.is_blank(&path)?
        {
            slots.pop();
            self.repairs.push(Repair::Remove { path });
            last_is_last = false;
        }
        Ok((slots, last_is_last))
    }

    /// Drops files from the front that were cut down to their headers to be removed, with what is missing behind them:
    /// a removal that a failed fsync of the directory lost can bring a file back although later ones are gone.
    fn drop_released(&mut self, slots: &mut Vec<Slot>) -> Result<()> {
        let mut released = 0;
        for (index, slot) in slots.iter().enumerate() {
            match slot.header {
                Err(Damage::FileMissing) if index > 0 => {}
                Ok(_) if index.saturating_add(1) < slots.len() && self.is_bare(&slot.path)? => {
                    self.repairs.push(Repair::Remove { path: slot.path.clone() });
                }
                _ => break,
            }
            released = index.saturating_add(1);
        }
        slots.drain(..released);
        Ok(())
    }

    /// Whether a file ends with its header.
    fn is_bare(&self, path: &Path) -> Result<bool> {
        let len = self.disk.open(path).and_then(|file| file.len_bytes());
        let len = len.map_err(|error| Fault::new("read the length of", path, error).into_io())?;
        Ok(len == DATA_START_BYTES as u64)
    }

    fn slot(&self, number: u64) -> Result<Slot> {
        let path = file_path(self.dir, number);
        let io = |error| Fault::new("read", &path, error).into_io();
        let file = self.disk.open(&path).map_err(io)?;
        let mut head = vec![0; DATA_START_BYTES];
        let read = file.read_at(0, &mut head).map_err(io)?;
        head.truncate(read);
        let header = match decode_file_header(&head) {
            Ok(header) if header.file_number == number => Ok(header),
            Ok(header) => Err(Damage::FileNumber { found: header.file_number }),
            Err(HeaderProblem::Damaged) => Err(Damage::FileHeader),
            Err(HeaderProblem::Newer { version }) => {
                return Err(Error::WalNewerFormat { path, found: version, supported: FORMAT_VERSION });
            }
        };
        Ok(Slot { number, path, header })
    }

    /// Whether a file holds nothing where records would be.
    fn is_blank(&self, path: &Path) -> Result<bool> {
        let bytes = self.read(path)?;
        Ok(is_zero(bytes.get(DATA_START_BYTES..).unwrap_or_default()))
    }

    fn read(&self, path: &Path) -> Result<Bytes> {
        let bytes = self.disk.read(path).map_err(|error| Fault::new("read", path, error).into_io())?;
        Ok(Bytes::from(bytes))
    }

    fn damaged(&self, path: &Path, offset: usize, damage: Damage) -> Error {
        Error::WalDamaged {
            path: path.to_owned(),
            offset: offset as u64,
            damage,
            expected_lsn: self.end.map_or(Lsn::FIRST, |end| end.next.lsn),
            quarantine: self.dir.join(QUARANTINE_DIR),
        }
    }

    /// A file that is missing, or of which no record can be used.
    fn unreadable(&mut self, slot: &Slot, damage: Damage, place: Place) -> Result<()> {
        if self.on_damage == OnDamage::Refuse {
            return Err(self.damaged(&slot.path, 0, damage));
        }
        let is_there = damage != Damage::FileMissing;
        let bytes = if is_there { self.read(&slot.path)?.len() as u64 } else { 0 };
        let first = self.end.map(|end| end.next);
        let until = self.end.zip(place.next_known).map(|(end, later)| end.until(later));
        let rows = self.end.zip(place.next_known).and_then(|(end, later)| end.rows_until(later));
        self.report.losses.push(Loss {
            path: slot.path.clone(),
            damage,
            offset: 0,
            bytes,
            first: first.map(|first| first.lsn),
            until: place.next_known.map(|later| later.first.lsn),
            rows,
        });
        if let (Some(end), Some(until)) = (self.end, until) {
            let header = FileHeader { file_number: slot.number, epoch: end.epoch, first: end.next, salt: 0 };
            let pieces = Piece::gap(end.next, until).into_iter().collect();
            self.repairs.push(Repair::Replace { header, is_there, pieces });
            let lsns = end.next.lsn..until.lsn;
            self.files.push(SealedFile { number: slot.number, lsns, bytes: DATA_START_BYTES as u64 });
            self.end = Some(End { next: until, ..end });
        } else if is_there {
            // At either end of the log there is nothing to bridge.
            self.repairs.push(Repair::SetAside { path: slot.path.clone() });
        }
        Ok(())
    }

    fn file(&mut self, slot: &Slot, header: FileHeader, place: Place) -> Result<()> {
        if self.end.is_some_and(|end| end.epoch > header.epoch) {
            return self.unreadable(slot, Damage::Epoch { found: header.epoch }, place);
        }
        let bytes = self.read(&slot.path)?;
        let len = bytes.len();
        let start = self.end.map_or(header.first, |end| end.successor(header.epoch));
        self.end = Some(End { epoch: header.epoch, next: start });
        let mut file = FileWalk::new(&slot.path, header, bytes, place, start);
        self.report.files = self.report.files.saturating_add(1);
        if header.first != start {
            self.damage(
                &mut file,
                Damage::Order { found: header.first.lsn },
                Some((DATA_START_BYTES, start)),
            )?;
        }
        while let Some(found) = self.next_record(&mut file)? {
            file.keep(&found);
            self.take(header.epoch, found)?;
        }
        self.end_of_file(&mut file)?;
        let is_final = place.next_known.is_none();
        let bytes = if is_final || file.damaged { file.end } else { len };
        let lsns = start.lsn..file.expected.lsn;
        self.files.push(SealedFile { number: slot.number, lsns, bytes: bytes as u64 });
        if file.damaged {
            let header = FileHeader { first: start, ..header };
            self.repairs.push(Repair::Replace { header, is_there: true, pieces: file.pieces });
        } else if is_final {
            let (commit_start, end) = (file.commit_start as u64, file.end as u64);
            self.repairs.push(Repair::Finish { header, commit_start, end });
        }
        Ok(())
    }

    /// A last file without records goes, unless it is all there is: if the fsync of its directory failed, its name may
    /// be known to the cache only, and a later file must not come to stand behind a name that the next crash takes.
    fn drop_empty_end(&mut self) {
        let [.., _, last] = self.files.as_slice() else { return };
        let is_finish = |repair: &Repair| matches!(repair, Repair::Finish { .. });
        if last.lsns.is_empty()
            && let Some(index) = self.repairs.iter().position(is_finish)
        {
            self.repairs.remove(index);
            self.repairs.push(Repair::Remove { path: file_path(self.dir, last.number) });
            self.files.pop();
        }
    }

    /// The next record to deliver; `None` at the end of what can be read in this file.
    fn next_record(&mut self, file: &mut FileWalk<'_>) -> Result<Option<Found>> {
        loop {
            let offset = file.reader.offset();
            let damage = match file.reader.step() {
                Step::End => return Ok(None),
                Step::Record { header, framed, payload } if header.at == file.expected => {
                    return Ok(Some(Found { header, framed, payload }));
                }
                Step::Record { header, .. } => Damage::Order { found: header.at.lsn },
                Step::Problem(RecordProblem::Header) => Damage::RecordHeader,
                Step::Problem(RecordProblem::Payload) => Damage::Payload,
            };
            file.reader.seek(offset);
            if file.explained_by_crash() {
                let bytes = file.reader.written_bytes_from(offset) as u64;
                self.report.torn_tail =
                    Some(TornTail { path: file.path.to_owned(), offset: offset as u64, bytes });
                return Ok(None);
            }
            let usable = file.next_usable();
            self.damage(file, damage, usable)?;
            let Some((resume, at)) = usable else {
                file.lost_its_end = true;
                return Ok(None);
            };
            file.reader.seek(resume);
            file.bridge(at);
            self.end = Some(End { epoch: file.header.epoch, next: at });
        }
    }

    fn take(&mut self, epoch: u32, found: Found) -> Result<()> {
        let Found { header, payload, .. } = found;
        self.end = Some(End { epoch, next: header.end() });
        if matches!(header.form, RecordForm::Gap { .. }) {
            self.report.known_gaps.push(header.at.lsn..header.end().lsn);
            return Ok(());
        }
        self.report.records = self.report.records.saturating_add(1);
        self.report.rows = self.report.rows.saturating_add(u64::from(header.rows));
        self.report.payload_bytes = self.report.payload_bytes.saturating_add(payload.len() as u64);
        let Position { lsn, seq: first_seq } = header.at;
        (self.deliver)(RecoveredRecord {
            lsn,
            epoch,
            first_seq,
            rows: header.rows,
            kind: header.kind,
            payload,
        })
    }

    /// A file must end where its successor starts.
    fn end_of_file(&mut self, file: &mut FileWalk<'_>) -> Result<()> {
        let end = End { epoch: file.header.epoch, next: file.expected };
        let Some(later) = file.place.next_sound.filter(|later| later.first.lsn > file.expected.lsn) else {
            return Ok(());
        };
        if !file.lost_its_end {
            self.damage(file, Damage::Ends { next: later.first.lsn }, None)?;
        }
        let until = end.until(later);
        file.bridge(until);
        self.end = Some(End { next: until, ..end });
        Ok(())
    }

    /// Refuses, or notes the loss of everything from the expected record to the one where reading can go on (without
    /// one: to the next file).
    fn damage(
        &mut self,
        file: &mut FileWalk<'_>,
        damage: Damage,
        resume: Option<(usize, Position)>,
    ) -> Result<()> {
        let offset = file.reader.offset();
        if self.on_damage == OnDamage::Refuse {
            return Err(self.damaged(file.path, offset, damage));
        }
        file.damaged = true;
        let end = End { epoch: file.header.epoch, next: file.expected };
        let (until, rows) = match (resume, file.place.next_sound) {
            (Some((_, at)), _) => (Some(at.lsn), Some(at.seq.saturating_sub(end.next.seq))),
            (None, Some(later)) => (Some(later.first.lsn), end.rows_until(later)),
            (None, None) => (None, None),
        };
        self.report.losses.push(Loss {
            path: file.path.to_owned(),
            damage,
            offset: offset as u64,
            bytes: file.damaged_bytes(resume.map(|(offset, _)| offset)) as u64,
            first: Some(end.next.lsn),
            until,
            rows,
        });
        Ok(())
    }
}
