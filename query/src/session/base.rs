//! The state from which every session starts: functions, options and the shared memory.

use std::num::NonZeroUsize;
use std::sync::Arc;

use datafusion::datasource::object_store::ObjectStoreUrl;
use datafusion::error::DataFusionError;
use datafusion::execution::SessionState;
use datafusion::execution::SessionStateDefaults;
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::memory_pool::{FairSpillPool, TrackConsumersPool};
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::execution::session_state::SessionStateBuilder;
use datafusion::logical_expr::planner::ExprPlanner;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_optimizer::optimizer::PhysicalOptimizer;
use datafusion::prelude::SessionConfig;
use ironbark_storage::Ambient;
use object_store::memory::InMemory;

use super::amplify;
use crate::config::QueryConfig;
use crate::error::{Error, Result};
use crate::functions;
use crate::search;
use crate::table::{CountFromStatistics, OrderSegments, PushTags, SEGMENTS_URL, ShowIndexes, TellTopRows};
use crate::tags::{self, TagPlanner};

/// How many of the hungriest operators an out-of-memory error names.
const MEMORY_CONSUMERS_NAMED: NonZeroUsize = NonZeroUsize::MIN.saturating_add(2);

/// The part of the memory, one in so many for each core, that a sort keeps back.
const SORT_RESERVE_SHARE: usize = 8;

/// DataFusion's table functions that there are: none of them reads anything.
const TABLE_FUNCTIONS: [&str; 2] = ["generate_series", "range"];

/// Memory and disk that all queries share. The store registered here is empty: segments are read through the store
/// of their tenant, but DataFusion wants one to be there.
pub(crate) fn runtime(config: &QueryConfig) -> Result<Arc<RuntimeEnv>> {
    let pool = TrackConsumersPool::new(FairSpillPool::new(config.memory_bytes), MEMORY_CONSUMERS_NAMED);
    let mode = match &config.spill_dir {
        Some(dir) => DiskManagerMode::Directories(vec![dir.clone()]),
        None => DiskManagerMode::OsTmpDirectory,
    };
    let disk = DiskManagerBuilder::default().with_mode(mode).with_max_temp_directory_size(config.spill_bytes);
    let runtime =
        RuntimeEnvBuilder::new().with_memory_pool(Arc::new(pool)).with_disk_manager_builder(disk).build_arc();
    let setting =
        |error: DataFusionError| Error::Setting { name: "spill_dir", reason: error.strip_backtrace() };
    let runtime = runtime.map_err(setting)?;
    let url = ObjectStoreUrl::parse(SEGMENTS_URL)?;
    runtime.register_object_store(url.as_ref(), Arc::new(InMemory::new()));
    Ok(runtime)
}

/// The functions and options of all sessions, without any table. No file format and no table factory is in it, so
/// that nothing can be read or written by a path.
pub(crate) fn state(config: &QueryConfig, runtime: &Arc<RuntimeEnv>, ambient: &Ambient) -> SessionState {
    let mut planners: Vec<Arc<dyn ExprPlanner>> = vec![Arc::new(TagPlanner)];
    planners.extend(SessionStateDefaults::default_expr_planners());
    let mut scalars = amplify::limited(SessionStateDefaults::default_scalar_functions());
    scalars.push(tags::function());
    let tables = SessionStateDefaults::default_table_functions();
    let tables = tables.into_iter().filter(|function| TABLE_FUNCTIONS.contains(&function.name()));
    let tables = tables.chain(functions::table_functions());
    let builder = SessionStateBuilder::new()
        .with_config(options(config))
        .with_runtime_env(Arc::clone(runtime))
        .with_expr_planners(planners)
        .with_scalar_functions(scalars)
        .with_higher_order_functions(SessionStateDefaults::default_higher_order_functions())
        .with_aggregate_functions(SessionStateDefaults::default_aggregate_functions())
        .with_window_functions(SessionStateDefaults::default_window_functions())
        .with_table_function_list(tables.collect::<Vec<_>>())
        .with_optimizer_rule(Arc::new(CountFromStatistics))
        .with_optimizer_rule(Arc::new(TellTopRows))
        .with_optimizer_rule(Arc::new(TellTopRows))
        .with_physical_optimizer_rules(physical_rules());
    functions::install(search::install(builder, Arc::clone(&ambient.clock))).build()
}

/// Those of DataFusion and ours.
fn physical_rules() -> Vec<Arc<dyn PhysicalOptimizerRule + Send + Sync>> {
    // Before filters go down into a union, and again, because only then some projections come to lie on it.
    let mut rules: Vec<Arc<dyn PhysicalOptimizerRule + Send + Sync>> = vec![Arc::new(PushTags)];
    rules.extend(PhysicalOptimizer::new().rules);
    rules.push(Arc::new(PushTags));
    rules.push(Arc::new(OrderSegments));
    rules.push(Arc::new(ShowIndexes));
    rules
}

fn options(config: &QueryConfig) -> SessionConfig {
    let mut session = SessionConfig::new()
        .with_create_default_catalog_and_schema(false)
        .with_information_schema(false)
        .with_batch_size(config.batch_rows);
    if config.partitions > 0 {
        session = session.with_target_partitions(config.partitions);
    }
    let partitions = session.target_partitions().max(1);
    let options = session.options_mut();
    // A sort keeps this much back for merging what it spilled; with little memory it must leave room for rows.
    let reserve = config.memory_bytes / (SORT_RESERVE_SHARE * partitions);
    let reserve = reserve.min(options.execution.sort_spill_reservation_bytes);
    options.execution.sort_spill_reservation_bytes = reserve;
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
