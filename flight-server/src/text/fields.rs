//! What a plain text line tells about itself: when and how bad.
//!
//! Trace ids, sources and tags are not guessed: a wrong trace id joins strangers, and a missing one costs nothing.

use super::level;
use super::timestamp::{self, Family, Zone};

/// The byte order mark that some editors put at the start of a file. It stays in the message, and is not looked at.
const BOM: char = '\u{feff}';

/// The fields that were recognised in one line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fields<'a> {
    /// Nanoseconds since 1970 UTC; `None` means that the time of arrival counts.
    pub(crate) timestamp_ns: Option<i64>,
    /// The level as the line has it (or the syslog keyword of a `<PRI>`), not normalised.
    pub(crate) level: Option<&'a str>,
}

/// Recognises the lines of one file, trying the family of timestamps that matched last before the others.
///
/// The hint only saves work: families exclude each other at a place, so the result of a line does not depend on
/// the lines before it.
#[derive(Clone, Debug)]
pub(crate) struct Recogniser {
    zone: Zone,
    hint: Option<Family>,
}

impl Recogniser {
    /// A recogniser for lines whose timestamps, where they name no zone, are in `zone`.
    pub(crate) fn new(zone: Zone) -> Self {
        Self { zone, hint: None }
    }

    /// The fields of `line`. A date without a year becomes the latest one that is not after `now_ns`.
    pub(crate) fn fields<'a>(&mut self, line: &'a str, now_ns: i64) -> Fields<'a> {
        let line = line.strip_prefix(BOM).unwrap_or(line);
        let found = timestamp::find(line, self.zone, now_ns, self.hint);
        if let Some(found) = &found {
            self.hint = Some(found.family);
        }
        let level = match found.as_ref().and_then(|found| inner_line(line, found.span.end)) {
            Some(inner) => level::find(inner, timestamp::find(inner, self.zone, now_ns, None).as_ref()),
            None => level::find(line, found.as_ref()),
        };
        Fields { timestamp_ns: found.map(|found| found.ns), level }
    }
}

/// What a program wrote into a line of Kubernetes (CRI), behind its timestamp: ` stderr F `, or P for a piece of a line.
fn inner_line(line: &str, at: usize) -> Option<&str> {
    let rest = line.get(at..)?;
    [" stdout F ", " stderr F ", " stdout P ", " stderr P "].iter().find_map(|head| rest.strip_prefix(head))
}

#[cfg(test)]
mod tests;
