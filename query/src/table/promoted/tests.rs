//! Promoted tags in queries: only the columns that are needed are read, and answers are those of the map.

use ironbark_storage::{Tables, key, read_tail};
use parquet::file::metadata::RowGroupMetaData;

use crate::fixture::{Fixture, Row, counter};

/// `host` and `env` are promoted, `id` has too many values.
fn rows(first: i64) -> Vec<Row> {
    let row = |at: i64| {
        let (level, host) =
            (if at % 4 == 0 { "ERROR" } else { "INFO" }, if at < first + 20 { "h1" } else { "h2" });
        Row::new(at, "web", level, "x").tag("host", host).tag("env", "prod").tag("id", &at.to_string())
    };
    (first..first + 40).map(row).collect()
}

/// Bytes of these columns in all segments.
async fn column_bytes(fixture: &Fixture, columns: &[&str]) -> usize {
    let snapshot = fixture.tables.snapshot(&fixture.table).await.unwrap();
    let mut bytes = 0;
    for meta in snapshot.manifest().segments() {
        let partition = ironbark_storage::Partition { table: fixture.table.clone(), day: meta.day };
        let key = key::segment(&partition, meta.id);
        let tail = read_tail(fixture.store.as_ref(), &key, meta).await.unwrap();
        let chunks = tail.parquet.row_groups().iter().flat_map(RowGroupMetaData::columns);
        let asked = chunks.filter(|chunk| columns.contains(&chunk.column_path().string().as_str()));
        bytes += asked.map(|chunk| usize::try_from(chunk.compressed_size()).unwrap()).sum::<usize>();
    }
    bytes
}

/// Asserts that a query reads these columns and nothing else.
async fn check_reads(fixture: &Fixture, sql: &str, columns: &[&str]) {
    let plan = fixture.analyzed(sql).await;
    let expected = column_bytes(fixture, columns).await;
    assert!((columns.is_empty() || expected > 0) && expected < 1_000, "{expected} bytes are printed exactly");
    assert_eq!(counter(&plan, "data_bytes"), expected, "{sql}\n{plan}");
}

#[tokio::test]
async fn only_the_columns_of_the_tags_are_read() {
    let fixture = Fixture::new();
    fixture.segment(&rows(0), 100).await;
    for buffers in [false, true] {
        if buffers {
            fixture.buffer(&rows(100));
        }
        let check = async |sql, columns: &[&str]| check_reads(&fixture, sql, columns).await;
        check("SELECT tags['host'] FROM logs", &["tag.host"]).await;
        check("SELECT DISTINCT tags['host'] FROM logs WHERE level = 'ERROR'", &["tag.host", "level"]).await;
        check("SELECT tags['host'], count(*) FROM logs GROUP BY 1", &["tag.host"]).await;
        check("SELECT max(tags['host'] || tags['env']) FROM logs", &["tag.host", "tag.env"]).await;
        check("SELECT count(*) FROM logs WHERE tags['host'] = 'h2'", &["tag.host"]).await;
        check("SELECT tags['env'] FROM logs WHERE tags['host'] LIKE 'h%'", &["tag.host", "tag.env"]).await;
        check("SELECT count(*) FROM logs WHERE tags['host'] = 'h3'", &[]).await;
        check("SELECT count(*) FROM logs WHERE tags['env'] IS NULL", &[]).await;
        check("SELECT tags['id'] FROM logs", &["tags.key_value.key", "tags.key_value.value"]).await;
        check(
            "SELECT tags FROM logs",
            &["tags.key_value.key", "tags.key_value.value", "tag.host", "tag.env"],
        )
        .await;
    }
}

