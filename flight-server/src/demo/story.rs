//! The story: requests through the shop's services, trace by trace in order of time, and one incident.
//!
//! ```text
//!   day ─────────────────────────────────────[incident 25 min]─────────── now
//!                                            │ orders-db runs out of connections
//!                                            ├ payments: connection refused, retries, slow
//!                                            └ checkout: 503 to customers
//! ```

use std::collections::VecDeque;
use std::fmt::Write as _;

use ironbark_storage::{LogBatchBuilder, RowRef, TagKind, TagSet, Timestamp};

use super::dice::Dice;
use super::shop::{JOURNEYS, Journey, REGIONS, SERVICES, Service};

/// How long before the end of the day the incident begins, in nanoseconds.
pub(crate) const INCIDENT_BEFORE_END_NS: i64 = 3 * 3_600_000_000_000;
const INCIDENT_NS: i64 = 25 * 60_000_000_000;
const MS_NS: i64 = 1_000_000;
/// Rows of a trace, on average; from it follows how many traces a span of time has.
const TRACE_ROWS: u64 = 4;

/// A record that is told but not yet written.
#[derive(Debug, Default)]
struct Record {
    at: i64,
    source: &'static str,
    level: &'static str,
    message: String,
    trace: Option<u128>,
    span: u64,
    region: &'static str,
    pod: u64,
    status: Option<u64>,
    duration_ms: Option<u64>,
}

/// A span of time in the shop.
#[derive(Debug)]
pub(crate) struct Story {
    dice: Dice,
    at: i64,
    end: i64,
    incident: std::ops::Range<i64>,
    step_ns: u64,
    told: VecDeque<Record>,
    scratch: String,
}

impl Story {
    /// The story from one time to another, about `rows` records long.
    pub(crate) fn new(seed: u64, from: Timestamp, to: Timestamp, rows: u64) -> Self {
        let traces = (rows / TRACE_ROWS).max(1);
        let span = u64::try_from(to.ns().saturating_sub(from.ns())).unwrap_or_default();
        let incident = to.ns().saturating_sub(INCIDENT_BEFORE_END_NS);
        Self {
            dice: Dice::new(seed),
            at: from.ns(),
            end: to.ns(),
            incident: incident..incident.saturating_add(INCIDENT_NS),
            step_ns: (span / traces).max(1),
            told: VecDeque::new(),
            scratch: String::new(),
        }
    }

    /// Adds the next record. `false` at the end.
    pub(crate) fn next(&mut self, builder: &mut LogBatchBuilder, tags: &mut TagSet) -> bool {
        while self.told.is_empty() {
            let step = self.dice.below(self.step_ns.saturating_mul(2).max(1));
            self.at = self.at.saturating_add(i64::try_from(step).unwrap_or(i64::MAX)).saturating_add(1);
            if self.at >= self.end {
                return false;
            }
            self.trace();
        }
        let Some(record) = self.told.pop_front() else { return false };
        self.write(&record, builder, tags);
        true
    }

