//! Cursors: where a page of a search ended, as opaque text.
//!
//! ```text
//! byte 0        1        17           25     33           41        49         57
//!      version  hash of  high-water   now    timestamp    row id    checksum
//!      (1)      request  row id              of the page's last row
//! ```
//!
//! All numbers are big-endian; the text is base64url without padding. The high-water row id keeps rows that arrive
//! later out of the following pages, and `now` keeps the meaning of relative times in the query. The checksum finds
//! damage and guesses; a cursor gives no right that its request does not have anyway.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use xxhash_rust::xxh3::{xxh3_64, xxh3_128};

use super::page::{Order, SearchRequest};
use crate::error::{Error, Result};

const VERSION: u8 = 1;
const BODY_BYTES: usize = 49;
const CURSOR_BYTES: usize = BODY_BYTES + 8;
/// Longest text that is looked at.
const TEXT_BYTES_MAX: usize = 128;

/// Where a page ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cursor {
    /// The largest row id that any page may show.
    pub(super) high_water: i64,
    /// What `now` means in the query, in nanoseconds.
    pub(super) now: i64,
    /// Timestamp of the page's last row.
    pub(super) timestamp: i64,
    /// Row id of the page's last row.
    pub(super) row_id: i64,
}

impl Cursor {
    /// The text for this request.
    pub(super) fn encode(&self, request: &SearchRequest) -> String {
        let mut bytes = Vec::with_capacity(CURSOR_BYTES);
        bytes.push(VERSION);
        bytes.extend(hash(request));
        for number in [self.high_water, self.now, self.timestamp, self.row_id] {
            bytes.extend(number.to_be_bytes());
        }
        let checksum = xxh3_64(&bytes);
        bytes.extend(checksum.to_be_bytes());
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Reads a text back and checks that it is this request's.
    pub(super) fn decode(text: &str, request: &SearchRequest) -> Result<Self> {
        let refuse = |reason| Err(Error::Cursor { reason });
        if text.len() > TEXT_BYTES_MAX {
            return refuse("it is too long to be one of ours");
        }
        let Ok(bytes) = URL_SAFE_NO_PAD.decode(text) else { return refuse("it is damaged") };
        let Some((body, checksum)) = bytes.split_last_chunk::<8>() else { return refuse("it is damaged") };
        if body.first().is_some_and(|version| *version != VERSION) {
            return refuse("it is of another version of Ironbark");
        }
        if bytes.len() != CURSOR_BYTES || xxh3_64(body).to_be_bytes() != *checksum {
            return refuse("it is damaged");
        }
        if body.get(1..17) != Some(hash(request).as_slice()) {
            return refuse("it is of another search (only the limit may change from page to page)");
        }
        let number = |at: usize| {
            let bytes = body.get(at..at + 8).and_then(|bytes| bytes.try_into().ok());
            bytes.map(i64::from_be_bytes).ok_or(Error::Cursor { reason: "it is damaged" })
        };
        Ok(Self { high_water: number(17)?, now: number(25)?, timestamp: number(33)?, row_id: number(41)? })
    }
}

/// All of the request that decides which rows there are and in which order.
fn hash(request: &SearchRequest) -> [u8; 16] {
    let mut bytes = Vec::new();
    let mut put = |text: Option<&str>| {
        let text = text.map(str::as_bytes);
        // Lengths keep neighbours apart; the largest length stands for "not given".
        bytes.extend(text.map_or(u64::MAX, |text| text.len() as u64).to_be_bytes());
        bytes.extend(text.unwrap_or_default());
    };
    put(Some(request.table.as_str()));
    put(Some(&request.query));
    put(request.source.as_deref());
    put(request.level.as_deref());
    for (key, value) in &request.tags {
        put(Some(key));
        put(Some(value));
    }
    put(None);
    if let Some(time) = request.time {
        bytes.extend(time.min.ns().to_be_bytes());
        bytes.extend(time.max.ns().to_be_bytes());
    }
    bytes.push(u8::from(request.order == Order::Ascending));
    xxh3_128(&bytes).to_be_bytes()
}
