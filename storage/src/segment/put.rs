//! Brings an encoded segment into the store.

use object_store::path::Path;
use object_store::{
    MultipartUpload, ObjectStore, ObjectStoreExt, PutMode, PutMultipartOptions, PutOptions, PutPayload,
};
use tokio::task::JoinSet;

use super::pieces::PIECE_BYTES;
use super::{EncodedSegment, SegmentBytes};
use crate::{Error, Partition, Result, TableRef, key};

/// A segment up to this size is put by one request; a larger one by a request for each of its pieces.
pub const PUT_WHOLE_BYTES_MAX: usize = 2 * PIECE_BYTES;
/// Pieces under way at once.
const PIECES_AT_ONCE_MAX: usize = 4;

/// Puts the object and returns when the store has it. A segment's id is never used twice, so an object that is
/// there already is this one, from an attempt whose answer was lost.
pub async fn put_segment(store: &dyn ObjectStore, table: &TableRef, segment: &EncodedSegment) -> Result<()> {
    let partition = Partition { table: table.clone(), day: segment.meta.day };
    let key = key::segment(&partition, segment.meta.id);
    let failed = |source| Error::Store { key: key.to_string(), source };
    if segment.bytes.len() > PUT_WHOLE_BYTES_MAX {
        let upload = store.put_multipart_opts(&key, PutMultipartOptions::default()).await.map_err(failed)?;
        return put_pieces(upload, &segment.bytes).await.map_err(failed);
    }
    let payload: PutPayload = segment.bytes.pieces().iter().cloned().collect();
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

/// Uploads each piece as it is, without copying it, and completes the upload; or drops what came of it, whatever failed.
pub(super) async fn put_pieces(
    mut upload: Box<dyn MultipartUpload>,
    bytes: &SegmentBytes,
) -> object_store::Result<()> {
    let mut under_way = JoinSet::new();
    let put = put_under_way(upload.as_mut(), bytes, &mut under_way).await;
    if put.is_err() {
        // A piece that came after the upload is dropped would stay. The first error is the one to report.
        under_way.shutdown().await;
        let _ = upload.abort().await;
    }
    put
}

async fn put_under_way(
    upload: &mut dyn MultipartUpload,
    bytes: &SegmentBytes,
    under_way: &mut JoinSet<object_store::Result<()>>,
) -> object_store::Result<()> {
    for piece in bytes.pieces() {
        if under_way.len() >= PIECES_AT_ONCE_MAX
            && let Some(done) = under_way.join_next().await
        {
            done??;
        }
        under_way.spawn(upload.put_part(PutPayload::from_bytes(piece.clone())));
    }
    while let Some(done) = under_way.join_next().await {
        done??;
    }
    upload.complete().await.map(|_| ())
}
