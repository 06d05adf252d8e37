//! Bounds how many relations a query has once each of its WITH queries stands in every place that names it.
//!
//! ```text
//!   WITH a AS (SELECT 1),                          1
//!        b AS (SELECT * FROM a, a),                1 + 1 + 1
//!        c AS (SELECT * FROM b, b) SELECT …        1 + 3 + 3      twice as many with every line
//! ```
//!
//! The planner copies a WITH query into each of its places, so that forty short lines make a plan that no memory
//! holds. This counts before anything is planned. It reads the statement only.

use std::collections::HashMap;
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{ObjectName, Query, Statement as SqlStatement, Visit, Visitor};

use super::sandbox::folded;
use crate::error::{Error, Limit, Result};
use crate::functions;

/// Most tables and queries in one statement, WITH queries multiplied out.
const EXPANDED_MAX: usize = 2_000;

/// Refuses a statement that is too large when its WITH queries are multiplied out.
pub(super) fn check(statement: &SqlStatement) -> Result<()> {
    match Visit::visit(statement, &mut Expanded::default()) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(error) => Err(error),
    }
}

/// The queries around the place that is visited, outermost first.
#[derive(Default)]
struct Expanded(Vec<Scope>);

/// A query whose end is not reached yet.
struct Scope {
    /// The WITH queries of this query by the address of their syntax tree, which does not move while it is visited.
    with: HashMap<*const Query, String>,
    /// The size of those that are counted already, by name.
    sizes: HashMap<String, usize>,
    size: usize,
}

impl Scope {
    fn add(&mut self, size: usize) -> ControlFlow<Error> {
        self.size = self.size.saturating_add(size);
        if self.size <= EXPANDED_MAX {
            return ControlFlow::Continue(());
        }
        let what = "tables and queries, each WITH query counted wherever it is named";
        ControlFlow::Break(Error::Limit(Limit::Items { limit: EXPANDED_MAX, what }))
    }
}

impl Visitor for Expanded {
    type Break = Error;

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<Error> {
        let tables = query.with.iter().flat_map(|with| &with.cte_tables);
        let with = tables.map(|table| (std::ptr::from_ref(table.query.as_ref()), folded(&table.alias.name)));
        self.0.push(Scope { with: with.collect(), sizes: HashMap::new(), size: 1 });
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, query: &Query) -> ControlFlow<Error> {
        let Some(ended) = self.0.pop() else { return ControlFlow::Continue(()) };
        let Some(around) = self.0.last_mut() else { return ControlFlow::Continue(()) };
        if let Some(name) = around.with.get(&std::ptr::from_ref(query)) {
            around.sizes.insert(name.clone(), ended.size);
        }
        around.add(ended.size)
    }

    fn pre_visit_relation(&mut self, relation: &ObjectName) -> ControlFlow<Error> {
        let name = match relation.0.as_slice() {
            [part] => part.as_ident().map(folded),
            _ => None,
        };
        let size = name.and_then(|name| {
            let with = self.0.iter().rev().find_map(|scope| scope.sizes.get(&name).copied());
            with.or_else(|| functions::scans(&name))
        });
        match self.0.last_mut() {
            Some(scope) => scope.add(size.unwrap_or(1)),
            None => ControlFlow::Continue(()),
        }
    }
}
