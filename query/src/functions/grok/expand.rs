//! From a grok pattern to a regular expression.
//!
//! ```text
//!   %{IP:client} %{WORD}   ─►   (?<_grok0>…) (?:…)      fields: client
//! ```
//!
//! Fields are numbered, because one name may stand in several places. What is not between `%{` and `}` is taken as it
//! is.

use super::library::{definition, names};
use crate::diagnose::closest;
use crate::functions::mistake::Mistake;

/// The largest regular expression that a pattern may become, in bytes.
const EXPANDED_BYTES_MAX: usize = 256 * 1024;
/// How deep definitions may name others.
const DEPTH_MAX: usize = 16;
/// What the groups of fields are called, with a number behind it.
pub(super) const GROUP: &str = "_grok";

/// A regular expression, and the names of the fields of its groups.
#[derive(Debug, Default)]
pub(super) struct Expanded {
    pub(super) regex: String,
    pub(super) fields: Vec<String>,
}

/// Puts the definitions in the place of their names.
pub(super) fn expand(pattern: &str) -> Result<Expanded, Mistake> {
    let mut expanded = Expanded::default();
    expanded.add(pattern, 0)?;
    Ok(expanded)
}

impl Expanded {
    fn add(&mut self, pattern: &str, depth: usize) -> Result<(), Mistake> {
        let mut rest = pattern;
        while let Some((before, from)) = rest.split_once("%{") {
            self.regex.push_str(before);
            let column = || {
                let read = pattern.len().saturating_sub(from.len() + 2);
                pattern.get(..read).map_or(0, |read| read.chars().count()) + 1
            };
            let Some((inside, after)) = from.split_once('}') else {
                return Err(Mistake::GrokOpen { column: column() });
            };
            let mut parts = inside.splitn(3, ':');
            let name = parts.next().unwrap_or_default();
            let Some(definition) = definition(name).filter(|_| depth < DEPTH_MAX) else {
                let suggestion = closest(name, names());
                return Err(Mistake::GrokName { name: name.to_owned(), column: column(), suggestion });
            };
            match parts.next().map(field_name).filter(|field| !field.is_empty()) {
                Some(field) => {
                    self.regex.push_str(&format!("(?<{GROUP}{}>", self.fields.len()));
                    self.fields.push(field);
                }
                None => self.regex.push_str("(?:"),
            }
            self.add(definition, depth + 1)?;
            self.regex.push(')');
            if self.regex.len() > EXPANDED_BYTES_MAX {
                return Err(Mistake::GrokTooLarge);
            }
            rest = after;
        }
        self.regex.push_str(rest);
        if self.regex.len() > EXPANDED_BYTES_MAX { Err(Mistake::GrokTooLarge) } else { Ok(()) }
    }
}

/// `[client][ip]`, as Logstash writes nested fields, is `client.ip`, as tags have it.
fn field_name(field: &str) -> String {
    match field.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        Some(path) => path.replace("][", "."),
        None => field.to_owned(),
    }
}
