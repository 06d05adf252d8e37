//! Finds the level of a line where programs write it, and nowhere else.
//!
//! A word such as `error` in prose says nothing about the line, so the rules are about places. In this order:
//! 1. `<34>` at the start: the syslog severity, as its keyword.
//! 2. The letter of glog (`I0102 …`), of Tornado (`[I 240102 …`), of Android (`… 1702 2395 D tag`, `D/tag(12):`), of
//!    `MongoDB` (`… I NETWORK`), and the sign of Redis (`… * Ready`).
//! 3. A word in the header of the line. The header runs from the start, over the timestamp, and ends at the first
//!    word of prose or quoted text, or one token behind a `tag:`. A host before a tag (`combo sshd[12]:`) and a name
//!    between dashes (`- worker -`) are no prose. In the header a level counts if it is in capitals (`ERROR`) or set
//!    off (`[error]`, `error:`, `[core:error]`); in other cases (`error`, `Info`) only right behind the timestamp,
//!    with nothing but numbers and brackets between.
//! 4. The value of a name: `level=`, `"severity":`.
//!
//! A line of a container (`2024-01-02T15:04:05Z stderr F …`) holds another line, whose places count instead.
//!
//! What is found is returned as written; `storage::Level` knows what it means.

use std::ops::Range;

use ironbark_storage::Level;

use super::keyed;
use super::timestamp::{Family, Found, is_plain_word};

/// Tokens of a header that are looked at.
const HEADER_TOKENS_MAX: usize = 12;
/// Bytes that a bracketed token may have.
const GROUP_BYTES_MAX: usize = 256;
/// Severities of syslog, by their number.
const SEVERITIES: [&str; 8] = ["emerg", "alert", "crit", "err", "warning", "notice", "info", "debug"];
/// The highest priority of syslog: facility 23, severity 7.
const PRIORITY_MAX: u8 = 191;
/// Single letters that programs use; others that `storage::Level` knows are too likely to be something else.
const LETTERS: [&str; 7] = ["V", "T", "D", "I", "W", "E", "F"];
/// Levels that are also words of prose, and so count only in capitals.
const PROSE: [&str; 7] = ["fine", "finer", "finest", "note", "verbose", "information", "log"];
/// The names behind which structured lines keep their level.
const NAMES: [&str; 11] = [
    "level",
    "lvl",
    "severity",
    "loglevel",
    "log.level",
    "log_level",
    "levelname",
    "level_name",
    "severity_text",
    "severitytext",
    "@l",
];

/// Finds the level of `line`, whose timestamp was found before.
pub(super) fn find<'a>(line: &'a str, stamp: Option<&Found>) -> Option<&'a str> {
    if let Some(priority) = priority(line) {
        return severity(line.get(priority)?);
    }
    if keyed::is_json(line) {
        return mongo(line).or_else(|| named(line));
    }
    letter(line, stamp).or_else(|| Header::new(line, stamp).level()).or_else(|| named(line))
}

/// Where the `<34>` of syslog stands at the start of a line.
pub(super) fn priority(line: &str) -> Option<Range<usize>> {
    let (number, _) = line.strip_prefix('<')?.split_once('>')?;
    let digits = (1..=3).contains(&number.len()) && number.bytes().all(|byte| byte.is_ascii_digit());
    let known = digits && number.parse::<u8>().is_ok_and(|number| number <= PRIORITY_MAX);
    known.then_some(0..number.len() + 2)
}

fn severity(priority: &str) -> Option<&'static str> {
    let number: usize = priority.trim_matches(['<', '>']).parse().ok()?;
    SEVERITIES.get(number % SEVERITIES.len()).copied()
}

/// Whether a token is a level in words.
pub(super) fn is_word(token: &str) -> bool {
    let letters = token.len() >= 3 && token.bytes().all(|byte| byte.is_ascii_alphabetic());
    letters
        && Level::parse(token).is_some()
        && (is_upper(token) || !PROSE.iter().any(|word| word.eq_ignore_ascii_case(token)))
}

fn is_upper(token: &str) -> bool {
    token.bytes().all(|byte| byte.is_ascii_uppercase())
}

fn named(line: &str) -> Option<&str> {
    keyed::values(line, &NAMES).find_map(|at| {
        let value = line.get(at..)?;
        let length = value.bytes().take_while(u8::is_ascii_alphanumeric).count();
        let value = value.get(..length)?;
        let severity = matches!(value.as_bytes(), [b'0'..=b'7']);
        (severity || is_word(value) || LETTERS.contains(&value)).then_some(value)
    })
}

