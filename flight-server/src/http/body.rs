//! Request bodies: read within a time, up to a limit, and decompressed up to the same limit.
//!
//! ```text
//!   bytes as they come ─► raw ─► decompressed ─► handler ─► answer
//!         └─ each byte is held from the budget of all bodies ──┘ given back
//! ```
//!
//! A body takes from the budget what it has, not what it announces: a client that promises much and sends nothing
//! keeps nobody out.

use std::io::Read;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, header};
use futures::StreamExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{Code, HttpError};
use crate::config::Limits;

/// First bytes of snappy's framing format; a body without them is in the raw format.
const SNAPPY_FRAMES: &[u8] = b"\xff\x06\x00\x00sNaPpY";
/// What a permit of the budget stands for, in bytes.
const PERMIT_BYTES: usize = 4 << 10;
/// Bytes that are decompressed before the budget is asked again.
const STEP_BYTES: usize = 64 << 10;
/// Largest window of zstd as a power of two: 8 MiB, the most that the content encoding allows (RFC 9659).
const ZSTD_WINDOW_LOG_MAX: u32 = 23;
/// A body of which one in so many bytes has come is given room for all that it announced, so that it is not copied while
/// it grows; who sends less keeps no more than this multiple of it.
const ANNOUNCED_PER_SENT_MAX: usize = 16;
/// How long a client waits that met an exhausted budget.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// What all bodies share.
#[derive(Clone, Debug)]
pub(super) struct Bodies {
    budget: Arc<Semaphore>,
    bytes: usize,
    timeout: Duration,
}

/// A body as it was before the sender compressed it.
#[derive(Debug)]
pub(super) struct Whole {
    /// Its bytes.
    pub(super) bytes: Bytes,
    /// Its share of the budget: to be kept as long as the bytes, or what was made of them, are.
    pub(super) held: Held,
}

/// A share of the budget, given back when it is dropped.
#[derive(Debug)]
pub(super) struct Held {
    bodies: Bodies,
    permit: Option<OwnedSemaphorePermit>,
}

impl Held {
    fn new(bodies: &Bodies) -> Self {
        Self { bodies: bodies.clone(), permit: None }
    }

    /// Takes what is missing to so many bytes from the budget; fails at once where it is exhausted, because who waits
    /// keeps what he has.
    fn cover(&mut self, bytes: usize) -> Result<(), HttpError> {
        let covered = self.permit.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        let missing = bytes.div_ceil(PERMIT_BYTES).saturating_sub(covered);
        let permits = u32::try_from(missing).unwrap_or(u32::MAX);
        if permits == 0 {
            return Ok(());
        }
        let more = Arc::clone(&self.bodies.budget).try_acquire_many_owned(permits);
        let more = more.map_err(|_| {
            let message = format!(
                "the bodies of all requests take {} bytes (limits.bodies_max): send this one again in a moment",
                self.bodies.bytes
            );
            HttpError::new(Code::TooManyRequests, message).retry_after(RETRY_AFTER)
        })?;
        match &mut self.permit {
            Some(held) => held.merge(more),
            None => self.permit = Some(more),
        }
        Ok(())
    }
}

impl Bodies {
    /// The budget and the time of these limits. One request alone always fits: raw and decompressed.
    pub(super) fn new(limits: &Limits) -> Self {
        let bytes = limits.bodies_bytes.max(limits.request_bytes.saturating_mul(2)).max(PERMIT_BYTES);
        // A permit more for each of the two that are rounded up.
        let permits = (bytes / PERMIT_BYTES).saturating_add(2).min(Semaphore::MAX_PERMITS);
        Self { budget: Arc::new(Semaphore::new(permits)), bytes, timeout: limits.body_timeout }
    }

