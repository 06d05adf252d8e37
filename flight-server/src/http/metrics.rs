//! The metrics of this process in Prometheus' text format.

use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;

use super::Http;

/// What Prometheus calls its text format.
const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// All metrics as they are now.
pub(super) async fn render(State(http): State<Http>) -> impl IntoResponse {
    let engine = http.node.engine.status();
    gauge("ironbark_buffer_bytes", engine.buffer_bytes);
    gauge("ironbark_buffer_bytes_max", engine.buffer_bytes_max);
    gauge("ironbark_open_partitions", u64::try_from(engine.open_partitions).unwrap_or(u64::MAX));
    gauge("ironbark_wal_bytes", engine.wal_bytes);
    gauge("ironbark_wal_stopped", u64::from(engine.stopped.is_some()));
    gauge("ironbark_query_memory_bytes", size(http.node.query.memory_reserved_bytes()));
    let query = &http.node.query;
    gauge("ironbark_query_tail_cache_bytes", size(query.tail_cache_bytes()));
    gauge("ironbark_query_piece_cache_bytes", size(query.piece_cache_bytes()));
    if let Some(ranges) = query.range_cache() {
        gauge("ironbark_query_range_cache_memory_bytes", size(ranges.memory_bytes()));
        gauge("ironbark_query_range_cache_disk_bytes", ranges.disk_bytes());
    }
    http.metrics.run_upkeep();
    ([(header::CONTENT_TYPE, CONTENT_TYPE)], http.metrics.render())
}

fn size(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

#[expect(clippy::cast_precision_loss, reason = "a gauge of bytes need not be exact beyond 2^53")]
fn gauge(name: &'static str, value: u64) {
    metrics::gauge!(name).set(value as f64);
}
