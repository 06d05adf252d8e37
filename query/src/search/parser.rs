//! The grammar of search queries, by recursive descent.
//!
//! ```text
//!   query  = [ or ]
//!   or     = and { ("OR" | "||") and }
//!   and    = not { [ "AND" | "&&" ] not }
//!   not    = ( "NOT" | "!" | "-" | "+" ) not | term
//!   term   = "(" or ")" | [ field ":" ] value | field ":" "(" or-of-values ")"
//!   value  = word | pre* | "phrase" | ="exact" | /regex/[i] | ip/bits | in(a, b) | *
//!          | (">" | ">=" | "<" | "<=") operand | ("[" | "{") end "TO" end ("]" | "}")      with a field only
//! ```
//!
//! `field:(a OR b)` is stored as `field:a OR field:b`. It parses only; what a field is and whether a value
//! fits it is decided by the compiler.

use ironbark_storage as storage;

use super::ast::{
    Bound, Cidr, Comparison, Field, Operand, Pattern, Range, RegexText, Span, Term, TextQuery, Value,
};
use super::error::{Problem, SearchError};
use super::lexer::{Cursor, Glyph, Stops, Word, text_of};
use super::literal::{self, Reading};
use super::matcher::RegexBudget;
use super::{DEPTH_MAX, QUERY_BYTES_MAX, TERMS_MAX};

/// Parses a search query.
///
/// # Errors
/// What is wrong and where, if it is not one or breaks a limit.
pub fn parse(query: &str) -> Result<TextQuery, SearchError> {
    parse_within(query, &mut RegexBudget::default())
}

/// [`parse`], for one of several queries that share a budget.
pub(super) fn parse_within(query: &str, regexes: &mut RegexBudget) -> Result<TextQuery, SearchError> {
    if query.len() > QUERY_BYTES_MAX {
        let problem = Problem::TooLong { bytes: query.len() };
        return Err(SearchError::new("", Span::default(), problem));
    }
    let mut parser = Parser { cursor: Cursor::new(query), depth: 0, terms: 0, regexes };
    parser.cursor.skip_space();
    if parser.cursor.peek().is_none() {
        return Ok(TextQuery::Everything);
    }
    let parsed = parser.or(None)?;
    match parser.cursor.peek() {
        None => Ok(parsed),
        Some(_) => Err(parser.cursor.expected("the end of the query or an opening `(` before this")),
    }
}

/// What stands between two terms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    End,
    And,
    Or,
    Term,
}

struct Parser<'q> {
    cursor: Cursor<'q>,
    regexes: &'q mut RegexBudget,
    depth: usize,
    terms: usize,
}

