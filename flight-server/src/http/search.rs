//! `GET /logs/search`: records, newest first, page by page.

use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use ironbark_query::{Order, SearchRequest, json};
use ironbark_storage::{TimeRange, Timestamp};

use super::{Caller, Code, Http, HttpError};
use crate::decode::timestamp;

/// Records of a page, unless asked otherwise.
const LIMIT_DEFAULT: usize = 100;
/// The header that carries the cursor of formats without a place for it.
const CURSOR_HEADER: &str = "x-ironbark-cursor";

/// What the answer looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// `{"records":[…],"cursor":"…"}`.
    Json,
    /// A record on each line; the cursor in a header.
    NdJson,
}

/// Finds records.
pub(super) async fn search(
    State(http): State<Http>,
    caller: Caller,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, HttpError> {
    let (request, form) = parse(query.as_deref().unwrap_or_default(), &headers)?;
    let page = http.node.session(&caller.tenant).search(&request).await?;
    let mut out = Vec::new();
    let mut first = true;
    if form == Form::Json {
        out.extend_from_slice(b"{\"records\":[");
    }
    for batch in &page.batches {
        let start = first;
        json::write_records(batch, &mut out, |row, out| match form {
            Form::Json if start && row == 0 => out.push(b'\n'),
            Form::Json => out.extend_from_slice(b",\n"),
            Form::NdJson if start && row == 0 => {}
            Form::NdJson => out.push(b'\n'),
        })?;
        first &= batch.num_rows() == 0;
    }
    let cursor = page.cursor.unwrap_or_default();
    match form {
        Form::Json => {
            let shown = if cursor.is_empty() { None } else { Some(cursor.as_str()) };
            let cursor = serde_json::to_vec(&shown)
                .map_err(|error| HttpError::new(Code::Internal, error.to_string()))?;
            out.extend_from_slice(b"\n],\"cursor\":");
            out.extend_from_slice(&cursor);
            out.extend_from_slice(b"}\n");
            Ok(([(header::CONTENT_TYPE, "application/json")], out).into_response())
        }
        Form::NdJson => {
            if !first {
                out.push(b'\n');
            }
            let mut response = ([(header::CONTENT_TYPE, "application/x-ndjson")], out).into_response();
            if let Ok(value) = cursor.parse()
                && !cursor.is_empty()
            {
                response.headers_mut().insert(CURSOR_HEADER, value);
            }
            Ok(response)
        }
    }
}

fn parse(query: &str, headers: &HeaderMap) -> Result<(SearchRequest, Form), HttpError> {
    let mut request = SearchRequest { limit: LIMIT_DEFAULT, ..SearchRequest::default() };
    let mut form =
        if super::sql::accepts(headers, "application/x-ndjson") { Form::NdJson } else { Form::Json };
    let (mut start, mut end) = (None, None);
    let pairs: Vec<(String, String)> = serde_urlencoded::from_str(query).map_err(|error| {
        HttpError::new(Code::BadRequest, format!("the query string cannot be read: {error}"))
    })?;
    for (key, value) in pairs {
        match key.as_str() {
            "q" => request.query = value,
            "source" => request.source = Some(value),
            "level" => request.level = Some(value),
            "table" => request.table = value.parse()?,
            "start" => start = Some(time(&key, &value)?),
            "end" => end = Some(time(&key, &value)?),
            "limit" => request.limit = limit(&value)?,
            "cursor" => request.cursor = Some(value),
            "order" => request.order = order(&value)?,
            "format" => form = form_of(&value)?,
            _ => match key.strip_prefix("tags.") {
                Some(tag) => request.tags.push((tag.to_owned(), value)),
                None => {
                    return Err(HttpError::new(
                        Code::BadRequest,
                        format!(
                            "parameter {key:?} is unknown; there are q, source, level, start, end, tags.KEY, limit, \
                         cursor, order, format and table"
                        ),
                    ));
                }
            },
        }
    }
    if start.is_some() || end.is_some() {
        let (start, end) = (start.unwrap_or(TimeRange::ALL.min), end.unwrap_or(TimeRange::ALL.max));
        if start > end {
            return Err(HttpError::new(Code::BadRequest, format!("start {start} lies after end {end}")));
        }
        request.time = Some(TimeRange::new(start, end));
    }
    Ok((request, form))
}

fn time(key: &str, value: &str) -> Result<Timestamp, HttpError> {
    timestamp::from_text(value).map_err(|error| HttpError::new(Code::BadRequest, format!("{key}: {error}")))
}

fn limit(value: &str) -> Result<usize, HttpError> {
    let limit = value.parse().ok().filter(|limit| (1..=SearchRequest::LIMIT_MAX).contains(limit));
    limit.ok_or_else(|| {
        HttpError::new(
            Code::BadRequest,
            format!(
                "limit {value:?} is not a number from 1 to {}; for more, follow the cursor",
                SearchRequest::LIMIT_MAX
            ),
        )
    })
}

fn order(value: &str) -> Result<Order, HttpError> {
    match value {
        "desc" => Ok(Order::Descending),
        "asc" => Ok(Order::Ascending),
        _ => Err(HttpError::new(
            Code::BadRequest,
            format!("order {value:?} is neither desc (newest first) nor asc"),
        )),
    }
}

fn form_of(value: &str) -> Result<Form, HttpError> {
    match value {
        "json" => Ok(Form::Json),
        "ndjson" => Ok(Form::NdJson),
        _ => Err(HttpError::new(
            Code::BadRequest,
            format!("format {value:?} is neither json nor ndjson; POST /sql has csv too"),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_read_and_refused_by_name() {
        let parse =
            |query: &str| super::parse(query, &HeaderMap::new()).map_err(|error| format!("{error:?}"));
        let (request, form) = parse(
            "q=a%20b&tags.env=prod&tags.x.y=1&start=2026-01-01T00:00:00Z&order=asc&limit=7&format=ndjson",
        )
        .unwrap();
        assert_eq!((request.query.as_str(), request.limit, form), ("a b", 7, Form::NdJson));
        assert_eq!(request.tags, [("env".into(), "prod".into()), ("x.y".into(), "1".into())]);
        assert_eq!(request.time.unwrap().max, TimeRange::ALL.max);
        for bad in ["limit=0", "limit=x", "order=up", "start=now", "format=xml", "what=1", "start=2&end=1"] {
            let key = bad.split('=').next().unwrap();
            assert!(parse(bad).unwrap_err().contains(key), "{bad}");
        }
    }
}
