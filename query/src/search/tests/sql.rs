//! `search('…')` and `matches(…)` in SQL, on a table in memory.

use std::sync::Arc;

use datafusion::arrow::array::{
    ArrayRef, Int64Array, MapBuilder, MapFieldNames, RecordBatch, StringArray, StringBuilder,
    TimestampNanosecondArray,
};
use datafusion::arrow::util::pretty::pretty_format_batches;
use datafusion::common::{Result, ScalarValue};
use datafusion::datasource::MemTable;
use datafusion::execution::session_state::SessionStateBuilder;
use datafusion::prelude::SessionContext;
use insta::assert_snapshot;
use ironbark_storage::clock::ManualClock;
use ironbark_storage::{LogSchema, Timestamp};

use super::super::{compile, install, parse};

/// 2026-01-31T12:00:00Z.
const NOW_NS: i64 = 1_769_860_800_000_000_000;

/// A row of the table.
#[derive(Debug, Clone, Default)]
pub(super) struct Record {
    time_ns: i64,
    source: Option<String>,
    level: Option<String>,
    message: String,
    trace_id: Option<String>,
    tags: Vec<(String, String)>,
}

impl Record {
    /// JSON, or just the message.
    pub(super) fn read(text: &str) -> Self {
        if !text.starts_with('{') {
            return Self { message: text.to_owned(), time_ns: NOW_NS, ..Self::default() };
        }
        let json: serde_json::Value =
            serde_json::from_str(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        let field = |name: &str| json[name].as_str().map(str::to_owned);
        let time = field("timestamp").map(|time| chrono::DateTime::parse_from_rfc3339(&time).unwrap());
        let plain =
            |value: &serde_json::Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let tags = json["tags"].as_object().into_iter().flatten();
        Self {
            time_ns: time.map_or(NOW_NS, |time| time.timestamp_nanos_opt().unwrap()),
            source: field("source"),
            level: field("level"),
            message: field("message").unwrap(),
            trace_id: field("trace_id"),
            tags: tags.map(|(key, value)| (key.clone(), plain(value))).collect(),
        }
    }
}

/// A session with the table `logs`.
pub(super) struct Table(SessionContext);

impl Table {
    pub(super) fn of(records: impl IntoIterator<Item = Record>) -> Self {
        let clock = Arc::new(ManualClock::at(Timestamp::from_ns(NOW_NS)));
        let state = install(SessionStateBuilder::new_with_default_features(), clock).build();
        let context = SessionContext::new_with_state(state);
        let table = MemTable::try_new(
            LogSchema::shown(),
            vec![vec![batch(&records.into_iter().collect::<Vec<_>>())]],
        );
        context.register_table("logs", Arc::new(table.unwrap())).unwrap();
        Self(context)
    }

    /// The rows, counted from 0, that match.
    pub(super) async fn search(&self, query: &str) -> Vec<usize> {
        let sql =
            format!("SELECT _row_id FROM logs WHERE search('{}') ORDER BY 1", query.replace('\'', "''"));
        let batches = self.run(&sql).await.unwrap_or_else(|error| panic!("{query}: {error}"));
        let ids = batches.iter().flat_map(|batch| {
            batch.column(0).as_any().downcast_ref::<Int64Array>().unwrap().values().to_vec()
        });
        ids.map(|id| usize::try_from(id).unwrap()).collect()
    }

    async fn run(&self, sql: &str) -> Result<Vec<RecordBatch>> {
        self.0.sql(sql).await?.collect().await
    }

