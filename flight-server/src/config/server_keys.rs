//! The keys of the server itself: where it keeps things, where it listens, what it refuses, what it writes.

use std::time::Duration;

use ironbark_storage::StoreUrl;

use super::key::{self, Key};
use super::{LogFormat, quantity};

/// The keys of this file, in the order in which they are shown.
pub(super) const KEYS: &[Key] = &[
    Key::text(
        "data_dir",
        "Directory of the write-ahead log and, unless object_store says otherwise, of everything else.",
        "/var/lib/ironbark",
        |config, text| key::path(text).map(|path| config.data_dir = path),
        |config| config.data_dir.display().to_string(),
    ),
    Key::text(
        "object_store",
        "Where segments and manifests are: a directory, or s3://bucket/prefix with the usual AWS_* variables \
         for endpoint, region and keys. Empty: the directory `objects` inside data_dir.",
        "s3://logs/production",
        |config, text| {
            config.object_store = if text.is_empty() { None } else { Some(store(text)?) };
            Ok(())
        },
        |config| config.object_store.as_ref().map(ToString::to_string).unwrap_or_default(),
    ),
    Key::bare(
        "allow_unauthenticated",
        "Accept requests from other machines although nothing authenticates them yet.",
        "true",
        |config, text| key::boolean(text).map(|allow| config.allow_unauthenticated = allow),
        |config| config.allow_unauthenticated.to_string(),
    ),
    Key::text(
        "http.listen",
        "Address of the HTTP listener.",
        "127.0.0.1:8514",
        |config, text| key::address(text).map(|address| config.http_listen = address),
        |config| config.http_listen.to_string(),
    ),
    Key::text(
        "flight.listen",
        "Address of the Flight SQL listener (gRPC).",
        "127.0.0.1:8515",
        |config, text| key::address(text).map(|address| config.flight_listen = address),
        |config| config.flight_listen.to_string(),
    ),
    Key::text(
        "limits.request_max",
        "Largest body of an HTTP request after decompression, and largest message of a Flight stream.",
        "64MiB",
        |config, text| key::bytes(text, REQUEST_BYTES_MIN).map(|bytes| config.limits.request_bytes = bytes),
        |config| key::show_size(config.limits.request_bytes),
    ),
    Key::text(
        "limits.bodies_max",
        "Memory for the bodies of all HTTP requests at once, decompressed; beyond it requests are refused with 429 \
         until there is room. At least twice limits.request_max.",
        "256MiB",
        |config, text| key::bytes(text, REQUEST_BYTES_MIN).map(|bytes| config.limits.bodies_bytes = bytes),
        |config| key::show_size(config.limits.bodies_bytes),
    ),
    Key::text(
        "limits.body_timeout",
        "How long the body of an HTTP request may take to arrive; a slower one is refused with 408.",
        "60s",
        |config, text| {
            key::duration(text, Duration::from_secs(1)).map(|timeout| config.limits.body_timeout = timeout)
        },
        |config| quantity::show_duration(config.limits.body_timeout),
    ),
    Key::text(
        "limits.future",
        "How far ahead of the clock a row's timestamp may lie; later rows are refused.",
        "1d",
        |config, text| key::duration(text, Duration::ZERO).map(|future| config.limits.future = future),
        |config| quantity::show_duration(config.limits.future),
    ),
    Key::text(
        "limits.past",
        "How far back a row's timestamp may lie; earlier rows are refused. Empty: back to 1970.",
        "365d",
        |config, text| {
            let past =
                if text.is_empty() { None } else { Some(key::duration(text, Duration::from_secs(60))?) };
            config.limits.past = past;
            Ok(())
        },
        |config| config.limits.past.map(quantity::show_duration).unwrap_or_default(),
    ),
    Key::text(
        "limits.drain",
        "How long a stopping server waits for running requests.",
        "10s",
        |config, text| key::duration(text, Duration::ZERO).map(|drain| config.limits.drain = drain),
        |config| quantity::show_duration(config.limits.drain),
    ),
    Key::text(
        "log.level",
        "What the server writes about itself to standard error: error, warn, info, debug or trace, or a \
         tracing filter such as info,ironbark_engine=debug.",
        "info",
        |config, text| {
            tracing_subscriber::EnvFilter::try_new(text).map_err(|error| error.to_string())?;
            text.clone_into(&mut config.log.level);
            Ok(())
        },
        |config| config.log.level.clone(),
    ),
    Key::text(
        "log.format",
        "How it is written: text or json.",
        "json",
        |config, text| {
            config.log.format = match text {
                "text" => LogFormat::Text,
                "json" => LogFormat::Json,
                _ => return Err("it is text or json".to_owned()),
            };
            Ok(())
        },
        |config| config.log.format.as_str().to_owned(),
    ),
];

/// Smaller requests could not hold a single large record.
const REQUEST_BYTES_MIN: u64 = 64 << 10;

fn store(text: &str) -> Result<StoreUrl, String> {
    text.parse().map_err(|error: ironbark_storage::Error| match error {
        ironbark_storage::Error::InvalidSetting { reason, .. } => reason,
        error => error.to_string(),
    })
}
