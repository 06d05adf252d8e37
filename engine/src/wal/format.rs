//! The bytes of a WAL file: constants, encoding and decoding, no I/O and no policy. docs/FORMAT.md, "Write-ahead log",
//! says the same in prose; a change here is a new format version. All integers are little-endian.
//!
//! ```text
//! wal/00000000000000000007.wal
//!
//! 0        64            2048     2112          4096
//! ├─header─┼─zeros───────┼─header─┼─zeros───────┼─record─┬─record─┬─ … ─┬─zeros (preallocated)──┤
//!   primary                copy                   every record starts at a multiple of 8
//!
//! file header, 64 bytes               record, 48 bytes and payload
//!  0 magic        8 "IRONWAL\n"        0 magic         4 "IBWR"
//!  8 version      4                    4 header_crc    4 CRC32C(salt, bytes 8..48)
//! 12 data_start   4 = 4096             8 payload_len   4
//! 16 file_number  8                   12 payload_crc   4 CRC32C(payload)
//! 24 epoch        4, then 4 zeros     16 lsn           8
//! 32 first_lsn    8                   24 first_seq     8
//! 40 first_seq    8                   32 rows          4
//! 48 salt         8                   36 commit_index  4
//! 56 zeros        4                   40 kind          1
//! 60 crc          4 CRC32C(0..60)     41 form          1 0 = data, 1 = gap
//!                                     42 zeros         6
//!                                     48 payload, then zeros up to a multiple of 8
//! ```
//!
//! The salt is random and secret. Without it a stored message could hold bytes that look like a record, and a torn
//! tail that cuts through that message would look like damage in the middle of the log.

use std::fmt;

use crc32c::{crc32c, crc32c_append};

/// The version that this code writes, and the newest that it reads.
pub(crate) const FORMAT_VERSION: u32 = 1;
/// Bytes of one copy of the file header.
pub(crate) const FILE_HEADER_BYTES: usize = 64;
/// Where the second copy of the file header starts: in another sector than the first.
pub(crate) const FILE_HEADER_COPY_OFFSET: usize = 2048;
/// Where the first record starts: the header never shares a 4 KiB disk sector with a record.
pub(crate) const DATA_START_BYTES: usize = 4096;
/// Bytes of a record before its payload.
pub(crate) const RECORD_HEADER_BYTES: usize = 48;
/// Records start at multiples of this.
pub(crate) const RECORD_ALIGN_BYTES: usize = 8;
/// The largest payload of one record.
pub const RECORD_BYTES_MAX: u64 = 256 * 1024 * 1024;

const FILE_MAGIC: [u8; 8] = *b"IRONWAL\n";
const RECORD_MAGIC: [u8; 4] = *b"IBWR";
const FORM_DATA: u8 = 0;
const FORM_GAP: u8 = 1;
const GAP_PAYLOAD_BYTES: usize = 16;

/// Log sequence number: the position of a record in the log. Consecutive, the first is 1, never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lsn(u64);

impl Lsn {
    /// The first record of a new log.
    pub const FIRST: Self = Self(1);

    /// The record with this number.
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// The number.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The record after this one. Saturates: nobody writes 2^64 records.
    pub const fn next(self) -> Self {
        self.plus(1)
    }

    pub(crate) const fn plus(self, records: u64) -> Self {
        Self(self.0.saturating_add(records))
    }

    /// How many records lie from `earlier` (included) to this one (excluded).
    pub(crate) const fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

impl fmt::Display for Lsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// Where the log stands: what the next record will be called.
///
/// LSNs go on for ever. Row sequence numbers start at 0 with each epoch: a row is named by epoch and sequence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// The record.
    pub lsn: Lsn,
    /// The sequence number of its first row.
    pub seq: u64,
}

impl Position {
    /// The start of a new log.
    pub const START: Self = Self { lsn: Lsn::FIRST, seq: 0 };

    pub(crate) fn after(self, records: u64, rows: u64) -> Self {
        Self { lsn: self.lsn.plus(records), seq: self.seq.saturating_add(rows) }
    }
}

/// What the file header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FileHeader {
    pub(crate) file_number: u64,
    pub(crate) epoch: u32,
    pub(crate) first: Position,
    pub(crate) salt: u64,
}

/// Why a file header cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HeaderProblem {
    /// It is intact and from a newer release.
    Newer { version: u32 },
    /// Neither copy is intact.
    Damaged,
}

/// What a record is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RecordForm {
    /// The payload belongs to the caller.
    Data,
    /// The records from this LSN on are lost; written by a quarantine, so that the log stays consecutive.
    Gap { records: u64, rows: u64 },
}

