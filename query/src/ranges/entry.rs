//! What the cache's entries are in memory and on its disk: a key that names one slab of one object of one store, and its bytes.
//!
//! The key holds the object's whole URL and is compared whole, in memory and after a read from disk. So no two tenants, and no two
//! stores behind the same disk, can meet in an entry.

use std::io::{Read, Write};
use std::sync::Arc;

use bytes::Bytes;
use foyer::{Code, Error, ErrorKind};

use super::slab::SLAB_BYTES;

/// Longest URL of an object, in bytes: the longest store's URL and the longest key.
const OBJECT_BYTES_MAX: u32 = 8 << 10;
/// What an entry costs in memory beside its bytes.
const ENTRY_BYTES: usize = 200;

/// A slab's name.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct SlabKey {
    /// The object's URL.
    pub(super) object: Arc<str>,
    /// Its place among the slabs of the object.
    pub(super) slab: u32,
}

/// A slab's bytes.
#[derive(Clone, Debug)]
pub(super) struct SlabBytes(pub(super) Bytes);

/// What an entry weighs in memory.
pub(super) fn weight(key: &SlabKey, bytes: &SlabBytes) -> usize {
    key.object.len() + bytes.0.len() + ENTRY_BYTES
}

impl Code for SlabKey {
    fn encode(&self, writer: &mut impl Write) -> foyer::Result<()> {
        let length = u32::try_from(self.object.len()).ok().filter(|length| *length <= OBJECT_BYTES_MAX);
        let length = length.ok_or_else(|| refused("a longer URL than the cache takes"))?;
        self.slab.encode(writer)?;
        length.encode(writer)?;
        writer.write_all(self.object.as_bytes()).map_err(Error::io_error)
    }

    fn decode(reader: &mut impl Read) -> foyer::Result<Self> {
        let slab = u32::decode(reader)?;
        let text = read(reader, u64::from(OBJECT_BYTES_MAX))?;
        let object = String::from_utf8(text).map_err(|_| refused("a URL that is not UTF-8"))?;
        Ok(Self { object: object.into(), slab })
    }

    fn estimated_size(&self) -> usize {
        size_of::<u32>() * 2 + self.object.len()
    }
}

impl Code for SlabBytes {
    fn encode(&self, writer: &mut impl Write) -> foyer::Result<()> {
        let length = u32::try_from(self.0.len()).map_err(|_| refused("a longer slab than there are"))?;
        length.encode(writer)?;
        writer.write_all(&self.0).map_err(Error::io_error)
    }

    fn decode(reader: &mut impl Read) -> foyer::Result<Self> {
        read(reader, SLAB_BYTES).map(|bytes| Self(bytes.into()))
    }

    fn estimated_size(&self) -> usize {
        size_of::<u32>() + self.0.len()
    }
}

/// Bytes with their length before them, at most so many.
fn read(reader: &mut impl Read, bytes_max: u64) -> foyer::Result<Vec<u8>> {
    let length = u32::decode(reader)?;
    if u64::from(length) > bytes_max {
        return Err(refused("a length that no entry has"));
    }
    let mut bytes = Vec::new();
    let read = reader.take(u64::from(length)).read_to_end(&mut bytes).map_err(Error::io_error)?;
    if u64::try_from(read).ok() == Some(u64::from(length)) {
        Ok(bytes)
    } else {
        Err(refused("an entry that is cut off"))
    }
}

/// An error that the disk cache takes for a damaged entry, which it then forgets.
fn refused(what: &str) -> Error {
    Error::new(ErrorKind::OutOfRange, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(value: &impl Code) -> Vec<u8> {
        let mut bytes = Vec::new();
        value.encode(&mut bytes).unwrap();
        assert_eq!(bytes.len(), value.estimated_size());
        bytes
    }

    #[test]
    fn entries_round_trip() {
        let key = SlabKey { object: "s3://logs/a/b/c/logs/2026-11-23/x.parquet".into(), slab: 7 };
        assert_eq!(SlabKey::decode(&mut encoded(&key).as_slice()).unwrap(), key);
        let bytes = SlabBytes(Bytes::from_static(b"PAR1"));
        assert_eq!(SlabBytes::decode(&mut encoded(&bytes).as_slice()).unwrap().0, bytes.0);
        assert_eq!(weight(&key, &bytes), key.object.len() + 4 + ENTRY_BYTES);
    }

    #[test]
    fn what_is_cut_off_or_too_long_is_refused() {
        let bytes = encoded(&SlabBytes(Bytes::from_static(b"PAR1")));
        for length in 0..bytes.len() {
            assert!(SlabBytes::decode(&mut &bytes[..length]).is_err(), "{length}");
        }
        let mut long = bytes;
        long[3] = 0xff;
        assert_eq!(SlabBytes::decode(&mut long.as_slice()).unwrap_err().kind(), ErrorKind::OutOfRange);
        let long = SlabKey { object: "x".repeat(9 << 10).into(), slab: 0 };
        assert!(long.encode(&mut Vec::new()).is_err());
    }
}