    fn write(&mut self, record: &Record, builder: &mut LogBatchBuilder, tags: &mut TagSet) {
        let mut tag = |key: &str, text: std::fmt::Arguments<'_>, kind| {
            self.scratch.clear();
            // Writing to a string does not fail.
            let _ = self.scratch.write_fmt(text);
            tags.push(key, Some(&self.scratch), kind);
        };
        tag("env", format_args!("prod"), TagKind::String);
        tag("region", format_args!("{}", record.region), TagKind::String);
        tag("pod", format_args!("{}-{}", record.source, record.pod), TagKind::String);
        if let Some(status) = record.status {
            tag("http.status", format_args!("{status}"), TagKind::Number);
        }
        if let Some(duration) = record.duration_ms {
            tag("duration_ms", format_args!("{duration}"), TagKind::Number);
        }
        let trace = record.trace.map(|trace| format!("{trace:032x}"));
        let span = record.trace.map(|_| format!("{:016x}", record.span));
        let row = RowRef {
            timestamp: Some(Timestamp::from_ns(record.at)),
            source: Some(record.source),
            level: Some(record.level),
            message: &record.message,
            trace_id: trace.as_deref(),
            span_id: span.as_deref(),
        };
        if let Err(error) = builder.push(row, tags) {
            tracing::debug!(%error, "a record of the demo was refused");
        }
    }

    /// Tells one request from the gateway to the last service, or some service's own work.
    fn trace(&mut self) {
        let dice = &self.dice;
        let region = dice.word(&REGIONS);
        if dice.once_in(6) {
            self.own_work(region);
            return;
        }
        let Some(journey) = journey(dice) else { return };
        let trace = Some(dice.bits());
        let broken = self.incident.contains(&self.at);
        let mut at = self.at;
        let mut failed = None;
        for name in journey.through {
            let Some(service) = SERVICES.iter().find(|service| service.name == *name) else { continue };
            let mut record =
                Record { at, source: service.name, level: "INFO", trace, region, ..Record::default() };
            (record.span, record.pod) = (dice.below(u64::MAX), dice.below(12));
            let duration = dice.skewed(18);
            record.duration_ms = Some(duration);
            failed = tell(dice, service, &mut record, broken);
            at = at.saturating_add(
                i64::try_from(record.duration_ms.unwrap_or(1)).unwrap_or(1).saturating_mul(MS_NS),
            );
            self.told.push_back(record);
            if failed.is_some() {
                break;
            }
        }
        let total = u64::try_from((at - self.at) / MS_NS).unwrap_or_default();
        let status = failed.unwrap_or(if self.dice.once_in(50) { 404 } else { 200 });
        let path = journey.path.replace("{}", &self.dice.below(40_000).to_string());
        let level = match status {
            500.. => "ERROR",
            400.. => "WARN",
            _ => "INFO",
        };
        let address = format!("10.{}.{}.{}", self.dice.below(4), self.dice.below(250), self.dice.below(250));
        let message = format!("{address} \"{} {path} HTTP/1.1\" {status} {total}ms", journey.method);
        let (span, pod) = (self.dice.below(u64::MAX), self.dice.below(4));
        let (status, duration_ms) = (Some(status), Some(total));
        let gateway =
            Record { at, source: "gateway", level, message, trace, span, region, pod, status, duration_ms };
        self.told.push_back(gateway);
    }

    fn own_work(&mut self, region: &'static str) {
        let dice = &self.dice;
        let Some(service) = dice.pick(&SERVICES) else { return };
        let mut record =
            Record { at: self.at, source: service.name, level: "DEBUG", region, ..Record::default() };
        record.pod = dice.below(12);
        if service.name == "orders-db" && self.incident.contains(&self.at) {
            record.level = "FATAL";
            record.message =
                "FATAL: remaining connection slots are reserved for superusers (max_connections=200)".into();
        } else {
            record.message = dice.word(service.works).replace("{}", &dice.below(1_000_000).to_string());
        }
        self.told.push_back(record);
    }
}

fn journey(dice: &Dice) -> Option<&'static Journey> {
    let mut left = dice.below(JOURNEYS.iter().map(|journey| journey.share).sum());
    JOURNEYS.iter().find(|journey| {
        let found = left < journey.share;
        left = left.saturating_sub(journey.share);
        found
    })
}

/// What a service says of its part in a request; the status, if the request ends there.
fn tell(dice: &Dice, service: &Service, record: &mut Record, broken: bool) -> Option<u64> {
    if broken && service.name == "payments" && !dice.once_in(5) {
        record.level = "ERROR";
        record.duration_ms = Some(3_000 + dice.below(2_000));
        record.message = format!(
            "charge {} failed: connect to orders-db:5432: connection refused (attempt 3 of 3)",
            dice.below(1_000_000)
        );
        return Some(503);
    }
    if dice.once_in(900) {
        record.level = "ERROR";
        record.message =
            format!("unexpected end of response from upstream, request {}", dice.below(1_000_000));
        return Some(502);
    }
    if record.duration_ms.is_some_and(|duration| duration > 150) {
        record.level = "WARN";
        record.message = format!("slow: {} took {} ms", service.name, record.duration_ms.unwrap_or_default());
    } else {
        record.message = dice.word(service.works).replace("{}", &dice.below(1_000_000).to_string());
    }
    None
}
