//! What a WAL record of rows holds: whose rows, when they came, the idempotency key, and the rows themselves.
//!
//! ```text
//! version 1   1 byte
//! arrival     i64, nanoseconds since 1970
//! tenant      field (see `codec`)
//! table       field
//! once        1 byte: 0 none, 1: key (field), body hash (u128), answer (field)
//! rows        the rest: LogBatch::to_ipc; nothing where the batch is empty
//! ```

use bytes::Bytes;
use ironbark_storage::{LogBatch, TableRef, Timestamp};

use crate::codec::{Decoder, Encoder, Malformed};
use crate::once::{IdempotencyKey, Once};

/// The WAL record kind of rows.
pub(crate) const KIND_ROWS: u8 = 1;
const VERSION: u8 = 1;

/// A decoded record.
#[derive(Debug)]
pub(crate) struct RowsRecord {
    pub(crate) table: TableRef,
    pub(crate) arrival: Timestamp,
    pub(crate) once: Option<Once>,
    /// The batch as IPC; empty where the append had no rows.
    pub(crate) rows: Bytes,
}

/// The pieces of a record's payload. An append whose rows were all refused has no rows but may have a key.
pub(crate) fn encode(
    table: &TableRef,
    batch: &LogBatch,
    once: Option<&Once>,
) -> ironbark_storage::Result<Vec<Bytes>> {
    let mut head = Encoder::default();
    head.put(&[VERSION]);
    head.put(&batch.arrival().ns().to_le_bytes());
    head.field(table.tenant.as_str().as_bytes());
    head.field(table.table.as_str().as_bytes());
    head.put(&[u8::from(once.is_some())]);
    if let Some(once) = once {
        head.field(once.key.as_str().as_bytes());
        head.put(&once.body_hash.to_le_bytes());
        head.field(&once.answer);
    }
    let mut pieces = vec![Bytes::from(head.finish())];
    if batch.num_rows() > 0 {
        pieces.push(batch.to_ipc()?);
    }
    Ok(pieces)
}

/// Reads a payload. Its checksum was right, so a failure is a bug or a newer version, never a torn write.
pub(crate) fn decode(payload: Bytes) -> Result<RowsRecord, Malformed> {
    let mut bytes = Decoder::new(payload);
    let start = bytes.malformed();
    if bytes.array::<1>()? != [VERSION] {
        return Err(start);
    }
    let arrival = Timestamp::from_ns(i64::from_le_bytes(bytes.array()?));
    let at = bytes.malformed();
    let tenant = bytes.text()?.parse().map_err(|_| at)?;
    let table = bytes.text()?.parse().map_err(|_| at)?;
    let once = match bytes.array::<1>()? {
        [0] => None,
        _ => Some(decode_once(&mut bytes)?),
    };
    Ok(RowsRecord { table: TableRef { tenant, table }, arrival, once, rows: bytes.rest() })
}

fn decode_once(bytes: &mut Decoder) -> Result<Once, Malformed> {
    let at = bytes.malformed();
    let key: IdempotencyKey = bytes.text()?.parse().map_err(|_| at)?;
    let body_hash = u128::from_le_bytes(bytes.array()?);
    // Copied, so that a small answer does not keep a whole WAL file in memory.
    let answer = Bytes::copy_from_slice(&bytes.field()?);
    Ok(Once { key, body_hash, answer })
}
