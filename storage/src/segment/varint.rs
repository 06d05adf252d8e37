//! Numbers and texts in the binary parts of a segment: LEB128, and texts behind their lengths.
//!
//! ```text
//!   number   7 bits a byte, the lowest first; the high bit says that another byte follows
//!   bytes    length, bytes
//!   name     0 for none, or length + 1 and the bytes of the text
//! ```
//!
//! A reader never panics and takes no length on trust: errors are reasons.

/// Bits of a byte that count, and the one that says that another byte follows.
const BITS: usize = 7;
const MORE: u8 = 1 << BITS;

/// Appends a number.
pub(super) fn put(out: &mut Vec<u8>, mut number: u64) {
    loop {
        let [low, ..] = (number & u64::from(MORE - 1)).to_le_bytes();
        number >>= BITS;
        if number == 0 {
            out.push(low);
            return;
        }
        out.push(low | MORE);
    }
}

/// Appends a length.
pub(super) fn put_len(out: &mut Vec<u8>, len: usize) {
    put(out, u64::try_from(len).unwrap_or(u64::MAX));
}

/// Appends bytes behind their length.
pub(super) fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_len(out, bytes.len());
    out.extend_from_slice(bytes);
}

/// Appends a name or its absence.
pub(super) fn put_name(out: &mut Vec<u8>, name: Option<&str>) {
    match name {
        None => put_len(out, 0),
        Some(name) => {
            put_len(out, name.len() + 1);
            out.extend_from_slice(name.as_bytes());
        }
    }
}

/// Reads what the functions above wrote, and bytes between. Behind an error nothing is promised.
#[derive(Debug)]
pub(super) struct Input<'a>(pub(super) &'a [u8]);

impl<'a> Input<'a> {
    /// The next byte.
    pub(super) fn byte(&mut self) -> Result<u8, &'static str> {
        let (first, rest) = self.0.split_first().ok_or("it ends too early")?;
        self.0 = rest;
        Ok(*first)
    }

    /// The next number.
    pub(super) fn number(&mut self) -> Result<u64, &'static str> {
        let mut number = 0u64;
        for shift in (0..u64::BITS).step_by(BITS) {
            let byte = self.byte()?;
            number |= u64::from(byte & !MORE) << shift;
            if byte & MORE == 0 {
                return Ok(number);
            }
        }
        Err("a number is too long")
    }

    /// A number of 32 bits.
    pub(super) fn small(&mut self) -> Result<u32, &'static str> {
        u32::try_from(self.number()?).map_err(|_| "a number is too large")
    }

    /// A length of at most `max`.
    pub(super) fn len(&mut self, max: usize) -> Result<usize, &'static str> {
        let number = usize::try_from(self.number()?).unwrap_or(usize::MAX);
        if number > max { Err("a length is out of range") } else { Ok(number) }
    }

    /// So many bytes.
    pub(super) fn take(&mut self, length: usize) -> Result<&'a [u8], &'static str> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or("it ends too early")?;
        self.0 = rest;
        Ok(taken)
    }

    /// Bytes behind their length.
    pub(super) fn bytes(&mut self) -> Result<&'a [u8], &'static str> {
        let length = self.len(self.0.len())?;
        self.take(length)
    }

    /// A name of at most so many bytes, or its absence.
    pub(super) fn name(&mut self, bytes_max: usize) -> Result<Option<&'a str>, &'static str> {
        let Some(length) = self.len(bytes_max.saturating_add(1))?.checked_sub(1) else { return Ok(None) };
        str::from_utf8(self.take(length)?).map(Some).map_err(|_| "a name is not text")
    }

    /// Fails if anything is left.
    pub(super) fn end(self) -> Result<(), &'static str> {
        if self.0.is_empty() { Ok(()) } else { Err("bytes are left over") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_take_a_byte_for_seven_bits() {
        for (number, length) in [(0, 1), (127, 1), (128, 2), (16_383, 2), (16_384, 3), (u64::MAX, 10)] {
            let mut bytes = Vec::new();
            put(&mut bytes, number);
            assert_eq!(bytes.len(), length, "{number}");
            let mut input = Input(&bytes);
            assert_eq!((input.number(), input.0), (Ok(number), [].as_slice()));
            assert_eq!(Input(&bytes[..length - 1]).number(), Err("it ends too early"));
        }
    }
}
