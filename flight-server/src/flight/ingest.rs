//! Bulk ingest: `DoPut` of `CommandStatementIngest`.
//!
//! ```text
//!   Arrow stream ─► sizes ─► pieces ─► decode (blocking thread) ─► engine.append ─► … ─► counts, once all is durable
//!                                      next piece decodes while ──► this one syncs
//! ```
//!
//! Each batch of the stream is appended whole or not at all, in order; only one that is very large is cut into pieces
//! of which that is true. With an idempotency key the n-th batch has the key `KEY#n` (its pieces `KEY#n.1`, `KEY#n.2`
//! …), so a stream that broke can be sent again from its start. The pieces follow from the batch alone, before any row
//! is judged, so that they are the same when it is sent again, whatever the clock says then. A full buffer holds the stream up for a
//! while before it is refused: gRPC's flow control then holds the client up.

use std::sync::Arc;
use std::time::Duration;

use arrow::array::RecordBatch;
use arrow_flight::FlightData;
use arrow_flight::decode::{DecodedPayload, FlightDataDecoder};
use arrow_flight::error::FlightError;
use arrow_flight::sql::{
    CommandStatementIngest, TableDefinitionOptions, TableExistsOption, TableNotExistOption,
};
use bytes::Bytes;
use futures::{Stream, TryStreamExt as _};
use ironbark_engine::{Appended, Engine, IdempotencyKey, Once};
use ironbark_storage::{LogBatch, TableRef, Tables as _};
use parking_lot::Mutex;
use prost::Message as _;
use tokio::task::JoinHandle;
use tonic::metadata::MetadataMap;
use tonic::{Code, Status};
use xxhash_rust::xxh3::Xxh3;

use super::caller::Caller;
use super::wire::IngestResult;
use super::{Flight, error, messages};
use crate::decode::arrow::BadBatch;
use crate::decode::expansion::{self, Piece};
use crate::decode::{self, arrow as columns};

/// The header with a stream's idempotency key, in HTTP and in Flight.
pub const IDEMPOTENCY_HEADER: &str = "x-ironbark-idempotency-key";

/// Most bytes that one message may take decompressed, and the dictionaries of a stream together.
const DECOMPRESSED_BYTES_MAX: usize = 256 << 20;
/// Refused rows that a result names; all are counted.
const REJECTED_TOLD_MAX: usize = 10_000;
/// How long a stream waits for room before it is refused.
const ROOM_WAIT_MAX: Duration = Duration::from_secs(20);

/// Takes a stream of rows in.
pub(super) async fn ingest<S>(
    flight: &Flight,
    caller: &Caller,
    command: CommandStatementIngest,
    headers: &MetadataMap,
    stream: S,
) -> Result<IngestResult, Status>
where
    S: Stream<Item = Result<FlightData, FlightError>> + Send + 'static,
{
    let key = idempotency_key(headers)?;
    let table = target(flight, caller, &command).await?;
    let hash = Arc::new(Mutex::new(Xxh3::new()));
    let hashed = {
        let (hash, wanted) = (Arc::clone(&hash), key.is_some());
        stream.inspect_ok(move |message| {
            if wanted {
                let mut hash = hash.lock();
                hash.update(&message.data_header);
                hash.update(&message.data_body);
            }
        })
    };
    let mut intake = Intake {
        flight: flight.clone(),
        table,
        key,
        done: IngestResult::default(),
        rows_seen: 0,
        batches_seen: 0,
        pending: None,
    };
    let taken = intake.take_all(messages::decoder(hashed, DECOMPRESSED_BYTES_MAX), &hash).await;
    // An append that has begun is awaited whatever became of the rest, so that the count is true.
    let settled = intake.settle().await;
    taken.and(settled).map_err(|status| intake.explain(&status))?;
    Ok(intake.done)
}

/// A stream on its way in.
struct Intake {
    flight: Flight,
    table: TableRef,
    key: Option<String>,
    done: IngestResult,
    rows_seen: u64,
    batches_seen: u64,
    pending: Option<JoinHandle<Result<IngestResult, Status>>>,
}

impl Intake {
    async fn take_all(&mut self, mut messages: FlightDataDecoder, hash: &Mutex<Xxh3>) -> Result<(), Status> {
        while let Some(message) = messages.try_next().await.map_err(error::from_client)? {
            match message.payload {
                DecodedPayload::Schema(schema) => {
                    columns::check_schema(&schema).map_err(|error| error::bad_batch(&error))?;
                }
                DecodedPayload::RecordBatch(batch) => {
                    let body_hash = hash.lock().digest128();
                    self.take(batch, body_hash).await?;
                }
                DecodedPayload::None => {}
            }
        }
        Ok(())
    }

    async fn take(&mut self, batch: RecordBatch, body_hash: u128) -> Result<(), Status> {
        let first_line = self.rows_seen + 1;
        self.rows_seen += u64::try_from(batch.num_rows()).unwrap_or(u64::MAX);
        self.batches_seen += 1;
        let name = self.key.as_ref().map(|key| format!("{key}#{}", self.batches_seen));
        let (batch, pieces) =
            blocking(move || expansion::pieces(&batch).map(|pieces| (batch, pieces))).await?;
        let single = pieces.len() == 1;
        for (number, piece) in (1..).zip(pieces) {
            let name =
                name.as_ref().map(|name| if single { name.clone() } else { format!("{name}.{number}") });
            self.take_piece(&batch, piece, first_line, name, body_hash).await?;
        }
        Ok(())
    }