/// What the header of a record says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RecordHeader {
    pub(crate) form: RecordForm,
    pub(crate) kind: u8,
    pub(crate) at: Position,
    pub(crate) rows: u32,
    /// 0 for the first record of a group commit, then 1, 2, … A commit starts only after the one before it was
    /// synced, so a record proves that everything before the first record of its own commit was once durable.
    pub(crate) commit_index: u32,
    pub(crate) payload_len: u32,
    pub(crate) payload_crc: u32,
}

impl RecordHeader {
    /// The position of the next record.
    pub(crate) fn end(&self) -> Position {
        match self.form {
            RecordForm::Data => self.at.after(1, u64::from(self.rows)),
            RecordForm::Gap { records, rows } => self.at.after(records, rows),
        }
    }

    /// The first record of the group commit that this record was part of.
    pub(crate) fn commit_start(&self) -> Lsn {
        Lsn(self.at.lsn.0.saturating_sub(u64::from(self.commit_index)))
    }
}

/// Why there is no record at some offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RecordProblem {
    Header,
    Payload,
}

/// Bytes that a payload of `len` takes in the file, header and padding included.
pub(crate) fn framed_bytes(payload_len: u64) -> u64 {
    payload_len.saturating_add(RECORD_HEADER_BYTES as u64).next_multiple_of(RECORD_ALIGN_BYTES as u64)
}

/// The whole region before the first record: both header copies and zeros.
pub(crate) fn encode_file_header(header: &FileHeader) -> Vec<u8> {
    let mut copy = Vec::with_capacity(FILE_HEADER_BYTES);
    copy.extend_from_slice(&FILE_MAGIC);
    copy.extend_from_slice(&FORMAT_VERSION.to_le_bytes());
    copy.extend_from_slice(&4096_u32.to_le_bytes());
    copy.extend_from_slice(&header.file_number.to_le_bytes());
    copy.extend_from_slice(&header.epoch.to_le_bytes());
    copy.extend_from_slice(&[0; 4]);
    copy.extend_from_slice(&header.first.lsn.0.to_le_bytes());
    copy.extend_from_slice(&header.first.seq.to_le_bytes());
    copy.extend_from_slice(&header.salt.to_le_bytes());
    copy.extend_from_slice(&[0; 4]);
    let crc = crc32c(&copy);
    copy.extend_from_slice(&crc.to_le_bytes());

    let mut region = copy.clone();
    region.resize(FILE_HEADER_COPY_OFFSET, 0);
    region.extend_from_slice(&copy);
    region.resize(DATA_START_BYTES, 0);
    region
}

/// Reads the first intact copy of the header from the start of a file.
pub(crate) fn decode_file_header(file: &[u8]) -> Result<FileHeader, HeaderProblem> {
    for start in [0, FILE_HEADER_COPY_OFFSET] {
        let Some(copy) = file.get(start..).and_then(|rest| rest.first_chunk::<FILE_HEADER_BYTES>()) else {
            continue;
        };
        if let Some(version) = intact_version(copy) {
            if version > FORMAT_VERSION {
                return Err(HeaderProblem::Newer { version });
            }
            if let Some(header) = file_header_fields(copy) {
                return Ok(header);
            }
        }
    }
    Err(HeaderProblem::Damaged)
}

/// The version, if magic and checksum are right. Every future version keeps these three in their places.
fn intact_version(copy: &[u8; FILE_HEADER_BYTES]) -> Option<u32> {
    let crc = u32_at(copy, 60)?;
    let intact = copy.starts_with(&FILE_MAGIC) && crc32c(copy.get(..60)?) == crc;
    if intact { u32_at(copy, 8) } else { None }
}

fn file_header_fields(copy: &[u8]) -> Option<FileHeader> {
    Some(FileHeader {
        file_number: u64_at(copy, 16)?,
        epoch: u32_at(copy, 24)?,
        first: Position { lsn: Lsn(u64_at(copy, 32)?), seq: u64_at(copy, 40)? },
        salt: u64_at(copy, 48)?,
    })
}

