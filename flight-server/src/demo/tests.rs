//! The demo's day: as long as promised, in the day, the same for everybody, and with its incident.

use std::collections::BTreeMap;

use arrow::array::AsArray;
use ironbark_storage::column;

use super::*;

#[test]
fn a_day_has_its_rows_its_services_and_its_incident() {
    let end = Timestamp::from_ns(1_800_000_000_000_000_000);
    let start = end.plus_ns(-DAY_NS);
    let mut story = Story::new(SEED, start, end, 60_000);
    let (mut rows, mut sources, mut refused) = (0, BTreeMap::<String, usize>::new(), Vec::new());
    while let Some(batch) = next_batch(&mut story, end, 10_000).unwrap() {
        rows += batch.num_rows();
        let column = |name| batch.rows().column_by_name(name).unwrap();
        let messages = column(column::MESSAGE).as_string::<i32>();
        let times = column(column::TIMESTAMP).as_primitive::<arrow::datatypes::TimestampNanosecondType>();
        for source in column(column::SOURCE).as_string::<i32>().iter().flatten() {
            *sources.entry(source.to_owned()).or_default() += 1;
        }
        for (message, time) in messages.iter().flatten().zip(times.values()) {
            assert!(*time >= start.ns());
            if message.contains("connection refused") {
                refused.push(end.ns() - time);
            }
        }
    }
    assert!((50_000..70_000).contains(&rows), "{rows} rows");
    assert_eq!(sources.len(), 20, "{sources:?}");
    let incident = INCIDENT_BEFORE_END_NS - 26 * 60_000_000_000..=INCIDENT_BEFORE_END_NS;
    assert!(!refused.is_empty() && refused.iter().all(|before| incident.contains(before)));
}

#[test]
fn a_seed_tells_the_same_story() {
    let end = Timestamp::from_ns(1_800_000_000_000_000_000);
    let tell = |seed| {
        let mut story = Story::new(seed, end.plus_ns(-DAY_NS), end, 600);
        next_batch(&mut story, end, 1_000).unwrap().unwrap().rows().clone()
    };
    assert_eq!(tell(1), tell(1));
    assert_ne!(tell(1), tell(2));
}