    async fn take_piece(
        &mut self,
        batch: &RecordBatch,
        piece: Piece,
        first_line: u64,
        name: Option<String>,
        body_hash: u128,
    ) -> Result<(), Status> {
        let node = Arc::clone(&self.flight.node);
        let key = name.map(|name| name.parse::<IdempotencyKey>()).transpose();
        let key = key.map_err(|error| error::engine(&error))?;
        if let Some(key) = &key {
            let before = node.engine.recall(&self.table, key, body_hash).await;
            if let Some(answer) = before.map_err(|error| error::engine(&error))? {
                self.settle().await?;
                return self.count(read_answer(answer)?);
            }
        }
        let arrival = node.ambient.clock.now();
        let window = decode::window(&node.limits, arrival);
        let batch = batch.clone();
        let decoded = blocking(move || columns::decode_piece(&batch, piece, arrival, window, first_line));
        let columns::Decoded { batch, rejected } = decoded.await?;
        let answer = IngestResult {
            record_count: i64::try_from(batch.num_rows()).unwrap_or(i64::MAX),
            rejected_count: i64::try_from(rejected.len()).unwrap_or(i64::MAX),
            rejected: rejected.into_iter().take(REJECTED_TOLD_MAX).map(Into::into).collect(),
        };
        let once = key.map(|key| Once { key, body_hash, answer: answer.encode_to_vec().into() });
        // The order of rows is the order of the stream: the append before must be in first.
        self.settle().await?;
        let append = append(Arc::clone(&node.engine), self.table.clone(), batch, once, answer);
        self.pending = Some(tokio::spawn(append));
        Ok(())
    }

    /// Waits for the append that is under way.
    async fn settle(&mut self) -> Result<(), Status> {
        let Some(pending) = self.pending.take() else { return Ok(()) };
        let done = pending.await.map_err(|_| Status::internal("an append panicked; see the log"))??;
        self.count(done)
    }

    #[expect(clippy::unnecessary_wraps, reason = "the last step of two fallible paths")]
    fn count(&mut self, answer: IngestResult) -> Result<(), Status> {
        self.done.record_count += answer.record_count;
        self.done.rejected_count += answer.rejected_count;
        let room = REJECTED_TOLD_MAX.saturating_sub(self.done.rejected.len());
        self.done.rejected.extend(answer.rejected.into_iter().take(room));
        Ok(())
    }

    /// The error with what is durable in spite of it.
    fn explain(&self, status: &Status) -> Status {
        if self.done.record_count == 0 {
            return status.clone();
        }
        let advice = match &self.key {
            Some(_) => "send the whole stream again under the same idempotency key to add only the rest",
            None => "send only the rest, or use an idempotency key",
        };
        let rows = self.done.record_count;
        let message = format!("{}; {rows} rows of the stream before are stored: {advice}", status.message());
        Status::with_metadata(status.code(), message, status.metadata().clone())
    }
}

/// Works on a thread that may work long.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, BadBatch> + Send + 'static,
) -> Result<T, Status> {
    let done = tokio::task::spawn_blocking(work).await;
    let done = done.map_err(|_| Status::internal("decoding a batch panicked; see the log"))?;
    done.map_err(|error| error::bad_batch(&error))
}

/// Appends a piece of a batch; returns `answer`, or what was answered before under the same key.
async fn append(
    engine: Arc<Engine>,
    table: TableRef,
    piece: LogBatch,
    once: Option<Once>,
    answer: IngestResult,
) -> Result<IngestResult, Status> {
    match append_piece(&engine, &table, piece, once).await? {
        Appended::Fresh { .. } => Ok(answer),
        Appended::Repeated { answer } => read_answer(answer),
    }
}

/// Appends a piece, waiting a while for room in the buffers or the queue of the disk.
async fn append_piece(
    engine: &Engine,
    table: &TableRef,
    piece: LogBatch,
    once: Option<Once>,
) -> Result<Appended, Status> {
    use ironbark_engine::Error as E;
    let deadline = tokio::time::Instant::now() + ROOM_WAIT_MAX;
    loop {
        let refused = match engine.append(table, piece.clone(), once.clone()).await {
            Ok(appended) => return Ok(appended),
            Err(error) => error,
        };
        let crowded =
            matches!(refused, E::MemoryFull { .. } | E::WalQueueFull { .. } | E::TooManyPartitions { .. });
        let wait = refused.retry_after().filter(|_| crowded);
        match wait {
            Some(wait) if tokio::time::Instant::now() + wait < deadline => tokio::time::sleep(wait).await,
            _ => return Err(error::engine(&refused)),
        }
    }
}

fn read_answer(answer: Bytes) -> Result<IngestResult, Status> {
    IngestResult::decode(answer).map_err(|_| {
        Status::aborted("the idempotency key was used by another protocol: use a new key for each request")
    })
}

