//! What a session can name: its catalog, its schemas and its tables, as Flight SQL lists them.

use arrow::datatypes::SchemaRef;
use ironbark_storage::LogSchema;

use super::Session;
use crate::error::Result;

/// The schema that describes the others.
pub(super) const INFORMATION_SCHEMA: &str = "information_schema";

/// A schema of a catalog.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SchemaEntry {
    /// The catalog: the customer.
    pub catalog: String,
    /// The schema: `project_environment`, or `information_schema`.
    pub schema: String,
}

/// A table of a schema.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableEntry {
    /// The catalog: the customer.
    pub catalog: String,
    /// The schema.
    pub schema: String,
    /// The table.
    pub table: String,
    /// `BASE TABLE` or `VIEW`.
    pub table_type: &'static str,
    /// Its columns, with wire types.
    pub columns: SchemaRef,
}

impl Session {
    /// The catalog that unqualified names mean.
    pub fn default_catalog(&self) -> String {
        self.tenant.customer().to_owned()
    }

    /// The schema that unqualified names mean.
    pub fn default_schema(&self) -> String {
        self.tenant.sql_schema()
    }

    /// The catalogs: one.
    pub fn catalogs(&self) -> Vec<String> {
        vec![self.default_catalog()]
    }

    /// The schemas in order of name.
    pub fn schemas(&self) -> Vec<SchemaEntry> {
        let entry = |schema: String| SchemaEntry { catalog: self.default_catalog(), schema };
        let mut schemas = vec![entry(self.default_schema()), entry(INFORMATION_SCHEMA.to_owned())];
        schemas.sort();
        schemas
    }

    /// The tables in order of schema and name.
    pub async fn tables(&self) -> Result<Vec<TableEntry>> {
        let names = self.engine.tables.tables(&self.tenant).await?;
        let entry = |name: ironbark_storage::TableName| TableEntry {
            catalog: self.default_catalog(),
            schema: self.default_schema(),
            table: name.to_string(),
            table_type: "BASE TABLE",
            columns: LogSchema::shown(),
        };
        Ok(names.into_iter().map(entry).collect())
    }
}
