//! The configuration: from text in several places to one value that is right, or to a list of what is wrong.
//!
//! ```text
//!   file, environment, flags ──► layers ──► Given{name, text, place} ──► key::find ──► Key.set ──► Config
//!                                                    └─ unknown, bad ──► Problem{name, place, example}
//! ```
//!
//! Behind this module nothing checks a setting again. It opens nothing but the file that it is told to read.

mod engine_keys;
mod key;
mod layers;
mod problem;
pub(crate) mod quantity;
mod query_keys;
mod server_keys;
mod show;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use ironbark_compactor::CompactorConfig;
use ironbark_engine::EngineConfig;
use ironbark_query::QueryConfig;
use ironbark_storage::StoreUrl;

use self::key::Key;
use self::layers::Given;
pub use self::problem::{Place, Problem, Problems};

/// Port of the HTTP listener unless told otherwise.
pub const HTTP_PORT: u16 = 8514;
/// Port of the Flight SQL listener unless told otherwise.
pub const FLIGHT_PORT: u16 = 8515;

/// The whole configuration of a server.
#[derive(Clone, Debug)]
pub struct Config {
    /// Directory of the write-ahead log.
    pub data_dir: PathBuf,
    /// Where segments and manifests are; `None` for a directory inside `data_dir`.
    pub object_store: Option<StoreUrl>,
    /// Whether other machines may reach the listeners.
    pub allow_unauthenticated: bool,
    /// Address of the HTTP listener.
    pub http_listen: SocketAddr,
    /// Address of the Flight SQL listener.
    pub flight_listen: SocketAddr,
    /// Whether this process compacts.
    pub compactor_mode: CompactorMode,
    /// Bounds of requests.
    pub limits: Limits,
    /// What the server writes about itself.
    pub log: Log,
    /// The write path's settings.
    pub engine: EngineConfig,
    /// The query engine's settings.
    pub query: QueryConfig,
    /// The compactor's settings.
    pub compactor: CompactorConfig,
}

/// Whether a server compacts too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CompactorMode {
    /// It does, in a runtime of its own.
    On,
    /// It does not: `ironbark-compactor` runs apart.
    Off,
}

impl CompactorMode {
    /// Its spelling in settings.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::On => "on",
            Self::Off => "off",
        }
    }
}

/// Bounds of requests.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Largest decompressed body and largest Flight message, in bytes.
    pub request_bytes: usize,
    /// Bytes of all HTTP bodies that are held at once.
    pub bodies_bytes: usize,
    /// How long the body of an HTTP request may take to arrive.
    pub body_timeout: Duration,
    /// How far ahead of the clock a row may lie.
    pub future: Duration,
    /// How far behind the clock a row may lie; `None` for back to 1970.
    pub past: Option<Duration>,
    /// How long a stopping server waits for running requests.
    pub drain: Duration,
}

/// What the server writes about itself.
#[derive(Clone, Debug)]
pub struct Log {
    /// A tracing filter.
    pub level: String,
    /// The form of the lines.
    pub format: LogFormat,
}

/// The form of the server's own log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// A JSON object a line.
    Json,
}

impl LogFormat {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Json => "json",
        }
    }
}

impl Default for Config {
    fn default() -> Self {
        let loopback = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        Self {
            data_dir: PathBuf::from("./ironbark-data"),
            object_store: None,
            allow_unauthenticated: false,
            http_listen: loopback(HTTP_PORT),
            flight_listen: loopback(FLIGHT_PORT),
            compactor_mode: CompactorMode::On,
            limits: Limits {
                request_bytes: 64 << 20,
                bodies_bytes: 256 << 20,
                body_timeout: Duration::from_secs(60),
                future: Duration::from_secs(86_400),
                past: None,
                drain: Duration::from_secs(10),
            },
            log: Log { level: "info".to_owned(), format: LogFormat::Text },
            engine: EngineConfig::default(),
            query: QueryConfig::default(),
            compactor: CompactorConfig::default(),
        }
    }
}