    /// Reads a body of at most `bytes_max` bytes, compressed and decompressed.
    pub(super) async fn read(
        &self,
        headers: &HeaderMap,
        body: Body,
        bytes_max: usize,
    ) -> Result<Whole, HttpError> {
        let mut held = Held::new(self);
        let raw = tokio::time::timeout(self.timeout, collect(headers, body, bytes_max, &mut held));
        let raw = raw.await.map_err(|_| self.too_slow())??;
        let encoding = headers.get(header::CONTENT_ENCODING);
        let encoding = encoding.map(|value| value.to_str().unwrap_or("?").trim());
        let Some(encoding) =
            encoding.filter(|name| !name.is_empty() && !name.eq_ignore_ascii_case("identity"))
        else {
            return Ok(Whole { bytes: raw, held });
        };
        let encoding = encoding.to_ascii_lowercase();
        let decompress = move || {
            // The raw bytes go when this ends, and so does their share.
            let mut unpacked = Held::new(&held.bodies);
            let bytes = decompress(&encoding, &raw, bytes_max, &mut unpacked)?;
            Ok(Whole { bytes, held: unpacked })
        };
        tokio::task::spawn_blocking(decompress)
            .await
            .map_err(|_| HttpError::new(Code::Internal, "decompression failed"))?
    }

    fn too_slow(&self) -> HttpError {
        let message = format!(
            "the body did not arrive within {:?} (limits.body_timeout); nothing was stored: send it in smaller requests",
            self.timeout
        );
        HttpError::new(Code::RequestTimeout, message)
    }
}

