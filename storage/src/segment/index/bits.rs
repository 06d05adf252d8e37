//! Numbers in as few bits as they need, the lowest bit of a byte first.
//!
//! A reader never panics: behind the end there are zeros, and [`BitReader::is_past_end`] says so.

/// Longest run of ones in a Rice code: a gap of more than this many divisors is written plainly behind it.
const QUOTIENT_MAX: u32 = 24;
/// Bits of a gap written plainly.
const PLAIN_BITS: u32 = 32;

/// Writes bits.
#[derive(Debug, Default)]
pub(super) struct BitWriter {
    bytes: Vec<u8>,
    /// Bits not yet in `bytes`, fewer than 8.
    held: u64,
    held_bits: u32,
}

impl BitWriter {
    /// The `width` low bits of `value`; at most 32.
    pub(super) fn put(&mut self, value: u32, width: u32) {
        debug_assert!(width <= 32 && (width == 32 || value >> width == 0), "{value} in {width} bits");
        self.held |= u64::from(value) << self.held_bits;
        self.held_bits += width;
        while self.held_bits >= 8 {
            self.bytes.push((self.held & 0xff) as u8);
            self.held >>= 8;
            self.held_bits -= 8;
        }
    }

    /// A gap by Rice's code: the quotient by `2^divisor_bits` as ones and a zero, then the remainder.
    pub(super) fn put_rice(&mut self, gap: u32, divisor_bits: u32) {
        let quotient = gap >> divisor_bits;
        if quotient >= QUOTIENT_MAX {
            self.put((1 << QUOTIENT_MAX) - 1, QUOTIENT_MAX);
            self.put(gap, PLAIN_BITS);
            return;
        }
        self.put((1 << quotient) - 1, quotient + 1);
        self.put(gap & ((1 << divisor_bits) - 1), divisor_bits);
    }

    /// The bytes, the last one filled with zeros.
    pub(super) fn finish(mut self) -> Vec<u8> {
        if self.held_bits > 0 {
            self.bytes.push((self.held & 0xff) as u8);
        }
        self.bytes
    }
}

/// Reads bits.
#[derive(Debug)]
pub(super) struct BitReader<'b> {
    bytes: &'b [u8],
    /// The next bit.
    at: usize,
}

impl<'b> BitReader<'b> {
    pub(super) const fn new(bytes: &'b [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// The next `width` bits; at most 32.
    pub(super) fn get(&mut self, width: u32) -> u32 {
        let first = self.at / 8;
        let mut window = 0u64;
        for place in (0..5).rev() {
            window = window << 8 | u64::from(self.bytes.get(first + place).copied().unwrap_or(0));
        }
        let value = (window >> (self.at % 8)) & ((1u64 << width) - 1);
        self.at += width as usize;
        // At most 32 bits are left.
        u32::try_from(value).unwrap_or(u32::MAX)
    }

    /// The counterpart of [`BitWriter::put_rice`].
    pub(super) fn get_rice(&mut self, divisor_bits: u32) -> u32 {
        let quotient = self.get(QUOTIENT_MAX).trailing_ones();
        if quotient == QUOTIENT_MAX {
            return self.get(PLAIN_BITS);
        }
        self.at = self.at + quotient as usize + 1 - QUOTIENT_MAX as usize;
        (quotient << divisor_bits) | self.get(divisor_bits)
    }

    /// Whether more was read than there is.
    pub(super) const fn is_past_end(&self) -> bool {
        self.at > self.bytes.len() * 8
    }
}

/// Bits that a number up to `max` needs.
pub(super) const fn width_of(max: u32) -> u32 {
    32 - max.leading_zeros()
}
