//! Bulk ingest: `DoPut` of `CommandStatementIngest`.
//!
//! ```text
//!   Arrow stream ─► decode (blocking thread) ─► pieces ─► engine.append ─► … ─► counts, once all is durable
//!                   next batch decodes while ────────────► this one syncs
//! ```
//!
//! Each batch of the stream is appended whole or not at all, in order. With an idempotency key the n-th batch has the
//! key `KEY#n`, so a stream that broke can be sent again from its start. A full buffer holds the stream up for a
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
use ironbark_storage::{LogBatch, TableRef, Tables as _, Timestamp};
use parking_lot::Mutex;
use prost::Message as _;
use tokio::task::JoinHandle;
use tonic::metadata::MetadataMap;
use tonic::{Code, Status};
use xxhash_rust::xxh3::Xxh3;

use super::caller::Caller;
use super::wire::IngestResult;
use super::{Flight, error};
use crate::decode::{self, arrow as columns};

/// The header with a stream's idempotency key, in HTTP and in Flight.
pub const IDEMPOTENCY_HEADER: &str = "x-ironbark-idempotency-key";

/// Rows of one append take at most this many bytes in memory; larger batches are cut.
const APPEND_BYTES_MAX: usize = 32 << 20;
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
    let taken = intake.take_all(FlightDataDecoder::new(hashed), &hash).await;
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
        let node = Arc::clone(&self.flight.node);
        let name = self.key.as_ref().map(|key| format!("{key}#{}", self.batches_seen));
        if let Some(name) = &name {
            let key: IdempotencyKey = name.parse().map_err(|error| error::engine(&error))?;
            let before = node.engine.recall(&self.table, &key, body_hash).await;
            if let Some(answer) = before.map_err(|error| error::engine(&error))? {
                self.settle().await?;
                return self.count(read_answer(answer)?);
            }
        }
        let arrival = node.ambient.clock.now();
        let window = decode::window(&node.limits, arrival);
        let decoded =
            tokio::task::spawn_blocking(move || columns::decode(&batch, arrival, window, first_line));
        let decoded =
            decoded.await.map_err(|_| Status::internal("decoding a batch panicked; see the log"))?;
        let columns::Decoded { batch, rejected } = decoded.map_err(|error| error::bad_batch(&error))?;
        let rejected_count = i64::try_from(rejected.len()).unwrap_or(i64::MAX);
        let rejected = rejected.into_iter().take(REJECTED_TOLD_MAX).map(Into::into).collect();
        let answer = IngestResult { record_count: 0, rejected_count, rejected };
        // The order of rows is the order of the stream: the append before must be in first.
        self.settle().await?;
        let append = append(Arc::clone(&node.engine), self.table.clone(), batch, name, body_hash, answer);
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

/// Appends a batch in pieces that the WAL takes; the answer counts the rows.
async fn append(
    engine: Arc<Engine>,
    table: TableRef,
    batch: LogBatch,
    name: Option<String>,
    body_hash: u128,
    mut answer: IngestResult,
) -> Result<IngestResult, Status> {
    let arrival = batch.arrival();
    let pieces = pieces(batch, arrival)?;
    let single = pieces.len() == 1;
    let rejected = IngestResult { record_count: 0, ..answer.clone() };
    answer = IngestResult::default();
    for (at, piece) in pieces.into_iter().enumerate() {
        let rows = i64::try_from(piece.num_rows()).unwrap_or(i64::MAX);
        // The refused rows are told with the first piece.
        let told = if at == 0 { rejected.clone() } else { IngestResult::default() };
        let result = IngestResult { record_count: rows, ..told };
        let name = name.as_ref().map(|name| if single { name.clone() } else { format!("{name}.{}", at + 1) });
        let once = match name {
            None => None,
            Some(name) => {
                let key: IdempotencyKey = name.parse().map_err(|error| error::engine(&error))?;
                Some(Once { key, body_hash, answer: result.encode_to_vec().into() })
            }
        };
        let result = match append_piece(&engine, &table, piece, once).await? {
            Appended::Fresh { .. } => result,
            Appended::Repeated { answer } => read_answer(answer)?,
        };
        answer.record_count += result.record_count;
        answer.rejected_count += result.rejected_count;
        answer.rejected.extend(result.rejected);
    }
    Ok(answer)
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

/// The batch in pieces of at most [`APPEND_BYTES_MAX`], in order.
fn pieces(batch: LogBatch, arrival: Timestamp) -> Result<Vec<LogBatch>, Status> {
    let mut pieces = Vec::new();
    let mut open = vec![batch];
    while let Some(batch) = open.pop() {
        let rows = batch.num_rows();
        if rows < 2 || batch.memory_bytes() <= APPEND_BYTES_MAX {
            pieces.push(batch);
            continue;
        }
        let half = rows / 2;
        let cut = |from, length| {
            LogBatch::try_new(batch.rows().slice(from, length), arrival)
                .map_err(|error| error::storage(&error))
        };
        open.push(cut(half, rows - half)?);
        open.push(cut(0, half)?);
    }
    Ok(pieces)
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
