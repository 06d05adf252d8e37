//! `histogram(table, step [, search])` and `rate(table, step [, search])`: rows by time.
//!
//! Both count what statistics count: whole minutes without a search, or with one of source, level and time, read no row.

use std::sync::Arc;

use arrow::datatypes::{DataType, IntervalMonthDayNano};
use datafusion::catalog::TableProvider;
use datafusion::common::Result;
use datafusion::functions::datetime::date_bin;
use datafusion::functions_aggregate::expr_fn::count;
use datafusion::logical_expr::{Expr, cast, ident, lit};
use datafusion::scalar::ScalarValue;
use ironbark_storage::column;

use super::{Call, Spec, view};
use crate::functions::mistake::Mistake;

const BUCKET: &str = "bucket";
const COUNT: &str = "count";
const RATE_NAME: &str = "rate";
const DAY_SECONDS: i32 = 86_400;
const SECOND_NS: u32 = 1_000_000_000;

/// `(bucket, level, count)`.
pub(super) const HISTOGRAM: Spec = Spec {
    name: "histogram",
    example: "histogram('logs', '5m', 'timeout')",
    arguments: 2..=3,
    scans: 1,
    table: histogram,
};

/// `(bucket, rows_per_second)`.
pub(super) const RATE: Spec = Spec {
    name: RATE_NAME,
    example: "rate('logs', '1m', 'level:error')",
    arguments: 2..=3,
    scans: 1,
    table: rate,
};

fn histogram(call: &Call<'_>) -> Result<Arc<dyn TableProvider>> {
    let slot = bucket(call.step(1)?);
    let rows = call.found(2)?.aggregate([slot, ident(column::LEVEL)], [all_rows()])?;
    let columns = [BUCKET, column::LEVEL, COUNT].map(|name| ident(name).alias(name));
    Ok(view(rows.project(columns)?.build()?))
}

fn rate(call: &Call<'_>) -> Result<Arc<dyn TableProvider>> {
    let step = call.step(1)?;
    let seconds = seconds(&step)?;
    let rows = call.found(2)?.aggregate([bucket(step)], [all_rows()])?;
    let per_second = cast(ident(COUNT), DataType::Float64) / lit(seconds);
    Ok(view(rows.project([ident(BUCKET).alias(BUCKET), per_second.alias("rows_per_second")])?.build()?))
}

fn bucket(step: ScalarValue) -> Expr {
    date_bin().call(vec![Expr::Literal(step, None), ident(column::TIMESTAMP)]).alias(BUCKET)
}

fn all_rows() -> Expr {
    count(lit(1i64)).alias(COUNT)
}

/// How long a step is.
fn seconds(step: &ScalarValue) -> Result<f64, Mistake> {
    match step {
        ScalarValue::IntervalMonthDayNano(Some(IntervalMonthDayNano { months: 0, days, nanoseconds })) => {
            let whole = u32::try_from(nanoseconds / i64::from(SECOND_NS)).map_err(|_| Mistake::Months)?;
            let rest = u32::try_from(nanoseconds % i64::from(SECOND_NS)).map_err(|_| Mistake::Months)?;
            let days = f64::from(*days) * f64::from(DAY_SECONDS);
            Ok(days + f64::from(whole) + f64::from(rest) / f64::from(SECOND_NS))
        }
        _ => Err(Mistake::Months),
    }
}