    /// The result as a table, or what is wrong with the search, or the error.
    async fn show(&self, sql: &str) -> String {
        match self.run(sql).await {
            Ok(batches) => pretty_format_batches(&batches).unwrap().to_string(),
            Err(error) => crate::Error::from_plan(error).to_string(),
        }
    }
}

/// The condition that a query becomes, or the error.
fn condition(query: &str) -> String {
    let now = Timestamp::from_ns(NOW_NS);
    match parse(query).and_then(|parsed| compile(&parsed, query, now)) {
        Ok(expr) => expr.to_string().replace("Utf8", ""),
        Err(error) => error.render(),
    }
}

fn batch(records: &[Record]) -> RecordBatch {
    let times =
        TimestampNanosecondArray::from_iter_values(records.iter().map(|r| r.time_ns)).with_timezone("UTC");
    let times: ArrayRef = Arc::new(times);
    let text = |get: fn(&Record) -> Option<&str>| -> ArrayRef {
        Arc::new(records.iter().map(get).collect::<StringArray>())
    };
    let names = MapFieldNames { entry: "key_value".into(), key: "key".into(), value: "value".into() };
    let mut tags = MapBuilder::new(Some(names), StringBuilder::new(), StringBuilder::new());
    for record in records {
        for (key, value) in &record.tags {
            tags.keys().append_value(key);
            tags.values().append_value(value);
        }
        tags.append(true).unwrap();
    }
    let ids = Int64Array::from_iter_values(0..i64::try_from(records.len()).unwrap());
    let columns: Vec<ArrayRef> = vec![
        Arc::clone(&times),
        times,
        text(|r| r.source.as_deref()),
        text(|r| r.level.as_deref()),
        text(|r| Some(&r.message)),
        Arc::new(tags.finish()),
        text(|r| r.trace_id.as_deref()),
        text(|_| None),
        Arc::new(ids),
    ];
    RecordBatch::try_new(LogSchema::shown(), columns).unwrap()
}

fn shop() -> Table {
    Table::of([
        Record::read(
            r#"{"message":"read timeout","source":"api","level":"ERROR","trace_id":"t1","tags":{"env":"prod"}}"#,
        ),
        Record::read(r#"{"message":"retry after timeout","source":"api","level":"WARN","trace_id":"t1"}"#),
        Record::read(
            r#"{"message":"ok","source":"web","level":"INFO","trace_id":"t2","tags":{"env":"dev","ms":"12"}}"#,
        ),
    ])
}

#[test]
fn conditions() {
    let mut lines = Vec::new();
    for query in [
        "*",
        "timeout",
        "a \"b c\" -d",
        "a OR b",
        "message:x*",
        "source:API",
        "-source:api*b_c",
        "source:in(A,b)",
        "level:warning",
        "level:>=error",
        "level:in(w, odd)",
        "level:[info TO error}",
        "env:prod",
        "env:=\"prod\"",
        "-env:*",
        "status:500",
        "status:>=500",
        "status:[400 TO 500}",
        "status:[* TO *]",
        "status:>\"5\"",
        "id:>9007199254740993",
        "env:in(a, 5)",
        "timestamp:2026-01-30",
        "timestamp:>now-1h",
        "_row_id:7",
        "_row_id:[1 TO 5}",
        "db-1:5432",
        "trace_id:AB",
        "source:10.0.0.0/8",
    ] {
        lines.push(format!("{query}  ⇒  {}", condition(query)));
    }
    assert_snapshot!(lines.join("\n"), @r#"
    *  ⇒  Boolean(true)
    timeout  ⇒  matches(message, ("timeout"))
    a "b c" -d  ⇒  matches(message, ("a")) AND matches(message, (""b c"")) AND NOT matches(message, ("d"))
    a OR b  ⇒  matches(message, ("a")) OR matches(message, ("b"))
    message:x*  ⇒  matches(message, ("x*"))
    source:API  ⇒  source IS NOT NULL AND lower(source) = ("api")
    -source:api*b_c  ⇒  NOT source IS NOT NULL AND source ILIKE ("api%b\_c")
    source:in(A,b)  ⇒  source IS NOT NULL AND lower(source) IN ([("a"), ("b")])
    level:warning  ⇒  level IS NOT NULL AND level = ("WARN")
    level:>=error  ⇒  level IS NOT NULL AND level IN ([("ERROR"), ("FATAL")])
    level:in(w, odd)  ⇒  level IS NOT NULL AND (level = ("WARN") OR lower(level) = ("odd"))
    level:[info TO error}  ⇒  level IS NOT NULL AND level IN ([("INFO"), ("WARN")])
    env:prod  ⇒  matches(tag(tags, ("env")), ("prod"))
    env:="prod"  ⇒  tag(tags, ("env")) = ("prod") IS TRUE
    -env:*  ⇒  NOT tag(tags, ("env")) IS NOT NULL
    status:500  ⇒  coalesce(TRY_CAST(tag(tags, ("status")) AS Float64) = Float64(500), matches(tag(tags, ("status")), ("500")))
    status:>=500  ⇒  TRY_CAST(tag(tags, ("status")) AS Float64) >= Float64(500) AND TRY_CAST(tag(tags, ("status")) AS Float64) <= Float64(inf) IS TRUE
    status:[400 TO 500}  ⇒  TRY_CAST(tag(tags, ("status")) AS Float64) >= Float64(400) AND TRY_CAST(tag(tags, ("status")) AS Float64) < Float64(500) IS TRUE
    status:[* TO *]  ⇒  tag(tags, ("status")) IS NOT NULL IS TRUE
    status:>"5"  ⇒  tag(tags, ("status")) > ("5") IS TRUE
    id:>9007199254740993  ⇒  TRY_CAST(tag(tags, ("id")) AS Int64) > Int64(9007199254740993) IS TRUE
    env:in(a, 5)  ⇒  lower(tag(tags, ("env"))) IN ([("a"), ("5")]) IS TRUE OR TRY_CAST(tag(tags, ("env")) AS Float64) IN ([Float64(5)]) IS TRUE
    timestamp:2026-01-30  ⇒  timestamp >= TimestampNanosecond(1769731200000000000, Some("UTC")) AND timestamp <= TimestampNanosecond(1769817599999999999, Some("UTC"))
    timestamp:>now-1h  ⇒  timestamp > TimestampNanosecond(1769857200000000000, Some("UTC"))
    _row_id:7  ⇒  _row_id = Int64(7)
    _row_id:[1 TO 5}  ⇒  _row_id >= Int64(1) AND _row_id < Int64(5)
    db-1:5432  ⇒  matches(message, ("db-1:5432")) OR coalesce(TRY_CAST(tag(tags, ("db-1")) AS Float64) = Float64(5432), matches(tag(tags, ("db-1")), ("5432")))
    trace_id:AB  ⇒  trace_id IS NOT NULL AND lower(trace_id) = ("ab")
    source:10.0.0.0/8  ⇒  matches(source, ("10.0.0.0/8"))
    "#);
}

#[test]
fn mistakes_in_values() {
    let mut lines = Vec::new();
    for query in [
        "a timestamp:tomorrow",
        "timestamp:>=x",
        "timestamp:/x/",
        "_row_id:x",
        "_row_id:a*",
        "level:>=odd",
        "tags:x",
        "timestamp:10.0.0.0/8",
        "a OR",
        "f:[TO b]",
    ] {
        lines.push(condition(query));
    }
    assert_snapshot!(lines.join("\n"), @r#"
    column 13: `tomorrow` is no time, expected one like 2026-01-31, "2026-01-31T12:00:00Z", 1769860800 or now-1h
      a timestamp:tomorrow
                  ^^^^^^^^
    column 11: `x` is no time, expected one like 2026-01-31, "2026-01-31T12:00:00Z", 1769860800 or now-1h
      timestamp:>=x
                ^^^
    column 11: `timestamp` holds times and cannot be searched by a regular expression, expected a time or a range of times
      timestamp:/x/
                ^^^
    column 9: `x` is no whole number, and `_row_id` holds nothing else
      _row_id:x
              ^
    column 9: `_row_id` holds whole numbers and cannot be searched by a pattern with `*`, expected a number or a range of numbers
      _row_id:a*
              ^^
    column 7: `odd` is no level, expected trace, debug, info, warn, error or fatal
      level:>=odd
            ^^^^^
    column 1: expected the name of a tag, as in `tags.env:prod`
      tags:x
      ^^^^^^
    column 11: `timestamp` holds times and cannot be searched by a block of IP addresses, expected a time or a range of times
      timestamp:10.0.0.0/8
                ^^^^^^^^^^
    column 5: expected a search term, found the end of the query
      a OR
          ^
    column 4: expected the lower end of the range or `*`, found `TO`
      f:[TO b]
         ^^
    "#);
}

/// What pruning and pushdown see of a query.
#[tokio::test]
async fn conditions_on_columns_stay_plain() {
    let table = shop();
    let search = "search('timeout level:error timestamp:>=2026-01-31 -source:web')";
    let plan = table.0.sql(&format!("SELECT message FROM logs WHERE {search}")).await.unwrap();
    assert_snapshot!(plan.into_optimized_plan().unwrap().display_indent(), @r#"
    Projection: logs.message
      Filter: logs.level IS NOT NULL AND logs.level = Utf8("ERROR") AND logs.timestamp >= TimestampNanosecond(1769817600000000000, Some("UTC")) AND matches(logs.message, Utf8("timeout")) AND (logs.source IS NULL OR lower(logs.source) != Utf8("web"))
        TableScan: logs projection=[timestamp, source, level, message]
    "#);
}

#[tokio::test]
async fn search_is_a_condition_like_any_other() {
    let table = shop();
    assert_snapshot!(table.show("SELECT _row_id, search('timeout') AS hit, NOT search('env:prod') AS other FROM logs ORDER BY 1").await, @r#"
    +---------+-------+-------+
    | _row_id | hit   | other |
    +---------+-------+-------+
    | 0       | true  | false |
    | 1       | true  | true  |
    | 2       | false | true  |
    +---------+-------+-------+
    "#);
    assert_snapshot!(table.show(
        "SELECT search('level:error'), count(*) AS n FROM logs l WHERE _row_id < 2 OR search('env:dev') GROUP BY 1 ORDER BY 2"
    ).await, @r#"
    +-----------------------------+---+
    | search(Utf8("level:error")) | n |
    +-----------------------------+---+
    | true                        | 1 |
    | false                       | 2 |
    +-----------------------------+---+
    "#);
    assert_snapshot!(table.show(
        "WITH e AS (SELECT * FROM logs WHERE search('timeout')) SELECT count(*) AS n FROM e AS f \
         WHERE search('-retry') AND trace_id IN (SELECT trace_id FROM logs WHERE search('level:warn'))"
    ).await, @r#"
    +---+
    | n |
    +---+
    | 1 |
    +---+
    "#);
    assert_snapshot!(table.show(
        "SELECT l.message, r.message AS again FROM logs l JOIN logs r ON l.trace_id = r.trace_id \
         WHERE matches(l.message, '\"read timeout\"') AND matches(r.message, 'retry')"
    ).await, @r#"
    +--------------+---------------------+
    | message      | again               |
    +--------------+---------------------+
    | read timeout | retry after timeout |
    +--------------+---------------------+
    "#);
}

#[tokio::test]
async fn search_out_of_place_is_an_error() {
    let table = shop();
    let mut lines = Vec::new();
    for sql in [
        "SELECT search('a')",
        "SELECT * FROM (VALUES (1)) t(x) WHERE search('a')",
        "SELECT 1 FROM logs l JOIN logs r ON l.trace_id = r.trace_id WHERE search('a')",
        "SELECT 1 FROM logs l JOIN logs r ON search('a')",
        "SELECT 1 FROM logs, (VALUES (1)) t(x) WHERE search('a')",
        "SELECT 1 FROM (SELECT message FROM logs) t WHERE search('a env:prod')",
        "SELECT count(*) FROM logs GROUP BY level HAVING search('a')",
        "SELECT 1 FROM logs WHERE search(message)",
        "SELECT 1 FROM logs WHERE search(NULL)",
        "SELECT 1 FROM logs WHERE search('a' || 'b')",
        "SELECT 1 FROM logs WHERE search('a', 'b')",
        "SELECT 1 FROM logs WHERE matches(message, source)",
        "SELECT 1 FROM logs WHERE matches(message, 'level:error')",
        "SELECT 1 FROM logs WHERE matches(message, 'a OR')",
        "SELECT 1 FROM logs WHERE matches(_row_id, 'a')",
        "SELECT 1 FROM logs WHERE matches(message)",
    ] {
        lines.push(table.show(sql).await);
    }
    assert_snapshot!(lines.join("\n"), @r#"
    search: there is no table of logs in FROM; to search any text, say matches(text, '…')
    search: there is no table of logs in FROM; to search any text, say matches(text, '…')
    search: it is not clear which side of the join is meant; say matches(l.message, '…') instead of search('…')
    search: it is not clear which side of the join is meant; say matches(l.message, '…') instead of search('…')
    search: it is not clear which side of the join is meant; say matches(logs.message, '…') instead of search('…')
    search: the column tags is not there any more at this place; search before it is dropped or renamed
    search: the column message is not there any more at this place; search before it is dropped or renamed
    search: the query of search() has to be a literal, as in search('timeout level:error'), or a bound parameter
    search: the query of search() has to be a literal, as in search('timeout level:error'), or a bound parameter
    search: the query of search() has to be a literal, as in search('timeout level:error'), or a bound parameter
    search: wrong number of arguments: write search('timeout level:error')
    search: the query of matches() has to be a literal, as in matches(message, 'timeout'), or a bound parameter
    search: column 1: `level:` names a field, but this searches one column only; put the text in quotes, or use search('…')
    search: column 5: expected a search term, found the end of the query
    matches() searches text, not Int64; cast it to VARCHAR first
    search: wrong number of arguments: write matches(message, 'timeout')
    "#);
}

#[tokio::test]
async fn parameters_are_literals_once_they_are_bound() {
    let table = shop();
    let plan = |sql: &'static str| table.0.sql(sql);
    for sql in
        ["SELECT _row_id FROM logs WHERE search($1)", "SELECT _row_id FROM logs WHERE matches(message, $1)"]
    {
        let bound = plan(sql).await.unwrap().with_param_values(vec![ScalarValue::from("read")]).unwrap();
        assert_eq!(bound.count().await.unwrap(), 1, "{sql}");
        let error = plan(sql).await.unwrap().collect().await.unwrap_err();
        assert!(crate::Error::from_plan(error).to_string().contains("or a bound parameter"), "{sql}");
    }
}

#[tokio::test]
async fn matches_takes_every_kind_of_text() {
    let table = shop();
    for kind in ["Utf8", "LargeUtf8", "Utf8View", "Dictionary(Int32, Utf8)", "Dictionary(Int8, LargeUtf8)"] {
        let sql = format!(
            "SELECT _row_id FROM (SELECT _row_id, arrow_cast(tags['env'], '{kind}') AS env FROM logs) \
             WHERE matches(env, 'NOT prod') ORDER BY 1"
        );
        let found = table.run(&sql).await.unwrap();
        let rows: usize = found.iter().map(RecordBatch::num_rows).sum();
        assert_eq!(rows, 2, "{kind}");
    }
    assert_snapshot!(table.show("SELECT matches('a b', 'b') AS hit, matches(NULL, 'a') AS none, matches(NULL, '-a') AS without").await, @r#"
    +------+-------+---------+
    | hit  | none  | without |
    +------+-------+---------+
    | true | false | true    |
    +------+-------+---------+
    "#);
}
