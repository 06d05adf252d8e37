//! `grok(message, 'pattern' [, 'field'])`: fields of a message, by a pattern that is made of named ones.
//!
//! ```text
//!   '%{IP:client} %{WORD:verb}' ─► expand (library) ─► Regex ─► captures of each message ─► map, or one field
//! ```
//!
//! The pattern may match anywhere in a message; `^` and `$` tie it. A message that does not match gives NULL, and a
//! field that took no part in the match is not in the map. No dependency: a grok library would bring its own regular
//! expressions, or the same ones without the limits that are set here.

mod expand;
mod library;

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::DataType;
use datafusion::common::Result;
use ironbark_storage::LogSchema;
use regex::{CaptureLocations, Regex, RegexBuilder};

use self::expand::{Expanded, GROUP, expand};
use super::call::{Kernel, Spec};
use super::mistake::Mistake;
use super::texts::{MapOut, TextOut, Texts};
use crate::diagnose::closest;
use crate::search::{REGEX_BYTES_MAX, REGEX_DFA_BYTES_MAX};

const NAME: &str = "grok";
/// Most different patterns in a statement.
pub(super) const PATTERNS_MAX: usize = 16;
/// Most groups of a pattern.
pub(super) const GROUPS_MAX: usize = 128;
/// What of a message is looked at, in bytes: groups cost as much time as the pattern is long for each byte.
pub(super) const MESSAGE_BYTES_MAX: usize = 64 * 1024;

pub(super) static GROK: Spec = Spec {
    name: NAME,
    example: "grok(message, '%{IP:client} %{WORD:verb}', 'client')",
    literals: 1..=2,
    called: &["the pattern", "the field"],
    answer: |literals| if literals < 2 { LogSchema::tags_type() } else { DataType::Utf8 },
    compile: |literals, groks| match literals {
        [pattern, field, ..] => Ok(Arc::new(groks.get(pattern)?.field(field)?)),
        rest => Ok(Arc::new(All(groks.get(rest.first().copied().unwrap_or_default())?))),
    },
};

/// The patterns of a statement, each compiled once.
#[derive(Debug, Default)]
pub(super) struct Groks(HashMap<String, Arc<Grok>>);

impl Groks {
    fn get(&mut self, pattern: &str) -> Result<Arc<Grok>, Mistake> {
        if let Some(known) = self.0.get(pattern) {
            return Ok(Arc::clone(known));
        }
        if self.0.len() == PATTERNS_MAX {
            return Err(Mistake::GrokMany);
        }
        let grok = Arc::new(Grok::compile(pattern)?);
        self.0.insert(pattern.to_owned(), Arc::clone(&grok));
        Ok(grok)
    }
}

/// A compiled pattern.
#[derive(Debug)]
struct Grok {
    regex: Regex,
    /// Each field once, with its groups: the first of them that took part in a match has the value.
    fields: Vec<(String, Vec<usize>)>,
}

impl Grok {
    fn compile(pattern: &str) -> Result<Self, Mistake> {
        let Expanded { regex, fields: names } = expand(pattern)?;
        let built =
            RegexBuilder::new(&regex).size_limit(REGEX_BYTES_MAX).dfa_size_limit(REGEX_DFA_BYTES_MAX).build();
        let regex = built.map_err(|error| match error {
            regex::Error::CompiledTooBig(_) => Mistake::GrokTooLarge,
            other => Mistake::GrokRegex { reason: reason(&other) },
        })?;
        if regex.captures_len() > GROUPS_MAX {
            return Err(Mistake::GrokTooLarge);
        }
        let mut fields: Vec<(String, Vec<usize>)> = Vec::new();
        for (group, name) in regex.capture_names().enumerate() {
            let Some(name) = name else { continue };
            let number = name.strip_prefix(GROUP).and_then(|number| number.parse::<usize>().ok());
            let field = number.and_then(|number| names.get(number)).map_or(name, String::as_str);
            match fields.iter_mut().find(|(known, _)| known == field) {
                Some((_, groups)) => groups.push(group),
                None => fields.push((field.to_owned(), vec![group])),
            }
        }
        if fields.is_empty() {
            return Err(Mistake::GrokFieldless);
        }
        Ok(Self { regex, fields })
    }

    fn field(self: Arc<Self>, name: &str) -> Result<One, Mistake> {
        let Some((_, groups)) = self.fields.iter().find(|(field, _)| field == name) else {
            let fields: Vec<&str> = self.fields.iter().map(|(field, _)| field.as_str()).collect();
            let suggestion = closest(name, fields.iter().copied());
            return Err(Mistake::GrokField { name: name.to_owned(), fields: fields.join(", "), suggestion });
        };
        let groups = groups.clone();
        Ok(One { grok: self, groups })
    }

    /// Whether a message matches; where the groups are is left in `places`.
    fn find<'a>(&self, message: &'a str, places: &mut CaptureLocations) -> Option<&'a str> {
        let looked_at = message.get(..message.floor_char_boundary(MESSAGE_BYTES_MAX)).unwrap_or(message);
        self.regex.captures_read(places, looked_at).map(|_| looked_at)
    }
}

/// The value of the first group that took part.
fn value<'a>(message: &'a str, groups: &[usize], places: &CaptureLocations) -> Option<&'a str> {
    let (start, end) = groups.iter().find_map(|group| places.get(*group))?;
    message.get(start..end)
}

/// The last line of what the parser of regular expressions says, which is what is wrong.
fn reason(error: &regex::Error) -> String {
    let text = error.to_string();
    let last = text.lines().last().unwrap_or_default();
    last.strip_prefix("error: ").unwrap_or(last).to_owned()
}

/// All fields.
#[derive(Debug)]
struct All(Arc<Grok>);

impl Kernel for All {
    fn run(&self, texts: Texts<'_>) -> Result<ArrayRef> {
        let mut out = MapOut::new(NAME, texts);
        let mut places = self.0.regex.capture_locations();
        for text in texts.iter() {
            let found = text.and_then(|text| self.0.find(text, &mut places));
            if let Some(message) = found {
                for (field, groups) in &self.0.fields {
                    if let Some(value) = value(message, groups, &places) {
                        out.entry(field, value)?;
                    }
                }
            }
            out.end_row(found.is_some())?;
        }
        out.finish()
    }
}

/// One field.
#[derive(Debug)]
struct One {
    grok: Arc<Grok>,
    groups: Vec<usize>,
}

impl Kernel for One {
    fn run(&self, texts: Texts<'_>) -> Result<ArrayRef> {
        let mut out = TextOut::new(NAME, texts);
        let mut places = self.grok.regex.capture_locations();
        for text in texts.iter() {
            let found = text.and_then(|text| self.grok.find(text, &mut places));
            out.push(found.and_then(|message| value(message, &self.groups, &places)))?;
        }
        Ok(out.finish())
    }
}
