//! Where settings come from: each source gives `(key, text, place)`, and nothing here knows what a key means.
//!
//! ```text
//!   defaults ◄── file (TOML) ◄── environment (IRONBARK_…) ◄── flags         the last one that names a key wins
//! ```

use std::path::Path;

use toml_edit::{ImDocument, Item, Key, Value};

use super::Flags;
use super::problem::{Place, Problem};

/// What the names of environment variables begin with.
pub(super) const PREFIX: &str = "IRONBARK_";

/// Variables with our prefix that are no settings of the server: the configuration file's name, what the client
/// commands read, and what tests and builds use.
const NOT_SETTINGS: [&str; 5] =
    ["IRONBARK_CONFIG", "IRONBARK_SERVER", "IRONBARK_TENANT", "IRONBARK_LOGHUB_DIR", "IRONBARK_GIT_COMMIT"];

/// Variables that begin so belong to tests and measurements.
const TEST_PREFIXES: [&str; 9] = [
    "IRONBARK_BENCH_",
    "IRONBARK_BINARIES_",
    "IRONBARK_CRASH_",
    "IRONBARK_FAIL_",
    "IRONBARK_JDBC_",
    "IRONBARK_PARTS_",
    "IRONBARK_PYTHON",
    "IRONBARK_REQUIRE_",
    "IRONBARK_TEST_",
];

/// A setting as it was given.
#[derive(Debug)]
pub(super) struct Given {
    pub(super) name: Name,
    pub(super) value: String,
    pub(super) place: Place,
}

/// How a key was named.
#[derive(Debug)]
pub(super) enum Name {
    /// By its dotted name.
    Dotted(String),
    /// By its environment variable.
    Variable(String),
}

/// The settings of a TOML text.
pub(super) fn from_toml(path: &Path, text: &str) -> Result<Vec<Given>, Problem> {
    let line_of = |offset: usize| {
        let before = text.get(..offset).unwrap_or(text);
        before.bytes().filter(|b| *b == b'\n').count() + 1
    };
    let place = |offset| Place::File { path: path.to_owned(), line: line_of(offset) };
    let document = ImDocument::parse(text).map_err(|error| Problem::Syntax {
        place: place(error.span().map_or(0, |span| span.start)),
        reason: error.message().replace('\n', ", "),
    })?;
    let mut given = Vec::new();
    // Depth first with a stack of our own: tables nest as deep as the parser lets them.
    let mut open: Vec<(String, Option<&Key>, &Item)> = vec![(String::new(), None, document.as_item())];
    let mut inline: Vec<(String, Option<&Key>, &Value)> = Vec::new();
    while let Some((name, key, item)) = open.pop() {
        match item {
            Item::Table(table) => {
                for (child, item) in table {
                    open.push((joined(&name, child), table.key(child), item));
                }
            }
            Item::Value(value) => inline.push((name, key, value)),
            // `[[table]]`: no key takes one, so that its name is reported as unknown.
            Item::ArrayOfTables(tables) => {
                let offset = tables.span().map_or(0, |span| span.start);
                given.push(Given {
                    name: Name::Dotted(name),
                    value: "[[…]]".to_owned(),
                    place: place(offset),
                });
            }
            Item::None => {}
        }
    }
    while let Some((name, key, value)) = inline.pop() {
        if let Value::InlineTable(table) = value {
            for (child, value) in table {
                inline.push((joined(&name, child), table.key(child), value));
            }
            continue;
        }
        let offset = key.and_then(Key::span).or_else(|| value.span()).map_or(0, |span| span.start);
        given.push(Given { name: Name::Dotted(name), value: text_of(value), place: place(offset) });
    }
    given.sort_by_key(|setting| match &setting.place {
        Place::File { line, .. } => *line,
        _ => 0,
    });
    Ok(given)
}

fn joined(table: &str, key: &str) -> String {
    if table.is_empty() { key.to_owned() } else { format!("{table}.{key}") }
}

/// A value's text without quotes, as the environment or a flag would give it.
fn text_of(value: &Value) -> String {
    match value {
        Value::String(text) => text.value().clone(),
        other => other.to_string().trim().to_owned(),
    }
}

/// The settings among environment variables.
pub(super) fn from_variables(variables: impl IntoIterator<Item = (String, String)>) -> Vec<Given> {
    let ours = variables.into_iter().filter(|(name, _)| {
        name.starts_with(PREFIX)
            && !NOT_SETTINGS.contains(&name.as_str())
            && !TEST_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
    });
    let mut given: Vec<Given> = ours
        .map(|(name, value)| Given {
            place: Place::Variable(name.clone()),
            name: Name::Variable(name),
            value,
        })
        .collect();
    given.sort_by_key(|setting| setting.place.to_string());
    given
}

/// The settings among flags.
pub(super) fn from_flags(flags: &Flags) -> Vec<Given> {
    let allow = flags.allow_unauthenticated.then(|| "true".to_owned());
    let flags = [
        ("data_dir", "--data-dir", flags.data_dir.as_ref().map(|path| path.display().to_string())),
        ("object_store", "--object-store", flags.object_store.clone()),
        ("http.listen", "--http", flags.http.clone()),
        ("flight.listen", "--flight", flags.flight.clone()),
        ("compactor.mode", "--compactor", flags.compactor.clone()),
        ("log.level", "--log-level", flags.log_level.clone()),
        ("allow_unauthenticated", "--allow-unauthenticated", allow),
    ];
    let setting = |(key, flag, value): (&str, &'static str, Option<String>)| {
        value.map(|value| Given { name: Name::Dotted(key.to_owned()), value, place: Place::Flag(flag) })
    };
    flags.into_iter().filter_map(setting).collect()
}
