//! The policy: what it chooses, and that its choices come to an end.

use ironbark_storage::{
    Day, Epoch, RowId, SEGMENT_FORMAT_VERSION, SegmentId, TableRef, TimeRange, Timestamp,
};
use proptest::prelude::*;

use super::*;

const DAY: Day = Day::from_days(20_000);

fn partition() -> Partition {
    Partition { table: TableRef::logs("acme/web/prod".parse().unwrap()), day: DAY }
}

fn segment(id: u128, level: u8, rows: u64, minute: i64) -> Arc<SegmentMeta> {
    let at = |minute: i64| DAY.range().min.plus_ns(minute * 60_000_000_000);
    let row_id = RowId::new(Epoch::new(1).unwrap(), 1).unwrap();
    Arc::new(SegmentMeta {
        id: SegmentId::from_u128(id),
        day: DAY,
        compaction_level: level,
        rows,
        bytes: rows * 30,
        tail_bytes: 1,
        tail_crc32c: 0,
        time: TimeRange::new(at(minute), at(minute + 1)),
        row_id_min: row_id,
        row_id_max: row_id,
        created_at: Timestamp::from_ns(0),
        format_version: SEGMENT_FORMAT_VERSION,
        counts: None,
        index: None,
    })
}

/// The choice as `inputs -> level (reason)`.
fn choice(segments: &[Arc<SegmentMeta>], activity: Activity) -> String {
    let spec = Policy::default().choose(&partition(), segments, activity);
    spec.map_or("settled".to_owned(), |spec| {
        let ids = segments.iter().enumerate().filter(|(_, s)| spec.inputs.iter().any(|i| i.id == s.id));
        let ids: Vec<_> = ids.map(|(at, _)| at.to_string()).collect();
        format!("{} -> {} ({})", ids.join(" "), spec.compaction_level, spec.reason.as_str())
    })
}

fn segments(given: &[(u8, u64)]) -> Vec<Arc<SegmentMeta>> {
    let segment = |(at, (level, rows)): (usize, &(u8, u64))| {
        segment(at as u128 + 1, *level, *rows, i64::try_from(at).unwrap())
    };
    given.iter().enumerate().map(segment).collect()
}

#[test]
fn growing_partitions_merge_full_tiers() {
    use Activity::Growing;
    assert_eq!(choice(&[], Growing), "settled");
    assert_eq!(choice(&segments(&[(0, 10); 3]), Growing), "settled");
    assert_eq!(choice(&segments(&[(0, 10); 4]), Growing), "0 1 2 3 -> 1 (tier)");
    assert_eq!(choice(&segments(&[(0, 10); 9]), Growing), "0 1 2 3 4 5 6 7 8 -> 1 (tier)");
    let mixed = segments(&[(0, 10), (1, 10), (1, 10), (0, 10), (1, 10), (1, 10)]);
    assert_eq!(choice(&mixed, Growing), "1 2 4 5 -> 2 (tier)");
    assert_eq!(choice(&segments(&[(2, 10); 4]), Growing), "0 1 2 3 -> 2 (tier)");
    // Three large ones do not fit together: two are enough.
    assert_eq!(choice(&segments(&[(2, 1_900_000); 3]), Growing), "0 1 -> 2 (tier)");
    // Full ones are left alone.
    assert_eq!(choice(&segments(&[(0, 2_500_000); 8]), Growing), "settled");
}

#[test]
fn rows_of_busy_tables_are_merged_once() {
    use Activity::Growing;
    assert_eq!(choice(&segments(&[(0, 200_000); 10]), Growing), "settled");
    assert_eq!(choice(&segments(&[(0, 200_000); 11]), Growing), "0 1 2 3 4 5 6 7 8 9 10 -> 2 (full)");
    // Small ones between them go along.
    let mixed = segments(&[(0, 900_000), (0, 10), (1, 900_000), (0, 10), (0, 900_000), (0, 900_000)]);
    assert_eq!(choice(&mixed, Growing), "0 1 2 3 4 -> 2 (full)");
    assert_eq!(choice(&segments(&[(1, 1_900_000); 3]), Growing), "0 1 -> 2 (full)");
    // The largest small segments, and the smallest others.
    assert_eq!(choice(&segments(&[(0, 65_536); 4]), Growing), "0 1 2 3 -> 1 (tier)");
    assert_eq!(choice(&segments(&[(0, 65_537); 31]), Growing), "settled");
    let full = choice(&segments(&[(0, 65_537); 32]), Growing);
    assert!(full.ends_with("30 31 -> 2 (full)"), "{full}");
}

