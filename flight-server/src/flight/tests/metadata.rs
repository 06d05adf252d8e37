//! What tools ask before anybody writes a query.

use arrow_flight::sql::{
    CommandGetCrossReference, CommandGetDbSchemas, CommandGetPrimaryKeys, CommandGetTables,
    CommandGetXdbcTypeInfo,
};

use super::*;

async fn shown(client: &mut Client, info: Result<FlightInfo, impl Into<Status>>) -> String {
    let batches = client.fetch(info.map_err(Into::into).unwrap()).await.unwrap();
    pretty_format_batches(&batches).unwrap().to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn catalogs_schemas_and_tables_are_listed() {
    let served = serve().await;
    let mut client = served.client_of("acme/web/prod").await;
    client.0.execute_update("CREATE TABLE audit".to_owned(), None).await.unwrap();
    let info = client.0.get_catalogs().await;
    insta::assert_snapshot!(shown(&mut client, info).await, @"
    +--------------+
    | catalog_name |
    +--------------+
    | acme         |
    +--------------+
    ");
    let info = client.0.get_db_schemas(CommandGetDbSchemas::default()).await;
    insta::assert_snapshot!(shown(&mut client, info).await, @"
    +--------------+--------------------+
    | catalog_name | db_schema_name     |
    +--------------+--------------------+
    | acme         | information_schema |
    | acme         | web_prod           |
    +--------------+--------------------+
    ");
    let all = CommandGetTables {
        db_schema_filter_pattern: Some("web\\_%".to_owned()),
        ..CommandGetTables::default()
    };
    let info = client.0.get_tables(all).await;
    insta::assert_snapshot!(shown(&mut client, info).await, @"
    +--------------+----------------+------------+------------+
    | catalog_name | db_schema_name | table_name | table_type |
    +--------------+----------------+------------+------------+
    | acme         | web_prod       | audit      | TABLE      |
    | acme         | web_prod       | logs       | TABLE      |
    +--------------+----------------+------------+------------+
    ");
    let views = CommandGetTables { table_types: vec!["VIEW".to_owned()], ..CommandGetTables::default() };
    let info = client.0.get_tables(views).await.unwrap();
    let tables = client.fetch(info).await.unwrap();
    assert!(tables.iter().all(|batch| {
        !pretty_format_batches(std::slice::from_ref(batch)).unwrap().to_string().contains("logs")
    }));
    let info = client.0.get_table_types().await;
    insta::assert_snapshot!(shown(&mut client, info).await, @"
    +------------+
    | table_type |
    +------------+
    | TABLE      |
    | VIEW       |
    +------------+
    ");
}

#[tokio::test(flavor = "multi_thread")]
async fn columns_come_with_the_tables() {
    let served = serve().await;
    let mut client = served.client().await;
    let request = CommandGetTables {
        table_name_filter_pattern: Some("l_gs".to_owned()),
        include_schema: true,
        ..CommandGetTables::default()
    };
    let info = client.0.get_tables(request).await.unwrap();
    let batches = client.fetch(info).await.unwrap();
    let schema = batches[0].column_by_name("table_schema").unwrap().as_binary::<i32>().value(0).to_vec();
    let message = arrow_flight::IpcMessage(schema.into());
    let schema = arrow::datatypes::Schema::try_from(message).unwrap();
    assert_eq!(schema, *ironbark_storage::LogSchema::shown());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_exist_is_listed_as_nothing() {
    let served = serve().await;
    let mut client = served.client().await;
    let info = client.0.get_primary_keys(CommandGetPrimaryKeys::default()).await;
    assert!(!shown(&mut client, info).await.contains("logs"));
    let info = client.0.get_cross_reference(CommandGetCrossReference::default()).await;
    assert!(!shown(&mut client, info).await.contains("logs"));
}

#[tokio::test(flavor = "multi_thread")]
async fn types_are_described() {
    let served = serve().await;
    let mut client = served.client().await;
    let info = client.0.get_xdbc_type_info(CommandGetXdbcTypeInfo { data_type: None }).await.unwrap();
    let batches = client.fetch(info).await.unwrap();
    let codes = batches[0].project(&[0, 1, 2]).unwrap();
    insta::assert_snapshot!(pretty_format_batches(&[codes]).unwrap(), @"
    +-----------+-----------+-------------+
    | type_name | data_type | column_size |
    +-----------+-----------+-------------+
    | BOOLEAN   | -7        | 1           |
    | TINYINT   | -6        | 3           |
    | BIGINT    | -5        | 19          |
    | VARBINARY | -3        | 2147483647  |
    | DECIMAL   | 3         | 38          |
    | INTEGER   | 4         | 10          |
    | SMALLINT  | 5         | 5           |
    | REAL      | 7         | 24          |
    | DOUBLE    | 8         | 53          |
    | VARCHAR   | 12        | 2147483647  |
    | DATE      | 91        | 10          |
    | TIME      | 92        | 18          |
    | TIMESTAMP | 93        | 29          |
    +-----------+-----------+-------------+
    ");
}
