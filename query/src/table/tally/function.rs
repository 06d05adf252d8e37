//! The aggregate that counts weighted rows: `count`, but that each row says how many it stands for.
//!
//! It is made of `count` itself, whose second stage adds up the counts of the first: a weight is such a count. So types,
//! empty input and spilling are those of `count`. It is in no session's list of functions: only plans name it.

use std::sync::{Arc, LazyLock};

use arrow::array::{ArrayRef, BooleanArray};
use arrow::datatypes::{DataType, FieldRef};
use datafusion::common::{Result, ScalarValue, internal_err};
use datafusion::functions_aggregate::count::count_udaf;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, EmitTo, GroupsAccumulator, Signature, Volatility,
};

static TALLY: LazyLock<Arc<AggregateUDF>> = LazyLock::new(|| {
    let signature = Signature::exact(vec![DataType::Int64], Volatility::Immutable);
    Arc::new(AggregateUDF::new_from_impl(Tally { signature }))
});

/// `tally(weight)`.
pub(super) fn tally() -> Arc<AggregateUDF> {
    Arc::clone(&TALLY)
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Tally {
    signature: Signature,
}

impl AggregateUDFImpl for Tally {
    fn name(&self) -> &'static str {
        "tally"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Int64)
    }

    fn is_nullable(&self) -> bool {
        false
    }

    fn default_value(&self, _: &DataType) -> Result<ScalarValue> {
        Ok(ScalarValue::Int64(Some(0)))
    }

    fn state_fields(&self, args: StateFieldsArgs<'_>) -> Result<Vec<FieldRef>> {
        count_udaf().state_fields(args)
    }

    fn accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        Ok(Box::new(Sum(count_udaf().accumulator(args)?)))
    }

    fn groups_accumulator_supported(&self, _: AccumulatorArgs<'_>) -> bool {
        true
    }

    fn create_groups_accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn GroupsAccumulator>> {
        Ok(Box::new(GroupSums(count_udaf().create_groups_accumulator(args)?)))
    }
}

#[derive(Debug)]
struct Sum(Box<dyn Accumulator>);

impl Accumulator for Sum {
    fn update_batch(&mut self, weights: &[ArrayRef]) -> Result<()> {
        self.0.merge_batch(weights)
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        self.0.evaluate()
    }

    fn size(&self) -> usize {
        self.0.size()
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        self.0.state()
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        self.0.merge_batch(states)
    }
}

struct GroupSums(Box<dyn GroupsAccumulator>);

impl GroupsAccumulator for GroupSums {
    fn update_batch(
        &mut self,
        weights: &[ArrayRef],
        groups: &[usize],
        filter: Option<&BooleanArray>,
        group_count: usize,
    ) -> Result<()> {
        if filter.is_some() {
            return internal_err!("a tally has its filter in the weight");
        }
        self.0.merge_batch(weights, groups, group_count)
    }

    fn evaluate(&mut self, emit: EmitTo) -> Result<ArrayRef> {
        self.0.evaluate(emit)
    }

    fn state(&mut self, emit: EmitTo) -> Result<Vec<ArrayRef>> {
        self.0.state(emit)
    }

    fn merge_batch(&mut self, states: &[ArrayRef], groups: &[usize], group_count: usize) -> Result<()> {
        self.0.merge_batch(states, groups, group_count)
    }

    /// A weight is a count already.
    fn convert_to_state(&self, weights: &[ArrayRef], filter: Option<&BooleanArray>) -> Result<Vec<ArrayRef>> {
        if filter.is_some() {
            return internal_err!("a tally has its filter in the weight");
        }
        Ok(weights.to_vec())
    }

    fn size(&self) -> usize {
        self.0.size()
    }
}