/// `{"t":{"$date":"…"},"s":"E",`, as `MongoDB` writes it since 4.4.
fn mongo(line: &str) -> Option<&str> {
    let at = line.starts_with(r#"{"t":{"$date""#).then(|| keyed::values(line, &["s"]).next())??;
    line.get(at..at + 1).filter(|letter| LETTERS.contains(letter))
}

/// Levels of one letter or sign.
fn letter<'a>(line: &'a str, stamp: Option<&Found>) -> Option<&'a str> {
    let Some(stamp) = stamp else { return android_brief(line) };
    let before = line.get(..stamp.span.start)?;
    let behind = line.get(stamp.span.end..)?;
    match stamp.family {
        Family::Glog => line.get(stamp.span.start..=stamp.span.start),
        Family::DayFirst => redis_sign(before, behind),
        Family::NoYear => {
            let mut tokens = behind.split_ascii_whitespace().skip_while(|token| token.parse::<u32>().is_ok());
            tokens.next().filter(|token| LETTERS.contains(token))
        }
        _ => {
            let in_bracket = before.strip_prefix('[').map(str::trim_end);
            in_bracket.filter(|token| LETTERS.contains(token)).or_else(|| {
                let mut tokens = behind.split_ascii_whitespace();
                let letter = tokens.next().filter(|token| LETTERS.contains(token))?;
                tokens.next().filter(|component| component.len() > 1 && is_upper(component)).map(|_| letter)
            })
        }
    }
}

/// `D/dalvikvm( 379): …`
fn android_brief(line: &str) -> Option<&str> {
    let (letter, rest) = line.split_at_checked(1)?;
    let (tag, rest) = rest.strip_prefix('/')?.split_once('(')?;
    let (pid, _) = rest.split_once("):")?;
    let brief = !tag.is_empty() && tag.len() <= GROUP_BYTES_MAX && pid.trim().parse::<u32>().is_ok();
    (brief && LETTERS.contains(&letter)).then_some(letter)
}

/// `1:M 02 Jan 2024 15:04:05.123 * Ready`, and `[1] 02 Jan 15:04:05.123 * Ready` from old versions.
fn redis_sign(before: &str, behind: &str) -> Option<&'static str> {
    let number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let role = before.strip_suffix([' ']).and_then(|before| match before.split_once(':') {
        Some((pid, role)) => Some(number(pid) && matches!(role, "M" | "S" | "C" | "X")),
        None => before.strip_prefix('[')?.strip_suffix(']').map(number),
    });
    match (role?, behind.as_bytes()) {
        (true, [b' ', sign, b' ', ..]) => match sign {
            b'.' => Some("debug"),
            b'-' => Some("info"),
            b'*' => Some("notice"),
            b'#' => Some("warning"),
            _ => None,
        },
        _ => None,
    }
}

/// The walk over the header of a line.
struct Header<'a> {
    line: &'a str,
    stamp: Option<Range<usize>>,
    position: usize,
    /// Nothing but numbers and brackets since the timestamp.
    fresh: bool,
    /// The token before was a dash on its own.
    dashed: bool,
}

/// What a token of a header says.
enum Token<'a> {
    Level(&'a str),
    /// The header goes on.
    Name,
    /// The header goes on, and nothing but the timestamp was passed.
    Neutral,
    /// One more token.
    Tag,
    End,
}

impl<'a> Header<'a> {
    fn new(line: &'a str, stamp: Option<&Found>) -> Self {
        Self { line, stamp: stamp.map(|stamp| stamp.span.clone()), position: 0, fresh: false, dashed: false }
    }

