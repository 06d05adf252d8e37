//! Which expressions statistics can decide: those of `source`, `level`, literals, and time in steps.
//!
//! | expression | within a cell of one minute, source and level |
//! |---|---|
//! | `date_bin(INTERVAL '5 minutes', timestamp)`, `date_trunc('hour', timestamp)`, `upper(level)` … | is constant |
//! | `timestamp >= '…'`, and whatever is made of such and constants | changes at the literals only |

use arrow::datatypes::{DataType, IntervalDayTime, IntervalMonthDayNano};
use datafusion::common::ScalarValue;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{Expr, Operator, Volatility};
use ironbark_storage::{DAY_NS, MINUTE_NS, column};

/// Filters with more different times in them are left to the scan.
const TIMES_MAX: usize = 64;
const MS_NS: i64 = 1_000_000;
/// What `date_trunc` cuts to, in whole minutes of UTC.
const TRUNCATED_TO: [&str; 7] = ["minute", "hour", "day", "week", "month", "quarter", "year"];

/// Where in time a filter changes its answer, if source and level stay the same.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::table) struct Steps {
    /// Before, at or after these times; sorted.
    pub(super) times: Vec<i64>,
    /// At the beginning of any minute.
    pub(super) minutes: bool,
}

impl Steps {
    /// `None` if the filters change elsewhere too.
    pub(in crate::table) fn of(filters: &[Expr]) -> Option<Self> {
        let mut steps = Self::default();
        let known = filters.iter().all(|filter| steps.add(filter));
        steps.times.sort_unstable();
        steps.times.dedup();
        (known && steps.times.len() <= TIMES_MAX).then_some(steps)
    }

    fn add(&mut self, filter: &Expr) -> bool {
        if self.add_comparison(filter) {
            return true;
        }
        if is_constant_in_minutes(filter) {
            self.minutes |= mentions(filter, column::TIMESTAMP);
            return true;
        }
        is_made_of_parts(filter) && all_children(filter, |part| self.add(part))
    }

    fn add_comparison(&mut self, filter: &Expr) -> bool {
        let literals: Vec<&Expr> = match filter {
            Expr::BinaryExpr(binary) if is_comparison(binary.op) => match (&*binary.left, &*binary.right) {
                (time, literal) | (literal, time) if is_time(time) => vec![literal],
                _ => return false,
            },
            Expr::Between(between) if is_time(&between.expr) => vec![&between.low, &between.high],
            Expr::InList(list) if is_time(&list.expr) => list.list.iter().collect(),
            _ => return false,
        };
        for literal in literals {
            match literal {
                Expr::Literal(ScalarValue::TimestampNanosecond(Some(ns), _), _) => self.times.push(*ns),
                Expr::Literal(ScalarValue::TimestampNanosecond(None, _) | ScalarValue::Null, _) => {}
                _ => return false,
            }
        }
        true
    }
}

/// Whether all rows of one minute, source and level give the same.
pub(super) fn is_constant_in_minutes(expr: &Expr) -> bool {
    match expr {
        Expr::Literal(..) => true,
        Expr::Column(column) => [column::SOURCE, column::LEVEL].contains(&column.name.as_str()),
        Expr::ScalarFunction(call) if call.args.iter().any(is_time) => is_whole_minutes(call),
        Expr::Cast(cast) if is_time(&cast.expr) => *cast.field.data_type() == DataType::Date32,
        other => is_made_of_parts(other) && all_children(other, is_constant_in_minutes),
    }
}

/// Whether an expression mentions this column.
pub(in crate::table) fn mentions(expr: &Expr, name: &str) -> bool {
    expr.column_refs().iter().any(|column| column.name == name)
}

fn is_time(expr: &Expr) -> bool {
    matches!(expr, Expr::Column(column) if column.name == column::TIMESTAMP)
}

fn is_comparison(op: Operator) -> bool {
    use Operator::{Eq, Gt, GtEq, IsDistinctFrom, IsNotDistinctFrom, Lt, LtEq, NotEq};
    matches!(op, Eq | NotEq | Lt | LtEq | Gt | GtEq | IsDistinctFrom | IsNotDistinctFrom)
}

/// Whether an expression's value follows from those of its parts and from nothing else.
fn is_made_of_parts(expr: &Expr) -> bool {
    match expr {
        Expr::ScalarFunction(call) => call.func.signature().volatility == Volatility::Immutable,
        Expr::Alias(_)
        | Expr::BinaryExpr(_)
        | Expr::Like(_)
        | Expr::SimilarTo(_)
        | Expr::Not(_)
        | Expr::IsNotNull(_)
        | Expr::IsNull(_)
        | Expr::IsTrue(_)
        | Expr::IsFalse(_)
        | Expr::IsUnknown(_)
        | Expr::IsNotTrue(_)
        | Expr::IsNotFalse(_)
        | Expr::IsNotUnknown(_)
        | Expr::Negative(_)
        | Expr::Between(_)
        | Expr::Case(_)
        | Expr::Cast(_)
        | Expr::TryCast(_)
        | Expr::InList(_) => true,
        _ => false,
    }
}

fn all_children(expr: &Expr, mut holds: impl FnMut(&Expr) -> bool) -> bool {
    let mut all = true;
    let visited = expr.apply_children(|part| {
        all = holds(part);
        Ok(if all { TreeNodeRecursion::Continue } else { TreeNodeRecursion::Stop })
    });
    all && visited.is_ok()
}

/// Whether a function of the timestamp itself cuts it to whole minutes.
fn is_whole_minutes(call: &ScalarFunction) -> bool {
    match (call.name(), call.args.as_slice()) {
        ("date_trunc", [Expr::Literal(unit, _), time]) if is_time(time) => {
            let unit = unit.try_as_str().flatten().map(str::to_lowercase);
            unit.is_some_and(|unit| TRUNCATED_TO.contains(&unit.as_str()))
        }
        ("date_bin", [Expr::Literal(stride, _), time]) if is_time(time) => is_stride_of_minutes(stride),
        ("date_bin", [Expr::Literal(stride, _), time, Expr::Literal(origin, _)]) if is_time(time) => {
            is_stride_of_minutes(stride) && is_minute(origin)
        }
        _ => false,
    }
}

fn is_minute(origin: &ScalarValue) -> bool {
    matches!(origin, ScalarValue::TimestampNanosecond(Some(ns), _) if ns % MINUTE_NS == 0)
}

fn is_stride_of_minutes(stride: &ScalarValue) -> bool {
    let (days, rest_ns) = match stride {
        ScalarValue::IntervalMonthDayNano(Some(IntervalMonthDayNano { months: 0, days, nanoseconds })) => {
            (*days, Some(*nanoseconds))
        }
        ScalarValue::IntervalDayTime(Some(IntervalDayTime { days, milliseconds })) => {
            (*days, i64::from(*milliseconds).checked_mul(MS_NS))
        }
        // Months begin with a minute, however many they are.
        ScalarValue::IntervalMonthDayNano(Some(IntervalMonthDayNano { days: 0, nanoseconds: 0, .. })) => {
            return true;
        }
        _ => return false,
    };
    let stride =
        i64::from(days).checked_mul(DAY_NS).zip(rest_ns).and_then(|(days, rest)| days.checked_add(rest));
    stride.is_some_and(|ns| ns > 0 && ns % MINUTE_NS == 0)
}
