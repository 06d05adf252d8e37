//! Joins the lines of stack traces to the line before them, for those who ask for it.
//!
//! ```text
//!   2024-01-02 15:04:05 ERROR request failed        one record, its lines joined by LF
//!   java.lang.IllegalStateException: no session
//!       at com.shop.Cart.total(Cart.java:12)
//!   Caused by: java.io.IOException: closed
//!       ... 12 more
//!   2024-01-02 15:04:06 INFO next                   the next record
//! ```
//!
//! A line goes on with the record before it if it is indented, or has one of the shapes that traces of Java, Python
//! and Go have. Shapes that mean nothing on their own count only inside such a trace.

use std::io::{self, Read};

use super::lines::{LINE_BYTES_MAX, Line, LineReader, Text, TooLong};

/// The longest record, in bytes: as a line.
const RECORD_BYTES_MAX: usize = LINE_BYTES_MAX;
/// The most lines of one record, so that an indented file does not become one.
const RECORD_LINES_MAX: u64 = 10_000;

/// A line that was read and owns its text.
struct Held {
    number: u64,
    offset: u64,
    text: Result<(String, u64), TooLong>,
}

impl Held {
    fn new(line: Line<'_>) -> Self {
        let text = line.text.map(|text| (text.text.into_owned(), text.replaced));
        Self { number: line.number, offset: line.offset, text }
    }

    fn line(&self) -> Line<'_> {
        let text = match &self.text {
            Ok((text, replaced)) => Ok(Text { text: text.as_str().into(), replaced: *replaced }),
            Err(too_long) => Err(*too_long),
        };
        Line { number: self.number, offset: self.offset, text }
    }
}

/// Reads records: lines with the lines that go on with them. Numbers and offsets are those of the first line.
pub(crate) struct RecordReader<R> {
    lines: LineReader<R>,
    current: Option<Held>,
    next: Option<Held>,
}

impl<R: Read> RecordReader<R> {
    /// Joins the lines of `lines`.
    pub(crate) fn new(lines: LineReader<R>) -> Self {
        Self { lines, current: None, next: None }
    }

    /// The next record, or `None` at the end.
    ///
    /// # Errors
    /// What the source answers.
    pub(crate) fn next_record(&mut self) -> io::Result<Option<Line<'_>>> {
        self.current = match self.next.take() {
            Some(held) => Some(held),
            None => self.lines.next_line()?.map(Held::new),
        };
        if let Some(Held { text: Ok((record, replaced)), .. }) = &mut self.current {
            let mut trace = Trace::of(record);
            for _ in 1..RECORD_LINES_MAX {
                let Some(line) = self.lines.next_line()? else { break };
                match &line.text {
                    Ok(text)
                        if record.len() + text.text.len() < RECORD_BYTES_MAX && trace.takes(&text.text) =>
                    {
                        record.push('\n');
                        record.push_str(&text.text);
                        *replaced += text.replaced;
                    }
                    _ => {
                        self.next = Some(Held::new(line));
                        break;
                    }
                }
            }
        }
        Ok(self.current.as_ref().map(Held::line))
    }
}

/// What kind of trace a record is in, which decides what may follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trace {
    /// None that is known: indented lines and the shapes of Java.
    Plain,
    /// Behind `Traceback (most recent call last):`, whose last line is the exception.
    Python,
    /// Behind the exception of a Python traceback: another may be chained to it.
    PythonEnd,
    /// Behind a Go panic, until a line that no goroutine dump has.
    Go,
}

impl Trace {
    fn of(first: &str) -> Self {
        if first.starts_with("Traceback (most recent call last):") {
            Self::Python
        } else if first.starts_with("panic: ") || first.starts_with("fatal error: ") {
            Self::Go
        } else {
            Self::Plain
        }
    }

    /// Whether `line` goes on with the record; what may follow then is kept.
    fn takes(&mut self, line: &str) -> bool {
        if line.starts_with([' ', '\t']) && !line.trim().is_empty() {
            return true;
        }
        if line.starts_with("Traceback (most recent call last):") {
            *self = Self::Python;
            return true;
        }
        match self {
            Self::Go if is_go(line) => true,
            Self::Python if is_exception(line) => {
                *self = Self::PythonEnd;
                true
            }
            Self::PythonEnd => line.is_empty() || is_python_chain(line),
            _ if line.starts_with("panic: ") || line.starts_with("goroutine ") => {
                *self = Self::Go;
                true
            }
            _ => is_java(line),
        }
    }
}

fn is_java(line: &str) -> bool {
    let more = line
        .strip_prefix("... ")
        .is_some_and(|rest| rest.ends_with(" more") || rest.ends_with(" common frames omitted"));
    let frame = line.strip_prefix("at ").is_some_and(|rest| rest.ends_with(')'));
    let cause = ["Caused by: ", "Suppressed: "].iter().any(|start| line.starts_with(start));
    more || frame || cause || is_qualified_throwable(line)
}

/// `java.lang.IllegalStateException: no session`
fn is_qualified_throwable(line: &str) -> bool {
    let name = line.split_once(':').map_or(line, |(name, _)| name);
    let known = ["Exception", "Error", "Throwable"].iter().any(|end| name.ends_with(end));
    let qualified =
        name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'$'));
    known && qualified && name.contains('.') && name.starts_with(|first: char| first.is_ascii_lowercase())
}

/// `ValueError: no such colour`, or the name alone.
fn is_exception(line: &str) -> bool {
    let name = line.split_once(':').map_or(line, |(name, _)| name);
    let letters = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_'));
    letters && name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
}

fn is_python_chain(line: &str) -> bool {
    line.starts_with("During handling of the above exception")
        || line.starts_with("The above exception was the direct cause")
}

fn is_go(line: &str) -> bool {
    let starts =
        ["goroutine ", "created by ", "[signal ", "exit status ", "panic: ", "runtime stack:", "[recovered]"];
    let call = line.ends_with(')')
        && line.split_once('(').is_some_and(|(name, _)| name.contains('.') && !name.contains(' '));
    line.is_empty() || call || starts.iter().any(|start| line.starts_with(start))
}

#[cfg(test)]
mod tests;
