//! Another word for each word: of the same length, made of syllables, the same wherever it occurs.

use std::collections::{BTreeMap, BTreeSet};

use super::random::Random;

/// Shorter words are left as they are: they are units, prepositions and protocol names.
const LETTERS_MIN: usize = 4;
const CONSONANTS: &[u8] = b"bdfghklmnprstvw";
const VOWELS: &[u8] = b"aeiou";

/// A dictionary that grows with what is translated.
#[derive(Debug)]
pub(crate) struct Vocabulary {
    random: Random,
    words: BTreeMap<String, String>,
    taken: BTreeSet<String>,
}

impl Vocabulary {
    pub(crate) fn new(random: Random) -> Self {
        Self { random, words: BTreeMap::new(), taken: BTreeSet::new() }
    }

    /// The text in other words; slots in braces and everything but words stay.
    pub(crate) fn translate(&mut self, text: &str) -> String {
        let (mut out, mut word, mut in_slot) = (String::new(), String::new(), false);
        for letter in text.chars() {
            let ends_word = !letter.is_ascii_alphabetic() || letter.is_ascii_uppercase() || in_slot;
            if ends_word {
                self.put(&mut word, &mut out);
            }
            in_slot = (in_slot || letter == '{') && letter != '}';
            if letter.is_ascii_alphabetic() && !in_slot {
                word.push(letter);
            } else {
                out.push(letter);
            }
        }
        self.put(&mut word, &mut out);
        out
    }

    /// Appends the translation of a word, which begins with at most one capital letter.
    fn put(&mut self, word: &mut String, out: &mut String) {
        if word.len() < LETTERS_MIN {
            out.push_str(word);
        } else {
            let is_capital = word.starts_with(|first: char| first.is_ascii_uppercase());
            let other = self.other(&word.to_ascii_lowercase());
            let (first, rest) = other.split_at(1);
            out.push_str(&if is_capital { first.to_ascii_uppercase() } else { first.to_owned() });
            out.push_str(rest);
        }
        word.clear();
    }

    fn other(&mut self, word: &str) -> String {
        if let Some(known) = self.words.get(word) {
            return known.clone();
        }
        loop {
            let letters = (0..word.len()).filter_map(|place| {
                self.random.pick(if place % 2 == 0 { CONSONANTS } else { VOWELS }).copied().map(char::from)
            });
            let other: String = letters.collect();
            if self.taken.insert(other.clone()) {
                self.words.insert(word.to_owned(), other.clone());
                return other;
            }
        }
    }
}
