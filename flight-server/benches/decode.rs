//! Decoding: NDJSON records to a validated batch of columns, what an ingest over HTTP does first with a body.
//!
//! ```text
//! cargo bench -p ironbark-flight-server
//! ```
//!
//! The records are made up here, the same ones in each run: as Ironbark's own clients and collectors send them (tags in an
//! object), as a Node.js program writes them (flat, with numbers), and with spaces and escapes as Python's `json` does.

#![expect(clippy::unwrap_used, reason = "a measuring tool")]

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use ironbark_flight_server::decode::json::{Framing, JsonContext, decode_json};
use ironbark_storage::{TimeWindow, Timestamp};

/// Records of a body: a request of some 3 MiB.
const ROWS: u64 = 10_000;
/// When it came.
const ARRIVAL: Timestamp = Timestamp::from_ns(1_800_000_000_000_000_000);

/// Numbers that look random: one step of splitmix64 for each.
fn random(number: u64) -> u64 {
    let mixed = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed ^ (mixed >> 27)
}

fn tagged(row: u64) -> String {
    let id = random(row);
    let message = match row % 8 {
        0 => format!("opened \\\"basket {}\\\" for user u{}, connection kept", id % 9_000, id % 977),
        1 => format!("request {id:016x} completed: status=200 duration_ms={}, 5 peers alive", id % 20_000),
        _ => format!(
            "checkpoint {} written in {} ms, log truncated before {}",
            id % 9_999,
            id % 3_001,
            id % 99_999_991
        ),
    };
    let trace = if row.is_multiple_of(3) {
        format!(",\"trace_id\":\"{id:016x}{:016x}\"", random(id))
    } else {
        String::new()
    };
    format!(
        "{{\"timestamp\":\"2026-03-02T{:02}:{:02}:{:02}.{:06}Z\",\"source\":\"service-{}\",\"level\":\"INFO\",\
         \"message\":\"{message}\",\"tags\":{{\"env\":\"production\",\"region\":\"eu-central-1\",\
         \"host\":\"node-{}.eu-central-1.internal\",\"pod\":\"service-{}-{:09x}\"}}{trace}}}\n",
        row / 3_600 % 24,
        row / 60 % 60,
        row % 60,
        id % 1_000_000,
        id % 50,
        id % 200,
        id % 50,
        id % 0xf_ffff_ffff,
    )
}

fn flat(row: u64) -> String {
    let id = random(row);
    format!(
        "{{\"level\":30,\"time\":{},\"pid\":{},\"hostname\":\"node-{}\",\"reqId\":{row},\"cached\":{},\"responseTime\":{}.{},\
         \"msg\":\"request completed\"}}\n",
        1_770_000_000_000 + row,
        id % 99,
        id % 200,
        id.is_multiple_of(2),
        id % 3_000,
        id % 997,
    )
}

fn spaced(row: u64) -> String {
    let id = random(row);
    format!(
        "{{\"time\": \"2026-03-02T00:00:{:02}+01:00\", \"level\": \"WARNING\", \"logger\": \"shop.basket\", \"message\": \
         \"caf\\u00e9 \\\"{}\\\" not found\\nTraceback: \\\"basket.py\\\", line {}\", \"extra\": {{\"user\": {{\"id\": {}}}, \
         \"list\": [1, 2, {}]}}}}\n",
        row % 60,
        id % 9_000,
        id % 700,
        id % 977,
        id % 10,
    )
}

fn decode(criterion: &mut Criterion) {
    let context = JsonContext { arrival: ARRIVAL, window: TimeWindow::default(), source: None, tags: &[] };
    let mut group = criterion.benchmark_group("decode");
    for (name, record) in [("tagged", tagged as fn(u64) -> String), ("flat", flat), ("spaced", spaced)] {
        let body: String = (0..ROWS).map(record).collect();
        group.throughput(Throughput::Bytes(body.len() as u64)).sample_size(20);
        group.bench_function(name, |bench| {
            bench.iter(|| {
                let decoded = decode_json(black_box(body.as_bytes()), Framing::Lines, &context).unwrap();
                assert_eq!((decoded.batch.num_rows() as u64, decoded.rejected_count), (ROWS, 0));
                decoded
            });
        });
    }
    group.finish();
}

criterion_group!(benches, decode);
criterion_main!(benches);
