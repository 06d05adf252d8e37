//! Request bodies: read up to a limit, and decompressed up to the same limit.

use std::io::Read;

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, header};
use futures::StreamExt;

use super::{Code, HttpError};

/// First bytes of snappy's framing format; a body without them is in the raw format.
const SNAPPY_FRAMES: &[u8] = b"\xff\x06\x00\x00sNaPpY";

/// The body as it was before the sender compressed it.
pub(super) async fn read(headers: &HeaderMap, body: Body, bytes_max: usize) -> Result<Bytes, HttpError> {
    let raw = collect(headers, body, bytes_max).await?;
    let encoding = headers.get(header::CONTENT_ENCODING).map(|value| value.to_str().unwrap_or("?").trim());
    let Some(encoding) = encoding.filter(|name| !name.is_empty() && !name.eq_ignore_ascii_case("identity"))
    else {
        return Ok(raw);
    };
    let encoding = encoding.to_ascii_lowercase();
    let decompress = move || decompress(&encoding, &raw, bytes_max);
    tokio::task::spawn_blocking(decompress)
        .await
        .map_err(|_| HttpError::new(Code::Internal, "decompression failed"))?
}

async fn collect(headers: &HeaderMap, body: Body, bytes_max: usize) -> Result<Bytes, HttpError> {
    let announced =
        headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|bytes| bytes > bytes_max as u64) {
        return Err(too_large(bytes_max));
    }
    let mut chunks = body.into_data_stream();
    let mut whole = Vec::new();
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk
            .map_err(|error| HttpError::new(Code::BadRequest, format!("the body ended early: {error}")))?;
        if whole.len().saturating_add(chunk.len()) > bytes_max {
            return Err(too_large(bytes_max));
        }
        whole.extend_from_slice(&chunk);
    }
    Ok(whole.into())
}

fn too_large(bytes_max: usize) -> HttpError {
    HttpError::new(
        Code::TooLarge,
        format!(
            "the body has more than {bytes_max} bytes (limits.request_max, decompressed): send it in several requests, \
         or load files with `ironbark ingest`"
        ),
    )
}

fn decompress(encoding: &str, raw: &[u8], bytes_max: usize) -> Result<Bytes, HttpError> {
    match encoding {
        "gzip" | "x-gzip" => bounded(flate2::read::MultiGzDecoder::new(raw), "gzip", bytes_max),
        // Some senders leave the zlib header out: its first byte tells.
        "deflate" if raw.first().is_some_and(|byte| byte & 0x0f == 8) => {
            bounded(flate2::read::ZlibDecoder::new(raw), "deflate", bytes_max)
        }
        "deflate" => bounded(flate2::read::DeflateDecoder::new(raw), "deflate", bytes_max),
        "zstd" => match zstd::stream::read::Decoder::new(raw) {
            Ok(decoder) => bounded(decoder, "zstd", bytes_max),
            Err(error) => Err(broken("zstd", &error)),
        },
        "snappy" | "x-snappy-framed" if raw.starts_with(SNAPPY_FRAMES) => {
            bounded(snap::read::FrameDecoder::new(raw), "snappy", bytes_max)
        }
        "snappy" => snappy_raw(raw, bytes_max),
        other => Err(HttpError::new(
            Code::UnsupportedMediaType,
            format!("content encoding {other:?} is not taken: use gzip, zstd, deflate, snappy or none"),
        )),
    }
}

fn bounded(decoder: impl Read, name: &str, bytes_max: usize) -> Result<Bytes, HttpError> {
    let mut whole = Vec::new();
    let limit = (bytes_max as u64).saturating_add(1);
    decoder.take(limit).read_to_end(&mut whole).map_err(|error| broken(name, &error))?;
    if whole.len() > bytes_max { Err(too_large(bytes_max)) } else { Ok(whole.into()) }
}

fn snappy_raw(raw: &[u8], bytes_max: usize) -> Result<Bytes, HttpError> {
    let bytes = snap::raw::decompress_len(raw).map_err(|error| broken("snappy", &error))?;
    if bytes > bytes_max {
        return Err(too_large(bytes_max));
    }
    let whole = snap::raw::Decoder::new().decompress_vec(raw).map_err(|error| broken("snappy", &error))?;
    Ok(whole.into())
}

fn broken(name: &str, error: &dyn std::error::Error) -> HttpError {
    HttpError::new(Code::BadRequest, format!("the body is not what content-encoding: {name} says: {error}"))
}
