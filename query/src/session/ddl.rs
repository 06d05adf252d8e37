//! Our one change of state: `CREATE TABLE name`.

use datafusion::sql::sqlparser::ast::ObjectName;
use ironbark_storage::{TableName, TableRef};

use super::{Session, sandbox};
use crate::error::{Error, Result};

/// The table that a name means in this session. It need not exist.
pub(super) fn table(session: &Session, name: &ObjectName) -> Result<TableRef> {
    let parts: Option<Vec<String>> = name.0.iter().map(|part| part.as_ident().map(sandbox::folded)).collect();
    let parts = parts.unwrap_or_default();
    let (schema, table) = match parts.as_slice() {
        [table] => (None, table),
        [schema, table] => (Some((session.default_catalog(), schema.clone())), table),
        [catalog, schema, table] => (Some((catalog.clone(), schema.clone())), table),
        _ => return Err(plan(format!("{name} is no name of a table"))),
    };
    let own = (session.default_catalog(), session.default_schema());
    if schema.is_some_and(|schema| schema != own) {
        let (catalog, schema) = own;
        return Err(plan(format!(
            "{name} is outside of this session, whose tables are in {catalog}.{schema}"
        )));
    }
    let table: TableName = table.parse()?;
    Ok(TableRef { tenant: session.tenant.clone(), table })
}

fn plan(reason: String) -> Error {
    Error::Plan { reason, place: None, suggestion: None }
}

/// Creates the table. With `if_not_exists` a table that is there already is fine.
pub(super) async fn create(session: &Session, table: &TableRef, if_not_exists: bool) -> Result<()> {
    match session.engine.tables.create_table(table).await {
        Err(ironbark_storage::Error::TableExists { .. }) if if_not_exists => Ok(()),
        created => Ok(created?),
    }
}
