//! The tokens that a text must hold if it matches a search, equals a literal or holds one.
//!
//! ```text
//!   message LIKE '%user=42 lo%'        …user=42 lo…       user may go on to the left, lo to the right;
//!                                         │    ││         42 stands between two characters of no token,
//!                                         └────┴┘         so it is a whole token of every text that matches
//! ```
//!
//! Texts are compared in three ways, and tokens in a fourth, that of the index (lower case, letter by letter). They
//! agree but for a few letters, and where these are in play nothing is claimed.

use ironbark_storage::{Term, TermKind, is_token_char, lower, tokens};

use super::Clause;
use crate::search::{Operand, Pattern, Shape, TextQuery, Value};

/// How a text is compared with a literal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Case {
    /// As they are.
    Exact,
    /// The text is lowered first: by search letter by letter, or by SQL's `lower`.
    Lowered,
    /// By a regular expression that ignores case.
    Folded,
}

/// What stands beside an end of a literal in a text that holds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Beside {
    /// Anything: a token at this end may go on.
    Anything,
    /// The end of the text.
    Nothing,
}

/// Lower case of `İ` is an `i` and this, which is of no token though `İ` is: the one letter whose lower case has other
/// tokens than it has itself.
const DOT_ABOVE: char = '\u{307}';
/// The lower case of `Σ` at the end of a word to SQL; the index makes it `σ` everywhere.
const FINAL_SIGMA: char = 'ς';

/// The clause of a search in `message`.
pub(super) fn of_query(query: &TextQuery) -> Clause {
    match query {
        TextQuery::And(operands) => Clause::and(operands.iter().map(of_query)),
        TextQuery::Or(operands) => Clause::or(operands.iter().map(of_query)),
        TextQuery::Term(term) if term.field.is_none() => of_value(&term.value),
        TextQuery::Everything | TextQuery::Not(_) | TextQuery::Term(_) => Clause::Unknown,
    }
}

/// The one token that a search in `message` asks for, if that is all that it asks.
pub(super) fn single_token(query: &TextQuery) -> Option<Term> {
    let TextQuery::Term(term) = query else { return None };
    let (None, Value::Word(text) | Value::Phrase(text)) = (&term.field, &term.value) else { return None };
    let mut all = tokens(text);
    let first = all.next()?;
    all.next().is_none().then(|| Term::new(TermKind::Message, first.text))
}

fn of_value(value: &Value) -> Clause {
    match value {
        Value::Word(text) | Value::Phrase(text) => whole(text),
        Value::HostPort(host_port) => whole(&format!("{}:{}", host_port.host, host_port.port)),
        Value::In(items) => Clause::or(items.iter().map(Operand::text).map(whole)),
        Value::Exact(text) => held(text, Case::Exact, Beside::Anything, Beside::Anything),
        Value::Pattern(pattern) => of_pattern(pattern),
        Value::Present | Value::Regex(_) | Value::Cidr(_) | Value::Compare(..) | Value::Range(_) => {
            Clause::Unknown
        }
    }
}

/// See the search's matcher for what a pattern means.
fn of_pattern(pattern: &Pattern) -> Clause {
    let anything = Beside::Anything;
    match pattern.shape() {
        Shape::Start(start) => started(start),
        Shape::End(end) => ended(end),
        Shape::Inner(inner) => held(inner, Case::Lowered, anything, anything),
        // The ends of these are also the ends of tokens, but to the tables of another library.
        Shape::Pieces(pieces) => {
            Clause::and(pieces.iter().map(|piece| held(piece, Case::Folded, anything, anything)))
        }
    }
}

/// `a b-c*`: tokens in a row, of which the last may go on.
fn started(text: &str) -> Clause {
    let goes_on = text.chars().next_back().is_some_and(is_token_char);
    let mut all: Vec<_> = tokens(text).collect();
    if goes_on {
        all.pop();
    }
    Clause::and(all.into_iter().map(|token| message(token.text)))
}

/// `*a b-c`: a text whose last token ends here. `İ` ends in two characters once it is lowered, so an `i` may not.
fn ended(text: &str) -> Clause {
    let after = if lower(text).ends_with('i') { Beside::Anything } else { Beside::Nothing };
    held(text, Case::Lowered, Beside::Anything, after)
}

/// All of the tokens of a text that is compared token by token, or is the whole message.
pub(super) fn whole(text: &str) -> Clause {
    Clause::and(tokens(text).map(|token| message(token.text)))
}

/// The tokens of a literal that are whole tokens of every text that holds it.
pub(super) fn held(literal: &str, case: Case, before: Beside, after: Beside) -> Clause {
    let ends_token = |c: char| match case {
        Case::Exact => !is_token_char(c),
        Case::Lowered => !is_token_char(c) && c != DOT_ABOVE,
        Case::Folded => !is_token_char(c) && c.is_ascii(),
    };
    let kept = tokens(literal).filter(|token| {
        let left = literal.get(..token.start).and_then(|text| text.chars().next_back());
        let right = literal.get(token.end()..).and_then(|text| text.chars().next());
        left.map_or(before == Beside::Nothing, ends_token)
            && right.map_or(after == Beside::Nothing, ends_token)
            && keeps(token.text, case)
    });
    Clause::and(kept.map(|token| message(token.text)))
}

/// Whether every text that compares equal to this token has the same lower case in the index.
fn keeps(token: &str, case: Case) -> bool {
    match case {
        Case::Exact => true,
        Case::Lowered => lower(token).chars().all(|c| is_token_char(c) && c != FINAL_SIGMA),
        // Of the ASCII letters only `s` has a variant, `ſ`, whose lower case is another.
        Case::Folded => token.bytes().all(|b| b.is_ascii() && !b.eq_ignore_ascii_case(&b's')),
    }
}

/// Whether a value whose lower case to SQL is `lowered` has the same to the index.
pub(super) fn is_lower_everywhere(lowered: &str) -> bool {
    !lowered.contains(FINAL_SIGMA)
}

fn message(token: &str) -> Clause {
    Clause::Term(Term::new(TermKind::Message, token))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the rules above take for granted of every character.
    #[test]
    fn only_one_letter_changes_its_tokens_with_its_case() {
        for c in '\0'..=char::MAX {
            let lowered: String = c.to_lowercase().collect();
            assert_eq!(lower(&lowered), lowered, "{c:?} has one lower case");
            if c == 'İ' {
                assert_eq!(lowered, format!("i{DOT_ABOVE}"));
                continue;
            }
            let same = lowered.chars().all(|l| is_token_char(l) == is_token_char(c));
            assert!(same, "{c:?} and {lowered:?} differ in being of a token");
            assert!(c.is_ascii() || c == '\u{212a}' || !lowered.is_ascii(), "{c:?} becomes {lowered:?}");
        }
    }

    #[test]
    fn only_s_and_k_have_variants_outside_of_ascii() {
        let all: String = ('\u{80}'..=char::MAX).collect();
        for ascii in (0u8..128).map(char::from) {
            let regex = format!("(?i){}", regex::escape(&ascii.to_string()));
            let regex = regex::Regex::new(&regex).unwrap();
            let others: String = regex.find_iter(&all).map(|found| found.as_str()).collect();
            let expected = match ascii.to_ascii_lowercase() {
                's' => "ſ",
                'k' => "\u{212a}",
                _ => "",
            };
            assert_eq!(others, expected, "{ascii:?}");
        }
    }
}