fn idempotency_key(headers: &MetadataMap) -> Result<Option<String>, Status> {
    let Some(key) = headers.get(IDEMPOTENCY_HEADER) else { return Ok(None) };
    let key = key.to_str().map_err(|_| {
        Status::invalid_argument(format!("header {IDEMPOTENCY_HEADER}: it is not visible ASCII text"))
    })?;
    // Whether it is right is seen once, by the first key that is made of it.
    Ok(Some(key.to_owned()))
}

/// The table that a command names, made if it may be.
async fn target(
    flight: &Flight,
    caller: &Caller,
    command: &CommandStatementIngest,
) -> Result<TableRef, Status> {
    super::statement::no_transaction(command.transaction_id.as_ref())?;
    if command.temporary {
        return Err(Status::invalid_argument("there are no temporary tables: ingest with temporary off"));
    }
    let session = flight.node.session(&caller.tenant);
    let own = [
        ("catalog", &command.catalog, session.default_catalog()),
        ("schema", &command.schema, session.default_schema()),
    ];
    for (what, given, own) in own {
        if let Some(given) = given.as_ref().filter(|given| !given.is_empty() && **given != own) {
            return Err(Status::permission_denied(format!(
                "{what} {given:?} is not this tenant's, which is {own:?}; leave it out, or name the tenant with the \
                 header {}",
                crate::tenant::TENANT_HEADER
            )));
        }
    }
    let table = command.table.parse().map_err(|error| error::storage(&error))?;
    let table = TableRef { tenant: caller.tenant.clone(), table };
    let tables = flight.node.engine.tables(&table.tenant).await.map_err(|error| error::storage(&error))?;
    let exists = tables.contains(&table.table);
    match Mode::of(command.table_definition_options)?.decide(exists) {
        Decision::Append => {}
        Decision::Create => match flight.node.engine.create_table(&table).await {
            Err(ironbark_storage::Error::TableExists { .. }) | Ok(()) => {}
            Err(error) => return Err(error::storage(&error)),
        },
        Decision::Exists => {
            return Err(Status::already_exists(format!(
                "table {} exists already: ingest with mode append to add rows to it",
                table.table
            )));
        }
        Decision::Missing => {
            return Err(Status::not_found(format!(
                "table {} does not exist: ingest with mode create or create_append, or CREATE TABLE {}",
                table.table, table.table
            )));
        }
    }
    Ok(table)
}

/// What a client wants for tables that exist and for those that do not.
#[derive(Clone, Copy, Debug)]
struct Mode {
    create: bool,
    append: bool,
}

/// What is done about the table.
#[derive(Debug, PartialEq, Eq)]
enum Decision {
    Append,
    Create,
    Exists,
    Missing,
}

impl Mode {
    fn of(options: Option<TableDefinitionOptions>) -> Result<Self, Status> {
        let Some(options) = options else { return Ok(Self { create: false, append: true }) };
        let create = match options.if_not_exist() {
            TableNotExistOption::Create => true,
            TableNotExistOption::Fail => false,
            TableNotExistOption::Unspecified => return Err(unspecified("if_not_exist")),
        };
        let append = match options.if_exists() {
            TableExistsOption::Append => true,
            TableExistsOption::Fail => false,
            TableExistsOption::Replace => {
                return Err(Status::new(
                    Code::InvalidArgument,
                    "tables of logs are never replaced: ingest with mode append, or create for a new table",
                ));
            }
            TableExistsOption::Unspecified => return Err(unspecified("if_exists")),
        };
        Ok(Self { create, append })
    }

    fn decide(self, exists: bool) -> Decision {
        match (exists, self.create, self.append) {
            (true, _, true) => Decision::Append,
            (true, _, false) => Decision::Exists,
            (false, true, _) => Decision::Create,
            (false, false, _) => Decision::Missing,
        }
    }
}

fn unspecified(option: &str) -> Status {
    Status::invalid_argument(format!("table_definition_options.{option} is unspecified: say what to do"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_decide_as_adbc_names_them() {
        let mode = |not_exist: TableNotExistOption, exists: TableExistsOption| {
            Mode::of(Some(TableDefinitionOptions {
                if_not_exist: not_exist.into(),
                if_exists: exists.into(),
            }))
        };
        let create = mode(TableNotExistOption::Create, TableExistsOption::Fail).unwrap();
        assert_eq!((create.decide(true), create.decide(false)), (Decision::Exists, Decision::Create));
        let append = mode(TableNotExistOption::Fail, TableExistsOption::Append).unwrap();
        assert_eq!((append.decide(true), append.decide(false)), (Decision::Append, Decision::Missing));
        let both = mode(TableNotExistOption::Create, TableExistsOption::Append).unwrap();
        assert_eq!((both.decide(true), both.decide(false)), (Decision::Append, Decision::Create));
        let replace = mode(TableNotExistOption::Create, TableExistsOption::Replace).unwrap_err();
        assert!(replace.message().contains("mode append"));
        assert_eq!(Mode::of(None).unwrap().decide(false), Decision::Missing);
    }
}
