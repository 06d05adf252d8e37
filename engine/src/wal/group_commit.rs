//! The queue in front of the writer, the thread that empties it, and the public handle. Group commit needs no timer:
//! while one fsync runs the queue fills, and the next commit takes what is there (up to [`COMMIT_BYTES_MAX`]), so an
//! idle log commits at once and a busy one in large groups.

use std::collections::VecDeque;
use std::fmt;
use std::future::Future;
use std::ops::Range;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::thread::JoinHandle;

use parking_lot::{Condvar, Mutex};
use tokio::sync::oneshot;

use super::files::LiveFiles;
use super::format::{Lsn, RECORD_BYTES_MAX, framed_bytes};
use super::writer::{CommitFailure, Fault, LogWriter};
use super::{
    COMMIT_BYTES_MAX, COMMIT_RECORDS_MAX, Committed, NewRecord, QUEUE_RETRY_MS, WalOptions, truncation,
};
use crate::disk::Disk;
use crate::{Error, Result};

/// A record that is durable, with what its append attached to it.
#[derive(Debug)]
pub struct CommittedRecord<T> {
    /// Its place in the log.
    pub lsn: Lsn,
    /// The sequence number of its first row.
    pub first_seq: u64,
    /// How many rows it has.
    pub rows: u32,
    /// As given to the append.
    pub kind: u8,
    /// As given to the append.
    pub attachment: T,
}

/// Where durable records go before their appends are acknowledged.
pub trait CommitSink<T>: Send {
    /// Takes the records of one commit. Called on the writer thread, in LSN order over all calls, each record once,
    /// after the fsync and before the futures of these appends complete. The next commit waits for it, so it should
    /// only hand over. It must not call the WAL. A panic in it closes the WAL.
    fn committed(&mut self, records: Vec<CommittedRecord<T>>);
}

impl<T, F: FnMut(Vec<CommittedRecord<T>>) + Send> CommitSink<T> for F {
    fn committed(&mut self, records: Vec<CommittedRecord<T>>) {
        self(records);
    }
}

/// The acknowledgement of one append: completes once the record is durable and the [`CommitSink`] has it. Dropping it
/// does not undo the append. After [`Error::WalPoisoned`] or [`Error::WalClosed`] it is unknown whether the record is
/// stored; after any other error it is not.
#[derive(Debug)]
pub struct Appended(oneshot::Receiver<Result<Committed>>);

impl Appended {
    /// Waits on a thread that may block (never on an async one: it would panic).
    pub fn wait(self) -> Result<Committed> {
        self.0.blocking_recv().unwrap_or(Err(Error::WalClosed))
    }
}

impl Future for Appended {
    type Output = Result<Committed>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(context).map(|received| received.unwrap_or(Err(Error::WalClosed)))
    }
}

struct Waiting<T> {
    record: NewRecord,
    attachment: T,
    done: oneshot::Sender<Result<Committed>>,
}

struct Queue<T> {
    waiting: VecDeque<Waiting<T>>,
    /// Bytes of the records that wait and of the commit that runs.
    bytes: u64,
    /// No more appends; the thread ends when the queue is empty.
    closing: bool,
    /// The log is poisoned.
    poison: Option<Fault>,
}

struct Shared<T> {
    queue: Mutex<Queue<T>>,
    arrived: Condvar,
}

/// A running write-ahead log. Cheap calls from any thread; see the module for what it promises.
pub struct Wal<T> {
    shared: Arc<Shared<T>>,
    disk: Arc<dyn Disk>,
    options: WalOptions,
    files: Arc<Mutex<LiveFiles>>,
    /// Held while files are removed, so that they go in order.
    truncation: Mutex<()>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl<T> fmt::Debug for Wal<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wal")
            .field("options", &self.options)
            .field("files", &*self.files.lock())
            .finish_non_exhaustive()
    }
}

