//! Catalogs, schemas, tables, columns, keys: what tools ask before anybody writes a query.
//!
//! Every text is plain `Utf8`: drivers cast these columns without looking at their type.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow_flight::error::FlightError;
use arrow_flight::sql::{
    Command, CommandGetCatalogs, CommandGetDbSchemas, CommandGetTableTypes, CommandGetTables,
};
use tonic::Status;

use super::Flight;
use super::caller::Caller;
use super::error;

/// The types of tables that there are.
const TABLE_TYPES: [&str; 2] = [TABLE, VIEW];
/// What tools filter by; SQL's own word is `BASE TABLE`.
const TABLE: &str = "TABLE";
const VIEW: &str = "VIEW";

/// The columns of the answer to a command; `None` if it is none of this file's.
pub(super) fn schema(flight: &Flight, command: &Command) -> Option<SchemaRef> {
    Some(match command {
        Command::CommandGetCatalogs(command) => command.into_builder().schema(),
        Command::CommandGetDbSchemas(command) => command.clone().into_builder().schema(),
        Command::CommandGetTables(command) => command.clone().into_builder().schema(),
        Command::CommandGetTableTypes(command) => command.into_builder().schema(),
        Command::CommandGetSqlInfo(_) => flight.infos.schema(),
        Command::CommandGetXdbcTypeInfo(_) => flight.types.schema(),
        Command::CommandGetPrimaryKeys(_) => primary_keys(),
        Command::CommandGetExportedKeys(_)
        | Command::CommandGetImportedKeys(_)
        | Command::CommandGetCrossReference(_) => foreign_keys(),
        _ => return None,
    })
}

/// The answer to a command; `None` if it is none of this file's.
pub(super) async fn answer(
    flight: &Flight,
    caller: &Caller,
    command: Command,
) -> Result<Option<RecordBatch>, Status> {
    let batch = match command {
        Command::CommandGetCatalogs(command) => catalogs(flight, caller, command),
        Command::CommandGetDbSchemas(command) => schemas(flight, caller, command),
        Command::CommandGetTables(command) => tables(flight, caller, command).await?,
        Command::CommandGetTableTypes(command) => table_types(command),
        Command::CommandGetSqlInfo(command) => flight.infos.record_batch(command.info),
        Command::CommandGetXdbcTypeInfo(command) => flight.types.record_batch(command.data_type),
        // Tables of logs have no keys.
        Command::CommandGetPrimaryKeys(_) => Ok(RecordBatch::new_empty(primary_keys())),
        Command::CommandGetExportedKeys(_)
        | Command::CommandGetImportedKeys(_)
        | Command::CommandGetCrossReference(_) => Ok(RecordBatch::new_empty(foreign_keys())),
        _ => return Ok(None),
    };
    batch.map(Some).map_err(|error| Status::internal(error.to_string()))
}

fn catalogs(
    flight: &Flight,
    caller: &Caller,
    command: CommandGetCatalogs,
) -> Result<RecordBatch, FlightError> {
    let mut builder = command.into_builder();
    for catalog in flight.node.session(&caller.tenant).catalogs() {
        builder.append(catalog);
    }
    builder.build()
}

fn schemas(
    flight: &Flight,
    caller: &Caller,
    command: CommandGetDbSchemas,
) -> Result<RecordBatch, FlightError> {
    let mut builder = command.into_builder();
    for entry in flight.node.session(&caller.tenant).schemas() {
        builder.append(entry.catalog, entry.schema);
    }
    builder.build()
}

async fn tables(
    flight: &Flight,
    caller: &Caller,
    command: CommandGetTables,
) -> Result<Result<RecordBatch, FlightError>, Status> {
    let tables = flight.node.session(&caller.tenant).tables().await.map_err(|error| error::query(&error))?;
    let mut builder = command.into_builder();
    for table in tables {
        let table_type = if table.table_type == VIEW { VIEW } else { TABLE };
        let appended = builder.append(table.catalog, table.schema, table.table, table_type, &table.columns);
        if let Err(error) = appended {
            return Ok(Err(error));
        }
    }
    Ok(builder.build())
}

fn table_types(command: CommandGetTableTypes) -> Result<RecordBatch, FlightError> {
    let mut builder = command.into_builder();
    for table_type in TABLE_TYPES {
        builder.append(table_type);
    }
    builder.build()
}

fn text(name: &str, nullable: bool) -> Field {
    Field::new(name, DataType::Utf8, nullable)
}

fn primary_keys() -> SchemaRef {
    Arc::new(Schema::new(vec![
        text("catalog_name", true),
        text("db_schema_name", true),
        text("table_name", false),
        text("column_name", false),
        text("key_name", true),
        Field::new("key_sequence", DataType::Int32, false),
    ]))
}

fn foreign_keys() -> SchemaRef {
    Arc::new(Schema::new(vec![
        text("pk_catalog_name", true),
        text("pk_db_schema_name", true),
        text("pk_table_name", false),
        text("pk_column_name", false),
        text("fk_catalog_name", true),
        text("fk_db_schema_name", true),
        text("fk_table_name", false),
        text("fk_column_name", false),
        Field::new("key_sequence", DataType::Int32, false),
        text("fk_key_name", true),
        text("pk_key_name", true),
        Field::new("update_rule", DataType::UInt8, false),
        Field::new("delete_rule", DataType::UInt8, false),
    ]))
}
