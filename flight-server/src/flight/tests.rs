//! A served database and a Flight SQL client over a real socket.

mod ingest;
mod metadata;
mod statements;

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray as _, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::Int64Type;
use arrow::util::pretty::pretty_format_batches;
use arrow_flight::FlightInfo;
use arrow_flight::error::FlightError;
use arrow_flight::sql::client::FlightSqlServiceClient;
use arrow_flight::sql::{
    CommandStatementIngest, TableDefinitionOptions, TableExistsOption, TableNotExistOption,
};
use futures::{TryStreamExt as _, stream};
use ironbark_storage::{Ambient, Timestamp};
use tempfile::TempDir;
use tonic::transport::Channel;
use tonic::{Code, Status};

use crate::config::{CompactorMode, Config};
use crate::serve::{Damage, Server};
use crate::tenant::TENANT_HEADER;

/// 2026-11-23T07:15:00Z
const NOW: Timestamp = Timestamp::from_ns(1_795_418_100_000_000_000);

/// A server over a directory of its own.
struct Served {
    dir: TempDir,
    server: Server,
}

fn config(dir: &TempDir) -> Config {
    let free = "127.0.0.1:0".parse().unwrap();
    let data_dir = dir.path().join("data");
    let compactor_mode = CompactorMode::Off;
    Config { data_dir, http_listen: free, flight_listen: free, compactor_mode, ..Config::default() }
}

async fn start(config: &Config) -> Server {
    Server::start(config, Damage::Refuse, Ambient::seeded(NOW, 7)).await.unwrap()
}

async fn serve() -> Served {
    let dir = TempDir::new().unwrap();
    let server = start(&config(&dir)).await;
    Served { dir, server }
}

impl Served {
    async fn client(&self) -> Client {
        Client::connect(&self.server).await
    }

    /// A client of another tenant.
    async fn client_of(&self, tenant: &str) -> Client {
        let mut client = self.client().await;
        client.0.set_header(TENANT_HEADER, tenant);
        client
    }
}

/// A Flight SQL client.
struct Client(FlightSqlServiceClient<Channel>);

impl Client {
    async fn connect(server: &Server) -> Self {
        let endpoint = Channel::from_shared(format!("http://{}", server.flight)).unwrap();
        Self(FlightSqlServiceClient::new(endpoint.connect().await.unwrap()))
    }

    async fn fetch(&mut self, info: FlightInfo) -> Result<Vec<RecordBatch>, Status> {
        let schema = info.clone().try_decode_schema().unwrap();
        let ticket = info.endpoint[0].ticket.clone().unwrap();
        assert!(info.endpoint[0].location.is_empty());
        let mut rows = self.0.do_get(ticket).await?;
        let mut batches = Vec::new();
        while let Some(batch) = rows.try_next().await? {
            batches.push(batch);
        }
        let sent = rows.schema().unwrap();
        assert_eq!(sent.as_ref(), &schema, "the schema before execution is that of the rows");
        Ok(batches)
    }

    async fn query(&mut self, sql: &str) -> Result<Vec<RecordBatch>, Status> {
        let info = self.0.execute(sql.to_owned(), None).await?;
        self.fetch(info).await
    }

    async fn number(&mut self, sql: &str) -> i64 {
        let batches = self.query(sql).await.unwrap();
        batches[0].column(0).as_primitive::<Int64Type>().value(0)
    }

    async fn table(&mut self, sql: &str) -> String {
        pretty_format_batches(&self.query(sql).await.unwrap()).unwrap().to_string()
    }

    async fn ingest(&mut self, batches: Vec<RecordBatch>) -> Result<i64, Status> {
        let batches = batches.into_iter().map(Ok::<_, FlightError>);
        Ok(self.0.execute_ingest(append_to("logs"), stream::iter(batches)).await?)
    }

    /// The body of an action's answer.
    async fn action(&mut self, name: &str, body: &[u8]) -> Result<Vec<u8>, Status> {
        let action = arrow_flight::Action::new(name, body.to_vec());
        let answer = self.0.do_action(action).await?.try_next().await?;
        Ok(answer.map(|result| result.body.to_vec()).unwrap_or_default())
    }

    async fn json(&mut self, name: &str, body: &str) -> serde_json::Value {
        serde_json::from_slice(&self.action(name, body.as_bytes()).await.unwrap()).unwrap()
    }
}

fn append_to(table: &str) -> CommandStatementIngest {
    let options = TableDefinitionOptions {
        if_not_exist: TableNotExistOption::Create.into(),
        if_exists: TableExistsOption::Append.into(),
    };
    CommandStatementIngest {
        table_definition_options: Some(options),
        table: table.to_owned(),
        ..CommandStatementIngest::default()
    }
}

