//! The names that a session can say: one catalog with one schema of logs and `information_schema`.
//!
//! Nothing of another tenant is in here, so nothing of another tenant can be named: not by a qualified name, not
//! through `information_schema`. Settings of the process are hidden as well.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::catalog::information_schema::InformationSchemaProvider;
use datafusion::catalog::{CatalogProvider, CatalogProviderList, SchemaProvider, TableProvider};
use datafusion::datasource::{ViewTable, provider_as_source};
use datafusion::error::Result;
use datafusion::logical_expr::{LogicalPlanBuilder, col, lit};
use ironbark_storage::{TableName, TableRef, TenantId};

use super::metadata::INFORMATION_SCHEMA;
use crate::functions;
use crate::ranges::SegmentObjects;
use crate::table::{Columns, LogTable, TailCache};

/// DataFusion's settings: they are the process's, not the tenant's.
const HIDDEN: &str = "df_settings";

const TABLES: &str = "tables";

/// A tenant's names, and what tables need for reading.
pub(crate) struct Names {
    pub(crate) tenant: TenantId,
    pub(crate) tables: Vec<TableName>,
    /// Those of the tenant.
    pub(crate) store: Arc<SegmentObjects>,
    pub(crate) tails: Arc<TailCache>,
}

impl Names {
    /// A table that the tenant has.
    pub(crate) fn find(&self, name: &str) -> Option<TableRef> {
        let table = self.tables.iter().find(|table| table.as_str() == name)?;
        Some(TableRef { tenant: self.tenant.clone(), table: table.clone() })
    }

    pub(crate) fn provider(&self, table: TableRef, columns: Columns) -> LogTable {
        LogTable::new(table, columns, Arc::clone(&self.store), Arc::clone(&self.tails))
    }
}

/// The one catalog, its list, and its schema of logs.
#[derive(Clone)]
pub(crate) struct TenantCatalog(pub(crate) Arc<Names>);

impl fmt::Debug for TenantCatalog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TenantCatalog({})", self.0.tenant)
    }
}

impl CatalogProviderList for TenantCatalog {
    fn register_catalog(
        &self,
        _name: String,
        _catalog: Arc<dyn CatalogProvider>,
    ) -> Option<Arc<dyn CatalogProvider>> {
        None
    }

    fn catalog_names(&self) -> Vec<String> {
        vec![self.0.tenant.customer().to_owned()]
    }

    fn catalog(&self, name: &str) -> Option<Arc<dyn CatalogProvider>> {
        (name == self.0.tenant.customer()).then(|| Arc::new(self.clone()) as _)
    }
}

impl CatalogProvider for TenantCatalog {
    fn schema_names(&self) -> Vec<String> {
        vec![self.0.tenant.sql_schema()]
    }

    fn schema(&self, name: &str) -> Option<Arc<dyn SchemaProvider>> {
        if name == INFORMATION_SCHEMA {
            let functions =
                functions::table_functions().map(|function| (function.name().to_owned(), function));
            let all = InformationSchemaProvider::new(Arc::new(self.clone()));
            let all = all.with_table_functions(functions.collect());
            return Some(Arc::new(InformationSchema(all)));
        }
        (name == self.0.tenant.sql_schema()).then(|| Arc::new(self.clone()) as _)
    }
}

#[async_trait]
impl SchemaProvider for TenantCatalog {
    fn table_names(&self) -> Vec<String> {
        self.0.tables.iter().map(ToString::to_string).collect()
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        let table = self.0.find(name);
        Ok(table.map(|table| Arc::new(self.0.provider(table, Columns::Shown)) as _))
    }

    fn table_exist(&self, name: &str) -> bool {
        self.0.find(name).is_some()
    }
}

/// `information_schema` without the settings of the process.
#[derive(Debug)]
struct InformationSchema(InformationSchemaProvider);

#[async_trait]
impl SchemaProvider for InformationSchema {
    fn table_names(&self) -> Vec<String> {
        self.0.table_names().into_iter().filter(|name| name != HIDDEN).collect()
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        if name == HIDDEN {
            return Ok(None);
        }
        let table = self.0.table(name).await?;
        // The list of tables names the hidden one too.
        match table {
            Some(table) if name == TABLES => {
                let scan = LogicalPlanBuilder::scan(TABLES, provider_as_source(table), None)?;
                let plan = scan.filter(col("table_name").not_eq(lit(HIDDEN)))?.build()?;
                Ok(Some(Arc::new(ViewTable::new(plan, None))))
            }
            table => Ok(table),
        }
    }

    fn table_exist(&self, name: &str) -> bool {
        name != HIDDEN && self.0.table_exist(name)
    }
}