#[tokio::test]
async fn filters_are_decided_on_the_column_of_a_tag() {
    let fixture = Fixture::new();
    fixture.segment(&rows(0), 100).await;
    fixture.buffer(&rows(100));
    let sql = "SELECT count(*), min(tags['id']) FROM logs WHERE tags['host'] = 'h2' AND level = 'ERROR'";
    insta::assert_snapshot!(fixture.plan(sql).await, @r#"
    ProjectionExec: expr=[count(Int64(1))@0 as count(*), min(__datafusion_extracted_1)@1 as min(tags['id'])]
      AggregateExec: mode=Final, gby=[], aggr=[count(Int64(1)), min(__datafusion_extracted_1)]
        CoalescePartitionsExec
          AggregateExec: mode=Partial, gby=[], aggr=[count(Int64(1)), min(__datafusion_extracted_1)]
            UnionExec
              FilterExec: level@2 = ERROR AND __datafusion_extracted_2@0 = h2, projection=[__datafusion_extracted_1@1]
                ProjectionExec: expr=[tag(tags@1, host) as __datafusion_extracted_2, tag(tags@1, id) as __datafusion_extracted_1, level@0 as level]
                  DataSourceExec: buffers: partitions=1, batches=1/1, rows=40/40, words: tags.host:h2 1/1, unindexed=1
              FilterExec: __datafusion_extracted_2@0 = h2, projection=[__datafusion_extracted_1@1]
                RepartitionExec: partitioning=RoundRobinBatch(2), input_partitions=1
                  TokenIndexExec: tags.host:h2 1/1; templates: sure=0, undecided=10 rows; kept segments=1/1, row_groups=1/1, ranges=1/1, rows=10/40
                    DataSourceExec: file_groups={1 group: [[…01.parquet]]}, projection=[tag(tags@5, host) as __datafusion_extracted_2, tag(tags@5, id) as __datafusion_extracted_1, level], file_type=parquet, predicate=promoted(tag(tags@5, host) = h2) AND level@3 = ERROR, pruning_predicate=level_null_count@2 != row_count@3 AND level_min@0 <= ERROR AND ERROR <= level_max@1, required_guarantees=[level in (ERROR)]
    "#);
    let plan = fixture.analyzed(sql).await;
    assert_eq!(counter(&plan, "pushdown_rows_pruned"), 5, "{plan}");
    insta::assert_snapshot!(fixture.text(sql).await, @r#"
    +----------+-----------------+
    | count(*) | min(tags['id']) |
    +----------+-----------------+
    | 10       | 120             |
    +----------+-----------------+
    "#);
}

#[tokio::test]
async fn segments_without_promoted_tags_answer_as_well() {
    let (fixture, other) = (Fixture::new(), Fixture::new());
    fixture.segment(&rows(0), 100).await;
    fixture.segment_in_map(&rows(100), 100).await;
    fixture.buffer(&rows(200));
    for first in [0, 100, 200] {
        other.buffer(&rows(first));
    }
    for sql in [
        "SELECT tags['host'] AS host, tags['id'] FROM logs WHERE tags['host'] = 'h2' ORDER BY _row_id",
        "SELECT count(*) FROM logs WHERE tags['host'] IS NULL OR tags['env'] <> 'prod'",
        "SELECT tags FROM logs WHERE tags['id'] IN ('3', '103', '203') ORDER BY _row_id",
        "SELECT count(*) FROM logs WHERE cardinality(map_keys(tags)) = 3 AND tags['env'] = 'prod'",
        "SELECT count(*) FROM logs WHERE search('host:h1 env:prod')",
        "SELECT count(DISTINCT a.tags['id']) FROM logs a JOIN logs b ON a.tags['host'] = b.tags['host']",
        "SELECT tags[message] FROM logs ORDER BY _row_id LIMIT 2",
    ] {
        assert_eq!(fixture.text(sql).await, other.text(sql).await, "{sql}");
    }
}

#[tokio::test]
async fn a_hint_never_fails_on_rows_that_other_filters_leave_out() {
    let fixture = Fixture::new();
    let row = |at: i64| match at % 2 {
        0 => Row::new(at, "web", "INFO", "x").tag("n", &(at % 10).to_string()),
        _ => Row::new(at, "db", "INFO", "x").tag("n", "none"),
    };
    fixture.segment(&(0..40).map(row).collect::<Vec<_>>(), 100).await;
    let sql = "SELECT count(*) FROM logs WHERE CAST(tags['n'] AS BIGINT) > 5 AND source = 'web'";
    insta::assert_snapshot!(fixture.text(sql).await, @r#"
    +----------+
    | count(*) |
    +----------+
    | 8        |
    +----------+
    "#);
    let tried = fixture.plan("SELECT count(*) FROM logs WHERE TRY_CAST(tags['n'] AS BIGINT) > 5").await;
    assert!(tried.contains("predicate=promoted("), "{tried}");
}
