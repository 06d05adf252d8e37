//! Whether the process lives, and whether it takes requests.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde_json::{Value, json};

use super::Http;

/// The process answers.
pub(super) async fn live() -> Json<Value> {
    Json(json!({ "status": "live" }))
}

/// Requests are taken: the start is over, no stop has begun, and the write-ahead log takes writes.
pub(super) async fn ready(State(http): State<Http>) -> (StatusCode, Json<Value>) {
    let engine = http.node.engine.status();
    let (code, status) = match (&engine.stopped, http.node.is_ready()) {
        (Some(_), _) => (StatusCode::SERVICE_UNAVAILABLE, "stopped"),
        (None, false) => (StatusCode::SERVICE_UNAVAILABLE, "stopping"),
        (None, true) => (StatusCode::OK, "ready"),
    };
    (code, Json(json!({ "status": status, "engine": engine })))
}
