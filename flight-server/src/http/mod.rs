//! The HTTP interface.
//!
//! ```text
//!   request ─► guard (host, origin, content type) ─► caller (tenant) ─┬─ ingest   body ─► decode ─► engine.append
//!                                                                     ├─ search   session.search ─► records
//!                                                                     ├─ sql      statement ─► rows
//!                                                                     └─ health, metrics, openapi.json
//! ```
//!
//! A web page in a browser on this machine can reach this port, so [`guard`] stands before every handler.

mod body;
mod caller;
mod error;
mod guard;
mod health;
mod ingest;
mod metrics;
mod openapi;
mod search;
mod sql;

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware;
use axum::routing::{get, post};
use metrics_exporter_prometheus::PrometheusHandle;

use crate::node::Node;

pub(crate) use caller::Caller;
pub(crate) use error::{Code, HttpError};

/// What handlers work with. Cloning it is cheap.
#[derive(Clone, Debug)]
pub(crate) struct Http {
    /// The open database.
    pub(crate) node: Arc<Node>,
    /// What all request bodies share.
    bodies: body::Bodies,
    /// The metrics of this process.
    metrics: PrometheusHandle,
}

/// All routes over an open database.
pub(crate) fn router(node: Arc<Node>, metrics: PrometheusHandle) -> Router {
    let body_bytes_max = node.limits.request_bytes;
    let bodies = body::Bodies::new(&node.limits);
    let http = Http { node, bodies, metrics };
    Router::new()
        .route("/logs/ingest", post(ingest::ingest))
        .route("/logs/search", get(search::search))
        .route("/sql", post(sql::sql))
        .route("/openapi.json", get(openapi::document))
        .route("/health/live", get(health::live))
        .route("/health/ready", get(health::ready))
        .route("/metrics", get(metrics::render))
        .fallback(error::not_found)
        .method_not_allowed_fallback(error::not_allowed)
        .layer(middleware::from_fn_with_state(http.clone(), guard::guard))
        .layer(DefaultBodyLimit::max(body_bytes_max))
        .with_state(http)
}
