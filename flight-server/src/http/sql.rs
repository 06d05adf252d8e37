//! `POST /sql`: a statement in, rows out in the format that the client accepts.

use std::pin::Pin;

use arrow::ipc::writer::StreamWriter;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use datafusion::scalar::ScalarValue;
use futures::{Stream, StreamExt, stream};
use ironbark_query::json::{Format, Writer};
use ironbark_query::{QueryStream, StatementKind};
use serde::Deserialize;
use serde_json::Value;

use super::{Caller, Code, Http, HttpError};

/// Arrow's stream format.
const ARROW: &str = "application/vnd.apache.arrow.stream";

/// The body.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SqlRequest {
    query: String,
    #[serde(default)]
    parameters: Vec<Value>,
}

/// Runs a statement.
pub(super) async fn sql(
    State(http): State<Http>,
    caller: Caller,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, HttpError> {
    let plain = is_plain(&headers);
    let answer = answer_format(&headers)?;
    let body = http.bodies.read(&headers, body, ironbark_query::SQL_BYTES_MAX.saturating_mul(2)).await?;
    let request = parse(plain, &body.bytes)?;
    drop(body);
    let statement = http.node.session(&caller.tenant).prepare(&request.query).await?;
    if plain && statement.kind() != StatementKind::Query {
        return Err(HttpError::new(
            Code::UnsupportedMediaType,
            "plain text is for reading only: send a statement that changes something as content-type: \
             application/json, {\"query\":\"…\"}",
        ));
    }
    let parameters = request.parameters.iter().map(scalar).collect::<Result<Vec<_>, _>>()?;
    let rows = statement.run(parameters).await?;
    respond(rows, answer).await
}

/// Plain text may come from any web page: it only reads. The guard has refused other types than this and JSON.
fn is_plain(headers: &HeaderMap) -> bool {
    let given = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    given.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("text/plain")
}

fn parse(plain: bool, bytes: &[u8]) -> Result<SqlRequest, HttpError> {
    if !plain {
        return serde_json::from_slice(bytes).map_err(|error| {
            let form = "the body must be {\"query\":\"SELECT …\",\"parameters\":[…]}";
            HttpError::new(Code::BadRequest, format!("{form}: {error}"))
        });
    }
    let query = std::str::from_utf8(bytes).map_err(|error| {
        HttpError::new(
            Code::BadRequest,
            format!("the statement is not UTF-8 at byte {}", error.valid_up_to()),
        )
    })?;
    Ok(SqlRequest { query: query.to_owned(), parameters: Vec::new() })
}

/// A parameter as the client sent it; the statement casts it to the type that it needs.
fn scalar(value: &Value) -> Result<ScalarValue, HttpError> {
    match value {
        Value::Null => Ok(ScalarValue::Null),
        Value::Bool(value) => Ok(ScalarValue::Boolean(Some(*value))),
        Value::String(text) => Ok(ScalarValue::Utf8(Some(text.clone()))),
        Value::Number(number) => match (number.as_i64(), number.as_u64(), number.as_f64()) {
            (Some(number), _, _) => Ok(ScalarValue::Int64(Some(number))),
            (_, Some(number), _) => Ok(ScalarValue::UInt64(Some(number))),
            (_, _, number) => Ok(ScalarValue::Float64(number)),
        },
        Value::Array(_) | Value::Object(_) => {
            Err(HttpError::new(Code::BadRequest, "parameters must be strings, numbers, booleans or null"))
        }
    }
}

/// What the rows are sent as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    Text(Format),
    Arrow,
}

/// Whether a type stands in the `Accept` header.
pub(super) fn accepts(headers: &HeaderMap, wanted: &str) -> bool {
    types(headers).any(|found| found == wanted)
}

fn types(headers: &HeaderMap) -> impl Iterator<Item = String> + '_ {
    let values = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    values
        .flat_map(|value| value.split(','))
        .map(|one| one.split(';').next().unwrap_or_default().trim().to_ascii_lowercase())
}