async fn collect(
    headers: &HeaderMap,
    body: Body,
    bytes_max: usize,
    held: &mut Held,
) -> Result<Bytes, HttpError> {
    let announced =
        headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|bytes| bytes > bytes_max as u64) {
        return Err(too_large(bytes_max));
    }
    let announced = announced.and_then(|bytes| usize::try_from(bytes).ok()).unwrap_or_default();
    let mut chunks = body.into_data_stream();
    let mut whole = Vec::new();
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk
            .map_err(|error| HttpError::new(Code::BadRequest, format!("the body ended early: {error}")))?;
        let bytes = whole.len().saturating_add(chunk.len());
        if bytes > bytes_max {
            return Err(too_large(bytes_max));
        }
        held.cover(bytes)?;
        if bytes > whole.capacity() && announced <= bytes.saturating_mul(ANNOUNCED_PER_SENT_MAX) {
            whole.reserve_exact(announced.max(bytes) - whole.len());
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

fn decompress(encoding: &str, raw: &[u8], bytes_max: usize, held: &mut Held) -> Result<Bytes, HttpError> {
    match encoding {
        "gzip" | "x-gzip" => bounded(flate2::read::MultiGzDecoder::new(raw), "gzip", bytes_max, held),
        // Some senders leave the zlib header out: its first byte tells.
        "deflate" if raw.first().is_some_and(|byte| byte & 0x0f == 8) => {
            bounded(flate2::read::ZlibDecoder::new(raw), "deflate", bytes_max, held)
        }
        "deflate" => bounded(flate2::read::DeflateDecoder::new(raw), "deflate", bytes_max, held),
        "zstd" => {
            let decoder = zstd::stream::read::Decoder::new(raw).and_then(|mut decoder| {
                decoder.window_log_max(ZSTD_WINDOW_LOG_MAX)?;
                Ok(decoder)
            });
            bounded(decoder.map_err(|error| broken("zstd", &error))?, "zstd", bytes_max, held)
        }
        "snappy" | "x-snappy-framed" if raw.starts_with(SNAPPY_FRAMES) => {
            bounded(snap::read::FrameDecoder::new(raw), "snappy", bytes_max, held)
        }
        "snappy" => snappy_raw(raw, bytes_max, held),
        other => Err(HttpError::new(
            Code::UnsupportedMediaType,
            format!("content encoding {other:?} is not taken: use gzip, zstd, deflate, snappy or none"),
        )),
    }
}

fn bounded(
    mut decoder: impl Read,
    name: &str,
    bytes_max: usize,
    held: &mut Held,
) -> Result<Bytes, HttpError> {
    let mut whole = Vec::new();
    loop {
        // A byte more than is allowed is enough to know.
        let step = STEP_BYTES.min(bytes_max.saturating_sub(whole.len()).saturating_add(1));
        held.cover(whole.len().saturating_add(step))?;
        let step = decoder.by_ref().take(step as u64).read_to_end(&mut whole);
        if step.map_err(|error| broken(name, &error))? == 0 {
            return Ok(whole.into());
        }
        if whole.len() > bytes_max {
            return Err(too_large(bytes_max));
        }
    }
}

fn snappy_raw(raw: &[u8], bytes_max: usize, held: &mut Held) -> Result<Bytes, HttpError> {
    let bytes = snap::raw::decompress_len(raw).map_err(|error| broken("snappy", &error))?;
    if bytes > bytes_max {
        return Err(too_large(bytes_max));
    }
    held.cover(bytes)?;
    let whole = snap::raw::Decoder::new().decompress_vec(raw).map_err(|error| broken("snappy", &error))?;
    Ok(whole.into())
}

fn broken(name: &str, error: &dyn std::error::Error) -> HttpError {
    HttpError::new(Code::BadRequest, format!("the body is not what content-encoding: {name} says: {error}"))
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use axum::http::HeaderValue;
    use axum::http::StatusCode;
    use axum::response::IntoResponse as _;
    use futures::stream;

    use super::*;
    use crate::config::Config;

    const MIB: usize = 1 << 20;

    fn limits() -> Limits {
        Limits { request_bytes: MIB, bodies_bytes: 2 * MIB, ..Config::default().limits }
    }

    fn gzip(bytes: usize) -> (HeaderMap, Body) {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(&vec![b'x'; bytes]).unwrap();
        let headers = [(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"))];
        (HeaderMap::from_iter(headers), Body::from(encoder.finish().unwrap()))
    }

    fn status(read: Result<Whole, HttpError>) -> (StatusCode, Option<String>) {
        let response = read.map(|_| ()).into_response();
        let retry = response.headers().get(header::RETRY_AFTER);
        (response.status(), retry.map(|value| value.to_str().unwrap().to_owned()))
    }

    #[tokio::test]
    async fn bodies_of_all_requests_have_one_budget() {
        let bodies = Bodies::new(&limits());
        let none = HeaderMap::new();
        let plain = |bytes: usize| bodies.read(&none, Body::from(vec![b'x'; bytes]), bytes);
        let first = plain(MIB).await.unwrap();
        let second = plain(MIB).await.unwrap();
        let busy = (StatusCode::TOO_MANY_REQUESTS, Some("1".to_owned()));
        assert_eq!(status(plain(MIB).await), busy);
        drop(first);
        // What is small when it comes counts as what it becomes.
        let (headers, body) = gzip(MIB - 100_000);
        let third = bodies.read(&headers, body, MIB).await.unwrap();
        assert_eq!(third.bytes.len(), MIB - 100_000);
        let (headers, body) = gzip(MIB / 2);
        assert_eq!(status(bodies.read(&headers, body, MIB).await), busy);
        drop((second, third));
        let (headers, body) = gzip(MIB);
        assert_eq!(bodies.read(&headers, body, MIB).await.unwrap().bytes.len(), MIB);
        assert_eq!(bodies.budget.available_permits(), 2 * MIB / PERMIT_BYTES + 2, "all is given back");
        let (headers, body) = gzip(MIB + 1);
        assert_eq!(status(bodies.read(&headers, body, MIB).await).0, StatusCode::PAYLOAD_TOO_LARGE);
    }

    #[tokio::test]
    async fn a_body_that_does_not_come_is_not_waited_for() {
        let bodies = Bodies::new(&Limits { body_timeout: Duration::from_millis(5), ..limits() });
        let begun = stream::iter([Ok::<_, std::io::Error>(Bytes::from_static(b"{"))]);
        let body = Body::from_stream(begun.chain(stream::pending()));
        let read = bodies.read(&HeaderMap::new(), body, MIB).await;
        assert!(format!("{read:?}").contains("limits.body_timeout"), "{read:?}");
        assert_eq!(status(read).0, StatusCode::REQUEST_TIMEOUT);
    }
}
