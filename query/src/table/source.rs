//! The table below a node of a logical plan, where only filters and projections lie between.

use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, Result};
use datafusion::logical_expr::utils::split_conjunction_owned;
use datafusion::logical_expr::{Expr, LogicalPlan, TableScan};

/// The table, with what lies between.
pub(super) struct Source {
    pub(super) scan: TableScan,
    /// All of them, in the scan's columns.
    pub(super) filters: Vec<Expr>,
    /// What comes out at the top, and what it is in the scan's columns.
    columns: Vec<(Column, Expr)>,
}

impl Source {
    /// `None` if there is more between than filters and projections.
    pub(super) fn of(plan: &LogicalPlan) -> Result<Option<Self>> {
        match plan {
            LogicalPlan::TableScan(scan) if scan.fetch.is_none() => {
                let columns = scan.projected_schema.columns().into_iter();
                Ok(Some(Self {
                    scan: scan.clone(),
                    filters: scan.filters.clone(),
                    columns: columns.map(|column| (column.clone(), Expr::Column(column))).collect(),
                }))
            }
            LogicalPlan::Filter(filter) => {
                let Some(mut source) = Self::of(&filter.input)? else { return Ok(None) };
                for part in split_conjunction_owned(source.in_its_words(filter.predicate.clone())?) {
                    if !source.filters.contains(&part) {
                        source.filters.push(part);
                    }
                }
                Ok(Some(source))
            }
            LogicalPlan::SubqueryAlias(alias) => {
                let Some(mut source) = Self::of(&alias.input)? else { return Ok(None) };
                let exprs = source.columns.into_iter().map(|(_, expr)| expr);
                source.columns = alias.schema.columns().into_iter().zip(exprs).collect();
                Ok(Some(source))
            }
            LogicalPlan::Projection(projection) => {
                let Some(mut source) = Self::of(&projection.input)? else { return Ok(None) };
                let exprs = projection.expr.iter().map(|expr| source.in_its_words(expr.clone()));
                let exprs = exprs.collect::<Result<Vec<_>>>()?;
                source.columns = projection.schema.columns().into_iter().zip(exprs).collect();
                Ok(Some(source))
            }
            _ => Ok(None),
        }
    }

    /// An expression over what comes out, said in the scan's columns.
    pub(super) fn in_its_words(&self, expr: Expr) -> Result<Expr> {
        let replaced = expr.transform_up(|expr| match expr {
            Expr::Column(column) => {
                let found = self.columns.iter().find(|(name, _)| *name == column);
                Ok(match found {
                    Some((_, expr)) => Transformed::yes(expr.clone()),
                    None => Transformed::no(Expr::Column(column)),
                })
            }
            Expr::Alias(alias) => Ok(Transformed::yes(*alias.expr)),
            other => Ok(Transformed::no(other)),
        })?;
        Ok(replaced.data)
    }
}