/// The first type of the `Accept` header that can be made.
fn answer_format(headers: &HeaderMap) -> Result<Answer, HttpError> {
    let mut asked = false;
    for found in types(headers) {
        asked = true;
        match found.as_str() {
            "application/json" | "*/*" | "application/*" | "" => return Ok(Answer::Text(Format::Json)),
            "application/x-ndjson" | "application/ndjson" | "application/jsonl" => {
                return Ok(Answer::Text(Format::NdJson));
            }
            "text/csv" | "text/*" => return Ok(Answer::Text(Format::Csv)),
            ARROW => return Ok(Answer::Arrow),
            _ => {}
        }
    }
    if asked {
        let made = format!("accept one of application/json, application/x-ndjson, text/csv, {ARROW}");
        return Err(HttpError::new(Code::NotAcceptable, made));
    }
    Ok(Answer::Text(Format::Json))
}

/// Turns rows into bytes, batch by batch.
enum Encoder {
    Text(Writer),
    Arrow(Box<StreamWriter<Vec<u8>>>),
}

impl Encoder {
    fn new(answer: Answer, rows: &QueryStream) -> Result<(Self, Vec<u8>), HttpError> {
        let mut out = Vec::new();
        match answer {
            Answer::Text(format) => {
                let writer = Writer::new(format, rows.schema());
                writer.begin(&mut out)?;
                Ok((Self::Text(writer), out))
            }
            Answer::Arrow => {
                let mut writer = StreamWriter::try_new(Vec::new(), &rows.schema()).map_err(|e| failed(&e))?;
                let head = std::mem::take(writer.get_mut());
                Ok((Self::Arrow(Box::new(writer)), head))
            }
        }
    }

    fn batch(&mut self, batch: &arrow::array::RecordBatch) -> Result<Vec<u8>, HttpError> {
        match self {
            Self::Text(writer) => {
                let mut out = Vec::new();
                writer.write(batch, &mut out)?;
                Ok(out)
            }
            Self::Arrow(writer) => {
                writer.write(batch).map_err(|error| failed(&error))?;
                Ok(std::mem::take(writer.get_mut()))
            }
        }
    }

    fn end(&mut self) -> Result<Vec<u8>, HttpError> {
        match self {
            Self::Text(writer) => {
                let mut out = Vec::new();
                writer.end(&mut out);
                Ok(out)
            }
            Self::Arrow(writer) => {
                writer.finish().map_err(|error| failed(&error))?;
                Ok(std::mem::take(writer.get_mut()))
            }
        }
    }
}

fn failed(error: &arrow::error::ArrowError) -> HttpError {
    HttpError::new(Code::Internal, format!("the rows cannot be encoded: {error}"))
}

type Chunks = Pin<Box<dyn Stream<Item = Result<Bytes, std::io::Error>> + Send>>;

/// Streams the rows. The first batch is awaited, so that a query that fails at once answers with its error; one that
/// fails later breaks the connection, and no client takes half a result for a whole one.
async fn respond(mut rows: QueryStream, answer: Answer) -> Result<Response, HttpError> {
    let (mut encoder, mut head) = Encoder::new(answer, &rows)?;
    if let Some(first) = rows.next().await {
        head.extend(encoder.batch(&first?)?);
    }
    let media_type = match answer {
        Answer::Text(format) => format.media_type(),
        Answer::Arrow => ARROW,
    };
    let rest = stream::unfold(Some((rows, encoder)), async |state| {
        let (mut rows, mut encoder) = state?;
        let chunk = match rows.next().await {
            Some(Ok(batch)) => return Some((told(encoder.batch(&batch)), Some((rows, encoder)))),
            Some(Err(error)) => Err(HttpError::from(error)),
            None => encoder.end(),
        };
        Some((told(chunk), None))
    });
    let chunks: Chunks = Box::pin(stream::once(async { Ok(Bytes::from(head)) }).chain(rest));
    Ok(([(header::CONTENT_TYPE, media_type)], Body::from_stream(chunks)).into_response())
}

fn told(chunk: Result<Vec<u8>, HttpError>) -> Result<Bytes, std::io::Error> {
    chunk.map(Bytes::from).map_err(|error| std::io::Error::other(format!("{error:?}")))
}
