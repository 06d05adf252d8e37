//! The keys of the write path and of the compactor.

use super::key::{self, Key, Shape};
use super::{CompactorMode, quantity};

const MIB: u64 = 1 << 20;

/// The keys of the write path, in the order in which they are shown.
pub(super) const KEYS: &[Key] = &[
    Key {
        name: "engine.buffer_bytes_max",
        about: "Memory for rows that are not yet in segments; beyond it appends are refused until there is room.",
        example: "512MiB",
        shape: Shape::Text,
        set: |config, text| key::bytes(text, 16 * MIB).map(|bytes| config.engine.buffer_bytes_max = bytes),
        show: |config| quantity::show_bytes(config.engine.buffer_bytes_max),
    },
    Key {
        name: "engine.flush_bytes",
        about: "A partition's buffer of this size becomes a segment.",
        example: "64MiB",
        shape: Shape::Text,
        set: |config, text| key::bytes(text, MIB).map(|bytes| config.engine.flush_bytes = bytes),
        show: |config| quantity::show_bytes(config.engine.flush_bytes),
    },
    Key {
        name: "engine.flush_age",
        about: "A partition's buffer of this age becomes a segment.",
        example: "1m",
        shape: Shape::Text,
        set: |config, text| key::milliseconds(text, 100).map(|ms| config.engine.flush_age_ms = ms),
        show: |config| key::show_ms(config.engine.flush_age_ms),
    },
    Key {
        name: "engine.open_partitions_max",
        about: "Partitions (days of tables) that may be in memory at once; beyond it the oldest become segments.",
        example: "512",
        shape: Shape::Bare,
        set: |config, text| key::count(text, 1).map(|count| config.engine.open_partitions_max = count),
        show: |config| config.engine.open_partitions_max.to_string(),
    },
    Key {
        name: "engine.fsync",
        about: "Whether rows are synced to the disk before they are acknowledged. Without it a power failure loses \
                acknowledged rows: for measurements only.",
        example: "true",
        shape: Shape::Bare,
        set: |config, text| key::boolean(text).map(|fsync| config.engine.fsync = fsync),
        show: |config| config.engine.fsync.to_string(),
    },
    Key {
        name: "engine.wal_file_bytes",
        about: "Size of a file of the write-ahead log.",
        example: "64MiB",
        shape: Shape::Text,
        set: |config, text| key::bytes(text, MIB).map(|bytes| config.engine.wal_file_bytes = bytes),
        show: |config| quantity::show_bytes(config.engine.wal_file_bytes),
    },
    Key {
        name: "engine.wal_queue_bytes",
        about: "Bytes that may wait for the write-ahead log before appends are refused.",
        example: "64MiB",
        shape: Shape::Text,
        set: |config, text| key::bytes(text, MIB).map(|bytes| config.engine.wal_queue_bytes = bytes),
        show: |config| quantity::show_bytes(config.engine.wal_queue_bytes),
    },
    Key {
        name: "engine.disk_reserve",
        about: "Space that the write-ahead log leaves free on its disk; appends are refused below it.",
        example: "256MiB",
        shape: Shape::Text,
        set: |config, text| key::bytes(text, 0).map(|bytes| config.engine.disk_reserve_bytes = bytes),
        show: |config| quantity::show_bytes(config.engine.disk_reserve_bytes),
    },
    Key {
        name: "engine.idempotency_age",
        about: "How long an idempotency key is remembered. Only when keys and answers together take more than 512 MiB are \
                the oldest forgotten earlier.",
        example: "24h",
        shape: Shape::Text,
        set: |config, text| key::milliseconds(text, 1_000).map(|ms| config.engine.idempotency_ms = ms),
        show: |config| key::show_ms(config.engine.idempotency_ms),
    },
    Key {
        name: "engine.idempotency_keys_max",
        about: "How many idempotency keys are remembered; beyond it requests with a new key are refused.",
        example: "1000000",
        shape: Shape::Bare,
        set: |config, text| key::count(text, 1).map(|count| config.engine.idempotency_keys_max = count),
        show: |config| config.engine.idempotency_keys_max.to_string(),
    },
    Key {
        name: "engine.manifest_refresh",
        about: "How often the commits of a compactor that runs apart are read.",
        example: "2s",
        shape: Shape::Text,
        set: |config, text| key::milliseconds(text, 200).map(|ms| config.engine.manifest_refresh_ms = ms),
        show: |config| key::show_ms(config.engine.manifest_refresh_ms),
    },
];

/// The keys of the compactor, in the order in which they are shown.
pub(super) const COMPACTOR_KEYS: &[Key] = &[
    Key {
        name: "compactor.mode",
        about: "Whether this process compacts too: on, or off when ironbark-compactor runs apart.",
        example: "off",
        shape: Shape::Text,
        set: |config, text| {
            config.compactor_mode = match text {
                "on" => CompactorMode::On,
                "off" => CompactorMode::Off,
                _ => return Err("it is on or off".to_owned()),
            };
            Ok(())
        },
        show: |config| config.compactor_mode.as_str().to_owned(),
    },
    Key {
        name: "compactor.interval",
        about: "Pause between two rounds.",
        example: "10s",
        shape: Shape::Text,
        set: |config, text| key::milliseconds(text, 100).map(|ms| config.compactor.interval_ms = ms),
        show: |config| key::show_ms(config.compactor.interval_ms),
    },
    Key {
        name: "compactor.sweep_interval",
        about: "Pause between two searches for objects that no manifest names.",
        example: "1h",
        shape: Shape::Text,
        set: |config, text| key::milliseconds(text, 1_000).map(|ms| config.compactor.sweep_interval_ms = ms),
        show: |config| key::show_ms(config.compactor.sweep_interval_ms),
    },
    Key {
        name: "compactor.grace",
        about: "How long the object of a removed segment is kept: longer than the longest query.",
        example: "1h",
        shape: Shape::Text,
        set: |config, text| key::milliseconds(text, 1_000).map(|ms| config.compactor.grace_ms = ms),
        show: |config| key::show_ms(config.compactor.grace_ms),
    },
    Key {
        name: "compactor.orphan_grace",
        about: "How long an object that no manifest names is kept: longer than any writer takes to commit a segment.",
        example: "1d",
        shape: Shape::Text,
        set: |config, text| key::milliseconds(text, 60_000).map(|ms| config.compactor.orphan_grace_ms = ms),
        show: |config| key::show_ms(config.compactor.orphan_grace_ms),
    },
    Key {
        name: "compactor.quiet",
        about: "A day that got no segment for this long is taken to be complete and is merged to the end.",
        example: "15m",
        shape: Shape::Text,
        set: |config, text| key::milliseconds(text, 1_000).map(|ms| config.compactor.quiet_ms = ms),
        show: |config| key::show_ms(config.compactor.quiet_ms),
    },
];
