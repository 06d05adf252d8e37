//! Grams: three letters in a row, for substrings of words that no template tells.
//!
//! ```text
//!   template   user ■ logged in from ■
//!   message    user k9zq77 logged in from web-03b
//!                   └─┬──┘                └┬┘ └┬┘      tokens that the template does not tell
//!              k9z 9zq zq7 q77            web   ·      and their grams: not 03b, which could be hexadecimal
//! ```
//!
//! Hexadecimal digits alone make no gram: nearly every range holds all of these, in ids.

/// Letters of a gram.
const GRAM_LETTERS: usize = 3;
/// Digits, letters in lower case and `_`.
const ALPHABET: u16 = 37;
/// All combinations of three of the alphabet.
const GRAMS: usize = 50_653;
/// The first number of a letter that is no hexadecimal digit: they come after `0` to `9` and `a` to `f`.
const HEX: u16 = 16;
/// No letter of the alphabet.
const NONE: u16 = u16::MAX;

/// The place in the alphabet of every byte.
#[expect(
    clippy::indexing_slicing,
    reason = "there is a place for every byte, and it runs when this is compiled"
)]
const PLACES: [u16; 256] = {
    let mut table = [NONE; 256];
    let mut byte = 0u8;
    loop {
        table[byte as usize] = match byte {
            b'0'..=b'9' => (byte - b'0') as u16,
            b'a'..=b'z' => (byte - b'a') as u16 + 10,
            b'_' => ALPHABET - 1,
            _ => NONE,
        };
        if byte == u8::MAX {
            break;
        }
        byte += 1;
    }
    table
};

/// The number of a gram; `None` for what is none.
fn number(gram: &[u8]) -> Option<u16> {
    let mut number = 0;
    let mut is_hex = true;
    for byte in gram {
        let place = PLACES.get(usize::from(*byte)).copied().filter(|place| *place != NONE)?;
        is_hex &= place < HEX;
        number = number * ALPHABET + place;
    }
    (!is_hex).then_some(number)
}

/// The gram of a number.
fn letters(number: u16) -> [u8; GRAM_LETTERS] {
    let letter = |place: u16| match u8::try_from(place).unwrap_or(0) {
        digit @ 0..=9 => b'0' + digit,
        letter @ 10..=35 => b'a' + letter - 10,
        _ => b'_',
    };
    [number / (ALPHABET * ALPHABET), number / ALPHABET % ALPHABET, number % ALPHABET].map(letter)
}

/// The grams of a text in lower case, in order: every three ASCII letters, digits or `_` in a row that are not all
/// hexadecimal digits. The index of a segment has those of each token that its template does not tell.
pub fn grams(lowered: &str) -> impl Iterator<Item = &str> {
    let starts = 0..lowered.len().saturating_sub(GRAM_LETTERS - 1);
    let gram = |start: usize| lowered.get(start..start + GRAM_LETTERS);
    starts.filter_map(gram).filter(|gram| number(gram.as_bytes()).is_some())
}

/// A set of grams.
#[derive(Debug, Default)]
pub(super) struct GramSet(Box<[u64]>);

impl GramSet {
    /// An empty one. That of `Default` cannot take anything in.
    pub(super) fn new() -> Self {
        Self(vec![0; GRAMS.div_ceil(64)].into())
    }

    /// Adds the grams of a token in lower case.
    pub(super) fn add(&mut self, token: &[u8]) {
        for number in token.windows(GRAM_LETTERS).filter_map(number) {
            if let Some(word) = self.0.get_mut(usize::from(number / 64)) {
                *word |= 1 << (number % 64);
            }
        }
    }

    /// Takes all of them out, in order.
    pub(super) fn drain(&mut self) -> impl Iterator<Item = [u8; GRAM_LETTERS]> {
        (0u16..).zip(self.0.iter_mut()).flat_map(|(at, word)| {
            let bits = std::mem::take(word);
            (0..64).filter(move |bit| bits >> bit & 1 == 1).map(move |bit| letters(at * 64 + bit))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hexadecimal_digits_and_other_letters_make_no_grams() {
        let all = |text| grams(text).collect::<Vec<_>>();
        assert_eq!(all("k9zq77"), ["k9z", "9zq", "zq7", "q77"]);
        assert_eq!(all("deadbeef00"), [""; 0]);
        assert_eq!(all("0x3f"), ["0x3", "x3f"]);
        assert_eq!(all("a_b-größe-zu"), ["a_b"]);
        assert_eq!(all("zz"), [""; 0]);
    }

    #[test]
    fn a_set_gives_back_what_was_added() {
        let mut set = GramSet::new();
        let words = ["k9zq77", "___", "0zz", "größer", "zzz", "k9z"];
        for word in words {
            set.add(word.as_bytes());
        }
        let mut expected: Vec<_> = words.iter().flat_map(|word| grams(word)).collect();
        expected.sort_by_key(|gram| number(gram.as_bytes()));
        expected.dedup();
        let found: Vec<_> = set.drain().map(|gram| String::from_utf8(gram.to_vec()).unwrap()).collect();
        assert_eq!(found, expected);
        assert_eq!(set.drain().count(), 0);
    }
}
