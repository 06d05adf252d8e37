//! A segment is the same whatever pieces it is written in, and so is the object that they become.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use async_trait::async_trait;
use object_store::path::Path;
use object_store::{MultipartUpload, PutResult, UploadPart};

use super::*;
use crate::segment::pieces::{PIECE_BYTES, SegmentBytesWriter};
use crate::segment::put::put_pieces;

fn sample() -> RecordBatch {
    let given: Vec<_> = (0..200).map(|at| (at, Some("api"), Some("INFO"), "GET /index.html 200")).collect();
    rows(1, &given)
}

fn encode_in(piece_bytes: usize) -> EncodedSegment {
    let batches = [sample()];
    let options = SegmentOptions { compaction_level: 2, ..SegmentOptions::default() };
    let (promoted, digits) = (PromotedTags::default(), TimeDigits::of(&batches).unwrap());
    let bytes = SegmentBytesWriter::with_pieces_of(piece_bytes);
    let id = SegmentId::from_u128(7);
    let mut writer =
        SegmentWriter::writing_to(bytes, id, &partition(), options, promoted, digits, NOW).unwrap();
    for (at, rows) in [(0, 40), (40, 110), (150, 50)] {
        writer.write(&[batches[0].slice(at, rows)]).unwrap();
    }
    writer.finish().unwrap()
}

#[test]
fn a_segment_is_the_same_in_pieces_of_any_length() {
    let whole = encode_in(PIECE_BYTES);
    assert_eq!(whole.bytes.pieces().len(), 1);
    let meta = Arc::new(whole.meta.clone());
    let rows = read(put(&whole), &meta).unwrap();
    assert_eq!(rows.iter().map(RecordBatch::num_rows).sum::<usize>(), 200);
    for piece_bytes in [1, 7, 64, 1_000, 4_096] {
        let segment = encode_in(piece_bytes);
        assert_eq!(segment.bytes.pieces().len(), whole.bytes.len().div_ceil(piece_bytes));
        assert_eq!(segment.bytes.to_vec(), whole.bytes.to_vec(), "{piece_bytes}");
        assert_eq!(segment.meta, whole.meta);
        assert_eq!(segment.fingerprint().unwrap(), whole.fingerprint().unwrap());
        // Checksums of chunks, tail and index are compared while it is read.
        assert_eq!(read(put(&segment), &meta).unwrap(), rows);
    }
}

fn key_of(segment: &EncodedSegment) -> Path {
    key::segment(&partition(), segment.meta.id)
}

async fn object(store: &InMemory, key: &Path) -> Vec<u8> {
    store.get(key).await.unwrap().bytes().await.unwrap().to_vec()
}

#[tokio::test]
async fn pieces_become_one_object() {
    let store = InMemory::new();
    let segment = encode_in(100);
    let key = key_of(&segment);
    put_segment(&store, &partition().table, &segment).await.unwrap();
    assert_eq!(object(&store, &key).await, segment.bytes.to_vec());

    let other = Path::from("other");
    put_pieces(store.put_multipart(&other).await.unwrap(), &segment.bytes).await.unwrap();
    assert_eq!(object(&store, &other).await, segment.bytes.to_vec());

    let large = b"0123456789a".repeat(PUT_WHOLE_BYTES_MAX / 11 + 1);
    let large = EncodedSegment { bytes: bytes::Bytes::from(large).into(), meta: segment.meta };
    let store = InMemory::new();
    put_segment(&store, &partition().table, &large).await.unwrap();
    assert_eq!(large.bytes.pieces().len(), 3);
    assert!(object(&store, &key).await == large.bytes.to_vec());
}

/// What came of an upload.
#[derive(Debug, Default)]
struct Failing {
    begun: AtomicUsize,
    completed: AtomicBool,
    aborted: AtomicBool,
}

#[derive(Debug)]
struct FailingUpload {
    state: Arc<Failing>,
    /// Which piece fails, while the three before and all after hang; 0 is that the upload cannot be completed.
    fails: usize,
}

fn failure(what: &str) -> object_store::Error {
    object_store::Error::Generic { store: "test", source: what.into() }
}

#[async_trait]
impl MultipartUpload for FailingUpload {
    fn put_part(&mut self, _: PutPayload) -> UploadPart {
        let number = self.state.begun.fetch_add(1, Ordering::SeqCst) + 1;
        let fails = self.fails;
        let put = async move {
            if number == fails {
                return Err(failure("a piece"));
            }
            if fails > 0 && number + 3 >= fails {
                std::future::pending::<()>().await;
            }
            Ok(())
        };
        put.boxed()
    }

    async fn complete(&mut self) -> object_store::Result<PutResult> {
        self.state.completed.store(true, Ordering::SeqCst);
        Err(failure("the end"))
    }

    async fn abort(&mut self) -> object_store::Result<()> {
        self.state.aborted.store(true, Ordering::SeqCst);
        Err(failure("to abort"))
    }
}

#[tokio::test]
async fn a_failed_upload_is_aborted_and_its_first_error_told() {
    let bytes = encode_in(1_000).bytes;
    let pieces = bytes.pieces().len();
    assert!(pieces > 5);
    for (fails, told, begun) in [(3, "a piece", 4), (pieces, "a piece", pieces), (0, "the end", pieces)] {
        let state = Arc::new(Failing::default());
        let upload = FailingUpload { state: Arc::clone(&state), fails };
        let error = put_pieces(Box::new(upload), &bytes).await.unwrap_err().to_string();
        assert!(error.contains(told), "{error}");
        assert_eq!(state.begun.load(Ordering::SeqCst), begun);
        assert_eq!(state.completed.load(Ordering::SeqCst), fails == 0);
        assert!(state.aborted.load(Ordering::SeqCst));
    }
}
