//! The effective configuration as a TOML file, each key with what it is for and where its value comes from.
//!
//! What is printed is itself a valid configuration file. No secret is printed: keys of object stores come from the
//! environment, and a user or password inside a URL is masked.

use std::fmt::Write as _;

use super::{Effective, Place, all_keys};

/// What stands in place of a secret.
const MASK: &str = "***";

impl Effective {
    /// The configuration as TOML.
    pub fn to_toml(&self) -> String {
        let mut text = String::new();
        let mut table = "";
        for key in all_keys() {
            let (of, leaf) = key.name.rsplit_once('.').unwrap_or(("", key.name));
            if of != table {
                table = of;
                let _ = writeln!(text, "\n[{table}]");
            }
            for line in wrapped(key.about) {
                let _ = writeln!(text, "# {line}");
            }
            let value = without_secrets(&(key.show)(&self.config));
            let value = key.toml(&value);
            let _ = match self.origin(key.name) {
                None | Some(Place::Default) => writeln!(text, "{leaf} = {value}"),
                Some(place) => writeln!(text, "{leaf} = {value}  # from {place}"),
            };
        }
        text
    }
}

/// A text of words in lines of at most 110 characters.
fn wrapped(text: &str) -> Vec<String> {
    const LINE_CHARS_MAX: usize = 110;
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.is_empty() => line.push_str(word),
            Some(line) if line.len() + 1 + word.len() <= LINE_CHARS_MAX => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

/// The text with what stands between `://` and `@` masked.
pub(super) fn without_secrets(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else { return text.to_owned() };
    let host_end = rest.find('/').unwrap_or(rest.len());
    let (host, path) = rest.split_at(host_end);
    match host.rsplit_once('@') {
        Some((_, host)) => format!("{scheme}://{MASK}@{host}{path}"),
        None => text.to_owned(),
    }
}
