//! The keys of the query engine: what all queries together, and one query alone, may use.

use super::key::{self, Key};
use super::quantity;

/// Less memory than this fails every sort.
const MEMORY_BYTES_MIN: u64 = 16 << 20;
/// Less disk cannot be divided into files that hold a few slabs each.
const DISK_CACHE_BYTES_MIN: u64 = 16 << 20;

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
    Key::text(
        "query.range_cache",
        "Memory for byte ranges of segments that lie in S3. 0: they are not cached, neither in memory nor on disk. Segments in a \
         local directory are the operating system's to cache.",
        "256MiB",
        |config, text| key::bytes(text, 0).map(|bytes| config.query.range_cache_bytes = bytes),
        |config| key::show_size(config.query.range_cache_bytes),
    ),
    Key::text(
        "query.disk_cache",
        "Disk space for byte ranges of segments that lie in S3. 0: memory alone. The last gigabyte of a disk is left free.",
        "64GiB",
        |config, text| {
            let bytes = key::bytes(text, 0)?;
            if bytes > 0 && bytes < DISK_CACHE_BYTES_MIN {
                return Err(format!("it is 0 or at least {}", quantity::show_bytes(DISK_CACHE_BYTES_MIN)));
            }
            config.query.disk_cache_bytes = bytes;
            Ok(())
        },
        |config| quantity::show_bytes(config.query.disk_cache_bytes),
    ),
    Key::text(
        "query.disk_cache_dir",
        "Directory for them; only the server's user may read it, as it holds logs. Empty: range-cache in the data directory.",
        "/var/cache/ironbark",
        |config, text| {
            config.query.disk_cache_dir = if text.is_empty() { None } else { Some(key::path(text)?) };
            Ok(())
        },
        |config| {
            config.query.disk_cache_dir.as_ref().map(|path| path.display().to_string()).unwrap_or_default()
        },
    ),
    Key::text(
        "query.disk_cache_age",
        "After this time all cached byte ranges are dropped from memory and disk, so that those of deleted segments do not stay.",
        "1d",
        |config, text| key::milliseconds(text, 60_000).map(|ms| config.query.disk_cache_age_ms = ms),
        |config| key::show_ms(config.query.disk_cache_age_ms),
    ),
];
