//! Where lines come from: a file, or standard input, which may be a live stream.
//!
//! A live stream is read on a thread of its own, so that rows do not wait for lines that are yet to be written: after
//! a while without bytes the read times out, and the rows so far are sent.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, UNIX_EPOCH};

use crate::cli::failure::Failure;
use crate::text::{decompress, is_compressed};

/// How long rows of a live stream wait for more.
const LIVE_WAIT_MS: u64 = 500;
/// How much of a live stream is read at a time, in bytes, and how many such pieces wait.
const LIVE_READ_BYTES: usize = 64 * 1024;
const LIVE_READS_AHEAD_MAX: usize = 8;

/// What is loaded.
pub(super) struct Source {
    kind: Kind,
    read: Arc<AtomicU64>,
}

enum Kind {
    File { file: File, facts: FileFacts },
    Stdin,
}

/// What tells whether a file is still the same.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(super) struct FileFacts {
    /// Its path without links.
    pub(super) path: PathBuf,
    /// Its length in bytes.
    pub(super) bytes: u64,
    /// When it was changed last, in nanoseconds since 1970.
    pub(super) modified_ns: u128,
}

impl Source {
    pub(super) fn open(path: &Path) -> Result<Self, Failure> {
        let failed = |source| Failure::Read { path: path.to_owned(), source };
        let file = File::open(path).map_err(failed)?;
        let metadata = file.metadata().map_err(failed)?;
        if metadata.is_dir() {
            return Err(failed(io::Error::new(
                io::ErrorKind::IsADirectory,
                "it is a directory; name the files in it",
            )));
        }
        let modified = metadata.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        let facts = FileFacts {
            path: path.canonicalize().map_err(failed)?,
            bytes: metadata.len(),
            modified_ns: modified.map_or(0, |since| since.as_nanos()),
        };
        Ok(Self { kind: Kind::File { file, facts }, read: Arc::default() })
    }

    pub(super) fn stdin() -> Self {
        Self { kind: Kind::Stdin, read: Arc::default() }
    }

    /// Whether lines may still be written while they are read.
    pub(super) fn is_live(&self) -> bool {
        matches!(self.kind, Kind::Stdin)
    }

    /// The file's facts, if it is one.
    pub(super) fn facts(&self) -> Option<&FileFacts> {
        match &self.kind {
            Kind::File { facts, .. } => Some(facts),
            Kind::Stdin => None,
        }
    }

    /// Counts the bytes that were read, before decompression.
    pub(super) fn counter(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.read)
    }

    /// The file's name without the end that says how it is compressed.
    pub(super) fn name(&self, path: &Path) -> Option<String> {
        let name = self.facts().and(path.file_name())?.to_string_lossy().into_owned();
        let plain = [".gz", ".zst", ".zstd"].iter().find_map(|end| name.strip_suffix(end));
        Some(plain.map_or(name.clone(), str::to_owned))
    }

    /// The decompressed bytes.
    pub(super) fn reader(self) -> io::Result<Box<dyn Read + Send>> {
        let count = self.read;
        match self.kind {
            Kind::File { file, .. } => decompress(BufReader::new(Counting { inner: file, count })),
            Kind::Stdin => decompress(BufReader::new(Counting { inner: Live::stdin(), count })),
        }
    }
}

struct Counting<R> {
    inner: R,
    count: Arc<AtomicU64>,
}

impl<R: Read> Read for Counting<R> {
    fn read(&mut self, space: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(space)?;
        self.count.fetch_add(u64::try_from(read).unwrap_or(0), Ordering::Relaxed);
        Ok(read)
    }
}

/// A stream that times out instead of waiting for ever. A compressed one waits: its reader cannot be interrupted.
struct Live {
    pieces: Receiver<io::Result<Vec<u8>>>,
    piece: io::Cursor<Vec<u8>>,
    patient: Option<bool>,
}

impl Live {
    fn stdin() -> Self {
        let (sender, pieces) = sync_channel(LIVE_READS_AHEAD_MAX);
        std::thread::spawn(move || pump(io::stdin().lock(), &sender));
        Self { pieces, piece: io::Cursor::default(), patient: None }
    }

    fn next_piece(&self) -> io::Result<Option<Vec<u8>>> {
        let wait = Duration::from_millis(LIVE_WAIT_MS);
        let piece = match self.patient {
            Some(false) => self.pieces.recv_timeout(wait),
            _ => self.pieces.recv().map_err(|_| RecvTimeoutError::Disconnected),
        };
        match piece {
            Ok(piece) => piece.map(Some),
            Err(RecvTimeoutError::Timeout) => Err(io::ErrorKind::TimedOut.into()),
            Err(RecvTimeoutError::Disconnected) => Ok(None),
        }
    }
}

impl Read for Live {
    fn read(&mut self, space: &mut [u8]) -> io::Result<usize> {
        loop {
            let read = self.piece.read(space)?;
            if read > 0 || space.is_empty() {
                return Ok(read);
            }
            let Some(piece) = self.next_piece()? else { return Ok(0) };
            self.patient.get_or_insert_with(|| is_compressed(&piece));
            self.piece = io::Cursor::new(piece);
        }
    }
}

fn pump(mut source: impl Read, pieces: &SyncSender<io::Result<Vec<u8>>>) {
    loop {
        let mut piece = vec![0; LIVE_READ_BYTES];
        let outcome = match source.read(&mut piece) {
            Ok(0) => return,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Ok(read) => {
                piece.truncate(read);
                Ok(piece)
            }
            Err(error) => Err(error),
        };
        let failed = outcome.is_err();
        if pieces.send(outcome).is_err() || failed {
            return;
        }
    }
}
