//! The words without digits of a segment's messages, each by a number: few, and in nearly every message. They are cut out,
//! hashed and compared once here, and then are numbers for masks, templates and the token index.

use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::table::Table;
use crate::segment::seeded::{Seeded, fold};

/// Words of a lexicon.
const WORDS_MAX: usize = 1 << 18;
/// Bytes that a [`Key`] tells.
const KEY_BYTES: usize = 16;

/// Words by their numbers.
#[derive(Debug)]
pub(in crate::segment) struct Lexicon {
    seed: u64,
    table: Table,
    words: Vec<Word>,
    texts: Vec<u8>,
    /// How often all numbers were given anew.
    generation: u32,
}

#[derive(Debug)]
struct Word {
    key: Key,
    /// Where its text begins.
    start: usize,
    /// The number of its lower case.
    lowered: u32,
}

/// The length of a word, and its first and last bytes: all of it up to [`KEY_BYTES`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Key {
    first: u64,
    last: u64,
    length: usize,
}

impl Key {
    #[inline]
    fn of(word: &[u8]) -> Self {
        let length = word.len();
        if let (Some(first), Some(last)) = (word.first_chunk(), word.last_chunk()) {
            return Self { first: u64::from_le_bytes(*first), last: u64::from_le_bytes(*last), length };
        }
        if let (Some(first), Some(last)) = (word.first_chunk(), word.last_chunk()) {
            let [first, last] = [first, last].map(|half| u64::from(u32::from_le_bytes(*half)));
            return Self { first, last, length };
        }
        let first = word.iter().fold(0, |number, byte| number << 8 | u64::from(*byte));
        Self { first, last: 0, length }
    }

    fn is_all(&self) -> bool {
        self.length <= KEY_BYTES
    }
}

/// The hash of a name or word of logs. The seed has to be random.
pub(super) fn hash_of(text: &[u8], seed: u64) -> u64 {
    hash(&Key::of(text), text, seed)
}

#[inline]
fn hash(key: &Key, word: &[u8], seed: u64) -> u64 {
    if !key.is_all() {
        return xxh3_64_with_seed(word, seed);
    }
    let length = u64::try_from(key.length).unwrap_or(0);
    fold(key.first ^ seed, key.last ^ seed.rotate_left(32) ^ length << 56)
}

impl Lexicon {
    /// Without words.
    pub(super) fn new(seeded: Seeded) -> Self {
        let Seeded(seed) = seeded;
        Self { seed, table: Table::default(), words: Vec::new(), texts: Vec::new(), generation: 0 }
    }

    /// How many words it has.
    pub(in crate::segment) fn len(&self) -> usize {
        self.words.len()
    }

    /// Numbers of two generations may stand for different words.
    pub(in crate::segment) fn generation(&self) -> u32 {
        self.generation
    }

    /// The number of a word, which is added if it is new; `None` where there are too many. It is found faster if it is the guess.
    pub(super) fn number(&mut self, word: &[u8], guess: Option<u32>) -> Option<u32> {
        let key = Key::of(word);
        if guess.is_some_and(|guess| self.is(guess, &key, word)) {
            return guess;
        }
        let hash = hash(&key, word, self.seed);
        self.find_key(&key, hash, word).or_else(|| self.add(key, hash, word))
    }

    /// The number of a word that was added before.
    pub(in crate::segment) fn find(&self, word: &[u8]) -> Option<u32> {
        let key = Key::of(word);
        self.find_key(&key, hash(&key, word, self.seed), word)
    }

    #[inline]
    fn find_key(&self, key: &Key, hash: u64, word: &[u8]) -> Option<u32> {
        self.table.find(hash, |number| self.is(number, key, word))
    }

    /// Whether a number is that of a word.
    #[inline]
    fn is(&self, number: u32, key: &Key, word: &[u8]) -> bool {
        let known = self.words.get(number as usize);
        known.is_some_and(|known| known.key == *key) && (key.is_all() || self.text(number) == word)
    }

    fn add(&mut self, key: Key, hash: u64, word: &[u8]) -> Option<u32> {
        let lowered = if word.iter().any(u8::is_ascii_uppercase) {
            Some(self.number(&word.to_ascii_lowercase(), None)?)
        } else {
            None
        };
        let number = u32::try_from(self.words.len()).ok().filter(|_| self.words.len() < WORDS_MAX)?;
        self.words.push(Word { key, start: self.texts.len(), lowered: lowered.unwrap_or(number) });
        self.texts.extend_from_slice(word);
        self.table.insert(hash, number);
        Some(number)
    }

    /// The text of a word.
    pub(in crate::segment) fn text(&self, number: u32) -> &[u8] {
        let text = |word: &Word| self.texts.get(word.start..word.start + word.key.length);
        self.words.get(number as usize).and_then(text).unwrap_or_default()
    }

    /// The word with its ASCII letters in lower case.
    pub(in crate::segment) fn lowered(&self, number: u32) -> u32 {
        self.words.get(number as usize).map_or(number, |word| word.lowered)
    }

    /// Forgets all words but these, and gives them new numbers.
    pub(super) fn retain<'n>(&mut self, used: impl Iterator<Item = &'n mut u32>) {
        let mut kept = Self::new(Seeded(self.seed));
        kept.generation = self.generation + 1;
        for number in used {
            // There was room for more than these.
            *number = kept.number(self.text(*number), None).unwrap_or(0);
        }
        *self = kept;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_keep_their_numbers_until_the_next_generation() {
        let mut lexicon = Lexicon::new(Seeded(7));
        let words: Vec<String> =
            (1..40).flat_map(|length| ["a", "b", "c"].map(|c| c.repeat(length))).collect();
        let ends = ["xaaaaaaaaaaaaaaaaaaaax", "xaaaaaaaaabaaaaaaaaaax"].map(str::to_owned);
        let words: Vec<String> = words.into_iter().chain(ends).collect();
        let numbers: Vec<u32> =
            words.iter().map(|word| lexicon.number(word.as_bytes(), None).unwrap()).collect();
        for (number, word) in numbers.iter().zip(&words) {
            for guess in [None, Some(*number), Some(0), Some(number + 1), Some(u32::MAX)] {
                assert_eq!(lexicon.number(word.as_bytes(), guess), Some(*number));
            }
            assert_eq!(lexicon.text(*number), word.as_bytes());
            assert_eq!(lexicon.lowered(*number), *number);
        }
        let upper = lexicon.number(b"GET", None).unwrap();
        assert_eq!(lexicon.text(lexicon.lowered(upper)), b"get");
        let (mut kept, before) = (upper, lexicon.generation());
        lexicon.retain(std::iter::once(&mut kept));
        assert_ne!(lexicon.generation(), before);
        assert_eq!((lexicon.text(kept), lexicon.find(b"aa"), lexicon.len()), (b"GET".as_slice(), None, 2));
    }
}
