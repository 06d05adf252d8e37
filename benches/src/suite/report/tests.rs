//! Tests of ratios and tables.

use std::collections::BTreeMap;

use super::{Engine, Figures, Hot, Loaded, Table, ratio, short};
use crate::suite::plot;

fn engine(name: &str, cpu_ms: Option<f64>, failure: Option<&str>) -> Engine {
    let hot = cpu_ms.map(|cpu_ms| Hot {
        wall_ms_median: cpu_ms / 2.0,
        wall_ms_p95: cpu_ms,
        cpu_ms_median: cpu_ms,
        cpu_ms_p95: cpu_ms,
        wall_ms_all: Vec::new(),
        cpu_ms_all: Vec::new(),
        requests: None,
    });
    let figures = Figures {
        name: "Q1",
        title: "a needle",
        hot,
        cold: None,
        failure: failure.map(str::to_owned),
        explain: None,
    };
    let loaded = Loaded {
        rows_per_second: 1.0,
        seconds: 1.0,
        settling_seconds: 0.0,
        cpu_seconds_per_million_rows_acknowledged: 1.0,
        cpu_seconds_per_million_rows_settled: 1.0,
        memory_peak_bytes: 1,
        bytes_per_row: 1.0,
        parts: BTreeMap::new(),
    };
    Engine {
        name: name.to_owned(),
        loaded,
        memory_peak_bytes_asking: 0,
        is_cache_dropped: true,
        questions: vec![figures],
    }
}

#[test]
fn a_ratio_is_to_the_best_rival_that_answered_rightly() {
    let engines = [
        engine("ironbark", Some(6.0), None),
        engine("duckdb", Some(12.0), None),
        engine("chdb", Some(4.0), None),
        engine("tantivy", Some(1.0), None),
        engine("datafusion", Some(2.0), Some("wrong")),
        engine("other", None, None),
    ];
    assert_eq!(ratio(&engines, "Q1", |hot| hot.cpu_ms_median), Some((1.5, "chdb")));
    assert_eq!(ratio(&engines, "Q2", |hot| hot.cpu_ms_median), None);
    assert_eq!(ratio(&engines[..1], "Q1", |hot| hot.cpu_ms_median), None);
    let failed = [engine("ironbark", Some(6.0), Some("wrong")), engine("chdb", Some(4.0), None)];
    assert_eq!(ratio(&failed, "Q1", |hot| hot.cpu_ms_median), None);
}

#[test]
fn a_table_is_markdown() {
    let mut table = Table::new(&["load", "rows/s"]);
    table.row(["ironbark".to_owned(), "12".to_owned()]);
    assert_eq!(table.to_string(), "| load     | rows/s |\n|----------|-------:|\n| ironbark |     12 |\n");
    assert_eq!([short(1.234), short(12.34), short(123.4)], ["1.23", "12.3", "123"]);
}

#[test]
fn a_plot_has_a_bar_for_each_figure() {
    let engines =
        [engine("ironbark", Some(6.0), None), engine("chdb", Some(400.0), None), engine("x", None, None)];
    let svg = plot::svg(&engines);
    assert_eq!(svg.matches("<rect class=\"bar\"").count(), 2);
    assert!(svg.starts_with("<svg ") && svg.trim_end().ends_with("</svg>"));
}