/// Rows `from..to`, a second apart, with a tag `n`.
fn rows(from: i64, to: i64) -> RecordBatch {
    let numbers = || from..to;
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("timestamp", Arc::new(Int64Array::from_iter_values(numbers().map(|n| 1_795_418_000 + n)))),
        ("source", Arc::new(StringArray::from_iter_values(numbers().map(|n| format!("shop-{}", n % 3))))),
        ("level", Arc::new(StringArray::from_iter_values(numbers().map(|_| "info")))),
        ("message", Arc::new(StringArray::from_iter_values(numbers().map(|n| format!("request {n}"))))),
        ("n", Arc::new(Int64Array::from_iter_values(numbers()))),
    ];
    RecordBatch::try_from_iter(columns).unwrap()
}

fn refused<T: std::fmt::Debug>(result: Result<T, Status>, code: Code, says: &str) {
    let status = result.unwrap_err();
    assert_eq!(status.code(), code, "{status:?}");
    assert!(status.message().contains(says), "{:?} does not say {says:?}", status.message());
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_survive_a_stop_and_a_start() {
    let Served { dir, server } = serve().await;
    let mut client = Client::connect(&server).await;
    assert_eq!(client.ingest(vec![rows(0, 10)]).await.unwrap(), 10);
    server.stop().await.unwrap();
    refused(client.query("SELECT 1").await, Code::Unavailable, "");
    let server = start(&config(&dir)).await;
    let mut client = Client::connect(&server).await;
    assert_eq!(client.number("SELECT count(*) FROM logs").await, 10);
    server.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_server_is_refused_with_what_to_do() {
    let served = serve().await;
    let locked = Server::start(&config(&served.dir), Damage::Refuse, Ambient::system()).await;
    let said = locked.unwrap_err().to_string();
    assert!(said.contains("in use by process") && said.contains("--data-dir"), "{said}");
    let other = TempDir::new().unwrap();
    let same_port = Config { flight_listen: served.server.flight, ..config(&other) };
    let said = Server::start(&same_port, Damage::Refuse, Ambient::system()).await.unwrap_err().to_string();
    assert!(said.contains("flight.listen") && said.contains("--flight 127.0.0.1:PORT"), "{said}");
    assert!(!same_port.data_dir.exists(), "a refused start leaves no trace");
}

#[tokio::test(flavor = "multi_thread")]
async fn tenants_do_not_see_each_other() {
    let served = serve().await;
    served.client().await.ingest(vec![rows(0, 10)]).await.unwrap();
    let mut other = served.client_of("acme/web/prod").await;
    assert_eq!(other.number("SELECT count(*) FROM logs").await, 0);
    other.ingest(vec![rows(0, 3)]).await.unwrap();
    assert_eq!(other.number("SELECT count(*) FROM acme.web_prod.logs").await, 3);
    assert_eq!(served.client().await.number("SELECT count(*) FROM logs").await, 10);
    refused(
        other.query("SELECT count(*) FROM \"default\".default_default.logs").await,
        Code::InvalidArgument,
        "",
    );
    let info = served.client().await.0.execute("SELECT * FROM logs".to_owned(), None).await.unwrap();
    refused(other.fetch(info).await, Code::PermissionDenied, TENANT_HEADER);
    let mut nobody = served.client_of("acme").await;
    refused(nobody.query("SELECT 1").await, Code::InvalidArgument, "acme/web/prod");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_handshake_gives_a_token() {
    let served = serve().await;
    let mut client = served.client().await;
    client.0.handshake("anybody", "secret").await.unwrap();
    assert_eq!(client.0.token().map(String::as_str), Some("anonymous"));
    assert_eq!(client.number("SELECT count(*) FROM logs").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn operators_flush_and_check() {
    let dir = TempDir::new().unwrap();
    let with_compactor = Config { compactor_mode: CompactorMode::On, ..config(&dir) };
    let served = Served { server: start(&with_compactor).await, dir };
    let mut client = served.client().await;
    for batch in 0..3 {
        client.ingest(vec![rows(batch * 10, batch * 10 + 10)]).await.unwrap();
        client.json("ironbark.flush", "").await;
    }
    let flushed = client.json("ironbark.flush", "{\"wait\":true}").await;
    assert_eq!(flushed["compaction"], "settled");
    let checked = client.json("ironbark.check", "").await;
    assert_eq!((&checked["ok"], &checked["rows"]), (&true.into(), &30.into()), "{checked}");
    assert_eq!(checked["segments"], 1, "three segments of a day were merged: {checked}");
    assert_eq!(client.number("SELECT count(*) FROM logs").await, 30);
    assert_eq!(client.json("ironbark.version", "").await["version"], env!("CARGO_PKG_VERSION"));
    refused(client.action("ironbark.flush", b"{\"wat\":1}").await, Code::InvalidArgument, "{\"wait\":true}");
    refused(client.action("ironbark.nothing", b"").await, Code::Unimplemented, "ironbark.flush");
    served.server.stop().await.unwrap();
}