impl<T: Send + 'static> Wal<T> {
    pub(crate) fn spawn(writer: LogWriter, sink: Box<dyn CommitSink<T>>) -> Result<Self> {
        let queue = Queue { waiting: VecDeque::new(), bytes: 0, closing: false, poison: None };
        let shared = Arc::new(Shared { queue: Mutex::new(queue), arrived: Condvar::new() });
        let disk = Arc::clone(writer.disk());
        let options = writer.options().clone();
        let files = Arc::clone(writer.files());
        let for_thread = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("ironbark-wal".to_owned())
            .spawn(move || run(&for_thread, writer, sink))
            .map_err(|error| Fault::new("start the writer thread of", &options.dir, error).into_io())?;
        let thread = Mutex::new(Some(thread));
        Ok(Self { shared, disk, options, files, truncation: Mutex::new(()), thread })
    }

    /// Queues a record; LSNs follow the order of these calls. Returns at once: the result is the acknowledgement to
    /// wait for. `attachment` reaches the [`CommitSink`] with the record.
    ///
    /// Errors, nothing being stored: [`Error::WalRecordTooLarge`], [`Error::WalQueueFull`], [`Error::WalPoisoned`],
    /// [`Error::WalClosed`]. A full disk shows in the acknowledgement.
    pub fn append(&self, record: NewRecord, attachment: T) -> Result<Appended> {
        let payload_bytes = record.payload_bytes();
        if payload_bytes > RECORD_BYTES_MAX {
            return Err(Error::WalRecordTooLarge { bytes: payload_bytes, limit_bytes: RECORD_BYTES_MAX });
        }
        let bytes = framed_bytes(payload_bytes);
        let (done, receiver) = oneshot::channel();
        let mut queue = self.shared.queue.lock();
        if let Some(fault) = &queue.poison {
            return Err(fault.clone().into_poisoned());
        }
        if queue.closing {
            return Err(Error::WalClosed);
        }
        let total = queue.bytes.saturating_add(bytes);
        if queue.bytes > 0 && total > self.options.queue_bytes_max {
            return Err(Error::WalQueueFull {
                queued_bytes: queue.bytes,
                limit_bytes: self.options.queue_bytes_max,
                retry_after_ms: QUEUE_RETRY_MS,
            });
        }
        queue.bytes = total;
        queue.waiting.push_back(Waiting { record, attachment, done });
        drop(queue);
        self.shared.arrived.notify_one();
        Ok(Appended(receiver))
    }

    /// Removes the files whose records are all before `lsn`, oldest first, each removal durable before the next, so
    /// that a crash never leaves a hole. Blocks. Returns the bytes freed. The file that takes records stays.
    pub fn truncate_before(&self, lsn: Lsn) -> Result<u64> {
        let _in_order = self.truncation.lock();
        if let Some(fault) = &self.shared.queue.lock().poison {
            return Err(fault.clone().into_poisoned());
        }
        truncation::remove_before(&*self.disk, &self.options, &self.files, lsn).map_err(|failure| {
            if let CommitFailure::Poisoned(fault) = &failure {
                self.shared.queue.lock().poison = Some(fault.clone());
            }
            failure.into()
        })
    }

    /// Whether [`Wal::truncate_before`] would remove a file.
    pub(crate) fn would_free(&self, lsn: Lsn) -> bool {
        self.files.lock().oldest_before(lsn).is_some()
    }

    /// The records that the files hold: from the oldest to the one that comes next.
    pub fn live_range(&self) -> Range<Lsn> {
        self.files.lock().range()
    }

    /// Bytes of all WAL files, preallocated space included.
    pub fn bytes_on_disk(&self) -> u64 {
        self.files.lock().bytes()
    }

    /// Bytes that wait for the disk.
    pub fn queued_bytes(&self) -> u64 {
        self.shared.queue.lock().bytes
    }

    /// The error that later appends will meet, if the log is poisoned or closed.
    pub fn stopped(&self) -> Option<Error> {
        let queue = self.shared.queue.lock();
        match &queue.poison {
            Some(fault) => Some(fault.clone().into_poisoned()),
            None if queue.closing => Some(Error::WalClosed),
            None => None,
        }
    }

    /// The directory.
    pub fn dir(&self) -> PathBuf {
        self.options.dir.clone()
    }
}

