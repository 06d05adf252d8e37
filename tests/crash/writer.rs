//! One client that appends batches as fast as they are acknowledged, and writes down both. It ends with the first
//! request that gets no answer, which is how it learns of the kill.

use std::sync::Arc;

use arrow::array::{RecordBatch, StringArray, TimestampNanosecondArray};
use ironbark_tests::client::Client;

use super::ledger::{Ledger, message};
use super::random::Random;

/// Rows of a batch.
const ROWS: std::ops::Range<u64> = 1..200;
/// One in so many batches over HTTP is one that an earlier life did not acknowledge, sent again under its key.
const AGAIN_ONE_IN: u64 = 5;
/// Rows lie on so many days, so that an append touches several partitions.
const DAYS: u64 = 3;
const FIRST_DAY_NS: i64 = 1_714_521_600_000_000_000;
const HOUR_NS: i64 = 3_600_000_000_000;

/// How a writer sends.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Path {
    Http,
    Flight,
}

#[derive(Debug)]
pub(crate) struct Writer {
    pub(crate) name: String,
    pub(crate) path: Path,
    pub(crate) client: Client,
    pub(crate) ledger: Arc<Ledger>,
}

impl Writer {
    pub(crate) async fn run(self, mut random: Random) {
        for number in 0_u64.. {
            let going = match self.path {
                Path::Http => self.over_http(number, &mut random).await,
                Path::Flight => self.over_flight(number, &mut random).await,
            };
            if !going {
                break;
            }
        }
    }

    async fn over_http(&self, number: u64, random: &mut Random) -> bool {
        let again = (random.below(AGAIN_ONE_IN) == 0).then(|| self.ledger.unacked(random.next())).flatten();
        let (batch, rows, body) = again.unwrap_or_else(|| {
            let (batch, rows) = (format!("{}.{number}", self.name), random.within(&ROWS));
            let body = (0..rows).map(|row| line(&batch, row, random)).collect::<String>();
            (batch, rows, body)
        });
        self.ledger.sent(&batch, rows, &body);
        let Ok(answer) = self.client.post_ndjson(body, Some(&batch)).await else { return false };
        match answer.status {
            200 => {
                assert_eq!(answer.accepted(), Some(rows), "{}", answer.body);
                self.ledger.acked(&batch);
            }
            // The same key is at work in another writer, or the server is full: neither is an acknowledgement.
            409 | 429 | 503 => {}
            _ => panic!("{answer:?} for batch {batch}"),
        }
        true
    }

    async fn over_flight(&self, number: u64, random: &mut Random) -> bool {
        let (batch, rows) = (format!("{}.{number}", self.name), random.within(&ROWS));
        let times = (0..rows).map(|_| time_ns(random));
        let times = TimestampNanosecondArray::from_iter_values(times).with_timezone("UTC");
        let messages = StringArray::from_iter_values((0..rows).map(|row| message(&batch, row)));
        let sources = StringArray::from_iter_values((0..rows).map(|_| &self.name));
        let columns: [(&str, arrow::array::ArrayRef); 3] =
            [("timestamp", Arc::new(times)), ("message", Arc::new(messages)), ("source", Arc::new(sources))];
        self.ledger.sent(&batch, rows, "");
        match self.client.ingest(RecordBatch::try_from_iter(columns).unwrap(), Some(&batch)).await {
            Ok(acked) => {
                assert_eq!(u64::try_from(acked), Ok(rows), "batch {batch}");
                self.ledger.acked(&batch);
                true
            }
            Err(_) => false,
        }
    }
}

fn line(batch: &str, row: u64, random: &mut Random) -> String {
    let time = time_ns(random);
    let text = message(batch, row);
    format!(
        "{{\"timestamp\":{time},\"source\":\"crash\",\"level\":\"info\",\"message\":\"{text}\",\"tags\":{{\"row\":{row}}}}}\n"
    )
}

fn time_ns(random: &mut Random) -> i64 {
    let hours = i64::try_from(random.below(DAYS * 24)).unwrap_or(0);
    FIRST_DAY_NS + hours * HOUR_NS + i64::try_from(random.below(1_000_000_000)).unwrap_or(0)
}