/// The settings that are flags.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Flags {
    /// Configuration file (TOML); `ironbark config show` prints one
    #[arg(long, value_name = "FILE", env = "IRONBARK_CONFIG")]
    pub config: Option<PathBuf>,
    /// Directory of the write-ahead log and of the default object store
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// Where segments are: a directory or s3://bucket/prefix (AWS_* variables for keys and endpoint)
    #[arg(long, value_name = "URL")]
    pub object_store: Option<String>,
    /// Address of the HTTP listener [default: 127.0.0.1:8514]
    #[arg(long, value_name = "ADDR")]
    pub http: Option<String>,
    /// Address of the Flight SQL listener [default: 127.0.0.1:8515]
    #[arg(long, value_name = "ADDR")]
    pub flight: Option<String>,
    /// Whether this process compacts: on or off
    #[arg(long, value_name = "on|off")]
    pub compactor: Option<String>,
    /// What is written to standard error: error, warn, info, debug, trace
    #[arg(long, value_name = "LEVEL")]
    pub log_level: Option<String>,
    /// Accept requests from other machines although nothing authenticates them yet
    #[arg(long)]
    pub allow_unauthenticated: bool,
}

/// A configuration together with where its settings come from.
#[derive(Clone, Debug)]
pub struct Effective {
    /// The settings.
    pub config: Config,
    origins: BTreeMap<&'static str, Place>,
}

impl Effective {
    /// Reads the file that the flags name, the environment of this process, and the flags.
    pub fn load(flags: &Flags) -> Result<Self, Problems> {
        let file = match &flags.config {
            None => None,
            Some(path) => {
                let unreadable = |source| Problems(vec![Problem::Unreadable { path: path.clone(), source }]);
                Some((path.as_path(), std::fs::read_to_string(path).map_err(unreadable)?))
            }
        };
        // A variable that is not UTF-8 cannot be one of ours: their values are all text.
        let variables = std::env::vars_os().filter_map(|(name, value)| {
            Some((name.into_string().ok()?, value.to_string_lossy().into_owned()))
        });
        Self::compose(file.as_ref().map(|(path, text)| (*path, text.as_str())), variables, flags)
    }

    /// Puts the layers together: a pure function of its arguments.
    pub(crate) fn compose(
        file: Option<(&Path, &str)>,
        variables: impl IntoIterator<Item = (String, String)>,
        flags: &Flags,
    ) -> Result<Self, Problems> {
        let mut effective = Self { config: Config::default(), origins: BTreeMap::new() };
        let mut problems = Vec::new();
        let mut given = match file.map(|(path, text)| layers::from_toml(path, text)) {
            None => Vec::new(),
            Some(Ok(given)) => given,
            Some(Err(problem)) => return Err(Problems(vec![problem])),
        };
        given.extend(layers::from_variables(variables));
        given.extend(layers::from_flags(flags));
        let keys = all_keys();
        for setting in given {
            effective.apply(&keys, setting).unwrap_or_else(|problem| problems.push(problem));
        }
        effective.refuse_exposed(&mut problems);
        if problems.is_empty() { Ok(effective) } else { Err(Problems(problems)) }
    }

    fn apply(&mut self, keys: &[&'static Key], setting: Given) -> Result<(), Problem> {
        let Given { name, value, place } = setting;
        let Some(key) = key::find(keys, &name) else {
            let advice = key::advice(keys, &name, &place);
            let name = match name {
                layers::Name::Dotted(name) | layers::Name::Variable(name) => name,
            };
            return Err(Problem::UnknownKey { name, place, advice });
        };
        if let Err(reason) = (key.set)(&mut self.config, &value) {
            let example = key.example_at(&place);
            let value = show::without_secrets(&value);
            return Err(Problem::BadValue { key: key.name, value, place, reason, example });
        }
        self.origins.insert(key.name, place);
        Ok(())
    }

    /// Until requests are authenticated, a listener that other machines reach must be wished for twice.
    fn refuse_exposed(&self, problems: &mut Vec<Problem>) {
        if self.config.allow_unauthenticated {
            return;
        }
        let listeners =
            [("http.listen", self.config.http_listen), ("flight.listen", self.config.flight_listen)];
        for (key, address) in listeners {
            if !address.ip().to_canonical().is_loopback() {
                let place = self.origins.get(key).cloned().unwrap_or(Place::Default);
                problems.push(Problem::Exposed { key, address, port: address.port(), place });
            }
        }
    }

    /// Where a key was set.
    fn origin(&self, name: &str) -> Option<&Place> {
        self.origins.get(name)
    }
}

fn all_keys() -> Vec<&'static Key> {
    server_keys::KEYS
        .iter()
        .chain(engine_keys::KEYS)
        .chain(query_keys::KEYS)
        .chain(engine_keys::COMPACTOR_KEYS)
        .collect()
}
