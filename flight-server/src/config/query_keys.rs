//! The keys of the query engine: what all queries together, and one query alone, may use.

use super::key::{self, Key, Shape};
use super::quantity;

/// Less memory than this fails every sort.
const MEMORY_BYTES_MIN: u64 = 16 << 20;

/// The keys of this file, in the order in which they are shown.
pub(super) const KEYS: &[Key] = &[
    Key {
        name: "query.memory",
        about: "Memory of all running queries together; beyond it sorts, joins and groupings spill to disk.",
        example: "1GiB",
        shape: Shape::Text,
        set: |config, text| key::bytes(text, MEMORY_BYTES_MIN).map(|bytes| config.query.memory_bytes = bytes),
        show: |config| key::show_size(config.query.memory_bytes),
    },
    Key {
        name: "query.spill_dir",
        about: "Directory for what does not fit into memory. Empty: the system's temporary directory.",
        example: "/var/tmp/ironbark",
        shape: Shape::Text,
        set: |config, text| {
            config.query.spill_dir = if text.is_empty() { None } else { Some(key::path(text)?) };
            Ok(())
        },
        show: |config| {
            config.query.spill_dir.as_ref().map(|path| path.display().to_string()).unwrap_or_default()
        },
    },
    Key {
        name: "query.spill",
        about: "Disk space of all running queries together.",
        example: "32GiB",
        shape: Shape::Text,
        set: |config, text| key::bytes(text, 0).map(|bytes| config.query.spill_bytes = bytes),
        show: |config| quantity::show_bytes(config.query.spill_bytes),
    },
    Key {
        name: "query.timeout",
        about: "Longest time of a query.",
        example: "30s",
        shape: Shape::Text,
        set: |config, text| key::milliseconds(text, 1).map(|ms| config.query.timeout_ms = ms),
        show: |config| key::show_ms(config.query.timeout_ms),
    },
    Key {
        name: "query.rows_max",
        about: "Most rows of a result.",
        example: "1000000",
        shape: Shape::Bare,
        set: |config, text| key::count(text, 1).map(|rows| config.query.rows_max = rows),
        show: |config| config.query.rows_max.to_string(),
    },
    Key {
        name: "query.partitions",
        about: "How many cores one query may use; 0 stands for all of the machine's.",
        example: "4",
        shape: Shape::Bare,
        set: |config, text| key::count(text, 0).map(|cores| config.query.partitions = cores),
        show: |config| config.query.partitions.to_string(),
    },
    Key {
        name: "query.tail_cache",
        about: "Memory for the parsed ends (footer and page index) of segments.",
        example: "64MiB",
        shape: Shape::Text,
        set: |config, text| key::bytes(text, 0).map(|bytes| config.query.tail_cache_bytes = bytes),
        show: |config| key::show_size(config.query.tail_cache_bytes),
    },
];
