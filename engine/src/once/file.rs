//! Key files: idempotency keys whose WAL records were truncated.
//!
//! ```text
//! idempotency/00000000000000000007.keys     numbered; each is written whole, synced, then renamed into place
//!
//!   magic "IRONKEY\n" | version u32 | keys … | CRC32C of all before it, u32
//!   key: tenant field | table field | key field | body hash u128 | answer field | done at i64
//! ```
//!
//! A file goes when all its keys are older than they must be kept.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use ironbark_storage::{TableRef, Timestamp};
use parking_lot::Mutex;

use super::{DoneKey, Once};
use crate::codec::{Decoder, Encoder, Malformed};
use crate::disk::{Disk, DiskExt};
use crate::{Error, Result};

const MAGIC: [u8; 8] = *b"IRONKEY\n";
const VERSION: u32 = 1;
const CRC_BYTES: usize = 4;

#[derive(Debug)]
struct KeyFile {
    number: u64,
    newest: Timestamp,
}

/// The directory of key files.
#[derive(Debug)]
pub(crate) struct KeyFiles {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    files: Mutex<Vec<KeyFile>>,
}

impl KeyFiles {
    /// Opens the directory and reads all keys in it.
    pub(crate) fn open(disk: Arc<dyn Disk>, root: &Path) -> Result<(Self, Vec<DoneKey>)> {
        let dir = root.join("idempotency");
        let io = |path: &Path| {
            let path = path.to_owned();
            move |source| Error::Io { path, source }
        };
        disk.create_dir(&dir).map_err(io(&dir))?;
        disk.sync_dir(root).map_err(io(root))?;
        let (mut files, mut keys) = (Vec::new(), Vec::new());
        for entry in disk.list(&dir).map_err(io(&dir))? {
            let Some(number) = entry.name.strip_suffix(".keys").and_then(|n| n.parse().ok()) else {
                continue;
            };
            let path = dir.join(&entry.name);
            let read = decode(&Bytes::from(disk.read(&path).map_err(io(&path))?), &path)?;
            let newest = read.iter().map(|key| key.at).max().unwrap_or_default();
            files.push(KeyFile { number, newest });
            keys.extend(read);
        }
        files.sort_by_key(|file| file.number);
        Ok((Self { disk, dir, files: Mutex::new(files) }, keys))
    }

    /// Makes keys durable. Blocks.
    pub(crate) fn save(&self, keys: &[DoneKey]) -> Result<()> {
        let Some(newest) = keys.iter().map(|key| key.at).max() else { return Ok(()) };
        let number = self.files.lock().last().map_or(1, |file| file.number.saturating_add(1));
        let path = self.path(number);
        self.disk.replace(&path, &encode(keys)).map_err(|source| Error::Io { path, source })?;
        self.files.lock().push(KeyFile { number, newest });
        Ok(())
    }

    /// Removes the files whose keys are all from before this time. Blocks.
    pub(crate) fn remove_before(&self, before: Timestamp) -> Result<()> {
        let expired: Vec<u64> =
            self.files.lock().iter().filter(|file| file.newest < before).map(|file| file.number).collect();
        for number in expired {
            let path = self.path(number);
            self.disk.remove(&path).map_err(|source| Error::Io { path, source })?;
            self.files.lock().retain(|file| file.number != number);
        }
        Ok(())
    }

    fn path(&self, number: u64) -> PathBuf {
        self.dir.join(format!("{number:020}.keys"))
    }
}

fn encode(keys: &[DoneKey]) -> Vec<u8> {
    let mut bytes = Encoder::default();
    bytes.put(&MAGIC);
    bytes.put(&VERSION.to_le_bytes());
    for key in keys {
        bytes.field(key.table.tenant.as_str().as_bytes());
        bytes.field(key.table.table.as_str().as_bytes());
        bytes.field(key.once.key.as_str().as_bytes());
        bytes.put(&key.once.body_hash.to_le_bytes());
        bytes.field(&key.once.answer);
        bytes.put(&key.at.ns().to_le_bytes());
    }
    let mut bytes = bytes.finish();
    let crc = crc32c::crc32c(&bytes);
    bytes.extend_from_slice(&crc.to_le_bytes());
    bytes
}

fn decode(bytes: &Bytes, path: &Path) -> Result<Vec<DoneKey>> {
    let damaged = |offset: usize| Error::KeyFileDamaged { path: path.to_owned(), offset };
    let body_len = bytes.len().checked_sub(CRC_BYTES).ok_or(damaged(0))?;
    let body = bytes.slice(..body_len);
    let found = bytes.slice(body_len..);
    if found != crc32c::crc32c(&body).to_le_bytes().as_slice() {
        return Err(damaged(body_len));
    }
    let mut body = Decoder::new(body);
    let at = |malformed: Malformed| damaged(malformed.offset);
    if body.array::<8>().map_err(at)? != MAGIC {
        return Err(damaged(0));
    }
    let version = u32::from_le_bytes(body.array().map_err(at)?);
    if version > VERSION {
        return Err(Error::NewerFormat { path: path.to_owned(), found: version, supported: VERSION });
    }
    let mut keys = Vec::new();
    while !body.is_empty() {
        keys.push(decode_key(&mut body).map_err(at)?);
    }
    Ok(keys)
}

fn decode_key(body: &mut Decoder) -> Result<DoneKey, Malformed> {
    let at = body.malformed();
    let tenant = body.text()?.parse().map_err(|_| at)?;
    let table = body.text()?.parse().map_err(|_| at)?;
    let key = body.text()?.parse().map_err(|_| at)?;
    let body_hash = u128::from_le_bytes(body.array()?);
    let answer = body.field()?;
    let done_at = Timestamp::from_ns(i64::from_le_bytes(body.array()?));
    Ok(DoneKey { table: TableRef { tenant, table }, once: Once { key, body_hash, answer }, at: done_at })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_round_trip_and_damage_is_told() {
        let once = Once { key: "k-1".parse().unwrap(), body_hash: 9, answer: Bytes::from_static(b"{}") };
        let table = TableRef::logs(ironbark_storage::TenantId::default());
        let keys = vec![DoneKey { table, once, at: Timestamp::from_ns(5) }];
        let bytes = encode(&keys);
        let path = Path::new("idempotency/1.keys");
        assert_eq!(decode(&Bytes::from(bytes.clone()), path).unwrap(), keys);
        for place in 0..bytes.len() {
            let mut bad = bytes.clone();
            bad[place] ^= 1;
            assert!(decode(&Bytes::from(bad), path).is_err(), "byte {place}");
        }
    }
}
