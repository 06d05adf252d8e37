//! `SHOW TABLES` and `SHOW SEGMENTS [FROM t]`.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, Date32Array, Int32Array, Int64Array, RecordBatch, StringArray, TimestampNanosecondArray,
};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::sql::parser::{DFParser, Statement as DfStatement};
use datafusion::sql::sqlparser::ast::ObjectName;
use ironbark_storage::{LogSchema, Partition, SegmentMeta, TableRef, key};

use super::{Session, ddl};
use crate::error::{Error, Result};
use crate::table::Snapshots;

/// `SHOW TABLES` as a query: the tenant's tables, without those of `information_schema`.
pub(super) fn tables(session: &Session) -> Result<DfStatement> {
    // The schema's name has only a-z, 0-9, - and _ in it.
    let sql = format!(
        "SELECT table_catalog, table_schema, table_name, table_type FROM information_schema.tables \
         WHERE table_schema = '{}' ORDER BY table_name",
        session.default_schema()
    );
    let statement = DFParser::parse_sql(&sql).map_err(Error::from_plan)?.pop_front();
    statement.ok_or_else(|| Error::Internal { reason: "SHOW TABLES is empty".to_owned() })
}

/// The tables that `SHOW SEGMENTS` is about: the named one, or all.
pub(super) async fn segment_tables(session: &Session, name: Option<&ObjectName>) -> Result<Vec<TableRef>> {
    let tables = session.engine.tables.tables(&session.tenant).await?;
    let all = tables.into_iter().map(|table| TableRef { tenant: session.tenant.clone(), table });
    let Some(name) = name else { return Ok(all.collect()) };
    let table = ddl::table(session, name)?;
    if all.into_iter().any(|existing| existing == table) {
        return Ok(vec![table]);
    }
    let (tenant, table) = (table.tenant.to_string(), table.table.to_string());
    Err(ironbark_storage::Error::TableNotFound { tenant, table }.into())
}

/// The columns of `SHOW SEGMENTS`.
pub(super) fn segments_schema() -> SchemaRef {
    let field = |name: &str, data_type| Field::new(name, data_type, false);
    Arc::new(Schema::new(vec![
        field("url", DataType::Utf8),
        field("day", DataType::Date32),
        field("compaction_level", DataType::Int32),
        field("rows", DataType::Int64),
        field("bytes", DataType::Int64),
        field("time_min", LogSchema::time_type()),
        field("time_max", LogSchema::time_type()),
        field("segment_id", DataType::Utf8),
        field("table_name", DataType::Utf8),
    ]))
}

/// The live segments of the tables, in order of table and time.
pub(super) async fn segments(session: &Session, tables: &[TableRef]) -> Result<RecordBatch> {
    let snapshots = Snapshots::new(Arc::clone(&session.engine.tables));
    let mut found: Vec<(TableRef, Arc<SegmentMeta>)> = Vec::new();
    for table in tables {
        let snapshot = snapshots.get(table).await?;
        let mut segments: Vec<_> = snapshot.manifest().segments().cloned().collect();
        segments.sort_by_key(|meta| (meta.time.min, meta.id));
        found.extend(segments.into_iter().map(|meta| (table.clone(), meta)));
    }
    let url = |(table, meta): &(TableRef, Arc<SegmentMeta>)| {
        let partition = Partition { table: table.clone(), day: meta.day };
        session.engine.store.object_url(&key::segment(&partition, meta.id))
    };
    let number = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    let numbers = |pick: &dyn Fn(&SegmentMeta) -> u64| -> ArrayRef {
        Arc::new(Int64Array::from_iter_values(found.iter().map(|(_, meta)| number(pick(meta)))))
    };
    let times = |pick: &dyn Fn(&SegmentMeta) -> i64| -> ArrayRef {
        let values = found.iter().map(|(_, meta)| pick(meta));
        Arc::new(TimestampNanosecondArray::from_iter_values(values).with_timezone("UTC"))
    };
    let columns: Vec<ArrayRef> = vec![
        text_column(found.iter().map(url)),
        Arc::new(Date32Array::from_iter_values(found.iter().map(|(_, meta)| meta.day.days()))),
        Arc::new(Int32Array::from_iter_values(found.iter().map(|(_, m)| i32::from(m.compaction_level)))),
        numbers(&|meta| meta.rows),
        numbers(&|meta| meta.bytes),
        times(&|meta| meta.time.min.ns()),
        times(&|meta| meta.time.max.ns()),
        text_column(found.iter().map(|(_, meta)| meta.id.to_string())),
        text_column(found.iter().map(|(table, _)| table.table.to_string())),
    ];
    RecordBatch::try_new(segments_schema(), columns)
        .map_err(|error| Error::Internal { reason: error.to_string() })
}

fn text_column(texts: impl Iterator<Item = String>) -> ArrayRef {
    Arc::new(StringArray::from_iter_values(texts))
}
