//! Epochs: every start of a writer claims a number that nobody had before it.
//!
//! A claim is a create-only object, `_ironbark/epoch/0000000012.json`, kept for ever: row ids begin with the epoch, so
//! a number must never be given twice, not even after the loss of a local disk.

use crate::store::{Created, create_once, json_line, list_numbers};
use crate::{Ambient, Epoch, Error, Result, Store, Timestamp, WriterId, key};

/// Version of the claim objects that this build writes.
const EPOCH_FORMAT_VERSION: u32 = 1;
/// Largest claim in bytes.
const EPOCH_BYTES_MAX: u64 = 4096;
/// Numbers tried beyond the greatest that the listing showed.
const EPOCH_ATTEMPTS_MAX: u32 = 1000;

#[derive(serde::Serialize)]
struct Claim {
    format_version: u32,
    epoch: Epoch,
    writer: WriterId,
    /// Fresh for this claim.
    uuid: uuid::Uuid,
    claimed_at: Timestamp,
}

/// Claims the next epoch for a writer. An epoch whose claim ended in an error is never used.
pub async fn claim_epoch(store: &Store, writer: WriterId, ambient: &Ambient) -> Result<Epoch> {
    let (objects, prefix) = (store.object_store(), key::epoch_prefix());
    let newest = list_numbers(&*objects, &prefix).await?.pop().unwrap_or(0);
    let mut number = u32::try_from(newest).unwrap_or(u32::MAX);
    let (uuid, claimed_at) = (ambient.uuid(), ambient.clock.now());
    for _ in 0..EPOCH_ATTEMPTS_MAX {
        number = number.saturating_add(1);
        let epoch = Epoch::new(number)?;
        let key = key::epoch(epoch);
        let claim = Claim { format_version: EPOCH_FORMAT_VERSION, epoch, writer, uuid, claimed_at };
        let bytes = json_line(&key, &claim)?;
        if create_once(&*objects, &key, &bytes, EPOCH_BYTES_MAX).await? == Created::Ours {
            return Ok(epoch);
        }
    }
    Err(Error::Limit {
        what: "the number of attempts to claim an epoch",
        limit: u64::from(EPOCH_ATTEMPTS_MAX),
        unit: "attempts",
        advice: "start fewer servers at once",
    })
}