/// Appends the 48 header bytes. `payload_len` and `payload_crc` must be set.
pub(crate) fn encode_record_header(out: &mut Vec<u8>, header: &RecordHeader, salt: u64) {
    let mut checked = Vec::with_capacity(RECORD_HEADER_BYTES);
    checked.extend_from_slice(&header.payload_len.to_le_bytes());
    checked.extend_from_slice(&header.payload_crc.to_le_bytes());
    checked.extend_from_slice(&header.at.lsn.0.to_le_bytes());
    checked.extend_from_slice(&header.at.seq.to_le_bytes());
    checked.extend_from_slice(&header.rows.to_le_bytes());
    checked.extend_from_slice(&header.commit_index.to_le_bytes());
    checked.push(header.kind);
    checked.push(match header.form {
        RecordForm::Data => FORM_DATA,
        RecordForm::Gap { .. } => FORM_GAP,
    });
    checked.extend_from_slice(&[0; 6]);
    out.extend_from_slice(&RECORD_MAGIC);
    out.extend_from_slice(&header_crc(salt, &checked).to_le_bytes());
    out.extend_from_slice(&checked);
}

/// Appends a whole gap record.
pub(crate) fn encode_gap(out: &mut Vec<u8>, at: Position, until: Position, salt: u64) {
    let (records, rows) = (until.lsn.since(at.lsn), until.seq.saturating_sub(at.seq));
    let mut payload = Vec::with_capacity(GAP_PAYLOAD_BYTES);
    payload.extend_from_slice(&records.to_le_bytes());
    payload.extend_from_slice(&rows.to_le_bytes());
    let header = RecordHeader {
        form: RecordForm::Gap { records, rows },
        kind: 0,
        at,
        rows: 0,
        commit_index: 0,
        payload_len: 16,
        payload_crc: crc32c(&payload),
    };
    encode_record_header(out, &header, salt);
    out.extend_from_slice(&payload);
}

/// Decodes the record at `offset`, checking header, bounds, payload checksum and padding. The payload is
/// `file[offset + 48 ..][.. payload_len]`.
pub(crate) fn decode_record(file: &[u8], offset: usize, salt: u64) -> Result<RecordHeader, RecordProblem> {
    let mut header = record_header(file, offset, salt).ok_or(RecordProblem::Header)?;
    let framed = file.get(offset..).and_then(|rest| rest.get(..record_bytes(&header)?));
    let framed = framed.ok_or(RecordProblem::Header)?;
    let (payload, padding) = framed
        .get(RECORD_HEADER_BYTES..)
        .and_then(|rest| rest.split_at_checked(usize::try_from(header.payload_len).ok()?))
        .ok_or(RecordProblem::Header)?;
    if crc32c(payload) != header.payload_crc || padding.iter().any(|byte| *byte != 0) {
        return Err(RecordProblem::Payload);
    }
    if matches!(header.form, RecordForm::Gap { .. }) {
        let (Some(records), Some(rows)) = (u64_at(payload, 0), u64_at(payload, 8)) else {
            return Err(RecordProblem::Payload);
        };
        header.form = RecordForm::Gap { records, rows };
    }
    Ok(header)
}

/// Only the header of the record at `offset`; a gap is returned with zero counts, they lie in the payload.
pub(crate) fn record_header(file: &[u8], offset: usize, salt: u64) -> Option<RecordHeader> {
    let bytes = file.get(offset..)?.first_chunk::<RECORD_HEADER_BYTES>()?;
    if !bytes.starts_with(&RECORD_MAGIC) || u32_at(bytes, 4)? != header_crc(salt, bytes.get(8..)?) {
        return None;
    }
    let form = match *bytes.get(41)? {
        FORM_DATA => RecordForm::Data,
        FORM_GAP => RecordForm::Gap { records: 0, rows: 0 },
        _ => return None,
    };
    Some(RecordHeader {
        form,
        kind: *bytes.get(40)?,
        at: Position { lsn: Lsn(u64_at(bytes, 16)?), seq: u64_at(bytes, 24)? },
        rows: u32_at(bytes, 32)?,
        commit_index: u32_at(bytes, 36)?,
        payload_len: u32_at(bytes, 8)?,
        payload_crc: u32_at(bytes, 12)?,
    })
}

/// Bytes that the record takes in the file; `None` where an address cannot hold it.
pub(crate) fn record_bytes(header: &RecordHeader) -> Option<usize> {
    usize::try_from(framed_bytes(u64::from(header.payload_len))).ok()
}

fn header_crc(salt: u64, checked: &[u8]) -> u32 {
    crc32c_append(crc32c(&salt.to_le_bytes()), checked)
}

fn u32_at(bytes: &[u8], offset: usize) -> Option<u32> {
    Some(u32::from_le_bytes(*bytes.get(offset..)?.first_chunk()?))
}

fn u64_at(bytes: &[u8], offset: usize) -> Option<u64> {
    Some(u64::from_le_bytes(*bytes.get(offset..)?.first_chunk()?))
}
