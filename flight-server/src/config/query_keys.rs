//! The keys of the query engine: what all queries together, and one query alone, may use.

use super::key::{self, Key};
use super::quantity;

/// Less memory than this fails every sort.
const MEMORY_BYTES_MIN: u64 = 16 << 20;

/// The keys of this file, in the order in which they are shown.
pub(super) const KEYS: &[Key] = &[
    Key::text(
        "query.memory",
        "Memory of all running queries together; beyond it sorts, joins and groupings spill to disk.",
        "1GiB",
        |config, text| key::bytes(text, MEMORY_BYTES_MIN).map(|bytes| config.query.memory_bytes = bytes),
        |config| key::show_size(config.query.memory_bytes),
    ),
    Key::text(
        "query.spill_dir",
        "Directory for what does not fit into memory. Empty: the system's temporary directory.",
        "/var/tmp/ironbark",
        |config, text| {
            config.query.spill_dir = if text.is_empty() { None } else { Some(key::path(text)?) };
            Ok(())
        },
        |config| config.query.spill_dir.as_ref().map(|path| path.display().to_string()).unwrap_or_default(),
    ),
    Key::text(
        "query.spill",
        "Disk space of all running queries together.",
        "32GiB",
        |config, text| key::bytes(text, 0).map(|bytes| config.query.spill_bytes = bytes),
        |config| quantity::show_bytes(config.query.spill_bytes),
    ),
    Key::text(
        "query.timeout",
        "Longest time of a query.",
        "30s",
        |config, text| key::milliseconds(text, 1).map(|ms| config.query.timeout_ms = ms),
        |config| key::show_ms(config.query.timeout_ms),
    ),
    Key::bare(
        "query.rows_max",
        "Most rows of a result.",
        "1000000",
        |config, text| key::count(text, 1).map(|rows| config.query.rows_max = rows),
        |config| config.query.rows_max.to_string(),
    ),
    Key::bare(
        "query.partitions",
        "How many cores one query may use; 0 stands for all of the machine's.",
        "4",
        |config, text| key::count(text, 0).map(|cores| config.query.partitions = cores),
        |config| config.query.partitions.to_string(),
    ),
    Key::text(
        "query.tail_cache",
        "Memory for the parsed ends (footer and page index) of segments.",
        "64MiB",
        |config, text| key::bytes(text, 0).map(|bytes| config.query.tail_cache_bytes = bytes),
        |config| key::show_size(config.query.tail_cache_bytes),
    ),
];
