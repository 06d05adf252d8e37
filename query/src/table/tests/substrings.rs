//! Property: what templates and grams rule out is in no row, whatever stands in the slots of frequent templates.

use proptest::prelude::*;

use super::equal::{Piece, check};
use crate::fixture::{Row, SECOND, START};

/// Enough rows of one template in a row group for it to be frequent.
const ROW_GROUP_ROWS: usize = 30;

fn message() -> impl Strategy<Value = String> {
    let word =
        vec!["Timed", "bobzy", "zqk", "K9zq", "größe—zqtim", "uzq\u{212a}", "7İzq", "a_zq7", "timed_out"];
    prop_oneof![
        6 => "[a-k][0-9]{1,2}zq".prop_map(|id| format!("Request {id} timed_out")),
        3 => prop::sample::select(word).prop_map(|word| format!("Request {word} timed_out")),
        1 => "(tim|zq|k|ed|[-. ]){1,5}",
        1 => "[a-k]zq ".prop_map(|id| id.repeat(200)),
    ]
}

fn piece() -> impl Strategy<Value = Piece> {
    let rows = prop::collection::vec(message(), 30..120);
    (rows, prop::bool::weighted(0.1)).prop_map(|(messages, is_live)| {
        let row = |(step, message): (i64, &String)| {
            let mut row = Row::new(0, "web", "INFO", message);
            row.at = START + step * 60 * SECOND;
            row
        };
        let rows = (0i64..).zip(&messages).map(row).collect();
        Piece { rows, row_group_rows: (!is_live).then_some(ROW_GROUP_ROWS), promoted: false }
    })
}

fn part() -> impl Strategy<Value = String> {
    prop_oneof![
        prop::sample::select(vec![
            "zqk",
            "9zq",
            "imed",
            "med_o",
            "zqti",
            "bobz",
            "Request k",
            "ßtim",
            "—zq",
            "zq timed",
            "K9",
            "izq",
            "kzq",
            "_zq7",
            "zq a",
            "tim",
            "ed",
        ])
        .prop_map(str::to_owned),
        "[a-k][0-9]z",
    ]
}

fn predicate() -> impl Strategy<Value = String> {
    let leaf = (part(), part(), 0..9).prop_map(|(a, b, form)| match form {
        0 => format!("message LIKE '%{a}%'"),
        1 => format!("message ILIKE '%{a}%'"),
        2 => format!("message LIKE '%{a}%{b}%'"),
        3 => format!("lower(message) LIKE '%{a}%'"),
        4 => format!("message ~ '{a}[a-z ]*{b}'"),
        5 => format!("message ~* '({a})+'"),
        6 => format!("matches(message, '*{}*')", a.replace([' ', '—'], "?")),
        7 => format!("matches(message, '\"{a}\"')"),
        _ => format!("message NOT LIKE '%{a}%'"),
    });
    leaf.prop_recursive(2, 4, 2, |inner| {
        (inner.clone(), inner, prop::sample::select(vec!["AND", "OR", "AND NOT"]))
            .prop_map(|(a, b, op)| format!("({a}) {op} ({b})"))
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn no_row_is_ruled_out_that_matches(pieces in prop::collection::vec(piece(), 1..3), predicate in predicate()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(check(pieces, &predicate));
    }
}
