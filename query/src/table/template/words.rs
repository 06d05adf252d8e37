//! The words that a message must hold to satisfy a text condition, and what an index is asked for them.
//!
//! ```text
//!   LIKE '%user=k9zq%'       user, k9zq      each lies within one word of the message, which the message's template tells,
//!                            use ser k9z …   or a slot holds; then the range has all of the word's grams
//! ```
//!
//! So where neither the constant texts of a template nor the grams of a range hold a word, no row of both matches.

use ironbark_storage::{Part, Template, Term, TermKind, grams, is_token_byte};
use regex_syntax::ParserBuilder;
use regex_syntax::hir::{Hir, HirKind};

use super::text::AsciiRegex;

/// Grams of a condition that an index is asked for; further words are left out.
const GRAMS_MAX: usize = 48;

/// A part of a word, in lower case. It may go on at both ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Word {
    lowered: String,
    grams: Vec<Term>,
}

impl Word {
    /// Words that are in every text with a match, as far as grams tell of them.
    pub(super) fn all_of(regex: &AsciiRegex) -> Vec<Self> {
        let mut parser = ParserBuilder::new();
        let parsed = parser.utf8(false).unicode(regex.unicode).build().parse(&regex.pattern);
        // One that cannot be parsed fails where it is evaluated.
        let Ok(parsed) = parsed else { return Vec::new() };
        let mut literals = Vec::new();
        required(&parsed, &mut literals);
        let mut words: Vec<Self> = Vec::new();
        let mut left = GRAMS_MAX;
        for literal in literals {
            for bytes in literal.split(|byte| !is_same_in_texts(*byte, regex.ignore_case)) {
                let word = Self::new(bytes);
                let is_new = !word.grams.is_empty() && !words.contains(&word);
                if is_new && word.grams.len() <= left {
                    left -= word.grams.len();
                    words.push(word);
                }
            }
        }
        words
    }

    /// Of letters, digits and `_`.
    fn new(bytes: &[u8]) -> Self {
        let lowered = String::from_utf8_lossy(bytes).to_ascii_lowercase();
        let grams = grams(&lowered).map(|gram| Term::new(TermKind::Gram, gram)).collect();
        Self { lowered, grams }
    }

    /// Terms of all ranges with a slot that holds it.
    pub(super) fn grams(&self) -> impl Iterator<Item = &Term> {
        self.grams.iter()
    }

    /// Whether a constant text of a template holds it.
    pub(super) fn is_told_by(&self, template: &Template) -> bool {
        let word = self.lowered.as_bytes();
        template.parts().iter().any(|part| match part {
            Part::Text(text) => text.windows(word.len()).any(|held| held.eq_ignore_ascii_case(word)),
            Part::Slot(_) => false,
        })
    }
}

/// Whether a byte is part of a word, and no letter beyond ASCII compares equal to it.
fn is_same_in_texts(byte: u8, ignore_case: bool) -> bool {
    // `İ` becomes an `i` and an accent, the signs for long s and kelvin an `s` and a `k`.
    is_token_byte(byte) && !(ignore_case && matches!(byte.to_ascii_lowercase(), b'i' | b'k' | b's'))
}

/// Adds the literals that are in every match.
fn required<'a>(hir: &'a Hir, found: &mut Vec<&'a [u8]>) {
    match hir.kind() {
        HirKind::Literal(literal) => found.push(&literal.0),
        HirKind::Capture(capture) => required(&capture.sub, found),
        HirKind::Repetition(repetition) if repetition.min > 0 => required(&repetition.sub, found),
        HirKind::Concat(parts) => parts.iter().for_each(|part| required(part, found)),
        HirKind::Empty
        | HirKind::Class(_)
        | HirKind::Look(_)
        | HirKind::Repetition(_)
        | HirKind::Alternation(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(regex: &AsciiRegex) -> Vec<String> {
        Word::all_of(regex).into_iter().map(|word| word.lowered).collect()
    }

    #[test]
    fn words_are_in_every_match() {
        let like = |pattern| all(&AsciiRegex::like(pattern, false).unwrap());
        assert_eq!(like("%User=K9zq%lo_gin%"), ["user", "k9zq", "gin"]);
        assert_eq!(like("%dead-beef00%"), [""; 0]);
        let given = |pattern, ignore_case| all(&AsciiRegex::given(pattern, ignore_case));
        assert_eq!(given("(retry) (after|of) x*(?:more)+ [mn]s", false), ["retry", "more"]);
        assert_eq!(given("connection (?i:reset)", true), ["connect"]);
        assert_eq!(given("größter( unclosed", false), [""; 0]);
        assert_eq!(given("größter", false), ["ter"]);
    }
}