    fn level(mut self) -> Option<&'a str> {
        let mut last = false;
        for _ in 0..HEADER_TOKENS_MAX {
            let token = self.next()?;
            let dash = token == "-";
            let read = self.read(token);
            self.dashed = dash;
            match read {
                Token::Level(level) => return Some(level),
                Token::End => return None,
                Token::Neutral if dash => {}
                _ if last => return None,
                Token::Neutral => {}
                Token::Name => self.fresh = false,
                Token::Tag => {
                    self.fresh = false;
                    last = true;
                }
            }
        }
        None
    }

    /// The next token: bracketed text as one, otherwise up to white space or `|`; the timestamp is passed over.
    fn next(&mut self) -> Option<&'a str> {
        let rest = self.line.get(self.position..)?;
        let mut start =
            self.position + rest.len() - rest.trim_start_matches([' ', '\t', '|', ',', ';']).len();
        let mut end = start + token_length(self.line.get(start..)?);
        if let Some(stamp) = self.stamp.take_if(|stamp| stamp.start < end) {
            // What stands in one token before the timestamp, as the level in `[INFO  2024-…`.
            let before =
                self.line.get(start..stamp.start)?.trim_matches([' ', '\t', '[', '(', '|', '"', '-']);
            if is_word(before) {
                return Some(before);
            }
            self.position = stamp.end;
            self.fresh = true;
            let rest = self.line.get(stamp.end..)?;
            let past =
                rest.trim_start_matches([' ', '\t', '|', ',', ';', ']', ')', '>', ':', '"', '\'', '.']);
            start = stamp.end + rest.len() - past.len();
            end = start + token_length(past);
        }
        self.position = end;
        self.line.get(start..end).filter(|token| !token.is_empty())
    }

    fn read(&self, token: &'a str) -> Token<'a> {
        if let Some(level) = bracketed(token).or_else(|| self.word(token)) {
            return Token::Level(level);
        }
        let last = token.as_bytes().last().copied();
        if token.starts_with(['[', '(', '<', '{']) {
            return if last == Some(b':') { Token::Tag } else { Token::Neutral };
        }
        if token == "-" || token.bytes().all(|byte| byte.is_ascii_digit() || byte.is_ascii_punctuation()) {
            return if token.starts_with('"') { Token::End } else { Token::Neutral };
        }
        if token.starts_with(['"', '\'']) {
            return Token::End;
        }
        match last {
            Some(b':') => level_in_tag(token).map_or(Token::Tag, Token::Level),
            _ if !is_plain_word(token) || self.before_tag() => Token::Name,
            _ => Token::End,
        }
    }

    /// A level on its own, perhaps with a sign behind it.
    fn word(&self, token: &'a str) -> Option<&'a str> {
        let token = token.trim_start_matches(['*', '[', '(', '<']);
        let length = token.bytes().take_while(u8::is_ascii_alphabetic).count();
        let (word, sign) = token.split_at_checked(length)?;
        if !is_word(word) {
            return None;
        }
        let counts = match sign.as_bytes() {
            [] => is_upper(word) || self.fresh || self.dashed,
            [b':' | b']' | b')' | b'>', ..] => sign.len() <= 2 || is_upper(word),
            [b',' | b'!' | b'*' | b';', ..] | [b'"', b',' | b';', ..] => is_upper(word) || self.fresh,
            // Celery: `INFO/MainProcess]`.
            [b'/', ..] => is_upper(word) && self.fresh,
            _ => false,
        };
        counts.then_some(word)
    }

    /// Whether a name stands here: between dashes, or with a `tag:` right behind it that is no level.
    fn before_tag(&self) -> bool {
        let mut tokens = self.line.get(self.position..).unwrap_or_default().split_ascii_whitespace();
        match tokens.next() {
            Some("-") => self.dashed,
            Some(next) => next.strip_suffix(':').is_some_and(|tag| !is_word(tag)),
            None => false,
        }
    }
}

/// What the end of a tag tells: `10.0.0.1(5000):app@shop:[77]:ERROR:` of `PostgreSQL` in the clouds, `app.ERROR:` of
/// PHP's Monolog, and the severity in `%ASA-3-106014:` of Cisco.
fn level_in_tag(token: &str) -> Option<&str> {
    let tag = token.strip_suffix(':')?;
    if let Some(code) = tag.strip_prefix('%') {
        let mut words = code.split('-');
        words.next().filter(|facility| !facility.is_empty() && is_upper(facility))?;
        let number = words.find(|word| matches!(word.as_bytes(), [b'0'..=b'7']))?;
        return SEVERITIES.get(number.parse::<usize>().ok()?).copied();
    }
    let (_, word) = tag.rsplit_once([':', '.'])?;
    (is_word(word) && is_upper(word)).then_some(word)
}

/// `[error]`, `[INFO ]`, `(warn)`, `<Error>:`, `[core:error]` as Apache writes it, `[15:04:05 INF]` as Serilog does, and
/// `[Note]` as `MySQL` does.
fn bracketed(token: &str) -> Option<&str> {
    let token = token.strip_suffix(':').unwrap_or(token);
    let inner = token.strip_prefix(['[', '(', '<', '{'])?.strip_suffix([']', ')', '>', '}'])?.trim();
    let behind_time = inner.rsplit_once(' ').filter(|(time, _)| {
        time.contains(':')
            && time.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b':' | b'.' | b','))
    });
    if let Some((_, word)) = behind_time {
        return is_word(word).then_some(word);
    }
    let word = match inner.rsplit_once(':') {
        Some((module, level)) if module.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') => {
            level
        }
        Some(_) => return None,
        None => inner,
    };
    (is_word(word) || LETTERS.contains(&word) || word == "Note").then_some(word)
}

fn token_length(rest: &str) -> usize {
    let bytes = rest.as_bytes();
    let plain = || bytes.iter().take_while(|byte| !matches!(byte, b' ' | b'\t' | b'|')).count();
    let (open, close) = match bytes.first() {
        Some(b'[') => (b'[', b']'),
        Some(b'(') => (b'(', b')'),
        Some(b'<') => (b'<', b'>'),
        _ => return plain(),
    };
    let mut depth = 0_usize;
    for (at, byte) in bytes.iter().enumerate().take(GROUP_BYTES_MAX) {
        if *byte == open {
            depth += 1;
        } else if *byte == close {
            depth -= 1;
            if depth == 0 {
                let colon = usize::from(bytes.get(at + 1) == Some(&b':'));
                return at + 1 + colon;
            }
        }
    }
    plain()
}

#[cfg(test)]
mod tests;
