//! Messages that are larger than they look.

use std::sync::Arc;

use arrow::array::{ArrayRef, DictionaryArray, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::Int32Type;
use arrow::ipc::writer::{IpcWriteOptions, StreamWriter};

use super::*;

fn stream(codec: Option<CompressionType>, batches: &[RecordBatch]) -> Vec<u8> {
    let options = IpcWriteOptions::default().try_with_compression(codec).unwrap();
    let mut writer = StreamWriter::try_new_with_options(Vec::new(), &batches[0].schema(), options).unwrap();
    for batch in batches {
        writer.write(batch).unwrap();
    }
    writer.into_inner().unwrap()
}

fn batch(column: ArrayRef) -> RecordBatch {
    RecordBatch::try_from_iter([("message", column)]).unwrap()
}

/// A megabyte of one letter, and numbers that do not compress.
fn text() -> ArrayRef {
    Arc::new(StringArray::from_iter_values((0..1_024).map(|_| "x".repeat(1_024))))
}

/// What the batch of a stream takes, found by trying limits.
fn measured(stream: &[u8]) -> u64 {
    match check_stream(stream, 1) {
        Err(BadMessage::TooLarge { .. }) => {}
        other => panic!("{other:?}"),
    }
    let (mut low, mut high) = (1, 1 << 30);
    while low < high {
        let middle = usize::midpoint(low, high);
        if check_stream(stream, middle).is_ok() { high = middle } else { low = middle + 1 }
    }
    low as u64
}

const CODECS: [CompressionType; 2] = [CompressionType::LZ4_FRAME, CompressionType::ZSTD];

#[test]
fn what_is_compressed_counts_as_what_it_becomes() {
    let plain = stream(None, &[batch(text())]);
    for codec in CODECS {
        let packed = stream(Some(codec), &[batch(text())]);
        assert!(packed.len() < plain.len() / 20, "{codec:?}: {} bytes", packed.len());
        assert!(measured(&packed).abs_diff(measured(&plain)) < 256, "{codec:?}");
        let refused = check_stream(&packed, 1 << 20).unwrap_err().to_string();
        assert!(refused.ends_with("the limit is 1048576: send fewer rows in a batch"), "{refused}");
    }
}

#[test]
fn what_does_not_compress_is_measured_too() {
    let numbers = (1_u64..10_000).map(|n| n.wrapping_mul(0x9e37_79b9_7f4a_7c15).cast_signed());
    let numbers = batch(Arc::new(Int64Array::from_iter_values(numbers)));
    let plain = measured(&stream(None, std::slice::from_ref(&numbers)));
    for codec in CODECS {
        assert!(measured(&stream(Some(codec), std::slice::from_ref(&numbers))).abs_diff(plain) < 256);
    }
}

/// The place of the length before the text's compressed buffer.
fn length_at(packed: &[u8], length: i64) -> usize {
    packed.windows(8).rposition(|bytes| bytes == length.to_le_bytes()).unwrap()
}

#[test]
fn announced_lengths_are_not_believed() {
    for codec in CODECS {
        let mut bomb = stream(Some(codec), &[batch(text())]);
        let at = length_at(&bomb, 1 << 20);
        bomb[at..at + 8].copy_from_slice(&i64::MAX.to_le_bytes());
        assert!(check_stream(&bomb, 1 << 30).is_err(), "{codec:?}");
        bomb[at..at + 8].copy_from_slice(&(-2_i64).to_le_bytes());
        let refused = check_stream(&bomb, 1 << 30).unwrap_err().to_string();
        assert!(refused.contains("negative length"), "{refused}");
    }
    // Arrow's LZ4 decoder would write the whole megabyte before it saw the difference.
    let mut bomb = stream(Some(CompressionType::LZ4_FRAME), &[batch(text())]);
    let at = length_at(&bomb, 1 << 20);
    bomb[at..at + 8].copy_from_slice(&10_i64.to_le_bytes());
    let refused = check_stream(&bomb, 1 << 30).unwrap_err().to_string();
    assert!(refused.contains("as many bytes as the length before it says"), "{refused}");
}

#[test]
fn every_cut_of_a_stream_is_an_error_or_a_shorter_stream() {
    for codec in [None, Some(CompressionType::LZ4_FRAME), Some(CompressionType::ZSTD)] {
        let whole = stream(codec, &[batch(Arc::new(StringArray::from(vec!["one", "two"])))]);
        let good = (0..whole.len()).filter(|end| check_stream(&whole[..*end], 1 << 20).is_ok()).count();
        assert!(good < 24, "only between messages, where a stream may end: {good}");
    }
    assert!(check_stream(&[0xff; 64], 1 << 20).is_err());
}

#[test]
fn dictionaries_are_counted_together() {
    let dictionary = |n: usize| -> ArrayRef {
        let value = format!("{n}{}", "x".repeat(1 << 20));
        Arc::new([value.as_str()].into_iter().collect::<DictionaryArray<Int32Type>>())
    };
    let columns = |count: usize| {
        let columns = (0..count).map(|n| (format!("c{n}"), dictionary(n)));
        stream(Some(CompressionType::ZSTD), &[RecordBatch::try_from_iter(columns).unwrap()])
    };
    check_stream(&columns(3), 4 << 20).unwrap();
    let refused = check_stream(&columns(5), 4 << 20).unwrap_err().to_string();
    assert!(refused.starts_with("the dictionaries of the Arrow stream take"), "{refused}");
}