impl<T> Wal<T> {
    /// Refuses new appends, commits those that wait, and ends the thread. Blocks. Dropping the `Wal` does the same.
    pub fn close(&self) {
        self.shared.queue.lock().closing = true;
        self.shared.arrived.notify_one();
        let Some(thread) = self.thread.lock().take() else { return };
        // The sink may own the last handle; its thread cannot wait for itself.
        if thread.thread().id() != std::thread::current().id() && thread.join().is_err() {
            tracing::error!("the WAL writer thread ended by a panic");
        }
    }
}

impl<T> Drop for Wal<T> {
    fn drop(&mut self) {
        self.close();
    }
}

/// Ends the queue when the thread ends, however it ends: whoever waits must hear of it.
struct EndOfThread<'a, T>(&'a Shared<T>);

impl<T> Drop for EndOfThread<'_, T> {
    fn drop(&mut self) {
        let mut queue = self.0.queue.lock();
        queue.closing = true;
        let unanswered = std::mem::take(&mut queue.waiting);
        queue.bytes = 0;
        drop(queue);
        drop(unanswered);
    }
}

fn run<T>(shared: &Shared<T>, mut writer: LogWriter, mut sink: Box<dyn CommitSink<T>>) {
    let end = EndOfThread(shared);
    while let Some(group) = next_group(shared) {
        let bytes = group.iter().map(|waiting| framed_bytes(waiting.record.payload_bytes()));
        let bytes = bytes.fold(0, u64::saturating_add);
        commit_group(shared, &mut writer, &mut *sink, group);
        let mut queue = shared.queue.lock();
        queue.bytes = queue.bytes.saturating_sub(bytes);
    }
    drop(end);
}

/// Waits for records and takes what one commit may hold; `None` when the log is closed and the queue empty.
fn next_group<T>(shared: &Shared<T>) -> Option<Vec<Waiting<T>>> {
    let mut queue = shared.queue.lock();
    while queue.waiting.is_empty() {
        if queue.closing {
            return None;
        }
        shared.arrived.wait(&mut queue);
    }
    let mut group = Vec::new();
    let mut bytes: u64 = 0;
    while let Some(waiting) = queue.waiting.pop_front() {
        bytes = bytes.saturating_add(waiting.record.payload_bytes());
        if !group.is_empty() && bytes > COMMIT_BYTES_MAX {
            queue.waiting.push_front(waiting);
            break;
        }
        group.push(waiting);
        if group.len() == COMMIT_RECORDS_MAX {
            break;
        }
    }
    Some(group)
}

fn commit_group<T>(
    shared: &Shared<T>,
    writer: &mut LogWriter,
    sink: &mut dyn CommitSink<T>,
    group: Vec<Waiting<T>>,
) {
    let (mut records, mut rest) = (Vec::with_capacity(group.len()), Vec::with_capacity(group.len()));
    for Waiting { record, attachment, done } in group {
        records.push(record);
        rest.push((attachment, done));
    }
    // A failed truncation poisons from outside the writer.
    let poison = shared.queue.lock().poison.clone();
    let outcome = poison.map_or_else(|| writer.commit(&records), |fault| Err(CommitFailure::Poisoned(fault)));
    match outcome {
        Ok(committed) => {
            let mut answers = Vec::with_capacity(rest.len());
            let mut durable = Vec::with_capacity(rest.len());
            for ((record, (attachment, done)), given) in records.iter().zip(rest).zip(committed) {
                let Committed { lsn, first_seq } = given;
                durable.push(CommittedRecord {
                    lsn,
                    first_seq,
                    rows: record.rows,
                    kind: record.kind,
                    attachment,
                });
                answers.push((done, given));
            }
            metrics::counter!("ironbark_wal_commits_total").increment(1);
            metrics::counter!("ironbark_wal_records_total").increment(durable.len() as u64);
            sink.committed(durable);
            for (done, given) in answers {
                // Whoever dropped the future does not want to know.
                let _ = done.send(Ok(given));
            }
        }
        Err(failure) => {
            if let CommitFailure::Poisoned(fault) = &failure {
                shared.queue.lock().poison = Some(fault.clone());
            }
            for (_, done) in rest {
                let _ = done.send(Err(failure.clone().into()));
            }
        }
    }
}
