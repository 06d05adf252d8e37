//! The keys of the write path and of the compactor.

use super::key::{self, Key};
use super::{CompactorMode, quantity};

const MIB: u64 = 1 << 20;

/// The keys of the write path, in the order in which they are shown.
pub(super) const KEYS: &[Key] = &[
    Key::text(
        "engine.buffer_max",
        "Memory for rows that are not yet in segments; beyond it appends wait for room.",
        "512MiB",
        |config, text| key::bytes(text, 16 * MIB).map(|bytes| config.engine.buffer_bytes_max = bytes),
        |config| quantity::show_bytes(config.engine.buffer_bytes_max),
    ),
    Key::text(
        "engine.append_wait",
        "How long an append waits for room in that memory before it is refused.",
        "5s",
        |config, text| key::milliseconds(text, 0).map(|ms| config.engine.append_wait_ms = ms),
        |config| key::show_ms(config.engine.append_wait_ms),
    ),
    Key::text(
        "engine.flush_size",
        "A partition's buffer of this size becomes a segment.",
        "64MiB",
        |config, text| key::bytes(text, MIB).map(|bytes| config.engine.flush_bytes = bytes),
        |config| quantity::show_bytes(config.engine.flush_bytes),
    ),
    Key::text(
        "engine.flush_age",
        "A partition's buffer of this age becomes a segment.",
        "1m",
        |config, text| key::milliseconds(text, 100).map(|ms| config.engine.flush_age_ms = ms),
        |config| key::show_ms(config.engine.flush_age_ms),
    ),
    Key::bare(
        "engine.open_partitions_max",
        "Partitions (days of tables) that may be in memory at once; beyond it the oldest become segments.",
        "512",
        |config, text| key::count(text, 1).map(|count| config.engine.open_partitions_max = count),
        |config| config.engine.open_partitions_max.to_string(),
    ),
    Key::bare(
        "engine.fsync",
        "Whether rows are synced to the disk before they are acknowledged. Without it a power failure loses \
         acknowledged rows: for measurements only.",
        "true",
        |config, text| key::boolean(text).map(|fsync| config.engine.fsync = fsync),
        |config| config.engine.fsync.to_string(),
    ),
    Key::text(
        "engine.wal_file_size",
        "Size of a file of the write-ahead log.",
        "64MiB",
        |config, text| key::bytes(text, MIB).map(|bytes| config.engine.wal_file_bytes = bytes),
        |config| quantity::show_bytes(config.engine.wal_file_bytes),
    ),
    Key::text(
        "engine.wal_queue_max",
        "Bytes that may wait for the write-ahead log before appends are refused.",
        "64MiB",
        |config, text| key::bytes(text, MIB).map(|bytes| config.engine.wal_queue_bytes = bytes),
        |config| quantity::show_bytes(config.engine.wal_queue_bytes),
    ),
    Key::text(
        "engine.disk_reserve",
        "Space that the write-ahead log leaves free on its disk; appends are refused below it.",
        "256MiB",
        |config, text| key::bytes(text, 0).map(|bytes| config.engine.disk_reserve_bytes = bytes),
        |config| quantity::show_bytes(config.engine.disk_reserve_bytes),
    ),
    Key::text(
        "engine.idempotency_age",
        "How long an idempotency key is remembered. Only when keys and answers together take more than 512 MiB are \
         the oldest forgotten earlier.",
        "24h",
        |config, text| key::milliseconds(text, 1_000).map(|ms| config.engine.idempotency_ms = ms),
        |config| key::show_ms(config.engine.idempotency_ms),
    ),
    Key::bare(
        "engine.idempotency_keys_max",
        "How many idempotency keys are remembered; beyond it requests with a new key are refused.",
        "1000000",
        |config, text| key::count(text, 1).map(|count| config.engine.idempotency_keys_max = count),
        |config| config.engine.idempotency_keys_max.to_string(),
    ),
    Key::text(
        "engine.manifest_refresh",
        "How often the commits of a compactor that runs apart are read.",
        "2s",
        |config, text| key::milliseconds(text, 200).map(|ms| config.engine.manifest_refresh_ms = ms),
        |config| key::show_ms(config.engine.manifest_refresh_ms),
    ),
];

/// The keys of the compactor, in the order in which they are shown.
pub(super) const COMPACTOR_KEYS: &[Key] = &[
    Key::text(
        "compactor.mode",
        "Whether this process compacts too: on, or off when ironbark-compactor runs apart.",
        "off",
        |config, text| {
            config.compactor_mode = match text {
                "on" => CompactorMode::On,
                "off" => CompactorMode::Off,
                _ => return Err("it is on or off".to_owned()),
            };
            Ok(())
        },
        |config| config.compactor_mode.as_str().to_owned(),
    ),
    Key::text(
        "compactor.interval",
        "Pause between two rounds.",
        "10s",
        |config, text| key::milliseconds(text, 100).map(|ms| config.compactor.interval_ms = ms),
        |config| key::show_ms(config.compactor.interval_ms),
    ),
    Key::text(
        "compactor.sweep_interval",
        "Pause between two searches for objects that no manifest names.",
        "1h",
        |config, text| key::milliseconds(text, 1_000).map(|ms| config.compactor.sweep_interval_ms = ms),
        |config| key::show_ms(config.compactor.sweep_interval_ms),
    ),
    Key::text(
        "compactor.grace",
        "How long the object of a removed segment is kept: longer than the longest query.",
        "1h",
        |config, text| key::milliseconds(text, 1_000).map(|ms| config.compactor.grace_ms = ms),
        |config| key::show_ms(config.compactor.grace_ms),
    ),
    Key::text(
        "compactor.orphan_grace",
        "How long an object that no manifest names is kept: longer than any writer takes to commit a segment.",
        "1d",
        |config, text| key::milliseconds(text, 60_000).map(|ms| config.compactor.orphan_grace_ms = ms),
        |config| key::show_ms(config.compactor.orphan_grace_ms),
    ),
    Key::text(
        "compactor.quiet",
        "A day that got no segment for this long is taken to be complete and is merged to the end.",
        "15m",
        |config, text| key::milliseconds(text, 1_000).map(|ms| config.compactor.quiet_ms = ms),
        |config| key::show_ms(config.compactor.quiet_ms),
    ),
];
