//! `POST /logs/ingest`: records in, and when the answer comes they are durable and visible.

use axum::body::{Body, Bytes};
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use ironbark_engine::{Appended, IdempotencyKey, Once};
use ironbark_storage::{TableName, TableRef};
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_128;

use super::body::Whole;
use super::{Caller, Code, Http, HttpError};
use crate::decode::json::{Framing, JsonContext, decode_json};
use crate::decode::{self, Rejected};

/// The header by which a repeated request is known.
const IDEMPOTENCY_HEADER: &str = "idempotency-key";
/// Bodies of at least this many bytes are decoded on a thread that may work long.
const DECODE_INLINE_BYTES_MAX: usize = 16 * 1024;

/// The query string.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Target {
    /// The table; `logs` if not given.
    table: Option<String>,
    /// The source of records that name none.
    source: Option<String>,
}

/// The answer.
#[derive(Debug, Serialize, Deserialize)]
struct Answer {
    /// Records stored.
    accepted: u64,
    /// Records refused, the first thousand.
    rejected: Vec<Rejected>,
    /// How many were refused, where that is more than are listed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rejected_count: Option<u64>,
}

/// Takes records.
pub(super) async fn ingest(
    State(http): State<Http>,
    caller: Caller,
    target: Result<Query<Target>, axum::extract::rejection::QueryRejection>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, HttpError> {
    let Query(target) = target.map_err(|error| {
        HttpError::new(
            Code::BadRequest,
            format!("{}; the query string takes table and source", error.body_text()),
        )
    })?;
    // The guard has refused everything that is neither JSON nor NDJSON.
    let framing = if is_json(&headers) { Framing::Detect } else { Framing::Lines };
    let table = target.table.as_deref().map_or_else(|| Ok(TableName::default()), str::parse)?;
    let table = TableRef { tenant: caller.tenant, table };
    let key = idempotency_key(&headers)?;
    // The share of the budget is held until the rows are in the engine's own.
    let Whole { bytes: body, held: _held } =
        http.bodies.read(&headers, body, http.node.limits.request_bytes).await?;
    let body_hash = xxh3_128(&body);
    if let Some(key) = &key
        && let Some(answer) = http.node.engine.recall(&table, key, body_hash).await?
    {
        return Ok(respond(answer));
    }
    // Rows take about what their records take: one that will be sent again is not worth being decoded.
    http.node.engine.room_for(body.len()).await?;
    let decoded = decode(&http, framing, target.source, body).await?;
    let shown = decoded.rejected.len() as u64;
    let answer = Answer {
        accepted: decoded.batch.num_rows() as u64,
        rejected: decoded.rejected,
        rejected_count: (decoded.rejected_count > shown).then_some(decoded.rejected_count),
    };
    let answer: Bytes = serde_json::to_vec(&answer)
        .map_err(|error| HttpError::new(Code::Internal, error.to_string()))?
        .into();
    let once = key.map(|key| Once { key, body_hash, answer: answer.clone() });
    match http.node.engine.append(&table, decoded.batch, once).await? {
        Appended::Fresh { .. } => Ok(respond(answer)),
        Appended::Repeated { answer } => Ok(respond(answer)),
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let given = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    given.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("application/json")
}

fn idempotency_key(headers: &HeaderMap) -> Result<Option<IdempotencyKey>, HttpError> {
    let Some(value) = headers.get(IDEMPOTENCY_HEADER) else { return Ok(None) };
    let text = value
        .to_str()
        .map_err(|_| HttpError::new(Code::BadRequest, "idempotency-key: it is not ASCII text"))?;
    Ok(Some(text.parse()?))
}

async fn decode(
    http: &Http,
    framing: Framing,
    source: Option<String>,
    body: Bytes,
) -> Result<decode::json::Decoded, HttpError> {
    let arrival = http.node.ambient.clock.now();
    let window = decode::window(&http.node.limits, arrival);
    let work = move |body: &[u8]| {
        let context = JsonContext { arrival, window, source: source.as_deref(), tags: &[] };
        decode_json(body, framing, &context)
    };
    let decoded = if body.len() < DECODE_INLINE_BYTES_MAX {
        work(&body)
    } else {
        tokio::task::spawn_blocking(move || work(&body))
            .await
            .map_err(|_| HttpError::new(Code::Internal, "decoding failed"))?
    };
    Ok(decoded?)
}

/// 200, or 400 where there were records and none was good: a sender that looks at the status only must notice.
fn respond(answer: Bytes) -> Response {
    let nothing_good = serde_json::from_slice::<Answer>(&answer)
        .is_ok_and(|answer| answer.accepted == 0 && !answer.rejected.is_empty());
    let status = if nothing_good { StatusCode::BAD_REQUEST } else { StatusCode::OK };
    (status, [(header::CONTENT_TYPE, "application/json")], answer).into_response()
}
