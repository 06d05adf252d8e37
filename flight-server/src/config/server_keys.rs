//! The keys of the server itself: where it keeps things, where it listens, what it refuses, what it writes.

use std::time::Duration;

use ironbark_storage::StoreUrl;

use super::key::{self, Key, Shape};
use super::{LogFormat, quantity};

/// The keys of this file, in the order in which they are shown.
pub(super) const KEYS: &[Key] = &[
    Key {
        name: "data_dir",
        about: "Directory of the write-ahead log and, unless object_store says otherwise, of everything else.",
        example: "/var/lib/ironbark",
        shape: Shape::Text,
        set: |config, text| key::path(text).map(|path| config.data_dir = path),
        show: |config| config.data_dir.display().to_string(),
    },
    Key {
        name: "object_store",
        about: "Where segments and manifests are: a directory, or s3://bucket/prefix with the usual AWS_* variables \
                for endpoint, region and keys. Empty: the directory `objects` inside data_dir.",
        example: "s3://logs/production",
        shape: Shape::Text,
        set: |config, text| {
            config.object_store = if text.is_empty() { None } else { Some(store(text)?) };
            Ok(())
        },
        show: |config| config.object_store.as_ref().map(ToString::to_string).unwrap_or_default(),
    },
    Key {
        name: "allow_unauthenticated",
        about: "Accept requests from other machines although nothing authenticates them yet.",
        example: "true",
        shape: Shape::Bare,
        set: |config, text| key::boolean(text).map(|allow| config.allow_unauthenticated = allow),
        show: |config| config.allow_unauthenticated.to_string(),
    },
    Key {
        name: "http.listen",
        about: "Address of the HTTP listener.",
        example: "127.0.0.1:8514",
        shape: Shape::Text,
        set: |config, text| key::address(text).map(|address| config.http_listen = address),
        show: |config| config.http_listen.to_string(),
    },
    Key {
        name: "flight.listen",
        about: "Address of the Flight SQL listener (gRPC).",
        example: "127.0.0.1:8515",
        shape: Shape::Text,
        set: |config, text| key::address(text).map(|address| config.flight_listen = address),
        show: |config| config.flight_listen.to_string(),
    },
    Key {
        name: "limits.request_bytes",
        about: "Largest body of an HTTP request after decompression, and largest message of a Flight stream.",
        example: "64MiB",
        shape: Shape::Text,
        set: |config, text| {
            key::bytes(text, REQUEST_BYTES_MIN).map(|bytes| config.limits.request_bytes = bytes)
        },
        show: |config| key::show_size(config.limits.request_bytes),
    },
    Key {
        name: "limits.future",
        about: "How far ahead of the clock a row's timestamp may lie; later rows are refused.",
        example: "1d",
        shape: Shape::Text,
        set: |config, text| key::duration(text, Duration::ZERO).map(|future| config.limits.future = future),
        show: |config| quantity::show_duration(config.limits.future),
    },
    Key {
        name: "limits.past",
        about: "How far back a row's timestamp may lie; earlier rows are refused. Empty: back to 1970.",
        example: "365d",
        shape: Shape::Text,
        set: |config, text| {
            let past =
                if text.is_empty() { None } else { Some(key::duration(text, Duration::from_secs(60))?) };
            config.limits.past = past;
            Ok(())
        },
        show: |config| config.limits.past.map(quantity::show_duration).unwrap_or_default(),
    },
    Key {
        name: "limits.drain",
        about: "How long a stopping server waits for running requests.",
        example: "10s",
        shape: Shape::Text,
        set: |config, text| key::duration(text, Duration::ZERO).map(|drain| config.limits.drain = drain),
        show: |config| quantity::show_duration(config.limits.drain),
    },
    Key {
        name: "log.level",
        about: "What the server writes about itself to standard error: error, warn, info, debug or trace, or a \
                tracing filter such as info,ironbark_engine=debug.",
        example: "info",
        shape: Shape::Text,
        set: |config, text| {
            tracing_subscriber::EnvFilter::try_new(text).map_err(|error| error.to_string())?;
            text.clone_into(&mut config.log.level);
            Ok(())
        },
        show: |config| config.log.level.clone(),
    },
    Key {
        name: "log.format",
        about: "How it is written: text or json.",
        example: "json",
        shape: Shape::Text,
        set: |config, text| {
            config.log.format = match text {
                "text" => LogFormat::Text,
                "json" => LogFormat::Json,
                _ => return Err("it is text or json".to_owned()),
            };
            Ok(())
        },
        show: |config| config.log.format.as_str().to_owned(),
    },
];

/// Smaller requests could not hold a single large record.
const REQUEST_BYTES_MIN: u64 = 64 << 10;

fn store(text: &str) -> Result<StoreUrl, String> {
    text.parse().map_err(|error: ironbark_storage::Error| match error {
        ironbark_storage::Error::InvalidSetting { reason, .. } => reason,
        error => error.to_string(),
    })
}
