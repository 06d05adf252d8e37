//! What a key of the configuration is, and how one is found or guessed from what somebody wrote.
//!
//! A key reads and writes text only: files, variables and flags all give text, so one parser serves them all.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::layers::{Name, PREFIX};
use super::problem::Place;
use super::{Config, quantity};

/// How alike two names must be for one to be offered in place of the other, from 0 to 1.
const ALIKE: f64 = 0.84;

/// A key: its name, what it is for, and how it is set and shown.
pub(super) struct Key {
    /// The dotted name. Values of sizes and times are written with their unit, so no name carries one; what a value
    /// bounds comes before `_max`.
    pub(super) name: &'static str,
    /// What it does, in a sentence or two.
    pub(super) about: &'static str,
    /// A value that would be accepted.
    pub(super) example: &'static str,
    /// How its value is written in TOML.
    pub(super) shape: Shape,
    /// Sets it from a text, or says which rule the text breaks.
    pub(super) set: Set,
    /// Its value as text.
    pub(super) show: Show,
}

/// How a value is written in TOML.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// In quotes.
    Text,
    /// Bare: a number or a boolean.
    Bare,
}

/// Sets a key from a text.
type Set = fn(&mut Config, &str) -> Result<(), String>;
/// A key's value as text.
type Show = fn(&Config) -> String;

impl Key {
    /// A key whose value stands in quotes: name, purpose, example, how it is set and shown.
    pub(super) const fn text(
        name: &'static str,
        about: &'static str,
        example: &'static str,
        set: Set,
        show: Show,
    ) -> Self {
        Self { name, about, example, shape: Shape::Text, set, show }
    }

    /// A key whose value is a number or a boolean.
    pub(super) const fn bare(
        name: &'static str,
        about: &'static str,
        example: &'static str,
        set: Set,
        show: Show,
    ) -> Self {
        Self { name, about, example, shape: Shape::Bare, set, show }
    }

    /// The environment variable of the key.
    pub(super) fn variable(&self) -> String {
        format!("{PREFIX}{}", self.name.replace('.', "_").to_uppercase())
    }

    /// A text as the value of this key in TOML.
    pub(super) fn toml(&self, value: &str) -> String {
        match self.shape {
            Shape::Bare => value.to_owned(),
            Shape::Text => toml_edit::Value::from(value).to_string(),
        }
    }

    /// A right setting in the form of `place`.
    pub(super) fn example_at(&self, place: &Place) -> String {
        match place {
            Place::File { .. } | Place::Default => format!("{} = {}", self.name, self.toml(self.example)),
            Place::Variable(_) => format!("{}={}", self.variable(), self.example),
            Place::Flag(flag) => format!("{flag} {}", self.example),
        }
    }
}

/// The key that was named.
pub(super) fn find<'k>(keys: &[&'k Key], name: &Name) -> Option<&'k Key> {
    let named = |key: &&&'k Key| match name {
        Name::Dotted(name) => key.name == name,
        Name::Variable(name) => &key.variable() == name,
    };
    keys.iter().find(named).copied()
}

/// What to say about a name that no key has.
pub(super) fn advice(keys: &[&Key], name: &Name, place: &Place) -> String {
    let score = |key: &Key| match name {
        Name::Dotted(name) => strsim::jaro_winkler(key.name, name),
        Name::Variable(name) => strsim::jaro_winkler(&key.variable(), name),
    };
    // The last part of a name is what people remember: `listen` without its table finds `http.listen`.
    let ends_alike = |key: &Key| match name {
        Name::Dotted(name) => key.name.rsplit('.').next() == name.rsplit('.').next(),
        Name::Variable(_) => false,
    };
    let best = keys.iter().max_by(|a, b| score(a).total_cmp(&score(b)));
    let best = best.filter(|key| score(key) >= ALIKE).or_else(|| keys.iter().find(|key| ends_alike(key)));
    match best {
        Some(key) => {
            let meant = match name {
                Name::Dotted(_) => key.name.to_owned(),
                Name::Variable(_) => key.variable(),
            };
            format!("did you mean {meant:?}? Example: {}", key.example_at(place))
        }
        None => {
            "`ironbark config show` lists every key. Example: http.listen = \"127.0.0.1:8514\"".to_owned()
        }
    }
}

pub(super) fn address(text: &str) -> Result<SocketAddr, String> {
    let numeric = text.strip_prefix("localhost:").map(|port| format!("127.0.0.1:{port}"));
    numeric.as_deref().unwrap_or(text).parse().map_err(|_| {
        "an address is IP:PORT, with an IPv6 address in brackets; port 0 takes a free one".to_owned()
    })
}

pub(super) fn boolean(text: &str) -> Result<bool, String> {
    match text {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err("it is true or false".to_owned()),
    }
}

pub(super) fn path(text: &str) -> Result<PathBuf, String> {
    if text.is_empty() { Err("a path is not empty".to_owned()) } else { Ok(PathBuf::from(text)) }
}

/// A whole number of at least `least`.
pub(super) fn count<N: TryFrom<u64>>(text: &str, least: u64) -> Result<N, String> {
    let rule = || format!("it is a whole number of at least {least}");
    let number: u64 = text.replace('_', "").parse().map_err(|_| rule())?;
    if number < least {
        return Err(rule());
    }
    N::try_from(number).map_err(|_| "the number is too large".to_owned())
}

/// A size of at least `least` bytes.
pub(super) fn bytes<N: TryFrom<u64>>(text: &str, least: u64) -> Result<N, String> {
    let size = quantity::parse_bytes(text)?;
    if size < least {
        return Err(format!("it is at least {}", quantity::show_bytes(least)));
    }
    N::try_from(size).map_err(|_| "the size is too large for this machine".to_owned())
}

/// A duration of at least `least`.
pub(super) fn duration(text: &str, least: Duration) -> Result<Duration, String> {
    let duration = quantity::parse_duration(text)?;
    if duration < least {
        return Err(format!("it is at least {}", quantity::show_duration(least)));
    }
    Ok(duration)
}

/// A duration in whole milliseconds of at least `least_ms`.
pub(super) fn milliseconds(text: &str, least_ms: u64) -> Result<u64, String> {
    let duration = duration(text, Duration::from_millis(least_ms))?;
    u64::try_from(duration.as_millis()).map_err(|_| "the duration is too long".to_owned())
}

pub(super) fn show_size(bytes: usize) -> String {
    quantity::show_bytes(u64::try_from(bytes).unwrap_or(u64::MAX))
}

pub(super) fn show_ms(ms: u64) -> String {
    quantity::show_duration(Duration::from_millis(ms))
}
