//! The state from which every session starts: functions, options and the shared memory.

use std::num::NonZeroUsize;
use std::sync::Arc;

use datafusion::execution::SessionState;
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::memory_pool::{FairSpillPool, TrackConsumersPool};
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::execution::session_state::SessionStateBuilder;
use datafusion::prelude::SessionConfig;

use crate::config::QueryConfig;
use crate::error::{Error, Result};

/// How many of the hungriest operators an out-of-memory error names.
const MEMORY_CONSUMERS_NAMED: NonZeroUsize = NonZeroUsize::MIN.saturating_add(2);

/// Memory and disk that all queries share.
pub(crate) fn runtime(config: &QueryConfig) -> Result<Arc<RuntimeEnv>> {
    let pool = TrackConsumersPool::new(FairSpillPool::new(config.memory_bytes), MEMORY_CONSUMERS_NAMED);
    let mode = match &config.spill_dir {
        Some(dir) => DiskManagerMode::Directories(vec![dir.clone()]),
        None => DiskManagerMode::OsTmpDirectory,
    };
    let disk = DiskManagerBuilder::default().with_mode(mode).with_max_temp_directory_size(config.spill_bytes);
    let runtime =
        RuntimeEnvBuilder::new().with_memory_pool(Arc::new(pool)).with_disk_manager_builder(disk).build_arc();
    runtime.map_err(|error| Error::Setting { name: "spill_dir", reason: error.strip_backtrace() })
}

/// The functions and options of all sessions, without any table.
pub(crate) fn state(config: &QueryConfig, runtime: &Arc<RuntimeEnv>) -> SessionState {
    SessionStateBuilder::new_with_default_features()
        .with_config(options(config))
        .with_runtime_env(Arc::clone(runtime))
        .build()
}

fn options(config: &QueryConfig) -> SessionConfig {
    let mut session = SessionConfig::new()
        .with_create_default_catalog_and_schema(false)
        .with_information_schema(false)
        .with_batch_size(config.batch_rows);
    if config.partitions > 0 {
        session = session.with_target_partitions(config.partitions);
    }
    let options = session.options_mut();
    options.execution.time_zone = Some("UTC".to_owned());
    options.execution.parquet.pushdown_filters = true;
    options.execution.parquet.schema_force_view_types = false;
    options.execution.parquet.bloom_filter_on_read = false;
    options.sql_parser.map_string_types_to_utf8view = false;
    options.sql_parser.collect_spans = true;
    options.sql_parser.parse_float_as_decimal = false;
    options.explain.show_statistics = false;
    session
}
