//! `time_bucket(step, timestamp [, origin])`: `date_bin` under the name that TimescaleDB and DuckDB know it by.
//!
//! A step may be text, too: `'5m'`, `'1h30m'`, `'1 month'`. The function itself never runs: the rule puts `date_bin` in
//! its place, so that whatever planning knows of that one, counts from statistics above all, holds for it.

use std::sync::{Arc, LazyLock};

use arrow::datatypes::{DataType, IntervalMonthDayNano, IntervalUnit, TimeUnit};
use datafusion::common::{DFSchema, Result, ScalarValue, exec_err, plan_err};
use datafusion::functions::datetime::date_bin;
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ExprSchemable, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use super::mistake::Mistake;

const NAME: &str = "time_bucket";
const EXAMPLE: &str = "time_bucket('5m', timestamp)";

/// The units of a step, longest names first, in nanoseconds.
const UNITS: [(&str, i64); 9] = [
    ("ns", 1),
    ("us", 1_000),
    ("µs", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
    ("d", 86_400_000_000_000),
    ("w", 604_800_000_000_000),
];

/// The function, for sessions.
pub(super) fn function() -> Arc<ScalarUDF> {
    Arc::new(TimeBucket.into())
}

/// What a call of `time_bucket` means, its arguments coerced; `None` for other calls.
pub(super) fn date_bin_of(call: &ScalarFunction) -> Result<Option<Expr>> {
    if call.func.inner().downcast_ref::<TimeBucket>().is_none() {
        return Ok(None);
    }
    let mut args = call.args.clone();
    if let Some(step) = args.first_mut() {
        *step = interval(step)?;
    }
    Ok(Some(Expr::ScalarFunction(ScalarFunction { func: date_bin(), args })))
}

/// The step as an interval. A text has to be a literal; an INTERVAL may be computed, but not from columns.
fn interval(step: &Expr) -> Result<Expr, Mistake> {
    match step {
        Expr::Literal(text, _) if text.data_type().is_string() => {
            let text = text.try_as_str().flatten().unwrap_or_default();
            Ok(Expr::Literal(step_of(NAME, text)?, None))
        }
        other => match other.get_type(&DFSchema::empty()) {
            Ok(DataType::Interval(_)) => Ok(other.clone()),
            _ => Err(Mistake::NoLiteral { function: NAME, what: "the step", example: EXAMPLE }),
        },
    }
}

/// A length of time from text, for the function that is named in errors. It is positive.
pub(super) fn step_of(function: &'static str, text: &str) -> Result<ScalarValue, Mistake> {
    let wrong = || Mistake::Step { function, text: text.to_owned() };
    let interval = match short(text.trim()) {
        Some(nanoseconds) => IntervalMonthDayNano { months: 0, days: 0, nanoseconds },
        // SQL knows a number by itself too, as seconds: here it is more likely to be a mistake.
        None if !text.bytes().any(|byte| byte.is_ascii_alphabetic()) => return Err(wrong()),
        None => {
            let text = ScalarValue::Utf8(Some(text.to_owned()));
            match text.cast_to(&DataType::Interval(IntervalUnit::MonthDayNano)) {
                Ok(ScalarValue::IntervalMonthDayNano(Some(interval))) => interval,
                _ => return Err(wrong()),
            }
        }
    };
    if is_positive(interval) { Ok(ScalarValue::IntervalMonthDayNano(Some(interval))) } else { Err(wrong()) }
}

/// Whether it leads forward in time.
pub(super) fn is_positive(interval: IntervalMonthDayNano) -> bool {
    let IntervalMonthDayNano { months, days, nanoseconds } = interval;
    months >= 0 && days >= 0 && nanoseconds >= 0 && (months, days, nanoseconds) != (0, 0, 0)
}

/// `1h30m` in nanoseconds.
fn short(text: &str) -> Option<i64> {
    let mut rest = text;
    let mut sum: i64 = 0;
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (number, after) = rest.split_at_checked(digits)?;
        let letters = after.find(|sign: char| sign.is_ascii_digit()).unwrap_or(after.len());
        let (unit, after) = after.split_at_checked(letters)?;
        let (_, ns) = UNITS.iter().find(|(name, _)| *name == unit)?;
        sum = sum.checked_add(number.parse::<i64>().ok()?.checked_mul(*ns)?)?;
        rest = after;
    }
    (!text.is_empty()).then_some(sum)
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct TimeBucket;

impl ScalarUDFImpl for TimeBucket {
    fn name(&self) -> &'static str {
        NAME
    }

    fn signature(&self) -> &Signature {
        static SIGNATURE: LazyLock<Signature> =
            LazyLock::new(|| Signature::user_defined(Volatility::Immutable));
        &SIGNATURE
    }

    fn return_type(&self, given: &[DataType]) -> Result<DataType> {
        let [_, time, ..] = given else {
            return plan_err!("{NAME}() takes a step and a time, as in {EXAMPLE}");
        };
        Ok(time.clone())
    }

    fn coerce_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        let (step, time, origin) = match given {
            [step, time] => (step, time, None),
            [step, time, origin] => (step, time, Some(origin)),
            _ => {
                return Err(
                    Mistake::Arguments { function: NAME, given: given.len(), example: EXAMPLE }.into()
                );
            }
        };
        let step = match step {
            DataType::Interval(_) => DataType::Interval(IntervalUnit::MonthDayNano),
            text if text.is_string() || text.is_null() => DataType::Utf8,
            DataType::Timestamp(..) => {
                return plan_err!("{NAME}() takes the step first and then the time, as in {EXAMPLE}");
            }
            other => {
                return plan_err!(
                    "the step of {NAME}() is text or an INTERVAL, not {other}: write {EXAMPLE}"
                );
            }
        };
        let nanoseconds = |zone: Option<Arc<str>>| DataType::Timestamp(TimeUnit::Nanosecond, zone);
        let is_like_time =
            |given: &DataType| given.is_string() || matches!(given, DataType::Null | DataType::Date32);
        let (time, zone) = match time {
            DataType::Timestamp(_, zone) => (time.clone(), zone.clone()),
            other if is_like_time(other) => (nanoseconds(None), None),
            other => return plan_err!("{NAME}() takes a TIMESTAMP, not {other}: write {EXAMPLE}"),
        };
        let mut taken = vec![step, time];
        match origin {
            None => {}
            Some(origin) if is_like_time(origin) || matches!(origin, DataType::Timestamp(..)) => {
                taken.push(nanoseconds(zone));
            }
            Some(other) => return plan_err!("the origin of {NAME}() is a TIMESTAMP, not {other}"),
        }
        Ok(taken)
    }

    fn invoke_with_args(&self, _: ScalarFunctionArgs) -> Result<ColumnarValue> {
        exec_err!("{NAME}() stands for date_bin and cannot be run by itself")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(text: &str) -> String {
        match step_of(NAME, text) {
            Ok(ScalarValue::IntervalMonthDayNano(Some(i))) => {
                format!("{} months {} days {} ns", i.months, i.days, i.nanoseconds)
            }
            other => format!("{:?}", other.map_err(|mistake| mistake.to_string())),
        }
    }

    #[test]
    fn steps_are_read() {
        for (text, months, days, ns) in [
            ("5m", 0, 0, 300_000_000_000_i64),
            ("1h30m", 0, 0, 5_400_000_000_000),
            ("250ms", 0, 0, 250_000_000),
            (" 1d ", 0, 0, 86_400_000_000_000),
            ("7µs", 0, 0, 7_000),
            ("5 minutes", 0, 0, 300_000_000_000),
            ("1 day", 0, 1, 0),
            ("1 month", 1, 0, 0),
        ] {
            assert_eq!(step(text), format!("{months} months {days} days {ns} ns"), "{text}");
        }
        for text in [
            "",
            "5",
            "m",
            "0s",
            "-5m",
            "5 parsecs",
            "1x",
            "99999999999999999999s",
            "9999999999w",
            "- 5 minutes",
        ] {
            let mistake = Mistake::Step { function: NAME, text: text.to_owned() };
            assert_eq!(step_of(NAME, text), Err(mistake), "{text}");
        }
    }
}
