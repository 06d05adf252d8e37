//! Length-prefixed fields in bytes, for WAL payloads and idempotency files. All integers are little-endian.
//!
//! ```text
//!   u8 | u64 | i64 | u128     fixed width
//!   field                     u32 length, then the bytes
//! ```

use bytes::Bytes;

/// A field ran past the end of its bytes, or is no UTF-8: where, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed {
    pub(crate) offset: usize,
}

/// Appends fields to bytes.
#[derive(Debug, Default)]
pub(crate) struct Encoder(Vec<u8>);

impl Encoder {
    pub(crate) fn put(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    /// A length and the bytes. Fields are far shorter than 4 GiB: their types bound them.
    pub(crate) fn field(&mut self, bytes: &[u8]) {
        let len = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        self.put(&len.to_le_bytes());
        self.put(bytes.get(..len as usize).unwrap_or(bytes));
    }

    pub(crate) fn finish(self) -> Vec<u8> {
        self.0
    }
}

/// Takes fields from bytes, front to back.
#[derive(Debug)]
pub(crate) struct Decoder {
    bytes: Bytes,
    offset: usize,
}

impl Decoder {
    pub(crate) fn new(bytes: Bytes) -> Self {
        Self { bytes, offset: 0 }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.offset >= self.bytes.len()
    }

    pub(crate) fn malformed(&self) -> Malformed {
        Malformed { offset: self.offset }
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let end = self.offset.saturating_add(N);
        let bytes = self.bytes.get(self.offset..end).ok_or(self.malformed())?;
        let array = bytes.try_into().map_err(|_| self.malformed())?;
        self.offset = end;
        Ok(array)
    }

    pub(crate) fn field(&mut self) -> Result<Bytes, Malformed> {
        let start = self.malformed();
        let len = u32::from_le_bytes(self.array()?) as usize;
        let end = self.offset.saturating_add(len);
        if end > self.bytes.len() {
            return Err(start);
        }
        let field = self.bytes.slice(self.offset..end);
        self.offset = end;
        Ok(field)
    }

    pub(crate) fn text(&mut self) -> Result<String, Malformed> {
        let start = self.malformed();
        String::from_utf8(self.field()?.to_vec()).map_err(|_| start)
    }

    pub(crate) fn rest(&mut self) -> Bytes {
        let rest = self.bytes.slice(self.offset.min(self.bytes.len())..);
        self.offset = self.bytes.len();
        rest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_round_trip_and_short_bytes_are_told() {
        let mut encoder = Encoder::default();
        encoder.put(&7u64.to_le_bytes());
        encoder.field(b"abc");
        encoder.put(b"rest");
        let bytes = Bytes::from(encoder.finish());
        let mut decoder = Decoder::new(bytes.clone());
        assert_eq!(u64::from_le_bytes(decoder.array().unwrap()), 7);
        assert_eq!(decoder.text().unwrap(), "abc");
        assert_eq!(decoder.rest(), "rest");
        assert!(decoder.is_empty());
        let mut short = Decoder::new(bytes.slice(..13));
        short.array::<8>().unwrap();
        assert_eq!(short.field(), Err(Malformed { offset: 8 }));
    }
}
