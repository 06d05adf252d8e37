//! Batches that become larger than they are.

use std::sync::Arc;

use arrow::array::*;
use arrow::buffer::{NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::*;

use super::*;

fn batch(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, array)| (name, array, true)))
        .unwrap()
}

/// The least number of bytes that a column is said to fit into.
fn estimate(column: ArrayRef) -> u64 {
    let rows = column.len();
    let batch = batch(vec![("c", column)]);
    let (mut low, mut high) = (0, 1 << 40);
    while low < high {
        let middle = u64::midpoint(low, high);
        if fits(&batch, 0, rows, middle) { high = middle } else { low = middle + 1 }
    }
    low
}

fn dictionary(rows: usize, value: &str) -> ArrayRef {
    Arc::new(std::iter::repeat_n(value, rows).collect::<DictionaryArray<Int32Type>>())
}

fn runs(rows: i32, value: &str) -> ArrayRef {
    let ends = Int32Array::from(vec![rows / 2, rows]);
    Arc::new(RunArray::try_new(&ends, &StringArray::from(vec![value, "y"])).unwrap())
}

#[test]
fn encodings_count_as_what_they_stand_for() {
    let long = "x".repeat(10_000);
    let plain: ArrayRef = Arc::new(StringArray::from(vec![long.as_str(); 100]));
    let expected = 100 * 10_000;
    let view: ArrayRef = Arc::new(StringViewArray::from(vec![long.as_str(); 100]));
    let sliced = dictionary(300, &long).slice(100, 100);
    for column in [plain, view, dictionary(100, &long), runs(200, &long), sliced] {
        let found = estimate(Arc::clone(&column));
        assert!((expected..expected + 100 * 200).contains(&found), "{}: {found}", column.data_type());
    }
    let part = estimate(runs(200, &long).slice(50, 100));
    assert!((50 * 10_000..50 * 10_300).contains(&part), "{part}");
}

#[test]
fn nested_values_count_through_every_level() {
    let values = dictionary(1_000, &"x".repeat(1_000));
    let field = Arc::new(Field::new("item", values.data_type().clone(), true));
    let offsets = OffsetBuffer::<i32>::from_lengths([400, 600]);
    let list: ArrayRef = Arc::new(ListArray::new(Arc::clone(&field), offsets, Arc::clone(&values), None));
    let sized: ArrayRef =
        Arc::new(FixedSizeListArray::new(Arc::clone(&field), 500, Arc::clone(&values), None));
    let (offsets, sizes) = (ScalarBuffer::from(vec![0, 0]), ScalarBuffer::from(vec![400, 600]));
    let view: ArrayRef = Arc::new(ListViewArray::new(field, offsets, sizes, values, None));
    let inside: ArrayRef = Arc::new(StructArray::from(vec![(
        Arc::new(Field::new("deep", list.data_type().clone(), true)),
        Arc::clone(&list),
    )]));
    for column in [list, sized, view, inside] {
        let found = estimate(Arc::clone(&column));
        assert!((1_000_000..1_100_000).contains(&found), "{}: {found}", column.data_type());
    }
    // A list of NULLs has no bytes at all, and each of them is written.
    let nulls: ArrayRef = Arc::new(NullArray::new(1 << 30));
    let field = Arc::new(Field::new("item", DataType::Null, true));
    let list: ArrayRef =
        Arc::new(LargeListArray::new(field, OffsetBuffer::from_lengths([1 << 30]), nulls, None));
    assert!(matches!(pieces(&batch(vec![("c", list)])), Err(BadBatch::Expanded { .. })));
}

#[test]
fn sparse_columns_cost_only_what_they_hold() {
    let mut values = vec![None; 1_000];
    values[7] = Some(7);
    assert!(estimate(Arc::new(Int64Array::from(values))) < 1_000 * ROW_BYTES + 100);
    assert_eq!(estimate(Arc::new(NullArray::new(1_000))), 1_000 * ROW_BYTES);
    let none = StringArray::new_null(1_000);
    assert!(none.nulls().map(NullBuffer::null_count) == Some(1_000));
    assert!(estimate(Arc::new(none)) < 1_000 * (ROW_BYTES + 2 * VALUE_BYTES));
}

#[test]
fn a_batch_is_cut_where_it_is_too_large() {
    let cut = |column: ArrayRef| pieces_up_to(&batch(vec![("message", column)]), 10_000, 20_000, 200_000);
    let whole = |from, rows| Piece { from, rows, too_large: false };
    assert_eq!(cut(dictionary(3, "short")).unwrap(), [whole(0, 3)]);
    assert_eq!(cut(dictionary(0, "")).unwrap(), [whole(0, 0)]);
    let long = "x".repeat(4_000);
    assert_eq!(cut(dictionary(5, &long)).unwrap(), [whole(0, 2), whole(2, 1), whole(3, 2)]);
    // A row may be larger than a piece, up to a limit of its own; one above it is named.
    let rows = StringArray::from(vec!["a".repeat(15_000), "b".repeat(30_000), "c".to_owned()]);
    let alone = Piece { from: 1, rows: 1, too_large: true };
    assert_eq!(cut(Arc::new(rows)).unwrap(), [whole(0, 1), alone, whole(2, 1)]);
    let refused = cut(dictionary(100, &long)).unwrap_err().to_string();
    assert!(refused.contains("200000") && refused.ends_with("send fewer rows at once"), "{refused}");
}