#[test]
fn neighbours_in_time_are_merged() {
    let minutes = [9, 1, 8, 2, 7, 3, 6, 4];
    let given = minutes.iter().enumerate().map(|(at, minute)| segment(at as u128, 0, 400_000, *minute));
    let given: Vec<_> = given.collect();
    let spec = Policy::default().choose(&partition(), &given, Activity::Growing).unwrap();
    let chosen: Vec<_> = spec.inputs.iter().map(|input| input.time.min).collect();
    assert_eq!(chosen.len(), 6);
    assert!(chosen.is_sorted());
    assert_eq!(spec.inputs[0].id, SegmentId::from_u128(1));
}

#[test]
fn ended_partitions_are_tidied_up() {
    use Activity::Ended;
    assert_eq!(choice(&[], Ended), "settled");
    assert_eq!(choice(&segments(&[(0, 10)]), Ended), "0 -> 2 (recompress)");
    assert_eq!(choice(&segments(&[(2, 10)]), Ended), "settled");
    assert_eq!(choice(&segments(&[(0, 10), (1, 70), (2, 80)]), Ended), "0 1 2 -> 2 (ended)");
    // A large one is not rewritten for little.
    assert_eq!(choice(&segments(&[(2, 10), (2, 1_000)]), Ended), "settled");
    assert_eq!(choice(&segments(&[(2, 10), (2, 1_000), (2, 20)]), Ended), "0 2 -> 2 (ended)");
    // Full ones are only compressed harder.
    assert_eq!(choice(&segments(&[(1, 2_500_000), (2, 3_000_000)]), Ended), "0 -> 2 (recompress)");
    // What no merge may hold is left alone.
    assert_eq!(choice(&segments(&[(0, 5_000_000)]), Ended), "settled");
}

proptest! {
    #[test]
    fn choices_keep_all_rows_and_come_to_an_end(
        given in prop::collection::vec((0u8..3, 1u64..3_000_000), 0..60),
        ended in any::<bool>(),
    ) {
        let activity = if ended { Activity::Ended } else { Activity::Growing };
        let policy = Policy::default();
        let mut live = segments(&given);
        let rows: u64 = live.iter().map(|segment| segment.rows).sum();
        let steps_max = 2 * live.len() + 1;
        let mut steps = 0;
        while let Some(spec) = policy.choose(&partition(), &live, activity) {
            steps += 1;
            prop_assert!(steps <= steps_max, "no end after {} merges", steps);
            prop_assert!(spec.rows() <= policy.target_rows && spec.bytes() <= policy.target_bytes);
            prop_assert!(!spec.inputs.is_empty() && spec.inputs.len() <= policy.inputs_max);
            let before = live.len();
            live.retain(|segment| !spec.inputs.iter().any(|input| input.id == segment.id));
            prop_assert_eq!(before, live.len() + spec.inputs.len());
            let time = spec.inputs.iter().map(|input| input.time).reduce(TimeRange::union).unwrap();
            let minute = (time.min.ns() - DAY.range().min.ns()) / 60_000_000_000;
            live.push(segment(1_000 + steps as u128, spec.compaction_level, spec.rows(), minute));
        }
        prop_assert_eq!(live.iter().map(|segment| segment.rows).sum::<u64>(), rows);
        let open = live.iter().filter(|segment| !policy.is_full(segment)).count();
        if ended {
            // What is left besides full segments grows eightfold from one to the next.
            prop_assert!(open <= 8, "{} segments are left over", open);
            prop_assert!(live.iter().all(|segment| segment.compaction_level == 2));
        } else {
            prop_assert!(open < 3 * policy.inputs_min + policy.inputs_max);
        }
    }
}