impl Parser<'_> {
    /// `field` is set inside `field:( … )`, where only values stand.
    fn or(&mut self, field: Option<&Field>) -> Result<TextQuery, SearchError> {
        let mut operands = vec![self.and(field)?];
        while self.next() == Next::Or {
            self.skip_operator();
            operands.push(self.and(field)?);
        }
        Ok(TextQuery::or(operands))
    }

    fn and(&mut self, field: Option<&Field>) -> Result<TextQuery, SearchError> {
        let mut operands = vec![self.not(field)?];
        loop {
            match self.next() {
                Next::End | Next::Or => return Ok(TextQuery::and(operands)),
                Next::And => self.skip_operator(),
                Next::Term => {}
            }
            operands.push(self.not(field)?);
        }
    }

    fn next(&mut self) -> Next {
        self.cursor.skip_space();
        match self.cursor.peek() {
            None | Some(')') => Next::End,
            Some(_) => {
                let word = self.cursor.word_ahead();
                if word.is("AND") || word.is("&&") {
                    Next::And
                } else if word.is("OR") || word.is("||") {
                    Next::Or
                } else {
                    Next::Term
                }
            }
        }
    }

    fn skip_operator(&mut self) {
        let word = self.cursor.word_ahead();
        self.cursor.rewind(word.span.end);
    }

    fn not(&mut self, field: Option<&Field>) -> Result<TextQuery, SearchError> {
        if self.next() != Next::Term {
            return Err(self.cursor.expected("a search term"));
        }
        if self.cursor.word_ahead().is("NOT") {
            self.skip_operator();
            return self.deeper(|parser| parser.not(field)).map(TextQuery::negate);
        }
        if self.at_signs() {
            let at = self.cursor.at();
            return self.word().and_then(|value| self.close(field, value, at, at));
        }
        let sign = self.cursor.peek();
        let glued = self.cursor.ahead(1).is_some_and(|c| !c.is_whitespace() && c != ')');
        match sign {
            Some('-' | '!') if glued => {
                self.cursor.bump();
                self.deeper(|parser| parser.not(field)).map(TextQuery::negate)
            }
            Some(sign @ ('-' | '!')) => {
                self.cursor.bump();
                Err(self.cursor.expected(format!("a search term directly after `{sign}`")))
            }
            Some('+') if glued => {
                self.cursor.bump();
                self.deeper(|parser| parser.not(field))
            }
            Some('(') => self.group(field),
            _ if field.is_some() => self.value(field, self.cursor.at()),
            _ => self.term(),
        }
    }

    /// Whether a word of nothing but signs stands here, as `->` in pasted text: no operator, but text itself.
    fn at_signs(&mut self) -> bool {
        let word = self.cursor.word_ahead();
        let is_sign = |glyph: &Glyph| !glyph.escaped && glyph.c != '*' && !storage::is_token_char(glyph.c);
        let after = self.cursor.ahead(word.span.end - word.span.start);
        word.glyphs.len() > 1
            && word.glyphs.iter().all(is_sign)
            && !word.glyphs.first().is_some_and(|glyph| glyph.is('/'))
            && !(word.is("<=") || word.is(">="))
            && after.is_none_or(|c| c.is_whitespace() || c == ')')
    }

    fn deeper<T>(
        &mut self,
        inner: impl FnOnce(&mut Self) -> Result<T, SearchError>,
    ) -> Result<T, SearchError> {
        if self.depth == DEPTH_MAX {
            let start = self.cursor.at();
            return Err(self.cursor.error(Span { start, end: start + 1 }, Problem::TooDeep));
        }
        self.depth += 1;
        let result = inner(self);
        self.depth -= 1;
        result
    }

    fn group(&mut self, field: Option<&Field>) -> Result<TextQuery, SearchError> {
        let start = self.cursor.at();
        self.cursor.bump();
        let inner = self.deeper(|parser| parser.or(field))?;
        if self.cursor.eat(')') {
            return Ok(inner);
        }
        let span = Span { start, end: start + 1 };
        Err(self.cursor.error(span, Problem::Unclosed { opened: "`(`", closer: "`)`" }))
    }

    /// A term outside of `field:( … )`.
    fn term(&mut self) -> Result<TextQuery, SearchError> {
        let start = self.cursor.at();
        match self.cursor.peek() {
            Some('"') => {
                let text = self.cursor.quoted()?;
                if !text.is_empty() && self.cursor.eat(':') {
                    return self.field_value(&Field::Named(text), start);
                }
                self.close(None, Value::Phrase(text), start, start)
            }
            Some('<' | '>' | '[' | '{') => self.value(None, start),
            Some('/') if self.cursor.regex().is_some() => {
                self.cursor.rewind(start);
                self.value(None, start)
            }
            _ => {
                let word = self.cursor.word_ahead();
                match literal::read(&word) {
                    Reading::Text => self.value(None, start),
                    Reading::HostPort(host_port) => {
                        self.cursor.rewind(word.span.end);
                        self.close(None, Value::HostPort(host_port), start, start)
                    }
                    Reading::Field { name, value } => self.named(&name, &value, start),
                }
            }
        }
    }

    /// `name:value`, with the cursor at the name.
    fn named(&mut self, name: &[Glyph], value: &[Glyph], start: usize) -> Result<TextQuery, SearchError> {
        let escapes = name.iter().filter(|glyph| glyph.escaped).count();
        let colon = start + name.len() + escapes;
        if let [star] = name
            && star.is('*')
            && matches!(value, [only] if only.is('*'))
        {
            self.cursor.rewind(colon + 2);
            return self.close(None, Value::Present, start, start);
        }
        let has_star = name.iter().any(|glyph| glyph.is('*'));
        let Some(field) = literal::field_name(name).filter(|_| !has_star) else {
            return Err(self.cursor.expected("the name of a field before `:`"));
        };
        self.cursor.rewind(colon + 1);
        self.field_value(&field, start)
    }

    /// What follows `field:`.
    fn field_value(&mut self, field: &Field, start: usize) -> Result<TextQuery, SearchError> {
        let negated = self.cursor.peek() == Some('!');
        if negated {
            self.cursor.bump();
            return self.deeper(|parser| parser.field_value(field, start)).map(TextQuery::negate);
        }
        if self.next() != Next::Term {
            return Err(self.cursor.expected(format!("a value after `{}:`", field.name())));
        }
        if self.cursor.peek() == Some('(') { self.group(Some(field)) } else { self.value(Some(field), start) }
    }

    fn value(&mut self, field: Option<&Field>, start: usize) -> Result<TextQuery, SearchError> {
        let (at, next) = (self.cursor.at(), self.cursor.ahead(1));
        let value = match self.cursor.peek() {
            Some('"') => Value::Phrase(self.cursor.quoted()?),
            Some('=') if field.is_some() || next == Some('"') => {
                self.cursor.bump();
                Value::Exact(self.operand("a value after `=`", Stops::Term)?.text().to_owned())
            }
            Some('<' | '>') => self.comparison(field)?,
            Some('[' | '{') => Value::Range(self.range(field)?),
            Some('i' | 'I') if matches!(next, Some('n' | 'N')) && self.cursor.ahead(2) == Some('(') => {
                Value::In(self.list()?)
            }
            Some('/') => match self.cursor.regex() {
                Some((pattern, ignore_case)) => self.regex(pattern, ignore_case, at)?,
                None => self.word()?,
            },
            _ => return self.word().and_then(|value| self.close(field, value, start, at)),
        };
        self.close(field, value, start, at)
    }

    /// Ends a term: what follows must not be glued to a quote or bracket.
    fn close(
        &mut self,
        field: Option<&Field>,
        value: Value,
        start: usize,
        at: usize,
    ) -> Result<TextQuery, SearchError> {
        self.count()?;
        let is_word =
            matches!(value, Value::Word(_) | Value::Pattern(_) | Value::Cidr(_) | Value::HostPort(_));
        if !is_word && self.cursor.peek().is_some_and(|c| !c.is_whitespace() && c != ')') {
            return Err(self.cursor.expected("a space or the end of the query"));
        }
        Ok(TextQuery::Term(Term {
            field: field.cloned(),
            value,
            span: self.cursor.span_from(start),
            value_span: self.cursor.span_from(at),
        }))
    }

    fn count(&mut self) -> Result<(), SearchError> {
        self.terms += 1;
        if self.terms > TERMS_MAX {
            return Err(self.cursor.error(self.cursor.span_from(self.cursor.at()), Problem::TooManyTerms));
        }
        Ok(())
    }

    fn field_needed(
        &mut self,
        field: Option<&Field>,
        what: &'static str,
        example: &'static str,
    ) -> Result<(), SearchError> {
        if field.is_some() {
            return Ok(());
        }
        let start = self.cursor.at();
        Err(self.cursor.error(Span { start, end: start + 1 }, Problem::FieldNeeded { what, example }))
    }

    fn comparison(&mut self, field: Option<&Field>) -> Result<Value, SearchError> {
        self.field_needed(field, "a comparison", "`status:>=500`")?;
        let greater = self.cursor.bump() == Some('>');
        let comparison = match (greater, self.cursor.eat('=')) {
            (true, true) => Comparison::GreaterOrEqual,
            (true, false) => Comparison::Greater,
            (false, true) => Comparison::LessOrEqual,
            (false, false) => Comparison::Less,
        };
        self.cursor.skip_space();
        let what = format!("a value after `{}`", comparison.as_str());
        Ok(Value::Compare(comparison, self.operand(&what, Stops::Term)?))
    }

    /// A word or a quoted text; an operator is neither.
    fn operand(&mut self, what: &str, stops: Stops) -> Result<Operand, SearchError> {
        if self.cursor.peek() == Some('"') {
            return self.cursor.quoted().map(Operand::Quoted);
        }
        let start = self.cursor.at();
        let word = self.cursor.word(stops)?;
        if word.is_empty() || is_keyword(&word) {
            self.cursor.rewind(start);
            return Err(self.cursor.expected(what));
        }
        Ok(Operand::Word(word.text()))
    }

    fn range(&mut self, field: Option<&Field>) -> Result<Range, SearchError> {
        self.field_needed(field, "a range", "`status:[400 TO 499]`")?;
        let start = self.cursor.at();
        let inclusive = self.cursor.bump() == Some('[');
        let low = self.range_end("the lower end of the range or `*`")?;
        self.cursor.skip_space();
        let at = self.cursor.at();
        if !self.cursor.word(Stops::Range)?.is("TO") {
            self.cursor.rewind(at);
            return Err(self.cursor.expected("`TO`"));
        }
        let high = self.range_end("the upper end of the range or `*`")?;
        self.cursor.skip_space();
        let bound = |end: Option<Operand>, inclusive: bool| match (end, inclusive) {
            (None, _) => Bound::Open,
            (Some(end), true) => Bound::Inclusive(end),
            (Some(end), false) => Bound::Exclusive(end),
        };
        match self.cursor.peek() {
            Some(close @ (']' | '}')) => {
                self.cursor.bump();
                Ok(Range { low: bound(low, inclusive), high: bound(high, close == ']') })
            }
            None => {
                let span = Span { start, end: start + 1 };
                let opened = if inclusive { "`[`" } else { "`{`" };
                Err(self.cursor.error(span, Problem::Unclosed { opened, closer: "`]` or `}`" }))
            }
            Some(_) => Err(self.cursor.expected("`]` or `}`")),
        }
    }

    /// `None` is `*`.
    fn range_end(&mut self, what: &str) -> Result<Option<Operand>, SearchError> {
        self.cursor.skip_space();
        let start = self.cursor.at();
        if self.cursor.peek() == Some('*') && self.cursor.word(Stops::Range)?.is("*") {
            return Ok(None);
        }
        self.cursor.rewind(start);
        let is_to = self.cursor.word(Stops::Range)?.is("TO");
        self.cursor.rewind(start);
        if is_to { Err(self.cursor.expected(what)) } else { self.operand(what, Stops::Range).map(Some) }
    }

    fn list(&mut self) -> Result<Vec<Operand>, SearchError> {
        let open = self.cursor.at() + 2;
        self.cursor.rewind(open + 1);
        let mut items = Vec::new();
        loop {
            self.cursor.skip_space();
            if self.cursor.peek().is_some() {
                items.push(self.operand("a value", Stops::List)?);
                self.count()?;
                self.cursor.skip_space();
            }
            match self.cursor.peek() {
                Some(',') => self.cursor.bump(),
                Some(')') => {
                    self.cursor.bump();
                    return Ok(items);
                }
                Some(_) => return Err(self.cursor.expected("`,` or `)`")),
                None => {
                    let span = Span { start: open, end: open + 1 };
                    return Err(self
                        .cursor
                        .error(span, Problem::Unclosed { opened: "`in(`", closer: "`)`" }));
                }
            };
        }
    }

    fn regex(&mut self, pattern: String, ignore_case: bool, start: usize) -> Result<Value, SearchError> {
        self.weighed(Value::Regex(RegexText { pattern, ignore_case }), self.cursor.span_from(start))
    }

    /// The value, if the regular expression that it may need is right and there is room for it.
    fn weighed(&mut self, value: Value, span: Span) -> Result<Value, SearchError> {
        match self.regexes.take(&value) {
            Ok(()) => Ok(value),
            Err(problem) => Err(self.cursor.error(span, problem)),
        }
    }

    fn word(&mut self) -> Result<Value, SearchError> {
        let start = self.cursor.at();
        let word = self.cursor.word(Stops::Term)?;
        if word.is_empty() || is_keyword(&word) {
            self.cursor.rewind(start);
            return Err(self.cursor.expected("a search term"));
        }
        if word.glyphs.iter().any(|glyph| glyph.is('*')) {
            let pieces = word.glyphs.split(|glyph| glyph.is('*')).map(text_of).collect();
            let value = Pattern::new(pieces).map_or(Value::Present, Value::Pattern);
            return self.weighed(value, word.span);
        }
        match self.cidr(&word)? {
            Some(cidr) => Ok(Value::Cidr(cidr)),
            None => Ok(Value::Word(word.text())),
        }
    }

    fn cidr(&mut self, word: &Word) -> Result<Option<Cidr>, SearchError> {
        let text = word.text();
        let Some((address, prefix)) = text.split_once('/').filter(|_| !word.has_escapes()) else {
            return Ok(None);
        };
        let Ok(address) = address.parse::<std::net::IpAddr>() else {
            return Ok(None);
        };
        if prefix.is_empty() || !prefix.bytes().all(|b| b.is_ascii_digit()) {
            return Ok(None);
        }
        if let Some(cidr) = prefix.parse().ok().and_then(|bits| Cidr::new(address, bits)) {
            return Ok(Some(cidr));
        }
        let bits_max = if address.is_ipv4() { 32 } else { 128 };
        Err(self.cursor.error(word.span, Problem::Prefix { prefix: prefix.to_owned(), bits_max }))
    }
}

fn is_keyword(word: &Word) -> bool {
    ["AND", "OR", "NOT", "&&", "||"].iter().any(|keyword| word.is(keyword))
}
