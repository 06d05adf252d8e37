//! Reads the smallest pieces of a search query: words, quoted texts, regular expressions.
//!
//! What a sign means depends on where it stands (`-` in front of a word and inside it, `]` in a range and in
//! a path), so there is no stream of tokens: the parser asks the [`Cursor`] for what may stand at its place.

use super::ast::Span;
use super::error::{Problem, SearchError};

/// How many characters of what was found an error message quotes.
const FOUND_CHARS_MAX: usize = 24;

/// Where a word ends besides white space.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stops {
    /// In a query: parentheses and quotes.
    Term,
    /// In `in(…)`: also commas.
    List,
    /// In `[…]`: closing brackets and quotes, not parentheses.
    Range,
}

impl Stops {
    fn ends_at(self, c: char) -> bool {
        c.is_whitespace()
            || match self {
                Self::Term => matches!(c, '(' | ')' | '"'),
                Self::List => matches!(c, '(' | ')' | '"' | ','),
                Self::Range => matches!(c, ']' | '}' | '"'),
            }
    }
}

/// One character of a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Glyph {
    pub(super) c: char,
    /// Whether a backslash took its special meaning away.
    pub(super) escaped: bool,
}

impl Glyph {
    pub(super) fn is(self, c: char) -> bool {
        self.c == c && !self.escaped
    }
}

/// A run of characters up to white space or a stop.
#[derive(Debug, Clone)]
pub(super) struct Word {
    pub(super) glyphs: Vec<Glyph>,
    pub(super) span: Span,
}

impl Word {
    pub(super) fn is_empty(&self) -> bool {
        self.glyphs.is_empty()
    }

    pub(super) fn text(&self) -> String {
        text_of(&self.glyphs)
    }

    pub(super) fn has_escapes(&self) -> bool {
        self.glyphs.iter().any(|glyph| glyph.escaped)
    }

    /// Whether it is this text, without escapes.
    pub(super) fn is(&self, text: &str) -> bool {
        self.glyphs.len() == text.chars().count()
            && self.glyphs.iter().zip(text.chars()).all(|(g, c)| g.is(c))
    }
}

/// The characters of a run of glyphs.
pub(super) fn text_of(glyphs: &[Glyph]) -> String {
    glyphs.iter().map(|glyph| glyph.c).collect()
}

/// A place in the query.
#[derive(Debug)]
pub(super) struct Cursor<'q> {
    query: &'q str,
    chars: Vec<char>,
    at: usize,
}

impl<'q> Cursor<'q> {
    pub(super) fn new(query: &'q str) -> Self {
        Self { query, chars: query.chars().collect(), at: 0 }
    }

    pub(super) fn at(&self) -> usize {
        self.at
    }

    pub(super) fn rewind(&mut self, at: usize) {
        self.at = at;
    }

    pub(super) fn peek(&self) -> Option<char> {
        self.ahead(0)
    }

    /// The character `n` places ahead.
    pub(super) fn ahead(&self, n: usize) -> Option<char> {
        self.chars.get(self.at + n).copied()
    }

    pub(super) fn bump(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += 1;
        Some(c)
    }

    pub(super) fn eat(&mut self, c: char) -> bool {
        let found = self.peek() == Some(c);
        self.at += usize::from(found);
        found
    }

    pub(super) fn skip_space(&mut self) {
        while self.peek().is_some_and(char::is_whitespace) {
            self.at += 1;
        }
    }

    /// From `start` to here.
    pub(super) fn span_from(&self, start: usize) -> Span {
        Span { start, end: self.at }
    }

    pub(super) fn error(&self, span: Span, problem: Problem) -> SearchError {
        SearchError::new(self.query, span, problem)
    }

    /// An error at this place: `what` was expected.
    pub(super) fn expected(&self, what: impl Into<String>) -> SearchError {
        let start = self.at;
        let rest = self.chars.iter().skip(start);
        let run = rest.take_while(|c| !Stops::Term.ends_at(**c)).take(FOUND_CHARS_MAX);
        let mut run: String = run.collect();
        if run.is_empty() {
            run.extend(self.peek());
        }
        let end = start + run.chars().count();
        let found = match run.as_str() {
            "" => "the end of the query".to_owned(),
            run if run.trim().is_empty() => "white space".to_owned(),
            run => format!("`{run}`"),
        };
        self.error(Span { start, end }, Problem::Expected { what: what.into(), found })
    }

    /// The word that starts here, maybe empty. The cursor stops behind it.
    pub(super) fn word(&mut self, stops: Stops) -> Result<Word, SearchError> {
        let start = self.at;
        let mut glyphs = Vec::new();
        while let Some(c) = self.peek().filter(|c| !stops.ends_at(*c)) {
            self.at += 1;
            if c == '\\' {
                let Some(c) = self.bump() else {
                    return Err(self.expected("a character after `\\`"));
                };
                glyphs.push(Glyph { c, escaped: true });
            } else {
                glyphs.push(Glyph { c, escaped: false });
            }
        }
        Ok(Word { glyphs, span: self.span_from(start) })
    }

    /// The word that starts here, without moving; empty if it cannot be read.
    pub(super) fn word_ahead(&mut self) -> Word {
        let start = self.at;
        let word = self.word(Stops::Term);
        self.at = start;
        word.unwrap_or(Word { glyphs: Vec::new(), span: Span { start, end: start } })
    }

    /// The text between the quote that stands here and its partner.
    pub(super) fn quoted(&mut self) -> Result<String, SearchError> {
        let start = self.at;
        self.at += 1;
        let mut text = String::new();
        while let Some(c) = self.bump() {
            match c {
                '"' => return Ok(text),
                '\\' => text.extend(self.bump()),
                c => text.push(c),
            }
        }
        let span = Span { start, end: start + 1 };
        Err(self.error(span, Problem::Unclosed { opened: "quote", closer: "`\"`" }))
    }

    /// The regular expression between the slash that stands here and its partner, and whether an `i` follows.
    ///
    /// It is one only if white space, a parenthesis or the end follows the next slash; otherwise this is a
    /// path like `/var/log`, the cursor stays and the answer is `None`.
    pub(super) fn regex(&mut self) -> Option<(String, bool)> {
        let start = self.at;
        let found = self.regex_body();
        if found.is_none() {
            self.at = start;
        }
        found
    }

    fn regex_body(&mut self) -> Option<(String, bool)> {
        self.at += 1;
        let mut pattern = String::new();
        loop {
            match self.bump()? {
                '/' => break,
                '\\' => {
                    let escaped = self.bump()?;
                    if escaped != '/' {
                        pattern.push('\\');
                    }
                    pattern.push(escaped);
                }
                c => pattern.push(c),
            }
        }
        let ignore_case = self.eat('i');
        let ends = self.peek().is_none_or(|c| Stops::Term.ends_at(c));
        (ends && !pattern.is_empty()).then_some((pattern, ignore_case))
    }
}
