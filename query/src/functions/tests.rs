//! Tests of log functions in SQL: what they answer, how they are planned, and what is said of mistakes.

use std::fmt::Write;

use crate::fixture::{Fixture, Row};

fn fixture() -> Fixture {
    let fixture = Fixture::new();
    fixture.buffer(&[
        Row::new(1, "web", "INFO", "GET /users/17 took 5 ms").tag("client", "::ffff:10.0.0.1"),
        Row::new(2, "web", "INFO", "GET /users/4711 took 12 ms").tag("client", "192.168.0.9"),
        Row::new(3, "db", "WARN", "status=503 msg=\"slow query\" status=200").tag("client", "db-1"),
        Row::new(4, "db", "ERROR", r#"{"user":{"id":7,"names":["ann",null]}}"#),
    ]);
    fixture
}

#[tokio::test]
async fn patterns_group_messages() {
    insta::assert_snapshot!(fixture().text(
        "SELECT pattern(message) AS template, count(*) AS rows FROM logs GROUP BY 1 ORDER BY 2 DESC, 1").await, @r#"
    +------------------------------------------+------+
    | template                                 | rows |
    +------------------------------------------+------+
    | GET /users/<*> took <*> ms               | 2    |
    | status=<*> msg="slow query" status=<*>   | 1    |
    | {"user":{"id":<*>,"names":["ann",null]}} | 1    |
    +------------------------------------------+------+
    "#);
}

#[tokio::test]
async fn pairs_and_json_are_extracted() {
    insta::assert_snapshot!(fixture().text(
        "SELECT extract_kv(message) AS all, extract_kv(message)['msg'] AS msg, extract_kv(message, 'status') AS status, \
         extract_json(message, '$.user.id') AS id, extract_json(message, 'user.names') AS names, \
         extract_json(message, 'user.names[0]') AS name FROM logs ORDER BY timestamp").await, @r#"
    +--------------------------------+------------+--------+----+--------------+------+
    | all                            | msg        | status | id | names        | name |
    +--------------------------------+------------+--------+----+--------------+------+
    | {}                             |            |        |    |              |      |
    | {}                             |            |        |    |              |      |
    | {status: 503, msg: slow query} | slow query | 503    |    |              |      |
    | {}                             |            |        | 7  | ["ann",null] | ann  |
    +--------------------------------+------------+--------+----+--------------+------+
    "#);
}

#[tokio::test]
async fn fields_are_taken_out_by_grok() {
    insta::assert_snapshot!(fixture().text(
        "SELECT grok(message, '^%{WORD:verb} %{URIPATH:path} took %{INT:ms:int}') AS all, \
         grok(message, '^%{WORD:verb} %{URIPATH:path}', 'path') AS path, grok(message, '%{INT:n}')['n'] AS n \
         FROM logs ORDER BY timestamp").await, @r#"
    +----------------------------------------+-------------+------+
    | all                                    | path        | n    |
    +----------------------------------------+-------------+------+
    | {verb: GET, path: /users/17, ms: 5}    | /users/17   | 17   |
    | {verb: GET, path: /users/4711, ms: 12} | /users/4711 | 4711 |
    |                                        |             | 503  |
    |                                        |             | 7    |
    +----------------------------------------+-------------+------+
    "#);
}

#[tokio::test]
async fn addresses_are_compared() {
    insta::assert_snapshot!(fixture().text(
        "SELECT parse_ip(tags['client']) AS ip, cidr_match(tags['client'], '10.0.0.0/8') AS inside FROM logs \
         ORDER BY timestamp").await, @r#"
    +-------------+--------+
    | ip          | inside |
    +-------------+--------+
    | 10.0.0.1    | true   |
    | 192.168.0.9 | false  |
    |             | false  |
    |             |        |
    +-------------+--------+
    "#);
}

#[tokio::test]
async fn every_way_to_hold_text_gives_the_same() {
    let fixture = fixture();
    let expected = fixture
        .text(
            "SELECT pattern(m) AS p, extract_kv(m) AS kv, cidr_match(m, '::/0') AS ip FROM \
        (VALUES ('a1 k=v'), (NULL), ('::1'), ('')) AS t(m)",
        )
        .await;
    insta::assert_snapshot!(expected, @r#"
    +---------+--------+-------+
    | p       | kv     | ip    |
    +---------+--------+-------+
    | <*> k=v | {k: v} | false |
    |         |        |       |
    | ::<*>   | {}     | true  |
    |         | {}     | false |
    +---------+--------+-------+
    "#);
    for held in ["LargeUtf8", "Utf8View", "Dictionary(Int32, Utf8)", "Dictionary(UInt8, LargeUtf8)"] {
        let text = fixture
            .text(&format!(
                "SELECT pattern(m) AS p, extract_kv(m) AS kv, cidr_match(m, '::/0') AS ip FROM (SELECT \
             arrow_cast(n, '{held}') AS m FROM (VALUES ('a1 k=v'), (NULL), ('::1'), ('')) AS t(n))"
            ))
            .await;
        assert_eq!(text, expected, "{held}");
    }
}

#[tokio::test]
async fn constants_and_parameters_are_taken() {
    let fixture = fixture();
    insta::assert_snapshot!(fixture.text(
        "SELECT pattern('a1') AS a, extract_kv('k=v') AS b, extract_json('[1]', '[0]') AS c, parse_ip(NULL) AS d, \
         cidr_match(NULL, '::/0') AS e, extract_kv(NULL) AS f").await, @r#"
    +-----+--------+---+---+---+---+
    | a   | b      | c | d | e | f |
    +-----+--------+---+---+---+---+
    | <*> | {k: v} | 1 |   |   |   |
    +-----+--------+---+---+---+---+
    "#);
    let statement = fixture
        .session()
        .prepare("SELECT count(*) FROM logs WHERE extract_kv(message, ?) = ?")
        .await
        .unwrap();
    let values = ["status", "503"].map(|text| datafusion::scalar::ScalarValue::Utf8(Some(text.to_owned())));
    let batches: Vec<_> =
        futures::TryStreamExt::try_collect(statement.run(values.into()).await.unwrap()).await.unwrap();
    insta::assert_snapshot!(arrow::util::pretty::pretty_format_batches(&batches).unwrap(), @r#"
    +----------+
    | count(*) |
    +----------+
    | 1        |
    +----------+
    "#);
}

#[tokio::test]
async fn a_megabyte_is_read() {
    let fixture = Fixture::new();
    let long = format!("{} k=v", "x1 ".repeat(349_000));
    fixture.buffer(&[Row::new(1, "web", "INFO", &long)]);
    insta::assert_snapshot!(fixture.text(
        "SELECT length(pattern(message)) AS pattern, extract_kv(message, 'k') AS k, extract_json(message, 'k') AS json, \
         parse_ip(message) AS ip FROM logs").await, @r#"
    +---------+---+------+----+
    | pattern | k | json | ip |
    +---------+---+------+----+
    | 258     | v |      |    |
    +---------+---+------+----+
    "#);
}

#[tokio::test]
async fn mistakes_say_what_to_write() {
    let fixture = fixture();
    let mut all = String::new();
    for call in [
        "pattern()",
        "pattern(message, 'x')",
        "pattern(timestamp)",
        "pattern(tags)",
        "extract_kv(message, source)",
        "extract_kv(message, 7)",
        "extract_kv(message, '')",
        "extract_kv(message, NULL)",
        "extract_json(message)",
        "extract_json(message, '$.a[x]')",
        "extract_json(message, source || 'x')",
        "grok(message)",
        "grok(message, source)",
        "grok(message, '%{IPP:client}')",
        "grok(message, '%{IP:client}', 'clients')",
        "cidr_match(message, '10.0.0.0')",
        "cidr_match(message, '10.0.0.0/64')",
        "cidr_match(_row_id, '10.0.0.0/8')",
        "time_bucket('5m')",
        "time_bucket(timestamp, '5m')",
        "time_bucket(5, timestamp)",
        "time_bucket(NULL, timestamp)",
        "time_bucket('5' || 'm', timestamp)",
        "time_bucket('5 parsecs', timestamp)",
        "time_bucket(source, timestamp)",
        "time_bucket('5m', _row_id)",
        "time_bucket('5m', timestamp, 5)",
        "time_bucket('5m', timestamp, 'soon')",
    ] {
        let _ = writeln!(all, "{call} ► {}", fixture.error(&format!("SELECT {call} FROM logs")).await);
    }
    insta::assert_snapshot!(all, @r#"
    pattern() ► Request: pattern() was given 0 arguments; write it as in pattern(message)
    pattern(message, 'x') ► Request: pattern() was given 2 arguments; write it as in pattern(message)
    pattern(timestamp) ► Request: pattern() reads text, not Timestamp(ns, "UTC"); cast it to VARCHAR first, as in pattern(CAST(x AS VARCHAR)…)
    pattern(tags) ► Request: pattern() reads text, not Map("key_value": non-null Struct("key": non-null Utf8, "value": Utf8), unsorted); cast it to VARCHAR first, as in pattern(CAST(x AS VARCHAR)…)
    extract_kv(message, source) ► Request: the key of extract_kv() has to be a literal text, as in extract_kv(message, 'status'), or a bound parameter
    extract_kv(message, 7) ► Request: the key of extract_kv() has to be a literal text, as in extract_kv(message, 'status'), or a bound parameter
    extract_kv(message, '') ► Request: extract_kv(): the key is empty; write the name that stands before =, as in extract_kv(message, 'status')
    extract_kv(message, NULL) ► Request: the key of extract_kv() has to be a literal text, as in extract_kv(message, 'status'), or a bound parameter
    extract_json(message) ► Request: extract_json() was given 1 argument; write it as in extract_json(message, '$.user.id')
    extract_json(message, '$.a[x]') ► Request: extract_json(): column 5 of the path $.a[x]: expected a number from 0, or a name in quotes
    extract_json(message, source || 'x') ► Request: the path of extract_json() has to be a literal text, as in extract_json(message, '$.user.id'), or a bound parameter
    grok(message) ► Request: grok() was given 1 argument; write it as in grok(message, '%{IP:client} %{WORD:verb}', 'client')
    grok(message, source) ► Request: the pattern of grok() has to be a literal text, as in grok(message, '%{IP:client} %{WORD:verb}', 'client'), or a bound parameter
    grok(message, '%{IPP:client}') ► Request: grok(): column 1 of the pattern: there is no pattern IPP; did you mean IP?
    grok(message, '%{IP:client}', 'clients') ► Request: grok(): the pattern has no field clients, only client; did you mean client?
    cidr_match(message, '10.0.0.0') ► Request: cidr_match(): 10.0.0.0 is no block of addresses; write an address, a slash and the number of leading bits that count, as in 10.0.0.0/8 or 2001:db8::/32
    cidr_match(message, '10.0.0.0/64') ► Request: cidr_match(): 10.0.0.0/64 is no block of addresses; write an address, a slash and the number of leading bits that count, as in 10.0.0.0/8 or 2001:db8::/32
    cidr_match(_row_id, '10.0.0.0/8') ► Request: cidr_match() reads text, not Int64; cast it to VARCHAR first, as in cidr_match(CAST(x AS VARCHAR)…)
    time_bucket('5m') ► Request: time_bucket() was given 1 argument; write it as in time_bucket('5m', timestamp)
    time_bucket(timestamp, '5m') ► Request: time_bucket() takes the step first and then the time, as in time_bucket('5m', timestamp)
    time_bucket(5, timestamp) ► Request: the step of time_bucket() is text or an INTERVAL, not Int64: write time_bucket('5m', timestamp)
    time_bucket(NULL, timestamp) ► Request: the step of time_bucket() has to be a literal text, as in time_bucket('5m', timestamp), or a bound parameter
    time_bucket('5' || 'm', timestamp) ► Request: the step of time_bucket() has to be a literal text, as in time_bucket('5m', timestamp), or a bound parameter
    time_bucket('5 parsecs', timestamp) ► Request: time_bucket(): 5 parsecs is no length of time; write a number and one of ns, us, ms, s, m, h, d, w, as in '5m' or '1h30m'
    time_bucket(source, timestamp) ► Request: the step of time_bucket() has to be a literal text, as in time_bucket('5m', timestamp), or a bound parameter
    time_bucket('5m', _row_id) ► Request: time_bucket() takes a TIMESTAMP, not Int64: write time_bucket('5m', timestamp)
    time_bucket('5m', timestamp, 5) ► Request: the origin of time_bucket() is a TIMESTAMP, not Int64
    time_bucket('5m', timestamp, 'soon') ► Request: Parser error: Error parsing timestamp from 'soon': timestamp must contain at least 10 characters
    "#);
}

#[tokio::test]
async fn a_time_bucket_is_a_date_bin() {
    let fixture = fixture();
    for (bucket, bin) in [
        ("time_bucket('5m', timestamp)", "date_bin(INTERVAL '5 minutes', timestamp)"),
        ("time_bucket(INTERVAL '2 seconds', timestamp)", "date_bin(INTERVAL '2 seconds', timestamp)"),
        (
            "time_bucket(INTERVAL '1 second' + INTERVAL '1 second', timestamp)",
            "date_bin(INTERVAL '2 seconds', timestamp)",
        ),
        ("time_bucket('1 month', timestamp)", "date_bin(INTERVAL '1 month', timestamp)"),
        (
            "time_bucket('2s', timestamp, '2026-01-01T00:00:01Z')",
            "date_bin(INTERVAL '2 seconds', timestamp, '2026-01-01T00:00:01Z')",
        ),
        (
            "time_bucket('1h', CAST('2026-01-01 10:59:59' AS TIMESTAMP))",
            "date_bin(INTERVAL '1 hour', CAST('2026-01-01 10:59:59' AS TIMESTAMP))",
        ),
        ("time_bucket('1d', NULL)", "date_bin(INTERVAL '1 day', NULL)"),
    ] {
        let sql =
            |call: &str| format!("SELECT {call} AS slot, count(*) AS rows FROM logs GROUP BY 1 ORDER BY 1");
        let found = fixture.text(&sql(bucket)).await;
        assert_eq!(found, fixture.text(&sql(bin)).await, "{bucket}");
        assert!(found.contains("| slot "), "{found}");
    }
    insta::assert_snapshot!(fixture.text(
        "SELECT time_bucket('2s', timestamp), count(*) FROM logs WHERE time_bucket('1m', timestamp) < now() \
         GROUP BY time_bucket('2s', timestamp) HAVING count(*) > 0 ORDER BY time_bucket('2s', timestamp)").await, @r#"
    +----------------------------------------+----------+
    | time_bucket(Utf8("2s"),logs.timestamp) | count(*) |
    +----------------------------------------+----------+
    | 2026-11-23T00:00:00Z                   | 1        |
    | 2026-11-23T00:00:02Z                   | 2        |
    | 2026-11-23T00:00:04Z                   | 1        |
    +----------------------------------------+----------+
    "#);
}

#[tokio::test]
async fn the_step_of_a_bucket_may_be_a_parameter() {
    let sql = "SELECT time_bucket(?, timestamp) AS slot, count(*) AS rows FROM logs GROUP BY 1 ORDER BY 1";
    let statement = fixture().session().prepare(sql).await.unwrap();
    let stream = statement.run(vec![datafusion::scalar::ScalarValue::from("2s")]).await.unwrap();
    let batches: Vec<_> = futures::TryStreamExt::try_collect(stream).await.unwrap();
    insta::assert_snapshot!(arrow::util::pretty::pretty_format_batches(&batches).unwrap(), @r#"
    +----------------------+------+
    | slot                 | rows |
    +----------------------+------+
    | 2026-11-23T00:00:00Z | 1    |
    | 2026-11-23T00:00:02Z | 2    |
    | 2026-11-23T00:00:04Z | 1    |
    +----------------------+------+
    "#);
}

#[tokio::test]
async fn buckets_are_counted_from_statistics() {
    let fixture = Fixture::new();
    let rows: Vec<Row> =
        (0..1_000).map(|i| Row::new(i, "web", if i % 3 == 0 { "WARN" } else { "INFO" }, "x")).collect();
    fixture.segment(&rows, 100).await;
    for step in ["INTERVAL '5 minutes'", "'5m'"] {
        let sql = format!(
            "SELECT time_bucket({step}, timestamp) AS slot, level, count(*) AS rows FROM logs GROUP BY 1, 2"
        );
        let plan = fixture.plan(&sql).await;
        assert!(plan.contains("StatisticsExec"), "{plan}");
        let ordered = format!("{sql} ORDER BY 1, 2");
        let text = fixture.text(&ordered).await;
        insta::allow_duplicates! {
            insta::assert_snapshot!(text, @r#"
            +----------------------+-------+------+
            | slot                 | level | rows |
            +----------------------+-------+------+
            | 2026-11-23T00:00:00Z | INFO  | 200  |
            | 2026-11-23T00:00:00Z | WARN  | 100  |
            | 2026-11-23T00:05:00Z | INFO  | 200  |
            | 2026-11-23T00:05:00Z | WARN  | 100  |
            | 2026-11-23T00:10:00Z | INFO  | 200  |
            | 2026-11-23T00:10:00Z | WARN  | 100  |
            | 2026-11-23T00:15:00Z | INFO  | 66   |
            | 2026-11-23T00:15:00Z | WARN  | 34   |
            +----------------------+-------+------+
            "#);
        }
    }
}

#[tokio::test]
async fn functions_are_listed() {
    insta::assert_snapshot!(fixture().text(
        "SELECT DISTINCT routine_name FROM information_schema.routines WHERE routine_name IN \
         ('pattern', 'extract_kv', 'extract_json', 'grok', 'parse_ip', 'cidr_match', 'time_bucket') ORDER BY 1").await, @r#"
    +--------------+
    | routine_name |
    +--------------+
    | cidr_match   |
    | extract_json |
    | extract_kv   |
    | grok         |
    | parse_ip     |
    | pattern      |
    | time_bucket  |
    +--------------+
    "#);
    insta::assert_snapshot!(fixture().text(
        "SELECT DISTINCT routine_name, function_type FROM information_schema.routines WHERE routine_name IN \
         ('histogram', 'rate', 'facets', 'field_names', 'field_values', 'context') ORDER BY 1").await, @r#"
    +--------------+---------------+
    | routine_name | function_type |
    +--------------+---------------+
    | context      | TABLE         |
    | facets       | TABLE         |
    | field_names  | TABLE         |
    | field_values | TABLE         |
    | histogram    | TABLE         |
    | rate         | TABLE         |
    +--------------+---------------+
    "#);
    assert!(fixture().query("SHOW FUNCTIONS LIKE 'extract%'").await.is_ok());
}
