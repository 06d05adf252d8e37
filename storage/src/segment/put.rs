//! Brings an encoded segment into the store.

use object_store::path::Path;
use object_store::{
    MultipartUpload, ObjectStore, ObjectStoreExt, PutMode, PutMultipartOptions, PutOptions, PutPayload,
    WriteMultipart,
};

use super::EncodedSegment;
use crate::{Error, Partition, Result, TableRef, key};

/// A segment up to this size is put by one request; a larger one in pieces of [`PIECE_BYTES`].
pub const PUT_WHOLE_BYTES_MAX: usize = 16 << 20;
const PIECE_BYTES: usize = 8 << 20;
/// Pieces under way at once.
const PIECES_AT_ONCE_MAX: usize = 4;

/// Puts the object and returns when the store has it. A segment's id is never used twice, so an object that is
/// there already is this one, from an attempt whose answer was lost.
pub async fn put_segment(store: &dyn ObjectStore, table: &TableRef, segment: &EncodedSegment) -> Result<()> {
    let partition = Partition { table: table.clone(), day: segment.meta.day };
    let key = key::segment(&partition, segment.meta.id);
    let failed = |source| Error::Store { key: key.to_string(), source };
    if segment.bytes.len() > PUT_WHOLE_BYTES_MAX {
        return put_pieces(store, &key, segment).await.map_err(failed);
    }
    let payload = PutPayload::from_bytes(segment.bytes.clone());
    let options = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
    match store.put_opts(&key, payload, options).await {
        Ok(_) => Ok(()),
        Err(object_store::Error::AlreadyExists { .. }) => check_present(store, &key, segment).await,
        Err(source) => Err(failed(source)),
    }
}

async fn check_present(store: &dyn ObjectStore, key: &Path, segment: &EncodedSegment) -> Result<()> {
    let found = store.head(key).await.map_err(|source| Error::Store { key: key.to_string(), source })?;
    if found.size == segment.meta.bytes {
        return Ok(());
    }
    let reason = format!("another object of {} bytes is in the segment's place", found.size);
    Err(Error::Corrupt { object: key.to_string(), offset: found.size, reason })
}

async fn put_pieces(
    store: &dyn ObjectStore,
    key: &Path,
    segment: &EncodedSegment,
) -> object_store::Result<()> {
    let upload: Box<dyn MultipartUpload> =
        store.put_multipart_opts(key, PutMultipartOptions::default()).await?;
    let mut pieces = WriteMultipart::new_with_chunk_size(upload, PIECE_BYTES);
    let mut rest = segment.bytes.clone();
    while !rest.is_empty() {
        if let Err(error) = pieces.wait_for_capacity(PIECES_AT_ONCE_MAX).await {
            // The store drops pieces of an unfinished upload; the first error is the one to report.
            let _ = pieces.abort().await;
            return Err(error);
        }
        pieces.put(rest.split_to(rest.len().min(PIECE_BYTES)));
    }
    pieces.finish().await.map(|_| ())
}
